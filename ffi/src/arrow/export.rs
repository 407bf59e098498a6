//! Arrow to C: schemas, batches and scans of the engine as structs that a caller owns.
//!
//! Promises: (1) no panic leaves a callback of a stream; (2) a stream holds all that it needs: it goes on after every handle was
//! freed, keeps the database open until it is released, and after a close ends with an error; (3) the text of an error lives
//! until the next call on its stream. What it gives may be released by any thread, each exactly once.
//!
//! This module may use `unsafe`: callbacks come back with the raw pointers that were given out here.

use crate::arrow_abi::{ArrowArray, ArrowArrayStream, ArrowSchema, Movable};
use crate::handle;
use crate::status::c_text;
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, Schema, SchemaRef};
use engine::lock::Mutex;
use engine::{Error, ErrorKind, Result};

use std::any::Any;
use std::ffi::{CString, c_char, c_int};
use std::mem::transmute;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A schema that the caller will release.
pub(crate) fn schema(schema: &Schema) -> Result<ArrowSchema> {
    let failed = |error: ArrowError| Error::new(ErrorKind::NotSupported, format!("the schema has no C form: {error}"));
    let schema = FFI_ArrowSchema::try_from(schema).map_err(failed)?;
    // SAFETY: both structs are laid out as the specification says; ownership goes along.
    Ok(unsafe { transmute::<FFI_ArrowSchema, ArrowSchema>(schema) })
}

/// A batch that the caller will release: a struct array without nulls of its own.
pub(crate) fn batch(batch: RecordBatch) -> ArrowArray {
    let array = FFI_ArrowArray::new(&StructArray::from(batch).to_data());
    // SAFETY: both structs are laid out as the specification says; ownership goes along.
    unsafe { transmute::<FFI_ArrowArray, ArrowArray>(array) }
}

/// A scan of a table, or of a split.
pub(crate) trait Batches: Iterator<Item = Result<RecordBatch>> + Send + 'static {}

impl<T: Iterator<Item = Result<RecordBatch>> + Send + 'static> Batches for T {}

/// What a stream of a scan holds.
struct Exported {
    state: Mutex<State>,
    schema: SchemaRef,
    /// A child of a fork has the memory, but neither threads nor locks of the database.
    process: Option<u32>,
}

struct State {
    /// `None` once it ended or failed.
    scan: Option<Box<dyn Batches>>,
    /// Why it failed: told again on every further call.
    failure: Option<Error>,
    /// What get_last_error points to.
    text: CString,
}

/// A stream of these batches that the caller will release.
pub(crate) fn stream(schema: SchemaRef, scan: impl Batches) -> ArrowArrayStream {
    let state = Mutex::new(State { scan: Some(Box::new(scan)), failure: None, text: CString::default() });
    let exported = Exported { state, schema, process: process() };
    ArrowArrayStream {
        get_schema: Some(get_schema),
        get_next: Some(get_next),
        get_last_error: Some(get_last_error),
        release: Some(release),
        private_data: Box::into_raw(Box::new(exported)).cast(),
    }
}

fn process() -> Option<u32> {
    handle::table().map(handle::Handles::process)
}

unsafe extern "C" fn get_schema(stream: *mut ArrowArrayStream, out: *mut ArrowSchema) -> c_int {
    answer(stream, out, |exported, _| schema(&exported.schema))
}

unsafe extern "C" fn get_next(stream: *mut ArrowArrayStream, out: *mut ArrowArray) -> c_int {
    answer(stream, out, |_, state| {
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        let next = match state.scan.as_mut().and_then(|scan| scan.next()) {
            Some(Ok(rows)) => return Ok(batch(rows)),
            Some(Err(failure)) => Err(failure),
            None => Ok(ArrowArray::RELEASED),
        };
        // What it read from goes now rather than when the stream is released.
        state.scan = None;
        state.failure = next.as_ref().err().cloned();
        next
    })
}

unsafe extern "C" fn get_last_error(stream: *mut ArrowArrayStream) -> *const c_char {
    let Some(exported) = exported(stream) else { return std::ptr::null() };
    let state = exported.state.lock();
    if state.text.is_empty() { std::ptr::null() } else { state.text.as_ptr() }
}

unsafe extern "C" fn release(stream: *mut ArrowArrayStream) {
    let Some(given) = exported(stream) else { return };
    let is_ours = given.process == process();
    // SAFETY: `exported` found a stream that was made here and not released yet.
    let private_data = unsafe {
        let private_data = (*stream).private_data;
        *stream = ArrowArrayStream::RELEASED;
        // A child of a fork can free nothing of its parent's, and keeps where it is.
        (*stream).private_data = if is_ours { std::ptr::null_mut() } else { private_data };
        private_data.cast::<Exported>()
    };
    if is_ours {
        // SAFETY: it came from `Box::into_raw`, and is taken back once, since `release` is NULL from now on.
        let owned = unsafe { Box::from_raw(private_data) };
        // The last holder of a released database closes it here.
        drop(catch_unwind(AssertUnwindSafe(|| drop(owned))));
    }
}

/// What was made for a stream; `None` if it was released, or is NULL.
fn exported<'a>(stream: *mut ArrowArrayStream) -> Option<&'a Exported> {
    // SAFETY: NULL, or by the specification the struct that was given out here, moved or not, and not used by two threads.
    let stream = unsafe { stream.as_ref() }?;
    stream.release?;
    // SAFETY: not released, so its data are still there, and stay for as long as this call.
    unsafe { stream.private_data.cast::<Exported>().as_ref() }
}

/// Runs the body of a callback that fills `out`; gives 0 or an errno.
fn answer<T: Movable>(
    stream: *mut ArrowArrayStream,
    out: *mut T,
    body: impl FnOnce(&Exported, &mut State) -> Result<T>,
) -> c_int {
    if out.is_null() {
        return libc::EINVAL;
    }
    // SAFETY: not NULL, and by the specification a variable of this type, which holds nothing.
    unsafe { out.write(T::RELEASED) };
    let Some(exported) = exported(stream) else { return libc::EINVAL };
    if exported.process != process() {
        // Its locks may have been held when the process forked.
        return libc::ECANCELED;
    }
    let mut state = exported.state.lock();
    state.text = CString::default();
    let outcome = catch_unwind(AssertUnwindSafe(|| body(exported, &mut state)));
    match outcome.unwrap_or_else(|payload| Err(panicked(&mut state, payload))) {
        Ok(value) => {
            // SAFETY: as above.
            unsafe { out.write(value) };
            0
        }
        Err(error) => {
            state.text = c_text(error.to_string().as_bytes());
            errno(&error)
        }
    }
}

/// What a panic left behind is not used again.
fn panicked(state: &mut State, payload: Box<dyn Any + Send>) -> Error {
    state.scan = None;
    let error = crate::boundary::describe_panic(payload.as_ref());
    state.failure = Some(error.clone());
    error
}

fn errno(error: &Error) -> c_int {
    match (error.kind(), error.os_code()) {
        (_, Some(code)) if code != 0 => code,
        (ErrorKind::InvalidArgument, _) => libc::EINVAL,
        (ErrorKind::NotSupported, _) => libc::ENOSYS,
        (ErrorKind::NoMemory, _) => libc::ENOMEM,
        (ErrorKind::NoSpace, _) => libc::ENOSPC,
        (ErrorKind::Closed | ErrorKind::Dropped | ErrorKind::Cancelled, _) => libc::ECANCELED,
        _ => libc::EIO,
    }
}
