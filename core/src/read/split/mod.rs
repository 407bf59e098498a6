//! Splits: pieces of a scan that stand for themselves. Bytes in, bytes out; whoever can read the files can run one.
//!
//! Made by [`plan_splits`] from a pinned view, for `db`; run by any process, beside a live writer or without one. Promises: the
//! splits of a scan share no row, and together they show what the scan shows; a split that runs reads exactly the files that it was
//! made for, or fails: it knows their sizes and checksums.
#![doc = include_str!("FORMAT.md")]

mod encoding;
mod literal;
mod plan;

pub use plan::plan_splits;

use super::filter::Filter;
use super::scan::{RowScan, ScanPlan, ScanRequest};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::key::{CollectionId, KeyRange, MemtableId, Sequence};
use crate::memtable::{ArenaPool, MemtableKind, MemtableOptions, create_any};
use crate::schema::TableSchema;
use crate::sst::{Access, AnySstReader, Expected, RowCache, RowFileExpected, RowFileReader};
use crate::version::{FileMeta, file_name};
use crate::view::{CollectionView, Run};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A piece of a scan of a table at one sequence. Plain data. It is good as long as its files lie where they lay: until then
/// somebody must keep them (`LiveFiles`, an export, a copy).
#[derive(Debug, Clone)]
pub struct Split {
    /// The directory of the database, as it was opened. May be changed, where it is known under another path.
    pub database: PathBuf,
    /// The id of the database.
    pub database_id: u64,
    /// The name of the table.
    pub table: String,
    /// The id of the table.
    pub collection: CollectionId,
    /// Rows up to this sequence are shown.
    pub sequence: Sequence,
    /// The schema that the scan was made under.
    pub schema: Arc<TableSchema>,
    /// The encoded keys of this split; of no meaning in an append-only table.
    pub range: KeyRange,
    /// The columns to hand out; `None`: all of them.
    pub columns: Option<Vec<String>>,
    /// Which rows.
    pub filter: Option<Filter>,
    /// From the end, as the scan that it is a part of.
    pub reverse: bool,
    /// The most rows of one batch.
    pub batch_rows: usize,
    /// The files to read, newest first.
    pub files: Vec<SplitFile>,
    /// Rows in the part of the files that it reads, about: versions and deletes, before any filter.
    pub estimated_rows: u64,
    /// Bytes of that part, about.
    pub estimated_bytes: u64,
}

/// A file that a split reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitFile {
    /// What the manifest said of it.
    pub meta: FileMeta,
    /// In an append-only table: the groups of it that belong to the split. `None`: all that the keys touch.
    pub groups: Option<Range<usize>>,
}

impl Split {
    /// Opens the files, read-only, without a look at manifest, lock or log, and scans them. `cache_bytes` is what it may keep of them in
    /// memory beside the batches.
    ///
    /// Corruption if a file is missing, or is not to the byte the one that the split was made for.
    pub fn run(&self, env: &Env, cache_bytes: usize) -> Result<RowScan> {
        let cache = RowCache::new(cache_bytes);
        let directory = file_name::table_dir(&self.database, &self.table);
        let runs = self.files.iter().map(|file| self.open(env, &directory, &file.meta, &cache));
        let runs: Vec<Run> = runs.collect::<Result<_>>()?;
        // Nothing is in memory: everything up to the sequence was flushed before.
        let memory = MemtableOptions { hash_seed: 0, pool: ArenaPool::new(0) };
        let (_, active) = create_any(&MemtableKind::Rows(self.schema.clone()), MemtableId(0), &memory)?;
        let view = CollectionView { collection: self.collection, active, frozen: Vec::new(), runs };
        let request = ScanRequest {
            columns: self.columns.clone(),
            range: self.range.clone(),
            filter: self.filter.clone(),
            limit: None,
            reverse: self.reverse,
            batch_rows: self.batch_rows,
            access: Access::Scan,
            ..ScanRequest::default()
        };
        let mut plan = ScanPlan::new(Arc::new(view), self.schema.clone(), self.sequence, request)?;
        for file in &self.files {
            if let Some(groups) = &file.groups {
                plan.keep_groups(file.meta.number, groups);
            }
        }
        plan.run()
    }

    fn open(&self, env: &Env, directory: &Path, meta: &FileMeta, cache: &Arc<RowCache>) -> Result<Run> {
        let path = file_name::file_path(directory, meta);
        let expected = RowFileExpected {
            file: Expected {
                database_id: self.database_id,
                number: meta.number,
                size_bytes: Some(meta.size_bytes),
                collection: self.collection,
            },
            checksum: Some(meta.checksum),
            index_offset: Some(meta.footer_offset),
        };
        let missing = |error: Error| match error.kind() {
            crate::error::ErrorKind::NotFound => error
                .with_kind(crate::error::ErrorKind::Corruption)
                .context("a file of the split is gone: it was not kept while the split was to run"),
            _ => error,
        };
        // It was written under the schema that it holds, which may be an older one than that of the scan.
        let peeked = RowFileReader::peek(env, &path).map_err(missing)?;
        let schemas = |id| (id == peeked.schema.id()).then(|| peeked.schema.clone());
        let reader = RowFileReader::open(env, &path, &expected, &schemas, cache.clone()).map_err(missing)?;
        Ok(Run { meta: Arc::new(meta.clone()), reader: AnySstReader::Rows(reader) })
    }
}

#[cfg(test)]
mod tests;
