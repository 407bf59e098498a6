//! The engine's mutex: the standard library's, without poisoning.
//!
//! Why not `parking_lot`: it keeps the queues of all its waiting threads in one table of the
//! process, and a thread-local with a destructor beside each. A forked child inherits the table with the entries of threads
//! that it does not have, and a wake-up meant for one of its own threads can go to such an entry and be lost. The standard
//! mutex waits on its own word alone, so a child that opens a database of its own is safe; and it leaves nothing behind at
//! thread exit. Poisoning is of no use here: what a panic can leave torn is marked where it matters (`commit`, `wal`).

#[cfg(loom)]
mod modelled;
mod ordered;

pub use ordered::{OrderedGuard, OrderedMutex};

/// A mutex that is no step of a model, whose runs would multiply for nothing: it guards what decides nothing, shares of memory or a file
/// system for tests. Requires: its holder takes no step of a model.
#[cfg(not(loom))]
pub use Mutex as UnmodelledMutex;
#[cfg(loom)]
pub use modelled::UnmodelledMutex;

#[cfg(loom)]
use modelled as sync;
#[cfg(not(loom))]
use std::sync;
use std::sync::{PoisonError, TryLockError};
use std::time::Duration;

/// A held lock.
pub type MutexGuard<'a, T> = sync::MutexGuard<'a, T>;

/// Mutual exclusion; a panic while it is held does not lock others out.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

/// Waits for a change of what a [`Mutex`] protects.
#[derive(Debug, Default)]
pub struct Condvar(sync::Condvar);

impl Condvar {
    /// Gives the lock back while it waits, for `timeout` at most. May return early, so call it in a loop around the condition.
    pub fn wait<'a, T>(&self, held: MutexGuard<'a, T>, timeout: Option<Duration>) -> MutexGuard<'a, T> {
        match timeout {
            Some(timeout) => self.0.wait_timeout(held, timeout).unwrap_or_else(PoisonError::into_inner).0,
            None => self.0.wait(held).unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Wakes everyone who waits.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

impl<T> Mutex<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    /// Waits for the lock and takes it.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock if nobody holds it.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// What it protects; a unique borrow needs no lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_under_the_lock_does_not_lock_others_out() {
        let mutex = Mutex::new(1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = mutex.lock();
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        *mutex.lock() += 1;
        let held = mutex.try_lock().unwrap();
        assert_eq!(*held, 2);
        assert!(mutex.try_lock().is_none());
    }
}
