//! The C interface: a translation of the engine's Rust interface, one file per group of functions.
//!
//! Every function checks its pointers, calls one function of the engine and converts the result; it decides nothing. What it
//! may assume of its callers, and they of it, are the numbered conventions at the head of `include/sstore.h`, which is
//! generated from the doc comments here (see `ffi/cbindgen.toml`). All work on raw memory is in `boundary`, `handle`,
//! `bytes`, `events`, `leveldb`, `logger`, `progress`, `arrow_abi`, `arrow::import` and `arrow::export`; the other files are safe code.
//!
//! The functions of tables are always there. Without the feature `arrow` they take over and release what they are given as ever,
//! and answer that they are not supported.
#![allow(unsafe_code)] // exported names are `unsafe` attributes; blocks occur only in the modules named above
#![allow(non_camel_case_types)] // names are those of the header
#![allow(clippy::missing_safety_doc)] // the conventions of the header are the safety contract of every function
#![allow(clippy::too_many_arguments)]
// C has no optional ones
// Without tables the bodies of their functions are left out, and with them all uses of what these were given.
#![cfg_attr(not(feature = "arrow"), allow(unused, clippy::no_effect))]

mod handle;
pub mod status;

#[macro_use]
mod boundary;
pub mod arrow_abi;
pub mod bytes;
pub mod version;

// In the order of the header, which is the life of a database; rustfmt sorts what no blank line parts.

pub mod options;

pub mod events;
pub mod logger;

pub mod open;

pub mod refresh;

pub mod column_family;

pub mod write;

pub mod batch;

pub mod get;

pub mod snapshot;

pub mod iterator;

pub mod flush;

#[cfg(feature = "arrow")]
mod arrow;
pub mod table;

pub mod table_rows;

pub mod row_builder;

pub mod filter;

pub mod scan;

pub mod splits;

pub mod segments;

pub mod progress;

pub mod files;

pub mod stats;

pub mod memory;

pub mod log_limit;

pub mod repair;

pub mod leveldb;

#[cfg(all(test, not(feature = "arrow")))]
mod without_tables;
