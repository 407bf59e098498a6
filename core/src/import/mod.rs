//! Import: what other engines wrote comes in.
//!
//! Called by applications, through methods of [`Db`](crate::db::Db). Promises: the source is only read, and every checksum in it verified; the
//! target is written by the same batches as any application's.

pub mod leveldb;
mod progress;

pub use leveldb::{LevelDbImport, LevelDbImported};
pub use progress::ImportProgress;
