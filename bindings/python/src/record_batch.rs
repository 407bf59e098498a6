//! Record batches as they come out of a scan.

use crate::arrow::capsule::{export_batch, export_schema, export_stream};
use crate::arrow::to_python;
use crate::schema::Schema;
use arrow_array::RecordBatchIterator;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};

/// Some rows of a scan. Anything that takes Arrow data takes it: ``pyarrow.record_batch(batch)``, ``polars.DataFrame(batch)``.
#[pyclass(frozen, module = "sstore")]
pub(crate) struct RecordBatch(pub(crate) arrow_array::RecordBatch);

#[pymethods]
impl RecordBatch {
    /// The names and types of its columns.
    #[getter]
    fn schema(&self) -> Schema {
        Schema(self.0.schema())
    }

    /// How many rows it has.
    #[getter]
    fn num_rows(&self) -> usize {
        self.0.num_rows()
    }

    /// How many columns it has.
    #[getter]
    fn num_columns(&self) -> usize {
        self.0.num_columns()
    }

    /// The rows as dicts.
    fn to_pylist<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        to_python::rows(py, &self.0)
    }

    /// A ``pyarrow.RecordBatch``.
    fn to_arrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("pyarrow")?.call_method1("record_batch", (slf,))
    }

    /// A ``polars.DataFrame``.
    fn to_polars<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("polars")?.call_method1("DataFrame", (slf,))
    }

    /// A ``pandas.DataFrame``; needs pyarrow too.
    fn to_pandas<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::to_arrow(slf)?.call_method0("to_pandas")
    }

    fn __len__(&self) -> usize {
        self.0.num_rows()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        export_schema(py, &self.0.schema())
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        match crate::scan::conversion(py, &self.0.schema(), requested_schema)? {
            Some(target) => export_batch(py, &crate::error::attached(py, || target.check_batch(&self.0))?),
            None => export_batch(py, &self.0),
        }
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let batch = match crate::scan::conversion(py, &self.0.schema(), requested_schema)? {
            Some(target) => crate::error::attached(py, || target.check_batch(&self.0))?,
            None => self.0.clone(),
        };
        let schema = batch.schema();
        export_stream(py, Box::new(RecordBatchIterator::new([Ok(batch)], schema)))
    }

    fn __repr__(&self) -> String {
        format!("<sstore.RecordBatch of {} rows, {} columns>", self.0.num_rows(), self.0.num_columns())
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle sstore.RecordBatch: hand it to an Arrow library first"))
    }
}
