//! A table in Python: rows of an Arrow schema, written from and read into any Arrow library, or plain dicts.

use crate::arrow::to_python;
use crate::condition;
use crate::error::{attached, detached, invalid};
use crate::files::{LiveFiles, exported};
use crate::flush::FlushToken;
use crate::long_call::{Progress, long_call};
use crate::options::to_keywords;
use crate::rows::{self, RowKind, bound, given, keys_batch, names_in};
use crate::scan::Scan;
use crate::schema::{ColumnChanges, Schema};
use crate::shared::Shared;
use crate::snapshot::{Moment, Snapshot};
use crate::splits::Splits;
use arrow_array::RecordBatch;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use sstore::{ReadOptions, ScanOptions};
use std::path::PathBuf;
use std::sync::Arc;

/// Rows of an Arrow schema under a name. With a key, a later row replaces an earlier one with the same key, and scans come
/// in key order; without, rows are only appended.
///
/// Every method may be called from any thread.
#[pyclass(frozen, module = "sstore")]
pub(crate) struct Table {
    /// Dropped first: whoever drops the last handle closes the database, and only [`Shared`] lets go of the interpreter for that.
    pub(crate) table: sstore::Table,
    pub(crate) shared: Arc<Shared>,
}

/// The live files of a table.
pub(crate) fn segments_of<'py>(
    py: Python<'py>,
    shared: &Shared,
    table: &sstore::Table,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let segments = detached(py, || shared.db().table_segments(table))?;
    crate::segments::describe_segments(py, table.name(), &segments)
}

impl Table {
    fn snapshot(&self, py: Python<'_>, as_of: Option<&Moment<'_>>) -> PyResult<Option<sstore::Snapshot>> {
        as_of.map(|moment| moment.of(py, &self.shared)).transpose()
    }

    fn get_rows<'py>(
        &self,
        py: Python<'py>,
        keys: &RecordBatch,
        columns: Option<&Bound<'py, PyAny>>,
        as_of: Option<&Moment<'py>>,
    ) -> PyResult<Vec<Option<Bound<'py, PyDict>>>> {
        let columns = columns.map(names_in).transpose()?;
        let snapshot = self.snapshot(py, as_of)?;
        let found = detached(py, || {
            let options = ReadOptions { snapshot: snapshot.as_ref() };
            self.shared.db().get_rows(&self.table, keys, columns.as_deref(), &options)
        })?;
        let row = |row: Option<RecordBatch>| match row {
            Some(row) => Ok(to_python::rows(py, &row)?.pop()),
            None => Ok(None),
        };
        found.into_iter().map(row).collect()
    }

    /// What a scan or its splits are asked for: `span` is start, stop and prefix.
    fn scan_options<'py>(
        &self,
        py: Python<'py>,
        columns: Option<&Bound<'py, PyAny>>,
        condition: Option<&Bound<'py, PyAny>>,
        [start, stop, prefix]: [Option<&Bound<'py, PyAny>>; 3],
        batch_rows: Option<usize>,
        reverse: bool,
    ) -> PyResult<ScanOptions> {
        let schema = self.table.table_schema();
        if batch_rows == Some(0) {
            return Err(invalid(py, "batch_rows is at least 1"));
        }
        let filter = match condition {
            Some(given) => {
                let shown = Bound::new(py, Schema(self.table.schema()))?;
                Some(condition::filter(py, given, shown.as_any())?)
            }
            None => None,
        };
        Ok(ScanOptions {
            columns: columns.map(names_in).transpose()?,
            filter,
            start: bound(py, &schema, start)?,
            stop: bound(py, &schema, stop)?,
            prefix: bound(py, &schema, prefix)?,
            batch_rows: batch_rows.unwrap_or(0),
            reverse,
            ..ScanOptions::default()
        })
    }

    fn open_scan(&self, py: Python<'_>, options: &ScanOptions, as_of: Option<&Moment<'_>>) -> PyResult<Scan> {
        let snapshot = self.snapshot(py, as_of)?;
        let scan =
            detached(py, || self.shared.db().scan(&self.table, options, &ReadOptions { snapshot: snapshot.as_ref() }))?;
        Ok(Scan::of_table(&self.shared, scan))
    }
}

#[pymethods]
impl Table {
    /// The table's name.
    #[getter]
    fn name(&self) -> &str {
        self.table.name()
    }

    /// Whether the table was dropped.
    #[getter]
    fn dropped(&self) -> bool {
        self.table.is_dropped()
    }

    /// The columns in force.
    #[getter]
    fn schema(&self) -> Schema {
        Schema(self.table.schema())
    }

    /// The names of the key's columns, in key order; empty in an append-only table.
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.table.key())
    }

    /// The names of the columns that the files of an append-only table are sorted by; empty in other tables.
    #[getter]
    fn order_by<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.table.order_by())
    }

    /// The options in force, as keywords of ``DB.table``.
    #[getter]
    fn options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        to_keywords(py, &self.table.options())
    }

    /// Writes rows and returns how many were given. With a key, each replaces the row with its key.
    ///
    /// ``data`` is anything with ``__arrow_c_stream__`` or ``__arrow_c_array__`` (of pyarrow, Polars, pandas, DuckDB, nanoarrow,
    /// arro3 …) or an iterable of dicts. Columns are matched by name; missing ones are null. All rows become visible and durable
    /// together, unless ``atomic=False``, which writes a stream batch by batch as it comes and so needs little memory.
    #[pyo3(signature = (data, *, sync=None, atomic=true))]
    fn append(&self, py: Python<'_>, data: &Bound<'_, PyAny>, sync: Option<bool>, atomic: bool) -> PyResult<usize> {
        rows::write(py, &self.shared, &self.table, RowKind::Put, data, sync, atomic)
    }

    /// Deletes the rows with these keys, whether they exist or not, and returns how many keys were given.
    ///
    /// ``keys`` is a list of keys, each a value, or a tuple or dict of the key's columns; or Arrow data with the key's columns.
    #[pyo3(signature = (keys, *, sync=None, atomic=true))]
    fn delete(&self, py: Python<'_>, keys: &Bound<'_, PyAny>, sync: Option<bool>, atomic: bool) -> PyResult<usize> {
        rows::write(py, &self.shared, &self.table, RowKind::Delete, keys, sync, atomic)
    }

    /// The row with this key as a dict, or None. A key of several columns is a tuple or a dict.
    #[pyo3(signature = (key, *, columns=None, as_of=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        columns: Option<&Bound<'py, PyAny>>,
        as_of: Option<Moment<'py>>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let keys = keys_batch(py, &self.table.table_schema(), std::slice::from_ref(key))?;
        Ok(self.get_rows(py, &keys, columns, as_of.as_ref())?.pop().flatten())
    }

    /// The rows with these keys, None for the missing, all as of the same moment. ``keys`` as for ``delete``.
    #[pyo3(signature = (keys, *, columns=None, as_of=None))]
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        columns: Option<&Bound<'py, PyAny>>,
        as_of: Option<Moment<'py>>,
    ) -> PyResult<Vec<Option<Bound<'py, PyDict>>>> {
        let (mut found, given) = (Vec::new(), given(py, &self.table, RowKind::Delete, keys)?);
        let mut batches = Vec::new();
        detached(py, || {
            given.each_batch(&self.table, RowKind::Delete, |batch| {
                batches.push(batch);
                Ok(())
            })
        })?;
        // One moment for all of them.
        let moment = match (as_of, batches.len()) {
            (None, 2..) => {
                let now = Snapshot::new(&self.shared, attached(py, || self.shared.db().snapshot())?);
                Some(Moment::Snapshot(Bound::new(py, now)?))
            }
            (given, _) => given,
        };
        for batch in &batches {
            found.extend(self.get_rows(py, batch, columns, moment.as_ref())?);
            py.check_signals()?;
        }
        Ok(found)
    }

    /// Reads rows: those of the ``columns`` and the keys given, that fulfil ``where``, at most ``limit``, in key order.
    ///
    /// ``where`` is the text of an SQL condition, an expression made with ``sstore.col``, or one of ``pyarrow.compute`` or Polars;
    /// what cannot be translated raises TypeError. ``start`` is the first key, ``stop`` the first one left out, ``prefix`` what keys
    /// begin with: each a value, or a tuple or dict of the key's first columns. ``as_of`` is a snapshot, or the sequence of one that
    /// is open (else GapError). ``cached`` keeps what is read in memory: for small scans that come again.
    ///
    /// ``reverse`` begins at the end: by descending key, or without a key what arrived last first. With ``limit`` these are the last rows,
    /// and those before them are not read: ``table.scan(limit=10, reverse=True)``. A table with ``order_by`` has no order to reverse.
    #[pyo3(signature = (columns=None, r#where=None, start=None, stop=None, prefix=None, limit=None, as_of=None,
        batch_rows=None, cached=false, reverse=false))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn scan<'py>(
        &self,
        py: Python<'py>,
        columns: Option<&Bound<'py, PyAny>>,
        r#where: Option<&Bound<'py, PyAny>>,
        start: Option<&Bound<'py, PyAny>>,
        stop: Option<&Bound<'py, PyAny>>,
        prefix: Option<&Bound<'py, PyAny>>,
        limit: Option<u64>,
        as_of: Option<Moment<'py>>,
        batch_rows: Option<usize>,
        cached: bool,
        reverse: bool,
    ) -> PyResult<Scan> {
        let span = [start, stop, prefix];
        let options = self.scan_options(py, columns, r#where, span, batch_rows, reverse)?;
        self.open_scan(py, &ScanOptions { limit, cached, ..options }, as_of.as_ref())
    }

    /// Cuts a scan into splits of about ``target_bytes`` of file each, for other processes: no two share a row, together they are what
    /// ``scan`` with these arguments reads, and in order they have its order. Flushes first what is in memory.
    ///
    /// A ``Split`` can be pickled: send it to a ``multiprocessing`` pool, and read it there with ``scan``. The files stay as long as the
    /// result, or one of its splits, is alive in this process.
    #[pyo3(signature = (columns=None, r#where=None, start=None, stop=None, prefix=None, *, target_bytes=67108864,
        as_of=None, batch_rows=None, reverse=false))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn splits<'py>(
        &self,
        py: Python<'py>,
        columns: Option<&Bound<'py, PyAny>>,
        r#where: Option<&Bound<'py, PyAny>>,
        start: Option<&Bound<'py, PyAny>>,
        stop: Option<&Bound<'py, PyAny>>,
        prefix: Option<&Bound<'py, PyAny>>,
        target_bytes: u64,
        as_of: Option<Moment<'py>>,
        batch_rows: Option<usize>,
        reverse: bool,
    ) -> PyResult<Splits> {
        let options = self.scan_options(py, columns, r#where, [start, stop, prefix], batch_rows, reverse)?;
        let snapshot = self.snapshot(py, as_of.as_ref())?;
        let splits = detached(py, || {
            let read = ReadOptions { snapshot: snapshot.as_ref() };
            self.shared.db().splits(&self.table, &options, &read, target_bytes)
        })?;
        Splits::new(py, splits)
    }

    /// How many rows there are, or how many fulfil ``where``. Reads them.
    #[pyo3(signature = (r#where=None, *, as_of=None))]
    fn count(&self, py: Python<'_>, r#where: Option<&Bound<'_, PyAny>>, as_of: Option<Moment<'_>>) -> PyResult<usize> {
        let schema = self.table.table_schema();
        // One narrow column is enough, of the key if there is one.
        let column = schema.key().first().copied().unwrap_or(0);
        let columns = PyList::new(py, [schema.columns()[column].field.name()])?;
        let scan =
            self.scan(py, Some(columns.as_any()), r#where, None, None, None, None, as_of, Some(65_536), false, false)?;
        scan.count(py)
    }

    /// Changes the columns; nothing is rewritten, and rows that are there are read under the new schema.
    ///
    /// ``add_column`` is a name and a type, nullable, put last or at ``position``; ``drop_column`` a name; ``rename_column`` a name and
    /// the new one; ``widen`` a name and a larger type; ``reorder`` all names in their new order. Several are made one after the other.
    #[pyo3(signature = (*, add_column=None, position=None, drop_column=None, rename_column=None, widen=None, reorder=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn alter(
        &self,
        py: Python<'_>,
        add_column: Option<(String, Bound<'_, PyAny>)>,
        position: Option<usize>,
        drop_column: Option<String>,
        rename_column: Option<(String, String)>,
        widen: Option<(String, Bound<'_, PyAny>)>,
        reorder: Option<Vec<String>>,
    ) -> PyResult<()> {
        let columns = ColumnChanges { add_column, position, drop_column, rename_column, widen, reorder };
        for change in columns.parse(py)? {
            detached(py, || self.shared.db().alter_table(&self.table, &change))?;
        }
        Ok(())
    }

    /// Writes what the table holds in memory to files, and waits for it. Returns a FlushResult, or with ``wait=False`` a FlushToken.
    #[pyo3(signature = (wait=true, timeout=None))]
    fn flush<'py>(&self, py: Python<'py>, wait: bool, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let token = FlushToken::new(&self.shared, detached(py, || self.shared.db().flush_tables(&[&self.table]))?);
        if wait { token.wait(py, timeout) } else { Ok(Bound::new(py, token)?.into_any()) }
    }

    /// Merges all files of the table into one, and waits for it. After a Ctrl-C the merge goes on in the background.
    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        let (shared, table) = (self.shared.clone(), self.table.clone());
        let nobody = Progress::to(None, "compact", "bytes")?;
        long_call(py, &self.shared, &nobody, move |_| shared.db().compact_table(&table))
    }

    /// The table's live files, oldest first. Their keys are encoded.
    fn segments<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        segments_of(py, &self.shared, &self.table)
    }

    /// The table's live files, which are kept while the result is alive or open, as of now or as of ``as_of``. With their sequence
    /// other programs read what ``scan`` shows: of each key the row with the greatest ``_seq`` up to it, unless its ``_op`` is 1.
    #[pyo3(signature = (*, as_of=None))]
    fn live_files(&self, py: Python<'_>, as_of: Option<Moment<'_>>) -> PyResult<LiveFiles> {
        let snapshot = self.snapshot(py, as_of.as_ref())?;
        let options = ReadOptions { snapshot: snapshot.as_ref() };
        LiveFiles::new(py, detached(py, || self.shared.db().table_live_files(&self.table, &options))?)
    }

    /// Flushes the table and puts hard links to its files into the new directory `directory`; copies, where links cannot be.
    ///
    /// Any program reads them that reads the format; the names sort oldest first. The directory appears whole, or not at
    /// all; after a Ctrl-C too, a little later. Returns an ``Export``.
    fn export<'py>(&self, py: Python<'py>, directory: PathBuf) -> PyResult<Bound<'py, PyAny>> {
        let (shared, table) = (self.shared.clone(), self.table.clone());
        let nobody = Progress::to(None, "export", "bytes")?;
        exported(py, &long_call(py, &self.shared, &nobody, move |_| shared.db().export_table(&table, &directory))?)
    }

    /// A ``pyarrow.Table`` of all rows.
    fn to_arrow<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Scan::to_arrow(&Bound::new(py, self.open_scan(py, &ScanOptions::default(), None)?)?)
    }

    /// A ``polars.DataFrame`` of all rows.
    fn to_polars<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Scan::to_polars(&Bound::new(py, self.open_scan(py, &ScanOptions::default(), None)?)?)
    }

    /// A ``pandas.DataFrame`` of all rows; needs pyarrow too.
    fn to_pandas<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Scan::to_pandas(&Bound::new(py, self.open_scan(py, &ScanOptions::default(), None)?)?)
    }

    /// Hands a scan of the whole table over as an Arrow stream: each use is a new scan.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, pyo3::types::PyCapsule>> {
        self.open_scan(py, &ScanOptions::default(), None)?.__arrow_c_stream__(py, requested_schema)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyCapsule>> {
        crate::arrow::capsule::export_schema(py, &self.table.schema())
    }

    /// Counts the rows by reading them.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.count(py, None, None)
    }

    /// Whether there is any row; does not count them.
    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        let options = ScanOptions { limit: Some(1), ..ScanOptions::default() };
        Ok(self.open_scan(py, &options, None)?.count(py)? > 0)
    }

    /// Whether there is a row with this key.
    fn __contains__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let first = PyList::new(py, self.table.key().into_iter().take(1))?;
        Ok(self.get(py, key, Some(first.as_any()), None)?.is_some())
    }

    fn __repr__(&self) -> String {
        let state = if self.shared.db().is_closed() {
            " closed"
        } else if self.table.is_dropped() {
            " dropped"
        } else {
            ""
        };
        format!("<sstore.Table {:?} of {:?}{state}>", self.table.name(), self.shared.db().path())
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "cannot pickle sstore.Table: give the path to the other process, and open it there (read_only=True beside a writer)",
        ))
    }
}
