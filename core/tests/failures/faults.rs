//! Every call to the file system fails once, or from then on, while a script of writes, flushes, merges, families and reopens runs;
//! while one with tables runs; and while a killed database recovers.
//!
//! For each kind of call and each index of it in the script, with EIO and with ENOSPC, with EMFILE where a descriptor is taken, with
//! half a write, and with work that was done although the call failed: nothing panics or hangs; the error surfaces (from a verb,
//! as a background error, or in an event) unless the call was one that may fail in silence; a refused write is not there; and a clean
//! opening afterwards holds every acknowledged write, in order, batches whole. After a power cut instead, every synced one.
//!
//! Each index is failed, and the count is printed; `SSTORE_FAULT_INDICES=60` fails so many of each kind, evenly. EINTR and short
//! reads do not reach the engine: `env::posix` goes on with what is left, as `raw_calls.rs` shows.
#![cfg(feature = "parquet")]

mod run;

use crate::profile;
use crate::silent::silently;
use run::{DIRECTORY, Fate, Run, check, contents, reopen};
use sstore::env::executor::SeededRuntime;
use sstore::env::fault::{Effect, FaultFileSystem, Rule};
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::{AllKept, AllLost, TornLast};
use sstore::env::{Call, Env};
use sstore::{Db, Durability, ErrorKind, ReadOptions, WriteOptions};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

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

/// Whether all that failed may fail in silence: EVENTS.jsonl, which may lose lines; directories that lose their names before they are
/// removed, which is done again at the next opening.
fn hit_what_may_be_lost(case: &Case, faults: &FaultFileSystem) -> bool {
    let calls = faults.take_calls();
    let hit = calls.iter().filter(|(call, _)| *call == case.call).skip(case.index as usize);
    hit.take(if case.sticky { usize::MAX } else { 1 }).all(|(call, path)| {
        let is_removal = *call == Call::Rename && path.extension().is_some_and(|extension| extension == "tmp");
        path.starts_with("/db/EVENTS.jsonl") || is_removal
    })
}

/// The faults of a call that happen once, beside errors.
fn once_only(call: Call) -> &'static [Effect] {
    match call {
        Call::Write => &[Effect::ShortWrite(9, libc::ENOSPC), Effect::AppliedButError(libc::EIO)],
        Call::SyncData
        | Call::SyncDir
        | Call::Rename
        | Call::Create
        | Call::CreateDir
        | Call::SetLen
        | Call::Remove => &[Effect::AppliedButError(libc::EIO)],
        _ => &[],
    }
}

/// The errors of a call, which happen once or from then on.
fn errors(call: Call) -> &'static [i32] {
    match call {
        Call::Open | Call::Create | Call::List | Call::Lock => &[libc::EIO, libc::ENOSPC, libc::EMFILE],
        _ => &[libc::EIO, libc::ENOSPC],
    }
}

/// What is run, from where.
struct Scenario {
    name: &'static str,
    backend: &'static str,
    seed: u64,
    has_tables: bool,
    script: fn(&mut Run),
    /// What a kill or a power cut left, and what is known of the writes in it. `None`: nothing yet.
    left: Option<(Arc<MemFileSystem>, Vec<Fate>, bool)>,
}

impl Scenario {
    fn begin(&self) -> (Arc<MemFileSystem>, Arc<FaultFileSystem>, Run) {
        let memory = match &self.left {
            Some((left, ..)) => left.crash_clone(&mut AllKept),
            None => MemFileSystem::new(),
        };
        let faults = FaultFileSystem::new(memory.clone(), Vec::new());
        let mut run = Run::new(faults.clone(), self.backend, self.seed);
        if self.has_tables {
            run = run.with_tables();
        }
        if let Some((_, writes, guest)) = &self.left {
            run.writes.clone_from(writes);
            run.guest = Some(*guest);
        }
        (memory, faults, run)
    }
}

fn run_case(case: &Case, scenario: &Scenario, counts: &mut Counts) {
    let (memory, faults, mut run) = scenario.begin();
    faults.add(Rule {
        call: Some(case.call),
        path_part: None,
        skip: case.index,
        sticky: case.sticky,
        effect: case.effect,
    });
    faults.record_calls();
    (scenario.script)(&mut run);
    run.check_steps();
    counts.runs += 1;
    counts.hit += u64::from(faults.hits() > 0);
    counts.refused_writes +=
        run.writes.iter().filter(|fate| matches!(fate, Fate::Undone | Fate::Unknown)).count() as u64;
    if run.surfaced() {
        counts.surfaced += 1;
    } else if faults.hits() > 0 {
        counts.silent += 1;
        assert!(may_be_silent(case.call) || hit_what_may_be_lost(case, &faults), "nobody was told of the failure");
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

fn cases(calls: &[(Call, u64)]) -> Vec<Case> {
    let budget = profile::FAULT_INDICES.get().max(1);
    let mut cases = Vec::new();
    for &(call, count) in calls {
        for index in (0..count).step_by(count.div_ceil(budget).max(1) as usize) {
            for &code in errors(call) {
                let effect = Effect::Error(code);
                cases.extend([false, true].map(|sticky| Case { call, index, sticky, effect }));
            }
            cases.extend(once_only(call).iter().map(|&effect| Case { call, index, sticky: false, effect }));
        }
    }
    cases
}

/// Fails every call of a scenario; the counts by kind of call.
fn every_call_fails(scenario: &Scenario) -> BTreeMap<Call, Counts> {
    let (memory, faults, mut calm) = scenario.begin();
    (scenario.script)(&mut calm);
    assert!(calm.errors.is_empty(), "without faults: {:?}", calm.errors);
    let calls = CALLS.map(|call| (call, faults.count(call)));
    calm.close(true);
    reopen(&calm, memory, Fate::Buffered, "without faults");

    let cases = cases(&calls);
    let totals: Mutex<BTreeMap<Call, Counts>> = Mutex::default();
    let wrong: Mutex<Vec<String>> = Mutex::default();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut counts = Counts::default();
                    let result = silently(|| run_case(case, scenario, &mut counts));
                    if let Err(said) = result {
                        wrong.lock().unwrap().push(format!("{case:?}: {said}"));
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
    let totals = totals.into_inner().unwrap();
    let name = format!("{}, {} log, seed {}", scenario.name, scenario.backend, scenario.seed);
    for (call, counts) in &totals {
        let count = calls.iter().find(|(other, _)| other == call).unwrap().1;
        let indices = cases.iter().filter(|case| case.call == *call).map(|case| case.index);
        let failed = indices.collect::<std::collections::BTreeSet<u64>>().len();
        println!("{name}: {call:?}: {failed} of {count} calls failed; {counts:?}");
    }
    let count: u64 = calls.iter().map(|(_, count)| count).sum();
    println!("{name}: {count} calls, {} runs", cases.len());
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    for line in wrong.iter().take(60) {
        println!("  WRONG {line}");
    }
    assert!(wrong.is_empty(), "{} of {} runs went wrong", wrong.len(), cases.len());
    assert!(totals.values().all(|counts| counts.hit == counts.runs), "a rule was never reached: {totals:?}");
    totals
}

fn script_fails(backend: &'static str) {
    for seed in 0..profile::FAULT_SEEDS.get() {
        let scenario = Scenario { name: "script", backend, seed, has_tables: false, script: Run::script, left: None };
        let totals = every_call_fails(&scenario);
        let refused: u64 = totals.values().map(|counts| counts.refused_writes).sum();
        assert!(refused > 1000 && totals[&Call::SyncData].surfaced > 50 && totals[&Call::Read].surfaced > 0);
    }
}

/// What is left of a database that was killed, or whose machine lost power while its last write was on the way.
fn recovery_fails(backend: &'static str) {
    for seed in 0..profile::FAULT_SEEDS.get() {
        let memory = MemFileSystem::new();
        let mut killed = Run::new(memory.clone(), backend, seed);
        killed.script_before_a_kill();
        assert!(killed.errors.is_empty(), "{:?}", killed.errors);
        for (name, left) in [
            ("recovery after a kill", memory.crash_clone(&mut AllKept)),
            ("recovery after a power cut", memory.crash_clone(&mut TornLast(7))),
        ] {
            // What an opening without faults finds is what every opening must find: a fault is not the end of the log.
            let mut calm = Run::new(left.crash_clone(&mut AllKept), backend, seed);
            calm.open();
            let found = contents(calm.db.as_ref().unwrap()).unwrap();
            check(&found, &killed.writes, Fate::Synced, name);
            let fate = |(number, fate): (usize, &Fate)| if found.contains(&number) { *fate } else { Fate::Undone };
            let writes: Vec<Fate> = killed.writes.iter().enumerate().map(fate).collect();
            let guest = calm.db.as_ref().unwrap().column_family("guest").is_ok();
            drop(calm);
            let left = Some((left, writes, guest));
            every_call_fails(&Scenario {
                name,
                backend,
                seed,
                has_tables: false,
                script: Run::script_of_recovery,
                left,
            });
        }
    }
}

/// Names that a killed process had not made durable are made so by the next one, before anything relies on them.
#[test]
fn a_kill_anywhere_then_more_work_then_a_power_cut() {
    let memory = MemFileSystem::new();
    memory.record_images();
    let mut run = Run::new(memory.clone(), "write", 0);
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
        let mut next = Run::new(killed.clone(), "write", 0);
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
    script_fails("write");
}

#[test]
fn every_call_fails_with_the_mapped_log() {
    script_fails("mapped");
}

#[test]
fn every_call_of_a_recovery_fails_with_the_write_log() {
    recovery_fails("write");
}

#[test]
fn every_call_of_a_recovery_fails_with_the_mapped_log() {
    recovery_fails("mapped");
}

#[test]
fn every_call_fails_with_tables() {
    for seed in 0..profile::FAULT_SEEDS.get() {
        let script = Run::script_of_tables;
        every_call_fails(&Scenario { name: "tables", backend: "write", seed, has_tables: true, script, left: None });
    }
}
