//! Which versions survive: of each key, the newest in every stretch of history that some snapshot can tell apart.
//!
//! Called by flush and compaction over a merge of their inputs. Promises: what any given snapshot, or a read of the newest
//! state, sees of the output is what it saw of the input.

#[cfg(feature = "arrow")]
mod adapt;
#[cfg(feature = "arrow")]
mod clustered;
#[cfg(feature = "arrow")]
pub mod rows;

#[cfg(feature = "arrow")]
pub use adapt::Adapt;
#[cfg(feature = "arrow")]
pub use clustered::{in_order, sorted};
#[cfg(feature = "arrow")]
pub use rows::{Expiry, Horizon, RowMerge, RowMergeMode, nanos_per_unit, source_bytes};

use crate::error::{Error, ErrorKind, Result};
use crate::iter::Cursor;
use crate::key::{Entry, Kind, Sequence, compare};
use std::path::Path;

/// How many entries were looked at, and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SurvivorCounts {
    /// Entries taken from the input.
    pub entries_in: u64,
    /// Entries given out.
    pub entries_out: u64,
    /// Entries left out because a newer version of the key hides them from every snapshot.
    pub dropped_versions: u64,
    /// Deletes left out because nothing older is left to hide, and rows of an append-only table that are past their time.
    pub dropped_tombstones: u64,
    /// Rows past their time: left out at once, or taken for deletes of their keys.
    pub expired: u64,
}

impl SurvivorCounts {
    /// Counts what `other` counted as well.
    pub fn add(&mut self, other: &Self) {
        self.entries_in += other.entries_in;
        self.entries_out += other.entries_out;
        self.dropped_versions += other.dropped_versions;
        self.dropped_tombstones += other.dropped_tombstones;
        self.expired += other.expired;
    }

    /// All entries left out.
    pub fn dropped(&self) -> u64 {
        self.dropped_versions + self.dropped_tombstones
    }

    /// Corruption unless everything was read that the inputs hold, and what was not dropped is in the file at `path`: `written` by
    /// its writer's count, `found` by its reader's.
    pub fn check(&self, expected_in: u64, written: u64, found: u64, path: &Path) -> Result<()> {
        let complete = self.entries_in == expected_in
            && self.entries_in == self.entries_out + self.dropped()
            && self.entries_out == written
            && written == found;
        if complete {
            return Ok(());
        }
        let message = format!(
            "entries were lost: {expected_in} to read, {} read, {} dropped, {written} written, {found} in the file",
            self.entries_in,
            self.dropped(),
        );
        Err(Error::new(ErrorKind::Corruption, message).in_file(path))
    }
}

/// The entries of a cursor that somebody can still see, in order. One thread at a time.
///
/// Snapshots cut history into stripes: two versions of a key between the same two snapshots look the same to all of them, so
/// only the newer one counts.
pub struct Survivors<C: Cursor> {
    cursor: C,
    snapshots: Vec<Sequence>,
    bottom: bool,
    started: bool,
    key: Vec<u8>,
    /// Versions of `key` from this sequence on are hidden by the last one looked at.
    stripe_start: Sequence,
    counts: SurvivorCounts,
}

impl<C: Cursor> Survivors<C> {
    /// The survivors of all entries of `cursor`, for readers at `snapshots` (ascending) and at the newest state. `bottom`
    /// says that nothing older than the input exists anywhere, so that a delete seen by every snapshot may go as well.
    pub fn new(cursor: C, snapshots: Vec<Sequence>, bottom: bool) -> Self {
        debug_assert!(snapshots.is_sorted(), "snapshots are given in ascending order");
        let counts = SurvivorCounts::default();
        Self { cursor, snapshots, bottom, started: false, key: Vec::new(), stripe_start: 0, counts }
    }

    /// The next survivor; its slices live until the next call. `None` at the end, and not to be called again after it.
    #[expect(clippy::should_implement_trait, reason = "an iterator could not lend its entries")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>> {
        loop {
            let standing = if self.started { self.cursor.next()? } else { self.cursor.seek_to_first()? };
            let is_first = !std::mem::replace(&mut self.started, true);
            if !standing {
                return Ok(None);
            }
            self.counts.entries_in += 1;
            let entry = self.cursor.entry();
            if is_first || compare(entry.key, &self.key).is_ne() {
                self.key.clear();
                self.key.extend_from_slice(entry.key);
            } else if entry.sequence >= self.stripe_start {
                self.counts.dropped_versions += 1;
                continue;
            }
            // The stripe begins after the newest snapshot that does not see this version.
            let blind = self.snapshots.partition_point(|&snapshot| snapshot < entry.sequence);
            self.stripe_start = if blind == 0 { 0 } else { self.snapshots[blind - 1] + 1 };
            if self.bottom && blind == 0 && entry.kind == Kind::Delete {
                self.counts.dropped_tombstones += 1;
                continue;
            }
            self.counts.entries_out += 1;
            return Ok(Some(self.cursor.entry()));
        }
    }

    /// The survivor that was given out last. Requires: there was one, and `next` was not called since.
    pub fn entry(&self) -> Entry<'_> {
        self.cursor.entry()
    }

    /// What was counted so far.
    pub fn counts(&self) -> SurvivorCounts {
        self.counts
    }
}
