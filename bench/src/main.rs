//! `sstore-bench`: one command that measures the engine and, in the same run, the limits of the machine.
//!
//! Called by `make bench` and by hand: `sstore-bench [group]... [options]`, see [`USAGE`].
//! A figure is the median of several rounds, with the least and the greatest beside it. Keys have 16 bytes, values 100.

mod boundary;
mod data;
mod import;
mod limits;
mod load;
mod measure;
mod memtable;
mod read;
mod report;
mod tables;
mod write;

use measure::Row;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What goes wrong in a measurement ends the run, with its message.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How much to measure, and where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Rounds of each measurement.
    pub rounds: usize,
    /// Distinct keys in a memtable measurement.
    pub keys: usize,
    /// Bytes of memtable that the flush and recovery measurements fill.
    pub fill_bytes: u64,
    /// Rows of a table.
    pub rows: usize,
    /// Whether it is only to be seen that it runs.
    pub is_quick: bool,
    /// A Python that has the peers of tables; `None`: they are left out.
    pub peers: Option<PathBuf>,
    /// A folder of our own on the disk to be measured; made and removed here.
    pub dir: PathBuf,
}

struct Group {
    name: &'static str,
    help: &'static str,
    run: fn(&Plan) -> Result<Vec<Row>>,
}

const GROUPS: &[Group] = &[
    Group { name: "memtable", help: "insert, get, sort at freeze, for four shapes of keys", run: memtable::run },
    Group { name: "put", help: "BUFFERED puts and batches through the mapped log", run: write::put },
    Group { name: "sync", help: "SYNC puts against the best fdatasync path of the disk", run: write::sync },
    Group {
        name: "flush",
        help: "64 MiB to a durable file, plain and LZ4, against memcpy + write + fdatasync",
        run: write::flush,
    },
    Group { name: "read", help: "get, scan and seek in a flushed, cached file", run: read::read },
    Group {
        name: "boundary",
        help: "what the C interface adds to a call, against the same call in Rust",
        run: boundary::run,
    },
    Group { name: "open", help: "opening with 64 MiB in the log", run: read::open },
    Group { name: "tables-ingest", help: "SYNC and BUFFERED ingest of rows, beside DuckDB", run: tables::ingest },
    Group {
        name: "tables-flush",
        help: "a full memtable of rows to a durable file of each format",
        run: tables::flush,
    },
    Group {
        name: "tables-read",
        help: "scan, range and look-up in one file, beside pyarrow and DuckDB",
        run: tables::read,
    },
    Group {
        name: "tables-merge",
        help: "scan and merge of overlapping runs, and how much memory they take",
        run: tables::merge,
    },
];

/// Measured only when they are named, as they take long (`load` is all of those) or need what may be missing. Each has a section of RESULTS.md, by its title, which
/// nothing else writes.
const LONG_GROUPS: &[(&str, Group)] = &[
    (
        "Load: overwrites",
        Group {
            name: "load-overwrite",
            help: "ten minutes of overwrites at full speed: latencies, the evenness of the seconds, stalls",
            run: load::overwrite,
        },
    ),
    (
        "Load: threads",
        Group {
            name: "load-threads",
            help: "several writers, several readers, readers beside a writer",
            run: load::threads,
        },
    ),
    (
        "Load: memory",
        Group {
            name: "load-memory",
            help: "what the process holds under a budget, beside what is counted",
            run: load::memory,
        },
    ),
    (
        "Import",
        Group {
            name: "import",
            help: "a million entries of LevelDB's, beside LevelDB itself; needs g++ and libleveldb-dev",
            run: import::run,
        },
    ),
];

const USAGE: &str = "usage: sstore-bench [group]... [--rounds N] [--rows N] [--quick] [--dir D] [--peers PYTHON] [--json] [--results FILE]";

struct Arguments {
    plan: Plan,
    groups: Vec<&'static Group>,
    json: bool,
    results: Option<PathBuf>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, words @ ..] = &words[..]
        && first == "--child"
    {
        return ended(match words {
            [work, words @ ..] if work == load::BUDGET => load::child(words),
            words => tables::child(words),
        });
    }
    let arguments = match parse(words.into_iter()) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("sstore-bench: {message}\n\n{USAGE}");
            for group in all_groups() {
                eprintln!("  {:<14} {}", group.name, group.help);
            }
            return ExitCode::FAILURE;
        }
    };
    ended(measure_all(&arguments))
}

fn ended(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sstore-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn all_groups() -> impl Iterator<Item = &'static Group> {
    GROUPS.iter().chain(LONG_GROUPS.iter().map(|(_, group)| group))
}

/// The section of RESULTS.md that only this group writes.
fn section_of(group: &Group) -> Option<&'static str> {
    LONG_GROUPS.iter().find(|(_, long)| long.name == group.name).map(|(title, _)| *title)
}

fn parse(mut words: impl Iterator<Item = String>) -> std::result::Result<Arguments, String> {
    let plan = Plan {
        rounds: 5,
        keys: 480_000,
        fill_bytes: 64 << 20,
        rows: 5_000_000,
        is_quick: false,
        peers: None,
        dir: PathBuf::from("build/bench"),
    };
    let mut arguments = Arguments { plan, groups: Vec::new(), json: false, results: None };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--rounds" => arguments.plan.rounds = value()?.parse().map_err(|_| "--rounds takes a number".to_owned())?,
            "--rows" => {
                let rows: usize = value()?.parse().map_err(|_| "--rows takes a number".to_owned())?;
                arguments.plan.rows = rows.max(10_000);
            }
            "--peers" => arguments.plan.peers = Some(PathBuf::from(value()?)),
            "--dir" => arguments.plan.dir = PathBuf::from(value()?),
            "--results" => arguments.results = Some(PathBuf::from(value()?)),
            "--json" => arguments.json = true,
            "--quick" => {
                (arguments.plan.rounds, arguments.plan.keys, arguments.plan.fill_bytes) = (1, 20_000, 2 << 20);
                (arguments.plan.rows, arguments.plan.is_quick) = (100_000, true);
            }
            "all" => arguments.groups = GROUPS.iter().collect(),
            name => {
                // `tables` is every group of that kind.
                let is_of = |rest: &str| rest.is_empty() || rest.starts_with('-');
                let named = |group: &&Group| group.name.strip_prefix(name).is_some_and(is_of);
                let before = arguments.groups.len();
                arguments.groups.extend(all_groups().filter(named));
                if arguments.groups.len() == before {
                    return Err(format!("no group \"{name}\""));
                }
            }
        }
    }
    if arguments.groups.is_empty() {
        arguments.groups = GROUPS.iter().collect();
    }
    arguments.plan.rounds = arguments.plan.rounds.max(1);
    Ok(arguments)
}

fn measure_all(arguments: &Arguments) -> Result<()> {
    std::fs::create_dir_all(&arguments.plan.dir)?;
    // By section, in the order of the groups.
    let mut measured: Vec<(Option<&str>, Vec<Row>)> = Vec::new();
    for group in &arguments.groups {
        eprintln!("{}: {}", group.name, group.help);
        let (section, rows) = (section_of(group), (group.run)(&arguments.plan)?);
        match measured.iter_mut().find(|(other, _)| *other == section) {
            Some((_, before)) => before.extend(rows),
            None => measured.push((section, rows)),
        }
    }
    let machine = report::machine(&arguments.plan.dir);
    if let Some(path) = &arguments.results {
        for (section, rows) in &measured {
            write_results(path, *section, &machine, rows)?;
        }
        eprintln!("written: {}", path.display());
    }
    let rows: Vec<Row> = measured.into_iter().flat_map(|(_, rows)| rows).collect();
    if arguments.json {
        println!("{}", report::json(&machine, &rows));
    } else {
        println!("{}", report::text(&rows));
    }
    std::fs::remove_dir_all(&arguments.plan.dir)?;
    Ok(())
}

fn write_results(path: &Path, section: Option<&str>, machine: &[(&'static str, String)], rows: &[Row]) -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("sstore-bench {}", arguments.join(" "));
    let old = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        old => old?,
    };
    let measured = report::markdown(machine, &command, rows);
    let new = match section {
        Some(title) => report::with_section(&old, title, &measured),
        None => {
            // Python's is written by python_peers.py.
            let kept: Vec<&str> = LONG_GROUPS.iter().map(|(title, _)| *title).chain(["Python"]).collect();
            report::document(&old, &kept, &measured)
        }
    };
    Ok(std::fs::write(path, new)?)
}
