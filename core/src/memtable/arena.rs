//! Where a memtable's bytes lie: blocks that never move and go back to a shared pool when the last reference goes.
//!
//! Used by every part of `memtable`. Promises: a block stays where it is until its [`Arena`] is dropped; running out of
//! memory is an error, never an abort; `held_bytes` is what was really taken from the pool, the system or the allocator.
//!
//! `unsafe` here: raw blocks of memory. The one fact relied on is that a block has one owner, an arena or the pool.
#![allow(unsafe_code)]

use super::memory::MemtableMemory;
use crate::env::Bell;
use crate::env::pages::{self, PAGE_BYTES};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;
use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Blocks below this are left to the allocator, which is good at them.
const RECYCLED_BYTES_MIN: usize = 4 << 10;

/// The blocks that a growing memtable takes one after another, and that are worth preparing.
pub(super) const PREPARED_BYTES: usize = 2 << 20;

/// Hash arrays worth preparing: below, touching them costs little; above, one may never be asked for.
const PREPARED_ARRAY_BYTES_MIN: usize = 128 << 10;
const PREPARED_ARRAY_BYTES_MAX: usize = 16 << 20;

/// Blocks from here on come from the system and not from the allocator, which keeps most of what it is given back: what a burst of
/// writes took would stay with the process.
const MAPPED_BYTES_MIN: usize = 128 << 10;

/// Blocks above this are rare (the hash array of a huge memtable, one huge value); keeping them would crowd the others out.
const RECYCLED_BYTES_MAX: usize = 64 << 20;

struct Block {
    start: NonNull<u8>,
    bytes: usize,
    zeroed: bool,
}

// SAFETY: a block is owned memory without any tie to a thread.
unsafe impl Send for Block {}

impl Block {
    /// Where the block comes from if it is small.
    fn layout(bytes: usize, zeroed: bool) -> Option<Layout> {
        // Zeroed blocks keep the allocator's own alignment: only then does it hand out fresh zero pages untouched.
        let align = if zeroed { 16 } else { 64 };
        Layout::from_size_align(bytes, align).ok().filter(|layout| layout.size() > 0)
    }

    fn is_mapped(bytes: usize) -> bool {
        bytes >= MAPPED_BYTES_MIN
    }

    fn allocate(bytes: usize, zeroed: bool) -> Option<Self> {
        let start = if Self::is_mapped(bytes) {
            // Blocks of the size of a huge page are aligned like one, so that they can be one.
            let align = if bytes == PREPARED_BYTES && !zeroed { PREPARED_BYTES } else { PAGE_BYTES };
            pages::map(bytes, align)?
        } else {
            let layout = Self::layout(bytes, zeroed)?;
            // SAFETY: the layout's size is not zero.
            NonNull::new(unsafe { if zeroed { std::alloc::alloc_zeroed(layout) } else { std::alloc::alloc(layout) } })?
        };
        let block = Self { start, bytes, zeroed };
        // References to nodes carry 16 bits of their own above the address. Where addresses are wider than that (no
        // system hands such out unasked) there is no memory that could be used.
        if (start.as_ptr().addr() + bytes) >> 48 != 0 {
            block.free();
            return None;
        }
        Some(block)
    }

    fn free(self) {
        if Self::is_mapped(self.bytes) {
            // SAFETY: `start` was mapped with so many bytes, and the block, its only owner, is consumed.
            unsafe { pages::unmap(self.start, self.bytes) };
        } else if let Some(layout) = Self::layout(self.bytes, self.zeroed) {
            // SAFETY: `start` came from this allocator with this very layout, and the block is consumed.
            unsafe { std::alloc::dealloc(self.start.as_ptr(), layout) };
        }
    }
}

/// Recycles the memory of memtables: first touches of fresh memory cost more than everything else an insert does.
/// Thread safety: shared freely.
pub struct ArenaPool {
    keep_bytes: usize,
    memory: MemtableMemory,
    state: Mutex<PoolState>,
    pub(super) demand: Demand,
}

/// What growing memtables will ask for next.
#[derive(Default)]
pub(super) struct Demand {
    plain_bytes: AtomicUsize,
    zeroed_bytes: AtomicUsize,
    stopped: AtomicBool,
    pub bell: Arc<Bell>,
}

impl Demand {
    /// A block was taken: more of its kind will be.
    fn note(&self, bytes: usize, zeroed: bool) {
        match zeroed {
            false if bytes == PREPARED_BYTES => self.plain_bytes.store(bytes, Ordering::Relaxed),
            // The next hash array is twice as long.
            true if (PREPARED_ARRAY_BYTES_MIN..=PREPARED_ARRAY_BYTES_MAX).contains(&(2 * bytes)) => {
                self.zeroed_bytes.store(2 * bytes, Ordering::Relaxed);
            }
            _ => return,
        }
        self.bell.ring();
    }

    /// What was noted since the last call: bytes, and whether zeroed.
    pub fn take(&self) -> impl Iterator<Item = (usize, bool)> {
        let plain = (self.plain_bytes.swap(0, Ordering::Relaxed), false);
        let zeroed = (self.zeroed_bytes.swap(0, Ordering::Relaxed), true);
        [plain, zeroed].into_iter().filter(|(bytes, _)| *bytes > 0)
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
struct PoolState {
    held_bytes: usize,
    blocks: BTreeMap<(usize, bool), Vec<Block>>,
}

impl ArenaPool {
    /// A pool that keeps at most `keep_bytes` of unused blocks.
    pub fn new(keep_bytes: usize) -> Arc<Self> {
        Self::within(keep_bytes, isize::MAX as usize)
    }

    /// The same, and none as soon as they and all memtables together hold `share_bytes`.
    pub fn within(keep_bytes: usize, share_bytes: usize) -> Arc<Self> {
        let memory = MemtableMemory::new(share_bytes);
        Arc::new(Self { keep_bytes, memory, state: Mutex::default(), demand: Demand::default() })
    }

    /// What the memtables of this pool hold.
    #[inline]
    pub fn memory(&self) -> &MemtableMemory {
        &self.memory
    }

    /// Bytes of unused blocks that it holds now.
    pub fn held_bytes(&self) -> usize {
        self.state.lock().held_bytes
    }

    /// Gives unused blocks back until they fit beside what memtables hold.
    fn trim(&self) {
        let room = self.memory.room_for_spares();
        if self.memory.spare_bytes() <= room {
            return;
        }
        let mut freed = Vec::new();
        let mut state = self.state.lock();
        // The largest first: they are the fewest, and the last to be asked for.
        while state.held_bytes > room {
            let Some((_, blocks)) = state.blocks.iter_mut().next_back() else { break };
            let block = blocks.pop();
            if blocks.is_empty() {
                state.blocks.pop_last();
            }
            if let Some(block) = block {
                state.held_bytes -= block.bytes;
                freed.push(block);
            }
        }
        self.memory.set_spare(state.held_bytes);
        drop(state);
        freed.into_iter().for_each(Block::free);
    }

    fn may_keep(&self, held_bytes: usize, bytes: usize) -> bool {
        held_bytes + bytes <= self.keep_bytes.min(self.memory.room_for_spares())
    }

    /// Ends the task that prepares memory.
    pub fn stop_preparing(&self) {
        self.demand.stopped.store(true, Ordering::SeqCst);
        self.demand.bell.ring();
    }

    /// How many unused blocks of this kind it holds.
    pub(super) fn spare_blocks(&self, bytes: usize, zeroed: bool) -> usize {
        self.state.lock().blocks.get(&(bytes, zeroed)).map_or(0, Vec::len)
    }

    /// Makes a block and touches its pages, for the next who asks. A hint: without memory to be had, nothing happens.
    pub(super) fn prepare(&self, bytes: usize, zeroed: bool) {
        if !self.may_keep(self.held_bytes(), bytes) {
            return;
        }
        let Some(block) = Block::allocate(bytes, zeroed) else { return };
        // In the background, where clearing a huge page holds nobody up: a walk in key order jumps about in the whole memtable,
        // and with small pages it misses the address cache at every entry.
        #[cfg(target_os = "linux")]
        if bytes >= PREPARED_BYTES {
            let past_page = block.start.as_ptr().addr().wrapping_neg() % PAGE_BYTES;
            // SAFETY: the range lies in a block that this call owns; the advice changes no contents, and its failure nothing.
            unsafe {
                let first_page = block.start.as_ptr().add(past_page);
                libc::madvise(first_page.cast(), bytes - past_page, libc::MADV_HUGEPAGE)
            };
        }
        for at in (0..bytes).step_by(PAGE_BYTES) {
            // SAFETY: the block is owned and `bytes` long; zero keeps a zeroed one zeroed.
            unsafe { block.start.as_ptr().add(at).write_volatile(0) };
        }
        self.keep(block);
    }

    fn take(&self, bytes: usize, zeroed: bool) -> Option<Block> {
        self.demand.note(bytes, zeroed);
        {
            let mut state = self.state.lock();
            if let Some(block) = state.blocks.get_mut(&(bytes, zeroed)).and_then(Vec::pop) {
                state.held_bytes -= bytes;
                self.memory.set_spare(state.held_bytes);
                drop(state);
                self.memory.add(bytes);
                return Some(block);
            }
        }
        let block = Block::allocate(bytes, zeroed)?;
        self.memory.add(bytes);
        self.trim();
        Some(block)
    }

    fn give(&self, block: Block) {
        self.memory.remove(block.bytes);
        let fits = block.bytes.is_power_of_two() && (RECYCLED_BYTES_MIN..=RECYCLED_BYTES_MAX).contains(&block.bytes);
        if !fits || !self.may_keep(self.held_bytes(), block.bytes) {
            return block.free();
        }
        if block.zeroed {
            // Here, where the last reader of a flushed memtable passes, and not under the lock of the next writer.
            // SAFETY: the block is owned and `bytes` long.
            unsafe { block.start.as_ptr().write_bytes(0, block.bytes) };
        }
        self.keep(block);
    }

    fn keep(&self, block: Block) {
        let mut state = self.state.lock();
        if !self.may_keep(state.held_bytes, block.bytes) {
            drop(state);
            return block.free();
        }
        state.held_bytes += block.bytes;
        self.memory.set_spare(state.held_bytes);
        state.blocks.entry((block.bytes, block.zeroed)).or_default().push(block);
    }
}

impl Drop for ArenaPool {
    fn drop(&mut self) {
        let blocks = std::mem::take(&mut self.state.get_mut().blocks);
        blocks.into_values().flatten().for_each(Block::free);
    }
}

/// All the blocks of one memtable. Thread safety: shared freely.
pub(super) struct Arena {
    pool: Arc<ArenaPool>,
    blocks: Mutex<Vec<Block>>,
    held_bytes: AtomicUsize,
}

impl Arena {
    pub(super) fn new(pool: Arc<ArenaPool>) -> Self {
        Self { pool, blocks: Mutex::default(), held_bytes: AtomicUsize::new(0) }
    }

    /// Memory of its own for whoever asks, 16-byte aligned, in place until the arena is dropped; its contents are arbitrary
    /// unless `zeroed`.
    pub(super) fn take(&self, bytes: usize, zeroed: bool) -> Result<NonNull<u8>> {
        let mut blocks = self.blocks.lock();
        let block = blocks.try_reserve(1).ok().and_then(|()| self.pool.take(bytes, zeroed));
        let Some(block) = block else {
            return Err(Error::new(ErrorKind::NoMemory, format!("no memory for {bytes} bytes of a memtable")));
        };
        let start = block.start;
        blocks.push(block);
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(start)
    }

    /// Bytes of all blocks taken.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for block in self.blocks.get_mut().drain(..) {
            self.pool.give(block);
        }
    }
}

/// The unused rest of a block: hands out 8-byte aligned pieces from front to back. One thread at a time.
#[derive(Clone, Copy)]
pub(super) struct Bump {
    at: NonNull<u8>,
    left: usize,
}

// SAFETY: the rest of a block is plain memory that only the owner of the bump writes.
unsafe impl Send for Bump {}

impl Bump {
    pub(super) const fn empty() -> Self {
        Self { at: NonNull::dangling(), left: 0 }
    }

    /// Takes a whole block of `bytes` from `arena`.
    pub(super) fn take(arena: &Arena, bytes: usize) -> Result<Self> {
        Ok(Self { at: arena.take(bytes, false)?, left: bytes })
    }

    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Requires: `bytes` rounded up to 8 are left; panics otherwise, before anything is written.
    #[inline]
    pub(super) fn allocate(&mut self, bytes: usize) -> NonNull<u8> {
        let bytes = bytes.next_multiple_of(8);
        assert!(bytes <= self.left, "an allocation of {bytes} bytes was not reserved");
        let start = self.at;
        // SAFETY: `bytes` are left in the block, so the sum stays in it or at its end.
        self.at = unsafe { start.add(bytes) };
        self.left -= bytes;
        start
    }
}
