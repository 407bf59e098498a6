//! Walks every version of every key of a memtable, both ways.
//!
//! `unsafe` here: the cursor keeps nodes of the memtable beside the Arc that keeps the memtable.
#![allow(unsafe_code)]

use super::Memtable;
use super::node::{Node, Version};
use crate::error::Result;
use crate::iter::{Cursor, EntryBatch, PinnedBytes};
use crate::key::Entry;
use std::sync::Arc;

/// A cursor over a memtable: every entry inserted before it was made, and maybe later ones.
pub struct MemtableCursor {
    nodes: Vec<Node<'static>>,
    at: usize,
    place: Option<Place>,
    owner: Arc<Memtable>,
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

/// Nodes of `memtable` that may be kept as long as the Arc is.
pub(super) fn extend<'a>(memtable: &'a Arc<Memtable>) -> &'static Memtable {
    // SAFETY: callers keep the Arc beside what they derive from this, drop it last, and hand out nothing that outlives it.
    unsafe { &*Arc::as_ptr(memtable) }
}

impl MemtableCursor {
    pub(super) fn new(owner: Arc<Memtable>) -> Self {
        let memtable = extend(&owner);
        Self { nodes: memtable.order.sorted(&memtable.log), at: 0, place: None, owner }
    }

    fn stand(&mut self, at: Option<usize>, oldest: bool) -> Result<bool> {
        self.place = None;
        if let Some(at) = at.filter(|&at| at < self.nodes.len()) {
            self.at = at;
            self.place = Some(if oldest { Place::oldest(self.nodes[at]) } else { Place::newest(self.nodes[at]) });
        }
        Ok(self.place.is_some())
    }
}

impl Cursor for MemtableCursor {
    fn seek_to_first(&mut self) -> Result<bool> {
        self.stand(Some(0), false)
    }

    fn seek_to_last(&mut self) -> Result<bool> {
        self.stand(self.nodes.len().checked_sub(1), true)
    }

    fn seek(&mut self, key: &[u8]) -> Result<bool> {
        let at = self.nodes.partition_point(|node| node.key() < key);
        self.stand(Some(at), false)
    }

    fn seek_for_prev(&mut self, key: &[u8]) -> Result<bool> {
        let at = self.nodes.partition_point(|node| node.key() <= key);
        self.stand(at.checked_sub(1), true)
    }

    fn next(&mut self) -> Result<bool> {
        if let Some(place) = self.place {
            if let Some(older) = place.older() {
                self.place = Some(older);
                return Ok(true);
            }
        }
        self.stand(Some(self.at + 1), false)
    }

    fn prev(&mut self) -> Result<bool> {
        if let Some(place) = self.place {
            if let Some(newer) = place.newer() {
                self.place = Some(newer);
                return Ok(true);
            }
        }
        self.stand(self.at.checked_sub(1), true)
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
}
