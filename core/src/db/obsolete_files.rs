//! Deleting what no edit names any more. Only files that are ours by name and number; never before the edit that drops them is
//! durable. What cannot be deleted now is found again at the next opening.

use super::collection::Collection;
use super::core::Core;
use crate::env::{Env, FileSystem, parent};
use crate::error::Result;
use crate::key::FileNumber;
use crate::lock::Mutex;
use crate::observe::EventKind;
#[cfg(feature = "arrow")]
use crate::sst::RowFileReader;
use crate::version::file_name::{self, FileKind};
use crate::version::{FileFormat, FileMeta, VersionState};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Keeps the names of files that are not live any more, as long as somebody works by names: an export, splits in other processes.
#[derive(Default)]
pub(super) struct FilePins {
    inner: Mutex<Pinned>,
}

#[derive(Default)]
struct Pinned {
    pins: u64,
    /// What would have been deleted meanwhile.
    waiting: Vec<Obsolete>,
}

/// A file to be deleted.
struct Obsolete {
    directory: PathBuf,
    collection: String,
    meta: FileMeta,
}

/// As long as it lives, no file of a view that was loaded after it was made loses its name.
pub(super) struct FilePin {
    core: Arc<Core>,
}

impl FilePin {
    pub fn new(core: &Arc<Core>) -> Self {
        core.file_pins.inner.lock().pins += 1;
        Self { core: core.clone() }
    }
}

impl Drop for FilePin {
    fn drop(&mut self) {
        let waiting = {
            let mut pinned = self.core.file_pins.inner.lock();
            pinned.pins -= 1;
            if pinned.pins == 0 { std::mem::take(&mut pinned.waiting) } else { Vec::new() }
        };
        // A forked child has nothing to delete in its parent's database.
        if !self.core.env.runtime.forked() {
            waiting.iter().for_each(|obsolete| self.core.delete_now(obsolete));
        }
    }
}

impl Core {
    /// Deletes a file, or has it deleted with the last pin. Readers that have it open keep it until they are done. Requires: no
    /// view names it any more, and no durable edit.
    pub(super) fn delete_file(&self, collection: &Collection, meta: &FileMeta) {
        let obsolete = Obsolete {
            directory: collection.directory.clone(),
            collection: collection.name.clone(),
            meta: meta.clone(),
        };
        {
            // A pin that is made after this look is followed by a view without the file.
            let mut pinned = self.file_pins.inner.lock();
            if pinned.pins > 0 {
                pinned.waiting.push(obsolete);
                return;
            }
        }
        self.delete_now(&obsolete);
    }

    fn delete_now(&self, Obsolete { directory, collection, meta }: &Obsolete) {
        let files = &*self.env.files;
        let path = file_name::file_path(directory, meta);
        let removed = match meta.format {
            FileFormat::Ipc => remove_ipc_dir(files, &parent(&path)),
            FileFormat::Blocks | FileFormat::Parquet => files.remove(&path),
        };
        // A level's folder stays, also empty: a flush may be about to make a file in it.
        if removed.is_ok() {
            self.event(EventKind::FileDeleted, |event| {
                event.collection.clone_from(collection);
                event.number = meta.number.0;
                event.bytes = meta.size_bytes;
            });
        }
    }

    /// Deletes a manifest that is not current any more.
    pub(super) fn delete_manifest(&self, number: FileNumber) {
        let _ = self.env.files.remove(&self.path.join(file_name::manifest(number)));
    }
}

/// Removes the directory of an IPC file. It loses its name first, so that a crash in between does not leave half of one
/// that looks whole.
fn remove_ipc_dir(files: &dyn FileSystem, dir: &Path) -> Result<()> {
    let unfinished = file_name::unfinished(dir);
    files.rename(dir, &unfinished)?;
    remove_ipc_files(files, &unfinished);
    Ok(())
}

/// Removes the files of an IPC directory and the directory. Best effort.
pub(super) fn remove_ipc_files(files: &dyn FileSystem, dir: &Path) {
    for name in [file_name::IPC_DATA, file_name::IPC_INDEX] {
        let _ = files.remove(&dir.join(name));
    }
    let _ = files.remove_dir(dir);
}

/// Removes the folders of a dropped collection as far as they are empty. Best effort. Requires: no job makes files in them any more, and
/// no collection has been created under this name.
pub(super) fn remove_folders(files: &dyn FileSystem, directory: &Path) {
    for name in files.list(directory).unwrap_or_default() {
        if is_level(&name) {
            let _ = files.remove_dir(&directory.join(name));
        }
    }
    let _ = files.remove_dir(directory);
}

/// Whether a table's files of some level lie in a folder of this name.
fn is_level(name: &str) -> bool {
    name.parse::<u32>().is_ok_and(|level| level.to_string() == name)
}

/// Something of ours in a database directory.
pub(super) enum Found {
    /// A file with a name of ours.
    File(FileKind),
    /// The directory of an IPC file that is whole.
    IpcDir,
    /// The directory of an IPC file that never became whole, or is being removed.
    UnfinishedIpcDir,
}

/// Whether all rows of an IPC directory are in a live file: a crash came between the merge and the removal of what it read.
#[cfg(feature = "arrow")]
fn was_merged(env: &Env, dir: &Path, state: &VersionState, merged: &BTreeSet<FileNumber>) -> bool {
    RowFileReader::peek(env, &dir.join(file_name::IPC_DATA)).is_ok_and(|index| {
        let number = index.properties.number;
        index.properties.database_id == state.database_id
            && merged.contains(&number)
            && state.owner_of(number).is_none()
    })
}

/// Without Arrow nobody can tell.
#[cfg(not(feature = "arrow"))]
fn was_merged(_: &Env, _: &Path, _: &VersionState, _: &BTreeSet<FileNumber>) -> bool {
    false
}

/// Everything of ours in a database directory: its path, and what it is.
pub(super) fn list_files(files: &dyn FileSystem, path: &Path) -> Result<Vec<(PathBuf, Found)>> {
    let mut found = Vec::new();
    for name in files.list(path)? {
        if let Some(kind) = file_name::parse(&name) {
            found.push((path.join(name), Found::File(kind)));
        }
    }
    // Whatever cannot be listed holds nothing of ours.
    let list = |dir: &Path| files.list(dir).unwrap_or_default();
    let families = path.join(file_name::FAMILIES_DIR);
    for family in list(&families) {
        let directory = families.join(family);
        for name in list(&directory) {
            if let Some(kind @ FileKind::Sst(_)) = file_name::parse(&name) {
                found.push((directory.join(name), Found::File(kind)));
            }
        }
    }
    let tables = path.join(file_name::TABLES_DIR);
    for table in list(&tables) {
        let directory = tables.join(table);
        for name in list(&directory) {
            let inner = directory.join(&name);
            let stem = name.strip_suffix(file_name::UNFINISHED_SUFFIX);
            if stem.is_some_and(|stem| file_name::parse_stamp(stem).is_some()) {
                found.push((inner, Found::UnfinishedIpcDir));
            } else if file_name::parse_stamp(&name).is_some() {
                found.push((inner, Found::IpcDir));
            } else if is_level(&name) {
                for name in list(&inner) {
                    if let Some(kind @ FileKind::Parquet(_)) = file_name::parse(&name) {
                        found.push((inner.join(name), Found::File(kind)));
                    }
                }
            }
        }
    }
    Ok(found)
}

/// What opening the live files has told.
pub(super) struct Known {
    /// The files that live ones say they were made of.
    pub merged: BTreeSet<FileNumber>,
    /// The folders of collections with a live file that does not open.
    pub broken: Vec<PathBuf>,
}

/// Deletes what a crash left behind: files and manifests that the state does not name. Best effort. A whole IPC directory that no
/// edit names is left alone, as somebody may have put it there, to be adopted; unless a live file says it was made of it.
/// Nothing goes where a live file does not open: what it was made of may still be there, for a repair.
pub(super) fn delete_orphans(env: &Env, path: &Path, state: &VersionState, known: &Known, manifest: FileNumber) {
    let files = &*env.files;
    for (found, what) in list_files(files, path).unwrap_or_default() {
        if known.broken.iter().any(|directory| found.starts_with(directory)) {
            continue;
        }
        let orphan = match what {
            Found::File(FileKind::Manifest(number)) => number != manifest,
            Found::File(FileKind::Sst(number) | FileKind::Parquet(number)) => state.owner_of(number).is_none(),
            Found::File(FileKind::CurrentTemporary) => true,
            Found::File(FileKind::Lock | FileKind::Current | FileKind::Events) => false,
            Found::IpcDir => {
                if was_merged(env, &found, state, &known.merged) {
                    let _ = remove_ipc_dir(files, &found);
                }
                false
            }
            Found::UnfinishedIpcDir => {
                remove_ipc_files(files, &found);
                false
            }
        };
        if orphan {
            let _ = files.remove(&found);
        }
    }
}
