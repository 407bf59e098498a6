//! Writes a block file from entries in order, or from parts that were encoded elsewhere.
//!
//! Called by flush, compaction and bulk loads. Parts get their place and their checksums here, and the [`Output`]'s task writes them. A
//! writer that is not finished removes its file, best effort, when it goes.

use super::super::{SstIdentity, SstOptions, SstSummary};
use super::block::{CHECKSUM_BYTES, checksum_at};
use super::block_builder::write_wide;
use super::codec::Encoder;
use super::footer::{Footer, Section};
use super::index::IndexBuilder;
use super::output::Output;
use super::part::{Bound, SstPart, SstPartBuilder, Totals};
use super::properties::{HASH_VERSION, Properties};
use crate::env::{Env, File, FileSystem};
use crate::error::{Error, Result};
use crate::filter::FilterBuilder;
use crate::key::Entry;
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
    /// Of what is added entry by entry.
    builder: SstPartBuilder,
    /// Of the values that are too long for a part.
    encoder: Encoder,
    index: IndexBuilder,
    filter: FilterBuilder,
    /// The last entry that was placed in the file.
    last: Option<Bound>,
    totals: Totals,
    smallest: Vec<u8>,
    finished: bool,
}

impl SstWriter {
    /// Creates the file, which must not exist yet, and a writer for it.
    pub fn create(env: &Env, path: &Path, identity: SstIdentity, options: SstOptions) -> Result<Self> {
        let builder = SstPartBuilder::new(&options)?;
        let encoder = Encoder::new(options.compression)?;
        let file = env.files.create(path)?;
        Ok(Self {
            files: env.files.clone(),
            file: file.clone(),
            path: path.to_path_buf(),
            identity,
            output: Output::new(env, file),
            builder,
            encoder,
            filter: FilterBuilder::new(options.bloom_bits_per_key),
            index: IndexBuilder::default(),
            last: None,
            totals: Totals::default(),
            smallest: Vec::new(),
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
        if SstPartBuilder::is_too_long(&entry) {
            self.builder.pass_by(&entry)?;
            self.place_own()?;
            return self.append_entry(&entry);
        }
        self.builder.add(&entry)?;
        if self.builder.is_full() { self.place_own() } else { Ok(()) }
    }

    /// Adds a part that another builder made, and leaves an empty buffer in its place. Requires: it comes after everything before it, as
    /// in [`SstWriter::add`]; else InvalidArgument. What shares a key comes from one builder.
    pub fn append(&mut self, part: SstPart) -> Result<Vec<u8>> {
        self.builder.end();
        self.place_own()?;
        self.place(part)
    }

    /// Adds an entry of too long a value, which its builder was told of by [`SstPartBuilder::pass_by`], and whose parts before it
    /// are here.
    pub fn append_entry(&mut self, entry: &Entry<'_>) -> Result<()> {
        Bound::check(self.last.as_ref().map(Bound::as_last), entry.key, entry.sequence)?;
        let place = Some((self.identity.number.0, self.output.offset()));
        let output = &mut self.output;
        let len = write_wide(entry, &mut self.encoder, place, |bytes| output.write(bytes))?;
        let mut block = IndexBuilder::default();
        block.add(None, entry.key, len);
        self.index_blocks(&block, Bound { key: entry.key.to_vec(), sequence: entry.sequence })
    }

    /// Bytes written so far, about: for callers that cut their outputs by size.
    pub fn size_bytes(&self) -> u64 {
        self.output.offset() + self.builder.len_bytes() as u64
    }

    /// How many entries were added.
    pub fn entries(&self) -> u64 {
        self.totals.entries + self.builder.entries()
    }

    fn place_own(&mut self) -> Result<()> {
        let part = self.builder.take(Vec::new());
        let buffer = self.place(part)?;
        self.builder.reuse(buffer);
        Ok(())
    }

    /// Puts a part's blocks where the file ends.
    fn place(&mut self, mut part: SstPart) -> Result<Vec<u8>> {
        if let Some(first_key) = part.index.first_key() {
            Bound::check(self.last.as_ref().map(Bound::as_last), first_key, part.first_sequence)?;
        }
        self.filter.add_all(&part.hashes);
        self.totals.add(&part.totals);
        let Some(last) = part.last.take() else { return Ok(part.bytes) };
        let mut begin = 0;
        for len in part.index.lens() {
            let end = begin + len as usize;
            let (block, room) = part.bytes[begin..end].split_at_mut(len as usize - CHECKSUM_BYTES);
            let checksum = checksum_at(self.identity.number.0, self.output.offset() + begin as u64, block);
            room.copy_from_slice(&checksum.to_le_bytes());
            begin = end;
        }
        self.output.exchange(&mut part.bytes)?;
        self.index_blocks(&part.index, last)?;
        Ok(part.bytes)
    }

    fn index_blocks(&mut self, blocks: &IndexBuilder, last: Bound) -> Result<()> {
        if self.last.is_none() {
            self.smallest = blocks.first_key().unwrap_or_default().to_vec();
        }
        self.index.append(self.last.as_ref().map(|last| last.key.as_slice()), blocks);
        self.last = Some(last);
        if self.index.size_bytes() > INDEX_BYTES_MAX {
            return Err(Error::invalid("table has grown beyond what its index can hold").in_file(&self.path));
        }
        Ok(())
    }

    /// Writes index, filter, properties and footer and makes the file's bytes durable; its name is for the caller to make durable.
    pub fn finish(mut self) -> Result<SstSummary> {
        self.builder.end();
        self.place_own()?;
        let (smallest_sequence, largest_sequence) = self.totals.sequences.unwrap_or_default();
        let mut summary = SstSummary {
            entries: self.totals.entries,
            tombstones: self.totals.tombstones,
            payload_bytes: self.totals.payload_bytes,
            smallest: std::mem::take(&mut self.smallest),
            largest: self.last.take().map(|last| last.key).unwrap_or_default(),
            smallest_sequence,
            largest_sequence,
            multi_version: self.totals.multi_version,
            ..SstSummary::default()
        };
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
        let properties = self.properties(&summary).encode();
        footer.properties = self.write_section(&properties)?;
        (_, footer.file_checksum) = self.output.settle()?;
        self.output.write(&footer.encode())?;
        let (size_bytes, _) = self.output.settle()?;
        self.file.sync_data()?;
        self.finished = true;
        summary.size_bytes = size_bytes;
        summary.checksum = footer.file_checksum;
        Ok(summary)
    }

    fn write_section(&mut self, bytes: &[u8]) -> Result<Section> {
        let offset = self.output.offset();
        self.output.write(bytes)?;
        let checksum = checksum_at(self.identity.number.0, offset, bytes);
        Ok(Section { offset, len: bytes.len() as u64, checksum })
    }

    fn properties(&self, summary: &SstSummary) -> Properties {
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
