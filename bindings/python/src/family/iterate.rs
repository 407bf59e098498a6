//! Walking over the keys of a family: iterators, cursors, Arrow scans, counting.

use super::ColumnFamily;
use crate::bytes::Bytes;
use crate::error::{attached, detached, invalid};
use crate::iterate::{Cursor, EntryScan, Iterator, Placed, Span, count, entry_schema};
use crate::scan::Scan;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use pyo3::prelude::*;
use std::sync::Arc;

/// A scan of the entries of `family`.
pub(crate) fn scan_entries(
    py: Python<'_>,
    shared: &Arc<Shared>,
    family: &sstore::ColumnFamily,
    mut placed: Placed,
    reverse: bool,
    columns: (bool, bool),
    batch_rows: usize,
) -> PyResult<Scan> {
    let (keys, values) = columns;
    if !keys && !values {
        return Err(invalid(py, "a scan gives keys, values or both"));
    }
    let schema = entry_schema(keys, values);
    let snapshot = match placed.options.snapshot.take() {
        Some(snapshot) => snapshot,
        None => attached(py, || shared.db().snapshot())?,
    };
    let sequence = snapshot.sequence();
    placed.options.snapshot = Some(snapshot);
    let opened = schema.clone();
    let scan = detached(py, || EntryScan::open(shared, family, placed, opened, batch_rows, reverse))?;
    Ok(Scan::of_entries(shared, scan, schema, sequence))
}

#[pymethods]
impl ColumnFamily {
    /// Iterates in key order from `start` to `stop`, or over the keys with `prefix`; yields pairs, or only keys or values.
    ///
    /// ``include_start`` and ``include_stop`` say whether the bounds belong to the range. ``reverse`` goes from the last key
    /// to the first. ``scan`` reads ahead and past the cache: for long scans. With ``strip_prefix`` keys are given without the prefix, and
    /// bounds are taken without it.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, reverse=false, include_start=true, include_stop=false,
        keys=true, values=true, snapshot=None, scan=false, strip_prefix=false))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn iter<'py>(
        &self,
        py: Python<'py>,
        start: Option<Bytes<'py>>,
        stop: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
        reverse: bool,
        include_start: bool,
        include_stop: bool,
        keys: bool,
        values: bool,
        snapshot: Option<&Bound<'py, Snapshot>>,
        scan: bool,
        strip_prefix: bool,
    ) -> PyResult<Iterator> {
        let snapshot = self.at(py, snapshot)?;
        let span = Span { start, stop, prefix, include_start, include_stop, strip_prefix };
        let placed = span.place(snapshot.as_ref(), scan);
        Iterator::open(py, &self.shared, &self.family, placed, reverse, keys, values)
    }

    /// A cursor over the keys from `start` to `stop`, or those with `prefix`, to move about; the arguments are those of ``iter``.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, include_start=true, include_stop=false, snapshot=None,
        scan=false, strip_prefix=false))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn cursor<'py>(
        &self,
        py: Python<'py>,
        start: Option<Bytes<'py>>,
        stop: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
        include_start: bool,
        include_stop: bool,
        snapshot: Option<&Bound<'py, Snapshot>>,
        scan: bool,
        strip_prefix: bool,
    ) -> PyResult<Cursor> {
        let snapshot = self.at(py, snapshot)?;
        let span = Span { start, stop, prefix, include_start, include_stop, strip_prefix };
        Cursor::open(py, &self.shared, &self.family, span.place(snapshot.as_ref(), scan))
    }

    /// The keys and values of a range as Arrow data, once: an Arrow stream of the binary columns ``key`` and ``value``, for pyarrow,
    /// Polars, DuckDB and others. The fastest way through many entries; the arguments are those of ``iter``.
    ///
    /// Record batches have ``batch_rows`` rows, or fewer if those are large.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, reverse=false, include_start=true, include_stop=false,
        keys=true, values=true, snapshot=None, scan=true, strip_prefix=false, batch_rows=65536))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn scan_arrow<'py>(
        &self,
        py: Python<'py>,
        start: Option<Bytes<'py>>,
        stop: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
        reverse: bool,
        include_start: bool,
        include_stop: bool,
        keys: bool,
        values: bool,
        snapshot: Option<&Bound<'py, Snapshot>>,
        scan: bool,
        strip_prefix: bool,
        batch_rows: usize,
    ) -> PyResult<Scan> {
        let snapshot = self.at(py, snapshot)?;
        let span = Span { start, stop, prefix, include_start, include_stop, strip_prefix };
        let placed = span.place(snapshot.as_ref(), scan);
        scan_entries(py, &self.shared, &self.family, placed, reverse, (keys, values), batch_rows)
    }

    /// How many keys there are from `start` to `stop`, or with `prefix`, by walking over them.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, snapshot=None))]
    fn count<'py>(
        &self,
        py: Python<'py>,
        start: Option<Bytes<'py>>,
        stop: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
        snapshot: Option<&Bound<'py, Snapshot>>,
    ) -> PyResult<usize> {
        let snapshot = self.at(py, snapshot)?;
        let span = Span { start, stop, prefix, include_start: true, include_stop: false, strip_prefix: false };
        count(py, &self.shared, &self.family, span.place(snapshot.as_ref(), true).options)
    }

    /// The keys that begin with `prefix`, as a mapping of its own: its keys go without the prefix, to it and from it.
    fn prefixed<'py>(slf: &Bound<'py, Self>, prefix: Bytes<'py>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("sstore._views")?.getattr("Prefixed")?.call1((slf, prefix.as_slice()))
    }

    /// Counts the keys by walking over all of them.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        count(py, &self.shared, &self.family, sstore::IterOptions::default())
    }

    /// Whether there is any key; does not count them.
    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.first(py, None)?.is_some())
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Iterator> {
        self.iter(py, None, None, None, false, true, false, true, false, None, false, false)
    }

    fn __reversed__(&self, py: Python<'_>) -> PyResult<Iterator> {
        self.iter(py, None, None, None, true, true, false, true, false, None, false, false)
    }
}
