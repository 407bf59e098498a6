//! The figures of a database: counters, times, memory, the log.

use super::DB;
use crate::error::attached;
use pyo3::prelude::*;
use pyo3::types::PyDict;

#[pymethods]
impl DB {
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
}
