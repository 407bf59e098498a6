//! Errors of the engine as Python exceptions, and the two ways into the engine.
//!
//! The classes live in `sstore/_errors.py`; this module hands over the code and the details. Every call of the engine goes
//! through [`attached`] or [`detached`], which also turn a panic into `PanicError`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use sstore::{Error, ErrorKind};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The exception for `error`.
pub(crate) fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    static FROM_CODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let path = error.path().map(|path| path.as_os_str());
    let made = FROM_CODE
        .import(py, "sstore._errors", "from_code")
        .and_then(|make| make.call1((error.kind().code(), error.to_string(), path, error.offset(), error.os_code())));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(failure) => failure,
    }
}

/// A wrong argument.
pub(crate) fn invalid(py: Python<'_>, message: impl Into<String>) -> PyErr {
    to_python(py, &Error::invalid(message))
}

/// Calls the engine with the interpreter lock held: only for what stays in memory.
pub(crate) fn attached<T>(py: Python<'_>, call: impl FnOnce() -> sstore::Result<T>) -> PyResult<T> {
    caught(call).map_err(|error| to_python(py, &error))
}

/// Calls the engine with the interpreter lock released: for what may block, and for what takes long.
pub(crate) fn detached<T: Send>(py: Python<'_>, call: impl FnOnce() -> sstore::Result<T> + Send) -> PyResult<T> {
    py.detach(|| caught(call)).map_err(|error| match RAISED.take() {
        Some(raised) if error.kind() == ErrorKind::Cancelled => raised,
        _ => to_python(py, &error),
    })
}

thread_local! {
    /// What the handler of a signal, or a callable that was told of progress, raised inside of a detached call.
    static RAISED: Cell<Option<PyErr>> = const { Cell::new(None) };
}

/// Looks for Ctrl-C from inside of a detached call that is bulk. Cancelled: the call shall end, and then raises what the handler raised.
pub(crate) fn check_signals() -> sstore::Result<()> {
    Python::attach(|py| py.check_signals()).map_err(raised)
}

/// Ends a detached call, which then raises `error`.
pub(crate) fn raised(error: PyErr) -> Error {
    RAISED.set(Some(error));
    Error::new(ErrorKind::Cancelled, "the call was interrupted")
}

pub(crate) fn caught<T>(call: impl FnOnce() -> sstore::Result<T>) -> sstore::Result<T> {
    // Nothing of ours is left half changed by a panic: the engine guards its own state, and ours is set after the call.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| Err(panicked(&*payload)))
}

fn panicked(payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Error::new(ErrorKind::Panic, format!("a bug in sstore was caught: {}", text.unwrap_or("no message")))
}
