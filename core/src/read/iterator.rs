//! The entries of one collection as a snapshot sees them: newest visible version of each key, no tombstones, within bounds.
//!
//! Used by `db::iterate`. Wraps the merge over all sources. Forward, the merge stands on the entry shown. Backward, a key's
//! versions come oldest first, so the merge has to run past the key to know its newest visible version: the entry shown is
//! kept aside and the merge stands before it. Over a single plain run none of this is needed. Batches are filled stretch by
//! stretch where a single source decides ([`Fill`]), and entry by entry where several have the same keys.

use super::source::{Source, Walk};
use crate::error::{Error, Result};
use crate::iter::{Cursor, EntryBatch, Fill, PinnedBytes, Until};
use crate::key::{KeyRange, Kind, Sequence};
use crate::sst::Access;
use crate::view::CollectionView;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Position {
    /// Never moved.
    Fresh,
    /// Ran off an end, or failed.
    Nowhere,
    /// The cursor stands on the entry shown.
    OnEntry,
    /// The entry shown is `kept`; the cursor stands before all versions of its key, or nowhere.
    Kept,
}

/// Walks what a snapshot sees of one collection. One thread at a time; owns what it needs.
pub struct VisibleCursor {
    cursor: Walk,
    snapshot: Sequence,
    range: KeyRange,
    /// Every entry is a visible value, and no key has two: a lone plain run.
    plain: bool,
    position: Position,
    kept_key: Vec<u8>,
    kept_value: PinnedBytes,
    kept_sequence: Sequence,
}

impl VisibleCursor {
    /// A cursor over `view` at `snapshot` within `range`, standing nowhere. `access` says how files are read. Corruption if a file does
    /// not open that may hold keys of the range.
    pub fn new(view: &CollectionView, snapshot: Sequence, range: KeyRange, access: Access) -> Result<Self> {
        let mut sources = Vec::new();
        for memtable in view.memtables() {
            // What enters an empty memtable from now on is newer than the snapshot.
            if memtable.first_sequence().is_some_and(|first| first <= snapshot) {
                sources.push(Source::Memtable(Box::new(memtable.cursor())));
            }
        }
        let mut plain = sources.is_empty();
        for run in &view.runs {
            if run.meta.smallest_sequence <= snapshot && range.touches(&run.meta.smallest, &run.meta.largest) {
                plain &= run.reader.is_plain() && run.meta.largest_sequence <= snapshot;
                sources.push(Source::File(Box::new(run.reader.bytes()?.cursor(access))));
            }
        }
        plain &= sources.len() == 1;
        Ok(Self {
            cursor: Walk::new(sources),
            snapshot,
            range,
            plain,
            position: Position::Fresh,
            kept_key: Vec::new(),
            kept_value: PinnedBytes::copied(&[]),
            kept_sequence: 0,
        })
    }

    /// The snapshot that it shows.
    pub fn snapshot(&self) -> Sequence {
        self.snapshot
    }

    /// Whether it stands on an entry.
    pub fn is_valid(&self) -> bool {
        matches!(self.position, Position::OnEntry | Position::Kept)
    }

    /// The key under it. Requires: it stands on an entry.
    pub fn key(&self) -> &[u8] {
        if self.position == Position::Kept { &self.kept_key } else { self.cursor.entry().key }
    }

    /// The value under it. Requires: it stands on an entry.
    pub fn value(&self) -> &[u8] {
        if self.position == Position::Kept { &self.kept_value } else { self.cursor.entry().value }
    }

    /// When the entry under it was written. Requires: it stands on an entry.
    pub fn sequence(&self) -> Sequence {
        if self.position == Position::Kept { self.kept_sequence } else { self.cursor.entry().sequence }
    }

    /// The value under it, pinned. Requires: it stands on an entry.
    pub fn pin_value(&self) -> PinnedBytes {
        if self.position == Position::Kept { self.kept_value.clone() } else { self.cursor.pin_value() }
    }

    /// Moves to the first entry.
    pub fn seek_to_first(&mut self) -> Result<bool> {
        self.position = Position::Nowhere;
        match self.range.lower.clone() {
            Some(lower) => self.cursor.seek(&lower)?,
            None => self.cursor.seek_to_first()?,
        };
        self.settle_forward()
    }

    /// Moves to the last entry.
    pub fn seek_to_last(&mut self) -> Result<bool> {
        self.position = Position::Nowhere;
        match self.range.upper.clone() {
            Some(upper) => {
                if self.cursor.seek_for_prev(&upper)? {
                    self.step_back_over(&upper)?;
                }
            }
            None => {
                self.cursor.seek_to_last()?;
            }
        }
        self.settle_backward()
    }

    /// Moves to the first entry at or after `key`.
    pub fn seek(&mut self, key: &[u8]) -> Result<bool> {
        if self.range.lower.as_deref().is_some_and(|lower| key < lower) {
            return self.seek_to_first();
        }
        self.position = Position::Nowhere;
        self.cursor.seek(key)?;
        self.settle_forward()
    }

    /// Moves to the last entry at or before `key`.
    pub fn seek_for_prev(&mut self, key: &[u8]) -> Result<bool> {
        if self.range.upper.as_deref().is_some_and(|upper| key >= upper) {
            return self.seek_to_last();
        }
        self.position = Position::Nowhere;
        self.cursor.seek_for_prev(key)?;
        self.settle_backward()
    }

    /// Moves to the next entry.
    #[expect(clippy::should_implement_trait, reason = "the field's name for it; an entry borrows from the cursor")]
    pub fn next(&mut self) -> Result<bool> {
        match self.position {
            Position::Fresh | Position::Nowhere => return Err(not_positioned()),
            Position::OnEntry if self.plain => {
                self.position = Position::Nowhere;
                self.cursor.next()?;
                return self.settle_forward();
            }
            Position::OnEntry => self.keep_key(),
            Position::Kept => {
                self.position = Position::Nowhere;
                let key = std::mem::take(&mut self.kept_key);
                self.cursor.seek(&key)?;
                self.kept_key = key;
            }
        }
        self.position = Position::Nowhere;
        self.step_over_kept()?;
        self.settle_forward()
    }

    /// Moves to the entry before.
    pub fn prev(&mut self) -> Result<bool> {
        self.step_back()?;
        self.settle_backward()
    }

    /// From the entry shown to where the search for the one before it begins.
    fn step_back(&mut self) -> Result<()> {
        let position = std::mem::replace(&mut self.position, Position::Nowhere);
        match position {
            Position::Fresh | Position::Nowhere => {
                self.position = position;
                return Err(not_positioned());
            }
            Position::OnEntry if self.plain => {
                self.cursor.prev()?;
            }
            Position::OnEntry => {
                self.keep_key();
                let key = std::mem::take(&mut self.kept_key);
                let moved = self.step_back_over(&key);
                self.kept_key = key;
                moved?;
            }
            Position::Kept => {}
        }
        Ok(())
    }

    /// Fills `batch` forward with at most `limit` entries or about `max_bytes` bytes, beginning with the entry under the
    /// cursor (a fresh one begins at the first), and stands after them. 0 at the end.
    pub fn next_batch(&mut self, batch: &mut EntryBatch, limit: usize, max_bytes: usize) -> Result<usize> {
        batch.clear();
        if self.position == Position::Fresh {
            self.seek_to_first()?;
        }
        let mut bytes_left = max_bytes;
        while batch.len() < limit && bytes_left > 0 && self.is_valid() {
            if self.position == Position::OnEntry {
                self.position = Position::Nowhere;
                let before = batch.len();
                self.fill(batch, limit, &mut bytes_left, true)?;
                if self.settle_forward()? && batch.len() > before {
                    continue;
                }
            }
            if self.is_valid() {
                bytes_left = bytes_left.saturating_sub(self.push(batch));
                self.next()?;
            }
        }
        Ok(batch.len())
    }

    /// The same backward: a fresh cursor begins at the last entry.
    pub fn prev_batch(&mut self, batch: &mut EntryBatch, limit: usize, max_bytes: usize) -> Result<usize> {
        batch.clear();
        if self.position == Position::Fresh {
            self.seek_to_last()?;
        }
        let mut bytes_left = max_bytes;
        while batch.len() < limit && bytes_left > 0 && self.is_valid() {
            if !self.plain || self.position != Position::OnEntry {
                bytes_left = bytes_left.saturating_sub(self.push(batch));
                self.step_back()?;
            }
            self.position = Position::Nowhere;
            self.fill(batch, limit, &mut bytes_left, false)?;
            self.settle_backward()?;
        }
        Ok(batch.len())
    }

    /// Adds from where the cursor stands what its sources can give without a comparison of each entry.
    fn fill(&mut self, batch: &mut EntryBatch, limit: usize, bytes_left: &mut usize, forward: bool) -> Result<()> {
        let bound = if forward { self.range.upper.as_deref() } else { self.range.lower.as_deref() };
        let until = bound.map(|key| Until { key, included: !forward });
        let mut fill = Fill { batch, limit, bytes_left: *bytes_left, until, snapshot: self.snapshot, forward };
        let filled = self.cursor.fill(&mut fill);
        *bytes_left = fill.bytes_left;
        filled.map(|_| ())
    }

    fn push(&self, batch: &mut EntryBatch) -> usize {
        if self.position == Position::Kept {
            batch.push_pinned(&self.kept_key, self.kept_sequence, &self.kept_value);
            return self.kept_key.len() + self.kept_value.len();
        }
        self.cursor.push_to(batch);
        let entry = self.cursor.entry();
        entry.key.len() + entry.value.len()
    }

    fn keep_key(&mut self) {
        self.kept_key.clear();
        self.kept_key.extend_from_slice(self.cursor.entry().key);
    }

    /// Moves past every version of the kept key.
    fn step_over_kept(&mut self) -> Result<()> {
        while self.cursor.is_valid() && self.cursor.entry().key == self.kept_key {
            self.cursor.next()?;
        }
        Ok(())
    }

    /// Moves back before every version of `key`.
    fn step_back_over(&mut self, key: &[u8]) -> Result<()> {
        while self.cursor.is_valid() && self.cursor.entry().key >= key {
            self.cursor.prev()?;
        }
        Ok(())
    }

    /// From where the cursor stands, forward to the first visible value.
    fn settle_forward(&mut self) -> Result<bool> {
        while self.cursor.is_valid() {
            let entry = self.cursor.entry();
            if self.range.upper.as_deref().is_some_and(|upper| entry.key >= upper) {
                break;
            }
            if entry.sequence <= self.snapshot {
                if entry.kind == Kind::Put {
                    self.position = Position::OnEntry;
                    return Ok(true);
                }
                self.keep_key();
                self.step_over_kept()?;
            } else {
                self.cursor.next()?;
            }
        }
        self.position = Position::Nowhere;
        Ok(false)
    }

    /// From where the cursor stands, backward to the last key that has a visible value.
    fn settle_backward(&mut self) -> Result<bool> {
        while self.cursor.is_valid() {
            let entry = self.cursor.entry();
            if self.range.lower.as_deref().is_some_and(|lower| entry.key < lower) {
                break;
            }
            if self.plain {
                self.position = Position::OnEntry;
                return Ok(true);
            }
            self.keep_key();
            let mut visible = None;
            while self.cursor.is_valid() {
                let entry = self.cursor.entry();
                if entry.key != self.kept_key {
                    break;
                }
                if entry.sequence <= self.snapshot {
                    visible = Some(entry.kind);
                    if entry.kind == Kind::Put {
                        self.kept_sequence = entry.sequence;
                        self.kept_value = self.cursor.pin_value();
                    }
                }
                self.cursor.prev()?;
            }
            if visible == Some(Kind::Put) {
                self.position = Position::Kept;
                return Ok(true);
            }
        }
        self.position = Position::Nowhere;
        Ok(false)
    }
}

fn not_positioned() -> Error {
    Error::invalid("the iterator stands on no entry: seek first")
}
