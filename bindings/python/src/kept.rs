//! Files that must keep their names while Python works with them: those of splits, and those that `live_files` tells of.

use crate::shared::Owned;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use sstore::LiveFiles;
use std::sync::{Mutex, PoisonError};

/// Keeps files until it is closed or dropped. Does not keep the database open. Any thread may use it.
pub(crate) struct Kept(Mutex<Option<Owned<LiveFiles>>>);

impl Kept {
    pub(crate) fn new(files: LiveFiles) -> Self {
        Self(Mutex::new(Some(Owned::new(files))))
    }

    /// Lets go of them. What waited for that is deleted.
    pub(crate) fn close(&self, py: Python<'_>) {
        let files = self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner).take();
        py.detach(move || drop(files));
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let files = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if files.is_some() {
            // Deleting files is no work to do with the interpreter lock held.
            Python::try_attach(|py| py.detach(move || drop(files)));
        }
    }
}
