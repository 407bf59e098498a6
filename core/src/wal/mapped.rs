//! The back end that stores through a shared mapping: no system call, no lock and no allocation per record.
//!
//! A store can not fail: the space was reserved when the segment was made. Padding needs no store, as the segment starts as zeros.

use super::backend::{Store, StoreError};
use crate::env::Mapping;
use crate::error::Result;
use crate::record::HEADER_BYTES;

/// Stores through a mapping of the whole segment.
pub(super) struct MappedStore {
    mapping: Box<dyn Mapping>,
    capacity: u64,
}

impl MappedStore {
    pub fn new(mapping: Box<dyn Mapping>, capacity: u64) -> Self {
        Self { mapping, capacity }
    }
}

impl Store for MappedStore {
    #[inline]
    fn store(
        &self,
        offset: u64,
        header: &[u8; HEADER_BYTES],
        parts: &[&[u8]],
        _record_bytes: u64,
    ) -> std::result::Result<(), StoreError> {
        let mut at = offset + HEADER_BYTES as u64;
        for part in parts {
            self.mapping.store(at, part);
            at += part.len() as u64;
        }
        // The header last: a process that dies in between leaves no header without its payload.
        self.mapping.store(offset, header);
        Ok(())
    }

    fn populate(&self, offset: u64, len: u64) -> Result<()> {
        let len = len.min(self.capacity.saturating_sub(offset));
        if len == 0 { Ok(()) } else { self.mapping.populate(offset, len) }
    }
}
