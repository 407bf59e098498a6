//! Writes a Parquet row file from chunks of rows in order.
//!
//! Called through the row file's writer by flush and compaction. Every write ends where a page ends, so that pages of all flat
//! columns cover the same rows. Memory: one row group, encoded. A writer that is not finished removes its file, best effort,
//! when it goes.

use super::super::row_file::{Identity, IndexBuilder, RowFileOptions, RowFileSummary, StrideSums};
use super::super::{SstIdentity, output::Output};
use super::properties::{key_value, parquet_schema, writer_properties};
use super::sink::Sink;
use super::tail::{self, TAIL_KEY};
use crate::env::{Env, File, FileSystem};
use crate::error::{Error, ErrorKind, Result};
use crate::iter::rows::{RowChunk, Sequences};
use crate::schema::TableSchema;
use arrow_array::{Array, ArrayRef, Int8Array, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A row group is cut at this many encoded bytes, however few its rows.
const GROUP_BYTES_MAX: usize = 128 << 20;

/// Rows are handed to the encoder in pieces of about this many bytes at most.
const PIECE_BYTES: usize = 16 << 20;

/// Writes one file. One thread at a time. After an error every later call fails too.
pub struct ParquetWriter {
    files: Arc<dyn FileSystem>,
    file: Arc<dyn File>,
    path: PathBuf,
    schema: Arc<TableSchema>,
    writer: ArrowWriter<Sink>,
    index: IndexBuilder,
    options: RowFileOptions,
    group_rows: usize,
    failure: Option<Error>,
    finished: bool,
}
