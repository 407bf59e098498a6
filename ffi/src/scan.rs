//! Scans of tables: described step by step, explained, and executed into streams of the caller's.

use crate::arrow_abi::{self, ArrowArray, ArrowArrayStream, ArrowSchema, Movable};
use crate::bytes::{self, Out};
use crate::filter::sstore_filter;
use crate::open::sstore_db;
use crate::snapshot::{SnapshotObject, sstore_snapshot};
use crate::status::{sstore_code, sstore_error};
use crate::table::sstore_table;
use engine::Error;
use std::ffi::c_char;
#[cfg(feature = "arrow")]
use {
    crate::arrow::objects::{FilterObject, ScanObject, table_of},
    crate::arrow::{export, import},
    crate::boundary::{self, Outcome},
    crate::handle::{Handles, Object},
};

/// What a scan of a table is to give; it can be executed any number of times. Thread safety: one thread at a time; a second one at
/// once gets SSTORE_BUSY. Free with sstore_scan_free; streams that it was executed into go on. It keeps its database open, and a
/// snapshot that was set in it.
pub struct sstore_scan {
    _opaque: [u8; 0],
}

/// What a bound of a scan is. The numbers are frozen.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum sstore_bound {
    /// The first key, or the beginning of it.
    SSTORE_BOUND_START = 1,
    /// Where to end: keys from this one on are left out.
    SSTORE_BOUND_STOP = 2,
    /// Only keys that begin with these values.
    SSTORE_BOUND_PREFIX = 3,
}

#[cfg(feature = "arrow")]
fn with(
    scan: *const sstore_scan,
    error: *mut *mut sstore_error,
    body: impl FnOnce(&'static Handles, &mut ScanObject) -> Outcome,
) -> sstore_code {
    boundary::call(error, |handles| body(handles, &mut *handles.hold::<ScanObject>(scan)?))
}

#[cfg(feature = "arrow")]
macro_rules! with_scan {
    ($error:expr, $scan:expr, $body:expr) => {
        with($scan, $error, $body)
    };
}

#[cfg(not(feature = "arrow"))]
macro_rules! with_scan {
    ($error:expr, $scan:expr, $body:expr) => {
        with_tables!($error, $body)
    };
}

/// Makes a scan of all columns and rows of a table, to be narrowed down. `*scan` is the caller's; free it with sstore_scan_free.
/// Does not block; any thread. Errors: INVALID_ARGUMENT, CLOSED, NO_MEMORY, NOT_SUPPORTED (a library without tables).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_scan_create(
    db: *mut sstore_db,
    table: *const sstore_table,
    scan: *mut *mut sstore_scan,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(scan, std::ptr::null_mut());
    with_tables!(error, |handles| {
        out.required("scan")?;
        let (database, table) = table_of(handles, db, table)?;
        out.set(handles.insert(ScanObject::new(&database, table.clone()))?);
        Ok(())
    })
}

/// Only these columns, in this order; NULL and 0: all. Names are copied, and looked up when the scan is executed. An error
/// changes nothing. Does not block; one thread at a time. Errors: INVALID_ARGUMENT, BUSY, CLOSED, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_scan_set_columns(
    scan: *mut sstore_scan,
    columns: *const *const c_char,
    count: usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_scan!(error, scan, |_, scan| {
        let columns = import::names(columns, count, "columns")?;
        scan.options.columns = (!columns.is_empty()).then_some(columns);
        Ok(())
    })
}

/// Only a range of keys: `kind` is a number of sstore_bound, and the bound one row of the key's leading columns, in key order and of
/// their types. Both are moved; a NULL schema stands for as many of the key's columns as `bound` has. The three kinds combine; one
/// that is set again replaces the first. Otherwise like sstore_scan_set_columns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_scan_set_bound(
    scan: *mut sstore_scan,
    kind: u32,
    bound: *mut ArrowArray,
    schema: *mut ArrowSchema,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (bound, schema) = (arrow_abi::take(bound), arrow_abi::take(schema));
    with_scan!(error, scan, |_, scan| {
        let bound = scan.table.bound(bound, schema)?;
        let place = match kind {
            1 => &mut scan.options.start,
            2 => &mut scan.options.stop,
            3 => &mut scan.options.prefix,
            other => return Err(Error::invalid(format!("{other} is no kind of bound")).into()),
        };
        *place = Some(bound);
        Ok(())
    })
}

/// Only rows for which this filter is true; NULL: all. The filter stays the caller's. Otherwise like sstore_scan_set_columns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_scan_set_filter(
    scan: *mut sstore_scan,
    filter: *const sstore_filter,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_scan!(error, scan, |handles, scan| {
        scan.options.filter = match filter.is_null() {
            true => None,
            false => Some(handles.pin::<FilterObject>(filter)?.0.clone()),
        };
        Ok(())
    })
}

/// At most so many rows; UINT64_MAX: all. Otherwise like sstore_scan_set_columns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_scan_set_limit(
    scan: *mut sstore_scan,
    limit: u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_scan!(error, scan, |_, scan| {
        scan.options.limit = (limit != u64::MAX).then_some(limit);
        Ok(())
    })
}

/// Not 0: from the end, by descending key, or in a table without a key what arrived last first; with a limit the last rows, without
/// reading those before them. Bounds mean the same. 0 is the default. A table with `order_by` has no order to be reversed: then executing,
/// explaining and cutting into splits give INVALID_ARGUMENT. Otherwise like sstore_scan_set_columns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_scan_set_reverse(
    scan: *mut sstore_scan,
    reverse: u32,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_scan!(error, scan, |_, scan| {
        scan.options.reverse = reverse != 0;
        Ok(())
    })
}

/// At most so many rows in one array of the stream; 0: 8192. Otherwise like sstore_scan_set_columns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_scan_set_batch_rows(
    scan: *mut sstore_scan,
    rows: usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_scan!(error, scan, |_, scan| {
        scan.options.batch_rows = rows;
        Ok(())
    })
}

/// Not 0: keep what is read in the cache, for small scans that come again; 0, which is the default: leave the cache to others.
/// Otherwise like sstore_scan_set_columns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_scan_set_cached(
    scan: *mut sstore_scan,
    cached: u32,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_scan!(error, scan, |_, scan| {
        scan.options.cached = cached != 0;
        Ok(())
    })
}

/// The table as it was at a snapshot of its database, of which no other is taken; NULL: as it is when the scan is executed. The scan
/// keeps the snapshot open.
/// Otherwise like sstore_scan_set_columns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_scan_set_snapshot(
    scan: *mut sstore_scan,
    snapshot: *const sstore_snapshot,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_scan!(error, scan, |handles, scan| {
        scan.snapshot = match snapshot.is_null() {
            true => None,
            false => {
                let snapshot = handles.pin::<SnapshotObject>(snapshot)?;
                if snapshot.token != scan.table.token {
                    return Err(crate::open::refuse_other(SnapshotObject::NAME).into());
                }
                Some(snapshot.snapshot.clone())
            }
        };
        Ok(())
    })
}

/// Executes the scan into a stream of the caller's: `*stream`, which is not looked at, becomes one that he releases. Its arrays are
/// struct arrays, in key order, or in order of arrival of a table without a key; or from the end (see sstore_scan_set_reverse). It
/// shows the table as it is at this call (or at the snapshot), whatever happens later, also a drop. It needs no handle any more, and does not keep sstore_close from closing: its
/// get_next gives ECANCELED from then on, with a text. After an error every further get_next gives the same one. One thread at a
/// time may use the stream, any may release it, and its arrays. May block: reads files. One thread at a time.
/// Errors: INVALID_ARGUMENT (a column or literal that does not fit is named), DROPPED, BUSY, CLOSED, CORRUPTION, IO, NO_MEMORY,
/// FORKED, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_scan_execute(
    scan: *const sstore_scan,
    stream: *mut ArrowArrayStream,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(stream, ArrowArrayStream::RELEASED);
    with_scan!(error, scan, |_, scan| {
        out.required("stream")?;
        let rows = scan.db.scan(&scan.table.table, &scan.options, &scan.read_options())?;
        out.set(export::stream(rows.schema(), rows));
        Ok(())
    })
}

/// Tells, for people to read, which files and parts of files the scan would read, and which it would leave out and why. `*text` is
/// the caller's; free it with sstore_free. May block: reads files. One thread at a time. Errors: those of sstore_scan_execute.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_scan_explain(
    scan: *const sstore_scan,
    text: *mut *mut c_char,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(text, std::ptr::null_mut());
    with_scan!(error, scan, |_, scan| {
        out.required("text")?;
        let told = scan.db.explain(&scan.table.table, &scan.options, &scan.read_options())?.to_string();
        out.set(bytes::owned(told.as_bytes())?.cast());
        Ok(())
    })
}

/// Frees a scan; streams that it was executed into go on. NULL and what was freed already do nothing. Does not block, unless it is
/// the last thing that a released database waited for (see sstore_release). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_scan_free(scan: *mut sstore_scan) {
    value_with_tables!((), |handles| handles.remove::<ScanObject>(scan));
}
