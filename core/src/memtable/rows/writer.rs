//! The one writer of a row memtable. Owned by the commit lock; its type proves that there is no second.

use super::{INDEXED_ROWS_MAX, ORDERED_ROWS_MIN, Part, RowMemtable, reference};
use crate::atomic::{AtomicU64, Ordering};
use crate::batch::PreparedRows;
use crate::error::Result;
use crate::key::{KeyRows, Kind, Sequence};
use crate::memtable::MemtableWriter;
use std::cmp::Ordering as KeyOrder;
use std::sync::Arc;

/// The right to write one row memtable.
pub struct RowMemtableWriter {
    memtable: Arc<RowMemtable>,
    index: Option<MemtableWriter>,
}

impl RowMemtableWriter {
    pub(super) fn new(memtable: Arc<RowMemtable>, index: Option<MemtableWriter>) -> Self {
        Self { memtable, index }
    }

    /// The memtable that it writes.
    pub fn memtable(&self) -> &Arc<RowMemtable> {
        &self.memtable
    }

    /// Makes sure that inserting `batches` cannot fail. Replaces the reservation before it. Errors: NO_MEMORY; the memtable
    /// is as it was.
    pub fn reserve<'b>(&mut self, batches: impl IntoIterator<Item = &'b PreparedRows>) -> Result<()> {
        let (mut count, mut large, mut rows, mut bytes) = (0, 0, 0, 0);
        for batch in batches {
            count += 1;
            match batch.keys() {
                Some(keys) if batch.rows() < INDEXED_ROWS_MAX => {
                    rows += keys.len();
                    bytes += keys_bytes(keys) + keys.len() * size_of::<u64>();
                    // Which of both it will be is known when those before it are in.
                    large += 1;
                }
                _ => large += 1,
            }
        }
        let taken = self.memtable.parts.reserve(count)? + self.memtable.large.reserve(large)?;
        self.memtable.count_bytes(&self.memtable.totals.list_bytes, taken);
        match &mut self.index {
            Some(index) if rows > 0 => index.reserve(rows, bytes),
            _ => Ok(()),
        }
    }

    /// Inserts the rows as the newest of their keys. Readers with a snapshot at or above `sequence` see all of them once
    /// this returned. Requires: reserved; `sequence` above every one before; rows of the memtable's schema. Panics if not
    /// reserved, or if the rows are of another schema, before anything is visible.
    pub fn insert(&mut self, sequence: Sequence, rows: Arc<PreparedRows>) {
        let memtable = &*self.memtable;
        debug_assert!(!memtable.is_frozen());
        assert_eq!(rows.schema().id(), memtable.schema.id(), "rows of another schema");
        if rows.rows() == 0 {
            return;
        }
        let part = memtable.parts.len();
        let totals = &memtable.totals;
        add64(&totals.rows, rows.rows() as u64);
        add64(&totals.payload_bytes, rows.payload_bytes() as u64);
        add64(&totals.tombstones, if rows.is_deletes() { rows.rows() as u64 } else { 0 });
        memtable.count_bytes(&totals.rows_bytes, rows.memory_bytes());
        memtable.parts.push(Part::new(sequence, rows.clone()));
        let in_order = rows.keys().is_some_and(|keys| self.comes_last(keys));
        match (rows.keys(), &mut self.index) {
            (Some(keys), Some(index)) if keys.len() < if in_order { ORDERED_ROWS_MIN } else { INDEXED_ROWS_MAX } => {
                let mut scratch = [0; 8];
                for row in 0..keys.len() {
                    index.insert(sequence, Kind::Put, keys.bytes(row, &mut scratch), &reference(part, row));
                }
            }
            _ => {
                memtable.large.push(part as u32);
                if in_order {
                    memtable.ascending.store(memtable.large.len(), Ordering::Release);
                }
            }
        }
        if totals.first_sequence.load(Ordering::Relaxed) == 0 {
            totals.first_sequence.store(sequence, Ordering::Release);
        }
        totals.last_sequence.store(sequence, Ordering::Release);
    }

    /// Whether all large parts ascend, and `keys` go on behind the last of them.
    fn comes_last(&self, keys: &KeyRows) -> bool {
        let memtable = &*self.memtable;
        let large = memtable.large.len();
        if memtable.ascending.load(Ordering::Relaxed) != large {
            return false;
        }
        let last = large.checked_sub(1).and_then(|last| memtable.large_part(last));
        last.is_none_or(|(_, part)| {
            let before = part.rows.keys();
            before.is_some_and(|before| before.compare(before.len() - 1, keys, 0) == KeyOrder::Less)
        })
    }
}

fn keys_bytes(keys: &KeyRows) -> usize {
    match keys {
        KeyRows::Fixed { width, heads } => width * heads.len(),
        KeyRows::Bytes { offsets, .. } => (offsets[offsets.len() - 1] - offsets[0]) as usize,
    }
}

/// One writer alone: a plain load and store are exact.
fn add64(total: &AtomicU64, count: u64) {
    total.store(total.load(Ordering::Relaxed) + count, Ordering::Relaxed);
}
