//! Opens a block file and looks keys up in it.
//!
//! Called by reads, flush and compaction. Index, filter and properties are read and verified at open and stay in memory; blocks
//! come through the cache. Promises: a lookup reads at most one block for a key with one version, and none if filter or cache
//! answer; a reader shared by many threads takes no lock but the cache's.

use super::super::{Access, BlockCache, Expected, Io, Lookup};
use super::FEATURES_UNDERSTOOD;
use super::block::{Block, CHECKSUM_BYTES, checksum_at, tag};
use super::codec::Decoder;
use super::cursor::SstCursor;
use super::footer::{BadFooter, FOOTER_BYTES, Footer, Section};
use super::index::Index;
use super::properties::{HASH_VERSION, Properties};
use super::whereabouts::Whereabouts;
use crate::env::{Env, File, read_exact_at};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::iter::PinnedBytes;
use crate::key::{FileNumber, Kind, Sequence};
use std::path::Path;
use std::sync::Arc;

/// One open file. Thread safety: all methods may be called from any thread.
pub struct SstReader {
    file: Arc<dyn File>,
    footer: Footer,
    index: Index,
    filter: Filter,
    properties: Properties,
    decoder: Decoder,
    cache: Arc<BlockCache>,
    whereabouts: Whereabouts,
}

/// Bytes read at a time by [`SstReader::verify`].
const VERIFY_BYTES: usize = 1 << 20;

impl SstReader {
    /// Opens the file, which must be the expected one: anything else is Corruption, a later format NotSupported.
    pub fn open(env: &Env, path: &Path, expected: &Expected, cache: Arc<BlockCache>) -> Result<Arc<Self>> {
        let file = env.files.open(path)?;
        let size = file.len()?;
        if let Some(wanted) = expected.size_bytes
            && wanted != size
        {
            return Err(Error::corruption(path, size.min(wanted), format!("table is {size} bytes, not {wanted}")));
        }
        let footer = read_footer(&*file, size)?;
        let footer_offset = size - FOOTER_BYTES as u64;
        if footer.number != expected.number || footer.database_id != expected.database_id {
            let message = format!("table is file {} of another place, not file {}", footer.number, expected.number);
            return Err(Error::corruption(path, footer_offset, message));
        }
        // One read for all three: they follow each other up to the footer.
        let start = footer.index.offset;
        let meta = read_bytes(&*file, start, footer_offset - start)?;
        let bad = |section: &Section, message: &str| Error::corruption(path, section.offset, message);
        let section = |section: &Section, name: &str| {
            let begin = (section.offset - start) as usize;
            let bytes = &meta[begin..begin + section.len as usize];
            if checksum_at(footer.number.0, section.offset, bytes) != section.checksum {
                return Err(bad(section, &format!("{name} of a table does not match its checksum")));
            }
            Ok(bytes)
        };
        let properties = Properties::decode(section(&footer.properties, "properties")?)
            .map_err(|message| bad(&footer.properties, message))?;
        if properties.features_incompatible & !FEATURES_UNDERSTOOD != 0 || properties.hash_version != HASH_VERSION {
            let message = "table uses features that this version of the library does not know";
            return Err(Error::new(ErrorKind::NotSupported, message).in_file(path));
        }
        if properties.number != footer.number
            || properties.database_id != footer.database_id
            || properties.collection != expected.collection
        {
            return Err(bad(&footer.properties, "properties of a table are those of another file or column family"));
        }
        let index = Index::decode(section(&footer.index, "index")?, footer.data.len)
            .map_err(|message| bad(&footer.index, message))?;
        let filter = Filter::decode(section(&footer.filter, "filter")?)?
            .ok_or_else(|| bad(&footer.filter, "filter of a table has an impossible length"))?;
        if (index.len() == 0) != (properties.entries == 0) {
            return Err(bad(&footer.index, "index of a table does not fit its number of entries"));
        }
        let (decoder, whereabouts) = (Decoder::default(), Whereabouts::of_blocks(index.len()));
        Ok(Arc::new(Self { file, footer, index, filter, properties, decoder, cache, whereabouts }))
    }

    /// What the file says of itself, to somebody who knows nothing else. Its footer and its properties are verified, its entries
    /// are not.
    pub fn peek(env: &Env, path: &Path) -> Result<Properties> {
        let file = env.files.open(path)?;
        let footer = read_footer(&*file, file.len()?)?;
        let Section { offset, len, checksum } = footer.properties;
        let bytes = read_bytes(&*file, offset, len)?;
        if checksum_at(footer.number.0, offset, &bytes) != checksum {
            return Err(Error::corruption(path, offset, "properties of a table do not match its checksum"));
        }
        Properties::decode(&bytes).map_err(|message| Error::corruption(path, offset, message))
    }

    /// Finds the newest version of `key` at or below `snapshot`. `hash` is the key's [`key_hash`](crate::filter::key_hash).
    pub fn get(&self, key: &[u8], hash: u64, snapshot: Sequence, io: Io) -> Result<Lookup> {
        let Some(place) = self.locate(key, hash) else { return Ok(Lookup::Absent) };
        self.whereabouts.prefetch(place);
        let Some(block) = self.block(place, io)? else { return Ok(Lookup::WouldBlock) };
        self.find(place, block, key, hash, snapshot, io)
    }

    /// The block where the search for `key` begins; `None` if the key is not here.
    #[inline]
    pub(super) fn locate(&self, key: &[u8], hash: u64) -> Option<usize> {
        (self.filter.may_contain(hash) && self.index.len() > 0).then(|| self.index.first_block_for(key))
    }

    /// Finds `key` in `block`, which is the one at `place`, or in those after it.
    pub(super) fn find(
        &self,
        mut place: usize,
        mut block: Arc<Block>,
        key: &[u8],
        hash: u64,
        snapshot: Sequence,
        io: Io,
    ) -> Result<Lookup> {
        loop {
            let Some(first) = block.find(key, tag(hash)) else { return Ok(Lookup::Absent) };
            let mut index = first;
            while block.sequence(index) > snapshot {
                index += 1;
                if index == block.count() || block.suffix(index) != block.suffix(first) {
                    break;
                }
            }
            if index < block.count() {
                if block.sequence(index) > snapshot || block.suffix(index) != block.suffix(first) {
                    return Ok(Lookup::Absent);
                }
                let value = PinnedBytes::new(&block, |block| block.value(index));
                return Ok(Lookup::Found { sequence: block.sequence(index), kind: block.kind(index), value });
            }
            // The versions of this key may go on in the next block.
            place += 1;
            if !self.index.is_continued(place) {
                return Ok(Lookup::Absent);
            }
            match self.block(place, io)? {
                Some(next) => block = next,
                None => return Ok(Lookup::WouldBlock),
            }
        }
    }

    /// A cursor over all entries.
    pub fn cursor(self: &Arc<Self>, access: Access) -> SstCursor {
        SstCursor::new(self.clone(), access)
    }

    /// Block `index` from the cache, or from disk into the cache; `None` if it is not cached and must not be read.
    #[inline]
    pub(super) fn block(&self, index: usize, io: Io) -> Result<Option<Arc<Block>>> {
        let offset = self.index.place(index).offset;
        if let Some(block) = self.cache.get(self.footer.number, offset) {
            return Ok(Some(block));
        }
        if io == Io::CacheOnly {
            return Ok(None);
        }
        let block = Arc::new(self.read_block(index)?);
        self.whereabouts.note(index, &block);
        self.cache.insert(self.footer.number, offset, block.clone());
        Ok(Some(block))
    }

    fn read_block(&self, index: usize) -> Result<Block> {
        let place = self.index.place(index);
        self.parse_block(index, read_bytes(&*self.file, place.offset, place.len)?)
    }

    /// Verifies and parses the bytes of block `index`.
    pub(super) fn parse_block(&self, index: usize, mut bytes: Vec<u8>) -> Result<Block> {
        let offset = self.index.place(index).offset;
        let bad = |message| Error::corruption(self.path(), offset, message);
        let (body, checksum) =
            bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| bad("block without a checksum"))?;
        if checksum_at(self.footer.number.0, offset, body) != u32::from_le_bytes(*checksum) {
            return Err(bad("block does not match its checksum"));
        }
        bytes.truncate(bytes.len() - CHECKSUM_BYTES);
        Block::parse(bytes, &self.decoder).map_err(bad)
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    pub(super) fn whereabouts(&self) -> &Whereabouts {
        &self.whereabouts
    }

    pub(super) fn file(&self) -> &dyn File {
        &*self.file
    }

    /// What the file says about itself.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The file's number.
    pub fn number(&self) -> FileNumber {
        self.footer.number
    }

    /// The file's size in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.footer.file_bytes()
    }

    /// The checksum of all bytes before the footer, as the footer has it.
    pub fn checksum(&self) -> u32 {
        self.footer.file_checksum
    }

    /// How many entries it holds.
    pub fn entries(&self) -> u64 {
        self.properties.entries
    }

    /// Whether each key has one version, and it is a put.
    pub fn is_plain(&self) -> bool {
        self.properties.is_plain()
    }

    /// Bytes that index, filter and whereabouts of blocks hold in memory while the file is open.
    pub fn resident_bytes(&self) -> usize {
        self.index.resident_bytes()
            + self.filter.resident_bytes()
            + self.whereabouts.resident_bytes()
            + size_of::<Self>()
    }

    /// Bytes of the filter; 0 if there is none.
    pub fn filter_bytes(&self) -> usize {
        self.filter.resident_bytes()
    }

    /// How many blocks of entries it has.
    pub fn block_count(&self) -> usize {
        self.index.len()
    }

    /// Bytes on disk of its blocks, its index, its filter and its properties.
    pub fn section_bytes(&self) -> [u64; 4] {
        let Footer { data, index, filter, properties, .. } = &self.footer;
        [data.len, index.len, filter.len, properties.len]
    }

    /// Checks every byte of the file, from disk: the checksum of the whole, footer, sections and each block, the order of the
    /// entries, and that filter, index and properties are true. Takes as long as reading the file twice.
    pub fn verify(&self) -> Result<()> {
        let size = self.file.len()?;
        let footer_offset = size.saturating_sub(FOOTER_BYTES as u64);
        if size != self.size_bytes() || read_footer(&*self.file, size)? != self.footer {
            return Err(Error::corruption(self.path(), footer_offset, "table has changed since it was opened"));
        }
        self.verify_blocks()?;
        for section in [self.footer.index, self.footer.filter, self.footer.properties] {
            let bytes = read_bytes(&*self.file, section.offset, section.len)?;
            if checksum_at(self.footer.number.0, section.offset, &bytes) != section.checksum {
                return Err(Error::corruption(
                    self.path(),
                    section.offset,
                    "section of a table does not match its checksum",
                ));
            }
        }
        let mut hasher = crc32fast::Hasher::new();
        let mut offset = 0;
        while offset < footer_offset {
            let len = (footer_offset - offset).min(VERIFY_BYTES as u64);
            hasher.update(&read_bytes(&*self.file, offset, len)?);
            offset += len;
        }
        if hasher.finalize() != self.footer.file_checksum {
            return Err(Error::corruption(self.path(), 0, "table does not match the checksum of the whole file"));
        }
        Ok(())
    }

    fn verify_blocks(&self) -> Result<()> {
        let mut last: Option<(Vec<u8>, Sequence)> = None;
        let (mut entries, mut tombstones) = (0u64, 0u64);
        for index in 0..self.index.len() {
            let offset = self.index.place(index).offset;
            let bad = |message| Error::corruption(self.path(), offset, message);
            let block = self.read_block(index)?;
            block.check().map_err(bad)?;
            let first_key = [block.prefix(), block.suffix(0)].concat();
            let before = last.as_ref().map(|(key, _)| key.as_slice());
            if !self.index.separates(index, before, &first_key) {
                return Err(bad("block that does not begin where the index says"));
            }
            if let Some((key, sequence)) = &last
                && (*key > first_key || (*key == first_key && *sequence <= block.sequence(0)))
            {
                return Err(bad("block whose entries belong before those of the block before it"));
            }
            for entry in 0..block.count() {
                let key = [block.prefix(), block.suffix(entry)].concat();
                if !self.filter.may_contain(crate::filter::key_hash(&key)) {
                    return Err(bad("block with a key that the filter denies"));
                }
                tombstones += u64::from(block.kind(entry) == Kind::Delete);
            }
            entries += block.count() as u64;
            let end = block.count() - 1;
            last = Some(([block.prefix(), block.suffix(end)].concat(), block.sequence(end)));
        }
        if entries != self.properties.entries || tombstones != self.properties.tombstones {
            return Err(Error::corruption(
                self.path(),
                self.footer.properties.offset,
                "properties miscount the entries",
            ));
        }
        Ok(())
    }
}

impl Drop for SstReader {
    /// A reader goes when its file does, or its database: its blocks are of no use any more.
    fn drop(&mut self) {
        self.cache.remove_file(self.footer.number, self.index.block_offsets());
    }
}

fn read_footer(file: &dyn File, size: u64) -> Result<Footer> {
    let Some(offset) = size.checked_sub(FOOTER_BYTES as u64) else {
        return Err(Error::corruption(file.path(), size, "table is shorter than its footer"));
    };
    let mut bytes = [0; FOOTER_BYTES];
    read_exact_at(file, &mut bytes, offset)?;
    Footer::decode(&bytes, size).map_err(|bad| match bad {
        BadFooter::Damaged(message) => Error::corruption(file.path(), offset, message),
        BadFooter::Version(version) => {
            let message = format!("table has format version {version}, this library knows {}", super::footer::VERSION);
            Error::new(ErrorKind::NotSupported, message).at(file.path(), offset)
        }
    })
}

/// Reads `len` bytes, which a verified footer or index says are there.
pub(super) fn read_bytes(file: &dyn File, offset: u64, len: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let wanted = usize::try_from(len).ok().filter(|&wanted| bytes.try_reserve_exact(wanted).is_ok());
    let Some(wanted) = wanted else {
        return Err(Error::new(ErrorKind::NoMemory, format!("no memory to read {len} bytes")).at(file.path(), offset));
    };
    bytes.resize(wanted, 0);
    read_exact_at(file, &mut bytes, offset)?;
    Ok(bytes)
}
