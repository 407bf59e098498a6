//! The sources of a database in the shape that the merge of the engine takes.

use super::memtable::Memtable;
use super::tables::Tables;
use crate::error::{Error, ErrorKind, Result};
use crate::iter::{Cursor, EntryBatch, PinnedBytes};
use crate::key::{Entry, Kind};

/// Logs, a table of level 0, or a level. It is walked once, from its first entry to its last.
pub enum Source<'a> {
    /// What logs hold.
    Logs(Memtable),
    /// Tables that do not overlap.
    Tables(Box<Tables<'a>>),
}

impl Source<'_> {
    /// Entries that it holds in memory.
    pub fn entries_in_memory(&self) -> usize {
        match self {
            Self::Logs(memtable) => memtable.len(),
            Self::Tables(_) => 0,
        }
    }

    #[inline]
    fn advance(&mut self) -> Result<bool> {
        match self {
            Self::Logs(memtable) => Ok(memtable.advance()),
            Self::Tables(tables) => tables.advance(),
        }
    }
}

fn forward_only<T>() -> Result<T> {
    Err(Error::new(ErrorKind::NotSupported, "a database that is imported is read forward only"))
}

impl Cursor for Source<'_> {
    fn seek_to_first(&mut self) -> Result<bool> {
        self.advance()
    }

    fn seek_to_last(&mut self) -> Result<bool> {
        forward_only()
    }

    fn seek(&mut self, _key: &[u8]) -> Result<bool> {
        forward_only()
    }

    fn seek_for_prev(&mut self, _key: &[u8]) -> Result<bool> {
        forward_only()
    }

    #[inline]
    fn next(&mut self) -> Result<bool> {
        self.advance()
    }

    fn prev(&mut self) -> Result<bool> {
        forward_only()
    }

    #[inline]
    fn is_valid(&self) -> bool {
        match self {
            Self::Logs(memtable) => memtable.is_valid(),
            Self::Tables(tables) => tables.is_valid(),
        }
    }

    #[inline]
    fn entry(&self) -> Entry<'_> {
        let entry = match self {
            Self::Logs(memtable) => memtable.entry(),
            Self::Tables(tables) => tables.entry(),
        };
        entry.unwrap_or(Entry { key: &[], sequence: 0, kind: Kind::Delete, value: &[] })
    }

    fn pin_value(&self) -> PinnedBytes {
        PinnedBytes::copied(self.entry().value)
    }

    fn push_to(&self, batch: &mut EntryBatch) {
        let entry = self.entry();
        batch.push_pinned(entry.key, entry.sequence, &PinnedBytes::copied(entry.value));
    }
}
