//! What is committed: one operation, or a whole batch; the same bytes in the log either way.
//!
//! Checksums are computed when a payload is made, outside the commit lock; a single operation is never copied on its way to
//! the log.

use crate::batch::{MAX_PREFIX_BYTES, Operation, WriteBatch};
use crate::error::Result;
use crate::key::Sequence;
use crate::record::payload_checksum;
use crate::wal::LogWriter;
#[cfg(feature = "arrow")]
use {crate::batch::PreparedRows, crate::key::CollectionId, std::sync::Arc};

/// Operations ready to be committed.
pub trait Payload {
    /// How many there are.
    fn count(&self) -> u32;

    /// Appends them to the log as one record that begins at `first`.
    fn append_to(&self, log: &mut LogWriter, first: Sequence) -> Result<()>;

    /// The rows of its operations on tables, in order, and whose they are.
    #[cfg(feature = "arrow")]
    fn rows(&self) -> &[(CollectionId, Arc<PreparedRows>)] {
        &[]
    }

    /// Calls `step` for each, in order, with the operation that is some way ahead, if there is one.
    fn for_each<'a>(&'a self, step: impl FnMut(Operation<'a>, Option<Operation<'a>>));
}

/// One operation, with its encoding's front part.
pub struct One<'a> {
    operation: Operation<'a>,
    prefix: [u8; MAX_PREFIX_BYTES],
    prefix_len: usize,
    checksum: u32,
}

fn put_varint(out: &mut [u8; MAX_PREFIX_BYTES], at: &mut usize, mut value: u64) {
    while value >= 0x80 {
        out[*at] = value as u8 | 0x80;
        value >>= 7;
        *at += 1;
    }
    out[*at] = value as u8;
    *at += 1;
}

impl<'a> One<'a> {
    /// Encodes the operation. Requires: its sizes were checked.
    #[inline]
    pub fn new(operation: Operation<'a>) -> Self {
        let mut prefix = [0; MAX_PREFIX_BYTES];
        prefix[0] = operation.kind as u8;
        let mut prefix_len = 1;
        put_varint(&mut prefix, &mut prefix_len, u64::from(operation.collection.0));
        put_varint(&mut prefix, &mut prefix_len, operation.key.len() as u64);
        put_varint(&mut prefix, &mut prefix_len, operation.value.len() as u64);
        let checksum = payload_checksum(&[&prefix[..prefix_len], operation.key, operation.value]);
        Self { operation, prefix, prefix_len, checksum }
    }
}

impl Payload for One<'_> {
    fn count(&self) -> u32 {
        1
    }

    #[inline]
    fn append_to(&self, log: &mut LogWriter, first: Sequence) -> Result<()> {
        let parts = [&self.prefix[..self.prefix_len], self.operation.key, self.operation.value];
        log.append(first, 1, &parts, self.checksum)
    }

    #[inline]
    fn for_each<'a>(&'a self, mut step: impl FnMut(Operation<'a>, Option<Operation<'a>>)) {
        step(self.operation, None);
    }
}

/// How far ahead of an insert its hash slot is asked for: several cache misses' worth of inserts.
const OPERATIONS_AHEAD: usize = 8;

/// A batch and its checksum.
pub struct Many<'a> {
    batch: &'a WriteBatch,
    checksum: u32,
}

impl<'a> Many<'a> {
    /// Computes the checksum. Requires: the batch is not empty.
    pub fn new(batch: &'a WriteBatch) -> Self {
        Self { batch, checksum: payload_checksum(&[batch.as_bytes()]) }
    }
}

impl Payload for Many<'_> {
    fn count(&self) -> u32 {
        self.batch.len() as u32
    }

    fn append_to(&self, log: &mut LogWriter, first: Sequence) -> Result<()> {
        log.append(first, self.count(), &[self.batch.as_bytes()], self.checksum)
    }

    #[cfg(feature = "arrow")]
    fn rows(&self) -> &[(CollectionId, Arc<PreparedRows>)] {
        self.batch.rows()
    }

    fn for_each<'a>(&'a self, mut step: impl FnMut(Operation<'a>, Option<Operation<'a>>)) {
        // A batch holds only what it encoded itself: nothing is left out.
        let mut ahead = self.batch.iter().flatten().skip(OPERATIONS_AHEAD);
        self.batch.iter().flatten().for_each(|operation| step(operation, ahead.next()));
    }
}
