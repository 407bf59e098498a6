//! The prologue rule: every source file opens with lines that say what it is.
//!
//! Rust files with `//!`, files of C and its like with a comment, Python files with a docstring or a comment, scripts with a comment after
//! the `#!` line.

use crate::Outcome;
use crate::tree;
use std::path::Path;

/// The least that counts as saying something.
const WORDS_MIN: usize = 3;

/// Checks every source file of the repository.
pub fn run(root: &Path) -> Outcome {
    let files = tree::files(root, &["rs", "c", "h", "cpp", "hpp", "go", "java", "js", "py", "pyi", "rb", "sh"]);
    let mut wrong = Vec::new();
    for path in &files {
        let name = tree::relative(root, path);
        let text = std::fs::read_to_string(path).map_err(|error| vec![format!("{name}: {error}")])?;
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        if !opens_well(extension, &text) {
            wrong.push(format!("{name}:1: does not open with a line that says what the file is"));
        }
    }
    if wrong.is_empty() { Ok(format!("{} files", files.len())) } else { Err(wrong) }
}

fn opens_well(extension: &str, text: &str) -> bool {
    let mut lines = text.lines().skip_while(|line| line.starts_with("#!/"));
    let Some(first) = lines.next() else { return false };
    let marks: &[&str] = match extension {
        "rs" => &["//!"],
        "c" | "h" | "cpp" | "hpp" | "go" | "java" | "js" => &["/*", "//"],
        "py" | "pyi" => &["\"\"\"", "#"],
        _ => &["#"],
    };
    let Some(mark) = marks.iter().find(|mark| first.starts_with(**mark)) else { return false };
    // A comment may put its first words on the line after the mark.
    let opening = format!("{} {}", &first[mark.len()..], lines.next().unwrap_or(""));
    opening.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count() >= WORDS_MIN
}

#[cfg(test)]
mod tests {
    use super::opens_well;

    #[test]
    fn accepts_prologues_of_each_language() {
        assert!(opens_well("rs", "//! The one error type.\n"));
        assert!(opens_well("c", "/*\n * Loads lines into a database.\n */\n"));
        assert!(opens_well("h", "/* The C interface of sstore. */\n"));
        assert!(opens_well("py", "#!/usr/bin/env python3\n\"\"\"Kills the loader again and again.\"\"\"\n"));
        assert!(opens_well("sh", "#!/bin/sh\n# Runs every test.\n"));
    }

    #[test]
    fn refuses_files_that_start_with_code_or_with_nothing() {
        assert!(!opens_well("rs", "use std::io;\n//! Too late to say it.\n"));
        assert!(!opens_well("rs", "// A plain comment is not documentation.\n"));
        assert!(!opens_well("c", "#include <stdio.h>\n"));
        assert!(!opens_well("py", ""));
        assert!(!opens_well("rs", "//!\n\nuse std::io;\n"));
    }
}
