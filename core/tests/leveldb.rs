//! Databases that LevelDB wrote come in: entry by entry what LevelDB itself reads, from files that do not change; what is damaged is named.
//!
//! `leveldb/peer.cc` writes and reads them with the system's LevelDB. Without its header or a C++ compiler these tests say NOT RUN and pass;
//! `SSTORE_REQUIRE_LEVELDB=1`, which `scripts/test` sets, makes that a failure.
#![cfg(feature = "leveldb")]

mod profile;

use sstore::{Db, Error, ErrorKind, IterOptions, LevelDbImport, LevelDbImported, Options, Result};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

type Entries = Vec<(Vec<u8>, Vec<u8>)>;
type Files = BTreeMap<String, Vec<u8>>;

/// The program that speaks LevelDB; `None` where it cannot be built.
fn peer() -> Option<&'static Path> {
    static PEER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = PEER.get_or_init(|| {
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("leveldb-peer-{}", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/leveldb/peer.cc");
        let built = Command::new("g++")
            .args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror"])
            .arg(&source)
            .args(["-lleveldb", "-o"])
            .arg(&program)
            .output();
        match built {
            Ok(output) if output.status.success() => Some(program),
            other => {
                let has_header = Path::new("/usr/include/leveldb/db.h").exists();
                assert!(!has_header, "LevelDB is here, but the program does not build: {other:?}");
                None
            }
        }
    });
    let is_required = std::env::var_os("SSTORE_REQUIRE_LEVELDB").is_some_and(|value| value != "0");
    assert!(built.is_some() || !is_required, "libleveldb-dev and g++ are needed: scripts/prepare fetches them");
    if built.is_none() {
        println!("NOT RUN: libleveldb-dev or g++ is missing");
    }
    built.as_deref()
}

/// The program with these arguments, or a return from the test.
macro_rules! peer {
    () => {
        match peer() {
            Some(peer) => peer,
            None => return,
        }
    };
}

fn run(peer: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(peer).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn files(dir: &Path) -> Files {
    let mut files = Files::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        files.insert(entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
    }
    files
}

fn put(dir: &Path, files: &Files) {
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir).unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}

/// What LevelDB reads. It opens a copy: opening changes a database.
fn dump(peer: &Path, source: &Path, scratch: &Path) -> Entries {
    put(scratch, &files(source));
    let bytes = run(peer, &["dump", text(scratch)]);
    let (mut rest, mut entries) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let (lengths, after) = rest.split_at(8);
        let length = |at: usize| u32::from_le_bytes(lengths[at..at + 4].try_into().unwrap()) as usize;
        let (key, after) = after.split_at(length(0));
        let (value, after) = after.split_at(length(4));
        entries.push((key.to_vec(), value.to_vec()));
        rest = after;
    }
    entries
}

/// Imports into a new database at `target`.
fn import(source: &Path, target: &Path, skip_damaged: bool) -> Result<(Entries, LevelDbImported)> {
    let _ = std::fs::remove_dir_all(target);
    let db = Db::open(target, &Options::new())?;
    let family = db.default_family();
    let options = LevelDbImport { skip_damaged };
    let done = db.import_leveldb(&family, source, &options, &mut |_| true)?;
    let mut iterator = db.iterator(&family, IterOptions::default())?;
    let (mut entries, mut batch) = (Vec::new(), sstore::EntryBatch::default());
    while iterator.next_batch(&mut batch, 1000, 1 << 20)? > 0 {
        entries.extend(batch.iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
    }
    Ok((entries, done))
}

/// Everything comes in as LevelDB reads it, and no file changes.
fn compare(peer: &Path, source: &Path, work: &Path) -> LevelDbImported {
    let before = files(source);
    let (found, done) = import(source, &work.join("target"), false).unwrap();
    assert!(files(source) == before, "the source changed");
    let expected = dump(peer, source, &work.join("scratch"));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert!(found == expected, "{found:?} instead of {expected:?}");
    }
    assert_eq!(done.progress.entries, expected.len() as u64);
    assert_eq!(done.progress.bytes_read, done.progress.bytes_total);
    done
}

fn write(peer: &Path, source: &Path, count: u64, compression: &str) {
    run(peer, &["write", text(source), &count.to_string(), compression, "7"]);
}

#[test]
fn what_leveldb_wrote_comes_in_entry_by_entry() {
    let (peer, count) = (peer!(), profile::LEVELDB_ENTRIES.get());
    for compression in ["snappy", "none"] {
        let work = tempfile::tempdir().unwrap();
        let source = work.path().join("source");
        write(peer, &source, count, compression);
        let named = |suffix: &str| files(&source).keys().filter(|name| name.ends_with(suffix)).count();
        assert!(named(".ldb") > 5 && named(".log") > 0, "{:?}", files(&source).keys());
        let done = compare(peer, &source, work.path());
        assert!(done.progress.entries > count / 2);
        assert_eq!((done.skipped, done.torn_bytes), (0, 0));
        // The same without a log, in one level.
        run(peer, &["compact", text(&source)]);
        compare(peer, &source, work.path());
        // Files of old versions had another name.
        for name in files(&source).keys().filter(|name| name.ends_with(".ldb")) {
            std::fs::rename(source.join(name), source.join(name.replace(".ldb", ".sst"))).unwrap();
        }
        compare(peer, &source, work.path());
    }
}

#[test]
fn an_empty_database_comes_in() {
    let peer = peer!();
    let work = tempfile::tempdir().unwrap();
    let source = work.path().join("source");
    run(peer, &["compact", text(&source)]);
    assert_eq!(compare(peer, &source, work.path()).progress.entries, 0);
}

#[test]
fn what_a_killed_writer_left_comes_in() {
    let peer = peer!();
    let work = tempfile::tempdir().unwrap();
    for round in 0..6_usize {
        let source = work.path().join(format!("source{round}"));
        let mut writer = Command::new(peer)
            .args(["endless", text(&source), "20000", &round.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut dots = vec![0; 5 + 15 * round];
        writer.stdout.as_mut().unwrap().read_exact(&mut dots).unwrap();
        writer.kill().unwrap();
        writer.wait().unwrap();
        compare(peer, &source, work.path());
    }
}

#[test]
fn a_database_that_a_process_has_open_is_refused() {
    let peer = peer!();
    let work = tempfile::tempdir().unwrap();
    let (source, target) = (work.path().join("source"), work.path().join("target"));
    write(peer, &source, 1000, "snappy");
    let mut holder =
        Command::new(peer).args(["hold", text(&source)]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let error = import(&source, &target, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert!(error.to_string().contains(&format!("process {} has", holder.id())), "{error}");
    // It has not lost its lock by that.
    assert!(!Command::new(peer).args(["dump", text(&source)]).output().unwrap().status.success());
    drop(holder.stdin.take());
    holder.wait().unwrap();
    import(&source, &target, false).unwrap();
}

#[test]
fn another_order_of_keys_is_refused_by_its_name() {
    let peer = peer!();
    let work = tempfile::tempdir().unwrap();
    let source = work.path().join("source");
    run(peer, &["comparator", text(&source)]);
    let error = import(&source, &work.path().join("target"), true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSupported);
    assert!(error.message().contains("test.Backwards"), "{error}");
}

/// A change to a file: flipped bytes, a cut, a removal.
fn damages(bytes: &[u8], count: u64) -> Vec<(String, Option<Vec<u8>>)> {
    let len = bytes.len();
    let mut all = vec![("removed".to_owned(), None), ("emptied".to_owned(), Some(Vec::new()))];
    for number in 0..count {
        let at = (len as u64 * number / count + number * 7919 % 97) as usize % len;
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (number % 8);
        all.push((format!("flipped at {at}"), Some(flipped)));
        if number % 4 == 0 {
            all.push((format!("cut to {at}"), Some(bytes[..at].to_vec())));
        }
    }
    all
}

#[test]
fn damage_is_named_and_never_read() {
    let (peer, damage) = (peer!(), profile::LEVELDB_DAMAGE.get());
    let work = tempfile::tempdir().unwrap();
    let (source, damaged, target) = ["source", "damaged", "target"].map(|name| work.path().join(name)).into();
    write(peer, &source, 6_000, "snappy");
    let sound = files(&source);
    let (truth, _) = import(&source, &target, false).unwrap();
    let mut refused = 0;
    let kinds = ["CURRENT", "MANIFEST", ".log", ".ldb"];
    for kind in kinds {
        let name = sound.keys().find(|name| name.contains(kind)).unwrap();
        for (what, bytes) in damages(&sound[name], damage) {
            let mut changed = sound.clone();
            match bytes {
                Some(bytes) => drop(changed.insert(name.clone(), bytes)),
                None => drop(changed.remove(name)),
            }
            put(&damaged, &changed);
            match import(&damaged, &target, false) {
                Ok((entries, _)) => {
                    let is_short_log = kind == ".log" && entries.len() <= truth.len() * 2;
                    assert!(entries == truth || is_short_log, "{name} {what}: other entries came in");
                }
                Err(error) => {
                    expect_damage(&error, name, &what);
                    refused += 1;
                }
            }
            match import(&damaged, &target, true) {
                Ok(_) => {}
                Err(error) if kind == "CURRENT" || kind == "MANIFEST" => expect_damage(&error, name, &what),
                Err(error) => panic!("{name} {what}: damage was to be skipped: {error}"),
            }
            assert!(files(&damaged) == changed, "the source changed");
        }
    }
    assert!(refused > damage, "{refused} were noticed");
    // Two tables under each other's names.
    let tables: Vec<&String> = sound.keys().filter(|name| name.ends_with(".ldb")).collect();
    let mut changed = sound.clone();
    changed.insert(tables[0].clone(), sound[tables[1]].clone());
    changed.insert(tables[1].clone(), sound[tables[0]].clone());
    put(&damaged, &changed);
    assert_eq!(import(&damaged, &target, false).unwrap_err().kind(), ErrorKind::Corruption);
    // A manifest of an earlier time, which names a log that went.
    let mut changed = sound.clone();
    changed.remove(sound.keys().find(|name| name.ends_with(".log")).unwrap());
    put(&damaged, &changed);
    assert!(import(&damaged, &target, false).unwrap_err().message().contains("log is missing"));
}

fn expect_damage(error: &Error, name: &str, what: &str) {
    if name == "CURRENT" && what == "removed" {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        return;
    }
    assert_eq!(error.kind(), ErrorKind::Corruption, "{name} {what}: {error}");
    let told = error.path().unwrap().file_name().unwrap().to_str().unwrap();
    let elsewhere = matches!(&name[..3], "CUR" | "MAN");
    assert!(told == name || elsewhere, "{name} {what}: {error}");
    assert!(error.offset().is_some(), "{name} {what}: {error}");
}

/// Nothing came in, and no file is left.
fn assert_empty(db: &Db, target: &Path, what: &str) {
    let mut iterator = db.iterator(&db.default_family(), IterOptions::default()).unwrap();
    assert!(!iterator.seek_to_first().unwrap(), "{what}: an entry is there");
    let left: Vec<_> = std::fs::read_dir(target.join("cf/default")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{what}: a file is left: {left:?}");
}

#[test]
fn damage_at_the_very_end_leaves_nothing_of_what_came_before() {
    let peer = peer!();
    let work = tempfile::tempdir().unwrap();
    let (source, target) = (work.path().join("source"), work.path().join("target"));
    write(peer, &source, 40_000, "snappy");
    run(peer, &["compact", text(&source)]);
    // Of sorted tables the one with the greatest number has the greatest keys.
    let sound = files(&source);
    let last = sound.keys().rfind(|name| name.ends_with(".ldb")).unwrap();
    let mut changed = sound.clone();
    let at = sound[last].len() * 4 / 5;
    changed.get_mut(last).unwrap()[at] ^= 1;
    put(&source, &changed);
    let db = Db::open(&target, &Options::new()).unwrap();
    let error = db.import_leveldb(&db.default_family(), &source, &LevelDbImport::default(), &mut |_| true);
    expect_damage(&error.unwrap_err(), last, "flipped");
    assert_empty(&db, &target, "damage in the last table");
    put(&source, &sound);
    let done = db.import_leveldb(&db.default_family(), &source, &LevelDbImport::default(), &mut |_| true).unwrap();
    assert!(done.progress.entries > 20_000);
    assert_eq!(db.segments(&db.default_family()).unwrap().len(), 1, "one file");
}

#[test]
fn an_import_that_is_called_off_is_run_again() {
    let peer = peer!();
    let work = tempfile::tempdir().unwrap();
    let (source, target) = (work.path().join("source"), work.path().join("target"));
    write(peer, &source, 60_000, "none");
    let db = Db::open(&target, &Options::new()).unwrap();
    let mut told = 0;
    let stopped = db.import_leveldb(&db.default_family(), &source, &LevelDbImport::default(), &mut |progress| {
        told += 1;
        assert!(progress.bytes_read < progress.bytes_total);
        false
    });
    assert_eq!((stopped.unwrap_err().kind(), told), (ErrorKind::Cancelled, 1));
    assert_empty(&db, &target, "called off at once");
    // And once some are written: it is told at the next step after a tenth of a second.
    let stopped = db.import_leveldb(&db.default_family(), &source, &LevelDbImport::default(), &mut |progress| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        progress.entries == 0
    });
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_empty(&db, &target, "called off when some were written");
    db.close(&Default::default()).unwrap();
    compare(peer, &source, work.path());
}
