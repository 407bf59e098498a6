//! Writes a Parquet row file from chunks of rows in order.
//!
//! Called through the writer of row files by flush and compaction. Rows are handed to the encoder up to where a page of the key
//! index ends, so that pages of flat columns cover the same rows. Memory: one row group, encoded.

use super::super::SstIdentity;
use super::super::row_file::{IndexBuilder, RowFileOptions, RowFileSummary, StridedOutput};
use super::properties::{key_value, parquet_schema, writer_properties};
use super::sink::Sink;
use super::tail::{TAIL_KEY, unsealed};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::iter::RowChunk;
use crate::schema::TableSchema;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use std::path::Path;
use std::sync::Arc;

/// Rows are handed to the encoder in pieces of about this many bytes at most: it looks at the size of a page between pieces.
const PIECE_BYTES: u64 = 8 << 20;

/// Writes one file. One thread at a time. After an error every later call fails with the same one.
pub struct ParquetWriter {
    writer: ArrowWriter<Sink>,
    index: IndexBuilder,
    options: RowFileOptions,
    group_payload_bytes: u64,
    /// Bytes of the groups that have ended, in the file.
    written: u64,
    failure: Option<Error>,
}

impl ParquetWriter {
    /// Creates the file, which must not exist yet, and a writer for it. NotSupported if Parquet has no form for a column's type.
    pub fn create(
        env: &Env,
        path: &Path,
        identity: SstIdentity,
        schema: Arc<TableSchema>,
        level: u32,
        mut options: RowFileOptions,
    ) -> Result<Self> {
        // As the index takes it; and a group that is no whole number of pages would end every one with a short page.
        options.page_rows = options.page_rows.clamp(1, 1 << 20);
        options.row_group_rows = options.row_group_rows.clamp(options.page_rows, 1 << 30);
        options.page_bytes = options.page_bytes.clamp(1 << 10, 64 << 20);
        let descriptor = parquet_schema(&schema)?;
        let properties = writer_properties(&schema, &descriptor, &identity, level, &options)?;
        let index = IndexBuilder::new(identity.clone(), schema.clone(), level, &options)?;
        let output = StridedOutput::create(env, path, identity.number.0)?;
        let arrow_options = ArrowWriterOptions::new().with_properties(properties);
        let writer = ArrowWriter::try_new_with_options(Sink::new(output), schema.stored().clone(), arrow_options)
            .map_err(|why| Error::invalid(format!("schema cannot be kept in Parquet: {why}")).in_file(path))?;
        Ok(Self { writer, index, options, group_payload_bytes: 0, written: 0, failure: None })
    }

    /// Adds rows. Requires: their columns are all user columns of the schema, in order; keys rise, versions of a key fall.
    /// Anything else is InvalidArgument.
    pub fn add(&mut self, chunk: &RowChunk) -> Result<()> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.add_pieces(chunk).inspect_err(|error| self.failure = Some(error.clone()))
    }

    fn add_pieces(&mut self, chunk: &RowChunk) -> Result<()> {
        let bytes_per_row = payload_bytes(&chunk.batch).div_ceil(chunk.len().max(1) as u64).max(1);
        let mut start = 0;
        while start < chunk.len() {
            let page_rows = self.options.page_rows;
            let to_page_end = page_rows - self.index.group_rows() % page_rows;
            let to_group_end = self.options.row_group_rows - self.index.group_rows();
            let rows = to_page_end.min(to_group_end).min(chunk.len() - start);
            let stored = self.index.add(&chunk.slice(start, rows))?;
            self.write(&stored, bytes_per_row)?;
            start += rows;
            let full = self.index.group_rows() >= self.options.row_group_rows
                || self.group_payload_bytes >= self.options.row_group_bytes as u64;
            if full {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn write(&mut self, stored: &RecordBatch, bytes_per_row: u64) -> Result<()> {
        let rows = stored.num_rows();
        self.group_payload_bytes += rows as u64 * bytes_per_row;
        let piece_rows = ((PIECE_BYTES / bytes_per_row) as usize).clamp(1, rows);
        for start in (0..rows).step_by(piece_rows) {
            let written = self.writer.write(&stored.slice(start, piece_rows.min(rows - start)));
            self.encoded(written)?;
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<()> {
        let flushed = self.writer.flush();
        self.encoded(flushed)?;
        let passed_on = self.writer.sync();
        self.encoded(passed_on.map_err(ParquetError::from))?;
        self.writer.inner_mut().cut();
        self.index.end_group(self.group_payload_bytes);
        self.group_payload_bytes = 0;
        self.written = self.writer.bytes_written() as u64;
        Ok(())
    }

    /// What the encoder returned, as an error of ours.
    fn encoded<T>(&mut self, result: std::result::Result<T, ParquetError>) -> Result<T> {
        result.map_err(|why| self.writer.inner_mut().failure(why))
    }

    /// Bytes written so far, about: for callers that cut their outputs by size.
    pub fn size_bytes(&self) -> u64 {
        self.written + self.writer.in_progress_size() as u64
    }

    /// Writes what is left, index and footer, and makes the file's bytes durable; its name is for the caller to make durable, by
    /// a sync of the file's directory and of those that were made for it.
    pub fn finish(mut self) -> Result<RowFileSummary> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.end_group()?;
        let (index_offset, strides) = self.writer.inner_mut().begin_tail();
        let (blob, mut summary) = self.index.finish(&strides)?;
        let entries = [
            ("rows", summary.rows),
            ("deletes", summary.tombstones),
            ("min_seq", summary.smallest_sequence),
            ("max_seq", summary.largest_sequence),
            ("multi_version", u64::from(summary.multi_version)),
        ];
        for (key, value) in entries {
            self.writer.append_key_value_metadata(key_value(key, value));
        }
        self.writer.append_key_value_metadata(key_value(TAIL_KEY, unsealed(index_offset)));
        if let Err(why) = self.writer.write_all(&blob) {
            return Err(self.writer.inner_mut().failure(why));
        }
        // Into memory: it is the sink that meets the disk.
        let sink = self.writer.into_inner().map_err(|why| Error::invalid(format!("Parquet footer: {why}")))?;
        (summary.size_bytes, summary.checksum) = sink.finish()?;
        summary.index_offset = index_offset;
        Ok(summary)
    }

    /// Gives the file up and removes it, best effort: the number is never used again, so a leftover does no harm.
    pub fn abandon(self) {}
}

/// Bytes of memory that the values of these rows take, about.
fn payload_bytes(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(column_bytes).sum()
}

fn column_bytes(column: &ArrayRef) -> u64 {
    // A slice of views keeps all the bytes of the whole, so that only the views tell.
    let of_views = |views: &[u128]| views.iter().map(|&view| 16 + u64::from(view as u32)).sum();
    match column.data_type() {
        DataType::Utf8View => of_views(column.as_string_view().views()),
        DataType::BinaryView => of_views(column.as_binary_view().views()),
        _ => column.to_data().get_slice_memory_size().unwrap_or(column.get_array_memory_size()) as u64,
    }
}
