//! `cargo xtask <check>`: the rules of this repository that a machine can hold.
//!
//! Called by `make test` and by hand. One file per check; each returns a line that says what it looked at, or the list of
//! what is wrong, every item with the file to open. Exit code 0, or 1 with the list on standard error.

mod architecture;
mod c_docs;
mod c_functions;
mod env_only;
mod header;
mod layers;
mod manual;
mod mutants;
mod option_docs;
mod prologues;
mod size;
mod source;
mod symbols;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a check found: a line for the reader, or everything that is wrong.
type Outcome = Result<String, Vec<String>>;

/// Whether a check that owns a generated file writes it or only compares it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Write,
    Verify,
}

struct Check {
    name: &'static str,
    help: &'static str,
    run: fn(&Path, Mode) -> Outcome,
}

const CHECKS: &[Check] = &[
    Check { name: "layers", help: "no module of core uses one declared below it", run: |root, _| layers::run(root) },
    Check { name: "env-only", help: "files, clock and threads only through env", run: |root, _| env_only::run(root) },
    Check {
        name: "prologues",
        help: "every source file opens by saying what it is",
        run: |root, _| prologues::run(root),
    },
    Check { name: "option-docs", help: "docs/options.md (writes; --verify compares)", run: option_docs::run },
    Check { name: "header", help: "include/sstore.h (writes; --verify compares)", run: header::run },
    Check {
        name: "symbols",
        help: "header = ffi/abi/sstore.symbols = exported names",
        run: |root, _| symbols::run(root),
    },
    Check {
        name: "c-docs",
        help: "every C function says threads, blocking, errors, owners",
        run: |root, _| c_docs::run(root),
    },
    Check { name: "architecture", help: "what ARCHITECTURE.md names exists", run: |root, _| architecture::run(root) },
    Check {
        name: "mutants",
        help: "core/tests/mutants.toml (plants its faults; --verify only compares it with the code)",
        run: |root, mode| if mode == Mode::Verify { mutants::check(root) } else { mutants::run(root, &[]) },
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let verify = arguments.iter().any(|argument| argument == "--verify");
    let names: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| *argument != "--verify").collect();
    if let [first, faults @ ..] = &names[..]
        && *first == "mutants"
        && !verify
    {
        return if told(first, mutants::run(&root(), faults)) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if let ["manual", folder] = names[..] {
        return if told("manual", manual::run(&root(), Path::new(folder))) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    if names == ["size"] {
        return if told("size", size::run(&root())) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let everything = names == ["all"];
    let mode = if verify || everything { Mode::Verify } else { Mode::Write };
    let chosen: Vec<&Check> = CHECKS.iter().filter(|check| everything || names.contains(&check.name)).collect();
    if chosen.is_empty() || !everything && chosen.len() != names.len() {
        usage();
        return ExitCode::FAILURE;
    }
    let root = root();
    // Counted, not asked with `all`: every check has its say.
    let passed = chosen.iter().filter(|check| told(check.name, (check.run)(&root, mode))).count();
    if passed == chosen.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tells what a check found; whether nothing is wrong.
fn told(name: &str, outcome: Outcome) -> bool {
    match &outcome {
        Ok(line) => println!("{name:<13} ok    {line}"),
        Err(wrong) => wrong.iter().for_each(|line| eprintln!("{name:<13} WRONG {line}")),
    }
    outcome.is_ok()
}

fn usage() {
    eprintln!("usage: cargo xtask all | <check>... [--verify] | mutants [fault]... | size | manual <folder>");
    for check in CHECKS {
        eprintln!("  {:<13} {}", check.name, check.help);
    }
}

/// The repository: the folder above this package.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// Compares `expected` with the file `name` of the repository, or writes it there.
fn write_or_verify(root: &Path, name: &str, expected: &str, mode: Mode, command: &str) -> Outcome {
    let path = root.join(name);
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if found == expected {
        return Ok(format!("{name}: {} lines, up to date", expected.lines().count()));
    }
    if mode == Mode::Write {
        std::fs::write(&path, expected).map_err(|error| vec![format!("{name}: {error}")])?;
        return Ok(format!("{name}: {} lines, written", expected.lines().count()));
    }
    let differs = expected.lines().zip(found.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or(expected.lines().count().min(found.lines().count())) + 1;
    Err(vec![format!(
        "{name}:{line}: differs from what the code says; run `cargo xtask {command}` and review the change"
    )])
}
