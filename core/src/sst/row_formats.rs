//! One writer and one reader for the files of tables, whatever their format.
//!
//! Called by flush, merges, reads, `verify` and `repair`. Promises: what was added is what is read, in either format; damage is an
//! error that names file and offset. Paths: Parquet `table/<name>/<birth level>/<number>.parquet`, Arrow IPC
//! `table/<name>/<stamp>/data.arrow` with its index beside it, in a directory of its own.

use super::block_file::Properties;
use super::ipc_file::{IpcFileReader, IpcFileWriter};
#[cfg(feature = "parquet")]
use super::parquet_file::{ParquetReader, ParquetWriter};
use super::row_file::{
    GroupStats, PeekedIndex, RowCache, RowFileExpected, RowFileOptions, RowFileScan, RowFileSummary, RowFormat,
    RowIndex, RowLookup,
};
use super::{Io, SstIdentity};
use crate::env::Env;
#[cfg(not(feature = "parquet"))]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::iter::{RowChunk, RowSource};
use crate::key::{KeyRange, Sequence};
use crate::schema::{SchemaId, TableSchema};
use std::path::Path;
use std::sync::Arc;

/// Refuses a schema that files of `format` cannot hold: NotSupported, naming the column. Arrow IPC holds all that a table takes.
pub fn check_row_format(schema: &TableSchema, format: RowFormat) -> Result<()> {
    match format {
        RowFormat::Ipc => Ok(()),
        #[cfg(feature = "parquet")]
        RowFormat::Parquet => super::parquet_file::check_schema(schema),
        #[cfg(not(feature = "parquet"))]
        RowFormat::Parquet => {
            let _ = schema;
            Err(without_parquet())
        }
    }
}

/// Writes one file of rows. One thread at a time. A writer that is not finished removes its file, best effort, when it goes; after
/// an error every later call fails.
///
/// It needs no database: many programs can write files side by side.
///
/// ```
/// # fn main() -> sstore::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("data.arrow");
/// use arrow_array::{Int64Array, RecordBatch};
/// use arrow_schema::{DataType, Field, Schema};
/// use sstore::batch::PreparedRows;
/// use sstore::env::posix::posix;
/// use sstore::key::Kind;
/// use sstore::schema::TableSchema;
/// use sstore::sst::{RowFileOptions, RowFileWriter, RowFormat, SstIdentity};
/// use std::sync::Arc;
///
/// let columns = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
/// let table = Arc::new(TableSchema::new(&columns, &["id"], &Default::default())?);
/// let rows = RecordBatch::try_new(Arc::new(columns), vec![Arc::new(Int64Array::from(vec![3, 1, 2]))]).unwrap();
///
/// let options = RowFileOptions::new(RowFormat::Ipc);
/// let mut writer = RowFileWriter::create(&posix(), &path, SstIdentity::default(), table.clone(), 0, options)?;
/// // Sorted by key; of several batches each must begin behind the one before.
/// writer.add(&PreparedRows::prepare(&table, &rows, Kind::Rows)?.to_chunk(1)?)?;
/// assert_eq!(writer.finish()?.rows, 3);
/// # Ok(()) }
/// ```
pub struct RowFileWriter(Writer);

enum Writer {
    Ipc(Box<IpcFileWriter>),
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetWriter>),
}

impl RowFileWriter {
    /// Creates the file at `path`, which must not exist yet, in the format of `options`; its directory must exist, and be empty for
    /// Arrow IPC. `level` is what the index will say.
    pub fn create(
        env: &Env,
        path: &Path,
        identity: SstIdentity,
        schema: Arc<TableSchema>,
        level: u32,
        options: RowFileOptions,
    ) -> Result<Self> {
        match options.format {
            RowFormat::Ipc => {
                let writer = IpcFileWriter::create(env, path, identity, schema, level, &options)?;
                Ok(Self(Writer::Ipc(Box::new(writer))))
            }
            #[cfg(feature = "parquet")]
            RowFormat::Parquet => {
                let writer = ParquetWriter::create(env, path, identity, schema, level, options)?;
                Ok(Self(Writer::Parquet(Box::new(writer))))
            }
            #[cfg(not(feature = "parquet"))]
            RowFormat::Parquet => Err(without_parquet().in_file(path)),
        }
    }

    /// Adds rows: all user columns of the schema, in order. InvalidArgument if they are not the table's, or do not come by rising
    /// key and falling sequence after those before.
    pub fn add(&mut self, chunk: &RowChunk) -> Result<()> {
        match &mut self.0 {
            Writer::Ipc(writer) => writer.add(chunk),
            #[cfg(feature = "parquet")]
            Writer::Parquet(writer) => writer.add(chunk),
        }
    }

    /// Bytes written so far, about: for callers that cut their outputs by size.
    pub fn size_bytes(&self) -> u64 {
        match &self.0 {
            Writer::Ipc(writer) => writer.size_bytes(),
            #[cfg(feature = "parquet")]
            Writer::Parquet(writer) => writer.size_bytes(),
        }
    }

    /// Writes what is left and makes the bytes durable. The caller makes the names durable: by syncing the file's directory, and in
    /// turn the directories above it that are new.
    pub fn finish(self) -> Result<RowFileSummary> {
        match self.0 {
            Writer::Ipc(writer) => writer.finish(),
            #[cfg(feature = "parquet")]
            Writer::Parquet(writer) => writer.finish(),
        }
    }

    /// Gives the file up and removes it, best effort: its number is never used again, so a leftover does no harm.
    pub fn abandon(self) {
        match self.0 {
            Writer::Ipc(writer) => writer.abandon(),
            #[cfg(feature = "parquet")]
            Writer::Parquet(writer) => writer.abandon(),
        }
    }
}

/// One open file of rows. All methods may be called from any thread.
pub struct RowFileReader(Reader);

enum Reader {
    Ipc(Arc<IpcFileReader>),
    #[cfg(feature = "parquet")]
    Parquet(Arc<ParquetReader>),
}

impl RowFileReader {
    /// Opens the file, in the format that its name says. It must be the expected one, of a schema that `schemas` knows: anything
    /// else is Corruption, a later version NotSupported.
    pub fn open(
        env: &Env,
        path: &Path,
        expected: &RowFileExpected,
        schemas: &dyn Fn(SchemaId) -> Option<Arc<TableSchema>>,
        cache: Arc<RowCache>,
    ) -> Result<Arc<Self>> {
        let reader = match RowFormat::of_path(path) {
            Some(RowFormat::Ipc) => Reader::Ipc(IpcFileReader::open(env, path, expected, schemas, cache)?),
            #[cfg(feature = "parquet")]
            Some(RowFormat::Parquet) => Reader::Parquet(ParquetReader::open(env, path, expected, schemas, cache)?),
            #[cfg(not(feature = "parquet"))]
            Some(RowFormat::Parquet) => return Err(without_parquet().in_file(path)),
            None => return Err(Error::invalid("file whose name says no format of tables").in_file(path)),
        };
        Ok(Arc::new(Self(reader)))
    }

    /// What the file says of itself, to somebody who knows nothing else: its number, its table, the schema of its rows. Its index
    /// is verified, its rows are not.
    pub fn peek(env: &Env, path: &Path) -> Result<PeekedIndex> {
        match RowFormat::of_path(path) {
            Some(RowFormat::Ipc) => IpcFileReader::peek(env, path),
            #[cfg(feature = "parquet")]
            Some(RowFormat::Parquet) => ParquetReader::peek(env, path),
            #[cfg(not(feature = "parquet"))]
            Some(RowFormat::Parquet) => Err(without_parquet().in_file(path)),
            None => Err(Error::invalid("file whose name says no format of tables").in_file(path)),
        }
    }

    /// Where its index begins in the file that holds it.
    pub fn index_offset(&self) -> u64 {
        match &self.0 {
            Reader::Ipc(_) => 0,
            #[cfg(feature = "parquet")]
            Reader::Parquet(reader) => reader.index_offset(),
        }
    }

    fn index(&self) -> &RowIndex {
        match &self.0 {
            Reader::Ipc(reader) => reader.index(),
            #[cfg(feature = "parquet")]
            Reader::Parquet(reader) => reader.index(),
        }
    }

    /// The format.
    pub fn format(&self) -> RowFormat {
        self.index().format
    }

    /// How many rows it holds: versions and deletes, not keys.
    pub fn rows(&self) -> u64 {
        self.index().properties.entries
    }

    /// How many of them are deletes.
    pub fn tombstones(&self) -> u64 {
        self.index().properties.tombstones
    }

    /// The schema of its rows.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.index().schema
    }

    /// Who made it from what, and its counts.
    pub fn properties(&self) -> &Properties {
        &self.index().properties
    }

    /// The level that it was written for.
    pub fn birth_level(&self) -> u32 {
        self.index().level
    }

    /// A caller's own statistics, by name, as its hook left them.
    pub fn statistics(&self) -> &[(String, Vec<u8>)] {
        &self.index().statistics
    }

    /// Its row groups or batches in order, for planning.
    pub fn groups(&self) -> &[GroupStats] {
        &self.index().groups
    }

    /// A key from which on, up to the end of `range`, about `rows` rows of these `groups` (rising) lie; `None` if they have not so many
    /// there. For walks from the end: what is read together is not cut.
    pub fn key_back(&self, range: &KeyRange, groups: &[usize], rows: usize) -> Option<&[u8]> {
        self.index().key_back(range, groups, rows)
    }

    /// The first of about `rows` rows before `end` of a group that are read together, within `bytes` of memory if that can be. For
    /// walks from the end of an append-only table. Requires: `end` is not 0. Panics if there is no such group.
    pub fn row_back(&self, group: usize, end: usize, rows: usize, bytes: usize) -> usize {
        self.index().row_back(group, end, rows, bytes)
    }

    /// Whether each key has one version, and it is a put.
    pub fn is_plain(&self) -> bool {
        self.index().is_plain()
    }

    /// False if no row has the key with this [`key_hash`](crate::filter::key_hash). True in an append-only table.
    pub fn may_contain(&self, hash: u64) -> bool {
        self.index().filter.may_contain(hash)
    }

    /// Bytes of the filter; 0 if there is none.
    pub fn filter_bytes(&self) -> usize {
        self.index().filter.resident_bytes()
    }

    /// How its columns are compressed.
    pub fn compression(&self) -> super::Compression {
        self.index().compression
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        match &self.0 {
            Reader::Ipc(reader) => reader.path(),
            #[cfg(feature = "parquet")]
            Reader::Parquet(reader) => reader.path(),
        }
    }

    /// Bytes on disk, what lies beside it included.
    pub fn size_bytes(&self) -> u64 {
        match &self.0 {
            Reader::Ipc(reader) => reader.size_bytes(),
            #[cfg(feature = "parquet")]
            Reader::Parquet(reader) => reader.size_bytes(),
        }
    }

    /// The checksum that the manifest keeps.
    pub fn checksum(&self) -> u32 {
        match &self.0 {
            Reader::Ipc(reader) => reader.checksum(),
            #[cfg(feature = "parquet")]
            Reader::Parquet(reader) => reader.checksum(),
        }
    }

    /// Bytes that it holds in memory while it is open, outside the cache.
    pub fn resident_bytes(&self) -> usize {
        match &self.0 {
            Reader::Ipc(reader) => reader.resident_bytes(),
            #[cfg(feature = "parquet")]
            Reader::Parquet(reader) => reader.resident_bytes(),
        }
    }

    /// The rows that `scan` asks for, in the order of the file.
    pub fn scan(&self, scan: RowFileScan) -> Result<Box<dyn RowSource>> {
        match &self.0 {
            Reader::Ipc(reader) => reader.scan(scan),
            #[cfg(feature = "parquet")]
            Reader::Parquet(reader) => reader.scan(scan),
        }
    }

    /// The newest version of the encoded `key` at or below `snapshot`, with the columns of these ids. InvalidArgument in an
    /// append-only table.
    pub fn get(&self, key: &[u8], snapshot: Sequence, columns: &[u32], io: Io) -> Result<RowLookup> {
        match &self.0 {
            Reader::Ipc(reader) => reader.get(key, snapshot, columns, io),
            #[cfg(feature = "parquet")]
            Reader::Parquet(reader) => reader.get(key, snapshot, columns, io),
        }
    }

    /// Checks every byte, from disk, and that the index is true of the rows. Takes as long as reading the file twice.
    pub fn verify(&self) -> Result<()> {
        match &self.0 {
            Reader::Ipc(reader) => reader.verify(),
            #[cfg(feature = "parquet")]
            Reader::Parquet(reader) => reader.verify(),
        }
    }
}

#[cfg(not(feature = "parquet"))]
fn without_parquet() -> Error {
    Error::new(ErrorKind::NotSupported, "this library was built without Parquet")
}
