//! The calls of the kernel that a signal may interrupt, or that may do less than they were asked: each of them once, as it comes.
//!
//! Called by `file`, which goes on with what is left. Behind a trait, so that `env::fault` can cut any of them short. Calls that the standard
//! library repeats after a signal by itself (open, truncate, sync) do not stand here.

#![allow(unsafe_code)] // fallocate and fcntl take a raw descriptor.

use std::fs::File;
use std::io;
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// One call each. What they give in the way of an error of kind Interrupted says that nothing was done.
pub trait RawCalls: Clone + Send + Sync + 'static {
    /// Reads at most `buffer.len()` bytes at `offset`, and says how many; 0 at the end of the file.
    fn read(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }

    /// Writes at most all of `bytes` at `offset`, and says how many.
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.write_at(bytes, offset)
    }

    /// Reserves disk space for the first `len` bytes. False if the file system cannot.
    fn reserve(&self, file: &File, len: u64) -> io::Result<bool> {
        reserve(file, len)
    }
}

/// The kernel, as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kernel;

impl RawCalls for Kernel {}

#[cfg(target_os = "linux")]
fn reserve(file: &File, len: u64) -> io::Result<bool> {
    let Ok(len) = libc::off64_t::try_from(len) else { return Err(io::ErrorKind::FileTooLarge.into()) };
    if len == 0 {
        return Ok(true);
    }
    // SAFETY: the descriptor is open for as long as `file` is borrowed; the call touches no memory of ours.
    if unsafe { libc::fallocate64(file.as_raw_fd(), 0, 0, len) } == 0 {
        return Ok(true);
    }
    let cause = io::Error::last_os_error();
    match cause.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOSYS) => Ok(false),
        _ => Err(cause),
    }
}

#[cfg(target_vendor = "apple")]
fn reserve(file: &File, len: u64) -> io::Result<bool> {
    let (Ok(wanted), Ok(present)) = (libc::off_t::try_from(len), libc::off_t::try_from(file.metadata()?.len())) else {
        return Err(io::ErrorKind::FileTooLarge.into());
    };
    if wanted <= present {
        return Ok(true);
    }
    let mut request = libc::fstore_t {
        fst_flags: libc::F_ALLOCATEALL,
        fst_posmode: libc::F_PEOFPOSMODE,
        fst_offset: 0,
        fst_length: wanted - present,
        fst_bytesalloc: 0,
    };
    // SAFETY: the descriptor is open for as long as `file` is borrowed; the struct is ours and of the type this command takes.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_PREALLOCATE, &mut request) } != -1 {
        return Ok(true);
    }
    let cause = io::Error::last_os_error();
    match cause.raw_os_error() {
        Some(libc::ENOTSUP | libc::EOPNOTSUPP | libc::EINVAL) => Ok(false),
        _ => Err(cause),
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn reserve(_file: &File, _len: u64) -> io::Result<bool> {
    Ok(false)
}
