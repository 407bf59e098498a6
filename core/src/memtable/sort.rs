//! Sorts nodes by key, range by range: what comes first in key order is ready first.
//!
//! Called by the flush cursor over a whole memtable, and by the order over what it has not sorted in yet. Keys are taken
//! apart eight bytes at a time, beyond whatever the keys of a range share: a range is spread over buckets by its leading
//! bytes, each byte position counted in the values that occur there (so that digits and text spread as well as random
//! bytes), small buckets are sorted by their heads, and ties go on behind them. Keys that share a long prefix so cost
//! hardly more than random ones.

use super::node::Node;
use crate::key::{common_prefix_len, head};

/// A node and eight bytes of its key; which eight, the holder knows.
#[derive(Clone, Copy)]
pub(super) struct Item<'m> {
    pub(super) head: u64,
    pub(super) node: Node<'m>,
}

/// Ranges above this are spread first: its items then fit the nearest cache.
const SPREAD_LEN_MIN: usize = 1_024;

/// What a bucket should hold; so few that they are sorted by insertion.
const BUCKET_LEN: usize = 12;

/// Buckets of one spreading; their counters and write positions stay in the cache, and their numbers fit two bytes.
const BUCKETS_MAX: usize = 8_192;

/// Ties up to this many are compared key by key.
const TIES_COMPARED_MAX: usize = 12;

/// Ties within ties within ties: keys that are prefixes of each other can nest them as deep as keys are long, and each level
/// takes its share of the stack. Beyond this many, keys are compared as a whole.
const TIES_NESTED_MAX: u32 = 32;

/// How far ahead nodes are asked for while their keys are read in no particular order.
pub(super) const PREFETCH_DISTANCE: usize = 12;

/// Nodes being sorted, handed out in ascending ranges.
pub(super) struct Sorting<'m> {
    items: Vec<Item<'m>>,
    /// Ends of the buckets that `items` is spread over, in order.
    ends: Vec<u32>,
    bucket: usize,
    skip: usize,
    scratch: Vec<Item<'m>>,
}

impl<'m> Sorting<'m> {
    /// Starts with `nodes`, keys distinct, in any order.
    pub(super) fn new(nodes: impl Iterator<Item = Node<'m>>) -> Self {
        Self::of(nodes.map(|node| Item { head: 0, node }).collect(), None)
    }

    /// Starts with `items`; if `skip` is given, their keys share so many bytes and their heads are the eight behind.
    pub(super) fn of(mut items: Vec<Item<'m>>, skip: Option<usize>) -> Self {
        let mut scratch = Vec::new();
        let skip = skip.unwrap_or_else(|| refresh_heads(&mut items, 0));
        let ends = spread(&mut items, &mut scratch);
        Self { items, ends, bucket: 0, skip, scratch }
    }

    /// The next range in key order, sorted; `None` after the last.
    pub(super) fn next_range(&mut self) -> Option<&[Item<'m>]> {
        loop {
            let end = *self.ends.get(self.bucket)? as usize;
            let start = if self.bucket == 0 { 0 } else { self.ends[self.bucket - 1] as usize };
            self.bucket += 1;
            if start < end {
                let range = &mut self.items[start..end];
                sort_range(range, self.skip, &mut self.scratch, 0);
                return Some(range);
            }
        }
    }
}

/// Sets every head to the eight bytes behind the common prefix of all keys, which is at least `known` long, and returns
/// that prefix's length.
fn refresh_heads(items: &mut [Item<'_>], known: usize) -> usize {
    let Some(first) = items.first() else { return known };
    let first = first.node.key();
    let mut skip = first.len();
    for at in 0..items.len() {
        if let Some(ahead) = items.get(at + PREFETCH_DISTANCE) {
            ahead.node.prefetch();
        }
        let key = items[at].node.key();
        let known = known.min(key.len()).min(skip);
        skip = known + common_prefix_len(&first[known..skip], &key[known..]);
        // Right if the prefix shrinks no further, as it seldom does after the first few keys.
        items[at].head = head(key, skip);
    }
    // The heads taken before the prefix reached its final length are taken again.
    let mut shared = first.len();
    for item in items.iter_mut() {
        let key = item.node.key();
        let known = known.min(key.len()).min(shared);
        shared = known + common_prefix_len(&first[known..shared], &key[known..]);
        if shared == skip {
            break;
        }
        item.head = head(key, skip);
    }
    skip
}

/// Sorts `items`, whose keys share `skip` bytes and whose heads are the eight bytes behind.
fn sort_range<'m>(items: &mut [Item<'m>], skip: usize, scratch: &mut Vec<Item<'m>>, ties: u32) {
    if items.len() >= SPREAD_LEN_MIN {
        let first = items[0].head;
        if items.iter().all(|item| item.head == first) {
            return sort_ties(items, skip, scratch, ties);
        }
        let mut start = 0;
        for end in spread(items, scratch) {
            let end = end as usize;
            sort_range(&mut items[start..end], skip, scratch, ties);
            start = end;
        }
        return;
    }
    items.sort_unstable_by_key(|item| item.head);
    let mut start = 0;
    while start < items.len() {
        let tie = items[start].head;
        let len = items[start..].iter().take_while(|item| item.head == tie).count();
        if len > 1 {
            sort_ties(&mut items[start..start + len], skip, scratch, ties);
        }
        start += len;
    }
}

/// Sorts items of one head: their keys share the eight bytes behind `skip`, or end within them.
fn sort_ties<'m>(items: &mut [Item<'m>], skip: usize, scratch: &mut Vec<Item<'m>>, ties: u32) {
    let ending = items.iter().any(|item| item.node.key().len() < skip + 8);
    if ending || items.len() <= TIES_COMPARED_MAX || ties == TIES_NESTED_MAX {
        let tail = |item: &Item<'m>| {
            let key = item.node.key();
            &key[skip.min(key.len())..]
        };
        // Where keys end within the head, only zeros may follow: at most nine lengths tie, and the rest are rare.
        return items.sort_unstable_by(|a, b| tail(a).cmp(tail(b)));
    }
    let skip = refresh_heads(items, skip + 8);
    let first = items[0].head;
    if items.iter().all(|item| item.head == first) {
        return items.sort_unstable_by(|a, b| a.node.key()[skip..].cmp(&b.node.key()[skip..]));
    }
    sort_range(items, skip, scratch, ties + 1);
}

/// Moves `items` into buckets by their heads, ascending from bucket to bucket, and returns where each ends. Heads that
/// differ do not all fall into one bucket: the caller goes on bucket by bucket, and would never end.
fn spread<'m>(items: &mut [Item<'m>], scratch: &mut Vec<Item<'m>>) -> Vec<u32> {
    let len = items.len();
    let buckets = (len / BUCKET_LEN).min(BUCKETS_MAX);
    if buckets < 2 {
        return vec![len as u32];
    }
    let mut scale = Scale::of(items, buckets, 4 * buckets as u64);
    let (mut of_items, mut ends) = scale.count(items);
    if ends.iter().any(|&count| count as usize > len / 2) {
        // Heads that lie close to both sides of a step in their first byte may share a bucket, all of them. By the first byte
        // that differs alone, its least and its greatest value never do.
        scale = Scale::of(items, buckets, 1);
        (of_items, ends) = scale.count(items);
    }
    let mut total = 0;
    for end in &mut ends {
        total += *end;
        *end = total - *end;
    }
    scratch.clear();
    scratch.extend_from_slice(items);
    for (item, bucket) in scratch.iter().zip(of_items) {
        let end = &mut ends[bucket as usize];
        items[*end as usize] = *item;
        *end += 1;
    }
    ends
}

/// Maps heads to buckets, in order: each leading byte position counts only the values between its least and its greatest.
struct Scale {
    low: [u8; 8],
    weight: [u64; 8],
    /// Positions that matter, from `from` up to `to`.
    from: usize,
    to: usize,
    /// Buckets for each code, in units of 2^-32.
    step: u64,
    buckets: usize,
}

impl Scale {
    /// Takes the first position that differs, and more until there are `codes_min` codes, at most 2^24. Requires: there are items.
    fn of(items: &[Item<'_>], buckets: usize, codes_min: u64) -> Self {
        let (mut low, mut high) = ([u8::MAX; 8], [0u8; 8]);
        let first = items[0].head;
        let differ = items.iter().fold(0, |differ, item| differ | (item.head ^ first));
        let from = (differ.leading_zeros() as usize / 8).min(7);
        let (mut to, mut codes) = (from, 1u64);
        // Finer than the buckets, so that uneven steps between codes and buckets stay small.
        while to < 8 && (to == from || codes < codes_min) {
            let byte = |item: &Item<'_>| (item.head >> (56 - 8 * to)) as u8;
            (low[to], high[to]) =
                items.iter().map(byte).fold((u8::MAX, 0), |(low, high), byte| (low.min(byte), high.max(byte)));
            codes *= u64::from(high[to] - low[to]) + 1;
            to += 1;
        }
        let mut weight = [0; 8];
        let mut step = 1;
        for at in (from..to).rev() {
            weight[at] = step;
            step *= u64::from(high[at] - low[at]) + 1;
        }
        Self { low, weight, from, to, step: ((buckets as u64) << 32) / codes, buckets }
    }

    /// The bucket of each item, and how many items each bucket gets.
    fn count(&self, items: &[Item<'_>]) -> (Vec<u16>, Vec<u32>) {
        let mut counts = vec![0u32; self.buckets];
        let bucket = |item: &Item<'_>| {
            let bucket = self.bucket(item.head);
            counts[bucket] += 1;
            bucket as u16
        };
        (items.iter().map(bucket).collect(), counts)
    }

    #[inline]
    fn bucket(&self, head: u64) -> usize {
        let bytes = head.to_be_bytes();
        let mut code = 0;
        let positions = bytes[self.from..self.to].iter().zip(&self.low[self.from..]).zip(&self.weight[self.from..]);
        for ((&byte, &low), &weight) in positions {
            code += u64::from(byte - low) * weight;
        }
        ((code * self.step) >> 32) as usize
    }
}
