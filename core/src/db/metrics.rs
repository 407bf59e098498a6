//! The database in numbers once more, as the text that Prometheus reads.

use super::Db;
use super::memory::MemoryUse;
use super::stats::Stats;
use crate::error::Result;
use crate::key::CollectionKind;
use crate::observe::{Counter, Exposition, MetricType, Timed};

use MetricType::{Counter as Rising, Gauge};

/// What one collection holds.
struct Part {
    name: String,
    kind: &'static str,
    memtable_bytes: u64,
    sources: u64,
    runs: u64,
    file_bytes: u64,
    entries: u64,
    largest_run_bytes: u64,
}

impl Db {
    /// Counters, times, memory by owner, amplification and the size of each collection, in the text format of Prometheus (version
    /// 0.0.4): serve it as it is, as `text/plain; version=0.0.4`. All names begin with `sstore_`. Taken without stopping anyone: the
    /// numbers may be a few operations apart. Errors: Closed, Forked.
    pub fn metrics_text(&self) -> Result<String> {
        let core = &self.handle.core;
        core.check()?;
        let stats = self.stats();
        let mut text = Exposition::default();
        for (name, value) in &stats.counters {
            let counter = Counter::ALL.iter().find(|counter| counter.name() == *name);
            let help = counter.map_or_else(|| help_of_writes(name), |counter| counter.help());
            text.single(&format!("sstore_{name}_total"), Rising, help, *value);
        }
        for &timed in Timed::ALL {
            let which = match timed.one_in() {
                1 => String::new(),
                one_in => format!(" One in {one_in} is timed, on average: sum and count are of those."),
            };
            let help = format!("How long they took: {}{which}", timed.help());
            text.durations(&format!("sstore_{}_seconds", timed.name()), &help, &core.timings.summary(timed));
        }
        let open = self.open_objects();
        let healthy = u64::from(self.background_error().is_none());
        for (name, kind, help, value) in [
            ("sequence", Gauge, "The newest visible sequence.", stats.sequence),
            ("durable_sequence", Gauge, "Writes up to this sequence survive a power cut.", stats.durable_sequence),
            ("log_segments", Gauge, "Segments of the log.", stats.log_segments),
            ("log_bytes", Gauge, "Size of the log.", stats.log_bytes),
            ("files", Gauge, "Live files of families and tables.", stats.files),
            ("file_bytes", Gauge, "Size of the live files.", stats.file_bytes),
            ("frozen_memtables", Gauge, "Memtables that wait for their flush.", stats.frozen_memtables),
            ("cache_hits_total", Rising, "Blocks and rows found in a cache.", stats.cache_hits),
            ("cache_misses_total", Rising, "Blocks and rows not found in a cache.", stats.cache_misses),
            (
                "events_dropped_total",
                Rising,
                "Events that nobody was told, because the queue was full.",
                stats.events_dropped,
            ),
            ("open_iterators", Gauge, "Open iterators.", open.iterators),
            ("open_snapshots", Gauge, "Open snapshots.", open.snapshots),
            (
                "healthy",
                Gauge,
                "0 while a background job keeps failing, or after a failure that ended writes; else 1.",
                healthy,
            ),
        ] {
            text.single(&format!("sstore_{name}"), kind, help, value);
        }
        memory(&mut text, &self.memory_use());
        let parts = self.parts();
        collections(&mut text, &parts);
        amplification(&mut text, &stats, &parts);
        Ok(text.finish())
    }

    fn parts(&self) -> Vec<Part> {
        let core = &self.handle.core;
        let view = core.current_view();
        let part = |part: &std::sync::Arc<crate::view::CollectionView>| {
            // Dropped since the view was taken: nothing to tell.
            let collection = core.collection(part.collection)?;
            let frozen: usize = part.frozen.iter().map(|frozen| frozen.memtable.memory_bytes()).sum();
            let sum = |of: fn(&crate::view::Run) -> u64| part.runs.iter().map(of).sum::<u64>();
            Some(Part {
                name: collection.name.clone(),
                kind: if collection.kind == CollectionKind::Rows { "table" } else { "family" },
                memtable_bytes: (part.active.memory_bytes() + frozen) as u64,
                sources: (1 + part.frozen.len() + part.runs.len()) as u64,
                runs: part.runs.len() as u64,
                file_bytes: sum(|run| run.meta.size_bytes),
                entries: sum(|run| run.meta.entries),
                largest_run_bytes: part.runs.iter().map(|run| run.meta.size_bytes).max().unwrap_or(0),
            })
        };
        view.collections().iter().filter_map(part).collect()
    }
}

fn help_of_writes(name: &str) -> &'static str {
    match name {
        "writes" => "Write batches, single writes among them, since the database was opened.",
        "write_operations" => "Operations in them.",
        "write_bytes" => "Bytes of keys, values and rows in them, encoded.",
        _ => "",
    }
}

fn memory(text: &mut Exposition, held: &MemoryUse) {
    let owners = [
        ("memtables_active", held.active_memtable_bytes),
        ("memtables_frozen", held.frozen_memtable_bytes),
        ("memtables_pinned", held.pinned_memtable_bytes),
        ("spares", held.spare_bytes),
        ("caches", held.cache_bytes),
        ("indexes_and_filters", held.file_bytes),
    ];
    let samples = owners.map(|(owner, bytes)| (vec![("owner", owner)], bytes as f64));
    text.metric("sstore_memory_bytes", Gauge, "Memory by its owner.", samples);
    text.single("sstore_memory_budget_bytes", Gauge, "The option memory_budget_bytes.", held.budget_bytes);
}

fn labels(part: &Part) -> Vec<(&str, &str)> {
    vec![("collection", &part.name), ("kind", part.kind)]
}

fn collections(text: &mut Exposition, parts: &[Part]) {
    type Of = fn(&Part) -> u64;
    let metrics: [(&str, &str, Of); 4] = [
        ("memtable_bytes", "Memory of a collection's memtables.", |part| part.memtable_bytes),
        ("runs", "Sorted runs of a collection: files.", |part| part.runs),
        ("file_bytes", "Size of a collection's files.", |part| part.file_bytes),
        ("entries", "Versions of keys, or rows, in a collection's files; deletes among them.", |part| part.entries),
    ];
    for (name, help, of) in metrics {
        let samples = parts.iter().map(|part| (labels(part), of(part) as f64));
        text.metric(&format!("sstore_collection_{name}"), Gauge, help, samples);
    }
}

fn amplification(text: &mut Exposition, stats: &Stats, parts: &[Part]) {
    let counted = |name| stats.counters.iter().find(|(other, _)| *other == name).map_or(0, |(_, value)| *value);
    let to_files = counted(Counter::FlushBytes.name()) + counted(Counter::CompactionWriteBytes.name());
    text.metric(
        "sstore_write_amplification",
        Gauge,
        "Bytes that flushes and merges wrote for each byte that was written to the database, since it was opened; without the log.",
        [(Vec::new(), ratio(to_files, counted("write_bytes")))],
    );
    text.metric(
        "sstore_read_amplification",
        Gauge,
        "Memtables and files that a look-up may have to visit.",
        parts.iter().map(|part| (labels(part), part.sources as f64)),
    );
    text.metric(
        "sstore_space_amplification",
        Gauge,
        "Size of all files to that of the largest: about how much of a collection could be old versions.",
        parts.iter().map(|part| (labels(part), ratio(part.file_bytes, part.largest_run_bytes))),
    );
}

/// 0 where there is nothing to compare with.
fn ratio(of: u64, to: u64) -> f64 {
    if to == 0 { 0.0 } else { of as f64 / to as f64 }
}
