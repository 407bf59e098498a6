//! How bytes get into a segment: the trait that the two back ends share, and the choice between them.
//!
//! Used by the writer. Both back ends leave the same file; only their costs differ.

use super::LogBackend;
use super::mapped::MappedStore;
use super::write::WriteStore;
use crate::env::{Call, File};
use crate::error::{Error, Result};
use crate::record::HEADER_BYTES;
use std::sync::Arc;

/// A store that failed.
pub(super) struct StoreError {
    /// A failed write was taken back, and the segment is as it was before. After any other call it is not known what the segment holds.
    pub call: Call,
    pub error: Error,
}

/// Puts records into one segment. One thread at a time stores.
pub(super) trait Store: Send + Sync {
    /// Stores a record at `offset`, the end of the segment: its header, the concatenation of `parts`, zeros for the rest of
    /// `record_bytes`. Requires: it fits.
    fn store(
        &self,
        offset: u64,
        header: &[u8; HEADER_BYTES],
        parts: &[&[u8]],
        record_bytes: u64,
    ) -> std::result::Result<(), StoreError>;

    /// Prepares the range for stores, as far as that helps.
    fn populate(&self, offset: u64, len: u64) -> Result<()>;
}

/// The back end for a segment of `capacity` bytes: the one asked for, or writes where files cannot be mapped.
pub(super) fn open(file: &Arc<dyn File>, backend: LogBackend, capacity: u64) -> Result<Box<dyn Store>> {
    if backend == LogBackend::Mapped
        && let Some(mapping) = file.map(capacity)?
    {
        return Ok(Box::new(MappedStore::new(mapping, file.clone(), capacity)));
    }
    Ok(Box::new(WriteStore::new(file.clone())))
}
