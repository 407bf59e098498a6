//! The live files of families and tables, as objects of the class `sstore.Segment`.

use crate::error::detached;
use crate::shared::Shared;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

/// The live files of `family`.
pub(crate) fn segments_of<'py>(
    py: Python<'py>,
    shared: &Shared,
    family: &sstore::ColumnFamily,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let segments = detached(py, || shared.db().segments(family))?;
    describe_segments(py, family.name(), &segments)
}

/// Files of a column family or of a table as `sstore.Segment`.
pub(crate) fn describe_segments<'py>(
    py: Python<'py>,
    name: &str,
    segments: &[sstore::Segment],
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.import(py, "sstore._types", "Segment")?;
    let describe = |segment: &sstore::Segment| {
        class.call1((
            name,
            segment.number.0,
            &segment.path,
            segment.level,
            segment.size_bytes,
            segment.entries,
            segment.tombstones,
            PyBytes::new(py, &segment.smallest),
            PyBytes::new(py, &segment.largest),
            segment.smallest_sequence,
            segment.largest_sequence,
        ))
    };
    segments.iter().map(describe).collect()
}
