//! Collections: what column families and tables have in common - a place in the catalog, options, a directory, creation and
//! dropping.
//!
//! Called by the verbs of both kinds, by opening and by background jobs.

use super::core::Core;
use super::obsolete_files::remove_folders;
use super::options::Options;
use crate::atomic::{AtomicBool, Ordering};
use crate::commit::ActiveMemtable;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, CollectionKind};
use crate::memtable::{AnyMemtable, AnyMemtableWriter, MemtableKind};
use crate::version::{Change, VersionEdit, file_name};
use crate::view::CollectionView;
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "arrow")]
pub(crate) use super::schemas::Schemas;

/// Without Arrow there are no tables.
#[cfg(not(feature = "arrow"))]
#[derive(Default)]
pub(crate) struct Schemas {}

#[cfg(not(feature = "arrow"))]
impl Schemas {
    pub fn decode(table: &str, stored: &[crate::version::StoredSchema]) -> Result<Self> {
        if stored.is_empty() {
            return Ok(Self {});
        }
        let message = format!("table \"{table}\" cannot be opened: this library was built without Arrow");
        Err(Error::new(ErrorKind::NotSupported, message))
    }

    pub fn stored(&self) -> Vec<crate::version::StoredSchema> {
        Vec::new()
    }

    pub fn memtable_kind(&self) -> MemtableKind {
        MemtableKind::Bytes
    }

    pub fn has_that_of(&self, _operation: &crate::batch::Operation<'_>) -> bool {
        true
    }

    pub fn take_new(&self, _newer: &Self) {}
}

/// A column family or a table, as long as the database is open.
pub(crate) struct Collection {
    pub id: CollectionId,
    pub name: String,
    pub kind: CollectionKind,
    pub options: Options,
    pub directory: PathBuf,
    /// The schemas that a table has had.
    pub schemas: Schemas,
    pub dropped: AtomicBool,
}

impl Collection {
    /// Whether rows may be past their time some day.
    pub fn rows_expire(&self) -> bool {
        #[cfg(feature = "arrow")]
        return super::time_to_live::horizon(self, 0).is_some();
        #[cfg(not(feature = "arrow"))]
        false
    }

    /// What kind of memtable it has.
    pub fn memtable_kind(&self) -> MemtableKind {
        self.schemas.memtable_kind()
    }
}

/// The active memtable of a collection, as the commit lock keeps it.
pub(super) fn active_memtable(
    collection: &Collection,
    writer: AnyMemtableWriter,
    memtable: AnyMemtable,
) -> ActiveMemtable {
    ActiveMemtable {
        collection: collection.id,
        memtable,
        writer,
        logged: collection.options.logged(),
        full_bytes: collection.options.write_buffer_bytes(),
        full_rows: collection.options.write_buffer_rows(),
        batch_end: 0,
    }
}

/// The directory of a collection.
pub(super) fn directory(database: &std::path::Path, kind: CollectionKind, name: &str) -> PathBuf {
    match kind {
        CollectionKind::Bytes => file_name::family_dir(database, name),
        CollectionKind::Rows => file_name::table_dir(database, name),
    }
}

const fn kind_name(kind: CollectionKind) -> &'static str {
    match kind {
        CollectionKind::Bytes => "column family",
        CollectionKind::Rows => "table",
    }
}

impl Core {
    /// The collection of this name and kind; NotFound if there is none.
    pub(super) fn collection_named(&self, name: &str, kind: CollectionKind) -> Result<Arc<Collection>> {
        let catalog = self.catalog.lock();
        let found = catalog.collections.values().find(|collection| collection.name == name);
        match found {
            Some(collection) if collection.kind == kind => Ok(collection.clone()),
            Some(collection) => {
                let (is, wanted) = (kind_name(collection.kind), kind_name(kind));
                Err(Error::new(ErrorKind::NotFound, format!("\"{name}\" is a {is}, not a {wanted}")))
            }
            None => Err(Error::new(ErrorKind::NotFound, format!("there is no {} \"{name}\"", kind_name(kind)))),
        }
    }

    /// The names of all collections of a kind, sorted.
    pub(super) fn collection_names(&self, kind: CollectionKind) -> Vec<String> {
        let catalog = self.catalog.lock();
        let of_kind = catalog.collections.values().filter(|collection| collection.kind == kind);
        let mut names: Vec<String> = of_kind.map(|collection| collection.name.clone()).collect();
        names.sort();
        names
    }

    /// Creates a collection: durable, then visible.
    pub(super) fn create_collection(&self, name: &str, options: &Options, schemas: Schemas) -> Result<Arc<Collection>> {
        self.check_writable()?;
        file_name::check_collection_name(name)?;
        let mut install = self.install.lock();
        if let Some(taken) = self.catalog.lock().collections.values().find(|collection| collection.name == name) {
            return Err(Error::invalid(format!("there is a {} \"{name}\" already", kind_name(taken.kind))));
        }
        let id = install.state.next_collection_id;
        let stored = schemas.stored();
        let kind = if stored.is_empty() { CollectionKind::Bytes } else { CollectionKind::Rows };
        let collection = Arc::new(Collection {
            id,
            name: name.to_owned(),
            kind,
            options: options.clone(),
            directory: directory(&self.path, kind, name),
            schemas,
            dropped: AtomicBool::new(false),
        });
        let (writer, memtable) = self.new_memtable(&collection.memtable_kind())?;
        let active = active_memtable(&collection, writer, memtable);
        let mut edit = VersionEdit::new();
        edit.push(Change::CreateCollection {
            id,
            name: name.to_owned(),
            kind,
            logged: options.logged(),
            options: options.encode_collection(),
        });
        edit.changes.extend(stored.into_iter().map(|schema| Change::AddSchema { collection: id, schema }));
        self.append_edit(&mut install, edit)?;
        let mut state = self.commit.lock()?;
        let mut catalog = self.catalog.lock();
        let part =
            CollectionView { collection: id, active: active.memtable.clone(), frozen: Vec::new(), runs: Vec::new() };
        self.replace_view(&catalog, |view| view.with(part));
        catalog.collections.insert(id, collection.clone());
        state.add(active);
        Ok(collection)
    }

    /// Drops a collection and everything in it: durable, then out of sight, then deleted.
    pub(super) fn drop_collection(&self, collection: &Collection) -> Result<()> {
        let id = collection.id;
        let mut install = self.install.lock();
        if collection.dropped.load(Ordering::SeqCst) {
            let message = format!("{} \"{}\" was dropped already", kind_name(collection.kind), collection.name);
            return Err(Error::new(ErrorKind::Dropped, message));
        }
        // The drop is durable at once. What was written before it, to any collection, must not come after it in a crash.
        self.sync_log(self.commit.visible())?;
        let mut edit = VersionEdit::new();
        edit.push(Change::DropCollection(id));
        self.append_edit(&mut install, edit)?;
        let files: Vec<_> = {
            let mut state = self.commit.lock()?;
            let mut catalog = self.catalog.lock();
            let files = self.current_view().find(id).map(|part| part.runs.clone()).unwrap_or_default();
            collection.dropped.store(true, Ordering::SeqCst);
            self.replace_view(&catalog, |view| view.without(id));
            catalog.collections.remove(&id);
            state.remove(id);
            self.jobs.lock().forget(id);
            files
        };
        // Still under `install`: a collection created anew under this name must not lose its folder.
        for run in &files {
            self.delete_file(collection, &run.meta);
        }
        remove_folders(&*self.env.files, &collection.directory);
        drop(install);
        // Whoever waited for this collection's flush has nothing to wait for, and what it held is free.
        self.work.ring();
        self.progress.ring();
        Ok(())
    }
}
