//! Memory straight from the system, for large blocks that live long: what is given back is free at once, where an allocator would keep
//! it for later.
//!
//! Called by `memtable`. Promises: fresh pages are zero; [`mapped_bytes`] is what is held, for whoever adds up what the process
//! holds.
#![allow(unsafe_code)] // mmap and munmap.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Nothing smaller can be mapped.
pub const PAGE_BYTES: usize = 4096;

static MAPPED_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Bytes that the library has from [`map`] now, in the whole process. They are beside what the allocator counts.
pub fn mapped_bytes() -> usize {
    MAPPED_BYTES.load(Ordering::Relaxed)
}

/// Maps `bytes`, rounded up to whole pages, readable and writable, zero, and not yet present. `align` is a power of two. `None` if there
/// is no memory, or `bytes` is 0.
pub fn map(bytes: usize, align: usize) -> Option<NonNull<u8>> {
    let bytes = bytes.checked_next_multiple_of(PAGE_BYTES).filter(|bytes| *bytes > 0)?;
    // Mappings begin at a page; for a larger alignment more is taken, and the ends given back.
    let extra = align.saturating_sub(PAGE_BYTES);
    let whole = bytes.checked_add(extra)?;
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new private mapping at an address of the kernel's choice.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), whole, protection, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return None;
    }
    let start = start.cast::<u8>();
    let before = start.addr().next_multiple_of(align.max(1)) - start.addr();
    // SAFETY: both ranges lie in the mapping that was just made, beside the part that is handed out; `before` is at most `extra`.
    unsafe {
        let aligned = start.add(before);
        give_back(start, before);
        give_back(aligned.add(bytes), extra - before);
        MAPPED_BYTES.fetch_add(bytes, Ordering::Relaxed);
        NonNull::new(aligned)
    }
}

/// Gives back what [`map`] gave for as many `bytes`.
///
/// # Safety
/// `start` came from `map` with these `bytes`, was not given back yet, and nobody uses the memory any more.
pub unsafe fn unmap(start: NonNull<u8>, bytes: usize) {
    let bytes = bytes.next_multiple_of(PAGE_BYTES);
    // SAFETY: as the caller promises, the range is a mapping of ours.
    unsafe { give_back(start.as_ptr(), bytes) };
    MAPPED_BYTES.fetch_sub(bytes, Ordering::Relaxed);
}

/// # Safety
/// The range is whole pages of a mapping of ours that nobody uses; or empty.
unsafe fn give_back(start: *mut u8, bytes: usize) {
    if bytes > 0 {
        // SAFETY: as the caller promises. It fails only where the range is none of ours, or the kernel cannot split a mapping.
        unsafe { libc::munmap(start.cast(), bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_is_zero_aligned_and_counted() {
        for (bytes, align) in [(1, 16), (PAGE_BYTES, 1), (130 << 10, 64), (2 << 20, 2 << 20), ((2 << 20) + 1, 8 << 20)]
        {
            let start = map(bytes, align).unwrap();
            assert_eq!(start.as_ptr().addr() % align, 0);
            assert!(mapped_bytes() >= bytes);
            // SAFETY: the memory is ours until it is given back, and `bytes` long.
            unsafe {
                let memory = std::slice::from_raw_parts_mut(start.as_ptr(), bytes);
                assert!(memory.iter().all(|byte| *byte == 0));
                memory.fill(7);
                unmap(start, bytes);
            }
        }
        assert!(map(0, 1).is_none() && map(usize::MAX, 16).is_none() && map(1 << 60, 16).is_none());
    }
}
