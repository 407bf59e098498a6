//! Whole files: written, read back, looked up, read by the Parquet crate's own reader, damaged.

use super::super::row_file::{
    ColumnOverride, RowCache, RowFileExpected, RowFileOptions, RowFileScan, RowFormat, RowLookup,
};
use super::super::{Access, Compression, Expected, Io, RowFileSummary, SstIdentity};
use super::{ParquetReader, ParquetWriter};
use crate::env::{Env, posix};
use crate::error::Result;
use crate::iter::{RowChunk, Sequences};
use crate::key::{CollectionId, FileNumber, KeyRange, MAX_SEQUENCE, Sequence};
use crate::schema::{KeyOptions, TableSchema};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Field, Schema};
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod damage;
mod foreign;
mod hostile;
mod round_trip;
mod values;
mod versions;

struct Place {
    env: Env,
    dir: tempfile::TempDir,
    cache: Arc<RowCache>,
}

impl Place {
    fn new() -> Self {
        Self { env: posix::posix(), dir: tempfile::tempdir().unwrap(), cache: RowCache::new(64 << 20) }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("000005.parquet")
    }

    fn writer(&self, schema: &Arc<TableSchema>, options: RowFileOptions) -> Result<ParquetWriter> {
        ParquetWriter::create(&self.env, &self.path(), identity(), schema.clone(), 1, options)
    }

    fn write(&self, schema: &Arc<TableSchema>, chunks: &[RowChunk], options: RowFileOptions) -> RowFileSummary {
        let mut writer = self.writer(schema, options).unwrap();
        for chunk in chunks {
            writer.add(chunk).unwrap();
        }
        writer.finish().unwrap()
    }

    fn open(&self, schema: &Arc<TableSchema>) -> Arc<ParquetReader> {
        self.open_at(&self.path(), schema, &expected()).unwrap()
    }

    fn open_at(
        &self,
        path: &Path,
        schema: &Arc<TableSchema>,
        expected: &RowFileExpected,
    ) -> Result<Arc<ParquetReader>> {
        let schemas = |id| (id == schema.id()).then(|| schema.clone());
        ParquetReader::open(&self.env, path, expected, &schemas, self.cache.clone())
    }
}

fn identity() -> SstIdentity {
    SstIdentity {
        database_id: 77,
        epoch: 3,
        number: FileNumber(5),
        collection: CollectionId(2),
        job: 9,
        inputs: vec![FileNumber(1)],
        outputs: vec![FileNumber(5)],
    }
}

/// What a reader knows that has lost the manifest.
fn expected() -> RowFileExpected {
    let file = Expected { database_id: 77, number: FileNumber(5), size_bytes: None, collection: CollectionId(2) };
    RowFileExpected { file, checksum: None, index_offset: None }
}

/// What a manifest says of the file.
fn expected_of(summary: &RowFileSummary) -> RowFileExpected {
    let file = Expected { size_bytes: Some(summary.size_bytes), ..expected().file };
    RowFileExpected { file, checksum: Some(summary.checksum), index_offset: Some(summary.index_offset) }
}

/// Small groups and pages, so that a test has many of both.
fn small_pages() -> RowFileOptions {
    RowFileOptions { row_group_rows: 1000, page_rows: 100, ..RowFileOptions::new(RowFormat::Parquet) }
}

fn table(fields: Vec<Field>, key: &[&str]) -> Arc<TableSchema> {
    let options = KeyOptions { nullable_keys: true, float_keys: true, ..KeyOptions::default() };
    Arc::new(TableSchema::new(&Schema::new(fields), key, &options).unwrap())
}

/// Rows of `schema` with these columns; keys are made of them.
fn chunk(
    schema: &TableSchema,
    columns: Vec<ArrayRef>,
    sequences: Sequences,
    deletes: Option<BooleanBuffer>,
) -> RowChunk {
    let fields: Vec<_> = schema.stored().fields().iter().take(columns.len()).cloned().collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let keys = schema.is_keyed().then(|| {
        let columns: Vec<ArrayRef> = schema.key().iter().map(|&column| batch.column(column).clone()).collect();
        schema.key_codec().encode(&columns).unwrap()
    });
    RowChunk { batch, keys, sequences, deletes }
}

fn ids(schema: &TableSchema) -> Vec<u32> {
    schema.columns().iter().map(|column| column.id).collect()
}

fn scan(reader: &Arc<ParquetReader>, scan: RowFileScan) -> Result<Vec<RowChunk>> {
    let mut source = reader.scan(scan)?;
    let mut chunks = Vec::new();
    while let Some(chunk) = source.next_chunk()? {
        assert!(!chunk.is_empty());
        chunks.push(chunk);
    }
    assert!(source.next_chunk()?.is_none());
    Ok(chunks)
}

/// The columns of all chunks, one after the other.
fn joined(chunks: &[RowChunk]) -> Vec<ArrayRef> {
    let columns = chunks.first().map_or(0, |chunk| chunk.batch.num_columns());
    let column = |index: usize| {
        let pieces: Vec<_> = chunks.iter().map(|chunk| chunk.batch.column(index).as_ref()).collect();
        arrow_select::concat::concat(&pieces).unwrap()
    };
    (0..columns).map(column).collect()
}

fn rows(chunks: &[RowChunk]) -> usize {
    chunks.iter().map(RowChunk::len).sum()
}
