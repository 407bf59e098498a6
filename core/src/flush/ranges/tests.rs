//! A flush in ranges: the same bytes whoever encodes them, errors and panics of a helper, and how far it may go ahead.

use super::*;
use crate::atomic::Ordering;
use crate::env::executor::SeededRuntime;
use crate::env::mem::MemFileSystem;
use crate::env::{Bell, Env, JobKind, Next, Pooled, Task, TaskHandle, read_file};
use crate::error::{Error, ErrorKind};
use crate::flush::output::{Incoming, write_run_of};
use crate::flush::{RunOutput, RunTarget, write_run};
use crate::iter::{EntryBatch, PinnedBytes};
use crate::key::{CollectionId, Entry, FileNumber, Kind, MemtableId};
use crate::memtable::{ArenaPool, Memtable, MemtableOptions};
use crate::sst::{Access, BlockCache, Compression, SstIdentity};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

/// A runtime whose helpers run so many steps at once, and no more before somebody waits for their end.
struct Helped {
    inner: Arc<SeededRuntime>,
    steps: usize,
    helped: AtomicUsize,
    /// Those that have not ended.
    helpers: Arc<AtomicUsize>,
}

struct Stopped {
    task: Mutex<Option<Box<dyn Task>>>,
    helpers: Arc<AtomicUsize>,
}

impl TaskHandle for Stopped {
    fn is_done(&self) -> bool {
        self.task.lock().is_none()
    }

    fn join(&self) {
        let Some(mut task) = self.task.lock().take() else { return };
        assert_eq!(task.step(), Next::Done, "the helper goes on although nobody wants it");
        self.helpers.fetch_sub(1, Ordering::SeqCst);
    }
}

fn helped(steps: usize) -> Arc<Helped> {
    let inner = SeededRuntime::new(1);
    Arc::new(Helped { inner, steps, helped: AtomicUsize::new(0), helpers: Arc::default() })
}

impl Runtime for Helped {
    fn monotonic_nanos(&self) -> u64 {
        self.inner.monotonic_nanos()
    }

    fn unix_nanos(&self) -> u64 {
        self.inner.unix_nanos()
    }

    fn random(&self) -> u64 {
        self.inner.random()
    }

    fn spawn(&self, name: &str, bell: Arc<Bell>, task: Box<dyn Task>) -> Result<Box<dyn TaskHandle>> {
        self.inner.spawn(name, bell, task)
    }

    fn spawn_pooled(&self, pooled: Pooled, _bell: Arc<Bell>, mut task: Box<dyn Task>) -> Result<Box<dyn TaskHandle>> {
        assert_eq!(pooled.kind, JobKind::Help);
        if self.steps == 0 {
            return Err(Error::new(ErrorKind::NotSupported, "no thread to be had"));
        }
        for _ in 0..self.steps {
            match task.step() {
                Next::Again => self.helped.fetch_add(1, Ordering::Relaxed),
                Next::Wait(_) => break,
                Next::Done => panic!("a helper ends before the job"),
            };
        }
        self.helpers.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Stopped { task: Mutex::new(Some(task)), helpers: self.helpers.clone() }))
    }

    fn wait(&self, bell: &Bell, seen: u64, timeout: Option<Duration>) -> bool {
        self.inner.wait(bell, seen, timeout)
    }

    fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration);
    }

    fn forked(&self) -> bool {
        false
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = crate::env::executor::mix(self.0);
        self.0 % limit
    }
}

fn memtable(id: u64, versions: impl IntoIterator<Item = (Vec<u8>, Sequence, Kind, Vec<u8>)>) -> Arc<Memtable> {
    let options = MemtableOptions { hash_seed: id, pool: ArenaPool::new(0) };
    let (mut writer, memtable) = crate::memtable::create(MemtableId(id), &options).unwrap();
    for (key, sequence, kind, value) in versions {
        writer.reserve(1, key.len() + value.len()).unwrap();
        writer.insert(sequence, kind, &key, &value);
    }
    drop(writer);
    memtable.freeze();
    memtable
}

/// Memtables of one history, newest first, and some snapshots of it.
fn history(seed: u64) -> (Vec<Arc<Memtable>>, Vec<Sequence>) {
    let mut random = Random(seed);
    let shapes = [random.below(6), random.below(6)];
    let prefix = vec![b'p'; random.below(40) as usize];
    let mut sequence: Sequence = 0;
    let mut memtables = Vec::new();
    for id in 0..1 + random.below(3) {
        let size = random.below(10);
        let count = 1 + random.below(4 << size);
        let mut versions = Vec::new();
        for _ in 0..count {
            sequence += 1;
            let number = random.below(600);
            let key = match shapes[(number % 2) as usize] {
                // Rising ones are the sorted prefix of the log.
                0 => sequence.to_be_bytes().to_vec(),
                1 => [&prefix[..], &number.to_be_bytes()].concat(),
                2 => vec![b'a'; (number % 300) as usize],
                // One key has nearly all versions.
                3 => vec![b'h'; usize::from(number < 4)],
                4 => [&crate::env::executor::mix(number).to_be_bytes()[..], &vec![7; 2000]].concat(),
                _ => number.to_string().into_bytes(),
            };
            let value = match random.below(400) {
                0 => vec![sequence as u8; 300 << 10],
                1..9 => vec![sequence as u8; 6_000],
                _ => vec![sequence as u8; random.below(200) as usize],
            };
            versions.push(match random.below(6) {
                0 => (key, sequence, Kind::Delete, Vec::new()),
                _ => (key, sequence, Kind::Put, value),
            });
        }
        memtables.push(memtable(id, versions));
    }
    memtables.reverse();
    let snapshots: BTreeSet<Sequence> = (0..random.below(4)).map(|_| random.below(sequence + 1)).collect();
    (memtables, snapshots.into_iter().collect())
}

fn target(runtime: Arc<dyn Runtime>, compression: Compression) -> RunTarget {
    let identity =
        SstIdentity { database_id: 1, number: FileNumber(7), collection: CollectionId(3), ..SstIdentity::default() };
    RunTarget {
        env: Env { files: MemFileSystem::new(), runtime },
        path: "/db/cf/x/000007.sst".into(),
        identity,
        options: SstOptions { compression, ..SstOptions::default() },
        cache: BlockCache::new(1 << 20),
        level: 0,
    }
}

fn encoding(target: &RunTarget, snapshots: &[Sequence], bottom: bool) -> Encoding {
    Encoding { options: target.options.clone(), snapshots: snapshots.to_vec(), bottom }
}

fn flush(
    target: RunTarget,
    (memtables, snapshots): &(Vec<Arc<Memtable>>, Vec<Sequence>),
    range_bytes: u64,
    bottom: bool,
) -> RunOutput {
    let expected = memtables.iter().map(|memtable| memtable.entry_count()).sum();
    let (runtime, encoding) = (target.env.runtime.clone(), encoding(&target, snapshots, bottom));
    write_run_of(target, Incoming::Exactly(expected), |writer| {
        let ranges = cut_ranges(FlushRanges::new(memtables.clone(), range_bytes), &*runtime, None)?;
        encode_ranges(ranges, encoding, &*runtime, writer, None)
    })
    .unwrap()
}

type Version = (Vec<u8>, Sequence, Kind, Vec<u8>);

fn entries(output: &RunOutput) -> Vec<Version> {
    let Some((_, reader)) = &output.file else { return Vec::new() };
    let mut cursor = reader.bytes().unwrap().cursor(Access::Scan);
    let mut all = Vec::new();
    let mut more = cursor.seek_to_first().unwrap();
    while more {
        let entry = cursor.entry();
        all.push((entry.key.to_vec(), entry.sequence, entry.kind, entry.value.to_vec()));
        more = cursor.next().unwrap();
    }
    all
}

#[test]
fn the_file_is_the_same_whoever_encodes_its_ranges_and_holds_what_one_range_holds() {
    let mut helped_in = 0;
    for seed in 0..60 {
        let history = history(seed);
        let mut random = Random(seed ^ 0xABCD);
        let bottom = random.below(2) == 0;
        let compression = [Compression::None, Compression::Lz4, Compression::Zstd][random.below(3) as usize];
        let range_bytes = 256 << random.below(10);
        let path = Path::new("/db/cf/x/000007.sst");
        let mut first = None;
        for steps in [0, 1, 3, usize::MAX] {
            let runtime = helped(steps);
            let target = target(runtime.clone(), compression);
            let files = target.env.files.clone();
            let output = flush(target, &history, range_bytes, bottom);
            let bytes = output.file.as_ref().map(|_| read_file(&*files, path, 1 << 30).unwrap());
            if let Some((_, reader)) = &output.file {
                reader.bytes().unwrap().verify().unwrap();
            }
            let (bytes_before, counts) = first.get_or_insert_with(|| (bytes.clone(), output.counts));
            assert!(*bytes_before == bytes, "seed {seed}: {steps} steps of a helper make another file");
            assert_eq!(*counts, output.counts, "seed {seed}");
            helped_in += runtime.helped.load(Ordering::Relaxed);
            if steps == 0 {
                let (memtables, snapshots) = &history;
                let cursors = memtables.iter().map(Memtable::flush_cursor).collect();
                let survivors = Survivors::new(Merge::new(cursors), snapshots.clone(), bottom);
                let expected = memtables.iter().map(|memtable| memtable.entry_count()).sum();
                let whole = write_run(self::target(helped(0), compression), survivors, expected, None).unwrap();
                assert!(entries(&whole) == entries(&output), "seed {seed}: ranges lose or change entries");
                assert_eq!(whole.counts, output.counts, "seed {seed}");
            }
        }
    }
    assert!(helped_in > 100, "helpers had work in {helped_in} steps only");
}

#[test]
fn real_threads_make_the_same_file() {
    let versions = (0..20_000u64).map(|number| {
        (crate::env::executor::mix(number % 9_000).to_be_bytes().to_vec(), number + 1, Kind::Put, vec![1; 100])
    });
    let history = (vec![memtable(1, versions)], vec![10_000]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cf/x/000007.sst");
    let mut first = None;
    for round in 0..8 {
        let mut target = target(helped(0), Compression::None);
        if round > 0 {
            target.env = crate::env::posix::posix();
            target.path.clone_from(&path);
        }
        let files = target.env.files.clone();
        let written = target.path.clone();
        flush(target, &history, 20_000, false);
        let bytes = read_file(&*files, &written, 1 << 30).unwrap();
        assert!(*first.get_or_insert_with(|| bytes.clone()) == bytes, "round {round}");
        files.remove(&written).unwrap();
    }
}

/// What a cursor of [`Told`] does at its entry.
#[derive(Clone)]
enum Deed {
    Nothing,
    Fail,
    Panic,
    /// Calls the job off.
    Cancel(Arc<AtomicBool>),
    /// So many more keys, of values of 10 KB.
    Keys(u64),
}

/// A source of its own key, then of what it is told to do.
struct Told {
    key: Vec<u8>,
    sequence: Sequence,
    deed: Deed,
    value: Vec<u8>,
    moves: Arc<AtomicU64>,
    valid: bool,
}

impl Cursor for Told {
    fn seek_to_first(&mut self) -> Result<bool> {
        self.valid = true;
        Ok(true)
    }

    fn next(&mut self) -> Result<bool> {
        self.moves.fetch_add(1, Ordering::SeqCst);
        match &mut self.deed {
            Deed::Fail => return Err(Error::new(ErrorKind::NoMemory, "as it was told")),
            Deed::Panic => panic!("as it was told"),
            Deed::Cancel(cancel) => {
                cancel.store(true, Ordering::SeqCst);
                self.valid = false;
            }
            Deed::Keys(left) if *left > 0 => {
                *left -= 1;
                self.key.truncate(8);
                self.key.extend_from_slice(&(u64::MAX - *left).to_be_bytes());
            }
            Deed::Nothing | Deed::Keys(_) => self.valid = false,
        }
        Ok(self.valid)
    }

    fn is_valid(&self) -> bool {
        self.valid
    }

    fn entry(&self) -> Entry<'_> {
        Entry { key: &self.key, sequence: self.sequence, kind: Kind::Put, value: &self.value }
    }

    fn seek_to_last(&mut self) -> Result<bool> {
        unreachable!()
    }

    fn seek(&mut self, _key: &[u8]) -> Result<bool> {
        unreachable!()
    }

    fn seek_for_prev(&mut self, _key: &[u8]) -> Result<bool> {
        unreachable!()
    }

    fn prev(&mut self) -> Result<bool> {
        unreachable!()
    }

    fn pin_value(&self) -> PinnedBytes {
        unreachable!()
    }

    fn push_to(&self, _batch: &mut EntryBatch) {
        unreachable!()
    }
}

/// Sources of `count` ranges, of which `odd` does `deed`, and the moves of each.
fn told(count: u64, odd: Option<u64>, deed: Deed) -> (Vec<Vec<Told>>, Vec<Arc<AtomicU64>>) {
    let moves: Vec<_> = (0..count).map(|_| Arc::new(AtomicU64::new(0))).collect();
    let range = |number: u64| {
        let does = odd.is_none_or(|odd| odd == number);
        let deed = if does { deed.clone() } else { Deed::Nothing };
        let moves = moves[number as usize].clone();
        vec![Told {
            key: number.to_be_bytes().to_vec(),
            sequence: 1 << 50,
            deed,
            value: vec![3; 10_000],
            moves,
            valid: false,
        }]
    };
    ((0..count).map(range).collect(), moves)
}

fn encode_told(target: RunTarget, ranges: Vec<Vec<Told>>, cancel: Option<&AtomicBool>) -> Result<RunOutput> {
    let (runtime, encoding) = (target.env.runtime.clone(), encoding(&target, &[], false));
    let expected = ranges.len() as u64;
    write_run_of(target, Incoming::Exactly(expected), |writer| {
        encode_ranges(ranges, encoding, &*runtime, writer, cancel)
    })
}

#[test]
fn errors_and_panics_of_a_helper_are_those_of_the_job_and_leave_no_file() {
    for (deed, kind) in [(Deed::Fail, ErrorKind::NoMemory), (Deed::Panic, ErrorKind::Panic)] {
        for odd in 0..3 {
            let runtime = helped(usize::MAX);
            let target = target(runtime.clone(), Compression::None);
            let files = target.env.files.clone();
            let error = encode_told(target, told(8, Some(odd), deed.clone()).0, None).err();
            assert_eq!(error.expect("the job hears of it").kind(), kind, "the job hears of something else");
            assert_eq!(runtime.helpers.load(Ordering::SeqCst), 0, "a helper is left");
            assert_eq!(runtime.helped.load(Ordering::Relaxed), RANGES_AHEAD, "it was the helper's");
            assert_eq!(files.list(Path::new("/db/cf/x")).unwrap(), [""; 0], "a file is left");
        }
    }
}

#[test]
fn a_helper_goes_no_further_ahead_than_it_may() {
    let runtime = helped(usize::MAX);
    let (ranges, moves) = told(32, None, Deed::Keys(1_000));
    let began = moves.clone();
    let target = target(runtime.clone(), Compression::None);
    let (encoding, expected) = (encoding(&target, &[], false), 32 * 1_001);
    let output = write_run_of(target, Incoming::Exactly(expected), |writer| {
        let work = Arc::new(Ranges { encoding, cursors: Mutex::new(ranges), spares: Mutex::default() });
        let mut counts = SurvivorCounts::default();
        in_order(&work, (32, RANGES_AHEAD), &*runtime, None, |number, done| {
            if number == 0 {
                let begun = began.iter().filter(|moves| moves.load(Ordering::SeqCst) > 0).count();
                assert_eq!(begun, RANGES_AHEAD, "ranges are encoded too far ahead");
                let entries = began[0].load(Ordering::SeqCst);
                assert!((200..400).contains(&entries), "{entries} entries of 10 KB are held before their turn");
            }
            let range = done.map_or_else(|| work.begin(number), Ok)?;
            counts.add(&work.place(range, writer, None)?);
            Ok(())
        })?;
        Ok(counts)
    })
    .unwrap();
    assert_eq!(output.counts.entries_out, expected);
}

#[test]
fn a_job_that_is_called_off_leaves_no_helper_and_no_file() {
    let cancelled = || Err(Error::new(ErrorKind::Cancelled, "nobody wants it"));
    let target_of = |runtime: &Arc<Helped>| target(runtime.clone(), Compression::None);
    let (ranges, moves) = told(1, None, Deed::Keys(1_000));
    let encoding = encoding(&target_of(&helped(0)), &[], false);
    let work = Ranges { encoding, cursors: Mutex::new(ranges), spares: Mutex::default() };
    assert_eq!(work.ahead(0, &cancelled).err().unwrap().kind(), ErrorKind::Cancelled);
    assert_eq!(moves[0].load(Ordering::SeqCst), 0, "a range is encoded that nobody wants");
    for odd in [0, 1, 6] {
        let runtime = helped(1);
        let target = target_of(&runtime);
        let files = target.env.files.clone();
        let cancel = Arc::new(AtomicBool::new(false));
        let ranges = told(8, Some(odd), Deed::Cancel(cancel.clone())).0;
        let error = encode_told(target, ranges, Some(&cancel)).err().expect("the job was called off");
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(runtime.helpers.load(Ordering::SeqCst), 0, "a helper is left");
        assert_eq!(files.list(Path::new("/db/cf/x")).unwrap(), [""; 0], "a file is left");
    }
}
