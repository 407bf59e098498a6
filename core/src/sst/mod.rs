//! One immutable file of sorted entries: how it is written, opened, searched and walked.
//!
//! Flush and compaction write through [`SstWriter`]; reads go through [`SstReader`]; the formats behind them lie in folders of
//! their own. Promises: what was added is what is read; every byte of a file is under a checksum that is checked before it is
//! parsed; damage is an error that names file and offset.

mod alone;
mod any;
mod block_file;
#[cfg(feature = "arrow")]
mod ipc_file;
#[cfg(feature = "parquet")]
mod parquet_file;
#[cfg(feature = "arrow")]
mod row_file;
#[cfg(feature = "arrow")]
mod row_formats;

pub use alone::LoneFile;
pub use any::{AnySstReader, BrokenFile};
pub use block_file::{Block, GROUP_KEYS, Properties, Sought, SstCursor, SstPart, SstPartBuilder, SstReader, SstWriter};
#[cfg(feature = "arrow")]
pub use row_file::{
    ColumnBounds, ColumnOverride, ConditionRecord, GroupStats, PeekedIndex, RowBlock, RowCache, RowCondition,
    RowFileExpected, RowFileOptions, RowFileScan, RowFileSummary, RowFormat, RowLookup, StatsHook, StatsHookFactory,
};
#[cfg(feature = "arrow")]
pub use row_formats::{RowFileReader, RowFileWriter, check_row_format};

use crate::iter::PinnedBytes;
use crate::key::{CollectionId, FileNumber, Kind, Sequence};

/// The cache of blocks that all readers of a database share.
pub type BlockCache = crate::cache::BlockCache<Block>;

/// How the values of a file are compressed. The numbers are on disk and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Compression {
    /// Not at all: the fastest to write and to read.
    #[default]
    None = 0,
    /// LZ4: fast both ways.
    Lz4 = 1,
    /// Zstd at its fastest regular level: smaller, slower to write.
    Zstd = 2,
}

impl Compression {
    /// The compression with this number.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::None),
            1 => Some(Self::Lz4),
            2 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// How a file is written.
#[derive(Debug, Clone)]
pub struct SstOptions {
    /// The size of a block in bytes before compression; taken as at least 1 KiB and at most 32 KiB.
    pub block_bytes: usize,
    /// How values are compressed.
    pub compression: Compression,
    /// Bits of filter per key; 0 for no filter.
    pub bloom_bits_per_key: u32,
}

impl Default for SstOptions {
    fn default() -> Self {
        Self { block_bytes: 8 << 10, compression: Compression::None, bloom_bits_per_key: 10 }
    }
}

/// Which file this is and who makes it, as its properties will say.
#[derive(Debug, Clone, Default)]
pub struct SstIdentity {
    /// The database.
    pub database_id: u64,
    /// Its writer epoch.
    pub epoch: u64,
    /// The file's number.
    pub number: FileNumber,
    /// The column family.
    pub collection: CollectionId,
    /// The job that makes the file.
    pub job: u64,
    /// The files that the job reads.
    pub inputs: Vec<FileNumber>,
    /// The files that the job means to write, as far as it knows them.
    pub outputs: Vec<FileNumber>,
}

/// What a reader must find in a file, from the manifest; anything else is the wrong file.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The database.
    pub database_id: u64,
    /// The file's number.
    pub number: FileNumber,
    /// The file's size in bytes, if it is known.
    pub size_bytes: Option<u64>,
    /// The column family.
    pub collection: CollectionId,
}

impl Expected {
    /// What a file says of itself, to somebody who knows nothing else of it.
    pub fn of(properties: &Properties) -> Self {
        Self {
            database_id: properties.database_id,
            number: properties.number,
            size_bytes: None,
            collection: properties.collection,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SstSummary {
    /// The size of the file in bytes.
    pub size_bytes: u64,
    /// The checksum of all its bytes before the footer, as the footer has it.
    pub checksum: u32,
    /// How many entries it holds: versions, not keys.
    pub entries: u64,
    /// How many of them are tombstones.
    pub tombstones: u64,
    /// Bytes of keys and values in them.
    pub payload_bytes: u64,
    /// The least key; empty in an empty file.
    pub smallest: Vec<u8>,
    /// The greatest key; empty in an empty file.
    pub largest: Vec<u8>,
    /// The least sequence; 0 in an empty file.
    pub smallest_sequence: Sequence,
    /// The greatest sequence; 0 in an empty file.
    pub largest_sequence: Sequence,
    /// Whether some key has more than one version.
    pub multi_version: bool,
}

/// What a lookup found.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// No version of the key that the snapshot sees.
    Absent,
    /// The answer is on disk, and the caller asked not to read.
    WouldBlock,
    /// The newest version that the snapshot sees.
    Found {
        /// When it was written.
        sequence: Sequence,
        /// What it does; a delete ends the search in older files.
        kind: Kind,
        /// The value, pinned in its block.
        value: PinnedBytes,
    },
}

/// Whether a lookup may read from disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// It may.
    Allowed,
    /// It must answer from memory, or say that it would block.
    CacheOnly,
}

/// How a cursor gets its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// One at a time, through the cache.
    Cached,
    /// Many at a time, past the cache: for compaction, and for long scans that would only wash the cache out.
    Scan,
}
