//! Merges neighbouring runs of a collection into one file.
//!
//! Called by `db` in the background; returns what it made and never installs it. The input files stay as they are.

use crate::atomic::AtomicBool;
use crate::error::Result;
use crate::flush::{JobTarget, RunOutput, write_run};
use crate::iter::Merge;
use crate::key::Sequence;
use crate::merge::Survivors;
use crate::sst::{Access, AnySstReader};
#[cfg(feature = "arrow")]
use {
    crate::flush::write_row_run,
    crate::merge::{Adapt, Expiry, Horizon, RowMerge, RowMergeMode, in_order, source_bytes},
    crate::sst::RowFileScan,
};

/// What a compaction needs; it takes nothing else.
pub struct CompactionInput<'a> {
    /// Neighbouring runs, newest first.
    pub runs: Vec<AnySstReader>,
    /// The live snapshots, ascending, listed after the runs were chosen.
    pub snapshots: Vec<Sequence>,
    /// Whether the oldest run of the collection is among them: then deletes that every snapshot sees may go.
    pub bottom: bool,
    /// Which rows of a table are past their time; `None`: none of them.
    #[cfg(feature = "arrow")]
    pub horizon: Option<Horizon>,
    /// Where the file goes, and its level.
    pub target: JobTarget,
    /// Set by whoever wants the job to end soon.
    pub cancel: &'a AtomicBool,
}

/// Writes the file. On any error none is left. The inputs are read past the cache.
pub fn run(input: CompactionInput<'_>) -> Result<RunOutput> {
    let expected_in = input.runs.iter().map(AnySstReader::entries).sum::<Result<u64>>()?;
    match input.target {
        JobTarget::Blocks(target) => {
            let cursors = input.runs.iter().map(|run| Ok(run.bytes()?.cursor(Access::Scan))).collect::<Result<_>>()?;
            let survivors = Survivors::new(Merge::new(cursors), input.snapshots, input.bottom);
            write_run(target, survivors, expected_in, Some(input.cancel))
        }
        #[cfg(feature = "arrow")]
        JobTarget::Rows(target) => {
            // Without keys or an order the runs are read one after the other.
            let merges = target.schema.is_keyed() || target.schema.order_codec().is_some();
            let held_bytes = source_bytes(target.memory_bytes, if merges { input.runs.len() } else { 1 });
            let mut sources = Vec::new();
            for run in &input.runs {
                let run = run.try_rows()?;
                let adapt = Adapt::all_columns(run.schema(), &target.schema);
                let columns = adapt.inner_columns().to_vec();
                let scan = RowFileScan { access: Access::Scan, held_bytes, ..RowFileScan::of(columns) };
                let source = adapt.around(run.scan(scan)?);
                sources.push(match target.schema.order_codec() {
                    None => source,
                    Some(_) => in_order(source, &target.schema),
                });
            }
            let expiry = input.horizon.and_then(|horizon| Expiry::new(&target.schema, horizon, &input.snapshots));
            let mode = RowMergeMode::Survivors { snapshots: input.snapshots, bottom: input.bottom };
            let merge = RowMerge::new(sources, mode).with_memory(target.memory_bytes).with_expiry(expiry);
            write_row_run(target, merge, expected_in, Some(input.cancel))
        }
    }
}

#[cfg(test)]
mod tests;
