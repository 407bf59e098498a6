//! Reads ranges of a file and verifies them before anyone else sees them.
//!
//! Called by the readers of both formats. Promises: every byte handed out matched the checksum of its stride; no more memory is
//! asked for than the file has bytes.

use super::strides::Strides;
use crate::env::{File, read_exact_at};
use crate::error::{Error, ErrorKind, Result};
use arrow_buffer::Buffer;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Bytes read at a time by [`VerifiedFile::verify`].
const VERIFY_BYTES: u64 = 1 << 20;

/// A file whose bytes from 0 to the end of its strides can be read. All methods may be called from any thread.
pub struct VerifiedFile {
    file: Arc<dyn File>,
    number: u64,
    strides: Strides,
}

impl VerifiedFile {
    /// File `number`, at least as long as its strides say: anything shorter is Corruption.
    pub fn new(file: Arc<dyn File>, number: u64, strides: Strides) -> Result<Self> {
        let len = file.len()?;
        if len < strides.end() {
            let message = format!("table is {len} bytes, its checksums cover {}", strides.end());
            return Err(Error::corruption(file.path(), len, message));
        }
        Ok(Self { file, number, strides })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The file itself, for what its strides do not cover.
    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Where the covered bytes end.
    pub fn end(&self) -> u64 {
        self.strides.end()
    }

    /// Where the last stride lies; empty if there is none.
    pub fn last_stride(&self) -> Range<u64> {
        self.strides.len().checked_sub(1).map_or(0..0, |last| self.strides.place(last))
    }

    /// Bytes that it holds in memory.
    pub fn resident_bytes(&self) -> usize {
        self.strides.resident_bytes()
    }

    /// The bytes of `range`. Corruption if they do not match their checksums or the range ends beyond them; NoMemory if there is
    /// no room. Reads whole strides: a range that begins and ends at cuts costs no byte more.
    pub fn read(&self, range: Range<u64>) -> Result<Buffer> {
        if range.start > range.end || range.end > self.strides.end() {
            let message = format!("table names bytes {} to {} of {}", range.start, range.end, self.strides.end());
            return Err(Error::corruption(self.path(), range.start, message));
        }
        let touched = self.strides.touched(&range);
        if touched.is_empty() {
            return Ok(Buffer::from(Vec::<u8>::new()));
        }
        let start = self.strides.place(touched.start).start;
        let end = self.strides.place(touched.end - 1).end;
        let mut bytes = Vec::new();
        let wanted = usize::try_from(end - start).ok().filter(|&wanted| bytes.try_reserve_exact(wanted).is_ok());
        let Some(wanted) = wanted else {
            let message = format!("no memory to read {} bytes", end - start);
            return Err(Error::new(ErrorKind::NoMemory, message).at(self.path(), start));
        };
        bytes.resize(wanted, 0);
        read_exact_at(&*self.file, &mut bytes, start)?;
        for index in touched {
            let place = self.strides.place(index);
            let content = &bytes[(place.start - start) as usize..(place.end - start) as usize];
            if !self.strides.matches(index, self.number, content) {
                return Err(Error::corruption(
                    self.path(),
                    place.start,
                    "bytes of a table do not match their checksum",
                ));
            }
        }
        // In bounds: the strides touched cover the range.
        Ok(Buffer::from(bytes).slice_with_length((range.start - start) as usize, (range.end - range.start) as usize))
    }

    /// Checks every covered byte, from disk.
    pub fn verify(&self) -> Result<()> {
        let mut offset = 0;
        while offset < self.end() {
            let end = self.end().min(offset + VERIFY_BYTES);
            self.read(offset..end)?;
            offset = end;
        }
        Ok(())
    }
}
