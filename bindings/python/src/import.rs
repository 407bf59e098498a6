//! Databases of other engines come in, with a callable that is told how far it is.

use crate::error::detached;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use sstore::{ColumnFamily, Db, ImportProgress, LevelDbImport};
use std::path::Path;

/// Imports a database of LevelDB; the result as `sstore.LevelDBImport`. Ctrl-C ends it, as does what the callable raises.
pub(crate) fn leveldb<'py>(
    py: Python<'py>,
    db: &Db,
    family: &ColumnFamily,
    source: &Path,
    skip_damaged: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let mut raised = None;
    let done = detached(py, || {
        let options = LevelDbImport { skip_damaged };
        db.import_leveldb(family, source, &options, &mut |now| {
            // Without an interpreter nobody waits for the import any more.
            let told = Python::try_attach(|py| {
                py.check_signals()?;
                progress.as_ref().map_or(Ok(true), |progress| tell(py, progress, now))
            });
            match told {
                Some(Ok(goes_on)) => goes_on,
                Some(Err(error)) => {
                    raised = Some(error);
                    false
                }
                None => false,
            }
        })
    });
    if let Some(error) = raised {
        return Err(error);
    }
    let done = done?;
    let damage: Vec<String> = done.damage.iter().map(ToString::to_string).collect();
    CLASS.import(py, "sstore._types", "LevelDBImport")?.call1((
        done.progress.entries,
        done.payload_bytes,
        done.progress.bytes_read,
        done.skipped,
        done.skipped_bytes,
        PyTuple::new(py, damage)?,
        done.torn_bytes,
    ))
}

/// Whether the callable wants the import to go on: whatever it returns but False.
fn tell(py: Python<'_>, progress: &Py<PyAny>, now: &ImportProgress) -> PyResult<bool> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.import(py, "sstore._types", "ImportProgress")?;
    let answer = progress.bind(py).call1((class.call1((now.bytes_read, now.bytes_total, now.entries))?,))?;
    Ok(!answer.is(pyo3::types::PyBool::new(py, false)))
}
