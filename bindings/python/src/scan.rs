//! Scans of a table or a family: one pass over record batches, for Python or for any library that reads Arrow streams.

use crate::arrow::capsule::{export_schema, export_stream, schema_in};
use crate::arrow::to_python;
use crate::error::{detached, to_python as error_to_python};
use crate::iterate::EntryScan;
use crate::record_batch::RecordBatch;
use crate::schema::Schema;
use crate::shared::{Owned, Shared};
use arrow_array::{RecordBatch as ArrowBatch, RecordBatchReader};
use arrow_schema::{ArrowError, Schema as ArrowSchema, SchemaRef};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::{MutexExt, PyOnceLock};
use pyo3::types::{PyCapsule, PyDict, PyTuple};
use sstore::read::scan::RowScan;
use sstore::schema::TableSchema;
use sstore::{Error, ErrorKind, Explanation, KeyOptions, TableScan};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is scanned: a table of an open database, a split of one, or the entries of a family.
pub(crate) enum Source {
    Table(TableScan),
    Split(RowScan),
    Entries(EntryScan),
}

impl Iterator for Source {
    type Item = sstore::Result<ArrowBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Table(scan) => scan.next(),
            Self::Split(scan) => scan.next(),
            Self::Entries(scan) => scan.next(),
        }
    }
}

enum State {
    Open(Box<Owned<Source>>),
    /// Everything was handed out.
    Ended,
    /// It went elsewhere, as a stream.
    Taken,
    Closed,
}

/// The rows, or the keys and values, that a scan finds, once, in record batches: a snapshot of when it was made, whatever is written meanwhile.
///
/// It is an Arrow stream, for DuckDB, Polars, pyarrow and others, and an iterator of ``RecordBatch``. A second pass needs
/// a second scan. It keeps what it needs: the table or family may be dropped under it, and every other handle may go. Closing the database
/// ends it. Thread-safe: each batch goes to one of its readers. A context manager; closing it releases what it holds.
#[pyclass(frozen, module = "sstore")]
pub(crate) struct Scan {
    /// Dropped before `shared`, which alone lets go of the interpreter when it is the last.
    state: Mutex<State>,
    schema: SchemaRef,
    snapshot_sequence: u64,
    /// None for entries: there is nothing to leave out.
    explanation: Option<Explanation>,
    /// None for a split, which needs no open database.
    shared: Option<Arc<Shared>>,
}

impl Scan {
    pub(crate) fn of_table(shared: &Arc<Shared>, scan: TableScan) -> Self {
        let (schema, sequence, explanation) = (scan.schema(), scan.snapshot_sequence(), scan.explain());
        Self::new(schema, sequence, Some(explanation), Source::Table(scan), Some(shared.clone()))
    }

    pub(crate) fn of_split(scan: RowScan) -> Self {
        let (plan, schema) = (scan.plan(), scan.schema().clone());
        let (sequence, explanation) = (plan.snapshot(), plan.explain());
        Self::new(schema, sequence, Some(explanation), Source::Split(scan), None)
    }

    pub(crate) fn of_entries(shared: &Arc<Shared>, scan: EntryScan, schema: SchemaRef, sequence: u64) -> Self {
        Self::new(schema, sequence, None, Source::Entries(scan), Some(shared.clone()))
    }

    fn new(
        schema: SchemaRef,
        snapshot_sequence: u64,
        explanation: Option<Explanation>,
        source: Source,
        shared: Option<Arc<Shared>>,
    ) -> Self {
        let state = Mutex::new(State::Open(Box::new(Owned::new(source))));
        Self { state, schema, snapshot_sequence, explanation, shared }
    }

    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, State> {
        self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }

    fn next_batch(&self, py: Python<'_>) -> PyResult<Option<ArrowBatch>> {
        py.check_signals()?;
        let mut guard = self.lock(py);
        let state = &mut *guard;
        let scan = match state {
            State::Open(scan) => scan.get_mut(),
            State::Ended => return Ok(None),
            State::Taken => return Err(consumed(py)),
            State::Closed => return Err(error_to_python(py, &Error::new(ErrorKind::Closed, "the scan was closed"))),
        };
        let batch = detached(py, || scan.next().transpose())?;
        if batch.is_none() {
            let ended = std::mem::replace(state, State::Ended);
            py.detach(move || drop(ended));
        }
        Ok(batch)
    }
}

impl Scan {
    /// How many rows are left.
    pub(crate) fn count(&self, py: Python<'_>) -> PyResult<usize> {
        let mut rows = 0;
        while let Some(batch) = self.next_batch(py)? {
            rows += batch.num_rows();
        }
        Ok(rows)
    }
}

fn consumed(py: Python<'_>) -> PyErr {
    let message = "the scan was read already: a scan is one pass over the table; make another one";
    error_to_python(py, &Error::new(ErrorKind::Closed, message))
}

/// What turns batches into those of the schema that a consumer asks for; None if they are so already, or cannot be: the
/// interface leaves it to the producer, and the consumer looks at what it got.
pub(crate) fn conversion(
    py: Python<'_>,
    schema: &ArrowSchema,
    requested: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<TableSchema>> {
    let Some(requested) = requested.filter(|requested| !requested.is_none()) else { return Ok(None) };
    let requested = schema_in(py, requested)?;
    if crate::schema::same(schema, &requested) {
        return Ok(None);
    }
    let Ok(target) = TableSchema::new(&requested, &[], &KeyOptions::default()) else { return Ok(None) };
    let nullable = |schema: &ArrowSchema| schema.fields().iter().map(|field| field.is_nullable()).collect::<Vec<_>>();
    let exact = schema.fields().len() == requested.fields().len() && nullable(schema) == nullable(&requested);
    let empty = ArrowBatch::new_empty(Arc::new(schema.clone()));
    Ok((exact && target.check_batch(&empty).is_ok()).then_some(target))
}

/// A scan on its way to another library.
struct Reader {
    /// Dropped before `shared`.
    scan: Option<Box<Owned<Source>>>,
    schema: SchemaRef,
    target: Option<TableSchema>,
    /// Keeps the database, and closes it if it is the last to hold it.
    _shared: Option<Arc<Shared>>,
}

impl Iterator for Reader {
    type Item = Result<ArrowBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.scan.as_mut()?.get_mut().next();
        let Some(next) = next else {
            // What it pins is let go of now: a consumer may keep the stream for long.
            self.scan = None;
            return None;
        };
        let converted = next.and_then(|batch| match &self.target {
            Some(target) => target.check_batch(&batch),
            None => Ok(batch),
        });
        Some(converted.map_err(|error| ArrowError::ExternalError(Box::new(error))))
    }
}

impl RecordBatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

#[pymethods]
impl Scan {
    /// The names and types of the columns that come out.
    #[getter]
    fn schema(&self) -> Schema {
        Schema(self.schema.clone())
    }

    /// The last write that the scan sees.
    #[getter]
    fn sequence(&self) -> u64 {
        self.snapshot_sequence
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        export_schema(py, &self.schema)
    }

    /// Hands the scan over as an Arrow stream.
    #[pyo3(signature = (requested_schema=None))]
    pub(crate) fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let target = conversion(py, &self.schema, requested_schema)?;
        let mut state = self.lock(py);
        let scan = match std::mem::replace(&mut *state, State::Taken) {
            State::Open(scan) => scan,
            State::Closed => {
                *state = State::Closed;
                return Err(error_to_python(py, &Error::new(ErrorKind::Closed, "the scan was closed")));
            }
            State::Ended | State::Taken => return Err(consumed(py)),
        };
        drop(state);
        let schema = target.as_ref().map_or_else(|| self.schema.clone(), |target| target.user().clone());
        export_stream(py, Box::new(Reader { scan: Some(scan), schema, target, _shared: self.shared.clone() }))
    }

    /// What the scan of a table reads, and what it leaves out and why. NotSupportedError of a scan of a column family, which reads all.
    fn explain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.explanation {
            Some(found) => explanation(py, found),
            None => {
                let message = "a scan of a column family has no plan: it reads what is in its range";
                Err(error_to_python(py, &Error::new(ErrorKind::NotSupported, message)))
            }
        }
    }

    /// A ``pyarrow.Table`` of all rows.
    pub(crate) fn to_arrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("pyarrow")?.call_method1("table", (slf,))
    }

    /// A ``polars.DataFrame`` of all rows.
    pub(crate) fn to_polars<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("polars")?.call_method1("DataFrame", (slf,))
    }

    /// A ``pandas.DataFrame`` of all rows; needs pyarrow too.
    pub(crate) fn to_pandas<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::to_arrow(slf)?.call_method0("to_pandas")
    }

    /// All rows as dicts.
    fn to_pylist<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        if matches!(*self.lock(py), State::Ended) {
            return Err(consumed(py));
        }
        let mut rows = Vec::new();
        while let Some(batch) = self.next_batch(py)? {
            rows.extend(to_python::rows(py, &batch)?);
        }
        Ok(rows)
    }

    /// The rows one by one, as dicts: of one batch at a time, so that little memory is needed.
    fn rows<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("sstore._views")?.call_method1("rows_of", (slf,))
    }

    /// Releases what the scan holds. Closing twice is allowed.
    fn close(&self, py: Python<'_>) {
        let state = std::mem::replace(&mut *self.lock(py), State::Closed);
        py.detach(move || drop(state));
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<RecordBatch>> {
        Ok(self.next_batch(py)?.map(RecordBatch))
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        let names: Vec<_> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        format!("<sstore.Scan of {} at {}>", names.join(", "), self.snapshot_sequence)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle sstore.Scan: it belongs to an open database"))
    }
}

fn explanation<'py>(py: Python<'py>, explanation: &Explanation) -> PyResult<Bound<'py, PyAny>> {
    static SCAN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static FILE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = FILE.import(py, "sstore._types", "FileExplanation")?;
    let file = |file: &sstore::FileExplanation| {
        class.call1((
            file.number.0,
            file.skipped,
            file.groups,
            file.groups_read,
            file.groups_outside_range,
            file.groups_ruled_out,
            file.whole_filter,
        ))
    };
    let files = explanation.files.iter().map(file).collect::<PyResult<Vec<_>>>()?;
    let class = SCAN.import(py, "sstore._types", "ScanExplanation")?;
    class.call1((explanation.snapshot, explanation.memtables, PyTuple::new(py, files)?, explanation.to_string()))
}
