//! Writing many at once: operations from Python objects, Arrow data and arrays into batches.
//!
//! Called by families and by `WriteBatch`. Promises: Ctrl-C is looked for in between; no other library is called with the
//! interpreter lock released that needs it, nor the engine with the lock held when it may wait.

use crate::arrow::capsule::foreign;
use crate::bytes::{Bytes, pair};
use crate::columns::{Column, pairs_of};
use crate::error::{attached, detached, invalid};
use crate::shared::Shared;
use crate::ticker::Ticker;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use sstore::{CollectionId, Durability, Result, WriteOptions};

/// Bytes of a batch of `clear` and of what is written without atomicity.
const PART_BYTES: usize = 4 << 20;
/// Pairs taken from Python between two looks for Ctrl-C.
const PAIRS_PER_CHECK: usize = 4096;
/// Pairs taken from columns between two looks for Ctrl-C.
const ROWS_PER_CHECK: usize = 1 << 16;

/// What a write with this wish for durability waits for; None leaves it to the option.
pub(crate) fn write_options(sync: Option<bool>) -> WriteOptions {
    let durability = sync.map(|sync| if sync { Durability::Sync } else { Durability::Buffered });
    WriteOptions { durability, ..WriteOptions::default() }
}

/// Where many operations go: into one batch, which is written in parts unless `atomic`.
pub(crate) struct Target<'a> {
    pub(crate) batch: sstore::WriteBatch,
    pub(crate) count: usize,
    shared: &'a Shared,
    family: CollectionId,
    options: WriteOptions,
    atomic: bool,
    ticker: Option<Ticker>,
}

impl<'a> Target<'a> {
    pub(crate) fn new(shared: &'a Shared, family: CollectionId, sync: Option<bool>, atomic: bool) -> Self {
        let (batch, options) = (sstore::WriteBatch::new(), write_options(sync));
        Self { batch, count: 0, shared, family, options, atomic, ticker: None }
    }

    /// Tells how many operations were taken.
    pub(crate) fn telling(self, ticker: Ticker) -> Self {
        Self { ticker: Some(ticker), ..self }
    }

    fn set_total(&mut self, total: usize) {
        if let Some(ticker) = &mut self.ticker {
            ticker.set_total(total);
        }
    }

    /// Looks for Ctrl-C, and tells.
    fn check(&mut self, py: Python<'_>) -> PyResult<()> {
        match &mut self.ticker {
            Some(ticker) => ticker.tick(py, self.count),
            None => py.check_signals(),
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.count += 1;
        self.batch.put(self.family, key, value)
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.count += 1;
        self.batch.delete(self.family, key)
    }

    fn is_full(&self) -> bool {
        !self.atomic && self.batch.size_bytes() >= PART_BYTES
    }

    /// Writes what was gathered. Requires no interpreter lock.
    fn write(&mut self) -> Result<()> {
        if !self.batch.is_empty() {
            self.shared.db().write(&self.batch, &self.options)?;
            self.batch.clear();
        }
        Ok(())
    }

    /// Writes a part if it is time, and looks for Ctrl-C.
    fn after(&mut self, py: Python<'_>) -> PyResult<()> {
        if self.is_full() {
            detached(py, || self.write())?;
        }
        if self.count.is_multiple_of(PAIRS_PER_CHECK) { self.check(py) } else { Ok(()) }
    }

    /// Writes what is left; gives the number of operations.
    pub(crate) fn finish(mut self, py: Python<'_>) -> PyResult<usize> {
        detached(py, || self.write())?;
        if let Some(ticker) = self.ticker {
            ticker.end(py, self.count)?;
        }
        Ok(self.count)
    }

    fn put_columns(&mut self, py: Python<'_>, keys: &[&[u8]], values: &[&[u8]]) -> PyResult<()> {
        for (keys, values) in keys.chunks(ROWS_PER_CHECK).zip(values.chunks(ROWS_PER_CHECK)) {
            self.check(py)?;
            detached(py, || {
                for (key, value) in keys.iter().zip(values) {
                    self.put(key, value)?;
                    if self.is_full() {
                        self.write()?;
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Takes puts: `keys` and `values` as columns; or, without `values`, pairs.
    pub(crate) fn put_all<'py>(
        &mut self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        values: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        if let Some(values) = values {
            let (keys, values) = (Column::of(py, data)?, Column::of(py, values)?);
            let (keys, values) = (keys.slices(), values.slices());
            if keys.len() != values.len() {
                return Err(invalid(py, format!("{} keys were given, and {} values", keys.len(), values.len())));
            }
            self.set_total(keys.len());
            return self.put_columns(py, &keys, &values);
        }
        if let Ok(list) = data.cast::<PyList>() {
            self.set_total(list.len());
            return list.iter().try_for_each(|item| self.put_pair(py, &item));
        }
        if let Ok(dict) = data.cast_exact::<PyDict>() {
            self.set_total(dict.len());
            // As a list: the dict may change meanwhile, by another thread or by the handler of a signal.
            return dict.items().iter().try_for_each(|item| self.put_pair(py, &item));
        }
        if let Some(rows) = foreign(py, data)? {
            let mut batches = rows.into_batches();
            while let Some(batch) = detached(py, || batches.next().transpose())? {
                let (keys, values) = attached(py, || pairs_of(&batch))?;
                self.put_columns(py, &keys, &values)?;
            }
            return Ok(());
        }
        let is_mapping = data.hasattr("keys")?;
        if is_mapping && !data.hasattr("items")? {
            // What `dict.update` takes for a mapping need have no more than keys and a way to look them up.
            return data.call_method0("keys")?.try_iter()?.try_for_each(|key| {
                let key = key?;
                let value = data.get_item(&key)?;
                self.put_objects(py, &key.extract()?, &value.extract()?)
            });
        }
        let items = if is_mapping { data.call_method0("items")? } else { data.clone() };
        items.try_iter()?.try_for_each(|item| self.put_pair(py, &item?))
    }

    fn put_pair<'py>(&mut self, py: Python<'py>, item: &Bound<'py, PyAny>) -> PyResult<()> {
        let (key, value) = pair(item)?;
        self.put_objects(py, &key, &value)
    }

    fn put_objects(&mut self, py: Python<'_>, key: &Bytes<'_>, value: &Bytes<'_>) -> PyResult<()> {
        attached(py, || self.put(key.as_slice(), value.as_slice()))?;
        self.after(py)
    }

    /// Takes deletes.
    pub(crate) fn delete_all<'py>(&mut self, py: Python<'py>, keys: &Bound<'py, PyAny>) -> PyResult<()> {
        let column = match keys.hasattr("__next__")? {
            // Not gathered first: there may be more of them than memory holds.
            true => {
                return keys.try_iter()?.try_for_each(|key| {
                    let key: Bytes<'_> = key?.extract()?;
                    attached(py, || self.delete(key.as_slice()))?;
                    self.after(py)
                });
            }
            false => Column::of(py, keys)?,
        };
        for part in column.slices().chunks(ROWS_PER_CHECK) {
            py.check_signals()?;
            detached(py, || {
                for key in part {
                    self.delete(key)?;
                    if self.is_full() {
                        self.write()?;
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
