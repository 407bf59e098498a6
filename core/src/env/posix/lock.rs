//! The lock that keeps a second opener out: `flock` against other processes, a table against this one.
//!
//! `flock` alone would not do: network file systems emulate it by locks that belong to the process, so that a second open in
//! one process would get it too. The table names the process, because a forked child inherits its entries without the right
//! to them.

#![allow(unsafe_code)] // flock takes a raw descriptor.

use crate::env::FileLock;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::{Mutex, MutexGuard};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Which file, and which process holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holding {
    device: u64,
    inode: u64,
    process: u32,
}

static HELD: Mutex<Vec<Holding>> = Mutex::new(Vec::new());

/// A fork while another thread is inside the table leaves it locked for ever in the child; so the wait has an end.
const TABLE_PATIENCE: Duration = Duration::from_secs(2);

/// How often to start again when the lock file is replaced while we take it.
const ATTEMPTS: u32 = 8;

/// The table, or `None` if it is locked for ever.
fn table() -> Option<MutexGuard<'static, Vec<Holding>>> {
    let deadline = Instant::now() + TABLE_PATIENCE;
    loop {
        match HELD.try_lock() {
            Some(held) => return Some(held),
            None if Instant::now() >= deadline => return None,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

impl Holding {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), process: std::process::id() }
    }

    /// Enters the table. False if this process holds that file.
    fn enter(self, path: &Path) -> Result<bool> {
        let Some(mut held) = table() else {
            let message = "the table of held locks was being changed when this process was forked";
            return Err(Error::new(ErrorKind::Forked, message).in_file(path));
        };
        // What a parent process held is not ours; its lock, if it still has it, shows at flock.
        held.retain(|holding| holding.process == self.process);
        if held.contains(&self) {
            return Ok(false);
        }
        held.push(self);
        Ok(true)
    }

    fn leave(self) {
        if let Some(mut held) = table() {
            held.retain(|holding| *holding != self);
        }
    }
}

/// A held `flock`.
pub(super) struct PosixLock {
    file: File,
    path: PathBuf,
    holding: Holding,
}

impl FileLock for PosixLock {
    fn is_ours(&self) -> bool {
        // Without a file of the name nobody else has one to lock; who makes one sees all that was done before.
        std::fs::symlink_metadata(&self.path).map_or(true, |now| Holding::of(&now) == self.holding)
    }
}

impl PosixLock {
    /// Takes the lock of `path` without waiting.
    pub(super) fn take(path: &Path) -> Result<Self> {
        let failed = |cause: io::Error| Error::io("lock", path, &cause);
        for _ in 0..ATTEMPTS {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                // Never through a link that someone else may have put there, and never waiting for a pipe's other end.
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(path)
                .map_err(failed)?;
            let metadata = file.metadata().map_err(failed)?;
            if !metadata.is_file() {
                return Err(Error::new(ErrorKind::Io, "the lock is not a regular file").in_file(path));
            }
            let holding = Holding::of(&metadata);
            if !holding.enter(path)? {
                let message = "locked by another handle of this process";
                return Err(Error::new(ErrorKind::Locked, message).in_file(path));
            }
            // From here on dropping `lock` leaves the table and unlocks.
            let lock = Self { file, path: path.to_path_buf(), holding };
            lock.flock(libc::LOCK_EX | libc::LOCK_NB).map_err(|cause| match cause.raw_os_error() {
                Some(libc::EWOULDBLOCK) => Error::new(ErrorKind::Locked, "locked by another process").in_file(path),
                _ => failed(cause),
            })?;
            // Between our open and our lock the holder may have removed the file: then we hold a file without a name.
            match std::fs::symlink_metadata(path) {
                Ok(now) if Holding::of(&now) == holding => return Ok(lock),
                Ok(_) => {}
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => return Err(failed(cause)),
            }
        }
        Err(Error::new(ErrorKind::Locked, "the lock file is being replaced again and again").in_file(path))
    }

    fn flock(&self, operation: i32) -> io::Result<()> {
        loop {
            // SAFETY: the descriptor is open for as long as `self` lives; the call touches no memory of ours.
            if unsafe { libc::flock(self.file.as_raw_fd(), operation) } == 0 {
                return Ok(());
            }
            let cause = io::Error::last_os_error();
            if cause.kind() != io::ErrorKind::Interrupted {
                return Err(cause);
            }
        }
    }
}

impl Drop for PosixLock {
    fn drop(&mut self) {
        // A forked child shares the open file description: unlocking would take the lock from its parent. The parent must
        // unlock, not just close, because a child may still have the descriptor.
        if self.holding.process == std::process::id() {
            // Unlocked before it leaves the table, so that no second open of this process finds the table free and the file
            // locked. A failure is no loss: closing unlocks too.
            let _ = self.flock(libc::LOCK_UN);
            self.holding.leave();
        }
    }
}
