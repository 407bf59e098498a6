//! The table of faults: its form, and whether it still fits the code.

use crate::source;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where the table lies.
pub const PATH: &str = "core/tests/mutants.toml";
/// The binaries of tests each of which needs a fault.
const WITH_FAULTS: [&str; 4] = ["acceptance", "table_acceptance", MODELS, HANDLE_MODELS];
/// How a fault names the tests that stand beside the code.
pub const LIBRARY: &str = "lib";
/// How a fault names the models of the engine, and those of the handles of C: another build, with loom's atomics.
pub const MODELS: &str = "models";
pub const HANDLE_MODELS: &str = "handle_models";

/// One way to break the engine, and who must notice.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What it is called on the command line.
    pub name: String,
    /// What no longer holds.
    pub broken: String,
    /// The file that is changed, from the root of the repository.
    pub file: String,
    /// The text that is replaced. It stands exactly once in the file.
    pub text: String,
    /// What stands there instead.
    pub replacement: String,
    /// The test binary of `core`: the name of a file in `core/tests`, or of a folder with a `main.rs`, or `lib`; `handle_models` for
    /// those of `ffi`.
    pub binary: String,
    /// The tests that must fail, each by its full name in the binary.
    pub tests: Vec<String>,
    /// What the failure says: one that fails for another reason has not noticed.
    pub says: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    fault: Vec<Fault>,
}

/// Reads the table.
pub fn read(root: &Path) -> Result<Vec<Fault>, Vec<String>> {
    let text = std::fs::read_to_string(root.join(PATH)).map_err(|error| vec![format!("{PATH}: {error}")])?;
    let table: Table = toml::from_str(&text).map_err(|error| vec![format!("{PATH}: {error}")])?;
    Ok(table.fault)
}

/// What of the table does not fit the code.
pub fn check(root: &Path, faults: &[Fault]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    let mut covered = BTreeSet::new();
    for fault in faults {
        let mut say = |what: String| wrong.push(format!("{PATH}: {}: {what}", fault.name));
        if !names.insert(&fault.name) {
            say("two faults have this name".to_owned());
        }
        for (field, value) in
            [("name", &fault.name), ("broken", &fault.broken), ("text", &fault.text), ("says", &fault.says)]
        {
            if value.trim().is_empty() {
                say(format!("`{field}` is empty"));
            }
        }
        if fault.text == fault.replacement {
            say("the replacement is the text itself".to_owned());
        }
        let times = std::fs::read_to_string(root.join(&fault.file)).map(|code| code.matches(&fault.text).count());
        match times {
            Ok(1) => {}
            Ok(times) => say(format!("its text stands {times} times in {}: once is needed", fault.file)),
            Err(error) => say(format!("{}: {error}", fault.file)),
        }
        if fault.tests.is_empty() {
            say("it names no test".to_owned());
        }
        for test in &fault.tests {
            if !is_test(root, &fault.binary, test) {
                say(format!("there is no test {test} in {}", fault.binary));
            }
            covered.insert((fault.binary.as_str(), test.as_str()));
        }
    }
    for binary in WITH_FAULTS {
        let tests = tests_of(root, binary);
        if tests.is_empty() {
            wrong.push(format!("no tests found of {binary}"));
        }
        for test in tests.iter().filter(|test| !covered.contains(&(binary, test.as_str()))) {
            wrong.push(format!("{binary}: no fault in {PATH} shows that {test} can fail"));
        }
    }
    wrong
}

/// The full names of the tests of a binary: of its file, or of a folder whose files are modules.
fn tests_of(root: &Path, binary: &str) -> Vec<String> {
    let home = root.join("core/tests");
    let of = |file: &Path| std::fs::read_to_string(file).map(|code| tests_in(&code)).unwrap_or_default();
    if binary == HANDLE_MODELS {
        let tests = of(&root.join("ffi/src/handle/models.rs"));
        return tests.into_iter().map(|test| format!("handle::models::{test}")).collect();
    }
    let mut tests = of(&home.join(format!("{binary}.rs")));
    let is_models = binary == MODELS;
    if is_models || home.join(binary).join("main.rs").exists() {
        for room in std::fs::read_dir(home.join(binary)).into_iter().flatten().flatten() {
            let file = room.path();
            let module = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let is_main = module == "main";
            let name = |test| match (is_models, is_main) {
                (true, _) => format!("{MODELS}::{module}::{test}"),
                (false, true) => test,
                (false, false) => format!("{module}::{test}"),
            };
            tests.extend(of(&file).into_iter().map(name));
        }
    }
    tests.sort();
    tests
}

fn is_test(root: &Path, binary: &str, test: &str) -> bool {
    if binary != LIBRARY {
        return tests_of(root, binary).iter().any(|found| found == test);
    }
    let (modules, name) = test.rsplit_once("::").unwrap_or(("", test));
    module_files(modules).iter().any(|file| {
        std::fs::read_to_string(root.join(file)).is_ok_and(|code| tests_in(&code).iter().any(|found| found == name))
    })
}

/// The files that may hold module `a::b::tests`: its own, or, if it is written within its parent, that of the parent.
fn module_files(modules: &str) -> Vec<PathBuf> {
    let parts: Vec<&str> = modules.split("::").collect();
    let own = |parts: &[&str]| {
        let path = format!("core/src/{}", parts.join("/"));
        [PathBuf::from(format!("{path}.rs")), PathBuf::from(format!("{path}/mod.rs"))]
    };
    own(&parts).into_iter().chain(own(&parts[..parts.len() - 1])).collect()
}

/// The names of the functions marked `#[test]`.
fn tests_in(code: &str) -> Vec<String> {
    let code = source::scrub(code);
    let tokens: Vec<&str> = source::tokens(&code).into_iter().map(|(_, token)| token).collect();
    let marked = tokens.windows(6).filter(|window| window[..5] == ["#", "[", "test", "]", "fn"]);
    marked.map(|window| window[5].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("core/src/wal/sync.rs", "fn sync() { disk(); }\nmod tests { #[test] fn it_syncs() {} }"),
            ("core/tests/acceptance.rs", "#[test]\nfn kept() {}\nfn helper() {}\n"),
            ("core/tests/table_acceptance/main.rs", "mod room;\n"),
            ("core/tests/table_acceptance/room.rs", "#[test]\nfn roomy() {}\n"),
            ("core/tests/models/bell.rs", "#[test]\nfn no_ring_is_lost() {}\n"),
            ("ffi/src/handle/models.rs", "#[test]\nfn freed_once() {}\n"),
        ] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn fault() -> Fault {
        let text = r#"
            [[fault]]
            name = "no-sync"
            broken = "nothing is synced"
            file = "core/src/wal/sync.rs"
            text = "disk();"
            replacement = ""
            binary = "acceptance"
            tests = ["kept"]
            says = "lost"
        "#;
        toml::from_str::<Table>(text).unwrap().fault.remove(0)
    }

    fn of(binary: &str, test: &str) -> Fault {
        let tests = vec![test.to_owned()];
        Fault { name: binary.to_owned(), binary: binary.to_owned(), tests, ..fault() }
    }

    /// For the tests that stand in rooms, and for models.
    fn others() -> [Fault; 3] {
        [
            of("table_acceptance", "room::roomy"),
            of(MODELS, "models::bell::no_ring_is_lost"),
            of(HANDLE_MODELS, "handle::models::freed_once"),
        ]
    }

    fn checked(fault: Fault) -> Vec<String> {
        let faults: Vec<Fault> = others().into_iter().chain([fault]).collect();
        check(tree().path(), &faults)
    }

    fn said(change: impl FnOnce(&mut Fault)) -> String {
        let mut fault = fault();
        change(&mut fault);
        checked(fault).join("\n")
    }

    #[test]
    fn a_table_that_fits_is_accepted() {
        assert_eq!(said(|_| {}), "");
        let faults = [fault(), of(LIBRARY, "wal::sync::tests::it_syncs")];
        let faults: Vec<Fault> = others().into_iter().chain(faults).collect();
        assert_eq!(check(tree().path(), &faults), [""; 0]);
    }

    #[test]
    fn what_no_longer_fits_is_named() {
        assert!(said(|fault| fault.text = "gone();".to_owned()).contains("stands 0 times"));
        assert!(said(|fault| fault.text = "c".to_owned()).contains("stands 2 times"));
        assert!(said(|fault| fault.replacement = "disk();".to_owned()).contains("the text itself"));
        assert!(said(|fault| fault.file = "core/src/none.rs".to_owned()).contains("core/src/none.rs: "));
        assert!(said(|fault| fault.tests = vec!["helper".to_owned()]).contains("there is no test helper"));
        assert!(said(|fault| fault.tests.clear()).contains("names no test"));
        assert!(said(|fault| fault.says.clear()).contains("`says` is empty"));
    }

    #[test]
    fn a_test_that_needs_a_fault_and_has_none_is_named() {
        let said = check(tree().path(), &[]).join("\n");
        for test in ["kept", "room::roomy", "models::bell::no_ring_is_lost", "handle::models::freed_once"] {
            assert!(said.contains(&format!("shows that {test} can fail")), "{said}");
        }
    }

    #[test]
    fn two_of_a_name_are_refused() {
        assert!(check(tree().path(), &[fault(), fault()]).join("\n").contains("two faults"));
    }
}
