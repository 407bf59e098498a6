//! Ranges of memtables: nothing is lost or torn apart, whatever the keys.

use super::*;
use crate::env::executor::mix;
use crate::iter::Cursor;
use crate::key::{Kind, MemtableId};
use crate::memtable::{ArenaPool, MemtableOptions, create};

fn memtable(id: u64, keys: &[Vec<u8>]) -> Arc<Memtable> {
    let options = MemtableOptions { hash_seed: id, pool: ArenaPool::new(0) };
    let (mut writer, memtable) = create(MemtableId(id), &options).unwrap();
    for (at, key) in keys.iter().enumerate() {
        writer.reserve(1, key.len() + 8).unwrap();
        writer.insert(id << 32 | (at as u64 + 1), Kind::Put, key, b"8 bytes.");
    }
    drop(writer);
    memtable.freeze();
    memtable
}

/// The keys of each version, by range and memtable.
fn walked(ranges: &FlushRanges, routed: Vec<RoutedNodes>) -> Vec<Vec<Vec<Vec<u8>>>> {
    let keys = |mut cursor: FlushCursor| {
        let mut keys = Vec::new();
        let mut more = cursor.seek_to_first().unwrap();
        while more {
            keys.push(cursor.entry().key.to_vec());
            more = cursor.next().unwrap();
        }
        keys
    };
    ranges.cursors(routed).into_iter().map(|range| range.into_iter().map(keys).collect()).collect()
}

fn check(name: &str, all: &[Vec<Vec<u8>>], range_bytes: u64, ranges_min: usize) {
    let memtables: Vec<_> = all.iter().enumerate().map(|(id, keys)| memtable(id as u64 + 1, keys)).collect();
    let ranges = FlushRanges::new(memtables.clone(), range_bytes);
    let routed = (0..ranges.chunks()).map(|chunk| ranges.route(chunk)).collect();
    let by_range = walked(&ranges, routed);
    assert!(by_range.len() >= ranges_min, "{name}: {} ranges", by_range.len());
    let mut before: Option<Vec<u8>> = None;
    let mut found = Vec::new();
    for range in &by_range {
        assert!(range.iter().all(|keys| keys.is_sorted()), "{name}: a cursor goes back");
        let mut keys = range.concat();
        keys.sort();
        let first = keys.first().expect("a range has entries");
        assert!(before.is_none_or(|before| before < *first), "{name}: ranges share a key");
        before = keys.last().cloned();
        found.extend(keys);
    }
    let mut expected = all.concat();
    expected.sort();
    assert!(found == expected, "{name}: {} of {} entries are in ranges", found.len(), expected.len());
    // Again, as cuts follow from nothing but what was written.
    let again = FlushRanges::new(memtables, range_bytes);
    let routed = (0..again.chunks()).map(|chunk| again.route(chunk)).collect();
    assert!(walked(&again, routed) == by_range, "{name}: another cut");
}

#[test]
fn every_entry_is_in_one_range_whatever_the_keys() {
    let random = |from: u64, to: u64| (from..to).map(|number| mix(number).to_be_bytes().to_vec()).collect::<Vec<_>>();
    let prefixed = |prefix: &[u8], keys: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        keys.into_iter().map(|key| [prefix, &key[..]].concat()).collect()
    };
    let times = |count: usize, keys: Vec<Vec<u8>>| std::iter::repeat_n(keys, count).flatten().collect::<Vec<_>>();
    let rising: Vec<Vec<u8>> = (0..5_000u64).map(|number| number.to_be_bytes().to_vec()).collect();
    check("random", &[random(0, 5_000)], 4_000, 15);
    check("rising", std::slice::from_ref(&rising), 4_000, 15);
    check("rising, then random", &[[rising.clone(), random(0, 5_000)].concat()], 4_000, 30);
    check("versions", &[times(4, random(0, 1_000)), random(500, 900)], 4_000, 10);
    check("a shared prefix", &[prefixed(&[b'p'; 50], random(0, 3_000))], 8_000, 15);
    // The largest memtable's bounds share what keys of others do not.
    check(
        "other prefixes",
        &[random(0, 300), prefixed(b"mmmmmmmmmmmm", random(0, 3_000)), vec![b"mmm".to_vec()]],
        4_000,
        10,
    );
    let nested: Vec<Vec<u8>> = (0..2_000).map(|len| vec![0; (len * 7) % 2_000]).collect();
    check("prefixes of each other", &[nested], 50_000, 10);
    check("one key", &[vec![b"one".to_vec(); 5_000]], 1_000, 1);
    check("two keys", &[times(900, vec![b"one".to_vec(), b"two".to_vec()]), vec![Vec::new()]], 1_000, 2);
    check("nothing", &[Vec::new()], 1, 0);
    check("several chunks", &[random(0, 2 * CHUNK_NODES as u64 + 5)], 1 << 18, 4);
}

#[test]
fn ranges_have_about_the_size_that_was_asked_for() {
    let keys: Vec<Vec<u8>> = (0..40_000).map(|number| mix(number).to_be_bytes().to_vec()).collect();
    let ranges = FlushRanges::new(vec![memtable(1, &keys)], 16_000);
    let routed = (0..ranges.chunks()).map(|chunk| ranges.route(chunk)).collect();
    let sizes: Vec<usize> = walked(&ranges, routed).iter().map(|range| 16 * range[0].len()).collect();
    assert!((30..60).contains(&sizes.len()), "{} ranges", sizes.len());
    assert!(sizes.iter().all(|bytes| *bytes < 32_000), "{sizes:?}");
}
