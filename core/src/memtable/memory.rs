//! What all memtables of a database hold together: counted where blocks are taken and rows are kept, so that a put pays nothing for it.
//!
//! Filled by arenas, their pool and row memtables; read by `db`, which decides what to do when the signal is raised. Promises: what is
//! held is what is counted, until the last reference to a memtable goes.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// What writers look at before they write: one load, that of a constant nearly always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    /// Go on.
    Open = 0,
    /// Flushes or merges are behind: perhaps there is a delay to pay.
    Paced = 1,
    /// Memtables hold a step more than when somebody looked last: look again.
    Alarm = 2,
}

/// The count, its limit, and the signal. Thread safety: shared freely.
#[derive(Debug)]
pub struct MemtableMemory {
    share_bytes: usize,
    held_bytes: AtomicUsize,
    spare_bytes: AtomicUsize,
    alarm_bytes: AtomicUsize,
    signal: AtomicU8,
}

impl MemtableMemory {
    /// Nothing held yet, of `share_bytes` that memtables and the spares of their pool should stay within.
    pub(super) fn new(share_bytes: usize) -> Self {
        Self {
            share_bytes,
            held_bytes: AtomicUsize::new(0),
            spare_bytes: AtomicUsize::new(0),
            alarm_bytes: AtomicUsize::new(share_bytes / 4),
            signal: AtomicU8::new(Signal::Open as u8),
        }
    }

    /// What all memtables should stay within.
    pub fn share_bytes(&self) -> usize {
        self.share_bytes
    }

    /// Bytes that memtables hold: active, frozen, and flushed ones that somebody still reads.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Bytes kept for the next memtables.
    pub fn spare_bytes(&self) -> usize {
        self.spare_bytes.load(Ordering::Relaxed)
    }

    /// The signal.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.signal.load(Ordering::Relaxed) == Signal::Open as u8
    }

    /// Whether the alarm was raised since it was last set.
    pub fn is_alarmed(&self) -> bool {
        self.signal.load(Ordering::Relaxed) == Signal::Alarm as u8
    }

    /// Sets the signal, and the alarm for so many bytes held. A count that is there already raises it at once.
    pub fn set(&self, signal: Signal, alarm_bytes: usize) {
        self.signal.store(signal as u8, Ordering::SeqCst);
        self.alarm_bytes.store(alarm_bytes, Ordering::SeqCst);
        if self.held_bytes.load(Ordering::SeqCst) >= alarm_bytes {
            self.raise();
        }
    }

    #[cold]
    fn raise(&self) {
        self.signal.store(Signal::Alarm as u8, Ordering::SeqCst);
    }

    pub(super) fn add(&self, bytes: usize) {
        let held = self.held_bytes.fetch_add(bytes, Ordering::SeqCst) + bytes;
        if held >= self.alarm_bytes.load(Ordering::SeqCst) {
            self.raise();
        }
    }

    pub(super) fn remove(&self, bytes: usize) {
        self.held_bytes.fetch_sub(bytes, Ordering::SeqCst);
    }

    pub(super) fn set_spare(&self, bytes: usize) {
        self.spare_bytes.store(bytes, Ordering::Relaxed);
    }

    /// How many bytes of spares leave the share as it is.
    pub(super) fn room_for_spares(&self) -> usize {
        self.share_bytes.saturating_sub(self.held_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_is_raised_by_the_step_that_passes_it_and_not_before() {
        let memory = MemtableMemory::new(1000);
        memory.add(249);
        assert!(memory.is_open(), "a quarter is nothing to look at");
        memory.add(1);
        assert!(memory.is_alarmed());
        memory.set(Signal::Paced, 300);
        assert!(!memory.is_open() && !memory.is_alarmed());
        memory.set(Signal::Open, 300);
        memory.remove(200);
        memory.add(100);
        assert!(memory.is_open());
        memory.set(Signal::Open, 150);
        assert!(memory.is_alarmed(), "what was passed before it was set");
    }
}
