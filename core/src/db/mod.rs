//! The front door: a database, its locks, and one file per verb.
//!
//! Called by applications, by the C library and by the Python module. Verbs hold no state; it lies in `Core`, in parts with a
//! lock each. A thread takes locks only in this order:
//!
//! 1. `install` - the manifest and what it says; held through the I/O of an installation, by background jobs and DDL only.
//! 2. `commit` - the log's tail and the active memtables; held for the short section of each write.
//! 3. `catalog` - which families exist, and the making of a new view; never held through I/O.
//! 4. `jobs` - what waits to be flushed or merged, and who waits for it.
//!
//! Debug builds panic where a thread takes them in another order. Readers take none of them: they enter an epoch and load the view.

mod background;
mod close;
mod collection;
mod column_family;
mod compact;
mod core;
mod destroy;
mod disk;
mod export;
mod flush;
mod flush_job;
mod follow;
mod get;
mod health;
#[cfg(feature = "leveldb")]
mod ingest;
mod install;
mod iterate;
mod jobs;
mod live_files;
mod log_limit;
mod memory;
mod meter;
mod metrics;
mod obsolete_files;
mod open;
mod options;
mod recovery;
mod repair;
#[cfg(feature = "arrow")]
mod scan;
#[cfg(feature = "arrow")]
mod schemas;
mod snapshot;
#[cfg(feature = "arrow")]
mod splits;
mod stall;
mod stats;
mod switch;
#[cfg(feature = "arrow")]
mod table;
mod target;
#[cfg(feature = "arrow")]
mod time_to_live;
mod verify;
mod write;

pub use close::{CloseOptions, OpenObjects};
pub use column_family::{ColumnFamily, DEFAULT_FAMILY};
pub use export::{Export, ExportedFile};
pub use flush::{FlushResult, FlushToken};
pub use follow::Refreshed;
pub use get::ReadOptions;
#[cfg(feature = "leveldb")]
pub(crate) use ingest::Ingest;
pub use iterate::{DbIterator, IterOptions};
pub use live_files::{LiveFile, LiveFiles};
pub use log_limit::LogPin;
pub use memory::MemoryUse;
pub use options::{Durability, OptionInfo, OptionScope, OptionType, Options};
pub use repair::{RepairOptions, RepairReport, RepairedFile};
#[cfg(feature = "arrow")]
pub use scan::{ScanOptions, TableScan};
pub use snapshot::Snapshot;
#[cfg(feature = "arrow")]
pub use splits::Splits;
pub use stats::{Segment, Stats};
#[cfg(feature = "arrow")]
pub use table::Table;
pub use verify::{FilePart, VerifiedFile};
pub use write::{Condition, WriteOptions};

use self::collection::Schemas;
use self::core::Core;
use std::path::Path;
use std::sync::Arc;

/// An open database. Cloning gives another handle to the same one; all handles and what was made from them may be used from any
/// thread.
///
/// When the last handle and the last object made from it are gone, the database is closed as [`close`](Self::close) would do,
/// with errors unseen: call `close` to see them.
#[derive(Clone)]
pub struct Db {
    handle: Arc<Handle>,
}

/// What the application's objects keep alive; its drop closes the database.
pub(crate) struct Handle {
    core: Arc<Core>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.core.is_closed() && !self.core.env.runtime.forked() {
            // Nobody is left to see the error; `close` is there for those who want it.
            let _ = self.core.shut_down(&CloseOptions { force: true, ..CloseOptions::default() });
        }
    }
}

impl Db {
    /// The directory of the database.
    pub fn path(&self) -> &Path {
        &self.handle.core.path
    }

    /// The world that it lives in.
    #[cfg(feature = "leveldb")]
    pub(crate) fn env(&self) -> &crate::env::Env {
        &self.handle.core.env
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.handle.core.is_closed()
    }
}
