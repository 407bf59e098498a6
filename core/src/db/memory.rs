//! The memory budget: what each owner holds, and what is done when memtables hold too much.
//!
//! Called by background tasks, and by writers once the signal says that memtables grew by a step. What to freeze and what caches leave
//! to memtables is decided by pure functions of `flush`; here the figures are gathered and the decisions carried out.

use super::Db;
use super::core::Core;
use crate::error::Result;
use crate::flush::{MemtableUse, grant_bytes, pick_for_memory, room_bytes};
use crate::key::Sequence;
use crate::memtable::AnyMemtable;
use crate::observe::{Counter, FlushReason};
use crate::view::{CollectionView, View};

/// Memory by owner, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// The option `memory_budget_bytes`.
    pub budget_bytes: u64,
    /// What memtables and spares may have of it: a half, which is what one family needs with the defaults, one memtable that is written
    /// and three that wait for their flush.
    pub memtable_share_bytes: u64,
    /// Held by active memtables: entries, hash tables, order.
    pub active_memtable_bytes: u64,
    /// Held by frozen memtables that are not flushed.
    pub frozen_memtable_bytes: u64,
    /// Held by flushed memtables that iterators, snapshots' readers or pinned values keep.
    pub pinned_memtable_bytes: u64,
    /// Kept for the next memtables.
    pub spare_bytes: u64,
    /// Held by cached blocks and rows.
    pub cache_bytes: u64,
    /// What caches may hold now: what memtables, open files and, if there are tables, one job leave them.
    pub cache_limit_bytes: u64,
    /// Held by indexes, filters and metadata of open files.
    pub file_bytes: u64,
}

impl MemoryUse {
    /// All that is counted.
    pub fn total_bytes(&self) -> u64 {
        self.active_memtable_bytes
            + self.frozen_memtable_bytes
            + self.pinned_memtable_bytes
            + self.spare_bytes
            + self.cache_bytes
            + self.file_bytes
    }
}

fn active_bytes(part: &CollectionView) -> u64 {
    if part.active.is_empty() { 0 } else { part.active.memory_bytes() as u64 }
}

fn frozen_bytes(part: &CollectionView) -> u64 {
    part.frozen.iter().map(|frozen| frozen.memtable.memory_bytes() as u64).sum()
}

/// What memtables that are not flushed hold.
pub(super) fn unflushed_bytes(view: &View) -> u64 {
    view.collections().iter().map(|part| active_bytes(part) + frozen_bytes(part)).sum()
}

/// The collections that hold anything.
fn memtable_uses(view: &View, last_sequence: Sequence) -> Vec<MemtableUse> {
    let used = |part: &CollectionView| MemtableUse {
        collection: part.collection,
        active_bytes: active_bytes(part),
        age: part.active.first_sequence().map_or(0, |first| last_sequence.saturating_sub(first)),
        frozen_bytes: frozen_bytes(part),
    };
    let uses = view.collections().iter().map(|part| used(part));
    uses.filter(|used| used.active_bytes + used.frozen_bytes > 0).collect()
}

impl Core {
    /// What memtables that are not flushed may hold, of which they hold `unflushed_bytes`.
    pub(super) fn memtable_room(&self, unflushed_bytes: u64) -> u64 {
        let memory = self.pool.memory();
        let pinned = (memory.held_bytes() as u64).saturating_sub(unflushed_bytes);
        room_bytes(memory.share_bytes() as u64, pinned)
    }

    /// Whether writers have to wait for a flush to free memory.
    pub(super) fn memory_is_full(&self) -> bool {
        let memory = self.pool.memory();
        if memory.held_bytes() < memory.share_bytes() {
            return false;
        }
        let unflushed = self.with_view(|view, _| unflushed_bytes(view));
        unflushed >= self.memtable_room(unflushed)
    }

    /// Freezes a memtable if all together hold too much. Afterwards, if memory is full, a flush is on its way that will free some.
    pub(super) fn bound_memory(&self) -> Result<()> {
        let memory = self.pool.memory();
        // Half of the least room there can be.
        if memory.held_bytes() < memory.share_bytes() / 8 {
            return Ok(());
        }
        let wanted = |view: &View, last: Sequence| {
            let uses = memtable_uses(view, last);
            let unflushed = uses.iter().map(|used| used.active_bytes + used.frozen_bytes).sum();
            pick_for_memory(&uses, self.memtable_room(unflushed))
        };
        if self.with_view(wanted).is_none() {
            return Ok(());
        }
        let mut state = self.commit.lock()?;
        // Again, as somebody else may have frozen it meanwhile.
        let last_sequence = state.last_sequence;
        if let Some(id) = self.with_view(|view, _| wanted(view, last_sequence)) {
            self.freeze(&mut state, id, FlushReason::MemoryBudget)?;
            self.counters.add(Counter::MemoryFreezes, 1);
        }
        Ok(())
    }

    /// Leaves to memtables what they hold, and the rest to caches. Must not be called under a lock: caches may have much to let go.
    pub(super) fn balance_caches(&self) {
        let memory = self.pool.memory();
        let held = (memory.held_bytes() + memory.spare_bytes()) as u64;
        let (granted, least) = (self.caches.granted_bytes() as u64, self.caches.least_granted_bytes() as u64);
        let grant = grant_bytes(held, granted, least, memory.share_bytes() as u64);
        if grant != granted {
            self.caches.grant(grant as usize);
        }
    }
}

impl Db {
    /// Memory by owner, read without stopping anyone.
    pub fn memory_use(&self) -> MemoryUse {
        let core = &self.handle.core;
        let view = core.current_view();
        let memory = core.pool.memory();
        let parts = view.collections();
        let fixed = |memtable: &AnyMemtable| if memtable.is_empty() { memtable.memory_bytes() as u64 } else { 0 };
        let idle: u64 = parts.iter().map(|part| fixed(&part.active)).sum();
        let active = parts.iter().map(|part| active_bytes(part)).sum::<u64>() + idle;
        let frozen = parts.iter().map(|part| frozen_bytes(part)).sum();
        let runs = parts.iter().flat_map(|part| &part.runs);
        MemoryUse {
            budget_bytes: core.options.memory_budget_bytes() as u64,
            memtable_share_bytes: memory.share_bytes() as u64,
            active_memtable_bytes: active,
            frozen_memtable_bytes: frozen,
            pinned_memtable_bytes: (memory.held_bytes() as u64).saturating_sub(active + frozen),
            spare_bytes: memory.spare_bytes() as u64,
            cache_bytes: core.caches.used_bytes() as u64,
            cache_limit_bytes: core.caches.capacity_bytes() as u64,
            file_bytes: runs.map(|run| run.reader.resident_bytes() as u64).sum(),
        }
    }
}
