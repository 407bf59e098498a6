//! From survivors to one durable, proven file: what flush and compaction share.
//!
//! Promises: (1) the file handed out is durable with its name, was opened again, and holds exactly the entries that were not
//! dropped; (2) without survivors, and after any error, no file is left.

use crate::atomic::{AtomicBool, Ordering};
use crate::env::{Env, FileSystem, parent};
use crate::error::{Error, ErrorKind, Result};
use crate::iter::Cursor;
use crate::merge::{SurvivorCounts, Survivors};
use crate::sst::{AnySstReader, BlockCache, Expected, SstIdentity, SstOptions, SstReader, SstSummary, SstWriter};
use crate::version::FileMeta;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many entries pass between two looks at the cancel flag: some hundred microseconds of work.
const ENTRIES_PER_CHECK: u64 = 4096;

/// Where and how to write a run.
pub struct RunTarget {
    /// The world.
    pub env: Env,
    /// Where the file shall lie; its directory is made if needed.
    pub path: PathBuf,
    /// Which file it is and who makes it.
    pub identity: SstIdentity,
    /// How it is encoded.
    pub options: SstOptions,
    /// The cache that its reader shall use.
    pub cache: Arc<BlockCache>,
    /// The level that its metadata shall carry.
    pub level: u32,
}

/// Where a job's file goes, and in which shape.
pub enum JobTarget {
    /// A file of byte entries.
    Blocks(RunTarget),
    /// A file of rows.
    #[cfg(feature = "arrow")]
    Rows(super::RowRunTarget),
}

/// A run as a job hands it out.
pub struct RunOutput {
    /// The new file and its reader; `None` if nothing survived.
    pub file: Option<(FileMeta, AnySstReader)>,
    /// What became of the entries.
    pub counts: SurvivorCounts,
}

/// How many entries come.
#[derive(Debug, Clone, Copy)]
pub enum Incoming {
    /// So many: if another number is read, that is Corruption.
    Exactly(u64),
    /// About so many, in a file of nobody's entries before; 0: nobody knows.
    About(u64),
}

impl Incoming {
    /// What must have been read, if `entries` were.
    fn expected(self, entries: u64) -> u64 {
        match self {
            Self::Exactly(expected) => expected,
            Self::About(_) => entries,
        }
    }

    fn announce(self, writer: &mut SstWriter) -> Result<()> {
        match self {
            Self::About(0) => Ok(()),
            Self::Exactly(entries) | Self::About(entries) => writer.expect_entries(entries),
        }
    }
}

/// Writes the survivors. `expected_in` is how many entries the inputs hold: if another number is read, that is Corruption.
/// Cancelled if `cancel` is set meanwhile.
pub fn write_run<C: Cursor>(
    target: RunTarget,
    mut survivors: Survivors<C>,
    expected_in: u64,
    cancel: Option<&AtomicBool>,
) -> Result<RunOutput> {
    write_run_of(target, Incoming::Exactly(expected_in), |writer| {
        copy(&mut survivors, writer, cancel)?;
        Ok(survivors.counts())
    })
}

/// Writes the file of what `fill` adds to it; `fill` says what became of the entries.
pub fn write_run_of(
    target: RunTarget,
    incoming: Incoming,
    fill: impl FnOnce(&mut SstWriter) -> Result<SurvivorCounts>,
) -> Result<RunOutput> {
    let files = target.env.files.clone();
    let dir = parent(&target.path);
    make_dir(&*files, &dir, 2)?;
    let mut writer = SstWriter::create(&target.env, &target.path, target.identity.clone(), target.options.clone())?;
    let counts = match incoming.announce(&mut writer).and_then(|()| fill(&mut writer)) {
        Ok(counts) => counts,
        Err(error) => {
            writer.abandon();
            return Err(error);
        }
    };
    let expected_in = incoming.expected(counts.entries_in);
    if counts.entries_out == 0 && counts.entries_in == expected_in {
        writer.abandon();
        return Ok(RunOutput { file: None, counts });
    }
    // A writer that has finished does not clean up any more.
    let proven = writer.finish().and_then(|summary| {
        files.sync_dir(&dir)?;
        let reader = prove(&target, &summary, &counts, expected_in)?;
        Ok((meta(&target, summary), AnySstReader::Bytes(reader)))
    });
    match proven {
        Ok(file) => Ok(RunOutput { file: Some(file), counts }),
        Err(error) => {
            // Best effort: nothing names the file, and its number is not used again.
            let _ = files.remove(&target.path);
            Err(error)
        }
    }
}

/// Makes a directory, with its name durable and those of its parents, `depth` in all, which may be as new.
pub(super) fn make_dir(files: &dyn FileSystem, dir: &Path, depth: u32) -> Result<()> {
    // One without files may be left of an attempt that could not even remove it.
    if files.create_dir(dir)? || files.list(dir).is_ok_and(|names| names.is_empty()) {
        let mut above = parent(dir);
        for _ in 0..depth {
            if let Err(error) = files.sync_dir(&above) {
                // Best effort: no attempt takes the name of an empty one for durable.
                let _ = files.remove_dir(dir);
                return Err(error);
            }
            above = parent(&above);
        }
    }
    Ok(())
}

/// The job's end is near if somebody wants it so.
pub(super) fn check_cancel(cancel: Option<&AtomicBool>) -> Result<()> {
    if cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
        return Err(Error::new(ErrorKind::Cancelled, "the job was called off"));
    }
    Ok(())
}

fn copy<C: Cursor>(survivors: &mut Survivors<C>, writer: &mut SstWriter, cancel: Option<&AtomicBool>) -> Result<()> {
    let mut next_check = 0;
    loop {
        let seen = survivors.counts().entries_in;
        if seen >= next_check {
            next_check = seen + ENTRIES_PER_CHECK;
            check_cancel(cancel)?;
        }
        match survivors.next()? {
            Some(entry) => writer.add(entry)?,
            None => return Ok(()),
        }
    }
}

/// Opens the file as a reader will, and compares all counts.
fn prove(
    target: &RunTarget,
    summary: &SstSummary,
    counts: &SurvivorCounts,
    expected_in: u64,
) -> Result<Arc<SstReader>> {
    let expected = Expected {
        database_id: target.identity.database_id,
        number: target.identity.number,
        size_bytes: Some(summary.size_bytes),
        collection: target.identity.collection,
    };
    let reader = SstReader::open(&target.env, &target.path, &expected, target.cache.clone())?;
    counts.check(expected_in, summary.entries, reader.entries(), &target.path)?;
    Ok(reader)
}

fn meta(target: &RunTarget, summary: SstSummary) -> FileMeta {
    FileMeta {
        number: target.identity.number,
        collection: target.identity.collection,
        level: target.level,
        size_bytes: summary.size_bytes,
        checksum: summary.checksum,
        entries: summary.entries,
        tombstones: summary.tombstones,
        payload_bytes: summary.payload_bytes,
        smallest: summary.smallest,
        largest: summary.largest,
        smallest_sequence: summary.smallest_sequence,
        largest_sequence: summary.largest_sequence,
        multi_version: summary.multi_version,
        ..FileMeta::default()
    }
}
