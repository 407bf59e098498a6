//! The sources of a scan: memtables and files under the schema in force, files that follow each other in key order as one.

use super::ScanPlan;
use super::plan::{self, Verdict};
use crate::error::Result;
use crate::iter::{RowChunk, RowSource, Sequences};
use crate::key::KeyRange;
use crate::merge::{Adapt, RowMerge, RowMergeMode, source_bytes};
use crate::read::filter::BoundFilter;
use crate::sst::{RowCondition, RowFileReader, RowFileScan};
use std::ops::Range;
use std::sync::Arc;

/// What of a plan's rows is read at once.
pub(super) struct Part<'a> {
    /// The keys, within those of the plan; of no meaning in an append-only table.
    pub range: &'a KeyRange,
    /// The memory for it, in bytes.
    pub memory_bytes: usize,
    /// Whether the chunks must tell the keys of their rows.
    pub keys: bool,
}

/// The rows of a part that the plan needs, merged: each key at most once, deletes left out.
pub(super) fn open(plan: &ScanPlan, part: &Part<'_>) -> Result<Box<dyn RowSource>> {
    let mut sources: Vec<Box<dyn RowSource>> = Vec::new();
    for memtable in plan::memtables(&plan.view, plan.snapshot) {
        let adapt = Adapt::new(memtable.schema(), &plan.schema, &plan.columns);
        for source in memtable.source(adapt.inner_columns(), part.range, plan.snapshot)? {
            sources.push(adapt.around(source));
        }
    }
    let files = files(plan, part.range);
    if sources.is_empty()
        && let [file] = &files[..]
        && file.is_settled(plan)
    {
        // Nothing can hide or be hidden: no sequences, no merge, and no keys but for who asks for them.
        let held_bytes = source_bytes(part.memory_bytes, 1);
        return if part.keys { file.open(held_bytes) } else { file.open_values(held_bytes) };
    }
    let chains =
        if plan.schema.is_keyed() { chains(files) } else { files.into_iter().map(|file| vec![file]).collect() };
    // Rows without keys come from one file after the other.
    let held_bytes = source_bytes(part.memory_bytes, if plan.schema.is_keyed() { chains.len() } else { 1 });
    sources.extend(chains.into_iter().map(|files| Box::new(Chain::new(files, held_bytes)) as Box<dyn RowSource>));
    let merge = RowMerge::new(sources, RowMergeMode::Visible { snapshot: plan.snapshot });
    Ok(Box::new(merge.with_batch_rows(plan.batch_rows).with_memory(part.memory_bytes)))
}

/// A file that has to be read, not opened for it yet.
pub(super) struct PlannedFile {
    pub reader: Arc<RowFileReader>,
    /// All of it that is needed; of a keyed table, between the keys of a part.
    pub scan: RowFileScan,
    adapt: Adapt,
    smallest: Vec<u8>,
    largest: Vec<u8>,
    settled: bool,
}

impl PlannedFile {
    fn open(&self, held_bytes: usize) -> Result<Box<dyn RowSource>> {
        let scan = RowFileScan { held_bytes, ..self.scan.clone() };
        Ok(self.adapt.around(self.reader.scan(scan)?))
    }

    /// These rows of one group, of an append-only table.
    pub fn open_rows(&self, group: usize, rows: Range<usize>, held_bytes: usize) -> Result<Box<dyn RowSource>> {
        let scan =
            RowFileScan { groups: Some(vec![group]), rows: Some(rows), keys: false, held_bytes, ..self.scan.clone() };
        Ok(self.adapt.around(self.reader.scan(scan)?))
    }

    /// Without keys and sequences.
    fn open_values(&self, held_bytes: usize) -> Result<Box<dyn RowSource>> {
        let scan = RowFileScan { keys: false, held_bytes, ..self.scan.clone() };
        Ok(self.adapt.around(self.reader.scan(scan)?))
    }

    /// Whether every row of it is to be seen, alone as it is.
    fn is_settled(&self, plan: &ScanPlan) -> bool {
        self.settled && self.scan.sequences_at_most.is_none() && plan.memtables == 0
    }
}

/// The files that are read between these keys, newest first.
pub(super) fn files(plan: &ScanPlan, range: &KeyRange) -> Vec<PlannedFile> {
    let mut files = Vec::new();
    for (run, decided) in plan.view.runs.iter().zip(&plan.files) {
        let (Some(reader), Verdict::Read { groups, .. }) = (run.reader.rows(), &decided.verdict) else { continue };
        if plan.schema.is_keyed() && !range.touches(&run.meta.smallest, &run.meta.largest) {
            continue;
        }
        let adapt = Adapt::new(reader.schema(), &plan.schema, &plan.columns);
        let all = groups.len() == decided.groups;
        files.push(PlannedFile {
            reader: reader.clone(),
            scan: RowFileScan {
                columns: adapt.inner_columns().to_vec(),
                range: range.clone(),
                groups: (!all).then(|| groups.clone()),
                rows: None,
                sequences_at_most: (run.meta.largest_sequence > plan.snapshot).then_some(plan.snapshot),
                access: plan.access,
                batch_rows: plan.batch_rows,
                held_bytes: usize::MAX,
                condition: decided
                    .filter(plan.filter.as_ref(), &plan.schema)
                    .map(|filter| condition(plan, reader, filter)),
                keys: true,
            },
            adapt,
            smallest: run.meta.smallest.clone(),
            largest: run.meta.largest.clone(),
            settled: !run.meta.multi_version && run.meta.tombstones == 0,
        });
    }
    files
}

/// A filter as it is asked of the rows of a file, which may have an older schema than the scan.
fn condition(plan: &ScanPlan, reader: &RowFileReader, filter: BoundFilter) -> RowCondition {
    let columns = filter.columns();
    let adapt = Adapt::new(reader.schema(), &plan.schema, &columns);
    RowCondition {
        columns: adapt.inner_columns().to_vec(),
        record: plan.screened.clone(),
        select: Arc::new(move |batch| {
            let rows = batch.num_rows();
            let chunk = RowChunk { batch, keys: None, sequences: Sequences::Same(0), deletes: None };
            let batch = adapt.chunk(chunk)?.batch;
            filter.evaluate(rows, &|id| columns.iter().position(|&column| column == id).map(|at| batch.column(at)))
        }),
    }
}

/// Puts files whose keys follow each other into one chain, so that a merge has as many sources as files overlap, not as many as
/// there are files.
fn chains(mut files: Vec<PlannedFile>) -> Vec<Vec<PlannedFile>> {
    files.sort_by(|a, b| a.smallest.cmp(&b.smallest));
    let mut chains: Vec<Vec<PlannedFile>> = Vec::new();
    for file in files {
        let free = chains.iter_mut().find(|chain| chain.last().is_some_and(|last| last.largest < file.smallest));
        match free {
            Some(chain) => chain.push(file),
            None => chains.push(vec![file]),
        }
    }
    chains
}

/// Files one after the other, each opened when its turn comes.
struct Chain {
    files: std::vec::IntoIter<PlannedFile>,
    open: Option<Box<dyn RowSource>>,
    /// What the open one may hold.
    held_bytes: usize,
}

impl Chain {
    fn new(files: Vec<PlannedFile>, held_bytes: usize) -> Self {
        Self { files: files.into_iter(), open: None, held_bytes }
    }
}

impl RowSource for Chain {
    fn next_chunk(&mut self) -> Result<Option<RowChunk>> {
        loop {
            if let Some(source) = &mut self.open {
                if let Some(chunk) = source.next_chunk()? {
                    return Ok(Some(chunk));
                }
                self.open = None;
            }
            match self.files.next() {
                Some(file) => self.open = Some(file.open(self.held_bytes)?),
                None => return Ok(None),
            }
        }
    }
}
