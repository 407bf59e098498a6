//! Opens an Arrow IPC file, and decodes single columns of single batches.
//!
//! Called through [`RowFileReader`](super::super::RowFileReader). The index beside the file is read and verified at open and stays in
//! memory, columns come through the cache. Promises: no byte of the file reaches a parser before its checksum matched; a lookup reads
//! at most the batches that can hold the key, of those only the columns asked for, the key and what tells versions apart.

use super::super::row_file::{
    IndexBuilder, PeekedIndex, Projection, RowBlock, RowCache, RowFileExpected, RowFileOptions, RowFileScan, RowFormat,
    RowIndex, RowLookup, StoredRows, Strides, VerifiedFile, check_operations, checked_sequences, find, peek_blob,
    read_blob, sequences,
};
use super::super::{Access, Io, SstIdentity};
use super::footer::{Batch, read_footer};
use super::layout::{self, BatchLayout, BodyCodec};
use super::scan::IpcScan;
use super::{INDEX_NAME, decode};
use crate::env::{Env, parent, read_file};
use crate::error::{Error, Result};
use crate::filter::key_hash;
use crate::iter::{RowSource, Sequences};
use crate::key::{KeyRange, KeyRows, Sequence};
use crate::schema::{SchemaId, TableSchema};
use arrow_array::ArrayRef;
use arrow_buffer::Buffer;
use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A longer index is refused: it would belong to more rows than a file can hold.
const INDEX_BYTES_MAX: u64 = 2 << 30;

/// The most that a scan past the cache reads at once, unless a single column is longer.
const READ_BYTES_MAX: u64 = 8 << 20;

/// The cache key of a batch's keys; columns have their index.
const KEYS_BLOCK: u64 = u32::MAX as u64;

/// One open file. All methods may be called from any thread.
pub struct IpcFileReader {
    env: Env,
    index_path: PathBuf,
    index_checksum: u32,
    index_bytes: u64,
    index: RowIndex,
    data: VerifiedFile,
    batches: Vec<Batch>,
    zstd: super::super::block_file::Decoder,
    cache: Arc<RowCache>,
}

/// What a caller wants of batches, and what was decoded for it so far: a key column that is also asked for is read once.
pub struct Wanted<'a> {
    pub(super) projection: &'a Projection,
    pub(super) access: Access,
    io: Io,
    pub(super) keys: bool,
    pub(super) sequences: bool,
    decoded: RefCell<Vec<((usize, usize), ArrayRef)>>,
}

impl<'a> Wanted<'a> {
    /// These columns, with nothing decoded yet.
    pub fn new(projection: &'a Projection, access: Access, io: Io) -> Self {
        Self { projection, access, io, keys: true, sequences: true, decoded: RefCell::default() }
    }

    /// The same, with keys and sequences only where they are needed.
    pub fn with(self, keys: bool, sequences: bool) -> Self {
        Self { keys, sequences, ..self }
    }

    fn find(&self, group: usize, column: usize) -> Option<ArrayRef> {
        let decoded = self.decoded.borrow();
        decoded.iter().find(|(place, _)| *place == (group, column)).map(|(_, array)| array.clone())
    }
}

impl IpcFileReader {
    /// Opens the file, which must be the expected one: anything else is Corruption, a later format NotSupported.
    pub fn open(
        env: &Env,
        path: &Path,
        expected: &RowFileExpected,
        schemas: &dyn Fn(SchemaId) -> Option<Arc<TableSchema>>,
        cache: Arc<RowCache>,
    ) -> Result<Arc<Self>> {
        let index_path = parent(path).join(INDEX_NAME);
        let blob = read_file(&*env.files, &index_path, INDEX_BYTES_MAX)?;
        let index_checksum = crc32fast::hash(&blob);
        if expected.checksum.is_some_and(|wanted| wanted != index_checksum) {
            return Err(Error::corruption(
                &index_path,
                0,
                "index of a table does not match the checksum in the manifest",
            ));
        }
        let (mut index, len) = read_blob(&blob, (&index_path, 0), &expected.file, schemas)?;
        if len != blob.len() || index.format != RowFormat::Ipc {
            return Err(Error::corruption(
                &index_path,
                len as u64,
                "index that is not that of an Arrow IPC file alone",
            ));
        }
        let file = env.files.open(path)?;
        let file_bytes = file.len()?;
        let strides = std::mem::take(&mut index.strides);
        if file_bytes != strides.end() {
            let message = format!("table is {file_bytes} bytes, its index says {}", strides.end());
            return Err(Error::corruption(path, file_bytes.min(strides.end()), message));
        }
        let size_bytes = file_bytes + blob.len() as u64;
        if let Some(wanted) = expected.file.size_bytes.filter(|wanted| *wanted != size_bytes) {
            let message = format!("table and index are {size_bytes} bytes, not {wanted}");
            return Err(Error::corruption(path, file_bytes, message));
        }
        let data = VerifiedFile::new(file, expected.file.number.0, strides)?;
        let batches = read_footer(&data)?;
        if batches.len() != index.groups.len() {
            return Err(Error::corruption(
                path,
                file_bytes,
                "table with another number of batches than its index says",
            ));
        }
        Ok(Arc::new(Self {
            env: env.clone(),
            index_path,
            index_checksum,
            index_bytes: blob.len() as u64,
            index,
            data,
            batches,
            zstd: super::super::block_file::Decoder::default(),
            cache,
        }))
    }

    /// What the index beside the file says of it, to somebody who knows nothing else.
    pub fn peek(env: &Env, path: &Path) -> Result<PeekedIndex> {
        let index_path = parent(path).join(INDEX_NAME);
        peek_blob(&read_file(&*env.files, &index_path, INDEX_BYTES_MAX)?, (&index_path, 0))
    }

    /// What the index says.
    pub fn index(&self) -> &RowIndex {
        &self.index
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        self.data.path()
    }

    /// Bytes on disk, the index included.
    pub fn size_bytes(&self) -> u64 {
        self.data.end() + self.index_bytes
    }

    /// The checksum of the index beside the file.
    pub fn checksum(&self) -> u32 {
        self.index_checksum
    }

    /// Bytes that it holds in memory while it is open, outside the cache.
    pub fn resident_bytes(&self) -> usize {
        let layouts: usize =
            self.batches.iter().filter_map(|batch| batch.layout.get()).map(BatchLayout::resident_bytes).sum();
        size_of::<Self>()
            + self.index.resident_bytes()
            + self.data.resident_bytes()
            + layouts
            + self.batches.capacity() * size_of::<Batch>()
    }

    /// The rows that `scan` asks for, in order.
    pub fn scan(self: &Arc<Self>, scan: RowFileScan) -> Result<Box<dyn RowSource>> {
        Ok(Box::new(IpcScan::new(self.clone(), scan)?))
    }

    /// The newest version of `key` at or below `snapshot`, with the columns of these ids. InvalidArgument in an append-only table.
    pub fn get(&self, key: &[u8], snapshot: Sequence, columns: &[u32], io: Io) -> Result<RowLookup> {
        if !self.schema().is_keyed() {
            return Err(Error::invalid("a lookup by key in an append-only table"));
        }
        if !self.index.filter.may_contain(key_hash(key)) {
            return Ok(RowLookup::Absent);
        }
        let range = KeyRange { lower: Some(key.to_vec()), upper: Some([key, &[0]].concat()) };
        let pages = self.index.rows_in(&range);
        if pages.is_empty() {
            return Ok(RowLookup::Absent);
        }
        let projection = Projection::new(self.schema(), columns)?;
        let wanted = Wanted::new(&projection, Access::Cached, io);
        for (group, rows) in pages {
            let stats = &self.index.groups[group];
            if stats.smallest_sequence > snapshot || stats.last_key.as_slice() < key || stats.first_key.as_slice() > key
            {
                continue;
            }
            let Some(keys) = self.keys(group, &wanted)? else { return Ok(RowLookup::WouldBlock) };
            let Some(sequences) = self.sequences(group, &wanted)? else { return Ok(RowLookup::WouldBlock) };
            let Some(row) = find(&keys, rows, key, |row| sequences.get(row), snapshot) else { continue };
            let Some(stored) = self.rows(group, &wanted, Some(keys), sequences)? else {
                return Ok(RowLookup::WouldBlock);
            };
            return stored.single(row, self.path()).map(RowLookup::Found);
        }
        Ok(RowLookup::Absent)
    }

    /// The decoded rows of a batch; `None` if they are not cached and must not be read.
    pub fn group(&self, group: usize, wanted: &Wanted<'_>) -> Result<Option<StoredRows>> {
        if wanted.access == Access::Scan && wanted.io == Io::Allowed {
            self.read_ahead(group, wanted)?;
        }
        let keys = match self.schema().is_keyed() && wanted.keys {
            true => match self.keys(group, wanted)? {
                Some(keys) => Some(keys),
                None => return Ok(None),
            },
            false => None,
        };
        let sequences = match wanted.sequences {
            true => self.sequences(group, wanted)?,
            false => Some(Sequences::Same(self.index.groups[group].largest_sequence)),
        };
        let Some(sequences) = sequences else { return Ok(None) };
        self.rows(group, wanted, keys, sequences)
    }

    fn rows(
        &self,
        group: usize,
        wanted: &Wanted<'_>,
        keys: Option<KeyRows>,
        sequences: Sequences,
    ) -> Result<Option<StoredRows>> {
        let stats = &self.index.groups[group];
        let mut columns = Vec::with_capacity(wanted.projection.columns.len());
        for &column in &wanted.projection.columns {
            let Some(column) = self.column(group, column, wanted)? else { return Ok(None) };
            columns.push(column);
        }
        let mut operations = None;
        if stats.tombstones > 0 {
            let Some(column) = self.column(group, self.schema().columns().len() + 1, wanted)? else { return Ok(None) };
            operations = Some(column);
        }
        let schema = wanted.projection.schema.clone();
        let rows = StoredRows::from_checked(schema, columns, keys, sequences, operations, stats.rows);
        rows.map(Some).map_err(|message| self.damaged(group, message))
    }

    /// The encoded keys of a batch.
    fn keys(&self, group: usize, wanted: &Wanted<'_>) -> Result<Option<KeyRows>> {
        let place = block_place(group, KEYS_BLOCK);
        if let Some(block) = self.cache.get(self.index.properties.number, place)
            && let RowBlock::Keys(keys) = &*block
        {
            return Ok(Some(keys.clone()));
        }
        let mut columns = Vec::with_capacity(self.schema().key().len());
        for &column in self.schema().key() {
            let Some(column) = self.column(group, column, wanted)? else { return Ok(None) };
            columns.push(column);
        }
        let keys = self.schema().key_codec().encode(&columns).map_err(|error| self.damaged(group, error.message()))?;
        if wanted.access == Access::Cached {
            self.cache.insert(self.index.properties.number, place, Arc::new(RowBlock::Keys(keys.clone())));
        }
        Ok(Some(keys))
    }

    fn sequences(&self, group: usize, wanted: &Wanted<'_>) -> Result<Option<Sequences>> {
        let stats = &self.index.groups[group];
        if stats.smallest_sequence == stats.largest_sequence {
            return Ok(Some(Sequences::Same(stats.smallest_sequence)));
        }
        let Some(column) = self.column(group, self.schema().columns().len(), wanted)? else { return Ok(None) };
        checked_sequences(&column).map(Some).map_err(|message| self.damaged(group, message))
    }

    /// Column `column` of the stored schema, from the cache or from disk.
    pub(super) fn column(&self, group: usize, column: usize, wanted: &Wanted<'_>) -> Result<Option<ArrayRef>> {
        if let Some(array) = wanted.find(group, column) {
            return Ok(Some(array));
        }
        let array = match self.cached(group, column) {
            Some(array) => array,
            None if wanted.io == Io::CacheOnly => return Ok(None),
            None => {
                let place = self.layout(group)?.columns[column].place.clone();
                let array = self.decode(group, column, &self.read(group, place)?)?;
                if wanted.access == Access::Cached {
                    let block = Arc::new(RowBlock::Column(array.clone()));
                    self.cache.insert(self.index.properties.number, block_place(group, column as u64), block);
                }
                array
            }
        };
        wanted.decoded.borrow_mut().push(((group, column), array.clone()));
        Ok(Some(array))
    }

    pub(super) fn cached(&self, group: usize, column: usize) -> Option<ArrayRef> {
        match &*self.cache.get(self.index.properties.number, block_place(group, column as u64))? {
            RowBlock::Column(array) => Some(array.clone()),
            RowBlock::Keys(_) => None,
        }
    }

    /// Decodes what a scan past the cache needs of a batch, columns that lie side by side from one read.
    fn read_ahead(&self, group: usize, wanted: &Wanted<'_>) -> Result<()> {
        let stats = &self.index.groups[group];
        let user_columns = self.schema().columns().len();
        let mut needed = wanted.projection.columns.clone();
        needed.extend(self.schema().key().iter().filter(|_| wanted.keys));
        let has_sequences = wanted.sequences && stats.smallest_sequence != stats.largest_sequence;
        needed.extend(has_sequences.then_some(user_columns));
        needed.extend((stats.tombstones > 0).then_some(user_columns + 1));
        needed.sort_unstable();
        needed.dedup();
        needed.retain(|&column| wanted.find(group, column).is_none() && self.cached(group, column).is_none());
        let columns = &self.layout(group)?.columns;
        let mut from = 0;
        while from < needed.len() {
            let start = columns[needed[from]].place.start;
            let mut to = from + 1;
            while to < needed.len()
                && columns[needed[to]].place.start == columns[needed[to - 1]].place.end
                && columns[needed[to]].place.end - start <= READ_BYTES_MAX
            {
                to += 1;
            }
            let bytes = self.read(group, start..columns[needed[to - 1]].place.end)?;
            for &column in &needed[from..to] {
                let place = &columns[column].place;
                let own = bytes.slice_with_length((place.start - start) as usize, (place.end - place.start) as usize);
                let array = self.decode(group, column, &own)?;
                wanted.decoded.borrow_mut().push(((group, column), array));
            }
            from = to;
        }
        Ok(())
    }

    /// Bytes of the body of a batch.
    pub(super) fn read(&self, group: usize, place: Range<u64>) -> Result<Buffer> {
        let batch = &self.batches[group];
        let body = batch.offset + batch.metadata_bytes;
        self.data.read(body + place.start..body + place.end)
    }

    pub(super) fn decode(&self, group: usize, column: usize, bytes: &Buffer) -> Result<ArrayRef> {
        let layout = self.layout(group)?;
        let stats = &self.index.groups[group];
        let buffers = decode::Buffers { codec: layout.codec, limit_bytes: stats.payload_bytes, zstd: &self.zstd };
        let field = &self.schema().stored().fields()[column];
        let array = decode::decode(field.data_type(), &layout.columns[column], bytes, buffers)
            .map_err(|problem| self.damaged(group, &problem))?;
        if array.len() != stats.rows {
            return Err(self.damaged(group, "column with another number of rows than the index says"));
        }
        self.check(group, column, &array)?;
        Ok(array)
    }

    /// Checks what only we know of a column: once, before anybody keeps it.
    pub(super) fn check(&self, group: usize, column: usize, array: &ArrayRef) -> Result<()> {
        let checked = match column.checked_sub(self.schema().columns().len()) {
            None => Ok(()),
            Some(0) => sequences(array).map(|_| ()),
            Some(_) => check_operations(array),
        };
        checked.map_err(|message| self.damaged(group, message))
    }

    /// The decoder of compressed buffers.
    pub(super) fn zstd(&self) -> &super::super::block_file::Decoder {
        &self.zstd
    }

    pub(super) fn layout(&self, group: usize) -> Result<&BatchLayout> {
        let batch = &self.batches[group];
        if let Some(layout) = batch.layout.get() {
            return Ok(layout);
        }
        let bytes = self.data.read(batch.offset..batch.offset + batch.metadata_bytes)?;
        let layout = layout::parse(&bytes, self.schema().stored().fields(), batch.body_bytes)
            .map_err(|message| self.damaged(group, message))?;
        let wanted = match self.index.compression {
            super::super::Compression::None => BodyCodec::Plain,
            super::super::Compression::Lz4 => BodyCodec::Lz4,
            super::super::Compression::Zstd => BodyCodec::Zstd,
        };
        if layout.rows != self.index.groups[group].rows || layout.codec != wanted {
            return Err(self.damaged(group, "batch with another number of rows or another codec than the index says"));
        }
        Ok(batch.layout.get_or_init(|| layout))
    }

    /// The schema of the rows.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.index.schema
    }

    pub(super) fn damaged(&self, group: usize, message: &str) -> Error {
        Error::corruption(self.path(), self.batches[group].offset, message)
    }

    /// Checks every byte of both files, from disk, and that the index is true of the rows: order, counts, keys, bounds, filter.
    pub fn verify(&self) -> Result<()> {
        let blob = read_file(&*self.env.files, &self.index_path, INDEX_BYTES_MAX)?;
        if crc32fast::hash(&blob) != self.index_checksum {
            return Err(Error::corruption(&self.index_path, 0, "index of a table has changed since it was opened"));
        }
        if self.data.file().len()? != self.data.end() {
            return Err(Error::corruption(
                self.path(),
                self.data.end(),
                "table has another length than its index says",
            ));
        }
        self.data.verify()?;
        let options = RowFileOptions {
            compression: self.index.compression,
            page_rows: self.index.page_rows,
            bloom: false,
            ..RowFileOptions::new(RowFormat::Ipc)
        };
        let mut builder = IndexBuilder::new(self.identity(), self.schema().clone(), self.index.level, &options)?;
        let ids: Vec<u32> = self.schema().columns().iter().map(|column| column.id).collect();
        let projection = Projection::new(self.schema(), &ids)?;
        for (group, stats) in self.index.groups.iter().enumerate() {
            let wanted = Wanted::new(&projection, Access::Scan, Io::Allowed);
            let Some(rows) = self.group(group, &wanted)? else { continue };
            let Some(chunk) = rows.chunk(0..rows.len(), None, self.path())? else { continue };
            builder.add(&chunk).map_err(|error| self.damaged(group, error.message()))?;
            builder.end_group(stats.payload_bytes);
            if !self.index.admits(chunk.keys.as_ref()) {
                return Err(self.damaged(group, "batch with a key that the filter denies"));
            }
        }
        let (rebuilt, _) = builder.finish(&Strides::default())?;
        let (rebuilt, _) =
            read_blob(&rebuilt, (&self.index_path, 0), &self.index.expected(), &|_| Some(self.schema().clone()))?;
        if !self.index.says_the_same_of_rows(&rebuilt) {
            return Err(Error::corruption(&self.index_path, 0, "index of a table is not true of its rows"));
        }
        Ok(())
    }

    fn identity(&self) -> SstIdentity {
        let properties = &self.index.properties;
        SstIdentity {
            database_id: properties.database_id,
            epoch: properties.epoch,
            number: properties.number,
            collection: properties.collection,
            ..SstIdentity::default()
        }
    }
}

impl Drop for IpcFileReader {
    /// A reader goes when its file does, or its database: its blocks are of no use any more.
    fn drop(&mut self) {
        let columns = self.schema().stored().fields().len() as u64;
        let blocks = (0..self.batches.len())
            .flat_map(|group| (0..columns).chain([KEYS_BLOCK]).map(move |block| block_place(group, block)));
        self.cache.remove_file(self.index.properties.number, blocks);
    }
}

/// The place of a decoded column, or of the keys, in the cache.
fn block_place(group: usize, block: u64) -> u64 {
    (group as u64) << 32 | block
}
