//! The vocabulary of the engine: ids, sequences, kinds of operation, entries, key ranges, limits.
//!
//! Used by every other module; knows no I/O and no threads. Keys are ordered bytewise, for ever: hashes, heads and common
//! prefixes rely on it. Within one key, entries are ordered newest first, by falling sequence.

#[cfg(feature = "arrow")]
pub mod codec;
mod range;
#[cfg(feature = "arrow")]
mod rows;

#[cfg(feature = "arrow")]
pub use codec::{KEY_CODEC_VERSION, KeyCodec, KeyField};
pub use range::{KeyRange, prefix_end};
#[cfg(feature = "arrow")]
pub use rows::KeyRows;

use std::cmp::Ordering;

/// The place of one operation in the history of a database. Each byte operation takes one, in order; 0 means none yet.
pub type Sequence = u64;

/// The largest sequence that a database can reach; a snapshot at it sees everything.
pub const MAX_SEQUENCE: Sequence = (1 << 56) - 1;

/// The longest key in bytes (64 KiB).
pub const MAX_KEY_BYTES: usize = 64 << 10;

/// The longest value in bytes (1 GiB).
pub const MAX_VALUE_BYTES: usize = 1 << 30;

/// The most bytes of one write batch, encoded (2 GiB - 64 KiB): a record's length field stays below 2^31.
pub const MAX_BATCH_BYTES: usize = (2 << 30) - (64 << 10);

/// The most operations in one write batch.
pub const MAX_BATCH_COUNT: usize = u32::MAX as usize;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The number of a file: unique over the whole database, never reused. Tables, manifests and log segments share it.
    FileNumber(u64)
}
number! {
    /// The id of a column family or table: one space for both, never reused. The default family has 0.
    CollectionId(u32)
}
number! {
    /// The number of a memtable, rising in order of creation within one open database.
    MemtableId(u64)
}

/// What a collection holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CollectionKind {
    /// Byte keys with byte values: a column family.
    #[default]
    Bytes,
    /// Rows of an Arrow schema: a table.
    Rows,
}

/// A place in the log. Ordered: segments are used in order of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// The segment.
    pub segment: FileNumber,
    /// How many bytes into it.
    pub offset: u64,
}

impl std::fmt::Display for LogPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "offset {} of segment {:06}", self.offset, self.segment.0)
    }
}

/// What an entry does to its key. The numbers are on disk (log, tables) and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Sets the value.
    Put = 1,
    /// Removes the key.
    Delete = 2,
    /// Reserved: removes every key from this one up to the value.
    RangeDelete = 3,
    /// Reserved: an operand for a merge operator.
    Merge = 4,
    /// Reserved: the value lies in a value log.
    ValueRef = 5,
    /// Rows of a table, many at once. Only in batches and the log.
    Rows = 6,
    /// Removes rows of a table by their keys, many at once. Only in batches and the log.
    RowDelete = 7,
}

impl Kind {
    /// The kind with this number, if this version of the engine writes it for single keys; reserved kinds are refused.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Put),
            2 => Some(Self::Delete),
            _ => None,
        }
    }

    /// The same for operations of a batch, which may also be about rows.
    pub const fn of_operation(byte: u8) -> Option<Self> {
        match byte {
            6 => Some(Self::Rows),
            7 => Some(Self::RowDelete),
            _ => Self::from_byte(byte),
        }
    }

    /// Whether it is about rows of a table.
    pub const fn is_rows(self) -> bool {
        matches!(self, Self::Rows | Self::RowDelete)
    }
}

/// One version of one key, borrowed from wherever it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The user's key.
    pub key: &'a [u8],
    /// When it was written.
    pub sequence: Sequence,
    /// What it does.
    pub kind: Kind,
    /// The value; empty for a delete.
    pub value: &'a [u8],
}

/// The eight bytes of `key` after the first `skip`, big endian, zero-padded: for two keys that share their first `skip`
/// bytes, heads that differ order them; equal heads say nothing (the keys may differ later, or in length).
#[inline]
pub fn head(key: &[u8], skip: usize) -> u64 {
    let tail = key.get(skip..).unwrap_or(&[]);
    if let Some(first) = tail.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut bytes = [0u8; 8];
    bytes[..tail.len()].copy_from_slice(tail);
    u64::from_be_bytes(bytes)
}

/// How many leading bytes `a` and `b` share.
#[inline]
pub fn common_prefix_len(a: &[u8], b: &[u8]) -> usize {
    let len = a.len().min(b.len());
    let mut at = 0;
    while at + 8 <= len {
        let (Some(x), Some(y)) = (a[at..].first_chunk::<8>(), b[at..].first_chunk::<8>()) else { break };
        let differ = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differ != 0 {
            return at + (differ.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < len && a[at] == b[at] {
        at += 1;
    }
    at
}

/// The order of two keys, that of their bytes. For short ones, and those that differ early, quicker than a call to compare memory.
#[inline]
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    match (a.first_chunk::<8>(), b.first_chunk::<8>()) {
        (Some(x), Some(y)) if x != y => u64::from_be_bytes(*x).cmp(&u64::from_be_bytes(*y)),
        _ => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_order_like_keys_wherever_they_differ() {
        let keys: [&[u8]; 7] = [b"", b"\0", b"a", b"a\0", b"abcdefgh", b"abcdefghi", b"b"];
        for a in keys {
            for b in keys {
                if head(a, 0) != head(b, 0) {
                    assert_eq!(head(a, 0).cmp(&head(b, 0)), a.cmp(b), "{a:?} {b:?}");
                }
            }
        }
        assert_eq!(head(b"abc", 5), 0);
    }

    #[test]
    fn keys_are_ordered_as_their_bytes() {
        let keys: [&[u8]; 8] = [b"", b"\0", b"a", b"abcdefg", b"abcdefgh", b"abcdefgh\0", b"abcdefghi", b"\xffbcdefgh"];
        for a in keys {
            for b in keys {
                assert_eq!(compare(a, b), a.cmp(b), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn common_prefixes_are_exact() {
        assert_eq!(common_prefix_len(b"", b"abc"), 0);
        assert_eq!(common_prefix_len(b"abcdefghij", b"abcdefghik"), 9);
        assert_eq!(common_prefix_len(b"abcdefghijk", b"abcdefghijk"), 11);
        assert_eq!(common_prefix_len(b"abcdxfgh", b"abcdefgh"), 4);
    }
}
