//! Prints what an insert, a get, the sort at freeze and a scan of a memtable cost, for several shapes of keys.
//!
//! Run with `cargo run --release --example memtable_speed`. Takes about two seconds.

use sstore::iter::Cursor;
use sstore::key::{Kind, MAX_SEQUENCE, MemtableId};
use sstore::memtable::{self, ArenaPool, MemtableOptions};
use std::sync::Arc;
use std::time::Instant;

const ENTRIES: u64 = 480_000;

/// Makes the n-th key of a shape.
type Key = fn(u64) -> Vec<u8>;

fn main() {
    let shapes: [(&str, Key); 5] = [
        ("random 16 B", |at| [mix(at).to_be_bytes(), mix(at + ENTRIES).to_be_bytes()].concat()),
        ("8 B shared", |at| [*b"tenant07", mix(at).to_be_bytes()].concat()),
        ("decimal", |at| format!("{:016}", mix(at) % 10_000_000_000_000_000).into_bytes()),
        ("40 B", |at| [b"a/fairly/long/shared/path/to/rows".as_slice(), &mix(at).to_be_bytes()[..7]].concat()),
        ("ascending", |at| at.to_be_bytes().repeat(2)),
    ];
    let pool = ArenaPool::new(256 << 20);
    println!("{ENTRIES} keys, 100-byte values; ns an entry; the first line also touches fresh memory");
    println!("shape           insert    get  first range  sort+walk  cold cursor  walk  new cursor us  bytes/entry");
    for (index, (name, key)) in [shapes[0]].iter().chain(&shapes).enumerate() {
        measure(if index == 0 { "(fresh memory)" } else { name }, *key, &pool);
    }
}

fn measure(name: &str, key: Key, pool: &Arc<ArenaPool>) {
    let keys: Vec<Vec<u8>> = (0..ENTRIES).map(key).collect();
    let options = MemtableOptions { hash_seed: 1, pool: pool.clone() };
    let (mut writer, memtable) = memtable::create(MemtableId(1), &options).expect("memory");
    let value = [7u8; 100];
    let per_entry = |start: Instant| start.elapsed().as_nanos() as u64 / ENTRIES;

    let start = Instant::now();
    for (at, key) in keys.iter().enumerate() {
        writer.reserve(1, key.len() + value.len()).expect("memory");
        writer.insert(at as u64 + 1, Kind::Put, key, &value);
    }
    let insert = per_entry(start);

    let start = Instant::now();
    let mut found = 0;
    for at in 0..ENTRIES {
        let key = &keys[(mix(at) % ENTRIES) as usize];
        found += memtable.get(key, MAX_SEQUENCE).map_or(0, |found| found.value.len());
    }
    let get = per_entry(start);
    assert_eq!(found as u64, ENTRIES * 100);
    let memory = memtable.memory_bytes() as u64 / ENTRIES;

    let start = Instant::now();
    let mut cursor = memtable.flush_cursor();
    cursor.seek_to_first().expect("no error");
    let first = per_entry(start);
    let mut count = 1;
    while cursor.next().expect("no error") {
        count += 1;
    }
    let sort = per_entry(start);
    assert_eq!(count, ENTRIES);
    drop(cursor);

    let start = Instant::now();
    let mut cursor = memtable.cursor();
    cursor.seek_to_first().expect("no error");
    let cold = per_entry(start);
    let start = Instant::now();
    let mut bytes = 0;
    let mut more = true;
    while more {
        bytes += cursor.entry().value.len();
        more = cursor.next().expect("no error");
    }
    let walk = per_entry(start);
    assert_eq!(bytes as u64, ENTRIES * 100);
    drop(cursor);

    let start = Instant::now();
    for at in 0..1_000 {
        let new_key = [b"new".as_slice(), &mix(at + 3 * ENTRIES).to_be_bytes()].concat();
        writer.reserve(1, new_key.len() + value.len()).expect("memory");
        writer.insert(ENTRIES + 1 + at, Kind::Put, &new_key, &value);
        if at % 100 == 0 {
            assert!(memtable.cursor().seek(&new_key).expect("no error"));
        }
    }
    let again = start.elapsed().as_micros() / 10;
    println!("{name:14} {insert:7} {get:6} {first:12} {sort:10} {cold:12} {walk:5} {again:14} {memory:12}");
}

fn mix(at: u64) -> u64 {
    let mut x = at.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
