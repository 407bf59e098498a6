//! sstore: an embedded LSM storage engine for bytes and Arrow tables under one log, one sequence, one manifest.
//!
//! ```
//! # fn main() -> sstore::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = directory.path().join("db");
//! use sstore::{Db, Options, ReadOptions, WriteOptions};
//!
//! let db = Db::open(&path, &Options::new())?;
//! let family = db.default_family();
//! db.put(&family, b"cat", b"meow", &WriteOptions::default())?;
//! assert_eq!(db.get(&family, b"cat", &ReadOptions::default())?.as_deref(), Some(&b"meow"[..]));
//! # Ok(()) }
//! ```
//!
//! The modules stand in layer order: a module uses only modules declared above it. `cargo xtask layers` checks that.

pub mod error;

pub mod coding;

pub mod key;

pub mod atomic;
#[cfg(feature = "arrow")]
pub mod schema;

pub mod lock;

pub mod prefetch;

pub mod epoch;

pub mod env;

pub mod consequence;

pub mod observe;

pub mod cache;

pub mod filter;

pub mod iter;

pub mod batch;

pub mod record;

pub mod wal;

pub mod memtable;

pub mod commit;

pub mod sst;

pub mod merge;

pub mod version;

pub mod view;

pub mod read;

pub mod flush;

pub mod compaction;

pub mod db;

#[cfg(feature = "leveldb")]
pub mod import;

pub use batch::WriteBatch;
pub use db::{
    CloseOptions, ColumnFamily, Condition, DEFAULT_FAMILY, Db, DbIterator, Durability, Export, ExportedFile, FilePart,
    FlushResult, FlushToken, IterOptions, LiveFile, LiveFiles, LogPin, MemoryUse, OpenObjects, OptionInfo, OptionScope,
    OptionType, Options, ReadOptions, Refreshed, RepairOptions, RepairReport, RepairedFile, Segment, Snapshot, Stats,
    VerifiedFile, WriteOptions,
};
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "leveldb")]
pub use import::{ImportProgress, LevelDbImport, LevelDbImported};
pub use iter::{EntryBatch, PinnedBytes};
pub use key::{CollectionId, FileNumber, KeyRange, Sequence};
pub use observe::{Event, EventKind, FlushReason, HistogramSummary, Level, LogLine, Logger, StallCause};
pub use version::FileFormat;
#[cfg(feature = "arrow")]
pub use {
    db::{ScanOptions, Splits, Table, TableScan},
    read::filter::{Comparison, Filter},
    read::scan::{Explanation, FileExplanation},
    read::split::{Split, SplitFile},
    schema::{KeyOptions, SchemaChange},
};
