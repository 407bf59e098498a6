//! Reading by key, for families, snapshots and whatever else reads: one key, many, without a copy, into a buffer.
//!
//! The interpreter lock is held for what lies in memory, and released for what may need the disk.

use crate::array::Array;
use crate::columns::Column;
use crate::error::{attached, detached, to_python};
use crate::pinned::Writable;
use crate::shared::Shared;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
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
        Some(snapshot) => crate::shared::Owned::new(snapshot.clone()),
        None => crate::shared::Owned::new(attached(py, || shared.db().snapshot())?),
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
