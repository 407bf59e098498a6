//! Which collections wait for a flush, in the order in which they began to wait.
//!
//! A plain queue, kept by `db` under its jobs lock. Promises: a collection waits at most once; first come, first served; a
//! dropped one is never handed out.

use crate::key::CollectionId;
use std::collections::{HashSet, VecDeque};

/// The queue of collections with frozen memtables.
#[derive(Debug, Default)]
pub struct FlushScheduler {
    queue: VecDeque<CollectionId>,
    waiting: HashSet<CollectionId>,
}

impl FlushScheduler {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes `collection` wait, at the end; false if it waits already.
    pub fn schedule(&mut self, collection: CollectionId) -> bool {
        let is_new = self.waiting.insert(collection);
        if is_new {
            self.queue.push_back(collection);
        }
        is_new
    }

    /// The collection that waits longest; it waits no more.
    pub fn take(&mut self) -> Option<CollectionId> {
        let collection = self.queue.pop_front()?;
        self.waiting.remove(&collection);
        Some(collection)
    }

    /// Forgets a dropped collection.
    pub fn forget(&mut self, collection: CollectionId) {
        if self.waiting.remove(&collection) {
            self.queue.retain(|waiting| *waiting != collection);
        }
    }

    /// How many collections wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_waits_once_and_is_served_in_order() {
        let mut scheduler = FlushScheduler::new();
        let [a, b, c] = [1, 2, 3].map(CollectionId);
        assert!(scheduler.schedule(a) && scheduler.schedule(b) && !scheduler.schedule(a) && scheduler.schedule(c));
        scheduler.forget(b);
        assert_eq!(scheduler.take(), Some(a));
        assert!(scheduler.schedule(a), "it may wait again while it is being flushed");
        assert_eq!((scheduler.take(), scheduler.take()), (Some(c), Some(a)));
        assert!(scheduler.take().is_none() && scheduler.is_empty());
    }
}
