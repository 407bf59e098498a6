//! What the database notices of its disk: how long syncs take.
//!
//! Called by `env::timed`, from whatever thread waits for the disk.

use crate::env::Call;
use crate::env::timed::Watch;
use crate::observe::{Timed, Timings};
use std::path::Path;
use std::sync::Arc;

/// Listens to the file system.
pub(super) struct DiskWatch {
    pub timings: Arc<Timings>,
}

impl Watch for DiskWatch {
    fn took(&self, call: Call, _path: &Path, _bytes: u64, nanos: u64) {
        if matches!(call, Call::SyncData | Call::SyncDir) {
            self.timings.record(Timed::Fsync, nanos);
        }
    }
}
