//! Destroying a database: every file of ours goes, and the directories that are empty then.

use super::Db;
use super::obsolete_files::{Found, list_files, remove_ipc_files};
use crate::env::Env;
use crate::env::posix::posix;
use crate::error::{ErrorKind, Result};
use crate::version::file_name::{self, FileKind};
use crate::wal::{ARCHIVE_DIR, archived_stamp};
use std::path::Path;

impl Db {
    /// Deletes the database in `path`. Locked if it is open anywhere. Files that are not ours by name stay, and so do the
    /// directories that hold them; a log kept elsewhere by `wal_dir`, with its archive, stays too. A directory without a database is fine.
    pub fn destroy(path: impl AsRef<Path>) -> Result<()> {
        Self::destroy_in(&posix(), path.as_ref())
    }

    /// The same in a given world.
    pub fn destroy_in(env: &Env, path: &Path) -> Result<()> {
        let files = &*env.files;
        match files.list(path) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        let lock_path = path.join(file_name::LOCK);
        let lock = files.lock(&lock_path)?;
        let found = list_files(files, path)?;
        // CURRENT first: whatever a crash leaves then is no database.
        let current = path.join(file_name::CURRENT);
        if files.file_len(&current)?.is_some() {
            files.remove(&current)?;
            files.sync_dir(path)?;
        }
        for (found, what) in found {
            match what {
                Found::File(FileKind::Lock | FileKind::Current) => {}
                Found::File(_) => files.remove(&found)?,
                Found::IpcDir | Found::UnfinishedIpcDir => remove_ipc_files(files, &found),
            }
        }
        let wal = path.join(file_name::LOG_DIR);
        let archive = wal.join(ARCHIVE_DIR);
        for name in files.list(&archive).unwrap_or_default() {
            if archived_stamp(&name).is_some() {
                files.remove(&archive.join(name))?;
            }
        }
        for name in files.list(&wal).unwrap_or_default() {
            if crate::wal::segment_number(&name).is_some() {
                files.remove(&wal.join(name))?;
            }
        }
        // A directory that holds something foreign stays.
        let families = path.join(file_name::FAMILIES_DIR);
        for name in files.list(&families).unwrap_or_default() {
            let _ = files.remove_dir(&families.join(name));
        }
        let _ = files.remove_dir(&families);
        let tables = path.join(file_name::TABLES_DIR);
        for name in files.list(&tables).unwrap_or_default() {
            let table = tables.join(name);
            for level in files.list(&table).unwrap_or_default() {
                let _ = files.remove_dir(&table.join(level));
            }
            let _ = files.remove_dir(&table);
        }
        let _ = files.remove_dir(&tables);
        let _ = files.remove_dir(&archive);
        let _ = files.remove_dir(&wal);
        files.remove(&lock_path)?;
        drop(lock);
        let _ = files.remove_dir(path);
        Ok(())
    }
}
