//! Snapshots: sequences that flushes and merges must keep visible.

use super::{Db, Handle};
use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::key::Sequence;
use crate::lock::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sequences in use, each with its number of users.
#[derive(Default)]
pub(super) struct SnapshotList {
    users: Mutex<BTreeMap<Sequence, u64>>,
}

impl SnapshotList {
    /// Registers the visible sequence. It is read under the list's lock: a job that reads the list after it took its memtables
    /// either finds the snapshot or took nothing newer than it.
    fn take(&self, commit: &Commit) -> Sequence {
        let mut users = self.users.lock();
        let sequence = commit.visible();
        *users.entry(sequence).or_default() += 1;
        sequence
    }

    /// Registers one more user of a sequence that has some; false: it has none. What nobody pins may be merged away already.
    fn take_at(&self, sequence: Sequence) -> bool {
        match self.users.lock().get_mut(&sequence) {
            Some(count) => {
                *count += 1;
                true
            }
            None => false,
        }
    }

    fn release(&self, sequence: Sequence) {
        let mut users = self.users.lock();
        if let Some(count) = users.get_mut(&sequence) {
            *count -= 1;
            if *count == 0 {
                users.remove(&sequence);
            }
        }
    }

    /// The sequences in use, ascending.
    pub fn sequences(&self) -> Vec<Sequence> {
        self.users.lock().keys().copied().collect()
    }

    /// Holds off new snapshots as long as the guard lives, if none is open that is newer than `sequence`.
    pub fn hold_at(&self, sequence: Sequence) -> Option<impl Drop + '_> {
        let users = self.users.lock();
        let newest = users.keys().next_back().copied().unwrap_or(0);
        (newest <= sequence).then_some(users)
    }

    /// How many snapshots are open.
    pub fn count(&self) -> u64 {
        self.users.lock().values().sum()
    }
}

/// The state of the whole database at one moment. Cloning shares it; it is released with the last clone. Any thread may use it.
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<Registered>,
}

struct Registered {
    handle: Arc<Handle>,
    sequence: Sequence,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.handle.core.snapshots.release(self.sequence);
    }
}

impl Snapshot {
    /// Everything up to this sequence is visible in it.
    pub fn sequence(&self) -> Sequence {
        self.inner.sequence
    }

    pub(super) fn belongs_to(&self, handle: &Arc<Handle>) -> bool {
        Arc::ptr_eq(&self.inner.handle, handle)
    }
}

impl Db {
    /// Takes a snapshot of the present.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let core = &self.handle.core;
        core.check()?;
        let sequence = core.snapshots.take(&core.commit);
        Ok(Snapshot { inner: Arc::new(Registered { handle: self.handle.clone(), sequence }) })
    }

    /// A snapshot of the moment of an older one that is still open, known by its sequence alone: a twin, which stays when the
    /// other goes. Gap if no open snapshot has exactly this sequence: its state may be gone. InvalidArgument if it is not visible yet.
    pub fn snapshot_at(&self, sequence: Sequence) -> Result<Snapshot> {
        let core = &self.handle.core;
        core.check()?;
        if core.snapshots.take_at(sequence) {
            return Ok(Snapshot { inner: Arc::new(Registered { handle: self.handle.clone(), sequence }) });
        }
        let visible = core.commit.visible();
        if sequence > visible {
            return Err(Error::invalid(format!("sequence {sequence} is still to come: the last one is {visible}")));
        }
        let message = format!("nothing pins sequence {sequence}: no open snapshot is exactly of that moment");
        Err(Error::new(ErrorKind::Gap, message))
    }
}
