//! A disk that is full, and then is not: clear errors, reads throughout, and everything goes on by itself once there is space.

use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::{AllKept, AllLost};
use sstore::env::{Call, Env, FileSystem};
use sstore::{CloseOptions, ColumnFamily, Db, Durability, ErrorKind, Options, ReadOptions, WriteOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const DEFAULT: WriteOptions = WriteOptions { durability: None, no_stall: false };
const SYNC: WriteOptions = WriteOptions { durability: Some(Durability::Sync), no_stall: false };

struct World {
    files: Arc<MemFileSystem>,
    faults: Arc<FaultFileSystem>,
    runtime: Arc<SeededRuntime>,
    db: Db,
    family: ColumnFamily,
}

fn options(backend: &str) -> Options {
    let set = [
        ("wal_backend", backend),
        ("write_buffer_bytes", "64KiB"),
        ("wal_segment_bytes", "64KiB"),
        ("memory_budget_bytes", "8MiB"),
    ];
    set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

fn world_on(files: Arc<MemFileSystem>, seed: u64, backend: &str) -> World {
    let faults = FaultFileSystem::new(files.clone(), Vec::new());
    let runtime = SeededRuntime::new(seed);
    let env = Env { files: faults.clone() as Arc<dyn FileSystem>, runtime: runtime.clone() };
    let db = Db::open_in(env, Path::new("/db"), &options(backend)).unwrap();
    let family = db.default_family();
    World { files, faults, runtime, db, family }
}

fn value(index: u64) -> Vec<u8> {
    (0..600).map(|at| (index.wrapping_mul(0x9e37_79b9) >> (at % 24)) as u8 ^ at as u8).collect()
}

impl World {
    fn put(&self, index: u64, options: &WriteOptions) -> sstore::Result<u64> {
        self.db.put(&self.family, &index.to_be_bytes(), &value(index), options)
    }

    fn get(&self, index: u64) -> Option<Vec<u8>> {
        let found = self.db.get(&self.family, &index.to_be_bytes(), &ReadOptions::default()).unwrap();
        found.map(|value| value.to_vec())
    }

    /// Lets enough time pass for whatever failed to be tried again.
    fn rest(&self) {
        self.runtime.pass(Duration::from_secs(3));
        self.runtime.run_until_idle();
    }

    fn rule(&self, call: Call, part: &str) {
        self.faults.add(Rule::once(call, Effect::Error(libc::ENOSPC)).on(part).sticky());
    }

    fn check(&self, present: impl Iterator<Item = u64>, when: &str) {
        for index in present {
            assert!(self.get(index) == Some(value(index)), "{when}: {index}");
        }
    }
}

#[test]
fn r47_a_full_disk_and_then_space_with_an_empty_memtable() {
    for backend in ["mapped", "write"] {
        for seed in 0..4 {
            let world = world_on(MemFileSystem::new(), seed, backend);
            let ballast = world.files.create(Path::new("/ballast")).unwrap();
            ballast.set_len(600 << 10).unwrap();
            world.files.set_capacity_bytes(Some(1 << 20));
            let (mut written, mut errors, mut index) = (Vec::new(), 0, 0);
            while errors < 20 {
                match world.put(index, &DEFAULT) {
                    Ok(_) => written.push(index),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
                        assert!(world.get(index).is_none(), "nothing is published");
                        errors += 1;
                    }
                }
                index += 1;
                world.runtime.run_some();
            }
            world.check(written.iter().copied(), "reads go on");
            drop(ballast);
            world.files.remove(Path::new("/ballast")).unwrap();
            world.rest();
            assert!(world.db.background_error().is_none(), "seed {seed}: {:?}", world.db.background_error());
            // What was written is in files by now, and the memtable empty.
            world.db.flush(&[]).unwrap().wait(None).unwrap();
            world.db.resume().unwrap();
            for more in index..index + 50 {
                world.put(more, &SYNC).unwrap();
                written.push(more);
            }
            world.db.verify().unwrap();
            let after = world_on(world.files.crash_clone(&mut AllLost), seed, backend);
            after.check(written.iter().copied(), "after a power cut");
        }
    }
}

#[test]
fn a_full_disk_again_and_again_loses_nothing() {
    for seed in 0..4 {
        let world = world_on(MemFileSystem::new(), seed, "auto");
        let (mut written, mut index) = (Vec::new(), 0_u64);
        for round in 0..12_u64 {
            // From the log's last page to far too little for a merge.
            world.files.set_capacity_bytes(Some((400 << 10) + round * (150 << 10)));
            for _ in 0..300 {
                match world.put(index, &DEFAULT) {
                    Ok(_) => written.push(index),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::NoSpace, "round {round}: {error}"),
                }
                index += 1;
                world.runtime.run_some();
            }
            world.check(written.iter().copied().step_by(7), "full");
            world.files.set_capacity_bytes(None);
            world.rest();
            assert!(world.db.background_error().is_none(), "round {round}: {:?}", world.db.background_error());
            world.put(index, &SYNC).unwrap();
            written.push(index);
            index += 1;
        }
        world.check(written.iter().copied(), "at the end");
        let killed = world_on(world.files.crash_clone(&mut AllKept), seed, "auto");
        killed.check(written.iter().copied(), "after a kill");
    }
}

#[test]
fn r19_a_manifest_that_found_no_space_is_written_anew_once_there_is() {
    // In the middle of a record, at its sync, and nowhere at all: with a whole new manifest refused as well.
    let middle = Rule::once(Call::Write, Effect::ShortWrite(20, libc::ENOSPC)).on("MANIFEST").sticky();
    let sync = Rule::once(Call::SyncData, Effect::Error(libc::ENOSPC)).on("MANIFEST").sticky();
    let applied = Rule::once(Call::Write, Effect::AppliedButError(libc::ENOSPC)).on("MANIFEST").sticky();
    for (at, rule) in [middle, sync, applied].into_iter().enumerate() {
        for crash in [false, true] {
            let world = world_on(MemFileSystem::new(), 3, "auto");
            (0..50).for_each(|index| assert!(world.put(index, &SYNC).is_ok()));
            world.db.flush(&[]).unwrap().wait(None).unwrap();
            world.faults.add(rule.clone());
            (50..100).for_each(|index| assert!(world.put(index, &SYNC).is_ok()));
            let error = world.db.flush(&[]).unwrap().wait(None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoSpace, "case {at}: {error}");
            let told = world.db.background_error().expect("it is told");
            assert_eq!(told.kind(), ErrorKind::NoSpace, "case {at}");
            // Writes go on, and tries leave nothing behind.
            (100..120).for_each(|index| assert!(world.put(index, &SYNC).is_ok()));
            for _ in 0..5 {
                world.rest();
            }
            let tables = world.files.list(Path::new("/db/cf/default")).unwrap();
            assert!(tables.len() <= 2, "case {at}: {tables:?}");
            let manifests = world.files.list(Path::new("/db")).unwrap();
            let manifests = manifests.iter().filter(|name| name.starts_with("MANIFEST")).count();
            assert!(manifests <= 2, "case {at}: {manifests} manifests");
            world.check(0..120, "while it is full");
            if crash {
                let after = world_on(world.files.crash_clone(&mut AllLost), 3, "auto");
                after.check(0..120, "after a power cut");
                let after = world_on(world.files.crash_clone(&mut AllKept), 3, "auto");
                after.check(0..120, "after a kill");
                continue;
            }
            world.faults.clear();
            world.rest();
            assert!(world.db.background_error().is_none(), "case {at}: it goes on by itself");
            assert_eq!(world.db.stats().frozen_memtables, 0, "case {at}");
            let family = world.db.create_column_family("f", &Options::new()).unwrap();
            world.db.put(&family, b"k", b"v", &SYNC).unwrap();
            let tables = world.files.list(Path::new("/db/cf/default")).unwrap();
            assert_eq!(tables.len() as u64, world.db.stats().files, "case {at}: what nobody needs is gone");
            world.db.verify().unwrap();
            world.db.close(&CloseOptions::default()).unwrap();
            let after = world_on(world.files.crash_clone(&mut AllLost), 3, "auto");
            after.check(0..120, "reopened");
            assert!(after.db.column_family("f").is_ok());
        }
    }
}

#[test]
fn r48_a_write_right_after_recovery_from_an_error_is_in_the_log_once() {
    let world = world_on(MemFileSystem::new(), 5, "write");
    world.put(0, &SYNC).unwrap();
    world.faults.add(Rule::once(Call::Write, Effect::ShortWrite(100, libc::ENOSPC)).on(".log"));
    assert_eq!(world.put(1, &SYNC).unwrap_err().kind(), ErrorKind::NoSpace);
    let before = world.db.stats();
    let sequence = world.put(2, &SYNC).unwrap();
    assert_eq!(sequence, before.sequence + 1, "the refused write took no sequence");
    let after = world_on(world.files.crash_clone(&mut AllLost), 5, "write");
    assert_eq!((after.get(0), after.get(1), after.get(2)), (Some(value(0)), None, Some(value(2))));
    assert_eq!(after.db.stats().sequence, sequence, "and no record is there twice");
}

#[test]
fn a_failure_whose_family_was_dropped_is_forgotten() {
    let world = world_on(MemFileSystem::new(), 6, "auto");
    let family = world.db.create_column_family("f", &Options::new()).unwrap();
    world.db.put(&family, b"k", b"v", &DEFAULT).unwrap();
    world.rule(Call::Create, ".sst");
    world.db.flush(&[&family]).unwrap().wait(None).unwrap_err();
    assert!(world.db.background_error().is_some());
    world.db.drop_column_family(&family).unwrap();
    world.rest();
    assert!(world.db.background_error().is_none(), "nothing is left that could fail");
}

/// A family, or a table of one column: what is dropped, and whether it is there with what was written to it.
struct Victim {
    table: bool,
}

impl Victim {
    fn create(&self, db: &Db) {
        #[cfg(feature = "parquet")]
        if self.table {
            use arrow_schema::{DataType, Field, Schema};
            let schema = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
            db.create_table("victim", &schema, &["id"], &sstore::KeyOptions::default(), &Options::new()).unwrap();
            return;
        }
        db.create_column_family("victim", &Options::new()).unwrap();
    }

    fn put(&self, db: &Db, key: i64) {
        #[cfg(feature = "parquet")]
        if self.table {
            use arrow_array::{Int64Array, RecordBatch};
            let table = db.table("victim").unwrap();
            let column = Arc::new(Int64Array::from(vec![key]));
            let rows = RecordBatch::try_new(table.schema(), vec![column]).unwrap();
            db.append(&table, &rows, &SYNC).unwrap();
            return;
        }
        db.put(&db.column_family("victim").unwrap(), &key.to_be_bytes(), b"v", &SYNC).unwrap();
    }

    fn drop_from(&self, db: &Db) -> sstore::Result<()> {
        #[cfg(feature = "parquet")]
        if self.table {
            return db.drop_table(&db.table("victim")?);
        }
        db.drop_column_family(&db.column_family("victim")?)
    }

    /// How many keys or rows it has; `None`: there is no such thing.
    fn count(&self, db: &Db) -> Option<usize> {
        #[cfg(feature = "parquet")]
        if self.table {
            let table = db.table("victim").ok()?;
            let scan = db.scan(&table, &sstore::ScanOptions::default(), &ReadOptions::default()).unwrap();
            return Some(scan.map(|batch| batch.unwrap().num_rows()).sum());
        }
        let family = db.column_family("victim").ok()?;
        let mut iterator = db.iterator(&family, sstore::IterOptions::default()).unwrap();
        let (mut count, mut valid) = (0, iterator.seek_to_first().unwrap());
        while valid {
            count += 1;
            valid = iterator.next().unwrap();
        }
        Some(count)
    }
}

#[test]
fn what_cannot_be_dropped_for_want_of_space_is_there_as_before_and_can_be_dropped_later() {
    let full = |call: Call, part: &str| Rule::once(call, Effect::Error(libc::ENOSPC)).on(part).sticky();
    let applied = Rule::once(Call::Write, Effect::AppliedButError(libc::ENOSPC)).on("MANIFEST").sticky();
    let middle = Rule::once(Call::Write, Effect::ShortWrite(20, libc::ENOSPC)).on("MANIFEST").sticky();
    let rules = [
        applied,
        middle,
        full(Call::Create, "MANIFEST"),
        full(Call::SyncData, "MANIFEST"),
        full(Call::Create, "CURRENT"),
        full(Call::Write, "CURRENT"),
        full(Call::SyncData, "CURRENT"),
        full(Call::Rename, "CURRENT"),
    ];
    for (table, flushed) in [(false, false), (false, true), (true, true)] {
        for (at, rule) in rules.iter().enumerate() {
            let when = format!("rule {at}, table {table}, flushed {flushed}");
            let victim = Victim { table };
            let world = world_on(MemFileSystem::new(), 7, "auto");
            victim.create(&world.db);
            (0..5).for_each(|key| victim.put(&world.db, key));
            if flushed {
                world.db.flush(&[]).unwrap().wait(None).unwrap();
            }
            world.faults.add(rule.clone());
            for _ in 0..2 {
                let error = victim.drop_from(&world.db).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NoSpace, "{when}: {error}");
            }
            assert!(world.db.background_error().is_none(), "{when}: {:?}", world.db.background_error());
            // It is there, takes writes, and keeps them whatever comes.
            (5..8).for_each(|key| victim.put(&world.db, key));
            world.put(1, &SYNC).unwrap();
            assert_eq!(victim.count(&world.db), Some(8), "{when}");
            for left in [world.files.crash_clone(&mut AllLost), world.files.crash_clone(&mut AllKept)] {
                let after = world_on(left, 7, "auto");
                assert_eq!((victim.count(&after.db), after.get(1)), (Some(8), Some(value(1))), "{when}: after a crash");
            }
            world.faults.clear();
            world.db.flush(&[]).unwrap().wait(None).unwrap();
            victim.drop_from(&world.db).unwrap();
            assert_eq!(victim.count(&world.db), None, "{when}");
            world.db.verify().unwrap();
            let manifests = world.files.list(Path::new("/db")).unwrap();
            let manifests = manifests.iter().filter(|name| name.starts_with("MANIFEST")).count();
            assert_eq!(manifests, 1, "{when}: what failed left nothing behind");
            let after = world_on(world.files.crash_clone(&mut AllLost), 7, "auto");
            assert_eq!(victim.count(&after.db), None, "{when}: dropped, also after a power cut");
            victim.create(&after.db);
            assert_eq!(victim.count(&after.db), Some(0), "{when}: made anew");
        }
    }
}

/// Of the one step that puts a manifest in force nobody can tell, if it fails and took effect: then nothing is written any more.
#[test]
fn a_drop_whose_last_step_took_effect_although_it_failed_is_final() {
    let world = world_on(MemFileSystem::new(), 7, "auto");
    let victim = Victim { table: false };
    victim.create(&world.db);
    victim.put(&world.db, 1);
    world.faults.add(Rule::once(Call::Rename, Effect::AppliedButError(libc::ENOSPC)).on("CURRENT"));
    victim.drop_from(&world.db).unwrap_err();
    assert_eq!(world.put(1, &SYNC).unwrap_err().kind(), ErrorKind::Poisoned);
    for left in [world.files.crash_clone(&mut AllLost), world.files.crash_clone(&mut AllKept)] {
        let after = world_on(left, 7, "auto");
        assert!(matches!(victim.count(&after.db), None | Some(1)));
        after.put(1, &SYNC).unwrap();
    }
}

/// The step that puts a new manifest in force says that the disk is full, and took effect: then CURRENT names a manifest that is not the
/// one before, and is nobody else's.
#[test]
fn a_manifest_that_is_in_force_although_that_failed_is_not_taken_for_another_writers() {
    let world = world_on(MemFileSystem::new(), 7, "auto");
    world.put(1, &SYNC).unwrap();
    world.faults.add(Rule::once(Call::Write, Effect::Error(libc::ENOSPC)).on("MANIFEST"));
    world.faults.add(Rule::once(Call::Rename, Effect::AppliedButError(libc::ENOSPC)).on("CURRENT"));
    let _ = world.db.flush(&[]).and_then(|token| token.wait(None).map(drop));
    world.rest();
    world.put(2, &SYNC).unwrap();
    world.db.flush(&[]).unwrap().wait(None).unwrap();
    assert!(world.db.background_error().is_none(), "{:?}", world.db.background_error());
    let after = world_on(world.files.crash_clone(&mut AllLost), 7, "auto");
    assert_eq!((after.get(1), after.get(2)), (Some(value(1)), Some(value(2))));
}
