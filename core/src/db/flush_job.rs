//! One flush: whose turn it is, a file for each collection that takes part, and what follows from success and failure.
//!
//! Called by background tasks, and by closing for what is left. A job takes the frozen memtables of one collection, or of all that were
//! frozen together: then every file is written before any is installed, and a failure of one leaves none.

use super::background::RETRY_PAUSE;
use super::collection::Collection;
use super::core::Core;
use super::health::Job;
use super::install::WrittenFlush;
use crate::error::Result;
use crate::flush::{FlushInput, Waiting, pick_together};
use crate::key::CollectionId;
use crate::observe::{Counter, EventKind, FlushReason};
use crate::view::{Frozen, View};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What is flushed together: collections, and of each its oldest frozen memtables, oldest first.
pub(super) type FlushJob = Vec<(CollectionId, Vec<Frozen>)>;

/// The collections with frozen memtables, as the pure function wants them.
fn waiting(view: &View) -> Vec<Waiting> {
    let parts = view.collections().iter().filter(|part| !part.frozen.is_empty());
    let boundaries = |frozen: &[Frozen]| frozen.iter().rev().map(|frozen| frozen.together).collect();
    parts.map(|part| Waiting { collection: part.collection, together: boundaries(&part.frozen) }).collect()
}

fn has_frozen(view: &View, id: CollectionId) -> bool {
    view.find(id).is_ok_and(|part| !part.frozen.is_empty())
}

impl Core {
    /// The job whose turn it is.
    pub(super) fn take_flush(&self) -> Option<FlushJob> {
        let mut jobs = self.jobs.lock();
        if !self.may_start(jobs.retry_flush_at) {
            return None;
        }
        loop {
            let id = jobs.scheduler.take()?;
            let view = self.current_view();
            let picked = pick_together(&waiting(&view), id);
            if jobs.flushing.contains(&id) || picked.iter().any(|(member, _)| jobs.flushing.contains(member)) {
                jobs.put_off.insert(id);
                continue;
            }
            let take = |(member, count): (CollectionId, usize)| {
                let mut taken = view.find(member).map(|part| part.frozen.clone()).unwrap_or_default();
                taken.reverse();
                taken.truncate(count);
                (member, taken)
            };
            let job: FlushJob = picked.into_iter().map(take).collect();
            if job.is_empty() {
                continue;
            }
            jobs.flushing.extend(job.iter().map(|(member, _)| *member));
            // What has to wait for others to go first.
            if !jobs.flushing.contains(&id) {
                jobs.put_off.insert(id);
            }
            return Some(job);
        }
    }

    pub(super) fn run_flush(&self, job: FlushJob) {
        let result = self.flush_together(&job);
        let members: Vec<CollectionId> = job.iter().map(|(member, _)| *member).collect();
        // Before anybody is told: what these hold is what some wait for.
        drop(job);
        self.domain.collect();
        {
            let mut jobs = self.jobs.lock();
            jobs.flushing.retain(|id| !members.contains(id));
            // What was frozen while the job ran, or is still there after a failure; and who waited for it.
            let put_off = std::mem::take(&mut jobs.put_off);
            for id in members.iter().copied().chain(put_off) {
                if self.with_view(|view, _| has_frozen(view, id)) {
                    jobs.scheduler.schedule(id);
                }
            }
            if let Err(error) = &result {
                jobs.retry_flush_at = self.env.runtime.monotonic_nanos() + RETRY_PAUSE.as_nanos() as u64;
                members.iter().for_each(|id| jobs.flush_failed(*id, error));
                self.counters.add(Counter::FlushFailures, 1);
                self.background_error(Job::Flush, error);
            } else {
                self.health.recovered(Job::Flush);
            }
        }
        self.look_at_space();
        self.work.ring();
        self.progress.ring();
    }

    /// Writes a file for each member, then installs them all.
    fn flush_together(&self, job: &FlushJob) -> Result<()> {
        self.renew_manifest()?;
        let mut written = Vec::with_capacity(job.len());
        for (id, taken) in job {
            let Some(collection) = self.collection(*id) else { continue };
            match self.write_flush(&collection, taken) {
                Ok(flush) => written.push(flush),
                // What is dropped holds nobody up.
                Err(_) if job.len() > 1 && collection.dropped.load(Ordering::SeqCst) => {}
                Err(error) => {
                    written.iter().for_each(|flush| self.discard_written(flush));
                    return Err(error);
                }
            }
        }
        self.install_flush(&written)
    }

    /// Writes one file for `taken`.
    fn write_flush<'a>(&self, collection: &Arc<Collection>, taken: &'a [Frozen]) -> Result<WrittenFlush<'a>> {
        let began = self.env.runtime.monotonic_nanos();
        let number = self.new_file_number();
        let reason = taken.last().map_or(FlushReason::WriteBufferFull, |frozen| frozen.reason);
        self.event(EventKind::FlushBegin, |event| {
            event.collection.clone_from(&collection.name);
            event.number = number.0;
            event.entries = taken.iter().map(|frozen| frozen.memtable.entry_count()).sum();
            event.bytes = taken.iter().map(|frozen| frozen.memtable.payload_bytes()).sum();
            event.detail = reason.name().to_owned();
        });
        let input = FlushInput {
            memtables: taken.iter().map(|frozen| frozen.memtable.clone()).collect(),
            // Read after the memtables were taken: see `SnapshotList`.
            snapshots: self.snapshots.sequences(),
            bottom: false,
            target: self.file_maker().target(collection, number, 0, Vec::new()),
            cancel: None,
        };
        let output = crate::flush::run(input)?;
        let nanos = self.env.runtime.monotonic_nanos().saturating_sub(began);
        Ok(WrittenFlush { collection: collection.clone(), taken, output, reason, nanos })
    }
}
