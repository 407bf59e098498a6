//! The iterator contract that memtables, tables and merges share, and the merge of many such sources into one.
//!
//! A [`Cursor`] walks internal entries: every version of every key, keys ascending, within a key newest first. Hiding what a
//! snapshot must not see is not its task.

mod fill;
#[cfg(feature = "arrow")]
mod gather;
mod merge;
mod pin;
#[cfg(feature = "arrow")]
mod rows;

pub use fill::{Fill, Until};
#[cfg(feature = "arrow")]
pub use gather::{RowStretch, copied, gather};
pub use merge::Merge;
pub use pin::{EntryBatch, Owner, PinnedBytes, Pinning};
#[cfg(feature = "arrow")]
pub use rows::{RowChunk, RowSource, Sequences};

use crate::error::Result;
use crate::key::Entry;

/// A position in a sorted source of entries. One thread at a time.
///
/// A new cursor stands nowhere. The movers return whether it now stands on an entry; after an error it stands nowhere, and
/// every later move returns that error again until a seek.
pub trait Cursor {
    /// Moves to the first entry.
    fn seek_to_first(&mut self) -> Result<bool>;

    /// Moves to the last entry: the oldest version of the greatest key.
    fn seek_to_last(&mut self) -> Result<bool>;

    /// Moves to the first entry whose key is at or after `key`: the newest version of that key.
    fn seek(&mut self, key: &[u8]) -> Result<bool>;

    /// Moves to the last entry whose key is at or before `key`: the oldest version of that key.
    fn seek_for_prev(&mut self, key: &[u8]) -> Result<bool>;

    /// Moves to the next entry. Requires: it stands on one.
    fn next(&mut self) -> Result<bool>;

    /// Moves to the entry before. Requires: it stands on one.
    fn prev(&mut self) -> Result<bool>;

    /// Whether it stands on an entry.
    fn is_valid(&self) -> bool;

    /// The entry under it; its slices live until the next move. Requires: it stands on one.
    fn entry(&self) -> Entry<'_>;

    /// The value under it, pinned: it stays however far the cursor moves on. Requires: it stands on an entry.
    fn pin_value(&self) -> PinnedBytes;

    /// Adds the entry under it to `batch`: the key copied, the value pinned. Requires: it stands on an entry.
    fn push_to(&self, batch: &mut EntryBatch);

    /// Adds what `fill` wants to see of the keys from the one under it on, each whole and in order, as far as the cursor can tell quickly,
    /// which may be not at all; then stands on the first entry of a key that it did not deal with. Returns whether it moved. Requires: behind
    /// the cursor lies no version of the key under it that is to be seen, or that hides one.
    fn fill(&mut self, fill: &mut Fill<'_>) -> Result<bool> {
        let _ = fill;
        Ok(false)
    }
}
