//! The newest rows of one table, in memory: batches are kept as they came, sorted by key, and never copied row by row.
//!
//! Written by `commit` through the one [`RowMemtableWriter`], read by scans and flush. Each batch is a part. The rows of
//! small batches are also entered into a memtable of bytes (key to part and row), so that gets and order stay cheap however
//! many there are; large batches are searched in place (behind filters, once there are several and somebody gets), and those
//! that do not overlap make one source. As long as each batch begins behind the end of the one before, as rows that come by
//! time do, small ones count as large: one search finds the batch of a key.
//!
//! Promises: readers never wait for the writer nor the writer for them; a reader that learned of a sequence finds everything
//! inserted up to it; memory is counted to the byte, allocations that batches share once in each.

mod backward;
mod parts;
mod source;
mod writer;

pub use backward::ArrivalPlace;
pub use writer::RowMemtableWriter;

use super::{ArenaPool, Memtable, MemtableOptions};
use crate::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::batch::PreparedRows;
use crate::error::{Error, Result};
use crate::filter::{Filter, key_hash};
use crate::iter::{RowChunk, RowSource};
use crate::key::{KeyRange, MemtableId, Sequence};
use crate::schema::TableSchema;
use parts::Published;
use source::Projection;
use std::cmp::Ordering as KeyOrder;
use std::sync::{Arc, OnceLock};

/// Batches with fewer rows are indexed row by row.
pub(crate) const INDEXED_ROWS_MAX: usize = 1_024;

/// Batches with fewer rows are indexed even if they come in order: as parts they would take more memory than entries.
const ORDERED_ROWS_MIN: usize = 64;

/// With this many large batches, a get asks a filter before it searches one.
const FILTERED_PARTS_MIN: usize = 4;

/// Bits per key of these filters: a batch is searched in vain one time in eighty.
const FILTER_BITS_PER_KEY: u32 = 10;

/// Makes an empty memtable for rows of `schema`. Errors: none today; callers must expect NO_MEMORY.
pub fn create(
    id: MemtableId,
    schema: Arc<TableSchema>,
    options: &MemtableOptions,
) -> Result<(RowMemtableWriter, Arc<RowMemtable>)> {
    let index = if schema.is_keyed() { Some(super::create(id, options)?) } else { None };
    let (index_writer, index) = index.unzip();
    let memtable = Arc::new(RowMemtable {
        id,
        schema,
        parts: Published::new(),
        large: Published::new(),
        ascending: AtomicUsize::new(0),
        index,
        totals: Totals::default(),
        frozen: AtomicBool::new(false),
        pool: options.pool.clone(),
    });
    Ok((RowMemtableWriter::new(memtable.clone(), index_writer), memtable))
}

/// One batch of rows.
struct Part {
    sequence: Sequence,
    rows: Arc<PreparedRows>,
    /// Of a large one, made by the first get that wants it; `None` if there was no memory for it.
    filter: OnceLock<Option<Filter>>,
}

impl Part {
    fn new(sequence: Sequence, rows: Arc<PreparedRows>) -> Self {
        Self { sequence, rows, filter: OnceLock::new() }
    }

    /// The row with `key`, whose hash is `hash` if a filter is worth asking.
    fn find(&self, key: &[u8], hash: Option<u64>, count_filter: impl FnOnce(usize)) -> Option<usize> {
        let keys = self.rows.keys()?;
        if keys.compare_to(0, key) == KeyOrder::Greater || keys.compare_to(keys.len() - 1, key) == KeyOrder::Less {
            return None;
        }
        let may_contain = hash.is_none_or(|hash| {
            let filter = self.filter.get_or_init(|| {
                let mut scratch = [0; 8];
                let hashes: Vec<u64> = (0..keys.len()).map(|row| key_hash(keys.bytes(row, &mut scratch))).collect();
                let filter = Filter::build(&hashes, FILTER_BITS_PER_KEY).ok()?;
                count_filter(filter.resident_bytes());
                Some(filter)
            });
            filter.as_ref().is_none_or(|filter| filter.may_contain(hash))
        });
        let row = if may_contain { keys.lower_bound(key) } else { return None };
        (row < keys.len() && keys.compare_to(row, key) == KeyOrder::Equal).then_some(row)
    }
}

/// What anybody may do with a memtable of rows: read. Thread safety: shared freely.
pub struct RowMemtable {
    id: MemtableId,
    schema: Arc<TableSchema>,
    /// All batches, by rising sequence.
    parts: Published<Part>,
    /// The numbers of those that are not indexed, rising.
    large: Published<u32>,
    /// So many of them, from the first one on, have keys above all keys of those before.
    ascending: AtomicUsize,
    /// Rows of the others: from key to part and row. Only in keyed tables.
    index: Option<Arc<Memtable>>,
    totals: Totals,
    frozen: AtomicBool,
    /// Counts what is held beside the index, which counts for itself.
    pool: Arc<ArenaPool>,
}

impl Drop for RowMemtable {
    fn drop(&mut self) {
        self.pool.memory().remove(self.totals.bytes());
    }
}

/// Written by the one writer alone, so plain loads and stores are exact, but for the filters.
#[derive(Default)]
struct Totals {
    rows: AtomicU64,
    payload_bytes: AtomicU64,
    tombstones: AtomicU64,
    rows_bytes: AtomicUsize,
    list_bytes: AtomicUsize,
    /// Of filters: the one that readers add to.
    filter_bytes: AtomicUsize,
    first_sequence: AtomicU64,
    last_sequence: AtomicU64,
}

impl Totals {
    /// Bytes of rows, of the lists of them, of filters.
    fn bytes(&self) -> usize {
        let of = |total: &AtomicUsize| total.load(Ordering::Relaxed);
        of(&self.rows_bytes) + of(&self.list_bytes) + of(&self.filter_bytes)
    }
}

/// What the index holds for a key: where its row is.
fn reference(part: usize, row: usize) -> [u8; 8] {
    ((part as u64) << 32 | row as u64).to_le_bytes()
}

/// Part and row of what the index holds.
fn referred(value: &[u8]) -> Option<(usize, usize)> {
    let number = u64::from_le_bytes(value.try_into().ok()?);
    Some(((number >> 32) as usize, (number & u64::from(u32::MAX)) as usize))
}

impl RowMemtable {
    /// Its number.
    pub fn id(&self) -> MemtableId {
        self.id
    }

    /// The schema of all its rows. A change of the table's schema begins a new memtable.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    /// Bytes of memory really held, used or not.
    pub fn memory_bytes(&self) -> usize {
        let index = self.index.as_ref().map_or(0, |index| index.memory_bytes());
        size_of::<Self>() + index + self.totals.bytes()
    }

    /// Counts what was taken beside the index, in the total of that kind and for all memtables.
    fn count_bytes(&self, total: &AtomicUsize, bytes: usize) {
        total.fetch_add(bytes, Ordering::Relaxed);
        self.pool.memory().add(bytes);
    }

    /// How many rows it holds, deletes among them.
    pub fn entry_count(&self) -> u64 {
        self.totals.rows.load(Ordering::Relaxed)
    }

    /// Bytes of the values of all rows.
    pub fn payload_bytes(&self) -> u64 {
        self.totals.payload_bytes.load(Ordering::Relaxed)
    }

    /// How many of the rows are deletes.
    pub fn tombstone_count(&self) -> u64 {
        self.totals.tombstones.load(Ordering::Relaxed)
    }

    /// Whether nothing was inserted yet.
    pub fn is_empty(&self) -> bool {
        self.parts.len() == 0
    }

    /// The least sequence in it.
    pub fn first_sequence(&self) -> Option<Sequence> {
        Some(self.totals.first_sequence.load(Ordering::Acquire)).filter(|&sequence| sequence != 0)
    }

    /// The greatest sequence in it.
    pub fn last_sequence(&self) -> Option<Sequence> {
        Some(self.totals.last_sequence.load(Ordering::Acquire)).filter(|&sequence| sequence != 0)
    }

    /// Ends writing: no insert follows. Called when the writer gives it up.
    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::Release);
        self.index.iter().for_each(|index| index.freeze());
    }

    /// Whether it was frozen.
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire)
    }

    /// Its batches and their sequences, which rise.
    pub fn batches(&self) -> impl Iterator<Item = (Sequence, &Arc<PreparedRows>)> {
        (0..self.parts.len()).filter_map(|at| self.parts.get(at)).map(|part| (part.sequence, &part.rows))
    }

    /// As [`Memtable::feed_lag`], for the rows of small batches.
    pub fn feed_lag(&self) {
        self.index.iter().for_each(|index| index.feed_lag());
    }

    /// Says that scans are to be expected, as if there had been one.
    pub fn expect_iterators(&self) {
        self.index.iter().for_each(|index| index.expect_iterators());
    }

    /// Whether somebody scanned, or was expected to.
    pub fn has_iterators(&self) -> bool {
        self.index.as_ref().is_some_and(|index| index.has_iterators())
    }

    /// The newest version of the row with the encoded `key` at or below `snapshot`, as a chunk of one row with `columns`
    /// (ids of the schema): it may be a delete. Errors: INVALID_ARGUMENT for an unknown column, or in an append-only table.
    pub fn get(&self, key: &[u8], snapshot: Sequence, columns: &[u32]) -> Result<Option<RowChunk>> {
        let Some(index) = &self.index else {
            return Err(Error::invalid("an append-only table has no keys to get rows by"));
        };
        let mut found = index
            .get(key, snapshot)
            .and_then(|found| Some((found.sequence, referred(found.value)?)))
            .map(|(sequence, (part, row))| (sequence, part, row));
        let ascending = self.ascending.load(Ordering::Acquire);
        let large = self.large.len();
        let hash = (large - ascending >= FILTERED_PARTS_MIN).then(|| key_hash(key));
        for at in (ascending..large).rev().chain(self.ascending_part(ascending, key)) {
            let Some((number, part)) = self.large_part(at) else { continue };
            if part.sequence > snapshot {
                continue;
            }
            if found.is_some_and(|(sequence, ..)| sequence > part.sequence) {
                break;
            }
            let count_filter = |bytes| self.count_bytes(&self.totals.filter_bytes, bytes);
            if let Some(row) = part.find(key, hash.filter(|_| at >= ascending), count_filter) {
                found = Some((part.sequence, number, row));
                break;
            }
        }
        let projection = Projection::new(&self.schema, columns)?;
        let Some((_, number, row)) = found else { return Ok(None) };
        let Some(part) = self.parts.get(number) else { return Ok(None) };
        projection.chunk(part, row, 1).map(Some)
    }

    /// Which of the first `ascending` large parts has `key`, if any has.
    fn ascending_part(&self, ascending: usize, key: &[u8]) -> Option<usize> {
        let begins_after = |at: usize| {
            let keys = self.large_part(at).and_then(|(_, part)| part.rows.keys());
            keys.is_none_or(|keys| keys.compare_to(0, key) == KeyOrder::Greater)
        };
        let (mut low, mut high) = (0, ascending);
        while low < high {
            let middle = low + (high - low) / 2;
            if begins_after(middle) { high = middle } else { low = middle + 1 }
        }
        low.checked_sub(1)
    }

    fn large_part(&self, at: usize) -> Option<(usize, &Part)> {
        let number = *self.large.get(at)? as usize;
        Some((number, self.parts.get(number)?))
    }

    /// Sources that together have every row at or below `snapshot` and within `range` (of encoded keys; of no meaning in an
    /// append-only table), all versions and deletes, with `columns` (ids of the schema). Newest first, as far as their
    /// rows' ages do not overlap: a merge tells by sequence. Rows inserted later with a sequence above the snapshot do not
    /// appear. Errors: INVALID_ARGUMENT for an unknown column.
    pub fn source(
        self: &Arc<Self>,
        columns: &[u32],
        range: &KeyRange,
        snapshot: Sequence,
    ) -> Result<Vec<Box<dyn RowSource>>> {
        let projection = Arc::new(Projection::new(&self.schema, columns)?);
        Ok(source::sources(self, &projection, range, snapshot))
    }

    /// A key of `range` from which on, up to the end of the range, about `rows` rows of some source lie, and of no source more;
    /// `None` if no source has so many. For walks from the end, which read what lies behind it and go on before it.
    pub fn key_back(&self, range: &KeyRange, rows: usize) -> Result<Option<Vec<u8>>> {
        backward::key_back(self, range, rows.max(1))
    }

    /// Of an append-only table: the last `rows` rows before `end` that the snapshot sees, in order of arrival, and where they
    /// begin; `None` if there are none. Errors: INVALID_ARGUMENT for an unknown column.
    pub fn arrived_before(
        self: &Arc<Self>,
        columns: &[u32],
        snapshot: Sequence,
        end: ArrivalPlace,
        rows: usize,
    ) -> Result<Option<(Box<dyn RowSource>, ArrivalPlace)>> {
        let projection = Arc::new(Projection::new(&self.schema, columns)?);
        Ok(backward::arrived_before(self, projection, snapshot, end, rows.max(1)))
    }
}

impl std::fmt::Debug for RowMemtable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RowMemtable({}, {} rows, {} bytes)", self.id, self.entry_count(), self.memory_bytes())
    }
}

#[cfg(test)]
mod tests;
