//! Where the Parquet crate writes: bytes pass on to the output, under the strides' checksums, until the tail begins.
//!
//! Called by the writer. The tail is gathered in memory, since the checksum of the whole of it stands inside it.

use super::super::output::Output;
use super::super::row_file::StrideSums;
use super::tail;
use crate::error::Result;
use std::io;

/// The growing file, as the Parquet crate sees it.
pub struct Sink {
    output: Output,
    strides: StrideSums,
    /// Set when the rows are all written.
    tail: Option<Vec<u8>>,
}

impl Sink {
    /// Writes to `output`, which must be at its beginning.
    pub fn new(output: Output, strides: StrideSums) -> Self {
        Self { output, strides, tail: None }
    }

    /// What is written from now on is tail. Returns the checksums of the strides before it.
    pub fn begin_tail(&mut self) -> Vec<u32> {
        self.tail = Some(Vec::new());
        self.strides.take()
    }

    /// The error that made a write fail, if one did.
    pub fn failure(&mut self) -> Result<()> {
        self.output.settle().map(drop)
    }

    /// Seals the tail and writes it. Returns the file's size and the tail's checksum.
    pub fn finish(&mut self) -> Result<(u64, u32)> {
        let mut tail = self.tail.take().unwrap_or_default();
        let checksum = tail::seal(&mut tail)?;
        self.output.write(&tail)?;
        let (size_bytes, _) = self.output.settle()?;
        Ok((size_bytes, checksum))
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tail {
            Some(tail) => tail.extend_from_slice(bytes),
            None => {
                self.strides.update(bytes);
                self.output.write(bytes).map_err(io::Error::other)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
