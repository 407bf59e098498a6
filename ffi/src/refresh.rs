//! Bringing a database that is open for reading up to date. Called by C programs; one call of the engine.

use crate::boundary;
use crate::bytes::Out;
use crate::open::{Database, sstore_db};
use crate::status::{sstore_code, sstore_error};

/// Brings a database that was opened with `read_only=true` up to what its writer has done by now, be it in this process or another.
/// `*sequence` (may be NULL) becomes the newest sequence that reads see from now on, the same as before if nothing was written; 0 on
/// failure. Reads that begin afterwards see a state that the writer's had at one moment: whatever was acknowledged before the call is in it, and
/// none goes back before what was seen. Iterators, scans, snapshots and pinned values go on as they are, though the writer deletes files.
/// Handles of families and tables show the new state; those of dropped ones answer DROPPED. After an error all is as it was.
///
/// Writes nothing, and never waits for the writer; reads files, so it may block. Any thread; a second refresh waits for the first.
/// Errors: INVALID_ARGUMENT (also: the database is open for writing and shows everything anyway; another database is in its place), BUSY (the writer moved
/// files faster than they could be opened: try again), GAP (the database was put back to an older state: open it anew), CORRUPTION, IO,
/// NOT_FOUND, NOT_SUPPORTED, NO_MEMORY, CLOSED, FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_refresh(
    db: *mut sstore_db,
    sequence: *mut u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(sequence, 0);
    boundary::call(error, |handles| {
        out.set(handles.pin::<Database>(db)?.db.refresh()?.sequence);
        Ok(())
    })
}
