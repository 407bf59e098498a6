//! The order of a batch's rows by key, each key once.

use crate::key::{KeyRows, common_prefix_len, head};
use arrow_buffer::{Buffer, OffsetBuffer};
use std::cmp::Ordering;

/// The rows of `keys` in ascending order, of equal keys only the last; `None` if that is what they are already. Requires: fewer than
/// 2^32 rows.
pub(super) fn distinct_order(keys: &KeyRows) -> Option<Vec<u32>> {
    match keys {
        KeyRows::Fixed { heads, .. } => {
            if heads.windows(2).all(|pair| pair[0] < pair[1]) {
                return None;
            }
            let mut items: Vec<(u64, u32)> = heads.iter().zip(0..).map(|(&head, row)| (head, row)).collect();
            if !heads.is_sorted() {
                items.sort_unstable();
            }
            Some(last_of_each(&items, |a, b| a.0 == b.0))
        }
        KeyRows::Bytes { .. } => {
            let order = |a: usize, b: usize| keys.compare(a, keys, b);
            let mut rises = true;
            keys.for_each_step(|_, order| rises &= order == Ordering::Less);
            if rises {
                return None;
            }
            let skip = shared_prefix_len(keys);
            let mut items: Vec<(u64, u32)> =
                (0..keys.len()).map(|row| (head(keys.bytes(row, &mut [0; 8]), skip), row as u32)).collect();
            items.sort_unstable_by(|a, b| {
                a.0.cmp(&b.0).then_with(|| order(a.1 as usize, b.1 as usize)).then(a.1.cmp(&b.1))
            });
            Some(last_of_each(&items, |a, b| a.0 == b.0 && order(a.1 as usize, b.1 as usize) == Ordering::Equal))
        }
    }
}

fn last_of_each(items: &[(u64, u32)], is_same: impl Fn(&(u64, u32), &(u64, u32)) -> bool) -> Vec<u32> {
    let mut rows = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        if items.get(index + 1).is_none_or(|next| !is_same(item, next)) {
            rows.push(item.1);
        }
    }
    rows
}

fn shared_prefix_len(keys: &KeyRows) -> usize {
    let mut scratch = [0; 8];
    let first = keys.bytes(0, &mut scratch);
    (1..keys.len()).fold(first.len(), |shared, row| common_prefix_len(&first[..shared], keys.bytes(row, &mut [0; 8])))
}

/// The keys at `rows`, in that order.
pub(super) fn take_keys(keys: &KeyRows, rows: &[u32]) -> KeyRows {
    match keys {
        KeyRows::Fixed { width, heads } => {
            let heads: Vec<u64> = rows.iter().map(|&row| heads[row as usize]).collect();
            KeyRows::Fixed { width: *width, heads: heads.into() }
        }
        KeyRows::Bytes { offsets, .. } => {
            let len = |row: u32| (offsets[row as usize + 1] - offsets[row as usize]) as usize;
            let mut taken = Vec::with_capacity(rows.iter().map(|&row| len(row)).sum());
            rows.iter().for_each(|&row| taken.extend_from_slice(keys.bytes(row as usize, &mut [0; 8])));
            let offsets = OffsetBuffer::from_lengths(rows.iter().map(|&row| len(row)));
            KeyRows::Bytes { offsets, data: Buffer::from_vec(taken) }
        }
    }
}
