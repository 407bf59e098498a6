//! Why writers wait.

/// What holds writers up. Each has a name for events, and counters of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StallCause {
    /// A family has as many frozen memtables as it may have: a stop, until one of them is in a file.
    FrozenMemtables,
    /// All memtables together hold as much memory as they may: a stop, until a flush freed some.
    MemoryBudget,
    /// Flushes are behind: small delays, before it comes to a stop.
    FlushDebt,
    /// Merges are behind: small delays. It never comes to a stop.
    MergeDebt,
    /// A write made the next segment of the log itself, because none was ready. Told when it is over.
    LogSegment,
}

impl StallCause {
    /// The name in lower case with underscores: the `detail` of the events that say when a stall begins and ends.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FrozenMemtables => "frozen_memtables",
            Self::MemoryBudget => "memory_budget",
            Self::FlushDebt => "flush_debt",
            Self::MergeDebt => "merge_debt",
            Self::LogSegment => "log_segment",
        }
    }

    /// What an error says of it.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::FrozenMemtables => "too many memtables wait for their flush",
            Self::MemoryBudget => "memtables hold all the memory that they may",
            Self::FlushDebt => "flushes are behind, and writes are delayed",
            Self::MergeDebt => "merges are behind, and writes are delayed",
            Self::LogSegment => "no log segment was ready",
        }
    }
}
