//! One key, one answer.

use crate::error::Result;
use crate::filter::key_hash;
use crate::iter::PinnedBytes;
use crate::key::{Kind, Sequence};
use crate::observe::{Counter, Counters};
use crate::sst::{Io, Lookup};
use crate::view::CollectionView;

/// What a lookup found.
pub enum Answer {
    /// No version, or a tombstone. `sequence` is the tombstone's, 0 without one.
    Absent {
        /// The tombstone's sequence.
        sequence: Sequence,
    },
    /// A value.
    Present {
        /// When it was written.
        sequence: Sequence,
        /// The value, pinned where it lies.
        value: PinnedBytes,
    },
    /// The answer lies on disk, and I/O was not allowed.
    WouldBlock,
}

/// Looks `key` up at `snapshot`. Each run that is looked into is counted.
#[inline]
pub fn get(view: &CollectionView, key: &[u8], snapshot: Sequence, io: Io, counters: &Counters) -> Result<Answer> {
    for memtable in view.memtables() {
        let mut version = (0, Kind::Delete);
        let found = PinnedBytes::find(memtable, |memtable| {
            let found = memtable.get(key, snapshot)?;
            version = (found.sequence, found.kind);
            Some(found.value)
        });
        if let Some(value) = found {
            let (sequence, kind) = version;
            return Ok(match kind {
                Kind::Put => Answer::Present { sequence, value },
                _ => Answer::Absent { sequence },
            });
        }
    }
    if view.runs.is_empty() {
        return Ok(Answer::Absent { sequence: 0 });
    }
    let hash = key_hash(key);
    for (visited, run) in view.runs.iter().enumerate() {
        if run.meta.smallest_sequence > snapshot || *key < *run.meta.smallest || *key > *run.meta.largest {
            continue;
        }
        match run.reader.bytes()?.get(key, hash, snapshot, io)? {
            Lookup::Absent => {}
            Lookup::WouldBlock => return Ok(Answer::WouldBlock),
            Lookup::Found { sequence, kind, value } => {
                counters.add(Counter::GetRunsVisited, visited as u64 + 1);
                return Ok(match kind {
                    Kind::Put => Answer::Present { sequence, value },
                    _ => Answer::Absent { sequence },
                });
            }
        }
    }
    counters.add(Counter::GetRunsVisited, view.runs.len() as u64);
    Ok(Answer::Absent { sequence: 0 })
}
