//! Bytes handed out where they lie, together with what keeps them there: a block of a table, a memtable.
//!
//! This is one of the modules allowed to use `unsafe`: a slice of an owner's memory is kept beside the owner. The one fact
//! relied on is that an [`Owner`]'s bytes neither move nor change while any clone of it lives.
#![allow(unsafe_code)]

use crate::key::Sequence;
use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// Keeps memory alive and in place. Cloning it is one atomic addition.
pub type Owner = Arc<dyn Any + Send + Sync>;

/// Bytes in memory that an [`Owner`] keeps alive: a value, without a copy. May outlive the database handle.
#[derive(Clone)]
pub struct PinnedBytes {
    owner: Option<Owner>,
    start: *const u8,
    len: usize,
}

// SAFETY: the bytes are immutable while the owner lives, and the owner is itself Send and Sync.
unsafe impl Send for PinnedBytes {}
// SAFETY: as above; a shared reference gives shared access to immutable bytes only.
unsafe impl Sync for PinnedBytes {}

impl PinnedBytes {
    /// Pins the bytes that `find` finds in `owner`.
    pub fn new<T: Any + Send + Sync>(owner: &Arc<T>, find: impl for<'a> FnOnce(&'a T) -> &'a [u8]) -> Self {
        let bytes = find(owner);
        Self { start: bytes.as_ptr(), len: bytes.len(), owner: Some(owner.clone()) }
    }

    /// Pins the bytes that `find` finds in `owner`, if it finds any.
    #[inline]
    pub fn find<T: Any + Send + Sync>(
        owner: &Arc<T>,
        find: impl for<'a> FnOnce(&'a T) -> Option<&'a [u8]>,
    ) -> Option<Self> {
        let bytes = find(owner)?;
        Some(Self { start: bytes.as_ptr(), len: bytes.len(), owner: Some(owner.clone()) })
    }

    /// Pins a copy.
    pub fn copied(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self { owner: None, start: std::ptr::NonNull::dangling().as_ptr(), len: 0 };
        }
        let owner: Arc<Vec<u8>> = Arc::new(bytes.to_vec());
        let (start, len) = (owner.as_ptr(), owner.len());
        Self { owner: Some(owner), start, len }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `find` in `new` borrowed the bytes from the owner for any lifetime that the owner has, `self.owner` keeps
        // it alive and shared, so the borrow still holds; without an owner the length is zero and the pointer is dangling
        // but aligned and non-null.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    /// What keeps them alive; `None` for the empty copy.
    pub fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }
}

impl Deref for PinnedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for PinnedBytes {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl std::fmt::Debug for PinnedBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PinnedBytes({} bytes)", self.len)
    }
}

impl PartialEq<[u8]> for PinnedBytes {
    fn eq(&self, other: &[u8]) -> bool {
        self.as_slice() == other
    }
}

/// Many entries at once: keys copied side by side, values pinned where they lie. What an iterator fills in one call.
#[derive(Default)]
pub struct EntryBatch {
    keys: Vec<u8>,
    entries: Vec<BatchEntry>,
    owners: Vec<Owner>,
}

/// A batch to which entries of one owner are added.
pub struct Pinning<'b, 'o> {
    /// It holds the owner.
    batch: &'b mut EntryBatch,
    /// Neither longer nor shorter than the owner's.
    lifetime: PhantomData<Cell<&'o [u8]>>,
}

impl<'o> Pinning<'_, 'o> {
    /// Adds an entry: a key in two parts, and a value of the owner's.
    #[inline]
    pub fn push(&mut self, key: [&[u8]; 2], sequence: Sequence, value: &'o [u8]) {
        let EntryBatch { keys, entries, .. } = &mut *self.batch;
        for part in key {
            if !part.is_empty() {
                keys.extend_from_slice(part);
            }
        }
        entries.push(BatchEntry { key_end: keys.len(), value: value.as_ptr(), value_len: value.len(), sequence });
    }

    /// How many entries the batch holds.
    #[inline]
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }
}

struct BatchEntry {
    key_end: usize,
    value: *const u8,
    value_len: usize,
    sequence: Sequence,
}

// SAFETY: the raw value pointers point into memory of `owners`, which are Send and Sync and immutable while they live.
unsafe impl Send for EntryBatch {}
// SAFETY: as above; shared access reads immutable bytes only.
unsafe impl Sync for EntryBatch {}

impl EntryBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of keys and values in it.
    pub fn payload_bytes(&self) -> usize {
        self.keys.len() + self.entries.iter().map(|entry| entry.value_len).sum::<usize>()
    }

    /// Forgets the entries and releases what they pinned; keeps its buffers.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.entries.clear();
        self.owners.clear();
    }

    /// Adds an entry whose value is what `find` finds in `owner`. Entries that follow each other and share an owner pin it once.
    pub fn push<T: Any + Send + Sync>(
        &mut self,
        key: &[u8],
        sequence: Sequence,
        owner: &Arc<T>,
        find: impl for<'a> FnOnce(&'a T) -> &'a [u8],
    ) {
        self.extend(owner, |owner, pinning| pinning.push([key, &[]], sequence, find(owner)));
    }

    /// Adds entries whose values lie in `owner`, as many as `add` pushes.
    #[inline]
    pub fn extend<T: Any + Send + Sync, R>(
        &mut self,
        owner: &Arc<T>,
        add: impl for<'o> FnOnce(&'o T, &mut Pinning<'_, 'o>) -> R,
    ) -> R {
        let address = Arc::as_ptr(owner).cast::<u8>();
        // One of two sources that take turns is pinned once, too.
        if !self.owners.iter().rev().take(2).any(|owner| Arc::as_ptr(owner).cast::<u8>() == address) {
            self.owners.push(owner.clone());
        }
        add(owner, &mut Pinning { batch: self, lifetime: PhantomData })
    }

    /// Adds an entry whose value is pinned already.
    pub fn push_pinned(&mut self, key: &[u8], sequence: Sequence, value: &PinnedBytes) {
        self.owners.extend(value.owner.clone());
        self.keys.extend_from_slice(key);
        self.entries.push(BatchEntry { key_end: self.keys.len(), value: value.start, value_len: value.len, sequence });
    }

    /// The key, the value and the sequence of the entry at `index`. Panics if there is none.
    pub fn get(&self, index: usize) -> (&[u8], &[u8], Sequence) {
        let entry = &self.entries[index];
        let key_start = if index == 0 { 0 } else { self.entries[index - 1].key_end };
        (&self.keys[key_start..entry.key_end], self.value(entry), entry.sequence)
    }

    fn value(&self, entry: &BatchEntry) -> &[u8] {
        // SAFETY: the value was borrowed from its owner for any lifetime that the owner has, and `self.owners` holds that
        // owner until `clear`, which needs a unique borrow.
        unsafe { std::slice::from_raw_parts(entry.value, entry.value_len) }
    }

    /// All entries in order: key, value.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut key_start = 0;
        self.entries.iter().map(move |entry| {
            let key = &self.keys[key_start..entry.key_end];
            key_start = entry.key_end;
            (key, self.value(entry))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_bytes_outlive_everything_but_their_owner() {
        let owner: Arc<Vec<u8>> = Arc::new(b"hello".to_vec());
        let pinned = PinnedBytes::new(&owner, |owner| &owner[1..3]);
        drop(owner);
        assert_eq!(&*pinned, b"el");
        assert_eq!(&*PinnedBytes::copied(b""), b"");
    }

    #[test]
    fn a_batch_gives_back_what_was_pushed() {
        let owner: Arc<Vec<u8>> = Arc::new(b"onetwo".to_vec());
        let mut batch = EntryBatch::new();
        batch.push(b"a", 7, &owner, |owner| &owner[..3]);
        batch.push(b"bb", 8, &owner, |owner| &owner[3..]);
        batch.push_pinned(b"c", 9, &PinnedBytes::copied(b""));
        drop(owner);
        assert_eq!(batch.get(0), (&b"a"[..], &b"one"[..], 7));
        assert_eq!(batch.get(1), (&b"bb"[..], &b"two"[..], 8));
        assert_eq!(batch.get(2), (&b"c"[..], &b""[..], 9));
        assert!(batch.iter().eq([(&b"a"[..], &b"one"[..]), (b"bb", b"two"), (b"c", b"")]));
        assert_eq!(batch.payload_bytes(), 10);
        assert_eq!(batch.owners.len(), 1, "neighbours with one owner pin it once");
    }

    #[test]
    fn a_batch_pins_two_owners_that_take_turns_once_each() {
        let (one, other) = (Arc::new(b"1".to_vec()), Arc::new(b"22".to_vec()));
        let mut batch = EntryBatch::new();
        for turn in 0..10u8 {
            batch.extend(if turn.is_multiple_of(2) { &one } else { &other }, |owner, pinning| {
                pinning.push([b"k", &[b'0' + turn]], 1, owner);
                pinning.push([b"", b""], 2, &owner[1..]);
                assert_eq!(pinning.len(), 2 * usize::from(turn) + 2);
            });
        }
        assert_eq!(batch.owners.len(), 2);
        drop((one, other));
        assert_eq!(batch.get(18), (&b"k9"[..], &b"22"[..], 1));
        assert_eq!(batch.get(19), (&b""[..], &b"2"[..], 2));
        batch.clear();
        assert!(batch.owners.is_empty() && batch.is_empty());
    }
}
