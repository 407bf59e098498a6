//! Writing to a family: one key, many, under a condition.
//!
//! The interpreter lock is held for a write that goes into memory alone, and released for one that may wait.

use super::{ColumnFamily, Target, write_options};
use crate::batch::WriteBatch;
use crate::bytes::Bytes;
use crate::error::{attached, detached};
use crate::ticker::Ticker;
use pyo3::prelude::*;
use sstore::{Condition, ErrorKind, WriteOptions};

/// Values longer than this are copied with the interpreter lock released.
const LONG_VALUE_BYTES: usize = 256 << 10;

impl ColumnFamily {
    /// Writes with the interpreter lock held unless that would make other threads wait: for the disk, for a stall, for a
    /// long copy.
    fn write(
        &self,
        py: Python<'_>,
        sync: Option<bool>,
        bytes: usize,
        call: impl Fn(&WriteOptions) -> sstore::Result<u64> + Send + Sync,
    ) -> PyResult<u64> {
        let options = write_options(sync);
        if !sync.unwrap_or(!self.shared.buffered) && bytes <= LONG_VALUE_BYTES {
            let quick = WriteOptions { no_stall: true, ..options };
            let tried = attached(py, || match call(&quick) {
                Ok(sequence) => Ok(Some(sequence)),
                Err(error) if error.kind() == ErrorKind::Stalled => Ok(None),
                Err(error) => Err(error),
            })?;
            if let Some(sequence) = tried {
                return Ok(sequence);
            }
        }
        detached(py, || call(&options))
    }

    fn put_when(
        &self,
        py: Python<'_>,
        key: &[u8],
        value: &[u8],
        condition: Condition,
        sync: Option<bool>,
    ) -> PyResult<u64> {
        let mut batch = sstore::WriteBatch::new();
        attached(py, || batch.put(self.family.id(), key, value))?;
        let options = write_options(sync);
        detached(py, || self.shared.db().write_if(&self.family, key, condition, &batch, &options))
    }
}

#[pymethods]
impl ColumnFamily {
    /// Sets `key` to `value` and returns the sequence of the write.
    #[pyo3(signature = (key, value, *, sync=None))]
    fn put(&self, py: Python<'_>, key: Bytes<'_>, value: Bytes<'_>, sync: Option<bool>) -> PyResult<u64> {
        let (shared, family, key, value) = (&*self.shared, &self.family, key.as_slice(), value.as_slice());
        if sync.is_none() && shared.buffered && value.len() <= LONG_VALUE_BYTES {
            return match attached(py, || shared.db().try_put(family, key, value))? {
                Some(sequence) => Ok(sequence),
                None => detached(py, || shared.db().put(family, key, value, &WriteOptions::default())),
            };
        }
        self.write(py, sync, value.len(), |options| shared.db().put(family, key, value, options))
    }

    /// Removes `key`, which need not exist, and returns the sequence of the write.
    #[pyo3(signature = (key, *, sync=None))]
    fn delete(&self, py: Python<'_>, key: Bytes<'_>, sync: Option<bool>) -> PyResult<u64> {
        let (shared, family, key) = (&*self.shared, &self.family, key.as_slice());
        self.write(py, sync, 0, |options| shared.db().delete(family, key, options))
    }

    /// Sets many keys and returns how many.
    ///
    /// ``put_many(data)`` takes a mapping, an iterable of pairs, or Arrow data with the columns ``key`` and ``value`` (or just two) of
    /// binary type. ``put_many(keys, values)`` takes two columns of the same length, each as for ``multi_get``.
    /// All of them become visible and durable together, unless ``atomic=False``, which writes in parts and so needs little
    /// memory. ``progress`` is called with a ``Progress`` that counts pairs, ten times a second at most and once at the end; an answer of
    /// False raises CancelledError: of what was to be atomic nothing is written, else a part.
    #[pyo3(signature = (data, values=None, *, sync=None, atomic=true, progress=None))]
    pub(super) fn put_many<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        values: Option<&Bound<'py, PyAny>>,
        sync: Option<bool>,
        atomic: bool,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<usize> {
        let ticker = Ticker::to(progress, "put_many", "pairs")?;
        let mut target = Target::new(&self.shared, self.family.id(), sync, atomic).telling(ticker);
        target.put_all(py, data, values)?;
        target.finish(py)
    }

    /// Removes many keys, given as for ``multi_get``, together unless ``atomic=False``. Returns how many were given.
    #[pyo3(signature = (keys, *, sync=None, atomic=true))]
    fn delete_many<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        sync: Option<bool>,
        atomic: bool,
    ) -> PyResult<usize> {
        let mut target = Target::new(&self.shared, self.family.id(), sync, atomic);
        target.delete_all(py, keys)?;
        target.finish(py)
    }

    /// Sets `key` to `value` if it is missing, else raises ConflictError. Returns the sequence of the write.
    #[pyo3(signature = (key, value, *, sync=None))]
    fn put_if_absent(&self, py: Python<'_>, key: Bytes<'_>, value: Bytes<'_>, sync: Option<bool>) -> PyResult<u64> {
        self.put_when(py, key.as_slice(), value.as_slice(), Condition::Absent, sync)
    }

    /// Sets `key` to `value` if its last write is `sequence` (see ``get_with_sequence``), else raises ConflictError.
    #[pyo3(signature = (key, value, sequence, *, sync=None))]
    fn replace(
        &self,
        py: Python<'_>,
        key: Bytes<'_>,
        value: Bytes<'_>,
        sequence: u64,
        sync: Option<bool>,
    ) -> PyResult<u64> {
        self.put_when(py, key.as_slice(), value.as_slice(), Condition::Sequence(sequence), sync)
    }

    /// Writes `batch` if the last write of `key` is `sequence` (see ``get_with_sequence``), or with None if `key` is missing; else raises
    /// ConflictError and leaves the batch as it is. Decided and done in one step. Returns the sequence of the batch's last operation.
    #[pyo3(signature = (key, sequence, batch, *, sync=None))]
    fn write_if(
        &self,
        py: Python<'_>,
        key: Bytes<'_>,
        sequence: Option<u64>,
        batch: &Bound<'_, WriteBatch>,
        sync: Option<bool>,
    ) -> PyResult<u64> {
        let condition = sequence.map_or(Condition::Absent, Condition::Sequence);
        batch.get().write_if(py, &self.shared, &self.family, key.as_slice(), condition, sync)
    }

    /// A batch of writes, as a context manager: written at the end of the block, discarded if the block raises.
    #[pyo3(signature = (*, sync=None))]
    fn write_batch(&self, sync: Option<bool>) -> WriteBatch {
        WriteBatch::new(&self.shared, &self.family, sync)
    }

    fn __setitem__(&self, py: Python<'_>, key: Bytes<'_>, value: Bytes<'_>) -> PyResult<()> {
        self.put(py, key, value, None).map(|_| ())
    }

    fn __delitem__(&self, py: Python<'_>, key: Bytes<'_>) -> PyResult<()> {
        match self.find(py, key.as_slice())? {
            Some(_) => self.delete(py, key, None).map(|_| ()),
            None => Err(Self::missing(py, key.as_slice())),
        }
    }
}
