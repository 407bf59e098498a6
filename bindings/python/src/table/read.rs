//! Reading the rows of a table: by key, by scans, and by splits of a scan for other processes.

use super::Table;
use crate::arrow::to_python;
use crate::condition;
use crate::error::{attached, detached, invalid};
use crate::rows::{RowKind, bound, given, keys_batch, names_in};
use crate::scan::Scan;
use crate::schema::Schema;
use crate::snapshot::{Moment, Snapshot};
use crate::splits::Splits;
use arrow_array::RecordBatch;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use sstore::{ReadOptions, ScanOptions};

impl Table {
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
}
