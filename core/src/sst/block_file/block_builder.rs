//! Gathers entries and encodes them as one flat block.
//!
//! Called by the writer. Entries are kept as plain columns until the block is cut, because the common prefix, the width of the
//! sequences and the flags are known only then. The layout is in `FORMAT.md`.

use super::super::Compression;
use super::block::{
    CHECKSUM_BYTES, FLAG_KINDS, FLAG_PLAIN, FLAG_WIDE, HEADER_BYTES, REGION_BYTES_MAX, checksum_at, head, tag,
};
use super::codec::Encoder;
use crate::coding::{put_u32, put_u64};
use crate::error::Result;
use crate::key::{Entry, Kind, Sequence, common_prefix_len};

/// Bytes of the arrays for one entry, sequences and kinds at their usual width included.
pub const ENTRY_OVERHEAD_BYTES: usize = 4 + 2 + 2 + 1 + 3;

/// Collects the entries of one block; reused for the next.
pub struct BlockBuilder {
    block_bytes: usize,
    keys: Vec<u8>,
    values: Vec<u8>,
    entries: Vec<Gathered>,
    prefix_len: usize,
    has_kinds: bool,
    has_versions: bool,
}

/// What is kept of an entry beside its bytes.
struct Gathered {
    sequence: Sequence,
    /// Where its key ends in all keys, and its value in all values.
    key_end: u32,
    value_end: u16,
    kind: u8,
    tag: u8,
}

/// What stands in a block's header.
struct Header {
    flags: u8,
    compression: Compression,
    sequence_width: usize,
    count: usize,
    prefix_len: usize,
    key_bytes: usize,
    value_bytes: usize,
    stored_bytes: usize,
    base_sequence: Sequence,
}

impl Header {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.flags, self.compression as u8, self.sequence_width as u8, 0]);
        put_u32(out, self.count as u32);
        put_u32(out, self.prefix_len as u32);
        put_u32(out, self.key_bytes as u32);
        put_u64(out, self.value_bytes as u64);
        put_u64(out, self.stored_bytes as u64);
        put_u64(out, self.base_sequence);
    }
}

impl BlockBuilder {
    /// A builder of blocks of about `block_bytes`, which must lie well below 64 KiB.
    pub fn new(block_bytes: usize) -> Self {
        Self {
            block_bytes,
            keys: Vec::new(),
            values: Vec::new(),
            entries: Vec::new(),
            prefix_len: 0,
            has_kinds: false,
            has_versions: false,
        }
    }

    /// Whether it holds no entry.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The key of its last entry. Requires: not empty.
    #[inline]
    pub fn last_key(&self) -> &[u8] {
        let start = match self.entries.len() {
            0 | 1 => 0,
            count => self.entries[count - 2].key_end,
        };
        &self.keys[start as usize..]
    }

    /// The sequence of its last entry. Requires: not empty.
    #[inline]
    pub fn last_sequence(&self) -> Sequence {
        self.entries.last().map_or(0, |entry| entry.sequence)
    }

    /// The sequence of its first entry. Requires: not empty.
    pub fn first_sequence(&self) -> Sequence {
        self.entries.first().map_or(0, |entry| entry.sequence)
    }

    /// The key of its first entry. Requires: not empty.
    pub fn first_key(&self) -> &[u8] {
        &self.keys[..self.entries.first().map_or(0, |entry| entry.key_end as usize)]
    }

    /// Whether the entry is too large to share a block.
    #[inline]
    pub fn wants_own_block(&self, entry: &Entry<'_>) -> bool {
        entry.key.len() + entry.value.len() + ENTRY_OVERHEAD_BYTES > self.block_bytes / 2
    }

    /// Adds an entry; false, and nothing done, if the block is full without it. `same_key`: the last entry has its key.
    /// Requires: the entry follows the last one and does not want its own block.
    #[inline]
    pub fn add(&mut self, entry: &Entry<'_>, hash: u64, same_key: bool) -> bool {
        let count = self.entries.len() + 1;
        let mut prefix_len = entry.key.len();
        if count > 1 {
            // Sorted keys: what the first and the last share, all share.
            prefix_len = common_prefix_len(&self.keys[..self.prefix_len], entry.key);
            let key_bytes = self.keys.len() + entry.key.len() - count * prefix_len;
            let value_bytes = self.values.len() + entry.value.len();
            let fixed = HEADER_BYTES + CHECKSUM_BYTES + prefix_len + count * ENTRY_OVERHEAD_BYTES;
            if fixed + key_bytes + value_bytes > self.block_bytes || key_bytes > REGION_BYTES_MAX {
                return false;
            }
        }
        self.prefix_len = prefix_len;
        self.keys.extend_from_slice(entry.key);
        self.values.extend_from_slice(entry.value);
        self.entries.push(Gathered {
            sequence: entry.sequence,
            key_end: self.keys.len() as u32,
            value_end: self.values.len() as u16,
            kind: entry.kind as u8,
            tag: tag(hash),
        });
        self.has_kinds |= entry.kind != Kind::Put;
        self.has_versions |= same_key;
        true
    }

    /// Appends the block to `out`, with room for its checksum at the end, and forgets its entries. `shared`: a version of
    /// its last key follows in the next block. Requires: not empty.
    pub fn finish(&mut self, out: &mut Vec<u8>, encoder: &mut Encoder, shared: bool) {
        let count = self.entries.len();
        let sequences = self.entries.iter().map(|entry| entry.sequence);
        let (base_sequence, last) =
            sequences.fold((Sequence::MAX, 0), |(least, most), own| (least.min(own), most.max(own)));
        let spread = last - base_sequence;
        let sequence_width = (64 - spread.leading_zeros() as usize).div_ceil(8);
        let plain = !self.has_kinds && !self.has_versions && !shared;
        let flags = if plain { FLAG_PLAIN } else { 0 } | if self.has_kinds { FLAG_KINDS } else { 0 };
        let (compression, stored) = encoder.encode(&self.values);
        let header = Header {
            flags,
            compression,
            sequence_width,
            count,
            prefix_len: self.prefix_len,
            key_bytes: self.keys.len() - count * self.prefix_len,
            value_bytes: self.values.len(),
            stored_bytes: stored.len(),
            base_sequence,
        };
        header.put(out);
        self.put_arrays(out, base_sequence, sequence_width);
        out.extend_from_slice(&self.keys[..self.prefix_len]);
        let mut key_start = 0;
        for entry in &self.entries {
            out.extend_from_slice(&self.keys[key_start + self.prefix_len..entry.key_end as usize]);
            key_start = entry.key_end as usize;
        }
        out.extend_from_slice(stored);
        out.extend_from_slice(&[0; CHECKSUM_BYTES]);
        self.clear();
    }

    /// Appends what a block has of each entry, array by array.
    fn put_arrays(&self, out: &mut Vec<u8>, base_sequence: Sequence, sequence_width: usize) {
        let (count, begin) = (self.entries.len(), out.len());
        let kinds_len = if self.has_kinds { count } else { 0 };
        out.resize(begin + count * (sequence_width + 4 + 2 + 2 + 1) + 2 + 2 + kinds_len, 0);
        let arrays = &mut out[begin..];
        // Each as eight bytes: those that are too many are zeros, where the next one goes, or arrays that are not written yet.
        for (index, entry) in self.entries.iter().enumerate() {
            let at = index * sequence_width;
            arrays[at..at + 8].copy_from_slice(&(entry.sequence - base_sequence).to_le_bytes());
        }
        let (heads, rest) = arrays[count * sequence_width..].split_at_mut(4 * count);
        let (key_starts, rest) = rest.split_at_mut(2 * (count + 1));
        let (value_starts, rest) = rest.split_at_mut(2 * (count + 1));
        let (kinds, tags) = rest.split_at_mut(kinds_len);
        // The first of both starts is zero.
        let starts = key_starts[2..].as_chunks_mut().0.iter_mut().zip(value_starts[2..].as_chunks_mut().0);
        let places = heads.as_chunks_mut().0.iter_mut().zip(starts).zip(tags);
        let (mut key_start, mut suffixes_len) = (0, 0);
        for (entry, ((head_at, (key_at, value_at)), tag_at)) in self.entries.iter().zip(places) {
            let suffix = &self.keys[key_start + self.prefix_len..entry.key_end as usize];
            key_start = entry.key_end as usize;
            suffixes_len += suffix.len();
            *head_at = head(suffix).to_le_bytes();
            *key_at = (suffixes_len as u16).to_le_bytes();
            *value_at = entry.value_end.to_le_bytes();
            *tag_at = entry.tag;
        }
        kinds.iter_mut().zip(&self.entries).for_each(|(kind_at, entry)| *kind_at = entry.kind);
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
        self.entries.clear();
        (self.prefix_len, self.has_kinds, self.has_versions) = (0, false, false);
    }
}

/// Writes one entry as a block of its own through `write`, piece by piece, so that a large value is not copied once more. Its
/// checksum is that of its `place`, a file's number and an offset; without one there is room for it. Such a block is never called
/// plain: whether its key goes on in the next block is not known yet. Returns its length.
pub fn write_wide(
    entry: &Entry<'_>,
    encoder: &mut Encoder,
    place: Option<(u64, u64)>,
    mut write: impl FnMut(&[u8]) -> Result<()>,
) -> Result<u64> {
    let (compression, stored) = encoder.encode(entry.value);
    let put = entry.kind == Kind::Put;
    let header = Header {
        flags: FLAG_WIDE | if put { 0 } else { FLAG_KINDS },
        compression,
        sequence_width: 0,
        count: 1,
        prefix_len: entry.key.len(),
        key_bytes: 0,
        value_bytes: entry.value.len(),
        stored_bytes: stored.len(),
        base_sequence: entry.sequence,
    };
    let mut front = Vec::with_capacity(HEADER_BYTES + 1 + entry.key.len());
    header.put(&mut front);
    if !put {
        front.push(entry.kind as u8);
    }
    front.extend_from_slice(entry.key);
    let checksum = place.map_or(0, |(number, offset)| {
        let mut hasher = crc32fast::Hasher::new_with_initial(checksum_at(number, offset, &front));
        hasher.update(stored);
        hasher.finalize()
    });
    write(&front)?;
    write(stored)?;
    write(&checksum.to_le_bytes())?;
    Ok((front.len() + stored.len() + CHECKSUM_BYTES) as u64)
}
