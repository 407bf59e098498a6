//! What logs hold and no table does: read into memory, and sorted.
//!
//! Source: `db/write_batch.cc` and `DBImpl::RecoverLogFile` of LevelDB. A record is a batch: the sequence of its first operation, their number, then
//! the operations: what each does, its key, and, if it sets it, the value. LevelDB reads the logs into memory too when it opens a database.

use super::damage::Reading;
use super::internal_key;
use super::log_reader::LogReader;
use crate::coding::Reader;
use crate::env::FileSystem;
use crate::error::{Error, Result};
use crate::key::{Entry, Kind, MAX_SEQUENCE, Sequence};
use std::path::Path;

/// Entries in memory, walked forward once they are sorted.
#[derive(Default)]
pub struct Memtable {
    bytes: Vec<u8>,
    items: Vec<Item>,
    /// One more than the place of the item under it.
    at: usize,
}

/// Where an entry lies in the bytes: the value behind the key.
struct Item {
    start: usize,
    key_len: u32,
    value_len: u32,
    sequence: Sequence,
    kind: Kind,
}

impl Memtable {
    /// Adds what is in the log at `path`. Where the writer died in the middle of a record is told by `torn`, and is damage if it is not
    /// the last log.
    pub fn add_log(
        &mut self,
        files: &dyn FileSystem,
        path: &Path,
        is_last: bool,
        reading: &Reading<'_>,
    ) -> Result<Option<(u64, u64)>> {
        let mut log = LogReader::new(files.open(path)?)?;
        loop {
            match log.next(reading) {
                Ok(Some((offset, record))) => {
                    let len = record.len() as u64;
                    if let Err(why) = self.add_batch(record) {
                        reading.skip(Error::corruption(path, offset, why), len)?;
                    }
                }
                Ok(None) => break,
                Err(error) => reading.skip(error, log.dropped_bytes())?,
            }
        }
        let torn = log.torn();
        if let Some((at, bytes)) = torn.filter(|_| !is_last) {
            reading.skip(Error::corruption(path, at, "a log that ends early, and another one follows"), bytes)?;
        }
        Ok(torn.filter(|_| is_last))
    }

    /// Adds the operations of a batch; those before a damaged one stay.
    fn add_batch(&mut self, record: &[u8]) -> std::result::Result<(), &'static str> {
        let mut reader = Reader::new(record);
        let (first, count) = reader.u64().zip(reader.u32()).ok_or("a batch that is too short")?;
        let mut found: u64 = 0;
        while !reader.is_empty() {
            const WRONG: &str = "a batch with an operation that is not readable";
            let kind = reader.u8().and_then(internal_key::kind).ok_or(WRONG)?;
            let key = reader.bytes().ok_or(WRONG)?;
            let value = if kind == Kind::Put { reader.bytes().ok_or(WRONG)? } else { &[] };
            let sequence = first.checked_add(found).filter(|&sequence| sequence <= MAX_SEQUENCE);
            let sequence = sequence.ok_or("a batch whose sequence is beyond what there can be")?;
            let (Ok(key_len), Ok(value_len)) = (u32::try_from(key.len()), u32::try_from(value.len())) else {
                return Err(WRONG);
            };
            self.items.push(Item { start: self.bytes.len(), key_len, value_len, sequence, kind });
            self.bytes.extend_from_slice(key);
            self.bytes.extend_from_slice(value);
            found += 1;
        }
        if found == u64::from(count) {
            Ok(())
        } else {
            Err("a batch that holds another number of operations than it says")
        }
    }

    /// Sorts what was added: by key, within one newest first.
    pub fn sort(&mut self) {
        let bytes = &self.bytes;
        let key = |item: &Item| &bytes[item.start..item.start + item.key_len as usize];
        self.items.sort_by(|a, b| key(a).cmp(key(b)).then(b.sequence.cmp(&a.sequence)));
        self.at = 0;
    }

    /// How many entries were added.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it stands on an entry.
    pub fn is_valid(&self) -> bool {
        self.at > 0 && self.at <= self.items.len()
    }

    /// The entry under it; `None` if it stands on none.
    pub fn entry(&self) -> Option<Entry<'_>> {
        let item = self.items.get(self.at.checked_sub(1)?)?;
        let value_at = item.start + item.key_len as usize;
        Some(Entry {
            key: &self.bytes[item.start..value_at],
            sequence: item.sequence,
            kind: item.kind,
            value: &self.bytes[value_at..value_at + item.value_len as usize],
        })
    }

    /// Moves to the next entry; false at the end.
    pub fn advance(&mut self) -> bool {
        self.at = (self.at + 1).min(self.items.len() + 1);
        self.is_valid()
    }
}
