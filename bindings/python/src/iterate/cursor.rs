//! A cursor: moves over the keys in both directions, and tells the entry under it.
//!
//! Entries come out of the engine in batches; a step inside a batch is no call of the engine. Stepping the other way at a
//! batch's end seeks.

use super::{BATCH_BYTES, LAST_BATCH, Placed};
use crate::bytes::Bytes;
use crate::error::{detached, invalid, to_python};
use crate::shared::{Owned, Shared};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyTuple};
use sstore::{DbIterator, EntryBatch, Error, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Entries fetched by a seek: what follows a seek is mostly a look, or a few steps.
const SEEK_BATCH: usize = 4;

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Forward,
    Backward,
}

/// Where a seek goes to.
#[derive(Clone, Copy)]
enum Goal<'a> {
    First,
    Last,
    AtOrAfter(&'a [u8]),
    AtOrBefore(&'a [u8]),
}

struct State {
    /// None when closed.
    cursor: Option<Owned<DbIterator>>,
    batch: EntryBatch,
    /// The direction in which the batch's entries follow each other.
    direction: Direction,
    /// The entry of the batch that the cursor stands on; None: on none.
    at: Option<usize>,
    limit: usize,
    /// The engine has no more entries in that direction.
    ended: bool,
}

/// Moves over the keys of a family in order, both ways, and tells the entry that it stands on.
///
/// A new one stands on none. It sees the database as it was when it was made. Several threads may share one, but then none knows where
/// it stands. A context manager; closing it releases what it holds.
#[pyclass(frozen, module = "sstore")]
pub(crate) struct Cursor {
    /// Dropped before `shared`, which alone lets go of the interpreter when it is the last.
    state: Mutex<State>,
    shared: Arc<Shared>,
    /// What is taken off the keys that are given, and put before those that are sought.
    stripped: Vec<u8>,
}

type Pair<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

impl Cursor {
    pub(crate) fn open(
        py: Python<'_>,
        shared: &Arc<Shared>,
        family: &sstore::ColumnFamily,
        placed: Placed,
    ) -> PyResult<Self> {
        let cursor = Owned::new(detached(py, || shared.db().iterator(family, placed.options))?);
        let state = State {
            cursor: Some(cursor),
            batch: EntryBatch::new(),
            direction: Direction::Forward,
            at: None,
            limit: SEEK_BATCH,
            ended: true,
        };
        Ok(Self { shared: shared.clone(), state: Mutex::new(state), stripped: placed.stripped })
    }

    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, State>> {
        let state = self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let what = match &state.cursor {
            None => "cursor",
            Some(_) if self.shared.db().is_closed() => "database",
            Some(_) => return Ok(state),
        };
        Err(to_python(py, &Error::new(ErrorKind::Closed, format!("the {what} was closed"))))
    }

    fn full(&self, key: &[u8]) -> Vec<u8> {
        [&self.stripped[..], key].concat()
    }

    fn go(&self, py: Python<'_>, goal: Goal<'_>) -> PyResult<bool> {
        let mut guard = self.lock(py)?;
        let state = &mut *guard;
        detached(py, || state.go(goal))
    }

    fn step(&self, py: Python<'_>, direction: Direction) -> PyResult<bool> {
        let mut guard = self.lock(py)?;
        let state = &mut *guard;
        let Some(at) = state.at else { return Err(nowhere(py)) };
        if state.direction == direction {
            if at + 1 < state.batch.len() {
                state.at = Some(at + 1);
            } else if state.ended {
                state.at = None;
            } else {
                py.check_signals()?;
                detached(py, || state.fill(direction))?;
            }
        } else if at > 0 {
            state.at = Some(at - 1);
        } else {
            detached(py, || state.turn(direction))?;
        }
        Ok(state.at.is_some())
    }

    fn parts<'py>(&self, py: Python<'py>, state: &State, entry: usize) -> Pair<'py> {
        let (key, value, _) = state.batch.get(entry);
        (PyBytes::new(py, &key[self.stripped.len()..]), PyBytes::new(py, value))
    }
}

fn nowhere(py: Python<'_>) -> PyErr {
    invalid(py, "the cursor stands on no entry: move it with first, last or a seek")
}

impl State {
    fn engine(&mut self) -> sstore::Result<&mut DbIterator> {
        let closed = || Error::new(ErrorKind::Closed, "the cursor was closed");
        self.cursor.as_mut().map(Owned::get_mut).ok_or_else(closed)
    }

    /// Fetches the next entries and stands on the first of them.
    fn fill(&mut self, direction: Direction) -> sstore::Result<()> {
        (self.at, self.ended, self.direction) = (None, true, direction);
        let (limit, mut batch) = (self.limit, std::mem::take(&mut self.batch));
        let cursor = self.engine()?;
        let filled = match direction {
            Direction::Forward => cursor.next_batch(&mut batch, limit, BATCH_BYTES)?,
            Direction::Backward => cursor.prev_batch(&mut batch, limit, BATCH_BYTES)?,
        };
        self.ended = !cursor.is_valid();
        self.batch = batch;
        self.at = (filled > 0).then_some(0);
        self.limit = (limit * 4).min(LAST_BATCH);
        Ok(())
    }

    fn go(&mut self, goal: Goal<'_>) -> sstore::Result<bool> {
        (self.at, self.ended, self.limit) = (None, true, SEEK_BATCH);
        self.batch.clear();
        let cursor = self.engine()?;
        let (found, direction) = match goal {
            Goal::First => (cursor.seek_to_first()?, Direction::Forward),
            Goal::Last => (cursor.seek_to_last()?, Direction::Backward),
            Goal::AtOrAfter(key) => (cursor.seek(key)?, Direction::Forward),
            Goal::AtOrBefore(key) => (cursor.seek_for_prev(key)?, Direction::Backward),
        };
        if found {
            self.fill(direction)?;
        }
        Ok(self.at.is_some())
    }

    /// From the first entry of the batch to the one on its other side.
    fn turn(&mut self, direction: Direction) -> sstore::Result<()> {
        let key = self.batch.get(0).0.to_vec();
        self.limit = SEEK_BATCH;
        let cursor = self.engine()?;
        let found = match direction {
            Direction::Forward => cursor.seek(&key)? && cursor.next()?,
            Direction::Backward => cursor.seek_for_prev(&key)? && cursor.prev()?,
        };
        (self.at, self.ended) = (None, true);
        if found { self.fill(direction) } else { Ok(()) }
    }
}

#[pymethods]
impl Cursor {
    /// Moves to the first entry; whether there is one. So do the other moves.
    fn first(&self, py: Python<'_>) -> PyResult<bool> {
        self.go(py, Goal::First)
    }

    /// Moves to the last entry.
    fn last(&self, py: Python<'_>) -> PyResult<bool> {
        self.go(py, Goal::Last)
    }

    /// Moves to the entry of `key`, or to the next one after.
    fn seek(&self, py: Python<'_>, key: Bytes<'_>) -> PyResult<bool> {
        self.go(py, Goal::AtOrAfter(&self.full(key.as_slice())))
    }

    /// Moves to the entry of `key`, or to the last one before.
    fn seek_for_prev(&self, py: Python<'_>, key: Bytes<'_>) -> PyResult<bool> {
        self.go(py, Goal::AtOrBefore(&self.full(key.as_slice())))
    }

    /// Moves to the next entry. InvalidArgumentError if the cursor stands on none.
    fn next(&self, py: Python<'_>) -> PyResult<bool> {
        self.step(py, Direction::Forward)
    }

    /// Moves to the entry before. InvalidArgumentError if the cursor stands on none.
    fn prev(&self, py: Python<'_>) -> PyResult<bool> {
        self.step(py, Direction::Backward)
    }

    /// Whether the cursor stands on an entry.
    fn valid(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.lock(py)?.at.is_some())
    }

    /// The key that the cursor stands on. InvalidArgumentError if there is none.
    fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let state = self.lock(py)?;
        let Some(at) = state.at else { return Err(nowhere(py)) };
        Ok(PyBytes::new(py, &state.batch.get(at).0[self.stripped.len()..]))
    }

    /// The value that the cursor stands on. InvalidArgumentError if there is none.
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let state = self.lock(py)?;
        let Some(at) = state.at else { return Err(nowhere(py)) };
        Ok(PyBytes::new(py, state.batch.get(at).1))
    }

    /// The key and the value that the cursor stands on. InvalidArgumentError if there are none.
    fn item<'py>(&self, py: Python<'py>) -> PyResult<Pair<'py>> {
        let state = self.lock(py)?;
        let Some(at) = state.at else { return Err(nowhere(py)) };
        Ok(self.parts(py, &state, at))
    }

    /// Up to `limit` pairs from the entry that the cursor stands on, which then is the first one not given.
    #[pyo3(signature = (limit=1024))]
    fn next_batch<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Vec<Pair<'py>>> {
        let mut pairs = Vec::new();
        while pairs.len() < limit {
            let mut state = self.lock(py)?;
            let Some(at) = state.at else { break };
            let run = match state.direction {
                Direction::Forward => (limit - pairs.len()).min(state.batch.len() - at),
                Direction::Backward => 1,
            };
            pairs.extend((at..at + run).map(|entry| self.parts(py, &state, entry)));
            state.at = Some(at + run - 1);
            drop(state);
            self.step(py, Direction::Forward)?;
        }
        Ok(pairs)
    }

    /// Releases what the cursor holds. Closing twice is allowed.
    fn close(&self, py: Python<'_>) {
        let mut state = self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let (cursor, batch) = (state.cursor.take(), std::mem::take(&mut state.batch));
        state.at = None;
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

    fn __repr__(&self, py: Python<'_>) -> String {
        let state = self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        match (&state.cursor, state.at) {
            (None, _) => "<sstore.Cursor closed>".to_owned(),
            (Some(_), None) => "<sstore.Cursor on no entry>".to_owned(),
            (Some(_), Some(at)) => {
                let key = state.batch.get(at).0;
                format!("<sstore.Cursor on b\"{}\">", key[self.stripped.len()..].escape_ascii())
            }
        }
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle sstore.Cursor: it belongs to an open database"))
    }
}
