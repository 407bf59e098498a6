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

/// The code of all files of a folder whose name ends so: without comments, so that what is only spoken of does not count.
fn code(directory: &str, extension: &str) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(root().join(directory)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|own| own == extension) {
            let text = std::fs::read_to_string(path).unwrap();
            let blocks = text.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code));
            let lines = blocks.flat_map(|block| block.lines().map(|line| line.split("//").next().unwrap_or("")));
            lines.for_each(|line| all.extend([line, "\n"]));
        }
    }
    all
}

/// The words of a text that are followed by an opening bracket.
fn called(text: &str) -> BTreeSet<&str> {
    let before = |(at, _)| text[..at].rsplit(|c: char| !c.is_alphanumeric() && c != '_').next();
    text.match_indices('(').filter_map(before).collect()
}

#[test]
fn every_function_is_called_by_a_c_program() {
    let programs = [code("ffi/tests/c", "c"), code("examples/c", "c")].concat();
    let called = called(&programs);
    let uncalled: Vec<_> = committed().into_iter().filter(|name| !called.contains(name.as_str())).collect();
    assert_eq!(uncalled, Vec::<String>::new());
}

#[test]
fn every_public_file_of_cpp_is_included_by_the_one_that_users_include() {
    let all = std::fs::read_to_string(root().join("include/sstore.hpp")).unwrap();
    for entry in std::fs::read_dir(root().join("include/sstore")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(all.contains(&format!("#include <sstore/{name}>\n")), "sstore.hpp does not include {name}");
    }
}

#[test]
fn every_function_of_cpp_that_can_fail_has_a_try_form_which_is_seen_to_work_and_to_fail() {
    let headers = code("include/sstore", "hpp");
    // What throws does so by asking a try_ form for its value.
    let throws = |line: &&str| line.contains(").value()") && !line.contains("std::move(*this)");
    let untried: Vec<_> = headers.lines().filter(throws).filter(|line| !line.contains("try_")).collect();
    assert_eq!(untried, Vec::<&str>::new());

    let tests = code("ffi/tests/cpp", "cpp");
    // Each statement by itself: a condition may hold several.
    let within = |mark: &str| -> BTreeSet<&str> {
        let statements = tests.split(';').filter(|statement| statement.contains(mark));
        statements.flat_map(called).filter(|name| name.starts_with("try_")).collect()
    };
    let (works, fails) = (within("WORKS("), within("FAILS("));
    for name in called(&headers).into_iter().filter(|name| name.starts_with("try_")) {
        assert!(works.contains(name), "{name} is not in WORKS( in ffi/tests/cpp");
        assert!(fails.contains(name), "{name} is not in FAILS( in ffi/tests/cpp");
    }
}

#[test]
fn every_function_has_a_place_in_the_cpp_headers() {
    let text = code("include/sstore", "hpp");
    let words: BTreeSet<_> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    // What is read where the call is made, a copy that a pinned value makes unneeded, and what tells nobody how far it is.
    let elsewhere = ["sstore_error_code", "sstore_get", "sstore_export", "sstore_table_export", "sstore_repair"];
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
