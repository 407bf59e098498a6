//! Building and running tests in the copy, and judging what they say.

use super::copy;
use super::table::{Fault, HANDLE_MODELS, LIBRARY, MODELS};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A test that runs longer hangs; those of the table take a second or two.
const RUN_MAX: Duration = Duration::from_secs(300);
/// So much of what a test said fits a line.
const SAID_CHARS_MAX: usize = 160;
const POLL: Duration = Duration::from_millis(20);

/// What became of a fault.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Its tests failed, saying what they should. The text is what the first one said.
    Caught { said: String },
    /// A test passed all the same.
    Survived { test: String },
    /// The table is wrong: it does not compile, a test is missing, hangs, dies, or fails for another reason.
    Wrong { why: String },
}

impl Verdict {
    /// One word for the list.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Caught { .. } => "caught",
            Self::Survived { .. } => "SURVIVED",
            Self::Wrong { .. } => "WRONG",
        }
    }

    /// The rest of the line.
    pub fn text(&self) -> String {
        match self {
            Self::Caught { said } => said.clone(),
            Self::Survived { test } => format!("{test} passes although it is broken"),
            Self::Wrong { why } => why.clone(),
        }
    }
}

/// How one run of a test binary ended.
struct Ended {
    output: String,
    /// The exit code; `None`: by a signal.
    code: Option<i32>,
}

/// The copy of the tree, and where it is built.
pub struct Workbench {
    root: PathBuf,
    tree: PathBuf,
    build: PathBuf,
    logs: PathBuf,
    /// Held as long as the workbench exists: two runs would plant over each other.
    _lock: File,
}

impl Workbench {
    /// Copies the tree. Errors say what failed.
    pub fn new(root: &Path) -> Result<Self, String> {
        let home = root.join("target/planted");
        let (tree, build, logs) = (home.join("tree"), home.join("build"), home.join("logs"));
        let failed = |error: std::io::Error| format!("{}: {error}", home.display());
        std::fs::create_dir_all(&tree).map_err(failed)?;
        std::fs::create_dir_all(&logs).map_err(failed)?;
        let lock = File::create(home.join("LOCK")).map_err(failed)?;
        lock.try_lock().map_err(|_| "another run plants its faults at this moment".to_owned())?;
        copy::refresh(root, &tree)?;
        Ok(Self { root: root.to_path_buf(), tree, build, logs, _lock: lock })
    }

    /// Runs all tests of these faults on the copy as it is: they must pass.
    pub fn check_sound(&self, faults: &[Fault]) -> Result<(), Vec<String>> {
        let mut binaries: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for fault in faults {
            binaries.entry(&fault.binary).or_default().extend(fault.tests.iter().cloned());
        }
        let mut wrong = Vec::new();
        for (binary, tests) in binaries {
            let tests: Vec<String> = tests.into_iter().collect();
            let began = Instant::now();
            let ended =
                self.build(binary).and_then(|program| self.execute(&program, &tests, &format!("sound-{binary}")));
            match ended {
                Ok(ended) => {
                    for (test, outcome) in outcomes(&ended.output, &tests) {
                        match outcome {
                            Some(true) => {}
                            Some(false) => wrong.push(format!("{binary}: {test} fails without any fault")),
                            None => wrong.push(format!("{binary}: {test} did not run")),
                        }
                    }
                }
                Err(why) => wrong.push(format!("{binary}: {why}")),
            }
            println!(
                "{:<9} {:>5.1} s  {binary}: {} tests, nothing broken",
                "sound",
                began.elapsed().as_secs_f64(),
                tests.len()
            );
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Plants one fault, runs its tests, and takes it out again.
    pub fn plant(&self, fault: &Fault) -> Verdict {
        let path = self.tree.join(&fault.file);
        let attempt = || -> Result<Verdict, String> {
            let told = |error: std::io::Error| format!("{}: {error}", fault.file);
            let sound = std::fs::read_to_string(self.root.join(&fault.file)).map_err(told)?;
            std::fs::write(&path, sound.replacen(&fault.text, &fault.replacement, 1)).map_err(told)?;
            let ended = self.build(&fault.binary).and_then(|program| self.execute(&program, &fault.tests, &fault.name));
            std::fs::write(&path, sound).map_err(told)?;
            Ok(judge(fault, &ended?))
        };
        attempt().unwrap_or_else(|why| Verdict::Wrong { why })
    }

    /// Builds a test binary; the error is the compiler's first.
    fn build(&self, binary: &str) -> Result<PathBuf, String> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["test", "--quiet", "--no-run", "--message-format", "json-render-diagnostics"]);
        cargo.args(if binary == HANDLE_MODELS { ["--package", "sstore-ffi"] } else { ["--package", "sstore"] });
        match binary {
            LIBRARY | HANDLE_MODELS => cargo.arg("--lib"),
            _ => cargo.args(["--test", binary]),
        };
        if matches!(binary, MODELS | HANDLE_MODELS) {
            // Loom's stacks are too small for code that is not optimised at all.
            cargo.args(["--profile", "ci", "--no-default-features"]).env("CARGO_PROFILE_CI_OPT_LEVEL", "1");
            cargo.env("CARGO_PROFILE_CI_INCREMENTAL", "true").env("CARGO_PROFILE_CI_DEBUG", "false");
            cargo.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", self.build.join("loom"));
        } else {
            cargo.args(["--profile", "mutants"]).env("CARGO_TARGET_DIR", &self.build);
        }
        cargo.current_dir(&self.tree).stdin(Stdio::null());
        // A build for another target, or with flags of the caller's, is not what is asked.
        cargo.env_remove("CARGO_BUILD_TARGET");
        let output = cargo.output().map_err(|error| format!("cargo: {error}"))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            let first = errors.lines().find(|line| line.starts_with("error")).unwrap_or("cargo failed");
            return Err(format!("does not compile: {first}"));
        }
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut programs = messages.lines().filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let is_test = message["profile"]["test"].as_bool() == Some(true);
            is_test.then(|| message["executable"].as_str().map(PathBuf::from))?
        });
        programs.next().ok_or_else(|| "cargo named no test binary".to_owned())
    }

    /// Runs exactly these tests; the output is also kept in a file. An error if it does not end.
    fn execute(&self, program: &Path, tests: &[String], log: &str) -> Result<Ended, String> {
        let log = self.logs.join(format!("{log}.txt"));
        let told = |error: std::io::Error| format!("{}: {error}", log.display());
        let out = File::create(&log).map_err(told)?;
        let errors = out.try_clone().map_err(told)?;
        let mut child = Command::new(program)
            .arg("--exact")
            .args(tests)
            .current_dir(self.tree.join("core"))
            .env("RUST_BACKTRACE", "0")
            // Not captured, what a test says would not stand under its name.
            .env_remove("RUST_TEST_NOCAPTURE")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let began = Instant::now();
        let status = loop {
            match child.try_wait().map_err(told)? {
                Some(status) => break status,
                None if began.elapsed() > RUN_MAX => {
                    // Ours, and about to be waited for; one that ended meanwhile cannot be killed.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("hangs: not over after {} s, {}", RUN_MAX.as_secs(), log.display()));
                }
                None => std::thread::sleep(POLL),
            }
        };
        let output = std::fs::read(&log).map_err(told)?;
        Ok(Ended { output: String::from_utf8_lossy(&output).into_owned(), code: status.code() })
    }
}

fn judge(fault: &Fault, ended: &Ended) -> Verdict {
    let wrong = |why: String| Verdict::Wrong { why };
    if ended.code.is_none() {
        return wrong(format!("the tests died by a signal: {}", first_panic(&ended.output)));
    }
    for (test, outcome) in outcomes(&ended.output, &fault.tests) {
        match outcome {
            Some(false) => {}
            Some(true) => return Verdict::Survived { test: test.to_owned() },
            None => return wrong(format!("the test {test} did not run")),
        }
        let said = section(&ended.output, test);
        if !said.contains("panicked at") {
            return wrong(format!("{test} failed without an assertion"));
        }
        if !said.contains(&fault.says) {
            return wrong(format!("{test} does not say {:?}, but: {}", fault.says, first_panic(said)));
        }
    }
    let said = fault.tests.first().map_or("", |test| section(&ended.output, test));
    Verdict::Caught { said: first_panic(said) }
}

/// Whether each test passed; `None`: it did not run.
fn outcomes<'a>(output: &str, tests: &'a [String]) -> Vec<(&'a str, Option<bool>)> {
    let outcome = |test: &str| {
        output.lines().find_map(|line| match line.strip_prefix("test ")?.strip_prefix(test)? {
            " ... ok" => Some(true),
            " ... FAILED" => Some(false),
            _ => None,
        })
    };
    tests.iter().map(|test| (test.as_str(), outcome(test))).collect()
}

/// What a failed test printed.
fn section<'a>(output: &'a str, test: &str) -> &'a str {
    let head = format!("---- {test} stdout ----\n");
    let Some((_, rest)) = output.split_once(&head) else { return "" };
    let end = rest.find("\n---- ").or_else(|| rest.find("\nfailures:\n")).unwrap_or(rest.len());
    &rest[..end]
}

/// Where the first panic was and the first line of what it said.
fn first_panic(output: &str) -> String {
    let Some((_, rest)) = output.split_once("panicked at ") else { return "no panic".to_owned() };
    let mut lines = rest.lines().filter(|line| !line.trim().is_empty());
    let place = lines.next().unwrap_or("").trim_end_matches(':');
    let said = format!("{place}: {}", lines.next().unwrap_or("").trim());
    said.chars().take(SAID_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\nrunning 2 tests\ntest kept ... FAILED\ntest whole ... ok\n\nfailures:\n\n---- kept stdout ----\n\n\
        thread 'kept' (7) panicked at core/tests/acceptance.rs:9:5:\nassertion failed: it is lost\nnote: run with\n\n\n\
        failures:\n    kept\n\ntest result: FAILED. 1 passed; 1 failed\n";

    fn verdict(tests: &[&str], says: &str, output: &str, code: Option<i32>) -> Verdict {
        let text = String::new;
        let fault = Fault {
            name: text(),
            broken: text(),
            file: text(),
            text: text(),
            replacement: text(),
            binary: text(),
            tests: tests.iter().map(|test| (*test).to_owned()).collect(),
            says: says.to_owned(),
        };
        judge(&fault, &Ended { output: output.to_owned(), code })
    }

    #[test]
    fn a_failure_that_says_what_it_should_is_a_catch() {
        let said = "core/tests/acceptance.rs:9:5: assertion failed: it is lost".to_owned();
        assert_eq!(verdict(&["kept"], "lost", OUTPUT, Some(101)), Verdict::Caught { said });
    }

    #[test]
    fn a_pass_is_a_survivor_also_beside_a_failure() {
        assert_eq!(
            verdict(&["kept", "whole"], "lost", OUTPUT, Some(101)),
            Verdict::Survived { test: "whole".to_owned() }
        );
    }

    #[test]
    fn all_else_is_a_fault_of_the_table() {
        let wrong = |verdict: Verdict| match verdict {
            Verdict::Wrong { why } => why,
            other => panic!("{other:?}"),
        };
        assert!(wrong(verdict(&["kept"], "torn", OUTPUT, Some(101))).contains("does not say \"torn\""));
        assert!(wrong(verdict(&["gone"], "lost", OUTPUT, Some(101))).contains("gone did not run"));
        assert!(wrong(verdict(&["kept"], "lost", OUTPUT, None)).contains("signal"));
        let silent = "test kept ... FAILED\n\nfailures:\n    kept\n";
        assert!(wrong(verdict(&["kept"], "lost", silent, Some(101))).contains("without an assertion"));
    }
}
