//! The codecs of value regions: LZ4 and Zstd, with their working memory kept for the next block.
//!
//! Called by the block builder (encode) and at the load of a block (decode). Promises: decoding yields exactly the expected
//! number of bytes or fails; it never writes beyond them.

use super::super::Compression;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;

/// The Zstd level: the fastest of the regular ones, still a third smaller than LZ4 on typical values.
const ZSTD_LEVEL: i32 = 1;

/// A compressed region must save at least one part in this many, or it is stored as it is.
const GAIN_MIN: usize = 16;

/// Compresses value regions, one after the other.
pub struct Encoder {
    compression: Compression,
    buffer: Vec<u8>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Encoder {
    /// An encoder for `compression`. Fails if the codec cannot get its memory.
    pub fn new(compression: Compression) -> Result<Self> {
        let zstd = match compression {
            Compression::Zstd => Some(
                zstd::bulk::Compressor::new(ZSTD_LEVEL)
                    .map_err(|cause| Error::new(ErrorKind::NoMemory, format!("zstd: {cause}")))?,
            ),
            Compression::None | Compression::Lz4 => None,
        };
        Ok(Self { compression, buffer: Vec::new(), zstd })
    }

    /// `region` as it is best stored: compressed if that pays.
    pub fn encode<'a>(&'a mut self, region: &'a [u8]) -> (Compression, &'a [u8]) {
        let bound = match self.compression {
            Compression::None => return (Compression::None, region),
            Compression::Lz4 => lz4_flex::block::get_maximum_output_size(region.len()),
            Compression::Zstd => zstd::zstd_safe::compress_bound(region.len()),
        };
        if self.buffer.len() < bound {
            self.buffer.resize(bound, 0);
        }
        // An encoder that fails leaves the region uncompressed, which is always right.
        let len = match &mut self.zstd {
            None => lz4_flex::block::compress_into(region, &mut self.buffer).ok(),
            Some(zstd) => zstd.compress_to_buffer(region, &mut self.buffer[..]).ok(),
        };
        match len {
            Some(len) if len + region.len() / GAIN_MIN < region.len() => (self.compression, &self.buffer[..len]),
            _ => (Compression::None, region),
        }
    }
}

/// Decompresses value regions; shared by the readers of one file.
#[derive(Default)]
pub struct Decoder {
    /// One idle context: making one costs more than decoding a block. A second reader at the same moment makes its own.
    zstd: Mutex<Option<zstd::bulk::Decompressor<'static>>>,
}

impl Decoder {
    /// Fills `out` with the decoded `stored`; false if that is not what it decodes to.
    pub fn decode(&self, compression: Compression, stored: &[u8], out: &mut [u8]) -> bool {
        match compression {
            Compression::None => {
                let fits = stored.len() == out.len();
                if fits {
                    out.copy_from_slice(stored);
                }
                fits
            }
            Compression::Lz4 => lz4_flex::block::decompress_into(stored, out).is_ok_and(|len| len == out.len()),
            Compression::Zstd => {
                let idle = self.zstd.lock().take();
                let Some(mut zstd) = idle.or_else(|| zstd::bulk::Decompressor::new().ok()) else { return false };
                let decoded = zstd.decompress_to_buffer(stored, out).is_ok_and(|len| len == out.len());
                *self.zstd.lock() = Some(zstd);
                decoded
            }
        }
    }
}
