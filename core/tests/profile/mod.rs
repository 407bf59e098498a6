//! How much the long tests do: what fits into `make test`, or, with `SSTORE_TEST_PROFILE=full`, what takes hours and finds more. The only place
//! that knows either number.
//!
//! Used by the tests of `core` and `ffi` that can go on for ever. Each number has a variable of its own that overrides both.
#![allow(dead_code)] // Each test builds its own copy, and asks for one or two of the sizes.

/// How much of something a test does.
pub struct Size {
    /// The environment variable that sets it.
    pub variable: &'static str,
    /// Within `make test`.
    pub short: u64,
    /// With `SSTORE_TEST_PROFILE=full`.
    pub full: u64,
}

/// Operations that `model.rs` compares.
pub const MODEL_OPERATIONS: Size = Size { variable: "SSTORE_MODEL_OPS", short: 1_000_000, full: 30_000_000 };

/// Scans that `table_oracle.rs` compares.
pub const ORACLE_CASES: Size = Size { variable: "SSTORE_ORACLE_CASES", short: 15_000, full: 600_000 };

/// Of the calls of a kind in a script of `faults.rs`, how many are failed, each with every fault: more than there are is each of them.
pub const FAULT_INDICES: Size = Size { variable: "SSTORE_FAULT_INDICES", short: u64::MAX, full: u64::MAX };

/// Orders of background work in which `faults.rs` fails every call.
pub const FAULT_SEEDS: Size = Size { variable: "SSTORE_FAULT_SEEDS", short: 1, full: 25 };

/// Random choices of sectors, and of pages, of each image in `crash.rs`.
pub const CRASH_CHOICES: Size = Size { variable: "SSTORE_CRASH_CHOICES", short: 2, full: 40 };

/// Of so many images in `crash.rs` the opening of one is cut at every second of its calls.
pub const CRASH_RECOVERY_EVERY: Size = Size { variable: "SSTORE_CRASH_RECOVERY_EVERY", short: 23, full: 3 };

/// How long the threads of `concurrent.rs` work, in milliseconds.
pub const CONCURRENT_MILLIS: Size = Size { variable: "SSTORE_CONCURRENT_MILLIS", short: 2_500, full: 300_000 };

/// Entries of each database that LevelDB writes for `leveldb.rs`.
pub const LEVELDB_ENTRIES: Size = Size { variable: "SSTORE_LEVELDB_ENTRIES", short: 50_000, full: 1_000_000 };

/// Changes made to each kind of file of such a database.
pub const LEVELDB_DAMAGE: Size = Size { variable: "SSTORE_LEVELDB_DAMAGE", short: 12, full: 400 };

/// Kills for each back end of the log in `ffi/tests/kill.rs`.
pub const KILL_ROUNDS: Size = Size { variable: "SSTORE_KILL_ROUNDS", short: 100, full: 2_000 };

/// Refreshes of a reader beside a writer at full speed, for each back end of the log, in `live_readers.rs`.
pub const REFRESHES: Size = Size { variable: "SSTORE_REFRESHES", short: 1_000, full: 300_000 };

impl Size {
    /// How much it is in this run. Printed with the outputs of the test.
    pub fn get(&self) -> u64 {
        let size = match variable(self.variable) {
            Some(text) => text.parse().unwrap_or_else(|_| panic!("{} takes a number, not {text:?}", self.variable)),
            None if is_full() => self.full,
            None => self.short,
        };
        if size != u64::MAX {
            println!("{}={size}", self.variable);
        }
        size
    }
}

/// Whether the long profile was chosen.
fn is_full() -> bool {
    match variable("SSTORE_TEST_PROFILE").as_deref() {
        None | Some("" | "short") => false,
        Some("full") => true,
        Some(other) => panic!("SSTORE_TEST_PROFILE is short or full, not {other:?}"),
    }
}

/// Where random choices begin: what the variable says, or a number of the test's own. Printed like a size.
pub fn seed(variable: &'static str, own: u64) -> u64 {
    Size { variable, short: own, full: own }.get()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
