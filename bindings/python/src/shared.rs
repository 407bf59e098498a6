//! What the Python objects of one open database share, and how it ends: by close, by the last reference, at the exit of the
//! interpreter, or not at all in a forked child.

use crate::events::{self, Listener};
use pyo3::prelude::*;
use sstore::{CloseOptions, Db};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A thing of the engine that a forked child must not take apart: the threads that it would wait for are not there.
pub(crate) struct Owned<T> {
    /// None only while it is dropped.
    value: Option<T>,
    process: u32,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Some(value), process: std::process::id() }
    }

    fn take(&mut self) -> Option<T> {
        let value = self.value.take()?;
        if self.process == std::process::id() {
            return Some(value);
        }
        std::mem::forget(value);
        None
    }

    /// The thing, for changing it.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.value.as_mut().unwrap_or_else(|| unreachable!("taken only by drop"))
    }
}

impl<T> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().unwrap_or_else(|| unreachable!("taken only by drop"))
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.take();
    }
}

/// One open database. Every Python object that keeps it open has one of these as its last field, after what it has of the
/// engine: so the last thing to go is always this, and a close never runs with the interpreter lock held.
pub(crate) struct Shared {
    db: Owned<Db>,
    /// Whether a write that does not say waits for the kernel only.
    pub(crate) buffered: bool,
    pub(crate) listener: Option<Arc<Listener>>,
}

/// What may have to be closed when the interpreter ends. Locked only with the interpreter lock held and for a moment.
static OPENED: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

impl Shared {
    pub(crate) fn new(db: Db, buffered: bool, listener: Option<Arc<Listener>>) -> Arc<Self> {
        let shared = Arc::new(Self { db: Owned::new(db), buffered, listener });
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|weak| weak.strong_count() > 0);
        opened.push(Arc::downgrade(&shared));
        shared
    }

    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// Whether this process is a child of the one that opened the database.
    pub(crate) fn is_forked(&self) -> bool {
        self.db.process != std::process::id()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        if events::in_callback() {
            // Closing waits for the thread that delivers events, which is this one.
            std::thread::spawn(move || drop(db));
            return;
        }
        // Closing may flush, and its events need the interpreter lock.
        Python::try_attach(|py| py.detach(move || drop(db)));
    }
}

/// Closes what is still open. Failures have nobody left to go to; the log keeps what a flush could not write.
pub(crate) fn close_all(py: Python<'_>) {
    let opened = std::mem::take(&mut *OPENED.lock().unwrap_or_else(PoisonError::into_inner));
    for shared in opened.iter().filter_map(Weak::upgrade) {
        if !shared.is_forked() && !shared.db.is_closed() {
            let _ = py.detach(|| shared.db.close(&CloseOptions { force: true, ..CloseOptions::default() }));
        }
    }
    events::stop();
}
