//! Flushing and its kin: tokens, syncing the log, merging, background errors and the way out of them.

#[cfg(feature = "arrow")]
use crate::arrow::objects::table_of;
use crate::boundary;
use crate::bytes::{self, Out, Sized32};
use crate::column_family::sstore_column_family;
use crate::handle::Object;
use crate::open::{Database, sstore_db};
use crate::status::{sstore_code, sstore_error};
use crate::table::sstore_table;
use engine::{FlushResult, FlushToken, Result};
use std::ffi::c_char;
use std::sync::OnceLock;
use std::time::Duration;

/// A flush that is under way or done. Thread safety: free. Free with sstore_flush_token_free; the flush goes on.
pub struct sstore_flush_token {
    _opaque: [u8; 0],
}

struct TokenObject {
    token: FlushToken,
    /// The files, once known: what C points to.
    files: OnceLock<Box<[u64]>>,
}

impl Object for TokenObject {
    type Opaque = sstore_flush_token;
    const TYPE: u8 = 11;
    const NAME: &'static str = "flush token";
}

/// Freezes the memtables of `count` families (0: of all, tables too) and has them written to files, oldest first. `*token` is the caller's,
/// to wait with; free it with sstore_flush_token_free; a NULL `token` wants none. The array is borrowed until the call returns, and
/// a NULL in it stands for the default family. May block for writes that are under way, not for the files. Any thread.
/// Errors: CLOSED, DROPPED, READ_ONLY, POISONED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_flush(
    db: *mut sstore_db,
    families: *const *const sstore_column_family,
    count: usize,
    token: *mut *mut sstore_flush_token,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(token, std::ptr::null_mut());
    boundary::call(error, |handles| {
        let database = handles.pin::<Database>(db)?;
        let families = bytes::array(families, count, "families")?;
        let chosen = families.iter().map(|family| database.family(handles, *family)).collect::<Result<Vec<_>>>()?;
        let families: Vec<_> = chosen.iter().map(|chosen| chosen.get()).collect();
        let flush = database.db.flush(&families)?;
        if !token.is_null() {
            out.set(handles.insert(TokenObject { token: flush, files: OnceLock::new() })?);
        }
        Ok(())
    })
}

/// Freezes the memtables of `count` tables (0: of all tables and families) and has them written to files. Otherwise like
/// sstore_flush, but that a NULL in the array is refused. Errors also: NOT_SUPPORTED (a library without tables).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_flush(
    db: *mut sstore_db,
    tables: *const *const sstore_table,
    count: usize,
    token: *mut *mut sstore_flush_token,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(token, std::ptr::null_mut());
    with_tables!(error, |handles| {
        let database = handles.pin::<Database>(db)?;
        let tables = bytes::array(tables, count, "tables")?;
        let tables = tables.iter().map(|table| database.table(handles, *table)).collect::<Result<Vec<_>>>()?;
        let tables: Vec<_> = tables.iter().map(|object| &object.table).collect();
        let flush = database.db.flush_tables(&tables)?;
        if !token.is_null() {
            out.set(handles.insert(TokenObject { token: flush, files: OnceLock::new() })?);
        }
        Ok(())
    })
}

/// Flushes `family_count` families and `table_count` tables (0 and 0: all of both) atomically: what they hold is frozen at one boundary
/// between two writes, and their files come to count all at once. After a crash either each of them holds everything up to that
/// boundary, or none of these files is there: what matters to families and tables without a log. If one file cannot be written none
/// counts, and all are tried again together; what is dropped meanwhile leaves the others to go on. Otherwise like sstore_flush; a NULL
/// among the tables is refused. Does not wait for the files. Any thread.
/// Errors: CLOSED, DROPPED, READ_ONLY, POISONED, INVALID_ARGUMENT, NOT_SUPPORTED (tables, of a library without them).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_flush_atomic(
    db: *mut sstore_db,
    families: *const *const sstore_column_family,
    family_count: usize,
    tables: *const *const sstore_table,
    table_count: usize,
    token: *mut *mut sstore_flush_token,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(token, std::ptr::null_mut());
    boundary::call(error, |handles| {
        let database = handles.pin::<Database>(db)?;
        let families = bytes::array(families, family_count, "families")?;
        let tables = bytes::array(tables, table_count, "tables")?;
        let mut collections = Vec::with_capacity(families.len() + tables.len());
        for family in families {
            collections.push(database.family(handles, *family)?.get().id());
        }
        #[cfg(feature = "arrow")]
        for table in tables {
            collections.push(database.table(handles, *table)?.table.id());
        }
        #[cfg(not(feature = "arrow"))]
        if !tables.is_empty() {
            return Err(boundary::without_tables().into());
        }
        let flush = database.db.flush_atomic(&collections)?;
        if !token.is_null() {
            out.set(handles.insert(TokenObject { token: flush, files: OnceLock::new() })?);
        }
        Ok(())
    })
}

/// Asks whether the flush has ended: `*done` becomes 1 or 0. If it failed, its error is given, and `*done` is 1.
/// Does not block; any thread. Errors: those of the flush (IO, NO_SPACE, CLOSED, ..), INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_flush_token_poll(
    token: *const sstore_flush_token,
    done: *mut i32,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(done, 0);
    boundary::call(error, |handles| {
        out.required("done")?;
        if let Some(result) = handles.pin::<TokenObject>(token)?.token.poll() {
            out.set(1);
            result?;
        }
        Ok(())
    })
}

/// Waits until the flush has ended, at most `timeout_millis` (0: as long as it takes; a close or a failure ends it too).
/// Blocks. Any thread, but not a callback. Errors: TIMED_OUT (the flush goes on), those of the flush, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_flush_token_wait(
    token: *const sstore_flush_token,
    timeout_millis: u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        let timeout = (timeout_millis != 0).then(|| Duration::from_millis(timeout_millis));
        handles.pin::<TokenObject>(token)?.token.wait(timeout)?;
        Ok(())
    })
}

/// What a flush did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_flush_result {
    /// Set by the caller to sizeof(sstore_flush_result).
    pub struct_size: u32,
    /// Why it was done: 1 write buffer full, 2 asked for, 3 close, 4 recovery, 5 log full, 6 memory budget.
    pub reason: u32,
    /// The numbers of the files written, `file_count` of them; they live until the token is freed. None if there was nothing to write.
    pub files: *const u64,
    /// How many files.
    pub file_count: usize,
    /// Entries in them.
    pub entries: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Every write up to this sequence is durable.
    pub durable_sequence: u64,
}

impl Default for sstore_flush_result {
    fn default() -> Self {
        let struct_size = size_of::<Self>() as u32;
        let files = std::ptr::null();
        Self { struct_size, reason: 0, files, file_count: 0, entries: 0, bytes: 0, durable_sequence: 0 }
    }
}

// SAFETY: `repr(C)`, two u32, then pointers and 64-bit numbers: no padding, any bits are a value.
unsafe impl Sized32 for sstore_flush_result {}

/// The result of a flush that has ended. `*result` must have its struct_size set. Does not block; any thread.
/// Errors: BUSY (it has not ended), those of the flush, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_flush_token_result(
    token: *const sstore_flush_token,
    result: *mut sstore_flush_result,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        bytes::fill(result, sstore_flush_result::default(), "result")?;
        let object = handles.pin::<TokenObject>(token)?;
        let running = || engine::Error::new(engine::ErrorKind::Busy, "the flush has not ended");
        let FlushResult { files, entries, bytes, reason, durable_sequence, .. } =
            object.token.poll().ok_or_else(running)??;
        let files = object.files.get_or_init(|| files.iter().map(|file| file.0).collect());
        let filled = sstore_flush_result {
            reason: reason as u32,
            files: files.as_ptr(),
            file_count: files.len(),
            entries,
            bytes,
            durable_sequence,
            ..Default::default()
        };
        Ok(bytes::fill(result, filled, "result")?)
    })
}

/// Frees a token. NULL and what was freed already do nothing. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_flush_token_free(token: *mut sstore_flush_token) {
    boundary::value((), |handles| handles.remove::<TokenObject>(token));
}

/// The name of a flush reason, such as "manual"; "unknown" for a number that is none. The text lives for ever.
/// Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_flush_reason_name(reason: u32) -> *const c_char {
    let name = match reason {
        1 => c"write_buffer_full",
        2 => c"manual",
        3 => c"close",
        4 => c"recovery",
        5 => c"log_full",
        6 => c"memory_budget",
        _ => c"unknown",
    };
    name.as_ptr()
}

/// Makes every write that was acknowledged before this call durable. Blocks: waits for the disk. Any thread.
/// Errors: IO, NO_SPACE, POISONED, CLOSED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_sync(db: *mut sstore_db, error: *mut *mut sstore_error) -> sstore_code {
    boundary::call(error, |handles| Ok(handles.pin::<Database>(db)?.db.sync_wal()?))
}

/// Merges all files of a family (NULL: the default one) into one and waits for it. Blocks. Any thread, but not a callback.
/// Errors: IO, NO_SPACE, CORRUPTION, DROPPED, CLOSED, READ_ONLY, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_compact(
    db: *mut sstore_db,
    family: *const sstore_column_family,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        let database = handles.pin::<Database>(db)?;
        let family = database.family(handles, family)?;
        Ok(database.db.compact(family.get())?)
    })
}

/// Merges all files of a table into one and waits for it. Blocks. Any thread, but not a callback.
/// Errors: IO, NO_SPACE, CORRUPTION, DROPPED, CLOSED, READ_ONLY, INVALID_ARGUMENT, NOT_SUPPORTED (a library without tables).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_compact(
    db: *mut sstore_db,
    table: *const sstore_table,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_tables!(error, |handles| {
        let (database, table) = table_of(handles, db, table)?;
        Ok(database.db.compact_table(&table.table)?)
    })
}

/// The failure that stopped background work or turned the database read-only, or else the damage of a file that did not open, as
/// code and error object; SSTORE_OK if there is none. Does not block; any thread. Errors: that failure; CLOSED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_background_error(db: *const sstore_db, error: *mut *mut sstore_error) -> sstore_code {
    boundary::call(error, |handles| match handles.pin::<Database>(db)?.db.background_error() {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    })
}

/// Takes background work up again after its cause was removed, such as a full disk. May block. Any thread.
/// Errors: the failure, if it persists or cannot be recovered from without reopening (POISONED); CLOSED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_resume(db: *mut sstore_db, error: *mut *mut sstore_error) -> sstore_code {
    boundary::call(error, |handles| Ok(handles.pin::<Database>(db)?.db.resume()?))
}
