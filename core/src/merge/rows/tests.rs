//! The merge of rows against an ordered map, over random sources.

use super::*;
use crate::iter::Sequences;
use crate::key::KeyRows;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, cast::AsArray, types::Int64Type};
use arrow_buffer::{BooleanBuffer, Buffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Schema};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A row of the oracle: its key, when it was written, its value (`None`: a delete).
type Row = (u64, Sequence, Option<u64>);

/// What one source has, in its order.
type Lane = BTreeMap<(u64, std::cmp::Reverse<Sequence>), Option<u64>>;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Keys {
    Fixed,
    /// Long shared prefixes, and keys that are prefixes of others.
    Bytes,
    None,
}

fn key_bytes(key: u64) -> Vec<u8> {
    let mut bytes = format!("table/{:03}", key / 4).into_bytes();
    bytes.extend(std::iter::repeat_n(0u8, (key % 4) as usize));
    bytes
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, true), Field::new("text", DataType::Utf8, true)]))
}

fn chunk(rows: &[Row], keys: Keys, same_sequence: bool) -> RowChunk {
    let values: Int64Array = rows.iter().map(|row| row.2.map(|value| value as i64)).collect();
    let texts: StringArray = rows.iter().map(|row| row.2.map(|value| format!("v{value}"))).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(values), Arc::new(texts)];
    let keys = match keys {
        Keys::Fixed => {
            let heads: Vec<u64> = rows.iter().map(|row| row.0 << 32).collect();
            Some(KeyRows::Fixed { width: 4, heads: heads.into() })
        }
        Keys::Bytes => {
            let keys: Vec<Vec<u8>> = rows.iter().map(|row| key_bytes(row.0)).collect();
            let offsets = OffsetBuffer::from_lengths(keys.iter().map(Vec::len));
            Some(KeyRows::Bytes { offsets, data: Buffer::from_vec(keys.concat()) })
        }
        Keys::None => None,
    };
    let deletes: BooleanBuffer = rows.iter().map(|row| row.2.is_none()).collect();
    let sequences = match same_sequence {
        true => Sequences::Same(rows[0].1),
        false => Sequences::Each(rows.iter().map(|row| row.1 as i64).collect::<Vec<_>>().into()),
    };
    RowChunk {
        batch: RecordBatch::try_new(schema(), columns).unwrap(),
        keys,
        sequences,
        deletes: (deletes.count_set_bits() > 0).then_some(deletes),
    }
}

struct Chunks(std::vec::IntoIter<Result<RowChunk>>);

impl RowSource for Chunks {
    fn next_chunk(&mut self) -> Result<Option<RowChunk>> {
        self.0.next().transpose()
    }
}

fn source(chunks: Vec<RowChunk>) -> Box<dyn RowSource> {
    Box::new(Chunks(chunks.into_iter().map(Ok).collect::<Vec<_>>().into_iter()))
}

/// The rows of a merge; checks what holds for every chunk.
fn rows_of(merge: &mut RowMerge, keys: Keys, batch_rows: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    while let Some(chunk) = merge.next_chunk().unwrap() {
        assert!(!chunk.is_empty() && chunk.len() <= batch_rows, "{} rows", chunk.len());
        assert_eq!(chunk.keys.as_ref().map(KeyRows::len), (keys != Keys::None).then_some(chunk.len()));
        let values = chunk.batch.column(0).as_primitive::<Int64Type>();
        let texts = chunk.batch.column(1).as_string::<i32>();
        for row in 0..chunk.len() {
            let value = (!chunk.is_delete(row)).then(|| values.value(row) as u64);
            if let Some(value) = value {
                assert_eq!(texts.value(row), format!("v{value}"));
            }
            let key = match &chunk.keys {
                Some(KeyRows::Fixed { heads, .. }) => heads[row] >> 32,
                Some(keys) => {
                    let mut scratch = [0; 8];
                    let bytes = keys.bytes(row, &mut scratch);
                    let number: u64 = str::from_utf8(&bytes[6..9]).unwrap().parse().unwrap();
                    4 * number + bytes.len() as u64 - 9
                }
                None => 0,
            };
            rows.push((key, chunk.sequences.get(row), value));
        }
    }
    assert!(merge.next_chunk().unwrap().is_none(), "the end lasts");
    rows
}

/// Sources newest first, each a list of chunks, and all rows.
struct Case {
    sources: Vec<Vec<(Vec<Row>, bool)>>,
    all: BTreeMap<u64, Vec<(Sequence, Option<u64>)>>,
    last_sequence: Sequence,
}

/// Writes `count` batches over random stretches of the key space; each goes to a random source, or a source of its own.
fn random_case(random: &mut Random) -> Case {
    let key_space = [5, 60, 800][random.below(3) as usize];
    let count = 1 + random.below(12) as usize;
    let lanes = 1 + random.below(count as u64) as usize;
    let disjoint = random.below(3) == 0;
    let delete_share = [0, 10, 40][random.below(3) as usize];
    let mut lanes: Vec<Lane> = vec![BTreeMap::new(); lanes];
    let mut all: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    let mut sequence = 0;
    for batch in 0..count {
        sequence += 1 + random.below(3);
        let lane = if lanes.len() == count { batch } else { random.below(lanes.len() as u64) as usize };
        let (low, span) = match disjoint {
            true => (lane as u64 * key_space / lanes.len() as u64, (key_space / lanes.len() as u64).max(1)),
            false => (0, key_space),
        };
        let step = 1 + random.below(4);
        let mut key = low + random.below(step);
        while key < low + span {
            let value = (random.below(100) >= delete_share).then(|| random.below(1_000_000));
            lanes[lane].insert((key, std::cmp::Reverse(sequence)), value);
            all.entry(key).or_default().push((sequence, value));
            key += 1 + random.below(step);
        }
    }
    let sources = lanes
        .into_iter()
        .rev()
        .map(|lane| {
            let rows: Vec<Row> = lane.into_iter().map(|((key, sequence), value)| (key, sequence.0, value)).collect();
            let mut chunks = Vec::new();
            let mut rest = &rows[..];
            let chunk_rows = 1 + random.below(300) as usize;
            while !rest.is_empty() {
                let (front, back) = rest.split_at(chunk_rows.min(rest.len()));
                chunks.push((front.to_vec(), front.iter().all(|row| row.1 == front[0].1)));
                rest = back;
            }
            chunks
        })
        .collect();
    Case { sources, all, last_sequence: sequence }
}

fn merge_of(case: &Case, keys: Keys, mode: RowMergeMode, batch_rows: usize) -> RowMerge {
    let sources = case
        .sources
        .iter()
        .map(|chunks| source(chunks.iter().map(|(rows, same)| chunk(rows, keys, *same)).collect()))
        .collect();
    RowMerge::new(sources, mode).with_batch_rows(batch_rows)
}

fn visible(all: &BTreeMap<u64, Vec<(Sequence, Option<u64>)>>, snapshot: Sequence) -> Vec<(u64, u64)> {
    all.iter()
        .filter_map(|(&key, versions)| {
            let newest = versions.iter().filter(|version| version.0 <= snapshot).max_by_key(|version| version.0)?;
            Some((key, newest.1?))
        })
        .collect()
}

#[test]
fn every_snapshot_sees_the_newest_version_of_each_key() {
    let mut random = Random(1);
    for round in 0..300 {
        let case = random_case(&mut random);
        let keys = [Keys::Fixed, Keys::Bytes][round % 2];
        let batch_rows = 1 + random.below(200) as usize;
        for snapshot in [0, 1 + random.below(case.last_sequence), case.last_sequence] {
            let mut merge = merge_of(&case, keys, RowMergeMode::Visible { snapshot }, batch_rows);
            let rows: Vec<(u64, u64)> =
                rows_of(&mut merge, keys, batch_rows).iter().map(|row| (row.0, row.2.unwrap())).collect();
            assert_eq!(rows, visible(&case.all, snapshot), "round {round}, snapshot {snapshot}");
            let counts = merge.counts();
            let total: usize = case.all.values().map(Vec::len).sum();
            assert_eq!((counts.entries_in, counts.entries_out), (total as u64, rows.len() as u64));
            assert_eq!(counts.entries_in, counts.entries_out + counts.dropped());
        }
    }
}

#[test]
fn survivors_are_what_some_snapshot_can_tell_and_no_more() {
    let mut random = Random(2);
    for round in 0..300 {
        let case = random_case(&mut random);
        let keys = [Keys::Fixed, Keys::Bytes][round % 2];
        let bottom = random.below(2) == 0;
        let mut snapshots: Vec<Sequence> = (0..random.below(4)).map(|_| random.below(case.last_sequence + 2)).collect();
        snapshots.sort_unstable();
        let batch_rows = 1 + random.below(200) as usize;
        let mode = RowMergeMode::Survivors { snapshots: snapshots.clone(), bottom };
        let mut merge = merge_of(&case, keys, mode, batch_rows);
        let rows = rows_of(&mut merge, keys, batch_rows);
        // What must be there: for each reader the version it sees, unless that is a delete that hides nothing.
        let mut expected: Vec<Row> = Vec::new();
        let (mut versions_dropped, mut deletes_dropped) = (0, 0);
        for (&key, versions) in &case.all {
            let mut versions = versions.clone();
            versions.sort_unstable_by_key(|version| std::cmp::Reverse(version.0));
            for (index, &(sequence, value)) in versions.iter().enumerate() {
                let newer = if index == 0 { Sequence::MAX } else { versions[index - 1].0 };
                let seen = newer == Sequence::MAX || snapshots.iter().any(|&s| s >= sequence && s < newer);
                let oldest = !snapshots.iter().any(|&snapshot| snapshot < sequence);
                if !seen {
                    versions_dropped += 1;
                } else if bottom && oldest && value.is_none() {
                    deletes_dropped += 1;
                } else {
                    expected.push((key, sequence, value));
                }
            }
        }
        assert_eq!(rows, expected, "round {round}, snapshots {snapshots:?}, bottom {bottom}");
        let counts = merge.counts();
        assert_eq!((counts.dropped_versions, counts.dropped_tombstones), (versions_dropped, deletes_dropped));
    }
}

#[test]
fn rows_without_keys_come_oldest_source_first_as_they_arrived() {
    let mut random = Random(3);
    for _ in 0..50 {
        let mut sequence = 0;
        let mut all: Vec<Row> = Vec::new();
        let mut sources = Vec::new();
        for _ in 0..1 + random.below(6) {
            let mut chunks = Vec::new();
            for _ in 0..random.below(8) {
                sequence += 1;
                let rows: Vec<Row> =
                    (0..1 + random.below(400)).map(|_| (0, sequence, Some(random.below(99)))).collect();
                all.extend(&rows);
                chunks.push(chunk(&rows, Keys::None, random.below(2) == 0));
            }
            sources.push(chunks);
        }
        let snapshot = random.below(sequence + 2);
        let batch_rows = 1 + random.below(600) as usize;
        let merge_with = |mode| {
            let sources = sources.iter().rev().map(|chunks| source(chunks.clone())).collect();
            RowMerge::new(sources, mode).with_batch_rows(batch_rows)
        };
        let mut merge = merge_with(RowMergeMode::Survivors { snapshots: vec![1], bottom: true });
        assert_eq!(rows_of(&mut merge, Keys::None, batch_rows), all);
        let mut merge = merge_with(RowMergeMode::Visible { snapshot });
        all.retain(|row| row.1 <= snapshot);
        assert_eq!(rows_of(&mut merge, Keys::None, batch_rows), all);
    }
}

#[test]
fn long_stretches_are_handed_out_in_the_memory_of_their_source() {
    let rows = |from: u64, sequence| (from..from + 20_000).map(|key| (key, sequence, Some(key))).collect::<Vec<Row>>();
    let inputs = [chunk(&rows(20_000, 2), Keys::Fixed, true), chunk(&rows(0, 1), Keys::Fixed, true)];
    let start = |chunk: &RowChunk| chunk.batch.column(0).as_primitive::<Int64Type>().values().as_ptr();
    let starts: Vec<_> = inputs.iter().map(start).collect();
    let sources = inputs.into_iter().map(|chunk| source(vec![chunk])).collect();
    let mut merge = RowMerge::new(sources, RowMergeMode::Visible { snapshot: 9 });
    let mut chunks = Vec::new();
    while let Some(chunk) = merge.next_chunk().unwrap() {
        chunks.push(chunk);
    }
    assert_eq!(chunks.iter().map(RowChunk::len).collect::<Vec<_>>(), [8_192, 8_192, 3_616, 8_192, 8_192, 3_616]);
    assert_eq!(start(&chunks[0]), starts[1]);
    assert_eq!(start(&chunks[3]), starts[0]);
}

#[test]
fn an_error_of_a_source_ends_the_merge() {
    let good = chunk(&[(1, 1, Some(1)), (2, 1, Some(2))], Keys::Fixed, true);
    let bad = Chunks(vec![Ok(good.clone()), Err(Error::invalid("broken"))].into_iter());
    let mut merge = RowMerge::new(vec![Box::new(bad), source(vec![good])], RowMergeMode::Visible { snapshot: 9 });
    assert_eq!(merge.next_chunk().unwrap_err().message(), "broken");
    assert!(merge.next_chunk().unwrap().is_none());
}

#[test]
fn no_sources_and_empty_sources_have_no_rows() {
    for sources in [vec![], vec![source(vec![]), source(vec![])]] {
        assert!(RowMerge::new(sources, RowMergeMode::Visible { snapshot: 9 }).next_chunk().unwrap().is_none());
    }
}
