//! Repair: what can be read comes back, what was merged away does not, and the source stays as it was.
#![cfg(feature = "parquet")]

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sstore::{
    CloseOptions, Db, ErrorKind, KeyOptions, Options, ReadOptions, RepairOptions, RepairReport, ScanOptions,
    SchemaChange, Table, WriteBatch, WriteOptions,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FORMATS: [&str; 2] = ["parquet", "arrow"];

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

fn flush(db: &Db) {
    db.flush(&[]).unwrap().wait(None).unwrap();
}

/// Copies what is there. The database may be open: old segments and directories may go meanwhile, which nobody needs then.
fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).into_iter().flatten() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else if let Err(error) = std::fs::copy(&path, target) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}", path.display());
        }
    }
}

/// Every file below `dir`.
fn files_below(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files_below(&path));
        } else {
            all.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    all
}

fn remove_manifest(path: &Path) {
    for file in files_below(path).keys() {
        let name = file.file_name().unwrap().to_str().unwrap();
        if name == "CURRENT" || name.starts_with("MANIFEST") {
            std::fs::remove_file(file).unwrap();
        }
    }
}

/// What a table holds.
fn table_rows(db: &Db, table: &Table) -> BTreeMap<i64, Option<String>> {
    let mut found = BTreeMap::new();
    for batch in db.scan(table, &ScanOptions::default(), &ReadOptions::default()).unwrap() {
        let batch = batch.unwrap();
        let (ids, names) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
        for row in 0..batch.num_rows() {
            found.insert(ids.value(row), names.is_valid(row).then(|| names.value(row).to_owned()));
        }
    }
    found
}

use arrow_array::Array;

/// What a database holds: its families and tables by name.
type Content = (BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>, BTreeMap<String, BTreeMap<i64, Option<String>>>);

fn content(path: &Path) -> Content {
    let db = Db::open(path, &options("parquet").with("create_if_missing", "false").unwrap()).unwrap();
    db.verify().unwrap();
    let mut families = BTreeMap::new();
    for name in db.column_families().unwrap() {
        let family = db.column_family(&name).unwrap();
        let mut entries = BTreeMap::new();
        for id in 0..200u32 {
            let key = id.to_be_bytes();
            if let Some(value) = db.get(&family, &key, &ReadOptions::default()).unwrap() {
                entries.insert(key.to_vec(), value.to_vec());
            }
        }
        families.insert(name, entries);
    }
    let tables = db.tables().unwrap().into_iter();
    let tables = tables.map(|name| (name.clone(), table_rows(&db, &db.table(&name).unwrap()))).collect();
    db.close(&CloseOptions::default()).unwrap();
    (families, tables)
}

/// A database with files of families and tables, merged and not, and a log. Returns a copy, as after a kill.
fn sample(dir: &Path, format: &str) -> PathBuf {
    let (path, killed) = (dir.join("db"), dir.join("killed"));
    let db = Db::open(&path, &options(format)).unwrap();
    let write = WriteOptions::default();
    let families = [db.default_family(), db.create_column_family("other", &options(format)).unwrap()];
    let keyed = db.create_table("keyed", &schema(), &["id"], &KeyOptions::default(), &options(format)).unwrap();
    let appended = db.create_table("appended", &schema(), &[], &KeyOptions::default(), &options(format)).unwrap();
    for round in 0..4u32 {
        for family in &families {
            for id in round * 20..round * 20 + 50 {
                db.put(family, &id.to_be_bytes(), &[round as u8; 9], &write).unwrap();
            }
            db.delete(family, &(round * 7).to_be_bytes(), &write).unwrap();
        }
        let from = i64::from(round) * 20;
        db.append(&keyed, &rows(from..from + 50, &format!("round {round} ")), &write).unwrap();
        db.delete_from(&keyed, &keys(&[from, from + 3]), &write).unwrap();
        db.append(&appended, &rows(from..from + 10, "a"), &write).unwrap();
        match round {
            1 => {
                flush(&db);
                db.compact(&families[0]).unwrap();
                db.compact_table(&keyed).unwrap();
            }
            // The last round is in the log alone.
            3 => {}
            _ => flush(&db),
        }
    }
    let mut batch = WriteBatch::new();
    batch.put(families[1].id(), &199u32.to_be_bytes(), b"in one batch").unwrap();
    keyed.put_rows(&mut batch, &rows(1000..1001, "in one batch ")).unwrap();
    db.write(&batch, &write).unwrap();
    copy_dir(&path, &killed);
    db.close(&CloseOptions::default()).unwrap();
    killed
}

fn repair(from: &Path, to: &Path) -> RepairReport {
    let before = files_below(from);
    let report = Db::repair(from, to, &RepairOptions { options: options("parquet"), ..RepairOptions::default() });
    assert!(files_below(from) == before, "the source is not touched");
    report.unwrap()
}

#[test]
fn a_whole_database_comes_back_whole_with_its_manifest_and_without() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let killed = sample(dir.path(), format);
        let report = repair(&killed, &dir.path().join("with"));
        assert_eq!(report.manifest_error, None);
        assert!(report.files.iter().all(|file| file.skipped.is_none()), "{report:?}");
        assert!(report.log_operations > 0 && report.log_operations_lost == 0, "{report:?}");
        let lost = dir.path().join("lost");
        copy_dir(&killed, &lost);
        remove_manifest(&lost);
        let without = repair(&lost, &dir.path().join("without"));
        assert!(without.manifest_error.is_some());
        assert_eq!((without.adopted(), without.log_operations), (report.adopted(), report.log_operations));
        let expected = content(&killed);
        assert_eq!((expected.0.len(), expected.1.len()), (2, 2));
        assert!(expected.1["keyed"].contains_key(&1000));
        assert_eq!(content(&dir.path().join("with")), expected, "{format}");
        assert_eq!(content(&dir.path().join("without")), expected, "{format}");
        // Linked, and then written to: what the source had is still its own.
        let linked = dir.path().join("linked");
        let options = RepairOptions { options: options("parquet"), link: true, ..RepairOptions::default() };
        Db::repair(&lost, &linked, &options).unwrap();
        assert_eq!(content(&linked), expected, "{format}");
    }
}

#[test]
fn a_merges_inputs_never_come_back_beside_its_result() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let db = Db::open(&path, &options(format)).unwrap();
        let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options(format)).unwrap();
        let family = db.default_family();
        let write = WriteOptions::default();
        db.append(&table, &rows(0..10, "a"), &write).unwrap();
        db.put(&family, &1u32.to_be_bytes(), b"a", &write).unwrap();
        flush(&db);
        let before = dir.path().join("before");
        copy_dir(&path.join("table"), &before.join("table"));
        copy_dir(&path.join("cf"), &before.join("cf"));
        db.delete_from(&table, &keys(&[1, 2, 3]), &write).unwrap();
        db.delete(&family, &1u32.to_be_bytes(), &write).unwrap();
        db.put(&family, &2u32.to_be_bytes(), b"b", &write).unwrap();
        flush(&db);
        db.compact_table(&table).unwrap();
        db.compact(&family).unwrap();
        db.close(&CloseOptions::default()).unwrap();
        let expected = content(&path);
        assert_eq!(expected.1["t"].len(), 7);
        // As if the deletion had never reached the disk. The rows' deletes are gone with the merge.
        copy_dir(&before, &path);
        for name in ["with", "without"] {
            if name == "without" {
                remove_manifest(&path);
            }
            let report = repair(&path, &dir.path().join(name));
            let merged = report.files.iter().filter(|file| file.skipped.is_some()).count();
            assert_eq!((report.adopted(), merged), (2, 2), "{format} {name}: {report:?}");
            assert_eq!(content(&dir.path().join(name)), expected, "{format} {name}");
        }
        // Without the result its inputs are the best there is.
        for file in files_below(&path).keys() {
            let relative = file.strip_prefix(&path).unwrap();
            let is_result =
                !before.join(relative).exists() && !relative.starts_with("wal") && relative.components().count() > 1;
            if is_result {
                std::fs::remove_file(file).unwrap();
            }
        }
        let report = repair(&path, &dir.path().join("inputs"));
        assert_eq!(report.adopted(), 2, "{format}: {report:?}");
        assert_eq!(content(&dir.path().join("inputs")).1["t"].len(), 10);
    }
}

#[test]
fn damaged_files_are_left_out_and_named_and_the_rest_is_there() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let db = Db::open(&path, &options(format)).unwrap();
        let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options(format)).unwrap();
        for round in 0..3 {
            db.append(&table, &rows(round * 10..round * 10 + 10, "a"), &WriteOptions::default()).unwrap();
            flush(&db);
        }
        let files = db.table_live_files(&table, &ReadOptions::default()).unwrap();
        let damaged = files.files[1].path.clone();
        drop((files, table));
        db.close(&CloseOptions::default()).unwrap();
        let mut bytes = std::fs::read(&damaged).unwrap();
        bytes[300] ^= 1;
        std::fs::write(&damaged, bytes).unwrap();
        for foreign in ["000077.parquet", "000078.parquet"] {
            std::fs::create_dir_all(path.join("table/t/0")).unwrap();
            std::fs::write(path.join("table/t/0").join(foreign), b"PAR1 no file of ours PAR1").unwrap();
        }
        std::fs::create_dir_all(path.join("table/t/mine")).unwrap();
        std::fs::write(path.join("table/t/mine/data.arrow"), b"ARROW1").unwrap();
        std::fs::write(path.join("cf/000001.sst"), b"").ok();
        for name in ["with", "without"] {
            if name == "without" {
                remove_manifest(&path);
            }
            let report = repair(&path, &dir.path().join(name));
            let skipped: Vec<_> = report.files.iter().filter(|file| file.skipped.is_some()).collect();
            assert_eq!((report.adopted(), skipped.len()), (2, 4), "{format} {name}: {report:?}");
            assert!(skipped.iter().any(|file| file.path == damaged), "{format} {name}: {report:?}");
            let ids: Vec<i64> = content(&dir.path().join(name)).1["t"].keys().copied().collect();
            assert_eq!(ids, (0..10).chain(20..30).collect::<Vec<_>>(), "{format} {name}");
        }
    }
}

#[test]
fn a_directory_with_good_data_that_the_manifest_does_not_know_is_adopted() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("db"), dir.path().join("old"));
    let db = Db::open(&path, &options("arrow")).unwrap();
    let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options("arrow")).unwrap();
    db.append(&table, &rows(0..10, "a"), &WriteOptions::default()).unwrap();
    flush(&db);
    copy_dir(&path, &old);
    db.append(&table, &rows(5..15, "b"), &WriteOptions::default()).unwrap();
    flush(&db);
    let newest = db.table_live_files(&table, &ReadOptions::default()).unwrap().files.pop().unwrap().path;
    drop(table);
    db.close(&CloseOptions::default()).unwrap();
    // Somebody puts the newer directory into the older database, under a name of his own.
    copy_dir(newest.parent().unwrap(), &old.join("table/t/found it"));
    assert_eq!(content(&old).1["t"].len(), 10, "opening ignores it");
    let report = repair(&old, &dir.path().join("new"));
    assert_eq!(report.adopted(), 2, "{report:?}");
    assert_eq!(content(&dir.path().join("new")), content(&path));
}

#[test]
fn of_a_damaged_log_comes_back_what_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let small = options("arrow").with("wal_segment_bytes", "65536").unwrap();
    let db = Db::open(&path, &small).unwrap();
    let family = db.create_column_family("nameless", &small).unwrap();
    let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &small).unwrap();
    for id in 0..200u32 {
        db.put(&family, &id.to_be_bytes(), &[id as u8; 3000], &WriteOptions::default()).unwrap();
    }
    db.append(&table, &rows(0..5, "lost with its schema"), &WriteOptions::default()).unwrap();
    let killed = dir.path().join("killed");
    copy_dir(&path, &killed);
    drop((family, table));
    db.close(&CloseOptions::default()).unwrap();
    let segments: Vec<PathBuf> = files_below(&killed.join("wal")).into_keys().collect();
    assert!(segments.len() >= 3, "{segments:?}");
    let mut bytes = std::fs::read(&segments[0]).unwrap();
    bytes[20_000] ^= 1;
    std::fs::write(&segments[0], bytes).unwrap();
    let report = repair(&killed, &dir.path().join("with"));
    assert!(report.log[0].stopped().is_some() && report.log[1].stopped().is_none(), "{report:?}");
    let (families, tables) = content(&dir.path().join("with"));
    let found = families["nameless"].len();
    assert_eq!(found, 199, "all but the record that was hit");
    assert_eq!(tables["t"].len(), 5);

    remove_manifest(&killed);
    let report = repair(&killed, &dir.path().join("without"));
    assert_eq!(report.log_operations_lost, 1, "the rows: {report:?}");
    let (families, tables) = content(&dir.path().join("without"));
    assert_eq!(families.keys().collect::<Vec<_>>(), ["default", "recovered_1"], "a family that only the log knows");
    assert_eq!((families["recovered_1"].len(), tables.len()), (found, 0));
}

#[test]
fn rows_of_all_schemas_of_a_table_come_back_from_the_files_alone() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let db = Db::open(&path, &options(format)).unwrap();
        let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options(format)).unwrap();
        db.append(&table, &rows(0..3, "a"), &WriteOptions::default()).unwrap();
        let change = SchemaChange::Add { field: Field::new("more", DataType::Int64, true), position: None };
        db.alter_table(&table, &change).unwrap();
        let wide = db.append(&table, &rows(3..5, "b"), &WriteOptions::default());
        wide.unwrap();
        flush(&db);
        drop(table);
        db.close(&CloseOptions::default()).unwrap();
        remove_manifest(&path);
        repair(&path, &dir.path().join("new"));
        let db = Db::open(dir.path().join("new"), &options(format)).unwrap();
        let table = db.table("t").unwrap();
        assert_eq!(table.schema().fields().len(), 3, "{format}");
        assert_eq!(table_rows(&db, &table).len(), 5, "{format}");
        db.append(&table, &rows(5..6, "c"), &WriteOptions::default()).unwrap();
        db.compact_table(&table).unwrap();
        assert_eq!(table_rows(&db, &table).len(), 6, "{format}");
    }
}

#[test]
fn a_repair_needs_a_closed_source_and_an_empty_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = Db::open(&path, &options("arrow")).unwrap();
    let default = RepairOptions::default();
    assert_eq!(Db::repair(&path, dir.path().join("new"), &default).unwrap_err().kind(), ErrorKind::Locked);
    assert!(!dir.path().join("new").exists());
    db.close(&CloseOptions::default()).unwrap();
    std::fs::create_dir(dir.path().join("full")).unwrap();
    std::fs::write(dir.path().join("full/thesis.tex"), b"do not lose").unwrap();
    assert_eq!(Db::repair(&path, dir.path().join("full"), &default).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(
        Db::repair(dir.path().join("no"), dir.path().join("new"), &default).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    // Nothing at all to save is an empty database.
    std::fs::create_dir(dir.path().join("nothing")).unwrap();
    repair(&dir.path().join("nothing"), &dir.path().join("new"));
    assert_eq!(content(&dir.path().join("new")).0.len(), 1);
}

#[test]
fn a_repair_tells_how_far_it_is_and_leaves_nothing_when_it_is_called_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = Db::open(&path, &options("arrow")).unwrap();
    let family = db.default_family();
    db.put(&family, b"in a file", &vec![7; 3 << 20], &WriteOptions::default()).unwrap();
    let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options("arrow")).unwrap();
    db.append(&table, &rows(0..100, "a"), &WriteOptions::default()).unwrap();
    flush(&db);
    for key in [b"a", b"b"] {
        db.put(&family, key, &vec![7; 2 << 20], &WriteOptions::default()).unwrap();
    }
    db.close(&CloseOptions { flush: Some(false), ..CloseOptions::default() }).unwrap();
    let (before, new) = (files_below(&path), dir.path().join("new"));
    let mut heard = Vec::new();
    Db::repair_told(&path, &new, &RepairOptions::default(), &mut |done, total| {
        heard.push((done, total));
        Ok(())
    })
    .unwrap();
    let whole = content(&new);
    // It begins, reads two files, copies one in three steps, and goes through two long records twice.
    assert!(heard.len() >= 1 + 2 + 3 + 4, "{heard:?}");
    assert!(heard.is_sorted() && heard.iter().all(|(_, total)| *total == heard[0].1), "{heard:?}");
    assert_eq!((heard[0].0, heard.last().unwrap().0), (0, heard[0].1));
    for last in 1..=heard.len() {
        std::fs::remove_dir_all(&new).ok();
        let mut told = 0;
        let error = Db::repair_told(&path, &new, &RepairOptions::default(), &mut |_, _| {
            told += 1;
            if told < last { Ok(()) } else { Err(sstore::Error::new(ErrorKind::Cancelled, "enough")) }
        })
        .unwrap_err();
        assert_eq!((error.kind(), told), (ErrorKind::Cancelled, last));
        assert!(!new.exists(), "after {last} steps");
    }
    repair(&path, &new);
    assert_eq!(content(&new), whole);
    assert!(files_below(&path) == before, "the source is as it was");
}
