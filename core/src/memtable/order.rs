//! The order of a memtable's keys.
use super::arena::Arena;
use super::log::Log;
use super::node::Node;
use super::sort::{Item, sort_all};
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct Order {
    wanted: AtomicBool,
}

impl Order {
    pub(super) fn new() -> Self {
        Self { wanted: AtomicBool::new(false) }
    }
    pub(super) fn expect_iterators(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }
    pub(super) fn has_iterators(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }
    pub(super) fn feed_lag(&self, _log: &Log, _arena: &Arena) {}
    pub(super) fn sorted<'m>(&self, log: &'m Log) -> Vec<Node<'m>> {
        self.expect_iterators();
        let mut items: Vec<Item<'m>> = (0..log.len()).map(|at| Item { head: 0, node: log.node(at) }).collect();
        sort_all(&mut items);
        items.into_iter().map(|item| item.node).collect()
    }
}
