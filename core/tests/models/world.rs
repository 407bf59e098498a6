//! A whole database under the model: its files are in memory, its tasks are threads of the model or are stepped by hand, and time passes
//! only where somebody waits for it.

use loom::thread;
use sstore::env::fault::FaultFileSystem;
use sstore::env::mem::MemFileSystem;
use sstore::env::{Bell, Call, Env, Next, Runtime, Task, TaskHandle};
use sstore::error::Result;
use sstore::{Db, Options};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Who runs the workers; the other tasks of a database, which neither flush nor close, never run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// Threads of their own.
    Threads,
    /// Whoever takes them: [`World::take_worker`].
    ByHand,
}

/// Waits are those of real threads, on the model's locks. Its own numbers are none of the model's.
struct ModelRuntime {
    real: Arc<dyn Runtime>,
    workers: Workers,
    now_nanos: AtomicU64,
    tasks: std::sync::Mutex<Vec<Box<dyn Task>>>,
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

    fn spawn(&self, name: &str, bell: Arc<Bell>, mut task: Box<dyn Task>) -> Result<Box<dyn TaskHandle>> {
        let is_worker = name.starts_with("sstore-work");
        if !is_worker || self.workers == Workers::ByHand {
            if is_worker {
                self.tasks.lock().unwrap().push(task);
            }
            return Ok(Box::new(Handle(std::sync::Mutex::new(None))));
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
    files: Arc<FaultFileSystem>,
    runtime: Arc<ModelRuntime>,
}

impl World {
    pub fn open(real: &Arc<dyn Runtime>, workers: Workers, count: u64) -> Self {
        let files = FaultFileSystem::new(MemFileSystem::new(), Vec::new());
        let (now_nanos, tasks) = (AtomicU64::new(1), std::sync::Mutex::default());
        let runtime = Arc::new(ModelRuntime { real: real.clone(), workers, now_nanos, tasks });
        let env = Env { files: files.clone(), runtime: runtime.clone() };
        let options = Options::new().with("background_threads", &count.to_string()).unwrap();
        let options = options.with("auto_compaction", "false").unwrap().with("wal_backend", "write").unwrap();
        let db = Db::open_in(env, Path::new("/db"), &options).unwrap();
        Self { db, files, runtime }
    }

    /// A worker that is not run by a thread of its own.
    pub fn take_worker(&self) -> Box<dyn Task> {
        self.runtime.tasks.lock().unwrap().pop().unwrap()
    }

    /// How many calls changed a file so far.
    pub fn changes(&self) -> u64 {
        [Call::Create, Call::Write, Call::SetLen, Call::SyncData, Call::Rename, Call::Remove]
            .into_iter()
            .map(|call| self.files.count(call))
            .sum()
    }
}
