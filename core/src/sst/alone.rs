//! A file opened by itself, without the database that it belongs to: for people who look at files, and for verifying what no manifest
//! names.
//!
//! Called by `db/verify.rs` and the command line. Promises what the readers promise: nothing is parsed before it is verified.

use super::{BlockCache, Expected, Properties, SstReader};
#[cfg(feature = "arrow")]
use super::{RowCache, RowFileExpected, RowFileReader, RowFormat};
use crate::env::Env;
use crate::error::{Error, Result};
use std::path::Path;
use std::sync::Arc;

/// Bytes of cache: each part is read once.
const CACHE_BYTES: usize = 1 << 20;

/// An open file of a column family or of a table.
pub enum LoneFile {
    /// Of a column family.
    Bytes(Arc<SstReader>),
    /// Of a table.
    #[cfg(feature = "arrow")]
    Rows(Arc<RowFileReader>),
}

/// The same call for either kind.
macro_rules! of_either {
    ($file:expr, $reader:ident => $call:expr) => {
        match $file {
            LoneFile::Bytes($reader) => $call,
            #[cfg(feature = "arrow")]
            LoneFile::Rows($reader) => $call,
        }
    };
}

impl LoneFile {
    /// Opens a file: its name says the format, all else it says itself. Its footer, index and filter are verified, its entries are when
    /// they are read. A file of a table must have the name that its format has in a database.
    ///
    /// Errors: Corruption with file and offset, NotSupported (a later version, or a format that this library was built without),
    /// InvalidArgument (a name of no format), those of reading.
    pub fn open(env: &Env, path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension == Some("sst") {
            let properties = SstReader::peek(env, path)?;
            let cache = BlockCache::new(CACHE_BYTES);
            return Ok(Self::Bytes(SstReader::open(env, path, &Expected::of(&properties), cache)?));
        }
        #[cfg(feature = "arrow")]
        if RowFormat::of_path(path).is_some() {
            let peeked = RowFileReader::peek(env, path)?;
            let expected = RowFileExpected { file: Expected::of(&peeked.properties), ..RowFileExpected::default() };
            let schemas = |id| (id == peeked.schema.id()).then(|| peeked.schema.clone());
            return Ok(Self::Rows(RowFileReader::open(env, path, &expected, &schemas, RowCache::new(CACHE_BYTES))?));
        }
        Err(Error::invalid("no file of a format that this library reads: .sst, .parquet and .arrow are").in_file(path))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        of_either!(self, reader => reader.path())
    }

    /// What it says of itself.
    pub fn properties(&self) -> &Properties {
        of_either!(self, reader => reader.properties())
    }

    /// Bytes on disk, what lies beside it included.
    pub fn size_bytes(&self) -> u64 {
        of_either!(self, reader => reader.size_bytes())
    }

    /// The checksum that the manifest keeps of it.
    pub fn checksum(&self) -> u32 {
        of_either!(self, reader => reader.checksum())
    }

    /// Memory of its filter; 0 if it has none.
    pub fn filter_bytes(&self) -> usize {
        of_either!(self, reader => reader.filter_bytes())
    }

    /// Memory that it holds while it is open, outside the cache.
    pub fn resident_bytes(&self) -> usize {
        of_either!(self, reader => reader.resident_bytes())
    }

    /// Reads all of it and verifies every checksum.
    pub fn verify(&self) -> Result<()> {
        of_either!(self, reader => reader.verify())
    }
}
