//! The log's length limit, and who holds its oldest segment.
//!
//! The limit binds with one family as with many, because segments are at most a quarter of it: what makes the log too long does not lie
//! in the active segment alone. No writer ever waits for it.

use super::Db;
use super::core::Core;
use crate::error::Result;
use crate::key::{CollectionId, FileNumber, Sequence};
use crate::observe::{Counter, FlushReason};
use crate::view::View;

/// Who needs the oldest record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPin {
    /// The column family or table that holds it in a memtable.
    pub collection: String,
    /// Its sequence.
    pub sequence: Sequence,
    /// The segment that it lies in: the oldest one that is needed.
    pub segment: FileNumber,
    /// Whether it is frozen already, and on its way to a file.
    pub is_frozen: bool,
}

struct Oldest {
    sequence: Sequence,
    collection: CollectionId,
    is_frozen: bool,
}

impl Core {
    fn oldest_logged(&self, view: &View) -> Option<Oldest> {
        let logged = |id: CollectionId| self.collection(id).is_some_and(|collection| collection.options.logged());
        let memtables = view.collections().iter().flat_map(|part| {
            let of = |sequence: Option<Sequence>, is_frozen| {
                sequence.map(|sequence| Oldest { sequence, collection: part.collection, is_frozen })
            };
            let frozen = part.frozen.last().and_then(|oldest| of(oldest.memtable.first_sequence(), true));
            frozen.or(of(part.active.first_sequence(), false))
        });
        let mut oldest: Vec<Oldest> = memtables.collect();
        oldest.sort_unstable_by_key(|oldest| oldest.sequence);
        oldest.into_iter().find(|oldest| logged(oldest.collection))
    }

    /// Freezes the memtable that holds the oldest log segment when the log is too long.
    pub(super) fn bound_log(&self) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        if log.total_bytes() <= self.options.wal_total_bytes() {
            return Ok(());
        }
        let mut state = self.commit.lock()?;
        let Some(oldest) = self.oldest_logged(&self.current_view()) else { return Ok(()) };
        let floor = log.floor_for(oldest.sequence);
        let is_closed = log.segments().iter().any(|segment| segment.number == floor && !segment.active);
        // What is frozen is on its way. When it has arrived this is looked at again.
        if is_closed && !oldest.is_frozen {
            self.freeze(&mut state, oldest.collection, FlushReason::LogFull)?;
            self.counters.add(Counter::LogFreezes, 1);
        }
        Ok(())
    }
}

impl Db {
    /// Who needs the oldest record of the log, and so the oldest segment; `None` if all that was logged is in files.
    pub fn log_pin(&self) -> Option<LogPin> {
        let core = &self.handle.core;
        let oldest = core.oldest_logged(&core.current_view())?;
        Some(LogPin {
            collection: core.collection(oldest.collection)?.name.clone(),
            sequence: oldest.sequence,
            segment: core.log.as_ref()?.floor_for(oldest.sequence),
            is_frozen: oldest.is_frozen,
        })
    }
}
