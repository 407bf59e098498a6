//! Merging by hand.

use super::collection::Collection;
use super::jobs::ManualCompaction;
use super::{ColumnFamily, Db};
use crate::error::{Error, ErrorKind, Result};
use std::sync::atomic::Ordering;

impl Db {
    /// Flushes `family` and merges all its runs into one; waits for it, and for an import into it. Writers are not held up. What an import
    /// calls cannot wait: InvalidArgument.
    pub fn compact(&self, family: &ColumnFamily) -> Result<()> {
        self.flush(&[family])?.wait(None)?;
        self.compact_collection(&family.collection)
    }

    /// The same for a table.
    #[cfg(feature = "arrow")]
    pub fn compact_table(&self, table: &super::Table) -> Result<()> {
        self.flush_tables(&[table])?.wait(None)?;
        self.compact_collection(&table.collection)
    }

    fn compact_collection(&self, collection: &Collection) -> Result<()> {
        let core = &self.handle.core;
        let id = collection.id;
        #[cfg(feature = "leveldb")]
        if core.is_filling() {
            return Err(Error::invalid("an import cannot wait for a merge, which waits for it"));
        }
        core.jobs.lock().manual.insert(id, ManualCompaction::Wanted);
        core.work.ring();
        loop {
            let seen = core.progress.count();
            core.check()?;
            {
                let mut jobs = core.jobs.lock();
                match jobs.manual.get(&id) {
                    Some(ManualCompaction::Ended(_)) => {
                        if let Some(ManualCompaction::Ended(result)) = jobs.manual.remove(&id) {
                            return result;
                        }
                    }
                    Some(ManualCompaction::Wanted) => {}
                    None if collection.dropped.load(Ordering::Relaxed) => {
                        return Err(Error::new(ErrorKind::Dropped, format!("\"{}\" was dropped", collection.name)));
                    }
                    // Another call asked for the same merge and took the answer.
                    None => return Ok(()),
                }
            }
            core.env.runtime.wait(&core.progress, seen, None);
        }
    }
}
