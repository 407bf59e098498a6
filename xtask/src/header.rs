//! `include/sstore.h` is what cbindgen makes of `ffi/`: written here, committed, reviewed as the contract.

use crate::{Mode, Outcome, write_or_verify};
use std::path::Path;

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
    write_or_verify(root, "include/sstore.h", &text, mode, "header")
}
