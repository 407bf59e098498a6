//! The footer: the fixed end of a file, which says what file this is and where its sections lie.
//!
//! Written last, read first. Promises: a footer that decodes belongs to a file of exactly this size whose sections follow each
//! other without a gap, so that no byte of the file is outside a checksum.

use super::block::checksum_at;
use crate::coding::{Reader, put_u32, put_u64};
use crate::key::FileNumber;

/// Bytes of a footer.
pub const FOOTER_BYTES: usize = 8 + 4 + 4 + 8 + 8 + 8 + 4 * SECTION_BYTES + 4 + 4;
const SECTION_BYTES: usize = 8 + 8 + 4;
const MAGIC: &[u8; 8] = b"SSTOREbf";
/// The version of the format that this library reads and writes.
pub const VERSION: u32 = 1;

/// A part of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Section {
    /// Where it begins.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// Its checksum, seeded with file number and offset; 0 for the data section, whose blocks have their own.
    pub checksum: u32,
}

/// What the end of a file says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footer {
    /// The database that the file was made for.
    pub database_id: u64,
    /// The file's number.
    pub number: FileNumber,
    /// The blocks.
    pub data: Section,
    /// The block index.
    pub index: Section,
    /// The filter; empty if there is none.
    pub filter: Section,
    /// The properties.
    pub properties: Section,
    /// The checksum of all bytes before the footer.
    pub file_checksum: u32,
}

/// Why a footer was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadFooter {
    /// The bytes are damaged, or no footer.
    Damaged(&'static str),
    /// A version that this library does not know.
    Version(u32),
}

impl Footer {
    /// The size of the whole file.
    pub fn file_bytes(&self) -> u64 {
        self.properties.offset + self.properties.len + FOOTER_BYTES as u64
    }

    /// The encoding, as `FORMAT.md` has it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_BYTES);
        out.extend_from_slice(MAGIC);
        put_u32(&mut out, VERSION);
        put_u32(&mut out, 4);
        put_u64(&mut out, self.database_id);
        put_u64(&mut out, self.number.0);
        put_u64(&mut out, self.file_bytes());
        for section in [self.data, self.index, self.filter, self.properties] {
            put_u64(&mut out, section.offset);
            put_u64(&mut out, section.len);
            put_u32(&mut out, section.checksum);
        }
        put_u32(&mut out, self.file_checksum);
        let checksum = checksum_at(0, 0, &out);
        put_u32(&mut out, checksum);
        out
    }

    /// Decodes the last [`FOOTER_BYTES`] of a file of `file_bytes`.
    pub fn decode(bytes: &[u8], file_bytes: u64) -> Result<Self, BadFooter> {
        const SHORT: BadFooter = BadFooter::Damaged("footer ends early");
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(SHORT)?;
        let mut reader = Reader::new(body);
        if reader.take(8).ok_or(SHORT)? != MAGIC {
            return Err(BadFooter::Damaged("no table file: magic number missing"));
        }
        if checksum_at(0, 0, body) != u32::from_le_bytes(*checksum) {
            return Err(BadFooter::Damaged("footer does not match its checksum"));
        }
        let version = reader.u32().ok_or(SHORT)?;
        if version != VERSION {
            return Err(BadFooter::Version(version));
        }
        if reader.u32() != Some(4) {
            return Err(BadFooter::Damaged("footer with another number of sections"));
        }
        let database_id = reader.u64().ok_or(SHORT)?;
        let number = FileNumber(reader.u64().ok_or(SHORT)?);
        let size = reader.u64().ok_or(SHORT)?;
        let mut sections = [Section::default(); 4];
        let mut end = 0u64;
        for section in &mut sections {
            *section = Section {
                offset: reader.u64().ok_or(SHORT)?,
                len: reader.u64().ok_or(SHORT)?,
                checksum: reader.u32().ok_or(SHORT)?,
            };
            if section.offset != end {
                return Err(BadFooter::Damaged("footer with sections that do not follow each other"));
            }
            end = end.checked_add(section.len).ok_or(BadFooter::Damaged("footer with impossible lengths"))?;
        }
        let file_checksum = reader.u32().ok_or(SHORT)?;
        if size != file_bytes || end.checked_add(FOOTER_BYTES as u64) != Some(size) || !reader.is_empty() {
            return Err(BadFooter::Damaged("file is not as long as its footer says"));
        }
        let [data, index, filter, properties] = sections;
        Ok(Self { database_id, number, data, index, filter, properties, file_checksum })
    }
}
