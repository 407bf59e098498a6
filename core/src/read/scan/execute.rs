//! A scan that runs: the merged rows, filtered, projected, limited, as Arrow batches.

use super::ScanPlan;
use super::backward::{Backward, reversed};
use super::sources::{self, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::iter::{RowChunk, RowSource};
use arrow_array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;

/// The rows of a scan, batch by batch. One thread at a time, any thread. It holds on to the view that it was planned on: memtables
/// and files stay until it is dropped.
pub struct RowScan {
    plan: ScanPlan,
    walk: Walk,
    left: u64,
    /// Rows that were read and not handed out yet, in ascending order: forward one batch at most, which was larger than a batch
    /// may be.
    held: Vec<RecordBatch>,
}

enum Walk {
    Forward(Box<dyn RowSource>),
    Backward(Backward),
    Ended,
}

impl ScanPlan {
    /// Opens the sources. Reads the first rows of files only when they are asked for.
    pub fn run(self) -> Result<RowScan> {
        let all = Part { range: &self.range, memory_bytes: self.memory_bytes, keys: false };
        let walk = match self.reverse {
            false => Walk::Forward(sources::open(&self, &all)?),
            true => Walk::Backward(Backward::new(&self)),
        };
        let left = self.limit.unwrap_or(u64::MAX);
        Ok(RowScan { plan: self, walk, left, held: Vec::new() })
    }

    /// The rows of a chunk that the filter selects, with the columns that are handed out.
    pub(super) fn select(&self, chunk: RowChunk) -> Result<RecordBatch> {
        let rows = chunk.len();
        let mut columns = chunk.batch.columns().to_vec();
        if columns.len() != self.columns.len() {
            return Err(Error::new(
                ErrorKind::Corruption,
                "a source of the scan has other columns than were asked for",
            ));
        }
        let selected = match &self.filter {
            None => None,
            Some(filter) => {
                let find = |id: u32| columns.get(self.columns.iter().position(|&column| column == id)?);
                Some(filter.evaluate(rows, &find)?).filter(|mask| mask.count_set_bits() < rows)
            }
        };
        columns.truncate(self.output);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.output_schema.clone(), columns, &options)
            .map_err(|cause| Error::new(ErrorKind::Corruption, format!("rows do not fit their schema: {cause}")))?;
        match selected {
            None => Ok(batch),
            Some(mask) => filter_record_batch(&batch, &BooleanArray::new(mask, None))
                .map_err(|cause| Error::invalid(format!("the filter cannot be applied: {cause}"))),
        }
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
            if let Some(batch) = self.held.pop() {
                let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.plan.batch_rows);
                let rest = batch.num_rows().saturating_sub(most);
                let taken = match (rest, self.plan.reverse) {
                    (0, _) => batch,
                    (_, false) => {
                        self.held.push(batch.slice(most, rest));
                        batch.slice(0, most)
                    }
                    (_, true) => {
                        self.held.push(batch.slice(0, rest));
                        batch.slice(rest, most)
                    }
                };
                if taken.num_rows() == 0 {
                    continue;
                }
                self.left -= taken.num_rows() as u64;
                return if self.plan.reverse { reversed(&taken).map(Some) } else { Ok(Some(taken)) };
            }
            match &mut self.walk {
                Walk::Ended => return Ok(None),
                Walk::Forward(source) => match source.next_chunk()? {
                    Some(chunk) => self.held.push(self.plan.select(chunk)?),
                    None => return Ok(None),
                },
                Walk::Backward(walk) => match walk.next_stretch(&self.plan)? {
                    Some(batches) => self.held = batches,
                    None => return Ok(None),
                },
            }
        }
        Ok(None)
    }
}

impl Iterator for RowScan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch();
        if !matches!(next, Ok(Some(_))) {
            // After the end or an error nothing more comes, and nothing needs to be held.
            self.walk = Walk::Ended;
            self.held = Vec::new();
            self.left = 0;
        }
        next.transpose()
    }
}
