//! Failures that other engines shipped, as tests by the numbers of our list: see docs/testing.md, where the others are named.

use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::{AllKept, AllLost};
use sstore::env::{Bell, Call, Env, FileSystem, Runtime, Task, TaskHandle};
use sstore::{CloseOptions, Db, Durability, ErrorKind, Options, ReadOptions, WriteOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const BUFFERED: WriteOptions = WriteOptions { durability: Some(Durability::Buffered), no_stall: false };
const SYNC: WriteOptions = WriteOptions { durability: Some(Durability::Sync), no_stall: false };

fn options(set: &[(&str, &str)]) -> Options {
    set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

struct World {
    memory: Arc<MemFileSystem>,
    faults: Arc<FaultFileSystem>,
    db: Db,
}

fn world_on(memory: Arc<MemFileSystem>, set: &[(&str, &str)]) -> World {
    let faults = FaultFileSystem::new(memory.clone(), Vec::new());
    let env = Env { files: faults.clone() as Arc<dyn FileSystem>, runtime: SeededRuntime::new(4) };
    let db = Db::open_in(env, Path::new("/db"), &options(set)).unwrap();
    World { memory, faults, db }
}

impl World {
    fn put(&self, key: &str, value: &str, options: &WriteOptions) -> sstore::Result<u64> {
        self.db.put(&self.db.default_family(), key.as_bytes(), value.as_bytes(), options)
    }

    fn get(&self, key: &str) -> Option<String> {
        let found = self.db.get(&self.db.default_family(), key.as_bytes(), &ReadOptions::default()).unwrap();
        found.map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    fn names(&self, dir: &str, part: &str) -> Vec<String> {
        let names = self.memory.list(Path::new(dir)).unwrap();
        names.into_iter().filter(|name| name.contains(part)).collect()
    }

    fn after_a_power_cut(&self) -> World {
        world_on(self.memory.crash_clone(&mut AllLost), &[])
    }

    fn after_a_kill(&self) -> World {
        world_on(self.memory.crash_clone(&mut AllKept), &[])
    }
}

#[test]
fn r01_r02_a_failed_append_is_told_and_leaves_no_trace() {
    for effect in [Effect::Error(libc::EIO), Effect::ShortWrite(30, libc::EIO), Effect::AppliedButError(libc::EIO)] {
        let world = world_on(MemFileSystem::new(), &[("wal_backend", "write")]);
        world.put("1", "a", &BUFFERED).unwrap();
        world.put("2", "b", &BUFFERED).unwrap();
        world.faults.add(Rule::once(Call::Write, effect).on(".log"));
        let error = world.put("3", "c", &BUFFERED).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{effect:?}: {error}");
        assert_eq!(world.get("3"), None, "{effect:?}: nothing is published");
        world.put("4", "d", &SYNC).unwrap();
        world.db.sync_wal().unwrap();
        for after in [world.after_a_power_cut(), world.after_a_kill()] {
            let found = ["1", "2", "3", "4"].map(|key| after.get(key));
            let [a, b, d] = ["a", "b", "d"].map(|value| Some(value.to_owned()));
            assert_eq!(found, [a, b, None, d], "{effect:?}: what was acknowledged, and no more");
        }
    }
}

#[test]
fn r04_every_writer_of_a_failed_sync_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let posix = sstore::env::posix::posix();
    let rule = Rule::once(Call::SyncData, Effect::Error(libc::EIO)).on(".log").after(40).sticky();
    let faults = FaultFileSystem::new(posix.files, vec![rule]);
    let env = Env { files: faults, runtime: posix.runtime };
    let db = Db::open_in(env, &dir.path().join("db"), &Options::new()).unwrap();
    let family = db.default_family();
    let writers: Vec<_> = (0..8_u64)
        .map(|writer| {
            let (db, family) = (db.clone(), family.clone());
            std::thread::spawn(move || {
                (0..10_000_u64)
                    .find_map(|index| db.put(&family, &(index << 8 | writer).to_be_bytes(), b"v", &SYNC).err())
            })
        })
        .collect();
    for writer in writers {
        let error = writer.join().unwrap().expect("a writer was told that its write is durable, and it is not");
        assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
    }
    assert_eq!(db.sync_wal().unwrap_err().kind(), ErrorKind::Poisoned);
    assert!(db.get(&family, &0_u64.to_be_bytes(), &ReadOptions::default()).unwrap().is_some(), "reads go on");
}

#[test]
fn r14_the_newest_of_many_segments_wins() {
    let world = world_on(MemFileSystem::new(), &[("wal_segment_bytes", "64KiB")]);
    for round in 0..12 {
        (0..10).for_each(|key| drop(world.put(&key.to_string(), &format!("{round}:{}", "v".repeat(8000)), &BUFFERED)));
    }
    let segments = world.names("/db/wal", ".log").len();
    assert!(segments >= 10, "numbers of one digit and of two: {segments}");
    for after in [world.after_a_kill(), world_on(world.memory.crash_clone(&mut AllKept), &[("read_only", "true")])] {
        for key in 0..10 {
            assert!(after.get(&key.to_string()).unwrap().starts_with("11:"));
        }
    }
}

#[test]
fn r18_a_manifest_whose_sync_failed_deletes_nothing_that_it_names() {
    for effect in [Effect::AppliedButError(libc::EIO), Effect::Error(libc::EIO)] {
        let world = world_on(MemFileSystem::new(), &[]);
        world.put("k", "v", &SYNC).unwrap();
        world.faults.add(Rule::once(Call::SyncData, effect).on("MANIFEST"));
        // A whole new manifest takes its place.
        world.db.flush(&[]).unwrap().wait(None).unwrap();
        for after in [world.after_a_power_cut(), world.after_a_kill()] {
            assert_eq!(after.get("k").as_deref(), Some("v"), "{effect:?}");
        }
        // And with that one refused too, nobody knows: nothing goes.
        world.put("l", "w", &SYNC).unwrap();
        world.faults.add(Rule::once(Call::SyncData, effect).on("MANIFEST").sticky());
        world.db.flush(&[]).unwrap().wait(None).unwrap_err();
        assert_eq!(world.put("m", "x", &SYNC).unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(world.names("/db/cf/default", ".sst").len(), 2, "{effect:?}: the file may be live");
        for after in [world.after_a_power_cut(), world.after_a_kill()] {
            let found = ["k", "l"].map(|key| after.get(key));
            assert_eq!(found, ["v", "w"].map(|value| Some(value.to_owned())), "{effect:?}");
        }
    }
}

#[test]
fn r20_r23_a_roll_that_fails_leaves_the_manifest_that_counts() {
    let refused = Rule::once(Call::Create, Effect::Error(libc::EIO)).on("MANIFEST");
    let renamed = Rule::once(Call::Rename, Effect::AppliedButError(libc::EIO)).on("CURRENT");
    for rule in [refused, renamed] {
        let world = world_on(MemFileSystem::new(), &[("manifest_bytes", "4KiB")]);
        let before = world.names("/db", "MANIFEST");
        world.faults.add(rule.clone().sticky());
        let mut failed = None;
        for index in 0..200 {
            world.put(&index.to_string(), "v", &SYNC).unwrap();
            failed = world.db.flush(&[]).unwrap().wait(None).err();
            if failed.is_some() {
                break;
            }
        }
        assert!(failed.is_some(), "the manifest was never rolled");
        let now = world.names("/db", "MANIFEST");
        assert!(before.iter().all(|name| now.contains(name)), "{rule:?}: {before:?} {now:?}");
        for after in [world.after_a_power_cut(), world.after_a_kill()] {
            assert_eq!(after.get("0").as_deref(), Some("v"));
            after.put("more", "v", &SYNC).unwrap();
        }
    }
}

#[test]
fn r28_a_flush_whose_file_fails_says_so() {
    for call in [Call::Create, Call::Write, Call::SyncData, Call::SyncDir] {
        let world = world_on(MemFileSystem::new(), &[]);
        world.put("k", "v", &BUFFERED).unwrap();
        world.faults.add(Rule::once(call, Effect::Error(libc::EIO)).on("/cf").sticky());
        let error = world.db.flush(&[]).unwrap().wait(None).expect_err("no file was made");
        assert_eq!(error.kind(), ErrorKind::Io, "{call:?}: {error}");
        assert_eq!(world.get("k").as_deref(), Some("v"));
        assert_eq!(world.after_a_kill().get("k").as_deref(), Some("v"), "{call:?}: the log is kept");
    }
}

/// A wall clock that goes back by an hour at each look, and all else as it is.
struct Backward(Arc<dyn Runtime>, AtomicU64);

impl Runtime for Backward {
    fn monotonic_nanos(&self) -> u64 {
        self.0.monotonic_nanos()
    }

    fn unix_nanos(&self) -> u64 {
        self.1.fetch_sub(3_600_000_000_000, Ordering::Relaxed)
    }

    fn random(&self) -> u64 {
        self.0.random()
    }

    fn spawn(&self, name: &str, bell: Arc<Bell>, task: Box<dyn Task>) -> sstore::Result<Box<dyn TaskHandle>> {
        self.0.spawn(name, bell, task)
    }

    fn wait(&self, bell: &Bell, seen: u64, timeout: Option<Duration>) -> bool {
        self.0.wait(bell, seen, timeout)
    }

    fn sleep(&self, duration: Duration) {
        self.0.sleep(duration);
    }

    fn forked(&self) -> bool {
        self.0.forked()
    }
}

/// Segments of the log, files and manifests come and go by number: no clock has a say in what is deleted.
#[test]
fn r45_a_clock_that_goes_back_deletes_nothing_that_lives() {
    let memory = MemFileSystem::new();
    let set = [("write_buffer_bytes", "16KiB"), ("wal_segment_bytes", "64KiB"), ("manifest_bytes", "4KiB")];
    let clock = Arc::new(Backward(SeededRuntime::new(45), AtomicU64::new(u64::MAX / 2)));
    let env = || Env { files: memory.clone() as Arc<dyn FileSystem>, runtime: clock.clone() as Arc<dyn Runtime> };
    for opening in 0..6_u64 {
        let db = Db::open_in(env(), Path::new("/db"), &options(&set)).unwrap();
        let family = db.default_family();
        for index in 0..400_u64 {
            let key = (opening * 400 + index).to_be_bytes();
            db.put(&family, &key, &[opening as u8; 200], &BUFFERED).unwrap();
        }
        if opening % 2 == 0 {
            db.compact(&family).unwrap();
        }
        for key in 0..(opening + 1) * 400 {
            let found = db.get(&family, &key.to_be_bytes(), &ReadOptions::default()).unwrap();
            assert_eq!(found.as_deref(), Some(&[(key / 400) as u8; 200][..]), "opening {opening}, key {key}");
        }
        drop(family);
        // Some are looked at as a kill would have left them.
        if opening % 3 == 0 {
            let crashed = memory.crash_clone(&mut AllKept);
            let env = Env { files: crashed, runtime: SeededRuntime::new(opening) };
            let db = Db::open_in(env, Path::new("/db"), &options(&set)).unwrap();
            let last = ((opening + 1) * 400 - 1).to_be_bytes();
            assert!(db.get(&db.default_family(), &last, &ReadOptions::default()).unwrap().is_some());
        }
        db.close(&CloseOptions::default()).unwrap();
    }
    assert!(clock.unix_nanos() < u64::MAX / 2 - 3_600_000_000_000 * 10, "the clock was looked at");
}
