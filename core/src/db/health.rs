//! What a background failure means for the callers: nothing, "free some space and resume", or "close and open again".
//!
//! Set by background jobs and by writers whose log failed, looked at by every write. Three states: healthy; resumable (a flush
//! or merge failed and is retried: writes go on while there is room); poisoned (the outcome of a write or of the manifest is
//! unknown: reads only, until the database is opened again).

use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

const HEALTHY: u8 = 0;
const RESUMABLE: u8 = 1;
const POISONED: u8 = 2;

/// The latched state and its cause.
#[derive(Default)]
pub(super) struct Health {
    state: AtomicU8,
    cause: Mutex<Option<Error>>,
}

impl Health {
    /// Refuses writes once poisoned.
    #[inline]
    pub fn check_writable(&self) -> Result<()> {
        if self.state.load(Ordering::Relaxed) == POISONED { Err(self.poisoned()) } else { Ok(()) }
    }

    fn poisoned(&self) -> Error {
        match &*self.cause.lock() {
            Some(cause) => cause
                .clone()
                .with_kind(ErrorKind::Poisoned)
                .context("writes are refused until the database is reopened"),
            None => Error::new(ErrorKind::Poisoned, "writes are refused until the database is reopened"),
        }
    }

    /// The cause of an unhealthy state.
    pub fn error(&self) -> Option<Error> {
        self.cause.lock().clone()
    }

    /// Whether the state is final.
    pub fn is_poisoned(&self) -> bool {
        self.state.load(Ordering::Relaxed) == POISONED
    }

    /// A background job failed and will be tried again.
    pub fn failing(&self, error: &Error) {
        let mut cause = self.cause.lock();
        if self.state.load(Ordering::Relaxed) != POISONED {
            *cause = Some(error.clone());
            self.state.store(RESUMABLE, Ordering::Relaxed);
        }
    }

    /// An outcome is unknown. The first cause is kept.
    pub fn poison(&self, error: &Error) {
        let mut cause = self.cause.lock();
        if self.state.swap(POISONED, Ordering::Relaxed) != POISONED {
            *cause = Some(error.clone());
        }
    }

    /// A job succeeded again, or the application asks to try again. Poison stays.
    pub fn recovered(&self) {
        let mut cause = self.cause.lock();
        if self.state.load(Ordering::Relaxed) == RESUMABLE {
            *cause = None;
            self.state.store(HEALTHY, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poison_stays_and_keeps_its_first_cause() {
        let health = Health::default();
        health.failing(&Error::invalid("first"));
        assert!(health.error().is_some() && health.check_writable().is_ok());
        health.recovered();
        assert!(health.error().is_none());
        health.poison(&Error::invalid("second"));
        health.poison(&Error::invalid("third"));
        health.recovered();
        let error = health.check_writable().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        assert!(error.message().contains("second"));
    }
}
