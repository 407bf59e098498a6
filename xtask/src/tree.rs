//! Which files the repository holds.
//!
//! Used by every check that walks it. Folders of builds and of the version control are left out, and so is whatever a
//! folder named `golden` or `testdata` keeps: those are data.

use std::path::{Path, PathBuf};

const SKIPPED: &[&str] = &["target", "build", ".git", "golden", "testdata", "__pycache__", ".venv", "node_modules"];

/// Every file below `folder` whose name ends in one of `extensions`, sorted; empty if the folder does not exist.
pub fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(folder, extensions, &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_str()) && !name.ends_with(".egg-info") {
                collect(&path, extensions, found);
            }
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
            found.push(path);
        }
    }
}

/// `path` as the repository names it.
pub fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}
