//! What a background failure means for the callers: nothing, "free some space and resume", or "close and open again".
//!
//! Set by background jobs and by writers whose log failed, looked at by every write. Three states: healthy; resumable (a flush
//! or merge failed and is retried: writes go on while there is room); poisoned (the outcome of a write or of the manifest is
//! unknown: reads only, until the database is opened again). Flushes and merges fail apart from each other: a full disk may have
//! room for the one and not for the other.

use crate::atomic::{AtomicU8, Ordering};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;

/// Whether the outcome of something is unknown: looked at by every write.
const POISONED: u8 = 1;

/// A kind of background job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// Flushes, and freezing what is to be flushed.
    Flush,
    /// Merges.
    Merge,
}

/// The latched state and its causes.
#[derive(Default)]
pub(super) struct Health {
    state: AtomicU8,
    causes: Mutex<Causes>,
}

#[derive(Default)]
struct Causes {
    poison: Option<Error>,
    /// Of the last flush and the last merge, as long as none has succeeded since.
    failing: [Option<Error>; 2],
}

impl Health {
    /// Refuses writes once poisoned.
    #[inline]
    pub fn check_writable(&self) -> Result<()> {
        if self.state.load(Ordering::Relaxed) == POISONED { Err(self.poisoned()) } else { Ok(()) }
    }

    fn poisoned(&self) -> Error {
        match &self.causes.lock().poison {
            // Of a writer that was fenced off nothing is unknown.
            Some(cause) if cause.kind() == ErrorKind::Fenced => cause.clone(),
            Some(cause) => cause
                .clone()
                .with_kind(ErrorKind::Poisoned)
                .context("writes are refused until the database is reopened"),
            None => Error::new(ErrorKind::Poisoned, "writes are refused until the database is reopened"),
        }
    }

    /// The cause of an unhealthy state: the worst, if there are several.
    pub fn error(&self) -> Option<Error> {
        let causes = self.causes.lock();
        let [flush, merge] = &causes.failing;
        causes.poison.as_ref().or(flush.as_ref()).or(merge.as_ref()).cloned()
    }

    /// Why flushes fail: whoever waits for one waits in vain.
    pub fn flush_error(&self) -> Option<Error> {
        self.causes.lock().failing[Job::Flush as usize].clone()
    }

    /// Whether jobs of this kind fail.
    pub fn is_failing(&self, job: Job) -> bool {
        self.causes.lock().failing[job as usize].is_some()
    }

    /// Whether the state is final.
    pub fn is_poisoned(&self) -> bool {
        self.state.load(Ordering::Relaxed) == POISONED
    }

    /// A background job failed and will be tried again.
    pub fn failing(&self, job: Job, error: &Error) {
        self.causes.lock().failing[job as usize] = Some(error.clone());
    }

    /// An outcome is unknown. The first cause is kept.
    pub fn poison(&self, error: &Error) {
        let mut causes = self.causes.lock();
        causes.poison.get_or_insert_with(|| error.clone());
        self.state.store(POISONED, Ordering::Relaxed);
    }

    /// A job of this kind succeeded again, or there is none left to do, or the application asks to try again. Poison stays.
    pub fn recovered(&self, job: Job) {
        self.causes.lock().failing[job as usize] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poison_stays_and_keeps_its_first_cause() {
        let health = Health::default();
        health.failing(Job::Flush, &Error::invalid("first"));
        assert!(health.error().is_some() && health.check_writable().is_ok());
        health.recovered(Job::Flush);
        assert!(health.error().is_none());
        health.poison(&Error::invalid("second"));
        health.poison(&Error::invalid("third"));
        health.recovered(Job::Flush);
        let error = health.check_writable().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        assert!(error.message().contains("second"));
    }

    #[test]
    fn a_flush_that_succeeds_says_nothing_of_merges() {
        let health = Health::default();
        health.failing(Job::Merge, &Error::invalid("merge"));
        assert!(health.flush_error().is_none(), "who waits for a flush need not care");
        health.failing(Job::Flush, &Error::invalid("flush"));
        health.recovered(Job::Flush);
        assert!(health.error().is_some_and(|error| error.message().contains("merge")));
        health.recovered(Job::Merge);
        assert!(health.error().is_none() && !health.is_failing(Job::Merge));
    }
}
