//! Calls of the engine that take long: Ctrl-C ends the wait for them, and who wants hears how far they are.
//!
//! Python's signal handlers run on the main thread alone, so such a call runs on a thread of its own, and its caller waits in slices.
//! Promises: a call that offers no hook goes on to its end after a Ctrl-C, in the background; one that does is called off. One that ends soon then
//! has ended before Ctrl-C is raised: nothing of it goes on behind the program's back. A second Ctrl-C does not wait for that.

use crate::error::{caught, invalid, to_python};
use crate::shared::Shared;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBool;
use sstore::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How long a wait goes without looking for Ctrl-C and for progress: that is told ten times a second at most.
const SLICE: Duration = Duration::from_millis(100);

/// The first one: whoever watches sees soon that something is going on.
const FIRST_SLICE: Duration = Duration::from_millis(10);

/// How far a call is, told by the thread that it runs on. Any thread.
#[derive(Default)]
pub(crate) struct Steps {
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl Steps {
    /// Tells how far the call is. Cancelled if it shall end.
    pub(crate) fn tell(&self, done: u64, total: u64) -> sstore::Result<()> {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        match self.cancelled.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::Cancelled, "the call was called off")),
            false => Ok(()),
        }
    }
}

/// Whom to tell of the progress of a call.
pub(crate) struct Progress<'py> {
    callback: Option<Bound<'py, PyAny>>,
    phase: &'static str,
    unit: &'static str,
    ends_soon: bool,
}

impl<'py> Progress<'py> {
    /// No one, or a callable.
    pub(crate) fn to(callback: Option<&Bound<'py, PyAny>>, phase: &'static str, unit: &'static str) -> PyResult<Self> {
        check_callable(callback)?;
        Ok(Self { callback: callback.cloned(), phase, unit, ends_soon: false })
    }

    /// Of a call that tells of small steps: who calls it off waits until it has ended.
    pub(crate) fn of_small_steps(self) -> Self {
        Self { ends_soon: true, ..self }
    }

    /// Tells; false if the callable wants the call to end.
    fn tell(&self, steps: &Steps) -> PyResult<bool> {
        let Some(callback) = &self.callback else { return Ok(true) };
        let (done, total) = (steps.done.load(Ordering::Relaxed), steps.total.load(Ordering::Relaxed));
        tell(callback, done, total, self.unit, self.phase)
    }
}

/// Refuses what cannot be told of progress.
pub(crate) fn check_callable(callback: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    match callback {
        Some(callback) if !callback.is_callable() => Err(PyTypeError::new_err("progress must be callable")),
        _ => Ok(()),
    }
}

/// Tells `callback`; false if it wants the call to end.
pub(crate) fn tell(callback: &Bound<'_, PyAny>, done: u64, total: u64, unit: &str, phase: &str) -> PyResult<bool> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.import(callback.py(), "sstore._types", "Progress")?;
    let answer = callback.call1((class.call1((done, total, unit, phase))?,))?;
    Ok(!answer.cast::<PyBool>().is_ok_and(|answer| !answer.is_true()))
}

/// Runs `call` on a thread of its own and waits for it. An exception of the callable, of a signal's handler, or an answer of False
/// calls it off as soon as it tells of its steps again.
pub(crate) fn long_call<'py, T: Send + 'static>(
    py: Python<'py>,
    shared: &Arc<Shared>,
    progress: &Progress<'py>,
    call: impl FnOnce(&Steps) -> sstore::Result<T> + Send + 'static,
) -> PyResult<T> {
    if shared.is_forked() {
        // No thread is begun in a forked child for what is refused anyway.
        let message = "the database was opened before this process was forked";
        return Err(to_python(py, &Error::new(ErrorKind::Forked, message)));
    }
    run(py, Some(shared), progress, call)
}

/// As [`long_call`], of what needs no open database.
pub(crate) fn run<'py, T: Send + 'static>(
    py: Python<'py>,
    shared: Option<&Arc<Shared>>,
    progress: &Progress<'py>,
    call: impl FnOnce(&Steps) -> sstore::Result<T> + Send + 'static,
) -> PyResult<T> {
    let steps = Arc::new(Steps::default());
    let (sender, receiver) = channel();
    let (telling, kept) = (steps.clone(), shared.cloned());
    let work = move || {
        // Nobody listens any more after a Ctrl-C: what it gives is dropped, and then what kept the database open.
        drop(sender.send(caught(|| call(&telling))));
        drop(kept);
    };
    let spawned = std::thread::Builder::new().name("sstore-python".to_owned()).spawn(work);
    spawned.map_err(|error| invalid(py, format!("no thread for the call: {error}")))?;
    // A receiver stays with one thread, so it is lent to the wait alone.
    let mut receiver = receiver;
    let (mut raised, mut slice): (Option<PyErr>, Duration) = (None, FIRST_SLICE);
    loop {
        let waiting = &mut receiver;
        match py.detach(move || waiting.recv_timeout(slice)) {
            Ok(result) => {
                if let Some(raised) = raised {
                    return Err(raised);
                }
                progress.tell(&steps)?;
                return result.map_err(|error| to_python(py, &error));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(to_python(
                    py,
                    &Error::new(ErrorKind::Panic, "the thread of the call ended without an answer"),
                ));
            }
            Err(RecvTimeoutError::Timeout) => {
                slice = SLICE;
                let told = py.check_signals().and_then(|()| match raised {
                    None => progress.tell(&steps),
                    Some(_) => Ok(true),
                });
                if !matches!(told, Ok(true)) {
                    steps.cancelled.store(true, Ordering::Relaxed);
                }
                match told {
                    Err(error) if progress.ends_soon && raised.is_none() => raised = Some(error),
                    told => drop(told?),
                }
            }
        }
    }
}
