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

/// Bytes read and checked at a time, if no stride is longer: what stays in a core's own cache until it is checked.
const PIECE_BYTES: u64 = 256 << 10;

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
        if wanted.is_none() {
            let message = format!("no memory to read {} bytes", end - start);
            return Err(Error::new(ErrorKind::NoMemory, message).at(self.path(), start));
        }
        let mut next = touched.start;
        while next < touched.end {
            let piece_start = self.strides.place(next).start;
            let piece_strides = next..touched.end;
            let fits = |&index: &usize| index == next || self.strides.place(index).end - piece_start <= PIECE_BYTES;
            let piece_strides = next..next + piece_strides.take_while(fits).count();
            let have = bytes.len();
            bytes.resize((self.strides.place(piece_strides.end - 1).end - start) as usize, 0);
            read_exact_at(&*self.file, &mut bytes[have..], piece_start)?;
            next = piece_strides.end;
            self.check(piece_strides, &bytes[have..])?;
        }
        // In bounds: the strides touched cover the range.
        Ok(Buffer::from(bytes).slice_with_length((range.start - start) as usize, (range.end - range.start) as usize))
    }

    /// Checks the bytes of some strides.
    fn check(&self, strides: Range<usize>, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        for index in strides {
            let place = self.strides.place(index);
            let (stride, behind) = rest.split_at((place.end - place.start) as usize);
            if !self.strides.matches(index, self.number, stride) {
                let message = "bytes of a table do not match their checksum";
                return Err(Error::corruption(self.path(), place.start, message));
            }
            rest = behind;
        }
        Ok(())
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
