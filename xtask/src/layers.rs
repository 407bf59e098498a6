//! The layer rule: a module of `core` uses only modules declared above it in `core/src/lib.rs`.
//!
//! Looks at every `crate::x`, `crate::{x, y}` and at `super` chains that reach the crate's root, in tests as well. A name
//! that the root only re-exports is refused too: it would hide an arrow. Within one top-level module everything goes.

use crate::{Outcome, source, tree};
use std::path::Path;

/// One name taken from the crate's root.
#[derive(Debug, PartialEq)]
struct Arrow {
    name: String,
    line: usize,
}

/// Checks all of `core/src`.
pub fn run(root: &Path) -> Outcome {
    let folder = root.join("core/src");
    let library =
        std::fs::read_to_string(folder.join("lib.rs")).map_err(|error| vec![format!("core/src/lib.rs: {error}")])?;
    let layers = declared(&library);
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for path in tree::files(&folder, &["rs"]) {
        let inside = tree::relative(&folder, &path);
        if inside == "lib.rs" {
            continue;
        }
        let module = inside.split('/').next().unwrap_or("").trim_end_matches(".rs").to_owned();
        let Some(own) = layers.iter().position(|layer| *layer == module) else {
            wrong.push(format!("core/src/{inside}: module `{module}` is not declared in lib.rs"));
            continue;
        };
        let text = std::fs::read_to_string(&path).map_err(|error| vec![format!("core/src/{inside}: {error}")])?;
        for arrow in arrows_of(&text, depth_of(&inside)) {
            arrows += 1;
            let Arrow { name, line } = arrow;
            match layers.iter().position(|layer| *layer == name) {
                Some(other) if other <= own => {}
                Some(_) => wrong.push(format!(
                    "core/src/{inside}:{line}: `{module}` uses `{name}`, which lib.rs declares below it"
                )),
                None => wrong.push(format!(
                    "core/src/{inside}:{line}: `crate::{name}` is no module; name the module that declares it"
                )),
            }
        }
    }
    if wrong.is_empty() { Ok(format!("{} modules, {arrows} uses, all downward", layers.len())) } else { Err(wrong) }
}

/// The modules of lib.rs, in order.
fn declared(library: &str) -> Vec<String> {
    let code = source::scrub(library);
    let tokens = source::tokens(&code);
    let named = tokens.windows(3).filter(|window| window[0].1 == "mod" && window[2].1 == ";");
    named.map(|window| window[1].1.to_owned()).collect()
}

/// How many modules deep a file lies below the crate's root.
fn depth_of(inside: &str) -> usize {
    let steps = inside.split('/').count();
    if inside.ends_with("/mod.rs") { steps - 1 } else { steps }
}

/// Every name that `text`, a module `depth` deep, takes from the crate's root.
fn arrows_of(text: &str, depth: usize) -> Vec<Arrow> {
    let code = source::scrub(text);
    let tokens = source::tokens(&code);
    let mut inline_ends = Vec::new();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let (offset, word) = tokens[at];
        inline_ends.retain(|end| *end > offset);
        if word == "mod" && tokens.get(at + 2).is_some_and(|token| token.1 == "{") {
            inline_ends.push(source::closing_brace(&code, tokens[at + 2].0));
        }
        let begins = at == 0 || tokens[at - 1].1 != "::";
        let mut next = at + 1;
        let mut from_root = word == "crate";
        if word == "super" && begins {
            let mut steps = 1;
            while tokens.get(next).is_some_and(|token| token.1 == "::")
                && tokens.get(next + 1).is_some_and(|token| token.1 == "super")
            {
                steps += 1;
                next += 2;
            }
            from_root = steps >= depth + inline_ends.len();
        }
        if from_root && tokens.get(next).is_some_and(|token| token.1 == "::") {
            names_after(&tokens, next + 1, |offset, name| {
                found.push(Arrow { name: name.to_owned(), line: source::line_of(&code, offset) });
            });
        }
        at = next;
    }
    found
}

/// Reports the first name of each path at `at`: one, or those of a braced group.
fn names_after(tokens: &[(usize, &str)], at: usize, mut report: impl FnMut(usize, &str)) {
    let Some((offset, word)) = tokens.get(at) else { return };
    if *word != "{" {
        report(*offset, word);
        return;
    }
    let mut depth = 1;
    let mut expects = true;
    for (offset, word) in &tokens[at + 1..] {
        match *word {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => expects = true,
            name if expects && depth == 1 => {
                report(*offset, name);
                expects = false;
            }
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, depth: usize) -> Vec<String> {
        arrows_of(text, depth).into_iter().map(|arrow| arrow.name).collect()
    }

    #[test]
    fn finds_single_grouped_and_inline_uses() {
        let text = "use crate::error::Error;\nuse crate::{wal::{Log, crate_like}, view};\nfn f() -> crate::db::Db { $crate::key::x() }";
        assert_eq!(names(text, 1), ["error", "wal", "view", "db", "key"]);
    }

    #[test]
    fn ignores_comments_strings_and_visibility() {
        assert!(names("//! crate::db\n/// [`crate::db::Db`]\npub(crate) fn f() { \"crate::db\"; }", 1).is_empty());
    }

    #[test]
    fn follows_super_to_the_root_only() {
        assert_eq!(names("use super::db::Db;", 1), ["db"]);
        assert!(names("use super::arena;", 2).is_empty());
        assert_eq!(names("use super::super::db;", 2), ["db"]);
        assert!(names("mod tests { use super::*; use super::x; }", 1).is_empty());
        assert_eq!(names("mod tests { use super::super::db; }\nuse super::wal;", 1), ["db", "wal"]);
    }

    #[test]
    fn an_upward_arrow_and_a_reexport_fail() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("core/src");
        std::fs::create_dir_all(folder.join("wal")).unwrap();
        std::fs::write(folder.join("lib.rs"), "pub mod error;\nmod wal;\npub mod db;\npub use db::Db;").unwrap();
        std::fs::write(folder.join("error.rs"), "").unwrap();
        std::fs::write(folder.join("db.rs"), "use crate::wal::Log;").unwrap();
        std::fs::write(folder.join("wal/mod.rs"), "use crate::error::Error;\nuse super::error;").unwrap();
        assert!(run(root.path()).is_ok());
        std::fs::write(folder.join("wal/mod.rs"), "use crate::error::Error;\nuse crate::db::Db;\nuse crate::Db;")
            .unwrap();
        let wrong = run(root.path()).unwrap_err();
        assert_eq!(wrong.len(), 2);
        assert!(wrong[0].contains("wal/mod.rs:2") && wrong[1].contains("wal/mod.rs:3"), "{wrong:?}");
    }
}
