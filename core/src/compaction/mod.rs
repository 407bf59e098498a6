//! Compaction: merging the runs of a collection, so that a read visits few and what nobody sees goes.
//!
//! [`pick`] decides, without doing anything.

mod pick;

pub use pick::{GROWTH, Pick, PickOptions, Reason, RunInfo, pick};
