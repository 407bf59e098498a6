//! The world of these tests: files in memory whose calls are counted, one thread, a table `t`, and short words for what is done to it.

pub use arrow_array::cast::AsArray;
pub use arrow_array::types::{Float64Type, Int64Type};
pub use arrow_array::*;
pub use arrow_schema::{DataType, Field, Schema, TimeUnit};
pub use bytes::Bytes;
pub use parquet::basic::Compression;
pub use parquet::file::reader::{FileReader, SerializedFileReader};
pub use parquet::file::statistics::Statistics;
pub use sstore::env::executor::SeededRuntime;
pub use sstore::env::fault::{Effect, FaultFileSystem, Rule};
pub use sstore::env::mem::MemFileSystem;
pub use sstore::env::mem::crash::{AllKept, AllLost};
pub use sstore::env::{Call, Env, FileSystem, Runtime};
pub use sstore::{
    CloseOptions, Db, ErrorKind, Filter, KeyOptions, Options, ReadOptions, ScanOptions, SchemaChange, Table,
    WriteBatch, WriteOptions,
};
pub use std::path::{Path, PathBuf};
pub use std::sync::Arc;

pub const FORMATS: [&str; 2] = ["parquet", "arrow"];
pub const DIRECTORY: &str = "/db/table/t";

pub struct World {
    pub files: Arc<MemFileSystem>,
    pub calls: Arc<FaultFileSystem>,
    pub runtime: Arc<SeededRuntime>,
    pub db: Db,
}

pub fn options(set: &[(&str, &str)]) -> Options {
    let options = Options::new().with("auto_compaction", "false").unwrap();
    set.iter().fold(options, |options, (name, value)| options.with(name, value).unwrap())
}

pub fn open(files: Arc<MemFileSystem>, options: &Options) -> World {
    let (runtime, calls) = (SeededRuntime::new(3), FaultFileSystem::new(files.clone(), Vec::new()));
    let env = Env { files: calls.clone(), runtime: runtime.clone() };
    let db = Db::open_in(env, Path::new("/db"), options).unwrap();
    World { files, calls, runtime, db }
}

pub fn columns() -> Schema {
    Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("time", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        Field::new("value", DataType::Float64, true),
        Field::new("name", DataType::Utf8, true),
    ])
}

/// A row for each id: its time is its id, its value what is given.
pub fn rows(ids: impl IntoIterator<Item = i64>, value: f64) -> RecordBatch {
    let ids: Vec<i64> = ids.into_iter().collect();
    let names: StringArray = ids.iter().map(|id| Some(format!("name {}", id % 100))).collect();
    let columns_of: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.clone())),
        Arc::new(TimestampMillisecondArray::from(ids.clone())),
        Arc::new(Float64Array::from(vec![value; ids.len()])),
        Arc::new(names),
    ];
    RecordBatch::try_new(Arc::new(columns()), columns_of).unwrap()
}

pub fn key(id: i64) -> RecordBatch {
    keys(&[id])
}

pub fn keys(ids: &[i64]) -> RecordBatch {
    RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef)]).unwrap()
}

/// A world with a keyed table `t`.
pub fn world(set: &[(&str, &str)]) -> (World, Table) {
    let world = open(MemFileSystem::new(), &Options::new());
    let table = world.db.create_table("t", &columns(), &["id"], &KeyOptions::default(), &options(set)).unwrap();
    (world, table)
}

impl World {
    pub fn put(&self, table: &Table, ids: impl IntoIterator<Item = i64>, value: f64) {
        self.db.append(table, &rows(ids, value), &WriteOptions::default()).unwrap();
    }

    pub fn delete(&self, table: &Table, ids: &[i64]) {
        self.db.delete_from(table, &keys(ids), &WriteOptions::default()).unwrap();
    }

    pub fn flush(&self) {
        self.db.flush(&[]).unwrap().wait(None).unwrap();
    }

    /// Ids and values.
    pub fn found(&self, table: &Table, scan: &ScanOptions, read: &ReadOptions<'_>) -> Vec<(i64, f64)> {
        let mut found = Vec::new();
        for batch in self.db.scan(table, scan, read).unwrap() {
            let batch = batch.unwrap();
            let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
            let values = batch.column_by_name("value").unwrap().as_primitive::<Float64Type>();
            found.extend(ids.values().iter().copied().zip(values.values().iter().copied()));
        }
        found
    }

    pub fn all(&self, table: &Table) -> Vec<(i64, f64)> {
        self.found(table, &ScanOptions::default(), &ReadOptions::default())
    }

    pub fn get(&self, table: &Table, id: i64) -> Option<f64> {
        let row = self.db.get_row(table, &key(id), None, &ReadOptions::default()).unwrap()?;
        Some(row.column_by_name("value").unwrap().as_primitive::<Float64Type>().value(0))
    }

    pub fn paths(&self, table: &Table) -> Vec<PathBuf> {
        self.db.table_segments(table).unwrap().into_iter().map(|segment| segment.path).collect()
    }

    pub fn list(&self, path: &str) -> Vec<String> {
        self.files.list(Path::new(path)).unwrap_or_default()
    }

    pub fn bytes(&self, path: &Path) -> Bytes {
        let file = self.files.open(path).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
        bytes.into()
    }

    pub fn parquet(&self, path: &Path) -> SerializedFileReader<Bytes> {
        SerializedFileReader::new(self.bytes(path)).unwrap()
    }

    pub fn ipc(&self, path: &Path) -> arrow_ipc::reader::FileReader<std::io::Cursor<Bytes>> {
        arrow_ipc::reader::FileReader::try_new(std::io::Cursor::new(self.bytes(path)), None).unwrap()
    }

    /// What a killed process leaves, opened again; its clock begins anew.
    pub fn killed(&self) -> (World, Table) {
        self.killed_with(&Options::new())
    }

    pub fn killed_with(&self, options: &Options) -> (World, Table) {
        let world = open(self.files.crash_clone(&mut AllKept), options);
        let table = world.db.table("t").unwrap();
        (world, table)
    }

    pub fn counter(&self, name: &str) -> u64 {
        self.db.stats().counters.iter().find(|(other, _)| *other == name).unwrap().1
    }
}

pub fn filter(text: &str) -> ScanOptions {
    ScanOptions { filter: Some(Filter::parse(text).unwrap()), ..ScanOptions::default() }
}
