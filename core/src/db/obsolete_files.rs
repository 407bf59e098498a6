//! Deleting what no edit names any more. Only files that are ours by name and number; never before the edit that drops them is
//! durable. What cannot be deleted now is found again at the next opening.

use super::column_family::Collection;
use super::core::Core;
use crate::error::Result;
use crate::key::FileNumber;
use crate::observe::EventKind;
use crate::version::VersionState;
use crate::version::file_name::{self, FileKind};
use std::path::Path;

impl Core {
    /// Deletes a table. Readers that have it open keep it until they are done.
    pub(super) fn delete_table(&self, collection: &Collection, number: FileNumber, bytes: u64) {
        if self.env.files.remove(&collection.directory.join(file_name::sst(number))).is_ok() {
            self.event(EventKind::TableDeleted, |event| {
                event.collection.clone_from(&collection.name);
                event.number = number.0;
                event.bytes = bytes;
            });
        }
    }

    /// Deletes a manifest that is not current any more.
    pub(super) fn delete_manifest(&self, number: FileNumber) {
        let _ = self.env.files.remove(&self.path.join(file_name::manifest(number)));
    }
}

/// Every file of ours in a database directory: its path, and what it is.
pub(super) fn list_files(
    files: &dyn crate::env::FileSystem,
    path: &Path,
) -> Result<Vec<(std::path::PathBuf, FileKind)>> {
    let mut found = Vec::new();
    for name in files.list(path)? {
        if let Some(kind) = file_name::parse(&name) {
            found.push((path.join(name), kind));
        }
    }
    let families = path.join(file_name::FAMILIES_DIR);
    // Whatever cannot be listed holds nothing of ours.
    for family in files.list(&families).unwrap_or_default() {
        let directory = families.join(family);
        for name in files.list(&directory).unwrap_or_default() {
            if let Some(kind @ FileKind::Sst(_)) = file_name::parse(&name) {
                found.push((directory.join(name), kind));
            }
        }
    }
    Ok(found)
}

/// Deletes what a crash left behind: tables and manifests that the state does not name. Best effort.
pub(super) fn delete_orphans(
    files: &dyn crate::env::FileSystem,
    path: &Path,
    state: &VersionState,
    manifest: FileNumber,
) {
    for (found, kind) in list_files(files, path).unwrap_or_default() {
        let orphan = match kind {
            FileKind::Manifest(number) => number != manifest,
            FileKind::Sst(number) | FileKind::Parquet(number) => state.owner_of(number).is_none(),
            FileKind::CurrentTemporary => true,
            FileKind::Lock | FileKind::Current => false,
        };
        if orphan {
            let _ = files.remove(&found);
        }
    }
}
