//! A flat block in memory: checked once when it is made, then searched and read in place.
//!
//! Made by the reader from verified bytes, searched by lookups and cursors. The layout is in `FORMAT.md`. Promises: every
//! offset was checked when the block was made, so that no lookup can panic, whatever the bytes say.

use super::super::Compression;
use super::codec::Decoder;
use crate::cache::Weigh;
use crate::key::{Kind, MAX_KEY_BYTES, MAX_SEQUENCE, MAX_VALUE_BYTES, Sequence};
use crate::prefetch;

/// Bytes before the arrays.
pub const HEADER_BYTES: usize = 40;
/// Bytes of the checksum at a block's end.
pub const CHECKSUM_BYTES: usize = 4;
/// One version a key, no tombstone, and no version of its keys in a neighbouring block.
pub const FLAG_PLAIN: u8 = 1;
/// A byte for the kind of each entry is there; without it every entry is a put.
pub const FLAG_KINDS: u8 = 2;
/// One entry with lengths beyond 16 bits and without arrays.
pub const FLAG_WIDE: u8 = 4;
/// The longest value region, and key region, of a block that is not wide: offsets have 16 bits.
pub const REGION_BYTES_MAX: usize = u16::MAX as usize;

/// The checksum that ends a block, or a section: over where it belongs, then over its bytes.
pub fn checksum_at(number: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut place = [0; 16];
    place[..8].copy_from_slice(&number.to_le_bytes());
    place[8..].copy_from_slice(&offset.to_le_bytes());
    hasher.update(&place);
    hasher.update(bytes);
    hasher.finalize()
}

/// The four bytes of a key after the block's prefix that order it, as [`crate::key::head`] does with eight.
#[inline]
pub fn head(suffix: &[u8]) -> u32 {
    (crate::key::head(suffix, 0) >> 32) as u32
}

/// The byte of a key's hash that is its tag.
#[inline]
pub const fn tag(hash: u64) -> u8 {
    (hash >> 56) as u8
}

/// Marks the bytes of eight that are `tag`, by their highest bits; maybe also a byte after a match, which the key then denies.
#[inline]
fn matches_in(tags: &[u8; 8], tag: u8) -> u64 {
    // A zero byte of `differ` is a match.
    let differ = u64::from_le_bytes(*tags) ^ u64::from_ne_bytes([tag; 8]);
    differ.wrapping_sub(0x0101_0101_0101_0101) & !differ & 0x8080_8080_8080_8080
}

/// A parsed block. Immutable; shared between the cache, cursors and pinned values. With the counts of an [`Arc`](std::sync::Arc) it is as
/// long as a cache line: a lookup meets it cold.
pub struct Block {
    /// The whole block up to the end of its values, which are decoded.
    bytes: Box<[u8]>,
    base_sequence: Sequence,
    count: u16,
    flags: u8,
    sequence_width: u8,
    key_starts: u32,
    value_starts: u32,
    prefix: u32,
    keys: u32,
    values: u32,
}

const _: () = assert!(size_of::<Block>() + 2 * size_of::<usize>() <= prefetch::LINE_BYTES || size_of::<usize>() != 8);

impl Weigh for Block {
    fn weight_bytes(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl Block {
    /// Parses a block whose checksum was verified and cut off. The error says what is wrong with it.
    pub fn parse(mut bytes: Vec<u8>, decoder: &Decoder) -> Result<Self, &'static str> {
        const SHORT: &str = "block is shorter than its header";
        let [flags, codec, width, zero] = *bytes.first_chunk::<4>().ok_or(SHORT)?;
        let count = u32_at(&bytes, 4).ok_or(SHORT)? as usize;
        let prefix_len = u32_at(&bytes, 8).ok_or(SHORT)? as usize;
        let key_bytes = u32_at(&bytes, 12).ok_or(SHORT)? as usize;
        let value_bytes = u64_at(&bytes, 16).ok_or(SHORT)?;
        let stored_bytes = u64_at(&bytes, 24).ok_or(SHORT)?;
        let base_sequence = u64_at(&bytes, 32).ok_or(SHORT)?;
        let wide = flags & FLAG_WIDE != 0;
        let compression = Compression::from_byte(codec).ok_or("block with an unknown codec")?;
        if flags & !(FLAG_PLAIN | FLAG_KINDS | FLAG_WIDE) != 0 || zero != 0 {
            return Err("block with unknown flags");
        }
        if base_sequence > MAX_SEQUENCE || width > 7 {
            return Err("block with impossible sequences");
        }
        if wide && (count != 1 || key_bytes != 0 || width != 0) {
            return Err("wide block with more than one entry");
        }
        if count == 0 || count > REGION_BYTES_MAX || prefix_len > MAX_KEY_BYTES || key_bytes > REGION_BYTES_MAX {
            return Err("block with an impossible count or key length");
        }
        let value_limit = if wide { MAX_VALUE_BYTES } else { REGION_BYTES_MAX };
        if value_bytes > value_limit as u64 || stored_bytes > bytes.len() as u64 {
            return Err("block with an impossible value length");
        }
        let (value_bytes, stored_bytes) = (value_bytes as usize, stored_bytes as usize);
        let per_entry = usize::from(!wide);
        let key_starts = HEADER_BYTES + count * (usize::from(width) + 4 * per_entry);
        let value_starts = key_starts + 2 * (count + 1) * per_entry;
        let kinds = value_starts + 2 * (count + 1) * per_entry;
        let tags = kinds + if flags & FLAG_KINDS != 0 { count } else { 0 };
        let prefix = tags + count * per_entry;
        let keys = prefix + prefix_len;
        let values = keys + key_bytes;
        if bytes.len() != values + stored_bytes {
            return Err("block whose lengths do not add up");
        }
        if !wide {
            check_starts(&bytes[key_starts..value_starts], key_bytes)?;
            check_starts(&bytes[value_starts..kinds], value_bytes)?;
        }
        if bytes[kinds..tags].iter().any(|&kind| Kind::from_byte(kind).is_none()) {
            return Err("block with an entry of an unknown kind");
        }
        if compression != Compression::None {
            let mut decoded = Vec::new();
            decoded.try_reserve_exact(values + value_bytes).map_err(|_| "no memory for a decoded block")?;
            decoded.extend_from_slice(&bytes[..values]);
            decoded.resize(values + value_bytes, 0);
            if !decoder.decode(compression, &bytes[values..], &mut decoded[values..]) {
                return Err("block whose values do not decode");
            }
            bytes = decoded;
        } else if stored_bytes != value_bytes {
            return Err("block whose lengths do not add up");
        }
        Ok(Self {
            bytes: bytes.into_boxed_slice(),
            base_sequence,
            count: count as u16,
            flags,
            sequence_width: width,
            // Counts and lengths were bounded above: all before the values is far below 4 GiB.
            key_starts: key_starts as u32,
            value_starts: value_starts as u32,
            prefix: prefix as u32,
            keys: keys as u32,
            values: values as u32,
        })
    }

    /// How many entries it holds; at least one.
    #[inline]
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether each key has one version, a put, here and nowhere else in the file.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.flags & FLAG_PLAIN != 0
    }

    /// What all its keys begin with.
    #[inline]
    pub fn prefix(&self) -> &[u8] {
        &self.bytes[self.prefix as usize..self.keys as usize]
    }

    /// What a search looks at: where keys and values begin, kinds if there are any, tags.
    #[inline]
    pub fn arrays(&self) -> &[u8] {
        &self.bytes[self.key_starts as usize..self.prefix as usize]
    }

    #[inline]
    fn heads(&self) -> &[[u8; 4]] {
        let heads = self.key_starts as usize - 4 * self.count();
        self.bytes[heads..self.key_starts as usize].as_chunks().0
    }

    #[inline]
    fn tags(&self) -> &[u8] {
        &self.bytes[self.tags_start()..self.prefix as usize]
    }

    #[inline]
    fn tags_start(&self) -> usize {
        self.prefix as usize - if self.is_wide() { 0 } else { self.count() }
    }

    /// Asks for the key and the value of the first entry with this tag.
    #[inline]
    pub fn prefetch_entry(&self, tag: u8) {
        if self.is_wide() {
            return;
        }
        let (words, rest) = self.tags().as_chunks::<8>();
        let found = words.iter().zip(0..).find_map(|(word, index)| {
            let matches = matches_in(word, tag);
            (matches != 0).then(|| 8 * index + (matches.trailing_zeros() / 8) as usize)
        });
        let found = found.or_else(|| Some(8 * words.len() + rest.iter().position(|&other| other == tag)?));
        if let Some(index) = found {
            self.prefetch_found(index);
            prefetch::bytes(self.suffix(index));
        }
    }

    /// Asks for the sequence of an entry, and for where its value begins: what is looked at once its key was found to be the right one.
    #[inline]
    fn prefetch_found(&self, index: usize) {
        prefetch::element(&self.bytes, HEADER_BYTES + index * usize::from(self.sequence_width));
        prefetch::line(self.value(index).as_ptr());
    }

    #[inline]
    fn is_wide(&self) -> bool {
        self.flags & FLAG_WIDE != 0
    }

    #[inline]
    fn region(&self, starts: u32, index: usize) -> (usize, usize) {
        let [a, b, c, d] = self.bytes[starts as usize + 2 * index..].first_chunk::<4>().copied().unwrap_or_default();
        (usize::from(u16::from_le_bytes([a, b])), usize::from(u16::from_le_bytes([c, d])))
    }

    /// What the key at `index` adds to the prefix. Requires: `index` < count.
    #[inline]
    pub fn suffix(&self, index: usize) -> &[u8] {
        if self.is_wide() {
            return &[];
        }
        let (start, end) = self.region(self.key_starts, index);
        let keys = self.keys as usize;
        &self.bytes[keys + start..keys + end]
    }

    /// The value at `index`. Requires: `index` < count.
    #[inline]
    pub fn value(&self, index: usize) -> &[u8] {
        if self.is_wide() {
            return &self.bytes[self.values as usize..];
        }
        let (start, end) = self.region(self.value_starts, index);
        let values = self.values as usize;
        &self.bytes[values + start..values + end]
    }

    /// The sequence at `index`. Requires: `index` < count.
    #[inline]
    pub fn sequence(&self, index: usize) -> Sequence {
        // Eight bytes are always there: heads and starts follow the sequences, and a wide block has the width 0.
        let width = usize::from(self.sequence_width);
        let at = HEADER_BYTES + index * width;
        let low = self.bytes[at.min(self.bytes.len())..].first_chunk::<8>().copied().unwrap_or_default();
        self.base_sequence + (u64::from_le_bytes(low) & ((1 << (8 * width)) - 1))
    }

    /// The kind at `index`. Requires: `index` < count.
    #[inline]
    pub fn kind(&self, index: usize) -> Kind {
        if self.flags & FLAG_KINDS == 0 {
            return Kind::Put;
        }
        Kind::from_byte(self.bytes[self.tags_start() - self.count() + index]).unwrap_or(Kind::Put)
    }

    /// The first (newest) entry with this key. `tag` is its `tag()`.
    #[inline]
    pub fn find(&self, key: &[u8], tag: u8) -> Option<usize> {
        let suffix = key.strip_prefix(self.prefix())?;
        if self.is_wide() {
            return suffix.is_empty().then_some(0);
        }
        let tags = self.tags();
        let (words, rest) = tags.as_chunks::<8>();
        for (word_index, word) in words.iter().enumerate() {
            let mut matches = matches_in(word, tag);
            while matches != 0 {
                let index = 8 * word_index + (matches.trailing_zeros() / 8) as usize;
                self.prefetch_found(index);
                if self.suffix(index) == suffix {
                    return Some(index);
                }
                matches &= matches - 1;
            }
        }
        let done = 8 * words.len();
        (done..done + rest.len()).find(|&index| tags[index] == tag && self.suffix(index) == suffix)
    }

    /// How many entries have keys before `key`; with `past_equal`, before or at it.
    pub fn bound(&self, key: &[u8], past_equal: bool) -> usize {
        let search = match self.search(key, past_equal) {
            Ok(search) => search,
            Err(bound) => return bound,
        };
        if self.is_wide() {
            return usize::from(search.is_before(0));
        }
        let heads = self.heads();
        let low = heads.partition_point(|&head| u32::from_le_bytes(head) < search.head);
        let ties = heads[low..].partition_point(|&head| u32::from_le_bytes(head) == search.head);
        search.between(low, low + ties)
    }

    /// The same, for a bound that is probably not far after `from` (before it, if not `forward`); `from` (the entry after it) if it is on
    /// the other side. Requires: `from` < count.
    pub fn bound_near(&self, from: usize, key: &[u8], past_equal: bool, forward: bool) -> usize {
        let search = match self.search(key, past_equal) {
            Ok(search) => search,
            Err(bound) if forward => return bound.max(from),
            Err(bound) => return bound.min(from + 1),
        };
        let (mut low, mut high) = if forward { (from, self.count()) } else { (0, from + 1) };
        let mut step = 1;
        while low < high {
            // The last of the next `step` entries decides for all of them.
            let probe = if forward { (low + step - 1).min(high - 1) } else { high.saturating_sub(step).max(low) };
            match (search.is_before(probe), forward) {
                (true, true) => low = probe + 1,
                (false, false) => high = probe,
                (true, false) => return search.between(probe + 1, high),
                (false, true) => return search.between(low, probe),
            }
            step *= 2;
        }
        low
    }

    /// What tells on which side of `key` an entry is; `Err` with the bound if all of them are on one.
    #[inline]
    fn search<'s>(&'s self, key: &'s [u8], past_equal: bool) -> Result<Search<'s>, usize> {
        let prefix = self.prefix();
        match key.strip_prefix(prefix) {
            Some(suffix) => Ok(Search { block: self, suffix, head: head(suffix), past_equal }),
            None => Err(if key < prefix { 0 } else { self.count() }),
        }
    }

    /// Checks what a lookup relies on but parsing does not: order, heads, tags and the plain flag. Says what is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        let mut previous: Option<(Vec<u8>, Sequence)> = None;
        for index in 0..self.count() {
            let key = [self.prefix(), self.suffix(index)].concat();
            if key.len() > MAX_KEY_BYTES {
                return Err("block with a key beyond the limit");
            }
            let sequence = self.sequence(index);
            if let Some((before, newer)) = &previous {
                match before.as_slice().cmp(&key) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal if *newer > sequence && !self.is_plain() => {}
                    _ => return Err("block whose entries are out of order"),
                }
            }
            if self.is_plain() && self.kind(index) != Kind::Put {
                return Err("plain block with a tombstone");
            }
            let is_found = |index: usize| {
                self.heads()[index] == head(self.suffix(index)).to_le_bytes()
                    && self.tags()[index] == tag(crate::filter::key_hash(&key))
            };
            if !self.is_wide() && !is_found(index) {
                return Err("block whose heads or tags are not those of its keys");
            }
            previous = Some((key, sequence));
        }
        Ok(())
    }
}

/// A key that begins as all keys of the block do.
struct Search<'s> {
    block: &'s Block,
    suffix: &'s [u8],
    head: u32,
    past_equal: bool,
}

impl Search<'_> {
    /// Whether the entry at `index` comes before the key; with `past_equal`, before or at it.
    #[inline]
    fn is_before(&self, index: usize) -> bool {
        if !self.block.is_wide() {
            let head = u32::from_le_bytes(self.block.heads()[index]);
            if head != self.head {
                return head < self.head;
            }
        }
        match self.block.suffix(index).cmp(self.suffix) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => self.past_equal,
            std::cmp::Ordering::Greater => false,
        }
    }

    /// The bound, which lies in this range or at its end.
    fn between(&self, mut low: usize, mut high: usize) -> usize {
        while low < high {
            let middle = low.midpoint(high);
            if self.is_before(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

fn check_starts(starts: &[u8], len: usize) -> Result<(), &'static str> {
    let starts = starts.as_chunks::<2>().0;
    let mut low = 0;
    let mut sorted = true;
    for &start in starts {
        let start = u16::from_le_bytes(start);
        sorted &= start >= low;
        low = start;
    }
    let first_is_zero = starts.first().is_some_and(|&start| start == [0, 0]);
    if sorted && first_is_zero && usize::from(low) == len { Ok(()) } else { Err("block with offsets out of order") }
}
