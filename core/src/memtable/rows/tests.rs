//! The row memtable against a model at every snapshot, under threads, and against its own account of memory.

use super::*;
use crate::iter::RowSource;
use crate::key::{Kind, MAX_SEQUENCE};
use crate::memtable::ArenaPool;
use crate::schema::KeyOptions;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use std::collections::BTreeMap;

/// A small generator: tests must not depend on anything random.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % limit
    }
}

/// Tables whose rows are all made from one number `id`, with the key in each of the forms that keys have.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Table {
    Number,
    Text,
    Pair,
    AppendOnly,
}

fn schema_of(table: Table) -> Arc<TableSchema> {
    let fields = vec![
        Field::new("note", DataType::Utf8, true),
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("amount", DataType::Int64, false),
    ];
    let key: &[&str] = match table {
        Table::Number => &["id"],
        Table::Text => &["name"],
        Table::Pair => &["name", "id"],
        Table::AppendOnly => &[],
    };
    Arc::new(TableSchema::new(&Schema::new(fields), key, &KeyOptions::default()).unwrap())
}

fn name(id: i64) -> String {
    format!("name/{:06}", id + 1_000)
}

fn batch(rows: &[(i64, i64)]) -> RecordBatch {
    let note: StringArray = rows.iter().map(|row| (row.1 % 3 > 0).then(|| format!("note {}", row.1))).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("note", Arc::new(note)),
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)))),
        ("name", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| name(row.0))))),
        ("amount", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, name == "note")))
        .unwrap()
}

fn puts(schema: &Arc<TableSchema>, rows: &[(i64, i64)]) -> Arc<PreparedRows> {
    Arc::new(PreparedRows::prepare(schema, &batch(rows), Kind::Rows).unwrap())
}

fn deletes(schema: &Arc<TableSchema>, ids: &[i64]) -> Arc<PreparedRows> {
    let rows: Vec<(i64, i64)> = ids.iter().map(|&id| (id, 0)).collect();
    let all = batch(&rows);
    let key = all.project(schema.key()).unwrap();
    Arc::new(PreparedRows::prepare(schema, &key, Kind::RowDelete).unwrap())
}

fn new_memtable(schema: &Arc<TableSchema>) -> (RowMemtableWriter, Arc<RowMemtable>) {
    let options = MemtableOptions { hash_seed: 7, pool: ArenaPool::new(64 << 20) };
    create(MemtableId(1), schema.clone(), &options).unwrap()
}

fn insert(writer: &mut RowMemtableWriter, sequence: Sequence, rows: Arc<PreparedRows>) {
    writer.reserve([&*rows]).unwrap();
    writer.insert(sequence, rows);
}

/// Column ids: note 1, id 2, name 3, amount 4.
const NOTE: u32 = 1;
const ID: u32 = 2;
const AMOUNT: u32 = 4;

/// Key, sequence, amount; `None`: deleted.
type Row = (Vec<u8>, Sequence, Option<i64>);

fn rows_of_chunk(chunk: &RowChunk) -> Vec<Row> {
    let amounts = chunk.batch.column(0).as_primitive::<Int64Type>();
    let notes = chunk.batch.column(1).as_string::<i32>();
    (0..chunk.len())
        .map(|row| {
            let amount = (!chunk.is_delete(row)).then(|| amounts.value(row));
            if let Some(amount) = amount {
                assert_eq!(
                    notes.is_valid(row).then(|| notes.value(row).to_owned()),
                    (amount % 3 > 0).then(|| format!("note {amount}"))
                );
            }
            let key = chunk.keys.as_ref().map_or(Vec::new(), |keys| keys.bytes(row, &mut [0; 8]).to_vec());
            (key, chunk.sequences.get(row), amount)
        })
        .collect()
}

fn drain(mut source: Box<dyn RowSource>) -> Vec<Row> {
    let mut rows = Vec::new();
    while let Some(chunk) = source.next_chunk().unwrap() {
        assert!(!chunk.is_empty());
        rows.extend(rows_of_chunk(&chunk));
    }
    assert!(source.next_chunk().unwrap().is_none(), "the end lasts");
    rows
}

/// All versions of all sources; each source must be in order by itself.
fn versions(
    memtable: &Arc<RowMemtable>,
    range: &KeyRange,
    snapshot: Sequence,
) -> BTreeMap<(Vec<u8>, Sequence), Option<i64>> {
    let mut all = BTreeMap::new();
    for source in memtable.source(&[AMOUNT, NOTE], range, snapshot).unwrap() {
        let rows = drain(source);
        let is_before = |a: &Row, b: &Row| (&a.0, std::cmp::Reverse(a.1)) < (&b.0, std::cmp::Reverse(b.1));
        assert!(rows.windows(2).all(|pair| is_before(&pair[0], &pair[1])), "a source is out of order");
        for (key, sequence, amount) in rows {
            assert_eq!(all.insert((key, sequence), amount), None, "a row came twice");
        }
    }
    all
}

fn key_of(table: Table, id: i64) -> Vec<u8> {
    let schema = schema_of(table);
    let rows = puts(&schema, &[(id, 0)]);
    rows.keys().unwrap().bytes(0, &mut [0; 8]).to_vec()
}

#[test]
fn it_holds_what_a_model_holds_at_every_snapshot() {
    for (table, seed) in [(Table::Number, 1), (Table::Text, 2), (Table::Pair, 3), (Table::Number, 4)] {
        let mut random = Random(seed);
        let schema = schema_of(table);
        let (mut writer, memtable) = new_memtable(&schema);
        let keys: Vec<Vec<u8>> = (-60..60).map(|id| key_of(table, id)).collect();
        let mut model: BTreeMap<(Vec<u8>, Sequence), Option<i64>> = BTreeMap::new();
        let mut sequence = 0;
        let (mut payload, mut tombstones) = (0, 0);
        for round in 0..60 {
            sequence += 1 + random.below(2);
            // Now and then a batch that is too large for the index: a hundred keys, each many times over, count as few; so the
            // large ones go beyond the keys that are looked at.
            let large = round % 8 == 3;
            let count = 1 + random.below(if large { 80 } else { 40 });
            let ids: Vec<i64> = (0..count).map(|_| random.below(120) as i64 - 60).collect();
            let extra = 1_000..if large { 2_200 } else { 1_000 };
            let rows = if random.below(4) == 0 {
                let ids: Vec<i64> = ids.into_iter().chain(extra).collect();
                let rows = deletes(&schema, &ids);
                tombstones += rows.rows() as u64;
                rows
            } else {
                let rows: Vec<(i64, i64)> =
                    ids.iter().copied().chain(extra).map(|id| (id, random.below(1_000) as i64)).collect();
                for (id, amount) in rows.iter().filter(|row| row.0 < 60) {
                    model.insert((keys[(id + 60) as usize].clone(), sequence), Some(*amount));
                }
                let rows = puts(&schema, &rows);
                assert_eq!(rows.rows() >= INDEXED_ROWS_MAX, large);
                rows
            };
            if rows.is_deletes() {
                (0..rows.rows()).map(|row| rows.keys().unwrap().bytes(row, &mut [0; 8]).to_vec()).for_each(|key| {
                    if keys.contains(&key) {
                        model.insert((key, sequence), None);
                    }
                });
            }
            payload += rows.payload_bytes() as u64;
            insert(&mut writer, sequence, rows);
        }
        assert_eq!((memtable.payload_bytes(), memtable.tombstone_count()), (payload, tombstones));
        assert_eq!(memtable.last_sequence(), Some(sequence));
        let upper = key_of(table, 60);
        for snapshot in (0..=sequence).step_by(7).chain([sequence, MAX_SEQUENCE]) {
            let lower = &keys[random.below(120) as usize];
            for range in [
                KeyRange { lower: None, upper: Some(upper.clone()) },
                KeyRange { lower: Some(lower.clone()), upper: Some(upper.clone()) },
                KeyRange { lower: None, upper: Some(lower.clone()) },
            ] {
                let expected: BTreeMap<_, _> = model
                    .iter()
                    .filter(|((key, sequence), _)| *sequence <= snapshot && range.contains(key))
                    .map(|(version, amount)| (version.clone(), *amount))
                    .collect();
                assert_eq!(versions(&memtable, &range, snapshot), expected, "{table:?} at {snapshot}");
            }
            for key in &keys {
                let newest = model.range((key.clone(), 0)..=(key.clone(), snapshot)).next_back();
                let found = memtable.get(key, snapshot, &[AMOUNT, NOTE]).unwrap();
                let found = found.map(|chunk| rows_of_chunk(&chunk).remove(0));
                let expected = newest.map(|((key, sequence), amount)| (key.clone(), *sequence, *amount));
                assert_eq!(found, expected, "{table:?} at {snapshot}");
            }
        }
    }
}

#[test]
fn rows_without_a_key_come_as_they_arrived() {
    let schema = schema_of(Table::AppendOnly);
    let (mut writer, memtable) = new_memtable(&schema);
    let mut all: Vec<Row> = Vec::new();
    for sequence in 1..40 {
        let rows: Vec<(i64, i64)> = (0..1 + sequence as i64 * 37 % 90).map(|row| (row % 5, row)).collect();
        all.extend(rows.iter().map(|row| (Vec::new(), sequence, Some(row.1))));
        insert(&mut writer, sequence, puts(&schema, &rows));
    }
    assert_eq!(memtable.entry_count(), all.len() as u64);
    for snapshot in [0, 1, 17, 39, MAX_SEQUENCE] {
        let mut sources = memtable.source(&[AMOUNT, NOTE], &KeyRange::all(), snapshot).unwrap();
        let rows = sources.pop().map_or(Vec::new(), drain);
        assert!(sources.is_empty());
        assert_eq!(rows, all.iter().filter(|row| row.1 <= snapshot).cloned().collect::<Vec<_>>());
    }
    assert!(memtable.get(b"", 9, &[AMOUNT]).is_err());
    let key = batch(&[(1, 1)]).project(&[1]).unwrap();
    assert!(PreparedRows::prepare(&schema, &key, Kind::RowDelete).is_err());
}

#[test]
fn of_equal_keys_in_a_batch_the_last_row_stays() {
    for table in [Table::Number, Table::Text, Table::Pair] {
        let schema = schema_of(table);
        for ids in [vec![3, 1, 2, 1, 3, 1], vec![1, 1, 2, 2, 2, 3], vec![1, 2, 3], vec![3, 2, 1], vec![-1], vec![]] {
            let rows: Vec<(i64, i64)> = ids.iter().copied().zip(0..).collect();
            let expected: BTreeMap<i64, i64> = rows.iter().copied().collect();
            let prepared = puts(&schema, &rows);
            let ids = prepared.batch().column(1).as_primitive::<Int64Type>().values();
            let amounts = prepared.batch().column(3).as_primitive::<Int64Type>().values();
            let got: Vec<(i64, i64)> = ids.iter().copied().zip(amounts.iter().copied()).collect();
            assert_eq!(got, expected.into_iter().collect::<Vec<_>>());
            let keys = prepared.keys().unwrap();
            assert_eq!(keys.len(), prepared.rows());
            let columns: Vec<ArrayRef> = schema.key().iter().map(|&key| prepared.batch().column(key).clone()).collect();
            let again = schema.key_codec().encode(&columns).unwrap();
            assert!((0..keys.len()).all(|row| keys.compare(row, &again, row).is_eq()));
        }
    }
}

#[test]
fn sorting_many_rows_agrees_with_a_map() {
    let mut random = Random(9);
    for table in [Table::Number, Table::Text, Table::Pair] {
        let schema = schema_of(table);
        let rows: Vec<(i64, i64)> = (0..20_000).map(|at| (random.below(3_000) as i64, at)).collect();
        let expected: BTreeMap<i64, i64> = rows.iter().copied().collect();
        let prepared = puts(&schema, &rows);
        let amounts = prepared.batch().column(3).as_primitive::<Int64Type>().values();
        assert_eq!(amounts.to_vec(), expected.into_values().collect::<Vec<_>>());
    }
}

#[test]
fn readers_go_on_while_the_writer_writes() {
    let schema = schema_of(Table::Number);
    let (mut writer, memtable) = new_memtable(&schema);
    let visible = AtomicU64::new(0);
    const BATCHES: u64 = 300;
    // Every batch rewrites keys 0..20 with its sequence, so a snapshot sees 20 rows that all say the same.
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (memtable, visible) = (&memtable, &visible);
            scope.spawn(move || {
                loop {
                    let snapshot = visible.load(Ordering::Acquire);
                    if reader == 0 {
                        let all = versions(memtable, &KeyRange::all(), snapshot);
                        let newest = all.iter().filter(|((_, sequence), _)| *sequence == snapshot);
                        let expected = if snapshot == 0 {
                            0
                        } else if snapshot % 10 == 0 {
                            1_100
                        } else {
                            20
                        };
                        assert_eq!(newest.count(), expected, "at {snapshot}");
                        assert!(all.iter().all(|((_, sequence), amount)| *amount == Some(*sequence as i64)));
                    } else if snapshot > 0 {
                        let key = key_of(Table::Number, (snapshot % 20) as i64);
                        let found = memtable.get(&key, snapshot, &[AMOUNT, NOTE]).unwrap().unwrap();
                        assert_eq!(rows_of_chunk(&found)[0].1, snapshot);
                    }
                    if snapshot == BATCHES {
                        break;
                    }
                }
            });
        }
        for sequence in 1..=BATCHES {
            let count = if sequence % 10 == 0 { 1_100 } else { 20 };
            let rows: Vec<(i64, i64)> = (0..count).map(|id| (id, sequence as i64)).collect();
            insert(&mut writer, sequence, puts(&schema, &rows));
            visible.store(sequence, Ordering::Release);
        }
    });
}

#[test]
fn memory_is_counted_in_full_and_once() {
    let schema = schema_of(Table::Text);
    let big = batch(&(0..100_000).map(|id| (id, id)).collect::<Vec<_>>());
    let whole = PreparedRows::prepare(&schema, &big, Kind::Rows).unwrap();
    let ten = PreparedRows::prepare(&schema, &big.slice(500, 10), Kind::Rows).unwrap();
    assert!(ten.memory_bytes() < 4_096, "{} bytes for ten rows", ten.memory_bytes());
    assert_eq!(ten.rows(), 10);
    // A large slice stays where it is, and is counted with all that it keeps alive.
    let most = PreparedRows::prepare(&schema, &whole.batch().slice(0, 90_000), Kind::Rows).unwrap();
    let start = |batch: &RecordBatch| batch.column(1).as_primitive::<Int64Type>().values().as_ptr();
    assert_eq!((start(most.batch()), most.memory_bytes()), (start(whole.batch()), whole.memory_bytes()));
    // The key is the column of names: its bytes count once.
    let columns: usize = big.columns().iter().map(|column| column.get_buffer_memory_size()).sum();
    assert!((columns..columns + 4_096).contains(&whole.memory_bytes()), "{} of {columns}", whole.memory_bytes());

    let (mut writer, memtable) = new_memtable(&schema);
    let empty = memtable.memory_bytes();
    let (whole, ten) = (Arc::new(whole), Arc::new(ten));
    insert(&mut writer, 1, whole.clone());
    let lists = memtable.memory_bytes() - empty - whole.memory_bytes();
    assert!(lists < 2_048, "{lists} bytes of lists");
    insert(&mut writer, 2, ten.clone());
    let index = memtable.index.as_ref().unwrap().memory_bytes();
    assert_eq!(
        memtable.memory_bytes(),
        size_of::<RowMemtable>() + index + lists + whole.memory_bytes() + ten.memory_bytes()
    );
    let before = memtable.memory_bytes();
    // The first one is found by its order; of the others enough for filters.
    for sequence in 3..3 + FILTERED_PARTS_MIN as u64 {
        insert(&mut writer, sequence, whole.clone());
    }
    assert_eq!(memtable.memory_bytes(), before + 4 * whole.memory_bytes(), "the lists have room");
    memtable.get(&key_of(Table::Text, 50_000), 9, &[ID]).unwrap().unwrap();
    let filters = memtable.memory_bytes() - before - 4 * whole.memory_bytes();
    assert!((100_000..300_000).contains(&filters), "{filters} bytes for one filter of 100,000 keys");
    drop((writer, memtable));
    assert_eq!(Arc::strong_count(&whole), 1, "the rows go with the memtable");
}

#[test]
fn an_insert_without_reservation_panics_before_anything_is_seen() {
    let schema = schema_of(Table::Number);
    let (mut writer, memtable) = new_memtable(&schema);
    let rows = puts(&schema, &[(1, 1)]);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.insert(1, rows))).is_err());
    assert!(versions(&memtable, &KeyRange::all(), MAX_SEQUENCE).is_empty());
}

#[test]
fn large_batches_that_do_not_overlap_make_one_source() {
    let schema = schema_of(Table::Number);
    let (mut writer, memtable) = new_memtable(&schema);
    for (sequence, block) in (1..).zip([3, 0, 2, 1, 7]) {
        let rows: Vec<(i64, i64)> = (0..2_000).map(|id| (block * 2_000 + id, id)).collect();
        insert(&mut writer, sequence, puts(&schema, &rows));
    }
    let sources = |columns: &[u32]| memtable.source(columns, &KeyRange::all(), MAX_SEQUENCE).unwrap();
    assert_eq!(sources(&[AMOUNT]).len(), 1);
    insert(&mut writer, 9, puts(&schema, &(0..1_500).map(|id| (id * 9, id)).collect::<Vec<_>>()));
    assert_eq!(sources(&[ID]).len(), 2);
    assert_eq!(sources(&[]).len(), 2);
    assert!(memtable.source(&[99], &KeyRange::all(), 1).is_err());
}

#[test]
fn batches_in_order_are_parts_however_small_and_found_like_all_others() {
    for table in [Table::Number, Table::Pair] {
        let schema = schema_of(table);
        let (mut writer, memtable) = new_memtable(&schema);
        let mut model: BTreeMap<(Vec<u8>, Sequence), Option<i64>> = BTreeMap::new();
        let mut sequence = 0;
        let mut put = |ids: &mut dyn Iterator<Item = i64>| {
            sequence += 2;
            let rows: Vec<(i64, i64)> = ids.map(|id| (id, id * 7 + sequence as i64)).collect();
            model.extend(rows.iter().map(|row| ((key_of(table, row.0), sequence), Some(row.1))));
            insert(&mut writer, sequence, puts(&schema, &rows));
        };
        for block in 0..40 {
            put(&mut (block * 100..block * 100 + 90));
            // Few rows, and keys of before.
            put(&mut (0..5).map(|row| block * 90 + row * 3));
        }
        assert_eq!((memtable.large.len(), memtable.ascending.load(Ordering::Relaxed)), (40, 40), "{table:?}");
        put(&mut (1_000..1_090));
        put(&mut (500..3_000));
        put(&mut (9_000..9_090));
        assert_eq!((memtable.large.len(), memtable.ascending.load(Ordering::Relaxed)), (41, 40), "{table:?}");
        for snapshot in [0, 1, 2, 3, 77, 120, 160, 162, 164, 166, MAX_SEQUENCE] {
            for (lower, upper) in [(None, None), (Some(0), Some(95)), (Some(95), Some(1_050)), (Some(3_995), None)] {
                let bound = |id: Option<i64>| id.map(|id| key_of(table, id));
                let range = KeyRange { lower: bound(lower), upper: bound(upper) };
                let expected: BTreeMap<_, _> = model
                    .iter()
                    .filter(|((key, sequence), _)| *sequence <= snapshot && range.contains(key))
                    .map(|(version, amount)| (version.clone(), *amount))
                    .collect();
                assert_eq!(versions(&memtable, &range, snapshot), expected, "{table:?} at {snapshot}");
                assert!(memtable.source(&[AMOUNT], &range, snapshot).unwrap().len() <= 3);
            }
            for id in (-1..4_100).step_by(13).chain(8_999..9_091) {
                let key = key_of(table, id);
                let newest = model.range((key.clone(), 0)..=(key.clone(), snapshot)).next_back();
                let found = memtable.get(&key, snapshot, &[AMOUNT, NOTE]).unwrap();
                let found = found.map(|chunk| rows_of_chunk(&chunk).remove(0));
                let expected = newest.map(|((key, sequence), amount)| (key.clone(), *sequence, *amount));
                assert_eq!(found, expected, "{table:?}, {id} at {snapshot}");
            }
        }
    }
}
