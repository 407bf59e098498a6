//! An insert-only ordered tree of nodes: one mutator, any number of readers that never wait.
//!
//! Fed by `order` under its mutex, read by `cursor`. A block, leaf or inner, is a sorted base that never changes plus a few
//! slots that are filled from front to back and published by their count. A full block is not changed but replaced: by one
//! larger copy, or by two halves. The right half is published first, as a slot of the parent, then the parent's pointer to
//! the old block is swapped for the left half; old blocks stay readable until the memtable goes.
//!
//! Each block knows its own fences, the range of keys that it stands for, and all keys of that range share the common
//! prefix of the fences: heads are taken behind it, so that shared prefixes cost nothing. A reader may come to a block
//! that was replaced meanwhile. A replaced block still holds everything that was in it; a left half reached on the way
//! to the right one shows by its upper fence, and the reader descends once more, now past the newer state.
//!
//! `unsafe` here: blocks of raw memory. The facts relied on: a block is whole before a Release store publishes it; base,
//! published slots and fences never change; children change only from one valid block to another; blocks and nodes live
//! as long as the memtable.
#![allow(unsafe_code)]

mod block;

use super::arena::Bump;
use super::node::Node;
use super::sort::Item;
use crate::atomic::{AtomicPtr, Ordering, spin_loop};
use crate::error::Result;
use crate::key::head;
use block::{BASE_MAX, BLOCK_BYTES_MAX, Block, Branch, HIGH, LOW, SLOTS, Target};
use std::cmp::Ordering as Compared;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// What a bulk build puts into a base: nearly all that fits, as most of what is sorted at once is only read afterwards.
const BASE_BUILT: usize = if cfg!(loom) { 2 } else { 44 };

/// How far ahead nodes are asked for: a few, as each is several lines, and the processor waits for a dozen at once.
const PREFETCH_DISTANCE: usize = 5;

/// No tree of 2^34 nodes is deeper: a split leaves at least 34 branches, or 17 nodes, in a block.
const LEVELS_MAX: usize = 7;

/// The most that one insert can take: each level split in two, and a new root.
pub(super) const INSERT_BYTES_MAX: usize = (2 * LEVELS_MAX + 1) * BLOCK_BYTES_MAX;

/// The tree. An empty one has no root.
pub(super) struct Tree {
    root: AtomicPtr<u8>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self { root: AtomicPtr::new(ptr::null_mut()) }
    }

    fn root(&self) -> Option<Block<'_>> {
        Some(Block { start: NonNull::new(self.root.load(Ordering::Acquire))?, memtable: PhantomData })
    }

    fn set_root(&self, root: Block<'_>) {
        self.root.store(root.start.as_ptr(), Ordering::Release);
    }

    /// The leaf that a descent for `target` ends in; the caller looks at its fences.
    fn leaf(&self, target: Target<'_>) -> Option<Block<'_>> {
        let mut block = self.root()?;
        while block.is_inner() {
            block = block.child(block.branch(target));
        }
        Some(block)
    }

    /// Adds a node. Requires: one caller at a time; its key is not in the tree; `bump` has INSERT_BYTES_MAX left.
    pub(super) fn insert<'m>(&'m self, bump: &mut Bump, node: Node<'m>) {
        let item = Item { head: 0, node };
        let Some(mut block) = self.root() else {
            return self.set_root(Block::leaf(bump, &[item], None, None));
        };
        let mut path = Vec::with_capacity(LEVELS_MAX);
        while block.is_inner() {
            let at = block.branch(Target::At(node.key()));
            path.push((block, at));
            block = block.child(at);
        }
        let len = block.len();
        if len < block.base_len() + SLOTS {
            block.write_item(len, Some(node));
            block.slots_filled().fetch_add(1, Ordering::Release);
            return;
        }
        let mut items = Vec::with_capacity(BASE_MAX + SLOTS + 1);
        block.copy_to(&mut items);
        let place = items.partition_point(|other| other.node.key() < node.key());
        items.insert(place, item);
        let (low, high) = (block.fence(LOW), block.fence(HIGH));
        if items.len() <= BASE_MAX {
            let copy = Block::leaf(bump, &items, low, high);
            return self.replace(bump, path, copy, None);
        }
        // Keys that come in order fill the left half for good.
        let middle = if place + 1 == items.len() { BASE_MAX.min(items.len() - 1) } else { items.len() / 2 };
        let separator = items[middle].node;
        let right = Block::leaf(bump, &items[middle..], Some(separator), high);
        let left = Block::leaf(bump, &items[..middle], low, Some(separator));
        self.replace(bump, path, left, Some((separator, right)));
    }

    /// Puts `left`, and `right` from its separator on, in the place of the block that `path` led to.
    fn replace<'m>(
        &'m self,
        bump: &mut Bump,
        mut path: Vec<(Block<'m>, usize)>,
        mut left: Block<'m>,
        mut right: Option<(Node<'m>, Block<'m>)>,
    ) {
        while let Some((parent, at)) = path.pop() {
            let Some((separator, split_off)) = right else {
                return parent.child_slot(at).store(left.start.as_ptr(), Ordering::Release);
            };
            let len = parent.len();
            if len < parent.base_len() + SLOTS {
                parent.write_item(len, Some(separator));
                parent.write_child(len, split_off);
                // The right half first: until the left one is in place, the old block answers for both.
                parent.slots_filled().fetch_add(1, Ordering::Release);
                return parent.child_slot(at).store(left.start.as_ptr(), Ordering::Release);
            }
            let mut branches: Vec<Branch<'m>> = Vec::with_capacity(BASE_MAX + SLOTS + 1);
            for index in 0..len {
                let low = if index == 0 { parent.fence(LOW) } else { Some(parent.node(index)) };
                branches.push((low, if index == at { left } else { parent.child(index) }));
            }
            branches.push((Some(separator), split_off));
            branches[1..].sort_unstable_by(|a, b| a.0.map(Node::key).cmp(&b.0.map(Node::key)));
            let high = parent.fence(HIGH);
            if branches.len() <= BASE_MAX {
                left = Block::inner(bump, &branches, high);
                right = None;
            } else {
                let (lower, upper) = branches.split_at(branches.len() / 2);
                right = upper[0].0.map(|separator| (separator, Block::inner(bump, upper, high)));
                left = Block::inner(bump, lower, upper[0].0);
            }
        }
        match right {
            None => self.set_root(left),
            Some((separator, right)) => {
                let root = Block::inner(bump, &[(None, left), (Some(separator), right)], None);
                self.set_root(root);
            }
        }
    }

    /// Replaces the whole tree by one of `nodes`, ascending, all of its own among them. `reserve` makes room for each block.
    /// Requires: one caller at a time; `nodes` is not empty. An error leaves the tree as it was.
    pub(super) fn rebuild<'m>(
        &'m self,
        nodes: &[Item<'m>],
        bump: &mut Bump,
        mut reserve: impl FnMut(&mut Bump, usize) -> Result<()>,
    ) -> Result<()> {
        let mut level: Vec<Branch<'m>> = Vec::with_capacity(nodes.len() / BASE_BUILT + 1);
        for (index, chunk) in nodes.chunks(BASE_BUILT).enumerate() {
            let low = (index > 0).then(|| chunk[0].node);
            let high = nodes.get((index + 1) * BASE_BUILT).map(|item| item.node);
            reserve(bump, BLOCK_BYTES_MAX)?;
            level.push((low, Block::leaf(bump, chunk, low, high)));
        }
        while level.len() > 1 {
            let mut above = Vec::with_capacity(level.len() / BASE_BUILT + 1);
            for (index, chunk) in level.chunks(BASE_BUILT).enumerate() {
                let high = level.get((index + 1) * BASE_BUILT).and_then(|branch| branch.0);
                reserve(bump, BLOCK_BYTES_MAX)?;
                above.push((chunk[0].0, Block::inner(bump, chunk, high)));
            }
            level = above;
        }
        if let Some((_, root)) = level.first() {
            self.set_root(*root);
        }
        Ok(())
    }
}

/// A position in a tree: a copy of one leaf, and where in it. Blind to what is inserted into that leaf afterwards.
pub(super) struct TreeWalk<'m> {
    tree: &'m Tree,
    items: Vec<Item<'m>>,
    at: usize,
    skip: usize,
    low: Option<Node<'m>>,
    high: Option<Node<'m>>,
}

impl<'m> TreeWalk<'m> {
    pub(super) fn new(tree: &'m Tree) -> Self {
        Self { tree, items: Vec::new(), at: 0, skip: 0, low: None, high: None }
    }

    /// Copies the leaf for `target`; descends again while `stale` says that its upper fence gives it away.
    fn load(&mut self, target: Target<'_>, stale: impl Fn(Node<'m>) -> bool) -> bool {
        loop {
            let Some(leaf) = self.tree.leaf(target) else {
                self.items.clear();
                return false;
            };
            self.high = leaf.fence(HIGH);
            if self.high.is_some_and(&stale) {
                spin_loop();
                continue;
            }
            self.low = leaf.fence(LOW);
            self.skip = leaf.skip();
            leaf.copy_to(&mut self.items);
            return true;
        }
    }

    /// How many of the leaf's nodes come before `key`, or are it when `equal` counts. Requires: `key` is within the fences.
    fn count_before(&self, key: &[u8], equal: bool) -> usize {
        let key_head = head(key, self.skip);
        self.items.partition_point(|item| match item.head.cmp(&key_head).then_with(|| item.node.key().cmp(key)) {
            Compared::Less => true,
            Compared::Equal => equal,
            Compared::Greater => false,
        })
    }

    fn get(&self) -> Option<Node<'m>> {
        self.items.get(self.at).map(|item| item.node)
    }

    pub(super) fn first(&mut self) -> Option<Node<'m>> {
        self.load(Target::First, |_| false);
        self.at = 0;
        self.get()
    }

    pub(super) fn last(&mut self) -> Option<Node<'m>> {
        self.load(Target::Last, |_| true);
        self.at = self.items.len().checked_sub(1)?;
        self.get()
    }

    /// The first node at or after `key`.
    pub(super) fn seek(&mut self, key: &[u8]) -> Option<Node<'m>> {
        if !self.load(Target::At(key), |high| high.key() <= key) {
            return None;
        }
        self.at = self.count_before(key, false);
        self.get().or_else(|| self.next_leaf())
    }

    /// The last node at or before `key`.
    pub(super) fn seek_for_prev(&mut self, key: &[u8]) -> Option<Node<'m>> {
        if !self.load(Target::At(key), |high| high.key() <= key) {
            return None;
        }
        self.at = self.count_before(key, true);
        self.prev()
    }

    /// The last node before `key`.
    pub(super) fn seek_before(&mut self, key: &[u8]) -> Option<Node<'m>> {
        if !self.load(Target::Before(key), |high| high.key() < key) {
            return None;
        }
        self.at = self.count_before(key, false);
        self.prev()
    }

    fn next_leaf(&mut self) -> Option<Node<'m>> {
        let high = self.high?;
        let node = self.seek(high.key());
        self.items.iter().skip(self.at).take(PREFETCH_DISTANCE).for_each(|item| item.node.prefetch_whole());
        node
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<Node<'m>> {
        self.at += 1;
        if let Some(ahead) = self.items.get(self.at + PREFETCH_DISTANCE) {
            ahead.node.prefetch_whole();
        }
        self.get().or_else(|| self.next_leaf())
    }

    pub(super) fn prev(&mut self) -> Option<Node<'m>> {
        match self.at.checked_sub(1) {
            Some(at) => {
                self.at = at;
                if let Some(ahead) = at.checked_sub(PREFETCH_DISTANCE).and_then(|ahead| self.items.get(ahead)) {
                    ahead.node.prefetch_whole();
                }
                self.get()
            }
            None => {
                let low = self.low?;
                let node = self.seek_before(low.key());
                let passed = self.items.len() - self.at.min(self.items.len());
                self.items
                    .iter()
                    .rev()
                    .skip(passed)
                    .take(PREFETCH_DISTANCE)
                    .for_each(|item| item.node.prefetch_whole());
                node
            }
        }
    }
}
