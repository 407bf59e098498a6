//! Tables: handles to them, and how they are created, looked up, changed, written and dropped.

use super::collection::Collection;
use super::options::Options;
use super::schemas::{Schemas, stored};
use super::write::WriteOptions;
use super::{Db, Handle, time_to_live};
use crate::batch::{PreparedRows, WriteBatch};
use crate::commit::ActiveMemtable;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, CollectionKind, Kind, Sequence};
use crate::memtable::MemtableKind;
use crate::observe::{EventKind, FlushReason};
use crate::schema::{KeyOptions, SchemaChange, TableSchema};
use crate::sst::check_row_format;
use crate::version::{Change, VersionEdit};
use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A handle to a table: rows of an Arrow schema. Cloning gives another handle to the same one. Any thread may use it; it keeps
/// the database open.
#[derive(Clone)]
pub struct Table {
    pub(super) handle: Arc<Handle>,
    pub(crate) collection: Arc<Collection>,
}

impl Table {
    /// The table's name.
    pub fn name(&self) -> &str {
        &self.collection.name
    }

    /// The table's id; never reused, also not after a drop.
    pub fn id(&self) -> CollectionId {
        self.collection.id
    }

    /// Whether it was dropped.
    pub fn is_dropped(&self) -> bool {
        self.collection.dropped.load(Ordering::Relaxed)
    }

    /// The options in force for it: those that it was created with, but for those that the database was opened with. Options of the
    /// whole database are at their defaults in it. Another table created with them is like this one.
    pub fn options(&self) -> Options {
        self.collection.options.of_collection()
    }

    /// The columns in force, as they were given.
    pub fn schema(&self) -> SchemaRef {
        let schema = self.current();
        let fields: Vec<_> = schema.columns().iter().map(|column| column.field.clone()).collect();
        Arc::new(Schema::new(fields))
    }

    /// The schema in force, with the engine's own facts.
    pub fn table_schema(&self) -> Arc<TableSchema> {
        self.current()
    }

    /// The names of the key's columns in key order; none in an append-only table.
    pub fn key(&self) -> Vec<String> {
        let schema = self.current();
        schema.key().iter().map(|&index| schema.columns()[index].field.name().clone()).collect()
    }

    /// The names of the columns that the files of an append-only table are sorted by; none if there are none.
    pub fn order_by(&self) -> Vec<String> {
        let schema = self.current();
        schema.order_by().iter().map(|&index| schema.columns()[index].field.name().clone()).collect()
    }

    pub(super) fn current(&self) -> Arc<TableSchema> {
        match self.collection.schemas.current() {
            Some(schema) => schema,
            None => unreachable!("a table has a schema from its creation on"),
        }
    }

    /// Adds rows to a write batch: each replaces the row with its key, if the table has one. Columns are matched by name; of
    /// rows with the same key only the last one counts. InvalidArgument names the column and the row that do not fit.
    pub fn put_rows(&self, batch: &mut WriteBatch, rows: &RecordBatch) -> Result<()> {
        let prepared = PreparedRows::prepare(&self.current(), rows, Kind::Rows).map_err(|error| self.named(error))?;
        batch.add_rows(self.id(), Arc::new(prepared))
    }

    /// Adds deletes to a write batch: of the rows with these keys, given as the key's columns.
    pub fn delete_rows(&self, batch: &mut WriteBatch, keys: &RecordBatch) -> Result<()> {
        let prepared =
            PreparedRows::prepare(&self.current(), keys, Kind::RowDelete).map_err(|error| self.named(error))?;
        batch.add_rows(self.id(), Arc::new(prepared))
    }

    fn check_same(&self, schema: &TableSchema) -> Result<()> {
        self.current().check_same(schema).map_err(|error| self.named(error))
    }

    fn named(&self, error: Error) -> Error {
        error.context(&format!("table \"{}\"", self.name()))
    }
}

/// How often a write is prepared anew because the schema changed meanwhile.
const SCHEMA_TRIES: u32 = 10;

impl Db {
    fn table_handle(&self, collection: Arc<Collection>) -> Table {
        Table { handle: self.handle.clone(), collection }
    }

    /// Refuses a table of another database.
    pub(super) fn check_table(&self, table: &Table) -> Result<()> {
        if !Arc::ptr_eq(&self.handle, &table.handle) {
            return Err(Error::invalid(format!("table \"{}\" belongs to another database", table.name())));
        }
        Ok(())
    }

    /// Creates a table of these columns. With `key` columns a later row replaces an earlier one with the same key, and scans come
    /// in key order; without, rows are only appended. Durable when it returns. InvalidArgument if the name is taken or not
    /// allowed, or names the column that cannot be; NotSupported names a column that the table's file format cannot hold.
    ///
    /// With the options `ttl_column` and `ttl_seconds` rows do not live for ever. A merge that takes the file of a row whose time lies
    /// more than `ttl_seconds` before the merge's beginning leaves the row out; of a keyed table it is as if the key had been deleted, so
    /// that no older row of the key comes back. Until then the row is read like any other, and nothing says when a merge comes but
    /// [`Db::compact_table`], which always makes one. What a snapshot sees stays for all as long as the snapshot is open. Rows
    /// without a time never go. The column is known by its id: it may be renamed, and not be dropped.
    pub fn create_table(
        &self,
        name: &str,
        schema: &Schema,
        key: &[&str],
        key_options: &KeyOptions,
        options: &Options,
    ) -> Result<Table> {
        let core = &self.handle.core;
        let schema = TableSchema::new(schema, key, key_options)?;
        check_row_format(&schema, options.row_file_options().format)?;
        time_to_live::check(&schema, options)?;
        let created = core.create_collection(name, options, Schemas::of_new_table(schema.clone()));
        let collection = created.or_else(|error| match self.table(name) {
            // Of the two errors the one about the schema says more.
            Ok(table) => table.check_same(&schema).and(Err(error)),
            Err(_) => Err(error),
        })?;
        core.event(EventKind::TableCreated, |event| event.collection = name.to_owned());
        Ok(self.table_handle(collection))
    }

    /// The table of this name; an error of kind NotFound if there is none.
    pub fn table(&self, name: &str) -> Result<Table> {
        self.handle.core.check()?;
        let collection = self.handle.core.collection_named(name, CollectionKind::Rows)?;
        Ok(self.table_handle(collection))
    }

    /// The table of this name, if it has these columns, this key and this order. NotFound if there is none; InvalidArgument names the
    /// fingerprints of both schemas, and the first difference.
    pub fn open_table(&self, name: &str, schema: &Schema, key: &[&str], key_options: &KeyOptions) -> Result<Table> {
        let table = self.table(name)?;
        table.check_same(&TableSchema::new(schema, key, key_options)?)?;
        Ok(table)
    }

    /// The names of all tables, sorted.
    pub fn tables(&self) -> Result<Vec<String>> {
        self.handle.core.check()?;
        Ok(self.handle.core.collection_names(CollectionKind::Rows))
    }

    /// Drops a table and everything in it. Durable when it returns. Handles to it answer Dropped from now on; scans that run go on.
    /// After an error it is as before, as of [`drop_column_family`](Self::drop_column_family).
    pub fn drop_table(&self, table: &Table) -> Result<()> {
        let core = &self.handle.core;
        core.check_writable()?;
        self.check_table(table)?;
        core.drop_collection(&table.collection)?;
        core.event(EventKind::TableDropped, |event| event.collection = table.name().to_owned());
        Ok(())
    }

    /// Changes the columns of a table. Durable when it returns; nothing is rewritten: rows that were written before are read under
    /// the new schema. Write batches made before are refused with Conflict. NotSupported names a new column that the table's file
    /// format cannot hold.
    pub fn alter_table(&self, table: &Table, change: &SchemaChange) -> Result<()> {
        let core = &self.handle.core;
        core.check_writable()?;
        self.check_table(table)?;
        let mut install = core.install.lock();
        if table.is_dropped() {
            return Err(Error::new(ErrorKind::Dropped, format!("table \"{}\" was dropped", table.name())));
        }
        time_to_live::check_change(&table.collection, &table.current(), change).map_err(|error| table.named(error))?;
        let next = Arc::new(table.current().evolve(change).map_err(|error| table.named(error))?);
        check_row_format(&next, table.collection.options.row_file_options().format)
            .map_err(|error| table.named(error))?;
        // Had before anything changes: without it writers would have a schema in force, and a memtable of another.
        let memtable = core.new_memtable(&MemtableKind::Rows(next.clone()))?;
        let mut edit = VersionEdit::new();
        edit.push(Change::AddSchema { collection: table.id(), schema: stored(&next) });
        core.append_edit(&mut install, edit)?;
        // From here on memtables have the new schema; a write that was prepared under the old one finds out in the commit lock.
        let mut state = core.commit.lock()?;
        table.collection.schemas.push(next);
        core.freeze_for(&mut state, vec![(table.id(), Some(memtable))], FlushReason::SchemaChange, 0);
        drop((state, install));
        core.event(EventKind::TableAltered, |event| event.collection = table.name().to_owned());
        Ok(())
    }

    /// Puts rows into a table: they become visible at once and together, at the sequence that is returned.
    pub fn append(&self, table: &Table, rows: &RecordBatch, options: &WriteOptions) -> Result<Sequence> {
        self.write_rows(table, options, |batch| table.put_rows(batch, rows))
    }

    /// Deletes the rows with these keys, given as the key's columns, whether they exist or not.
    pub fn delete_from(&self, table: &Table, keys: &RecordBatch, options: &WriteOptions) -> Result<Sequence> {
        self.write_rows(table, options, |batch| table.delete_rows(batch, keys))
    }

    fn write_rows(
        &self,
        table: &Table,
        options: &WriteOptions,
        fill: impl Fn(&mut WriteBatch) -> Result<()>,
    ) -> Result<Sequence> {
        self.check_table(table)?;
        let mut tries = 0;
        loop {
            let mut batch = WriteBatch::new();
            fill(&mut batch)?;
            tries += 1;
            match self.write(&batch, options) {
                Err(error) if error.kind() == ErrorKind::Conflict && tries < SCHEMA_TRIES => {}
                outcome => return outcome,
            }
        }
    }
}

/// Makes room for the rows of a batch that go to one table. Refuses rows for a column family, and rows whose schema is not in
/// force any more.
pub(super) fn reserve_rows(active: &mut ActiveMemtable, rows: &[(CollectionId, Arc<PreparedRows>)]) -> Result<()> {
    let id = active.collection;
    let mine = rows.iter().filter(|(collection, _)| *collection == id).map(|(_, rows)| &**rows);
    let current = active.memtable.rows().map(|memtable| memtable.schema().id());
    for rows in mine.clone() {
        match current {
            Some(schema) if schema == rows.schema().id() => {}
            Some(_) => {
                let message = "the table's schema changed since the rows were added to the batch";
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            None => return Err(Error::invalid("rows cannot be written to a column family")),
        }
    }
    active.writer.reserve_rows(mine)
}
