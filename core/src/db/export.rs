//! Export: the files of a family or table under names of their own, for other programs to read at leisure.
//!
//! Called by applications. The files are hard links where the file system allows it, else copies. Promises: a directory that is
//! there holds all of them, durably; after an error there is none; the database goes on meanwhile, and nothing waits for it. Who asks is told
//! how far it is, and may end it.

use super::get::ReadOptions;
use super::live_files::{LiveFile, LiveFiles};
use super::meter::{Meter, STEP_BYTES};
use super::{ColumnFamily, Db, FlushToken};
use crate::env::{FileSystem, parent};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Sequence;
use crate::version::{FileFormat, file_name};
use std::path::Path;
use std::time::Duration;

/// How long a flush is waited for before it is asked whether to go on.
const PATIENCE: Duration = Duration::from_millis(100);

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The files, oldest first, which is also the order of their names.
    pub files: Vec<ExportedFile>,
    /// Everything that was written up to this sequence is in them. They may hold newer rows of writes during the export.
    pub sequence: Sequence,
    /// How many of them had to be copied.
    pub copied: usize,
}

/// One file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedFile {
    /// Its name in the directory: its place in the order, then its number in the database.
    pub name: String,
    /// What is known of it; its path is that in the database.
    pub file: LiveFile,
}

/// The name of the file at `place` in the order.
fn exported_name(place: usize, file: &LiveFile) -> String {
    let extension = match file.format {
        FileFormat::Blocks => "sst",
        FileFormat::Parquet => "parquet",
        FileFormat::Ipc => "arrow",
    };
    format!("{place:06}-{:06}.{extension}", file.number.0)
}

impl Db {
    /// Flushes a family and puts hard links to its files into the new directory `dir`; copies, where links cannot be. The names
    /// sort oldest first. Waits for the flush; writers are not held up. InvalidArgument if `dir` exists, NotFound if its parent does not.
    pub fn export(&self, family: &ColumnFamily, dir: impl AsRef<Path>) -> Result<Export> {
        self.export_told(family, dir, &mut |_, _| Ok(()))
    }

    /// The same. `told` hears how many bytes were linked or copied and how many there are: nothing of nothing while the flush goes on, then after
    /// each file and each MiB of a copy. An error of its ends the export, which leaves nothing.
    pub fn export_told(
        &self,
        family: &ColumnFamily,
        dir: impl AsRef<Path>,
        told: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Export> {
        flushed(&self.flush(&[family])?, told)?;
        self.export_files(self.live_files(family, &ReadOptions::default())?, dir.as_ref(), told)
    }

    /// The same of a table. Of an Arrow IPC file the rows alone are exported, as `<name>.arrow`, not our index of them: the directory
    /// is one that other programs read as it is.
    #[cfg(feature = "arrow")]
    pub fn export_table(&self, table: &super::Table, dir: impl AsRef<Path>) -> Result<Export> {
        self.export_table_told(table, dir, &mut |_, _| Ok(()))
    }

    /// The same, telling as [`export_told`](Self::export_told) does.
    #[cfg(feature = "arrow")]
    pub fn export_table_told(
        &self,
        table: &super::Table,
        dir: impl AsRef<Path>,
        told: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Export> {
        flushed(&self.flush_tables(&[table])?, told)?;
        self.export_files(self.table_live_files(table, &ReadOptions::default())?, dir.as_ref(), told)
    }

    fn export_files(
        &self,
        live: LiveFiles,
        dir: &Path,
        told: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Export> {
        let files = &*self.handle.core.env.files;
        match files.list(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(_) => return Err(Error::invalid("an export needs a directory that does not exist yet").in_file(dir)),
        }
        // A parent that were made here would be one more name to make durable, at an unknown depth.
        files.list(&parent(dir))?;
        // It gets its name when it is whole.
        let unfinished = file_name::unfinished(dir);
        if !files.create_dir(&unfinished)? {
            let message = "another export to this place is going on, or was cut short: remove what it left";
            return Err(Error::invalid(message).in_file(&unfinished));
        }
        let named = live.files.iter().enumerate();
        let named = named.map(|(place, file)| ExportedFile { name: exported_name(place, file), file: file.clone() });
        let named: Vec<ExportedFile> = named.collect();
        let filled = fill(files, &named, &unfinished, told).and_then(|copied| {
            files.sync_dir(&unfinished)?;
            files.rename(&unfinished, dir)?;
            Ok(copied)
        });
        let copied = match filled {
            Ok(copied) => copied,
            Err(error) => {
                // Best effort: the name tells that it is not whole.
                named.iter().for_each(|file| drop(files.remove(&unfinished.join(&file.name))));
                let _ = files.remove_dir(&unfinished);
                return Err(error);
            }
        };
        files.sync_dir(&parent(dir))?;
        Ok(Export { files: named, sequence: live.complete_through, copied })
    }
}

/// Waits for a flush, unless `told` has enough of that. The flush goes on in any case.
fn flushed(flush: &FlushToken, told: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<()> {
    loop {
        told(0, 0)?;
        match flush.wait(Some(PATIENCE)) {
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            outcome => return outcome.map(drop),
        }
    }
}

/// Links or copies the files into `dir`; returns how many were copied.
fn fill(
    files: &dyn FileSystem,
    named: &[ExportedFile],
    dir: &Path,
    told: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<usize> {
    let mut meter = Meter::begin(told, named.iter().map(|named| named.file.size_bytes).sum())?;
    let mut copied = 0;
    for ExportedFile { name, file } in named {
        let (to, whole) = (dir.join(name), meter.done() + file.size_bytes);
        if files.link(&file.path, &to).is_err() {
            // Another file system, or one without links. If it is something worse, the copy fails too.
            copy(files, &file.path, &to, &mut |bytes| meter.pass(bytes, whole))?;
            copied += 1;
        }
        meter.reach(whole)?;
    }
    Ok(copied)
}

/// Copies a file; the bytes are durable when it returns, the name is not. `passed` hears of each part of it.
pub(super) fn copy(
    files: &dyn FileSystem,
    from: &Path,
    to: &Path,
    passed: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<()> {
    let source = files.open(from)?;
    let target = files.create(to)?;
    let mut buffer = vec![0; STEP_BYTES];
    let mut offset = 0;
    loop {
        let read = source.read_at(&mut buffer, offset)?;
        if read == 0 {
            return target.sync_data();
        }
        target.write_at(&buffer[..read], offset)?;
        offset += read as u64;
        passed(read)?;
    }
}
