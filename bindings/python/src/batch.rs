//! Write batches: operations on several column families and tables that become visible, and durable, together.

use crate::bytes::Bytes;
use crate::error::{attached, detached, invalid};
use crate::family::{self, ColumnFamily, Target};
use crate::rows::{RowKind, given};
use crate::shared::Shared;
use crate::table::Table;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyTuple, PyType};
use sstore::Condition;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Operations that are applied together, or not at all.
///
/// As a context manager it writes at the end of the block, and discards everything if the block raises. Without
/// ``column_family`` an operation goes to the family that the batch was made from. Thread-safe.
#[pyclass(frozen, module = "sstore")]
pub(crate) struct WriteBatch {
    /// Dropped before `shared`, which alone lets go of the interpreter when it is the last.
    family: sstore::ColumnFamily,
    shared: Arc<Shared>,
    sync: Option<bool>,
    batch: Mutex<sstore::WriteBatch>,
}

impl WriteBatch {
    pub(crate) fn new(shared: &Arc<Shared>, family: &sstore::ColumnFamily, sync: Option<bool>) -> Self {
        Self { shared: shared.clone(), family: family.clone(), sync, batch: Mutex::default() }
    }

    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, sstore::WriteBatch> {
        self.batch.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }

    fn collection(&self, py: Python<'_>, family: Option<&Bound<'_, ColumnFamily>>) -> PyResult<sstore::CollectionId> {
        match family {
            Some(_) => Ok(family::resolve(py, &self.shared, family)?.id()),
            None => Ok(self.family.id()),
        }
    }

    /// Gathers operations in a batch of their own first: no lock is held while Python code runs.
    fn add_many(
        &self,
        py: Python<'_>,
        family: Option<&Bound<'_, ColumnFamily>>,
        gather: impl FnOnce(&mut Target<'_>) -> PyResult<()>,
    ) -> PyResult<usize> {
        let mut target = Target::new(&self.shared, self.collection(py, family)?, None, true);
        gather(&mut target)?;
        let mut batch = self.lock(py);
        attached(py, || batch.append(&target.batch))?;
        Ok(target.count)
    }

    pub(crate) fn write_if(
        &self,
        py: Python<'_>,
        shared: &Arc<Shared>,
        family: &sstore::ColumnFamily,
        key: &[u8],
        condition: Condition,
        sync: Option<bool>,
    ) -> PyResult<u64> {
        if !Arc::ptr_eq(&self.shared, shared) {
            return Err(invalid(py, "the batch is of another database"));
        }
        let mut batch = self.lock(py);
        let options = family::write_options(sync.or(self.sync));
        let content = &*batch;
        let sequence = detached(py, || shared.db().write_if(family, key, condition, content, &options))?;
        batch.clear();
        Ok(sequence)
    }

    fn append_batch(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        if !Arc::ptr_eq(&self.shared, &other.shared) {
            return Err(invalid(py, "the batch is of another database"));
        }
        // Copied first, so that one lock is held at a time: the other batch may be this one.
        let copy = other.lock(py).clone();
        let mut batch = self.lock(py);
        attached(py, || batch.append(&copy))
    }

    fn add_rows(&self, py: Python<'_>, table: &Table, kind: RowKind, data: &Bound<'_, PyAny>) -> PyResult<()> {
        if !Arc::ptr_eq(&self.shared, &table.shared) {
            return Err(invalid(py, "the table is of another database"));
        }
        let given = given(py, &table.table, kind, data)?;
        // Into a batch of its own first: all of the rows are added, or none, and no lock is held while another library works.
        let rows = detached(py, || {
            let mut rows = sstore::WriteBatch::new();
            given.each_batch(&table.table, kind, |batch| kind.add(&table.table, &mut rows, &batch))?;
            Ok(rows)
        })?;
        let mut batch = self.lock(py);
        attached(py, || batch.append(&rows))
    }
}

#[pymethods]
impl WriteBatch {
    /// Sets `key` to `value`.
    #[pyo3(signature = (key, value, *, column_family=None))]
    fn put(
        &self,
        py: Python<'_>,
        key: Bytes<'_>,
        value: Bytes<'_>,
        column_family: Option<&Bound<'_, ColumnFamily>>,
    ) -> PyResult<()> {
        let collection = self.collection(py, column_family)?;
        let mut batch = self.lock(py);
        attached(py, || batch.put(collection, key.as_slice(), value.as_slice()))
    }

    /// Removes `key`; it need not exist.
    #[pyo3(signature = (key, *, column_family=None))]
    fn delete(&self, py: Python<'_>, key: Bytes<'_>, column_family: Option<&Bound<'_, ColumnFamily>>) -> PyResult<()> {
        let collection = self.collection(py, column_family)?;
        let mut batch = self.lock(py);
        attached(py, || batch.delete(collection, key.as_slice()))
    }

    /// Sets many keys, given as for ``ColumnFamily.put_many``: all of them are added, or none. Returns how many.
    #[pyo3(signature = (data, values=None, *, column_family=None))]
    fn put_many<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        values: Option<&Bound<'py, PyAny>>,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<usize> {
        self.add_many(py, column_family, |target| target.put_all(py, data, values))
    }

    /// Removes many keys, given as for ``ColumnFamily.multi_get``: all deletes are added, or none. Returns how many.
    #[pyo3(signature = (keys, *, column_family=None))]
    fn delete_many<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<usize> {
        self.add_many(py, column_family, |target| target.delete_all(py, keys))
    }

    /// Adds rows to a table: ``append(table, data)``, with data as for ``Table.append``. Or all operations of another batch of the
    /// same database: ``append(batch)``.
    #[pyo3(signature = (target, data=None, /))]
    fn append<'py>(
        slf: &Bound<'py, Self>,
        target: &Bound<'py, PyAny>,
        data: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        match (target.cast::<Table>(), target.cast::<Self>(), data) {
            (Ok(table), _, Some(data)) => this.add_rows(py, table.get(), RowKind::Put, data),
            (_, Ok(other), None) => this.append_batch(py, other.get()),
            _ => Err(PyTypeError::new_err("append takes a table and its rows, or another write batch")),
        }
    }

    /// Deletes the rows of a table with these keys, given as for ``Table.delete``.
    fn delete_rows(&self, py: Python<'_>, table: &Bound<'_, Table>, keys: &Bound<'_, PyAny>) -> PyResult<()> {
        self.add_rows(py, table.get(), RowKind::Delete, keys)
    }

    /// Forgets all operations.
    fn clear(&self, py: Python<'_>) {
        self.lock(py).clear();
    }

    /// Its encoded size in bytes.
    #[getter]
    fn size_bytes(&self, py: Python<'_>) -> usize {
        self.lock(py).size_bytes()
    }

    /// Applies the operations, empties the batch and returns the sequence of the last of them.
    #[pyo3(signature = (*, sync=None))]
    fn write(&self, py: Python<'_>, sync: Option<bool>) -> PyResult<u64> {
        let mut batch = self.lock(py);
        let options = family::write_options(sync.or(self.sync));
        let (shared, content) = (&self.shared, &*batch);
        let sequence = detached(py, || shared.db().write(content, &options))?;
        batch.clear();
        Ok(sequence)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.lock(py).len()
    }

    fn __bool__(&self) -> bool {
        true
    }

    fn __setitem__(&self, py: Python<'_>, key: Bytes<'_>, value: Bytes<'_>) -> PyResult<()> {
        self.put(py, key, value, None)
    }

    fn __delitem__(&self, py: Python<'_>, key: Bytes<'_>) -> PyResult<()> {
        self.delete(py, key, None)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (kind=None, *_rest))]
    fn __exit__(&self, py: Python<'_>, kind: Option<&Bound<'_, PyType>>, _rest: &Bound<'_, PyTuple>) -> PyResult<()> {
        match kind {
            Some(_) => self.clear(py),
            None => {
                self.write(py, None)?;
            }
        }
        Ok(())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let batch = self.lock(py);
        format!("<sstore.WriteBatch of {} operations, {} bytes>", batch.len(), batch.size_bytes())
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle sstore.WriteBatch: it belongs to an open database"))
    }
}
