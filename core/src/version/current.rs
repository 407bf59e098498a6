//! CURRENT: one line of text that names the manifest in force, replaced in one step.
//!
//! Called by [`manifest`](super::manifest). `MANIFEST-000012 1f2e3d4c` and a newline; the second word is the CRC-32 of the first.

use super::file_name::{self, CURRENT, CURRENT_TEMPORARY, FileKind};
use crate::env::{FileSystem, read_file};
use crate::error::{Error, ErrorKind, Result};
use crate::key::FileNumber;
use std::path::Path;

const MAX_BYTES: u64 = 64;

fn line(number: FileNumber) -> String {
    let name = file_name::manifest(number);
    format!("{name} {:08x}\n", crc32fast::hash(name.as_bytes()))
}

/// The number of the manifest in force; `None` if there is no CURRENT.
pub(super) fn read(files: &dyn FileSystem, dir: &Path) -> Result<Option<FileNumber>> {
    let path = dir.join(CURRENT);
    let bytes = match read_file(files, &path, MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let corruption = || Error::corruption(&path, 0, "CURRENT names no manifest");
    let text = std::str::from_utf8(&bytes).map_err(|_| corruption())?;
    let name = text.split(' ').next().unwrap_or("");
    let Some(FileKind::Manifest(number)) = file_name::parse(name) else { return Err(corruption()) };
    // Comparing the whole line leaves no byte unchecked.
    if text != line(number) {
        return Err(corruption());
    }
    Ok(Some(number))
}

/// Makes ready what [`switch`] puts in the place of CURRENT. Requires: the manifest and its name are durable. Changes nothing that counts.
pub(super) fn prepare(files: &dyn FileSystem, dir: &Path, number: FileNumber) -> Result<()> {
    let temporary = dir.join(CURRENT_TEMPORARY);
    if files.file_len(&temporary)?.is_some() {
        files.remove(&temporary)?;
    }
    let file = files.create(&temporary)?;
    file.write_at(line(number).as_bytes(), 0)?;
    file.sync_data()
}

/// Puts in force what was made ready. After an error either manifest may be in force.
pub(super) fn switch(files: &dyn FileSystem, dir: &Path) -> Result<()> {
    files.rename(&dir.join(CURRENT_TEMPORARY), &dir.join(CURRENT))?;
    files.sync_dir(dir)
}
