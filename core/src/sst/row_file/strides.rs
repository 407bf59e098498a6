//! Checksums of a file by strides: short stretches, so that any range of it can be verified by reading little more.
//!
//! Built while a file is written, kept in its index, checked by [`VerifiedFile`](super::VerifiedFile). A stride is at most
//! [`STRIDE_BYTES`] long and ends earlier where the writer cuts, so that what is read at once can begin and end at a cut.

use crate::coding::{Reader, put_u32, put_varint};
use std::ops::Range;

/// The longest stride.
pub const STRIDE_BYTES: u64 = 64 << 10;

/// The checksums of a file's bytes from 0 to [`Strides::end`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strides {
    /// Where each stride ends, rising.
    ends: Vec<u64>,
    checksums: Vec<u32>,
}

impl Strides {
    /// Where the covered bytes end.
    pub fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The strides that `range` touches; empty for an empty range. Requires: the range ends at or before [`Strides::end`].
    pub fn touched(&self, range: &Range<u64>) -> Range<usize> {
        if range.is_empty() {
            return 0..0;
        }
        let first = self.ends.partition_point(|&end| end <= range.start);
        let last = self.ends.partition_point(|&end| end < range.end);
        first..last + 1
    }

    /// Where the stride at `index` lies. Panics if there is no such stride.
    pub fn place(&self, index: usize) -> Range<u64> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        start..self.ends[index]
    }

    /// Whether `bytes` are those of the stride at `index` of file `number`. Panics if there is no such stride.
    pub fn matches(&self, index: usize, number: u64, bytes: &[u8]) -> bool {
        super::super::block_file::checksum_at(number, self.place(index).start, bytes) == self.checksums[index]
    }

    /// How many strides there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes that it holds in memory.
    pub fn resident_bytes(&self) -> usize {
        self.ends.capacity() * size_of::<u64>() + self.checksums.capacity() * size_of::<u32>()
    }

    /// Appends the encoding: for each stride its length and its checksum.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for index in 0..self.len() {
            let place = self.place(index);
            put_varint(out, place.end - place.start);
            put_u32(out, self.checksums[index]);
        }
    }

    /// Decodes strides whose own checksum was verified; `None` if they are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut strides = Self::default();
        let mut end = 0u64;
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let len = reader.varint().filter(|len| (1..=STRIDE_BYTES).contains(len))?;
            end = end.checked_add(len)?;
            strides.ends.push(end);
            strides.checksums.push(reader.u32()?);
        }
        strides.ends.shrink_to_fit();
        strides.checksums.shrink_to_fit();
        Some(strides)
    }
}

/// Computes the strides of a growing file.
pub struct StrideBuilder {
    number: u64,
    strides: Strides,
    offset: u64,
    current: crc32fast::Hasher,
}

impl StrideBuilder {
    /// The strides of file `number`, which is empty yet.
    pub fn new(number: u64) -> Self {
        Self { number, strides: Strides::default(), offset: 0, current: placed(number, 0) }
    }

    /// Takes the next bytes of the file.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = STRIDE_BYTES - (self.offset - self.strides.end());
            let (now, later) = bytes.split_at(bytes.len().min(room as usize));
            self.current.update(now);
            self.offset += now.len() as u64;
            bytes = later;
            if now.len() as u64 == room {
                self.cut();
            }
        }
    }

    /// Ends the stride here: the next byte begins another.
    pub fn cut(&mut self) {
        if self.offset > self.strides.end() {
            let ended = std::mem::replace(&mut self.current, placed(self.number, self.offset));
            self.strides.ends.push(self.offset);
            self.strides.checksums.push(ended.finalize());
        }
    }

    /// The strides of all bytes taken.
    pub fn finish(mut self) -> Strides {
        self.cut();
        self.strides
    }
}

/// A checksum that has seen where its bytes belong, as `checksum_at` of block files.
fn placed(number: u64, offset: u64) -> crc32fast::Hasher {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_end_at_cuts_and_at_their_limit_and_cover_each_range() {
        let bytes: Vec<u8> = (0..200_000u32).map(|n| (n * 7) as u8).collect();
        let mut builder = StrideBuilder::new(9);
        builder.update(&bytes[..100]);
        builder.cut();
        builder.cut();
        builder.update(&bytes[100..]);
        let strides = builder.finish();
        assert_eq!(strides.ends, [100, 100 + 65_536, 100 + 131_072, 100 + 196_608, 200_000]);
        let mut encoded = Vec::new();
        strides.encode(&mut encoded);
        assert_eq!(Strides::decode(&encoded), Some(strides.clone()));
        for index in 0..strides.len() {
            let place = strides.place(index);
            let mut content = bytes[place.start as usize..place.end as usize].to_vec();
            assert!(strides.matches(index, 9, &content) && !strides.matches(index, 8, &content));
            content[3] ^= 1;
            assert!(!strides.matches(index, 9, &content));
        }
        assert_eq!(strides.touched(&(0..100)), 0..1);
        assert_eq!(strides.touched(&(99..101)), 0..2);
        assert_eq!(strides.touched(&(100..65_636)), 1..2);
        assert_eq!(strides.touched(&(199_999..200_000)), 4..5);
        assert_eq!(strides.touched(&(5..5)), 0..0);
    }

    #[test]
    fn impossible_strides_are_refused() {
        assert!(Strides::decode(&[0, 1, 2, 3, 4]).is_none(), "no bytes");
        assert!(Strides::decode(&[5, 1, 2, 3]).is_none(), "cut short");
        assert!(Strides::decode(&[0x81, 0x80, 0x04, 1, 2, 3, 4]).is_none(), "65,537 bytes");
    }
}
