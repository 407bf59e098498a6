//! Who holds the oldest segment of the log.

use crate::boundary::{self, Stop};
use crate::bytes::{self, Out, Sized32};
use crate::open::{Database, sstore_db};
use crate::status::{sstore_code, sstore_error};
use std::ffi::c_char;

/// The oldest record of the log that is needed: what it is about is in no file yet.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_log_pin {
    /// Set by the caller to sizeof(sstore_log_pin).
    pub struct_size: u32,
    /// 1 if the memtable that holds it waits for its flush already, else 0.
    pub is_frozen: u32,
    /// Its sequence.
    pub sequence: u64,
    /// The number of the segment that it lies in: the oldest one that is needed.
    pub segment: u64,
}

impl Default for sstore_log_pin {
    fn default() -> Self {
        Self { struct_size: size_of::<Self>() as u32, is_frozen: 0, sequence: 0, segment: 0 }
    }
}

// SAFETY: `repr(C)`, two u32, then u64: no padding, any bits are a value.
unsafe impl Sized32 for sstore_log_pin {}

/// Tells who needs the oldest record of the log, and so its oldest segment: flushing that family shortens the log. Fills `*pin`, which
/// must have its struct_size set. `*family` becomes the name of the column family or table, the caller's, with a NUL at its end; free it
/// with sstore_free. Does not block for long; any thread. Errors: NOT_FOUND (all that was logged is in files), CLOSED, INVALID_ARGUMENT,
/// NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_log_pin_get(
    db: *const sstore_db,
    family: *mut *mut c_char,
    pin: *mut sstore_log_pin,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(family, std::ptr::null_mut());
    boundary::call(error, |handles| {
        bytes::fill(pin, sstore_log_pin::default(), "pin")?;
        out.required("family")?;
        let found = handles.pin::<Database>(db)?.db.log_pin().ok_or(Stop::Missing)?;
        let filled = sstore_log_pin {
            is_frozen: u32::from(found.is_frozen),
            sequence: found.sequence,
            segment: found.segment.0,
            ..sstore_log_pin::default()
        };
        bytes::fill(pin, filled, "pin")?;
        out.set(bytes::owned(found.collection.as_bytes())?.cast());
        Ok(())
    })
}
