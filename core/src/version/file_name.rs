//! Names of the files in a database directory: from kind and number to path, and back.
//!
//! Called by the manifest, by jobs that make files, and by whoever looks through a directory. Only the one canonical spelling
//! of a name is recognised: everything else in the directory is foreign and left alone. Log segments name themselves in `wal`.

use crate::error::{Error, Result};
use crate::key::FileNumber;
use crate::observe::{EVENTS, OLD_EVENTS, UNFINISHED_EVENTS};
use std::path::{Path, PathBuf};

/// The file whose lock stands for the whole database.
pub const LOCK: &str = "LOCK";

/// The file that names the manifest in force.
pub const CURRENT: &str = "CURRENT";

/// What CURRENT is called before it takes effect.
pub const CURRENT_TEMPORARY: &str = "CURRENT.tmp";

/// The directory of the log segments.
pub const LOG_DIR: &str = "wal";

/// The directory that holds one directory per column family.
pub const FAMILIES_DIR: &str = "cf";

/// The directory that holds one directory per table.
pub const TABLES_DIR: &str = "table";

/// The file of rows in the directory of an IPC flush.
pub const IPC_DATA: &str = "data.arrow";

/// The file of checksums and indexes beside it.
pub const IPC_INDEX: &str = "index.sst";

/// What is appended to the name of an IPC directory until it is whole.
pub const UNFINISHED_SUFFIX: &str = ".tmp";

/// The longest name of a collection in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// A file that the engine may find, by its name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `LOCK`.
    Lock,
    /// `CURRENT`.
    Current,
    /// `CURRENT.tmp`: left by a crash, of no meaning.
    CurrentTemporary,
    /// `EVENTS.jsonl`, the one before it, or one that a crash left unfinished.
    Events,
    /// `MANIFEST-000012`.
    Manifest(FileNumber),
    /// `000005.sst`.
    Sst(FileNumber),
    /// `000009.parquet`.
    Parquet(FileNumber),
}

/// What the file called `name` is; `None` if it is not one of ours.
pub fn parse(name: &str) -> Option<FileKind> {
    match name {
        LOCK => return Some(FileKind::Lock),
        CURRENT => return Some(FileKind::Current),
        CURRENT_TEMPORARY => return Some(FileKind::CurrentTemporary),
        EVENTS | OLD_EVENTS | UNFINISHED_EVENTS => return Some(FileKind::Events),
        _ => {}
    }
    if let Some(digits) = name.strip_prefix("MANIFEST-") {
        return number(digits).map(FileKind::Manifest);
    }
    if let Some(digits) = name.strip_suffix(".parquet") {
        return number(digits).map(FileKind::Parquet);
    }
    number(name.strip_suffix(".sst")?).map(FileKind::Sst)
}

/// The time that the name of an IPC directory is: a canonical whole number above every level's.
pub fn parse_stamp(name: &str) -> Option<u64> {
    let stamp: u64 = name.parse().ok()?;
    (stamp.to_string() == name && stamp >= STAMP_MIN_NANOS).then_some(stamp)
}

/// Smaller numbers are names of level directories. One second after 1970.
pub const STAMP_MIN_NANOS: u64 = 1_000_000_000;

/// The number that `digits` spell in the canonical way: at least six digits, no more zeros in front than that takes.
fn number(digits: &str) -> Option<FileNumber> {
    let number = digits.parse().ok()?;
    (format!("{number:06}") == digits).then_some(FileNumber(number))
}

/// `MANIFEST-000012`.
pub fn manifest(number: FileNumber) -> String {
    format!("MANIFEST-{:06}", number.0)
}

/// `000005.sst`.
pub fn sst(number: FileNumber) -> String {
    format!("{:06}.sst", number.0)
}

/// The directory of the table `name`. Requires: the name was checked.
pub fn table_dir(database: &Path, name: &str) -> PathBuf {
    database.join(TABLES_DIR).join(name)
}

/// Where a live file lies below the directory of its collection. The level is that of the file's birth.
pub fn file_path(directory: &Path, meta: &super::FileMeta) -> PathBuf {
    match meta.format {
        super::FileFormat::Blocks => directory.join(sst(meta.number)),
        super::FileFormat::Parquet => directory.join(meta.level.to_string()).join(parquet(meta.number)),
        super::FileFormat::Ipc => directory.join(meta.stamp_nanos.to_string()).join(IPC_DATA),
    }
}

/// What the directory of an IPC file is called until it is whole.
pub fn unfinished(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(UNFINISHED_SUFFIX);
    PathBuf::from(name)
}

/// `000009.parquet`.
pub fn parquet(number: FileNumber) -> String {
    format!("{:06}.parquet", number.0)
}

/// The directory of the column family `name`. Requires: the name was checked.
pub fn family_dir(database: &Path, name: &str) -> PathBuf {
    database.join(FAMILIES_DIR).join(name)
}

/// Where table `number` of the column family `name` lies. Requires: the name was checked.
pub fn sst_path(database: &Path, name: &str, number: FileNumber) -> PathBuf {
    family_dir(database, name).join(sst(number))
}

/// Refuses names of collections that are not 1 to 64 of `A-Z a-z 0-9 _ . -`, or start with a dot: they become directories.
pub fn check_collection_name(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.starts_with('.') || !name.bytes().all(allowed) {
        return Err(Error::invalid(format!(
            "{name:?} is no name for a collection: 1 to {MAX_NAME_BYTES} of A-Z a-z 0-9 _ . - are, not led by a dot"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_names_are_ours() {
        for number in [0, 12, 999_999, 1_000_000, u64::MAX] {
            let number = FileNumber(number);
            assert_eq!(parse(&manifest(number)), Some(FileKind::Manifest(number)));
            assert_eq!(parse(&sst(number)), Some(FileKind::Sst(number)));
            assert_eq!(parse(&parquet(number)), Some(FileKind::Parquet(number)));
        }
        assert_eq!(parse("CURRENT"), Some(FileKind::Current));
        for name in ["EVENTS.jsonl", "EVENTS.jsonl.1"] {
            assert_eq!(parse(name), Some(FileKind::Events));
        }
        for foreign in [
            "EVENTS.jsonl.2",
            "MANIFEST-12",
            "MANIFEST-+00012",
            "MANIFEST-0000012",
            "MANIFEST-",
            "5.sst",
            "000005.SST",
            ".sst",
            "current",
        ] {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn names_that_could_leave_the_directory_are_refused() {
        for good in ["default", "a", "A-1_x.y", &"x".repeat(64)] {
            check_collection_name(good).unwrap();
        }
        for bad in ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "ä", "a\0", &"x".repeat(65)] {
            assert!(check_collection_name(bad).is_err(), "{bad:?}");
        }
    }
}
