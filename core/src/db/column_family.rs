//! Column families: handles to them, and how they are created, looked up and dropped.

use super::core::Core;
use super::options::Options;
use super::{Db, Handle};
use crate::commit::ActiveMemtable;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, CollectionKind};
use crate::memtable::{AnyMemtable, AnyMemtableWriter, MemtableKind};
use crate::observe::EventKind;
use crate::version::{Change, VersionEdit, file_name};
use crate::view::CollectionView;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The name of the family that every database has; it cannot be dropped.
pub const DEFAULT_FAMILY: &str = "default";

/// What is fixed about a family while the database is open.
pub(crate) struct Collection {
    pub id: CollectionId,
    pub name: String,
    pub options: Options,
    pub directory: PathBuf,
    pub dropped: AtomicBool,
}

impl Collection {
    /// What kind of memtable it has.
    pub fn memtable_kind(&self) -> MemtableKind {
        MemtableKind::Bytes
    }
}

/// A handle to a column family: its own space of keys. Cloning gives another handle to the same one. Any thread may use it; it
/// keeps the database open.
#[derive(Clone)]
pub struct ColumnFamily {
    handle: Arc<Handle>,
    pub(crate) collection: Arc<Collection>,
}

impl ColumnFamily {
    /// The family's name.
    pub fn name(&self) -> &str {
        &self.collection.name
    }

    /// The family's id, for write batches; never reused, also not after a drop.
    pub fn id(&self) -> CollectionId {
        self.collection.id
    }

    /// Whether it was dropped.
    pub fn is_dropped(&self) -> bool {
        self.collection.dropped.load(Ordering::Relaxed)
    }
}

impl Core {
    /// The active memtable of a family, as the commit lock keeps it.
    pub(super) fn active_memtable(&self, collection: &Collection) -> Result<ActiveMemtable> {
        let (writer, memtable) = self.new_memtable(&collection.memtable_kind())?;
        Ok(active_memtable(collection, writer, memtable))
    }
}

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

impl Db {
    fn family_handle(&self, collection: Arc<Collection>) -> ColumnFamily {
        ColumnFamily { handle: self.handle.clone(), collection }
    }

    /// Refuses a family of another database. A dropped one is found out when it is looked for in the view.
    #[inline]
    pub(super) fn check_family(&self, family: &ColumnFamily) -> Result<()> {
        if !Arc::ptr_eq(&self.handle, &family.handle) {
            return Err(Error::invalid(format!("column family \"{}\" belongs to another database", family.name())));
        }
        Ok(())
    }

    /// The family that every database has.
    pub fn default_family(&self) -> ColumnFamily {
        let catalog = self.handle.core.catalog.lock();
        match catalog.collections.get(&CollectionId(0)) {
            Some(collection) => self.family_handle(collection.clone()),
            None => unreachable!("opening made the default family"),
        }
    }

    /// The family of this name; an error of kind NotFound if there is none.
    pub fn column_family(&self, name: &str) -> Result<ColumnFamily> {
        self.handle.core.check()?;
        let catalog = self.handle.core.catalog.lock();
        match catalog.collections.values().find(|collection| collection.name == name) {
            Some(collection) => Ok(self.family_handle(collection.clone())),
            None => Err(Error::new(ErrorKind::NotFound, format!("there is no column family \"{name}\""))),
        }
    }

    /// The names of all families, sorted.
    pub fn column_families(&self) -> Result<Vec<String>> {
        self.handle.core.check()?;
        let catalog = self.handle.core.catalog.lock();
        let mut names: Vec<String> = catalog.collections.values().map(|collection| collection.name.clone()).collect();
        names.sort();
        Ok(names)
    }

    /// Creates a family. Durable when it returns. Its options of scope [`Collection`](super::OptionScope::Collection) are stored
    /// with it. InvalidArgument if the name is taken or not allowed.
    pub fn create_column_family(&self, name: &str, options: &Options) -> Result<ColumnFamily> {
        let core = &self.handle.core;
        core.check_writable()?;
        file_name::check_collection_name(name)?;
        let mut install = core.install.lock();
        if core.catalog.lock().collections.values().any(|collection| collection.name == name) {
            return Err(Error::invalid(format!("there is a column family \"{name}\" already")));
        }
        let id = install.state.next_collection_id;
        let collection = Arc::new(Collection {
            id,
            name: name.to_owned(),
            options: options.clone(),
            directory: file_name::family_dir(&core.path, name),
            dropped: AtomicBool::new(false),
        });
        let active = core.active_memtable(&collection)?;
        let mut edit = VersionEdit::new();
        edit.push(Change::CreateCollection {
            id,
            name: name.to_owned(),
            kind: CollectionKind::Bytes,
            logged: options.logged(),
            options: options.encode_collection(),
        });
        core.append_edit(&mut install, edit)?;
        let mut state = core.commit.lock()?;
        let mut catalog = core.catalog.lock();
        let part =
            CollectionView { collection: id, active: active.memtable.clone(), frozen: Vec::new(), runs: Vec::new() };
        core.replace_view(&catalog, |view| view.with(part));
        catalog.collections.insert(id, collection.clone());
        state.add(active);
        drop((catalog, state, install));
        core.event(EventKind::ColumnFamilyCreated, |event| event.collection = name.to_owned());
        Ok(self.family_handle(collection))
    }

    /// Drops a family and everything in it. Durable when it returns. Handles to it answer Dropped from now on; iterators that
    /// stand in it go on. The default family cannot be dropped.
    pub fn drop_column_family(&self, family: &ColumnFamily) -> Result<()> {
        let core = &self.handle.core;
        core.check_writable()?;
        self.check_family(family)?;
        let id = family.id();
        if id == CollectionId(0) {
            return Err(Error::invalid("the default column family cannot be dropped"));
        }
        let mut install = core.install.lock();
        if family.is_dropped() {
            return Err(Error::new(
                ErrorKind::Dropped,
                format!("column family \"{}\" was dropped already", family.name()),
            ));
        }
        // The drop is durable at once. What was written before it, to any family, must not come after it in a crash.
        core.sync_log(core.commit.visible())?;
        let mut edit = VersionEdit::new();
        edit.push(Change::DropCollection(id));
        core.append_edit(&mut install, edit)?;
        let files: Vec<_> = {
            let mut state = core.commit.lock()?;
            let mut catalog = core.catalog.lock();
            let files = core.current_view().find(id).map(|part| part.runs.clone()).unwrap_or_default();
            family.collection.dropped.store(true, Ordering::SeqCst);
            core.replace_view(&catalog, |view| view.without(id));
            catalog.collections.remove(&id);
            state.remove(id);
            core.jobs.lock().forget(id);
            files
        };
        // Still under `install`: a family created anew under this name must not lose its folder.
        for run in &files {
            core.delete_table(&family.collection, run.meta.number, run.meta.size_bytes);
        }
        let _ = core.env.files.remove_dir(&family.collection.directory);
        drop(install);
        core.progress.ring();
        core.event(EventKind::ColumnFamilyDropped, |event| event.collection = family.name().to_owned());
        Ok(())
    }
}
