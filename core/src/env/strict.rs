//! A file system that panics when the order on disk is broken. Wraps any other, so that every test is also a test of order.
//!
//! - A file whose sync failed is neither written nor synced again.
//! - CURRENT is replaced only by a synced file that names a synced manifest whose name is durable.
//! - While a manifest holds unsynced writes no durable log segment and no durable table file is removed.
//! - A log segment is renamed, which is how it is archived, only when its bytes are synced, and otherwise as it is removed.
//! - When a manifest is synced every table file that was synced has a durable name.
//! - A read-only open makes no mutating call.
//!
//! The rules that speak of a manifest and other files look over all files, so jobs side by side on real threads break them
//! innocently; and a write may be under way when the sync of another thread fails: there [`StrictFileSystem::concurrent`] leaves them out.

#[cfg(test)]
mod tests;

use super::{File, FileLock, FileSystem, Mapping, parent};
use crate::error::Result;
use crate::lock::UnmodelledMutex;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is known of a file that was created or written through the wrapper. Others are taken as durable.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    unsynced: bool,
    ever_synced: bool,
    sync_failed: bool,
    name_undurable: bool,
}

#[derive(Default)]
struct Watch {
    files: HashMap<PathBuf, Known>,
    read_only: bool,
    concurrent: bool,
}

/// The wrapper.
pub struct StrictFileSystem {
    inner: Arc<dyn FileSystem>,
    watch: Arc<UnmodelledMutex<Watch>>,
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn is_manifest(path: &Path) -> bool {
    name(path).starts_with("MANIFEST-")
}

fn is_table(path: &Path) -> bool {
    name(path).ends_with(".sst")
}

fn is_log(path: &Path) -> bool {
    name(path).ends_with(".log")
}

impl Watch {
    fn check_mutable(&self, doing: &str, path: &Path) {
        assert!(!self.read_only, "strict: {doing} by a read-only open: {}", path.display());
    }

    fn check_before_change(&self, doing: &str, path: &Path) {
        self.check_mutable(doing, path);
        if !self.concurrent {
            self.check_sync_did_not_fail(doing, path);
        }
    }

    fn check_sync_did_not_fail(&self, doing: &str, path: &Path) {
        let failed = self.files.get(path).is_some_and(|known| known.sync_failed);
        assert!(!failed, "strict: {doing} on a file whose sync failed: {}", path.display());
    }

    fn check_before_sync(&self, path: &Path) {
        self.check_mutable("sync", path);
        self.check_sync_did_not_fail("sync", path);
        if self.concurrent || !is_manifest(path) {
            return;
        }
        for (table, known) in &self.files {
            assert!(
                !(is_table(table) && known.ever_synced && known.name_undurable),
                "strict: sync of {} while the name of {} is not durable",
                path.display(),
                table.display()
            );
        }
    }

    fn check_before_remove(&self, path: &Path) {
        self.check_mutable("remove", path);
        let known = self.files.get(path).copied().unwrap_or_default();
        let is_live = !known.unsynced && !known.name_undurable;
        if self.concurrent || !is_live || !(is_log(path) || is_table(path)) {
            return;
        }
        if let Some((manifest, _)) = self.files.iter().find(|(path, known)| is_manifest(path) && known.unsynced) {
            panic!("strict: remove of {} while {} has unsynced writes", path.display(), manifest.display());
        }
    }

    fn check_durable(&self, path: &Path, with_name: bool) {
        let known = self.files.get(path).copied().unwrap_or_default();
        assert!(!known.unsynced && !known.sync_failed, "strict: CURRENT before {} is synced", path.display());
        assert!(
            !with_name || !known.name_undurable,
            "strict: CURRENT before the name of {} is durable",
            path.display()
        );
    }
}

impl StrictFileSystem {
    /// Wraps `inner` under all rules: for runs whose jobs do not overlap, as on the seeded executor.
    pub fn new(inner: Arc<dyn FileSystem>) -> Arc<Self> {
        Arc::new(Self { inner, watch: Arc::default() })
    }

    /// Wraps `inner` under the rules that also hold while jobs overlap.
    pub fn concurrent(inner: Arc<dyn FileSystem>) -> Arc<Self> {
        let strict = Self::new(inner);
        strict.watch.lock().concurrent = true;
        strict
    }

    /// From now on every mutating call is a violation (true), or only those against the other rules (false).
    pub fn set_read_only(&self, read_only: bool) {
        self.watch.lock().read_only = read_only;
    }

    fn wrap(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(StrictFile { inner, watch: self.watch.clone() })
    }

    fn check_current(&self, from: &Path, to: &Path) -> Result<()> {
        let text = super::read_file(&*self.inner, from, 1 << 16)?;
        let text = String::from_utf8_lossy(&text);
        let mut watch = self.watch.lock();
        watch.check_durable(from, false);
        let Some(start) = text.find("MANIFEST-") else {
            panic!("strict: CURRENT names no manifest: {}", from.display())
        };
        let digits = text[start + 9..].chars().take_while(char::is_ascii_digit).count();
        let manifest = parent(to).join(&text[start..start + 9 + digits]);
        watch.check_durable(&manifest, true);
        // What an older manifest still holds unsynced means nothing once CURRENT names another.
        watch.files.retain(|path, known| !is_manifest(path) || *path == manifest || known.sync_failed);
        for (path, known) in &mut watch.files {
            known.unsynced &= !(is_manifest(path) && *path != manifest);
        }
        Ok(())
    }
}

impl FileSystem for StrictFileSystem {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        Ok(self.wrap(self.inner.open(path)?))
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.watch.lock().check_mutable("create", path);
        let file = self.inner.create(path)?;
        let known = Known { name_undurable: true, ..Known::default() };
        self.watch.lock().files.insert(path.to_path_buf(), known);
        Ok(self.wrap(file))
    }

    fn file_len(&self, path: &Path) -> Result<Option<u64>> {
        self.inner.file_len(path)
    }

    fn create_dir(&self, path: &Path) -> Result<bool> {
        self.watch.lock().check_mutable("create directory", path);
        self.inner.create_dir(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.watch.lock().check_mutable("rename", from);
        if name(to) == "CURRENT" {
            self.check_current(from, to)?;
        }
        if is_log(from) {
            let watch = self.watch.lock();
            watch.check_before_remove(from);
            let is_synced = !watch.files.get(from).is_some_and(|known| known.unsynced);
            assert!(is_synced, "strict: rename of {} before it is synced", from.display());
        }
        self.inner.rename(from, to)?;
        let mut watch = self.watch.lock();
        let known = watch.files.remove(from).unwrap_or_default();
        watch.files.insert(to.to_path_buf(), Known { name_undurable: true, ..known });
        // The files in a directory go with it.
        let within: Vec<PathBuf> = watch.files.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for path in within {
            if let (Some(known), Ok(name)) = (watch.files.remove(&path), path.strip_prefix(from)) {
                watch.files.insert(to.join(name), known);
            }
        }
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.watch.lock().check_mutable("link", to);
        self.inner.link(from, to)?;
        let mut watch = self.watch.lock();
        let known = watch.files.get(from).copied().unwrap_or_default();
        watch.files.insert(to.to_path_buf(), Known { name_undurable: true, ..known });
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.watch.lock().check_before_remove(path);
        self.inner.remove(path)?;
        self.watch.lock().files.remove(path);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.watch.lock().check_mutable("remove directory", path);
        self.inner.remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.watch.lock().check_mutable("sync directory", dir);
        self.inner.sync_dir(dir)?;
        for (path, known) in &mut self.watch.lock().files {
            known.name_undurable = known.name_undurable && parent(path) != dir;
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        self.watch.lock().check_mutable("lock", path);
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

struct StrictFile {
    inner: Arc<dyn File>,
    watch: Arc<UnmodelledMutex<Watch>>,
}

impl StrictFile {
    /// Checks a change that is about to be made and notes that it is not durable.
    fn change(&self, doing: &str) {
        note_change(&self.watch, doing, self.inner.path());
    }
}

fn note_change(watch: &UnmodelledMutex<Watch>, doing: &str, path: &Path) {
    let mut watch = watch.lock();
    watch.check_before_change(doing, path);
    if let Some(known) = watch.files.get_mut(path) {
        known.unsynced = true;
    }
}

impl File for StrictFile {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.change("write");
        self.inner.write_at(bytes, offset)
    }

    fn len(&self) -> Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.change("set length");
        self.inner.set_len(len)
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.change("allocate");
        self.inner.allocate(len)
    }

    fn sync_data(&self) -> Result<()> {
        self.watch.lock().check_before_sync(self.path());
        let outcome = self.inner.sync_data();
        if let Some(known) = self.watch.lock().files.get_mut(self.path()) {
            match outcome {
                Ok(()) => (known.unsynced, known.ever_synced) = (false, true),
                Err(_) => known.sync_failed = true,
            }
        }
        outcome
    }

    fn start_writeback(&self, offset: u64, len: u64) {
        self.inner.start_writeback(offset, len);
    }

    fn map(&self, len: u64) -> Result<Option<Box<dyn Mapping>>> {
        let (path, watch) = (self.path().to_path_buf(), self.watch.clone());
        let mapped = self.inner.map(len)?;
        Ok(mapped.map(|inner| Box::new(StrictMapping { inner, path, watch }) as Box<dyn Mapping>))
    }
}

struct StrictMapping {
    inner: Box<dyn Mapping>,
    path: PathBuf,
    watch: Arc<UnmodelledMutex<Watch>>,
}

impl Mapping for StrictMapping {
    fn store(&self, offset: u64, bytes: &[u8]) {
        note_change(&self.watch, "store", &self.path);
        self.inner.store(offset, bytes);
    }

    fn populate(&self, offset: u64, len: u64) -> Result<()> {
        self.inner.populate(offset, len)
    }
}
