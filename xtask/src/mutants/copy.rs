//! The copy of the tree in which faults are planted.
//!
//! Only files that differ are written, so that what was built of it before stays good.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What is built or kept by other tools, wherever it stands.
const LEFT_OUT: &[&str] = &["target", "build", ".git", "__pycache__", ".venv", ".pytest_cache", "node_modules"];

/// Makes `to` hold the sources of `from` and nothing else. Errors name the file.
pub fn refresh(from: &Path, to: &Path) -> Result<(), String> {
    let wanted = list(from)?;
    if to.exists() {
        for gone in list(to)?.difference(&wanted) {
            std::fs::remove_file(to.join(gone)).map_err(|error| format!("{}: {error}", gone.display()))?;
        }
    }
    for file in &wanted {
        write_if_other(&from.join(file), &to.join(file)).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn write_if_other(from: &Path, to: &Path) -> std::io::Result<()> {
    let bytes = std::fs::read(from)?;
    if std::fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(to, bytes)?;
    // Scripts must stay executable.
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())
}

fn list(folder: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        let failed = |error: std::io::Error| format!("{}: {error}", folder.join(&inner).display());
        for entry in std::fs::read_dir(folder.join(&inner)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if LEFT_OUT.iter().any(|left_out| name == *left_out) {
                continue;
            }
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                folders.push(inner.join(name));
            } else if kind.is_file() {
                found.insert(inner.join(name));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::refresh;

    #[test]
    fn the_copy_follows_the_tree_and_leaves_alone_what_is_the_same() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |name: &str, text: &str| {
            let path = from.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("src/a.rs", "a");
        write("src/b.rs", "b");
        write("target/x.rs", "built");
        refresh(from.path(), to.path()).unwrap();
        assert!(!to.path().join("target").exists());
        let modified = || std::fs::metadata(to.path().join("src/a.rs")).unwrap().modified().unwrap();
        let before = modified();
        std::fs::remove_file(from.path().join("src/b.rs")).unwrap();
        write("src/c.rs", "c");
        std::fs::write(to.path().join("src/c.rs"), "a fault left behind").unwrap();
        refresh(from.path(), to.path()).unwrap();
        assert_eq!(modified(), before);
        assert!(!to.path().join("src/b.rs").exists());
        assert_eq!(std::fs::read_to_string(to.path().join("src/c.rs")).unwrap(), "c");
    }
}
