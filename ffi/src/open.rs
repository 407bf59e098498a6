//! A database: open, close, release, destroy.

use crate::boundary;
use crate::bytes::{self, Out, Sized32};
use crate::handle::{Object, Use};
use crate::options::{self, sstore_options};
use crate::status::{sstore_code, sstore_error};
use engine::{CloseOptions, ColumnFamily, Db, Error};
use std::ffi::c_char;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// An open database. Thread safety: free; any number of threads may use one at once.
/// End it with sstore_close, or with sstore_release.
pub struct sstore_db {
    _opaque: [u8; 0],
}

pub(crate) struct Database {
    pub(crate) db: Db,
    pub(crate) default: ColumnFamily,
    /// Unlike that of every other open database of the process: children carry it, so that they are not mixed up.
    pub(crate) token: u64,
}

impl Object for Database {
    type Opaque = sstore_db;
    const TYPE: u8 = 4;
    const NAME: &'static str = "database";
    const USE: Use = Use::Everywhere;
}

impl Database {
    /// Refuses a child of another database.
    #[inline(always)]
    pub(crate) fn owns(&self, token: u64, what: &str) -> engine::Result<()> {
        if token == self.token { Ok(()) } else { Err(refuse_other(what)) }
    }
}

#[cold]
pub(crate) fn refuse_other(what: &str) -> Error {
    Error::invalid(format!("the {what} belongs to another database"))
}

/// Opens the database in directory `path` (NUL-terminated bytes, copied), creating it if `options` allow. NULL options: every
/// default. `*db` is the caller's; end it with sstore_close or sstore_release. Blocks: reads files, replays the log. Any thread.
/// Errors: LOCKED, NOT_FOUND (no database and create_if_missing is false), INVALID_ARGUMENT, CORRUPTION, NOT_SUPPORTED, IO, NO_SPACE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_open(
    path: *const c_char,
    options: *const sstore_options,
    db: *mut *mut sstore_db,
    error: *mut *mut sstore_error,
) -> sstore_code {
    static OPENED: AtomicU64 = AtomicU64::new(1);
    let out = Out::new(db, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("db")?;
        let path = bytes::path(path, "path")?;
        let options = options::copy(handles, options)?;
        let db = Db::open(path, &options)?;
        let default = db.default_family();
        let token = OPENED.fetch_add(1, Ordering::Relaxed);
        out.set(handles.insert(Database { db, default, token })?);
        Ok(())
    })
}

/// How sstore_close closes. Start from SSTORE_CLOSE_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_close_options {
    /// sizeof(sstore_close_options).
    pub struct_size: u32,
    /// Whether to flush first: 0 as the option flush_on_close says, 1 yes, 2 no.
    pub flush: u32,
    /// Not 0: close even if iterators or snapshots are open. They give SSTORE_CLOSED afterwards.
    pub force: u32,
    /// Must be 0.
    pub reserved: u32,
    /// How long to wait for flushes and merges, in milliseconds; 0: as long as they take.
    pub timeout_millis: u64,
}

impl Default for sstore_close_options {
    fn default() -> Self {
        Self { struct_size: size_of::<Self>() as u32, flush: 0, force: 0, reserved: 0, timeout_millis: 0 }
    }
}

// SAFETY: `repr(C)`, four u32 and a u64: no padding, any bits are a value.
unsafe impl Sized32 for sstore_close_options {}

/// Closes a database. NULL options: every default. On SSTORE_OK the handle is gone, and its column families, iterators,
/// snapshots and tokens, which are still to be freed, give SSTORE_CLOSED. On SSTORE_BUSY (something is still open; the message says how
/// many of what), SSTORE_TIMED_OUT and SSTORE_INVALID_ARGUMENT nothing was closed and the database goes on. On any other error, of the
/// last flush or of the disk, it is closed all the same, and what was logged is safe; the handle stays, to be given up with
/// sstore_release. Blocks: flushes, waits for background work and for a callback that runs, syncs. Any thread.
/// Errors: BUSY, CLOSED, TIMED_OUT, IO, NO_SPACE, INVALID_ARGUMENT (also in an event callback of the same database).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_close(
    db: *mut sstore_db,
    options: *const sstore_close_options,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        let database = handles.pin::<Database>(db)?;
        let options = bytes::structure(options, "options")?;
        if options.reserved != 0 {
            return Err(Error::invalid("`options.reserved` is not 0").into());
        }
        let flush = match options.flush {
            0 => None,
            1 => Some(true),
            2 => Some(false),
            other => {
                return Err(Error::invalid(format!("`options.flush` cannot be {other}: 0, 1 or 2 expected")).into());
            }
        };
        let timeout = (options.timeout_millis != 0).then(|| Duration::from_millis(options.timeout_millis));
        database.db.close(&CloseOptions { flush, timeout, force: options.force != 0 })?;
        drop(database);
        Ok(handles.remove::<Database>(db)?)
    })
}

/// Gives a handle up without waiting for its children: the database is closed when the last of its column families, tables, iterators,
/// snapshots, pinned values, scans, row builders and tokens is freed, and errors of that late close are lost. For garbage-collected languages.
/// NULL, and what was closed or released already, do nothing. May block like sstore_close if nothing else is open. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_release(db: *mut sstore_db) {
    boundary::value((), |handles| handles.remove::<Database>(db));
}

/// Deletes the database in directory `path`: its files only, and the directory if nothing else is in it.
/// SSTORE_OK also if there is none. Blocks. Any thread. Errors: LOCKED (it is open somewhere), IO, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_destroy(path: *const c_char, error: *mut *mut sstore_error) -> sstore_code {
    boundary::call(error, |_| Ok(Db::destroy(bytes::path(path, "path")?)?))
}

/// What belongs to a database and is still open.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_open_objects {
    /// Set by the caller to sizeof(sstore_open_objects).
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Iterators.
    pub iterators: u64,
    /// Snapshots.
    pub snapshots: u64,
}

impl Default for sstore_open_objects {
    fn default() -> Self {
        Self { struct_size: size_of::<Self>() as u32, reserved: 0, iterators: 0, snapshots: 0 }
    }
}

// SAFETY: `repr(C)`, two u32 and two u64: no padding, any bits are a value.
unsafe impl Sized32 for sstore_open_objects {}

/// Counts what is still open and would make sstore_close say SSTORE_BUSY. `*objects` must have its struct_size set.
/// Does not block; any thread. Errors: CLOSED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_open_objects_count(
    db: *const sstore_db,
    objects: *mut sstore_open_objects,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        bytes::fill(objects, sstore_open_objects::default(), "objects")?;
        let database = handles.pin::<Database>(db)?;
        let open = database.db.open_objects();
        let filled = sstore_open_objects { iterators: open.iterators, snapshots: open.snapshots, ..Default::default() };
        Ok(bytes::fill(objects, filled, "objects")?)
    })
}
