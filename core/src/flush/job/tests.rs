//! What a job leaves behind when nothing survives, and after errors.

use super::*;
use crate::env::posix::posix;
use crate::error::ErrorKind;
use crate::flush::RunTarget;
use crate::key::{CollectionId, FileNumber, Kind, MemtableId};
use crate::memtable::{AnyMemtable, ArenaPool, MemtableOptions};
use crate::sst::{BlockCache, SstIdentity, SstOptions};
use std::path::Path;
use std::sync::atomic::AtomicBool;

type Version = (Vec<u8>, Sequence, Kind, Vec<u8>);

fn memtable(id: u64, versions: &[Version]) -> AnyMemtable {
    let options = MemtableOptions { hash_seed: 1, pool: ArenaPool::new(0) };
    let (mut writer, memtable) = crate::memtable::create(MemtableId(id), &options).unwrap();
    for (key, sequence, kind, value) in versions {
        writer.reserve(1, key.len() + value.len()).unwrap();
        writer.insert(*sequence, *kind, key, value);
    }
    drop(writer);
    memtable.freeze();
    AnyMemtable::Bytes(memtable)
}

fn target(dir: &Path, number: u64) -> JobTarget {
    let identity = SstIdentity {
        database_id: 1,
        number: FileNumber(number),
        collection: CollectionId(3),
        ..SstIdentity::default()
    };
    JobTarget::Blocks(RunTarget {
        env: posix(),
        path: dir.join("cf/x").join(format!("{number:06}.sst")),
        identity,
        options: SstOptions::default(),
        cache: BlockCache::new(1 << 20),
        level: 0,
    })
}

#[test]
fn without_survivors_and_after_errors_no_file_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let deletes: Vec<Version> = vec![(b"k".to_vec(), 1, Kind::Delete, Vec::new())];
    let set = AtomicBool::new(true);
    let input = |number, cancel| FlushInput {
        memtables: vec![memtable(1, &deletes)],
        snapshots: Vec::new(),
        bottom: true,
        target: target(dir.path(), number),
        cancel,
    };
    let output = run(input(1, None)).unwrap();
    assert!(output.file.is_none());
    assert_eq!(output.counts.dropped_tombstones, 1);
    let cancelled = run(input(2, Some(&set))).err().unwrap();
    assert_eq!(cancelled.kind(), ErrorKind::Cancelled);
    assert_eq!(std::fs::read_dir(dir.path().join("cf/x")).unwrap().count(), 0);
    std::fs::write(dir.path().join("cf/x/000003.sst"), b"taken").unwrap();
    assert_eq!(run(input(3, None)).err().unwrap().kind(), ErrorKind::Io, "another file is not overwritten");
    assert_eq!(std::fs::read(dir.path().join("cf/x/000003.sst")).unwrap(), b"taken");
}
