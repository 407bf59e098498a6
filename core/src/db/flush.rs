//! Flushing by hand: freeze what is in memory, and hand out a token to wait with.

use super::core::{Core, closed};
use super::jobs::Flushed;
use super::{ColumnFamily, Db, Handle};
use crate::commit::CommitState;
use crate::env::{Bell, Env};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, FileNumber, MemtableId, Sequence};
use crate::lock::Mutex;
use crate::observe::FlushReason;
use std::sync::Arc;
use std::time::Duration;

/// What a flush did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushResult {
    /// The files written, in the order of their installation. None if there was nothing to flush.
    pub files: Vec<FileNumber>,
    /// Entries in them.
    pub entries: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Why the memtables were frozen: a manual flush also waits for those that were full before.
    pub reason: FlushReason,
    /// Every write up to this sequence to the families flushed is durable.
    pub durable_sequence: Sequence,
}

/// A flush that goes on in the background. Cloning gives another handle to the same one; dropping it does not stop the flush.
#[derive(Clone)]
pub struct FlushToken {
    handle: Arc<Handle>,
    state: Arc<TokenState>,
}

/// What a token waits for.
pub(super) struct TokenState {
    inner: Mutex<Waiting>,
    bell: Bell,
}

struct Waiting {
    /// For each family the newest memtable that has to be flushed: a watermark, so that any number of requests can wait.
    pending: Vec<(CollectionId, MemtableId)>,
    result: FlushResult,
    error: Option<Error>,
}

impl TokenState {
    /// A job is done. True when nothing is left to wait for.
    pub fn flushed(&self, done: &Flushed) -> bool {
        let mut inner = self.inner.lock();
        let concerned = |&(collection, watermark): &(CollectionId, MemtableId)| {
            collection == done.collection && watermark <= done.through
        };
        if inner.pending.iter().any(|&(collection, _)| collection == done.collection) {
            inner.result.add(done);
        }
        inner.pending.retain(|pending| !concerned(pending));
        self.ring_if_done(&inner)
    }

    /// A job failed, of one family or of all.
    pub fn failed(&self, collection: Option<CollectionId>, error: &Error) -> bool {
        let mut inner = self.inner.lock();
        if collection.is_none_or(|id| inner.pending.iter().any(|&(pending, _)| pending == id)) {
            inner.error = Some(error.clone());
            inner.pending.clear();
        }
        self.ring_if_done(&inner)
    }

    /// A family is gone.
    pub fn dropped(&self, collection: CollectionId) -> bool {
        let mut inner = self.inner.lock();
        inner.pending.retain(|&(pending, _)| pending != collection);
        self.ring_if_done(&inner)
    }

    fn ring_if_done(&self, inner: &Waiting) -> bool {
        if inner.pending.is_empty() {
            self.bell.ring();
        }
        inner.pending.is_empty()
    }

    /// See [`FlushToken::wait`].
    pub fn wait(&self, env: &Env, timeout: Option<Duration>) -> Result<FlushResult> {
        let runtime = &env.runtime;
        let deadline = timeout.map(|timeout| runtime.monotonic_nanos().saturating_add(timeout.as_nanos() as u64));
        loop {
            let seen = self.bell.count();
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            let left = deadline.map(|deadline| deadline.saturating_sub(runtime.monotonic_nanos()));
            if left == Some(0) {
                return Err(Error::new(ErrorKind::TimedOut, "the flush was not over in time; it goes on"));
            }
            runtime.wait(&self.bell, seen, left.map(Duration::from_nanos));
        }
    }

    fn outcome(&self) -> Option<Result<FlushResult>> {
        let inner = self.inner.lock();
        match (&inner.error, inner.pending.is_empty()) {
            (Some(error), _) => Some(Err(error.clone())),
            (None, true) => Some(Ok(inner.result.clone())),
            (None, false) => None,
        }
    }
}

impl FlushToken {
    /// The result, if the flush is over. Never waits.
    pub fn poll(&self) -> Option<Result<FlushResult>> {
        self.state.outcome()
    }

    /// Waits for the result; an error of kind TimedOut if `timeout` passes first (the flush goes on). Ends also when a flush
    /// fails, the family is dropped, or the database is closed.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<FlushResult> {
        self.state.wait(&self.handle.core.env, timeout)
    }
}

impl Core {
    /// Freezes the active memtables of these families, and gives what to wait for until everything is flushed that they hold
    /// now: each by itself, or all of it together. Requires: the caller holds the commit lock, and names none twice.
    pub(super) fn begin_flush(
        &self,
        state: &mut CommitState,
        families: &[CollectionId],
        reason: FlushReason,
        is_atomic: bool,
    ) -> Result<Arc<TokenState>> {
        let mut members = Vec::with_capacity(families.len());
        for &id in families {
            // All that can fail, before anything changes.
            let fresh = match (state.find(id), self.collection(id)) {
                (Some(active), _) if active.memtable.is_empty() => None,
                (Some(_), Some(collection)) => Some(self.new_memtable(&collection.memtable_kind())?),
                _ => return Err(Error::new(ErrorKind::Dropped, "the column family was dropped")),
            };
            members.push((id, fresh));
        }
        // What is frozen at the same boundary may as well be flushed together.
        let together = if is_atomic { state.last_sequence } else { 0 };
        self.freeze_for(state, members, reason, together);
        self.switch_log_if_idle(state)?;
        let view = self.current_view();
        let mut pending = Vec::new();
        for &id in families {
            if let Some(newest) = view.find(id)?.frozen.first() {
                pending.push((id, newest.memtable.id()));
            }
        }
        let result =
            FlushResult { files: Vec::new(), entries: 0, bytes: 0, reason, durable_sequence: state.last_sequence };
        let token =
            Arc::new(TokenState { inner: Mutex::new(Waiting { pending, result, error: None }), bell: Bell::new() });
        if token.outcome().is_none() {
            // Registered before the look at the health: a failure in between finds the token.
            self.jobs.lock().add_token(token.clone());
            if let Err(error) = self.health.check_writable() {
                self.jobs.lock().fail_all(&error);
            }
        }
        Ok(token)
    }
}

impl Db {
    /// Freezes what these families (all, tables too, if none is named) hold in memory and flushes it in the background. Never waits
    /// for the flush: wait with the token. With nothing to flush the token is done at once.
    pub fn flush(&self, families: &[&ColumnFamily]) -> Result<FlushToken> {
        let mut ids = Vec::with_capacity(families.len());
        for family in families {
            self.check_family(family)?;
            ids.push(family.id());
        }
        self.begin(ids, false)
    }

    /// The same for these tables (all collections, if none is named).
    #[cfg(feature = "arrow")]
    pub fn flush_tables(&self, tables: &[&super::Table]) -> Result<FlushToken> {
        let mut ids = Vec::with_capacity(tables.len());
        for table in tables {
            self.check_table(table)?;
            ids.push(table.id());
        }
        self.begin(ids, false)
    }

    /// Flushes these collections, column families and tables by their ids (all, if none is named), atomically: what they hold in memory is
    /// frozen at one boundary between two writes, and their files come to count all at once. After a crash at any time either each of
    /// them holds everything up to that boundary, or the files are none of them there. For families with a log that makes no difference; those
    /// without one are then found at a common point, provided that none of them is flushed alone in between, by its full write buffer or
    /// by [`flush`](Self::flush). A flush that was under way already is not held back. If one of the files cannot be written none
    /// counts, the token tells why, and all are tried again together. A family that is dropped meanwhile leaves the others to
    /// go on. The rest is as with `flush`. Errors: Dropped, also for an id that never was one.
    pub fn flush_atomic(&self, collections: &[CollectionId]) -> Result<FlushToken> {
        self.begin(collections.to_vec(), true)
    }

    fn begin(&self, mut ids: Vec<CollectionId>, is_atomic: bool) -> Result<FlushToken> {
        let core = &self.handle.core;
        core.check_writable()?;
        let mut state = core.commit.lock()?;
        // Closing tells those who wait after it had this lock: who comes later would wait for ever.
        if core.is_closed() {
            return Err(closed());
        }
        if ids.is_empty() {
            ids = state.active.iter().map(|active| active.collection).collect();
        }
        ids.sort_unstable();
        ids.dedup();
        let token = core.begin_flush(&mut state, &ids, FlushReason::Manual, is_atomic)?;
        Ok(FlushToken { handle: self.handle.clone(), state: token })
    }
}
