//! A bell: one side rings it after a change, the other looks at a condition and waits for the next ring.
//!
//! Used by every wait of the engine, through [`Runtime::wait`](super::Runtime::wait). No ring between looking and waiting is
//! lost, because the waiter says which count it saw before it looked:
//! `loop { let seen = bell.count(); if condition() { break } runtime.wait(&bell, seen, timeout); }`.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, one_order};
use crate::lock::{Condvar, Mutex};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Something to wait for. Ringing without a waiter costs one atomic addition.
#[derive(Default)]
pub struct Bell {
    count: AtomicU64,
    waiters: AtomicU32,
    mutex: Mutex<()>,
    rung: Condvar,
    /// Rings along: that of whoever waits for many.
    along: OnceLock<Arc<Bell>>,
}

impl Bell {
    /// A bell that was never rung.
    pub fn new() -> Self {
        Self::default()
    }

    /// How often it was rung. Read it before looking at the condition.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Wakes everyone who waits. Requires: the change was made visible before.
    pub fn ring(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        one_order();
        if self.waiters.load(Ordering::SeqCst) != 0 {
            // Taking the mutex closes the gap between a waiter's last look at the count and its sleep.
            drop(self.mutex.lock());
            self.rung.notify_all();
        }
        if let Some(along) = self.along.get() {
            along.ring();
        }
    }

    /// Has `along` rung after each ring of this one. Only the first call counts.
    pub(super) fn lead_to(&self, along: &Arc<Self>) {
        let _ = self.along.set(along.clone());
    }

    /// Blocks the thread until the count differs from `seen`, or `timeout` has passed. For runtimes on real threads.
    pub(super) fn block(&self, seen: u64, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.waiters.fetch_add(1, Ordering::SeqCst);
        one_order();
        let mut guard = self.mutex.lock();
        while self.count() == seen {
            let left = match deadline {
                Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => Some(left),
                    _ => break,
                },
                None => None,
            };
            guard = self.rung.wait(guard, left);
        }
        drop(guard);
        self.waiters.fetch_sub(1, Ordering::SeqCst);
        self.count() != seen
    }
}
