//! Memory by owner.

use crate::boundary;
use crate::bytes::{self, Sized32};
use crate::open::{Database, sstore_db};
use crate::status::{sstore_code, sstore_error};
use engine::MemoryUse;

/// What holds memory, in bytes, at one moment. Taken without stopping anyone: the numbers may be a few operations apart.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_memory_use {
    /// Set by the caller to sizeof(sstore_memory_use).
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// The option memory_budget_bytes.
    pub budget_bytes: u64,
    /// What memtables and spares may have of it: a half.
    pub memtable_share_bytes: u64,
    /// All that is counted: the sum of the fields below, but for cache_limit_bytes.
    pub total_bytes: u64,
    /// Memtables that take writes: entries, hash tables, order.
    pub active_memtable_bytes: u64,
    /// Memtables that wait for their flush.
    pub frozen_memtable_bytes: u64,
    /// Flushed memtables that iterators or pinned values keep.
    pub pinned_memtable_bytes: u64,
    /// Kept for the next memtables.
    pub spare_bytes: u64,
    /// Cached blocks and rows.
    pub cache_bytes: u64,
    /// What caches may hold now.
    pub cache_limit_bytes: u64,
    /// Indexes, filters and metadata of open files.
    pub file_bytes: u64,
}

impl Default for sstore_memory_use {
    fn default() -> Self {
        Self::from(&MemoryUse::default())
    }
}

impl From<&MemoryUse> for sstore_memory_use {
    fn from(held: &MemoryUse) -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            budget_bytes: held.budget_bytes,
            memtable_share_bytes: held.memtable_share_bytes,
            total_bytes: held.total_bytes(),
            active_memtable_bytes: held.active_memtable_bytes,
            frozen_memtable_bytes: held.frozen_memtable_bytes,
            pinned_memtable_bytes: held.pinned_memtable_bytes,
            spare_bytes: held.spare_bytes,
            cache_bytes: held.cache_bytes,
            cache_limit_bytes: held.cache_limit_bytes,
            file_bytes: held.file_bytes,
        }
    }
}

// SAFETY: `repr(C)`, two u32, then u64: no padding, any bits are a value.
unsafe impl Sized32 for sstore_memory_use {}

/// Fills `*memory`, which must have its struct_size set, with what each owner holds. Does not block; any thread.
/// Errors: CLOSED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_memory_use_get(
    db: *const sstore_db,
    memory: *mut sstore_memory_use,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        bytes::fill(memory, sstore_memory_use::default(), "memory")?;
        let held = handles.pin::<Database>(db)?.db.memory_use();
        Ok(bytes::fill(memory, sstore_memory_use::from(&held), "memory")?)
    })
}
