//! Files of rows in Parquet: readable by everyone, verified and indexed for us.
//!
//! Called through the row file's writer and reader. The Parquet crate encodes and decodes; this module decides how, and gives it
//! only bytes that were checked.
#![doc = include_str!("FORMAT.md")]

mod columns;
mod decode;
mod metadata;
mod pages;
mod properties;
mod reader;
mod scan;
mod sink;
mod tail;
mod types;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use properties::check_schema;
pub use reader::ParquetReader;
pub use writer::ParquetWriter;
