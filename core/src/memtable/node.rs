//! Keys and their versions, as they lie in the arena.
//!
//! A node is one distinct key: `latest: pointer | key length: u32 | key`. Its first version follows at the next multiple
//! of 8, so that the common get touches neighbouring lines. A version is `sequence << 8 | kind: u64 | value length: u32 |
//! depth: u32`, then `prev` and `jump` unless it is the first, then the value. `depth` counts the older versions; `jump`
//! is a skew-binary ancestor link, so that an old snapshot finds its version in O(log versions) steps on a hot key too.
//!
//! Promises: all but `latest` is immutable from the moment that a node or a version can be reached.
//!
//! `unsafe` here: reads and writes of that layout. The fact relied on: a [`Node`] or a [`Version`] is only made from memory
//! that was written by the functions below and whose arena outlives `'m`.
#![allow(unsafe_code)]

use super::arena::Bump;
use crate::atomic::{AtomicPtr, Ordering, reads, wrote};
use crate::key::{Kind, Sequence};
use crate::prefetch;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

const NODE_KEY_LEN: usize = 8;
const NODE_KEY: usize = 12;
const VERSION_VALUE_LEN: usize = 8;
const VERSION_DEPTH: usize = 12;
const VERSION_PREV: usize = 16;
const VERSION_JUMP: usize = 24;
const FIRST_VERSION_HEADER: usize = 16;
const LATER_VERSION_HEADER: usize = 32;

/// The most that one insert takes beyond the bytes of its key and value: both headers and the padding of both.
pub(super) const INSERT_OVERHEAD_BYTES: usize = NODE_KEY + 7 + LATER_VERSION_HEADER + 7;

/// One distinct key.
#[derive(Clone, Copy)]
pub(super) struct Node<'m> {
    start: NonNull<u8>,
    memtable: PhantomData<&'m [u8]>,
}

/// One version of a key.
#[derive(Clone, Copy)]
pub(super) struct Version<'m> {
    start: NonNull<u8>,
    memtable: PhantomData<&'m [u8]>,
}

// SAFETY: everything reachable from a node is immutable or atomic.
unsafe impl Send for Node<'_> {}
// SAFETY: as above.
unsafe impl Sync for Node<'_> {}
// SAFETY: everything reachable from a version is immutable.
unsafe impl Send for Version<'_> {}
// SAFETY: as above.
unsafe impl Sync for Version<'_> {}

impl<'m> Node<'m> {
    /// Writes a node with its first version. Nobody sees it before its pointer is published with Release.
    pub(super) fn write(bump: &mut Bump, key: &[u8], sequence: Sequence, kind: Kind, value: &[u8]) -> Self {
        let version_at = (NODE_KEY + key.len()).next_multiple_of(8);
        let start = bump.allocate(version_at + FIRST_VERSION_HEADER + value.len());
        // SAFETY: `allocate` gave that many bytes, 8-byte aligned, to this caller alone; every write below ends within
        // them. Lengths fit u32: keys and values are capped far below.
        unsafe {
            let version = start.add(version_at);
            Version::write_header(version, sequence, kind, value, 0, FIRST_VERSION_HEADER);
            start.cast::<AtomicPtr<u8>>().write(AtomicPtr::new(version.as_ptr()));
            start.add(NODE_KEY_LEN).cast::<u32>().write(key.len() as u32);
            ptr::copy_nonoverlapping(key.as_ptr(), start.add(NODE_KEY).as_ptr(), key.len());
        }
        wrote(start.as_ptr());
        Self { start, memtable: PhantomData }
    }

    /// Adds a version newer than every other. Requires: one caller at a time.
    pub(super) fn push(self, bump: &mut Bump, sequence: Sequence, kind: Kind, value: &[u8]) {
        let prev = self.latest();
        debug_assert!(prev.sequence() < sequence);
        // The skew-binary rule: two jumps of equal length before this one are joined into one.
        let jump = prev.jump();
        let jump = if prev.depth() - jump.depth() == jump.depth() - jump.jump().depth() { jump.jump() } else { prev };
        let start = bump.allocate(LATER_VERSION_HEADER + value.len());
        // SAFETY: as in `write`; the version becomes reachable only by the Release store after it is whole.
        unsafe {
            Version::write_header(start, sequence, kind, value, prev.depth() + 1, LATER_VERSION_HEADER);
            start.add(VERSION_PREV).cast::<NonNull<u8>>().write(prev.start);
            start.add(VERSION_JUMP).cast::<NonNull<u8>>().write(jump.start);
        }
        self.latest_slot().store(start.as_ptr(), Ordering::Release);
    }

    /// # Safety
    /// `start` came from [`as_ptr`](Self::as_ptr) of a node that was published to this thread and whose arena outlives `'m`.
    #[inline]
    pub(super) unsafe fn from_ptr(start: NonNull<u8>) -> Self {
        Self { start, memtable: PhantomData }
    }

    #[inline]
    pub(super) fn as_ptr(self) -> NonNull<u8> {
        self.start
    }

    #[inline]
    fn latest_slot(self) -> &'m AtomicPtr<u8> {
        // SAFETY: a node starts with an initialised AtomicPtr, aligned, alive for 'm.
        unsafe { self.start.cast::<AtomicPtr<u8>>().as_ref() }
    }

    #[inline]
    pub(super) fn key(self) -> &'m [u8] {
        reads(self.start.as_ptr());
        // SAFETY: the layout at the head of this file; the key is immutable for 'm.
        unsafe {
            let len = self.start.add(NODE_KEY_LEN).cast::<u32>().read() as usize;
            std::slice::from_raw_parts(self.start.add(NODE_KEY).as_ptr(), len)
        }
    }

    /// The newest version.
    #[inline]
    pub(super) fn latest(self) -> Version<'m> {
        let start = self.latest_slot().load(Ordering::Acquire);
        // SAFETY: `latest` is never null, and Acquire pairs with the Release store that published the version.
        Version { start: unsafe { NonNull::new_unchecked(start) }, memtable: PhantomData }
    }

    /// The oldest version: it lies beside the node.
    #[inline]
    pub(super) fn oldest(self) -> Version<'m> {
        let at = (NODE_KEY + self.key().len()).next_multiple_of(8);
        // SAFETY: `write` put the first version there.
        Version { start: unsafe { self.start.add(at) }, memtable: PhantomData }
    }

    /// Asks for the first lines of the node, its key and the start of its first value, ahead of their use.
    #[inline]
    pub(super) fn prefetch_whole(self) {
        for line in 0..3 {
            prefetch::line(self.start.as_ptr().wrapping_add(line * prefetch::LINE_BYTES));
        }
    }

    /// Asks for the first line of the node ahead of its use.
    #[inline]
    pub(super) fn prefetch(self) {
        prefetch::line(self.start.as_ptr());
    }

    /// Asks for what a walk reads of the node: a short key, and the header of a first version behind it.
    #[inline]
    pub(super) fn prefetch_key(self) {
        self.prefetch();
        prefetch::line(self.start.as_ptr().wrapping_add(prefetch::LINE_BYTES - 1));
    }

    /// Asks for the newest version, a value of some hundred bytes with it, a while after the key was asked for.
    #[inline]
    pub(super) fn prefetch_newest(self) {
        let start = self.latest().start.as_ptr();
        for at in [0, prefetch::LINE_BYTES, 2 * prefetch::LINE_BYTES - 1] {
            prefetch::line(start.wrapping_add(at));
        }
    }
}

impl<'m> Version<'m> {
    /// # Safety
    /// `header + value.len()` bytes at `start` belong to the caller, 8-byte aligned.
    unsafe fn write_header(
        start: NonNull<u8>,
        sequence: Sequence,
        kind: Kind,
        value: &[u8],
        depth: u32,
        header: usize,
    ) {
        // SAFETY: promised by the caller.
        unsafe {
            start.cast::<u64>().write(sequence << 8 | kind as u64);
            start.add(VERSION_VALUE_LEN).cast::<u32>().write(value.len() as u32);
            start.add(VERSION_DEPTH).cast::<u32>().write(depth);
            ptr::copy_nonoverlapping(value.as_ptr(), start.add(header).as_ptr(), value.len());
        }
        wrote(start.as_ptr());
    }

    #[inline]
    fn word(self) -> u64 {
        reads(self.start.as_ptr());
        // SAFETY: the layout at the head of this file.
        unsafe { self.start.cast::<u64>().read() }
    }

    #[inline]
    pub(super) fn sequence(self) -> Sequence {
        self.word() >> 8
    }

    #[inline]
    pub(super) fn kind(self) -> Kind {
        match self.word() as u8 {
            2 => Kind::Delete,
            3 => Kind::RangeDelete,
            4 => Kind::Merge,
            5 => Kind::ValueRef,
            6 => Kind::Rows,
            7 => Kind::RowDelete,
            _ => Kind::Put,
        }
    }

    /// How many versions are older.
    #[inline]
    pub(super) fn depth(self) -> u32 {
        reads(self.start.as_ptr());
        // SAFETY: the layout at the head of this file.
        unsafe { self.start.add(VERSION_DEPTH).cast::<u32>().read() }
    }

    #[inline]
    pub(super) fn value(self) -> &'m [u8] {
        let header = if self.depth() == 0 { FIRST_VERSION_HEADER } else { LATER_VERSION_HEADER };
        // SAFETY: the layout at the head of this file; the value is immutable for 'm.
        unsafe {
            let len = self.start.add(VERSION_VALUE_LEN).cast::<u32>().read() as usize;
            std::slice::from_raw_parts(self.start.add(header).as_ptr(), len)
        }
    }

    #[inline]
    fn link(self, at: usize) -> Option<Self> {
        if self.depth() == 0 {
            return None;
        }
        // SAFETY: every version but the first holds both links, and they point to older versions of the same arena.
        Some(Self { start: unsafe { self.start.add(at).cast::<NonNull<u8>>().read() }, memtable: PhantomData })
    }

    /// The next older version.
    #[inline]
    pub(super) fn prev(self) -> Option<Self> {
        self.link(VERSION_PREV)
    }

    /// The far link; the oldest version is its own.
    #[inline]
    fn jump(self) -> Self {
        self.link(VERSION_JUMP).unwrap_or(self)
    }

    /// The newest version, from this one down, with a sequence at or below `snapshot`.
    #[inline]
    pub(super) fn visible_at(self, snapshot: Sequence) -> Option<Self> {
        let mut version = self;
        while version.sequence() > snapshot {
            let jump = version.jump();
            version =
                if jump.sequence() > snapshot && jump.depth() < version.depth() { jump } else { version.prev()? };
        }
        Some(version)
    }

    /// The version with that many older ones. Requires: this one has at least as many.
    pub(super) fn at_depth(self, depth: u32) -> Self {
        let mut version = self;
        while version.depth() > depth {
            let jump = version.jump();
            version = if jump.depth() >= depth { jump } else { version.prev().unwrap_or(jump) };
        }
        version
    }
}
