//! What others may see of the engine: events as plain data and as lines of a file, counters, and histograms cheap enough to ship.
//!
//! Filled by every layer above, read by the application through [`Db`](crate::db::Db). Nothing here blocks: an event that finds
//! the queue full is dropped and counted.

mod counters;
mod event;
mod exposition;
mod journal;
mod logger;
mod queue;
mod stall;
mod timings;

pub use counters::{Counter, Counters, Histogram, HistogramSummary};
pub use event::{Event, EventKind, FlushReason};
pub use exposition::{Exposition, MetricType};
pub use journal::{EVENTS, Journal, OLD_EVENTS, UNFINISHED_EVENTS};
pub use logger::{Level, LogLine, Logger};
pub use queue::{EventQueue, Listener};
pub use stall::StallCause;
pub use timings::{Began, Timed, Timings};
