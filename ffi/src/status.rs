//! Codes and error objects: what a caller learns when a call fails. Called by `boundary`.
//!
//! Promises that a code's number never changes, and that there is an error object even when there is no memory for one.

use crate::boundary;
use crate::handle::{Handles, Object};
use engine::{Error, ErrorKind};
use std::ffi::{CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicPtr, Ordering};

/// What came of a call. The numbers are frozen: none is ever reused or given another meaning. A later version may add
/// codes; treat one that you do not know as a failure.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum sstore_code {
    /// It succeeded.
    SSTORE_OK = 0,
    /// The thing asked for does not exist. For a missing key and for the end of an iteration there is no error object.
    SSTORE_NOT_FOUND = 1,
    /// The call is wrong: fix the argument that the message names.
    SSTORE_INVALID_ARGUMENT = 2,
    /// Bytes on disk are not what was written. Path and offset of the error say which.
    SSTORE_CORRUPTION = 3,
    /// The operating system refused or failed an operation.
    SSTORE_IO = 4,
    /// The disk, a quota or a file size limit is full. Free space, then call sstore_resume.
    SSTORE_NO_SPACE = 5,
    /// Another process, or another handle of this process, has the database open.
    SSTORE_LOCKED = 6,
    /// Something that belongs to the object is still open, or another thread is using it right now.
    SSTORE_BUSY = 7,
    /// The handle, or the database behind it, was closed or freed.
    SSTORE_CLOSED = 8,
    /// The handle was made before a fork; this process is the child. Open the database again here.
    SSTORE_FORKED = 9,
    /// The database is open for reading only, or turned read-only after a failure.
    SSTORE_READ_ONLY = 10,
    /// The format or the feature is newer than this library, or not offered here.
    SSTORE_NOT_SUPPORTED = 11,
    /// The time given ran out. The operation goes on.
    SSTORE_TIMED_OUT = 12,
    /// The write would have had to wait for flushes, and the caller asked not to wait.
    SSTORE_STALLED = 13,
    /// The operation was called off before it took effect.
    SSTORE_CANCELLED = 14,
    /// An earlier failure left the outcome of a write unknown. Close and open again.
    SSTORE_POISONED = 15,
    /// The column family was dropped.
    SSTORE_DROPPED = 16,
    /// The caller's buffer is too small; the size needed was written.
    SSTORE_TOO_SMALL = 17,
    /// Memory, or a handle, could not be had.
    SSTORE_NO_MEMORY = 18,
    /// The condition of a conditional write did not hold.
    SSTORE_CONFLICT = 19,
    /// A stretch of history that was asked for is gone.
    SSTORE_GAP = 20,
    /// Another writer took the database over.
    SSTORE_FENCED = 21,
    /// A bug in the library was caught. Please report the message.
    SSTORE_PANIC = 22,
}

macro_rules! codes {
    ($($code:ident $name:literal $kind:ident;)*) => {
        impl sstore_code {
            pub(crate) fn from_kind(kind: ErrorKind) -> Self {
                match kind {
                    $(ErrorKind::$kind => Self::$code,)*
                    // A kind that the engine knows and this table does not: a bug that a test finds.
                    _ => Self::SSTORE_PANIC,
                }
            }

            fn name(number: i32) -> &'static std::ffi::CStr {
                $(if number == Self::$code as i32 {
                    return $name;
                })*
                if number == 0 { c"OK" } else { c"UNKNOWN" }
            }

            #[cfg(test)]
            const KINDS: &'static [ErrorKind] = &[$(ErrorKind::$kind,)*];
        }
    };
}

codes! {
    SSTORE_NOT_FOUND c"NOT_FOUND" NotFound;
    SSTORE_INVALID_ARGUMENT c"INVALID_ARGUMENT" InvalidArgument;
    SSTORE_CORRUPTION c"CORRUPTION" Corruption;
    SSTORE_IO c"IO" Io;
    SSTORE_NO_SPACE c"NO_SPACE" NoSpace;
    SSTORE_LOCKED c"LOCKED" Locked;
    SSTORE_BUSY c"BUSY" Busy;
    SSTORE_CLOSED c"CLOSED" Closed;
    SSTORE_FORKED c"FORKED" Forked;
    SSTORE_READ_ONLY c"READ_ONLY" ReadOnly;
    SSTORE_NOT_SUPPORTED c"NOT_SUPPORTED" NotSupported;
    SSTORE_TIMED_OUT c"TIMED_OUT" TimedOut;
    SSTORE_STALLED c"STALLED" Stalled;
    SSTORE_CANCELLED c"CANCELLED" Cancelled;
    SSTORE_POISONED c"POISONED" Poisoned;
    SSTORE_DROPPED c"DROPPED" Dropped;
    SSTORE_TOO_SMALL c"TOO_SMALL" TooSmall;
    SSTORE_NO_MEMORY c"NO_MEMORY" NoMemory;
    SSTORE_CONFLICT c"CONFLICT" Conflict;
    SSTORE_GAP c"GAP" Gap;
    SSTORE_FENCED c"FENCED" Fenced;
    SSTORE_PANIC c"PANIC" Panic;
}

/// Why a call failed. Thread safety: free; any number of threads may read one. Free with sstore_error_free.
pub struct sstore_error {
    _opaque: [u8; 0],
}

/// What an error handle stands for.
pub(crate) struct ErrorObject {
    code: sstore_code,
    message: CString,
    path: Option<CString>,
    offset: Option<u64>,
    os_code: i32,
    /// The object that stands in when there is no memory: never freed.
    lasting: bool,
}

impl Object for ErrorObject {
    type Opaque = sstore_error;
    const TYPE: u8 = 1;
    const NAME: &'static str = "error";
}

/// Text for C: a NUL inside would cut it short, so it is replaced.
pub(crate) fn c_text(bytes: &[u8]) -> CString {
    let clean: Vec<u8> = bytes.iter().map(|&byte| if byte == 0 { b'?' } else { byte }).collect();
    CString::new(clean).unwrap_or_default()
}

pub(crate) fn create(handles: &'static Handles, cause: &Error) -> *mut sstore_error {
    // Made while there is memory, so that it is there when there is none.
    let lasting = no_memory(Some(handles));
    let object = ErrorObject {
        code: sstore_code::from_kind(cause.kind()),
        message: c_text(cause.to_string().as_bytes()),
        path: cause.path().map(|path| c_text(path.as_os_str().as_bytes())),
        offset: cause.offset(),
        os_code: cause.os_code().unwrap_or(0),
        lasting: false,
    };
    handles.insert(object).unwrap_or(lasting)
}

/// The one error object that needs no memory. NULL only if not even the table of handles could be made.
// A function of its own in every build: scripts/leaks.supp names it.
#[inline(never)]
pub(crate) fn no_memory(handles: Option<&'static Handles>) -> *mut sstore_error {
    static LASTING: AtomicPtr<sstore_error> = AtomicPtr::new(std::ptr::null_mut());
    let known = LASTING.load(Ordering::Acquire);
    let Some(handles) = handles else { return known };
    if !known.is_null() && handles.pin::<ErrorObject>(known).is_ok() {
        return known;
    }
    let object = ErrorObject {
        code: sstore_code::SSTORE_NO_MEMORY,
        message: c"no memory".to_owned(),
        path: None,
        offset: None,
        os_code: libc::ENOMEM,
        lasting: true,
    };
    let made = handles.insert(object).unwrap_or(std::ptr::null_mut());
    match LASTING.compare_exchange(known, made, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => made,
        Err(other) => other,
    }
}

/// The name of a code without its prefix, such as "NOT_FOUND"; "UNKNOWN" for a number that is none. The text lives for ever.
/// Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_code_name(code: i32) -> *const c_char {
    sstore_code::name(code).as_ptr()
}

/// The code of an error; SSTORE_OK for NULL, SSTORE_INVALID_ARGUMENT for what is no error or was freed. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_error_code(error: *const sstore_error) -> sstore_code {
    if error.is_null() {
        return sstore_code::SSTORE_OK;
    }
    boundary::value(sstore_code::SSTORE_INVALID_ARGUMENT, |handles| Ok(handles.pin::<ErrorObject>(error)?.code))
}

/// What happened, with file and system error, for people. Never parse it. "" for NULL and for what is no error.
/// The text lives until the error is freed. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_error_message(error: *const sstore_error) -> *const c_char {
    boundary::value(c"".as_ptr(), |handles| Ok(handles.pin::<ErrorObject>(error)?.message.as_ptr()))
}

/// The path of the file or directory that the error concerns; NULL if it concerns none.
/// The text lives until the error is freed. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_error_path(error: *const sstore_error) -> *const c_char {
    boundary::value(std::ptr::null(), |handles| {
        Ok(handles.pin::<ErrorObject>(error)?.path.as_ref().map_or(std::ptr::null(), |path| path.as_ptr()))
    })
}

/// The offset in that file; UINT64_MAX if there is none. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_error_offset(error: *const sstore_error) -> u64 {
    boundary::value(u64::MAX, |handles| Ok(handles.pin::<ErrorObject>(error)?.offset.unwrap_or(u64::MAX)))
}

/// The operating system's error number (errno); 0 if the operating system had no part in it. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_error_errno(error: *const sstore_error) -> i32 {
    boundary::value(0, |handles| Ok(handles.pin::<ErrorObject>(error)?.os_code))
}

/// Frees an error and its texts. NULL and what was freed already do nothing. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_error_free(error: *mut sstore_error) {
    boundary::value((), |handles| {
        if handles.pin::<ErrorObject>(error)?.lasting {
            return Ok(());
        }
        handles.remove::<ErrorObject>(error)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_engine_has_the_code_with_its_number() {
        for kind in sstore_code::KINDS {
            assert_eq!(sstore_code::from_kind(*kind) as i32, kind.code());
        }
        assert_eq!(sstore_code::KINDS.len(), 22);
    }

    #[test]
    fn the_lasting_error_survives_being_freed() {
        let handles = crate::handle::table().unwrap();
        let error = no_memory(Some(handles));
        // SAFETY: these functions accept any handle.
        unsafe {
            sstore_error_free(error);
            assert_eq!(sstore_error_code(error), sstore_code::SSTORE_NO_MEMORY);
        }
    }
}
