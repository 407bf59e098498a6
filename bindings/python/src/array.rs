//! A column of bytes for Arrow libraries: what `multi_get_arrow` gives.

use crate::arrow::capsule::export_array;
use crate::error::attached;
use arrow_array::builder::GenericBinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, OffsetSizeTrait};
use arrow_schema::DataType;
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};
use sstore::{Error, PinnedBytes, Result};
use std::sync::Arc;

/// The values that a ``multi_get_arrow`` found, null where there is none: ``pyarrow.array(array)``, ``polars.Series(array)``.
///
/// Its type is binary, or large_binary beyond 2 GiB. Immutable, and independent of the database.
#[pyclass(frozen, module = "sstore")]
pub(crate) struct Array(ArrayRef);

impl Array {
    /// Copies values side by side. Requires no interpreter lock.
    pub(crate) fn of_values(values: &[Option<PinnedBytes>]) -> Result<Self> {
        let bytes: usize = values.iter().flatten().map(|value| value.len()).sum();
        match i32::try_from(bytes) {
            Ok(_) => build::<i32>(values, bytes),
            Err(_) => build::<i64>(values, bytes),
        }
    }
}

fn build<O: OffsetSizeTrait>(values: &[Option<PinnedBytes>], bytes: usize) -> Result<Array> {
    let mut builder = GenericBinaryBuilder::<O>::with_capacity(values.len(), bytes);
    values.iter().for_each(|value| builder.append_option(value.as_deref()));
    Ok(Array(Arc::new(builder.finish())))
}

#[pymethods]
impl Array {
    /// How many of the values are null.
    #[getter]
    fn null_count(&self) -> usize {
        self.0.null_count()
    }

    /// A ``pyarrow.Array``.
    fn to_arrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("pyarrow")?.call_method1("array", (slf,))
    }

    /// The values as ``bytes``, None for null.
    fn to_pylist<'py>(&self, py: Python<'py>) -> PyResult<Vec<Option<Bound<'py, PyBytes>>>> {
        (0..self.0.len()).map(|row| self.at(py, row)).collect()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let row = if index < 0 { index + self.0.len().cast_signed() } else { index };
        match usize::try_from(row) {
            Ok(row) if row < self.0.len() => self.at(py, row),
            _ => Err(PyIndexError::new_err("array index out of range")),
        }
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        // The interface leaves it to the producer whether it converts; the consumer looks at what it got.
        let _ = requested_schema;
        export_array(py, &self.0)
    }

    fn __repr__(&self) -> String {
        format!("<sstore.Array of {} values, {} of them null>", self.0.len(), self.0.null_count())
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle sstore.Array: hand it to an Arrow library, or send to_pylist()"))
    }
}

impl Array {
    fn at<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if self.0.is_null(row) {
            return Ok(None);
        }
        let bytes = attached(py, || match self.0.data_type() {
            DataType::Binary => Ok(self.0.as_binary::<i32>().value(row)),
            DataType::LargeBinary => Ok(self.0.as_binary::<i64>().value(row)),
            other => Err(Error::invalid(format!("no values of type {other} are made"))),
        })?;
        Ok(Some(PyBytes::new(py, bytes)))
    }
}
