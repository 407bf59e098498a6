//! The background task that takes work off the appends: it makes the next segment ahead and keeps the pages ahead present.
//!
//! Spawned by `db`. Without it all works the same, but appends make their segments themselves.

use super::Log;
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::atomic::Ordering;
use crate::env::{Next, Task};
use crate::error::Result;
use crate::key::FileNumber;
use std::sync::Arc;
use std::time::Duration;

/// How many bytes ahead of the end are kept present: at 400 MB/s they last ten milliseconds, which is what a busy machine may take
/// to run the helper.
pub(super) const POPULATED_BYTES: u64 = 4 << 20;

/// After so many bytes the writer asks for more pages.
pub(super) const POPULATE_STEP_BYTES: u64 = 1 << 20;

/// How long to rest after a segment could not be made: the disk may be full.
const RETRY: Duration = Duration::from_secs(1);

/// The task.
pub(super) struct Helper {
    log: Arc<Log>,
    /// Up to where pages of which segment are present.
    populated: (FileNumber, u64),
}

impl Helper {
    pub fn new(log: Arc<Log>) -> Self {
        Self { log, populated: (FileNumber(0), 0) }
    }

    fn populate_ahead(&mut self) {
        let active = self.log.state.lock().segments.back().cloned();
        let Some(active) = active else { return };
        let from = match self.populated {
            (number, until) if number == active.number => until.max(active.end()),
            _ => active.end(),
        };
        let until = active.end() + POPULATED_BYTES;
        if until > from {
            // A hint: a page that is not present faults when it is stored to.
            let _ = active.store.populate(from, until - from);
            self.populated = (active.number, until);
        }
    }

    fn make_ready(&self) -> Result<()> {
        let log = &*self.log;
        let segment = log.make_segment(0)?;
        // The first pages now, so that the first append after a switch does not fault.
        let _ = segment.store.populate(0, SEGMENT_HEADER_BYTES + POPULATED_BYTES);
        if let Some(unwanted) = log.offer(segment) {
            log.discard(&unwanted);
        }
        Ok(())
    }
}

impl Log {
    /// Takes a segment as the next one to use. Gives it back if it is too late: segments are used in order of their numbers.
    fn offer(&self, segment: Segment) -> Option<Segment> {
        let mut state = self.state.lock();
        let is_late = state.segments.back().is_some_and(|active| active.number > segment.number);
        if is_late || state.ready.is_some() || self.stopped.load(Ordering::SeqCst) {
            return Some(segment);
        }
        state.ready = Some(segment);
        None
    }
}

impl Task for Helper {
    fn step(&mut self) -> Next {
        if self.log.stopped.load(Ordering::SeqCst) || self.log.is_poisoned() {
            return Next::Done;
        }
        self.populate_ahead();
        if self.log.state.lock().ready.is_some() {
            return Next::Wait(None);
        }
        match self.make_ready() {
            Ok(()) => Next::Again,
            Err(_) => Next::Wait(Some(RETRY)),
        }
    }
}

#[cfg(test)]
mod tests;
