//! What other processes and the host took of the processors: the overwrites ask once a second, so that a slow second can be told from
//! one that was not ours. Linux's counters, in ticks of 10 ms; elsewhere nothing is known, and all seconds count as ours.

use std::fs;

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
}
