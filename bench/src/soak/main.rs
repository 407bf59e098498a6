//! `sstore-soak`: everything at once, for half an hour or a night, on a real directory, each answer checked. Run by `make soak`.
//!
//! Writers, readers, held iterators and snapshots, audits of every key, families and tables that come and go, merges, exports, splits;
//! beneath all that the database is closed and opened. Prints what the process holds, each minute, and verifies every file. Ends
//! with 1 if any answer was wrong, any file damaged, anything hung, or memory, threads or descriptors grew.

mod allocator;
mod audit;
mod guest;
mod ledger;
mod reader;
mod sample;
mod values;
mod world;
mod writer;

use clap::Parser;
use sample::Process;
use signal_hook::consts::{SIGINT, SIGTERM};
use sstore::{Db, Error, VerifiedFile};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use world::{Opened, Worker, World};

/// What is wrong ends the run, with its message.
type Checked<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Uses a database in every way at once and checks every answer.
#[derive(Parser)]
#[command(
    name = "sstore-soak",
    after_help = "Exit codes: 0 all is well; 1 something was wrong or grew; 2 a wrong call."
)]
struct Arguments {
    /// How long; without it SSTORE_SOAK_MINUTES, or 30.
    #[arg(long)]
    minutes: Option<f64>,

    /// Where: each run takes a new directory in it, and removes it if all is well.
    #[arg(long, default_value = "build/soak")]
    dir: PathBuf,

    /// Threads that write.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    writers: u64,

    /// Threads that read.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=64))]
    readers: u64,

    /// Keys of each family; a table has a quarter of them.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    keys: u64,

    /// What random choices begin with. The order of the threads is the machine's all the same.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let minutes = match minutes(&arguments) {
        Ok(minutes) => minutes,
        Err(error) => {
            eprintln!("sstore-soak: {error}");
            return ExitCode::from(2);
        }
    };
    match soak(&arguments, minutes) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sstore-soak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn minutes(arguments: &Arguments) -> Checked<f64> {
    let set = std::env::var("SSTORE_SOAK_MINUTES").ok();
    let minutes = match (arguments.minutes, set) {
        (Some(minutes), _) => minutes,
        (None, Some(text)) => text.parse().map_err(|_| format!("SSTORE_SOAK_MINUTES is no number: {text:?}"))?,
        (None, None) => 30.0,
    };
    if minutes > 0.0 && minutes < 1e6 { Ok(minutes) } else { Err("the minutes must be more than 0".into()) }
}

/// Whether all was well.
fn soak(arguments: &Arguments, minutes: f64) -> Checked<bool> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let seed = arguments.seed.unwrap_or(now.subsec_nanos().into());
    let dir = arguments.dir.join(format!("run-{}", now.as_secs()));
    std::fs::create_dir_all(&dir)?;
    // The first Ctrl-C ends it well, the second at once.
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, interrupted.clone())?;
        signal_hook::flag::register(signal, interrupted.clone())?;
    }
    println!("sstore-soak: everything at once for {minutes} minutes, every answer checked. Seed {seed}.");
    println!("  in {}, removed at the end if all is well", dir.display());
    println!(
        "  {} writers, {} readers, snapshots and iterators held up to a minute, audits of all {} keys, families and\n  \
         tables made and dropped, exports, splits; every 20 to 40 seconds the database is closed and opened",
        arguments.writers,
        arguments.readers,
        arguments.keys * 5 / 2
    );
    println!("  {}", sample::RULE);
    println!("  each minute a line, and every file verified; Ctrl-C ends it, with the same summary");
    let world = World::new(&dir.join("db"), arguments.keys as usize)?;
    let samples = run(&world, arguments, seed, Duration::from_secs_f64(minutes * 60.0), &interrupted)?;
    if world.wrong().is_empty()
        && let Err(error) = world.close().and_then(|()| verified(&world, &world.enter()))
    {
        world.fail(format!("at the end: {error}"));
    }
    Ok(sum_up(&world, &samples, &dir, interrupted.load(Ordering::Relaxed)))
}

/// Runs all threads, and watches them from this one: the samples of each second.
fn run(world: &World, arguments: &Arguments, seed: u64, time: Duration, stop: &AtomicBool) -> Checked<Vec<Process>> {
    let mut samples = Vec::new();
    std::thread::scope(|scope| {
        let writers = arguments.writers as usize;
        for place in 0..writers {
            scope.spawn(move || {
                let mut writer = writer::Writer::new(seed.wrapping_add(place as u64), place, writers);
                let filled = writer.fill(world, &world.enter());
                match filled {
                    Ok(()) => world.run("writer", writer),
                    Err(error) => world.fail(format!("writer, at its first pass: {error}")),
                }
            });
        }
        for place in 0..arguments.readers {
            scope.spawn(move || world.run("reader", reader::Reader::new(seed.wrapping_add(1000 + place))));
        }
        scope.spawn(move || world.run("auditor", audit::Auditor::new(seed)));
        scope.spawn(move || world.run("guests", guest::Host::new(seed)));
        scope.spawn(move || world.run("verification", Minutes { next: 1, began: Instant::now() }));
        scope.spawn(move || {
            if let Err(error) = reopen_often(world, seed) {
                world.fail(format!("closing and opening: {error}"));
            }
        });
        let watched = watch(world, time, stop, &mut samples);
        world.stop();
        watched
    })?;
    Ok(samples)
}

/// Closes and opens it every 20 to 40 seconds: with and without a flush, politely and by force.
fn reopen_often(world: &World, seed: u64) -> Checked<()> {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5EED);
    let mut auditor = audit::Auditor::new(seed);
    loop {
        let pause = Instant::now() + Duration::from_secs(random.u64(20..40));
        while Instant::now() < pause {
            if world.is_stopping() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        world.reopen(random.bool(), random.bool(), |world, opened| auditor.audit(world, opened))?;
    }
}

/// Takes a sample each second until it is time to stop.
fn watch(world: &World, time: Duration, interrupted: &AtomicBool, samples: &mut Vec<Process>) -> Checked<()> {
    let began = Instant::now();
    let is_terminal = std::io::stderr().is_terminal();
    let mut second = 1;
    while began.elapsed() < time && !interrupted.load(Ordering::Relaxed) && !world.is_stopping() {
        std::thread::sleep(Duration::from_millis(50));
        let passed = began.elapsed().as_secs();
        if passed < second {
            continue;
        }
        second = passed + 1;
        samples.push(Process::now()?);
        let hanging = world.hanging();
        if !hanging.is_empty() {
            // Nothing can be awaited any more.
            println!("  WRONG these hang: {}. The database is left in {}", hanging.join(", "), world.path().display());
            std::process::exit(1);
        }
        if is_terminal {
            let left = time.as_secs().saturating_sub(passed);
            eprint!("\r\x1b[K  {} left; {}", clock(left), done(world));
            let _ = std::io::stderr().flush();
        }
    }
    clear_status();
    Ok(())
}

/// Takes the status line away, if there is one.
fn clear_status() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

/// Prints a line each minute, and verifies every file.
struct Minutes {
    next: u64,
    began: Instant,
}

impl Worker for Minutes {
    fn is_long(&self) -> bool {
        self.began.elapsed().as_secs() >= 60 * self.next
    }

    fn step(&mut self, world: &World, opened: &Opened) -> Checked<Duration> {
        if self.began.elapsed().as_secs() >= 60 * self.next {
            let line = sample::line(&Process::now()?, opened, world.path());
            let began = Instant::now();
            let files = verified(world, opened)?;
            let seconds = began.elapsed().as_secs_f64();
            clear_status();
            println!("{:>4} min: {line}; {}; {files} files verified in {seconds:.1} s", self.next, done(world));
            let _ = std::io::stdout().flush();
            self.next += 1;
        }
        Ok(Duration::from_millis(200))
    }
}

/// Reads every file, as the open database sees them, and as a stranger does beside it.
fn verified(world: &World, opened: &Opened) -> Checked<usize> {
    if !opened.db.is_closed() {
        opened.db.verify()?;
    }
    let (mut files, mut damage) = (0, Vec::new());
    let mut told = |file: VerifiedFile| -> Result<(), Error> {
        files += 1;
        damage.extend(file.error.map(|error| format!("{}: {error}", file.path.display())));
        Ok(())
    };
    Db::verify_files(world.path(), world.options(), &mut told)?;
    if damage.is_empty() { Ok(files) } else { Err(damage.join("; ").into()) }
}

fn clock(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn done(world: &World) -> String {
    let counts = &world.counts;
    let count = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    format!(
        "{:.2} M writes, {:.2} M reads, {} audits, {} guests, {} exports, {} times opened",
        count(&counts.writes) as f64 / 1e6,
        count(&counts.reads) as f64 / 1e6,
        count(&counts.audits),
        count(&counts.guests),
        count(&counts.exports),
        count(&counts.reopened) + 1
    )
}

/// Prints the end, and removes the directory if all was well.
fn sum_up(world: &World, samples: &[Process], dir: &Path, interrupted: bool) -> bool {
    let after = clock(samples.len() as u64);
    println!("after {after}{}: {}", if interrupted { ", interrupted" } else { "" }, done(world));
    let is_flat = match sample::judge(samples) {
        Some((lines, is_flat)) => {
            lines.iter().for_each(|line| println!("  {line}"));
            is_flat
        }
        None => {
            println!("  memory, threads and descriptors: not judged in less than {} minutes", sample::SECONDS_MIN / 60);
            true
        }
    };
    let wrong = world.wrong();
    wrong.iter().for_each(|what| println!("  WRONG {what}"));
    let all_is_well = is_flat && wrong.is_empty();
    if !all_is_well {
        println!("not well. The database is left in {}", dir.display());
        return false;
    }
    if let Err(error) = std::fs::remove_dir_all(dir) {
        println!("  {} cannot be removed: {error}", dir.display());
    }
    println!("all is well");
    true
}
