//! An atomic flush: all of its files count, or none, whatever comes in between.
//!
//! Families and a table without a log, all written by the same batches: what a crash leaves of one it must leave of every one. A power cut
//! before each call of such a flush, each call failing, beside writers on real threads, beside drops, with empty memtables and
//! with some that were frozen before.
#![cfg(feature = "parquet")]

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::{AllKept, AllLost, CrashChoice, RandomSectors, TornLast};
use sstore::env::{Env, FileSystem, posix::posix};
use sstore::{CollectionId, ColumnFamily, Db, Durability, ErrorKind, IterOptions, KeyOptions, Options, ReadOptions};
use sstore::{ScanOptions, WriteBatch, WriteOptions};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const DIRECTORY: &str = "/db";

fn options(set: &[(&str, &str)]) -> Options {
    set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

fn seeded(files: Arc<dyn FileSystem>, seed: u64) -> (Env, Arc<SeededRuntime>) {
    let runtime = SeededRuntime::new(seed);
    (Env { files, runtime: runtime.clone() }, runtime)
}

/// A database with the families `a` and `b` and the table `t`, none of them logged.
struct World {
    db: Db,
    a: ColumnFamily,
    b: ColumnFamily,
    written: u64,
}

impl World {
    fn new(env: Env) -> Self {
        let db = Db::open_in(env, Path::new(DIRECTORY), &options(&[("events_bytes", "0"), ("wal_backend", "write")]))
            .unwrap();
        let unlogged = options(&[("logged", "false")]);
        let [a, b] = ["a", "b"].map(|name| db.create_column_family(name, &unlogged).unwrap());
        let columns = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
        db.create_table("t", &columns, &["id"], &KeyOptions::default(), &unlogged).unwrap();
        Self { db, a, b, written: 0 }
    }

    fn ids(&self) -> [CollectionId; 3] {
        [self.a.id(), self.b.id(), self.db.table("t").unwrap().id()]
    }

    /// One batch into each of them, and something beside it that is logged.
    fn write(&mut self) {
        self.written += 1;
        let mut batch = WriteBatch::new();
        for id in [self.a.id(), self.b.id()] {
            batch.put(id, &key(self.written), &[7; 40]).unwrap();
        }
        let rows: ArrayRef = Arc::new(Int64Array::from(vec![self.written as i64]));
        let rows = RecordBatch::try_from_iter([("id", rows)]).unwrap();
        self.db.table("t").unwrap().put_rows(&mut batch, &rows).unwrap();
        self.db.write(&batch, &WriteOptions::default()).unwrap();
        let family = self.db.default_family();
        self.db.put(&family, &key(self.written), b"logged", &WriteOptions::default()).unwrap();
    }

    fn flush(&self) -> sstore::Result<sstore::FlushResult> {
        self.db.flush_atomic(&self.ids())?.wait(None)
    }
}

fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// The numbers of the writes that a family has.
fn writes_in(db: &Db, family: &str) -> BTreeSet<u64> {
    let family = db.column_family(family).unwrap();
    let mut iterator = db.iterator(&family, IterOptions::default()).unwrap();
    let mut found = BTreeSet::new();
    let mut valid = iterator.seek_to_first().unwrap();
    while valid {
        found.insert(u64::from_be_bytes(iterator.key().try_into().unwrap()));
        valid = iterator.next().unwrap();
    }
    found
}

fn rows_in(db: &Db) -> BTreeSet<u64> {
    let table = db.table("t").unwrap();
    let mut found = BTreeSet::new();
    for batch in db.scan(&table, &ScanOptions::default(), &ReadOptions::default()).unwrap() {
        found.extend(batch.unwrap().column(0).as_primitive::<Int64Type>().values().iter().map(|id| *id as u64));
    }
    found
}

/// What a crash left: opens it, and asks for a common point.
fn common_point(left: Arc<MemFileSystem>, when: &str) -> u64 {
    let (env, _runtime) = seeded(left, 5);
    let db = Db::open_in(env, Path::new(DIRECTORY), &options(&[("events_bytes", "0")]))
        .unwrap_or_else(|error| panic!("{when}: does not open: {error}"));
    let names = db.column_families().unwrap();
    let there = |name: &str| names.iter().any(|family| family == name);
    let found = if there("a") { writes_in(&db, "a") } else { BTreeSet::new() };
    if there("b") {
        assert_eq!(found, writes_in(&db, "b"), "{when}: two families are at one point");
    }
    if db.tables().unwrap().iter().any(|name| name == "t") {
        assert_eq!(found, rows_in(&db), "{when}: a family and a table are at one point");
    }
    let last = found.last().copied().unwrap_or(0);
    assert_eq!(found.len() as u64, last, "{when}: without a hole");
    db.verify().unwrap();
    last
}

#[test]
fn after_a_crash_at_any_call_every_member_is_at_the_same_point() {
    let files = MemFileSystem::new();
    files.record_images();
    let (env, runtime) = seeded(files.clone(), 1);
    let mut world = World::new(env);
    // (call count, the write up to which all is there from then on)
    let mut promised = vec![(0, 0)];
    for round in 0..4 {
        world.write();
        if round == 2 {
            // Frozen by itself and waiting, with nothing written to it since.
            let _waits = world.db.flush(&[&world.a]).unwrap();
        }
        if round == 3 {
            let _waits = world.db.flush(&[&world.b]).unwrap();
            world.write();
        }
        let done = world.flush().unwrap();
        assert_eq!((done.files.len(), done.durable_sequence > 0), (3, true));
        promised.push((files.op_count(), world.written));
        runtime.run_some();
    }
    let images = files.take_images();
    let mut points = BTreeSet::new();
    for recorded in &images {
        let must = promised.iter().filter(|(at, _)| *at <= recorded.op).map(|(_, written)| *written).max().unwrap();
        let mut choices: [Box<dyn CrashChoice>; 4] =
            [Box::new(AllLost), Box::new(AllKept), Box::new(TornLast(7)), Box::new(RandomSectors(recorded.op))];
        for (at, choice) in choices.iter_mut().enumerate() {
            let when = format!("cut before call {} ({:?}), choice {at}", recorded.op, recorded.call);
            let found = common_point(recorded.image.crash_clone(choice.as_mut()), &when);
            assert!(found >= must, "{when}: {found}, but {must} was promised");
            assert!(promised.iter().any(|(_, written)| *written == found), "{when}: {found} is no boundary");
            points.insert(found);
        }
    }
    println!("{} calls, points {points:?}", images.len());
    assert_eq!(points.len(), promised.len(), "each was found");
}

#[test]
fn a_call_that_fails_leaves_none_of_the_files_and_the_next_try_all_of_them() {
    let flush_calls = {
        let faults = FaultFileSystem::new(MemFileSystem::new(), Vec::new());
        let mut world = World::new(seeded(faults.clone(), 1).0);
        world.write();
        let before = faults.total_count();
        world.flush().unwrap();
        faults.total_count() - before
    };
    let (mut failed, mut retried) = (0, 0);
    for (index, sticky) in (0..flush_calls).flat_map(|index| [(index, false), (index, true)]) {
        let when = format!("call {index} of {flush_calls} fails, sticky: {sticky}");
        let memory = MemFileSystem::new();
        let faults = FaultFileSystem::new(memory.clone(), Vec::new());
        let (env, runtime) = seeded(faults.clone(), 1);
        let mut world = World::new(env);
        world.write();
        faults.add(Rule { call: None, path_part: None, skip: index, sticky, effect: Effect::Error(libc::EIO) });
        let result = world.flush();
        failed += u64::from(result.is_err());
        let point = common_point(memory.crash_clone(&mut AllLost), &when);
        assert!(result.is_err() || point == world.written, "{when}: acknowledged, and lost in a crash");
        let killed = common_point(memory.crash_clone(&mut AllKept), &when);
        assert!(killed == 0 || killed == world.written, "{when}: all or none");
        faults.clear();
        if world.db.background_error().is_some_and(|error| error.kind() == ErrorKind::Poisoned) {
            continue;
        }
        if world.db.resume().is_err() {
            continue;
        }
        // What failed before goes together with what comes now, or before it, and never in part.
        world.write();
        runtime.pass(Duration::from_secs(2));
        world.flush().unwrap_or_else(|error| panic!("{when}, then again: {error}"));
        retried += u64::from(result.is_err());
        runtime.run_until_idle();
        let point = common_point(memory.crash_clone(&mut AllLost), &format!("{when}, then again"));
        assert_eq!(point, world.written, "{when}, then again");
    }
    println!("{flush_calls} calls, {failed} flushes failed, {retried} succeeded later");
    assert!(failed > 20 && retried > 20, "{failed} failed, {retried} of them succeeded later");
}

#[test]
fn a_failed_flush_is_tried_again_as_one() {
    let memory = MemFileSystem::new();
    let faults = FaultFileSystem::new(memory.clone(), Vec::new());
    let (env, runtime) = seeded(faults.clone(), 3);
    let mut world = World::new(env);
    world.write();
    memory.record_images();
    // The second of the files cannot be made, for a while.
    faults.add(Rule::once(sstore::env::Call::Create, Effect::Error(libc::EIO)).on("cf/b"));
    let error = world.flush().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "the token tells why");
    let of_a = memory.list(Path::new("/db/cf/a")).unwrap_or_default();
    assert!(of_a.is_empty(), "what was written of the others is gone: {of_a:?}");
    // By itself, a second later.
    runtime.pass(Duration::from_secs(2));
    runtime.run_until_idle();
    assert_eq!(world.db.stats().frozen_memtables, 0, "it was tried again");
    for recorded in memory.take_images() {
        for choice in [&mut AllLost as &mut dyn CrashChoice, &mut AllKept] {
            common_point(recorded.image.crash_clone(choice), "after the failure");
        }
    }
    assert_eq!(common_point(memory.crash_clone(&mut AllLost), "in the end"), 1);
}

#[test]
fn a_member_that_is_dropped_leaves_the_others_to_go_on() {
    let files = MemFileSystem::new();
    let (env, _runtime) = seeded(files.clone(), 1);
    let mut world = World::new(env);
    world.write();
    let token = world.db.flush_atomic(&world.ids()).unwrap();
    world.db.drop_column_family(&world.b).unwrap();
    let done = token.wait(None).unwrap();
    assert_eq!(done.files.len(), 2, "one of the three is gone");
    assert_eq!(common_point(files.crash_clone(&mut AllLost), "after the drop"), 1);
    let error = world.db.flush_atomic(&[world.a.id(), world.b.id()]).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Dropped);
}

#[test]
fn with_nothing_in_memory_it_is_over_at_once_and_with_one_member_it_is_a_flush() {
    let files = MemFileSystem::new();
    let (env, runtime) = seeded(files.clone(), 1);
    let mut world = World::new(env);
    let nothing = world.db.flush_atomic(&[]).unwrap().poll().expect("there is nothing to wait for").unwrap();
    assert_eq!((nothing.files.len(), nothing.entries), (0, 0));
    world.write();
    // Named twice is named once.
    let one = world.db.flush_atomic(&[world.a.id(), world.a.id()]).unwrap().wait(None).unwrap();
    assert_eq!((one.files.len(), one.entries), (1, 1));
    // One member is empty by now.
    assert_eq!(world.flush().unwrap().files.len(), 2);
    // Two at the same boundary, of other members, one of them frozen twice in between.
    world.write();
    let first = world.db.flush_atomic(&[world.a.id(), world.b.id()]).unwrap();
    let again = world.db.flush_atomic(&world.ids()).unwrap();
    world.write();
    let last = world.db.flush_atomic(&[world.b.id(), world.ids()[2]]).unwrap();
    let all = world.db.flush(&[]).unwrap();
    for token in [last, all, again, first] {
        token.wait(None).unwrap();
    }
    runtime.run_until_idle();
    assert_eq!(common_point(files.crash_clone(&mut AllLost), "in the end"), world.written);
}

/// On real threads: a writer of batches, families that come and go, and a power cut at any moment.
#[test]
fn beside_writers_and_drops_every_cut_is_at_a_common_point() {
    let files = MemFileSystem::new();
    let mut world = World::new(Env { files: files.clone(), runtime: posix().runtime });
    let (db, ids) = (world.db.clone(), world.ids());
    let (stop, flushed) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut cuts = Vec::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                world.write();
            }
            world.written
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let guest = db.create_column_family("guest", &options(&[("logged", "false")])).unwrap();
                db.put(&guest, b"k", b"v", &WriteOptions { durability: Some(Durability::Buffered), no_stall: false })
                    .unwrap();
                let token = db.flush_atomic(&[ids[0], guest.id(), ids[2], ids[1]]).unwrap();
                db.drop_column_family(&guest).unwrap();
                token.wait(None).unwrap();
                flushed.store(true, Ordering::Relaxed);
            }
        });
        for _ in 0..40 {
            db.flush_atomic(&ids).unwrap().wait(None).unwrap();
            cuts.push(files.crash_clone(&mut AllLost));
            std::thread::sleep(Duration::from_millis(3));
            cuts.push(files.crash_clone(&mut AllKept));
        }
        stop.store(true, Ordering::Relaxed);
        assert!(writer.join().unwrap() > 40);
    });
    assert!(flushed.load(Ordering::Relaxed));
    let points: BTreeSet<u64> = cuts.into_iter().map(|cut| common_point(cut, "beside writers")).collect();
    println!("points {points:?}");
    assert!(points.len() > 10, "the cuts are at many points: {points:?}");
    assert!(db.background_error().is_none());
}
