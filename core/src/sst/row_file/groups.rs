//! What the index knows of each group: the zone map that a scan plans with.

use super::bounds::{ColumnBounds, RawBounds};
use crate::coding::{Reader, put_bytes, put_varint};
use crate::key::{MAX_KEY_BYTES, MAX_SEQUENCE, Sequence};
use crate::schema::TableSchema;

/// One group: a row group in Parquet, a batch in Arrow IPC.
#[derive(Debug, Clone)]
pub struct GroupStats {
    /// How many rows it holds.
    pub rows: usize,
    /// How many of them are deletes.
    pub tombstones: usize,
    /// The least sequence.
    pub smallest_sequence: Sequence,
    /// The greatest sequence.
    pub largest_sequence: Sequence,
    /// The encoded key of its first row; empty in an append-only table.
    pub first_key: Vec<u8>,
    /// The encoded key of its last row; empty in an append-only table.
    pub last_key: Vec<u8>,
    /// Bytes of its columns in memory, about; no column decodes to more.
    pub payload_bytes: u64,
    /// Bounds of each user column, in the order of the schema.
    pub columns: Vec<ColumnBounds>,
}

impl GroupStats {
    /// Bytes that it holds in memory.
    pub fn resident_bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(ColumnBounds::resident_bytes).sum();
        size_of::<Self>() + self.first_key.capacity() + self.last_key.capacity() + columns
    }
}

/// A group as it is gathered and as it is on disk.
#[derive(Debug, Clone, Default)]
pub struct RawGroup {
    pub rows: u64,
    pub tombstones: u64,
    pub smallest_sequence: Sequence,
    pub largest_sequence: Sequence,
    pub first_key: Vec<u8>,
    pub last_key: Vec<u8>,
    pub payload_bytes: u64,
    pub columns: Vec<RawBounds>,
}

impl RawGroup {
    /// An empty group of a table with so many columns.
    pub fn new(columns: usize) -> Self {
        Self { smallest_sequence: MAX_SEQUENCE, columns: vec![RawBounds::default(); columns], ..Self::default() }
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.rows);
        put_varint(out, self.tombstones);
        put_varint(out, self.smallest_sequence);
        put_varint(out, self.largest_sequence);
        put_bytes(out, &self.first_key);
        put_bytes(out, &self.last_key);
        put_varint(out, self.payload_bytes);
        self.columns.iter().for_each(|column| column.encode(out));
    }

    /// Decodes a group of a table with so many columns; `None` if it is none.
    pub fn decode(reader: &mut Reader<'_>, columns: usize) -> Option<Self> {
        let rows = reader.varint().filter(|rows| (1..=u64::from(u32::MAX)).contains(rows))?;
        let tombstones = reader.varint().filter(|tombstones| *tombstones <= rows)?;
        let smallest_sequence = reader.varint()?;
        let largest_sequence =
            reader.varint().filter(|largest| (smallest_sequence..=MAX_SEQUENCE).contains(largest))?;
        let mut key = || reader.bytes().filter(|key| key.len() <= MAX_KEY_BYTES).map(<[u8]>::to_vec);
        let (first_key, last_key) = (key()?, key()?);
        let payload_bytes = reader.varint()?;
        // Each column takes two bytes at least, so that the bytes at hand bound what is allocated.
        let columns = (0..columns).map(|_| RawBounds::decode(reader)).collect::<Option<_>>()?;
        Some(Self {
            rows,
            tombstones,
            smallest_sequence,
            largest_sequence,
            first_key,
            last_key,
            payload_bytes,
            columns,
        })
    }

    /// The group with its bounds as values of the schema's types; `None` if some are not.
    pub fn into_stats(self, schema: &TableSchema) -> Option<GroupStats> {
        Some(GroupStats {
            rows: usize::try_from(self.rows).ok()?,
            tombstones: usize::try_from(self.tombstones).ok()?,
            smallest_sequence: self.smallest_sequence,
            largest_sequence: self.largest_sequence,
            columns: values(&self.columns, schema)?,
            first_key: self.first_key,
            last_key: self.last_key,
            payload_bytes: self.payload_bytes,
        })
    }
}

/// Bounds as values of the schema's types; `None` if some are not.
pub fn values(columns: &[RawBounds], schema: &TableSchema) -> Option<Vec<ColumnBounds>> {
    let columns = columns.iter().zip(schema.columns());
    columns.map(|(raw, column)| raw.decode_values(column.id, column.field.data_type())).collect()
}
