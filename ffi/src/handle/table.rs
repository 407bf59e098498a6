//! The making of the handle table: its reserved pages, its cookie, and the word that tells a forked child. Called by every
//! exported function through [`table`].
//!
//! Promises that a table that was published, its slots and its fork mark stay for the life of the process.
//! This module may use `unsafe`: it maps pages and follows pointers to what is never freed.

use super::{FreeSlots, Handles, INDEX_BITS, READY, Slot};
use engine::lock::Mutex;
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

static HANDLES: AtomicPtr<Handles> = AtomicPtr::new(std::ptr::null_mut());

fn map_pages(bytes: usize, flags: libc::c_int) -> Option<*mut c_void> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that exists.
    let pages = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    (pages != libc::MAP_FAILED).then_some(pages)
}

/// A word that reads `READY` until the process forks. Without kernel support a handler at fork does the wiping.
fn fork_mark() -> Option<*const AtomicU32> {
    static FALLBACK: AtomicU32 = AtomicU32::new(0);
    extern "C" fn in_child() {
        FALLBACK.store(0, Ordering::SeqCst);
    }
    let page = map_pages(4096, 0)?;
    // SAFETY: the page was mapped just now, is readable and writable, and this advice changes it only in a forked child.
    let mark = if unsafe { libc::madvise(page, 4096, libc::MADV_WIPEONFORK) } == 0 {
        page.cast_const().cast::<AtomicU32>()
    } else {
        // SAFETY: the handler only stores to a static atomic, which is safe in a forked child.
        if unsafe { libc::pthread_atfork(None, None, Some(in_child)) } != 0 {
            return None;
        }
        &raw const FALLBACK
    };
    // SAFETY: either word is aligned, zero-initialised and never unmapped.
    unsafe { (*mark).store(READY, Ordering::SeqCst) };
    Some(mark)
}

fn random_cookie() -> u64 {
    let mut cookie = [0u8; 8];
    // SAFETY: the buffer is eight bytes long.
    let read = unsafe { libc::getrandom(cookie.as_mut_ptr().cast(), cookie.len(), libc::GRND_NONBLOCK) };
    if read != 8 {
        // Too early in the machine's life for random bytes: the cookie only has to be unlike other numbers.
        return (&raw const HANDLES as u64).rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15;
    }
    u64::from_ne_bytes(cookie)
}

#[cfg(loom)]
pub(crate) use super::models::table;

/// The table, made on the first call of the process and again on the first after a fork. `None`: no memory.
#[cfg(not(loom))]
#[inline]
pub(crate) fn table() -> Option<&'static Handles> {
    let table = HANDLES.load(Ordering::Acquire);
    // SAFETY: a published table and its mark are never freed.
    match unsafe { table.as_ref() } {
        // SAFETY: as above.
        Some(current) if unsafe { (*current.mark).load(Ordering::Relaxed) } == READY => Some(current),
        _ => renew(table),
    }
}

/// Lock-free, for the sake of a child that was forked in the middle of it: of several candidates one wins, the others stay
/// behind unused.
#[cold]
fn renew(old: *mut Handles) -> Option<&'static Handles> {
    let mark = fork_mark()?;
    // SAFETY: a published table is never freed.
    let (slots, capacity, cookie, process, next) = match unsafe { old.as_ref() } {
        Some(old) => (old.slots, old.capacity, old.cookie, old.process + 1, old.free.next.load(Ordering::Relaxed)),
        None => {
            let sizes = [INDEX_BITS, 20, 16, 12];
            let (slots, bits) = sizes.into_iter().find_map(|bits| {
                let pages = map_pages(size_of::<Slot>() << bits, libc::MAP_NORESERVE)?;
                Some((pages.cast_const().cast::<Slot>(), bits))
            })?;
            crate::boundary::silence_panics();
            (slots, 1 << bits, random_cookie(), 0, 0)
        }
    };
    let free =
        FreeSlots { next: engine::atomic::AtomicU32::new(next), resting: Mutex::default(), lanes: Mutex::default() };
    let candidate = Box::into_raw(Box::new(Handles { slots, capacity, cookie, process, mark, free }));
    let winner = match HANDLES.compare_exchange(old, candidate, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => candidate,
        Err(winner) => winner,
    };
    // SAFETY: both are published tables or, for the loser, leaked: never freed.
    unsafe { winner.as_ref() }
}
