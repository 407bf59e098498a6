//! Databases of other engines come in.

use crate::long_call::{Progress, long_call};
use crate::shared::Shared;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use sstore::{ColumnFamily, LevelDbImport};
use std::path::PathBuf;
use std::sync::Arc;

/// Imports a database of LevelDB; the result as `sstore.LevelDBImport`.
pub(crate) fn leveldb<'py>(
    py: Python<'py>,
    shared: &Arc<Shared>,
    family: ColumnFamily,
    source: PathBuf,
    skip_damaged: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let progress = Progress::to(progress, "import", "bytes")?.of_small_steps();
    let database = shared.clone();
    let done = long_call(py, shared, &progress, move |steps| {
        let options = LevelDbImport { skip_damaged };
        database
            .db()
            .import_leveldb(&family, &source, &options, &mut |now| steps.tell(now.bytes_read, now.bytes_total).is_ok())
    })?;
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
