//! The files of a database: written, merged, checked, told.

use super::DB;
use crate::error::{detached, invalid};
use crate::family;
use crate::flush::FlushToken;
use crate::long_call::{Progress, long_call};
use crate::segments::segments_of;
use crate::shared::Shared;
use crate::table;
use pyo3::prelude::*;
use sstore::ErrorKind;

#[pymethods]
impl DB {
    /// Writes all memtables to files. Returns a FlushResult, or with ``wait=False`` a FlushToken to wait on.
    ///
    /// TimedOutError after `timeout` seconds; the flush goes on.
    #[pyo3(signature = (wait=true, timeout=None))]
    fn flush<'py>(&self, py: Python<'py>, wait: bool, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        family::flush(py, &self.shared, &[], wait, timeout)
    }

    /// Flushes families and tables (None: all) atomically: what they hold is frozen at one moment, and their files count all at once. After a
    /// crash either all of them are found as of that moment, or none of these files is there: what matters to those without a log.
    ///
    /// Returns and raises as ``flush`` does. If one file cannot be written none counts, and all are tried again together.
    #[pyo3(signature = (collections=None, *, wait=true, timeout=None))]
    fn flush_atomic<'py>(
        &self,
        py: Python<'py>,
        collections: Option<&Bound<'py, PyAny>>,
        wait: bool,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut ids = Vec::new();
        if let Some(collections) = collections {
            for collection in collections.try_iter()? {
                ids.push(self.collection_id(py, &collection?)?);
            }
            if ids.is_empty() {
                return Err(invalid(py, "no collection is named; None stands for all"));
            }
        }
        let token = FlushToken::new(&self.shared, detached(py, || self.shared.db().flush_atomic(&ids))?);
        if wait { token.wait(py, timeout) } else { Ok(Bound::new(py, token)?.into_any()) }
    }

    /// Merges the files of each column family and each table into one, and waits for it.
    ///
    /// ``progress`` is called with a ``Progress`` that counts families and tables; one that is being merged then is merged to its end, in
    /// the background, when it answers False (which raises CancelledError), and after a Ctrl-C.
    #[pyo3(signature = (*, progress=None))]
    fn compact<'py>(&self, py: Python<'py>, progress: Option<&Bound<'py, PyAny>>) -> PyResult<()> {
        let progress = Progress::to(progress, "compact", "collections")?;
        let (families, tables, shared) = (self.families(py)?, self.all_tables(py)?, self.shared.clone());
        long_call(py, &self.shared, &progress, move |steps| {
            let total = (families.len() + tables.len()) as u64;
            let merges = families.iter().map(Merge::Family).chain(tables.iter().map(Merge::Table));
            for (done, merge) in merges.enumerate() {
                steps.tell(done as u64, total)?;
                match merge.run(&shared) {
                    // It is gone, files and all.
                    Err(error) if error.kind() == ErrorKind::Dropped => {}
                    result => result?,
                }
            }
            steps.tell(total, total)
        })
    }

    /// Reads every live file and checks it; raises CorruptionError at the first damage.
    ///
    /// ``progress`` is called with a ``Progress`` that counts bytes, ten times a second at most; the check ends with the file that it is at when it
    /// answers False (which raises CancelledError), and after a Ctrl-C.
    #[pyo3(signature = (*, progress=None))]
    fn verify<'py>(&self, py: Python<'py>, progress: Option<&Bound<'py, PyAny>>) -> PyResult<()> {
        let progress = Progress::to(progress, "verify", "bytes")?;
        let shared = self.shared.clone();
        long_call(py, &self.shared, &progress, move |steps| {
            shared.db().verify_told(&mut |done, total| steps.tell(done, total))
        })
    }

    /// The live files of all column families and tables.
    fn segments<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let mut all = Vec::new();
        for family in self.families(py)? {
            all.extend(segments_of(py, &self.shared, &family)?);
        }
        for table in self.all_tables(py)? {
            all.extend(table::segments_of(py, &self.shared, &table)?);
        }
        Ok(all)
    }
}

/// One merge by hand.
enum Merge<'a> {
    Family(&'a sstore::ColumnFamily),
    Table(&'a sstore::Table),
}

impl Merge<'_> {
    fn run(&self, shared: &Shared) -> sstore::Result<()> {
        match self {
            Self::Family(family) => shared.db().compact(family),
            Self::Table(table) => shared.db().compact_table(table),
        }
    }
}
