//! The threads that all databases of a process share for flushes and merges.
//!
//! Called by the runtime. A task is not bound to a thread: when its bell rings, or its time has come, some thread of the pool runs one step of
//! it. There are as many threads as the task asks for that asks for most, and none once no task is left: whoever ended the last one
//! has waited for the threads too, so that the library can be unloaded. Which task is next is decided by [`turns`].
//!
//! Promises: ending a task waits for no step but its own, because what is left of it then runs on the thread that waits; a panic
//! in a step ends that task alone; a forked child finds a pool of its own.

mod turns;

use super::runtime::{ForkMark, nanos, start_thread};
use crate::env::{Bell, JobKind, Next, Pooled, Task, TaskHandle};
use crate::error::Result;
use crate::lock::Mutex;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};
use turns::{Member, MemberState};

/// The pool of this process, or of the one that it was forked from. Never freed: threads and handles refer to it.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());

/// The threads and their tasks.
pub(super) struct Pool {
    origin: Instant,
    mark: ForkMark,
    state: Mutex<State>,
    /// Rung with the bell of any task, and whenever a step has ended.
    bell: Arc<Bell>,
    /// The pool of the process that this one was forked from.
    _before: Option<&'static Pool>,
}

#[derive(Default)]
struct State {
    tasks: BTreeMap<u64, Slot>,
    last_id: u64,
    last_turn: u64,
    /// Raised when all threads have to end: those of before are told by it from those that begin anew.
    generation: u64,
    /// Threads of this generation that have not decided to end.
    alive: usize,
    threads: Vec<JoinHandle<()>>,
}

struct Slot {
    owner: usize,
    kind: JobKind,
    threads: usize,
    bell: Arc<Bell>,
    done: Arc<AtomicBool>,
    at: Place,
}

enum Place {
    /// In a step, on this thread.
    Running(ThreadId),
    /// Wants to run since this turn.
    Ready(u64, Box<dyn Task>),
    /// Wants to run when its bell has rung since this count, or at this moment.
    Resting(u64, Option<u64>, Box<dyn Task>),
}

impl Place {
    fn take(&mut self) -> Option<Box<dyn Task>> {
        match std::mem::replace(self, Self::Running(std::thread::current().id())) {
            Self::Ready(_, task) | Self::Resting(_, _, task) => Some(task),
            running @ Self::Running(_) => {
                *self = running;
                None
            }
        }
    }
}

impl State {
    /// How many threads there should be.
    fn wanted_threads(&self) -> usize {
        self.tasks.values().map(|slot| slot.threads).max().unwrap_or(0)
    }

    /// Makes those ready whose bell has rung or whose time has come; when the next one's comes.
    fn wake(&mut self, now: u64) -> Option<u64> {
        let mut next_at: Option<u64> = None;
        for slot in self.tasks.values_mut() {
            let Place::Resting(seen, until, _) = &slot.at else { continue };
            if slot.bell.count() == *seen && until.is_none_or(|until| until > now) {
                next_at = next_at.into_iter().chain(*until).min();
                continue;
            }
            if let Some(task) = slot.at.take() {
                self.last_turn += 1;
                slot.at = Place::Ready(self.last_turn, task);
            }
        }
        next_at
    }

    fn next(&mut self) -> Option<(u64, Box<dyn Task>)> {
        let member = |(id, slot): (&u64, &Slot)| {
            let state = match slot.at {
                Place::Running(_) => MemberState::Running,
                Place::Ready(since, _) => MemberState::Ready(since),
                Place::Resting(..) => MemberState::Resting,
            };
            Member { id: *id, owner: slot.owner, kind: slot.kind, state }
        };
        let members: Vec<Member> = self.tasks.iter().map(member).collect();
        let id = turns::next(&members, self.wanted_threads())?;
        let task = self.tasks.get_mut(&id)?.at.take()?;
        Some((id, task))
    }
}

impl Pool {
    /// The pool of this process.
    pub(super) fn current() -> &'static Self {
        loop {
            let found = POOL.load(Ordering::Acquire);
            // SAFETY: what is stored there came from a box that nobody frees.
            let found_pool = unsafe { found.as_ref() };
            if let Some(pool) = found_pool
                && !pool.mark.forked()
            {
                return pool;
            }
            let made = Box::into_raw(Box::new(Self {
                origin: Instant::now(),
                mark: ForkMark::new(),
                state: Mutex::default(),
                bell: Arc::default(),
                _before: found_pool,
            }));
            if POOL.compare_exchange(found, made, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: it was made above and handed to nobody.
                drop(unsafe { Box::from_raw(made) });
            }
        }
    }

    /// Adds a task, and threads if there are too few. An error: there is none at all.
    pub(super) fn add(&'static self, pooled: Pooled, bell: Arc<Bell>, task: Box<dyn Task>) -> Result<PooledHandle> {
        bell.lead_to(&self.bell);
        let done = Arc::new(AtomicBool::new(false));
        let mut state = self.state.lock();
        state.last_id += 1;
        state.last_turn += 1;
        let id = state.last_id;
        let slot = Slot {
            owner: Arc::as_ptr(&bell).addr(),
            kind: pooled.kind,
            threads: pooled.threads.max(1),
            bell,
            done: done.clone(),
            at: Place::Ready(state.last_turn, task),
        };
        state.tasks.insert(id, slot);
        while state.alive < state.wanted_threads() {
            let generation = state.generation;
            match start_thread(&format!("sstore-work-{}", state.alive), move || self.work(generation)) {
                Ok(thread) => state.threads.push(thread),
                Err(_) if state.alive > 0 => break,
                Err(error) => {
                    let slot = state.tasks.remove(&id);
                    drop(state);
                    drop(slot);
                    return Err(error);
                }
            }
            state.alive += 1;
        }
        // Those that are not needed any more since a database was closed that had asked for more.
        let ended: Vec<_> = state.threads.extract_if(.., |thread| thread.is_finished()).collect();
        drop(state);
        ended.into_iter().for_each(join);
        self.bell.ring();
        Ok(PooledHandle { pool: self, id, done })
    }

    /// What a thread does.
    fn work(&self, generation: u64) {
        loop {
            let seen = self.bell.count();
            let (next, next_at, now) = {
                let mut state = self.state.lock();
                if state.generation != generation {
                    return;
                }
                if state.alive > state.wanted_threads() {
                    state.alive -= 1;
                    return;
                }
                let now = nanos(self.origin.elapsed());
                let next_at = state.wake(now);
                (state.next(), next_at, now)
            };
            match next {
                Some((id, task)) => self.step(id, task),
                None => {
                    self.bell.block(seen, next_at.map(|at| Duration::from_nanos(at.saturating_sub(now))));
                }
            }
        }
    }

    /// Runs one step of a task that was taken.
    fn step(&self, id: u64, mut task: Box<dyn Task>) {
        let Some(bell) = self.state.lock().tasks.get(&id).map(|slot| slot.bell.clone()) else { return };
        let seen = bell.count();
        let next = catch_unwind(AssertUnwindSafe(|| task.step())).unwrap_or(Next::Done);
        if next == Next::Done {
            // Outside of the mutex, and before anybody is told: what it owns may take its time to go.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
            let slot = self.state.lock().tasks.remove(&id);
            if let Some(slot) = slot {
                slot.done.store(true, Ordering::Release);
            }
        } else {
            let mut state = self.state.lock();
            state.last_turn += 1;
            let turn = state.last_turn;
            let now = nanos(self.origin.elapsed());
            if let Some(slot) = state.tasks.get_mut(&id) {
                slot.at = match next {
                    Next::Wait(timeout) => {
                        Place::Resting(seen, timeout.map(|timeout| now.saturating_add(nanos(timeout))), task)
                    }
                    Next::Again | Next::Done => Place::Ready(turn, task),
                };
            }
        }
        self.bell.ring();
    }

    /// Ends the threads if there is nothing left for them to do, and waits for them.
    fn rest(&self) {
        let threads = {
            let mut state = self.state.lock();
            if !state.tasks.is_empty() {
                return;
            }
            state.generation += 1;
            state.alive = 0;
            std::mem::take(&mut state.threads)
        };
        self.bell.ring();
        threads.into_iter().for_each(join);
    }
}

/// Waits for a thread, unless it is the one that runs this.
fn join(thread: JoinHandle<()>) {
    if thread.thread().id() != std::thread::current().id() {
        // What a step does is caught; there is nothing to hear of.
        let _ = thread.join();
    }
}

/// A task of the pool. Dropped without a join, the task goes on.
pub(super) struct PooledHandle {
    pool: &'static Pool,
    id: u64,
    done: Arc<AtomicBool>,
}

impl TaskHandle for PooledHandle {
    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    fn join(&self) {
        let pool = self.pool;
        if pool.mark.forked() {
            return; // No thread of the pool was copied by the fork; waiting would never end.
        }
        loop {
            let seen = pool.bell.count();
            let taken = {
                let mut state = pool.state.lock();
                // Rests only once its bell has rung: what it waits for is none of the pool's business.
                let now = nanos(pool.origin.elapsed());
                state.wake(now);
                let Some(slot) = state.tasks.get_mut(&self.id) else { break };
                match &slot.at {
                    // A task that drops the last handle to what owns it would wait for itself.
                    Place::Running(thread) if *thread == std::thread::current().id() => return,
                    Place::Ready(..) => slot.at.take(),
                    Place::Running(_) | Place::Resting(..) => None,
                }
            };
            match taken {
                Some(task) => pool.step(self.id, task),
                None => {
                    pool.bell.block(seen, Some(Duration::from_millis(100)));
                }
            }
        }
        pool.rest();
    }
}
