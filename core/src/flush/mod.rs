//! Flush: frozen memtables become one immutable file.
//!
//! [`FlushScheduler`] says whose turn it is, [`run`] does it, [`write_run`] is the part that compaction shares; of tables
//! `write_row_run`.

mod job;
mod output;
#[cfg(feature = "arrow")]
mod row_output;
mod scheduler;

pub use job::{FlushInput, run};
pub use output::{JobTarget, RunOutput, RunTarget, write_run};
#[cfg(feature = "arrow")]
pub use row_output::{RowRunTarget, write_row_run};
pub use scheduler::FlushScheduler;
