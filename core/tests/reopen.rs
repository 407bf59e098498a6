//! Who may open a database beside whom: readers beside a live writer, a second writer, a forked child, and whoever destroys it.

#![allow(unsafe_code)] // fork, wait and exit of a child process.

use sstore::env::mem::MemFileSystem;
use sstore::env::posix::posix;
use sstore::env::strict::StrictFileSystem;
use sstore::env::{Env, FileSystem};
use sstore::{
    CloseOptions, ColumnFamily, Db, Durability, ErrorKind, IterOptions, Options, ReadOptions, WriteBatch, WriteOptions,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const KEYS: u64 = 50;
const DEFAULT: WriteOptions = WriteOptions { durability: None, no_stall: false };

fn options(set: &[(&str, &str)]) -> Options {
    set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

fn churning() -> Options {
    options(&[
        ("write_buffer_bytes", "16KiB"),
        ("wal_segment_bytes", "64KiB"),
        ("manifest_bytes", "4KiB"),
        ("memory_budget_bytes", "1MiB"),
    ])
}

fn scan(db: &Db, family: &ColumnFamily) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut iterator = db.iterator(family, IterOptions::default()).unwrap();
    let mut found = BTreeMap::new();
    let mut valid = iterator.seek_to_first().unwrap();
    while valid {
        found.insert(iterator.key().to_vec(), iterator.value().to_vec());
        valid = iterator.next().unwrap();
    }
    found
}

/// What every family holds after write `count`: a counter, and at each key the last write to it.
fn state_after(count: u64) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut state = BTreeMap::new();
    for write in count.saturating_sub(KEYS - 1).max(1)..=count {
        state.insert(format!("k{:02}", write % KEYS).into_bytes(), format!("{write:>100}").into_bytes());
    }
    if count > 0 {
        state.insert(b"counter".to_vec(), count.to_string().into_bytes());
    }
    state
}

fn readers_beside_a_writer(name: &str, files: Arc<dyn FileSystem>, path: &Path) {
    let runtime = posix().runtime;
    let writer = Db::open_in(Env { files: files.clone(), runtime: runtime.clone() }, path, &churning()).unwrap();
    writer.create_column_family("other", &churning()).unwrap();
    let reading = StrictFileSystem::concurrent(files.clone());
    reading.set_read_only(true);
    let read_only = churning().with("read_only", "true").unwrap();
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut opened, mut busy, mut distinct, mut last) = (0, 0, 0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let families = [writer.default_family(), writer.column_family("other").unwrap()];
            let mut count = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                count += 1;
                let mut batch = WriteBatch::new();
                for family in &families {
                    let key = format!("k{:02}", count % KEYS);
                    batch.put(family.id(), key.as_bytes(), format!("{count:>100}").as_bytes()).unwrap();
                    batch.put(family.id(), b"counter", count.to_string().as_bytes()).unwrap();
                }
                writer.write(&batch, &DEFAULT).unwrap();
                acknowledged.store(count, Ordering::Release);
                if count.is_multiple_of(1000) {
                    writer.flush(&[&families[count as usize / 1000 % 2]]).unwrap();
                }
                if count.is_multiple_of(5000) {
                    writer.compact(&families[0]).unwrap();
                }
                if count.is_multiple_of(20) {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
        });
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        let deadline = Instant::now() + Duration::from_millis(2000);
        while Instant::now() < deadline {
            let before = acknowledged.load(Ordering::Acquire);
            let env = Env { files: reading.clone(), runtime: runtime.clone() };
            let db = match Db::open_in(env, path, &read_only) {
                Ok(db) => db,
                Err(error) if error.kind() == ErrorKind::Busy => {
                    busy += 1;
                    continue;
                }
                Err(error) => panic!("{name}: opening beside the writer: {error}"),
            };
            opened += 1;
            let family = db.default_family();
            let found = scan(&db, &family);
            let count =
                found.get(&b"counter"[..]).map_or(0, |count| std::str::from_utf8(count).unwrap().parse().unwrap());
            assert_eq!(found, state_after(count), "{name}: the state after write {count}");
            assert!(count >= before, "{name}: {count} found, {before} were acknowledged before the opening");
            if let Ok(other) = db.column_family("other") {
                assert_eq!(scan(&db, &other), found, "{name}: the families agree");
                for (key, value) in &found {
                    let again = db.get(&other, key, &ReadOptions::default()).unwrap();
                    assert_eq!(again.as_deref(), Some(&value[..]), "{name}: the same later on");
                }
            } else {
                panic!("{name}: a family is missing");
            }
            assert_eq!(db.put(&family, b"k", b"v", &DEFAULT).unwrap_err().kind(), ErrorKind::ReadOnly);
            assert_eq!(db.flush(&[]).err().map(|error| error.kind()), Some(ErrorKind::ReadOnly));
            distinct += u64::from(count != last);
            last = count;
            db.close(&CloseOptions::default()).unwrap();
        }
    });
    let stats = writer.stats();
    let counter = |name: &str| stats.counters.iter().find(|(other, _)| *other == name).unwrap().1;
    let (writes, flushes, merges) = (acknowledged.into_inner(), counter("flushes"), counter("compactions"));
    println!(
        "{name}: {opened} openings saw {distinct} states, {busy} gave up; {writes} writes, {flushes} flushes, {merges} merges"
    );
    assert!(opened > 20 && distinct > 10 && flushes > 10 && merges > 2 && busy <= opened / 4);
    assert!(writer.background_error().is_none());
    writer.close(&CloseOptions::default()).unwrap();
}

#[test]
fn read_only_openings_beside_a_live_writer_in_memory() {
    readers_beside_a_writer("in memory", MemFileSystem::new(), Path::new("/db"));
}

#[test]
fn read_only_openings_beside_a_live_writer_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    readers_beside_a_writer("on disk", posix().files, &directory.path().join("db"));
}

#[test]
fn a_read_only_opening_changes_nothing_and_needs_a_database() {
    let files = MemFileSystem::new();
    let env = |files: Arc<dyn FileSystem>| Env { files, runtime: posix().runtime };
    let db = Db::open_in(env(files.clone()), Path::new("/db"), &churning()).unwrap();
    for index in 0..500_u32 {
        db.put(&db.default_family(), &index.to_be_bytes(), &[7; 100], &DEFAULT).unwrap();
    }
    db.close(&CloseOptions { flush: Some(false), ..CloseOptions::default() }).unwrap();
    drop(db);
    let before = files.fingerprint();
    let strict = StrictFileSystem::new(files.clone());
    strict.set_read_only(true);
    let read_only = options(&[("read_only", "true")]);
    let first = Db::open_in(env(strict.clone()), Path::new("/db"), &read_only).unwrap();
    let second = Db::open_in(env(strict.clone()), Path::new("/db"), &read_only).unwrap();
    for db in [&first, &second] {
        assert_eq!(scan(db, &db.default_family()).len(), 500);
        assert_eq!(db.create_column_family("new", &Options::new()).err().unwrap().kind(), ErrorKind::ReadOnly);
        db.verify().unwrap();
        db.close(&CloseOptions::default()).unwrap();
    }
    let nothing = Db::open_in(env(strict), Path::new("/nothing"), &read_only).err().unwrap();
    assert_eq!(nothing.kind(), ErrorKind::NotFound);
    assert_eq!(files.fingerprint(), before, "not a byte, not a name");
}

#[test]
fn one_writer_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let db = Db::open(&path, &Options::new()).unwrap();
    assert_eq!(Db::open(&path, &Options::new()).err().unwrap().kind(), ErrorKind::Locked);
    let linked = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &linked).unwrap();
    assert_eq!(Db::open(&linked, &Options::new()).err().unwrap().kind(), ErrorKind::Locked, "by another name");
    db.close(&CloseOptions::default()).unwrap();
    let again = Db::open(&linked, &Options::new()).unwrap();
    drop(again);
    Db::open(&path, &Options::new()).unwrap();
}

#[test]
fn a_forked_child_is_refused_and_the_parent_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let db = Db::open(&path, &churning()).unwrap();
    let family = db.default_family();
    db.put(&family, b"a", b"1", &DEFAULT).unwrap();
    db.flush(&[]).unwrap().wait(None).unwrap();
    db.put(&family, b"b", b"2", &DEFAULT).unwrap();
    let mut iterator = db.iterator(&family, IterOptions::default()).unwrap();
    assert!(iterator.seek_to_first().unwrap());

    // SAFETY: the child only calls the library under test, whose answer is the point, and ends by _exit.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: as above; the alarm ends a child that hangs.
        unsafe { libc::alarm(20) };
        let forked = |kind: Option<ErrorKind>| kind == Some(ErrorKind::Forked);
        let answers = [
            forked(db.put(&family, b"c", b"3", &DEFAULT).err().map(|error| error.kind())),
            forked(db.get(&family, b"a", &ReadOptions::default()).err().map(|error| error.kind())),
            forked(db.iterator(&family, IterOptions::default()).err().map(|error| error.kind())),
            forked(iterator.next().err().map(|error| error.kind())),
            forked(db.flush(&[]).err().map(|error| error.kind())),
            forked(db.sync_wal().err().map(|error| error.kind())),
            forked(db.snapshot().err().map(|error| error.kind())),
            forked(db.create_column_family("x", &Options::new()).err().map(|error| error.kind())),
            forked(db.close(&CloseOptions::default()).err().map(|error| error.kind())),
            Db::open(&path, &Options::new()).err().map(|error| error.kind()) == Some(ErrorKind::Locked),
        ];
        // Dropping what the parent opened must not touch the parent's files either.
        drop((iterator, family, db));
        let wrong = answers.iter().position(|right| !right);
        // SAFETY: ends the child without running what belongs to the parent.
        unsafe { libc::_exit(wrong.map_or(0, |at| at as i32 + 1)) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "the child was killed: {status}");
    assert_eq!(libc::WEXITSTATUS(status), 0, "which answer of the child was wrong, from 1");

    assert!(iterator.next().unwrap());
    assert_eq!(iterator.key(), b"b");
    for index in 0..1000_u32 {
        db.put(&family, &index.to_be_bytes(), &[1; 100], &DEFAULT).unwrap();
    }
    assert_eq!(
        Db::open(&path, &Options::new()).err().unwrap().kind(),
        ErrorKind::Locked,
        "the lock is still the parent's"
    );
    drop(iterator);
    db.close(&CloseOptions::default()).unwrap();
    drop((family, db));
    let db = Db::open(&path, &Options::new()).unwrap();
    assert_eq!(scan(&db, &db.default_family()).len(), 1002);
}

#[test]
fn destroying_refuses_an_open_database_and_leaves_foreign_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let db = Db::open(&path, &churning()).unwrap();
    let sync = WriteOptions { durability: Some(Durability::Sync), no_stall: false };
    db.put(&db.default_family(), b"k", b"v", &sync).unwrap();
    db.flush(&[]).unwrap().wait(None).unwrap();
    db.put(&db.default_family(), b"k", b"w", &sync).unwrap();
    assert_eq!(Db::destroy(&path).unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(db.get(&db.default_family(), b"k", &ReadOptions::default()).unwrap().as_deref(), Some(&b"w"[..]));
    db.close(&CloseOptions::default()).unwrap();
    drop(db);
    let foreign = ["notes.txt", "cf/default/notes.txt", "wal/notes.log.txt", "MANIFEST-old", "000001.sst"];
    for name in foreign {
        std::fs::write(path.join(name), name).unwrap();
    }
    Db::destroy(&path).unwrap();
    let mut left = Vec::new();
    for dir in ["", "cf", "cf/default", "wal"] {
        for entry in std::fs::read_dir(path.join(dir)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                left.push(Path::new(dir).join(entry.file_name()).to_str().unwrap().to_owned());
            }
        }
    }
    left.sort();
    for name in ["notes.txt", "cf/default/notes.txt", "wal/notes.log.txt", "MANIFEST-old"] {
        assert!(left.iter().any(|other| other == name), "{name} is gone: {left:?}");
    }
    assert!(left.iter().all(|name| foreign.contains(&name.as_str())), "files of ours are left: {left:?}");
    // What is left is no database, and destroying nothing is fine.
    Db::destroy(&path).unwrap();
    Db::destroy(directory.path().join("nothing")).unwrap();
    assert!(!directory.path().join("nothing").exists());
    let empty = directory.path().join("plain");
    drop(Db::open(&empty, &Options::new()).unwrap());
    Db::destroy(&empty).unwrap();
    assert!(!empty.exists(), "nothing is left of a database alone");
}

/// R51: the lock file is removed under a live writer, and another one opens. The first one must not get anything into the manifest any
/// more, nor take away what the second one needs, however much it still does.
#[test]
fn r51_a_writer_whose_lock_file_was_removed_is_fenced_off() {
    for backend in ["mapped", "write"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let options = churning().with("wal_backend", backend).unwrap();
        let old = Db::open(&path, &options).unwrap();
        let family = old.default_family();
        let write = |db: &Db, index: u64, text: &str| {
            db.put(&db.default_family(), &index.to_be_bytes(), text.repeat(100).as_bytes(), &WriteOptions::default())
        };
        for index in 0..500 {
            write(&old, index, "before").unwrap();
        }
        old.flush(&[]).unwrap().wait(None).unwrap();
        // Kept from being flushed by the new writer, so that there is something to commit.
        std::fs::remove_file(path.join("LOCK")).unwrap();
        write(&old, 500, "before").unwrap();
        let new = Db::open(&path, &options).unwrap();
        for index in 0..500 {
            write(&new, 1000 + index, "new").unwrap();
        }
        // Everything that commits to the manifest, and everything that makes it be written anew.
        let refused = |what: &str, result: sstore::Result<()>| {
            let error = result.err().unwrap_or_else(|| panic!("{backend}: {what} went through"));
            assert_eq!(error.kind(), ErrorKind::Fenced, "{backend}: {what}: {error}");
        };
        refused("a new family", old.create_column_family("f", &Options::new()).map(drop));
        refused("a flush", old.flush(&[]).and_then(|token| token.wait(None)).map(drop));
        refused("a merge", old.compact(&family));
        refused("a write", write(&old, 0, "lost").map(drop));
        refused("taking up again", old.resume());
        assert_eq!(old.background_error().unwrap().kind(), ErrorKind::Fenced);
        assert!(old.get(&family, &1_u64.to_be_bytes(), &ReadOptions::default()).unwrap().is_some(), "reads go on");
        let _ = old.close(&CloseOptions::default());
        // The old one's end took nothing from the new one, which has the lock still.
        assert_eq!(Db::open(&path, &options).err().unwrap().kind(), ErrorKind::Locked);
        for index in 500..1000 {
            write(&new, 1000 + index, "new").unwrap();
        }
        new.compact(&new.default_family()).unwrap();
        new.close(&CloseOptions::default()).unwrap();
        let again = Db::open(&path, &options).unwrap();
        let found = scan(&again, &again.default_family());
        assert_eq!(found.len(), 501 + 1000, "{backend}");
        let of_old = found.values().filter(|value| value.starts_with(b"before")).count();
        assert_eq!(of_old, 501, "{backend}: what was acknowledged before the new writer came");
        again.close(&CloseOptions::default()).unwrap();
    }
}

/// The same while the old writer is busy: flushes, merges and segments of its log go on when the other one comes.
#[test]
fn r51_a_busy_writer_is_fenced_off_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let old = Db::open(&path, &churning()).unwrap();
    let write = |db: &Db, index: u64, text: &str| {
        db.put(&db.default_family(), &index.to_be_bytes(), text.repeat(50).as_bytes(), &WriteOptions::default())
    };
    for index in 0..200 {
        write(&old, index, "before").unwrap();
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut index = 1_000_000;
            // Until it notices; what it wrote since then is its own.
            let error = loop {
                index += 1;
                match write(&old, index, "while") {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            is_over.store(true, Ordering::SeqCst);
            // Or its files went from under it before it looked.
            assert!(matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Poisoned | ErrorKind::Io), "{error}");
        });
        std::fs::remove_file(path.join("LOCK")).unwrap();
        // An opening may find a name taken by what the other one is still writing: not the one after that.
        let patience = Instant::now() + Duration::from_secs(30);
        let new = loop {
            match Db::open(&path, &churning()) {
                Ok(new) => break new,
                Err(error) => {
                    println!("refused: {error}");
                    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
                    assert!(Instant::now() < patience, "{error}");
                }
            }
        };
        let mut index = 0;
        while !is_over.load(Ordering::SeqCst) || index < 1000 {
            write(&new, 2000 + index, "new").unwrap();
            index += 1;
        }
        for index in 0..200 {
            let value = new.get(&new.default_family(), &u64::to_be_bytes(index), &ReadOptions::default()).unwrap();
            assert!(value.is_some_and(|value| value.starts_with(b"before")), "{index}");
        }
        new.close(&CloseOptions::default()).unwrap();
        let again = Db::open(&path, &churning()).unwrap();
        let found = scan(&again, &again.default_family());
        let of_new = found.values().filter(|value| value.starts_with(b"new")).count() as u64;
        assert_eq!(of_new, index, "every write of the new one");
        again.close(&CloseOptions::default()).unwrap();
    });
    let _ = old.close(&CloseOptions::default());
}
