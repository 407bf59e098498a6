//! Import: what other engines wrote comes in.
//!
//! Called by applications, through methods of [`Db`](crate::db::Db). Promises: the source is only read, and every checksum in it verified; all of
//! it becomes one file of the target in one step.

pub mod leveldb;
mod progress;

pub use leveldb::{LevelDbImport, LevelDbImported};
pub use progress::ImportProgress;
