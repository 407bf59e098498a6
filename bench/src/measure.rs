//! Rounds, medians and histograms: how a figure comes about.

use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// Whether more is better.
#[derive(Clone, Copy, PartialEq)]
pub enum Goal {
    /// The figure should be at most this.
    AtMost(f64),
    /// The figure should be at least this.
    AtLeast(f64),
    /// The figure should be neither less than the first nor more than the second.
    Between(f64, f64),
    /// A figure of the machine, or one without a goal.
    None,
}

impl Goal {
    /// Whether `figure` reaches it; `None` without a goal.
    pub fn reached(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtMost(limit) => Some(figure <= limit),
            Self::AtLeast(limit) => Some(figure >= limit),
            Self::Between(least, most) => Some((least..=most).contains(&figure)),
            Self::None => None,
        }
    }
}

/// One figure of the report.
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The unit of all figures.
    pub unit: &'static str,
    /// The median of the rounds.
    pub median: f64,
    /// The least of the rounds.
    pub least: f64,
    /// The greatest of the rounds.
    pub greatest: f64,
    /// What it should reach.
    pub goal: Goal,
}

impl Row {
    /// The row for the figures of several rounds.
    pub fn new(name: impl Into<String>, unit: &'static str, goal: Goal, mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        let last = figures.len().saturating_sub(1);
        Self {
            name: name.into(),
            unit,
            median: f64::midpoint(at(last / 2), at(last.div_ceil(2))),
            least: at(0),
            greatest: at(last),
            goal,
        }
    }
}

/// Runs `work` and gives its duration in seconds beside what it returned.
pub fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64(), result)
}

/// Latencies of single operations, in nanoseconds. Reading the clock is in them (some 25 to 50 ns).
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet.
    pub fn new() -> crate::Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, 60_000_000_000, 3)?))
    }

    /// Runs `work` and records how long it took.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.add(start.elapsed());
        result
    }

    /// Records a latency that was measured elsewhere.
    pub fn add(&mut self, latency: Duration) {
        self.0.saturating_record(latency.as_nanos() as u64);
    }

    /// The latency that `share` of all operations stayed within, in nanoseconds.
    pub fn quantile(&self, share: f64) -> f64 {
        self.0.value_at_quantile(share) as f64
    }
}

/// Collects p50, p99 and p99.9 over rounds.
#[derive(Default)]
pub struct Percentiles {
    figures: [Vec<f64>; 3],
}

const SHARES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

impl Percentiles {
    /// Takes in the latencies of one round.
    pub fn add(&mut self, latencies: &Latencies) {
        for (figures, (_, share)) in self.figures.iter_mut().zip(SHARES) {
            figures.push(latencies.quantile(share));
        }
    }

    /// One row for each percentile; the goal belongs to p99.9.
    pub fn rows(self, name: &str, goal: Goal) -> Vec<Row> {
        let named = self.figures.into_iter().zip(SHARES);
        named
            .map(|(figures, (label, share))| {
                Row::new(format!("{name}, {label}"), "ns", if share > 0.99 { goal } else { Goal::None }, figures)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_median_with_its_spread() {
        let row = Row::new("x", "ns", Goal::AtMost(2.5), vec![3.0, 1.0, 2.0]);
        assert_eq!((row.least, row.median, row.greatest), (1.0, 2.0, 3.0));
        assert_eq!(row.goal.reached(row.median), Some(true));
        assert_eq!(Row::new("y", "ns", Goal::None, vec![4.0, 2.0]).median, 3.0);
        assert_eq!(Goal::AtLeast(3.0).reached(2.0), Some(false));
        let within = [0.8, 0.85, 1.15, 1.2].map(|figure| Goal::Between(0.85, 1.15).reached(figure));
        assert_eq!(within, [Some(false), Some(true), Some(true), Some(false)]);
    }
}
