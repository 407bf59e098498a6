//! The background tasks: each step takes one job that is due, runs it, and has its result installed.
//!
//! Flushes come before merges, but not twice in a row, and one task never merges. Threads come from the pool that all databases share. A failed job leaves everything as it was, tells those who
//! wait, and is tried again after a pause under a new file number.

use super::core::{CLOSED, Core};
use super::health::Job;
use super::jobs::ManualCompaction;
use super::target::FileMaker;
#[cfg(feature = "arrow")]
use super::time_to_live;
use crate::compaction::{self, CompactionInput, PickOptions, RunInfo};
use crate::env::{Next, Task};
use crate::error::{Error, ErrorKind, Result};
use crate::key::CollectionId;
use crate::observe::{Counter, EventKind};
use crate::version::FileMeta;
use crate::view::Run;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a failed job waits before it is tried again.
pub(super) const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// One job of a database at a time.
pub(super) struct Worker {
    pub core: Arc<Core>,
    /// Whether it merges too; else it is kept free for flushes.
    pub merges: bool,
    /// Whether it flushed last: a merge that is due then goes first, or a database that is written to without a pause would never merge.
    pub has_flushed: bool,
}

impl Task for Worker {
    fn step(&mut self) -> Next {
        let core = &self.core;
        if core.must_end() {
            return Next::Done;
        }
        if let Err(error) = core.bound_log().and_then(|()| core.bound_memory()) {
            core.background_error(Job::Flush, &error);
        }
        core.set_signal();
        core.balance_caches();
        let merge = || self.merges.then(|| core.take_compaction()).flatten();
        let first = if std::mem::take(&mut self.has_flushed) { merge() } else { None };
        if first.is_none()
            && let Some(job) = core.take_flush()
        {
            core.run_flush(job);
            self.has_flushed = true;
            return Next::Again;
        }
        if let Some((id, inputs, level)) = first.or_else(merge) {
            core.run_compaction(id, &inputs, level);
            return Next::Again;
        }
        core.settle();
        let retries = {
            let jobs = core.jobs.lock();
            [jobs.retry_flush_at, jobs.retry_merge_at]
        };
        let now = core.env.runtime.monotonic_nanos();
        let next = retries.into_iter().filter(|&at| at > now).min();
        Next::Wait(next.map(|at| Duration::from_nanos(at - now)))
    }
}

impl Core {
    /// Whether background tasks have to end.
    fn must_end(&self) -> bool {
        let is_over = self.stop.load(Ordering::SeqCst) || self.state.load(Ordering::SeqCst) == CLOSED;
        is_over || self.env.runtime.forked()
    }

    pub(super) fn may_start(&self, retry_at: u64) -> bool {
        !self.health.is_poisoned() && self.env.runtime.monotonic_nanos() >= retry_at
    }

    /// See [`Db::resume`](super::Db::resume).
    pub(super) fn resume(&self) -> Result<()> {
        self.check_writable()?;
        self.renew_manifest()?;
        let flushes = self.counters.get(Counter::Flushes);
        {
            let mut jobs = self.jobs.lock();
            (jobs.retry_flush_at, jobs.retry_merge_at) = (0, 0);
            self.health.recovered(Job::Flush);
            self.health.recovered(Job::Merge);
        }
        self.work.ring();
        self.progress.ring();
        loop {
            let seen = self.progress.count();
            self.check_writable()?;
            if let Some(error) = self.health.flush_error() {
                return Err(error);
            }
            let waits = self.with_view(|view, _| view.collections().iter().any(|part| !part.frozen.is_empty()));
            if !waits || self.counters.get(Counter::Flushes) != flushes {
                return Ok(());
            }
            self.env.runtime.wait(&self.progress, seen, Some(RETRY_PAUSE));
        }
    }

    /// Forgets a failure of which nothing is left to be tried again: the family was dropped, say, or the runs were merged by others.
    fn settle(&self) {
        if !self.health.is_failing(Job::Flush) && !self.health.is_failing(Job::Merge) {
            return;
        }
        let waits = self.with_view(|view, _| view.collections().iter().any(|part| !part.frozen.is_empty()));
        let jobs = self.jobs.lock();
        if !waits && jobs.flushing.is_empty() && self.may_start(jobs.retry_flush_at) {
            self.health.recovered(Job::Flush);
        }
        if jobs.unpicked.is_empty() && jobs.compacting.is_empty() && self.may_start(jobs.retry_merge_at) {
            self.health.recovered(Job::Merge);
        }
    }

    pub(super) fn background_error(&self, job: Job, error: &Error) {
        self.health.failing(job, error);
        self.counters.add(Counter::BackgroundErrors, 1);
        self.event(EventKind::BackgroundError, |event| event.detail = error.to_string());
    }

    pub(super) fn file_maker(&self) -> FileMaker<'_> {
        FileMaker {
            env: &self.env,
            caches: &self.caches,
            stamps: &self.stamps,
            database_id: self.database_id,
            epoch: self.epoch,
        }
    }

    /// The next merge that is due.
    fn take_compaction(&self) -> Option<(CollectionId, Vec<Run>, u32)> {
        let view = self.current_view();
        // Before `jobs`, which comes after `catalog` in the order of locks.
        let collections = self.catalog.lock().collections.clone();
        let mut jobs = self.jobs.lock();
        if !self.may_start(jobs.retry_merge_at) {
            return None;
        }
        let wanted = jobs.manual.iter().filter(|(_, state)| matches!(state, ManualCompaction::Wanted));
        let manual = wanted.map(|(id, _)| *id).find(|id| jobs.may_merge(*id));
        if let Some(id) = manual {
            let runs = view.find(id).map(|part| part.runs.clone()).unwrap_or_default();
            // All of them are asked for.
            if let Some(error) = runs.iter().find_map(|run| run.reader.broken()) {
                jobs.manual.insert(id, ManualCompaction::Ended(Err(error.clone())));
                drop(jobs);
                self.progress.ring();
                return None;
            }
            let expire = collections.get(&id).is_some_and(|collection| collection.rows_expire());
            if runs.len() < 2 && !(expire && runs.len() == 1) && runs.iter().all(|run| run.reader.is_plain()) {
                jobs.manual.insert(id, ManualCompaction::Ended(Ok(())));
                drop(jobs);
                self.progress.ring();
                return None;
            }
            let level = runs.iter().map(|run| run.meta.level).max().unwrap_or(0) + 1;
            jobs.compacting.insert(id);
            return Some((id, runs, level));
        }
        while let Some(id) = jobs.unpicked.iter().copied().find(|id| jobs.may_merge(*id)) {
            jobs.unpicked.remove(&id);
            let Some(collection) = collections.get(&id) else { continue };
            let Ok(part) = view.find(id) else { continue };
            if !collection.options.auto_compaction() {
                continue;
            }
            let trigger = collection.options.compaction_trigger_runs();
            let options = PickOptions { min_merge_runs: trigger, ..PickOptions::default() };
            // A file that does not open is never merged, and nothing across it.
            for runs in part.runs.split(|run| run.reader.broken().is_some()) {
                let infos: Vec<RunInfo> = runs.iter().map(|run| run_info(&run.meta)).collect();
                if let Some(pick) = compaction::pick(&infos, &options) {
                    jobs.compacting.insert(id);
                    return Some((id, runs[pick.runs].to_vec(), pick.level_out));
                }
            }
        }
        None
    }

    fn run_compaction(&self, id: CollectionId, inputs: &[Run], level: u32) {
        let result = self.compact_runs(id, inputs, level);
        // Before `jobs`, as above. If it is dropped in between, the picker finds no collection and forgets it.
        let lives = self.collection(id).is_some();
        {
            let mut jobs = self.jobs.lock();
            jobs.compacting.remove(&id);
            if lives {
                jobs.unpicked.insert(id);
            }
            let cancelled = result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Cancelled);
            if let Err(error) = &result
                && !cancelled
            {
                jobs.retry_merge_at = self.env.runtime.monotonic_nanos() + RETRY_PAUSE.as_nanos() as u64;
                self.background_error(Job::Merge, error);
            } else if result.is_ok() {
                self.health.recovered(Job::Merge);
            }
            let all = self.current_view().find(id).map_or(0, |part| part.runs.len()) <= 1;
            if let Some(state) = jobs.manual.get_mut(&id)
                && (result.is_err() || all)
            {
                *state = ManualCompaction::Ended(result);
            }
        }
        self.look_at_space();
        self.work.ring();
        self.progress.ring();
    }

    fn compact_runs(&self, id: CollectionId, inputs: &[Run], level: u32) -> Result<()> {
        // Once more without regard to time if a snapshot came in between that sees what was let go.
        let ended = self.merge_runs(id, inputs, level, true)? || self.merge_runs(id, inputs, level, false)?;
        debug_assert!(ended, "a merge that leaves out nothing that anybody sees is installed");
        Ok(())
    }

    /// Merges and installs; false if nothing has changed because of rows that were past their time.
    #[cfg_attr(not(feature = "arrow"), expect(unused_variables, reason = "only rows of tables expire"))]
    fn merge_runs(&self, id: CollectionId, inputs: &[Run], level: u32, rows_expire: bool) -> Result<bool> {
        let Some(collection) = self.collection(id) else { return Ok(true) };
        let began = self.env.runtime.monotonic_nanos();
        self.renew_manifest()?;
        let number = self.new_file_number();
        let read_bytes: u64 = inputs.iter().map(|run| run.meta.size_bytes).sum();
        self.event(EventKind::CompactionBegin, |event| {
            event.collection.clone_from(&collection.name);
            event.number = number.0;
            event.entries = inputs.iter().map(|run| run.meta.entries).sum();
            event.bytes = read_bytes;
        });
        // Nothing older lies below the oldest run: tombstones that no snapshot needs may go.
        let (view, _) = self.pin(id)?;
        let oldest = view.runs.last().map(|run| run.meta.number);
        let input_numbers = inputs.iter().map(|run| run.meta.number).collect();
        let snapshots = self.snapshots.sequences();
        let newest_snapshot = snapshots.last().copied().unwrap_or(0);
        let input = CompactionInput {
            runs: inputs.iter().map(|run| run.reader.clone()).collect(),
            snapshots,
            bottom: oldest == inputs.last().map(|run| run.meta.number),
            #[cfg(feature = "arrow")]
            horizon: rows_expire.then(|| time_to_live::horizon(&collection, self.env.runtime.unix_nanos())).flatten(),
            target: self.file_maker().target(&collection, number, level, input_numbers),
            cancel: &self.stop,
        };
        let output = compaction::run(input)?;
        let nanos = self.env.runtime.monotonic_nanos().saturating_sub(began);
        let installed = self.install_compaction(&collection, inputs, &output, newest_snapshot, nanos)?;
        self.counters.add(Counter::CompactionReadBytes, read_bytes);
        Ok(installed)
    }
}

/// What the picker looks at.
fn run_info(meta: &FileMeta) -> RunInfo {
    RunInfo { number: meta.number, level: meta.level, size_bytes: meta.size_bytes, entries: meta.entries }
}
