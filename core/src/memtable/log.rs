//! The nodes of a memtable in the order of their insertion, in chunks that never move.
//!
//! Written by the one writer, read by anybody. Promises: an index below `len` names a node for ever, whole; as long as
//! every key was greater than the one before, the log is itself sorted, and [`prefix`](Log::prefix) says how far that went.
//!
//! `unsafe` here: chunks of raw slots. The facts relied on: a chunk's pointer is published before `len` reaches it, a slot
//! is stored before `len` passes it, and neither changes afterwards.
#![allow(unsafe_code)]

use super::arena::Arena;
use super::node::Node;
use crate::atomic::{AtomicPtr, AtomicUsize, Ordering, reads, wrote};
use crate::error::{Error, ErrorKind, Result};
use std::ops::Range;
use std::ptr::NonNull;

/// Nodes in the first chunk; each further one holds twice as many.
const FIRST_CHUNK_NODES: usize = 64;

/// 64 * (2^26 - 1) nodes: 256 GiB of the smallest nodes.
const CHUNKS_MAX: usize = 26;

pub(super) struct Log {
    chunks: [AtomicPtr<AtomicPtr<u8>>; CHUNKS_MAX],
    len: AtomicUsize,
    /// Index of the first node whose key was not greater than the one before; `usize::MAX` while there is none.
    prefix_end: AtomicUsize,
}

/// The chunk that holds `index`, and where in it.
#[inline]
fn place(index: usize) -> (usize, usize) {
    let chunk = (index / FIRST_CHUNK_NODES + 1).ilog2() as usize;
    (chunk, index - FIRST_CHUNK_NODES * ((1 << chunk) - 1))
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            chunks: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
            len: AtomicUsize::new(0),
            prefix_end: AtomicUsize::new(usize::MAX),
        }
    }

    /// How many nodes there are. Everything about them is visible to whoever got this number.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// How many of the first `len` nodes are in ascending order from the start. Requires: `len` came from [`len`](Self::len).
    pub(super) fn prefix(&self, len: usize) -> usize {
        // The end is stored before the `len` that passes it: whoever saw that `len` sees the end.
        self.prefix_end.load(Ordering::Acquire).min(len)
    }

    /// Whether keys have come in ascending order so far.
    #[inline]
    pub(super) fn is_sorted(&self) -> bool {
        self.prefix_end.load(Ordering::Relaxed) == usize::MAX
    }

    /// Makes room for `count` further pushes. Requires: called by the writer.
    pub(super) fn reserve(&self, count: usize, arena: &Arena) -> Result<()> {
        let len = self.len.load(Ordering::Relaxed);
        let last = len.checked_add(count.max(1) - 1).map(|last| place(last).0).filter(|&chunk| chunk < CHUNKS_MAX);
        let Some(last) = last else {
            return Err(Error::new(ErrorKind::NoMemory, "a memtable cannot hold that many keys"));
        };
        for chunk in place(len).0..=last {
            if self.chunks[chunk].load(Ordering::Relaxed).is_null() {
                let bytes = (FIRST_CHUNK_NODES << chunk) * size_of::<AtomicPtr<u8>>();
                let slots = arena.take(bytes, false)?.cast::<AtomicPtr<u8>>();
                self.chunks[chunk].store(slots.as_ptr(), Ordering::Release);
            }
        }
        Ok(())
    }

    /// Appends a node; `ascending` says that its key is greater than the last one's. Requires: called by the writer, reserved.
    #[inline]
    pub(super) fn push(&self, node: Node<'_>, ascending: bool) {
        let len = self.len.load(Ordering::Relaxed);
        if !ascending && self.is_sorted() {
            self.prefix_end.store(len, Ordering::Release);
        }
        let (chunk, at) = place(len);
        let slots = self.chunks[chunk].load(Ordering::Relaxed);
        assert!(!slots.is_null(), "a node was not reserved");
        // SAFETY: `at` lies in the chunk by `place`; nobody reads the slot before `len` passes it.
        unsafe {
            wrote(slots.add(at));
            slots.add(at).write(AtomicPtr::new(node.as_ptr().as_ptr()));
        }
        self.len.store(len + 1, Ordering::Release);
    }

    /// The node at `index`. Panics if there is none.
    #[inline]
    pub(super) fn node(&self, index: usize) -> Node<'_> {
        assert!(index < self.len());
        let (chunk, at) = place(index);
        // SAFETY: below `len` the chunk is published and the slot stored, which Acquire made visible; nodes live as long
        // as the memtable that this log belongs to.
        unsafe {
            let slot = self.chunks[chunk].load(Ordering::Relaxed).add(at);
            reads(slot);
            let slot = &*slot;
            Node::from_ptr(NonNull::new_unchecked(slot.load(Ordering::Relaxed)))
        }
    }

    /// The nodes of `within` in order, in a few stretches. Panics if there are fewer.
    pub(super) fn stretches(
        &self,
        within: Range<usize>,
    ) -> impl Iterator<Item = impl Iterator<Item = Node<'_>> + Clone> {
        assert!(within.end <= self.len());
        let mut from = within.start;
        std::iter::from_fn(move || {
            if from >= within.end {
                return None;
            }
            let (chunk, at) = place(from);
            let len = ((FIRST_CHUNK_NODES << chunk) - at).min(within.end - from);
            from += len;
            // SAFETY: as in `node`, for each slot of the stretch, which does not leave its chunk.
            let slots = unsafe { std::slice::from_raw_parts(self.chunks[chunk].load(Ordering::Relaxed).add(at), len) };
            let node = |slot: &AtomicPtr<u8>| {
                reads(slot);
                // SAFETY: as in `node`.
                unsafe { Node::from_ptr(NonNull::new_unchecked(slot.load(Ordering::Relaxed))) }
            };
            Some(slots.iter().map(node))
        })
    }
}
