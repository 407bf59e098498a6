//! A column family as a `MutableMapping`, with the calls that a mapping lacks. `DB` extends it: a database is also its
//! default family.
//!
//! Here the class stands; its rooms do the work: `read` and `write` (for snapshots and batches too), `mapping`.

mod mapping;
mod read;
mod write;

pub(crate) use mapping::equal;
pub(crate) use read::{read, read_into, read_many, read_many_arrow};
pub(crate) use write::{Target, write_options};

use crate::array::Array;
use crate::batch::WriteBatch;
use crate::bytes::Bytes;
use crate::error::{attached, detached, invalid};
use crate::files::{LiveFiles, exported};
use crate::flush::FlushToken;
use crate::import;
use crate::iterate::{Cursor, EntryScan, Iterator, Placed, Span, count, entry_schema};
use crate::long_call::{Progress, long_call};
use crate::options::to_keywords;
use crate::pinned;
use crate::scan::Scan;
use crate::segments::segments_of;
use crate::shared::{Owned, Shared};
use crate::snapshot::{Moment, Snapshot};
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMemoryView, PyTuple};
use sstore::{Condition, ErrorKind, PinnedBytes, ReadOptions, WriteOptions};
use std::path::PathBuf;
use std::sync::Arc;

/// Values longer than this are copied with the interpreter lock released.
const LONG_VALUE_BYTES: usize = 256 << 10;

/// The family that an argument names, which must be of the database `shared`; the default one for None.
pub(crate) fn resolve(
    py: Python<'_>,
    shared: &Arc<Shared>,
    family: Option<&Bound<'_, ColumnFamily>>,
) -> PyResult<sstore::ColumnFamily> {
    match family.map(Bound::get) {
        None => Ok(shared.db().default_family()),
        Some(family) if Arc::ptr_eq(&family.shared, shared) => Ok(family.family.clone()),
        Some(_) => Err(invalid(py, "the column family is of another database")),
    }
}

/// A view class of `sstore._views` over `mapping`.
pub(crate) fn view<'py>(mapping: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    mapping.py().import("sstore._views")?.getattr(name)?.call1((mapping,))
}

/// A scan of the entries of `family`.
pub(crate) fn scan_entries(
    py: Python<'_>,
    shared: &Arc<Shared>,
    family: &sstore::ColumnFamily,
    mut placed: Placed,
    reverse: bool,
    columns: (bool, bool),
    batch_rows: usize,
) -> PyResult<Scan> {
    let (keys, values) = columns;
    if !keys && !values {
        return Err(invalid(py, "a scan gives keys, values or both"));
    }
    let schema = entry_schema(keys, values);
    let snapshot = match placed.options.snapshot.take() {
        Some(snapshot) => snapshot,
        None => attached(py, || shared.db().snapshot())?,
    };
    let sequence = snapshot.sequence();
    placed.options.snapshot = Some(snapshot);
    let opened = schema.clone();
    let scan = detached(py, || EntryScan::open(shared, family, placed, opened, batch_rows, reverse))?;
    Ok(Scan::of_entries(shared, scan, schema, sequence))
}

/// Flushes `families` (none: all), and waits for the result or hands out a token.
pub(crate) fn flush<'py>(
    py: Python<'py>,
    shared: &Arc<Shared>,
    families: &[&sstore::ColumnFamily],
    wait: bool,
    timeout: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let token = FlushToken::new(shared, detached(py, || shared.db().flush(families))?);
    if wait { token.wait(py, timeout) } else { Ok(Bound::new(py, token)?.into_any()) }
}

/// A named collection of keys and values inside a database: a sorted, persistent ``MutableMapping`` of bytes to bytes.
///
/// Every method may be called from any thread. ``sync=True`` makes a write wait until the disk has it.
#[pyclass(frozen, subclass, mapping, module = "sstore")]
pub(crate) struct ColumnFamily {
    /// Dropped first: whoever drops the last handle closes the database, and only [`Shared`] lets go of the interpreter for that.
    pub(crate) family: sstore::ColumnFamily,
    pub(crate) shared: Arc<Shared>,
}

impl ColumnFamily {
    #[inline]
    fn find(&self, py: Python<'_>, key: &[u8]) -> PyResult<Option<PinnedBytes>> {
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

    fn at(&self, py: Python<'_>, snapshot: Option<&Bound<'_, Snapshot>>) -> PyResult<Option<Owned<sstore::Snapshot>>> {
        snapshot.map(|snapshot| snapshot.get().of(py, &self.shared)).transpose()
    }

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
    /// The family's name.
    #[getter]
    fn name(&self) -> &str {
        self.family.name()
    }

    /// The family's number in the database; never used again after a drop.
    #[getter]
    fn id(&self) -> u32 {
        self.family.id().0
    }

    /// Whether the family was dropped.
    #[getter]
    fn dropped(&self) -> bool {
        self.family.is_dropped()
    }

    /// The options in force, as keywords of ``create_column_family``.
    #[getter]
    fn options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        to_keywords(py, &self.family.options())
    }

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
        read_into(py, &self.shared, &self.family, key.as_slice(), buffer, snapshot.as_deref())
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
        read_many(py, &self.shared, &self.family, keys, default, snapshot.as_deref())
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
        read_many_arrow(py, &self.shared, &self.family, keys, snapshot.as_deref())
    }

    /// Whether `key` has a value.
    fn contains(&self, py: Python<'_>, key: Bytes<'_>) -> PyResult<bool> {
        self.__contains__(py, key)
    }

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
    /// memory.
    #[pyo3(signature = (data, values=None, *, sync=None, atomic=true))]
    fn put_many<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        values: Option<&Bound<'py, PyAny>>,
        sync: Option<bool>,
        atomic: bool,
    ) -> PyResult<usize> {
        let mut target = Target::new(&self.shared, self.family.id(), sync, atomic);
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

    /// Iterates in key order from `start` to `stop`, or over the keys with `prefix`; yields pairs, or only keys or values.
    ///
    /// ``include_start`` and ``include_stop`` say whether the bounds belong to the range. ``reverse`` goes from the last key
    /// to the first. ``scan`` reads ahead and past the cache: for long scans. With ``strip_prefix`` keys are given without the prefix, and
    /// bounds are taken without it.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, reverse=false, include_start=true, include_stop=false,
        keys=true, values=true, snapshot=None, scan=false, strip_prefix=false))]
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
        snapshot: Option<&Bound<'py, Snapshot>>,
        scan: bool,
        strip_prefix: bool,
    ) -> PyResult<Iterator> {
        let snapshot = self.at(py, snapshot)?;
        let span = Span { start, stop, prefix, include_start, include_stop, strip_prefix };
        let placed = span.place(snapshot.as_deref(), scan);
        Iterator::open(py, &self.shared, &self.family, placed, reverse, keys, values)
    }

    /// A cursor over the keys from `start` to `stop`, or those with `prefix`, to move about; the arguments are those of ``iter``.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, include_start=true, include_stop=false, snapshot=None,
        scan=false, strip_prefix=false))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn cursor<'py>(
        &self,
        py: Python<'py>,
        start: Option<Bytes<'py>>,
        stop: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
        include_start: bool,
        include_stop: bool,
        snapshot: Option<&Bound<'py, Snapshot>>,
        scan: bool,
        strip_prefix: bool,
    ) -> PyResult<Cursor> {
        let snapshot = self.at(py, snapshot)?;
        let span = Span { start, stop, prefix, include_start, include_stop, strip_prefix };
        Cursor::open(py, &self.shared, &self.family, span.place(snapshot.as_deref(), scan))
    }

    /// The keys and values of a range as Arrow data, once: an Arrow stream of the binary columns ``key`` and ``value``, for pyarrow,
    /// Polars, DuckDB and others. The fastest way through many entries; the arguments are those of ``iter``.
    ///
    /// Record batches have ``batch_rows`` rows, or fewer if those are large.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, reverse=false, include_start=true, include_stop=false,
        keys=true, values=true, snapshot=None, scan=true, strip_prefix=false, batch_rows=65536))]
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
        snapshot: Option<&Bound<'py, Snapshot>>,
        scan: bool,
        strip_prefix: bool,
        batch_rows: usize,
    ) -> PyResult<Scan> {
        let snapshot = self.at(py, snapshot)?;
        let span = Span { start, stop, prefix, include_start, include_stop, strip_prefix };
        let placed = span.place(snapshot.as_deref(), scan);
        scan_entries(py, &self.shared, &self.family, placed, reverse, (keys, values), batch_rows)
    }

    /// How many keys there are from `start` to `stop`, or with `prefix`, by walking over them.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, snapshot=None))]
    fn count<'py>(
        &self,
        py: Python<'py>,
        start: Option<Bytes<'py>>,
        stop: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
        snapshot: Option<&Bound<'py, Snapshot>>,
    ) -> PyResult<usize> {
        let snapshot = self.at(py, snapshot)?;
        let span = Span { start, stop, prefix, include_start: true, include_stop: false, strip_prefix: false };
        count(py, &self.shared, &self.family, span.place(snapshot.as_deref(), true).options)
    }

    /// The keys that begin with `prefix`, as a mapping of its own: its keys go without the prefix, to it and from it.
    fn prefixed<'py>(slf: &Bound<'py, Self>, prefix: Bytes<'py>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("sstore._views")?.getattr("Prefixed")?.call1((slf, prefix.as_slice()))
    }

    /// Writes the family's memtables to files. Returns a FlushResult, or with ``wait=False`` a FlushToken.
    #[pyo3(signature = (wait=true, timeout=None))]
    fn flush<'py>(&self, py: Python<'py>, wait: bool, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        flush(py, &self.shared, &[&self.family], wait, timeout)
    }

    /// Merges all files of the family into one, and waits for it. After a Ctrl-C the merge goes on in the background.
    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        let (shared, family) = (self.shared.clone(), self.family.clone());
        let nobody = Progress::to(None, "compact", "bytes")?;
        long_call(py, &self.shared, &nobody, move |_| shared.db().compact(&family))
    }

    /// The family's live files.
    fn segments<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        segments_of(py, &self.shared, &self.family)
    }

    /// The family's live files, which are kept while the result is alive or open, as of now or of a snapshot.
    #[pyo3(signature = (*, as_of=None))]
    fn live_files(&self, py: Python<'_>, as_of: Option<Moment<'_>>) -> PyResult<LiveFiles> {
        let snapshot = as_of.map(|moment| moment.of(py, &self.shared)).transpose()?;
        let options = ReadOptions { snapshot: snapshot.as_deref() };
        LiveFiles::new(py, detached(py, || self.shared.db().live_files(&self.family, &options))?)
    }

    /// Flushes the family and puts hard links to its files into the new directory `directory`; copies, where links cannot be.
    ///
    /// The names sort oldest first. The directory appears whole, or not at all; after a Ctrl-C too, a little later. Returns an ``Export``.
    fn export<'py>(&self, py: Python<'py>, directory: PathBuf) -> PyResult<Bound<'py, PyAny>> {
        let (shared, family) = (self.shared.clone(), self.family.clone());
        let nobody = Progress::to(None, "export", "bytes")?;
        exported(py, &long_call(py, &self.shared, &nobody, move |_| shared.db().export(&family, &directory))?)
    }

    /// Writes everything that LevelDB would show of its database in `source` to the family; durable when it returns.
    ///
    /// The source is only read, every checksum in it is verified, and no process may have it open. Keys that are here already get LevelDB's
    /// value; others stay. ``progress`` is called with a ``Progress`` ten times a second at most and once at the end; returning False, or
    /// raising, calls the import off, and so does Ctrl-C: then a part of the entries is here, and it can be run again.
    /// ``skip_damaged=True`` skips and counts what is damaged, instead of refusing: what was deleted or overwritten there may come
    /// back. Returns a ``LevelDBImport``.
    #[pyo3(signature = (source, *, skip_damaged=false, progress=None))]
    fn import_leveldb<'py>(
        &self,
        py: Python<'py>,
        source: PathBuf,
        skip_damaged: bool,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        import::leveldb(py, &self.shared, self.family.clone(), source, skip_damaged, progress)
    }

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
        pairs.map_or(Ok(0), |pairs| self.put_many(py, pairs, None, None, true)).map(|_| ())
    }

    /// Removes all keys that are there now, in several batches.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.remove_all(py)
    }

    fn __ior__(&self, py: Python<'_>, pairs: &Bound<'_, PyAny>) -> PyResult<()> {
        self.update(py, Some(pairs))
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: Bytes<'py>) -> PyResult<Bound<'py, PyBytes>> {
        match self.find(py, key.as_slice())? {
            Some(value) => Ok(PyBytes::new(py, &value)),
            None => Err(Self::missing(py, key.as_slice())),
        }
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

    fn __contains__(&self, py: Python<'_>, key: Bytes<'_>) -> PyResult<bool> {
        let (options, key) = (ReadOptions::default(), key.as_slice());
        match attached(py, || self.shared.db().try_get_resident(&self.family, key, &options))? {
            Some(found) => Ok(found.is_some()),
            None => detached(py, || self.shared.db().contains(&self.family, key, &options)),
        }
    }

    /// Counts the keys by walking over all of them.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        count(py, &self.shared, &self.family, sstore::IterOptions::default())
    }

    /// Whether there is any key; does not count them.
    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.first(py, None)?.is_some())
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Iterator> {
        self.iter(py, None, None, None, false, true, false, true, false, None, false, false)
    }

    fn __reversed__(&self, py: Python<'_>) -> PyResult<Iterator> {
        self.iter(py, None, None, None, true, true, false, true, false, None, false, false)
    }

    /// Equal to a mapping with the same keys and values.
    fn __eq__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        equal(slf.as_any(), other)
    }

    fn __repr__(&self) -> String {
        let state = if self.shared.db().is_closed() {
            " closed"
        } else if self.family.is_dropped() {
            " dropped"
        } else {
            ""
        };
        format!("<sstore.ColumnFamily {:?} of {:?}{state}>", self.family.name(), self.shared.db().path())
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<()> {
        let name = slf.get_type().name()?;
        Err(PyTypeError::new_err(format!(
            "cannot pickle sstore.{name}: give the path to the other process, and open it there (read_only=True beside a writer)"
        )))
    }
}
