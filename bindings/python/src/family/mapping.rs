//! What a `MutableMapping` has beyond single keys: taking out, setting if missing, clearing, comparing.
//!
//! Promises: `pop`, `popitem` and `setdefault` are one step each to other threads, as those of a dict are.

use super::ColumnFamily;
use crate::bytes::Bytes;
use crate::error::{attached, detached};
use crate::iterate::walk;
use crate::shared::Owned;
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use sstore::{Condition, ErrorKind, PinnedBytes, ReadOptions, WriteOptions};

/// Whether a conditional write was first; false: try again.
fn unless_conflict(written: sstore::Result<u64>) -> sstore::Result<bool> {
    match written {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}

impl ColumnFamily {
    pub(super) fn missing(py: Python<'_>, key: &[u8]) -> PyErr {
        PyKeyError::new_err(PyBytes::new(py, key).unbind())
    }

    /// Removes a key and gives its value, so that no other thread gets it too.
    pub(super) fn take(&self, py: Python<'_>, key: &[u8]) -> PyResult<Option<PinnedBytes>> {
        let mut batch = sstore::WriteBatch::new();
        attached(py, || batch.delete(self.family.id(), key))?;
        let (db, family) = (self.shared.db(), &self.family);
        loop {
            let taken = detached(py, || {
                let Some((value, sequence)) = db.get_with_sequence(family, key, &ReadOptions::default())? else {
                    return Ok(Some(None));
                };
                let condition = Condition::Sequence(sequence);
                let first = unless_conflict(db.write_if(family, key, condition, &batch, &WriteOptions::default()))?;
                Ok(first.then_some(Some(value)))
            })?;
            if let Some(value) = taken {
                return Ok(value);
            }
            py.check_signals()?;
        }
    }

    /// Removes the first key and gives it with its value.
    pub(super) fn take_first(&self, py: Python<'_>) -> PyResult<Option<(Vec<u8>, PinnedBytes)>> {
        while let Some(key) = self.first(py, None)? {
            if let Some(value) = self.take(py, &key)? {
                return Ok(Some((key, value)));
            }
        }
        Ok(None)
    }

    /// The least key.
    pub(super) fn first(&self, py: Python<'_>, snapshot: Option<&sstore::Snapshot>) -> PyResult<Option<Vec<u8>>> {
        let options = sstore::IterOptions { snapshot: snapshot.cloned(), ..sstore::IterOptions::default() };
        detached(py, || {
            let mut cursor = Owned::new(self.shared.db().iterator(&self.family, options)?);
            let cursor = cursor.get_mut();
            Ok(if cursor.seek_to_first()? { Some(cursor.key().to_vec()) } else { None })
        })
    }

    /// The value of a key; if it is missing, that becomes `default`.
    pub(super) fn get_or_set<'py>(
        &self,
        py: Python<'py>,
        key: &Bytes<'py>,
        default: &Bytes<'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut batch = sstore::WriteBatch::new();
        attached(py, || batch.put(self.family.id(), key.as_slice(), default.as_slice()))?;
        loop {
            if let Some(value) = self.find(py, key.as_slice())? {
                return Ok(PyBytes::new(py, &value));
            }
            let (name, options) = (key.as_slice(), WriteOptions::default());
            // Another thread may set it, and remove it again, in between: then all over.
            let written = detached(py, || {
                unless_conflict(self.shared.db().write_if(&self.family, name, Condition::Absent, &batch, &options))
            })?;
            if written {
                return Ok(PyBytes::new(py, default.as_slice()));
            }
            py.check_signals()?;
        }
    }

    /// Removes all keys that are there now, in several batches.
    pub(super) fn remove_all(&self, py: Python<'_>) -> PyResult<()> {
        let options = WriteOptions::default();
        walk(py, &self.shared, &self.family, sstore::IterOptions::default(), |entries| {
            detached(py, || {
                let mut batch = sstore::WriteBatch::new();
                for (key, _) in entries.iter() {
                    batch.delete(self.family.id(), key)?;
                }
                self.shared.db().write(&batch, &options)
            })
            .map(|_| ())
        })
    }
}

/// `mapping == other`: as dicts, if the other is a mapping.
pub(crate) fn equal<'py>(mapping: &Bound<'py, PyAny>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = mapping.py();
    if mapping.is(other) {
        return Ok(true.into_pyobject(py)?.to_owned().into_any());
    }
    if !other.is_instance(&py.import("collections.abc")?.getattr("Mapping")?)? {
        return Ok(py.NotImplemented().into_bound(py));
    }
    let content = |mapping: &Bound<'py, PyAny>| {
        let items = mapping.call_method0("items")?;
        py.get_type::<PyDict>().call1((items,))
    };
    content(mapping)?.rich_compare(content(other)?, pyo3::basic::CompareOp::Eq)
}

/// A view class of `sstore._views` over `mapping`.
pub(crate) fn view<'py>(mapping: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    mapping.py().import("sstore._views")?.getattr(name)?.call1((mapping,))
}

#[pymethods]
impl ColumnFamily {
    /// The keys, in order.
    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        view(slf.as_any(), "SortedKeys")
    }

    /// The values, in the order of their keys.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        view(slf.as_any(), "SortedValues")
    }

    /// The pairs of key and value, in order.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        view(slf.as_any(), "SortedItems")
    }

    /// Removes `key` and returns its value; without it returns the default, or raises KeyError.
    #[pyo3(signature = (key, /, *default))]
    fn pop<'py>(&self, py: Python<'py>, key: Bytes<'py>, default: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        if default.len() > 1 {
            return Err(PyTypeError::new_err(format!(
                "pop takes a key and a default, not {} arguments",
                default.len() + 1
            )));
        }
        match self.take(py, key.as_slice())? {
            Some(value) => Ok(PyBytes::new(py, &value).into_any()),
            None => default.get_item(0).map_err(|_| Self::missing(py, key.as_slice())),
        }
    }

    /// Removes the first key and returns it with its value.
    fn popitem<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        match self.take_first(py)? {
            Some((key, value)) => Ok((PyBytes::new(py, &key), PyBytes::new(py, &value))),
            None => Err(PyKeyError::new_err("popitem: no keys")),
        }
    }

    /// The value of `key`; if it is missing, sets it to `default` first.
    #[pyo3(signature = (key, default))]
    fn setdefault<'py>(&self, py: Python<'py>, key: Bytes<'py>, default: Bytes<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.get_or_set(py, &key, &default)
    }

    /// Sets all pairs of a mapping, an iterable of pairs, or Arrow data, in one atomic batch.
    #[pyo3(signature = (pairs=None, /))]
    fn update(&self, py: Python<'_>, pairs: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        pairs.map_or(Ok(0), |pairs| self.put_many(py, pairs, None, None, true, None)).map(|_| ())
    }

    /// Removes all keys that are there now, in several batches.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.remove_all(py)
    }

    fn __ior__(&self, py: Python<'_>, pairs: &Bound<'_, PyAny>) -> PyResult<()> {
        self.update(py, Some(pairs))
    }

    /// Equal to a mapping with the same keys and values.
    fn __eq__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        equal(slf.as_any(), other)
    }
}
