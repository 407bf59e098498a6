//! Rows of a table in a write batch: checked, sorted and encoded before any lock is taken.
//!
//! Made by `db` from a user's Arrow batch, or from the log at recovery; logged as they are, then shared with the memtable.
#![doc = include_str!("FORMAT.md")]

mod memory;
mod message;
mod order;
mod prepared;

pub use prepared::PreparedRows;

use super::{MAX_PREFIX_BYTES, WriteBatch, check_lengths, put_prefix};
use crate::coding::{Reader, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::key::CollectionId;
use crate::schema::SchemaId;
use std::sync::Arc;

/// What stands in the place of the key of an operation on rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowsHeader {
    /// The schema of the rows, by its number in the table.
    pub schema: SchemaId,
    /// How many rows there are.
    pub rows: u32,
}

impl RowsHeader {
    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.schema.0));
        put_varint(out, u64::from(self.rows));
    }

    /// The inverse of [`encode`](Self::encode); `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let schema = SchemaId(u32::try_from(reader.varint()?).ok()?);
        let rows = u32::try_from(reader.varint()?).ok()?;
        reader.is_empty().then_some(Self { schema, rows })
    }
}

impl WriteBatch {
    /// Adds rows, or deletes of rows, of a table. No rows are no operation. InvalidArgument if the batch would grow beyond its limits.
    pub fn add_rows(&mut self, collection: CollectionId, rows: Arc<PreparedRows>) -> Result<()> {
        if rows.rows() == 0 {
            return Ok(());
        }
        let mut header = Vec::with_capacity(10);
        RowsHeader { schema: rows.schema().id(), rows: rows.rows() as u32 }.encode(&mut header);
        let message = rows.encode_ipc()?;
        let message_bytes: usize = message.iter().map(|piece| piece.len()).sum();
        check_lengths(header.len(), message_bytes)?;
        let bytes = MAX_PREFIX_BYTES + header.len() + message_bytes;
        self.check_room(bytes, 1)?;
        self.bytes.try_reserve(bytes).map_err(|_| Error::new(ErrorKind::NoMemory, "no memory for the write batch"))?;
        put_prefix(&mut self.bytes, rows.kind(), collection, header.len(), message_bytes);
        self.bytes.extend_from_slice(&header);
        message.iter().for_each(|piece| self.bytes.extend_from_slice(piece));
        self.count += 1;
        self.rows.push((collection, rows));
        Ok(())
    }

    /// The rows of its operations on tables, in order, and whose they are.
    pub fn rows(&self) -> &[(CollectionId, Arc<PreparedRows>)] {
        &self.rows
    }
}
