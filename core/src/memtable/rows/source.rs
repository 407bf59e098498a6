//! The rows of a memtable as sources in key order: runs of large batches that do not overlap, and the indexed rows.

use super::{Part, RowMemtable, referred};
use crate::atomic::Ordering;
use crate::error::{Error, ErrorKind, Result};
use crate::iter::{Cursor, RowChunk, RowSource, RowStretch, Sequences, gather};
use crate::key::{KeyRange, KeyRows, Kind, Sequence};
use crate::memtable::MemtableCursor;
use crate::schema::TableSchema;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{Field, Schema, SchemaRef};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Rows of a chunk made of indexed rows, or of deletes, whose missing columns are made up.
const CHUNK_ROWS: usize = 8_192;

/// Bytes of a chunk made of indexed rows, about.
const CHUNK_BYTES: usize = 8 << 20;

/// Which columns are wanted, and where they are in a batch.
pub(super) struct Projection {
    /// Of each wanted column: its index among the schema's, and its place in the key.
    columns: Vec<(usize, Option<usize>)>,
    /// As the schema has them, made nullable where deletes need it.
    schema: SchemaRef,
}

impl Projection {
    pub fn new(schema: &TableSchema, ids: &[u32]) -> Result<Self> {
        let mut columns = Vec::with_capacity(ids.len());
        let mut fields: Vec<Arc<Field>> = Vec::with_capacity(ids.len());
        for &id in ids {
            let index = schema
                .columns()
                .iter()
                .position(|column| column.id == id)
                .ok_or_else(|| Error::invalid(format!("the table has no column with the id {id}")))?;
            columns.push((index, schema.key().iter().position(|&key| key == index)));
            fields.push(schema.stored().fields()[index].clone());
        }
        Ok(Self { columns, schema: Arc::new(Schema::new(fields)) })
    }

    /// The rows from `start` on, `len` of them, of a part.
    pub fn chunk(&self, part: &Part, start: usize, len: usize) -> Result<RowChunk> {
        let rows = &part.rows;
        let arrays: Vec<ArrayRef> = self
            .columns
            .iter()
            .zip(self.schema.fields())
            .map(|(&(index, key), field)| match (rows.is_deletes(), key) {
                (false, _) => rows.batch().column(index).slice(start, len),
                (true, Some(key)) => rows.batch().column(key).slice(start, len),
                (true, None) => new_null_array(field.data_type(), len),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(len));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|error| Error::new(ErrorKind::NotSupported, format!("rows cannot be read: {error}")))?;
        Ok(RowChunk {
            batch,
            keys: rows.keys().map(|keys| keys.slice(start, len)),
            sequences: Sequences::Same(part.sequence),
            deletes: rows.is_deletes().then(|| BooleanBuffer::new_set(len)),
        })
    }
}

/// The large parts that can have keys of a range: those whose keys ascend, from part to part, and the others.
pub(super) fn large_parts(memtable: &RowMemtable, range: &KeyRange) -> (Range<usize>, Range<usize>) {
    let ascending = memtable.ascending.load(Ordering::Acquire);
    let part_of = |bound: &Option<Vec<u8>>| memtable.ascending_part(ascending, bound.as_deref()?);
    let first = part_of(&range.lower).unwrap_or(0);
    let end = if range.upper.is_some() { part_of(&range.upper).map_or(0, |last| last + 1) } else { ascending };
    (first..end, ascending..memtable.large.len())
}

/// A source of pieces one after another.
pub(super) fn run(memtable: &Arc<RowMemtable>, projection: Arc<Projection>, pieces: Vec<Piece>) -> Box<dyn RowSource> {
    Box::new(RunSource { memtable: memtable.clone(), projection, pieces: pieces.into_iter(), rest: None })
}

/// See [`RowMemtable::source`].
pub(super) fn sources(
    memtable: &Arc<RowMemtable>,
    projection: &Arc<Projection>,
    range: &KeyRange,
    snapshot: Sequence,
) -> Vec<Box<dyn RowSource>> {
    let (in_order, others) = large_parts(memtable, range);
    let mut pieces: Vec<Piece> = in_order
        .chain(others)
        .filter_map(|at| memtable.large_part(at))
        .take_while(|(_, part)| part.sequence <= snapshot)
        .filter_map(|(number, part)| Piece::of(number, part, range))
        .collect();
    let run = |pieces: Vec<Piece>| run(memtable, projection.clone(), pieces);
    let Some(index) = &memtable.index else {
        return if pieces.is_empty() { Vec::new() } else { vec![run(pieces)] };
    };
    let mut sources: Vec<Box<dyn RowSource>> = Vec::new();
    if !index.is_empty() {
        sources.push(Box::new(IndexSource {
            cursor: Some(index.cursor()),
            memtable: memtable.clone(),
            projection: projection.clone(),
            range: range.clone(),
            snapshot,
            started: false,
        }));
    }
    let by_key = |a: &Piece, b: &Piece| match (a.keys(memtable), b.keys(memtable)) {
        (Some(x), Some(y)) => x.compare(a.start, y, b.start),
        _ => a.part.cmp(&b.part),
    };
    // Newest first among those that begin alike, so that of batches that repeat the same keys each run is of one age.
    pieces.sort_unstable_by(|a, b| by_key(a, b).then(b.part.cmp(&a.part)));
    sources.extend(runs(memtable, pieces).into_iter().map(run));
    sources
}

/// Packs pieces, in the order of their first keys, into as few runs as they overlap deep, each in key order; runs with the
/// newest pieces first.
fn runs(memtable: &RowMemtable, pieces: Vec<Piece>) -> Vec<Vec<Piece>> {
    let mut runs: Vec<Vec<Piece>> = Vec::new();
    // The run that ends first is the one to go on with.
    let mut ends: BinaryHeap<Reverse<(Vec<u8>, usize)>> = BinaryHeap::new();
    for piece in pieces {
        let Some(keys) = piece.keys(memtable) else { continue };
        let last = keys.bytes(piece.end - 1, &mut [0; 8]).to_vec();
        let follows = ends.peek().filter(|Reverse((end, _))| keys.compare_to(piece.start, end).is_gt());
        let run = match follows.map(|Reverse((_, run))| *run) {
            Some(run) => {
                ends.pop();
                run
            }
            None => {
                runs.push(Vec::new());
                runs.len() - 1
            }
        };
        runs[run].push(piece);
        ends.push(Reverse((last, run)));
    }
    runs.sort_by_key(|run| Reverse(run.iter().map(|piece| piece.part).max()));
    runs
}

/// Some rows of a large part.
pub(super) struct Piece {
    pub part: usize,
    pub start: usize,
    pub end: usize,
}

impl Piece {
    pub fn of(number: usize, part: &Part, range: &KeyRange) -> Option<Self> {
        let rows = part.rows.rows();
        let (start, end) = match part.rows.keys() {
            None => (0, rows),
            Some(keys) => (
                range.lower.as_deref().map_or(0, |lower| keys.lower_bound(lower)),
                range.upper.as_deref().map_or(rows, |upper| keys.lower_bound(upper)),
            ),
        };
        (start < end).then_some(Self { part: number, start, end })
    }

    pub fn keys<'m>(&self, memtable: &'m RowMemtable) -> Option<&'m KeyRows> {
        memtable.parts.get(self.part)?.rows.keys()
    }
}

/// Large parts one after another.
struct RunSource {
    memtable: Arc<RowMemtable>,
    projection: Arc<Projection>,
    pieces: std::vec::IntoIter<Piece>,
    rest: Option<Piece>,
}

impl RowSource for RunSource {
    fn next_chunk(&mut self) -> Result<Option<RowChunk>> {
        let Some(piece) = self.rest.take().or_else(|| self.pieces.next()) else { return Ok(None) };
        let Some(part) = self.memtable.parts.get(piece.part) else { return Ok(None) };
        // What deletes lack is made up, so not for all of them at once.
        let len = piece.end - piece.start;
        let len = if part.rows.is_deletes() { len.min(CHUNK_ROWS) } else { len };
        let chunk = self.projection.chunk(part, piece.start, len);
        if chunk.is_err() {
            self.pieces = Vec::new().into_iter();
        } else if piece.start + len < piece.end {
            self.rest = Some(Piece { start: piece.start + len, ..piece });
        }
        chunk.map(Some)
    }
}

/// The rows of small batches, by the index.
struct IndexSource {
    /// `None` at the end.
    cursor: Option<MemtableCursor>,
    memtable: Arc<RowMemtable>,
    projection: Arc<Projection>,
    range: KeyRange,
    snapshot: Sequence,
    started: bool,
}

impl IndexSource {
    /// Moves to the next row; part and row of it.
    fn step(&mut self) -> Result<Option<(usize, usize)>> {
        let Some(cursor) = &mut self.cursor else { return Ok(None) };
        loop {
            let stands = match (std::mem::replace(&mut self.started, true), &self.range.lower) {
                (true, _) => cursor.next()?,
                (false, Some(lower)) => cursor.seek(lower)?,
                (false, None) => cursor.seek_to_first()?,
            };
            if !stands {
                return Ok(None);
            }
            let entry = cursor.entry();
            if self.range.upper.as_deref().is_some_and(|upper| entry.key >= upper) {
                return Ok(None);
            }
            debug_assert_eq!(entry.kind, Kind::Put);
            if entry.sequence <= self.snapshot {
                return Ok(referred(entry.value));
            }
        }
    }

    fn fill(&mut self) -> Result<Option<RowChunk>> {
        let mut chunks: Vec<RowChunk> = Vec::new();
        let mut numbers: HashMap<usize, u32> = HashMap::new();
        let mut stretches: Vec<RowStretch> = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        while rows < CHUNK_ROWS && bytes < CHUNK_BYTES {
            let Some((number, row)) = self.step()? else {
                self.cursor = None;
                break;
            };
            let memtable = self.memtable.clone();
            let Some(part) = memtable.parts.get(number) else { continue };
            let chunk = match numbers.get(&number) {
                Some(&chunk) => chunk,
                None => {
                    chunks.push(self.projection.chunk(part, 0, part.rows.rows())?);
                    numbers.insert(number, (chunks.len() - 1) as u32);
                    (chunks.len() - 1) as u32
                }
            };
            rows += 1;
            bytes += part.rows.payload_bytes() / part.rows.rows();
            match stretches.last_mut() {
                Some(last) if last.chunk == chunk && (last.start + last.len) as usize == row => last.len += 1,
                _ => stretches.push(RowStretch { chunk, start: row as u32, len: 1 }),
            }
        }
        let mut out = Vec::new();
        gather(&chunks.iter().collect::<Vec<_>>(), &stretches, &mut out)?;
        // Rows of small batches never reach the limits of one chunk.
        debug_assert!(out.len() <= 1);
        Ok(out.pop())
    }
}

impl RowSource for IndexSource {
    fn next_chunk(&mut self) -> Result<Option<RowChunk>> {
        if self.cursor.is_none() {
            return Ok(None);
        }
        let filled = self.fill();
        if filled.is_err() {
            self.cursor = None;
        }
        filled
    }
}
