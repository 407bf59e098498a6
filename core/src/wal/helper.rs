//! The background task that takes work off the appends: it makes the next segment ahead and keeps the pages ahead present. When
//! nothing is appended any more it has a MARK stored, so that the last sync too is told by a record behind it.
//!
//! Spawned by `db`. Without it all works the same, but appends make their segments themselves, and damage to the last synced
//! records of a log that is then killed cannot be told from a torn end.

use super::Log;
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::atomic::Ordering;
use crate::env::{Next, Task};
use crate::error::Result;
use crate::key::{FileNumber, Sequence};
use std::sync::Arc;
use std::time::Duration;

/// How many bytes ahead of the end are kept present: at 400 MB/s they last ten milliseconds, which is what a busy machine may take
/// to run the helper.
pub(super) const POPULATED_BYTES: u64 = 4 << 20;

/// After so many bytes the writer asks for more pages.
pub(super) const POPULATE_STEP_BYTES: u64 = 1 << 20;

/// How long to rest after a segment could not be made: the disk may be full.
const RETRY: Duration = Duration::from_secs(1);

/// How long nothing is appended before the log counts as idle.
const IDLE: Duration = Duration::from_secs(1);

/// The task.
pub(super) struct Helper {
    log: Arc<Log>,
    /// Stores a MARK if one is wanted.
    mark: Box<dyn FnMut() + Send>,
    /// After which sequence nothing was appended, and when that will have been long enough (monotonic nanoseconds).
    quiet: Option<(Sequence, u64)>,
    /// Up to where pages of which segment are present.
    populated: (FileNumber, u64),
}

impl Helper {
    pub fn new(log: Arc<Log>, mark: Box<dyn FnMut() + Send>) -> Self {
        Self { log, mark, quiet: None, populated: (FileNumber(0), 0) }
    }

    /// Marks a log that is idle after a sync. Gives the time until the next look; `None` if there is nothing to mark.
    fn mark_when_idle(&mut self) -> Option<Duration> {
        if !self.log.untold.load(Ordering::SeqCst) {
            return None;
        }
        let (now, appended) = (self.log.env.runtime.monotonic_nanos(), self.log.appended_sequence());
        match self.quiet {
            Some((last, until)) if last == appended && until <= now => {
                self.quiet = None;
                // First: a sync that ends from here on asks again.
                self.log.untold.store(false, Ordering::SeqCst);
                (self.mark)();
                None
            }
            Some((last, until)) if last == appended => Some(Duration::from_nanos(until - now)),
            _ => {
                self.quiet = Some((appended, now.saturating_add(IDLE.as_nanos() as u64)));
                Some(IDLE)
            }
        }
    }

    fn populate_ahead(&mut self) {
        if !self.log.wants_pages.swap(false, Ordering::SeqCst) {
            return;
        }
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
        let look = self.mark_when_idle();
        if self.log.state.lock().ready.is_some() {
            return Next::Wait(look);
        }
        match self.make_ready() {
            Ok(()) => Next::Again,
            Err(_) => Next::Wait(Some(look.map_or(RETRY, |look| look.min(RETRY)))),
        }
    }
}

#[cfg(test)]
mod tests;
