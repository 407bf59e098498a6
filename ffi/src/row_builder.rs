//! Row builders: rows set value by value, for callers who have no Arrow of their own.

use crate::arrow_abi::{ArrowArray, ArrowSchema, Movable};
use crate::batch::{change, sstore_batch};
use crate::bytes::{self, Out};
use crate::open::sstore_db;
use crate::status::{sstore_code, sstore_error};
use crate::table::sstore_table;
use crate::write::{sstore_write_options, write_options};
use engine::Error;
use std::ffi::c_void;
#[cfg(feature = "arrow")]
use {
    crate::arrow::export,
    crate::arrow::{objects::table_of, rows::BuilderObject},
    crate::boundary::{self, Outcome},
    engine::Result,
};

/// Rows that are being put together. Values are set in the columns of a row, in any order, then the row is appended; the rows
/// are written together, or given out as Arrow. Thread safety: one thread at a time; a second one at once gets SSTORE_BUSY.
/// Free with sstore_row_builder_free; rows that were not written are gone then.
pub struct sstore_row_builder {
    _opaque: [u8; 0],
}

/// What a row builder makes. The numbers are frozen.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum sstore_row_kind {
    /// Rows: all columns of the table, in its order.
    SSTORE_ROW_FULL = 1,
    /// Keys: the columns of the key, in key order. They are given out, to be looked up, deleted or scanned from.
    SSTORE_ROW_KEY = 2,
}

/// Runs a body with a builder that nobody else uses meanwhile.
#[cfg(feature = "arrow")]
#[inline(always)]
fn with(
    builder: *const sstore_row_builder,
    error: *mut *mut sstore_error,
    body: impl FnOnce(&mut BuilderObject) -> Outcome,
) -> sstore_code {
    boundary::call(error, |handles| body(&mut *handles.hold::<BuilderObject>(builder)?))
}

#[cfg(feature = "arrow")]
macro_rules! with_builder {
    ($error:expr, $builder:expr, $body:expr) => {
        with($builder, $error, $body)
    };
}

#[cfg(not(feature = "arrow"))]
macro_rules! with_builder {
    ($error:expr, $builder:expr, $body:expr) => {
        with_tables!($error, $body)
    };
}

/// Makes a builder for rows of a table, or, by `kind` (a number of sstore_row_kind), for keys of it. It knows the columns that the
/// table has at this call. `*builder` is the caller's; free it with sstore_row_builder_free. Does not block; any thread.
/// Errors: INVALID_ARGUMENT (also: keys of a table that has none), CLOSED, NO_MEMORY, NOT_SUPPORTED (a library without tables).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_create(
    db: *mut sstore_db,
    table: *const sstore_table,
    kind: u32,
    builder: *mut *mut sstore_row_builder,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(builder, std::ptr::null_mut());
    with_tables!(error, |handles| {
        out.required("builder")?;
        let (database, table) = table_of(handles, db, table)?;
        let of_keys = match kind {
            1 => false,
            2 => true,
            other => return Err(Error::invalid(format!("{other} is no kind of row")).into()),
        };
        let builder = BuilderObject::new(database.db.clone(), table.clone(), of_keys)?;
        out.set(handles.insert(builder)?);
        Ok(())
    })
}

/// Sets a value of the row that is being put together to null: what was set before in this row is taken back. A row in which all was
/// taken back is as if it had not been begun. `column` counts from 0. Does not block; one thread at a time.
/// Errors: INVALID_ARGUMENT (no such column), BUSY, CLOSED, NOT_SUPPORTED (a library without tables).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_set_null(
    builder: *mut sstore_row_builder,
    column: usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_builder!(error, builder, |rows| {
        rows.column(column)?.set_null();
        Ok(())
    })
}

/// Sets a value of type bool: 0 is false, anything else true. Otherwise like sstore_row_builder_set_i64.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_set_bool(
    builder: *mut sstore_row_builder,
    column: usize,
    value: i32,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_builder!(error, builder, |rows| Ok(rows.column(column)?.set_bool(value != 0)?))
}

/// Sets a whole number in a column of integers of any width; of dates, times, timestamps or durations, in the column's unit since
/// 1970 or midnight; or of decimals, without the point: 1234 in a decimal(10, 2) is 12.34. A value set again replaces the first.
/// An error changes nothing. Does not block; one thread at a time.
/// Errors: INVALID_ARGUMENT (no such column, of another type, or it cannot hold the value), BUSY, CLOSED, NO_MEMORY, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_set_i64(
    builder: *mut sstore_row_builder,
    column: usize,
    value: i64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_builder!(error, builder, |rows| Ok(rows.column(column)?.set_integer(value.into())?))
}

/// Like sstore_row_builder_set_i64, for numbers from 2^63 on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_set_u64(
    builder: *mut sstore_row_builder,
    column: usize,
    value: u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_builder!(error, builder, |rows| Ok(rows.column(column)?.set_integer(value.into())?))
}

/// Sets a float64, or a float32, which takes the nearest value that it has. Otherwise like sstore_row_builder_set_i64.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_set_f64(
    builder: *mut sstore_row_builder,
    column: usize,
    value: f64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_builder!(error, builder, |rows| Ok(rows.column(column)?.set_f64(value)?))
}

/// Sets a text, which must be UTF-8 and needs no NUL, or a binary, of just the width if that is fixed. It is copied. Otherwise like
/// sstore_row_builder_set_i64. INVALID_ARGUMENT also when the column has 2 GiB already: write the rows first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_set_bytes(
    builder: *mut sstore_row_builder,
    column: usize,
    value: *const c_void,
    value_len: usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_builder!(error, builder, |rows| {
        Ok(rows.column(column)?.set_bytes(bytes::input(value, value_len, "value")?)?)
    })
}

/// Ends the row: what was not set is null. On an error the row stays as it was begun. Does not block; one thread at a time.
/// Errors: INVALID_ARGUMENT (a column that may not be null was not set: it is named), BUSY, CLOSED, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_append(
    builder: *mut sstore_row_builder,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_builder!(error, builder, |rows| Ok(rows.append()?))
}

/// How many rows were appended and not yet written; 0 for NULL, for what is no builder, and while another thread uses it.
/// Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_count(builder: *const sstore_row_builder) -> usize {
    value_with_tables!(0, |handles| Ok(handles.hold::<BuilderObject>(builder)?.rows()))
}

/// Forgets all rows, also the one that was begun, and keeps the memory for the next ones. Does not block; one thread at a time.
/// Errors: BUSY, CLOSED, INVALID_ARGUMENT, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_clear(
    builder: *mut sstore_row_builder,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_builder!(error, builder, |rows| {
        rows.clear();
        Ok(())
    })
}

/// Puts the rows into the table, together, as sstore_table_append does, and empties the builder. On an error the rows stay.
/// A row that was begun must be appended first. May block, and has the errors of sstore_table_append, BUSY, and INVALID_ARGUMENT
/// for a builder of keys. One thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_write(
    builder: *mut sstore_row_builder,
    options: *const sstore_write_options,
    sequence: *mut u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(sequence, 0);
    with_builder!(error, builder, |rows| {
        let options = write_options(options)?;
        full_rows(rows)?;
        out.set(rows.db.append(&rows.table.table, &rows.batch()?, &options)?);
        rows.clear();
        Ok(())
    })
}

/// Adds the rows to a write batch, as sstore_batch_put_rows does, and empties the builder. On an error neither changes.
/// Does not block; one thread at a time, for both. Errors: those of sstore_batch_put_rows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_add_to_batch(
    builder: *mut sstore_row_builder,
    batch: *mut sstore_batch,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_tables!(error, |handles| {
        let mut rows = handles.hold::<BuilderObject>(builder)?;
        full_rows(&rows)?;
        let made = rows.batch()?;
        change(handles, batch, |filled| {
            filled.belong(rows.table.token)?;
            rows.table.table.put_rows(&mut filled.batch, &made)
        })?;
        rows.clear();
        Ok(())
    })
}

/// Gives the rows out as a struct array with its columns (`schema` may be NULL), both for the caller to release, and empties the
/// builder: keys to look up or delete, or the bounds of a scan. On an error the rows stay. Does not block; one thread at a time.
/// Errors: INVALID_ARGUMENT (also: a row was begun and not appended), BUSY, CLOSED, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_finish(
    builder: *mut sstore_row_builder,
    rows: *mut ArrowArray,
    schema: *mut ArrowSchema,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (out, out_schema) = (Out::new(rows, ArrowArray::RELEASED), Out::new(schema, ArrowSchema::RELEASED));
    with_builder!(error, builder, |rows| {
        out.required("rows")?;
        let made = rows.batch()?;
        if !schema.is_null() {
            out_schema.set(export::schema(&made.schema())?);
        }
        out.set(export::batch(made));
        rows.clear();
        Ok(())
    })
}

/// Frees a builder. NULL and what was freed already do nothing. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_row_builder_free(builder: *mut sstore_row_builder) {
    value_with_tables!((), |handles| handles.remove::<BuilderObject>(builder));
}

/// Keys alone are no rows.
#[cfg(feature = "arrow")]
fn full_rows(rows: &BuilderObject) -> Result<()> {
    match rows.of_keys {
        false => Ok(()),
        true => Err(Error::invalid("the builder makes keys, not rows: finish it, and look them up or delete by them")),
    }
}
