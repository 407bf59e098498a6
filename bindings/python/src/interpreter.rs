//! In which interpreter of the process the module may be used: in its main one.
//!
//! Classes and threads of the module belong to the process, so a second interpreter would share objects with the first; and threads of
//! the engine, which call back, know the main one only.
#![expect(unsafe_code, reason = "the interpreter's number is told by a C function alone")]

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Refuses a sub-interpreter.
pub(crate) fn check(_py: Python<'_>) -> PyResult<()> {
    // SAFETY: the interpreter lock is held, so there is a current interpreter; its number is read from it.
    let number = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    match number {
        0 => Ok(()),
        _ => Err(PyImportError::new_err(
            "sstore works in the main interpreter of a process only, not in a sub-interpreter: use threads, or processes that open the \
             database with read_only=True",
        )),
    }
}
