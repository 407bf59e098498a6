//! Splits as bytes: see `FORMAT.md`.

use super::literal::{decode_filter, encode_filter, text};
use super::{Split, SplitFile};
use crate::coding::{Reader, put_bytes, put_u32, put_u64, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, KeyRange, MAX_SEQUENCE};
use crate::schema::TableSchema;
use crate::version::{FileMeta, file_name};
use std::path::PathBuf;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"SSTOREsp";
const VERSION: u32 = 1;

mod tag {
    pub const DATABASE: u64 = 1;
    pub const TABLE: u64 = 2;
    pub const SCHEMA: u64 = 3;
    pub const LOWER: u64 = 4;
    pub const UPPER: u64 = 5;
    pub const COLUMNS: u64 = 6;
    pub const FILTER: u64 = 7;
    pub const BATCH_ROWS: u64 = 8;
    pub const FILE: u64 = 9;
    pub const ESTIMATES: u64 = 10;
    pub const REVERSE: u64 = 11;
}

impl Split {
    /// The split as bytes, for another process. InvalidArgument if its path is no UTF-8, NotSupported if a literal has no encoding.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut out = MAGIC.to_vec();
        put_u32(&mut out, VERSION);
        let mut field = |tag: u64, content: &[u8]| {
            put_varint(&mut out, tag);
            put_bytes(&mut out, content);
        };
        let database = self.database.to_str();
        let database =
            database.ok_or_else(|| Error::invalid("the path of a split must be UTF-8").in_file(&self.database))?;
        field(tag::DATABASE, database.as_bytes());
        let mut table = Vec::new();
        put_u64(&mut table, self.database_id);
        put_varint(&mut table, u64::from(self.collection.0));
        put_varint(&mut table, self.sequence);
        table.extend_from_slice(self.table.as_bytes());
        field(tag::TABLE, &table);
        let mut schema = Vec::new();
        self.schema.encode(&mut schema);
        field(tag::SCHEMA, &schema);
        for (tag, bound) in [(tag::LOWER, &self.range.lower), (tag::UPPER, &self.range.upper)] {
            bound.iter().for_each(|bound| field(tag, bound));
        }
        if let Some(columns) = &self.columns {
            let mut names = Vec::new();
            columns.iter().for_each(|name| put_bytes(&mut names, name.as_bytes()));
            field(tag::COLUMNS, &names);
        }
        if let Some(filter) = &self.filter {
            let mut encoded = Vec::new();
            encode_filter(filter, 0, &mut encoded)?;
            field(tag::FILTER, &encoded);
        }
        let numbers = |numbers: &[u64]| {
            let mut encoded = Vec::new();
            numbers.iter().for_each(|&number| put_varint(&mut encoded, number));
            encoded
        };
        field(tag::BATCH_ROWS, &numbers(&[self.batch_rows as u64]));
        for SplitFile { meta, groups } in &self.files {
            let mut encoded = Vec::new();
            let mut described = Vec::new();
            meta.encode(&mut described);
            put_bytes(&mut encoded, &described);
            if let Some(groups) = groups {
                encoded.extend(numbers(&[groups.start as u64, groups.end as u64]));
            }
            field(tag::FILE, &encoded);
        }
        field(tag::ESTIMATES, &numbers(&[self.estimated_rows, self.estimated_bytes]));
        if self.reverse {
            field(tag::REVERSE, &[]);
        }
        let checksum = crc32fast::hash(&out);
        put_u32(&mut out, checksum);
        Ok(out)
    }

    /// What [`encode`](Self::encode) wrote, all of `bytes`. Corruption for anything else, NotSupported for a later version's.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let bad = |what: &str| Error::new(ErrorKind::Corruption, format!("no split: {what}"));
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or_else(|| bad("it ends early"))?;
        let mut reader = Reader::new(body);
        if reader.take(8) != Some(MAGIC) {
            return Err(bad("magic number missing"));
        }
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err(bad("its checksum does not match"));
        }
        if reader.u32() != Some(VERSION) {
            return Err(Error::new(ErrorKind::NotSupported, "a split of another format version"));
        }
        let mut fields = Vec::new();
        while !reader.is_empty() {
            let field = reader.varint().zip(reader.bytes());
            let (tag, content) = field.ok_or_else(|| bad("a field is cut off"))?;
            if !(tag::DATABASE..=tag::REVERSE).contains(&tag) {
                return Err(Error::new(ErrorKind::NotSupported, "a split with a field of a later version"));
            }
            fields.push((tag, content));
        }
        let one = |tag: u64| fields.iter().find(|field| field.0 == tag).map(|field| field.1);
        let schema = TableSchema::decode(one(tag::SCHEMA).ok_or_else(|| bad("it has no schema"))?)?;
        decode_fields(&fields, &one, schema).ok_or_else(|| bad("a field is missing or malformed"))
    }
}

fn decode_fields<'a>(
    fields: &[(u64, &'a [u8])],
    one: &dyn Fn(u64) -> Option<&'a [u8]>,
    schema: TableSchema,
) -> Option<Split> {
    let mut table = Reader::new(one(tag::TABLE)?);
    let database_id = table.u64()?;
    let collection = CollectionId(u32::try_from(table.varint()?).ok()?);
    let sequence = table.varint().filter(|sequence| *sequence <= MAX_SEQUENCE)?;
    let name = String::from_utf8(table.rest().to_vec()).ok()?;
    // It becomes part of a path.
    file_name::check_collection_name(&name).ok()?;
    let columns = match one(tag::COLUMNS) {
        None => None,
        Some(content) => {
            let mut reader = Reader::new(content);
            let mut columns = Vec::new();
            while !reader.is_empty() {
                columns.push(text(&mut reader)?);
            }
            Some(columns)
        }
    };
    let filter = match one(tag::FILTER) {
        None => None,
        Some(content) => {
            let mut reader = Reader::new(content);
            let filter = decode_filter(&mut reader, 0)?;
            Some(reader.is_empty().then_some(filter)?)
        }
    };
    let files = fields.iter().filter(|field| field.0 == tag::FILE).map(|field| decode_file(field.1));
    let files = files.collect::<Option<Vec<_>>>()?;
    let [batch_rows] = numbers(one(tag::BATCH_ROWS)?)?;
    let [estimated_rows, estimated_bytes] = numbers(one(tag::ESTIMATES)?)?;
    Some(Split {
        database: PathBuf::from(std::str::from_utf8(one(tag::DATABASE)?).ok()?),
        database_id,
        table: name,
        collection,
        sequence,
        schema: Arc::new(schema),
        range: KeyRange { lower: one(tag::LOWER).map(<[u8]>::to_vec), upper: one(tag::UPPER).map(<[u8]>::to_vec) },
        columns,
        filter,
        reverse: one(tag::REVERSE).is_some(),
        batch_rows: usize::try_from(batch_rows).ok()?,
        files,
        estimated_rows,
        estimated_bytes,
    })
}

fn decode_file(content: &[u8]) -> Option<SplitFile> {
    let mut reader = Reader::new(content);
    let meta = FileMeta::from_bytes(reader.bytes()?)?;
    if reader.is_empty() {
        return Some(SplitFile { meta, groups: None });
    }
    let [start, end] = numbers(reader.rest())?;
    let groups = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
    Some(SplitFile { meta, groups: Some(groups) })
}

/// Exactly so many numbers.
fn numbers<const N: usize>(content: &[u8]) -> Option<[u64; N]> {
    let mut reader = Reader::new(content);
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = reader.varint()?;
    }
    reader.is_empty().then_some(numbers)
}
