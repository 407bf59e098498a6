//! The records of a log or a manifest: the same framing for both.
//!
//! Source: `doc/log_format.md` and `db/log_reader.cc` of LevelDB. A file is blocks of 32 KiB; in them lie fragments: masked checksum of type
//! and data, a length of two bytes, a type (1 whole, 2 first, 3 middle, 4 last), the data. Less than a header at the end of a block
//! is filled with zeros. A writer that died leaves a fragment cut short at the end of the file, and so a record without its last fragment:
//! a torn tail, which is no damage. Promises: memory for one record and one block; after an error it reads on behind what was damaged,
//! in the way LevelDB does.

use super::checksum;
use super::damage::Reading;
use crate::coding::Reader;
use crate::env::File;
use crate::error::{Error, Result};
use std::sync::Arc;

const BLOCK_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;

const WHOLE: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// A record longer than this is no batch of LevelDB's, whose sizes are 32 bits.
const RECORD_BYTES_MAX: usize = u32::MAX as usize;

/// Reads records in order.
pub struct LogReader {
    file: Arc<dyn File>,
    len: u64,
    block: Vec<u8>,
    block_start: u64,
    /// The next fragment in the block.
    at: usize,
    record: Vec<u8>,
    record_start: u64,
    in_record: bool,
    dropped_bytes: u64,
    torn_at: Option<u64>,
}

/// One fragment: its type, and where its data lies in the block.
struct Fragment {
    kind: u8,
    from: usize,
    to: usize,
}

impl LogReader {
    /// A reader of `file` from its beginning.
    pub fn new(file: Arc<dyn File>) -> Result<Self> {
        let len = file.len()?;
        Ok(Self {
            file,
            len,
            block: Vec::new(),
            block_start: 0,
            at: 0,
            record: Vec::new(),
            record_start: 0,
            in_record: false,
            dropped_bytes: 0,
            torn_at: None,
        })
    }

    /// Where the writer died, once the end was reached, and how many bytes follow.
    pub fn torn(&self) -> Option<(u64, u64)> {
        self.torn_at.map(|at| (at, self.len - at))
    }

    /// How many bytes the last error dropped.
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }

    /// The next record and where it begins; `None` at the end. Corruption may be followed by more records.
    pub fn next(&mut self, reading: &Reading<'_>) -> Result<Option<(u64, &[u8])>> {
        loop {
            let start = self.block_start + self.at as u64;
            let fragment = match self.fragment(reading) {
                Ok(Some(fragment)) => fragment,
                Ok(None) => {
                    if std::mem::take(&mut self.in_record) {
                        // The record began before the fragment that is cut short, if any is.
                        self.torn_at = Some(self.record_start);
                    }
                    return Ok(None);
                }
                Err(error) => {
                    if std::mem::take(&mut self.in_record) {
                        self.dropped_bytes += self.record.len() as u64;
                    }
                    return Err(error);
                }
            };
            let begins = matches!(fragment.kind, WHOLE | FIRST);
            // Old writers began a record at the very end of a block, with an empty fragment, and then again in the next one.
            if begins && std::mem::take(&mut self.in_record) && !self.record.is_empty() {
                // The fragment itself is sound: it is read again.
                self.at = fragment.from - HEADER_BYTES;
                self.dropped_bytes = self.record.len() as u64;
                return Err(self.damage(self.record_start, "a record without an end"));
            }
            if begins {
                self.record.clear();
                self.record_start = self.block_start + (fragment.from - HEADER_BYTES) as u64;
            } else if !self.in_record {
                self.dropped_bytes = (fragment.to - fragment.from) as u64;
                return Err(self.damage(start, "a record without a beginning"));
            }
            let data = &self.block[fragment.from..fragment.to];
            if self.record.len() + data.len() > RECORD_BYTES_MAX {
                self.in_record = false;
                self.dropped_bytes = self.record.len() as u64;
                return Err(self.damage(self.record_start, "a record of more than 4 GiB"));
            }
            self.record.extend_from_slice(data);
            self.in_record = matches!(fragment.kind, FIRST | MIDDLE);
            if !self.in_record {
                return Ok(Some((self.record_start, &self.record)));
            }
        }
    }

    /// The next sound fragment; `None` at the end.
    fn fragment(&mut self, reading: &Reading<'_>) -> Result<Option<Fragment>> {
        while self.block.len() - self.at < HEADER_BYTES {
            let is_last = self.block_start + self.block.len() as u64 >= self.len;
            if is_last {
                if self.at < self.block.len() && self.block.len() < BLOCK_BYTES {
                    self.torn_at = Some(self.block_start + self.at as u64);
                }
                return Ok(None);
            }
            self.load(self.block_start + self.block.len() as u64)?;
            reading.meter.read(self.block.len() as u64)?;
        }
        let offset = self.block_start + self.at as u64;
        let rest = &self.block[self.at..];
        let mut header = Reader::new(rest);
        let (Some(crc), Some(len), Some(kind)) = (header.u32(), header.u16(), header.u8()) else { return Ok(None) };
        let len = usize::from(len);
        if kind == 0 && len == 0 {
            // Space that was reserved and never written; LevelDB skips it. With something behind it, it is what was written.
            if !self.is_zero_from(offset)? {
                return Err(self.drop_block(offset, "zeros where a record was"));
            }
            self.torn_at = Some(offset);
            self.block.clear();
            (self.at, self.block_start) = (0, self.len);
            return Ok(None);
        }
        let Some(data) = header.take(len) else {
            if self.block.len() < BLOCK_BYTES {
                self.torn_at = Some(offset);
                self.at = self.block.len();
                return Ok(None);
            }
            return Err(self.drop_block(offset, "a fragment that is longer than its block"));
        };
        if !checksum::matches(crc, &rest[HEADER_BYTES - 1..HEADER_BYTES + data.len()]) {
            // The length is not to be trusted either.
            return Err(self.drop_block(offset, "checksum mismatch"));
        }
        let from = self.at + HEADER_BYTES;
        self.at = from + len;
        if !(WHOLE..=LAST).contains(&kind) {
            self.dropped_bytes = len as u64;
            return Err(self.damage(offset, format!("a fragment of the unknown type {kind}")));
        }
        Ok(Some(Fragment { kind, from, to: self.at }))
    }

    fn load(&mut self, start: u64) -> Result<()> {
        self.block.resize(BLOCK_BYTES, 0);
        let read = self.file.read_at(&mut self.block, start)?;
        self.block.truncate(read);
        (self.block_start, self.at) = (start, 0);
        if read == 0 {
            // Somebody cut it under us.
            self.len = start;
        }
        Ok(())
    }

    /// Whether there is nothing but zeros from `offset` on.
    fn is_zero_from(&self, offset: u64) -> Result<bool> {
        let mut buffer = vec![0; BLOCK_BYTES];
        let mut offset = offset;
        loop {
            let read = self.file.read_at(&mut buffer, offset)?;
            if read == 0 {
                return Ok(true);
            }
            if buffer[..read].iter().any(|&byte| byte != 0) {
                return Ok(false);
            }
            offset += read as u64;
        }
    }

    fn drop_block(&mut self, offset: u64, why: &str) -> Error {
        self.dropped_bytes = (self.block.len() - self.at) as u64;
        self.at = self.block.len();
        self.damage(offset, why)
    }

    fn damage(&self, offset: u64, why: impl Into<String>) -> Error {
        Error::corruption(self.file.path(), offset, why)
    }
}
