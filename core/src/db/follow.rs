//! A database open for reading: the picture of it beside a live writer, made at opening and brought up to date by `refresh`.
//!
//! Called by `open` and by applications. Changes no byte, takes no lock of the writer's and never waits for it. What one look reads, and in
//! which order: the manifest (on from where it was read before, or the new one that CURRENT names), the files that it names and that are
//! not open yet, the log behind the last record that was taken (or from the floor on, where that is not possible), and the manifest again. What the
//! log holds is taken into memtables of our own, above the sequence that readers see. Only when all of it was read does one pointer lead to the
//! new files, the new memtables and the new sequence together; who holds the old picture keeps it, with its files open.
//!
//! The writer deletes what an edit made superfluous, so a file may be gone before it is opened; then the manifest says more by now,
//! and is read again. An error counts if nothing moved meanwhile.

use super::collection::{Collection, directory};
use super::core::Core;
use super::open::{Opening, Parts};
use super::recovery::{Rebuilt, Recovered, apply, tell_skipped};
use super::target::open_file;
use super::{Db, Schemas};
use crate::batch::Operations;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, FileNumber, Sequence};
use crate::observe::{Event, EventKind};
use crate::version::{CollectionState, Manifest, ManifestPlace, VersionState};
use crate::view::{CollectionView, Run, View};
use crate::wal::{self, LogTail, LoggedRecord, RecoveryMode};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often a look starts again when the live writer moves files under it.
const TRIES: u32 = 100;

/// What a refresh found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refreshed {
    /// The newest sequence that reads see from now on.
    pub sequence: Sequence,
    /// Whether reads may answer otherwise than before: something was written, or a family or table came, went, or changed.
    pub changed: bool,
}

/// What one look found, whole.
struct Picture {
    state: VersionState,
    view: View,
    sequence: Sequence,
}

/// Who looks: what was read so far of the writer's files, and what was made of it.
pub(super) struct Follower {
    opening: Opening,
    parts: Option<Parts>,
    manifest: Option<(VersionState, ManifestPlace)>,
    /// The collections as the manifest has them; nobody else knows those that it has anew.
    collections: BTreeMap<CollectionId, Arc<Collection>>,
    /// Memtables with everything of the log up to `tail` that no file holds.
    families: BTreeMap<CollectionId, Rebuilt>,
    /// The last sequence of the log, as far as it was read.
    log_sequence: Sequence,
    /// Where the log is read on; `None`: from the floor, into new memtables.
    tail: Option<LogTail>,
    /// The files of the manifest that are open.
    files: BTreeMap<FileNumber, Run>,
    /// What readers see, and under which writer it was read.
    sequence: Sequence,
    epoch: u64,
}

impl Follower {
    /// Looks for the first time. Errors: see [`Db::open`].
    pub fn open(opening: Opening) -> Result<(Self, Parts, Recovered)> {
        let (manifest, tail, parts) = (None, None, None);
        let (collections, families, files) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut follower = Self {
            opening,
            parts,
            manifest,
            collections,
            families,
            log_sequence: 0,
            tail,
            files,
            sequence: 0,
            epoch: 0,
        };
        let picture = follower.look()?;
        (follower.sequence, follower.epoch) = (picture.sequence, picture.state.epoch);
        // The queue of events has them, and lets go of them when the database is closed.
        (follower.opening.listener, follower.opening.logger) = (None, None);
        let parts = follower.parts(&picture.state);
        let collections = follower.collections.clone();
        let recovered = Recovered::for_reading(picture.state, collections, picture.view, picture.sequence);
        Ok((follower, parts, recovered))
    }

    fn parts(&mut self, state: &VersionState) -> Parts {
        let opening = &self.opening;
        self.parts.get_or_insert_with(|| opening.parts(state)).clone()
    }

    /// Looks until nothing moved meanwhile.
    fn look(&mut self) -> Result<Picture> {
        let mut last: Option<(Error, Option<(FileNumber, u64)>)> = None;
        for _ in 0..TRIES {
            match self.try_look() {
                Ok(Some(picture)) => return Ok(picture),
                Ok(None) => {}
                Err(error) => {
                    let extent = Manifest::extent(&self.opening.env, &self.opening.path)?;
                    // Only an error that stays when nothing moves is one.
                    let moved = last.as_ref().is_none_or(|(_, before)| *before != extent);
                    if !moved && error.kind() != ErrorKind::Busy {
                        return Err(error);
                    }
                    last = Some((error, extent));
                }
            }
        }
        let why = last.map_or_else(String::new, |(error, _)| format!(": {error}"));
        let message = format!("the live writer moves files faster than they can be opened; try again{why}");
        Err(Error::new(ErrorKind::Busy, message).in_file(&self.opening.path))
    }

    /// One look; `None` if the writer made or dropped collections meanwhile.
    fn try_look(&mut self) -> Result<Option<Picture>> {
        let (env, path) = (self.opening.env.clone(), self.opening.path.clone());
        let (state, place) = Manifest::follow(&env, &path, self.manifest.as_ref())?;
        if let Some((before, _)) = &self.manifest
            && before.database_id != state.database_id
        {
            let message = "another database has taken the place of the one that was opened: open it anew";
            return Err(Error::invalid(message).in_file(&path));
        }
        let parts = self.parts(&state);
        self.take_collections(&state)?;
        self.manifest = Some((state.clone(), place));
        let runs = self.open_files(&state, &parts)?;
        self.read_log(&state, &parts)?;
        // Of a collection that came or went before the newest record that was read, readers must know.
        let again = Manifest::follow(&env, &path, self.manifest.as_ref())?;
        if again.0.epoch != state.epoch || !has_same_collections(&again.0, &state) {
            return Ok(None);
        }
        let sequence = self.last_sequence(&state)?;
        let view = self.view(runs, sequence);
        Ok(Some(Picture { state, view, sequence }))
    }

    /// The newest sequence of which everything was read.
    fn last_sequence(&self, state: &VersionState) -> Result<Sequence> {
        let sequence = self.log_sequence.max(state.last_sequence).max(state.newest_sequence_in_files());
        if state.epoch == self.epoch {
            // The newest record may have gone with its collection.
            return Ok(sequence.max(self.sequence));
        }
        if state.epoch < self.epoch || sequence < self.sequence {
            let message = format!(
                "the database ends at sequence {sequence}, and {} was read of it: it was put back to an older state, open it anew",
                self.sequence
            );
            return Err(Error::new(ErrorKind::Gap, message).in_file(&self.opening.path));
        }
        Ok(sequence)
    }

    /// Makes what the manifest says of collections ours. What was made for the same one before is kept.
    fn take_collections(&mut self, state: &VersionState) -> Result<()> {
        let mut collections = BTreeMap::new();
        for (id, stored) in &state.collections {
            let kept = self.collections.get(id).filter(|made| is_made_of(made, stored));
            let collection = match kept {
                Some(collection) => collection.clone(),
                None => Arc::new(self.opening.collection(stored)?),
            };
            collections.insert(*id, collection);
        }
        self.collections = collections;
        Ok(())
    }

    /// The runs of each collection, newest first. What is open stays so; of new files that are damaged an event tells.
    fn open_files(&mut self, state: &VersionState, parts: &Parts) -> Result<BTreeMap<CollectionId, Vec<Run>>> {
        self.files.retain(|number, run| state.owner_of(*number) == Some(run.meta.collection));
        let mut all = BTreeMap::new();
        for (id, stored) in &state.collections {
            let mut runs = Vec::with_capacity(stored.runs.len());
            for meta in &stored.runs {
                let open = self.files.get(&meta.number).filter(|run| run.meta == *meta);
                let run = match open {
                    Some(run) => run.clone(),
                    None => {
                        let run = self.opening.open_run(state.database_id, &self.collections[id], meta, parts)?;
                        self.files.insert(meta.number, run.clone());
                        run
                    }
                };
                runs.push(run);
            }
            all.insert(*id, runs);
        }
        Ok(all)
    }

    /// Takes what the log holds by now into the memtables.
    fn read_log(&mut self, state: &VersionState, parts: &Parts) -> Result<()> {
        let now = |family: &Rebuilt| state.collections.get(&family.collection.id);
        // An edit that was read may be missing in the next manifest, if its append failed: then the file is not there, but the log is.
        // And a memtable is looked into before files: with entries from before and after what came in beside the log it would hide that.
        let is_stale = |family: &Rebuilt| {
            now(family).is_some_and(|now| {
                now.flushed_through < family.flushed_through || now.ingested_at != family.ingested_at
            })
        };
        let is_stale = self.families.values().any(is_stale);
        let same_epoch = self.tail.as_ref().is_some_and(|tail| tail.epoch() == state.epoch);
        if same_epoch && !is_stale && self.opening.options.wal_recovery() != RecoveryMode::Salvage {
            self.take_families(state, parts)?;
            if self.read_on(state, parts)? {
                return Ok(());
            }
        }
        self.replay(state, parts)
    }

    /// Brings the memtables in line with the manifest: what files hold by now goes.
    fn take_families(&mut self, state: &VersionState, parts: &Parts) -> Result<()> {
        let collections = &self.collections;
        self.families.retain(|id, family| collections.get(id).is_some_and(|now| now.name == family.collection.name));
        for (id, collection) in collections {
            let stored = &state.collections[id];
            match self.families.get_mut(id) {
                Some(family) => family.advance(collection, stored.flushed_through, parts)?,
                None => {
                    let family = Rebuilt::new(collection, stored, Vec::new(), parts)?;
                    self.families.insert(*id, family);
                }
            }
        }
        Ok(())
    }

    /// Reads on where the log was left; false if that cannot be done.
    fn read_on(&mut self, state: &VersionState, parts: &Parts) -> Result<bool> {
        let Some(mut tail) = self.tail.take() else { return Ok(false) };
        if tail.place().segment < state.log_floor {
            // All of the segments between is in files.
            let identity = (state.database_id, state.epoch);
            let at = (state.log_floor, None);
            match LogTail::open(&self.opening.env, &self.opening.wal_path, identity, at, 0)? {
                Some(at_floor) => tail = at_floor,
                None => return Ok(false),
            }
        }
        let (families, wal_path) = (&mut self.families, &self.opening.wal_path);
        // A record that was taken in part would be taken again: only a replay into new memtables mends that.
        let mut is_whole = true;
        let advanced = tail.advance(&mut |record| {
            check_known(families, state, &record)?;
            is_whole = false;
            apply(families, &record, wal_path, parts)?;
            is_whole = true;
            Ok(())
        });
        let durable = state.log_durable.filter(|durable| durable.segment == tail.place().segment);
        let is_short = durable.is_some_and(|durable| tail.place() < durable);
        if is_whole {
            self.log_sequence = self.log_sequence.max(tail.last_sequence());
            self.tail = Some(tail);
        }
        Ok(advanced? && !is_short)
    }

    /// Reads the whole log from the floor on.
    fn replay(&mut self, state: &VersionState, parts: &Parts) -> Result<()> {
        self.tail = None;
        self.families.clear();
        self.take_families(state, parts)?;
        let (env, wal_path) = (&self.opening.env, &self.opening.wal_path);
        let families = &mut self.families;
        let outcome = wal::replay(
            env,
            wal_path,
            state.database_id,
            state.epoch,
            state.log_floor,
            // Not the newest file: it may be ahead of the log, which a flush syncs only if another family needs it.
            state.log_durable,
            self.opening.options.wal_recovery(),
            &mut |record| {
                check_known(families, state, &record)?;
                apply(families, &record, wal_path, parts)
            },
        )?;
        tell_skipped(&outcome, wal_path, parts);
        self.log_sequence = outcome.last_sequence;
        if outcome.skipped.is_empty() && self.opening.options.wal_recovery() != RecoveryMode::Salvage {
            let at = outcome.end.map_or((state.log_floor, None), |end| (end.segment, Some(end.offset)));
            let identity = (state.database_id, state.epoch);
            self.tail = LogTail::open(env, wal_path, identity, at, outcome.last_sequence)?;
        }
        Ok(())
    }

    fn view(&self, mut runs: BTreeMap<CollectionId, Vec<Run>>, sequence: Sequence) -> View {
        let part = |(id, family): (&CollectionId, &Rebuilt)| CollectionView {
            collection: *id,
            active: family.active.memtable.clone(),
            frozen: family.frozen_newest_first(sequence),
            runs: runs.remove(id).unwrap_or_default(),
        };
        self.families.iter().map(part).fold(View::default(), |view, part| view.with(part)).at(sequence)
    }
}

/// Whether a collection is the one that the manifest has, with all its schemas.
fn is_made_of(made: &Collection, stored: &CollectionState) -> bool {
    made.name == stored.name && made.kind == stored.kind && made.schemas.stored() == stored.schemas
}

/// Whether the same collections exist in both, with the same schemas.
fn has_same_collections(a: &VersionState, b: &VersionState) -> bool {
    let what = |state: &CollectionState| (state.id, state.name.clone(), state.schemas.len());
    a.collections.values().map(what).eq(b.collections.values().map(what))
}

/// Whether nothing came in beside the log since.
fn has_same_ingests(a: &VersionState, b: &VersionState) -> bool {
    a.collections.values().map(|state| state.ingested_at).eq(b.collections.values().map(|state| state.ingested_at))
}

/// Refuses a record of a collection or schema that the manifest did not have when it was read, before anything of it is taken.
/// Errors: Busy; the manifest has it by now.
fn check_known(
    families: &BTreeMap<CollectionId, Rebuilt>,
    state: &VersionState,
    record: &LoggedRecord<'_>,
) -> Result<()> {
    for operation in Operations::new(record.payload) {
        // `apply` tells what is wrong with it.
        let Ok(operation) = operation else { break };
        let is_known = match families.get(&operation.collection) {
            Some(family) => family.collection.schemas.has_that_of(&operation),
            None => operation.collection < state.next_collection_id,
        };
        if !is_known {
            let message = format!("the log is ahead of the manifest: collection {}", operation.collection);
            return Err(Error::new(ErrorKind::Busy, message));
        }
    }
    Ok(())
}

impl Opening {
    /// Opens one live file. If it is damaged, an event tells.
    pub(super) fn open_run(
        &self,
        database_id: u64,
        collection: &Collection,
        meta: &Arc<crate::version::FileMeta>,
        parts: &Parts,
    ) -> Result<Run> {
        let reader = open_file(&self.env, database_id, collection, meta, &parts.caches)?;
        parts.stamps.raise(meta.stamp_nanos);
        if let Some(error) = reader.broken() {
            let mut event = Event::new(EventKind::FileBroken);
            event.collection.clone_from(&collection.name);
            event.number = meta.number.0;
            event.bytes = meta.size_bytes;
            event.detail = error.to_string();
            parts.events.push(event);
        }
        Ok(Run { meta: meta.clone(), reader })
    }

    /// A collection as the manifest has it.
    pub(super) fn collection(&self, stored: &CollectionState) -> Result<Collection> {
        Ok(Collection {
            id: stored.id,
            name: stored.name.clone(),
            kind: stored.kind,
            options: self.options.for_stored_collection(&stored.options)?,
            directory: directory(&self.path, stored.kind, &stored.name),
            schemas: Schemas::decode(&stored.name, &stored.schemas)?,
            dropped: false.into(),
        })
    }
}

impl Db {
    /// Brings a database that is open for reading up to what its writer has done by now, also if another writer has it since. Reads that begin
    /// afterwards see a state that the writer's had at one moment, never one before what was seen; whatever was acknowledged
    /// before the call is in it. Iterators, scans, snapshots and pinned values go on as they are, also where the writer deletes files. Handles of families
    /// and tables show the new state; those that were dropped answer Dropped.
    ///
    /// Writes nothing, and never waits for the writer, only for another refresh of the same database. Costs what was written since; if
    /// there is another writer, as much as the log.
    ///
    /// Errors: InvalidArgument (open for writing: it shows everything anyway), Busy (files moved faster than they could be opened: try
    /// again), Corruption, Io, NotFound; Gap (the database was put back to an older state). All that was seen before stays.
    pub fn refresh(&self) -> Result<Refreshed> {
        let core = &self.handle.core;
        core.check()?;
        let mut follower = core.follower.lock();
        let Some(follower) = follower.as_mut() else {
            return Err(Error::invalid(
                "the database is open for writing, and shows all that is written: only one opened with read_only=true is refreshed",
            ));
        };
        let picture = follower.look()?;
        core.check()?;
        Ok(follower.publish(core, picture))
    }
}

impl Follower {
    /// Shows what was found, in one step.
    fn publish(&mut self, core: &Core, picture: Picture) -> Refreshed {
        let Picture { state, view, sequence } = picture;
        let mut install = core.install.lock();
        let is_same = has_same_collections(&install.state, &state) && has_same_ingests(&install.state, &state);
        let changed = sequence != self.sequence || !is_same;
        let mut catalog = core.catalog.lock();
        catalog.collections.retain(|id, shown| {
            let is_same = self.collections.get(id).is_some_and(|now| now.name == shown.name);
            if !is_same {
                shown.dropped.store(true, Ordering::SeqCst);
            }
            is_same
        });
        for (id, now) in &self.collections {
            let shown = catalog.collections.entry(*id).or_insert_with(|| now.clone());
            if !Arc::ptr_eq(shown, now) {
                shown.schemas.take_new(&now.schemas);
            }
        }
        core.view.replace(Arc::new(view), &core.domain);
        drop(catalog);
        core.caches.divide(state.files());
        install.state = state;
        (self.sequence, self.epoch) = (sequence, install.state.epoch);
        Refreshed { sequence, changed }
    }
}
