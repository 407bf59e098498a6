//! A scan from its end: stretches of the rows, the last one first, each read forward by what reads every scan.
//!
//! Called by a running scan, which reverses what it hands out. So nothing below knows of a direction: a stretch of a keyed table is
//! a range of keys, at whose ends files and memtables are cut; one of an append-only table is a few rows of one of them. Stretches
//! begin small, so that a few rows from the end cost little, and grow. Promises: what a stretch holds stays within the scan's memory;
//! one that turns out to be larger is read once more, in parts.

use super::sources::{self, Part, PlannedFile};
use super::{ScanPlan, plan};
use crate::error::{Error, ErrorKind, Result};
use crate::iter::RowSource;
use crate::key::KeyRange;
use crate::memtable::rows::{ArrivalPlace, RowMemtable};
use crate::merge::{Adapt, RowMerge, RowMergeMode};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::DataType;
use std::ops::Range;
use std::sync::Arc;

/// Rows of the first stretch, if the limit says no less.
const FIRST_ROWS_MAX: usize = 8_192;

/// Fewer rows are never read at once.
const ROWS_MIN: usize = 64;

pub(super) struct Backward {
    left: Left,
    /// Rows of the next stretch, in each of its sources, about.
    rows: usize,
}

/// Groups of a file, and rows of each.
type Groups = Vec<(usize, Range<usize>)>;

/// What is still to be read.
enum Left {
    Keys {
        range: KeyRange,
        /// Keys within the range, rising, at which it must be cut: all before the next one would take too much memory.
        cuts: Vec<Vec<u8>>,
    },
    Arrived {
        /// Newest first, each up to a place.
        memtables: Vec<(Arc<RowMemtable>, ArrivalPlace)>,
        /// Newest first, the groups and rows of each that are left, rising.
        files: Vec<(PlannedFile, Groups)>,
    },
    Nothing,
}

impl Backward {
    /// Reads nothing yet.
    pub fn new(plan: &ScanPlan) -> Self {
        let rows = plan.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let left = match plan.schema.is_keyed() {
            true => Left::Keys { range: plan.range.clone(), cuts: Vec::new() },
            false => {
                let mut memtables: Vec<_> = plan::memtables(&plan.view, plan.snapshot)
                    .map(|memtable| (memtable.clone(), ArrivalPlace::END))
                    .collect();
                let rows_of = |file: &PlannedFile| {
                    let groups = file.reader.groups();
                    let kept = file.scan.groups.clone().unwrap_or_else(|| (0..groups.len()).collect());
                    kept.into_iter().map(|group| (group, 0..groups[group].rows)).collect()
                };
                let files = sources::files(plan, &plan.range).into_iter();
                let mut files: Vec<_> =
                    files.map(|file| (rows_of(&file), file)).map(|(rows, file)| (file, rows)).collect();
                // What is next is at the end.
                memtables.reverse();
                files.reverse();
                Left::Arrived { memtables, files }
            }
        };
        Self { left, rows: rows.clamp(ROWS_MIN, FIRST_ROWS_MAX) }
    }

    /// The rows of the next stretch that the plan selects, in ascending order; `None` after the last. Batches may be empty.
    pub fn next_stretch(&mut self, plan: &ScanPlan) -> Result<Option<Vec<RecordBatch>>> {
        let limit_bytes = plan.memory_bytes / 4;
        let (batches, bytes, is_cut) = match std::mem::replace(&mut self.left, Left::Nothing) {
            Left::Nothing => return Ok(None),
            Left::Keys { range, .. } if range.is_empty() => return Ok(None),
            Left::Keys { range, mut cuts } => {
                let cut = match cuts.pop() {
                    Some(cut) => Some(cut),
                    None => key_back(plan, &range, self.rows)?,
                };
                let lower = cut.clone().or_else(|| range.lower.clone());
                let stretch = KeyRange { lower, upper: range.upper };
                let mut held = Held::default();
                let part = Part { range: &stretch, memory_bytes: plan.memory_bytes / 2, keys: true };
                held.fill(plan, sources::open(plan, &part)?, limit_bytes)?;
                let is_cut = !held.cuts.is_empty();
                if is_cut {
                    cuts.extend(cut);
                    cuts.append(&mut held.cuts);
                    self.left = Left::Keys { range: KeyRange { lower: range.lower, upper: cuts.pop() }, cuts };
                } else if cut.is_some() {
                    self.left = Left::Keys { range: KeyRange { lower: range.lower, upper: cut }, cuts };
                }
                (held.batches, held.bytes, is_cut)
            }
            Left::Arrived { mut memtables, mut files } => {
                let Some(source) = arrived(plan, &mut memtables, &mut files, self.rows)? else { return Ok(None) };
                self.left = Left::Arrived { memtables, files };
                let mut held = Held::default();
                held.fill(plan, source, usize::MAX)?;
                (held.batches, held.bytes, false)
            }
        };
        if is_cut {
            self.rows = (self.rows / 2).max(ROWS_MIN);
        } else if bytes <= limit_bytes / 4 {
            self.rows = self.rows.saturating_mul(2);
        }
        Ok(Some(batches))
    }
}

/// A key within the range from which on no source has more than about so many rows; `None` if all that is left is not more.
fn key_back(plan: &ScanPlan, range: &KeyRange, rows: usize) -> Result<Option<Vec<u8>>> {
    let mut found: Option<Vec<u8>> = None;
    for memtable in plan::memtables(&plan.view, plan.snapshot) {
        found = found.max(memtable.key_back(range, rows)?);
    }
    for (run, decided) in plan.view.runs.iter().zip(&plan.files) {
        let (Some(reader), plan::Verdict::Read { groups, .. }) = (run.reader.rows(), &decided.verdict) else {
            continue;
        };
        if range.touches(&run.meta.smallest, &run.meta.largest) {
            found = found.max(reader.key_back(range, groups, rows).map(<[u8]>::to_vec));
        }
    }
    Ok(found.filter(|key| key.as_slice() > range.lower.as_deref().unwrap_or_default()))
}

/// The newest rows of those that are left of an append-only table, about so many; `None` if there are none.
fn arrived(
    plan: &ScanPlan,
    memtables: &mut Vec<(Arc<RowMemtable>, ArrivalPlace)>,
    files: &mut Vec<(PlannedFile, Groups)>,
    rows: usize,
) -> Result<Option<Box<dyn RowSource>>> {
    while let Some((memtable, end)) = memtables.last_mut() {
        let adapt = Adapt::new(memtable.schema(), &plan.schema, &plan.columns);
        if let Some((source, start)) = memtable.arrived_before(adapt.inner_columns(), plan.snapshot, *end, rows)? {
            *end = start;
            // Nothing to merge, but small batches to be put together.
            let mode = RowMergeMode::Visible { snapshot: plan.snapshot };
            let merge = RowMerge::new(vec![adapt.around(source)], mode).with_batch_rows(plan.batch_rows);
            return Ok(Some(Box::new(merge.with_memory(plan.memory_bytes / 2))));
        }
        memtables.pop();
    }
    while let Some((file, groups)) = files.last_mut() {
        if let Some((group, left)) = groups.pop() {
            let start = file.reader.row_back(group, left.end, rows, plan.memory_bytes / 4).max(left.start);
            if left.start < start {
                groups.push((group, left.start..start));
            }
            return file.open_rows(group, start..left.end, plan.memory_bytes / 4).map(Some);
        }
        files.pop();
    }
    Ok(None)
}

/// The rows of a stretch, or of its end.
#[derive(Default)]
struct Held {
    batches: Vec<RecordBatch>,
    bytes: usize,
    /// Keys of the stretch, rising: from the last one on rows are held, before each of the others as many were let go.
    cuts: Vec<Vec<u8>>,
}

impl Held {
    /// Takes what the plan selects of all rows; where that is more than `limit_bytes`, keeps the last part of it.
    fn fill(&mut self, plan: &ScanPlan, mut source: Box<dyn RowSource>, limit_bytes: usize) -> Result<()> {
        while let Some(chunk) = source.next_chunk()? {
            let (rows, first_key) = (chunk.len(), chunk.keys.clone());
            let batch = plan.select(chunk)?;
            // A filter copies, but views lead to all that they were chosen from.
            let batch = if batch.num_rows() < rows { without_others(batch)? } else { batch };
            let bytes = bytes_of(&batch);
            if self.bytes > 0 && self.bytes.saturating_add(bytes) > limit_bytes {
                let keys = first_key.ok_or_else(|| Error::new(ErrorKind::Corruption, "rows of a scan without keys"))?;
                self.cuts.push(keys.bytes(0, &mut [0; 8]).to_vec());
                self.batches.clear();
                self.bytes = 0;
            }
            self.bytes += bytes;
            self.batches.push(batch);
        }
        Ok(())
    }
}

/// Bytes of the rows themselves, about.
fn bytes_of(batch: &RecordBatch) -> usize {
    let column = |column: &ArrayRef| {
        let behind_views = match column.data_type() {
            DataType::Utf8View => column.as_string_view().total_buffer_bytes_used(),
            DataType::BinaryView => column.as_binary_view().total_buffer_bytes_used(),
            _ => 0,
        };
        column.to_data().get_slice_memory_size().unwrap_or(0) + behind_views
    };
    batch.columns().iter().map(column).sum()
}

fn without_others(batch: RecordBatch) -> Result<RecordBatch> {
    let column = |column: &ArrayRef| -> ArrayRef {
        match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()),
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
            _ => column.clone(),
        }
    };
    rebuilt(&batch, batch.columns().iter().map(column).collect())
}

/// The same rows, the last one first.
pub(super) fn reversed(batch: &RecordBatch) -> Result<RecordBatch> {
    let rows = u32::try_from(batch.num_rows()).map_err(|_| Error::invalid("a batch with too many rows"))?;
    let backward = UInt32Array::from_iter_values((0..rows).rev());
    let take = |column: &ArrayRef| {
        arrow_select::take::take(column, &backward, None)
            .map_err(|why| Error::new(ErrorKind::NotSupported, format!("rows cannot be put in reverse: {why}")))
    };
    rebuilt(batch, batch.columns().iter().map(take).collect::<Result<_>>()?)
}

fn rebuilt(batch: &RecordBatch, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
        .map_err(|why| Error::new(ErrorKind::Corruption, format!("rows do not fit their schema: {why}")))
}
