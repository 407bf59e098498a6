//! EVENTS.jsonl: what is in it, when it is written, and that nothing that goes wrong with it is an error for anybody. Lines for the
//! application's log, and what its callbacks may do.

use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::{Call, Env, FileSystem, read_file};
use sstore::{CloseOptions, Db, ErrorKind, EventKind, Level, Options, ReadOptions, WriteOptions};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

struct World {
    files: Arc<MemFileSystem>,
    faults: Arc<FaultFileSystem>,
    runtime: Arc<SeededRuntime>,
}

impl World {
    fn new() -> Self {
        let files = MemFileSystem::new();
        let faults = FaultFileSystem::new(files.clone(), Vec::new());
        Self { files, faults, runtime: SeededRuntime::new(5) }
    }

    fn open(&self, set: &[(&str, &str)]) -> Db {
        let options = set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
        let env = Env { files: self.faults.clone(), runtime: self.runtime.clone() };
        Db::open_in(env, Path::new("/db"), &options).unwrap()
    }

    /// The lines of the file, if there is one.
    fn lines(&self, name: &str) -> Option<Vec<String>> {
        let path = Path::new("/db").join(name);
        self.files.file_len(&path).unwrap()?;
        let text = String::from_utf8(read_file(&*self.files, &path, 1 << 30).unwrap()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        Some(text.lines().map(str::to_owned).collect())
    }

    fn count(&self, event: &str) -> usize {
        let lines = self.lines("EVENTS.jsonl").unwrap_or_default();
        lines.iter().filter(|line| line.contains(&format!("\"event\":\"{event}\""))).count()
    }
}

fn flush(db: &Db) {
    db.put(&db.default_family(), b"key", b"value", &WriteOptions::default()).unwrap();
    db.flush(&[]).unwrap().wait(None).unwrap();
}

fn close(db: &Db) {
    db.close(&CloseOptions::default()).unwrap();
}

#[test]
fn each_event_is_a_line_and_a_later_opening_goes_on_behind_it() {
    let world = World::new();
    for round in 1..=3 {
        let db = world.open(&[]);
        flush(&db);
        close(&db);
        assert_eq!((world.count("flush_begin"), world.count("flush_done")), (round, round));
    }
    for line in world.lines("EVENTS.jsonl").unwrap() {
        assert!(line.starts_with("{\"time\":\"") && line.ends_with('}'), "{line}");
    }
    let done = world.lines("EVENTS.jsonl").unwrap().into_iter().rfind(|line| line.contains("flush_done")).unwrap();
    assert!(done.contains("\"collection\":\"default\"") && done.contains("\"detail\":\"manual\""), "{done}");
}

#[test]
fn the_files_stay_within_their_bytes_and_keep_the_newest_lines() {
    let world = World::new();
    let db = world.open(&[("events_bytes", "4KiB"), ("auto_compaction", "false")]);
    for _ in 0..60 {
        flush(&db);
    }
    close(&db);
    let len = |name: &str| {
        let len = world.files.file_len(&Path::new("/db").join(name)).unwrap();
        len.unwrap_or_else(|| panic!("{name} is missing"))
    };
    let both = len("EVENTS.jsonl") + len("EVENTS.jsonl.1");
    assert!((2048..=4096).contains(&both), "{both}");
    assert!(world.lines("EVENTS.jsonl").unwrap().len() + world.lines("EVENTS.jsonl.1").unwrap().len() > 10);
}

#[test]
fn with_no_bytes_and_for_reading_there_is_no_file() {
    let world = World::new();
    let db = world.open(&[("events_bytes", "0")]);
    flush(&db);
    close(&db);
    let db = world.open(&[("read_only", "true")]);
    assert!(db.get(&db.default_family(), b"key", &ReadOptions::default()).unwrap().is_some());
    close(&db);
    assert_eq!(world.lines("EVENTS.jsonl"), None);
}

#[test]
fn whatever_fails_about_the_file_the_database_goes_on() {
    for call in [Call::Create, Call::Write, Call::Rename, Call::Len, Call::Open, Call::Read, Call::Remove] {
        let world = World::new();
        // There are lines already, which an opening has to read.
        let db = world.open(&[]);
        flush(&db);
        close(&db);
        world.faults.add(Rule::once(call, Effect::Error(libc::ENOSPC)).on("EVENTS").sticky());
        let db = world.open(&[("events_bytes", "1KiB")]);
        for _ in 0..20 {
            flush(&db);
        }
        assert!(db.background_error().is_none(), "{call:?}");
        close(&db);
        let db = world.open(&[]);
        assert!(db.get(&db.default_family(), b"key", &ReadOptions::default()).unwrap().is_some());
        close(&db);
    }
}

#[test]
fn a_full_disk_drops_lines_and_the_next_one_says_how_many() {
    let world = World::new();
    let db = world.open(&[]);
    flush(&db);
    world.runtime.run_until_idle();
    let before = world.lines("EVENTS.jsonl").unwrap().len();
    for _ in 0..3 {
        world.faults.add(Rule::once(Call::Write, Effect::ShortWrite(5, libc::ENOSPC)).on("EVENTS"));
    }
    let hits = world.faults.hits();
    flush(&db);
    flush(&db);
    close(&db);
    assert_eq!(world.faults.hits() - hits, 3);
    let lines = world.lines("EVENTS.jsonl").unwrap();
    assert!(lines[before].ends_with(",\"lines_lost\":3}"), "{lines:#?}");
    assert!(lines.iter().all(|line| line.starts_with('{') && line.ends_with('}')), "{lines:#?}");
}

#[test]
fn what_is_in_the_file_is_of_no_account_for_opening() {
    let world = World::new();
    close(&world.open(&[]));
    for content in [&b""[..], b"\n", b"no JSON", &[0; 3000], &[0xff; 2_000_000]] {
        let path = Path::new("/db/EVENTS.jsonl");
        if world.files.file_len(path).unwrap().is_some() {
            world.files.remove(path).unwrap();
        }
        world.files.create(path).unwrap().write_at(content, 0).unwrap();
        // What a crash leaves of an opening that had begun its own.
        world.files.create(Path::new("/db/EVENTS.jsonl.tmp")).unwrap().write_at(content, 0).unwrap();
        let db = world.open(&[]);
        flush(&db);
        close(&db);
        assert!(world.files.file_len(path).unwrap().unwrap() < 1 << 20);
        assert_eq!(world.lines("EVENTS.jsonl.tmp"), None);
    }
}

/// The lines that a logger of `level` gets of a database that is opened, flushed and closed.
fn logged(level: Level) -> Vec<(Level, EventKind, String)> {
    let world = World::new();
    let lines: Arc<Mutex<Vec<_>>> = Arc::default();
    let mut options = Options::new();
    let into = lines.clone();
    options.set_logger(
        level,
        Arc::new(move |line| into.lock().unwrap().push((line.level, line.event.kind, line.text.to_owned()))),
    );
    let env = Env { files: world.faults.clone(), runtime: world.runtime.clone() };
    let db = Db::open_in(env, Path::new("/db"), &options).unwrap();
    flush(&db);
    world.faults.add(Rule::once(Call::Create, Effect::Error(5)).on(".sst"));
    db.put(&db.default_family(), b"key", b"value", &WriteOptions::default()).unwrap();
    db.flush(&[]).unwrap().wait(None).unwrap_err();
    world.faults.clear();
    db.resume().unwrap();
    close(&db);
    let lines = lines.lock().unwrap();
    lines.clone()
}

#[test]
fn a_logger_gets_lines_from_its_level_on() {
    let all = logged(Level::Debug);
    for level in Level::ALL {
        let lines = logged(level);
        let expected: Vec<_> = all.iter().filter(|(of, _, _)| *of >= level).map(|(_, kind, _)| *kind).collect();
        let kinds: Vec<_> = lines.iter().map(|(_, kind, _)| *kind).collect();
        assert_eq!(kinds, expected, "a logger of {level:?} gets these, in this order");
    }
    for (level, kind, text) in &all {
        assert!(text.starts_with(kind.name()) && !text.contains(char::is_control), "{text:?}");
        match kind {
            EventKind::FlushBegin => assert_eq!(*level, Level::Debug),
            EventKind::FlushDone => assert_eq!(*level, Level::Info),
            EventKind::BackgroundError => assert!(*level == Level::Error && text.contains("injected"), "{text}"),
            _ => {}
        }
    }
    let errors = all.iter().filter(|(level, ..)| *level == Level::Error).count();
    assert_eq!(errors, 1, "one flush failed: {all:?}");
}

/// A database whose logger calls `act` with the handle that lies in the slot, once something was flushed and there is one.
fn with_callback(path: &Path, act: impl Fn(Db) + Send + Sync + 'static) -> (Db, Arc<Mutex<Option<Db>>>) {
    let slot: Arc<Mutex<Option<Db>>> = Arc::default();
    let (mut options, from) = (Options::new(), slot.clone());
    let logger = move |line: &sstore::LogLine<'_>| {
        if line.event.kind == EventKind::FlushDone
            && let Some(db) = from.lock().unwrap().take()
        {
            act(db);
        }
    };
    options.set_logger(Level::Info, Arc::new(logger));
    (Db::open(path, &options).unwrap(), slot)
}

#[test]
fn a_callback_may_write_and_flush_and_is_refused_to_close() {
    let directory = tempfile::tempdir().unwrap();
    let (told, heard) = mpsc::channel();
    let (db, slot) = with_callback(&directory.path().join("db"), move |db| {
        db.put(&db.default_family(), b"from", b"within", &WriteOptions::default()).unwrap();
        db.flush(&[]).unwrap().wait(None).unwrap();
        told.send(db.close(&CloseOptions::default()).map_err(|error| error.kind())).unwrap();
    });
    *slot.lock().unwrap() = Some(db.clone());
    flush(&db);
    let closed = heard.recv_timeout(Duration::from_secs(60));
    assert_eq!(closed, Ok(Err(ErrorKind::InvalidArgument)), "a close within a callback is refused");
    let read = db.get(&db.default_family(), b"from", &ReadOptions::default()).unwrap();
    assert_eq!(read.as_deref(), Some(&b"within"[..]));
    close(&db);
}

#[test]
fn a_callback_may_let_the_last_handle_go() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let (told, heard) = mpsc::channel();
    let (ready, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (db, slot) = with_callback(&path, move |db| {
        wait.lock().unwrap().recv().unwrap();
        drop(db);
        told.send(()).unwrap();
    });
    *slot.lock().unwrap() = Some(db.clone());
    flush(&db);
    drop(db);
    ready.send(()).unwrap();
    heard.recv_timeout(Duration::from_secs(60)).expect("the last handle closes the database, also within a callback");
    close(&Db::open(&path, &Options::new()).unwrap());
}

#[test]
fn a_slow_disk_is_told() {
    let world = World::new();
    let options = Options::new().with("slow_disk_millis", "400").unwrap();
    // Of this world only the clock has to be real.
    let env = Env { files: world.faults.clone(), runtime: sstore::env::posix::posix().runtime };
    let db = Db::open_in(env, Path::new("/db"), &options).unwrap();
    flush(&db);
    world.faults.add(Rule::once(Call::SyncData, Effect::Delay(Duration::from_millis(600))).on(".sst"));
    flush(&db);
    close(&db);
    let lines = world.lines("EVENTS.jsonl").unwrap();
    let slow: Vec<_> = lines.iter().filter(|line| line.contains("\"event\":\"slow_disk\"")).collect();
    assert_eq!(slow.len(), 1, "one call was slow: {slow:?}");
    assert!(slow[0].contains("\"detail\":\"fsync /db/cf/default/") && slow[0].contains("\"micros\":6"), "{slow:?}");
}

#[test]
fn a_disk_that_is_nearly_full_is_told_once_until_it_has_room_again() {
    let world = World::new();
    let leave = |room: u64| {
        world.files.set_capacity_bytes(Some(1 << 40));
        let used = (1 << 40) - world.files.free_bytes(Path::new("/db")).unwrap();
        world.files.set_capacity_bytes(Some(used + room));
    };
    leave(64 << 20);
    let db = world.open(&[("low_disk_bytes", "1MiB"), ("auto_compaction", "false"), ("wal_segment_bytes", "64KiB")]);
    for room in [64 << 20, 900 << 10, 800 << 10, 64 << 20, 900 << 10] {
        leave(room);
        flush(&db);
    }
    db.compact(&db.default_family()).unwrap();
    close(&db);
    let lines = world.lines("EVENTS.jsonl").unwrap();
    let events = |name: &str| {
        let named = lines.iter().filter(|line| line.contains(&format!("\"event\":\"{name}\"")));
        named.cloned().collect::<Vec<_>>()
    };
    assert_eq!(events("flush_done").len(), 5);
    let low = events("low_disk");
    assert_eq!(low.len(), 2, "told when it begins, and when it begins again: {low:?}");
    assert!(low.iter().all(|line| line.contains("bytes are free for /db, less than 1048576")), "{low:?}");
}
