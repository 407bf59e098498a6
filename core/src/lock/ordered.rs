//! Mutexes that are taken in one written order. Debug builds panic where a thread takes them in another: two threads that do would
//! wait for each other for ever, and rarely enough that no test meets it.

use super::{Mutex, MutexGuard};
use std::ops::{Deref, DerefMut};

/// A mutex with a place in the order. One thread at a time holds several only by rising places.
#[derive(Debug)]
pub struct OrderedMutex<T> {
    mutex: Mutex<T>,
    place: u8,
}

impl<T> OrderedMutex<T> {
    /// A lock around `value` at `place` in the order, below 8.
    pub const fn new(place: u8, value: T) -> Self {
        assert!(place < 8, "there is a bit for each of eight places");
        Self { mutex: Mutex::new(value), place }
    }

    /// Waits for the lock and takes it. Debug builds panic if the thread holds one at this place or above.
    #[inline]
    pub fn lock(&self) -> OrderedGuard<'_, T> {
        let held = Held::take(self.place);
        OrderedGuard { guard: self.mutex.lock(), _held: held }
    }
}

/// A held lock.
pub struct OrderedGuard<'a, T> {
    guard: MutexGuard<'a, T>,
    _held: Held,
}

impl<T> Deref for OrderedGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for OrderedGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

// The model checker runs many threads of a model on one of the system's.
#[cfg(all(debug_assertions, not(loom)))]
mod check {
    use std::cell::Cell;

    thread_local! {
        /// A bit for each place that this thread holds.
        static PLACES: Cell<u8> = const { Cell::new(0) };
    }

    /// A place that this thread holds until it is dropped.
    pub struct Held(u8);

    impl Held {
        pub fn take(place: u8) -> Self {
            PLACES.with(|places| {
                let held = places.get();
                assert!(held >> place == 0, "lock {place} is taken while the places {held:#010b} are held");
                places.set(held | 1 << place);
            });
            Self(place)
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            PLACES.with(|places| places.set(places.get() & !(1 << self.0)));
        }
    }
}

#[cfg(not(all(debug_assertions, not(loom))))]
mod check {
    /// Nothing is checked in release builds.
    pub struct Held;

    impl Held {
        #[inline(always)]
        pub fn take(_place: u8) -> Self {
            Self
        }
    }
}

use check::Held;

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn the_wrong_order_is_found_without_a_second_thread() {
        let (first, second) = (OrderedMutex::new(1, ()), OrderedMutex::new(2, ()));
        let in_order = first.lock();
        drop(second.lock());
        drop(in_order);
        let held = second.lock();
        let wrong = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(first.lock())));
        assert!(wrong.is_err(), "1 after 2");
        drop(held);
        drop(first.lock());
    }
}
