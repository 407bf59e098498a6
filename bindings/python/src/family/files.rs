//! The files of a family: written, merged, told, exported.

use super::ColumnFamily;
use crate::error::detached;
use crate::files::{LiveFiles, export};
use crate::flush::FlushToken;
use crate::import;
use crate::long_call::{Progress, long_call};
use crate::segments::segments_of;
use crate::shared::Shared;
use crate::snapshot::Moment;
use pyo3::prelude::*;
use sstore::ReadOptions;
use std::path::PathBuf;
use std::sync::Arc;

/// Flushes `families` (none: all), and waits for the result or hands out a token.
pub(crate) fn flush<'py>(
    py: Python<'py>,
    shared: &Arc<Shared>,
    families: &[&sstore::ColumnFamily],
    wait: bool,
    timeout: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let token = FlushToken::new(shared, detached(py, || shared.db().flush(families))?);
    if wait { token.wait(py, timeout) } else { Ok(Bound::new(py, token)?.into_any()) }
}

#[pymethods]
impl ColumnFamily {
    /// Writes the family's memtables to files. Returns a FlushResult, or with ``wait=False`` a FlushToken.
    #[pyo3(signature = (wait=true, timeout=None))]
    fn flush<'py>(&self, py: Python<'py>, wait: bool, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        flush(py, &self.shared, &[&self.family], wait, timeout)
    }

    /// Merges all files of the family into one, and waits for it. After a Ctrl-C the merge goes on in the background.
    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        let (shared, family) = (self.shared.clone(), self.family.clone());
        let nobody = Progress::to(None, "compact", "bytes")?;
        long_call(py, &self.shared, &nobody, move |_| shared.db().compact(&family))
    }

    /// The family's live files.
    fn segments<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        segments_of(py, &self.shared, &self.family)
    }

    /// The family's live files, which are kept while the result is alive or open, as of now or of a snapshot.
    #[pyo3(signature = (*, as_of=None))]
    fn live_files(&self, py: Python<'_>, as_of: Option<Moment<'_>>) -> PyResult<LiveFiles> {
        let snapshot = as_of.map(|moment| moment.of(py, &self.shared)).transpose()?;
        let options = ReadOptions { snapshot: snapshot.as_ref() };
        LiveFiles::new(py, detached(py, || self.shared.db().live_files(&self.family, &options))?)
    }

    /// Flushes the family and puts hard links to its files into the new directory `directory`; copies, where links cannot be.
    ///
    /// The names sort oldest first. The directory appears whole, or not at all. ``progress`` is called with a ``Progress`` that counts
    /// bytes, ten times a second at most; if it answers False (which raises CancelledError), or after a Ctrl-C, nothing is left. Returns
    /// an ``Export``.
    #[pyo3(signature = (directory, *, progress=None))]
    fn export<'py>(
        &self,
        py: Python<'py>,
        directory: PathBuf,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (shared, family) = (self.shared.clone(), self.family.clone());
        export(py, &self.shared, progress, move |told| shared.db().export_told(&family, &directory, told))
    }

    /// Writes everything that LevelDB would show of its database in `source` to the family, all of it at once.
    ///
    /// It comes to be seen at the end, in one step, and is durable then; after an error, a cancel or a kill nothing of it is here. Keys that were
    /// here before get LevelDB's value; others stay, and so do keys that are written while it runs. Merges of the family wait for it. The
    /// source is only read, every checksum in it is verified, and no process may have it open. ``progress`` is called with a ``Progress`` ten
    /// times a second at most and once at the end; returning False, or raising, calls the import off, and so does Ctrl-C.
    /// ``skip_damaged=True`` skips and counts what is damaged, instead of refusing: what was deleted or overwritten there may come
    /// back. Returns a ``LevelDBImport``.
    #[pyo3(signature = (source, *, skip_damaged=false, progress=None))]
    fn import_leveldb<'py>(
        &self,
        py: Python<'py>,
        source: PathBuf,
        skip_damaged: bool,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        import::leveldb(py, &self.shared, self.family.clone(), source, skip_damaged, progress)
    }
}
