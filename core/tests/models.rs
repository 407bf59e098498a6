//! Models: the engine's own lock-free code, and a whole database that is flushed and closed, under loom, which tries every order of the
//! threads' steps and every value that each load may see, within a bound on preemptions.
//!
//! `make models` builds this with `--cfg loom`; in any other build the file is empty. What each model is and what was planted to
//! see it fail: docs/testing.md. A failure prints the panic of the first bad run; `LOOM_LOCATION=1` adds the lines that raced,
//! `LOOM_MAX_PREEMPTIONS=4` looks further.
#![cfg(loom)]

mod models {
    mod bell;
    mod close;
    mod epoch;
    mod flush_order;
    mod log_sync;
    mod memtable;
    mod removal;
    mod world;
}
