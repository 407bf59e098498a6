//! The manifest: the file that holds the state of the database as one snapshot and the edits since.
//!
//! Opened, appended to and replaced by `db`, under its catalog lock. Promises: (1) what [`Manifest::append`] acknowledged is
//! there after any crash; (2) CURRENT names a manifest only once that is durable with its name; (3) an older state never
//! passes for the newest one because of damage; (4) nothing is removed that CURRENT may name.

use super::file_name::{self, CURRENT, FAMILIES_DIR, FileKind, LOG_DIR};
use super::framing::{self, Found, HEADER_BYTES};
use super::{VersionEdit, VersionState, current};
use crate::env::{Env, File, read_file};
use crate::error::{Error, ErrorKind, Result};
use crate::key::FileNumber;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest manifest that is read (1 GiB); `db` starts a new one long before.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 30;

/// The manifest in force, open for appending. One thread at a time.
pub struct Manifest {
    file: Arc<dyn File>,
    number: FileNumber,
    size_bytes: u64,
    next_edit_number: u64,
    failed: bool,
}

/// A manifest that was not put in force, as far as one knows.
#[derive(Debug)]
pub struct NotReplaced {
    /// Why.
    pub error: Error,
    /// Whether it may be in force all the same, now or after a crash. If not, nothing that counts has changed.
    pub is_unknown: bool,
}

impl Manifest {
    /// The state that the manifest in force holds, and its number; `None` if no database was ever completed in `dir`.
    ///
    /// Changes nothing. A last record that an interrupted append may have left is ignored; any other damage is Corruption
    /// with file and offset. So is a missing CURRENT where there is data.
    pub fn read(env: &Env, dir: &Path) -> Result<Option<(VersionState, FileNumber)>> {
        match current::read(&*env.files, dir)? {
            Some(number) => {
                let (state, _) = read_manifest(env, dir, number)?;
                Ok(Some((state, number)))
            }
            None => {
                refuse_data_without_current(env, dir)?;
                Ok(None)
            }
        }
    }

    /// The number of the manifest in force; `None` if there is none.
    pub fn in_force(env: &Env, dir: &Path) -> Result<Option<FileNumber>> {
        current::read(&*env.files, dir)
    }

    /// The same as [`replace`](Self::replace), for who does not go on after an error and whom nobody can forbid it.
    pub fn create(env: &Env, dir: &Path, number: FileNumber, state: &VersionState) -> Result<Self> {
        Self::replace(env, dir, number, state, || Ok(())).map_err(|not_replaced| not_replaced.error)
    }

    /// Writes `state` as manifest `number` and, unless `may` answers with an error, puts it in force. Requires: the number is above that
    /// of every file in the database, so also above that of an earlier attempt.
    ///
    /// After an error that is unknown in its outcome the old manifest is in force, or perhaps the new one: remove neither before a later
    /// call succeeds.
    pub fn replace(
        env: &Env,
        dir: &Path,
        number: FileNumber,
        state: &VersionState,
        may: impl FnOnce() -> Result<()>,
    ) -> std::result::Result<Self, NotReplaced> {
        let as_before = |error| NotReplaced { error, is_unknown: false };
        let manifest = Self::write(env, dir, number, state).map_err(as_before)?;
        let files = &*env.files;
        let mut switched = false;
        let outcome = may().and_then(|()| current::prepare(files, dir, number)).and_then(|()| {
            switched = true;
            current::switch(files, dir)
        });
        let Err(error) = outcome else { return Ok(manifest) };
        // A rename that failed and shows no effect has none after a crash either.
        let is_unknown = switched && !current::read(files, dir).is_ok_and(|current| current != Some(number));
        if !is_unknown {
            let _ = files.remove(manifest.file.path());
        }
        Err(NotReplaced { error, is_unknown })
    }

    /// Writes `state` as manifest `number`, durable, but not in force. After an error nothing is left of it.
    fn write(env: &Env, dir: &Path, number: FileNumber, state: &VersionState) -> Result<Self> {
        let path = dir.join(file_name::manifest(number));
        let mut bytes = framing::encode_header(state.database_id, number);
        let mut payload = Vec::new();
        VersionEdit::snapshot(state).encode(&mut payload);
        check_payload(&payload)?;
        framing::encode_record(&mut bytes, number, HEADER_BYTES as u64, 1, &payload);
        let file = env.files.create(&path)?;
        let written = file.write_at(&bytes, 0).and_then(|()| file.sync_data()).and_then(|()| env.files.sync_dir(dir));
        if let Err(error) = written {
            // Nothing names it, and on a full disk its bytes are wanted.
            let _ = env.files.remove(&path);
            return Err(error);
        }
        Ok(Self { file, number, size_bytes: bytes.len() as u64, next_edit_number: 2, failed: false })
    }

    /// Appends `edit`; it is durable when this returns. Requires: [`VersionState::apply`] accepted it.
    ///
    /// After an error it is unknown whether the edit is there; every later append is refused as Poisoned. Write a new
    /// manifest, or give up, and remove no file that either state needs.
    pub fn append(&mut self, edit: &VersionEdit) -> Result<()> {
        if self.failed {
            let message = "an earlier write to the manifest failed, and a new one was not begun";
            return Err(Error::new(ErrorKind::Poisoned, message).in_file(self.file.path()));
        }
        let mut payload = Vec::new();
        edit.encode(&mut payload);
        check_payload(&payload)?;
        let mut record = Vec::with_capacity(payload.len() + 64);
        framing::encode_record(&mut record, self.number, self.size_bytes, self.next_edit_number, &payload);
        self.failed = true;
        self.file.write_at(&record, self.size_bytes)?;
        self.file.sync_data()?;
        self.failed = false;
        self.size_bytes += record.len() as u64;
        self.next_edit_number += 1;
        Ok(())
    }

    /// Its number.
    pub fn number(&self) -> FileNumber {
        self.number
    }

    /// Its length in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

fn check_payload(payload: &[u8]) -> Result<()> {
    if payload.len() as u64 > MAX_MANIFEST_BYTES / 2 {
        return Err(Error::invalid(format!("an edit of {} bytes is too long for the manifest", payload.len())));
    }
    Ok(())
}

/// One record of a manifest, verified.
#[derive(Debug, Clone, Copy)]
pub struct ManifestRecord<'a> {
    /// Where it begins.
    pub offset: u64,
    /// Its length in bytes, frame included.
    pub bytes: u64,
    /// Its place among the edits, from 1 on; the first one is a snapshot of the state.
    pub edit_number: u64,
    /// What it says.
    pub edit: &'a VersionEdit,
}

/// How far a manifest was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestPlace {
    /// Its number.
    pub number: FileNumber,
    /// How many records it had.
    pub records: u64,
    /// Behind the last of them.
    pub end: u64,
    /// The length of the file.
    pub file_bytes: u64,
}

/// What a manifest adds up to.
#[derive(Debug, Clone)]
pub struct ManifestContent {
    /// Its number.
    pub number: FileNumber,
    /// The state after its last record.
    pub state: VersionState,
    /// How many records it has.
    pub records: u64,
    /// Behind the last record.
    pub end: u64,
    /// The length of the file. Beyond `end` lies what an interrupted append left, which does not count.
    pub file_bytes: u64,
}

impl Manifest {
    /// Gives the records of a manifest to `sink`, in order, and says what they add up to: of the one in force in `dir`, or of the one
    /// with this number. For people who look at it; changes nothing.
    ///
    /// Errors: NotFound (there is no database), Corruption with file and offset, those of reading and of `sink`.
    pub fn inspect<E: From<Error>>(
        env: &Env,
        dir: &Path,
        number: Option<FileNumber>,
        sink: &mut dyn FnMut(ManifestRecord<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<ManifestContent, E> {
        let number = match number {
            Some(number) => Some(number),
            None => current::read(&*env.files, dir)?,
        };
        match number {
            Some(number) => walk(env, dir, number, None, sink),
            None => Err(no_database(dir).into()),
        }
    }

    /// The state that the manifest in force holds, and how far it was read. What was read `before` of the same manifest is not read again:
    /// it is only ever appended to. Changes nothing. Errors: as of [`read`](Self::read), and NotFound without a database.
    pub fn follow(
        env: &Env,
        dir: &Path,
        before: Option<&(VersionState, ManifestPlace)>,
    ) -> Result<(VersionState, ManifestPlace)> {
        let Some(number) = current::read(&*env.files, dir)? else {
            refuse_data_without_current(env, dir)?;
            return Err(no_database(dir));
        };
        let before = before.filter(|(_, place)| place.number == number);
        if let Some((state, place)) = before
            && env.files.file_len(&dir.join(file_name::manifest(number)))? == Some(place.file_bytes)
        {
            return Ok((state.clone(), *place));
        }
        let content = walk(env, dir, number, before, &mut |_| Ok::<(), Error>(()))?;
        let ManifestContent { number, state, records, end, file_bytes } = content;
        Ok((state, ManifestPlace { number, records, end, file_bytes }))
    }

    /// Which manifest is in force, and its length: as long as both stay, nothing moved. Errors: those of reading.
    pub fn extent(env: &Env, dir: &Path) -> Result<Option<(FileNumber, u64)>> {
        let Some(number) = current::read(&*env.files, dir)? else { return Ok(None) };
        let file_bytes = env.files.file_len(&dir.join(file_name::manifest(number)))?;
        Ok(Some((number, file_bytes.unwrap_or(0))))
    }
}

fn no_database(dir: &Path) -> Error {
    Error::new(ErrorKind::NotFound, "there is no database here").in_file(dir)
}

/// The state in manifest `number`, and how many records made it.
fn read_manifest(env: &Env, dir: &Path, number: FileNumber) -> Result<(VersionState, u64)> {
    let content = walk(env, dir, number, None, &mut |_| Ok::<(), Error>(()))?;
    Ok((content.state, content.records))
}

/// Reads manifest `number` to its end: from its beginning, or from where it was read `before`.
fn walk<E: From<Error>>(
    env: &Env,
    dir: &Path,
    number: FileNumber,
    before: Option<&(VersionState, ManifestPlace)>,
    sink: &mut dyn FnMut(ManifestRecord<'_>) -> std::result::Result<(), E>,
) -> std::result::Result<ManifestContent, E> {
    let path = dir.join(file_name::manifest(number));
    let bytes = match read_file(&*env.files, &path, MAX_MANIFEST_BYTES) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let lost = Error::new(ErrorKind::Corruption, "the manifest that CURRENT names is missing");
            return Err(lost.in_file(&path).into());
        }
        result => result?,
    };
    let database_id = framing::decode_header(&bytes, &path, number)?;
    let corruption = |offset: usize, message: &str| Err(Error::corruption(&path, offset as u64, message).into());
    let (mut state, mut offset, mut records) = match before.filter(|(state, _)| state.database_id == database_id) {
        Some((_, place)) if place.end > bytes.len() as u64 => {
            return corruption(bytes.len(), "the manifest is shorter than it was");
        }
        Some((state, place)) => (state.clone(), place.end as usize, place.records),
        None => (VersionState::new(database_id), HEADER_BYTES, 0),
    };
    loop {
        let record = match framing::find_record(&bytes, number, offset) {
            Found::Record(record) => record,
            // The first record was durable before CURRENT could name the file: without it, this is no torn append.
            Found::End | Found::Torn if records == 0 => return corruption(offset, "manifest without its first record"),
            Found::End | Found::Torn => {
                let (end, file_bytes) = (offset as u64, bytes.len() as u64);
                return Ok(ManifestContent { number, state, records, end, file_bytes });
            }
            Found::Damaged(what) => return corruption(offset, what),
        };
        records += 1;
        if record.edit_number != records {
            return corruption(offset, &format!("edit {records} was expected, edit {} found", record.edit_number));
        }
        let edit = VersionEdit::decode(record.payload, &path, offset as u64)?;
        let length = (record.end - offset) as u64;
        sink(ManifestRecord { offset: offset as u64, bytes: length, edit_number: records, edit: &edit })?;
        state.apply_in_place(&edit).map_err(|error| error.with_kind(ErrorKind::Corruption).at(&path, offset as u64))?;
        offset = record.end;
    }
}

/// Without CURRENT a directory is new, or holds what a creation left that never ended: no table, no log, at most a manifest
/// that says nothing. Anything else is a database whose CURRENT got lost, and must not be begun afresh.
fn refuse_data_without_current(env: &Env, dir: &Path) -> Result<()> {
    let lost = |evidence: &Path| {
        let message = format!("CURRENT is missing, but the database holds {}", evidence.display());
        Err(Error::corruption(&dir.join(CURRENT), 0, message))
    };
    for name in list_or_nothing(env, dir)? {
        if let Some(FileKind::Manifest(number)) = file_name::parse(&name)
            && let Ok((state, records)) = read_manifest(env, dir, number)
            && (records > 1 || !state.is_blank())
        {
            return lost(Path::new(&name));
        }
    }
    let log_dir = dir.join(LOG_DIR);
    if let Some(name) = list_or_nothing(env, &log_dir)?.into_iter().find(|name| name.ends_with(".log")) {
        return lost(&log_dir.join(name));
    }
    let families = dir.join(FAMILIES_DIR);
    for family in list_or_nothing(env, &families)? {
        let family: PathBuf = families.join(family);
        // A stray file among the directories is foreign: listing it fails, and it proves nothing.
        let names = env.files.list(&family).unwrap_or_default();
        if let Some(name) = names.into_iter().find(|name| matches!(file_name::parse(name), Some(FileKind::Sst(_)))) {
            return lost(&family.join(name));
        }
    }
    Ok(())
}

fn list_or_nothing(env: &Env, dir: &Path) -> Result<Vec<String>> {
    match env.files.list(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        result => result,
    }
}

impl VersionState {
    /// Whether it says nothing that a new database would not say.
    fn is_blank(&self) -> bool {
        self.last_sequence == 0 && self.files().next().is_none() && self.collections.len() <= 1
    }
}
