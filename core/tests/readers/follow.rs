//! A database open for reading, brought up to date step by step: each kind of change that a writer makes, what is held across it, files
//! that vanish while they are looked for, and a failure of each call. In memory, against a `BTreeMap`.
//!
//! `live_readers.rs` has the same beside a writer at full speed, on real files.

use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::posix::posix;
use sstore::env::strict::StrictFileSystem;
use sstore::env::{Call, Env, File, FileLock, FileSystem};
use sstore::{
    CloseOptions, CollectionId, Db, DbIterator, ErrorKind, IterOptions, Options, ReadOptions, Refreshed, Result,
    Sequence, Snapshot, WriteBatch, WriteOptions,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATH: &str = "/db";
const DEFAULT: WriteOptions = WriteOptions { durability: None, no_stall: false };
const FAMILIES: [&str; 3] = ["default", "a", "b"];

type Keys = BTreeMap<Vec<u8>, Vec<u8>>;
/// What each family that exists holds.
type State = BTreeMap<String, Keys>;

fn options(set: &[(&str, &str)]) -> Options {
    let small = [
        ("write_buffer_bytes", "16KiB"),
        ("wal_segment_bytes", "64KiB"),
        ("manifest_bytes", "4KiB"),
        ("memory_budget_bytes", "1MiB"),
        ("auto_compaction", "false"),
    ];
    small.iter().chain(set).fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

fn env(files: Arc<dyn FileSystem>) -> Env {
    Env { files, runtime: posix().runtime }
}

fn open_reader(files: Arc<dyn FileSystem>) -> Db {
    // Panics at the first call that changes anything.
    let files = StrictFileSystem::concurrent(files);
    files.set_read_only(true);
    Db::open_in(env(files), Path::new(PATH), &options(&[("read_only", "true")])).unwrap()
}

/// A writer, and what it wrote.
struct Writer {
    files: Arc<MemFileSystem>,
    slow: Arc<FaultFileSystem>,
    db: Option<Db>,
    state: State,
    random: u64,
}

impl Writer {
    fn new(seed: u64) -> Self {
        let files = MemFileSystem::new();
        let slow = FaultFileSystem::new(files.clone(), Vec::new());
        let db = Some(Db::open_in(env(slow.clone()), Path::new(PATH), &options(&[])).unwrap());
        Self { files, slow, db, state: State::from([("default".to_owned(), Keys::new())]), random: seed }
    }

    fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    /// One batch over all families that exist.
    fn write(&mut self, keys: u64) -> Sequence {
        let names: Vec<String> = self.state.keys().cloned().collect();
        let mut batch = WriteBatch::new();
        for name in names {
            let family = self.db().column_family(&name).unwrap();
            for _ in 0..1 + self.draw(3) {
                let key = format!("k{:03}", self.draw(keys)).into_bytes();
                if self.draw(4) == 0 {
                    batch.delete(family.id(), &key).unwrap();
                    self.state.get_mut(&name).unwrap().remove(&key);
                } else {
                    let width = 20 + self.draw(200) as usize;
                    let value = format!("{:>width$}", self.random).into_bytes();
                    batch.put(family.id(), &key, &value).unwrap();
                    self.state.get_mut(&name).unwrap().insert(key, value);
                }
            }
        }
        self.db().write(&batch, &DEFAULT).unwrap()
    }

    fn flush(&self, name: &str) {
        if let Ok(family) = self.db().column_family(name) {
            self.db().flush(&[&family]).unwrap().wait(Some(Duration::from_secs(60))).unwrap();
        }
    }

    /// Writes, and refreshes the reader, while a flush is under way: what the reader has of the log by then is flushed in part.
    fn flush_meanwhile(&mut self, name: &str, reader: &Db) {
        let Ok(family) = self.db().column_family(name) else { return };
        self.slow.add(Rule::once(Call::Create, Effect::Delay(Duration::from_millis(10))).on(".sst").sticky());
        let token = self.db().flush(&[&family]).unwrap();
        for _ in 0..5 {
            self.write(60);
        }
        refresh_and_compare(reader, self, "while a flush is under way");
        token.wait(Some(Duration::from_secs(60))).unwrap();
        self.slow.clear();
        refresh_and_compare(reader, self, "after a flush of a part");
    }

    fn flush_all(&self) {
        self.db().flush(&[]).unwrap().wait(Some(Duration::from_secs(60))).unwrap();
    }

    fn merge(&self, name: &str) {
        if let Ok(family) = self.db().column_family(name) {
            self.db().compact(&family).unwrap();
        }
    }

    fn create(&mut self, name: &str) {
        if !self.state.contains_key(name) {
            self.db().create_column_family(name, &options(&[])).unwrap();
            self.state.insert(name.to_owned(), Keys::new());
        }
    }

    fn drop_family(&mut self, name: &str) {
        if self.state.contains_key(name) {
            let family = self.db().column_family(name).unwrap();
            self.db().drop_column_family(&family).unwrap();
            self.state.remove(name);
        }
    }

    /// Another writer takes over, with another epoch, manifest and log.
    fn reopen(&mut self, flush: bool) {
        self.db().close(&CloseOptions { flush: Some(flush), ..CloseOptions::default() }).unwrap();
        self.db = None;
        self.db = Some(Db::open_in(env(self.slow.clone()), Path::new(PATH), &options(&[])).unwrap());
    }
}

/// Compares, and tells the keys that differ and nothing else: states are long.
#[track_caller]
fn assert_same(found: &State, expected: &State, what: &str) {
    let names = |state: &State| state.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{what}: which families there are");
    for (name, keys) in expected {
        assert_same_keys(&found[name], keys, &format!("{what}: {name}"));
    }
}

#[track_caller]
fn assert_same_keys(found: &Keys, expected: &Keys, what: &str) {
    let all = found.keys().chain(expected.keys()).filter(|key| found.get(*key) != expected.get(*key));
    let differ: Vec<_> = all.map(|key| (String::from_utf8_lossy(key), found.get(key).is_some())).collect();
    assert!(differ.is_empty(), "{what}: keys that differ, and whether they are found: {differ:?}");
}

fn walk(iterator: &mut DbIterator) -> Result<Keys> {
    let mut found = Keys::new();
    let mut valid = iterator.seek_to_first()?;
    while valid {
        assert!(found.insert(iterator.key().to_vec(), iterator.value().to_vec()).is_none(), "a key came twice");
        valid = iterator.next()?;
    }
    Ok(found)
}

/// Everything that a reader sees, by all ways of reading.
fn seen(db: &Db, snapshot: Option<&Snapshot>) -> State {
    let mut state = State::new();
    for name in db.column_families().unwrap() {
        let family = db.column_family(&name).unwrap();
        let read = ReadOptions { snapshot };
        let options = || IterOptions { snapshot: snapshot.cloned(), ..IterOptions::default() };
        let mut iterator = db.iterator(&family, options()).unwrap();
        let found = walk(&mut iterator).unwrap();
        let mut backward = Keys::new();
        let mut valid = iterator.seek_to_last().unwrap();
        while valid {
            backward.insert(iterator.key().to_vec(), iterator.value().to_vec());
            valid = iterator.prev().unwrap();
        }
        assert_same_keys(&backward, &found, &format!("{name}: backward"));
        for key in 0..60 {
            let key = format!("k{key:03}").into_bytes();
            let got = db.get(&family, &key, &read).unwrap();
            assert_eq!(got.as_deref(), found.get(&key).map(|value| &value[..]), "{name}: get");
        }
        state.insert(name, found);
    }
    state
}

fn refresh_and_compare(reader: &Db, writer: &Writer, what: &str) -> Refreshed {
    let refreshed = reader.refresh().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_same(&seen(reader, None), &writer.state, what);
    let now = writer.db().stats().sequence;
    assert_eq!(refreshed.sequence, now, "{what}: the sequence is the writer's");
    assert_eq!(reader.stats().sequence, now, "{what}");
    refreshed
}

fn manifest_in_force(files: &MemFileSystem) -> String {
    files.list(Path::new(PATH)).unwrap().into_iter().filter(|name| name.starts_with("MANIFEST-")).max().unwrap()
}

#[test]
fn each_kind_of_change_is_seen_after_a_refresh_and_not_before() {
    let mut writer = Writer::new(1);
    writer.write(60);
    let reader = open_reader(writer.files.clone());
    let mut before = seen(&reader, None);
    assert_same(&before, &writer.state, "at opening");
    assert!(!reader.refresh().unwrap().changed, "nothing was written");
    let mut step = |writer: &mut Writer, what: &str, changes: bool, act: &dyn Fn(&mut Writer)| {
        act(writer);
        assert_same(&seen(&reader, None), &before, &format!("{what}: before the refresh all is as it was"));
        let refreshed = refresh_and_compare(&reader, writer, what);
        assert_eq!(refreshed.changed, changes, "{what}");
        assert!(!reader.refresh().unwrap().changed, "{what}: a second refresh finds nothing");
        before = writer.state.clone();
    };
    let write = |times: u64| {
        move |writer: &mut Writer| {
            for _ in 0..times {
                writer.write(60);
            }
        }
    };
    step(&mut writer, "a put", true, &write(1));
    step(&mut writer, "many writes", true, &write(50));
    step(&mut writer, "a flush", false, &|writer| writer.flush_all());
    step(&mut writer, "writes over a flushed file", true, &write(30));
    step(&mut writer, "writes, then a flush", true, &|writer| {
        write(30)(writer);
        writer.flush_all();
        write(5)(writer);
    });
    step(&mut writer, "a merge that deletes its inputs", false, &|writer| writer.merge("default"));
    step(&mut writer, "a new family", true, &|writer| writer.create("a"));
    step(&mut writer, "a batch over two families", true, &write(20));
    step(&mut writer, "a flush of one of them", false, &|writer| writer.flush("a"));
    step(&mut writer, "writes after it", true, &write(20));
    step(&mut writer, "a family that came and is written", true, &|writer| {
        writer.create("b");
        write(20)(writer);
    });
    step(&mut writer, "a family dropped and made again", true, &|writer| {
        writer.drop_family("a");
        writer.create("a");
        write(10)(writer);
    });
    step(&mut writer, "a drop", true, &|writer| writer.drop_family("b"));
    let manifest = manifest_in_force(&writer.files);
    step(&mut writer, "a rolled manifest", true, &|writer| {
        let mut rounds = 0;
        while manifest_in_force(&writer.files) == manifest {
            write(3)(writer);
            writer.flush_all();
            rounds += 1;
            assert!(rounds < 500, "it rolls at 4 KiB");
        }
        write(3)(writer);
    });
    let first_segment = |writer: &Writer| writer.files.list(&Path::new(PATH).join("wal")).unwrap()[0].clone();
    let segment = first_segment(&writer);
    step(&mut writer, "log segments removed", true, &|writer| {
        let mut rounds = 0;
        while first_segment(writer) == segment {
            write(100)(writer);
            writer.flush_all();
            rounds += 1;
            assert!(rounds < 500, "segments have 64 KiB");
        }
        write(10)(writer);
    });
    step(&mut writer, "many segments of log", true, &write(700));
    step(&mut writer, "another writer, which flushed", false, &|writer| writer.reopen(true));
    step(&mut writer, "its first write", true, &write(1));
    step(&mut writer, "another writer, which recovered the log", true, &|writer| {
        write(20)(writer);
        writer.reopen(false);
        write(1)(writer);
    });
}

/// What is held: it goes on showing what it showed.
struct Held {
    iterator: DbIterator,
    in_family: Keys,
    snapshot: Snapshot,
    state: State,
    families: BTreeMap<String, CollectionId>,
}

impl Held {
    fn new(reader: &Db) -> Self {
        let family = reader.default_family();
        let mut iterator = reader.iterator(&family, IterOptions::default()).unwrap();
        iterator.seek_to_first().unwrap();
        let state = seen(reader, None);
        let id = |name: &String| (name.clone(), reader.column_family(name).unwrap().id());
        let families = state.keys().map(id).collect();
        Self { iterator, in_family: state["default"].clone(), snapshot: reader.snapshot().unwrap(), state, families }
    }

    fn check(&mut self, reader: &Db) {
        assert_same_keys(&walk(&mut self.iterator).unwrap(), &self.in_family, "a held iterator shows what it showed");
        let nothing = Keys::new();
        for (name, keys) in seen(reader, Some(&self.snapshot)) {
            // Of a family that came later a snapshot shows nothing.
            let was_there = self.families.get(&name) == Some(&reader.column_family(&name).unwrap().id());
            let expected = if was_there { &self.state[&name] } else { &nothing };
            assert_same_keys(&keys, expected, &format!("{name}: a held snapshot shows what it showed"));
        }
    }
}

#[test]
fn random_changes_with_iterators_and_snapshots_held_across_refreshes() {
    for seed in 1..=3 {
        let mut writer = Writer::new(seed);
        let reader = open_reader(writer.files.clone());
        let mut held: Vec<Held> = Vec::new();
        let (mut rolls, mut manifest) = (0, manifest_in_force(&writer.files));
        for round in 0..200 {
            let name = FAMILIES[writer.draw(3) as usize];
            match writer.draw(24) {
                0..=12 => {
                    for _ in 0..writer.draw(25) {
                        writer.write(60);
                    }
                }
                13 => writer.flush(name),
                14 | 15 => writer.flush_meanwhile(name, &reader),
                16 => writer.flush_all(),
                17 | 18 => writer.merge(name),
                19 | 20 => writer.create(name),
                21 if name != "default" => writer.drop_family(name),
                22 => writer.reopen(false),
                23 => writer.reopen(true),
                _ => {}
            }
            rolls += u64::from(manifest != manifest_in_force(&writer.files));
            manifest = manifest_in_force(&writer.files);
            if writer.draw(3) > 0 {
                let what = format!("seed {seed}, round {round}");
                refresh_and_compare(&reader, &writer, &what);
                if writer.draw(8) == 0 {
                    held.push(Held::new(&reader));
                }
                if held.len() > 4 {
                    held.remove(0);
                }
                held.iter_mut().for_each(|held| held.check(&reader));
            }
        }
        assert!(rolls > 5, "seed {seed}: {rolls} manifests");
        drop(held);
        reader.close(&CloseOptions::default()).unwrap();
    }
}

#[test]
fn handles_stay_valid_and_a_dropped_family_says_so() {
    let mut writer = Writer::new(5);
    writer.create("a");
    writer.write(60);
    let reader = open_reader(writer.files.clone());
    let read = ReadOptions::default();
    let (default, old) = (reader.default_family(), reader.column_family("a").unwrap());
    let pinned = reader.get(&default, writer.state["default"].keys().next().unwrap(), &read).unwrap().unwrap();
    let value = pinned.to_vec();
    let dropped = writer.state["a"].clone();
    let mut iterator = reader.iterator(&old, IterOptions::default()).unwrap();
    iterator.seek_to_first().unwrap();
    writer.drop_family("a");
    writer.create("a");
    for _ in 0..300 {
        writer.write(60);
    }
    writer.flush_all();
    writer.merge("default");
    assert!(!old.is_dropped() && reader.get(&old, b"k000", &read).is_ok(), "until the refresh nothing is known of it");
    refresh_and_compare(&reader, &writer, "after the drop");
    assert!(old.is_dropped());
    assert_eq!(reader.get(&old, b"k000", &read).err().unwrap().kind(), ErrorKind::Dropped);
    let refused = reader.iterator(&old, IterOptions::default()).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Dropped, "{refused}");
    assert_same_keys(&walk(&mut iterator).unwrap(), &dropped, "an iterator that stands in it goes on");
    let new = reader.column_family("a").unwrap();
    assert!(new.id() != old.id() && !new.is_dropped());
    let key = writer.state["default"].keys().next().unwrap().clone();
    let found = reader.get(&default, &key, &read).unwrap();
    assert_eq!(
        found.as_deref(),
        writer.state["default"].get(&key).map(|value| &value[..]),
        "the handle shows the present"
    );
    assert_eq!(*pinned, value[..], "a pinned value stays what it was");
}

#[test]
fn a_writer_is_not_refreshed_and_a_closed_reader_neither() {
    let writer = Writer::new(6);
    let error = writer.db().refresh().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("read_only=true"), "{error}");
    let reader = open_reader(writer.files.clone());
    let other = reader.clone();
    reader.close(&CloseOptions::default()).unwrap();
    assert_eq!(other.refresh().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_database_that_was_put_back_or_replaced_is_refused() {
    let mut writer = Writer::new(7);
    writer.write(60);
    writer.flush_all();
    let old = writer.files.crash_clone(&mut sstore::env::mem::crash::AllKept);
    for _ in 0..20 {
        writer.write(60);
    }
    writer.reopen(false);
    writer.reopen(false);
    let switch = Switch::new(writer.files.clone());
    let reader = open_reader(switch.clone());
    let before = seen(&reader, None);
    let other = Writer::new(8);
    for (files, kind) in [(old, ErrorKind::Gap), (other.files.clone(), ErrorKind::InvalidArgument)] {
        switch.set(files);
        let error = reader.refresh().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_same(&seen(&reader, None), &before, "what was seen stays");
    }
    switch.set(writer.files.clone());
    writer.write(60);
    refresh_and_compare(&reader, &writer, "the right one again");
}

/// Asks one file system or another, and may do something right before a call.
struct Switch {
    inner: Mutex<Arc<dyn FileSystem>>,
    calls: AtomicU64,
    interrupt: Mutex<Option<(u64, Interrupt)>>,
}

type Interrupt = Box<dyn FnOnce() + Send>;

impl Switch {
    fn new(files: Arc<dyn FileSystem>) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::new(files), calls: AtomicU64::new(0), interrupt: Mutex::new(None) })
    }

    fn set(&self, files: Arc<dyn FileSystem>) {
        *self.inner.lock().unwrap() = files;
    }

    /// Does `what` before the call `at` from now on.
    fn interrupt(&self, at: u64, what: Interrupt) {
        *self.interrupt.lock().unwrap() = Some((self.calls.load(Ordering::SeqCst) + at, what));
    }

    fn call(&self) -> Arc<dyn FileSystem> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let due = self.interrupt.lock().unwrap().take_if(|(at, _)| *at <= number);
        if let Some((_, what)) = due {
            what();
        }
        self.inner.lock().unwrap().clone()
    }
}

impl FileSystem for Switch {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.call().open(path)
    }
    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.call().create(path)
    }
    fn file_len(&self, path: &Path) -> Result<Option<u64>> {
        self.call().file_len(path)
    }
    fn create_dir(&self, path: &Path) -> Result<bool> {
        self.call().create_dir(path)
    }
    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        self.call().list(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.call().rename(from, to)
    }
    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.call().link(from, to)
    }
    fn remove(&self, path: &Path) -> Result<()> {
        self.call().remove(path)
    }
    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.call().remove_dir(path)
    }
    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.call().sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        self.call().lock(path)
    }
    fn prefers_mapping(&self, dir: &Path) -> bool {
        self.call().prefers_mapping(dir)
    }
    fn free_bytes(&self, dir: &Path) -> Option<u64> {
        self.call().free_bytes(dir)
    }
}

/// What a writer does while the reader is in the middle of a refresh: flushes, merges that delete, families that come and go, segments
/// that are removed, a new manifest, another writer.
fn churn(writer: &mut Writer, history: &mut BTreeMap<Sequence, State>) {
    let note = |writer: &Writer, history: &mut BTreeMap<Sequence, State>| {
        history.insert(writer.db().stats().sequence, writer.state.clone());
    };
    for round in 0..3 {
        for _ in 0..60 {
            writer.write(60);
            note(writer, history);
        }
        writer.flush_all();
        writer.merge("default");
        writer.merge("a");
        if round == 1 {
            writer.drop_family("b");
            writer.create("b");
            note(writer, history);
        }
    }
    writer.write(60);
    note(writer, history);
}

#[test]
fn a_writer_that_moves_everything_at_any_step_of_a_refresh() {
    let mut interrupted = 0;
    for at in 0.. {
        let mut writer = Writer::new(9);
        writer.create("a");
        writer.create("b");
        writer.write(60);
        writer.flush_all();
        let switch = Switch::new(writer.files.clone());
        let reader = open_reader(switch.clone());
        let mut history = BTreeMap::new();
        // So that there is something to open when the refresh begins.
        churn(&mut writer, &mut history);
        let acknowledged = writer.db().stats().sequence;
        let both = Arc::new(Mutex::new((writer, history)));
        let during = both.clone();
        switch.interrupt(
            at,
            Box::new(move || {
                let (writer, history) = &mut *during.lock().unwrap();
                churn(writer, history);
            }),
        );
        let refreshed = reader.refresh().unwrap_or_else(|error| panic!("interrupted before call {at}: {error}"));
        let (writer, history) = &*both.lock().unwrap();
        assert!(refreshed.sequence >= acknowledged, "call {at}: what was acknowledged before is in it");
        let expected = &history[&refreshed.sequence];
        assert_same(&seen(&reader, None), expected, &format!("call {at}: a state that the writer's had"));
        if switch.interrupt.lock().unwrap().take().is_some() {
            break;
        }
        interrupted += 1;
        refresh_and_compare(&reader, writer, &format!("call {at}, once more"));
    }
    println!("interrupted before each of {interrupted} calls");
    // Ten or eleven: as many as the files that the writer has just then ask for.
    assert!(interrupted >= 8);
}

#[test]
fn a_new_familys_half_of_a_batch_is_never_missing() {
    let mut seen_at_once = 0;
    for at in 0.. {
        let mut writer = Writer::new(12);
        writer.write(60);
        let switch = Switch::new(writer.files.clone());
        let reader = open_reader(switch.clone());
        writer.write(60);
        // A file to open, between the manifest and the log.
        writer.flush_all();
        let db = writer.db().clone();
        let during = move || {
            let family = db.create_column_family("new", &options(&[])).unwrap();
            let mut batch = WriteBatch::new();
            batch.put(CollectionId(0), b"half", b"1").unwrap();
            batch.put(family.id(), b"half", b"1").unwrap();
            db.write(&batch, &DEFAULT).unwrap();
        };
        switch.interrupt(at, Box::new(during));
        for round in 0..2 {
            reader.refresh().unwrap();
            let half = |family| reader.get(&family, b"half", &ReadOptions::default()).unwrap().is_some();
            let (old, new) = (half(reader.default_family()), reader.column_family("new").is_ok_and(half));
            assert_eq!(old, new, "call {at}, refresh {round}: both halves of the batch, or none");
            seen_at_once += u64::from(old && round == 0);
        }
        if switch.interrupt.lock().unwrap().take().is_some() {
            break;
        }
    }
    assert!(seen_at_once > 2, "the batch came before the log was read");
}

#[test]
fn a_writer_that_never_stops_moving_is_told_as_busy() {
    let mut writer = Writer::new(10);
    writer.write(60);
    let switch = Switch::new(writer.files.clone());
    let reader = open_reader(switch.clone());
    let before = seen(&reader, None);
    writer.write(60);
    writer.flush_all();
    // The newest file is never there when it is opened, and the manifest always longer.
    let faulty = FaultFileSystem::new(writer.files.clone(), Vec::new());
    faulty.add(Rule::once(Call::Open, Effect::Error(libc::ENOENT)).on(".sst").sticky());
    switch.set(faulty.clone());
    let db = writer.db().clone();
    let count = Arc::new(AtomicU64::new(0));
    fn again(switch: &Arc<Switch>, db: &Db, count: &Arc<AtomicU64>) {
        let (next, db, count) = (switch.clone(), db.clone(), count.clone());
        switch.interrupt(
            3,
            Box::new(move || {
                let name = format!("f{}", count.fetch_add(1, Ordering::SeqCst));
                db.create_column_family(&name, &options(&[])).unwrap();
                again(&next, &db, &count);
            }),
        );
    }
    again(&switch, &db, &count);
    let error = reader.refresh().unwrap_err();
    switch.interrupt.lock().unwrap().take();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert!(error.message().contains("try again"), "{error}");
    assert_same(&seen(&reader, None), &before, "what was seen stays");
    faulty.clear();
    for number in 0..count.load(Ordering::SeqCst) {
        writer.state.insert(format!("f{number}"), Keys::new());
    }
    refresh_and_compare(&reader, &writer, "once it stands still");
}

/// The reader finds an edit, with its file, that the writer could not sync, and then does without: what the edit had taken from the log is
/// taken from it again.
#[test]
fn an_edit_that_the_writer_takes_back_is_taken_back_here() {
    let files = MemFileSystem::new();
    let faulty = FaultFileSystem::new(files.clone(), Vec::new());
    let db = Db::open_in(env(faulty.clone()), Path::new(PATH), &options(&[])).unwrap();
    let put = |key: &str| db.put(&db.default_family(), key.as_bytes(), b"v", &DEFAULT).unwrap();
    put("first");
    let reader = open_reader(files.clone());
    let keys = |reader: &Db| seen(reader, None)["default"].keys().cloned().collect::<Vec<_>>();
    faulty.add(Rule::once(Call::SyncData, Effect::Error(libc::ENOSPC)).on("MANIFEST").sticky());
    faulty.add(Rule::once(Call::Create, Effect::Error(libc::ENOSPC)).on("MANIFEST").sticky());
    let error = db.flush(&[]).and_then(|token| token.wait(Some(Duration::from_secs(60)))).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    put("second");
    reader.refresh().unwrap();
    assert_eq!(keys(&reader), [b"first".to_vec(), b"second".to_vec()]);
    assert_eq!(reader.stats().files, 1, "the edit can be read");
    // Flushes go on failing; a new family makes the manifest that does without the edit.
    faulty.clear();
    faulty.add(Rule::once(Call::Create, Effect::Error(libc::ENOSPC)).on(".sst").sticky());
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    while let Err(error) = db.create_column_family("f", &options(&[])) {
        assert!(std::time::Instant::now() < patience, "{error}");
        std::thread::sleep(Duration::from_millis(5));
    }
    put("third");
    reader.refresh().unwrap();
    assert_eq!(reader.stats().files, 0, "the edit was taken back");
    assert_eq!(keys(&reader), [b"first".to_vec(), b"second".to_vec(), b"third".to_vec()]);
    faulty.clear();
    db.resume().unwrap();
    db.flush(&[]).unwrap().wait(Some(Duration::from_secs(60))).unwrap();
    reader.refresh().unwrap();
    assert_eq!(keys(&reader), [b"first".to_vec(), b"second".to_vec(), b"third".to_vec()]);
    assert_eq!(reader.stats().files, db.stats().files);
}

#[test]
fn a_failure_of_any_call_of_a_refresh_leaves_what_was_seen() {
    let mut failed = 0;
    let mut taken = 0;
    for effect in [libc::EIO, libc::EMFILE, libc::ENOENT] {
        for sticky in [false, true] {
            for at in 0.. {
                let mut writer = Writer::new(11);
                writer.create("a");
                writer.write(60);
                writer.flush_all();
                let faulty = FaultFileSystem::new(writer.files.clone(), Vec::new());
                let reader = open_reader(faulty.clone());
                let before = seen(&reader, None);
                let mut held = Held::new(&reader);
                for _ in 0..90 {
                    writer.write(60);
                }
                writer.flush("a");
                writer.merge("a");
                writer.drop_family("b");
                writer.create("b");
                writer.write(60);
                let rule = Rule { call: None, path_part: None, skip: at, sticky, effect: Effect::Error(effect) };
                faulty.add(rule);
                let outcome = reader.refresh();
                let hit = faulty.hits() > 0;
                faulty.clear();
                let what = format!("errno {effect}, call {at}, sticky {sticky}");
                match &outcome {
                    Ok(refreshed) => assert_eq!(refreshed.sequence, writer.db().stats().sequence, "{what}"),
                    Err(error) => {
                        failed += 1;
                        assert!(hit, "{what}: {error}");
                        assert_same(&seen(&reader, None), &before, &format!("{what}: what was seen stays: {error}"));
                    }
                }
                refresh_and_compare(&reader, &writer, &what);
                held.check(&reader);
                if !hit {
                    taken = taken.max(at);
                    break;
                }
            }
        }
    }
    println!("each of {taken} calls failed, in {failed} cases the refresh with it");
    assert!(failed > 20 && taken > 10);
}
