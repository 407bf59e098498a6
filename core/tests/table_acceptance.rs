//! What tables must show from outside, one named test for each property that earlier systems had: files and their names, formats,
//! codecs, zone maps, snapshots, recovery, schemas, caches, and that nothing is lost between a memtable and its file.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::*;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::{AllKept, AllLost};
use sstore::env::{Call, Env, FileSystem};
use sstore::{
    CloseOptions, Db, ErrorKind, Filter, KeyOptions, Options, ReadOptions, ScanOptions, SchemaChange, Table,
    WriteBatch, WriteOptions,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FORMATS: [&str; 2] = ["parquet", "arrow"];
const DIRECTORY: &str = "/db/table/t";

struct World {
    files: Arc<MemFileSystem>,
    calls: Arc<FaultFileSystem>,
    runtime: Arc<SeededRuntime>,
    db: Db,
}

fn options(set: &[(&str, &str)]) -> Options {
    let options = Options::new().with("auto_compaction", "false").unwrap();
    set.iter().fold(options, |options, (name, value)| options.with(name, value).unwrap())
}

fn open(files: Arc<MemFileSystem>, options: &Options) -> World {
    let (runtime, calls) = (SeededRuntime::new(3), FaultFileSystem::new(files.clone(), Vec::new()));
    let env = Env { files: calls.clone(), runtime: runtime.clone() };
    let db = Db::open_in(env, Path::new("/db"), options).unwrap();
    World { files, calls, runtime, db }
}

fn columns() -> Schema {
    Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("time", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        Field::new("value", DataType::Float64, true),
        Field::new("name", DataType::Utf8, true),
    ])
}

/// A row for each id: its time is its id, its value what is given.
fn rows(ids: impl IntoIterator<Item = i64>, value: f64) -> RecordBatch {
    let ids: Vec<i64> = ids.into_iter().collect();
    let names: StringArray = ids.iter().map(|id| Some(format!("name {}", id % 100))).collect();
    let columns_of: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.clone())),
        Arc::new(TimestampMillisecondArray::from(ids.clone())),
        Arc::new(Float64Array::from(vec![value; ids.len()])),
        Arc::new(names),
    ];
    RecordBatch::try_new(Arc::new(columns()), columns_of).unwrap()
}

fn key(id: i64) -> RecordBatch {
    keys(&[id])
}

fn keys(ids: &[i64]) -> RecordBatch {
    RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef)]).unwrap()
}

/// A world with a keyed table `t`.
fn world(set: &[(&str, &str)]) -> (World, Table) {
    let world = open(MemFileSystem::new(), &Options::new());
    let table = world.db.create_table("t", &columns(), &["id"], &KeyOptions::default(), &options(set)).unwrap();
    (world, table)
}

impl World {
    fn put(&self, table: &Table, ids: impl IntoIterator<Item = i64>, value: f64) {
        self.db.append(table, &rows(ids, value), &WriteOptions::default()).unwrap();
    }

    fn delete(&self, table: &Table, ids: &[i64]) {
        self.db.delete_from(table, &keys(ids), &WriteOptions::default()).unwrap();
    }

    fn flush(&self) {
        self.db.flush(&[]).unwrap().wait(None).unwrap();
    }

    /// Ids and values.
    fn found(&self, table: &Table, scan: &ScanOptions, read: &ReadOptions<'_>) -> Vec<(i64, f64)> {
        let mut found = Vec::new();
        for batch in self.db.scan(table, scan, read).unwrap() {
            let batch = batch.unwrap();
            let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
            let values = batch.column_by_name("value").unwrap().as_primitive::<Float64Type>();
            found.extend(ids.values().iter().copied().zip(values.values().iter().copied()));
        }
        found
    }

    fn all(&self, table: &Table) -> Vec<(i64, f64)> {
        self.found(table, &ScanOptions::default(), &ReadOptions::default())
    }

    fn get(&self, table: &Table, id: i64) -> Option<f64> {
        let row = self.db.get_row(table, &key(id), None, &ReadOptions::default()).unwrap()?;
        Some(row.column_by_name("value").unwrap().as_primitive::<Float64Type>().value(0))
    }

    fn paths(&self, table: &Table) -> Vec<PathBuf> {
        self.db.table_segments(table).unwrap().into_iter().map(|segment| segment.path).collect()
    }

    fn list(&self, path: &str) -> Vec<String> {
        self.files.list(Path::new(path)).unwrap_or_default()
    }

    fn bytes(&self, path: &Path) -> Bytes {
        let file = self.files.open(path).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
        bytes.into()
    }

    fn parquet(&self, path: &Path) -> SerializedFileReader<Bytes> {
        SerializedFileReader::new(self.bytes(path)).unwrap()
    }

    fn ipc(&self, path: &Path) -> arrow_ipc::reader::FileReader<std::io::Cursor<Bytes>> {
        arrow_ipc::reader::FileReader::try_new(std::io::Cursor::new(self.bytes(path)), None).unwrap()
    }

    /// What a killed process leaves, opened again; its clock begins anew.
    fn killed(&self) -> (World, Table) {
        self.killed_with(&Options::new())
    }

    fn killed_with(&self, options: &Options) -> (World, Table) {
        let world = open(self.files.crash_clone(&mut AllKept), options);
        let table = world.db.table("t").unwrap();
        (world, table)
    }

    fn counter(&self, name: &str) -> u64 {
        self.db.stats().counters.iter().find(|(other, _)| *other == name).unwrap().1
    }
}

fn filter(text: &str) -> ScanOptions {
    ScanOptions { filter: Some(Filter::parse(text).unwrap()), ..ScanOptions::default() }
}

// ---- Arrow IPC: a directory for each flush

#[test]
fn each_flush_makes_one_directory_named_by_a_time_after_all_earlier_ones_even_if_the_clock_steps_back() {
    let (mut world, mut table) = world(&[("table_format", "arrow")]);
    let mut names: Vec<i64> = Vec::new();
    for round in 0..6 {
        world.put(&table, round..round + 5, 1.0);
        world.flush();
        let mut now: Vec<i64> = world.list(DIRECTORY).iter().map(|name| name.parse().unwrap()).collect();
        now.sort_unstable();
        assert_eq!(now.len(), names.len() + 1, "exactly one new directory: {now:?}");
        assert!(now.iter().zip(&names).all(|(now, before)| now == before), "the new one is the latest: {now:?}");
        names = now;
        let path = Path::new(DIRECTORY).join(names[round as usize].to_string()).join("data.arrow");
        assert_eq!(world.ipc(&path).map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 5);
        if round % 2 == 1 {
            (world, table) = world.killed();
        }
    }
}

#[test]
fn two_hundred_thousand_rows_are_four_batches_that_are_read_one_by_one() {
    let (world, table) = world(&[("table_format", "arrow")]);
    world.put(&table, 0..200_000, 1.0);
    world.flush();
    let [path] = &world.paths(&table)[..] else { panic!("one file") };
    let mut reader = world.ipc(path);
    assert_eq!(reader.num_batches(), 4);
    reader.set_index(2).unwrap();
    let third = reader.next().unwrap().unwrap();
    assert_eq!(third.column(0).as_primitive::<Int64Type>().values()[..2], [131_072, 131_073]);
    let sizes: Vec<usize> = world.ipc(path).map(|batch| batch.unwrap().num_rows()).collect();
    assert_eq!(sizes, [65_536, 65_536, 65_536, 3392]);
    // Ours reads one batch for the rows of one batch.
    let start = Some(vec![Arc::new(Int64Array::from(vec![131_072])) as ArrayRef]);
    let stop = Some(vec![Arc::new(Int64Array::from(vec![131_080])) as ArrayRef]);
    let scan = ScanOptions { start, stop, ..ScanOptions::default() };
    let plan = world.db.explain(&table, &scan, &ReadOptions::default()).unwrap();
    assert_eq!((plan.files[0].groups, plan.files[0].groups_read, plan.files[0].groups_outside_range), (4, 1, 3));
    let ids: Vec<i64> = world.found(&table, &scan, &ReadOptions::default()).iter().map(|row| row.0).collect();
    assert_eq!(ids, (131_072..131_080).collect::<Vec<_>>());
}

#[test]
fn each_codec_of_arrow_ipc_is_read_by_a_plain_reader_and_takes_another_size() {
    let mut sizes = Vec::new();
    for codec in ["none", "lz4", "zstd"] {
        let (world, table) = world(&[("table_format", "arrow"), ("compression", codec)]);
        world.put(&table, 0..10_000, 1.5);
        world.flush();
        let path = world.paths(&table).remove(0);
        let rows: usize = world.ipc(&path).map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!((rows, world.all(&table).len()), (10_000, 10_000), "{codec}");
        sizes.push(world.bytes(&path).len());
    }
    assert!(sizes[0] > 2 * sizes[1] && sizes[1] != sizes[2], "{sizes:?}");
}

// ---- flushes and the log

#[test]
fn a_flush_empties_the_memtable_and_changes_no_row() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..100, 1.0);
        world.delete(&table, &[3, 4]);
        let before = world.all(&table);
        let memtables = |world: &World| {
            world.db.explain(&table, &ScanOptions::default(), &ReadOptions::default()).unwrap().memtables
        };
        assert_eq!(memtables(&world), 1);
        world.flush();
        assert_eq!((memtables(&world), world.db.stats().frozen_memtables), (0, 0), "{format}: nothing is in memory");
        assert_eq!(world.all(&table), before, "{format}");
        assert_eq!(before.len(), 98);
    }
}

#[test]
fn a_flush_begins_a_new_log_and_a_kill_loses_and_doubles_nothing() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        let log = world.list("/db/wal");
        world.put(&table, 0..100, 1.0);
        world.files.record_images();
        world.flush();
        world.runtime.run_until_idle();
        let after = world.list("/db/wal");
        assert!(after.iter().all(|name| !log.contains(name)), "the flushed log is gone: {log:?}, {after:?}");
        // Killed before each call of the flush: file, its name, the manifest, the log.
        let images = world.files.take_images();
        assert!(images.len() >= 6);
        for image in images {
            let world = open(image.image.crash_clone(&mut AllKept), &Options::new());
            let table = world.db.table("t").unwrap();
            assert_eq!(
                world.all(&table).len(),
                100,
                "{format}, killed before {:?}: every row is there once",
                image.call
            );
        }
    }
}

#[test]
fn a_log_whose_bytes_are_flipped_gives_the_rows_before_them_or_an_error_if_it_must_be_whole() {
    let (world, table) = world(&[]);
    for round in 0..4 {
        world.put(&table, round * 10..round * 10 + 10, 1.0);
    }
    let name = world.list("/db/wal").pop().unwrap();
    let path = Path::new("/db/wal").join(name);
    let bytes = world.bytes(&path);
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let (mut lost, mut refused) = (0, 0);
    for at in (0..used).step_by(7) {
        for mode in ["point_in_time", "absolute"] {
            let files = world.files.crash_clone(&mut AllKept);
            files.damage(&path, at as u64, &[bytes[at] ^ 0x10]).unwrap();
            let env = Env { files: files.clone(), runtime: SeededRuntime::new(1) };
            let options = Options::new().with("wal_recovery", mode).unwrap();
            match Db::open_in(env, Path::new("/db"), &options) {
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
                    refused += 1;
                }
                Ok(db) => {
                    let table = db.table("t").unwrap();
                    let scan = db.scan(&table, &ScanOptions::default(), &ReadOptions::default()).unwrap();
                    let count: usize = scan.map(|batch| batch.unwrap().num_rows()).sum();
                    assert!([0, 10, 20, 30, 40].contains(&count), "a batch is whole or absent: {count}");
                    lost += usize::from(count < 40);
                }
            }
        }
    }
    assert!(lost > used / 30 && refused > used / 30, "of {used} bytes {lost} cost rows, {refused} an error");
}

#[test]
fn logs_are_replayed_in_order_with_deletes_and_unfinished_directories_are_removed() {
    let (world, table) = world(&[("table_format", "arrow"), ("write_buffer_bytes", "1MiB")]);
    for round in 0..20 {
        world.put(&table, 0..200, round as f64);
        world.delete(&table, &[round]);
    }
    let expected = world.all(&table);
    assert_eq!(expected, (0..200).filter(|id| *id != 19).map(|id| (id, 19.0)).collect::<Vec<_>>());
    let unfinished = format!("{DIRECTORY}/1600000000000000000.tmp");
    world.files.create_dir(Path::new(&unfinished)).unwrap();
    world.files.create(&Path::new(&unfinished).join("data.arrow")).unwrap();
    let (world, table) = world.killed();
    assert_eq!(world.all(&table), expected);
    assert!(world.list(DIRECTORY).iter().all(|name| !name.ends_with(".tmp")), "what is unfinished is removed");
}

#[test]
fn a_directory_that_the_manifest_does_not_name_is_left_out_and_left_alone() {
    let (world, table) = world(&[("table_format", "arrow")]);
    world.put(&table, 0..10, 1.0);
    world.flush();
    let path = world.paths(&table).remove(0);
    let stray = Path::new(DIRECTORY).join("1600000000000000000");
    world.files.create_dir(&stray).unwrap();
    for name in ["data.arrow", "index.sst"] {
        let copy = world.files.create(&stray.join(name)).unwrap();
        copy.write_at(&world.bytes(&path.with_file_name(name)), 0).unwrap();
    }
    let (world, table) = world.killed();
    assert_eq!(world.all(&table).len(), 10);
    assert_eq!(world.paths(&table), [path]);
    assert_eq!(world.files.list(&stray).unwrap(), ["data.arrow", "index.sst"], "it may be adopted");
}

#[test]
fn what_a_merge_read_is_removed_at_the_next_opening_if_a_crash_came_first() {
    let (world, table) = world(&[("table_format", "arrow")]);
    world.put(&table, 0..10, 1.0);
    world.flush();
    world.put(&table, 5..15, 2.0);
    world.flush();
    let names = ["data.arrow", "index.sst"];
    let before: Vec<_> = world.paths(&table).iter().map(|path| path.parent().unwrap().to_owned()).collect();
    let kept: Vec<_> = before.iter().map(|dir| names.map(|name| world.bytes(&dir.join(name)))).collect();
    world.db.compact_table(&table).unwrap();
    // As if the process had been killed between the edit of the merge and the first removal.
    for (dir, kept) in before.iter().zip(&kept) {
        assert!(world.files.list(dir).is_err(), "{dir:?} is there");
        world.files.create_dir(dir).unwrap();
        for (name, bytes) in names.iter().zip(kept) {
            world.files.create(&dir.join(name)).unwrap().write_at(bytes, 0).unwrap();
        }
    }
    let merged = world.paths(&table);
    let (world, table) = world.killed();
    for dir in before {
        assert!(world.files.list(&dir).is_err(), "{dir:?} is garbage, and stays for ever");
    }
    assert_eq!(world.paths(&table), merged);
    assert_eq!(world.list(DIRECTORY).len(), 1);
    assert_eq!(world.all(&table).len(), 15);
}

#[test]
fn a_merge_leaves_the_folder_of_a_level_to_the_next_flush_and_a_drop_takes_it_away() {
    let (world, table) = world(&[]);
    for value in [1.0, 2.0] {
        world.put(&table, 0..10, value);
        world.flush();
    }
    world.db.compact_table(&table).unwrap();
    // A flush that has just looked whether it is there must find it when it makes its file.
    assert_eq!(world.list(DIRECTORY), ["0", "1"], "the folder goes while a flush may be about to write in it");
    assert!(world.list("/db/table/t/0").is_empty());
    world.db.drop_table(&table).unwrap();
    assert!(world.list("/db/table").is_empty(), "{:?}", world.list("/db/table"));
}

#[test]
fn a_folder_of_a_table_that_a_killed_process_made_is_made_durable_by_the_next() {
    for failing in [DIRECTORY, "/db/table"] {
        let (world, table) = world(&[]);
        world.put(&table, 0..10, 1.0);
        world.runtime.run_until_idle();
        // Made, but its name is not durable; and the process dies before it can take it back.
        world.calls.add(Rule::once(Call::SyncDir, Effect::Error(libc::EIO)).on(failing).sticky());
        world.calls.add(Rule::once(Call::RemoveDir, Effect::Error(libc::EIO)).sticky());
        assert_eq!(world.db.flush(&[]).unwrap().wait(None).unwrap_err().kind(), ErrorKind::Io);
        let World { files, db, .. } = world;
        drop((table, db));
        // The opening tells when it cannot make it durable.
        let calls = FaultFileSystem::new(files.clone(), Vec::new());
        let env = Env { files: calls.clone(), runtime: SeededRuntime::new(4) };
        calls.add(Rule::once(Call::SyncDir, Effect::Error(libc::EIO)).on(failing));
        let refused = Db::open_in(env, Path::new("/db"), &Options::new());
        assert_eq!(refused.err().map(|error| error.kind()), Some(ErrorKind::Io), "a failing sync of {failing}");
        let again = open(files, &Options::new());
        again.flush();
        let (after, table) = {
            let world = open(again.files.crash_clone(&mut AllLost), &Options::new());
            let table = world.db.table("t").unwrap();
            (world, table)
        };
        assert_eq!(after.all(&table).len(), 10, "the name of a folder in {failing} is lost");
    }
}

#[test]
fn a_flush_after_a_stray_directory_of_the_same_time_takes_another_name() {
    let (first, table) = world(&[("table_format", "arrow")]);
    first.put(&table, 0..10, 1.0);
    first.flush();
    let files = first.files.crash_clone(&mut AllKept);
    let name = |world: &World, table: &Table| {
        let path = world.paths(table).pop().unwrap();
        path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
    };
    // What the next flush is called, on a copy; then as if an earlier one had left that name behind.
    let next = || {
        let world = open(files.crash_clone(&mut AllKept), &Options::new());
        let table = world.db.table("t").unwrap();
        world.put(&table, 10..20, 1.0);
        world.flush();
        assert_eq!((world.all(&table).len(), world.counter("flush_failures")), (20, 0));
        name(&world, &table)
    };
    let taken = next();
    assert_eq!(next(), taken, "a run is a function of its files");
    let stray = Path::new(DIRECTORY).join(&taken);
    files.create_dir(&stray).unwrap();
    files.create(&stray.join("data.arrow")).unwrap();
    let other = next();
    assert!(other.parse::<u64>().unwrap() > taken.parse().unwrap(), "{other} after {taken}");
}

#[test]
fn a_flush_after_a_killed_one_is_whole_after_a_power_cut() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..100, 1.0);
        world.files.record_images();
        world.flush();
        for image in world.files.take_images() {
            // The next process sees what was written, durable or not.
            let second = open(image.image, &Options::new());
            let table = second.db.table("t").unwrap();
            second.put(&table, 100..120, 1.0);
            second.flush();
            let third = open(second.files.crash_clone(&mut AllLost), &Options::new());
            let table = third.db.table("t").unwrap();
            assert_eq!(third.all(&table).len(), 120, "{format}, killed before {:?}", image.call);
        }
    }
}

// ---- zone maps, plans, lookups

#[test]
fn a_range_of_time_leaves_groups_and_files_out_and_finds_what_reading_everything_finds() {
    for (format, set) in [("parquet", ("row_group_rows", "1024")), ("arrow", ("bloom_bits_per_key", "10"))] {
        let (world, table) = world(&[("table_format", format), set, ("page_rows", "64")]);
        let rows_each = if format == "arrow" { 70_000 } else { 5000 };
        for file in 0..3 {
            world.put(&table, file * rows_each..(file + 1) * rows_each, file as f64);
            world.flush();
        }
        let low = rows_each + 100;
        let text = format!("value < 2 AND time >= {low} AND time <= {}", low + 50);
        let high = low + 50;
        let literal = |time: i64| Arc::new(TimestampMillisecondArray::from(vec![time])) as ArrayRef;
        let time = Filter::between("time", literal(low), literal(high));
        let scan = ScanOptions { filter: Some(time), ..ScanOptions::default() };
        let plan = world.db.explain(&table, &scan, &ReadOptions::default()).unwrap();
        let skipped = plan.files.iter().filter(|file| file.skipped == Some("ruled out by the filter")).count();
        let ruled_out: usize = plan.files.iter().map(|file| file.groups_ruled_out).sum();
        assert_eq!(skipped, 2, "{format}, {text}: files without a row of that time are not read: {plan}");
        assert!(ruled_out >= 1, "{format}: {plan}");
        let found = world.found(&table, &scan, &ReadOptions::default());
        let expected: Vec<_> = world.all(&table).into_iter().filter(|row| (low..=high).contains(&row.0)).collect();
        assert_eq!(found, expected);
        assert_eq!(found.len(), 51);
    }
}

#[test]
fn a_condition_on_a_value_never_brings_a_hidden_row_back() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format), ("row_group_rows", "16"), ("page_rows", "8")]);
        world.put(&table, 0..200, 1.0);
        world.flush();
        world.put(&table, 50..150, 2.0);
        world.delete(&table, &[7]);
        world.flush();
        // Its newest rows do not meet it, so that a filter below the merge would find the old ones.
        let found = world.found(&table, &filter("value < 2"), &ReadOptions::default());
        let expected: Vec<(i64, f64)> =
            (0..200).filter(|id| !(50..150).contains(id) && *id != 7).map(|id| (id, 1.0)).collect();
        assert_eq!(found, expected, "{format}: no hidden row comes back");
        let none = world.found(&table, &filter("value = 1 AND id >= 50 AND id < 150"), &ReadOptions::default());
        assert_eq!(none, [], "{format}");
    }
}

#[test]
fn a_lookup_finds_the_newest_version_wherever_it_is_and_a_delete_ends_it() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..10, 1.0);
        world.flush();
        world.put(&table, 0..5, 2.0);
        world.delete(&table, &[9]);
        world.flush();
        world.put(&table, [0], 3.0);
        world.delete(&table, &[1]);
        let found: Vec<Option<f64>> = [0, 1, 2, 5, 9, 77].map(|id| world.get(&table, id)).to_vec();
        let expected = [Some(3.0), None, Some(2.0), Some(1.0), None, None];
        assert_eq!(found, expected, "{format}: the newest version answers");
        let many = world.db.get_rows(&table, &keys(&[5, 9, 0, 0]), None, &ReadOptions::default()).unwrap();
        assert_eq!(many.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, true], "{format}");
    }
}

#[test]
fn a_scan_hands_out_batches_of_many_rows() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..20_000, 1.0);
        world.flush();
        let scan = world.db.scan(&table, &ScanOptions::default(), &ReadOptions::default()).unwrap();
        let sizes: Vec<usize> = scan.map(|batch| batch.unwrap().num_rows()).collect();
        assert!(sizes.len() <= 4 && sizes.iter().all(|rows| *rows <= 8192), "{format}: {sizes:?}");
        let limited = ScanOptions { limit: Some(3), ..filter("id > 100") };
        let ids: Vec<i64> = world.found(&table, &limited, &ReadOptions::default()).iter().map(|row| row.0).collect();
        assert_eq!(ids, [101, 102, 103], "{format}: no more than the limit");
    }
}

#[test]
fn a_lookup_of_an_absent_key_is_answered_by_the_filter_without_reading() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, (0..2000).map(|id| id * 2), 1.0);
        world.flush();
        world.get(&table, 2);
        let looked = || world.db.stats().cache_hits + world.db.stats().cache_misses + world.calls.count(Call::Read);
        let before = looked();
        (0..200).for_each(|id| assert_eq!(world.get(&table, id * 2 + 1), None));
        let looked = looked() - before;
        assert!(looked < 40, "{format}: 200 absent keys were looked for in {looked} places");
    }
}

// ---- merges

#[test]
fn five_flushes_are_merged_in_the_background_and_no_live_row_changes() {
    for format in FORMATS {
        let set = [("table_format", format), ("auto_compaction", "true"), ("compaction_trigger_runs", "4")];
        let (world, table) = world(&set);
        for round in 0..5 {
            world.put(&table, round * 10..round * 10 + 50, round as f64);
            world.delete(&table, &[round]);
            world.flush();
        }
        let before = world.all(&table);
        world.runtime.run_until_idle();
        assert!(world.counter("compactions") >= 1, "{format}");
        assert!(world.paths(&table).len() < 5, "{format}");
        assert_eq!(world.all(&table), before, "{format}");
    }
}

#[test]
fn a_full_merge_leaves_one_file_without_deletes_or_none() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..10, 1.0);
        world.flush();
        world.delete(&table, &[1, 2]);
        world.flush();
        let segments = world.db.table_segments(&table).unwrap();
        assert_eq!((segments[1].entries, segments[1].tombstones), (2, 2), "{format}: deletes are flushed");
        world.db.compact_table(&table).unwrap();
        let segments = world.db.table_segments(&table).unwrap();
        assert_eq!((segments.len(), segments[0].entries, segments[0].tombstones), (1, 8, 0), "{format}");
        world.delete(&table, &(0..10).collect::<Vec<_>>());
        world.db.compact_table(&table).unwrap();
        assert_eq!(world.db.table_segments(&table).unwrap(), [], "{format}: all is deleted");
        assert_eq!(world.all(&table), [], "{format}");
    }
}

#[test]
fn a_snapshot_reads_what_it_saw_before_and_after_flush_and_merge() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..20, 1.0);
        let snapshot = world.db.snapshot().unwrap();
        let then = world.all(&table);
        world.put(&table, 5..25, 2.0);
        world.delete(&table, &[0]);
        let now = world.all(&table);
        for step in ["in memory", "flushed", "merged"] {
            let at = ReadOptions { snapshot: Some(&snapshot) };
            assert_eq!(
                world.found(&table, &ScanOptions::default(), &at),
                then,
                "{format} {step}: the snapshot sees what it saw"
            );
            assert_eq!(world.found(&table, &filter("value > 1"), &at), [], "{format} {step}");
            assert_eq!(world.all(&table), now, "{format} {step}");
            if step == "in memory" { world.flush() } else { world.db.compact_table(&table).unwrap() }
        }
        drop(snapshot);
        world.put(&table, [100], 1.0);
        world.db.compact_table(&table).unwrap();
        let segments = world.db.table_segments(&table).unwrap();
        assert_eq!(segments[0].entries, 25, "{format}: nobody needs the old versions any more");
    }
}

#[test]
fn files_go_when_neither_the_manifest_nor_a_reader_needs_them() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        for round in 0..3 {
            world.put(&table, 0..1000, f64::from(round));
            world.flush();
        }
        let old = world.paths(&table);
        let mut scan = world
            .db
            .scan(&table, &ScanOptions { batch_rows: 10, ..ScanOptions::default() }, &ReadOptions::default())
            .unwrap();
        scan.next().unwrap().unwrap();
        world.db.compact_table(&table).unwrap();
        world.runtime.run_until_idle();
        assert_eq!(scan.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 990, "{format}: a scan goes on");
        world.runtime.run_until_idle();
        for path in old {
            assert_eq!(world.files.file_len(&path).unwrap_or(None), None, "{format}: {}", path.display());
        }
        world.db.verify().unwrap();
    }
}

// ---- rows one by one, and what does not fit

#[test]
fn rows_of_every_plain_type_are_put_one_by_one_and_a_wrong_type_is_an_error() {
    let values: Vec<(&str, ArrayRef)> = vec![
        ("bool", Arc::new(BooleanArray::from(vec![true]))),
        ("int8", Arc::new(Int8Array::from(vec![-8]))),
        ("int16", Arc::new(Int16Array::from(vec![-16]))),
        ("int32", Arc::new(Int32Array::from(vec![-32]))),
        ("int64", Arc::new(Int64Array::from(vec![-64]))),
        ("uint8", Arc::new(UInt8Array::from(vec![8]))),
        ("uint16", Arc::new(UInt16Array::from(vec![16]))),
        ("uint32", Arc::new(UInt32Array::from(vec![32]))),
        ("uint64", Arc::new(UInt64Array::from(vec![u64::MAX]))),
        ("float32", Arc::new(Float32Array::from(vec![0.5]))),
        ("float64", Arc::new(Float64Array::from(vec![0.25]))),
        ("date", Arc::new(Date32Array::from(vec![20_000]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![1]))),
        ("timestamp", Arc::new(TimestampNanosecondArray::from(vec![1]).with_timezone("UTC"))),
        ("decimal", Arc::new(Decimal128Array::from(vec![123]))),
        ("text", Arc::new(StringArray::from(vec!["text"]))),
        ("bytes", Arc::new(BinaryArray::from(vec![&b"bytes"[..]]))),
    ];
    let row = RecordBatch::try_from_iter(values.clone()).unwrap();
    for format in FORMATS {
        for (index, (name, _)) in values.iter().enumerate() {
            let world = open(MemFileSystem::new(), &Options::new());
            let keys = KeyOptions { float_keys: true, ..KeyOptions::default() };
            let table = world
                .db
                .create_table("t", row.schema_ref(), &[name], &keys, &options(&[("table_format", format)]))
                .unwrap();
            world.db.append(&table, &row, &WriteOptions::default()).unwrap();
            let key = row.project(&[index]).unwrap();
            for step in ["in memory", "flushed"] {
                let found = world.db.get_row(&table, &key, None, &ReadOptions::default()).unwrap();
                assert!(found.is_some_and(|found| found.columns() == row.columns()), "{format}, {name}, {step}");
                world.flush();
            }
            let wrong = (0..values.len()).map(|other| if other == index { (index + 1) % values.len() } else { other });
            let wrong: Vec<(&str, ArrayRef)> =
                wrong.zip(&values).map(|(at, (name, _))| (*name, values[at].1.clone())).collect();
            let wrong = RecordBatch::try_from_iter(wrong).unwrap();
            let error = world.db.append(&table, &wrong, &WriteOptions::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains(name), "{error}");
        }
    }
}

#[test]
fn nothing_of_a_batch_with_a_wrong_row_is_applied() {
    let (world, table) = world(&[]);
    let nullable = Schema::new(
        columns().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
    );
    let good = rows([1, 2], 1.0);
    let mut arrays = good.columns().to_vec();
    arrays[0] = Arc::new(Int64Array::from(vec![Some(7), None]));
    let bad = RecordBatch::try_new(Arc::new(nullable), arrays).unwrap();
    let mut batch = WriteBatch::new();
    table.put_rows(&mut batch, &good).unwrap();
    let error = table.put_rows(&mut batch, &bad).unwrap_err();
    assert!(error.message().contains("\"id\"") && error.message().contains("row 1"), "{error}");
    assert!(world.db.append(&table, &bad, &WriteOptions::default()).is_err());
    assert_eq!(world.all(&table), []);
    world.db.write(&batch, &WriteOptions::default()).unwrap();
    assert_eq!(world.all(&table).len(), 2, "what was added before stays");
}

// ---- Parquet: options, descriptors, paths, codecs

#[test]
fn options_are_kept_and_files_of_other_codecs_and_formats_stay_readable() {
    let (mut world, mut table) = world(&[("table_format", "parquet"), ("compression", "none")]);
    for (round, set) in [
        [("compression", "zstd"), ("table_format", "parquet")],
        [("compression", "lz4"), ("table_format", "arrow")],
        [("compression", "none"), ("table_format", "parquet")],
    ]
    .into_iter()
    .enumerate()
    {
        world.put(&table, round as i64 * 10..round as i64 * 10 + 10, 1.0);
        world.flush();
        (world, table) = world.killed_with(&options(&set));
        assert_eq!(world.all(&table).len(), 10 * (round + 1));
    }
    let paths = world.paths(&table);
    assert_eq!(paths.iter().filter(|path| path.ends_with("data.arrow")).count(), 1, "{paths:?}");
    world.db.compact_table(&table).unwrap();
    assert_eq!(world.all(&table).len(), 30);
    let [merged] = &world.paths(&table)[..] else { panic!("one file") };
    let codec = world.parquet(merged).metadata().row_group(0).column(0).compression();
    assert_eq!(codec, Compression::UNCOMPRESSED, "a merge takes the options in force");
}

#[test]
fn each_codec_of_parquet_is_what_its_metadata_say() {
    for (codec, expected) in [("none", "UNCOMPRESSED"), ("lz4", "LZ4_RAW"), ("zstd", "ZSTD"), ("auto", "ZSTD")] {
        let (world, table) = world(&[("compression", codec)]);
        world.put(&table, 0..1000, 1.0);
        world.flush();
        let reader = world.parquet(&world.paths(&table)[0]);
        for column in reader.metadata().row_group(0).columns() {
            let found = column.compression().to_string();
            assert!(found.starts_with(expected), "{codec}: {found} in {}", column.column_path());
        }
    }
}

#[test]
fn what_the_engine_says_of_a_file_is_what_its_metadata_say() {
    let (world, table) = world(&[("row_group_rows", "64"), ("page_rows", "16")]);
    world.put(&table, 100..400, 1.0);
    world.delete(&table, &[100, 399, 777]);
    world.flush();
    let segment = world.db.table_segments(&table).unwrap().remove(0);
    let reader = world.parquet(&segment.path);
    let metadata = reader.metadata();
    assert_eq!(metadata.file_metadata().num_rows() as u64, segment.entries);
    assert_eq!(world.bytes(&segment.path).len() as u64, segment.size_bytes);
    let (mut least, mut most) = (i64::MAX, i64::MIN);
    for group in metadata.row_groups() {
        let Some(Statistics::Int64(bounds)) = group.column(0).statistics() else { panic!("no statistics") };
        least = least.min(*bounds.min_opt().unwrap());
        most = most.max(*bounds.max_opt().unwrap());
        assert!(group.column(0).offset_index_offset().is_some() && group.column(0).column_index_offset().is_some());
        assert!(group.column(0).bloom_filter_offset().is_some(), "the key has a filter");
        assert!(group.sorting_columns().is_some(), "the order is told");
    }
    assert_eq!((least, most), (100, 777));
    // The keys of an Int64: eight bytes, the sign flipped.
    let encoded = |value: i64| (value as u64 ^ 1 << 63).to_be_bytes().to_vec();
    assert_eq!((segment.smallest, segment.largest), (encoded(least), encoded(most)));
    assert_eq!((segment.tombstones, segment.smallest_sequence, segment.largest_sequence), (3, 1, 2));
}

#[test]
fn several_memtables_make_one_sorted_file_and_an_empty_flush_makes_none() {
    for format in FORMATS {
        let (world, table) =
            world(&[("table_format", format), ("write_buffer_rows", "100"), ("max_frozen_memtables", "8")]);
        let nothing = world.db.flush_tables(&[&table]).unwrap().wait(None).unwrap();
        assert!(nothing.files.is_empty(), "{format}: nothing to flush");
        for round in 0..3 {
            world.put(&table, (0..120).map(|id| (id * 7 + round * 13) % 300), round as f64);
        }
        assert!(world.db.stats().frozen_memtables >= 2, "{format}");
        let before = world.all(&table);
        world.flush();
        let segments = world.db.table_segments(&table).unwrap();
        assert_eq!((segments.len(), world.counter("flushes")), (1, 1), "{format}: one job, one file");
        assert!(world.counter("flushed_memtables") >= 3, "{format}");
        assert_eq!(world.all(&table), before, "{format}");
        assert!(before.is_sorted_by(|a, b| a.0 < b.0), "{format}");
    }
}

#[test]
fn a_flushed_file_lies_at_level_zero_and_a_merged_one_above() {
    let (world, table) = world(&[]);
    for _ in 0..2 {
        world.put(&table, 0..10, 1.0);
        world.flush();
    }
    for segment in world.db.table_segments(&table).unwrap() {
        let expected = format!("{DIRECTORY}/0/{:06}.parquet", segment.number.0);
        assert_eq!((segment.path.to_str().unwrap(), segment.level), (&expected[..], 0));
    }
    world.db.compact_table(&table).unwrap();
    let segment = world.db.table_segments(&table).unwrap().remove(0);
    let expected = format!("{DIRECTORY}/1/{:06}.parquet", segment.number.0);
    assert_eq!((segment.path.to_str().unwrap(), segment.level), (&expected[..], 1));
}

#[test]
fn rows_whose_file_cannot_be_written_stay_readable_and_leave_no_orphan() {
    for format in FORMATS {
        for call in [Call::Create, Call::Write, Call::SyncData, Call::Rename, Call::SyncDir] {
            let (world, table) = world(&[("table_format", format)]);
            world.put(&table, 0..100, 1.0);
            world.calls.add(Rule::once(call, Effect::Error(libc::EIO)).on("/db/table/t").sticky());
            let flushed = world.db.flush(&[]).unwrap().wait(None);
            if format == "parquet" && call == Call::Rename {
                flushed.unwrap();
                continue;
            }
            assert!(flushed.is_err(), "{format} {call:?}");
            assert_eq!(world.all(&table).len(), 100, "{format} {call:?}");
            let (again, table) = world.killed();
            assert_eq!(again.all(&table).len(), 100, "{format} {call:?}");
            let listed = again.list(DIRECTORY);
            let files: usize = listed.iter().map(|name| again.list(&format!("{DIRECTORY}/{name}")).len()).sum();
            assert_eq!(files, 0, "{format} {call:?}: {listed:?}");
            again.flush();
            assert_eq!(again.all(&table).len(), 100, "{format} {call:?}");
        }
    }
}

// ---- caches, worlds, schemas

#[test]
fn a_second_scan_reads_no_footer_and_cached_rows_stay_within_the_budget() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..5000, 1.0);
        world.flush();
        let cached = ScanOptions { cached: true, ..ScanOptions::default() };
        world.found(&table, &cached, &ReadOptions::default());
        let (opened, read) = (world.calls.count(Call::Open), world.calls.count(Call::Read));
        world.found(&table, &cached, &ReadOptions::default());
        assert_eq!((world.calls.count(Call::Open), world.calls.count(Call::Read)), (opened, read), "{format}");
        let stats = world.db.stats();
        assert!(stats.cache_bytes > 0 && stats.cache_bytes <= 512 << 20, "{format}: {}", stats.cache_bytes);
    }
}

#[test]
fn the_same_rows_are_found_on_disk_and_in_memory() {
    for format in FORMATS {
        let directory = tempfile::tempdir().unwrap();
        let on_disk = Db::open(directory.path().join("db"), &Options::new()).unwrap();
        let in_memory = open(MemFileSystem::new(), &Options::new());
        let mut found = Vec::new();
        for db in [&on_disk, &in_memory.db] {
            let options = options(&[("table_format", format)]);
            let table = db.create_table("t", &columns(), &["id"], &KeyOptions::default(), &options).unwrap();
            for round in 0..3 {
                db.append(&table, &rows((0..500).map(|id| id * (round + 1)), round as f64), &WriteOptions::default())
                    .unwrap();
                db.flush_tables(&[&table]).unwrap().wait(None).unwrap();
            }
            db.compact_table(&table).unwrap();
            let batches = db.scan(&table, &ScanOptions::default(), &ReadOptions::default()).unwrap();
            found.push(batches.map(Result::unwrap).collect::<Vec<_>>());
            db.verify().unwrap();
        }
        assert_eq!(found[0], found[1], "{format}");
        on_disk.close(&CloseOptions::default()).unwrap();
    }
}

#[test]
fn rows_of_another_schema_are_refused_and_the_changed_schema_reads_old_rows() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..10, 1.0);
        world.flush();
        let before = table.table_schema().fingerprint();
        let mut stale = WriteBatch::new();
        table.put_rows(&mut stale, &rows([77], 1.0)).unwrap();
        let change = SchemaChange::Widen { name: "name".into(), data_type: DataType::LargeUtf8 };
        world.db.alter_table(&table, &change).unwrap();
        assert_ne!(table.table_schema().fingerprint(), before, "{format}");
        assert_eq!(world.db.write(&stale, &WriteOptions::default()).unwrap_err().kind(), ErrorKind::Conflict);
        let (world, table) = world.killed();
        assert_eq!(world.all(&table).len(), 10, "{format}");
        let row = world.db.get_row(&table, &key(3), None, &ReadOptions::default()).unwrap().unwrap();
        assert_eq!(row.column(3).as_string::<i64>().value(0), "name 3", "{format}");
        let error =
            world.db.create_table("t", &columns(), &["id"], &KeyOptions::default(), &options(&[])).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{format}");
    }
}

#[test]
fn writers_wait_when_too_many_memtables_are_unflushed() {
    let (world, table) = world(&[("write_buffer_rows", "50"), ("max_frozen_memtables", "1")]);
    for round in 0..10 {
        world.put(&table, round * 60..round * 60 + 60, 1.0);
    }
    assert!(world.counter("stalls") > 0);
    let no_stall = WriteOptions { no_stall: true, ..WriteOptions::default() };
    let refused = (0..20).find_map(|_| world.db.append(&table, &rows(0..60, 2.0), &no_stall).err());
    assert!(refused.is_some(), "a write that may not wait is refused");
    assert_eq!(world.all(&table).len(), 600);
}
