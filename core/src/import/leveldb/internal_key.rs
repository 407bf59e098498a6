//! Keys as LevelDB stores them: the user's key, then eight bytes of sequence and kind.
//!
//! Source: `db/dbformat.h` of LevelDB: little endian, the kind in the lowest byte (0 deletes, 1 sets), the sequence in the rest. Ordered by
//! key, then newest first.

use crate::key::{Kind, Sequence};
use std::cmp::Ordering;

const SUFFIX_BYTES: usize = 8;

/// A key with the sequence and kind behind it, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InternalKey<'a> {
    /// The user's key.
    pub key: &'a [u8],
    /// When it was written.
    pub sequence: Sequence,
    /// What it does.
    pub kind: Kind,
}

/// What a number stands for in a batch or a key.
pub fn kind(byte: u8) -> Option<Kind> {
    match byte {
        0 => Some(Kind::Delete),
        1 => Some(Kind::Put),
        _ => None,
    }
}

impl<'a> InternalKey<'a> {
    /// Takes it apart; `None` if it is none.
    #[inline]
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        let (key, suffix) = bytes.split_last_chunk::<SUFFIX_BYTES>()?;
        let packed = u64::from_le_bytes(*suffix);
        Some(Self { key, sequence: packed >> 8, kind: kind(packed as u8)? })
    }

    fn packed(&self) -> u64 {
        self.sequence << 8 | u64::from(self.kind == Kind::Put)
    }
}

impl Ord for InternalKey<'_> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(other.key).then_with(|| other.packed().cmp(&self.packed()))
    }
}

impl PartialOrd for InternalKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
