//! Iteration: entries come out of the engine in batches, and go to Python one by one.
//!
//! A batch is filled with the interpreter lock released; handing out its entries needs no further call of the engine.

mod arrow;
mod cursor;

pub(crate) use arrow::{EntryScan, entry_schema};
pub(crate) use cursor::Cursor;

use crate::bytes::Bytes;
use crate::error::{detached, to_python};
use crate::shared::{Owned, Shared};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyList, PyTuple};
use sstore::{DbIterator, EntryBatch, Error, ErrorKind, IterOptions, KeyRange};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Entries of the first batch: a short scan should not pay for a long one. It doubles up to the last.
const FIRST_BATCH: usize = 16;
const LAST_BATCH: usize = 1024;
/// Bytes of a batch: what an iterator may hold in memory.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// Which keys to iterate, in the terms of Python.
pub(crate) struct Span<'py> {
    pub(crate) start: Option<Bytes<'py>>,
    pub(crate) stop: Option<Bytes<'py>>,
    pub(crate) prefix: Option<Bytes<'py>>,
    pub(crate) include_start: bool,
    pub(crate) include_stop: bool,
    pub(crate) strip_prefix: bool,
}

/// Which keys to iterate, in the terms of the engine, and what of each key is kept from Python.
pub(crate) struct Placed {
    pub(crate) options: IterOptions,
    pub(crate) stripped: Vec<u8>,
}

impl Span<'_> {
    pub(crate) fn place(self, snapshot: Option<&sstore::Snapshot>, scan: bool) -> Placed {
        let prefix = self.prefix.as_ref().map_or(&[][..], Bytes::as_slice);
        let stripped = if self.strip_prefix { prefix.to_vec() } else { Vec::new() };
        // The least key after k is k with a zero byte behind.
        let bound = |key: &Option<Bytes<'_>>, after: bool| {
            key.as_ref().map(|key| [&stripped[..], key.as_slice(), if after { &[0] } else { &[] }].concat())
        };
        let range =
            KeyRange { lower: bound(&self.start, !self.include_start), upper: bound(&self.stop, self.include_stop) };
        let range = range.intersect(KeyRange::prefix(prefix));
        Placed { options: IterOptions { range, snapshot: snapshot.cloned(), scan }, stripped }
    }
}

struct State {
    /// None when closed.
    cursor: Option<Owned<DbIterator>>,
    batch: EntryBatch,
    /// The entry of the batch that comes next.
    next: usize,
    limit: usize,
    /// The engine has no more entries.
    ended: bool,
}

/// Iterates over keys in order and yields pairs, keys or values.
///
/// It sees the database as it was when the iterator was made. Several threads may share one: each entry goes to one of
/// them. A context manager; closing it releases what it holds.
#[pyclass(frozen, module = "sstore")]
pub(crate) struct Iterator {
    /// Dropped before `shared`, which alone lets go of the interpreter when it is the last.
    state: Mutex<State>,
    shared: Arc<Shared>,
    /// What is taken off the keys that are given, and put before those that are sought.
    stripped: Vec<u8>,
    reverse: bool,
    keys: bool,
    values: bool,
}

type Parts<'py> = (Option<Bound<'py, PyBytes>>, Option<Bound<'py, PyBytes>>);

impl Iterator {
    pub(crate) fn open(
        py: Python<'_>,
        shared: &Arc<Shared>,
        family: &sstore::ColumnFamily,
        placed: Placed,
        reverse: bool,
        keys: bool,
        values: bool,
    ) -> PyResult<Self> {
        // The first batch comes with the opening: a short scan lets go of the interpreter lock once.
        let mut state = State { cursor: None, batch: EntryBatch::new(), next: 0, limit: FIRST_BATCH, ended: false };
        let Placed { options, stripped } = placed;
        detached(py, || {
            let cursor = shared.db().iterator(family, options)?;
            state.cursor = Some(Owned::new(cursor));
            state.refill(reverse)
        })?;
        Ok(Self { shared: shared.clone(), state: Mutex::new(state), stripped, reverse, keys, values })
    }

    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, State> {
        self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that there is an entry at `next`; false at the end.
    fn ready(&self, py: Python<'_>, state: &mut State) -> PyResult<bool> {
        if state.cursor.is_none() || self.shared.db().is_closed() {
            let what = if state.cursor.is_none() { "iterator" } else { "database" };
            return Err(to_python(py, &Error::new(ErrorKind::Closed, format!("the {what} was closed"))));
        }
        if state.next < state.batch.len() {
            return Ok(true);
        }
        if state.ended {
            return Ok(false);
        }
        py.check_signals()?;
        detached(py, || state.refill(self.reverse))?;
        Ok(!state.batch.is_empty())
    }

    /// Whether there is an entry left.
    pub(crate) fn has_next(&self, py: Python<'_>) -> PyResult<bool> {
        self.ready(py, &mut self.lock(py))
    }

    /// The parts of the next entry, which is there. The pair is put together by the caller, after the lock is gone: making a tuple
    /// may run the garbage collector, and that any code, also such as uses this iterator.
    fn parts<'py>(&self, py: Python<'py>, state: &mut State) -> Parts<'py> {
        let (key, value, _) = state.batch.get(state.next);
        let key = self.keys.then(|| PyBytes::new(py, &key[self.stripped.len()..]));
        let value = self.values.then(|| PyBytes::new(py, value));
        state.next += 1;
        (key, value)
    }
}

impl State {
    fn refill(&mut self, reverse: bool) -> sstore::Result<()> {
        self.next = 0;
        self.batch.clear();
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        let (cursor, limit) = (cursor.get_mut(), self.limit);
        let filled = match reverse {
            false => cursor.next_batch(&mut self.batch, limit, BATCH_BYTES)?,
            true => cursor.prev_batch(&mut self.batch, limit, BATCH_BYTES)?,
        };
        self.ended = filled == 0 || !cursor.is_valid();
        self.limit = (limit * 2).min(LAST_BATCH);
        Ok(())
    }
}

fn together<'py>(py: Python<'py>, parts: Parts<'py>) -> PyResult<Bound<'py, PyAny>> {
    match parts {
        (Some(key), Some(value)) => Ok((key, value).into_pyobject(py)?.into_any()),
        (Some(part), None) | (None, Some(part)) => Ok(part.into_any()),
        (None, None) => Ok(py.None().into_bound(py)),
    }
}

#[pymethods]
impl Iterator {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut state = self.lock(py);
        if !self.ready(py, &mut state)? {
            return Ok(None);
        }
        let parts = self.parts(py, &mut state);
        drop(state);
        together(py, parts).map(Some)
    }

    /// Up to `limit` of what the iterator yields, as a list; shorter only at the end.
    #[pyo3(signature = (limit=1024))]
    fn next_batch<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        let mut gathered: Vec<Parts<'py>> = Vec::new();
        while list.len() < limit {
            let mut state = self.lock(py);
            if !self.ready(py, &mut state)? {
                break;
            }
            let count = (state.batch.len() - state.next).min(limit - list.len());
            gathered.extend((0..count).map(|_| self.parts(py, &mut state)));
            drop(state);
            for parts in gathered.drain(..) {
                list.append(together(py, parts)?)?;
            }
        }
        Ok(list)
    }

    /// Goes to `key`, or if it is missing to the next one in the direction of the iteration.
    fn seek(&self, py: Python<'_>, key: Bytes<'_>) -> PyResult<()> {
        let mut guard = self.lock(py);
        let state = &mut *guard;
        let Some(cursor) = &mut state.cursor else {
            return Err(to_python(py, &Error::new(ErrorKind::Closed, "the iterator was closed")));
        };
        let (cursor, key) = (cursor.get_mut(), [&self.stripped[..], key.as_slice()].concat());
        let found = detached(py, || if self.reverse { cursor.seek_for_prev(&key) } else { cursor.seek(&key) })?;
        (state.next, state.limit, state.ended) = (0, FIRST_BATCH, !found);
        state.batch.clear();
        Ok(())
    }

    /// Releases what the iterator holds. Closing twice is allowed.
    fn close(&self, py: Python<'_>) {
        let mut state = self.lock(py);
        let (cursor, batch) = (state.cursor.take(), std::mem::take(&mut state.batch));
        state.next = 0;
        drop(state);
        py.detach(move || drop((batch, cursor)));
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) {
        self.close(py);
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle sstore.Iterator: it belongs to an open database"))
    }
}

/// Walks over keys of `family` in large batches, the interpreter lock released while the engine works, and looks for
/// Ctrl-C in between.
pub(crate) fn walk(
    py: Python<'_>,
    shared: &Shared,
    family: &sstore::ColumnFamily,
    options: IterOptions,
    mut visit: impl FnMut(&EntryBatch) -> PyResult<()>,
) -> PyResult<()> {
    let options = IterOptions { scan: true, ..options };
    let mut cursor = Owned::new(detached(py, || shared.db().iterator(family, options))?);
    let mut batch = EntryBatch::new();
    loop {
        py.check_signals()?;
        let (filling, iterator) = (&mut batch, cursor.get_mut());
        let filled = detached(py, || iterator.next_batch(filling, 16 * LAST_BATCH, BATCH_BYTES))?;
        if filled == 0 {
            return Ok(());
        }
        visit(&batch)?;
        if !cursor.is_valid() {
            return Ok(());
        }
    }
}

/// How many keys there are, by walking over them.
pub(crate) fn count(
    py: Python<'_>,
    shared: &Shared,
    family: &sstore::ColumnFamily,
    options: IterOptions,
) -> PyResult<usize> {
    let mut count = 0;
    walk(py, shared, family, options, |entries| {
        count += entries.len();
        Ok(())
    })?;
    Ok(count)
}
