//! The write path: puts, batches, SYNC puts, flushes.

use crate::data::{Keys, Shape, VALUE_BYTES, Values};
use crate::limits::{self, SyncPath};
use crate::measure::{Goal, Latencies, Percentiles, Row, timed};
use crate::{Plan, Result};
use sstore::{CloseOptions, ColumnFamily, Db, Durability, Options, WriteBatch, WriteOptions};
use std::path::Path;

const KEY_BYTES: usize = 16;
const MIB: f64 = (1 << 20) as f64;

/// Options under which nothing is flushed unless asked for, so that one stage is measured at a time.
pub fn quiet_options() -> Result<Options> {
    Ok(Options::new()
        .with("write_buffer_bytes", "1GiB")?
        .with("memory_budget_bytes", "4GiB")?
        .with("wal_total_bytes", "8GiB")?
        .with("auto_compaction", "false")?)
}

/// Opens a new database at `path`, empties it after `work`, and removes it.
pub fn with_new<T>(path: &Path, options: &Options, work: impl FnOnce(&Db, &ColumnFamily) -> Result<T>) -> Result<T> {
    let db = Db::open(path, options)?;
    let result = work(&db, &db.default_family());
    db.close(&CloseOptions { flush: Some(false), force: true, ..CloseOptions::default() })?;
    std::fs::remove_dir_all(path)?;
    result
}

/// Puts `count` keys without flushing.
pub fn fill(db: &Db, family: &ColumnFamily, keys: &Keys, values: &Values) -> Result<()> {
    let options = WriteOptions::default();
    for (index, key) in keys.iter().enumerate() {
        db.put(family, key, values.get(index), &options)?;
    }
    Ok(())
}

/// How many records of 16 + 100 bytes make `bytes` of keys and values.
pub fn records_for(bytes: u64) -> usize {
    bytes as usize / (KEY_BYTES + VALUE_BYTES)
}

/// BUFFERED puts one by one and in batches, within one memtable.
pub fn put(plan: &Plan) -> Result<Vec<Row>> {
    let keys = Keys::new(Shape::Random, plan.keys, 11);
    let rising = Keys::new(Shape::Rising, plan.keys, 0);
    let values = Values::new(2);
    let options = quiet_options()?;
    let buffered = WriteOptions { durability: Some(Durability::Buffered), no_stall: false };
    let path = plan.dir.join("put");
    let (mut rates, mut batched, mut percentiles) = (Vec::new(), Vec::new(), Percentiles::default());
    for _ in 0..plan.rounds {
        let seconds = with_new(&path, &options, |db, family| {
            let (seconds, outcome) = timed(|| fill(db, family, &keys, &values));
            outcome.map(|()| seconds)
        })?;
        rates.push(keys.len() as f64 / seconds / 1e6);
        let latencies = with_new(&path, &options, |db, family| {
            let mut latencies = Latencies::new()?;
            for (index, key) in keys.iter().enumerate() {
                latencies.time(|| db.put(family, key, values.get(index), &buffered))?;
            }
            Ok(latencies)
        })?;
        percentiles.add(&latencies);
        let seconds = with_new(&path, &options, |db, family| {
            let (seconds, outcome) = timed(|| -> Result<()> {
                let mut batch = WriteBatch::new();
                for (index, key) in rising.iter().enumerate() {
                    batch.put(family.id(), key, values.get(index))?;
                    if batch.len() == 1_000 || index + 1 == rising.len() {
                        db.write(&batch, &buffered)?;
                        batch.clear();
                    }
                }
                Ok(())
            });
            outcome.map(|()| seconds)
        })?;
        batched.push(rising.len() as f64 / seconds / 1e6);
    }
    let mut rows = vec![Row::new("put BUFFERED, one thread", "M/s", Goal::AtLeast(2.5), rates)];
    rows.extend(percentiles.rows("put BUFFERED", Goal::AtMost(5_000.0)));
    rows.push(Row::new("batches of 1,000 rising keys, building included", "M records/s", Goal::AtLeast(4.5), batched));
    Ok(rows)
}

/// SYNC puts of one thread beside the bare disk.
pub fn sync(plan: &Plan) -> Result<Vec<Row>> {
    let count = (plan.keys / 480).max(50);
    let keys = Keys::new(Shape::Random, count, 13);
    let values = Values::new(3);
    let durable = WriteOptions { durability: Some(Durability::Sync), no_stall: false };
    let paths = [SyncPath::Append, SyncPath::Overwrite];
    let mut bare = [Vec::new(), Vec::new()];
    let (mut ratios, mut percentiles) = (Vec::new(), Percentiles::default());
    for _ in 0..plan.rounds {
        for (figures, path) in bare.iter_mut().zip(paths) {
            figures.push(limits::sync_latencies(plan, path, count, 160)?.quantile(0.5) / 1e3);
        }
        let latencies = with_new(&plan.dir.join("sync"), &quiet_options()?, |db, family| {
            let mut latencies = Latencies::new()?;
            for (index, key) in keys.iter().enumerate() {
                latencies.time(|| db.put(family, key, values.get(index), &durable))?;
            }
            Ok(latencies)
        })?;
        let best = bare.iter().filter_map(|figures| figures.last()).copied().fold(f64::INFINITY, f64::min);
        ratios.push(latencies.quantile(0.5) / 1e3 / best);
        percentiles.add(&latencies);
    }
    let mut rows = vec![Row::new("put SYNC, p50 over the best bare path", "x", Goal::AtMost(1.15), ratios)];
    rows.extend(percentiles.rows("put SYNC", Goal::None));
    for (figures, path) in bare.into_iter().zip(paths) {
        rows.push(Row::new(format!("limit: {}, p50", path.name()), "µs", Goal::None, figures));
    }
    Ok(rows)
}

/// Flushes of a full memtable to a durable file.
pub fn flush(plan: &Plan) -> Result<Vec<Row>> {
    let keys = Keys::new(Shape::Random, records_for(plan.fill_bytes), 17);
    let values = Values::new(4);
    let user_bytes = (keys.len() * (KEY_BYTES + VALUE_BYTES)) as f64;
    let mut rows = Vec::new();
    for (codec, goal) in [("none", Goal::None), ("lz4", Goal::AtLeast(300.0))] {
        let options = quiet_options()?.with("compression", codec)?;
        let (mut rates, mut shares, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            let (seconds, file_bytes) = with_new(&plan.dir.join("flush"), &options, |db, family| {
                fill(db, family, &keys, &values)?;
                let (seconds, outcome) = timed(|| db.flush(&[family])?.wait(None));
                Ok((seconds, outcome?.bytes))
            })?;
            let yardstick = limits::copy_write_sync(plan, file_bytes as usize)?;
            rates.push(user_bytes / seconds / MIB);
            bare.push(file_bytes as f64 / yardstick / MIB);
            shares.push(yardstick / seconds * 100.0);
        }
        rows.push(Row::new(format!("flush, compression {codec}, of user bytes"), "MiB/s", goal, rates));
        if codec == "none" {
            rows.push(Row::new("flush against its yardstick", "%", Goal::AtLeast(50.0), shares));
            rows.push(Row::new("limit: memcpy + write + fdatasync of the same bytes", "MiB/s", Goal::None, bare));
        }
    }
    Ok(rows)
}
