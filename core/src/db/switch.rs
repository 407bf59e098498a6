//! Switching: a full memtable steps aside for an empty one, a log segment for the next.
//!
//! Called under the commit lock by `write`, `flush` and `close`.

use super::collection::Collection;
use super::core::Core;
use crate::commit::CommitState;
use crate::error::Result;
use crate::key::{CollectionId, Sequence};
use crate::memtable::{AnyMemtable, AnyMemtableWriter};
use crate::observe::{EventKind, FlushReason};
use crate::view::Frozen;

/// An empty memtable, to take the place of a full one.
pub(super) type Fresh = (AnyMemtableWriter, AnyMemtable);

impl Core {
    /// Freezes a family's active memtable, puts an empty one in its place, and queues the flush.
    /// An empty one is just replaced. An error leaves everything as it was.
    pub(super) fn freeze(&self, state: &mut CommitState, id: CollectionId, reason: FlushReason) -> Result<()> {
        let Some(collection) = self.collection(id) else { return Ok(()) };
        let next = self.new_memtable(&collection.memtable_kind())?;
        self.freeze_for(state, vec![(id, Some(next))], reason, 0);
        Ok(())
    }

    /// The same for several at once, with the memtables that take their places, which is all that could fail. Where there is none the
    /// active memtable stays. With a boundary, `together`, what is frozen is flushed in one with whatever else was frozen there; so is
    /// the newest frozen memtable of those without a new one, if it stood alone.
    pub(super) fn freeze_for(
        &self,
        state: &mut CommitState,
        members: Vec<(CollectionId, Option<Fresh>)>,
        reason: FlushReason,
        together: Sequence,
    ) {
        let mut changes = Vec::with_capacity(members.len());
        for (id, fresh) in members {
            let (Some(collection), Some(slot)) = (self.collection(id), state.find(id)) else { continue };
            let frozen = fresh.map(|(writer, active)| {
                slot.writer = writer;
                let memtable = std::mem::replace(&mut slot.memtable, active.clone());
                memtable.freeze();
                if memtable.has_iterators() {
                    active.expect_iterators();
                }
                (Frozen { memtable, reason, batch_end: slot.batch_end, together }, active)
            });
            changes.push((collection, frozen));
        }
        {
            let catalog = self.catalog.lock();
            // In one step: a job that takes one of them must see them all.
            self.replace_view(&catalog, |view| {
                changes.iter().fold(view.clone(), |view, (collection, frozen)| {
                    let Ok(part) = view.find(collection.id) else { return view };
                    let mut part = (**part).clone();
                    match frozen {
                        Some((frozen, active)) => {
                            // Nothing to flush: the new one, perhaps of another schema, just takes its place.
                            if !frozen.memtable.is_empty() {
                                part.frozen.insert(0, frozen.clone());
                            }
                            part.active = active.clone();
                        }
                        None => match part.frozen.first_mut() {
                            Some(newest) if newest.together == 0 => newest.together = together,
                            _ => {}
                        },
                    }
                    view.with(part)
                })
            });
        }
        let mut is_any = false;
        for (collection, frozen) in &changes {
            let Some((Frozen { memtable, .. }, _)) = frozen else { continue };
            if !memtable.is_empty() {
                is_any = true;
                self.jobs.lock().scheduler.schedule(collection.id);
                self.tell_frozen(collection, memtable, reason);
            }
        }
        if is_any {
            self.work.ring();
            self.set_signal();
        }
    }

    fn tell_frozen(&self, collection: &Collection, memtable: &AnyMemtable, reason: FlushReason) {
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
