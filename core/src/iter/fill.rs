//! What a batch may be filled with by one cursor alone, many entries at once.
//!
//! Made by `read`, handed down through merges to what they merge, each of which narrows it. Where the keys of two sources do not interleave,
//! entries go from a source to the batch without a look at the others; where they do, one comparison a stretch decides.

use super::EntryBatch;
use crate::key::Sequence;

/// A batch, and what may be added to it.
pub struct Fill<'a> {
    /// What is filled.
    pub batch: &'a mut EntryBatch,
    /// With so many entries it is full.
    pub limit: usize,
    /// Or when so many bytes of keys and values were added; the entry that reaches this is the last.
    pub bytes_left: usize,
    /// Where it ends; `None`: where the cursor does.
    pub until: Option<Until<'a>>,
    /// What is to be seen: of each key the newest version at or below this, unless that is a delete.
    pub snapshot: Sequence,
    /// Towards greater keys, or towards lesser ones.
    pub forward: bool,
}

/// A key that ends a stretch.
#[derive(Debug, Clone, Copy)]
pub struct Until<'a> {
    /// The first key beyond, or the last within.
    pub key: &'a [u8],
    /// Whether the key itself is within.
    pub included: bool,
}

impl Until<'_> {
    /// Whether `key` is beyond.
    #[inline]
    pub fn is_past(&self, key: &[u8], forward: bool) -> bool {
        match key.cmp(self.key) {
            std::cmp::Ordering::Equal => !self.included,
            order => (order == std::cmp::Ordering::Greater) == forward,
        }
    }
}

impl Fill<'_> {
    /// Whether one more entry may be added.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.batch.len() < self.limit && self.bytes_left > 0
    }

    /// Lets `add` fill the same batch with what comes before `rival` too.
    #[inline]
    pub fn before<R>(&mut self, rival: &[u8], add: impl FnOnce(&mut Fill<'_>) -> R) -> R {
        let until = match self.until {
            Some(until) if until.is_past(rival, self.forward) => until,
            _ => Until { key: rival, included: false },
        };
        let Self { limit, bytes_left, snapshot, forward, .. } = *self;
        let mut narrowed = Fill { batch: self.batch, limit, bytes_left, until: Some(until), snapshot, forward };
        let result = add(&mut narrowed);
        self.bytes_left = narrowed.bytes_left;
        result
    }
}
