//! Snapshots: the database as it was at one moment, in every column family.

use crate::boundary;
use crate::bytes::Out;
use crate::handle::{Handles, Held, Object};
use crate::open::{Database, sstore_db};
use crate::status::{sstore_code, sstore_error};
use engine::{Result, Snapshot};

/// A moment of a database that reads can go back to. Thread safety: free. Free with sstore_snapshot_free: an old snapshot keeps
/// old versions on disk.
pub struct sstore_snapshot {
    _opaque: [u8; 0],
}

pub(crate) struct SnapshotObject {
    pub(crate) snapshot: Snapshot,
    pub(crate) token: u64,
}

impl Object for SnapshotObject {
    type Opaque = sstore_snapshot;
    const TYPE: u8 = 7;
    const NAME: &'static str = "snapshot";
}

impl Database {
    /// The snapshot of a handle, checked to be of this database; `None` for NULL.
    #[inline(always)]
    pub(crate) fn snapshot(
        &self,
        handles: &'static Handles,
        snapshot: *const sstore_snapshot,
    ) -> Result<Option<Held<SnapshotObject>>> {
        if snapshot.is_null() {
            return Ok(None);
        }
        let snapshot = handles.pin::<SnapshotObject>(snapshot)?;
        self.owns(snapshot.token, SnapshotObject::NAME)?;
        Ok(Some(snapshot))
    }
}

/// Takes a snapshot: reads at it see what was written before this call and nothing later. `*snapshot` is the caller's; free it
/// with sstore_snapshot_free. Does not block; any thread. Errors: CLOSED, INVALID_ARGUMENT, NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_snapshot_create(
    db: *mut sstore_db,
    snapshot: *mut *mut sstore_snapshot,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(snapshot, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("snapshot")?;
        let database = handles.pin::<Database>(db)?;
        let snapshot = database.db.snapshot()?;
        out.set(handles.insert(SnapshotObject { snapshot, token: database.token })?);
        Ok(())
    })
}

/// Takes another snapshot of the moment of one that is still open, told by its sequence alone; it stays when the other is freed.
/// Otherwise like sstore_snapshot_create. Errors also: GAP (no open snapshot has exactly this sequence: what it saw may be gone);
/// INVALID_ARGUMENT also for a sequence that is still to come.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_snapshot_at(
    db: *mut sstore_db,
    sequence: u64,
    snapshot: *mut *mut sstore_snapshot,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(snapshot, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("snapshot")?;
        let database = handles.pin::<Database>(db)?;
        let snapshot = database.db.snapshot_at(sequence)?;
        out.set(handles.insert(SnapshotObject { snapshot, token: database.token })?);
        Ok(())
    })
}

/// The sequence of the last write that the snapshot sees; 0 for NULL and for what is no snapshot. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_snapshot_sequence(snapshot: *const sstore_snapshot) -> u64 {
    boundary::value(0, |handles| Ok(handles.pin::<SnapshotObject>(snapshot)?.snapshot.sequence()))
}

/// Frees a snapshot; iterators that were made at it go on. NULL and what was freed already do nothing. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_snapshot_free(snapshot: *mut sstore_snapshot) {
    boundary::value((), |handles| handles.remove::<SnapshotObject>(snapshot));
}
