//! An open file of either kind of collection: what everybody may ask of it without knowing which.

use super::SstReader;
use crate::error::Result;
use crate::key::FileNumber;
use std::path::Path;
use std::sync::Arc;

/// The open file of a column family or of a table. Cloning shares it.
#[derive(Clone)]
pub enum AnySstReader {
    /// Of a column family.
    Bytes(Arc<SstReader>),
    /// Of a table.
    #[cfg(feature = "arrow")]
    Rows(Arc<super::RowFileReader>),
}

impl AnySstReader {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        match self {
            Self::Bytes(reader) => reader.path(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.path(),
        }
    }

    /// Versions of keys, or rows, in it; deletes among them.
    pub fn entries(&self) -> u64 {
        match self {
            Self::Bytes(reader) => reader.entries(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.rows(),
        }
    }

    /// The files that it was made of; none if it was flushed.
    pub fn inputs(&self) -> &[FileNumber] {
        match self {
            Self::Bytes(reader) => &reader.properties().inputs,
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => &reader.properties().inputs,
        }
    }

    /// Whether every key has one version, and none is a delete.
    pub fn is_plain(&self) -> bool {
        match self {
            Self::Bytes(reader) => reader.is_plain(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.is_plain(),
        }
    }

    /// Memory that it holds while it is open, outside the cache.
    pub fn resident_bytes(&self) -> usize {
        match self {
            Self::Bytes(reader) => reader.resident_bytes(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.resident_bytes(),
        }
    }

    /// Reads all of it and verifies every checksum.
    pub fn verify(&self) -> Result<()> {
        match self {
            Self::Bytes(reader) => reader.verify(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.verify(),
        }
    }

    /// The file of a column family, if it is one.
    #[inline]
    pub fn bytes(&self) -> Option<&Arc<SstReader>> {
        match self {
            Self::Bytes(reader) => Some(reader),
            #[cfg(feature = "arrow")]
            Self::Rows(_) => None,
        }
    }

    /// The file of a table, if it is one.
    #[cfg(feature = "arrow")]
    pub fn rows(&self) -> Option<&Arc<super::RowFileReader>> {
        match self {
            Self::Rows(reader) => Some(reader),
            Self::Bytes(_) => None,
        }
    }
}
