//! The back end that writes: one system call per record, for file systems where a shared mapping is no good.

use super::backend::{Store, StoreError};
use crate::env::{Call, File};
use crate::error::{Error, Result};
use crate::lock::Mutex;
use crate::record::HEADER_BYTES;
use std::sync::Arc;

/// A scratch buffer that one large record made longer than this is given back.
const KEPT_SCRATCH_BYTES: usize = 1 << 20;

/// Writes whole records, assembled in a buffer that is kept.
pub(super) struct WriteStore {
    file: Arc<dyn File>,
    scratch: Mutex<Vec<u8>>,
}

impl WriteStore {
    pub fn new(file: Arc<dyn File>) -> Self {
        Self { file, scratch: Mutex::new(Vec::new()) }
    }

    /// Takes back what a failed write left behind `end`, and gives what the write failed of.
    fn cut_back(&self, end: u64, error: Error) -> StoreError {
        let (call, second) = match self.file.set_len(end).map(|()| self.file.len()) {
            Ok(Ok(len)) if len == end => return StoreError { call: Call::Write, error },
            Ok(Ok(len)) => (Call::Len, format!("it is {len} bytes after it was cut to {end}")),
            Ok(Err(second)) => (Call::Len, second.to_string()),
            Err(second) => (Call::SetLen, second.to_string()),
        };
        StoreError { call, error: error.context(&format!("the record could not be taken back ({second})")) }
    }
}

impl Store for WriteStore {
    fn store(
        &self,
        offset: u64,
        header: &[u8; HEADER_BYTES],
        parts: &[&[u8]],
        record_bytes: u64,
    ) -> std::result::Result<(), StoreError> {
        let mut scratch = self.scratch.lock();
        scratch.clear();
        scratch.extend_from_slice(header);
        for part in parts {
            scratch.extend_from_slice(part);
        }
        scratch.resize(record_bytes as usize, 0);
        let written = self.file.write_at(&scratch, offset);
        if scratch.capacity() > KEPT_SCRATCH_BYTES {
            *scratch = Vec::new();
        }
        written.map_err(|error| self.cut_back(offset, error))
    }

    fn populate(&self, _offset: u64, _len: u64) -> Result<()> {
        Ok(())
    }
}
