//! A reader that is brought up to date again and again beside a writer of another process, on real files: flushes, merges, new manifests,
//! families that come and go, reopenings, and kills of the writer. In another process, because locks within one would hide what is
//! missing between two.
//!
//! `follow.rs` has each change by itself, in memory.

use sstore::{
    CloseOptions, ColumnFamily, Db, DbIterator, ErrorKind, IterOptions, Options, ReadOptions, Snapshot, WriteBatch,
    WriteOptions,
};
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

mod profile;

const KEYS: u64 = 50;
const DEFAULT: WriteOptions = WriteOptions { durability: None, no_stall: false };

fn options(set: &[(&str, &str)]) -> Options {
    let small = [
        ("write_buffer_bytes", "64KiB"),
        ("wal_segment_bytes", "64KiB"),
        ("manifest_bytes", "4KiB"),
        ("memory_budget_bytes", "1MiB"),
    ];
    small.iter().chain(set).fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

type Keys = BTreeMap<Vec<u8>, Vec<u8>>;

/// What both families hold after write `count`: a counter, and at each key the last write to it.
fn state_after(count: u64) -> Keys {
    let mut state = Keys::new();
    for write in count.saturating_sub(KEYS - 1).max(1)..=count {
        state.insert(format!("k{:02}", write % KEYS).into_bytes(), format!("{write:>100}").into_bytes());
    }
    if count > 0 {
        state.insert(b"counter".to_vec(), count.to_string().into_bytes());
    }
    state
}

/// Where the writer says how many writes were acknowledged.
fn told_in(path: &Path) -> PathBuf {
    path.with_extension("acknowledged")
}

fn counter(db: &Db, family: &ColumnFamily) -> u64 {
    let value = db.get(family, b"counter", &ReadOptions::default()).unwrap();
    value.map_or(0, |value| std::str::from_utf8(&value).unwrap().parse().unwrap())
}

#[test]
#[ignore = "the child of the other tests"]
fn writer_process() {
    let path = PathBuf::from(std::env::var_os("SSTORE_WRITER").expect("this test is run by another one"));
    let backend = std::env::var("SSTORE_WRITER_BACKEND").unwrap();
    let told = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(told_in(&path)).unwrap();
    let options = options(&[("wal_backend", &backend)]);
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        let db = Db::open(&path, &options).unwrap();
        let other = db.column_family("other").or_else(|_| db.create_column_family("other", &options)).unwrap();
        let families = [db.default_family(), other];
        let mut count = counter(&db, &families[0]);
        for _ in 0..20_000 {
            count += 1;
            let mut batch = WriteBatch::new();
            for family in &families {
                batch
                    .put(family.id(), format!("k{:02}", count % KEYS).as_bytes(), format!("{count:>100}").as_bytes())
                    .unwrap();
                batch.put(family.id(), b"counter", count.to_string().as_bytes()).unwrap();
            }
            db.write(&batch, &DEFAULT).unwrap();
            told.write_all_at(&count.to_le_bytes(), 0).unwrap();
            if count.is_multiple_of(500) {
                // One that comes, is written and goes.
                match db.column_family("passing") {
                    Ok(family) => db.drop_column_family(&family).unwrap(),
                    Err(_) => {
                        let family = db.create_column_family("passing", &options).unwrap();
                        db.put(&family, b"count", count.to_string().as_bytes(), &DEFAULT).unwrap();
                    }
                }
            }
            if count.is_multiple_of(3_000) {
                db.compact(&families[0]).unwrap();
            }
        }
        // Half of the reopenings find a log.
        db.close(&CloseOptions { flush: Some(count.is_multiple_of(2)), force: true, timeout: None }).unwrap();
    }
}

/// A writer in a process of its own; killed when it goes out of scope.
struct Writer(Child);

impl Writer {
    fn start(path: &Path, backend: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_process", "--nocapture", "--ignored"])
            .env("SSTORE_WRITER", path)
            .env("SSTORE_WRITER_BACKEND", backend)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn walk(iterator: &mut DbIterator) -> Keys {
    let mut found = Keys::new();
    let mut valid = iterator.seek_to_first().unwrap();
    while valid {
        found.insert(iterator.key().to_vec(), iterator.value().to_vec());
        valid = iterator.next().unwrap();
    }
    found
}

fn scan(db: &Db, family: &ColumnFamily, snapshot: Option<&Snapshot>) -> Keys {
    let options = IterOptions { snapshot: snapshot.cloned(), ..IterOptions::default() };
    walk(&mut db.iterator(family, options).unwrap())
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Anonymous memory of this process, in KiB.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn refreshed_beside_a_writer(backend: &str) {
    // Memory and descriptors are the process's, so tests take turns: what one leaves when it fails is then there before the next begins.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let refreshes = profile::REFRESHES.get();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let mut writer = Some(Writer::start(&path, backend));
    let told = told_in(&path);
    let patience = Instant::now() + Duration::from_secs(60);
    let told = loop {
        match std::fs::File::open(&told) {
            Ok(file) if file.metadata().unwrap().len() == 8 => break file,
            _ => assert!(Instant::now() < patience, "the writer does not begin"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let acknowledged = || {
        let mut bytes = [0; 8];
        told.read_exact_at(&mut bytes, 0).unwrap();
        u64::from_le_bytes(bytes)
    };
    let reader = Db::open(&path, &options(&[("read_only", "true")])).unwrap();
    let families = [reader.default_family(), reader.column_family("other").unwrap()];
    let (mut last, mut sequence) = (counter(&reader, &families[0]), reader.stats().sequence);
    let (mut distinct, mut busy, mut kills, mut dropped) = (0_u64, 0_u64, 0, 0_u64);
    let mut held: Vec<(u64, Snapshot, DbIterator)> = Vec::new();
    let mut samples = Vec::new();
    let mut passing: Option<ColumnFamily> = None;
    let began = Instant::now();
    let (mut round, mut unchanged) = (0, 0_u64);
    while round < refreshes {
        let before = acknowledged();
        let refreshed = match reader.refresh() {
            Ok(refreshed) => refreshed,
            Err(error) if error.kind() == ErrorKind::Busy => {
                (busy, round) = (busy + 1, round + 1);
                assert_eq!(scan(&reader, &families[0], None), state_after(last), "{backend}: what was seen stays");
                continue;
            }
            Err(error) => panic!("{backend}: refresh {round}: {error}"),
        };
        let count = counter(&reader, &families[0]);
        assert!(count >= before, "{backend}: {count} seen, {before} were acknowledged before the refresh");
        assert!(count >= last && refreshed.sequence >= sequence, "{backend}: the reader went back");
        assert!(refreshed.changed || (count == last && refreshed.sequence == sequence), "{backend}: changed, not told");
        for family in &families {
            let found = scan(&reader, family, None);
            assert!(found == state_after(count), "{backend}: {}: not the state after write {count}", family.name());
        }
        if count == last && unchanged < 50 * refreshes {
            // The writer is being started, or waits for its disk: that is no round.
            (unchanged, sequence) = (unchanged + 1, refreshed.sequence);
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        round += 1;
        distinct += u64::from(count != last);
        (last, sequence) = (count, refreshed.sequence);
        if let Some(family) = passing.take_if(|family| family.is_dropped()) {
            let gone = reader.get(&family, b"count", &ReadOptions::default()).err().map(|error| error.kind());
            assert_eq!(gone, Some(ErrorKind::Dropped), "{backend}");
            dropped += 1;
        }
        if passing.is_none() {
            passing = reader.column_family("passing").ok();
        }
        if round % 40 == 0 {
            let mut iterator = reader.iterator(&families[1], IterOptions::default()).unwrap();
            iterator.seek_to_first().unwrap();
            held.push((count, reader.snapshot().unwrap(), iterator));
            if held.len() > 5 {
                let (count, snapshot, mut iterator) = held.remove(0);
                assert!(walk(&mut iterator) == state_after(count), "{backend}: a held iterator at {count}");
                for family in &families {
                    assert!(
                        scan(&reader, family, Some(&snapshot)) == state_after(count),
                        "{backend}: a held snapshot at {count}"
                    );
                }
            }
        }
        if round % (refreshes / 10).max(1) == 0 {
            samples.push((descriptors(), memory_kib(), reader.stats().files));
        }
        if round % (refreshes / 4).max(1) == 0 && kills < 3 {
            drop(writer.take());
            kills += 1;
            writer = Some(Writer::start(&path, backend));
        }
    }
    drop(writer);
    held.clear();
    let end = reader.refresh().unwrap();
    assert!(counter(&reader, &families[0]) >= last && end.sequence >= sequence);
    println!(
        "{backend}: {refreshes} refreshes in {:.1} s saw {distinct} states of {last} writes, {busy} gave up; {kills} kills; {dropped} drops",
        began.elapsed().as_secs_f64()
    );
    println!("descriptors, RssAnon in KiB, files: {samples:?}");
    assert!(distinct > refreshes / 4 && busy <= refreshes / 20 && dropped > 0 && kills == 3);
    let (middle, rest) = samples.split_at(samples.len() / 2);
    let most = |samples: &[(usize, u64, u64)], of: fn(&(usize, u64, u64)) -> u64| samples.iter().map(of).max().unwrap();
    // The number of files goes up and down with merges, so not counted among what must stay flat.
    let open = |sample: &(usize, u64, u64)| sample.0 as u64 - sample.2.min(sample.0 as u64);
    assert!(most(rest, open) <= most(middle, open) + 32, "{backend}: descriptors grow: {samples:?}");
    assert!(most(rest, |sample| sample.1) <= most(middle, |sample| sample.1) + (16 << 10), "{backend}: memory grows");
    // What remains is the newest state, also for who opens anew.
    let anew = Db::open(&path, &options(&[("read_only", "true")])).unwrap();
    assert_eq!(scan(&anew, &anew.default_family(), None), scan(&reader, &families[0], None));
    let db = Db::open(&path, &options(&[])).unwrap();
    assert_eq!(scan(&db, &db.default_family(), None), scan(&reader, &families[0], None));
    assert_eq!(reader.refresh().unwrap().sequence, db.stats().sequence, "the new writer lost nothing that was seen");
}

#[test]
fn refreshes_beside_a_writer_that_stores_through_a_mapping() {
    refreshed_beside_a_writer("mapped");
}

#[test]
fn refreshes_beside_a_writer_that_writes() {
    refreshed_beside_a_writer("write");
}
