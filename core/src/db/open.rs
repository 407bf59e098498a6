//! Opening: lock, manifest, files, log, a new manifest, and only then deletes; at last the background threads.

use super::background::Worker;
use super::column_family::DEFAULT_FAMILY;
use super::core::{CATALOG_PLACE, Catalog, Core, INSTALL_PLACE, Installer, JOBS_PLACE, OPEN, log_event};
use super::disk::DiskWatch;
use super::follow::Follower;
use super::health::Health;
use super::jobs::Jobs;
use super::obsolete_files::{FilePins, Found, Known, delete_orphans, list_files};
use super::options::Options;
use super::recovery::{self, Recovered};
use super::snapshot::SnapshotList;
use super::stall::Pacer;
use super::target::{Caches, Stamps};
use super::{Db, Handle};
use crate::atomic::{AtomicBool, AtomicU8};
use crate::commit::Commit;
use crate::env::posix::posix;
#[cfg(debug_assertions)]
use crate::env::strict::StrictFileSystem;
use crate::env::timed::TimedFileSystem;
use crate::env::{Bell, Env, FileLock, JobKind, Pooled};
use crate::epoch::{Domain, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, CollectionKind, FileNumber};
use crate::lock::{Mutex, OrderedMutex};
use crate::memtable::ArenaPool;
use crate::observe::{Counters, EventQueue, Journal, Level, Listener, Logger};
use crate::version::file_name::{self, FileKind};
use crate::version::{Change, Manifest, VersionEdit, VersionState};
use crate::view::Run;
use crate::wal::segment_number;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

impl Db {
    /// Opens the database in `path`, or creates it.
    ///
    /// Errors: NotFound (no database, and not to be created), InvalidArgument (it exists, and must not), Locked (open elsewhere),
    /// Corruption (damage, naming file and offset; but a damaged file of a family or table
    /// is told by an event and [`background_error`](Db::background_error), and only by reads that need it), NotSupported (written by a newer version).
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self> {
        Self::open_in(posix(), path.as_ref(), options)
    }

    /// The same in a given world: for tests, and for hosts with file systems of their own.
    pub fn open_in(env: Env, path: &Path, options: &Options) -> Result<Self> {
        // In debug builds every test is a test of the order on disk too.
        #[cfg(debug_assertions)]
        let env = Env { files: StrictFileSystem::concurrent(env.files), runtime: env.runtime };
        let disk = DiskWatch::new(&env, options);
        let files = TimedFileSystem::new(env.files, env.runtime.clone(), disk.clone());
        let env = Env { files, runtime: env.runtime };
        let opening = Opening {
            disk,
            wal_path: options.wal_dir().unwrap_or_else(|| path.join(file_name::LOG_DIR)),
            env,
            path: path.to_path_buf(),
            options: options.clone().without_callbacks(),
            listener: options.listener(),
            logger: options.logger(),
        };
        let core = if options.read_only() { opening.read_only()? } else { opening.writable()? };
        let core = Arc::new(core);
        core.start()?;
        Ok(Self { handle: Arc::new(Handle { core }) })
    }
}

/// What opening needs to know; a database open for reading keeps it.
#[derive(Clone)]
pub(super) struct Opening {
    pub env: Env,
    pub path: PathBuf,
    pub wal_path: PathBuf,
    /// Without listener and logger.
    pub options: Options,
    pub disk: Arc<DiskWatch>,
    pub listener: Option<Listener>,
    pub logger: Option<(Level, Logger)>,
}

/// What both ways of opening have found out before the database is put together. Clones share it.
#[derive(Clone)]
pub(super) struct Parts {
    pub caches: Caches,
    pub stamps: Arc<Stamps>,
    pub pool: Arc<ArenaPool>,
    pub events: Arc<EventQueue>,
    pub hash_seed: u64,
    pub next_file: Arc<AtomicU64>,
    pub next_memtable: Arc<AtomicU64>,
    /// Wakes background tasks.
    pub work: Arc<Bell>,
}

impl Opening {
    pub(super) fn parts(&self, state: &VersionState) -> Parts {
        let budget = self.options.memory_budget_bytes();
        // A half is for memtables: what one family needs with the defaults, one memtable that is written and three that wait.
        let share = budget / 2;
        let memtables = self.options.write_buffer_bytes().saturating_mul(2).min(share);
        Parts {
            caches: Caches::new(budget, memtables, state.files()),
            stamps: Arc::new(Stamps::default()),
            pool: ArenaPool::within(memtables, share),
            events: self.events(),
            hash_seed: self.env.runtime.random(),
            next_file: Arc::new(AtomicU64::new(1)),
            next_memtable: Arc::new(AtomicU64::new(1)),
            work: Arc::new(Bell::new()),
        }
    }

    /// The queue of events; into the directory they go only if it may be written to.
    fn events(&self) -> Arc<EventQueue> {
        let limit = if self.options.read_only() { 0 } else { self.options.events_bytes() };
        let journal = (limit > 0).then(|| Journal::new(self.env.clone(), &self.path, limit));
        let events = EventQueue::new(self.env.clone(), journal, self.listener.clone(), self.logger.clone());
        self.disk.tell(&events);
        events
    }

    fn writable(self) -> Result<Core> {
        let files = self.env.files.clone();
        let exists = files.file_len(&self.path.join(file_name::CURRENT))?.is_some();
        if !exists && !self.options.create_if_missing() {
            let message = "there is no database here, and create_if_missing is false";
            return Err(Error::new(ErrorKind::NotFound, message).in_file(&self.path));
        }
        // Also if an earlier attempt made the directory and went no further.
        if files.create_dir(&self.path)? || !exists {
            files.sync_dir(&crate::env::parent(&self.path))?;
        }
        let lock = files.lock(&self.path.join(file_name::LOCK))?;
        // Looked at again under the lock.
        let found = Manifest::read(&self.env, &self.path)?;
        if found.is_some() && self.options.error_if_exists() {
            let message = "there is a database here already, and error_if_exists is true";
            return Err(Error::invalid(message).in_file(&self.path));
        }
        if files.create_dir(&self.wal_path)? || files.list(&self.wal_path)?.is_empty() {
            files.sync_dir(&crate::env::parent(&self.wal_path))?;
        }
        let state = match found {
            Some((state, _)) => state,
            None => {
                let mut state = self.fresh_state()?;
                // Before any log segment: a crash then leaves a database, not files without one.
                let number = self.first_free_number(&state)?;
                state.next_file_number = FileNumber(number + 1);
                Manifest::create(&self.env, &self.path, FileNumber(number), &state)?;
                state
            }
        };
        let parts = self.parts(&state);
        raise_stamps(&*files, &self.path, &parts)?;
        parts.next_file.store(self.first_free_number(&state)?, Ordering::Relaxed);
        let collections = self.collections(&state)?;
        let view = self.open_files(&state, &collections, &parts)?;
        let merged = view.iter().flat_map(|(_, runs)| runs).flat_map(|run| run.reader.inputs().to_vec()).collect();
        let is_broken = |(_, runs): &&(CollectionId, Vec<Run>)| runs.iter().any(|run| run.reader.broken().is_some());
        let broken =
            view.iter().filter(is_broken).map(|(id, _)| collections.collections[id].directory.clone()).collect();
        let recovered = recovery::recover(&self, state, collections, view, &parts)?;
        let manifest_number = FileNumber(parts.next_file.fetch_add(1, Ordering::Relaxed));
        let mut recovered = recovered;
        // A killed process may have left folders of families, tables and levels whose names no sync covers. The manifest makes `cf`
        // and `table` themselves durable.
        let mut folders = vec![self.path.join(file_name::FAMILIES_DIR), self.path.join(file_name::TABLES_DIR)];
        let tables = recovered.catalog.collections.values().filter(|made| made.kind == CollectionKind::Rows);
        folders.extend(tables.map(|table| table.directory.clone()));
        for folder in folders {
            match files.sync_dir(&folder) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        recovered.state.next_file_number = FileNumber(manifest_number.0 + 1);
        let manifest = Manifest::create(&self.env, &self.path, manifest_number, &recovered.state)?;
        // Everything that is needed is durable and named by now.
        delete_orphans(&self.env, &self.path, &recovered.state, &Known { merged, broken }, manifest_number);
        for stale in &recovered.stale_segments {
            let _ = files.remove(&self.wal_path.join(crate::wal::segment_name(*stale)));
        }
        if let Some(log) = &recovered.log {
            log.retire(&recovered.old_segments);
        }
        Ok(self.assemble(parts, recovered, Some(manifest), Some(lock)))
    }

    fn read_only(self) -> Result<Core> {
        let (follower, parts, recovered) = Follower::open(self.clone())?;
        let core = self.assemble(parts, recovered, None, None);
        *core.follower.lock() = Some(follower);
        Ok(core)
    }

    /// The state of a database that is about to be created. A directory with files of a database but without CURRENT is not
    /// that: whatever is in them would be lost.
    fn fresh_state(&self) -> Result<VersionState> {
        let log = self.env.files.list(&self.wal_path).unwrap_or_default();
        if let Some(segment) = log.iter().find(|name| segment_number(name).is_some()) {
            let message =
                format!("CURRENT is missing, but there is a log segment {segment}: not creating a database over it");
            return Err(Error::corruption(&self.path.join(file_name::CURRENT), 0, message));
        }
        let mut state = VersionState::new(self.env.runtime.random());
        let mut edit = VersionEdit::new();
        edit.push(Change::CreateCollection {
            id: CollectionId(0),
            name: DEFAULT_FAMILY.to_owned(),
            kind: CollectionKind::Bytes,
            logged: self.options.logged(),
            options: self.options.encode_collection(),
        });
        state.apply(&edit)?;
        Ok(state)
    }

    /// Numbers of new files begin above every number in the manifest and on disk: a file that a crash left behind is never met.
    fn first_free_number(&self, state: &VersionState) -> Result<u64> {
        let mut next = state.next_file_number.0;
        for (_, found) in list_files(&*self.env.files, &self.path)? {
            if let Found::File(FileKind::Manifest(number) | FileKind::Sst(number) | FileKind::Parquet(number)) = found {
                next = next.max(number.0 + 1);
            }
        }
        for name in self.env.files.list(&self.wal_path)? {
            if let Some(number) = segment_number(&name) {
                next = next.max(number.0 + 1);
            }
        }
        Ok(next)
    }

    fn collections(&self, state: &VersionState) -> Result<Catalog> {
        let mut catalog = Catalog::default();
        for stored in state.collections.values() {
            catalog.collections.insert(stored.id, Arc::new(self.collection(stored)?));
        }
        Ok(catalog)
    }

    /// Opens every live file: its runs, newest first, by collection. Of those that are damaged an event tells.
    fn open_files(
        &self,
        state: &VersionState,
        catalog: &Catalog,
        parts: &Parts,
    ) -> Result<Vec<(CollectionId, Vec<Run>)>> {
        let mut view = Vec::new();
        for (id, stored) in &state.collections {
            let collection = &catalog.collections[id];
            let mut runs = Vec::with_capacity(stored.runs.len());
            for meta in &stored.runs {
                runs.push(self.open_run(state.database_id, collection, meta, parts)?);
            }
            view.push((*id, runs));
        }
        Ok(view)
    }

    fn assemble(
        self,
        parts: Parts,
        recovered: Recovered,
        manifest: Option<Manifest>,
        lock: Option<Box<dyn FileLock>>,
    ) -> Core {
        let Recovered { state, catalog, view, active, writer, log, last_sequence, .. } = recovered;
        let commit = Commit::new(last_sequence, writer);
        if let Ok(mut commit_state) = commit.lock() {
            active.into_iter().for_each(|active| commit_state.add(active));
        }
        let domain = Domain::new();
        Core {
            read_only: self.options.read_only(),
            env: self.env,
            path: self.path,
            options: self.options,
            database_id: state.database_id,
            epoch: state.epoch,
            log,
            caches: parts.caches,
            stamps: parts.stamps,
            pool: parts.pool,
            hash_seed: parts.hash_seed,
            install: OrderedMutex::new(
                INSTALL_PLACE,
                Installer { manifest, lost: None, perhaps: Vec::new(), unsure: Vec::new(), state },
            ),
            commit,
            catalog: OrderedMutex::new(CATALOG_PLACE, catalog),
            jobs: OrderedMutex::new(JOBS_PLACE, Jobs::default()),
            domain,
            view: Shared::new(Arc::new(view)),
            snapshots: SnapshotList::default(),
            health: Health::default(),
            pacer: Mutex::new(Pacer::default()),
            file_pins: FilePins::default(),
            state: AtomicU8::new(OPEN),
            next_file: parts.next_file,
            next_memtable: parts.next_memtable,
            iterators: AtomicU64::new(0),
            ingests: AtomicU64::new(0),
            counters: Counters::default(),
            events: parts.events,
            timings: self.disk.timings.clone(),
            disk: self.disk,
            work: parts.work,
            progress: Bell::new(),
            stop: AtomicBool::new(false),
            tasks: Mutex::new(Vec::new()),
            file_lock: Mutex::new(lock),
            follower: Mutex::new(None),
        }
    }
}

impl Core {
    /// Starts the background tasks. On an error those started end again.
    fn start(self: &Arc<Self>) -> Result<()> {
        let started = self.spawn_all();
        if started.is_err() {
            let _ = self.shut_down(&super::CloseOptions { flush: Some(false), force: true, timeout: None });
        }
        started
    }

    fn spawn_all(self: &Arc<Self>) -> Result<()> {
        let runtime = &self.env.runtime;
        let mut tasks = self.tasks.lock();
        if let Some((bell, dispatcher)) = self.events.dispatcher() {
            tasks.push(runtime.spawn("sstore-events", bell, dispatcher)?);
        }
        if self.read_only {
            return Ok(());
        }
        if let Some(log) = &self.log {
            let core = self.clone();
            let (bell, helper) = log.helper(Box::new(move || core.mark_log()));
            tasks.push(runtime.spawn("sstore-log", bell, helper)?);
            if let Some((bell, archiver)) = log.archiver() {
                tasks.push(runtime.spawn("sstore-archive", bell, archiver)?);
            }
        }
        let (bell, preparer) = self.pool.preparer();
        tasks.push(runtime.spawn("sstore-memory", bell, preparer)?);
        let threads = self.options.background_threads();
        for number in 0..threads {
            // The first one is kept free for flushes, unless it is the only one.
            let merges = number > 0 || threads == 1;
            let kind = if merges { JobKind::Merge } else { JobKind::Flush };
            let worker = Box::new(Worker { core: self.clone(), merges, has_flushed: false });
            tasks.push(runtime.spawn_pooled(Pooled { kind, threads }, self.work.clone(), worker)?);
        }
        let mut jobs = self.jobs.lock();
        for part in self.current_view().collections() {
            jobs.unpicked.insert(part.collection);
            if !part.frozen.is_empty() {
                jobs.scheduler.schedule(part.collection);
            }
        }
        drop(jobs);
        self.work.ring();
        Ok(())
    }
}

/// The log's events, led to the application. A new segment also wakes the workers: the log may be longer than it should be.
pub(super) fn log_events(parts: &Parts) -> Arc<dyn Fn(crate::wal::LogEvent) + Send + Sync> {
    let (events, work) = (parts.events.clone(), parts.work.clone());
    Arc::new(move |event| {
        let is_new = matches!(event, crate::wal::LogEvent::SegmentCreated { .. });
        log_event(&events, event);
        if is_new {
            work.ring();
        }
    })
}

/// New folders of Arrow IPC files get names above all that are there: also those that no edit names, which are left alone.
fn raise_stamps(files: &dyn crate::env::FileSystem, path: &Path, parts: &Parts) -> Result<()> {
    for (folder, found) in list_files(files, path)? {
        let name = folder.file_name().map(|name| name.to_string_lossy());
        if let (Found::IpcDir, Some(stamp)) = (found, name.and_then(|name| file_name::parse_stamp(&name))) {
            parts.stamps.raise(stamp);
        }
    }
    Ok(())
}
