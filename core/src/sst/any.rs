//! An open file of either kind of collection: what everybody may ask of it without knowing which.

use super::SstReader;
use crate::error::Result;
use std::path::Path;
use std::sync::Arc;

/// The open file of a column family or of a table. Cloning shares it.
#[derive(Clone)]
pub enum AnySstReader {
    /// Of a column family.
    Bytes(Arc<SstReader>),
}

impl AnySstReader {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        match self {
            Self::Bytes(reader) => reader.path(),
        }
    }

    /// Versions of keys, or rows, in it; deletes among them.
    pub fn entries(&self) -> u64 {
        match self {
            Self::Bytes(reader) => reader.entries(),
        }
    }

    /// Whether every key has one version, and none is a delete.
    pub fn is_plain(&self) -> bool {
        match self {
            Self::Bytes(reader) => reader.is_plain(),
        }
    }

    /// Memory that it holds while it is open, outside the cache.
    pub fn resident_bytes(&self) -> usize {
        match self {
            Self::Bytes(reader) => reader.resident_bytes(),
        }
    }

    /// Reads all of it and verifies every checksum.
    pub fn verify(&self) -> Result<()> {
        match self {
            Self::Bytes(reader) => reader.verify(),
        }
    }

    /// The file of a column family, if it is one.
    #[inline]
    pub fn bytes(&self) -> Option<&Arc<SstReader>> {
        match self {
            Self::Bytes(reader) => Some(reader),
        }
    }
}
