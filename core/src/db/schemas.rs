//! The schemas that a table has had: the newest in force, the older ones for what was written under them.

use crate::batch::{Operation, PreparedRows, RowsHeader};
use crate::error::{Error, Result};
use crate::lock::Mutex;
use crate::memtable::MemtableKind;
use crate::schema::{SchemaId, TableSchema};
use crate::version::StoredSchema;
use arrow_buffer::Buffer;
use std::sync::Arc;

/// A table's schemas, oldest first; none in a column family. Any thread may use it.
#[derive(Default)]
pub(crate) struct Schemas {
    all: Mutex<Vec<Arc<TableSchema>>>,
}

impl Schemas {
    /// The schemas of a new table.
    pub fn of_new_table(schema: TableSchema) -> Self {
        Self { all: Mutex::new(vec![Arc::new(schema)]) }
    }

    /// The schemas as the manifest has them.
    pub fn decode(table: &str, stored: &[StoredSchema]) -> Result<Self> {
        let decode = |schema: &StoredSchema| {
            let decoded = TableSchema::decode(&schema.bytes)
                .map_err(|error| error.context(&format!("schema {} of table \"{table}\"", schema.id)))?;
            Ok(Arc::new(decoded))
        };
        Ok(Self { all: Mutex::new(stored.iter().map(decode).collect::<Result<_>>()?) })
    }

    /// The schemas as the manifest keeps them.
    pub fn stored(&self) -> Vec<StoredSchema> {
        self.all.lock().iter().map(|schema| stored(schema)).collect()
    }

    /// The schema that the table was created with; `None` in a column family.
    pub fn first(&self) -> Option<Arc<TableSchema>> {
        self.all.lock().first().cloned()
    }

    /// The schema in force; `None` in a column family.
    pub fn current(&self) -> Option<Arc<TableSchema>> {
        self.all.lock().last().cloned()
    }

    /// The schema with this number, if the table ever had it.
    pub fn find(&self, id: SchemaId) -> Option<Arc<TableSchema>> {
        self.all.lock().iter().find(|schema| schema.id() == id).cloned()
    }

    /// Puts a schema in force.
    pub fn push(&self, schema: Arc<TableSchema>) {
        self.all.lock().push(schema);
    }

    /// Whether the schema of the rows of a logged operation is known, if it has any.
    pub fn has_that_of(&self, operation: &Operation<'_>) -> bool {
        let header = if operation.kind.is_rows() { RowsHeader::decode(operation.key) } else { None };
        header.is_none_or(|header| self.find(header.schema).is_some())
    }

    /// Takes over those of `newer`, which has all that are here, and perhaps further ones.
    pub fn take_new(&self, newer: &Self) {
        let newer = newer.all.lock().clone();
        *self.all.lock() = newer;
    }

    /// The rows of a logged operation, under the schema in force. `damaged` makes an error that names the record.
    pub fn decode_rows(&self, operation: &Operation<'_>, damaged: &dyn Fn(&str) -> Error) -> Result<Arc<PreparedRows>> {
        let header = RowsHeader::decode(operation.key).ok_or_else(|| damaged("rows without a header"))?;
        let written = self.find(header.schema).ok_or_else(|| damaged("rows of a schema that the table never had"))?;
        let rows = PreparedRows::decode_ipc(&written, &Buffer::from(operation.value), operation.kind)
            .map_err(|error| damaged(error.message()))?;
        if rows.rows() != header.rows as usize {
            return Err(damaged("rows that are counted other than they are"));
        }
        match self.current() {
            Some(current) if current.id() != written.id() => Ok(Arc::new(rows.adapt(&current)?)),
            _ => Ok(Arc::new(rows)),
        }
    }

    /// What memtables hold rows of the schema in force.
    pub fn memtable_kind(&self) -> MemtableKind {
        match self.current() {
            None => MemtableKind::Bytes,
            Some(schema) => MemtableKind::Rows(schema),
        }
    }
}

/// A schema as the manifest keeps it.
pub(super) fn stored(schema: &TableSchema) -> StoredSchema {
    let mut bytes = Vec::new();
    schema.encode(&mut bytes);
    StoredSchema { id: schema.id().0, bytes: bytes.into() }
}
