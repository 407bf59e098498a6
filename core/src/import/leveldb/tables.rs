//! Tables that do not overlap, one after the other: a level, or a single table of level 0.

use super::damage::Reading;
use super::internal_key::InternalKey;
use super::manifest::TableMeta;
use super::names;
use super::table::Table;
use crate::env::FileSystem;
use crate::error::{Error, ErrorKind, Result};
use crate::key::Entry;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// Walks the entries of tables in order; opens each when it comes to it.
pub struct Tables<'a> {
    files: Arc<dyn FileSystem>,
    dir: PathBuf,
    reading: Rc<Reading<'a>>,
    left: VecDeque<TableMeta>,
    table: Option<Table<'a>>,
    /// The last key of the table before.
    last: Vec<u8>,
}

impl<'a> Tables<'a> {
    /// The tables in `metas`, by rising keys.
    pub fn new(files: Arc<dyn FileSystem>, dir: PathBuf, metas: Vec<TableMeta>, reading: Rc<Reading<'a>>) -> Self {
        Self { files, dir, reading, left: metas.into(), table: None, last: Vec::new() }
    }

    /// Whether it stands on an entry.
    pub fn is_valid(&self) -> bool {
        self.table.as_ref().is_some_and(Table::is_valid)
    }

    /// The entry under it; `None` if it stands on none.
    #[inline]
    pub fn entry(&self) -> Option<Entry<'_>> {
        self.table.as_ref().map(Table::entry)
    }

    /// Moves to the next entry; false at the end.
    #[inline]
    pub fn advance(&mut self) -> Result<bool> {
        loop {
            if let Some(table) = &mut self.table
                && table.advance()?
            {
                return Ok(true);
            }
            if !self.next_table()? {
                return Ok(false);
            }
        }
    }

    /// Opens the next table; what it does not say in the order of keys is damage.
    fn next_table(&mut self) -> Result<bool> {
        self.table = None;
        let Some(meta) = self.left.pop_front() else { return Ok(false) };
        let (size_bytes, number) = (meta.size_bytes, meta.number);
        let (smallest, largest) = (meta.smallest.clone(), meta.largest.clone());
        let opened = names::table(&*self.files, &self.dir, number)
            .and_then(|(path, _)| Table::open(&*self.files, path, meta, self.reading.clone()))
            .and_then(|table| match (InternalKey::of(&self.last), InternalKey::of(&smallest)) {
                (Some(last), Some(first)) if first <= last => {
                    Err(Error::corruption(table.path(), 0, "the table overlaps the one before it in its level"))
                }
                _ => Ok(table),
            });
        match opened {
            Ok(table) => {
                self.last = largest;
                self.table = Some(table);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(error),
            Err(error) => {
                self.reading.skip(error, size_bytes)?;
                self.reading.meter.read(size_bytes)?;
            }
        }
        Ok(true)
    }
}
