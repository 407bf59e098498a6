//! The write-ahead log: a chain of segments of checksummed records, written by one, made durable for many, replayed at open.
//!
//! The commit lock owns the [`LogWriter`]; everyone else shares the [`Log`]. A record is *appended* when its bytes are in the
//! page cache (it survives the process) and *durable* when a sync covered it (it survives the machine). After a failure of
//! which the outcome on disk is unknown the log is poisoned: it takes and syncs nothing any more.
#![doc = include_str!("FORMAT.md")]

mod archive;
mod backend;
mod follow;
mod helper;
mod inspect;
mod mapped;
mod replay;
mod salvage;
mod segment;
mod sync;
mod write;
mod writer;

pub use archive::{ARCHIVE_DIR, ArchiveLimits, archived_name, archived_stamp};
pub use follow::LogTail;
pub use inspect::{InspectedEnd, InspectedRecord, InspectedSegment, inspect_segment};
pub use replay::{Cut, LoggedRecord, RecoveryMode, ReplayOutcome, replay};
pub use salvage::{SalvageScope, SalvagedSegment, SkippedRange, salvage, salvaged_database_id};
pub use segment::{segment_name, segment_number};
pub use writer::LogWriter;

use crate::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::consequence::{Consequence, Fault, FileKind, consequence};
use crate::env::{Bell, Call, Env, Task};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{FileNumber, LogPosition, Sequence};
use crate::lock::Mutex;
use archive::{Archive, Retired};
use segment::{Making, SEGMENT_HEADER_BYTES, Segment};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How records get into the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogBackend {
    /// Mapped where the file system likes it, else written.
    #[default]
    Auto,
    /// Stores through a shared mapping. Where files cannot be mapped: written.
    Mapped,
    /// One write per record.
    Write,
}

/// How the log lays out its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// How records get into the files.
    pub backend: LogBackend,
    /// The size of the first segment in bytes. Each next one is twice as long.
    pub segment_bytes_min: u64,
    /// The size in bytes at which segments stop growing. A longer record gets a segment of its own.
    pub segment_bytes_max: u64,
    /// Segments that are not needed any more are kept within these limits; `None`: they are deleted.
    pub archive: Option<ArchiveLimits>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { backend: LogBackend::Auto, segment_bytes_min: 256 << 10, segment_bytes_max: 64 << 20, archive: None }
    }
}

/// Whose log it is: written into each segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogIdentity {
    /// The database's id.
    pub database_id: u64,
    /// The writer's epoch: rises with each opening for writing.
    pub epoch: u64,
}

/// What happens to the log's files. Told without any lock of the log held, except that appends tell it under the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEvent {
    /// A segment was made.
    SegmentCreated {
        /// Its number.
        number: FileNumber,
        /// Its size in bytes.
        bytes: u64,
    },
    /// A segment was removed.
    SegmentDeleted {
        /// Its number.
        number: FileNumber,
        /// Its size in bytes.
        bytes: u64,
    },
    /// A segment was moved to the archive.
    SegmentArchived {
        /// Its number.
        number: FileNumber,
        /// Its length in bytes.
        bytes: u64,
        /// When: its name there.
        stamp: u64,
    },
    /// A segment was removed that was meant for the archive.
    NotArchived {
        /// Its number.
        number: FileNumber,
        /// Its length in bytes.
        bytes: u64,
        /// Why it is not there.
        why: String,
    },
    /// A segment left the archive.
    ArchivedDeleted {
        /// Its length in bytes.
        bytes: u64,
        /// When it came: its name there.
        stamp: u64,
    },
    /// An append had to make a segment itself, because none was ready.
    Stalled {
        /// How long that took.
        nanos: u64,
    },
}

/// A segment in use, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub number: FileNumber,
    /// The sequence of its first operation; 0 if it holds none.
    pub first_sequence: Sequence,
    /// The sequence of its last operation, or of the last one before it.
    pub last_sequence: Sequence,
    /// How many bytes of it are used.
    pub bytes: u64,
    /// Whether appends go there.
    pub active: bool,
}

/// What is behind the log's one lock. It is never held over I/O.
struct State {
    /// Oldest first; the last one is active.
    segments: VecDeque<Arc<Segment>>,
    /// Made ahead.
    ready: Option<Segment>,
    /// The size of the next segment to be made.
    next_bytes: u64,
    /// A sync is in flight.
    syncing: bool,
    poison: Option<Error>,
}

/// The log, as everyone but its writer sees it. All methods may be called from any thread.
pub struct Log {
    env: Env,
    dir: PathBuf,
    identity: LogIdentity,
    backend: LogBackend,
    segment_bytes_max: u64,
    numbers: Arc<dyn Fn() -> FileNumber + Send + Sync>,
    events: Arc<dyn Fn(LogEvent) + Send + Sync>,
    state: Mutex<State>,
    appended: AtomicU64,
    durable: AtomicU64,
    active_end: AtomicU64,
    closed_bytes: AtomicU64,
    poisoned: AtomicBool,
    stopped: AtomicBool,
    /// A sync ended, and the helper did not yet see to it that a record tells.
    untold: AtomicBool,
    /// Stores reach for pages that the helper did not yet touch.
    wants_pages: AtomicBool,
    /// Rung after each sync.
    synced: Bell,
    /// Wakes the helper.
    wanted: Arc<Bell>,
    archive: Option<Archive>,
}

impl Log {
    /// Begins a new log in `dir`, which exists, with a first segment that is durable when this returns. `last_sequence` is the
    /// last one before it. `numbers` gives each file its number, rising; `events` is told of files made and removed.
    pub fn create(
        env: &Env,
        dir: &Path,
        identity: LogIdentity,
        options: LogOptions,
        numbers: Arc<dyn Fn() -> FileNumber + Send + Sync>,
        last_sequence: Sequence,
        events: Arc<dyn Fn(LogEvent) + Send + Sync>,
    ) -> Result<(LogWriter, Arc<Log>)> {
        let backend = match options.backend {
            LogBackend::Auto if env.files.prefers_mapping(dir) => LogBackend::Mapped,
            LogBackend::Auto => LogBackend::Write,
            chosen => chosen,
        };
        let segment_bytes_max = round_up(options.segment_bytes_max);
        let log = Arc::new(Self {
            env: env.clone(),
            dir: dir.to_path_buf(),
            identity,
            backend,
            segment_bytes_max,
            numbers,
            events,
            state: Mutex::new(State {
                segments: VecDeque::new(),
                ready: None,
                next_bytes: round_up(options.segment_bytes_min).min(segment_bytes_max),
                syncing: false,
                poison: None,
            }),
            appended: AtomicU64::new(last_sequence),
            durable: AtomicU64::new(last_sequence),
            active_end: AtomicU64::new(0),
            closed_bytes: AtomicU64::new(0),
            poisoned: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            untold: AtomicBool::new(false),
            wants_pages: AtomicBool::new(true),
            synced: Bell::new(),
            wanted: Arc::new(Bell::new()),
            archive: options.archive.map(Archive::new),
        });
        let writer = LogWriter::new(log.clone(), last_sequence)?;
        Ok((writer, log))
    }

    /// The last sequence that survives a power cut, together with all before it.
    pub fn durable_sequence(&self) -> Sequence {
        self.durable.load(Ordering::Acquire)
    }

    /// Up to where the log survives a power cut; `None` if that is not known of any record in the segments in use.
    pub fn durable_position(&self) -> Option<LogPosition> {
        let state = self.state.lock();
        state.segments.iter().rev().find_map(|segment| {
            let offset = segment.durable.load(Ordering::Acquire);
            // The end of the header speaks for older segments only: BEGIN may be lost.
            (offset > SEGMENT_HEADER_BYTES).then_some(LogPosition { segment: segment.number, offset })
        })
    }

    /// The last sequence in the log.
    pub fn appended_sequence(&self) -> Sequence {
        self.appended.load(Ordering::Acquire)
    }

    /// The segments in use, oldest first. The last one is active.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let state = self.state.lock();
        let active = state.segments.back().map(|segment| segment.number);
        let info = |segment: &Arc<Segment>| SegmentInfo {
            number: segment.number,
            first_sequence: segment.first_sequence.load(Ordering::Acquire),
            last_sequence: segment.last(),
            bytes: segment.end(),
            active: Some(segment.number) == active,
        };
        state.segments.iter().map(info).collect()
    }

    /// The first segment that is still needed if no record before `oldest_needed` is.
    pub fn floor_for(&self, oldest_needed: Sequence) -> FileNumber {
        let state = self.state.lock();
        let needed = state.segments.iter().find(|segment| segment.last() >= oldest_needed);
        needed.or(state.segments.back()).map_or(FileNumber(0), |segment| segment.number)
    }

    /// Removes the segments below `floor`, or hands them to the archiver, except the active one and one that a sync may be working on;
    /// that goes with a later call. Gives the numbers of those that went. Requires: the floor is durable in the manifest.
    pub fn remove_below(&self, floor: FileNumber) -> Result<Vec<FileNumber>> {
        let mut removed = Vec::new();
        loop {
            let mut state = self.state.lock();
            let oldest = match state.segments.front() {
                Some(oldest) if oldest.number < floor && state.segments.len() > 1 => oldest.clone(),
                _ => break,
            };
            if state.syncing && !oldest.synced.load(Ordering::Acquire) {
                break;
            }
            state.segments.pop_front();
            drop(state);
            self.closed_bytes.fetch_sub(oldest.end(), Ordering::Relaxed);
            if let Some(archive) = &self.archive {
                removed.push(oldest.number);
                archive.take(Retired::ours(oldest));
                continue;
            }
            self.env.files.remove(&oldest.path)?;
            removed.push(oldest.number);
            (self.events)(LogEvent::SegmentDeleted { number: oldest.number, bytes: oldest.capacity });
        }
        Ok(removed)
    }

    /// How many bytes of the segments in use are used. Takes no lock.
    pub fn total_bytes(&self) -> u64 {
        self.closed_bytes.load(Ordering::Relaxed) + self.active_end.load(Ordering::Relaxed)
    }

    /// Whether the outcome of an append or a sync is unknown. Final.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// The failure that poisoned the log.
    pub fn error(&self) -> Option<Error> {
        self.state.lock().poison.clone()
    }

    /// The background task that keeps a segment ready, the pages ahead of the end present, and an idle log marked, and the bell
    /// that wakes it. `mark` is to call [`LogWriter::mark`] under the lock that the writer is behind.
    pub fn helper(self: &Arc<Self>, mark: Box<dyn FnMut() + Send>) -> (Arc<Bell>, Box<dyn Task>) {
        (self.wanted.clone(), Box::new(helper::Helper::new(self.clone(), mark)))
    }

    /// Ends the helper and removes the segment that it made ahead; ends the archiver. The log can still be written.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        if let Some(archive) = &self.archive {
            archive.ring();
        }
        let spare = self.state.lock().ready.take();
        if let Some(spare) = spare {
            self.discard(&spare);
        }
        self.wanted.ring();
    }

    fn making(&self) -> Making<'_> {
        Making { env: &self.env, dir: &self.dir, identity: self.identity, backend: self.backend }
    }

    /// Removes a segment that was made but not used. If that fails it stays behind, and the next open finds it empty.
    fn discard(&self, segment: &Segment) {
        if self.env.files.remove(&segment.path).is_ok() {
            (self.events)(LogEvent::SegmentDeleted { number: segment.number, bytes: segment.capacity });
        }
    }

    /// Makes a segment with room for `bytes_min`, and doubles the size of the next one.
    fn make_segment(&self, bytes_min: u64) -> Result<Segment> {
        let wanted = self.state.lock().next_bytes;
        let capacity = wanted.max(round_up(bytes_min));
        let number = (self.numbers)();
        let segment = Segment::make(&self.making(), number, capacity)?;
        let mut state = self.state.lock();
        state.next_bytes = wanted.saturating_mul(2).min(self.segment_bytes_max).max(state.next_bytes);
        drop(state);
        (self.events)(LogEvent::SegmentCreated { number, bytes: capacity });
        Ok(segment)
    }

    fn check_poison(&self) -> Result<()> {
        if !self.poisoned.load(Ordering::Acquire) {
            return Ok(());
        }
        let cause = self.state.lock().poison.clone();
        let cause = cause.unwrap_or_else(|| Error::new(ErrorKind::Poisoned, "unknown failure"));
        Err(poisoned(cause))
    }

    /// A call to a segment in use failed. Where that leaves it unknown what is on disk the log is unusable from now on, and the first
    /// such cause is kept. Gives the error for the caller.
    fn failed(&self, call: Call, error: Error) -> Error {
        if consequence(FileKind::Log, call, Fault::of(&error)) != Consequence::Poisoned {
            return error;
        }
        let mut state = self.state.lock();
        let cause = state.poison.get_or_insert(error).clone();
        self.poisoned.store(true, Ordering::Release);
        poisoned(cause)
    }
}

fn poisoned(cause: Error) -> Error {
    cause.with_kind(ErrorKind::Poisoned).context("the log failed, what of it reached the disk is unknown")
}

/// Segments are made of whole pages, and hold at least one record.
fn round_up(bytes: u64) -> u64 {
    bytes.max(2 * SEGMENT_HEADER_BYTES).next_multiple_of(4096)
}

#[cfg(test)]
mod tests;
