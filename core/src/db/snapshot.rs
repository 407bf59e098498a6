//! Snapshots: sequences that flushes and merges must keep visible.

use super::core::Core;
use super::{Db, Handle};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Sequence;
use crate::lock::Mutex;
use crate::view::View;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The sequences in use, each with its number of users.
#[derive(Default)]
pub(super) struct SnapshotList {
    users: Mutex<BTreeMap<Sequence, Users>>,
}

#[derive(Default)]
struct Users {
    count: u64,
    /// What the snapshot shows, where its sequence alone does not say that.
    view: Option<Arc<View>>,
}

impl SnapshotList {
    /// Registers the visible sequence. It is read under the list's lock: a job that reads the list after it took its memtables
    /// either finds the snapshot or took nothing newer than it.
    fn take(&self, core: &Core) -> (Sequence, Option<Arc<View>>) {
        let mut users = self.users.lock();
        let (sequence, view) = if core.read_only {
            let view = core.current_view();
            (view.sequence().unwrap_or(0), Some(view))
        } else {
            let sequence = core.commit.visible();
            // What comes in beside the log has had its sequence for a while when it comes to be seen. Asked after the sequence was read: who
            // has one that is newer finds this set, or the file in the view.
            let is_ingesting = core.ingests.load(Ordering::SeqCst) > 0;
            (sequence, is_ingesting.then(|| core.current_view()))
        };
        let entry = users.entry(sequence).or_default();
        entry.count += 1;
        if view.is_some() {
            entry.view.clone_from(&view);
        }
        (sequence, view)
    }

    /// Registers one more user of a sequence that has some; `None`: it has none. What nobody pins may be merged away already.
    fn take_at(&self, sequence: Sequence) -> Option<Option<Arc<View>>> {
        let mut users = self.users.lock();
        let entry = users.get_mut(&sequence)?;
        entry.count += 1;
        Some(entry.view.clone())
    }

    fn release(&self, sequence: Sequence) {
        let mut users = self.users.lock();
        let Some(entry) = users.get_mut(&sequence) else { return };
        entry.count -= 1;
        if entry.count == 0 {
            let last = users.remove(&sequence);
            // Outside the lock: a view may be the last one to hold much.
            drop(users);
            drop(last);
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
        self.users.lock().values().map(|entry| entry.count).sum()
    }
}

/// The state of the whole database at one moment. Cloning shares it; it is released with the last clone. Any thread may use it.
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<Registered>,
}

struct Registered {
    sequence: Sequence,
    /// What it shows, in a database that follows a writer: what is read of the files later may have been merged; and while a file comes in
    /// beside the log, which is seen later than its sequence says.
    view: Option<Arc<View>>,
    handle: Arc<Handle>,
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

    /// The view to read instead of the present one, if it has one of its own.
    #[inline]
    pub(super) fn view(&self) -> Option<&Arc<View>> {
        self.inner.view.as_ref()
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
        let (sequence, view) = core.snapshots.take(core);
        Ok(Snapshot { inner: Arc::new(Registered { sequence, view, handle: self.handle.clone() }) })
    }

    /// A snapshot of the moment of an older one that is still open, known by its sequence alone: a twin, which stays when the
    /// other goes. Gap if no open snapshot has exactly this sequence: its state may be gone. InvalidArgument if it is not visible yet.
    pub fn snapshot_at(&self, sequence: Sequence) -> Result<Snapshot> {
        let core = &self.handle.core;
        core.check()?;
        if let Some(view) = core.snapshots.take_at(sequence) {
            return Ok(Snapshot { inner: Arc::new(Registered { sequence, view, handle: self.handle.clone() }) });
        }
        let visible = core.visible();
        if sequence > visible {
            return Err(Error::invalid(format!("sequence {sequence} is still to come: the last one is {visible}")));
        }
        let message = format!("nothing pins sequence {sequence}: no open snapshot is exactly of that moment");
        Err(Error::new(ErrorKind::Gap, message))
    }
}
