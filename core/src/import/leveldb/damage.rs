//! What happens at damage: an error, or, if the caller wants what is left, a count.
//!
//! Used by every reader of this room. Promises: only damage is ever skipped; what the system refuses, and a cancel, end the import.

use super::super::progress::Meter;
use crate::error::{Error, ErrorKind, Result};
use std::cell::{Cell, RefCell};

/// The first so many damaged places are told one by one.
const TOLD_MAX: usize = 100;

/// What all readers of one import share.
pub struct Reading<'a> {
    /// How far it is.
    pub meter: Meter<'a>,
    skip: bool,
    places: Cell<u64>,
    bytes: Cell<u64>,
    told: RefCell<Vec<Error>>,
}

impl<'a> Reading<'a> {
    /// A reading that refuses damage, or skips it.
    pub fn new(meter: Meter<'a>, skip: bool) -> Self {
        Self { meter, skip, places: Cell::new(0), bytes: Cell::new(0), told: RefCell::default() }
    }

    /// Something failed that concerns `bytes` of a file. Ok if it is damage, and to be skipped.
    pub fn skip(&self, error: Error, bytes: u64) -> Result<()> {
        if !self.skip || error.kind() != ErrorKind::Corruption {
            return Err(error);
        }
        self.places.set(self.places.get() + 1);
        self.bytes.set(self.bytes.get().saturating_add(bytes));
        let mut told = self.told.borrow_mut();
        if told.len() < TOLD_MAX {
            told.push(error);
        }
        Ok(())
    }

    /// How many places were skipped, their bytes, and the first of them.
    pub fn skipped(&self) -> (u64, u64, Vec<Error>) {
        (self.places.get(), self.bytes.get(), self.told.borrow().clone())
    }
}
