//! Rows one by one, what does not fit, changed schemas, and the same rows on every file system.

use super::world::*;

#[test]
fn rows_of_every_plain_type_are_put_one_by_one_and_a_wrong_type_is_an_error() {
    let values: Vec<(&str, ArrayRef)> = vec![
        ("bool", Arc::new(BooleanArray::from(vec![true]))),
        ("int8", Arc::new(Int8Array::from(vec![-8]))),
        ("int16", Arc::new(Int16Array::from(vec![-16]))),
        ("int32", Arc::new(Int32Array::from(vec![-32]))),
        ("int64", Arc::new(Int64Array::from(vec![-64]))),
        ("uint8", Arc::new(UInt8Array::from(vec![8]))),
        ("uint16", Arc::new(UInt16Array::from(vec![16]))),
        ("uint32", Arc::new(UInt32Array::from(vec![32]))),
        ("uint64", Arc::new(UInt64Array::from(vec![u64::MAX]))),
        ("float32", Arc::new(Float32Array::from(vec![0.5]))),
        ("float64", Arc::new(Float64Array::from(vec![0.25]))),
        ("date", Arc::new(Date32Array::from(vec![20_000]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![1]))),
        ("timestamp", Arc::new(TimestampNanosecondArray::from(vec![1]).with_timezone("UTC"))),
        ("decimal", Arc::new(Decimal128Array::from(vec![123]))),
        ("text", Arc::new(StringArray::from(vec!["text"]))),
        ("bytes", Arc::new(BinaryArray::from(vec![&b"bytes"[..]]))),
    ];
    let row = RecordBatch::try_from_iter(values.clone()).unwrap();
    for format in FORMATS {
        for (index, (name, _)) in values.iter().enumerate() {
            let world = open(MemFileSystem::new(), &Options::new());
            let keys = KeyOptions { float_keys: true, ..KeyOptions::default() };
            let table = world
                .db
                .create_table("t", row.schema_ref(), &[name], &keys, &options(&[("table_format", format)]))
                .unwrap();
            world.db.append(&table, &row, &WriteOptions::default()).unwrap();
            let key = row.project(&[index]).unwrap();
            for step in ["in memory", "flushed"] {
                let found = world.db.get_row(&table, &key, None, &ReadOptions::default()).unwrap();
                assert!(found.is_some_and(|found| found.columns() == row.columns()), "{format}, {name}, {step}");
                world.flush();
            }
            let wrong = (0..values.len()).map(|other| if other == index { (index + 1) % values.len() } else { other });
            let wrong: Vec<(&str, ArrayRef)> =
                wrong.zip(&values).map(|(at, (name, _))| (*name, values[at].1.clone())).collect();
            let wrong = RecordBatch::try_from_iter(wrong).unwrap();
            let error = world.db.append(&table, &wrong, &WriteOptions::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains(name), "the column is named: {error}");
        }
    }
}

#[test]
fn nothing_of_a_batch_with_a_wrong_row_is_applied() {
    let (world, table) = world(&[]);
    let nullable = Schema::new(
        columns().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
    );
    let good = rows([1, 2], 1.0);
    let mut arrays = good.columns().to_vec();
    arrays[0] = Arc::new(Int64Array::from(vec![Some(7), None]));
    let bad = RecordBatch::try_new(Arc::new(nullable), arrays).unwrap();
    let mut batch = WriteBatch::new();
    table.put_rows(&mut batch, &good).unwrap();
    let error = table.put_rows(&mut batch, &bad).unwrap_err();
    let says = error.message();
    assert!(says.contains("\"id\"") && says.contains("row 1"), "column and row are named: {error}");
    assert!(world.db.append(&table, &bad, &WriteOptions::default()).is_err());
    assert_eq!(world.all(&table), []);
    world.db.write(&batch, &WriteOptions::default()).unwrap();
    assert_eq!(world.all(&table).len(), 2, "what was added before stays");
}

#[test]
fn the_same_rows_are_found_on_disk_and_in_memory() {
    for format in FORMATS {
        let directory = tempfile::tempdir().unwrap();
        let on_disk = Db::open(directory.path().join("db"), &Options::new()).unwrap();
        let in_memory = open(MemFileSystem::new(), &Options::new());
        let mut found = Vec::new();
        for db in [&on_disk, &in_memory.db] {
            let options = options(&[("table_format", format)]);
            let table = db.create_table("t", &columns(), &["id"], &KeyOptions::default(), &options).unwrap();
            for round in 0..3 {
                db.append(&table, &rows((0..500).map(|id| id * (round + 1)), round as f64), &WriteOptions::default())
                    .unwrap();
                db.flush_tables(&[&table]).unwrap().wait(None).unwrap();
            }
            db.compact_table(&table).unwrap();
            let batches = db.scan(&table, &ScanOptions::default(), &ReadOptions::default()).unwrap();
            found.push(batches.map(Result::unwrap).collect::<Vec<_>>());
            db.verify().unwrap();
        }
        assert_eq!(found[0], found[1], "{format}");
        on_disk.close(&CloseOptions::default()).unwrap();
    }
}

#[test]
fn rows_of_another_schema_are_refused_and_the_changed_schema_reads_old_rows() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..10, 1.0);
        world.flush();
        let before = table.table_schema().fingerprint();
        let mut stale = WriteBatch::new();
        table.put_rows(&mut stale, &rows([77], 1.0)).unwrap();
        let change = SchemaChange::Widen { name: "name".into(), data_type: DataType::LargeUtf8 };
        world.db.alter_table(&table, &change).unwrap();
        let after = table.table_schema().fingerprint();
        assert_ne!(after, before, "{format}");
        assert_eq!(world.db.write(&stale, &WriteOptions::default()).unwrap_err().kind(), ErrorKind::Conflict);
        let (world, table) = world.killed();
        assert_eq!(world.all(&table).len(), 10, "{format}");
        let row = world.db.get_row(&table, &key(3), None, &ReadOptions::default()).unwrap().unwrap();
        assert_eq!(row.column(3).as_string::<i64>().value(0), "name 3", "{format}");
        // By creating it, and by opening it.
        let (old, keys) = (columns(), KeyOptions::default());
        let created = world.db.create_table("t", &old, &["id"], &keys, &options(&[])).err();
        for error in [created, world.db.open_table("t", &old, &["id"], &keys).err()] {
            let error = error.expect("a table of another schema is opened");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{format}");
            for part in
                [format!("{before:016x}"), format!("{after:016x}"), "\"name\" LargeUtf8, not \"name\" Utf8".into()]
            {
                assert!(error.message().contains(&part), "both schemas are named: {error}");
            }
        }
        let changed = table.schema();
        assert!(world.db.open_table("t", &changed, &["id"], &keys).is_ok(), "{format}: the same is opened");
        let error = world.db.open_table("t", &changed, &["id", "time"], &keys).err().unwrap();
        assert!(error.message().contains("its key is (id), not (id, time)"), "{error}");
        let error = world.db.create_table("t", &changed, &["id"], &keys, &options(&[])).err().unwrap();
        assert!(error.message().contains("already"), "{error}");
    }
}
