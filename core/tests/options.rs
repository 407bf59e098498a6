//! Each option changed by a check that sees its effect, beside its default. The table must name every option there is.
#![cfg(feature = "parquet")]

use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::{AllKept, AllLost};
use sstore::env::{Call, Env, FileSystem};
use sstore::{
    CloseOptions, ColumnFamily, Db, ErrorKind, Event, EventKind, IterOptions, OptionInfo, Options, ReadOptions, Result,
    WriteOptions,
};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const DEFAULT: WriteOptions = WriteOptions { durability: None, no_stall: false };
const NO_STALL: WriteOptions = WriteOptions { durability: None, no_stall: true };

const CHECKS: &[(&str, fn())] = &[
    ("create_if_missing", create_if_missing),
    ("error_if_exists", error_if_exists),
    ("read_only", read_only),
    ("write_buffer_bytes", write_buffer_bytes),
    ("write_buffer_rows", write_buffer_rows),
    ("memory_budget_bytes", memory_budget_bytes),
    ("max_frozen_memtables", max_frozen_memtables),
    ("durability", durability),
    ("logged", logged),
    ("wal_dir", wal_dir),
    ("wal_backend", wal_backend),
    ("wal_segment_bytes", wal_segment_bytes),
    ("wal_total_bytes", wal_total_bytes),
    ("wal_recovery", wal_recovery),
    ("wal_archive", wal_archive),
    ("wal_archive_seconds", wal_archive_seconds),
    ("wal_archive_bytes", wal_archive_bytes),
    ("background_threads", background_threads),
    ("block_bytes", block_bytes),
    ("compression", compression),
    ("bloom_bits_per_key", bloom_bits_per_key),
    ("table_format", tables::table_format),
    ("row_group_rows", tables::row_group_rows),
    ("page_rows", tables::page_rows),
    ("page_bytes", tables::page_bytes),
    ("ttl_column", tables::ttl_column),
    ("ttl_seconds", tables::ttl_seconds),
    ("compaction_trigger_runs", compaction_trigger_runs),
    ("auto_compaction", auto_compaction),
    ("flush_on_close", flush_on_close),
    ("manifest_bytes", manifest_bytes),
    ("events_bytes", events_bytes),
    ("slow_disk_millis", slow_disk_millis),
    ("low_disk_bytes", low_disk_bytes),
];

#[test]
fn every_option_has_an_effect() {
    let checked: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
    let known: Vec<&str> = OptionInfo::ALL.iter().map(|info| info.name).collect();
    assert_eq!(checked, known, "an option without a check, or a check without an option");
    for (name, check) in CHECKS {
        println!("{name}");
        check();
    }
}

#[test]
fn a_collection_tells_the_options_that_are_in_force_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let given = options(&[("write_buffer_bytes", "2MiB"), ("compression", "zstd"), ("background_threads", "1")]);
    let db = Db::open(&path, &given).unwrap();
    let family = db.create_column_family("f", &given).unwrap();
    let told = |family: &ColumnFamily| {
        ["write_buffer_bytes", "compression", "background_threads"].map(|name| family.options().get(name).unwrap())
    };
    let whole = Options::new().get("background_threads").unwrap();
    assert_eq!(told(&family), ["2097152", "zstd", &whole], "those of the whole database are not a family's");
    let twin = db.create_column_family("g", &family.options()).unwrap();
    assert_eq!(told(&twin), told(&family));
    db.close(&CloseOptions::default()).unwrap();
    let db = Db::open(&path, &options(&[("compression", "none")])).unwrap();
    assert_eq!(told(&db.column_family("g").unwrap()), ["2097152", "none", &whole], "what an opening says counts more");
}

fn options(set: &[(&str, &str)]) -> Options {
    set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

struct World {
    files: Arc<MemFileSystem>,
    runtime: Arc<SeededRuntime>,
    db: Db,
    family: ColumnFamily,
    events: Arc<Mutex<Vec<Event>>>,
}

fn open(files: &Arc<dyn FileSystem>, options: &Options) -> (Result<Db>, Arc<SeededRuntime>) {
    let runtime = SeededRuntime::new(11);
    let env = Env { files: files.clone(), runtime: runtime.clone() };
    (Db::open_in(env, Path::new("/db"), options), runtime)
}

fn try_open(files: &Arc<MemFileSystem>, set: &[(&str, &str)]) -> Result<Db> {
    open(&(files.clone() as Arc<dyn FileSystem>), &options(set)).0
}

fn world_on(files: Arc<MemFileSystem>, set: &[(&str, &str)]) -> World {
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let sink = events.clone();
    let mut options = options(set);
    options.set_listener(Arc::new(move |event| sink.lock().unwrap().push(event.clone())));
    let (db, runtime) = open(&(files.clone() as Arc<dyn FileSystem>), &options);
    let db = db.unwrap();
    let family = db.default_family();
    World { files, runtime, db, family, events }
}

fn world(set: &[(&str, &str)]) -> World {
    world_on(MemFileSystem::new(), set)
}

impl World {
    fn put(&self, index: usize, bytes: usize) {
        self.db.put(&self.family, format!("key{index:06}").as_bytes(), &vec![b'v'; bytes], &DEFAULT).unwrap();
    }

    fn fill(&self, count: usize, bytes: usize) {
        (0..count).for_each(|index| self.put(index, bytes));
    }

    fn flush(&self) {
        self.db.flush(&[]).unwrap().wait(None).unwrap();
    }

    fn counter(&self, name: &str) -> u64 {
        self.db.stats().counters.iter().find(|(other, _)| *other == name).unwrap().1
    }

    fn count_events(&self, kind: EventKind, detail: &str) -> usize {
        self.runtime.run_until_idle();
        self.events.lock().unwrap().iter().filter(|event| event.kind == kind && event.detail.contains(detail)).count()
    }

    fn runs(&self) -> usize {
        self.runtime.run_until_idle();
        self.db.segments(&self.family).unwrap().len()
    }

    /// What a restart of the process, or of the machine, finds.
    fn restarted(&self, power_cut: bool) -> World {
        let files = if power_cut { self.files.crash_clone(&mut AllLost) } else { self.files.crash_clone(&mut AllKept) };
        world_on(files, &[])
    }

    fn entries(&self) -> usize {
        let mut iterator = self.db.iterator(&self.family, IterOptions::default()).unwrap();
        let mut count = 0;
        let mut valid = iterator.seek_to_first().unwrap();
        while valid {
            count += 1;
            valid = iterator.next().unwrap();
        }
        count
    }
}

fn create_if_missing() {
    let files = MemFileSystem::new();
    assert_eq!(try_open(&files, &[("create_if_missing", "false")]).err().unwrap().kind(), ErrorKind::NotFound);
    assert!(files.list(Path::new("/")).unwrap().is_empty(), "nothing was made");
    drop(try_open(&files, &[]).unwrap());
    try_open(&files, &[("create_if_missing", "false")]).unwrap();
}

fn error_if_exists() {
    let files = MemFileSystem::new();
    drop(try_open(&files, &[("error_if_exists", "true")]).unwrap());
    let refused = try_open(&files, &[("error_if_exists", "true")]).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    try_open(&files, &[]).unwrap();
}

fn read_only() {
    let World { files, db, family, .. } = world(&[]);
    db.put(&family, b"k", b"v", &DEFAULT).unwrap();
    let beside = try_open(&files, &[("read_only", "true")]).unwrap();
    let family = beside.default_family();
    assert_eq!(beside.get(&family, b"k", &ReadOptions::default()).unwrap().as_deref(), Some(&b"v"[..]));
    assert_eq!(beside.put(&family, b"k", b"w", &DEFAULT).unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(try_open(&files, &[]).err().unwrap().kind(), ErrorKind::Locked, "and a writer would be refused");
}

fn write_buffer_bytes() {
    let flushes = |set: &[(&str, &str)]| {
        let world = world(set);
        world.fill(2000, 100);
        world.runtime.run_until_idle();
        world.counter("flushes")
    };
    assert_eq!(flushes(&[]), 0);
    let (large, small) = (flushes(&[("write_buffer_bytes", "128KiB")]), flushes(&[("write_buffer_bytes", "32KiB")]));
    assert!(0 < large && large < small, "{large} {small}");
}

fn write_buffer_rows() {
    let world = world(&[("write_buffer_rows", "10")]);
    world.fill(10, 5);
    world.runtime.run_until_idle();
    assert_eq!(world.counter("flushes"), 0);
    world.fill(1, 5);
    world.runtime.run_until_idle();
    assert_eq!(world.counter("flushes"), 1, "ten rows are full");
    assert_eq!(world.db.segments(&world.family).unwrap()[0].entries, 10);
}

fn memory_budget_bytes() {
    let cached = |budget: &str| {
        let world =
            world(&[("memory_budget_bytes", budget), ("write_buffer_bytes", "64KiB"), ("auto_compaction", "false")]);
        for index in 0..30_000 {
            world.put(index, 100);
            if index % 500 == 0 {
                world.runtime.run_until_idle();
            }
        }
        world.flush();
        assert_eq!(world.entries(), 30_000);
        world.db.stats().cache_bytes
    };
    let (small, large) = (cached("1MiB"), cached("64MiB"));
    assert!(small <= 1 << 20 && large > 2 << 20, "{small} {large}");
}

fn max_frozen_memtables() {
    let writes_until_stall = |limit: &str| {
        let world = world(&[("max_frozen_memtables", limit), ("write_buffer_bytes", "64KiB")]);
        // The executor runs nothing in the background unless asked: no flush makes room.
        for index in 0..100_000_u32 {
            while let Err(error) = world.db.put(&world.family, &index.to_be_bytes(), &[0; 500], &NO_STALL) {
                assert_eq!(error.kind(), ErrorKind::Stalled);
                if error.message().contains("delayed") {
                    world.runtime.pass(Duration::from_millis(1));
                    continue;
                }
                assert_eq!(world.db.stats().frozen_memtables, limit.parse::<u64>().unwrap());
                return index;
            }
        }
        panic!("it never stalls");
    };
    let (one, four) = (writes_until_stall("1"), writes_until_stall("4"));
    assert!(four > 2 * one, "{one} {four}");
}

fn durability() {
    let survivors = |durability: &str| {
        let world = world(&[("durability", durability)]);
        world.fill(10, 10);
        world.restarted(true).entries()
    };
    assert_eq!((survivors("buffered"), survivors("sync")), (0, 10), "what a power cut leaves of ten writes");
}

fn logged() {
    let survivors = |logged: &str| {
        let world = world(&[("logged", logged)]);
        world.fill(10, 10);
        world.flush();
        world.fill(20, 10);
        world.restarted(false).entries()
    };
    assert_eq!((survivors("true"), survivors("false")), (20, 10), "only what was flushed");
}

fn wal_dir() {
    let elsewhere = [("wal_dir", "/logs")];
    let world = world(&elsewhere);
    world.fill(10, 10);
    let names = world.files.list(Path::new("/logs")).unwrap();
    assert!(names.iter().any(|name| name.ends_with(".log")), "{names:?}");
    assert!(world.files.list(Path::new("/db/wal")).unwrap_or_default().is_empty());
    let killed = world.files.crash_clone(&mut AllKept);
    assert_eq!(world_on(killed, &elsewhere).entries(), 10);
}

fn wal_backend() {
    let calls = |backend: &str| {
        let counting = FaultFileSystem::new(MemFileSystem::new(), Vec::new());
        let (db, _runtime) = open(&(counting.clone() as Arc<dyn FileSystem>), &options(&[("wal_backend", backend)]));
        let db = db.unwrap();
        let before = (counting.count(Call::Store), counting.count(Call::Write));
        for index in 0..100_u32 {
            db.put(&db.default_family(), &index.to_be_bytes(), b"v", &DEFAULT).unwrap();
        }
        (counting.count(Call::Store) - before.0, counting.count(Call::Write) - before.1)
    };
    let (mapped, write, auto) = (calls("mapped"), calls("write"), calls("auto"));
    assert!(mapped.0 >= 100 && mapped.1 == 0, "{mapped:?}");
    assert!(write.0 == 0 && write.1 >= 100, "{write:?}");
    assert_eq!(auto, mapped, "these files prefer a mapping");
}

fn wal_segment_bytes() {
    let segments = |bytes: &str| {
        let world = world(&[("wal_segment_bytes", bytes)]);
        world.fill(300, 10_000);
        world.db.stats().log_segments
    };
    let (small, large) = (segments("64KiB"), segments("64MiB"));
    assert!(small > 2 * large && small >= 30, "{small} {large}");
}

fn wal_total_bytes() {
    let flushed_for_the_log = |bytes: &str| {
        let world = world(&[("wal_total_bytes", bytes), ("wal_segment_bytes", "64KiB")]);
        let cold = world.db.create_column_family("cold", &Options::new()).unwrap();
        world.db.put(&cold, b"k", b"v", &DEFAULT).unwrap();
        for index in 0..600 {
            world.put(index, 1000);
            world.runtime.run_some();
        }
        (world.count_events(EventKind::FlushDone, "log_full") > 0, world.db.segments(&cold).unwrap().len())
    };
    assert_eq!(flushed_for_the_log("256KiB"), (true, 1), "the cold family held the oldest segment");
    assert_eq!(flushed_for_the_log("0"), (false, 0));
}

fn wal_recovery() {
    let world = world(&[]);
    world.fill(10, 50);
    let files = world.files.crash_clone(&mut AllKept);
    // Damage in the last record, as a torn write leaves it.
    let log = files.list(Path::new("/db/wal")).unwrap().into_iter().map(|name| Path::new("/db/wal").join(name));
    let mut torn = 0;
    for path in log {
        let file = files.open(&path).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(&mut bytes, 0).unwrap();
        let needle = b"key000009";
        if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) {
            files.damage(&path, at as u64, b"X").unwrap();
            torn += 1;
        }
    }
    assert_eq!(torn, 1);
    let refused = try_open(&files, &[("wal_recovery", "absolute")]).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Corruption);
    assert!(refused.path().is_some_and(|path| path.starts_with("/db/wal")), "{refused}");
    assert_eq!(world_on(files, &[("wal_recovery", "point_in_time")]).entries(), 9);
}

/// How many segments lie in the archive, and how much was written, after a few flushes and some time.
fn archived(set: &[(&str, &str)], seconds: u64) -> usize {
    let world = world(&[&[("wal_segment_bytes", "64KiB")], set].concat());
    for _ in 0..5 {
        world.fill(50, 1000);
        world.flush();
        world.runtime.run_until_idle();
    }
    world.runtime.pass(Duration::from_secs(seconds));
    world.runtime.run_until_idle();
    world.files.list(Path::new("/db/wal/archive")).map_or(0, |names| names.len())
}

fn wal_archive() {
    assert_eq!((archived(&[], 0), archived(&[("wal_archive", "true")], 1_000_000)), (0, 5));
}

fn wal_archive_seconds() {
    let archive = |seconds| archived(&[("wal_archive", "true"), ("wal_archive_seconds", seconds)], 100);
    assert_eq!((archive("0"), archive("1000"), archive("50")), (5, 5, 0));
}

fn wal_archive_bytes() {
    let archive = |bytes| archived(&[("wal_archive", "true"), ("wal_archive_bytes", bytes)], 0);
    assert_eq!((archive("0"), archive("130KiB"), archive("1KiB")), (5, 2, 0));
}

fn background_threads() {
    // Other tests of this binary would be counted too: there is none.
    let workers = || {
        let names = std::fs::read_dir("/proc/self/task").unwrap();
        let names = names.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.filter(|name| name.starts_with("sstore-work-")).count()
    };
    // A thread takes its name after it has begun, and loses it after it was joined.
    let settles_at = |count: usize| {
        let began = std::time::Instant::now();
        while workers() != count && began.elapsed().as_secs() < 5 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(workers(), count);
    };
    let directory = tempfile::tempdir().unwrap();
    for count in [1, 2, 5] {
        let set = [("background_threads", count.to_string())];
        let set: Vec<(&str, &str)> = set.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let db = Db::open(directory.path().join("db"), &options(&set)).unwrap();
        settles_at(count);
        db.close(&CloseOptions::default()).unwrap();
        settles_at(0);
    }
}

fn block_bytes() {
    let blocks = |bytes: &str| {
        let world = world(&[("block_bytes", bytes)]);
        world.fill(2000, 100);
        world.flush();
        assert_eq!(world.entries(), 2000);
        world.db.stats().cache_misses
    };
    let (small, default, large) = (blocks("1KiB"), blocks("8KiB"), blocks("32KiB"));
    assert!(
        small > 5 * default && default > 2 * large,
        "blocks of 2000 entries: {small} of 1 KiB, {default} of 8, {large} of 32"
    );
}

fn compression() {
    let bytes = |compression: &str| {
        let world = world(&[("compression", compression)]);
        world.fill(2000, 100);
        world.flush();
        let again = world.restarted(true);
        assert_eq!(again.entries(), 2000);
        again.db.stats().file_bytes
    };
    let (none, lz4, zstd) = (bytes("none"), bytes("lz4"), bytes("zstd"));
    assert!(lz4 < none / 2 && zstd < none / 2 && lz4 != zstd, "{none} {lz4} {zstd}");
}

fn bloom_bits_per_key() {
    let blocks_for_absent_keys = |bits: &str| {
        let world = world(&[("bloom_bits_per_key", bits)]);
        world.fill(2000, 100);
        world.flush();
        for index in 0..2000 {
            let key = format!("key{index:06}absent");
            assert!(!world.db.contains(&world.family, key.as_bytes(), &ReadOptions::default()).unwrap());
        }
        let stats = world.db.stats();
        (stats.cache_misses + stats.cache_hits, stats.resident_bytes)
    };
    let (without, few, many) = (blocks_for_absent_keys("0"), blocks_for_absent_keys("4"), blocks_for_absent_keys("20"));
    assert!(without.0 > 2 * few.0 && few.0 > 4 * many.0, "{without:?} {few:?} {many:?}");
    assert!(without.1 < few.1 && few.1 < many.1, "{without:?} {few:?} {many:?}");
}

/// The options of a table's files, by what the Parquet crate itself finds in them.
mod tables {
    use super::*;
    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampSecondArray};
    use arrow_schema::{DataType, Field, Schema};
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
    use sstore::{KeyOptions, ScanOptions};

    const ROWS: i64 = 30_000;

    /// The path of the file that a flush of a table makes, and its bytes.
    fn file(set: &[(&str, &str)]) -> (String, bytes::Bytes) {
        let world = world(set);
        let schema =
            Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("text", DataType::Utf8, false)]);
        let texts: StringArray = (0..ROWS).map(|id| Some(format!("{id:0100}"))).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(0..ROWS)), Arc::new(texts)];
        let rows = RecordBatch::try_new(Arc::new(schema.clone()), columns).unwrap();
        let table = world.db.create_table("t", &schema, &["id"], &KeyOptions::default(), &options(set)).unwrap();
        world.db.append(&table, &rows, &DEFAULT).unwrap();
        world.flush();
        let path = world.db.table_segments(&table).unwrap().remove(0).path;
        let file = world.files.open(&path).unwrap();
        let mut content = vec![0; file.len().unwrap() as usize];
        file.read_at(&mut content, 0).unwrap();
        (path.display().to_string(), content.into())
    }

    fn metadata(set: &[(&str, &str)]) -> ParquetMetaData {
        let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
        reader.try_parse(&file(set).1).unwrap();
        reader.finish().unwrap()
    }

    fn pages(set: &[(&str, &str)], column: usize) -> usize {
        let metadata = metadata(set);
        let pages = |group| metadata.page_index_for_row_group(group).page_locations(column).unwrap().len();
        (0..metadata.num_row_groups()).map(pages).sum()
    }

    pub fn table_format() {
        let (path, content) = file(&[]);
        assert!(path.ends_with(".parquet") && content.starts_with(b"PAR1"), "{path}");
        let (path, content) = file(&[("table_format", "arrow")]);
        assert!(path.ends_with("/data.arrow") && content.starts_with(b"ARROW1"), "{path}");
    }

    pub fn row_group_rows() {
        let groups = |rows: &str| metadata(&[("row_group_rows", rows), ("page_rows", "1000")]).num_row_groups();
        assert_eq!((groups("65536"), groups("5000")), (1, 6));
    }

    pub fn page_rows() {
        let pages = |rows: &str| pages(&[("page_rows", rows)], 0);
        assert_eq!((pages("8192"), pages("1000")), (4, 30));
    }

    pub fn page_bytes() {
        let pages = |bytes: &str| pages(&[("page_bytes", bytes), ("page_rows", "1000000")], 1);
        let (large, small) = (pages("1MiB"), pages("16KiB"));
        assert!(large < small / 4, "{large} {small}");
    }

    /// How many of two rows, one of them a day old, are left after a merge.
    fn left(set: &[(&str, &str)]) -> usize {
        let world = world(&[]);
        let now = (sstore::env::Runtime::unix_nanos(&*world.runtime) / 1_000_000_000) as i64;
        let time = Arc::new(TimestampSecondArray::from(vec![now - 86_400, now])) as ArrayRef;
        let rows = RecordBatch::try_from_iter([("time", time)]).unwrap();
        let table = world.db.create_table("t", &rows.schema(), &[], &KeyOptions::default(), &options(set)).unwrap();
        world.db.append(&table, &rows, &DEFAULT).unwrap();
        world.db.compact_table(&table).unwrap();
        let scan = world.db.scan(&table, &ScanOptions::default(), &ReadOptions::default()).unwrap();
        scan.map(|batch| batch.unwrap().num_rows()).sum()
    }

    pub fn ttl_column() {
        assert_eq!((left(&[]), left(&[("ttl_column", "time"), ("ttl_seconds", "3600")])), (2, 1));
    }

    pub fn ttl_seconds() {
        let left = |seconds: &str| left(&[("ttl_column", "time"), ("ttl_seconds", seconds)]);
        assert_eq!((left("0"), left("3600"), left("90000")), (2, 1, 2));
    }
}

fn compaction_trigger_runs() {
    let runs = |trigger: &str| {
        let world = world(&[("compaction_trigger_runs", trigger)]);
        for _ in 0..5 {
            world.fill(100, 100);
            world.flush();
            world.runtime.run_until_idle();
        }
        world.runs()
    };
    let (two, six) = (runs("2"), runs("6"));
    assert!(two < 3 && six == 5, "{two} {six}");
}

fn auto_compaction() {
    let runs = |auto: &str| {
        let world = world(&[("auto_compaction", auto)]);
        for _ in 0..8 {
            world.fill(100, 100);
            world.flush();
        }
        world.runs()
    };
    assert!(runs("true") < 8);
    assert_eq!(runs("false"), 8);
}

fn flush_on_close() {
    let runs = |flush: &str| {
        let world = world(&[("flush_on_close", flush)]);
        world.fill(10, 10);
        world.db.close(&CloseOptions::default()).unwrap();
        let again = world.restarted(true);
        assert_eq!(again.entries(), 10);
        again.runs()
    };
    assert_eq!((runs("true"), runs("false")), (1, 0));
}

fn manifest_bytes() {
    let manifests = |bytes: &str| {
        let world = world(&[("manifest_bytes", bytes)]);
        for index in 0..30 {
            world.db.create_column_family(&format!("family{index}"), &Options::new()).unwrap();
        }
        assert_eq!(world.restarted(true).db.column_families().unwrap().len(), 31);
        world.count_events(EventKind::ManifestCreated, "")
    };
    let (small, default) = (manifests("4KiB"), manifests("4MiB"));
    assert!(small > default && small >= 2, "{small} {default}");
}

fn slow_disk_millis() {
    let slow_events = |millis: &str| {
        let rule = Rule::once(Call::SyncData, Effect::Delay(Duration::from_millis(30))).on(".sst");
        let files = FaultFileSystem::new(MemFileSystem::new(), vec![rule]);
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let sink = events.clone();
        let mut options = options(&[("slow_disk_millis", millis)]);
        options.set_listener(Arc::new(move |event| sink.lock().unwrap().push(event.clone())));
        // What a delay takes is real time.
        let env = Env { files, runtime: sstore::env::posix::posix().runtime };
        let db = Db::open_in(env, Path::new("/db"), &options).unwrap();
        db.put(&db.default_family(), b"key", b"value", &DEFAULT).unwrap();
        db.flush(&[]).unwrap().wait(None).unwrap();
        db.close(&CloseOptions::default()).unwrap();
        let events = events.lock().unwrap();
        events.iter().filter(|event| event.kind == EventKind::SlowDisk).count()
    };
    assert_eq!((slow_events("20"), slow_events("0")), (1, 0));
}

fn low_disk_bytes() {
    let low_events = |set: &[(&str, &str)]| {
        let files = MemFileSystem::new();
        files.set_capacity_bytes(Some(700 << 20));
        let world = world_on(files, set);
        world.put(0, 10);
        world.flush();
        world.count_events(EventKind::LowDisk, "bytes are free")
    };
    assert_eq!((low_events(&[("low_disk_bytes", "1GiB")]), low_events(&[])), (1, 0));
}

fn events_bytes() {
    let lines = |bytes: &str| {
        let world = world(&[("events_bytes", bytes)]);
        world.fill(10, 10);
        world.db.close(&CloseOptions::default()).unwrap();
        world.files.file_len(Path::new("/db/EVENTS.jsonl")).unwrap()
    };
    assert_eq!(lines("0"), None);
    assert!(lines("1MiB").is_some_and(|len| len > 0));
}
