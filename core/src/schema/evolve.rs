//! The next schema of a table, and rows of an earlier one as rows of a later one. Columns are told apart by id, never by name:
//! a column that was dropped and added again under its old name is another one.

use super::batch::build;
use super::{SchemaId, TableColumn, TableSchema, can_widen, types, widen};
use crate::error::{Error, Result};
use arrow_array::{ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// One change of a table's schema. Files that are there stay as they are; their rows are adapted when they are read.
#[derive(Debug, Clone, PartialEq)]
pub enum SchemaChange {
    /// A new column, nullable: rows that are there have nulls in it.
    Add {
        /// Name and type.
        field: Field,
        /// The index that it takes; `None`: last.
        position: Option<usize>,
    },
    /// Takes a column away, not one of the key or the order.
    Drop {
        /// Its name.
        name: String,
    },
    /// Gives a column another name.
    Rename {
        /// Its name.
        name: String,
        /// Its name from now on.
        to: String,
    },
    /// Puts the columns in another order. The order of the key's columns is not touched.
    Reorder {
        /// All names, in the new order.
        names: Vec<String>,
    },
    /// Gives a column, not one of the key or the order, a type that has all values of its type: see [`can_widen`].
    Widen {
        /// Its name.
        name: String,
        /// Its type from now on.
        data_type: DataType,
    },
}

impl TableSchema {
    /// The schema after `change`, numbered one higher. Refused with the column's name: unknown columns, what [`SchemaChange`]
    /// excludes, and what [`TableSchema::new`] refuses.
    pub fn evolve(&self, change: &SchemaChange) -> Result<Self> {
        let mut columns = self.columns().to_vec();
        let mut next_column_id = self.next_column_id();
        match change {
            SchemaChange::Add { field, position } => {
                let field = types::accept(field)?;
                if !field.is_nullable() {
                    let why = "rows that are there have no value for it";
                    return Err(Error::invalid(format!("the new column {:?} must be nullable: {why}", field.name())));
                }
                let position = position.unwrap_or(columns.len());
                if position > columns.len() {
                    return Err(Error::invalid(format!("there is no position {position}")));
                }
                columns.insert(position, TableColumn { id: next_column_id, field });
                next_column_id += 1;
            }
            SchemaChange::Drop { name } => {
                let index = self.free_column(name, "dropped")?;
                columns.remove(index);
            }
            SchemaChange::Rename { name, to } => {
                let index = self.known_column(name)?;
                columns[index].field = columns[index].field.clone().with_name(to);
            }
            SchemaChange::Reorder { names } => {
                let indexes = names.iter().map(|name| self.known_column(name)).collect::<Result<Vec<_>>>()?;
                if indexes.len() != columns.len() {
                    let (given, all) = (indexes.len(), columns.len());
                    return Err(Error::invalid(format!("an order of {given} columns was given for {all}")));
                }
                // A name that is there twice leaves an id twice, which is refused below.
                columns = indexes.into_iter().map(|index| columns[index].clone()).collect();
            }
            SchemaChange::Widen { name, data_type } => {
                let index = self.free_column(name, "widened")?;
                let field = columns[index].field.clone().with_data_type(data_type.clone());
                let field = types::accept(&field)?;
                let from = columns[index].field.data_type();
                if !can_widen(from, field.data_type()) {
                    return Err(Error::invalid(format!(
                        "column {name:?} cannot be widened from {from} to {data_type}"
                    )));
                }
                columns[index].field = field;
            }
        }
        let id = self.id().0.checked_add(1).ok_or_else(|| Error::invalid("the table has had too many schemas"))?;
        let moved = |indexes: &[usize]| -> Result<Vec<usize>> {
            let ids = indexes.iter().map(|&index| self.columns()[index].id);
            let index_of = |id| columns.iter().position(|column| column.id == id);
            ids.map(|id| index_of(id).ok_or_else(|| Error::invalid("a column of the key is gone"))).collect()
        };
        let (key, order_by) = (moved(self.key())?, moved(self.order_by())?);
        Self::assemble(SchemaId(id), columns, key, order_by, next_column_id, self.user().metadata().clone())
    }

    fn known_column(&self, name: &str) -> Result<usize> {
        self.index_of(name).ok_or_else(|| Error::invalid(format!("there is no column {name:?}")))
    }

    /// A column that does not order rows.
    fn free_column(&self, name: &str, what: &str) -> Result<usize> {
        let index = self.known_column(name)?;
        if self.key().contains(&index) || self.order_by().contains(&index) {
            return Err(Error::invalid(format!("column {name:?} orders the rows and cannot be {what}")));
        }
        Ok(index)
    }

    /// The columns with these ids, in that order, as [`TableSchema::user`] has them. Refuses unknown ids.
    pub fn user_projection(&self, columns: &[u32]) -> Result<SchemaRef> {
        self.projection(self.user(), columns)
    }

    /// The columns with these ids, in that order, as [`TableSchema::stored`] has them. Refuses unknown ids.
    pub fn stored_projection(&self, columns: &[u32]) -> Result<SchemaRef> {
        self.projection(self.stored(), columns)
    }

    fn projection(&self, schema: &Schema, columns: &[u32]) -> Result<SchemaRef> {
        let field = |id: &u32| {
            let index =
                self.index_of_id(*id).ok_or_else(|| Error::invalid(format!("there is no column with id {id}")))?;
            Ok(schema.fields()[index].clone())
        };
        let fields = columns.iter().map(field).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
    }

    /// Rows of the schema `from`, this one or an earlier one of the same table, as rows of this one: the columns with the ids
    /// `columns`, in that order, typed as [`TableSchema::stored_projection`] says. `batch` has columns of `from` by their
    /// names there, in any order; others (`_seq`, `_op`) are passed over. Columns that `from` did not have are nulls. Refuses
    /// ids that this schema does not have, and columns of `from` that are asked for and not in `batch`.
    ///
    /// Requires: valid arrays.
    pub fn adapt(&self, from: &Self, batch: RecordBatch, columns: &[u32]) -> Result<RecordBatch> {
        let mut given: Vec<Option<&ArrayRef>> = vec![None; from.columns().len()];
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if let Some(index) = from.index_of(field.name()) {
                given[index] = Some(column);
            }
        }
        let schema = self.stored_projection(columns)?;
        let adapted = columns.iter().zip(schema.fields()).map(|(id, field)| {
            let Some(index) = from.index_of_id(*id) else {
                return Ok(new_null_array(field.data_type(), batch.num_rows()));
            };
            let name = from.columns()[index].field.name();
            let column = given[index].ok_or_else(|| Error::invalid(format!("column {name:?} was not read")))?;
            let cannot = || {
                let (from, to) = (column.data_type(), field.data_type());
                Error::invalid(format!("column {name:?} of the type {from} cannot be read as {to}"))
            };
            widen(column, field.data_type())
                .or_else(|| super::conform::conform(column, field.data_type()).ok())
                .ok_or_else(cannot)
        });
        let adapted = adapted.collect::<Result<Vec<_>>>()?;
        build(schema, adapted, batch.num_rows())
    }
}
