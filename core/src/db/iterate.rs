//! Iterators over a family, as of one moment.

use super::{ColumnFamily, Db, Handle, ReadOptions, Snapshot};
use crate::error::Result;
use crate::iter::{EntryBatch, PinnedBytes};
use crate::key::{KeyRange, Sequence};
use crate::observe::Timed;
use crate::read::VisibleCursor;
use crate::sst::Access;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What an iterator shows, and how it reads.
#[derive(Clone, Default)]
pub struct IterOptions {
    /// The keys that it is limited to.
    pub range: KeyRange,
    /// What to see; `None`: the present, at the moment of its making.
    pub snapshot: Option<Snapshot>,
    /// Read far ahead and leave the block cache alone: for long scans.
    pub scan: bool,
}

/// Walks the entries of a family in key order, both ways, as of one moment: later writes, flushes, merges and a drop of the family do
/// not disturb it. Owns what it needs. May move between threads; one at a time. A new one stands on no entry.
///
/// After an error it stands on no entry, and a seek may be tried again.
pub struct DbIterator {
    handle: Arc<Handle>,
    family: ColumnFamily,
    options: IterOptions,
    cursor: VisibleCursor,
}

impl Drop for DbIterator {
    fn drop(&mut self) {
        self.handle.core.iterators.fetch_sub(1, Ordering::Relaxed);
    }
}

impl DbIterator {
    #[inline]
    fn check(&self) -> Result<()> {
        self.handle.core.check()
    }

    #[inline]
    fn timed(&mut self, seek: impl FnOnce(&mut VisibleCursor) -> Result<bool>) -> Result<bool> {
        let timings = &self.handle.core.timings;
        let began = timings.begin();
        let found = seek(&mut self.cursor);
        timings.end(Timed::Seek, began);
        found
    }

    /// Moves to the first entry; whether there is one.
    pub fn seek_to_first(&mut self) -> Result<bool> {
        self.check()?;
        self.timed(|cursor| cursor.seek_to_first())
    }

    /// Moves to the last entry.
    pub fn seek_to_last(&mut self) -> Result<bool> {
        self.check()?;
        self.timed(|cursor| cursor.seek_to_last())
    }

    /// Moves to the first entry at or after `key`.
    pub fn seek(&mut self, key: &[u8]) -> Result<bool> {
        self.check()?;
        self.timed(|cursor| cursor.seek(key))
    }

    /// Moves to the last entry at or before `key`.
    pub fn seek_for_prev(&mut self, key: &[u8]) -> Result<bool> {
        self.check()?;
        self.timed(|cursor| cursor.seek_for_prev(key))
    }

    /// Moves to the next entry. InvalidArgument if it stands on none.
    #[expect(clippy::should_implement_trait, reason = "the field's name for it; an entry borrows from the iterator")]
    pub fn next(&mut self) -> Result<bool> {
        self.check()?;
        self.cursor.next()
    }

    /// Moves to the entry before. InvalidArgument if it stands on none.
    pub fn prev(&mut self) -> Result<bool> {
        self.check()?;
        self.cursor.prev()
    }

    /// Whether it stands on an entry.
    pub fn is_valid(&self) -> bool {
        self.cursor.is_valid()
    }

    /// The key under it, until the next move. Panics if it stands on no entry.
    pub fn key(&self) -> &[u8] {
        self.cursor.key()
    }

    /// The value under it, until the next move. Panics if it stands on no entry.
    pub fn value(&self) -> &[u8] {
        self.cursor.value()
    }

    /// When the entry under it was written. Panics if it stands on no entry.
    pub fn sequence(&self) -> Sequence {
        self.cursor.sequence()
    }

    /// The value under it, to keep. Panics if it stands on no entry.
    pub fn pin_value(&self) -> PinnedBytes {
        self.cursor.pin_value()
    }

    /// Clears `batch` and fills it with the entries from here on: at most `limit`, and about `max_bytes` of keys and values. Then
    /// stands on the first entry not given. A new iterator begins at the first entry. 0 means the end.
    pub fn next_batch(&mut self, batch: &mut EntryBatch, limit: usize, max_bytes: usize) -> Result<usize> {
        self.check()?;
        self.cursor.next_batch(batch, limit, max_bytes)
    }

    /// The same backward; a new iterator begins at the last entry.
    pub fn prev_batch(&mut self, batch: &mut EntryBatch, limit: usize, max_bytes: usize) -> Result<usize> {
        self.check()?;
        self.cursor.prev_batch(batch, limit, max_bytes)
    }

    /// Shows the present (or, if it was made with a snapshot, that again) and stands on no entry. An error leaves it as it was.
    pub fn refresh(&mut self) -> Result<()> {
        self.check()?;
        self.cursor = cursor(&self.handle, &self.family, &self.options)?;
        Ok(())
    }
}

fn cursor(handle: &Arc<Handle>, family: &ColumnFamily, options: &IterOptions) -> Result<VisibleCursor> {
    let (view, sequence) = handle.core.pin_at(family.id(), options.snapshot.as_ref())?;
    let access = if options.scan { Access::Scan } else { Access::Cached };
    VisibleCursor::new(&view, sequence, options.range.clone(), access)
}

impl Db {
    /// An iterator over `family`. Corruption if a file does not open that may hold keys of the range.
    pub fn iterator(&self, family: &ColumnFamily, options: IterOptions) -> Result<DbIterator> {
        self.handle.core.check()?;
        self.check_family(family)?;
        self.check_snapshot(&ReadOptions { snapshot: options.snapshot.as_ref() })?;
        let cursor = cursor(&self.handle, family, &options)?;
        self.handle.core.iterators.fetch_add(1, Ordering::Relaxed);
        Ok(DbIterator { handle: self.handle.clone(), family: family.clone(), options, cursor })
    }
}
