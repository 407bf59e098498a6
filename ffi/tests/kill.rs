//! Kills `c/kill_writer.c` with SIGKILL at random moments, a hundred times for each log back end, always on the same database,
//! and checks after each: the database opens at once, and holds the batches 1 to n, every byte of them and nothing else, where
//! n is at least the last batch that was acknowledged. The writer keeps marks in a shared mapping: from them comes what each kill hit,
//! which is printed and held against a minimum.
//!
//! Environment: `SSTORE_KILL_ROUNDS` kills per back end, `SSTORE_KILL_SEED` the seed (random; always printed).

mod library;
#[path = "../../core/tests/profile/mod.rs"]
mod profile;

use engine::{CloseOptions, Db, IterOptions, Options};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

// As in kill_writer.c.
const SLOTS: u64 = 16384;
const WIDE: u64 = 61;
const GROUP: u64 = 48;
const OPENING: u64 = 1;
const WRITING: u64 = 2;
const CLOSING: u64 = 3;

/// Of so many kills one is meant to hit a recovery, and one a close: more than is asserted of the first, and together so few
/// that four fifths of all can hit a burst with room to spare.
const RECOVERY_EVERY: u64 = 9;
const CLOSING_EVERY: u64 = 50;

fn mixed(state: u64) -> u64 {
    let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

/// The value that batch n writes as its `place`-th.
fn value_of(n: u64, place: u64) -> Vec<u8> {
    let mut state = mixed(n ^ place << 48);
    let len = 16 + (state % 180) as usize;
    let mut value = Vec::with_capacity(len);
    while value.len() < len {
        state = mixed(state);
        value.extend_from_slice(&state.to_le_bytes());
    }
    value.truncate(len);
    value
}

type Content = BTreeMap<String, Vec<u8>>;

/// What the families `default`, `left` and `right` hold after batch n.
fn expected(n: u64) -> [Content; 3] {
    let mut families = [Content::new(), Content::new(), Content::new()];
    if n == 0 {
        return families;
    }
    families[0].insert(format!("head{n:020}"), value_of(n, 0));
    for batch in n.saturating_sub(SLOTS - 1).max(1)..=n {
        for side in 1..=2 {
            families[side as usize].insert(format!("slot{:010}", batch % SLOTS), value_of(batch, side));
        }
    }
    let wide = n - n % WIDE;
    for i in (0..GROUP).filter(|_| wide > 0) {
        families[1 + (i % 2) as usize].insert(format!("wide{i:010}"), value_of(wide, 3 + i));
    }
    families
}

/// The marks of the writer, in the order of its `struct marks`.
struct Marks {
    acknowledged: u64,
    phase: u64,
    in_burst: bool,
    in_flush: bool,
    opening: Duration,
}

struct MarksFile(File);

impl MarksFile {
    fn read(&self) -> Marks {
        let mut bytes = [0; 48];
        self.0.read_exact_at(&mut bytes, 0).unwrap();
        let number = |at: usize| u64::from_le_bytes(bytes[at * 8..][..8].try_into().unwrap());
        Marks {
            acknowledged: number(0),
            phase: number(1),
            in_burst: number(1) == WRITING && number(2) != 0,
            in_flush: number(3) > number(4),
            opening: Duration::from_micros(number(5)),
        }
    }

    fn forget_phase(&self) {
        self.0.write_all_at(&[0; 16], 8).unwrap();
    }
}

/// What the kills of one back end hit.
#[derive(Default, Debug)]
struct Hits {
    burst: u64,
    flush: u64,
    recovery: u64,
    closing: u64,
}

struct Killer {
    program: PathBuf,
    work: PathBuf,
    options: Vec<(&'static str, &'static str)>,
    marks: MarksFile,
    random: u64,
    verified: u64,
}

fn compile(work: &Path) -> PathBuf {
    let libraries = work.join("lib");
    std::fs::create_dir_all(&libraries).unwrap();
    let link = libraries.join("libsstore.so.0");
    std::os::unix::fs::symlink(library::built(), &link).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = work.join("kill_writer");
    let output = Command::new("gcc")
        .args(["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(root.join("../include"))
        .arg(root.join("tests/c/kill_writer.c"))
        .arg(&link)
        .args(["-pthread", "-o"])
        .arg(&program)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

impl Killer {
    fn below(&mut self, limit: u64) -> u64 {
        self.random = mixed(self.random);
        self.random % limit.max(1)
    }

    fn start(&self, bursts: u64) -> Child {
        self.marks.forget_phase();
        Command::new(&self.program)
            .arg(self.work.join("db"))
            .arg(self.work.join("marks"))
            .arg(bursts.to_string())
            .args(self.options.iter().map(|(name, value)| format!("{name}={value}")))
            .env("LD_LIBRARY_PATH", self.work.join("lib"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Looks at the marks until they are as wanted. Gives up when the child ends, or after half a minute.
    fn wait_until(&self, child: &mut Child, wanted: impl Fn(&Marks) -> bool) {
        let patience = Instant::now() + Duration::from_secs(30);
        while !wanted(&self.marks.read()) && Instant::now() < patience && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Waits until the child has reached `phase`, sleeps `delay`, kills it, and says what stands in the marks then.
    fn kill(&self, mut child: Child, phase: u64, delay: Duration) -> Marks {
        self.wait_until(&mut child, |marks| marks.phase >= phase);
        std::thread::sleep(delay);
        if phase == WRITING {
            // Between two bursts the writer sleeps, on a busy machine for long: such a kill would hit nothing.
            self.wait_until(&mut child, |marks| marks.in_burst);
        }
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(ended.is_none() && complaint.is_empty(), "the writer ended by itself: {}: {complaint}", output.status);
        let marks = self.marks.read();
        // After its one burst a closing writer opens again.
        assert!(marks.phase >= phase || phase == CLOSING, "the writer did not come as far as phase {phase}");
        marks
    }

    fn verify(&mut self, round: u64, acknowledged: u64) {
        let mut options = Options::new();
        for (name, value) in &self.options {
            options.set(name, value).unwrap();
        }
        // What was recovered stays in the log, so that the next recovery has it again.
        options.set("flush_on_close", "false").unwrap();
        let db = Db::open(self.work.join("db"), &options).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let mut found = Vec::new();
        for name in ["default", "left", "right"] {
            let mut content = Content::new();
            // A kill in the first opening may come before the families.
            if let Ok(family) = db.column_family(name) {
                let mut iterator = db.iterator(&family, IterOptions::default()).unwrap();
                let mut more = iterator.seek_to_first().unwrap();
                while more {
                    let key = String::from_utf8(iterator.key().to_vec()).unwrap();
                    content.insert(key, iterator.value().to_vec());
                    more = iterator.next().unwrap();
                }
            }
            found.push(content);
        }
        assert!(found[0].len() <= 1, "round {round}: half a batch: {:?}", found[0].keys());
        let n = found[0].keys().next().map_or(0, |head| head["head".len()..].parse().unwrap());
        assert!(n >= acknowledged, "round {round}: batch {acknowledged} was acknowledged, the last one is {n}");
        assert!(n >= self.verified, "round {round}: batch {} was there already, the last one is {n}", self.verified);
        assert!(n - self.verified < SLOTS, "round {round}: {n} after {}: more batches than slots", self.verified);
        for (family, (found, expected)) in found.iter().zip(&expected(n)).enumerate() {
            let wrong = expected.iter().find(|(key, value)| found.get(*key) != Some(*value));
            assert!(
                wrong.is_none(),
                "round {round}, family {family}, after batch {n}: {:?} is wrong",
                wrong.unwrap().0
            );
            assert_eq!(found.len(), expected.len(), "round {round}, family {family}: keys that nobody wrote");
        }
        self.verified = n;
        db.close(&CloseOptions::default()).unwrap();
    }
}

fn kill_and_verify(backend: &'static str) {
    let rounds = profile::KILL_ROUNDS.get();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = profile::seed("SSTORE_KILL_SEED", now.as_nanos() as u64);
    println!("{backend}: {rounds} rounds");

    // In the build folder: what is temporary may lie in memory, this is to be a disk.
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let marks = File::options().read(true).write(true).create_new(true).open(work.path().join("marks")).unwrap();
    marks.set_len(4096).unwrap();
    let options = vec![
        ("wal_backend", backend),
        ("write_buffer_bytes", "256KiB"),
        ("wal_segment_bytes", "1MiB"),
        ("memory_budget_bytes", "64MiB"),
    ];
    let mut killer = Killer {
        program: compile(work.path()),
        work: work.path().to_owned(),
        options,
        marks: MarksFile(marks),
        random: seed,
        verified: 0,
    };
    let (mut hits, mut survivors) = (Hits::default(), 0);
    let mut opening = Duration::from_millis(5);
    for round in 1..=rounds {
        // A kill in recovery follows another kill at once, so that there is something to recover.
        let recovering = hits.recovery < round / RECOVERY_EVERY;
        let marks = if recovering {
            let delay = opening.mul_f64(killer.below(900) as f64 / 1000.0);
            killer.kill(killer.start(1000), OPENING, delay)
        } else if round % CLOSING_EVERY == 0 {
            let delay = Duration::from_micros(killer.below(10_000));
            killer.kill(killer.start(1), CLOSING, delay)
        } else {
            let delay = Duration::from_micros(killer.below(60_000));
            killer.kill(killer.start(1000), WRITING, delay)
        };
        if marks.opening > Duration::ZERO {
            opening = marks.opening;
        }
        hits.burst += u64::from(marks.in_burst);
        hits.flush += u64::from(marks.in_flush);
        hits.recovery += u64::from(marks.phase == OPENING);
        hits.closing += u64::from(marks.phase == CLOSING);
        // Every fourth time the next process finds what the killed one left, without a verification between.
        if recovering || (hits.recovery >= (round + 1) / RECOVERY_EVERY && round % 4 != 0) || round == rounds {
            killer.verify(round, marks.acknowledged);
            survivors += killer.verified - marks.acknowledged;
        }
    }
    let percent = |hits: u64| hits * 100 / rounds;
    println!(
        "{backend}: {} batches; killed in an unfinished burst {} %, in an unfinished flush {} %, in recovery {} %, in close {} %; \
         {survivors} batches survived that were not acknowledged yet",
        killer.verified,
        percent(hits.burst),
        percent(hits.flush),
        percent(hits.recovery),
        percent(hits.closing),
    );
    if rounds >= 50 {
        assert!(percent(hits.burst) >= 80 && percent(hits.flush) >= 20 && percent(hits.recovery) >= 10, "{hits:?}");
    }
}

#[test]
fn killed_with_the_mapped_log() {
    kill_and_verify("mapped");
}

#[test]
fn killed_with_the_written_log() {
    kill_and_verify("write");
}
