//! Looking keys up: one, many, into a buffer, without touching the disk.

use super::{ColumnFamily, Db, Snapshot};
use crate::error::{Error, Result};
use crate::iter::PinnedBytes;
use crate::key::Sequence;
use crate::observe::Timed;
use crate::read::{self, Answer};
use crate::sst::Io;

/// How a read is made.
#[derive(Clone, Copy, Default)]
pub struct ReadOptions<'a> {
    /// What to see; `None`: the present.
    pub snapshot: Option<&'a Snapshot>,
}

impl Db {
    #[inline]
    fn look_up(&self, family: &ColumnFamily, key: &[u8], options: &ReadOptions<'_>, io: Io) -> Result<Answer> {
        let core = &self.handle.core;
        core.check()?;
        self.check_family(family)?;
        self.check_snapshot(options)?;
        let began = core.timings.begin();
        if options.snapshot.is_some_and(|snapshot| snapshot.view().is_some()) {
            let (view, sequence) = core.pin_at(family.id(), options.snapshot)?;
            let answer = read::get(&view, key, sequence, io, &core.counters);
            core.timings.end(Timed::Get, began);
            return answer;
        }
        let snapshot = options.snapshot.map(Snapshot::sequence);
        // What lies in memory is read inside the epoch; for I/O the view is counted and the epoch left.
        // Here and in the callers an answer is looked at where it lies: to move it on costs more than to find it.
        let quick = core.with_view(|view, visible| {
            read::get(view.find(family.id())?, key, snapshot.unwrap_or(visible), Io::CacheOnly, &core.counters)
        });
        if !matches!(quick, Ok(Answer::WouldBlock)) || matches!(io, Io::CacheOnly) {
            core.timings.end(Timed::Get, began);
            return quick;
        }
        let (view, visible) = core.pin(family.id())?;
        let answer = read::get(&view, key, snapshot.unwrap_or(visible), Io::Allowed, &core.counters);
        core.timings.end(Timed::Get, began);
        answer
    }

    #[inline]
    pub(super) fn check_snapshot(&self, options: &ReadOptions<'_>) -> Result<()> {
        match options.snapshot {
            Some(snapshot) if !snapshot.belongs_to(&self.handle) => {
                Err(Error::invalid("the snapshot belongs to another database"))
            }
            _ => Ok(()),
        }
    }

    /// The value of `key`, pinned where it lies, without a copy.
    pub fn get(&self, family: &ColumnFamily, key: &[u8], options: &ReadOptions<'_>) -> Result<Option<PinnedBytes>> {
        match self.look_up(family, key, options, Io::Allowed) {
            Ok(Answer::Present { value, .. }) => Ok(Some(value)),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The value of `key`, and the sequence at which it was written.
    pub fn get_with_sequence(
        &self,
        family: &ColumnFamily,
        key: &[u8],
        options: &ReadOptions<'_>,
    ) -> Result<Option<(PinnedBytes, Sequence)>> {
        match self.look_up(family, key, options, Io::Allowed) {
            Ok(Answer::Present { value, sequence }) => Ok(Some((value, sequence))),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Copies the value of `key` into `buffer` if it fits, and gives its length either way: compare it with the buffer's.
    pub fn get_into(
        &self,
        family: &ColumnFamily,
        key: &[u8],
        buffer: &mut [u8],
        options: &ReadOptions<'_>,
    ) -> Result<Option<usize>> {
        match self.look_up(family, key, options, Io::Allowed) {
            Ok(Answer::Present { ref value, .. }) => {
                if let Some(target) = buffer.get_mut(..value.len()) {
                    target.copy_from_slice(value);
                }
                Ok(Some(value.len()))
            }
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The value of `key` if that can be told without the disk; the outer `None` means that it cannot.
    pub fn try_get_resident(
        &self,
        family: &ColumnFamily,
        key: &[u8],
        options: &ReadOptions<'_>,
    ) -> Result<Option<Option<PinnedBytes>>> {
        Ok(match self.look_up(family, key, options, Io::CacheOnly)? {
            Answer::Present { value, .. } => Some(Some(value)),
            Answer::Absent { .. } => Some(None),
            Answer::WouldBlock => None,
        })
    }

    /// Whether `key` has a value.
    pub fn contains(&self, family: &ColumnFamily, key: &[u8], options: &ReadOptions<'_>) -> Result<bool> {
        self.look_up(family, key, options, Io::Allowed).map(|answer| matches!(answer, Answer::Present { .. }))
    }

    /// The values of many keys, in the order of the keys, all as of one moment. The first error ends the call.
    pub fn multi_get(
        &self,
        family: &ColumnFamily,
        keys: &[&[u8]],
        options: &ReadOptions<'_>,
    ) -> Result<Vec<Option<PinnedBytes>>> {
        let core = &self.handle.core;
        core.check()?;
        self.check_family(family)?;
        self.check_snapshot(options)?;
        let (view, snapshot) = core.pin_at(family.id(), options.snapshot)?;
        read::get_many(&view, keys, snapshot, &core.counters)
    }
}
