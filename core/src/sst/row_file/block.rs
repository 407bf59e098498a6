//! What the cache keeps of the files of rows: decoded pieces, small enough to be evicted one by one.
//!
//! Called by the readers of both formats. Every piece has memory of its own, so that its weight is the truth.

use crate::cache::{BlockCache, Weigh};
use crate::iter::Sequences;
use crate::key::KeyRows;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBuffer;

/// The cache that all readers of a database's tables share.
pub type RowCache = BlockCache<RowBlock>;

/// A decoded piece of a file.
pub enum RowBlock {
    /// What makes rows of the columns of a page.
    Marks(RowMarks),
    /// One column of a page.
    Column(ArrayRef),
}

/// The engine's side of some rows, as in a [`RowChunk`](crate::iter::RowChunk).
#[derive(Clone)]
pub struct RowMarks {
    /// Their keys; `None` in an append-only table.
    pub keys: Option<KeyRows>,
    /// When each was written.
    pub sequences: Sequences,
    /// Which are deletes; `None`: none of them.
    pub deletes: Option<BooleanBuffer>,
}

impl Weigh for RowBlock {
    fn weight_bytes(&self) -> usize {
        let held = match self {
            Self::Column(array) => array.get_array_memory_size(),
            Self::Marks(marks) => {
                let sequences = match &marks.sequences {
                    Sequences::Same(_) => 0,
                    Sequences::Each(sequences) => sequences.inner().capacity(),
                };
                let deletes = marks.deletes.as_ref().map_or(0, |deletes| deletes.inner().capacity());
                sequences + deletes + marks.keys.as_ref().map_or(0, KeyRows::memory_bytes)
            }
        };
        held + size_of::<Self>()
    }
}
