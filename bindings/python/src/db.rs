//! Opening and closing a database, and what concerns it as a whole.

use crate::error::{attached, detached, invalid};
use crate::events::{self, Listener};
use crate::family::{self, ColumnFamily};
use crate::flush::{FlushToken, seconds};
use crate::html::{self, human_bytes};
use crate::long_call::{Progress, long_call};
use crate::options::{from_keywords, texts};
use crate::rows::names_in;
use crate::schema::schema_of;
use crate::segments::segments_of;
use crate::shared::{self, Shared};
use crate::snapshot::Snapshot;
use crate::table::{self, Table};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use sstore::{CloseOptions, Error, ErrorKind, Event, KeyOptions};
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

impl DB {
    fn families(&self, py: Python<'_>) -> PyResult<Vec<sstore::ColumnFamily>> {
        attached(py, || {
            let names = self.shared.db().column_families()?;
            // One that is dropped in between is not there any more.
            Ok(names.iter().filter_map(|name| self.shared.db().column_family(name).ok()).collect())
        })
    }

    /// The id of a family or table, which must be of this database.
    fn collection_id(&self, py: Python<'_>, given: &Bound<'_, PyAny>) -> PyResult<sstore::CollectionId> {
        match (given.cast::<ColumnFamily>(), given.cast::<Table>()) {
            (Ok(family), _) => Ok(family::resolve(py, &self.shared, Some(family))?.id()),
            (_, Ok(table)) if Arc::ptr_eq(&table.get().shared, &self.shared) => Ok(table.get().table.id()),
            (_, Ok(_)) => Err(invalid(py, "the table is of another database")),
            _ => Err(PyTypeError::new_err("flush_atomic takes column families and tables")),
        }
    }

    fn wrap(&self, family: sstore::ColumnFamily) -> ColumnFamily {
        ColumnFamily { shared: self.shared.clone(), family }
    }

    fn wrap_table(&self, table: sstore::Table) -> Table {
        Table { shared: self.shared.clone(), table }
    }

    fn all_tables(&self, py: Python<'_>) -> PyResult<Vec<sstore::Table>> {
        attached(py, || {
            let names = self.shared.db().tables()?;
            Ok(names.iter().filter_map(|name| self.shared.db().table(name).ok()).collect())
        })
    }
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

    /// Makes a column family. Its options are keywords and are stored with it.
    #[pyo3(signature = (name, /, **options))]
    fn create_column_family(
        &self,
        py: Python<'_>,
        name: &str,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<ColumnFamily> {
        let options = from_keywords(py, options)?;
        detached(py, || self.shared.db().create_column_family(name, &options)).map(|family| self.wrap(family))
    }

    /// The column family with this name; NotFoundError if there is none.
    fn column_family(&self, py: Python<'_>, name: &str) -> PyResult<ColumnFamily> {
        attached(py, || self.shared.db().column_family(name)).map(|family| self.wrap(family))
    }

    /// The names of all column families, sorted.
    fn column_families(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        attached(py, || self.shared.db().column_families())
    }

    /// Drops a column family, given by name or as object, with all it holds.
    fn drop_column_family(&self, py: Python<'_>, family: &Bound<'_, PyAny>) -> PyResult<()> {
        let family = match family.cast::<ColumnFamily>() {
            Ok(family) => family::resolve(py, &self.shared, Some(family))?,
            Err(_) => {
                let name: String = family.extract()?;
                attached(py, || self.shared.db().column_family(&name))?
            }
        };
        detached(py, || self.shared.db().drop_column_family(&family))
    }

    /// The table with this name: opened, or created if ``schema`` is given and there is none.
    ///
    /// ``schema`` is an Arrow schema, a data frame that has one, or a dict of names to types. ``key`` names the key's columns; without, the
    /// table is append-only, its files sorted by ``order_by`` if that is given. ``format`` is that of its files, ``parquet`` or ``arrow``; it and the other
    /// options are stored with the table when it is created. A table that is there must have this schema and key.
    #[pyo3(signature = (name, schema=None, key=None, format=None, *, order_by=None, nullable_keys=false, float_keys=false, **options))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn table(
        &self,
        py: Python<'_>,
        name: &str,
        schema: Option<&Bound<'_, PyAny>>,
        key: Option<&Bound<'_, PyAny>>,
        format: Option<&str>,
        order_by: Option<&Bound<'_, PyAny>>,
        nullable_keys: bool,
        float_keys: bool,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Table> {
        let mut options = from_keywords(py, options)?;
        if let Some(format) = format {
            attached(py, || options.set("table_format", format))?;
        }
        let Some(schema) = schema else {
            return attached(py, || self.shared.db().table(name)).map(|table| self.wrap_table(table));
        };
        let schema = schema_of(py, schema)?;
        let names = |given: Option<&Bound<'_, PyAny>>| given.map(names_in).transpose().map(Option::unwrap_or_default);
        let (key, order_by) = (names(key)?, names(order_by)?);
        let key_options = KeyOptions { nullable_keys, float_keys, order_by };
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        let open = || self.shared.db().open_table(name, &schema, &key, &key_options);
        let table = detached(py, || match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let created = self.shared.db().create_table(name, &schema, &key, &key_options, &options);
                // Another thread may have been faster.
                created.or_else(|error| open().map_err(|_| error))
            }
            found => found,
        })?;
        Ok(self.wrap_table(table))
    }

    /// The names of all tables, sorted.
    fn tables(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        attached(py, || self.shared.db().tables())
    }

    /// Drops a table, given by name or as object, with all its rows. Scans that run go on.
    fn drop_table(&self, py: Python<'_>, table: &Bound<'_, PyAny>) -> PyResult<()> {
        let table = match table.cast::<Table>() {
            Ok(table) => table.get().table.clone(),
            Err(_) => {
                let name: String = table.extract()?;
                attached(py, || self.shared.db().table(&name))?
            }
        };
        detached(py, || self.shared.db().drop_table(&table))
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

    /// Waits until the disk has every write so far.
    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        detached(py, || self.shared.db().sync_wal())
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

    /// Takes up background work and writes again after a failure whose cause is gone, such as a full disk.
    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        detached(py, || self.shared.db().resume())
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

    /// Figures of the database: sizes in bytes, counters, and histograms in nanoseconds.
    ///
    /// The histograms are those of ``write``, ``get``, ``seek``, ``sync`` (waits for the log to be durable), ``fsync`` (of each file and
    /// directory), ``flush``, ``merge``, ``stall`` and ``delay`` (of writers). One in ``one_in`` is timed, the others are not counted either.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let db = self.shared.db();
        let stats = attached(py, || {
            // Tells the closed and the forked database, which the figures themselves do not.
            db.column_families()?;
            Ok(db.stats())
        })?;
        let open = db.open_objects();
        let figures = PyDict::new(py);
        for (name, value) in [
            ("sequence", stats.sequence),
            ("durable_sequence", stats.durable_sequence),
            ("memtable_bytes", stats.memtable_bytes),
            ("frozen_memtables", stats.frozen_memtables),
            ("frozen_bytes", stats.frozen_bytes),
            ("spare_bytes", stats.spare_bytes),
            ("resident_bytes", stats.resident_bytes),
            ("cache_bytes", stats.cache_bytes),
            ("cache_hits", stats.cache_hits),
            ("cache_misses", stats.cache_misses),
            ("log_bytes", stats.log_bytes),
            ("log_segments", stats.log_segments),
            ("file_bytes", stats.file_bytes),
            ("files", stats.files),
            ("events_dropped", stats.events_dropped),
            ("families", stats.families),
            ("open_iterators", open.iterators),
            ("open_snapshots", open.snapshots),
        ] {
            figures.set_item(name, value)?;
        }
        let counters = PyDict::new(py);
        for (name, value) in &stats.counters {
            counters.set_item(name, value)?;
        }
        let histograms = PyDict::new(py);
        for (name, summary) in &stats.histograms {
            let histogram = PyDict::new(py);
            for (name, value) in [
                ("count", summary.count),
                ("sum", summary.sum),
                ("p50", summary.p50),
                ("p99", summary.p99),
                ("p999", summary.p999),
                ("max", summary.max),
                ("one_in", summary.one_in),
            ] {
                histogram.set_item(name, value)?;
            }
            histograms.set_item(name, histogram)?;
        }
        figures.set_item("counters", counters)?;
        figures.set_item("histograms", histograms)?;
        Ok(figures)
    }

    /// Counters, times, memory by owner, amplification and the size of each family and table, in the text format of Prometheus: to be
    /// served as it is, as `text/plain; version=0.0.4`.
    fn metrics_text(&self, py: Python<'_>) -> PyResult<String> {
        let db = self.shared.db();
        attached(py, || db.metrics_text())
    }

    /// Memory by owner, in bytes.
    ///
    /// ``total_bytes`` is the sum of what memtables (``active``, ``frozen``, ``pinned``), spares, caches and open files hold;
    /// beside it stand the budget, the memtables' share of it, and what caches may hold now.
    fn memory_use<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let db = self.shared.db();
        let held = attached(py, || db.column_families().map(|_| db.memory_use()))?;
        let figures = PyDict::new(py);
        for (name, value) in [
            ("budget_bytes", held.budget_bytes),
            ("memtable_share_bytes", held.memtable_share_bytes),
            ("total_bytes", held.total_bytes()),
            ("active_memtable_bytes", held.active_memtable_bytes),
            ("frozen_memtable_bytes", held.frozen_memtable_bytes),
            ("pinned_memtable_bytes", held.pinned_memtable_bytes),
            ("spare_bytes", held.spare_bytes),
            ("cache_bytes", held.cache_bytes),
            ("cache_limit_bytes", held.cache_limit_bytes),
            ("file_bytes", held.file_bytes),
        ] {
            figures.set_item(name, value)?;
        }
        Ok(figures)
    }

    /// Who needs the oldest record of the log, and so its oldest segment; None if all that was logged is in files.
    ///
    /// A dict of ``collection`` (the family or table: flushing it shortens the log), ``sequence``, ``segment`` (its number) and
    /// ``is_frozen`` (its flush is on its way).
    fn log_pin<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let db = self.shared.db();
        let Some(pin) = attached(py, || db.column_families().map(|_| db.log_pin()))? else { return Ok(None) };
        let figures = PyDict::new(py);
        figures.set_item("collection", pin.collection)?;
        figures.set_item("sequence", pin.sequence)?;
        figures.set_item("segment", pin.segment.0)?;
        figures.set_item("is_frozen", pin.is_frozen)?;
        Ok(Some(figures))
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
        Ok(html::database(&Self::__repr__(slf)?, &collections))
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

/// A database that is open for reading, without a lock and without changing a byte, also beside a writer in this or another process.
///
/// The same as ``sstore.open(path, read_only=True)``. It shows what was there when it was opened; ``refresh`` brings it up to date.
///
/// It can be pickled, and copied: as its path and options, with which whoever unpickles it opens the database for itself, as it is by then. So it may
/// be handed to the workers of ``multiprocessing`` or of a data loader, who refresh it when they like. Its iterators, tables and
/// snapshots cannot, and a process that was forked opens anew.
#[pyclass(frozen, mapping, extends = DB, module = "sstore")]
pub(crate) struct ReadOnlyDB {
    shared: Arc<Shared>,
    /// As it was opened, from wherever the other process may be.
    path: PathBuf,
    options: Vec<(String, String)>,
}

#[pymethods]
impl ReadOnlyDB {
    #[new]
    #[pyo3(signature = (path, *, on_event=None, **options))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        on_event: Option<Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let path = std::path::absolute(path)?;
        let mut options = texts(options)?;
        options.retain(|(name, _)| name != "read_only");
        let mut parsed = sstore::Options::new();
        for (name, text) in &options {
            attached(py, || parsed.set(name, text))?;
        }
        attached(py, || parsed.set("read_only", "true"))?;
        let (shared, base) = made(py, path.clone(), on_event, parsed)?;
        Ok(base.add_subclass(Self { shared, path, options }))
    }

    /// Shows from now on what the writer has done by now. True if reads may answer otherwise than before.
    ///
    /// Whatever was acknowledged before the call is in it, and it never goes back. Iterators, scans, snapshots and views that are held go on as
    /// they are; column families and tables show the new state, and raise DroppedError if they were dropped. Waits for nobody. After an
    /// error all is as it was; BusyError says to try again.
    fn refresh(&self, py: Python<'_>) -> PyResult<bool> {
        detached(py, || self.shared.db().refresh()).map(|refreshed| refreshed.changed)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let keywords = PyDict::new(py);
        for (name, text) in &this.options {
            keywords.set_item(name, text)?;
        }
        let make = py.import("copyreg")?.getattr("__newobj_ex__")?;
        let path = this.path.as_os_str();
        (make, (slf.get_type(), (path,), keywords)).into_bound_py_any(py)
    }

    // Of its own, as that of `DB` counts on two holders. And a class between two others that have none would be visited without an end: the compiler
    // makes one function of theirs, and by its address pyo3 tells which class it is at.
    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match &self.shared.listener {
            Some(listener) if Arc::strong_count(&self.shared) == 3 => listener.visit(&visit),
            _ => Ok(()),
        }
    }

    fn __clear__(&self, py: Python<'_>) {
        if let Some(listener) = &self.shared.listener {
            listener.clear(py);
        }
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
