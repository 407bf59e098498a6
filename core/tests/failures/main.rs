//! Calls to the file system that fail, stop short or find no space, while the database is open: what is told, what goes on, and that nothing
//! acknowledged is lost.
//!
//! A module for each way to fail; docs/testing.md says what each is for.

#[path = "../profile/mod.rs"]
mod profile;
#[path = "../silent/mod.rs"]
mod silent;

mod atomic_flush;
mod fault_table;
mod faults;
mod raw_calls;
mod regressions;
mod single_faults;
mod space;
