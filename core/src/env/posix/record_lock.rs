//! Who holds a record lock on a file of another program: asked for, never taken.
//!
//! Called through `FileSystem::record_lock_holder`. Promises: no lock is taken, and none of this process is lost.

#![allow(unsafe_code)] // fcntl fills a plain struct through a pointer.

use crate::error::{Error, Result};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::Path;

/// Asks as an open file description, not as a process, so that locks of this process are told too.
#[cfg(target_os = "linux")]
const QUESTION: i32 = libc::F_OFD_GETLK;
#[cfg(not(target_os = "linux"))]
const QUESTION: i32 = libc::F_GETLK;

/// The process that holds a record lock on the file; 0 if it cannot be told which.
pub(super) fn holder(path: &Path) -> Result<Option<u32>> {
    let failed = |cause: io::Error| Error::io("ask for locks of", path, &cause);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(failed(cause)),
    };
    // SAFETY: all-zero bytes are a value of this plain struct of integers; they mean the whole file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the descriptor is open for as long as `file` lives; the struct is ours and of the type that the call takes and fills.
    if unsafe { libc::fcntl(file.as_raw_fd(), QUESTION, &raw mut lock) } == -1 {
        return Err(failed(io::Error::last_os_error()));
    }
    if lock.l_type == libc::F_UNLCK as libc::c_short {
        return Ok(None);
    }
    let process = u32::try_from(lock.l_pid).unwrap_or(0);
    if process == std::process::id() {
        // To close any descriptor of a file gives up all record locks that the process has on it: this one stays open, so that
        // whoever holds the lock here does not lose it.
        let _ = file.into_raw_fd();
    }
    Ok(Some(process))
}
