//! A ring between a waiter's look at its condition and its sleep is not lost.

use loom::thread;
use sstore::atomic::{AtomicBool, Ordering, check};
use sstore::env::Bell;
use std::sync::Arc;

/// A wake-up that is lost leaves a thread asleep for ever, which the model reports as a deadlock.
#[test]
fn no_ring_is_lost() {
    // Its wait is a bell's; time and randomness are not asked for.
    let runtime = sstore::env::posix::posix().runtime;
    let runs = check(2, move || {
        let shared = Arc::new((Bell::new(), AtomicBool::new(false)));
        let wait = {
            let runtime = runtime.clone();
            move |shared: &(Bell, AtomicBool)| loop {
                let seen = shared.0.count();
                if shared.1.load(Ordering::Acquire) {
                    break;
                }
                runtime.wait(&shared.0, seen, None);
            }
        };
        let ringer = thread::spawn({
            let shared = shared.clone();
            move || {
                shared.0.ring();
                shared.1.store(true, Ordering::Release);
                shared.0.ring();
            }
        });
        let waiter = thread::spawn({
            let (shared, wait) = (shared.clone(), wait.clone());
            move || wait(&shared)
        });
        wait(&shared);
        ringer.join().unwrap();
        waiter.join().unwrap();
    });
    println!("{runs} runs");
}
