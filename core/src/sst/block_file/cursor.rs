//! Walks the entries of one file, both ways.
//!
//! Made by [`SstReader::cursor`]; used by reads, flush and compaction through [`Cursor`]. A block that cannot be read stops the cursor; it
//! never skips one.

use super::super::{Access, Io};
use super::block::Block;
use super::reader::{SstReader, read_bytes};
use crate::error::{Error, Result};
use crate::iter::{Cursor, EntryBatch, Fill, PinnedBytes};
use crate::key::Entry;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that a scan reads at a time.
const READ_AHEAD_BYTES: u64 = 512 << 10;

/// Which way a scan goes, and so which blocks are worth reading together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// A position in one file. One thread at a time.
pub struct SstCursor {
    reader: Arc<SstReader>,
    access: Access,
    /// The block under the cursor and its index; kept while the cursor stands nowhere, for the next seek.
    block: Option<(usize, Arc<Block>)>,
    entry: usize,
    valid: bool,
    /// The whole key under the cursor. Its first `prefix_len` bytes are the block's prefix.
    key: Vec<u8>,
    prefix_len: usize,
    ahead: ReadAhead,
    failure: Option<Error>,
}

/// Bytes of several blocks, read at once.
#[derive(Default)]
struct ReadAhead {
    blocks: Range<usize>,
    bytes: Vec<u8>,
}

impl SstCursor {
    pub(super) fn new(reader: Arc<SstReader>, access: Access) -> Self {
        Self {
            reader,
            access,
            block: None,
            entry: 0,
            valid: false,
            key: Vec::new(),
            prefix_len: 0,
            ahead: ReadAhead::default(),
            failure: None,
        }
    }

    /// Runs a move; an error is remembered, and the cursor then stands nowhere.
    fn moving(&mut self, step: impl FnOnce(&mut Self) -> Result<bool>) -> Result<bool> {
        self.valid = false;
        match step(self) {
            Ok(valid) => {
                self.valid = valid;
                Ok(valid)
            }
            Err(error) => {
                self.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    fn load(&mut self, index: usize, direction: Direction) -> Result<()> {
        if self.block.as_ref().is_none_or(|(loaded, _)| *loaded != index) {
            let block = match self.access {
                Access::Cached => {
                    // A walk comes to the neighbour next, and then finds it here.
                    self.reader.whereabouts().prefetch_walk(match direction {
                        Direction::Forward => index + 1,
                        Direction::Backward => index.wrapping_sub(1),
                    });
                    self.reader.block(index, Io::Allowed)?
                }
                Access::Scan => Some(Arc::new(self.scan_block(index, direction)?)),
            };
            // With reading allowed the block is always there.
            self.block = block.map(|block| (index, block));
        }
        Ok(())
    }

    fn scan_block(&mut self, index: usize, direction: Direction) -> Result<Block> {
        let place = self.reader.index().place(index);
        if !self.ahead.blocks.contains(&index) {
            self.ahead.blocks = 0..0;
            let blocks = self.blocks_ahead(index, direction);
            let first = self.reader.index().place(blocks.start);
            let last = self.reader.index().place(blocks.end - 1);
            let len = last.offset + last.len - first.offset;
            if blocks.len() == 1 {
                return self.reader.parse_block(index, read_bytes(self.reader.file(), first.offset, len)?);
            }
            self.ahead.bytes.resize(len as usize, 0);
            crate::env::read_exact_at(self.reader.file(), &mut self.ahead.bytes, first.offset)?;
            self.ahead.blocks = blocks;
        }
        // Copied out, so that a pinned value holds one block and not half a megabyte, and so that the buffer is used again.
        let begin = (place.offset - self.reader.index().place(self.ahead.blocks.start).offset) as usize;
        self.reader.parse_block(index, self.ahead.bytes[begin..begin + place.len as usize].to_vec())
    }

    /// The blocks to read together, `index` among them: at least one, together at most [`READ_AHEAD_BYTES`] if more.
    fn blocks_ahead(&self, index: usize, direction: Direction) -> Range<usize> {
        let blocks = self.reader.index();
        let (mut start, mut end) = (index, index + 1);
        let mut bytes = blocks.place(index).len;
        loop {
            let next = match direction {
                Direction::Forward if end < blocks.len() => end,
                Direction::Backward if start > 0 => start - 1,
                _ => return start..end,
            };
            bytes += blocks.place(next).len;
            if bytes > READ_AHEAD_BYTES {
                return start..end;
            }
            (start, end) = (start.min(next), end.max(next + 1));
        }
    }

    /// Stands on entry `entry` of the loaded block.
    fn stand(&mut self, entry: usize) {
        let Some((_, block)) = &self.block else { return };
        self.entry = entry;
        let prefix = block.prefix();
        self.prefix_len = prefix.len();
        self.key.clear();
        self.key.extend_from_slice(prefix);
        self.key.extend_from_slice(block.suffix(entry));
    }

    fn enter_first(&mut self, index: usize) -> Result<bool> {
        if index >= self.reader.index().len() {
            return Ok(false);
        }
        self.load(index, Direction::Forward)?;
        self.stand(0);
        Ok(true)
    }

    fn enter_last(&mut self, index: usize) -> Result<bool> {
        self.load(index, Direction::Backward)?;
        let last = self.block.as_ref().map_or(0, |(_, block)| block.count() - 1);
        self.stand(last);
        Ok(true)
    }

    fn check_failure(&self) -> Result<()> {
        self.failure.as_ref().map_or(Ok(()), |error| Err(error.clone()))
    }
}

impl Cursor for SstCursor {
    fn seek_to_first(&mut self) -> Result<bool> {
        self.failure = None;
        self.moving(|cursor| cursor.enter_first(0))
    }

    fn seek_to_last(&mut self) -> Result<bool> {
        self.failure = None;
        self.moving(|cursor| match cursor.reader.index().len().checked_sub(1) {
            Some(last) => cursor.enter_last(last),
            None => Ok(false),
        })
    }

    fn seek(&mut self, key: &[u8]) -> Result<bool> {
        self.failure = None;
        self.moving(|cursor| {
            if cursor.reader.index().len() == 0 {
                return Ok(false);
            }
            let index = cursor.reader.index().first_block_for(key);
            cursor.load(index, Direction::Forward)?;
            let Some((_, block)) = &cursor.block else { return Ok(false) };
            let entry = block.bound(key, false);
            if entry == block.count() {
                return cursor.enter_first(index + 1);
            }
            cursor.stand(entry);
            Ok(true)
        })
    }

    fn seek_for_prev(&mut self, key: &[u8]) -> Result<bool> {
        self.failure = None;
        self.moving(|cursor| {
            let Some(index) = cursor.reader.index().last_block_for(key) else { return Ok(false) };
            cursor.load(index, Direction::Backward)?;
            let Some((_, block)) = &cursor.block else { return Ok(false) };
            match (block.bound(key, true), index) {
                (0, 0) => Ok(false),
                (0, index) => cursor.enter_last(index - 1),
                (bound, _) => {
                    cursor.stand(bound - 1);
                    Ok(true)
                }
            }
        })
    }

    #[inline]
    fn next(&mut self) -> Result<bool> {
        self.check_failure()?;
        if !self.valid {
            return Ok(false);
        }
        let Some((index, block)) = &self.block else { return Ok(false) };
        if self.entry + 1 < block.count() {
            self.entry += 1;
            self.key.truncate(self.prefix_len);
            self.key.extend_from_slice(block.suffix(self.entry));
            return Ok(true);
        }
        let following = *index + 1;
        self.moving(|cursor| cursor.enter_first(following))
    }

    #[inline]
    fn prev(&mut self) -> Result<bool> {
        self.check_failure()?;
        if !self.valid {
            return Ok(false);
        }
        let Some((index, block)) = &self.block else { return Ok(false) };
        if self.entry > 0 {
            self.entry -= 1;
            self.key.truncate(self.prefix_len);
            self.key.extend_from_slice(block.suffix(self.entry));
            return Ok(true);
        }
        let index = *index;
        self.moving(|cursor| if index == 0 { Ok(false) } else { cursor.enter_last(index - 1) })
    }

    #[inline]
    fn is_valid(&self) -> bool {
        self.valid
    }

    #[inline]
    fn entry(&self) -> Entry<'_> {
        match &self.block {
            Some((_, block)) if self.valid => Entry {
                key: &self.key,
                sequence: block.sequence(self.entry),
                kind: block.kind(self.entry),
                value: block.value(self.entry),
            },
            _ => panic!("a cursor that stands nowhere has no entry"),
        }
    }

    fn pin_value(&self) -> PinnedBytes {
        match &self.block {
            Some((_, block)) if self.valid => PinnedBytes::new(block, |block| block.value(self.entry)),
            _ => panic!("a cursor that stands nowhere has no value"),
        }
    }

    #[inline]
    fn push_to(&self, batch: &mut EntryBatch) {
        if let Some((_, block)) = &self.block {
            batch.push(&self.key, block.sequence(self.entry), block, |block| block.value(self.entry));
        }
    }
    /// Out of plain blocks alone: where keys have one version, and none is a delete.
    fn fill(&mut self, fill: &mut Fill<'_>) -> Result<bool> {
        self.check_failure()?;
        let mut has_moved = false;
        while self.valid && fill.has_room() {
            let Some((_, block)) = &self.block else { break };
            if !(block.is_plain() || self.reader.is_plain()) {
                break;
            }
            let (from, forward) = (self.entry, fill.forward);
            // How far this block may be taken: decided once, so that no key is compared below.
            let bound = match fill.until {
                Some(until) => block.bound_near(from, until.key, until.included == forward, forward),
                None if forward => block.count(),
                None => 0,
            };
            let available = if forward { bound - from } else { from + 1 - bound };
            if available == 0 {
                break;
            }
            let dealt_with = add(block, from, available, fill);
            has_moved = true;
            self.entry = if forward { from + (dealt_with - 1) } else { from - (dealt_with - 1) };
            if forward {
                self.next()?
            } else {
                self.prev()?
            };
        }
        Ok(has_moved)
    }
}

/// Adds up to `available` entries of `block` from `from` on, as long as there is room, and tells how many were dealt with. Requires: there
/// is room, there are so many, and no key has two versions.
fn add(block: &Arc<Block>, from: usize, available: usize, fill: &mut Fill<'_>) -> usize {
    let Fill { ref mut batch, limit, ref mut bytes_left, snapshot, forward, .. } = *fill;
    batch.extend(block, |block, pinning| {
        let prefix = block.prefix();
        let mut dealt_with = 0;
        while dealt_with < available && pinning.len() < limit && *bytes_left > 0 {
            let entry = if forward { from + dealt_with } else { from - dealt_with };
            let sequence = block.sequence(entry);
            if sequence <= snapshot {
                let (suffix, value) = (block.suffix(entry), block.value(entry));
                *bytes_left = bytes_left.saturating_sub(prefix.len() + suffix.len() + value.len());
                pinning.push([prefix, suffix], sequence, value);
            }
            dealt_with += 1;
        }
        dealt_with
    })
}
