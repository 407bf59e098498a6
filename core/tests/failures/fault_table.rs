//! A walk over the engine's table of what a failing call means, `consequence::TABLE`.
//!
//! A script uses every kind of file, beside an open database. Each kind of call to each kind of file fails in it, once and from then on,
//! at several of its places: the worst that this does to the database must be what the table says, and what that word promises must hold.
//! A call that the script makes and the table does not know is an error, and so is a line that the script never reaches. Calls that are
//! made only after another one failed fail together with that one.
#![cfg(feature = "parquet")]

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use sstore::consequence::FileKind::{Current, Directory, Events, Family, Log, Manifest, Table};
use sstore::consequence::{Consequence, Fault, FileKind, TABLE};
use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::{Call, Env};
use sstore::{
    CloseOptions, Db, Durability, ErrorKind, EventKind, KeyOptions, Options, ReadOptions, Result, WriteOptions,
};
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What the paths of a kind begin with. That of the directory itself is the beginning of all: there, for good means everywhere.
const PARTS: [(&str, FileKind); 7] = [
    ("/db/wal", Log),
    ("/db/MANIFEST", Manifest),
    ("/db/CURRENT", Current),
    ("/db/cf", Family),
    ("/db/table", Table),
    ("/db/EVENTS", Events),
    ("/db", Directory),
];

fn kind_of(path: &Path) -> FileKind {
    let path = path.to_string_lossy();
    PARTS.iter().find(|(part, _)| path.starts_with(part)).expect("all is in the database").1
}

fn part_of(kind: FileKind) -> &'static str {
    PARTS.iter().find(|(_, other)| *other == kind).expect("each kind has one").0
}

/// Long, so that the manifest, which names the least and the greatest of each file, is soon written anew.
fn key(number: u64) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[0; 500]].concat()
}

struct World {
    memory: Arc<MemFileSystem>,
    faults: Arc<FaultFileSystem>,
    runtime: Arc<SeededRuntime>,
    options: Options,
    db: Db,
    /// How many verbs failed, and how often a background error was told.
    told: Arc<AtomicU64>,
    /// The keys that were acknowledged.
    acknowledged: Vec<u64>,
    next: u64,
}

impl World {
    fn new(backend: &str) -> Self {
        let told: Arc<AtomicU64> = Arc::default();
        let set = [
            ("write_buffer_bytes", "16KiB"),
            ("wal_segment_bytes", "64KiB"),
            ("manifest_bytes", "4KiB"),
            ("wal_backend", backend),
        ];
        let mut options = set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
        let count = told.clone();
        options.set_listener(Arc::new(move |event| {
            count.fetch_add(u64::from(event.kind == EventKind::BackgroundError), Ordering::Relaxed);
        }));
        let memory = MemFileSystem::new();
        let faults = FaultFileSystem::new(memory.clone(), Vec::new());
        let runtime = SeededRuntime::new(5);
        let env = Env { files: faults.clone(), runtime: runtime.clone() };
        let db = Db::open_in(env, Path::new("/db"), &options).unwrap();
        Self { memory, faults, runtime, options, db, told, acknowledged: Vec::new(), next: 0 }
    }

    fn note<T>(&self, result: Result<T>) -> Option<T> {
        self.told.fetch_add(u64::from(result.is_err()), Ordering::Relaxed);
        result.ok()
    }

    fn put(&mut self, sync: bool) {
        self.next += 1;
        let durability = Some(if sync { Durability::Sync } else { Durability::Buffered });
        let options = WriteOptions { durability, no_stall: false };
        let put = self.db.put(&self.db.default_family(), &key(self.next), &[7; 1000], &options);
        if self.note(put).is_some() {
            self.acknowledged.push(self.next);
        }
    }

    fn flush(&self) {
        self.note(self.db.flush(&[]).and_then(|token| token.wait(None)));
        self.runtime.run_until_idle();
    }

    /// Everything that an open database does with files, each thing more than once.
    fn script(&mut self) {
        for round in 0..2_i64 {
            for index in 0..40 {
                self.put(index % 20 == 3);
                if index % 5 == 0 {
                    self.runtime.run_some();
                }
            }
            self.flush();
            if let Some(guest) = self.note(self.db.create_column_family("guest", &self.options)) {
                self.note(self.db.put(&guest, b"k", b"v", &WriteOptions::default()));
                self.flush();
                self.note(self.db.drop_column_family(&guest));
            } else if let Ok(guest) = self.db.column_family("guest") {
                self.note(self.db.drop_column_family(&guest));
            }
            for format in ["parquet", "arrow"] {
                // Not Zstd, for the time that its contexts take: docs/testing.md.
                let options =
                    self.options.clone().with("compression", "lz4").unwrap().with("table_format", format).unwrap();
                let columns = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
                let made = match self.db.table(format) {
                    Ok(table) => Ok(table),
                    Err(_) => self.db.create_table(format, &columns, &["id"], &KeyOptions::default(), &options),
                };
                let Some(table) = self.note(made) else { continue };
                let ids: ArrayRef = Arc::new(Int64Array::from(vec![round]));
                let rows = RecordBatch::try_from_iter([("id", ids)]).unwrap();
                self.note(self.db.append(&table, &rows, &WriteOptions::default()));
                self.flush();
                self.note(self.db.compact_table(&table));
            }
            self.note(self.db.compact(&self.db.default_family()));
            self.runtime.run_until_idle();
            for key in [1, self.next] {
                let read = self.db.get(&self.db.default_family(), &self::key(key), &ReadOptions::default());
                self.note(read);
            }
        }
    }

    fn state(&mut self) -> Consequence {
        self.put(true);
        let put = self.db.put(&self.db.default_family(), b"last", b"", &WriteOptions::default());
        match put {
            Err(error) if error.kind() == ErrorKind::Poisoned => Consequence::Poisoned,
            _ if self.told.load(Ordering::Relaxed) > 0 => Consequence::Resumable,
            _ => Consequence::Ok,
        }
    }

    fn all_is_there(&self, db: &Db) {
        for key in &self.acknowledged {
            let found = db.contains(&db.default_family(), &self::key(*key), &ReadOptions::default());
            assert!(matches!(found, Ok(true)), "write {key} was acknowledged: {found:?}");
        }
    }

    /// What the word promises holds once the cause is gone.
    fn promise_holds(mut self, state: Consequence) {
        self.faults.clear();
        self.all_is_there(&self.db);
        if state == Consequence::Poisoned {
            assert!(self.db.background_error().is_some(), "nobody is told why writes are refused");
        } else {
            self.db.resume().unwrap_or_else(|error| panic!("it does not go on: {error}"));
            self.runtime.run_until_idle();
            let error = self.db.background_error();
            assert!(error.is_none(), "it went on, and still says {error:?}");
            let told = self.told.load(Ordering::Relaxed);
            self.put(true);
            self.flush();
            assert_eq!(self.told.load(Ordering::Relaxed), told, "it went on, and fails again");
        }
        let _ = self.db.close(&CloseOptions::default());
        let env = Env { files: self.memory.clone(), runtime: SeededRuntime::new(6) };
        let db = Db::open_in(env, Path::new("/db"), &self.options)
            .unwrap_or_else(|error| panic!("it does not open: {error}"));
        self.all_is_there(&db);
        db.verify().unwrap_or_else(|error| panic!("{error}"));
        db.close(&CloseOptions::default()).unwrap();
    }
}

/// Faults that last stand for those where what is done instead fails too.
fn lasts(fault: Fault) -> bool {
    matches!(fault, Fault::FailedAgain | Fault::NoSpaceAgain)
}

fn effect(call: Call, fault: Fault) -> Effect {
    match fault {
        // Where descriptors are made they run out.
        Fault::Failed | Fault::FailedAgain if matches!(call, Call::Open | Call::Create | Call::List) => {
            Effect::Error(libc::EMFILE)
        }
        Fault::Failed | Fault::FailedAgain => Effect::Error(libc::EIO),
        Fault::NoSpace | Fault::NoSpaceAgain if call == Call::Write => Effect::ShortWrite(9, libc::ENOSPC),
        Fault::NoSpace | Fault::NoSpaceAgain => Effect::Error(libc::ENOSPC),
        Fault::Unknown => Effect::AppliedButError(libc::EIO),
    }
}

/// At most so many places of a call are tried: all of them are in `faults.rs`.
const PLACES: usize = 12;

/// A call that is to fail.
#[derive(Debug)]
struct Case {
    backend: &'static str,
    kind: FileKind,
    call: Call,
    /// Which of all calls of this kind, to whatever file; or, of a fault that lasts, of those to this kind of file.
    place: u64,
    fault: Fault,
    /// A call to the same kind of file that fails once before.
    before: Option<Call>,
}

/// Calls that are made only after another one failed.
const AFTER: [(&str, FileKind, Call, Call); 2] =
    [("write", Log, Call::Write, Call::SetLen), ("write", Log, Call::Write, Call::Len)];

fn cases(backend: &'static str) -> Vec<Case> {
    let mut calm = World::new(backend);
    calm.faults.record_calls();
    calm.script();
    // The rules count from the opening on.
    let calls = calm.faults.take_calls();
    assert_eq!(calm.state(), Consequence::Ok, "without faults");
    let mut places: BTreeMap<(FileKind, Call), Vec<u64>> = BTreeMap::new();
    let mut counts: BTreeMap<Call, u64> = BTreeMap::new();
    for (call, path) in calls {
        let place = counts.entry(call).or_default();
        places.entry((kind_of(&path), call)).or_default().push(*place);
        *place += 1;
    }
    let mut cases = Vec::new();
    for ((kind, call), places) in places {
        // A store into a mapping cannot fail.
        if call == Call::Store {
            continue;
        }
        // Odd, so that of two calls that always come one after the other both are tried.
        let stride = places.len().div_ceil(PLACES) | 1;
        for (of_kind, &of_all) in places.iter().enumerate().step_by(stride) {
            for fault in Fault::ALL {
                let place = if lasts(fault) { of_kind as u64 } else { of_all };
                cases.push(Case { backend, kind, call, place, fault, before: None });
            }
        }
    }
    for (_, kind, before, call) in AFTER.into_iter().filter(|after| after.0 == backend) {
        let case = |fault| Case { backend, kind, call, place: 0, fault, before: Some(before) };
        cases.extend(Fault::ALL.map(case));
    }
    cases
}

/// Runs the script under the fault; the state that it left, whose promise was found to hold.
fn run(case: &Case) -> Consequence {
    let mut world = World::new(case.backend);
    let part = part_of(case.kind);
    if let Some(before) = case.before {
        world.faults.add(Rule::once(before, Effect::Error(libc::EIO)).on(part));
    }
    let sticky = lasts(case.fault);
    let path_part = (sticky || case.before.is_some()).then(|| part.to_owned());
    let effect = effect(case.call, case.fault);
    world.faults.add(Rule { call: Some(case.call), path_part, skip: case.place, sticky, effect });
    world.script();
    assert!(world.faults.hits() > u64::from(case.before.is_some()), "not reached");
    let state = world.state();
    world.promise_holds(state);
    state
}

/// The worst that each fault did, in the order of `Fault::ALL`.
type Found = BTreeMap<(FileKind, Call), [Consequence; Fault::ALL.len()]>;

const CALM: [Consequence; Fault::ALL.len()] = [Consequence::Ok; Fault::ALL.len()];

#[test]
fn the_table_says_what_each_failing_call_means() {
    let cases: Vec<Case> = ["write", "mapped"].into_iter().flat_map(cases).collect();
    let found: Mutex<Found> = Mutex::default();
    let wrong: Mutex<Vec<String>> = Mutex::default();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match catch_unwind(|| run(case)) {
                        Ok(state) => {
                            let at = Fault::ALL.iter().position(|fault| *fault == case.fault).unwrap();
                            let mut found = found.lock().unwrap();
                            let worst = &mut found.entry((case.kind, case.call)).or_insert(CALM)[at];
                            *worst = state.max(*worst);
                        }
                        Err(_) => wrong.lock().unwrap().push(format!("see above: {case:?}")),
                    }
                }
            });
        }
    });
    let (found, mut wrong) = (found.into_inner().unwrap(), wrong.into_inner().unwrap());
    for (&(kind, call), states) in &found {
        let line = TABLE.iter().find(|line| (line.0, line.1) == (kind, call));
        if line.is_none_or(|line| line.2 != *states) {
            let states = format!("{states:?}").replace("Ok", "Fine");
            wrong.push(format!("({kind:?}, Call::{call:?}, {states}),"));
        }
    }
    for (kind, call, _) in TABLE.iter().filter(|line| !found.contains_key(&(line.0, line.1))) {
        wrong.push(format!("the script never reaches {kind:?} {call:?}"));
    }
    println!("{} kinds of calls, {} runs", found.len(), cases.len());
    assert!(wrong.is_empty(), "the table differs:\n{}", wrong.join("\n"));
}
