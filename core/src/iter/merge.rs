//! Many sorted sources as one.
//!
//! Called by flush with memtable cursors, by compaction with table cursors, by reads with either. A loser tree over the first
//! eight bytes of each source's key decides with one comparison a level; whole keys are looked at only where those agree.
//! While one source keeps winning, only the second best is compared with it. Promises: internal order over all sources; of
//! equal entries the earlier source's comes first; an error stays until the next seek.

use super::{Cursor, EntryBatch, Fill, PinnedBytes};
use crate::error::{Error, Result};
use crate::key::{Entry, head};
use std::cmp::Ordering;

/// The merge of sources, given newest first. One thread at a time.
pub struct Merge<S: Cursor> {
    sources: Vec<S>,
    /// The head of the key under each source; of no meaning where the source stands nowhere.
    heads: Vec<u64>,
    /// The winner, then the loser at each inner node of the tree; the leaf of source `i` is node `sources.len() + i`.
    nodes: Vec<u32>,
    /// The best source but the winner, if it was worked out since the winner last changed.
    second: Option<u32>,
    forward: bool,
    error: Option<Error>,
    /// Where it stood, while the direction changes.
    turning_key: Vec<u8>,
}

impl<S: Cursor> Merge<S> {
    /// Merges `sources`; stands nowhere yet.
    pub fn new(sources: Vec<S>) -> Self {
        let count = sources.len();
        Self {
            sources,
            heads: vec![0; count],
            nodes: vec![0; count],
            second: None,
            forward: true,
            error: None,
            turning_key: Vec::new(),
        }
    }

    fn winner(&self) -> usize {
        self.nodes[0] as usize
    }

    /// Whether source `a` comes before source `b` in the direction of travel; those at their end come last.
    #[inline]
    fn is_before(&self, a: usize, b: usize) -> bool {
        match (self.sources[a].is_valid(), self.sources[b].is_valid()) {
            (true, true) => {}
            (a_valid, b_valid) => return a_valid && !b_valid,
        }
        let order = match self.heads[a].cmp(&self.heads[b]) {
            Ordering::Equal => {
                let (x, y) = (self.sources[a].entry(), self.sources[b].entry());
                x.key.cmp(y.key).then(y.sequence.cmp(&x.sequence)).then(a.cmp(&b))
            }
            order => order,
        };
        (order == Ordering::Less) == self.forward
    }

    #[inline]
    fn load_head(&mut self, source: usize) {
        if self.sources[source].is_valid() {
            self.heads[source] = head(self.sources[source].entry().key, 0);
        }
    }

    /// Plays the whole tournament.
    fn rebuild(&mut self) -> bool {
        let count = self.sources.len();
        (0..count).for_each(|source| self.load_head(source));
        self.second = None;
        if count == 0 {
            return false;
        }
        let mut winners = vec![0u32; 2 * count];
        for source in 0..count {
            winners[count + source] = source as u32;
        }
        for node in (1..count).rev() {
            let (left, right) = (winners[2 * node], winners[2 * node + 1]);
            let left_wins = self.is_before(left as usize, right as usize);
            (winners[node], self.nodes[node]) = if left_wins { (left, right) } else { (right, left) };
        }
        self.nodes[0] = winners[1];
        self.is_valid()
    }

    /// Puts the winner, which moved, in its place again.
    #[inline]
    fn replay(&mut self) -> bool {
        let moved = self.winner();
        if self.sources.len() == 1 {
            return self.sources[moved].is_valid();
        }
        self.load_head(moved);
        if let Some(second) = self.second
            && self.is_before(moved, second as usize)
        {
            return true;
        }
        let (mut best, mut node) = (moved, (self.sources.len() + moved) / 2);
        while node > 0 {
            let loser = self.nodes[node] as usize;
            if self.is_before(loser, best) {
                self.nodes[node] = best as u32;
                best = loser;
            }
            node /= 2;
        }
        // A source that wins again probably goes on winning; the second best is the best of those it beat on its way up.
        self.second = if best == moved { self.best_loser(moved) } else { None };
        self.nodes[0] = best as u32;
        self.sources[best].is_valid()
    }

    fn best_loser(&self, winner: usize) -> Option<u32> {
        let mut node = (self.sources.len() + winner) / 2;
        let mut best: Option<u32> = None;
        while node > 0 {
            let loser = self.nodes[node];
            if best.is_none_or(|best| self.is_before(loser as usize, best as usize)) {
                best = Some(loser);
            }
            node /= 2;
        }
        // Beating a source at its end says nothing about the winner's own end.
        best.filter(|&best| self.sources[best as usize].is_valid())
    }

    /// Moves every source by `mover`, then plays the tournament in the given direction.
    fn seek_all(&mut self, forward: bool, mut mover: impl FnMut(&mut S) -> Result<bool>) -> Result<bool> {
        self.error = None;
        self.forward = forward;
        for index in 0..self.sources.len() {
            if let Err(error) = mover(&mut self.sources[index]) {
                return Err(self.fail(error));
            }
        }
        Ok(self.rebuild())
    }

    /// Brings every source but the winner to the other side of where the merge stands.
    fn turn(&mut self, forward: bool) -> Result<()> {
        let winner = self.winner();
        let mut key = std::mem::take(&mut self.turning_key);
        key.clear();
        let entry = self.sources[winner].entry();
        key.extend_from_slice(entry.key);
        let here = (entry.sequence, winner);
        let is_beyond = |entry: Entry<'_>, source: usize| {
            let order = entry.key.cmp(&key).then(here.0.cmp(&entry.sequence)).then(source.cmp(&here.1));
            (order == Ordering::Greater) == forward
        };
        let turned = self.sources.iter_mut().enumerate().filter(|(index, _)| *index != winner).try_for_each(
            |(index, source)| {
                let mut standing = match (source.is_valid(), forward) {
                    (true, true) => source.next()?,
                    (true, false) => source.prev()?,
                    (false, true) => source.seek_to_first()?,
                    (false, false) => source.seek_to_last()?,
                };
                // A source that is still being written may have gained entries on the near side.
                while standing && !is_beyond(source.entry(), index) {
                    standing = if forward { source.next()? } else { source.prev()? };
                }
                Ok(())
            },
        );
        self.turning_key = key;
        self.forward = forward;
        turned
    }

    fn step(&mut self, forward: bool) -> Result<bool> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let turns = self.forward != forward;
        if turns && let Err(error) = self.turn(forward) {
            return Err(self.fail(error));
        }
        let winner = self.winner();
        let moved = if forward { self.sources[winner].next() } else { self.sources[winner].prev() };
        if let Err(error) = moved {
            return Err(self.fail(error));
        }
        Ok(if turns { self.rebuild() } else { self.replay() })
    }

    fn fail(&mut self, error: Error) -> Error {
        self.error = Some(error.clone());
        error
    }
}

impl<S: Cursor> Cursor for Merge<S> {
    fn seek_to_first(&mut self) -> Result<bool> {
        self.seek_all(true, S::seek_to_first)
    }

    fn seek_to_last(&mut self) -> Result<bool> {
        self.seek_all(false, S::seek_to_last)
    }

    fn seek(&mut self, key: &[u8]) -> Result<bool> {
        self.seek_all(true, |source| source.seek(key))
    }

    fn seek_for_prev(&mut self, key: &[u8]) -> Result<bool> {
        self.seek_all(false, |source| source.seek_for_prev(key))
    }

    #[inline]
    fn next(&mut self) -> Result<bool> {
        self.step(true)
    }

    #[inline]
    fn prev(&mut self) -> Result<bool> {
        self.step(false)
    }

    fn is_valid(&self) -> bool {
        self.error.is_none() && !self.sources.is_empty() && self.sources[self.winner()].is_valid()
    }

    #[inline]
    fn entry(&self) -> Entry<'_> {
        self.sources[self.winner()].entry()
    }

    fn pin_value(&self) -> PinnedBytes {
        self.sources[self.winner()].pin_value()
    }

    fn push_to(&self, batch: &mut EntryBatch) {
        self.sources[self.winner()].push_to(batch);
    }

    /// Each source in turn gives what comes before the keys of all others. A key of several sources is left to the caller.
    fn fill(&mut self, fill: &mut Fill<'_>) -> Result<bool> {
        let mut has_moved = false;
        while self.forward == fill.forward && self.is_valid() && fill.has_room() {
            let winner = self.winner();
            if self.second.is_none() {
                self.second = self.best_loser(winner);
            }
            let moved = match self.second {
                None => self.sources[winner].fill(fill),
                Some(second) => match self.sources.get_disjoint_mut([winner, second as usize]) {
                    Ok([first, second]) => fill.before(second.entry().key, |fill| first.fill(fill)),
                    Err(_) => break,
                },
            };
            match moved {
                Ok(true) => has_moved = true,
                Ok(false) => break,
                Err(error) => return Err(self.fail(error)),
            }
            self.replay();
        }
        match &self.error {
            Some(error) => Err(error.clone()),
            None => Ok(has_moved),
        }
    }
}

#[cfg(test)]
mod tests;
