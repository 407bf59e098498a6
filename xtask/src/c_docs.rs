//! Each function of `include/sstore.h` says which threads may call it, whether it may block, what its errors are, who owns what it
//! gives, and how long bytes live. A comment may leave that to another one: `Otherwise like sstore_put.`

use crate::c_functions::{Function, functions, referred};
use crate::{Outcome, source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Checks every comment.
pub fn run(root: &Path) -> Outcome {
    let header = std::fs::read_to_string(root.join("include/sstore.h"))
        .map_err(|error| vec![format!("include/sstore.h: {error}")])?;
    let functions = functions(&header);
    let all: BTreeMap<&str, &Function> = functions.iter().map(|function| (function.name.as_str(), function)).collect();
    let mut wrong = Vec::new();
    for function in &functions {
        let said = said(function, &all, &mut BTreeSet::new());
        let line = |missing: &str| format!("ffi/src: the comment of {} does not say {missing}", function.name);
        wrong.extend(missing(&function.prototype, &said).into_iter().map(line));
        if function.chapter.is_empty() {
            wrong.push(format!("xtask/src/header.rs: {} is in no chapter", function.name));
        }
    }
    if wrong.is_empty() { Ok(format!("{} functions say all of it", functions.len())) } else { Err(wrong) }
}

/// A comment with those that it refers to.
fn said<'a>(function: &'a Function, all: &BTreeMap<&'a str, &'a Function>, seen: &mut BTreeSet<&'a str>) -> String {
    if !seen.insert(&function.name) {
        return String::new();
    }
    let others = referred(&function.comment).into_iter().filter_map(|name| all.get(name).copied());
    let others: Vec<String> = others.map(|other| said(other, all, seen)).collect();
    // As one line: an expression may be broken anywhere.
    [&[function.comment.replace('\n', " ")][..], &others[..]].concat().join(" ")
}

/// What a comment leaves out that the prototype asks for.
fn missing(prototype: &str, said: &str) -> Vec<&'static str> {
    let any = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let tokens: Vec<String> = source::tokens(prototype).into_iter().map(|(_, token)| token.to_owned()).collect();
    let joined = tokens.join(" ");
    let takes = |parameter: &str| joined.contains(parameter);
    let gives_handle = tokens.windows(4).any(|four| {
        four[0] == "struct"
            && four[1] != "sstore_error"
            && four[1].starts_with("sstore_")
            && four[2] == "*"
            && four[3] == "*"
    });
    let gives_memory = takes("( void * *") || takes(", void * *") || takes(", char * *");
    let gives_bytes = takes("struct sstore_slice * value")
        || takes("struct sstore_slice * name")
        || takes("struct sstore_slice * item");
    let rules = [
        (true, any(&["ny thread", "ne thread at a time", "any may release"]), "which threads may call it"),
        (true, any(&["block"]) || any(&["Blocks"]), "whether it may block"),
        (takes("sstore_error * * error"), any(&["rrors"]), "its errors"),
        (gives_handle || gives_memory, any(&["the caller's", "freed with", "wants none"]), "whose what it gives is"),
        (gives_bytes || joined.starts_with("const char *"), any(&["live"]), "how long its bytes live"),
        (
            takes("struct ArrowArray * ") || takes("struct ArrowSchema * "),
            any(&["moved", "release"]),
            "who releases the Arrow",
        ),
    ];
    rules.into_iter().filter(|(asked, told, _)| *asked && !told).map(|(_, _, what)| what).collect()
}

#[cfg(test)]
mod tests {
    use super::missing;

    const GET: &str = "enum sstore_code sstore_get(struct sstore_db *db, void **value, struct sstore_error **error);";

    #[test]
    fn each_gap_is_named() {
        let whole = "Reads. `*value` is the caller's. May block. Any thread. Errors: IO.";
        assert_eq!(missing(GET, whole), Vec::<&str>::new());
        assert_eq!(missing(GET, &whole.replace("Any thread", "")), ["which threads may call it"]);
        assert_eq!(missing(GET, &whole.replace("May block", "")), ["whether it may block"]);
        assert_eq!(missing(GET, &whole.replace("Errors", "")), ["its errors"]);
        assert_eq!(missing(GET, &whole.replace("the caller's", "")), ["whose what it gives is"]);
        assert_eq!(
            missing("const char *sstore_name(int a);", "Does not block; any thread."),
            ["how long its bytes live"]
        );
    }
}
