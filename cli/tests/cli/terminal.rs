//! How far long work is: shown to who sits at a terminal, where no lines of the result come between, and to nobody else.

use crate::world::{World, run};
use std::process::{Command, Stdio};

/// What a terminal shows of a shell's command line.
fn on_a_terminal(line: &str) -> String {
    let mut shell = Command::new("script");
    shell.args(["--quiet", "--return", "--command", line, "/dev/null"]).env("TERM", "xterm").stdin(Stdio::null());
    let output = shell.output().expect("script, of bsdutils");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{line}: {shown}");
    shown
}

#[test]
fn long_work_shows_on_a_terminal_how_far_it_is() {
    let world = World::new();
    let (command, path) = (env!("CARGO_BIN_EXE_sstore"), world.path());
    let line = |verb: &str, rest: &str| format!("'{command}' {verb} '{}' {rest}", path.display());
    let file = world.files(".sst")[0].display().to_string();
    let shown = on_a_terminal(&line("count", ""));
    assert!(shown.contains(" entries, ") && shown.trim_end().ends_with("100"), "{shown:?}");
    assert!(on_a_terminal(&line("count", "-c pets")).contains(" rows, "));
    let out = path.with_extension("out");
    let to = format!("> '{}'", out.display());
    for (line, expected) in [
        (line("scan", &to), " entries, "),
        (line("scan", &format!("-c pets {to}")), " rows, "),
        (line("verify", &to), " files, "),
        (format!("'{command}' dump '{file}' {to}"), " entries, "),
    ] {
        let shown = on_a_terminal(&line);
        assert!(shown.contains(expected), "{line}: {shown:?}");
        // What was shown is taken away, and nothing of it is in the result.
        let result = std::fs::read_to_string(&out).unwrap();
        assert!(shown.contains("\u{1b}[2K") && !result.is_empty() && !result.contains('\u{1b}'), "{line}: {shown:?}");
    }
    // Where the result is printed on the terminal too, its lines show it.
    for line in [line("scan", ""), line("verify", ""), format!("'{command}' dump '{file}'")] {
        let shown = on_a_terminal(&line);
        assert!(!shown.contains('\u{1b}') && shown.lines().count() > 4, "{line}: {shown:?}");
    }
    // Without a terminal there is nothing.
    assert_eq!(run(&["count", path.to_str().unwrap()]).err, "");
}
