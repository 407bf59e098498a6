//! Decodes rows of one row group: tells which bytes the Parquet decoder needs, reads and verifies them, and hands them over.
//!
//! Called by scans and lookups. The decoder does no I/O of its own; every byte that it sees was checked, and so are the headers of
//! pages. Promises: what a forger put under right checksums is an error, also where the Parquet crate panics over it.

use super::super::row_file::VerifiedFile;
use super::pages::check_pages;
use crate::error::{Error, Result};
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use bytes::Bytes;
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, RowGroupSelection, RowSelection, RowSelectionPolicy};
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};
use parquet::errors::ParquetError;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Ranges that lie closer than this are read at once: the strides between them would be read anyway.
const GAP_BYTES: u64 = 64 << 10;

/// One read takes no more than this, unless one range alone is longer.
const READ_BYTES: u64 = 8 << 20;

/// The rows of one row group, decoded batch by batch.
pub struct GroupDecoder {
    file: Arc<VerifiedFile>,
    /// None after it panicked.
    decoder: Option<ParquetPushDecoder>,
    /// What the columns of the group take in memory.
    payload_bytes: u64,
}

impl GroupDecoder {
    /// A decoder of `rows` of row group `group`, columns `roots` (indexes of root columns), in batches of `batch_rows`. The index says
    /// that the columns of the group take `payload_bytes`.
    pub fn new(
        file: &Arc<VerifiedFile>,
        metadata: &ArrowReaderMetadata,
        group: usize,
        rows: Range<usize>,
        roots: &[usize],
        batch_rows: usize,
        payload_bytes: u64,
    ) -> Result<Self> {
        let group_rows = metadata.metadata().row_group(group).num_rows() as usize;
        let selection = (rows != (0..group_rows))
            .then(|| RowSelection::from_consecutive_ranges(std::iter::once(rows.clone()), group_rows));
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots.iter().copied());
        let decoder = ParquetPushDecoderBuilder::new_with_metadata(metadata.clone())
            .with_row_group_selections(vec![RowGroupSelection::new(group, selection)])
            .with_row_selection_policy(RowSelectionPolicy::Selectors)
            .with_projection(mask)
            .with_batch_size(batch_rows.clamp(1, rows.len().max(1)))
            .build()
            .map_err(|why| undecodable(file, &why))?;
        Ok(Self { file: file.clone(), decoder: Some(decoder), payload_bytes })
    }

    /// The next rows; `None` after the last.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.guarded(ParquetPushDecoder::try_decode)? {
                DecodeResult::Data(batch) if batch.num_rows() == 0 => {}
                DecodeResult::Data(batch) => return Ok(Some(batch)),
                DecodeResult::Finished => return Ok(None),
                DecodeResult::NeedsData(ranges) => {
                    let bytes = read_ranges(&self.file, &ranges)?;
                    for (pages, place) in bytes.iter().zip(&ranges) {
                        check_pages(pages, self.payload_bytes)
                            .map_err(|why| Error::corruption(self.file.path(), place.start, why))?;
                    }
                    self.guarded(|decoder| decoder.push_ranges(ranges, bytes))?;
                }
            }
        }
    }
}

impl GroupDecoder {
    /// What the decoder answers. It is taken apart by a panic: values that no checksum and no header tells from right ones make the
    /// crate look behind the end of a buffer.
    fn guarded<T>(
        &mut self,
        decode: impl FnOnce(&mut ParquetPushDecoder) -> std::result::Result<T, ParquetError>,
    ) -> Result<T> {
        let panicked = || Error::corruption(self.file.path(), 0, "Parquet cannot be decoded: its decoder gave up");
        let Some(mut decoder) = self.decoder.take() else { return Err(panicked()) };
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            let result = decode(&mut decoder);
            (decoder, result)
        }));
        let (decoder, result) = decoded.map_err(|_| panicked())?;
        self.decoder = Some(decoder);
        result.map_err(|why| undecodable(&self.file, &why))
    }
}

/// Bytes that match their checksums and yet cannot be decoded: a bug, or a forgery.
pub fn undecodable(file: &VerifiedFile, why: &ParquetError) -> Error {
    Error::corruption(file.path(), 0, format!("Parquet cannot be decoded: {why}"))
}

/// Verified bytes, as the decoder holds them.
struct Verified(Buffer);

impl AsRef<[u8]> for Verified {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The verified bytes of each range, read in as few pieces as make sense.
fn read_ranges(file: &VerifiedFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_unstable_by_key(|&index| ranges[index].start);
    let mut found = vec![Bytes::new(); ranges.len()];
    let mut rest = order.as_slice();
    while let Some(&first) = rest.first() {
        let Range { start, mut end } = ranges[first].clone();
        let mut count = 1;
        while let Some(&next) = rest.get(count) {
            let range = &ranges[next];
            let joined = end.max(range.end);
            if range.start > end.saturating_add(GAP_BYTES) || (joined > end && joined - start > READ_BYTES) {
                break;
            }
            end = joined;
            count += 1;
        }
        let bytes = Bytes::from_owner(Verified(file.read(start..end)?));
        for &index in &rest[..count] {
            let range = &ranges[index];
            found[index] = bytes.slice((range.start - start) as usize..(range.end - start) as usize);
        }
        rest = &rest[count..];
    }
    Ok(found)
}
