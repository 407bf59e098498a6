//! A file system that counts the bytes read of each file.

use crate::env::{File, FileLock, FileSystem, Mapping};
use crate::error::Result;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Counts = Arc<crate::lock::Mutex<BTreeMap<PathBuf, u64>>>;

pub struct Counting {
    inner: Arc<dyn FileSystem>,
    counts: Counts,
}

impl Counting {
    pub fn new(inner: Arc<dyn FileSystem>) -> Arc<Self> {
        Arc::new(Self { inner, counts: Counts::default() })
    }

    pub fn reset(&self) {
        self.counts.lock().clear();
    }

    pub fn read_bytes(&self, path: &Path) -> u64 {
        self.counts.lock().get(path).copied().unwrap_or(0)
    }

    fn counted(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(CountingFile { inner: file, counts: self.counts.clone() })
    }
}

struct CountingFile {
    inner: Arc<dyn File>,
    counts: Counts,
}

impl FileSystem for Counting {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.inner.open(path).map(|file| self.counted(file))
    }
    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.inner.create(path).map(|file| self.counted(file))
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
        self.inner.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        self.inner.lock(path)
    }
    fn prefers_mapping(&self, dir: &Path) -> bool {
        self.inner.prefers_mapping(dir)
    }
    fn free_bytes(&self, dir: &Path) -> Option<u64> {
        self.inner.free_bytes(dir)
    }
}

impl File for CountingFile {
    fn path(&self) -> &Path {
        self.inner.path()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let read = self.inner.read_at(buffer, offset)?;
        *self.counts.lock().entry(self.path().to_path_buf()).or_default() += read as u64;
        Ok(read)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.inner.write_at(bytes, offset)
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
        self.inner.sync_data()
    }
    fn start_writeback(&self, offset: u64, len: u64) {
        self.inner.start_writeback(offset, len);
    }
    fn map(&self, len: u64) -> Result<Option<Box<dyn Mapping>>> {
        self.inner.map(len)
    }
}
