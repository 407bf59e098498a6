//! Hostile callers: every function of the header is called with NULL for each pointer, hostile lengths, numbers, texts and structs,
//! handles that are of another type, freed, closed, or of another database, in a forked child, beside a close, and among frees in
//! every order. Nothing may crash, abort, hang or leak; each call gives a code that the header names, and changes nothing.
//!
//! The C program is made here from the header: a function that is new is tried as well, and a type or a parameter that nothing is
//! known of fails the test with its name. `header.rs` reads the header, `calls.rs` makes the calls, `program.c` says what is tried.
//!
//! Environment: `UPDATE=1` writes `null.txt` anew, the list of where NULL is allowed; `SSTORE_HOSTILE=<part of a name>` tries some
//! functions alone.

#[path = "../library/mod.rs"]
mod library;

mod calls;
mod header;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How many processes try the functions side by side: they wait for disks more than they compute.
const PARTS: usize = 4;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn nothing_that_a_caller_does_wrong_does_harm() {
    let header = header::read(&root().join("include/sstore.h"));
    assert!(header.functions.len() > 150, "only {} functions", header.functions.len());
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("calls.inc"), calls::program(&header)).unwrap();
    let program = compile(work.path());
    // In memory, where there is such a place: what is tried here does not depend on the disk, and syncs are most of the time.
    let place = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let only = std::env::var("SSTORE_HOSTILE").unwrap_or_default();
    let runs: Vec<_> = (0..PARTS)
        .map(|part| {
            let base = place.path().join(part.to_string());
            std::fs::create_dir(&base).unwrap();
            let mut command = Command::new(&program);
            command.arg(&base).args([part.to_string(), PARTS.to_string()]).current_dir(&base);
            command.args((!only.is_empty()).then_some(&only)).env("LD_LIBRARY_PATH", work.path());
            // What a thread keeps for its next allocation would count as in use.
            command.env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0");
            std::thread::spawn(move || command.output().unwrap())
        })
        .collect();
    let (mut null_allowed, mut complaints, mut counts) = (Vec::new(), Vec::new(), BTreeMap::new());
    for run in runs {
        let output = run.join().unwrap();
        for line in
            String::from_utf8_lossy(&output.stdout).lines().chain(String::from_utf8_lossy(&output.stderr).lines())
        {
            if let Some(line) = line.strip_prefix("= ") {
                null_allowed.push(line.to_owned());
            } else if let Some((kind, count)) = line.strip_prefix("# ").and_then(|line| line.rsplit_once(": ")) {
                *counts.entry(kind.to_owned()).or_insert(0) += count.parse::<u64>().unwrap();
            } else {
                complaints.push(line.to_owned());
            }
        }
        if !output.status.success() {
            complaints.push(format!("{}", output.status));
        }
    }
    for (kind, count) in &counts {
        println!("{count:6} {kind}");
    }
    println!("{:6} calls of {} functions", counts.values().sum::<u64>(), header.functions.len());
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    if only.is_empty() {
        assert!(counts.len() == 10 && counts.values().all(|count| *count > 40), "something was not tried: {counts:?}");
        compare(null_allowed);
    }
}

fn compile(work: &Path) -> PathBuf {
    let library = work.join("libsstore.so.0");
    std::os::unix::fs::symlink(library::built(), &library).unwrap();
    let (program, tests) = (work.join("hostile"), root().join("ffi/tests"));
    let compiled = Command::new("gcc")
        .args(["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-D_DEFAULT_SOURCE"])
        .args([Path::new("-I"), work, Path::new("-I"), &root().join("include"), Path::new("-I"), &tests.join("c")])
        .args([Path::new("-I"), &tests.join("hostile")])
        .args([&tests.join("hostile/program.c"), &library, Path::new("-pthread"), Path::new("-o"), &program])
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    program
}

/// Where NULL is allowed, and what it gives there; everywhere else it is INVALID_ARGUMENT.
fn compare(mut lines: Vec<String>) {
    lines.sort();
    let printed = lines.join("\n") + "\n";
    let path = root().join("ffi/tests/hostile/null.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &printed).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let known = |text: &str, line: &str| text.lines().any(|other| other == line);
    let new: Vec<&str> = printed.lines().filter(|line| !known(&expected, line)).collect();
    let gone: Vec<&str> = expected.lines().filter(|line| !known(&printed, line)).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "not what null.txt says: new {new:?}, gone {gone:?}; UPDATE=1 writes it anew: read the difference"
    );
}
