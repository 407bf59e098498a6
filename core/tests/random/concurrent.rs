//! Real threads under one oracle: two writers of atomic batches over three families, two readers that hold snapshots and iterators,
//! a family that comes and goes, small memtables, so that flushes and merges run all the while.
//!
//! Every batch gives a key the same value in each of the families, and values of a key only grow. So any reader must see the
//! families agree at its snapshot, no value older than one acknowledged before the snapshot, none going back, and an old snapshot
//! unchanged. At the end the database is opened again and must hold the last acknowledged value of every key.

use crate::profile;
use sstore::env::mem::MemFileSystem;
use sstore::env::posix::posix;
use sstore::env::strict::StrictFileSystem;
use sstore::env::{Env, FileSystem};
use sstore::{
    CloseOptions, ColumnFamily, Db, Durability, EntryBatch, ErrorKind, IterOptions, Options, ReadOptions, Snapshot,
    WriteBatch, WriteOptions,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const KEYS: usize = 96;
const FAMILIES: [&str; 3] = ["default", "second", "third"];
const VALUE_BYTES: usize = 120;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as usize
    }
}

fn key(index: usize) -> [u8; 4] {
    let mut key = *b"k000";
    key[1..].copy_from_slice(format!("{index:03}").as_bytes());
    key
}

fn value(number: u64) -> [u8; VALUE_BYTES] {
    let mut value = [number as u8; VALUE_BYTES];
    value[..8].copy_from_slice(&number.to_le_bytes());
    value
}

fn number(bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(bytes, value(number), "a value is whole");
    number
}

struct World {
    db: Db,
    families: Vec<ColumnFamily>,
    /// The newest acknowledged number by key; 0: none.
    acknowledged: Vec<AtomicU64>,
    stop: AtomicBool,
    batches: AtomicU64,
    checks: AtomicU64,
}

/// All numbers by key, as one snapshot shows them in one family.
type Picture = Vec<u64>;

impl World {
    fn picture_by_iterator(&self, family: &ColumnFamily, snapshot: &Snapshot, forward: bool) -> Picture {
        let options = IterOptions { snapshot: Some(snapshot.clone()), scan: forward, ..IterOptions::default() };
        let mut iterator = self.db.iterator(family, options).unwrap();
        let mut picture = vec![0; KEYS];
        let mut last: Option<Vec<u8>> = None;
        let mut batch = EntryBatch::new();
        loop {
            let filled = if forward {
                iterator.next_batch(&mut batch, 10, 1 << 16)
            } else {
                iterator.prev_batch(&mut batch, 10, 1 << 16)
            };
            if filled.unwrap() == 0 {
                return picture;
            }
            for (key, value) in batch.iter() {
                let ordered = last.as_deref().is_none_or(|last| if forward { last < key } else { last > key });
                assert!(ordered, "each key once and in order");
                last = Some(key.to_vec());
                picture[std::str::from_utf8(&key[1..]).unwrap().parse::<usize>().unwrap()] = number(value);
            }
        }
    }

    fn picture_by_multi_get(&self, family: &ColumnFamily, snapshot: &Snapshot) -> Picture {
        let keys: Vec<[u8; 4]> = (0..KEYS).map(key).collect();
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 4]>::as_slice).collect();
        let values = self.db.multi_get(family, &keys, &ReadOptions { snapshot: Some(snapshot) }).unwrap();
        values.iter().map(|value| value.as_deref().map_or(0, number)).collect()
    }

    fn write(&self, writer: usize) {
        let mut random = Random(writer as u64 + 1);
        let mut count = 0_u64;
        while !self.stop.load(Ordering::Relaxed) {
            count += 1;
            let mut batch = WriteBatch::new();
            let mut indices: Vec<usize> =
                (0..1 + random.below(3)).map(|_| random.below(KEYS / 2) * 2 + writer).collect();
            indices.dedup();
            for &index in &indices {
                for family in &self.families {
                    batch.put(family.id(), &key(index), &value(count)).unwrap();
                }
            }
            let sync = random.below(50) == 0;
            let durability = Some(if sync { Durability::Sync } else { Durability::Buffered });
            self.db.write(&batch, &WriteOptions { durability, no_stall: false }).unwrap();
            for &index in &indices {
                self.acknowledged[index].store(count, Ordering::Release);
            }
            self.batches.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(&self, reader: usize) {
        let mut random = Random(reader as u64 + 77);
        let mut newest: Picture = vec![0; KEYS];
        let mut held: Option<(Snapshot, Picture)> = None;
        while !self.stop.load(Ordering::Relaxed) {
            let before: Picture = self.acknowledged.iter().map(|number| number.load(Ordering::Acquire)).collect();
            let snapshot = self.db.snapshot().unwrap();
            let first = self.picture_by_iterator(&self.families[random.below(3)], &snapshot, random.below(2) == 0);
            for (index, seen) in first.iter().enumerate() {
                assert!(*seen >= before[index], "key {index}: {seen}, but {} was acknowledged before", before[index]);
                assert!(*seen >= newest[index], "key {index} went back from {} to {seen}", newest[index]);
            }
            for family in &self.families {
                assert_eq!(first, self.picture_by_multi_get(family, &snapshot), "multi_get in {}", family.name());
                assert_eq!(first, self.picture_by_iterator(family, &snapshot, true), "iterator in {}", family.name());
            }
            newest = first.clone();
            // Without a snapshot: at least what was there before.
            let index = random.below(KEYS);
            for family in &self.families {
                let now = self.db.get(family, &key(index), &ReadOptions::default()).unwrap();
                assert!(now.as_deref().map_or(0, number) >= newest[index], "get in {}", family.name());
            }
            if let Some((old, picture)) = &held {
                assert_eq!(
                    *picture,
                    self.picture_by_multi_get(&self.families[random.below(3)], old),
                    "an old snapshot"
                );
                let backward = self.picture_by_iterator(&self.families[random.below(3)], old, false);
                assert_eq!(*picture, backward, "an old snapshot, backward");
            }
            if held.is_none() || random.below(20) == 0 {
                held = Some((snapshot, first));
            }
            self.checks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Makes families, writes, flushes and drops them, and merges another now and then.
    fn guests(&self, deadline: Instant) -> u64 {
        let mut count = 0;
        while Instant::now() < deadline && !self.stop.load(Ordering::Relaxed) {
            count += 1;
            let guest = self.db.create_column_family("guest", &Options::new()).unwrap();
            for index in 0..20 {
                self.db.put(&guest, &key(index), &value(count), &WriteOptions::default()).unwrap();
            }
            if count % 2 == 0 {
                self.db.flush(&[&guest]).unwrap().wait(Some(Duration::from_secs(20))).unwrap();
            }
            let mut iterator = self.db.iterator(&guest, IterOptions::default()).unwrap();
            assert!(iterator.seek(&key(7)).unwrap());
            self.db.drop_column_family(&guest).unwrap();
            assert_eq!(number(iterator.value()), count);
            assert!(iterator.next().unwrap(), "an iterator outlives its family");
            let refused = self.db.put(&guest, b"k", b"v", &WriteOptions::default()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Dropped);
            if count % 5 == 0 {
                self.db.compact(&self.families[count as usize % 3]).unwrap();
            }
        }
        count
    }
}

/// Stops the others when a thread panics, so that the panic is seen.
struct StopOnPanic<'a>(&'a AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

fn options(backend: &str) -> Options {
    let set = [
        ("write_buffer_bytes", "32KiB"),
        ("wal_segment_bytes", "64KiB"),
        ("block_bytes", "1024"),
        ("memory_budget_bytes", "4MiB"),
        ("wal_backend", backend),
    ];
    set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

fn run(name: &str, files: Arc<dyn FileSystem>, path: &Path, backend: &str) {
    let env = || Env { files: files.clone(), runtime: posix().runtime };
    let db = Db::open_in(env(), path, &options(backend)).unwrap();
    for family in &FAMILIES[1..] {
        db.create_column_family(family, &options(backend)).unwrap();
    }
    let families = FAMILIES.iter().map(|name| db.column_family(name).unwrap()).collect();
    let world = World {
        db,
        families,
        acknowledged: (0..KEYS).map(|_| AtomicU64::new(0)).collect(),
        stop: AtomicBool::new(false),
        batches: AtomicU64::new(0),
        checks: AtomicU64::new(0),
    };
    let guests = std::thread::scope(|scope| {
        for index in 0..2 {
            let world = &world;
            scope.spawn(move || {
                let _stop = StopOnPanic(&world.stop);
                world.write(index);
            });
            scope.spawn(move || {
                let _stop = StopOnPanic(&world.stop);
                world.read(index);
            });
        }
        let _stop = StopOnPanic(&world.stop);
        let guests = world.guests(Instant::now() + Duration::from_millis(profile::CONCURRENT_MILLIS.get()));
        world.stop.store(true, Ordering::Relaxed);
        guests
    });
    let World { db, families, acknowledged, batches, checks, .. } = world;
    let stats = db.stats();
    let counter = |name: &str| stats.counters.iter().find(|(other, _)| *other == name).unwrap().1;
    let (batches, checks) = (batches.into_inner(), checks.into_inner());
    let (flushes, merges) = (counter("flushes"), counter("compactions"));
    println!(
        "{name}: {batches} batches, {checks} snapshots compared, {flushes} flushes, {merges} merges, {guests} families came and went"
    );
    assert!(db.background_error().is_none(), "{:?}", db.background_error());
    assert!(batches > 200 && checks > 10 && flushes > 10 && merges > 2 && guests > 2);
    drop(families);
    db.close(&CloseOptions { flush: Some(false), ..CloseOptions::default() }).unwrap();
    drop(db);

    let db = Db::open_in(env(), path, &options(backend)).unwrap();
    assert_eq!(db.column_families().unwrap(), FAMILIES);
    for name in FAMILIES {
        let family = db.column_family(name).unwrap();
        for (index, expected) in acknowledged.iter().enumerate() {
            let found = db.get(&family, &key(index), &ReadOptions::default()).unwrap().as_deref().map_or(0, number);
            assert_eq!(found, expected.load(Ordering::Relaxed), "{name}, key {index} after opening again");
        }
    }
    db.verify().unwrap();
    db.close(&CloseOptions::default()).unwrap();
}

#[test]
fn writers_and_readers_agree_on_files_in_memory() {
    let files = StrictFileSystem::concurrent(MemFileSystem::new());
    run("in memory, mapped log", files, Path::new("/db"), "mapped");
}

#[test]
fn writers_and_readers_agree_on_a_disk() {
    let directory = tempfile::tempdir().unwrap();
    run("on disk, write log", posix().files, &directory.path().join("db"), "write");
}
