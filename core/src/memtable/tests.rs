//! The memtable against a model, under threads, and against its own account of memory.

use super::*;
use crate::iter::{Cursor, PinnedBytes};
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

/// Feeds node by node through every kind of split, with cursors that stand in blocks replaced under them.
#[test]
fn the_tree_keeps_its_order_through_many_splits() {
    for shape in 0..3u64 {
        let mut random = Random(shape + 1);
        let (mut writer, memtable) = new_memtable();
        put(&mut writer, 1, b"zz", b"");
        put(&mut writer, 2, b"", b"");
        memtable.expect_iterators();
        let mut model = vec![b"".to_vec(), b"zz".to_vec()];
        let mut standing = memtable.cursor();
        for sequence in 3..60_000u64 {
            let number = match shape {
                0 => random.next(),
                1 => sequence,
                _ => u64::MAX - sequence,
            };
            let key = [b"shared/".as_slice(), &number.to_be_bytes()].concat();
            put(&mut writer, sequence, &key, b"");
            model.push(key);
            memtable.feed_lag();
            if sequence % 10_007 == 0 {
                standing = memtable.cursor();
                assert!(standing.seek(&model[model.len() / 2]).unwrap());
            }
        }
        model.sort();
        let keys: Vec<_> = forward(&mut memtable.cursor()).into_iter().map(|entry| entry.0).collect();
        assert_eq!(keys, model);
        let mut keys: Vec<_> = backward(&mut memtable.cursor()).into_iter().map(|entry| entry.0).collect();
        keys.reverse();
        assert_eq!(keys, model);
        // The old cursor walks on from its copy and sees every key that was there when it was made.
        let mut last = standing.entry().key.to_vec();
        while standing.next().unwrap() {
            assert!(standing.entry().key > last.as_slice());
            last = standing.entry().key.to_vec();
        }
        assert_eq!(last, b"zz");
    }
}

#[test]
fn an_old_snapshot_finds_its_version_of_a_hot_key_quickly() {
    let (mut writer, memtable) = new_memtable();
    let versions = 100_000u64;
    for sequence in 1..=versions {
        put(&mut writer, sequence * 2, b"hot", &sequence.to_le_bytes());
    }
    for snapshot in (2..=versions * 2).step_by(333) {
        assert_eq!(memtable.get(b"hot", snapshot).unwrap().value, (snapshot / 2).to_le_bytes());
        assert_eq!(memtable.get(b"hot", snapshot | 1).unwrap().sequence, snapshot & !1);
    }
    assert_eq!(memtable.get(b"hot", 1), None);
    // Two hundred thousand linear walks would take minutes; by jumps this is instant.
    for round in 0..200_000u64 {
        assert!(memtable.get(b"hot", 2 + round % 50).is_some());
    }
    let all = backward(&mut memtable.cursor());
    assert_eq!(all.len(), versions as usize);
    assert!(all.is_sorted_by(|a, b| a.1 < b.1), "the oldest version comes first on the way back");
}

#[test]
fn memory_is_what_is_held_and_goes_back_to_the_pool() {
    let pool = ArenaPool::new(64 << 20);
    let options = MemtableOptions { hash_seed: 3, pool: pool.clone() };
    let fill = |memtable: &Arc<Memtable>, writer: &mut MemtableWriter| {
        for sequence in 1..=40_000u64 {
            put(writer, sequence, &sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes(), &[1; 90]);
        }
        assert_eq!(forward(&mut memtable.cursor()).len(), 40_000);
    };
    let (mut writer, memtable) = create(MemtableId(1), &options).unwrap();
    fill(&memtable, &mut writer);
    let held = memtable.memory_bytes();
    assert!(held as u64 > memtable.payload_bytes() && held < 12 << 20, "{held}");
    drop(writer);
    assert_eq!(pool.held_bytes(), 0, "a reference is left");
    let value = PinnedBytes::new(&memtable, |memtable| memtable.get(&1u64.to_be_bytes(), 0).map_or(b"", |it| it.value));
    drop(memtable);
    assert_eq!(pool.held_bytes(), 0, "a pinned value is left");
    drop(value);
    let recycled = pool.held_bytes();
    // All but the few small blocks below the pool's least size.
    let small = held - size_of::<Memtable>() - recycled;
    assert!(small < 16 << 10, "{small}");
    // The next one lives on what came back, in arrays that were zeroed again.
    let (mut writer, memtable) = create(MemtableId(2), &options).unwrap();
    assert_eq!(memtable.get(&0u64.to_be_bytes(), MAX_SEQUENCE), None);
    fill(&memtable, &mut writer);
    assert_eq!(memtable.memory_bytes(), held);
    assert_eq!(pool.held_bytes(), 0);
    drop((writer, memtable));
    assert_eq!(pool.held_bytes(), recycled);
    // A pool that may keep little keeps little.
    let pool = ArenaPool::new(100 << 10);
    let (mut writer, memtable) = create(MemtableId(3), &MemtableOptions { hash_seed: 3, pool: pool.clone() }).unwrap();
    fill(&memtable, &mut writer);
    drop((writer, memtable));
    assert!(pool.held_bytes() <= 100 << 10);
}

#[test]
fn a_thousand_idle_memtables_stay_small() {
    let pool = ArenaPool::new(0);
    let idle: Vec<_> = (0..1_000u64)
        .map(|id| {
            let (mut writer, memtable) =
                create(MemtableId(id), &MemtableOptions { hash_seed: id, pool: pool.clone() }).unwrap();
            put(&mut writer, 1, b"b", b"1");
            put(&mut writer, 2, b"a", b"2");
            assert!(memtable.cursor().seek_to_first().unwrap());
            (writer, memtable)
        })
        .collect();
    assert!(idle.iter().map(|(_, memtable)| memtable.memory_bytes()).sum::<usize>() < 128 << 20);
}

#[test]
fn large_keys_values_and_batches_fit_and_absurd_ones_are_refused() {
    let (mut writer, memtable) = new_memtable();
    let key = vec![b'k'; 64 << 10];
    let value = vec![b'v'; 9 << 20];
    put(&mut writer, 1, b"small", b"before");
    put(&mut writer, 2, &key, &value);
    put(&mut writer, 3, b"small", b"after");
    assert_eq!(memtable.get(&key, MAX_SEQUENCE).unwrap().value, value);
    assert_eq!(memtable.get(b"small", 2).unwrap().value, b"before");
    assert!(memtable.memory_bytes() < 12 << 20, "the rest of the chunk before the large one is used on");
    let before = memtable.memory_bytes();
    let error = writer.reserve(1, usize::MAX - 5).unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::NoMemory);
    assert_eq!(memtable.memory_bytes(), before);
    // One reservation for many inserts, far beyond what the index was made for.
    let operations = 20_000u64;
    writer.reserve(operations as usize, operations as usize * 8).unwrap();
    for at in 0..operations {
        writer.insert(10 + at, Kind::Put, &at.to_be_bytes(), b"");
    }
    assert!((0..operations).all(|at| memtable.get(&at.to_be_bytes(), MAX_SEQUENCE).is_some()));
    assert_eq!(memtable.key_count(), operations + 2);
}

/// One writer, a reader that gets, a reader that scans both ways, and a feeder, all at once, through many doublings of the
/// index: a reader that learned a sequence sees everything up to it, and never half of anything.
#[test]
fn readers_see_everything_they_learned_of_while_a_writer_writes() {
    const KEYS: u64 = 30_000;
    let key = |at: u64| [b"shared prefix".as_slice(), &at.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()].concat();
    let (mut writer, memtable) = new_memtable();
    memtable.expect_iterators();
    let visible = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(5);
            while !done.load(Ordering::Relaxed) {
                let snapshot = visible.load(Ordering::Acquire);
                if snapshot == 0 {
                    continue;
                }
                let at = 1 + random.below(snapshot);
                let found = memtable.get(&key(at), snapshot).expect("a visible key is found");
                assert_eq!((found.sequence, found.value), (at, at.to_le_bytes().as_slice()));
            }
        });
        scope.spawn(|| {
            let mut rounds = 0u64;
            while !done.load(Ordering::Relaxed) || rounds < 4 {
                let snapshot = visible.load(Ordering::Acquire);
                let mut cursor = memtable.cursor();
                let back = rounds % 2 == 1;
                let (mut seen, mut last) = (0, None::<Vec<u8>>);
                let mut more = if back { cursor.seek_to_last().unwrap() } else { cursor.seek_to_first().unwrap() };
                while more {
                    let entry = cursor.entry();
                    if let Some(last) = &last {
                        assert_eq!(last.as_slice() < entry.key, !back, "ascending, or descending on the way back");
                    }
                    last = Some(entry.key.to_vec());
                    assert_eq!(entry.value, entry.sequence.to_le_bytes());
                    seen += u64::from(entry.sequence <= snapshot);
                    more = if back { cursor.prev().unwrap() } else { cursor.next().unwrap() };
                }
                assert_eq!(seen, snapshot, "each visible entry once");
                rounds += 1;
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                memtable.feed_lag();
                std::thread::yield_now();
            }
        });
        for sequence in 1..=KEYS {
            put(&mut writer, sequence, &key(sequence), &sequence.to_le_bytes());
            visible.store(sequence, Ordering::Release);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(forward(&mut memtable.cursor()).len() as u64, KEYS);
}

#[test]
fn a_flush_cursor_refuses_to_go_back() {
    let (mut writer, memtable) = new_memtable();
    put(&mut writer, 1, b"a", b"1");
    drop(writer);
    memtable.freeze();
    let mut cursor = memtable.flush_cursor();
    assert!(cursor.seek_to_first().unwrap());
    assert_eq!(cursor.prev().unwrap_err().kind(), crate::error::ErrorKind::InvalidArgument);
    assert!(!cursor.is_valid());
}

#[test]
fn cursors_and_writers_may_change_threads() {
    const fn check<T: Send>() {}
    const fn check_shared<T: Send + Sync>() {}
    check::<MemtableWriter>();
    check::<MemtableCursor>();
    check::<FlushCursor>();
    check_shared::<Memtable>();
    check_shared::<ArenaPool>();
}

/// Keys that only their length tells apart, whose heads are all zero, in numbers beyond every threshold of the sort.
#[test]
fn the_sort_orders_keys_of_zeros_and_long_shared_prefixes() {
    let (mut writer, memtable) = new_memtable();
    let mut keys: Vec<Vec<u8>> = (0..3_000).map(|len| vec![0; len]).collect();
    keys.extend(
        (0..5_000u32)
            .map(|at| [vec![7; 100].as_slice(), &(at / 50).to_be_bytes(), &[9; 20], &(at % 50).to_be_bytes()].concat()),
    );
    let mut random = Random(11);
    for at in (1..keys.len()).rev() {
        keys.swap(at, random.below(at as u64 + 1) as usize);
    }
    for (at, key) in keys.iter().enumerate() {
        put(&mut writer, at as u64 + 1, key, b"");
    }
    keys.sort();
    let flushed: Vec<_> = forward(&mut memtable.flush_cursor()).into_iter().map(|entry| entry.0).collect();
    assert!(flushed == keys);
    let walked: Vec<_> = forward(&mut memtable.cursor()).into_iter().map(|entry| entry.0).collect();
    assert!(walked == keys);
}

#[test]
fn keys_close_to_both_sides_of_a_step_in_their_first_byte_are_sorted() {
    // As many as make an odd number of buckets, so that the step lies within the middle one, and all of them in it.
    let (mut writer, memtable) = new_memtable();
    let below = (0..546u32).map(|at| [&[0, 0xff, 0xff, 0xff], &at.to_be_bytes()[..]].concat());
    let above = (0..546u32).map(|at| [&[1, 0, 0, 0], &at.to_be_bytes()[..]].concat());
    let keys: Vec<Vec<u8>> = below.chain(above).collect();
    for (sequence, key) in (1..).zip(keys.iter().rev()) {
        put(&mut writer, sequence, key, b"");
    }
    drop(writer);
    memtable.freeze();
    let found: Vec<Vec<u8>> = forward(&mut memtable.flush_cursor()).into_iter().map(|entry| entry.0).collect();
    assert_eq!(found, keys);
}

#[test]
fn keys_that_are_prefixes_of_each_other_are_sorted_on_a_small_stack() {
    let sorting = std::thread::Builder::new().stack_size(96 << 10).spawn(|| {
        let (mut writer, memtable) = new_memtable();
        let mut sequence = 0;
        for len in (0..1500usize).map(|index| index * 7919 % 1500) {
            for last in [b'a', b'b'] {
                sequence += 1;
                let mut key = vec![b'a'; len * 8];
                key.push(last);
                writer.reserve(1, key.len()).unwrap();
                writer.insert(sequence, Kind::Put, &key, b"");
            }
        }
        drop(writer);
        memtable.freeze();
        let mut cursor = memtable.flush_cursor();
        let (mut before, mut count) = (None, 0);
        let mut valid = cursor.seek_to_first().unwrap();
        while valid {
            let key = cursor.entry().key.to_vec();
            assert!(before.as_ref().is_none_or(|before| *before < key));
            before = Some(key);
            count += 1;
            valid = cursor.next().unwrap();
        }
        assert_eq!(count, 3000);
    });
    sorting.unwrap().join().unwrap();
}
