//! The bytes of a file in shared chunks, so that keeping an old state of it costs almost nothing.

use std::sync::Arc;

pub(super) const CHUNK_BYTES: usize = 4096;

type Chunk = [u8; CHUNK_BYTES];

/// Bytes and a length. A missing chunk is zeros; bytes past the length, in the last chunk, are zeros too.
#[derive(Clone, Default)]
pub(super) struct Content {
    chunks: Arc<Vec<Option<Arc<Chunk>>>>,
    len: u64,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let count = (buffer.len() as u64).min(self.len.saturating_sub(offset)) as usize;
        for (chunk, within, range) in pieces(offset, count) {
            match self.chunks.get(chunk).and_then(Option::as_ref) {
                Some(bytes) => buffer[range.clone()].copy_from_slice(&bytes[within..within + range.len()]),
                None => buffer[range].fill(0),
            }
        }
        count
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        let end = offset + bytes.len() as u64;
        if bytes.is_empty() {
            return;
        }
        if end > self.len {
            self.set_len(end);
        }
        let chunks = Arc::make_mut(&mut self.chunks);
        for (chunk, within, range) in pieces(offset, bytes.len()) {
            let chunk = chunks[chunk].get_or_insert_with(|| Arc::new([0; CHUNK_BYTES]));
            Arc::make_mut(chunk)[within..within + range.len()].copy_from_slice(&bytes[range]);
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let chunks = Arc::make_mut(&mut self.chunks);
        chunks.resize((len as usize).div_ceil(CHUNK_BYTES), None);
        let tail = len as usize % CHUNK_BYTES;
        if len < self.len
            && tail != 0
            && let Some(Some(last)) = chunks.last_mut()
        {
            Arc::make_mut(last)[tail..].fill(0);
        }
        self.len = len;
    }

    /// Hashes of the chunks that are not all zeros, with their numbers.
    pub(super) fn chunk_hashes(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let filled = self.chunks.iter().enumerate().filter_map(|(number, chunk)| Some((number, chunk.as_ref()?)));
        filled
            .filter(|(_, chunk)| chunk.iter().any(|byte| *byte != 0))
            .map(|(number, chunk)| (number, twox_hash::XxHash3_64::oneshot(&chunk[..])))
    }
}

/// Cuts a range of a file at the chunk bounds: chunk number, offset in it, and the range of the caller's bytes.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (usize, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset as usize + done;
        let within = at % CHUNK_BYTES;
        let count = (CHUNK_BYTES - within).min(len - done);
        let piece = (at / CHUNK_BYTES, within, done..done + count);
        done += count;
        (count > 0).then_some(piece)
    })
}
