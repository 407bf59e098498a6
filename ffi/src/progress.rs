//! How far a call that takes long is: told to the application, which may call it off. Called by `files` and `repair`.
//!
//! Promises: the callback runs on the calling thread, ten times a second at most and once at the end, with numbers that never fall.
//! This module may use `unsafe`: it calls a function pointer of the application.

use engine::{Error, ErrorKind, Result};
use std::ffi::{c_int, c_void};
use std::time::{Duration, Instant};

/// From one telling to the next, at least.
const INTERVAL: Duration = Duration::from_millis(100);

/// Is told how far a call is: bytes that are done, of so many in all; 0 of 0 as long as an export waits for its flush. Ten times a
/// second at most, and once at the end. 0 calls it off: it fails with SSTORE_CANCELLED, and leaves nothing; what is answered at the end
/// does not count. Runs on the thread that called, which waits for it meanwhile; may read and write the database, and begin other calls
/// like this; must not close it, throw or longjmp.
pub type sstore_progress_callback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, bytes_done: u64, bytes_total: u64) -> c_int>;

/// Whom to tell.
pub(crate) struct Progress {
    callback: sstore_progress_callback,
    user_data: *mut c_void,
    told_at: Option<Instant>,
    now: (u64, u64),
}

impl Progress {
    pub(crate) fn to(callback: sstore_progress_callback, user_data: *mut c_void) -> Self {
        Self { callback, user_data, told_at: None, now: (0, 0) }
    }

    /// So much is done. Cancelled if that is all that the application wants.
    pub(crate) fn tell(&mut self, done: u64, total: u64) -> Result<()> {
        self.now = (done, total);
        if self.told_at.is_some_and(|told_at| told_at.elapsed() < INTERVAL) {
            return Ok(());
        }
        self.told_at = Some(Instant::now());
        if self.ask() {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Cancelled, "the call was called off by its progress callback"))
        }
    }

    /// All is done: tells a last time, whatever the time, and asks nothing.
    pub(crate) fn finish(self) {
        self.ask();
    }

    fn ask(&self) -> bool {
        let Some(callback) = self.callback else { return true };
        // SAFETY: by the contract of the callback it may be called with this data, on this thread, until the call returns.
        unsafe { callback(self.user_data, self.now.0, self.now.1) != 0 }
    }
}
