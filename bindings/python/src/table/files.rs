//! The files of a table: written, merged, told, exported.

use super::Table;
use crate::error::detached;
use crate::files::{LiveFiles, export};
use crate::flush::FlushToken;
use crate::long_call::{Progress, long_call};
use crate::shared::Shared;
use crate::snapshot::Moment;
use pyo3::prelude::*;
use sstore::ReadOptions;
use std::path::PathBuf;

/// The live files of a table.
pub(crate) fn segments_of<'py>(
    py: Python<'py>,
    shared: &Shared,
    table: &sstore::Table,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let segments = detached(py, || shared.db().table_segments(table))?;
    crate::segments::describe_segments(py, table.name(), &segments)
}

#[pymethods]
impl Table {
    /// Writes what the table holds in memory to files, and waits for it. Returns a FlushResult, or with ``wait=False`` a FlushToken.
    #[pyo3(signature = (wait=true, timeout=None))]
    fn flush<'py>(&self, py: Python<'py>, wait: bool, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let token = FlushToken::new(&self.shared, detached(py, || self.shared.db().flush_tables(&[&self.table]))?);
        if wait { token.wait(py, timeout) } else { Ok(Bound::new(py, token)?.into_any()) }
    }

    /// Merges all files of the table into one, and waits for it. After a Ctrl-C the merge goes on in the background.
    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        let (shared, table) = (self.shared.clone(), self.table.clone());
        let nobody = Progress::to(None, "compact", "bytes")?;
        long_call(py, &self.shared, &nobody, move |_| shared.db().compact_table(&table))
    }

    /// The table's live files, oldest first. Their keys are encoded.
    fn segments<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        segments_of(py, &self.shared, &self.table)
    }

    /// The table's live files, which are kept while the result is alive or open, as of now or as of ``as_of``. With their sequence
    /// other programs read what ``scan`` shows: of each key the row with the greatest ``_seq`` up to it, unless its ``_op`` is 1.
    #[pyo3(signature = (*, as_of=None))]
    fn live_files(&self, py: Python<'_>, as_of: Option<Moment<'_>>) -> PyResult<LiveFiles> {
        let snapshot = self.snapshot(py, as_of.as_ref())?;
        let options = ReadOptions { snapshot: snapshot.as_ref() };
        LiveFiles::new(py, detached(py, || self.shared.db().table_live_files(&self.table, &options))?)
    }

    /// Flushes the table and puts hard links to its files into the new directory `directory`; copies, where links cannot be.
    ///
    /// Any program reads them that reads the format; the names sort oldest first. The directory appears whole, or not at all.
    /// ``progress`` is called with a ``Progress`` that counts bytes, ten times a second at most; if it answers False (which raises
    /// CancelledError), or after a Ctrl-C, nothing is left. Returns an ``Export``.
    #[pyo3(signature = (directory, *, progress=None))]
    fn export<'py>(
        &self,
        py: Python<'py>,
        directory: PathBuf,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (shared, table) = (self.shared.clone(), self.table.clone());
        export(py, &self.shared, progress, move |told| shared.db().export_table_told(&table, &directory, told))
    }
}
