//! Flush: frozen memtables become one immutable file.
//!
//! [`FlushScheduler`] says whose turn it is, [`pick_together`] who goes along, [`run`] does it, [`write_run`] is the part that compaction shares; of tables
//! `write_row_run`. [`pick_for_memory`] says who goes first when memory is short, [`pace`] how much writers are slowed down until then.

mod budget;
mod job;
mod output;
mod pace;
mod ranges;
#[cfg(feature = "arrow")]
mod row_output;
mod scheduler;
mod share;
mod together;

pub use budget::{MemtableUse, grant_bytes, pick_for_memory, room_bytes};
pub use job::{FlushInput, run};
pub use output::{Incoming, JobTarget, RunOutput, RunTarget, write_run, write_run_of};
pub use pace::{Debt, Pace, pace};
#[cfg(feature = "arrow")]
pub use row_output::{RowRunTarget, write_row_run};
pub use scheduler::FlushScheduler;
pub use together::{Waiting, pick_together};
