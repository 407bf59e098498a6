//! A column family as a `MutableMapping`, with the calls that a mapping lacks. `DB` extends it: a database is also its
//! default family.

use crate::batch::WriteBatch;
use crate::bytes::{Bytes, pair};
use crate::error::{attached, detached, invalid};
use crate::files::{LiveFiles, exported};
use crate::flush::FlushToken;
use crate::import;
use crate::iterate::{Iterator, Span, walk};
use crate::options::to_keywords;
use crate::shared::{Owned, Shared};
use crate::snapshot::{Moment, Snapshot};
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use sstore::{Condition, Durability, ErrorKind, PinnedBytes, ReadOptions, WriteOptions};
use std::path::PathBuf;
use std::sync::Arc;

/// Values longer than this are copied with the interpreter lock released.
const LONG_VALUE_BYTES: usize = 256 << 10;
/// Bytes of a batch of `clear` and of `put_many` without atomicity.
const PART_BYTES: usize = 4 << 20;
/// Pairs taken from Python between two looks for Ctrl-C.
const PAIRS_PER_CHECK: usize = 4096;

/// What a write with this wish for durability waits for; None leaves it to the option.
pub(crate) fn write_options(sync: Option<bool>) -> WriteOptions {
    let durability = sync.map(|sync| if sync { Durability::Sync } else { Durability::Buffered });
    WriteOptions { durability, ..WriteOptions::default() }
}

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

/// Reads with the interpreter lock held if the value is in memory, else with the lock released.
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

/// Reads many keys in one view.
pub(crate) fn read_many<'py>(
    py: Python<'py>,
    shared: &Shared,
    family: &sstore::ColumnFamily,
    keys: &Bound<'py, PyAny>,
    default: Option<Bound<'py, PyAny>>,
    snapshot: Option<&sstore::Snapshot>,
) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
    let keys = keys.try_iter()?.map(|key| key?.extract()).collect::<PyResult<Vec<Bytes<'py>>>>()?;
    let slices: Vec<&[u8]> = keys.iter().map(Bytes::as_slice).collect();
    let values = detached(py, || shared.db().multi_get(family, &slices, &ReadOptions { snapshot }))?;
    let give = |value: Option<PinnedBytes>| match value {
        Some(value) => Some(PyBytes::new(py, &value).into_any()),
        None => default.clone(),
    };
    Ok(values.into_iter().map(give).collect())
}

/// Calls `take` with each pair of a mapping, or of an iterable of pairs.
pub(crate) fn each_pair<'py>(
    py: Python<'py>,
    pairs: &Bound<'py, PyAny>,
    mut take: impl FnMut(&Bound<'py, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    let items = if pairs.hasattr("keys")? { pairs.call_method0("items")? } else { pairs.clone() };
    for (count, item) in items.try_iter()?.enumerate() {
        if count % PAIRS_PER_CHECK == PAIRS_PER_CHECK - 1 {
            py.check_signals()?;
        }
        take(&item?)?;
    }
    Ok(())
}

/// The live files of `family` as objects of the class `Segment`.
pub(crate) fn segments_of<'py>(
    py: Python<'py>,
    shared: &Shared,
    family: &sstore::ColumnFamily,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let segments = detached(py, || shared.db().segments(family))?;
    describe_segments(py, family.name(), &segments)
}

/// Files of a column family or of a table as `sstore.Segment`.
pub(crate) fn describe_segments<'py>(
    py: Python<'py>,
    name: &str,
    segments: &[sstore::Segment],
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.import(py, "sstore._types", "Segment")?;
    let describe = |segment: &sstore::Segment| {
        class.call1((
            name,
            segment.number.0,
            &segment.path,
            segment.level,
            segment.size_bytes,
            segment.entries,
            segment.tombstones,
            PyBytes::new(py, &segment.smallest),
            PyBytes::new(py, &segment.largest),
            segment.smallest_sequence,
            segment.largest_sequence,
        ))
    };
    segments.iter().map(describe).collect()
}

/// A view class of `sstore._types` over `mapping`.
fn view<'py>(mapping: &Bound<'py, ColumnFamily>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    mapping.py().import("sstore._types")?.getattr(name)?.call1((mapping,))
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
    fn find(&self, py: Python<'_>, key: &[u8]) -> PyResult<Option<PinnedBytes>> {
        read(py, &self.shared, &self.family, key, None)
    }

    fn missing(py: Python<'_>, key: &[u8]) -> PyErr {
        PyKeyError::new_err(PyBytes::new(py, key).unbind())
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

    fn write_if(
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

    /// Takes operations from Python into batches and writes them: one batch in all if `atomic`, else one whenever it is
    /// long enough. Returns how many operations there were.
    fn write_many<'py>(
        &self,
        py: Python<'py>,
        atomic: bool,
        sync: Option<bool>,
        walk: impl FnOnce(&mut dyn FnMut(&Bound<'py, PyAny>) -> PyResult<()>) -> PyResult<()>,
        add: impl Fn(&mut sstore::WriteBatch, &Bound<'py, PyAny>) -> PyResult<()>,
    ) -> PyResult<usize> {
        let (options, mut batch, mut count) = (write_options(sync), sstore::WriteBatch::new(), 0);
        let write = |batch: &sstore::WriteBatch| detached(py, || self.shared.db().write(batch, &options));
        walk(&mut |item| {
            add(&mut batch, item)?;
            count += 1;
            if !atomic && batch.size_bytes() >= PART_BYTES {
                write(&batch)?;
                batch.clear();
            }
            Ok(())
        })?;
        if !batch.is_empty() {
            write(&batch)?;
        }
        Ok(count)
    }

    fn first(&self, py: Python<'_>) -> PyResult<Option<Py<PyBytes>>> {
        let options = sstore::IterOptions::default();
        let first = detached(py, || {
            let mut cursor = Owned::new(self.shared.db().iterator(&self.family, options)?);
            let cursor = cursor.get_mut();
            Ok(if cursor.seek_to_first()? { Some(cursor.key().to_vec()) } else { None })
        })?;
        Ok(first.map(|key| PyBytes::new(py, &key).unbind()))
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
        let found = match snapshot {
            None => self.find(py, key.as_slice())?,
            Some(snapshot) => {
                let snapshot = snapshot.get().of(py, &self.shared)?;
                read(py, &self.shared, &self.family, key.as_slice(), Some(&snapshot))?
            }
        };
        Ok(found.map(|value| PyBytes::new(py, &value).into_any()).or(default))
    }

    /// The value of `key` and the sequence of its write, for ``replace``; None if it is missing.
    fn get_with_sequence<'py>(&self, py: Python<'py>, key: Bytes<'py>) -> PyResult<Option<(Bound<'py, PyBytes>, u64)>> {
        let (key, options) = (key.as_slice(), ReadOptions::default());
        let found = detached(py, || self.shared.db().get_with_sequence(&self.family, key, &options))?;
        Ok(found.map(|(value, sequence)| (PyBytes::new(py, &value), sequence)))
    }

    /// The values of `keys`, in their order, `default` for the missing; all from the same moment.
    #[pyo3(signature = (keys, default=None, *, snapshot=None))]
    fn multi_get<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
        snapshot: Option<&Bound<'py, Snapshot>>,
    ) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
        let snapshot = snapshot.map(|snapshot| snapshot.get().of(py, &self.shared)).transpose()?;
        read_many(py, &self.shared, &self.family, keys, default, snapshot.as_deref())
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

    /// Sets many keys: a mapping, or an iterable of pairs. Returns how many.
    ///
    /// All of them become visible and durable together, unless ``atomic=False``, which writes in parts and so needs little
    /// memory.
    #[pyo3(signature = (pairs, *, sync=None, atomic=true))]
    fn put_many(&self, py: Python<'_>, pairs: &Bound<'_, PyAny>, sync: Option<bool>, atomic: bool) -> PyResult<usize> {
        let family = self.family.id();
        self.write_many(
            py,
            atomic,
            sync,
            |take| each_pair(py, pairs, take),
            |batch, item| {
                let (key, value) = pair(item)?;
                attached(py, || batch.put(family, key.as_slice(), value.as_slice()))
            },
        )
    }

    /// Removes many keys, together unless ``atomic=False``. Returns how many were given.
    #[pyo3(signature = (keys, *, sync=None, atomic=true))]
    fn delete_many(
        &self,
        py: Python<'_>,
        keys: &Bound<'_, PyAny>,
        sync: Option<bool>,
        atomic: bool,
    ) -> PyResult<usize> {
        let family = self.family.id();
        self.write_many(
            py,
            atomic,
            sync,
            |take| keys.try_iter()?.try_for_each(|key| take(&key?)),
            |batch, key| {
                let key: Bytes<'_> = key.extract()?;
                attached(py, || batch.delete(family, key.as_slice()))
            },
        )
    }

    /// Sets `key` to `value` if it is missing, else raises ConflictError. Returns the sequence of the write.
    #[pyo3(signature = (key, value, *, sync=None))]
    fn put_if_absent(&self, py: Python<'_>, key: Bytes<'_>, value: Bytes<'_>, sync: Option<bool>) -> PyResult<u64> {
        self.write_if(py, key.as_slice(), value.as_slice(), Condition::Absent, sync)
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
        self.write_if(py, key.as_slice(), value.as_slice(), Condition::Sequence(sequence), sync)
    }

    /// A batch of writes, as a context manager: written at the end of the block, discarded if the block raises.
    #[pyo3(signature = (*, sync=None))]
    fn write_batch(&self, sync: Option<bool>) -> WriteBatch {
        WriteBatch::new(&self.shared, &self.family, sync)
    }

    /// Iterates in key order from `start` to `stop`, or over the keys with `prefix`; yields pairs, keys or values.
    ///
    /// ``include_start`` and ``include_stop`` say whether the bounds belong to the range. ``reverse`` goes from the last key
    /// to the first. ``scan`` reads ahead and past the cache: for long scans.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, reverse=false, include_key=true, include_value=true,
        snapshot=None, include_start=true, include_stop=false, scan=false))]
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
        snapshot: Option<&Bound<'py, Snapshot>>,
        include_start: bool,
        include_stop: bool,
        scan: bool,
    ) -> PyResult<Iterator> {
        let snapshot = snapshot.map(|snapshot| snapshot.get().of(py, &self.shared)).transpose()?;
        let options = Span { start, stop, prefix, include_start, include_stop }.into_options(snapshot.as_deref(), scan);
        Iterator::open(py, &self.shared, &self.family, options, reverse, include_key, include_value)
    }

    /// Writes the family's memtables to files. Returns a FlushResult, or with ``wait=False`` a FlushToken.
    #[pyo3(signature = (wait=true, timeout=None))]
    fn flush<'py>(&self, py: Python<'py>, wait: bool, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        flush(py, &self.shared, &[&self.family], wait, timeout)
    }

    /// Merges all files of the family into one, and waits for it.
    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        detached(py, || self.shared.db().compact(&self.family))
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
    /// The names sort oldest first. The directory appears whole, or not at all. Returns an ``Export``.
    fn export<'py>(&self, py: Python<'py>, directory: PathBuf) -> PyResult<Bound<'py, PyAny>> {
        exported(py, &detached(py, || self.shared.db().export(&self.family, &directory))?)
    }

    /// Writes everything that LevelDB would show of its database in `source` to the family; durable when it returns.
    ///
    /// The source is only read, every checksum in it is verified, and no process may have it open. Keys that are here already get LevelDB's
    /// value; others stay. ``progress`` is called with an ``ImportProgress`` ten times a second at most and once at the end; returning
    /// False, or raising, calls the import off: then a part of the entries is here, and it can be run again. ``skip_damaged=True`` skips
    /// and counts what is damaged, instead of refusing: what was deleted or overwritten there may come back. Returns a ``LevelDBImport``.
    #[pyo3(signature = (source, *, skip_damaged=false, progress=None))]
    fn import_leveldb<'py>(
        &self,
        py: Python<'py>,
        source: PathBuf,
        skip_damaged: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        import::leveldb(py, self.shared.db(), &self.family, &source, skip_damaged, progress)
    }

    /// The keys, in order.
    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        view(slf, "SortedKeys")
    }

    /// The values, in the order of their keys.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        view(slf, "SortedValues")
    }

    /// The pairs of key and value, in order.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        view(slf, "SortedItems")
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
        match self.find(py, key.as_slice())? {
            Some(value) => {
                let value = PyBytes::new(py, &value).into_any();
                self.delete(py, key, None)?;
                Ok(value)
            }
            None => default.get_item(0).map_err(|_| Self::missing(py, key.as_slice())),
        }
    }

    /// Removes the first key and returns it with its value.
    fn popitem<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyBytes>, Bound<'py, PyAny>)> {
        let Some(key) = self.first(py)? else { return Err(PyKeyError::new_err("popitem: no keys")) };
        let value = self.pop(py, key.bind(py).as_any().extract()?, &PyTuple::empty(py))?;
        Ok((key, value))
    }

    /// The value of `key`; if it is missing, sets it to `default` first.
    #[pyo3(signature = (key, default))]
    fn setdefault<'py>(&self, py: Python<'py>, key: Bytes<'py>, default: Bytes<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut batch = sstore::WriteBatch::new();
        attached(py, || batch.put(self.family.id(), key.as_slice(), default.as_slice()))?;
        loop {
            if let Some(value) = self.find(py, key.as_slice())? {
                return Ok(PyBytes::new(py, &value));
            }
            let (name, options) = (key.as_slice(), WriteOptions::default());
            // Another thread may set it, and remove it again, in between: then all over.
            let written = detached(py, || {
                match self.shared.db().write_if(&self.family, name, Condition::Absent, &batch, &options) {
                    Ok(_) => Ok(true),
                    Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
                    Err(error) => Err(error),
                }
            })?;
            if written {
                return Ok(PyBytes::new(py, default.as_slice()));
            }
            py.check_signals()?;
        }
    }

    /// Sets all pairs of a mapping, or of an iterable of pairs, in one atomic batch.
    #[pyo3(signature = (pairs, /))]
    fn update(&self, py: Python<'_>, pairs: &Bound<'_, PyAny>) -> PyResult<()> {
        self.put_many(py, pairs, None, true).map(|_| ())
    }

    /// Removes all keys that are there now, in several batches.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        let options = WriteOptions::default();
        walk(py, &self.shared, &self.family, |entries| {
            detached(py, || {
                let mut batch = sstore::WriteBatch::new();
                for (key, _) in entries.iter() {
                    batch.delete(self.family.id(), key)?;
                }
                self.shared.db().write(&batch, &options)
            })
            .map(|_| ())
        })
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
        let mut count = 0;
        walk(py, &self.shared, &self.family, |entries| {
            count += entries.len();
            Ok(())
        })?;
        Ok(count)
    }

    /// Whether there is any key; does not count them.
    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.first(py)?.is_some())
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Iterator> {
        self.iterator(py, None, None, None, false, true, false, None, true, false, false)
    }

    fn __reversed__(&self, py: Python<'_>) -> PyResult<Iterator> {
        self.iterator(py, None, None, None, true, true, false, None, true, false, false)
    }

    /// Equal to a mapping with the same keys and values.
    fn __eq__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if slf.is(other) {
            return Ok(true.into_pyobject(py)?.to_owned().into_any());
        }
        let mapping = py.import("collections.abc")?.getattr("Mapping")?;
        if !other.is_instance(&mapping)? {
            return Ok(py.NotImplemented().into_bound(py));
        }
        let content = |mapping: &Bound<'py, PyAny>| py.get_type::<PyDict>().call1((mapping,));
        content(slf.as_any())?.rich_compare(content(other)?, pyo3::basic::CompareOp::Eq)
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
