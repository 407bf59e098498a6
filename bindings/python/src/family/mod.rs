//! A column family as a `MutableMapping`, with the calls that a mapping lacks. `DB` extends it: a database is also its
//! default family.
//!
//! Here the class stands; its methods are in rooms by what they do, each beside the functions that snapshots and batches share with it.

mod files;
mod iterate;
mod mapping;
mod read;
mod target;
mod write;

pub(crate) use files::flush;
pub(crate) use iterate::scan_entries;
pub(crate) use mapping::{equal, view};
pub(crate) use read::{read, read_into, read_many, read_many_arrow};
pub(crate) use target::{Target, write_options};

use crate::error::{detached, invalid};
use crate::html;
use crate::options::to_keywords;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

/// The family that an argument names, which must be of the database `shared`; the default one for None.
pub(crate) fn resolve(
    py: Python<'_>,
    shared: &Arc<Shared>,
    family: Option<&Bound<'_, ColumnFamily>>,
) -> PyResult<sstore::ColumnFamily> {
    match family.map(Bound::get) {
        None => Ok(shared.db().default_family()),
        Some(family) if Arc::ptr_eq(&family.shared, shared) => Ok(family.family.clone()),
        Some(_) => Err(invalid(py, "the column family is of another database")),
    }
}

/// A named collection of keys and values inside a database: a sorted, persistent ``MutableMapping`` of bytes to bytes.
///
/// Every method may be called from any thread. ``sync=True`` makes a write wait until the disk has it.
#[pyclass(frozen, subclass, mapping, module = "sstore")]
pub(crate) struct ColumnFamily {
    /// Dropped first: whoever drops the last handle closes the database, and only [`Shared`] lets go of the interpreter for that.
    pub(crate) family: sstore::ColumnFamily,
    pub(crate) shared: Arc<Shared>,
}

impl ColumnFamily {
    fn at(&self, py: Python<'_>, snapshot: Option<&Bound<'_, Snapshot>>) -> PyResult<Option<sstore::Snapshot>> {
        snapshot.map(|snapshot| snapshot.get().of(py, &self.shared)).transpose()
    }
}

#[pymethods]
impl ColumnFamily {
    /// The family's name.
    #[getter]
    fn name(&self) -> &str {
        self.family.name()
    }

    /// The family's number in the database; never used again after a drop.
    #[getter]
    fn id(&self) -> u32 {
        self.family.id().0
    }

    /// Whether the family was dropped.
    #[getter]
    fn dropped(&self) -> bool {
        self.family.is_dropped()
    }

    /// The options in force, as keywords of ``create_column_family``.
    #[getter]
    fn options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        to_keywords(py, &self.family.options())
    }

    /// A picture of the levels and a table of the live files, for notebooks.
    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        let segments = match self.shared.db().is_closed() || self.family.is_dropped() {
            true => Vec::new(),
            false => detached(py, || self.shared.db().segments(&self.family))?,
        };
        Ok(html::title(&self.__repr__()) + &html::files(&[(self.family.name().to_owned(), segments)]))
    }

    fn __repr__(&self) -> String {
        let state = if self.shared.db().is_closed() {
            " closed"
        } else if self.family.is_dropped() {
            " dropped"
        } else {
            ""
        };
        format!("<sstore.ColumnFamily {:?} of {:?}{state}>", self.family.name(), self.shared.db().path())
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<()> {
        let name = slf.get_type().name()?;
        Err(PyTypeError::new_err(format!(
            "cannot pickle sstore.{name}: give the path to the other process, and open it there (read_only=True beside a writer)"
        )))
    }
}
