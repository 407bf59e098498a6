//! The order of a memtable's keys, made only when somebody wants it: the sorted prefix of the insertion log, a tree over
//! the nodes after it that were sorted in so far, and the rest of the log, the lag.
//!
//! Cursors feed the lag to the tree before they start; writers feed a little while cursors are in use. Feeding holds the
//! `feeder` mutex, never the commit lock, so writers go on meanwhile. Promise: when [`Order::feed`] returns, every node below
//! the length it was given is in prefix or tree, once.

use super::arena::{Arena, Bump};
use super::log::Log;
use super::sort::{Item, Sorting};
use super::tree::{INSERT_BYTES_MAX, Tree, TreeWalk};
use crate::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::error::Result;
use crate::lock::Mutex;

/// The lag that a writer leaves alone.
const LAG_LEFT: usize = if cfg!(loom) { 1 } else { 64 };

/// What a writer feeds at a time: enough to be worth the mutex, little enough to go unnoticed.
const LAG_STEP: usize = if cfg!(loom) { 2 } else { 32 };

/// A writer that sees a lag beyond this, after large batches, feeds eight steps.
const LAG_LONG: usize = 1_024;

/// A lag of this length, and an eighth of the tree, is sorted at once and the tree built anew: cheaper a node by far.
const REBUILD_LEN_MIN: usize = if cfg!(loom) { 4 } else { 512 };

/// The tree's memory comes in blocks that grow like the data's.
const SPACE_BYTES: [usize; 2] = [64 << 10, 256 << 10];

pub(super) struct Order {
    pub(super) tree: Tree,
    /// Nodes below this index of the log are in prefix or tree. A hint to all but the feeder.
    fed: AtomicUsize,
    wanted: AtomicBool,
    feeder: Mutex<Feeder>,
}

/// What the one mutator of the tree owns.
struct Feeder {
    space: Bump,
    taken: usize,
    tree_len: usize,
}

/// Makes sure that `bytes` are left in `space`.
fn reserve(space: &mut Bump, taken: &mut usize, arena: &Arena, bytes: usize) -> Result<()> {
    if space.left() < bytes {
        let size = SPACE_BYTES[usize::from(*taken > 0)];
        *space = Bump::take(arena, size)?;
        *taken += size;
    }
    Ok(())
}

impl Order {
    pub(super) fn new() -> Self {
        Self {
            tree: Tree::new(),
            fed: AtomicUsize::new(0),
            wanted: AtomicBool::new(false),
            feeder: Mutex::new(Feeder { space: Bump::empty(), taken: 0, tree_len: 0 }),
        }
    }

    pub(super) fn expect_iterators(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_iterators(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// A writer's share; an error is left to the next cursor, which meets it again.
    #[inline]
    pub(super) fn feed_lag<'m>(&'m self, log: &'m Log, arena: &Arena) {
        if !self.has_iterators() || log.is_sorted() {
            return;
        }
        let len = log.len();
        let fed = self.fed.load(Ordering::Relaxed).max(log.prefix(len));
        let lag = len.saturating_sub(fed);
        if lag >= LAG_LEFT
            && let Some(mut feeder) = self.feeder.try_lock()
        {
            let steps = if lag > LAG_LONG { 8 } else { 1 };
            let _ = self.feed_locked(&mut feeder, log, arena, (fed + steps * LAG_STEP).min(len));
        }
    }

    /// Sorts in every node below `len`. Requires: `len` came from the log. Errors: NO_MEMORY; what was fed stays.
    pub(super) fn feed<'m>(&'m self, log: &'m Log, arena: &Arena, len: usize) -> Result<()> {
        if log.prefix(len) == len || self.fed.load(Ordering::Acquire) >= len {
            return Ok(());
        }
        self.feed_locked(&mut self.feeder.lock(), log, arena, len)
    }

    fn feed_locked<'m>(&'m self, feeder: &mut Feeder, log: &'m Log, arena: &Arena, len: usize) -> Result<()> {
        let from = self.fed.load(Ordering::Relaxed).max(log.prefix(len));
        if from >= len {
            return Ok(());
        }
        let lag = len - from;
        if lag >= REBUILD_LEN_MIN && lag >= feeder.tree_len / 8 {
            return self.rebuild(feeder, log, arena, from, len);
        }
        for at in from..len {
            reserve(&mut feeder.space, &mut feeder.taken, arena, INSERT_BYTES_MAX)?;
            self.tree.insert(&mut feeder.space, log.node(at));
            feeder.tree_len += 1;
            self.fed.store(at + 1, Ordering::Release);
        }
        Ok(())
    }

    fn rebuild<'m>(&'m self, feeder: &mut Feeder, log: &'m Log, arena: &Arena, from: usize, len: usize) -> Result<()> {
        let mut sorting = Sorting::new((from..len).map(|at| log.node(at)));
        let mut all: Vec<Item<'m>> = Vec::with_capacity(feeder.tree_len + len - from);
        let mut walk = TreeWalk::new(&self.tree);
        let mut old = walk.first();
        while let Some(range) = sorting.next_range() {
            for &item in range {
                while let Some(node) = old.filter(|old| old.key() < item.node.key()) {
                    all.push(Item { head: 0, node });
                    old = walk.next();
                }
                all.push(item);
            }
        }
        while let Some(node) = old {
            all.push(Item { head: 0, node });
            old = walk.next();
        }
        let Feeder { space, taken, tree_len } = feeder;
        self.tree.rebuild(&all, space, |space, bytes| reserve(space, taken, arena, bytes))?;
        *tree_len = all.len();
        self.fed.store(len, Ordering::Release);
        Ok(())
    }
}
