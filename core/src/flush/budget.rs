//! Which memtable is frozen when all of them together hold too much memory: a pure choice over figures.
//!
//! Called by `db` whenever memtables grew by a step. Promises: as long as memtables hold as much as they may, either some are frozen and
//! on their way to a file, or one is named here; what readers keep of flushed memtables never takes all the room of writers; families
//! that hold next to nothing are left alone.

use crate::key::CollectionId;

/// What one collection holds in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemtableUse {
    /// Whose it is.
    pub collection: CollectionId,
    /// Bytes that the active memtable holds; 0 if nothing was written to it.
    pub active_bytes: u64,
    /// How many operations ago, in the whole database, its first one was.
    pub age: u64,
    /// Bytes that its frozen memtables hold.
    pub frozen_bytes: u64,
}

/// What memtables that are not flushed may hold, of a share of `share_bytes`, while readers keep `pinned_bytes` of flushed ones. No
/// flush frees those, so a quarter is left to writers whatever readers do: else one iterator could stop them for ever.
pub fn room_bytes(share_bytes: u64, pinned_bytes: u64) -> u64 {
    share_bytes.saturating_sub(pinned_bytes).max(share_bytes / 4)
}

/// The collection to freeze, if one is to be: once active memtables hold half of the room, unless a quarter of it is frozen already.
/// It is the one with the most bytes times age among those that hold half of the mean or more: of the others a flush would free little.
pub fn pick_for_memory(uses: &[MemtableUse], room_bytes: u64) -> Option<CollectionId> {
    let active: u64 = uses.iter().map(|used| used.active_bytes).sum();
    let frozen: u64 = uses.iter().map(|used| used.frozen_bytes).sum();
    if active < room_bytes / 2 || frozen >= room_bytes / 4 {
        return None;
    }
    let holding = uses.iter().filter(|used| used.active_bytes > 0);
    let mean = active / (holding.clone().count() as u64).max(1);
    let worth = |used: &&MemtableUse| u128::from(used.active_bytes) * u128::from(used.age.max(1));
    holding.filter(|used| used.active_bytes >= mean / 2).max_by_key(worth).map(|used| used.collection)
}

/// What the caches leave to memtables that hold `held_bytes`, if they left `granted_bytes` so far: steps of an eighth of the share, from
/// `least_bytes` on, taken back late, so that caches are not emptied and filled with each flush.
pub fn grant_bytes(held_bytes: u64, granted_bytes: u64, least_bytes: u64, share_bytes: u64) -> u64 {
    let step = (share_bytes / 8).max(1);
    let wanted = (held_bytes + step / 2).next_multiple_of(step).clamp(least_bytes.min(share_bytes), share_bytes);
    if wanted > granted_bytes || wanted + 2 * step <= granted_bytes { wanted } else { granted_bytes }
}

#[cfg(test)]
mod tests;
