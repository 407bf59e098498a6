//! Merging by hand.

use super::jobs::ManualCompaction;
use super::{ColumnFamily, Db};
use crate::error::{Error, ErrorKind, Result};

impl Db {
    /// Flushes `family` and merges all its runs into one; waits for it. Writers are not held up.
    pub fn compact(&self, family: &ColumnFamily) -> Result<()> {
        let core = &self.handle.core;
        self.flush(&[family])?.wait(None)?;
        core.jobs.lock().manual.insert(family.id(), ManualCompaction::Wanted);
        core.work.ring();
        loop {
            let seen = core.progress.count();
            core.check()?;
            {
                let mut jobs = core.jobs.lock();
                match jobs.manual.get(&family.id()) {
                    Some(ManualCompaction::Ended(_)) => {
                        if let Some(ManualCompaction::Ended(result)) = jobs.manual.remove(&family.id()) {
                            return result;
                        }
                    }
                    Some(ManualCompaction::Wanted) => {}
                    None if family.is_dropped() => {
                        return Err(Error::new(ErrorKind::Dropped, "the column family was dropped"));
                    }
                    // Another call asked for the same merge and took the answer.
                    None => return Ok(()),
                }
            }
            core.env.runtime.wait(&core.progress, seen, None);
        }
    }
}
