//! A batch of rows made ready to be written: checked, sorted by key, each key once, in memory of its own size.
//!
//! Made outside the commit lock by `db` from a user's batch, or from the log at recovery; held by row memtables.

use super::memory::{Memory, compact, used_bytes};
use super::message;
use super::order::{distinct_order, take_keys};
use crate::error::{Error, ErrorKind, Result};
use crate::iter::{RowChunk, Sequences};
use crate::key::{KeyRows, Kind, Sequence};
use crate::schema::TableSchema;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_buffer::Buffer;
use std::sync::Arc;

/// Rows that one write puts into a table, or keys that it deletes. Immutable.
#[derive(Debug)]
pub struct PreparedRows {
    schema: Arc<TableSchema>,
    batch: RecordBatch,
    keys: Option<KeyRows>,
    kind: Kind,
    memory_bytes: usize,
    payload_bytes: usize,
}

impl PreparedRows {
    /// Checks `batch` and makes it ready. `kind` is [`Kind::Rows`] for rows to put, with the columns of `schema` in any order,
    /// or [`Kind::RowDelete`] for keys to delete, with the key's columns. Of rows with the same key only the last one stays;
    /// rows of an append-only table stay as they are. A batch that is a small part of larger memory is copied out of it.
    ///
    /// Errors: INVALID_ARGUMENT for what the schema refuses, naming column and row, for another kind, for deletes of an
    /// append-only table, and above 2^32 - 1 rows; NOT_SUPPORTED for types of columns that cannot be sorted along.
    pub fn prepare(schema: &Arc<TableSchema>, batch: &RecordBatch, kind: Kind) -> Result<Self> {
        let batch = match kind {
            Kind::Rows => schema.check_batch(batch)?,
            Kind::RowDelete if schema.is_keyed() => schema.check_keys_batch(batch)?,
            Kind::RowDelete => return Err(Error::invalid("an append-only table has no keys to delete by")),
            _ => return Err(Error::invalid("rows are put or deleted")),
        };
        if u32::try_from(batch.num_rows()).is_err() {
            return Err(Error::invalid(format!("a batch of {} rows is too large", batch.num_rows())));
        }
        let (mut batch, mut keys) = if schema.is_keyed() {
            let keys = encode_keys(schema, &batch, kind)?;
            match distinct_order(&keys) {
                None => (batch, Some(keys)),
                Some(rows) => {
                    let batch = take_rows(&batch, rows.clone())?;
                    let keys = match (&keys, schema.key().len()) {
                        // The keys are a column itself, or as cheap to make as to move.
                        (KeyRows::Bytes { .. }, 1) => encode_keys(schema, &batch, kind)?,
                        _ => take_keys(&keys, &rows),
                    };
                    (batch, Some(keys))
                }
            }
        } else {
            (batch, None)
        };
        if let Some(copied) = compact(&batch) {
            batch = copied;
            // Keys that were columns are columns again; the others have memory of their own.
            if matches!((&keys, schema.key().len()), (Some(KeyRows::Bytes { .. }), 1)) {
                keys = Some(encode_keys(schema, &batch, kind)?);
            }
        }
        Ok(Self::assemble(schema.clone(), batch, keys, kind))
    }

    fn assemble(schema: Arc<TableSchema>, batch: RecordBatch, keys: Option<KeyRows>, kind: Kind) -> Self {
        let mut memory = Memory::new();
        memory.add_batch(&batch);
        keys.iter().for_each(|keys| memory.add_keys(keys));
        let memory_bytes = size_of::<Self>() + memory.bytes();
        let payload_bytes = used_bytes(&batch);
        Self { schema, batch, keys, kind, memory_bytes, payload_bytes }
    }

    /// The same rows under a later schema of their table.
    pub fn adapt(&self, to: &Arc<TableSchema>) -> Result<Self> {
        let batch = if self.is_deletes() {
            // The key's columns may have got other names, nothing else.
            RecordBatch::try_new(to.keys_schema(), self.batch.columns().to_vec())
                .map_err(|cause| Error::invalid(format!("the keys do not fit the table's new schema: {cause}")))?
        } else {
            let columns: Vec<u32> = to.columns().iter().map(|column| column.id).collect();
            to.adapt(&self.schema, self.batch.clone(), &columns)?
        };
        Ok(Self::assemble(to.clone(), batch, self.keys.clone(), self.kind))
    }

    /// The schema that they were checked against.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    /// The rows: all columns of the schema in its order, or of deletes the key's columns in key order.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The rows' keys, ascending, each once; `None` in an append-only table.
    pub fn keys(&self) -> Option<&KeyRows> {
        self.keys.as_ref()
    }

    /// The rows as a file of the table takes them, written at `sequence`. InvalidArgument for deletes, which have no columns but
    /// the key's.
    pub fn to_chunk(&self, sequence: Sequence) -> Result<RowChunk> {
        if self.is_deletes() {
            return Err(Error::invalid("keys to delete are no whole rows"));
        }
        let sequences = Sequences::Same(sequence);
        Ok(RowChunk { batch: self.batch.clone(), keys: self.keys.clone(), sequences, deletes: None })
    }

    /// [`Kind::Rows`] or [`Kind::RowDelete`].
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether they delete.
    pub fn is_deletes(&self) -> bool {
        self.kind == Kind::RowDelete
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// Bytes of memory that they keep alive, every allocation in its full size, counted once.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Bytes of the rows' values as Arrow lays them out.
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// The rows as the payload of a log record: see the FORMAT of this module. In pieces, which share the rows' memory. For reading
    /// without a copy they must later lie, one after another, at a multiple of 64 bytes in memory. Errors: NOT_SUPPORTED for a type
    /// that Arrow IPC does not have.
    pub fn encode_ipc(&self) -> Result<Vec<Buffer>> {
        message::encode(&self.batch)
    }

    /// What [`encode_ipc`](Self::encode_ipc) made of rows of `schema` and `kind`. The arrays stay in the memory of `bytes` where its
    /// alignment allows it and little else lies there. Errors: CORRUPTION without a place for anything else.
    pub fn decode_ipc(schema: &Arc<TableSchema>, bytes: &Buffer, kind: Kind) -> Result<Self> {
        let columns = match kind {
            Kind::Rows => schema.user().clone(),
            Kind::RowDelete if schema.is_keyed() => schema.keys_schema(),
            _ => return Err(Error::new(ErrorKind::Corruption, "a log record puts no rows and deletes none")),
        };
        let mut batch = message::decode(columns, bytes)?;
        if u32::try_from(batch.num_rows()).is_err() {
            return Err(Error::new(ErrorKind::Corruption, format!("a batch of {} rows", batch.num_rows())));
        }
        if let Some(copied) = compact(&batch) {
            batch = copied;
        }
        let keys = match schema.is_keyed() {
            true => Some(encode_keys(schema, &batch, kind).map_err(|error| error.with_kind(ErrorKind::Corruption))?),
            false => None,
        };
        if keys.as_ref().is_some_and(|keys| distinct_order(keys).is_some()) {
            return Err(Error::new(ErrorKind::Corruption, "rows of a log record are not in the order of their keys"));
        }
        Ok(Self::assemble(schema.clone(), batch, keys, kind))
    }
}

fn encode_keys(schema: &TableSchema, batch: &RecordBatch, kind: Kind) -> Result<KeyRows> {
    match kind {
        Kind::RowDelete => schema.key_codec().encode(batch.columns()),
        _ => {
            let columns: Vec<ArrayRef> = schema.key().iter().map(|&index| batch.column(index).clone()).collect();
            schema.key_codec().encode(&columns)
        }
    }
}

fn take_rows(batch: &RecordBatch, rows: Vec<u32>) -> Result<RecordBatch> {
    let count = rows.len();
    let indices = UInt32Array::from(rows);
    let columns = batch
        .columns()
        .iter()
        .map(|column| arrow_select::take::take(column, &indices, None))
        .collect::<std::result::Result<Vec<_>, _>>()
        .and_then(|columns| {
            let options = RecordBatchOptions::new().with_row_count(Some(count));
            RecordBatch::try_new_with_options(batch.schema(), columns, &options)
        });
    columns.map_err(|error| Error::new(ErrorKind::NotSupported, format!("rows cannot be sorted: {error}")))
}
