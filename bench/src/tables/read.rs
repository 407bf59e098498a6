//! Reads of a table that lies in one file: whole, a hundredth, row by row.

use super::data::{Shape, key, moment};
use super::{FORMATS, options, peers, with_table};
use crate::data::Random;
use crate::measure::{Goal, Latencies, Row, timed};
use crate::{Plan, Result};
use arrow_array::RecordBatch;
use sstore::{Db, ReadOptions, ScanOptions, Table, WriteOptions};
use std::hint::black_box;

const LOOKUPS: usize = 20_000;
const RANGES: usize = 20;

/// Scans and look-ups, and pyarrow on the same files.
pub fn run(plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (format, format_name) in FORMATS {
        // A file of its own for each format, made of one memtable.
        let found = with_table(plan, &options(format)?, Shape::Wide, |db, table| {
            for batch in Shape::Wide.batches(plan.rows, 100_000)? {
                db.append(table, &batch, &WriteOptions::default())?;
            }
            db.flush_tables(&[table])?.wait(None)?;
            let segments = db.table_segments(table)?;
            let [segment] = &segments[..] else { return Err("the table is not one file".into()) };
            let (mut scans, mut ranges) = (Vec::new(), Vec::new());
            for round in 0..plan.rounds {
                let seconds = scan(db, table, &ScanOptions::default(), plan.rows)?;
                scans.push(plan.rows as f64 / seconds / 1e6);
                ranges.push(hundredth(plan, db, table, round as u64)? / (seconds / 100.0));
            }
            let mut rows = peers::scan(plan, (format, format_name), &segment.path, &scans)?;
            if format == "parquet" {
                rows.extend(peers::parquet(plan, &segment.path, db.path())?);
            }
            rows.insert(0, Row::new(format!("scan of one {format_name} file"), "M rows/s", Goal::None, scans));
            let name = format!("range of 1 % of a {format_name} file over its share of the scan");
            rows.push(Row::new(name, "x", Goal::AtMost(5.0), ranges));
            rows.extend(lookups(plan, db, table, format)?);
            Ok(rows)
        })?;
        rows.extend(found);
    }
    Ok(rows)
}

/// Scans, and checks how many rows there are. Returns seconds.
pub fn scan(db: &Db, table: &Table, options: &ScanOptions, expected: usize) -> Result<f64> {
    let (seconds, seen) = timed(|| -> Result<usize> {
        let mut seen = 0;
        for batch in db.scan(table, options, &ReadOptions::default())? {
            seen += black_box(batch?).num_rows();
        }
        Ok(seen)
    });
    let seen = seen?;
    if seen != expected {
        return Err(format!("a scan saw {seen} of {expected} rows").into());
    }
    Ok(seconds)
}

/// Seconds for a hundredth of the rows, in the middle of several tries at places of their own.
fn hundredth(plan: &Plan, db: &Db, table: &Table, seed: u64) -> Result<f64> {
    let mut random = Random::new(seed);
    let rows = plan.rows / 1_000 * 10;
    let mut seconds = Vec::new();
    for _ in 0..RANGES {
        let start = random.below((plan.rows - rows) / 10) * 10;
        let options =
            ScanOptions { start: Some(moment(start)), stop: Some(moment(start + rows)), ..ScanOptions::default() };
        seconds.push(scan(db, table, &options, rows)?);
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[RANGES / 2])
}

fn lookups(plan: &Plan, db: &Db, table: &Table, format: &str) -> Result<Vec<Row>> {
    let mut random = Random::new(31);
    let keys: Vec<RecordBatch> = (0..LOOKUPS).map(|_| key(random.below(plan.rows))).collect::<Result<_>>()?;
    let (mut medians, mut nearly_all) = (Vec::new(), Vec::new());
    // The first round loads the cache.
    for round in 0..=plan.rounds {
        let mut latencies = Latencies::new()?;
        for key in &keys {
            let found = latencies.time(|| db.get_row(table, key, None, &ReadOptions::default()))?;
            black_box(found).ok_or("a row that was put is not found")?;
        }
        if round > 0 {
            medians.push(latencies.quantile(0.5) / 1e3);
            nearly_all.push(latencies.quantile(0.99) / 1e3);
        }
    }
    let (name, goal) = if format == "parquet" { ("Parquet", 50.0) } else { ("IPC", 20.0) };
    let name = format!("row by key from {name}, cached");
    Ok(vec![
        Row::new(format!("{name}, p50"), "µs", Goal::AtMost(goal), medians),
        Row::new(format!("{name}, p99"), "µs", Goal::None, nearly_all),
    ])
}
