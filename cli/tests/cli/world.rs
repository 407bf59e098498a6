//! A database with a family and a table, in files and in the log, and the command run over it.

use arrow_array::{Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use serde_json::Value;
use sstore::{CloseOptions, Db, KeyOptions, Options, WriteBatch, WriteOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

/// A directory with a database in it, which nobody has open.
pub struct World {
    folder: tempfile::TempDir,
}

/// How the command ended, and what it said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl World {
    /// A folder without a database.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Two files of the family, one of each table, and a log with more.
    pub fn new() -> Self {
        let world = Self::empty();
        let db = world.open();
        fill(&db);
        world.close(db);
        world
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("db")
    }

    pub fn open(&self) -> Db {
        let options = Options::new().with("auto_compaction", "false").unwrap();
        Db::open(self.path(), &options.with("flush_on_close", "false").unwrap()).unwrap()
    }

    pub fn close(&self, db: Db) {
        db.close(&CloseOptions { flush: Some(false), ..CloseOptions::default() }).unwrap();
    }

    /// Runs the command: the verb, the database, the rest.
    pub fn run(&self, verb: &str, rest: &[&str]) -> Said {
        let path = self.path();
        run(&[&[verb, path.to_str().unwrap()], rest].concat())
    }

    /// The same in JSON, which must succeed: each line as a value.
    pub fn json(&self, verb: &str, rest: &[&str]) -> Vec<Value> {
        let said = self.run(verb, &[rest, &["--format", "json"]].concat());
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
        lines(&said.out)
    }

    /// The files whose names end so, sorted.
    pub fn files(&self, suffix: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.path(), suffix, &mut found);
        found.sort();
        found
    }
}

/// What a fresh database is filled with.
pub fn fill(db: &Db) {
    let family = db.default_family();
    let options = WriteOptions::default();
    for round in 0..2 {
        for number in 0..100 {
            let (key, value) = (format!("key{number:03}"), format!("value {round} {number}"));
            db.put(&family, key.as_bytes(), value.as_bytes(), &options).unwrap();
        }
        // Seen by somebody, the old version stays beside the delete.
        let seen = db.snapshot().unwrap();
        db.delete(&family, b"key050", &options).unwrap();
        db.flush(&[]).unwrap().wait(None).unwrap();
        drop(seen);
    }
    for (name, format) in [("pets", "parquet"), ("log", "arrow")] {
        let keyed: &[&str] = if name == "pets" { &["name"] } else { &[] };
        let options = Options::new().with("table_format", format).unwrap();
        let table = db.create_table(name, &columns(), keyed, &KeyOptions::default(), &options).unwrap();
        db.append(&table, &rows(), &WriteOptions::default()).unwrap();
        db.flush_tables(&[&table]).unwrap().wait(None).unwrap();
        db.append(&table, &rows(), &WriteOptions::default()).unwrap();
    }
    let mut batch = WriteBatch::new();
    batch.put(family.id(), b"odd\x00key\xff", b"\n").unwrap();
    batch.put(family.id(), b"key100", b"in the log").unwrap();
    batch.delete(family.id(), b"key000").unwrap();
    db.write(&batch, &options).unwrap();
}

fn columns() -> Schema {
    Schema::new(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("age", DataType::Int64, true),
        Field::new("seen", DataType::Timestamp(TimeUnit::Microsecond, None), true),
    ])
}

fn rows() -> RecordBatch {
    let names = StringArray::from(vec!["Mia", "O'Neil", "Tom"]);
    let ages = Int64Array::from(vec![Some(2), None, Some(9)]);
    let seen = TimestampMicrosecondArray::from(vec![Some(0), Some(1_000_000), None]);
    RecordBatch::try_new(Arc::new(columns()), vec![Arc::new(names), Arc::new(ages), Arc::new(seen)]).unwrap()
}

fn collect(dir: &Path, suffix: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, suffix, found);
        } else if path.to_str().unwrap().ends_with(suffix) {
            found.push(path);
        }
    }
}

/// The command with these arguments, not started.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sstore"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the command to its end. No run may panic.
pub fn run(arguments: &[&str]) -> Said {
    let Output { status, stdout, stderr } = command(arguments).output().unwrap();
    let [out, err] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(!err.contains("panicked"), "{arguments:?}: {err}");
    Said { code: status.code().expect("ended by a signal"), out, err }
}

/// Each line as JSON.
pub fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}
