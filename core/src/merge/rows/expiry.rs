//! Rows past their time: what a merge of files makes of them before it decides anything else.
//!
//! Called by [`RowMerge`](super::RowMerge) for each chunk that it takes in. In a keyed table such a row becomes a delete of its key, so
//! that it goes on hiding older versions until nothing older lies below; in an append-only table it is left out at once. Promises:
//! what a snapshot sees is not touched, and neither is a row without a time.

use crate::error::{Error, Result};
use crate::iter::{RowChunk, RowStretch, gather};
use crate::key::Sequence;
use crate::merge::SurvivorCounts;
use crate::schema::TableSchema;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, TimeUnit};
use std::sync::Arc;

/// Which rows are past their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// The id of the column that holds a row's time: a date, or a timestamp.
    pub column: u32,
    /// Rows of earlier times than this are past, in nanoseconds since 1970, UTC.
    pub nanos: i128,
}

/// A horizon as rows of one schema are compared to it.
pub struct Expiry {
    schema: Arc<TableSchema>,
    index: usize,
    /// Times below this one are past, in the column's unit.
    before: i64,
    /// Rows up to this sequence are seen by a snapshot.
    newest_snapshot: Sequence,
}

/// How many nanoseconds one unit of a date or a timestamp has; `None` for other types.
pub fn nanos_per_unit(data_type: &DataType) -> Option<i128> {
    match data_type {
        DataType::Date32 => Some(86_400_000_000_000),
        DataType::Timestamp(TimeUnit::Second, _) => Some(1_000_000_000),
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => Some(1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Some(1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(1),
        _ => None,
    }
}

impl Expiry {
    /// For chunks with all columns of `schema`, and snapshots given in ascending order; `None` if the schema has no such column of times.
    pub fn new(schema: &Arc<TableSchema>, horizon: Horizon, snapshots: &[Sequence]) -> Option<Self> {
        let index = schema.index_of_id(horizon.column)?;
        let unit = nanos_per_unit(schema.columns()[index].field.data_type())?;
        // The first unit that does not begin before the horizon.
        let before = -(-horizon.nanos).div_euclid(unit);
        Some(Self {
            schema: schema.clone(),
            index,
            before: before.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
            newest_snapshot: snapshots.last().copied().unwrap_or(0),
        })
    }

    /// The chunk without its rows that are past their time, or with deletes in their place; `None` if nothing is left.
    pub(super) fn apply(&self, chunk: RowChunk, counts: &mut SurvivorCounts) -> Result<Option<RowChunk>> {
        let past = self.past(&chunk);
        let expired = past.count_set_bits() as u64;
        if expired == 0 {
            return Ok(Some(chunk));
        }
        counts.expired += expired;
        let keyed = self.schema.is_keyed();
        let deletes = if keyed { self.deletes(&chunk, past.clone())? } else { chunk.clone() };
        if !keyed {
            counts.entries_in += expired;
            counts.dropped_tombstones += expired;
        }
        let (mut stretches, mut next) = (Vec::new(), 0);
        let mut add = |chunk: u32, start: usize, end: usize| {
            if start < end {
                stretches.push(RowStretch { chunk, start: start as u32, len: (end - start) as u32 });
            }
        };
        for (start, end) in past.set_slices() {
            add(0, next, start);
            if keyed {
                add(1, start, end);
            }
            next = end;
        }
        add(0, next, chunk.len());
        let mut out = Vec::new();
        gather(&[&chunk, &deletes], &stretches, &mut out)?;
        let left = out.pop();
        // Rows that fitted into one chunk still do.
        if out.is_empty() { Ok(left) } else { Err(Error::invalid("the rows of one chunk take two")) }
    }

    /// The rows that no snapshot sees, that are no deletes, and that have a time below the limit.
    fn past(&self, chunk: &RowChunk) -> BooleanBuffer {
        let column = chunk.batch.column(self.index);
        let is_past = |time: &dyn Fn(usize) -> i64| {
            BooleanBuffer::collect_bool(chunk.len(), |row| {
                column.is_valid(row)
                    && time(row) < self.before
                    && chunk.sequences.get(row) > self.newest_snapshot
                    && !chunk.is_delete(row)
            })
        };
        macro_rules! times {
            ($type:ty) => {{
                let times = column.as_primitive::<$type>().values();
                is_past(&|row| i64::from(times[row]))
            }};
        }
        match column.data_type() {
            DataType::Date32 => times!(Date32Type),
            DataType::Date64 => times!(Date64Type),
            DataType::Timestamp(TimeUnit::Second, _) => times!(TimestampSecondType),
            DataType::Timestamp(TimeUnit::Millisecond, _) => times!(TimestampMillisecondType),
            DataType::Timestamp(TimeUnit::Microsecond, _) => times!(TimestampMicrosecondType),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => times!(TimestampNanosecondType),
            _ => BooleanBuffer::new_unset(chunk.len()),
        }
    }

    /// The same rows with nothing but their keys; those that are `past` are deletes.
    fn deletes(&self, chunk: &RowChunk, past: BooleanBuffer) -> Result<RowChunk> {
        let column = |(index, column): (usize, &ArrayRef)| match self.schema.key().contains(&index) {
            true => column.clone(),
            false => new_null_array(column.data_type(), chunk.len()),
        };
        let columns = chunk.batch.columns().iter().enumerate().map(column).collect();
        let batch = RecordBatch::try_new(chunk.batch.schema(), columns)
            .map_err(|error| Error::invalid(format!("a row past its time cannot be a delete: {error}")))?;
        Ok(RowChunk { batch, deletes: Some(past), ..chunk.clone() })
    }
}
