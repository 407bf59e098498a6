//! The newest data of one collection, in memory: fast to insert, fast to get, ordered when somebody wants order.
//!
//! Written by `commit` through the one [`MemtableWriter`], read by `read` and `flush`. An arena holds one node per distinct
//! key with a chain of its versions; a keyed hash finds nodes; the order of keys is kept apart and made outside the commit
//! lock, so that an insert never pays for it alone.
//!
//! Promises: readers never wait for the writer nor the writer for them; whatever was inserted before a reader learned of
//! its sequence is found by that reader; nothing moves or goes before the last reference to the memtable.

mod any;
mod arena;
mod cursor;
mod flush;
mod hash;
mod log;
mod memory;
mod node;
mod order;
mod prepare;
mod ranges;
#[cfg(feature = "arrow")]
pub mod rows;
mod sort;
mod tree;
mod writer;

pub use any::{AnyMemtable, AnyMemtableWriter, MemtableKind, create_any};
pub use arena::ArenaPool;
pub use cursor::MemtableCursor;
pub use flush::FlushCursor;
pub use memory::{MemtableMemory, Signal};
pub use ranges::{FlushRanges, RoutedNodes};
pub use writer::MemtableWriter;

use crate::atomic::{AtomicBool, Ordering};
use crate::error::Result;
use crate::key::{Kind, MemtableId, Sequence};
use arena::Arena;
use hash::Index;
use log::Log;
use order::Order;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What a new memtable needs.
pub struct MemtableOptions {
    /// Seed of the hash. Must be unpredictable to whoever chooses keys, and best differs for each memtable.
    pub hash_seed: u64,
    /// Where its memory comes from and goes back to.
    pub pool: Arc<ArenaPool>,
}

/// Makes an empty memtable. It takes memory with its first reservation. Errors: none today; callers must expect NO_MEMORY.
pub fn create(id: MemtableId, options: &MemtableOptions) -> Result<(MemtableWriter, Arc<Memtable>)> {
    let memtable = Arc::new(Memtable {
        id,
        log: Log::new(),
        index: Index::new(options.hash_seed),
        order: Order::new(),
        totals: Totals::default(),
        frozen: AtomicBool::new(false),
        arena: Arena::new(options.pool.clone()),
    });
    Ok((MemtableWriter::new(memtable.clone()), memtable))
}

/// What anybody may do with a memtable: read. Thread safety: shared freely.
pub struct Memtable {
    id: MemtableId,
    log: Log,
    index: Index,
    order: Order,
    totals: Totals,
    frozen: AtomicBool,
    arena: Arena,
}

/// Written by the one writer alone, so plain loads and stores are exact.
#[derive(Default)]
struct Totals {
    entries: AtomicU64,
    payload_bytes: AtomicU64,
    tombstones: AtomicU64,
    first_sequence: AtomicU64,
    last_sequence: AtomicU64,
}

/// The version that a get found: it may be a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'m> {
    /// When it was written.
    pub sequence: Sequence,
    /// What it does.
    pub kind: Kind,
    /// Its value; empty for a delete.
    pub value: &'m [u8],
}

impl Memtable {
    /// Its number.
    pub fn id(&self) -> MemtableId {
        self.id
    }

    /// The newest version of `key` with a sequence at or below `snapshot`.
    #[inline]
    pub fn get(&self, key: &[u8], snapshot: Sequence) -> Option<Found<'_>> {
        self.get_hashed(key, self.index.hash(key), snapshot)
    }

    /// The same for a key whose hash [`ask`](Self::ask) gave.
    #[inline]
    pub fn get_hashed(&self, key: &[u8], hash: u64, snapshot: Sequence) -> Option<Found<'_>> {
        let node = self.index.find(key, hash)?;
        let version = node.latest().visible_at(snapshot)?;
        Some(Found { sequence: version.sequence(), kind: version.kind(), value: version.value() })
    }

    /// Asks for the hash slot of `key` ahead of a get or an insert, and gives the hash, which is good for this memtable alone.
    #[inline]
    pub fn ask(&self, key: &[u8]) -> u64 {
        let hash = self.index.hash(key);
        self.index.prefetch_slot(hash);
        hash
    }

    /// Asks for the node of a key, a while after its slot was asked for.
    #[inline]
    pub fn ask_node(&self, hash: u64) {
        self.index.prefetch_node(hash);
    }

    /// Bytes of memory really held, used or not: data, hash arrays, order. Cheap.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.arena.held_bytes()
    }

    /// How many versions it holds, deletes among them.
    pub fn entry_count(&self) -> u64 {
        self.totals.entries.load(Ordering::Relaxed)
    }

    /// How many distinct keys it holds.
    pub fn key_count(&self) -> u64 {
        self.log.len() as u64
    }

    /// Bytes of all keys and values written.
    pub fn payload_bytes(&self) -> u64 {
        self.totals.payload_bytes.load(Ordering::Relaxed)
    }

    /// How many of the versions are deletes.
    pub fn tombstone_count(&self) -> u64 {
        self.totals.tombstones.load(Ordering::Relaxed)
    }

    /// Whether nothing was inserted yet.
    pub fn is_empty(&self) -> bool {
        self.log.len() == 0
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
    }

    /// Whether it was frozen.
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire)
    }

    /// Sorts a little of what was written lately into the order, if iterators are in use and it has become much. Called
    /// after a write, outside the commit lock, so that the next iterator finds little left to do. Returns at once when
    /// somebody else is at it.
    pub fn feed_lag(&self) {
        self.order.feed_lag(&self.log, &self.arena);
    }

    /// Says that iterators are to be expected, as if one had been made: the memtable before this one had them.
    pub fn expect_iterators(&self) {
        self.order.expect_iterators();
    }

    /// Whether an iterator was made, or expected.
    pub fn has_iterators(&self) -> bool {
        self.order.has_iterators()
    }

    /// A cursor over every entry inserted before this call. Entries inserted later may or may not appear: filter by
    /// sequence. Errors: NO_MEMORY is reported by the cursor's first move.
    pub fn cursor(self: &Arc<Self>) -> MemtableCursor {
        MemtableCursor::new(self.clone())
    }

    /// The cursor that flush uses: forward once, sorting as it goes. Only what was inserted before this call is seen, so
    /// freeze first.
    pub fn flush_cursor(self: &Arc<Self>) -> FlushCursor {
        ranges::whole(self)
    }
}

impl std::fmt::Debug for Memtable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memtable({}, {} entries, {} bytes)", self.id, self.entry_count(), self.memory_bytes())
    }
}

#[cfg(test)]
mod tests;
