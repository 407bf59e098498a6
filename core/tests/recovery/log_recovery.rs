//! The modes of recovery as an application sees them: what opens, what is refused and with which file in the error, what is told.
//!
//! `core/src/wal/tests/modes.rs` has the table of all damages; here the whole database stands behind a few of them, and what is left
//! must be durable, whole, and the same at every later opening.

use sstore::env::executor::SeededRuntime;
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::{AllKept, AllLost};
use sstore::env::{Env, FileSystem};
use sstore::key::FileNumber;
use sstore::record::{RecordHeader, Salt, payload_checksum};
use sstore::wal::{inspect_segment, segment_number};
use sstore::{CloseOptions, Db, Error, ErrorKind, Event, EventKind, IterOptions, Options, WriteBatch, WriteOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const MODES: [&str; 4] = ["point_in_time", "absolute", "tolerate_tail", "salvage"];
const STRICT: [&str; 3] = ["point_in_time", "absolute", "tolerate_tail"];
const COUNT: u32 = 300;
/// Everything before it was synced.
const SYNCED: u32 = 250;

fn options(mode: &str) -> Options {
    let set = [("wal_backend", "write"), ("wal_segment_bytes", "64KiB"), ("flush_on_close", "false")];
    let options = set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
    options.with("wal_recovery", mode).unwrap()
}

fn env_of(files: &Arc<MemFileSystem>) -> Env {
    Env { files: files.clone(), runtime: SeededRuntime::new(4) }
}

fn open(files: &Arc<MemFileSystem>, mode: &str) -> Result<Db, Error> {
    Db::open_in(env_of(files), Path::new("/db"), &options(mode))
}

/// A process that is killed: each key in two families, by one batch.
fn killed() -> Arc<MemFileSystem> {
    killed_of(4)
}

/// The same with ids drawn from a seed.
fn killed_of(seed: u64) -> Arc<MemFileSystem> {
    let files = MemFileSystem::new();
    let env = Env { files: files.clone(), runtime: SeededRuntime::new(seed) };
    let db = Db::open_in(env, Path::new("/db"), &options("point_in_time")).unwrap();
    let other = db.create_column_family("other", &options("point_in_time")).unwrap();
    for key in 0..COUNT {
        let mut batch = WriteBatch::new();
        for family in [&db.default_family(), &other] {
            batch.put(family.id(), &key.to_be_bytes(), &[key as u8; 500]).unwrap();
        }
        db.write(&batch, &WriteOptions::default()).unwrap();
        if key == SYNCED {
            db.sync_wal().unwrap();
        }
    }
    files.crash_clone(&mut AllKept)
}

/// The keys of both families, which must be the same.
fn keys(db: &Db) -> Vec<u32> {
    let of = |family: &str| {
        let family = db.column_family(family).unwrap();
        let mut iterator = db.iterator(&family, IterOptions::default()).unwrap();
        let mut found = Vec::new();
        iterator.seek_to_first().unwrap();
        while iterator.is_valid() {
            found.push(u32::from_be_bytes(iterator.key().try_into().unwrap()));
            iterator.next().unwrap();
        }
        found
    };
    let found = of("default");
    assert_eq!(found, of("other"), "a batch is whole or not there");
    found
}

fn without(lost: &[u32]) -> Vec<u32> {
    (0..COUNT).filter(|key| !lost.contains(key)).collect()
}

/// The segment and the offset of the record of a key.
fn place(files: &Arc<MemFileSystem>, key: u32) -> (PathBuf, u64, u64) {
    let mut found = None;
    for name in files.list(Path::new("/db/wal")).unwrap() {
        let path = Path::new("/db/wal").join(name);
        let walked = inspect_segment::<Error>(&env_of(files), &path, &mut |_, record| {
            if record.count == 2 && record.payload.windows(4).any(|window| window == key.to_be_bytes()) {
                found = found.take().or(Some((path.clone(), record.offset, record.bytes)));
            }
            Ok(())
        });
        walked.unwrap();
    }
    found.unwrap()
}

fn bytes(files: &MemFileSystem, path: &Path) -> Vec<u8> {
    let file = files.open(path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

fn flip(files: &MemFileSystem, path: &Path, offset: u64) {
    let byte = bytes(files, path)[offset as usize] ^ 4;
    files.damage(path, offset, &[byte]).unwrap();
}

fn opened_and_told(files: &Arc<MemFileSystem>, options: Options) -> (Db, Vec<Event>) {
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let (sink, runtime) = (events.clone(), SeededRuntime::new(5));
    let mut options = options;
    options.set_listener(Arc::new(move |event| sink.lock().unwrap().push(event.clone())));
    let env = Env { files: files.clone(), runtime: runtime.clone() };
    let db = Db::open_in(env, Path::new("/db"), &options).unwrap();
    runtime.run_until_idle();
    let told = events.lock().unwrap().clone();
    (db, told.into_iter().filter(|event| event.kind == EventKind::LogSkipped).collect())
}

#[test]
fn a_salvage_leaves_a_hole_tells_of_it_and_the_rest_stays() {
    let files = killed();
    let (path, offset, len) = place(&files, 40);
    flip(&files, &path, offset + 100);
    for mode in STRICT {
        let error = open(&files.crash_clone(&mut AllKept), mode).err().unwrap();
        assert_eq!((error.kind(), error.path(), error.offset()), (ErrorKind::Corruption, Some(&*path), Some(offset)));
    }
    let (db, told) = opened_and_told(&files, options("salvage"));
    assert_eq!(keys(&db), without(&[40]), "one batch is lost");
    assert_eq!(told.len(), 1, "{told:?}");
    let number = segment_number(path.file_name().unwrap().to_str().unwrap()).unwrap();
    assert_eq!((told[0].number, told[0].bytes), (number.0, len));
    let place = format!("{}: {offset} to {}: record payload damaged", path.display(), offset + len);
    assert!(told[0].detail.starts_with(&place), "{}", told[0].detail);
    let journal = String::from_utf8(bytes(&files, Path::new("/db/EVENTS.jsonl"))).unwrap();
    assert!(journal.contains("log_skipped"), "{journal}");
    // What it left is the database from now on, in every mode, also after a power cut.
    for mode in MODES {
        let after = open(&files.crash_clone(&mut AllLost), mode).unwrap();
        assert_eq!(keys(&after), without(&[40]), "{mode}");
    }
    db.put(&db.default_family(), b"more", b"v", &WriteOptions::default()).unwrap();
    db.delete(&db.default_family(), b"more", &WriteOptions::default()).unwrap();
    db.close(&CloseOptions::default()).unwrap();
    let (db, told) = opened_and_told(&files, options("salvage"));
    assert_eq!((keys(&db), told.len()), (without(&[40]), 0), "nothing is left to skip");
}

#[test]
fn a_salvage_that_is_cut_short_can_be_repeated() {
    let files = killed();
    let (path, offset, _) = place(&files, 40);
    flip(&files, &path, offset + 100);
    files.record_images();
    drop(open(&files, "salvage").unwrap());
    let images = files.take_images();
    assert!(images.len() > 10);
    for recorded in images.iter().step_by(2) {
        for left in [recorded.image.crash_clone(&mut AllLost), recorded.image.crash_clone(&mut AllKept)] {
            let db = open(&left, "salvage").unwrap_or_else(|error| panic!("before call {}: {error}", recorded.op));
            assert_eq!(keys(&db), without(&[40]), "before call {}", recorded.op);
        }
    }
}

fn refused(mode: &str, opened: Result<Db, Error>, path: &Path, offset: u64) {
    let error = opened.err().unwrap_or_else(|| panic!("{mode} opens it"));
    assert_eq!(
        (error.kind(), error.path(), error.offset()),
        (ErrorKind::Corruption, Some(path), Some(offset)),
        "{mode}"
    );
}

#[test]
fn a_torn_end_opens_where_it_is_tolerated() {
    let files = killed();
    let (path, offset, len) = place(&files, COUNT - 1);
    files.damage(&path, offset + 300, &vec![0; len as usize - 300]).unwrap();
    for mode in MODES {
        let opened = open(&files.crash_clone(&mut AllKept), mode);
        match (mode, opened) {
            ("absolute", opened) => refused(mode, opened, &path, offset),
            (_, opened) => assert_eq!(keys(&opened.unwrap()), without(&[COUNT - 1]), "{mode}"),
        }
    }
    // A record before it that was never synced: dropped with all behind it, or a hole, or refused.
    let (path, offset, _) = place(&files, COUNT - 5);
    flip(&files, &path, offset + 7);
    for mode in MODES {
        let opened = open(&files.crash_clone(&mut AllKept), mode);
        match (mode, opened) {
            ("absolute" | "tolerate_tail", opened) => refused(mode, opened, &path, offset),
            ("salvage", opened) => assert_eq!(keys(&opened.unwrap()), without(&[COUNT - 5, COUNT - 1])),
            (_, opened) => assert_eq!(keys(&opened.unwrap()), (0..COUNT - 5).collect::<Vec<_>>(), "{mode}"),
        }
    }
}

#[test]
fn a_segment_of_another_log_is_named_by_every_mode() {
    let other = killed_of(6);
    for planted in ["000005.log", "000900.log"] {
        let files = killed();
        let segments: Vec<String> = files.list(Path::new("/db/wal")).unwrap();
        assert!(segments.len() > 3 && segments.iter().any(|name| name == "000005.log"), "{segments:?}");
        let path = Path::new("/db/wal").join(planted);
        let _ = files.remove(&path);
        files.create(&path).unwrap().write_at(&bytes(&other, Path::new("/db/wal/000005.log")), 0).unwrap();
        for mode in STRICT {
            let error = open(&files.crash_clone(&mut AllKept), mode).err().unwrap();
            assert_eq!((error.kind(), error.path()), (ErrorKind::Corruption, Some(&*path)), "{mode}: {error}");
            assert!(error.message().contains("log segment of another database"), "{mode}: {error}");
        }
        let (db, told) = opened_and_told(&files, options("salvage"));
        assert!(told.len() == 1 && told[0].detail.contains("another database"), "{told:?}");
        assert_eq!(keys(&db).len() == COUNT as usize, planted == "000900.log", "{planted}");
        db.close(&CloseOptions::default()).unwrap();
        assert!(files.file_len(&path).unwrap().is_some(), "what is not ours is left alone");
        open(&files, "absolute").unwrap();
    }
}

#[test]
fn salvaging_for_reading_changes_nothing_and_a_check_of_files_is_not_blinded() {
    let files = killed();
    let (path, offset, _) = place(&files, 40);
    flip(&files, &path, offset + 100);
    let before = files.fingerprint();
    let (db, told) = opened_and_told(&files, options("salvage").with("read_only", "true").unwrap());
    assert_eq!((keys(&db), told.len()), (without(&[40]), 1));
    drop(db);
    let mut damaged = Vec::new();
    Db::verify_files_in::<Error>(&env_of(&files), Path::new("/db"), &options("salvage"), &mut |file| {
        damaged.extend(file.error.map(|_| file.path));
        Ok(())
    })
    .unwrap();
    assert_eq!((damaged, files.fingerprint()), (vec![path], before));
}

/// A record that is as it was written, and makes no sense, is no damage: perhaps a later version wrote it.
#[test]
fn a_whole_record_that_makes_no_sense_is_skipped_by_no_mode() {
    let files = killed();
    let (path, offset, _) = place(&files, 40);
    let segment = bytes(&files, &path);
    let long = |at: usize| u64::from_le_bytes(segment[at..at + 8].try_into().unwrap());
    let salt = Salt::new(long(40), FileNumber(long(24)));
    let at = offset as usize;
    let header: [u8; 32] = segment[at..at + 32].try_into().unwrap();
    let mut header = RecordHeader::decode(&header, salt, offset).unwrap();
    let mut payload = segment[at + 32..at + 32 + header.payload_len as usize].to_vec();
    payload[0] = 0xee;
    header.payload_checksum = payload_checksum(&[&payload]);
    files.damage(&path, offset, &header.encode(salt, offset)).unwrap();
    files.damage(&path, offset + 32, &payload).unwrap();
    for mode in MODES {
        let error = open(&files.crash_clone(&mut AllKept), mode).err().unwrap();
        assert_eq!((error.path(), error.offset()), (Some(&*path), Some(offset)), "{mode}: {error}");
        assert!(error.message().contains("good checksum but bad content"), "{mode}: {error}");
    }
}
