//! Tasks on threads, waits on condition variables, the clocks of the system, and the knowledge of being a forked child.

#![allow(unsafe_code)] // Signal masks, getentropy and the page that a fork wipes.

use super::pool::Pool;
use crate::env::{Bell, Next, Pooled, Runtime, Task, TaskHandle};
use crate::error::{Error, Result};
use crate::lock::Mutex;
use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The longest name that Linux shows for a thread.
const NAME_BYTES_MAX: usize = 15;

/// Real time, real randomness, real threads.
pub(super) struct PosixRuntime {
    origin: Instant,
    mark: Arc<ForkMark>,
}

impl PosixRuntime {
    pub(super) fn new() -> Self {
        Self { origin: Instant::now(), mark: Arc::new(ForkMark::new()) }
    }
}

impl Runtime for PosixRuntime {
    fn monotonic_nanos(&self) -> u64 {
        nanos(self.origin.elapsed())
    }

    fn unix_nanos(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos)
    }

    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        // SAFETY: the buffer is ours and 8 bytes long.
        if unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), bytes.len()) } == 0 {
            return u64::from_ne_bytes(bytes);
        }
        // A sandbox may forbid the call. Seeds and salts must differ from run to run, no more.
        use std::hash::{BuildHasher, Hasher};
        let mut hasher = std::hash::RandomState::new().build_hasher();
        hasher.write_u64(self.unix_nanos());
        hasher.write_u32(std::process::id());
        hasher.finish()
    }

    fn spawn(&self, name: &str, bell: Arc<Bell>, mut task: Box<dyn Task>) -> Result<Box<dyn TaskHandle>> {
        if name.len() > NAME_BYTES_MAX || name.contains('\0') {
            return Err(Error::invalid(format!(
                "a task name has at most {NAME_BYTES_MAX} bytes and no zero: {name:?}"
            )));
        }
        let done = Arc::new(AtomicBool::new(false));
        let ending = SetWhenDropped(done.clone());
        let run = move || {
            // Set when the task is gone, also when a step panicked.
            let _ending = ending;
            loop {
                let seen = bell.count();
                match task.step() {
                    Next::Again => {}
                    Next::Wait(timeout) => {
                        bell.block(seen, timeout);
                    }
                    Next::Done => break,
                }
            }
            drop(task);
        };
        let thread = start_thread(name, run)?;
        Ok(Box::new(ThreadHandle { thread: Mutex::new(Some(thread)), done, mark: self.mark.clone() }))
    }

    fn spawn_pooled(&self, pooled: Pooled, bell: Arc<Bell>, task: Box<dyn Task>) -> Result<Box<dyn TaskHandle>> {
        Ok(Box::new(Pool::current().add(pooled, bell, task)?))
    }

    fn wait(&self, bell: &Bell, seen: u64, timeout: Option<Duration>) -> bool {
        bell.block(seen, timeout)
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn forked(&self) -> bool {
        self.mark.forked()
    }
}

/// Starts a thread that blocks all signals.
pub(super) fn start_thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let spawned = {
        // The new thread inherits the mask, so it has it from its first instruction on.
        let _blocked = SignalsBlocked::new();
        std::thread::Builder::new().name(name.to_string()).spawn(run)
    };
    spawned.map_err(|cause| Error::io("starting a thread", Path::new(name), &cause))
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

struct SetWhenDropped(Arc<AtomicBool>);

impl Drop for SetWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A task's thread. Dropped without a join, the thread runs on.
struct ThreadHandle {
    thread: Mutex<Option<JoinHandle<()>>>,
    done: Arc<AtomicBool>,
    mark: Arc<ForkMark>,
}

impl TaskHandle for ThreadHandle {
    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    fn join(&self) {
        if self.mark.forked() {
            return; // The thread was not copied by the fork; waiting would never end.
        }
        // Held through the join: a second caller also returns only when the thread has ended.
        let mut slot = self.thread.lock();
        // A task that drops the last handle to what owns it would wait for itself.
        if slot.as_ref().is_some_and(|thread| thread.thread().id() == std::thread::current().id()) {
            return;
        }
        if let Some(thread) = slot.take() {
            // An error means that a step panicked: the task is over either way.
            let _ = thread.join();
        }
    }
}

impl Drop for ThreadHandle {
    fn drop(&mut self) {
        if self.mark.forked() {
            // There is no thread to detach in this process.
            std::mem::forget(self.thread.get_mut().take());
        }
    }
}

/// Blocks, while it lives, the signals of this thread, so that a thread started meanwhile never runs a handler of the host.
/// Faults that a thread itself raises stay deliverable: a crash reporter must see them.
struct SignalsBlocked {
    before: Option<libc::sigset_t>,
}

impl SignalsBlocked {
    fn new() -> Self {
        let mut blocked = MaybeUninit::<libc::sigset_t>::zeroed();
        let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: both sets are ours; the first is initialised by sigfillset before it is changed and used, the second is
        // filled by pthread_sigmask and read only if that succeeded.
        unsafe {
            libc::sigfillset(blocked.as_mut_ptr());
            for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS] {
                libc::sigdelset(blocked.as_mut_ptr(), fault);
            }
            let code = libc::pthread_sigmask(libc::SIG_SETMASK, blocked.as_ptr(), before.as_mut_ptr());
            Self { before: (code == 0).then(|| before.assume_init()) }
        }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // SAFETY: `before` was filled by pthread_sigmask on this thread.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
        }
    }
}

/// Tells a forked child from the process that made the mark.
pub(super) enum ForkMark {
    /// A page of our own that the kernel zeroes in every child: asking costs one load.
    #[cfg(target_os = "linux")]
    Page(*const AtomicBool),
    /// Without such pages: the process that made the mark, to be compared with the present one.
    Process(u32),
}

// SAFETY: the page is only read after it was made, atomically, and unmapped when nobody can read it any more.
unsafe impl Send for ForkMark {}
// SAFETY: as above.
unsafe impl Sync for ForkMark {}

/// One page is the least that can be mapped; the kernel rounds up where pages are larger.
#[cfg(target_os = "linux")]
const MARK_BYTES: usize = 4096;

impl ForkMark {
    pub(super) fn new() -> Self {
        #[cfg(target_os = "linux")]
        if let Ok(page) = wiped_page() {
            return Self::Page(page);
        }
        Self::Process(std::process::id())
    }

    pub(super) fn forked(&self) -> bool {
        match self {
            // SAFETY: the page is mapped for as long as the mark lives, readable and aligned.
            #[cfg(target_os = "linux")]
            Self::Page(page) => unsafe { !(**page).load(Ordering::Relaxed) },
            Self::Process(process) => std::process::id() != *process,
        }
    }
}

impl Drop for ForkMark {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if let Self::Page(page) = self {
            // SAFETY: the page was mapped by `wiped_page` with this length, and the only reference to it goes now.
            unsafe { libc::munmap(page.cast_mut().cast(), MARK_BYTES) };
        }
    }
}

/// A page that holds `true` here and zero, hence `false`, in every forked child.
#[cfg(target_os = "linux")]
fn wiped_page() -> io::Result<*const AtomicBool> {
    // SAFETY: a new private mapping at an address of the kernel's choice; it is written only after it was made, within its
    // length, and unmapped on the one path that does not hand it out.
    unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let address = libc::mmap(std::ptr::null_mut(), MARK_BYTES, protection, flags, -1, 0);
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        if libc::madvise(address, MARK_BYTES, libc::MADV_WIPEONFORK) != 0 {
            let cause = io::Error::last_os_error();
            libc::munmap(address, MARK_BYTES);
            return Err(cause);
        }
        let page = address.cast::<AtomicBool>();
        (*page).store(true, Ordering::Relaxed);
        Ok(page)
    }
}
