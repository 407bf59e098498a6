//! A whole database under the model: its files are in memory, the task that flushes is a thread of the model, and time passes only where
//! somebody waits for it.
//!
//! Only what a model is for is tried in every order: not the opening, nor what comes after all threads have ended.

use loom::thread;
use sstore::atomic::{reads, wrote};
use sstore::env::fault::FaultFileSystem;
use sstore::env::mem::MemFileSystem;
use sstore::env::{Bell, Call, Env, JobKind, Next, Pooled, Runtime, Task, TaskHandle};
use sstore::error::Result;
use sstore::{Db, Options};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Waits are those of real threads, on the model's locks. Its own numbers are none of the model's.
struct ModelRuntime {
    real: Arc<dyn Runtime>,
    now_nanos: AtomicU64,
}

/// A thread of the model, or nothing.
struct Handle(std::sync::Mutex<Option<thread::JoinHandle<()>>>);

impl TaskHandle for Handle {
    fn is_done(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }

    fn join(&self) {
        let thread = self.0.lock().unwrap().take();
        if let Some(thread) = thread {
            thread.join().unwrap();
        }
    }
}

impl Runtime for ModelRuntime {
    fn monotonic_nanos(&self) -> u64 {
        self.now_nanos.load(Ordering::Relaxed)
    }

    fn unix_nanos(&self) -> u64 {
        self.monotonic_nanos()
    }

    fn random(&self) -> u64 {
        7
    }

    /// Tasks that neither flush nor close never run.
    fn spawn(&self, _name: &str, _bell: Arc<Bell>, _task: Box<dyn Task>) -> Result<Box<dyn TaskHandle>> {
        Ok(Box::new(Handle(std::sync::Mutex::new(None))))
    }

    fn spawn_pooled(&self, pooled: Pooled, bell: Arc<Bell>, mut task: Box<dyn Task>) -> Result<Box<dyn TaskHandle>> {
        if pooled.kind != JobKind::Flush {
            return self.spawn("", bell, task);
        }
        let real = self.real.clone();
        let run = move || {
            loop {
                let seen = bell.count();
                match task.step() {
                    Next::Again => {}
                    // Nothing is tried again after a pause here.
                    Next::Wait(_) => drop(real.wait(&bell, seen, None)),
                    Next::Done => break,
                }
            }
        };
        Ok(Box::new(Handle(std::sync::Mutex::new(Some(thread::spawn(run))))))
    }

    fn wait(&self, bell: &Bell, seen: u64, timeout: Option<Duration>) -> bool {
        let Some(timeout) = timeout else { return self.real.wait(bell, seen, None) };
        // It passes before anybody rings.
        self.now_nanos.fetch_add(timeout.as_nanos() as u64, Ordering::Relaxed);
        thread::yield_now();
        false
    }

    fn sleep(&self, _duration: Duration) {}

    fn forked(&self) -> bool {
        false
    }
}

pub struct World {
    pub db: Db,
    pub memory: Arc<MemFileSystem>,
    files: Arc<FaultFileSystem>,
    real: Arc<dyn Runtime>,
    /// Stands for all files: read by each call that changes one, written by who must be the last to.
    touched: Arc<u64>,
}

/// Calls that change a file.
const CHANGES: [Call; 6] = [Call::Create, Call::Write, Call::SetLen, Call::SyncData, Call::Rename, Call::Remove];

/// Does `work` in one order of steps only: the threads go on when it waits. What models are not about.
pub fn unexplored<R>(work: impl FnOnce() -> R) -> R {
    loom::stop_exploring();
    let done = work();
    loom::explore();
    done
}

impl World {
    /// A new database.
    pub fn open(real: &Arc<dyn Runtime>) -> Self {
        Self::open_on(MemFileSystem::new(), real, false)
    }

    fn open_on(memory: Arc<MemFileSystem>, real: &Arc<dyn Runtime>, read_only: bool) -> Self {
        let files = FaultFileSystem::new(memory.clone(), Vec::new());
        let touched = Arc::new(0);
        wrote(Arc::as_ptr(&touched));
        files.set_listener(Arc::new({
            let touched = touched.clone();
            move |call, _| {
                if CHANGES.contains(&call) {
                    reads(Arc::as_ptr(&touched));
                }
            }
        }));
        let runtime = Arc::new(ModelRuntime { real: real.clone(), now_nanos: AtomicU64::new(1) });
        let env = Env { files: files.clone(), runtime };
        let mut options = Options::new();
        for (name, value) in [
            ("auto_compaction", "false"),
            ("wal_backend", "write"),
            // Nobody would hand them on.
            ("events_bytes", "0"),
            ("read_only", if read_only { "true" } else { "false" }),
        ] {
            options = options.with(name, value).unwrap();
        }
        let db = Db::open_in(env, Path::new("/db"), &options).unwrap();
        Self { db, memory, files, real: real.clone(), touched }
    }

    /// Another opening, for reading, which begins no thread: loom has four. Requires: this one is closed.
    pub fn reopen(&self) -> Self {
        Self::open_on(self.memory.clone(), &self.real, true)
    }

    /// How many calls changed a file so far. Fails where another thread may change one at this moment.
    pub fn changes(&self) -> u64 {
        wrote(Arc::as_ptr(&self.touched));
        CHANGES.into_iter().map(|call| self.files.count(call)).sum()
    }
}
