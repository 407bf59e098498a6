//! Runs that overlap: scanned, and merged into one; and how much memory both take, each in a process of its own.

use super::data::{KEY, Shape};
use super::{FORMATS, TABLE, options, read};
use crate::data::Random;
use crate::measure::{Goal, Row, timed};
use crate::{Plan, Result};
use sstore::{CloseOptions, Db, KeyOptions, Options, ScanOptions, WriteOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

const RUNS: usize = 32;

/// The memory budget of the processes whose memory is measured: the default.
const BUDGET_MIB: f64 = 512.0;

/// The scan of overlapping runs, their merge, and the memory of both.
pub fn run(plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (format, format_name) in FORMATS {
        let path = plan.dir.join("overlapping");
        let (mut scans, mut merges) = (Vec::new(), Vec::new());
        let (mut scan_peaks, mut merge_peaks) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds.min(3) {
            make(plan, &path, &options(format)?)?;
            for (work, seconds_too, peaks) in
                [("scan", &mut scans, &mut scan_peaks), ("merge", &mut merges, &mut merge_peaks)]
            {
                let (seconds, peak) = measured(work, &path, format)?;
                seconds_too.push(seconds);
                peaks.push(peak);
            }
            std::fs::remove_dir_all(&path)?;
        }
        let each = |seconds: Vec<f64>, figure: &dyn Fn(f64) -> f64| seconds.into_iter().map(figure).collect();
        let count = plan.rows as f64;
        let bytes = count * Shape::Wide.row_bytes() as f64;
        let name = |what: &str| format!("{what} {RUNS} overlapping {format_name} runs");
        rows.push(Row::new(name("scan of"), "ns/row", Goal::AtMost(200.0), each(scans, &|s| s / count * 1e9)));
        rows.push(Row::new(name("merge of"), "MB/s", Goal::None, each(merges, &|s| bytes / s / 1e6)));
        rows.push(Row::new(name("peak memory, scan of"), "MiB", Goal::AtMost(BUDGET_MIB), scan_peaks));
        rows.push(Row::new(name("peak memory, merge of"), "MiB", Goal::AtMost(BUDGET_MIB), merge_peaks));
    }
    Ok(rows)
}

/// Deals the rows out to runs by chance, so that neighbours mostly lie in different ones.
fn make(plan: &Plan, path: &Path, options: &Options) -> Result<()> {
    let db = Db::open(path, options)?;
    let table = db.create_table(TABLE, &Shape::Wide.schema(), &KEY, &KeyOptions::default(), options)?;
    let mut random = Random::new(37);
    let mut dealt: Vec<_> = (0..RUNS).map(|_| Vec::with_capacity(plan.rows / RUNS * 2)).collect();
    (0..plan.rows).for_each(|row| dealt[random.below(RUNS)].push(row));
    for rows in dealt {
        db.append(&table, &Shape::Wide.batch(&rows)?, &WriteOptions::default())?;
        db.flush_tables(&[&table])?.wait(None)?;
    }
    Ok(db.close(&CloseOptions::default())?)
}

/// Seconds and peak memory of a piece of work in a new process.
fn measured(work: &str, path: &Path, format: &str) -> Result<(f64, f64)> {
    let output = Command::new(std::env::current_exe()?).args(["--child", work, format]).arg(path).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match figures[..] {
        [seconds, peak] if output.status.success() => Ok((seconds, peak)),
        _ => Err(format!("{work} failed: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// The new process: does the work, prints seconds and how many MiB more it held than before.
pub fn child(words: &[String]) -> Result<()> {
    let [work, format, path] = words else { return Err("--child takes three words".into()) };
    let options = options(format)?.with("memory_budget_bytes", &format!("{BUDGET_MIB}MiB"))?;
    let db = Db::open(PathBuf::from(path), &options)?;
    let table = db.table(TABLE)?;
    let rows: u64 = db.table_segments(&table)?.iter().map(|segment| segment.entries).sum();
    let before = memory_mib("VmRSS")?;
    let seconds = match work.as_str() {
        "scan" => read::scan(&db, &table, &ScanOptions::default(), rows as usize)?,
        _ => {
            let (seconds, outcome) = timed(|| db.compact_table(&table));
            outcome?;
            seconds
        }
    };
    println!("{seconds} {}", memory_mib("VmHWM")? - before);
    Ok(db.close(&CloseOptions::default())?)
}

/// One of the figures that Linux has of this process, in MiB.
pub fn memory_mib(name: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib: f64 = line.and_then(|line| line.split_whitespace().next()).ok_or("no such figure")?.parse()?;
    Ok(kib / 1024.0)
}
