//! Blocks of a table: verified, decompressed, and walked from their beginning.
//!
//! Source: `doc/table_format.md`, `table/format.cc` and `table/block.cc` of LevelDB. Behind the bytes of a block stand its compression (0 none,
//! 1 snappy, 2 zstd) and the masked checksum of both. Within are entries - how many bytes the key shares with the one before, how many it
//! does not, the length of the value, those bytes - then places where nothing is shared, four bytes each, and their number. Promises:
//! no byte is looked at before it is verified; what a block says of its own length is believed up to what its compression can reach.

use super::checksum;
use crate::coding::Reader;
use crate::key::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use std::io::Read;

/// Compression and checksum behind a block.
pub const TRAILER_BYTES: usize = 5;

/// Blocks end after the entry that fills them: a longer one holds a value that cannot be written here.
const BLOCK_BYTES_MAX: u64 = (MAX_VALUE_BYTES + MAX_KEY_BYTES + (64 << 20)) as u64;

/// The most that a byte of Snappy can become: three of them copy 64.
const SNAPPY_RATIO_MAX: u64 = 22;

/// Memory taken on the word of a Zstd frame; beyond it grows with what is there.
const ZSTD_TRUST_BYTES: u64 = 16 << 20;

/// Where a block lies in its file, without its trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHandle {
    /// Its first byte.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
}

impl BlockHandle {
    /// Reads a handle: two varints.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { offset: reader.varint()?, len: reader.varint()? })
    }

    /// How long it is with its trailer, if all of it lies before `end`.
    pub fn stored_bytes(&self, end: u64) -> Option<u64> {
        let stored = self.len.checked_add(TRAILER_BYTES as u64)?;
        (self.offset.checked_add(stored)? <= end).then_some(stored)
    }
}

/// Decompresses blocks, with its working memory kept for the next one.
#[derive(Default)]
pub struct Decoder {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Decoder {
    /// Verifies a block with its trailer, and fills `out` with what it holds. Says what is wrong.
    pub fn decode(&mut self, stored: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        let Some((covered, crc)) = stored.split_last_chunk::<4>() else { return Err("a block without a trailer") };
        if !checksum::matches(u32::from_le_bytes(*crc), covered) {
            return Err("checksum mismatch");
        }
        let Some((&compression, data)) = covered.split_last() else { return Err("a block without a trailer") };
        match compression {
            0 => {
                out.clear();
                out.extend_from_slice(data);
                Ok(())
            }
            1 => snappy(data, out),
            2 => self.zstd(data, out),
            _ => Err("a block of an unknown compression"),
        }
    }

    fn zstd(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        const WRONG: &str = "a block that is no Zstd frame";
        let len = zstd::zstd_safe::get_frame_content_size(data).ok().flatten().ok_or(WRONG)?;
        if len > BLOCK_BYTES_MAX {
            return Err("a block of more than 1 GiB");
        }
        if len > ZSTD_TRUST_BYTES {
            out.clear();
            let frame = zstd::stream::read::Decoder::new(data).map_err(|_| WRONG)?;
            let read = frame.take(len + 1).read_to_end(out).map_err(|_| WRONG)?;
            return if read as u64 == len { Ok(()) } else { Err(WRONG) };
        }
        out.resize(len as usize, 0);
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            none => none.insert(zstd::bulk::Decompressor::new().map_err(|_| "no memory for Zstd")?),
        };
        match zstd.decompress_to_buffer(data, &mut out[..]) {
            Ok(read) if read == out.len() => Ok(()),
            _ => Err(WRONG),
        }
    }
}

fn snappy(data: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    const WRONG: &str = "a block that is no Snappy";
    let len = snap::raw::decompress_len(data).map_err(|_| WRONG)?;
    if len as u64 > BLOCK_BYTES_MAX.min(data.len() as u64 * SNAPPY_RATIO_MAX) {
        return Err("a block that says that it is longer than Snappy can make it");
    }
    out.resize(len, 0);
    match snap::raw::Decoder::new().decompress(data, out) {
        Ok(read) if read == len => Ok(()),
        _ => Err(WRONG),
    }
}

/// Walks the entries of a decoded block.
#[derive(Default)]
pub struct BlockCursor {
    /// The block; its entries end at `end`.
    pub bytes: Vec<u8>,
    end: usize,
    next: usize,
    key: Vec<u8>,
    value: (usize, usize),
}

impl BlockCursor {
    /// Begins with the block that was put into `bytes`. Says what is wrong.
    pub fn begin(&mut self) -> Result<(), &'static str> {
        const WRONG: &str = "a block whose restart points are not readable";
        self.key.clear();
        (self.next, self.end, self.value) = (0, 0, (0, 0));
        let (rest, count) = self.bytes.split_last_chunk::<4>().ok_or(WRONG)?;
        let restarts = (u32::from_le_bytes(*count) as usize).checked_mul(4).ok_or(WRONG)?;
        let end = rest.len().checked_sub(restarts).ok_or(WRONG)?;
        // LevelDB begins at the first of them.
        if rest[end..].first_chunk::<4>().is_some_and(|first| *first != [0; 4]) {
            return Err(WRONG);
        }
        self.end = end;
        Ok(())
    }

    /// Moves to the next entry; false at the end.
    #[inline]
    pub fn advance(&mut self) -> Result<bool, &'static str> {
        const WRONG: &str = "a block with an entry that is not readable";
        if self.next >= self.end {
            return Ok(false);
        }
        let entry = &self.bytes[self.next..self.end];
        let mut reader = Reader::new(entry);
        let mut length = || reader.varint().and_then(|length| usize::try_from(length).ok()).ok_or(WRONG);
        let (shared, unshared, value_len) = (length()?, length()?, length()?);
        if shared > self.key.len() {
            return Err(WRONG);
        }
        let suffix = reader.take(unshared).ok_or(WRONG)?;
        let value_at = self.end - reader.rest().len();
        reader.take(value_len).ok_or(WRONG)?;
        self.key.truncate(shared);
        self.key.extend_from_slice(suffix);
        self.value = (value_at, value_at + value_len);
        self.next = value_at + value_len;
        Ok(true)
    }

    /// The key under it.
    #[inline]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The value under it.
    #[inline]
    pub fn value(&self) -> &[u8] {
        &self.bytes[self.value.0..self.value.1]
    }
}
