//! Random tables against plain rows in memory: whatever a scan leaves unread, it must find what reading everything finds.
//!
//! Each round makes tables of random columns and keys, writes, deletes, changes schemas, flushes, merges, reopens and kills, and
//! compares scans and lookups between the steps. A case is one scan or one lookup. First all rows of a table are scanned and
//! held against the model; the scans that follow, with ranges, filters and limits, are held against those rows.
//! `SSTORE_ORACLE_SEED` and `SSTORE_ORACLE_CASES` choose other runs; each round is a function of the seed and its number, and
//! `SSTORE_ORACLE_ROUND` begins with that one.
#![cfg(feature = "parquet")]

mod condition;
mod model;
mod values;

use crate::profile;
use arrow_array::{Array, ArrayRef, RecordBatch};
use condition::Condition;
use model::{Column, Row, Rows, TableModel, column_of};
use sstore::env::Env;
use sstore::env::executor::{SeededRuntime, mix};
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::AllKept;
use sstore::{CloseOptions, Db, IterOptions, Options, ReadOptions, ScanOptions, Snapshot, WriteBatch, WriteOptions};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use values::Value;

/// Numbers from a seed.
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

#[derive(Default, Debug)]
struct Counts {
    cases: u64,
    lookups: u64,
    overlap_and_deletes: u64,
    filtered: u64,
    filtered_beyond_key: u64,
    ranges: u64,
    limits: u64,
    in_reverse: u64,
    limits_in_reverse: u64,
    in_snapshots: u64,
    rows_found: u64,
    rows_refused: u64,
    files: u64,
    files_too_new: u64,
    files_outside: u64,
    files_ruled_out: u64,
    files_by_the_whole_filter: u64,
    groups: u64,
    groups_outside: u64,
    groups_ruled_out: u64,
    flushes: u64,
    compactions: u64,
    schema_changes: u64,
    reopens: u64,
    kills: u64,
}

struct Held {
    snapshot: Snapshot,
    rows: Vec<Rows>,
}

struct Round<'a> {
    random: Random,
    files: Arc<MemFileSystem>,
    runtime: Arc<SeededRuntime>,
    db: Option<Db>,
    tables: Vec<TableModel>,
    bytes: BTreeMap<Vec<u8>, Vec<u8>>,
    snapshots: Vec<Held>,
    counts: &'a mut Counts,
}

fn table_options(random: &mut Random) -> Options {
    let choose = |random: &mut Random, from: &[&'static str]| from[random.below(from.len() as u64) as usize];
    let mut options = Options::new();
    for (name, from) in [
        ("table_format", &["parquet", "arrow"][..]),
        ("compression", &["auto", "none", "lz4", "zstd"]),
        ("row_group_rows", &["16", "50", "1024"]),
        ("page_rows", &["8", "16", "64"]),
        ("write_buffer_rows", &["0", "30", "100", "300"]),
        ("write_buffer_bytes", &["16KiB", "64KiB", "1MiB"]),
        ("auto_compaction", &["false", "true"]),
        ("compaction_trigger_runs", &["3", "4", "8"]),
        ("bloom_bits_per_key", &["0", "10"]),
    ] {
        options.set(name, choose(random, from)).unwrap();
    }
    options
}

impl<'a> Round<'a> {
    fn new(seed: u64, counts: &'a mut Counts) -> Self {
        let mut random = Random(seed);
        let (files, runtime) = (MemFileSystem::new(), SeededRuntime::new(seed));
        let mut round = Self {
            files,
            runtime,
            db: None,
            tables: Vec::new(),
            bytes: BTreeMap::new(),
            snapshots: Vec::new(),
            counts,
            random: Random(random.next()),
        };
        round.open();
        for name in ["first", "second"] {
            let (mut model, schema, key_options) = TableModel::new(name, &mut round.random);
            let mut key: Vec<&str> = Vec::new();
            for number in &model.key {
                key.push(&model.column(*number).name);
            }
            let options = table_options(&mut round.random);
            let table = round.db().create_table(name, &schema, &key, &key_options, &options).unwrap();
            model.table = Some(table);
            round.tables.push(model);
        }
        round
    }

    fn open(&mut self) {
        let env = Env { files: self.files.clone(), runtime: self.runtime.clone() };
        let options = Options::new().with("wal_segment_bytes", "64KiB").unwrap();
        let db = Db::open_in(env, Path::new("/db"), &options).unwrap();
        for model in &mut self.tables {
            model.table = Some(db.table(&model.name).unwrap());
        }
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
        self.snapshots.clear();
        self.count_work();
        self.counts.reopens += 1;
        if self.random.below(2) == 0 {
            self.counts.kills += 1;
            self.files = self.files.crash_clone(&mut AllKept);
        }
        for model in &mut self.tables {
            model.table = None;
        }
        let flush = self.random.below(2) == 0;
        let db = self.db.take().unwrap();
        db.close(&CloseOptions { flush: Some(flush), ..CloseOptions::default() }).unwrap();
        drop(db);
        self.runtime = SeededRuntime::new(self.random.next());
        self.open();
        self.check_bytes();
    }

    fn check_bytes(&self) {
        let mut iterator = self.db().iterator(&self.db().default_family(), IterOptions::default()).unwrap();
        let mut found = BTreeMap::new();
        let mut valid = iterator.seek_to_first().unwrap();
        while valid {
            found.insert(iterator.key().to_vec(), iterator.value().to_vec());
            valid = iterator.next().unwrap();
        }
        assert!(found == self.bytes, "the column family");
    }

    /// One batch over both tables and the column family.
    fn write(&mut self) {
        let mut batch = WriteBatch::new();
        let family = self.db().default_family();
        for _ in 0..1 + self.random.below(4) {
            let random = &mut self.random;
            let model = &mut self.tables[random.below(2) as usize];
            match random.below(8) {
                0 => {
                    let key = random.below(50).to_be_bytes().to_vec();
                    let value = random.next().to_be_bytes().to_vec();
                    batch.put(family.id(), &key, &value).unwrap();
                    self.bytes.insert(key, value);
                }
                1 => {
                    let key = random.below(50).to_be_bytes().to_vec();
                    batch.delete(family.id(), &key).unwrap();
                    self.bytes.remove(&key);
                }
                2 | 3 if !model.key.is_empty() => {
                    let count = 1 + random.below(12);
                    let keys = model.delete(count, random);
                    model.table().delete_rows(&mut batch, &keys).unwrap();
                }
                _ => {
                    let count = if random.below(2) == 0 { 1 + random.below(4) } else { 1 + random.below(60) };
                    let rows = model.put(count, random);
                    model.table().put_rows(&mut batch, &rows).unwrap();
                }
            }
        }
        self.db().write(&batch, &WriteOptions::default()).unwrap();
    }

    fn change_schema(&mut self) {
        self.counts.schema_changes += 1;
        let index = self.random.below(2) as usize;
        let mut others: Vec<&mut Rows> = self.snapshots.iter_mut().map(|held| &mut held.rows[index]).collect();
        let change = self.tables[index].change_schema(&mut others, &mut self.random);
        let db = self.db.as_ref().unwrap();
        db.alter_table(self.tables[index].table(), &change).unwrap_or_else(|error| panic!("{change:?}: {error}"));
    }

    fn step(&mut self) {
        match self.random.below(40) {
            0..=17 => self.write(),
            18..=21 => {
                let index = self.random.below(2) as usize;
                let token = self.db().flush_tables(&[self.tables[index].table()]).unwrap();
                token.wait(None).unwrap();
            }
            22 if self.random.below(2) == 0 => {
                let index = self.random.below(2) as usize;
                self.db().compact_table(self.tables[index].table()).unwrap();
            }
            23 | 24 => self.change_schema(),
            25 if self.random.below(2) == 0 => self.reopen(),
            26 | 27 if self.snapshots.len() < 3 => {
                let rows = self.tables.iter().map(|model| model.rows.clone()).collect();
                self.snapshots.push(Held { snapshot: self.db().snapshot().unwrap(), rows });
            }
            28 if !self.snapshots.is_empty() => {
                let index = self.random.below(self.snapshots.len() as u64) as usize;
                self.snapshots.swap_remove(index);
            }
            29..=31 => self.runtime.run_until_idle(),
            32..=34 => self.runtime.run_some(),
            _ => self.compare(),
        }
    }

    /// Many cases on one table, at one moment.
    fn compare(&mut self) {
        let Self { random, tables, snapshots, counts, db, .. } = self;
        let (db, index) = (db.as_ref().unwrap(), random.below(2) as usize);
        let model = &tables[index];
        let held = match random.below(snapshots.len() as u64 + 2) as usize {
            at if at < snapshots.len() => Some(&snapshots[at]),
            _ => None,
        };
        let rows = held.map_or(&model.rows, |held| &held.rows[index]);
        let segments = db.table_segments(model.table()).unwrap();
        let overlap = segments
            .iter()
            .enumerate()
            .any(|(at, a)| segments[..at].iter().any(|b| a.smallest <= b.largest && b.smallest <= a.largest));
        let mut moment = Moment {
            db,
            model,
            held,
            now: rows,
            overlap_and_deletes: overlap && segments.iter().any(|segment| segment.tombstones > 0),
            all: Vec::new(),
            counts,
        };
        moment.scan_all(random);
        for _ in 0..20 + random.below(60) {
            if !model.key.is_empty() && random.below(8) == 0 {
                moment.look_up(random);
            } else {
                moment.scan(random);
            }
        }
    }
}

/// A table as it is, or was, at one moment.
struct Moment<'a> {
    db: &'a Db,
    model: &'a TableModel,
    held: Option<&'a Held>,
    now: &'a Rows,
    overlap_and_deletes: bool,
    /// All rows as they were scanned.
    all: Vec<Arc<Row>>,
    counts: &'a mut Counts,
}

impl Moment<'_> {
    fn read_options(&self) -> ReadOptions<'_> {
        ReadOptions { snapshot: self.held.map(|held| &held.snapshot) }
    }

    fn case(&mut self) {
        self.counts.cases += 1;
        self.counts.overlap_and_deletes += u64::from(self.overlap_and_deletes);
        self.counts.in_snapshots += u64::from(self.held.is_some());
    }

    /// Everything, against the model.
    fn scan_all(&mut self, random: &mut Random) {
        self.case();
        let scan = ScanOptions { batch_rows: random.below(100) as usize, ..ScanOptions::default() };
        let mut all = Vec::new();
        for batch in self.db.scan(self.model.table(), &scan, &self.read_options()).unwrap() {
            all.extend(self.model.rows_of(&batch.unwrap()));
        }
        let mut expected = self.now.in_order();
        let mut found = all.clone();
        if self.model.is_ordered {
            expected.sort();
            found.sort();
        }
        let trimmed = |row: &Row| {
            let values = self.model.columns.iter().map(|column| row.get(column.number).clone());
            values.collect::<Vec<Value>>()
        };
        let (found, expected): (Vec<_>, Vec<_>) =
            (found.iter().map(|row| trimmed(row)).collect(), expected.iter().map(|row| trimmed(row)).collect());
        if found != expected {
            let at = found.iter().zip(&expected).position(|(found, expected)| found != expected);
            let at = at.unwrap_or(found.len().min(expected.len()));
            panic!(
                "all of {}: {} rows found, {} expected, which differ from row {at} on: {:?} against {:?}; {}; key {:?}; {:?}",
                self.model.name,
                found.len(),
                expected.len(),
                found.get(at),
                expected.get(at),
                self.db.explain(self.model.table(), &scan, &self.read_options()).unwrap(),
                self.model.key,
                self.model.columns.iter().map(|column| (column.number, &column.data_type)).collect::<Vec<_>>(),
            );
        }
        self.all = all;
    }

    fn chosen_columns<'m>(model: &'m TableModel, random: &mut Random) -> (Option<Vec<String>>, Vec<&'m Column>) {
        let mut columns: Vec<&Column> = model.columns.iter().collect();
        if random.below(3) == 0 {
            return (None, columns);
        }
        let by = random.below(columns.len() as u64) as usize;
        columns.rotate_left(by);
        let least = u64::from(random.below(10) > 0);
        columns.truncate((least + random.below(columns.len() as u64)) as usize);
        (Some(columns.iter().map(|column| column.name.clone()).collect()), columns)
    }

    /// A scan of some rows, against those of all rows that the same conditions leave.
    fn scan(&mut self, random: &mut Random) {
        self.case();
        let model = self.model;
        let (columns, chosen) = Self::chosen_columns(model, random);
        let mut scan = ScanOptions { columns, cached: random.below(3) == 0, ..ScanOptions::default() };
        let mut rows: Vec<&Arc<Row>> = self.all.iter().collect();
        if !model.key.is_empty() && random.below(3) == 0 {
            self.counts.ranges += 1;
            let beginning = |row: &Row, len: usize| -> Vec<Value> {
                model.key[..len].iter().map(|number| row.get(*number).clone()).collect()
            };
            let kind = random.below(4);
            if kind == 0 {
                let (values, arrays) = model.bound(random);
                rows.retain(|row| beginning(row, values.len()) == values);
                scan.prefix = Some(arrays);
            }
            if kind == 1 || kind == 2 {
                let (values, arrays) = model.bound(random);
                rows.retain(|row| beginning(row, values.len()) >= values);
                scan.start = Some(arrays);
            }
            if kind == 2 || kind == 3 {
                let (values, arrays) = model.bound(random);
                rows.retain(|row| beginning(row, values.len()) < values);
                scan.stop = Some(arrays);
            }
        }
        if random.below(8) > 0 {
            self.counts.filtered += 1;
            let mut columns: Vec<&Column> = model.columns.iter().collect();
            if random.below(6) == 0 {
                columns.retain(|column| model.key.contains(&column.number));
            } else if random.below(4) > 0 {
                columns.retain(|column| !model.key.contains(&column.number));
            }
            if columns.is_empty() {
                columns = model.columns.iter().collect();
            }
            let depth = random.below(3) as u32;
            let condition = Condition::random(&columns, depth, random);
            self.counts.filtered_beyond_key += u64::from(condition.looks_beyond(&model.key));
            let before = rows.len();
            rows.retain(|row| condition.holds(row) == Some(true));
            self.counts.rows_refused += (before - rows.len()) as u64;
            scan.filter = Some(condition.filter(&model.columns));
        }
        if random.below(4) == 0 {
            self.counts.limits += 1;
            scan.limit = Some(random.below(20));
        }
        if random.below(3) == 0 {
            scan.reverse = true;
            if model.is_ordered {
                let refused = self.db.scan(model.table(), &scan, &self.read_options()).err().unwrap();
                assert!(refused.to_string().contains("no order to be read in reverse"), "{refused}");
                scan.reverse = false;
            }
        }
        if scan.reverse {
            self.counts.in_reverse += 1;
            self.counts.limits_in_reverse += u64::from(scan.limit.is_some());
            rows.reverse();
        }
        scan.batch_rows = [0, 1, 7, 64][random.below(4) as usize];
        self.counts.rows_found += rows.len() as u64;
        let rows: Vec<Arc<Row>> = rows.into_iter().cloned().collect();
        self.compare(&scan, &chosen, rows);
    }

    fn compare(&mut self, scan: &ScanOptions, chosen: &[&Column], rows: Vec<Arc<Row>>) {
        let found = self.db.scan(self.model.table(), scan, &self.read_options()).unwrap();
        let plan = found.explain();
        for file in &plan.files {
            let counts = &mut *self.counts;
            counts.files += 1;
            counts.groups += file.groups as u64;
            counts.groups_outside += file.groups_outside_range as u64;
            counts.groups_ruled_out += file.groups_ruled_out as u64;
            counts.files_by_the_whole_filter += u64::from(file.whole_filter && file.groups_ruled_out > 0);
            match file.skipped {
                None => {}
                Some("newer than the snapshot") => counts.files_too_new += 1,
                Some("outside of the key range") => counts.files_outside += 1,
                Some("ruled out by the filter") => counts.files_ruled_out += 1,
                Some(other) => panic!("{other}"),
            }
        }
        let schema = found.schema();
        assert!(schema.fields().iter().map(|field| field.name()).eq(chosen.iter().map(|column| &column.name)));
        let batches: Vec<RecordBatch> = found.map(Result::unwrap).collect();
        let (model, all) = (self.model, &self.all);
        let wrong = |what: &str| -> ! {
            panic!(
                "{what}: {} of {} rows found, {} expected: columns {:?}, filter {:?}, start {:?}, stop {:?}, prefix {:?}, limit {:?}, \
                 in reverse: {}, batches of {}; {plan}; key {:?}; types {:?}",
                batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
                all.len(),
                rows.len(),
                scan.columns,
                scan.filter,
                scan.start,
                scan.stop,
                scan.prefix,
                scan.limit,
                scan.reverse,
                scan.batch_rows,
                model.key.iter().map(|number| &model.column(*number).name).collect::<Vec<_>>(),
                model.columns.iter().map(|column| (&column.name, &column.data_type)).collect::<Vec<_>>(),
            )
        };
        let total: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let limit = scan.limit.map_or(usize::MAX, |limit| limit as usize);
        if total != rows.len().min(limit) {
            wrong("another number of rows");
        }
        let most = if scan.batch_rows == 0 { 8192 } else { scan.batch_rows };
        if batches.iter().any(|batch| batch.num_rows() == 0 || batch.num_rows() > most) {
            wrong("a batch of another size");
        }
        if self.model.is_ordered {
            let of = |arrays: &[ArrayRef], rows: usize| -> Vec<Vec<Value>> {
                let columns: Vec<Vec<Value>> = arrays.iter().map(values::values).collect();
                (0..rows).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect()
            };
            let arrays: Vec<ArrayRef> = chosen.iter().map(|column| column_of(column, &rows)).collect();
            let mut expected = of(&arrays, rows.len());
            expected.sort();
            for row in batches.iter().flat_map(|batch| of(batch.columns(), batch.num_rows())) {
                match expected.binary_search(&row) {
                    Ok(at) => drop(expected.remove(at)),
                    Err(_) => wrong("a row that is not there"),
                }
            }
            return;
        }
        let rows = &rows[..rows.len().min(limit)];
        for (index, column) in chosen.iter().enumerate() {
            let expected = column_of(column, rows);
            let mut at = 0;
            for batch in &batches {
                let slice = expected.slice(at, batch.num_rows());
                if **batch.column(index) != *slice {
                    wrong(&format!(
                        "column {} from row {at} on: {:?} against {slice:?}",
                        column.name,
                        batch.column(index)
                    ));
                }
                at += batch.num_rows();
            }
        }
    }

    fn look_up(&mut self, random: &mut Random) {
        self.case();
        self.counts.lookups += 1;
        let model = self.model;
        let count = 1 + random.below(8);
        let keys = model.some_keys(count, random);
        let batch = model.key_batch(&keys);
        let (columns, chosen) = Self::chosen_columns(model, random);
        let (table, options) = (model.table(), self.read_options());
        let found = match count {
            1 => vec![self.db.get_row(table, &batch, columns.as_deref(), &options).unwrap()],
            _ => self.db.get_rows(table, &batch, columns.as_deref(), &options).unwrap(),
        };
        let Rows::Keyed(rows) = self.now else { panic!("there is no key") };
        assert_eq!(found.len(), keys.len());
        for (key, found) in keys.iter().zip(found) {
            let expected = rows
                .get(key)
                .map(|row| -> Vec<Value> { chosen.iter().map(|column| row.get(column.number).clone()).collect() });
            let found = found.map(|batch| -> Vec<Value> {
                assert_eq!(batch.num_rows(), 1);
                batch.columns().iter().map(|column| values::values(column)[0].clone()).collect()
            });
            assert_eq!(found, expected, "{key:?} of {}, columns {columns:?}", model.name);
        }
    }
}

/// Says in which round it failed.
struct Telltale(u64);

impl Drop for Telltale {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed in round SSTORE_ORACLE_ROUND={}", self.0);
        }
    }
}

#[test]
fn scans_and_lookups_find_what_reading_everything_finds() {
    let cases = profile::ORACLE_CASES.get();
    let seed = profile::seed("SSTORE_ORACLE_SEED", 20_261_121);
    let first = profile::seed("SSTORE_ORACLE_ROUND", 0);
    let mut counts = Counts::default();
    for round in first.. {
        let telltale = Telltale(round);
        let mut run = Round::new(mix(seed ^ mix(round)), &mut counts);
        for _ in 0..250 {
            run.step();
        }
        run.check_bytes();
        run.count_work();
        drop(telltale);
        if counts.cases >= cases {
            break;
        }
    }
    println!("{counts:?}");
    let share = |part: u64, percent: u64| assert!(part * 100 >= counts.cases * percent, "{part} of {counts:?}");
    share(counts.overlap_and_deletes, 30);
    share(counts.filtered_beyond_key, 50);
    share(counts.in_reverse, 15);
    share(counts.limits_in_reverse, 3);
    let pruned = [counts.files_too_new, counts.files_outside, counts.files_ruled_out, counts.groups_ruled_out];
    assert!(pruned.iter().all(|count| *count > counts.cases / 500), "{counts:?}");
    assert!(counts.files_by_the_whole_filter > counts.cases / 1000, "{counts:?}");
    assert!(counts.rows_found > 0 && counts.rows_refused > 0 && counts.kills > 0, "{counts:?}");
}
