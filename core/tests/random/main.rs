//! Random work under an oracle: operations and rows against plain maps, on one thread and a seed, and many threads against what any of them
//! may see.
//!
//! A module for each oracle; docs/testing.md says what each is for.

#[path = "../profile/mod.rs"]
mod profile;

mod concurrent;
mod model;
mod table_oracle;
