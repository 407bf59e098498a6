//! Making the log durable: one sync at a time, on behalf of everyone whose records it covers.
//!
//! Called by writers that asked for it and by flushes. Whoever finds no sync in flight leads one; the others wait for it and look
//! again. So many threads share one fdatasync, and a lone thread never waits for another.

use super::Log;
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::atomic::Ordering;
use crate::env::Call;
use crate::error::Result;
use crate::key::Sequence;
use std::sync::Arc;

impl Log {
    /// Returns when every record up to `through` is durable; sequences that the log does not hold ask for nothing. An error has
    /// kind Poisoned, is final, and leaves open which records are on disk.
    pub fn sync(&self, through: Sequence) -> Result<()> {
        let through = through.min(self.appended_sequence());
        loop {
            let seen = self.synced.count();
            if self.durable_sequence() >= through {
                return Ok(());
            }
            self.check_poison()?;
            match self.begin_sync() {
                Some(segments) => self.lead(&segments)?,
                None => {
                    self.env.runtime.wait(&self.synced, seen, None);
                }
            }
        }
    }

    /// Returns when all that was stored before the call is durable, whether it has a sequence or not. Errors as of [`sync`](Self::sync).
    pub(super) fn sync_all(&self) -> Result<()> {
        loop {
            let seen = self.synced.count();
            self.check_poison()?;
            if let Some(segments) = self.begin_sync() {
                return self.lead(&segments);
            }
            self.env.runtime.wait(&self.synced, seen, None);
        }
    }

    /// The segments that have something to sync, oldest first, the active one last; `None` if a sync is in flight.
    fn begin_sync(&self) -> Option<Vec<Arc<Segment>>> {
        let mut state = self.state.lock();
        if state.syncing {
            return None;
        }
        state.syncing = true;
        let unsynced = state.segments.iter().filter(|segment| !segment.synced.load(Ordering::Acquire));
        Some(unsynced.cloned().collect())
    }

    /// Syncs and tells everyone.
    fn lead(&self, segments: &[Arc<Segment>]) -> Result<()> {
        // A leader of before may have failed between the caller's look and its turn.
        let outcome = self.check_poison().and_then(|()| {
            let synced = self.sync_segments(segments);
            synced.map_err(|error| self.failed(Call::SyncData, error))
        });
        if let (Ok(end), Some(active)) = (&outcome, segments.last()) {
            self.pass_on(active, *end);
        }
        self.state.lock().syncing = false;
        self.synced.ring();
        // Once: from then on the helper looks by itself, until the log is idle.
        if outcome.is_ok() && !self.untold.swap(true, Ordering::SeqCst) {
            self.wanted.ring();
        }
        outcome.map(drop)
    }

    /// `synced` is durable up to `end`. If the writer has ended it there meanwhile, no record in it can tell so: the next segment's do.
    pub(super) fn pass_on(&self, synced: &Segment, end: u64) {
        let state = self.state.lock();
        let next = state.segments.iter().find(|segment| segment.number > synced.number);
        if let Some(next) = next
            && synced.end() == end
        {
            next.durable.fetch_max(SEGMENT_HEADER_BYTES, Ordering::AcqRel);
        }
    }

    /// Syncs what there is to sync. Gives the offset in the last one up to which all is durable.
    fn sync_segments(&self, segments: &[Arc<Segment>]) -> Result<u64> {
        let Some((active, closed)) = segments.split_last() else { return Ok(0) };
        for segment in closed {
            segment.file.sync_data()?;
            segment.synced.store(true, Ordering::Release);
        }
        // Read after the list of segments was taken: should the writer have moved on to a newer one since, its records are
        // not covered, and what the active one holds is what it will ever hold.
        let (last_sequence, end) = (active.last(), active.end());
        active.file.sync_data()?;
        active.durable.store(end, Ordering::Release);
        self.durable.fetch_max(last_sequence, Ordering::AcqRel);
        Ok(end)
    }
}
