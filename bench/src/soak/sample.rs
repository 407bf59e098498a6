//! What the process and the directory hold at a moment, and whether that stays as it is.

use crate::world::Opened;
use crate::{Checked, allocator};
use std::path::Path;

/// A moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Process {
    /// Memory that is in no file, in bytes.
    pub anonymous_bytes: u64,
    pub threads: u64,
    /// Open file descriptors.
    pub descriptors: u64,
}

impl Process {
    /// This process, now.
    pub fn now() -> Checked<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let field = |name: &str| -> Checked<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            Ok(number.ok_or_else(|| format!("/proc/self/status does not tell {name}"))?)
        };
        Ok(Self {
            anonymous_bytes: field("RssAnon")? << 10,
            threads: field("Threads")?,
            // One of them is that of the listing itself.
            descriptors: std::fs::read_dir("/proc/self/fd")?.count() as u64 - 1,
        })
    }
}

/// The files below a directory: how many, and their bytes. What vanishes meanwhile is not counted.
pub fn files(dir: &Path) -> (u64, u64) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(std::result::Result::ok);
    entries.fold((0, 0), |(count, bytes), entry| match entry.metadata() {
        Ok(found) if found.is_dir() => {
            let below = files(&entry.path());
            (count + below.0, bytes + below.1)
        }
        Ok(found) => (count + 1, bytes + found.len()),
        Err(_) => (count, bytes),
    })
}

const MIB: u64 = 1 << 20;

/// The line of a minute, without what was done in it.
pub fn line(process: &Process, opened: &Opened, dir: &Path) -> String {
    let (stats, memory) = (opened.db.stats(), opened.db.memory_use());
    let (files, bytes) = files(dir);
    format!(
        "RssAnon {} MiB ({} allocated, {} counted), {} threads, {} descriptors; {files} files of {} MiB, {} MiB live, log {} MiB",
        process.anonymous_bytes / MIB,
        allocator::in_use_bytes() / MIB,
        memory.total_bytes() / MIB,
        process.threads,
        process.descriptors,
        bytes / MIB,
        stats.file_bytes / MIB,
        stats.log_bytes / MIB
    )
}

/// Runs shorter than this, in seconds, are not judged: caches may still fill.
pub const SECONDS_MIN: usize = 360;

/// How a figure is judged: that of the last third of the run may be more than that of the middle third by a tenth and this.
struct Rule {
    name: &'static str,
    /// Whether the least of a third is judged, and not the most: how many descriptors held iterators need at a time changes with the
    /// files that there are, but what leaks is there all the time.
    least: bool,
    slack: u64,
    unit: &'static str,
    divisor: u64,
    figure: fn(&Process) -> u64,
}

const RULES: [Rule; 3] = [
    Rule {
        name: "memory",
        least: false,
        slack: 16 * MIB,
        unit: " MiB",
        divisor: MIB,
        figure: |process| process.anonymous_bytes,
    },
    Rule { name: "threads", least: true, slack: 2, unit: "", divisor: 1, figure: |process| process.threads },
    Rule { name: "descriptors", least: true, slack: 16, unit: "", divisor: 1, figure: |process| process.descriptors },
];

/// The rule in words.
pub const RULE: &str = "flat: the most memory, and the fewest threads and descriptors, in the last third of the run are at \
                        most those in the middle third, and a tenth, and 16 MiB, 2 threads, 16 descriptors";

/// Judges the samples of all seconds: a line for each figure, and whether all are flat. `None`: too few.
pub fn judge(samples: &[Process]) -> Option<(Vec<String>, bool)> {
    if samples.len() < SECONDS_MIN {
        return None;
    }
    let third = samples.len() / 3;
    let mut all_flat = true;
    let lines = RULES.iter().map(|rule| {
        let judged = |samples: &[Process]| {
            let figures = samples.iter().map(rule.figure);
            if rule.least { figures.min() } else { figures.max() }.unwrap_or(0)
        };
        let (middle, last) = (judged(&samples[third..2 * third]), judged(&samples[2 * third..]));
        let is_flat = last <= middle + middle / 10 + rule.slack;
        all_flat &= is_flat;
        let (shown, last) = (middle / rule.divisor, last / rule.divisor);
        let verdict = if is_flat { "flat" } else { "GROWS" };
        format!(
            "{}: {verdict}, at {} {shown}{unit} in the middle third, {last}{unit} in the last",
            rule.name,
            if rule.least { "least" } else { "most" },
            unit = rule.unit
        )
    });
    let lines = lines.collect();
    Some((lines, all_flat))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(figure: impl Fn(u64) -> Process) -> Option<bool> {
        let samples: Vec<Process> = (0..SECONDS_MIN as u64).map(figure).collect();
        judge(&samples).map(|(_, flat)| flat)
    }

    #[test]
    fn what_grows_is_told_from_what_goes_up_and_down() {
        let wave = |at: u64| Process { anonymous_bytes: (80 + at % 30) * MIB, threads: 20, descriptors: 40 + at % 9 };
        assert_eq!(run(wave), Some(true));
        assert_eq!(run(|at| Process { anonymous_bytes: (80 + at / 3) * MIB, ..wave(at) }), Some(false));
        assert_eq!(run(|at| Process { threads: 20 + at / 15, ..wave(at) }), Some(false));
        assert_eq!(run(|at| Process { descriptors: 40 + at / 2, ..wave(at) }), Some(false));
        assert_eq!(run(|at| Process { descriptors: 40 + at % 30 * at / 120, ..wave(at) }), Some(true), "higher waves");
        assert_eq!(
            run(|at| Process { anonymous_bytes: at.min(100) * 10 * MIB, ..wave(at) }),
            Some(true),
            "a cache fills"
        );
        assert!(judge(&[wave(0)]).is_none());
    }

    #[test]
    fn this_process_has_threads_and_descriptors() {
        let before = Process::now().unwrap();
        assert!(before.anonymous_bytes > 0 && before.threads > 0 && before.descriptors > 2);
    }
}
