//! Events of the engine, handed to a Python callable and to `logging`, on the engine's own thread.

use pyo3::prelude::*;
use pyo3::sync::{MutexExt, PyOnceLock};
use sstore::{Event, Level, LogLine, Logger};
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Set when the interpreter ends: from then on no thread of ours may ask for its lock.
static STOPPED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is delivering an event.
pub(crate) fn in_callback() -> bool {
    IN_CALLBACK.get()
}

/// No event is delivered any more, of any database.
pub(crate) fn stop() {
    STOPPED.store(true, Ordering::SeqCst);
}

/// The callable of one database.
pub(crate) struct Listener(Mutex<Option<Py<PyAny>>>);

impl Listener {
    pub(crate) fn new(callback: Py<PyAny>) -> Self {
        Self(Mutex::new(Some(callback)))
    }

    /// Lets the callable go: after close, and when the collector breaks a cycle.
    pub(crate) fn clear(&self, py: Python<'_>) {
        let callback = self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner).take();
        drop(callback);
    }

    /// Shows the callable to the garbage collector, which must not wait.
    pub(crate) fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self.0.try_lock() {
            Ok(guard) => guard.as_ref().map_or(Ok(()), |callback| visit.call(callback)),
            Err(_) => Ok(()),
        }
    }

    /// Delivers `event`. What the callable raises goes to `sys.unraisablehook`: there is no caller to raise it to.
    pub(crate) fn deliver(&self, event: &Event) {
        if STOPPED.load(Ordering::SeqCst) {
            return;
        }
        IN_CALLBACK.set(true);
        Python::try_attach(|py| {
            let guard = self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
            let Some(callback) = guard.as_ref().map(|callback| callback.clone_ref(py)) else { return };
            drop(guard);
            let callback = callback.into_bound(py);
            if let Err(error) = to_python(py, event).and_then(|event| callback.call1((event,))) {
                error.write_unraisable(py, Some(&callback));
            }
        });
        IN_CALLBACK.set(false);
    }
}

/// The logger `sstore` of the module `logging`; None while nobody has imported that, and so nobody can listen: its import takes longer
/// than that of this package.
fn python_logger(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if LOGGER.get(py).is_none() && !py.import("sys")?.getattr("modules")?.contains("logging")? {
        return Ok(None);
    }
    let get = || {
        // By an import, which waits for one that another thread is in the middle of.
        let logging = py.import("logging")?;
        let logger = logging.call_method1("getLogger", ("sstore",))?;
        // Without handlers of the application nothing is written anywhere.
        logger.call_method1("addHandler", (logging.call_method0("NullHandler")?,))?;
        Ok::<_, PyErr>(logger.unbind())
    };
    Ok(Some(LOGGER.get_or_try_init(py, get)?.bind(py).clone()))
}

/// The number that `logging` has for a level.
fn number_of(level: Level) -> u32 {
    match level {
        Level::Debug => 10,
        Level::Info => 20,
        Level::Warn => 30,
        Level::Error => 40,
    }
}

/// Leads what the logger `sstore` is enabled for now to it; None if that is nothing. Lines below would cost the interpreter lock, only
/// to be dropped.
pub(crate) fn logger(py: Python<'_>, path: PathBuf) -> PyResult<Option<(Level, Logger)>> {
    let enabled = match python_logger(py)? {
        Some(logger) => logger.call_method0("getEffectiveLevel")?.extract()?,
        // What a fresh `logging` is enabled for. Handlers may come while the database is open.
        None => number_of(Level::Warn),
    };
    let least = Level::ALL.into_iter().find(|level| number_of(*level) >= enabled);
    Ok(least.map(|least| (least, Arc::new(move |line: &LogLine<'_>| log(&path, line)) as Logger)))
}

fn log(path: &std::path::Path, line: &LogLine<'_>) {
    if STOPPED.load(Ordering::SeqCst) {
        return;
    }
    IN_CALLBACK.set(true);
    Python::try_attach(|py| {
        let arguments = (number_of(line.level), "%s: %s", path, line.text);
        let logged =
            python_logger(py).and_then(|logger| logger.map(|logger| logger.call_method1("log", arguments)).transpose());
        if let Err(error) = logged {
            error.write_unraisable(py, None);
        }
    });
    IN_CALLBACK.set(false);
}

fn to_python<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    CLASS.import(py, "sstore._types", "Event")?.call1((
        event.kind.name(),
        event.unix_nanos,
        &event.collection,
        event.number,
        event.entries,
        event.bytes,
        event.micros,
        &event.detail,
        event.to_string(),
    ))
}
