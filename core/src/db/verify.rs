//! Reading every byte that counts: of an open database until the first damage, of a directory until the last.
//!
//! Called by applications and by the command line. Changes nothing. Promises: beside a live writer a file that is replaced meanwhile is
//! not damage; what took its place is read too, unless it is replaced again and again. A check ends, however busy the writer is.

use super::Db;
use super::collection::{Collection, Schemas, directory};
use super::obsolete_files::{FilePin, Found, list_files};
use super::options::Options;
use super::target::{Caches, open_file};
use crate::atomic::AtomicBool;
use crate::batch::Operations;
use crate::env::Env;
use crate::env::posix::posix;
use crate::error::{Error, ErrorKind, Result};
use crate::key::FileNumber;
use crate::sst::LoneFile;
use crate::version::file_name::{self, CURRENT, FileKind, IPC_DATA};
use crate::version::{CollectionState, FileMeta, Manifest, VersionState};
use crate::wal::{self, LoggedRecord, RecoveryMode};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a file of a database is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePart {
    /// The manifest, or CURRENT, which names it.
    Manifest,
    /// A segment of the log.
    Log,
    /// A segment in the log's archive: nothing in the database needs it.
    Archive,
    /// A file of a column family.
    Family,
    /// A file of a table.
    Table,
}

impl FilePart {
    /// The name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Log => "log",
            Self::Archive => "archive",
            Self::Family => "family",
            Self::Table => "table",
        }
    }
}

/// A file that was read to its last byte, or as far as it goes.
#[derive(Debug, Clone)]
pub struct VerifiedFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is for.
    pub part: FilePart,
    /// The family or table that it belongs to; empty for manifest and log.
    pub collection: String,
    /// Its length in bytes, that of an index beside it included; 0 if there is no such file.
    pub bytes: u64,
    /// What is wrong with it, with path and offset; `None`: nothing.
    pub error: Option<Error>,
}

/// What a check of a directory is told of each file, while it goes on.
type Told<'a, E> = &'a mut dyn FnMut(VerifiedFile) -> std::result::Result<(), E>;

/// How often what took the place of replaced files is read. Whatever replaces those was made from them just now, checksums and all.
const FILE_ROUNDS: u32 = 3;

/// How often a log that a live writer changes is looked at again, damaged segments included.
const LOG_ROUNDS_MAX: u32 = 1000;

/// How long a writer that is in the middle of something is given to get out of it, before the log is looked at again.
const LOG_PAUSE: Duration = Duration::from_millis(20);

/// The cache of a check: nothing is read twice.
const CACHE_BYTES: usize = 1 << 20;

impl Db {
    /// Reads every live file in full and verifies every checksum. The first damage ends it, naming file and offset. Files that a merge
    /// replaces meanwhile are deleted when it is over.
    pub fn verify(&self) -> Result<()> {
        self.verify_told(&mut |_, _| Ok(()))
    }

    /// The same. `told` hears, before the first file and after each, how many bytes were read and how many there are; an error of its
    /// ends the check.
    pub fn verify_told(&self, told: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<()> {
        let core = &self.handle.core;
        core.check()?;
        // Files are opened by their names, also after a merge has replaced them. Made before the view is loaded.
        let _names = FilePin::new(core);
        let view = core.current_view();
        let runs = || view.collections().iter().flat_map(|part| &part.runs);
        let (mut read_bytes, all_bytes) = (0, runs().map(|run| run.meta.size_bytes).sum());
        told(read_bytes, all_bytes)?;
        for run in runs() {
            core.check()?;
            run.reader.verify()?;
            read_bytes += run.meta.size_bytes;
            told(read_bytes, all_bytes)?;
        }
        Ok(())
    }

    /// Reads every file of the database in `path` that counts, manifest, log and its archive included, verifies every checksum, and tells `told` of
    /// each file, damaged or not: damage does not end it. Without a manifest that can be read nobody knows what counts, and every
    /// file of families and tables is read that has a name of ours. A torn end of the log, as a power cut leaves it, is no
    /// damage unless the option `wal_recovery` says so (`salvage` counts as `point_in_time`). Opens no database: neither lock nor live
    /// writer are touched.
    ///
    /// Of the options only `wal_dir` and `wal_recovery` count. Errors: NotFound (there is no database), those of `told`, and of a disk
    /// that cannot be read at all.
    pub fn verify_files<E: From<Error>>(
        path: impl AsRef<Path>,
        options: &Options,
        told: &mut dyn FnMut(VerifiedFile) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        Self::verify_files_in(&posix(), path.as_ref(), options, told)
    }

    /// The same in a given world.
    pub fn verify_files_in<E: From<Error>>(
        env: &Env,
        path: &Path,
        options: &Options,
        told: &mut dyn FnMut(VerifiedFile) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let check = Check { env, path, options };
        let (state, number) = match Manifest::read(env, path) {
            Ok(Some(found)) => found,
            Ok(None) => return Err(Error::new(ErrorKind::NotFound, "there is no database here").in_file(path).into()),
            Err(error) if is_damage(&error) => {
                let path = error.path().map_or_else(|| path.join(CURRENT), Path::to_path_buf);
                told(check.verified(path, FilePart::Manifest, "", Some(error)))?;
                return check.whatever_is_there(told);
            }
            Err(error) => return Err(error.into()),
        };
        told(check.verified(path.join(file_name::manifest(number)), FilePart::Manifest, "", None))?;
        check.live_files(state, told)?;
        check.log(told)?;
        check.archive(told)
    }
}

fn is_damage(error: &Error) -> bool {
    // A directory where a file was cannot be read (Io), and is damage like any other.
    !matches!(error.kind(), ErrorKind::NoMemory | ErrorKind::Panic)
}

struct Check<'a> {
    env: &'a Env,
    path: &'a Path,
    options: &'a Options,
}

impl Check<'_> {
    fn verified(&self, path: PathBuf, part: FilePart, collection: &str, error: Option<Error>) -> VerifiedFile {
        let len = |path: &Path| self.env.files.file_len(path).ok().flatten().unwrap_or(0);
        let mut bytes = len(&path);
        if path.file_name().is_some_and(|name| name == IPC_DATA) {
            bytes += len(&path.with_file_name(file_name::IPC_INDEX));
        }
        VerifiedFile { path, part, collection: collection.to_owned(), bytes, error }
    }

    /// The state now; `None` if it cannot be told, which was told before.
    fn state_now(&self) -> Option<VersionState> {
        Manifest::read(self.env, self.path).ok().flatten().map(|(state, _)| state)
    }

    /// Each file of families and tables that is live, and what replaces it meanwhile.
    fn live_files<E: From<Error>>(&self, mut state: VersionState, told: Told<'_, E>) -> std::result::Result<(), E> {
        let mut done: BTreeSet<FileNumber> = BTreeSet::new();
        for _ in 0..FILE_ROUNDS {
            let mut replaced = false;
            for stored in state.collections.values() {
                let opened = self.collection(stored);
                for meta in stored.runs.iter().filter(|meta| done.insert(meta.number)).collect::<Vec<_>>() {
                    let place = file_name::file_path(&directory(self.path, stored.kind, &stored.name), meta);
                    let result = match &opened {
                        Ok(collection) => self.live_file(state.database_id, collection, meta),
                        Err(error) => Err(error.clone()),
                    };
                    // Gone because the writer replaced it: what did so is read in the next round.
                    if result.is_err() && self.state_now().is_some_and(|now| now.owner_of(meta.number).is_none()) {
                        replaced = true;
                        continue;
                    }
                    let part = if meta.format == crate::version::FileFormat::Blocks {
                        FilePart::Family
                    } else {
                        FilePart::Table
                    };
                    told(self.verified(place, part, &stored.name, result.err()))?;
                }
            }
            match self.state_now() {
                Some(now) if replaced => state = now,
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// What is needed to open a collection's files.
    fn collection(&self, stored: &CollectionState) -> Result<Collection> {
        Ok(Collection {
            id: stored.id,
            name: stored.name.clone(),
            kind: stored.kind,
            options: Options::new(),
            directory: directory(self.path, stored.kind, &stored.name),
            schemas: Schemas::decode(&stored.name, &stored.schemas)?,
            dropped: AtomicBool::new(false),
        })
    }

    fn live_file(&self, database_id: u64, collection: &Collection, meta: &FileMeta) -> Result<()> {
        let caches = Caches::new(CACHE_BYTES, 0, std::iter::empty());
        open_file(self.env, database_id, collection, meta, &caches)?.verify()
    }

    /// Each segment of the log that counts. Behind a damaged one it goes on with the next.
    fn log<E: From<Error>>(&self, told: Told<'_, E>) -> std::result::Result<(), E> {
        let dir = self.log_dir();
        let mut from = FileNumber(0);
        let mut last_error: Option<Error> = None;
        for _ in 0..LOG_ROUNDS_MAX {
            let Some(state) = self.state_now() else { return Ok(()) };
            from = from.max(state.log_floor);
            let mut segments = Vec::new();
            let mut decode = |record: LoggedRecord<'_>| {
                for operation in Operations::new(record.payload) {
                    operation.map_err(|why| {
                        let path = dir.join(wal::segment_name(record.segment));
                        Error::corruption(&path, record.offset, why)
                    })?;
                }
                Ok(())
            };
            let (id, epoch, durable) = (state.database_id, state.epoch, state.log_durable);
            let mode = match self.options.wal_recovery() {
                // Finds nothing wrong with anything.
                RecoveryMode::Salvage => RecoveryMode::PointInTime,
                mode => mode,
            };
            let replayed = wal::replay(self.env, &dir, id, epoch, from, durable, mode, &mut decode);
            let (damaged, error) = match replayed {
                Ok(outcome) => {
                    segments.extend(outcome.segments.into_iter().filter(|number| *number >= from));
                    (None, None)
                }
                Err(error) => {
                    // Only what is found twice at the same place is damage: the first time a writer may have been at it.
                    let again = last_error.as_ref().is_some_and(|last| last.to_string() == error.to_string());
                    if !again {
                        last_error = Some(error);
                        self.env.runtime.sleep(LOG_PAUSE);
                        continue;
                    }
                    let named = error.path().and_then(|path| path.file_name()?.to_str()).and_then(wal::segment_number);
                    let Some(damaged) = named else { return Err(error.into()) };
                    segments
                        .extend(self.segments(&dir)?.into_iter().filter(|&number| number >= from && number < damaged));
                    (Some(damaged), Some(error))
                }
            };
            for number in segments {
                told(self.verified(dir.join(wal::segment_name(number)), FilePart::Log, "", None))?;
            }
            let Some(damaged) = damaged else { return Ok(()) };
            told(self.verified(dir.join(wal::segment_name(damaged)), FilePart::Log, "", error))?;
            match self.segments(&dir)?.into_iter().find(|number| *number > damaged) {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
        let message = "the live writer changes the log faster than it can be read";
        Err(Error::new(ErrorKind::Busy, message).in_file(&dir).into())
    }

    /// The numbers of all segments, rising.
    fn segments(&self, dir: &Path) -> Result<Vec<FileNumber>> {
        let names = match self.env.files.list(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            names => names?,
        };
        let mut numbers: Vec<FileNumber> = names.iter().filter_map(|name| wal::segment_number(name)).collect();
        numbers.sort();
        Ok(numbers)
    }

    /// Without a manifest: each file that has a name of ours.
    fn whatever_is_there<E: From<Error>>(&self, told: Told<'_, E>) -> std::result::Result<(), E> {
        for (place, found) in list_files(&*self.env.files, self.path)? {
            let (place, part) = match found {
                Found::File(FileKind::Sst(_)) => (place, FilePart::Family),
                Found::File(FileKind::Parquet(_)) => (place, FilePart::Table),
                Found::IpcDir => (place.join(IPC_DATA), FilePart::Table),
                _ => continue,
            };
            let relative = place.strip_prefix(self.path).unwrap_or(&place);
            let name = relative.components().nth(1).map(|name| name.as_os_str().to_string_lossy().into_owned());
            let result = LoneFile::open(self.env, &place).and_then(|reader| reader.verify());
            told(self.verified(place, part, &name.unwrap_or_default(), result.err()))?;
        }
        let dir = self.log_dir();
        for number in self.segments(&dir)? {
            let path = dir.join(wal::segment_name(number));
            let error = self.lone_segment(&path).err();
            told(self.verified(path, FilePart::Log, "", error))?;
        }
        self.archive(told)
    }

    /// Each segment in the archive of the log.
    fn archive<E: From<Error>>(&self, told: Told<'_, E>) -> std::result::Result<(), E> {
        let dir = self.log_dir().join(wal::ARCHIVE_DIR);
        let names = match self.env.files.list(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            names => names?,
        };
        for name in names.iter().filter(|name| wal::archived_stamp(name).is_some()) {
            let path = dir.join(name);
            match self.lone_segment(&path) {
                // The live writer deleted it meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                checked => told(self.verified(path, FilePart::Archive, "", checked.err()))?,
            }
        }
        Ok(())
    }

    fn log_dir(&self) -> PathBuf {
        self.options.wal_dir().unwrap_or_else(|| self.path.join(file_name::LOG_DIR))
    }

    /// A segment without the rest of its log.
    fn lone_segment(&self, path: &Path) -> Result<()> {
        let (_, end) = wal::inspect_segment::<Error>(self.env, path, &mut |_, _| Ok(()))?;
        match end.damage {
            // Who knows whether a power cut left that, or damage: it is told where any bad byte is to be.
            Some(why) if self.options.wal_recovery() == RecoveryMode::Absolute => {
                Err(Error::corruption(path, end.offset, why))
            }
            _ => Ok(()),
        }
    }
}
