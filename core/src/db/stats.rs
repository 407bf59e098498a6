//! What the database says of itself: live files, sizes, counters.

use super::{ColumnFamily, Db};
use crate::error::{Error, Result};
use crate::key::{CollectionId, FileNumber, Sequence};
use crate::observe::{Counter, HistogramSummary, Timed};
use std::path::PathBuf;

/// One live file of a family or table: a sorted, immutable run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its number.
    pub number: FileNumber,
    /// Where it lies.
    pub path: PathBuf,
    /// 0 for a flushed file; one more than its deepest input for a merged one.
    pub level: u32,
    /// Its size.
    pub size_bytes: u64,
    /// Versions in it, tombstones among them.
    pub entries: u64,
    /// Tombstones in it.
    pub tombstones: u64,
    /// Its least key.
    pub smallest: Vec<u8>,
    /// Its greatest key.
    pub largest: Vec<u8>,
    /// Its least sequence.
    pub smallest_sequence: Sequence,
    /// Its greatest sequence.
    pub largest_sequence: Sequence,
}

/// The database in numbers.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// The newest visible sequence.
    pub sequence: Sequence,
    /// Writes up to this sequence survive a power cut by the log alone.
    pub durable_sequence: Sequence,
    /// Counters since opening, by name.
    pub counters: Vec<(&'static str, u64)>,
    /// Durations since opening, in nanoseconds, by name: all of [`Timed`].
    pub histograms: Vec<(&'static str, HistogramSummary)>,
    /// Column families.
    pub families: u64,
    /// Memory that active memtables hold.
    pub memtable_bytes: u64,
    /// Frozen memtables that wait for their flush.
    pub frozen_memtables: u64,
    /// Memory that they hold.
    pub frozen_bytes: u64,
    /// Memory kept for the next memtables.
    pub spare_bytes: u64,
    /// Memory of cached blocks.
    pub cache_bytes: u64,
    /// Blocks found in the cache.
    pub cache_hits: u64,
    /// Blocks read from files.
    pub cache_misses: u64,
    /// Memory of the files' indexes and filters.
    pub resident_bytes: u64,
    /// Log segments.
    pub log_segments: u64,
    /// Their size.
    pub log_bytes: u64,
    /// Live table files.
    pub files: u64,
    /// Their size.
    pub file_bytes: u64,
    /// Events that a slow listener missed.
    pub events_dropped: u64,
}

impl Db {
    /// The live files of a family, newest last.
    pub fn segments(&self, family: &ColumnFamily) -> Result<Vec<Segment>> {
        self.handle.core.check()?;
        self.check_family(family)?;
        self.segments_of(family.id())
    }

    /// The live files of a table, newest last. Their keys are encoded; entries are rows.
    #[cfg(feature = "arrow")]
    pub fn table_segments(&self, table: &super::Table) -> Result<Vec<Segment>> {
        self.handle.core.check()?;
        self.check_table(table)?;
        self.segments_of(table.id())
    }

    fn segments_of(&self, id: CollectionId) -> Result<Vec<Segment>> {
        let (view, _) = self.handle.core.pin(id)?;
        let segment = |run: &crate::view::Run| Segment {
            number: run.meta.number,
            path: run.reader.path().to_path_buf(),
            level: run.meta.level,
            size_bytes: run.meta.size_bytes,
            entries: run.meta.entries,
            tombstones: run.meta.tombstones,
            smallest: run.meta.smallest.clone(),
            largest: run.meta.largest.clone(),
            smallest_sequence: run.meta.smallest_sequence,
            largest_sequence: run.meta.largest_sequence,
        };
        Ok(view.runs.iter().rev().map(segment).collect())
    }

    /// The database in numbers, read without stopping anyone.
    pub fn stats(&self) -> Stats {
        let core = &self.handle.core;
        let view = core.current_view();
        let written = core.commit.written();
        let mut counters =
            vec![("writes", written.batches), ("write_operations", written.operations), ("write_bytes", written.bytes)];
        counters.extend(Counter::ALL.iter().map(|&counter| (counter.name(), core.counters.get(counter))));
        let mut stats = Stats {
            sequence: core.visible(),
            durable_sequence: core.log.as_ref().map_or(0, |log| log.durable_sequence()),
            counters,
            histograms: Timed::ALL.iter().map(|&timed| (timed.name(), core.timings.summary(timed))).collect(),
            families: view.collections().len() as u64,
            spare_bytes: core.pool.held_bytes() as u64,
            cache_bytes: core.caches.used_bytes() as u64,
            cache_hits: core.caches.hits(),
            cache_misses: core.caches.misses(),
            events_dropped: core.events.dropped(),
            ..Stats::default()
        };
        for part in view.collections() {
            stats.memtable_bytes += part.active.memory_bytes() as u64;
            stats.frozen_memtables += part.frozen.len() as u64;
            stats.frozen_bytes += part.frozen.iter().map(|frozen| frozen.memtable.memory_bytes() as u64).sum::<u64>();
            stats.files += part.runs.len() as u64;
            stats.file_bytes += part.runs.iter().map(|run| run.meta.size_bytes).sum::<u64>();
            stats.resident_bytes += part.runs.iter().map(|run| run.reader.resident_bytes() as u64).sum::<u64>();
        }
        if let Some(log) = &core.log {
            stats.log_bytes = log.total_bytes();
            stats.log_segments = log.segments().len() as u64;
        }
        stats
    }

    /// How long one kind of operation took since opening: one of the names in [`Stats::histograms`]. Errors: InvalidArgument (no such name).
    pub fn histogram(&self, name: &str) -> Result<HistogramSummary> {
        let found = Timed::ALL.iter().find(|timed| timed.name() == name);
        let timed = found.ok_or_else(|| {
            let names: Vec<&str> = Timed::ALL.iter().map(|timed| timed.name()).collect();
            Error::invalid(format!("there is no histogram \"{name}\": one of {} expected", names.join(", ")))
        })?;
        Ok(self.handle.core.timings.summary(*timed))
    }

    /// Why the database is not healthy: a background job that keeps failing, the failure that turned it read-only, or else the damage
    /// of a live file that did not open.
    pub fn background_error(&self) -> Option<Error> {
        let core = &self.handle.core;
        let of_a_file = || core.current_view().collections().iter().find_map(|part| part.broken().next().cloned());
        core.health.error().or_else(of_a_file)
    }

    /// Tries failed background jobs again at once: after space was freed, say. They are tried again every second anyway. Waits until
    /// a flush succeeded, or none is left to be made; the error, if it fails once more. A database that turned read-only stays so.
    pub fn resume(&self) -> Result<()> {
        self.handle.core.resume()
    }
}
