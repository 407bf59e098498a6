//! Which source has the next row: a loser tree over the sources' next keys.
//!
//! Decides by eight bytes of each key, those behind what all keys share so far, and by whole keys where these agree.

use super::pending::Pending;
use crate::key::{KeyRows, common_prefix_len, head};
use std::cmp::Ordering;

/// The best source but the winner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rival {
    /// Not worked out since the winner changed.
    Unknown,
    /// All the others are at their ends.
    None,
    /// This one.
    Source(u32),
}

/// Where a source stands.
struct Place {
    slot: u32,
    row: u32,
    ended: bool,
}

pub(super) struct Tournament {
    places: Vec<Place>,
    /// Eight bytes of each source's next key, from `prefix` on; all ones at the end.
    heads: Vec<u64>,
    /// The winner, then the loser at each inner node of the tree; the leaf of source `i` is node `places.len() + i`.
    nodes: Vec<u32>,
    rival: Rival,
    /// What all keys of all chunks so far begin with.
    prefix: Vec<u8>,
}

impl Tournament {
    pub fn new() -> Self {
        Self { places: Vec::new(), heads: Vec::new(), nodes: Vec::new(), rival: Rival::Unknown, prefix: Vec::new() }
    }

    /// Begins with each source at the first row of its slot.
    pub fn start(&mut self, slots: Vec<Option<u32>>, chunks: &Pending) {
        let first = slots.iter().flatten().next().map(|&slot| chunks.slot(slot).keys.bytes(0, &mut [0; 8]).to_vec());
        self.prefix = first.unwrap_or_default();
        self.places =
            slots.iter().map(|slot| Place { slot: slot.unwrap_or(0), row: 0, ended: slot.is_none() }).collect();
        slots.iter().flatten().for_each(|&slot| {
            self.shorten_prefix(&chunks.slot(slot).keys);
        });
        self.heads = vec![0; slots.len()];
        self.load_heads(chunks);
        self.play(chunks);
    }

    /// The source with the next row; `None` if all are at their ends.
    #[inline]
    pub fn winner(&self) -> Option<usize> {
        let winner = *self.nodes.first()? as usize;
        (!self.places[winner].ended).then_some(winner)
    }

    pub fn rival(&self) -> Rival {
        self.rival
    }

    /// Slot and row of a source's next row. Requires: it is not at its end.
    #[inline]
    pub fn place(&self, source: usize) -> (u32, u32) {
        (self.places[source].slot, self.places[source].row)
    }

    /// The slots that sources stand in, to be renumbered.
    pub fn slots_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        self.places.iter_mut().filter(|place| !place.ended).map(|place| &mut place.slot)
    }

    /// The first row of the winner's slot that does not come before the rival's next one.
    pub fn stretch_end(&self, winner: usize, rival: u32, chunks: &Pending) -> u32 {
        let (mine, theirs) = (&self.places[winner], &self.places[rival as usize]);
        let (slot, other) = (chunks.slot(mine.slot), chunks.slot(theirs.slot));
        let other_row = theirs.row as usize;
        let other_sequence = other.chunk.sequences.get(other_row);
        let is_before = |row: u32| match slot.keys.compare(row as usize, &other.keys, other_row) {
            Ordering::Equal => {
                let order = other_sequence.cmp(&slot.chunk.sequences.get(row as usize));
                order.then(winner.cmp(&(rival as usize))) == Ordering::Less
            }
            order => order == Ordering::Less,
        };
        let last = slot.rows() - 1;
        // The winner's next row comes first, that is known; a stretch often goes on to the end.
        let (mut low, mut step) = (mine.row + 1, 1);
        if low > last {
            return low;
        }
        if !is_before(low) {
            return low;
        }
        if is_before(last) {
            return last + 1;
        }
        let mut high = loop {
            let probe = low.saturating_add(step).min(last);
            if !is_before(probe) {
                break probe;
            }
            low = probe;
            step *= 2;
        };
        // Row `low` comes before the rival, row `high` does not.
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if is_before(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// The winner goes on to `row` of its slot.
    #[inline]
    pub fn advance(&mut self, winner: usize, row: u32, chunks: &Pending) {
        self.places[winner].row = row;
        self.load_head(winner, chunks);
        self.replay(winner, chunks);
    }

    /// The winner goes on to the first row of `slot`, or is at its end.
    pub fn change(&mut self, winner: usize, slot: Option<u32>, chunks: &Pending) {
        self.places[winner] = Place { slot: slot.unwrap_or(0), row: 0, ended: slot.is_none() };
        if let Some(slot) = slot
            && self.shorten_prefix(&chunks.slot(slot).keys)
        {
            self.load_heads(chunks);
        }
        self.load_head(winner, chunks);
        self.replay(winner, chunks);
    }

    /// Makes the prefix one that these keys have as well; true if it became shorter. Heads taken behind a longer prefix order
    /// keys as before, but not beside heads taken behind a shorter one.
    fn shorten_prefix(&mut self, keys: &KeyRows) -> bool {
        let shared = match keys {
            // The head is the whole key.
            KeyRows::Fixed { .. } => 0,
            KeyRows::Bytes { .. } => [0, keys.len() - 1]
                .map(|row| common_prefix_len(&self.prefix, keys.bytes(row, &mut [0; 8])))
                .into_iter()
                .fold(self.prefix.len(), usize::min),
        };
        let shortens = shared < self.prefix.len();
        self.prefix.truncate(shared);
        shortens
    }

    #[inline]
    fn load_head(&mut self, source: usize, chunks: &Pending) {
        let place = &self.places[source];
        self.heads[source] = if place.ended {
            u64::MAX
        } else {
            match &chunks.slot(place.slot).keys {
                KeyRows::Fixed { heads, .. } if self.prefix.is_empty() => heads[place.row as usize],
                keys => head(keys.bytes(place.row as usize, &mut [0; 8]), self.prefix.len()),
            }
        };
    }

    fn load_heads(&mut self, chunks: &Pending) {
        (0..self.places.len()).for_each(|source| self.load_head(source, chunks));
    }

    /// Whether source `a` comes before source `b`; those at their ends come last.
    #[inline]
    fn is_before(&self, a: usize, b: usize, chunks: &Pending) -> bool {
        match self.heads[a].cmp(&self.heads[b]) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => self.is_before_in_full(a, b, chunks),
        }
    }

    fn is_before_in_full(&self, a: usize, b: usize, chunks: &Pending) -> bool {
        let (x, y) = (&self.places[a], &self.places[b]);
        if x.ended || y.ended {
            return !x.ended;
        }
        let (x_slot, y_slot) = (chunks.slot(x.slot), chunks.slot(y.slot));
        let (x_row, y_row) = (x.row as usize, y.row as usize);
        let by_key = x_slot.keys.compare(x_row, &y_slot.keys, y_row);
        let by_age = || y_slot.chunk.sequences.get(y_row).cmp(&x_slot.chunk.sequences.get(x_row)).then(a.cmp(&b));
        by_key.then_with(by_age) == Ordering::Less
    }

    /// Plays the whole tournament.
    fn play(&mut self, chunks: &Pending) {
        let count = self.places.len();
        self.nodes = vec![0; count];
        self.rival = Rival::Unknown;
        if count == 0 {
            return;
        }
        let mut winners = vec![0u32; 2 * count];
        for source in 0..count {
            winners[count + source] = source as u32;
        }
        for node in (1..count).rev() {
            let (left, right) = (winners[2 * node], winners[2 * node + 1]);
            let left_wins = self.is_before(left as usize, right as usize, chunks);
            (winners[node], self.nodes[node]) = if left_wins { (left, right) } else { (right, left) };
        }
        self.nodes[0] = winners[1];
    }

    /// Puts the winner, which moved, in its place again.
    #[inline]
    fn replay(&mut self, moved: usize, chunks: &Pending) {
        match self.rival {
            Rival::None => return,
            Rival::Source(rival) if self.is_before(moved, rival as usize, chunks) => return,
            _ => {}
        }
        let (mut best, mut node) = (moved, (self.places.len() + moved) / 2);
        while node > 0 {
            let loser = self.nodes[node] as usize;
            if self.is_before(loser, best, chunks) {
                self.nodes[node] = best as u32;
                best = loser;
            }
            node /= 2;
        }
        self.nodes[0] = best as u32;
        // A source that wins again probably goes on winning.
        self.rival = if best == moved { self.best_loser(moved, chunks) } else { Rival::Unknown };
    }

    /// The best of those that the winner beat on its way up.
    fn best_loser(&self, winner: usize, chunks: &Pending) -> Rival {
        let mut node = (self.places.len() + winner) / 2;
        let mut best: Option<u32> = None;
        while node > 0 {
            let loser = self.nodes[node];
            if best.is_none_or(|best| self.is_before(loser as usize, best as usize, chunks)) {
                best = Some(loser);
            }
            node /= 2;
        }
        match best {
            Some(best) if !self.places[best as usize].ended => Rival::Source(best),
            _ => Rival::None,
        }
    }
}
