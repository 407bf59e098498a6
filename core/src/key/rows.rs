//! The encoded keys of many rows of a table, as one column: what sorts, merges and searches compare instead of Arrow values.
//!
//! Made by the key codec, held by memtables, files and merges. Rows compare as their bytes do. Cloning and slicing share the
//! memory.

use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use std::cmp::Ordering;

/// Encoded keys, one per row.
#[derive(Debug, Clone)]
pub enum KeyRows {
    /// Keys that all have `width` bytes, at most 8: the single integer, date or time. No bytes are kept, only heads.
    Fixed {
        /// Bytes of each key, 1 to 8.
        width: usize,
        /// The key's bytes as a big-endian number, shifted up to the most significant byte: they order the rows.
        heads: ScalarBuffer<u64>,
    },
    /// Keys of any length. A single column of strings is kept as it came, without a copy.
    Bytes {
        /// Where each key begins and ends in `data`.
        offsets: OffsetBuffer<i32>,
        /// The keys' bytes.
        data: Buffer,
    },
}

impl KeyRows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Fixed { heads, .. } => heads.len(),
            Self::Bytes { offsets, .. } => offsets.len() - 1,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first eight bytes of the key at `row`, big endian, padded with zeros: heads that differ order the keys.
    /// Panics if there is no such row.
    #[inline]
    pub fn head(&self, row: usize) -> u64 {
        match self {
            Self::Fixed { heads, .. } => heads[row],
            Self::Bytes { .. } => super::head(self.slice_of(row), 0),
        }
    }

    /// The key at `row`; `scratch` lends room to keys that are kept as numbers. Panics if there is no such row.
    #[inline]
    pub fn bytes<'a>(&'a self, row: usize, scratch: &'a mut [u8; 8]) -> &'a [u8] {
        match self {
            Self::Fixed { width, heads } => {
                *scratch = heads[row].to_be_bytes();
                &scratch[..*width]
            }
            Self::Bytes { .. } => self.slice_of(row),
        }
    }

    /// The order of the key at `row` and the one at `other_row` of `other`. Panics if there are no such rows.
    #[inline]
    pub fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        match (self, other) {
            (Self::Fixed { width, heads }, Self::Fixed { width: other_width, heads: other_heads })
                if width == other_width =>
            {
                heads[row].cmp(&other_heads[other_row])
            }
            _ => compare_bytes(self.bytes(row, &mut [0; 8]), other.bytes(other_row, &mut [0; 8])),
        }
    }

    /// The order of each row and the next one.
    #[inline]
    pub fn for_each_step(&self, mut step: impl FnMut(usize, Ordering)) {
        match self {
            Self::Fixed { heads, .. } => {
                heads.windows(2).enumerate().for_each(|(row, pair)| step(row, pair[0].cmp(&pair[1])));
            }
            Self::Bytes { offsets, data } => {
                let mut before = None;
                for (row, ends) in offsets.windows(2).enumerate() {
                    let key = &data[ends[0] as usize..ends[1] as usize];
                    if let Some(before) = before.replace(key) {
                        step(row - 1, compare_bytes(before, key));
                    }
                }
            }
        }
    }

    /// The order of the key at `row` and `key`. Panics if there is no such row.
    #[inline]
    pub fn compare_to(&self, row: usize, key: &[u8]) -> Ordering {
        self.bytes(row, &mut [0; 8]).cmp(key)
    }

    /// The first row whose key is at or after `key`, `len` if there is none. Requires: the rows ascend.
    pub fn lower_bound(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.compare_to(middle, key) == Ordering::Less {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The rows from `offset` on, `len` of them, in the same memory. Panics if there are fewer.
    pub fn slice(&self, offset: usize, len: usize) -> Self {
        match self {
            Self::Fixed { width, heads } => Self::Fixed { width: *width, heads: heads.slice(offset, len) },
            Self::Bytes { offsets, data } => Self::Bytes { offsets: offsets.slice(offset, len), data: data.clone() },
        }
    }

    /// Bytes of memory that the keys hold, shared or not.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::Fixed { heads, .. } => heads.len() * size_of::<u64>(),
            Self::Bytes { offsets, data } => offsets.len() * size_of::<i32>() + data.len(),
        }
    }

    #[inline]
    fn slice_of(&self, row: usize) -> &[u8] {
        match self {
            Self::Bytes { offsets, data } => &data[offsets[row] as usize..offsets[row + 1] as usize],
            Self::Fixed { .. } => &[],
        }
    }
}

/// As `a.cmp(b)`: most keys differ in their first sixteen bytes, which are compared without a call.
#[inline]
fn compare_bytes(a: &[u8], b: &[u8]) -> Ordering {
    match (a.split_first_chunk::<8>(), b.split_first_chunk::<8>()) {
        (Some((a_head, a_tail)), Some((b_head, b_tail))) => {
            let heads = u64::from_be_bytes(*a_head).cmp(&u64::from_be_bytes(*b_head));
            heads.then_with(|| match (number(a_tail), number(b_tail)) {
                (Some(a_number), Some(b_number)) if a_tail.len() == b_tail.len() => a_number.cmp(&b_number),
                _ => a_tail.cmp(b_tail),
            })
        }
        _ => a.cmp(b),
    }
}

/// Four to eight bytes as a number that orders slices of one length: their first four, then their last four.
#[inline]
fn number(bytes: &[u8]) -> Option<u64> {
    let (first, last) = (bytes.first_chunk::<4>()?, bytes.last_chunk::<4>()?);
    (bytes.len() <= 8).then(|| u64::from(u32::from_be_bytes(*first)) << 32 | u64::from(u32::from_be_bytes(*last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_order_their_rows_alike() {
        let fixed = KeyRows::Fixed { width: 2, heads: vec![1u64 << 48, 2 << 48, 0x0300 << 48].into() };
        let bytes = KeyRows::Bytes {
            offsets: OffsetBuffer::from_lengths([2, 2, 2]),
            data: Buffer::from(vec![0u8, 1, 0, 2, 3, 0]),
        };
        for row in 0..3 {
            assert_eq!(fixed.head(row), bytes.head(row));
            assert_eq!(fixed.bytes(row, &mut [0; 8]), bytes.bytes(row, &mut [0; 8]));
            for other in 0..3 {
                assert_eq!(fixed.compare(row, &bytes, other), row.cmp(&other));
                assert_eq!(fixed.compare(row, &fixed, other), row.cmp(&other));
            }
        }
        for keys in [fixed, bytes] {
            assert_eq!((keys.lower_bound(&[0, 2]), keys.lower_bound(&[0, 2, 0]), keys.lower_bound(&[9])), (1, 2, 3));
            let tail = keys.slice(1, 2);
            assert_eq!((tail.len(), tail.compare_to(0, &[0, 2])), (2, Ordering::Equal));
            let mut steps = Vec::new();
            tail.for_each_step(|row, order| steps.push((row, order)));
            assert_eq!(steps, [(0, Ordering::Less)]);
        }
    }

    #[test]
    fn long_keys_compare_as_their_bytes_do() {
        let keys: [&[u8]; 15] = [
            b"",
            b"\0",
            b"abcdefg",
            b"abcdefgh1234",
            b"abcdefgh1233",
            b"abcdefgh12345",
            b"abcdefgh12335",
            b"abcdefgh\xff2345678",
            b"abcdefgh123456789",
            b"abcdefgh",
            b"abcdefgh\0",
            b"abcdefgha",
            b"abcdefgi",
            b"\xffbcdefgh",
            b"\xff",
        ];
        for a in keys {
            for b in keys {
                assert_eq!(compare_bytes(a, b), a.cmp(b), "{a:?} and {b:?}");
            }
        }
        let rows = KeyRows::Bytes {
            offsets: OffsetBuffer::from_lengths(keys.map(<[u8]>::len)),
            data: Buffer::from_vec(keys.concat()),
        };
        let mut steps = Vec::new();
        rows.slice(1, 14).for_each_step(|row, order| steps.push((row, order)));
        let expected: Vec<_> = keys[1..].windows(2).map(|pair| pair[0].cmp(pair[1])).enumerate().collect();
        assert_eq!(steps, expected);
    }
}
