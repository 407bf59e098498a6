//! The sources of a read: where a key is looked up, in which order, and how many sources become one iterator.
//!
//! Called by `db` with a pinned view. Order: the active memtable, frozen ones newest first, runs newest first; the first
//! version at or below the snapshot decides, be it a value or a tombstone.

#[cfg(feature = "arrow")]
pub mod filter;
mod get;
mod iterator;
mod many;
#[cfg(feature = "arrow")]
mod rows;
#[cfg(feature = "arrow")]
pub mod scan;
mod source;
#[cfg(feature = "arrow")]
pub mod split;

pub use get::{Answer, get};
pub use iterator::VisibleCursor;
pub use many::get_many;
#[cfg(feature = "arrow")]
pub use rows::{RowProjection, get_row};
