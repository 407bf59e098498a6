//! Writers that share one sync of the log: one leads it, the others return when it, or a later one, covers their records; if it
//! fails, all of them fail.
//!
//! The files are the model's: a sync covers what was written before it began, and nothing else becomes durable.

use loom::thread;
use sstore::atomic::{AtomicBool, AtomicU64, Ordering, check};
use sstore::env::{Env, File, FileLock, FileSystem, Mapping, Runtime};
use sstore::error::{Error, ErrorKind, Result};
use sstore::key::{FileNumber, Sequence};
use sstore::lock::Mutex;
use sstore::record::payload_checksum;
use sstore::wal::{Log, LogBackend, LogIdentity, LogOptions, LogWriter, segment_name};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIRECTORY: &str = "/wal";

/// How far a file is written and how far durable. Read by read-modify-writes, which see the newest value, and Relaxed, so that
/// the files lend the engine no order of theirs.
struct ModelFile {
    path: PathBuf,
    written: AtomicU64,
    durable: AtomicU64,
    syncing: AtomicBool,
    /// Syncs that succeed before one fails.
    syncs_left: AtomicU64,
    has_failed: std::sync::atomic::AtomicBool,
}

fn newest(number: &AtomicU64) -> u64 {
    number.fetch_add(0, Ordering::Relaxed)
}

impl File for ModelFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, _buffer: &mut [u8], _offset: u64) -> Result<usize> {
        Ok(0)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.written.fetch_max(offset + bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(newest(&self.written))
    }

    fn set_len(&self, _len: u64) -> Result<()> {
        Ok(())
    }

    fn allocate(&self, _len: u64) -> Result<()> {
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        assert!(!self.has_failed.load(Ordering::Relaxed), "a file was synced again after its sync failed");
        let written = newest(&self.written);
        // Steps of the model: others go on while a sync takes its time.
        assert!(!self.syncing.swap(true, Ordering::AcqRel), "two syncs of one file at a time");
        self.syncing.store(false, Ordering::Release);
        if newest(&self.syncs_left) == 0 {
            self.has_failed.store(true, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::Io, "the disk is gone"));
        }
        self.syncs_left.fetch_sub(1, Ordering::Relaxed);
        self.durable.fetch_max(written, Ordering::Relaxed);
        Ok(())
    }

    fn start_writeback(&self, _offset: u64, _len: u64) {}

    fn map(&self, _len: u64) -> Result<Option<Box<dyn Mapping>>> {
        Ok(None)
    }
}

/// Makes files, each of which can be synced so often.
struct ModelFiles {
    syncs: u64,
    files: std::sync::Mutex<Vec<Arc<ModelFile>>>,
    removed: std::sync::Mutex<Vec<PathBuf>>,
}

impl ModelFiles {
    fn find(&self, number: FileNumber) -> Arc<ModelFile> {
        let path = Path::new(DIRECTORY).join(segment_name(number));
        self.files.lock().unwrap().iter().find(|file| file.path == path).unwrap().clone()
    }
}

impl FileSystem for ModelFiles {
    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        let file = Arc::new(ModelFile {
            path: path.to_path_buf(),
            written: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            syncing: AtomicBool::new(false),
            syncs_left: AtomicU64::new(self.syncs),
            has_failed: std::sync::atomic::AtomicBool::new(false),
        });
        self.files.lock().unwrap().push(file.clone());
        Ok(file)
    }

    fn sync_dir(&self, _dir: &Path) -> Result<()> {
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.removed.lock().unwrap().push(path.to_path_buf());
        Ok(())
    }

    fn prefers_mapping(&self, _dir: &Path) -> bool {
        false
    }

    fn free_bytes(&self, _dir: &Path) -> Option<u64> {
        None
    }

    fn open(&self, _path: &Path) -> Result<Arc<dyn File>> {
        unreachable!("a log that is only written opens no file")
    }

    fn file_len(&self, _path: &Path) -> Result<Option<u64>> {
        unreachable!("a log that is only written asks for no length")
    }

    fn create_dir(&self, _path: &Path) -> Result<bool> {
        unreachable!("the log's directory exists")
    }

    fn list(&self, _dir: &Path) -> Result<Vec<String>> {
        unreachable!("a log that is only written lists no directory")
    }

    fn rename(&self, _from: &Path, _to: &Path) -> Result<()> {
        unreachable!("the log renames nothing")
    }

    fn link(&self, _from: &Path, _to: &Path) -> Result<()> {
        unreachable!("the log links nothing")
    }

    fn remove_dir(&self, _path: &Path) -> Result<()> {
        unreachable!("the log removes no directory")
    }

    fn lock(&self, _path: &Path) -> Result<Box<dyn FileLock>> {
        unreachable!("the log takes no file lock")
    }
}

/// A log, its writer behind the commit lock, and its files.
struct Database {
    files: Arc<ModelFiles>,
    writer: Mutex<LogWriter>,
    log: Arc<Log>,
}

/// A record, and where its bytes end in which file.
struct Written {
    sequence: Sequence,
    file: Arc<ModelFile>,
    end: u64,
}

impl Written {
    fn is_durable(&self) -> bool {
        newest(&self.file.durable) >= self.end
    }
}

impl Database {
    /// Each file can be synced `syncs` times, those of its making among them.
    fn new(runtime: &Arc<dyn Runtime>, syncs: u64) -> Arc<Self> {
        let files = Arc::new(ModelFiles { syncs, files: Default::default(), removed: Default::default() });
        let env = Env { files: files.clone(), runtime: runtime.clone() };
        let number = AtomicU64::new(1);
        let (writer, log) = Log::create(
            &env,
            Path::new(DIRECTORY),
            LogIdentity { database_id: 1, epoch: 1 },
            LogOptions { backend: LogBackend::Write, ..LogOptions::default() },
            Arc::new(move || FileNumber(number.fetch_add(1, Ordering::Relaxed))),
            0,
            Arc::new(|_| {}),
        )
        .unwrap();
        Arc::new(Self { files, writer: Mutex::new(writer), log })
    }

    /// Appends the next record, as a commit does; `next` goes on in a new segment first.
    fn append(&self, next: bool) -> Result<Written> {
        let mut writer = self.writer.lock();
        if next {
            writer.switch_segment()?;
        }
        let sequence = self.log.appended_sequence() + 1;
        let payload: &[&[u8]] = &[b"0123456"];
        writer.append(sequence, 1, payload, payload_checksum(payload))?;
        let file = self.files.find(self.log.segments().last().unwrap().number);
        Ok(Written { sequence, end: newest(&file.written), file })
    }

    /// A write that waits until it is durable. Gives whether it is.
    fn write_synced(&self, next: bool) -> bool {
        let synced = self.append(next).and_then(|written| {
            self.log.sync(written.sequence)?;
            assert!(written.is_durable(), "record {} was acknowledged and is not durable", written.sequence);
            assert!(self.log.durable_sequence() >= written.sequence);
            Ok(())
        });
        if let Err(error) = &synced {
            assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
        }
        synced.is_ok()
    }
}

/// Runs writers beside each other, the first on the thread of the model; `outcome` judges which of them succeeded.
fn run(syncs: u64, writers: &'static [fn(&Database) -> bool], outcome: fn(&[bool])) {
    // Its wait is a bell's; what it says of the time decides nothing.
    let runtime = sstore::env::posix::posix().runtime;
    let runs = check(2, move || {
        let database = Database::new(&runtime, syncs);
        let others: Vec<_> = writers[1..]
            .iter()
            .map(|write| {
                let database = database.clone();
                thread::spawn(move || write(&database))
            })
            .collect();
        let mut succeeded = vec![writers[0](&database)];
        succeeded.extend(others.into_iter().map(|thread| thread.join().unwrap()));
        outcome(&succeeded);
    });
    println!("{runs} runs");
}

const THREE_WRITERS: &[fn(&Database) -> bool] = &[
    |database| database.write_synced(false),
    |database| database.write_synced(false),
    |database| database.write_synced(false),
];

/// What making a segment takes: a sync for its header, and for the first one another for its BEGIN record.
const SYNCS_TO_MAKE: u64 = 2;

#[test]
fn an_acknowledged_write_is_durable() {
    run(u64::MAX, THREE_WRITERS, |succeeded| assert!(succeeded.iter().all(|&each| each)));
}

#[test]
fn an_acknowledged_write_is_durable_across_segments() {
    run(
        u64::MAX,
        &[
            |database| database.write_synced(false) && database.write_synced(true),
            |database| database.write_synced(false),
        ],
        |succeeded| assert!(succeeded.iter().all(|&each| each)),
    );
}

#[test]
fn a_leader_that_fails_fails_everybody() {
    run(SYNCS_TO_MAKE, THREE_WRITERS, |succeeded| assert!(!succeeded.iter().any(|&each| each)));
}

#[test]
fn a_later_leader_that_fails_takes_nothing_back() {
    // Which writes succeed depends on who joined the first sync; that those are durable, each looks for itself.
    run(SYNCS_TO_MAKE + 1, THREE_WRITERS, |succeeded| assert!(succeeded.iter().any(|&each| each)));
}

#[test]
fn segments_made_ahead_are_used_in_order_or_removed() {
    let runtime = sstore::env::posix::posix().runtime;
    let runs = check(3, move || {
        let database = Database::new(&runtime, u64::MAX);
        let helper = thread::spawn({
            let (_, mut helper) = database.log.helper(Box::new(|| {}));
            move || {
                helper.step();
                helper.step();
            }
        });
        assert!(database.write_synced(false) && database.write_synced(true) && database.write_synced(true));
        helper.join().unwrap();
        database.log.stop();
        let used: Vec<_> = database.log.segments().iter().map(|segment| database.files.find(segment.number)).collect();
        assert_eq!(used.len(), 3);
        assert!(used.is_sorted_by(|older, newer| older.path < newer.path), "numbers rise along the log");
        let removed = database.files.removed.lock().unwrap();
        for file in database.files.files.lock().unwrap().iter() {
            let is_used = used.iter().any(|other| other.path == file.path);
            assert_eq!(is_used, !removed.contains(&file.path), "{} is used or removed", file.path.display());
        }
    });
    println!("{runs} runs");
}
