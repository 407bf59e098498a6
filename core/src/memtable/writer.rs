//! The one writer of a memtable. Owned by the commit lock; its type proves that there is no second.
//!
//! Promises: after [`reserve`](MemtableWriter::reserve) the inserts it covers cannot fail; a reader sees an insert whole or
//! not at all.

use super::Memtable;
use super::arena::{Bump, PREPARED_BYTES};
use super::hash::IndexWriter;
use super::node::{INSERT_OVERHEAD_BYTES, Node};
use crate::atomic::Ordering;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Kind, MAX_KEY_BYTES, MAX_VALUE_BYTES, Sequence};
use std::sync::Arc;

/// The smallest data chunk, so that a thousand idle memtables stay small.
const CHUNK_BYTES_MIN: usize = 4 << 10;

/// The largest, so that a busy memtable takes few.
const CHUNK_BYTES_MAX: usize = PREPARED_BYTES;

/// The next data chunk of a memtable that took `data_bytes` so far: a quarter more. What is held counts against the write buffer,
/// so a chunk must stay small beside what the memtable holds, whatever the buffer's size is.
fn chunk_bytes(data_bytes: usize) -> usize {
    (data_bytes / 4).next_power_of_two().clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX)
}

/// The right to write one memtable.
pub struct MemtableWriter {
    memtable: Arc<Memtable>,
    index: IndexWriter,
    /// Where the next insert goes.
    space: Bump,
    /// The rest of a chunk that was too small for one large reservation.
    aside: Bump,
    data_bytes: usize,
    /// Inserts that the reservation still covers.
    operations_left: usize,
}

impl MemtableWriter {
    pub(super) fn new(memtable: Arc<Memtable>) -> Self {
        Self {
            memtable,
            index: IndexWriter::new(),
            space: Bump::empty(),
            aside: Bump::empty(),
            data_bytes: 0,
            operations_left: 0,
        }
    }

    /// The memtable that it writes.
    pub fn memtable(&self) -> &Arc<Memtable> {
        &self.memtable
    }

    /// Makes sure that `operations` inserts with `bytes` of keys and values in all cannot fail. Replaces the reservation
    /// before it. Errors: NO_MEMORY; the memtable is as it was.
    #[inline]
    pub fn reserve(&mut self, operations: usize, bytes: usize) -> Result<()> {
        let memtable = &*self.memtable;
        let needed = operations.checked_mul(INSERT_OVERHEAD_BYTES).and_then(|overhead| overhead.checked_add(bytes));
        let Some(needed) = needed.filter(|&needed| needed <= isize::MAX as usize / 2) else {
            return Err(Error::new(ErrorKind::NoMemory, format!("a batch of {bytes} bytes is beyond any memory")));
        };
        memtable.log.reserve(operations, &memtable.arena)?;
        self.index.reserve(&memtable.index, &memtable.log, &memtable.arena, operations)?;
        if needed > self.space.left() {
            self.reserve_space(needed)?;
        }
        self.operations_left = operations;
        Ok(())
    }

    #[cold]
    fn reserve_space(&mut self, needed: usize) -> Result<()> {
        if self.aside.left() >= needed {
            std::mem::swap(&mut self.space, &mut self.aside);
            return Ok(());
        }
        let standard = chunk_bytes(self.data_bytes);
        let bytes = if needed <= standard { standard } else { needed.next_multiple_of(4 << 10) };
        let rest = std::mem::replace(&mut self.space, Bump::take(&self.memtable.arena, bytes)?);
        if rest.left() > self.aside.left() {
            self.aside = rest;
        }
        self.data_bytes += bytes;
        Ok(())
    }

    /// Asks for the hash slot of `key` ahead of its insert.
    pub fn prefetch(&self, key: &[u8]) {
        self.memtable.ask(key);
    }

    /// Inserts a version newer than every one of that key. Readers with a snapshot at or above `sequence` see it at once.
    /// Requires: reserved; `sequence` above every one before; key and value within their caps. Panics if not reserved,
    /// before anything is visible.
    #[inline]
    pub fn insert(&mut self, sequence: Sequence, kind: Kind, key: &[u8], value: &[u8]) {
        debug_assert!(key.len() <= MAX_KEY_BYTES && value.len() <= MAX_VALUE_BYTES);
        // Without it a full index would have no end.
        assert!(self.operations_left > 0, "an insert was not reserved");
        self.operations_left -= 1;
        let memtable = &*self.memtable;
        debug_assert!(!memtable.is_frozen());
        let hash = memtable.index.hash(key);
        match memtable.index.find(key, hash) {
            Some(node) => node.push(&mut self.space, sequence, kind, value),
            None => {
                let node = Node::write(&mut self.space, key, sequence, kind, value);
                let log = &memtable.log;
                let len = log.len();
                let ascending = log.is_sorted() && (len == 0 || log.node(len - 1).key() < key);
                self.index.insert(&memtable.index, hash, node);
                log.push(node, ascending);
                self.index.step(&memtable.index, log);
            }
        }
        let totals = &memtable.totals;
        let add = |total: &std::sync::atomic::AtomicU64, count: u64| {
            total.store(total.load(Ordering::Relaxed) + count, Ordering::Relaxed);
        };
        add(&totals.entries, 1);
        add(&totals.payload_bytes, (key.len() + value.len()) as u64);
        add(&totals.tombstones, u64::from(matches!(kind, Kind::Delete)));
        if totals.first_sequence.load(Ordering::Relaxed) == 0 {
            totals.first_sequence.store(sequence, Ordering::Release);
        }
        totals.last_sequence.store(sequence, Ordering::Release);
    }
}
