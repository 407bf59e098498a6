//! Walks the records of a file, front to back, and says where and why it had to stop.
//!
//! Used by log replay and by the manifest. It believes a length only under a good checksum and within the file, so that no
//! input makes it allocate more than the file's size. Whether a stop is a torn tail or damage is the owner's to decide.

use super::{ALIGNMENT, HEADER_BYTES, RecordHeader, Salt, payload_checksum};
use crate::env::{File, read_exact_at};
use crate::error::Result;
use std::sync::Arc;

const WINDOW_BYTES: u64 = 1 << 20;

/// One step of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A whole, verified record.
    Record {
        /// Where it starts.
        offset: u64,
        /// Its header.
        header: RecordHeader,
        /// Its payload.
        payload: &'a [u8],
    },
    /// No record starts here: the file ends, or holds zeros where the next header would be.
    Nothing {
        /// Where the next record would start.
        offset: u64,
    },
    /// The bytes at `offset` are no record.
    Damage {
        /// Where the record should start.
        offset: u64,
        /// What is wrong.
        why: &'static str,
    },
}

/// Reads a file's records in order. Single-threaded.
pub struct RecordReader {
    file: Arc<dyn File>,
    salt: Salt,
    offset: u64,
    file_len: u64,
    window: Vec<u8>,
    window_offset: u64,
}

impl RecordReader {
    /// A reader of the records of `file` from `offset` on.
    pub fn new(file: Arc<dyn File>, salt: Salt, offset: u64) -> Result<Self> {
        let file_len = file.len()?;
        Ok(Self { file, salt, offset, file_len, window: Vec::new(), window_offset: 0 })
    }

    /// Where the next record starts, or the walk stopped.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The file's length in bytes when the reader was made.
    pub fn file_len(&self) -> u64 {
        self.file_len
    }

    /// The next record. After anything else than a record, the same again. Errors are those of reading the file.
    pub fn step(&mut self) -> Result<Step<'_>> {
        let offset = self.offset;
        let rest = self.file_len.saturating_sub(offset);
        if rest < HEADER_BYTES as u64 {
            // Too short for a header: zeros or nothing is an end, anything else the beginning of a cut record.
            let cut = rest > 0 && !is_zero(self.bytes(offset, rest)?);
            return Ok(if cut {
                Step::Damage { offset, why: "record header cut short" }
            } else {
                Step::Nothing { offset }
            });
        }
        let salt = self.salt;
        let bytes = self.bytes(offset, HEADER_BYTES as u64)?;
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(Step::Nothing { offset }) };
        if bytes == &[0; HEADER_BYTES] {
            return Ok(Step::Nothing { offset });
        }
        let header = match RecordHeader::decode(bytes, salt, offset) {
            Ok(header) => header,
            Err(why) => return Ok(Step::Damage { offset, why }),
        };
        let len = header.record_bytes();
        if len > rest {
            return Ok(Step::Damage { offset, why: "record runs past the end of the file" });
        }
        let record = self.bytes(offset, len)?;
        let (payload, padding) = record[HEADER_BYTES..].split_at(header.payload_len as usize);
        if payload_checksum(&[payload]) != header.payload_checksum {
            return Ok(Step::Damage { offset, why: "record payload damaged: checksum does not match" });
        }
        if !is_zero(padding) {
            return Ok(Step::Damage { offset, why: "record padding damaged: not zero" });
        }
        // Borrowed anew, because the early returns above would else keep `self` borrowed past the change of its offset.
        self.offset = offset + len;
        let start = (offset - self.window_offset) as usize + HEADER_BYTES;
        let payload = &self.window[start..start + header.payload_len as usize];
        Ok(Step::Record { offset, header, payload })
    }

    /// The first position from `from` on, stepping by the alignment, where a header stands that `accept` takes: finds
    /// what lies beyond damage.
    pub fn find_header(&mut self, from: u64, accept: impl Fn(u64, &RecordHeader) -> bool) -> Result<Option<u64>> {
        let mut offset = from.next_multiple_of(ALIGNMENT as u64);
        while offset + HEADER_BYTES as u64 <= self.file_len {
            let len = WINDOW_BYTES.min(self.file_len - offset);
            let salt = self.salt;
            let bytes = self.bytes(offset, len)?;
            let mut at = 0;
            while let Some(header) = bytes.get(at..).and_then(|rest| rest.first_chunk::<HEADER_BYTES>()) {
                let place = offset + at as u64;
                if RecordHeader::decode(header, salt, place).is_ok_and(|header| accept(place, &header)) {
                    return Ok(Some(place));
                }
                at += ALIGNMENT;
            }
            offset += at as u64;
        }
        Ok(None)
    }

    /// Goes on behind the damage or the zeros at which the walk stopped: at the end of the record there if its header is good, else at
    /// the next place where a good header stands. Gives that place; `None`: no record follows, and the walk stays where it is.
    pub fn skip_damage(&mut self) -> Result<Option<u64>> {
        let (at, salt, rest) = (self.offset, self.salt, self.file_len.saturating_sub(self.offset));
        let header = match self.bytes(at, rest.min(HEADER_BYTES as u64))?.first_chunk() {
            Some(bytes) => RecordHeader::decode(bytes, salt, at).ok(),
            None => return Ok(None),
        };
        // A good header is believed, so that a file is walked once, however many records of it are damaged.
        let next = match header {
            Some(header) => Some(at + header.record_bytes()).filter(|end| *end <= self.file_len),
            None => self.find_header(at + ALIGNMENT as u64, |_, _| true)?,
        };
        self.offset = next.unwrap_or(at);
        Ok(next)
    }

    /// The end of the last byte from `from` on that is not zero; `from` if there is none.
    pub fn used_end(&mut self, from: u64) -> Result<u64> {
        let (mut offset, mut end) = (from, from);
        while offset < self.file_len {
            let len = WINDOW_BYTES.min(self.file_len - offset);
            let used = self.bytes(offset, len)?.iter().rposition(|&byte| byte != 0);
            end = used.map_or(end, |last| offset + last as u64 + 1);
            offset += len;
        }
        Ok(end)
    }

    /// Whether every byte from `from` on is zero.
    pub fn is_zero_from(&mut self, from: u64) -> Result<bool> {
        let mut offset = from;
        while offset < self.file_len {
            let len = WINDOW_BYTES.min(self.file_len - offset);
            if !is_zero(self.bytes(offset, len)?) {
                return Ok(false);
            }
            offset += len;
        }
        Ok(true)
    }

    /// Bytes of the file. Requires: `offset + len` lies within it.
    fn bytes(&mut self, offset: u64, len: u64) -> Result<&[u8]> {
        let window_end = self.window_offset + self.window.len() as u64;
        if offset < self.window_offset || offset + len > window_end {
            let wanted = len.max(WINDOW_BYTES.min(self.file_len - offset));
            self.window.clear();
            self.window.resize(wanted as usize, 0);
            self.window_offset = offset;
            if let Err(error) = read_exact_at(&*self.file, &mut self.window, offset) {
                self.window.clear();
                return Err(error);
            }
        }
        let start = (offset - self.window_offset) as usize;
        Ok(&self.window[start..start + len as usize])
    }
}

/// Whether all of `bytes` are zero. In chunks without a way out, so that a processor looks at many bytes at once: what was made ready of
/// the last segment and not used is looked at whole when a database is opened after a crash.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(256).all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}
