//! The back end that stores through a shared mapping: no system call, no lock and no allocation per record.
//!
//! A store can not fail: the space was reserved when the segment was made. Padding needs no store, as the segment starts as zeros.
//!
//! Long parts of a record are written instead. Each page that is stored to costs a fault if it was not touched ahead, and at the
//! next sync an interrupt of every processor that runs the process; a page that is written costs neither.

use super::backend::{Store, StoreError};
use crate::env::{File, Mapping};
use crate::error::Result;
use crate::record::HEADER_BYTES;
use std::sync::Arc;

/// A part of this many bytes is written. Shorter ones find their pages touched ahead by the helper, and cost the writer a copy alone.
pub(super) const WRITTEN_PART_BYTES: usize = 512 << 10;

/// Stores through a mapping of the whole segment.
pub(super) struct MappedStore {
    mapping: Box<dyn Mapping>,
    file: Arc<dyn File>,
    capacity: u64,
}

impl MappedStore {
    pub fn new(mapping: Box<dyn Mapping>, file: Arc<dyn File>, capacity: u64) -> Self {
        Self { mapping, file, capacity }
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
            // What was refused, or written in part, is stored after all.
            if part.len() < WRITTEN_PART_BYTES || self.file.write_at(part, at).is_err() {
                self.mapping.store(at, part);
            }
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
