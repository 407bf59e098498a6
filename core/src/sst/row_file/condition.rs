//! What a scan asks of rows before it decodes all of their columns: those in which no row can be wanted are skipped.
//!
//! Made by scan plans, asked by the readers of both formats, page by page or batch by batch. Promises: rows are left out only where a
//! whole page, batch or piece of one is; asking stops where it costs more than it saves.

use super::{Projection, RowFileScan};
use crate::atomic::{AtomicU64, Ordering};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::TableSchema;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_buffer::BooleanBuffer;
use std::sync::Arc;

/// Rows that are asked about before it is judged whether asking is worth it.
const TRIAL_ROWS: u64 = 32 << 10;

/// Of a batch of some columns, the rows that may be wanted.
type Select = Arc<dyn Fn(RecordBatch) -> Result<BooleanBuffer> + Send + Sync>;

/// Which rows are wanted, as far as some columns tell. The reader of a file may leave out rows that it refuses, and need not.
#[derive(Clone)]
pub struct RowCondition {
    /// The ids of the columns that it looks at, in the order in which it gets them.
    pub columns: Vec<u32>,
    /// What it says of a batch of these columns.
    pub select: Select,
    /// What became of it so far, in all files of a scan.
    pub record: Arc<ConditionRecord>,
}

impl std::fmt::Debug for RowCondition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowCondition").field("columns", &self.columns).field("record", &self.record).finish()
    }
}

/// How many rows a condition was asked about, and how many need not be decoded for it.
#[derive(Debug, Default)]
pub struct ConditionRecord {
    asked: AtomicU64,
    skipped: AtomicU64,
}

impl ConditionRecord {
    /// Rows whose other columns were not decoded.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

/// A condition as one scan of one file asks it.
pub struct Screen {
    condition: RowCondition,
    projection: Projection,
    /// Of the columns that the scan decodes, those that the condition does not look at.
    others: u64,
}

impl Screen {
    /// The condition of a scan of columns `asked`; `None` if it has none, or nothing else to decode.
    pub fn new(schema: &TableSchema, scan: &RowFileScan, asked: &Projection) -> Result<Option<Self>> {
        let Some(condition) = scan.condition.as_ref().filter(|condition| !condition.columns.is_empty()) else {
            return Ok(None);
        };
        let projection = Projection::new(schema, &condition.columns)?;
        let others = asked.columns.iter().filter(|column| !projection.columns.contains(column)).count() as u64;
        Ok((others > 0).then(|| Self { condition: condition.clone(), projection, others }))
    }

    /// The columns that it looks at.
    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// Whether the columns that are not decoded are worth those that are decoded to find out.
    pub fn pays(&self) -> bool {
        let record = &self.condition.record;
        let asked = record.asked.load(Ordering::Relaxed);
        let own = self.projection.columns.len() as u64;
        asked < TRIAL_ROWS || record.skipped().saturating_mul(self.others) >= asked.saturating_mul(own)
    }

    /// Whether some of `rows` rows may be wanted, which have these `columns` of its projection.
    pub fn admits(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<bool> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.projection.schema.clone(), columns, &options)
            .map_err(|why| Error::new(ErrorKind::Corruption, format!("rows do not fit their schema: {why}")))?;
        let admits = (self.condition.select)(batch)?.count_set_bits() > 0;
        let record = &self.condition.record;
        record.asked.fetch_add(rows as u64, Ordering::Relaxed);
        if !admits {
            record.skipped.fetch_add(rows as u64, Ordering::Relaxed);
        }
        Ok(admits)
    }
}
