//! Turns frozen memtables into one file.
//!
//! Called by `db` in the background; returns what it made and never installs it. The input memtables stay as they are.

use super::output::{RunOutput, RunTarget, write_run};
use crate::error::{Error, Result};
use crate::iter::Merge;
use crate::key::Sequence;
use crate::memtable::AnyMemtable;
use crate::merge::Survivors;
use std::sync::atomic::AtomicBool;

/// What a flush needs; it takes nothing else.
pub struct FlushInput<'a> {
    /// Neighbouring frozen memtables of one collection, oldest first.
    pub memtables: Vec<AnyMemtable>,
    /// The live snapshots, ascending, listed after the memtables were taken.
    pub snapshots: Vec<Sequence>,
    /// Whether the collection has no files: then deletes that every snapshot sees may go.
    pub bottom: bool,
    /// Where the file goes; its level is 0.
    pub target: RunTarget,
    /// Set by whoever wants the job to end soon.
    pub cancel: Option<&'a AtomicBool>,
}

/// Writes the file. On any error none is left, and the job may be tried again under a new number.
pub fn run(input: FlushInput<'_>) -> Result<RunOutput> {
    if let Some(memtable) = input.memtables.iter().find(|memtable| !memtable.is_frozen()) {
        return Err(Error::invalid(format!("memtable {} is not frozen and cannot be flushed", memtable.id())));
    }
    let expected_in = input.memtables.iter().map(|memtable| memtable.entry_count()).sum();
    let newest_first = input.memtables.iter().rev().filter_map(AnyMemtable::bytes);
    let newest_first = newest_first.map(|memtable| memtable.flush_cursor()).collect();
    let survivors = Survivors::new(Merge::new(newest_first), input.snapshots, input.bottom);
    write_run(input.target, survivors, expected_in, input.cancel)
}

#[cfg(test)]
mod tests;
