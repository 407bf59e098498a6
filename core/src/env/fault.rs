//! A file system that fails on demand: rules say which call fails, when and how. It also counts and notes calls. Wraps any other; used
//! by tests.

mod raw;
#[cfg(test)]
mod tests;

use super::{Call, File, FileLock, FileSystem, Mapping};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::UnmodelledMutex;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use raw::{RawEffect, RawFaults};

/// What happens to a call that a rule hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does nothing and fails with this `errno`.
    Error(i32),
    /// It does its work and then fails with this `errno`.
    AppliedButError(i32),
    /// A write puts down so many of its bytes and then fails with this `errno`; other calls just fail.
    ShortWrite(usize, i32),
    /// It sleeps first, on this thread and in real time.
    Delay(Duration),
}

/// Which calls fail and how.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The kind of call; `None`: every kind.
    pub call: Option<Call>,
    /// Only paths that contain this; `None`: every path.
    pub path_part: Option<String>,
    /// How many calls that fit are let through first.
    pub skip: u64,
    /// Whether it stays in force after its first hit.
    pub sticky: bool,
    /// What it does.
    pub effect: Effect,
}

impl Rule {
    /// The first call of a kind fails, once.
    pub fn once(call: Call, effect: Effect) -> Self {
        Self { call: Some(call), path_part: None, skip: 0, sticky: false, effect }
    }

    /// The same rule, only for paths that contain `part`.
    pub fn on(mut self, part: &str) -> Self {
        self.path_part = Some(part.to_string());
        self
    }

    /// The same rule, after so many calls that fit.
    pub fn after(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// The same rule, for ever.
    pub fn sticky(mut self) -> Self {
        self.sticky = true;
        self
    }
}

#[derive(Default)]
struct Rules {
    rules: Vec<Rule>,
    counts: [u64; Call::COUNT],
    read_bytes: u64,
    hits: u64,
    /// What was called, in order, since somebody asked for it.
    recorded: Option<Vec<(Call, PathBuf)>>,
    heard_by: Option<Listener>,
}

/// Is told of calls, and of which file.
pub type Listener = Arc<dyn Fn(Call, &Path) + Send + Sync>;

#[derive(Clone)]
struct Shared(Arc<UnmodelledMutex<Rules>>);

impl Shared {
    /// Counts a call and finds what a rule does to it. Every rule that fits counts the call; the first one due acts.
    fn consult(&self, call: Call, path: &Path) -> Option<Effect> {
        let heard_by = self.0.lock().heard_by.clone();
        if let Some(listener) = heard_by {
            listener(call, path);
        }
        let mut state = self.0.lock();
        state.counts[call as usize] += 1;
        if let Some(recorded) = &mut state.recorded {
            recorded.push((call, path.to_path_buf()));
        }
        let path = path.to_string_lossy();
        let mut found = None;
        let mut spent = None;
        for (at, rule) in state.rules.iter_mut().enumerate() {
            let fits = rule.call.is_none_or(|wanted| wanted == call)
                && rule.path_part.as_ref().is_none_or(|part| path.contains(part.as_str()));
            if !fits {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if found.is_none() {
                found = Some(rule.effect);
                spent = (!rule.sticky).then_some(at);
            }
        }
        if let Some(spent) = spent {
            state.rules.remove(spent);
        }
        state.hits += u64::from(found.is_some());
        found
    }

    fn run<T>(&self, call: Call, path: &Path, act: impl FnOnce() -> Result<T>) -> Result<T> {
        match self.consult(call, path) {
            None => act(),
            Some(Effect::Error(code) | Effect::ShortWrite(_, code)) => Err(injected(call, path, code)),
            Some(Effect::AppliedButError(code)) => act().and_then(|_| Err(injected(call, path, code))),
            Some(Effect::Delay(duration)) => {
                std::thread::sleep(duration);
                act()
            }
        }
    }
}

fn injected(call: Call, path: &Path, code: i32) -> Error {
    Error::io(&format!("injected: {call:?}"), path, &io::Error::from_raw_os_error(code))
}

/// The wrapper.
pub struct FaultFileSystem {
    inner: Arc<dyn FileSystem>,
    shared: Shared,
}

impl FaultFileSystem {
    /// Wraps `inner`; the rules hold for it and for every file opened through it.
    pub fn new(inner: Arc<dyn FileSystem>, rules: Vec<Rule>) -> Arc<Self> {
        let shared = Shared(Arc::new(UnmodelledMutex::new(Rules { rules, ..Rules::default() })));
        Arc::new(Self { inner, shared })
    }

    /// Adds a rule, behind those in force.
    pub fn add(&self, rule: Rule) {
        self.shared.0.lock().rules.push(rule);
    }

    /// Takes all rules away.
    pub fn clear(&self) {
        self.shared.0.lock().rules.clear();
    }

    /// How many calls of a kind there were, failed ones among them.
    pub fn count(&self, call: Call) -> u64 {
        self.shared.0.lock().counts[call as usize]
    }

    /// How many bytes were read at places of files.
    pub fn read_bytes(&self) -> u64 {
        self.shared.0.lock().read_bytes
    }

    /// How many calls of any kind there were.
    pub fn total_count(&self) -> u64 {
        self.shared.0.lock().counts.iter().sum()
    }

    /// From now on notes every call.
    pub fn record_calls(&self) {
        self.shared.0.lock().recorded = Some(Vec::new());
    }

    /// From now on `listener` is told of every call before it begins, on the thread that makes it.
    pub fn set_listener(&self, listener: Listener) {
        self.shared.0.lock().heard_by = Some(listener);
    }

    /// The calls noted so far, in the order in which they began, failed ones among them; ends the noting.
    pub fn take_calls(&self) -> Vec<(Call, PathBuf)> {
        self.shared.0.lock().recorded.take().unwrap_or_default()
    }

    /// How many calls a rule hit.
    pub fn hits(&self) -> u64 {
        self.shared.0.lock().hits
    }

    fn wrap(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(FaultFile { inner, shared: self.shared.clone() })
    }
}

impl FileSystem for FaultFileSystem {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.shared.run(Call::Open, path, || self.inner.open(path)).map(|file| self.wrap(file))
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.shared.run(Call::Create, path, || self.inner.create(path)).map(|file| self.wrap(file))
    }

    fn file_len(&self, path: &Path) -> Result<Option<u64>> {
        self.shared.run(Call::Len, path, || self.inner.file_len(path))
    }

    fn create_dir(&self, path: &Path) -> Result<bool> {
        self.shared.run(Call::CreateDir, path, || self.inner.create_dir(path))
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        self.shared.run(Call::List, dir, || self.inner.list(dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.shared.run(Call::Rename, to, || self.inner.rename(from, to))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.shared.run(Call::Link, to, || self.inner.link(from, to))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.shared.run(Call::Remove, path, || self.inner.remove(path))
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.shared.run(Call::RemoveDir, path, || self.inner.remove_dir(path))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.shared.run(Call::SyncDir, dir, || self.inner.sync_dir(dir))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        self.shared.run(Call::Lock, path, || self.inner.lock(path))
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

struct FaultFile {
    inner: Arc<dyn File>,
    shared: Shared,
}

impl File for FaultFile {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let bytes = self.shared.run(Call::Read, self.path(), || self.inner.read_at(buffer, offset))?;
        self.shared.0.lock().read_bytes += bytes as u64;
        Ok(bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let failed = |code| injected(Call::Write, self.path(), code).at(self.path(), offset);
        match self.shared.consult(Call::Write, self.path()) {
            None => self.inner.write_at(bytes, offset),
            Some(Effect::Error(code)) => Err(failed(code)),
            Some(Effect::AppliedButError(code)) => self.inner.write_at(bytes, offset).and(Err(failed(code))),
            Some(Effect::ShortWrite(count, code)) => {
                self.inner.write_at(&bytes[..count.min(bytes.len())], offset).and(Err(failed(code)))
            }
            Some(Effect::Delay(duration)) => {
                std::thread::sleep(duration);
                self.inner.write_at(bytes, offset)
            }
        }
    }

    fn len(&self) -> Result<u64> {
        self.shared.run(Call::Len, self.path(), || self.inner.len())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.shared.run(Call::SetLen, self.path(), || self.inner.set_len(len))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.shared.run(Call::Allocate, self.path(), || self.inner.allocate(len))
    }

    fn sync_data(&self) -> Result<()> {
        self.shared.run(Call::SyncData, self.path(), || self.inner.sync_data())
    }

    fn start_writeback(&self, offset: u64, len: u64) {
        self.inner.start_writeback(offset, len);
    }

    fn map(&self, len: u64) -> Result<Option<Box<dyn Mapping>>> {
        let mapped = self.shared.run(Call::Map, self.path(), || self.inner.map(len))?;
        let (file, shared) = (self.inner.clone(), self.shared.clone());
        Ok(mapped.map(|inner| Box::new(FaultMapping { inner, file, shared }) as Box<dyn Mapping>))
    }
}

struct FaultMapping {
    inner: Box<dyn Mapping>,
    file: Arc<dyn File>,
    shared: Shared,
}

impl Mapping for FaultMapping {
    fn store(&self, offset: u64, bytes: &[u8]) {
        // A store has no way to fail; it is only counted, or delayed.
        if let Some(Effect::Delay(duration)) = self.shared.consult(Call::Store, self.file.path()) {
            std::thread::sleep(duration);
        }
        self.inner.store(offset, bytes);
    }

    fn populate(&self, offset: u64, len: u64) -> Result<()> {
        self.shared.run(Call::Populate, self.file.path(), || self.inner.populate(offset, len))
    }
}

/// Whether an error came from a rule.
pub fn is_injected(error: &Error) -> bool {
    error.kind() != ErrorKind::Corruption && error.message().contains("injected: ")
}
