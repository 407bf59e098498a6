//! An open file of the operating system: positioned reads and writes that finish, allocation, syncs, early write-back.

#![allow(unsafe_code)] // fallocate, sync_file_range and fcntl take a raw descriptor.

use super::mapping;
use crate::env::{File, Mapping};
use crate::error::{Error, Result};
use std::io;
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// One descriptor, closed on exec and when dropped.
pub(super) struct PosixFile {
    file: std::fs::File,
    path: PathBuf,
    /// How far disk space is truly reserved: a store to a mapped hole on a full disk would be SIGBUS.
    reserved: AtomicU64,
}

impl PosixFile {
    pub(super) fn new(file: std::fs::File, path: &Path) -> Self {
        Self { file, path: path.to_path_buf(), reserved: AtomicU64::new(0) }
    }

    fn failed(&self, operation: &'static str) -> impl Fn(io::Error) -> Error + '_ {
        move |cause| Error::io(operation, &self.path, &cause)
    }
}

impl File for PosixFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => {
                    return Err(Error::io("read", &self.path, &cause).at(&self.path, offset + filled as u64));
                }
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            let at = offset + written as u64;
            let cause = match self.file.write_at(&bytes[written..], at) {
                Ok(0) => io::Error::from(io::ErrorKind::WriteZero),
                Ok(count) => {
                    written += count;
                    continue;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => cause,
            };
            return Err(Error::io("write", &self.path, &cause).at(&self.path, at));
        }
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(self.failed("stat"))?.len())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        // Lowered first: whoever maps concurrently must not count on space that is being given back.
        self.reserved.fetch_min(len, Ordering::SeqCst);
        self.file.set_len(len).map_err(self.failed("set length"))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        if reserve(&self.file, len).map_err(self.failed("allocate"))? {
            self.reserved.fetch_max(len, Ordering::SeqCst);
        }
        if self.len()? < len {
            self.file.set_len(len).map_err(self.failed("allocate"))?;
        }
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        self.file.sync_data().map_err(self.failed("sync"))
    }

    fn start_writeback(&self, offset: u64, len: u64) {
        start_writeback(&self.file, offset, len);
    }

    fn map(&self, len: u64) -> Result<Option<Box<dyn Mapping>>> {
        if len == 0 || self.reserved.load(Ordering::SeqCst) < len {
            return Ok(None);
        }
        mapping::map(&self.file, len).map_err(self.failed("map"))
    }
}

/// Reserves disk space for the first `len` bytes. False if the file system cannot.
#[cfg(target_os = "linux")]
fn reserve(file: &std::fs::File, len: u64) -> io::Result<bool> {
    let Ok(len) = libc::off64_t::try_from(len) else { return Err(io::ErrorKind::FileTooLarge.into()) };
    if len == 0 {
        return Ok(true);
    }
    loop {
        // SAFETY: the descriptor is open for as long as `file` is borrowed; the call touches no memory of ours.
        if unsafe { libc::fallocate64(file.as_raw_fd(), 0, 0, len) } == 0 {
            return Ok(true);
        }
        let cause = io::Error::last_os_error();
        match cause.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => return Ok(false),
            _ => return Err(cause),
        }
    }
}

#[cfg(target_vendor = "apple")]
fn reserve(file: &std::fs::File, len: u64) -> io::Result<bool> {
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
fn reserve(_file: &std::fs::File, _len: u64) -> io::Result<bool> {
    Ok(false)
}

#[cfg(target_os = "linux")]
fn start_writeback(file: &std::fs::File, offset: u64, len: u64) {
    let (Ok(offset), Ok(len)) = (libc::off64_t::try_from(offset), libc::off64_t::try_from(len)) else { return };
    // A length of zero would mean the whole rest of the file.
    if len > 0 {
        // SAFETY: the descriptor is open for as long as `file` is borrowed; the call touches no memory of ours. A failure is
        // no loss: errors of the write-back itself show at the sync.
        unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn start_writeback(_file: &std::fs::File, _offset: u64, _len: u64) {}
