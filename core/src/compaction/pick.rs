//! What to compact next: a pure choice over the sizes of a collection's runs.
//!
//! Called by `db` after each flush and compaction. Runs of similar size that are neighbours in age are merged into one, so
//! that each byte is rewritten about once per growth of its run by [`GROWTH`], and the number of runs stays bounded.

/// A run is merged with others only if the result is at least this many times as large: the bound on write amplification.
pub const GROWTH: u64 = 3;

/// What the choice needs to know of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunInfo {
    /// The number of its file.
    pub number: crate::key::FileNumber,
    /// How many merges it has been through.
    pub level: u32,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Entries in it.
    pub entries: u64,
}

/// When to merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PickOptions {
    /// So many runs of similar size are merged.
    pub min_merge_runs: usize,
    /// With more runs than this, some are merged whatever their sizes.
    pub max_runs: usize,
}

impl Default for PickOptions {
    fn default() -> Self {
        Self { min_merge_runs: 4, max_runs: 10 }
    }
}

/// Why a merge was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Enough neighbours of similar size.
    SimilarSizes,
    /// A read would visit too many runs.
    TooManyRuns,
}

/// Neighbouring runs to merge into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// Their places in the list given.
    pub runs: std::ops::Range<usize>,
    /// The level of the output.
    pub level_out: u32,
    /// Why.
    pub reason: Reason,
}

/// The merge that is most worth its bytes, if one is due. `runs` stand newest first; only neighbours are merged, so that the
/// output takes their place without passing a run in between.
pub fn pick(runs: &[RunInfo], options: &PickOptions) -> Option<Pick> {
    let (reason, range) = match best_similar(runs, options.min_merge_runs.max(2)) {
        Some(range) => (Reason::SimilarSizes, range),
        None if runs.len() > options.max_runs.max(1) => {
            (Reason::TooManyRuns, cheapest(runs, (runs.len() - options.max_runs.max(1) + 1).max(2))?)
        }
        None => return None,
    };
    let level_out = runs[range.clone()].iter().map(|run| run.level).max()?.saturating_add(1);
    Some(Pick { runs: range, level_out, reason })
}

/// Of the stretches in which no run outweighs the others, the one that removes most runs per byte written; the newest of equals.
fn best_similar(runs: &[RunInfo], min_runs: usize) -> Option<std::ops::Range<usize>> {
    let mut best: Option<(std::ops::Range<usize>, u128)> = None;
    for start in 0..runs.len() {
        let (mut total, mut largest) = (0u128, 0u128);
        for (end, run) in (start + 1..).zip(&runs[start..]) {
            total += u128::from(run.size_bytes.max(1));
            largest = largest.max(u128::from(run.size_bytes.max(1)));
            if end - start < min_runs || largest * u128::from(GROWTH) > total {
                continue;
            }
            let removed = |range: &std::ops::Range<usize>| (range.len() - 1) as u128;
            let candidate = start..end;
            if best.as_ref().is_none_or(|(range, bytes)| removed(&candidate) * bytes > removed(range) * total) {
                best = Some((candidate, total));
            }
        }
    }
    best.map(|(range, _)| range)
}

/// The `count` neighbours with the fewest bytes; the newest of equals.
fn cheapest(runs: &[RunInfo], count: usize) -> Option<std::ops::Range<usize>> {
    let bytes = |start: usize| runs[start..start + count].iter().map(|run| u128::from(run.size_bytes)).sum::<u128>();
    (0..=runs.len().checked_sub(count)?).min_by_key(|&start| bytes(start)).map(|start| start..start + count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::FileNumber;

    /// A transcript holds lines `define <level>:<size> ...` (newest first) and `pick`, each followed by what came out.
    #[test]
    fn the_transcripts_hold() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/compaction/testdata");
        let mut seen = 0;
        for file in std::fs::read_dir(dir).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let mut runs = Vec::new();
            let mut out = String::new();
            for line in text.lines().filter(|line| !line.starts_with("= ")) {
                out.push_str(line);
                out.push('\n');
                let mut words = line.split_whitespace();
                match words.next() {
                    Some("define") => {
                        runs = words
                            .enumerate()
                            .map(|(index, word)| {
                                let (level, size) = word.split_once(':').unwrap();
                                RunInfo {
                                    number: FileNumber(100 - index as u64),
                                    level: level.parse().unwrap(),
                                    size_bytes: size.parse().unwrap(),
                                    entries: 1,
                                }
                            })
                            .collect();
                    }
                    Some("pick") => {
                        out.push_str(&match pick(&runs, &PickOptions::default()) {
                            Some(Pick { runs, level_out, reason }) => {
                                format!("= {runs:?} level {level_out} {reason:?}\n")
                            }
                            None => "= nothing\n".to_string(),
                        });
                        seen += 1;
                    }
                    _ => {}
                }
            }
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, &out).unwrap();
            }
            assert_eq!(out, text, "{}: run with UPDATE=1 to accept", path.display());
        }
        assert!(seen > 0);
    }

    #[test]
    fn a_long_fill_keeps_few_runs_and_rewrites_little() {
        let (mut sizes, mut written) = (Vec::<(u32, u64)>::new(), 0);
        for flush in 0..160u64 {
            sizes.insert(0, (0, 64 + flush % 5));
            written += 64 + flush % 5;
            loop {
                let runs: Vec<_> = sizes
                    .iter()
                    .map(|&(level, size_bytes)| RunInfo { number: FileNumber(1), level, size_bytes, entries: 1 })
                    .collect();
                let Some(Pick { runs, level_out, .. }) = pick(&runs, &PickOptions::default()) else { break };
                let merged = sizes[runs.clone()].iter().map(|run| run.1).sum();
                written += merged;
                sizes.splice(runs, [(level_out, merged)]);
            }
            assert!(sizes.len() <= 10, "{sizes:?}");
        }
        let data: u64 = sizes.iter().map(|run| run.1).sum();
        assert!(written <= 6 * data, "write amplification {}", written as f64 / data as f64);
    }
}
