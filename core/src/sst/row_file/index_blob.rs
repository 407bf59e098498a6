//! The index of a file of rows as bytes, and as its reader keeps it.
//!
//! Encoded by the [`IndexBuilder`](super::IndexBuilder), decoded when a file is opened. The format is in `FORMAT.md`. Promises: no
//! byte is believed before the checksum of all of them matched; no claimed count allocates more than the bytes at hand justify.

use super::super::block_file::{HASH_VERSION, Properties, checksum_at};
use super::super::{Compression, Expected};
use super::groups::{GroupStats, RawGroup};
use super::key_index::KeyIndex;
use super::options::RowFormat;
use super::strides::Strides;
use crate::coding::{Reader, put_bytes, put_u32, put_u64, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Filter, key_hash};
use crate::key::{KeyRange, KeyRows};
use crate::schema::{SchemaId, TableSchema};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"SSTOREri";
const VERSION: u32 = 1;
/// Magic, version and length.
pub const HEADER_BYTES: usize = 20;
const CHECKSUM_BYTES: usize = 4;
/// How many fields every index has.
const FIELDS: usize = 8;
/// The bits of `features_incompatible` that this version understands: none yet.
const FEATURES_UNDERSTOOD: u64 = 0;

/// What is encoded.
pub struct Blob<'a> {
    pub properties: Properties,
    pub format: RowFormat,
    pub compression: Compression,
    pub level: u32,
    pub page_rows: usize,
    pub schema: &'a TableSchema,
    pub strides: &'a Strides,
    pub keys: &'a KeyIndex,
    pub filter: &'a Filter,
    pub groups: &'a [RawGroup],
    pub statistics: Vec<(String, Vec<u8>)>,
}

/// The encoding, as `FORMAT.md` has it.
pub fn encode(blob: &Blob<'_>) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    put_u32(&mut out, VERSION);
    put_u64(&mut out, 0);
    let mut field = |id: u64, write: &dyn Fn(&mut Vec<u8>)| {
        let mut content = Vec::new();
        write(&mut content);
        put_varint(&mut out, id);
        put_bytes(&mut out, &content);
    };
    field(1, &|out| out.extend(blob.properties.encode()));
    field(2, &|out| {
        out.extend([blob.format as u8, blob.compression as u8]);
        put_varint(out, u64::from(blob.level));
        put_varint(out, blob.page_rows as u64);
        put_varint(out, u64::from(blob.schema.id().0));
        put_u64(out, blob.schema.fingerprint());
    });
    field(3, &|out| blob.strides.encode(out));
    field(4, &|out| blob.keys.encode(out));
    field(5, &|out| blob.filter.encode(out));
    field(6, &|out| blob.groups.iter().for_each(|group| group.encode(out)));
    field(7, &|out| {
        for (name, content) in &blob.statistics {
            put_bytes(out, name.as_bytes());
            put_bytes(out, content);
        }
    });
    field(8, &|out| blob.schema.encode(out));
    let len = (out.len() + CHECKSUM_BYTES) as u64;
    out[12..HEADER_BYTES].copy_from_slice(&len.to_le_bytes());
    let checksum = checksum_at(0, 0, &out);
    put_u32(&mut out, checksum);
    out
}

/// The index of an open file.
pub struct RowIndex {
    /// Who made the file from what, and its counts.
    pub properties: Properties,
    /// The file's format.
    pub format: RowFormat,
    /// How it is compressed.
    pub compression: Compression,
    /// The level that it was written for.
    pub level: u32,
    /// The schema of its rows.
    pub schema: Arc<TableSchema>,
    /// Rows of a page of the key index.
    pub page_rows: usize,
    /// The checksums of its data.
    pub strides: Strides,
    /// Which keys it certainly does not hold; says nothing in an append-only table.
    pub filter: Filter,
    /// Its groups in order.
    pub groups: Vec<GroupStats>,
    /// A caller's own statistics.
    pub statistics: Vec<(String, Vec<u8>)>,
    keys: KeyIndex,
    /// Of the encoded keys and groups.
    rows_checksum: u32,
    /// Where each page lies: its group, and its first row there.
    pages: Vec<(u32, u32)>,
}

/// Decodes the index at the front of `bytes`, which lie in the file `path` from `offset` on; returns it with its length. Anything
/// but the index of the expected file is Corruption, a later version NotSupported, an unknown schema Corruption.
pub fn read_blob(
    bytes: &[u8],
    (path, offset): (&Path, u64),
    expected: &Expected,
    schemas: &dyn Fn(SchemaId) -> Option<Arc<TableSchema>>,
) -> Result<(RowIndex, usize)> {
    let bad = |message: &str| Error::corruption(path, offset, message);
    let (fields, len) = verified_fields(bytes, (path, offset))?;
    let properties = properties(fields[0], (path, offset))?;
    if properties.number != expected.number
        || properties.database_id != expected.database_id
        || properties.collection != expected.collection
    {
        return Err(bad("index is that of another file, or of another table"));
    }
    let table = TableFields::decode(fields[1]).ok_or_else(|| bad("index of a table with a malformed field"))?;
    let schema = schemas(table.schema).ok_or_else(|| bad("table with a schema that its database does not know"))?;
    if schema.fingerprint() != table.fingerprint {
        let message = format!(
            "table was written with schema {} of fingerprint {:016x}, the database has {:016x}",
            table.schema.0,
            table.fingerprint,
            schema.fingerprint()
        );
        return Err(bad(&message));
    }
    let malformed = || bad("index of a table with malformed checksums, keys or groups");
    let filter = Filter::decode(fields[4])?.ok_or_else(malformed)?;
    let mut index = RowIndex {
        properties,
        format: table.format,
        compression: table.compression,
        level: table.level,
        page_rows: table.page_rows,
        strides: Strides::decode(fields[2]).ok_or_else(malformed)?,
        filter,
        groups: groups(fields[5], &schema).ok_or_else(malformed)?,
        statistics: statistics(fields[6]).ok_or_else(malformed)?,
        keys: KeyIndex::decode(fields[3]).ok_or_else(malformed)?,
        rows_checksum: crc32fast::hash(&[fields[3], fields[5]].concat()),
        pages: Vec::new(),
        schema,
    };
    index.place_pages().map_err(bad)?;
    Ok((index, len))
}

/// What an index says of its file to somebody who knows nothing of it.
pub struct PeekedIndex {
    /// Who made the file from what, and its counts.
    pub properties: Properties,
    /// The schema of its rows.
    pub schema: Arc<TableSchema>,
    /// The level that it was written for.
    pub level: u32,
}

/// Reads from the index at the front of `bytes`, which lie in the file `path` from `offset` on, whose it is. Errors as [`read_blob`].
pub fn peek_blob(bytes: &[u8], (path, offset): (&Path, u64)) -> Result<PeekedIndex> {
    let bad = |message: &str| Error::corruption(path, offset, message);
    let (fields, _) = verified_fields(bytes, (path, offset))?;
    let properties = properties(fields[0], (path, offset))?;
    let table = TableFields::decode(fields[1]).ok_or_else(|| bad("index of a table with a malformed field"))?;
    let schema = TableSchema::decode(fields[7]).map_err(|error| error.at(path, offset))?;
    if schema.id() != table.schema || schema.fingerprint() != table.fingerprint {
        return Err(bad("index of a table with the encoding of another schema"));
    }
    Ok(PeekedIndex { properties, schema: Arc::new(schema), level: table.level })
}

/// The fields of the index at the front of `bytes`, their checksum verified, and the length of the whole.
fn verified_fields<'a>(bytes: &'a [u8], (path, offset): (&Path, u64)) -> Result<([&'a [u8]; FIELDS], usize)> {
    let bad = |message: &str| Error::corruption(path, offset, message);
    let mut header = Reader::new(bytes);
    if header.take(8) != Some(MAGIC) {
        return Err(bad("no index of a table: magic number missing"));
    }
    let version = header.u32().ok_or_else(|| bad("index of a table ends early"))?;
    let len = header.u64().and_then(|len| usize::try_from(len).ok());
    let blob = len.filter(|len| *len >= HEADER_BYTES + CHECKSUM_BYTES).and_then(|len| bytes.get(..len));
    let (body, checksum) = blob
        .and_then(|blob| blob.split_last_chunk::<CHECKSUM_BYTES>())
        .ok_or_else(|| bad("index of a table has an impossible length"))?;
    if checksum_at(0, 0, body) != u32::from_le_bytes(*checksum) {
        return Err(bad("index of a table does not match its checksum"));
    }
    if version != VERSION {
        return Err(Error::new(ErrorKind::NotSupported, "index of a table has another format version").at(path, offset));
    }
    Ok((fields(&body[HEADER_BYTES..]).map_err(bad)?, body.len() + CHECKSUM_BYTES))
}

/// Decodes properties and refuses those of a later version.
fn properties(bytes: &[u8], (path, offset): (&Path, u64)) -> Result<Properties> {
    let properties = Properties::decode(bytes).map_err(|message| Error::corruption(path, offset, message))?;
    if properties.features_incompatible & !FEATURES_UNDERSTOOD != 0 || properties.hash_version != HASH_VERSION {
        let message = "table uses features that this version of the library does not know";
        return Err(Error::new(ErrorKind::NotSupported, message).at(path, offset));
    }
    Ok(properties)
}

struct TableFields {
    format: RowFormat,
    compression: Compression,
    level: u32,
    page_rows: usize,
    schema: SchemaId,
    fingerprint: u64,
}

impl TableFields {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let fields = Self {
            format: RowFormat::from_byte(reader.u8()?)?,
            compression: Compression::from_byte(reader.u8()?)?,
            level: u32::try_from(reader.varint()?).ok()?,
            page_rows: usize::try_from(reader.varint()?).ok().filter(|rows| (1..=1 << 20).contains(rows))?,
            schema: SchemaId(u32::try_from(reader.varint()?).ok()?),
            fingerprint: reader.u64()?,
        };
        reader.is_empty().then_some(fields)
    }
}

/// The contents of the fields 1 to 8.
fn fields(bytes: &[u8]) -> std::result::Result<[&[u8]; FIELDS], &'static str> {
    const BAD: &str = "index of a table with a malformed field";
    let mut found = [None; FIELDS];
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let id = reader.varint().ok_or(BAD)?;
        let content = reader.bytes().ok_or(BAD)?;
        // A field of a later version is skipped; whether it may be is said by the feature bits.
        let place = usize::try_from(id).ok().and_then(|id| found.get_mut(id.checked_sub(1)?));
        if let Some(place) = place {
            *place = Some(content);
        }
    }
    let mut all: [&[u8]; FIELDS] = [&[]; FIELDS];
    for (content, found) in all.iter_mut().zip(found) {
        *content = found.ok_or("index of a table without a required field")?;
    }
    Ok(all)
}

fn groups(bytes: &[u8], schema: &TableSchema) -> Option<Vec<GroupStats>> {
    let mut reader = Reader::new(bytes);
    let mut groups = Vec::new();
    while !reader.is_empty() {
        groups.push(RawGroup::decode(&mut reader, schema.columns().len())?.into_stats(schema)?);
    }
    Some(groups)
}

fn statistics(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut reader = Reader::new(bytes);
    let mut statistics = Vec::new();
    while !reader.is_empty() {
        let name = std::str::from_utf8(reader.bytes()?).ok()?.to_owned();
        statistics.push((name, reader.bytes()?.to_vec()));
    }
    Some(statistics)
}

impl RowIndex {
    /// Derives where pages lie, and checks that groups, pages and counts fit each other.
    fn place_pages(&mut self) -> std::result::Result<(), &'static str> {
        const BAD: &str = "index of a table whose counts do not add up";
        let rows: u64 = self.groups.iter().map(|group| group.rows as u64).sum();
        let tombstones: u64 = self.groups.iter().map(|group| group.tombstones as u64).sum();
        if rows != self.properties.entries || tombstones != self.properties.tombstones {
            return Err(BAD);
        }
        let keyed = self.schema.is_keyed();
        let ordered = self.groups.iter().all(|group| group.first_key <= group.last_key)
            && self.groups.windows(2).all(|pair| pair[0].last_key <= pair[1].first_key);
        let wanted: usize = match keyed {
            true => self.groups.iter().map(|group| group.rows.div_ceil(self.page_rows)).sum(),
            false => 0,
        };
        if !ordered || wanted != self.keys.len() {
            return Err(BAD);
        }
        if keyed {
            self.pages.reserve_exact(wanted);
            for (index, group) in self.groups.iter().enumerate() {
                self.pages.extend((0..group.rows).step_by(self.page_rows).map(|row| (index as u32, row as u32)));
            }
        }
        Ok(())
    }

    /// The rows of each group that can have keys of `range`, group by group; all rows in an append-only table.
    pub fn rows_in(&self, range: &KeyRange) -> Vec<(usize, Range<usize>)> {
        if !self.schema.is_keyed() {
            return self.groups.iter().enumerate().map(|(index, group)| (index, 0..group.rows)).collect();
        }
        let mut found: Vec<(usize, Range<usize>)> = Vec::new();
        for page in self.keys.pages(range) {
            let (group, rows) = self.page(page);
            match found.last_mut() {
                Some((last, before)) if *last == group => before.end = rows.end,
                _ => found.push((group, rows)),
            }
        }
        found
    }

    /// A key from which on, up to the end of `range`, about `rows` rows of these `groups` (rising) lie; `None` if they have not so
    /// many there. No part that can only be read as a whole is cut by it.
    pub fn key_back(&self, range: &KeyRange, groups: &[usize], rows: usize) -> Option<&[u8]> {
        let mut left = rows;
        for page in self.keys.pages(range).rev() {
            let (group, place) = self.page(page);
            if groups.binary_search(&group).is_err() {
                continue;
            }
            left = left.saturating_sub(place.len());
            if left == 0 && (self.format == RowFormat::Parquet || place.start == 0) {
                return Some(self.keys.separator(page));
            }
        }
        None
    }

    /// The first of about `rows` rows before `end` of a group that are read together, within `bytes` of memory if that can be.
    /// Requires: `end` is not 0.
    pub fn row_back(&self, group: usize, end: usize, rows: usize, bytes: usize) -> usize {
        let stats = &self.groups[group];
        let row_bytes = (stats.payload_bytes as usize / stats.rows.max(1)).max(1);
        let most = bytes / row_bytes;
        if self.format == RowFormat::Ipc && stats.rows <= most {
            return 0;
        }
        let start = end.saturating_sub(rows.min(most).max(1));
        start - start % self.page_rows
    }

    /// Whether the filter admits all these keys.
    pub fn admits(&self, keys: Option<&KeyRows>) -> bool {
        let Some(keys) = keys else { return true };
        (0..keys.len()).all(|row| self.filter.may_contain(key_hash(keys.bytes(row, &mut [0; 8]))))
    }

    /// Whether both indexes say the same of the rows: for an index that was built anew from them.
    pub fn says_the_same_of_rows(&self, other: &Self) -> bool {
        let (own, others) = (&self.properties, &other.properties);
        self.rows_checksum == other.rows_checksum
            && (&own.smallest, own.smallest_sequence) == (&others.smallest, others.smallest_sequence)
            && (&own.largest, own.largest_sequence) == (&others.largest, others.largest_sequence)
            && own.multi_version == others.multi_version
    }

    /// What a reader of this file expects.
    pub fn expected(&self) -> Expected {
        Expected {
            database_id: self.properties.database_id,
            number: self.properties.number,
            size_bytes: None,
            collection: self.properties.collection,
        }
    }

    /// Where a page lies: its group and its rows. Panics if there is no such page.
    fn page(&self, page: usize) -> (usize, Range<usize>) {
        let (group, start) = (self.pages[page].0 as usize, self.pages[page].1 as usize);
        (group, start..self.groups[group].rows.min(start + self.page_rows))
    }

    /// Whether each key has one version, and it is a put.
    pub fn is_plain(&self) -> bool {
        self.properties.is_plain()
    }

    /// Bytes that it holds in memory, without strides and what it shares.
    pub fn resident_bytes(&self) -> usize {
        let groups: usize = self.groups.iter().map(GroupStats::resident_bytes).sum();
        let statistics: usize = self.statistics.iter().map(|(name, content)| name.len() + content.len()).sum();
        let pages = self.pages.capacity() * size_of::<(u32, u32)>();
        size_of::<Self>() + groups + statistics + pages + self.keys.resident_bytes() + self.filter.resident_bytes()
    }
}
