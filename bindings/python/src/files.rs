//! The files of families and tables: told, exported, and put together again by a repair.

use crate::kept::Kept;
use crate::long_call::{self, Progress, long_call};
use crate::options::from_keywords;
use crate::schema::Schema;
use crate::shared::Shared;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyTuple};
use sstore::{Export, ExportedFile, FileFormat, LiveFile, RepairOptions, RepairedFile};
use std::path::PathBuf;
use std::sync::Arc;

/// The files that a family or table consists of at one moment: a sequence of ``LiveFile``, oldest first.
///
/// Of two versions of a key the one in the later file is the newer one. A context manager: until it is closed, or gone, none of the
/// files is deleted. It does not keep the database open; once that was closed, opening it again for writing deletes what merges
/// replaced. Thread-safe.
#[pyclass(frozen, sequence, module = "sstore")]
pub(crate) struct LiveFiles {
    files: Py<PyTuple>,
    /// The moment: later writes are not part of it, though files may hold some.
    #[pyo3(get)]
    sequence: u64,
    /// Every write up to this one is in the files. If it is less than ``sequence``, the rest was in memory.
    #[pyo3(get)]
    complete_through: u64,
    schema: Option<arrow_schema::SchemaRef>,
    kept: Kept,
}

impl LiveFiles {
    pub(crate) fn new(py: Python<'_>, live: sstore::LiveFiles) -> PyResult<Self> {
        let files = live.files.iter().map(|file| describe(py, file)).collect::<PyResult<Vec<_>>>()?;
        Ok(Self {
            files: PyTuple::new(py, files)?.unbind(),
            sequence: live.sequence,
            complete_through: live.complete_through,
            schema: live.schema.as_ref().map(|schema| schema.user().clone()),
            kept: Kept::new(live),
        })
    }
}

#[pymethods]
impl LiveFiles {
    /// The columns of the table at that moment; None of a family.
    #[getter]
    fn schema(&self) -> Option<Schema> {
        self.schema.clone().map(Schema)
    }

    /// Lets go of the files. Closing twice is allowed.
    fn close(&self, py: Python<'_>) {
        self.kept.close(py);
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.files.bind(py).len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.files.bind(py).as_any().get_item(index)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.files.bind(py).try_iter()
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) {
        self.close(py);
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<sstore.LiveFiles: {} at {}>", self.files.bind(py).len(), self.sequence)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle sstore.LiveFiles: send list(files), and keep this while they are read"))
    }
}

/// A file as `sstore.LiveFile`.
fn describe<'py>(py: Python<'py>, file: &LiveFile) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let format = match file.format {
        FileFormat::Blocks => "blocks",
        FileFormat::Parquet => "parquet",
        FileFormat::Ipc => "arrow",
    };
    let fields = PyDict::new(py);
    fields.set_item("number", file.number.0)?;
    fields.set_item("path", &file.path)?;
    fields.set_item("format", format)?;
    fields.set_item("level", file.level)?;
    fields.set_item("size_bytes", file.size_bytes)?;
    fields.set_item("rows", file.rows)?;
    fields.set_item("tombstones", file.tombstones)?;
    fields.set_item("multi_version", file.multi_version)?;
    fields.set_item("smallest", PyBytes::new(py, &file.smallest))?;
    fields.set_item("largest", PyBytes::new(py, &file.largest))?;
    fields.set_item("smallest_sequence", file.smallest_sequence)?;
    fields.set_item("largest_sequence", file.largest_sequence)?;
    fields.set_item("schema_id", file.schema_id)?;
    fields.set_item("checksum", file.checksum)?;
    CLASS.import(py, "sstore._types", "LiveFile")?.call((), Some(&fields))
}

/// Has `call` export something, and tell whom it is given of it; what it made, as `sstore.Export`.
pub(crate) fn export<'py>(
    py: Python<'py>,
    shared: &Arc<Shared>,
    progress: Option<&Bound<'py, PyAny>>,
    call: impl FnOnce(&mut dyn FnMut(u64, u64) -> sstore::Result<()>) -> sstore::Result<Export> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>> {
    let progress = Progress::to(progress, "export", "bytes")?.of_small_steps();
    let export = long_call(py, shared, &progress, move |steps| call(&mut |done, total| steps.tell(done, total)))?;
    exported(py, &export)
}

fn exported<'py>(py: Python<'py>, export: &Export) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static FILE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = FILE.import(py, "sstore._types", "ExportedFile")?;
    let file = |file: &ExportedFile| class.call1((&file.name, describe(py, &file.file)?));
    let files = export.files.iter().map(file).collect::<PyResult<Vec<_>>>()?;
    let class = CLASS.import(py, "sstore._types", "Export")?;
    class.call1((PyTuple::new(py, files)?, export.sequence, export.copied))
}

/// Makes a database in the directory `new_path`, which must be new or empty, from what can be read of the one in `path`.
///
/// The damaged one must not be open, and is only read. ``link=True`` gives files a second name instead of copying them, where that can be.
/// ``source_wal_dir`` is where its log lies, if not in its directory. Options are those of the new database. Raises if nothing
/// could be made; what was left out is in the report.
///
/// ``progress`` is called with a ``Progress`` that counts bytes read and written, ten times a second at most. If it answers False (which raises
/// CancelledError), or after a Ctrl-C, the repair ends with the file that it is reading, and nothing is left of the new database.
#[pyfunction]
#[pyo3(signature = (path, new_path, *, link=false, source_wal_dir=None, progress=None, **options))]
pub(crate) fn repair<'py>(
    py: Python<'py>,
    path: PathBuf,
    new_path: PathBuf,
    link: bool,
    source_wal_dir: Option<PathBuf>,
    progress: Option<&Bound<'py, PyAny>>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static FILE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static SEGMENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let options = RepairOptions { options: from_keywords(py, options)?, source_wal_dir, link };
    let progress = Progress::to(progress, "repair", "bytes")?.of_small_steps();
    let report = long_call::run(py, None, &progress, move |steps| {
        sstore::Db::repair_told(&path, &new_path, &options, &mut |done, total| steps.tell(done, total))
    })?;
    let class = FILE.import(py, "sstore._types", "RepairedFile")?;
    let file = |file: &RepairedFile| {
        let number = file.number.map(|number| number.0);
        class.call1((&file.path, &file.collection, number, file.rows, &file.skipped))
    };
    let files = report.files.iter().map(file).collect::<PyResult<Vec<_>>>()?;
    let class = SEGMENT.import(py, "sstore._types", "SalvagedSegment")?;
    let segment = |segment: &sstore::wal::SalvagedSegment| {
        class.call1((&segment.path, segment.number.0, segment.records, segment.stopped()))
    };
    let log = report.log.iter().map(segment).collect::<PyResult<Vec<_>>>()?;
    CLASS.import(py, "sstore._types", "RepairReport")?.call1((
        &report.manifest_error,
        PyTuple::new(py, files)?,
        PyTuple::new(py, log)?,
        report.log_operations,
        report.log_operations_lost,
        PyTuple::new(py, &report.collections)?,
    ))
}
