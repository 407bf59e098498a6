//! The view: every memtable and every table file that is the database at one moment, immutable, pinned as a whole.
//!
//! Made by `db` whenever a memtable is frozen or a job's result is installed; read by every get and iterator. A reader sees an
//! entry in a memtable or in a file, never in neither and never in both, because one pointer leads to both.

use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, KeyRange, Sequence};
use crate::memtable::{AnyMemtable, Memtable};
use crate::observe::FlushReason;
use crate::sst::AnySstReader;
use crate::version::FileMeta;
use std::sync::Arc;

/// A frozen memtable, and why it was frozen.
#[derive(Clone)]
pub struct Frozen {
    /// The memtable; it takes no more writes.
    pub memtable: AnyMemtable,
    /// Why.
    pub reason: FlushReason,
    /// The last sequence of the newest batch that has an operation in it, be it here or in another memtable.
    pub batch_end: Sequence,
    /// The boundary at which it was frozen, if it is to be flushed together with whatever else was frozen there; 0: it stands alone.
    pub together: Sequence,
}

/// One sorted run: a file's facts and its open reader.
#[derive(Clone)]
pub struct Run {
    /// What the manifest says of it.
    pub meta: Arc<FileMeta>,
    /// The open file.
    pub reader: AnySstReader,
}

/// Everything that one collection consists of.
#[derive(Clone)]
pub struct CollectionView {
    /// Whose view it is.
    pub collection: CollectionId,
    /// The memtable that takes writes.
    pub active: AnyMemtable,
    /// Frozen memtables, newest first.
    pub frozen: Vec<Frozen>,
    /// Runs, newest first.
    pub runs: Vec<Run>,
}

impl CollectionView {
    /// A column family's memtables, newest first.
    #[inline]
    pub fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        let frozen = self.frozen.iter().map(|frozen| &frozen.memtable);
        std::iter::once(&self.active).chain(frozen).filter_map(AnyMemtable::bytes)
    }

    /// Why files of it do not open, newest first.
    pub fn broken(&self) -> impl Iterator<Item = &Error> {
        self.runs.iter().filter_map(|run| run.reader.broken())
    }

    /// The view for a read of keys in `range` at `snapshot`: without the files that do not open, if it needs none of them. Else the error of
    /// the newest one that it needs.
    pub fn readable(self: &Arc<Self>, range: &KeyRange, snapshot: Sequence) -> Result<Arc<Self>> {
        if self.broken().next().is_none() {
            return Ok(self.clone());
        }
        let needed =
            |run: &&Run| run.meta.oldest_sequence() <= snapshot && range.touches(&run.meta.smallest, &run.meta.largest);
        if let Some(error) = self.runs.iter().filter(needed).find_map(|run| run.reader.broken()) {
            return Err(error.clone());
        }
        let mut left = (**self).clone();
        left.runs.retain(|run| run.reader.broken().is_none());
        Ok(Arc::new(left))
    }
}

/// Everything that the database consists of.
#[derive(Clone, Default)]
pub struct View {
    collections: Vec<Arc<CollectionView>>,
    /// Of a database that follows a writer: the newest sequence of which it holds everything. It changes with the files in one step,
    /// because what the writer merged away is gone from them.
    sequence: Option<Sequence>,
}

impl View {
    /// The part of one collection; an error of kind Dropped if it is gone.
    #[inline]
    pub fn find(&self, collection: CollectionId) -> Result<&Arc<CollectionView>> {
        match self.collections.binary_search_by_key(&collection, |view| view.collection) {
            Ok(index) => Ok(&self.collections[index]),
            Err(_) => Err(Error::new(ErrorKind::Dropped, "the column family was dropped")),
        }
    }

    /// The newest sequence to be read in it; `None`: the newest that was written.
    #[inline]
    pub fn sequence(&self) -> Option<Sequence> {
        self.sequence
    }

    /// The same view, read at this sequence whatever is written.
    pub fn at(self, sequence: Sequence) -> Self {
        Self { sequence: Some(sequence), ..self }
    }

    /// All parts, ordered by collection.
    pub fn collections(&self) -> &[Arc<CollectionView>] {
        &self.collections
    }

    /// The same view with one collection's part added or replaced.
    pub fn with(&self, part: CollectionView) -> Self {
        let mut collections = self.collections.clone();
        match collections.binary_search_by_key(&part.collection, |view| view.collection) {
            Ok(index) => collections[index] = Arc::new(part),
            Err(index) => collections.insert(index, Arc::new(part)),
        }
        Self { collections, ..*self }
    }

    /// The same view without one collection.
    pub fn without(&self, collection: CollectionId) -> Self {
        let collections = self.collections.iter().filter(|view| view.collection != collection).cloned().collect();
        Self { collections, ..*self }
    }
}
