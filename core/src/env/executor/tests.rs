//! Tests of the seeded executor: a run follows from its seed, and mistakes are named.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

struct Logger {
    name: u64,
    left: u64,
    log: Arc<Mutex<Vec<u64>>>,
    done: Arc<Bell>,
}

impl Task for Logger {
    fn step(&mut self) -> Next {
        self.log.lock().push(self.name);
        self.left -= 1;
        self.done.ring();
        if self.left == 0 { Next::Done } else { Next::Again }
    }
}

fn run(seed: u64) -> (Vec<u64>, u64) {
    let runtime = SeededRuntime::new(seed);
    let log = Arc::new(Mutex::new(Vec::new()));
    let done = Arc::new(Bell::new());
    let tasks = (0..4).map(|name| {
        let task = Box::new(Logger { name, left: 20, log: log.clone(), done: done.clone() });
        runtime.spawn("logger", Arc::new(Bell::new()), task).unwrap()
    });
    let tasks: Vec<_> = tasks.collect();
    runtime.run_some();
    assert!(runtime.wait(&done, done.count(), None));
    tasks[2].join();
    assert!(tasks[2].is_done());
    runtime.run_until_idle();
    assert!(tasks.iter().all(|task| task.is_done()));
    let order = log.lock().clone();
    (order, runtime.random())
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).0, run(8).0);
    assert_eq!(run(7).0.len(), 80);
}

struct Sleeper(Arc<Mutex<Vec<u64>>>, Arc<SeededRuntime>);

impl Task for Sleeper {
    fn step(&mut self) -> Next {
        self.0.lock().push(self.1.monotonic_nanos());
        Next::Wait(Some(Duration::from_secs(10)))
    }
}

#[test]
fn time_passes_only_as_far_as_somebody_waits() {
    let runtime = SeededRuntime::new(1);
    let times = Arc::new(Mutex::new(Vec::new()));
    runtime.spawn("sleeper", Arc::new(Bell::new()), Box::new(Sleeper(times.clone(), runtime.clone()))).unwrap();
    runtime.run_until_idle();
    assert_eq!(times.lock().len(), 1);
    let bell = Bell::new();
    assert!(!runtime.wait(&bell, 0, Some(Duration::from_secs(35))));
    assert_eq!(times.lock().len(), 4);
    runtime.sleep(Duration::from_secs(10));
    assert_eq!(times.lock().len(), 5);
    let now = runtime.monotonic_nanos();
    assert!((45_000_000_000..46_000_000_000).contains(&now), "{now}");
}

struct Offender(Arc<SeededRuntime>, Arc<Mutex<Option<ErrorKind>>>);

impl Task for Offender {
    fn step(&mut self) -> Next {
        let refused = self.0.spawn("inner", Arc::new(Bell::new()), Box::new(Offender(self.0.clone(), self.1.clone())));
        *self.1.lock() = refused.err().map(|error| error.kind());
        self.0.wait(&Bell::new(), 0, Some(Duration::ZERO));
        Next::Done
    }
}

fn message(outcome: std::thread::Result<()>) -> String {
    let panic = outcome.err().unwrap();
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| panic.downcast_ref::<&str>().unwrap().to_string())
}

#[test]
fn mistakes_are_named() {
    let runtime = SeededRuntime::new(1);
    let deadlock = catch_unwind(AssertUnwindSafe(|| {
        runtime.wait(&Bell::new(), 0, None);
    }));
    assert!(message(deadlock).contains("deadlock"));
    let refused = Arc::new(Mutex::new(None));
    let task = Box::new(Offender(runtime.clone(), refused.clone()));
    runtime.spawn("offender", Arc::new(Bell::new()), task).unwrap();
    let waits = catch_unwind(AssertUnwindSafe(|| runtime.run_until_idle()));
    assert!(message(waits).contains("wait from within a task's step"));
    assert_eq!(*refused.lock(), Some(ErrorKind::NotSupported));
    // The executor is still of use after a step that panicked.
    runtime.run_until_idle();
}
