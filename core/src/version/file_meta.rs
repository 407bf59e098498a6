//! What the manifest knows about one table file: enough to plan a read, a compaction or a check without opening it.
//!
//! Made by the jobs that write files, kept in [`CollectionState`](super::CollectionState), encoded by [`edit`](super::edit).

use crate::coding::{Reader, put_bytes, put_varint};
use crate::key::{CollectionId, FileNumber, MAX_KEY_BYTES, MAX_SEQUENCE, Sequence};

/// One live file of a collection. Plain data; never changed once it is in a state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileMeta {
    /// Its number, which names it.
    pub number: FileNumber,
    /// The collection it belongs to.
    pub collection: CollectionId,
    /// How many merges its oldest part has been through; 0 for a flushed file. Says nothing about order or path.
    pub level: u32,
    /// The length of the file in bytes.
    pub size_bytes: u64,
    /// The checksum of the whole file.
    pub checksum: u32,
    /// Entries in it: versions of keys, tombstones included. Never 0.
    pub entries: u64,
    /// Entries that delete a key.
    pub tombstones: u64,
    /// Bytes of its keys and values before any compression.
    pub payload_bytes: u64,
    /// Its least key, whole.
    pub smallest: Vec<u8>,
    /// Its greatest key, whole.
    pub largest: Vec<u8>,
    /// The least sequence in it.
    pub smallest_sequence: Sequence,
    /// The greatest sequence in it.
    pub largest_sequence: Sequence,
    /// Whether some key has more than one version in it.
    pub multi_version: bool,
    /// Rows of a table in it; 0 for a family.
    pub rows: u64,
    /// The schema of its rows; 0 for a family.
    pub schema_id: u32,
    /// For an ingested file: the sequence that all its entries count as, whatever the file says.
    pub sequence_override: Option<Sequence>,
    /// Where its footer begins, if its format does not fix that; else 0.
    pub footer_offset: u64,
    /// Range deletes in it.
    pub range_deletes: u64,
    /// How it is encoded.
    pub format: FileFormat,
    /// For a file of format [`FileFormat::Ipc`]: the time that names its directory, in nanoseconds since 1970; else 0.
    pub stamp_nanos: u64,
}

/// How a live file is encoded. The numbers are on disk and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum FileFormat {
    /// Sorted blocks of byte entries.
    #[default]
    Blocks = 0,
    /// Rows in Parquet.
    Parquet = 1,
    /// Rows in an Arrow IPC file.
    Ipc = 2,
}

const MULTI_VERSION: u64 = 1;

/// Optional fields, tagged. Below [`SKIPPABLE_TAGS`](super::edit::SKIPPABLE_TAGS) a reader must know them.
mod tag {
    pub const ROWS: u64 = 1;
    pub const SCHEMA_ID: u64 = 2;
    pub const SEQUENCE_OVERRIDE: u64 = 3;
    pub const FOOTER_OFFSET: u64 = 4;
    pub const RANGE_DELETES: u64 = 5;
    pub const FORMAT: u64 = 6;
    pub const STAMP_NANOS: u64 = 7;
}

impl FileMeta {
    /// The greatest sequence that its entries count as.
    pub fn newest_sequence(&self) -> Sequence {
        self.sequence_override.unwrap_or(self.largest_sequence)
    }

    /// The least sequence that its entries count as.
    pub fn oldest_sequence(&self) -> Sequence {
        self.sequence_override.unwrap_or(self.smallest_sequence)
    }

    /// Whether some key may lie in both files.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.smallest <= other.largest && other.smallest <= self.largest
    }

    /// What is impossible about it, if anything is.
    pub(super) fn defect(&self) -> Option<&'static str> {
        if self.entries == 0 {
            return Some("a file without entries");
        }
        if self.tombstones > self.entries {
            return Some("a file with more tombstones than entries");
        }
        if self.smallest > self.largest || self.largest.len() > MAX_KEY_BYTES || self.smallest.len() > MAX_KEY_BYTES {
            return Some("a file with an impossible key range");
        }
        if self.smallest_sequence > self.largest_sequence
            || self.newest_sequence().max(self.largest_sequence) > MAX_SEQUENCE
        {
            return Some("a file with an impossible range of sequences");
        }
        None
    }

    /// Appends the encoding, as `FORMAT.md` has it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.number.0);
        put_varint(out, u64::from(self.collection.0));
        put_varint(out, u64::from(self.level));
        put_varint(out, self.size_bytes);
        put_varint(out, u64::from(self.checksum));
        put_varint(out, self.entries);
        put_varint(out, self.tombstones);
        put_varint(out, self.payload_bytes);
        put_varint(out, self.smallest_sequence);
        put_varint(out, self.largest_sequence);
        put_varint(out, if self.multi_version { MULTI_VERSION } else { 0 });
        put_bytes(out, &self.smallest);
        put_bytes(out, &self.largest);
        let mut optional = |tag: u64, value: Option<u64>| {
            if let Some(value) = value {
                let mut body = Vec::with_capacity(10);
                put_varint(&mut body, value);
                put_varint(out, tag);
                put_bytes(out, &body);
            }
        };
        let unless_zero = |value: u64| (value != 0).then_some(value);
        optional(tag::ROWS, unless_zero(self.rows));
        optional(tag::SCHEMA_ID, unless_zero(u64::from(self.schema_id)));
        optional(tag::SEQUENCE_OVERRIDE, self.sequence_override);
        optional(tag::FOOTER_OFFSET, unless_zero(self.footer_offset));
        optional(tag::RANGE_DELETES, unless_zero(self.range_deletes));
        optional(tag::FORMAT, unless_zero(self.format as u64));
        optional(tag::STAMP_NANOS, unless_zero(self.stamp_nanos));
    }

    /// What [`encode`](Self::encode) wrote, all of `bytes`; `None` if nobody did, or a later version.
    #[cfg_attr(not(feature = "arrow"), expect(dead_code, reason = "only splits of tables hold such bytes"))]
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::decode(&mut Reader::new(bytes)).ok().filter(|meta| meta.defect().is_none())
    }

    /// The inverse of [`encode`](Self::encode); all of `reader` belongs to it.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, super::edit::Undecodable> {
        use super::edit::{SHORT, SKIPPABLE_TAGS, Undecodable};
        fn varint(reader: &mut Reader<'_>) -> Result<u64, Undecodable> {
            reader.varint().ok_or(SHORT)
        }
        fn narrow(value: u64) -> Result<u32, Undecodable> {
            u32::try_from(value).map_err(|_| Undecodable::Damaged("a field of a file beyond 32 bits"))
        }
        let mut meta = Self {
            number: FileNumber(varint(reader)?),
            collection: CollectionId(narrow(varint(reader)?)?),
            level: narrow(varint(reader)?)?,
            size_bytes: varint(reader)?,
            checksum: narrow(varint(reader)?)?,
            entries: varint(reader)?,
            tombstones: varint(reader)?,
            payload_bytes: varint(reader)?,
            smallest_sequence: varint(reader)?,
            largest_sequence: varint(reader)?,
            ..Self::default()
        };
        let flags = varint(reader)?;
        if flags & !MULTI_VERSION != 0 {
            return Err(Undecodable::Unknown("a file with an unknown flag"));
        }
        meta.multi_version = flags & MULTI_VERSION != 0;
        meta.smallest = reader.bytes().ok_or(SHORT)?.to_vec();
        meta.largest = reader.bytes().ok_or(SHORT)?.to_vec();
        while !reader.is_empty() {
            let tag = varint(reader)?;
            let mut body = Reader::new(reader.bytes().ok_or(SHORT)?);
            match tag {
                tag::ROWS => meta.rows = varint(&mut body)?,
                tag::SCHEMA_ID => meta.schema_id = narrow(varint(&mut body)?)?,
                tag::SEQUENCE_OVERRIDE => meta.sequence_override = Some(varint(&mut body)?),
                tag::FOOTER_OFFSET => meta.footer_offset = varint(&mut body)?,
                tag::RANGE_DELETES => meta.range_deletes = varint(&mut body)?,
                tag::FORMAT => {
                    meta.format = match varint(&mut body)? {
                        1 => FileFormat::Parquet,
                        2 => FileFormat::Ipc,
                        _ => return Err(Undecodable::Unknown("a file of an unknown format")),
                    }
                }
                tag::STAMP_NANOS => meta.stamp_nanos = varint(&mut body)?,
                SKIPPABLE_TAGS.. => continue,
                _ => return Err(Undecodable::Unknown("a file with an unknown field")),
            }
            if !body.is_empty() {
                return Err(Undecodable::Damaged("a field of a file that is too long"));
            }
        }
        Ok(meta)
    }
}
