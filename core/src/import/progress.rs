//! How far an import is: told at most ten times a second, and the way to call it off.

use crate::env::Runtime;
use crate::error::{Error, ErrorKind, Result};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// Nanoseconds from one telling to the next, at least.
const INTERVAL_NANOS: u64 = 100_000_000;

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportProgress {
    /// Bytes of the source that were read.
    pub bytes_read: u64,
    /// Bytes of the source in all.
    pub bytes_total: u64,
    /// Entries that were written to the target.
    pub entries: u64,
}

/// Is told how far an import is; false calls it off.
pub type Listener<'a> = &'a mut dyn FnMut(&ImportProgress) -> bool;

/// Counts, and tells the caller from time to time.
pub struct Meter<'a> {
    runtime: Arc<dyn Runtime>,
    listener: RefCell<Listener<'a>>,
    now: Cell<ImportProgress>,
    /// Not yet told: the first read is, so that whoever asked sees that it has begun.
    told_at: Cell<Option<u64>>,
}

impl<'a> Meter<'a> {
    /// Nothing is read yet.
    pub fn new(runtime: Arc<dyn Runtime>, listener: Listener<'a>) -> Self {
        Self { runtime, listener: RefCell::new(listener), now: Cell::default(), told_at: Cell::default() }
    }

    /// There is this much to read.
    pub fn expect(&self, bytes_total: u64) {
        self.now.set(ImportProgress { bytes_total, ..self.now.get() });
    }

    /// Entries were written.
    pub fn wrote(&self, entries: u64) {
        let now = self.now.get();
        self.now.set(ImportProgress { entries: now.entries + entries, ..now });
    }

    /// Bytes were read. Cancelled if the caller wants no more.
    pub fn read(&self, bytes: u64) -> Result<()> {
        let now = self.now.get();
        self.now.set(ImportProgress { bytes_read: now.bytes_read + bytes, ..now });
        if now.bytes_total == 0 {
            // How much there is comes out of what is read first.
            return Ok(());
        }
        let clock = self.runtime.monotonic_nanos();
        if self.told_at.get().is_some_and(|told_at| clock.saturating_sub(told_at) < INTERVAL_NANOS) {
            return Ok(());
        }
        self.told_at.set(Some(clock));
        if (self.listener.borrow_mut())(&self.now.get()) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Cancelled, "the import was called off"))
    }

    /// Tells a last time, whatever the time: all is done, and what the listener answers no longer counts.
    pub fn finish(&self) -> ImportProgress {
        (self.listener.borrow_mut())(&self.now.get());
        self.now.get()
    }
}
