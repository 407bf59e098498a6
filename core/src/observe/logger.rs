//! Events as lines of an application's log, each with a level.
//!
//! A [`Logger`] gets every event from its level on, as [`queue`](super::EventQueue) hands them on.

use super::{Event, EventKind, StallCause};
use std::sync::Arc;

/// How much an event matters. Numbers are frozen: the C ABI uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Level {
    /// Steps of what goes on in the background: jobs that begin, files that come and go.
    Debug = 1,
    /// What was done: flushes, merges, recoveries, collections created and dropped; and small delays of writers.
    Info = 2,
    /// What somebody should look at before it hurts: writers were stopped, the disk is slow or nearly full.
    Warn = 3,
    /// Something failed.
    Error = 4,
}

impl Level {
    /// Every level, in order.
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// The name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One event for a log.
#[derive(Debug)]
pub struct LogLine<'a> {
    /// How much it matters.
    pub level: Level,
    /// The event in one line, without a line end, a time or the level.
    pub text: &'a str,
    /// The event itself.
    pub event: &'a Event,
}

/// Receives lines, one at a time, in order, on the library's own thread. Must not panic; may take its time.
pub type Logger = Arc<dyn Fn(&LogLine<'_>) + Send + Sync>;

impl Event {
    /// How much it matters.
    pub fn level(&self) -> Level {
        match self.kind {
            EventKind::MemtableSealed
            | EventKind::FlushBegin
            | EventKind::CompactionBegin
            | EventKind::LogCreated
            | EventKind::LogDeleted
            | EventKind::LogArchived
            | EventKind::FileDeleted
            | EventKind::ManifestCreated => Level::Debug,
            EventKind::FlushDone
            | EventKind::CompactionDone
            | EventKind::RecoveryBegin
            | EventKind::RecoveryDone
            | EventKind::ColumnFamilyCreated
            | EventKind::ColumnFamilyDropped
            | EventKind::TableCreated
            | EventKind::TableDropped
            | EventKind::TableAltered => Level::Info,
            EventKind::StallBegin | EventKind::StallEnd => {
                let stops = [StallCause::FrozenMemtables, StallCause::MemoryBudget];
                if stops.iter().any(|cause| cause.name() == self.detail) { Level::Warn } else { Level::Info }
            }
            EventKind::SlowDisk | EventKind::LowDisk => Level::Warn,
            EventKind::BackgroundError | EventKind::FileBroken | EventKind::LogSkipped => Level::Error,
        }
    }
}

/// Calls a logger, if the event is of its level.
pub(super) fn log(least: Level, logger: &Logger, event: &Event) {
    let level = event.level();
    if level >= least {
        // An error may quote what it found in a file.
        let text = event.to_string().replace(char::is_control, " ");
        logger(&LogLine { level, text: &text, event });
    }
}
