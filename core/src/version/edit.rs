//! Edits: lists of changes that take a [`VersionState`](super::VersionState) from one state to the next, all or nothing.
//!
//! Built by `db` from what jobs hand out; one edit is one record of the manifest. The encoding is in `FORMAT.md`. Whether a
//! change makes sense is decided where it is applied, not here.

use super::{CollectionState, Cut, FileMeta, StoredSchema, VersionState};
use crate::coding::{Reader, put_bytes, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{CollectionId, CollectionKind, FileNumber, LogPosition, Sequence};
use std::path::Path;

/// One change of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A writer opened the database under this epoch, greater than every one before.
    Epoch(u64),
    /// Sequences up to this one are in use.
    LastSequence(Sequence),
    /// File numbers below this one are in use.
    NextFileNumber(FileNumber),
    /// Collection ids below this one are in use.
    NextCollectionId(CollectionId),
    /// Log segments below this one are not needed.
    LogFloor(FileNumber),
    /// Recovery ended the log here: nothing at or beyond comes back. `None` forgets the cut.
    Cut(Option<Cut>),
    /// The log is durable up to here: replay must find every record before it, in segments that the floor does not exclude.
    LogDurable(LogPosition),
    /// A new collection, empty.
    CreateCollection {
        /// An id never used before.
        id: CollectionId,
        /// A name that no live collection has.
        name: String,
        /// What it holds.
        kind: CollectionKind,
        /// Whether its writes go through the log.
        logged: bool,
        /// Its options as their owner encodes them.
        options: Vec<u8>,
    },
    /// A table's rows have this schema from now on; files and log records may still name the ones before.
    AddSchema {
        /// Which table.
        collection: CollectionId,
        /// The schema, its number greater than every one before.
        schema: StoredSchema,
    },
    /// The collection and all its files are gone.
    DropCollection(CollectionId),
    /// The collection's entries up to the sequence lie in files: replay skips them.
    FlushedThrough {
        /// Which collection.
        collection: CollectionId,
        /// Up to where.
        sequence: Sequence,
    },
    /// A file came in beside the log when the log was at this sequence. Its own is less, and lies between what the log says: whoever holds that
    /// in one memtable has to begin a new one.
    IngestedAt {
        /// Which collection.
        collection: CollectionId,
        /// When, greater than at every time before.
        sequence: Sequence,
    },
    /// A new file; its place among the runs follows from its sequences.
    AddFile(FileMeta),
    /// The file is not part of its collection any more.
    RemoveFile {
        /// Which collection.
        collection: CollectionId,
        /// Which file.
        number: FileNumber,
    },
}

/// Changes that take effect together, in order. Put removals before the additions that take their place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionEdit {
    /// The changes.
    pub changes: Vec<Change>,
}

/// Tags from here on may be skipped by a reader that does not know them; below, it must refuse.
pub(super) const SKIPPABLE_TAGS: u64 = 64;

/// Why bytes are no edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// A later version wrote what this one cannot read.
    Unknown(&'static str),
    /// Nobody wrote this.
    Damaged(&'static str),
}

pub(super) const SHORT: Undecodable = Undecodable::Damaged("an edit that ends early");

impl Undecodable {
    fn into_error(self, path: &Path, offset: u64) -> Error {
        match self {
            Self::Unknown(what) => {
                Error::new(ErrorKind::NotSupported, format!("written by a later version: {what}")).at(path, offset)
            }
            Self::Damaged(what) => Error::corruption(path, offset, what),
        }
    }
}

mod tag {
    pub const EPOCH: u64 = 1;
    pub const LAST_SEQUENCE: u64 = 2;
    pub const NEXT_FILE_NUMBER: u64 = 3;
    pub const NEXT_COLLECTION_ID: u64 = 4;
    pub const LOG_FLOOR: u64 = 5;
    pub const CUT: u64 = 6;
    pub const CREATE_COLLECTION: u64 = 7;
    pub const DROP_COLLECTION: u64 = 8;
    pub const FLUSHED_THROUGH: u64 = 9;
    pub const ADD_FILE: u64 = 10;
    pub const REMOVE_FILE: u64 = 11;
    pub const ADD_SCHEMA: u64 = 13;
    pub const INGESTED_AT: u64 = 14;
    // Who skips it takes a log that lost its end for a whole one, as every reader did before.
    pub const LOG_DURABLE: u64 = 64;
}

const LOGGED: u64 = 1;
const ROWS: u64 = 2;

impl VersionEdit {
    /// An edit without changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same edit with one more change at its end.
    #[must_use]
    pub fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Adds a change at the end.
    pub fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// The edit that makes `state` out of an empty one.
    pub fn snapshot(state: &VersionState) -> Self {
        let mut edit = Self::new();
        if state.epoch != 0 {
            edit.push(Change::Epoch(state.epoch));
        }
        for CollectionState { id, name, kind, logged, options, schemas, flushed_through, ingested_at, runs } in
            state.collections.values()
        {
            edit.push(Change::CreateCollection {
                id: *id,
                name: name.clone(),
                kind: *kind,
                logged: *logged,
                options: options.clone(),
            });
            for schema in schemas {
                edit.push(Change::AddSchema { collection: *id, schema: schema.clone() });
            }
            edit.push(Change::FlushedThrough { collection: *id, sequence: *flushed_through });
            if *ingested_at != 0 {
                edit.push(Change::IngestedAt { collection: *id, sequence: *ingested_at });
            }
            edit.changes.extend(runs.iter().map(|file| Change::AddFile((**file).clone())));
        }
        edit.push(Change::LastSequence(state.last_sequence));
        edit.push(Change::NextFileNumber(state.next_file_number));
        edit.push(Change::NextCollectionId(state.next_collection_id));
        edit.push(Change::LogFloor(state.log_floor));
        if state.cut.is_some() {
            edit.push(Change::Cut(state.cut));
        }
        if let Some(position) = state.log_durable {
            edit.push(Change::LogDurable(position));
        }
        edit
    }

    /// Appends the encoding of every change.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        for change in &self.changes {
            body.clear();
            put_varint(out, change.encode(&mut body));
            put_bytes(out, &body);
        }
    }

    /// The edit encoded in `bytes`, which lie at `offset` of `path`. NotSupported if a later version wrote it, Corruption
    /// if nobody did.
    pub fn decode(bytes: &[u8], path: &Path, offset: u64) -> Result<Self> {
        Self::decode_changes(bytes).map_err(|cause| cause.into_error(path, offset))
    }

    fn decode_changes(bytes: &[u8]) -> std::result::Result<Self, Undecodable> {
        let mut reader = Reader::new(bytes);
        let mut edit = Self::new();
        while !reader.is_empty() {
            let tag = reader.varint().ok_or(SHORT)?;
            let mut body = Reader::new(reader.bytes().ok_or(SHORT)?);
            let Some(change) = Change::decode(tag, &mut body)? else { continue };
            if !body.is_empty() {
                return Err(Undecodable::Damaged("a change that is too long"));
            }
            edit.push(change);
        }
        Ok(edit)
    }
}

impl Change {
    /// Appends the body; returns the tag.
    fn encode(&self, out: &mut Vec<u8>) -> u64 {
        let mut number = |tag: u64, value: u64| {
            put_varint(out, value);
            tag
        };
        match self {
            Self::Epoch(epoch) => number(tag::EPOCH, *epoch),
            Self::LastSequence(sequence) => number(tag::LAST_SEQUENCE, *sequence),
            Self::NextFileNumber(next) => number(tag::NEXT_FILE_NUMBER, next.0),
            Self::NextCollectionId(next) => number(tag::NEXT_COLLECTION_ID, u64::from(next.0)),
            Self::LogFloor(floor) => number(tag::LOG_FLOOR, floor.0),
            Self::Cut(cut) => {
                if let Some(Cut { segment, offset, sequence }) = cut {
                    put_varint(out, segment.0);
                    put_varint(out, *offset);
                    put_varint(out, *sequence);
                }
                tag::CUT
            }
            Self::LogDurable(LogPosition { segment, offset }) => {
                put_varint(out, segment.0);
                put_varint(out, *offset);
                tag::LOG_DURABLE
            }
            Self::CreateCollection { id, name, kind, logged, options } => {
                put_varint(out, u64::from(id.0));
                let kind = if *kind == CollectionKind::Rows { ROWS } else { 0 };
                put_varint(out, if *logged { LOGGED | kind } else { kind });
                put_bytes(out, name.as_bytes());
                put_bytes(out, options);
                tag::CREATE_COLLECTION
            }
            Self::AddSchema { collection, schema } => {
                put_varint(out, u64::from(collection.0));
                put_varint(out, u64::from(schema.id));
                put_bytes(out, &schema.bytes);
                tag::ADD_SCHEMA
            }
            Self::DropCollection(id) => number(tag::DROP_COLLECTION, u64::from(id.0)),
            Self::FlushedThrough { collection, sequence } => {
                put_varint(out, u64::from(collection.0));
                put_varint(out, *sequence);
                tag::FLUSHED_THROUGH
            }
            Self::IngestedAt { collection, sequence } => {
                put_varint(out, u64::from(collection.0));
                put_varint(out, *sequence);
                tag::INGESTED_AT
            }
            Self::AddFile(meta) => {
                meta.encode(out);
                tag::ADD_FILE
            }
            Self::RemoveFile { collection, number } => {
                put_varint(out, u64::from(collection.0));
                put_varint(out, number.0);
                tag::REMOVE_FILE
            }
        }
    }

    /// The inverse of [`encode`](Self::encode); `None` for a tag that may be skipped.
    fn decode(tag: u64, body: &mut Reader<'_>) -> std::result::Result<Option<Self>, Undecodable> {
        fn varint(body: &mut Reader<'_>) -> std::result::Result<u64, Undecodable> {
            body.varint().ok_or(SHORT)
        }
        fn collection(body: &mut Reader<'_>) -> std::result::Result<CollectionId, Undecodable> {
            let id = varint(body)?;
            u32::try_from(id).map(CollectionId).map_err(|_| Undecodable::Damaged("a collection id beyond 32 bits"))
        }
        Ok(Some(match tag {
            tag::EPOCH => Self::Epoch(varint(body)?),
            tag::LAST_SEQUENCE => Self::LastSequence(varint(body)?),
            tag::NEXT_FILE_NUMBER => Self::NextFileNumber(FileNumber(varint(body)?)),
            tag::NEXT_COLLECTION_ID => Self::NextCollectionId(collection(body)?),
            tag::LOG_FLOOR => Self::LogFloor(FileNumber(varint(body)?)),
            tag::CUT if body.is_empty() => Self::Cut(None),
            tag::CUT => Self::Cut(Some(Cut {
                segment: FileNumber(varint(body)?),
                offset: varint(body)?,
                sequence: varint(body)?,
            })),
            tag::CREATE_COLLECTION => {
                let id = collection(body)?;
                let flags = varint(body)?;
                if flags & !(LOGGED | ROWS) != 0 {
                    return Err(Undecodable::Unknown("a collection with an unknown flag"));
                }
                let name = std::str::from_utf8(body.bytes().ok_or(SHORT)?)
                    .map_err(|_| Undecodable::Damaged("a collection whose name is no text"))?;
                let options = body.bytes().ok_or(SHORT)?.to_vec();
                let kind = if flags & ROWS != 0 { CollectionKind::Rows } else { CollectionKind::Bytes };
                Self::CreateCollection { id, name: name.to_string(), kind, logged: flags & LOGGED != 0, options }
            }
            tag::ADD_SCHEMA => {
                let collection = collection(body)?;
                let id =
                    u32::try_from(varint(body)?).map_err(|_| Undecodable::Damaged("a schema number beyond 32 bits"))?;
                let bytes = body.bytes().ok_or(SHORT)?.into();
                Self::AddSchema { collection, schema: StoredSchema { id, bytes } }
            }
            tag::DROP_COLLECTION => Self::DropCollection(collection(body)?),
            tag::FLUSHED_THROUGH => Self::FlushedThrough { collection: collection(body)?, sequence: varint(body)? },
            tag::INGESTED_AT => Self::IngestedAt { collection: collection(body)?, sequence: varint(body)? },
            tag::ADD_FILE => Self::AddFile(FileMeta::decode(body)?),
            tag::REMOVE_FILE => Self::RemoveFile { collection: collection(body)?, number: FileNumber(varint(body)?) },
            tag::LOG_DURABLE => {
                Self::LogDurable(LogPosition { segment: FileNumber(varint(body)?), offset: varint(body)? })
            }
            skippable if skippable >= SKIPPABLE_TAGS => return Ok(None),
            _ => return Err(Undecodable::Unknown("a change of an unknown kind")),
        }))
    }
}
