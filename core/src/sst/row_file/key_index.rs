//! The sparse key index: a separator for every so many rows, so that a lookup decodes few of them.
//!
//! Built with a file's index, kept in memory by its reader. A *page* here is a stretch of rows of one group, whatever the format
//! makes of it. A separator lies at or below the first key of its page and above the last key of the page before; only where these
//! two are one key the page is *continued* and that key is the separator.

use crate::coding::{Reader, put_bytes, put_varint};
use crate::key::{KeyRange, MAX_KEY_BYTES};
use std::ops::Range;

/// Separators of the pages of a file, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyIndex {
    /// Where each separator ends in `bytes`.
    ends: Vec<u32>,
    bytes: Vec<u8>,
    continued: Vec<bool>,
}

impl KeyIndex {
    /// How many pages there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds the page that begins with `first`, after a page that ends with `last`. False if the index would be too large.
    #[must_use]
    pub fn push(&mut self, last: Option<&[u8]>, first: &[u8]) -> bool {
        let separator = match last {
            None => &[],
            Some(last) => {
                let shared = last.iter().zip(first).take_while(|(a, b)| a == b).count();
                &first[..first.len().min(shared + 1)]
            }
        };
        self.push_separator(separator, last == Some(first))
    }

    fn push_separator(&mut self, separator: &[u8], continued: bool) -> bool {
        let Ok(end) = u32::try_from(self.bytes.len() + separator.len()) else { return false };
        self.bytes.extend_from_slice(separator);
        self.ends.push(end);
        self.continued.push(continued);
        true
    }

    /// The separator of a page. Panics if there is no such page.
    pub fn separator(&self, page: usize) -> &[u8] {
        let start = if page == 0 { 0 } else { self.ends[page - 1] as usize };
        &self.bytes[start..self.ends[page] as usize]
    }

    /// The pages that can hold keys of `range`.
    pub fn pages(&self, range: &KeyRange) -> Range<usize> {
        let below = |key: &[u8]| partition(self.len(), |page| self.separator(page) < key);
        let start = match &range.lower {
            None => 0,
            Some(lower) => {
                let page = below(lower);
                let begins_here =
                    page < self.len() && self.separator(page) == lower.as_slice() && !self.continued[page];
                if begins_here { page } else { page.saturating_sub(1) }
            }
        };
        let end = range.upper.as_ref().map_or(self.len(), |upper| below(upper));
        start..end.max(start)
    }

    /// Bytes that it holds in memory.
    pub fn resident_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<u32>() + self.continued.capacity()
    }

    /// Appends the encoding: for each page, how much of the last separator it repeats (twice that, plus one if it is continued),
    /// and the rest.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut last: &[u8] = &[];
        for page in 0..self.len() {
            let separator = self.separator(page);
            let shared = last.iter().zip(separator).take_while(|(a, b)| a == b).count();
            put_varint(out, (shared as u64) << 1 | u64::from(self.continued[page]));
            put_bytes(out, &separator[shared..]);
            last = separator;
        }
    }

    /// Decodes an index whose checksum was verified; `None` if it is none. Its separators must not go down, and rise except at
    /// continued pages.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut index = Self::default();
        let mut separator = Vec::new();
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let shared = reader.varint()?;
            let (shared, continued) = (usize::try_from(shared >> 1).ok()?, shared & 1 == 1);
            let rest = reader.bytes()?;
            if shared > separator.len() || shared + rest.len() > MAX_KEY_BYTES {
                return None;
            }
            separator.truncate(shared);
            separator.extend_from_slice(rest);
            if let Some(before) = index.len().checked_sub(1) {
                let before = index.separator(before);
                let in_order = before < separator.as_slice() || continued && before == separator.as_slice();
                if !in_order {
                    return None;
                }
            }
            index.push_separator(&separator, continued).then_some(())?;
        }
        index.bytes.shrink_to_fit();
        index.ends.shrink_to_fit();
        index.continued.shrink_to_fit();
        Some(index)
    }
}

/// The first index below `len` for which `before` is false.
fn partition(len: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(key: &[u8]) -> KeyRange {
        KeyRange { lower: Some(key.to_vec()), upper: Some([key, &[0]].concat()) }
    }

    /// Pages of up to three keys each; the second ends with the key that the third and fourth hold only.
    const PAGES: [&[&[u8]]; 5] =
        [&[b"ant", b"bee", b"cat"], &[b"cow", b"dog", b"eel"], &[b"eel", b"eel"], &[b"eel"], &[b"eft", b"gnu"]];

    fn index() -> KeyIndex {
        let mut index = KeyIndex::default();
        let mut last: Option<&[u8]> = None;
        for page in PAGES {
            assert!(index.push(last, page[0]));
            last = page.last().copied();
        }
        index
    }

    #[test]
    fn no_page_with_a_key_of_the_range_is_missed_and_few_others_are_named() {
        let mut encoded = Vec::new();
        index().encode(&mut encoded);
        let index = KeyIndex::decode(&encoded).unwrap();
        assert_eq!(index, self::index());
        let keys: Vec<&[u8]> = PAGES.concat();
        for lower in &keys {
            for upper in &keys {
                let range = KeyRange { lower: Some(lower.to_vec()), upper: Some(upper.to_vec()) };
                let found = index.pages(&range);
                for (page, held) in PAGES.iter().enumerate() {
                    let holds = held.iter().any(|key| range.contains(key));
                    assert!(!holds || found.contains(&page), "{lower:?} {upper:?} misses page {page}");
                }
            }
        }
        assert_eq!(index.pages(&point(b"bee")), 0..1);
        assert_eq!(index.pages(&point(b"co")), 1..2, "the separator of the second page");
        assert_eq!(index.pages(&point(b"eel")), 1..4);
        assert_eq!(index.pages(&point(b"eft")), 4..5);
        assert_eq!(index.pages(&point(b"zebra")), 4..5);
        assert_eq!(index.pages(&KeyRange::all()), 0..5);
        assert_eq!(KeyIndex::default().pages(&point(b"a")), 0..0);
    }

    #[test]
    fn indexes_out_of_order_or_cut_short_are_refused() {
        let mut encoded = Vec::new();
        index().encode(&mut encoded);
        for len in 1..encoded.len() {
            if let Some(shorter) = KeyIndex::decode(&encoded[..len]) {
                assert!(shorter.len() < 5);
            }
        }
        assert!(KeyIndex::decode(&[0, 1, b'b', 0, 1, b'a']).is_none());
        assert!(KeyIndex::decode(&[0, 1, b'b', 0, 1, b'b']).is_none());
        assert!(KeyIndex::decode(&[0, 1, b'b', 4, 0]).is_none());
    }
}
