//! Compiles the C tests and the C examples against the shared library, runs each in a directory of its own, and compares what
//! it prints. A C test fails by its exit code; an example also by printing something else than `expected/<name>.txt`.

mod library;

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compiles and runs one program; gives back what it printed.
fn run(source: &Path, work: &Path) -> String {
    let libraries = work.join("lib");
    std::fs::create_dir_all(&libraries).unwrap();
    // The soname is what the loader looks for.
    let link = libraries.join("libsstore.so.0");
    if !link.exists() {
        std::os::unix::fs::symlink(library::built(), &link).unwrap();
    }
    let program = work.join("program");
    let flags = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_POSIX_C_SOURCE=200809L"];
    let compiled = Command::new("gcc")
        .args(flags)
        .arg("-I")
        .arg(root().join("include"))
        .arg(source)
        .arg(&link)
        .args(["-pthread", "-o"])
        .arg(&program)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = Command::new(&program)
        .arg(work.join("db"))
        .env("LD_LIBRARY_PATH", &libraries)
        .current_dir(work)
        .output()
        .unwrap();
    let (printed, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {}\n{printed}{complaints}", source.display(), output.status);
    assert_eq!(complaints, "", "{} wrote to stderr", source.display());
    printed.into_owned()
}

fn example(name: &str) {
    let work = tempfile::tempdir().unwrap();
    let examples = root().join("examples/c");
    let printed = run(&examples.join(format!("{name}.c")), work.path());
    let expected = std::fs::read_to_string(examples.join(format!("expected/{name}.txt"))).unwrap();
    assert_eq!(printed, expected, "{name}");
}

fn test(name: &str) {
    let work = tempfile::tempdir().unwrap();
    run(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/c/{name}.c")), work.path());
}

#[test]
fn example_first_steps() {
    example("first_steps");
}

#[test]
fn example_batch() {
    example("batch");
}

#[test]
fn example_iterate() {
    example("iterate");
}

#[test]
fn example_snapshot() {
    example("snapshot");
}

#[test]
fn example_flush_events() {
    example("flush_events");
}

#[test]
fn example_crash_reopen() {
    example("crash_reopen");
}

#[test]
fn example_errors() {
    example("errors");
}

#[test]
fn example_sensors() {
    example("sensors");
}

#[test]
fn example_scan_stream() {
    example("scan_stream");
}

#[test]
fn example_table_batch() {
    example("table_batch");
}

#[test]
fn every_function_does_what_the_header_says() {
    test("every_function");
}

#[test]
fn hostile_arguments_get_codes() {
    test("hostile");
}

#[test]
fn a_logger_is_told_by_the_rules() {
    test("log_callback");
}

#[test]
fn callbacks_that_call_back_or_block_hang_nothing() {
    test("callbacks");
}

#[test]
fn what_belongs_to_one_thread_survives_being_used_by_several() {
    test("one_at_a_time");
}

#[test]
fn every_function_of_tables_does_what_the_header_says() {
    test("tables");
}

#[test]
fn options_of_a_table_are_kept_and_overridden_and_all_files_stay_readable() {
    test("table_options");
}

#[test]
fn another_process_executes_splits_from_bytes() {
    test("splits");
}

#[test]
fn files_are_told_exported_and_repaired() {
    test("files");
}

#[test]
fn a_close_that_fails_closes_and_loses_nothing() {
    test("close_fails");
}

#[test]
fn exports_and_repairs_tell_how_far_they_are_and_are_called_off() {
    test("progress");
}

#[test]
fn a_leveldb_database_comes_in() {
    test("leveldb");
}

#[test]
fn what_is_taken_and_given_is_released_once() {
    test("arrow_transfer");
}

#[test]
fn hostile_arrow_gets_codes() {
    test("arrow_hostile");
}

#[test]
fn a_table_is_used_by_several_threads() {
    test("tables_threads");
}

#[test]
fn the_library_can_be_unloaded_after_the_last_close() {
    test("unload");
}
