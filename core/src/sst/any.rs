//! A live file of either kind of collection: what everybody may ask of it without knowing which, and without knowing whether it
//! opens at all.

use super::SstReader;
use crate::error::{Error, Result};
use crate::key::FileNumber;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The open file of a column family or of a table, or one that is too damaged to open. Cloning shares it.
#[derive(Clone)]
pub enum AnySstReader {
    /// Of a column family.
    Bytes(Arc<SstReader>),
    /// Of a table.
    #[cfg(feature = "arrow")]
    Rows(Arc<super::RowFileReader>),
    /// Of either, damaged.
    Broken(Arc<BrokenFile>),
}

/// A live file that does not open. Whoever needs it gets its error; whatever does not need it goes on.
pub struct BrokenFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Why it does not open: Corruption, naming file and offset.
    pub error: Error,
}

impl AnySstReader {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        match self {
            Self::Bytes(reader) => reader.path(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.path(),
            Self::Broken(file) => &file.path,
        }
    }

    /// Versions of keys, or rows, in it; deletes among them. Whoever needs a broken file gets its error.
    pub fn entries(&self) -> Result<u64> {
        match self {
            Self::Bytes(reader) => Ok(reader.entries()),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => Ok(reader.rows()),
            Self::Broken(file) => Err(file.error.clone()),
        }
    }

    /// The files that it was made of; none if it was flushed, or does not say.
    pub fn inputs(&self) -> &[FileNumber] {
        match self {
            Self::Bytes(reader) => &reader.properties().inputs,
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => &reader.properties().inputs,
            Self::Broken(_) => &[],
        }
    }

    /// Whether every key is known to have one version, and none to be a delete.
    pub fn is_plain(&self) -> bool {
        match self {
            Self::Bytes(reader) => reader.is_plain(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.is_plain(),
            Self::Broken(_) => false,
        }
    }

    /// Memory that it holds while it is open, outside the cache.
    pub fn resident_bytes(&self) -> usize {
        match self {
            Self::Bytes(reader) => reader.resident_bytes(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.resident_bytes(),
            Self::Broken(_) => 0,
        }
    }

    /// Reads all of it and verifies every checksum.
    pub fn verify(&self) -> Result<()> {
        match self {
            Self::Bytes(reader) => reader.verify(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.verify(),
            Self::Broken(file) => Err(file.error.clone()),
        }
    }

    /// Why it does not open, if it does not.
    #[inline]
    pub fn broken(&self) -> Option<&Error> {
        match self {
            Self::Broken(file) => Some(&file.error),
            _ => None,
        }
    }

    /// The file of a column family.
    #[inline]
    pub fn bytes(&self) -> Result<&Arc<SstReader>> {
        match self {
            Self::Bytes(reader) => Ok(reader),
            #[cfg(feature = "arrow")]
            Self::Rows(_) => Err(self.of_another_kind()),
            Self::Broken(file) => Err(file.error.clone()),
        }
    }

    /// The file of a table.
    #[cfg(feature = "arrow")]
    pub fn try_rows(&self) -> Result<&Arc<super::RowFileReader>> {
        match self {
            Self::Rows(reader) => Ok(reader),
            Self::Bytes(_) => Err(self.of_another_kind()),
            Self::Broken(file) => Err(file.error.clone()),
        }
    }

    /// The file of a table, if it is one and opens: for views of which [`readable`](crate::view::CollectionView::readable) has made sure.
    #[cfg(feature = "arrow")]
    pub fn rows(&self) -> Option<&Arc<super::RowFileReader>> {
        self.try_rows().ok()
    }

    #[cfg(feature = "arrow")]
    fn of_another_kind(&self) -> Error {
        Error::invalid("file of another kind of collection").in_file(self.path())
    }
}
