//! Waits of writers: short delays while flushes or merges are behind, stops while memory is full. Each has a cause, counters, events
//! and an end: what it waits for is on its way, or an error is returned.
//!
//! Called by `write` once the signal is not open, or a memtable cannot be frozen. How much is to be paid is decided by a pure function
//! of `flush`.

use super::WriteOptions;
use super::core::Core;
use super::memory::unflushed_bytes;
use crate::error::{Error, ErrorKind, Result};
use crate::flush::{self, Debt, Pace};
use crate::key::CollectionId;
use crate::memtable::Signal;
use crate::observe::{Counter, EventKind, StallCause, Timed};
use crate::view::CollectionView;
use std::time::Duration;

/// So many write buffers of flushed bytes may wait for their first merge before writes are as slow as merges make them.
const UNMERGED_BUFFERS: u64 = 64;

/// Small buffers do not make merges expensive.
const UNMERGED_BYTES_MIN: u64 = 64 << 20;

/// After so many bytes writers look what there is to pay.
const FIRST_GRAIN_BYTES: u64 = 4 << 10;

/// What writers have paid and owe.
#[derive(Default)]
pub(super) struct Pacer {
    /// Bytes written since the last grain.
    owed_bytes: u64,
    /// Writers wait until then (monotonic nanoseconds); 0: they do not.
    until_nanos: u64,
    /// What is paid now.
    pace: Option<Pace>,
    /// Why writers have been delayed since the signal was set, and for how long in all.
    period: Option<(StallCause, u64)>,
}

impl Core {
    /// What a collection's writers owe. `filled`: as if its active memtable were full.
    fn debt(&self, part: &CollectionView, memory: u32, filled: bool) -> Debt {
        let flushed = part.runs.iter().filter(|run| run.meta.level == 0);
        let unmerged: u64 = flushed.map(|run| run.meta.size_bytes).sum();
        let only_memory = Debt { memory, ..Debt::default() };
        if part.frozen.is_empty() && unmerged < UNMERGED_BYTES_MIN / 2 {
            return only_memory;
        }
        let Some(collection) = self.collection(part.collection) else { return only_memory };
        let options = &collection.options;
        let share = |part: u64, whole: u64| (u128::from(part) * 1000 / u128::from(whole.max(1))).min(1000) as u32;
        let fill = match options.write_buffer_rows() {
            _ if filled => 1000,
            0 => share(part.active.memory_bytes() as u64, options.write_buffer_bytes() as u64),
            rows => share(part.active.memory_bytes() as u64, options.write_buffer_bytes() as u64)
                .max(share(part.active.entry_count(), rows)),
        };
        let frozen = part.frozen.len() as u32;
        let memtables =
            if frozen == 0 { 0 } else { (frozen * 1000 + fill) / (options.max_frozen_memtables() as u32 + 1) };
        let unmerged_max = (UNMERGED_BUFFERS * options.write_buffer_bytes() as u64).max(UNMERGED_BYTES_MIN);
        Debt { memtables, memory, merges: if options.auto_compaction() { share(unmerged, unmerged_max) } else { 0 } }
    }

    fn memory_debt(&self, unflushed: u64) -> u32 {
        (u128::from(unflushed) * 1000 / u128::from(self.memtable_room(unflushed).max(1))).min(1000) as u32
    }

    /// Sets the signal: open, unless somebody may have something to pay before it is set again. Called when a memtable was frozen or a
    /// job has ended, and when the alarm was raised.
    pub(super) fn set_signal(&self) {
        let memory = self.pool.memory();
        // Under the lock, so that what is set last was also looked at last.
        let mut pacer = self.pacer.lock();
        let view = self.current_view();
        let unflushed = unflushed_bytes(&view);
        let in_memory = self.memory_debt(unflushed);
        let pays = view.collections().iter().any(|part| flush::pace(&self.debt(part, in_memory, true)).is_some());
        let step = memory.share_bytes() / 16;
        let alarm = (memory.held_bytes() + step.max(1)).max(memory.share_bytes() / 4);
        memory.set(if pays { Signal::Paced } else { Signal::Open }, alarm);
        if !pays {
            self.end_delays(&mut pacer);
        }
    }

    /// Ends a time of delays, if there was one, and tells.
    pub(super) fn end_delays(&self, pacer: &mut Pacer) {
        let ended = std::mem::take(pacer).period;
        if let Some((cause, micros)) = ended {
            self.event(EventKind::StallEnd, |event| {
                event.micros = micros;
                event.detail = cause.name().to_owned();
            });
        }
    }

    /// Before a write of `bytes` to these collections, while the signal is not open: looks at the memory, waits as long as it is
    /// full, and pays what there is to pay. Requires: the caller holds no lock.
    #[cold]
    pub(super) fn pass_signal(
        &self,
        collections: impl Iterator<Item = CollectionId> + Clone,
        bytes: u64,
        options: &WriteOptions,
    ) -> Result<()> {
        if self.pool.memory().is_alarmed() {
            self.bound_memory()?;
            self.set_signal();
            self.balance_caches();
        }
        if self.memory_is_full() {
            if options.no_stall {
                return Err(stalled(StallCause::MemoryBudget));
            }
            self.stop(StallCause::MemoryBudget, None, || !self.memory_is_full())?;
        }
        let until = {
            let mut pacer = self.pacer.lock();
            if options.no_stall && pacer.until_nanos > self.env.runtime.monotonic_nanos() {
                let cause = pacer.pace.map_or(StallCause::FlushDebt, |pace| pace.cause);
                return Err(stalled(cause));
            }
            pacer.owed_bytes += bytes.max(1);
            if pacer.owed_bytes >= pacer.pace.map_or(FIRST_GRAIN_BYTES, |pace| pace.grain_bytes) {
                self.next_grain(&mut pacer, collections);
            }
            pacer.until_nanos
        };
        // Who must not wait has what it owes paid by the time that passes until its next write.
        if until != 0 && !options.no_stall { self.pay(until) } else { Ok(()) }
    }

    /// Begins a grain if these collections owe anything.
    fn next_grain(&self, pacer: &mut Pacer, collections: impl Iterator<Item = CollectionId>) {
        let view = self.current_view();
        let in_memory = self.memory_debt(unflushed_bytes(&view));
        let owed = collections.filter_map(|id| view.find(id).ok()).map(|part| self.debt(part, in_memory, false));
        let debt = owed.fold(Debt::default(), |most, debt| Debt {
            memtables: most.memtables.max(debt.memtables),
            memory: most.memory.max(debt.memory),
            merges: most.merges.max(debt.merges),
        });
        pacer.owed_bytes = 0;
        pacer.pace = flush::pace(&debt);
        let Some(pace) = pacer.pace else { return };
        let now = self.env.runtime.monotonic_nanos();
        pacer.until_nanos = pacer.until_nanos.max(now) + pace.grain_micros * 1000;
        self.counters.add(
            match pace.cause {
                StallCause::MergeDebt => Counter::DelaysMergeDebt,
                _ => Counter::DelaysFlushDebt,
            },
            1,
        );
        if pacer.period.is_none() {
            pacer.period = Some((pace.cause, 0));
            self.event(EventKind::StallBegin, |event| event.detail = pace.cause.name().to_owned());
        }
    }

    /// Waits until then, or until there is nothing to pay any more. Errors: the database was closed, or turned read-only.
    fn pay(&self, until: u64) -> Result<()> {
        let began = self.env.runtime.monotonic_nanos();
        let mut now = began;
        while now < until && !self.pool.memory().is_open() {
            let seen = self.progress.count();
            self.check_writable()?;
            self.env.runtime.wait(&self.progress, seen, Some(Duration::from_nanos(until - now)));
            now = self.env.runtime.monotonic_nanos();
        }
        let micros = (now - began) / 1000;
        self.timings.record(Timed::Delay, now - began);
        self.counters.add(Counter::DelayMicros, micros);
        if let Some((_, delayed)) = &mut self.pacer.lock().period {
            *delayed += micros;
        }
        Ok(())
    }

    /// Whether a family has as many frozen memtables as it may.
    pub(super) fn frozen_is_full(&self, id: CollectionId) -> bool {
        let Some(collection) = self.collection(id) else { return false };
        let frozen = self.with_view(|view, _| view.find(id).map_or(0, |part| part.frozen.len()));
        frozen >= collection.options.max_frozen_memtables()
    }

    /// Waits until a flush made room for a memtable of `id`.
    pub(super) fn wait_for_room(&self, id: CollectionId, options: &WriteOptions) -> Result<()> {
        if options.no_stall {
            return Err(stalled(StallCause::FrozenMemtables));
        }
        self.stop(StallCause::FrozenMemtables, Some(id), || !self.frozen_is_full(id))
    }

    /// Stops a writer until `ended`. Ends with the error of a flush that fails, so that no writer waits for ever.
    fn stop(&self, cause: StallCause, id: Option<CollectionId>, ended: impl Fn() -> bool) -> Result<()> {
        let began = self.env.runtime.monotonic_nanos();
        self.counters.add(Counter::Stalls, 1);
        let of_cause = match cause {
            StallCause::MemoryBudget => Counter::StallsMemoryBudget,
            _ => Counter::StallsFrozenMemtables,
        };
        self.counters.add(of_cause, 1);
        let name = id.and_then(|id| self.collection(id)).map(|collection| collection.name.clone()).unwrap_or_default();
        self.event(EventKind::StallBegin, |event| {
            event.collection.clone_from(&name);
            event.detail = cause.name().to_owned();
        });
        let result = self.stop_until(cause, ended);
        let nanos = self.env.runtime.monotonic_nanos().saturating_sub(began);
        self.counters.add(Counter::StallMicros, nanos / 1000);
        self.timings.record(Timed::Stall, nanos);
        self.event(EventKind::StallEnd, |event| {
            event.collection = name;
            event.micros = nanos / 1000;
            event.detail = cause.name().to_owned();
        });
        result
    }

    fn stop_until(&self, cause: StallCause, ended: impl Fn() -> bool) -> Result<()> {
        loop {
            let seen = self.progress.count();
            self.check_writable()?;
            // What was flushed while a reader was at it goes only when somebody asks.
            self.domain.collect();
            if ended() {
                return Ok(());
            }
            if let Some(error) = self.health.flush_error() {
                return Err(error.context(&format!("{}, and flushes fail", cause.describe())));
            }
            // A stop always has a flush that will end it.
            self.bound_memory()?;
            self.env.runtime.wait(&self.progress, seen, Some(Duration::from_secs(1)));
        }
    }
}

fn stalled(cause: StallCause) -> Error {
    Error::new(ErrorKind::Stalled, cause.describe())
}
