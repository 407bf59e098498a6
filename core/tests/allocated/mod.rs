//! An allocator that counts, and what is asked of it: how many bytes are in use, with those that the engine maps itself, and how many
//! were at most.
//!
//! Used by the tests of memory, each of which is a process of its own.
#![allow(unsafe_code)] // An allocator is unsafe to write; this one counts and passes on.
#![allow(dead_code)] // Each test builds its own copy, and asks for a part of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

/// Bytes in use of the allocator's, and the most that ever were in all since [`peak_of`] began.
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

static MEASURING: Mutex<()> = Mutex::new(());

/// One measurement at a time, as long as the guard is held: all threads share the counters.
pub fn alone() -> MutexGuard<'static, ()> {
    MEASURING.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

struct Counting;

// SAFETY: each call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        PEAK.fetch_max(live_bytes(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        PEAK.fetch_max(live_bytes(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        LIVE.fetch_add(new_size, Relaxed);
        LIVE.fetch_sub(layout.size(), Relaxed);
        PEAK.fetch_max(live_bytes(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes in use: of the allocator, and of what the engine maps itself.
pub fn live_bytes() -> usize {
    LIVE.load(Relaxed) + sstore::env::pages::mapped_bytes()
}

/// The most bytes in use during `work` beyond those before it.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = live_bytes();
    PEAK.store(before, Relaxed);
    let result = work();
    (PEAK.load(Relaxed).saturating_sub(before), result)
}
