//! Keys and values as Arrow record batches, filled straight from the iterator.
//!
//! The source of `scan_arrow`. A batch's type is binary: it ends before its bytes are too many for that, since a value is of at most a
//! gibibyte.

use super::{LAST_BATCH, Placed};
use crate::shared::Shared;
use arrow_array::{ArrayRef, BinaryArray, RecordBatch, RecordBatchOptions};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use sstore::{DbIterator, EntryBatch, Error, Result};
use std::sync::Arc;

/// A batch ends when it holds this much, whatever its rows.
const BATCH_BYTES: usize = 64 << 20;
/// Entries and bytes asked of the engine at a time, that what is copied is still in the cache.
const STEP_ENTRIES: usize = LAST_BATCH;
const STEP_BYTES: usize = 256 << 10;

/// The columns of a scan of entries.
pub(crate) fn entry_schema(keys: bool, values: bool) -> SchemaRef {
    let field = |name| Field::new(name, DataType::Binary, false);
    let fields = [keys.then(|| field("key")), values.then(|| field("value"))];
    Arc::new(Schema::new(fields.into_iter().flatten().collect::<Vec<_>>()))
}

/// One pass over the entries of a family, in record batches.
pub(crate) struct EntryScan {
    cursor: DbIterator,
    step: EntryBatch,
    schema: SchemaRef,
    stripped_bytes: usize,
    batch_rows: usize,
    reverse: bool,
    keys: bool,
    values: bool,
    ended: bool,
    /// What the last batch needed: the next is like it.
    expected_bytes: (usize, usize),
}

impl EntryScan {
    pub(crate) fn open(
        shared: &Shared,
        family: &sstore::ColumnFamily,
        placed: Placed,
        schema: SchemaRef,
        batch_rows: usize,
        reverse: bool,
    ) -> Result<Self> {
        Ok(Self {
            cursor: shared.db().iterator(family, placed.options)?,
            step: EntryBatch::new(),
            stripped_bytes: placed.stripped.len(),
            batch_rows: batch_rows.max(1),
            reverse,
            keys: schema.column_with_name("key").is_some(),
            values: schema.column_with_name("value").is_some(),
            schema,
            ended: false,
            expected_bytes: (0, 0),
        })
    }

    fn fill(&mut self) -> Result<Option<RecordBatch>> {
        let mut keys = Growing::new(if self.keys { self.batch_rows } else { 0 }, self.expected_bytes.0);
        let mut values = Growing::new(if self.values { self.batch_rows } else { 0 }, self.expected_bytes.1);
        let mut rows = 0;
        while !self.ended && rows < self.batch_rows && keys.bytes.len() + values.bytes.len() < BATCH_BYTES {
            let limit = STEP_ENTRIES.min(self.batch_rows - rows);
            let filled = match self.reverse {
                false => self.cursor.next_batch(&mut self.step, limit, STEP_BYTES)?,
                true => self.cursor.prev_batch(&mut self.step, limit, STEP_BYTES)?,
            };
            self.ended = filled == 0 || !self.cursor.is_valid();
            for (key, value) in self.step.iter() {
                if self.keys {
                    keys.push(&key[self.stripped_bytes..]);
                }
                if self.values {
                    values.push(value);
                }
            }
            rows += filled;
        }
        // What the entries pin is let go of: the consumer may take its time.
        self.step.clear();
        if rows == 0 {
            return Ok(None);
        }
        self.expected_bytes = (keys.bytes.len(), values.bytes.len());
        let columns = [self.keys.then_some(keys), self.values.then_some(values)];
        let columns = columns.into_iter().flatten().map(Growing::finish).collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        batch.map(Some).map_err(|error| Error::invalid(format!("no record batch of entries: {error}")))
    }
}

impl Iterator for EntryScan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.fill().transpose()
    }
}

/// A column while it is being filled.
struct Growing {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl Growing {
    fn new(rows: usize, expected_bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        // A little more than the last one: to grow it at the very end would copy it all.
        Self { offsets, bytes: Vec::with_capacity(expected_bytes + expected_bytes / 64) }
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.offsets.push(self.bytes.len() as i32);
    }

    fn finish(self) -> Result<ArrayRef> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let array = BinaryArray::try_new(offsets, Buffer::from_vec(self.bytes), None);
        let array = array.map_err(|error| Error::invalid(format!("no column of entries: {error}")))?;
        Ok(Arc::new(array))
    }
}
