//! Many sources of a table's rows as one, without the rows that nobody can see.
//!
//! Called by flush and compaction (which rows survive) and by scans (which rows are visible). Of a keyed table a loser tree
//! over the sources' next keys says which source is next, and how far it goes on before another one is: a stretch of rows is
//! taken at once, looked through only where a key could repeat, and handed out as a slice where it is long. Rows of an
//! append-only table are handed out oldest source first. Promises: keys ascending, of a key newest first; what the mode says
//! is visible in the output just as in the input; memory bounded by a chunk of each source and one chunk of output, and these by
//! what the merge was given ([`RowMerge::with_memory`], [`source_bytes`]).

mod expiry;
mod pending;
mod tournament;

pub use expiry::{Expiry, Horizon, nanos_per_unit};

use super::SurvivorCounts;
use crate::error::{Error, Result};
use crate::iter::{RowChunk, RowSource};
use crate::key::Sequence;
use pending::{Pending, Slot};
use std::cmp::Ordering;
use std::collections::VecDeque;
use tournament::{Rival, Tournament};

/// Rows of an output chunk, unless told otherwise.
const BATCH_ROWS: usize = 8_192;

/// Bytes of an output chunk, about: wide rows make smaller chunks. Far below what the offsets of a column can address.
const BATCH_BYTES: usize = 32 << 20;

/// The least bytes that a source may hold, of whatever memory: below this a merge of very many sources would stand still.
const SOURCE_BYTES_MIN: usize = 8 << 10;

/// Stretches from this length on are handed out as slices of the source's memory, whatever waits before them.
const SLICE_ROWS_MIN: usize = 1_024;

/// A stretch of this length is worth finding out whether its chunk repeats no key.
const STRETCH_ROWS_MIN: usize = 8;

/// Which rows the output has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowMergeMode {
    /// The rows that some snapshot, or a read of the newest state, can tell from their absence.
    Survivors {
        /// The sequences at which there are readers, ascending.
        snapshots: Vec<Sequence>,
        /// Nothing older than the input exists anywhere, so that a delete seen by every snapshot may go as well.
        bottom: bool,
    },
    /// Of each key the newest row at or below the snapshot, unless it is a delete; of an append-only table all rows at or below it.
    Visible {
        /// The sequence at which is read.
        snapshot: Sequence,
    },
}

/// The merge of sources of rows. One thread at a time.
///
/// Errors: those of the sources, and NOT_SUPPORTED for columns of types that cannot be put together or differ between
/// sources; after an error it is at its end.
pub struct RowMerge {
    sources: Vec<Option<Box<dyn RowSource>>>,
    mode: RowMergeMode,
    expiry: Option<Expiry>,
    batch_rows: usize,
    batch_bytes: usize,
    state: State,
    tournament: Tournament,
    /// Rows chosen for the output, and the chunks that they and the sources' next rows lie in.
    pending: Pending,
    ready: VecDeque<RowChunk>,
    /// The last row that was looked at closely: slot and row.
    last: Option<(u32, u32)>,
    /// Rows with the key of `last` from this sequence on are hidden.
    stripe_start: Sequence,
    counts: SurvivorCounts,
}

/// What each of so many sources of a merge within `bytes` may hold. A source holds it twice where rows of its last piece wait for the
/// output.
pub fn source_bytes(bytes: usize, sources: usize) -> usize {
    (bytes / 2 / sources.max(1)).max(SOURCE_BYTES_MIN)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Keyed,
    /// Append-only: the sources from this one on are at their ends.
    Arrival(usize),
    Ended,
}

impl RowMerge {
    /// Merges `sources`, given newest first, all of them of one table and with the same columns. Reads nothing yet.
    pub fn new(sources: Vec<Box<dyn RowSource>>, mode: RowMergeMode) -> Self {
        if let RowMergeMode::Survivors { snapshots, .. } = &mode {
            debug_assert!(snapshots.is_sorted(), "snapshots are given in ascending order");
        }
        Self {
            sources: sources.into_iter().map(Some).collect(),
            mode,
            expiry: None,
            batch_rows: BATCH_ROWS,
            batch_bytes: BATCH_BYTES,
            state: State::New,
            tournament: Tournament::new(),
            pending: Pending::new(),
            ready: VecDeque::new(),
            last: None,
            stripe_start: 0,
            counts: SurvivorCounts::default(),
        }
    }

    /// The same merge with output chunks of at most `rows` rows, 1 to 1,048,576; what lies outside is brought in.
    pub fn with_batch_rows(mut self, rows: usize) -> Self {
        self.batch_rows = rows.clamp(1, 1 << 20);
        self
    }

    /// The same merge, of survivors, which takes rows past their time for deleted.
    pub fn with_expiry(mut self, expiry: Option<Expiry>) -> Self {
        self.expiry = expiry;
        self
    }

    /// The same merge within `bytes` of memory, about, if each source holds no more than [`source_bytes`].
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.batch_bytes = (bytes / 8).clamp(SOURCE_BYTES_MIN, BATCH_BYTES);
        self.pending.limit_held(bytes / 4);
        self
    }

    /// What was counted so far: all rows of the chunks handed out, and maybe some of the next one's.
    pub fn counts(&self) -> SurvivorCounts {
        self.counts
    }

    fn start(&mut self) -> Result<()> {
        // The oldest source tells whether there are keys: an append-only table needs no more than that one for now.
        let mut slots = vec![None; self.sources.len()];
        for index in (0..self.sources.len()).rev() {
            slots[index] = self.load(index)?;
            if let Some(slot) = slots[index]
                && !self.pending.slot(slot).has_keys
            {
                self.state = State::Arrival(index + 1);
                return self.take_arrived(slot);
            }
        }
        self.tournament.start(slots, &self.pending);
        self.state = State::Keyed;
        Ok(())
    }

    /// The slot of the next chunk of a source; `None` at its end, where the source is let go.
    fn load(&mut self, index: usize) -> Result<Option<u32>> {
        while let Some(source) = &mut self.sources[index] {
            match source.next_chunk()? {
                Some(chunk) if chunk.is_empty() => {}
                Some(chunk) => {
                    let left = match &self.expiry {
                        None => Some(chunk),
                        Some(expiry) => expiry.apply(chunk, &mut self.counts)?,
                    };
                    if let Some(chunk) = left {
                        return Ok(Some(self.pending.add(Slot::new(chunk))));
                    }
                }
                None => self.sources[index] = None,
            }
        }
        Ok(None)
    }

    fn fill(&mut self) -> Result<()> {
        if self.state == State::New {
            self.start()?;
        }
        while self.ready.is_empty() && self.pending.rows() < self.batch_rows && self.pending.bytes() < self.batch_bytes
        {
            match self.state {
                State::Keyed => {
                    if !self.step()? {
                        self.state = State::Ended;
                    }
                }
                State::Arrival(from) => {
                    let Some(index) = from.checked_sub(1) else {
                        self.state = State::Ended;
                        continue;
                    };
                    match self.load(index)? {
                        Some(slot) => self.take_arrived(slot)?,
                        None => self.state = State::Arrival(index),
                    }
                    self.limit_held()?;
                }
                State::New | State::Ended => break,
            }
        }
        self.emit()
    }

    /// Takes the next stretch of the source whose turn it is; false if all are at their ends.
    fn step(&mut self) -> Result<bool> {
        let Some(winner) = self.tournament.winner() else { return Ok(false) };
        let (slot, start) = self.tournament.place(winner);
        let slot_rows = self.pending.slot(slot).rows();
        let end = match self.tournament.rival() {
            Rival::Unknown => start + 1,
            Rival::None => slot_rows,
            Rival::Source(rival) => self.tournament.stretch_end(winner, rival, &self.pending),
        };
        // A stretch ends where the output chunk is full, so that it is not made ready far ahead of being asked for.
        let end = end.min(start + (self.batch_rows - self.pending.rows()) as u32);
        self.take(slot, start, end)?;
        if end < slot_rows {
            self.tournament.advance(winner, end, &self.pending);
        } else {
            let next = self.load(winner)?;
            self.tournament.change(winner, next, &self.pending);
            self.limit_held()?;
        }
        Ok(true)
    }

    /// Looks at the rows from `start` up to `end` of a slot, the next ones in order, and keeps those that count.
    fn take(&mut self, slot: u32, start: u32, end: u32) -> Result<()> {
        self.counts.entries_in += u64::from(end - start);
        if (end - start) as usize >= STRETCH_ROWS_MIN && self.is_plain(slot) {
            self.look_at(slot, start);
            // The keys differ from each other, so each of these rows is the first of its key and hides no other.
            self.counts.entries_out += u64::from(end - start - 1);
            self.last = Some((slot, end - 1));
            self.stripe_start = self.stripe_start_of(self.pending.slot(slot).chunk.sequences.get((end - 1) as usize));
            return self.keep_stretch(slot, start + 1, end);
        }
        for row in start..end {
            self.look_at(slot, row);
        }
        Ok(())
    }

    /// Whether every row of the slot counts, as far as the slot alone can tell.
    fn is_plain(&mut self, slot: u32) -> bool {
        let slot = self.pending.slot_mut(slot);
        let may_drop = match &self.mode {
            RowMergeMode::Survivors { bottom, .. } => *bottom && slot.has_deletes,
            RowMergeMode::Visible { snapshot } => slot.has_deletes || slot.max_sequence() > *snapshot,
        };
        !may_drop && slot.keys_are_distinct()
    }

    fn stripe_start_of(&self, sequence: Sequence) -> Sequence {
        match &self.mode {
            // The stripe begins after the newest snapshot that does not see this row.
            RowMergeMode::Survivors { snapshots, .. } => {
                let blind = snapshots.partition_point(|&snapshot| snapshot < sequence);
                if blind == 0 { 0 } else { snapshots[blind - 1] + 1 }
            }
            RowMergeMode::Visible { .. } => 0,
        }
    }

    /// Decides about one row.
    #[inline]
    fn look_at(&mut self, index: u32, row: u32) {
        let slot = self.pending.slot(index);
        let sequence = slot.chunk.sequences.get(row as usize);
        if let RowMergeMode::Visible { snapshot } = &self.mode
            && sequence > *snapshot
        {
            self.counts.dropped_versions += 1;
            return;
        }
        let repeats = self.last.is_some_and(|(last_slot, last_row)| {
            let last = &self.pending.slot(last_slot).keys;
            last.compare(last_row as usize, &slot.keys, row as usize) == Ordering::Equal
        });
        if repeats && sequence >= self.stripe_start {
            self.counts.dropped_versions += 1;
            return;
        }
        self.last = Some((index, row));
        self.stripe_start = self.stripe_start_of(sequence);
        let drops_deletes = match &self.mode {
            RowMergeMode::Survivors { bottom, .. } => *bottom && self.stripe_start == 0,
            RowMergeMode::Visible { .. } => true,
        };
        if drops_deletes && slot.has_deletes && slot.chunk.is_delete(row as usize) {
            self.counts.dropped_tombstones += 1;
            return;
        }
        self.counts.entries_out += 1;
        self.pending.push(index, row, row + 1);
    }

    /// Keeps the rows from `start` up to `end`: among the pending ones, or at once if they are many.
    fn keep_stretch(&mut self, slot: u32, start: u32, end: u32) -> Result<()> {
        self.pending.push(slot, start, end);
        if self.pending.last_stretch_rows() < SLICE_ROWS_MIN.min(self.batch_rows) {
            return Ok(());
        }
        let Some(stretch) = self.pending.pop() else { return Ok(()) };
        self.emit()?;
        let chunk = &self.pending.slot(slot).chunk;
        let (mut start, end) = (stretch.start as usize, (stretch.start + stretch.len) as usize);
        while start < end {
            let rows = self.batch_rows.min(end - start);
            self.ready.push_back(chunk.slice(start, rows));
            start += rows;
        }
        Ok(())
    }

    /// Keeps the rows of a chunk of an append-only table.
    fn take_arrived(&mut self, slot: u32) -> Result<()> {
        let rows = self.pending.slot(slot).rows();
        self.counts.entries_in += u64::from(rows);
        let snapshot = match &self.mode {
            RowMergeMode::Visible { snapshot } => *snapshot,
            RowMergeMode::Survivors { .. } => Sequence::MAX,
        };
        if self.pending.slot(slot).max_sequence() <= snapshot {
            self.counts.entries_out += u64::from(rows);
            return self.keep_stretch(slot, 0, rows);
        }
        for row in 0..rows {
            if self.pending.slot(slot).chunk.sequences.get(row as usize) <= snapshot {
                self.counts.entries_out += 1;
                self.pending.push(slot, row, row + 1);
            } else {
                self.counts.dropped_versions += 1;
            }
        }
        Ok(())
    }

    /// Lets go of chunks that nothing points into any more, and makes the pending rows a chunk if they hold too many.
    fn limit_held(&mut self) -> Result<()> {
        if !self.pending.holds_much(self.sources.len()) {
            return Ok(());
        }
        self.release();
        if self.pending.holds_much(self.sources.len()) { self.emit() } else { Ok(()) }
    }

    /// Makes the pending rows chunks of output.
    fn emit(&mut self) -> Result<()> {
        let mut chunks = Vec::new();
        self.pending.take_rows(&mut chunks)?;
        for chunk in chunks {
            let mut start = 0;
            while start < chunk.len() {
                let rows = self.batch_rows.min(chunk.len() - start);
                self.ready.push_back(if rows == chunk.len() { chunk.clone() } else { chunk.slice(start, rows) });
                start += rows;
            }
        }
        Ok(())
    }

    fn release(&mut self) {
        let mut last = self.last.take();
        let mut places: Vec<&mut u32> = self.tournament.slots_mut().collect();
        if let Some((slot, _)) = &mut last {
            places.push(slot);
        }
        self.pending.release(&mut places);
        self.last = last;
    }

    fn end(&mut self, error: Error) -> Error {
        self.state = State::Ended;
        self.sources.clear();
        self.ready.clear();
        self.pending = Pending::new();
        error
    }
}

impl RowSource for RowMerge {
    fn next_chunk(&mut self) -> Result<Option<RowChunk>> {
        while self.ready.is_empty() && self.state != State::Ended {
            if let Err(error) = self.fill() {
                return Err(self.end(error));
            }
            if self.state == State::Ended {
                self.pending = Pending::new();
            } else {
                self.release();
            }
        }
        Ok(self.ready.pop_front())
    }
}

#[cfg(test)]
mod tests;
