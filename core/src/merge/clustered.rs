//! Rows of an append-only table in the order of its `order_by` columns: what flush and compaction put around their sources so
//! that each file is sorted.
//!
//! Such rows have no keys, and none replaces another. To be merged they get keys for the while: the encoded columns, then sequence
//! and place in the source, so that all differ and rows that are alike keep the order of their arrival. Whoever writes the rows
//! takes the keys off again.

use crate::error::{Error, Result};
use crate::iter::{RowChunk, RowSource, RowStretch, gather};
use crate::key::KeyRows;
use crate::schema::TableSchema;
use arrow_array::ArrayRef;
use arrow_buffer::{Buffer, OffsetBuffer};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

/// Rows that get their keys, and are handed out, at once. Keys of so many rows cannot overflow their offsets.
const CHUNK_ROWS: usize = 8_192;

/// The same of rows sorted in parts: every part has a chunk in memory.
const PART_CHUNK_ROWS: usize = 1_024;

/// Sorts what `sources` hold, given in order of arrival, with all columns of `schema`: sources to be merged, one if all keys take no
/// more than `keys_bytes`, else one for so many each. Only one of these has all its keys in memory at a time: they go when it is
/// sorted and are made again as its rows are handed out. Keeps every chunk until the last row was handed out: for rows that are in
/// memory anyway. Errors: those of the sources, and of columns that cannot be sorted along.
pub fn sorted(
    sources: Vec<Box<dyn RowSource>>,
    schema: &Arc<TableSchema>,
    keys_bytes: usize,
) -> Result<Vec<Box<dyn RowSource>>> {
    let (mut all, mut chunks) = (Vec::new(), Vec::new());
    let (mut place, mut begin, mut bytes) = (0, 0, 0);
    for source in sources {
        let mut source = InOrder::new(source, schema.clone(), place);
        while let Some(chunk) = source.next_chunk()? {
            bytes += chunk.keys.as_ref().map_or(0, KeyRows::memory_bytes) + chunk.len() * size_of::<(u64, u32, u32)>();
            chunks.push(chunk);
            if bytes > keys_bytes {
                all.push(sort(std::mem::take(&mut chunks), schema, begin)?);
                (begin, bytes) = (source.place, 0);
            }
        }
        place = source.place;
    }
    if all.is_empty() {
        return Ok(vec![sort_at_once(chunks)?]);
    }
    if !chunks.is_empty() {
        all.push(sort(chunks, schema, begin)?);
    }
    Ok(all)
}

/// One of several parts, whose first row is the `begin`th to arrive. Places within it are those of the sorted rows: they say no less
/// who came first of rows that are alike, and parts do not overlap.
fn sort(chunks: Vec<RowChunk>, schema: &Arc<TableSchema>, begin: u64) -> Result<Box<dyn RowSource>> {
    let mut sorted = sort_at_once(chunks)?;
    sorted.chunks.iter_mut().for_each(|chunk| chunk.keys = None);
    sorted.rows.shrink_to_fit();
    sorted.chunk_rows = PART_CHUNK_ROWS;
    Ok(Box::new(InOrder::new(sorted, schema.clone(), begin)))
}

fn sort_at_once(chunks: Vec<RowChunk>) -> Result<Box<Sorted>> {
    let mut rows = Vec::with_capacity(chunks.iter().map(RowChunk::len).sum());
    for (chunk, number) in chunks.iter().zip(0u32..) {
        let Some(keys) = &chunk.keys else { return Err(Error::invalid("rows that were given no keys")) };
        rows.extend((0..keys.len()).map(|row| (keys.head(row), number, row as u32)));
    }
    rows.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| compare(&chunks, (a.1, a.2), (b.1, b.2))));
    let rows = rows.iter().map(|&(_, chunk, row)| (chunk, row)).collect();
    Ok(Box::new(Sorted { chunks, rows, next: 0, chunk_rows: CHUNK_ROWS, ready: VecDeque::new() }))
}

/// A source whose rows are in the order already, as those of files are, with all columns of `schema`.
pub fn in_order(source: Box<dyn RowSource>, schema: &Arc<TableSchema>) -> Box<dyn RowSource> {
    Box::new(InOrder::new(source, schema.clone(), 0))
}

fn compare(chunks: &[RowChunk], a: (u32, u32), b: (u32, u32)) -> Ordering {
    match (&chunks[a.0 as usize].keys, &chunks[b.0 as usize].keys) {
        (Some(x), Some(y)) => x.compare(a.1 as usize, y, b.1 as usize),
        _ => a.cmp(&b),
    }
}

/// Gives the rows of a source their keys.
struct InOrder {
    source: Box<dyn RowSource>,
    schema: Arc<TableSchema>,
    /// The place of the next row.
    place: u64,
    /// What is left of a long chunk.
    rest: Option<RowChunk>,
}

impl InOrder {
    fn new(source: Box<dyn RowSource>, schema: Arc<TableSchema>, place: u64) -> Self {
        Self { source, schema, place, rest: None }
    }

    fn keys(&mut self, chunk: &RowChunk) -> Result<KeyRows> {
        let Some(codec) = self.schema.order_codec() else {
            return Err(Error::invalid("a table without order_by has no order"));
        };
        let columns: Vec<ArrayRef> =
            self.schema.order_by().iter().map(|&index| chunk.batch.column(index).clone()).collect();
        let order = codec.encode(&columns)?;
        let has_one_length = matches!(order, KeyRows::Fixed { .. });
        let (mut data, mut lens) = (Vec::new(), Vec::with_capacity(chunk.len()));
        for row in 0..chunk.len() {
            let start = data.len();
            let mut scratch = [0; 8];
            let bytes = order.bytes(row, &mut scratch);
            if has_one_length {
                data.extend_from_slice(bytes);
            } else {
                push_ended(bytes, &mut data);
            }
            data.extend_from_slice(&chunk.sequences.get(row).to_be_bytes());
            data.extend_from_slice(&self.place.to_be_bytes());
            self.place += 1;
            lens.push(data.len() - start);
        }
        Ok(KeyRows::Bytes { offsets: OffsetBuffer::from_lengths(lens), data: Buffer::from_vec(data) })
    }
}

/// Appends bytes such that they say where they end and what follows them does not change their order.
fn push_ended(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

impl RowSource for InOrder {
    fn next_chunk(&mut self) -> Result<Option<RowChunk>> {
        let next = match self.rest.take() {
            Some(rest) => Some(rest),
            None => self.source.next_chunk()?,
        };
        let Some(mut chunk) = next else { return Ok(None) };
        if chunk.len() > CHUNK_ROWS {
            self.rest = Some(chunk.slice(CHUNK_ROWS, chunk.len() - CHUNK_ROWS));
            chunk = chunk.slice(0, CHUNK_ROWS);
        }
        chunk.keys = Some(self.keys(&chunk)?);
        Ok(Some(chunk))
    }
}

/// Rows of chunks in another order.
struct Sorted {
    chunks: Vec<RowChunk>,
    /// Chunk and row of each.
    rows: Vec<(u32, u32)>,
    /// The next of them.
    next: usize,
    /// Rows handed out at once.
    chunk_rows: usize,
    ready: VecDeque<RowChunk>,
}

impl RowSource for Sorted {
    fn next_chunk(&mut self) -> Result<Option<RowChunk>> {
        if self.ready.is_empty() && self.next < self.rows.len() {
            let rows = &self.rows[self.next..self.rows.len().min(self.next + self.chunk_rows)];
            self.next += rows.len();
            let mut stretches: Vec<RowStretch> = Vec::new();
            for &(chunk, row) in rows {
                match stretches.last_mut() {
                    Some(last) if last.chunk == chunk && last.start + last.len == row => last.len += 1,
                    _ => stretches.push(RowStretch { chunk, start: row, len: 1 }),
                }
            }
            let chunks: Vec<&RowChunk> = self.chunks.iter().collect();
            let mut out = Vec::new();
            gather(&chunks, &stretches, &mut out)?;
            self.ready = out.into();
        }
        Ok(self.ready.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iter::Sequences;
    use crate::merge::{RowMerge, RowMergeMode};
    use crate::schema::KeyOptions;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{Int64Array, RecordBatch};
    use arrow_schema::{DataType, Field, Schema};

    struct Given(VecDeque<RowChunk>);

    impl RowSource for Given {
        fn next_chunk(&mut self) -> Result<Option<RowChunk>> {
            Ok(self.0.pop_front())
        }
    }

    #[test]
    fn rows_sorted_in_parts_come_as_those_sorted_at_once() {
        let fields = vec![Field::new("at", DataType::Int64, true), Field::new("arrival", DataType::Int64, false)];
        let order = KeyOptions { order_by: vec!["at".to_owned()], ..KeyOptions::default() };
        let schema = Arc::new(TableSchema::new(&Schema::new(fields), &[], &order).unwrap());
        let sources = || -> Vec<Box<dyn RowSource>> {
            let chunk = |number: i64| {
                let rows = number * 700..(number + 1) * 700;
                let at = rows.clone().map(|row| (row % 9 != 0).then_some(row * 37 % 11)).collect::<Int64Array>();
                let columns: Vec<ArrayRef> = vec![Arc::new(at), Arc::new(rows.collect::<Int64Array>())];
                let batch = RecordBatch::try_new(schema.user().clone(), columns).unwrap();
                RowChunk { batch, keys: None, sequences: Sequences::Same(number as u64 / 2), deletes: None }
            };
            (0..4).map(|source| Box::new(Given((3 * source..3 * source + 3).map(chunk).collect())) as _).collect()
        };
        let arrivals = |keys_bytes: usize, parts: std::ops::RangeInclusive<usize>| -> Vec<i64> {
            let sorted = sorted(sources(), &schema, keys_bytes).unwrap();
            assert!(parts.contains(&sorted.len()), "{} parts", sorted.len());
            let mut merge = RowMerge::new(sorted, RowMergeMode::Survivors { snapshots: Vec::new(), bottom: true });
            let mut arrivals = Vec::new();
            while let Some(chunk) = merge.next_chunk().unwrap() {
                arrivals.extend_from_slice(chunk.batch.column(1).as_primitive::<Int64Type>().values());
            }
            arrivals
        };
        let at_once = arrivals(usize::MAX, 1..=1);
        assert_eq!(at_once.len(), 12 * 700);
        assert_eq!(arrivals(100_000, 3..=8), at_once);
        assert_eq!(arrivals(1, 12..=12), at_once);
    }

    #[test]
    fn what_follows_ended_bytes_does_not_change_their_order() {
        let values: [&[u8]; 8] = [b"", b"\0", b"\0\0", b"\0\xff", b"\x01", b"a", b"a\0", b"ab"];
        let ended = |bytes: &[u8], tail: u8| {
            let mut out = Vec::new();
            push_ended(bytes, &mut out);
            out.push(tail);
            out
        };
        for pair in values.windows(2) {
            assert!(ended(pair[0], 0xff) < ended(pair[1], 0), "{pair:?}");
        }
    }
}
