//! The atomics of what readers and writers share without a lock: the standard library's, or those of the model checker.
//!
//! Used by `lock`, `epoch`, `env::Bell`, `memtable`, `commit`, `wal`, the state of `db`, and the handles of the C interface. A build with `--cfg loom` runs no database: it is what
//! `core/tests/models.rs` explores, every order of the threads' steps and every value that each load may see, on the very code
//! that ships. In every other build this module re-exports, and [`wrote`] and [`reads`] are empty.
//!
//! What stays with the standard library everywhere: reference counts, and numbers that order nothing (counters, hints).

#[cfg(not(loom))]
pub use std::hint::spin_loop;
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(loom)]
pub use loom::hint::spin_loop;
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Says that this thread wrote plain bytes at `at`, an address that stands for all bytes written with it. The model fails if
/// another thread may read or write them at the same time.
#[inline(always)]
pub fn wrote<T>(at: *const T) {
    #[cfg(loom)]
    model::wrote(at.addr());
    #[cfg(not(loom))]
    let _ = at;
}

/// Says that this thread reads the plain bytes that [`wrote`] named. The model fails unless their writing happens before.
#[inline(always)]
pub fn reads<T>(at: *const T) {
    #[cfg(loom)]
    model::reads(at.addr());
    #[cfg(not(loom))]
    let _ = at;
}

/// Stands between two SeqCst accesses to different places that rely on their one order: loom takes such accesses for
/// acquire and release, and needs a fence to see the order that the language promises.
#[inline(always)]
pub fn one_order() {
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

#[cfg(loom)]
pub use model::check;

/// Plain memory under the model, and how a model is run.
#[cfg(loom)]
mod model {
    use std::cell::RefCell;
    use std::collections::HashMap;

    thread_local! {
        // All threads of a model are coroutines of one thread, so this is the same map for each of them.
        static PLAIN: RefCell<HashMap<usize, loom::cell::UnsafeCell<()>>> = RefCell::default();
    }

    pub(super) fn wrote(at: usize) {
        // A write is a step of its own, also the first one: what was published just before does not cover it.
        PLAIN.with_borrow_mut(|plain| {
            plain.entry(at).or_insert_with(|| loom::cell::UnsafeCell::new(())).with_mut(|_| ());
        });
    }

    pub(super) fn reads(at: usize) {
        PLAIN.with_borrow(|plain| match plain.get(&at) {
            Some(cell) => cell.with(|_| ()),
            None => panic!("a thread reads plain memory that nobody has written"),
        });
    }

    /// Runs `model` in every order of its threads' steps with at most `preemptions` switches away from a thread that could go
    /// on, and gives how many there were. Panics where one fails.
    pub fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) -> usize {
        let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = runs.clone();
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
        builder.max_branches = builder.max_branches.max(100_000);
        builder.check(move || {
            PLAIN.with_borrow_mut(HashMap::clear);
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            model();
        });
        runs.load(std::sync::atomic::Ordering::Relaxed)
    }
}
