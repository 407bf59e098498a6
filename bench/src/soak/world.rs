//! The open database under all threads, what they know of it, and how it is closed and opened again beneath them.
//!
//! Each thread works in short steps. A step holds the database open; between steps it may be closed and opened. What a thread keeps over
//! several steps, it lets go of when it is asked to; what it still holds after a forced closing must answer Closed.

use crate::Checked;
use crate::ledger::Ledger;
use crate::values;
use sstore::{CloseOptions, ColumnFamily, Db, Error, ErrorKind, KeyOptions, Options, Table};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

/// A step that takes longer is a hang.
const STEP_LIMIT: Duration = Duration::from_secs(300);

/// The formats of the tables.
const FORMATS: [&str; 2] = ["parquet", "arrow"];

/// The database, opened once.
pub struct Opened {
    pub db: Db,
    /// Two families whose keys are always written together, with the same version.
    pub pair: [ColumnFamily; 2],
    /// A family that is written by single calls, compressed, with a small write buffer.
    pub single: ColumnFamily,
    /// A table of each file format.
    pub tables: Vec<Table>,
    /// How often it was opened before.
    pub generation: u64,
}

/// What was done so far.
#[derive(Default)]
pub struct Counts {
    pub writes: AtomicU64,
    pub reads: AtomicU64,
    pub audits: AtomicU64,
    pub guests: AtomicU64,
    pub exports: AtomicU64,
    pub reopened: AtomicU64,
}

impl Counts {
    /// Adds to a count.
    pub fn add(count: &AtomicU64, amount: u64) {
        count.fetch_add(amount, Ordering::Relaxed);
    }
}

/// Work in steps.
pub trait Worker: Send {
    /// Whether it would hold up a closing for long: then there is none during its steps.
    fn is_long(&self) -> bool {
        false
    }

    /// One step, of a fraction of a second; says how long to pause after it.
    fn step(&mut self, world: &World, opened: &Opened) -> Checked<Duration>;

    /// Lets go of iterators, snapshots and the like.
    fn let_go(&mut self) {}
}

/// Everything that the threads share.
pub struct World {
    path: PathBuf,
    options: Options,
    opened: RwLock<Opened>,
    letting_go: AtomicBool,
    stopping: AtomicBool,
    wrong: Mutex<Vec<String>>,
    began: Instant,
    /// Held while it is closed and opened, and by who works long and keeps it open: whoever waits for the other does not hold up all.
    reopening: Mutex<()>,
    /// By worker: the second in which its step began.
    beats: Mutex<Vec<(&'static str, u64)>>,
    pub pairs: Ledger,
    pub singles: Ledger,
    /// By table.
    pub rows: Vec<Ledger>,
    pub counts: Counts,
}

/// Memory is small, so that all that waits for memory happens too.
fn options() -> Result<Options, Error> {
    Options::new()
        .with("memory_budget_bytes", "96MiB")?
        .with("write_buffer_bytes", "8MiB")?
        .with("manifest_bytes", "64KiB")
}

fn open(path: &Path, options: &Options, generation: u64) -> Checked<Opened> {
    let db = Db::open(path, options)?;
    let family = |name: &str, options: &Options| match db.column_family(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => db.create_column_family(name, options),
        found => found,
    };
    let single = options.clone().with("compression", "lz4")?.with("write_buffer_bytes", "1MiB")?;
    let table = |format: &&str| -> Checked<Table> {
        match db.table(format) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let options = options.clone().with("table_format", format)?.with("write_buffer_bytes", "4MiB")?;
                let key = values::TABLE_KEY;
                Ok(db.create_table(format, &values::schema(), &key, &KeyOptions::default(), &options)?)
            }
            found => Ok(found?),
        }
    };
    Ok(Opened {
        pair: [db.default_family(), family("right", options)?],
        single: family("single", &single)?,
        tables: FORMATS.iter().map(table).collect::<Checked<_>>()?,
        generation,
        db,
    })
}

impl World {
    /// Makes a database in `path`.
    pub fn new(path: &Path, keys: usize) -> Checked<Self> {
        let options = options()?;
        Ok(Self {
            path: path.to_path_buf(),
            opened: RwLock::new(open(path, &options, 0)?),
            options,
            letting_go: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            wrong: Mutex::default(),
            began: Instant::now(),
            reopening: Mutex::default(),
            beats: Mutex::default(),
            pairs: Ledger::new("pairs", keys),
            singles: Ledger::new("single", keys),
            rows: FORMATS.map(|format| Ledger::new(format, keys / 4)).into_iter().collect(),
            counts: Counts::default(),
        })
    }

    /// Where the database lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The options that it is opened with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The database, which stays open as long as the answer is held.
    pub fn enter(&self) -> RwLockReadGuard<'_, Opened> {
        // A step that panics is caught and told; what it saw is still whole.
        self.opened.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// As long as the answer is held it is not tried to close the database. To be taken before [`enter`](Self::enter).
    pub fn keep_open(&self) -> MutexGuard<'_, ()> {
        self.reopening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing that outlasts a step may be made now.
    pub fn is_letting_go(&self) -> bool {
        self.letting_go.load(Ordering::Acquire)
    }

    /// Ends all work.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether all work is to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Something is wrong: all work ends.
    pub fn fail(&self, what: String) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        self.stop();
    }

    /// What was wrong.
    pub fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn seconds(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    /// The workers that are in one step for too long.
    pub fn hanging(&self) -> Vec<&'static str> {
        let now = self.seconds();
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.iter().filter(|(_, beat)| beat + STEP_LIMIT.as_secs() < now).map(|(name, _)| *name).collect()
    }

    /// Runs a worker until all work ends.
    pub fn run(&self, name: &'static str, mut worker: impl Worker) {
        let place = {
            let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
            beats.push((name, self.seconds()));
            beats.len() - 1
        };
        let beat = |at: u64| self.beats.lock().unwrap_or_else(PoisonError::into_inner)[place].1 = at;
        while !self.is_stopping() {
            beat(self.seconds());
            if self.is_letting_go() {
                worker.let_go();
            }
            let _open = worker.is_long().then(|| self.keep_open());
            let step = catch_unwind(AssertUnwindSafe(|| worker.step(self, &self.enter())));
            match step {
                Ok(Ok(pause)) if pause.is_zero() => {}
                Ok(Ok(pause)) => std::thread::sleep(pause),
                Ok(Err(error)) => self.fail(format!("{name}: {error}")),
                Err(_) => self.fail(format!("{name}: panicked, see above")),
            }
        }
        worker.let_go();
        beat(u64::MAX - STEP_LIMIT.as_secs());
    }

    /// Closes the database and opens it again, while no step is running. `force`: over open iterators and snapshots. `check` looks at it
    /// before anybody else.
    pub fn reopen(&self, force: bool, flush: bool, check: impl FnOnce(&Self, &Opened) -> Checked<()>) -> Checked<()> {
        let _alone = self.keep_open();
        self.letting_go.store(!force, Ordering::Release);
        let mut opened = loop {
            let opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
            let open = opened.db.open_objects();
            if force || open.iterators + open.snapshots == 0 || self.is_stopping() {
                break opened;
            }
            drop(opened);
            std::thread::sleep(Duration::from_millis(5));
        };
        self.letting_go.store(false, Ordering::Release);
        if self.is_stopping() {
            return Ok(());
        }
        opened.db.close(&CloseOptions { flush: Some(flush), force, timeout: None })?;
        *opened = open(&self.path, &self.options, opened.generation + 1)?;
        Counts::add(&self.counts.reopened, 1);
        check(self, &opened)
    }

    /// Closes the database for good. All workers have ended.
    pub fn close(&self) -> Checked<()> {
        let opened = self.enter();
        let open = opened.db.open_objects();
        if open.iterators + open.snapshots > 0 {
            return Err(format!("everything was let go of, and still open are {open:?}").into());
        }
        Ok(opened.db.close(&CloseOptions::default())?)
    }
}
