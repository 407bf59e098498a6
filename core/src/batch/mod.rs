//! A write batch: operations on several column families and tables that become visible, and durable, together.
//!
//! Filled by the application, logged as it is by `commit`, applied to memtables, and read back by recovery. Its bytes are the
//! payload of a log record; the format is in `FORMAT.md`.
#![doc = include_str!("FORMAT.md")]

#[cfg(feature = "arrow")]
mod rows;

#[cfg(feature = "arrow")]
pub use rows::{PreparedRows, RowsHeader};

use crate::coding::{Reader, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, Kind, MAX_BATCH_BYTES, MAX_BATCH_COUNT, MAX_KEY_BYTES, MAX_VALUE_BYTES};

/// One operation of a batch, borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation<'a> {
    /// What it does.
    pub kind: Kind,
    /// The column family or table it goes to.
    pub collection: CollectionId,
    /// The key. Of rows: their schema and how many there are.
    pub key: &'a [u8],
    /// The value; empty for a delete. Of rows: the rows.
    pub value: &'a [u8],
}

/// Operations that are applied together. Not shared between threads while it is being filled.
#[derive(Debug, Clone, Default)]
pub struct WriteBatch {
    bytes: Vec<u8>,
    count: u32,
    /// The rows of each operation on a table, in order, ready for its memtable.
    #[cfg(feature = "arrow")]
    rows: Vec<(CollectionId, std::sync::Arc<PreparedRows>)>,
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value` in `collection`.
    pub fn put(&mut self, collection: CollectionId, key: &[u8], value: &[u8]) -> Result<()> {
        self.push(Kind::Put, collection, key, value)
    }

    /// Removes `key` from `collection`.
    pub fn delete(&mut self, collection: CollectionId, key: &[u8]) -> Result<()> {
        self.push(Kind::Delete, collection, key, &[])
    }

    /// Adds all operations of `other`, in order, after those already here.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        self.check_room(other.bytes.len(), other.count as usize)?;
        self.bytes.extend_from_slice(&other.bytes);
        self.count += other.count;
        #[cfg(feature = "arrow")]
        self.rows.extend_from_slice(&other.rows);
        Ok(())
    }

    /// Forgets all operations; keeps the buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
        #[cfg(feature = "arrow")]
        self.rows.clear();
    }

    /// How many operations it holds.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its encoded size in bytes.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Its operations in order.
    pub fn iter(&self) -> Operations<'_> {
        Operations { reader: Reader::new(&self.bytes) }
    }

    /// Its encoding, as it stands in the log.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn push(&mut self, kind: Kind, collection: CollectionId, key: &[u8], value: &[u8]) -> Result<()> {
        check_sizes(key, value)?;
        self.check_room(MAX_PREFIX_BYTES + key.len() + value.len(), 1)?;
        self.bytes
            .try_reserve(MAX_PREFIX_BYTES + key.len() + value.len())
            .map_err(|_| Error::new(ErrorKind::NoMemory, "no memory for the write batch"))?;
        put_prefix(&mut self.bytes, kind, collection, key.len(), value.len());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.count += 1;
        Ok(())
    }

    fn check_room(&self, bytes: usize, count: usize) -> Result<()> {
        if self.bytes.len() + bytes > MAX_BATCH_BYTES || self.len() + count > MAX_BATCH_COUNT {
            return Err(Error::invalid(format!(
                "write batch would grow beyond its limit of {MAX_BATCH_BYTES} bytes: it holds {} and {bytes} more were added",
                self.bytes.len()
            )));
        }
        Ok(())
    }
}

/// The most bytes that stand before an operation's key.
pub const MAX_PREFIX_BYTES: usize = 1 + 5 + 3 + 5;

/// Refuses keys and values beyond the limits, naming which one and by how much.
#[inline]
pub fn check_sizes(key: &[u8], value: &[u8]) -> Result<()> {
    check_lengths(key.len(), value.len())
}

/// As [`check_sizes`], of a key and a value of these lengths.
#[inline]
pub fn check_lengths(key_len: usize, value_len: usize) -> Result<()> {
    if key_len > MAX_KEY_BYTES {
        return Err(Error::invalid(format!("key is {key_len} bytes, at most {MAX_KEY_BYTES} are allowed")));
    }
    if value_len > MAX_VALUE_BYTES {
        return Err(Error::invalid(format!("value is {value_len} bytes, at most {MAX_VALUE_BYTES} are allowed")));
    }
    Ok(())
}

/// Appends what stands before the key of an operation.
#[inline]
pub fn put_prefix(out: &mut Vec<u8>, kind: Kind, collection: CollectionId, key_len: usize, value_len: usize) {
    out.push(kind as u8);
    put_varint(out, u64::from(collection.0));
    put_varint(out, key_len as u64);
    put_varint(out, value_len as u64);
}

/// Walks encoded operations, from a batch or from a log record. An undecodable one ends the walk with a message.
#[derive(Clone)]
pub struct Operations<'a> {
    reader: Reader<'a>,
}

impl<'a> Operations<'a> {
    /// The operations encoded in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes) }
    }

    fn decode(&mut self) -> std::result::Result<Operation<'a>, &'static str> {
        const SHORT: &str = "operation ends early";
        let kind = Kind::of_operation(self.reader.u8().ok_or(SHORT)?).ok_or("operation of an unknown kind")?;
        let collection =
            self.reader.varint().and_then(|id| u32::try_from(id).ok()).ok_or("collection id out of range")?;
        let key_len = self.reader.varint().ok_or(SHORT)? as usize;
        let value_len = self.reader.varint().ok_or(SHORT)? as usize;
        if key_len > MAX_KEY_BYTES || value_len > MAX_VALUE_BYTES || (kind == Kind::Delete && value_len != 0) {
            return Err("operation with a key or value of impossible length");
        }
        let key = self.reader.take(key_len).ok_or(SHORT)?;
        let value = self.reader.take(value_len).ok_or(SHORT)?;
        Ok(Operation { kind, collection: CollectionId(collection), key, value })
    }
}

impl<'a> Iterator for Operations<'a> {
    type Item = std::result::Result<Operation<'a>, &'static str>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let item = self.decode();
        if item.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_come_back_in_order() {
        let mut batch = WriteBatch::new();
        batch.put(CollectionId(0), b"a", b"1").unwrap();
        batch.delete(CollectionId(300), b"").unwrap();
        let mut other = WriteBatch::new();
        other.put(CollectionId(1), b"b", &[7; 300]).unwrap();
        batch.append(&other).unwrap();
        let ops: Vec<_> = batch.iter().map(|op| op.unwrap()).collect();
        assert_eq!(batch.len(), 3);
        assert_eq!(ops[0], Operation { kind: Kind::Put, collection: CollectionId(0), key: b"a", value: b"1" });
        assert_eq!(ops[1], Operation { kind: Kind::Delete, collection: CollectionId(300), key: b"", value: b"" });
        assert_eq!(ops[2].value, &[7; 300]);
        batch.clear();
        assert!(batch.is_empty() && batch.iter().next().is_none());
    }

    #[test]
    fn sizes_beyond_the_limits_are_refused_by_name() {
        let mut batch = WriteBatch::new();
        let key = vec![0; MAX_KEY_BYTES + 1];
        assert!(batch.put(CollectionId(0), &key, b"").unwrap_err().message().starts_with("key is 65537 bytes"));
        batch.put(CollectionId(0), &key[1..], b"").unwrap();
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn damaged_bytes_end_the_walk_with_a_message() {
        let mut batch = WriteBatch::new();
        batch.put(CollectionId(1), b"key", b"value").unwrap();
        for len in 1..batch.as_bytes().len() {
            let walked: Vec<_> = Operations::new(&batch.as_bytes()[..len]).collect();
            assert_eq!(walked.len(), 1);
            assert!(walked[0].is_err(), "cut at {len}");
        }
        assert!(Operations::new(&[3, 0, 0, 0]).next().unwrap().is_err(), "reserved kinds are refused");
    }

    #[test]
    fn the_example_of_the_format_text_decodes() {
        let hex: Vec<u8> = include_str!("FORMAT.md")
            .lines()
            .skip_while(|line| !line.starts_with("```hex"))
            .skip(1)
            .take_while(|line| !line.starts_with("```"))
            .flat_map(|line| line.split('#').next().unwrap().split_whitespace())
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        let mut batch = WriteBatch::new();
        batch.put(CollectionId(0), b"cat", b"meow").unwrap();
        batch.delete(CollectionId(200), b"dog").unwrap();
        assert_eq!(batch.as_bytes(), hex);
    }
}
