//! Encodes a stretch of entries as blocks that do not know yet where in which file they will lie.
//!
//! Used by the writer for what it is given entry by entry, and by flush, whose threads encode ranges of keys side by side. Promises:
//! a part holds whole blocks; the same entries give the same parts, whoever encodes them. Checksums, which say where a block lies, and
//! the order from part to part are the writer's.

use super::super::SstOptions;
use super::block_builder::{BlockBuilder, write_wide};
use super::codec::Encoder;
use super::index::IndexBuilder;
use crate::error::{Error, Result};
use crate::filter::key_hash;
use crate::key::{Entry, Kind, MAX_KEY_BYTES, MAX_SEQUENCE, MAX_VALUE_BYTES, Sequence, compare};

/// A part of so many bytes is worth writing, and still near when it is.
const PART_BYTES: usize = 512 << 10;

/// Room beyond that for the block that fills a part.
const PART_SLACK_BYTES: usize = 64 << 10;

/// Longer values are not copied into a part.
const PART_VALUE_BYTES_MAX: usize = 256 << 10;

/// What is known of entries in sum.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    pub entries: u64,
    pub tombstones: u64,
    pub payload_bytes: u64,
    /// Least and greatest sequence, if there are entries.
    pub sequences: Option<(Sequence, Sequence)>,
    pub multi_version: bool,
}

impl Totals {
    #[inline]
    pub(super) fn count(&mut self, entry: &Entry<'_>, same_key: bool) {
        self.entries += 1;
        self.tombstones += u64::from(entry.kind == Kind::Delete);
        self.payload_bytes += (entry.key.len() + entry.value.len()) as u64;
        let (least, greatest) = self.sequences.unwrap_or((entry.sequence, entry.sequence));
        self.sequences = Some((least.min(entry.sequence), greatest.max(entry.sequence)));
        self.multi_version |= same_key;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.tombstones += other.tombstones;
        self.payload_bytes += other.payload_bytes;
        self.multi_version |= other.multi_version;
        self.sequences = match (self.sequences, other.sequences) {
            (Some(own), Some(other)) => Some((own.0.min(other.0), own.1.max(other.1))),
            (own, other) => own.or(other),
        };
    }
}

/// Where a stretch of entries ends.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub key: Vec<u8>,
    pub sequence: Sequence,
}

impl Bound {
    /// Whether an entry may come after one that is here: by rising key, then falling sequence; and whether it has its key.
    #[inline]
    pub(super) fn check(last: Option<(&[u8], Sequence)>, key: &[u8], sequence: Sequence) -> Result<bool> {
        let Some((last_key, last_sequence)) = last else { return Ok(false) };
        match compare(last_key, key) {
            std::cmp::Ordering::Less => Ok(false),
            std::cmp::Ordering::Equal if last_sequence > sequence => Ok(true),
            _ => Err(Error::invalid("entries of a table must come by rising key, then falling sequence")),
        }
    }

    pub(super) fn as_last(&self) -> (&[u8], Sequence) {
        (&self.key, self.sequence)
    }
}

/// Whole blocks, and what the file's index, filter and properties shall say of them.
pub struct SstPart {
    /// The blocks, with room for a checksum at the end of each.
    pub(super) bytes: Vec<u8>,
    /// The first block has its whole first key.
    pub(super) index: IndexBuilder,
    /// Of the keys that begin here.
    pub(super) hashes: Vec<u64>,
    /// Entries of a block that is still open may count here or in the next part.
    pub(super) totals: Totals,
    pub(super) first_sequence: Sequence,
    pub(super) last: Option<Bound>,
}

impl SstPart {
    fn new(bytes: Vec<u8>) -> Self {
        let (index, totals) = (IndexBuilder::default(), Totals::default());
        Self { bytes, index, hashes: Vec::new(), totals, first_sequence: 0, last: None }
    }

    /// How many bytes its blocks have.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Its memory, of use for another one.
    pub fn into_buffer(mut self) -> Vec<u8> {
        self.bytes.clear();
        self.bytes
    }
}

/// Makes parts of entries in order. One thread at a time, and not always the same.
pub struct SstPartBuilder {
    encoder: Encoder,
    block: BlockBuilder,
    hashes_keys: bool,
    /// The last entry of the last block that was cut.
    cut: Option<Bound>,
    last_hash: u64,
    part: SstPart,
}

impl SstPartBuilder {
    /// A builder of what a writer with the same options takes. Fails if a codec cannot get its memory.
    pub fn new(options: &SstOptions) -> Result<Self> {
        Ok(Self {
            encoder: Encoder::new(options.compression)?,
            block: BlockBuilder::new(options.block_bytes.clamp(1 << 10, 32 << 10)),
            hashes_keys: options.bloom_bits_per_key != 0,
            cut: None,
            last_hash: 0,
            part: SstPart::new(Vec::new()),
        })
    }

    /// Begins anew, in `buffer`, with keys of any order to those before. Requires: everything was taken.
    pub fn restart(&mut self, buffer: Vec<u8>) {
        debug_assert!(self.block.is_empty() && self.part.bytes.is_empty(), "what was encoded was not taken");
        self.cut = None;
        self.reuse(buffer);
    }

    /// Whether the value is too long to be copied; such an entry goes to [`SstPartBuilder::pass_by`] and then to the writer itself.
    #[inline]
    pub fn is_too_long(entry: &Entry<'_>) -> bool {
        entry.value.len() > PART_VALUE_BYTES_MAX
    }

    /// Adds an entry. Requires: its key is greater than the last one's, or equal with a smaller sequence; anything else, or a
    /// size beyond the limits, is InvalidArgument, and nothing has changed.
    #[inline]
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<()> {
        let same_key = self.check(entry)?;
        self.hash(entry, same_key);
        if self.block.wants_own_block(entry) {
            self.cut_block(same_key);
            self.add_wide(entry)?;
        } else if !self.block.add(entry, self.last_hash, same_key) {
            self.cut_block(same_key);
            // An empty block takes any entry that does not want its own.
            self.block.add(entry, self.last_hash, same_key);
        }
        self.part.totals.count(entry, same_key);
        Ok(())
    }

    /// Ends the block, as the next entry goes to the file by another way. Errors as of `add`.
    pub fn pass_by(&mut self, entry: &Entry<'_>) -> Result<()> {
        let same_key = self.check(entry)?;
        self.hash(entry, same_key);
        self.cut_block(same_key);
        self.part.totals.count(entry, same_key);
        self.cut = Some(Bound { key: entry.key.to_vec(), sequence: entry.sequence });
        Ok(())
    }

    /// Whether what was encoded is enough for a part.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.part.bytes.len() >= PART_BYTES
    }

    /// Bytes of the blocks that were encoded since the last part.
    pub fn len_bytes(&self) -> usize {
        self.part.bytes.len()
    }

    /// How many entries were added since the last part.
    pub fn entries(&self) -> u64 {
        self.part.totals.entries
    }

    /// Ends the last block: no version of its last key follows.
    pub fn end(&mut self) {
        self.cut_block(false);
    }

    /// The blocks that were encoded since the last part. The next ones go into `buffer`, which is empty.
    pub fn take(&mut self, buffer: Vec<u8>) -> SstPart {
        std::mem::replace(&mut self.part, SstPart::new(buffer))
    }

    /// The next blocks go into `buffer`, which is empty. Requires: nothing was encoded since the last part.
    pub fn reuse(&mut self, buffer: Vec<u8>) {
        self.part.bytes = buffer;
    }

    /// Whether the entry has the key of the one before it.
    #[inline]
    fn check(&self, entry: &Entry<'_>) -> Result<bool> {
        if entry.key.len() > MAX_KEY_BYTES || entry.value.len() > MAX_VALUE_BYTES || entry.sequence > MAX_SEQUENCE {
            return Err(Error::invalid("entry of a table with a key, value or sequence beyond the limits"));
        }
        let last = match self.block.is_empty() {
            false => Some((self.block.last_key(), self.block.last_sequence())),
            true => self.cut.as_ref().map(Bound::as_last),
        };
        Bound::check(last, entry.key, entry.sequence)
    }

    #[inline]
    fn hash(&mut self, entry: &Entry<'_>, same_key: bool) {
        if !same_key {
            self.last_hash = key_hash(entry.key);
            if self.hashes_keys {
                self.part.hashes.push(self.last_hash);
            }
        }
    }

    /// Encodes the block that was gathered, if any. `shared`: the next entry has the key of its last one.
    fn cut_block(&mut self, shared: bool) {
        if self.block.is_empty() {
            return;
        }
        let first_key = self.block.first_key().to_vec();
        let first_sequence = self.block.first_sequence();
        let last = Bound { key: self.block.last_key().to_vec(), sequence: self.block.last_sequence() };
        let before = self.cut.as_ref().map(|cut| cut.key.as_slice());
        let shared = shared || before == Some(first_key.as_slice());
        let begin = self.part.bytes.len();
        if begin > 0 && self.part.bytes.capacity() < PART_BYTES {
            // It has more than one block, and may get full: to grow bit by bit would touch twice the memory.
            self.part.bytes.reserve_exact(PART_BYTES + PART_SLACK_BYTES - begin);
        }
        self.block.finish(&mut self.part.bytes, &mut self.encoder, shared);
        self.index_block(begin, &first_key, first_sequence, last);
    }

    fn add_wide(&mut self, entry: &Entry<'_>) -> Result<()> {
        let (begin, bytes) = (self.part.bytes.len(), &mut self.part.bytes);
        write_wide(entry, &mut self.encoder, None, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        let last = Bound { key: entry.key.to_vec(), sequence: entry.sequence };
        self.index_block(begin, entry.key, entry.sequence, last);
        Ok(())
    }

    fn index_block(&mut self, begin: usize, first_key: &[u8], first_sequence: Sequence, last: Bound) {
        let part = &mut self.part;
        let before = if begin == 0 { None } else { self.cut.as_ref().map(|cut| cut.key.as_slice()) };
        if begin == 0 {
            part.first_sequence = first_sequence;
        }
        part.index.add(before, first_key, (part.bytes.len() - begin) as u64);
        part.last = Some(last.clone());
        self.cut = Some(last);
    }
}
