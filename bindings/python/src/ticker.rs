//! How far a call is that works on the thread of its caller: told between its parts, where Ctrl-C is looked for too.
//!
//! Called by what writes many pairs or rows. Promises: it is told ten times a second at most, and once at the end; what the callable raises ends
//! the call, and an answer of False does so with CancelledError.

use crate::error::{raised, to_python};
use crate::long_call;
use pyo3::prelude::*;
use sstore::{Error, ErrorKind};
use std::time::{Duration, Instant};

/// How long nothing is told.
const PAUSE: Duration = Duration::from_millis(100);

/// Whom to tell, and when that was done last.
pub(crate) struct Ticker {
    callback: Option<Py<PyAny>>,
    phase: &'static str,
    unit: &'static str,
    total: usize,
    last: Instant,
}

impl Ticker {
    /// No one, or a callable.
    pub(crate) fn to(callback: Option<&Bound<'_, PyAny>>, phase: &'static str, unit: &'static str) -> PyResult<Self> {
        long_call::check_callable(callback)?;
        let callback = callback.map(|callback| callback.clone().unbind());
        Ok(Self { callback, phase, unit, total: 0, last: Instant::now() })
    }

    /// It is known how much there is.
    pub(crate) fn set_total(&mut self, total: usize) {
        self.total = total;
    }

    /// Looks for Ctrl-C, and tells if it is time.
    pub(crate) fn tick(&mut self, py: Python<'_>, done: usize) -> PyResult<()> {
        py.check_signals()?;
        if self.last.elapsed() < PAUSE || self.tell(py, done)? {
            return Ok(());
        }
        Err(to_python(py, &Error::new(ErrorKind::Cancelled, "the call was called off")))
    }

    /// The same in a call of the engine, which runs without the interpreter lock.
    pub(crate) fn tick_detached(&mut self, done: usize) -> sstore::Result<()> {
        if self.callback.is_none() || self.last.elapsed() < PAUSE {
            return Ok(());
        }
        Python::attach(|py| self.tick(py, done)).map_err(raised)
    }

    /// Tells of the end, when nothing is left to call off.
    pub(crate) fn end(mut self, py: Python<'_>, done: usize) -> PyResult<()> {
        self.total = done;
        self.tell(py, done).map(drop)
    }

    fn tell(&mut self, py: Python<'_>, done: usize) -> PyResult<bool> {
        self.last = Instant::now();
        match &self.callback {
            Some(callback) => long_call::tell(callback.bind(py), done as u64, self.total as u64, self.unit, self.phase),
            None => Ok(true),
        }
    }
}
