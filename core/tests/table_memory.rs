//! What scans and merges of tables hold at most, counted by the allocator: it must stay within the budget, whatever the number of files.
//!
//! Every case has the same rows, far more bytes than the budget, in 8, 64 or 256 files whose keys interleave, so that a merge reads
//! from all of them at once. Prints what it measures: `cargo test -p sstore --test table_memory -- --nocapture`.
#![cfg(feature = "parquet")]

mod allocated;

use allocated::{alone, live_bytes, peak_of};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sstore::{Db, KeyOptions, Options, ReadOptions, ScanOptions, Table, WriteBatch, WriteOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const BUDGET_BYTES: usize = 16 << 20;
const ROWS: usize = 128 << 10;
const RUNS: [usize; 3] = [8, 64, 256];

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("note", DataType::Utf8, true),
        Field::new("value", DataType::Float64, true),
    ])
}

/// A hundred characters that no codec makes much shorter.
fn note(id: u64) -> String {
    let mut state = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + (state % 75) as u8)
    };
    (0..100).map(|_| next()).collect()
}

/// Rows of run `run` of `runs`.
fn rows(run: usize, runs: usize) -> RecordBatch {
    let ids = || (run..ROWS).step_by(runs);
    let notes: StringArray = ids().map(|id| Some(note(id as u64))).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids().map(|id| Some(id as i64)).collect::<Int64Array>()),
        Arc::new(notes),
        Arc::new(ids().map(|id| Some(id as f64)).collect::<Float64Array>()),
    ];
    RecordBatch::try_new(Arc::new(schema()), columns).unwrap()
}

fn flush(db: &Db) {
    db.flush(&[]).unwrap().wait(Some(Duration::from_secs(60))).unwrap();
}

fn options(format: &str, codec: &str) -> Options {
    let budget = BUDGET_BYTES.to_string();
    [
        ("table_format", format),
        ("compression", codec),
        ("auto_compaction", "false"),
        ("memory_budget_bytes", &budget),
        ("write_buffer_bytes", "1MiB"),
    ]
    .into_iter()
    .fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

/// A database whose table `t` lies in `runs` files that overlap.
fn filled(path: &Path, options: &Options, keys: &[&str], runs: usize) -> (Db, Table) {
    let db = Db::open(path, options).unwrap();
    let table = db.create_table("t", &schema(), keys, &KeyOptions::default(), options).unwrap();
    for run in 0..runs {
        let batch = rows(run, runs);
        // Pieces that the write buffer takes without a flush of its own.
        for start in (0..batch.num_rows()).step_by(4096) {
            let piece = batch.slice(start, 4096.min(batch.num_rows() - start));
            let mut write = WriteBatch::new();
            table.put_rows(&mut write, &piece).unwrap();
            db.write(&write, &WriteOptions::default()).unwrap();
        }
        flush(&db);
    }
    drop(table);
    db.close(&Default::default()).unwrap();
    let db = Db::open(path, options).unwrap();
    let table = db.table("t").unwrap();
    (db, table)
}

fn scanned_rows(db: &Db, table: &Table, scan: &ScanOptions) -> usize {
    db.scan(table, scan, &ReadOptions::default()).unwrap().map(|batch| batch.unwrap().num_rows()).sum()
}

#[test]
fn the_peak_of_a_scan_and_of_a_merge_is_under_the_budget_whatever_the_file_count() {
    let _alone = alone();
    let (mut worst_scan, mut worst) = (0, 0);
    for (format, codec, all_runs) in [("parquet", "zstd", &RUNS[..]), ("arrow", "none", &RUNS), ("arrow", "lz4", &[64])]
    {
        for &runs in all_runs {
            let dir = tempfile::tempdir().unwrap();
            let started = live_bytes();
            let (db, table) = filled(dir.path(), &options(format, codec), &["id"], runs);
            let open = live_bytes().saturating_sub(started);
            let (scan, count) = peak_of(|| scanned_rows(&db, &table, &ScanOptions::default()));
            assert_eq!(count, ROWS);
            let reverse = ScanOptions { reverse: true, ..ScanOptions::default() };
            // Each stretch of it opens all files, which takes its time with many.
            let (reverse, count) = peak_of(|| if runs <= 64 { scanned_rows(&db, &table, &reverse) } else { ROWS });
            assert_eq!(count, ROWS);
            let cached = ScanOptions { cached: true, ..ScanOptions::default() };
            let (cached, count) = peak_of(|| scanned_rows(&db, &table, &cached));
            assert_eq!(count, ROWS);
            let (merge, ()) = peak_of(|| db.compact_table(&table).unwrap());
            assert_eq!(scanned_rows(&db, &table, &ScanOptions::default()), ROWS);
            let [open, scan, reverse, cached, merge] = [open, scan, reverse, cached, merge].map(|bytes| bytes >> 10);
            println!(
                "{format} {codec}, {runs} files: open {open} KiB; peaks: scan {scan}, in reverse {reverse}, cached {cached}, \
                 merge {merge} KiB"
            );
            worst_scan = worst_scan.max(scan).max(reverse);
            worst = worst.max(scan + open).max(reverse + open).max(cached + open).max(merge + open);
        }
    }
    assert!(worst_scan < BUDGET_BYTES >> 11, "{worst_scan} KiB at once in a scan, of {BUDGET_BYTES} bytes");
    assert!(worst < BUDGET_BYTES >> 10, "{worst} KiB at once, of {BUDGET_BYTES} bytes");
}

/// What a merge of two files with `count` short rows in all holds at most.
fn peak_of_short_rows(count: i64) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let options = options("arrow", "none").with("write_buffer_bytes", "64MiB").unwrap();
    let db = Db::open(dir.path(), &options).unwrap();
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
    let table = db.create_table("t", &schema, &["id"], &KeyOptions::default(), &options).unwrap();
    let schema = Arc::new(schema);
    for part in 0..2 {
        let ids = (0..count / 2).map(|row| Some(2 * row + part)).collect::<Int64Array>();
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(ids)]).unwrap();
        db.append(&table, &batch, &WriteOptions::default()).unwrap();
        drop(batch);
        flush(&db);
    }
    // Opened anew: what a flush had would else be let go of meanwhile, and hide as much of the merge.
    drop(table);
    db.close(&Default::default()).unwrap();
    let db = Db::open(dir.path(), &options).unwrap();
    let table = db.table("t").unwrap();
    let (merge, ()) = peak_of(|| db.compact_table(&table).unwrap());
    println!("a merge of {count} short rows: {} KiB", merge >> 10);
    merge
}

#[test]
fn a_merge_of_many_short_rows_keeps_bits_and_not_hashes_of_their_keys() {
    let _alone = alone();
    const SHORT_ROWS: i64 = 1 << 20;
    let (few, many) = (peak_of_short_rows(SHORT_ROWS / 2), peak_of_short_rows(SHORT_ROWS));
    // Beside what does not grow with the rows.
    let bytes_per_key = many.saturating_sub(few) as f64 / (SHORT_ROWS / 2) as f64;
    assert!(bytes_per_key < 4.0, "{bytes_per_key:.1} bytes at once for each key more");
    assert!(many < BUDGET_BYTES, "{many} bytes at once, of {BUDGET_BYTES}");
}

#[test]
fn a_flush_that_sorts_rows_without_keys_holds_few_encoded_keys_at_a_time() {
    let _alone = alone();
    const SMALL_ROWS: i64 = 512 << 10;
    let dir = tempfile::tempdir().unwrap();
    let options = options("arrow", "none").with("write_buffer_bytes", "64MiB").unwrap();
    let db = Db::open(dir.path(), &options).unwrap();
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
    let order = KeyOptions { order_by: vec!["id".to_owned()], ..KeyOptions::default() };
    let table = db.create_table("t", &schema, &[], &order, &options).unwrap();
    let schema = Arc::new(schema);
    for part in 0..8 {
        // Neither rising nor falling, and each number twice in its batch.
        let ids = (0..SMALL_ROWS / 8).map(|row| Some((row / 2 * 7919 + part) % SMALL_ROWS)).collect::<Int64Array>();
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(ids)]).unwrap();
        db.append(&table, &batch, &WriteOptions::default()).unwrap();
    }
    let (peak, ()) = peak_of(|| flush(&db));
    println!("a flush with an order: {} KiB", peak >> 10);
    let mut last = i64::MIN;
    let mut rows = 0;
    for batch in db.scan(&table, &ScanOptions::default(), &ReadOptions::default()).unwrap() {
        for id in batch.unwrap().column(0).as_primitive::<Int64Type>().values() {
            assert!(*id >= last, "{id} after {last}");
            (last, rows) = (*id, rows + 1);
        }
    }
    assert_eq!(rows, SMALL_ROWS);
    assert!(peak < BUDGET_BYTES, "{peak} bytes at once, of {BUDGET_BYTES}");
}
