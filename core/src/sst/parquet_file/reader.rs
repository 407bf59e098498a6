//! Opens a Parquet row file, looks keys up in it, and checks it.
//!
//! Called through the reader of row files by reads, flush and compaction. Index and Parquet's metadata are verified and parsed at
//! open and stay in memory; decoded pages come through the cache. Promises: a lookup decodes at most one page of the key's
//! columns for a key with one version, one page of each column asked for if the key is there, and nothing if the filter denies it.

use super::super::row_file::{
    GroupStats, RowBlock, RowCache, RowFileExpected, RowFileScan, RowIndex, RowLookup, RowMarks, VerifiedFile, read_blob,
};
use super::super::{Io, Properties};
use super::decode::{GroupDecoder, undecodable};
use super::projection::{Projection, batch_of, output_schema};
use super::scan::ParquetScan;
use super::tail::read_tail;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::filter::key_hash;
use crate::iter::{RowChunk, RowSource, Sequences};
use crate::key::{FileNumber, KeyRange, KeyRows, Sequence};
use crate::schema::{SchemaId, TableSchema};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array, cast::AsArray};
use arrow_buffer::{BooleanBuffer, Buffer, OffsetBuffer};
use arrow_schema::DataType;
use bytes::Bytes;
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// One open file. Thread safety: all methods may be called from any thread.
pub struct ParquetReader {
    file: Arc<VerifiedFile>,
    index: RowIndex,
    metadata: ArrowReaderMetadata,
    cache: Arc<RowCache>,
    size_bytes: u64,
    index_offset: u64,
    tail_checksum: u32,
    /// Before each group, how many pages there are.
    pages_before: Vec<u64>,
}

/// The decoded pieces of one page.
pub struct Page {
    /// What makes rows of them.
    pub marks: RowMarks,
    /// The columns asked for.
    pub columns: Vec<ArrayRef>,
}

impl ParquetReader {
    /// Opens the file, which must be the expected one: anything else is Corruption, a later format NotSupported. `schemas` knows
    /// the schemas of the file's table.
    pub fn open(
        env: &Env,
        path: &Path,
        expected: &RowFileExpected,
        schemas: &dyn Fn(SchemaId) -> Option<Arc<TableSchema>>,
        cache: Arc<RowCache>,
    ) -> Result<Arc<Self>> {
        let file = env.files.open(path)?;
        let size_bytes = file.len()?;
        if let Some(wanted) = expected.file.size_bytes
            && wanted != size_bytes
        {
            let message = format!("table is {size_bytes} bytes, not {wanted}");
            return Err(Error::corruption(path, size_bytes.min(wanted), message));
        }
        let known = expected.index_offset.zip(expected.checksum);
        let (index_offset, tail) = read_tail(&*file, size_bytes, known)?;
        let tail_checksum = crc32fast::hash(&tail);
        let (mut index, blob_len) = read_blob(&tail, (path, index_offset), &expected.file, schemas)?;
        let bad = |message: String| Error::corruption(path, index_offset, message);
        if index.strides.end() != index_offset {
            return Err(bad(format!("checksums of a table end at {}, not at its index", index.strides.end())));
        }
        let strides = std::mem::take(&mut index.strides);
        let metadata = parse_metadata(Bytes::from(tail).slice(blob_len..), index_offset + blob_len as u64, size_bytes)
            .map_err(|why| bad(format!("Parquet metadata cannot be decoded: {why}")))?;
        check_groups(&metadata, &index).map_err(|message| bad(message.to_owned()))?;
        // Types are those of the schema, whatever else the Parquet schema could be read as.
        let options = ArrowReaderOptions::new().with_schema(index.schema.stored().clone());
        let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options)
            .map_err(|why| bad(format!("Parquet schema is not that of the table: {why}")))?;
        let mut pages = 0;
        let pages_before = index.groups.iter().map(|group| {
            let before = pages;
            pages += group.rows.div_ceil(index.page_rows) as u64;
            before
        });
        let pages_before = pages_before.collect();
        let file = Arc::new(VerifiedFile::new(file, expected.file.number.0, strides)?);
        Ok(Arc::new(Self { file, metadata, cache, size_bytes, index_offset, tail_checksum, pages_before, index }))
    }

    /// Finds the newest version of `key` at or below `snapshot`, with the columns of these ids.
    pub fn get(&self, key: &[u8], snapshot: Sequence, columns: &[u32], io: Io) -> Result<RowLookup> {
        let columns = self.columns(columns)?;
        if !self.index.schema.is_keyed() {
            return Err(Error::invalid("an append-only table has no keys to look up").in_file(self.path()));
        }
        if !self.index.filter.may_contain(key_hash(key)) {
            return Ok(RowLookup::Absent);
        }
        let point = KeyRange { lower: Some(key.to_vec()), upper: Some([key, &[0]].concat()) };
        for (group, rows) in self.index.rows_in(&point) {
            for page in self.pages_of(&rows) {
                let Some(Page { marks, .. }) = self.page(group, page, &[], io)? else { return Ok(RowLookup::WouldBlock) };
                let keys = marks.keys.as_ref().ok_or_else(|| self.bad("rows of a table without keys"))?;
                let mut row = keys.lower_bound(key);
                while row < keys.len() && keys.compare_to(row, key).is_eq() {
                    if marks.sequences.get(row) <= snapshot {
                        let found = self.row(group, page, row, &marks, &columns, io)?;
                        return Ok(found.map_or(RowLookup::WouldBlock, RowLookup::Found));
                    }
                    row += 1;
                }
                if row < keys.len() {
                    return Ok(RowLookup::Absent);
                }
            }
        }
        Ok(RowLookup::Absent)
    }

    /// One row of a page, in memory of its own; `None` if it would have to be read and must not.
    fn row(
        &self,
        group: usize,
        page: usize,
        row: usize,
        marks: &RowMarks,
        columns: &[usize],
        io: Io,
    ) -> Result<Option<RowChunk>> {
        let Some(Page { columns: arrays, .. }) = self.page(group, page, columns, io)? else { return Ok(None) };
        let place = UInt32Array::from(vec![row as u32]);
        let taken = arrays.iter().map(|array| arrow_select::take::take(array, &place, None).map(unpinned));
        let taken = taken
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|why| self.bad(&format!("row cannot be taken from its page: {why}")))?;
        let sequences = Sequences::Same(marks.sequences.get(row));
        let keys = marks.keys.as_ref().map(|keys| one_key(keys, row));
        let deletes = marks.deletes.as_ref().is_some_and(|deletes| deletes.value(row)).then(|| BooleanBuffer::new_set(1));
        let batch = batch_of(&output_schema(&self.index.schema, columns), taken, 1)?;
        Ok(Some(RowChunk { batch, keys, sequences, deletes }))
    }

    /// The rows of `scan`, in the order of the file.
    pub fn scan(self: &Arc<Self>, scan: RowFileScan) -> Result<Box<dyn RowSource>> {
        let columns = self.columns(&scan.columns)?;
        Ok(Box::new(ParquetScan::new(self.clone(), columns, scan)))
    }

    /// The columns with these ids, as indexes into the schema's.
    fn columns(&self, ids: &[u32]) -> Result<Vec<usize>> {
        let find = |&id: &u32| {
            self.index
                .schema
                .index_of_id(id)
                .ok_or_else(|| Error::invalid(format!("table has no column with the id {id}")).in_file(self.path()))
        };
        ids.iter().map(find).collect()
    }

    /// The pages that `rows` of a group touch.
    pub(super) fn pages_of(&self, rows: &Range<usize>) -> Range<usize> {
        rows.start / self.index.page_rows..rows.end.div_ceil(self.index.page_rows)
    }

    /// Columns of one page of a group, from the cache, or from disk into the cache; `None` if something is not cached and must not
    /// be read.
    pub(super) fn page(&self, group: usize, page: usize, columns: &[usize], io: Io) -> Result<Option<Page>> {
        let number = self.number();
        let cached = |slot: usize| self.cache.get(number, self.block(group, page, slot));
        let marks_slot = self.index.schema.columns().len();
        let marks = cached(marks_slot).and_then(|block| match &*block {
            RowBlock::Marks(marks) => Some(marks.clone()),
            _ => None,
        });
        let mut found: Vec<Option<ArrayRef>> = columns
            .iter()
            .map(|&column| {
                cached(column).and_then(|block| match &*block {
                    RowBlock::Column(array) => Some(array.clone()),
                    _ => None,
                })
            })
            .collect();
        let missing: Vec<usize> =
            columns.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(&column, _)| column).collect();
        if let (Some(marks), true) = (&marks, missing.is_empty()) {
            return Ok(Some(Page { marks: marks.clone(), columns: found.into_iter().flatten().collect() }));
        }
        if io == Io::CacheOnly {
            return Ok(None);
        }
        let stats = &self.index.groups[group];
        let projection = match marks {
            None => Projection::new(&self.index.schema, stats, &missing),
            Some(_) => Projection::columns_only(&missing),
        };
        let start = page * self.index.page_rows;
        let rows = start..stats.rows.min(start + self.index.page_rows);
        let batch = self.decode_page(group, rows, &projection)?;
        let marks = match marks {
            Some(marks) => marks,
            None => {
                let marks = projection.marks(&self.index.schema, stats, &batch).map_err(|why| why.in_file(self.path()))?;
                let block = Arc::new(RowBlock::Marks(marks.clone()));
                self.cache.insert(number, self.block(group, page, marks_slot), block);
                marks
            }
        };
        let mut decoded = missing.iter().zip(projection.outputs(&batch));
        for array in found.iter_mut().filter(|array| array.is_none()) {
            let Some((&column, fresh)) = decoded.next() else { break };
            self.cache.insert(number, self.block(group, page, column), Arc::new(RowBlock::Column(fresh.clone())));
            *array = Some(fresh);
        }
        Ok(Some(Page { marks, columns: found.into_iter().flatten().collect() }))
    }

    /// All `rows` of a group in one batch.
    fn decode_page(&self, group: usize, rows: Range<usize>, projection: &Projection) -> Result<RecordBatch> {
        let wanted = rows.len();
        if projection.roots().is_empty() {
            return batch_of(&output_schema(&self.index.schema, &[]), Vec::new(), wanted);
        }
        let mut decoder = self.decoder(group, rows, projection, wanted)?;
        let batch = decoder.next_batch()?.filter(|batch| batch.num_rows() == wanted);
        batch.ok_or_else(|| self.bad("page of a table with fewer rows than its group says"))
    }

    /// How many rows a page of a group has.
    pub(super) fn page_rows_of(&self, group: usize, page: usize) -> usize {
        let page_rows = self.index.page_rows;
        self.index.groups[group].rows.saturating_sub(page * page_rows).min(page_rows)
    }

    /// A decoder of some rows of a group.
    pub(super) fn decoder(
        &self,
        group: usize,
        rows: Range<usize>,
        projection: &Projection,
        batch_rows: usize,
    ) -> Result<GroupDecoder> {
        GroupDecoder::new(&self.file, &self.metadata, group, rows, projection.roots(), batch_rows)
    }

    /// The number under which the cache keeps a column of a page, or what lies beyond the last column.
    fn block(&self, group: usize, page: usize, slot: usize) -> u64 {
        (self.pages_before[group] + page as u64) * self.slots() + slot as u64
    }

    /// Pieces of a page: its columns, and what makes rows of them.
    fn slots(&self) -> u64 {
        self.index.schema.columns().len() as u64 + 1
    }

    /// Checks every byte of the file, from disk: its checksums, that all rows decode, that they are in order, and that index and
    /// filter are true. Takes as long as reading the file twice.
    pub fn verify(self: &Arc<Self>) -> Result<()> {
        let known = Some((self.index_offset, self.tail_checksum));
        if self.file.file().len()? != self.size_bytes {
            return Err(self.bad("table has changed since it was opened"));
        }
        read_tail(&**self.file.file(), self.size_bytes, known)?;
        self.file.verify()?;
        super::verify::verify_rows(self)
    }

    pub(super) fn bad(&self, message: &str) -> Error {
        Error::corruption(self.path(), 0, message)
    }

    pub(super) fn index(&self) -> &RowIndex {
        &self.index
    }

    /// What the file says about itself.
    pub fn properties(&self) -> &Properties {
        &self.index.properties
    }

    /// The schema of its rows.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.index.schema
    }

    /// Its row groups in order.
    pub fn groups(&self) -> &[GroupStats] {
        &self.index.groups
    }

    /// A caller's own statistics, as they were stored.
    pub fn statistics(&self) -> &[(String, Vec<u8>)] {
        &self.index.statistics
    }

    /// How many rows it holds: versions and deletes.
    pub fn rows(&self) -> u64 {
        self.index.properties.entries
    }

    /// How many of them are deletes.
    pub fn tombstones(&self) -> u64 {
        self.index.properties.tombstones
    }

    /// Whether each key has one version, and it is a put.
    pub fn is_plain(&self) -> bool {
        self.index.is_plain()
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The file's number.
    pub fn number(&self) -> FileNumber {
        self.index.properties.number
    }

    /// The file's size in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The checksum of the bytes from [`ParquetReader::index_offset`] on.
    pub fn checksum(&self) -> u32 {
        self.tail_checksum
    }

    /// Where the index begins.
    pub fn index_offset(&self) -> u64 {
        self.index_offset
    }

    /// Bytes that index and metadata hold in memory while the file is open.
    pub fn resident_bytes(&self) -> usize {
        let metadata = self.metadata.metadata().memory_size();
        self.index.resident_bytes() + self.file.resident_bytes() + metadata + size_of::<Self>()
    }
}

impl Drop for ParquetReader {
    /// A reader goes when its file does, or its database: its pages are of no use any more.
    fn drop(&mut self) {
        let pages: u64 = self.index.groups.iter().map(|group| group.rows.div_ceil(self.index.page_rows) as u64).sum();
        self.cache.remove_file(self.number(), 0..pages * self.slots());
    }
}

/// The key at `row`, in memory of its own.
fn one_key(keys: &KeyRows, row: usize) -> KeyRows {
    match keys {
        KeyRows::Fixed { width, heads } => KeyRows::Fixed { width: *width, heads: vec![heads[row]].into() },
        KeyRows::Bytes { .. } => {
            let bytes = keys.bytes(row, &mut [0; 8]).to_vec();
            KeyRows::Bytes { offsets: OffsetBuffer::from_lengths([bytes.len()]), data: Buffer::from(bytes) }
        }
    }
}

/// The same values without the bytes of others: views share the buffers of the page that they were taken from.
fn unpinned(array: ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        _ => array,
    }
}

/// Parses Parquet's footer and offset indexes from the bytes of the file from `offset` to its end, which were verified.
fn parse_metadata(bytes: Bytes, offset: u64, size: u64) -> std::result::Result<ParquetMetaData, ParquetError> {
    let mut decoder = ParquetMetaDataPushDecoder::try_new(size)?
        .with_offset_index_policy(PageIndexPolicy::Required)
        // Our own index has the bounds of groups and the first keys of pages.
        .with_column_index_policy(PageIndexPolicy::Skip);
    decoder.push_range(offset..size, bytes)?;
    match decoder.try_decode()? {
        DecodeResult::Data(metadata) => Ok(metadata),
        _ => Err(ParquetError::General("they are not all behind the index".to_owned())),
    }
}

/// Whether Parquet's row groups are those of the index.
fn check_groups(metadata: &ParquetMetaData, index: &RowIndex) -> std::result::Result<(), &'static str> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    let same = metadata.num_row_groups() == index.groups.len()
        && metadata.row_groups().iter().zip(&index.groups).all(|(group, stats)| {
            group.num_rows() == stats.rows as i64 && group.num_columns() == columns
        });
    if !same {
        return Err("Parquet's row groups are not those of the index");
    }
    Ok(())
}
