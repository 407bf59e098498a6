//! What the database notices of its disk: how long it takes, and how much room it has left.
//!
//! Called by `env::timed`, from whatever thread waits for the disk and under the locks that it holds, and by background jobs that have
//! ended. Only tells: an event never blocks, and nothing is decided here.

use super::core::Core;
use super::options::Options;
use crate::env::timed::Watch;
use crate::env::{Call, Env, FileSystem, Runtime};
use crate::lock::Mutex;
use crate::observe::{Event, EventKind, EventQueue, Timed, Timings};
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// A disk that is slow is slow for a while: of the calls in so long a time one is told.
const SLOW_PAUSE: Duration = Duration::from_secs(10);

/// How long nothing more is told of a disk that stays nearly full.
const LOW_PAUSE: Duration = Duration::from_secs(60);

/// Listens to the file system.
pub(super) struct DiskWatch {
    pub timings: Arc<Timings>,
    runtime: Arc<dyn Runtime>,
    /// Option `slow_disk_millis`; 0: nothing is slow.
    slow_nanos: u64,
    /// Option `low_disk_bytes`; 0: nothing is low.
    low_bytes: u64,
    /// Once there is a queue: what opening does before is timed, and not told. The queue's own files lead here.
    events: OnceLock<Weak<EventQueue>>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// No slow call is told before this moment (monotonic nanoseconds).
    slow_again_at: u64,
    /// Slow calls since the last that was told.
    slow_untold: u64,
    /// A disk that is low is not told again before this moment.
    low_again_at: u64,
}

impl DiskWatch {
    pub fn new(env: &Env, options: &Options) -> Arc<Self> {
        Arc::new(Self {
            timings: Timings::new(env.runtime.clone()),
            runtime: env.runtime.clone(),
            slow_nanos: options.slow_disk_nanos(),
            low_bytes: options.low_disk_bytes(),
            events: OnceLock::new(),
            told: Mutex::default(),
        })
    }

    /// From now on events go there.
    pub fn tell(&self, events: &Arc<EventQueue>) {
        let _ = self.events.set(Arc::downgrade(events));
    }

    fn events(&self) -> Option<Arc<EventQueue>> {
        self.events.get()?.upgrade()
    }

    #[cold]
    fn slow(&self, call: Call, path: &Path, bytes: u64, nanos: u64) {
        let Some(events) = self.events() else { return };
        let mut told = self.told.lock();
        let now = self.runtime.monotonic_nanos();
        if now < told.slow_again_at {
            told.slow_untold += 1;
            return;
        }
        told.slow_again_at = now + SLOW_PAUSE.as_nanos() as u64;
        let untold = std::mem::take(&mut told.slow_untold);
        drop(told);
        let doing = if call == Call::Write { "write" } else { "fsync" };
        events.push(Event {
            entries: untold,
            bytes,
            micros: nanos / 1000,
            detail: format!("{doing} {}", path.display()),
            ..Event::new(EventKind::SlowDisk)
        });
    }

    /// Tells if there is less room than the option says in one of these directories.
    fn look_at_space<'p>(&self, files: &dyn FileSystem, directories: impl IntoIterator<Item = &'p Path>) {
        let Some(events) = self.events().filter(|_| self.low_bytes > 0) else { return };
        let free = directories.into_iter().filter_map(|dir| Some((files.free_bytes(dir)?, dir)));
        let least = free.min().filter(|(bytes, _)| *bytes < self.low_bytes);
        let mut told = self.told.lock();
        let Some((bytes, directory)) = least else {
            told.low_again_at = 0;
            return;
        };
        let now = self.runtime.monotonic_nanos();
        if now < told.low_again_at {
            return;
        }
        told.low_again_at = now + LOW_PAUSE.as_nanos() as u64;
        drop(told);
        events.push(Event {
            bytes,
            detail: format!("{bytes} bytes are free for {}, less than {}", directory.display(), self.low_bytes),
            ..Event::new(EventKind::LowDisk)
        });
    }
}

impl Watch for DiskWatch {
    fn took(&self, call: Call, path: &Path, bytes: u64, nanos: u64) {
        if matches!(call, Call::SyncData | Call::SyncDir) {
            self.timings.record(Timed::Fsync, nanos);
        }
        if self.slow_nanos != 0 && nanos >= self.slow_nanos {
            self.slow(call, path, bytes, nanos);
        }
    }
}

impl Core {
    /// Tells if the disk is nearly full. Called when a job has written a file, or could not.
    pub(super) fn look_at_space(&self) {
        let log = self.options.wal_dir();
        self.disk.look_at_space(&*self.env.files, [self.path.as_path()].into_iter().chain(log.as_deref()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Next;
    use crate::env::executor::SeededRuntime;
    use crate::env::mem::MemFileSystem;

    #[test]
    fn slow_calls_are_told_one_in_ten_seconds_and_counted() {
        let env = Env { files: MemFileSystem::new(), runtime: SeededRuntime::new(1) };
        let options = Options::new().with("slow_disk_millis", "20").unwrap();
        let watch = DiskWatch::new(&env, &options);
        let heard: Arc<Mutex<Vec<Event>>> = Arc::default();
        let into = heard.clone();
        let listener = Arc::new(move |event: &Event| into.lock().push(event.clone()));
        let queue = EventQueue::new(env.clone(), None, Some(listener), None);
        watch.tell(&queue);
        let took = |call, millis: u64| watch.took(call, Path::new("/db/file"), 7000, millis * 1_000_000);
        took(Call::SyncData, 19);
        took(Call::Write, 20);
        took(Call::SyncData, 30);
        took(Call::SyncDir, 40);
        env.runtime.sleep(SLOW_PAUSE);
        took(Call::SyncData, 50);
        let (_, mut task) = queue.dispatcher().unwrap();
        while task.step() == Next::Again {}
        let events = heard.lock();
        let told: Vec<_> = events.iter().map(|event| (event.micros, event.entries, event.detail.as_str())).collect();
        assert_eq!(told, [(20_000, 0, "write /db/file"), (50_000, 2, "fsync /db/file")]);
        assert!(events.iter().all(|event| event.kind == EventKind::SlowDisk && event.bytes == 7000));
        assert_eq!(watch.timings.summary(Timed::Fsync).count, 4);
    }
}
