//! What tables must show from outside, one named test for each property that earlier systems had: files and their names, formats,
//! codecs, zone maps, snapshots, recovery, schemas, caches, and that nothing is lost between a memtable and its file.
//! docs/testing.md says which test stands for which property; `core/tests/mutants.toml` says how each was seen to fail.
#![cfg(feature = "parquet")]

mod directories;
mod expiry;
mod flush;
mod log;
mod merge;
mod parquet;
mod read;
mod rows;
mod world;
