//! Opens a Parquet row file, looks keys up in it, and checks it.
//!
//! Called through the reader of row files by reads, flush and compaction. Index and Parquet's metadata are verified and parsed at
//! open and stay in memory; decoded pages come through the cache. Promises: a lookup decodes at most one page of the key's
//! columns for a key with one version, one page of each column asked for if the key is there, and nothing if the filter denies it.

use super::super::Io;
use super::super::row_file::{
    GroupStats, PeekedIndex, Projection, RowBlock, RowCache, RowFileExpected, RowFileScan, RowFormat, RowIndex,
    RowLookup, StoredRows, VerifiedFile, peek_blob, read_blob, unpinned,
};
use super::columns::Columns;
use super::decode::GroupDecoder;
use super::metadata::{check_groups, parse_metadata};
use super::scan::ParquetScan;
use super::tail::read_tail;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::filter::key_hash;
use crate::iter::RowSource;
use crate::key::{FileNumber, KeyRange, KeyRows, Sequence};
use crate::schema::{SchemaId, TableSchema};
use arrow_array::{ArrayRef, RecordBatch};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
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
        if index.format != RowFormat::Parquet {
            return Err(bad("index of a table in another format".to_owned()));
        }
        if index.strides.end() != index_offset {
            return Err(bad(format!("checksums of a table end at {}, not at its index", index.strides.end())));
        }
        let strides = std::mem::take(&mut index.strides);
        let behind_index = Bytes::from(tail).slice(blob_len..);
        let metadata = parse_metadata(behind_index, index_offset + blob_len as u64, size_bytes, &index.schema)
            .map_err(|why| bad(format!("Parquet metadata cannot be decoded: {why}")))?;
        check_groups(&metadata, &index.groups, index_offset).map_err(|message| bad(message.to_owned()))?;
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

    /// What the file says of itself, to somebody who knows nothing else.
    pub fn peek(env: &Env, path: &Path) -> Result<PeekedIndex> {
        let file = env.files.open(path)?;
        let (index_offset, tail) = read_tail(&*file, file.len()?, None)?;
        peek_blob(&tail, (path, index_offset))
    }

    /// Finds the newest version of `key` at or below `snapshot`, with the columns of these ids.
    pub fn get(&self, key: &[u8], snapshot: Sequence, columns: &[u32], io: Io) -> Result<RowLookup> {
        let projection = Projection::new(&self.index.schema, columns)?;
        if !self.index.schema.is_keyed() {
            return Err(Error::invalid("an append-only table has no keys to look up").in_file(self.path()));
        }
        if !self.index.filter.may_contain(key_hash(key)) {
            return Ok(RowLookup::Absent);
        }
        let none = Projection::new(&self.index.schema, &[])?;
        let point = KeyRange { lower: Some(key.to_vec()), upper: Some([key, &[0]].concat()) };
        for (group, rows) in self.index.rows_in(&point) {
            for page in self.pages_of(&rows) {
                // The columns asked for are decoded when the key is there; what found it is in the cache by then.
                let Some(keys) = self.page(group, page, &none, io)? else { return Ok(RowLookup::WouldBlock) };
                let Some(row) = keys.find(key, snapshot) else { continue };
                let Some(found) = self.page(group, page, &projection, io)? else { return Ok(RowLookup::WouldBlock) };
                return Ok(RowLookup::Found(found.single(row, self.path())?));
            }
        }
        Ok(RowLookup::Absent)
    }

    /// The rows of `scan`, in the order of the file.
    pub fn scan(self: &Arc<Self>, scan: RowFileScan) -> Result<Box<dyn RowSource>> {
        let projection = Projection::new(&self.index.schema, &scan.columns)?;
        Ok(Box::new(ParquetScan::new(self.clone(), projection, scan)?))
    }

    /// The pages that `rows` of a group touch.
    pub(super) fn pages_of(&self, rows: &Range<usize>) -> Range<usize> {
        rows.start / self.index.page_rows..rows.end.div_ceil(self.index.page_rows)
    }

    /// The rows of one page of a group, from the cache, or from disk into the cache; `None` if something is not cached and must
    /// not be read.
    pub(super) fn page(
        &self,
        group: usize,
        page: usize,
        projection: &Projection,
        io: Io,
    ) -> Result<Option<StoredRows>> {
        let (schema, stats) = (&self.index.schema, &self.index.groups[group]);
        let columns = Columns::new(schema, stats, projection);
        let keys_slot = self.slots() as usize - 1;
        let mut keys = match self.cached(group, page, keys_slot).as_deref() {
            Some(RowBlock::Keys(keys)) => Some(keys.clone()),
            _ => None,
        };
        let mut decoded: Vec<(usize, ArrayRef)> = Vec::new();
        let mut missing = Vec::new();
        for root in columns.values() {
            match self.cached(group, page, root).as_deref() {
                Some(RowBlock::Column(array)) => decoded.push((root, array.clone())),
                _ => missing.push(root),
            }
        }
        let lacks_keys = schema.is_keyed() && keys.is_none();
        if lacks_keys || !missing.is_empty() {
            if io == Io::CacheOnly {
                return Ok(None);
            }
            let mut roots = missing.clone();
            roots.extend(schema.key().iter().filter(|_| lacks_keys));
            roots.sort_unstable();
            roots.dedup();
            let batch = self.decode_page(group, page, &roots)?;
            let fresh = |root| roots.binary_search(&root).ok().map(|place| batch.column(place));
            columns.check(fresh).map_err(|message| self.bad(message))?;
            let column = |root: &usize| roots.binary_search(root).ok().map(|place| batch.column(place).clone());
            if lacks_keys {
                let fresh = self.encode_keys(schema.key().iter().filter_map(column).collect())?;
                self.keep(group, page, keys_slot, RowBlock::Keys(fresh.clone()));
                keys = Some(fresh);
            }
            for root in missing {
                // Views of strings may share the bytes of a whole read, which the cache would not count.
                let Some(fresh) = column(&root).map(unpinned) else { continue };
                self.keep(group, page, root, RowBlock::Column(fresh.clone()));
                decoded.push((root, fresh));
            }
        }
        let keys = keys.filter(|_| schema.is_keyed());
        let find = |root: usize| decoded.iter().find(|(other, _)| *other == root).map(|(_, array)| array);
        let rows = columns.rows(stats, projection, keys, find, self.page_rows_of(group, page));
        rows.map(Some).map_err(|message| self.bad(message))
    }

    /// The encoded keys of rows with these key columns.
    pub(super) fn encode_keys(&self, columns: Vec<ArrayRef>) -> Result<KeyRows> {
        self.index
            .schema
            .key_codec()
            .encode(&columns)
            .map_err(|why| self.bad(&format!("keys of a table: {}", why.message())))
    }

    fn cached(&self, group: usize, page: usize, slot: usize) -> Option<Arc<RowBlock>> {
        self.cache.get(self.number(), self.block(group, page, slot))
    }

    fn keep(&self, group: usize, page: usize, slot: usize, block: RowBlock) {
        self.cache.insert(self.number(), self.block(group, page, slot), Arc::new(block));
    }

    /// These root columns of a page, in one batch.
    fn decode_page(&self, group: usize, page: usize, roots: &[usize]) -> Result<RecordBatch> {
        let start = page * self.index.page_rows;
        let count = self.page_rows_of(group, page);
        let mut decoder = self.decoder(group, start..start + count, roots, count)?;
        let batch = decoder.next_batch()?.filter(|batch| batch.num_rows() == count);
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
        roots: &[usize],
        batch_rows: usize,
    ) -> Result<GroupDecoder> {
        let payload_bytes = self.index.groups[group].payload_bytes;
        GroupDecoder::new(&self.file, &self.metadata, group, rows, roots, batch_rows, payload_bytes)
    }

    /// Where the pages of a column of a group lie.
    #[cfg(test)]
    pub(super) fn pages_at(&self, group: usize, column: usize) -> Range<u64> {
        let (start, len) = self.metadata.metadata().row_group(group).column(column).byte_range();
        start..start + len
    }

    /// The number under which the cache keeps a piece of a page.
    fn block(&self, group: usize, page: usize, slot: usize) -> u64 {
        (self.pages_before[group] + page as u64) * self.slots() + slot as u64
    }

    /// Pieces of a page: its columns, and the keys last.
    fn slots(&self) -> u64 {
        self.index.schema.stored().fields().len() as u64 + 1
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

    /// What the index says.
    pub fn index(&self) -> &RowIndex {
        &self.index
    }

    /// The schema of its rows.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.index.schema
    }

    /// Its row groups in order.
    pub fn groups(&self) -> &[GroupStats] {
        &self.index.groups
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    fn number(&self) -> FileNumber {
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
