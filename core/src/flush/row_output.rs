//! From merged rows to one durable, proven file: what flush and compaction of tables share.
//!
//! Promises as `output`: the file handed out is durable with its name, was opened again, and holds exactly the rows that were
//! not dropped; without rows, and after any error, no file is left.

use super::output::{RunOutput, check_cancel, make_dir};
use crate::atomic::AtomicBool;
use crate::env::{Env, parent};
use crate::error::Result;
use crate::iter::RowSource;
use crate::merge::{RowMerge, SurvivorCounts};
use crate::schema::{SchemaId, TableSchema};
use crate::sst::{
    AnySstReader, Expected, RowCache, RowFileExpected, RowFileOptions, RowFileReader, RowFileSummary, RowFileWriter,
    RowFormat, SstIdentity,
};
use crate::version::file_name;
use crate::version::{FileFormat, FileMeta};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where and how to write a run of rows.
pub struct RowRunTarget {
    /// The world.
    pub env: Env,
    /// The table's directory.
    pub directory: PathBuf,
    /// Which file it is and who makes it.
    pub identity: SstIdentity,
    /// The schema of its rows.
    pub schema: Arc<TableSchema>,
    /// How it is encoded.
    pub options: RowFileOptions,
    /// The cache that its reader shall use.
    pub cache: Arc<RowCache>,
    /// Memory that the job may hold beside its inputs, about, in bytes.
    pub memory_bytes: usize,
    /// The level that its metadata shall carry.
    pub level: u32,
    /// The time that names the directory of an Arrow IPC file: greater than every one before.
    pub stamp_nanos: u64,
}

impl RowRunTarget {
    /// What the manifest will say of where the file lies.
    fn place(&self) -> FileMeta {
        let format = match self.options.format {
            RowFormat::Parquet => FileFormat::Parquet,
            RowFormat::Ipc => FileFormat::Ipc,
        };
        FileMeta {
            number: self.identity.number,
            collection: self.identity.collection,
            level: self.level,
            format,
            stamp_nanos: if format == FileFormat::Ipc { self.stamp_nanos } else { 0 },
            ..FileMeta::default()
        }
    }
}

/// Writes what the merge hands out. `expected_in` is how many rows the inputs hold: if another number is read, that is
/// Corruption. Cancelled if `cancel` is set meanwhile.
pub fn write_row_run(
    target: RowRunTarget,
    mut merge: RowMerge,
    expected_in: u64,
    cancel: Option<&AtomicBool>,
) -> Result<RunOutput> {
    let files = target.env.files.clone();
    let place = target.place();
    let path = file_name::file_path(&target.directory, &place);
    let dir = parent(&path);
    // The directory of an IPC file gets its name when it is whole.
    let unfinished = (place.format == FileFormat::Ipc).then(|| file_name::unfinished(&dir));
    let writing_dir = unfinished.as_ref().unwrap_or(&dir);
    make_dir(&*files, writing_dir, 3)?;
    let writing_path = writing_dir.join(path.file_name().unwrap_or_default());
    let result = write(&target, &writing_path, &mut merge, expected_in, cancel).and_then(|written| {
        let Some(summary) = written else { return Ok(None) };
        files.sync_dir(writing_dir)?;
        if let Some(unfinished) = &unfinished {
            files.rename(unfinished, &dir)?;
            files.sync_dir(&target.directory)?;
        }
        let reader = prove(&target, &path, &summary, &merge.counts(), expected_in)?;
        Ok(Some((meta(&target, place, summary), AnySstReader::Rows(reader))))
    });
    if !matches!(result, Ok(Some(_))) {
        // Best effort: nothing names the file, and its number is not used again.
        for dir in [writing_dir, &dir] {
            if unfinished.is_some() {
                let _ = files.remove(&dir.join(file_name::IPC_DATA));
                let _ = files.remove(&dir.join(file_name::IPC_INDEX));
            } else {
                let _ = files.remove(&path);
            }
            let _ = files.remove_dir(dir);
        }
    }
    result.map(|file| RunOutput { file, counts: merge.counts() })
}

/// Writes the file; `None` if there are no rows, with nothing left of it.
fn write(
    target: &RowRunTarget,
    path: &Path,
    merge: &mut RowMerge,
    expected_in: u64,
    cancel: Option<&AtomicBool>,
) -> Result<Option<RowFileSummary>> {
    let mut writer = RowFileWriter::create(
        &target.env,
        path,
        target.identity.clone(),
        target.schema.clone(),
        target.level,
        RowFileOptions { rows_max: Some(expected_in), ..target.options.clone() },
    )?;
    loop {
        let next = check_cancel(cancel).and_then(|()| merge.next_chunk());
        match next {
            Ok(Some(mut chunk)) => {
                if !target.schema.is_keyed() {
                    // What clustered rows were merged by.
                    chunk.keys = None;
                }
                if let Err(error) = writer.add(&chunk) {
                    writer.abandon();
                    return Err(error);
                }
            }
            Ok(None) => break,
            Err(error) => {
                writer.abandon();
                return Err(error);
            }
        }
    }
    let counts = merge.counts();
    if counts.entries_out == 0 && counts.entries_in == expected_in {
        writer.abandon();
        return Ok(None);
    }
    writer.finish().map(Some)
}

/// Opens the file as a reader will, and compares all counts.
fn prove(
    target: &RowRunTarget,
    path: &Path,
    summary: &RowFileSummary,
    counts: &SurvivorCounts,
    expected_in: u64,
) -> Result<Arc<RowFileReader>> {
    let expected = RowFileExpected {
        file: Expected {
            database_id: target.identity.database_id,
            number: target.identity.number,
            size_bytes: Some(summary.size_bytes),
            collection: target.identity.collection,
        },
        checksum: Some(summary.checksum),
        index_offset: Some(summary.index_offset),
    };
    let schemas = |id: SchemaId| (id == target.schema.id()).then(|| target.schema.clone());
    let reader = RowFileReader::open(&target.env, path, &expected, &schemas, target.cache.clone())?;
    counts.check(expected_in, summary.rows, reader.rows(), path)?;
    Ok(reader)
}

fn meta(target: &RowRunTarget, place: FileMeta, summary: RowFileSummary) -> FileMeta {
    FileMeta {
        size_bytes: summary.size_bytes,
        checksum: summary.checksum,
        entries: summary.rows,
        rows: summary.rows,
        tombstones: summary.tombstones,
        payload_bytes: summary.payload_bytes,
        smallest: summary.smallest,
        largest: summary.largest,
        smallest_sequence: summary.smallest_sequence,
        largest_sequence: summary.largest_sequence,
        multi_version: summary.multi_version,
        schema_id: target.schema.id().0,
        footer_offset: summary.index_offset,
        ..place
    }
}
