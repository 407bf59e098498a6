//! Walks every version of every key of a memtable, both ways.
//!
//! `unsafe` here: the cursor keeps nodes of the memtable beside the Arc that keeps the memtable.
#![allow(unsafe_code)]

use super::Memtable;
use super::node::{Node, Version};
use super::tree::TreeWalk;
use crate::error::Result;
use crate::iter::{Cursor, EntryBatch, Fill, PinnedBytes};
use crate::key::{Entry, Kind};
use std::sync::Arc;

/// A cursor over a memtable: every entry inserted before it was made, and maybe later ones.
///
/// Errors: NO_MEMORY if the order could not be made; each further move tries again.
pub struct MemtableCursor {
    walk: OrderWalk,
    place: Option<Place>,
    /// Dropped last: everything above points into it.
    owner: Arc<Memtable>,
}

/// The nodes of prefix and tree in one order, both ways.
struct OrderWalk {
    memtable: &'static Memtable,
    /// Nodes of the log that must be seen, and how many of them are the sorted prefix.
    len: usize,
    prefix: usize,
    is_fed: bool,
    /// The next nodes of either part in the direction of the walk; the nearer one is the current one.
    from_prefix: Option<usize>,
    from_tree: Option<Node<'static>>,
    tree: TreeWalk<'static>,
    is_forward: bool,
}

impl OrderWalk {
    fn new(memtable: &'static Memtable) -> Self {
        memtable.order.expect_iterators();
        let len = memtable.log.len();
        let prefix = memtable.log.prefix(len);
        let is_fed = memtable.order.feed(&memtable.log, &memtable.arena, len).is_ok();
        let tree = TreeWalk::new(&memtable.order.tree);
        Self { memtable, len, prefix, is_fed, from_prefix: None, from_tree: None, tree, is_forward: true }
    }

    fn ready(&mut self) -> Result<()> {
        if !self.is_fed {
            self.memtable.order.feed(&self.memtable.log, &self.memtable.arena, self.len)?;
            self.is_fed = true;
        }
        Ok(())
    }

    /// How many nodes of the prefix come before `key`, or are it when `equal` counts.
    fn prefix_before(&self, key: &[u8], equal: bool) -> usize {
        let (mut from, mut to) = (0, self.prefix);
        while from < to {
            let middle = from + (to - from) / 2;
            let found = self.memtable.log.node(middle).key();
            if found < key || (equal && found == key) { from = middle + 1 } else { to = middle }
        }
        from
    }

    fn prefix_at(&self, at: usize) -> Option<usize> {
        Some(at).filter(|&at| at < self.prefix)
    }

    fn current(&self) -> Option<Node<'static>> {
        let prefix = self.from_prefix.map(|at| self.memtable.log.node(at));
        match (prefix, self.from_tree) {
            (Some(prefix), Some(tree)) => {
                Some(if (prefix.key() < tree.key()) == self.is_forward { prefix } else { tree })
            }
            (prefix, tree) => prefix.or(tree),
        }
    }

    fn first(&mut self) -> Option<Node<'static>> {
        self.is_forward = true;
        self.from_prefix = self.prefix_at(0);
        self.from_tree = self.tree.first();
        self.current()
    }

    fn last(&mut self) -> Option<Node<'static>> {
        self.is_forward = false;
        self.from_prefix = self.prefix.checked_sub(1);
        self.from_tree = self.tree.last();
        self.current()
    }

    fn seek(&mut self, key: &[u8]) -> Option<Node<'static>> {
        self.is_forward = true;
        self.from_prefix = self.prefix_at(self.prefix_before(key, false));
        self.from_tree = self.tree.seek(key);
        self.current()
    }

    fn seek_for_prev(&mut self, key: &[u8]) -> Option<Node<'static>> {
        self.is_forward = false;
        self.from_prefix = self.prefix_before(key, true).checked_sub(1);
        self.from_tree = self.tree.seek_for_prev(key);
        self.current()
    }

    /// The node after `node`, the current one.
    #[inline]
    fn next(&mut self, node: Node<'static>) -> Option<Node<'static>> {
        if !self.is_forward {
            // The part that is not the current one stands on the other side: both are found anew.
            self.seek(node.key());
        }
        if self.from_tree.is_some_and(|tree| tree.as_ptr() == node.as_ptr()) {
            self.from_tree = self.tree.next();
        } else if let Some(at) = self.from_prefix {
            self.from_prefix = self.prefix_at(at + 1);
        }
        self.current()
    }

    fn prev(&mut self, node: Node<'static>) -> Option<Node<'static>> {
        if self.is_forward {
            self.seek_for_prev(node.key());
        }
        if self.from_tree.is_some_and(|tree| tree.as_ptr() == node.as_ptr()) {
            self.from_tree = self.tree.prev();
        } else if let Some(at) = self.from_prefix {
            self.from_prefix = at.checked_sub(1);
        }
        self.current()
    }
}

/// A version of a key, and the newest version that the cursor met when it came to that key.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) node: Node<'static>,
    pub(super) newest: Version<'static>,
    pub(super) version: Version<'static>,
}

impl Place {
    pub(super) fn newest(node: Node<'static>) -> Self {
        let newest = node.latest();
        Self { node, newest, version: newest }
    }

    pub(super) fn oldest(node: Node<'static>) -> Self {
        Self { node, newest: node.latest(), version: node.oldest() }
    }

    /// The next older version of the key.
    #[inline]
    pub(super) fn older(self) -> Option<Self> {
        Some(Self { version: self.version.prev()?, ..self })
    }

    /// The next newer version of the key.
    pub(super) fn newer(self) -> Option<Self> {
        let depth = self.version.depth();
        if depth >= self.newest.depth() {
            return None;
        }
        Some(Self { version: self.newest.at_depth(depth + 1), ..self })
    }

    #[inline]
    pub(super) fn entry(&self) -> Entry<'_> {
        Entry {
            key: self.node.key(),
            sequence: self.version.sequence(),
            kind: self.version.kind(),
            value: self.version.value(),
        }
    }

    pub(super) fn pin_value(&self, owner: &Arc<Memtable>) -> PinnedBytes {
        let version = self.version;
        PinnedBytes::new(owner, |_| version.value())
    }

    pub(super) fn push_to(&self, owner: &Arc<Memtable>, batch: &mut EntryBatch) {
        let version = self.version;
        batch.push(self.node.key(), version.sequence(), owner, |_| version.value());
    }
}

/// The memtable for as long as the Arc is kept. Requires: the caller keeps it beside what it derives from this.
pub(super) fn extend(memtable: &Arc<Memtable>) -> &'static Memtable {
    // SAFETY: callers keep the Arc beside what they derive from this, drop it last, and hand out nothing that outlives it.
    unsafe { &*Arc::as_ptr(memtable) }
}

impl MemtableCursor {
    pub(super) fn new(owner: Arc<Memtable>) -> Self {
        Self { walk: OrderWalk::new(extend(&owner)), place: None, owner }
    }

    fn stand(&mut self, place: Option<Place>) -> Result<bool> {
        self.place = place;
        Ok(place.is_some())
    }

    fn leave(&mut self) -> Result<()> {
        self.place = None;
        self.walk.ready()
    }
}

impl Cursor for MemtableCursor {
    fn seek_to_first(&mut self) -> Result<bool> {
        self.leave()?;
        let node = self.walk.first();
        self.stand(node.map(Place::newest))
    }

    fn seek_to_last(&mut self) -> Result<bool> {
        self.leave()?;
        let node = self.walk.last();
        self.stand(node.map(Place::oldest))
    }

    fn seek(&mut self, key: &[u8]) -> Result<bool> {
        self.leave()?;
        let node = self.walk.seek(key);
        self.stand(node.map(Place::newest))
    }

    fn seek_for_prev(&mut self, key: &[u8]) -> Result<bool> {
        self.leave()?;
        let node = self.walk.seek_for_prev(key);
        self.stand(node.map(Place::oldest))
    }

    #[inline]
    fn next(&mut self) -> Result<bool> {
        let Some(place) = self.place else {
            self.leave()?;
            return Ok(false);
        };
        if let Some(older) = place.older() {
            return self.stand(Some(older));
        }
        let node = self.walk.next(place.node);
        self.stand(node.map(Place::newest))
    }

    #[inline]
    fn prev(&mut self) -> Result<bool> {
        let Some(place) = self.place else {
            self.leave()?;
            return Ok(false);
        };
        if let Some(newer) = place.newer() {
            return self.stand(Some(newer));
        }
        let node = self.walk.prev(place.node);
        self.stand(node.map(Place::oldest))
    }

    fn is_valid(&self) -> bool {
        self.place.is_some()
    }

    fn entry(&self) -> Entry<'_> {
        self.place.as_ref().expect("the cursor stands on an entry").entry()
    }

    fn pin_value(&self) -> PinnedBytes {
        self.place.as_ref().expect("the cursor stands on an entry").pin_value(&self.owner)
    }

    fn push_to(&self, batch: &mut EntryBatch) {
        self.place.as_ref().expect("the cursor stands on an entry").push_to(&self.owner, batch);
    }

    fn fill(&mut self, fill: &mut Fill<'_>) -> Result<bool> {
        let Fill { ref mut batch, limit, ref mut bytes_left, until, snapshot, forward } = *fill;
        let Some(Place { node: first, .. }) = self.place else { return Ok(false) };
        let walk = &mut self.walk;
        let standing = batch.extend(&self.owner, |_, pinning| {
            let mut standing = Some(first);
            while let Some(node) = standing
                && pinning.len() < limit
                && *bytes_left > 0
                && !until.is_some_and(|until| until.is_past(node.key(), forward))
            {
                if let Some(version) = node.latest().visible_at(snapshot)
                    && version.kind() == Kind::Put
                {
                    let (key, value) = (node.key(), version.value());
                    *bytes_left = bytes_left.saturating_sub(key.len() + value.len());
                    pinning.push([key, &[]], version.sequence(), value);
                }
                standing = if forward { walk.next(node) } else { walk.prev(node) };
            }
            standing
        });
        if standing.is_some_and(|node| node.as_ptr() == first.as_ptr()) {
            return Ok(false);
        }
        self.place = standing.map(if forward { Place::newest } else { Place::oldest });
        Ok(true)
    }
}
