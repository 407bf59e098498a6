//! Snapshots: the database as it was at one moment, in all its column families.

use crate::bytes::Bytes;
use crate::error::{attached, to_python};
use crate::family::{self, ColumnFamily};
use crate::iterate::{Iterator, Span};
use crate::shared::{Owned, Shared};
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBool, PyBytes, PyInt};
use sstore::{Error, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};

/// The database as it was at one moment; reads of it are consistent with each other, whatever is written meanwhile.
///
/// A context manager; close it, since it keeps old versions from being dropped. Thread-safe.
#[pyclass(frozen, module = "sstore")]
pub(crate) struct Snapshot {
    /// Dropped before `shared`, which alone lets go of the interpreter when it is the last.
    snapshot: Mutex<Option<Owned<sstore::Snapshot>>>,
    shared: Arc<Shared>,
}

impl Snapshot {
    pub(crate) fn new(shared: &Arc<Shared>, snapshot: sstore::Snapshot) -> Self {
        Self { shared: shared.clone(), snapshot: Mutex::new(Some(Owned::new(snapshot))) }
    }

    /// The engine's snapshot, if this one is open and of the database `shared`.
    pub(crate) fn of(&self, py: Python<'_>, shared: &Arc<Shared>) -> PyResult<Owned<sstore::Snapshot>> {
        if !Arc::ptr_eq(&self.shared, shared) {
            return Err(crate::error::invalid(py, "the snapshot is of another database"));
        }
        match &*self.snapshot.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner) {
            Some(snapshot) => Ok(Owned::new((**snapshot).clone())),
            None => Err(to_python(py, &Error::new(ErrorKind::Closed, "the snapshot was closed"))),
        }
    }

    fn family(&self, py: Python<'_>, family: Option<&Bound<'_, ColumnFamily>>) -> PyResult<sstore::ColumnFamily> {
        family::resolve(py, &self.shared, family)
    }
}

/// A moment to read at: a snapshot, or the sequence of one that is open.
pub(crate) enum Moment<'py> {
    Snapshot(Bound<'py, Snapshot>),
    Sequence(u64),
}

impl<'py> FromPyObject<'_, 'py> for Moment<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(snapshot) = object.cast::<Snapshot>() {
            return Ok(Self::Snapshot(snapshot.to_owned()));
        }
        if object.is_instance_of::<PyInt>() && !object.is_instance_of::<PyBool>() {
            return object.extract().map(Self::Sequence);
        }
        let found = object.get_type().name()?;
        Err(PyTypeError::new_err(format!("as_of is a snapshot or the sequence of one that is open, not {found}")))
    }
}

impl Moment<'_> {
    /// The engine's snapshot of it, if there is one in the database `shared`.
    pub(crate) fn of(&self, py: Python<'_>, shared: &Arc<Shared>) -> PyResult<Owned<sstore::Snapshot>> {
        match self {
            Self::Snapshot(snapshot) => snapshot.get().of(py, shared),
            Self::Sequence(sequence) => Ok(Owned::new(attached(py, || shared.db().snapshot_at(*sequence))?)),
        }
    }
}

#[pymethods]
impl Snapshot {
    /// The last write that the snapshot sees.
    #[getter]
    fn sequence(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.of(py, &self.shared)?.sequence())
    }

    /// The value of `key` at the snapshot, or `default`.
    #[pyo3(signature = (key, default=None, *, column_family=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: Bytes<'py>,
        default: Option<Bound<'py, PyAny>>,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (family, snapshot) = (self.family(py, column_family)?, self.of(py, &self.shared)?);
        let found = family::read(py, &self.shared, &family, key.as_slice(), Some(&snapshot))?;
        Ok(found.map(|value| PyBytes::new(py, &value).into_any()).or(default))
    }

    /// The values of `keys` at the snapshot, `default` for the missing.
    #[pyo3(signature = (keys, default=None, *, column_family=None))]
    fn multi_get<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
        let (family, snapshot) = (self.family(py, column_family)?, self.of(py, &self.shared)?);
        family::read_many(py, &self.shared, &family, keys, default, Some(&snapshot))
    }

    /// Iterates at the snapshot; the arguments are those of ``DB.iterator``.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, reverse=false, include_key=true, include_value=true,
        include_start=true, include_stop=false, scan=false, column_family=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn iterator<'py>(
        &self,
        py: Python<'py>,
        start: Option<Bytes<'py>>,
        stop: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
        reverse: bool,
        include_key: bool,
        include_value: bool,
        include_start: bool,
        include_stop: bool,
        scan: bool,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<Iterator> {
        let (family, snapshot) = (self.family(py, column_family)?, self.of(py, &self.shared)?);
        let span = Span { start, stop, prefix, include_start, include_stop };
        let options = span.into_options(Some(&snapshot), scan);
        Iterator::open(py, &self.shared, &family, options, reverse, include_key, include_value)
    }

    /// Releases the snapshot. Closing twice is allowed.
    fn close(&self, py: Python<'_>) {
        let snapshot = self.snapshot.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner).take();
        py.detach(move || drop(snapshot));
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: Bytes<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let snapshot = self.of(py, &self.shared)?;
        let family = self.family(py, None)?;
        match family::read(py, &self.shared, &family, key.as_slice(), Some(&snapshot))? {
            Some(value) => Ok(PyBytes::new(py, &value)),
            None => Err(PyKeyError::new_err(PyBytes::new(py, key.as_slice()).unbind())),
        }
    }

    fn __contains__(&self, py: Python<'_>, key: Bytes<'_>) -> PyResult<bool> {
        let snapshot = self.of(py, &self.shared)?;
        let family = self.family(py, None)?;
        Ok(family::read(py, &self.shared, &family, key.as_slice(), Some(&snapshot))?.is_some())
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Iterator> {
        self.iterator(py, None, None, None, false, true, false, true, false, false, None)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        match self.of(py, &self.shared) {
            Ok(snapshot) => format!("<sstore.Snapshot at {}>", snapshot.sequence()),
            Err(_) => "<sstore.Snapshot closed>".to_owned(),
        }
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle sstore.Snapshot: it belongs to this process"))
    }
}
