//! One small database, damaged in every way: each byte of each file flipped, each file cut at every length, missing, swapped with one
//! of its kind, or stale. Each time it must open and read with an error that names the file, or with exactly the right data.
//!
//! What is promised for the log depends on how it ended. After a clean close the manifest says how long it is: whatever it lost is
//! an error. After a kill, a record that a later record or a mark knows to be durable is never missed; behind that, damage cannot be
//! told from the torn end of a write, and the commits before it are there. What is undamaged still reads: the other
//! family, and the other blocks of a damaged table; where a table does not open at all, both families go on being written, flushed
//! and closed. Nothing panics, hangs, or deletes a table or a foreign file.

use crate::silent::silently;
use sstore::env::executor::SeededRuntime;
use sstore::env::mem::MemFileSystem;
use sstore::env::mem::crash::AllKept;
use sstore::env::{Env, FileSystem, Runtime};
use sstore::{
    CloseOptions, Db, Durability, Error, ErrorKind, IterOptions, Options, ReadOptions, WriteBatch, WriteOptions,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The content of one family, and of all of them.
type Content = BTreeMap<Vec<u8>, Vec<u8>>;
type State = BTreeMap<String, Content>;
type Tree = BTreeMap<PathBuf, Vec<u8>>;

const FAMILIES: [&str; 2] = ["default", "other"];
const DIRECTORY: &str = "/db";
/// More steps of background tasks than this are a hang.
const STEPS_MAX: u64 = 100_000;

/// How a process left its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Closed,
    Killed,
    /// Killed after everything was synced and nothing was written for a while.
    KilledIdle,
}

/// A finished database as a closed or killed process left it.
struct Fixture {
    files: Arc<MemFileSystem>,
    tree: Tree,
    /// The files as they were at earlier moments.
    earlier: Vec<Tree>,
    log: PathBuf,
    ending: Ending,
    backend: &'static str,
    /// The state before the log's first record and after each of its commits.
    states: Vec<State>,
    /// Where the records begin, and where each commit's record ends, trailing zeros left out; a mark's counts as one more.
    ends: Vec<u64>,
    /// (commit or mark, the newest commit that it knows to be durable), both counted from 1.
    proofs: Vec<(usize, usize)>,
}

fn options(backend: &str) -> Options {
    let set = [
        ("write_buffer_bytes", "64KiB"),
        ("wal_segment_bytes", "64KiB"),
        ("memory_budget_bytes", "1MiB"),
        ("block_bytes", "512"),
        ("wal_backend", backend),
        ("auto_compaction", "false"),
        ("background_threads", "1"),
    ];
    set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap())
}

fn open(files: &Arc<MemFileSystem>, backend: &str) -> (Result<Db, Error>, Arc<SeededRuntime>) {
    let runtime = SeededRuntime::new(3);
    let env = Env { files: files.clone(), runtime: runtime.clone() };
    (Db::open_in(env, Path::new(DIRECTORY), &options(backend)), runtime)
}

/// Every file below a directory.
fn walk(files: &MemFileSystem, dir: &Path, found: &mut BTreeSet<PathBuf>) {
    for name in files.list(dir).unwrap() {
        let path = dir.join(name);
        match files.list(&path) {
            Ok(_) => walk(files, &path, found),
            Err(_) => _ = found.insert(path),
        }
    }
}

fn names(files: &MemFileSystem) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    walk(files, Path::new(DIRECTORY), &mut found);
    found
}

fn bytes_of(files: &MemFileSystem, path: &Path) -> Vec<u8> {
    let file = files.open(path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

fn tree(files: &MemFileSystem) -> Tree {
    names(files).into_iter().map(|path| (path.clone(), bytes_of(files, &path))).collect()
}

fn write_file(files: &MemFileSystem, path: &Path, bytes: &[u8]) {
    if files.file_len(path).unwrap().is_some() {
        files.remove(path).unwrap();
    }
    files.create(path).unwrap().write_at(bytes, 0).unwrap();
}

/// The length of a file without the zeros that it ends in.
fn used(bytes: &[u8]) -> u64 {
    bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1)
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sst")
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

fn kind(path: &Path) -> &'static str {
    let name = path.file_name().unwrap().to_str().unwrap();
    match name {
        _ if is_table(path) => "table",
        _ if is_log(path) => "log",
        "CURRENT" | "LOCK" => {
            if name == "LOCK" {
                "lock"
            } else {
                "current"
            }
        }
        _ if name.starts_with("MANIFEST-") => "manifest",
        _ => "foreign",
    }
}

impl Fixture {
    fn build(ending: Ending, backend: &'static str) -> Self {
        let files = MemFileSystem::new();
        let (db, runtime) = open(&files, backend);
        let db = db.unwrap();
        let lz4 = options(backend).with("compression", "lz4").unwrap();
        let families = [db.default_family(), db.create_column_family("other", &lz4).unwrap()];
        let mut state: State = FAMILIES.iter().map(|name| ((*name).to_owned(), Content::new())).collect();
        let mut earlier = vec![tree(&files)];
        let put = |batch: &mut WriteBatch, state: &mut State, family: usize, key: String, value: String| {
            batch.put(families[family].id(), key.as_bytes(), value.as_bytes()).unwrap();
            state.get_mut(FAMILIES[family]).unwrap().insert(key.into_bytes(), value.into_bytes());
        };
        // Three tables: two runs of one family that overlap, one compressed run of the other.
        for round in 0..3usize {
            let family = usize::from(round == 1);
            for index in 0..24 {
                let mut batch = WriteBatch::new();
                put(
                    &mut batch,
                    &mut state,
                    family,
                    format!("key{:02}", index * (round + 1) % 40),
                    format!("{round}-{index:->40}"),
                );
                db.write(&batch, &WriteOptions::default()).unwrap();
            }
            db.flush(&[]).unwrap().wait(None).unwrap();
            runtime.run_until_idle();
            earlier.push(tree(&files));
        }
        files.create(&Path::new(DIRECTORY).join("notes.txt")).unwrap().write_at(b"foreign", 0).unwrap();
        files.create(&Path::new(DIRECTORY).join("cf/other/notes.txt")).unwrap().write_at(b"foreign", 0).unwrap();

        // Twelve records in the log: two families in each, the fifth and the eighth synced.
        let before = tree(&files);
        let mut states = vec![state.clone()];
        let (mut log, mut ends, mut proofs, mut durable) = (PathBuf::new(), Vec::new(), Vec::new(), 0);
        for index in 1..=12usize {
            let mut batch = WriteBatch::new();
            for family in 0..2 {
                put(&mut batch, &mut state, family, format!("key{:02}", index * 3), format!("log-{index:->20}"));
            }
            batch.delete(families[1].id(), format!("key{index:02}").as_bytes()).unwrap();
            state.get_mut("other").unwrap().remove(format!("key{index:02}").as_bytes());
            let sync = index == 5 || index == 8 || index == 12 && ending == Ending::KilledIdle;
            let durability = Some(if sync { Durability::Sync } else { Durability::Buffered });
            db.write(&batch, &WriteOptions { durability, no_stall: false }).unwrap();
            proofs.push((index, durable));
            if sync {
                durable = index;
            }
            states.push(state.clone());
            let now = tree(&files);
            if index == 1 {
                let grown = |path: &&PathBuf| is_log(path) && before.get(*path) != now.get(*path);
                log = now.keys().find(grown).unwrap().clone();
                ends.push(used(&before[&log]).next_multiple_of(8));
            }
            ends.push(used(&now[&log]));
            if index % 4 == 0 {
                earlier.push(now);
            }
        }
        if ending == Ending::KilledIdle {
            runtime.sleep(std::time::Duration::from_secs(3));
            ends.push(used(&tree(&files)[&log]));
            proofs.push((13, 12));
        }
        let files = if ending == Ending::Closed {
            db.close(&CloseOptions { flush: Some(false), ..CloseOptions::default() }).unwrap();
            files
        } else {
            files.crash_clone(&mut AllKept)
        };
        let tree = tree(&files);
        assert_eq!(tree.keys().filter(|path| is_table(path)).count(), 3);
        assert!(ends.windows(2).all(|pair| pair[0] < pair[1]), "{ends:?}");
        Self { files, tree, earlier, log, ending, backend, states, ends, proofs }
    }

    /// The least commit that must be found when the log's bytes of a range are damaged, if it is not an error.
    fn least_after_damage(&self, from: u64, to: u64) -> usize {
        // Records are padded to eight bytes, and the padding belongs to them.
        let end = |commit: usize| self.ends[commit].next_multiple_of(8);
        let whole = |commit: &usize| end(*commit) <= from || end(*commit - 1) >= to;
        let before = (1..self.ends.len()).take_while(|commit| end(*commit) <= from).last().unwrap_or(0);
        let proven = self.proofs.iter().filter(|(commit, _)| whole(commit)).map(|(_, durable)| *durable).max();
        before.max(proven.unwrap_or(0)).min(self.states.len() - 1)
    }
}

#[derive(Debug, Clone)]
enum Damage {
    Flip(u64, u8),
    Set(u64, u8),
    Truncate(u64),
    Missing,
    Swap(PathBuf),
    Stale(usize),
}

impl Damage {
    fn name(&self) -> &'static str {
        match self {
            Self::Flip(..) => "bit flipped",
            Self::Set(..) => "byte 00 or ff",
            Self::Truncate(_) => "truncated",
            Self::Missing => "missing",
            Self::Swap(_) => "swapped",
            Self::Stale(_) => "stale",
        }
    }
}

struct Case {
    path: PathBuf,
    damage: Damage,
}

fn cases(fixture: &Fixture, tables: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut random = 0x5eed_u64;
    for (path, bytes) in &fixture.tree {
        if is_table(path) && !tables || kind(path) == "foreign" {
            continue;
        }
        let mut add = |damage| cases.push(Case { path: path.clone(), damage });
        // Preallocated space is the same zero many times: all of it near the records, then a sample.
        let used = used(bytes) as usize + 64;
        for at in (0..bytes.len()).filter(|at| *at < used || at % 1499 == 7) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            add(Damage::Flip(at as u64, 1 << (random >> 61)));
            for value in [0x00, 0xff] {
                if bytes[at] != value {
                    add(Damage::Set(at as u64, value));
                }
            }
            add(Damage::Truncate(at as u64));
        }
        add(Damage::Missing);
        for other in fixture.tree.keys().filter(|other| *other > path && kind(other) == kind(path)) {
            add(Damage::Swap(other.clone()));
        }
        for stage in 0..fixture.earlier.len() {
            if fixture.earlier[stage].get(path).is_some_and(|old| old != bytes) {
                add(Damage::Stale(stage));
            }
        }
    }
    cases
}

fn damaged_files(fixture: &Fixture, case: &Case) -> Arc<MemFileSystem> {
    let files = fixture.files.crash_clone(&mut AllKept);
    let (path, bytes) = (&case.path, &fixture.tree[&case.path]);
    match &case.damage {
        Damage::Flip(at, bits) => files.damage(path, *at, &[bytes[*at as usize] ^ bits]).unwrap(),
        Damage::Set(at, value) => files.damage(path, *at, &[*value]).unwrap(),
        Damage::Truncate(len) => write_file(&files, path, &bytes[..*len as usize]),
        Damage::Missing => files.remove(path).unwrap(),
        Damage::Swap(other) => {
            write_file(&files, path, &fixture.tree[other]);
            write_file(&files, other, bytes);
        }
        Damage::Stale(stage) => write_file(&files, path, &fixture.earlier[*stage][path]),
    }
    files
}

/// How an attempt ended, in the order of the printed table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Opening failed and named the file.
    OpenNamed,
    /// Opening failed and named another file, which the damaged one contradicts.
    OpenNamedOther,
    /// The file did not open; the health and the reads that need it name it, and everything else goes on.
    FileNamed,
    /// A read failed and named the file; everything else was right.
    ReadNamed,
    /// All reads were right; `verify` named the file.
    VerifyNamed,
    /// All data are right.
    Right,
    /// The log was cut: a prefix that holds what the rest of the log proves.
    Prefix,
}

fn names_file(error: &Error, path: &Path) -> bool {
    error.path() == Some(path) || error.message().contains(path.file_name().unwrap().to_str().unwrap())
}

fn scan(db: &Db, family: &sstore::ColumnFamily) -> Result<Content, Error> {
    let mut iterator = db.iterator(family, IterOptions::default())?;
    let mut content = Content::new();
    let mut valid = iterator.seek_to_first()?;
    while valid {
        content.insert(iterator.key().to_vec(), iterator.value().to_vec());
        valid = iterator.next()?;
    }
    Ok(content)
}

fn check(fixture: &Fixture, case: &Case) -> Outcome {
    let files = damaged_files(fixture, case);
    let mut culprits = vec![case.path.as_path()];
    if let Damage::Swap(other) = &case.damage {
        culprits.push(other);
    }
    let named = |error: &Error| culprits.iter().any(|path| names_file(error, path));
    let there_before = names(&files);
    let (opened, runtime) = open(&files, fixture.backend);
    let db = match opened {
        Err(error) => {
            let gone: Vec<_> = there_before.difference(&names(&files)).cloned().collect();
            assert!(gone.is_empty(), "a failed opening deleted {gone:?}: {error}");
            assert!(matches!(error.kind(), ErrorKind::Corruption | ErrorKind::NotSupported), "{error:?}");
            if named(&error) {
                return Outcome::OpenNamed;
            }
            // An older state that is whole in itself: only what it no longer fits to can be named.
            let may_name_other = matches!(case.damage, Damage::Stale(_) | Damage::Truncate(_))
                && matches!(kind(&case.path), "manifest" | "current");
            let names_some = fixture.tree.keys().any(|path| names_file(&error, path)) || error.path().is_some();
            assert!(may_name_other && names_some, "names another file: {error}");
            return Outcome::OpenNamedOther;
        }
        Ok(db) => db,
    };
    assert_eq!(db.column_families().unwrap(), FAMILIES, "all families");
    let newest = fixture.states.last().unwrap();
    let mut read = State::new();
    let mut failed = false;
    let mut keys_right = 0;
    for name in FAMILIES {
        let family = db.column_family(name).unwrap();
        let holds_damage = culprits.iter().any(|path| path.starts_with(Path::new(DIRECTORY).join("cf").join(name)));
        match scan(&db, &family) {
            Ok(content) => _ = read.insert(name.to_owned(), content),
            Err(error) => {
                assert!(holds_damage && named(&error), "scan of {name}: {error}");
                failed = true;
            }
        }
        let expected = read.get(name).unwrap_or(&newest[name]);
        for index in 0..48 {
            let key = format!("key{index:02}").into_bytes();
            match db.get(&family, &key, &ReadOptions::default()) {
                Ok(value) => {
                    assert_eq!(value.as_deref(), expected.get(&key).map(Vec::as_slice), "get in {name}");
                    keys_right += 1;
                }
                Err(error) => {
                    assert!(holds_damage && named(&error), "get in {name}: {error}");
                    failed = true;
                }
            }
        }
    }
    assert!(keys_right >= 48, "the other family and the other blocks");
    assert!(runtime.step_count() < STEPS_MAX, "it does not come to rest");
    let kept = names(&files);
    let gone: Vec<_> =
        there_before.difference(&kept).filter(|path| is_table(path) || kind(path) == "foreign").cloned().collect();
    assert!(gone.is_empty(), "deleted {gone:?}");
    let verified = db.verify();
    if is_table(&case.path) {
        let error = verified.expect_err("verify finds damage of a live table");
        assert!(named(&error), "verify: {error}");
        if let Some(error) = db.background_error() {
            assert!(error.kind() == ErrorKind::Corruption && error.offset().is_some(), "{error:?}");
            assert!(named(&error), "the health names another file: {error}");
            // For the many that are cut, some stand for all.
            if !matches!(case.damage, Damage::Truncate(to) if to % 16 != 0) && !matches!(case.damage, Damage::Set(..)) {
                goes_on(db, &files, fixture.backend, &named);
                let gone: Vec<_> = culprits.iter().filter(|path| !names(&files).contains(**path)).collect();
                assert!(gone.is_empty(), "deleted {gone:?}");
            }
            return Outcome::FileNamed;
        }
        return if failed { Outcome::ReadNamed } else { Outcome::VerifyNamed };
    }
    verified.unwrap();
    if read == *newest {
        return Outcome::Right;
    }
    let found = fixture.states.iter().position(|state| *state == read);
    let Some(found) = found else { panic!("neither the right data nor a prefix of the log: {read:?}") };
    assert!(case.path == fixture.log, "commits are missing: {found} of {} are there", fixture.states.len() - 1);
    assert!(fixture.ending != Ending::Closed, "the manifest knows every commit, but only {found} are there");
    let len = fixture.tree[&fixture.log].len() as u64;
    let least = match &case.damage {
        Damage::Flip(at, _) | Damage::Set(at, _) => fixture.least_after_damage(*at, at + 1),
        Damage::Truncate(to) => fixture.least_after_damage(*to, len),
        // An older version of a log is the log after an earlier kill.
        Damage::Stale(stage) => fixture.least_after_damage(used(&fixture.earlier[*stage][&case.path]), len),
        Damage::Missing | Damage::Swap(_) => panic!("commits are missing: {found} are there"),
    };
    assert!(found >= least, "the log proves commit {least}, but only {found} are there");
    Outcome::Prefix
}

/// With a table that does not open: both families are written, flushed and closed, and the damage is there again afterwards.
fn goes_on(db: Db, files: &Arc<MemFileSystem>, backend: &str, named: &dyn Fn(&Error) -> bool) {
    let key = b"key000: new";
    for name in FAMILIES {
        let family = db.column_family(name).unwrap();
        db.put(&family, key, b"value", &WriteOptions::default()).unwrap();
    }
    db.flush(&[]).unwrap().wait(None).unwrap();
    for name in FAMILIES {
        let merged = db.compact(&db.column_family(name).unwrap());
        assert!(merged.is_ok() || merged.as_ref().is_err_and(named), "merge of {name}: {merged:?}");
    }
    db.close(&CloseOptions::default()).unwrap();
    let (db, _runtime) = open(files, backend);
    let db = db.unwrap();
    for name in FAMILIES {
        let value = db.get(&db.column_family(name).unwrap(), key, &ReadOptions::default()).unwrap();
        assert_eq!(value.as_deref(), Some(&b"value"[..]), "written to {name} beside the damage");
    }
    assert!(db.background_error().as_ref().is_some_and(named), "the health after a reopening");
}

fn run(name: &str, ending: Ending, tables: bool, backend: &'static str) {
    let fixture = Fixture::build(ending, backend);
    let (opened, _runtime) = open(&fixture.files.crash_clone(&mut AllKept), backend);
    let db = opened.unwrap();
    let whole: State = FAMILIES
        .iter()
        .map(|name| ((*name).to_owned(), scan(&db, &db.column_family(name).unwrap()).unwrap()))
        .collect();
    assert_eq!(whole, *fixture.states.last().unwrap(), "undamaged");
    db.verify().unwrap();
    drop(db);

    let cases = cases(&fixture, tables);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut outcomes = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            outcomes.push((case, silently(|| check(&fixture, case))));
        }
        outcomes
    };
    let outcomes = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.map(|thread| thread.join().unwrap()).concat()
    });

    let mut table: BTreeMap<(&str, &str), BTreeMap<Outcome, u64>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (case, outcome) in outcomes {
        match outcome {
            Ok(outcome) => {
                *table.entry((kind(&case.path), case.damage.name())).or_default().entry(outcome).or_default() += 1
            }
            Err(message) => wrong.push(format!("{} {:?}: {message}", case.path.display(), case.damage)),
        }
    }
    println!("{name}: {} cases", cases.len());
    for ((file, damage), counts) in &table {
        println!("  {file:9} {damage:14} {counts:?}");
    }
    wrong.sort();
    for line in wrong.iter().take(40) {
        println!("  WRONG {line}");
    }
    assert!(wrong.is_empty(), "{} of {} cases are wrong", wrong.len(), cases.len());
    let outcomes_of = |damage: &str| -> BTreeSet<Outcome> {
        table.get(&("log", damage)).map(|counts| counts.keys().copied().collect()).unwrap_or_default()
    };
    match ending {
        // Cut between two records as well as anywhere else.
        Ending::Closed => assert_eq!(outcomes_of("truncated"), BTreeSet::from([Outcome::OpenNamed])),
        Ending::Killed => assert!(outcomes_of("bit flipped").contains(&Outcome::Prefix)),
        // Only a mark that is cut off too leaves doubt.
        Ending::KilledIdle => {
            assert!(!outcomes_of("bit flipped").contains(&Outcome::Prefix));
            assert!(!outcomes_of("byte 00 or ff").contains(&Outcome::Prefix));
            assert!(outcomes_of("truncated").contains(&Outcome::Prefix));
        }
    }
    // A table of any other length does not open; only one that is not there refuses the whole database.
    let table_outcomes = |damage: &str| -> BTreeSet<Outcome> {
        table.get(&("table", damage)).map(|counts| counts.keys().copied().collect()).unwrap_or_default()
    };
    if tables {
        assert_eq!(table_outcomes("truncated"), BTreeSet::from([Outcome::FileNamed]));
        assert_eq!(table_outcomes("swapped"), BTreeSet::from([Outcome::FileNamed]));
        assert_eq!(table_outcomes("missing"), BTreeSet::from([Outcome::OpenNamed]));
        assert_eq!(table_outcomes("bit flipped"), BTreeSet::from([Outcome::FileNamed, Outcome::ReadNamed]));
    }
    let count = |file: &str| {
        table.iter().filter(|((kind, _), _)| *kind == file).map(|(_, counts)| counts.values().sum::<u64>()).sum::<u64>()
    };
    assert!(count("manifest") > 1000 && count("log") > 1000 && count("current") > 50);
    assert!(!tables || count("table") > 5000);
}

#[test]
fn a_cleanly_closed_database() {
    run("closed", Ending::Closed, true, "write");
}

#[test]
fn a_killed_database() {
    run("killed, write log", Ending::Killed, false, "write");
    run("killed, mapped log", Ending::Killed, false, "mapped");
}

#[test]
fn a_database_killed_while_idle() {
    run("killed while idle, write log", Ending::KilledIdle, false, "write");
    run("killed while idle, mapped log", Ending::KilledIdle, false, "mapped");
}
