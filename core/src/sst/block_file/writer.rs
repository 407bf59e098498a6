//! Writes a block file from entries in order.
//!
//! Called by flush, compaction and bulk loads. The caller's thread builds blocks, the [`Output`]'s task writes them. A writer that
//! is not finished removes its file, best effort, when it goes.

use super::super::{SstIdentity, SstOptions, SstSummary};
use super::block::checksum_at;
use super::block_builder::{BlockBuilder, write_wide};
use super::codec::Encoder;
use super::footer::{Footer, Section};
use super::index::IndexBuilder;
use super::output::Output;
use super::properties::{HASH_VERSION, Properties};
use crate::env::{Env, File, FileSystem};
use crate::error::{Error, Result};
use crate::filter::{FilterBuilder, key_hash};
use crate::key::{Entry, Kind, MAX_KEY_BYTES, MAX_SEQUENCE, MAX_VALUE_BYTES, Sequence};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An index beyond this would not fit a reader's 32-bit offsets; a file that large should have been cut long before.
const INDEX_BYTES_MAX: usize = 3 << 30;

/// Writes one file. One thread at a time. An entry that is refused (InvalidArgument) changes nothing; after any other error
/// every later call that writes fails with the same one.
///
/// It needs no database: many programs can write files side by side.
///
/// ```
/// # fn main() -> sstore::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("000001.sst");
/// use sstore::env::posix::posix;
/// use sstore::key::{Entry, Kind};
/// use sstore::sst::{SstIdentity, SstOptions, SstWriter};
///
/// let mut writer = SstWriter::create(&posix(), &path, SstIdentity::default(), SstOptions::default())?;
/// writer.add(Entry { key: b"cat", sequence: 1, kind: Kind::Put, value: b"meow" })?;
/// let summary = writer.finish()?;
/// assert_eq!((summary.entries, &summary.smallest[..]), (1, &b"cat"[..]));
/// # Ok(()) }
/// ```
pub struct SstWriter {
    files: Arc<dyn FileSystem>,
    file: Arc<dyn File>,
    path: PathBuf,
    identity: SstIdentity,
    output: Output,
    encoder: Encoder,
    block: BlockBuilder,
    index: IndexBuilder,
    filter: FilterBuilder,
    /// The last key of the last block that was cut, and the sequence of that entry.
    cut_key: Option<Vec<u8>>,
    cut_sequence: Sequence,
    last_hash: u64,
    summary: SstSummary,
    finished: bool,
}

impl SstWriter {
    /// Creates the file, which must not exist yet, and a writer for it.
    pub fn create(env: &Env, path: &Path, identity: SstIdentity, mut options: SstOptions) -> Result<Self> {
        options.block_bytes = options.block_bytes.clamp(1 << 10, 32 << 10);
        let encoder = Encoder::new(options.compression)?;
        let file = env.files.create(path)?;
        Ok(Self {
            files: env.files.clone(),
            file: file.clone(),
            path: path.to_path_buf(),
            identity,
            output: Output::new(env, file),
            encoder,
            block: BlockBuilder::new(options.block_bytes),
            filter: FilterBuilder::new(options.bloom_bits_per_key),
            index: IndexBuilder::default(),
            cut_key: None,
            cut_sequence: 0,
            last_hash: 0,
            summary: SstSummary { smallest_sequence: MAX_SEQUENCE, ..SstSummary::default() },
            finished: false,
        })
    }

    /// No more than `entries_max` entries will be added: the filter then needs no memory beyond its own, where it needs 8 bytes a key
    /// without such a bound. NoMemory if that is too much. Requires: nothing has been added yet.
    pub fn expect_entries(&mut self, entries_max: u64) -> Result<()> {
        self.filter.expect(entries_max)
    }

    /// Adds an entry. Requires: its key is greater than the last one's, or equal with a smaller sequence; anything else, or a
    /// size beyond the limits, is InvalidArgument.
    #[inline]
    pub fn add(&mut self, entry: Entry<'_>) -> Result<()> {
        let same_key = self.check(&entry)?;
        if !same_key {
            self.last_hash = key_hash(entry.key);
            self.filter.add(self.last_hash);
        }
        if self.block.wants_own_block(&entry) {
            self.cut_block(same_key)?;
            self.add_wide(&entry)?;
        } else if !self.block.add(&entry, self.last_hash, same_key) {
            self.cut_block(same_key)?;
            // An empty block takes any entry that does not want its own.
            self.block.add(&entry, self.last_hash, same_key);
        }
        let summary = &mut self.summary;
        summary.entries += 1;
        summary.tombstones += u64::from(entry.kind == Kind::Delete);
        summary.payload_bytes += (entry.key.len() + entry.value.len()) as u64;
        summary.smallest_sequence = summary.smallest_sequence.min(entry.sequence);
        summary.largest_sequence = summary.largest_sequence.max(entry.sequence);
        summary.multi_version |= same_key;
        Ok(())
    }

    /// Bytes written so far, about: for callers that cut their outputs by size.
    pub fn size_bytes(&self) -> u64 {
        self.output.offset()
    }

    /// How many entries were added.
    pub fn entries(&self) -> u64 {
        self.summary.entries
    }

    /// Whether the entry has the key of the one before it.
    #[inline]
    fn check(&self, entry: &Entry<'_>) -> Result<bool> {
        if entry.key.len() > MAX_KEY_BYTES || entry.value.len() > MAX_VALUE_BYTES || entry.sequence > MAX_SEQUENCE {
            return Err(Error::invalid("entry of a table with a key, value or sequence beyond the limits"));
        }
        let (last_key, last_sequence) = if !self.block.is_empty() {
            (self.block.last_key(), self.block.last_sequence())
        } else if let Some(key) = &self.cut_key {
            (key.as_slice(), self.cut_sequence)
        } else {
            return Ok(false);
        };
        match last_key.cmp(entry.key) {
            std::cmp::Ordering::Less => Ok(false),
            std::cmp::Ordering::Equal if last_sequence > entry.sequence => Ok(true),
            _ => Err(Error::invalid("entries of a table must come by rising key, then falling sequence")),
        }
    }

    /// Writes the block that was gathered, if any. `shared`: the next entry has the key of its last one.
    fn cut_block(&mut self, shared: bool) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let offset = self.output.offset();
        let first_key = self.block.first_key().to_vec();
        let last_key = self.block.last_key().to_vec();
        let last_sequence = self.block.last_sequence();
        let shared = shared || self.cut_key.as_deref() == Some(first_key.as_slice());
        self.block.finish(self.output.buffer(), &mut self.encoder, self.identity.number.0, offset, shared);
        let len = self.output.offset() - offset;
        self.index_block(&first_key, len)?;
        (self.cut_key, self.cut_sequence) = (Some(last_key), last_sequence);
        self.output.pass_on()
    }

    fn add_wide(&mut self, entry: &Entry<'_>) -> Result<()> {
        let place = (self.identity.number.0, self.output.offset());
        let output = &mut self.output;
        let len = write_wide(entry, &mut self.encoder, place, |bytes| output.write(bytes))?;
        self.index_block(entry.key, len)?;
        (self.cut_key, self.cut_sequence) = (Some(entry.key.to_vec()), entry.sequence);
        Ok(())
    }

    fn index_block(&mut self, first_key: &[u8], len: u64) -> Result<()> {
        if self.cut_key.is_none() {
            self.summary.smallest = first_key.to_vec();
        }
        self.index.add(self.cut_key.as_deref(), first_key, len);
        if self.index.size_bytes() > INDEX_BYTES_MAX {
            return Err(Error::invalid("table has grown beyond what its index can hold").in_file(&self.path));
        }
        Ok(())
    }

    /// Writes index, filter, properties and footer and makes the file's bytes durable; its name is for the caller to make durable.
    pub fn finish(mut self) -> Result<SstSummary> {
        self.cut_block(false)?;
        if self.summary.entries == 0 {
            self.summary.smallest_sequence = 0;
        }
        self.summary.largest = self.cut_key.take().unwrap_or_default();
        let mut footer = Footer {
            database_id: self.identity.database_id,
            number: self.identity.number,
            data: Section { offset: 0, len: self.output.offset(), checksum: 0 },
            ..Footer::default()
        };
        let index = self.index.encode();
        footer.index = self.write_section(&index)?;
        let mut filter = Vec::new();
        self.filter.finish()?.encode(&mut filter);
        footer.filter = self.write_section(&filter)?;
        let properties = self.properties().encode();
        footer.properties = self.write_section(&properties)?;
        (_, footer.file_checksum) = self.output.settle()?;
        self.output.write(&footer.encode())?;
        let (size_bytes, _) = self.output.settle()?;
        self.file.sync_data()?;
        self.finished = true;
        self.summary.size_bytes = size_bytes;
        self.summary.checksum = footer.file_checksum;
        Ok(std::mem::take(&mut self.summary))
    }

    fn write_section(&mut self, bytes: &[u8]) -> Result<Section> {
        let offset = self.output.offset();
        self.output.write(bytes)?;
        let checksum = checksum_at(self.identity.number.0, offset, bytes);
        Ok(Section { offset, len: bytes.len() as u64, checksum })
    }

    fn properties(&self) -> Properties {
        let summary = &self.summary;
        Properties {
            features_compatible: 0,
            features_incompatible: 0,
            database_id: self.identity.database_id,
            epoch: self.identity.epoch,
            number: self.identity.number,
            collection: self.identity.collection,
            job: self.identity.job,
            inputs: self.identity.inputs.clone(),
            outputs: self.identity.outputs.clone(),
            entries: summary.entries,
            tombstones: summary.tombstones,
            payload_bytes: summary.payload_bytes,
            smallest: summary.smallest.clone(),
            largest: summary.largest.clone(),
            smallest_sequence: summary.smallest_sequence,
            largest_sequence: summary.largest_sequence,
            multi_version: summary.multi_version,
            hash_version: HASH_VERSION,
        }
    }

    /// Gives the file up and removes it, best effort: the number is never used again, so a leftover does no harm.
    pub fn abandon(self) {}
}

impl Drop for SstWriter {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.files.remove(&self.path);
        }
    }
}
