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
    key_ends: Vec<u32>,
    values: Vec<u8>,
    value_ends: Vec<u16>,
    sequences: Vec<Sequence>,
    kinds: Vec<u8>,
    tags: Vec<u8>,
    prefix_len: usize,
    has_kinds: bool,
    has_versions: bool,
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
            key_ends: Vec::new(),
            values: Vec::new(),
            value_ends: Vec::new(),
            sequences: Vec::new(),
            kinds: Vec::new(),
            tags: Vec::new(),
            prefix_len: 0,
            has_kinds: false,
            has_versions: false,
        }
    }

    /// Whether it holds no entry.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// The key of its last entry. Requires: not empty.
    #[inline]
    pub fn last_key(&self) -> &[u8] {
        let start = match self.key_ends.len() {
            0 | 1 => 0,
            count => self.key_ends[count - 2],
        };
        &self.keys[start as usize..]
    }

    /// The sequence of its last entry. Requires: not empty.
    #[inline]
    pub fn last_sequence(&self) -> Sequence {
        self.sequences.last().copied().unwrap_or(0)
    }

    /// The sequence of its first entry. Requires: not empty.
    pub fn first_sequence(&self) -> Sequence {
        self.sequences.first().copied().unwrap_or(0)
    }

    /// The key of its first entry. Requires: not empty.
    pub fn first_key(&self) -> &[u8] {
        &self.keys[..self.key_ends.first().map_or(0, |&end| end as usize)]
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
        let count = self.tags.len() + 1;
        let mut prefix_len = entry.key.len();
        if count > 1 {
            // Sorted keys: what the first and the last share, all share.
            let first = &self.keys[..self.key_ends[0] as usize];
            prefix_len = common_prefix_len(&first[..self.prefix_len], entry.key);
            let key_bytes = self.keys.len() + entry.key.len() - count * prefix_len;
            let value_bytes = self.values.len() + entry.value.len();
            let fixed = HEADER_BYTES + CHECKSUM_BYTES + prefix_len + count * ENTRY_OVERHEAD_BYTES;
            if fixed + key_bytes + value_bytes > self.block_bytes || key_bytes > REGION_BYTES_MAX {
                return false;
            }
        }
        self.prefix_len = prefix_len;
        self.keys.extend_from_slice(entry.key);
        self.key_ends.push(self.keys.len() as u32);
        self.values.extend_from_slice(entry.value);
        self.value_ends.push(self.values.len() as u16);
        self.sequences.push(entry.sequence);
        self.kinds.push(entry.kind as u8);
        self.tags.push(tag(hash));
        self.has_kinds |= entry.kind != Kind::Put;
        self.has_versions |= same_key;
        true
    }

    /// Appends the block to `out`, with room for its checksum at the end, and forgets its entries. `shared`: a version of
    /// its last key follows in the next block. Requires: not empty.
    pub fn finish(&mut self, out: &mut Vec<u8>, encoder: &mut Encoder, shared: bool) {
        let count = self.tags.len();
        let base_sequence = self.sequences.iter().copied().min().unwrap_or(0);
        let spread = self.sequences.iter().copied().max().unwrap_or(0) - base_sequence;
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
        for &sequence in &self.sequences {
            out.extend_from_slice(&(sequence - base_sequence).to_le_bytes()[..sequence_width]);
        }
        let mut key_start = 0;
        for &end in &self.key_ends {
            let key = &self.keys[key_start..end as usize];
            out.extend_from_slice(&head(&key[self.prefix_len..]).to_le_bytes());
            key_start = end as usize;
        }
        out.extend_from_slice(&[0, 0]);
        for (index, &end) in self.key_ends.iter().enumerate() {
            out.extend_from_slice(&((end as usize - (index + 1) * self.prefix_len) as u16).to_le_bytes());
        }
        out.extend_from_slice(&[0, 0]);
        for &end in &self.value_ends {
            out.extend_from_slice(&end.to_le_bytes());
        }
        if self.has_kinds {
            out.extend_from_slice(&self.kinds);
        }
        out.extend_from_slice(&self.tags);
        out.extend_from_slice(&self.keys[..self.prefix_len]);
        key_start = 0;
        for &end in &self.key_ends {
            out.extend_from_slice(&self.keys[key_start + self.prefix_len..end as usize]);
            key_start = end as usize;
        }
        out.extend_from_slice(stored);
        out.extend_from_slice(&[0; CHECKSUM_BYTES]);
        self.clear();
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.key_ends.clear();
        self.values.clear();
        self.value_ends.clear();
        self.sequences.clear();
        self.kinds.clear();
        self.tags.clear();
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
