//! Splits: together they are the scan, no two share a row, and they run from bytes alone.
#![cfg(feature = "parquet")]

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sstore::env::posix::posix;
use sstore::{
    CloseOptions, Comparison, Db, ErrorKind, Filter, KeyOptions, Options, ReadOptions, ScanOptions, SchemaChange,
    Split, Table, WriteOptions,
};
use std::sync::Arc;

const FORMATS: [&str; 2] = ["parquet", "arrow"];

fn schema() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, true)])
}

fn rows(ids: &[i64], name: &str) -> RecordBatch {
    let names = StringArray::from_iter(ids.iter().map(|id| (id % 7 != 0).then(|| format!("{name}{}", id % 50))));
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(ids.to_vec())), Arc::new(names)];
    RecordBatch::try_new(Arc::new(schema()), columns).unwrap()
}

fn keys(ids: &[i64]) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(ids.to_vec()))]).unwrap()
}

fn options(format: &str) -> Options {
    let options = Options::new().with("table_format", format).unwrap().with("auto_compaction", "false").unwrap();
    options.with("row_group_rows", "1024").unwrap().with("page_rows", "1024").unwrap()
}

type Row = (i64, Option<String>);

fn gather(batches: impl Iterator<Item = sstore::Result<RecordBatch>>) -> Vec<Row> {
    let mut found = Vec::new();
    for batch in batches {
        let batch = batch.unwrap();
        let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
        let names = batch.column_by_name("name").unwrap().as_string::<i32>();
        found.extend(
            (0..batch.num_rows()).map(|row| (ids.value(row), names.is_valid(row).then(|| names.value(row).to_owned()))),
        );
    }
    found
}

/// A random number generator that needs no crate.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % end
    }
}

fn fill(db: &Db, table: &Table, random: &mut Random, keyed: bool) {
    let write = WriteOptions::default();
    for round in 0..4 {
        let ids: Vec<i64> = (0..2500).map(|_| random.below(8000) as i64).collect();
        db.append(table, &rows(&ids, &format!("round {round} ")), &write).unwrap();
        if keyed {
            let gone: Vec<i64> = (0..300).map(|_| random.below(8000) as i64).collect();
            db.delete_from(table, &keys(&gone), &write).unwrap();
        }
        if round % 2 == 0 {
            db.flush_tables(&[table]).unwrap().wait(None).unwrap();
        }
    }
}

fn scans() -> Vec<ScanOptions> {
    let one = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
    let columns = Some(vec!["name".to_owned(), "id".to_owned()]);
    vec![
        ScanOptions::default(),
        ScanOptions {
            columns,
            filter: Some(Filter::parse("name LIKE 'round 1%' OR id IN (5, 6, 7)").unwrap()),
            ..ScanOptions::default()
        },
        ScanOptions { start: Some(vec![one(500)]), stop: Some(vec![one(2100)]), ..ScanOptions::default() },
        ScanOptions {
            filter: Some(Filter::And(vec![
                Filter::Not(Box::new(Filter::IsNull("name".to_owned()))),
                Filter::compare("id", Comparison::Greater, one(1000)),
            ])),
            batch_rows: 100,
            ..ScanOptions::default()
        },
    ]
}

#[test]
fn splits_of_any_size_are_together_the_scan_and_share_no_row() {
    for (format, keyed) in FORMATS.into_iter().flat_map(|format| [(format, true), (format, false)]) {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("db"), &options(format)).unwrap();
        let key: &[&str] = if keyed { &["id"] } else { &[] };
        let table = db.create_table("t", &schema(), key, &KeyOptions::default(), &options(format)).unwrap();
        let mut random = Random(7);
        fill(&db, &table, &mut random, keyed);
        let snapshot = db.snapshot().unwrap();
        fill(&db, &table, &mut random, keyed);
        let both_ways = scans().into_iter().flat_map(|scan| [ScanOptions { reverse: true, ..scan.clone() }, scan]);
        for scan in both_ways.filter(|scan| keyed || scan.start.is_none()) {
            for read in [ReadOptions::default(), ReadOptions { snapshot: Some(&snapshot) }] {
                let expected = gather(db.scan(&table, &scan, &read).unwrap());
                assert!(!expected.is_empty());
                for target_bytes in [1, 60_000, u64::MAX] {
                    let made = db.splits(&table, &scan, &read, target_bytes).unwrap();
                    let count = made.splits.len();
                    match target_bytes {
                        1 => assert!(
                            count
                                > if format == "arrow" {
                                    0
                                } else if scan.start.is_some() {
                                    1
                                } else {
                                    5
                                },
                            "{format} {keyed}: {count} splits"
                        ),
                        u64::MAX => assert_eq!(count, 1),
                        _ => assert!(count >= 1),
                    }
                    let mut found = Vec::new();
                    for split in &made.splits {
                        let bytes = split.encode().unwrap();
                        let sent = Split::decode(&bytes).unwrap();
                        assert!(sent.encode().unwrap() == bytes, "{format}");
                        let part = gather(sent.run(&posix(), 1 << 20).unwrap());
                        found.extend(part);
                    }
                    assert!(
                        found == expected,
                        "{format}, keyed {keyed}, in reverse {}, target {target_bytes}: the same rows in the same order",
                        scan.reverse
                    );
                }
            }
        }
        assert_eq!(
            db.splits(&table, &ScanOptions { limit: Some(1), ..ScanOptions::default() }, &ReadOptions::default(), 1)
                .err()
                .unwrap()
                .kind(),
            ErrorKind::InvalidArgument
        );
    }
}

#[test]
fn splits_run_while_the_database_goes_on_and_fail_when_their_files_are_not_theirs_any_more() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("db"), &options(format)).unwrap();
        let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options(format)).unwrap();
        fill(&db, &table, &mut Random(3), true);
        let expected = gather(db.scan(&table, &ScanOptions::default(), &ReadOptions::default()).unwrap());
        let made = db.splits(&table, &ScanOptions::default(), &ReadOptions::default(), 5000).unwrap();
        let sent: Vec<Vec<u8>> = made.splits.iter().map(|split| split.encode().unwrap()).collect();
        let run = |bytes: &Vec<u8>| Split::decode(bytes).and_then(|split| split.run(&posix(), 0));
        // Other rows, another schema, and a merge of everything.
        fill(&db, &table, &mut Random(4), true);
        let field = Field::new("more", DataType::Int64, true);
        db.alter_table(&table, &SchemaChange::Add { field, position: Some(0) }).unwrap();
        db.compact_table(&table).unwrap();
        let found: Vec<Row> = sent.iter().flat_map(|bytes| gather(run(bytes).unwrap())).collect();
        assert!(found == expected, "{format}: as of when the splits were made");
        let wide = db.splits(&table, &ScanOptions::default(), &ReadOptions::default(), 5000).unwrap();
        assert_eq!(wide.splits[0].run(&posix(), 0).unwrap().schema().fields().len(), 3);
        drop((wide, table));
        db.close(&CloseOptions::default()).unwrap();
        let found: Vec<Row> = sent.iter().flat_map(|bytes| gather(run(bytes).unwrap())).collect();
        assert!(found == expected, "{format}: the files stay for their holder, also when the database is closed");
        let path = made.files.files[0].path.clone();
        let victim = if format == "arrow" { path.with_file_name("index.sst") } else { path };
        let whole = std::fs::read(&victim).unwrap();
        let mut damaged = whole.clone();
        let at = damaged.len() - 10;
        damaged[at] ^= 1;
        std::fs::write(&victim, damaged).unwrap();
        let failed = |sent: &[Vec<u8>]| {
            let errors = sent.iter().filter_map(|bytes| run(bytes).err()).collect::<Vec<_>>();
            assert!(
                !errors.is_empty() && errors.iter().all(|error| error.kind() == ErrorKind::Corruption),
                "{errors:?}"
            );
        };
        failed(&sent);
        std::fs::write(&victim, whole).unwrap();
        drop(made);
        assert!(!victim.exists());
        failed(&sent);
    }
}

#[test]
fn bytes_that_are_no_split_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path().join("db"), &options("parquet")).unwrap();
    let table = db.create_table("t", &schema(), &["id"], &KeyOptions::default(), &options("parquet")).unwrap();
    db.append(&table, &rows(&[1, 2, 3], "a"), &WriteOptions::default()).unwrap();
    let scan =
        ScanOptions { filter: Some(Filter::parse("name = 'a1' AND id IN (1, 2)").unwrap()), ..ScanOptions::default() };
    let made = db.splits(&table, &scan, &ReadOptions::default(), 1).unwrap();
    let bytes = made.splits[0].encode().unwrap();
    for at in 0..bytes.len() {
        assert!(Split::decode(&bytes[..at]).is_err());
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert_eq!(Split::decode(&damaged).unwrap_err().kind(), ErrorKind::Corruption, "byte {at}");
        // Under a right checksum anything may stand: an error or a split, but no panic.
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut lie = bytes[..bytes.len() - 4].to_vec();
            if let Some(byte) = lie.get_mut(at) {
                *byte = value;
            }
            let checksum = crc32fast::hash(&lie);
            lie.extend(checksum.to_le_bytes());
            if let Ok(split) = Split::decode(&lie)
                && let Ok(scan) = split.run(&posix(), 0)
            {
                scan.for_each(drop);
            }
        }
    }
    let mut unknown = made.splits[0].clone();
    unknown.table = "../../t".to_owned();
    assert!(Split::decode(&unknown.encode().unwrap()).is_err(), "a name that leads out of the directory");
}
