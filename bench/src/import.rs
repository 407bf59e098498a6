//! Import: a database of LevelDB's comes in, beside LevelDB reading it and LevelDB writing it anew.
//!
//! Called by `main` for the group `import`, which is only measured when it is named: it needs g++ and LevelDB (libleveldb-dev) for the source
//! and the peer, which `bench/leveldb.cc` is, and says so where they are missing. All three take turns in each round; the source is in
//! the page cache.

use crate::measure::{Goal, Row, timed};
use crate::{Plan, Result};
use sstore::{Db, LevelDbImport, Options};
use std::path::{Path, PathBuf};
use std::process::Command;

const ENTRIES: u64 = 1_000_000;
const QUICK_ENTRIES: u64 = 20_000;

/// Imports into a fresh database with the default options, from the call until all is durable.
pub fn run(plan: &Plan) -> Result<Vec<Row>> {
    let peer = build(&plan.dir)?;
    let (source, target, copy) = (plan.dir.join("leveldb"), plan.dir.join("imported"), plan.dir.join("copied"));
    let entries = if plan.is_quick { QUICK_ENTRIES } else { ENTRIES };
    call(&peer, &["fill", text(&source)?, &entries.to_string()])?;
    let mut source_bytes = 0;
    for file in std::fs::read_dir(&source)? {
        source_bytes += file?.metadata()?.len();
    }
    let (mut rates, mut bytes, mut reads, mut copies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut beside_read, mut beside_copy) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let reading = walk(&peer, &["read", text(&source)?])?;
        let db = Db::open(&target, &Options::new())?;
        let family = db.default_family();
        let (seconds, done) = timed(|| db.import_leveldb(&family, &source, &LevelDbImport::default(), &mut |_| true));
        let done = done?;
        db.close(&Default::default())?;
        std::fs::remove_dir_all(&target)?;
        let copying = walk(&peer, &["copy", text(&source)?, text(&copy)?])?;
        std::fs::remove_dir_all(&copy)?;
        if (done.progress.entries, done.payload_bytes) != (reading.entries, reading.bytes) {
            return Err(format!("{} entries came in, LevelDB shows {}", done.progress.entries, reading.entries).into());
        }
        let million = reading.entries as f64 / 1e6;
        rates.push(million / seconds);
        bytes.push(source_bytes as f64 / 1e6 / seconds);
        reads.push(million / reading.seconds);
        copies.push(million / copying.seconds);
        beside_read.push(seconds / reading.seconds);
        beside_copy.push(copying.seconds / seconds);
    }
    Ok(vec![
        Row::new("import of a LevelDB database", "M entries/s", Goal::None, rates),
        Row::new("the same, bytes of its files", "MB/s", Goal::None, bytes),
        Row::new("peer: LevelDB reads it, checksums verified", "M entries/s", Goal::None, reads),
        Row::new("peer: LevelDB reads it into a new LevelDB", "M entries/s", Goal::None, copies),
        Row::new("time of the import over that of LevelDB's reading", "x", Goal::AtMost(2.0), beside_read),
        Row::new("how much faster than LevelDB into a new LevelDB", "x", Goal::AtLeast(2.0), beside_copy),
    ])
}

/// What the peer says of a walk.
struct Walk {
    entries: u64,
    bytes: u64,
    seconds: f64,
}

fn walk(peer: &Path, arguments: &[&str]) -> Result<Walk> {
    let said = call(peer, arguments)?;
    let words: Vec<&str> = said.split_whitespace().collect();
    let [entries, bytes, seconds] = words[..] else { return Err(format!("the peer says: {said}").into()) };
    Ok(Walk { entries: entries.parse()?, bytes: bytes.parse()?, seconds: seconds.parse()? })
}

fn text(path: &Path) -> Result<&str> {
    Ok(path.to_str().ok_or("a path that is no text")?)
}

fn call(program: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", program.display(), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Compiles the peer.
fn build(dir: &Path) -> Result<PathBuf> {
    let program = dir.join("leveldb-peer");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("leveldb.cc");
    let arguments = ["-std=c++17", "-O2", "-Wall", "-Wextra", text(&source)?, "-lleveldb", "-o", text(&program)?];
    match call(Path::new("g++"), &arguments) {
        Ok(_) => Ok(program),
        Err(error) => Err(format!("the group import needs g++ and libleveldb-dev, and cannot run: {error}").into()),
    }
}
