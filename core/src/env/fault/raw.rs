//! Calls of the kernel that are interrupted or cut short on demand, below `env::posix`. Used by tests on real files.
//!
//! Promises that a call is interrupted before it does anything, and that of a short one as much is done as it says.

use crate::env::posix::{Kernel, RawCalls};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawEffect {
    /// A signal comes first: EINTR.
    Interrupted,
    /// A read or a write handles at most so many bytes. Of a write that may be 0; of a read 0 would be the end of the file.
    Short(usize),
}

/// The calls of the kernel, some of them hit. Clones share what they count.
#[derive(Debug, Clone)]
pub struct RawFaults(Arc<State>);

#[derive(Debug)]
struct State {
    effect: Option<RawEffect>,
    /// The calls that are hit: from `first` on each `step`th; 0: only the first.
    first: u64,
    step: u64,
    calls: AtomicU64,
    hits: AtomicU64,
}

impl RawFaults {
    fn new(effect: Option<RawEffect>, first: u64, step: u64) -> Self {
        Self(Arc::new(State { effect, first, step, calls: AtomicU64::new(0), hits: AtomicU64::new(0) }))
    }

    /// Hits nothing, and counts.
    pub fn none() -> Self {
        Self::new(None, 0, 0)
    }

    /// Hits the call of this index, once.
    pub fn once(index: u64, effect: RawEffect) -> Self {
        Self::new(Some(effect), index, 0)
    }

    /// Hits each `step`th call, the first one included. A call that is interrupted is made again, so that `step` 1 would have no end there.
    pub fn each(step: u64, effect: RawEffect) -> Self {
        Self::new(Some(effect), 0, step)
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// How many of them were hit.
    pub fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::Relaxed)
    }

    /// How much of `len` this call may handle.
    fn allowance(&self, len: usize) -> io::Result<usize> {
        let State { effect, first, step, calls, hits } = &*self.0;
        let index = calls.fetch_add(1, Ordering::Relaxed);
        let is_hit = match index.checked_sub(*first) {
            Some(0) => true,
            Some(since) => *step > 0 && since % step == 0,
            None => false,
        };
        let Some(effect) = effect.filter(|_| is_hit) else { return Ok(len) };
        hits.fetch_add(1, Ordering::Relaxed);
        match effect {
            RawEffect::Interrupted => Err(io::Error::from_raw_os_error(libc::EINTR)),
            RawEffect::Short(bytes) => Ok(bytes.min(len)),
        }
    }
}

impl RawCalls for RawFaults {
    fn read(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let len = self.allowance(buffer.len())?;
        Kernel.read(file, &mut buffer[..len.max(1)], offset)
    }

    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let len = self.allowance(bytes.len())?;
        Kernel.write(file, &bytes[..len], offset)
    }

    fn reserve(&self, file: &File, len: u64) -> io::Result<bool> {
        self.allowance(0)?;
        Kernel.reserve(file, len)
    }
}
