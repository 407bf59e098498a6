//! Reading a table: scans, and rows by their keys.

use super::get::ReadOptions;
use super::{Db, Handle, Table};
use crate::error::{Error, Result};
use crate::key::{KeyRange, Sequence, prefix_end};
use crate::read::filter::Filter;
use crate::read::scan::{Explanation, RowScan, ScanPlan, ScanRequest};
use crate::schema::TableSchema;
use crate::sst::Access;
use crate::view::CollectionView;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use std::sync::Arc;

/// What a scan is asked for. Everything by default.
#[derive(Clone, Default)]
pub struct ScanOptions {
    /// The columns, in this order; `None`: all.
    pub columns: Option<Vec<String>>,
    /// Which rows.
    pub filter: Option<Filter>,
    /// The first key, or the first columns of it: one row of the key's leading columns, in key order.
    pub start: Option<Vec<ArrayRef>>,
    /// Where to end: keys from this one on are left out. Given like `start`.
    pub stop: Option<Vec<ArrayRef>>,
    /// Only keys that begin with these values of the key's leading columns.
    pub prefix: Option<Vec<ArrayRef>>,
    /// The most rows: the first of the scan.
    pub limit: Option<u64>,
    /// From the end: by descending key, or in an append-only table what arrived last first. The rows are those of the same scan
    /// without it, in the opposite order; what lies before the last `limit` of them is not read, but for some rows beside them. Bounds
    /// and prefix mean the same. Refused in an append-only table with `order_by`, which has no order of its rows.
    pub reverse: bool,
    /// The most rows of one batch; 0: 8,192.
    pub batch_rows: usize,
    /// Keep what is read in the cache: for small scans that come again.
    pub cached: bool,
}

/// The batches of a scan, in key order, or in order of arrival in an append-only table; or from the end. One thread at a time, any thread; it may outlive
/// every other handle, keeps the database open and its snapshot alive.
pub struct TableScan {
    rows: RowScan,
    /// Dropped after what it keeps open.
    handle: Arc<Handle>,
}

impl TableScan {
    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema().clone()
    }

    /// The snapshot that it shows.
    pub fn snapshot_sequence(&self) -> Sequence {
        self.rows.plan().snapshot()
    }

    /// What it reads, and what it leaves out and why.
    pub fn explain(&self) -> Explanation {
        self.rows.plan().explain()
    }
}

impl Iterator for TableScan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.handle.core.check() {
            return Some(Err(error));
        }
        self.rows.next()
    }
}

fn encode_bound(schema: &TableSchema, columns: &[ArrayRef]) -> Result<Vec<u8>> {
    if !schema.is_keyed() {
        return Err(Error::invalid("an append-only table has no keys to scan a range of"));
    }
    schema.key_codec().encode_prefix(columns)
}

impl Db {
    fn plan_scan(&self, table: &Table, scan: &ScanOptions, options: &ReadOptions<'_>) -> Result<ScanPlan> {
        let core = &self.handle.core;
        core.check()?;
        self.check_table(table)?;
        self.check_snapshot(options)?;
        let (view, snapshot) = core.pin_at(table.id(), options.snapshot)?;
        let schema = schema_of(table, &view);
        let request = self.scan_request(&schema, scan)?;
        ScanPlan::new(view.readable(&request.range, snapshot)?, schema, snapshot, request)
    }

    /// What a scan asks for, its bounds encoded.
    pub(super) fn scan_request(&self, schema: &TableSchema, scan: &ScanOptions) -> Result<ScanRequest> {
        let mut range = KeyRange::all();
        if let Some(prefix) = &scan.prefix {
            let is_whole = prefix.len() == schema.key().len();
            let prefix = encode_bound(schema, prefix)?;
            // A whole key may be the beginning of another: strings that end a key are not closed.
            let upper = if is_whole { Some([&prefix[..], &[0]].concat()) } else { prefix_end(&prefix) };
            range = range.intersect(KeyRange { lower: Some(prefix), upper });
        }
        let bound = |columns: &Option<Vec<ArrayRef>>| -> Result<Option<Vec<u8>>> {
            columns.as_ref().map(|columns| encode_bound(schema, columns)).transpose()
        };
        range = range.intersect(KeyRange { lower: bound(&scan.start)?, upper: bound(&scan.stop)? });
        Ok(ScanRequest {
            columns: scan.columns.clone(),
            range,
            filter: scan.filter.clone(),
            limit: scan.limit,
            reverse: scan.reverse,
            batch_rows: if scan.batch_rows == 0 { ScanRequest::default().batch_rows } else { scan.batch_rows },
            access: if scan.cached { Access::Cached } else { Access::Scan },
            memory_bytes: self.handle.core.caches.job_bytes(),
        })
    }

    /// Scans a table as of now, or of a snapshot. InvalidArgument names the column or literal that does not fit,
    /// Corruption a file that does not open and may hold rows of the range.
    ///
    /// ```
    /// # fn main() -> sstore::Result<()> {
    /// # let directory = tempfile::tempdir().unwrap();
    /// use arrow_array::{Int64Array, RecordBatch};
    /// use arrow_schema::{DataType, Field, Schema};
    /// use sstore::{Db, KeyOptions, Options, ReadOptions, ScanOptions, WriteBatch, WriteOptions};
    /// use std::sync::Arc;
    ///
    /// let db = Db::open(directory.path(), &Options::new())?;
    /// let columns = Schema::new(vec![Field::new("time", DataType::Int64, false)]);
    /// let table = db.create_table("events", &columns, &["time"], &KeyOptions::default(), &Options::new())?;
    /// let rows = RecordBatch::try_new(Arc::new(columns), vec![Arc::new(Int64Array::from_iter_values(0..100))]).unwrap();
    /// let mut batch = WriteBatch::new();
    /// table.put_rows(&mut batch, &rows)?;
    /// db.write(&batch, &WriteOptions::default())?;
    ///
    /// // The newest two.
    /// let newest = ScanOptions { reverse: true, limit: Some(2), ..ScanOptions::default() };
    /// let batch = db.scan(&table, &newest, &ReadOptions::default())?.next().unwrap()?;
    /// assert_eq!(**batch.column(0), Int64Array::from(vec![99, 98]));
    /// # Ok(()) }
    /// ```
    pub fn scan(&self, table: &Table, scan: &ScanOptions, options: &ReadOptions<'_>) -> Result<TableScan> {
        let rows = self.plan_scan(table, scan, options)?.run()?;
        Ok(TableScan { rows, handle: self.handle.clone() })
    }

    /// What a scan would read, without reading.
    pub fn explain(&self, table: &Table, scan: &ScanOptions, options: &ReadOptions<'_>) -> Result<Explanation> {
        Ok(self.plan_scan(table, scan, options)?.explain())
    }

    /// The row with a key, given as one row of the key's columns; only `columns` of it if some are named. `None` if there is none.
    pub fn get_row(
        &self,
        table: &Table,
        key: &RecordBatch,
        columns: Option<&[String]>,
        options: &ReadOptions<'_>,
    ) -> Result<Option<RecordBatch>> {
        if key.num_rows() != 1 {
            return Err(Error::invalid(format!("one key is looked up, {} were given", key.num_rows())));
        }
        Ok(self.get_rows(table, key, columns, options)?.pop().flatten())
    }

    /// The rows with many keys, all at the same moment, in the order of the keys.
    pub fn get_rows(
        &self,
        table: &Table,
        keys: &RecordBatch,
        columns: Option<&[String]>,
        options: &ReadOptions<'_>,
    ) -> Result<Vec<Option<RecordBatch>>> {
        let core = &self.handle.core;
        core.check()?;
        self.check_table(table)?;
        self.check_snapshot(options)?;
        let (view, snapshot) = core.pin_at(table.id(), options.snapshot)?;
        let schema = schema_of(table, &view);
        if !schema.is_keyed() {
            return Err(Error::invalid(format!("table \"{}\" is append-only: its rows have no keys", table.name())));
        }
        let key_columns = schema.check_keys_batch(keys)?;
        let encoded = schema.key_codec().encode(key_columns.columns())?;
        let projection = crate::read::RowProjection::new(&schema, columns)?;
        let mut scratch = [0; 8];
        (0..encoded.len())
            .map(|row| {
                let found = crate::read::get_row(&view, encoded.bytes(row, &mut scratch), snapshot, &projection)?;
                Ok(found)
            })
            .collect()
    }
}

/// The schema to read a view under: that of its active memtable, which changes together with the view.
fn schema_of(table: &Table, view: &CollectionView) -> Arc<TableSchema> {
    view.active.rows().map_or_else(|| table.current(), |memtable| memtable.schema().clone())
}
