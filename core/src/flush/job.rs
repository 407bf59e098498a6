//! Turns frozen memtables into one file.
//!
//! Called by `db` in the background; returns what it made and never installs it. The input memtables stay as they are.

use super::output::{Incoming, JobTarget, RunOutput, write_run_of};
use super::ranges::{Encoding, cut_ranges, encode_ranges};
use crate::atomic::AtomicBool;
use crate::error::{Error, Result};
use crate::key::Sequence;
use crate::memtable::{AnyMemtable, FlushRanges};
#[cfg(feature = "arrow")]
use {
    super::row_output::write_row_run,
    crate::key::{KeyRange, MAX_SEQUENCE},
    crate::merge::{Adapt, RowMerge, RowMergeMode, sorted},
};

/// Keys and values of one range, about: some milliseconds of work, and little enough to encode some of them ahead.
const RANGE_BYTES: u64 = 1 << 20;

/// What a flush needs; it takes nothing else.
pub struct FlushInput<'a> {
    /// Neighbouring frozen memtables of one collection, oldest first.
    pub memtables: Vec<AnyMemtable>,
    /// The live snapshots, ascending, listed after the memtables were taken.
    pub snapshots: Vec<Sequence>,
    /// Whether the collection has no files: then deletes that every snapshot sees may go.
    pub bottom: bool,
    /// Where the file goes; its level is 0.
    pub target: JobTarget,
    /// Set by whoever wants the job to end soon.
    pub cancel: Option<&'a AtomicBool>,
}

/// Writes the file. On any error none is left, and the job may be tried again under a new number.
pub fn run(input: FlushInput<'_>) -> Result<RunOutput> {
    run_in_ranges(input, RANGE_BYTES)
}

fn run_in_ranges(input: FlushInput<'_>, range_bytes: u64) -> Result<RunOutput> {
    if let Some(memtable) = input.memtables.iter().find(|memtable| !memtable.is_frozen()) {
        return Err(Error::invalid(format!("memtable {} is not frozen and cannot be flushed", memtable.id())));
    }
    let expected_in = input.memtables.iter().map(|memtable| memtable.entry_count()).sum();
    let newest_first = input.memtables.iter().rev();
    match input.target {
        JobTarget::Blocks(target) => {
            let memtables: Vec<_> = newest_first.filter_map(AnyMemtable::bytes).cloned().collect();
            let (options, runtime) = (target.options.clone(), target.env.runtime.clone());
            let encoding = Encoding { options, snapshots: input.snapshots, bottom: input.bottom };
            write_run_of(target, Incoming::Exactly(expected_in), |writer| {
                let ranges = cut_ranges(FlushRanges::new(memtables, range_bytes), &*runtime, input.cancel)?;
                encode_ranges(ranges, encoding, &*runtime, writer, input.cancel)
            })
        }
        #[cfg(feature = "arrow")]
        JobTarget::Rows(target) => {
            let mut sources = Vec::new();
            for memtable in newest_first.filter_map(AnyMemtable::rows) {
                let adapt = Adapt::all_columns(memtable.schema(), &target.schema);
                let own = memtable.source(adapt.inner_columns(), &KeyRange::all(), MAX_SEQUENCE)?;
                let own = own.into_iter().map(|source| adapt.around(source));
                match target.schema.order_codec() {
                    None => sources.extend(own),
                    Some(_) => sources.extend(sorted(own.collect(), &target.schema, target.memory_bytes / 2)?),
                }
            }
            let mode = RowMergeMode::Survivors { snapshots: input.snapshots, bottom: input.bottom };
            let merge = RowMerge::new(sources, mode).with_memory(target.memory_bytes);
            write_row_run(target, merge, expected_in, input.cancel)
        }
    }
}

#[cfg(test)]
mod tests;
