//! The memtable against a model, under threads, and against its own account of memory.

use super::*;
use crate::iter::Cursor;
use crate::key::{Entry, MAX_SEQUENCE};
use std::collections::BTreeMap;

/// A small generator: tests must not depend on anything random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }
}

fn new_memtable() -> (MemtableWriter, Arc<Memtable>) {
    create(MemtableId(1), &MemtableOptions { hash_seed: 7, pool: ArenaPool::new(64 << 20) }).unwrap()
}

fn put(writer: &mut MemtableWriter, sequence: Sequence, key: &[u8], value: &[u8]) {
    writer.reserve(1, key.len() + value.len()).unwrap();
    writer.insert(sequence, Kind::Put, key, value);
}

type Model = BTreeMap<(Vec<u8>, std::cmp::Reverse<Sequence>), (Kind, Vec<u8>)>;

fn owned(entry: Entry<'_>) -> (Vec<u8>, Sequence, Kind, Vec<u8>) {
    (entry.key.to_vec(), entry.sequence, entry.kind, entry.value.to_vec())
}

fn listed(model: &Model) -> Vec<(Vec<u8>, Sequence, Kind, Vec<u8>)> {
    model.iter().map(|((key, sequence), (kind, value))| (key.clone(), sequence.0, *kind, value.clone())).collect()
}

fn forward(cursor: &mut impl Cursor) -> Vec<(Vec<u8>, Sequence, Kind, Vec<u8>)> {
    let mut all = Vec::new();
    let mut more = cursor.seek_to_first().unwrap();
    while more {
        all.push(owned(cursor.entry()));
        more = cursor.next().unwrap();
    }
    all
}

fn backward(cursor: &mut impl Cursor) -> Vec<(Vec<u8>, Sequence, Kind, Vec<u8>)> {
    let mut all = Vec::new();
    let mut more = cursor.seek_to_last().unwrap();
    while more {
        all.push(owned(cursor.entry()));
        more = cursor.prev().unwrap();
    }
    all
}

/// Keys of many shapes: short ones over a tiny alphabet (prefixes of each other, zeros at the end), decimal ones behind a
/// shared prefix, and random ones.
fn some_key(random: &mut Random, shape: u64) -> Vec<u8> {
    match shape % 4 {
        0 => (0..random.below(12)).map(|_| [0, 1, b'a', 255][random.below(4) as usize]).collect(),
        1 => format!("user/{:08}", random.below(5_000)).into_bytes(),
        2 => random.below(3_000).to_be_bytes().to_vec(),
        _ => {
            let mut key = b"a prefix longer than sixteen bytes/".to_vec();
            key.extend_from_slice(&random.below(2_000).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
            key
        }
    }
}

fn check_against_model(seed: u64, operations: u64, shape: Option<u64>) {
    let mut random = Random(seed * 2 + 1);
    let (mut writer, memtable) = new_memtable();
    let mut model = Model::new();
    for sequence in 1..=operations {
        let shape = shape.unwrap_or_else(|| random.below(4));
        let key = some_key(&mut random, shape);
        let kind = if random.below(5) == 0 { Kind::Delete } else { Kind::Put };
        let value =
            if kind == Kind::Put { sequence.to_le_bytes().repeat(random.below(4) as usize) } else { Vec::new() };
        writer.reserve(1, key.len() + value.len()).unwrap();
        writer.insert(sequence, kind, &key, &value);
        model.insert((key, std::cmp::Reverse(sequence)), (kind, value));
        if random.below(97) == 0 {
            memtable.feed_lag();
        }
        if random.below(operations / 4) == 0 {
            assert_eq!(forward(&mut memtable.cursor()), listed(&model));
            assert_eq!(forward(&mut memtable.flush_cursor()), listed(&model));
        }
    }
    let expected = listed(&model);
    let mut reversed = expected.clone();
    reversed.reverse();
    let mut cursor = memtable.cursor();
    assert_eq!(forward(&mut cursor), expected);
    assert_eq!(backward(&mut cursor), reversed);
    // Gets and seeks at many snapshots.
    for _ in 0..2_000 {
        let shape = shape.unwrap_or_else(|| random.below(4));
        let key = some_key(&mut random, shape);
        let snapshot = random.below(operations + 2);
        let wanted = model
            .range((key.clone(), std::cmp::Reverse(snapshot))..)
            .next()
            .filter(|((found, _), _)| *found == key)
            .map(|((_, sequence), (kind, value))| (sequence.0, *kind, value.as_slice()));
        let found = memtable.get(&key, snapshot);
        assert_eq!(found.map(|found| (found.sequence, found.kind, found.value)), wanted);
        let at = expected.partition_point(|entry| entry.0 < key);
        assert_eq!(cursor.seek(&key).unwrap(), at < expected.len());
        assert_eq!(cursor.is_valid().then(|| owned(cursor.entry())), expected.get(at).cloned());
        if cursor.is_valid() && at > 0 {
            assert!(cursor.prev().unwrap());
            assert_eq!(owned(cursor.entry()), expected[at - 1]);
            assert!(cursor.next().unwrap());
            assert_eq!(owned(cursor.entry()), expected[at]);
        }
        let at = expected.partition_point(|entry| entry.0 <= key);
        assert_eq!(cursor.seek_for_prev(&key).unwrap(), at > 0);
        assert_eq!(cursor.is_valid().then(|| owned(cursor.entry())), at.checked_sub(1).map(|at| expected[at].clone()));
        if cursor.is_valid() {
            assert_eq!(cursor.next().unwrap(), at < expected.len());
            assert_eq!(cursor.is_valid().then(|| owned(cursor.entry())), expected.get(at).cloned());
        }
    }
    memtable.freeze();
    assert_eq!(forward(&mut memtable.flush_cursor()), expected);
    assert_eq!(memtable.entry_count(), operations);
    assert_eq!((memtable.first_sequence(), memtable.last_sequence()), (Some(1), Some(operations)));
    let payload: usize = expected.iter().map(|entry| entry.0.len() + entry.3.len()).sum();
    assert_eq!(memtable.payload_bytes(), payload as u64);
    let tombstones = expected.iter().filter(|entry| entry.2 == Kind::Delete).count();
    assert_eq!(memtable.tombstone_count(), tombstones as u64);
}

#[test]
fn agrees_with_a_model_at_every_snapshot_both_ways() {
    for seed in 1..=6 {
        check_against_model(seed, 3_000, None);
        check_against_model(seed + 100, 60, None);
    }
    for shape in 0..4 {
        check_against_model(shape + 50, 12_000, Some(shape));
    }
}

#[test]
fn an_empty_memtable_holds_no_memory_and_no_entries() {
    let (_writer, memtable) = new_memtable();
    assert!(memtable.memory_bytes() < 4 << 10 && memtable.is_empty());
    assert_eq!(memtable.get(b"", MAX_SEQUENCE), None);
    let mut cursor = memtable.cursor();
    assert!(!cursor.seek_to_first().unwrap() && !cursor.seek_to_last().unwrap());
    assert!(!cursor.seek(b"").unwrap() && !cursor.seek_for_prev(b"x").unwrap());
    assert!(!memtable.flush_cursor().seek_to_first().unwrap());
    assert_eq!(memtable.first_sequence(), None);
}
