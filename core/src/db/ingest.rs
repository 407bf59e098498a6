//! Ingesting: entries that come by rising keys from elsewhere become one file, beside log and memtables, in one step.
//!
//! Called by imports. All of them have one sequence, taken when the call begins: what was written before is older, what is written
//! since is newer, although the file comes to be seen only at the end. Promises: until then nothing of it is seen, afterwards all of it, by
//! readers, snapshots taken since, and after a crash; a snapshot or iterator from before the end never sees it; after any error the
//! database is as before, without a file of it.
//!
//! Reads look into memtables before files, and files stand by their sequences. So what memtables held before the sequence was taken is
//! flushed first, apart from what came later, and no merge of the collection begins before the file is in its place: it could
//! make one file of what is older and what is newer.

use super::collection::Collection;
use super::core::{Core, closed};
use super::{ColumnFamily, Db};
use crate::error::{Error, ErrorKind, Result};
use crate::flush::{Incoming, JobTarget, RunOutput, write_run_of};
use crate::key::{CollectionId, Entry, Kind, Sequence};
use crate::merge::SurvivorCounts;
use crate::observe::{EventKind, FlushReason};
use crate::sst::SstWriter;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How many entries pass between two looks at whether the work is still wanted: some hundred microseconds of it.
const ENTRIES_PER_CHECK: u64 = 4096;

std::thread_local! {
    /// The database into which this thread takes entries, by its address; 0: none. Without a destructor.
    static FILLING: Cell<usize> = const { Cell::new(0) };
}

/// Takes the entries.
pub(crate) struct Ingest<'a> {
    core: &'a Core,
    collection: &'a Collection,
    writer: &'a mut SstWriter,
    sequence: Sequence,
    entries: u64,
    payload_bytes: u64,
}

impl Ingest<'_> {
    /// Sets `key` to `value`. Errors: InvalidArgument (a key that does not come after the last one; a size beyond the limits), Closed, Dropped,
    /// Poisoned, those of writing.
    #[inline]
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.entries.is_multiple_of(ENTRIES_PER_CHECK) {
            self.core.check_wanted(self.collection)?;
        }
        self.writer.add(Entry { key, sequence: self.sequence, kind: Kind::Put, value })?;
        self.entries += 1;
        self.payload_bytes += (key.len() + value.len()) as u64;
        Ok(())
    }

    /// Bytes of keys and values that were put.
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }
}

/// Holds off merges of a collection, and tells snapshots that something comes in.
struct Underway<'a> {
    core: &'a Core,
    collection: CollectionId,
}

impl<'a> Underway<'a> {
    fn begin(core: &'a Core, collection: CollectionId) -> Self {
        *core.jobs.lock().ingesting.entry(collection).or_default() += 1;
        // Before the sequence is taken: see `SnapshotList`.
        core.ingests.fetch_add(1, Ordering::SeqCst);
        Self { core, collection }
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.core.ingests.fetch_sub(1, Ordering::SeqCst);
        {
            let mut jobs = self.core.jobs.lock();
            if let Some(count) = jobs.ingesting.get_mut(&self.collection) {
                *count -= 1;
            }
            jobs.ingesting.retain(|_, count| *count > 0);
            jobs.unpicked.insert(self.collection);
        }
        self.core.work.ring();
        self.core.progress.ring();
    }
}

/// Says that this thread takes entries, as long as it lives.
struct Filling;

impl Filling {
    fn begin(core: &Core) -> Self {
        FILLING.set(std::ptr::from_ref(core).addr());
        Self
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        FILLING.set(0);
    }
}

impl Db {
    /// Writes what `fill` puts, by rising keys, to `family`: all of it comes to be seen at the end and is durable, or nothing. About `entries_about`
    /// are expected, 0: nobody knows; if there are many more, gets of absent keys look into the file more often.
    pub(crate) fn ingest(
        &self,
        family: &ColumnFamily,
        entries_about: u64,
        fill: impl FnOnce(&mut Ingest<'_>) -> Result<()>,
    ) -> Result<()> {
        self.check_family(family)?;
        let core = &*self.handle.core;
        core.check_writable()?;
        core.renew_manifest()?;
        let ingested = core.ingest(&family.collection, entries_about, fill);
        core.look_at_space();
        ingested
    }
}

impl Core {
    /// Whether the thread that asks is taking entries into this database.
    pub(super) fn is_filling(&self) -> bool {
        FILLING.get() == std::ptr::from_ref(self).addr()
    }

    /// Waits until nothing comes in any more. Requires: the database does not count as open, so that what does ends soon.
    pub(super) fn wait_for_ingests(&self) {
        loop {
            let seen = self.progress.count();
            if self.ingests.load(Ordering::SeqCst) == 0 {
                return;
            }
            self.env.runtime.wait(&self.progress, seen, None);
        }
    }

    fn check_wanted(&self, collection: &Collection) -> Result<()> {
        self.check_writable()?;
        if collection.dropped.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Dropped, "the column family was dropped"));
        }
        Ok(())
    }

    fn ingest(
        &self,
        collection: &Arc<Collection>,
        entries_about: u64,
        fill: impl FnOnce(&mut Ingest<'_>) -> Result<()>,
    ) -> Result<()> {
        let _underway = Underway::begin(self, collection.id);
        let (older, sequence) = {
            let mut state = self.commit.lock()?;
            // Closing waits for those who got past this look.
            if self.is_closed() {
                return Err(closed());
            }
            // Together, though alone: then no job makes one file of it and of what is frozen later.
            let older = self.begin_flush(&mut state, &[collection.id], FlushReason::Manual, true)?;
            (older, self.commit.take_sequence(&mut state)?)
        };
        older.wait(&self.env, None)?;
        let began = self.env.runtime.monotonic_nanos();
        let number = self.new_file_number();
        self.event(EventKind::FlushBegin, |event| {
            event.collection.clone_from(&collection.name);
            event.number = number.0;
            event.entries = entries_about;
            event.detail = FlushReason::Import.name().to_owned();
        });
        let JobTarget::Blocks(target) = self.file_maker().target(collection, number, 0, Vec::new()) else {
            return Err(Error::invalid("keys and values cannot be written to a table"));
        };
        let output = write_run_of(target, Incoming::About(entries_about), |writer| {
            let mut taken = Ingest { core: self, collection, writer, sequence, entries: 0, payload_bytes: 0 };
            let _filling = Filling::begin(self);
            fill(&mut taken)?;
            let entries = taken.entries;
            Ok(SurvivorCounts { entries_in: entries, entries_out: entries, ..SurvivorCounts::default() })
        })?;
        self.install_ingest(collection, sequence, output, began)
    }

    fn install_ingest(
        &self,
        collection: &Arc<Collection>,
        sequence: Sequence,
        output: RunOutput,
        began: u64,
    ) -> Result<()> {
        let Some((meta, _)) = &output.file else { return Ok(()) };
        // What was written before it must not be lost where it is kept.
        if let Err(error) = self.check_wanted(collection).and_then(|()| self.sync_log(sequence)) {
            self.delete_file(collection, meta);
            return Err(error);
        }
        let nanos = self.env.runtime.monotonic_nanos().saturating_sub(began);
        self.install_file(collection, sequence, &output, nanos)
    }
}

#[cfg(test)]
mod tests;
