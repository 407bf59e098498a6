//! The committed header, taken apart: functions with their parameters and the codes that their comments promise, structs with
//! their members. Called by `calls.rs`.
//!
//! Promises that every function that the header declares is there, or panics.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A function of the header.
pub struct Function {
    pub name: String,
    pub returns: String,
    /// Type and name.
    pub parameters: Vec<(String, String)>,
    /// What its comment says, and that of the functions that it refers to: names of codes.
    pub documented: BTreeSet<String>,
}

/// The whole header.
pub struct Header {
    pub functions: Vec<Function>,
    /// By its name without `sstore_`: the members, each with type and name.
    pub structs: BTreeMap<String, Vec<(String, String)>>,
    /// Types that are declared and not defined, without `sstore_`.
    pub handles: BTreeSet<String>,
}

pub fn read(path: &Path) -> Header {
    let text = std::fs::read_to_string(path).unwrap();
    let plain = without_comments(&text);
    let names = function_names(&plain);
    let comments: BTreeMap<&String, &str> = names.iter().map(|name| (name, comment_of(&text, name))).collect();
    let codes = codes(&plain);
    let functions = names.iter().map(|name| function(&plain, name, &comments, &codes)).collect();
    let (structs, handles) = types(&plain);
    Header { functions, structs, handles }
}

/// Without comments and directives, in words that one space divides.
fn without_comments(header: &str) -> String {
    let mut plain = String::new();
    for (index, part) in header.split("/*").enumerate() {
        plain.push_str(if index == 0 { part } else { part.split_once("*/").unwrap().1 });
    }
    let lines: Vec<&str> =
        plain.lines().filter(|line| !line.starts_with('#')).map(|line| line.split("//").next().unwrap()).collect();
    lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every `sstore_x(` that a declaration has, sorted.
fn function_names(plain: &str) -> Vec<String> {
    let mut names = BTreeSet::new();
    for (at, _) in plain.match_indices("sstore_") {
        let name: String = plain[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let is_whole = !plain[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if is_whole && plain[at + name.len()..].starts_with('(') {
            names.insert(name);
        }
    }
    names.into_iter().collect()
}

fn comment_of<'a>(text: &'a str, name: &str) -> &'a str {
    let declaration = text
        .match_indices(&format!("{name}("))
        .map(|(at, _)| at)
        .find(|at| {
            let line = &text[text[..*at].rfind('\n').unwrap() + 1..*at];
            !line.is_empty() && !line.starts_with(' ') && !line.starts_with('#')
        })
        .unwrap_or_else(|| panic!("the header does not declare {name}"));
    let end = text[..declaration].rfind("*/").unwrap();
    &text[text[..end].rfind("/**").unwrap()..end]
}

fn codes(plain: &str) -> Vec<String> {
    let body = plain.split_once("enum sstore_code {").unwrap().1.split_once('}').unwrap().0;
    let pairs = body.split(',').filter_map(|pair| pair.split_once('='));
    let numbered: BTreeMap<u32, String> = pairs
        .map(|(name, number)| (number.trim().parse().unwrap(), name.trim().strip_prefix("SSTORE_").unwrap().to_owned()))
        .collect();
    assert!(numbered.keys().copied().eq(0..numbered.len() as u32), "the codes have a hole");
    numbered.into_values().collect()
}

fn function(plain: &str, name: &str, comments: &BTreeMap<&String, &str>, codes: &[String]) -> Function {
    let start = plain.find(&format!(" {name}(")).or_else(|| plain.find(&format!("*{name}(")));
    let start = start.unwrap_or_else(|| panic!("the header does not declare {name}")) + 1;
    let returns = plain[..start].rsplit([';', '}', '{']).next().unwrap().trim().to_owned();
    let rest = &plain[start + name.len() + 1..];
    let list = split_outside_parentheses(&rest[..rest.find(");").unwrap()]);
    let parameters = list.iter().filter(|parameter| *parameter != "void").map(|parameter| named(parameter)).collect();
    let mut documented = BTreeSet::new();
    let (mut seen, mut open) = (BTreeSet::new(), vec![name.to_owned()]);
    while let Some(next) = open.pop() {
        if !seen.insert(next.clone()) {
            continue;
        }
        let Some((_, comment)) = comments.iter().find(|(known, _)| ***known == next) else { continue };
        let words = comment.split(|c: char| !c.is_alphanumeric() && c != '_');
        for word in words {
            let code = word.strip_prefix("SSTORE_").unwrap_or(word);
            if codes.iter().any(|known| known == code) {
                documented.insert(code.to_owned());
            } else if word.starts_with("sstore_") {
                open.push(word.to_owned());
            }
        }
    }
    Function { name: name.to_owned(), returns, parameters, documented }
}

/// Type and name of a parameter or a member.
fn named(declaration: &str) -> (String, String) {
    // A pointer to a function has its name inside.
    if let Some((before, after)) = declaration.split_once("(*") {
        let (name, after) = after.split_once(')').unwrap();
        return (format!("{before}(*){after}"), name.to_owned());
    }
    let at = declaration.rfind(|c: char| !c.is_alphanumeric() && c != '_').unwrap() + 1;
    (declaration[..at].trim().to_owned(), declaration[at..].to_owned())
}

fn split_outside_parentheses(list: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in list.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            _ => parts.last_mut().unwrap().push(c),
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

type Structs = BTreeMap<String, Vec<(String, String)>>;

fn types(plain: &str) -> (Structs, BTreeSet<String>) {
    let (mut structs, mut handles) = (Structs::new(), BTreeSet::new());
    for part in plain.split("typedef struct sstore_").skip(1) {
        let name: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        match part[name.len()..].trim_start().strip_prefix('{') {
            Some(body) => {
                let members = body.split_once('}').unwrap().0.split(';').map(str::trim);
                structs.insert(name, members.filter(|member| !member.is_empty()).map(named).collect());
            }
            None => drop(handles.insert(name)),
        }
    }
    (structs, handles)
}
