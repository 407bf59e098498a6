//! A scan that runs: the merged rows, filtered, projected, limited, as Arrow batches.

use super::{ScanPlan, sources};
use crate::error::{Error, ErrorKind, Result};
use crate::iter::{RowChunk, RowSource};
use arrow_array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;

/// The rows of a scan, batch by batch. One thread at a time, any thread. It holds on to the view that it was planned on: memtables
/// and files stay until it is dropped.
pub struct RowScan {
    plan: ScanPlan,
    source: Option<Box<dyn RowSource>>,
    left: u64,
    /// Rows of a chunk that was larger than a batch may be.
    rest: Option<RecordBatch>,
}

impl ScanPlan {
    /// Opens the sources. Reads the first rows of files only when they are asked for.
    pub fn run(self) -> Result<RowScan> {
        let source = sources::open(&self)?;
        let left = self.limit.unwrap_or(u64::MAX);
        Ok(RowScan { plan: self, source: Some(source), left, rest: None })
    }
}

impl RowScan {
    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        self.plan.schema()
    }

    /// The plan that it follows.
    pub fn plan(&self) -> &ScanPlan {
        &self.plan
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while self.left > 0 {
            let batch = match self.rest.take() {
                Some(batch) => batch,
                None => {
                    let Some(source) = &mut self.source else { return Ok(None) };
                    let Some(chunk) = source.next_chunk()? else { return Ok(None) };
                    self.select(chunk)?
                }
            };
            if batch.num_rows() == 0 {
                continue;
            }
            let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.plan.batch_rows);
            let taken = if batch.num_rows() > most {
                self.rest = Some(batch.slice(most, batch.num_rows() - most));
                batch.slice(0, most)
            } else {
                batch
            };
            self.left -= taken.num_rows() as u64;
            return Ok(Some(taken));
        }
        Ok(None)
    }

    /// The rows of a chunk that the filter selects, with the columns that are handed out.
    fn select(&self, chunk: RowChunk) -> Result<RecordBatch> {
        let plan = &self.plan;
        let rows = chunk.len();
        let mut columns = chunk.batch.columns().to_vec();
        if columns.len() != plan.columns.len() {
            return Err(Error::new(
                ErrorKind::Corruption,
                "a source of the scan has other columns than were asked for",
            ));
        }
        let selected = match &plan.filter {
            None => None,
            Some(filter) => {
                let find = |id: u32| columns.get(plan.columns.iter().position(|&column| column == id)?);
                Some(filter.evaluate(rows, &find)?).filter(|mask| mask.count_set_bits() < rows)
            }
        };
        columns.truncate(plan.output);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(plan.output_schema.clone(), columns, &options)
            .map_err(|cause| Error::new(ErrorKind::Corruption, format!("rows do not fit their schema: {cause}")))?;
        match selected {
            None => Ok(batch),
            Some(mask) => filter_record_batch(&batch, &BooleanArray::new(mask, None))
                .map_err(|cause| Error::invalid(format!("the filter cannot be applied: {cause}"))),
        }
    }
}

impl Iterator for RowScan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch();
        if !matches!(next, Ok(Some(_))) {
            // After the end or an error nothing more comes, and nothing needs to be held.
            self.source = None;
            self.left = 0;
        }
        next.transpose()
    }
}
