//! The files that a family or table consists of: what other programs have to read, and what they will find.
//!
//! Called by applications and by `export`. Promises: the files are those of one moment, all of them; none loses its name while
//! the answer is held.

use super::get::ReadOptions;
use super::obsolete_files::FilePin;
use super::{ColumnFamily, Db};
use crate::error::Result;
use crate::key::{CollectionId, FileNumber, KeyRange, Sequence};
#[cfg(feature = "arrow")]
use crate::schema::TableSchema;
use crate::version::FileFormat;
use crate::view::{CollectionView, Run};
use std::path::PathBuf;
#[cfg(feature = "arrow")]
use std::sync::Arc;

/// One live file. Plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFile {
    /// Its number: unique in the database, never used again.
    pub number: FileNumber,
    /// Where it lies: of an Arrow IPC file the `data.arrow`.
    pub path: PathBuf,
    /// How it is encoded.
    pub format: FileFormat,
    /// 0 for a flushed file; one more than its deepest input for a merged one.
    pub level: u32,
    /// Bytes on disk; with the index beside it, if there is one.
    pub size_bytes: u64,
    /// Rows, or versions of keys, in it: deletes among them.
    pub rows: u64,
    /// How many of them are deletes.
    pub tombstones: u64,
    /// Whether some key has more than one version in it.
    pub multi_version: bool,
    /// Its least key; of a table encoded, and empty if the table is append-only.
    pub smallest: Vec<u8>,
    /// Its greatest key, given like `smallest`.
    pub largest: Vec<u8>,
    /// Its least sequence.
    pub smallest_sequence: Sequence,
    /// Its greatest sequence.
    pub largest_sequence: Sequence,
    /// The schema of its rows; 0 for a family.
    pub schema_id: u32,
    /// The checksum that the manifest has of it.
    pub checksum: u32,
}

/// The live files of one family or table at one moment. As long as it is held none of them is deleted, though merges may replace
/// them; the database can be closed meanwhile. Any thread may use it.
pub struct LiveFiles {
    /// The files, oldest first: of two versions of a key the one in the later file is the newer one.
    pub files: Vec<LiveFile>,
    /// The moment: rows with a greater sequence are not part of it, though files may hold some.
    pub sequence: Sequence,
    /// Everything that was written up to this sequence lies in the files. If it is less than `sequence`, memtables hold the rest.
    pub complete_through: Sequence,
    /// The table's schema in force; `None` for a family.
    #[cfg(feature = "arrow")]
    pub schema: Option<Arc<TableSchema>>,
    /// Keeps the files.
    _pin: FilePin,
}

fn describe(run: &Run) -> LiveFile {
    let meta = &run.meta;
    LiveFile {
        number: meta.number,
        path: run.reader.path().to_path_buf(),
        format: meta.format,
        level: meta.level,
        size_bytes: meta.size_bytes,
        rows: meta.entries,
        tombstones: meta.tombstones,
        multi_version: meta.multi_version,
        smallest: meta.smallest.clone(),
        largest: meta.largest.clone(),
        smallest_sequence: meta.oldest_sequence(),
        largest_sequence: meta.newest_sequence(),
        schema_id: meta.schema_id,
        checksum: meta.checksum,
    }
}

/// Up to where the files of `view` hold everything that is visible at `sequence`.
fn complete_through(view: &CollectionView, sequence: Sequence) -> Sequence {
    let frozen = view.frozen.iter().map(|frozen| &frozen.memtable);
    let oldest = frozen.chain([&view.active]).filter_map(|memtable| memtable.first_sequence()).min();
    // What is being written right now may have a sequence that is not visible yet.
    oldest.map_or(sequence, |oldest| sequence.min(oldest.saturating_sub(1)))
}

impl Db {
    /// The live files of a family, as of now or of a snapshot: then without those that are all newer than it.
    /// Corruption if one of them does not open.
    pub fn live_files(&self, family: &ColumnFamily, options: &ReadOptions<'_>) -> Result<LiveFiles> {
        self.check_family(family)?;
        self.live_files_of(family.id(), options)
    }

    /// The same of a table. With the table's schema and the sequence other programs can read exactly what a scan shows: of each
    /// key the row with the greatest `_seq` at or below the sequence, unless its `_op` is 1.
    #[cfg(feature = "arrow")]
    pub fn table_live_files(&self, table: &super::Table, options: &ReadOptions<'_>) -> Result<LiveFiles> {
        self.check_table(table)?;
        self.live_files_of(table.id(), options)
    }

    fn live_files_of(&self, id: CollectionId, options: &ReadOptions<'_>) -> Result<LiveFiles> {
        let core = &self.handle.core;
        core.check()?;
        self.check_snapshot(options)?;
        // Before the view is loaded: a file of it can be deleted from then on only through the pin.
        let pin = FilePin::new(core);
        let (view, sequence) = core.pin_at(id, options.snapshot)?;
        let view = view.readable(&KeyRange::all(), sequence)?;
        let in_sight = view.runs.iter().rev().filter(|run| run.meta.oldest_sequence() <= sequence);
        Ok(LiveFiles {
            files: in_sight.map(describe).collect(),
            sequence,
            complete_through: complete_through(&view, sequence),
            #[cfg(feature = "arrow")]
            schema: view.active.rows().map(|memtable| memtable.schema().clone()),
            _pin: pin,
        })
    }
}
