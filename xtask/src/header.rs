//! `include/sstore.h` is what cbindgen makes of `ffi/`: written here, committed, reviewed as the contract. The order of functions is
//! that of the modules in `ffi/src/lib.rs`: the life of a database. Before the first function of each chapter stands its title.

use crate::c_functions::CHAPTER_MARK;
use crate::{Mode, Outcome, write_or_verify};
use std::path::Path;

/// The first function of each chapter, and the chapter's title.
const CHAPTERS: &[(&str, &str)] = &[
    ("sstore_code_name", "Errors, memory and version"),
    ("sstore_options_create", "Options"),
    ("sstore_list_count", "Lists of names"),
    ("sstore_open", "Opening and closing"),
    ("sstore_column_family_create", "Column families"),
    ("sstore_put", "Writing"),
    ("sstore_batch_create", "Batches"),
    ("sstore_get", "Reading by key"),
    ("sstore_snapshot_create", "Snapshots"),
    ("sstore_iterator_create", "Iterating"),
    ("sstore_flush", "Flushing, merging, and what failed behind"),
    ("sstore_table_create", "Tables"),
    ("sstore_table_append", "Rows of tables"),
    ("sstore_row_builder_create", "Rows value by value"),
    ("sstore_filter_parse", "Conditions on rows"),
    ("sstore_scan_create", "Scans of tables"),
    ("sstore_scan_splits", "Scans in pieces"),
    ("sstore_segments_list", "Files: looked at"),
    ("sstore_live_files", "Files: kept and exported"),
    ("sstore_stats_get", "Figures: counters and times"),
    ("sstore_memory_use_get", "Figures: memory"),
    ("sstore_log_pin_get", "Figures: the log"),
    ("sstore_repair", "Repair"),
    ("sstore_import_leveldb", "Databases of other engines"),
];

/// Writes or compares the header.
pub fn run(root: &Path, mode: Mode) -> Outcome {
    let package = root.join("ffi");
    let config = cbindgen::Config::from_file(package.join("cbindgen.toml"))
        .map_err(|error| vec![format!("ffi/cbindgen.toml: {error}")])?;
    let bindings = cbindgen::Builder::new()
        .with_crate(&package)
        .with_config(config)
        .generate()
        .map_err(|error| vec![format!("ffi: cbindgen: {error}")])?;
    let mut bytes = Vec::new();
    bindings.write(&mut bytes);
    let text = String::from_utf8(bytes).map_err(|error| vec![format!("ffi: cbindgen: {error}")])?;
    write_or_verify(root, "include/sstore.h", &with_chapters(&typed(&text))?, mode, "header")
}

/// The header with results of the type `sstore_code`: to some languages `enum sstore_code`, which cbindgen writes, is another one.
fn typed(header: &str) -> String {
    let (result, name) = ("enum sstore_code sstore_", "sstore_code sstore_");
    let mut parameters = false;
    let mut text = String::with_capacity(header.len());
    for line in header.lines() {
        let begins = line.starts_with(result);
        // Further parameters stay below the first one.
        let line = if begins { line.replacen(result, name, 1) } else { line.to_owned() };
        text.push_str(if parameters { line.strip_prefix("     ").unwrap_or(&line) } else { &line });
        text.push('\n');
        parameters = (parameters || begins) && !line.ends_with(';');
    }
    text
}

/// The header with the titles of its chapters, which documentation tools read as groups.
fn with_chapters(header: &str) -> Result<String, Vec<String>> {
    let mut text = header.to_owned();
    let mut end = 0;
    for (index, (function, title)) in CHAPTERS.iter().enumerate() {
        let wrong = || {
            vec![format!(
                "xtask/src/header.rs: {function}, which begins a chapter, does not come behind the one before"
            )]
        };
        let declared = end
            + text[end..]
                .find(&format!(" *{function}("))
                .or(text[end..].find(&format!(" {function}(")))
                .ok_or_else(wrong)?;
        let start = text[..declared].rfind("/**\n").filter(|start| *start >= end).ok_or_else(wrong)?;
        let close = if index == 0 { "" } else { "/** @} */\n\n" };
        let opening = format!("{close}{CHAPTER_MARK}{title}\n * @{{ */\n\n");
        text.insert_str(start, &opening);
        end = declared + opening.len();
    }
    let last = text[end..].find(";\n").map_or(text.len(), |at| end + at);
    // The functions end where the block of C++ does.
    let stop = text[last..].find("#ifdef __cplusplus").map_or(text.len(), |at| last + at);
    text.insert_str(stop, "/** @} */\n\n");
    // cbindgen ends the include guard before what it is told to put last.
    let guard = "#endif  /* SSTORE_H */\n";
    let before = text.len();
    text = text.replacen(guard, "", 1);
    if text.len() == before {
        return Err(vec!["ffi: cbindgen: the include guard has no end".to_owned()]);
    }
    Ok(text.trim_end().to_owned() + "\n\n" + guard)
}
