//! What the rows of a table are: columns with ids that never change, and the key that orders the rows.
//!
//! Made when a table is created or changed, kept in the manifest, named by every log record and file that holds rows. A
//! schema never changes; a change makes the next one.

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// The name of the column that holds each stored row's sequence.
pub const SEQUENCE_COLUMN: &str = "_seq";

/// The name of the column that says what each stored row does: 0 put, 1 delete.
pub const OPERATION_COLUMN: &str = "_op";

/// The field metadata key under which Parquet and Arrow carry field ids.
pub const FIELD_ID_METADATA: &str = "PARQUET:field_id";

/// The field id of [`SEQUENCE_COLUMN`]; user columns have smaller ones.
pub const SEQUENCE_FIELD_ID: u32 = 1_000_000;

/// The field id of [`OPERATION_COLUMN`].
pub const OPERATION_FIELD_ID: u32 = 1_000_001;

/// The number of a schema among those that its table has had, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SchemaId(pub u32);

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct TableColumn {
    /// Its id: never changes, never reused in the table.
    pub id: u32,
    /// Name, type and whether it may be null, as the user gave them.
    pub field: Field,
}

/// The schema of a table. Immutable, shared by all who hold its rows.
#[derive(Debug, Clone)]
pub struct TableSchema {
    id: SchemaId,
    columns: Vec<TableColumn>,
    /// Indexes into `columns`, in key order; empty in an append-only table.
    key: Vec<usize>,
    next_column_id: u32,
    user: SchemaRef,
    stored: SchemaRef,
}

impl TableSchema {
    /// Its number within the table.
    pub fn id(&self) -> SchemaId {
        self.id
    }

    /// The columns in order.
    pub fn columns(&self) -> &[TableColumn] {
        &self.columns
    }

    /// The indexes of the key's columns, in key order; empty in an append-only table.
    pub fn key(&self) -> &[usize] {
        &self.key
    }

    /// Whether rows have a key: a later row replaces an earlier one with the same key.
    pub fn is_keyed(&self) -> bool {
        !self.key.is_empty()
    }

    /// The user's columns as an Arrow schema, field ids in the fields' metadata.
    pub fn user(&self) -> &SchemaRef {
        &self.user
    }

    /// The columns of a stored file: the user's, made nullable where deletes need it, then `_seq`, and in keyed tables `_op`.
    pub fn stored(&self) -> &SchemaRef {
        &self.stored
    }

    /// A hash of all that makes the schema what it is.
    pub fn fingerprint(&self) -> u64 {
        u64::from(self.id.0)
    }

    /// The id that the next new column will get.
    pub fn next_column_id(&self) -> u32 {
        self.next_column_id
    }
}

/// A field with its id in the metadata.
fn with_id(field: Field, id: u32) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(FIELD_ID_METADATA.to_owned(), id.to_string());
    field.with_metadata(metadata)
}

/// The stored form of a schema: see [`TableSchema::stored`].
fn stored_schema(columns: &[TableColumn], key: &[usize]) -> Schema {
    let mut fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let field = with_id(column.field.clone(), column.id);
            let nullable = field.is_nullable() || (!key.is_empty() && !key.contains(&index));
            field.with_nullable(nullable)
        })
        .collect();
    fields.push(with_id(Field::new(SEQUENCE_COLUMN, DataType::Int64, false), SEQUENCE_FIELD_ID));
    if !key.is_empty() {
        fields.push(with_id(Field::new(OPERATION_COLUMN, DataType::Int8, false), OPERATION_FIELD_ID));
    }
    Schema::new(fields)
}
