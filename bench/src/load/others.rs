//! Who had the processors: what other processes and the host took, so that a slow second can be told from one that was not ours, and how
//! long the calling thread ran or waited for one. The overwrites ask once a second. Linux's counters; elsewhere nothing is known, and
//! all seconds count as ours.

use std::fs;
use std::time::Duration;

/// A second is ours if others took no more of it than this, of all processors.
pub const MOST_SHARE: f64 = 0.05;

/// Counters since the machine began and since this process did, in ticks.
#[derive(Clone, Copy, Default)]
pub struct Ticks {
    /// Of all processors, idle ones too.
    all: u64,
    /// In programs, and those that the host did not give.
    used: u64,
    /// In this program.
    own: u64,
}

impl Ticks {
    /// As of now. What the kernel works in its own threads is nobody's: most of it is writing back what was written here.
    pub fn now() -> Option<Self> {
        let machine = fs::read_to_string("/proc/stat").ok()?;
        let columns: Vec<u64> =
            machine.lines().next()?.split_whitespace().skip(1).map_while(|text| text.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; those of guests are in user and nice already.
        let [user, nice, .., steal] = columns.get(..8)? else { return None };
        let process = fs::read_to_string("/proc/self/stat").ok()?;
        // The name, which may hold anything, ends with the last parenthesis; after it the state is the first column, utime the 12th.
        let own = process.rsplit_once(')')?.1.split_whitespace().nth(11)?.parse().ok()?;
        Some(Self { all: columns[..8].iter().sum(), used: user + nice + steal, own })
    }

    /// The share of all processors that others took from `before` until `self`.
    pub fn share_of_others(self, before: Self) -> f64 {
        let used = self.used.saturating_sub(before.used);
        let own = self.own.saturating_sub(before.own);
        used.saturating_sub(own) as f64 / self.all.saturating_sub(before.all).max(1) as f64
    }
}

/// What the kernel's scheduler has counted for a thread.
#[derive(Clone, Copy, Default)]
pub struct Turns {
    /// It ran.
    pub ran: Duration,
    /// It could have run, but the processors were taken.
    pub waited: Duration,
}

impl Turns {
    /// Of the calling thread, since it began; None where the kernel does not tell.
    pub fn now() -> Option<Self> {
        let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let mut nanos = text.split_whitespace().map_while(|text| text.parse().ok().map(Duration::from_nanos));
        Some(Self { ran: nanos.next()?, waited: nanos.next()? })
    }

    /// What came after `before`.
    pub fn since(self, before: Self) -> Self {
        Self { ran: self.ran.saturating_sub(before.ran), waited: self.waited.saturating_sub(before.waited) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_took_is_what_programs_used_and_the_host_kept_without_our_own() {
        let before = Ticks { all: 1000, used: 400, own: 300 };
        let after = Ticks { all: 1200, used: 550, own: 430 };
        assert_eq!(after.share_of_others(before), 0.1);
        assert_eq!(before.share_of_others(after), 0.0, "counters that ran back are no share");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_counters_of_this_machine_can_be_read() {
        let ticks = Ticks::now().expect("Linux has both files");
        assert!(ticks.all > 0 && ticks.own <= ticks.all);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_that_works_is_seen_to_run() {
        let Some(before) = Turns::now() else { return };
        let mut sum = 0u64;
        while Turns::now().is_some_and(|now| now.since(before).ran < Duration::from_millis(1)) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0, "it takes more than one look to run for a millisecond");
    }
}
