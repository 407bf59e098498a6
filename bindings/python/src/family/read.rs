//! Reading by key, for families, snapshots and whatever else reads: one key, many, without a copy, into a buffer.
//!
//! The interpreter lock is held for what lies in memory, and released for what may need the disk.

use super::ColumnFamily;
use crate::array::Array;
use crate::bytes::Bytes;
use crate::columns::Column;
use crate::error::{attached, detached, to_python};
use crate::pinned::{self, Writable};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView};
use sstore::{Error, ErrorKind, PinnedBytes, ReadOptions};

/// Keys looked up between two looks for Ctrl-C.
const KEYS_PER_CHECK: usize = 1 << 16;

/// The value of a key, pinned: with the interpreter lock held if it is in memory, else with the lock released.
#[inline]
pub(crate) fn read(
    py: Python<'_>,
    shared: &Shared,
    family: &sstore::ColumnFamily,
    key: &[u8],
    snapshot: Option<&sstore::Snapshot>,
) -> PyResult<Option<PinnedBytes>> {
    let options = ReadOptions { snapshot };
    match attached(py, || shared.db().try_get_resident(family, key, &options))? {
        Some(found) => Ok(found),
        None => detached(py, || shared.db().get(family, key, &options)),
    }
}

/// Copies the value of a key into `buffer` and gives its length; None if the key is missing.
pub(crate) fn read_into(
    py: Python<'_>,
    shared: &Shared,
    family: &sstore::ColumnFamily,
    key: &[u8],
    buffer: &Bound<'_, PyAny>,
    snapshot: Option<&sstore::Snapshot>,
) -> PyResult<Option<usize>> {
    let buffer = Writable::of(buffer)?;
    let Some(value) = read(py, shared, family, key, snapshot)? else { return Ok(None) };
    if buffer.fill(&value) {
        return Ok(Some(value.len()));
    }
    let message = format!("the value has {} bytes, the buffer room for {}", value.len(), buffer.len_bytes());
    Err(to_python(py, &Error::new(ErrorKind::TooSmall, message)))
}

/// The values of many keys, as of one moment.
fn pinned_many(
    py: Python<'_>,
    shared: &Shared,
    family: &sstore::ColumnFamily,
    keys: &[&[u8]],
    snapshot: Option<&sstore::Snapshot>,
) -> PyResult<Vec<Option<PinnedBytes>>> {
    if keys.len() <= KEYS_PER_CHECK {
        return detached(py, || shared.db().multi_get(family, keys, &ReadOptions { snapshot }));
    }
    let taken = match snapshot {
        Some(snapshot) => snapshot.clone(),
        None => attached(py, || shared.db().snapshot())?,
    };
    let mut values = Vec::with_capacity(keys.len());
    for part in keys.chunks(KEYS_PER_CHECK) {
        py.check_signals()?;
        let options = ReadOptions { snapshot: Some(&taken) };
        values.extend(detached(py, || shared.db().multi_get(family, part, &options))?);
    }
    Ok(values)
}

/// The values of many keys as a list, `default` for the missing.
pub(crate) fn read_many<'py>(
    py: Python<'py>,
    shared: &Shared,
    family: &sstore::ColumnFamily,
    keys: &Bound<'py, PyAny>,
    default: Option<Bound<'py, PyAny>>,
    snapshot: Option<&sstore::Snapshot>,
) -> PyResult<Bound<'py, PyList>> {
    let keys = Column::of(py, keys)?;
    let values = pinned_many(py, shared, family, &keys.slices(), snapshot)?;
    let default = default.unwrap_or_else(|| py.None().into_bound(py));
    let give = |value: &Option<PinnedBytes>| match value {
        Some(value) => PyBytes::new(py, value).into_any(),
        None => default.clone(),
    };
    PyList::new(py, values.iter().map(give))
}

/// The values of many keys as an Arrow array, null for the missing.
pub(crate) fn read_many_arrow(
    py: Python<'_>,
    shared: &Shared,
    family: &sstore::ColumnFamily,
    keys: &Bound<'_, PyAny>,
    snapshot: Option<&sstore::Snapshot>,
) -> PyResult<Array> {
    let keys = Column::of(py, keys)?;
    let values = pinned_many(py, shared, family, &keys.slices(), snapshot)?;
    detached(py, || Array::of_values(&values))
}

impl ColumnFamily {
    #[inline]
    pub(super) fn find(&self, py: Python<'_>, key: &[u8]) -> PyResult<Option<PinnedBytes>> {
        read(py, &self.shared, &self.family, key, None)
    }

    /// As [`Self::find`], at a snapshot if one is given.
    fn find_at(
        &self,
        py: Python<'_>,
        key: &[u8],
        snapshot: Option<&Bound<'_, Snapshot>>,
    ) -> PyResult<Option<PinnedBytes>> {
        let Some(snapshot) = snapshot else { return self.find(py, key) };
        let snapshot = snapshot.get().of(py, &self.shared)?;
        read(py, &self.shared, &self.family, key, Some(&snapshot))
    }
}

#[pymethods]
impl ColumnFamily {
    /// The value of `key`, or `default`.
    #[pyo3(signature = (key, default=None, *, snapshot=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: Bytes<'py>,
        default: Option<Bound<'py, PyAny>>,
        snapshot: Option<&Bound<'py, Snapshot>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.find_at(py, key.as_slice(), snapshot)? {
            Some(value) => Ok(Some(PyBytes::new(py, &value).into_any())),
            None => Ok(default),
        }
    }

    /// The value of `key` as a read-only memoryview of where it lies, without a copy; None if it is missing.
    ///
    /// While the view lives, so does the block or memtable that holds the value, some kilobytes to megabytes: for values that are
    /// large, or looked at for a moment. The view stays good after later writes, and after the database was closed.
    #[pyo3(signature = (key, *, snapshot=None))]
    fn get_view<'py>(
        &self,
        py: Python<'py>,
        key: Bytes<'py>,
        snapshot: Option<&Bound<'py, Snapshot>>,
    ) -> PyResult<Option<Bound<'py, PyMemoryView>>> {
        self.find_at(py, key.as_slice(), snapshot)?.map(|value| pinned::view(py, value)).transpose()
    }

    /// Copies the value of `key` into `buffer`, such as a bytearray, and returns its length; None if the key is missing.
    ///
    /// TooSmallError if there is no room for it: then nothing is copied.
    #[pyo3(signature = (key, buffer, *, snapshot=None))]
    fn get_into<'py>(
        &self,
        py: Python<'py>,
        key: Bytes<'py>,
        buffer: &Bound<'py, PyAny>,
        snapshot: Option<&Bound<'py, Snapshot>>,
    ) -> PyResult<Option<usize>> {
        let snapshot = self.at(py, snapshot)?;
        read_into(py, &self.shared, &self.family, key.as_slice(), buffer, snapshot.as_ref())
    }

    /// The value of `key` and the sequence of its write, for ``replace`` and ``write_if``; None if it is missing.
    fn get_with_sequence<'py>(&self, py: Python<'py>, key: Bytes<'py>) -> PyResult<Option<(Bound<'py, PyBytes>, u64)>> {
        let (key, options) = (key.as_slice(), ReadOptions::default());
        let found = detached(py, || self.shared.db().get_with_sequence(&self.family, key, &options))?;
        Ok(found.map(|(value, sequence)| (PyBytes::new(py, &value), sequence)))
    }

    /// The values of `keys`, in their order, `default` for the missing; all from the same moment.
    ///
    /// Keys come as an iterable of bytes, as a binary column of any Arrow library, or as a NumPy array: of dtype S or V, or of uint8
    /// with a row for each key.
    #[pyo3(signature = (keys, default=None, *, snapshot=None))]
    fn multi_get<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
        snapshot: Option<&Bound<'py, Snapshot>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let snapshot = self.at(py, snapshot)?;
        read_many(py, &self.shared, &self.family, keys, default, snapshot.as_ref())
    }

    /// The values of `keys` side by side as an Arrow array, null for the missing: ``pyarrow.array(db.multi_get_arrow(keys))``.
    #[pyo3(signature = (keys, *, snapshot=None))]
    fn multi_get_arrow<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        snapshot: Option<&Bound<'py, Snapshot>>,
    ) -> PyResult<Array> {
        let snapshot = self.at(py, snapshot)?;
        read_many_arrow(py, &self.shared, &self.family, keys, snapshot.as_ref())
    }

    /// Whether `key` has a value.
    fn contains(&self, py: Python<'_>, key: Bytes<'_>) -> PyResult<bool> {
        self.__contains__(py, key)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: Bytes<'py>) -> PyResult<Bound<'py, PyBytes>> {
        match self.find(py, key.as_slice())? {
            Some(value) => Ok(PyBytes::new(py, &value)),
            None => Err(Self::missing(py, key.as_slice())),
        }
    }

    fn __contains__(&self, py: Python<'_>, key: Bytes<'_>) -> PyResult<bool> {
        let (options, key) = (ReadOptions::default(), key.as_slice());
        match attached(py, || self.shared.db().try_get_resident(&self.family, key, &options))? {
            Some(found) => Ok(found.is_some()),
            None => detached(py, || self.shared.db().contains(&self.family, key, &options)),
        }
    }
}
