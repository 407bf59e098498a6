//! What ARCHITECTURE.md names exists: each path, each type, each `module::item`, each link.
//!
//! Looks at words in backticks and at link targets; fenced blocks are drawings and left alone. A word with a slash or a
//! file ending is a path of the repository. A capitalised word is a type or a variant; `a::b` is looked up part by part.
//! Other words (commands, options, plain function names) are not judged.

use crate::{Outcome, source, tree};
use std::path::Path;

const DOCUMENT: &str = "ARCHITECTURE.md";
const ENDINGS: &[&str] = &[".rs", ".md", ".toml", ".h", ".c", ".py", ".pyi", ".symbols", ".txt"];

/// A name in the document.
#[derive(Debug, PartialEq)]
struct Mention {
    line: usize,
    kind: Kind,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Path(String),
    Item(Vec<String>),
}

/// Checks the document against the tree.
pub fn run(root: &Path) -> Outcome {
    let text = std::fs::read_to_string(root.join(DOCUMENT)).map_err(|error| vec![format!("{DOCUMENT}: {error}")])?;
    let mentions = mentions(&text);
    let sources: Vec<(String, String)> = ["core", "ffi", "bindings", "cli", "bench", "xtask"]
        .iter()
        .flat_map(|folder| tree::files(&root.join(folder), &["rs"]))
        .filter_map(|path| Some((tree::relative(root, &path), source::scrub(&std::fs::read_to_string(path).ok()?))))
        .collect();
    let mut wrong = Vec::new();
    for Mention { line, kind } in &mentions {
        match kind {
            Kind::Path(path) if !root.join(path).exists() => {
                wrong.push(format!("{DOCUMENT}:{line}: no such path: {path}"))
            }
            Kind::Item(parts) if !exists(parts, &sources) => {
                wrong.push(format!("{DOCUMENT}:{line}: not in the code: {}", parts.join("::")));
            }
            _ => {}
        }
    }
    if wrong.is_empty() { Ok(format!("{} names", mentions.len())) } else { Err(wrong) }
}

fn mentions(text: &str) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        let words = line.split('`').skip(1).step_by(2).filter_map(classify);
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let links = targets
            .filter(|target| !target.is_empty() && !target.contains("://"))
            .map(|target| Kind::Path(target.to_owned()));
        found.extend(words.chain(links).map(|kind| Mention { line: index + 1, kind }));
    }
    found
}

fn classify(word: &str) -> Option<Kind> {
    let word = word.trim_end_matches("()");
    if word.is_empty() || word.contains(|c: char| c.is_whitespace() || "<>*={}$\"".contains(c)) {
        return None;
    }
    if word.contains('/') || ENDINGS.iter().any(|ending| word.ends_with(ending)) {
        return (!word.starts_with('/')).then(|| Kind::Path(word.to_owned()));
    }
    let parts: Vec<String> = word.split("::").map(str::to_owned).collect();
    let is_name = |part: &String| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_type = |part: &String| {
        part.starts_with(|c: char| c.is_ascii_uppercase()) && part.contains(|c: char| c.is_ascii_lowercase())
    };
    let judged = parts.iter().all(is_name) && (parts.len() > 1 || is_type(&parts[0]));
    (judged && parts[0] != "std").then_some(Kind::Item(parts))
}

/// A single type is declared somewhere; of a longer path, one file or folder knows every part.
fn exists(parts: &[String], sources: &[(String, String)]) -> bool {
    let last = &parts[parts.len() - 1];
    let declares = |code: &str, name: &str| {
        let tokens = source::tokens(code);
        tokens.windows(2).any(|pair| {
            let item = ["struct", "enum", "trait", "type", "union", "fn", "const", "static", "mod", "macro_rules"];
            pair[1].1 == name && item.contains(&pair[0].1)
                // A variant, or a name that a macro declares.
                || pair[0].1 == name && ["(", ",", "{", "="].contains(&pair[1].1) && name.starts_with(|c: char| c.is_ascii_uppercase())
        })
    };
    sources.iter().any(|(path, code)| {
        let is_module = |name: &str| path.ends_with(&format!("/{name}.rs")) || path.contains(&format!("/{name}/"));
        let leads =
            parts[..parts.len() - 1].iter().all(|part| is_module(part) || part == "sstore" || declares(code, part));
        leads && (declares(code, last) || parts.len() > 1 && is_module(last))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sorted_into_paths_items_and_the_rest() {
        assert_eq!(classify("core/src/db/"), Some(Kind::Path("core/src/db/".into())));
        assert_eq!(classify("lib.rs"), Some(Kind::Path("lib.rs".into())));
        assert_eq!(classify("Db::open()"), Some(Kind::Item(vec!["Db".into(), "open".into()])));
        assert_eq!(classify("View"), Some(Kind::Item(vec!["View".into()])));
        for other in ["put", "make test", "CURRENT", "write_buffer_bytes", "cf/<name>/5.sst", "std::fs"] {
            assert_eq!(classify(other), None, "{other}");
        }
    }

    #[test]
    fn fences_are_skipped_and_links_are_paths() {
        let text = "see [put](core/src/db/put.rs#L1)\n```\n`Nothing`\n```\n`View` and [web](https://x.y)\n";
        let found = mentions(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], Mention { line: 1, kind: Kind::Path("core/src/db/put.rs".into()) });
        assert_eq!(found[1].line, 5);
    }

    #[test]
    fn items_are_found_where_they_are_declared() {
        let sources = vec![(
            "core/src/wal/log.rs".to_owned(),
            "pub struct Log { a: u8 }\nimpl Log { pub fn sync(&self) {} }".to_owned(),
        )];
        let ask = |path: &str| exists(&path.split("::").map(str::to_owned).collect::<Vec<_>>(), &sources);
        assert!(ask("Log") && ask("Log::sync") && ask("wal::Log") && ask("wal::log"));
        assert!(!ask("Logs") && !ask("Log::drop") && !ask("commit::Log"));
    }
}
