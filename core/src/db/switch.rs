//! Switching: a full memtable steps aside for an empty one, a log segment for the next.
//!
//! Called under the commit lock by `write`, `flush` and `close`.

use super::core::Core;
use crate::commit::CommitState;
use crate::error::Result;
use crate::key::CollectionId;
use crate::memtable::{AnyMemtable, AnyMemtableWriter};
use crate::observe::{EventKind, FlushReason};
use crate::view::Frozen;

impl Core {
    /// Freezes a family's active memtable, puts an empty one in its place, and queues the flush.
    /// An empty one is just replaced. An error leaves everything as it was.
    pub(super) fn freeze(&self, state: &mut CommitState, id: CollectionId, reason: FlushReason) -> Result<()> {
        let Some(collection) = self.collection(id) else { return Ok(()) };
        let next = self.new_memtable(&collection.memtable_kind())?;
        self.freeze_for(state, id, reason, next);
        Ok(())
    }

    /// The same with the memtable that takes its place, which is all that could fail.
    pub(super) fn freeze_for(
        &self,
        state: &mut CommitState,
        id: CollectionId,
        reason: FlushReason,
        (writer, active): (AnyMemtableWriter, AnyMemtable),
    ) {
        let Some(collection) = self.collection(id) else { return };
        let Some(slot) = state.find(id) else { return };
        slot.writer = writer;
        let memtable = std::mem::replace(&mut slot.memtable, active.clone());
        let batch_end = slot.batch_end;
        // Nothing to flush: the new one, perhaps of another schema, just takes its place.
        let is_empty = memtable.is_empty();
        memtable.freeze();
        if memtable.has_iterators() {
            active.expect_iterators();
        }
        {
            let catalog = self.catalog.lock();
            self.replace_view(&catalog, |view| match view.find(id) {
                Ok(part) => {
                    let mut part = (**part).clone();
                    if !is_empty {
                        part.frozen.insert(0, Frozen { memtable: memtable.clone(), reason, batch_end });
                    }
                    part.active = active;
                    view.with(part)
                }
                Err(_) => view.clone(),
            });
        }
        if is_empty {
            return;
        }
        self.jobs.lock().scheduler.schedule(id);
        self.work.ring();
        self.event(EventKind::MemtableSealed, |event| {
            event.collection.clone_from(&collection.name);
            event.number = memtable.id().0;
            event.entries = memtable.entry_count();
            event.bytes = memtable.memory_bytes() as u64;
            event.detail = match (reason, &self.log, memtable.first_sequence()) {
                (FlushReason::LogFull, Some(log), Some(first)) => {
                    format!("{} segment={} log_bytes={}", reason.name(), log.floor_for(first).0, log.total_bytes())
                }
                _ => reason.name().to_owned(),
            };
        });
        self.set_signal();
    }

    /// Begins a new log segment if no active memtable holds anything logged: once what is frozen is flushed, the old log goes
    /// at once. Must come before the flush's edit, whose log floor then names the new segment.
    pub(super) fn switch_log_if_idle(&self, state: &mut CommitState) -> Result<()> {
        let idle = state.active.iter().all(|active| !active.logged || active.memtable.is_empty());
        match &mut state.log {
            Some(log) if idle => log.switch_segment(),
            _ => Ok(()),
        }
    }
}
