//! What an iterator walks: memtables and files behind one enum, so that the merge over them stays monomorphic, and one of
//! them alone without a merge.

use crate::error::Result;
use crate::iter::{Cursor, EntryBatch, Fill, Merge, PinnedBytes};
use crate::key::Entry;
use crate::memtable::MemtableCursor;
use crate::sst::SstCursor;

/// A memtable's cursor or a file's.
pub enum Source {
    /// Over a memtable.
    Memtable(Box<MemtableCursor>),
    /// Over a file.
    File(Box<SstCursor>),
}

/// One source, or the merge of several.
pub enum Walk {
    /// A single source needs no merge.
    One(Source),
    /// Several, newest first.
    Many(Box<Merge<Source>>),
}

impl Walk {
    /// Walks `sources`, given newest first.
    pub fn new(mut sources: Vec<Source>) -> Self {
        match (sources.len(), sources.pop()) {
            (1, Some(only)) => Self::One(only),
            (_, last) => {
                sources.extend(last);
                Self::Many(Box::new(Merge::new(sources)))
            }
        }
    }
}

macro_rules! forward {
    ($name:ident: $($variant:ident)|+) => {
        impl Cursor for $name {
            fn seek_to_first(&mut self) -> Result<bool> {
                match self { $($name::$variant(cursor) => cursor.seek_to_first(),)+ }
            }

            fn seek_to_last(&mut self) -> Result<bool> {
                match self { $($name::$variant(cursor) => cursor.seek_to_last(),)+ }
            }

            fn seek(&mut self, key: &[u8]) -> Result<bool> {
                match self { $($name::$variant(cursor) => cursor.seek(key),)+ }
            }

            fn seek_for_prev(&mut self, key: &[u8]) -> Result<bool> {
                match self { $($name::$variant(cursor) => cursor.seek_for_prev(key),)+ }
            }

            #[inline]
            fn next(&mut self) -> Result<bool> {
                match self { $($name::$variant(cursor) => cursor.next(),)+ }
            }

            #[inline]
            fn prev(&mut self) -> Result<bool> {
                match self { $($name::$variant(cursor) => cursor.prev(),)+ }
            }

            #[inline]
            fn is_valid(&self) -> bool {
                match self { $($name::$variant(cursor) => cursor.is_valid(),)+ }
            }

            #[inline]
            fn entry(&self) -> Entry<'_> {
                match self { $($name::$variant(cursor) => cursor.entry(),)+ }
            }

            fn pin_value(&self) -> PinnedBytes {
                match self { $($name::$variant(cursor) => cursor.pin_value(),)+ }
            }

            #[inline]
            fn push_to(&self, batch: &mut EntryBatch) {
                match self { $($name::$variant(cursor) => cursor.push_to(batch),)+ }
            }

            #[inline]
            fn fill(&mut self, fill: &mut Fill<'_>) -> Result<bool> {
                match self { $($name::$variant(cursor) => cursor.fill(fill),)+ }
            }
        }
    };
}

forward!(Source: Memtable | File);
forward!(Walk: One | Many);
