//! Prints what a table costs per entry: building, opening, point lookups from cache, walking, both ways of compression.
//!
//! Run with `cargo run --release -p sstore --example sst_speed`; a few seconds, files in the temporary directory. The numbers
//! are nanoseconds of wall time, the best of several rounds, so that a busy machine disturbs them least.

use sstore::env::{Env, posix};
use sstore::error::Result;
use sstore::filter::key_hash;
use sstore::iter::{Cursor, EntryBatch, Fill};
use sstore::key::{Entry, FileNumber, Kind, MAX_SEQUENCE};
use sstore::sst::{
    Access, BlockCache, Compression, Expected, Io, Lookup, SstIdentity, SstOptions, SstReader, SstWriter,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

struct Shape {
    name: &'static str,
    entries: usize,
    key_len: usize,
    key_prefix: &'static [u8],
    value_len: usize,
    compression: Compression,
}

const SHAPES: [Shape; 7] = [
    shape("16 B keys, 100 B values", 300_000, 16, b"", 100, Compression::None),
    shape("40 B keys, 100 B values", 300_000, 40, b"", 100, Compression::None),
    shape("24 B keys, 16 shared", 300_000, 24, b"tenant/000000042", 100, Compression::None),
    shape("16 B keys, 4 KB values", 10_000, 16, b"", 4096, Compression::None),
    shape("16 B keys, 100 B, LZ4", 300_000, 16, b"", 100, Compression::Lz4),
    shape("16 B keys, 100 B, Zstd", 300_000, 16, b"", 100, Compression::Zstd),
    shape("16 B keys, 4 KB, LZ4", 10_000, 16, b"", 4096, Compression::Lz4),
];

const fn shape(
    name: &'static str,
    entries: usize,
    key_len: usize,
    key_prefix: &'static [u8],
    value_len: usize,
    compression: Compression,
) -> Shape {
    Shape { name, entries, key_len, key_prefix, value_len, compression }
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Keys of one length side by side, so that fetching one costs the measurement little.
struct Keys {
    bytes: Vec<u8>,
    key_len: usize,
}

impl Keys {
    fn len(&self) -> usize {
        self.bytes.len() / self.key_len
    }

    fn get(&self, index: usize) -> &[u8] {
        &self.bytes[index * self.key_len..][..self.key_len]
    }
}

fn keys(shape: &Shape) -> Keys {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let mut keys: Vec<Vec<u8>> = (0..shape.entries)
        .map(|_| {
            let mut key = shape.key_prefix.to_vec();
            while key.len() < shape.key_len {
                key.extend_from_slice(format!("{:016x}", random(&mut state)).as_bytes());
            }
            key.truncate(shape.key_len);
            key
        })
        .collect();
    keys.sort();
    keys.dedup();
    Keys { bytes: keys.concat(), key_len: shape.key_len }
}

fn build(env: &Env, path: &Path, shape: &Shape, keys: &Keys, noise: &[u8]) -> Result<(f64, f64)> {
    let identity = SstIdentity { number: FileNumber(1), ..SstIdentity::default() };
    let options = SstOptions { compression: shape.compression, ..SstOptions::default() };
    let begin = Instant::now();
    let mut writer = SstWriter::create(env, path, identity, options)?;
    for index in 0..keys.len() {
        let key = keys.get(index);
        let from = (index * 97) % (noise.len() - shape.value_len);
        let value = &noise[from..from + shape.value_len];
        writer.add(Entry { key, sequence: index as u64 + 1, kind: Kind::Put, value })?;
    }
    let added = begin.elapsed().as_nanos() as f64;
    writer.finish()?;
    Ok((added, begin.elapsed().as_nanos() as f64))
}

fn lookups(reader: &SstReader, keys: &Keys, order: &[u32]) -> Result<f64> {
    let begin = Instant::now();
    let mut found = 0;
    for &index in order {
        let key = keys.get(index as usize);
        if let Lookup::Found { value, .. } = reader.get(key, key_hash(key), u64::MAX, Io::Allowed)? {
            found += usize::from(!value.is_empty());
        }
    }
    assert_eq!(found, order.len());
    Ok(begin.elapsed().as_nanos() as f64 / order.len() as f64)
}

fn fill(reader: &Arc<SstReader>, access: Access, entries: usize) -> Result<f64> {
    let mut cursor = reader.cursor(access);
    let mut batch = EntryBatch::new();
    let begin = Instant::now();
    let (mut more, mut seen) = (cursor.seek_to_first()?, 0);
    while more {
        batch.clear();
        let (bytes_left, snapshot) = (usize::MAX, MAX_SEQUENCE);
        cursor.fill(&mut Fill { batch: &mut batch, limit: 256, bytes_left, until: None, snapshot, forward: true })?;
        more = cursor.is_valid();
        seen += batch.len();
    }
    assert_eq!(seen, entries);
    Ok(begin.elapsed().as_nanos() as f64 / seen as f64)
}

fn step(reader: &Arc<SstReader>) -> Result<f64> {
    let mut cursor = reader.cursor(Access::Cached);
    let begin = Instant::now();
    let (mut valid, mut seen, mut bytes) = (cursor.seek_to_first()?, 0, 0);
    while valid {
        let entry = cursor.entry();
        bytes += entry.key.len() + entry.value.len();
        seen += 1;
        valid = cursor.next()?;
    }
    assert!(bytes > 0);
    Ok(begin.elapsed().as_nanos() as f64 / f64::from(seen))
}

fn seeks(reader: &Arc<SstReader>, keys: &Keys, order: &[u32]) -> Result<f64> {
    let mut cursor = reader.cursor(Access::Cached);
    let begin = Instant::now();
    for &index in order {
        assert!(cursor.seek(keys.get(index as usize))?);
    }
    Ok(begin.elapsed().as_nanos() as f64 / order.len() as f64)
}

fn best(rounds: usize, mut run: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut least = f64::MAX;
    for _ in 0..rounds {
        least = least.min(run()?);
    }
    Ok(least)
}

fn main() -> Result<()> {
    let env = posix::posix();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("000001.sst");
    // Half noise, half repetition: compresses to about a half, as the usual benchmarks have it.
    let mut state = 1;
    let noise: Vec<u8> = (0..1 << 20).map(|n| if n & 63 < 32 { random(&mut state) as u8 } else { 7 }).collect();
    println!(
        "{:24} {:>7} {:>7} {:>8} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
        "ns per entry",
        "add",
        "+finish",
        "MB/s add",
        "B/entry",
        "get",
        "hot get",
        "absent",
        "seek",
        "next",
        "fill",
        "scan"
    );
    for shape in &SHAPES {
        let keys = keys(shape);
        let payload = keys.len() * (shape.key_len + shape.value_len);
        let (mut add, mut all) = (f64::MAX, f64::MAX);
        for _ in 0..2 {
            let _ = std::fs::remove_file(&path);
            let (added, finished) = build(&env, &path, shape, &keys, &noise)?;
            (add, all) = (add.min(added), all.min(finished));
        }
        let expected = Expected { number: FileNumber(1), ..Expected::default() };
        let reader = SstReader::open(&env, &path, &expected, BlockCache::new(256 << 20))?;
        let order: Vec<u32> = (0..50_000).map(|_| (random(&mut state) % keys.len() as u64) as u32).collect();
        let count = keys.len() as f64;
        lookups(&reader, &keys, &order)?;
        step(&reader)?;
        let get = best(3, || lookups(&reader, &keys, &order))?;
        let hot: Vec<u32> = order.iter().map(|index| index % 1000).collect();
        let hot_get = best(3, || lookups(&reader, &keys, &hot))?;
        let absent = best(3, || {
            let begin = Instant::now();
            for index in &order {
                let key = &keys.get(*index as usize)[..shape.key_len - 1];
                reader.get(key, key_hash(key), u64::MAX, Io::Allowed)?;
            }
            Ok(begin.elapsed().as_nanos() as f64 / order.len() as f64)
        })?;
        let seek = best(3, || seeks(&reader, &keys, &order))?;
        let next = best(2, || step(&reader))?;
        let filled = best(3, || fill(&reader, Access::Cached, keys.len()))?;
        let scanned = best(2, || fill(&reader, Access::Scan, keys.len()))?;
        println!(
            "{:24} {:7.0} {:7.0} {:8.0} {:7.1} {:7.0} {:7.0} {:7.0} {:7.0} {:7.1} {:7.1} {:7.1}",
            shape.name,
            add / count,
            all / count,
            payload as f64 * 1e3 / add,
            reader.size_bytes() as f64 / count,
            get,
            hot_get,
            absent,
            seek,
            next,
            filled,
            scanned
        );
    }
    Ok(())
}
