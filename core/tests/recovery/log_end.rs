//! How far the log must go: what the manifest, and marks in an idle log, say of its end - and that they never say too much.
//!
//! Everything runs on files in memory and the seeded executor. `damage.rs` goes over every byte and `crash.rs` over every call; here
//! each way in which the log's end and the manifest could disagree stands by itself.

use sstore::env::executor::SeededRuntime;
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::{AllKept, AllLost, CrashChoice, TornLast};
use sstore::env::{Env, FileSystem, Runtime};
use sstore::key::LogPosition;
use sstore::version::{Manifest, VersionState};
use sstore::{CloseOptions, Db, Durability, Error, ErrorKind, Options, ReadOptions, WriteOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const BACKENDS: [&str; 2] = ["mapped", "write"];
const SYNC: WriteOptions = WriteOptions { durability: Some(Durability::Sync), no_stall: false };
const BUFFERED: WriteOptions = WriteOptions { durability: Some(Durability::Buffered), no_stall: false };

struct World {
    files: Arc<MemFileSystem>,
    runtime: Arc<SeededRuntime>,
    options: Options,
}

impl World {
    fn new(files: Arc<MemFileSystem>, backend: &str) -> Self {
        let options = Options::new().with("wal_backend", backend).unwrap();
        let options = options.with("flush_on_close", "false").unwrap();
        Self { files, runtime: SeededRuntime::new(5), options }
    }

    fn fresh(backend: &str) -> Self {
        Self::new(MemFileSystem::new(), backend)
    }

    fn env(&self) -> Env {
        Env { files: self.files.clone(), runtime: self.runtime.clone() }
    }

    fn open(&self) -> Result<Db, Error> {
        Db::open_in(self.env(), Path::new("/db"), &self.options)
    }

    /// The same files after a power cut or a kill.
    fn left_by(&self, choice: &mut dyn CrashChoice) -> Self {
        let files = self.files.crash_clone(choice);
        Self { files, runtime: SeededRuntime::new(6), options: self.options.clone() }
    }

    fn state(&self) -> VersionState {
        Manifest::read(&self.env(), Path::new("/db")).unwrap().unwrap().0
    }

    fn position(&self) -> LogPosition {
        self.state().log_durable.unwrap()
    }

    fn segment(&self, position: LogPosition) -> PathBuf {
        Path::new("/db/wal").join(sstore::wal::segment_name(position.segment))
    }

    fn bytes(&self, path: &Path) -> Vec<u8> {
        let file = self.files.open(path).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(&mut bytes, 0).unwrap();
        bytes
    }

    /// Ends a file at `kept`, or goes on from there with zeros, up to `len`.
    fn cut(&self, path: &Path, kept: u64, len: u64) {
        let mut bytes = self.bytes(path);
        bytes.truncate(kept as usize);
        bytes.resize(len as usize, 0);
        self.files.remove(path).unwrap();
        self.files.create(path).unwrap().write_at(&bytes, 0).unwrap();
    }

    /// Where a log segment's records end.
    fn used(&self, path: &Path) -> u64 {
        let bytes = self.bytes(path);
        let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);
        used.next_multiple_of(8)
    }
}

fn put(db: &Db, keys: std::ops::Range<u32>, options: &WriteOptions) {
    for key in keys {
        db.put(&db.default_family(), &key.to_be_bytes(), b"value", options).unwrap();
    }
}

/// How many keys from 0 on are there; none may be behind a hole.
fn count(db: &Db) -> u32 {
    let there = |key: u32| db.get(&db.default_family(), &key.to_be_bytes(), &ReadOptions::default()).unwrap().is_some();
    let count = (0..).take_while(|key| there(*key)).count() as u32;
    assert!((count..count + 50).all(|key| !there(key)), "a hole");
    count
}

fn close(db: &Db) {
    db.close(&CloseOptions::default()).unwrap();
}

fn flush(db: &Db) {
    db.flush(&[]).unwrap().wait(None).unwrap();
}

fn refused(world: &World, path: &Path, offset: u64) {
    let error = world.open().err().unwrap_or_else(|| panic!("{} opened", path.display()));
    assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
    assert_eq!((error.path(), error.offset()), (Some(path), Some(offset)), "{error}");
}

#[test]
fn a_closed_log_that_lost_whole_records_is_refused() {
    for backend in BACKENDS {
        let world = World::fresh(backend);
        let db = world.open().unwrap();
        let mut ends = Vec::new();
        put(&db, 0..1, &BUFFERED);
        let (segment, number) = {
            let active = world.position();
            (world.segment(active), active.segment)
        };
        for key in 1..6 {
            ends.push(world.used(&segment));
            put(&db, key..key + 1, &BUFFERED);
        }
        ends.push(world.used(&segment));
        close(&db);
        let end = world.position();
        let len = world.files.file_len(&segment).unwrap().unwrap();
        assert_eq!((end.segment, end.offset), (number, len), "the manifest names the end of the file");
        assert_eq!(count(&world.left_by(&mut AllLost).open().unwrap()), 6);
        for &boundary in &ends {
            let cut = world.left_by(&mut AllKept);
            cut.cut(&segment, boundary, boundary);
            refused(&cut, &segment, boundary);
            // Zeros instead of an end are the same.
            cut.cut(&segment, boundary, len);
            refused(&cut, &segment, boundary);
        }
        let gone = world.left_by(&mut AllKept);
        gone.cut(&segment, 64, 64);
        refused(&gone, &segment, 0);
        gone.files.remove(&segment).unwrap();
        refused(&gone, &segment, 0);
    }
}

#[test]
fn an_idle_log_that_is_killed_tells_damage_from_a_torn_end() {
    for backend in BACKENDS {
        let world = World::fresh(backend);
        let db = world.open().unwrap();
        put(&db, 0..5, &SYNC);
        let segment = world.segment(world.position());
        let last = world.used(&segment);
        put(&db, 5..6, &SYNC);
        let busy = world.left_by(&mut AllKept);
        world.runtime.sleep(Duration::from_secs(3));
        let idle = world.left_by(&mut AllKept);
        assert!(idle.used(&segment) > busy.used(&segment));
        // Byte 4 of the record's header, its length.
        busy.files.damage(&segment, last + 4, &[0xff]).unwrap();
        idle.files.damage(&segment, last + 4, &[0xff]).unwrap();
        assert_eq!(count(&busy.open().unwrap()), 5, "without a mark nothing tells");
        refused(&idle, &segment, last);
        // The database goes on as if nothing was.
        put(&db, 6..8, &BUFFERED);
        assert_eq!(count(&world.left_by(&mut AllKept).open().unwrap()), 8);
        assert_eq!(count(&world.left_by(&mut AllLost).open().unwrap()), 6);
        assert_eq!(db.stats().sequence, 8, "a mark takes no sequence");
        close(&db);
        assert_eq!(count(&world.open().unwrap()), 8);
    }
}

#[test]
fn an_edit_says_what_was_durable_and_not_more() {
    for backend in BACKENDS {
        let world = World::fresh(backend);
        let db = world.open().unwrap();
        let opened = world.position();
        let segment = world.segment(opened);
        put(&db, 0..4, &SYNC);
        let synced = world.used(&segment);
        put(&db, 4..6, &BUFFERED);
        db.create_column_family("other", &world.options).unwrap();
        assert_eq!(world.position(), LogPosition { offset: synced, ..opened });
        let cut = world.left_by(&mut AllLost);
        assert_eq!(count(&cut.open().unwrap()), 4, "the buffered ones may be lost");
        // The synced ones may not, although no record tells of their sync any more.
        let damaged = world.left_by(&mut AllKept);
        damaged.cut(&segment, opened.offset, opened.offset);
        refused(&damaged, &segment, opened.offset);
    }
}

/// A flush does not sync the log where no other family holds unflushed records. The log is then shorter than the files are new.
#[test]
fn a_flush_without_a_sync_asks_nothing_of_the_log() {
    for backend in BACKENDS {
        let world = World::fresh(backend);
        let db = world.open().unwrap();
        put(&db, 0..3, &SYNC);
        put(&db, 3..10, &BUFFERED);
        flush(&db);
        for choice in [&mut AllLost as &mut dyn CrashChoice, &mut AllKept, &mut TornLast(9)] {
            let left = world.left_by(choice);
            let db = left.open().unwrap();
            assert_eq!(count(&db), 10);
            put(&db, 10..11, &SYNC);
            assert_eq!(count(&left.left_by(&mut AllLost).open().unwrap()), 11);
        }
        // The segment that was synced is below the floor and gone; of the new one not even BEGIN needs to be there.
        assert!(world.state().log_floor > world.position().segment);
        let left = world.left_by(&mut AllLost);
        let floor = left.segment(LogPosition { segment: world.state().log_floor, offset: 0 });
        left.cut(&floor, 64, 64);
        assert_eq!(count(&left.open().unwrap()), 10);
    }
}

#[test]
fn families_without_a_log_ask_nothing_of_it() {
    for backend in BACKENDS {
        let world = World::fresh(backend);
        let db = world.open().unwrap();
        let bare = db.create_column_family("bare", &world.options.clone().with("logged", "false").unwrap()).unwrap();
        put(&db, 0..3, &SYNC);
        for key in 0..100_u32 {
            db.put(&bare, &key.to_be_bytes(), b"value", &BUFFERED).unwrap();
        }
        db.flush(&[&bare]).unwrap().wait(None).unwrap();
        assert!(world.state().last_sequence > 100);
        for choice in [&mut AllLost as &mut dyn CrashChoice, &mut AllKept] {
            assert_eq!(count(&world.left_by(choice).open().unwrap()), 3);
        }
        drop(bare);
        close(&db);
        for _ in 0..3 {
            let db = world.open().unwrap();
            assert_eq!(count(&db), 3);
            close(&db);
        }
        // Nothing logged at all.
        let world = World { options: world.options.clone().with("logged", "false").unwrap(), ..World::fresh(backend) };
        for _ in 0..3 {
            let db = world.open().unwrap();
            put(&db, 0..3, &BUFFERED);
            close(&db);
            assert_eq!(count(&world.left_by(&mut AllLost).open().unwrap()), 3);
        }
    }
}

/// What is replayed lies in a new log, or in files: the manifest that says so speaks of the new log.
#[test]
fn a_recovery_states_the_position_anew() {
    for (backend, value_bytes) in [("mapped", 10), ("write", 10), ("mapped", 200_000), ("write", 200_000)] {
        let world = World::fresh(backend);
        let db = world.open().unwrap();
        let write = |db: &Db, key: u32| {
            db.put(&db.default_family(), &key.to_be_bytes(), &vec![7; value_bytes], &SYNC).unwrap();
        };
        (0..30).for_each(|key| write(&db, key));
        let mut before = world.position();
        let mut left = world.left_by(&mut AllKept);
        for round in 0..3 {
            let db = left.open().unwrap();
            assert_eq!(count(&db), 30 + round);
            let now = left.position();
            assert!(now.segment > before.segment && now.segment >= left.state().log_floor);
            // It must be there from now on.
            let lost = left.left_by(&mut AllKept);
            let segment = lost.segment(now);
            lost.cut(&segment, 64, 64);
            refused(&lost, &segment, 0);
            write(&db, 30 + round);
            before = now;
            left = if round == 1 { left.left_by(&mut AllLost) } else { left.left_by(&mut AllKept) };
        }
    }
}

#[test]
fn a_torn_end_is_cut_and_the_next_position_is_of_the_new_log() {
    for backend in BACKENDS {
        let world = World::fresh(backend);
        let db = world.open().unwrap();
        put(&db, 0..4, &SYNC);
        let segment = world.segment(world.position());
        let synced = world.used(&segment);
        put(&db, 4..8, &BUFFERED);
        let torn = world.left_by(&mut AllKept);
        // Inside the first record that nothing knows to be durable.
        torn.files.damage(&segment, synced + 40, &[0xee, 0xee]).unwrap();
        let db = torn.open().unwrap();
        assert_eq!(count(&db), 4);
        let cut = torn.state().cut.unwrap();
        assert_eq!((cut.offset, cut.sequence), (synced, 4));
        assert!(torn.position().segment > cut.segment);
        put(&db, 4..5, &SYNC);
        for choice in [&mut AllLost as &mut dyn CrashChoice, &mut AllKept] {
            assert_eq!(count(&torn.left_by(choice).open().unwrap()), 5);
        }
        close(&db);
        assert_eq!(count(&torn.open().unwrap()), 5);
    }
}

#[test]
fn a_reader_beside_the_writer_sees_no_damage() {
    for backend in BACKENDS {
        let world = World::fresh(backend);
        let db = world.open().unwrap();
        let reader = World {
            files: world.files.clone(),
            runtime: SeededRuntime::new(7),
            options: world.options.clone().with("read_only", "true").unwrap(),
        };
        let look = |expected: u32| assert_eq!(count(&reader.open().unwrap()), expected);
        look(0);
        put(&db, 0..3, &BUFFERED);
        look(3);
        put(&db, 3..5, &SYNC);
        world.runtime.sleep(Duration::from_secs(3));
        look(5);
        let other = db.create_column_family("other", &world.options).unwrap();
        db.put(&other, b"key", b"value", &BUFFERED).unwrap();
        look(5);
        flush(&db);
        look(5);
        put(&db, 5..8, &BUFFERED);
        db.flush(&[&other]).unwrap().wait(None).unwrap();
        look(8);
        drop(other);
        close(&db);
        look(8);
        let db = world.open().unwrap();
        look(8);
        put(&db, 8..9, &BUFFERED);
        look(9);
    }
}

#[test]
fn a_flushed_and_closed_database_needs_no_old_log() {
    for backend in BACKENDS {
        let world = World::fresh(backend);
        for round in 0..3 {
            let db = world.open().unwrap();
            put(&db, round * 4..round * 4 + 4, &SYNC);
            flush(&db);
            if round == 1 {
                put(&db, 8..9, &BUFFERED);
                flush(&db);
            }
            db.close(&CloseOptions { flush: Some(true), ..CloseOptions::default() }).unwrap();
            let logs: Vec<String> = world.files.list(Path::new("/db/wal")).unwrap();
            assert_eq!(logs.len(), 1, "{logs:?}");
            assert_eq!(world.position().segment, world.state().log_floor);
        }
        assert_eq!(count(&world.open().unwrap()), 12);
    }
}
