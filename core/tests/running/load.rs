//! Under load: the memory budget over all families, delays before stops, the end of every wait, the limit of the log. On the seeded
//! executor, where background work runs only while somebody waits or asks, but for what needs threads.

use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::{Call, Env, FileSystem};
use sstore::{
    CloseOptions, ColumnFamily, Db, ErrorKind, Event, EventKind, IterOptions, Options, ReadOptions, WriteOptions,
};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const DEFAULT: WriteOptions = WriteOptions { durability: None, no_stall: false };
const NO_STALL: WriteOptions = WriteOptions { durability: None, no_stall: true };

struct World {
    files: Arc<MemFileSystem>,
    faults: Arc<FaultFileSystem>,
    runtime: Arc<SeededRuntime>,
    db: Db,
    family: ColumnFamily,
    events: Arc<Mutex<Vec<Event>>>,
}

fn options(set: &[(&str, &str)]) -> Options {
    set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

fn world(seed: u64, set: &[(&str, &str)]) -> World {
    let files = MemFileSystem::new();
    let faults = FaultFileSystem::new(files.clone(), Vec::new());
    let runtime = SeededRuntime::new(seed);
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let sink = events.clone();
    let mut options = options(set);
    options.set_listener(Arc::new(move |event| sink.lock().unwrap().push(event.clone())));
    let env = Env { files: faults.clone() as Arc<dyn FileSystem>, runtime: runtime.clone() };
    let db = Db::open_in(env, Path::new("/db"), &options).unwrap();
    let family = db.default_family();
    World { files, faults, runtime, db, family, events }
}

impl World {
    fn put(&self, index: usize, bytes: usize) -> sstore::Result<u64> {
        self.put_as(index, bytes, &DEFAULT)
    }

    fn put_as(&self, index: usize, bytes: usize, options: &WriteOptions) -> sstore::Result<u64> {
        self.db.put(&self.family, &(index as u64).to_be_bytes(), &vec![b'v'; bytes], options)
    }

    /// Puts until one is refused; how many were made.
    fn put_until_refused(&self, from: usize, bytes: usize) -> (usize, sstore::Error) {
        for index in from..from + 1_000_000 {
            if let Err(error) = self.put_as(index, bytes, &NO_STALL) {
                return (index, error);
            }
        }
        panic!("it never stalls");
    }

    fn counter(&self, name: &str) -> u64 {
        self.db.stats().counters.iter().find(|(other, _)| *other == name).unwrap().1
    }

    /// The details of the events of a kind, in order.
    fn details(&self, kind: EventKind) -> Vec<String> {
        self.runtime.run_until_idle();
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| event.kind == kind).map(|event| event.detail.clone()).collect()
    }
}

const BUDGET: [(&str, &str); 2] = [("memory_budget_bytes", "4MiB"), ("write_buffer_bytes", "64MiB")];

#[test]
fn fifty_families_together_stay_within_the_budget() {
    for seed in 1..4 {
        let world = world(seed, &BUDGET);
        let families: Vec<ColumnFamily> =
            (0..50).map(|at| world.db.create_column_family(&format!("f{at}"), &Options::new()).unwrap()).collect();
        let mut most = 0;
        for index in 0..30_000_u64 {
            // Some families get ten times as many writes as others.
            let scattered = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
            let family = &families[(scattered % if scattered % 3 == 0 { 50 } else { 5 }) as usize];
            world.db.put(family, &scattered.to_be_bytes(), &[7; 300], &DEFAULT).unwrap();
            if index % 16 == 0 {
                let held = world.db.memory_use();
                let memtables = held.active_memtable_bytes + held.frozen_memtable_bytes + held.pinned_memtable_bytes;
                // A quarter more is how a memtable grows: the step that passes the limit is not known before.
                let limit = held.memtable_share_bytes + held.memtable_share_bytes / 8;
                assert!(memtables + held.spare_bytes <= limit, "seed {seed}, write {index}: {held:?}");
                assert!(held.total_bytes() <= held.budget_bytes, "seed {seed}, write {index}: {held:?}");
                most = most.max(memtables);
                world.runtime.run_some();
            }
        }
        let (flushes, freezes) = (world.counter("flushes"), world.counter("memory_freezes"));
        assert!(freezes > 5 && world.details(EventKind::FlushDone).iter().any(|why| why == "memory_budget"));
        assert!(most > 1 << 20, "half of the share is used before anything is flushed: {most}");
        // Some twelve megabytes, from memtables of half of the mean of fifty at least.
        assert!(flushes < 300, "{flushes} flushes are too many small ones");
        world.db.close(&CloseOptions::default()).unwrap();
    }
}

#[test]
fn a_log_longer_than_memory_is_replayed_within_the_budget() {
    let files = MemFileSystem::new();
    let open = |set: &[(&str, &str)]| {
        let env = Env { files: files.clone() as Arc<dyn FileSystem>, runtime: SeededRuntime::new(1) };
        Db::open_in(env, Path::new("/db"), &options(set)).unwrap()
    };
    let db = open(&[("flush_on_close", "false")]);
    let other = db.create_column_family("other", &Options::new()).unwrap();
    for index in 0..20_000_u64 {
        let family = if index % 10 == 0 { &other } else { &db.default_family() };
        db.put(family, &index.to_be_bytes(), &[1; 300], &DEFAULT).unwrap();
    }
    drop((db, other));
    let db = open(&BUDGET);
    let held = db.memory_use();
    assert!(held.total_bytes() <= held.budget_bytes, "{held:?}");
    assert!(db.segments(&db.default_family()).unwrap().len() > 2, "in files, before all of it was read");
    let other = db.column_family("other").unwrap();
    for index in 0..20_000_u64 {
        let family = if index % 10 == 0 { &other } else { &db.default_family() };
        let found = db.get(family, &index.to_be_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(found.as_deref(), Some(&[1; 300][..]), "{index}");
    }
    db.close(&CloseOptions::default()).unwrap();
}

/// Rows count as well: they lie in memory of their own, beside the blocks that entries are written to.
#[cfg(feature = "arrow")]
#[test]
fn tables_and_families_share_the_budget() {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    let world = world(6, &BUDGET);
    let batch = |from: i64| {
        let ids: Vec<i64> = (from..from + 200).collect();
        let names: StringArray = ids.iter().map(|id| Some(format!("a name of some length {id}"))).collect();
        let columns = [("id", Arc::new(Int64Array::from(ids)) as ArrayRef), ("name", Arc::new(names))];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let schema = batch(0).schema();
    let key = sstore::KeyOptions::default();
    let create = |at: usize| world.db.create_table(&format!("t{at}"), &schema, &["id"], &key, &Options::new()).unwrap();
    let tables: Vec<sstore::Table> = (0..10).map(create).collect();
    for index in 0..1000_usize {
        world.db.append(&tables[index * 7 % 10], &batch(index as i64 * 100), &DEFAULT).unwrap();
        world.put(index, 1000).unwrap();
        let held = world.db.memory_use();
        let memtables = held.active_memtable_bytes + held.frozen_memtable_bytes + held.pinned_memtable_bytes;
        let limit = held.memtable_share_bytes + held.memtable_share_bytes / 8;
        assert!(memtables + held.spare_bytes <= limit, "write {index}: {held:?}");
        world.runtime.run_some();
    }
    let flushed = tables.iter().filter(|table| !world.db.table_segments(table).unwrap().is_empty()).count();
    assert!(flushed == 10 && world.counter("memory_freezes") > 5, "{flushed} tables were flushed");
    world.db.close(&CloseOptions::default()).unwrap();
}

#[test]
fn a_thousand_idle_families_stay_cheap() {
    let world = world(5, &[]);
    let families: Vec<ColumnFamily> =
        (0..1000).map(|at| world.db.create_column_family(&format!("f{at}"), &Options::new()).unwrap()).collect();
    let idle = world.db.memory_use().total_bytes();
    assert!(idle < 2 << 20, "{idle} bytes for nothing");
    for family in &families {
        world.db.put(family, b"key", b"value", &DEFAULT).unwrap();
    }
    let used = world.db.memory_use().total_bytes();
    assert!(used < 16 << 20, "{used} bytes for a thousand keys");
    assert_eq!(world.counter("memory_freezes"), 0);
}

#[test]
fn one_family_alone_stops_at_the_budget_and_goes_on() {
    let world = world(7, &BUDGET);
    // Nothing runs in the background unless somebody waits.
    let (made, error) = world.put_until_refused(0, 1000);
    assert_eq!(error.kind(), ErrorKind::Stalled);
    let held = world.db.memory_use();
    assert!(held.frozen_memtable_bytes > 0, "a flush is on its way: {held:?}");
    for index in made..made + 20_000 {
        world.put(index, 1000).unwrap();
    }
    assert!(world.counter("memory_freezes") > 2);
    assert_eq!(world.counter("stalls_frozen_memtables"), 0, "the family's own limits were never reached");
    assert!(world.counter("delays_flush_debt") > 0, "small delays come first");
}

#[test]
fn a_stop_for_memory_begins_and_ends_with_its_events() {
    let world = world(8, &BUDGET);
    // More at once than there is room: no delay can be in time for it.
    for index in 0..6 {
        world.put(index, 1 << 20).unwrap();
    }
    assert!(world.counter("stalls_memory_budget") > 0);
    assert_eq!(
        world.counter("stalls"),
        world.counter("stalls_memory_budget") + world.counter("stalls_frozen_memtables")
    );
    let (begun, ended) = (world.details(EventKind::StallBegin), world.details(EventKind::StallEnd));
    let of = |all: &[String]| all.iter().filter(|detail| *detail == "memory_budget").count() as u64;
    assert_eq!(
        (of(&begun), of(&ended)),
        (world.counter("stalls_memory_budget"), world.counter("stalls_memory_budget"))
    );
    assert!(world.counter("stall_micros") > 0);
}

#[test]
fn delays_come_before_the_stop_and_end_with_the_debt() {
    let world = world(9, &[("write_buffer_bytes", "256KiB")]);
    let mut index = 0;
    while world.db.stats().frozen_memtables < 2 {
        world.put(index, 500).unwrap();
        index += 1;
    }
    assert_eq!(
        world.counter("delays_flush_debt"),
        0,
        "a memtable that is filled while one is flushed is how it should be"
    );
    let (refused_at, error) = world.put_until_refused(index, 500);
    assert_eq!(error.kind(), ErrorKind::Stalled);
    assert!(error.message().contains("delayed"), "{error}");
    assert_eq!(world.counter("stalls"), 0, "no stop");
    assert!(world.counter("delays_flush_debt") > 0);
    // Who may wait does, while the flushes run.
    for index in refused_at..refused_at + 100 {
        world.put(index, 500).unwrap();
    }
    world.runtime.run_until_idle();
    assert_eq!(world.db.stats().frozen_memtables, 0);
    assert_eq!(world.details(EventKind::StallBegin), ["flush_debt"]);
    assert_eq!(world.details(EventKind::StallEnd).into_iter().filter(|why| why != "log_segment").count(), 1);
    let delays = world.counter("delays_flush_debt");
    for index in 0..100 {
        world.put_as(index, 500, &NO_STALL).unwrap();
    }
    assert_eq!(world.counter("delays_flush_debt"), delays, "nothing is owed any more");
}

#[test]
fn a_flush_that_fails_ends_every_wait_with_its_error() {
    for (set, bytes) in [(&BUDGET[..], 200_000), (&[("write_buffer_bytes", "64KiB")], 500)] {
        let world = world(10, set);
        world.faults.add(Rule::once(Call::Create, Effect::Error(libc::EIO)).on(".sst").sticky());
        let error = (0..100_000).find_map(|index| world.put(index, bytes).err()).expect("it stops");
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.message().contains("flushes fail") && error.message().contains("injected"), "{error}");
        let background = world.db.background_error().expect("it is told");
        assert!(background.message().contains("injected"), "{background}");
        assert!(world.db.get(&world.family, &0_u64.to_be_bytes(), &ReadOptions::default()).unwrap().is_some());
        // And when the cause is gone, so is the error, by itself.
        world.faults.clear();
        world.runtime.pass(Duration::from_secs(2));
        world.runtime.run_until_idle();
        assert!(world.db.background_error().is_none());
        world.put(0, bytes).unwrap();
        world.db.close(&CloseOptions::default()).unwrap();
    }
}

#[test]
fn an_iterator_over_flushed_memtables_does_not_stop_writers() {
    let world = world(11, &BUDGET);
    let mut held = Vec::new();
    for index in 0..20_000 {
        world.put(index, 1000).unwrap();
        if index % 300 == 0 {
            let mut iterator = world.db.iterator(&world.family, IterOptions::default()).unwrap();
            iterator.seek_to_first().unwrap();
            held.push(iterator);
        }
    }
    let used = world.db.memory_use();
    assert!(used.pinned_memtable_bytes > used.memtable_share_bytes, "what readers keep is counted: {used:?}");
    let room = used.memtable_share_bytes / 4;
    let unflushed = used.active_memtable_bytes + used.frozen_memtable_bytes;
    assert!(unflushed <= room + room / 2, "writers have a quarter left: {used:?}");
    drop(held);
    world.put(0, 1000).unwrap();
    world.runtime.run_until_idle();
    assert!(world.db.memory_use().pinned_memtable_bytes < 1 << 16);
}

#[test]
fn merges_that_are_behind_delay_writers_and_never_stop_them() {
    let world = world(12, &[("write_buffer_bytes", "1MiB"), ("compaction_trigger_runs", "11")]);
    // No merge gets its file, every flush does.
    let mut index = 0;
    for _ in 0..11 {
        world.put(index, 15 << 18).unwrap();
        index += 1;
        world.db.flush(&[]).unwrap().wait(None).unwrap();
        world.files.set_capacity_bytes(Some(70 << 20));
    }
    world.runtime.run_until_idle();
    assert!(world.db.background_error().is_some_and(|error| error.kind() == ErrorKind::NoSpace), "merges fail");
    for _ in 0..8 {
        world.put(index, 1000).unwrap();
        index += 1;
    }
    assert!(world.counter("delays_merge_debt") > 0);
    assert_eq!(world.counter("stalls"), 0);
    world.db.flush(&[]).unwrap().wait(None).unwrap();
    assert!(world.db.background_error().is_some(), "a flush that succeeds says nothing of merges");
    // Space comes back: the merge is made by itself, and nobody is held up any more.
    world.files.set_capacity_bytes(None);
    world.runtime.pass(Duration::from_secs(2));
    world.runtime.run_until_idle();
    assert!(world.db.background_error().is_none());
    assert_eq!(world.db.segments(&world.family).unwrap().len(), 1);
    assert_eq!(world.details(EventKind::StallEnd).last().map(String::as_str), Some("merge_debt"));
}

#[test]
fn the_limit_of_the_log_binds_with_one_family_and_names_it() {
    let world = world(13, &[("wal_total_bytes", "1MiB")]);
    let mut longest = 0;
    for index in 0..8_000 {
        world.put(index, 1000).unwrap();
        longest = longest.max(world.db.stats().log_bytes);
        if index == 100 {
            let pin = world.db.log_pin().unwrap();
            assert_eq!((pin.collection.as_str(), pin.sequence, pin.is_frozen), ("default", 1, false));
        }
        world.runtime.run_until_idle();
    }
    assert!(longest < (1 << 20) + (512 << 10), "the limit and a segment: {longest}");
    assert!(world.counter("log_freezes") > 4);
    let sealed = world.details(EventKind::MemtableSealed);
    assert!(sealed.iter().any(|why| why.starts_with("log_full segment=")), "{sealed:?}");
    assert!(world.events.lock().unwrap().iter().any(|event| {
        event.kind == EventKind::MemtableSealed && event.detail.contains("log_full") && event.collection == "default"
    }));
    world.db.flush(&[]).unwrap().wait(None).unwrap();
    assert_eq!(world.db.log_pin(), None);
}

/// Writers on threads of their own, and flushes that take their time.
fn slow_flushes(set: &[(&str, &str)], path: &Path) -> Db {
    let posix = sstore::env::posix::posix();
    let slow = Rule::once(Call::SyncData, Effect::Delay(Duration::from_millis(300))).on(".sst").sticky();
    let env = Env { files: FaultFileSystem::new(posix.files, vec![slow]), runtime: posix.runtime };
    Db::open_in(env, path, &options(set)).unwrap()
}

#[test]
fn closing_ends_the_wait_of_a_writer_that_is_stopped_or_delayed() {
    for set in
        [&[("memory_budget_bytes", "1MiB")][..], &[("write_buffer_bytes", "16KiB"), ("max_frozen_memtables", "1")]]
    {
        let dir = tempfile::tempdir().unwrap();
        let db = slow_flushes(set, &dir.path().join("db"));
        let family = db.default_family();
        let writers: Vec<_> = (0..3_u64)
            .map(|writer| {
                let (db, family) = (db.clone(), family.clone());
                std::thread::spawn(move || {
                    (0..u64::MAX).find_map(|index| {
                        db.put(&family, &(index << 8 | writer).to_be_bytes(), &[1; 400], &DEFAULT).err()
                    })
                })
            })
            .collect();
        let stopped = |db: &Db| {
            let counters = db.stats().counters;
            counters.iter().any(|(name, count)| *name == "stalls" && *count > 2)
        };
        while !stopped(&db) {
            std::thread::yield_now();
        }
        db.close(&CloseOptions::default()).unwrap();
        for writer in writers {
            let error = writer.join().unwrap().expect("an end");
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        }
    }
}

#[test]
fn dropping_a_family_ends_the_wait_of_its_writers() {
    let dir = tempfile::tempdir().unwrap();
    let db = slow_flushes(&[], &dir.path().join("db"));
    let small = options(&[("write_buffer_bytes", "16KiB"), ("max_frozen_memtables", "1")]);
    let family = db.create_column_family("f", &small).unwrap();
    let writer = {
        let (db, family) = (db.clone(), family.clone());
        std::thread::spawn(move || {
            (0..u64::MAX).find_map(|index| db.put(&family, &index.to_be_bytes(), &[1; 400], &DEFAULT).err())
        })
    };
    while !db.stats().counters.iter().any(|(name, count)| *name == "stalls" && *count > 0) {
        std::thread::yield_now();
    }
    db.drop_column_family(&family).unwrap();
    assert_eq!(writer.join().unwrap().expect("an end").kind(), ErrorKind::Dropped);
    db.close(&CloseOptions::default()).unwrap();
}
