//! Any memtable of a view: of bytes, or of a table's rows. The questions that all of them answer.

use super::Memtable;
#[cfg(feature = "arrow")]
use super::rows::RowMemtable;
use crate::key::{MemtableId, Sequence};
use std::sync::Arc;

/// A memtable of one of the kinds. Cloning shares it. Thread safety: shared freely.
#[derive(Debug, Clone)]
pub enum AnyMemtable {
    /// Of a column family.
    Bytes(Arc<Memtable>),
    /// Of a table.
    #[cfg(feature = "arrow")]
    Rows(Arc<RowMemtable>),
}

macro_rules! ask {
    ($self:ident, $memtable:ident => $answer:expr) => {
        match $self {
            Self::Bytes($memtable) => $answer,
            #[cfg(feature = "arrow")]
            Self::Rows($memtable) => $answer,
        }
    };
}

impl AnyMemtable {
    /// Its number.
    pub fn id(&self) -> MemtableId {
        ask!(self, memtable => memtable.id())
    }

    /// Bytes of memory really held, used or not.
    pub fn memory_bytes(&self) -> usize {
        ask!(self, memtable => memtable.memory_bytes())
    }

    /// How many entries or rows it holds, deletes among them.
    pub fn entry_count(&self) -> u64 {
        ask!(self, memtable => memtable.entry_count())
    }

    /// Bytes of all keys and values, or of all rows, written.
    pub fn payload_bytes(&self) -> u64 {
        ask!(self, memtable => memtable.payload_bytes())
    }

    /// How many of the entries or rows are deletes.
    pub fn tombstone_count(&self) -> u64 {
        ask!(self, memtable => memtable.tombstone_count())
    }

    /// Whether nothing was inserted yet.
    pub fn is_empty(&self) -> bool {
        ask!(self, memtable => memtable.is_empty())
    }

    /// The least sequence in it.
    pub fn first_sequence(&self) -> Option<Sequence> {
        ask!(self, memtable => memtable.first_sequence())
    }

    /// The greatest sequence in it.
    pub fn last_sequence(&self) -> Option<Sequence> {
        ask!(self, memtable => memtable.last_sequence())
    }

    /// Ends writing: no insert follows.
    pub fn freeze(&self) {
        ask!(self, memtable => memtable.freeze());
    }

    /// Whether it was frozen.
    pub fn is_frozen(&self) -> bool {
        ask!(self, memtable => memtable.is_frozen())
    }

    /// See [`Memtable::feed_lag`].
    pub fn feed_lag(&self) {
        ask!(self, memtable => memtable.feed_lag());
    }

    /// See [`Memtable::expect_iterators`].
    pub fn expect_iterators(&self) {
        ask!(self, memtable => memtable.expect_iterators());
    }

    /// Whether somebody walked it in order, or was expected to.
    pub fn has_iterators(&self) -> bool {
        ask!(self, memtable => memtable.has_iterators())
    }

    /// The memtable of bytes, if it is one.
    pub fn bytes(&self) -> Option<&Arc<Memtable>> {
        match self {
            Self::Bytes(memtable) => Some(memtable),
            #[cfg(feature = "arrow")]
            Self::Rows(_) => None,
        }
    }

    /// The memtable of rows, if it is one.
    #[cfg(feature = "arrow")]
    pub fn rows(&self) -> Option<&Arc<RowMemtable>> {
        match self {
            Self::Rows(memtable) => Some(memtable),
            Self::Bytes(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Kind;
    use crate::memtable::{ArenaPool, MemtableOptions, create};

    #[test]
    fn it_answers_as_the_memtable_does() {
        let options = MemtableOptions { hash_seed: 1, pool: ArenaPool::new(0) };
        let (mut writer, memtable) = create(MemtableId(3), &options).unwrap();
        let any = AnyMemtable::Bytes(memtable.clone());
        assert!(any.is_empty() && any.first_sequence().is_none() && !any.is_frozen());
        writer.reserve(2, 4).unwrap();
        writer.insert(5, Kind::Put, b"a", b"b");
        writer.insert(6, Kind::Delete, b"c", b"");
        assert_eq!((any.id(), any.entry_count(), any.tombstone_count(), any.payload_bytes()), (MemtableId(3), 2, 1, 3));
        assert_eq!((any.first_sequence(), any.last_sequence()), (Some(5), Some(6)));
        assert_eq!(any.memory_bytes(), memtable.memory_bytes());
        any.expect_iterators();
        any.feed_lag();
        any.freeze();
        assert!(memtable.is_frozen() && memtable.has_iterators() && any.has_iterators() && any.is_frozen());
        assert!(any.bytes().is_some_and(|bytes| Arc::ptr_eq(bytes, &memtable)));
    }
}
