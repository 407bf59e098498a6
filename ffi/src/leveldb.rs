//! Databases of LevelDB come in.
//!
//! This module may use `unsafe`: it calls a function pointer of the application.

use crate::boundary;
use crate::bytes::{self, Sized32};
use crate::column_family::sstore_column_family;
#[cfg(feature = "leveldb")]
use crate::open::Database;
use crate::open::sstore_db;
use crate::status::{sstore_code, sstore_error};
use std::ffi::{c_char, c_int, c_void};

/// Is told how far an import is: bytes of the source that were read, of so many in all, and entries written. Ten times a second at most,
/// and once at the end. 0 calls the import off; what it answers at the end does not count. Runs on the thread that called; may read and
/// write the database; must not close or merge it, throw or longjmp.
pub type sstore_import_callback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, bytes_read: u64, bytes_total: u64, entries: u64) -> c_int>;

/// How a database of LevelDB is imported. Start from SSTORE_LEVELDB_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_leveldb_options {
    /// sizeof(sstore_leveldb_options).
    pub struct_size: u32,
    /// Not 0: damaged blocks of tables, damaged records of logs, and missing files are skipped and counted, instead of refused. What was
    /// deleted or overwritten in what is skipped may come back. A damaged manifest is refused in any case.
    pub skip_damaged: u32,
}

impl Default for sstore_leveldb_options {
    fn default() -> Self {
        Self { struct_size: size_of::<Self>() as u32, skip_damaged: 0 }
    }
}

// SAFETY: `repr(C)`, two u32: no padding, any bits are a value.
unsafe impl Sized32 for sstore_leveldb_options {}

/// What an import did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_leveldb_result {
    /// Set by the caller to sizeof(sstore_leveldb_result).
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Entries that were written.
    pub entries: u64,
    /// Bytes of keys and values that were written.
    pub payload_bytes: u64,
    /// Bytes of the source that were read.
    pub bytes_read: u64,
    /// Damaged places that were skipped; 0 unless `skip_damaged` was set.
    pub skipped: u64,
    /// Their bytes in the files, as far as that can be told.
    pub skipped_bytes: u64,
    /// Bytes at the end of the last log that its writer, killed or cut off from power, did not finish. LevelDB drops them as well.
    pub torn_bytes: u64,
}

impl Default for sstore_leveldb_result {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            entries: 0,
            payload_bytes: 0,
            bytes_read: 0,
            skipped: 0,
            skipped_bytes: 0,
            torn_bytes: 0,
        }
    }
}

// SAFETY: `repr(C)`, two u32 and u64: no padding, any bits are a value.
unsafe impl Sized32 for sstore_leveldb_result {}

/// Writes everything that LevelDB would show of its database in the directory `path` to a family (NULL: the default one), as one file: all of
/// it comes to be seen at the end, in one step, and is durable when the call returns. After an error, a cancel or a crash nothing of it is there.
/// Keys that were there before get LevelDB's value; others stay, and so do keys that are written while the call runs. Merges of the family
/// wait for it. The source is only read, and every checksum in it verified; a process must not have it open. `options` may be NULL: every default; so may `progress`. `*result` must have its struct_size set; NULL wants none.
/// Blocks: flushes the family, reads the source to its end, writes. Any thread, but not a callback of the database's.
/// Errors: NOT_FOUND (with an error object: no database of LevelDB in `path`), LOCKED (a process has it open, or opened it meanwhile),
/// CORRUPTION (with file and offset), NOT_SUPPORTED (its keys have another order than that of their bytes; a library without the import),
/// INVALID_ARGUMENT (also for a key of more than 64 KiB), CANCELLED, CLOSED, DROPPED, READ_ONLY, POISONED, IO, NO_SPACE, NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_import_leveldb(
    db: *mut sstore_db,
    family: *const sstore_column_family,
    path: *const c_char,
    options: *const sstore_leveldb_options,
    progress: sstore_import_callback,
    user_data: *mut c_void,
    result: *mut sstore_leveldb_result,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        if !result.is_null() {
            bytes::fill(result, sstore_leveldb_result::default(), "result")?;
        }
        import(handles, db, family, path, options, progress, user_data, result)
    })
}

#[cfg(feature = "leveldb")]
fn import(
    handles: &'static crate::handle::Handles,
    db: *mut sstore_db,
    family: *const sstore_column_family,
    path: *const c_char,
    options: *const sstore_leveldb_options,
    progress: sstore_import_callback,
    user_data: *mut c_void,
    result: *mut sstore_leveldb_result,
) -> boundary::Outcome {
    let path = bytes::path(path, "path")?;
    let options = bytes::structure(options, "options")?;
    let database = handles.pin::<Database>(db)?;
    let family = database.family(handles, family)?;
    let options = engine::LevelDbImport { skip_damaged: options.skip_damaged != 0 };
    let done = database.db.import_leveldb(family.get(), path, &options, &mut |now| {
        let Some(progress) = progress else { return true };
        // SAFETY: by the contract of the callback it may be called with this data, on this thread, until the import returns.
        unsafe { progress(user_data, now.bytes_read, now.bytes_total, now.entries) != 0 }
    })?;
    if !result.is_null() {
        let filled = sstore_leveldb_result {
            entries: done.progress.entries,
            payload_bytes: done.payload_bytes,
            bytes_read: done.progress.bytes_read,
            skipped: done.skipped,
            skipped_bytes: done.skipped_bytes,
            torn_bytes: done.torn_bytes,
            ..Default::default()
        };
        bytes::fill(result, filled, "result")?;
    }
    Ok(())
}

#[cfg(not(feature = "leveldb"))]
fn import(
    _handles: &'static crate::handle::Handles,
    _db: *mut sstore_db,
    _family: *const sstore_column_family,
    _path: *const c_char,
    _options: *const sstore_leveldb_options,
    _progress: sstore_import_callback,
    _user_data: *mut c_void,
    _result: *mut sstore_leveldb_result,
) -> boundary::Outcome {
    let message = "this library was built without the import of LevelDB databases";
    Err(engine::Error::new(engine::ErrorKind::NotSupported, message).into())
}
