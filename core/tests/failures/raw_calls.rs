//! Calls of the kernel that a signal interrupts, or that do less than they were asked, on real files: nobody above `env::posix` notices.
//!
//! A script of writes, flushes, a merge, reads, a table and a reopening runs on files of the system. Each read, write and reservation in it is
//! interrupted, once; each read and write handles a single byte; then every one of them. No verb may fail, and all that was written must be
//! there. A write that handles nothing at all, again and again or once, is an error and never a loop without end.
#![cfg(feature = "parquet")]

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use sstore::env::Env;
use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{RawEffect, RawFaults};
use sstore::env::posix::{Kernel, PosixFileSystem, RawCalls};
use sstore::{
    CloseOptions, Db, Durability, EventKind, KeyOptions, Options, ReadOptions, Result, ScanOptions, WriteOptions,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A folder in memory, where there is such a place: what is tried here does not depend on the disk.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

struct World {
    env: Env,
    runtime: Arc<SeededRuntime>,
    options: Options,
    /// Background errors that were told.
    told: Arc<AtomicU64>,
}

impl World {
    fn new(calls: impl RawCalls, backend: &str) -> Self {
        let set = [("write_buffer_bytes", "16KiB"), ("wal_segment_bytes", "64KiB"), ("wal_backend", backend)];
        let mut options = set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
        let told: Arc<AtomicU64> = Arc::default();
        let count = told.clone();
        options.set_listener(Arc::new(move |event| {
            count.fetch_add(u64::from(event.kind == EventKind::BackgroundError), Ordering::Relaxed);
        }));
        let runtime = SeededRuntime::new(7);
        let env = Env { files: Arc::new(PosixFileSystem::new(calls)), runtime: runtime.clone() };
        Self { env, runtime, options, told }
    }

    fn open(&self, path: &Path) -> Result<Db> {
        Db::open_in(self.env.clone(), path, &self.options)
    }

    /// Writes key by key; gives those that were acknowledged to `wrote`.
    fn script(&self, db: &Db, wrote: &mut Vec<u8>) -> Result<()> {
        let family = db.default_family();
        for round in 0..2 {
            for number in 0..12 {
                let key = round * 6 + number;
                let durability = Some(if number % 6 == 1 { Durability::Sync } else { Durability::Buffered });
                db.put(&family, &[key], &[key; 900], &WriteOptions { durability, no_stall: false })?;
                wrote.push(key);
            }
            db.flush(&[])?.wait(None)?;
            self.runtime.run_until_idle();
        }
        db.compact(&family)?;
        let columns = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
        let table = db.create_table("rows", &columns, &["id"], &KeyOptions::default(), &self.options)?;
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let rows = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        db.append(&table, &rows, &WriteOptions::default())?;
        db.flush(&[])?.wait(None)?;
        db.put(&family, b"last", b"in the log", &WriteOptions::default())?;
        Ok(())
    }

    /// The script, a closing and a reopening: nobody notices anything.
    fn nobody_notices(&self) -> Result<()> {
        let folder = folder();
        let mut wrote = Vec::new();
        let db = self.open(folder.path())?;
        self.script(&db, &mut wrote)?;
        db.close(&CloseOptions { flush: Some(false), ..CloseOptions::default() })?;
        let db = self.open(folder.path())?;
        all_is_there(&db, &wrote);
        let last = db.get(&db.default_family(), b"last", &ReadOptions::default())?;
        assert_eq!(last.as_deref(), Some(&b"in the log"[..]));
        let mut rows = 0;
        for batch in db.scan(&db.table("rows")?, &ScanOptions::default(), &ReadOptions::default())? {
            rows += batch?.num_rows();
        }
        assert_eq!(rows, 100);
        db.verify()?;
        db.close(&CloseOptions::default())?;
        assert_eq!(self.told.load(Ordering::Relaxed), 0, "a job failed in the background");
        Ok(())
    }
}

fn all_is_there(db: &Db, wrote: &[u8]) {
    for &key in wrote {
        let found = db.get(&db.default_family(), &[key], &ReadOptions::default()).unwrap();
        assert_eq!(found.as_deref(), Some(&[key; 900][..]), "write {key} was acknowledged");
    }
}

const BACKENDS: [&str; 2] = ["write", "mapped"];

/// Runs `case` for each call of the script, on two threads.
fn for_each_call(case: impl Fn(&'static str, u64) + Sync) {
    for backend in BACKENDS {
        let counted = RawFaults::none();
        World::new(counted.clone(), backend).nobody_notices().unwrap();
        assert!(counted.calls() > 60, "only {} calls", counted.calls());
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed) as u64;
                        if index >= counted.calls() {
                            break;
                        }
                        case(backend, index);
                    }
                });
            }
        });
        println!("{backend}: {} calls", counted.calls());
    }
}

#[test]
fn a_call_that_is_interrupted_or_cut_short_goes_on() {
    for_each_call(|backend, index| {
        for effect in [RawEffect::Interrupted, RawEffect::Short(1)] {
            let faults = RawFaults::once(index, effect);
            let outcome = World::new(faults.clone(), backend).nobody_notices();
            outcome.unwrap_or_else(|error| panic!("{effect:?} at call {index} with {backend}: {error}"));
            assert_eq!(faults.hits(), 1, "call {index} was not reached");
        }
    });
}

#[test]
fn calls_that_are_all_interrupted_or_cut_short_go_on() {
    for backend in BACKENDS {
        for faults in [
            RawFaults::each(2, RawEffect::Interrupted),
            RawFaults::each(1, RawEffect::Short(7)),
            RawFaults::each(1, RawEffect::Short(4095)),
        ] {
            World::new(faults.clone(), backend).nobody_notices().unwrap();
            assert!(faults.hits() > 60, "only {} calls were hit", faults.hits());
        }
    }
}

#[test]
fn a_write_that_handles_nothing_is_an_error_and_no_loop() {
    let failed = AtomicU64::new(0);
    for_each_call(|backend, index| {
        let folder = folder();
        let mut wrote = Vec::new();
        let world = World::new(RawFaults::once(index, RawEffect::Short(0)), backend);
        let outcome = world.open(folder.path()).and_then(|db| {
            world.script(&db, &mut wrote)?;
            db.close(&CloseOptions::default())
        });
        failed.fetch_add(u64::from(outcome.is_err()), Ordering::Relaxed);
        let db = World::new(Kernel, backend).open(folder.path()).unwrap();
        all_is_there(&db, &wrote);
        db.verify().unwrap();
    });
    assert!(failed.load(Ordering::Relaxed) > 0, "no verb told of it");
    let faults = RawFaults::each(1, RawEffect::Short(0));
    assert!(World::new(faults, "write").open(folder().path()).is_err());
}
