//! All I/O, time and threads of `core` go through `env`: nothing else may name the standard library's own.
//!
//! Every strong test stands on that seam: the fault injector, the crash images and the seeded executor see only what goes
//! through it. Test code and `core/src/env/` itself are free.

use crate::Outcome;
use crate::source;
use crate::tree;
use std::path::Path;

/// What is refused, as token sequences: a path, and the last name where an import may be grouped or renamed.
const REFUSED: &[(&str, &str)] = &[
    ("std::fs", "files go through env::FileSystem"),
    ("std::thread", "threads and sleeps go through env::Runtime"),
    ("std::net", "the engine has no network"),
    ("std::process", "the engine starts no process"),
    ("std::time::Instant", "time goes through env::Runtime"),
    ("std::time::SystemTime", "time goes through env::Runtime"),
    ("SystemTime::now", "time goes through env::Runtime"),
    ("Instant::now", "time goes through env::Runtime"),
    ("thread::spawn", "threads go through env::Runtime"),
    ("thread::sleep", "sleeps go through env::Runtime"),
    ("fs::File", "files go through env::FileSystem"),
    ("libc::open", "files go through env::FileSystem"),
    ("libc::mmap", "mappings go through env::FileSystem"),
];

/// Checks `core/src` outside `env/`.
pub fn run(root: &Path) -> Outcome {
    let folder = root.join("core/src");
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in tree::files(&folder, &["rs"]) {
        let inside = tree::relative(&folder, &path);
        if inside.starts_with("env/") || inside.ends_with("/tests.rs") || inside.contains("/tests/") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| vec![format!("core/src/{inside}: {error}")])?;
        count += 1;
        for (line, name, reason) in refused(&text) {
            wrong.push(format!("core/src/{inside}:{line}: {name}: {reason}"));
        }
    }
    if wrong.is_empty() { Ok(format!("{count} files outside env")) } else { Err(wrong) }
}

fn refused(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let code = source::without_tests(&source::scrub(text));
    let tokens = source::tokens(&code);
    let mut found = Vec::new();
    for (at, (offset, _)) in tokens.iter().enumerate() {
        for (name, reason) in REFUSED {
            let wanted = source::tokens(name);
            let rest = &tokens[at..];
            if rest.len() >= wanted.len() && wanted.iter().zip(rest).all(|(wanted, found)| wanted.1 == found.1) {
                found.push((source::line_of(&code, *offset), *name, *reason));
            }
        }
        for word in grouped_standard_modules(&tokens[at..]) {
            if let Some((name, reason)) = REFUSED.iter().find(|(name, _)| *name == format!("std::{word}")) {
                found.push((source::line_of(&code, *offset), *name, *reason));
            }
        }
    }
    found
}

/// The names in `std::{a, b::c}`, if that is what the tokens begin with.
fn grouped_standard_modules<'a>(tokens: &[(usize, &'a str)]) -> Vec<&'a str> {
    let opens = tokens.len() > 3 && tokens[0].1 == "std" && tokens[1].1 == "::" && tokens[2].1 == "{";
    if !opens {
        return Vec::new();
    }
    tokens[3..].iter().map(|token| token.1).take_while(|word| *word != "}" && *word != ";").collect()
}

#[cfg(test)]
mod tests {
    use super::refused;

    #[test]
    fn finds_the_standard_library_in_code_only() {
        assert_eq!(refused("use std::fs::File;\n").len(), 2);
        assert_eq!(refused("use std::{fs, io};\n")[0].1, "std::fs");
        assert_eq!(refused("fn f() {\n let t = std::time::Instant::now();\n}")[0].0, 2);
        assert!(refused("// std::fs\nlet a = \"std::thread\";\nuse std::time::Duration;").is_empty());
        assert!(refused("#[cfg(test)]\nmod tests { use std::fs; }").is_empty());
    }
}
