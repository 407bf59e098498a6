//! The footer of an Arrow IPC file: where its batches lie.
//!
//! Called by the reader at open. Promises: the batches lie in the file before the footer, in order and apart.

use super::super::row_file::VerifiedFile;
use super::layout::{BatchLayout, MESSAGE_PREFIX_BYTES};
use crate::error::{Error, Result};
use std::sync::OnceLock;

/// The footer's length and the magic after it.
const TRAILER_BYTES: u64 = 10;

/// Where a batch lies, and where its columns lie once somebody asked.
pub struct Batch {
    pub offset: u64,
    pub metadata_bytes: u64,
    pub body_bytes: u64,
    pub layout: OnceLock<BatchLayout>,
}

/// Where the batches lie, from the verified footer.
pub fn read_footer(data: &VerifiedFile) -> Result<Vec<Batch>> {
    let end = data.end();
    let bad = |message: &str| Error::corruption(data.path(), end, message);
    let footer_end = end.checked_sub(TRAILER_BYTES).ok_or_else(|| bad("table is shorter than its trailer"))?;
    // The last stride holds the whole footer of most files: one read.
    let last = data.last_stride();
    let mut tail = data.read(last.clone())?;
    let mut tail_start = last.start;
    if footer_end < tail_start {
        return Err(bad("table whose trailer is cut in two"));
    }
    let trailer = &tail[(footer_end - tail_start) as usize..];
    let len = trailer.first_chunk::<4>().and_then(|len| u64::try_from(i32::from_le_bytes(*len)).ok());
    let start = len.and_then(|len| footer_end.checked_sub(len));
    let (Some(start), true) = (start, trailer[4..] == *b"ARROW1") else {
        return Err(bad("table without the trailer of an Arrow IPC file"));
    };
    if start < tail_start {
        tail = data.read(start..end)?;
        tail_start = start;
    }
    let footer = &tail[(start - tail_start) as usize..(footer_end - tail_start) as usize];
    let footer = arrow_ipc::root_as_footer(footer).map_err(|_| bad("table with a malformed footer"))?;
    if footer.dictionaries().is_some_and(|dictionaries| !dictionaries.is_empty()) {
        return Err(bad("table with dictionaries"));
    }
    let mut batches = Vec::new();
    let mut end_before = 0;
    for block in footer.recordBatches().into_iter().flatten() {
        let place = || {
            let offset = u64::try_from(block.offset()).ok()?;
            let metadata_bytes = u64::try_from(block.metaDataLength()).ok()?;
            let body_bytes = u64::try_from(block.bodyLength()).ok()?;
            let end = offset.checked_add(metadata_bytes)?.checked_add(body_bytes)?;
            let fits = offset >= end_before && metadata_bytes >= MESSAGE_PREFIX_BYTES as u64 && end <= start;
            fits.then_some((end, Batch { offset, metadata_bytes, body_bytes, layout: OnceLock::new() }))
        };
        let (end, batch) = place().ok_or_else(|| bad("table whose footer names impossible batches"))?;
        end_before = end;
        batches.push(batch);
    }
    Ok(batches)
}
