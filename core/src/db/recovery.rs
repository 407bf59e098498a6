//! Recovery: what the log holds beyond the files is brought back, and made safe anew, before anything old is touched.
//!
//! The log is replayed into memtables. A little of it (below [`RELOG_BYTES`]) is logged again, as it is, into a segment of the new
//! writer's epoch; more is flushed to files. Then `open` writes a new manifest whose log floor lies above every old segment, and
//! points CURRENT to it: in that one step the new state replaces the old one. Until then nothing old was changed, so recovery can
//! be cut short and repeated any number of times; segments and files of an attempt that did not get there carry a newer epoch or
//! are named by no manifest, and are ignored. For the same reason records behind a damaged end never come back: the floor of
//! the new manifest excludes their segment, and the cut is recorded with it.

use super::collection::{Collection, active_memtable};
use super::core::Catalog;
use super::open::{Opening, Parts, log_events};
use super::target::FileMaker;
use crate::batch::{Operation, Operations};
use crate::commit::ActiveMemtable;
use crate::error::{Error, ErrorKind, Result};
use crate::flush::FlushInput;
use crate::key::{CollectionId, CollectionKind, FileNumber, MemtableId, Sequence};
use crate::memtable::{AnyMemtable, AnyMemtableWriter, MemtableKind, MemtableOptions, create_any};
use crate::observe::{Event, EventKind, FlushReason};
use crate::record::payload_checksum;
use crate::version::{Change, CollectionState, Cut, VersionEdit, VersionState};
use crate::view::{CollectionView, Frozen, Run, View};
use crate::wal::{self, Log, LogIdentity, LogOptions, LogWriter, LoggedRecord, ReplayOutcome};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Replayed logs up to this size are logged again; longer ones are flushed.
const RELOG_BYTES: u64 = 4 << 20;

/// What opening puts the database together from.
pub(super) struct Recovered {
    pub state: VersionState,
    pub catalog: Catalog,
    pub view: View,
    pub active: Vec<ActiveMemtable>,
    pub writer: Option<LogWriter>,
    pub log: Option<Arc<Log>>,
    pub last_sequence: Sequence,
    /// Segments that the new manifest does not need.
    pub old_segments: Vec<FileNumber>,
    /// Segments that an opening, or the making of a segment, left unfinished.
    pub stale_segments: Vec<FileNumber>,
}

impl Recovered {
    /// What a database that is open for reading is put together from.
    pub fn for_reading(
        state: VersionState,
        collections: BTreeMap<CollectionId, Arc<Collection>>,
        view: View,
        last_sequence: Sequence,
    ) -> Self {
        let (active, old_segments, stale_segments) = (Vec::new(), Vec::new(), Vec::new());
        let catalog = Catalog { collections };
        Self { state, catalog, view, active, writer: None, log: None, last_sequence, old_segments, stale_segments }
    }
}

/// One family while its log is replayed.
pub(super) struct Rebuilt {
    pub collection: Arc<Collection>,
    pub active: ActiveMemtable,
    /// Full memtables, oldest first.
    frozen: Vec<AnyMemtable>,
    runs: Vec<Run>,
    pub flushed_through: Sequence,
    /// What came in beside the log up to this sequence lies between no two entries of a memtable.
    pub ingested_at: Sequence,
}

impl Rebuilt {
    /// Nothing is replayed yet of what the manifest tells in `state`.
    pub fn new(collection: &Arc<Collection>, state: &CollectionState, runs: Vec<Run>, parts: &Parts) -> Result<Self> {
        let &CollectionState { flushed_through, ingested_at, .. } = state;
        let (writer, memtable) = new_memtable(&collection.memtable_kind(), parts)?;
        let active = active_memtable(collection, writer, memtable);
        Ok(Self { collection: collection.clone(), active, frozen: Vec::new(), runs, flushed_through, ingested_at })
    }

    /// Goes on with what the manifest says now: lets go of memtables whose entries lie in files, and begins one for a new schema.
    ///
    /// A memtable of a column family that lies in files in part stays whole: it holds all versions within its bounds, so an entry that is found
    /// twice is the same one. Of a table it is made anew without what lies in files: rows that came twice would be two rows.
    pub fn advance(&mut self, collection: &Arc<Collection>, flushed_through: Sequence, parts: &Parts) -> Result<()> {
        let is_altered = !Arc::ptr_eq(&self.collection, collection);
        self.collection = collection.clone();
        if is_altered && collection.kind == CollectionKind::Rows {
            self.seal(parts)?;
        }
        if flushed_through == self.flushed_through {
            return Ok(());
        }
        self.flushed_through = flushed_through;
        let is_left = |memtable: &AnyMemtable| memtable.last_sequence().is_some_and(|last| last > flushed_through);
        self.frozen.retain(is_left);
        if !is_left(&self.active.memtable) {
            self.seal(parts)?;
            self.frozen.pop();
        }
        #[cfg(feature = "arrow")]
        self.leave_out_rows_in_files(parts)?;
        Ok(())
    }

    /// Makes anew what holds rows on both sides of what was flushed.
    #[cfg(feature = "arrow")]
    fn leave_out_rows_in_files(&mut self, parts: &Parts) -> Result<()> {
        let flushed_through = self.flushed_through;
        let is_cut =
            |memtable: &&mut AnyMemtable| memtable.first_sequence().is_some_and(|first| first <= flushed_through);
        let left = |memtable: &AnyMemtable| -> Result<Option<(AnyMemtableWriter, AnyMemtable)>> {
            let Some(rows) = memtable.rows() else { return Ok(None) };
            let (mut writer, fresh) = new_memtable(&MemtableKind::Rows(rows.schema().clone()), parts)?;
            for (sequence, rows) in rows.batches().filter(|(sequence, _)| *sequence > flushed_through) {
                writer.reserve_rows([&**rows])?;
                writer.insert_rows(sequence, rows);
            }
            Ok(Some((writer, fresh)))
        };
        for memtable in self.frozen.iter_mut().filter(is_cut) {
            if let Some((_, fresh)) = left(memtable)? {
                fresh.freeze();
                *memtable = fresh;
            }
        }
        if is_cut(&&mut self.active.memtable)
            && let Some((writer, memtable)) = left(&self.active.memtable)?
        {
            (self.active.writer, self.active.memtable) = (writer, memtable);
        }
        Ok(())
    }

    /// The full memtables as a view has them.
    pub fn frozen_newest_first(&self, batch_end: Sequence) -> Vec<Frozen> {
        let frozen = self.frozen.iter().rev().cloned();
        frozen.map(|memtable| Frozen { memtable, reason: FlushReason::Recovery, batch_end, together: 0 }).collect()
    }

    /// Freezes the active memtable and goes on with an empty one.
    fn seal(&mut self, parts: &Parts) -> Result<()> {
        let (writer, memtable) = new_memtable(&self.collection.memtable_kind(), parts)?;
        self.active.writer = writer;
        let full = std::mem::replace(&mut self.active.memtable, memtable);
        full.freeze();
        self.frozen.push(full);
        Ok(())
    }

    /// Inserts what a logged operation did. `damaged` makes an error that names the record.
    fn insert(&mut self, sequence: Sequence, operation: &Operation<'_>, damaged: &dyn Fn(&str) -> Error) -> Result<()> {
        if operation.kind.is_rows() != (self.collection.kind == CollectionKind::Rows) {
            return Err(damaged("an operation on another kind of collection"));
        }
        #[cfg(feature = "arrow")]
        if operation.kind.is_rows() {
            let rows = self.collection.schemas.decode_rows(operation, damaged)?;
            self.active.writer.reserve_rows([&*rows])?;
            self.active.writer.insert_rows(sequence, &rows);
            return Ok(());
        }
        self.active.writer.reserve(1, operation.key.len() + operation.value.len())?;
        self.active.writer.insert(sequence, operation.kind, operation.key, operation.value);
        Ok(())
    }
}

/// The log replayed into memtables.
struct Replayed {
    families: BTreeMap<CollectionId, Rebuilt>,
    outcome: ReplayOutcome,
    /// The records as they were, as long as they are few.
    records: Option<Vec<(Sequence, u32, Vec<u8>)>>,
}

fn new_memtable(kind: &MemtableKind, parts: &Parts) -> Result<(AnyMemtableWriter, AnyMemtable)> {
    let id = MemtableId(parts.next_memtable.fetch_add(1, Ordering::Relaxed));
    create_any(kind, id, &MemtableOptions { hash_seed: parts.hash_seed, pool: parts.pool.clone() })
}

impl Replayed {
    fn read(
        opening: &Opening,
        state: &VersionState,
        catalog: &Catalog,
        view: Vec<(CollectionId, Vec<Run>)>,
        parts: &Parts,
        relieve: &mut dyn FnMut(&mut BTreeMap<CollectionId, Rebuilt>) -> Result<bool>,
    ) -> Result<Self> {
        let mut families = BTreeMap::new();
        for (id, runs) in view {
            let rebuilt = Rebuilt::new(&catalog.collections[&id], &state.collections[&id], runs, parts)?;
            families.insert(id, rebuilt);
        }
        let mut records = Some(Vec::new());
        let mut bytes = 0;
        let mut sink = |record: LoggedRecord<'_>| {
            bytes += record.payload.len() as u64;
            if bytes > RELOG_BYTES {
                records = None;
            }
            if let Some(records) = &mut records {
                records.push((record.first_sequence, record.count, record.payload.to_vec()));
            }
            apply(&mut families, &record, &opening.wal_path, parts)?;
            if relieve(&mut families)? {
                // What is in files already is not logged again.
                (bytes, records) = (RELOG_BYTES + 1, None);
            }
            Ok(())
        };
        let outcome = wal::replay(
            &opening.env,
            &opening.wal_path,
            state.database_id,
            state.epoch,
            state.log_floor,
            // Not the newest file: it may be ahead of the log, which a flush syncs only if another family needs it.
            state.log_durable,
            opening.options.wal_recovery(),
            &mut sink,
        )?;
        tell_skipped(&outcome, &opening.wal_path, parts);
        Ok(Self { families, outcome, records })
    }

    fn last_sequence(&self, state: &VersionState) -> Sequence {
        self.outcome.last_sequence.max(state.last_sequence).max(state.newest_sequence_in_files())
    }
}

/// Applies one record: each operation if and only if its family lives and no file holds it yet.
pub(super) fn apply(
    families: &mut BTreeMap<CollectionId, Rebuilt>,
    record: &LoggedRecord<'_>,
    wal_path: &Path,
    parts: &Parts,
) -> Result<()> {
    let damaged = |why: &str| {
        let path = wal_path.join(wal::segment_name(record.segment));
        Error::corruption(&path, record.offset, format!("log record with a good checksum but bad content: {why}"))
    };
    let mut sequence = record.first_sequence;
    for operation in Operations::new(record.payload) {
        let operation = operation.map_err(damaged)?;
        if let Some(family) = families.get_mut(&operation.collection)
            && sequence > family.flushed_through
        {
            if family.active.is_full() {
                family.seal(parts)?;
            }
            family.insert(sequence, &operation, &damaged)?;
        }
        sequence += 1;
    }
    if sequence - record.first_sequence != Sequence::from(record.count) {
        return Err(damaged("it counts other than it holds"));
    }
    Ok(())
}

/// Brings the database up to the end of its log, for writing.
pub(super) fn recover(
    opening: &Opening,
    mut state: VersionState,
    catalog: Catalog,
    view: Vec<(CollectionId, Vec<Run>)>,
    parts: &Parts,
) -> Result<Recovered> {
    let began = opening.env.runtime.monotonic_nanos();
    parts.events.push(Event::new(EventKind::RecoveryBegin));
    let mut edit = VersionEdit::new();
    let identity = LogIdentity { database_id: state.database_id, epoch: state.epoch + 1 };
    edit.push(Change::Epoch(identity.epoch));
    let flush_all = |families: &mut BTreeMap<CollectionId, Rebuilt>, edit: &mut VersionEdit| {
        families
            .iter_mut()
            .try_for_each(|(id, family)| flush_rebuilt(opening, &catalog, *id, family, identity, parts, edit))
    };
    // The log may hold more than memtables may.
    let mut relieve = |families: &mut BTreeMap<CollectionId, Rebuilt>| {
        let memory = parts.pool.memory();
        let is_much = memory.held_bytes() >= memory.share_bytes() / 2;
        if is_much { flush_all(families, &mut edit).map(|()| true) } else { Ok(false) }
    };
    let mut replayed = Replayed::read(opening, &state, &catalog, view, parts, &mut relieve)?;
    let last_sequence = replayed.last_sequence(&state);

    let records = replayed.records.take();
    if records.is_none() {
        flush_all(&mut replayed.families, &mut edit)?;
    }
    let records = records.unwrap_or_default();
    let before = records.first().map_or(last_sequence, |(first, ..)| first - 1);
    let options = LogOptions {
        backend: opening.options.wal_backend(),
        // So that the limit of the log binds however little of it is closed: see `log_limit`.
        segment_bytes_max: opening
            .options
            .wal_segment_bytes()
            .min((opening.options.wal_total_bytes() / 4).max(64 << 10)),
        archive: opening.options.wal_archive(),
        ..LogOptions::default()
    };
    let numbers = parts.next_file.clone();
    let numbers = Arc::new(move || FileNumber(numbers.fetch_add(1, Ordering::Relaxed)));
    let (mut writer, log) =
        Log::create(&opening.env, &opening.wal_path, identity, options, numbers, before, log_events(parts))?;
    let floor = log.segments().first().map_or(state.log_floor, |segment| segment.number);
    for (first, count, payload) in &records {
        writer.append(*first, *count, &[payload], payload_checksum(&[payload]))?;
    }
    log.sync(last_sequence)?;

    edit.push(Change::LastSequence(last_sequence));
    edit.push(Change::LogFloor(floor));
    let cut = replayed.outcome.cut.as_ref();
    edit.push(Change::Cut(cut.map(|cut| Cut { segment: cut.segment, offset: cut.offset, sequence: cut.sequence })));
    // What was durable of the old log lies below the floor now.
    if let Some(position) = log.durable_position() {
        edit.push(Change::LogDurable(position));
    }
    state.apply(&edit)?;
    let mut event = Event::new(EventKind::RecoveryDone);
    event.entries = replayed.outcome.records;
    event.bytes = replayed.outcome.bytes;
    event.micros = opening.env.runtime.monotonic_nanos().saturating_sub(began) / 1000;
    parts.events.push(event);
    let old_segments = replayed.outcome.segments.clone();
    let stale_segments = replayed.outcome.stale.clone();
    let mut recovered = finish(state, catalog, replayed, last_sequence);
    recovered.writer = Some(writer);
    recovered.log = Some(log);
    (recovered.old_segments, recovered.stale_segments) = (old_segments, stale_segments);
    Ok(recovered)
}

/// Tells the application what a salvage left out.
pub(super) fn tell_skipped(outcome: &ReplayOutcome, wal_path: &Path, parts: &Parts) {
    for skipped in &outcome.skipped {
        let path = wal_path.join(wal::segment_name(skipped.segment));
        let mut event = Event::new(EventKind::LogSkipped);
        event.number = skipped.segment.0;
        event.bytes = skipped.to - skipped.from;
        event.detail = format!("{}: {} to {}: {}", path.display(), skipped.from, skipped.to, skipped.why);
        parts.events.push(event);
    }
}

fn finish(state: VersionState, catalog: Catalog, replayed: Replayed, last_sequence: Sequence) -> Recovered {
    let mut view = View::default();
    let mut active = Vec::new();
    for (id, mut family) in replayed.families {
        family.active.batch_end = last_sequence;
        view = view.with(CollectionView {
            collection: id,
            active: family.active.memtable.clone(),
            // Everything replayed is durable in the new log by now.
            frozen: family.frozen_newest_first(last_sequence),
            runs: family.runs,
        });
        active.push(family.active);
    }
    let (old_segments, stale_segments) = (Vec::new(), Vec::new());
    Recovered { state, catalog, view, active, writer: None, log: None, last_sequence, old_segments, stale_segments }
}

/// Flushes all that was replayed of one family into one file.
fn flush_rebuilt(
    opening: &Opening,
    catalog: &Catalog,
    id: CollectionId,
    family: &mut Rebuilt,
    identity: LogIdentity,
    parts: &Parts,
    edit: &mut VersionEdit,
) -> Result<()> {
    if family.active.memtable.is_empty() && family.frozen.is_empty() {
        return Ok(());
    }
    family.seal(parts)?;
    let memtables = std::mem::take(&mut family.frozen);
    let through = memtables.iter().filter_map(|memtable| memtable.last_sequence()).max();
    let Some(through) = through else { return Ok(()) };
    let collection = catalog
        .collections
        .get(&id)
        .ok_or_else(|| Error::new(ErrorKind::Dropped, "the column family was dropped during recovery"))?;
    let number = FileNumber(parts.next_file.fetch_add(1, Ordering::Relaxed));
    let output = crate::flush::run(FlushInput {
        memtables,
        snapshots: Vec::new(),
        bottom: false,
        target: FileMaker {
            env: &opening.env,
            caches: &parts.caches,
            stamps: &parts.stamps,
            database_id: identity.database_id,
            epoch: identity.epoch,
        }
        .target(collection, number, 0, Vec::new()),
        cancel: None,
    })?;
    if let Some((meta, reader)) = output.file {
        edit.push(Change::AddFile(meta.clone()));
        family.runs.insert(0, Run { meta: Arc::new(meta), reader });
    }
    edit.push(Change::FlushedThrough { collection: id, sequence: through });
    Ok(())
}
