//! Writes: put, delete, batches, arrays of operations, conditional writes.

use crate::batch::{BatchObject, sstore_batch};
use crate::boundary;
use crate::bytes::{self, Out, Sized32, sstore_slice};
use crate::column_family::sstore_column_family;
use crate::open::{Database, sstore_db};
use crate::status::{sstore_code, sstore_error};
use engine::{Condition, Durability, Error, Result, WriteBatch, WriteOptions};
use std::ffi::c_void;

/// How one write is done. Start from SSTORE_WRITE_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_write_options {
    /// sizeof(sstore_write_options).
    pub struct_size: u32,
    /// What the call waits for: a number of sstore_durability; 0 as the option durability says.
    pub durability: u32,
    /// Not 0: give SSTORE_STALLED instead of waiting for flushes or merges: neither for room in memory, nor the short
    /// delays before it is full.
    pub no_stall: u32,
    /// Must be 0.
    pub reserved: u32,
}

impl Default for sstore_write_options {
    fn default() -> Self {
        Self { struct_size: size_of::<Self>() as u32, durability: 0, no_stall: 0, reserved: 0 }
    }
}

// SAFETY: `repr(C)`, four u32: no padding, any bits are a value.
unsafe impl Sized32 for sstore_write_options {}

/// What a write waits for. The numbers are frozen.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum sstore_durability {
    /// As the option durability says.
    SSTORE_DURABILITY_DEFAULT = 0,
    /// The operating system has the write: it survives the death of the process.
    SSTORE_DURABILITY_BUFFERED = 1,
    /// The disk has the write: it survives a power cut.
    SSTORE_DURABILITY_SYNC = 2,
}

#[inline(always)]
pub(crate) fn write_options(options: *const sstore_write_options) -> Result<WriteOptions> {
    if options.is_null() { Ok(WriteOptions::default()) } else { given_options(options) }
}

fn given_options(options: *const sstore_write_options) -> Result<WriteOptions> {
    let options = bytes::structure(options, "options")?;
    if options.reserved != 0 {
        return Err(Error::invalid("`options.reserved` is not 0"));
    }
    let durability = match options.durability {
        0 => None,
        1 => Some(Durability::Buffered),
        2 => Some(Durability::Sync),
        other => return Err(Error::invalid(format!("`options.durability` cannot be {other}: 0, 1 or 2 expected"))),
    };
    Ok(WriteOptions { durability, no_stall: options.no_stall != 0 })
}

/// Sets `key` to `value` in `family` (NULL: the default one). Key and value are copied; an empty key is a key. NULL options:
/// every default. `*sequence` (may be NULL) becomes the place of the write in the history of the database; 0 on failure.
/// May block: for flushes if memtables are full, for the disk if it is to be durable. Any thread.
/// Errors: INVALID_ARGUMENT (also: too long), DROPPED, CLOSED, READ_ONLY, STALLED, IO, NO_SPACE, POISONED,
/// FENCED (another writer took the database over), NO_MEMORY, FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_put(
    db: *mut sstore_db,
    family: *const sstore_column_family,
    options: *const sstore_write_options,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    sequence: *mut u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(sequence, 0);
    boundary::call(error, |handles| {
        let database = handles.pin::<Database>(db)?;
        let family = database.family(handles, family)?;
        let options = write_options(options)?;
        let (key, value) = (bytes::key(key, key_len, "key")?, bytes::input(value, value_len, "value")?);
        out.set(database.db.put(family.get(), key, value, &options)?);
        Ok(())
    })
}

/// Removes `key` from `family`; removing a key that is not there succeeds. Otherwise like sstore_put.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_delete(
    db: *mut sstore_db,
    family: *const sstore_column_family,
    options: *const sstore_write_options,
    key: *const c_void,
    key_len: usize,
    sequence: *mut u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(sequence, 0);
    boundary::call(error, |handles| {
        let database = handles.pin::<Database>(db)?;
        let family = database.family(handles, family)?;
        let options = write_options(options)?;
        let key = bytes::key(key, key_len, "key")?;
        out.set(database.db.delete(family.get(), key, &options)?);
        Ok(())
    })
}

/// Applies a batch: all of its operations or, on an error, none. `*sequence` (may be NULL) becomes the place of its last
/// operation. The batch is unchanged. Otherwise like sstore_put. Errors also: BUSY (another thread is using the batch).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_write(
    db: *mut sstore_db,
    options: *const sstore_write_options,
    batch: *const sstore_batch,
    sequence: *mut u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(sequence, 0);
    boundary::call(error, |handles| {
        let database = handles.pin::<Database>(db)?;
        let options = write_options(options)?;
        let filled = handles.hold::<BatchObject>(batch)?;
        database.owns(filled.token.unwrap_or(database.token), "batch")?;
        out.set(database.db.write(&filled.batch, &options)?);
        Ok(())
    })
}

/// What an operation does. The numbers are frozen.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum sstore_operation_kind {
    /// Sets the value.
    SSTORE_OPERATION_PUT = 1,
    /// Removes the key; the value must be empty.
    SSTORE_OPERATION_DELETE = 2,
}

/// One operation of an array. The array, keys and values are borrowed until the call returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_operation {
    /// A number of sstore_operation_kind.
    pub kind: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The column family; NULL: the default one.
    pub family: *const sstore_column_family,
    /// The key.
    pub key: sstore_slice,
    /// The value.
    pub value: sstore_slice,
}

/// Applies an array of operations as one write, without a batch object: all of them or, on an error, none.
/// Otherwise like sstore_write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_write_operations(
    db: *mut sstore_db,
    options: *const sstore_write_options,
    operations: *const sstore_operation,
    count: usize,
    sequence: *mut u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(sequence, 0);
    boundary::call(error, |handles| {
        let database = handles.pin::<Database>(db)?;
        let options = write_options(options)?;
        let mut batch = WriteBatch::new();
        for operation in bytes::array(operations, count, "operations")? {
            let family = database.family(handles, operation.family)?;
            let (key, value) = (operation.key.read_key("key")?, operation.value.read("value")?);
            match (operation.kind, operation.reserved) {
                (1, 0) => batch.put(family.get().id(), key, value)?,
                (2, 0) if value.is_empty() => batch.delete(family.get().id(), key)?,
                (2, 0) => return Err(Error::invalid("a delete cannot have a value").into()),
                (1 | 2, _) => return Err(Error::invalid("`reserved` of an operation is not 0").into()),
                (kind, _) => return Err(Error::invalid(format!("{kind} is no kind of operation")).into()),
            }
        }
        out.set(database.db.write(&batch, &options)?);
        Ok(())
    })
}

/// Applies a batch only if `key` of `family` stands as expected: last written at `expected_sequence` (as sstore_get_pinned and
/// the writes report it), or, for 0, absent. Nothing comes between check and write. Otherwise like sstore_write.
/// Errors also: CONFLICT (it does not stand so; nothing was written).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_write_if(
    db: *mut sstore_db,
    family: *const sstore_column_family,
    options: *const sstore_write_options,
    key: *const c_void,
    key_len: usize,
    expected_sequence: u64,
    batch: *const sstore_batch,
    sequence: *mut u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(sequence, 0);
    boundary::call(error, |handles| {
        let database = handles.pin::<Database>(db)?;
        let family = database.family(handles, family)?;
        let options = write_options(options)?;
        let key = bytes::key(key, key_len, "key")?;
        let filled = handles.hold::<BatchObject>(batch)?;
        database.owns(filled.token.unwrap_or(database.token), "batch")?;
        let condition = match expected_sequence {
            0 => Condition::Absent,
            sequence => Condition::Sequence(sequence),
        };
        out.set(database.db.write_if(family.get(), key, condition, &filled.batch, &options)?);
        Ok(())
    })
}
