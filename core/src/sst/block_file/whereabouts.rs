//! Where the blocks of a file were last seen in memory, so that they can be asked for before the cache has found them.
//!
//! Kept by the reader, asked by lookups. An address here is good for [`prefetch`] and for nothing else: the block may have been
//! evicted since, and its memory may be somebody else's.

use super::block::Block;
use crate::prefetch;
use std::sync::atomic::{AtomicUsize, Ordering};

/// For each block of a file, where it is and where its arrays are; zeros before it was first read.
pub struct Whereabouts(Box<[[AtomicUsize; 2]]>);

/// The lines of a block's arrays that are asked for. Blocks of common sizes have no more; what is beyond is waited for.
const ARRAY_LINES: usize = 6;

/// The same of a walk, which begins before the arrays; what it comes to later the processor sees coming.
const WALK_LINES_BEFORE: usize = 6;
const WALK_LINES: usize = 14;

impl Whereabouts {
    pub fn of_blocks(count: usize) -> Self {
        Self((0..count).map(|_| Default::default()).collect())
    }

    /// Block `index` was read.
    pub fn note(&self, index: usize, block: &Block) {
        if let Some([at, arrays]) = self.0.get(index) {
            at.store(std::ptr::from_ref(block).addr(), Ordering::Relaxed);
            arrays.store(block.arrays().as_ptr().addr(), Ordering::Relaxed);
        }
    }

    /// Asks for block `index`, and for what a search in it looks at first.
    #[inline]
    pub fn prefetch(&self, index: usize) {
        let Some([at, arrays]) = self.0.get(index) else { return };
        prefetch::address(at.load(Ordering::Relaxed));
        let arrays = arrays.load(Ordering::Relaxed);
        for line in 0..ARRAY_LINES {
            prefetch::address(arrays.wrapping_add(line * prefetch::LINE_BYTES));
        }
    }

    /// Asks for block `index`, and for what a walk looks at first: sequences, which lie before the arrays, the arrays, and the first keys.
    #[inline]
    pub fn prefetch_walk(&self, index: usize) {
        let Some([at, arrays]) = self.0.get(index) else { return };
        prefetch::address(at.load(Ordering::Relaxed));
        let arrays = arrays.load(Ordering::Relaxed);
        for line in 0..WALK_LINES {
            prefetch::address(
                arrays.wrapping_add(line * prefetch::LINE_BYTES).wrapping_sub(WALK_LINES_BEFORE * prefetch::LINE_BYTES),
            );
        }
    }

    /// Asks for the addresses of block `index` themselves.
    #[inline]
    pub fn prefetch_address(&self, index: usize) {
        prefetch::element(&self.0, index);
    }

    pub fn resident_bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}
