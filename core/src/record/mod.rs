//! Checksummed records, the framing that the write-ahead log and the manifest share.
//!
//! A record is a header of fixed size with its own checksum, a payload under another, and zeros up to the next multiple of
//! eight. The header's checksum is salted by the file and by the place in it, so that bytes of another file, or of another
//! place, never parse. The format is in `FORMAT.md`.
#![doc = include_str!("FORMAT.md")]

mod reader;

pub use reader::{RecordReader, Step};

use crate::key::{FileNumber, MAX_SEQUENCE, Sequence};
use twox_hash::XxHash3_64;

/// The size of a record's header in bytes.
pub const HEADER_BYTES: usize = 32;

/// Every record starts at a multiple of this many bytes.
pub const ALIGNMENT: usize = 8;

/// The longest payload in bytes: a length field above it is damage.
pub const MAX_PAYLOAD_BYTES: usize = i32::MAX as usize;

/// What a record is for. The numbers are on disk and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// The first record of a file: links it to the one before.
    Begin = 1,
    /// Carries the owner's payload.
    Data = 2,
    /// The last record of a file that was closed in order.
    End = 3,
    /// Carries nothing but the durable position in its header.
    Mark = 4,
}

impl RecordKind {
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Begin),
            2 => Some(Self::Data),
            3 => Some(Self::End),
            4 => Some(Self::Mark),
            _ => None,
        }
    }
}

/// What binds records to their file: made of the file's random salt and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt(u64);

impl Salt {
    /// The salt of the file `number` whose header holds `random`.
    pub fn new(random: u64, number: FileNumber) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&random.to_le_bytes());
        bytes[8..].copy_from_slice(&number.0.to_le_bytes());
        Self(XxHash3_64::oneshot(&bytes))
    }
}

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// What the record is for.
    pub kind: RecordKind,
    /// The first sequence of its operations; for other kinds than data, the last sequence before it.
    pub sequence: Sequence,
    /// How many operations the payload holds.
    pub count: u32,
    /// The length of the payload in bytes.
    pub payload_len: u32,
    /// [`payload_checksum`] of the payload.
    pub payload_checksum: u32,
    /// Everything before this position was durable when the record was written. The owner says what a position is.
    pub durable: u64,
}

impl RecordHeader {
    /// The header's bytes for a record at `offset` of the file of `salt`. Requires: sequence <= [`MAX_SEQUENCE`].
    #[inline]
    pub fn encode(&self, salt: Salt, offset: u64) -> [u8; HEADER_BYTES] {
        debug_assert!(self.sequence <= MAX_SEQUENCE && offset.is_multiple_of(ALIGNMENT as u64));
        let mut bytes = [0; HEADER_BYTES];
        bytes[4..8].copy_from_slice(&self.payload_len.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.payload_checksum.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&(self.sequence << 8 | self.kind as u64).to_le_bytes());
        bytes[24..32].copy_from_slice(&self.durable.to_le_bytes());
        let checksum = header_checksum(&bytes, salt, offset);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the header that was encoded for this place; otherwise says what is wrong with the bytes.
    pub fn decode(bytes: &[u8; HEADER_BYTES], salt: Salt, offset: u64) -> Result<Self, &'static str> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        // The kind first: it spares a scan of arbitrary bytes most of the checksums.
        let kind = RecordKind::from_byte(bytes[16]).ok_or("record header damaged: unknown kind")?;
        if word(0) != header_checksum(bytes, salt, offset) {
            return Err("record header damaged: checksum does not match");
        }
        if word(4) as usize > MAX_PAYLOAD_BYTES {
            return Err("record header damaged: payload too long");
        }
        Ok(Self {
            kind,
            sequence: long(16) >> 8,
            count: word(12),
            payload_len: word(4),
            payload_checksum: word(8),
            durable: long(24),
        })
    }

    /// The whole record's size in bytes, padding included.
    pub fn record_bytes(&self) -> u64 {
        record_bytes(self.payload_len as usize)
    }
}

/// The size in bytes of a record with a payload of `payload_len` bytes, padding included.
#[inline]
pub const fn record_bytes(payload_len: usize) -> u64 {
    (HEADER_BYTES + payload_len).next_multiple_of(ALIGNMENT) as u64
}

/// The checksum of a payload that is the concatenation of `parts`: CRC-32 (IEEE).
#[inline]
pub fn payload_checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// Appends a whole record, as it is to stand at `offset` of the file of `salt`. `header.payload_len` and
/// `header.payload_checksum` are filled in here. Requires: payload at most [`MAX_PAYLOAD_BYTES`].
pub fn put_record(out: &mut Vec<u8>, mut header: RecordHeader, payload: &[u8], salt: Salt, offset: u64) {
    header.payload_len = payload.len() as u32;
    header.payload_checksum = payload_checksum(&[payload]);
    out.extend_from_slice(&header.encode(salt, offset));
    out.extend_from_slice(payload);
    out.resize(out.len() + header.record_bytes() as usize - HEADER_BYTES - payload.len(), 0);
}

/// XXH3 rather than a CRC: it takes a seed, which binds the header to its file and place, and so short a string gives a CRC's wide
/// instructions nothing to work on.
#[inline]
fn header_checksum(bytes: &[u8; HEADER_BYTES], salt: Salt, offset: u64) -> u32 {
    // Multiplication by an odd number is a bijection: no two places of a file share a seed.
    let seed = salt.0 ^ offset.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    XxHash3_64::oneshot_with_seed(seed, &bytes[4..]) as u32
}

#[cfg(test)]
mod tests;
