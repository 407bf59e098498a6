//! Flushing: a token to wait on, and the result.

use crate::error::{attached, detached};
use crate::shared::{Owned, Shared};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use sstore::{ErrorKind, FlushResult};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a wait goes without looking for Ctrl-C.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);

/// A flush under way. Thread-safe.
#[pyclass(frozen, module = "sstore")]
pub(crate) struct FlushToken {
    /// Dropped before `_shared`, which alone lets go of the interpreter when it is the last.
    token: Owned<sstore::FlushToken>,
    _shared: Arc<Shared>,
}

impl FlushToken {
    pub(crate) fn new(shared: &Arc<Shared>, token: sstore::FlushToken) -> Self {
        Self { token: Owned::new(token), _shared: shared.clone() }
    }
}

#[pymethods]
impl FlushToken {
    /// The result if the flush is done, else None. Raises what the flush failed with.
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match attached(py, || self.token.poll().transpose())? {
            Some(result) => to_python(py, &result).map(Some),
            None => Ok(None),
        }
    }

    /// Waits until the flush is done and returns its result. Raises TimedOutError after `timeout` seconds; the flush goes on.
    #[pyo3(signature = (timeout=None))]
    pub(crate) fn wait<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let timeout = seconds(py, timeout)?;
        let begun = Instant::now();
        loop {
            let left = timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
            let last = left.is_some_and(|left| left <= SIGNAL_INTERVAL);
            let step = left.map_or(SIGNAL_INTERVAL, |left| left.min(SIGNAL_INTERVAL));
            let done = detached(py, || match self.token.wait(Some(step)) {
                Ok(result) => Ok(Some(result)),
                Err(error) if error.kind() == ErrorKind::TimedOut && !last => Ok(None),
                Err(error) => Err(error),
            })?;
            if let Some(result) = done {
                return to_python(py, &result);
            }
            py.check_signals()?;
        }
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle sstore.FlushToken: it belongs to this process"))
    }
}

/// A duration from seconds.
pub(crate) fn seconds(py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Duration>> {
    let Some(timeout) = timeout else { return Ok(None) };
    // Longer than a Duration holds is for ever.
    if timeout >= 1e15 {
        return Ok(None);
    }
    match Duration::try_from_secs_f64(timeout) {
        Ok(duration) => Ok(Some(duration)),
        Err(_) => Err(crate::error::invalid(py, format!("timeout must be a number of seconds, not {timeout}"))),
    }
}

fn to_python<'py>(py: Python<'py>, result: &FlushResult) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let files = PyTuple::new(py, result.files.iter().map(|file| file.0))?;
    let class = CLASS.import(py, "sstore._types", "FlushResult")?;
    class.call1((files, result.entries, result.bytes, result.reason.name(), result.durable_sequence))
}
