//! Merges neighbouring runs of a collection into one file.
//!
//! Called by `db` in the background; returns what it made and never installs it. The input files stay as they are.

use crate::error::Result;
use crate::flush::{RunOutput, RunTarget, write_run};
use crate::iter::Merge;
use crate::key::Sequence;
use crate::merge::Survivors;
use crate::sst::{Access, AnySstReader};
use std::sync::atomic::AtomicBool;

/// What a compaction needs; it takes nothing else.
pub struct CompactionInput<'a> {
    /// Neighbouring runs, newest first.
    pub runs: Vec<AnySstReader>,
    /// The live snapshots, ascending, listed after the runs were chosen.
    pub snapshots: Vec<Sequence>,
    /// Whether the oldest run of the collection is among them: then deletes that every snapshot sees may go.
    pub bottom: bool,
    /// Where the file goes, and its level.
    pub target: RunTarget,
    /// Set by whoever wants the job to end soon.
    pub cancel: &'a AtomicBool,
}

/// Writes the file. On any error none is left. The inputs are read past the cache.
pub fn run(input: CompactionInput<'_>) -> Result<RunOutput> {
    let expected_in = input.runs.iter().map(|run| run.entries()).sum();
    let cursors = input.runs.iter().filter_map(AnySstReader::bytes).map(|run| run.cursor(Access::Scan)).collect();
    let survivors = Survivors::new(Merge::new(cursors), input.snapshots, input.bottom);
    write_run(input.target, survivors, expected_in, Some(input.cancel))
}

#[cfg(test)]
mod tests;
