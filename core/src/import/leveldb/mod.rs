//! Databases of LevelDB come in: exactly what LevelDB would show, written to a column family.
//!
//! Called by applications. The formats are LevelDB's own, as its `doc/log_format.md`, `doc/table_format.md` and its sources tell them; each file
//! here names what it was taken from. Promises: no byte of the source changes, and none is used before its checksum was verified;
//! a database that a process has open is refused; damage is an error with file and offset, or skipped and counted; of each key
//! the newest version counts, and deleted keys stay away.

mod block;
mod checksum;
mod damage;
mod internal_key;
mod log_reader;
mod manifest;
mod memtable;
mod names;
mod source;
mod table;
mod tables;
#[cfg(test)]
mod tests;

use super::progress::{ImportProgress, Listener, Meter};
use crate::batch::WriteBatch;
use crate::db::{ColumnFamily, Db, Ingest, WriteOptions};
use crate::env::{Env, FileSystem};
use crate::error::{Error, ErrorKind, Result};
use crate::iter::Merge;
use crate::merge::Survivors;
use damage::Reading;
use manifest::Version;
use memtable::Memtable;
use source::Source;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use table::Table;
use tables::Tables;

/// So many tables are looked into to tell how many entries there are, about.
const SAMPLES: usize = 16;

/// How a database of LevelDB is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LevelDbImport {
    /// Skip damaged blocks of tables, damaged records of logs, and missing files, and count them, instead of refusing. What was deleted or
    /// overwritten in what is skipped may come back. A damaged manifest is refused in any case.
    pub skip_damaged: bool,
}

/// What an import did.
#[derive(Debug, Clone)]
pub struct LevelDbImported {
    /// Entries that were written, and bytes of the source that were read.
    pub progress: ImportProgress,
    /// Bytes of keys and values that were written.
    pub payload_bytes: u64,
    /// Damaged places that were skipped: 0 unless that was asked for.
    pub skipped: u64,
    /// Their bytes in the files, as far as that can be told.
    pub skipped_bytes: u64,
    /// The first hundred of them, with file and offset.
    pub damage: Vec<Error>,
    /// Bytes at the end of the last log that its writer, killed or cut off from power, did not finish. LevelDB drops them as well.
    pub torn_bytes: u64,
}

/// A database of LevelDB, of which the manifest was read.
struct Found {
    dir: PathBuf,
    current: String,
    version: Version,
    /// The logs that count, oldest first.
    logs: Vec<u64>,
}

impl Db {
    /// Writes everything that LevelDB would show of its database in `source` to `family`, as one file: all of it comes to be seen at the end, in one
    /// step, and is durable when the call returns. After an error, a cancel or a crash nothing of it is there, and no file. Keys that
    /// were there before get LevelDB's value; others stay, and so do keys that are written while the call runs. Merges of the family
    /// wait for it. The source is not changed; a process must not have it open. `progress` is told ten times a second at most and
    /// once at the end; it calls the import off by returning false, and can neither close the database nor merge.
    ///
    /// Memory beside the engine's own: the logs of the source, as LevelDB takes when it opens it, and some 1.4 bytes an entry for the filter and
    /// the index of the file.
    ///
    /// Errors: NotFound (no database there), Locked (a process has it open, or opened it meanwhile), NotSupported (keys are not ordered
    /// bytewise), Corruption with file and offset, InvalidArgument (a key of more than 64 KiB; a family of another database), Cancelled, Dropped (the
    /// family, meanwhile), Closed (the database, meanwhile), those of reading and writing.
    pub fn import_leveldb(
        &self,
        family: &ColumnFamily,
        source: impl AsRef<Path>,
        options: &LevelDbImport,
        progress: Listener<'_>,
    ) -> Result<LevelDbImported> {
        self.check_family(family)?;
        // Refuses now, not after the logs were read.
        self.write(&WriteBatch::new(), &WriteOptions::default())?;
        let env = self.env().clone();
        let reading = Rc::new(Reading::new(Meter::new(env.runtime.clone(), progress), options.skip_damaged));
        let found = Found::open(&env, source.as_ref(), &reading)?;
        let (sources, torn_bytes) = found.sources(&env, &reading)?;
        let mut payload_bytes = 0;
        self.ingest(family, found.entries_about(&env, &sources), |ingest| {
            payload_bytes = write_visible(ingest, sources, &reading)?;
            found.check_unchanged(&*env.files)
        })?;
        let (skipped, skipped_bytes, damage) = reading.skipped();
        let progress = reading.meter.finish();
        Ok(LevelDbImported { progress, payload_bytes, skipped, skipped_bytes, damage, torn_bytes })
    }
}

/// Writes what is visible of the merged sources; gives the bytes of its keys and values.
fn write_visible(ingest: &mut Ingest<'_>, sources: Vec<Source<'_>>, reading: &Reading<'_>) -> Result<u64> {
    let mut visible = Survivors::new(Merge::new(sources), Vec::new(), true);
    while let Some(entry) = visible.next()? {
        ingest.put(entry.key, entry.value).map_err(|error| {
            let begin = String::from_utf8_lossy(&entry.key[..entry.key.len().min(32)]).into_owned();
            error.context(&format!("an entry of LevelDB's whose key begins with \"{}\"", begin.escape_debug()))
        })?;
        reading.meter.wrote(1);
    }
    Ok(ingest.payload_bytes())
}

impl Found {
    /// Reads what the database in `dir` consists of.
    fn open(env: &Env, dir: &Path, reading: &Reading<'_>) -> Result<Self> {
        let files = &*env.files;
        check_not_open(files, dir)?;
        let current = names::manifest_in_force(files, dir)?;
        let version = Version::read(files, &dir.join(&current), reading)?;
        let mut logs: Vec<u64> = files.list(dir)?.iter().filter_map(|name| names::log_number(name)).collect();
        logs.retain(|&number| version.needs_log(number));
        logs.sort_unstable();
        logs.dedup();
        Ok(Self { dir: dir.to_path_buf(), current, version, logs })
    }

    /// All that it consists of, newest first, and how many bytes at its end were not finished.
    fn sources<'a>(&self, env: &Env, reading: &Rc<Reading<'a>>) -> Result<(Vec<Source<'a>>, u64)> {
        let files = &env.files;
        let mut total: u64 = self.version.tables().map(|table| table.size_bytes).fold(0, u64::saturating_add);
        let logs = self.logs.iter().map(|&number| names::log_path(&self.dir, number));
        for path in logs.chain([self.dir.join(&self.current)]) {
            total = total.saturating_add(files.file_len(&path)?.unwrap_or(0));
        }
        reading.meter.expect(total);
        for number in self.version.required_logs().filter(|number| !self.logs.contains(number)) {
            let path = names::log_path(&self.dir, number);
            reading.skip(Error::corruption(&path, 0, "the log is missing"), 0)?;
        }
        let mut memtable = Memtable::default();
        let mut torn_bytes = 0;
        for (place, &number) in self.logs.iter().enumerate() {
            let (path, is_last) = (names::log_path(&self.dir, number), place + 1 == self.logs.len());
            torn_bytes += memtable.add_log(&**files, &path, is_last, reading)?.map_or(0, |(_, bytes)| bytes);
        }
        memtable.sort();
        let mut sources = vec![Source::Logs(memtable)];
        let tables = |metas| {
            let tables = Tables::new(files.clone(), self.dir.clone(), metas, reading.clone());
            Source::Tables(Box::new(tables))
        };
        sources.extend(self.version.overlapping().map(|meta| tables(vec![meta.clone()])));
        sources.extend(self.version.sorted_levels().map(tables));
        Ok((sources, torn_bytes))
    }

    /// How many entries there are, about, and rather more: those of the logs, and of the tables as some of them have it.
    fn entries_about(&self, env: &Env, sources: &[Source<'_>]) -> u64 {
        let in_logs: usize = sources.iter().map(|source| source.entries_in_memory()).sum();
        let count = self.version.tables().count();
        let (mut sampled_bytes, mut sampled_entries, mut total_bytes) = (0u64, 0u64, 0u64);
        for (place, meta) in self.version.tables().enumerate() {
            total_bytes = total_bytes.saturating_add(meta.size_bytes);
            // What does not read well is told when it is read.
            if place % count.div_ceil(SAMPLES) == 0
                && let Some(entries) = Table::entries_about(&*env.files, &self.dir, meta)
            {
                sampled_bytes += meta.size_bytes;
                sampled_entries += entries;
            }
        }
        let in_tables = u128::from(sampled_entries) * u128::from(total_bytes) / u128::from(sampled_bytes.max(1));
        let in_tables = u64::try_from(in_tables).unwrap_or(u64::MAX);
        (in_logs as u64).saturating_add(in_tables.saturating_add(in_tables / 4))
    }

    /// Refuses if a process opened it meanwhile: LevelDB begins another manifest then, and deletes files.
    fn check_unchanged(&self, files: &dyn FileSystem) -> Result<()> {
        check_not_open(files, &self.dir)?;
        if names::manifest_in_force(files, &self.dir)? == self.current {
            return Ok(());
        }
        let message = "a process opened the LevelDB database during the import: run it again";
        Err(Error::new(ErrorKind::Locked, message).in_file(&self.dir))
    }
}

/// Refuses a database that a process has open.
fn check_not_open(files: &dyn FileSystem, dir: &Path) -> Result<()> {
    let path = dir.join(names::LOCK);
    let Some(process) = files.record_lock_holder(&path)? else { return Ok(()) };
    let who = if process == 0 { "a process".to_owned() } else { format!("process {process}") };
    Err(Error::new(ErrorKind::Locked, format!("{who} has the LevelDB database open")).in_file(&path))
}
