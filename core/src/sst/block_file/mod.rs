//! The block file: sorted entries in flat blocks, with an index, a filter and properties. The format is in `FORMAT.md`.
#![doc = include_str!("FORMAT.md")]

mod block;
mod block_builder;
mod codec;
mod cursor;
mod footer;
mod index;
mod many;
mod output;
mod part;
mod properties;
mod reader;
mod whereabouts;
mod writer;

#[cfg(test)]
mod tests;

pub use block::Block;
pub use cursor::SstCursor;
pub use many::{GROUP_KEYS, Sought};
pub use part::{SstPart, SstPartBuilder};
pub use properties::Properties;
pub use reader::SstReader;
pub use writer::SstWriter;

#[cfg(feature = "arrow")]
pub(super) use block::checksum_at;
#[cfg(feature = "arrow")]
pub(super) use codec::Decoder;
#[cfg(feature = "arrow")]
pub(super) use output::Output;
#[cfg(feature = "arrow")]
pub(super) use properties::HASH_VERSION;

/// The bits of `features_incompatible` that this version understands: none yet.
const FEATURES_UNDERSTOOD: u64 = 0;
