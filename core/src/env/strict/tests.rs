//! Tests that each rule fires, and only where it should.

use super::*;
use crate::env::fault::{Effect, FaultFileSystem, Rule};
use crate::env::{Call, mem::MemFileSystem};

fn violates(act: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).is_err()
}

fn put(files: &StrictFileSystem, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = files.create(Path::new(name)).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.sync_data().unwrap();
    file
}

#[test]
fn a_failed_sync_is_final() {
    let faults = FaultFileSystem::new(MemFileSystem::new(), vec![]);
    let files = StrictFileSystem::new(faults.clone());
    let file = put(&files, "/000001.log", b"x");
    faults.add(Rule::once(Call::SyncData, Effect::Error(libc::EIO)));
    assert!(file.sync_data().is_err());
    assert!(violates(|| drop(file.sync_data())));
    assert!(violates(|| drop(file.write_at(b"y", 1))));
}

#[test]
fn current_names_what_is_durable() {
    let files = StrictFileSystem::new(MemFileSystem::new());
    let root = Path::new("/");
    let manifest = put(&files, "/MANIFEST-000001", b"m");
    put(&files, "/CURRENT.tmp", b"MANIFEST-000001\n");
    let install = || files.rename(Path::new("/CURRENT.tmp"), Path::new("/CURRENT")).unwrap();
    assert!(violates(install), "the manifest's name is not durable");
    files.sync_dir(root).unwrap();
    manifest.write_at(b"n", 1).unwrap();
    assert!(violates(install), "the manifest is not synced");
    manifest.sync_data().unwrap();
    install();
}

#[test]
fn manifest_and_files_keep_their_order() {
    let files = StrictFileSystem::new(MemFileSystem::new());
    let manifest = put(&files, "/MANIFEST-000001", b"m");
    put(&files, "/000002.sst", b"s");
    manifest.write_at(b"n", 1).unwrap();
    assert!(violates(|| drop(manifest.sync_data())), "the table's name is not durable");
    files.sync_dir(Path::new("/")).unwrap();
    assert!(violates(|| drop(files.remove(Path::new("/000002.sst")))));
    manifest.sync_data().unwrap();
    files.remove(Path::new("/000002.sst")).unwrap();
    files.set_read_only(true);
    assert!(violates(|| drop(files.create(Path::new("/x")))));
    assert!(files.open(Path::new("/MANIFEST-000001")).is_ok());
}
