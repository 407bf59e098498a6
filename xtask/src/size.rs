//! How large `libsstore.so` is as it is released, without tables and with them.
//!
//! Called by hand and by `scripts/bench`, which puts the answer into `bench/RESULTS.md`; not by `xtask all`, since it links
//! two optimised libraries. The one with tables is linked last, and stays.

use crate::Outcome;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds both libraries and gives their sizes as a table in Markdown.
pub fn run(root: &Path) -> Outcome {
    let mut table = "\n\n| libsstore.so | bytes | stripped |\n|---|---|---|".to_owned();
    for (name, arguments) in [("without tables", &["--no-default-features"][..]), ("with tables", &[])] {
        let library = build(root, arguments)?;
        let stripped = library.with_extension("stripped");
        let strip = Command::new("strip").arg("-o").arg(&stripped).arg(&library).status();
        if !strip.is_ok_and(|status| status.success()) {
            return Err(vec![format!("{}: `strip` does not work", library.display())]);
        }
        table.push_str(&format!("\n| {name} | {} | {} |", bytes(&library)?, bytes(&stripped)?));
        // Best effort: the next one writes over it.
        let _ = std::fs::remove_file(stripped);
    }
    Ok(table)
}

fn bytes(path: &Path) -> Result<u64, Vec<String>> {
    path.metadata().map(|found| found.len()).map_err(|error| vec![format!("{}: {error}", path.display())])
}

fn build(root: &Path, arguments: &[&str]) -> Result<PathBuf, Vec<String>> {
    let failed = || vec![format!("`cargo build --release -p sstore-ffi {}` fails", arguments.join(" "))];
    let output = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--package", "sstore-ffi", "--message-format", "json"])
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| vec![format!("cargo: {error}")])?;
    if !output.status.success() {
        return Err(failed());
    }
    library_in(&String::from_utf8_lossy(&output.stdout)).ok_or_else(failed)
}

/// The shared library in what cargo says of a build, line by line.
fn library_in(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let names = messages.filter_map(|message| message.get("filenames")?.as_array().cloned()).flatten();
    names.filter_map(|name| name.as_str().map(PathBuf::from)).find(|path| path.ends_with("libsstore.so"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_among_what_cargo_says() {
        let said = concat!(
            "{\"reason\":\"compiler-artifact\",\"filenames\":[\"/t/release/deps/libarrow.rlib\"]}\n",
            "no json\n",
            "{\"reason\":\"compiler-artifact\",\"filenames\":[\"/t/release/libsstore.a\",\"/t/release/libsstore.so\"]}\n",
            "{\"reason\":\"build-finished\",\"success\":true}\n",
        );
        assert_eq!(library_in(said), Some(PathBuf::from("/t/release/libsstore.so")));
        assert_eq!(library_in("{\"reason\":\"build-finished\"}"), None);
    }
}
