//! The column families and tables of a database: made, found, listed, dropped.

use super::DB;
use crate::error::{attached, detached, invalid};
use crate::family::{self, ColumnFamily};
use crate::options::from_keywords;
use crate::rows::names_in;
use crate::schema::schema_of;
use crate::table::Table;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sstore::{ErrorKind, KeyOptions};
use std::sync::Arc;

impl DB {
    pub(super) fn families(&self, py: Python<'_>) -> PyResult<Vec<sstore::ColumnFamily>> {
        attached(py, || {
            let names = self.shared.db().column_families()?;
            // One that is dropped in between is not there any more.
            Ok(names.iter().filter_map(|name| self.shared.db().column_family(name).ok()).collect())
        })
    }

    pub(super) fn all_tables(&self, py: Python<'_>) -> PyResult<Vec<sstore::Table>> {
        attached(py, || {
            let names = self.shared.db().tables()?;
            Ok(names.iter().filter_map(|name| self.shared.db().table(name).ok()).collect())
        })
    }

    /// The id of a family or table, which must be of this database.
    pub(super) fn collection_id(&self, py: Python<'_>, given: &Bound<'_, PyAny>) -> PyResult<sstore::CollectionId> {
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
}

#[pymethods]
impl DB {
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
    /// ``schema`` is an Arrow schema, a data frame that has one, or a dict of names to types: ``"int32"``, ``"timestamp[us, UTC]"`` and so
    /// on, ``str``, ``bytes``, ``int``, ``float`` or ``bool``, or the type of an Arrow library. ``key`` names the key's columns; without, the
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
}
