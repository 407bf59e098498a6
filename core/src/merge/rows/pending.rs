//! The rows that a merge has chosen and not handed out yet, and the chunks that they lie in.

use crate::error::Result;
use crate::iter::{RowChunk, RowStretch, Sequences, gather};
use crate::key::{KeyRows, Sequence};
use arrow_array::Array;
use std::cmp::Ordering;

/// Chunks held beyond two a source, before they are looked through for some to let go.
const SLOTS_SPARE: usize = 256;

/// Bytes of chunks held beyond those that the sources stand in.
const HELD_BYTES_MAX: usize = 64 << 20;

/// A chunk that a source stands in, or that pending rows lie in.
pub(super) struct Slot {
    pub chunk: RowChunk,
    /// The chunk's keys; of no meaning without any.
    pub keys: KeyRows,
    pub has_keys: bool,
    pub has_deletes: bool,
    bytes: usize,
    keys_are_distinct: Option<bool>,
    max_sequence: Sequence,
}

impl Slot {
    pub fn new(chunk: RowChunk) -> Self {
        let keys = chunk.keys.clone();
        let columns: usize =
            chunk.batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum();
        let beside = keys.as_ref().map_or(0, key_bytes) + chunk.len() * size_of::<Sequence>();
        let bytes = columns + beside;
        Self {
            has_keys: keys.is_some(),
            keys: keys.unwrap_or(KeyRows::Fixed { width: 1, heads: Vec::new().into() }),
            has_deletes: chunk.deletes.is_some(),
            max_sequence: match &chunk.sequences {
                Sequences::Same(sequence) => *sequence,
                Sequences::Each(each) => each.iter().copied().max().unwrap_or(0) as Sequence,
            },
            chunk,
            bytes,
            keys_are_distinct: None,
        }
    }

    pub fn rows(&self) -> u32 {
        self.chunk.len() as u32
    }

    /// Whether no key repeats: looked up once, for all rows. Rows of one write have distinct keys.
    pub fn keys_are_distinct(&mut self) -> bool {
        let is_one_write = matches!(self.chunk.sequences, Sequences::Same(_));
        *self.keys_are_distinct.get_or_insert_with(|| {
            let mut distinct = true;
            if !is_one_write {
                self.keys.for_each_step(|_, order| distinct &= order != Ordering::Equal);
            }
            distinct
        })
    }

    pub fn max_sequence(&self) -> Sequence {
        self.max_sequence
    }
}

/// Bytes of these keys alone, whatever they are a slice of.
fn key_bytes(keys: &KeyRows) -> usize {
    match keys {
        KeyRows::Fixed { heads, .. } => heads.len() * size_of::<u64>(),
        KeyRows::Bytes { offsets, .. } => {
            offsets.len() * size_of::<i32>() + (offsets[offsets.len() - 1] - offsets[0]) as usize
        }
    }
}

/// Stretches of rows in the order of the output.
pub(super) struct Pending {
    slots: Vec<Slot>,
    stretches: Vec<RowStretch>,
    rows: usize,
    bytes: usize,
    held_bytes: usize,
    held_bytes_max: usize,
}

impl Pending {
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            stretches: Vec::new(),
            rows: 0,
            bytes: 0,
            held_bytes: 0,
            held_bytes_max: HELD_BYTES_MAX,
        }
    }

    /// Holds no more than `bytes` beyond what the sources stand in, if that is less than it would.
    pub fn limit_held(&mut self, bytes: usize) {
        self.held_bytes_max = bytes.min(HELD_BYTES_MAX);
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes the pending rows have.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    #[inline]
    pub fn slot(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    pub fn slot_mut(&mut self, slot: u32) -> &mut Slot {
        &mut self.slots[slot as usize]
    }

    /// Holds one more chunk; its number stays until [`release`](Self::release).
    pub fn add(&mut self, slot: Slot) -> u32 {
        self.held_bytes += slot.bytes;
        self.slots.push(slot);
        (self.slots.len() - 1) as u32
    }

    /// Adds the rows from `start` up to `end`; at least one.
    #[inline]
    pub fn push(&mut self, slot: u32, start: u32, end: u32) {
        let rows = (end - start) as usize;
        self.rows += rows;
        let of = &self.slots[slot as usize];
        self.bytes += of.bytes / of.chunk.len() * rows;
        match self.stretches.last_mut() {
            Some(last) if last.chunk == slot && last.start + last.len == start => last.len += end - start,
            _ => self.stretches.push(RowStretch { chunk: slot, start, len: end - start }),
        }
    }

    pub fn last_stretch_rows(&self) -> usize {
        self.stretches.last().map_or(0, |last| last.len as usize)
    }

    /// Takes the last stretch back.
    pub fn pop(&mut self) -> Option<RowStretch> {
        let last = self.stretches.pop()?;
        self.rows -= last.len as usize;
        let of = &self.slots[last.chunk as usize];
        self.bytes -= of.bytes / of.chunk.len() * last.len as usize;
        Some(last)
    }

    /// Makes all pending rows one chunk, or a few, at the end of `out`.
    pub fn take_rows(&mut self, out: &mut Vec<RowChunk>) -> Result<()> {
        let mut used = vec![u32::MAX; self.slots.len()];
        let mut chunks = Vec::new();
        for stretch in &mut self.stretches {
            let dense = &mut used[stretch.chunk as usize];
            if *dense == u32::MAX {
                *dense = chunks.len() as u32;
                chunks.push(&self.slots[stretch.chunk as usize].chunk);
            }
            stretch.chunk = *dense;
        }
        gather(&chunks, &self.stretches, out)?;
        self.stretches.clear();
        self.rows = 0;
        self.bytes = 0;
        Ok(())
    }

    /// Whether more chunks are held than `sources` sources should need.
    pub fn holds_much(&self, sources: usize) -> bool {
        let spare = self.slots.len().saturating_sub(2 * sources);
        spare > SLOTS_SPARE || (spare > 0 && self.held_bytes > self.held_bytes_max)
    }

    /// Lets go of the chunks that neither pending rows nor `places` name, and renumbers the rest, in `places` as well.
    pub fn release(&mut self, places: &mut [&mut u32]) {
        let mut kept = vec![false; self.slots.len()];
        places.iter().for_each(|slot| kept[**slot as usize] = true);
        self.stretches.iter().for_each(|stretch| kept[stretch.chunk as usize] = true);
        if kept.iter().all(|&kept| kept) {
            return;
        }
        let mut next = 0;
        let numbers: Vec<u32> = kept
            .iter()
            .map(|&kept| {
                next += u32::from(kept);
                next.saturating_sub(1)
            })
            .collect();
        let mut is_kept = kept.iter();
        self.slots.retain(|_| is_kept.next().is_some_and(|&kept| kept));
        places.iter_mut().for_each(|slot| **slot = numbers[**slot as usize]);
        self.stretches.iter_mut().for_each(|stretch| stretch.chunk = numbers[stretch.chunk as usize]);
        self.held_bytes = self.slots.iter().map(|slot| slot.bytes).sum();
    }
}
