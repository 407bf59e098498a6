//! Which files are the database: the state that the manifest keeps, the edits that change it, and the manifest itself.
//!
//! [`VersionState`] is pure data: no I/O, no locks. `db` builds an edit, applies it to a copy of the state, appends it to the
//! [`Manifest`], and only then puts the copy in force. Jobs never do.
#![doc = include_str!("FORMAT.md")]

mod current;
mod edit;
mod file_meta;
pub mod file_name;
mod framing;
mod manifest;

pub use edit::{Change, VersionEdit};
pub use file_meta::{FileFormat, FileMeta};
pub use manifest::{MAX_MANIFEST_BYTES, Manifest, ManifestContent, ManifestPlace, ManifestRecord, NotReplaced};

use crate::error::{Error, Result};
use crate::key::{CollectionId, CollectionKind, FileNumber, LogPosition, MAX_SEQUENCE, Sequence};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where recovery ended the log: later records never come back, even if they read well again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The segment in which the log ends.
    pub segment: FileNumber,
    /// Where it ends there, in bytes.
    pub offset: u64,
    /// The last sequence before the end.
    pub sequence: Sequence,
}

/// A schema of a table as its owner encodes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSchema {
    /// Its number within the table.
    pub id: u32,
    /// Its encoding.
    pub bytes: Arc<[u8]>,
}

/// One column family or table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionState {
    /// Its id, never reused.
    pub id: CollectionId,
    /// Its name, which is also its directory.
    pub name: String,
    /// What it holds.
    pub kind: CollectionKind,
    /// Whether its writes go through the log.
    pub logged: bool,
    /// Its options as their owner encodes them.
    pub options: Vec<u8>,
    /// The schemas that a table has had, oldest first; the last one is in force. Empty for a family.
    pub schemas: Vec<StoredSchema>,
    /// Its entries up to this sequence lie in files.
    pub flushed_through: Sequence,
    /// The sequence at which a file last came in beside the log, be it merged by now or not; 0: none did.
    pub ingested_at: Sequence,
    /// Its files, newest first: entries in an earlier one are newer than those of the same key in a later one.
    pub runs: Vec<Arc<FileMeta>>,
}

/// The whole database as the manifest knows it. Cloning copies no file metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionState {
    /// The random id of the database, in every one of its files.
    pub database_id: u64,
    /// The epoch of the last writer; 0 before the first.
    pub epoch: u64,
    /// Sequences up to this one are in use; the log may know of later ones.
    pub last_sequence: Sequence,
    /// File numbers from here on are free, as far as the manifest knows.
    pub next_file_number: FileNumber,
    /// Collection ids from here on are free.
    pub next_collection_id: CollectionId,
    /// Log segments below this one are not needed.
    pub log_floor: FileNumber,
    /// Where the last recovery ended the log, if it had to.
    pub cut: Option<Cut>,
    /// Up to where the log was durable when an edit last said so. Of segments below the floor it asks nothing.
    pub log_durable: Option<LogPosition>,
    /// The live collections.
    pub collections: BTreeMap<CollectionId, CollectionState>,
    /// The owner of every live file: numbers are unique over the whole database.
    owners: BTreeMap<FileNumber, CollectionId>,
}

impl VersionState {
    /// A database without collections, files or history.
    pub fn new(database_id: u64) -> Self {
        Self {
            database_id,
            epoch: 0,
            last_sequence: 0,
            next_file_number: FileNumber(1),
            next_collection_id: CollectionId(0),
            log_floor: FileNumber(0),
            cut: None,
            log_durable: None,
            collections: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    /// The collection called `name`.
    pub fn collection_named(&self, name: &str) -> Option<&CollectionState> {
        self.collections.values().find(|collection| collection.name == name)
    }

    /// The collection that the live file `number` belongs to.
    pub fn owner_of(&self, number: FileNumber) -> Option<CollectionId> {
        self.owners.get(&number).copied()
    }

    /// The greatest sequence in any file; 0 if there is none.
    pub fn newest_sequence_in_files(&self) -> Sequence {
        self.files().map(|file| file.newest_sequence()).max().unwrap_or(0)
    }

    /// Every live file.
    pub fn files(&self) -> impl Iterator<Item = &Arc<FileMeta>> {
        self.collections.values().flat_map(|collection| &collection.runs)
    }

    /// Applies all changes of `edit`, or none: an impossible one is InvalidArgument, and the state stays as it was.
    pub fn apply(&mut self, edit: &VersionEdit) -> Result<()> {
        let mut next = self.clone();
        next.apply_in_place(edit)?;
        *self = next;
        Ok(())
    }

    /// Like [`apply`](Self::apply), but after an error the state is of no use.
    fn apply_in_place(&mut self, edit: &VersionEdit) -> Result<()> {
        let mut gained_files = Vec::new();
        for change in &edit.changes {
            self.apply_change(change)?;
            if let Change::AddFile(meta) = change {
                gained_files.push(meta.collection);
            }
        }
        gained_files.dedup();
        for id in gained_files {
            if let Some(collection) = self.collections.get(&id) {
                collection.check_order()?;
            }
        }
        Ok(())
    }

    fn apply_change(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Epoch(epoch) => {
                if *epoch == self.epoch {
                    return Err(Error::invalid(format!("epoch {epoch} was used before")));
                }
                raise("epoch", &mut self.epoch, *epoch)
            }
            Change::LastSequence(sequence) => {
                check_sequence(*sequence)?;
                raise("last sequence", &mut self.last_sequence, *sequence)
            }
            Change::NextFileNumber(next) => raise("next file number", &mut self.next_file_number, *next),
            Change::NextCollectionId(next) => raise("next collection id", &mut self.next_collection_id, *next),
            Change::LogFloor(floor) => raise("log floor", &mut self.log_floor, *floor),
            Change::Cut(cut) => {
                self.cut = *cut;
                Ok(())
            }
            Change::CreateCollection { id, name, kind, logged, options } => {
                self.create_collection(*id, name, *kind, *logged, options)
            }
            Change::AddSchema { collection, schema } => {
                let state = self.collection_mut(*collection)?;
                if state.kind != CollectionKind::Rows {
                    return Err(Error::invalid(format!("collection {collection} is no table and has no schema")));
                }
                if state.schemas.last().is_some_and(|last| last.id >= schema.id) {
                    return Err(Error::invalid(format!("schema {} of table {collection} was used before", schema.id)));
                }
                state.schemas.push(schema.clone());
                Ok(())
            }
            Change::LogDurable(position) => match self.log_durable.replace(*position) {
                Some(before) if before > *position => {
                    Err(Error::invalid(format!("the log's durable end cannot fall from {before} to {position}")))
                }
                _ => Ok(()),
            },
            Change::DropCollection(id) => {
                let Some(dropped) = self.collections.remove(id) else { return Err(unknown_collection(*id)) };
                for file in dropped.runs {
                    self.owners.remove(&file.number);
                }
                Ok(())
            }
            Change::FlushedThrough { collection, sequence } => {
                check_sequence(*sequence)?;
                let state = self.collection_mut(*collection)?;
                raise("flushed-through sequence", &mut state.flushed_through, *sequence)?;
                self.last_sequence = self.last_sequence.max(*sequence);
                Ok(())
            }
            Change::IngestedAt { collection, sequence } => {
                check_sequence(*sequence)?;
                let state = self.collection_mut(*collection)?;
                raise("sequence of what came in beside the log", &mut state.ingested_at, *sequence)?;
                self.last_sequence = self.last_sequence.max(*sequence);
                Ok(())
            }
            Change::AddFile(meta) => self.add_file(meta),
            Change::RemoveFile { collection, number } => {
                let state = self.collection_mut(*collection)?;
                let Some(at) = state.runs.iter().position(|file| file.number == *number) else {
                    return Err(Error::invalid(format!("collection {collection} has no file {number} to remove")));
                };
                state.runs.remove(at);
                self.owners.remove(number);
                Ok(())
            }
        }
    }

    fn create_collection(
        &mut self,
        id: CollectionId,
        name: &str,
        kind: CollectionKind,
        logged: bool,
        options: &[u8],
    ) -> Result<()> {
        file_name::check_collection_name(name)?;
        let after = id.0.checked_add(1).ok_or_else(|| Error::invalid("collection ids are used up"))?;
        if id < self.next_collection_id {
            return Err(Error::invalid(format!("collection id {id} was used before")));
        }
        if self.collection_named(name).is_some() {
            return Err(Error::invalid(format!("a collection called {name:?} exists")));
        }
        let state = CollectionState {
            id,
            name: name.to_string(),
            kind,
            logged,
            options: options.to_vec(),
            schemas: Vec::new(),
            flushed_through: 0,
            ingested_at: 0,
            runs: Vec::new(),
        };
        self.collections.insert(id, state);
        self.next_collection_id = CollectionId(after);
        Ok(())
    }

    fn add_file(&mut self, meta: &FileMeta) -> Result<()> {
        let number = meta.number;
        if let Some(defect) = meta.defect() {
            return Err(Error::invalid(format!("file {number} cannot be added: it is {defect}")));
        }
        let after = number.0.checked_add(1).ok_or_else(|| Error::invalid("file numbers are used up"))?;
        if let Some(owner) = self.owners.get(&number) {
            return Err(Error::invalid(format!("file {number} belongs to collection {owner} already")));
        }
        let runs = &mut self.collection_mut(meta.collection)?.runs;
        let place = (meta.newest_sequence(), number);
        let at = runs.partition_point(|file| (file.newest_sequence(), file.number) > place);
        runs.insert(at, Arc::new(meta.clone()));
        self.owners.insert(number, meta.collection);
        self.next_file_number = self.next_file_number.max(FileNumber(after));
        self.last_sequence = self.last_sequence.max(meta.newest_sequence());
        Ok(())
    }

    fn collection_mut(&mut self, id: CollectionId) -> Result<&mut CollectionState> {
        self.collections.get_mut(&id).ok_or_else(|| unknown_collection(id))
    }
}

impl CollectionState {
    /// Refuses runs that share keys and whose sequences interleave: no order of them would be right.
    fn check_order(&self) -> Result<()> {
        for (index, newer) in self.runs.iter().enumerate() {
            for older in &self.runs[index + 1..] {
                if newer.oldest_sequence() <= older.newest_sequence() && newer.overlaps(older) {
                    return Err(Error::invalid(format!(
                        "files {} and {} of collection {} share keys, and neither is the newer one",
                        newer.number, older.number, self.id
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Sets `current` to `value`, which must not be less.
fn raise<T: PartialOrd + std::fmt::Display + Copy>(what: &str, current: &mut T, value: T) -> Result<()> {
    if value < *current {
        return Err(Error::invalid(format!("{what} cannot fall from {current} to {value}")));
    }
    *current = value;
    Ok(())
}

fn check_sequence(sequence: Sequence) -> Result<()> {
    if sequence > MAX_SEQUENCE {
        return Err(Error::invalid(format!("sequence {sequence} is beyond the greatest one")));
    }
    Ok(())
}

fn unknown_collection(id: CollectionId) -> Error {
    Error::invalid(format!("there is no collection {id}"))
}

#[cfg(test)]
mod tests;
