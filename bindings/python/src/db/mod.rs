//! A database: opening and closing it, and what concerns it as a whole.
//!
//! Here the class stands; what else it can do is in rooms by what that is about, as with a column family.

mod collections;
mod figures;
mod files;
mod read_only;

pub(crate) use read_only::ReadOnlyDB;

use crate::error::{attached, detached};
use crate::events::{self, Listener};
use crate::family::ColumnFamily;
use crate::flush::seconds;
use crate::html::{self, human_bytes};
use crate::options::from_keywords;
use crate::shared::{self, Shared};
use crate::snapshot::Snapshot;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use sstore::{CloseOptions, Error, ErrorKind, Event};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens the database in the directory `path`, which is created if need be.
///
/// Options are keywords; ``sstore.options()`` lists them. With ``read_only=True`` it is a ``ReadOnlyDB``. ``on_event`` is called with an ``Event`` for whatever the engine
/// does in the background, on a thread of the engine; what it raises goes to ``sys.unraisablehook``.
///
/// The same is logged to the logger ``sstore`` of the module ``logging``, from ``DEBUG`` to ``ERROR``: what that logger is enabled for when the
/// database is opened. Handlers run on the engine's thread, one line at a time; they may use the database, but not close it.
#[pyfunction]
#[pyo3(signature = (path, *, on_event=None, **options))]
pub(crate) fn open<'py>(
    py: Python<'py>,
    path: PathBuf,
    on_event: Option<Bound<'py, PyAny>>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, DB>> {
    let keywords = options;
    let options = from_keywords(py, keywords)?;
    if attached(py, || options.get("read_only"))? == "true" {
        return Ok(Bound::new(py, ReadOnlyDB::new(py, path, on_event, keywords)?)?.into_super());
    }
    Bound::new(py, made(py, path, on_event, options)?.1)
}

/// The object of a database that is opened.
fn made(
    py: Python<'_>,
    path: PathBuf,
    on_event: Option<Bound<'_, PyAny>>,
    mut options: sstore::Options,
) -> PyResult<(Arc<Shared>, PyClassInitializer<DB>)> {
    let listener = match on_event {
        Some(callback) if !callback.is_callable() => return Err(PyTypeError::new_err("on_event must be callable")),
        Some(callback) => Some(Arc::new(Listener::new(callback.unbind()))),
        None => None,
    };
    if let Some(listener) = listener.clone() {
        options.set_listener(Arc::new(move |event: &Event| listener.deliver(event)));
    }
    if let Some((level, logger)) = events::logger(py, path.clone())? {
        options.set_logger(level, logger);
    }
    let buffered = attached(py, || options.get("durability"))? == "buffered";
    let db = detached(py, || sstore::Db::open(&path, &options))?;
    let family = db.default_family();
    let shared = Shared::new(db, buffered, listener);
    let base = PyClassInitializer::from(ColumnFamily { shared: shared.clone(), family });
    Ok((shared.clone(), base.add_subclass(DB { shared })))
}

/// Removes the database in the directory `path`; refuses one that is open. Files that are not the database's stay.
#[pyfunction]
pub(crate) fn destroy(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    detached(py, || sstore::Db::destroy(&path))
}

/// Closes every database that is open; registered to run when the interpreter ends.
#[pyfunction]
#[pyo3(name = "_close_all")]
pub(crate) fn close_all(py: Python<'_>) {
    shared::close_all(py);
}

/// An open database, and as a mapping its default column family.
///
/// A context manager that closes it. Every method may be called from any thread. The methods of ``ColumnFamily`` concern
/// the default family; ``flush``, ``compact`` and ``segments`` concern all families.
#[pyclass(frozen, subclass, mapping, extends = ColumnFamily, module = "sstore")]
pub(crate) struct DB {
    shared: Arc<Shared>,
}

#[pymethods]
impl DB {
    /// The database's directory.
    #[getter]
    fn path(&self) -> &Path {
        self.shared.db().path()
    }

    /// Whether the database was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.shared.db().is_closed()
    }

    /// What stopped the background work or made the database read-only, or else the damage of a file that did not open; or None.
    #[getter]
    fn background_error(&self, py: Python<'_>) -> Option<PyErr> {
        self.shared.db().background_error().map(|error| crate::error::to_python(py, &error))
    }

    /// Closes the database; every later use raises ClosedError. Closing twice is allowed.
    ///
    /// ``flush`` overrides the option ``flush_on_close``; ``timeout`` in seconds bounds the wait for background work.
    /// Iterators and snapshots that are still open end, unless ``force=False``, which raises BusyError instead.
    #[pyo3(signature = (*, flush=None, timeout=None, force=true))]
    fn close(&self, py: Python<'_>, flush: Option<bool>, timeout: Option<f64>, force: bool) -> PyResult<()> {
        if events::in_callback() {
            let message = "close waits for the thread that delivers events, and this is it: close from another thread";
            return Err(crate::error::to_python(py, &Error::new(ErrorKind::Busy, message)));
        }
        let (db, options) = (self.shared.db(), CloseOptions { flush, timeout: seconds(py, timeout)?, force });
        if !db.is_closed() {
            detached(py, || match db.close(&options) {
                // Another thread was faster.
                Err(error) if error.kind() == ErrorKind::Closed => Ok(()),
                result => result,
            })?;
        }
        if let Some(listener) = &self.shared.listener {
            listener.clear(py);
        }
        Ok(())
    }

    /// A snapshot of all column families and tables, as a context manager.
    ///
    /// Of the present; or with ``sequence`` of the moment of an older one that is still open, and GapError if there is none.
    #[pyo3(signature = (sequence=None))]
    fn snapshot(&self, py: Python<'_>, sequence: Option<u64>) -> PyResult<Snapshot> {
        let db = self.shared.db();
        let taken = attached(py, || sequence.map_or_else(|| db.snapshot(), |sequence| db.snapshot_at(sequence)))?;
        Ok(Snapshot::new(&self.shared, taken))
    }

    /// Waits until the disk has every write so far.
    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        detached(py, || self.shared.db().sync_wal())
    }

    /// Takes up background work and writes again after a failure whose cause is gone, such as a full disk.
    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        detached(py, || self.shared.db().resume())
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        // A forked child that leaves the block, by sys.exit perhaps, has nothing to close.
        if self.shared.is_forked() { Ok(()) } else { self.close(py, None, None, true) }
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (py, db, class) = (slf.py(), slf.get(), slf.get_type().name()?);
        let path = db.shared.db().path();
        Ok(match attached(py, || Ok((db.shared.db().column_families()?.len(), db.shared.db().stats()))) {
            Ok((families, stats)) => {
                let plural = if families == 1 { "y" } else { "ies" };
                let bytes = human_bytes(stats.file_bytes + stats.memtable_bytes);
                format!("<sstore.{class} {path:?} open, {families} column famil{plural}, {bytes}>")
            }
            Err(_) => format!("<sstore.{class} {path:?} closed>"),
        })
    }

    /// A picture of the levels and a table of the live files, for notebooks.
    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (py, db) = (slf.py(), slf.get());
        let mut collections = Vec::new();
        if !db.closed() {
            for family in db.families(py)? {
                let segments = detached(py, || db.shared.db().segments(&family))?;
                collections.push((family.name().to_owned(), segments));
            }
            for table in db.all_tables(py)? {
                let segments = detached(py, || db.shared.db().table_segments(&table))?;
                collections.push((table.name().to_owned(), segments));
            }
        }
        Ok(html::title(&Self::__repr__(slf)?) + &html::files(&collections))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        // While a column family or an iterator uses the database too, its events are wanted, whoever else holds the callable.
        match &self.shared.listener {
            Some(listener) if Arc::strong_count(&self.shared) == 2 => listener.visit(&visit),
            _ => Ok(()),
        }
    }

    fn __clear__(&self, py: Python<'_>) {
        if let Some(listener) = &self.shared.listener {
            listener.clear(py);
        }
    }
}
