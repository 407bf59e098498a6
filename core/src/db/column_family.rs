//! Column families: handles to them, and how they are created, looked up and dropped.

use super::collection::{Collection, Schemas};
use super::options::Options;
use super::{Db, Handle};
use crate::error::{Error, Result};
use crate::key::{CollectionId, CollectionKind};
use crate::observe::EventKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The name of the family that every database has; it cannot be dropped.
pub const DEFAULT_FAMILY: &str = "default";

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

    /// The options in force for it: those that it was created with, but for those that the database was opened with. Options of the
    /// whole database are at their defaults in it. Another family created with them is like this one.
    pub fn options(&self) -> Options {
        self.collection.options.of_collection()
    }
}

impl Db {
    fn family_handle(&self, collection: Arc<Collection>) -> ColumnFamily {
        ColumnFamily { handle: self.handle.clone(), collection }
    }

    /// Refuses a family of another database. A dropped one is found out when it is looked for in the view.
    #[inline]
    pub(crate) fn check_family(&self, family: &ColumnFamily) -> Result<()> {
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
        let collection = self.handle.core.collection_named(name, CollectionKind::Bytes)?;
        Ok(self.family_handle(collection))
    }

    /// The names of all families, sorted.
    pub fn column_families(&self) -> Result<Vec<String>> {
        self.handle.core.check()?;
        Ok(self.handle.core.collection_names(CollectionKind::Bytes))
    }

    /// Creates a family. Durable when it returns. Its options of scope [`Collection`](super::OptionScope::Collection) are stored
    /// with it. InvalidArgument if the name is taken or not allowed.
    pub fn create_column_family(&self, name: &str, options: &Options) -> Result<ColumnFamily> {
        let core = &self.handle.core;
        if !options.ttl_column().is_empty() {
            return Err(Error::invalid("ttl_column is for tables: the entries of a column family have no times"));
        }
        let collection = core.create_collection(name, options, Schemas::default())?;
        core.event(EventKind::ColumnFamilyCreated, |event| event.collection = name.to_owned());
        Ok(self.family_handle(collection))
    }

    /// Drops a family and everything in it. Durable when it returns. Handles to it answer Dropped from now on; iterators that
    /// stand in it go on. The default family cannot be dropped. After an error it is as before, and can be dropped later, unless the
    /// database refuses all writes from then on (Poisoned).
    pub fn drop_column_family(&self, family: &ColumnFamily) -> Result<()> {
        let core = &self.handle.core;
        core.check_writable()?;
        self.check_family(family)?;
        if family.id() == CollectionId(0) {
            return Err(Error::invalid("the default column family cannot be dropped"));
        }
        core.drop_collection(&family.collection)?;
        core.event(EventKind::ColumnFamilyDropped, |event| event.collection = family.name().to_owned());
        Ok(())
    }
}
