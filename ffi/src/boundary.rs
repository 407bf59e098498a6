//! The boundary: every exported function runs its body here. Stops panics, reports errors, knows of forks.
//!
//! Promises: (1) no panic crosses into C; (2) `*error` is written on every path; (3) a missing key allocates nothing.
//! This module may use `unsafe`: it writes through the `sstore_error **` of the caller.

use crate::handle::{self, Handles};
use crate::status::{self, sstore_code, sstore_error};
use engine::{Error, ErrorKind};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a call did not succeed.
pub(crate) enum Stop {
    /// What was looked for is not there: NOT_FOUND without an error object.
    Missing,
    /// Anything else.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What the body of a fallible function gives.
pub(crate) type Outcome = Result<(), Stop>;

/// Runs the body of a fallible function.
#[inline(always)]
pub(crate) fn call(error: *mut *mut sstore_error, body: impl FnOnce(&'static Handles) -> Outcome) -> sstore_code {
    report(error, std::ptr::null_mut());
    let Some(handles) = handle::table() else {
        report(error, status::no_memory(None));
        return sstore_code::SSTORE_NO_MEMORY;
    };
    match catch_unwind(AssertUnwindSafe(|| body(handles))) {
        Ok(Ok(())) => sstore_code::SSTORE_OK,
        Ok(Err(Stop::Missing)) => sstore_code::SSTORE_NOT_FOUND,
        Ok(Err(Stop::Error(cause))) => fail(handles, error, &cause),
        Err(payload) => fail(handles, error, &describe_panic(payload.as_ref())),
    }
}

/// Runs the body of a function that has no way to report: its `default` stands for every failure.
#[inline(always)]
pub(crate) fn value<T>(default: T, body: impl FnOnce(&'static Handles) -> engine::Result<T>) -> T {
    let Some(handles) = handle::table() else { return default };
    match catch_unwind(AssertUnwindSafe(|| body(handles))) {
        Ok(Ok(value)) => value,
        _ => default,
    }
}

/// Writes the error object that the caller asked for.
#[inline(always)]
fn report(error: *mut *mut sstore_error, object: *mut sstore_error) {
    // SAFETY: by convention 3 of the header `error` is NULL or points to a variable of the caller's.
    if let Some(place) = unsafe { error.as_mut() } {
        *place = object;
    }
}

#[cold]
fn fail(handles: &'static Handles, error: *mut *mut sstore_error, cause: &Error) -> sstore_code {
    if !error.is_null() {
        let object = catch_unwind(AssertUnwindSafe(|| status::create(handles, cause)));
        report(error, object.unwrap_or_else(|_| status::no_memory(Some(handles))));
    }
    sstore_code::from_kind(cause.kind())
}

fn describe_panic(payload: &(dyn Any + Send)) -> Error {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(ErrorKind::Panic, format!("a bug in the library was caught: {text}"))
}

/// A library writes nothing to the application's standard error: panics are reported through error objects instead. The
/// hook is that of this library's own copy of the Rust runtime.
pub(crate) fn silence_panics() {
    if !cfg!(test) {
        std::panic::set_hook(Box::new(|_| ()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_code_and_an_error_object() {
        let mut error = std::ptr::null_mut();
        let code = call(&raw mut error, |_| panic!("number {}", 7));
        assert_eq!(code, sstore_code::SSTORE_PANIC);
        // SAFETY: `error` was filled by `call`, and its message lives until it is freed.
        let message = unsafe { std::ffi::CStr::from_ptr(status::sstore_error_message(error)) };
        assert!(message.to_str().unwrap().ends_with("number 7"));
        // SAFETY: the error is freed once.
        unsafe { status::sstore_error_free(error) };
        assert_eq!(call(std::ptr::null_mut(), |_| Err(Stop::Missing)), sstore_code::SSTORE_NOT_FOUND);
    }
}
