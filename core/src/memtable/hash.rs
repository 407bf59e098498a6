//! The index of a memtable: from a key to its node, by open addressing in arrays that double.
//!
//! Written by the one writer, read by anybody without locks. A slot is a node's address with 16 bits of its hash above it;
//! the array is chosen by one pointer that carries the array's size the same way. To double, the writer fills a new array
//! from the insertion log, a few nodes with each insert, and publishes it when it holds every node: readers always see one
//! complete array. Old arrays stay until the memtable goes.
//!
//! Promises: the hash is keyed per memtable, so that nobody outside can make keys collide; a key inserted before a reader
//! learned of it is found.
//!
//! `unsafe` here: arrays of raw slots. The facts relied on: arrays and nodes live as long as the memtable; a slot goes from
//! null to a node once, with Release.
#![allow(unsafe_code)]

use super::arena::Arena;
use super::log::Log;
use super::node::Node;
use crate::atomic::{AtomicPtr, Ordering};
use crate::error::Result;
use crate::prefetch;
use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use std::hash::Hasher;
use std::ptr::NonNull;

const SLOTS_MIN: usize = if cfg!(loom) { 8 } else { 64 };
const TAG_SHIFT: u32 = 48;
const ADDRESS_MASK: usize = (1 << TAG_SHIFT) - 1;

/// Nodes moved into the next array with each new key. Moving starts at half full, so it ends at two thirds.
const NODES_PER_STEP: usize = 4;

type Slot = AtomicPtr<u8>;

/// One array of slots; a power of two of them.
#[derive(Clone, Copy)]
struct Table {
    slots: NonNull<Slot>,
    bits: u32,
}

impl Table {
    fn allocate(arena: &Arena, keys: usize) -> Result<Self> {
        let slots = keys.saturating_mul(2).max(SLOTS_MIN).checked_next_power_of_two().unwrap_or(1 << 62);
        let bytes = slots.saturating_mul(size_of::<Slot>());
        let table = Self { slots: arena.take(bytes, true)?.cast(), bits: slots.ilog2() };
        // A modelled atomic is not its value: zeros are none.
        #[cfg(loom)]
        for at in 0..slots {
            // SAFETY: `at` lies in the array, which nobody else has seen yet.
            unsafe { table.slots.add(at).write(Slot::new(std::ptr::null_mut())) };
        }
        Ok(table)
    }

    fn packed(self) -> *mut Slot {
        self.slots.as_ptr().map_addr(|address| address | (self.bits as usize) << TAG_SHIFT)
    }

    #[inline]
    fn unpack(packed: *mut Slot) -> Option<Self> {
        let bits = (packed.addr() >> TAG_SHIFT) as u32;
        Some(Self { slots: NonNull::new(packed.map_addr(|address| address & ADDRESS_MASK))?, bits })
    }

    fn slot_count(self) -> usize {
        1 << self.bits
    }

    #[inline]
    fn home(self, hash: u64) -> usize {
        (hash >> (64 - self.bits)) as usize
    }

    #[inline]
    fn slot<'m>(self, at: usize) -> &'m Slot {
        debug_assert!(at < self.slot_count());
        // SAFETY: every caller masks or shifts `at` to the array's size; the array was zeroed (null slots) when taken and
        // lives as long as the memtable, which every caller borrows.
        unsafe { self.slots.add(at).as_ref() }
    }

    /// Requires: called by the writer; a slot is free; the key is not in it.
    fn put(self, hash: u64, node: Node<'_>) {
        let mask = self.slot_count() - 1;
        let mut at = self.home(hash);
        while !self.slot(at).load(Ordering::Relaxed).is_null() {
            at = (at + 1) & mask;
        }
        let tagged = node.as_ptr().as_ptr().map_addr(|address| address | (hash as usize) << TAG_SHIFT);
        self.slot(at).store(tagged, Ordering::Release);
    }
}

/// What readers use.
pub(super) struct Index {
    seed: u64,
    shared_seed: SharedSeed,
    current: AtomicPtr<Slot>,
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed: seed.rotate_left(32),
            shared_seed: SharedSeed::from_u64(seed),
            current: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared_seed);
        hasher.write(key);
        hasher.finish()
    }

    #[inline]
    fn table(&self) -> Option<Table> {
        Table::unpack(self.current.load(Ordering::Acquire))
    }

    /// Asks for the slot of a hash.
    #[inline]
    pub(super) fn prefetch_slot(&self, hash: u64) {
        if let Some(table) = self.table() {
            prefetch::line(table.slot(table.home(hash)));
        }
    }

    /// Asks for the node that the slot of a hash leads to, if it is that of a key with such a hash.
    #[inline]
    pub(super) fn prefetch_node(&self, hash: u64) {
        let Some(table) = self.table() else { return };
        let tagged = table.slot(table.home(hash)).load(Ordering::Acquire);
        if (tagged.addr() >> TAG_SHIFT) as u16 == hash as u16
            && let Some(start) = NonNull::new(tagged.map_addr(|address| address & ADDRESS_MASK))
        {
            // SAFETY: a slot that is not null holds a published node of this memtable.
            unsafe { Node::from_ptr(start) }.prefetch_whole();
        }
    }

    #[inline]
    pub(super) fn find(&self, key: &[u8], hash: u64) -> Option<Node<'_>> {
        let table = self.table()?;
        let mask = table.slot_count() - 1;
        let tag = hash as u16;
        let mut at = table.home(hash);
        loop {
            let tagged = table.slot(at).load(Ordering::Acquire);
            if tagged.is_null() {
                return None;
            }
            if (tagged.addr() >> TAG_SHIFT) as u16 == tag {
                let start = tagged.map_addr(|address| address & ADDRESS_MASK);
                // SAFETY: a slot that is not null holds a published node of this memtable.
                let node = unsafe { Node::from_ptr(NonNull::new_unchecked(start)) };
                if node.key() == key {
                    return Some(node);
                }
            }
            at = (at + 1) & mask;
        }
    }
}

/// The writer's side of the index.
pub(super) struct IndexWriter {
    growth: Option<Growth>,
    /// Keys that fit without a look at anything else.
    room: usize,
}

struct Growth {
    table: Table,
    /// Nodes of the log that were read; the last of them may still be in `pending`.
    taken: usize,
    pending: [u64; NODES_PER_STEP],
    pending_len: usize,
}

// SAFETY: the array that grows is plain memory of the memtable, which the writer keeps alive; only the writer touches it.
unsafe impl Send for IndexWriter {}

impl IndexWriter {
    pub(super) const fn new() -> Self {
        Self { growth: None, room: 0 }
    }

    /// Makes sure that `count` further keys fit and that no array ever fills beyond 0.7.
    #[inline]
    pub(super) fn reserve(&mut self, index: &Index, log: &Log, arena: &Arena, count: usize) -> Result<()> {
        let keys = log.len().saturating_add(count);
        if keys <= self.room { Ok(()) } else { self.reserve_slowly(index, log, arena, keys) }
    }

    #[cold]
    fn reserve_slowly(&mut self, index: &Index, log: &Log, arena: &Arena, keys: usize) -> Result<()> {
        let Some(mut table) = index.table() else {
            let table = Table::allocate(arena, keys)?;
            index.current.store(table.packed(), Ordering::Release);
            self.room = table.slot_count() / 2;
            return Ok(());
        };
        let limit = |table: Table| table.slot_count() / 2 + table.slot_count() / 5;
        if self.growth.is_some() && keys > limit(table) {
            self.finish(index, log);
            table = index.table().unwrap_or(table);
        }
        if self.growth.is_none() && keys > table.slot_count() / 2 {
            match Table::allocate(arena, keys.max(table.slot_count() / 2 + 1)) {
                Ok(table) => {
                    self.growth = Some(Growth { table, taken: 0, pending: [0; NODES_PER_STEP], pending_len: 0 });
                }
                // Denser than wished, but everything fits.
                Err(_) if keys <= limit(table) => {}
                Err(error) => return Err(error),
            }
        }
        if keys > limit(table) {
            self.finish(index, log);
            table = index.table().unwrap_or(table);
        }
        self.room = if self.growth.is_some() { limit(table) } else { table.slot_count() / 2 };
        Ok(())
    }

    /// Adds a node. Requires: its key is absent; reserved.
    #[inline]
    pub(super) fn insert(&mut self, index: &Index, hash: u64, node: Node<'_>) {
        if let Some(table) = index.table() {
            table.put(hash, node);
        }
    }

    /// Moves growth on by a step. Requires: every node of the index is in the log.
    #[inline]
    pub(super) fn step(&mut self, index: &Index, log: &Log) {
        let Some(growth) = &mut self.growth else { return };
        // Slots were asked for at the step before and are in the cache by now.
        let start = growth.taken - growth.pending_len;
        for (at, &hash) in growth.pending[..growth.pending_len].iter().enumerate() {
            growth.table.put(hash, log.node(start + at));
        }
        let end = log.len().min(growth.taken + NODES_PER_STEP);
        growth.pending_len = end - growth.taken;
        for at in growth.taken..end {
            let hash = index.hash(log.node(at).key());
            growth.pending[at - growth.taken] = hash;
            prefetch::line(growth.table.slot(growth.table.home(hash)));
        }
        growth.taken = end;
        if growth.pending_len == 0 {
            index.current.store(growth.table.packed(), Ordering::Release);
            self.room = growth.table.slot_count() / 2;
            self.growth = None;
        }
    }

    fn finish(&mut self, index: &Index, log: &Log) {
        while self.growth.is_some() {
            self.step(index, log);
        }
    }
}
