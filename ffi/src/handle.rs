//! Handles: what C holds instead of pointers. Called by `boundary` and by every exported function.
//!
//! A handle's value is {generation 32, type 8, index 24} xor a random cookie of the process; it is never dereferenced.
//! The index names a slot of one reserved mapping that never shrinks, so that any bit pattern is safe to check.
//!
//! Promises:
//! 1. A handle that was freed gives Closed, one of another type or of no table InvalidArgument, one from before a fork Forked.
//! 2. A check runs inside an epoch, takes a counted reference and leaves: a free on another thread never pulls the object
//!    away from under a call, and no call blocks inside the epoch.
//! 3. A slot is used again only after every reader that could have seen its old object has left, first in, first out.
//!
//! This module may use `unsafe`: it turns a checked slot back into the typed object that was stored in it.

use engine::epoch::Domain;
use engine::lock::Mutex;
use engine::{Error, ErrorKind, Result};
use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

#[cfg(not(target_pointer_width = "64"))]
compile_error!("a handle needs 64 bits");

/// A type of object that handles stand for.
pub(crate) trait Object: Send + Sync + Sized + 'static {
    /// What C calls it.
    type Opaque;
    /// Its number in handles; 0 is a free slot.
    const TYPE: u8;
    /// Its name in messages.
    const NAME: &'static str;
    /// Whether many threads use one handle at once: then each lane of threads counts references on a line of its own.
    const SHARED: bool = false;
    /// Whether a free must take effect at once: true for what holds files, memory or history back.
    const PROMPT: bool = true;
    /// The object once per lane. Requires, if `SHARED`: cheap copies of one thing.
    fn lanes(self) -> Vec<Arc<Self>> {
        vec![Arc::new(self)]
    }
}

/// How many lanes a shared object has.
pub(crate) const LANES: usize = 8;

/// A lane, alone on its cache lines.
#[repr(align(128))]
struct Lane<T>(Arc<T>);

/// {generation 32, type 8, process 24} and the object. A zeroed slot was never used.
struct Slot {
    word: AtomicU64,
    object: AtomicPtr<c_void>,
}

const INDEX_BITS: u32 = 24;
const PROCESS_MASK: u64 = (1 << INDEX_BITS) - 1;
const READY: u32 = 1;

/// Freed slots rest until this many wait, so that a stale handle is told from a live one for long.
const RESTING_SLOTS: usize = 1024;

/// How many cheap objects wait before they are retired together: a retirement looks at every reader's line.
const RETIRE_TOGETHER: usize = 32;

/// The table of one process. Made once, and once more in each forked child that calls the library; never freed.
pub(crate) struct Handles {
    slots: *const Slot,
    capacity: u32,
    cookie: u64,
    /// Counts forks from the process that loaded the library.
    process: u32,
    /// `READY`, on a page that the kernel wipes on fork.
    mark: *const AtomicU32,
    next: AtomicU32,
    domain: Domain,
    resting: Mutex<VecDeque<u32>>,
    waiting: Mutex<Vec<Retired>>,
}

// SAFETY: the raw pointers lead to mappings that are never unmapped once the table is published, and hold atomics only.
unsafe impl Send for Handles {}
// SAFETY: as above.
unsafe impl Sync for Handles {}

static HANDLES: AtomicPtr<Handles> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    /// This thread's lane. A plain number: nothing runs at thread exit.
    static LANE: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn lane() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    LANE.with(|cell| {
        let mut lane = cell.get();
        if lane == usize::MAX {
            lane = NEXT.fetch_add(1, Ordering::Relaxed) % LANES;
            cell.set(lane);
        }
        lane
    })
}

/// An object taken out of its slot; when dropped, the object goes, and then the slot rests.
struct Retired {
    object: *mut c_void,
    release: unsafe fn(*mut c_void),
    table: &'static Handles,
    index: u32,
    reusable: bool,
}

// SAFETY: the object is Send and Sync (`Object` demands it) and this is its only owner.
unsafe impl Send for Retired {}

impl Drop for Retired {
    fn drop(&mut self) {
        // SAFETY: `release` was made for the type of this object, and a `Retired` is dropped once.
        unsafe { (self.release)(self.object) };
        if self.reusable {
            self.table.resting.lock().push_back(self.index);
        }
    }
}

fn store<T: Object>(object: T) -> *mut c_void {
    let mut lanes = object.lanes();
    if T::SHARED {
        let lanes: Vec<Lane<T>> = lanes.into_iter().map(Lane).collect();
        debug_assert_eq!(lanes.len(), LANES);
        return Box::into_raw(lanes.into_boxed_slice()).cast();
    }
    match lanes.pop() {
        Some(only) => Arc::into_raw(only).cast_mut().cast(),
        None => unreachable!("an object has at least one lane"),
    }
}

/// Requires: `object` came from `store::<T>` and nobody uses it any more.
unsafe fn release<T: Object>(object: *mut c_void) {
    if T::SHARED {
        let lanes = std::ptr::slice_from_raw_parts_mut(object.cast::<Lane<T>>(), LANES);
        // SAFETY: `store` made a boxed slice of `LANES` lanes of this type; the caller is its only owner.
        drop(unsafe { Box::from_raw(lanes) });
    } else {
        // SAFETY: `store` made it with `Arc::into_raw`; the caller owns that count.
        drop(unsafe { Arc::from_raw(object.cast::<T>().cast_const()) });
    }
}

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

/// The table, made on the first call of the process and again on the first after a fork. `None`: no memory.
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
    let empty = || (Domain::new(), Mutex::new(VecDeque::new()), Mutex::new(Vec::new()));
    // SAFETY: a published table is never freed.
    let candidate = match unsafe { old.as_ref() } {
        Some(old) => {
            let (domain, resting, waiting) = empty();
            let next = AtomicU32::new(old.next.load(Ordering::Relaxed));
            let Handles { slots, capacity, cookie, process, .. } = *old;
            Handles { slots, capacity, cookie, process: process + 1, mark, next, domain, resting, waiting }
        }
        None => {
            let sizes = [INDEX_BITS, 20, 16, 12];
            let (slots, bits) = sizes.into_iter().find_map(|bits| {
                let pages = map_pages(size_of::<Slot>() << bits, libc::MAP_NORESERVE)?;
                Some((pages.cast_const().cast::<Slot>(), bits))
            })?;
            crate::boundary::silence_panics();
            let (domain, resting, waiting) = empty();
            let (capacity, cookie, next) = (1 << bits, random_cookie(), AtomicU32::new(0));
            Handles { slots, capacity, cookie, process: 0, mark, next, domain, resting, waiting }
        }
    };
    let candidate = Box::into_raw(Box::new(candidate));
    let winner = match HANDLES.compare_exchange(old, candidate, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => candidate,
        Err(winner) => winner,
    };
    // SAFETY: both are published tables or, for the loser, leaked: never freed.
    unsafe { winner.as_ref() }
}

impl Handles {
    /// Counts forks: another number in every child.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    fn slot(&self, index: u32) -> &Slot {
        debug_assert!(index < self.capacity);
        // SAFETY: every index comes from `take_index` or was compared with `next`, which never exceeds the capacity, and
        // the mapping is zeroed memory of that many slots that is never unmapped.
        unsafe { &*self.slots.add(index as usize) }
    }

    fn take_index(&self) -> Result<u32> {
        let mut resting = self.resting.lock();
        let next = self.next.load(Ordering::Relaxed);
        if (resting.len() > RESTING_SLOTS || next >= self.capacity)
            && let Some(index) = resting.pop_front()
        {
            return Ok(index);
        }
        if next >= self.capacity {
            return Err(Error::new(ErrorKind::NoMemory, format!("{next} handles are open: no more can be made")));
        }
        self.next.store(next + 1, Ordering::Release);
        Ok(next)
    }

    /// A new handle for `object`.
    pub(crate) fn insert<T: Object>(&self, object: T) -> Result<*mut T::Opaque> {
        let index = self.take_index()?;
        let slot = self.slot(index);
        let mut generation = slot.word.load(Ordering::Relaxed) >> 32;
        let encode = |generation: u64| (generation << 32 | u64::from(T::TYPE) << 24 | u64::from(index)) ^ self.cookie;
        if encode(generation) == 0 {
            // No handle may look like NULL.
            generation += 1;
        }
        slot.object.store(store(object), Ordering::Relaxed);
        let word = generation << 32 | u64::from(T::TYPE) << INDEX_BITS | u64::from(self.process) & PROCESS_MASK;
        slot.word.store(word, Ordering::Release);
        Ok(std::ptr::without_provenance_mut(encode(generation) as usize))
    }

    /// The slot and its word, if `handle` is a live handle of this type.
    #[inline]
    fn check<T: Object>(&self, handle: *const T::Opaque) -> Result<(&Slot, u64, u32)> {
        if handle.is_null() {
            return Err(refuse_null::<T>());
        }
        let value = handle.addr() as u64 ^ self.cookie;
        let index = (value & PROCESS_MASK) as u32;
        if (value >> INDEX_BITS) as u8 != T::TYPE || index >= self.next.load(Ordering::Acquire) {
            return Err(refuse_foreign::<T>());
        }
        let slot = self.slot(index);
        let word = slot.word.load(Ordering::SeqCst);
        let expected = value & !PROCESS_MASK | u64::from(self.process) & PROCESS_MASK;
        if word == expected { Ok((slot, word, index)) } else { Err(refuse_stale::<T>(value, word)) }
    }

    /// A counted reference to the object that `handle` stands for.
    #[inline]
    pub(crate) fn pin<T: Object>(&self, handle: *const T::Opaque) -> Result<Arc<T>> {
        let guard = self.domain.enter();
        let (slot, ..) = self.check::<T>(handle)?;
        let object = slot.object.load(Ordering::Relaxed);
        // SAFETY: the word named this type, so `insert::<T>` stored the object; the slot is not used again and the object
        // not released before this guard is dropped (promise 3).
        let pinned = unsafe {
            if T::SHARED {
                (*object.cast::<Lane<T>>().add(lane())).0.clone()
            } else {
                let object = object.cast::<T>().cast_const();
                Arc::increment_strong_count(object);
                Arc::from_raw(object)
            }
        };
        drop(guard);
        Ok(pinned)
    }

    /// Ends a handle; its object goes when the last call that uses it ends. Of two frees at once one gives Closed.
    pub(crate) fn remove<T: Object>(&'static self, handle: *const T::Opaque) -> Result<()> {
        let (slot, word, index) = self.check::<T>(handle)?;
        let object = slot.object.load(Ordering::Relaxed);
        let generation = word >> 32;
        let reusable = generation < u64::from(u32::MAX) - 1;
        let freed = (generation + 1) << 32;
        if slot.word.compare_exchange(word, freed, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return Err(refuse_stale::<T>(word, freed));
        }
        let retired = Retired { object, release: release::<T>, table: self, index, reusable };
        let mut waiting = self.waiting.lock();
        waiting.push(retired);
        if T::PROMPT || waiting.len() >= RETIRE_TOGETHER {
            drop(waiting);
            self.settle();
        }
        Ok(())
    }

    /// Releases every freed object that no call is looking at. Readers stay inside for nanoseconds: a few turns suffice.
    pub(crate) fn settle(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        if !waiting.is_empty() {
            self.domain.retire(Box::new(waiting));
        }
        for _ in 0..100 {
            if self.domain.retired_count() == 0 {
                return;
            }
            std::thread::yield_now();
            self.domain.collect();
        }
    }
}

#[cold]
fn refuse_null<T: Object>() -> Error {
    Error::invalid(format!("the {} is NULL", T::NAME))
}

#[cold]
fn refuse_foreign<T: Object>() -> Error {
    Error::invalid(format!(
        "the {} is not one: it was not made by this library, or is a handle of another type",
        T::NAME
    ))
}

#[cold]
fn refuse_stale<T: Object>(value: u64, word: u64) -> Error {
    if value >> INDEX_BITS == word >> INDEX_BITS {
        let message = format!("the {} was made before a fork; this process is the child", T::NAME);
        Error::new(ErrorKind::Forked, message)
    } else if value >> 32 < word >> 32 {
        Error::new(ErrorKind::Closed, format!("the {} was freed or closed", T::NAME))
    } else {
        refuse_foreign::<T>()
    }
}

#[cfg(test)]
#[path = "handle/tests.rs"]
mod tests;
