//! Put, delete, batches, and conditional writes: checks and checksums outside the commit lock, the rest in it.

use super::core::Core;
use super::options::Durability;
use super::{ColumnFamily, Db};
use crate::batch::{Operation, WriteBatch, check_sizes};
use crate::commit::{CommitState, Many, One, Payload};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, Kind, MAX_SEQUENCE, Sequence};
use crate::observe::{Counter, FlushReason, Timed};
use crate::read::{self, Answer};
use crate::sst::Io;
use crate::view::CollectionView;
use std::sync::Arc;

/// How a write is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions {
    /// What to wait for; `None`: the option `durability`.
    pub durability: Option<Durability>,
    /// Fail with Stalled rather than wait for flushes or merges: neither for room in memory, nor the short delays before it is full.
    pub no_stall: bool,
}

/// What must hold for a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The key has no value.
    Absent,
    /// The key has a value, and it was written at this sequence.
    Sequence(Sequence),
}

/// What a payload needs of one collection's memtable.
#[derive(Clone, Copy)]
struct Share {
    collection: CollectionId,
    operations: usize,
    bytes: usize,
    /// Whether it is about entries of a family.
    has_entries: bool,
}

/// A condition, with what was known of its key before the lock.
struct Guarded<'a> {
    key: &'a [u8],
    condition: Condition,
    view: Arc<CollectionView>,
    /// The newest version below the active memtable: the sequence of a value, or `None`.
    below: Option<Sequence>,
}

fn shares(batch: &WriteBatch) -> Result<Vec<Share>> {
    let mut shares: Vec<Share> = Vec::new();
    let mut last = 0;
    for operation in batch.iter() {
        let Operation { kind, collection, key, value } =
            operation.map_err(|why| Error::invalid(format!("write batch: {why}")))?;
        let bytes = key.len() + value.len();
        if shares.get(last).is_none_or(|share| share.collection != collection) {
            last = shares.iter().position(|share| share.collection == collection).unwrap_or(shares.len());
            if last == shares.len() {
                shares.push(Share { collection, operations: 0, bytes: 0, has_entries: false });
            }
        }
        if !kind.is_rows() {
            shares[last].operations += 1;
            shares[last].bytes += bytes;
            shares[last].has_entries = true;
        }
    }
    Ok(shares)
}

/// Bytes of the rows that a payload brings.
fn payload_rows_bytes(payload: &impl Payload) -> usize {
    #[cfg(feature = "arrow")]
    return payload.rows().iter().map(|(_, rows)| rows.memory_bytes()).sum();
    #[cfg(not(feature = "arrow"))]
    {
        let _ = payload;
        0
    }
}

impl Core {
    fn commit_payload(
        &self,
        shares: &[Share],
        payload: &impl Payload,
        options: &WriteOptions,
        guarded: Option<&Guarded<'_>>,
    ) -> Result<Option<Sequence>> {
        self.check_writable()?;
        if !self.pool.memory().is_open() {
            let bytes = shares.iter().map(|share| share.bytes).sum::<usize>() + payload_rows_bytes(payload);
            self.pass_signal(shares.iter().map(|share| share.collection), bytes as u64, options)?;
        }
        let durability = options.durability.unwrap_or_else(|| self.options.durability());
        let (last, logged, feed) = loop {
            let mut state = self.commit.lock()?;
            if self.is_closed() {
                return Err(super::core::closed());
            }
            if let Some(full) = self.make_room(&mut state, shares)? {
                drop(state);
                self.wait_for_room(full, options)?;
                continue;
            }
            if let Some(guarded) = guarded
                && !self.holds(&mut state, shares, guarded)?
            {
                return Ok(None);
            }
            let logged = check_logged(&mut state, shares, options.durability)?;
            let mut feed = false;
            for share in shares {
                if let Some(active) = state.find(share.collection) {
                    if share.has_entries && active.memtable.bytes().is_none() {
                        return Err(Error::invalid("keys and values cannot be written to a table"));
                    }
                    active.writer.reserve(share.operations, share.bytes)?;
                    #[cfg(feature = "arrow")]
                    super::table::reserve_rows(active, payload.rows())?;
                    feed |= active.memtable.has_iterators();
                }
            }
            match self.commit.apply(&mut state, payload, logged) {
                Ok(last) => {
                    self.timings.written(last);
                    break (last, logged, feed);
                }
                Err(error) => {
                    drop(state);
                    return self.told_by_log(Err(error)).map(|()| None);
                }
            }
        };
        if feed {
            self.feed_orders(shares);
        }
        if durability == Durability::Sync && logged {
            self.sync_log(last)?;
        }
        Ok(Some(last))
    }

    /// Keeps the memtables' order fed while iterators are in use.
    fn feed_orders(&self, shares: &[Share]) {
        self.with_view(|view, _| {
            for share in shares {
                if let Ok(part) = view.find(share.collection) {
                    part.active.feed_lag();
                }
            }
        });
    }

    /// Waits until the log is durable up to `sequence`. A failure is final: what reached the disk is unknown.
    pub(super) fn sync_log(&self, sequence: Sequence) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let began = self.env.runtime.monotonic_nanos();
        self.told_by_log(log.sync(sequence))?;
        self.counters.add(Counter::SyncWrites, 1);
        self.timings.record(Timed::Sync, self.env.runtime.monotonic_nanos().saturating_sub(began));
        Ok(())
    }

    /// Has the log carry its durable position, where no record does. Called by the log's own task once the log is idle.
    pub(super) fn mark_log(&self) {
        // Refused after a panic in the lock: then nothing is written any more.
        let Ok(mut state) = self.commit.lock() else { return };
        let marked = state.log.as_mut().map_or(Ok(()), |log| log.mark());
        drop(state);
        let _ = self.told_by_log(marked);
    }

    /// What the log says of itself holds for the database: if it does not know what is on disk, nothing is written any more. Requires: the
    /// caller holds no lock.
    fn told_by_log(&self, outcome: Result<()>) -> Result<()> {
        outcome.inspect_err(|error| {
            if error.kind() == ErrorKind::Poisoned {
                self.poison(error);
            }
        })
    }

    /// Freezes memtables that are full. Gives the family that has to wait because too many are frozen already.
    #[inline]
    fn make_room(&self, state: &mut CommitState, shares: &[Share]) -> Result<Option<CollectionId>> {
        for share in shares {
            let Some(active) = state.find(share.collection) else {
                let message = format!("collection {} does not exist or was dropped", share.collection);
                return Err(Error::new(ErrorKind::Dropped, message));
            };
            if active.is_full() {
                if self.frozen_is_full(share.collection) {
                    return Ok(Some(share.collection));
                }
                self.freeze(state, share.collection, FlushReason::WriteBufferFull)?;
            }
        }
        Ok(None)
    }

    /// Whether a condition holds, decided under the commit lock: the active memtable is asked now, what lies below it was
    /// asked before and cannot have changed while the family's view is the same. False: ask again.
    fn holds(&self, state: &mut CommitState, shares: &[Share], guarded: &Guarded<'_>) -> Result<bool> {
        let id = guarded.view.collection;
        debug_assert!(shares.iter().any(|share| share.collection == id) || state.find(id).is_some());
        let same = self.with_view(|view, _| view.find(id).is_ok_and(|part| Arc::ptr_eq(part, &guarded.view)));
        if !same {
            return Ok(false);
        }
        let current = match guarded.view.active.bytes().and_then(|active| active.get(guarded.key, MAX_SEQUENCE)) {
            Some(found) => (found.kind == Kind::Put).then_some(found.sequence),
            None => guarded.below,
        };
        let holds = match guarded.condition {
            Condition::Absent => current.is_none(),
            Condition::Sequence(expected) => current == Some(expected),
        };
        if holds {
            return Ok(true);
        }
        let found = current.map_or("no value".to_owned(), |sequence| format!("a value of sequence {sequence}"));
        let wanted = match guarded.condition {
            Condition::Absent => "no value".to_owned(),
            Condition::Sequence(expected) => format!("a value of sequence {expected}"),
        };
        Err(Error::new(ErrorKind::Conflict, format!("the key has {found}, expected was {wanted}")))
    }
}

/// Whether the payload goes to the log: all of its families do, or none.
fn check_logged(state: &mut CommitState, shares: &[Share], asked: Option<Durability>) -> Result<bool> {
    let mut logged = None;
    for share in shares {
        let this = state.find(share.collection).is_some_and(|active| active.logged);
        if *logged.get_or_insert(this) != this {
            return Err(Error::invalid("a batch cannot mix column families with and without a log"));
        }
    }
    let logged = logged.unwrap_or(true);
    if !logged && asked == Some(Durability::Sync) {
        return Err(Error::invalid("a column family without a log cannot be synced by a write: flush it"));
    }
    Ok(logged)
}

impl Db {
    /// Sets `key` to `value`; gives the sequence of the write. Visible to every reader when it returns, and as durable as the
    /// options say. Errors of kind NoSpace and Io leave the write undone; Poisoned means that its outcome is unknown.
    pub fn put(&self, family: &ColumnFamily, key: &[u8], value: &[u8], options: &WriteOptions) -> Result<Sequence> {
        self.write_one(family, Kind::Put, key, value, options)
    }

    /// Removes `key`, whether it exists or not; gives the sequence of the write.
    pub fn delete(&self, family: &ColumnFamily, key: &[u8], options: &WriteOptions) -> Result<Sequence> {
        self.write_one(family, Kind::Delete, key, &[], options)
    }

    #[inline]
    fn write_one(
        &self,
        family: &ColumnFamily,
        kind: Kind,
        key: &[u8],
        value: &[u8],
        options: &WriteOptions,
    ) -> Result<Sequence> {
        self.check_family(family)?;
        check_sizes(key, value)?;
        let collection = family.id();
        let payload = One::new(Operation { kind, collection, key, value });
        let share = Share { collection, operations: 1, bytes: key.len() + value.len(), has_entries: true };
        let core = &self.handle.core;
        let began = core.timings.begin_write();
        let written = core.commit_payload(&[share], &payload, options, None);
        core.timings.end(Timed::Write, began);
        written?.ok_or_else(|| unreachable!("a write without a condition is never asked again"))
    }

    /// Applies a batch: all of it becomes visible at once, and all or nothing of it survives a crash. Gives the sequence of
    /// its last operation; of an empty batch, the newest visible one.
    pub fn write(&self, batch: &WriteBatch, options: &WriteOptions) -> Result<Sequence> {
        let core = &self.handle.core;
        if batch.is_empty() {
            core.check_writable()?;
            return Ok(core.commit.visible());
        }
        let shares = shares(batch)?;
        let began = core.timings.begin_write();
        let written = core.commit_payload(&shares, &Many::new(batch), options, None);
        core.timings.end(Timed::Write, began);
        written?.ok_or_else(|| unreachable!("a write without a condition is never asked again"))
    }

    /// Applies a batch if `key` of `family` is as `condition` says, decided and done in one step; else an error of kind Conflict.
    pub fn write_if(
        &self,
        family: &ColumnFamily,
        key: &[u8],
        condition: Condition,
        batch: &WriteBatch,
        options: &WriteOptions,
    ) -> Result<Sequence> {
        self.check_family(family)?;
        if batch.is_empty() {
            return Err(Error::invalid("a conditional write needs at least one operation"));
        }
        let core = &self.handle.core;
        core.check_writable()?;
        let shares = shares(batch)?;
        let payload = Many::new(batch);
        let began = core.timings.begin_write();
        let written = loop {
            let (view, _) = core.pin(family.id())?;
            let below = match read::get(&view, key, MAX_SEQUENCE, Io::Allowed, &core.counters)? {
                Answer::Present { sequence, .. } => Some(sequence),
                _ => None,
            };
            let guarded = Guarded { key, condition, view, below };
            if let Some(written) = core.commit_payload(&shares, &payload, options, Some(&guarded)).transpose() {
                break written;
            }
        };
        core.timings.end(Timed::Write, began);
        written
    }

    /// Puts without ever waiting: `None` means that it would have to, and nothing was done. BUFFERED only.
    pub fn try_put(&self, family: &ColumnFamily, key: &[u8], value: &[u8]) -> Result<Option<Sequence>> {
        let options = WriteOptions { durability: Some(Durability::Buffered), no_stall: true };
        match self.put(family, key, value, &options) {
            Ok(sequence) => Ok(Some(sequence)),
            Err(error) if error.kind() == ErrorKind::Stalled => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes every write so far durable.
    pub fn sync_wal(&self) -> Result<()> {
        let core = &self.handle.core;
        core.check_writable()?;
        core.sync_log(core.commit.visible())
    }
}
