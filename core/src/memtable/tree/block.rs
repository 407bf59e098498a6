//! The blocks of the tree, leaf or inner: their layout, and how a key finds its way through one.
//!
//! Used by the tree alone. Promises: base, published slots and fences never change.
//!
//! `unsafe` here: blocks of raw memory. The facts relied on: a block is whole before a Release store publishes it; a slot is
//! whole before the count passes it; children change only from one valid block to another; blocks and nodes live as long
//! as the memtable.
#![allow(unsafe_code)]

use super::super::arena::Bump;
use super::super::node::Node;
use super::super::sort::Item;
use crate::atomic::{AtomicPtr, AtomicU32, Ordering, reads, wrote};
use crate::key::{common_prefix_len, head};
use std::cmp::Ordering as Compared;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// Nodes added to a block before it is replaced.
pub(super) const SLOTS: usize = if cfg!(loom) { 1 } else { 16 };

/// The longest base: half of a full block, then all 17 more, fit once before the next split.
pub(super) const BASE_MAX: usize = if cfg!(loom) { 2 } else { 52 };

/// A modelled atomic is as wide as a pointer, whatever it stands for: it gets a place of its own.
const FILLED: usize = if cfg!(loom) { 32 } else { 4 };
const SKIP: usize = 8;
const INNER: usize = 12;
pub(super) const LOW: usize = 16;
pub(super) const HIGH: usize = 24;
const ITEMS: usize = if cfg!(loom) { 40 } else { 32 };
pub(super) const BLOCK_BYTES_MAX: usize = ITEMS + (BASE_MAX + SLOTS) * (16 + 8);

/// Where a descent goes.
#[derive(Clone, Copy)]
pub(super) enum Target<'k> {
    First,
    Last,
    /// The block that stands for this key.
    At(&'k [u8]),
    /// The block that stands for what is just below this key.
    Before(&'k [u8]),
}

/// `base length: u32 | slots filled: AtomicU32 | skip: u32 | inner: u32 | low, high: pointers to nodes or null |
/// items of base and slots {head, node} | for inner blocks as many children: AtomicPtr`. The first item of an inner block
/// is its lower fence.
#[derive(Clone, Copy)]
pub(super) struct Block<'m> {
    pub(super) start: NonNull<u8>,
    pub(super) memtable: PhantomData<&'m [u8]>,
}

/// A separator (none for the leftmost) and the block from there on.
pub(super) type Branch<'m> = (Option<Node<'m>>, Block<'m>);

impl<'m> Block<'m> {
    pub(super) fn write_header(
        bump: &mut Bump,
        len: usize,
        inner: bool,
        low: Option<Node<'m>>,
        high: Option<Node<'m>>,
    ) -> Self {
        debug_assert!(len <= BASE_MAX);
        let item_bytes = if inner { 24 } else { 16 };
        let start = bump.allocate(ITEMS + (len + SLOTS) * item_bytes);
        let skip = match (low, high) {
            (Some(low), Some(high)) => common_prefix_len(low.key(), high.key()),
            _ => 0,
        };
        let raw = |node: Option<Node<'m>>| node.map_or(ptr::null_mut(), |node| node.as_ptr().as_ptr());
        // SAFETY: `allocate` gave that many bytes, 8-byte aligned, to this caller alone.
        unsafe {
            start.cast::<u32>().write(len as u32);
            start.add(FILLED).cast::<AtomicU32>().write(AtomicU32::new(0));
            start.add(SKIP).cast::<u32>().write(skip as u32);
            start.add(INNER).cast::<u32>().write(u32::from(inner));
            start.add(LOW).cast::<*mut u8>().write(raw(low));
            start.add(HIGH).cast::<*mut u8>().write(raw(high));
        }
        wrote(start.as_ptr());
        Self { start, memtable: PhantomData }
    }

    /// A leaf of `nodes`, ascending.
    pub(super) fn leaf(bump: &mut Bump, nodes: &[Item<'m>], low: Option<Node<'m>>, high: Option<Node<'m>>) -> Self {
        let block = Self::write_header(bump, nodes.len(), false, low, high);
        for (at, item) in nodes.iter().enumerate() {
            block.write_item(at, Some(item.node));
        }
        block
    }

    /// An inner block of `branches`, ascending, that ends at `high`.
    pub(super) fn inner(bump: &mut Bump, branches: &[Branch<'m>], high: Option<Node<'m>>) -> Self {
        let block = Self::write_header(bump, branches.len(), true, branches[0].0, high);
        for (at, &(separator, child)) in branches.iter().enumerate() {
            block.write_item(at, separator);
            block.write_child(at, child);
        }
        block
    }

    /// Requires: not published yet (`at` is in the base of a new block, or beyond the slots filled); one mutator.
    pub(super) fn write_item(self, at: usize, node: Option<Node<'m>>) {
        assert!(at < self.base_len() + SLOTS);
        let item_head = node.map_or(0, |node| head(node.key(), self.skip()));
        let raw = node.map_or(ptr::null_mut(), |node| node.as_ptr().as_ptr());
        // SAFETY: `at` lies in the block, and nobody reads the item before it is published.
        unsafe {
            let item = self.start.add(ITEMS + at * 16);
            item.cast::<u64>().write(item_head);
            item.add(8).cast::<*mut u8>().write(raw);
            wrote(item.as_ptr());
        }
    }

    /// Requires: as for `write_item`; an inner block.
    pub(super) fn write_child(self, at: usize, child: Block<'m>) {
        assert!(self.is_inner() && at < self.base_len() + SLOTS);
        // SAFETY: `at` lies among the children of an inner block, not published yet.
        unsafe {
            let children = self.start.add(ITEMS + (self.base_len() + SLOTS) * 16).cast::<AtomicPtr<u8>>();
            children.add(at).write(AtomicPtr::new(child.start.as_ptr()));
        }
    }

    #[inline]
    pub(super) fn base_len(self) -> usize {
        reads(self.start.as_ptr());
        // SAFETY: the layout above.
        unsafe { self.start.cast::<u32>().read() as usize }
    }

    #[inline]
    pub(super) fn slots_filled(self) -> &'m AtomicU32 {
        // SAFETY: the layout above.
        unsafe { self.start.add(FILLED).cast::<AtomicU32>().as_ref() }
    }

    /// Base and published slots together.
    #[inline]
    pub(super) fn len(self) -> usize {
        self.base_len() + self.slots_filled().load(Ordering::Acquire) as usize
    }

    #[inline]
    pub(super) fn skip(self) -> usize {
        reads(self.start.as_ptr());
        // SAFETY: the layout above.
        unsafe { self.start.add(SKIP).cast::<u32>().read() as usize }
    }

    #[inline]
    pub(super) fn is_inner(self) -> bool {
        reads(self.start.as_ptr());
        // SAFETY: the layout above.
        unsafe { self.start.add(INNER).cast::<u32>().read() != 0 }
    }

    pub(super) fn fence(self, at: usize) -> Option<Node<'m>> {
        reads(self.start.as_ptr());
        // SAFETY: the layout above; a fence is null or a node of the memtable.
        unsafe { Some(Node::from_ptr(NonNull::new(self.start.add(at).cast::<*mut u8>().read())?)) }
    }

    #[inline]
    pub(super) fn head(self, at: usize) -> u64 {
        debug_assert!(at < self.len());
        // SAFETY: `at` is in the base or a slot published before it was counted.
        unsafe {
            let item = self.start.add(ITEMS + at * 16);
            reads(item.as_ptr());
            item.cast::<u64>().read()
        }
    }

    /// Requires: `at` is below `len()`, and not 0 in an inner block (its lower fence may be absent).
    #[inline]
    pub(super) fn node(self, at: usize) -> Node<'m> {
        debug_assert!(at < self.len() && !(at == 0 && self.is_inner()));
        // SAFETY: as in `head`; only the first item of an inner block can be null.
        unsafe {
            let item = self.start.add(ITEMS + at * 16);
            reads(item.as_ptr());
            Node::from_ptr(NonNull::new_unchecked(item.add(8).cast::<*mut u8>().read()))
        }
    }

    #[inline]
    pub(super) fn child_slot(self, at: usize) -> &'m AtomicPtr<u8> {
        debug_assert!(self.is_inner() && at < self.len());
        // SAFETY: `at` is below `len`, so the child was stored before it was published.
        unsafe {
            let children = self.start.add(ITEMS + (self.base_len() + SLOTS) * 16).cast::<AtomicPtr<u8>>();
            children.add(at).as_ref()
        }
    }

    #[inline]
    pub(super) fn child(self, at: usize) -> Block<'m> {
        let start = self.child_slot(at).load(Ordering::Acquire);
        // SAFETY: children are never null.
        Block { start: unsafe { NonNull::new_unchecked(start) }, memtable: PhantomData }
    }

    /// How the item at `at` compares with a key whose head behind this block's skip is `key_head`.
    #[inline]
    pub(super) fn compare(self, at: usize, key_head: u64, key: &[u8]) -> Compared {
        self.head(at).cmp(&key_head).then_with(|| self.node(at).key().cmp(key))
    }

    /// Which child of an inner block a descent takes.
    pub(super) fn branch(self, target: Target<'_>) -> usize {
        let (key, equal_counts) = match target {
            Target::First => return 0,
            Target::Last => return self.last_branch(),
            Target::At(key) => (key, true),
            Target::Before(key) => (key, false),
        };
        let len = self.len();
        let key_head = head(key, self.skip());
        let counts = |at: usize| match self.compare(at, key_head, key) {
            Compared::Less => true,
            Compared::Equal => equal_counts,
            Compared::Greater => false,
        };
        let (mut best, mut beyond) = (0, self.base_len());
        while beyond - best > 1 {
            let middle = best + (beyond - best) / 2;
            if counts(middle) { best = middle } else { beyond = middle }
        }
        for at in self.base_len()..len {
            if counts(at) && (best == 0 || self.orders_before(best, at)) {
                best = at;
            }
        }
        best
    }

    pub(super) fn last_branch(self) -> usize {
        let mut best = self.base_len() - 1;
        for at in self.base_len()..self.len() {
            if best == 0 || self.orders_before(best, at) {
                best = at;
            }
        }
        best
    }

    pub(super) fn orders_before(self, a: usize, b: usize) -> bool {
        self.compare(a, self.head(b), self.node(b).key()).is_lt()
    }

    /// Copies a leaf's nodes to `into`, in order, with their heads.
    pub(super) fn copy_to(self, into: &mut Vec<Item<'m>>) {
        into.clear();
        let (base, len) = (self.base_len(), self.len());
        into.extend((0..base).map(|at| Item { head: self.head(at), node: self.node(at) }));
        for at in base..len {
            let item = Item { head: self.head(at), node: self.node(at) };
            let place = into.partition_point(|other| {
                other.head.cmp(&item.head).then_with(|| other.node.key().cmp(item.node.key())).is_lt()
            });
            into.insert(place, item);
        }
    }
}
