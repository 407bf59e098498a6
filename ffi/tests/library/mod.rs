//! The shared library under test. Cargo does not build a cdylib for tests by itself, so an old one might lie there.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The path of an up-to-date `libsstore.so`, built in the profile of this test.
pub fn built() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile_dir = test.parent().unwrap().parent().unwrap();
        let profile = match profile_dir.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            other => other,
        };
        // The whole workspace, as scripts/test builds it: by itself the library's dependencies have other features.
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--workspace", "--profile", profile, "--target-dir"])
            .arg(profile_dir.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success(), "libsstore.so does not build");
        profile_dir.join("libsstore.so")
    })
}
