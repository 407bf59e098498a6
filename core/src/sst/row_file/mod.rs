//! What the files of tables share, whatever their format: options, counts, index, checksums, statistics.
//!
//! A file of rows is the user's columns, then `_seq`, then (in keyed tables) `_op`, in a format that the Arrow world reads; beside
//! them lies an index of our own, whose format is in `FORMAT.md`. Called by the writers and readers of each format. Promises:
//! every byte of a file is under a checksum that is checked before any parser sees it; what was added is what is read.
#![doc = include_str!("FORMAT.md")]

mod bounds;
mod condition;
mod groups;
mod index_blob;
mod index_builder;
mod key_index;
mod options;
mod output;
mod rows;
mod scalar;
mod strides;
mod verified;

#[cfg(test)]
mod tests;

pub use bounds::ColumnBounds;
pub(super) use condition::Screen;
pub use condition::{ConditionRecord, RowCondition};
pub use groups::GroupStats;
pub use options::{ColumnOverride, RowFileOptions, RowFormat, StatsHook, StatsHookFactory};
pub use rows::{RowBlock, RowCache};

pub use index_blob::PeekedIndex;
pub(super) use index_blob::{RowIndex, peek_blob, read_blob};
pub(super) use index_builder::IndexBuilder;
pub(super) use output::StridedOutput;
#[cfg(feature = "parquet")]
pub(super) use rows::unpinned;
pub(super) use rows::{Projection, StoredRows, check_operations, checked_sequences, find, sequences};
#[cfg(test)]
pub(super) use strides::StrideBuilder;
pub(super) use strides::Strides;
pub(super) use verified::VerifiedFile;

use super::{Access, Expected};
use crate::iter::RowChunk;
use crate::key::{KeyRange, Sequence};
use crate::schema::TableSchema;
use arrow_schema::DataType;
use std::ops::Range;

/// What was written.
#[derive(Debug, Clone, Default)]
pub struct RowFileSummary {
    /// Bytes on disk: the file, and what lies beside it.
    pub size_bytes: u64,
    /// The checksum of the file's bytes from `index_offset` to the end; of the index beside the file, if it lies there.
    pub checksum: u32,
    /// Where the index begins in the file that holds it.
    pub index_offset: u64,
    /// How many rows the file holds: versions and deletes, not keys.
    pub rows: u64,
    /// How many of them are deletes.
    pub tombstones: u64,
    /// Bytes of the columns in memory, about.
    pub payload_bytes: u64,
    /// The least key; empty in an append-only table and in an empty file.
    pub smallest: Vec<u8>,
    /// The greatest key; empty as `smallest`.
    pub largest: Vec<u8>,
    /// The least sequence; 0 in an empty file.
    pub smallest_sequence: Sequence,
    /// The greatest sequence; 0 in an empty file.
    pub largest_sequence: Sequence,
    /// Whether some key has more than one version.
    pub multi_version: bool,
    /// Bounds of each column, in the order of the schema.
    pub columns: Vec<ColumnBounds>,
}

/// What a reader must find in a file, from the manifest; anything else is the wrong file.
#[derive(Debug, Clone, Default)]
pub struct RowFileExpected {
    /// Which file it is. Its size is that of the summary.
    pub file: Expected,
    /// The summary's checksum, if it is known.
    pub checksum: Option<u32>,
    /// The summary's index offset, if it is known.
    pub index_offset: Option<u64>,
}

/// Which rows and columns of a file a scan hands out.
#[derive(Debug, Clone)]
pub struct RowFileScan {
    /// The ids of the columns, in the order of the chunks' columns; each at most once.
    pub columns: Vec<u32>,
    /// The encoded keys; of no effect in an append-only table.
    pub range: KeyRange,
    /// The groups to read, rising; `None`: all that the range touches.
    pub groups: Option<Vec<usize>>,
    /// Of each group only these rows, for an append-only table; whole pages of the file, but for its last one. `None`: all.
    pub rows: Option<Range<usize>>,
    /// Rows with a greater sequence are left out.
    pub sequences_at_most: Option<Sequence>,
    /// Whether through the cache.
    pub access: Access,
    /// The most rows of a chunk; taken as at least 1.
    pub batch_rows: usize,
    /// Bytes of decoded rows that the scan may hold between two chunks, about. Where a group takes more it is decoded piece by
    /// piece: with whole pages if these fit, else again and again for a part of its rows, which costs time.
    pub held_bytes: usize,
    /// What rows are wanted, before all of their columns are decoded. Others may be handed out as well.
    pub condition: Option<RowCondition>,
    /// Whether chunks must tell the keys and sequences of their rows. Without, for a caller that merges them with nothing, a
    /// chunk may lack its keys, and its sequences mean nothing: neither is read but where `range` begins or ends. Taken as set
    /// if `sequences_at_most` is.
    pub keys: bool,
}

impl RowFileScan {
    /// All rows of these columns, through the cache.
    pub fn of(columns: Vec<u32>) -> Self {
        Self {
            columns,
            range: KeyRange::all(),
            groups: None,
            rows: None,
            sequences_at_most: None,
            access: Access::Cached,
            batch_rows: 8192,
            held_bytes: usize::MAX,
            condition: None,
            keys: true,
        }
    }

    /// How many rows of a group may be held at once; at least one.
    pub(super) fn held_rows(&self, schema: &TableSchema, projection: &Projection, group: &GroupStats) -> usize {
        let user_columns = schema.columns().len();
        let (mut fixed, mut all_fixed, mut has_others) = (0, 0, false);
        for (index, field) in schema.stored().fields().iter().enumerate() {
            let width = fixed_bytes(field.data_type());
            let is_key = schema.key().contains(&index);
            // Keys are held twice: as columns, where they are asked for, and encoded.
            let times = usize::from(projection.columns.contains(&index) || index >= user_columns) + usize::from(is_key);
            all_fixed += width.unwrap_or(0);
            fixed += times * width.unwrap_or(0);
            has_others |= width.is_none() && times > 0;
        }
        let others = (group.payload_bytes as usize / group.rows.max(1)).saturating_sub(all_fixed);
        let keyed = if schema.is_keyed() { group.first_key.len().max(group.last_key.len()) } else { 0 };
        let row_bytes = (fixed + if has_others { others } else { 0 } + keyed).max(1);
        (self.held_bytes / row_bytes).max(1)
    }

    /// Whether the chunks' sequences mean anything.
    pub(super) fn needs_sequences(&self) -> bool {
        self.keys || self.sequences_at_most.is_some()
    }

    /// Whether the keys of a group's rows are needed: to be handed out, or to find those in the range.
    pub(super) fn needs_keys(&self, group: &GroupStats) -> bool {
        let starts_inside = self.range.lower.as_ref().is_none_or(|lower| *lower <= group.first_key);
        let ends_inside = self.range.upper.as_ref().is_none_or(|upper| group.last_key < *upper);
        self.needs_sequences() || !starts_inside || !ends_inside
    }
}

/// The rows of both ranges.
pub(super) fn common(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

/// Bytes of a value in memory, for types whose values all have as many.
fn fixed_bytes(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::Null => Some(0),
        DataType::Boolean => Some(1),
        DataType::FixedSizeBinary(bytes) => usize::try_from(*bytes).ok(),
        other => other.primitive_width(),
    }
}

/// What a lookup of a row found.
#[derive(Debug, Clone)]
pub enum RowLookup {
    /// No version of the key that the snapshot sees.
    Absent,
    /// The answer is on disk, and the caller asked not to read.
    WouldBlock,
    /// The newest version that the snapshot sees: one row, in memory of its own. A delete ends the search in older files.
    Found(RowChunk),
}
