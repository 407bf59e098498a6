//! What a caller names: rows to write, keys to look up or delete, bounds of a scan. Called by `table`, `scan` and `batch`.
//!
//! Arrow data of any library, or Python's own values; either way out come batches of the table's schema, or an error that names row
//! and column.

use crate::arrow::capsule::{Foreign, foreign};
use crate::arrow::from_python::{self, Misfit};
use crate::error::{detached, invalid};
use crate::family::write_options;
use crate::shared::Shared;
use crate::ticker::Ticker;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Fields, Schema as ArrowSchema};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMapping, PyMemoryView, PyString, PyTuple};
use sstore::schema::TableSchema;
use sstore::{ErrorKind, WriteOptions};
use std::sync::Arc;

/// Batches of fewer rows are put together before they are written: each write has a cost of its own.
const SMALL_BATCH_ROWS: usize = 64 << 10;
/// How often rows are prepared anew because the schema changed meanwhile.
const SCHEMA_TRIES: u32 = 10;

/// What a call writes: rows, or the keys of rows to delete.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    Put,
    Delete,
}

impl RowKind {
    fn conform(self, schema: &TableSchema, batch: &RecordBatch) -> sstore::Result<RecordBatch> {
        match self {
            Self::Put => schema.check_batch(batch),
            Self::Delete => schema.check_keys_batch(batch),
        }
    }

    pub(crate) fn add(
        self,
        table: &sstore::Table,
        to: &mut sstore::WriteBatch,
        batch: &RecordBatch,
    ) -> sstore::Result<()> {
        match self {
            Self::Put => table.put_rows(to, batch),
            Self::Delete => table.delete_rows(to, batch),
        }
    }
}

/// Rows of a caller: Arrow data of another library, or a batch made of Python objects.
pub(crate) enum Given {
    Foreign(Foreign),
    Batch(RecordBatch),
}

impl Given {
    /// Hands everything to `take` in batches that fit the table's schema, small ones put together. Requires: the interpreter
    /// lock is released.
    pub(crate) fn each_batch(
        self,
        table: &sstore::Table,
        kind: RowKind,
        mut take: impl FnMut(RecordBatch) -> sstore::Result<()>,
    ) -> sstore::Result<()> {
        let schema = table.table_schema();
        let (mut pending, mut pending_rows): (Vec<RecordBatch>, usize) = (Vec::new(), 0);
        let mut number = 0;
        let mut accept = |batch: RecordBatch| {
            let checked = kind.conform(&schema, &batch).map_err(|error| {
                let place = if number == 0 { String::new() } else { format!(", batch {number}") };
                error.context(&format!("table \"{}\"{place}", table.name()))
            })?;
            number += 1;
            pending_rows += checked.num_rows();
            pending.push(checked);
            if pending_rows >= SMALL_BATCH_ROWS {
                pending_rows = 0;
                take(together(std::mem::take(&mut pending))?)?;
            }
            Ok(())
        };
        match self {
            Self::Foreign(data) => data.each_batch(&mut accept)?,
            Self::Batch(batch) => accept(batch)?,
        }
        if pending_rows > 0 { take(together(pending)?) } else { Ok(()) }
    }
}

fn together(mut batches: Vec<RecordBatch>) -> sstore::Result<RecordBatch> {
    if batches.len() == 1 {
        return Ok(batches.remove(0));
    }
    let schema = batches[0].schema();
    arrow_select::concat::concat_batches(&schema, &batches)
        .map_err(|error| sstore::Error::invalid(format!("the batches cannot be put together: {error}")))
}

/// Arrow data or Python rows, as something to write to `table`.
pub(crate) fn given<'py>(
    py: Python<'py>,
    table: &sstore::Table,
    kind: RowKind,
    data: &Bound<'py, PyAny>,
) -> PyResult<Given> {
    if let Some(data) = foreign(py, data)? {
        return Ok(Given::Foreign(data));
    }
    let schema = table.table_schema();
    Ok(Given::Batch(match kind {
        RowKind::Put => {
            if data.is_instance_of::<PyString>() || data.cast::<PyMapping>().is_ok() {
                return Err(wrong_rows(data));
            }
            let rows = data.try_iter().map_err(|_| wrong_rows(data))?;
            let rows = rows.map(|row| {
                let row = row?;
                row.cast::<PyMapping>().map(|row| Some(row.clone())).map_err(|_| wrong_rows(&row))
            });
            dicts(py, schema.user().fields(), &rows.collect::<PyResult<Vec<_>>>()?)?
        }
        RowKind::Delete => keys_batch(py, &schema, &keys_of(py, data)?)?,
    }))
}

fn wrong_rows(found: &Bound<'_, PyAny>) -> PyErr {
    let name = found.get_type().name().map_or_else(|_| "this".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!(
        "rows are Arrow data (a data frame of pyarrow, Polars, pandas, DuckDB and others) or a list of dicts, not {name}"
    ))
}

/// The exception for a value that does not fit: a TypeError stays one.
fn misfit_to_python(py: Python<'_>, misfit: &Misfit) -> PyErr {
    let message = format!("row {}: {}", misfit.row, misfit.cause.value(py));
    match misfit.cause.is_instance_of::<PyTypeError>(py) {
        true => PyTypeError::new_err(message),
        false => invalid(py, message),
    }
}

fn dicts<'py>(py: Python<'py>, fields: &Fields, rows: &[Option<Bound<'py, PyMapping>>]) -> PyResult<RecordBatch> {
    let columns = from_python::columns(py, fields, rows).map_err(|misfit| misfit_to_python(py, &misfit))?;
    batch(py, fields, columns, rows.len())
}

fn batch(py: Python<'_>, fields: &Fields, columns: Vec<ArrayRef>, rows: usize) -> PyResult<RecordBatch> {
    // Nulls are refused by the table, which names the row.
    let nullable: Vec<_> = fields.iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(ArrowSchema::new(nullable)), columns, &options);
    batch.map_err(|error| invalid(py, error.to_string()))
}

/// The keys that an argument lists.
fn keys_of<'py>(py: Python<'py>, keys: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let single = keys.is_instance_of::<PyString>()
        || keys.is_instance_of::<PyBytes>()
        || keys.is_instance_of::<PyByteArray>()
        || keys.is_instance_of::<PyMemoryView>()
        || keys.cast::<PyMapping>().is_ok();
    let wrong = || {
        let name = keys.get_type().name().map_or_else(|_| "this".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!("keys are a list of keys, or Arrow data with the key's columns, not one {name}"))
    };
    if single {
        return Err(wrong());
    }
    let keys = keys.try_iter().map_err(|_| wrong())?.collect::<PyResult<Vec<_>>>()?;
    py.check_signals()?;
    Ok(keys)
}

/// The values of one key, or of the leading columns of one: a value, a tuple, or a dict.
fn parts<'py>(names: &[&str], key: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if let Ok(tuple) = key.cast::<PyTuple>() {
        return Ok(tuple.iter().collect());
    }
    if let Ok(mapping) = key.cast::<PyMapping>() {
        let values = names.iter().take(mapping.len()?).map(|name| mapping.get_item(name));
        return values.collect();
    }
    Ok(vec![key.clone()])
}

fn key_names(schema: &TableSchema) -> Vec<&str> {
    schema.key().iter().map(|&index| schema.columns()[index].field.name().as_str()).collect()
}

/// Keys as a batch of the key's columns.
pub(crate) fn keys_batch<'py>(
    py: Python<'py>,
    schema: &TableSchema,
    keys: &[Bound<'py, PyAny>],
) -> PyResult<RecordBatch> {
    let names = key_names(schema);
    if names.is_empty() {
        return Err(invalid(py, "the table is append-only: its rows have no keys"));
    }
    let mut columns: Vec<Vec<Option<Bound<'py, PyAny>>>> = vec![Vec::with_capacity(keys.len()); names.len()];
    for (row, key) in keys.iter().enumerate() {
        let parts = parts(&names, key)?;
        if parts.len() != names.len() {
            let message =
                format!("row {row}: a key has {} columns ({}), not {}", names.len(), names.join(", "), parts.len());
            return Err(invalid(py, message));
        }
        for (column, part) in columns.iter_mut().zip(parts) {
            column.push((!part.is_none()).then_some(part));
        }
    }
    let key_schema = schema.keys_schema();
    let arrays = key_schema.fields().iter().zip(&columns).map(|(field, values)| {
        from_python::array(py, field.data_type(), values).map_err(|misfit| {
            let message = format!("column {:?}: {}", field.name(), misfit.cause.value(py));
            let cause = PyErr::from_type(misfit.cause.get_type(py), message);
            misfit_to_python(py, &Misfit { row: misfit.row, cause })
        })
    });
    let arrays = arrays.collect::<PyResult<Vec<_>>>()?;
    batch(py, key_schema.fields(), arrays, keys.len())
}

/// A bound of a scan: the key's first columns, as arrays of one row.
pub(crate) fn bound<'py>(
    py: Python<'py>,
    schema: &TableSchema,
    key: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Vec<ArrayRef>>> {
    let Some(key) = key else { return Ok(None) };
    let names = key_names(schema);
    let parts = parts(&names, key)?;
    if names.is_empty() || parts.is_empty() || parts.len() > names.len() {
        let message = match names.len() {
            0 => "an append-only table has no keys to scan a range of".to_owned(),
            most => format!("a bound is one to {most} of the key's first columns ({})", names.join(", ")),
        };
        return Err(invalid(py, message));
    }
    let key_schema = schema.keys_schema();
    let arrays = parts.into_iter().zip(key_schema.fields()).map(|(part, field)| {
        let value = (!part.is_none()).then_some(part);
        from_python::array(py, field.data_type(), &[value]).map_err(|misfit| {
            let message = format!("column {:?}: {}", field.name(), misfit.cause.value(py));
            match misfit.cause.is_instance_of::<PyTypeError>(py) {
                true => PyTypeError::new_err(message),
                false => invalid(py, message),
            }
        })
    });
    arrays.collect::<PyResult<Vec<_>>>().map(Some)
}

/// The names that an argument lists; a single one may stand alone.
pub(crate) fn names_in(given: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    match given.cast::<PyString>() {
        Ok(name) => Ok(vec![name.to_str()?.to_owned()]),
        Err(_) => given.try_iter()?.map(|name| name?.extract()).collect(),
    }
}

/// Writes rows, or deletes those of keys, together or batch by batch; how many were given. `ticker` hears of them.
pub(crate) fn write(
    py: Python<'_>,
    shared: &Shared,
    table: &sstore::Table,
    kind: RowKind,
    data: &Bound<'_, PyAny>,
    (sync, atomic): (Option<bool>, bool),
    mut ticker: Ticker,
) -> PyResult<usize> {
    let given = given(py, table, kind, data)?;
    let options = write_options(sync);
    let mut rows = 0;
    detached(py, || {
        if atomic {
            let mut batches = Vec::new();
            given.each_batch(table, kind, |batch| {
                rows += batch.num_rows();
                batches.push(batch);
                ticker.tick_detached(rows)
            })?;
            return write_batches(shared, table, kind, &batches, &options);
        }
        given.each_batch(table, kind, |batch| {
            write_batches(shared, table, kind, std::slice::from_ref(&batch), &options)?;
            rows += batch.num_rows();
            ticker.tick_detached(rows)
        })
    })?;
    ticker.end(py, rows)?;
    Ok(rows)
}

/// Writes batches together. A change of the schema meanwhile is no error: the rows are made to fit the new one.
fn write_batches(
    shared: &Shared,
    table: &sstore::Table,
    kind: RowKind,
    batches: &[RecordBatch],
    options: &WriteOptions,
) -> sstore::Result<()> {
    for attempt in 1.. {
        let mut together = sstore::WriteBatch::new();
        batches.iter().try_for_each(|batch| kind.add(table, &mut together, batch))?;
        match shared.db().write(&together, options) {
            Err(error) if error.kind() == ErrorKind::Conflict && attempt < SCHEMA_TRIES => {}
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    Ok(())
}
