//! The read path: get, scan and seek in a flushed, cached file; and opening with a long log.

use crate::data::{Keys, Random, Shape, VALUE_BYTES, Values};
use crate::measure::{Goal, Latencies, Percentiles, Row, timed};
use crate::write::{fill, quiet_options, records_for, with_new};
use crate::{Plan, Result};
use sstore::{CloseOptions, ColumnFamily, Db, EntryBatch, IterOptions, ReadOptions};
use std::hint::black_box;

const SCAN_BATCH: usize = 1_000;
const SCAN_BATCH_BYTES: usize = 1 << 20;

/// Reads of one run that lies in the cache.
pub fn read(plan: &Plan) -> Result<Vec<Row>> {
    let keys = Keys::new(Shape::Random, plan.keys, 19);
    let values = Values::new(5);
    with_new(&plan.dir.join("read"), &quiet_options()?, |db, family| {
        fill(db, family, &keys, &values)?;
        db.flush(&[family])?.wait(None)?;
        gets(plan, db, family, &keys, Shape::Random)?; // loads every block once
        let mut rows = gets(plan, db, family, &keys, Shape::Random)?;
        rows.extend(scans(plan, db, family, keys.len())?);
        rows.push(seeks(plan, db, family, &keys)?);
        Ok(rows)
    })
}

fn gets(plan: &Plan, db: &Db, family: &ColumnFamily, keys: &Keys, shape: Shape) -> Result<Vec<Row>> {
    let options = ReadOptions::default();
    let mut buffer = [0; VALUE_BYTES];
    let (mut pinned, mut copied, mut percentiles) = (Vec::new(), Vec::new(), Percentiles::default());
    for round in 0..plan.rounds {
        let per_key = 1e9 / keys.len() as f64;
        let mut random = Random::new(round as u64);
        let (seconds, outcome) = timed(|| -> Result<()> {
            for _ in 0..keys.len() {
                let value = db.get(family, keys.get(random.below(keys.len())), &options)?;
                black_box(value).ok_or("a key that was put is not found")?;
            }
            Ok(())
        });
        outcome?;
        pinned.push(seconds * per_key);
        let (seconds, outcome) = timed(|| -> Result<()> {
            for _ in 0..keys.len() {
                let len = db.get_into(family, keys.get(random.below(keys.len())), &mut buffer, &options)?;
                black_box(&buffer);
                len.ok_or("a key that was put is not found")?;
            }
            Ok(())
        });
        outcome?;
        copied.push(seconds * per_key);
        let mut latencies = Latencies::new()?;
        for _ in 0..keys.len().min(200_000) {
            let key = keys.get(random.below(keys.len()));
            black_box(latencies.time(|| db.get(family, key, &options))?);
        }
        percentiles.add(&latencies);
    }
    let name = shape.name();
    let mut rows = vec![
        Row::new(format!("get, pinned, flushed and cached, {name}"), "ns", Goal::AtMost(600.0), pinned),
        Row::new(format!("get into a buffer, flushed and cached, {name}"), "ns", Goal::AtMost(600.0), copied),
    ];
    rows.extend(percentiles.rows("get, flushed and cached", Goal::None));
    Ok(rows)
}

fn scans(plan: &Plan, db: &Db, family: &ColumnFamily, expected: usize) -> Result<Vec<Row>> {
    let mut batch = EntryBatch::new();
    let mut rows = Vec::new();
    for forward in [true, false] {
        let mut rates = Vec::new();
        for _ in 0..plan.rounds {
            let mut iterator = db.iterator(family, IterOptions::default())?;
            let (seconds, outcome) = timed(|| -> Result<usize> {
                let mut seen = 0;
                loop {
                    let count = if forward {
                        iterator.next_batch(&mut batch, SCAN_BATCH, SCAN_BATCH_BYTES)?
                    } else {
                        iterator.prev_batch(&mut batch, SCAN_BATCH, SCAN_BATCH_BYTES)?
                    };
                    if count == 0 {
                        return Ok(seen);
                    }
                    for (key, value) in batch.iter() {
                        black_box((key, value));
                    }
                    seen += count;
                }
            });
            let seen = outcome?;
            if seen != expected {
                return Err(format!("a scan saw {seen} of {expected} entries").into());
            }
            rates.push(seen as f64 / seconds / 1e6);
        }
        let name = if forward { "scan forward, batches of 1,000" } else { "scan backward, batches of 1,000" };
        rows.push(Row::new(name, "M entries/s", Goal::AtLeast(20.0), rates));
    }
    Ok(rows)
}

fn seeks(plan: &Plan, db: &Db, family: &ColumnFamily, keys: &Keys) -> Result<Row> {
    let mut figures = Vec::new();
    let count = keys.len() / 4;
    for round in 0..plan.rounds {
        let mut random = Random::new(100 + round as u64);
        let mut iterator = db.iterator(family, IterOptions::default())?;
        let (seconds, outcome) = timed(|| -> Result<()> {
            for _ in 0..count {
                let mut valid = iterator.seek(keys.get(random.below(keys.len())))?;
                for _ in 0..10 {
                    if !valid {
                        break;
                    }
                    black_box(iterator.value());
                    valid = iterator.next()?;
                }
            }
            Ok(())
        });
        outcome?;
        figures.push(seconds / count as f64 * 1e6);
    }
    Ok(Row::new("seek + 10 nexts", "µs", Goal::AtMost(2.0), figures))
}

/// Opening a database whose log holds a full memtable.
pub fn open(plan: &Plan) -> Result<Vec<Row>> {
    let keys = Keys::new(Shape::Random, records_for(plan.fill_bytes), 23);
    let values = Values::new(6);
    let options = quiet_options()?;
    let path = plan.dir.join("open");
    let mut figures = Vec::new();
    for _ in 0..plan.rounds {
        let db = Db::open(&path, &options)?;
        fill(&db, &db.default_family(), &keys, &values)?;
        db.close(&CloseOptions { flush: Some(false), ..CloseOptions::default() })?;
        let (seconds, opened) = timed(|| Db::open(&path, &options));
        let db = opened?;
        if !db.contains(&db.default_family(), keys.get(keys.len() - 1), &ReadOptions::default())? {
            return Err("the last record of the log is not there after opening".into());
        }
        db.close(&CloseOptions { flush: Some(false), ..CloseOptions::default() })?;
        std::fs::remove_dir_all(&path)?;
        figures.push(seconds);
    }
    let name = format!("open with {} MiB in the log", plan.fill_bytes >> 20);
    Ok(vec![Row::new(name, "s", Goal::AtMost(0.3), figures)])
}
