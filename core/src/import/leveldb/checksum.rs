//! The checksums of LevelDB: CRC-32C, masked, because a checksum of bytes that hold checksums says little.
//!
//! Source: `util/crc32c.h` of LevelDB.

/// What is added when masking.
const MASK_DELTA: u32 = 0xa282_ead8;

/// The checksum as it stands in a file.
pub fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(MASK_DELTA)
}

/// Whether `stored`, as it stands in a file, is the checksum of `bytes`.
pub fn matches(stored: u32, bytes: &[u8]) -> bool {
    masked(crc32c::crc32c(bytes)) == stored
}
