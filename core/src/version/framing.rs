//! The frame of a manifest: its header, and records that are found whole, torn, or damaged.
//!
//! Called by [`manifest`](super::manifest). The log's records do not fit: a log is told torn from damaged by watermarks, a
//! manifest, whose every record was synced before the next was written, by what an append that was cut short leaves behind.
//! The layout is in `FORMAT.md`.

use crate::coding::{Reader, put_u32, put_u64};
use crate::error::{Error, ErrorKind, Result};
use crate::key::FileNumber;
use std::path::Path;

const MAGIC: &[u8; 8] = b"sstoreMF";
const VERSION: u32 = 1;
/// Bytes before the first record.
pub(super) const HEADER_BYTES: usize = 40;

/// Leads a record. No byte is zero, so that a piece of a record that was never written differs from it.
const MARK: u32 = u32::from_le_bytes(*b"EDIT");
/// Ends a record; no zero bytes either.
const END: &[u8; 8] = b"EDIT-END";
const RECORD_HEADER_BYTES: usize = 24;
const ALIGNMENT: usize = 8;
/// What a disk writes in one piece, at the least.
const SECTOR_BYTES: usize = 512;

/// The bytes that open manifest `number` of the database.
pub(super) fn encode_header(database_id: u64, number: FileNumber) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend_from_slice(MAGIC);
    put_u32(&mut out, VERSION);
    put_u32(&mut out, 0); // compatible features
    put_u32(&mut out, 0); // incompatible features
    put_u64(&mut out, database_id);
    put_u64(&mut out, number.0);
    let checksum = crc32fast::hash(&out);
    put_u32(&mut out, checksum);
    out
}

/// Checks the header in `file`, the bytes of manifest `number` at `path`; returns the database id.
pub(super) fn decode_header(file: &[u8], path: &Path, number: FileNumber) -> Result<u64> {
    let corruption = |message: &str| Error::corruption(path, 0, message);
    let mut reader = Reader::new(file);
    let short = || corruption("manifest is shorter than its header");
    let covered = reader.take(HEADER_BYTES - 4).ok_or_else(short)?;
    let checksum = reader.u32().ok_or_else(short)?;
    if checksum != crc32fast::hash(covered) {
        return Err(corruption("checksum of the manifest's header is wrong"));
    }
    let mut reader = Reader::new(covered);
    if reader.take(MAGIC.len()) != Some(MAGIC) {
        return Err(corruption("not a manifest"));
    }
    let (version, _compatible, incompatible) =
        (reader.u32().ok_or_else(short)?, reader.u32().ok_or_else(short)?, reader.u32().ok_or_else(short)?);
    let (database_id, stored) = (reader.u64().ok_or_else(short)?, reader.u64().ok_or_else(short)?);
    if version != VERSION || incompatible != 0 {
        let message = format!("manifest has format version {version} and features {incompatible:#x}, unknown here");
        return Err(Error::new(ErrorKind::NotSupported, message).in_file(path));
    }
    if stored != number.0 {
        return Err(corruption("manifest carries another number than its name"));
    }
    Ok(database_id)
}

/// Appends record `edit_number`, which will lie at `offset` of manifest `number`. Requires: less than 4 GiB of payload.
pub(super) fn encode_record(out: &mut Vec<u8>, number: FileNumber, offset: u64, edit_number: u64, payload: &[u8]) {
    let mut tail = vec![0xff; payload.len().next_multiple_of(ALIGNMENT) - payload.len()];
    tail.extend_from_slice(END);
    put_u32(out, MARK);
    let header_checksum_at = out.len();
    put_u32(out, 0);
    put_u32(out, payload.len() as u32);
    put_u32(out, body_checksum(&[payload, &tail]));
    put_u64(out, edit_number);
    let covered = &out[header_checksum_at + 4..];
    let checksum = header_checksum(number, offset, covered);
    out[header_checksum_at..header_checksum_at + 4].copy_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(&tail);
}

/// Covers the place as well, so that a record of another file or offset is none here.
fn header_checksum(number: FileNumber, offset: u64, covered: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.0.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(covered);
    hasher.finalize()
}

fn body_checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// A record that reads well.
pub(super) struct Record<'a> {
    pub(super) edit_number: u64,
    pub(super) payload: &'a [u8],
    /// Where the next record begins.
    pub(super) end: usize,
}

/// What lies at an offset.
pub(super) enum Found<'a> {
    /// A whole record.
    Record(Record<'a>),
    /// Nothing: the file ends here.
    End,
    /// The remains of an append that was never acknowledged.
    Torn,
    /// Bytes that were not written like this.
    Damaged(&'static str),
}

/// Looks at what begins at `offset` of `file`, the bytes of manifest `number`.
pub(super) fn find_record(file: &[u8], number: FileNumber, offset: usize) -> Found<'_> {
    if offset == file.len() {
        return Found::End;
    }
    let what = match read_record(file, number, offset) {
        Ok(record) => return Found::Record(record),
        Err(what) => what,
    };
    // Each record was durable before the next was written: a record beyond proves that this one was whole.
    let later = (offset + ALIGNMENT..file.len()).step_by(ALIGNMENT);
    if later.into_iter().any(|at| read_header(file, number, at).is_ok()) {
        return Found::Damaged(what);
    }
    match could_be_unfinished(file, offset) {
        true => Found::Torn,
        false => Found::Damaged(what),
    }
}

/// Whether the bytes from `offset` on may be an append that a power cut interrupted: it does not reach its end mark, or a piece as small as a
/// disk writes is missing and reads as zeros. A whole record never looks like that, and one damaged byte does not make it so.
fn could_be_unfinished(file: &[u8], offset: usize) -> bool {
    let rest = &file[offset..];
    if rest.len() < RECORD_HEADER_BYTES + END.len() || !rest.len().is_multiple_of(ALIGNMENT) || rest.ends_with(&[0, 0])
    {
        return true;
    }
    let first_piece = (SECTOR_BYTES - offset % SECTOR_BYTES).min(rest.len());
    let (first, others) = rest.split_at(first_piece);
    let blank = |piece: &[u8]| piece.iter().all(|&byte| byte == 0);
    if blank(first) || others.chunks(SECTOR_BYTES).any(blank) {
        return true;
    }
    // Cut at a multiple of eight bytes: the end mark is not there, nor anything like it.
    let end = &rest[rest.len() - END.len()..];
    end.iter().zip(END).filter(|(found, wanted)| found != wanted).count() > 2
}

struct Header {
    payload_bytes: usize,
    body_checksum: u32,
    edit_number: u64,
}

fn read_header(file: &[u8], number: FileNumber, offset: usize) -> std::result::Result<Header, &'static str> {
    const SHORT: &str = "record ends early";
    let mut reader = Reader::new(&file[offset..]);
    if reader.u32().ok_or(SHORT)? != MARK {
        return Err("no record begins here");
    }
    let checksum = reader.u32().ok_or(SHORT)?;
    let covered = reader.take(RECORD_HEADER_BYTES - 8).ok_or(SHORT)?;
    if checksum != header_checksum(number, offset as u64, covered) {
        return Err("checksum of a record's header is wrong");
    }
    let mut reader = Reader::new(covered);
    let payload_bytes = reader.u32().ok_or(SHORT)? as usize;
    Ok(Header { payload_bytes, body_checksum: reader.u32().ok_or(SHORT)?, edit_number: reader.u64().ok_or(SHORT)? })
}

fn read_record(file: &[u8], number: FileNumber, offset: usize) -> std::result::Result<Record<'_>, &'static str> {
    let header = read_header(file, number, offset)?;
    let body_bytes = header.payload_bytes.next_multiple_of(ALIGNMENT) + END.len();
    let body = Reader::new(&file[offset + RECORD_HEADER_BYTES..]).take(body_bytes).ok_or("record ends early")?;
    if header.body_checksum != body_checksum(&[body]) || !body.ends_with(END) {
        return Err("checksum of a record is wrong");
    }
    let end = offset + RECORD_HEADER_BYTES + body_bytes;
    Ok(Record { edit_number: header.edit_number, payload: &body[..header.payload_bytes], end })
}
