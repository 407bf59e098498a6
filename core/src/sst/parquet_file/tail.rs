//! The tail of a Parquet row file: our index and everything that Parquet writes after it, under one checksum.
//!
//! Called by writer and reader. The manifest knows where the tail begins and its checksum; the tail says the same about itself
//! in the footer's metadata, so that a file whose manifest is lost is still verified before anything in it is parsed.

use crate::env::{File, read_exact_at};
use crate::error::{Error, ErrorKind, Result};
use std::ops::Range;

/// What every Parquet file ends with, after the length of its footer.
const PARQUET_MAGIC: &[u8; 4] = b"PAR1";

/// The footer's length, four bytes little endian, and the magic.
const PARQUET_END_BYTES: u64 = 8;

/// The metadata key of the tail's place and checksum.
pub const TAIL_KEY: &str = "tail";

/// How the entry looks in the footer: the key, then the Thrift field header and the length of the value.
const TAIL_ENTRY: &[u8] = b"sstore.tail\x18\x18";

/// Digits of the offset, and of the checksum after it.
const OFFSET_DIGITS: usize = 16;
const CHECKSUM_DIGITS: usize = 8;

/// The value that stands for a checksum which is not known yet.
pub fn unsealed(offset: u64) -> String {
    format!("{offset:016x}{:08x}", 0)
}

/// Writes the tail's checksum into it, taken while the digits were zeros.
pub fn seal(tail: &mut [u8]) -> Result<()> {
    let digits = checksum_digits(tail)
        .ok_or_else(|| Error::new(ErrorKind::NotSupported, "Parquet footer without the place of its tail"))?;
    let checksum = crc32fast::hash(tail);
    tail[digits].copy_from_slice(format!("{checksum:08x}").as_bytes());
    Ok(())
}

/// Where the digits of the checksum are: in the last such entry, since ours is the last of the metadata.
fn checksum_digits(bytes: &[u8]) -> Option<Range<usize>> {
    let entry = bytes.windows(TAIL_ENTRY.len()).rposition(|window| window == TAIL_ENTRY)?;
    let start = entry + TAIL_ENTRY.len() + OFFSET_DIGITS;
    (start + CHECKSUM_DIGITS <= bytes.len()).then_some(start..start + CHECKSUM_DIGITS)
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    // One way to write each number: a capital letter is damage.
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let digits = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(is_digit))?;
    u64::from_str_radix(digits, 16).ok()
}

/// The verified tail of `file`, and where it begins. `known`: its place and checksum as the manifest has them. Anything but the
/// right tail is Corruption.
pub fn read_tail(file: &dyn File, size: u64, known: Option<(u64, u32)>) -> Result<(u64, Vec<u8>)> {
    let bad = |offset, message: &str| Error::corruption(file.path(), offset, message);
    let Some(end) = size.checked_sub(PARQUET_END_BYTES).filter(|&end| end >= PARQUET_MAGIC.len() as u64) else {
        return Err(bad(0, "file is too short for a Parquet file"));
    };
    if let Some((offset, checksum)) = known {
        if offset > end {
            return Err(bad(end, "file ends before its index"));
        }
        let tail = read(file, offset..size)?;
        if crc32fast::hash(&tail) != checksum {
            return Err(bad(offset, "tail of a Parquet file does not match its checksum"));
        }
        return Ok((offset, tail));
    }
    let ending = read(file, end..size)?;
    let (len, magic) = ending.split_at(4);
    let len = len.iter().rev().fold(0u64, |len, &byte| len << 8 | u64::from(byte));
    let Some(footer_start) = end.checked_sub(len).filter(|_| magic == PARQUET_MAGIC) else {
        return Err(bad(end, "file does not end as a Parquet file"));
    };
    let footer = read(file, footer_start..end)?;
    let digits = checksum_digits(&footer).ok_or_else(|| bad(footer_start, "Parquet footer of no row file of ours"))?;
    let place =
        hexadecimal(&footer[digits.start - OFFSET_DIGITS..digits.start]).filter(|&offset| offset <= footer_start);
    let (Some(offset), Some(checksum)) = (place, hexadecimal(&footer[digits.clone()])) else {
        return Err(bad(footer_start, "Parquet footer with a wrong place of its tail"));
    };
    let mut tail = read(file, offset..size)?;
    let start = (footer_start - offset) as usize + digits.start;
    let sealed = tail[start..start + CHECKSUM_DIGITS].to_vec();
    tail[start..start + CHECKSUM_DIGITS].fill(b'0');
    if u64::from(crc32fast::hash(&tail)) != checksum {
        return Err(bad(offset, "tail of a Parquet file does not match its checksum"));
    }
    tail[start..start + CHECKSUM_DIGITS].copy_from_slice(&sealed);
    Ok((offset, tail))
}

/// Reads a range that lies within the file.
fn read(file: &dyn File, range: Range<u64>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let len = usize::try_from(range.end - range.start).ok().filter(|&len| bytes.try_reserve_exact(len).is_ok());
    let Some(len) = len else {
        return Err(Error::new(ErrorKind::NoMemory, "no memory for the tail of a Parquet file").in_file(file.path()));
    };
    bytes.resize(len, 0);
    read_exact_at(file, &mut bytes, range.start)?;
    Ok(bytes)
}
