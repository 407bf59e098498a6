//! The framing finds every flipped bit, and knows its own place.

use super::*;
use crate::env::File;
use crate::error::Result;
use std::path::Path;
use std::sync::Arc;

/// A file in memory, for reading.
struct Bytes(Vec<u8>);

impl File for Bytes {
    fn path(&self) -> &Path {
        Path::new("bytes")
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or(&[]);
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
    fn len(&self) -> Result<u64> {
        Ok(self.0.len() as u64)
    }
    fn write_at(&self, _: &[u8], _: u64) -> Result<()> {
        unreachable!()
    }
    fn set_len(&self, _: u64) -> Result<()> {
        unreachable!()
    }
    fn allocate(&self, _: u64) -> Result<()> {
        unreachable!()
    }
    fn sync_data(&self) -> Result<()> {
        unreachable!()
    }
    fn start_writeback(&self, _: u64, _: u64) {}
    fn map(&self, _: u64) -> Result<Option<Box<dyn crate::env::Mapping>>> {
        unreachable!()
    }
}

fn salt() -> Salt {
    Salt::new(0x0123_4567_89ab_cdef, FileNumber(31))
}

fn data(sequence: Sequence) -> RecordHeader {
    RecordHeader { kind: RecordKind::Data, sequence, count: 2, payload_len: 0, payload_checksum: 0, durable: 64 }
}

/// Every payload that a walk over `bytes` finds, and the offset where it stopped and whether on damage.
fn walk(bytes: Vec<u8>) -> (Vec<Vec<u8>>, u64, bool) {
    let mut reader = RecordReader::new(Arc::new(Bytes(bytes)), salt(), 0).unwrap();
    let mut payloads = Vec::new();
    loop {
        match reader.step().unwrap() {
            Step::Record { payload, .. } => payloads.push(payload.to_vec()),
            Step::Nothing { offset } => return (payloads, offset, false),
            Step::Damage { offset, .. } => return (payloads, offset, true),
        }
    }
}

fn three_records() -> Vec<u8> {
    let mut bytes = Vec::new();
    for payload in [&b"hello"[..], b"", b"sixteen bytes ok"] {
        let offset = bytes.len() as u64;
        put_record(&mut bytes, data(9), payload, salt(), offset);
    }
    bytes
}

#[test]
fn records_come_back_in_order_and_zeros_end_them() {
    let mut bytes = three_records();
    let len = bytes.len() as u64;
    assert_eq!(walk(bytes.clone()).0, [&b"hello"[..], b"", b"sixteen bytes ok"]);
    bytes.resize(bytes.len() + 100, 0);
    let (payloads, offset, damaged) = walk(bytes);
    assert_eq!((payloads.len(), offset, damaged), (3, len, false));
}

#[test]
fn one_bit_anywhere_behind_the_records_is_no_zero() {
    // Longer than what is read at once, and no multiple of what is looked at at once.
    let len = (1 << 20) + 700;
    let blank = |bytes: Vec<u8>, from| {
        RecordReader::new(Arc::new(Bytes(bytes)), salt(), 0).unwrap().is_zero_from(from).unwrap()
    };
    assert!(blank(vec![0; len], 0) && blank(vec![0; len], 13) && blank(vec![0; len], len as u64) && blank(vec![], 0));
    for at in [0, 1, 255, 256, 511, (1 << 20) - 1, 1 << 20, len - 188, len - 2, len - 1] {
        let mut bytes = vec![0; len];
        bytes[at] = 0x40;
        assert!(!blank(bytes.clone(), 0) && !blank(bytes.clone(), at as u64), "byte {at}");
        assert!(blank(bytes, at as u64 + 1), "behind byte {at}");
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let bytes = three_records();
    let starts = [0, 40, 72];
    for at in 0..bytes.len() {
        let record = starts.iter().filter(|&&start| start <= at).count() - 1;
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let (payloads, offset, damaged) = walk(flipped);
            assert_eq!((payloads.len(), offset, damaged), (record, starts[record] as u64, true), "byte {at} bit {bit}");
        }
        let (payloads, offset, damaged) = walk(bytes[..at].to_vec());
        assert_eq!((payloads.len(), offset), (record, starts[record] as u64), "cut at {at}");
        assert_eq!(damaged, at != starts[record], "cut at {at}");
    }
}

#[test]
fn a_record_of_another_place_or_file_never_parses() {
    let mut bytes = Vec::new();
    put_record(&mut bytes, data(9), b"stale", salt(), 8);
    assert_eq!(walk(bytes.clone()), (vec![], 0, true));
    let mut other = Vec::new();
    put_record(&mut other, data(9), b"stale", Salt::new(0x0123_4567_89ab_cdef, FileNumber(32)), 0);
    assert_eq!(walk(other), (vec![], 0, true));
}

#[test]
fn headers_are_found_beyond_damage() {
    let mut bytes = three_records();
    bytes[3] ^= 1;
    let mut reader = RecordReader::new(Arc::new(Bytes(bytes)), salt(), 0).unwrap();
    assert_eq!(reader.find_header(0, |_, header| header.durable > 40).unwrap(), Some(40));
    assert_eq!(reader.find_header(0, |_, header| header.durable > 64).unwrap(), None);
}

#[test]
fn the_example_of_the_format_text_is_what_we_write() {
    let hex: Vec<u8> = include_str!("FORMAT.md")
        .lines()
        .skip_while(|line| !line.starts_with("```hex"))
        .skip(1)
        .take_while(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('#').next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let mut bytes = Vec::new();
    put_record(&mut bytes, data(7), b"hello", salt(), 96);
    assert_eq!(hex, bytes, "{bytes:02x?}");
    let header = RecordHeader::decode(hex.first_chunk().unwrap(), salt(), 96).unwrap();
    assert_eq!((header.kind, header.sequence, header.count, header.durable), (RecordKind::Data, 7, 2, 64));
}
