//! Random operations against a `BTreeMap`, over many reopens: the engine must answer as the model does at every moment. Batches go
//! over column families and tables, of both formats.
//!
//! The whole run, background work included, is a pure function of the seed: files in memory, the seeded executor. It prints
//! the seed and what it did; `SSTORE_MODEL_SEED` and `SSTORE_MODEL_OPS` choose other runs.
#![cfg(feature = "parquet")]

use crate::profile;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sstore::env::Env;
use sstore::env::executor::SeededRuntime;
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::AllKept;
use sstore::{
    CloseOptions, ColumnFamily, Condition, Db, DbIterator, EntryBatch, ErrorKind, IterOptions, KeyOptions, KeyRange,
    Options, ReadOptions, ScanOptions, Snapshot, Table, WriteBatch, WriteOptions,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

type Map = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

const FAMILIES: [(&str, &str, &str); 4] =
    [("default", "4KiB", "none"), ("small", "8KiB", "lz4"), ("middle", "16KiB", "zstd"), ("large", "64KiB", "none")];
const KEYS: u64 = 3000;

type Rows = BTreeMap<i64, Option<String>>;

/// Name and format.
const TABLES: [(&str, &str); 2] = [("columns", "parquet"), ("messages", "arrow")];
const ROW_KEYS: u64 = 400;

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        sstore::env::executor::mix(self.0)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn key(&mut self) -> Vec<u8> {
        let number = self.below(KEYS);
        match number % 3 {
            0 => format!("key{number:06}").into_bytes(),
            1 => format!("shared-prefix/{number:09}").into_bytes(),
            _ => number.to_be_bytes()[4..].to_vec(),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.below(100) {
            0 => 5000,
            1 => 0,
            other => other as usize,
        };
        vec![self.next() as u8; len]
    }
}

#[derive(Default, Debug)]
struct Counts {
    operations: u64,
    reopens: u64,
    kills: u64,
    flushes: u64,
    compactions: u64,
    families_dropped: u64,
    scans: u64,
    conflicts: u64,
    row_batches: u64,
    row_scans: u64,
    row_lookups: u64,
}

struct Held {
    snapshot: Snapshot,
    maps: Vec<Map>,
    rows: Vec<Rows>,
}

struct HeldIterator {
    iterator: DbIterator,
    map: Map,
}

struct Run {
    random: Random,
    files: Arc<MemFileSystem>,
    runtime: Arc<SeededRuntime>,
    db: Option<Db>,
    families: Vec<ColumnFamily>,
    maps: Vec<Map>,
    tables: Vec<Table>,
    rows: Vec<Rows>,
    snapshots: Vec<Held>,
    iterators: Vec<HeldIterator>,
    counts: Counts,
}

fn options() -> Options {
    let set = [
        ("write_buffer_bytes", "4KiB"),
        ("wal_segment_bytes", "64KiB"),
        ("memory_budget_bytes", "1MiB"),
        ("block_bytes", "512"),
    ];
    set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

fn family_options(write_buffer: &str, compression: &str) -> Options {
    options().with("write_buffer_bytes", write_buffer).unwrap().with("compression", compression).unwrap()
}

/// What is set at opening overrides what a family stored, so only the rest is set.
fn reopen_options() -> Options {
    Options::new().with("wal_segment_bytes", "64KiB").unwrap().with("memory_budget_bytes", "1MiB").unwrap()
}

impl Run {
    fn new(seed: u64) -> Self {
        let (files, runtime) = (MemFileSystem::new(), SeededRuntime::new(seed));
        let mut run = Self {
            random: Random(seed),
            files,
            runtime,
            db: None,
            families: Vec::new(),
            maps: vec![Map::new(); FAMILIES.len()],
            tables: Vec::new(),
            rows: vec![Rows::new(); TABLES.len()],
            snapshots: Vec::new(),
            iterators: Vec::new(),
            counts: Counts::default(),
        };
        run.open(&options());
        for (name, write_buffer, compression) in &FAMILIES[1..] {
            let family = run.db().create_column_family(name, &family_options(write_buffer, compression)).unwrap();
            run.families.push(family);
        }
        for (name, format) in TABLES {
            let columns = vec![Field::new("id", DataType::Int64, false), Field::new("text", DataType::Utf8, true)];
            let options = options().with("table_format", format).unwrap().with("write_buffer_bytes", "32KiB").unwrap();
            let table = run.db().create_table(name, &Schema::new(columns), &["id"], &KeyOptions::default(), &options);
            run.tables.push(table.unwrap());
        }
        run
    }

    fn open(&mut self, options: &Options) {
        let env = Env { files: self.files.clone(), runtime: self.runtime.clone() };
        let db = Db::open_in(env, Path::new("/db"), options).unwrap();
        self.families = db.column_families().unwrap().iter().filter_map(|name| db.column_family(name).ok()).collect();
        self.families.sort_by_key(|family| FAMILIES.iter().position(|(name, ..)| *name == family.name()));
        let tables = TABLES.iter().filter_map(|(name, _)| db.table(name).ok());
        self.tables = tables.collect();
        self.db = Some(db);
    }

    fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    fn count_work(&mut self) {
        let stats = self.db().stats();
        let counter = |name: &str| stats.counters.iter().find(|(other, _)| *other == name).unwrap().1;
        self.counts.flushes += counter("flushes");
        self.counts.compactions += counter("compactions");
    }

    fn reopen(&mut self) {
        self.check_everything();
        self.snapshots.clear();
        self.iterators.clear();
        self.count_work();
        self.counts.reopens += 1;
        let kill = self.random.below(3) == 0;
        if kill {
            // The death of the process: the kernel keeps what was written, and nothing is closed.
            self.counts.kills += 1;
            self.files = self.files.crash_clone(&mut AllKept);
        }
        let flush = self.random.below(2) == 0;
        self.families.clear();
        self.tables.clear();
        let db = self.db.take().unwrap();
        db.close(&CloseOptions { flush: Some(flush), ..CloseOptions::default() }).unwrap();
        drop(db);
        self.runtime = SeededRuntime::new(self.random.next());
        self.open(&reopen_options());
    }

    fn write_batch(&mut self) {
        let mut batch = WriteBatch::new();
        let mut changes = Vec::new();
        let mut sequences = 0;
        for _ in 0..1 + self.random.below(8) {
            sequences += 1;
            if self.random.below(64) == 0 {
                self.change_rows(&mut batch);
                continue;
            }
            let family = self.random.below(self.families.len() as u64) as usize;
            let key = self.random.key();
            if self.random.below(4) == 0 {
                batch.delete(self.families[family].id(), &key).unwrap();
                changes.push((sequences, family, key, None));
            } else {
                let value = self.random.value();
                batch.put(self.families[family].id(), &key, &value).unwrap();
                changes.push((sequences, family, key, Some(value)));
            }
        }
        let last = self.db().write(&batch, &WriteOptions::default()).unwrap();
        for (index, family, key, value) in changes {
            match value {
                Some(value) => self.maps[family].insert(key, (value, last + index - sequences)),
                None => self.maps[family].remove(&key),
            };
        }
    }

    /// Puts rows into a table, some of the same key, or deletes some: one operation of a batch.
    fn change_rows(&mut self, batch: &mut WriteBatch) {
        self.counts.row_batches += 1;
        let index = self.random.below(self.tables.len() as u64) as usize;
        let ids: Vec<i64> = (0..1 + self.random.below(30)).map(|_| self.random.below(ROW_KEYS) as i64).collect();
        let column: ArrayRef = Arc::new(Int64Array::from(ids.clone()));
        if self.random.below(4) == 0 {
            let keys = RecordBatch::try_from_iter([("id", column)]).unwrap();
            self.tables[index].delete_rows(batch, &keys).unwrap();
            ids.iter().for_each(|id| drop(self.rows[index].remove(id)));
            return;
        }
        let number = self.random.next();
        let texts = ids.iter().map(|id| (id % 5 > 0).then(|| format!("{number} {id}")));
        let texts: Vec<Option<String>> = texts.collect();
        let text: ArrayRef = Arc::new(StringArray::from(texts.clone()));
        let rows = RecordBatch::try_from_iter([("id", column), ("text", text)]).unwrap();
        self.tables[index].put_rows(batch, &rows).unwrap();
        self.rows[index].extend(ids.into_iter().zip(texts));
    }

    /// A whole table, now or in a snapshot, scanned; and some of its rows looked up.
    fn read_rows(&mut self, index: usize, held: Option<&Held>) {
        let (options, expected) = match held {
            None => (ReadOptions::default(), &self.rows[index]),
            Some(held) => (ReadOptions { snapshot: Some(&held.snapshot) }, &held.rows[index]),
        };
        let (db, table) = (self.db.as_ref().unwrap(), &self.tables[index]);
        let mut found = Vec::new();
        for batch in db.scan(table, &ScanOptions::default(), &options).unwrap() {
            let batch = batch.unwrap();
            let texts = batch.column(1).as_string::<i32>();
            let ids = batch.column(0).as_primitive::<Int64Type>().values().iter();
            found.extend(ids.zip(texts.iter()).map(|(id, text)| (*id, text.map(str::to_owned))));
        }
        self.counts.row_scans += 1;
        assert!(found.iter().map(|(id, text)| (id, text)).eq(expected.iter()), "{}: {found:?}", table.name());
        for _ in 0..4 {
            let id = self.random.below(ROW_KEYS) as i64;
            let key: ArrayRef = Arc::new(Int64Array::from(vec![id]));
            let key = RecordBatch::try_from_iter([("id", key)]).unwrap();
            let found = db.get_row(table, &key, None, &options).unwrap();
            let text = |row: &RecordBatch| {
                let texts = row.column(1).as_string::<i32>();
                texts.is_valid(0).then(|| texts.value(0).to_owned())
            };
            self.counts.row_lookups += 1;
            assert_eq!(found.as_ref().map(text).as_ref(), expected.get(&id), "{id} of {}", table.name());
        }
    }

    fn write_if(&mut self) {
        let family = self.random.below(self.families.len() as u64) as usize;
        let key = self.random.key();
        let known = self.maps[family].get(&key).map(|(_, sequence)| *sequence);
        let condition = match self.random.below(3) {
            0 => Condition::Absent,
            1 => Condition::Sequence(known.unwrap_or(7)),
            _ => Condition::Sequence(self.random.below(100)),
        };
        let holds = match condition {
            Condition::Absent => known.is_none(),
            Condition::Sequence(sequence) => known == Some(sequence),
        };
        let value = self.random.value();
        let mut batch = WriteBatch::new();
        batch.put(self.families[family].id(), &key, &value).unwrap();
        let written = self.db().write_if(&self.families[family], &key, condition, &batch, &WriteOptions::default());
        match written {
            Ok(sequence) => {
                assert!(holds, "{condition:?} held against {known:?}");
                self.maps[family].insert(key, (value, sequence));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                assert!(!holds, "{condition:?} failed against {known:?}");
                self.counts.conflicts += 1;
            }
        }
    }

    fn get(&mut self) {
        let family = self.random.below(self.families.len() as u64) as usize;
        let key = self.random.key();
        let db = self.db();
        let now = db.get_with_sequence(&self.families[family], &key, &ReadOptions::default()).unwrap();
        let now = now.map(|(value, sequence)| (value.to_vec(), sequence));
        assert_eq!(now.as_ref(), self.maps[family].get(&key), "{family} {key:?}");
        if let Some(held) = self.snapshots.last() {
            let options = ReadOptions { snapshot: Some(&held.snapshot) };
            let then = db.get(&self.families[family], &key, &options).unwrap().map(|value| value.to_vec());
            assert_eq!(
                then.as_ref(),
                held.maps[family].get(&key).map(|(value, _)| value),
                "{family} {key:?} in a snapshot"
            );
        }
    }

    fn multi_get(&mut self) {
        let family = self.random.below(self.families.len() as u64) as usize;
        let keys: Vec<Vec<u8>> = (0..self.random.below(40)).map(|_| self.random.key()).collect();
        let borrowed: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let values = self.db().multi_get(&self.families[family], &borrowed, &ReadOptions::default()).unwrap();
        for (key, value) in keys.iter().zip(values) {
            let expected = self.maps[family].get(key).map(|(value, _)| value.as_slice());
            assert_eq!(value.as_deref(), expected);
        }
    }

    /// A bounded iterator, moved about at random beside the model's own order.
    fn scan(&mut self) {
        self.counts.scans += 1;
        let family = self.random.below(self.families.len() as u64) as usize;
        let mut range = KeyRange::all();
        if self.random.below(2) == 0 {
            range.lower = Some(self.random.key());
        }
        if self.random.below(2) == 0 {
            range.upper = Some(self.random.key());
        }
        let held = self.snapshots.last().filter(|_| self.counts.scans.is_multiple_of(2));
        let map = held.map_or(&self.maps[family], |held| &held.maps[family]);
        let expected: Vec<(&Vec<u8>, &Vec<u8>)> =
            map.iter().filter(|(key, _)| range.contains(key)).map(|(key, (value, _))| (key, value)).collect();
        let options = IterOptions {
            range: range.clone(),
            snapshot: held.map(|held| held.snapshot.clone()),
            scan: self.counts.scans.is_multiple_of(3),
        };
        let mut iterator = self.db().iterator(&self.families[family], options).unwrap();
        let mut at: Option<usize> = None;
        for _ in 0..12 {
            let choice = if at.is_none() {
                self.random.0 = self.random.0.wrapping_add(1);
                self.random.below(4)
            } else {
                self.random.below(8)
            };
            let moved = match choice {
                0 => {
                    at = (!expected.is_empty()).then_some(0);
                    iterator.seek_to_first().unwrap()
                }
                1 => {
                    at = expected.len().checked_sub(1);
                    iterator.seek_to_last().unwrap()
                }
                2 => {
                    let key = self.random.key();
                    let index = expected.partition_point(|(other, _)| **other < key);
                    at = (index < expected.len()).then_some(index);
                    iterator.seek(&key).unwrap()
                }
                3 => {
                    let key = self.random.key();
                    at = expected.partition_point(|(other, _)| **other <= key).checked_sub(1);
                    iterator.seek_for_prev(&key).unwrap()
                }
                4 | 5 => {
                    at = at.map(|index| index + 1).filter(|index| *index < expected.len());
                    iterator.next().unwrap()
                }
                _ => {
                    at = at.and_then(|index| index.checked_sub(1));
                    iterator.prev().unwrap()
                }
            };
            assert_eq!(moved, at.is_some(), "move {choice}");
            assert_eq!(iterator.is_valid(), at.is_some());
            if let Some(index) = at {
                assert_eq!((iterator.key(), iterator.value()), (&expected[index].0[..], &expected[index].1[..]));
            }
        }
    }

    fn check_iterator(held: &mut HeldIterator, forward: bool) {
        let mut batch = EntryBatch::new();
        let mut seen: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        if forward {
            held.iterator.seek_to_first().unwrap()
        } else {
            held.iterator.seek_to_last().unwrap()
        };
        loop {
            let filled = if forward {
                held.iterator.next_batch(&mut batch, 100, 1 << 16)
            } else {
                held.iterator.prev_batch(&mut batch, 100, 1 << 16)
            };
            if filled.unwrap() == 0 {
                break;
            }
            seen.extend(batch.iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
        }
        if !forward {
            seen.reverse();
        }
        let expected: Vec<_> = held.map.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect();
        assert!(
            seen == expected,
            "an iterator held across flushes and merges: {} against {}",
            seen.len(),
            expected.len()
        );
    }

    /// Every family and table, every snapshot, every held iterator, in full.
    fn check_everything(&mut self) {
        let snapshots = std::mem::take(&mut self.snapshots);
        for index in 0..self.tables.len() {
            self.read_rows(index, None);
            snapshots.iter().for_each(|held| self.read_rows(index, Some(held)));
        }
        self.snapshots = snapshots;
        let forward = self.random.below(2) == 0;
        for mut held in std::mem::take(&mut self.iterators) {
            Self::check_iterator(&mut held, forward);
        }
        for (index, family) in self.families.iter().enumerate() {
            let iterator = self.db().iterator(family, IterOptions::default()).unwrap();
            Self::check_iterator(&mut HeldIterator { iterator, map: self.maps[index].clone() }, !forward);
            for held in &self.snapshots {
                let options = IterOptions { snapshot: Some(held.snapshot.clone()), ..IterOptions::default() };
                let iterator = self.db().iterator(family, options).unwrap();
                Self::check_iterator(&mut HeldIterator { iterator, map: held.maps[index].clone() }, forward);
            }
        }
    }

    fn drop_and_create(&mut self) {
        self.counts.families_dropped += 1;
        self.snapshots.clear();
        let index = 1 + self.random.below(3) as usize;
        let (name, write_buffer, compression) = FAMILIES[index];
        let old = self.families[index].clone();
        self.db().drop_column_family(&old).unwrap();
        assert_eq!(self.db().put(&old, b"k", b"v", &WriteOptions::default()).unwrap_err().kind(), ErrorKind::Dropped);
        self.families[index] =
            self.db().create_column_family(name, &family_options(write_buffer, compression)).unwrap();
        assert!(self.families[index].id() > old.id());
        self.maps[index].clear();
    }

    fn step(&mut self) {
        self.counts.operations += 1;
        match self.random.below(10_000) {
            0..=4999 => {
                let family = self.random.below(self.families.len() as u64) as usize;
                let (key, value) = (self.random.key(), self.random.value());
                let sequence = self.db().put(&self.families[family], &key, &value, &WriteOptions::default()).unwrap();
                self.maps[family].insert(key, (value, sequence));
            }
            5000..=5999 => {
                let family = self.random.below(self.families.len() as u64) as usize;
                let key = self.random.key();
                self.db().delete(&self.families[family], &key, &WriteOptions::default()).unwrap();
                self.maps[family].remove(&key);
            }
            6000..=6899 => self.write_batch(),
            6900..=6999 => self.write_if(),
            7000..=9399 => self.get(),
            9400..=9479 => self.multi_get(),
            9480..=9579 => self.scan(),
            9580..=9589 if self.snapshots.len() < 4 => {
                let (maps, rows) = (self.maps.clone(), self.rows.clone());
                self.snapshots.push(Held { snapshot: self.db().snapshot().unwrap(), maps, rows });
            }
            9590..=9599 if !self.snapshots.is_empty() => {
                let index = self.random.below(self.snapshots.len() as u64) as usize;
                self.snapshots.swap_remove(index);
            }
            9600..=9604 if self.iterators.len() < 4 => {
                let family = self.random.below(self.families.len() as u64) as usize;
                let iterator = self.db().iterator(&self.families[family], IterOptions::default()).unwrap();
                self.iterators.push(HeldIterator { iterator, map: self.maps[family].clone() });
            }
            9605..=9609 if !self.iterators.is_empty() => {
                let mut held = self.iterators.remove(0);
                Self::check_iterator(&mut held, self.random.below(2) == 0);
            }
            9610..=9619 => {
                let family = self.random.below(self.families.len() as u64) as usize;
                let token = self.db().flush(&[&self.families[family]]).unwrap();
                token.wait(None).unwrap();
            }
            9620 if self.random.below(4) == 0 => {
                let family = self.random.below(self.families.len() as u64) as usize;
                let family = self.families[family].clone();
                self.db().compact(&family).unwrap();
                assert!(self.db().segments(&family).unwrap().len() <= 1);
            }
            9621 if self.random.below(4) == 0 => self.drop_and_create(),
            9701..=9702 => {
                let index = self.random.below(self.tables.len() as u64) as usize;
                let held = self.snapshots.pop();
                self.read_rows(index, held.as_ref());
                self.snapshots.extend(held);
            }
            9703 if self.random.below(8) == 0 => {
                let table = self.tables[self.random.below(2) as usize].clone();
                self.db().compact_table(&table).unwrap();
                assert!(self.db().table_segments(&table).unwrap().len() <= 1);
            }
            9622..=9624 => self.reopen(),
            9625..=9700 => self.runtime.run_until_idle(),
            _ => self.runtime.run_some(),
        }
    }
}

#[test]
fn a_million_operations_answer_as_the_model_does() {
    let operations = profile::MODEL_OPERATIONS.get();
    let seed = profile::seed("SSTORE_MODEL_SEED", 20_261_121);
    let mut run = Run::new(seed);
    for _ in 0..operations {
        run.step();
    }
    run.check_everything();
    run.count_work();
    println!("{:?}", run.counts);
    if operations >= 1_000_000 {
        let counts = &run.counts;
        assert!(counts.flushes >= 500 && counts.compactions >= 50 && counts.reopens >= 200, "{counts:?}");
        assert!(counts.row_batches > 1000 && counts.row_scans > 200 && counts.row_lookups > 1000, "{counts:?}");
        assert!(counts.scans > 1000 && counts.conflicts > 100 && counts.families_dropped > 5, "{counts:?}");
    }
}
