//! What the engine must show from outside, one named test for each property: segments, tombstones, numbered files, one block a
//! get, several memtables a job, pinned views, group commit.

use sstore::batch::Operations;
use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::{AllKept, AllLost};
use sstore::env::posix::posix;
use sstore::env::{Call, Env};
use sstore::version::Manifest;
use sstore::wal::{self, RecoveryMode};
use sstore::{
    CloseOptions, ColumnFamily, Db, Durability, ErrorKind, Event, EventKind, FlushReason, IterOptions, KeyRange,
    Options, ReadOptions, WriteBatch, WriteOptions,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SYNC: WriteOptions = WriteOptions { durability: Some(Durability::Sync), no_stall: false };

struct World {
    files: Arc<MemFileSystem>,
    runtime: Arc<SeededRuntime>,
    db: Db,
    family: ColumnFamily,
    events: Arc<Mutex<Vec<Event>>>,
}

fn options(set: &[(&str, &str)]) -> Options {
    set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

fn world_on(files: Arc<MemFileSystem>, mut options: Options) -> World {
    let runtime = SeededRuntime::new(5);
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = events.clone();
    options.set_listener(Arc::new(move |event| sink.lock().unwrap().push(event.clone())));
    let env = Env { files: files.clone(), runtime: runtime.clone() };
    let db = Db::open_in(env, Path::new("/db"), &options).unwrap();
    let family = db.default_family();
    World { files, runtime, db, family, events }
}

fn world(set: &[(&str, &str)]) -> World {
    world_on(MemFileSystem::new(), options(set))
}

impl World {
    fn put(&self, key: &str, value: &str) {
        self.db.put(&self.family, key.as_bytes(), value.as_bytes(), &WriteOptions::default()).unwrap();
    }

    fn delete(&self, key: &str) {
        self.db.delete(&self.family, key.as_bytes(), &WriteOptions::default()).unwrap();
    }

    fn get(&self, key: &str) -> Option<String> {
        let value = self.db.get(&self.family, key.as_bytes(), &ReadOptions::default()).unwrap();
        value.map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    fn flush(&self) {
        self.db.flush(&[]).unwrap().wait(None).unwrap();
    }

    fn counter(&self, name: &str) -> u64 {
        self.db.stats().counters.iter().find(|(other, _)| *other == name).unwrap().1
    }

    fn scan(&self) -> Vec<(String, String)> {
        let mut iterator = self.db.iterator(&self.family, IterOptions::default()).unwrap();
        let mut found = Vec::new();
        let mut valid = iterator.seek_to_first().unwrap();
        while valid {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            found.push((text(iterator.key()), text(iterator.value())));
            valid = iterator.next().unwrap();
        }
        found
    }

    fn told(&self, kind: EventKind) -> Vec<Event> {
        self.runtime.run_until_idle();
        self.events.lock().unwrap().iter().filter(|event| event.kind == kind).cloned().collect()
    }
}

#[test]
fn a_flush_makes_one_sorted_segment_and_empties_the_memtable() {
    let world = world(&[]);
    for key in ["c", "a", "b"] {
        world.put(key, key);
    }
    let before = world.scan();
    world.flush();
    assert_eq!(world.db.stats().frozen_memtables, 0, "the memtable is gone");
    let nothing_left = world.db.flush(&[]).unwrap().poll().expect("nothing is left to flush").unwrap();
    assert_eq!(nothing_left.files, []);
    world.put("d", "d");
    world.flush();
    let segments = world.db.segments(&world.family).unwrap();
    assert_eq!(segments.len(), 2);
    let first = (&segments[0].smallest[..], &segments[0].largest[..], segments[0].entries);
    assert_eq!(first, (&b"a"[..], &b"c"[..], 3), "the oldest stands first");
    assert!(segments[0].largest_sequence < segments[1].smallest_sequence, "newest last");
    assert_eq!(before.iter().map(|(key, _)| &key[..]).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(world.scan()[..3], before[..]);
    let name = segments[0].path.file_name().unwrap().to_str().unwrap();
    assert_eq!(name, format!("{:06}.sst", segments[0].number.0));
}

#[test]
fn a_get_stops_at_the_newest_segment_that_knows_the_key_and_a_tombstone_ends_it() {
    let world = world(&[("auto_compaction", "false")]);
    world.put("k", "old");
    world.flush();
    world.put("k", "new");
    world.flush();
    let before = world.counter("get_runs_visited");
    assert_eq!(world.get("k").as_deref(), Some("new"), "the newest segment answers");
    assert_eq!(world.counter("get_runs_visited") - before, 1, "the older segment is not looked into");
    world.delete("k");
    world.flush();
    let before = world.counter("get_runs_visited");
    assert_eq!(world.get("k"), None, "the tombstone hides what is older");
    assert_eq!(world.counter("get_runs_visited") - before, 1, "the tombstone ends the search");
}

#[test]
fn a_get_asks_the_memtables_from_new_to_old_and_then_no_segment() {
    let world = world(&[("write_buffer_rows", "1"), ("max_frozen_memtables", "8")]);
    world.put("k", "flushed");
    world.flush();
    // Each fills its memtable; nothing runs in the background until somebody waits.
    for value in ["frozen first", "frozen last", "active"] {
        world.put("k", value);
        assert_eq!(world.get("k").as_deref(), Some(value), "the newest memtable answers");
    }
    world.put("other", "1");
    assert_eq!(world.db.stats().frozen_memtables, 3);
    assert_eq!(world.get("k").as_deref(), Some("active"), "of the frozen ones the newest answers");
    world.delete("k");
    assert_eq!(world.get("k"), None, "a tombstone in a memtable hides what segments hold");
    assert_eq!(world.counter("get_runs_visited"), 0, "no segment is looked into");
}

#[test]
fn tombstones_are_flushed_and_stay_until_the_bottom() {
    let world = world(&[("auto_compaction", "false")]);
    for key in ["a", "b"] {
        world.put(key, key);
    }
    world.flush();
    world.delete("a");
    world.flush();
    let segments = world.db.segments(&world.family).unwrap();
    assert_eq!(segments.len(), 2, "the tombstone is in a segment");
    assert_eq!((segments[1].entries, segments[1].tombstones), (1, 1));
    world.db.compact(&world.family).unwrap();
    let segments = world.db.segments(&world.family).unwrap();
    assert_eq!(segments.len(), 1);
    assert_eq!((segments[0].entries, segments[0].tombstones), (1, 0), "the tombstone went with what it hid");
    assert_eq!(world.scan(), [("b".to_owned(), "b".to_owned())]);
}

#[test]
fn merging_what_is_all_deleted_leaves_no_segment() {
    let world = world(&[("auto_compaction", "false")]);
    world.put("a", "1");
    world.flush();
    world.delete("a");
    world.flush();
    world.db.compact(&world.family).unwrap();
    assert_eq!(world.db.segments(&world.family).unwrap(), [], "no segment is left");
    assert_eq!(world.get("a"), None);
}

#[test]
fn many_segments_become_one_and_reads_are_identical() {
    let world = world(&[("auto_compaction", "false")]);
    for round in 0..5 {
        for key in 0..40 {
            if (key + round) % 7 == 0 {
                world.delete(&format!("k{key:02}"));
            } else if key % (round + 1) == 0 {
                world.put(&format!("k{key:02}"), &format!("{round}"));
            }
        }
        world.flush();
    }
    let before = world.scan();
    assert_eq!(world.db.segments(&world.family).unwrap().len(), 5);
    world.db.compact(&world.family).unwrap();
    let segments = world.db.segments(&world.family).unwrap();
    assert_eq!(segments.len(), 1);
    assert_eq!(world.scan(), before, "reads are identical");
    assert_eq!((segments[0].entries, segments[0].tombstones), (before.len() as u64, 0), "the newest of each key alone");
}

#[test]
fn a_snapshot_keeps_its_versions_through_flush_and_merge() {
    let world = world(&[("auto_compaction", "false")]);
    world.put("k", "1");
    let snapshot = world.db.snapshot().unwrap();
    world.put("k", "2");
    world.flush();
    world.delete("k");
    world.flush();
    world.db.compact(&world.family).unwrap();
    let options = ReadOptions { snapshot: Some(&snapshot) };
    let seen = world.db.get(&world.family, b"k", &options).unwrap();
    assert_eq!(seen.as_deref(), Some(&b"1"[..]), "the snapshot sees what it saw");
    assert_eq!(world.get("k"), None);
    drop(snapshot);
    world.db.compact(&world.family).unwrap();
    assert_eq!(world.db.segments(&world.family).unwrap(), [], "nobody needs the old versions any more");
}

#[test]
fn the_log_alone_gives_the_same_reads_after_a_kill() {
    let world = world(&[]);
    world.put("a", "1");
    world.put("a", "2");
    world.delete("b");
    world.put("b", "3");
    let killed = world.files.crash_clone(&mut AllKept);
    let again = world_on(killed, Options::new());
    assert_eq!(again.scan(), world.scan(), "the log alone brings everything back");
    assert_eq!(again.db.segments(&again.family).unwrap().len(), 0);
}

#[test]
fn the_log_keeps_the_order_of_arrival_and_the_memtable_the_order_of_keys() {
    let world = world(&[]);
    for key in ["c", "a", "d"] {
        world.put(key, key);
    }
    let mut batch = WriteBatch::new();
    batch.put(world.family.id(), b"e", b"e").unwrap();
    batch.delete(world.family.id(), b"c").unwrap();
    world.db.write(&batch, &WriteOptions::default()).unwrap();
    world.put("b", "b");
    let keys: Vec<String> = world.scan().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["a", "b", "d", "e"], "the memtable iterates in order of keys");

    let env = Env { files: world.files.crash_clone(&mut AllKept), runtime: SeededRuntime::new(5) };
    let (state, _) = Manifest::read(&env, Path::new("/db")).unwrap().unwrap();
    let mut logged = Vec::new();
    let mut note = |record: wal::LoggedRecord<'_>| {
        let keys = Operations::new(record.payload).map(|operation| operation.unwrap().key.to_vec()).collect::<Vec<_>>();
        logged.push((record.first_sequence, keys.concat()));
        Ok(())
    };
    let (id, epoch, floor, mode) = (state.database_id, state.epoch, state.log_floor, RecoveryMode::PointInTime);
    wal::replay(&env, Path::new("/db/wal"), id, epoch, floor, None, mode, &mut note).unwrap();
    let arrived = [(1, "c"), (2, "a"), (3, "d"), (4, "ec"), (6, "b")];
    assert_eq!(logged, arrived.map(|(sequence, keys)| (sequence, keys.as_bytes().to_vec())));
}

#[test]
fn a_synced_write_survives_the_power_cut_that_takes_all_else() {
    let world = world(&[]);
    world.db.put(&world.family, b"kept", b"1", &SYNC).unwrap();
    world.put("lost", "2");
    let again = world_on(world.files.crash_clone(&mut AllLost), Options::new());
    assert_eq!(again.scan(), [("kept".to_owned(), "1".to_owned())], "the synced write alone is left");
}

#[test]
fn sync_wal_makes_every_write_so_far_durable() {
    let world = world(&[]);
    world.put("a", "1");
    world.db.sync_wal().unwrap();
    let stats = world.db.stats();
    assert!(stats.durable_sequence >= stats.sequence, "everything so far is durable");
    let again = world_on(world.files.crash_clone(&mut AllLost), Options::new());
    assert_eq!(again.get("a").as_deref(), Some("1"));
}

#[test]
fn a_manual_flush_lets_the_old_log_go() {
    let world = world(&[]);
    world.put("a", &"x".repeat(1000));
    let before = world.db.stats().log_segments;
    world.flush();
    world.runtime.run_until_idle();
    assert!(world.db.stats().log_segments <= before, "the log does not grow");
    assert!(!world.told(EventKind::LogDeleted).is_empty(), "the segment was deleted");
    let again = world_on(world.files.crash_clone(&mut AllLost), Options::new());
    assert_eq!(again.get("a").map(|value| value.len()), Some(1000), "without the log");
}

#[test]
fn a_flush_makes_file_folder_and_manifest_durable_before_the_log_goes() {
    let files = FaultFileSystem::new(MemFileSystem::new(), Vec::new());
    let runtime = SeededRuntime::new(5);
    let env = Env { files: files.clone(), runtime: runtime.clone() };
    let db = Db::open_in(env, Path::new("/db"), &Options::new()).unwrap();
    let family = db.default_family();
    db.put(&family, b"k", b"v", &WriteOptions::default()).unwrap();
    runtime.run_until_idle();
    files.record_calls();
    let number = db.flush(&[]).unwrap().wait(None).unwrap().files[0].0;
    runtime.run_until_idle();
    let calls = files.take_calls();

    let table = format!("/db/cf/default/{number:06}.sst");
    let is_manifest = |path: &str| path.starts_with("/db/MANIFEST-");
    let is_log = |path: &str| path.starts_with("/db/wal/") && path.ends_with(".log");
    let place = |what: &str, call: Call, fits: &dyn Fn(&str) -> bool| {
        let found = calls.iter().position(|(other, path)| *other == call && fits(path.to_str().unwrap()));
        found.unwrap_or_else(|| panic!("{what} is missing"))
    };
    let last_write = calls.iter().rposition(|(call, path)| *call == Call::Write && path.to_str() == Some(&table));
    let order = [
        ("the last write to the table", last_write.unwrap()),
        ("the sync of the table", place("the sync of the table", Call::SyncData, &|path| path == table)),
        ("the sync of its folder", place("the sync of its folder", Call::SyncDir, &|path| path == "/db/cf/default")),
        ("the look at the table", place("the look at the table", Call::Open, &|path| path == table)),
        ("the manifest's record", place("the manifest's record", Call::Write, &is_manifest)),
        ("the sync of the manifest", place("the sync of the manifest", Call::SyncData, &is_manifest)),
        ("the log's removal", place("the log's removal", Call::Remove, &is_log)),
    ];
    for pair in order.windows(2) {
        assert!(pair[0].1 < pair[1].1, "{} comes before {}: {calls:?}", pair[0].0, pair[1].0);
    }
}

#[test]
fn the_counters_tell_what_writing_reading_and_keeping_cost() {
    let world = world(&[("auto_compaction", "false")]);
    for round in 0..4 {
        for key in 0..100 {
            world.put(&format!("k{key:02}"), &format!("{round:0200}"));
        }
        world.flush();
    }
    let sizes: Vec<u64> = world.db.segments(&world.family).unwrap().iter().map(|segment| segment.size_bytes).collect();
    let flushed: u64 = sizes.iter().sum();
    let user_bytes: u64 = 4 * 100 * (3 + 200);
    assert_eq!(world.counter("write_bytes"), user_bytes);
    assert_eq!(world.counter("flush_bytes"), flushed, "bytes that flushes wrote");
    assert_eq!(world.db.stats().file_bytes, flushed);
    assert!(world.get("k00").is_some() && world.get("absent").is_none() && world.get("k0!").is_none());
    assert_eq!(world.counter("get_runs_visited"), 1 + 4 + 4, "runs that gets looked into: read amplification");

    world.db.compact(&world.family).unwrap();
    let merged = world.db.segments(&world.family).unwrap()[0].size_bytes;
    assert_eq!(world.counter("compaction_read_bytes"), flushed);
    assert_eq!(world.counter("compaction_write_bytes"), merged, "bytes that merges wrote");
    assert_eq!(world.db.stats().file_bytes, merged, "space amplification: what is kept for what lives");
    let written = world.counter("flush_bytes") + world.counter("compaction_write_bytes");
    let amplification = written as f64 / world.counter("write_bytes") as f64;
    assert!((1.0..1.6).contains(&amplification), "each byte flushed once and a quarter merged once: {amplification}");
}

#[test]
fn one_block_is_read_for_a_cold_get() {
    let files = MemFileSystem::new();
    let first = world_on(files.clone(), options(&[]));
    for index in 0..2000 {
        first.put(&format!("key{index:05}"), &"v".repeat(100));
    }
    first.flush();
    first.db.close(&CloseOptions::default()).unwrap();
    let World { db, .. } = first;
    drop(db);
    let reads = FaultFileSystem::new(files.clone(), Vec::new());
    reads.record_calls();
    let env = Env { files: reads.clone(), runtime: SeededRuntime::new(5) };
    let again = Db::open_in(env, Path::new("/db"), &Options::new()).unwrap();
    let of_table =
        |(call, path): &&(Call, PathBuf)| *call == Call::Read && path.extension().is_some_and(|end| end == "sst");
    assert_eq!(
        reads.take_calls().iter().filter(of_table).count(),
        2,
        "opening reads the footer, and in one go what it names"
    );
    let family = again.default_family();
    let get = |index: u32| {
        let (misses, before) = (again.stats().cache_misses, reads.count(Call::Read));
        let value = again.get(&family, format!("key{index:05}").as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(value.as_deref(), Some("v".repeat(100).as_bytes()));
        (again.stats().cache_misses - misses, reads.count(Call::Read) - before)
    };
    for index in [7, 1999, 1000] {
        assert_eq!(get(index), (1, 1), "one block, in one read");
    }
    assert_eq!(get(7), (0, 0), "the second time it is cached");
}

#[test]
fn many_keys_at_once_are_answered_as_one_by_one() {
    let world = world(&[("auto_compaction", "false")]);
    let every = |step: u32, value: &str| {
        for index in (0..400).step_by(step as usize) {
            match value {
                "" => world.delete(&format!("key{index}")),
                value => world.put(&format!("key{index}"), value),
            }
        }
    };
    every(1, "first");
    world.flush();
    every(3, "second");
    every(5, "");
    world.flush();
    let snapshot = world.db.snapshot().unwrap();
    every(7, "third");
    every(2, "");
    // Neither sorted nor distinct, and not all of them there.
    let keys: Vec<String> = (0..900u32).map(|index| format!("key{}", index * 7919 % 450)).collect();
    let borrowed: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
    for snapshot in [None, Some(&snapshot)] {
        let options = ReadOptions { snapshot };
        let together = world.db.multi_get(&world.family, &borrowed, &options).unwrap();
        for (key, value) in borrowed.iter().zip(together) {
            let alone = world.db.get(&world.family, key, &options).unwrap();
            assert_eq!(value.as_deref(), alone.as_deref(), "{} among many", String::from_utf8_lossy(key));
        }
    }
}

#[test]
fn batches_of_an_iterator_hold_what_single_steps_show() {
    let world = world(&[("auto_compaction", "false"), ("block_bytes", "1KiB")]);
    let mut state = 7u64;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % bound
    };
    let mut shown = BTreeMap::new();
    let mut moments = Vec::new();
    // Keys that share a long prefix with some others and none with the rest; the sources overlap, in parts of their keys.
    let key = |number: u64| {
        if number.is_multiple_of(3) { format!("long-common-prefix-{number:04}") } else { format!("{number:03}") }
    };
    for phase in 0..4u64 {
        for turn in 0..400 {
            let key = key(if turn % 4 == 0 { below(900) } else { phase * 200 + below(300) });
            if below(if phase < 2 { 1000 } else { 5 }) == 0 {
                world.delete(&key);
                shown.remove(&key);
            } else {
                let value = "v".repeat(if below(50) == 0 { 70_000 } else { below(40) as usize }) + &turn.to_string();
                world.put(&key, &value);
                shown.insert(key, value);
            }
            if turn % 150 == 149 {
                moments.push((world.db.snapshot().unwrap(), shown.clone().into_iter().collect::<Vec<_>>()));
            }
        }
        if phase < 3 {
            world.flush();
        }
    }
    moments.push((world.db.snapshot().unwrap(), shown.into_iter().collect()));
    let mut batch = sstore::EntryBatch::new();
    for (snapshot, all) in &moments {
        for _ in 0..12 {
            let bound = |chosen: u64| (chosen > 1).then(|| key(chosen).into_bytes());
            let (lower, upper) =
                (bound(below(900)).filter(|_| below(2) == 0), bound(below(900)).filter(|_| below(2) == 0));
            let range = KeyRange { lower, upper };
            let within: Vec<_> = all.iter().filter(|(key, _)| range.contains(key.as_bytes())).collect();
            let options = IterOptions { range, snapshot: Some(snapshot.clone()), scan: below(2) == 0 };
            let mut iterator = world.db.iterator(&world.family, options).unwrap();
            let mut at = 0..0;
            for turn in 0..12 {
                let (limit, forward) = ([1, 3, 40, 1000][below(4) as usize], below(2) == 0);
                // A new one begins at the end that it goes from; after an end was reached it is put somewhere.
                if turn == 0 {
                    at = 0..within.len();
                } else if !iterator.is_valid() {
                    if within.is_empty() {
                        break;
                    }
                    let start = below(within.len() as u64) as usize;
                    assert!(iterator.seek(within[start].0.as_bytes()).unwrap());
                    at = start..start + 1;
                }
                let filled = match forward {
                    true => iterator.next_batch(&mut batch, limit, 1 << 30).unwrap(),
                    false => iterator.prev_batch(&mut batch, limit, 1 << 30).unwrap(),
                };
                let expected: Vec<_> = match forward {
                    true => within[at.start..].iter().take(limit).collect(),
                    false => within[..at.end].iter().rev().take(limit).collect(),
                };
                assert_eq!(filled, expected.len(), "a batch shows what single steps show");
                let found =
                    batch.iter().map(|(key, value)| (String::from_utf8_lossy(key), String::from_utf8_lossy(value)));
                for ((key, value), (expected_key, expected_value)) in found.zip(expected) {
                    assert!(
                        key == **expected_key && value == **expected_value,
                        "a batch shows {key}, single steps show {expected_key}"
                    );
                }
                let standing = if forward { Some(at.start + filled) } else { at.end.checked_sub(filled + 1) };
                let standing = standing.filter(|&standing| standing < within.len());
                assert_eq!(iterator.is_valid(), standing.is_some(), "a batch ends before the first entry not given");
                if let Some(standing) = standing {
                    assert_eq!(
                        iterator.key(),
                        within[standing].0.as_bytes(),
                        "a batch ends before the first entry not given"
                    );
                    at = standing..standing + 1;
                }
            }
        }
    }
}

#[test]
fn writers_go_on_while_flushes_stand_still_and_families_are_flushed_first_come_first_served() {
    let many = [("write_buffer_bytes", "16KiB"), ("max_frozen_memtables", "64")];
    let world = world(&many);
    let second = world.db.create_column_family("second", &options(&many)).unwrap();
    // The executor runs nothing in the background unless asked: flushes stand still.
    for index in 0..1200 {
        world.db.put(&second, format!("s{index}").as_bytes(), &[7; 100], &WriteOptions::default()).unwrap();
        world.put(&format!("k{index}"), &"v".repeat(100));
    }
    assert!(world.db.stats().frozen_memtables >= 4, "writers went on over full memtables of both families");
    let begun: Vec<String> = world.told(EventKind::FlushBegin).iter().map(|event| event.collection.clone()).collect();
    assert_eq!(&begun[..2], ["second", "default"], "who was full first is flushed first");
    assert_eq!(world.db.stats().frozen_memtables, 0);
    assert_eq!(world.db.get(&second, b"s0", &ReadOptions::default()).unwrap().as_deref(), Some(&[7; 100][..]));
}

#[test]
fn one_job_takes_several_memtables_and_an_open_iterator_stays_good() {
    let world = world(&[("write_buffer_bytes", "16KiB"), ("max_frozen_memtables", "64"), ("wal_total_bytes", "1MiB")]);
    for index in 0..500 {
        world.put(&format!("k{index:03}"), &"v".repeat(100));
    }
    let frozen = world.db.stats().frozen_memtables;
    assert!(frozen >= 2, "{frozen}");
    let mut iterator = world.db.iterator(&world.family, IterOptions::default()).unwrap();
    assert!(iterator.seek(b"k100").unwrap());
    world.runtime.run_until_idle();

    assert_eq!(world.counter("flushes"), 1, "one job");
    assert_eq!(world.counter("flushed_memtables"), frozen, "for all of them");
    for index in 100..500 {
        assert_eq!(iterator.key(), format!("k{index:03}").as_bytes(), "the iterator goes on where it stood");
        iterator.next().unwrap();
    }
}

#[test]
fn the_memory_of_a_flushed_memtable_goes_with_its_last_reader() {
    let world = world(&[("memory_budget_bytes", "1MiB"), ("write_buffer_bytes", "512KiB")]);
    for index in 0..1000 {
        world.put(&format!("k{index:04}"), &"v".repeat(100));
    }
    let value = world.db.get(&world.family, b"k0007", &ReadOptions::default()).unwrap().unwrap();
    let held = world.db.stats().memtable_bytes;
    world.flush();
    world.runtime.run_until_idle();
    assert!(world.db.stats().memtable_bytes < held / 4);
    assert_eq!(&*value, "v".repeat(100).as_bytes(), "a pinned value outlives the flush");
    let spare = world.db.stats().spare_bytes;
    drop(value);
    let given_back = world.db.stats().spare_bytes - spare;
    assert!(given_back > held / 2, "{given_back} of {held} bytes came back with the last reader");

    world.put("k", "last");
    let value = world.db.get(&world.family, b"k", &ReadOptions::default()).unwrap().unwrap();
    world.db.close(&CloseOptions::default()).unwrap();
    assert_eq!(&*value, b"last", "a pinned value outlives the database");
}

#[test]
fn a_batch_over_two_families_is_whole_or_absent_after_a_crash() {
    let world = world(&[]);
    let other = world.db.create_column_family("other", &Options::new()).unwrap();
    let mut batch = WriteBatch::new();
    batch.put(world.family.id(), b"k", b"1").unwrap();
    batch.put(other.id(), b"k", b"2").unwrap();
    world.db.write(&batch, &WriteOptions::default()).unwrap();
    // Flushing one side makes the log durable first, or the other half could be lost.
    world.db.flush(&[&world.family]).unwrap().wait(None).unwrap();
    let again = world_on(world.files.crash_clone(&mut AllLost), Options::new());
    let other = again.db.column_family("other").unwrap();
    let halves = (again.get("k"), again.db.get(&other, b"k", &ReadOptions::default()).unwrap());
    assert_eq!((halves.0.as_deref(), halves.1.as_deref()), (Some("1"), Some(&b"2"[..])), "both halves or none");
}

#[test]
fn many_writers_share_one_fsync() {
    let directory = tempfile::tempdir().unwrap();
    let Env { files, runtime } = posix();
    // A disk that takes its time: so the writers meet, whatever the machine's own does.
    let slow = Rule::once(Call::SyncData, Effect::Delay(Duration::from_millis(1))).sticky();
    let files = FaultFileSystem::new(files, vec![slow]);
    let env = Env { files: files.clone(), runtime };
    let db = Db::open_in(env, &directory.path().join("db"), &Options::new()).unwrap();
    let family = db.default_family();
    let before = files.count(Call::SyncData);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (db, family) = (&db, &family);
            scope.spawn(move || {
                for index in 0..50 {
                    db.put(family, format!("{thread}/{index}").as_bytes(), b"v", &SYNC).unwrap();
                }
            });
        }
    });
    let syncs = files.count(Call::SyncData) - before;
    assert!((1..=200).contains(&syncs), "{syncs} syncs for 400 writes");
    assert_eq!(db.stats().durable_sequence, 400);
    let mut iterator = db.iterator(&family, IterOptions::default()).unwrap();
    let mut batch = sstore::EntryBatch::new();
    assert_eq!(iterator.next_batch(&mut batch, 1000, 1 << 20).unwrap(), 400);
}

#[test]
fn a_manual_flush_reports_what_it_did_and_why() {
    let world = world(&[]);
    let nothing = world.db.flush(&[]).unwrap().poll().expect("nothing to flush is done at once");
    assert!(nothing.unwrap().files.is_empty());
    world.put("a", "1");
    let token = world.db.flush(&[&world.family]).unwrap();
    assert!(token.poll().is_none());
    let timed_out = token.wait(Some(Duration::ZERO));
    assert_eq!(timed_out.expect_err("the limit of the wait has passed").kind(), ErrorKind::TimedOut);
    let result = token.wait(None).unwrap();
    let reported = (result.files.len(), result.entries, result.reason);
    assert_eq!(reported, (1, 1, FlushReason::Manual), "files, entries and reason of the flush");
    let segment = &world.db.segments(&world.family).unwrap()[0];
    assert_eq!((result.bytes, result.files[0]), (segment.size_bytes, segment.number), "bytes and number of the file");
    assert!(result.durable_sequence >= 1);
    let done = world.told(EventKind::FlushDone);
    assert_eq!((done[0].number, done[0].entries, &done[0].detail[..]), (result.files[0].0, 1, "manual"));
}

#[test]
fn closing_says_what_is_open_and_every_call_after_it_is_refused() {
    let world = world(&[]);
    world.put("a", "1");
    let iterator = world.db.iterator(&world.family, IterOptions::default()).unwrap();
    let snapshot = world.db.snapshot().unwrap();
    let busy = world.db.close(&CloseOptions::default()).expect_err("an iterator and a snapshot are open");
    assert_eq!(busy.kind(), ErrorKind::Busy);
    assert!(busy.message().contains("1 iterators, 1 snapshots"), "{busy}");
    assert_eq!(world.get("a").as_deref(), Some("1"), "nothing was closed");
    drop((iterator, snapshot));
    world.db.close(&CloseOptions::default()).unwrap();
    let kinds = [
        world.db.put(&world.family, b"k", b"v", &WriteOptions::default()).err(),
        world.db.get(&world.family, b"k", &ReadOptions::default()).err(),
        world.db.close(&CloseOptions::default()).err(),
        world.db.snapshot().err(),
        world.db.flush(&[]).err(),
    ]
    .map(|error| error.map(|error| error.kind()));
    assert_eq!(kinds, [Some(ErrorKind::Closed); 5], "every call after it is refused");
}

#[test]
fn a_forced_close_leaves_open_objects_answering_closed() {
    let world = world(&[]);
    world.put("a", "1");
    let mut iterator = world.db.iterator(&world.family, IterOptions::default()).unwrap();
    iterator.seek_to_first().unwrap();
    let closed = world.db.close(&CloseOptions { force: true, ..CloseOptions::default() });
    closed.expect("a forced close does not mind what is open");
    assert_eq!(iterator.next().expect_err("the iterator is closed").kind(), ErrorKind::Closed);
    assert_eq!(iterator.value(), b"1", "what was shown stays readable");
}

#[test]
fn a_family_without_a_log_shares_no_batch_and_keeps_what_was_flushed() {
    let world = world(&[]);
    let loose = world.db.create_column_family("loose", &options(&[("logged", "false")])).unwrap();
    let mut batch = WriteBatch::new();
    batch.put(world.family.id(), b"k", b"1").unwrap();
    batch.put(loose.id(), b"k", b"2").unwrap();
    let mixed = world.db.write(&batch, &WriteOptions::default()).expect_err("no batch mixes logged and not");
    assert_eq!(mixed.kind(), ErrorKind::InvalidArgument);
    let synced = world.db.put(&loose, b"k", b"v", &SYNC).expect_err("nothing there to sync");
    assert_eq!(synced.kind(), ErrorKind::InvalidArgument);
    world.db.put(&loose, b"flushed", b"1", &WriteOptions::default()).unwrap();
    world.db.flush(&[&loose]).unwrap().wait(None).unwrap();
    world.db.put(&loose, b"lost", b"1", &WriteOptions::default()).unwrap();
    world.put("logged", "1");
    world.db.sync_wal().unwrap();
    let again = world_on(world.files.crash_clone(&mut AllLost), Options::new());
    let loose = again.db.column_family("loose").unwrap();
    assert!(again.db.contains(&loose, b"flushed", &ReadOptions::default()).unwrap());
    assert!(!again.db.contains(&loose, b"lost", &ReadOptions::default()).unwrap());
    assert_eq!(again.get("logged").as_deref(), Some("1"));
}

#[test]
fn a_reader_beside_the_writer_sees_its_commits_and_changes_nothing() {
    let world = world(&[]);
    world.put("flushed", "1");
    world.flush();
    world.put("logged", "2");
    let calls = world.files.op_count();
    let env = Env { files: world.files.clone(), runtime: SeededRuntime::new(9) };
    let reader = Db::open_in(env, Path::new("/db"), &options(&[("read_only", "true")])).unwrap();
    let family = reader.default_family();
    for key in [&b"flushed"[..], b"logged"] {
        let found = reader.contains(&family, key, &ReadOptions::default()).unwrap();
        assert!(found, "the writer's commit is seen: {}", key.escape_ascii());
    }
    let refused = reader.put(&family, b"k", b"v", &WriteOptions::default()).err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::ReadOnly), "a reader takes no writes");
    reader.close(&CloseOptions::default()).unwrap();
    assert_eq!(world.files.op_count(), calls, "not one mutating call");
}

#[test]
fn the_same_database_cannot_be_opened_twice() {
    let world = world(&[]);
    let env = Env { files: world.files.clone(), runtime: SeededRuntime::new(9) };
    let error = Db::open_in(env, Path::new("/db"), &Options::new()).err().expect("the database is open already");
    assert_eq!(error.kind(), ErrorKind::Locked);
}

#[test]
fn opening_obeys_create_if_missing_and_error_if_exists() {
    let files = MemFileSystem::new();
    let open = |set: &[(&str, &str)]| {
        Db::open_in(Env { files: files.clone(), runtime: SeededRuntime::new(2) }, Path::new("/db"), &options(set))
    };
    let refused = |set| open(set).err().map(|error| error.kind());
    assert_eq!(refused(&[("create_if_missing", "false")]), Some(ErrorKind::NotFound), "it must not be created");
    assert_eq!(refused(&[("read_only", "true")]), Some(ErrorKind::NotFound));
    open(&[]).unwrap().close(&CloseOptions::default()).unwrap();
    assert_eq!(refused(&[("error_if_exists", "true")]), Some(ErrorKind::InvalidArgument), "it must not exist");
    open(&[("create_if_missing", "false")]).unwrap();
}
