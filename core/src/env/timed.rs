//! A file system that tells how long calls took that wait for a disk. Wraps any other.
//!
//! `db` puts it around the world that it was given. Syncs are told each time; writes from [`WRITE_BYTES_MIN`] on, so that a small one,
//! which goes to memory as a rule, costs what it did before.

use super::{Call, File, FileLock, FileSystem, Mapping, Runtime};
use crate::error::Result;
use std::path::Path;
use std::sync::Arc;

/// Shorter writes are not timed.
pub const WRITE_BYTES_MIN: usize = 4096;

/// Is told of each call, failed ones among them, on the thread that made it and under the locks that it holds.
pub trait Watch: Send + Sync {
    /// `call` on `path` was over after so many nanoseconds. `bytes` are those of a write, else 0.
    fn took(&self, call: Call, path: &Path, bytes: u64, nanos: u64);
}

/// The wrapper.
pub struct TimedFileSystem {
    inner: Arc<dyn FileSystem>,
    clock: Clock,
}

#[derive(Clone)]
struct Clock {
    runtime: Arc<dyn Runtime>,
    watch: Arc<dyn Watch>,
}

impl Clock {
    fn time<T>(&self, call: Call, path: &Path, bytes: usize, act: impl FnOnce() -> T) -> T {
        let began = self.runtime.monotonic_nanos();
        let result = act();
        self.watch.took(call, path, bytes as u64, self.runtime.monotonic_nanos().saturating_sub(began));
        result
    }
}

impl TimedFileSystem {
    /// Wraps `inner`, for `watch`.
    pub fn new(inner: Arc<dyn FileSystem>, runtime: Arc<dyn Runtime>, watch: Arc<dyn Watch>) -> Arc<Self> {
        Arc::new(Self { inner, clock: Clock { runtime, watch } })
    }

    fn wrap(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(TimedFile { inner, clock: self.clock.clone() })
    }
}

impl FileSystem for TimedFileSystem {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.inner.open(path)
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.inner.create(path).map(|file| self.wrap(file))
    }

    fn file_len(&self, path: &Path) -> Result<Option<u64>> {
        self.inner.file_len(path)
    }

    fn create_dir(&self, path: &Path) -> Result<bool> {
        self.inner.create_dir(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.inner.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.inner.link(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.inner.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.inner.remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.clock.time(Call::SyncDir, dir, 0, || self.inner.sync_dir(dir))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        self.inner.lock(path)
    }

    fn prefers_mapping(&self, dir: &Path) -> bool {
        self.inner.prefers_mapping(dir)
    }

    fn record_lock_holder(&self, path: &Path) -> Result<Option<u32>> {
        self.inner.record_lock_holder(path)
    }

    fn free_bytes(&self, dir: &Path) -> Option<u64> {
        self.inner.free_bytes(dir)
    }
}

/// A file that was created here. One that was opened is only read.
struct TimedFile {
    inner: Arc<dyn File>,
    clock: Clock,
}

impl File for TimedFile {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        if bytes.len() < WRITE_BYTES_MIN {
            return self.inner.write_at(bytes, offset);
        }
        self.clock.time(Call::Write, self.path(), bytes.len(), || self.inner.write_at(bytes, offset))
    }

    fn len(&self) -> Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.inner.set_len(len)
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.inner.allocate(len)
    }

    fn sync_data(&self) -> Result<()> {
        self.clock.time(Call::SyncData, self.path(), 0, || self.inner.sync_data())
    }

    fn start_writeback(&self, offset: u64, len: u64) {
        self.inner.start_writeback(offset, len);
    }

    fn map(&self, len: u64) -> Result<Option<Box<dyn Mapping>>> {
        self.inner.map(len)
    }
}
