//! Writes what LevelDB writes, by its format documents, small and with whatever is wrong on request.

use super::super::checksum::masked;
use crate::coding::{put_bytes, put_u32, put_u64, put_varint};
use crate::key::Kind;

/// An entry: key, sequence, kind, value.
pub type Item = (Vec<u8>, u64, Kind, Vec<u8>);

/// Changes the bytes of a part before they get their checksum. The first argument is how many parts came before.
pub type Spoil<'a> = &'a mut dyn FnMut(usize, &mut Vec<u8>);

fn kind_byte(kind: Kind) -> u8 {
    u8::from(kind == Kind::Put)
}

pub fn put(key: &str, sequence: u64, value: &str) -> Item {
    (key.into(), sequence, Kind::Put, value.into())
}

pub fn delete(key: &str, sequence: u64) -> Item {
    (key.into(), sequence, Kind::Delete, Vec::new())
}

pub fn internal(item: &Item) -> Vec<u8> {
    let mut key = item.0.clone();
    put_u64(&mut key, item.1 << 8 | u64::from(kind_byte(item.2)));
    key
}

/// A batch of the log.
pub fn batch(items: &[Item]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_u64(&mut bytes, items.first().map_or(0, |item| item.1));
    put_u32(&mut bytes, items.len() as u32);
    for (key, _, kind, value) in items {
        bytes.push(kind_byte(*kind));
        put_bytes(&mut bytes, key);
        if *kind == Kind::Put {
            put_bytes(&mut bytes, value);
        }
    }
    bytes
}

/// A log or a manifest of these records.
pub fn log(records: &[Vec<u8>]) -> Vec<u8> {
    const BLOCK: usize = 32 << 10;
    let mut out: Vec<u8> = Vec::new();
    for record in records {
        let mut rest = &record[..];
        let mut first = true;
        loop {
            let left = BLOCK - out.len() % BLOCK;
            if left < 7 {
                out.resize(out.len() + left, 0);
                continue;
            }
            let (now, later) = rest.split_at(rest.len().min(left - 7));
            let kind = match (first, later.is_empty()) {
                (true, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            out.extend(fragment(kind, now));
            (rest, first) = (later, false);
            if rest.is_empty() {
                break;
            }
        }
    }
    out
}

/// One fragment with its header.
pub fn fragment(kind: u8, data: &[u8]) -> Vec<u8> {
    let covered = [&[kind], data].concat();
    let mut out = Vec::new();
    put_u32(&mut out, masked(crc32c::crc32c(&covered)));
    out.extend_from_slice(&(data.len() as u16).to_le_bytes());
    out.extend_from_slice(&covered);
    out
}

/// A decoded block of these entries, with a restart at every fourth.
fn block(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut restarts, mut last): (Vec<u8>, Vec<u32>, &[u8]) = (Vec::new(), Vec::new(), &[]);
    for (place, (key, value)) in entries.iter().enumerate() {
        let shared = if place % 4 == 0 {
            restarts.push(out.len() as u32);
            0
        } else {
            key.iter().zip(last).take_while(|(a, b)| a == b).count()
        };
        put_varint(&mut out, shared as u64);
        put_varint(&mut out, (key.len() - shared) as u64);
        put_varint(&mut out, value.len() as u64);
        out.extend_from_slice(&key[shared..]);
        out.extend_from_slice(value);
        last = key;
    }
    if restarts.is_empty() {
        restarts.push(0);
    }
    restarts.iter().for_each(|&restart| put_u32(&mut out, restart));
    put_u32(&mut out, restarts.len() as u32);
    out
}

/// A table under construction.
struct Builder<'a> {
    out: Vec<u8>,
    parts: usize,
    compression: u8,
    spoil: Spoil<'a>,
}

impl Builder<'_> {
    /// Stores a block; gives its handle.
    fn store(&mut self, mut content: Vec<u8>, compression: u8) -> Vec<u8> {
        (self.spoil)(2 * self.parts, &mut content);
        let mut stored = match compression {
            0 => content,
            1 => snap::raw::Encoder::new().compress_vec(&content).unwrap(),
            _ => zstd::bulk::compress(&content, 1).unwrap(),
        };
        (self.spoil)(2 * self.parts + 1, &mut stored);
        self.parts += 1;
        let mut handle = Vec::new();
        put_varint(&mut handle, self.out.len() as u64);
        put_varint(&mut handle, stored.len() as u64);
        stored.push(compression);
        let crc = masked(crc32c::crc32c(&stored));
        self.out.extend_from_slice(&stored);
        put_u32(&mut self.out, crc);
        handle
    }
}

/// A table of sorted items, three to a block, with a filter.
pub fn table(items: &[Item], compression: u8) -> Vec<u8> {
    spoiled_table(items, compression, &mut |_, _| {})
}

/// The same, with its parts changed before they get their checksums: each block before it is compressed and after, then the footer.
pub fn spoiled_table(items: &[Item], compression: u8, spoil: Spoil<'_>) -> Vec<u8> {
    let mut builder = Builder { out: Vec::new(), parts: 0, compression, spoil };
    let mut index = Vec::new();
    for chunk in items.chunks(3) {
        let entries: Vec<_> = chunk.iter().map(|item| (internal(item), item.3.clone())).collect();
        let handle = builder.store(block(&entries), builder.compression);
        index.push((entries[entries.len() - 1].0.clone(), handle));
    }
    let filter = builder.store(b"what a filter would be \x0b".to_vec(), 0);
    let metaindex = builder.store(block(&[(b"filter.leveldb.BuiltinBloomFilter2".to_vec(), filter)]), compression);
    let index = builder.store(block(&index), compression);
    let mut footer = [metaindex, index].concat();
    footer.resize(40, 0);
    put_u64(&mut footer, 0xdb47_7524_8b80_fb57);
    (builder.spoil)(2 * builder.parts, &mut footer);
    builder.out.extend_from_slice(&footer);
    builder.out
}

/// An edit of a manifest.
#[derive(Default)]
pub struct Edit(pub Vec<u8>);

impl Edit {
    /// The first edit of a manifest: the comparator, the oldest log, the next file, the last sequence.
    pub fn first(comparator: &str, log: u64) -> Self {
        let mut edit = Self::default();
        put_varint(&mut edit.0, 1);
        put_bytes(&mut edit.0, comparator.as_bytes());
        for (tag, value) in [(2, log), (9, 0), (3, 100), (4, 1000)] {
            put_varint(&mut edit.0, tag);
            put_varint(&mut edit.0, value);
        }
        edit
    }

    pub fn add(mut self, level: u64, number: u64, bytes: &[u8], items: &[Item]) -> Self {
        for value in [7, level, number, bytes.len() as u64] {
            put_varint(&mut self.0, value);
        }
        put_bytes(&mut self.0, &internal(&items[0]));
        put_bytes(&mut self.0, &internal(&items[items.len() - 1]));
        self
    }

    pub fn remove(mut self, level: u64, number: u64) -> Self {
        for value in [6, level, number] {
            put_varint(&mut self.0, value);
        }
        self
    }
}
