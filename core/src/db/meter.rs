//! How far a call that takes long is, in bytes: told to who asked for it, and who may end it.
//!
//! Called by the verbs that read or copy many files. Promises: what is told never falls; within a file that is copied, and within a log,
//! it is told after each MiB, elsewhere after each file.

use crate::error::Result;

/// Bytes that pass between two tellings, where no file ends.
pub(super) const STEP_BYTES: usize = 1 << 20;

/// Counts the bytes of a call. `told` hears how many are done, of how many; an error of its is the end of the call.
pub(super) struct Meter<'a> {
    told: &'a mut dyn FnMut(u64, u64) -> Result<()>,
    done: u64,
    total: u64,
    untold: usize,
}

impl<'a> Meter<'a> {
    /// A call of `total` bytes, which begins.
    pub fn begin(told: &'a mut dyn FnMut(u64, u64) -> Result<()>, total: u64) -> Result<Self> {
        told(0, total)?;
        Ok(Self { told, done: 0, total, untold: 0 })
    }

    /// How many bytes are done.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Tells that so many bytes are done, or as many as before if those are more.
    pub fn reach(&mut self, done: u64) -> Result<()> {
        self.done = self.done.max(done.min(self.total));
        self.untold = 0;
        (self.told)(self.done, self.total)
    }

    /// Counts `bytes`, up to `limit` in all, and tells if a step is full.
    pub fn pass(&mut self, bytes: usize, limit: u64) -> Result<()> {
        self.done = self.done.max((self.done + bytes as u64).min(limit).min(self.total));
        self.untold += bytes;
        if self.untold < STEP_BYTES { Ok(()) } else { self.reach(self.done) }
    }
}
