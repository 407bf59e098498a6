//! Scans of a table: which files, groups and rows are read, in which order they come, and what is left of them.
//!
//! Called by `db` with a pinned view. A scan is planned first (`plan`), without I/O, and can be explained; then its sources
//! are opened, merged, filtered and projected ([`RowScan`]). Promises: the rows are those of the snapshot, each once, as if
//! nothing had been left out; a filter is applied below the merge only where it cannot bring a hidden row back.

mod backward;
mod execute;
mod explain;
mod plan;
mod sources;

pub use execute::RowScan;
pub use explain::{Explanation, FileExplanation};
pub(super) use plan::memtables;

use super::filter::{BoundFilter, Filter};
use crate::error::{Error, Result};
use crate::key::{FileNumber, KeyRange, Sequence};
use crate::schema::TableSchema;
use crate::sst::{Access, ConditionRecord};
use crate::view::CollectionView;
use arrow_schema::{Schema, SchemaRef};
use std::sync::Arc;

/// What is asked of a table.
#[derive(Debug, Clone)]
pub struct ScanRequest {
    /// The columns to hand out, in this order; `None`: all of them.
    pub columns: Option<Vec<String>>,
    /// The encoded keys to look at; of no meaning in an append-only table.
    pub range: KeyRange,
    /// Which rows; `None`: all of them.
    pub filter: Option<Filter>,
    /// The most rows to hand out; `None`: no limit. These are the first in the order of the scan.
    pub limit: Option<u64>,
    /// From the end: keys descending, or what arrived last first.
    pub reverse: bool,
    /// The most rows of one batch, at least 1.
    pub batch_rows: usize,
    /// How files are read.
    pub access: Access,
    /// Memory that the scan may hold beside the batches handed out, about, in bytes.
    pub memory_bytes: usize,
}

impl Default for ScanRequest {
    fn default() -> Self {
        Self {
            columns: None,
            range: KeyRange::all(),
            filter: None,
            limit: None,
            reverse: false,
            batch_rows: 8192,
            access: Access::Scan,
            memory_bytes: 64 << 20,
        }
    }
}

/// A scan that is ready to run: made of one view, at one snapshot. Cheap: nothing was read for it.
pub struct ScanPlan {
    view: Arc<CollectionView>,
    schema: Arc<TableSchema>,
    snapshot: Sequence,
    /// The ids of the columns that are handed out, then of those that only the filter needs.
    columns: Vec<u32>,
    /// How many of `columns` are handed out.
    output: usize,
    output_schema: SchemaRef,
    range: KeyRange,
    filter: Option<BoundFilter>,
    files: Vec<plan::FilePlan>,
    memtables: usize,
    limit: Option<u64>,
    reverse: bool,
    batch_rows: usize,
    access: Access,
    memory_bytes: usize,
    /// What became of the filter in files.
    screened: Arc<ConditionRecord>,
}

impl ScanPlan {
    /// Plans a scan of `view` under `schema`, the schema in force, at `snapshot`. InvalidArgument names a column that the table
    /// does not have, or a literal that does not fit; or says that the rows have no order to be reversed.
    pub fn new(
        view: Arc<CollectionView>,
        schema: Arc<TableSchema>,
        snapshot: Sequence,
        request: ScanRequest,
    ) -> Result<Self> {
        if request.reverse && !schema.order_by().is_empty() {
            return Err(Error::invalid(
                "the files of the table are each sorted by themselves, so that its rows have no order to be read in reverse",
            ));
        }
        let find = |name: &String| {
            schema.index_of(name).ok_or_else(|| Error::invalid(format!("the table has no column \"{name}\"")))
        };
        let chosen: Vec<usize> = match &request.columns {
            Some(names) => names.iter().map(find).collect::<Result<_>>()?,
            None => (0..schema.columns().len()).collect(),
        };
        for (at, index) in chosen.iter().enumerate() {
            if chosen[..at].contains(index) {
                let name = schema.columns()[*index].field.name();
                return Err(Error::invalid(format!("column \"{name}\" is asked for twice")));
            }
        }
        let fields: Vec<_> = chosen.iter().map(|&index| schema.columns()[index].field.clone()).collect();
        let mut columns: Vec<u32> = chosen.iter().map(|&index| schema.columns()[index].id).collect();
        let output = columns.len();
        let filter = request.filter.as_ref().map(|filter| filter.bind(&schema)).transpose()?;
        let mut range = request.range;
        if let Some(filter) = &filter {
            let mut others = filter.columns();
            others.retain(|id| !columns.contains(id));
            columns.extend(others);
            range = range.intersect(filter.key_range(&schema)?);
        }
        let memtables = plan::memtables(&view, snapshot).count();
        let files = plan::files(&view, &schema, snapshot, &range, filter.as_ref());
        Ok(Self {
            view,
            snapshot,
            columns,
            output,
            output_schema: Arc::new(Schema::new(fields)),
            range,
            filter,
            files,
            memtables,
            limit: request.limit,
            reverse: request.reverse,
            batch_rows: request.batch_rows.max(1),
            access: request.access,
            memory_bytes: request.memory_bytes,
            screened: Arc::default(),
            schema,
        })
    }

    /// Leaves out what else is to be read of the file than these groups of it: for a split of an append-only table.
    pub fn keep_groups(&mut self, number: FileNumber, keep: &std::ops::Range<usize>) {
        for file in self.files.iter_mut().filter(|file| file.number == number) {
            if let plan::Verdict::Read { groups, outside_range, .. } = &mut file.verdict {
                let before = groups.len();
                groups.retain(|group| keep.contains(group));
                *outside_range += before - groups.len();
            }
        }
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.output_schema
    }

    /// The snapshot that it shows.
    pub fn snapshot(&self) -> Sequence {
        self.snapshot
    }
}

#[cfg(test)]
mod tests;
