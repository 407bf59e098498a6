//! Writes an Arrow IPC file from chunks of rows in order.
//!
//! Called through [`RowFileWriter`](super::super::RowFileWriter). Rows are gathered to full batches, a batch is encoded at once,
//! straight to the output. A writer that is not finished removes its files, best effort, when it goes.

use super::super::row_file::{IndexBuilder, RowFileOptions, RowFileSummary, StridedOutput};
use super::super::{Compression, SstIdentity};
use super::sink::MessageSink;
use super::{BATCH_ROWS, INDEX_NAME};
use crate::env::{Env, FileSystem};
use crate::error::{Error, Result};
use crate::iter::RowChunk;
use crate::schema::TableSchema;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_ipc::{CompressionType, MetadataVersion};
use arrow_schema::{ArrowError, DataType};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Batches and buffers begin at multiples of this: what SIMD likes, and what the format recommends.
const ALIGNMENT_BYTES: usize = 64;

/// As in block files: the fastest regular level.
const ZSTD_LEVEL: i32 = 1;

/// Bytes of one element of an array of views, before the bytes it views.
const VIEW_BYTES: usize = 16;

/// A slice of rows that is gathered is copied if it pins more than this many times its own bytes.
const PINNED_SHARE_MAX: usize = 4;

/// Writes one file and the index beside it. One thread at a time. After an error every later call fails with the same one.
pub struct IpcFileWriter {
    files: Arc<dyn FileSystem>,
    index_path: PathBuf,
    encoder: FileWriter<MessageSink>,
    index: IndexBuilder,
    schema: Arc<TableSchema>,
    /// Rows of the batch that is being gathered, as they are stored.
    gathered: Vec<RecordBatch>,
    gathered_bytes: usize,
    batch_bytes_max: usize,
    failure: Option<Error>,
}

impl IpcFileWriter {
    /// Creates `path`, which must not exist yet.
    pub fn create(
        env: &Env,
        path: &Path,
        identity: SstIdentity,
        schema: Arc<TableSchema>,
        level: u32,
        options: &RowFileOptions,
    ) -> Result<Self> {
        let index = IndexBuilder::new(identity.clone(), schema.clone(), level, options)?;
        let sink = MessageSink::new(StridedOutput::create(env, path, identity.number.0)?, schema.clone());
        let encoder = encoder(&schema, options.compression, sink)
            .map_err(|error| Error::invalid(format!("schema that Arrow IPC cannot hold: {error}")))?;
        Ok(Self {
            files: env.files.clone(),
            index_path: crate::env::parent(path).join(INDEX_NAME),
            encoder,
            index,
            schema,
            gathered: Vec::new(),
            gathered_bytes: 0,
            batch_bytes_max: options.row_group_bytes.max(1 << 16),
            failure: None,
        })
    }

    /// Adds rows. InvalidArgument if they are not the table's or out of order.
    pub fn add(&mut self, chunk: &RowChunk) -> Result<()> {
        self.guarded(|writer| writer.add_parts(chunk))
    }

    fn guarded<T>(&mut self, write: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        write(self).inspect_err(|error| self.failure = Some(error.clone()))
    }

    fn add_parts(&mut self, chunk: &RowChunk) -> Result<()> {
        let mut from = 0;
        while from < chunk.len() {
            let room = (BATCH_ROWS - self.index.group_rows()).min(chunk.len() - from);
            // Long rows: no more of them at once than a batch may take. A first look at the bytes of a row is enough.
            let row_bytes = memory_bytes(&chunk.batch) / chunk.len() + 1;
            let room = room.min((self.batch_bytes_max / row_bytes).max(1));
            let stored = self.index.add(&chunk.slice(from, room))?;
            let stored_bytes = memory_bytes(&stored);
            self.gathered_bytes += stored_bytes;
            self.gathered.push(unpinned(stored, stored_bytes, room == BATCH_ROWS)?);
            from += room;
            if self.index.group_rows() == BATCH_ROWS || self.gathered_bytes >= self.batch_bytes_max {
                self.write_batch()?;
            }
        }
        Ok(())
    }

    /// Encodes and writes what was gathered, as one batch.
    fn write_batch(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let gathered = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        let batch = match &gathered[..] {
            [batch] => batch.clone(),
            several => arrow_select::concat::concat_batches(self.schema.stored(), several)
                .map_err(|error| self.failed(error))?,
        };
        drop(gathered);
        let batch = with_short_views(batch).map_err(|error| self.failed(error))?;
        self.encoder.get_mut().begin_batch();
        self.encoder.write(&batch).map_err(|error| self.failed(error))?;
        let payload_bytes = self.encoder.get_mut().end_batch()?;
        self.index.end_group(payload_bytes);
        Ok(())
    }

    /// Why the encoder failed.
    fn failed(&mut self, error: ArrowError) -> Error {
        self.encoder.get_mut().output().failure(error)
    }

    /// Writes what is left, footer and index, and makes the bytes of both files durable. Their names are for the caller to make
    /// durable: the directory of the file, and those above it that are new.
    pub fn finish(mut self) -> Result<RowFileSummary> {
        self.guarded(Self::write_batch)?;
        self.encoder.get_mut().output().cut();
        self.encoder.finish().map_err(|error| self.failed(error))?;
        let sink = self.encoder.into_inner().map_err(|error| Error::invalid(format!("Arrow IPC footer: {error}")))?;
        let mut output = sink.into_output();
        let strides = output.begin_tail();
        let (blob, mut summary) = self.index.finish(&strides)?;
        let data_path = output.path().to_path_buf();
        let (data_bytes, _) = output.finish()?;
        summary.size_bytes = data_bytes + blob.len() as u64;
        summary.checksum = crc32fast::hash(&blob);
        let written = self.files.create(&self.index_path).and_then(|file| {
            let written = file.write_at(&blob, 0).and_then(|()| file.sync_data());
            written.inspect_err(|_| {
                let _ = self.files.remove(&self.index_path);
            })
        });
        if let Err(error) = written {
            // Best effort: the data without its index is of no use, and nothing names it.
            let _ = self.files.remove(&data_path);
            return Err(error);
        }
        Ok(summary)
    }

    /// Bytes written so far, about: for callers that cut their outputs by size.
    pub fn size_bytes(&self) -> u64 {
        self.encoder.get_ref().written_bytes() + self.gathered_bytes as u64
    }

    /// Gives the file up and removes it, best effort.
    pub fn abandon(self) {}
}

fn encoder(
    schema: &TableSchema,
    compression: Compression,
    sink: MessageSink,
) -> std::result::Result<FileWriter<MessageSink>, ArrowError> {
    let options = IpcWriteOptions::try_new(ALIGNMENT_BYTES, false, MetadataVersion::V5)?;
    let options = match compression {
        Compression::None => options,
        Compression::Lz4 => options.try_with_compression(Some(CompressionType::LZ4_FRAME))?,
        Compression::Zstd => {
            options.try_with_compression(Some(CompressionType::ZSTD))?.try_with_compression_level(Some(ZSTD_LEVEL))?
        }
    };
    FileWriter::try_new_with_options(sink, schema.stored(), options)
}

/// Bytes of the rows themselves, whatever their arrays are slices of.
fn memory_bytes(batch: &RecordBatch) -> usize {
    let of_column = |column: &ArrayRef| match column.data_type() {
        DataType::Utf8View => column.as_string_view().total_buffer_bytes_used() + column.len() * VIEW_BYTES,
        DataType::BinaryView => column.as_binary_view().total_buffer_bytes_used() + column.len() * VIEW_BYTES,
        _ => {
            let data = column.to_data();
            data.get_slice_memory_size().unwrap_or_else(|_| data.get_buffer_memory_size())
        }
    };
    batch.columns().iter().map(of_column).sum()
}

/// The rows in memory of their own if they are a small part of what they pin: gathered rows wait for others. A full batch does not.
fn unpinned(batch: RecordBatch, own_bytes: usize, is_full: bool) -> Result<RecordBatch> {
    let pinned_bytes: usize = batch.columns().iter().map(|column| column.get_buffer_memory_size()).sum();
    if is_full || pinned_bytes / PINNED_SHARE_MAX <= own_bytes {
        return Ok(batch);
    }
    let rows = arrow_array::UInt32Array::from_iter_values(0..batch.num_rows() as u32);
    arrow_select::take::take_record_batch(&batch, &rows)
        .and_then(with_short_views)
        .map_err(|error| Error::invalid(format!("rows cannot be copied: {error}")))
}

/// Arrays of views pin, and are written with, all the bytes that any row ever had: these are compacted first.
fn with_short_views(batch: RecordBatch) -> std::result::Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()) as ArrayRef,
        _ => column.clone(),
    });
    RecordBatch::try_new(batch.schema(), columns.collect())
}
