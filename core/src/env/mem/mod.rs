//! A file system in memory that knows what of it is durable, so that a test can cut the power at every call.
//!
//! It keeps what the process sees apart from what the last syncs made durable, together with every change in between;
//! [`MemFileSystem::crash_clone`] turns that into one of the states that a power cut could leave. Images of all moments are
//! cheap: files share their chunks until one of them changes.

mod content;
pub mod crash;
mod image;
#[cfg(test)]
mod tests;

use super::{Call, File, FileLock, FileSystem, Mapping};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::UnmodelledMutex;
use crash::CrashChoice;
use image::{DataChange, DataChangeKind, DirNode, EntryChange, FileNode, Image, Inode, Node, ROOT};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Weak};

/// Longer files are refused, as by a file system with such a limit.
const FILE_BYTES_MAX: u64 = 1 << 36;

/// Files and directories in memory. `/a/b` and `a/b` are the same path; the root exists from the start.
pub struct MemFileSystem {
    state: Arc<UnmodelledMutex<State>>,
}

/// The file system as it was just before a mutating call.
pub struct RecordedImage {
    /// The number of the call that followed, counted from 0.
    pub op: u64,
    /// Its kind.
    pub call: Call,
    /// The state before it, locks excepted.
    pub image: Arc<MemFileSystem>,
}

struct State {
    image: Image,
    op_count: u64,
    stop_after: Option<u64>,
    recording: Option<Vec<RecordedImage>>,
    capacity_bytes: Option<u64>,
    prefers_mapping: bool,
    locked: BTreeSet<Inode>,
    /// Who still has an unnamed file open.
    open: BTreeMap<Inode, Weak<()>>,
}

impl State {
    /// Counts a mutating call that is about to succeed, or refuses it because the power is off.
    fn begin(&mut self, call: Call, path: &Path) -> Result<u64> {
        let op = self.op_count;
        if self.stop_after.is_some_and(|stop| op >= stop) {
            return Err(failed("call after the power cut", path, libc::EIO));
        }
        if self.recording.is_some() {
            let image = MemFileSystem::from_image(self.image.clone(), self.prefers_mapping);
            self.recording.get_or_insert_default().push(RecordedImage { op, call, image });
        }
        self.op_count += 1;
        Ok(op)
    }

    fn lookup(&self, path: &Path, operation: &str) -> Result<Inode> {
        let mut inode = ROOT;
        for name in names(path)? {
            let Some(dir) = self.image.dir(inode) else { return Err(failed(operation, path, libc::ENOTDIR)) };
            inode = *dir.live.get(name).ok_or_else(|| failed(operation, path, libc::ENOENT))?;
        }
        Ok(inode)
    }

    /// The directory that holds the last name of a path, and that name.
    fn place<'a>(&self, path: &'a Path, operation: &str) -> Result<(Inode, &'a str)> {
        let names = names(path)?;
        let Some((last, above)) = names.split_last() else { return Err(failed(operation, path, libc::EISDIR)) };
        let mut inode = ROOT;
        for name in above {
            let Some(dir) = self.image.dir(inode) else { return Err(failed(operation, path, libc::ENOTDIR)) };
            inode = *dir.live.get(*name).ok_or_else(|| failed(operation, path, libc::ENOENT))?;
        }
        if self.image.dir(inode).is_none() {
            return Err(failed(operation, path, libc::ENOTDIR));
        }
        Ok((inode, last))
    }

    fn entry(&self, dir: Inode, name: &str) -> Option<Inode> {
        self.image.dir(dir)?.live.get(name).copied()
    }

    fn handle(&mut self, inode: Inode) -> Arc<()> {
        if let Some(handle) = self.open.get(&inode).and_then(Weak::upgrade) {
            return handle;
        }
        let handle = Arc::new(());
        self.open.insert(inode, Arc::downgrade(&handle));
        handle
    }

    fn collect(&mut self) {
        self.open.retain(|_, handle| handle.strong_count() > 0);
        let Self { image, open, .. } = self;
        image.collect(|inode| open.contains_key(&inode));
    }

    fn check_room(&self, inode: Inode, end: u64, operation: &str, path: &Path) -> Result<()> {
        if end > FILE_BYTES_MAX {
            return Err(failed(operation, path, libc::EFBIG));
        }
        let len = self.image.file(inode).map_or(0, |file| file.live.len());
        if let Some(capacity) = self.capacity_bytes
            && end > len
            && self.image.used_bytes() + (end - len) > capacity
        {
            return Err(failed(operation, path, libc::ENOSPC));
        }
        Ok(())
    }
}

fn failed(operation: &str, path: &Path, code: i32) -> Error {
    Error::io(operation, path, &io::Error::from_raw_os_error(code))
}

fn names(path: &Path) -> Result<Vec<&str>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => {
                names.push(name.to_str().ok_or_else(|| Error::invalid("a path in memory is UTF-8").in_file(path))?);
            }
            _ => return Err(Error::invalid("a path in memory has no ..").in_file(path)),
        }
    }
    Ok(names)
}

impl MemFileSystem {
    /// An empty file system.
    pub fn new() -> Arc<Self> {
        Self::from_image(Image::new(), true)
    }

    fn from_image(image: Image, prefers_mapping: bool) -> Arc<Self> {
        let state = State {
            image,
            op_count: 0,
            stop_after: None,
            recording: None,
            capacity_bytes: None,
            prefers_mapping,
            locked: BTreeSet::new(),
            open: BTreeMap::new(),
        };
        Arc::new(Self { state: Arc::new(UnmodelledMutex::new(state)) })
    }

    /// How many mutating calls succeeded so far, syncs and stores among them.
    pub fn op_count(&self) -> u64 {
        self.state.lock().op_count
    }

    /// Cuts the power after so many mutating calls in all: later ones change nothing and fail with EIO (stores just do
    /// nothing). `None`: never.
    pub fn stop_after(&self, ops: Option<u64>) {
        self.state.lock().stop_after = ops;
    }

    /// From now on keeps an image before each mutating call.
    pub fn record_images(&self) {
        self.state.lock().recording = Some(Vec::new());
    }

    /// The images kept so far; ends the recording.
    pub fn take_images(&self) -> Vec<RecordedImage> {
        self.state.lock().recording.take().unwrap_or_default()
    }

    /// What a power cut now could leave, as `choice` decides: all of it durable, nothing locked or open.
    pub fn crash_clone(&self, choice: &mut dyn CrashChoice) -> Arc<Self> {
        let (image, prefers_mapping) = {
            let state = self.state.lock();
            (state.image.clone(), state.prefers_mapping)
        };
        Self::from_image(crash::crash(&image, choice), prefers_mapping)
    }

    /// How many changes to names no sync covers yet.
    pub fn unsynced_dir_ops(&self) -> usize {
        self.state.lock().image.pending.len()
    }

    /// How many writes, stores and length changes no sync covers yet.
    pub fn unsynced_writes(&self) -> usize {
        let state = self.state.lock();
        let files = state.image.nodes.keys().filter_map(|inode| state.image.file(*inode));
        files.map(|file| file.unsynced.len()).sum()
    }

    /// A hash of all names, lengths and bytes that the process sees, to tell equal images.
    pub fn fingerprint(&self) -> u64 {
        let image = self.state.lock().image.clone();
        image.fingerprint()
    }

    /// Lets all files together hold so many bytes, and no more. `None`: no limit.
    pub fn set_capacity_bytes(&self, capacity: Option<u64>) {
        self.state.lock().capacity_bytes = capacity;
    }

    /// What [`FileSystem::prefers_mapping`] answers; true at first. Mappings are offered either way.
    pub fn set_prefers_mapping(&self, prefers: bool) {
        self.state.lock().prefers_mapping = prefers;
    }

    /// Changes bytes of a file behind the engine's back, durably: damage. Fails if the range is not within the file.
    pub fn damage(&self, path: &Path, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut state = self.state.lock();
        let inode = state.lookup(path, "damage")?;
        let Some(file) = state.image.file_mut(inode) else { return Err(failed("damage", path, libc::EISDIR)) };
        if offset + bytes.len() as u64 > file.live.len() {
            return Err(Error::invalid("damage past the end").at(path, offset));
        }
        file.live.write(bytes, offset);
        if offset + bytes.len() as u64 <= file.durable.len() {
            file.durable.write(bytes, offset);
        }
        Ok(())
    }

    fn handle(&self, state: &mut State, inode: Inode, path: &Path, writable: bool) -> Arc<dyn File> {
        let open = state.handle(inode);
        let handle = Handle { state: self.state.clone(), inode, path: path.to_path_buf(), _open: open };
        Arc::new(MemFile { handle, writable })
    }
}

impl FileSystem for MemFileSystem {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        let mut state = self.state.lock();
        let inode = state.lookup(path, "open")?;
        if state.image.file(inode).is_none() {
            return Err(failed("open", path, libc::EISDIR));
        }
        Ok(self.handle(&mut state, inode, path, false))
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        let mut state = self.state.lock();
        let (dir, name) = state.place(path, "create")?;
        if state.entry(dir, name).is_some() {
            return Err(failed("create", path, libc::EEXIST));
        }
        state.begin(Call::Create, path)?;
        let inode = state.image.add_node(dir, name, Node::File(FileNode::default()));
        Ok(self.handle(&mut state, inode, path, true))
    }

    fn file_len(&self, path: &Path) -> Result<Option<u64>> {
        let state = self.state.lock();
        match state.lookup(path, "stat") {
            Ok(inode) => Ok(Some(state.image.file(inode).map_or(0, |file| file.live.len()))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create_dir(&self, path: &Path) -> Result<bool> {
        let mut state = self.state.lock();
        let names = names(path)?;
        let mut dir = ROOT;
        let mut made = false;
        for name in names {
            if made {
                // The caller syncs the parent of what it asked for; parents that were missing are made durable here.
                let above = state.image.pending.iter().rev().find_map(|change| match change {
                    EntryChange::Add { dir: above, inode, .. } if *inode == dir => Some(*above),
                    _ => None,
                });
                state.begin(Call::SyncDir, path)?;
                state.image.sync_dir(above.unwrap_or(ROOT));
            }
            made = false;
            dir = match state.entry(dir, name) {
                Some(found) if state.image.dir(found).is_some() => found,
                Some(_) => return Err(failed("create directory", path, libc::EEXIST)),
                None => {
                    state.begin(Call::CreateDir, path)?;
                    made = true;
                    state.image.add_node(dir, name, Node::Dir(DirNode::default()))
                }
            };
        }
        Ok(made)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let state = self.state.lock();
        let inode = state.lookup(dir, "list")?;
        let Some(found) = state.image.dir(inode) else { return Err(failed("list", dir, libc::ENOTDIR)) };
        Ok(found.live.keys().cloned().collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.state.lock();
        let (from_dir, from_name) = state.place(from, "rename")?;
        let (to_dir, to_name) = state.place(to, "rename")?;
        let inode = state.entry(from_dir, from_name).ok_or_else(|| failed("rename", from, libc::ENOENT))?;
        let replaced = state.entry(to_dir, to_name);
        let is_dir = state.image.dir(inode).is_some();
        match replaced.map(|inode| state.image.dir(inode)) {
            Some(Some(_)) if !is_dir => return Err(failed("rename", to, libc::EISDIR)),
            Some(None) if is_dir => return Err(failed("rename", to, libc::ENOTDIR)),
            Some(Some(dir)) if !dir.live.is_empty() => return Err(failed("rename", to, libc::ENOTEMPTY)),
            _ if is_dir && to != from && to.starts_with(from) => return Err(failed("rename", to, libc::EINVAL)),
            _ => {}
        }
        if replaced == Some(inode) {
            return Ok(()); // As POSIX has it for two names of one file.
        }
        state.begin(Call::Rename, from)?;
        let (from, to) = (from_name.to_string(), to_name.to_string());
        state.image.change(EntryChange::Rename { from_dir, from, to_dir, to, inode });
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.state.lock();
        let inode = state.lookup(from, "link")?;
        let (dir, name) = state.place(to, "link")?;
        if state.image.file(inode).is_none() {
            return Err(failed("link", from, libc::EPERM));
        }
        if state.entry(dir, name).is_some() {
            return Err(failed("link", to, libc::EEXIST));
        }
        state.begin(Call::Link, to)?;
        state.image.change(EntryChange::Add { dir, name: name.to_string(), inode });
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut state = self.state.lock();
        let (dir, name) = state.place(path, "remove")?;
        let inode = state.entry(dir, name).ok_or_else(|| failed("remove", path, libc::ENOENT))?;
        if state.image.file(inode).is_none() {
            return Err(failed("remove", path, libc::EISDIR));
        }
        state.begin(Call::Remove, path)?;
        state.image.change(EntryChange::Remove { dir, name: name.to_string() });
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        let mut state = self.state.lock();
        let (dir, name) = state.place(path, "remove directory")?;
        let inode = state.entry(dir, name).ok_or_else(|| failed("remove directory", path, libc::ENOENT))?;
        match state.image.dir(inode) {
            None => return Err(failed("remove directory", path, libc::ENOTDIR)),
            Some(found) if !found.live.is_empty() => return Err(failed("remove directory", path, libc::ENOTEMPTY)),
            Some(_) => {}
        }
        state.begin(Call::RemoveDir, path)?;
        state.image.change(EntryChange::Remove { dir, name: name.to_string() });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let mut state = self.state.lock();
        let inode = state.lookup(dir, "sync directory")?;
        if state.image.dir(inode).is_none() {
            return Err(failed("sync directory", dir, libc::ENOTDIR));
        }
        state.begin(Call::SyncDir, dir)?;
        state.image.sync_dir(inode);
        state.collect();
        Ok(())
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        let mut state = self.state.lock();
        let (dir, name) = state.place(path, "lock")?;
        let inode = match state.entry(dir, name) {
            Some(inode) => inode,
            None => {
                state.begin(Call::Create, path)?;
                state.image.add_node(dir, name, Node::File(FileNode::default()))
            }
        };
        if !state.locked.insert(inode) {
            return Err(Error::new(ErrorKind::Locked, "locked by another handle of this process").in_file(path));
        }
        let open = state.handle(inode);
        Ok(Box::new(MemLock {
            handle: Handle { state: self.state.clone(), inode, path: path.to_path_buf(), _open: open },
        }))
    }

    fn prefers_mapping(&self, _dir: &Path) -> bool {
        self.state.lock().prefers_mapping
    }

    fn free_bytes(&self, _dir: &Path) -> Option<u64> {
        let state = self.state.lock();
        state.capacity_bytes.map(|capacity| capacity.saturating_sub(state.image.used_bytes()))
    }
}

/// Keeps a file alive without a name.
#[derive(Clone)]
struct Handle {
    state: Arc<UnmodelledMutex<State>>,
    inode: Inode,
    path: PathBuf,
    _open: Arc<()>,
}

impl Handle {
    fn write(&self, call: Call, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut state = self.state.lock();
        let end = offset.checked_add(bytes.len() as u64).ok_or_else(|| failed("write", &self.path, libc::EFBIG))?;
        if bytes.is_empty() {
            return Ok(());
        }
        state.check_room(self.inode, end, "write", &self.path)?;
        let at = state.begin(call, &self.path)?;
        if let Some(file) = state.image.file_mut(self.inode) {
            file.live.write(bytes, offset);
            let kind = DataChangeKind::Write { offset, bytes: bytes.into(), mapped: call == Call::Store };
            file.unsynced.push(DataChange { at, kind });
        }
        Ok(())
    }

    fn len(&self) -> u64 {
        self.state.lock().image.file(self.inode).map_or(0, |file| file.live.len())
    }

    fn set_len(&self, call: Call, len: u64) -> Result<()> {
        let mut state = self.state.lock();
        state.check_room(self.inode, len, "set length", &self.path)?;
        let at = state.begin(call, &self.path)?;
        if let Some(file) = state.image.file_mut(self.inode) {
            file.live.set_len(len);
            file.unsynced.push(DataChange { at, kind: DataChangeKind::SetLen { len } });
        }
        Ok(())
    }
}

struct MemLock {
    handle: Handle,
}

impl FileLock for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        self.handle.state.lock().locked.remove(&self.handle.inode);
    }
}

struct MemFile {
    handle: Handle,
    writable: bool,
}

impl MemFile {
    fn check_writable(&self, operation: &str) -> Result<()> {
        if self.writable { Ok(()) } else { Err(failed(operation, &self.handle.path, libc::EBADF)) }
    }
}

impl File for MemFile {
    fn path(&self) -> &Path {
        &self.handle.path
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let state = self.handle.state.lock();
        Ok(state.image.file(self.handle.inode).map_or(0, |file| file.live.read(buffer, offset)))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.check_writable("write")?;
        self.handle.write(Call::Write, offset, bytes)
    }

    fn len(&self) -> Result<u64> {
        Ok(self.handle.len())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.check_writable("set length")?;
        self.handle.set_len(Call::SetLen, len)
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.check_writable("allocate")?;
        if len > self.handle.len() { self.handle.set_len(Call::Allocate, len) } else { Ok(()) }
    }

    fn sync_data(&self) -> Result<()> {
        let mut state = self.handle.state.lock();
        state.begin(Call::SyncData, &self.handle.path)?;
        state.image.sync_data(self.handle.inode);
        Ok(())
    }

    fn start_writeback(&self, _offset: u64, _len: u64) {}

    fn map(&self, len: u64) -> Result<Option<Box<dyn Mapping>>> {
        self.check_writable("map")?;
        if len == 0 || len > self.handle.len() {
            return Ok(None);
        }
        Ok(Some(Box::new(MemMapping { handle: self.handle.clone(), len })))
    }
}

struct MemMapping {
    handle: Handle,
    len: u64,
}

impl Mapping for MemMapping {
    fn store(&self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        assert!(end <= self.len, "a store outside of the mapping of {}", self.handle.path.display());
        assert!(end <= self.handle.len(), "a store past the cut end of {} (SIGBUS)", self.handle.path.display());
        // Refused only when the power is off: then nobody sees what the store did.
        let _ = self.handle.write(Call::Store, offset, bytes);
    }

    fn populate(&self, offset: u64, len: u64) -> Result<()> {
        assert!(offset + len <= self.len, "a range outside of the mapping of {}", self.handle.path.display());
        Ok(())
    }
}
