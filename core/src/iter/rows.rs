//! The contract of sources of rows: memtables, files and merges of a table hand out chunks of Arrow rows in key order.
//!
//! A chunk is to rows what an entry is to bytes, many at a time: its user columns, and beside them what the engine needs to
//! merge them.

use crate::error::Result;
use crate::key::{KeyRows, Sequence};
use arrow_array::RecordBatch;
use arrow_buffer::{BooleanBuffer, ScalarBuffer};

/// The sequence of each row of a chunk.
#[derive(Debug, Clone)]
pub enum Sequences {
    /// All rows were written at once.
    Same(Sequence),
    /// One per row.
    Each(ScalarBuffer<i64>),
}

impl Sequences {
    /// The sequence of the row at `row`. Panics if there is no such row.
    #[inline]
    pub fn get(&self, row: usize) -> Sequence {
        match self {
            Self::Same(sequence) => *sequence,
            Self::Each(sequences) => sequences[row] as Sequence,
        }
    }

    /// The rows from `offset` on, `len` of them. Panics if there are fewer.
    pub fn slice(&self, offset: usize, len: usize) -> Self {
        match self {
            Self::Same(sequence) => Self::Same(*sequence),
            Self::Each(sequences) => Self::Each(sequences.slice(offset, len)),
        }
    }
}

/// Rows of one table in the order of the source: keys ascending and versions of a key newest first in a keyed table, arrival
/// order in an append-only one. Never empty.
#[derive(Debug, Clone)]
pub struct RowChunk {
    /// The columns that were asked for, in the order asked for. A deleted row has nulls (or anything) outside the key.
    pub batch: RecordBatch,
    /// The rows' keys; `None` in an append-only table.
    pub keys: Option<KeyRows>,
    /// When each row was written.
    pub sequences: Sequences,
    /// Which rows are deletes (set bits); `None`: none of them.
    pub deletes: Option<BooleanBuffer>,
}

impl RowChunk {
    /// How many rows it holds.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the row at `row` is a delete.
    #[inline]
    pub fn is_delete(&self, row: usize) -> bool {
        self.deletes.as_ref().is_some_and(|deletes| deletes.value(row))
    }

    /// The rows from `offset` on, `len` of them, in the same memory. Panics if there are fewer.
    pub fn slice(&self, offset: usize, len: usize) -> Self {
        Self {
            batch: self.batch.slice(offset, len),
            keys: self.keys.as_ref().map(|keys| keys.slice(offset, len)),
            sequences: self.sequences.slice(offset, len),
            deletes: self.deletes.as_ref().map(|deletes| deletes.slice(offset, len)),
        }
    }
}

/// A source of rows, walked forward once. One thread at a time.
pub trait RowSource: Send {
    /// The next chunk; `None` at the end, and for ever after. After an error the source is at its end.
    fn next_chunk(&mut self) -> Result<Option<RowChunk>>;
}
