//! Live files and exports: exactly the files that other programs have to read, under names that stay.
#![cfg(feature = "parquet")]

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sstore::env::Env;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::posix::posix;
use sstore::env::{Call, fault};
use sstore::{
    CloseOptions, Db, ErrorKind, FileFormat, KeyOptions, Options, ReadOptions, ScanOptions, Table, WriteOptions,
};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

fn schema() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, true)])
}

fn rows(ids: std::ops::Range<i64>, name: &str) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids.clone())),
        Arc::new(StringArray::from_iter_values(ids.map(|id| format!("{name}{id}")))),
    ];
    RecordBatch::try_new(Arc::new(schema()), columns).unwrap()
}

fn keys(ids: &[i64]) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(ids.to_vec()))]).unwrap()
}

fn options(format: &str) -> Options {
    Options::new().with("table_format", format).unwrap().with("auto_compaction", "false").unwrap()
}

fn table(db: &Db, format: &str) -> Table {
    db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options(format)).unwrap()
}

fn append(db: &Db, table: &Table, rows: &RecordBatch) {
    db.append(table, rows, &WriteOptions::default()).unwrap();
    db.flush_tables(&[table]).unwrap().wait(None).unwrap();
}

/// What the database shows.
fn shown(db: &Db, table: &Table, read: &ReadOptions<'_>) -> BTreeMap<i64, String> {
    let mut found = BTreeMap::new();
    for batch in db.scan(table, &ScanOptions::default(), read).unwrap() {
        gather(&batch.unwrap(), |id, name, _, _| {
            found.insert(id, name);
        });
    }
    found
}

fn gather(batch: &RecordBatch, mut row: impl FnMut(i64, String, i64, i8)) {
    let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
    let names = batch.column_by_name("name").unwrap().as_string::<i32>();
    let sequences = batch.column_by_name("_seq").map(|column| column.as_primitive::<Int64Type>().clone());
    let operations =
        batch.column_by_name("_op").map(|column| column.as_primitive::<arrow_array::types::Int8Type>().clone());
    for at in 0..batch.num_rows() {
        let sequence = sequences.as_ref().map_or(0, |column| column.value(at));
        row(ids.value(at), names.value(at).to_owned(), sequence, operations.as_ref().map_or(0, |ops| ops.value(at)));
    }
}

/// Reads exported files as any other program would, knowing `_seq` and `_op` alone.
fn read_outside(path: &Path, format: &str) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    if format == "arrow" {
        return arrow_ipc::reader::FileReader::try_new(file, None).unwrap().map(Result::unwrap).collect();
    }
    let bytes = bytes::Bytes::from(std::fs::read(path).unwrap());
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

fn newest(files: &[std::path::PathBuf], format: &str, at_most: u64) -> BTreeMap<i64, String> {
    let mut versions: BTreeMap<i64, (i64, i8, String)> = BTreeMap::new();
    for file in files {
        for batch in read_outside(file, format) {
            gather(&batch, |id, name, sequence, operation| {
                if sequence as u64 <= at_most && versions.get(&id).is_none_or(|found| found.0 < sequence) {
                    versions.insert(id, (sequence, operation, name));
                }
            });
        }
    }
    versions.into_iter().filter(|(_, found)| found.1 == 0).map(|(id, found)| (id, found.2)).collect()
}

#[test]
fn live_files_are_those_of_the_moment_with_true_facts_and_stay_while_they_are_held() {
    for (format, kind) in [("parquet", FileFormat::Parquet), ("arrow", FileFormat::Ipc)] {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("db"), &options(format)).unwrap();
        let table = table(&db, format);
        append(&db, &table, &rows(0..100, "a"));
        let snapshot = db.snapshot().unwrap();
        append(&db, &table, &rows(50..60, "b"));
        db.delete_from(&table, &keys(&[0, 1]), &WriteOptions::default()).unwrap();
        let at = ReadOptions { snapshot: Some(&snapshot) };
        let (before, as_of) = (shown(&db, &table, &at), snapshot.sequence());

        let old = db.table_live_files(&table, &at).unwrap();
        assert_eq!(old.files.len(), 1, "{format}: the second file is newer than the snapshot");
        assert_eq!((old.sequence, old.complete_through), (snapshot.sequence(), snapshot.sequence()));
        let live = db.table_live_files(&table, &ReadOptions::default()).unwrap();
        assert_eq!(live.files.len(), 2);
        assert_eq!(live.complete_through + 1, live.sequence, "{format}: the delete is in memory");
        assert_eq!(live.schema.as_ref().unwrap().columns().len(), 2);
        let [first, second] = &live.files[..] else { panic!("two files") };
        assert!(first.largest_sequence < second.smallest_sequence, "{format}: oldest first");
        for (file, ids) in [(first, 0..100), (second, 50..60)] {
            let found: usize = read_outside(&file.path, format).iter().map(RecordBatch::num_rows).sum();
            assert_eq!((file.rows, file.tombstones, file.format), (found as u64, 0, kind));
            let bytes: u64 = match kind {
                FileFormat::Ipc => {
                    let names = std::fs::read_dir(file.path.parent().unwrap()).unwrap();
                    names.map(|name| name.unwrap().metadata().unwrap().len()).sum()
                }
                _ => std::fs::metadata(&file.path).unwrap().len(),
            };
            assert_eq!(file.size_bytes, bytes);
            let codec = live.schema.as_ref().unwrap().key_codec();
            let key = |bytes: &[u8]| codec.decode(bytes).unwrap()[0].as_primitive::<Int64Type>().value(0);
            assert_eq!((key(&file.smallest), key(&file.largest)), (ids.start, ids.end - 1));
        }
        let paths: Vec<_> = live.files.iter().map(|file| file.path.clone()).collect();
        drop((old, snapshot));
        db.compact_table(&table).unwrap();
        assert_eq!(newest(&paths, format, as_of), before, "{format}: a merge left the files alone");
        let now = db.table_live_files(&table, &ReadOptions::default()).unwrap();
        assert_eq!((now.files.len(), now.complete_through), (1, now.sequence));
        drop(live);
        assert!(paths.iter().all(|path| path.exists()), "{format}: a later answer keeps all that were there then");
        drop(now);
        assert!(!paths.iter().any(|path| path.exists()), "{format}: they go with the last answer");
        db.close(&CloseOptions::default()).unwrap();
    }
}

#[test]
fn an_export_is_what_a_scan_shows_in_links_that_outlive_the_files() {
    for format in ["parquet", "arrow"] {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("db"), &options(format)).unwrap();
        let table = table(&db, format);
        append(&db, &table, &rows(0..1000, "a"));
        append(&db, &table, &rows(500..600, "b"));
        db.delete_from(&table, &keys(&[1, 550]), &WriteOptions::default()).unwrap();
        let to = dir.path().join("export");
        let export = db.export_table(&table, &to).unwrap();
        assert_eq!((export.files.len(), export.copied), (3, 0));
        for exported in &export.files {
            let (a, b) = (to.join(&exported.name).metadata().unwrap(), exported.file.path.metadata().unwrap());
            assert_eq!((a.ino(), a.dev()), (b.ino(), b.dev()), "{format}: one file, two names");
        }
        assert!(!dir.path().join("export.tmp").exists());
        let expected = shown(&db, &table, &ReadOptions::default());
        assert_eq!(expected.len(), 998);
        db.compact_table(&table).unwrap();
        db.drop_table(&table).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let told: Vec<_> = export.files.iter().map(|file| to.join(&file.name)).collect();
        assert_eq!(names, told, "{format}: nothing else, and in the order of the names");
        assert_eq!(newest(&names, format, export.sequence), expected);
        let again = db.export(&db.default_family(), &to).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::InvalidArgument, "{again}");
        let nowhere = db.export(&db.default_family(), dir.path().join("no/where")).unwrap_err();
        assert_eq!(nowhere.kind(), ErrorKind::NotFound, "{nowhere}");
    }
}

#[test]
fn where_links_cannot_be_files_are_copied_and_an_export_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let faults = FaultFileSystem::new(posix().files, Vec::new());
    let env = Env { files: faults.clone(), runtime: posix().runtime };
    let db = Db::open_in(env, &dir.path().join("db"), &options("parquet")).unwrap();
    let family = db.default_family();
    for key in [b"a", b"b"] {
        db.put(&family, key, &vec![7; 3 << 20], &WriteOptions::default()).unwrap();
        db.flush(&[]).unwrap().wait(None).unwrap();
    }
    faults.add(Rule::once(Call::Link, Effect::Error(18)).sticky());
    let to = dir.path().join("export");
    let export = db.export(&family, &to).unwrap();
    assert_eq!((export.files.len(), export.copied), (2, 2));
    for exported in &export.files {
        assert!(exported.name.ends_with(".sst"));
        assert!(std::fs::read(to.join(&exported.name)).unwrap() == std::fs::read(&exported.file.path).unwrap());
    }
    for call in [Call::SyncData, Call::SyncDir, Call::Rename, Call::Write] {
        faults.add(Rule::once(call, Effect::Error(5)).on("other"));
        let error = db.export(&family, dir.path().join("other")).unwrap_err();
        assert!(fault::is_injected(&error), "{call:?}: {error}");
        assert!(!dir.path().join("other").exists() && !dir.path().join("other.tmp").exists(), "{call:?}");
    }
    db.close(&CloseOptions::default()).unwrap();
}

#[test]
fn an_export_tells_how_far_it_is_and_leaves_nothing_when_it_is_called_off() {
    let dir = tempfile::tempdir().unwrap();
    let faults = FaultFileSystem::new(posix().files, Vec::new());
    let env = Env { files: faults.clone(), runtime: posix().runtime };
    let db = Db::open_in(env, &dir.path().join("db"), &options("arrow")).unwrap();
    let (family, table) = (db.default_family(), table(&db, "arrow"));
    for key in [b"a", b"b"] {
        db.put(&family, key, &vec![7; 3 << 20], &WriteOptions::default()).unwrap();
        db.flush(&[]).unwrap().wait(None).unwrap();
    }
    append(&db, &table, &rows(0..100, "a"));
    faults.add(Rule::once(Call::Link, Effect::Error(18)).sticky());
    let to = dir.path().join("export");
    let export = |of_table: bool, told: &mut dyn FnMut(u64, u64) -> sstore::Result<()>| match of_table {
        true => db.export_table_told(&table, &to, told),
        false => db.export_told(&family, &to, told),
    };
    // Of each file of 3 MiB that is copied at least three steps, and the file.
    for (of_table, least) in [(false, 8), (true, 2)] {
        let mut heard = Vec::new();
        let bytes: u64 = export(of_table, &mut |done, total| {
            heard.push((done, total));
            Ok(())
        })
        .unwrap()
        .files
        .iter()
        .map(|exported| exported.file.size_bytes)
        .sum();
        assert!(heard.len() >= least, "{heard:?}");
        assert!(heard.is_sorted() && heard.iter().all(|(_, total)| [0, bytes].contains(total)), "{heard:?}");
        assert_eq!(heard.last(), Some(&(bytes, bytes)));
        std::fs::remove_dir_all(&to).unwrap();
        // What is told while the flush is waited for is as often as that takes long.
        for last in 1..=heard.iter().filter(|(_, total)| *total > 0).count() {
            let mut told = 0;
            let error = export(of_table, &mut |_, total| {
                told += usize::from(total > 0);
                if told < last { Ok(()) } else { Err(sstore::Error::new(ErrorKind::Cancelled, "enough")) }
            })
            .unwrap_err();
            assert_eq!((error.kind(), told), (ErrorKind::Cancelled, last));
            assert!(!to.exists() && !dir.path().join("export.tmp").exists(), "after {last} steps");
        }
        export(of_table, &mut |_, _| Ok(())).unwrap();
        std::fs::remove_dir_all(&to).unwrap();
    }
    db.close(&CloseOptions::default()).unwrap();
}
