//! Flush: frozen memtables become one immutable file.
//!
//! [`FlushScheduler`] says whose turn it is, [`run`] does it, [`write_run`] is the part that compaction shares.

mod job;
mod output;
mod scheduler;

pub use job::{FlushInput, run};
pub use output::{RunOutput, RunTarget, write_run};
pub use scheduler::FlushScheduler;
