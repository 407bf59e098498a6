//! An open file of either kind of collection: what everybody may ask of it without knowing which.

use super::{BlockCache, Expected, Properties, SstReader};
#[cfg(feature = "arrow")]
use super::{RowCache, RowFileExpected, RowFileReader, RowFormat};
use crate::env::Env;
use crate::error::{Error, Result};
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

/// Bytes of cache of a file that is looked at by itself: each part is read once.
const ALONE_CACHE_BYTES: usize = 1 << 20;

impl AnySstReader {
    /// Opens a file without its database: its name says the format, all else it says itself. Its footer, index and filter are verified,
    /// its entries are when they are read. A file of a table must have the name that its format has in a database.
    ///
    /// Errors: Corruption with file and offset, NotSupported (a later version, or a format that this library was built without),
    /// InvalidArgument (a name of no format), those of reading.
    pub fn open_alone(env: &Env, path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension == Some("sst") {
            let properties = SstReader::peek(env, path)?;
            let cache = BlockCache::new(ALONE_CACHE_BYTES);
            return Ok(Self::Bytes(SstReader::open(env, path, &Expected::of(&properties), cache)?));
        }
        #[cfg(feature = "arrow")]
        if RowFormat::of_path(path).is_some() {
            let peeked = RowFileReader::peek(env, path)?;
            let expected = RowFileExpected { file: Expected::of(&peeked.properties), ..RowFileExpected::default() };
            let schemas = |id| (id == peeked.schema.id()).then(|| peeked.schema.clone());
            return Ok(Self::Rows(RowFileReader::open(
                env,
                path,
                &expected,
                &schemas,
                RowCache::new(ALONE_CACHE_BYTES),
            )?));
        }
        Err(Error::invalid("no file of a format that this library reads: .sst, .parquet and .arrow are").in_file(path))
    }

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

    /// What it says of itself.
    pub fn properties(&self) -> &Properties {
        match self {
            Self::Bytes(reader) => reader.properties(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.properties(),
        }
    }

    /// The files that it was made of; none if it was flushed.
    pub fn inputs(&self) -> &[FileNumber] {
        &self.properties().inputs
    }

    /// Bytes on disk, what lies beside it included.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Bytes(reader) => reader.size_bytes(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.size_bytes(),
        }
    }

    /// The checksum that the manifest keeps of it.
    pub fn checksum(&self) -> u32 {
        match self {
            Self::Bytes(reader) => reader.checksum(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.checksum(),
        }
    }

    /// Memory of its filter; 0 if it has none.
    pub fn filter_bytes(&self) -> usize {
        match self {
            Self::Bytes(reader) => reader.filter_bytes(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.filter_bytes(),
        }
    }

    /// How many blocks, row groups or batches its index knows.
    pub fn index_len(&self) -> usize {
        match self {
            Self::Bytes(reader) => reader.block_count(),
            #[cfg(feature = "arrow")]
            Self::Rows(reader) => reader.groups().len(),
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
