//! The objects behind the handles of tables, filters and scans, and what their functions share.

use super::import;
use crate::arrow_abi::{ArrowArray, ArrowSchema, Moved};
use crate::handle::{Handles, Held, Object, Use};
use crate::open::{Database, sstore_db};
use crate::{filter::sstore_filter, scan::sstore_scan, table::sstore_table};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Schema;
use engine::{Db, Error, Filter, ReadOptions, Result, ScanOptions, Snapshot, Table};

#[derive(Clone)]
pub(crate) struct TableObject {
    pub(crate) table: Table,
    pub(crate) token: u64,
}

impl Object for TableObject {
    type Opaque = sstore_table;
    const TYPE: u8 = 14;
    const NAME: &'static str = "table";
    const USE: Use = Use::Everywhere;
}

impl Database {
    /// The table of a handle, checked to be of this database.
    pub(crate) fn table(&self, handles: &'static Handles, table: *const sstore_table) -> Result<Held<TableObject>> {
        let table = handles.pin::<TableObject>(table)?;
        self.owns(table.token, TableObject::NAME)?;
        Ok(table)
    }
}

/// A database, and a table of it.
#[inline(always)]
pub(crate) fn table_of(
    handles: &'static Handles,
    db: *const sstore_db,
    table: *const sstore_table,
) -> Result<(Held<Database>, Held<TableObject>)> {
    let database = handles.pin::<Database>(db)?;
    let table = database.table(handles, table)?;
    Ok((database, table))
}

impl TableObject {
    /// Rows of a caller's, by a schema of his or the table's.
    pub(crate) fn rows(&self, rows: Moved<ArrowArray>, schema: Moved<ArrowSchema>) -> Result<RecordBatch> {
        let schema = self.schema_or(schema, || Ok(self.table.schema().as_ref().clone()))?;
        import::batch(rows, &schema, "rows")
    }

    /// Keys of a caller's, by a schema of his or that of the key's columns.
    pub(crate) fn keys(&self, keys: Moved<ArrowArray>, schema: Moved<ArrowSchema>) -> Result<RecordBatch> {
        let schema = self.schema_or(schema, || self.key_columns())?;
        import::batch(keys, &schema, "keys")
    }

    /// One row of the key's leading columns, to begin or end a scan at.
    pub(crate) fn bound(&self, bound: Moved<ArrowArray>, schema: Moved<ArrowSchema>) -> Result<Vec<ArrayRef>> {
        let given = usize::try_from(bound.get("bound")?.n_children).unwrap_or(0);
        let schema = self.schema_or(schema, || {
            let leading = self.key_columns()?.fields().iter().take(given).cloned().collect::<Vec<_>>();
            Ok(Schema::new(leading))
        })?;
        let row = import::batch(bound, &schema, "bound")?;
        if row.num_rows() != 1 || row.num_columns() == 0 {
            let (rows, columns) = (row.num_rows(), row.num_columns());
            let message = format!("`bound` has {rows} rows of {columns} columns: one row of at least one is expected");
            return Err(Error::invalid(message));
        }
        Ok(row.columns().to_vec())
    }

    fn key_columns(&self) -> Result<Schema> {
        let schema = self.table.table_schema();
        if !schema.is_keyed() {
            return Err(Error::invalid(format!(
                "table \"{}\" is append-only: its rows have no keys",
                self.table.name()
            )));
        }
        Ok(schema.keys_schema().as_ref().clone())
    }

    fn schema_or(&self, schema: Moved<ArrowSchema>, own: impl FnOnce() -> Result<Schema>) -> Result<Schema> {
        if schema.is_none() { own() } else { import::schema(schema, "schema") }
    }
}

pub(crate) struct FilterObject(pub(crate) Filter);

impl Object for FilterObject {
    type Opaque = sstore_filter;
    const TYPE: u8 = 15;
    const NAME: &'static str = "filter";
}

/// A scan that is being described.
pub(crate) struct ScanObject {
    pub(crate) db: Db,
    pub(crate) table: TableObject,
    pub(crate) options: ScanOptions,
    pub(crate) snapshot: Option<Snapshot>,
}

impl Object for ScanObject {
    type Opaque = sstore_scan;
    const TYPE: u8 = 16;
    const NAME: &'static str = "scan";
    const USE: Use = Use::Alone;
}

impl ScanObject {
    pub(crate) fn new(database: &Database, table: TableObject) -> Self {
        Self { db: database.db.clone(), table, options: ScanOptions::default(), snapshot: None }
    }

    pub(crate) fn read_options(&self) -> ReadOptions<'_> {
        ReadOptions { snapshot: self.snapshot.as_ref() }
    }
}
