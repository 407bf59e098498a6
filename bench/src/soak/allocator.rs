//! What the C library's allocator says of itself: it tells memory that is in use from memory that it keeps.
//!
//! RssAnon counts both. What grows in both is a leak; what grows in RssAnon alone is kept by the allocator.
#![allow(unsafe_code)] // A function of the C library is called.

/// Bytes that are allocated and not freed, of all threads; 0 where the allocator does not tell.
pub fn in_use_bytes() -> u64 {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: the function takes nothing, locks what it reads, and returns plain numbers.
        let info = unsafe { libc::mallinfo2() };
        (info.uordblks + info.hblkhd) as u64
    }
    #[cfg(not(target_env = "gnu"))]
    0
}
