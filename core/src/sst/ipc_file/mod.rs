//! Rows in Arrow IPC files, which any Arrow library reads without decoding. The format is in `FORMAT.md`.
#![doc = include_str!("FORMAT.md")]

mod decode;
mod footer;
mod layout;
mod piece;
mod reader;
mod scan;
mod sink;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::IpcFileReader;
pub use writer::IpcFileWriter;

/// Rows of a batch; the last batch of a file has fewer, and so has one that would take too much memory.
pub const BATCH_ROWS: usize = 65_536;

/// The file beside the data that holds the index.
pub const INDEX_NAME: &str = "index.sst";
