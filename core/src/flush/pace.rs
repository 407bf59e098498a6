//! How much writers are slowed down before they would have to stop: a pure function of what flushes and merges owe.
//!
//! Called by `db` for writes while something is owed. Writers pay in grains, short waits after so many bytes: the more is owed, the longer
//! the grain and the fewer the bytes, so that the rate of writes meets that of the background somewhere in between.

use crate::observe::StallCause;

/// Shares of limits, in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Debt {
    /// Of the frozen memtables that one family may have, its active one counted for as much as it is filled.
    pub memtables: u32,
    /// Of the memory that all memtables may hold.
    pub memory: u32,
    /// Of the flushed bytes that may wait for their first merge. Nothing stops at this limit.
    pub merges: u32,
}

/// A wait for each so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// What is owed most.
    pub cause: StallCause,
    /// How long a grain is.
    pub grain_micros: u64,
    /// After how many bytes one is due.
    pub grain_bytes: u64,
}

/// From where on writers pay, in thousandths of each limit. A full memtable that is being flushed while the next one is filled is
/// how it should be; and active memtables alone hold half of the memory before one of them is frozen.
const MEMTABLES_FREE: u32 = 500;
const MEMORY_FREE: u32 = 750;
const MERGES_FREE: u32 = 500;

/// The shortest grain and the longest: less than the system's timers can do, and what still leaves p99.9 of a put under a millisecond.
const GRAIN_MICROS: (u64, u64) = (50, 200);

/// The bytes of the first grain. With small puts one in five hundred waits.
const GRAIN_BYTES_MAX: u64 = 64 << 10;

/// The bytes of the last one before a stop: some 16 MB/s.
const GRAIN_BYTES_MIN: u64 = 4 << 10;

/// The same for merges, which never stop anybody: some 60 MB/s, which they manage with one processor.
const GRAIN_BYTES_MIN_OF_MERGES: u64 = 16 << 10;

/// How far on the way from `free` to the limit, in thousandths; 0: nothing to pay.
fn degree(share: u32, free: u32) -> u64 {
    u64::from(share.min(1000).saturating_sub(free)) * 1000 / u64::from(1000 - free)
}

/// What writers pay; `None`: nothing.
pub fn pace(debt: &Debt) -> Option<Pace> {
    let memtables = degree(debt.memtables, MEMTABLES_FREE).max(degree(debt.memory, MEMORY_FREE));
    let of_flushes = (StallCause::FlushDebt, memtables, GRAIN_BYTES_MIN);
    let of_merges = (StallCause::MergeDebt, degree(debt.merges, MERGES_FREE), GRAIN_BYTES_MIN_OF_MERGES);
    let (cause, degree, least) = if of_merges.1 > of_flushes.1 { of_merges } else { of_flushes };
    (degree > 0).then(|| Pace {
        cause,
        grain_micros: GRAIN_MICROS.0 + (GRAIN_MICROS.1 - GRAIN_MICROS.0) * degree / 1000,
        grain_bytes: GRAIN_BYTES_MAX - (GRAIN_BYTES_MAX - least) * degree / 1000,
    })
}

#[cfg(test)]
mod tests;
