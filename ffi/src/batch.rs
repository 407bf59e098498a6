//! Write batches: operations that are applied together or not at all.

#[cfg(feature = "arrow")]
use crate::arrow::objects::TableObject;
use crate::arrow_abi::{self, ArrowArray, ArrowSchema};
use crate::boundary::{self, Outcome};
use crate::bytes::{self, Out};
use crate::column_family::{Family, sstore_column_family};
use crate::handle::{Handles, Object, Use};
use crate::status::{sstore_code, sstore_error};
use crate::table::sstore_table;
use engine::{CollectionId, Error, Result, WriteBatch};
use std::ffi::c_void;

/// Operations to be applied together. Thread safety: one thread at a time; a second one at once gets SSTORE_BUSY.
/// Free with sstore_batch_free. It may be written any number of times, and filled further.
pub struct sstore_batch {
    _opaque: [u8; 0],
}

/// A batch, and the database whose families it names: ids alone would fit those of any other.
#[derive(Default)]
pub(crate) struct BatchObject {
    pub(crate) batch: WriteBatch,
    pub(crate) token: Option<u64>,
}

impl BatchObject {
    /// The id of a family; the batch belongs to its database from now on.
    fn collection(&mut self, handles: &'static Handles, family: *const sstore_column_family) -> Result<CollectionId> {
        if family.is_null() {
            return Ok(CollectionId(0));
        }
        let family = handles.pin::<Family>(family)?;
        self.belong(family.token)?;
        Ok(family.family.id())
    }

    /// From now on the batch belongs to the database with this token.
    pub(crate) fn belong(&mut self, token: u64) -> Result<()> {
        if self.token.is_some_and(|known| known != token) {
            return Err(Error::invalid("the batch has operations on column families or tables of another database"));
        }
        self.token = Some(token);
        Ok(())
    }
}

impl Object for BatchObject {
    type Opaque = sstore_batch;
    const TYPE: u8 = 6;
    const NAME: &'static str = "write batch";
    const USE: Use = Use::Alone;
}

pub(crate) fn change(
    handles: &'static Handles,
    batch: *mut sstore_batch,
    change: impl FnOnce(&mut BatchObject) -> Result<()>,
) -> Outcome {
    let mut filled = handles.hold::<BatchObject>(batch)?;
    let token = filled.token;
    // An error changes nothing: nor does the batch belong to the database of what was refused.
    Ok(change(&mut filled).inspect_err(|_| filled.token = token)?)
}

/// Makes an empty batch. `*batch` is the caller's; free it with sstore_batch_free.
/// Does not block; any thread. Errors: NO_MEMORY, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_batch_create(
    batch: *mut *mut sstore_batch,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(batch, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("batch")?;
        out.set(handles.insert(BatchObject::default())?);
        Ok(())
    })
}

/// Adds: set `key` to `value` in `family`. Key and value are copied. An error changes nothing. Does not block; one thread at a
/// time. Errors: INVALID_ARGUMENT (also: key or value too long, batch full, family of another database), BUSY, CLOSED, NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_batch_put(
    batch: *mut sstore_batch,
    family: *const sstore_column_family,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        let (key, value) = (bytes::key(key, key_len, "key")?, bytes::input(value, value_len, "value")?);
        change(handles, batch, |filled| {
            let collection = filled.collection(handles, family)?;
            filled.batch.put(collection, key, value)
        })
    })
}

/// Adds: remove `key` from `family`. Otherwise like sstore_batch_put.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_batch_delete(
    batch: *mut sstore_batch,
    family: *const sstore_column_family,
    key: *const c_void,
    key_len: usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        let key = bytes::key(key, key_len, "key")?;
        change(handles, batch, |filled| {
            let collection = filled.collection(handles, family)?;
            filled.batch.delete(collection, key)
        })
    })
}

/// Adds: put `rows` into `table`, as sstore_table_append does; they count as one operation. Rows and schema (NULL: the table's) are
/// moved. A batch whose table is altered before it is written is refused then with CONFLICT. Otherwise like sstore_batch_put.
/// Errors also: NOT_SUPPORTED (a library without tables, or a type that has no place in the log).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_batch_put_rows(
    batch: *mut sstore_batch,
    table: *const sstore_table,
    rows: *mut ArrowArray,
    schema: *mut ArrowSchema,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (rows, schema) = (arrow_abi::take(rows), arrow_abi::take(schema));
    with_tables!(error, |handles| {
        let table = handles.pin::<TableObject>(table)?;
        let rows = table.rows(rows, schema)?;
        change(handles, batch, |filled| {
            filled.belong(table.token)?;
            table.table.put_rows(&mut filled.batch, &rows)
        })
    })
}

/// Adds: remove the rows with these keys from `table`, as sstore_table_delete does. Otherwise like sstore_batch_put_rows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_batch_delete_rows(
    batch: *mut sstore_batch,
    table: *const sstore_table,
    keys: *mut ArrowArray,
    schema: *mut ArrowSchema,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (keys, schema) = (arrow_abi::take(keys), arrow_abi::take(schema));
    with_tables!(error, |handles| {
        let table = handles.pin::<TableObject>(table)?;
        let keys = table.keys(keys, schema)?;
        change(handles, batch, |filled| {
            filled.belong(table.token)?;
            table.table.delete_rows(&mut filled.batch, &keys)
        })
    })
}

/// Adds all operations of `other`, in order, after those of `batch`; `other` is unchanged. The two must not be the same.
/// Does not block; one thread at a time. Errors: INVALID_ARGUMENT, BUSY, CLOSED, NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_batch_append(
    batch: *mut sstore_batch,
    other: *const sstore_batch,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        if std::ptr::eq(batch.cast_const(), other) {
            return Err(Error::invalid("a batch cannot be appended to itself").into());
        }
        let other = handles.hold::<BatchObject>(other)?;
        change(handles, batch, |filled| {
            if filled.token.is_some() && other.token.is_some() && filled.token != other.token {
                return Err(Error::invalid("the batches have operations on collections of two databases"));
            }
            filled.batch.append(&other.batch)?;
            filled.token = filled.token.or(other.token);
            Ok(())
        })
    })
}

/// Forgets all operations and keeps the memory for the next ones. Does not block; one thread at a time.
/// Errors: BUSY, CLOSED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_batch_clear(batch: *mut sstore_batch, error: *mut *mut sstore_error) -> sstore_code {
    boundary::call(error, |handles| {
        change(handles, batch, |filled| {
            filled.batch.clear();
            filled.token = None;
            Ok(())
        })
    })
}

/// How many operations the batch holds; 0 for NULL, for what is no batch, and while another thread uses it.
/// Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_batch_count(batch: *const sstore_batch) -> usize {
    boundary::value(0, |handles| Ok(handles.hold::<BatchObject>(batch)?.batch.len()))
}

/// The encoded size of the batch in bytes; 0 as for sstore_batch_count. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_batch_size(batch: *const sstore_batch) -> usize {
    boundary::value(0, |handles| Ok(handles.hold::<BatchObject>(batch)?.batch.size_bytes()))
}

/// Frees a batch. NULL and what was freed already do nothing. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_batch_free(batch: *mut sstore_batch) {
    boundary::value((), |handles| handles.remove::<BatchObject>(batch));
}
