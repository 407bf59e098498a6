//! Compaction: merging the runs of a collection, so that a read visits few and what nobody sees goes.
//!
//! [`pick`] decides, without doing anything; [`run`] does what was decided.

mod job;
mod pick;

pub use job::{CompactionInput, run};
pub use pick::{GROWTH, Pick, PickOptions, Reason, RunInfo, pick};
