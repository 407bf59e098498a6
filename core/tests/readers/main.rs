//! Who reads beside a writer, or without one: databases open for reading and brought up to date, splits of a scan, exports, files without
//! a database.
//!
//! A module for each; docs/testing.md says what each is for.

mod export;
mod follow;
mod follow_tables;
mod splits;
mod standalone_files;
