//! How long operations take: which are timed, and the histograms that they go to.
//!
//! Filled by `db`. What takes a microsecond or less is timed now and then: reading the clock twice costs a tenth of a put. All else is
//! timed each time. Nothing here blocks or allocates.

use super::{Histogram, HistogramSummary};
use crate::env::Runtime;
use crate::epoch;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Of what is not timed each time, one in so many is, on average.
const SAMPLED_ONE_IN: u64 = 128;

macro_rules! timed {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal one in $one_in:expr,)*) => {
        /// An operation that is timed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Timed { $($(#[doc = $doc])* $variant,)* }

        impl Timed {
            /// Every one, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in lower case.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One in so many is timed, on average; 1: each.
            pub const fn one_in(self) -> u64 {
                match self { $(Self::$variant => $one_in,)* }
            }

            /// What is timed, in a sentence.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_start(),)* }
            }
        }
    };
}

timed! {
    /// Writes: single ones, and batches as a whole, with all that they waited for.
    Write = "write" one in SAMPLED_ONE_IN,
    /// Look-ups of single keys of families.
    Get = "get" one in SAMPLED_ONE_IN,
    /// Seeks of iterators over families, without the making of the iterator.
    Seek = "seek" one in SAMPLED_ONE_IN,
    /// Waits for the log to be durable, of writes and flushes.
    Sync = "sync" one in 1,
    /// Syncs of single files and directories, of all kinds.
    Fsync = "fsync" one in 1,
    /// Flush jobs that were done.
    Flush = "flush" one in 1,
    /// Merges that were done.
    Merge = "merge" one in 1,
    /// Stops of single writers.
    Stall = "stall" one in 1,
    /// Short waits of single writers because flushes or merges were behind.
    Delay = "delay" one in 1,
}

/// How many threads count their operations without touching a line of another one's.
const LANES: usize = 64;

#[repr(align(64))]
struct Lane(AtomicU64);

#[repr(align(128))]
struct Flag(AtomicBool);

/// The histograms of one database.
pub struct Timings {
    runtime: Arc<dyn Runtime>,
    histograms: [Histogram; Timed::ALL.len()],
    lanes: [Lane; LANES],
    /// Alone on its line, which is written to once in a while: all writers look at it.
    next_write: Flag,
}

impl Timings {
    /// Empty ones, by the clock of `runtime`.
    pub fn new(runtime: Arc<dyn Runtime>) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            histograms: std::array::from_fn(|_| Histogram::default()),
            lanes: std::array::from_fn(|_| Lane(AtomicU64::new(0))),
            next_write: Flag(AtomicBool::new(true)),
        })
    }

    /// Adds a duration.
    pub fn record(&self, timed: Timed, nanos: u64) {
        self.histograms[timed as usize].record(nanos);
    }

    /// Perhaps begins to time an operation of which one in [`Timed::one_in`] is timed. Call [`end`](Self::end) when it is over.
    #[inline]
    pub fn begin(&self) -> Began {
        // Two threads of one lane may count an operation once only: the lane is where to look, not how many there were.
        let lane = &self.lanes[epoch::thread_slot() % LANES].0;
        let turn = lane.load(Ordering::Relaxed);
        lane.store(turn.wrapping_add(1), Ordering::Relaxed);
        Began(if is_sampled(turn) { self.now() } else { 0 })
    }

    /// The same for a write. Which of them is timed is decided by the one before, in [`written`](Self::written): a put is so short that
    /// looking for its thread's lane would be felt.
    #[inline]
    pub fn begin_write(&self) -> Began {
        let next = &self.next_write.0;
        Began(if next.load(Ordering::Relaxed) && next.swap(false, Ordering::Relaxed) { self.now() } else { 0 })
    }

    /// A write has the sequences up to `last`.
    #[inline]
    pub fn written(&self, last: u64) {
        if is_sampled(last) {
            self.next_write.0.store(true, Ordering::Relaxed);
        }
    }

    /// An operation is over.
    // Not the drop of a guard: what it costs to unwind keeps the compiler from inlining what a put consists of.
    #[inline]
    pub fn end(&self, timed: Timed, began: Began) {
        if began.0 != 0 {
            self.finish(timed, began.0);
        }
    }

    #[cold]
    #[inline(never)]
    fn now(&self) -> u64 {
        self.runtime.monotonic_nanos().max(1)
    }

    #[cold]
    #[inline(never)]
    fn finish(&self, timed: Timed, began: u64) {
        self.record(timed, self.now().saturating_sub(began));
    }

    /// What the histogram of an operation holds.
    pub fn summary(&self, timed: Timed) -> HistogramSummary {
        HistogramSummary { one_in: timed.one_in(), ..self.histograms[timed as usize].summary() }
    }
}

/// Whether the operation with this number is timed: the first is. Multiples of the golden ratio fall evenly on a circle, and so do every
/// second and third of them: a thread that gets and puts in turns has both timed as often.
#[inline]
fn is_sampled(turn: u64) -> bool {
    turn.wrapping_mul(0x9E37_79B9_7F4A_7C15) < u64::MAX / SAMPLED_ONE_IN
}

/// When an operation began; 0 if it is not timed.
#[must_use]
pub struct Began(u64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::posix::posix;

    #[test]
    fn one_in_so_many_is_sampled_also_of_operations_in_turns() {
        for (of, first) in [(1, 0), (2, 0), (2, 1), (3, 2), (7, 4), (128, 5)] {
            let sampled = (0..128_000u64).filter(|turn| is_sampled(turn * of + first)).count();
            assert!((900..=1100).contains(&sampled), "{sampled} of 128,000, every {of}th from {first}");
        }
    }

    #[test]
    fn what_is_sampled_goes_to_its_histogram() {
        let timings = Timings::new(posix().runtime);
        for _ in 0..12_800 {
            timings.end(Timed::Get, timings.begin());
        }
        timings.record(Timed::Merge, 7);
        let [get, merge, seek] = [Timed::Get, Timed::Merge, Timed::Seek].map(|timed| timings.summary(timed));
        assert!((80..=120).contains(&get.count) && get.one_in == 128, "{get:?}");
        assert_eq!((merge.count, merge.max, merge.one_in, seek.count), (1, 7, 1, 0));
    }

    #[test]
    fn every_operation_says_what_it_is() {
        for timed in Timed::ALL {
            assert!(timed.help().ends_with('.') && !timed.help().starts_with(' '), "{}", timed.name());
        }
    }
}
