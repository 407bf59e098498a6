//! What more threads give: writers beside writers, readers beside readers, readers beside a writer.

use crate::data::{Keys, Random, Shape, Values};
use crate::measure::{Goal, Row, timed};
use crate::write::{fill, quiet_options, with_new};
use crate::{Plan, Result};
use sstore::{ColumnFamily, Db, Options, ReadOptions, WriteOptions};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a paced writer does: 20 MB/s of keys and values.
const PACED_PUTS_PER_SECOND: u64 = 180_000;

/// What a thread did; errors of a thread as text, so that they can be sent.
type Done<T> = std::result::Result<T, String>;

/// All of it.
pub fn run(plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = writers(plan)?;
    rows.extend(readers(plan)?);
    rows.extend(beside_a_writer(plan)?);
    Ok(rows)
}

fn said(error: impl ToString) -> String {
    error.to_string()
}

/// Runs `work` on so many threads; gives the seconds until the last is done.
fn together(threads: usize, work: impl Fn(usize) -> Done<()> + Sync) -> Result<f64> {
    let (seconds, results) = timed(|| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|place| {
                    scope.spawn({
                        let work = &work;
                        move || work(place)
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".to_owned())))
                .collect::<Done<Vec<()>>>()
        })
    });
    results?;
    Ok(seconds)
}

/// fillrandom: as many random keys, dealt out to 1, 2 and 4 writers.
fn writers(plan: &Plan) -> Result<Vec<Row>> {
    let keys = Keys::new(Shape::Random, plan.keys * 4, 41);
    let values = Values::new(8);
    let (mut rates, mut ratios) = ([vec![], vec![], vec![]], [vec![], vec![]]);
    let counts = [1, 2, 4];
    for _ in 0..plan.rounds {
        for (rates, writers) in rates.iter_mut().zip(counts) {
            let seconds = with_new(&plan.dir.join("writers"), &Options::new(), |db, family| {
                together(writers, |place| {
                    (place..keys.len()).step_by(writers).try_for_each(|index| {
                        let put = db.put(family, keys.get(index), values.get(index), &WriteOptions::default());
                        put.map(drop).map_err(said)
                    })
                })
            })?;
            rates.push(keys.len() as f64 / seconds / 1e6);
        }
        let last = |place: usize| rates[place].last().copied().unwrap_or(f64::NAN);
        ratios[0].push(last(1) / last(0));
        ratios[1].push(last(2) / last(0));
    }
    let [one, two, four] = rates;
    let [two_over_one, four_over_one] = ratios;
    Ok(vec![
        Row::new("fillrandom, 1 writer", "M/s", Goal::None, one),
        Row::new("fillrandom, 2 writers in all", "M/s", Goal::None, two),
        Row::new("fillrandom, 4 writers in all", "M/s", Goal::None, four),
        Row::new("fillrandom, 2 writers over one", "x", Goal::AtLeast(1.0), two_over_one),
        Row::new("fillrandom, 4 writers over one", "x", Goal::AtLeast(1.0), four_over_one),
    ])
}

fn get(db: &Db, family: &ColumnFamily, key: &[u8]) -> Done<()> {
    let value = db.get(family, key, &ReadOptions::default()).map_err(said)?;
    black_box(value).map(drop).ok_or_else(|| "a key that was put is not found".to_owned())
}

/// Gets of random keys of one flushed, cached run.
fn readers(plan: &Plan) -> Result<Vec<Row>> {
    let keys = Keys::new(Shape::Random, plan.keys, 43);
    with_new(&plan.dir.join("readers"), &quiet_options()?, |db, family| {
        fill(db, family, &keys, &Values::new(9))?;
        db.flush(&[family])?.wait(None)?;
        let rate = |readers: usize| -> Result<f64> {
            let seconds = together(readers, |place| {
                let mut random = Random::new(place as u64);
                (0..keys.len()).try_for_each(|_| get(db, family, keys.get(random.below(keys.len()))))
            })?;
            Ok((readers * keys.len()) as f64 / seconds / 1e6)
        };
        rate(1)?; // loads every block once
        let (mut one, mut two, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            let (alone, both) = (rate(1)?, rate(2)?);
            one.push(alone);
            two.push(both);
            ratios.push(both / alone);
        }
        Ok(vec![
            Row::new("gets, 1 reader", "M/s", Goal::None, one),
            Row::new("gets, 2 readers in all", "M/s", Goal::None, two),
            Row::new("gets, 2 readers over one", "x", Goal::AtLeast(1.9), ratios),
        ])
    })
}

/// Readers, half as many as there are processors, alone, and beside a writer of the same family, with its flushes and merges.
fn beside_a_writer(plan: &Plan) -> Result<Vec<Row>> {
    let keys = Keys::new(Shape::Random, plan.keys, 47);
    let values = Values::new(10);
    let readers = (std::thread::available_parallelism().map_or(1, usize::from) / 2).max(1);
    let time = Duration::from_millis(if plan.is_quick { 300 } else { 5_000 });
    with_new(&plan.dir.join("beside"), &Options::new(), |db, family| {
        fill(db, family, &keys, &values)?;
        db.flush(&[family])?.wait(None)?;
        // Millions of gets in a second, of all readers, while a writer does so many puts in a second; `None`: no writer.
        let rate = |puts_per_second: Option<u64>| -> Result<f64> {
            let stop = AtomicBool::new(false);
            let began = Instant::now();
            let gets = std::sync::atomic::AtomicU64::new(0);
            let writers = usize::from(puts_per_second.is_some());
            together(readers + writers, |place| {
                let mut random = Random::new(100 + place as u64);
                let mut index = || random.below(keys.len());
                if place < readers {
                    let mut count = 0;
                    while began.elapsed() < time {
                        (0..100).try_for_each(|_| get(db, family, keys.get(index())))?;
                        count += 100;
                    }
                    gets.fetch_add(count, Ordering::Relaxed);
                    stop.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    let index = index();
                    db.put(family, keys.get(index), values.get(index), &WriteOptions::default()).map_err(said)?;
                    count += 1;
                    let due = puts_per_second.filter(|&rate| rate < u64::MAX);
                    if let Some(rate) = due.filter(|_| count % 200 == 0) {
                        let until = Duration::from_micros(count * 1_000_000 / rate);
                        std::thread::sleep(until.saturating_sub(began.elapsed()));
                    }
                }
                Ok(())
            })?;
            Ok(gets.into_inner() as f64 / time.as_secs_f64() / 1e6)
        };
        rate(None)?; // loads every block once
        let (mut alone, mut full, mut paced) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            // Merged into one run before each: beside the writer new ones come.
            db.flush(&[family])?.wait(None)?;
            db.compact(family)?;
            alone.push(rate(None)?);
            let of_alone = |rate: f64| rate / alone.last().copied().unwrap_or(f64::NAN) * 100.0;
            paced.push(of_alone(rate(Some(PACED_PUTS_PER_SECOND))?));
            full.push(of_alone(rate(Some(u64::MAX))?));
        }
        let name = |what: &str| format!("gets of {readers} reader{} {what}", if readers == 1 { "" } else { "s" });
        Ok(vec![
            Row::new(name("alone"), "M/s", Goal::None, alone),
            Row::new(name("beside a writer of 20 MB/s, of those alone"), "%", Goal::AtLeast(70.0), paced),
            Row::new(name("beside a writer at full speed, of those alone"), "%", Goal::AtLeast(70.0), full),
        ])
    })
}
