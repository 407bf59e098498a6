//! A database at work: tables end to end, writers that wait under load, what is told in events and metrics.
//!
//! A module for each; docs/testing.md says what each is for.

mod events;
mod load;
mod metrics;
mod tables;
