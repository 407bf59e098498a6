//! Installing: a job's result becomes part of the database - in the manifest first, then in the view, then what it
//! replaces may go.
//!
//! Called by background jobs, DDL and closing, under the `install` lock. Nothing is deleted unless the edit that drops it is durable.

use super::collection::Collection;
use super::core::{Core, Installer};
use super::jobs::Flushed;
use crate::consequence::{Consequence, Fault, FileKind, consequence};
use crate::env::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::flush::RunOutput;
use crate::key::{FileNumber, MemtableId, Sequence};
use crate::observe::{Counter, EventKind, FlushReason, Timed};
use crate::version::{Change, FileMeta, Manifest, NotReplaced, VersionEdit};
use crate::view::{Frozen, Run};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What no file holds yet, as the log sees it.
struct Unflushed {
    /// The oldest logged sequence that only memtables hold, leaving out what the job wrote; `None` if there is none.
    oldest: Option<Sequence>,
    /// The same over the families alone of which the job wrote nothing.
    oldest_elsewhere: Option<Sequence>,
    last_sequence: Sequence,
}

/// A file that a flush job wrote for one collection.
pub(super) struct WrittenFlush<'a> {
    pub collection: Arc<Collection>,
    /// What is in it, oldest first; never empty.
    pub taken: &'a [Frozen],
    pub output: RunOutput,
    pub reason: FlushReason,
    /// How long it took.
    pub nanos: u64,
}

impl Core {
    /// Makes an edit durable and applies it to the state. An append whose outcome is unknown is answered with a whole new
    /// manifest that includes the edit; if that fails too the database is poisoned, and nothing is deleted. But a full disk leaves it
    /// without a manifest until there is space for a whole new one: see [`Installer::lost`]. Where nothing was appended, an error
    /// leaves all as it was, unless it came when the new manifest was put in force.
    pub(super) fn append_edit(&self, install: &mut Installer, mut edit: VersionEdit) -> Result<()> {
        if self.health.is_poisoned() {
            return self.health.check_writable();
        }
        if let Some(number) = install.manifest.as_ref().map(Manifest::number).or(install.lost) {
            self.check_not_fenced(number, &install.perhaps)?;
        }
        edit.push(Change::NextFileNumber(FileNumber(self.next_file.load(Ordering::Relaxed))));
        // Here it costs nothing: the edit is synced anyway, and recovery then knows what the log must hold.
        if let Some(position) = self.log.as_ref().and_then(|log| log.durable_position())
            && install.state.log_durable.is_none_or(|before| before < position)
        {
            edit.push(Change::LogDurable(position));
        }
        let mut next = install.state.clone();
        next.apply(&edit)?;
        // Of an append that failed nobody knows whether it is there, and what is written to a collection that may be gone after a crash
        // may be gone too. A whole new manifest is in force or is not, but for its last step.
        let drops = edit.changes.iter().any(|change| matches!(change, Change::DropCollection(_)));
        let (old, appended) = match (&mut install.manifest, install.lost) {
            (Some(manifest), _) if !drops && manifest.size_bytes() < self.options.manifest_bytes() => {
                (manifest.number(), Some(manifest.append(&edit)))
            }
            (Some(manifest), _) => (manifest.number(), None),
            (None, Some(number)) => (number, None),
            (None, None) => return Err(Error::new(ErrorKind::Closed, "the manifest is closed")),
        };
        if matches!(appended, Some(Ok(()))) {
            // Whoever took the lock before this moment may not have read the edit. Nothing is deleted for its sake then.
            self.check_not_fenced(old, &[])?;
        } else {
            let number = self.new_file_number();
            next.next_file_number = next.next_file_number.max(FileNumber(number.0 + 1));
            let may = || self.check_not_fenced(old, &install.perhaps);
            match Manifest::replace(&self.env, &self.path, number, &next, may) {
                Ok(created) => {
                    install.manifest = Some(created);
                    install.lost = None;
                    install.perhaps.clear();
                    self.event(EventKind::ManifestCreated, |event| event.number = number.0);
                    self.delete_manifest(old);
                    for (collection, meta) in std::mem::take(&mut install.unsure) {
                        self.delete_file(&collection, &meta);
                    }
                }
                // All is as before.
                Err(NotReplaced { error, is_unknown: false }) if appended.is_none() => return Err(error),
                Err(NotReplaced { error, is_unknown }) => {
                    install.manifest = None;
                    install.perhaps.extend(is_unknown.then_some(number));
                    let appended = appended.and_then(Result::err);
                    let again = Fault::of_all(appended.iter().chain([&error]));
                    let worst = match (is_unknown, drops) {
                        (true, true) => consequence(FileKind::Directory, Call::SyncDir, Fault::Unknown),
                        (true, false) => consequence(FileKind::Directory, Call::SyncDir, again),
                        (false, _) => consequence(FileKind::Manifest, Call::Write, again),
                    };
                    if worst == Consequence::Poisoned {
                        self.poison(&error);
                    } else {
                        install.lost = Some(old);
                    }
                    return Err(error);
                }
            }
        }
        install.state = next;
        self.caches.divide(install.state.files());
        Ok(())
    }

    /// Refuses for ever once another writer has the database: its lock was removed under us, and a manifest of the other's is in force,
    /// or is about to be. Ours is `number`, or one of `perhaps`. Errors: Fenced.
    fn check_not_fenced(&self, number: FileNumber, perhaps: &[FileNumber]) -> Result<()> {
        let is_locked = self.file_lock.lock().as_ref().is_none_or(|lock| lock.is_ours());
        // What cannot be read tells nothing.
        let current = Manifest::in_force(&self.env, &self.path).ok().flatten();
        let other = current.filter(|current| *current != number && !perhaps.contains(current));
        if is_locked && other.is_none() {
            return Ok(());
        }
        let message = "another writer took the database over: its lock file was removed or replaced";
        let error = Error::new(ErrorKind::Fenced, message).in_file(&self.path);
        self.poison(&error);
        Err(error)
    }

    /// Sees to it that there is a manifest to append to, if a full disk took it, and that it is still ours. Called by jobs before they
    /// write anything: what they write could not be installed.
    pub(super) fn renew_manifest(&self) -> Result<()> {
        let mut install = self.install.lock();
        if let Some(manifest) = &install.manifest {
            self.check_not_fenced(manifest.number(), &[])?;
        }
        if install.lost.is_some() { self.append_edit(&mut install, VersionEdit::new()) } else { Ok(()) }
    }

    /// Deletes a file whose installation failed, once it is sure that no manifest names it.
    fn discard_output(&self, install: &mut Installer, collection: &Arc<Collection>, output: &RunOutput) {
        match &output.file {
            Some((meta, _)) if install.lost.is_some() => install.unsure.push((collection.clone(), meta.clone())),
            Some((meta, _)) if !self.health.is_poisoned() => self.delete_file(collection, meta),
            _ => {}
        }
    }

    fn unflushed(&self, written: &[&WrittenFlush<'_>]) -> Result<Unflushed> {
        // Under the commit lock no record is between the log and its memtable.
        let state = self.commit.lock()?;
        let catalog = self.catalog.lock();
        let view = self.current_view();
        let mut unflushed = Unflushed { oldest: None, oldest_elsewhere: None, last_sequence: state.last_sequence };
        for part in view.collections() {
            if !catalog.collections.get(&part.collection).is_some_and(|collection| collection.options.logged()) {
                continue;
            }
            let taken = written.iter().find(|written| written.collection.id == part.collection).map(|own| own.taken);
            let frozen = part.frozen.iter().map(|frozen| &frozen.memtable);
            let left = frozen
                .chain([&part.active])
                .filter(|memtable| taken.into_iter().flatten().all(|frozen| frozen.memtable.id() != memtable.id()));
            let oldest = left.filter_map(|memtable| memtable.first_sequence()).min();
            let least = |a: Option<Sequence>, b: Option<Sequence>| a.into_iter().chain(b).min();
            unflushed.oldest = least(unflushed.oldest, oldest);
            if taken.is_none() {
                unflushed.oldest_elsewhere = least(unflushed.oldest_elsewhere, oldest);
            }
        }
        Ok(unflushed)
    }

    /// Installs what one flush job wrote, of one collection or of several: by one edit, hence all of it or nothing. Collections that were
    /// dropped meanwhile are left out.
    pub(super) fn install_flush(&self, written: &[WrittenFlush<'_>]) -> Result<()> {
        let mut install = self.install.lock();
        let is_dropped = |flush: &&WrittenFlush<'_>| flush.collection.dropped.load(Ordering::SeqCst);
        let (dropped, written): (Vec<_>, Vec<_>) = written.iter().partition(is_dropped);
        dropped.into_iter().for_each(|flush| self.discard_written(flush));
        if written.is_empty() {
            return Ok(());
        }
        let unflushed = self.unflushed(&written)?;
        let logged = written.iter().filter(|flush| flush.collection.options.logged());
        let batch_end = logged.flat_map(|flush| flush.taken).map(|frozen| frozen.batch_end).max();
        if let (Some(batch_end), Some(oldest)) = (batch_end, unflushed.oldest_elsewhere)
            && oldest <= batch_end
        {
            // Else a power cut could keep these families' half of a batch and lose the others'. The other half may have greater
            // sequences than anything flushed here: what counts is where the batch ends.
            self.sync_log(batch_end)?;
        }
        let mut edit = VersionEdit::new();
        for flush in &written {
            let last = flush.taken.iter().filter_map(|frozen| frozen.memtable.last_sequence()).max();
            edit.changes.extend(flush.output.file.iter().map(|(meta, _)| Change::AddFile(meta.clone())));
            edit.push(Change::FlushedThrough { collection: flush.collection.id, sequence: last.unwrap_or(0) });
        }
        edit.push(Change::LastSequence(unflushed.last_sequence));
        let floor = self.log.as_ref().map(|log| {
            log.floor_for(unflushed.oldest.unwrap_or(unflushed.last_sequence + 1)).max(install.state.log_floor)
        });
        if let Some(floor) = floor {
            edit.push(Change::LogFloor(floor));
        }
        if let Err(error) = self.append_edit(&mut install, edit) {
            for flush in &written {
                self.discard_output(&mut install, &flush.collection, &flush.output);
            }
            return Err(error);
        }
        {
            let catalog = self.catalog.lock();
            self.replace_view(&catalog, |view| {
                written.iter().fold(view.clone(), |view, flush| {
                    let Ok(part) = view.find(flush.collection.id) else { return view };
                    let (mut part, taken) = ((**part).clone(), flush.taken);
                    part.frozen.retain(|frozen| taken.iter().all(|done| done.memtable.id() != frozen.memtable.id()));
                    if let Some((meta, reader)) = &flush.output.file {
                        part.runs.insert(0, Run { meta: Arc::new(meta.clone()), reader: reader.clone() });
                    }
                    view.with(part)
                })
            });
        }
        let done: Vec<_> = written.into_iter().map(|flush| self.count_flush(flush)).collect();
        let mut jobs = self.jobs.lock();
        for done in &done {
            jobs.unpicked.insert(done.collection);
            jobs.flushed(done);
        }
        drop((jobs, install));
        // Last, because giving back a long log takes its time, and nobody needs to wait for it.
        if let (Some(log), Some(floor)) = (&self.log, floor) {
            // What could not be deleted is deleted at the next opening.
            let _ = log.remove_below(floor);
        }
        Ok(())
    }

    /// Installs a file that came in beside the log, all of it at `sequence`, which `ingest` tells of: below what was written since, above all else.
    #[cfg(feature = "leveldb")]
    pub(super) fn install_file(
        &self,
        collection: &Arc<Collection>,
        sequence: Sequence,
        output: &RunOutput,
        nanos: u64,
    ) -> Result<()> {
        let Some((meta, reader)) = &output.file else { return Ok(()) };
        let mut install = self.install.lock();
        if collection.dropped.load(Ordering::SeqCst) {
            self.delete_file(collection, meta);
            return Err(Error::new(ErrorKind::Dropped, "the column family was dropped"));
        }
        let now = match self.commit.lock().and_then(|mut state| self.commit.take_sequence(&mut state)) {
            Ok(now) => now,
            Err(error) => {
                self.delete_file(collection, meta);
                return Err(error);
            }
        };
        let edit = VersionEdit::new()
            .with(Change::AddFile(meta.clone()))
            .with(Change::IngestedAt { collection: collection.id, sequence: now });
        if let Err(error) = self.append_edit(&mut install, edit) {
            self.discard_output(&mut install, collection, output);
            return Err(error);
        }
        {
            let catalog = self.catalog.lock();
            self.replace_view(&catalog, |view| match view.find(collection.id) {
                Ok(part) => {
                    let mut part = (**part).clone();
                    let at = part.runs.partition_point(|run| run.meta.newest_sequence() > sequence);
                    part.runs.insert(at, Run { meta: Arc::new(meta.clone()), reader: reader.clone() });
                    view.with(part)
                }
                Err(_) => view.clone(),
            });
        }
        // So that no snapshot from before and none from now on have the same sequence.
        if let Ok(mut state) = self.commit.lock() {
            let _ = self.commit.take_sequence(&mut state);
        }
        self.count_file(collection, Some(meta), FlushReason::Import, nanos);
        Ok(())
    }

    /// Counts and tells what was installed of one collection.
    fn count_flush(&self, flush: &WrittenFlush<'_>) -> Flushed {
        let WrittenFlush { collection, taken, output, reason, nanos } = flush;
        let meta = output.file.as_ref().map(|(meta, _)| meta);
        self.counters.add(Counter::FlushedMemtables, taken.len() as u64);
        self.counters.add(Counter::DroppedVersions, output.counts.dropped());
        self.count_file(collection, meta, *reason, *nanos);
        let (bytes, entries) = meta.map_or((0, 0), |meta| (meta.size_bytes, meta.entries));
        let file = meta.map(|meta| meta.number);
        let through = taken.last().map_or(MemtableId(0), |newest| newest.memtable.id());
        Flushed { collection: collection.id, through, file, entries, bytes, reason: *reason }
    }

    fn count_file(&self, collection: &Collection, meta: Option<&FileMeta>, reason: FlushReason, nanos: u64) {
        let bytes = meta.map_or(0, |meta| meta.size_bytes);
        self.counters.add(Counter::Flushes, 1);
        self.counters.add(Counter::FlushBytes, bytes);
        self.timings.record(Timed::Flush, nanos);
        self.event(EventKind::FlushDone, |event| {
            event.collection.clone_from(&collection.name);
            event.number = meta.map_or(0, |meta| meta.number.0);
            event.entries = meta.map_or(0, |meta| meta.entries);
            event.bytes = bytes;
            event.micros = nanos / 1000;
            event.detail = reason.name().to_owned();
        });
    }

    /// Deletes a file that no edit was made for.
    pub(super) fn discard_written(&self, flush: &WrittenFlush<'_>) {
        if let Some((meta, _)) = &flush.output.file {
            self.delete_file(&flush.collection, meta);
        }
    }

    /// Installs a merge: its inputs leave, its output takes their place among the runs. False if it left out rows past their time
    /// that a snapshot newer than `newest_snapshot`, the last that the merge knew, may have seen already: then nothing has changed.
    pub(super) fn install_compaction(
        &self,
        collection: &Arc<Collection>,
        inputs: &[Run],
        output: &RunOutput,
        newest_snapshot: Sequence,
        nanos: u64,
    ) -> Result<bool> {
        let id = collection.id;
        let mut install = self.install.lock();
        if collection.dropped.load(Ordering::SeqCst) {
            if let Some((meta, _)) = &output.file {
                self.delete_file(collection, meta);
            }
            return Ok(true);
        }
        let held = if output.counts.expired == 0 { None } else { self.snapshots.hold_at(newest_snapshot) };
        if output.counts.expired > 0 && held.is_none() {
            if let Some((meta, _)) = &output.file {
                self.delete_file(collection, meta);
            }
            return Ok(false);
        }
        let mut edit = VersionEdit::new();
        for run in inputs {
            edit.push(Change::RemoveFile { collection: id, number: run.meta.number });
        }
        if let Some((meta, _)) = &output.file {
            edit.push(Change::AddFile(meta.clone()));
        }
        if let Err(error) = self.append_edit(&mut install, edit) {
            self.discard_output(&mut install, collection, output);
            return Err(error);
        }
        {
            let catalog = self.catalog.lock();
            self.replace_view(&catalog, |view| match view.find(id) {
                Ok(part) => {
                    let mut part = (**part).clone();
                    let is_input = |run: &Run| inputs.iter().any(|input| input.meta.number == run.meta.number);
                    let at = part.runs.iter().position(is_input).unwrap_or(part.runs.len());
                    part.runs.retain(|run| !is_input(run));
                    if let Some((meta, reader)) = &output.file {
                        part.runs.insert(at, Run { meta: Arc::new(meta.clone()), reader: reader.clone() });
                    }
                    view.with(part)
                }
                Err(_) => view.clone(),
            });
        }
        drop(held);
        for run in inputs {
            self.delete_file(collection, &run.meta);
        }
        let bytes = output.file.as_ref().map_or(0, |(meta, _)| meta.size_bytes);
        self.counters.add(Counter::Compactions, 1);
        self.counters.add(Counter::CompactionWriteBytes, bytes);
        self.counters.add(Counter::DroppedVersions, output.counts.dropped());
        self.counters.add(Counter::ExpiredRows, output.counts.expired);
        self.timings.record(Timed::Merge, nanos);
        self.event(EventKind::CompactionDone, |event| {
            event.collection.clone_from(&collection.name);
            event.number = output.file.as_ref().map_or(0, |(meta, _)| meta.number.0);
            event.entries = output.file.as_ref().map_or(0, |(meta, _)| meta.entries);
            event.bytes = bytes;
            event.micros = nanos / 1000;
        });
        Ok(true)
    }
}
