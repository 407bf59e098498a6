//! Epochs: readers pin shared structures without a lock, writers replace them and free the old ones when no reader is left.
//!
//! Used for the database's [`View`](crate::view::View). A reader enters the domain (one
//! compare-and-swap on a line of its own), loads pointers, and leaves (a plain store). A writer swaps a pointer and retires
//! the old value; it is freed when every reader that could have seen it has left.
//!
//! Invariants: (1) a slot holds 0 or the epoch that its reader entered in; (2) what is retired in epoch `e` is freed only when
//! no slot holds an epoch ≤ `e`; (3) the pointer is swapped before the epoch is advanced. A reader that entered later than
//! the advance therefore loads the new pointer, and one that entered earlier holds the old one alive.
//! Nobody blocks, does I/O or calls foreign code inside an epoch: clone an [`Arc`] and leave first.
#![allow(unsafe_code)]

use crate::atomic::{AtomicPtr, AtomicU64, Ordering, fence, spin_loop};
use crate::lock::Mutex;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

/// How many readers can be inside at once before the next one spins: far above any sensible number of running threads.
const SLOTS: usize = if cfg!(loom) { 2 } else { 256 };

/// One reader's slot, alone on two cache lines (neighbour-line prefetch).
#[repr(align(128))]
struct Slot(AtomicU64);

/// A set of readers, and what waits for them to leave.
pub struct Domain {
    slots: Box<[Slot]>,
    epoch: AtomicU64,
    retired: Mutex<Vec<(u64, Box<dyn Send>)>>,
}

thread_local! {
    /// The number of this thread. A plain number: no destructor runs at thread exit.
    static THREAD_SLOT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// A number of this thread, below 256; the first so many threads have different ones. Where it looks for a free slot first.
#[inline]
pub fn thread_slot() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    THREAD_SLOT.with(|cell| {
        let mut slot = cell.get();
        if slot == usize::MAX {
            slot = NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS;
            cell.set(slot);
        }
        slot
    })
}

impl Default for Domain {
    fn default() -> Self {
        Self::new()
    }
}

impl Domain {
    /// A domain without readers.
    pub fn new() -> Self {
        let slots = (0..SLOTS).map(|_| Slot(AtomicU64::new(0))).collect();
        Self { slots, epoch: AtomicU64::new(1), retired: Mutex::new(Vec::new()) }
    }

    /// Enters: until the guard is dropped, nothing loaded through it is freed.
    #[inline]
    pub fn enter(&self) -> Guard<'_> {
        let mut index = thread_slot();
        loop {
            let slot = &self.slots[index].0;
            // Acquire: who sees an advanced epoch sees the pointers that were swapped before.
            let epoch = self.epoch.load(Ordering::Acquire);
            if slot.load(Ordering::Relaxed) == 0
                && slot.compare_exchange(0, epoch, Ordering::SeqCst, Ordering::Relaxed).is_ok()
            {
                // SeqCst here, at the loads of pointers, at their swap and at the slots' loads in `collect`, so that a fence,
                // as dear as the exchange itself, is not needed: in their one order either this exchange stands before the
                // load in `collect`, which then finds the reader, or the swap stands before the reader's load of the pointer.
                // A model checker takes SeqCst from fences alone.
                if cfg!(loom) {
                    fence(Ordering::SeqCst);
                }
                return Guard { slot, domain: self, not_send: PhantomData };
            }
            index = (index + 1) % SLOTS;
            spin_loop();
        }
    }

    /// Frees `old` when every reader that is inside now has left. Requires: no pointer leads to it any more.
    pub fn retire(&self, old: Box<dyn Send>) {
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst);
        self.retired.lock().push((epoch, old));
        self.collect();
    }

    /// Frees what can be freed. Called by [`retire`](Self::retire); call it now and then where retiring is rare.
    pub fn collect(&self) {
        fence(Ordering::SeqCst);
        let free: Vec<_> = {
            let mut retired = self.retired.lock();
            if retired.is_empty() {
                return;
            }
            let oldest = self.slots.iter().map(|slot| slot.0.load(Ordering::SeqCst)).filter(|&e| e != 0).min();
            match oldest {
                None => retired.drain(..).collect(),
                Some(oldest) => retired.extract_if(.., |(epoch, _)| *epoch < oldest).collect(),
            }
        };
        // Dropped outside the lock: a destructor may free much.
        drop(free);
    }

    /// How many retired values still wait. For tests and metrics.
    pub fn retired_count(&self) -> usize {
        self.retired.lock().len()
    }
}

/// Proof of being inside a [`Domain`]. Keep it short; see the module's rule on blocking.
pub struct Guard<'d> {
    slot: &'d AtomicU64,
    domain: &'d Domain,
    not_send: PhantomData<*const ()>,
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.slot.store(0, Ordering::Release);
    }
}

/// A shared pointer that is read inside an epoch and replaced from outside.
pub struct Shared<T: Send + Sync + 'static> {
    pointer: AtomicPtr<T>,
    owned: PhantomData<Arc<T>>,
}

impl<T: Send + Sync + 'static> Shared<T> {
    /// Points to `value`.
    pub fn new(value: Arc<T>) -> Self {
        Self { pointer: AtomicPtr::new(Arc::into_raw(value).cast_mut()), owned: PhantomData }
    }

    /// What it points to, for as long as the guard lives. Requires: the guard is of the domain given to [`replace`](Self::replace).
    #[inline]
    pub fn load<'g>(&self, _guard: &'g Guard<'_>) -> &'g T {
        // SAFETY: the pointer came from `Arc::into_raw`, and its count is given up only through `Domain::retire`, which
        // waits for this guard to be dropped.
        unsafe { &*self.pointer.load(Ordering::SeqCst) }
    }

    /// What it points to, and what `read` gave while it pointed there. No pointer comes back while the guard holds its value
    /// alive, so the same one before and after means that it did not move.
    #[inline]
    pub fn load_with<'g, R>(&self, guard: &'g Guard<'_>, read: impl Fn() -> R) -> (&'g T, R) {
        loop {
            let value = self.load(guard);
            let beside = read();
            if std::ptr::eq(value, self.load(guard)) {
                return (value, beside);
            }
        }
    }

    /// A counted reference to what it points to.
    #[inline]
    pub fn load_arc(&self, _guard: &Guard<'_>) -> Arc<T> {
        let pointer = self.pointer.load(Ordering::SeqCst);
        // SAFETY: as in `load`, the count that the pointer stands for is alive while the guard is, so it may be raised.
        unsafe {
            Arc::increment_strong_count(pointer);
            Arc::from_raw(pointer)
        }
    }

    /// Points to `value` from now on; the old one is released when no reader of `domain` can hold it.
    pub fn replace(&self, value: Arc<T>, domain: &Domain) {
        let old = self.pointer.swap(Arc::into_raw(value).cast_mut(), Ordering::SeqCst);
        // SAFETY: the pointer came from `Arc::into_raw` and was just taken out: this is its only owner.
        domain.retire(Box::new(unsafe { Arc::from_raw(old) }));
    }
}

impl<T: Send + Sync + 'static> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Arc::into_raw`; a unique borrow proves that nobody loads it any more.
        drop(unsafe { Arc::from_raw(self.pointer.load(Ordering::Relaxed)) });
    }
}

impl Guard<'_> {
    /// The domain that was entered.
    pub fn domain(&self) -> &Domain {
        self.domain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn what_a_reader_holds_is_freed_only_after_it_left() {
        let domain = Domain::new();
        let first = Arc::new(1);
        let shared = Shared::new(first.clone());
        let guard = domain.enter();
        assert_eq!(*shared.load(&guard), 1);
        shared.replace(Arc::new(2), &domain);
        assert_eq!(Arc::strong_count(&first), 2, "the reader is still inside");
        let later = domain.enter();
        assert_eq!(*shared.load(&later), 2);
        drop(guard);
        domain.collect();
        assert_eq!(Arc::strong_count(&first), 1, "a reader that came later holds nothing back");
        drop(later);
    }

    #[test]
    fn readers_on_many_threads_never_see_a_freed_value() {
        struct Checked(u64, AtomicBool);
        impl Drop for Checked {
            fn drop(&mut self) {
                self.1.store(true, Ordering::SeqCst);
            }
        }
        let domain = Domain::new();
        let shared = Shared::new(Arc::new(Checked(0, AtomicBool::new(false))));
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut last = 0;
                    while !done.load(Ordering::Relaxed) {
                        let guard = domain.enter();
                        let value = shared.load(&guard);
                        assert!(value.0 >= last, "a reader never goes back");
                        last = value.0;
                        assert!(!value.1.load(Ordering::SeqCst), "freed under a reader");
                    }
                });
            }
            for number in 1..20_000 {
                shared.replace(Arc::new(Checked(number, AtomicBool::new(false))), &domain);
            }
            done.store(true, Ordering::Relaxed);
        });
        domain.collect();
        assert_eq!(domain.retired_count(), 0);
    }
}
