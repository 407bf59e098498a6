//! Where the Parquet crate writes: bytes pass on to the output, cut into strides, until the tail begins.
//!
//! Called by the writer. The tail is gathered in memory, since the checksum of the whole of it stands inside it.

use super::super::row_file::{StridedOutput, Strides};
use super::tail;
use crate::error::{Error, Result};
use std::io;

/// The length of strides. Shorter than they may be: a lookup reads single pages, and whole strides with them.
const STRIDE_BYTES: u64 = 16 << 10;

/// The growing file, as the Parquet crate sees it.
pub struct Sink {
    output: StridedOutput,
    /// Bytes since the last cut.
    uncut: u64,
    /// Set when the rows are all written.
    tail: Option<Vec<u8>>,
}

impl Sink {
    /// Writes to `output`, which must be at its beginning.
    pub fn new(output: StridedOutput) -> Self {
        Self { output, uncut: 0, tail: None }
    }

    /// Ends the stride here.
    pub fn cut(&mut self) {
        self.output.cut();
        self.uncut = 0;
    }

    /// What is written from now on is tail. Returns where it begins, and the checksums of the strides before it.
    pub fn begin_tail(&mut self) -> (u64, Strides) {
        self.tail = Some(Vec::new());
        (self.output.offset(), self.output.begin_tail())
    }

    /// Why the encoder failed.
    pub fn failure(&mut self, encoder: impl std::fmt::Display) -> Error {
        self.output.failure(encoder)
    }

    /// Seals the tail, writes it and makes the file durable. Returns the file's size and the tail's checksum.
    pub fn finish(mut self) -> Result<(u64, u32)> {
        let mut tail = self.tail.take().unwrap_or_default();
        tail::seal(&mut tail)?;
        self.output.append(&tail)?;
        self.output.finish()
    }

    fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = (STRIDE_BYTES - self.uncut).min(bytes.len() as u64) as usize;
            let (now, later) = bytes.split_at(room);
            self.output.append(now)?;
            self.uncut += room as u64;
            if self.uncut == STRIDE_BYTES {
                self.cut();
            }
            bytes = later;
        }
        Ok(())
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tail {
            Some(tail) => tail.extend_from_slice(bytes),
            None => self.append(bytes).map_err(|error| io::Error::other(error.message().to_owned()))?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
