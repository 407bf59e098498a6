//! Repair: a new database from what is left of a damaged one.
//!
//! Called by applications, on a directory that no database is open in. Promises: nothing in the source is changed; each file that
//! is taken was read to its last byte; what a merge replaced does not come back; every file is accounted for in the report; the new
//! directory holds a database that opens, or nothing.

mod files;
mod lineage;
mod log;

use super::collection::directory;
use super::column_family::DEFAULT_FAMILY;
use super::export::copy;
use super::meter::Meter;
use super::options::Options;
use super::{CloseOptions, Db};
use crate::env::posix::posix;
use crate::env::{Env, FileLock, FileSystem, parent};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, CollectionKind, FileNumber, Sequence};
use crate::version::file_name::{self, FileKind};
use crate::version::{Change, FileFormat, FileMeta, Manifest, VersionEdit, VersionState};
use crate::wal::{self, SalvagedSegment};
use files::FoundFile;
use lineage::{Candidate, Known};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a repair is asked for.
#[derive(Clone, Default)]
pub struct RepairOptions {
    /// Those of the new database; also of families and tables whose own options are lost.
    pub options: Options,
    /// Where the source's log lies, if not in its directory.
    pub source_wal_dir: Option<PathBuf>,
    /// Give the files a second name instead of copying them, where that can be. Faster, and takes no space; but if the device
    /// that they lie on goes, both databases are gone.
    pub link: bool,
}

/// What a repair found and did.
#[derive(Debug, Clone)]
pub struct RepairReport {
    /// Why the manifest could not be used; `None`: it was. Without it names come from directories, all else from the files.
    pub manifest_error: Option<String>,
    /// Every file that looked like one of ours, and every one that the manifest named.
    pub files: Vec<RepairedFile>,
    /// Every segment of the log.
    pub log: Vec<SalvagedSegment>,
    /// Operations of the log that are in the new database, beyond those in files.
    pub log_operations: u64,
    /// Operations of the log that were given up: nothing tells which family, table or schema they belong to.
    pub log_operations_lost: u64,
    /// The families and tables of the new database.
    pub collections: Vec<String>,
}

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairedFile {
    /// Where it lies in the source.
    pub path: PathBuf,
    /// The family or table that it was found in.
    pub collection: String,
    /// Its number, if it can be told.
    pub number: Option<FileNumber>,
    /// Its rows, or versions of keys; 0 if they cannot be told.
    pub rows: u64,
    /// Why it was left out; `None`: it is in the new database.
    pub skipped: Option<String>,
}

impl RepairReport {
    /// How many files are in the new database.
    pub fn adopted(&self) -> usize {
        self.files.iter().filter(|file| file.skipped.is_none()).count()
    }
}

impl Db {
    /// Makes a database in `new_dir`, which must not exist or be empty, from what can be read in `path`. Locked if a database is open
    /// there. An error means that nothing could be made; what was left out of it is in the report.
    pub fn repair(path: impl AsRef<Path>, new_dir: impl AsRef<Path>, options: &RepairOptions) -> Result<RepairReport> {
        Self::repair_told(path, new_dir, options, &mut |_, _| Ok(()))
    }

    /// The same. `told` hears how many bytes of files and log were read and written, and how many there are: after each file that was read,
    /// and each MiB of what is copied or logged anew. An error of its ends the repair, which leaves nothing.
    pub fn repair_told(
        path: impl AsRef<Path>,
        new_dir: impl AsRef<Path>,
        options: &RepairOptions,
        told: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<RepairReport> {
        Self::repair_in(&posix(), path.as_ref(), new_dir.as_ref(), options, told)
    }

    /// The same in a given world.
    pub fn repair_in(
        env: &Env,
        path: &Path,
        new_dir: &Path,
        options: &RepairOptions,
        told: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<RepairReport> {
        let files = &*env.files;
        files.list(path)?;
        match files.list(new_dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(names) if names.is_empty() => {}
            Ok(_) => return Err(Error::invalid("a repair needs a new or empty directory").in_file(new_dir)),
        }
        let _lock = lock_source(files, path)?;
        let repair = Repair { env, source: path, target: new_dir, options };
        let outcome = repair.run(told);
        if outcome.is_err() {
            // Best effort: what is left is no database, or one that nobody was told of.
            let _ = Self::destroy_in(env, new_dir);
        }
        outcome
    }
}

/// Keeps others from opening the source for writing. A lock file is not made for it: that would change the source.
fn lock_source(files: &dyn FileSystem, source: &Path) -> Result<Option<Box<dyn FileLock>>> {
    let path = source.join(file_name::LOCK);
    if files.file_len(&path)?.is_none() {
        return Ok(None);
    }
    match files.lock(&path) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == ErrorKind::Locked => Err(error),
        // A source that cannot be written to can be repaired from all the same.
        Err(_) => Ok(None),
    }
}

struct Repair<'a> {
    env: &'a Env,
    source: &'a Path,
    target: &'a Path,
    options: &'a RepairOptions,
}

/// A file that is taken: where it lies, and what the new manifest says of it.
struct Taken {
    path: PathBuf,
    meta: FileMeta,
}

impl Repair<'_> {
    fn run(&self, told: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<RepairReport> {
        let (manifest, manifest_error) = match Manifest::read(self.env, self.source) {
            Ok(Some((state, _))) => (Some(state), None),
            Ok(None) => (None, Some("there is none".to_owned())),
            Err(error) => (None, Some(error.to_string())),
        };
        let wal_dir = self.options.source_wal_dir.clone().unwrap_or_else(|| self.source.join(file_name::LOG_DIR));
        let places = files::list_places(self.env, self.source);
        let file_bytes: u64 = places.iter().map(|place| place.bytes).sum();
        let log_bytes = log::bytes(&*self.env.files, &wal_dir);
        // Each is gone through twice: files are read and copied, the log is looked through and logged anew.
        let mut meter = Meter::begin(told, 2 * (file_bytes + log_bytes))?;
        let mut found = files::check(self.env, places, &mut meter)?;
        let database_id = match &manifest {
            Some(state) => state.database_id,
            None => self.database_id(&found, &wal_dir)?,
        };
        let known = manifest.as_ref().map(known);
        let mut skipped = self.skipped(&found, database_id, known.as_ref());
        let mut state = self.state(manifest.as_ref(), database_id, &found, &mut skipped)?;
        let taken = self.take(&mut state, &mut found, &mut skipped)?;
        let complete = |id: &CollectionId| {
            manifest
                .as_ref()
                .and_then(|old| old.collections.get(id))
                .is_some_and(|old| old.runs.iter().all(|run| taken.iter().any(|taken| taken.meta.number == run.number)))
        };
        for (id, collection) in &mut state.collections {
            // Where live files are lost the log may hold what was in them.
            let in_files = collection.runs.iter().map(|run| run.newest_sequence()).max().unwrap_or(0);
            let told = if complete(id) { collection.flushed_through } else { 0 };
            collection.flushed_through = told.max(in_files);
        }
        let looked_through = file_bytes + log_bytes;
        let old_log = log::look_through(self.env, &wal_dir, &state, &mut |bytes| meter.pass(bytes, looked_through))?;
        meter.reach(looked_through)?;
        let mut state = self.with_families_of_the_log(state, manifest.is_some(), &old_log)?;
        state.epoch = state.epoch.max(old_log.epoch) + 1;
        state.next_file_number = state.next_file_number.max(FileNumber(old_log.next_file));
        let floor = state.log_floor;
        (state.log_floor, state.log_durable, state.cut) = (FileNumber(0), None, None);

        self.place(&state, &taken, &mut meter)?;
        meter.reach(looked_through + file_bytes)?;
        let next_file = Arc::new(AtomicU64::new(state.next_file_number.0));
        let new_wal_dir = self.options.options.wal_dir().unwrap_or_else(|| self.target.join(file_name::LOG_DIR));
        self.env.files.create_dir(&new_wal_dir)?;
        let relogged =
            log::relog(self.env, (&wal_dir, floor), &new_wal_dir, &state, next_file.clone(), &mut |bytes| {
                meter.pass(bytes, u64::MAX)
            })?;
        meter.reach(u64::MAX)?;
        self.env.files.sync_dir(&new_wal_dir)?;
        self.env.files.sync_dir(&parent(&new_wal_dir))?;
        state.log_floor = relogged.floor.unwrap_or_default();
        state.last_sequence = state.last_sequence.max(relogged.last_sequence);
        let number = FileNumber(next_file.fetch_add(1, Ordering::Relaxed));
        state.next_file_number = FileNumber(number.0 + 1);
        Manifest::create(self.env, self.target, number, &state)?;
        self.env.files.sync_dir(&parent(self.target))?;
        // What cannot be opened is no repair.
        let db = Db::open_in(self.env.clone(), self.target, &self.options.options)?;
        let damaged_again = db.background_error();
        db.close(&CloseOptions::default())?;
        if let Some(error) = damaged_again {
            return Err(error);
        }

        Ok(RepairReport {
            manifest_error,
            files: self.report(&found, &skipped, manifest.as_ref()),
            log: relogged.segments,
            log_operations: relogged.operations,
            log_operations_lost: relogged.lost,
            collections: state.collections.values().map(|collection| collection.name.clone()).collect(),
        })
    }

    /// Whose database it is, without a manifest: that of most files, or of the log.
    fn database_id(&self, found: &[FoundFile], wal_dir: &Path) -> Result<u64> {
        let mut votes: BTreeMap<u64, usize> = BTreeMap::new();
        for properties in found.iter().filter_map(|file| file.properties.as_ref()) {
            *votes.entry(properties.database_id).or_default() += 1;
        }
        match votes.into_iter().max_by_key(|(_, votes)| *votes) {
            Some((id, _)) => Ok(id),
            None => Ok(wal::salvaged_database_id(self.env, wal_dir)?.unwrap_or_else(|| self.env.runtime.random())),
        }
    }

    /// Why each file is left out, by its place in `found`.
    fn skipped(&self, found: &[FoundFile], database_id: u64, known: Option<&Known>) -> BTreeMap<usize, String> {
        let mut skipped = BTreeMap::new();
        let mut candidates: BTreeMap<FileNumber, (usize, Candidate)> = BTreeMap::new();
        for (place, file) in found.iter().enumerate() {
            if let Err(error) = &file.meta {
                skipped.insert(place, error.to_string());
            }
            let Some(properties) = &file.properties else { continue };
            let valid = file.meta.is_ok();
            if properties.database_id != database_id {
                skipped.insert(place, "it belongs to another database".to_owned());
                continue;
            }
            if valid && properties.entries == 0 {
                skipped.insert(place, "it is empty".to_owned());
                continue;
            }
            let candidate = Candidate {
                number: properties.number,
                collection: properties.collection,
                inputs: properties.inputs.clone(),
                outputs: properties.outputs.clone(),
                smallest_sequence: properties.smallest_sequence,
                valid,
            };
            match candidates.get(&properties.number) {
                // One good copy is enough.
                Some((_, before)) if before.valid || !valid => {
                    skipped.entry(place).or_insert_with(|| "there is another copy of it".to_owned());
                }
                _ => drop(candidates.insert(properties.number, (place, candidate))),
            }
        }
        let all: Vec<Candidate> = candidates.values().map(|(_, candidate)| candidate.clone()).collect();
        for (number, why) in lineage::rejected(&all, known) {
            if let Some((place, _)) = candidates.get(&number) {
                skipped.entry(*place).or_insert(why);
            }
        }
        skipped
    }

    /// The state of the new database, without files.
    fn state(
        &self,
        manifest: Option<&VersionState>,
        database_id: u64,
        found: &[FoundFile],
        skipped: &mut BTreeMap<usize, String>,
    ) -> Result<VersionState> {
        let mut state = match manifest {
            Some(old) => {
                let mut state = VersionState::new(database_id);
                let mut snapshot = VersionEdit::snapshot(old);
                snapshot.changes.retain(|change| !matches!(change, Change::AddFile(_)));
                state.apply(&snapshot)?;
                state
            }
            None => VersionState::new(database_id),
        };
        let mut edit = VersionEdit::new();
        let mut names: BTreeSet<String> = state.collections.values().map(|known| known.name.clone()).collect();
        let mut made: BTreeMap<CollectionId, (String, CollectionKind)> =
            state.collections.values().map(|known| (known.id, (known.name.clone(), known.kind))).collect();
        // Of two collections that had the same name one after the other, the later one counts.
        let mut by_id: BTreeMap<CollectionId, Vec<(usize, &FoundFile)>> = BTreeMap::new();
        for (place, file) in found.iter().enumerate().filter(|(place, _)| !skipped.contains_key(place)) {
            if let Some(properties) = &file.properties {
                by_id.entry(properties.collection).or_default().push((place, file));
            }
        }
        let mut create = Vec::new();
        if manifest.is_none() {
            names.insert(DEFAULT_FAMILY.to_owned());
            made.insert(CollectionId(0), (DEFAULT_FAMILY.to_owned(), CollectionKind::Bytes));
            create.push(self.creation(CollectionId(0), DEFAULT_FAMILY, CollectionKind::Bytes, None)?);
        }
        for (id, of_id) in by_id.iter().rev() {
            let newest = of_id.iter().max_by_key(|(_, file)| file.properties.as_ref().map(|found| found.number));
            let Some((_, newest)) = newest else { continue };
            if !made.contains_key(id)
                && file_name::check_collection_name(&newest.collection).is_ok()
                && names.insert(newest.collection.clone())
            {
                made.insert(*id, (newest.collection.clone(), newest.kind));
                let format = newest.meta.as_ref().ok().map(|meta| meta.format);
                create.push(self.creation(*id, &newest.collection, newest.kind, format)?);
            }
            for (place, file) in of_id {
                if made.get(id) != Some(&(file.collection.clone(), file.kind)) {
                    let why = "it belongs to another family or table than it lies with, or to one that was dropped";
                    skipped.insert(*place, why.to_owned());
                }
            }
        }
        create.sort_by_key(|change| match change {
            Change::CreateCollection { id, .. } => *id,
            _ => CollectionId(0),
        });
        edit.changes = create;
        state.apply(&edit)?;
        state.next_collection_id =
            state.next_collection_id.max(CollectionId(by_id.keys().next_back().map_or(0, |id| id.0.saturating_add(1))));
        let epoch = found.iter().filter_map(|file| file.properties.as_ref()).map(|found| found.epoch).max();
        state.epoch = state.epoch.max(epoch.unwrap_or(0));
        Ok(state)
    }

    fn creation(
        &self,
        id: CollectionId,
        name: &str,
        kind: CollectionKind,
        format: Option<FileFormat>,
    ) -> Result<Change> {
        let options = &self.options.options;
        let options = match format {
            Some(FileFormat::Ipc) => options.clone().with("table_format", "arrow")?,
            Some(FileFormat::Parquet) => options.clone().with("table_format", "parquet")?,
            _ => options.clone(),
        };
        Ok(Change::CreateCollection {
            id,
            name: name.to_owned(),
            kind,
            logged: options.logged(),
            options: options.encode_collection(),
        })
    }

    /// Puts the files that are left into the state, newest first, with the schemas of their rows.
    fn take(
        &self,
        state: &mut VersionState,
        found: &mut [FoundFile],
        skipped: &mut BTreeMap<usize, String>,
    ) -> Result<Vec<Taken>> {
        #[cfg(feature = "arrow")]
        add_schemas(state, found, skipped)?;
        let mut order: Vec<usize> = (0..found.len()).filter(|place| !skipped.contains_key(place)).collect();
        let number = |place: &usize| found[*place].properties.as_ref().map(|properties| properties.number);
        order.sort_by_key(|place| std::cmp::Reverse(number(place)));
        let mut taken = Vec::new();
        let mut stamps = BTreeSet::new();
        for place in order {
            let Ok(mut meta) = found[place].meta.clone() else { continue };
            while meta.format == FileFormat::Ipc && !stamps.insert((meta.collection, meta.stamp_nanos)) {
                meta.stamp_nanos += 1;
            }
            match state.apply(&VersionEdit::new().with(Change::AddFile(meta.clone()))) {
                Ok(()) => taken.push(Taken { path: found[place].path.clone(), meta }),
                // Its versions of keys mingle with those of a later file: they were merged into that, or are no history at all.
                Err(error) => drop(skipped.insert(place, error.message().to_owned())),
            }
        }
        // Numbers of what is left out are not used again either.
        let beyond = found.iter().filter_map(|file| file.properties.as_ref()).map(|found| found.number.0 + 1).max();
        state.next_file_number = state.next_file_number.max(FileNumber(beyond.unwrap_or(0)));
        for name in self.env.files.list(self.source)? {
            if let Some(FileKind::Manifest(number)) = file_name::parse(&name) {
                state.next_file_number = state.next_file_number.max(FileNumber(number.0 + 1));
            }
        }
        Ok(taken)
    }

    /// Families that only the log knows, without a manifest: they have lost their names.
    fn with_families_of_the_log(
        &self,
        mut state: VersionState,
        has_manifest: bool,
        old_log: &log::OldLog,
    ) -> Result<VersionState> {
        if has_manifest {
            return Ok(state);
        }
        let missing: Vec<CollectionId> =
            old_log.families.iter().copied().filter(|id| !state.collections.contains_key(id)).collect();
        // Ids are given in order only by the edits themselves; here they come as they were found.
        let mut snapshot = VersionEdit::snapshot(&state);
        for id in missing {
            let mut name = format!("recovered_{}", id.0);
            while state.collection_named(&name).is_some() {
                name.push('_');
            }
            snapshot.push(self.creation(id, &name, CollectionKind::Bytes, None)?);
        }
        let (create, mut rest): (Vec<_>, Vec<_>) = std::mem::take(&mut snapshot.changes)
            .into_iter()
            .partition(|change| matches!(change, Change::CreateCollection { .. }));
        let mut create = create;
        create.sort_by_key(|change| match change {
            Change::CreateCollection { id, .. } => *id,
            _ => CollectionId(0),
        });
        let next = create.iter().filter_map(|change| match change {
            Change::CreateCollection { id, .. } => Some(id.0.saturating_add(1)),
            _ => None,
        });
        let next = CollectionId(next.max().unwrap_or(0)).max(state.next_collection_id);
        rest.retain(|change| !matches!(change, Change::NextCollectionId(_)));
        rest.push(Change::NextCollectionId(next));
        snapshot.changes = create;
        snapshot.changes.extend(rest);
        state = VersionState::new(state.database_id);
        state.apply(&snapshot)?;
        Ok(state)
    }

    /// Puts the files into the new directory, where its manifest says that they lie. Durable, but for the new directory's own name.
    fn place(&self, state: &VersionState, taken: &[Taken], meter: &mut Meter<'_>) -> Result<()> {
        let files = &*self.env.files;
        let mut dirs = BTreeSet::from([self.target.to_path_buf()]);
        files.create_dir(self.target)?;
        for Taken { path, meta } in taken {
            let Some(collection) = state.collections.get(&meta.collection) else { continue };
            let to = file_name::file_path(&directory(self.target, collection.kind, &collection.name), meta);
            let dir = parent(&to);
            files.create_dir(&dir)?;
            let mut above = dir.clone();
            while above != *self.target && dirs.insert(above.clone()) {
                above = parent(&above);
            }
            let whole = meter.done() + meta.size_bytes;
            self.bring(path, &to, whole, meter)?;
            if meta.format == FileFormat::Ipc {
                self.bring(&parent(path).join(file_name::IPC_INDEX), &dir.join(file_name::IPC_INDEX), whole, meter)?;
            }
            meter.reach(whole)?;
        }
        dirs.iter().try_for_each(|dir| files.sync_dir(dir))
    }

    fn bring(&self, from: &Path, to: &Path, whole: u64, meter: &mut Meter<'_>) -> Result<()> {
        let files = &*self.env.files;
        if self.options.link && files.link(from, to).is_ok() {
            return Ok(());
        }
        copy(files, from, to, &mut |bytes| meter.pass(bytes, whole))
    }

    fn report(
        &self,
        found: &[FoundFile],
        skipped: &BTreeMap<usize, String>,
        manifest: Option<&VersionState>,
    ) -> Vec<RepairedFile> {
        let told = found.iter().enumerate().map(|(place, file)| RepairedFile {
            path: file.path.clone(),
            collection: file.collection.clone(),
            number: file.properties.as_ref().map(|properties| properties.number),
            rows: file.properties.as_ref().map_or(0, |properties| properties.entries),
            skipped: skipped.get(&place).cloned(),
        });
        let mut told: Vec<RepairedFile> = told.collect();
        for collection in manifest.iter().flat_map(|state| state.collections.values()) {
            for run in &collection.runs {
                let path = file_name::file_path(&directory(self.source, collection.kind, &collection.name), run);
                if !told.iter().any(|file| file.path == path) {
                    told.push(RepairedFile {
                        path,
                        collection: collection.name.clone(),
                        number: Some(run.number),
                        rows: run.entries,
                        skipped: Some("the manifest names it, but it is missing".to_owned()),
                    });
                }
            }
        }
        told
    }
}

/// What the choice of files needs to know of the manifest.
fn known(state: &VersionState) -> Known {
    let flushed = |collection: &crate::version::CollectionState| -> (CollectionId, Sequence) {
        let in_files = collection.runs.iter().map(|run| run.newest_sequence()).max().unwrap_or(0);
        (collection.id, collection.flushed_through.max(in_files))
    };
    Known {
        live: state.files().map(|file| file.number).collect(),
        flushed_through: state.collections.values().map(flushed).collect(),
        next_collection: state.next_collection_id,
    }
}

/// Adds the schemas that only files know. A file whose schema contradicts another's is left out.
#[cfg(feature = "arrow")]
fn add_schemas(state: &mut VersionState, found: &[FoundFile], skipped: &mut BTreeMap<usize, String>) -> Result<()> {
    use crate::schema::TableSchema;
    let mut all: BTreeMap<CollectionId, BTreeMap<u32, Arc<TableSchema>>> = BTreeMap::new();
    for collection in state.collections.values() {
        let of_table = all.entry(collection.id).or_default();
        for stored in &collection.schemas {
            of_table.insert(stored.id, Arc::new(TableSchema::decode(&stored.bytes)?));
        }
    }
    for (place, file) in found.iter().enumerate() {
        let (Some(properties), Some(schema)) = (&file.properties, &file.schema) else { continue };
        if skipped.contains_key(&place) {
            continue;
        }
        let of_table = all.entry(properties.collection).or_default();
        let known = of_table.entry(schema.id().0).or_insert_with(|| schema.clone());
        if known.fingerprint() != schema.fingerprint() {
            skipped.insert(place, "its schema is not the one that the table has under this number".to_owned());
        }
    }
    for (id, collection) in &mut state.collections {
        if let Some(schemas) = all.get(id).filter(|_| collection.kind == CollectionKind::Rows) {
            collection.schemas = schemas.values().map(|schema| super::schemas::stored(schema)).collect();
        }
    }
    Ok(())
}
