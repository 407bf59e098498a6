//! The budget under load: what the process holds beside what the engine counts, in a process that does nothing else.

use crate::data::{Keys, Random, Shape, Values};
use crate::measure::{Goal, Row};
use crate::tables::memory_mib;
use crate::{Plan, Result};
use sstore::{CloseOptions, ColumnFamily, Db, Options, ReadOptions, WriteOptions};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const BUDGET_MIB: f64 = 256.0;

const FAMILIES: usize = 4;

/// How much may be held more, or less, than is counted: 15 %.
const MARGIN: f64 = 0.15;

/// The word by which the new process knows what to do.
pub const WORK: &str = "budget";

/// Two writers and a reader over four families, until all of the budget is used and has been for a while.
pub fn run(plan: &Plan) -> Result<Vec<Row>> {
    let keys = plan.keys * 2;
    let path = plan.dir.join("memory");
    let output =
        Command::new(std::env::current_exe()?).args(["--child", WORK, &keys.to_string()]).arg(&path).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // Each line: what is held, what is counted, in MiB.
    let samples: Vec<(f64, f64)> = text
        .lines()
        .filter_map(|line| {
            let (held, counted) = line.split_once(' ')?;
            Some((held.parse().ok()?, counted.parse().ok()?))
        })
        .collect();
    if !output.status.success() || samples.is_empty() {
        return Err(format!("the process under the budget failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    std::fs::remove_dir_all(&path)?;
    let ratios = samples.iter().map(|(held, counted)| held / counted).collect();
    let most = |figure: fn(&(f64, f64)) -> f64| vec![samples.iter().map(figure).fold(0.0, f64::max)];
    let name = |what: &str| format!("budget of {BUDGET_MIB} MiB, {FAMILIES} families written and read: {what}");
    let goal = Goal::Between(1.0 - MARGIN, 1.0 + MARGIN);
    Ok(vec![
        Row::new(name("RssAnon over what is counted"), "x", goal, ratios),
        Row::new(name("most that is counted"), "MiB", Goal::AtMost(BUDGET_MIB), most(|(_, counted)| *counted)),
        Row::new(name("most RssAnon"), "MiB", Goal::AtMost(BUDGET_MIB * (1.0 + MARGIN)), most(|(held, _)| *held)),
    ])
}

/// The new process: prints, ten times a second, how many MiB more it holds than before, and how many are counted.
pub fn child(words: &[String]) -> Result<()> {
    let [keys, path] = words else { return Err("--child budget takes two words".into()) };
    let keys = Keys::new(Shape::Random, keys.parse()?, 53);
    let values = Values::new(11);
    let options = Options::new().with("memory_budget_bytes", &format!("{BUDGET_MIB}MiB"))?;
    let before = memory_mib("RssAnon")?;
    let db = Db::open(PathBuf::from(path), &options)?;
    let families: Vec<ColumnFamily> = (0..FAMILIES)
        .map(|at| db.create_column_family(&format!("family-{at}"), &Options::new()))
        .collect::<sstore::Result<_>>()?;
    let working = AtomicUsize::new(3);
    let round = |place: usize| -> sstore::Result<()> {
        let mut random = Random::new(place as u64);
        // Each writer puts every key four times in all, the reader reads as many.
        for _ in 0..keys.len() * 4 {
            let index = random.below(keys.len());
            let family = &families[index % FAMILIES];
            if place < 2 {
                db.put(family, keys.get(index), values.get(index), &WriteOptions::default())?;
            } else {
                db.get(family, keys.get(index), &ReadOptions::default())?;
            }
        }
        Ok(())
    };
    let samples = std::thread::scope(|scope| -> Result<Vec<(f64, f64)>> {
        let threads: Vec<_> = (0..3)
            .map(|place| {
                let (round, working) = (&round, &working);
                scope.spawn(move || {
                    let done = round(place);
                    working.fetch_sub(1, Ordering::Relaxed);
                    done
                })
            })
            .collect();
        let mut samples = Vec::new();
        while working.load(Ordering::Relaxed) > 0 {
            std::thread::sleep(Duration::from_millis(100));
            let counted = db.memory_use().total_bytes() as f64 / (1 << 20) as f64;
            samples.push((memory_mib("RssAnon")? - before, counted));
        }
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(samples)
    })?;
    // While it fills up the figures are small, and their ratio means little.
    let most = samples.iter().map(|(_, counted)| *counted).fold(0.0, f64::max);
    let full = samples.into_iter().skip_while(|(_, counted)| *counted < most / 2.0);
    full.for_each(|(held, counted)| println!("{held} {counted}"));
    Ok(db.close(&CloseOptions::default())?)
}
