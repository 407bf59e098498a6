//! Real file systems and real limits of the operating system: a tmpfs and an ext4 that fill up, one that is read-only, no more file
//! descriptors, files that may not grow. Each error is clear, nothing acknowledged is lost, and all goes on once there is relief.
//!
//! What takes root, a loop device or a tool that is not here prints NOT RUN and why: it has then not passed.

#![cfg(target_os = "linux")]

use sstore::{CloseOptions, Db, Durability, ErrorKind, Options, ReadOptions, WriteOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const DEFAULT: WriteOptions = WriteOptions { durability: None, no_stall: false };
const SYNC: WriteOptions = WriteOptions { durability: Some(Durability::Sync), no_stall: false };

fn options(backend: &str) -> Options {
    let set = [
        ("wal_backend", backend),
        ("write_buffer_bytes", "64KiB"),
        ("wal_segment_bytes", "64KiB"),
        ("memory_budget_bytes", "8MiB"),
    ];
    set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

fn value(index: u64) -> Vec<u8> {
    (0..600).map(|at| (index.wrapping_mul(0x9e37_79b9) >> (at % 24)) as u8 ^ at as u8).collect()
}

fn put(db: &Db, index: u64, options: &WriteOptions) -> sstore::Result<u64> {
    db.put(&db.default_family(), &index.to_be_bytes(), &value(index), options)
}

fn get(db: &Db, index: u64) -> Option<Vec<u8>> {
    let found = db.get(&db.default_family(), &index.to_be_bytes(), &ReadOptions::default()).unwrap();
    found.map(|value| value.to_vec())
}

fn check(db: &Db, present: &[u64], when: &str) {
    let lost = present.iter().find(|&&index| get(db, index) != Some(value(index)));
    assert!(lost.is_none(), "{when}: {lost:?} is lost");
}

/// Runs a tool; what it said if it did not succeed.
fn run(tool: &str, arguments: &[&str]) -> Result<(), String> {
    match Command::new(tool).args(arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{tool}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{tool}: {error}")),
    }
}

/// A file system of its own, unmounted at the end.
struct Mount {
    at: PathBuf,
    _dir: tempfile::TempDir,
}

impl Mount {
    fn tmpfs(bytes: u64) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        run("mount", &["-t", "tmpfs", "-o", &size, "sstore-test", dir.path().to_str().unwrap()])?;
        Ok(Self { at: dir.path().to_path_buf(), _dir: dir })
    }

    fn ext4(bytes: u64) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let (image, at) = (dir.path().join("image"), dir.path().join("mounted"));
        std::fs::File::create(&image).unwrap().set_len(bytes).unwrap();
        std::fs::create_dir(&at).unwrap();
        run("mkfs.ext4", &["-q", "-m", "0", image.to_str().unwrap()])?;
        run("mount", &["-o", "loop", image.to_str().unwrap(), at.to_str().unwrap()])?;
        Ok(Self { at, _dir: dir })
    }

    /// Waits for files that are still open: a process that another test starts has them all for a moment.
    fn remount(&self, mode: &str) {
        let patience = Instant::now() + Duration::from_secs(20);
        while let Err(error) = run("mount", &["-o", &format!("remount,{mode}"), self.at.to_str().unwrap()]) {
            assert!(Instant::now() < patience, "{error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", self.at.to_str().unwrap()]);
    }
}

fn mounted(what: &str, made: Result<Mount, String>) -> Option<Mount> {
    made.map_err(|reason| println!("NOT RUN: {what}: {reason}")).ok()
}

/// Takes what is left of the file system, to the last few kilobytes.
fn fill(ballast: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(ballast).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
}

/// Filled and freed, with each kind of log: no write that was acknowledged is ever gone, and no error stays.
fn fill_and_free(place: &Path, bytes: u64, rounds: usize) {
    for backend in ["mapped", "write"] {
        let path = place.join(backend);
        let db = Db::open(&path, &options(backend)).unwrap();
        let family = db.default_family();
        let (mut written, mut index, mut refused) = (Vec::new(), 0_u64, 0);
        for round in 0..rounds {
            let ballast = place.join("ballast");
            fill(&ballast);
            // An eighth at most: what lives is two of them, and a merge needs the space twice.
            let (mut errors, limit) = (0, index + bytes / 8 / 640);
            while errors < 5 && index < limit {
                match put(&db, index, &DEFAULT) {
                    Ok(_) => written.push(index),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::NoSpace, "{backend}, round {round}: {error}");
                        assert!(get(&db, index).is_none());
                        errors += 1;
                    }
                }
                index += 1;
            }
            refused += errors;
            check(&db, &written, "on a full disk");
            std::fs::remove_file(&ballast).unwrap();
            db.resume().unwrap();
            // Everything to files, and half of it away, or the next round has no space at all.
            db.flush(&[]).unwrap().wait(Some(Duration::from_secs(30))).unwrap();
            for gone in written.drain(..written.len() / 2) {
                db.delete(&family, &gone.to_be_bytes(), &DEFAULT).unwrap();
            }
            db.compact(&family).unwrap();
            put(&db, index, &SYNC).unwrap();
            written.push(index);
            index += 1;
            assert!(db.background_error().is_none(), "{backend}, round {round}: {:?}", db.background_error());
        }
        assert!(refused > 0, "{backend}: the disk was full");
        db.close(&CloseOptions::default()).unwrap();
        let db = Db::open(&path, &options(backend)).unwrap();
        check(&db, &written, "reopened");
        db.close(&CloseOptions::default()).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn r47_a_tmpfs_of_one_mebibyte_filled_and_freed_again_and_again() {
    let Some(mount) = mounted("a tmpfs of 1 MiB", Mount::tmpfs(1 << 20)) else { return };
    fill_and_free(&mount.at, 1 << 20, 5);
}

#[test]
fn an_ext4_of_sixteen_mebibytes_filled_and_freed_again_and_again() {
    let Some(mount) = mounted("an ext4 of 16 MiB on a loop device", Mount::ext4(16 << 20)) else { return };
    fill_and_free(&mount.at, 16 << 20, 3);
}

#[test]
fn a_read_only_file_system_is_read_and_refuses_the_rest() {
    let Some(mount) = mounted("a read-only tmpfs", Mount::tmpfs(4 << 20)) else { return };
    let path = mount.at.join("db");
    let written: Vec<u64> = (0..300).collect();
    let db = Db::open(&path, &options("auto")).unwrap();
    for &index in &written {
        put(&db, index, &DEFAULT).unwrap();
    }
    // Some of it lies in the log alone.
    db.close(&CloseOptions { flush: Some(false), ..CloseOptions::default() }).unwrap();
    drop(db);
    mount.remount("ro");
    for (place, what) in [(path.clone(), "an opening"), (mount.at.join("new"), "a new database")] {
        let error = Db::open(&place, &options("auto")).err().expect(what);
        assert_eq!((error.kind(), error.os_code()), (ErrorKind::Io, Some(libc::EROFS)), "{what}: {error}");
        assert!(error.path().is_some_and(|path| path.starts_with(&place)), "{what} names no file: {error}");
    }
    let reader = Db::open(&path, &options("auto").with("read_only", "true").unwrap()).unwrap();
    check(&reader, &written, "read-only");
    assert_eq!(put(&reader, 0, &DEFAULT).unwrap_err().kind(), ErrorKind::ReadOnly);
    reader.close(&CloseOptions::default()).unwrap();
    mount.remount("rw");
    let db = Db::open(&path, &options("auto")).unwrap();
    check(&db, &written, "writable again");
    put(&db, 1000, &SYNC).unwrap();
    db.close(&CloseOptions::default()).unwrap();
}

/// Runs one test of this file again, in a process of its own that a shell has put under a limit.
fn under_limit(test: &str, limit: &str, path: &Path) -> std::process::ExitStatus {
    Command::new("sh")
        .args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--ignored"])
        .env("SSTORE_LIMITED", path)
        .stdin(Stdio::null())
        .status()
        .unwrap()
}

fn limited_path() -> PathBuf {
    PathBuf::from(std::env::var_os("SSTORE_LIMITED").expect("this test is run by another one"))
}

fn wait_until_well(db: &Db) {
    let patience = Instant::now() + Duration::from_secs(20);
    while let Some(error) = db.background_error() {
        assert!(Instant::now() < patience, "it does not go on: {error}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn without_file_descriptors_errors_are_clear_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    for backend in ["mapped", "write"] {
        let path = dir.path().join(backend);
        let status = under_limit("limited_descriptors", "ulimit -n 64", &path);
        assert!(status.success(), "{backend}: {status}");
        let db = Db::open(&path, &options(backend)).unwrap();
        check(&db, &(0..400).filter(|index| get(&db, *index).is_some()).collect::<Vec<_>>(), "reopened");
        assert!(get(&db, 0).is_some() && get(&db, 399).is_some());
        db.close(&CloseOptions::default()).unwrap();
    }
}

#[test]
#[ignore = "the child of without_file_descriptors_errors_are_clear_and_nothing_is_lost"]
fn limited_descriptors() {
    let path = limited_path();
    let backend = path.file_name().unwrap().to_str().unwrap().to_owned();
    let options = options(&backend);
    let take_all = || {
        let mut taken = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            taken.push(file);
        }
        taken
    };
    // Of an opening too.
    let taken = take_all();
    let error = Db::open(&path, &options).err().expect("there is no descriptor for it");
    assert_eq!((error.kind(), error.os_code()), (ErrorKind::Io, Some(libc::EMFILE)), "{error}");
    drop(taken);
    let db = Db::open(&path, &options).unwrap();
    let mut written = Vec::new();
    for round in 0..4 {
        for index in round * 100..round * 100 + 50 {
            put(&db, index, &DEFAULT).unwrap();
            written.push(index);
        }
        let (mut taken, mut errors) = (take_all(), 0);
        for index in round * 100 + 50..round * 100 + 99 {
            match put(&db, index, &DEFAULT) {
                Ok(_) => written.push(index),
                Err(error) => {
                    assert_eq!(error.os_code(), Some(libc::EMFILE), "round {round}: {error}");
                    assert!(get(&db, index).is_none(), "round {round}: {index} was refused");
                    errors += 1;
                }
            }
        }
        // Flushes that were under way give theirs back when they are done.
        let error = loop {
            taken.extend(take_all());
            let _ = put(&db, round * 100, &DEFAULT);
            if let Err(error) = db.flush(&[]).and_then(|token| token.wait(Some(Duration::from_secs(20)))) {
                break error;
            }
        };
        assert!(errors > 0 || error.os_code() == Some(libc::EMFILE), "round {round}: {error}");
        check(&db, &written, "without descriptors");
        drop(taken);
        db.resume().unwrap_or_else(|error| panic!("round {round}: {error}"));
        wait_until_well(&db);
        put(&db, round * 100 + 99, &SYNC).unwrap();
        written.push(round * 100 + 99);
        db.flush(&[]).unwrap().wait(Some(Duration::from_secs(20))).unwrap();
        check(&db, &written, "with descriptors again");
    }
    db.close(&CloseOptions::default()).unwrap();
    let db = Db::open(&path, &options).unwrap();
    check(&db, &written, "opened again");
    db.close(&CloseOptions::default()).unwrap();
}

#[test]
fn files_that_may_not_grow_are_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    if let Err(reason) = run("prlimit", &["--version"]) {
        println!("NOT RUN: a limit on the length of files: {reason}");
        return;
    }
    for backend in ["mapped", "write"] {
        let path = dir.path().join(backend);
        // In blocks of 512 bytes; the signal that comes with it is the application's to ignore.
        let status = under_limit("limited_lengths", "trap '' XFSZ && ulimit -S -f 160", &path);
        assert!(status.success(), "{backend}: {status}");
        let db = Db::open(&path, &options(backend)).unwrap();
        assert!(get(&db, 1_000_000).is_some());
        db.close(&CloseOptions::default()).unwrap();
    }
}

/// Without the signal ignored the process dies of it, as of any other.
#[test]
fn a_process_that_dies_of_the_length_of_a_file_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for backend in ["mapped", "write"] {
        let path = dir.path().join(backend);
        let db = Db::open(&path, &options(backend)).unwrap();
        put(&db, 1_000_000, &SYNC).unwrap();
        db.close(&CloseOptions::default()).unwrap();
        let status = under_limit("limited_lengths", "ulimit -S -f 160", &path);
        let db = Db::open(&path, &options(backend)).unwrap();
        let told = std::fs::read_to_string(path.with_extension("told")).unwrap();
        let acknowledged: Vec<u64> = told.lines().filter_map(|line| line.parse().ok()).collect();
        assert!(!acknowledged.is_empty() && !status.success(), "{backend}: {status}");
        check(&db, &acknowledged, &format!("after {status}"));
        assert!(get(&db, 1_000_000).is_some());
        db.close(&CloseOptions::default()).unwrap();
    }
}

#[test]
#[ignore = "the child of files_that_may_not_grow_are_a_full_disk"]
fn limited_lengths() {
    use std::io::Write;
    let path = limited_path();
    let backend = path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut told = std::fs::File::create(path.with_extension("told")).unwrap();
    let db = Db::open(&path, &options(&backend)).unwrap();
    let (mut written, mut errors) = (Vec::new(), 0);
    for index in 0..600 {
        match put(&db, index, &DEFAULT) {
            Ok(_) => {
                written.push(index);
                writeln!(told, "{index}").unwrap();
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}"),
        }
        if index % 100 == 99 {
            // It needs a segment of its own, which is longer than a file may be.
            let error = db.put(&db.default_family(), b"long", &vec![1; 200 << 10], &DEFAULT).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
            errors += 1;
        }
    }
    assert!(errors > 0 && get(&db, 0).is_some());
    // All of them together do not fit into one file.
    let error = db.compact(&db.default_family()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    check(&db, &written, "at the limit");
    run("prlimit", &["--pid", &std::process::id().to_string(), "--fsize=unlimited:"]).unwrap();
    db.resume().unwrap();
    wait_until_well(&db);
    put(&db, 1_000_000, &SYNC).unwrap();
    written.push(1_000_000);
    db.flush(&[]).unwrap().wait(Some(Duration::from_secs(20))).unwrap();
    check(&db, &written, "with longer files");
    db.close(&CloseOptions::default()).unwrap();
    let db = Db::open(&path, &options(&backend)).unwrap();
    check(&db, &written, "opened again");
    db.close(&CloseOptions::default()).unwrap();
}
