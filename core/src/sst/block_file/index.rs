//! The block index: where each block lies and which keys it can hold; resident for as long as the file is open.
//!
//! Built by the writer, searched by every lookup. Each block has a separator: at or below its first key, and above the last key
//! of the block before. A block whose first key is also the last key of the block before is *continued*; its separator is that
//! key itself. Promises: a search touches one small table, a few neighbouring heads and, on ties only, whole separators.

use crate::coding::{Reader, put_bytes, put_varint};
use crate::key::{common_prefix_len, head};
use crate::prefetch;
use std::ops::Range;

/// Where a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockPlace {
    /// Its offset in the file.
    pub offset: u64,
    /// Its length with checksum.
    pub len: u64,
}

/// Collects the index while blocks are written.
#[derive(Default)]
pub struct IndexBuilder {
    separators: Vec<u8>,
    blocks: Vec<(usize, u64)>,
}

impl IndexBuilder {
    /// Adds a block of `len` bytes that begins with `first`; `before` is the last key of the block before it.
    pub fn add(&mut self, before: Option<&[u8]>, first: &[u8], len: u64) {
        let (separator, continued) = match before {
            None => (first, false),
            Some(before) if before == first => (first, true),
            // The shortest key above the one and not above the other.
            Some(before) => (&first[..(common_prefix_len(before, first) + 1).min(first.len())], false),
        };
        self.separators.extend_from_slice(separator);
        self.blocks.push((self.separators.len(), len << 1 | u64::from(continued)));
    }

    /// Adds the blocks of `part`, whose first one was added with nothing before it; `before` is the last key of the block before them.
    pub fn append(&mut self, before: Option<&[u8]>, part: &Self) {
        let Some(&(first_end, len)) = part.blocks.first() else { return };
        self.add(before, &part.separators[..first_end], len >> 1);
        let start = self.separators.len();
        self.separators.extend_from_slice(&part.separators[first_end..]);
        self.blocks.extend(part.blocks[1..].iter().map(|&(end, len)| (start + end - first_end, len)));
    }

    /// The first key of the first block, if that was added with nothing before it.
    pub fn first_key(&self) -> Option<&[u8]> {
        self.blocks.first().map(|&(end, _)| &self.separators[..end])
    }

    /// The lengths of the blocks, in order.
    pub fn lens(&self) -> impl Iterator<Item = u64> {
        self.blocks.iter().map(|&(_, len)| len >> 1)
    }

    /// Bytes that the encoding will have, at most; the writer watches it.
    pub fn size_bytes(&self) -> usize {
        self.separators.len() + 20 * self.blocks.len()
    }

    /// The encoding, as `FORMAT.md` has it.
    pub fn encode(&self) -> Vec<u8> {
        let separator = |index: usize| {
            let start = if index == 0 { 0 } else { self.blocks[index - 1].0 };
            &self.separators[start..self.blocks[index].0]
        };
        let count = self.blocks.len();
        let mut out = Vec::with_capacity(self.size_bytes() + 20);
        put_varint(&mut out, count as u64);
        let prefix_len = if count == 0 { 0 } else { common_prefix_len(separator(0), separator(count - 1)) };
        put_bytes(&mut out, if count == 0 { &[] } else { &separator(0)[..prefix_len] });
        for index in 0..count {
            put_varint(&mut out, self.blocks[index].1);
            put_bytes(&mut out, &separator(index)[prefix_len..]);
        }
        out
    }
}

/// The searchable index of one file.
pub struct Index {
    /// What all separators begin with.
    prefix: Vec<u8>,
    /// The head of each separator after the prefix.
    heads: Vec<u64>,
    /// The rest of each separator after the prefix, side by side, and where each ends.
    suffixes: Vec<u8>,
    suffix_ends: Vec<u32>,
    /// Where each block begins, with [`CONTINUED`] mixed in; one more for the end of the last.
    offsets: Vec<u64>,
    /// For a head, `(head - heads[0]) >> shift` is its cell; the cell's heads lie between this entry and the next.
    cells: Vec<u32>,
    shift: u32,
}

const CONTINUED: u64 = 1 << 63;

/// Blocks per cell of the radix table, about: a cell's heads then share a cache line.
const BLOCKS_PER_CELL: usize = 4;

impl Index {
    /// Decodes an index whose checksum was verified. `data_bytes` is where the last block must end.
    pub fn decode(bytes: &[u8], data_bytes: u64) -> Result<Self, &'static str> {
        const SHORT: &str = "index ends early";
        let mut reader = Reader::new(bytes);
        let count = reader.varint().ok_or(SHORT)?;
        let prefix = reader.bytes().ok_or(SHORT)?.to_vec();
        // Every block takes two bytes here, so a hostile count cannot ask for more memory than the file has bytes.
        if count > reader.rest().len() as u64 / 2 || count > u64::from(u32::MAX) || bytes.len() > u32::MAX as usize {
            return Err("index with an impossible count");
        }
        let count = count as usize;
        let mut index = Self {
            prefix,
            heads: Vec::with_capacity(count),
            suffixes: Vec::new(),
            suffix_ends: Vec::with_capacity(count),
            offsets: Vec::with_capacity(count + 1),
            cells: Vec::new(),
            shift: 0,
        };
        let mut offset = 0u64;
        let mut before: &[u8] = &[];
        for number in 0..count {
            let len_and_flag = reader.varint().ok_or(SHORT)?;
            let suffix = reader.bytes().ok_or(SHORT)?;
            let continued = len_and_flag & 1 != 0;
            let in_order = if continued { before <= suffix } else { before < suffix || number == 0 };
            if !in_order || (continued && number == 0) {
                return Err("index with separators out of order");
            }
            before = suffix;
            index.heads.push(head(suffix, 0));
            index.suffixes.extend_from_slice(suffix);
            index.suffix_ends.push(index.suffixes.len() as u32);
            index.offsets.push(offset | if continued { CONTINUED } else { 0 });
            offset = offset.checked_add(len_and_flag >> 1).filter(|&end| end <= data_bytes).ok_or(SHORT)?;
        }
        if offset != data_bytes || !reader.is_empty() {
            return Err("index that does not cover its blocks");
        }
        index.offsets.push(offset);
        index.suffixes.shrink_to_fit();
        index.make_cells();
        Ok(index)
    }

    fn make_cells(&mut self) {
        let (Some(&least), Some(&greatest)) = (self.heads.first(), self.heads.last()) else { return };
        let cells_wanted = (self.heads.len() / BLOCKS_PER_CELL).next_power_of_two().max(1);
        let spread_bits = 64 - (greatest - least).leading_zeros();
        self.shift = spread_bits.saturating_sub(cells_wanted.ilog2());
        let shift = self.shift.min(63);
        self.shift = shift;
        let cells = ((greatest - least) >> shift) as usize + 1;
        self.cells = vec![0; cells + 1];
        for &head in &self.heads {
            self.cells[((head - least) >> shift) as usize + 1] += 1;
        }
        for cell in 1..self.cells.len() {
            self.cells[cell] += self.cells[cell - 1];
        }
    }

    /// How many blocks there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Where block `index` lies. Requires: `index` < len.
    #[inline]
    pub fn place(&self, index: usize) -> BlockPlace {
        let offset = self.offsets[index] & !CONTINUED;
        BlockPlace { offset, len: (self.offsets[index + 1] & !CONTINUED) - offset }
    }

    /// Where all blocks begin.
    pub fn block_offsets(&self) -> impl Iterator<Item = u64> {
        self.offsets[..self.len()].iter().map(|offset| offset & !CONTINUED)
    }

    /// Whether block `index` begins with the last key of the block before; false beyond the last block.
    #[inline]
    pub fn is_continued(&self, index: usize) -> bool {
        self.offsets.get(index).is_some_and(|offset| offset & CONTINUED != 0)
    }

    /// Whether a block may begin with `first` after one that ends with `before`.
    pub fn separates(&self, index: usize, before: Option<&[u8]>, first: &[u8]) -> bool {
        let separator = [&self.prefix, self.suffix(index)].concat();
        let continued = before == Some(first);
        separator.as_slice() <= first
            && before.is_none_or(|before| continued || before < separator.as_slice())
            && continued == self.is_continued(index)
            && (!continued || separator == first)
    }

    fn suffix(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.suffix_ends[index - 1] };
        &self.suffixes[start as usize..self.suffix_ends[index] as usize]
    }

    /// The heads among which that of `key` stands, by the radix table; `Err` if `key` is before or beyond all of them, with its place.
    #[inline]
    fn cell(&self, key: &[u8]) -> Result<(u64, Range<usize>), usize> {
        let Some(suffix) = key.strip_prefix(self.prefix.as_slice()) else {
            return Err(if key < self.prefix.as_slice() { 0 } else { self.len() });
        };
        let wanted = head(suffix, 0);
        let distance = self.heads.first().and_then(|&least| wanted.checked_sub(least)).ok_or(0usize)?;
        let cell = (distance >> self.shift) as usize;
        match self.cells.get(cell..).and_then(|cells| cells.first_chunk::<2>()) {
            Some(&[begin, end]) => Ok((wanted, begin as usize..end as usize)),
            None => Err(self.len()),
        }
    }

    /// Asks for what a search of `key` looks at after the radix table, and gives a block near the one that it will find, if there is one.
    #[inline]
    pub fn prefetch(&self, key: &[u8]) -> Option<usize> {
        let (_, heads) = self.cell(key).ok()?;
        prefetch::element(&self.heads, heads.start);
        prefetch::element(&self.offsets, heads.start);
        Some(heads.start)
    }

    /// How many separators lie before `key`, and whether the next one equals it.
    fn before(&self, key: &[u8]) -> (usize, bool) {
        let (wanted, cell) = match self.cell(key) {
            Ok(found) => found,
            Err(place) => return (place, false),
        };
        let suffix = &key[self.prefix.len()..];
        let heads = &self.heads[cell.clone()];
        let mut low = cell.start + heads.partition_point(|&head| head < wanted);
        let mut high = low + self.heads[low..cell.end].partition_point(|&head| head == wanted);
        let limit = high;
        while low < high {
            let middle = low.midpoint(high);
            if self.suffix(middle) < suffix {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (low, low < limit && self.suffix(low) == suffix)
    }

    /// The block where a walk towards greater keys finds the first entry at or after `key`, there or at the start of the next.
    pub fn first_block_for(&self, key: &[u8]) -> usize {
        let (before, equal) = self.before(key);
        if equal && !self.is_continued(before) { before } else { before.saturating_sub(1) }
    }

    /// The last block that can hold an entry at or before `key`; `None` if no block can.
    pub fn last_block_for(&self, key: &[u8]) -> Option<usize> {
        let (mut before, mut equal) = self.before(key);
        while equal {
            before += 1;
            equal = self.is_continued(before) && self.suffix(before) == self.suffix(before - 1);
        }
        before.checked_sub(1)
    }

    /// Bytes that it holds in memory.
    pub fn resident_bytes(&self) -> usize {
        self.prefix.capacity()
            + self.suffixes.capacity()
            + 8 * (self.heads.capacity() + self.offsets.capacity())
            + 4 * (self.suffix_ends.capacity() + self.cells.capacity())
    }
}
