//! An open file of the operating system: positioned reads and writes that finish, allocation, syncs, early write-back.

#![allow(unsafe_code)] // sync_file_range takes a raw descriptor.

use super::mapping;
use super::raw::RawCalls;
use crate::env::{File, Mapping};
use crate::error::{Error, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// One descriptor, closed on exec and when dropped.
pub(super) struct PosixFile<C> {
    calls: C,
    file: std::fs::File,
    path: PathBuf,
    /// How far disk space is truly reserved: a store to a mapped hole on a full disk would be SIGBUS.
    reserved: AtomicU64,
}

impl<C: RawCalls> PosixFile<C> {
    pub(super) fn new(calls: C, file: std::fs::File, path: &Path) -> Self {
        Self { calls, file, path: path.to_path_buf(), reserved: AtomicU64::new(0) }
    }

    fn failed(&self, operation: &'static str) -> impl Fn(io::Error) -> Error + '_ {
        move |cause| Error::io(operation, &self.path, &cause)
    }
}

impl<C: RawCalls> File for PosixFile<C> {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.calls.read(&self.file, &mut buffer[filled..], offset + filled as u64) {
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
            let cause = match self.calls.write(&self.file, &bytes[written..], at) {
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
        let is_reserved = loop {
            match self.calls.reserve(&self.file, len) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                reserved => break reserved.map_err(self.failed("allocate"))?,
            }
        };
        if is_reserved {
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

#[cfg(target_os = "linux")]
fn start_writeback(file: &std::fs::File, offset: u64, len: u64) {
    use std::os::fd::AsRawFd;
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
