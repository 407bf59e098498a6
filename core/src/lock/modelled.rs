//! The locks of the model checker, made like the standard library's: in a constant, and reached through `crate::lock` alone.

pub(super) use loom::sync::{Condvar, MutexGuard};

use std::sync::{LockResult, OnceLock, TryLockError, TryLockResult};

/// Becomes a lock of the model when it is first taken: one that a static holds is made outside of every model.
#[derive(Debug)]
pub(super) struct Mutex<T> {
    made: OnceLock<loom::sync::Mutex<T>>,
    before: std::sync::Mutex<Option<T>>,
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Mutex<T> {
    pub(super) const fn new(value: T) -> Self {
        Self { made: OnceLock::new(), before: std::sync::Mutex::new(Some(value)) }
    }

    fn made(&self) -> &loom::sync::Mutex<T> {
        self.made.get_or_init(|| {
            let value = self.before.lock().ok().and_then(|mut value| value.take());
            loom::sync::Mutex::new(value.expect("a lock is made once"))
        })
    }

    pub(super) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.made().lock()
    }

    pub(super) fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        self.made().try_lock()
    }

    pub(super) fn get_mut(&mut self) -> LockResult<&mut T> {
        self.made();
        self.made.get_mut().expect("made above").get_mut()
    }
}

/// See [`UnmodelledMutex`](super::UnmodelledMutex).
#[derive(Debug, Default)]
pub struct UnmodelledMutex<T>(std::sync::Mutex<T>);

impl<T> UnmodelledMutex<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Takes the lock. All threads of a model are coroutines of one thread: who finds it taken would wait for itself.
    pub fn lock(&self) -> std::sync::MutexGuard<'_, T> {
        match self.0.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => panic!("a step of the model was taken under a lock that is none"),
        }
    }
}
