//! Asking for memory ahead of its use, so that waiting for one thing goes on beside waiting for the next.
//!
//! Called by `memtable`, `filter`, `sst` and `read` where several lookups are under way at once, or one knows early where it will look. A hint:
//! it changes nothing but the time that a later access takes, and on processors without it, nothing at all.
#![allow(unsafe_code)] // The instruction takes a raw address.

/// Bytes that the processor fetches together.
pub const LINE_BYTES: usize = 64;

/// Asks for the line at `at`; any address will do.
#[inline]
pub fn line<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch never faults and changes nothing but the cache.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}

/// Asks for the line at an address that was something's some time.
#[inline]
pub fn address(address: usize) {
    line(std::ptr::without_provenance::<u8>(address));
}

/// Asks for the element at `index`, if there is one.
#[inline]
pub fn element<T>(slice: &[T], index: usize) {
    if let Some(element) = slice.get(index) {
        line(element);
    }
}

/// Asks for all lines of `bytes`.
#[inline]
pub fn bytes(bytes: &[u8]) {
    bytes.chunks(LINE_BYTES).for_each(|chunk| line(chunk.as_ptr()));
    // The last line begins behind the last chunk where the first byte is not the first of its line.
    if let Some(last) = bytes.last() {
        line(last);
    }
}
