//! What waits to be done in the background, what is being done, and who waits for it. Plain data under the `jobs` lock.

use super::flush::{FlushResult, TokenState};
use crate::error::Error;
use crate::flush::FlushScheduler;
use crate::key::{CollectionId, FileNumber, MemtableId};
use crate::observe::FlushReason;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What `jobs` protects.
#[derive(Default)]
pub(super) struct Jobs {
    /// Families with frozen memtables, first come first served.
    pub scheduler: FlushScheduler,
    /// Families whose flush is running: one at a time each, so that results are installed in the order of creation.
    pub flushing: BTreeSet<CollectionId>,
    /// Families whose turn came while another family's job was running that they have to wait for. The next job that ends has them wait
    /// for their turn again.
    pub put_off: BTreeSet<CollectionId>,
    /// Families whose runs changed since the picker last looked.
    pub unpicked: BTreeSet<CollectionId>,
    /// Families whose merge is running.
    pub compacting: BTreeSet<CollectionId>,
    /// Families into which files come beside the log, and how many at a time: nothing of them is merged meanwhile. See `ingest`.
    pub ingesting: BTreeMap<CollectionId, u64>,
    /// Families that the application wants merged into one run, and how the last such merge ended.
    pub manual: BTreeMap<CollectionId, ManualCompaction>,
    /// No flush begins before this moment (monotonic nanoseconds): set after a failure.
    pub retry_flush_at: u64,
    /// No merge begins before this moment.
    pub retry_merge_at: u64,
    /// Flushes that somebody waits for.
    tokens: Vec<Arc<TokenState>>,
}

/// A merge that the application asked for.
pub(super) enum ManualCompaction {
    /// Asked for, or running.
    Wanted,
    /// Ended.
    Ended(Result<(), Error>),
}

/// What one flush job wrote.
pub(super) struct Flushed {
    pub collection: CollectionId,
    pub through: MemtableId,
    pub file: Option<FileNumber>,
    pub entries: u64,
    pub bytes: u64,
    pub reason: FlushReason,
}

impl Jobs {
    /// Whether a merge of this family may begin.
    pub fn may_merge(&self, collection: CollectionId) -> bool {
        !self.compacting.contains(&collection) && !self.ingesting.contains_key(&collection)
    }

    /// Adds somebody who waits.
    pub fn add_token(&mut self, token: Arc<TokenState>) {
        self.tokens.push(token);
    }

    /// Tells those who wait what was flushed.
    pub fn flushed(&mut self, done: &Flushed) {
        self.tokens.retain(|token| !token.flushed(done));
    }

    /// Tells those who wait for a family that its flush failed. It will be tried again, but they asked for this one. Merges asked
    /// for and not begun hear of it too: they come after the flush, which may fail for ever.
    pub fn flush_failed(&mut self, collection: CollectionId, error: &Error) {
        self.tokens.retain(|token| !token.failed(Some(collection), error));
        for (id, state) in &mut self.manual {
            if matches!(state, ManualCompaction::Wanted) && !self.compacting.contains(id) {
                *state = ManualCompaction::Ended(Err(error.clone()));
            }
        }
    }

    /// Tells everybody who waits that nothing more will happen.
    pub fn fail_all(&mut self, error: &Error) {
        self.tokens.retain(|token| !token.failed(None, error));
        for state in self.manual.values_mut() {
            *state = ManualCompaction::Ended(Err(error.clone()));
        }
    }

    /// Forgets a dropped family; who waited for it has nothing left to wait for.
    pub fn forget(&mut self, collection: CollectionId) {
        self.scheduler.forget(collection);
        self.put_off.remove(&collection);
        self.unpicked.remove(&collection);
        self.manual.remove(&collection);
        self.tokens.retain(|token| !token.dropped(collection));
    }
}

impl FlushResult {
    pub(super) fn add(&mut self, done: &Flushed) {
        self.files.extend(done.file);
        self.entries += done.entries;
        self.bytes += done.bytes;
        self.reason = done.reason;
    }
}
