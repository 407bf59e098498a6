//! Which library this is. Called by applications before anything else.

use std::ffi::c_char;

/// The version of the header: major.
pub const SSTORE_VERSION_MAJOR: u32 = 0;
/// The version of the header: minor.
pub const SSTORE_VERSION_MINOR: u32 = 1;
/// The version of the header: patch.
pub const SSTORE_VERSION_PATCH: u32 = 0;
/// The version of the header as one number: major * 1000000 + minor * 1000 + patch. Compare it with sstore_version_number().
pub const SSTORE_VERSION_NUMBER: u32 = 1000;

const _: () = assert!(
    SSTORE_VERSION_NUMBER == SSTORE_VERSION_MAJOR * 1_000_000 + SSTORE_VERSION_MINOR * 1_000 + SSTORE_VERSION_PATCH
);

/// The version of the library that is loaded, such as "0.1.0". The text lives for ever. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The same as a number, made like SSTORE_VERSION_NUMBER. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_version_number() -> u32 {
    SSTORE_VERSION_NUMBER
}

#[test]
fn the_numbers_are_those_of_the_package() {
    let numbers = format!("{SSTORE_VERSION_MAJOR}.{SSTORE_VERSION_MINOR}.{SSTORE_VERSION_PATCH}");
    assert_eq!(numbers, env!("CARGO_PKG_VERSION"));
}
