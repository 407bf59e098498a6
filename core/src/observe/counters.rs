//! Counters and histograms: relaxed atomics, one line each, read as a whole without stopping anyone.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// A thing that is counted since the database was opened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Counter { $($(#[doc = $doc])* $variant,)* }

        impl Counter {
            /// Every counter, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in lower case with underscores.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is counted, in a sentence.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_start(),)* }
            }
        }
    };
}

counters! {
    /// Writes that waited for the log to be durable.
    SyncWrites = "sync_writes",
    /// Flush jobs done.
    Flushes = "flushes",
    /// Memtables that they took.
    FlushedMemtables = "flushed_memtables",
    /// Bytes of the files that they wrote.
    FlushBytes = "flush_bytes",
    /// Flush jobs that failed.
    FlushFailures = "flush_failures",
    /// Merges done.
    Compactions = "compactions",
    /// Bytes that they read.
    CompactionReadBytes = "compaction_read_bytes",
    /// Bytes that they wrote.
    CompactionWriteBytes = "compaction_write_bytes",
    /// Versions that flushes and merges dropped, because no snapshot could see them.
    DroppedVersions = "dropped_versions",
    /// Rows of tables that merges took for past their time.
    ExpiredRows = "expired_rows",
    /// Times that writers were stopped.
    Stalls = "stalls",
    /// For how long in all, in microseconds.
    StallMicros = "stall_micros",
    /// Stops because one family had as many frozen memtables as it may.
    StallsFrozenMemtables = "stalls_frozen_memtables",
    /// Stops because all memtables together held as much memory as they may.
    StallsMemoryBudget = "stalls_memory_budget",
    /// Short waits of single writes because flushes were behind.
    DelaysFlushDebt = "delays_flush_debt",
    /// Short waits of single writes because merges were behind.
    DelaysMergeDebt = "delays_merge_debt",
    /// How long all short waits took, in microseconds.
    DelayMicros = "delay_micros",
    /// Memtables frozen because all of them together held too much memory.
    MemoryFreezes = "memory_freezes",
    /// Memtables frozen because they held the oldest segment of a log that was too long.
    LogFreezes = "log_freezes",
    /// Runs that gets looked into.
    GetRunsVisited = "get_runs_visited",
    /// Background errors.
    BackgroundErrors = "background_errors",
}

/// All counters of one database.
#[derive(Default)]
pub struct Counters([AtomicU64; Counter::ALL.len()]);

impl Counters {
    /// Adds to a counter.
    #[inline]
    pub fn add(&self, counter: Counter, amount: u64) {
        self.0[counter as usize].fetch_add(amount, Ordering::Relaxed);
    }

    /// What a counter stands at.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize].load(Ordering::Relaxed)
    }
}

const SUB_BUCKETS: usize = 8;
const BUCKETS: usize = SUB_BUCKETS * 62;

/// A histogram of durations in nanoseconds: eight buckets per power of two, so each value is known within 12.5 %.
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    max: AtomicU64,
    sum: AtomicU64,
}

/// What a [`Histogram`] holds, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HistogramSummary {
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// Half of them are at most this.
    pub p50: u64,
    /// 99 % of them are at most this.
    pub p99: u64,
    /// 99.9 % of them are at most this.
    pub p999: u64,
    /// The largest.
    pub max: u64,
    /// One in so many is timed, on average, and the others are in none of these figures; 1: each is timed.
    pub one_in: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, max: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }
}

fn bucket_of(nanos: u64) -> usize {
    if nanos < SUB_BUCKETS as u64 {
        return nanos as usize;
    }
    let exponent = 63 - nanos.leading_zeros() as usize;
    let sub = (nanos >> (exponent - 3)) as usize & (SUB_BUCKETS - 1);
    ((exponent - 2) * SUB_BUCKETS + sub).min(BUCKETS - 1)
}

/// The largest value that falls into a bucket.
fn bucket_end(bucket: usize) -> u64 {
    if bucket < SUB_BUCKETS {
        return bucket as u64;
    }
    let exponent = bucket / SUB_BUCKETS + 2;
    let step = 1u64 << (exponent - 3);
    (1u64 << exponent) + step * (bucket % SUB_BUCKETS + 1) as u64 - 1
}

impl Histogram {
    /// Adds a duration.
    pub fn record(&self, nanos: u64) {
        self.buckets[bucket_of(nanos)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(nanos, Ordering::Relaxed);
        self.max.fetch_max(nanos, Ordering::Relaxed);
    }

    /// What it holds now.
    pub fn summary(&self) -> HistogramSummary {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let count = counts.iter().sum::<u64>();
        let max = self.max.load(Ordering::Relaxed);
        let quantile = |share: f64| {
            let wanted = (count as f64 * share).ceil() as u64;
            let mut seen = 0;
            for (bucket, &n) in counts.iter().enumerate() {
                seen += n;
                if n > 0 && seen >= wanted {
                    return bucket_end(bucket).min(max);
                }
            }
            0
        };
        let sum = self.sum.load(Ordering::Relaxed);
        HistogramSummary { count, sum, p50: quantile(0.5), p99: quantile(0.99), p999: quantile(0.999), max, one_in: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_the_bucket_that_ends_at_or_after_it() {
        for shift in 0..60 {
            for add in [0, 1, 3] {
                let value = (1u64 << shift) + add;
                let bucket = bucket_of(value);
                assert!(bucket_end(bucket) >= value, "{value}");
                assert!(bucket == 0 || bucket_end(bucket - 1) < value, "{value}");
            }
        }
    }

    #[test]
    fn quantiles_are_within_an_eighth() {
        let histogram = Histogram::default();
        for value in 1..=1000 {
            histogram.record(value);
        }
        let summary = histogram.summary();
        assert_eq!((summary.count, summary.max, summary.sum), (1000, 1000, 500_500));
        assert!((500..=563).contains(&summary.p50), "{}", summary.p50);
        assert!((990..=1000).contains(&summary.p99), "{}", summary.p99);
    }
}
