//! What is in tables: rows appended, streamed in, deleted, and looked up by their keys.

use crate::arrow_abi::{self, ArrowArray, ArrowArrayStream, ArrowSchema, Movable};
use crate::boundary::Stop;
use crate::bytes::{self, Out};
#[cfg(feature = "arrow")]
use crate::get::read_snapshot;
use crate::get::sstore_read_options;
use crate::open::sstore_db;
use crate::status::{sstore_code, sstore_error};
use crate::table::sstore_table;
use crate::write::{sstore_write_options, write_options};
use engine::{Error, ReadOptions};
use std::ffi::c_char;
#[cfg(feature = "arrow")]
use {
    crate::arrow::{export, import, objects::table_of},
    arrow_array::RecordBatch,
    arrow_select::concat::concat_batches,
    engine::{ErrorKind, Result},
};

/// Puts the rows of a batch, a struct array, into a table: visible at once and together, each in place of the row with its key,
/// of rows with the same key the last. Columns are found by name, in any order; nullable ones may be missing, and large, view and
/// dictionary forms of a type are taken. `rows` and `schema` are moved; a NULL schema stands for the table's columns in their
/// order. NULL options: every default. `*sequence` (may be NULL) becomes the place of the write in the history of the database;
/// 0 on failure. May block: for flushes if memtables are full, for the disk if it is to be durable. Any thread.
/// Errors: INVALID_ARGUMENT (names the column, and the row that has a null where there may be none), DROPPED, CLOSED, READ_ONLY,
/// STALLED, CONFLICT (the table is altered again and again), IO, NO_SPACE, POISONED, NO_MEMORY, FORKED, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_append(
    db: *mut sstore_db,
    table: *const sstore_table,
    options: *const sstore_write_options,
    rows: *mut ArrowArray,
    schema: *mut ArrowSchema,
    sequence: *mut u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (rows, schema) = (arrow_abi::take(rows), arrow_abi::take(schema));
    let out = Out::new(sequence, 0);
    with_tables!(error, |handles| {
        let (database, table) = table_of(handles, db, table)?;
        let options = write_options(options)?;
        let rows = table.rows(rows, schema)?;
        out.set(database.db.append(&table.table, &rows, &options)?);
        Ok(())
    })
}

/// Puts every batch of a stream into a table, each as one sstore_table_append does. The stream is moved, and read to its end
/// or to the first failure; batches before it stay written. `*row_count` (may be NULL) becomes how many rows were written, and
/// `*sequence` (may be NULL) the place of the last write, also on failure. Calls back into the stream, and waits for it.
/// Otherwise like sstore_table_append. Errors also: IO (the stream failed; the message is its own).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_append_stream(
    db: *mut sstore_db,
    table: *const sstore_table,
    options: *const sstore_write_options,
    stream: *mut ArrowArrayStream,
    row_count: *mut u64,
    sequence: *mut u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let stream = arrow_abi::take(stream);
    let (out_rows, out_sequence) = (Out::new(row_count, 0), Out::new(sequence, 0));
    with_tables!(error, |handles| {
        let (database, table) = table_of(handles, db, table)?;
        let options = write_options(options)?;
        let mut batches = import::Batches::new(stream, "stream")?;
        let mut written = 0;
        while let Some(rows) = batches.next("stream")? {
            if rows.num_rows() == 0 {
                continue;
            }
            out_sequence.set(database.db.append(&table.table, &rows, &options)?);
            written += rows.num_rows() as u64;
            out_rows.set(written);
        }
        Ok(())
    })
}

/// Removes the rows with these keys, given as a struct array of the key's columns, whether they exist or not. `keys` and
/// `schema` are moved; a NULL schema stands for the key's columns in key order. Otherwise like sstore_table_append.
/// INVALID_ARGUMENT also for a table without a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_delete(
    db: *mut sstore_db,
    table: *const sstore_table,
    options: *const sstore_write_options,
    keys: *mut ArrowArray,
    schema: *mut ArrowSchema,
    sequence: *mut u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (keys, schema) = (arrow_abi::take(keys), arrow_abi::take(schema));
    let out = Out::new(sequence, 0);
    with_tables!(error, |handles| {
        let (database, table) = table_of(handles, db, table)?;
        let options = write_options(options)?;
        let keys = table.keys(keys, schema)?;
        out.set(database.db.delete_from(&table.table, &keys, &options)?);
        Ok(())
    })
}

/// Looks up the row with one key, given as a struct array of one row. `key` and `key_schema` are moved; a NULL schema stands for
/// the key's columns in key order. Only the `column_count` columns named are given, in that order; 0: all. `*row` becomes a
/// struct array of one row, and `*row_schema` (may be NULL) its columns, for the caller to release. NULL options: every default.
/// Nothing found: SSTORE_NOT_FOUND without an error object, and both are marked as released. May block: reads files. Any thread.
/// Errors: NOT_FOUND, INVALID_ARGUMENT, DROPPED, CLOSED, CORRUPTION, IO, NO_MEMORY, FORKED, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_get(
    db: *const sstore_db,
    table: *const sstore_table,
    options: *const sstore_read_options,
    columns: *const *const c_char,
    column_count: usize,
    key: *mut ArrowArray,
    key_schema: *mut ArrowSchema,
    row: *mut ArrowArray,
    row_schema: *mut ArrowSchema,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (key, key_schema) = (arrow_abi::take(key), arrow_abi::take(key_schema));
    let (out, out_schema) = (Out::new(row, ArrowArray::RELEASED), Out::new(row_schema, ArrowSchema::RELEASED));
    with_tables!(error, |handles| {
        out.required("row")?;
        let (database, table) = table_of(handles, db, table)?;
        let snapshot = read_snapshot(handles, &database, options)?;
        let options = ReadOptions { snapshot: snapshot.as_ref().map(|object| &object.snapshot) };
        let columns = import::names(columns, column_count, "columns")?;
        let key = table.keys(key, key_schema)?;
        let columns = (!columns.is_empty()).then_some(columns.as_slice());
        let found = database.db.get_row(&table.table, &key, columns, &options)?.ok_or(Stop::Missing)?;
        give(found, &out, &out_schema, !row_schema.is_null())
    })
}

/// Looks up many keys at one moment. `*rows` becomes a struct array of the rows found, in the order of their keys, and, unless
/// `found` is NULL, the byte at each key's index in it becomes 1 or 0: whether there is a row; `found_count` is the number of
/// bytes there and must be that of the keys. Finding none is no error: `*rows` has no rows then. Otherwise like sstore_table_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_get_many(
    db: *const sstore_db,
    table: *const sstore_table,
    options: *const sstore_read_options,
    columns: *const *const c_char,
    column_count: usize,
    keys: *mut ArrowArray,
    keys_schema: *mut ArrowSchema,
    found: *mut u8,
    found_count: usize,
    rows: *mut ArrowArray,
    rows_schema: *mut ArrowSchema,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (keys, keys_schema) = (arrow_abi::take(keys), arrow_abi::take(keys_schema));
    let (out, out_schema) = (Out::new(rows, ArrowArray::RELEASED), Out::new(rows_schema, ArrowSchema::RELEASED));
    with_tables!(error, |handles| {
        let mut marks = if found.is_null() { None } else { Some(bytes::buffer(found.cast(), found_count, "found")?) };
        marks.iter_mut().for_each(|marks| marks.fill(0));
        out.required("rows")?;
        let (database, table) = table_of(handles, db, table)?;
        let snapshot = read_snapshot(handles, &database, options)?;
        let options = ReadOptions { snapshot: snapshot.as_ref().map(|object| &object.snapshot) };
        let columns = import::names(columns, column_count, "columns")?;
        let columns = (!columns.is_empty()).then_some(columns.as_slice());
        let keys = table.keys(keys, keys_schema)?;
        if marks.as_ref().is_some_and(|marks| marks.len() != keys.num_rows()) {
            let message = format!("`found` has {found_count} bytes for {} keys", keys.num_rows());
            return Err(Error::invalid(message).into());
        }
        let answers = database.db.get_rows(&table.table, &keys, columns, &options)?;
        let (is_found, batches): (Vec<_>, Vec<_>) =
            answers.into_iter().map(|row| (u8::from(row.is_some()), row)).unzip();
        let batches: Vec<RecordBatch> = batches.into_iter().flatten().collect();
        let together = match batches.first() {
            Some(first) => concat_batches(&first.schema(), &batches).map_err(|cause| {
                Error::new(ErrorKind::NotSupported, format!("rows cannot be put together: {cause}"))
            })?,
            None => RecordBatch::new_empty(projected(&table.table, columns)?),
        };
        give(together, &out, &out_schema, !rows_schema.is_null())?;
        if let Some(marks) = marks {
            marks.copy_from_slice(&is_found);
        }
        Ok(())
    })
}

#[cfg(feature = "arrow")]
fn give(
    rows: RecordBatch,
    out: &Out<ArrowArray>,
    out_schema: &Out<ArrowSchema>,
    wants_schema: bool,
) -> crate::boundary::Outcome {
    if wants_schema {
        out_schema.set(export::schema(&rows.schema())?);
    }
    out.set(export::batch(rows));
    Ok(())
}

/// The columns of rows when there are no rows.
#[cfg(feature = "arrow")]
fn projected(table: &engine::Table, columns: Option<&[String]>) -> Result<arrow_schema::SchemaRef> {
    let schema = table.schema();
    let Some(columns) = columns else { return Ok(schema) };
    let find = |name: &String| schema.index_of(name).map_err(|cause| Error::invalid(cause.to_string()));
    let indexes = columns.iter().map(find).collect::<Result<Vec<_>>>()?;
    Ok(std::sync::Arc::new(schema.project(&indexes).map_err(|cause| Error::invalid(cause.to_string()))?))
}
