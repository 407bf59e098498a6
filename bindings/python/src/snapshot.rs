//! Snapshots: the database as it was at one moment, in all its column families.

use crate::array::Array;
use crate::bytes::Bytes;
use crate::error::{attached, to_python};
use crate::family::{self, ColumnFamily};
use crate::html;
use crate::iterate::{Cursor, Iterator, Span, count};
use crate::pinned;
use crate::scan::Scan;
use crate::shared::{Owned, Shared};
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBool, PyBytes, PyInt, PyList, PyMemoryView};
use sstore::{Error, ErrorKind, PinnedBytes};
use std::sync::{Arc, Mutex, PoisonError};

/// The database as it was at one moment; reads of it are consistent with each other, whatever is written meanwhile.
///
/// As a read-only mapping it is the default family; every call takes another one as ``column_family``. A context manager; close it, since it
/// keeps old versions from being dropped. Thread-safe.
#[pyclass(frozen, mapping, module = "sstore")]
pub(crate) struct Snapshot {
    /// Dropped before `shared`, which alone lets go of the interpreter when it is the last.
    snapshot: Mutex<Option<Owned<sstore::Snapshot>>>,
    shared: Arc<Shared>,
}

impl Snapshot {
    pub(crate) fn new(shared: &Arc<Shared>, snapshot: sstore::Snapshot) -> Self {
        Self { shared: shared.clone(), snapshot: Mutex::new(Some(Owned::new(snapshot))) }
    }

    /// The engine's snapshot, if this one is open and of the database `shared`. For the length of a call: no `Owned`, which asks the system
    /// for the process.
    pub(crate) fn of(&self, py: Python<'_>, shared: &Arc<Shared>) -> PyResult<sstore::Snapshot> {
        if !Arc::ptr_eq(&self.shared, shared) {
            return Err(crate::error::invalid(py, "the snapshot is of another database"));
        }
        match &*self.snapshot.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner) {
            Some(snapshot) => Ok((**snapshot).clone()),
            None => Err(to_python(py, &Error::new(ErrorKind::Closed, "the snapshot was closed"))),
        }
    }

    fn find(
        &self,
        py: Python<'_>,
        key: &[u8],
        family: Option<&Bound<'_, ColumnFamily>>,
    ) -> PyResult<Option<PinnedBytes>> {
        let (family, snapshot) = (self.family(py, family)?, self.of(py, &self.shared)?);
        family::read(py, &self.shared, &family, key, Some(&snapshot))
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
    pub(crate) fn of(&self, py: Python<'_>, shared: &Arc<Shared>) -> PyResult<sstore::Snapshot> {
        match self {
            Self::Snapshot(snapshot) => snapshot.get().of(py, shared),
            Self::Sequence(sequence) => attached(py, || shared.db().snapshot_at(*sequence)),
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
        match self.find(py, key.as_slice(), column_family)? {
            Some(value) => Ok(Some(PyBytes::new(py, &value).into_any())),
            None => Ok(default),
        }
    }

    /// The value of `key` as a read-only memoryview of where it lies: ``DB.get_view``.
    #[pyo3(signature = (key, *, column_family=None))]
    fn get_view<'py>(
        &self,
        py: Python<'py>,
        key: Bytes<'py>,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<Option<Bound<'py, PyMemoryView>>> {
        self.find(py, key.as_slice(), column_family)?.map(|value| pinned::view(py, value)).transpose()
    }

    /// Copies the value of `key` into `buffer` and returns its length: ``DB.get_into``.
    #[pyo3(signature = (key, buffer, *, column_family=None))]
    fn get_into<'py>(
        &self,
        py: Python<'py>,
        key: Bytes<'py>,
        buffer: &Bound<'py, PyAny>,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<Option<usize>> {
        let (family, snapshot) = (self.family(py, column_family)?, self.of(py, &self.shared)?);
        family::read_into(py, &self.shared, &family, key.as_slice(), buffer, Some(&snapshot))
    }

    /// The values of `keys` at the snapshot, `default` for the missing: ``DB.multi_get``.
    #[pyo3(signature = (keys, default=None, *, column_family=None))]
    fn multi_get<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let (family, snapshot) = (self.family(py, column_family)?, self.of(py, &self.shared)?);
        family::read_many(py, &self.shared, &family, keys, default, Some(&snapshot))
    }

    /// The values of `keys` at the snapshot as an Arrow array, null for the missing: ``DB.multi_get_arrow``.
    #[pyo3(signature = (keys, *, column_family=None))]
    fn multi_get_arrow<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<Array> {
        let (family, snapshot) = (self.family(py, column_family)?, self.of(py, &self.shared)?);
        family::read_many_arrow(py, &self.shared, &family, keys, Some(&snapshot))
    }

    /// Iterates at the snapshot; the arguments are those of ``DB.iter``.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, reverse=false, include_start=true, include_stop=false,
        keys=true, values=true, scan=false, strip_prefix=false, column_family=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn iter<'py>(
        &self,
        py: Python<'py>,
        start: Option<Bytes<'py>>,
        stop: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
        reverse: bool,
        include_start: bool,
        include_stop: bool,
        keys: bool,
        values: bool,
        scan: bool,
        strip_prefix: bool,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<Iterator> {
        let (family, snapshot) = (self.family(py, column_family)?, self.of(py, &self.shared)?);
        let span = Span { start, stop, prefix, include_start, include_stop, strip_prefix };
        Iterator::open(py, &self.shared, &family, span.place(Some(&snapshot), scan), reverse, keys, values)
    }

    /// A cursor at the snapshot; the arguments are those of ``DB.cursor``.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, include_start=true, include_stop=false, scan=false,
        strip_prefix=false, column_family=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn cursor<'py>(
        &self,
        py: Python<'py>,
        start: Option<Bytes<'py>>,
        stop: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
        include_start: bool,
        include_stop: bool,
        scan: bool,
        strip_prefix: bool,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<Cursor> {
        let (family, snapshot) = (self.family(py, column_family)?, self.of(py, &self.shared)?);
        let span = Span { start, stop, prefix, include_start, include_stop, strip_prefix };
        Cursor::open(py, &self.shared, &family, span.place(Some(&snapshot), scan))
    }

    /// Keys and values at the snapshot as an Arrow stream; the arguments are those of ``DB.scan_arrow``.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, reverse=false, include_start=true, include_stop=false,
        keys=true, values=true, scan=true, strip_prefix=false, batch_rows=65536, column_family=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn scan_arrow<'py>(
        &self,
        py: Python<'py>,
        start: Option<Bytes<'py>>,
        stop: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
        reverse: bool,
        include_start: bool,
        include_stop: bool,
        keys: bool,
        values: bool,
        scan: bool,
        strip_prefix: bool,
        batch_rows: usize,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<Scan> {
        let (family, snapshot) = (self.family(py, column_family)?, self.of(py, &self.shared)?);
        let span = Span { start, stop, prefix, include_start, include_stop, strip_prefix };
        let placed = span.place(Some(&snapshot), scan);
        family::scan_entries(py, &self.shared, &family, placed, reverse, (keys, values), batch_rows)
    }

    /// How many keys there are from `start` to `stop`, or with `prefix`, by walking over them.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, column_family=None))]
    fn count<'py>(
        &self,
        py: Python<'py>,
        start: Option<Bytes<'py>>,
        stop: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<usize> {
        let (family, snapshot) = (self.family(py, column_family)?, self.of(py, &self.shared)?);
        let span = Span { start, stop, prefix, include_start: true, include_stop: false, strip_prefix: false };
        count(py, &self.shared, &family, span.place(Some(&snapshot), true).options)
    }

    /// The keys that begin with `prefix`, as a read-only mapping of its own: its keys go without the prefix.
    #[pyo3(signature = (prefix, *, column_family=None))]
    fn prefixed<'py>(
        slf: &Bound<'py, Self>,
        prefix: Bytes<'py>,
        column_family: Option<&Bound<'py, ColumnFamily>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let class = slf.py().import("sstore._views")?.getattr("PrefixedSnapshot")?;
        class.call1((slf, prefix.as_slice(), column_family))
    }

    /// The keys of the default family, in order.
    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        family::view(slf.as_any(), "SortedKeys")
    }

    /// The values of the default family, in the order of their keys.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        family::view(slf.as_any(), "SortedValues")
    }

    /// The pairs of key and value of the default family, in order.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        family::view(slf.as_any(), "SortedItems")
    }

    /// Releases the snapshot. Closing twice is allowed.
    fn close(&self, py: Python<'_>) {
        let snapshot = self.snapshot.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner).take();
        py.detach(move || drop(snapshot));
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: Bytes<'py>) -> PyResult<Bound<'py, PyBytes>> {
        match self.find(py, key.as_slice(), None)? {
            Some(value) => Ok(PyBytes::new(py, &value)),
            None => Err(PyKeyError::new_err(PyBytes::new(py, key.as_slice()).unbind())),
        }
    }

    fn __contains__(&self, py: Python<'_>, key: Bytes<'_>) -> PyResult<bool> {
        Ok(self.find(py, key.as_slice(), None)?.is_some())
    }

    /// Counts the keys by walking over all of them.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.count(py, None, None, None, None)
    }

    /// Whether there is any key; does not count them.
    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        let keys = self.iter(py, None, None, None, false, true, false, true, false, false, false, None)?;
        keys.has_next(py)
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Iterator> {
        self.iter(py, None, None, None, false, true, false, true, false, false, false, None)
    }

    fn __reversed__(&self, py: Python<'_>) -> PyResult<Iterator> {
        self.iter(py, None, None, None, true, true, false, true, false, false, false, None)
    }

    /// Equal to a mapping with the same keys and values.
    fn __eq__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        family::equal(slf.as_any(), other)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }

    /// Which moment of which database it is, for notebooks.
    fn _repr_html_(&self, py: Python<'_>) -> String {
        html::title(&format!("{} of {:?}", self.__repr__(py), self.shared.db().path()))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        match self.of(py, &self.shared) {
            Ok(snapshot) if !self.shared.db().is_closed() => format!("<sstore.Snapshot at {}>", snapshot.sequence()),
            _ => "<sstore.Snapshot closed>".to_owned(),
        }
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle sstore.Snapshot: it belongs to this process"))
    }
}
