//! What comes in beside the log, against a `BTreeMap`: writes, snapshots, readers, flushes and merges while it comes, a crash and a failure
//! at each call.

use super::*;
use crate::batch::WriteBatch;
use crate::db::{CloseOptions, Durability, IterOptions, Options, ReadOptions, Snapshot, WriteOptions};
use crate::env::fault::{Effect, FaultFileSystem, Rule};
use crate::env::mem::MemFileSystem;
use crate::env::mem::crash::{AllKept, AllLost, CrashChoice, RandomSectors, Torn};
use crate::env::posix::posix;
use crate::env::{Call, Env, FileSystem};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

type Keys = BTreeMap<Vec<u8>, Vec<u8>>;

const PATH: &str = "/db";
const SYNC: WriteOptions = WriteOptions { durability: Some(Durability::Sync), no_stall: false };

fn options(set: &[(&str, &str)]) -> Options {
    let small = [("write_buffer_bytes", "1MiB"), ("wal_segment_bytes", "64KiB"), ("compaction_trigger_runs", "2")];
    small.iter().chain(set).fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

fn open(files: &Arc<dyn FileSystem>, set: &[(&str, &str)]) -> Result<Db> {
    Db::open_in(Env { files: files.clone(), runtime: posix().runtime }, Path::new(PATH), &options(set))
}

/// What a family holds.
fn seen(db: &Db, snapshot: Option<&Snapshot>) -> Keys {
    let options = IterOptions { snapshot: snapshot.cloned(), ..IterOptions::default() };
    let mut iterator = db.iterator(&db.default_family(), options).unwrap();
    let mut keys = Keys::new();
    let mut standing = iterator.seek_to_first().unwrap();
    while standing {
        keys.insert(iterator.key().to_vec(), iterator.value().to_vec());
        standing = iterator.next().unwrap();
    }
    let read = ReadOptions { snapshot };
    for key in (0..200).map(key) {
        let found = db.get(&db.default_family(), &key, &read).unwrap();
        assert_eq!(found.as_deref(), keys.get(&key).map(|value| &value[..]), "a get says what an iterator does");
    }
    keys
}

fn key(number: u32) -> Vec<u8> {
    format!("k{number:03}").into_bytes()
}

fn put(db: &Db, number: u32, value: &str) {
    db.put(&db.default_family(), &key(number), value.as_bytes(), &WriteOptions::default()).unwrap();
}

fn delete(db: &Db, number: u32) {
    db.delete(&db.default_family(), &key(number), &WriteOptions::default()).unwrap();
}

fn flush(db: &Db) {
    db.flush(&[]).unwrap().wait(None).unwrap();
}

/// Brings in keys 0 to 99; `between` runs after each.
fn ingest(db: &Db, mut between: impl FnMut(u32)) -> Result<()> {
    db.ingest(&db.default_family(), 100, |ingest| {
        for number in 0..100 {
            ingest.put(&key(number), b"imported")?;
            between(number);
        }
        Ok(())
    })
}

fn with_imported(before: &Keys) -> Keys {
    let mut keys = before.clone();
    keys.extend((0..100).map(|number| (key(number), b"imported".to_vec())));
    keys
}

/// Files of tables that lie there.
fn tables(files: &dyn FileSystem) -> usize {
    let names = files.list(Path::new("/db/cf/default")).unwrap_or_default();
    names.iter().filter(|name| name.ends_with(".sst")).count()
}

/// What is there is what is named.
fn assert_no_file_is_left(files: &dyn FileSystem, db: &Db, what: &str) {
    assert_eq!(tables(files), db.segments(&db.default_family()).unwrap().len(), "{what}: files that nothing names");
}

#[test]
fn what_was_written_before_is_older_and_what_is_written_meanwhile_is_newer() {
    for logged in ["true", "false"] {
        let files: Arc<dyn FileSystem> = MemFileSystem::new();
        let db = open(&files, &[("logged", logged)]).unwrap();
        (0..50).for_each(|number| put(&db, number, "flushed before"));
        flush(&db);
        (40..60).for_each(|number| put(&db, number, "in memory before"));
        delete(&db, 7);
        put(&db, 150, "before");
        let before = seen(&db, None);
        let held = db.snapshot().unwrap();
        let mut meanwhile = Vec::new();
        let mut iterator = None;
        let segments = || db.segments(&db.default_family()).unwrap().len();
        let mut runs = 0;
        ingest(&db, |number| match number {
            5 => (160..166).for_each(|number| {
                put(&db, number, "meanwhile");
                flush(&db);
            }),
            10 => {
                put(&db, 20, "meanwhile");
                delete(&db, 21);
                meanwhile.push((db.snapshot().unwrap(), seen(&db, None)));
                flush(&db);
                put(&db, 22, "meanwhile");
                put(&db, 151, "meanwhile");
            }
            20 => {
                flush(&db);
                delete(&db, 22);
                meanwhile.push((db.snapshot().unwrap(), seen(&db, None)));
                iterator = Some(db.iterator(&db.default_family(), IterOptions::default()).unwrap());
                flush(&db);
                runs = segments();
                assert!(runs >= 10, "no merge begins meanwhile: {runs} files");
            }
            // Merges of as many runs would have begun long ago.
            30 => std::thread::sleep(std::time::Duration::from_millis(60)),
            99 => {
                assert_eq!(segments(), runs, "no merge begins meanwhile");
                put(&db, 98, "meanwhile");
                let mut expected = before.clone();
                expected.extend(
                    [20, 98, 151].into_iter().chain(160..166).map(|number| (key(number), b"meanwhile".to_vec())),
                );
                [21, 22].iter().for_each(|number| drop(expected.remove(&key(*number))));
                assert_eq!(seen(&db, None), expected, "nothing is seen before the end");
            }
            _ => {}
        })
        .unwrap();
        let mut expected = with_imported(&before);
        expected.extend([20, 98, 151].into_iter().chain(160..166).map(|number| (key(number), b"meanwhile".to_vec())));
        [21, 22].iter().for_each(|number| drop(expected.remove(&key(*number))));
        assert_eq!(seen(&db, None), expected);
        let check_held = || {
            assert_eq!(seen(&db, Some(&held)), before, "a snapshot from before");
            for (snapshot, content) in &meanwhile {
                assert_eq!(seen(&db, Some(snapshot)), *content, "a snapshot from meanwhile");
            }
        };
        check_held();
        let after = db.snapshot().unwrap();
        assert!(meanwhile.iter().all(|(snapshot, _)| snapshot.sequence() < after.sequence()));
        put(&db, 1, "after");
        delete(&db, 2);
        assert_eq!(seen(&db, Some(&after)), expected, "a snapshot from afterwards");
        expected.insert(key(1), b"after".to_vec());
        expected.remove(&key(2));
        flush(&db);
        db.compact(&db.default_family()).unwrap();
        assert_eq!(seen(&db, None), expected, "merged");
        check_held();
        let mut iterator = iterator.unwrap();
        iterator.seek(&key(21)).unwrap();
        assert_eq!((iterator.key(), iterator.value()), (&key(23)[..], &b"flushed before"[..]));
        drop((iterator, held, meanwhile, after));
        db.verify().unwrap();
        db.close(&CloseOptions::default()).unwrap();
        let db = open(&files, &[]).unwrap();
        assert_eq!(seen(&db, None), expected, "opened again");
        assert_no_file_is_left(&*files, &db, "merged");
    }
}

#[test]
fn a_reader_beside_it_sees_all_of_it_after_a_refresh_or_nothing() {
    for is_merged in [false, true] {
        let faulty = FaultFileSystem::new(MemFileSystem::new(), Vec::new());
        let files: Arc<dyn FileSystem> = faulty.clone();
        let db = open(&files, &[("events_bytes", "0")]).unwrap();
        put(&db, 1, "before");
        put(&db, 120, "before");
        let reader = open(&files, &[("read_only", "true")]).unwrap();
        let before = seen(&reader, None);
        // While what is older is flushed: the reader's memtable then has that and what is newer.
        let (writer, beside, sequence) = (db.clone(), reader.clone(), db.stats().sequence);
        let is_due = AtomicBool::new(true);
        faulty.set_listener(Arc::new(move |call, path| {
            let is_flush = call == Call::Create && path.extension().is_some_and(|extension| extension == "sst");
            if is_flush && is_due.swap(false, Ordering::SeqCst) {
                while writer.stats().sequence == sequence {
                    std::thread::yield_now();
                }
                put(&writer, 121, "meanwhile");
                put(&writer, 60, "meanwhile");
                assert!(beside.refresh().unwrap().changed);
            }
        }));
        let mut held = None;
        ingest(&db, |number| {
            if number == 50 {
                held = Some((reader.snapshot().unwrap(), seen(&reader, None)));
            }
        })
        .unwrap();
        faulty.set_listener(Arc::new(|_, _| {}));
        if is_merged {
            flush(&db);
            db.compact(&db.default_family()).unwrap();
            assert_eq!(db.segments(&db.default_family()).unwrap().len(), 1);
        }
        let (snapshot, content) = held.unwrap();
        assert_eq!(seen(&reader, None), content);
        assert!(reader.refresh().unwrap().changed, "it tells that something came in");
        let mut expected = with_imported(&before);
        expected.extend([60, 121].map(|number| (key(number), b"meanwhile".to_vec())));
        assert_eq!(seen(&reader, None), expected);
        assert_eq!(seen(&reader, Some(&snapshot)), content, "a snapshot of the reader's");
        assert!(!reader.refresh().unwrap().changed);
    }
}

#[test]
fn a_crash_leaves_all_of_it_or_nothing_and_never_a_file() {
    let files = MemFileSystem::new();
    files.record_images();
    let shared: Arc<dyn FileSystem> = files.clone();
    let db = open(&shared, &[]).unwrap();
    (0..30).for_each(|number| put(&db, number, "flushed before"));
    flush(&db);
    (100..130).for_each(|number| put(&db, number, "never synced"));
    let other = db.create_column_family("other", &options(&[])).unwrap();
    db.put(&db.default_family(), &key(150), b"synced", &SYNC).unwrap();
    let begun = files.op_count();
    put(&db, 151, "never synced");
    db.put(&other, b"other", b"never synced", &WriteOptions::default()).unwrap();
    let before = seen(&db, None);
    ingest(&db, |number| {
        if number == 50 {
            put(&db, 10, "meanwhile");
        }
    })
    .unwrap();
    let done = files.op_count();
    put(&db, 152, "after");
    let images = files.take_images();
    let (mut with, mut without) = (0, 0);
    for recorded in images.iter().filter(|recorded| recorded.op >= begun) {
        let op = recorded.op;
        let mut choices: [Box<dyn CrashChoice>; 4] =
            [Box::new(AllLost), Box::new(AllKept), Box::new(Torn(op)), Box::new(RandomSectors(op))];
        for choice in &mut choices {
            let left: Arc<dyn FileSystem> = recorded.image.crash_clone(choice.as_mut());
            let again = open(&left, &[("auto_compaction", "false")])
                .unwrap_or_else(|error| panic!("cut before call {op}: {error}"));
            let mut found = seen(&again, None);
            let is_in = found.get(&key(0)).is_some_and(|value| value == b"imported");
            assert!(is_in || op < done, "cut before call {op}: it is durable when the call returned");
            let meanwhile = found.get(&key(10)).is_some_and(|value| value == b"meanwhile");
            found.remove(&key(152));
            let other = again.column_family("other").unwrap();
            let other = again.get(&other, b"other", &ReadOptions::default()).unwrap();
            assert!(!is_in || other.is_some(), "cut before call {op}: what was written before it is there if it is");
            let mut expected = if is_in { with_imported(&before) } else { before.clone() };
            if !is_in && !found.contains_key(&key(151)) {
                expected.remove(&key(151));
            }
            if meanwhile {
                expected.insert(key(10), b"meanwhile".to_vec());
            }
            assert_eq!(found, expected, "cut before call {op}, imported {is_in}");
            assert_no_file_is_left(&*left, &again, &format!("cut before call {op}"));
            *(if is_in { &mut with } else { &mut without }) += 1;
        }
    }
    assert!(with > 10 && without > 10, "{with} with it, {without} without");
}

#[test]
fn a_failure_of_any_call_leaves_nothing_of_it() {
    let (mut failed, mut taken) = (0, 0);
    for errno in [libc::ENOSPC, libc::EIO] {
        for at in 0.. {
            let memory = MemFileSystem::new();
            let faulty = FaultFileSystem::new(memory.clone(), Vec::new());
            let files: Arc<dyn FileSystem> = faulty.clone();
            let db = open(&files, &[("events_bytes", "0")]).unwrap();
            (0..20).for_each(|number| put(&db, number, "before"));
            let before = seen(&db, None);
            faulty.add(Rule { call: None, path_part: None, skip: at, sticky: false, effect: Effect::Error(errno) });
            let outcome = ingest(&db, |_| {});
            let hit = faulty.hits() > 0;
            faulty.clear();
            let what = format!("errno {errno}, call {at}: {outcome:?}");
            let is_poisoned = matches!(&outcome, Err(error) if db.put(&db.default_family(), b"z", b"z", &SYNC).is_err() || {
                failed += 1;
                assert!(hit, "{error}");
                false
            });
            let mut found = seen(&db, None);
            found.remove(&b"z"[..]);
            let expected = if outcome.is_ok() { with_imported(&before) } else { before.clone() };
            assert_eq!(found, expected, "{what}");
            // What it waits for, a flush, is not tried again at once.
            if outcome.is_err() && !is_poisoned {
                db.resume().unwrap();
                ingest(&db, |_| {}).unwrap_or_else(|error| panic!("{what}: and again: {error}"));
                found = seen(&db, None);
                found.remove(&b"z"[..]);
                assert_eq!(found, with_imported(&before), "{what}: run again");
            }
            let _ = db.close(&CloseOptions::default());
            let db = open(&files, &[]).unwrap();
            let mut again = seen(&db, None);
            again.remove(&b"z"[..]);
            let is_whole = again == with_imported(&before) || is_poisoned && again == before;
            assert!(is_whole, "{what}: opened again: {again:?}");
            assert_no_file_is_left(&*memory, &db, &what);
            if !hit {
                taken = taken.max(at);
                break;
            }
        }
    }
    println!("each of {taken} calls failed, {failed} times the import with it");
    assert!(taken > 10 && failed > 10);
}

#[test]
fn one_that_fails_itself_leaves_nothing_and_merges_go_on() {
    let files: Arc<dyn FileSystem> = MemFileSystem::new();
    let db = open(&files, &[]).unwrap();
    put(&db, 1, "before");
    let before = seen(&db, None);
    let refused = db.ingest(&db.default_family(), 0, |ingest| {
        ingest.put(b"b", b"")?;
        ingest.put(b"a", b"")
    });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidArgument, "keys must rise");
    let cancelled = db.ingest(&db.default_family(), 0, |ingest| {
        (0..100).try_for_each(|number| ingest.put(&key(number), b"imported"))?;
        Err(Error::new(ErrorKind::Cancelled, "called off"))
    });
    assert_eq!(cancelled.unwrap_err().kind(), ErrorKind::Cancelled);
    db.ingest(&db.default_family(), 0, |_| Ok(())).unwrap();
    assert_eq!(seen(&db, None), before);
    assert_no_file_is_left(&*files, &db, "called off");
    // Of two into one family the one that began later is newer, whichever ends first.
    db.ingest(&db.default_family(), 0, |outer| {
        (0..100).try_for_each(|number| outer.put(&key(number), b"outer"))?;
        put(&db, 6, "between");
        db.ingest(&db.default_family(), 0, |inner| inner.put(&key(5), b"inner"))
    })
    .unwrap();
    assert_eq!(seen(&db, None)[&key(5)], b"inner");
    assert_eq!(seen(&db, None)[&key(4)], b"outer");
    assert_eq!(seen(&db, None)[&key(6)], b"between");
    db.compact(&db.default_family()).unwrap();
    assert_eq!(db.segments(&db.default_family()).unwrap().len(), 1);
    assert_eq!(seen(&db, None)[&key(5)], b"inner");
}

#[test]
fn it_ends_when_the_family_is_dropped_or_the_database_closed() {
    let files: Arc<dyn FileSystem> = MemFileSystem::new();
    let db = open(&files, &[]).unwrap();
    let family = db.create_column_family("f", &options(&[])).unwrap();
    let dropped = db.ingest(&family, 0, |ingest| {
        ingest.put(b"a", b"")?;
        db.drop_column_family(&family)
    });
    assert_eq!(dropped.unwrap_err().kind(), ErrorKind::Dropped);
    let (mut closing, has_ended) = (None, Arc::new(AtomicBool::new(false)));
    let closed = db.ingest(&db.default_family(), 0, |ingest| {
        let own = db.close(&CloseOptions { force: true, ..CloseOptions::default() });
        assert_eq!(own.unwrap_err().kind(), ErrorKind::InvalidArgument, "from within it cannot be waited for");
        let other = db.clone();
        let has_ended = has_ended.clone();
        let seen = has_ended.clone();
        closing = Some(std::thread::spawn(move || {
            other.close(&CloseOptions::default()).unwrap();
            seen.load(Ordering::SeqCst)
        }));
        let mut numbers = 0u64..;
        let ended = numbers.try_for_each(|number| ingest.put(&number.to_be_bytes(), b""));
        std::thread::sleep(std::time::Duration::from_millis(50));
        has_ended.store(true, Ordering::SeqCst);
        ended
    });
    assert!(closing.unwrap().join().unwrap(), "closing waits for it");
    assert_eq!(closed.unwrap_err().kind(), ErrorKind::Closed);
    let db = open(&files, &[]).unwrap();
    assert!(seen(&db, None).is_empty());
    assert_no_file_is_left(&*files, &db, "closed");
    db.write(&WriteBatch::new(), &WriteOptions::default()).unwrap();
}
