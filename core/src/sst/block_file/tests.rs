//! Whole files: written, opened, searched, walked, damaged.

use super::super::{Access, BlockCache, Compression, Expected, Io, Lookup, SstIdentity, SstOptions, SstSummary};
use super::{Sought, SstCursor, SstReader, SstWriter};
use crate::env::{Env, posix};
use crate::error::ErrorKind;
use crate::filter::key_hash;
use crate::iter::{Cursor, EntryBatch, Fill, Until};
use crate::key::{CollectionId, Entry, FileNumber, Kind, MAX_SEQUENCE, Sequence};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod damage;
mod hostile;
mod writing;

/// A version, in the order of a file: key, then newest first.
type Version = (Vec<u8>, std::cmp::Reverse<Sequence>);
type Model = BTreeMap<Version, (Kind, Vec<u8>)>;

struct Place {
    env: Env,
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { env: posix::posix(), dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("000005.sst")
    }

    fn write(&self, model: &Model, options: SstOptions) -> SstSummary {
        let mut writer = SstWriter::create(&self.env, &self.path(), identity(5), options).unwrap();
        for ((key, sequence), (kind, value)) in model {
            writer.add(Entry { key, sequence: sequence.0, kind: *kind, value }).unwrap();
        }
        writer.finish().unwrap()
    }

    fn open(&self) -> Arc<SstReader> {
        open(&self.env, &self.path(), 8 << 20).unwrap()
    }
}

fn identity(number: u64) -> SstIdentity {
    SstIdentity {
        database_id: 77,
        epoch: 3,
        number: FileNumber(number),
        collection: CollectionId(2),
        job: 9,
        inputs: vec![FileNumber(1), FileNumber(2)],
        outputs: vec![FileNumber(number)],
    }
}

fn expected(number: u64) -> Expected {
    Expected { database_id: 77, number: FileNumber(number), size_bytes: None, collection: CollectionId(2) }
}

fn open(env: &Env, path: &Path, cache_bytes: usize) -> crate::error::Result<Arc<SstReader>> {
    SstReader::open(env, path, &expected(5), BlockCache::new(cache_bytes))
}

fn options(compression: Compression) -> SstOptions {
    SstOptions { compression, ..SstOptions::default() }
}

/// A small generator of numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
}

fn put(model: &mut Model, key: &[u8], sequence: Sequence, value: &[u8]) {
    model.insert((key.to_vec(), std::cmp::Reverse(sequence)), (Kind::Put, value.to_vec()));
}

/// Keys of many shapes: shared prefixes, prefixes of each other, several versions, tombstones.
fn mixed_model(seed: u64, entries: u64) -> Model {
    let mut numbers = Numbers(seed);
    let mut model = Model::new();
    for sequence in 1..=entries {
        let prefix: &[u8] = [&b""[..], b"user/00000000000000000000/", b"\xff\xff", b"a\0"][numbers.below(4) as usize];
        let mut key = prefix.to_vec();
        let number = numbers.below(entries / 2);
        key.extend_from_slice(&number.to_be_bytes()[8 - numbers.below(8) as usize..]);
        let value: Vec<u8> = (0..numbers.below(300)).map(|n| (n % 7) as u8).collect();
        let kind = if numbers.below(5) == 0 { Kind::Delete } else { Kind::Put };
        let value = if kind == Kind::Put { value } else { Vec::new() };
        model.insert((key, std::cmp::Reverse(sequence)), (kind, value));
    }
    model
}

/// What a lookup must find: the newest version at or below the snapshot.
fn wanted(model: &Model, key: &[u8], snapshot: Sequence) -> Option<(Sequence, Kind, Vec<u8>)> {
    let from = (key.to_vec(), std::cmp::Reverse(snapshot));
    let ((found, sequence), (kind, value)) = model.range(from..).next()?;
    (found == key).then(|| (sequence.0, *kind, value.clone()))
}

fn get(reader: &SstReader, key: &[u8], snapshot: Sequence) -> Option<(Sequence, Kind, Vec<u8>)> {
    match reader.get(key, key_hash(key), snapshot, Io::Allowed).unwrap() {
        Lookup::Absent => None,
        Lookup::WouldBlock => panic!("reading was allowed"),
        Lookup::Found { sequence, kind, value } => Some((sequence, kind, value.to_vec())),
    }
}

fn check_walks(reader: &Arc<SstReader>, model: &Model) {
    for access in [Access::Cached, Access::Scan] {
        let mut cursor = reader.cursor(access);
        let mut valid = cursor.seek_to_first().unwrap();
        for ((key, sequence), (kind, value)) in model {
            assert!(valid);
            assert_eq!(cursor.entry(), Entry { key, sequence: sequence.0, kind: *kind, value });
            valid = cursor.next().unwrap();
        }
        assert!(!valid && !cursor.is_valid());
        valid = cursor.seek_to_last().unwrap();
        for ((key, sequence), (kind, value)) in model.iter().rev() {
            assert!(valid);
            assert_eq!(cursor.entry(), Entry { key, sequence: sequence.0, kind: *kind, value });
            valid = cursor.prev().unwrap();
        }
        assert!(!valid);
    }
}

fn check_seeks(reader: &Arc<SstReader>, model: &Model, seed: u64) {
    let keys: Vec<&Vec<u8>> = model.keys().map(|(key, _)| key).collect();
    let mut numbers = Numbers(seed);
    let mut cursor = reader.cursor(Access::Cached);
    let mut group: Vec<Vec<u8>> = Vec::new();
    for _ in 0..2000 {
        let mut key = keys[numbers.below(keys.len() as u64) as usize].clone();
        match numbers.below(5) {
            0 => key.push(numbers.below(256) as u8),
            1 => key.truncate(numbers.below(key.len() as u64 + 1) as usize),
            2 if !key.is_empty() => *key.last_mut().unwrap() ^= 1 << numbers.below(8),
            _ => {}
        }
        let forward = model.range((key.clone(), std::cmp::Reverse(MAX_SEQUENCE))..).next();
        assert_eq!(cursor.seek(&key).unwrap(), forward.is_some(), "seek {key:?}");
        if let Some(((found, sequence), _)) = forward {
            assert_eq!((cursor.entry().key, cursor.entry().sequence), (found.as_slice(), sequence.0), "seek {key:?}");
        }
        let backward = model.range(..=(key.clone(), std::cmp::Reverse(0))).next_back();
        assert_eq!(cursor.seek_for_prev(&key).unwrap(), backward.is_some(), "seek_for_prev {key:?}");
        if let Some(((found, sequence), _)) = backward {
            assert_eq!((cursor.entry().key, cursor.entry().sequence), (found.as_slice(), sequence.0), "before {key:?}");
        }
        let snapshot = numbers.below(model.len() as u64 + 2);
        assert_eq!(get(reader, &key, snapshot), wanted(model, &key, snapshot), "get {key:?} at {snapshot}");
        group.push(key);
        if group.len() > numbers.below(super::GROUP_KEYS as u64) as usize {
            if numbers.below(2) == 0 {
                group.sort();
            }
            check_group(reader, model, &group, snapshot);
            group.clear();
        }
    }
}

/// Keys looked up together have the answers that each would have alone.
fn check_group(reader: &SstReader, model: &Model, keys: &[Vec<u8>], snapshot: Sequence) {
    let sought: Vec<Sought<'_>> = keys.iter().map(|key| Sought { key, hash: key_hash(key) }).collect();
    let mut told = 0;
    let outcome = reader.get_group(&sought, snapshot, |at, lookup| {
        let found = match lookup {
            Lookup::Found { sequence, kind, value } => Some((sequence, kind, value.to_vec())),
            _ => None,
        };
        assert_eq!(found, wanted(model, &keys[at], snapshot), "{:?} of {keys:?} at {snapshot}", keys[at]);
        told += 1;
    });
    outcome.unwrap();
    assert_eq!(told, keys.len());
}

#[test]
fn files_round_trip_with_every_codec_and_block_size() {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        for block_bytes in [1 << 10, 8 << 10, 32 << 10] {
            let place = Place::new();
            let model = mixed_model(block_bytes as u64, 3000);
            let options = SstOptions { block_bytes, compression, bloom_bits_per_key: 10 };
            let summary = place.write(&model, options);
            let reader = place.open();
            assert_eq!(summary.entries, model.len() as u64);
            assert_eq!(summary.tombstones, model.values().filter(|(kind, _)| *kind == Kind::Delete).count() as u64);
            assert_eq!(&summary.smallest, &model.keys().next().unwrap().0);
            assert_eq!(&summary.largest, &model.keys().next_back().unwrap().0);
            assert!(summary.multi_version && !reader.is_plain());
            assert_eq!(summary.size_bytes, reader.size_bytes());
            assert_eq!(reader.properties().inputs, identity(5).inputs);
            check_walks(&reader, &model);
            check_seeks(&reader, &model, 1);
            reader.verify().unwrap();
        }
    }
}

#[test]
fn odd_sizes_come_back_whole() {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let place = Place::new();
        let mut model = Model::new();
        put(&mut model, b"", 1, b"");
        put(&mut model, &[7; 64 << 10], 2, b"short");
        put(&mut model, &[7; (64 << 10) - 1], 3, b"a prefix of it");
        put(&mut model, b"million", 4, &(0..1 << 20).map(|n: u32| (n.wrapping_mul(n) >> 7) as u8).collect::<Vec<_>>());
        put(&mut model, b"millions", 5, &vec![0; 3 << 20]);
        for sequence in 10..40 {
            put(&mut model, b"z", sequence, &vec![sequence as u8; 5000]);
        }
        model.insert((vec![9; 30_000], std::cmp::Reverse(6)), (Kind::Delete, Vec::new()));
        place.write(&model, options(compression));
        let reader = place.open();
        check_walks(&reader, &model);
        check_seeks(&reader, &model, 2);
        reader.verify().unwrap();
    }
}

#[test]
fn versions_of_one_key_are_found_across_blocks() {
    let place = Place::new();
    let mut model = Model::new();
    for sequence in 1..=4000 {
        put(&mut model, b"hot", sequence, &sequence.to_le_bytes());
    }
    put(&mut model, b"hos", 4001, b"before");
    put(&mut model, b"hotter", 4002, b"after");
    place.write(&model, SstOptions { block_bytes: 1 << 10, ..SstOptions::default() });
    let reader = place.open();
    for snapshot in (0..=4002).step_by(13) {
        assert_eq!(get(&reader, b"hot", snapshot), wanted(&model, b"hot", snapshot));
    }
    check_walks(&reader, &model);
    check_seeks(&reader, &model, 3);
    reader.verify().unwrap();
}

#[test]
fn sequences_come_back_however_far_they_are_apart() {
    for top in [1, 0xff, 0x100, 1 << 23, 1 << 40, MAX_SEQUENCE] {
        for entries in [1, 2, 3, 700] {
            let place = Place::new();
            let mut model = Model::new();
            for number in 0..entries {
                put(&mut model, format!("key {number:04}").as_bytes(), if number % 3 == 1 { top } else { 1 }, b"");
            }
            place.write(&model, SstOptions::default());
            check_walks(&place.open(), &model);
        }
    }
}

#[test]
fn an_empty_file_is_a_file() {
    let place = Place::new();
    let summary = place.write(&Model::new(), SstOptions::default());
    assert_eq!((summary.entries, summary.smallest_sequence), (0, 0));
    let reader = place.open();
    let mut cursor = reader.cursor(Access::Cached);
    assert!(!cursor.seek_to_first().unwrap() && !cursor.seek_to_last().unwrap());
    assert!(!cursor.seek(b"").unwrap() && !cursor.seek_for_prev(b"x").unwrap());
    assert_eq!(get(&reader, b"x", 1), None);
    reader.verify().unwrap();
}

#[test]
fn entries_out_of_order_are_refused_and_the_file_goes() {
    let place = Place::new();
    let mut writer = SstWriter::create(&place.env, &place.path(), identity(5), SstOptions::default()).unwrap();
    let entry = |key, sequence| Entry { key, sequence, kind: Kind::Put, value: b"v" };
    writer.add(entry(b"b", 5)).unwrap();
    for (key, sequence) in [(b"b", 5), (b"b", 6), (b"a", 9)] {
        assert_eq!(writer.add(entry(key, sequence)).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    writer.abandon();
    assert!(!place.path().exists());
}

#[test]
fn fill_takes_stretches_both_ways_and_stops_where_told() {
    let place = Place::new();
    let mut model = Model::new();
    let key = |number: u64| format!("key{number:08}").into_bytes();
    for number in 0..5000u64 {
        put(&mut model, &key(number), number + 1, &[number as u8; 50]);
    }
    place.write(&model, SstOptions::default());
    let reader = place.open();
    assert!(reader.is_plain());
    let mut cursor = reader.cursor(Access::Cached);
    let mut batch = EntryBatch::new();
    let mut fill = |cursor: &mut SstCursor, limit, until: Option<(&[u8], bool)>, snapshot, forward| {
        batch.clear();
        let until = until.map(|(key, included)| Until { key, included });
        let batch = &mut batch;
        let mut fill = Fill { batch, limit, bytes_left: usize::MAX, until, snapshot, forward };
        let moved = cursor.fill(&mut fill).unwrap();
        let found = fill.batch.iter().map(|(key, value)| {
            let number: u64 = std::str::from_utf8(&key[3..]).unwrap().parse().unwrap();
            assert_eq!(value, [number as u8; 50]);
            number
        });
        (moved, found.collect::<Vec<_>>())
    };
    // Bounds near and far, on keys and between them, in the same block and in later ones.
    for (from, to) in [(1000, 3000), (1000, 1000), (1000, 1001), (4990, 4999), (0, 70), (7, 8), (2000, 2019)] {
        for included in [false, true] {
            for (until, last) in [(key(to), to + u64::from(included)), ([key(to), vec![0]].concat(), to + 1)] {
                assert!(cursor.seek(&key(from)).unwrap());
                let mut seen = from;
                loop {
                    let (moved, found) = fill(&mut cursor, 77, Some((&until, included)), u64::MAX, true);
                    assert!(found.iter().copied().eq(seen..seen + found.len() as u64), "{from} to {to}: {found:?}");
                    assert_eq!(moved, !found.is_empty());
                    seen += found.len() as u64;
                    if found.len() < 77 {
                        break;
                    }
                }
                assert_eq!(seen, last.max(from));
                assert_eq!(
                    cursor.is_valid().then(|| cursor.entry().key.to_vec()),
                    (seen < 5000).then(|| key(seen)),
                    "the first not taken"
                );
            }
            for (until, last) in [(key(from), from + u64::from(!included)), ([key(from), vec![0]].concat(), from + 1)] {
                assert!(cursor.seek(&key(to)).unwrap());
                let (_, found) = fill(&mut cursor, usize::MAX, Some((&until, included)), u64::MAX, false);
                assert!(found.iter().copied().eq((last..=to).rev()), "back from {to} to {from}: {found:?}");
                assert_eq!(
                    cursor.is_valid().then(|| cursor.entry().key.to_vec()),
                    last.min(to + 1).checked_sub(1).map(key)
                );
            }
        }
    }
    assert!(cursor.seek(&key(10)).unwrap());
    let (moved, found) = fill(&mut cursor, 4, None, 8, true);
    assert!(moved && found.is_empty() && !cursor.is_valid(), "what is newer than the snapshot is passed over");
    assert!(cursor.seek_to_last().unwrap());
    assert_eq!(fill(&mut cursor, 4, None, 1001, false).1, [1000, 999, 998, 997]);
    assert_eq!(cursor.entry().key, key(996));

    batch.clear();
    let mut fill = Fill { batch: &mut batch, limit: 9, bytes_left: 100, until: None, snapshot: 9, forward: true };
    assert!(cursor.seek_to_first().unwrap() && cursor.fill(&mut fill).unwrap());
    assert_eq!((fill.batch.len(), fill.bytes_left), (2, 0), "the byte bound ends the batch");
}

fn example_model() -> Model {
    let mut model = Model::new();
    put(&mut model, b"cat", 7, b"meow");
    put(&mut model, b"cow", 6, b"moo");
    model.insert((b"cow".to_vec(), std::cmp::Reverse(9)), (Kind::Delete, Vec::new()));
    model
}

#[test]
fn the_example_of_the_format_text_is_what_is_written_and_reads_back() {
    let hex: Vec<u8> = include_str!("FORMAT.md")
        .lines()
        .skip_while(|line| !line.starts_with("```hex"))
        .skip(1)
        .take_while(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('#').next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let place = Place::new();
    place.write(&example_model(), SstOptions { bloom_bits_per_key: 0, ..SstOptions::default() });
    let written = std::fs::read(place.path()).unwrap();
    assert!(written == hex, "written:\n{written:02x?}");
    std::fs::write(place.path(), &hex).unwrap();
    let reader = place.open();
    check_walks(&reader, &example_model());
    assert_eq!(get(&reader, b"cow", 8), Some((6, Kind::Put, b"moo".to_vec())));
    assert_eq!(get(&reader, b"cow", 9), Some((9, Kind::Delete, Vec::new())));
    reader.verify().unwrap();
}
