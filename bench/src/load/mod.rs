//! Load: what writers and readers get of the machine for minutes, and what the process holds meanwhile.
//!
//! Called by `main` for the groups that are only measured when they are named: `scripts/bench load`. Databases have the default options
//! unless a measurement says otherwise, so that flushes and merges run beside what is measured.

mod memory;
mod others;
mod overwrite;
mod threads;

pub use memory::{WORK as BUDGET, child, run as memory};
pub use overwrite::run as overwrite;
pub use threads::run as threads;
