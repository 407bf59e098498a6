//! The functions of `include/sstore.h`, the committed list `ffi/abi/sstore.symbols` and what `libsstore.so` exports are
//! one set.
//!
//! The list is sorted and only grows: a name that leaves it breaks programs that are already linked. The library looked at
//! is the newest one that cargo built; without one it is built here.

use crate::{Outcome, source};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compares the three.
pub fn run(root: &Path) -> Outcome {
    let read = |name: &str| std::fs::read_to_string(root.join(name)).map_err(|error| vec![format!("{name}: {error}")]);
    let header = functions(&read("include/sstore.h")?);
    let listed_text = read("ffi/abi/sstore.symbols")?;
    let lines: Vec<&str> = listed_text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let listed: BTreeSet<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let library = library(root)?;
    let exported = exported(&library)?;
    let mut wrong = Vec::new();
    if !lines.is_sorted() {
        wrong.push("ffi/abi/sstore.symbols: not sorted".to_owned());
    }
    wrong.extend(differences("include/sstore.h", &header, "ffi/abi/sstore.symbols", &listed));
    wrong.extend(differences("libsstore.so", &exported, "ffi/abi/sstore.symbols", &listed));
    if wrong.is_empty() { Ok(format!("{} functions in header, list and library", listed.len())) } else { Err(wrong) }
}

/// The names of the functions that a C header declares.
fn functions(header: &str) -> BTreeSet<String> {
    let code: String = source::scrub(header).lines().filter(|line| !line.trim_start().starts_with('#')).fold(
        String::new(),
        |mut code, line| {
            code.push_str(line);
            code.push('\n');
            code
        },
    );
    let tokens = source::tokens(&code);
    let called = tokens.windows(2).filter(|pair| pair[0].1.starts_with("sstore_") && pair[1].1 == "(");
    called.map(|pair| pair[0].1.to_owned()).collect()
}

fn library(root: &Path) -> Result<PathBuf, Vec<String>> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let built = || {
        let found = ["release", "ci", "debug"].map(|profile| target.join(profile).join("libsstore.so"));
        let dated = found.into_iter().filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)));
        dated.max().map(|(_, path)| path)
    };
    if let Some(path) = built() {
        return Ok(path);
    }
    let status =
        Command::new("cargo").args(["build", "--quiet", "--profile", "ci", "--workspace"]).current_dir(root).status();
    match (status.is_ok_and(|status| status.success()), built()) {
        (true, Some(path)) => Ok(path),
        _ => Err(vec!["libsstore.so: not there and cannot be built; run `cargo build --workspace`".to_owned()]),
    }
}

fn exported(library: &Path) -> Result<BTreeSet<String>, Vec<String>> {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output();
    let output = output.map_err(|error| vec![format!("nm: {error}")])?;
    if !output.status.success() {
        return Err(vec![format!("nm {}: {}", library.display(), String::from_utf8_lossy(&output.stderr))]);
    }
    Ok(names_of_nm(&String::from_utf8_lossy(&output.stdout)))
}

/// The names in the output of `nm`, without symbol versions; the version node itself (type A) is no function.
fn names_of_nm(text: &str) -> BTreeSet<String> {
    let fields = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let symbols = fields.filter(|fields| fields.len() >= 2 && fields[fields.len() - 2] != "A");
    symbols.map(|fields| fields[fields.len() - 1].split('@').next().unwrap_or("").to_owned()).collect()
}

fn differences(name: &str, set: &BTreeSet<String>, other_name: &str, other: &BTreeSet<String>) -> Vec<String> {
    let only = set.difference(other).map(|symbol| format!("{symbol}: in {name}, not in {other_name}"));
    only.chain(other.difference(set).map(|symbol| format!("{symbol}: in {other_name}, not in {name}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_told_from_types_callbacks_and_comments() {
        let header = "/* sstore_not(this) */\n#define SSTORE_X(a) sstore_macro(a)\ntypedef struct sstore_db sstore_db;\n\
                      typedef void (*sstore_listener)(void *);\nsstore_code sstore_open(const char *path,\n sstore_error **error);\n\
                      const char *sstore_version(void);\n";
        let found: Vec<String> = functions(header).into_iter().collect();
        assert_eq!(found, ["sstore_open", "sstore_version"]);
    }

    #[test]
    fn nm_output_loses_versions_and_nodes() {
        let text =
            "0000000000001000 T sstore_open@@SSTORE_0\n0000000000000000 A SSTORE_0\n0000000000001010 T sstore_close\n";
        let found: Vec<String> = names_of_nm(text).into_iter().collect();
        assert_eq!(found, ["sstore_close", "sstore_open"]);
    }

    #[test]
    fn every_difference_is_named() {
        let a = BTreeSet::from(["x".to_owned(), "y".to_owned()]);
        let b = BTreeSet::from(["y".to_owned(), "z".to_owned()]);
        assert_eq!(differences("a", &a, "b", &b), ["x: in a, not in b", "z: in b, not in a"]);
        assert!(differences("a", &a, "c", &a).is_empty());
    }
}
