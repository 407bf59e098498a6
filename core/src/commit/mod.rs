//! Commit: a batch becomes durable in the log's hands, then visible, in one short critical section.
//!
//! Called by `db::write`, which does everything that can fail for another reason (sizes, families, room) around it, and by
//! recovery. Promises:
//! 1. Nothing of a batch is visible before all of it is in the memtables; `visible` is stored last, with Release.
//! 2. An error of the log publishes nothing: no sequence is taken, no memtable touched.
//! 3. A panic between the first change and the last leaves the state marked, and every later commit is refused as Poisoned.

mod payload;

pub use payload::{Many, One, Payload};

use crate::atomic::{AtomicU64, Ordering};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, MAX_SEQUENCE, Sequence};
use crate::lock::{OrderedGuard, OrderedMutex};
use crate::memtable::{AnyMemtable, AnyMemtableWriter};
use crate::wal::LogWriter;

/// The place of the commit lock in the order of the engine's locks: see `db`.
pub const LOCK_PLACE: u8 = 2;

/// The active memtable of one collection, as writers see it.
pub struct ActiveMemtable {
    /// Whose it is.
    pub collection: CollectionId,
    /// The memtable itself.
    pub memtable: AnyMemtable,
    /// The only way to insert into it.
    pub writer: AnyMemtableWriter,
    /// Whether its operations are logged.
    pub logged: bool,
    /// Bytes held from which on it is full.
    pub full_bytes: usize,
    /// Entries from which on it is full; 0: no limit.
    pub full_rows: u64,
    /// The last sequence of the newest batch that has an operation in it. The batch's other operations may lie in other
    /// memtables, with greater sequences than any in this one.
    pub batch_end: Sequence,
}

impl ActiveMemtable {
    /// Whether it must be frozen before the next write.
    #[inline]
    pub fn is_full(&self) -> bool {
        let memtable = &self.memtable;
        (memtable.memory_bytes() >= self.full_bytes && !memtable.is_empty())
            || (self.full_rows != 0 && memtable.entry_count() >= self.full_rows)
    }
}

/// How much was written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written {
    /// Batches.
    pub batches: u64,
    /// Operations in them.
    pub operations: u64,
    /// Bytes of keys and values in them.
    pub bytes: u64,
}

/// What the commit lock protects.
pub struct CommitState {
    /// The last sequence that was taken.
    pub last_sequence: Sequence,
    /// The log's tail; `None` when the database is read-only or closed.
    pub log: Option<LogWriter>,
    /// The active memtables, ordered by collection.
    pub active: Vec<ActiveMemtable>,
    /// What was written since opening. Counted here, where no atomics are needed.
    pub written: Written,
    /// Set while a commit is between its first and its last change; found set by the next one, it means a panic.
    torn: bool,
}

impl CommitState {
    /// The active memtable of a collection.
    #[inline]
    pub fn find(&mut self, collection: CollectionId) -> Option<&mut ActiveMemtable> {
        let index = self.active.binary_search_by_key(&collection, |active| active.collection).ok()?;
        Some(&mut self.active[index])
    }

    /// Adds the active memtable of a new collection.
    pub fn add(&mut self, active: ActiveMemtable) {
        let index = self.active.partition_point(|other| other.collection < active.collection);
        self.active.insert(index, active);
    }

    /// Takes a collection out.
    pub fn remove(&mut self, collection: CollectionId) {
        self.active.retain(|active| active.collection != collection);
    }
}

/// The commit lock and the visible sequence. Readers load the latter and never take the former.
pub struct Commit {
    state: OrderedMutex<CommitState>,
    visible: AtomicU64,
}

impl Commit {
    /// Starts after `last_sequence`.
    pub fn new(last_sequence: Sequence, log: Option<LogWriter>) -> Self {
        let state = CommitState { last_sequence, log, active: Vec::new(), written: Written::default(), torn: false };
        Self { state: OrderedMutex::new(LOCK_PLACE, state), visible: AtomicU64::new(last_sequence) }
    }

    /// The newest sequence that readers see.
    #[inline]
    pub fn visible(&self) -> Sequence {
        self.visible.load(Ordering::Acquire)
    }

    /// Takes the lock. Refused as Poisoned after a panic inside it.
    #[inline]
    pub fn lock(&self) -> Result<OrderedGuard<'_, CommitState>> {
        let state = self.state.lock();
        if state.torn {
            return Err(Error::new(
                ErrorKind::Poisoned,
                "a panic interrupted a commit: close the database and open it again",
            ));
        }
        Ok(state)
    }

    /// What was written since opening.
    pub fn written(&self) -> Written {
        self.state.lock().written
    }

    /// Takes the lock whatever happened inside it before: for closing.
    pub fn lock_for_close(&self) -> OrderedGuard<'_, CommitState> {
        self.state.lock()
    }

    /// Takes a sequence that no record of the log has, for what comes in beside it. Readers see nothing at it yet.
    pub fn take_sequence(&self, state: &mut CommitState) -> Result<Sequence> {
        let sequence = state.last_sequence + 1;
        if sequence > MAX_SEQUENCE {
            return Err(used_up());
        }
        state.last_sequence = sequence;
        self.visible.store(sequence, Ordering::Release);
        Ok(sequence)
    }

    /// Logs (if `logged`), inserts and publishes a batch; gives its last sequence.
    /// Requires: every collection of the payload is active, and its memtable has reserved room for its share.
    #[inline]
    pub fn apply(&self, state: &mut CommitState, payload: &impl Payload, logged: bool) -> Result<Sequence> {
        let count = payload.count();
        let first = state.last_sequence + 1;
        let last = state.last_sequence + u64::from(count);
        if last > MAX_SEQUENCE {
            return Err(used_up());
        }
        state.torn = true;
        if logged {
            let log = state.log.as_mut();
            let appended = match log {
                Some(log) => payload.append_to(log, first),
                None => Err(Error::new(ErrorKind::Closed, "the log is closed")),
            };
            if let Err(error) = appended {
                state.torn = false;
                return Err(error);
            }
        }
        let (mut sequence, mut bytes) = (first, 0);
        #[cfg(feature = "arrow")]
        let mut rows = payload.rows().iter();
        payload.for_each(|operation, ahead| {
            if let Some(ahead) = ahead
                && let Some(active) = state.find(ahead.collection)
            {
                active.writer.prefetch(ahead.key);
            }
            if let Some(active) = state.find(operation.collection) {
                #[cfg(feature = "arrow")]
                if operation.kind.is_rows() {
                    if let Some((_, rows)) = rows.next() {
                        active.writer.insert_rows(sequence, rows);
                    }
                } else {
                    active.writer.insert(sequence, operation.kind, operation.key, operation.value);
                }
                #[cfg(not(feature = "arrow"))]
                active.writer.insert(sequence, operation.kind, operation.key, operation.value);
                active.batch_end = last;
            }
            bytes += operation.key.len() + operation.value.len();
            sequence += 1;
        });
        debug_assert_eq!(sequence, last + 1, "a payload has as many operations as it counts");
        state.written.batches += 1;
        state.written.operations += u64::from(count);
        state.written.bytes += bytes as u64;
        state.last_sequence = last;
        self.visible.store(last, Ordering::Release);
        state.torn = false;
        Ok(last)
    }
}

fn used_up() -> Error {
    Error::new(ErrorKind::NotSupported, "the database has used up its sequence numbers")
}
