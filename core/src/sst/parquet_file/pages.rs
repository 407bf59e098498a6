//! What stands before each page of Parquet: looked at before the decoder sees the page.
//!
//! Called by the decoder of row groups, and at open for the footer. The bytes match their checksums, yet a forger can have made them:
//! the Parquet crate takes as much memory as a header claims, descends as deep as a schema goes, and trusts in values of encodings
//! that we never write. Promises: pages that claim no more bytes than their group may take, in encodings of ours; nothing is
//! allocated here.

use crate::coding::Reader;
use bytes::Bytes;

/// Bytes that pages of any group may claim beyond what its columns take in memory: levels, and what is written of a dictionary.
const PAGE_SLACK_BYTES: u64 = 4 << 20;

/// Levels of structs, lists and maps in a header that is skipped. Parquet's own have three.
const DEPTH_MAX: u32 = 8;

/// The numbers of the encodings that our files have: PLAIN, PLAIN_DICTIONARY, RLE, DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY,
/// DELTA_BYTE_ARRAY, RLE_DICTIONARY.
const ENCODINGS: [u64; 7] = [0, 2, 3, 5, 6, 7, 8];

/// Types of Thrift's compact protocol.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I64: u8 = 6;
const I32: u8 = 5;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

/// Checks the headers of the pages that lie side by side in `bytes`, of a group whose columns take `payload_bytes`.
pub fn check_pages(bytes: &Bytes, payload_bytes: u64) -> Result<(), &'static str> {
    let limit = payload_bytes.saturating_mul(2).saturating_add(PAGE_SLACK_BYTES);
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let mut header = Header { fields: Reader::new(rest), sizes: [0; 2], encoding: 0 };
        header.page().ok_or("page of Parquet with a malformed header")?;
        let [uncompressed, compressed] = header.sizes;
        if uncompressed > limit {
            return Err("page of Parquet that claims more bytes than its group has");
        }
        if !ENCODINGS.contains(&header.encoding) {
            return Err("page of Parquet in an encoding that is never written");
        }
        let after = header.fields.rest();
        let len = usize::try_from(compressed).ok().filter(|&len| len <= after.len());
        rest = &after[len.ok_or("page of Parquet that ends behind its chunk")?..];
    }
    Ok(())
}

/// How many elements the schema of a Parquet footer claims to have: more than the table's could be nested deeper than a parser's stack.
pub fn schema_elements(footer: &[u8]) -> Option<u64> {
    let mut fields = Reader::new(footer);
    // The version, then the schema: so it is written.
    if fields.u8()? != 1 << 4 | I32 || fields.varint().is_none() || fields.u8()? != 1 << 4 | LIST {
        return None;
    }
    list(&mut fields).map(|(_, count)| count)
}

/// How many pages an offset index claims to have.
pub fn offset_index_pages(index: &[u8]) -> Option<u64> {
    let mut fields = Reader::new(index);
    if fields.u8()? != 1 << 4 | LIST {
        return None;
    }
    list(&mut fields).map(|(_, count)| count)
}

/// Type and number of a list's elements.
fn list(fields: &mut Reader<'_>) -> Option<(u8, u64)> {
    let header = fields.u8()?;
    let count = if header >> 4 == 15 { fields.varint()? } else { u64::from(header >> 4) };
    Some((header & 15, count))
}

struct Header<'a> {
    fields: Reader<'a>,
    /// Uncompressed, then as it lies in the file.
    sizes: [u64; 2],
    /// Of the values, in a page of data; else 0.
    encoding: u64,
}

impl Header<'_> {
    fn page(&mut self) -> Option<()> {
        let mut id = 0;
        while let Some((next, kind)) = field(&mut self.fields, id)? {
            id = next;
            match (id, kind) {
                (2 | 3, I32) => self.sizes[id as usize - 2] = unsigned(self.fields.varint()?)?,
                (5, STRUCT) => self.data_page(2)?,
                (8, STRUCT) => self.data_page(4)?,
                (_, kind) => skip(&mut self.fields, kind, 0)?,
            }
        }
        Some(())
    }

    /// The header of a page of data, whose encoding is in the field of this number.
    fn data_page(&mut self, encoding: i64) -> Option<()> {
        let mut id = 0;
        while let Some((next, kind)) = field(&mut self.fields, id)? {
            id = next;
            if id == encoding && kind == I32 {
                self.encoding = unsigned(self.fields.varint()?)?;
            } else {
                skip(&mut self.fields, kind, 0)?;
            }
        }
        Some(())
    }
}

/// Number and type of the next field; none at the end of its struct.
fn field(fields: &mut Reader<'_>, before: i64) -> Option<Option<(i64, u8)>> {
    let byte = fields.u8()?;
    if byte == 0 {
        return Some(None);
    }
    let id = match byte >> 4 {
        0 => zigzag(fields.varint()?),
        delta => before.checked_add(i64::from(delta))?,
    };
    Some(Some((id, byte & 15)))
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn unsigned(value: u64) -> Option<u64> {
    u64::try_from(zigzag(value)).ok()
}

fn skip(fields: &mut Reader<'_>, kind: u8, depth: u32) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    match kind {
        TRUE | FALSE => {}
        BYTE => drop(fields.u8()?),
        I16 | I32 | I64 => drop(fields.varint()?),
        DOUBLE => drop(fields.take(8)?),
        BINARY => drop(fields.bytes()?),
        LIST | SET => {
            let (kind, count) = list(fields)?;
            for _ in 0..count {
                // An element of every type but an empty struct has a byte: a claim beyond the bytes ends there.
                if matches!(kind, TRUE | FALSE) {
                    fields.u8()?;
                } else {
                    skip(fields, kind, depth + 1)?;
                }
            }
        }
        STRUCT => {
            let mut id = 0;
            while let Some((next, kind)) = field(fields, id)? {
                id = next;
                skip(fields, kind, depth + 1)?;
            }
        }
        _ => return None,
    }
    Some(())
}
