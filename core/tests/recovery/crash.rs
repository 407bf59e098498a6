//! A power cut at every mutating call: what is left must open on a prefix of the commits that holds every synced one.
//!
//! Scripted workloads run on files in memory and the seeded executor, which keep an image before each mutating call. For each
//! image the unsynced data are lost, kept, zeroed, torn, kept in random sectors or (mapped log) pages, and the unsynced names
//! dropped in all subsets up to six. Each distinct result is opened; its content must be the state after some commit, the same
//! commit in every family and table, none of the synced ones missing. Then the opening itself is cut at each of its calls.
#![cfg(feature = "parquet")]

use crate::profile;
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sstore::env::executor::SeededRuntime;
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::{
    AllKept, AllLost, Combined, CrashChoice, DirSubset, RandomPages, RandomSectors, Torn, TornLast, Zeroed,
};
use sstore::env::{Env, FileSystem, Runtime};
use sstore::{
    CloseOptions, ColumnFamily, Db, Durability, IterOptions, KeyOptions, Options, ReadOptions, ScanOptions,
    SchemaChange, WriteBatch, WriteOptions,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

/// The content of all families and tables: `family/key` to value. The names of tables begin with `rows`; their rows are a key and a
/// value as well.
type State = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// What a script did, as far as the oracle must know: the state after each commit, and where in the file system's count of calls it
/// was begun, acknowledged and made durable.
#[derive(Default)]
struct History {
    states: Vec<State>,
    /// (call count, index into `states` that must be there from then on)
    durable: Vec<(u64, usize)>,
    /// (call count, number of states that can be there from then on)
    begun: Vec<(u64, usize)>,
}

struct Script {
    files: Arc<MemFileSystem>,
    runtime: Arc<SeededRuntime>,
    options: Options,
    db: Option<Db>,
    state: State,
    history: History,
    families: BTreeSet<String>,
    counter: u64,
    has_tables: bool,
}

fn env(files: &Arc<MemFileSystem>, seed: u64) -> (Env, Arc<SeededRuntime>) {
    let runtime = SeededRuntime::new(seed);
    (Env { files: files.clone(), runtime: runtime.clone() }, runtime)
}

impl Script {
    fn new(backend: &str) -> Self {
        let files = MemFileSystem::new();
        files.record_images();
        let mut options = Options::new();
        for (name, value) in [
            ("write_buffer_bytes", "4KiB"),
            ("wal_segment_bytes", "64KiB"),
            ("block_bytes", "512"),
            ("wal_backend", backend),
            // Of no account for what is found after a crash, whatever is left of it: `events.rs` tests that.
            ("events_bytes", "0"),
        ] {
            options.set(name, value).unwrap();
        }
        let mut script = Self {
            runtime: SeededRuntime::new(1),
            files,
            options,
            db: None,
            state: State::new(),
            history: History::default(),
            families: BTreeSet::new(),
            counter: 0,
            has_tables: false,
        };
        script.history.states.push(State::new());
        script.history.begun.push((0, 1));
        script.open();
        script
    }

    fn open(&mut self) {
        let (env, runtime) = env(&self.files, 7 + self.files.op_count());
        self.runtime = runtime;
        self.db = Some(Db::open_in(env, Path::new("/db"), &self.options).unwrap());
        self.synced();
    }

    fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    fn family(&self, name: &str) -> ColumnFamily {
        self.db().column_family(name).unwrap()
    }

    /// Everything so far is promised from here on.
    fn synced(&mut self) {
        self.history.durable.push((self.files.op_count(), self.history.states.len() - 1));
    }

    /// One atomic batch: each a family, a key and a value, or `None` for a delete.
    fn write(&mut self, operations: &[(&str, &str, Option<&str>)], sync: bool) {
        let mut batch = WriteBatch::new();
        for (family, key, value) in operations {
            if family.starts_with("rows") {
                let table = self.db().table(family).unwrap();
                let changed = match value {
                    Some(value) => table.put_rows(&mut batch, &row(key, Some(value))),
                    None => table.delete_rows(&mut batch, &row(key, None)),
                };
                changed.unwrap();
                let key = ((*family).to_owned(), key.as_bytes().to_vec());
                match value {
                    Some(value) => self.state.insert(key, value.as_bytes().to_vec()),
                    None => self.state.remove(&key),
                };
                continue;
            }
            let id = self.family(family).id();
            match value {
                Some(value) => {
                    batch.put(id, key.as_bytes(), value.as_bytes()).unwrap();
                    self.state.insert(((*family).to_owned(), key.as_bytes().to_vec()), value.as_bytes().to_vec());
                }
                None => {
                    batch.delete(id, key.as_bytes()).unwrap();
                    self.state.remove(&((*family).to_owned(), key.as_bytes().to_vec()));
                }
            }
        }
        self.history.states.push(self.state.clone());
        self.history.begun.push((self.files.op_count(), self.history.states.len()));
        let durability = Some(if sync { Durability::Sync } else { Durability::Buffered });
        self.db().write(&batch, &WriteOptions { durability, no_stall: false }).unwrap();
        if sync {
            self.synced();
        }
    }

    /// `count` batches of two families each, every `sync_every`-th synced.
    fn burst(&mut self, count: u64, sync_every: u64, families: [&str; 2], value_bytes: usize) {
        for _ in 0..count {
            self.counter += 1;
            let (key, value) =
                (format!("k{:03}", self.counter % 40), format!("{:0width$}", self.counter, width = value_bytes));
            let other = format!("n{:05}", self.counter);
            self.write(
                &[(families[0], &key, Some(&value)), (families[1], &other, Some(&value))],
                self.counter.is_multiple_of(sync_every),
            );
        }
    }

    fn create(&mut self, name: &str) {
        // Present from now on, but empty: a crash may leave it out, which the comparison does not see.
        self.db().create_column_family(name, &self.options).unwrap();
        self.families.insert(name.to_owned());
    }

    fn drop_family(&mut self, name: &str) {
        self.state.retain(|(family, _), _| family != name);
        self.history.states.push(self.state.clone());
        self.history.begun.push((self.files.op_count(), self.history.states.len()));
        let family = self.family(name);
        self.db().drop_column_family(&family).unwrap();
        self.synced();
    }

    /// A table in each format.
    fn create_tables(&mut self) {
        self.has_tables = true;
        for (name, format) in [("rows-a", "arrow"), ("rows-p", "parquet")] {
            let columns = ["k", "v"].map(|name| Field::new(name, DataType::Utf8, name == "v"));
            // Not Zstd, for the time that its contexts take: docs/testing.md.
            let options =
                self.options.clone().with("compression", "lz4").unwrap().with("table_format", format).unwrap();
            let schema = Schema::new(columns.to_vec());
            self.db().create_table(name, &schema, &["k"], &KeyOptions::default(), &options).unwrap();
        }
    }

    /// `count` batches over both tables and a family, with deletes.
    fn mixed_burst(&mut self, count: u64, sync_every: u64) {
        for _ in 0..count {
            self.counter += 1;
            let (key, value) = (format!("k{:03}", self.counter % 7), format!("{:030}", self.counter));
            let (other, old) = (format!("n{:05}", self.counter), format!("n{:05}", self.counter / 2));
            self.write(
                &[
                    ("rows-p", &key, Some(&value)),
                    ("default", &key, Some(&value)),
                    ("rows-a", &key, Some(&value)),
                    ("rows-p", &other, Some(&value)),
                    ("rows-a", &old, None),
                    ("rows-a", &other, Some(&value)),
                    ("rows-p", &old, None),
                ],
                self.counter.is_multiple_of(sync_every),
            );
        }
    }

    fn drop_table(&mut self, name: &str) {
        self.state.retain(|(family, _), _| family != name);
        self.history.states.push(self.state.clone());
        self.history.begun.push((self.files.op_count(), self.history.states.len()));
        let table = self.db().table(name).unwrap();
        self.db().drop_table(&table).unwrap();
        self.synced();
    }

    fn flush(&mut self) {
        self.db().flush(&[]).unwrap().wait(None).unwrap();
        self.synced();
    }

    fn close(&mut self, flush: bool) {
        let db = self.db.take().unwrap();
        db.close(&CloseOptions { flush: Some(flush), ..CloseOptions::default() }).unwrap();
        self.synced();
    }

    /// Nobody writes for a while: the log is marked.
    fn idle(&self) {
        self.runtime.sleep(std::time::Duration::from_secs(3));
    }

    fn work(&self) {
        self.runtime.run_until_idle();
    }
}

/// One row, or the key of one.
fn row(key: &str, value: Option<&str>) -> RecordBatch {
    let columns = [("k", Some(key)), ("v", value)].into_iter().filter(|(_, value)| value.is_some());
    let columns = columns.map(|(name, value)| (name, Arc::new(StringArray::from(vec![value])) as ArrayRef));
    RecordBatch::try_from_iter(columns).unwrap()
}

fn contents(db: &Db) -> State {
    let mut state = State::new();
    for name in db.tables().unwrap() {
        let table = db.table(&name).unwrap();
        // The value's column may have got another name.
        let columns = table.schema();
        let columns = ["k", columns.fields().iter().find(|field| field.name().starts_with('v')).unwrap().name()];
        let columns = Some(columns.map(str::to_owned).to_vec());
        let scan = ScanOptions { columns: columns.clone(), ..ScanOptions::default() };
        for batch in db.scan(&table, &scan, &ReadOptions::default()).unwrap() {
            let batch = batch.unwrap();
            for at in 0..batch.num_rows() {
                let [key, value] = [0, 1].map(|column| batch.column(column).as_string::<i32>().value(at));
                let found = db.get_row(&table, &row(key, None), columns.as_deref(), &ReadOptions::default()).unwrap();
                assert_eq!(found, Some(batch.slice(at, 1)), "lookup and scan agree");
                let twice = state.insert((name.clone(), key.as_bytes().to_vec()), value.as_bytes().to_vec());
                assert_eq!(twice, None, "a key comes once");
            }
        }
    }
    // What has no log stands outside the promise of a prefix.
    for name in db.column_families().unwrap().into_iter().filter(|name| name != "bare") {
        let family = db.column_family(&name).unwrap();
        let mut iterator = db.iterator(&family, IterOptions::default()).unwrap();
        let mut valid = iterator.seek_to_first().unwrap();
        while valid {
            let value = db.get(&family, iterator.key(), &ReadOptions::default()).unwrap();
            assert_eq!(value.as_deref(), Some(iterator.value()), "get and iterator agree");
            state.insert((name.clone(), iterator.key().to_vec()), iterator.value().to_vec());
            valid = iterator.next().unwrap();
        }
    }
    state
}

#[derive(Default)]
struct Totals {
    images: u64,
    distinct: u64,
    inside_recovery: u64,
    lost_tail: u64,
}

struct Enumeration<'a> {
    script: &'a Script,
    seen: HashSet<u64>,
    totals: Totals,
}

impl Enumeration<'_> {
    /// Opens what a cut left, and holds it against the history. `op`: the call that the cut came before.
    fn check(&mut self, files: &Arc<MemFileSystem>, op: u64, what: &str, recurse: bool) {
        if !self.seen.insert(files.fingerprint() ^ op.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            return;
        }
        self.totals.distinct += 1;
        let history = &self.script.history;
        let must = history.durable.iter().filter(|(at, _)| *at <= op).map(|(_, index)| *index).max().unwrap_or(0);
        let can = history.begun.iter().filter(|(at, _)| *at <= op).map(|(_, count)| *count).max().unwrap_or(1);
        if recurse {
            files.record_images();
        }
        let (env, _runtime) = env(files, op);
        let db = match Db::open_in(env, Path::new("/db"), &self.script.options) {
            Ok(db) => db,
            Err(error) => panic!("cut before call {op}, {what}: does not open: {error}"),
        };
        let found = contents(&db);
        let matching = (must..can).rev().find(|&index| history.states[index] == found);
        let Some(index) = matching else {
            let anywhere = history.states.iter().position(|state| *state == found);
            panic!(
                "cut before call {op}, {what}: found {} entries, which is the state after commit {anywhere:?}; expected one of {must}..{can}",
                found.len()
            );
        };
        if index + 1 < can {
            self.totals.lost_tail += 1;
        }
        if self.script.has_tables {
            db.verify().unwrap_or_else(|error| panic!("cut before call {op}, {what}: {error}"));
            self.check_table_files(files, &db);
        }
        // It takes writes again, and keeps them.
        let family = db.default_family();
        db.put(&family, b"after", b"crash", &WriteOptions { durability: Some(Durability::Sync), no_stall: false })
            .unwrap();
        drop(family);
        if recurse {
            let images = files.take_images();
            let first_write = images.len();
            for (step, recorded) in images.iter().enumerate().take(first_write) {
                if step % 2 == 1 {
                    continue;
                }
                let mut choices: [Box<dyn CrashChoice>; 3] =
                    [Box::new(AllLost), Box::new(AllKept), Box::new(RandomSectors(op + step as u64))];
                for choice in &mut choices {
                    let left = recorded.image.crash_clone(choice.as_mut());
                    self.totals.inside_recovery += 1;
                    self.check_again(
                        &left,
                        must,
                        can,
                        &found,
                        &format!("cut before call {op}, {what}, then before call {step} of the opening"),
                    );
                }
            }
        }
    }

    /// Nothing half of a table's file is left: what is there was finished once, and what is live is there.
    fn check_table_files(&self, files: &Arc<MemFileSystem>, db: &Db) {
        for name in db.tables().unwrap() {
            let found = files.list(&Path::new("/db/table").join(&name)).unwrap_or_default();
            assert!(found.iter().all(|name| !name.ends_with(".tmp")), "{found:?}");
            for segment in db.table_segments(&db.table(&name).unwrap()).unwrap() {
                assert!(files.file_len(&segment.path).unwrap().is_some(), "{}", segment.path.display());
            }
        }
    }

    /// After a second cut, inside recovery or the write that followed it: the same oracle, the write being there or not.
    fn check_again(&self, files: &Arc<MemFileSystem>, must: usize, can: usize, found: &State, what: &str) {
        let (env, _runtime) = env(files, 3);
        let db =
            Db::open_in(env, Path::new("/db"), &self.script.options).unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut again = contents(&db);
        again.remove(&("default".to_owned(), b"after".to_vec()));
        let history = &self.script.history;
        let ok = again == *found || history.states[must..can].contains(&again);
        assert!(ok, "{what}: not a prefix that holds every synced commit");
    }

    fn all(&mut self, pages: bool) {
        let images = self.script.files.take_images();
        self.totals.images += images.len() as u64;
        let (choices, recovery_every) = (profile::CRASH_CHOICES.get(), profile::CRASH_RECOVERY_EVERY.get().max(1));
        for recorded in &images {
            let (op, image) = (recorded.op, &recorded.image);
            let recurse = op % recovery_every == 0;
            let mut cut = |choice: &mut dyn CrashChoice, what: &str, recurse: bool| {
                let left = image.crash_clone(choice);
                self.check(&left, op, what, recurse);
            };
            cut(&mut AllLost, "all lost", recurse);
            cut(&mut AllKept, "all kept", recurse);
            cut(&mut Zeroed, "zeroed", false);
            cut(&mut Torn(op), "torn", false);
            for at in [1, 7, 20, 512] {
                cut(&mut TornLast(at), "last write torn", false);
            }
            for seed in 0..choices {
                cut(&mut RandomSectors(op * choices + seed), "random sectors", false);
                if pages {
                    cut(&mut RandomPages(op * choices + seed), "random pages", recurse);
                }
            }
            let names = image.unsynced_dir_ops().min(6) as u32;
            for bits in 0..1u64 << names {
                for both in [false, true] {
                    let entries = DirSubset { bits: bits | !0 << names, both };
                    cut(&mut Combined { data: AllLost, entries }, "names in a subset, bytes lost", false);
                    cut(&mut entries.clone(), "names in a subset, bytes kept", false);
                }
            }
        }
    }
}

fn run(name: &str, script: impl Fn(&mut Script)) {
    for backend in ["write", "mapped"] {
        let mut run = Script::new(backend);
        script(&mut run);
        let mut enumeration = Enumeration { script: &run, seen: HashSet::new(), totals: Totals::default() };
        enumeration.all(backend == "mapped");
        let Totals { images, distinct, inside_recovery, lost_tail } = enumeration.totals;
        println!(
            "{name}, {backend} log: {images} calls, {distinct} distinct states, {lost_tail} without the last commit, {inside_recovery} cuts inside recovery"
        );
        assert!(images > 10 && distinct > images);
    }
}

#[test]
fn buffered_and_synced_puts() {
    run("puts", |script| script.burst(24, 5, ["default", "default"], 20));
}

#[test]
fn batches_over_two_families() {
    run("batches", |script| {
        script.create("other");
        script.burst(20, 4, ["default", "other"], 30);
    });
}

#[test]
fn flushes_by_hand_of_both_families() {
    run("manual flushes", |script| {
        script.create("other");
        for _ in 0..3 {
            script.burst(6, 5, ["default", "other"], 30);
            script.flush();
        }
        script.burst(3, 2, ["default", "other"], 30);
    });
}

#[test]
fn a_flush_of_one_family_only() {
    run("one-sided flush", |script| {
        script.create("other");
        script.burst(8, 100, ["default", "other"], 30);
        let family = script.family("default");
        script.db().flush(&[&family]).unwrap().wait(None).unwrap();
        drop(family);
        script.burst(5, 100, ["other", "default"], 30);
        let family = script.family("other");
        script.db().flush(&[&family]).unwrap().wait(None).unwrap();
        drop(family);
        script.burst(2, 100, ["default", "other"], 30);
    });
}

#[test]
fn full_memtables_flush_in_the_background() {
    run("background flushes", |script| {
        script.create("other");
        for _ in 0..6 {
            script.burst(4, 7, ["default", "other"], 300);
            script.work();
        }
    });
}

#[test]
fn runs_are_merged() {
    run("merges", |script| {
        for _ in 0..5 {
            script.burst(3, 3, ["default", "default"], 40);
            script.flush();
            script.work();
        }
        script.write(&[("default", "k001", None), ("default", "k002", None)], true);
        let family = script.family("default");
        script.db().compact(&family).unwrap();
    });
}

#[test]
fn families_are_dropped_and_made_again() {
    run("drops", |script| {
        script.create("other");
        script.burst(5, 2, ["default", "other"], 30);
        script.flush();
        script.burst(3, 2, ["other", "default"], 30);
        script.drop_family("other");
        script.burst(2, 2, ["default", "default"], 30);
        script.create("other");
        script.burst(4, 2, ["other", "default"], 30);
    });
}

#[test]
fn closed_and_opened_again() {
    run("reopens", |script| {
        for flush in [false, true, false] {
            script.burst(6, 4, ["default", "default"], 30);
            script.close(flush);
            script.open();
        }
        script.burst(3, 2, ["default", "default"], 30);
    });
}

#[test]
fn idle_between_writes() {
    run("idle", |script| {
        script.create("other");
        for sync_every in [4, 3, 100] {
            script.burst(8, sync_every, ["default", "other"], 30);
            script.idle();
        }
        let family = script.family("other");
        script.db().flush(&[&family]).unwrap().wait(None).unwrap();
        drop(family);
        script.idle();
        script.burst(3, 3, ["default", "other"], 30);
        script.idle();
        script.close(false);
        script.open();
        script.idle();
        script.burst(2, 1, ["default", "other"], 30);
        script.idle();
    });
}

/// Their sequences are in no log, and greater than any that is.
#[test]
fn beside_a_family_without_a_log() {
    run("unlogged", |script| {
        let unlogged = script.options.clone().with("logged", "false").unwrap();
        script.db().create_column_family("bare", &unlogged).unwrap();
        for round in 0..3 {
            script.burst(4, 3, ["default", "default"], 30);
            // The same thing again and again, and flushed: always there, or not yet.
            let family = script.family("bare");
            for _ in 0..10 {
                script.db().put(&family, b"bare", b"value", &WriteOptions::default()).unwrap();
            }
            script.db().flush(&[&family]).unwrap().wait(None).unwrap();
            drop(family);
            if round == 1 {
                script.close(false);
                script.open();
            }
        }
        script.burst(3, 2, ["default", "default"], 30);
    });
}

#[test]
fn deletes_and_overwrites() {
    run("deletes", |script| {
        script.burst(10, 3, ["default", "default"], 20);
        script.write(&[("default", "k001", None), ("default", "n00002", None)], false);
        script.flush();
        script.write(&[("default", "k003", None), ("default", "n00004", Some("back"))], true);
        script.write(&[("default", "n00004", None)], false);
        script.burst(4, 100, ["default", "default"], 20);
    });
}

#[test]
fn the_log_goes_over_several_segments() {
    run("segments", |script| {
        script.options.set("write_buffer_bytes", "1MiB").unwrap();
        script.close(true);
        script.open();
        script.burst(12, 5, ["default", "default"], 40_000);
        script.burst(4, 3, ["default", "default"], 20);
    });
}

#[test]
fn the_manifest_is_rolled() {
    run("manifest rolls", |script| {
        script.options.set("manifest_bytes", "4KiB").unwrap();
        script.close(true);
        script.open();
        for _ in 0..6 {
            for index in 0..2 {
                script.create(&format!("f{index}"));
            }
            script.burst(2, 2, ["f0", "f1"], 30);
            script.flush();
            script.drop_family("f0");
            script.drop_family("f1");
        }
    });
}

#[test]
fn batches_over_tables_and_a_family() {
    run("rows", |script| {
        script.create_tables();
        script.mixed_burst(5, 3);
    });
}

#[test]
fn tables_are_flushed() {
    run("flushes of tables", |script| {
        script.create_tables();
        for _ in 0..2 {
            script.mixed_burst(2, 2);
            script.flush();
        }
        script.mixed_burst(2, 2);
    });
}

#[test]
fn files_of_tables_are_merged() {
    run("merges of tables", |script| {
        script.create_tables();
        for _ in 0..2 {
            script.mixed_burst(2, 3);
            script.flush();
        }
        for name in ["rows-a", "rows-p"] {
            let table = script.db().table(name).unwrap();
            script.db().compact_table(&table).unwrap();
        }
        script.mixed_burst(1, 1);
    });
}

#[test]
fn tables_are_changed_dropped_and_opened_again() {
    run("changes of tables", |script| {
        script.create_tables();
        script.mixed_burst(2, 2);
        for (name, change) in [
            ("rows-a", SchemaChange::Rename { name: "v".into(), to: "value".into() }),
            ("rows-p", SchemaChange::Add { field: Field::new("x", DataType::Int64, true), position: Some(0) }),
        ] {
            let table = script.db().table(name).unwrap();
            script.db().alter_table(&table, &change).unwrap();
        }
        script.close(false);
        script.open();
        script.drop_table("rows-a");
        script.write(&[("rows-p", "k001", None), ("default", "k001", None)], true);
        script.close(true);
        script.open();
        script.write(&[("rows-p", "k002", Some("x")), ("default", "k002", Some("x"))], true);
    });
}
