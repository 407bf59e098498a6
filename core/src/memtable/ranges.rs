//! Cuts frozen memtables at keys into ranges of about the same size, which may then be walked side by side.
//!
//! Called by `flush`: nodes find their ranges chunk by chunk, in any order and on any thread; then there are cursors over each range.
//! Promises: every node is in one range, and all versions of a key, of whichever memtable, are in the same one; ranges rise; the cuts
//! follow from what was written and in which order, and from nothing else.

use super::Memtable;
use super::cursor::extend;
use super::flush::{FlushCursor, Piece};
use super::node::Node;
use super::sort::{Item, PREFETCH_DISTANCE};
use crate::key::{common_prefix_len, head};
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

/// Nodes of a chunk: about a millisecond of work.
const CHUNK_NODES: usize = 32 << 10;

/// Keys that are looked at for each cut: ranges then differ by a fifth or so.
const SAMPLES_PER_RANGE: usize = 32;

/// Frozen memtables, and where they are cut. Thread safety: shared freely.
pub struct FlushRanges {
    /// Newest first.
    memtables: Vec<Arc<Memtable>>,
    bounds: Vec<Vec<u8>>,
    /// How many bytes all bounds share.
    skip: usize,
    /// The bounds' heads behind that.
    heads: Vec<u64>,
    /// What was not sorted when written: of which memtable, and where in its log.
    chunks: Vec<(usize, Range<usize>)>,
}

/// The nodes of a chunk by range.
pub struct RoutedNodes {
    memtable: usize,
    /// Keeps the nodes.
    owner: Arc<Memtable>,
    by_range: Vec<Vec<Item<'static>>>,
}

impl FlushRanges {
    /// Ranges of `memtables`, given newest first, of about `range_bytes` of keys and values each.
    pub fn new(memtables: Vec<Arc<Memtable>>, range_bytes: u64) -> Self {
        let bounds: Vec<Vec<u8>> = bounds(&memtables, range_bytes).into_iter().map(<[u8]>::to_vec).collect();
        let skip = match (bounds.first(), bounds.last()) {
            (Some(first), Some(last)) => common_prefix_len(first, last),
            _ => 0,
        };
        let heads = bounds.iter().map(|bound| head(bound, skip)).collect();
        let mut chunks = Vec::new();
        for (memtable, owner) in memtables.iter().enumerate() {
            let len = owner.log.len();
            let starts = (owner.log.prefix(len)..len).step_by(CHUNK_NODES);
            chunks.extend(starts.map(|start| (memtable, start..len.min(start + CHUNK_NODES))));
        }
        Self { memtables, bounds, skip, heads, chunks }
    }

    /// How many chunks there are to be routed.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Finds the range of each node of a chunk. Panics if there is no such chunk.
    pub fn route(&self, chunk: usize) -> RoutedNodes {
        let (memtable, nodes) = self.chunks[chunk].clone();
        let owner = self.memtables[memtable].clone();
        let log = &extend(&owner).log;
        let expected = nodes.len() / (self.bounds.len() + 1);
        let room = || Vec::with_capacity(expected + expected / 4);
        let mut by_range: Vec<Vec<Item<'static>>> = (0..=self.bounds.len()).map(|_| room()).collect();
        for stretch in log.stretches(nodes) {
            let mut ahead = stretch.clone().skip(PREFETCH_DISTANCE);
            for node in stretch {
                if let Some(ahead) = ahead.next() {
                    ahead.prefetch();
                }
                let (range, head) = self.range(node);
                by_range[range].push(Item { head, node });
            }
        }
        RoutedNodes { memtable, owner, by_range }
    }

    /// The range of a node, and the head of its key behind what all bounds share.
    #[inline]
    fn range(&self, node: Node<'_>) -> (usize, u64) {
        let Some(bound) = self.bounds.first() else { return (0, 0) };
        let key = node.key();
        match key[..self.skip.min(key.len())].cmp(&bound[..self.skip]) {
            Ordering::Less => (0, 0),
            Ordering::Greater => (self.bounds.len(), 0),
            Ordering::Equal => {
                let head = head(key, self.skip);
                let mut range = self.heads.partition_point(|&bound| bound < head);
                while self.heads.get(range) == Some(&head) && self.bounds[range].as_slice() <= key {
                    range += 1;
                }
                (range, head)
            }
        }
    }

    /// The ranges, rising: for each the cursors over its parts of the memtables, newest first. Ranges without entries are left out.
    /// Requires: `routed` is what became of all chunks, each once. Panics if a chunk is of other memtables.
    pub fn cursors(&self, routed: Vec<RoutedNodes>) -> Vec<Vec<FlushCursor>> {
        let last = self.bounds.len();
        let mut pieces: Vec<Vec<Piece>> = self.memtables.iter().map(|memtable| self.prefixes(memtable)).collect();
        for chunk in routed {
            // Its nodes live as long as the cursors' memtables, and no longer.
            assert!(Arc::ptr_eq(&chunk.owner, &self.memtables[chunk.memtable]), "nodes of another memtable");
            for (piece, items) in pieces[chunk.memtable].iter_mut().zip(chunk.by_range) {
                piece.items.push(items);
            }
        }
        let mut ranges: Vec<Vec<FlushCursor>> = (0..=last).map(|_| Vec::new()).collect();
        for (memtable, pieces) in self.memtables.iter().zip(pieces) {
            for (range, piece) in ranges.iter_mut().zip(pieces) {
                if !piece.prefix.is_empty() || piece.items.iter().any(|items| !items.is_empty()) {
                    range.push(FlushCursor::new(memtable.clone(), piece));
                }
            }
        }
        ranges.retain(|range| !range.is_empty());
        ranges
    }

    /// The sorted prefix of a memtable's log, cut at the bounds.
    fn prefixes(&self, memtable: &Memtable) -> Vec<Piece> {
        let prefix_end = memtable.log.prefix(memtable.log.len());
        let last = self.bounds.len();
        let mut start = 0;
        let piece = |range: usize| {
            let end = match self.bounds.get(range) {
                Some(bound) => first_from(memtable, bound, start..prefix_end),
                None => prefix_end,
            };
            // Before the first bound and after the last one keys may share less than the bounds do.
            let skip = (range > 0 && range < last).then_some(self.skip);
            Piece { prefix: std::mem::replace(&mut start, end)..end, items: Vec::new(), skip }
        };
        (0..=last).map(piece).collect()
    }
}

/// The whole memtable as one range.
pub(super) fn whole(memtable: &Arc<Memtable>) -> FlushCursor {
    let len = memtable.log.len();
    let prefix_end = memtable.log.prefix(len);
    let log = &extend(memtable).log;
    let items = (prefix_end..len).map(|at| Item { head: 0, node: log.node(at) }).collect();
    FlushCursor::new(memtable.clone(), Piece { prefix: 0..prefix_end, items: vec![items], skip: None })
}

/// The first keys of all ranges but the first, rising: from the largest memtable, which the others are taken to be like.
fn bounds(memtables: &[Arc<Memtable>], range_bytes: u64) -> Vec<&[u8]> {
    let all_bytes: u64 = memtables.iter().map(|memtable| memtable.payload_bytes()).sum();
    let Some(largest) = memtables.iter().max_by_key(|memtable| memtable.payload_bytes()) else { return Vec::new() };
    let (ranges, len) = ((all_bytes / range_bytes.max(1)) as usize, largest.log.len());
    let samples = len.min(SAMPLES_PER_RANGE.saturating_mul(ranges));
    if ranges < 2 || samples < 2 {
        return Vec::new();
    }
    let mut sampled: Vec<(&[u8], u64)> = (0..samples)
        .map(|at| {
            let node = largest.log.node((at as u128 * len as u128 / samples as u128) as usize);
            let newest = node.latest();
            let version_bytes = (node.key().len() + newest.value().len()) as u64;
            (node.key(), version_bytes.saturating_mul(u64::from(newest.depth()) + 1))
        })
        .collect();
    sampled.sort_unstable_by_key(|(key, _)| *key);
    let step = (sampled.iter().map(|(_, bytes)| bytes).sum::<u64>() / ranges as u64).max(1);
    let (mut bounds, mut before) = (Vec::with_capacity(ranges), 0u64);
    for (at, (key, bytes)) in sampled.into_iter().enumerate() {
        if at > 0 && before >= step {
            bounds.push(key);
            before = 0;
        }
        before = before.saturating_add(bytes);
    }
    bounds
}

/// The first of `within`, all in the sorted prefix, whose key is not below `bound`.
fn first_from(memtable: &Memtable, bound: &[u8], within: Range<usize>) -> usize {
    let (mut from, mut to) = (within.start, within.end);
    while from < to {
        let middle = from + (to - from) / 2;
        if memtable.log.node(middle).key() < bound { from = middle + 1 } else { to = middle }
    }
    from
}

#[cfg(test)]
mod tests;
