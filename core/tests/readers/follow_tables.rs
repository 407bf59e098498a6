//! Tables of a database open for reading, brought up to date: rows come once each, whatever lies in files by then, under the schema that
//! the writer has by now. In memory, against a `BTreeMap` and a list.
#![cfg(feature = "parquet")]

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::posix::posix;
use sstore::env::strict::StrictFileSystem;
use sstore::env::{Call, Env, FileSystem};
use sstore::{
    CloseOptions, Db, KeyOptions, Options, ReadOptions, ScanOptions, SchemaChange, Snapshot, Table, WriteOptions,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn options(set: &[(&str, &str)]) -> Options {
    let small = [("write_buffer_rows", "40"), ("manifest_bytes", "16KiB"), ("auto_compaction", "false")];
    small.iter().chain(set).fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

fn env(files: Arc<dyn FileSystem>) -> Env {
    Env { files, runtime: posix().runtime }
}

fn batch(fields: &[String], ids: &[i64], value: i64) -> RecordBatch {
    let columns = fields.iter().map(|name| {
        let values = if name == "id" { ids.to_vec() } else { vec![value; ids.len()] };
        (name.as_str(), Arc::new(Int64Array::from(values)) as ArrayRef)
    });
    let schema =
        Schema::new(fields.iter().map(|name| Field::new(name, DataType::Int64, name != "id")).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.map(|(_, column)| column).collect()).unwrap()
}

/// Id, value and, once there is such a column, what is added, of each row in the order of a scan; forward and backward agree.
fn rows(db: &Db, table: &Table, snapshot: Option<&Snapshot>) -> Vec<(i64, i64, Option<i64>)> {
    let read = |reverse| {
        let mut found = Vec::new();
        for batch in
            db.scan(table, &ScanOptions { reverse, ..ScanOptions::default() }, &ReadOptions { snapshot }).unwrap()
        {
            let batch = batch.unwrap();
            let column =
                |name: &str| batch.column_by_name(name).map(|column| column.as_primitive::<Int64Type>().clone());
            let (ids, values, added) = (column("id").unwrap(), column("value").unwrap(), column("added"));
            for row in 0..batch.num_rows() {
                let added = added.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row));
                found.push((ids.value(row), values.value(row), added));
            }
        }
        found
    };
    let found = read(false);
    let mut backward = read(true);
    backward.reverse();
    assert_eq!(backward, found, "backward");
    found
}

#[test]
fn rows_of_tables_come_once_each_and_under_the_newest_schema() {
    for format in ["parquet", "arrow"] {
        let files = MemFileSystem::new();
        let path = Path::new("/db");
        // Slow enough that rows are read while a flush is under way.
        let slow = FaultFileSystem::new(files.clone(), Vec::new());
        slow.add(Rule::once(Call::Create, Effect::Delay(Duration::from_millis(5))).on("/table/").sticky());
        let mut db = Db::open_in(env(slow.clone()), path, &options(&[])).unwrap();
        let mut fields = vec!["id".to_owned(), "value".to_owned()];
        let create = |db: &Db, name: &str, key: &[&str], fields: &[String]| {
            let schema = batch(fields, &[], 0).schema();
            db.create_table(name, &schema, key, &KeyOptions::default(), &options(&[("table_format", format)])).unwrap()
        };
        let mut keyed = create(&db, "keyed", &["id"], &fields);
        let mut arrivals = create(&db, "arrivals", &[], &fields);
        let reading = StrictFileSystem::concurrent(files.clone());
        reading.set_read_only(true);
        let reader = Db::open_in(env(reading), path, &options(&[("read_only", "true")])).unwrap();
        let (read_keyed, read_arrivals) = (reader.table("keyed").unwrap(), reader.table("arrivals").unwrap());
        let mut by_key: BTreeMap<i64, (i64, Option<i64>)> = BTreeMap::new();
        let mut in_order: Vec<(i64, i64, Option<i64>)> = Vec::new();
        type Rows = Vec<(i64, i64, Option<i64>)>;
        let mut held: Vec<(Snapshot, Rows, Rows)> = Vec::new();
        let mut random = 7_u64;
        let mut draw = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        for round in 0..160_i64 {
            match draw(20) {
                0..=9 => {
                    let ids: Vec<i64> = (0..1 + draw(12)).map(|_| draw(80) as i64).collect();
                    let added = (fields.len() > 2).then_some(round);
                    let given = batch(&fields, &ids, round);
                    db.append(&keyed, &given, &WriteOptions::default()).unwrap();
                    db.append(&arrivals, &given, &WriteOptions::default()).unwrap();
                    by_key.extend(ids.iter().map(|id| (*id, (round, added))));
                    in_order.extend(ids.iter().map(|id| (*id, round, added)));
                }
                10 | 11 => {
                    let id = draw(80) as i64;
                    db.delete_from(&keyed, &batch(&fields[..1], &[id], 0), &WriteOptions::default()).unwrap();
                    by_key.remove(&id);
                }
                // Rows that come and are read meanwhile: what the reader has of the log by then is flushed in part.
                12..=14 => {
                    let table = if draw(2) == 0 { &keyed } else { &arrivals };
                    let token = db.flush_tables(&[table]).unwrap();
                    for id in 100..103 {
                        let given = batch(&fields, &[id, id + 1], round);
                        let added = (fields.len() > 2).then_some(round);
                        db.append(&keyed, &given, &WriteOptions::default()).unwrap();
                        db.append(&arrivals, &given, &WriteOptions::default()).unwrap();
                        by_key.extend([(id, (round, added)), (id + 1, (round, added))]);
                        in_order.extend([(id, round, added), (id + 1, round, added)]);
                    }
                    reader.refresh().unwrap();
                    token.wait(Some(Duration::from_secs(60))).unwrap();
                }
                15 => drop(db.compact_table(&keyed)),
                16 => drop(db.compact_table(&arrivals)),
                17 if round > 60 && fields.len() == 2 => {
                    let field = Field::new("added", DataType::Int64, true);
                    for table in [&keyed, &arrivals] {
                        db.alter_table(table, &SchemaChange::Add { field: field.clone(), position: None }).unwrap();
                    }
                    fields.push("added".to_owned());
                }
                18 if draw(3) == 0 => {
                    db.close(&CloseOptions { flush: Some(false), ..CloseOptions::default() }).unwrap();
                    drop((keyed, arrivals, db));
                    db = Db::open_in(env(slow.clone()), path, &options(&[])).unwrap();
                    (keyed, arrivals) = (db.table("keyed").unwrap(), db.table("arrivals").unwrap());
                }
                _ => {}
            }
            if draw(3) > 0 {
                let what = format!("{format}, round {round}");
                let refreshed = reader.refresh().unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(refreshed.sequence, db.stats().sequence, "{what}");
                let expected: Rows = by_key.iter().map(|(id, (value, added))| (*id, *value, *added)).collect();
                assert_eq!(rows(&reader, &read_keyed, None), expected, "{what}: the keyed table");
                assert_eq!(
                    rows(&reader, &read_arrivals, None),
                    in_order,
                    "{what}: rows of the append-only table, once each"
                );
                for (snapshot, keyed, arrivals) in &held {
                    assert_eq!(&rows(&reader, &read_keyed, Some(snapshot)), keyed, "{what}: a held snapshot");
                    assert_eq!(&rows(&reader, &read_arrivals, Some(snapshot)), arrivals, "{what}: a held snapshot");
                }
                if draw(6) == 0 {
                    held.push((reader.snapshot().unwrap(), expected, in_order.clone()));
                }
                if held.len() > 3 {
                    held.remove(0);
                }
            }
        }
        assert_eq!(fields.len(), 3, "the schema changed on the way");
        assert!(read_keyed.schema().field_with_name("added").is_ok(), "a handle tells the newest schema");
    }
}
