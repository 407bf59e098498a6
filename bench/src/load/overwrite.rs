//! One writer overwrites at full speed for ten minutes: how long single puts take, how even the seconds are, what made it wait.

use super::others::{self, Ticks, Turns};
use crate::data::{Keys, Random, Shape, VALUE_BYTES, Values};
use crate::measure::{Goal, Latencies, Row};
use crate::write::{fill, with_new};
use crate::{Plan, Result};
use sstore::{Db, Options, WriteOptions};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Distinct keys, for each that a plan has: two million, 240 MB, of which four write buffers hold all.
const KEYS_FACTOR: usize = 4;

/// How long, unless `SSTORE_BENCH_OVERWRITE_SECONDS` says otherwise.
const SECONDS: u64 = 600;

/// With `--quick`.
const SECONDS_OF_QUICK: u64 = 5;

/// What is counted of the waits of writers: each cause, how often, and for how long in all.
const STALLS: [(&str, &str); 4] = [
    ("delays_flush_debt", "delays of a put, because flushes were behind"),
    ("delays_merge_debt", "delays of a put, because merges were behind"),
    ("stalls_frozen_memtables", "stops, because too many memtables waited for their flush"),
    ("stalls_memory_budget", "stops, because memtables held all of their memory"),
];

fn seconds(plan: &Plan) -> Result<u64> {
    match std::env::var("SSTORE_BENCH_OVERWRITE_SECONDS") {
        Ok(text) => match text.parse() {
            Ok(seconds) if seconds > 0 => Ok(seconds),
            _ => Err(format!("SSTORE_BENCH_OVERWRITE_SECONDS takes a number of seconds, not {text:?}").into()),
        },
        Err(_) if plan.is_quick => Ok(SECONDS_OF_QUICK),
        Err(_) => Ok(SECONDS),
    }
}

/// What a run was like.
struct Run {
    latencies: Latencies,
    /// Puts of each whole second.
    puts: Vec<f64>,
    /// What others took of the processors in each of them, as far as it is known.
    others: Vec<f64>,
    /// How long the writer ran, and waited for a processor, in each of them.
    turns: Vec<Turns>,
    written_bytes: f64,
    counted: BTreeMap<&'static str, u64>,
}

/// Fills a database, then overwrites keys of it at random.
pub fn run(plan: &Plan) -> Result<Vec<Row>> {
    let seconds = seconds(plan)?;
    let keys = Keys::new(Shape::Random, plan.keys * KEYS_FACTOR, 29);
    let values = Values::new(7);
    let run = with_new(&plan.dir.join("overwrite"), &Options::new(), |db, family| {
        fill(db, family, &keys, &values)?;
        let before = counters(db);
        let mut random = Random::new(31);
        let options = WriteOptions::default();
        let (mut latencies, mut puts) = (Latencies::new()?, vec![0.0; seconds as usize]);
        let (mut others, mut turns) = (vec![0.0; seconds as usize], vec![Turns::default(); seconds as usize]);
        let (mut count, mut current, mut ticks, mut turn) = (0, 0, Ticks::now(), Turns::now());
        let (began, limit) = (Instant::now(), Duration::from_secs(seconds));
        let mut last = began;
        loop {
            let index = random.below(keys.len());
            db.put(family, keys.get(index), values.get(index + count), &options)?;
            // From the end of one put to that of the next: whatever the writer waited for is in it.
            let now = Instant::now();
            latencies.add(now - last);
            last = now;
            count += 1;
            let second = (now - began).as_secs() as usize;
            if second != current {
                let before = std::mem::replace(&mut ticks, Ticks::now());
                if let (Some(before), Some(after), Some(share)) = (before, ticks, others.get_mut(current)) {
                    *share = after.share_of_others(before);
                }
                let before = std::mem::replace(&mut turn, Turns::now());
                if let (Some(before), Some(after), Some(turn)) = (before, turn, turns.get_mut(current)) {
                    *turn = after.since(before);
                }
                current = second;
                last = Instant::now();
            }
            match puts.get_mut(second) {
                Some(second) if now - began < limit => *second += 1.0,
                _ => break,
            }
        }
        let after = counters(db);
        let counted = after.into_iter().map(|(name, value)| (name, value - before.get(name).unwrap_or(&0))).collect();
        Ok(Run { latencies, puts, others, turns, written_bytes: (count * (16 + VALUE_BYTES)) as f64, counted })
    })?;
    Ok(rows(run))
}

fn counters(db: &Db) -> BTreeMap<&'static str, u64> {
    db.stats().counters.into_iter().collect()
}

fn rows(run: Run) -> Vec<Row> {
    let named = format!("overwrites for {} s", run.puts.len());
    let quantile = |share: f64, unit: f64| vec![run.latencies.quantile(share) / unit];
    let row = |what: &str, unit, goal, figures| Row::new(format!("{named}: {what}"), unit, goal, figures);
    let rate = row("puts of each second", "M/s", Goal::None, run.puts.iter().map(|puts| puts / 1e6).collect());
    let slowest = rate.least / rate.median * 100.0;
    let ours =
        run.puts.iter().zip(&run.others).filter(|(_, share)| **share <= others::MOST_SHARE).map(|(puts, _)| *puts);
    let (count_of_ours, slowest_of_ours) =
        ours.fold((0, f64::INFINITY), |(count, least), puts| (count + 1, least.min(puts)));
    let of_ours = if count_of_ours == 0 { f64::NAN } else { slowest_of_ours / 1e6 / rate.median * 100.0 };
    // What kept it from writing: without a processor, or, for the rest of the second, on its own accord, as where it is delayed.
    let mut by_rate: Vec<usize> = (0..run.puts.len()).collect();
    by_rate.sort_by(|a, b| run.puts[*a].total_cmp(&run.puts[*b]));
    let (in_slowest, in_median) = (run.turns[by_rate[0]], run.turns[by_rate[by_rate.len() / 2]]);
    let writer = |what: &str, time: Duration| row(what, "ms", Goal::None, vec![time.as_secs_f64() * 1e3]);
    let counted = |name: &str| *run.counted.get(name).unwrap_or(&0) as f64;
    let mut rows = vec![
        rate,
        row("slowest second, of the median second", "%", Goal::AtLeast(50.0), vec![slowest]),
        row(
            "seconds in which others took over 5 % of the processors",
            "",
            Goal::None,
            vec![(run.puts.len() - count_of_ours) as f64],
        ),
        row("slowest of all other seconds, of the median second", "%", Goal::None, vec![of_ours]),
        writer("the writer ran in its median second", in_median.ran),
        writer("the writer waited for a processor in its median second", in_median.waited),
        writer("the writer ran in its slowest second", in_slowest.ran),
        writer("the writer waited for a processor in its slowest second", in_slowest.waited),
        row("put, p50", "ns", Goal::None, quantile(0.5, 1.0)),
        row("put, p99", "µs", Goal::None, quantile(0.99, 1e3)),
        row("put, p99.9", "µs", Goal::AtMost(1000.0), quantile(0.999, 1e3)),
        row("put, p99.99", "µs", Goal::None, quantile(0.9999, 1e3)),
        row("put, the worst", "ms", Goal::AtMost(50.0), quantile(1.0, 1e6)),
    ];
    rows.extend(STALLS.map(|(name, what)| row(what, "", Goal::None, vec![counted(name)])));
    let waited = [("delay_micros", "all delays"), ("stall_micros", "all stops")];
    rows.extend(waited.map(|(name, what)| row(what, "s", Goal::None, vec![counted(name) / 1e6])));
    let written = counted("flush_bytes") + counted("compaction_write_bytes");
    rows.push(row(
        "bytes of files written, of keys and values put",
        "x",
        Goal::None,
        vec![written / run.written_bytes],
    ));
    rows
}
