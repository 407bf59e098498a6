//! The archive of the log: what goes there, in which order, within which limits, and that nobody waits for it or fails with it.

use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::{AllKept, AllLost, CrashChoice, RandomPages, RandomSectors};
use sstore::env::{Call, Env, FileSystem, Runtime};
use sstore::record::RecordKind;
use sstore::wal::{archived_stamp, inspect_segment, segment_number};
use sstore::{
    CloseOptions, Db, Durability, Error, Event, EventKind, FilePart, Options, ReadOptions, Result, WriteOptions,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SYNC: WriteOptions = WriteOptions { durability: Some(Durability::Sync), no_stall: false };
const LOG: &str = "/db/wal";
const ARCHIVE: &str = "/db/wal/archive";

struct World {
    files: Arc<MemFileSystem>,
    faults: Arc<FaultFileSystem>,
    runtime: Arc<SeededRuntime>,
    events: Arc<Mutex<Vec<Event>>>,
    db: Db,
}

fn open(files: Arc<MemFileSystem>, backend: &str, set: &[(&str, &str)]) -> Result<World> {
    let small = [("wal_backend", backend), ("wal_segment_bytes", "64KiB"), ("write_buffer_bytes", "64KiB")];
    let options = small.iter().chain(set).fold(Options::new(), |all, (name, value)| all.with(name, value).unwrap());
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let (sink, mut options) = (events.clone(), options);
    options.set_listener(Arc::new(move |event| sink.lock().unwrap().push(event.clone())));
    let (faults, runtime) = (FaultFileSystem::new(files.clone(), Vec::new()), SeededRuntime::new(8));
    let env = Env { files: faults.clone(), runtime: runtime.clone() };
    let db = Db::open_in(env, Path::new("/db"), &options)?;
    Ok(World { files, faults, runtime, events, db })
}

fn world(set: &[(&str, &str)]) -> World {
    open(MemFileSystem::new(), "mapped", &[&[("wal_archive", "true")], set].concat()).unwrap()
}

impl World {
    fn env(&self) -> Env {
        Env { files: self.files.clone(), runtime: self.runtime.clone() }
    }

    fn put(&self, key: u32) {
        self.db.put(&self.db.default_family(), &key.to_be_bytes(), &[key as u8; 2000], &SYNC).unwrap();
    }

    /// Puts, and flushes now and then: the log needs nothing below each flush.
    fn fill(&self, keys: std::ops::Range<u32>) {
        for key in keys {
            self.put(key);
            if key % 20 == 19 {
                self.flush();
            }
        }
    }

    fn flush(&self) {
        self.db.flush(&[]).unwrap().wait(None).unwrap();
    }

    fn rest(&self) {
        self.runtime.run_until_idle();
        self.runtime.pass(Duration::from_secs(2));
        self.runtime.run_until_idle();
    }

    /// What is in the archive: names and lengths, oldest first.
    fn archived(&self) -> Vec<(String, u64)> {
        let names = self.files.list(Path::new(ARCHIVE)).unwrap_or_default();
        let len = |name: &String| self.files.file_len(&Path::new(ARCHIVE).join(name)).unwrap().unwrap();
        names.into_iter().map(|name| (name.clone(), len(&name))).collect()
    }

    fn segments(&self) -> Vec<PathBuf> {
        let names = self.files.list(Path::new(LOG)).unwrap();
        names.iter().filter(|name| segment_number(name).is_some()).map(|name| Path::new(LOG).join(name)).collect()
    }

    /// The sequences that a segment holds, its number, and whether its records go on to its end.
    fn look_into(&self, path: &Path) -> (Vec<u64>, u64, bool) {
        let mut found = Vec::new();
        let (segment, end) = inspect_segment::<Error>(&self.env(), path, &mut |_, record| {
            if record.kind == RecordKind::Data {
                found.extend(record.sequence..record.sequence + u64::from(record.count));
            }
            Ok(())
        })
        .unwrap();
        (found, segment.number.0, end.offset == segment.file_bytes)
    }

    fn told(&self, kind: EventKind) -> Vec<Event> {
        self.events.lock().unwrap().iter().filter(|event| event.kind == kind).cloned().collect()
    }

    fn count(&self) -> u32 {
        let family = self.db.default_family();
        let there = |key: u32| self.db.get(&family, &key.to_be_bytes(), &ReadOptions::default()).unwrap().is_some();
        (0..).take_while(|key| there(*key)).count() as u32
    }
}

#[test]
fn what_the_log_needs_no_more_is_archived_whole_and_in_its_order() {
    for backend in ["mapped", "write"] {
        let world = open(MemFileSystem::new(), backend, &[("wal_archive", "true")]).unwrap();
        world.fill(0..200);
        world.put(200);
        world.rest();
        let archived = world.archived();
        assert!(archived.len() >= 8, "{archived:?}");
        let paths = archived.iter().map(|(name, _)| Path::new(ARCHIVE).join(name));
        let (mut sequences, mut last) = (Vec::new(), 0);
        for path in paths.chain(world.segments()) {
            let (found, number, is_cut) = world.look_into(&path);
            assert!(number > last, "they come in their order: {}", path.display());
            assert!(is_cut || path.parent() == Some(Path::new(LOG)), "cut where its records end: {}", path.display());
            assert!(!found.is_empty() || path.parent() == Some(Path::new(LOG)), "without data: {}", path.display());
            sequences.extend(found);
            last = number;
        }
        assert_eq!(sequences, (1..=201).collect::<Vec<_>>(), "each record once");
        let told: Vec<String> = world.told(EventKind::LogArchived).into_iter().map(|event| event.detail).collect();
        assert_eq!(told, archived.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
        assert!(world.told(EventKind::LogDeleted).is_empty());
        world.db.close(&CloseOptions::default()).unwrap();
        // Nobody needs it, with the option or without.
        let files = world.files;
        let kept = world.db;
        drop(kept);
        let world = open(files.clone(), backend, &[]).unwrap();
        assert_eq!(world.count(), 201);
        world.fill(201..260);
        world.rest();
        assert!(world.archived().len() <= archived.len() + 1, "it is off");
        world.db.close(&CloseOptions::default()).unwrap();
        drop(world);
        Db::destroy_in(&Env { files: files.clone(), runtime: SeededRuntime::new(1) }, Path::new("/db")).unwrap();
        assert!(files.list(Path::new("/db")).is_err(), "nothing is left");
    }
}

#[test]
fn the_archive_keeps_to_its_limits_and_the_oldest_go_first() {
    let world = world(&[("wal_archive_bytes", "150KiB")]);
    for round in 0..12 {
        world.fill(round * 20..round * 20 + 20);
        world.rest();
        let archived = world.archived();
        assert!(archived.iter().map(|(_, bytes)| bytes).sum::<u64>() <= 150 << 10, "{archived:?}");
        let all = world.told(EventKind::LogArchived);
        let newest = all.iter().rev().map(|event| &event.detail).take(archived.len());
        assert!(archived.iter().rev().map(|(name, _)| name).eq(newest), "the newest stay: {archived:?}");
        assert!(round < 4 || archived.len() >= 3, "{archived:?}");
    }
    let (all, gone) = (world.told(EventKind::LogArchived), world.told(EventKind::LogDeleted));
    let details = |events: Vec<Event>| events.into_iter().map(|event| event.detail).collect::<Vec<_>>();
    let (all, gone) = (details(all), details(gone));
    assert!(!gone.is_empty() && gone[..] == all[..gone.len()], "{gone:?}");
}

#[test]
fn a_segment_that_is_old_enough_leaves_the_archive_by_itself() {
    let world = world(&[("wal_archive_seconds", "100"), ("wal_archive_bytes", "0")]);
    world.fill(0..60);
    world.rest();
    let first = world.archived().len();
    world.runtime.pass(Duration::from_secs(60));
    world.fill(60..120);
    world.rest();
    let all = world.archived().len();
    assert!(first >= 2 && all >= first + 2, "{first} {all}");
    // Nothing is written any more.
    world.runtime.pass(Duration::from_secs(50));
    world.runtime.run_until_idle();
    assert_eq!(world.archived().len(), all - first, "the first half is past its time");
    world.runtime.pass(Duration::from_secs(60));
    world.runtime.run_until_idle();
    assert_eq!(world.archived(), []);
    // Also what an earlier process left there.
    world.fill(120..160);
    world.rest();
    world.db.close(&CloseOptions::default()).unwrap();
    let (files, runtime) = (world.files.clone(), world.runtime.clone());
    assert!(!world.archived().is_empty());
    drop(world);
    runtime.pass(Duration::from_secs(200));
    let options = Options::new().with("wal_archive", "true").unwrap().with("wal_archive_seconds", "100").unwrap();
    let db = Db::open_in(Env { files: files.clone(), runtime: runtime.clone() }, Path::new("/db"), &options).unwrap();
    runtime.run_until_idle();
    let left = files.list(Path::new(ARCHIVE)).unwrap();
    let is_new = |name: &String| runtime.unix_nanos() - archived_stamp(name).unwrap() < 100_000_000_000;
    assert!(left.iter().all(is_new), "{left:?}");
    drop(db);
}

/// Cut short at each of its steps, a move leaves the segment in one place or the other, and the next opening finishes it.
#[test]
fn a_move_that_a_crash_cuts_short_loses_nothing_and_is_finished_by_the_next_opening() {
    for backend in ["mapped", "write"] {
        let set = [("wal_archive", "true")];
        let world = open(MemFileSystem::new(), backend, &set).unwrap();
        world.fill(0..20);
        world.files.record_images();
        let mut done = BTreeMap::new();
        for key in 20..45 {
            world.put(key);
            done.insert(world.files.op_count(), key);
            if key % 8 == 0 {
                world.flush();
                world.rest();
            }
        }
        let images = world.files.take_images();
        let moves = images.iter().filter(|recorded| recorded.call == Call::Rename).count();
        assert!(moves >= 3, "{moves} moves");
        let near_a_move = |at: usize| {
            let around = &images[at.saturating_sub(4)..images.len().min(at + 5)];
            around.iter().any(|recorded| recorded.call == Call::Rename)
        };
        for (at, recorded) in images.iter().enumerate().filter(|(at, _)| near_a_move(*at)) {
            let synced = done.range(..=recorded.op).next_back().map_or(19, |(_, key)| *key);
            let choices: [&mut dyn CrashChoice; 4] =
                [&mut AllLost, &mut AllKept, &mut RandomSectors(at as u64), &mut RandomPages(at as u64)];
            for (number, choice) in choices.into_iter().enumerate() {
                let when = format!("{backend}, call {} ({:?}), choice {number}", recorded.op, recorded.call);
                let left = open(recorded.image.crash_clone(choice), backend, &set);
                let left = left.unwrap_or_else(|error| panic!("{when}: {error}"));
                assert!(left.count() > synced, "{when}: {} keys", left.count());
                left.rest();
                let archived = left.archived().into_iter().map(|(name, _)| Path::new(ARCHIVE).join(name));
                let (mut sequences, mut numbers) = (BTreeSet::new(), BTreeSet::new());
                for path in archived.chain(left.segments()) {
                    let (found, number, _) = left.look_into(&path);
                    assert!(numbers.insert(number), "{when}: {number} twice");
                    sequences.extend(found);
                }
                let all = u64::from(left.count());
                assert!(sequences.iter().copied().eq(1..=all), "{when}: {sequences:?} of {all}");
            }
        }
    }
}

#[test]
fn a_flush_neither_waits_for_the_archive_nor_fails_with_it() {
    let moved = |rule: Rule| {
        let world = world(&[]);
        world.fill(0..20);
        world.rest();
        let before = world.archived().len();
        world.faults.add(rule);
        world.fill(20..100);
        world.rest();
        assert!(world.db.background_error().is_none(), "{:?}", world.db.background_error());
        assert_eq!(world.count(), 100);
        let during = world.archived().len();
        world.faults.clear();
        world.rest();
        world.fill(100..140);
        world.rest();
        assert_eq!(world.segments().iter().filter(|path| world.look_into(path).0.len() > 40).count(), 0);
        let given_up = world.told(EventKind::LogDeleted);
        let after = world.archived();
        let twice: BTreeSet<u64> =
            after.iter().map(|(name, _)| world.look_into(&Path::new(ARCHIVE).join(name)).1).collect();
        assert_eq!(twice.len(), after.len(), "each segment once");
        let sequences: usize =
            after.iter().map(|(name, _)| world.look_into(&Path::new(ARCHIVE).join(name)).0.len()).sum();
        (during > before, given_up, sequences)
    };
    // A directory that cannot be written to: they wait, and none is lost.
    for call in [Call::Rename, Call::CreateDir] {
        let (during, given_up, sequences) = moved(Rule::once(call, Effect::Error(libc::EACCES)).on("archive").sticky());
        assert_eq!((during, given_up.len(), sequences), (false, 0, 140), "{call:?}");
    }
    // One that took effect although it failed.
    let (_, given_up, sequences) = moved(Rule::once(Call::Rename, Effect::AppliedButError(libc::EIO)).on("archive"));
    assert_eq!((given_up.len(), sequences), (0, 140), "a rename that took effect");
    // A sync of the names: they are there.
    let (_, given_up, sequences) = moved(Rule::once(Call::SyncDir, Effect::Error(libc::EIO)).on("archive").sticky());
    assert_eq!((given_up.len(), sequences), (0, 140), "a sync of the folder");
    // A full disk: the archive gives way, oldest first, and then what would have come.
    let (during, given_up, _) = moved(Rule::once(Call::Rename, Effect::Error(libc::ENOSPC)).on("archive").sticky());
    assert!(!during && given_up.len() >= 3, "{given_up:?}");
    assert!(archived_stamp(&given_up[0].detail).is_some(), "{given_up:?}");
    assert!(given_up.last().unwrap().detail.starts_with("not archived: "), "{given_up:?}");
}

/// A segment that cannot be made durable goes: nobody knows what it holds. The database does not care.
#[test]
fn a_segment_whose_sync_fails_is_not_archived() {
    let world = world(&[]);
    let put = |key: u32| world.db.put(&world.db.default_family(), &key.to_be_bytes(), b"v", &WriteOptions::default());
    put(0).unwrap();
    let active = world.segments().into_iter().find(|path| !world.look_into(path).0.is_empty()).unwrap();
    let name = active.file_name().unwrap().to_str().unwrap();
    world.faults.add(Rule::once(Call::SyncData, Effect::Error(libc::EIO)).on(name));
    world.flush();
    world.rest();
    assert_eq!((world.faults.hits(), world.archived()), (1, Vec::new()));
    assert!(world.files.file_len(&active).unwrap().is_none(), "it is gone");
    let told = world.told(EventKind::LogDeleted);
    assert!(told.len() == 1 && told[0].detail.starts_with("not archived: "), "{told:?}");
    put(1).unwrap();
    world.db.sync_wal().unwrap();
    world.flush();
    world.rest();
    assert_eq!(world.archived().len(), 1, "the next one is");
}

#[test]
fn what_waits_to_be_archived_does_not_heap_up() {
    let world = world(&[("wal_archive_bytes", "150KiB")]);
    world.faults.add(Rule::once(Call::Rename, Effect::Error(libc::EACCES)).on("archive").sticky());
    for round in 0..10 {
        world.fill(round * 20..round * 20 + 20);
        world.rest();
        let bytes: u64 = world.segments().iter().map(|path| world.files.file_len(path).unwrap().unwrap()).sum();
        assert!(bytes <= (150 + 64 * 5) << 10, "{bytes} bytes");
    }
    assert!(world.told(EventKind::LogDeleted).iter().all(|event| event.detail == "not archived: the archive is full"));
}

#[test]
fn a_check_of_files_reads_the_archive_and_names_what_is_damaged() {
    let world = world(&[]);
    world.fill(0..60);
    world.rest();
    world.db.close(&CloseOptions::default()).unwrap();
    let archived = world.archived();
    let check = || {
        let mut told = Vec::new();
        Db::verify_files_in::<Error>(&world.env(), Path::new("/db"), &Options::new(), &mut |file| {
            if file.part == FilePart::Archive {
                told.push((file.path, file.bytes, file.error.map(|error| error.to_string())));
            }
            Ok(())
        })
        .unwrap();
        told
    };
    let path = |name: &String| Path::new(ARCHIVE).join(name);
    let whole: Vec<_> = archived.iter().map(|(name, bytes)| (path(name), *bytes, None)).collect();
    assert_eq!(check(), whole);
    let victim = path(&archived[1].0);
    world.files.damage(&victim, 30, &[0xff]).unwrap();
    let damaged: Vec<_> = check().into_iter().filter(|(_, _, error)| error.is_some()).collect();
    assert!(damaged.len() == 1 && damaged[0].0 == victim, "{damaged:?}");
}
