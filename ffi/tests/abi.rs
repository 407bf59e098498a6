//! The interface is what was agreed: the header, the committed list of names and the library agree with each other, and the
//! header compiles clean in every language it promises.

mod library;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn committed() -> BTreeSet<String> {
    let list = std::fs::read_to_string(root().join("ffi/abi/sstore.symbols")).unwrap();
    let names: Vec<String> = list.lines().map(str::to_owned).collect();
    assert!(names.is_sorted(), "sstore.symbols is sorted");
    names.into_iter().collect()
}

#[test]
fn the_header_declares_just_the_committed_names() {
    let header = std::fs::read_to_string(root().join("include/sstore.h")).unwrap();
    let mut declared = BTreeSet::new();
    let mut comment = false;
    for line in header.lines() {
        comment |= line.contains("/*");
        if !comment && !line.starts_with("typedef") && !line.starts_with("#") {
            let name =
                |before: &str| before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
            declared
                .extend(line.split_once('(').and_then(|(before, _)| name(before)).filter(|n| n.starts_with("sstore_")));
        }
        comment &= !line.contains("*/");
    }
    assert_eq!(declared, committed());
}

#[test]
fn every_function_is_called_by_a_c_program() {
    let mut programs = String::new();
    for directory in ["ffi/tests/c", "examples/c"] {
        for entry in std::fs::read_dir(root().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "c") {
                programs.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let uncalled: Vec<_> = committed().into_iter().filter(|name| !programs.contains(&format!("{name}("))).collect();
    assert_eq!(uncalled, Vec::<String>::new());
}

#[test]
fn every_function_has_a_place_in_the_cpp_headers() {
    let mut text = String::new();
    for entry in std::fs::read_dir(root().join("include/sstore")).unwrap() {
        text.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let words: BTreeSet<_> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    // What is read where the call is made, and a copy that a pinned value makes unneeded.
    let elsewhere = ["sstore_error_code", "sstore_get"];
    let missing: Vec<_> = committed()
        .into_iter()
        .filter(|name| !words.contains(name.as_str()) && !elsewhere.contains(&name.as_str()))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn the_library_exports_just_the_committed_names() {
    let listed = Command::new("nm").args(["-D", "--defined-only"]).arg(library::built()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let exported: BTreeSet<_> = listed.lines().filter_map(|line| line.split(' ').nth(2)).map(str::to_owned).collect();
    assert_eq!(exported, committed());
}

#[test]
fn the_header_compiles_clean_in_every_language() {
    let languages = [("gcc", "c", "c99"), ("gcc", "c", "c11"), ("g++", "c++", "c++17")];
    for (compiler, language, standard) in languages {
        let header = root().join("include/sstore.h");
        let output = Command::new(compiler)
            .args(["-x", language, &format!("-std={standard}"), "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
            .args(["-fsyntax-only", "-include"])
            .arg(header)
            .arg("/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{standard}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
