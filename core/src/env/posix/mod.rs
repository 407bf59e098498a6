//! The real world: files by POSIX calls, tasks on threads. What every program that links the library runs on.
//!
//! Writes nothing to stdout or stderr, installs no signal handler and nothing that runs at exit. Descriptors are closed on
//! exec; files are made for their owner only.

#![allow(unsafe_code)] // statfs and statvfs fill plain structs through pointers.

mod file;
mod lock;
mod mapping;
mod pool;
mod raw;
mod record_lock;
mod runtime;
#[cfg(test)]
mod tests;

use super::{Env, File, FileLock, FileSystem, parent};
use crate::error::{Error, ErrorKind, Result};
use file::PosixFile;
pub use raw::{Kernel, RawCalls};
use std::ffi::CString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// The real files, clock and threads of this process. Cheap; a forked child makes its own.
pub fn posix() -> Env {
    Env { files: Arc::new(PosixFileSystem::new(Kernel)), runtime: Arc::new(runtime::PosixRuntime::new()) }
}

/// Files of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct PosixFileSystem<C> {
    calls: C,
}

impl<C: RawCalls> PosixFileSystem<C> {
    /// Files that are read and written by these calls.
    pub fn new(calls: C) -> Self {
        Self { calls }
    }
}

impl<C: RawCalls> FileSystem for PosixFileSystem<C> {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        let file = fs::File::open(path).map_err(|cause| Error::io("open", path, &cause))?;
        Ok(Arc::new(PosixFile::new(self.calls.clone(), file, path)))
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|cause| Error::io("create", path, &cause))?;
        Ok(Arc::new(PosixFile::new(self.calls.clone(), file, path)))
    }

    fn file_len(&self, path: &Path) -> Result<Option<u64>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::io("stat", path, &cause)),
        }
    }

    fn create_dir(&self, path: &Path) -> Result<bool> {
        match make_dir(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let above = parent(path);
                if above.as_os_str() == path.as_os_str() {
                    return Err(error);
                }
                // The caller syncs the parent of what it asked for; nobody but this call knows of parents that were missing.
                if self.create_dir(&above)? {
                    self.sync_dir(&parent(&above))?;
                }
                make_dir(path)
            }
            made => made,
        }
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let failed = |cause: io::Error| Error::io("list", dir, &cause);
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|cause| Error::io("rename", from, &cause))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        fs::hard_link(from, to).map_err(|cause| Error::io("link", to, &cause))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|cause| Error::io("remove", path, &cause))
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        fs::remove_dir(path).map_err(|cause| Error::io("remove directory", path, &cause))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let failed = |cause: io::Error| Error::io("sync directory", dir, &cause);
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(dir).map_err(failed)?;
        opened.sync_all().map_err(failed)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        Ok(Box::new(lock::PosixLock::take(path)?))
    }

    fn record_lock_holder(&self, path: &Path) -> Result<Option<u32>> {
        record_lock::holder(path)
    }

    fn prefers_mapping(&self, dir: &Path) -> bool {
        prefers_mapping(dir)
    }

    fn free_bytes(&self, dir: &Path) -> Option<u64> {
        let path = CString::new(dir.as_os_str().as_bytes()).ok()?;
        let mut found = MaybeUninit::<libc::statvfs>::zeroed();
        // SAFETY: the path is a C string that outlives the call; the struct is ours and of the type that the call fills.
        let code = unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) };
        if code != 0 {
            return None;
        }
        // SAFETY: the call succeeded, and all-zero bytes were a valid value before it.
        let found = unsafe { found.assume_init() };
        #[allow(clippy::unnecessary_cast)] // The fields are narrower on some systems.
        Some((found.f_bavail as u64).saturating_mul(found.f_frsize as u64))
    }
}

/// Makes one directory. True if it was made now, false if a directory of that name is there.
fn make_dir(path: &Path) -> Result<bool> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(cause) => Err(Error::io("create directory", path, &cause)),
    }
}

/// Copy-on-write and network file systems allocate at write-back, where a full disk becomes SIGBUS, so the list is positive.
#[cfg(target_os = "linux")]
fn prefers_mapping(dir: &Path) -> bool {
    const EXT4: u64 = 0xEF53;
    const XFS: u64 = 0x5846_5342;
    const TMPFS: u64 = 0x0102_1994;
    let Ok(path) = CString::new(dir.as_os_str().as_bytes()) else { return false };
    let mut found = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the path is a C string that outlives the call; the struct is ours and of the type that the call fills.
    let code = unsafe { libc::statfs(path.as_ptr(), found.as_mut_ptr()) };
    if code != 0 {
        return false;
    }
    // SAFETY: the call succeeded, and all-zero bytes were a valid value before it.
    let found = unsafe { found.assume_init() };
    // The field's type differs between architectures; magics are 32 bits.
    let magic = found.f_type as u64 & 0xFFFF_FFFF;
    matches!(magic, EXT4 | XFS | TMPFS)
}

/// Elsewhere a sync of the file does not promise to cover stores through a mapping.
#[cfg(not(target_os = "linux"))]
fn prefers_mapping(_dir: &Path) -> bool {
    false
}
