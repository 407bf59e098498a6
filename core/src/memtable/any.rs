//! A memtable of either kind of collection: what everybody may ask of it without knowing which.
//!
//! Held by views, by the commit state and by flush. Who reads or writes entries or rows asks for the kind that it knows.

use super::{Memtable, MemtableOptions, MemtableWriter, create};
use crate::error::Result;
use crate::key::{Kind, MemtableId, Sequence};
use std::sync::Arc;
#[cfg(feature = "arrow")]
use {
    super::rows::{self, RowMemtable, RowMemtableWriter},
    crate::batch::PreparedRows,
    crate::schema::TableSchema,
};

/// What kind of memtable a collection has.
#[derive(Debug, Clone, Default)]
pub enum MemtableKind {
    /// That of a column family.
    #[default]
    Bytes,
    /// That of a table whose rows have this schema.
    #[cfg(feature = "arrow")]
    Rows(Arc<TableSchema>),
}

/// Makes an empty memtable of a kind, as [`create`] does.
pub fn create_any(
    kind: &MemtableKind,
    id: MemtableId,
    options: &MemtableOptions,
) -> Result<(AnyMemtableWriter, AnyMemtable)> {
    match kind {
        MemtableKind::Bytes => {
            let (writer, memtable) = create(id, options)?;
            Ok((AnyMemtableWriter::Bytes(writer), AnyMemtable::Bytes(memtable)))
        }
        #[cfg(feature = "arrow")]
        MemtableKind::Rows(schema) => {
            let (writer, memtable) = rows::create(id, schema.clone(), options)?;
            Ok((AnyMemtableWriter::Rows(writer), AnyMemtable::Rows(memtable)))
        }
    }
}

/// The memtable of a column family or of a table. Cloning shares it. Thread safety: shared freely.
#[derive(Debug, Clone)]
pub enum AnyMemtable {
    /// Of a column family.
    Bytes(Arc<Memtable>),
    /// Of a table.
    #[cfg(feature = "arrow")]
    Rows(Arc<RowMemtable>),
}

macro_rules! ask {
    ($($(#[$doc:meta])* $name:ident -> $answer:ty;)*) => {
        impl AnyMemtable {
            $($(#[$doc])*
            #[inline]
            pub fn $name(&self) -> $answer {
                match self {
                    Self::Bytes(memtable) => memtable.$name(),
                    #[cfg(feature = "arrow")]
                    Self::Rows(memtable) => memtable.$name(),
                }
            })*
        }
    };
}

ask! {
    /// Its number.
    id -> MemtableId;
    /// Bytes of memory really held.
    memory_bytes -> usize;
    /// Versions of keys, or rows, in it; deletes among them.
    entry_count -> u64;
    /// Bytes of what was written to it.
    payload_bytes -> u64;
    /// How many of the entries are deletes.
    tombstone_count -> u64;
    /// Whether nothing was inserted yet.
    is_empty -> bool;
    /// The least sequence in it.
    first_sequence -> Option<Sequence>;
    /// The greatest sequence in it.
    last_sequence -> Option<Sequence>;
    /// Ends writing: no insert follows.
    freeze -> ();
    /// Whether it was frozen.
    is_frozen -> bool;
    /// Whether an iterator was made, or expected.
    has_iterators -> bool;
    /// Sorts a little ahead of the next iterator.
    feed_lag -> ();
    /// Says that iterators are to be expected.
    expect_iterators -> ();
}

impl AnyMemtable {
    /// The memtable of a column family, if it is one.
    #[inline]
    pub fn bytes(&self) -> Option<&Arc<Memtable>> {
        match self {
            Self::Bytes(memtable) => Some(memtable),
            #[cfg(feature = "arrow")]
            Self::Rows(_) => None,
        }
    }

    /// The memtable of a table, if it is one.
    #[cfg(feature = "arrow")]
    pub fn rows(&self) -> Option<&Arc<RowMemtable>> {
        match self {
            Self::Rows(memtable) => Some(memtable),
            Self::Bytes(_) => None,
        }
    }
}

/// The right to write one memtable of either kind. What is asked of the wrong kind does nothing: the caller checked.
pub enum AnyMemtableWriter {
    /// Of a column family.
    Bytes(MemtableWriter),
    /// Of a table.
    #[cfg(feature = "arrow")]
    Rows(RowMemtableWriter),
}

impl AnyMemtableWriter {
    /// See [`MemtableWriter::reserve`].
    #[inline]
    pub fn reserve(&mut self, operations: usize, bytes: usize) -> Result<()> {
        match self {
            Self::Bytes(writer) => writer.reserve(operations, bytes),
            #[cfg(feature = "arrow")]
            Self::Rows(_) => Ok(()),
        }
    }

    /// Asks for the hash slot of `key` ahead of its insert.
    #[inline]
    pub fn prefetch(&self, key: &[u8]) {
        match self {
            Self::Bytes(writer) => writer.prefetch(key),
            #[cfg(feature = "arrow")]
            Self::Rows(_) => {}
        }
    }

    /// See [`MemtableWriter::insert`].
    #[inline]
    pub fn insert(&mut self, sequence: Sequence, kind: Kind, key: &[u8], value: &[u8]) {
        match self {
            Self::Bytes(writer) => writer.insert(sequence, kind, key, value),
            #[cfg(feature = "arrow")]
            Self::Rows(_) => debug_assert!(false, "an entry was meant for a table"),
        }
    }

    /// See [`RowMemtableWriter::reserve`].
    #[cfg(feature = "arrow")]
    pub fn reserve_rows<'b>(&mut self, batches: impl IntoIterator<Item = &'b PreparedRows>) -> Result<()> {
        match self {
            Self::Rows(writer) => writer.reserve(batches),
            Self::Bytes(_) => Ok(()),
        }
    }

    /// See [`RowMemtableWriter::insert`].
    #[cfg(feature = "arrow")]
    pub fn insert_rows(&mut self, sequence: Sequence, rows: &Arc<PreparedRows>) {
        match self {
            Self::Rows(writer) => writer.insert(sequence, rows.clone()),
            Self::Bytes(_) => debug_assert!(false, "rows were meant for a column family"),
        }
    }
}
