//! A database that is open for reading only: refreshed, pickled, opened again by other processes.

use super::{DB, made};
use crate::error::{attached, detached};
use crate::options::texts;
use crate::shared::Shared;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::sync::Arc;

/// A database that is open for reading, without a lock and without changing a byte, also beside a writer in this or another process.
///
/// The same as ``sstore.open(path, read_only=True)``. It shows what was there when it was opened; ``refresh`` brings it up to date.
///
/// It can be pickled, and copied: as its path and options, with which whoever unpickles it opens the database for itself, as it is by then. So it may
/// be handed to the workers of ``multiprocessing`` or of a data loader, who refresh it when they like. Its iterators, tables and
/// snapshots cannot, and a process that was forked opens anew.
#[pyclass(frozen, mapping, extends = DB, module = "sstore")]
pub(crate) struct ReadOnlyDB {
    shared: Arc<Shared>,
    /// As it was opened, from wherever the other process may be.
    path: PathBuf,
    options: Vec<(String, String)>,
}

#[pymethods]
impl ReadOnlyDB {
    #[new]
    #[pyo3(signature = (path, *, on_event=None, **options))]
    pub(super) fn new(
        py: Python<'_>,
        path: PathBuf,
        on_event: Option<Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let path = std::path::absolute(path)?;
        let mut options = texts(options)?;
        options.retain(|(name, _)| name != "read_only");
        let mut parsed = sstore::Options::new();
        for (name, text) in &options {
            attached(py, || parsed.set(name, text))?;
        }
        attached(py, || parsed.set("read_only", "true"))?;
        let (shared, base) = made(py, path.clone(), on_event, parsed)?;
        Ok(base.add_subclass(Self { shared, path, options }))
    }

    /// Shows from now on what the writer has done by now. True if reads may answer otherwise than before.
    ///
    /// Whatever was acknowledged before the call is in it, and it never goes back. Iterators, scans, snapshots and views that are held go on as
    /// they are; column families and tables show the new state, and raise DroppedError if they were dropped. Waits for nobody. After an
    /// error all is as it was; BusyError says to try again.
    fn refresh(&self, py: Python<'_>) -> PyResult<bool> {
        detached(py, || self.shared.db().refresh()).map(|refreshed| refreshed.changed)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let keywords = PyDict::new(py);
        for (name, text) in &this.options {
            keywords.set_item(name, text)?;
        }
        let make = py.import("copyreg")?.getattr("__newobj_ex__")?;
        let path = this.path.as_os_str();
        (make, (slf.get_type(), (path,), keywords)).into_bound_py_any(py)
    }

    // Of its own, as that of `DB` counts on two holders. And a class between two others that have none would be visited without an end: the compiler
    // makes one function of theirs, and by its address pyo3 tells which class it is at.
    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match &self.shared.listener {
            Some(listener) if Arc::strong_count(&self.shared) == 3 => listener.visit(&visit),
            _ => Ok(()),
        }
    }

    fn __clear__(&self, py: Python<'_>) {
        if let Some(listener) = &self.shared.listener {
            listener.clear(py);
        }
    }
}
