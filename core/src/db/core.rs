//! The state of an open database, in parts, and the checks that every call begins with.

use super::collection::Collection;
use super::disk::DiskWatch;
use super::follow::Follower;
use super::health::Health;
use super::jobs::Jobs;
use super::obsolete_files::FilePins;
use super::options::Options;
use super::snapshot::{Snapshot, SnapshotList};
use super::stall::Pacer;
use super::target::{Caches, Stamps};
use crate::atomic::{AtomicBool, AtomicU8, Ordering};
use crate::commit::Commit;
use crate::env::{Bell, Env, FileLock, TaskHandle};
use crate::epoch::{Domain, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, FileNumber, MemtableId, Sequence};
use crate::lock::{Mutex, OrderedMutex};
use crate::memtable::{AnyMemtable, AnyMemtableWriter, ArenaPool, MemtableKind, MemtableOptions, create_any};
use crate::observe::{Counters, Event, EventKind, EventQueue, StallCause, Timings};
use crate::sst::SstOptions;
use crate::version::{FileMeta, Manifest, VersionState};
use crate::view::{CollectionView, View};
use crate::wal::{Log, LogEvent, archived_name};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What `install` protects: the manifest, and what it says.
pub(super) struct Installer {
    /// Open for appending; `None` when read-only, closed, or after its outcome became unknown.
    pub manifest: Option<Manifest>,
    /// After an append for which the disk was too full: the manifest that counted before, and perhaps still does. Whether the edit
    /// is in it, or in a whole new one that failed half way, is unknown; both are as good as the state without it, as long as no
    /// file goes that either names. The next edit writes a whole new manifest, which ends the doubt.
    pub lost: Option<FileNumber>,
    /// Manifests of ours that may be in force, although to put them there failed.
    pub perhaps: Vec<FileNumber>,
    /// Files of edits that may count: deleted once a manifest without them does.
    pub unsure: Vec<(Arc<Collection>, FileMeta)>,
    /// The state that the manifest's records add up to.
    pub state: VersionState,
}

/// What `catalog` protects: the families by id. Making a new view happens under it too.
#[derive(Default)]
pub(super) struct Catalog {
    pub collections: BTreeMap<CollectionId, Arc<Collection>>,
}

/// The places of the locks in their order, around that of the commit lock.
pub(super) const INSTALL_PLACE: u8 = crate::commit::LOCK_PLACE - 1;
pub(super) const CATALOG_PLACE: u8 = crate::commit::LOCK_PLACE + 1;
pub(super) const JOBS_PLACE: u8 = crate::commit::LOCK_PLACE + 2;

pub(super) const OPEN: u8 = 0;
pub(super) const CLOSING: u8 = 1;
pub(super) const CLOSED: u8 = 2;

/// The state of an open database.
pub(crate) struct Core {
    // Constant after opening.
    pub env: Env,
    pub path: PathBuf,
    pub options: Options,
    pub database_id: u64,
    pub epoch: u64,
    pub read_only: bool,
    pub log: Option<Arc<Log>>,
    pub caches: Caches,
    pub stamps: Arc<Stamps>,
    pub pool: Arc<ArenaPool>,
    pub hash_seed: u64,

    // Each behind its own lock, in the order that `db` states.
    pub(super) install: OrderedMutex<Installer>,
    pub commit: Commit,
    pub(super) catalog: OrderedMutex<Catalog>,
    pub(super) jobs: OrderedMutex<Jobs>,

    // Read inside epochs, replaced under `catalog`.
    pub domain: Domain,
    pub view: Shared<View>,

    // Small parts that are their own lock.
    pub(super) snapshots: SnapshotList,
    pub(super) health: Health,
    pub(super) pacer: Mutex<Pacer>,
    pub(super) file_pins: FilePins,
    pub state: AtomicU8,
    pub next_file: Arc<AtomicU64>,
    pub next_memtable: Arc<AtomicU64>,
    pub iterators: AtomicU64,
    /// Files that come in beside the log just now.
    pub ingests: AtomicU64,

    // What others may see.
    pub counters: Counters,
    pub events: Arc<EventQueue>,
    pub timings: Arc<Timings>,
    pub(super) disk: Arc<DiskWatch>,

    // Waits: `work` wakes background tasks, `progress` whoever waits for their results.
    pub work: Arc<Bell>,
    pub progress: Bell,
    pub stop: AtomicBool,
    pub tasks: Mutex<Vec<Box<dyn TaskHandle>>>,
    pub file_lock: Mutex<Option<Box<dyn FileLock>>>,
    /// Of a database open for reading: who looks what the writer has done. Held over reading, and before all other locks.
    pub(super) follower: Mutex<Option<Follower>>,
}

impl Core {
    /// Refuses calls on a closed database and in a forked child.
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.state.load(Ordering::Relaxed) != OPEN {
            return Err(closed());
        }
        if self.env.runtime.forked() {
            return Err(Error::new(
                ErrorKind::Forked,
                "the database was opened before this process was forked: open it again in the child",
            ));
        }
        Ok(())
    }

    pub fn is_closed(&self) -> bool {
        self.state.load(Ordering::SeqCst) != OPEN
    }

    /// Refuses writes to a database opened for reading, or turned read-only by a failure.
    #[inline]
    pub fn check_writable(&self) -> Result<()> {
        self.check()?;
        if self.read_only {
            return Err(Error::new(ErrorKind::ReadOnly, "the database is open for reading only"));
        }
        self.health.check_writable()
    }

    /// Runs `read` with a view and the newest sequence that it holds in full. The view is pinned by an epoch: `read` must not
    /// block.
    #[inline]
    pub fn with_view<R>(&self, read: impl FnOnce(&View, Sequence) -> R) -> R {
        let guard = self.domain.enter();
        // Had the view moved in between, `visible` might cover memtables that the old view does not have.
        let (view, visible) = self.view.load_with(&guard, || self.commit.visible());
        read(view, view.sequence().unwrap_or(visible))
    }

    /// The newest sequence that readers see.
    pub fn visible(&self) -> Sequence {
        self.with_view(|_, visible| visible)
    }

    /// A counted reference to one family's part of the view, and the newest sequence that it holds in full.
    pub fn pin(&self, collection: CollectionId) -> Result<(Arc<CollectionView>, Sequence)> {
        self.with_view(|view, visible| Ok((view.find(collection)?.clone(), visible)))
    }

    /// The same as of a snapshot, which may have a view of its own. Of a family that is younger than the snapshot: the present part, which
    /// holds nothing that old.
    pub fn pin_at(
        &self,
        collection: CollectionId,
        snapshot: Option<&Snapshot>,
    ) -> Result<(Arc<CollectionView>, Sequence)> {
        if let Some(snapshot) = snapshot {
            let held = snapshot.view().and_then(|view| view.find(collection).ok());
            let part = held.map_or_else(|| self.pin(collection).map(|(part, _)| part), |part| Ok(part.clone()))?;
            return Ok((part, snapshot.sequence()));
        }
        self.pin(collection)
    }

    /// The current view as a whole.
    pub fn current_view(&self) -> Arc<View> {
        let guard = self.domain.enter();
        self.view.load_arc(&guard)
    }

    /// Replaces the view by what `change` makes of it. Requires: the caller holds `catalog`.
    pub fn replace_view(&self, _catalog: &Catalog, change: impl FnOnce(&View) -> View) {
        let next = Arc::new(change(&self.current_view()));
        self.view.replace(next, &self.domain);
    }

    /// A number for a new file.
    pub fn new_file_number(&self) -> FileNumber {
        FileNumber(self.next_file.fetch_add(1, Ordering::Relaxed))
    }

    /// An empty memtable.
    pub fn new_memtable(&self, kind: &MemtableKind) -> Result<(AnyMemtableWriter, AnyMemtable)> {
        let id = MemtableId(self.next_memtable.fetch_add(1, Ordering::Relaxed));
        create_any(kind, id, &MemtableOptions { hash_seed: self.hash_seed, pool: self.pool.clone() })
    }

    /// An outcome is unknown: no more writes. Whoever waits for background work is told.
    pub fn poison(&self, error: &Error) {
        self.health.poison(error);
        self.jobs.lock().fail_all(error);
        self.work.ring();
        self.progress.ring();
    }

    /// Tells the application.
    pub fn event(&self, kind: EventKind, fill: impl FnOnce(&mut Event)) {
        let mut event = Event::new(kind);
        fill(&mut event);
        self.events.push(event);
    }

    /// The family with this id.
    pub fn collection(&self, id: CollectionId) -> Option<Arc<Collection>> {
        self.catalog.lock().collections.get(&id).cloned()
    }
}

/// How tables of a family are written.
pub(super) fn sst_options(options: &Options) -> SstOptions {
    SstOptions {
        block_bytes: options.block_bytes(),
        compression: options.compression().unwrap_or_default(),
        bloom_bits_per_key: options.bloom_bits_per_key(),
    }
}

/// The log's events as the application sees them.
pub(super) fn log_event(events: &EventQueue, event: LogEvent) {
    let mut told = match event {
        LogEvent::SegmentCreated { .. } => Event::new(EventKind::LogCreated),
        LogEvent::SegmentArchived { .. } => Event::new(EventKind::LogArchived),
        LogEvent::SegmentDeleted { .. } | LogEvent::NotArchived { .. } | LogEvent::ArchivedDeleted { .. } => {
            Event::new(EventKind::LogDeleted)
        }
        LogEvent::Stalled { .. } => Event::new(EventKind::StallEnd),
    };
    match event {
        LogEvent::SegmentCreated { number, bytes } | LogEvent::SegmentDeleted { number, bytes } => {
            told.number = number.0;
            told.bytes = bytes;
        }
        LogEvent::SegmentArchived { number, bytes, stamp } => {
            (told.number, told.bytes, told.detail) = (number.0, bytes, archived_name(stamp));
        }
        LogEvent::ArchivedDeleted { bytes, stamp } => (told.bytes, told.detail) = (bytes, archived_name(stamp)),
        LogEvent::NotArchived { number, bytes, why } => {
            (told.number, told.bytes, told.detail) = (number.0, bytes, format!("not archived: {why}"));
        }
        LogEvent::Stalled { nanos } => {
            told.micros = nanos / 1000;
            told.detail = StallCause::LogSegment.name().to_owned();
        }
    }
    events.push(told);
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the database is closed")
}
