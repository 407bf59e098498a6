//! A table in Python: rows of an Arrow schema, written from and read into any Arrow library, or plain dicts.
//!
//! Here the class stands, with what it writes; its reads and its files are in rooms of their own.

mod files;
mod read;

pub(crate) use files::segments_of;

use crate::error::detached;
use crate::html;
use crate::options::to_keywords;
use crate::rows::{self, RowKind};
use crate::schema::{ColumnChanges, Schema};
use crate::shared::Shared;
use crate::snapshot::Moment;
use crate::ticker::Ticker;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
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

impl Table {
    fn snapshot(&self, py: Python<'_>, as_of: Option<&Moment<'_>>) -> PyResult<Option<sstore::Snapshot>> {
        as_of.map(|moment| moment.of(py, &self.shared)).transpose()
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
    ///
    /// ``progress`` is called with a ``Progress`` that counts rows, ten times a second at most and once at the end; an answer of False raises
    /// CancelledError: of what was to be atomic nothing is written, else a part.
    #[pyo3(signature = (data, *, sync=None, atomic=true, progress=None))]
    fn append(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        sync: Option<bool>,
        atomic: bool,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        let ticker = Ticker::to(progress, "append", "rows")?;
        rows::write(py, &self.shared, &self.table, RowKind::Put, data, (sync, atomic), ticker)
    }

    /// Deletes the rows with these keys, whether they exist or not, and returns how many keys were given.
    ///
    /// ``keys`` is a list of keys, each a value, or a tuple or dict of the key's columns; or Arrow data with the key's columns.
    #[pyo3(signature = (keys, *, sync=None, atomic=true))]
    fn delete(&self, py: Python<'_>, keys: &Bound<'_, PyAny>, sync: Option<bool>, atomic: bool) -> PyResult<usize> {
        let nobody = Ticker::to(None, "delete", "rows")?;
        rows::write(py, &self.shared, &self.table, RowKind::Delete, keys, (sync, atomic), nobody)
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

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyCapsule>> {
        crate::arrow::capsule::export_schema(py, &self.table.schema())
    }

    /// Its columns and its files, for notebooks.
    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        let segments = match self.shared.db().is_closed() || self.table.is_dropped() {
            true => Vec::new(),
            false => detached(py, || self.shared.db().table_segments(&self.table))?,
        };
        let collection = [(self.table.name().to_owned(), segments)];
        Ok(html::title(&self.__repr__()) + &html::columns(&self.table.table_schema()) + &html::files(&collection))
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
