//! A memtable of either kind of collection: what everybody may ask of it without knowing which.
//!
//! Held by views, by the commit state and by flush. Who reads or writes entries or rows asks for the kind that it knows.

use super::{Memtable, MemtableOptions, MemtableWriter, create};
use crate::error::Result;
use crate::key::{Kind, MemtableId, Sequence};
use std::sync::Arc;

/// What kind of memtable a collection has.
#[derive(Debug, Clone, Default)]
pub enum MemtableKind {
    /// That of a column family.
    #[default]
    Bytes,
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
    }
}

/// The memtable of a column family or of a table. Cloning shares it.
#[derive(Debug, Clone)]
pub enum AnyMemtable {
    /// Of a column family.
    Bytes(Arc<Memtable>),
}

macro_rules! ask {
    ($($(#[$doc:meta])* $name:ident -> $answer:ty;)*) => {
        impl AnyMemtable {
            $($(#[$doc])*
            #[inline]
            pub fn $name(&self) -> $answer {
                match self {
                    Self::Bytes(memtable) => memtable.$name(),
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
        }
    }
}

/// The right to write one memtable of either kind. What is asked of the wrong kind does nothing.
pub enum AnyMemtableWriter {
    /// Of a column family.
    Bytes(MemtableWriter),
}

impl AnyMemtableWriter {
    /// See [`MemtableWriter::reserve`].
    #[inline]
    pub fn reserve(&mut self, operations: usize, bytes: usize) -> Result<()> {
        match self {
            Self::Bytes(writer) => writer.reserve(operations, bytes),
        }
    }

    /// Asks for the hash slot of `key` ahead of its insert.
    #[inline]
    pub fn prefetch(&self, key: &[u8]) {
        match self {
            Self::Bytes(writer) => writer.prefetch(key),
        }
    }

    /// See [`MemtableWriter::insert`].
    #[inline]
    pub fn insert(&mut self, sequence: Sequence, kind: Kind, key: &[u8], value: &[u8]) {
        match self {
            Self::Bytes(writer) => writer.insert(sequence, kind, key, value),
        }
    }
}
