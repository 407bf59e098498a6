//! A table: its footer, its index, and its entries from first to last.
//!
//! Source: `doc/table_format.md` and `table/format.cc` of LevelDB. The last 48 bytes are the handles of the metaindex and the index, padded to 40,
//! and a magic number. The index holds, for each block of entries, a key at or after its last and the block's handle; the metaindex
//! names further blocks, of which there is one at most, a filter. Promises: every block is verified, the filter too, although nobody
//! asks it; entries rise, and begin and end with the keys that the manifest tells of the table, so that a table of another database, or
//! from another time, does not pass for it.

use super::block::{BlockCursor, BlockHandle, Decoder, TRAILER_BYTES};
use super::damage::Reading;
use super::internal_key::InternalKey;
use super::manifest::TableMeta;
use super::names;
use crate::coding::Reader;
use crate::env::{File, FileSystem, read_exact_at};
use crate::error::{Error, Result};
use crate::key::{Entry, Kind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

const FOOTER_BYTES: usize = 48;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;

/// Bytes read at a time.
const WINDOW_BYTES: u64 = 256 << 10;

/// An open table, walked forward.
pub struct Table<'a> {
    reading: Rc<Reading<'a>>,
    meta: TableMeta,
    window: Window,
    decoder: Decoder,
    index: BlockCursor,
    index_offset: u64,
    /// The block at hand, and where it lies.
    block: BlockCursor,
    handle: BlockHandle,
    /// The last sound entry's key.
    last: Vec<u8>,
    /// Whether anything of it was left out.
    skipped: bool,
    /// Bytes of it that were told to be read.
    counted: u64,
    standing: bool,
}

impl<'a> Table<'a> {
    /// Opens the table at `path` and verifies all but its entries.
    pub fn open(files: &dyn FileSystem, path: PathBuf, meta: TableMeta, reading: Rc<Reading<'a>>) -> Result<Self> {
        let file = files.open(&path)?;
        let Footer { metaindex, index, at } = Footer::read(&*file, &meta)?;
        let damaged = |offset: u64, why: &'static str| Error::corruption(&path, offset, why);
        let mut table = Self {
            reading,
            meta,
            window: Window { file, end: at, start: 0, bytes: Vec::new() },
            decoder: Decoder::default(),
            index: BlockCursor::default(),
            index_offset: index.offset,
            block: BlockCursor::default(),
            handle: metaindex,
            last: Vec::new(),
            skipped: false,
            counted: 0,
            standing: false,
        };
        table.verify_meta(metaindex)?;
        table.window.decode(&mut table.decoder, index, &mut table.index.bytes)?;
        table.index.begin().map_err(|why| damaged(index.offset, why))?;
        Ok(table)
    }

    /// Verifies the metaindex and the blocks that it names.
    fn verify_meta(&mut self, metaindex: BlockHandle) -> Result<()> {
        let checked = self.meta_blocks(metaindex);
        self.block = BlockCursor::default();
        // Nothing that they say is needed.
        checked.or_else(|error| self.reading.skip(error, metaindex.len))
    }

    fn meta_blocks(&mut self, metaindex: BlockHandle) -> Result<()> {
        let wrong = |path: &Path, why| Error::corruption(path, metaindex.offset, why);
        let path = self.window.file.path().to_path_buf();
        self.window.decode(&mut self.decoder, metaindex, &mut self.block.bytes)?;
        self.block.begin().map_err(|why| wrong(&path, why))?;
        let mut unused = Vec::new();
        while self.block.advance().map_err(|why| wrong(&path, why))? {
            let handle = BlockHandle::read(&mut Reader::new(self.block.value()));
            let handle = handle.ok_or_else(|| wrong(&path, "a metaindex whose handle is not readable"))?;
            self.window.decode(&mut self.decoder, handle, &mut unused)?;
        }
        Ok(())
    }

    /// How many entries a table holds, about: as many in each block as in its first one. `None` if it does not read well.
    pub fn entries_about(files: &dyn FileSystem, dir: &Path, meta: &TableMeta) -> Option<u64> {
        let (path, _) = names::table(files, dir, meta.number).ok()?;
        let file = files.open(&path).ok()?;
        let Footer { index, at, .. } = Footer::read(&*file, meta).ok()?;
        let mut window = Window { file, end: at, start: 0, bytes: Vec::new() };
        let (mut decoder, mut cursor) = (Decoder::default(), BlockCursor::default());
        let (mut first, mut blocks, mut entries) = (None, 0, 0);
        window.decode(&mut decoder, index, &mut cursor.bytes).ok()?;
        cursor.begin().ok()?;
        while cursor.advance().ok()? {
            first = first.or_else(|| BlockHandle::read(&mut Reader::new(cursor.value())));
            blocks += 1;
        }
        window.decode(&mut decoder, first?, &mut cursor.bytes).ok()?;
        cursor.begin().ok()?;
        while cursor.advance().ok()? {
            entries += 1;
        }
        Some(blocks * entries)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.window.file.path()
    }

    /// Whether it stands on an entry.
    pub fn is_valid(&self) -> bool {
        self.standing
    }

    /// The entry under it. Requires: it stands on one.
    #[inline]
    pub fn entry(&self) -> Entry<'_> {
        let parts = InternalKey::of(self.block.key());
        let InternalKey { key, sequence, kind } =
            parts.unwrap_or(InternalKey { key: &[], sequence: 0, kind: Kind::Delete });
        Entry { key, sequence, kind, value: self.block.value() }
    }

    /// Moves to the next entry that is sound; false at the end. Before the first call it stands before the first entry.
    pub fn advance(&mut self) -> Result<bool> {
        loop {
            let is_first = !self.standing && self.last.is_empty();
            if std::mem::take(&mut self.standing) {
                self.last.clear();
                self.last.extend_from_slice(self.block.key());
            }
            match self.block.advance().and_then(|standing| if standing { self.check_order() } else { Ok(false) }) {
                Ok(true) => {
                    if is_first && !self.skipped && self.block.key() != self.meta.smallest {
                        let error = self.damage("the table does not begin with the key that the manifest tells");
                        self.skipped = true;
                        self.reading.skip(error, 0)?;
                    }
                    self.standing = true;
                    return Ok(true);
                }
                Ok(false) => {}
                Err(why) => {
                    let error = self.damage(why);
                    self.skip(error, self.handle.len)?;
                }
            }
            if !self.next_block()? {
                if !self.skipped && self.last != self.meta.largest {
                    let error = self.damage("the table does not end with the key that the manifest tells");
                    self.skip(error, 0)?;
                }
                self.count(self.meta.size_bytes - self.counted)?;
                return Ok(false);
            }
        }
    }

    /// Tells that so much more of it was read; not more than there is.
    fn count(&mut self, bytes: u64) -> Result<()> {
        let bytes = bytes.min(self.meta.size_bytes - self.counted);
        self.counted += bytes;
        self.reading.meter.read(bytes)
    }

    /// The entry that the block came to must be one, and must come after the last.
    #[inline]
    fn check_order(&self) -> std::result::Result<bool, &'static str> {
        let key = InternalKey::of(self.block.key()).ok_or("an entry whose key is not readable")?;
        match InternalKey::of(&self.last) {
            Some(last) if last >= key => Err("an entry that does not come after the one before it"),
            _ => Ok(true),
        }
    }

    /// Reads the next block that is sound; false if there is none.
    fn next_block(&mut self) -> Result<bool> {
        loop {
            match self.index.advance() {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(why) => {
                    let error = Error::corruption(self.window.file.path(), self.index_offset, why);
                    // How much lies behind the rest of the index nobody can tell.
                    self.skip(error, 0)?;
                    return Ok(false);
                }
            }
            let Some(handle) = BlockHandle::read(&mut Reader::new(self.index.value())) else {
                let why = "an index whose handle is not readable";
                let error = Error::corruption(self.window.file.path(), self.index_offset, why);
                self.skip(error, 0)?;
                continue;
            };
            self.handle = handle;
            // What lies behind the blocks is counted at the end.
            self.count(handle.len.saturating_add(TRAILER_BYTES as u64))?;
            let decoded = self.window.decode(&mut self.decoder, handle, &mut self.block.bytes);
            let begun = decoded.and_then(|()| self.block.begin().map_err(|why| self.damage(why)));
            match begun {
                Ok(()) => return Ok(true),
                Err(error) => self.skip(error, handle.len)?,
            }
        }
    }

    fn damage(&self, why: &str) -> Error {
        Error::corruption(self.window.file.path(), self.handle.offset, why)
    }

    fn skip(&mut self, error: Error, bytes: u64) -> Result<()> {
        self.skipped = true;
        // What is left of the block counts no more.
        self.block = BlockCursor::default();
        self.reading.skip(error, bytes)
    }
}

/// What a table ends with.
struct Footer {
    metaindex: BlockHandle,
    index: BlockHandle,
    /// Where it begins.
    at: u64,
}

impl Footer {
    fn read(file: &dyn File, meta: &TableMeta) -> Result<Self> {
        let len = file.len()?;
        if len < meta.size_bytes || meta.size_bytes < FOOTER_BYTES as u64 {
            let why = format!("the table is {len} bytes, the manifest says {}", meta.size_bytes);
            return Err(Error::corruption(file.path(), len.min(meta.size_bytes), why));
        }
        let at = meta.size_bytes - FOOTER_BYTES as u64;
        let mut footer = [0; FOOTER_BYTES];
        read_exact_at(file, &mut footer, at)?;
        let damaged = |offset: u64, why: &'static str| Error::corruption(file.path(), offset, why);
        let (handles, magic) = footer.split_at(FOOTER_BYTES - 8);
        if Reader::new(magic).u64() != Some(MAGIC) {
            return Err(damaged(at + 40, "the table does not end with LevelDB's magic number"));
        }
        let mut handles = Reader::new(handles);
        match (BlockHandle::read(&mut handles), BlockHandle::read(&mut handles)) {
            (Some(metaindex), Some(index)) => Ok(Self { metaindex, index, at }),
            _ => Err(damaged(at, "a footer that is not readable")),
        }
    }
}

/// A part of the file, read ahead.
struct Window {
    file: Arc<dyn File>,
    /// Where the blocks end and the footer begins.
    end: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Verifies the block at `handle`, and fills `out` with what it holds.
    fn decode(&mut self, decoder: &mut Decoder, handle: BlockHandle, out: &mut Vec<u8>) -> Result<()> {
        let damaged = |file: &dyn File, why: &str| Error::corruption(file.path(), handle.offset, why);
        let Some(stored) = handle.stored_bytes(self.end) else {
            return Err(damaged(&*self.file, "a block beyond the end of the table"));
        };
        if handle.offset < self.start || handle.offset + stored > self.start + self.bytes.len() as u64 {
            let wanted = stored.max(WINDOW_BYTES).min(self.end - handle.offset);
            self.bytes.clear();
            self.bytes.resize(wanted as usize, 0);
            self.start = handle.offset;
            read_exact_at(&*self.file, &mut self.bytes, handle.offset)?;
        }
        let from = (handle.offset - self.start) as usize;
        let stored = &self.bytes[from..from + stored as usize];
        decoder.decode(stored, out).map_err(|why| damaged(&*self.file, why))
    }
}
