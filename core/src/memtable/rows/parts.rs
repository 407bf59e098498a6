//! A list that one thread appends to and any number read meanwhile, without waiting: chunks that never move.

use crate::atomic::{AtomicUsize, Ordering};
use crate::error::{Error, ErrorKind, Result};
use std::sync::OnceLock;

/// Items in the first chunk; each further one holds twice as many.
const FIRST_CHUNK_LEN: usize = 16;

/// 16 * (2^28 - 1) items: more than 32 bits count.
const CHUNKS_MAX: usize = 28;

type Chunk<T> = Box<[OnceLock<T>]>;

pub(super) struct Published<T> {
    chunks: [OnceLock<Chunk<T>>; CHUNKS_MAX],
    len: AtomicUsize,
}

fn place(index: usize) -> (usize, usize) {
    let chunk = (index / FIRST_CHUNK_LEN + 1).ilog2() as usize;
    (chunk, index - FIRST_CHUNK_LEN * ((1 << chunk) - 1))
}

impl<T> Published<T> {
    pub fn new() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNKS_MAX], len: AtomicUsize::new(0) }
    }

    /// How many items there are; all of them are visible to whoever got this number.
    #[inline]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// The item at `index`; `None` if there is none yet.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        let (chunk, at) = place(index);
        self.chunks.get(chunk)?.get()?.get(at)?.get()
    }

    /// Makes room for `count` further items and returns the bytes that this took. Requires: called by the writer.
    pub fn reserve(&self, count: usize) -> Result<usize> {
        let len = self.len();
        let mut bytes = 0;
        let last = len.checked_add(count.max(1) - 1).map(|last| place(last).0).filter(|&chunk| chunk < CHUNKS_MAX);
        let Some(last) = last else { return Err(no_memory()) };
        for (chunk, slot) in self.chunks.iter().enumerate().take(last + 1).skip(place(len).0) {
            if slot.get().is_none() {
                let items = FIRST_CHUNK_LEN << chunk;
                let mut fresh = Vec::new();
                fresh.try_reserve_exact(items).map_err(|_| no_memory())?;
                fresh.resize_with(items, OnceLock::new);
                bytes += items * size_of::<OnceLock<T>>();
                let _ = slot.set(fresh.into_boxed_slice());
            }
        }
        Ok(bytes)
    }

    /// Appends an item. Requires: called by the writer. Panics if not reserved.
    pub fn push(&self, item: T) {
        let len = self.len.load(Ordering::Relaxed);
        let (chunk, at) = place(len);
        let stored = self.chunks[chunk].get().map(|chunk| chunk[at].set(item).is_ok());
        assert_eq!(stored, Some(true), "a part was not reserved");
        self.len.store(len + 1, Ordering::Release);
    }
}

fn no_memory() -> Error {
    Error::new(ErrorKind::NoMemory, "a memtable cannot hold that many batches of rows")
}
