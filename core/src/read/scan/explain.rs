//! What a scan reads and what it leaves out, and why: for people and for tests.

use super::ScanPlan;
use super::plan::Verdict;
use crate::key::{FileNumber, Sequence};

/// What a scan does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The snapshot that it shows.
    pub snapshot: Sequence,
    /// Whether it begins at the end: keys descending, or what arrived last first.
    pub reverse: bool,
    /// The memtables that it reads.
    pub memtables: usize,
    /// The files of the table, newest first.
    pub files: Vec<FileExplanation>,
}

/// What a scan does with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileExplanation {
    /// The file's number.
    pub number: FileNumber,
    /// Why nothing of it is read; `None`: it is read.
    pub skipped: Option<&'static str>,
    /// Its groups: row groups, or batches.
    pub groups: usize,
    /// Groups that are read.
    pub groups_read: usize,
    /// Groups left out because no key of theirs is in the range.
    pub groups_outside_range: usize,
    /// Groups left out because the filter selects none of their rows.
    pub groups_ruled_out: usize,
    /// Whether the whole filter could rule out its groups, not only what it says of the key.
    pub whole_filter: bool,
}

impl ScanPlan {
    /// What the scan will do.
    pub fn explain(&self) -> Explanation {
        let files = self.files.iter().map(|file| {
            let nothing = FileExplanation {
                number: file.number,
                skipped: None,
                groups: file.groups,
                groups_read: 0,
                groups_outside_range: 0,
                groups_ruled_out: 0,
                whole_filter: false,
            };
            match &file.verdict {
                Verdict::Skipped(why) => FileExplanation { skipped: Some(why), ..nothing },
                Verdict::Read { groups, outside_range, ruled_out, whole_filter } => FileExplanation {
                    groups_read: groups.len(),
                    groups_outside_range: *outside_range,
                    groups_ruled_out: *ruled_out,
                    whole_filter: *whole_filter,
                    ..nothing
                },
            }
        });
        Explanation {
            snapshot: self.snapshot,
            reverse: self.reverse,
            memtables: self.memtables,
            files: files.collect(),
        }
    }
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scan = if self.reverse { "scan in reverse" } else { "scan" };
        writeln!(f, "{scan} at sequence {}: {} memtables, {} files", self.snapshot, self.memtables, self.files.len())?;
        for file in &self.files {
            write!(f, "  file {:06}: ", file.number.0)?;
            match file.skipped {
                Some(why) => writeln!(f, "skipped, {why}")?,
                None => writeln!(
                    f,
                    "{} of {} groups read, {} outside of the key range, {} ruled out by {}",
                    file.groups_read,
                    file.groups,
                    file.groups_outside_range,
                    file.groups_ruled_out,
                    if file.whole_filter { "the filter" } else { "what the filter says of the key" },
                )?,
            }
        }
        Ok(())
    }
}
