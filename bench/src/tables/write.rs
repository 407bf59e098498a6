//! Rows into tables, and from memory into files.

use super::data::Shape;
use super::{FORMATS, options, peers, with_table};
use crate::limits;
use crate::measure::{Goal, Row, timed};
use crate::{Plan, Result};
use arrow_array::RecordBatch;
use arrow_array::builder::{Float64Builder, Int32Builder, StringBuilder, TimestampMicrosecondBuilder};
use sstore::{Durability, WriteBatch, WriteOptions};
use std::fmt::Write;
use std::sync::Arc;

const BATCH_ROWS: usize = 100_000;
const MB: f64 = 1e6;

/// What DuckDB 2.0 takes with a sync at each batch and a checkpoint at the end, in M rows/s.
const PEER_INGEST: f64 = 6.8;

/// Batches of 100,000 rows, each durable before the next; files are written meanwhile, and what is left after.
pub fn ingest(plan: &Plan) -> Result<Vec<Row>> {
    let durable = WriteOptions { durability: Some(Durability::Sync), no_stall: false };
    let mut rows = Vec::new();
    for shape in [Shape::Wide, Shape::Narrow] {
        let batches = shape.batches(plan.rows, BATCH_ROWS)?;
        for (format, format_name) in FORMATS {
            // Memtables may hold all that 32 of them do: what is measured is the log, and then the flushes.
            let options = options(format)?
                .with("write_buffer_bytes", "64MiB")?
                .with("max_frozen_memtables", "32")?
                .with("memory_budget_bytes", "5GiB")?;
            let (mut logged, mut flushed) = (Vec::new(), Vec::new());
            for _ in 0..plan.rounds {
                let (first, all) = with_table(plan, &options, shape, |db, table| {
                    let (first, outcome) = timed(|| -> Result<()> {
                        batches.iter().try_for_each(|batch| Ok(db.append(table, batch, &durable).map(drop)?))
                    });
                    outcome?;
                    let (rest, outcome) = timed(|| db.flush_tables(&[table])?.wait(None));
                    outcome?;
                    Ok((first, first + rest))
                })?;
                logged.push(plan.rows as f64 / first / 1e6);
                flushed.push(plan.rows as f64 / all / 1e6);
            }
            let name = format!("ingest SYNC, batches of 100,000 {}, {format_name}", shape.name());
            rows.push(Row::new(format!("{name}, logged"), "M rows/s", Goal::AtLeast(10.0), logged));
            rows.push(Row::new(format!("{name}, until flushed"), "M rows/s", Goal::AtLeast(PEER_INGEST), flushed));
        }
        rows.extend(peers::append(plan, shape)?);
    }
    Ok(rows)
}

/// Small batches and single rows, BUFFERED, within one memtable.
pub fn small(plan: &Plan) -> Result<Vec<Row>> {
    let shape = Shape::Wide;
    let options = options("parquet")?;
    let buffered = WriteOptions { durability: Some(Durability::Buffered), no_stall: false };
    let thousands = shape.batches(plan.rows / 5, 1_000)?;
    let singles = shape.batches(plan.rows / 100, 1)?;
    let (mut batched, mut alone, mut together, mut built) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let append = |batches: &[RecordBatch]| {
            with_table(plan, &options, shape, |db, table| {
                let (seconds, outcome) = timed(|| -> Result<()> {
                    batches.iter().try_for_each(|batch| Ok(db.append(table, batch, &buffered).map(drop)?))
                });
                outcome?;
                Ok(batches.iter().map(RecordBatch::num_rows).sum::<usize>() as f64 / seconds / 1e6)
            })
        };
        batched.push(append(&thousands)?);
        alone.push(append(&singles)?);
        together.push(with_table(plan, &options, shape, |db, table| {
            let (seconds, outcome) = timed(|| -> Result<()> {
                let mut batch = WriteBatch::new();
                for rows in singles.chunks(1_000) {
                    rows.iter().try_for_each(|row| table.put_rows(&mut batch, row))?;
                    db.write(&batch, &buffered)?;
                    batch.clear();
                }
                Ok(())
            });
            outcome?;
            Ok(singles.len() as f64 / seconds / 1e6)
        })?);
        built.push(with_table(plan, &options, shape, |db, table| {
            let count = plan.rows / 5;
            let (seconds, outcome) = timed(|| -> Result<()> {
                let mut builder = Builder::default();
                for row in 0..count {
                    builder.add(row as i64)?;
                    if row % 1_000 == 999 || row + 1 == count {
                        db.append(table, &builder.finish()?, &buffered)?;
                    }
                }
                Ok(())
            });
            outcome?;
            Ok(count as f64 / seconds / 1e6)
        })?);
    }
    Ok(vec![
        Row::new("ingest BUFFERED, batches of 1,000", "M rows/s", Goal::AtLeast(6.0), batched),
        Row::new("rows set value by value, 1,000 a batch", "M rows/s", Goal::AtLeast(0.8), built),
        Row::new("one-row batches, 1,000 a write", "M rows/s", Goal::None, together),
        Row::new("one-row batches, each a write", "M rows/s", Goal::None, alone),
    ])
}

/// Rows value by value, as the row builders of the C interface make them.
#[derive(Default)]
struct Builder {
    times: TimestampMicrosecondBuilder,
    sensors: Int32Builder,
    names: StringBuilder,
    loads: Float64Builder,
    temperatures: Float64Builder,
}

impl Builder {
    fn add(&mut self, row: i64) -> Result<()> {
        self.times.append_value(row);
        self.sensors.append_value((row % 1_000) as i32);
        write!(self.names, "sensor-{:04}", row % 1_000)?;
        // What was written is the value.
        self.names.append_value("");
        self.loads.append_value(row as f64);
        self.temperatures.append_value(0.5);
        Ok(())
    }

    fn finish(&mut self) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(
            Arc::new(Shape::Wide.schema()),
            vec![
                Arc::new(self.times.finish()),
                Arc::new(self.sensors.finish()),
                Arc::new(self.names.finish()),
                Arc::new(self.loads.finish()),
                Arc::new(self.temperatures.finish()),
            ],
        )?)
    }
}

/// Flushes of a full memtable of rows in order to a durable file.
pub fn flush(plan: &Plan) -> Result<Vec<Row>> {
    let shape = Shape::Wide;
    let count = plan.rows.min(plan.fill_bytes as usize / shape.row_bytes());
    let batches = shape.batches(count, BATCH_ROWS)?;
    let user_bytes = (count * shape.row_bytes()) as f64;
    let mut rows = Vec::new();
    for (format, format_name) in FORMATS {
        let options = options(format)?;
        let (mut rates, mut shares, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            let (seconds, file_bytes) = with_table(plan, &options, shape, |db, table| {
                for batch in &batches {
                    db.append(table, batch, &WriteOptions::default())?;
                }
                let (seconds, outcome) = timed(|| db.flush_tables(&[table])?.wait(None));
                Ok((seconds, outcome?.bytes))
            })?;
            let yardstick = limits::copy_write_sync(plan, file_bytes as usize)?;
            rates.push(user_bytes / seconds / MB);
            bare.push(file_bytes as f64 / yardstick / MB);
            shares.push(yardstick / seconds * 100.0);
        }
        let goal = if format == "parquet" { Goal::AtLeast(150.0) } else { Goal::None };
        rows.push(Row::new(format!("flush to {format_name}, of user bytes"), "MB/s", goal, rates));
        if format == "arrow" {
            rows.push(Row::new("flush to IPC against its yardstick", "%", Goal::AtLeast(60.0), shares));
            rows.push(Row::new("limit: memcpy + write + fdatasync of the IPC file", "MB/s", Goal::None, bare));
        }
    }
    Ok(rows)
}
