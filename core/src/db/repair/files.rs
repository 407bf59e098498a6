//! Everything in a directory that might be a file of a database: found by its place, known by what it says of itself, and read to
//! its last byte before it counts as good.

use super::super::meter::Meter;
use crate::env::{Env, FileSystem};
use crate::error::{Error, Result};
use crate::key::CollectionKind;
#[cfg(feature = "arrow")]
use crate::schema::TableSchema;
use crate::sst::{BlockCache, Expected, Properties, SstReader};
#[cfg(feature = "arrow")]
use crate::sst::{RowCache, RowFileExpected, RowFileReader};
#[cfg(feature = "arrow")]
use crate::version::file_name::{self, UNFINISHED_SUFFIX};
use crate::version::file_name::{FAMILIES_DIR, IPC_DATA, IPC_INDEX, TABLES_DIR};
use crate::version::{FileFormat, FileMeta};
use std::path::{Path, PathBuf};
#[cfg(feature = "arrow")]
use std::sync::Arc;

/// Bytes of cache that the check of a file may use: each block is read once.
const CACHE_BYTES: usize = 1 << 20;

/// A file that was found.
pub(super) struct FoundFile {
    pub path: PathBuf,
    /// The name of its family or table, which is that of its directory.
    pub collection: String,
    pub kind: CollectionKind,
    /// What it says of itself, if that much can be read.
    pub properties: Option<Properties>,
    /// What a manifest says of it, if it is good; else why not.
    pub meta: Result<FileMeta>,
    /// The schema of its rows.
    #[cfg(feature = "arrow")]
    pub schema: Option<Arc<TableSchema>>,
}

/// Where something lies that has a name of ours.
pub(super) struct Place {
    path: PathBuf,
    collection: String,
    /// Of a table's: the directory within the table's that it lies in.
    inner: Option<String>,
    /// Its length, that of an index beside it included.
    pub bytes: u64,
}

/// Finds everything in the database directory `source` that has a name of ours. What cannot be listed holds nothing.
pub(super) fn list_places(env: &Env, source: &Path) -> Vec<Place> {
    let files = &*env.files;
    let len = |path: &Path| files.file_len(path).ok().flatten().unwrap_or(0);
    let mut found = Vec::new();
    let families = source.join(FAMILIES_DIR);
    for name in list(files, &families) {
        let dir = families.join(&name);
        for file in list(files, &dir).into_iter().filter(|file| file.ends_with(".sst")) {
            let path = dir.join(file);
            found.push(Place { bytes: len(&path), path, collection: name.clone(), inner: None });
        }
    }
    let tables = source.join(TABLES_DIR);
    for name in list(files, &tables) {
        let table = tables.join(&name);
        for inner in list(files, &table) {
            let dir = table.join(&inner);
            for file in list(files, &dir) {
                if file == IPC_DATA || file.ends_with(".parquet") {
                    let index = if file == IPC_DATA { len(&dir.join(IPC_INDEX)) } else { 0 };
                    let path = dir.join(file);
                    let bytes = len(&path) + index;
                    found.push(Place { bytes, path, collection: name.clone(), inner: Some(inner.clone()) });
                }
            }
        }
    }
    found
}

/// Reads each to its last byte.
pub(super) fn check(env: &Env, places: Vec<Place>, meter: &mut Meter<'_>) -> Result<Vec<FoundFile>> {
    let check = |place: Place| {
        let found = match &place.inner {
            None => check_blocks(env, place.path, &place.collection),
            Some(inner) => check_rows(env, place.path, &place.collection, inner),
        };
        meter.reach(meter.done() + place.bytes).map(|()| found)
    };
    places.into_iter().map(check).collect()
}

fn list(files: &dyn FileSystem, dir: &Path) -> Vec<String> {
    files.list(dir).unwrap_or_default()
}

/// What is the same of every format.
fn meta_of(properties: &Properties, format: FileFormat) -> FileMeta {
    FileMeta {
        number: properties.number,
        collection: properties.collection,
        entries: properties.entries,
        tombstones: properties.tombstones,
        payload_bytes: properties.payload_bytes,
        smallest: properties.smallest.clone(),
        largest: properties.largest.clone(),
        smallest_sequence: properties.smallest_sequence,
        largest_sequence: properties.largest_sequence,
        multi_version: properties.multi_version,
        format,
        ..FileMeta::default()
    }
}

fn check_blocks(env: &Env, path: PathBuf, collection: &str) -> FoundFile {
    let peeked = SstReader::peek(env, &path);
    let meta = peeked.as_ref().map_err(Error::clone).and_then(|properties| {
        let reader = SstReader::open(env, &path, &Expected::of(properties), BlockCache::new(CACHE_BYTES))?;
        reader.verify()?;
        Ok(FileMeta {
            size_bytes: reader.size_bytes(),
            checksum: reader.checksum(),
            // Merges choose by size and age; the level is for people, and is not in the file.
            level: u32::from(!properties.inputs.is_empty()),
            ..meta_of(properties, FileFormat::Blocks)
        })
    });
    FoundFile {
        path,
        collection: collection.to_owned(),
        kind: CollectionKind::Bytes,
        properties: peeked.ok(),
        meta,
        #[cfg(feature = "arrow")]
        schema: None,
    }
}

#[cfg(feature = "arrow")]
fn check_rows(env: &Env, path: PathBuf, collection: &str, inner: &str) -> FoundFile {
    let peeked = RowFileReader::peek(env, &path);
    let meta = peeked.as_ref().map_err(Error::clone).and_then(|peeked| {
        if inner.ends_with(UNFINISHED_SUFFIX) {
            return Err(Error::invalid("it was being written or removed"));
        }
        let wanted = RowFileExpected { file: Expected::of(&peeked.properties), ..RowFileExpected::default() };
        let schemas = |id| (id == peeked.schema.id()).then(|| peeked.schema.clone());
        let reader = RowFileReader::open(env, &path, &wanted, &schemas, RowCache::new(CACHE_BYTES))?;
        reader.verify()?;
        let number = peeked.properties.number;
        let (format, stamp_nanos) = match reader.format() {
            crate::sst::RowFormat::Parquet => (FileFormat::Parquet, 0),
            // A directory that somebody renamed gets a name of ours, which no clock has given out.
            crate::sst::RowFormat::Ipc => (
                FileFormat::Ipc,
                file_name::parse_stamp(inner).unwrap_or(file_name::STAMP_MIN_NANOS.saturating_add(number.0)),
            ),
        };
        Ok(FileMeta {
            size_bytes: reader.size_bytes(),
            checksum: reader.checksum(),
            footer_offset: reader.index_offset(),
            rows: reader.rows(),
            schema_id: peeked.schema.id().0,
            level: peeked.level,
            stamp_nanos,
            ..meta_of(&peeked.properties, format)
        })
    });
    let (properties, schema) = match peeked {
        Ok(peeked) => (Some(peeked.properties), Some(peeked.schema)),
        Err(_) => (None, None),
    };
    FoundFile { path, collection: collection.to_owned(), kind: CollectionKind::Rows, properties, meta, schema }
}

#[cfg(not(feature = "arrow"))]
fn check_rows(_env: &Env, path: PathBuf, collection: &str, _inner: &str) -> FoundFile {
    let message = "this library was built without Arrow";
    FoundFile {
        path,
        collection: collection.to_owned(),
        kind: CollectionKind::Rows,
        properties: None,
        meta: Err(Error::new(crate::error::ErrorKind::NotSupported, message)),
    }
}
