//! Rows set value by value: what is behind a row builder.
//!
//! The values of a row that is not appended yet lie behind those of the appended ones, at most one in each column.

mod column;

use super::objects::TableObject;
use crate::handle::{Object, Use};
use crate::row_builder::sstore_row_builder;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};
use column::Column;
use engine::schema::MAX_BATCH_ROWS;
use engine::{Db, Error, Result};
use std::sync::Arc;

/// Rows of a table, or keys of it, column by column.
pub(crate) struct BuilderObject {
    pub(crate) db: Db,
    pub(crate) table: TableObject,
    pub(crate) of_keys: bool,
    columns: Vec<Column>,
    schema: SchemaRef,
    rows: usize,
}

impl Object for BuilderObject {
    type Opaque = sstore_row_builder;
    const TYPE: u8 = 17;
    const NAME: &'static str = "row builder";
    const USE: Use = Use::Alone;
}

impl BuilderObject {
    /// For the columns that the table has now, or those of its key.
    pub(crate) fn new(db: Db, table: TableObject, of_keys: bool) -> Result<Self> {
        let schema = table.table.table_schema();
        let given = match (of_keys, schema.is_keyed()) {
            (false, _) => table.table.schema(),
            (true, true) => schema.keys_schema(),
            (true, false) => {
                let name = table.table.name();
                return Err(Error::invalid(format!("table \"{name}\" is append-only: its rows have no keys")));
            }
        };
        let columns: Vec<Column> = given.fields().iter().map(|field| Column::new(field)).collect();
        let schema = Arc::new(Schema::new(columns.iter().map(|column| column.field().clone()).collect::<Vec<_>>()));
        Ok(Self { db, table, of_keys, columns, schema, rows: 0 })
    }

    /// How many rows were appended.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    #[inline]
    pub(crate) fn column(&mut self, index: usize) -> Result<&mut Column> {
        let count = self.columns.len();
        self.columns
            .get_mut(index)
            .ok_or_else(|| Error::invalid(format!("there is no column {index}: the builder has {count}")))
    }

    /// Ends a row. What was not set is null; on an error nothing changes.
    pub(crate) fn append(&mut self) -> Result<()> {
        if self.rows >= MAX_BATCH_ROWS {
            return Err(Error::invalid(format!("a batch has at most {MAX_BATCH_ROWS} rows: write what is there")));
        }
        self.columns.iter().try_for_each(Column::check)?;
        self.columns.iter_mut().for_each(Column::append);
        self.rows += 1;
        Ok(())
    }

    /// A copy of the rows.
    pub(crate) fn batch(&self) -> Result<RecordBatch> {
        if self.columns.iter().any(Column::is_begun) {
            return Err(Error::invalid("the last row was begun and not appended: append it, or clear the builder"));
        }
        let columns = self.columns.iter().map(|column| column.array(self.rows)).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| Error::invalid(error.to_string()))
    }

    /// Forgets all rows and keeps the memory for the next ones.
    pub(crate) fn clear(&mut self) {
        self.columns.iter_mut().for_each(Column::clear);
        self.rows = 0;
    }
}
