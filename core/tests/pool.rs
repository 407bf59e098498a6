//! The threads that databases of one process share: how many there are, that a slow job of one holds up no other, that closing waits for
//! nobody else, that none is left after the last close, and that a forked child has its own.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // fork

use sstore::env::posix::posix;
use sstore::env::{Bell, JobKind, Next, Pooled, Task, TaskHandle};
use sstore::{CloseOptions, Db, Options, ReadOptions, WriteOptions};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The pool is the process's, so tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many threads have a name that begins so.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|found| found.starts_with(name)).count()
}

fn settles(what: &str, reached: impl Fn() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn open(directory: &Path, number: usize) -> Db {
    let options = Options::new().with("write_buffer_bytes", "64KiB").unwrap();
    Db::open(directory.join(number.to_string()), &options).unwrap()
}

fn fill(db: &Db, round: u64) {
    for number in 0..50_u64 {
        db.put(&db.default_family(), &number.to_be_bytes(), &[round as u8; 300], &WriteOptions::default()).unwrap();
    }
}

#[test]
fn twenty_databases_share_two_threads_and_all_get_on() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let mut all: Vec<Db> = (0..20).map(|number| open(directory.path(), number)).collect();
    settles("two threads begin", || threads("sstore-work") == 2);
    let (stop, most) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                most.fetch_max(threads("sstore-work") as u64, Ordering::Relaxed);
            }
        });
        let writers: Vec<_> = all
            .chunks(5)
            .map(|some| {
                scope.spawn(move || {
                    for (round, db) in (0..5).flat_map(|round| some.iter().map(move |db| (round, db))) {
                        fill(db, round);
                        db.flush(&[]).unwrap().wait(Some(Duration::from_secs(60))).unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(most.load(Ordering::Relaxed) <= 2, "{} threads flushed and merged", most.load(Ordering::Relaxed));
    // Four runs of similar size are merged, in every database.
    settles("all are merged", || all.iter().all(|db| db.stats().files < 5));
    // Closed in no particular order; the others go on.
    while !all.is_empty() {
        let db = all.remove(all.len() * 7 / 11);
        db.close(&CloseOptions::default()).unwrap();
        if let Some(other) = all.first() {
            fill(other, 9);
            other.flush(&[]).unwrap().wait(Some(Duration::from_secs(60))).unwrap();
            assert_eq!(threads("sstore-work"), 2);
        }
    }
    assert_eq!(threads("sstore"), 0, "no thread is left after the last close");
}

/// Another database's job, which takes as long as the test wants.
struct Slow {
    begun: Arc<AtomicBool>,
    release: Arc<AtomicBool>,
}

impl Task for Slow {
    fn step(&mut self) -> Next {
        self.begun.store(true, Ordering::SeqCst);
        while !self.release.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Next::Done
    }
}

fn slow(kind: JobKind, release: &Arc<AtomicBool>) -> Box<dyn TaskHandle> {
    let begun = Arc::new(AtomicBool::new(false));
    let task = Box::new(Slow { begun: begun.clone(), release: release.clone() });
    let handle = posix().runtime.spawn_pooled(Pooled { kind, threads: 2 }, Arc::new(Bell::new()), task).unwrap();
    settles("the slow job begins", || begun.load(Ordering::SeqCst));
    handle
}

#[test]
fn a_slow_merge_holds_up_no_flush_and_slow_jobs_of_others_no_close() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let release = Arc::new(AtomicBool::new(false));
    let merge = slow(JobKind::Merge, &release);
    let db = open(directory.path(), 0);
    for round in 0..6 {
        fill(&db, round);
        db.flush(&[]).unwrap().wait(Some(Duration::from_secs(20))).expect("a thread is left to flushes");
    }
    assert_eq!(db.stats().files, 6, "the merge waits for the other one");
    // Not even a thread is left.
    let flush = slow(JobKind::Flush, &release);
    fill(&db, 9);
    let closed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            db.close(&CloseOptions { flush: Some(true), ..CloseOptions::default() }).unwrap();
            closed.store(true, Ordering::SeqCst);
        });
        let began = Instant::now();
        while !closed.load(Ordering::SeqCst) && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let waits_for_others = !closed.load(Ordering::SeqCst);
        release.store(true, Ordering::SeqCst);
        assert!(!waits_for_others, "closing waits for its own jobs only");
    });
    merge.join();
    flush.join();
    assert!(merge.is_done() && flush.is_done());
    assert_eq!(threads("sstore"), 0);
    let db = open(directory.path(), 0);
    assert_eq!(db.get(&db.default_family(), &7_u64.to_be_bytes(), &ReadOptions::default()).unwrap().unwrap()[0], 9);
}

#[test]
fn a_step_that_panics_ends_its_task_and_no_thread() {
    struct Panics;
    impl Task for Panics {
        fn step(&mut self) -> Next {
            panic!("on purpose");
        }
    }
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), 0);
    let pooled = Pooled { kind: JobKind::Flush, threads: 2 };
    let handle = posix().runtime.spawn_pooled(pooled, Arc::new(Bell::new()), Box::new(Panics)).unwrap();
    handle.join();
    assert!(handle.is_done());
    fill(&db, 1);
    db.flush(&[]).unwrap().wait(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(threads("sstore-work"), 2);
    drop(db);
    assert_eq!(threads("sstore"), 0);
}

#[test]
fn a_task_rests_until_its_bell_or_its_time() {
    struct Counts(Arc<AtomicU64>);
    impl Task for Counts {
        fn step(&mut self) -> Next {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                0 => Next::Wait(None),
                1 => Next::Wait(Some(Duration::from_millis(20))),
                2 => Next::Again,
                _ => Next::Done,
            }
        }
    }
    let _alone = alone();
    let (steps, bell) = (Arc::new(AtomicU64::new(0)), Arc::new(Bell::new()));
    let pooled = Pooled { kind: JobKind::Merge, threads: 1 };
    let handle = posix().runtime.spawn_pooled(pooled, bell.clone(), Box::new(Counts(steps.clone()))).unwrap();
    settles("the first step", || steps.load(Ordering::SeqCst) == 1);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(steps.load(Ordering::SeqCst), 1, "it rests");
    bell.ring();
    settles("the rest by itself", || handle.is_done());
    assert_eq!(steps.load(Ordering::SeqCst), 4);
    handle.join();
    assert_eq!(threads("sstore"), 0);
}

#[test]
fn a_forked_child_has_threads_of_its_own() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), 0);
    fill(&db, 1);
    settles("two threads begin", || threads("sstore-work") == 2);
    // SAFETY: the child opens a database of its own and leaves by _exit; the library allows that, which is what is tested.
    let status = unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::alarm(60);
            let own = open(directory.path(), 1);
            fill(&own, 2);
            let flushed = own.flush(&[]).unwrap().wait(Some(Duration::from_secs(30))).is_ok();
            let two = threads("sstore-work") == 2;
            let refused = db.flush(&[]).is_err();
            let closed = own.close(&CloseOptions::default()).is_ok();
            let none = threads("sstore") == 0;
            libc::_exit(if flushed && two && refused && closed && none { 0 } else { 1 });
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        status
    };
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "the child: {status:#x}");
    db.flush(&[]).unwrap().wait(Some(Duration::from_secs(20))).unwrap();
    db.close(&CloseOptions::default()).unwrap();
    assert_eq!(threads("sstore"), 0);
}

#[test]
fn a_flush_that_finds_nobody_to_help_does_all_by_itself() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let release = Arc::new(AtomicBool::new(false));
    let slow = [slow(JobKind::Merge, &release), slow(JobKind::Flush, &release)];
    let db = Db::open(directory.path(), &Options::new()).unwrap();
    // Enough for several ranges.
    for number in 0..4_000_u64 {
        db.put(&db.default_family(), &number.to_be_bytes(), &[number as u8; 2_000], &WriteOptions::default()).unwrap();
    }
    let closed = std::thread::scope(|scope| {
        let close = scope.spawn(|| db.close(&CloseOptions { flush: Some(true), ..CloseOptions::default() }));
        let began = Instant::now();
        while !close.is_finished() && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let waits = !close.is_finished();
        release.store(true, Ordering::SeqCst);
        assert!(!waits, "the flush waits for help");
        close.join()
    });
    closed.unwrap().unwrap();
    slow.iter().for_each(|slow| slow.join());
    assert_eq!(threads("sstore"), 0);
    let db = Db::open(directory.path(), &Options::new()).unwrap();
    assert_eq!(db.stats().files, 1);
    assert_eq!(
        db.get(&db.default_family(), &3_999_u64.to_be_bytes(), &ReadOptions::default()).unwrap().unwrap()[0],
        159
    );
}
