//! What is known of every key: what was acknowledged, what was begun, when it was deleted last. The oracle of the soak.
//!
//! Written by the one writer that owns the key, asked by all readers, without a lock. A reader notes what was acknowledged before it
//! reads; what it then finds must be that or something newer that was begun: nothing lost, nothing that went back, nothing made up.

use crate::Checked;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was acknowledged of a key at some moment: its version, and whether that was a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known(u64);

impl Known {
    fn new(version: u64, deleted: bool) -> Self {
        Self(version << 1 | u64::from(deleted))
    }

    fn version(self) -> u64 {
        self.0 >> 1
    }

    /// Whether a value must be there: it was written, and not deleted since.
    pub fn is_present(self) -> bool {
        self.0 != 0 && self.0 & 1 == 0
    }
}

#[derive(Default)]
struct Entry {
    acknowledged: AtomicU64,
    begun: AtomicU64,
    deleted: AtomicU64,
}

/// The keys of one collection, or of several that are always written together.
pub struct Ledger {
    name: &'static str,
    entries: Vec<Entry>,
}

impl Ledger {
    /// No key is known yet of `keys`.
    pub fn new(name: &'static str, keys: usize) -> Self {
        Self { name, entries: (0..keys).map(|_| Entry::default()).collect() }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Before the write: from now on readers may see it. Versions of a key only grow.
    pub fn begin(&self, key: usize, version: u64, deletes: bool) {
        let entry = &self.entries[key];
        if deletes {
            entry.deleted.store(version, Ordering::Release);
        }
        entry.begun.store(version, Ordering::Release);
    }

    /// After the write: from now on every reader must see it.
    pub fn acknowledge(&self, key: usize, version: u64, deletes: bool) {
        self.entries[key].acknowledged.store(Known::new(version, deletes).0, Ordering::Release);
    }

    /// What a read that begins now must see at least.
    pub fn known(&self, key: usize) -> Known {
        Known(self.entries[key].acknowledged.load(Ordering::Acquire))
    }

    /// What a read that begins now must see at least, of every key.
    pub fn all_known(&self) -> Vec<Known> {
        (0..self.len()).map(|key| self.known(key)).collect()
    }

    /// Judges what a read found that began when `known` was acknowledged, and that has ended.
    pub fn check(&self, key: usize, known: Known, found: Option<u64>) -> Checked<()> {
        let entry = &self.entries[key];
        let wrong = |what: String| Err(format!("{}: key {key}: {what}", self.name).into());
        let at_least = known.version();
        match found {
            Some(version) if version > entry.begun.load(Ordering::Acquire) => {
                wrong(format!("version {version} was found, which nobody began to write"))
            }
            Some(version) if version < at_least => {
                wrong(format!("version {version} was found, {at_least} was acknowledged"))
            }
            Some(version) if version == at_least && !known.is_present() => {
                wrong(format!("version {version} was found, which is a delete"))
            }
            None if known.is_present() && entry.deleted.load(Ordering::Acquire) <= at_least => {
                wrong(format!("nothing was found, version {at_least} was acknowledged"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_goes_back_or_is_made_up_is_found() {
        let ledger = Ledger::new("pairs", 1);
        let never = ledger.known(0);
        assert!(ledger.check(0, never, None).is_ok() && ledger.check(0, never, Some(1)).is_err());
        ledger.begin(0, 5, false);
        assert!(ledger.check(0, never, Some(5)).is_ok() && ledger.check(0, never, None).is_ok());
        ledger.acknowledge(0, 5, false);
        let five = ledger.known(0);
        assert!(ledger.check(0, five, Some(5)).is_ok());
        assert!(ledger.check(0, five, Some(4)).is_err(), "it went back");
        assert!(ledger.check(0, five, Some(6)).is_err(), "it was made up");
        assert!(ledger.check(0, five, None).is_err(), "it was lost");
        ledger.begin(0, 7, true);
        assert!(ledger.check(0, five, None).is_ok() && ledger.check(0, five, Some(5)).is_ok());
        ledger.acknowledge(0, 7, true);
        let seven = ledger.known(0);
        assert!(ledger.check(0, seven, None).is_ok());
        assert!(ledger.check(0, seven, Some(5)).is_err(), "a delete was undone");
        assert!(ledger.check(0, seven, Some(7)).is_err());
    }
}
