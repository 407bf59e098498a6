//! A runtime on one thread: virtual time, seeded randomness, and tasks that run only while the foreground waits or asks.
//!
//! A whole run is thus a pure function of the workload and the seed: which task steps next is chosen by the seed, and no
//! clock but the virtual one is read. Used by the tests of everything above `env`.

#[cfg(test)]
mod tests;

use super::{Bell, Next, Runtime, Task, TaskHandle};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// What one step costs in virtual time, so that a task that never rests cannot hold up a timeout for ever.
const STEP_NANOS: u64 = 1_000;

/// The virtual 1970 offset: some moment in 2023.
const UNIX_START_NANOS: u64 = 1_700_000_000_000_000_000;

/// More steps than this without rest are a task that never waits.
const IDLE_STEPS_MAX: u64 = 10_000_000;

/// Scatters a number over 64 bits; a bijection (the finaliser of splitmix64).
pub fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The runtime. Meant for one thread; clones share everything.
#[derive(Clone)]
pub struct SeededRuntime {
    state: Arc<Mutex<State>>,
}

struct State {
    random: u64,
    now_nanos: u64,
    steps: u64,
    /// A task is in the middle of a step.
    stepping: bool,
    tasks: Vec<Slot>,
    forked: bool,
}

struct Slot {
    name: String,
    bell: Arc<Bell>,
    task: Option<Box<dyn Task>>,
    /// `None`: wants to run. Otherwise the count of the bell that it saw, and when it wants to run without a ring.
    waiting: Option<(u64, Option<u64>)>,
    done: bool,
}

impl State {
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.random)
    }

    fn is_ready(&self, slot: &Slot) -> bool {
        !slot.done
            && slot.task.is_some()
            && slot.waiting.is_none_or(|(seen, until)| {
                slot.bell.count() != seen || until.is_some_and(|until| until <= self.now_nanos)
            })
    }

    fn describe(&self) -> String {
        let unfinished = self.tasks.iter().filter(|slot| !slot.done).map(|slot| slot.name.as_str());
        unfinished.collect::<Vec<_>>().join(", ")
    }
}

/// Puts the mark of a running step back, also when the step panics.
struct Stepping<'a>(&'a Mutex<State>);

impl Drop for Stepping<'_> {
    fn drop(&mut self) {
        self.0.lock().stepping = false;
    }
}

impl SeededRuntime {
    /// A runtime whose every choice follows from `seed`.
    pub fn new(seed: u64) -> Arc<Self> {
        let state =
            State { random: mix(seed), now_nanos: 0, steps: 0, stepping: false, tasks: Vec::new(), forked: false };
        Arc::new(Self { state: Arc::new(Mutex::new(state)) })
    }

    /// Runs a few steps of ready tasks, none to three, as the seed chooses. For tests, between operations.
    pub fn run_some(&self) {
        let steps = self.state.lock().random() % 4;
        for _ in 0..steps {
            if !self.run_one("run_some") {
                break;
            }
        }
    }

    /// Runs ready tasks until all wait. Time passes only by the steps; timeouts further off are not waited for.
    pub fn run_until_idle(&self) {
        for _ in 0..IDLE_STEPS_MAX {
            if !self.run_one("run_until_idle") {
                return;
            }
        }
        panic!("seeded executor: tasks never rest: {}", self.state.lock().describe());
    }

    /// Lets time pass: what waits until then becomes ready, and runs with the next steps.
    pub fn pass(&self, duration: Duration) {
        let mut state = self.state.lock();
        state.now_nanos = later(state.now_nanos, duration);
    }

    /// How many steps ran so far.
    pub fn step_count(&self) -> u64 {
        self.state.lock().steps
    }

    /// Makes [`Runtime::forked`] answer so from now on.
    pub fn set_forked(&self, forked: bool) {
        self.state.lock().forked = forked;
    }

    /// Runs one step of a ready task; false if none is ready.
    fn run_one(&self, caller: &str) -> bool {
        let (place, mut task, bell) = {
            let mut state = self.state.lock();
            assert!(!state.stepping, "seeded executor: {caller} from within a task's step");
            let ready: Vec<usize> = (0..state.tasks.len()).filter(|at| state.is_ready(&state.tasks[*at])).collect();
            if ready.is_empty() {
                return false;
            }
            let place = ready[(state.random() % ready.len() as u64) as usize];
            let Some(task) = state.tasks[place].task.take() else { return false };
            state.stepping = true;
            state.steps += 1;
            state.now_nanos += STEP_NANOS;
            (place, task, state.tasks[place].bell.clone())
        };
        let stepping = Stepping(&self.state);
        let seen = bell.count();
        let next = task.step();
        if next == Next::Done {
            // Outside of the mutex, and still as part of the step: what the task owns may call the runtime.
            drop(task);
            drop(stepping);
            self.state.lock().tasks[place].done = true;
            return true;
        }
        drop(stepping);
        let mut state = self.state.lock();
        let now = state.now_nanos;
        let slot = &mut state.tasks[place];
        slot.task = Some(task);
        slot.waiting = match next {
            Next::Wait(timeout) => Some((seen, timeout.map(|timeout| later(now, timeout)))),
            Next::Again | Next::Done => None,
        };
        true
    }

    /// Lets time pass up to the next timeout of a task, but not past `limit`. False if there is neither.
    fn advance(&self, limit: Option<u64>) -> bool {
        let mut state = self.state.lock();
        let timeouts = state.tasks.iter().filter(|slot| !slot.done).filter_map(|slot| slot.waiting?.1);
        let Some(next) = timeouts.chain(limit).min() else { return false };
        state.now_nanos = state.now_nanos.max(next);
        true
    }

    fn now(&self) -> u64 {
        self.state.lock().now_nanos
    }

    /// Runs tasks until `reached`, or until `deadline`. Panics if neither can come about.
    fn run_until(&self, caller: &str, deadline: Option<u64>, reached: impl Fn() -> bool) -> bool {
        loop {
            if reached() {
                return true;
            }
            if deadline.is_some_and(|deadline| deadline <= self.now()) {
                return false;
            }
            if !self.run_one(caller) && !self.advance(deadline) {
                let tasks = self.state.lock().describe();
                panic!("seeded executor: deadlock: {caller}, and no task can run (unfinished tasks: {tasks})");
            }
        }
    }

    fn check_foreground(&self, caller: &str) {
        assert!(!self.state.lock().stepping, "seeded executor: {caller} from within a task's step");
    }
}

fn later(now: u64, duration: Duration) -> u64 {
    now.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

impl Runtime for SeededRuntime {
    fn monotonic_nanos(&self) -> u64 {
        let mut state = self.state.lock();
        // A loop that only looks at the clock must end some day.
        state.now_nanos += 1;
        state.now_nanos
    }

    fn unix_nanos(&self) -> u64 {
        UNIX_START_NANOS + self.monotonic_nanos()
    }

    fn random(&self) -> u64 {
        self.state.lock().random()
    }

    /// As the trait says; refused from within a step (kind NotSupported), whose task could never wait for the new one.
    fn spawn(&self, name: &str, bell: Arc<Bell>, task: Box<dyn Task>) -> Result<Box<dyn TaskHandle>> {
        let mut state = self.state.lock();
        if state.stepping {
            let message = format!("the seeded executor starts no task from within a step: {name}");
            return Err(Error::new(ErrorKind::NotSupported, message));
        }
        let slot = Slot { name: name.to_string(), bell, task: Some(task), waiting: None, done: false };
        state.tasks.push(slot);
        let place = state.tasks.len() - 1;
        Ok(Box::new(SeededHandle { runtime: self.clone(), place }))
    }

    fn wait(&self, bell: &Bell, seen: u64, timeout: Option<Duration>) -> bool {
        self.check_foreground("wait");
        let deadline = timeout.map(|timeout| later(self.now(), timeout));
        self.run_until("wait", deadline, || bell.count() != seen)
    }

    fn sleep(&self, duration: Duration) {
        let until = later(self.now(), duration);
        let stepping = self.state.lock().stepping;
        if stepping {
            self.state.lock().now_nanos = until;
        } else {
            self.run_until("sleep", Some(until), || false);
        }
    }

    fn forked(&self) -> bool {
        self.state.lock().forked
    }
}

struct SeededHandle {
    runtime: SeededRuntime,
    place: usize,
}

impl TaskHandle for SeededHandle {
    fn is_done(&self) -> bool {
        self.runtime.state.lock().tasks[self.place].done
    }

    fn join(&self) {
        if !self.is_done() {
            self.runtime.check_foreground("join");
            self.runtime.run_until("join", None, || self.is_done());
        }
    }
}
