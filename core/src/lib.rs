//! sstore: an embedded LSM storage engine.
//!
//! The modules below stand in layer order: a module uses only modules declared above it. `cargo xtask layers` checks that.
#![doc(html_no_source)]

pub mod error;

pub mod coding;

pub mod key;

pub mod epoch;

pub mod env;

pub mod observe;

pub mod cache;

pub mod cache;

pub mod filter;

pub mod iter;

pub mod batch;

pub mod memtable;

pub mod sst;

pub mod merge;

pub mod version;

pub mod flush;

pub mod compaction;
