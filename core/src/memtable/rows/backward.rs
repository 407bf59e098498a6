//! The rows of a memtable from their end, stretch by stretch: where the last so many of them begin.
//!
//! Called by scans in reverse, which read each stretch forward. Promises: a place that lies before the end that was asked for, so that
//! whoever goes on from it comes to the beginning.

use super::source::{Piece, Projection, large_parts, run};
use super::{Part, RowMemtable};
use crate::error::Result;
use crate::iter::{Cursor, RowSource};
use crate::key::{KeyRange, Sequence};
use std::sync::Arc;

/// A place among the rows of an append-only memtable, in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrivalPlace {
    /// Batches before it.
    batch: usize,
    /// Rows before it in the next batch.
    row: usize,
}

impl ArrivalPlace {
    /// Behind all rows.
    pub const END: Self = Self { batch: usize::MAX, row: 0 };
}

/// See [`RowMemtable::key_back`].
pub(super) fn key_back(memtable: &RowMemtable, range: &KeyRange, rows: usize) -> Result<Option<Vec<u8>>> {
    let mut found: Option<Vec<u8>> = None;
    let mut offer = |key: &[u8]| {
        if found.as_deref().is_none_or(|found| found < key) {
            found = Some(key.to_vec());
        }
    };
    let piece = |at: usize| memtable.large_part(at).and_then(|(number, part)| Piece::of(number, part, range));
    let mut offer_back = |piece: &Piece, rows: usize| {
        if let Some(keys) = piece.keys(memtable) {
            offer(keys.bytes(piece.end - rows, &mut [0; 8]));
        }
    };
    let (in_order, others) = large_parts(memtable, range);
    // Those in order are one source, the others may be one each.
    let mut left = rows;
    for piece in in_order.rev().filter_map(piece) {
        let len = piece.end - piece.start;
        if len >= left {
            offer_back(&piece, left);
            break;
        }
        left -= len;
    }
    for piece in others.filter_map(piece).filter(|piece| piece.end - piece.start >= rows) {
        offer_back(&piece, rows);
    }
    let Some(index) = memtable.index.as_ref().filter(|index| !index.is_empty()) else { return Ok(found) };
    let mut cursor = index.cursor();
    let mut stands = match &range.upper {
        None => cursor.seek_to_last()?,
        Some(upper) => {
            let mut stands = cursor.seek_for_prev(upper)?;
            while stands && cursor.entry().key >= upper.as_slice() {
                stands = cursor.prev()?;
            }
            stands
        }
    };
    let is_inside = |key: &[u8]| range.lower.as_deref().is_none_or(|lower| key >= lower);
    let mut left = rows;
    while stands && is_inside(cursor.entry().key) {
        left -= 1;
        if left == 0 {
            offer(cursor.entry().key);
            break;
        }
        stands = cursor.prev()?;
    }
    Ok(found)
}

/// See [`RowMemtable::arrived_before`].
pub(super) fn arrived_before(
    memtable: &Arc<RowMemtable>,
    projection: Arc<Projection>,
    snapshot: Sequence,
    end: ArrivalPlace,
    rows: usize,
) -> Option<(Box<dyn RowSource>, ArrivalPlace)> {
    let part = |number: usize| memtable.parts.get(number);
    let is_seen = |part: Option<&Part>| part.is_some_and(|part| part.sequence <= snapshot);
    let mut place = end;
    if place == ArrivalPlace::END {
        let (mut low, mut high) = (0, memtable.parts.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if is_seen(part(middle)) { low = middle + 1 } else { high = middle }
        }
        place = ArrivalPlace { batch: low, row: 0 };
    }
    let (mut pieces, mut left) = (Vec::new(), rows);
    while left > 0 {
        if place.row == 0 {
            let Some(number) = place.batch.checked_sub(1) else { break };
            place = ArrivalPlace { batch: number, row: part(number)?.rows.rows() };
            continue;
        }
        let start = place.row.saturating_sub(left);
        pieces.push(Piece { part: place.batch, start, end: place.row });
        left -= place.row - start;
        place.row = start;
    }
    if pieces.is_empty() {
        return None;
    }
    pieces.reverse();
    Some((run(memtable, projection, pieces), place))
}
