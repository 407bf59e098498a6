//! One run of a script under faults: what was written, with what promise, and what an opening must find of it.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use sstore::env::executor::SeededRuntime;
use sstore::env::mem::MemFileSystem;
use sstore::env::{Env, FileSystem};
use sstore::{
    CloseOptions, Db, Durability, Error, ErrorKind, EventKind, IterOptions, KeyOptions, Options, ReadOptions,
    ScanOptions, WriteBatch, WriteOptions,
};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub const DIRECTORY: &str = "/db";
/// More steps of background tasks than this are a hang. The script itself takes a few hundred.
const STEPS_MAX: u64 = 20_000;
/// The tables, by name and format.
const FORMATS: [&str; 2] = ["parquet", "arrow"];
const VALUE_BYTES: usize = 300;

/// What became of one write, as far as its caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Buffered,
    Synced,
    /// Refused with the promise that it was not made.
    Undone,
    /// It failed and may be there or not.
    Unknown,
}

/// One run of the script.
pub struct Run {
    files: Arc<dyn FileSystem>,
    pub runtime: Arc<SeededRuntime>,
    pub options: Options,
    pub db: Option<Db>,
    /// Whether each write also puts a row into two tables.
    has_tables: bool,
    /// By number of the write: one batch over both families, and the tables if there are any.
    pub writes: Vec<Fate>,
    pub errors: Vec<Error>,
    background_errors: Arc<AtomicU64>,
    seed: u64,
    /// Whether the family that comes and goes must be there; `None`: its last change failed.
    pub guest: Option<bool>,
}

fn options(backend: &str, background_errors: &Arc<AtomicU64>) -> Options {
    let set = [
        ("write_buffer_bytes", "16KiB"),
        ("wal_segment_bytes", "64KiB"),
        ("memory_budget_bytes", "1MiB"),
        ("block_bytes", "512"),
        ("manifest_bytes", "4KiB"),
        ("wal_backend", backend),
    ];
    let mut options = set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
    let count = background_errors.clone();
    options.set_listener(Arc::new(move |event| {
        if event.kind == EventKind::BackgroundError {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }));
    options
}

fn key(number: usize) -> Vec<u8> {
    format!("w{number:04}").into_bytes()
}

impl Run {
    /// `seed` chooses the order of background work.
    pub fn new(files: Arc<dyn FileSystem>, backend: &str, seed: u64) -> Self {
        let background_errors = Arc::default();
        let options = options(backend, &background_errors);
        let runtime = SeededRuntime::new(seed * 1000 + 1);
        Self {
            files,
            runtime,
            options,
            db: None,
            has_tables: false,
            writes: Vec::new(),
            errors: Vec::new(),
            background_errors,
            seed: seed * 1000 + 1,
            guest: Some(false),
        }
    }

    fn note<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }

    /// Opens, if it is not open; an opening that fails is tried once more, as an application would.
    pub fn open(&mut self) {
        for _ in 0..2 {
            if self.db.is_some() {
                return;
            }
            self.check_steps();
            self.seed += 1;
            self.runtime = SeededRuntime::new(self.seed);
            let env = Env { files: self.files.clone(), runtime: self.runtime.clone() };
            let opened = Db::open_in(env, Path::new(DIRECTORY), &self.options);
            self.db = self.note(opened);
            if let Some(db) = &self.db
                && db.column_family("other").is_err()
            {
                let made = db.create_column_family("other", &self.options);
                self.note(made);
            }
            self.make_tables();
        }
    }

    /// The same with a table of each format in every write.
    pub fn with_tables(mut self) -> Self {
        self.has_tables = true;
        self
    }

    /// The names of the tables.
    fn tables(&self) -> &'static [&'static str] {
        if self.has_tables { &FORMATS } else { &[] }
    }

    fn make_tables(&mut self) {
        let Some(db) = self.db.clone() else { return };
        for format in self.tables() {
            if db.table(format).is_ok() {
                continue;
            }
            // Not Zstd, for the time that its contexts take: docs/testing.md.
            let options =
                self.options.clone().with("compression", "lz4").unwrap().with("table_format", format).unwrap();
            let columns = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
            let made = db.create_table(format, &columns, &["id"], &KeyOptions::default(), &options);
            self.note(made);
        }
    }

    pub fn check_steps(&self) {
        assert!(self.runtime.step_count() < STEPS_MAX, "background tasks never rest");
    }

    pub fn close(&mut self, flush: bool) {
        let Some(db) = self.db.take() else { return };
        let closed = db.close(&CloseOptions { flush: Some(flush), ..CloseOptions::default() });
        self.note(closed);
        assert!(db.is_closed());
    }

    pub fn write(&mut self, durability: Durability) {
        let Some(db) = self.db.clone() else { return };
        let Some(other) = self.note(db.column_family("other")) else { return };
        let number = self.writes.len();
        let mut batch = WriteBatch::new();
        for family in [&db.default_family(), &other] {
            batch.put(family.id(), &key(number), &[number as u8; VALUE_BYTES]).unwrap();
        }
        for format in self.tables() {
            let Some(table) = self.note(db.table(format)) else { return };
            let ids: ArrayRef = Arc::new(Int64Array::from(vec![number as i64]));
            table.put_rows(&mut batch, &RecordBatch::try_from_iter([("id", ids)]).unwrap()).unwrap();
        }
        let written = db.write(&batch, &WriteOptions { durability: Some(durability), no_stall: false });
        let fate = match &written {
            Ok(_) if durability == Durability::Sync => Fate::Synced,
            Ok(_) => Fate::Buffered,
            Err(error)
                if matches!(error.kind(), ErrorKind::NoSpace | ErrorKind::Io) && durability == Durability::Buffered =>
            {
                Fate::Undone
            }
            Err(_) => Fate::Unknown,
        };
        self.writes.push(fate);
        self.note(written);
    }

    pub fn burst(&mut self, count: usize, sync_every: usize) {
        for index in 1..=count {
            let sync = index % sync_every == 0;
            self.write(if sync { Durability::Sync } else { Durability::Buffered });
            if index % 5 == 0 {
                self.runtime.run_some();
            }
        }
    }

    pub fn flush(&mut self) {
        let Some(db) = self.db.clone() else { return };
        let flushed = db.flush(&[]).and_then(|token| token.wait(None));
        self.note(flushed);
    }

    pub fn merge(&mut self) {
        let Some(db) = self.db.clone() else { return };
        let merged = db.compact(&db.default_family());
        self.note(merged);
        for format in self.tables() {
            let merged = db.table(format).and_then(|table| db.compact_table(&table));
            self.note(merged);
        }
    }

    pub fn guest(&mut self, create: bool) {
        let Some(db) = self.db.clone() else { return };
        if create {
            let made = db.create_column_family("guest", &self.options);
            self.guest = made.is_ok().then_some(true);
            if let Some(family) = self.note(made) {
                let written = db.put(&family, b"k", &[1; VALUE_BYTES], &WriteOptions::default());
                self.note(written);
            }
        } else {
            let Ok(family) = db.column_family("guest") else { return };
            let dropped = db.drop_column_family(&family);
            self.guest = dropped.is_ok().then_some(false);
            self.note(dropped);
        }
    }

    pub fn script(&mut self) {
        self.open();
        self.burst(6, 3);
        self.flush();
        self.guest(true);
        self.burst(40, 9);
        self.flush();
        self.merge();
        self.runtime.run_until_idle();
        self.close(false);
        self.open();
        self.burst(5, 2);
        self.guest(false);
        self.flush();
        self.read_back();
        self.burst(30, 11);
        self.close(true);
        self.open();
        self.read_back();
        self.burst(3, 2);
    }

    /// A shorter one, for tables, whose files take more calls.
    pub fn script_of_tables(&mut self) {
        self.open();
        self.burst(6, 3);
        self.flush();
        self.burst(12, 5);
        self.flush();
        self.merge();
        self.runtime.run_until_idle();
        self.close(false);
        self.open();
        self.burst(4, 2);
        self.read_back();
        self.close(true);
        self.open();
        self.read_back();
        self.burst(3, 2);
    }

    /// Up to the moment of a kill: a file of each kind, a merge, a family that came, and writes that only the log holds.
    pub fn script_before_a_kill(&mut self) {
        self.open();
        self.burst(6, 3);
        self.flush();
        self.guest(true);
        self.burst(12, 5);
        self.flush();
        self.merge();
        self.burst(9, 4);
    }

    /// What is done with a database that was killed.
    pub fn script_of_recovery(&mut self) {
        self.open();
        self.read_back();
        self.burst(3, 2);
        self.flush();
        self.close(true);
        self.open();
        self.read_back();
    }

    /// Every family in full. An error is fine, a wrong answer is not.
    pub fn read_back(&mut self) {
        let Some(db) = self.db.clone() else { return };
        match contents(&db) {
            Ok(found) => check(&found, &self.writes, Fate::Buffered, "while it runs"),
            Err(error) => self.errors.push(error),
        }
    }

    pub fn surfaced(&self) -> bool {
        !self.errors.is_empty() || self.background_errors.load(Ordering::Relaxed) > 0
    }
}

/// The numbers of the writes found; both families must agree, and the tables.
pub fn contents(db: &Db) -> Result<BTreeSet<usize>, Error> {
    let mut found: Vec<BTreeSet<usize>> = Vec::new();
    for name in ["default", "other"] {
        let Ok(family) = db.column_family(name) else { continue };
        let mut numbers = BTreeSet::new();
        let mut iterator = db.iterator(&family, IterOptions::default())?;
        let mut valid = iterator.seek_to_first()?;
        while valid {
            let number: usize = std::str::from_utf8(&iterator.key()[1..]).unwrap().parse().unwrap();
            assert_eq!(iterator.value(), [number as u8; VALUE_BYTES]);
            assert!(db.get(&family, iterator.key(), &ReadOptions::default())?.is_some(), "get and iterator agree");
            numbers.insert(number);
            valid = iterator.next()?;
        }
        found.push(numbers);
    }
    for name in db.tables()? {
        let table = db.table(&name)?;
        let mut numbers = BTreeSet::new();
        for batch in db.scan(&table, &ScanOptions::default(), &ReadOptions::default())? {
            let batch = batch?;
            numbers.extend(batch.column(0).as_primitive::<Int64Type>().values().iter().map(|id| *id as usize));
        }
        // It is made before the first write, so that what it lacks is lost.
        assert!(found.first().is_none_or(|first| *first == numbers), "batches are whole, rows included");
    }
    let first = found.first().cloned().unwrap_or_default();
    if found.len() == 2 {
        assert_eq!(found[0], found[1], "batches are whole");
    } else {
        assert!(first.is_empty(), "a family is missing");
    }
    Ok(first)
}

/// `least`: what kind of acknowledgement must hold.
pub fn check(found: &BTreeSet<usize>, writes: &[Fate], least: Fate, when: &str) {
    let last_promised = match least {
        Fate::Synced => writes.iter().rposition(|fate| *fate == Fate::Synced),
        _ => writes.iter().rposition(|fate| matches!(fate, Fate::Synced | Fate::Buffered)),
    };
    let last_found = found.last().copied();
    for (number, fate) in writes.iter().enumerate() {
        let promised = last_promised.is_some_and(|last| number <= last);
        let prefix = last_found.is_some_and(|last| number <= last);
        match fate {
            Fate::Buffered | Fate::Synced => {
                assert!(!promised || found.contains(&number), "{when}: acknowledged write {number} is lost ({fate:?})");
                assert!(!prefix || found.contains(&number), "{when}: a hole at write {number} before {last_found:?}");
            }
            Fate::Undone => assert!(!found.contains(&number), "{when}: write {number} was refused and is there"),
            Fate::Unknown => {}
        }
    }
    assert!(last_found.is_none_or(|last| last < writes.len()));
}

/// Opens without faults: must succeed, hold what was promised, and take writes.
pub fn reopen(run: &Run, files: Arc<MemFileSystem>, least: Fate, when: &str) {
    let runtime = SeededRuntime::new(99);
    let env = Env { files, runtime: runtime.clone() };
    let db = Db::open_in(env, Path::new(DIRECTORY), &run.options)
        .unwrap_or_else(|error| panic!("{when}: does not open: {error}"));
    let found = contents(&db).unwrap_or_else(|error| panic!("{when}: does not read: {error}"));
    check(&found, &run.writes, least, when);
    if let Some(expected) = run.guest {
        assert_eq!(db.column_family("guest").is_ok(), expected, "{when}: the family that comes and goes");
    }
    let sync = WriteOptions { durability: Some(Durability::Sync), no_stall: false };
    db.put(&db.default_family(), b"w9999", &[9999_usize as u8; VALUE_BYTES], &sync).unwrap();
    db.flush(&[]).unwrap().wait(None).unwrap();
    runtime.run_until_idle();
    db.verify().unwrap();
    assert!(runtime.step_count() < STEPS_MAX);
    db.close(&CloseOptions::default()).unwrap();
}
