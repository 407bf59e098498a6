//! Every call to the file system fails once, or from then on, while a script of writes, flushes, merges, families and reopens runs.
//!
//! For each kind of call and each index of it in the script, with EIO and with ENOSPC: nothing panics or hangs; the error surfaces
//! (from a verb, as a background error, or in an event) unless the call was one that may fail in silence; a refused write is not
//! there; and a clean opening afterwards holds every acknowledged write, in order, batches whole. After a power cut instead, every
//! synced one. Of kinds with more than 60 calls every second to fourth is failed; `SSTORE_FAULT_INDICES=1000` fails each.

use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::{AllKept, AllLost};
use sstore::env::{Call, Env, FileSystem};
use sstore::{
    CloseOptions, Db, Durability, Error, ErrorKind, EventKind, IterOptions, Options, ReadOptions, WriteBatch,
    WriteOptions,
};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const DIRECTORY: &str = "/db";
/// More steps of background tasks than this are a hang. The script itself takes a few hundred.
const STEPS_MAX: u64 = 20_000;
const VALUE_BYTES: usize = 300;

/// What became of one write, as far as its caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Buffered,
    Synced,
    /// Refused with the promise that it was not made.
    Undone,
    /// It failed and may be there or not.
    Unknown,
}

/// One run of the script.
struct Run {
    files: Arc<dyn FileSystem>,
    runtime: Arc<SeededRuntime>,
    options: Options,
    db: Option<Db>,
    /// By number of the write: one batch over both families each.
    writes: Vec<Fate>,
    errors: Vec<Error>,
    background_errors: Arc<AtomicU64>,
    seed: u64,
    /// Whether the family that comes and goes must be there; `None`: its last change failed.
    guest: Option<bool>,
}

fn options(backend: &str, background_errors: &Arc<AtomicU64>) -> Options {
    let set = [
        ("write_buffer_bytes", "16KiB"),
        ("wal_segment_bytes", "64KiB"),
        ("memory_budget_bytes", "1MiB"),
        ("block_bytes", "512"),
        ("manifest_bytes", "4KiB"),
        ("wal_backend", backend),
    ];
    let mut options = set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
    let count = background_errors.clone();
    options.set_listener(Arc::new(move |event| {
        if event.kind == EventKind::BackgroundError {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }));
    options
}

fn key(number: usize) -> Vec<u8> {
    format!("w{number:04}").into_bytes()
}

impl Run {
    fn new(files: Arc<dyn FileSystem>, backend: &str) -> Self {
        let background_errors = Arc::default();
        let options = options(backend, &background_errors);
        let runtime = SeededRuntime::new(1);
        Self {
            files,
            runtime,
            options,
            db: None,
            writes: Vec::new(),
            errors: Vec::new(),
            background_errors,
            seed: 1,
            guest: Some(false),
        }
    }

    fn note<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }

    /// Opens, if it is not open; an opening that fails is tried once more, as an application would.
    fn open(&mut self) {
        for _ in 0..2 {
            if self.db.is_some() {
                return;
            }
            self.check_steps();
            self.seed += 1;
            self.runtime = SeededRuntime::new(self.seed);
            let env = Env { files: self.files.clone(), runtime: self.runtime.clone() };
            let opened = Db::open_in(env, Path::new(DIRECTORY), &self.options);
            self.db = self.note(opened);
            if let Some(db) = &self.db
                && db.column_family("other").is_err()
            {
                let made = db.create_column_family("other", &self.options);
                self.note(made);
            }
        }
    }

    fn check_steps(&self) {
        assert!(self.runtime.step_count() < STEPS_MAX, "background tasks never rest");
    }

    fn close(&mut self, flush: bool) {
        let Some(db) = self.db.take() else { return };
        let closed = db.close(&CloseOptions { flush: Some(flush), ..CloseOptions::default() });
        self.note(closed);
        assert!(db.is_closed());
    }

    fn write(&mut self, durability: Durability) {
        let Some(db) = self.db.clone() else { return };
        let Some(other) = self.note(db.column_family("other")) else { return };
        let number = self.writes.len();
        let mut batch = WriteBatch::new();
        for family in [&db.default_family(), &other] {
            batch.put(family.id(), &key(number), &[number as u8; VALUE_BYTES]).unwrap();
        }
        let written = db.write(&batch, &WriteOptions { durability: Some(durability), no_stall: false });
        let fate = match &written {
            Ok(_) if durability == Durability::Sync => Fate::Synced,
            Ok(_) => Fate::Buffered,
            Err(error)
                if matches!(error.kind(), ErrorKind::NoSpace | ErrorKind::Io) && durability == Durability::Buffered =>
            {
                Fate::Undone
            }
            Err(_) => Fate::Unknown,
        };
        self.writes.push(fate);
        self.note(written);
    }

    fn burst(&mut self, count: usize, sync_every: usize) {
        for index in 1..=count {
            let sync = index % sync_every == 0;
            self.write(if sync { Durability::Sync } else { Durability::Buffered });
            if index % 5 == 0 {
                self.runtime.run_some();
            }
        }
    }

    fn flush(&mut self) {
        let Some(db) = self.db.clone() else { return };
        let flushed = db.flush(&[]).and_then(|token| token.wait(None));
        self.note(flushed);
    }

    fn merge(&mut self) {
        let Some(db) = self.db.clone() else { return };
        let merged = db.compact(&db.default_family());
        self.note(merged);
    }

    fn guest(&mut self, create: bool) {
        let Some(db) = self.db.clone() else { return };
        if create {
            let made = db.create_column_family("guest", &self.options);
            self.guest = made.is_ok().then_some(true);
            if let Some(family) = self.note(made) {
                let written = db.put(&family, b"k", &[1; VALUE_BYTES], &WriteOptions::default());
                self.note(written);
            }
        } else {
            let Ok(family) = db.column_family("guest") else { return };
            let dropped = db.drop_column_family(&family);
            self.guest = dropped.is_ok().then_some(false);
            self.note(dropped);
        }
    }

    fn script(&mut self) {
        self.open();
        self.burst(6, 3);
        self.flush();
        self.guest(true);
        self.burst(40, 9);
        self.flush();
        self.merge();
        self.runtime.run_until_idle();
        self.close(false);
        self.open();
        self.burst(5, 2);
        self.guest(false);
        self.flush();
        self.read_back();
        self.burst(30, 11);
        self.close(true);
        self.open();
        self.read_back();
        self.burst(3, 2);
    }

    /// Every family in full. An error is fine, a wrong answer is not.
    fn read_back(&mut self) {
        let Some(db) = self.db.clone() else { return };
        match contents(&db) {
            Ok(found) => check(&found, &self.writes, Fate::Buffered, "while it runs"),
            Err(error) => self.errors.push(error),
        }
    }

    fn surfaced(&self) -> bool {
        !self.errors.is_empty() || self.background_errors.load(Ordering::Relaxed) > 0
    }
}

/// The numbers of the writes found; both families must agree.
fn contents(db: &Db) -> Result<BTreeSet<usize>, Error> {
    let mut found: Vec<BTreeSet<usize>> = Vec::new();
    for name in ["default", "other"] {
        let Ok(family) = db.column_family(name) else { continue };
        let mut numbers = BTreeSet::new();
        let mut iterator = db.iterator(&family, IterOptions::default())?;
        let mut valid = iterator.seek_to_first()?;
        while valid {
            let number: usize = std::str::from_utf8(&iterator.key()[1..]).unwrap().parse().unwrap();
            assert_eq!(iterator.value(), [number as u8; VALUE_BYTES]);
            assert!(db.get(&family, iterator.key(), &ReadOptions::default())?.is_some(), "get and iterator agree");
            numbers.insert(number);
            valid = iterator.next()?;
        }
        found.push(numbers);
    }
    let first = found.first().cloned().unwrap_or_default();
    if found.len() == 2 {
        assert_eq!(found[0], found[1], "batches are whole");
    } else {
        assert!(first.is_empty(), "a family is missing");
    }
    Ok(first)
}

/// `least`: what kind of acknowledgement must hold.
fn check(found: &BTreeSet<usize>, writes: &[Fate], least: Fate, when: &str) {
    let last_promised = match least {
        Fate::Synced => writes.iter().rposition(|fate| *fate == Fate::Synced),
        _ => writes.iter().rposition(|fate| matches!(fate, Fate::Synced | Fate::Buffered)),
    };
    let last_found = found.last().copied();
    for (number, fate) in writes.iter().enumerate() {
        let promised = last_promised.is_some_and(|last| number <= last);
        let prefix = last_found.is_some_and(|last| number <= last);
        match fate {
            Fate::Buffered | Fate::Synced => {
                assert!(!promised || found.contains(&number), "{when}: acknowledged write {number} is lost ({fate:?})");
                assert!(!prefix || found.contains(&number), "{when}: a hole at write {number} before {last_found:?}");
            }
            Fate::Undone => assert!(!found.contains(&number), "{when}: write {number} was refused and is there"),
            Fate::Unknown => {}
        }
    }
    assert!(last_found.is_none_or(|last| last < writes.len()));
}

/// Opens without faults: must succeed, hold what was promised, and take writes.
fn reopen(run: &Run, files: Arc<MemFileSystem>, least: Fate, when: &str) {
    let runtime = SeededRuntime::new(99);
    let env = Env { files, runtime: runtime.clone() };
    let db = Db::open_in(env, Path::new(DIRECTORY), &run.options)
        .unwrap_or_else(|error| panic!("{when}: does not open: {error}"));
    let found = contents(&db).unwrap_or_else(|error| panic!("{when}: does not read: {error}"));
    check(&found, &run.writes, least, when);
    if let Some(expected) = run.guest {
        assert_eq!(db.column_family("guest").is_ok(), expected, "{when}: the family that comes and goes");
    }
    let sync = WriteOptions { durability: Some(Durability::Sync), no_stall: false };
    db.put(&db.default_family(), b"w9999", &[9999_usize as u8; VALUE_BYTES], &sync).unwrap();
    db.flush(&[]).unwrap().wait(None).unwrap();
    runtime.run_until_idle();
    db.verify().unwrap();
    assert!(runtime.step_count() < STEPS_MAX);
    db.close(&CloseOptions::default()).unwrap();
}

const CALLS: [Call; 16] = [
    Call::Open,
    Call::Create,
    Call::Len,
    Call::CreateDir,
    Call::List,
    Call::Rename,
    Call::Remove,
    Call::RemoveDir,
    Call::SyncDir,
    Call::Lock,
    Call::Read,
    Call::Write,
    Call::SetLen,
    Call::Allocate,
    Call::SyncData,
    Call::Map,
];

#[derive(Debug, Clone)]
struct Case {
    call: Call,
    index: u64,
    sticky: bool,
    effect: Effect,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    runs: u64,
    hit: u64,
    surfaced: u64,
    silent: u64,
    refused_writes: u64,
}

/// What may fail without anybody being told: what is repeated, done another way, or only tidies up.
fn may_be_silent(call: Call) -> bool {
    !matches!(call, Call::Lock | Call::Rename | Call::CreateDir)
}

/// Whether all that failed was about EVENTS.jsonl, which may lose lines.
fn hit_events_alone(case: &Case, faults: &FaultFileSystem) -> bool {
    let calls = faults.take_calls();
    let hit = calls.iter().filter(|(call, _)| *call == case.call).skip(case.index as usize);
    hit.take(if case.sticky { usize::MAX } else { 1 }).all(|(_, path)| path.starts_with("/db/EVENTS.jsonl"))
}

fn run_case(case: &Case, backend: &str, counts: &mut Counts) {
    let memory = MemFileSystem::new();
    let rule =
        Rule { call: Some(case.call), path_part: None, skip: case.index, sticky: case.sticky, effect: case.effect };
    let faults = FaultFileSystem::new(memory.clone(), vec![rule]);
    faults.record_calls();
    let mut run = Run::new(faults.clone(), backend);
    run.script();
    run.check_steps();
    counts.runs += 1;
    counts.hit += u64::from(faults.hits() > 0);
    counts.refused_writes +=
        run.writes.iter().filter(|fate| matches!(fate, Fate::Undone | Fate::Unknown)).count() as u64;
    if run.surfaced() {
        counts.surfaced += 1;
    } else if faults.hits() > 0 {
        counts.silent += 1;
        assert!(may_be_silent(case.call) || hit_events_alone(case, &faults), "nobody was told of the failure");
    }
    for error in &run.errors {
        // Poisoned and Closed follow from an injected error; nothing is made up.
        let injected = error.message().contains("injected") || error.os_code().is_some();
        let follows = matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Closed | ErrorKind::NotFound);
        assert!(injected || follows, "an error that is not the injected one: {error:?}");
    }
    let cut = memory.crash_clone(&mut AllLost);
    let killed = memory.crash_clone(&mut AllKept);
    faults.clear();
    // What is open goes on reading.
    if let Some(db) = run.db.clone() {
        let found = contents(&db).unwrap_or_else(|error| panic!("after the faults: {error}"));
        check(&found, &run.writes, Fate::Buffered, "after the faults");
    }
    reopen(&run, killed, Fate::Buffered, "after a kill");
    reopen(&run, cut, Fate::Synced, "after a power cut");
    run.close(true);
    reopen(&run, memory, Fate::Buffered, "after a close");
}

fn every_call_fails(backend: &'static str) {
    let memory = MemFileSystem::new();
    let faults = FaultFileSystem::new(memory.clone(), Vec::new());
    let mut calm = Run::new(faults.clone(), backend);
    calm.script();
    assert!(calm.errors.is_empty(), "without faults: {:?}", calm.errors);
    let stats = calm.db.as_ref().unwrap().stats();
    assert!(stats.files >= 2, "{stats:?}");
    let calls = CALLS.map(|call| (call, faults.count(call)));
    calm.close(true);
    reopen(&calm, memory, Fate::Buffered, "without faults");

    let budget: u64 = std::env::var("SSTORE_FAULT_INDICES").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let mut cases = Vec::new();
    for (call, count) in calls {
        let stride = count.div_ceil(budget).max(1);
        println!("{backend}: {call:?}: {count} calls, every {stride}. of them fails");
        for index in (0..count).step_by(stride as usize) {
            for sticky in [false, true] {
                for code in [libc::EIO, libc::ENOSPC] {
                    cases.push(Case { call, index, sticky, effect: Effect::Error(code) });
                }
            }
            match call {
                Call::Write => {
                    cases.push(Case { call, index, sticky: false, effect: Effect::ShortWrite(9, libc::ENOSPC) });
                    cases.push(Case { call, index, sticky: false, effect: Effect::AppliedButError(libc::EIO) });
                }
                Call::SyncData | Call::Rename | Call::SyncDir => {
                    cases.push(Case { call, index, sticky: false, effect: Effect::AppliedButError(libc::EIO) });
                }
                _ => {}
            }
        }
    }
    let totals: Mutex<BTreeMap<Call, Counts>> = Mutex::default();
    let wrong: Mutex<Vec<String>> = Mutex::default();
    let next = AtomicUsize::new(0);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut counts = Counts::default();
                    let result = catch_unwind(AssertUnwindSafe(|| run_case(case, backend, &mut counts)));
                    if let Err(panic) = result {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                        wrong.lock().unwrap().push(format!("{case:?}: {}", text.unwrap_or_default()));
                    }
                    let mut totals = totals.lock().unwrap();
                    let total = totals.entry(case.call).or_default();
                    total.runs += counts.runs;
                    total.hit += counts.hit;
                    total.surfaced += counts.surfaced;
                    total.silent += counts.silent;
                    total.refused_writes += counts.refused_writes;
                }
            });
        }
    });
    std::panic::set_hook(hook);
    for (call, counts) in totals.lock().unwrap().iter() {
        println!("{backend}: {call:?}: {counts:?}");
    }
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    for line in wrong.iter().take(60) {
        println!("  WRONG {line}");
    }
    assert!(wrong.is_empty(), "{} of {} runs went wrong", wrong.len(), cases.len());
    let totals = totals.into_inner().unwrap();
    let refused: u64 = totals.values().map(|counts| counts.refused_writes).sum();
    assert!(refused > 1000 && totals[&Call::SyncData].surfaced > 50 && totals[&Call::Read].surfaced > 0);
    assert!(totals.values().all(|counts| counts.hit == counts.runs), "a rule was never reached: {totals:?}");
}

/// Names that a killed process had not made durable are made so by the next one, before anything relies on them.
#[test]
fn a_kill_anywhere_then_more_work_then_a_power_cut() {
    let memory = MemFileSystem::new();
    memory.record_images();
    let mut run = Run::new(memory.clone(), "write");
    run.open();
    run.write(Durability::Buffered);
    run.flush();
    run.guest(true);
    run.flush();
    run.close(true);
    let images = memory.take_images();
    for recorded in &images {
        let killed = recorded.image.clone();
        let when = format!("killed before call {} ({:?})", recorded.op, recorded.call);
        let mut next = Run::new(killed.clone(), "write");
        next.open();
        let db = next.db.clone().unwrap_or_else(|| panic!("{when}: {:?}", next.errors));
        let family = db.default_family();
        let sync = WriteOptions { durability: Some(Durability::Sync), no_stall: false };
        db.put(&family, b"after", b"kill", &sync).unwrap();
        next.flush();
        assert!(next.errors.is_empty(), "{when}: {:?}", next.errors);
        let cut = killed.crash_clone(&mut AllLost);
        let env = Env { files: cut, runtime: SeededRuntime::new(8) };
        let db = Db::open_in(env, Path::new(DIRECTORY), &next.options)
            .unwrap_or_else(|error| panic!("{when}, then the power cut: {error}"));
        let value = db.get(&db.default_family(), b"after", &ReadOptions::default()).unwrap();
        assert_eq!(value.as_deref(), Some(&b"kill"[..]), "{when}, then the power cut");
    }
    assert!(images.len() > 50);
}

#[test]
fn every_call_fails_with_the_write_log() {
    every_call_fails("write");
}

#[test]
fn every_call_fails_with_the_mapped_log() {
    every_call_fails("mapped");
}
