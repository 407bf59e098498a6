//! The functions of `include/sstore.h` with their prototypes and comments, in the order of the header.
//!
//! Used by the check of these comments and by what makes manual pages of them. It reads what cbindgen writes: a comment that begins
//! on a line of its own, then the prototype, without blank lines between.

/// One function.
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its prototype, as it stands in the header.
    pub prototype: String,
    /// Its comment: lines without what makes them a comment.
    pub comment: String,
    /// The chapter of the header that it is in.
    pub chapter: String,
}

/// What begins a chapter: see `header::CHAPTERS`.
pub const CHAPTER_MARK: &str = "/** @name ";

/// Every function that the header declares.
pub fn functions(header: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let mut chapter = String::new();
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix(CHAPTER_MARK) {
            name.clone_into(&mut chapter);
        }
        if line != "/**" {
            continue;
        }
        let comment: Vec<&str> = lines.by_ref().take_while(|line| *line != " */").collect();
        let comment = comment.iter().map(|line| line.trim_start_matches(" *").trim()).collect::<Vec<_>>().join("\n");
        let mut prototype = Vec::new();
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            prototype.push(line);
            if line.ends_with([';', '{']) {
                break;
            }
        }
        let prototype = prototype.join("\n");
        if let Some(name) = name(&prototype) {
            found.push(Function { name, prototype, comment, chapter: chapter.clone() });
        }
    }
    found
}

/// The function that a declaration declares, if it is one.
fn name(declaration: &str) -> Option<String> {
    let (before, _) = declaration.split_once('(').filter(|_| declaration.ends_with(");"))?;
    let name = before.rsplit([' ', '*']).next()?;
    (!declaration.starts_with("typedef") && name.starts_with("sstore_")).then(|| name.to_owned())
}

/// The functions that a comment refers to for what it does not say itself.
pub fn referred(comment: &str) -> Vec<&str> {
    let words: Vec<&str> = comment.split_whitespace().collect();
    let clean = |word: &'static str| move |given: &str| given.trim_matches(['(', ',', '.', ';', ':']) == word;
    let refers = |before: &str| clean("like")(&before.to_lowercase()) || clean("as")(before) || clean("of")(before);
    let pairs = words.windows(2).filter(|pair| refers(pair[0]));
    let names = pairs.map(|pair| pair[1].split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""));
    names.filter(|name| name.starts_with("sstore_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "/** @name Errors\n * @{ */\n\n/**\n * The name of a code. Lives for ever.\n */\nconst char *sstore_code_name(int32_t code);\n\n\
                          /**\n * A callback.\n */\ntypedef void (*sstore_callback)(void *user_data);\n\n\
                          /**\n * Sets a key.\n * Otherwise like sstore_get.\n */\nenum sstore_code sstore_put(struct sstore_db *db,\n    int key);\n";

    #[test]
    fn functions_are_found_with_comment_and_chapter() {
        let found = functions(HEADER);
        let names: Vec<&str> = found.iter().map(|function| function.name.as_str()).collect();
        assert_eq!(names, ["sstore_code_name", "sstore_put"]);
        assert_eq!(found[1].comment, "Sets a key.\nOtherwise like sstore_get.");
        assert_eq!(found[1].prototype, "enum sstore_code sstore_put(struct sstore_db *db,\n    int key);");
        assert_eq!(found[0].chapter, "Errors");
    }

    #[test]
    fn references_are_found() {
        assert_eq!(
            referred("Otherwise like sstore_put. As now, as sstore_x does; see sstore_y."),
            ["sstore_put", "sstore_x"]
        );
    }
}
