//! Closing: no new writes, what must be flushed is flushed, the log gets its clean end, threads end, the lock is released.

use super::Db;
use super::core::{CLOSED, CLOSING, Core, OPEN, closed};
use crate::error::{Error, ErrorKind, Result};
use crate::key::CollectionId;
use crate::observe::FlushReason;
use crate::version::VersionEdit;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How a database is closed.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloseOptions {
    /// Whether memtables are flushed; `None`: the option `flush_on_close`. What is logged is safe either way; families without a
    /// log are flushed in any case.
    pub flush: Option<bool>,
    /// How long the flush may take before the call fails with TimedOut and the database stays open; `None`: as long as it takes.
    pub timeout: Option<Duration>,
    /// Close although iterators or snapshots are open. They answer Closed from then on, and pinned values stay readable.
    pub force: bool,
}

/// What is open besides handles to the database and its families.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenObjects {
    /// Iterators.
    pub iterators: u64,
    /// Snapshots.
    pub snapshots: u64,
}

impl Db {
    /// What is open besides handles to the database and its families.
    pub fn open_objects(&self) -> OpenObjects {
        self.handle.core.open_objects()
    }

    /// Closes the database. With iterators or snapshots open, and without `force`, the call fails with Busy, says what is open,
    /// and changes nothing. After an error of the final flush, or of the manifest's last edit, the database is closed all the same,
    /// unless the error is TimedOut: everything logged is safe. Every later call answers Closed, and so does an import under way. A listener or
    /// logger of the database cannot close it, nor can what an import calls: InvalidArgument.
    pub fn close(&self, options: &CloseOptions) -> Result<()> {
        self.handle.core.check()?;
        if self.handle.core.events.is_calling() {
            return Err(Error::invalid("a listener cannot close the database that calls it"));
        }
        #[cfg(feature = "leveldb")]
        if self.handle.core.is_filling() {
            return Err(Error::invalid("an import cannot close the database that it writes to"));
        }
        self.handle.core.shut_down(options)
    }
}

impl Core {
    fn open_objects(&self) -> OpenObjects {
        OpenObjects { iterators: self.iterators.load(Ordering::Relaxed), snapshots: self.snapshots.count() }
    }

    /// Closes; see [`Db::close`].
    pub(super) fn shut_down(&self, options: &CloseOptions) -> Result<()> {
        let open = self.open_objects();
        if !options.force && open != OpenObjects::default() {
            return Err(Error::new(
                ErrorKind::Busy,
                format!("still open: {} iterators, {} snapshots", open.iterators, open.snapshots),
            ));
        }
        if self.state.compare_exchange(OPEN, CLOSING, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return Err(closed());
        }
        let mut result = Ok(());
        // They see that the database is closed, and end.
        #[cfg(feature = "leveldb")]
        self.wait_for_ingests();
        if !self.read_only {
            result = self.last_flush(options);
            if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::TimedOut) {
                self.state.store(OPEN, Ordering::SeqCst);
                return result;
            }
        }
        let ended = self.end();
        result.and(ended)
    }

    fn last_flush(&self, options: &CloseOptions) -> Result<()> {
        let all = options.flush.unwrap_or_else(|| self.options.flush_on_close());
        let token = {
            // From here on no writer gets past its look at the state, which it takes under this lock.
            let mut state = self.commit.lock()?;
            if self.health.is_poisoned() {
                return Ok(());
            }
            let ids: Vec<CollectionId> =
                state.active.iter().filter(|active| all || !active.logged).map(|active| active.collection).collect();
            self.begin_flush(&mut state, &ids, FlushReason::Close, false)?
        };
        // Here as well as in the background, whose threads may be busy with other databases. With a timeout a wait has to end in time.
        while options.timeout.is_none()
            && let Some(job) = self.take_flush()
        {
            self.run_flush(job);
        }
        token.wait(&self.env, options.timeout).map(drop)
    }

    /// Ends the tasks, the log and the lock. The first error is told; everything is tried.
    fn end(&self) -> Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        self.work.ring();
        self.pool.stop_preparing();
        if let Some(log) = &self.log {
            log.stop();
        }
        self.jobs.lock().fail_all(&closed());
        self.progress.ring();
        self.end_delays(&mut self.pacer.lock());
        let tasks = std::mem::take(&mut *self.tasks.lock());
        self.events.stop();
        for task in &tasks {
            task.join();
        }
        let mut result = Ok(());
        let log = self.commit.lock_for_close().log.take();
        if let Some(mut log) = log
            && !self.health.is_poisoned()
        {
            // Only once the END record is durable: the edit says how long the log is, so that a shorter one is found out.
            result = log.close().and_then(|()| self.append_edit(&mut self.install.lock(), VersionEdit::new()));
        }
        self.install.lock().manifest = None;
        self.state.store(CLOSED, Ordering::SeqCst);
        *self.file_lock.lock() = None;
        self.progress.ring();
        result
    }
}
