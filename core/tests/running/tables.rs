//! Tables end to end: written, flushed, merged, reopened, changed, scanned and looked up, in both formats.
#![cfg(feature = "parquet")]

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::posix::posix;
use sstore::env::{Call, Env, FileSystem};
use sstore::{
    CloseOptions, Db, Error, ErrorKind, Filter, KeyOptions, Options, ReadOptions, ScanOptions, SchemaChange, Table,
    WriteBatch, WriteOptions,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const FORMATS: [&str; 2] = ["parquet", "arrow"];

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("value", DataType::Float64, true),
    ])
}

type Row = (i64, Option<&'static str>, Option<f64>);

fn rows(rows: &[Row]) -> RecordBatch {
    let ids: Int64Array = rows.iter().map(|row| Some(row.0)).collect();
    let names: StringArray = rows.iter().map(|row| row.1).collect();
    let values: Float64Array = rows.iter().map(|row| row.2).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(names), Arc::new(values)];
    RecordBatch::try_new(Arc::new(schema()), columns).unwrap()
}

fn ids(ids: &[i64]) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(ids.to_vec()))]).unwrap()
}

fn options(format: &str) -> Options {
    Options::new().with("table_format", format).unwrap().with("auto_compaction", "false").unwrap()
}

fn flush(db: &Db) {
    db.flush(&[]).unwrap().wait(Some(Duration::from_secs(60))).unwrap();
}

/// What a scan finds, as rows.
fn found(
    db: &Db,
    table: &Table,
    scan: &ScanOptions,
    read: &ReadOptions<'_>,
) -> Vec<(i64, Option<String>, Option<f64>)> {
    let mut found = Vec::new();
    for batch in db.scan(table, scan, read).unwrap() {
        let batch = batch.unwrap();
        let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
        let names = batch.column_by_name("name").unwrap().as_string::<i32>();
        let values = batch.column_by_name("value").unwrap().as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let name = names.is_valid(row).then(|| names.value(row).to_owned());
            let value = values.is_valid(row).then(|| values.value(row));
            found.push((ids.value(row), name, value));
        }
    }
    found
}

fn all(db: &Db, table: &Table) -> Vec<(i64, Option<String>, Option<f64>)> {
    found(db, table, &ScanOptions::default(), &ReadOptions::default())
}

fn row(id: i64, name: &str, value: f64) -> (i64, Option<String>, Option<f64>) {
    (id, Some(name.to_owned()), Some(value))
}

#[test]
fn rows_are_found_by_key_and_scan_whatever_holds_them() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let db = Db::open(&path, &options(format)).unwrap();
        let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options(format)).unwrap();
        let write = WriteOptions::default();
        db.append(
            &table,
            &rows(&[(3, Some("c"), Some(3.0)), (1, Some("a"), Some(1.0)), (1, Some("a2"), None)]),
            &write,
        )
        .unwrap();
        let first = [(1, Some("a2".to_owned()), None), row(3, "c", 3.0)];
        assert_eq!(all(&db, &table), first, "{format}: of rows with one key the last one counts");
        let snapshot = db.snapshot().unwrap();
        flush(&db);
        assert_eq!(all(&db, &table), first, "{format}");
        db.append(&table, &rows(&[(2, Some("b"), Some(2.0)), (3, Some("c2"), Some(9.0))]), &write).unwrap();
        db.delete_from(&table, &ids(&[1, 77]), &write).unwrap();
        let second = [row(2, "b", 2.0), row(3, "c2", 9.0)];
        for step in ["in memory", "flushed", "reopened"] {
            assert_eq!(all(&db, &table), second, "{format} {step}");
            let at = ReadOptions { snapshot: Some(&snapshot) };
            assert_eq!(found(&db, &table, &ScanOptions::default(), &at), first, "{format} {step}");
            let got = db.get_rows(&table, &ids(&[3, 1, 2]), None, &ReadOptions::default()).unwrap();
            assert!(got[1].is_none(), "{format} {step}: deleted");
            assert_eq!(got[0].as_ref().unwrap().column(1).as_string::<i32>().value(0), "c2");
            assert_eq!(got[2].as_ref().unwrap().column(2).as_primitive::<Float64Type>().value(0), 2.0);
            let names = [String::from("name")];
            let old = db.get_row(&table, &ids(&[1]), Some(&names), &at).unwrap().unwrap();
            assert_eq!((old.num_columns(), old.column(0).as_string::<i32>().value(0)), (1, "a2"), "{format} {step}");
            flush(&db);
        }
        drop(snapshot);
        db.compact(&db.default_family()).ok();
        db.close(&CloseOptions::default()).unwrap();
        let db = Db::open(&path, &options(format)).unwrap();
        assert_eq!(db.tables().unwrap(), ["t"]);
        let table = db.table("t").unwrap();
        assert_eq!(all(&db, &table), second, "{format} reopened");
        db.verify().unwrap();
    }
}

#[test]
fn a_check_goes_on_while_a_merge_replaces_the_files_that_it_has_not_come_to() {
    for format in FORMATS {
        let faults = FaultFileSystem::new(MemFileSystem::new(), Vec::new());
        let env = Env { files: faults.clone(), runtime: posix().runtime };
        let db = Db::open_in(env, Path::new("/db"), &options(format)).unwrap();
        let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options(format)).unwrap();
        for id in 1..=3 {
            db.append(&table, &rows(&[(id, Some("a"), None)]), &WriteOptions::default()).unwrap();
            flush(&db);
        }
        // The check is held up where it reads the first file, until the merge is done.
        faults.add(Rule::once(Call::Read, Effect::Delay(Duration::from_secs(1))).on("/table/t/"));
        std::thread::scope(|scope| {
            let checked = scope.spawn(|| db.verify());
            while faults.hits() == 0 {
                std::thread::yield_now();
            }
            db.compact_table(&table).unwrap();
            let checked = checked.join().unwrap();
            assert!(checked.is_ok(), "{format}: files that were merged meanwhile are taken for damage: {checked:?}");
        });
        assert_eq!(db.table_segments(&table).unwrap().len(), 1, "{format}");
        let data = |path: &str| faults.list(Path::new(path)).unwrap().len();
        let left = if format == "arrow" { data("/db/table/t") } else { data("/db/table/t/0") + data("/db/table/t/1") };
        assert_eq!(left, 1, "{format}: what was merged is deleted once the check is over");
    }
}

#[test]
fn a_check_tells_how_far_it_is_and_ends_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path().join("db"), &options("parquet")).unwrap();
    let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options("parquet")).unwrap();
    let family = db.default_family();
    for id in 1..=3 {
        db.append(&table, &rows(&[(id, Some("a"), None)]), &WriteOptions::default()).unwrap();
        db.put(&family, b"k", b"v", &WriteOptions::default()).unwrap();
        flush(&db);
    }
    let segments = [db.segments(&family).unwrap(), db.table_segments(&table).unwrap()].concat();
    let all: u64 = segments.iter().map(|segment| segment.size_bytes).sum();
    let mut heard = Vec::new();
    db.verify_told(&mut |read, of| {
        assert_eq!(of, all);
        heard.push(read);
        Ok(())
    })
    .unwrap();
    assert_eq!((heard.len(), heard[0], heard[heard.len() - 1]), (segments.len() + 1, 0, all), "{heard:?}");
    assert!(heard.is_sorted(), "{heard:?}");
    let mut calls = 0;
    let ended = db.verify_told(&mut |_, _| {
        calls += 1;
        if calls == 3 { Err(Error::new(ErrorKind::Cancelled, "enough")) } else { Ok(()) }
    });
    assert_eq!(
        (ended.unwrap_err().kind(), calls),
        (ErrorKind::Cancelled, 3),
        "the check went on although it was ended"
    );
}

#[test]
fn a_sequence_can_be_read_at_as_long_as_a_snapshot_pins_exactly_it() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("db"), &options(format)).unwrap();
        let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options(format)).unwrap();
        let write = WriteOptions::default();
        let family = db.default_family();
        db.append(&table, &rows(&[(1, Some("a"), Some(1.0))]), &write).unwrap();
        let unpinned = db.put(&family, b"k", b"old", &write).unwrap();
        let pinned = db.append(&table, &rows(&[(1, Some("b"), Some(2.0))]), &write).unwrap();
        let snapshot = db.snapshot().unwrap();
        assert_eq!(snapshot.sequence(), pinned);
        db.append(&table, &rows(&[(1, Some("c"), Some(3.0))]), &write).unwrap();
        let now = db.put(&family, b"k", b"new", &write).unwrap();

        let twin = db.snapshot_at(pinned).unwrap();
        drop(snapshot);
        flush(&db);
        db.compact_table(&table).unwrap();
        let at = ReadOptions { snapshot: Some(&twin) };
        assert_eq!(found(&db, &table, &ScanOptions::default(), &at), [row(1, "b", 2.0)], "{format}");
        assert_eq!(db.get(&family, b"k", &at).unwrap().as_deref(), Some(&b"old"[..]), "{format}");
        drop(db.snapshot_at(pinned).unwrap());
        drop(db.snapshot_at(pinned).unwrap());
        for (sequence, kind) in
            [(unpinned, ErrorKind::Gap), (now, ErrorKind::Gap), (now + 1, ErrorKind::InvalidArgument)]
        {
            let error = db.snapshot_at(sequence).err().unwrap();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.message().contains(&format!("sequence {sequence}")), "{error}");
        }
        assert_eq!(db.open_objects().snapshots, 1);
        drop(twin);
        assert_eq!(db.snapshot_at(pinned).err().unwrap().kind(), ErrorKind::Gap, "{format}");
        let order = KeyOptions { order_by: vec!["name".to_owned()], ..KeyOptions::default() };
        let ordered = db.create_table("u", &schema(), &[], &order, &table.options()).unwrap();
        assert_eq!(ordered.options().get("table_format").unwrap(), format);
        assert_eq!(ordered.order_by(), ["name"]);
    }
}

#[test]
fn what_the_log_holds_comes_back_also_with_entries_of_families_in_one_batch() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let crash = dir.path().join("crashed");
        // Without EVENTS.jsonl, which is written and renamed in the background, no file changes its name while they are copied.
        let db = Db::open(&path, &options(format).with("events_bytes", "0").unwrap()).unwrap();
        let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options(format)).unwrap();
        let family = db.default_family();
        let mut batch = WriteBatch::new();
        batch.put(family.id(), b"before", b"1").unwrap();
        table.put_rows(&mut batch, &rows(&[(1, Some("a"), Some(1.0)), (2, None, None)])).unwrap();
        batch.put(family.id(), b"after", b"2").unwrap();
        table.delete_rows(&mut batch, &ids(&[2])).unwrap();
        let last = db.write(&batch, &WriteOptions::default()).unwrap();
        assert_eq!((batch.len(), last), (4, 4), "a row batch takes one sequence");
        // As after a kill: what the files hold now.
        copy_dir(&path, &crash);
        db.close(&CloseOptions::default()).unwrap();
        let db = Db::open(&crash, &options(format)).unwrap();
        let table = db.table("t").unwrap();
        assert_eq!(all(&db, &table), [row(1, "a", 1.0)]);
        let family = db.default_family();
        for (key, value) in [(b"before".as_slice(), b"1"), (b"after", b"2")] {
            assert_eq!(db.get(&family, key, &ReadOptions::default()).unwrap().as_deref(), Some(&value[..]));
        }
    }
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_changed_schema_reads_what_was_written_before() {
    for format in FORMATS {
        for flushed in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let db = Db::open(dir.path().join("db"), &options(format)).unwrap();
            let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options(format)).unwrap();
            db.append(&table, &rows(&[(1, Some("a"), Some(1.0))]), &WriteOptions::default()).unwrap();
            if flushed {
                flush(&db);
            }
            let mut stale = WriteBatch::new();
            table.put_rows(&mut stale, &rows(&[(9, None, None)])).unwrap();
            db.alter_table(&table, &SchemaChange::Rename { name: "name".into(), to: "title".into() }).unwrap();
            db.alter_table(&table, &SchemaChange::Drop { name: "value".into() }).unwrap();
            let field = Field::new("value", DataType::Int64, true);
            db.alter_table(&table, &SchemaChange::Add { field, position: None }).unwrap();
            let refused = db.write(&stale, &WriteOptions::default()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
            let batch =
                db.scan(&table, &ScanOptions::default(), &ReadOptions::default()).unwrap().next().unwrap().unwrap();
            assert_eq!(batch.column_by_name("title").unwrap().as_string::<i32>().value(0), "a");
            assert!(batch.column_by_name("value").unwrap().is_null(0), "a new column of an old name is another one");
            let filter = Some(Filter::parse("value IS NULL AND title = 'a'").unwrap());
            let scan = ScanOptions { filter, ..ScanOptions::default() };
            flush(&db);
            let count: usize =
                db.scan(&table, &scan, &ReadOptions::default()).unwrap().map(|batch| batch.unwrap().num_rows()).sum();
            assert_eq!(count, 1, "{format}");
        }
    }
}

#[test]
fn files_of_a_table_with_an_order_are_sorted_by_it_and_rows_that_are_alike_keep_theirs() {
    let fields = vec![
        Field::new("arrival", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("value", DataType::Float64, true),
    ];
    let schema = Schema::new(fields);
    let key_options = KeyOptions { order_by: vec!["name".into(), "value".into()], ..KeyOptions::default() };
    let names =
        [None, Some(""), Some("\0"), Some("\0\0"), Some("\0\u{1}"), Some("a"), Some("a\0"), Some("ab"), Some("b")];
    let values = [None, Some(f64::NEG_INFINITY), Some(-0.5), Some(0.0), Some(7.0), Some(f64::INFINITY)];
    // Each row is told by its arrival; its columns by numbers that order like their values.
    let row = |arrival: usize| {
        let mixed = (arrival as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        (mixed as usize % names.len(), (mixed >> 20) as usize % values.len(), arrival)
    };
    let batch = |arrivals: std::ops::Range<usize>| {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(arrivals.clone().map(|arrival| arrival as i64))),
            Arc::new(StringArray::from_iter(arrivals.clone().map(|arrival| names[row(arrival).0]))),
            Arc::new(Float64Array::from_iter(arrivals.map(|arrival| values[row(arrival).1]))),
        ];
        RecordBatch::try_new(Arc::new(schema.clone()), columns).unwrap()
    };
    let scanned = |db: &Db, table: &Table| -> Vec<usize> {
        let scan = db.scan(table, &ScanOptions::default(), &ReadOptions::default()).unwrap();
        scan.flat_map(|batch| batch.unwrap().column(0).as_primitive::<Int64Type>().values().to_vec())
            .map(|arrival| arrival as usize)
            .collect()
    };
    let sorted = |arrivals: std::ops::Range<usize>| {
        let mut rows: Vec<_> = arrivals.map(row).collect();
        rows.sort_unstable();
        rows.into_iter().map(|row| row.2).collect::<Vec<_>>()
    };
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("db"), &options(format)).unwrap();
        let table = db.create_table("t", &schema, &[], &key_options, &options(format)).unwrap();
        let append = |arrivals| db.append(&table, &batch(arrivals), &WriteOptions::default()).unwrap();
        // A long batch, and many short ones.
        append(0..9_000);
        for arrival in 9_000..9_060 {
            append(arrival..arrival + 1);
        }
        assert_eq!(scanned(&db, &table), (0..9_060).collect::<Vec<_>>(), "{format}: in memory as they came");
        let snapshot = db.snapshot().unwrap();
        flush(&db);
        assert_eq!(scanned(&db, &table), sorted(0..9_060), "{format}");
        append(9_060..11_000);
        append(11_000..12_000);
        flush(&db);
        assert_eq!(scanned(&db, &table), [sorted(0..9_060), sorted(9_060..12_000)].concat(), "{format}: file by file");
        db.compact_table(&table).unwrap();
        assert_eq!(db.table_segments(&table).unwrap().len(), 1);
        assert_eq!(scanned(&db, &table), sorted(0..12_000), "{format}: merged");
        drop(snapshot);
        db.verify().unwrap();
    }
}

#[test]
fn columns_that_the_format_cannot_hold_are_refused_before_anything_is_written() {
    use arrow_schema::{IntervalUnit, UnionFields, UnionMode};
    let item = || Arc::new(Field::new("item", DataType::Int64, true));
    let union = UnionFields::try_new([0], [Field::new("a", DataType::Int64, true)]).unwrap();
    let types = [
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Union(union, UnionMode::Dense),
        DataType::ListView(item()),
        DataType::LargeListView(item()),
        DataType::Struct(Vec::<Field>::new().into()),
        DataType::FixedSizeBinary(0),
        DataType::FixedSizeList(item(), 0),
    ];
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let db = Db::open(&path, &options(format)).unwrap();
        let plain = db.create_table("plain", &schema(), &["id"], &KeyOptions::default(), &options(format)).unwrap();
        for (number, data_type) in types.iter().enumerate() {
            let odd = Field::new("odd", data_type.clone(), true);
            let nested = Field::new("outer", DataType::List(Arc::new(odd.clone())), true);
            for field in [odd, nested] {
                let mut fields = schema().fields().to_vec();
                fields.push(Arc::new(field.clone()));
                let name = format!("t{number}-{}", field.name());
                let created =
                    db.create_table(&name, &Schema::new(fields), &["id"], &KeyOptions::default(), &options(format));
                if format == "arrow" {
                    created.unwrap();
                    continue;
                }
                let added = db.alter_table(&plain, &SchemaChange::Add { field: field.clone(), position: None });
                for error in [created.err().unwrap(), added.unwrap_err()] {
                    assert_eq!(error.kind(), ErrorKind::NotSupported, "{data_type}: {error}");
                    assert!(error.message().contains(&format!("{:?}", field.name())), "{data_type}: {error}");
                }
            }
        }
        if format == "parquet" {
            assert_eq!(db.tables().unwrap(), ["plain"]);
            assert_eq!(plain.schema().fields().len(), 3);
        }
        db.append(&plain, &rows(&[(1, Some("a"), None)]), &WriteOptions::default()).unwrap();
        flush(&db);
        db.close(&CloseOptions::default()).unwrap();
        assert!(Db::open(&path, &options(format)).unwrap().table("plain").is_ok());
    }
}

#[test]
fn a_prefix_of_a_whole_key_is_that_key_also_if_it_ends_with_a_string() {
    let schema = Schema::new(vec![Field::new("a", DataType::Int64, false), Field::new("b", DataType::Utf8, false)]);
    for key in [&["a", "b"][..], &["b"]] {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("db"), &Options::new()).unwrap();
        let table = db.create_table("t", &schema, key, &KeyOptions::default(), &Options::new()).unwrap();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![1, 1, 1, 2])),
            Arc::new(StringArray::from(vec!["x", "xy", "x\0", "z"])),
        ];
        let rows = RecordBatch::try_new(Arc::new(schema.clone()), columns).unwrap();
        db.append(&table, &rows, &WriteOptions::default()).unwrap();
        let count = |prefix: Vec<ArrayRef>| -> usize {
            let scan = ScanOptions { prefix: Some(prefix), ..ScanOptions::default() };
            db.scan(&table, &scan, &ReadOptions::default()).unwrap().map(|batch| batch.unwrap().num_rows()).sum()
        };
        let (one, x) = (Arc::new(Int64Array::from(vec![1])), Arc::new(StringArray::from(vec!["x"])));
        if key.len() == 2 {
            assert_eq!((count(vec![one.clone()]), count(vec![one, x])), (3, 1));
        } else {
            assert_eq!(count(vec![x]), 1);
        }
    }
}

#[test]
fn a_damaged_file_is_named_and_leaves_every_other_table_readable() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path(), &options(format)).unwrap();
        let tables = ["good", "bad"].map(|name| {
            let table = db.create_table(name, &schema(), &["id"], &KeyOptions::default(), &options(format)).unwrap();
            db.append(&table, &rows(&[(1, Some("one"), Some(1.0)), (2, None, None)]), &WriteOptions::default())
                .unwrap();
            table
        });
        flush(&db);
        let live = db.table_live_files(&tables[1], &ReadOptions::default()).unwrap();
        let path = live.files[0].path.clone();
        drop((live, tables));
        db.close(&CloseOptions::default()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let (mut told, mut failed) = (0, 0);
        for offset in (0..whole.len()).step_by(29).chain([whole.len() - 1]) {
            let mut damaged = whole.clone();
            damaged[offset] ^= 0x40;
            std::fs::write(&path, &damaged).unwrap();
            let db = Db::open(dir.path(), &options(format)).unwrap();
            // What every reader of the file needs is read when the database is opened.
            if let Some(error) = db.background_error() {
                assert_eq!((error.kind(), error.path()), (ErrorKind::Corruption, Some(&*path)), "{format}, {offset}");
                told += 1;
            }
            assert_eq!(all(&db, &db.table("good").unwrap()), [row(1, "one", 1.0), (2, None, None)]);
            let bad = db.table("bad").unwrap();
            let scanned = db.scan(&bad, &ScanOptions::default(), &ReadOptions::default());
            let scanned = scanned.and_then(|scan| scan.collect::<Result<Vec<_>, _>>());
            if let Err(error) = scanned {
                assert_eq!((error.kind(), error.path()), (ErrorKind::Corruption, Some(&*path)), "{format}, {offset}");
                failed += 1;
            }
            drop(bad);
            db.close(&CloseOptions::default()).unwrap();
        }
        assert!(told > 0 && failed > told, "{format}: {told} times told at opening, {failed} times not scanned");
    }
}
