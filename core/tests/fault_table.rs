//! What a failing call means for the callers, by the kind of file and of call: the table of it, and a walk over the table.
//!
//! A script uses every kind of file, beside an open database. Each kind of call to each kind of file fails in it, once and from then on,
//! at several of its places: the worst that this does to the database must be what the table says, and what that word promises must hold.
//! A call that the script makes and the table does not know is an error, and so is a line that the script never reaches.
#![cfg(feature = "parquet")]

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::{Call, Env};
use sstore::{
    CloseOptions, Db, Durability, ErrorKind, EventKind, KeyOptions, Options, ReadOptions, Result, WriteOptions,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a file is for. Its directory counts as it: the call tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Log,
    Manifest,
    Current,
    Family,
    Table,
    /// The directory of the database.
    Directory,
    Events,
}

use Kind::{Current, Directory, Events, Family, Log, Manifest, Table};

/// What becomes of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Nobody need know: it was done in another way, again, or will be at the next opening.
    Ok,
    /// A call failed, or a job in the background: the error says so, and it goes on once the cause is gone, without being opened again.
    Resumable,
    /// The outcome of something is unknown: only reads go on until the database is opened again.
    Poisoned,
}

use State::{Ok as Fine, Poisoned, Resumable};

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// It does nothing, with EIO.
    Fails,
    /// It does nothing, or a few bytes of a write, with ENOSPC.
    NoSpace,
    /// It does its work and says EIO.
    Done,
}

const FAULTS: [Fault; 3] = [Fault::Fails, Fault::NoSpace, Fault::Done];

/// Kind of file, call, and what it comes to when it fails once: with EIO, with ENOSPC, and although it was done; then the same when it
/// goes on failing.
type Line = (Kind, Call, [State; 3], [State; 3]);

const TABLE: &[Line] = &[];

fn kind_of(path: &Path) -> Kind {
    let path = path.to_string_lossy();
    let kinds = [
        ("/db/wal", Log),
        ("/db/MANIFEST", Manifest),
        ("/db/CURRENT", Current),
        ("/db/cf", Family),
        ("/db/table", Table),
        ("/db/EVENTS", Events),
    ];
    kinds.iter().find(|(part, _)| path.starts_with(part)).map_or(Directory, |(_, kind)| *kind)
}

/// Calls that cannot fail, or that nobody makes beside an open database.
fn may_fail(call: Call) -> bool {
    !matches!(call, Call::Store)
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
        let put = self.db.put(&self.db.default_family(), &self.next.to_be_bytes(), &[7; 300], &options);
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
        for round in 0..3_i64 {
            for index in 0..70 {
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
                let options = self.options.clone().with("table_format", format).unwrap();
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
                let read = self.db.get(&self.db.default_family(), &u64::to_be_bytes(key), &ReadOptions::default());
                self.note(read);
            }
        }
    }

    fn state(&mut self) -> State {
        self.put(true);
        let put = self.db.put(&self.db.default_family(), b"last", b"", &WriteOptions::default());
        match put {
            Err(error) if error.kind() == ErrorKind::Poisoned => Poisoned,
            _ if self.told.load(Ordering::Relaxed) > 0 => Resumable,
            _ => Fine,
        }
    }

    fn all_is_there(&self, db: &Db, when: &str) {
        for key in &self.acknowledged {
            let found = db.contains(&db.default_family(), &key.to_be_bytes(), &ReadOptions::default());
            assert!(matches!(found, Ok(true)), "{when}: write {key} was acknowledged: {found:?}");
        }
    }

    /// What the word promises holds once the cause is gone.
    fn promise_holds(mut self, state: State, what: &str) {
        self.faults.clear();
        self.all_is_there(&self.db, what);
        if state == Poisoned {
            assert!(self.db.background_error().is_some(), "{what}: nobody is told why writes are refused");
        } else {
            self.db.resume().unwrap_or_else(|error| panic!("{what}: it does not go on: {error}"));
            self.runtime.run_until_idle();
            let error = self.db.background_error();
            assert!(error.is_none(), "{what}: it went on, and still says {error:?}");
            let told = self.told.load(Ordering::Relaxed);
            self.put(true);
            self.flush();
            assert_eq!(self.told.load(Ordering::Relaxed), told, "{what}: it went on, and fails again");
        }
        let _ = self.db.close(&CloseOptions::default());
        let env = Env { files: self.memory.clone(), runtime: SeededRuntime::new(6) };
        let db = Db::open_in(env, Path::new("/db"), &self.options).unwrap_or_else(|error| panic!("{what}: {error}"));
        self.all_is_there(&db, what);
        db.verify().unwrap_or_else(|error| panic!("{what}: {error}"));
        db.close(&CloseOptions::default()).unwrap();
    }
}

fn effect(call: Call, fault: Fault) -> Effect {
    match fault {
        Fault::Fails => Effect::Error(libc::EIO),
        Fault::NoSpace if call == Call::Write => Effect::ShortWrite(9, libc::ENOSPC),
        Fault::NoSpace => Effect::Error(libc::ENOSPC),
        Fault::Done => Effect::AppliedButError(libc::EIO),
    }
}

/// At most so many places of a call are tried: all of them are in `faults.rs`.
const PLACES: usize = 5;

type Found = BTreeMap<(Kind, Call), [[State; 3]; 2]>;

fn walk(backend: &str, found: &mut Found) {
    let mut calm = World::new(backend);
    calm.faults.record_calls();
    calm.script();
    assert_eq!(calm.state(), Fine, "without faults");
    // Of each call to each kind of file: its places among all calls of the kind, and among those to such files.
    let mut places: BTreeMap<(Kind, Call), Vec<usize>> = BTreeMap::new();
    let mut counts: BTreeMap<Call, usize> = BTreeMap::new();
    for (call, path) in calm.faults.take_calls() {
        let count = counts.entry(call).or_default();
        if may_fail(call) {
            places.entry((kind_of(&path), call)).or_default().push(*count);
        }
        *count += 1;
    }
    for ((kind, call), places) in places {
        let step = places.len().div_ceil(PLACES);
        let worst = found.entry((kind, call)).or_insert([[Fine; 3]; 2]);
        for place in places.into_iter().step_by(step) {
            for (at, fault) in FAULTS.into_iter().enumerate() {
                for sticky in [false, true] {
                    let what = format!("{backend} log, {kind:?} {call:?} {fault:?}, place {place}, sticky: {sticky}");
                    let mut world = World::new(backend);
                    let rule = Rule {
                        call: Some(call),
                        path_part: None,
                        skip: place as u64,
                        sticky,
                        effect: effect(call, fault),
                    };
                    world.faults.add(rule);
                    world.script();
                    assert!(world.faults.hits() > 0, "{what}: not reached");
                    let state = world.state();
                    let entry = &mut worst[usize::from(sticky)][at];
                    *entry = state.max(*entry);
                    world.promise_holds(state, &what);
                }
            }
        }
    }
}

#[test]
fn the_table_says_what_each_failing_call_means() {
    let mut found = Found::new();
    for backend in ["write", "mapped"] {
        walk(backend, &mut found);
    }
    let mut wrong = Vec::new();
    for (&(kind, call), states) in &found {
        let line = TABLE.iter().find(|line| (line.0, line.1) == (kind, call));
        let said = line.map(|line| [line.2, line.3]);
        if said != Some(*states) {
            wrong.push(format!("    ({kind:?}, Call::{call:?}, {:?}, {:?}),", states[0], states[1]));
        }
    }
    for (kind, call, ..) in TABLE {
        if !found.contains_key(&(*kind, *call)) {
            wrong.push(format!("never reached: {kind:?} {call:?}"));
        }
    }
    assert!(wrong.is_empty(), "the table differs:\n{}", wrong.join("\n"));
}
