//! The outside world: files, directories, locks, clock, randomness, threads and waits, behind two traits.
//!
//! Every other module reaches the world only through an [`Env`], which pairs a [`FileSystem`] with a [`Runtime`]: faults and
//! strictness wrap the first, the seeded executor replaces the second, and neither needs to know the other.
//!
//! What a sync means, and therefore what a power cut can take away:
//! - [`File::sync_data`] makes the file's bytes and its length durable, not its name.
//! - [`FileSystem::sync_dir`] makes the names in a directory durable: creations, renames, removals since the last one.
//! - Nothing else is durable. Written bytes survive the death of the process, not of the machine.

mod bell;
mod call;
pub mod executor;
pub mod fault;
pub mod mem;
pub mod pages;
pub mod posix;
pub mod strict;
pub mod timed;

pub use bell::Bell;
pub use call::Call;

use crate::error::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The world as the engine sees it: where its files lie and what its time and threads are. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// Files and directories.
    pub files: Arc<dyn FileSystem>,
    /// Time, randomness, background tasks and waits.
    pub runtime: Arc<dyn Runtime>,
}

/// Files and directories. All methods may be called from any thread. Errors name the path.
pub trait FileSystem: Send + Sync {
    /// Opens an existing file for reading only.
    fn open(&self, path: &Path) -> Result<Arc<dyn File>>;

    /// Creates a file for reading and writing, mode 0600; refuses (kind Io, os code EEXIST) if the name is taken.
    fn create(&self, path: &Path) -> Result<Arc<dyn File>>;

    /// The length of the file in bytes, or `None` if there is no such file.
    fn file_len(&self, path: &Path) -> Result<Option<u64>>;

    /// Creates a directory, mode 0700, and missing parents; an existing one is fine. True if the last one was made now.
    fn create_dir(&self, path: &Path) -> Result<bool>;

    /// The names in a directory, sorted. A missing directory is an error of kind NotFound.
    fn list(&self, dir: &Path) -> Result<Vec<String>>;

    /// Gives a file or directory another name in one step, replacing the file or empty directory that has that name.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Gives a file a second name; refuses if that name is taken.
    fn link(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file's name.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> Result<()>;

    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> Result<()>;

    /// Takes the exclusive lock that `path` stands for, creating the file if needed; kind Locked if another process, or
    /// another handle of this process, holds it. Released when dropped, and by the death of the process.
    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>>;

    /// The process that holds a record lock (`fcntl`) anywhere in the file, this one included; 0 where it cannot be told which. `None`: nobody,
    /// or there is no such file. Takes no lock, and changes nothing. Worlds of one program have nobody to ask for.
    fn record_lock_holder(&self, _path: &Path) -> Result<Option<u32>> {
        Ok(None)
    }

    /// Whether files here are best written through a shared mapping (see [`File::map`]): ext4, XFS, tmpfs.
    fn prefers_mapping(&self, dir: &Path) -> bool;

    /// Bytes still free for use in the file system of `dir`, if it can tell.
    fn free_bytes(&self, dir: &Path) -> Option<u64>;
}

/// A held lock.
pub trait FileLock: Send + Sync {
    /// Whether nobody else can have taken it meanwhile: false once the name leads to another file than the one that is locked.
    fn is_ours(&self) -> bool {
        true
    }
}

/// An open file. All methods may be called from any thread.
#[allow(clippy::len_without_is_empty)] // The length is a question to the system that can fail.
pub trait File: Send + Sync {
    /// Its path at opening, for messages.
    fn path(&self) -> &Path;

    /// Fills `buffer` from `offset`; fewer bytes than asked only at the end of the file. Interruptions are retried.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// Writes all of `bytes` at `offset`. On an error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()>;

    /// The length in bytes.
    fn len(&self) -> Result<u64>;

    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> Result<()>;

    /// Reserves disk space up to `len` and makes the file that long, so that later stores up to there cannot run out of
    /// space. File systems that cannot reserve just extend it.
    fn allocate(&self, len: u64) -> Result<()>;

    /// Makes bytes and length durable. After an error the file must not be written or synced again: what was lost is unknown.
    fn sync_data(&self) -> Result<()>;

    /// Asks for early write-back of a range; a hint, without a promise.
    fn start_writeback(&self, offset: u64, len: u64);

    /// Maps the first `len` bytes, shared and writable; the file must be allocated that far. `None` where mapping is not offered.
    fn map(&self, len: u64) -> Result<Option<Box<dyn Mapping>>>;
}

/// A shared, writable mapping of the front of a file. Stores are as durable as writes: they survive the process, not the
/// machine, until [`File::sync_data`].
pub trait Mapping: Send + Sync {
    /// Copies `bytes` to `offset`. One thread at a time stores to a range. Requires: the range lies within the mapping.
    fn store(&self, offset: u64, bytes: &[u8]);

    /// Makes the pages of a range present and writable, so that stores to it do not fault.
    fn populate(&self, offset: u64, len: u64) -> Result<()>;
}

/// What a background task wants after one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Call again soon: there may be more to do.
    Again,
    /// Call again when the task's bell has rung since the step began, or after this long.
    Wait(Option<Duration>),
    /// Never call again.
    Done,
}

/// Background work, one step at a time. A step may do I/O and take its time, but must never wait for another task or for a
/// foreground thread: the seeded executor runs every step to its end on one thread.
pub trait Task: Send {
    /// Does one piece of work.
    fn step(&mut self) -> Next;
}

/// What a pooled task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// What writers may have to wait for.
    Flush,
    /// What may take long, and what nobody has to wait for; also flushes, if there are any.
    Merge,
    /// What its owner would do as well: taken up only while nothing else wants the thread. A step takes some milliseconds.
    Help,
}

/// How a task uses the threads that all databases of a process share.
#[derive(Debug, Clone, Copy)]
pub struct Pooled {
    /// What its steps do.
    pub kind: JobKind,
    /// How many threads there must be at least, as long as the task lives.
    pub threads: usize,
}

/// Waits for the end of a spawned task.
pub trait TaskHandle: Send + Sync {
    /// Whether the task is done.
    fn is_done(&self) -> bool;

    /// Returns when the task is done and its thread, if it had one, has ended; of the last pooled task the threads of the pool. The
    /// steps that are left of a pooled task may run on the caller's thread. A second call returns at once.
    fn join(&self);
}

/// Time, randomness, tasks and waits. All methods may be called from any thread.
pub trait Runtime: Send + Sync {
    /// A clock that never goes back, in nanoseconds since some moment.
    fn monotonic_nanos(&self) -> u64;

    /// Wall-clock time in nanoseconds since 1970. May jump either way; nothing may depend on its order.
    fn unix_nanos(&self) -> u64;

    /// A random number: a seed or a salt.
    fn random(&self) -> u64;

    /// Starts a background task under a name of at most 15 bytes. `bell` is the one that [`Next::Wait`] means. Its thread blocks all signals.
    fn spawn(&self, name: &str, bell: Arc<Bell>, task: Box<dyn Task>) -> Result<Box<dyn TaskHandle>>;

    /// Starts a background task on threads that it shares with others of the process: each step runs on one that is free. Tasks with the same
    /// bell belong together. Without a pool the task has a thread of its own.
    fn spawn_pooled(&self, pooled: Pooled, bell: Arc<Bell>, task: Box<dyn Task>) -> Result<Box<dyn TaskHandle>> {
        let _ = pooled;
        self.spawn("sstore-work", bell, task)
    }

    /// Waits until `bell` has rung since [`Bell::count`] was `seen`, or `timeout` has passed. True if it rang. May return early, so call it in a loop
    /// around the condition. Requires: the caller holds no lock that a background task takes.
    fn wait(&self, bell: &Bell, seen: u64, timeout: Option<Duration>) -> bool;

    /// Sleeps.
    fn sleep(&self, duration: Duration);

    /// Whether this process is a forked child of the one that made the runtime. Costs one load.
    fn forked(&self) -> bool;
}

/// Reads exactly `buffer.len()` bytes at `offset`, or fails with Corruption: the file ends too early.
pub fn read_exact_at(file: &dyn File, buffer: &mut [u8], offset: u64) -> Result<()> {
    let read = file.read_at(buffer, offset)?;
    if read < buffer.len() {
        let message = format!("file ends early: wanted {} bytes, found {read}", buffer.len());
        return Err(crate::error::Error::corruption(file.path(), offset, message));
    }
    Ok(())
}

/// Reads a whole file of at most `limit` bytes; longer ones are Corruption.
pub fn read_file(files: &dyn FileSystem, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = files.open(path)?;
    let len = file.len()?;
    if len > limit {
        return Err(crate::error::Error::corruption(
            path,
            limit,
            format!("file is {len} bytes, at most {limit} expected"),
        ));
    }
    let mut bytes = vec![0; len as usize];
    read_exact_at(&*file, &mut bytes, 0)?;
    Ok(bytes)
}

/// The directory that holds `path`.
pub fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
