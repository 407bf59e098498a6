//! Walks a frozen memtable, or a piece of it, once, forward, sorting as it goes: what flush writes to a table.
//!
//! Made by [`ranges`](super::ranges), called by `flush`. The sorted prefix of the log, and the nodes after it sorted range by range, are merged as they come,
//! so that the first block can be written after one pass over the keys; nodes are asked for ahead of their use.

use super::Memtable;
use super::cursor::{Place, extend};
use super::node::Node;
use super::sort::{Item, Sorting};
use crate::error::{Error, Result};
use crate::iter::{Cursor, EntryBatch, PinnedBytes};
use crate::key::Entry;
use std::ops::Range;
use std::sync::Arc;

/// Nodes to be sorted before those of them that come first are asked for: one after another, so that this is not waited for often.
const SORTED_NODES_MIN: usize = 512;

/// Nodes that are asked for in one go. Each lies in a page of its own, and the processor waits until it knows where that page is: several
/// can be looked up at once, but only if nothing else stands between.
const PREFETCH_NODES: usize = 8;

/// The forward-only cursor of flush: `seek_to_first` once, then `next`. Every other mover returns INVALID_ARGUMENT.
pub struct FlushCursor {
    /// Until the first move.
    piece: Option<Piece>,
    /// After it.
    walk: Option<Walk>,
    place: Option<Place>,
    /// Dropped last: everything above points into it.
    owner: Arc<Memtable>,
}

/// Some nodes of a memtable: of its sorted prefix those from one index to another, of the rest those in `items`.
pub(super) struct Piece {
    pub(super) prefix: Range<usize>,
    pub(super) items: Vec<Vec<Item<'static>>>,
    /// How many bytes the keys of `items` share, if that is known; their heads are the eight behind.
    pub(super) skip: Option<usize>,
}

/// Two ascending streams of nodes, merged.
struct Walk {
    memtable: &'static Memtable,
    prefix_at: usize,
    prefix_end: usize,
    sorting: Sorting<'static>,
    range: Vec<Node<'static>>,
    range_at: usize,
}

impl Walk {
    fn new(memtable: &'static Memtable, piece: Piece) -> Self {
        let sorting = Sorting::of(piece.items.concat(), piece.skip);
        let Range { start: prefix_at, end: prefix_end } = piece.prefix;
        Self { memtable, prefix_at, prefix_end, sorting, range: Vec::new(), range_at: 0 }
    }

    /// The next node of the part that was not sorted when written.
    #[inline]
    fn unsorted(&mut self) -> Option<Node<'static>> {
        if self.range_at == self.range.len() {
            self.sort();
        }
        self.range.get(self.range_at).copied()
    }

    fn sort(&mut self) {
        self.range.clear();
        self.range_at = 0;
        while self.range.len() < SORTED_NODES_MIN
            && let Some(items) = self.sorting.next_range()
        {
            self.range.extend(items.iter().map(|item| item.node));
        }
        // Nobody asked for the first ones while those before were walked.
        self.range.iter().take(2 * PREFETCH_NODES).for_each(|node| node.prefetch_key());
        self.range.iter().take(PREFETCH_NODES).for_each(|node| node.prefetch_newest());
    }

    /// Asks for some of the nodes that come soon.
    fn prefetch(&self) {
        let ahead =
            |groups: usize| self.range.iter().skip(self.range_at + groups * PREFETCH_NODES).take(PREFETCH_NODES);
        ahead(2).for_each(|node| node.prefetch_key());
        // Where the newest version lies is in the node.
        ahead(1).for_each(|node| node.prefetch_newest());
    }

    fn next(&mut self) -> Option<Node<'static>> {
        let unsorted = self.unsorted();
        let prefix = (self.prefix_at < self.prefix_end).then(|| self.memtable.log.node(self.prefix_at));
        let from_prefix = match (prefix, unsorted) {
            (Some(prefix), Some(unsorted)) => prefix.key() < unsorted.key(),
            (prefix, _) => prefix.is_some(),
        };
        if from_prefix {
            self.prefix_at += 1;
            return prefix;
        }
        if self.range_at.is_multiple_of(PREFETCH_NODES) {
            self.prefetch();
        }
        self.range_at += 1;
        unsorted
    }
}

impl FlushCursor {
    /// Over `piece` of `owner`.
    pub(super) fn new(owner: Arc<Memtable>, piece: Piece) -> Self {
        Self { piece: Some(piece), walk: None, place: None, owner }
    }

    fn forward_only(&mut self) -> Result<bool> {
        self.place = None;
        Err(Error::invalid("a flush cursor moves forward only, once"))
    }
}

impl Cursor for FlushCursor {
    fn seek_to_first(&mut self) -> Result<bool> {
        let Some(piece) = self.piece.take() else { return self.forward_only() };
        let walk = self.walk.insert(Walk::new(extend(&self.owner), piece));
        self.place = walk.next().map(Place::newest);
        Ok(self.place.is_some())
    }

    fn seek_to_last(&mut self) -> Result<bool> {
        self.forward_only()
    }

    fn seek(&mut self, _key: &[u8]) -> Result<bool> {
        self.forward_only()
    }

    fn seek_for_prev(&mut self, _key: &[u8]) -> Result<bool> {
        self.forward_only()
    }

    #[inline]
    fn next(&mut self) -> Result<bool> {
        self.place =
            self.place.and_then(Place::older).or_else(|| self.walk.as_mut().and_then(Walk::next).map(Place::newest));
        Ok(self.place.is_some())
    }

    fn prev(&mut self) -> Result<bool> {
        self.forward_only()
    }

    fn is_valid(&self) -> bool {
        self.place.is_some()
    }

    #[inline]
    fn entry(&self) -> Entry<'_> {
        self.place.as_ref().expect("the cursor stands on an entry").entry()
    }

    fn pin_value(&self) -> PinnedBytes {
        self.place.as_ref().expect("the cursor stands on an entry").pin_value(&self.owner)
    }

    fn push_to(&self, batch: &mut EntryBatch) {
        self.place.as_ref().expect("the cursor stands on an entry").push_to(&self.owner, batch);
    }
}
