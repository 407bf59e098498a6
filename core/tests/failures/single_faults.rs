//! One call fails, once: what must hold then, by name. `faults.rs` fails every call in turn and would notice most of this too, but as
//! one wrong run among thousands; each test here stands for one rule.

use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::AllLost;
use sstore::env::{Call, Env};
use sstore::{CloseOptions, Db, ErrorKind, Options, ReadOptions, Result, WriteOptions};
use std::path::Path;
use std::sync::Arc;

const BROKEN: Effect = Effect::Error(libc::EIO);

struct World {
    files: Arc<MemFileSystem>,
    faults: Arc<FaultFileSystem>,
    runtime: Arc<SeededRuntime>,
}

impl World {
    fn on(files: Arc<MemFileSystem>) -> Self {
        let faults = FaultFileSystem::new(files.clone(), Vec::new());
        Self { files, faults, runtime: SeededRuntime::new(3) }
    }

    fn new() -> Self {
        Self::on(MemFileSystem::new())
    }

    fn open(&self, set: &[(&str, &str)]) -> Result<Db> {
        let options = set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
        Db::open_in(Env { files: self.faults.clone(), runtime: self.runtime.clone() }, Path::new("/db"), &options)
    }

    /// The value of `k` as a database finds it that is opened on what a power cut leaves.
    fn value_after_power_cut(&self, set: &[(&str, &str)]) -> Result<Option<Vec<u8>>> {
        let db = World::on(self.files.crash_clone(&mut AllLost)).open(set)?;
        let value = db.get(&db.default_family(), b"k", &ReadOptions::default())?;
        Ok(value.map(|value| value.to_vec()))
    }
}

fn put(db: &Db) {
    db.put(&db.default_family(), b"k", b"v", &WriteOptions::default()).unwrap();
}

#[test]
fn a_flush_tried_again_syncs_the_folder_that_the_first_could_not_sync() {
    // The log elsewhere: its folder is synced whenever its helper gets to it.
    let set = [("wal_dir", "/log")];
    // The first flush makes the folder of the family and syncs its name, the folder above it, and the names in it.
    for failing in 0..3 {
        let world = World::new();
        let db = world.open(&set).unwrap();
        put(&db);
        world.runtime.run_until_idle();
        world.faults.add(Rule::once(Call::SyncDir, BROKEN).on("/db").after(failing));
        let failed = db.flush(&[]).unwrap().wait(None).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Io, "sync {failing}");
        assert_eq!(world.faults.hits(), 1);
        db.resume().unwrap();
        world.runtime.run_until_idle();
        assert_eq!(db.stats().files, 1, "sync {failing}: the flush was tried again");
        let after = world.value_after_power_cut(&set);
        let value = after.unwrap_or_else(|error| panic!("sync {failing}: the folder's name is lost: {error}"));
        assert_eq!(value.as_deref(), Some(&b"v"[..]), "sync {failing}");
    }
}

#[test]
fn a_folder_that_could_be_neither_synced_nor_removed_is_synced_by_the_next_flush() {
    let set = [("wal_dir", "/log")];
    let world = World::new();
    let db = world.open(&set).unwrap();
    put(&db);
    world.runtime.run_until_idle();
    world.faults.add(Rule::once(Call::SyncDir, BROKEN).on("/db"));
    world.faults.add(Rule::once(Call::RemoveDir, BROKEN).on("/db"));
    assert!(db.flush(&[]).unwrap().wait(None).is_err());
    assert_eq!(world.faults.hits(), 2, "the folder stays");
    db.flush(&[]).unwrap().wait(None).unwrap();
    assert_eq!(world.value_after_power_cut(&set).unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_current_that_cannot_be_read_is_an_error_and_not_a_missing_database() {
    let world = World::new();
    let db = world.open(&[]).unwrap();
    put(&db);
    db.close(&CloseOptions::default()).unwrap();
    let looks = [(Call::Len, 0), (Call::Open, 0), (Call::Len, 1), (Call::Read, 0)];
    for (call, skip) in looks {
        for set in [&[("create_if_missing", "false")][..], &[("create_if_missing", "true")]] {
            world.faults.clear();
            world.faults.add(Rule::once(call, BROKEN).on("CURRENT").after(skip));
            let hits = world.faults.hits();
            let error = world.open(set).err().unwrap_or_else(|| panic!("{call:?} {skip}: opened in spite of it"));
            assert_eq!(error.kind(), ErrorKind::Io, "{call:?} {skip}: {error}");
            assert_eq!(world.faults.hits(), hits + 1);
        }
    }
    for (call, skip) in [(Call::Open, 0), (Call::Len, 0), (Call::Read, 0)] {
        // Beside a live writer a read that fails is tried again as long as something moves: here it fails for ever.
        world.faults.clear();
        world.faults.add(Rule::once(call, BROKEN).on("CURRENT").after(skip).sticky());
        let error = world.open(&[("read_only", "true")]).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Io, "{call:?} {skip}: {error}");
    }
    world.faults.clear();
    let db = world.open(&[("create_if_missing", "false")]).unwrap();
    let value = db.get(&db.default_family(), b"k", &ReadOptions::default()).unwrap();
    assert_eq!(value.as_deref(), Some(&b"v"[..]), "and nothing was lost by trying");
}

#[test]
fn a_creation_that_could_not_replace_current_is_taken_up_again() {
    let world = World::new();
    world.faults.add(Rule::once(Call::Rename, BROKEN).on("CURRENT"));
    assert_eq!(world.open(&[]).err().unwrap().kind(), ErrorKind::Io);
    // The first manifest lies there, and nothing names it.
    let db = world.open(&[]).unwrap_or_else(|error| panic!("what the first attempt left is in the way: {error}"));
    put(&db);
    db.flush(&[]).unwrap().wait(None).unwrap();
    assert_eq!(world.value_after_power_cut(&[]).unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_folder_that_an_earlier_attempt_made_is_made_durable_by_the_next() {
    // The first attempt made the folder of the database, and the sync of its name failed.
    let world = World::new();
    world.faults.add(Rule::once(Call::SyncDir, BROKEN));
    assert_eq!(world.open(&[]).err().unwrap().kind(), ErrorKind::Io);
    let db = world.open(&[]).unwrap();
    put(&db);
    db.sync_wal().unwrap();
    let value = world.value_after_power_cut(&[]).unwrap();
    assert_eq!(value.as_deref(), Some(&b"v"[..]), "the folder's name is lost");
}

#[test]
fn a_log_folder_that_an_earlier_attempt_made_is_made_durable_by_the_next() {
    // Elsewhere than in the database, whose own folder is synced often enough to cover it.
    let world = World::new();
    let set = [("wal_dir", "/elsewhere/log")];
    world.faults.add(Rule::once(Call::SyncDir, BROKEN).on("/elsewhere"));
    assert_eq!(world.open(&set).err().unwrap().kind(), ErrorKind::Io);
    let db = world.open(&set).unwrap();
    put(&db);
    db.sync_wal().unwrap();
    let again = World::on(world.files.crash_clone(&mut AllLost)).open(&set);
    let again = again.unwrap_or_else(|error| panic!("the log folder's name is lost: {error}"));
    assert!(again.contains(&again.default_family(), b"k", &ReadOptions::default()).unwrap(), "the log folder is lost");
}

#[test]
fn a_merge_that_waits_behind_a_failing_flush_ends_with_its_error() {
    let world = World::new();
    let db = world.open(&[("auto_compaction", "false")]).unwrap();
    for _ in 0..2 {
        put(&db);
        db.flush(&[]).unwrap().wait(None).unwrap();
    }
    let other = db.create_column_family("other", &Options::new()).unwrap();
    db.put(&other, b"k", b"v", &WriteOptions::default()).unwrap();
    // Of the other family, and often: a merge that waits until the flush succeeds would end well.
    for _ in 0..20 {
        world.faults.add(Rule::once(Call::Create, BROKEN).on("/cf/other/"));
    }
    let flushed = db.flush(&[&other]).unwrap();
    let merged = db.compact(&db.default_family());
    assert_eq!(merged.expect_err("the merge was told of the failing flush").kind(), ErrorKind::Io);
    assert_eq!(flushed.wait(None).unwrap_err().kind(), ErrorKind::Io);
}
