//! Who may open a database beside whom, between processes: a second writer, a writer that was killed, and a directory without the permission
//! to write.
//!
//! `reopen.rs` has the same within one process, and what becomes of a writer whose lock file is removed. A case that needs a user whom
//! permissions bind says NOT RUN where it cannot have one: it has then not passed.

#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // Who we are, for libc.

use sstore::{CloseOptions, Db, Durability, ErrorKind, Options, ReadOptions, WriteOptions};
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const SYNC: WriteOptions = WriteOptions { durability: Some(Durability::Sync), no_stall: false };
const NOBODY: u32 = 65_534;

fn read_only() -> Options {
    Options::new().with("read_only", "true").unwrap()
}

fn get(db: &Db, key: &[u8]) -> Option<Vec<u8>> {
    db.get(&db.default_family(), key, &ReadOptions::default()).unwrap().map(|value| value.to_vec())
}

/// One test of this file, run in a process of its own.
fn child(program: &Path, test: &str, path: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture", "--ignored"]).env("SSTORE_LOCKED", path);
    command.stdin(Stdio::piped());
    command
}

fn own_path() -> PathBuf {
    PathBuf::from(std::env::var_os("SSTORE_LOCKED").expect("this test is run by another one"))
}

/// A process that has the database open for writing, until it is told to end or is killed.
struct Holder {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Holder {
    fn start(path: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child = child(&program, "holds_the_lock", path).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut holder = Self { child, lines };
        holder.wait_for("open");
        holder
    }

    /// The test harness puts its own words before ours.
    fn wait_for(&mut self, word: &str) {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the other process ended before it said {word}");
            if line.trim_end().ends_with(word) {
                return;
            }
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "the other process of the tests here"]
fn holds_the_lock() {
    let db = Db::open(own_path(), &Options::new()).unwrap();
    db.put(&db.default_family(), b"other", b"written", &SYNC).unwrap();
    println!("open");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    db.close(&CloseOptions::default()).unwrap();
    println!("closed");
}

#[test]
fn a_killed_writer_leaves_the_lock_to_the_next_opening_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    for round in 0..5 {
        let mut holder = Holder::start(&path);
        assert_eq!(Db::open(&path, &Options::new()).err().unwrap().kind(), ErrorKind::Locked, "round {round}");
        holder.child.kill().unwrap();
        holder.child.wait().unwrap();
        assert!(path.join("LOCK").exists(), "the file stays: it says nothing, the lock on it does");
        // The first attempt, without waiting.
        let db = Db::open(&path, &Options::new()).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(get(&db, b"other").as_deref(), Some(&b"written"[..]), "round {round}");
        db.close(&CloseOptions::default()).unwrap();
    }
}

#[test]
fn a_second_writer_is_refused_here_and_in_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let refused = |what: &str| {
        for way in [path.clone(), dir.path().join(".").join("db"), dir.path().join("link")] {
            let error = Db::open(&way, &Options::new()).err().unwrap_or_else(|| panic!("{what}: opened twice"));
            assert_eq!(error.kind(), ErrorKind::Locked, "{what}: {error}");
            assert_eq!(error.path(), Some(&*way.join("LOCK")), "{what}: {error}");
        }
        assert_eq!(Db::destroy(&path).unwrap_err().kind(), ErrorKind::Locked, "{what}");
    };
    let mut holder = Holder::start(&path);
    std::os::unix::fs::symlink(&path, dir.path().join("link")).unwrap();
    refused("open in another process");
    let reader = Db::open(&path, &read_only()).unwrap();
    assert_eq!(get(&reader, b"other").as_deref(), Some(&b"written"[..]), "who reads needs no lock");
    writeln!(holder.child.stdin.as_mut().unwrap()).unwrap();
    holder.wait_for("closed");
    assert!(holder.child.wait().unwrap().success());
    let db = Db::open(&path, &Options::new()).unwrap();
    refused("open in this process");
    let program = std::env::current_exe().unwrap();
    let there = child(&program, "is_refused", &path).stdout(Stdio::null()).status().unwrap();
    assert!(there.success(), "the other process was let in, or refused wrongly: {there}");
    db.put(&db.default_family(), b"here", b"written", &SYNC).unwrap();
    assert!(reader.refresh().unwrap().changed, "the reader follows from one writer to the next");
    assert_eq!(get(&reader, b"here").as_deref(), Some(&b"written"[..]));
    db.close(&CloseOptions::default()).unwrap();
}

#[test]
#[ignore = "the other process of the tests here"]
fn is_refused() {
    let error = Db::open(own_path(), &Options::new()).err().expect("it is open in the parent");
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
}

/// Name, mode, length, time of change and content of everything below `path`.
fn picture(path: &Path) -> BTreeMap<PathBuf, (u32, u64, std::time::SystemTime, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut open = vec![path.to_owned()];
    while let Some(next) = open.pop() {
        let about = std::fs::metadata(&next).unwrap();
        let content = if about.is_dir() {
            open.extend(std::fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else {
            std::fs::read(&next).unwrap()
        };
        let modes = (about.permissions().mode(), about.len(), about.modified().unwrap(), content);
        all.insert(next, modes);
    }
    all
}

/// Takes away, or gives back, the permission to write to anything below `path`.
fn set_writable(path: &Path, writable: bool) {
    for (place, (mode, ..)) in picture(path) {
        let mode = if writable { mode | 0o200 } else { mode & !0o222 };
        std::fs::set_permissions(place, Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn a_directory_without_permission_to_write_is_read_and_refuses_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let home = dir.path().join("home");
    std::fs::create_dir(&home).unwrap();
    // Permissions do not bind root: then another user does it, with a copy of this program that he can reach.
    // SAFETY: a plain question to the kernel.
    let is_root = unsafe { libc::geteuid() } == 0;
    let mut program = std::env::current_exe().unwrap();
    if is_root {
        let copy = dir.path().join("program");
        std::fs::copy(&program, &copy).unwrap();
        std::fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
        program = copy;
        if let Err(error) = chown(&home, Some(NOBODY), Some(NOBODY)) {
            println!(
                "NOT RUN: a directory without permission to write: this root cannot give a directory away: {error}"
            );
            return;
        }
    }
    let path = home.join("db");
    let run = |test: &str| {
        let mut command = child(&program, test, &path);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.status()
    };
    match run("writes_without_a_flush") {
        Err(error) => {
            println!("NOT RUN: a directory without permission to write: no process of another user: {error}");
            return;
        }
        Ok(status) => assert!(status.success(), "the database was not made: {status}"),
    }
    set_writable(&home, false);
    let before = picture(&home);
    let status = run("reads_what_it_must_not_write").unwrap();
    assert!(status.success(), "reading, or being refused, went wrong: {status}");
    assert!(picture(&home) == before, "something in the directory changed");
    set_writable(&home, true);
    assert!(run("writes_without_a_flush").unwrap().success(), "writable again");
}

#[test]
#[ignore = "the other process of the tests here"]
fn writes_without_a_flush() {
    let db = Db::open(own_path(), &Options::new()).unwrap();
    for index in 0..500_u32 {
        db.put(&db.default_family(), &index.to_be_bytes(), &[7; 100], &WriteOptions::default()).unwrap();
        if index == 300 {
            db.flush(&[]).unwrap().wait(None).unwrap();
        }
    }
    db.sync_wal().unwrap();
    db.close(&CloseOptions { flush: Some(false), ..CloseOptions::default() }).unwrap();
}

#[test]
#[ignore = "the other process of the tests here"]
fn reads_what_it_must_not_write() {
    let path = own_path();
    for (place, what) in [(path.clone(), "an opening"), (path.with_file_name("new"), "a new database")] {
        let error = Db::open(&place, &Options::new()).err().expect(what);
        assert_eq!((error.kind(), error.os_code()), (ErrorKind::Io, Some(libc::EACCES)), "{what}: {error}");
        assert!(error.path().is_some_and(|named| named.starts_with(&place)), "{what} names no place: {error}");
        assert!(error.to_string().contains("Permission denied"), "{what}: {error}");
    }
    let reader = Db::open(&path, &read_only()).unwrap();
    for index in 0..500_u32 {
        assert_eq!(get(&reader, &index.to_be_bytes()).as_deref(), Some(&[7; 100][..]), "{index}");
    }
    let refused = reader.put(&reader.default_family(), b"k", b"v", &WriteOptions::default()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    assert!(!reader.refresh().unwrap().changed);
    reader.close(&CloseOptions::default()).unwrap();
}
