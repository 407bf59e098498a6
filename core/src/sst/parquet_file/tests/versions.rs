//! Keys with many versions, deletes, ranges and snapshots, against a model.

use super::values::Numbers;
use super::*;
use crate::env::Call;
use crate::env::fault::FaultFileSystem;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A key and when its version was written, the newest first.
type Version = (String, i64, Reverse<Sequence>);
/// The value of each version; `None` is a delete.
type Model = BTreeMap<Version, Option<i64>>;

fn schema() -> Arc<TableSchema> {
    let fields = vec![
        Field::new("value", DataType::Int64, true),
        Field::new("name", DataType::Utf8, false),
        Field::new("number", DataType::Int64, false),
    ];
    table(fields, &["name", "number"])
}

fn model(rows: u64) -> Model {
    let mut numbers = Numbers(3);
    let mut model = Model::new();
    for sequence in 1..=rows {
        let name = format!("name-{}", "x".repeat(numbers.below(4) as usize));
        let value = (numbers.below(4) != 0).then(|| numbers.below(1000) as i64);
        model.insert((name, numbers.below(rows / 8 + 1) as i64 - 20, Reverse(sequence)), value);
    }
    // One key with more versions than a page has rows.
    for sequence in rows..rows + 250 {
        model.insert(("name-x".to_owned(), 3, Reverse(sequence)), Some(sequence as i64));
    }
    model
}

fn chunks(schema: &TableSchema, model: &Model) -> Vec<RowChunk> {
    let rows: Vec<_> = model.iter().collect();
    let pieces = rows.chunks(333).map(|rows| {
        let columns: Vec<ArrayRef> = vec![
            // A delete may bring anything in its columns.
            Arc::new(Int64Array::from_iter(rows.iter().map(|(_, value)| value.or(Some(-1))))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|((name, ..), _)| name))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|((_, number, _), _)| *number))),
        ];
        let sequences = Sequences::Each(rows.iter().map(|((.., sequence), _)| sequence.0 as i64).collect());
        let deletes = rows.iter().map(|(_, value)| value.is_none()).collect();
        chunk(schema, columns, sequences, Some(deletes))
    });
    pieces.collect()
}

fn key(schema: &TableSchema, name: &str, number: i64) -> Vec<u8> {
    let columns: [ArrayRef; 2] = [Arc::new(StringArray::from(vec![name])), Arc::new(Int64Array::from(vec![number]))];
    schema.key_codec().encode(&columns).unwrap().bytes(0, &mut [0; 8]).to_vec()
}

fn found(chunks: &[RowChunk]) -> Vec<(Version, Option<i64>)> {
    let rows = |chunk: &RowChunk| {
        let numbers = chunk.batch.column(0).as_primitive::<Int64Type>().clone();
        let names = chunk.batch.column(1).as_string::<i32>().clone();
        let values = chunk.batch.column(2).as_primitive::<Int64Type>().clone();
        let row = |row: usize| {
            let value = (!chunk.is_delete(row)).then(|| values.value(row));
            ((names.value(row).to_owned(), numbers.value(row), Reverse(chunk.sequences.get(row))), value)
        };
        (0..chunk.len()).map(row).collect::<Vec<_>>()
    };
    chunks.iter().flat_map(rows).collect()
}

#[test]
fn scans_and_lookups_find_what_a_model_finds() {
    let (schema, model) = (schema(), model(2000));
    let place = Place::new();
    let summary = place.write(&schema, &chunks(&schema, &model), small_pages());
    assert!(summary.multi_version);
    assert_eq!(summary.tombstones, model.values().filter(|value| value.is_none()).count() as u64);
    let reader = place.open(&schema);
    reader.verify().unwrap();
    let mut numbers = Numbers(8);
    let keys: Vec<_> = model.keys().cloned().collect();
    for round in 0..60 {
        let mut pick = || {
            let (name, number, _) = &keys[numbers.below(keys.len() as u64) as usize];
            (numbers.below(5) != 0).then(|| key(&schema, name, *number))
        };
        let range = KeyRange { lower: pick(), upper: pick() };
        let snapshot = numbers.below(2500);
        let request = RowFileScan {
            range: range.clone(),
            sequences_at_most: (round % 3 != 0).then_some(snapshot),
            access: if round % 2 == 0 { Access::Scan } else { Access::Cached },
            batch_rows: 1 + numbers.below(400) as usize,
            held_bytes: [usize::MAX, 30_000, 4_000, 100][round % 4],
            ..RowFileScan::of(vec![3, 2, 1])
        };
        let wanted: Vec<_> = model
            .iter()
            .filter(|((name, number, _), _)| range.contains(&key(&schema, name, *number)))
            .filter(|((.., sequence), _)| round % 3 == 0 || sequence.0 <= snapshot)
            .map(|(key, value)| (key.clone(), *value))
            .collect();
        assert_eq!(found(&scan(&reader, request).unwrap()), wanted, "{range:?} {snapshot}");
    }
    for (name, number, _) in keys.iter().step_by(7).chain([&("name-x".to_owned(), 3, Reverse(0))]) {
        for snapshot in [0, 500, 1999, 2100, MAX_SEQUENCE] {
            let lookup = reader.get(&key(&schema, name, *number), snapshot, &[3, 2, 1], Io::Allowed).unwrap();
            let from = (name.clone(), *number, Reverse(snapshot));
            let to = (name.clone(), *number, Reverse(0));
            let wanted = model.range(from..=to).next().map(|(key, value)| (key.clone(), *value));
            match (lookup, wanted) {
                (RowLookup::Absent, None) => {}
                (RowLookup::Found(chunk), Some(wanted)) => assert_eq!(found(&[chunk]), [wanted]),
                (other, wanted) => panic!("{other:?} is not {wanted:?}"),
            }
        }
    }
}

#[test]
fn a_scan_without_keys_gives_the_same_rows_from_fewer_bytes() {
    let (schema, model) = (schema(), model(5000));
    let mut place = Place::new();
    place.write(&schema, &chunks(&schema, &model), small_pages());
    let files = FaultFileSystem::new(place.env.files.clone(), Vec::new());
    place.env.files = files.clone();
    let reader = place.open(&schema);
    let keys: Vec<_> = model.keys().collect();
    let bound = |at: usize| Some(key(&schema, &keys[at].0, keys[at].1));
    let inner = KeyRange { lower: bound(700), upper: bound(4000) };
    for range in [KeyRange::all(), inner, KeyRange { lower: bound(10), upper: bound(10) }] {
        let mut results = Vec::new();
        for keys in [true, false] {
            let request = RowFileScan { range: range.clone(), keys, access: Access::Scan, ..RowFileScan::of(vec![1]) };
            let chunks = scan(&reader, request).unwrap();
            let values: Vec<_> = chunks
                .iter()
                .flat_map(|chunk| chunk.batch.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>())
                .collect();
            let keyed: usize = chunks.iter().filter(|chunk| chunk.keys.is_some()).map(RowChunk::len).sum();
            results.push((values, keyed));
        }
        assert_eq!(results[0].0, results[1].0, "{range:?}");
        assert_eq!(results[0].1, results[0].0.len());
        assert!(results[1].1 < results[0].1 || range.is_empty(), "whole groups inside of {range:?} need no keys");
    }
    let none = RowFileScan { keys: false, access: Access::Scan, ..RowFileScan::of(Vec::new()) };
    let before = files.count(Call::Read);
    assert!(rows(&scan(&reader, none).unwrap()) == model.len());
    let groups_with_deletes = reader.groups().iter().filter(|group| group.tombstones > 0).count();
    assert!(files.count(Call::Read) - before <= groups_with_deletes as u64);
}

#[test]
fn only_the_groups_and_pages_that_a_scan_names_are_read() {
    let (schema, model) = (schema(), model(5000));
    let mut place = Place::new();
    place.write(&schema, &chunks(&schema, &model), small_pages());
    let files = FaultFileSystem::new(place.env.files.clone(), Vec::new());
    place.env.files = files.clone();
    let reads = || files.count(Call::Read);
    let reader = place.open(&schema);
    assert!(reads() <= 3, "the end of the file, its footer, its tail");
    let of_groups = RowFileScan { groups: Some(vec![1, 3]), ..RowFileScan::of(ids(&schema)) };
    assert_eq!(rows(&scan(&reader, of_groups).unwrap()), reader.groups()[1].rows + reader.groups()[3].rows);
    let old = RowFileScan { sequences_at_most: Some(0), ..RowFileScan::of(ids(&schema)) };
    let before = reads();
    assert!(scan(&reader, old).unwrap().is_empty());
    assert_eq!(reads(), before, "no row is as old as that");

    let (name, number, sequence) = model.keys().nth(model.len() / 2).unwrap();
    let key = key(&schema, name, *number);
    let lookup = |io| reader.get(&key, sequence.0, &ids(&schema), io).unwrap();
    place.cache.remove_file(FileNumber(5), 0..10_000);
    assert!(matches!(lookup(Io::CacheOnly), RowLookup::WouldBlock));
    let before = reads();
    assert!(matches!(lookup(Io::Allowed), RowLookup::Found(_)));
    assert!(reads() - before <= 6, "{} reads for one page of six columns", reads() - before);
    let before = reads();
    assert!(matches!(lookup(Io::CacheOnly), RowLookup::Found(_)));
    let absent = reader.get(&[&key[..], b"absent"].concat(), MAX_SEQUENCE, &[], Io::CacheOnly);
    assert!(matches!(absent, Ok(RowLookup::Absent | RowLookup::WouldBlock) | Err(_)));
    assert_eq!(reads(), before);
    let used = place.cache.used_bytes();
    assert!(used > 0);
    drop(reader);
    assert_eq!(place.cache.used_bytes(), 0, "pages go with their file");
}
