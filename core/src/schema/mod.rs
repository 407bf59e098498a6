//! What the rows of a table are: columns with ids that never change, and the key that orders the rows.
//!
//! Made when a table is created or changed, kept in the manifest, named by every log record and file that holds rows. A
//! schema never changes; a change makes the next one. Knows no I/O; free to share between threads.
#![doc = include_str!("FORMAT.md")]

mod batch;
mod conform;
mod encoding;
mod evolve;
mod types;
mod widen;

pub use batch::{MAX_BATCH_ROWS, import_foreign, validate_foreign};
pub use evolve::SchemaChange;
pub use widen::{can_widen, widen};

use crate::error::{Error, Result};
use crate::key::{KeyCodec, KeyField};
use arrow_schema::{DataType, Field, Metadata, Schema, SchemaRef};
use std::collections::{HashMap, HashSet};
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

/// The most fields of a table, nested ones counted: what a table's metadata takes in memory and in each file stays small.
pub const MAX_FIELDS: usize = 16_384;

/// The deepest nesting of a type; 1 is a plain column. Foreign readers refuse files with about twice this.
pub const MAX_TYPE_DEPTH: usize = 32;

/// The longest name of a column in bytes.
pub const MAX_NAME_BYTES: usize = 1024;

/// The number of a schema among those that its table has had, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SchemaId(pub u32);

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct TableColumn {
    /// Its id: never changes, never reused in the table.
    pub id: u32,
    /// Name, type and whether it may be null. Types are as the user gave them, but for dictionaries and run-end encodings:
    /// these are ways to hold values, not types, and the column has the type of their values.
    pub field: Field,
}

/// What a table's key may be, and what orders a table that has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyOptions {
    /// Key columns that are declared nullable may hold nulls, which come first and equal each other. Otherwise all key
    /// columns are made not nullable.
    pub nullable_keys: bool,
    /// Floats may be in the key, in IEEE total order: -NaN, -infinity .. -0.0, 0.0 .. infinity, NaN.
    pub float_keys: bool,
    /// Columns by which the files of an append-only table are sorted, each file for itself; they may be null or float. Rows that
    /// are alike keep the order of their arrival. A scan goes from file to file, memory last. Empty: order of arrival.
    pub order_by: Vec<String>,
}

/// The schema of a table. Immutable, shared by all who hold its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSchema {
    id: SchemaId,
    columns: Vec<TableColumn>,
    /// Indexes into `columns`, in key order; empty in an append-only table.
    key: Vec<usize>,
    /// Indexes into `columns`; empty in a keyed table.
    order_by: Vec<usize>,
    next_column_id: u32,
    user: SchemaRef,
    stored: SchemaRef,
    /// Of the key, or of `order_by`.
    codec: Option<KeyCodec>,
    names: HashMap<String, usize>,
    ids: HashMap<u32, usize>,
}

impl TableSchema {
    /// The first schema of a new table with these columns, its key (empty: append-only) and options. Column ids are given
    /// from 1 on, in order. Refuses: no columns, more than [`MAX_FIELDS`], names that are empty, too long, double, hold a
    /// NUL or are `_seq` or `_op`, types that Arrow does not know or that nest too deep, unknown or double key columns, key
    /// columns of a type that a key cannot have.
    pub fn new(schema: &Schema, key: &[&str], options: &KeyOptions) -> Result<Self> {
        let columns = (1u32..).zip(schema.fields());
        let columns = columns.map(|(id, field)| Ok(TableColumn { id, field: types::accept(field)? }));
        let mut columns = columns.collect::<Result<Vec<_>>>()?;
        let find = |name: &str| {
            columns
                .iter()
                .position(|column| column.field.name() == name)
                .ok_or_else(|| Error::invalid(format!("the key names the column {name:?}, which does not exist")))
        };
        let key = key.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
        let order_by = options.order_by.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
        for &index in &key {
            let field = &mut columns[index].field;
            if !options.float_keys && field.data_type().is_floating() {
                return Err(Error::invalid(format!(
                    "the key column {:?} is a float: that needs the option float_keys",
                    field.name()
                )));
            }
            if !options.nullable_keys {
                *field = field.clone().with_nullable(false);
            }
        }
        let next_column_id = columns.len() as u32 + 1;
        Self::assemble(SchemaId(1), columns, key, order_by, next_column_id, schema.metadata().clone())
    }

    /// Puts a schema together from parts of any origin: everything that must hold is checked here.
    fn assemble(
        id: SchemaId,
        columns: Vec<TableColumn>,
        key: Vec<usize>,
        order_by: Vec<usize>,
        next_column_id: u32,
        metadata: Metadata,
    ) -> Result<Self> {
        if id.0 == 0 {
            return Err(Error::invalid("schemas are numbered from 1 on"));
        }
        check_columns(&columns, next_column_id)?;
        if !key.is_empty() && !order_by.is_empty() {
            return Err(Error::invalid("a table with a key is ordered by the key: it takes no order_by"));
        }
        let codec = codec_of(&columns, if key.is_empty() { &order_by } else { &key })?;
        let user = columns.iter().map(|column| with_id(column.field.clone(), column.id)).collect::<Vec<_>>();
        let schema = Self {
            id,
            user: Arc::new(Schema::new_with_metadata(user, metadata)),
            stored: Arc::new(stored_schema(&columns, &key)),
            names: columns.iter().enumerate().map(|(index, column)| (column.field.name().clone(), index)).collect(),
            ids: columns.iter().enumerate().map(|(index, column)| (column.id, index)).collect(),
            columns,
            key,
            order_by,
            next_column_id,
            codec,
        };
        let mut encoded = Vec::new();
        schema.encode(&mut encoded);
        if encoded.len() > encoding::MAX_ENCODED_BYTES {
            let most = encoding::MAX_ENCODED_BYTES >> 20;
            return Err(Error::invalid(format!("a schema has at most {most} MiB, metadata counted")));
        }
        Ok(schema)
    }

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

    /// The indexes of the columns that sort the files of an append-only table; empty: order of arrival, or a keyed table.
    pub fn order_by(&self) -> &[usize] {
        &self.order_by
    }

    /// Whether rows have a key: a later row replaces an earlier one with the same key.
    pub fn is_keyed(&self) -> bool {
        !self.key.is_empty()
    }

    /// The codec of the key. Panics if the table has none: ask [`TableSchema::is_keyed`].
    pub fn key_codec(&self) -> &KeyCodec {
        match &self.codec {
            Some(codec) if self.is_keyed() => codec,
            _ => panic!("an append-only table has no key"),
        }
    }

    /// The codec of [`TableSchema::order_by`]; `None` if that is empty.
    pub fn order_codec(&self) -> Option<&KeyCodec> {
        self.codec.as_ref().filter(|_| !self.is_keyed())
    }

    /// The user's columns as an Arrow schema, field ids in the fields' metadata.
    pub fn user(&self) -> &SchemaRef {
        &self.user
    }

    /// The columns of a stored file: the user's, made nullable where deletes need it, then `_seq`, and in keyed tables `_op`.
    pub fn stored(&self) -> &SchemaRef {
        &self.stored
    }

    /// The id that the next new column will get.
    pub fn next_column_id(&self) -> u32 {
        self.next_column_id
    }

    /// The index of the column with this id.
    pub fn index_of_id(&self, id: u32) -> Option<usize> {
        self.ids.get(&id).copied()
    }

    /// The index of the column with this name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }
}

/// Names, ids and their number.
fn check_columns(columns: &[TableColumn], next_column_id: u32) -> Result<()> {
    if columns.is_empty() {
        return Err(Error::invalid("a table needs at least one column"));
    }
    let fields = columns.iter().map(|column| types::field_count(column.field.data_type())).sum::<usize>();
    if fields > MAX_FIELDS {
        return Err(Error::invalid(format!("a table has at most {MAX_FIELDS} fields, not {fields}")));
    }
    let (mut names, mut ids) = (HashSet::new(), HashSet::new());
    for TableColumn { id, field } in columns {
        let name = field.name();
        let what = match name.as_str() {
            "" => "is empty",
            SEQUENCE_COLUMN | OPERATION_COLUMN => "is kept for the engine",
            _ if name.len() > MAX_NAME_BYTES => "is too long",
            _ if name.contains('\0') => "holds a NUL",
            _ if !names.insert(name) => "is there twice",
            _ => "",
        };
        if !what.is_empty() {
            let shown: String = name.chars().take(64).collect();
            return Err(Error::invalid(format!("the column name {shown:?} {what}")));
        }
        if *id == 0 || *id >= next_column_id || !ids.insert(id) {
            return Err(Error::invalid(format!("the column {name:?} has the id {id}, which is not its own")));
        }
    }
    if next_column_id > SEQUENCE_FIELD_ID {
        return Err(Error::invalid("the table has had too many columns: create it anew"));
    }
    Ok(())
}

/// The codec of the columns at `indexes`; `None` if there are none.
fn codec_of(columns: &[TableColumn], indexes: &[usize]) -> Result<Option<KeyCodec>> {
    if indexes.is_empty() {
        return Ok(None);
    }
    let mut seen = HashSet::new();
    let mut fields = Vec::with_capacity(indexes.len());
    for &index in indexes {
        let column = columns.get(index).ok_or_else(|| Error::invalid("the key names a column that does not exist"))?;
        let field = &column.field;
        if !seen.insert(index) {
            return Err(Error::invalid(format!("the key names the column {:?} twice", field.name())));
        }
        let key_field = KeyField { data_type: field.data_type().clone(), nullable: field.is_nullable() };
        // Alone first: so the error can name the column.
        KeyCodec::new(vec![key_field.clone()]).map_err(|error| error.context(&format!("column {:?}", field.name())))?;
        fields.push(key_field);
    }
    KeyCodec::new(fields).map(Some)
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

#[cfg(test)]
mod tests;
