//! Splits: a scan cut into pieces that can be pickled, and read in any process that can read the files.

use crate::bytes::Bytes;
use crate::error::{attached, detached};
use crate::kept::Kept;
use crate::scan::Scan;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyIterator, PyTuple};
use sstore::env::posix::posix;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The splits of a scan: a sequence of ``Split``.
///
/// A context manager; closing it lets go of the files that the splits read, which otherwise stay as long as it, or one of
/// the splits, is alive in this process. It does not keep the database open; once that was closed, opening it again for writing
/// deletes what merges replaced. Thread-safe.
#[pyclass(frozen, sequence, module = "sstore")]
pub(crate) struct Splits {
    splits: Py<PyTuple>,
    /// The last write that they show.
    #[pyo3(get)]
    sequence: u64,
    kept: Arc<Kept>,
}

impl Splits {
    pub(crate) fn new(py: Python<'_>, sstore::Splits { splits, files }: sstore::Splits) -> PyResult<Self> {
        let sequence = files.sequence;
        let kept = Arc::new(Kept::new(files));
        let wrap = |split: sstore::Split| {
            let encoded = attached(py, || split.encode())?;
            Bound::new(py, Split { split, encoded, _kept: Some(kept.clone()) })
        };
        let splits = splits.into_iter().map(wrap).collect::<PyResult<Vec<_>>>()?;
        Ok(Self { splits: PyTuple::new(py, splits)?.unbind(), sequence, kept })
    }
}

#[pymethods]
impl Splits {
    /// Lets go of the files: a split that was not read yet may find them gone. Closing twice is allowed.
    fn close(&self, py: Python<'_>) {
        self.kept.close(py);
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.splits.bind(py).len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.splits.bind(py).as_any().get_item(index)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.splits.bind(py).try_iter()
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) {
        self.close(py);
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<sstore.Splits: {} at {}>", self.splits.bind(py).len(), self.sequence)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle sstore.Splits: send its splits, and keep this while they are read"))
    }
}

/// A piece of a scan, which any process can read that can read the table's files: beside a writer, or without one.
///
/// It can be pickled, and ``Split(bytes(split))`` is its copy; a copy does not keep the files that it reads. It is Arrow data:
/// each use as a stream reads it anew. Thread-safe.
#[pyclass(frozen, module = "sstore")]
pub(crate) struct Split {
    split: sstore::Split,
    encoded: Vec<u8>,
    /// In the process that made it.
    _kept: Option<Arc<Kept>>,
}

#[pymethods]
impl Split {
    #[new]
    fn new(py: Python<'_>, data: Bytes<'_>) -> PyResult<Self> {
        let split = attached(py, || sstore::Split::decode(data.as_slice()))?;
        Ok(Self { split, encoded: data.as_slice().to_vec(), _kept: None })
    }

    /// The directory of the database, as it was opened: a relative path is seen from the process that reads.
    #[getter]
    fn database(&self) -> &Path {
        &self.split.database
    }

    /// The name of the table.
    #[getter]
    fn table(&self) -> &str {
        &self.split.table
    }

    /// The last write that it shows.
    #[getter]
    fn sequence(&self) -> u64 {
        self.split.sequence
    }

    /// About how many rows it reads: versions and deletes, before any condition.
    #[getter]
    fn estimated_rows(&self) -> u64 {
        self.split.estimated_rows
    }

    /// About how many bytes of file it reads.
    #[getter]
    fn estimated_bytes(&self) -> u64 {
        self.split.estimated_bytes
    }

    /// Reads it. ``database`` is the directory of the database, if it is another one here.
    ///
    /// CorruptionError if a file is gone, or is not to the byte the one that it was.
    #[pyo3(signature = (*, database=None))]
    fn scan(&self, py: Python<'_>, database: Option<PathBuf>) -> PyResult<Scan> {
        // Scans read past the cache.
        let rows = detached(py, || match database {
            Some(database) => sstore::Split { database, ..self.split.clone() }.run(&posix(), 0),
            None => self.split.run(&posix(), 0),
        })?;
        Ok(Scan::of_split(rows))
    }

    /// Hands a scan of it over as an Arrow stream.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        self.scan(py, None)?.__arrow_c_stream__(py, requested_schema)
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.encoded)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().encoded == self.encoded)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyBytes::new(py, &self.encoded).hash()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((slf.get_type().into_any(), (slf.get().__bytes__(slf.py()),)))
    }

    fn __repr__(&self) -> String {
        let Self { split, .. } = self;
        format!("<sstore.Split of {:?} at {}, about {} rows>", split.table, split.sequence, split.estimated_rows)
    }
}
