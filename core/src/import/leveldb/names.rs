//! The names of LevelDB's files, and CURRENT, which names the manifest in force.
//!
//! Source: `db/filename.cc` of LevelDB: `CURRENT`, `LOCK`, `MANIFEST-000012`, `000005.log`, `000005.ldb`, and `000005.sst` before 1.14.

use crate::env::{FileSystem, read_file};
use crate::error::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// The file that a process which has the database open holds a record lock on.
pub const LOCK: &str = "LOCK";

/// The file that names the manifest.
pub const CURRENT: &str = "CURRENT";

/// CURRENT holds one name; more is none of LevelDB's.
const CURRENT_BYTES_MAX: u64 = 64;

/// The number of a log by its name.
pub fn log_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Where the log of this number lies.
pub fn log_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:06}.log"))
}

/// Where the table of this number lies, and how long it is. Corruption if it is missing.
pub fn table(files: &dyn FileSystem, dir: &Path, number: u64) -> Result<(PathBuf, u64)> {
    let path = dir.join(format!("{number:06}.ldb"));
    for path in [&path, &dir.join(format!("{number:06}.sst"))] {
        if let Some(len) = files.file_len(path)? {
            return Ok((path.clone(), len));
        }
    }
    Err(Error::corruption(&path, 0, "the table is missing"))
}

/// What CURRENT says: the name of the manifest in force.
pub fn manifest_in_force(files: &dyn FileSystem, dir: &Path) -> Result<String> {
    let path = dir.join(CURRENT);
    let bytes = read_file(files, &path, CURRENT_BYTES_MAX).map_err(|error| match error.kind() {
        ErrorKind::NotFound => error.context("no LevelDB database"),
        _ => error,
    })?;
    let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
    let digits = text.and_then(|text| text.strip_prefix("MANIFEST-"));
    match (text, digits) {
        (Some(text), Some(digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(text.to_owned())
        }
        _ => Err(Error::corruption(&path, 0, "CURRENT does not name a manifest")),
    }
}
