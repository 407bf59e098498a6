//! Walks the rows of an Arrow IPC file, batch by batch.
//!
//! Made by the reader. Promises: chunks are slices of decoded columns, not copies, unless a snapshot hides some of their rows. A batch
//! that would take more memory than the scan may hold is decoded piece by piece.

use super::super::Io;
use super::super::row_file::{Projection, RowFileScan, Screen, StoredRows, common};
use super::reader::{IpcFileReader, Wanted};
use crate::error::{Error, Result};
use crate::iter::{RowChunk, RowSource};
use crate::key::Sequence;
use std::ops::Range;
use std::sync::Arc;

/// A scan of one file.
pub struct IpcScan {
    reader: Arc<IpcFileReader>,
    projection: Projection,
    scan: RowFileScan,
    /// The groups still to come and the rows that the key index leaves of them, last first.
    groups: Vec<(usize, Range<usize>)>,
    screen: Option<Screen>,
    current: Option<Current>,
}

struct Current {
    rows: StoredRows,
    /// What is still to be handed out.
    left: Range<usize>,
    /// The snapshot, if some row may be beyond it.
    at_most: Option<Sequence>,
}

impl IpcScan {
    /// A scan from its first row. InvalidArgument if it names columns or groups that are not there.
    pub fn new(reader: Arc<IpcFileReader>, scan: RowFileScan) -> Result<Self> {
        let index = reader.index();
        let projection = Projection::new(&index.schema, &scan.columns)?;
        let screen = Screen::new(&index.schema, &scan, &projection)?;
        let mut groups = index.rows_in(&scan.range);
        if let Some(kept) = &scan.groups {
            if !kept.is_sorted_by(|a, b| a < b) || kept.last().is_some_and(|last| *last >= index.groups.len()) {
                return Err(Error::invalid("a scan names groups that the table has not, or not in order"));
            }
            groups.retain(|(group, _)| kept.binary_search(group).is_ok());
        }
        let at_most = scan.sequences_at_most;
        groups.retain(|(group, _)| at_most.is_none_or(|at_most| index.groups[*group].smallest_sequence <= at_most));
        if let Some(kept) = &scan.rows {
            groups.iter_mut().for_each(|(_, rows)| *rows = common(rows, kept));
        }
        groups.reverse();
        Ok(Self {
            reader,
            projection,
            scan: RowFileScan { batch_rows: scan.batch_rows.max(1), ..scan },
            groups,
            screen,
            current: None,
        })
    }

    fn advance(&mut self) -> Result<Option<RowChunk>> {
        loop {
            if let Some(current) = &mut self.current {
                while !current.left.is_empty() {
                    let end = current.left.end.min(current.left.start + self.scan.batch_rows);
                    let rows = current.left.start..end;
                    current.left.start = end;
                    if let Some(chunk) = current.rows.chunk(rows, current.at_most, self.reader.path())? {
                        return Ok(Some(chunk));
                    }
                }
                self.current = None;
            }
            let Some((group, mut pages)) = self.groups.pop() else { return Ok(None) };
            let scan = &self.scan;
            let stats = &self.reader.index().groups[group];
            let wanted = Wanted::new(&self.projection, scan.access, Io::Allowed)
                .with(scan.needs_keys(stats), scan.needs_sequences());
            let held = scan.held_rows(self.reader.schema(), &self.projection, stats);
            let screen = self.screen.as_ref().filter(|screen| screen.pays());
            let rows = if stats.rows <= held {
                if let Some(screen) = screen {
                    // What is decoded for it is not decoded again.
                    let column = |&column: &usize| self.reader.column(group, column, &wanted);
                    let columns = screen.projection().columns.iter().filter_map(|at| column(at).transpose());
                    let columns = columns.map(|column| Ok(column?.slice(pages.start, pages.len())));
                    if !screen.admits(columns.collect::<Result<_>>()?, pages.len())? {
                        continue;
                    }
                }
                let Some(rows) = self.reader.group(group, &wanted)? else { return Ok(None) };
                rows
            } else {
                let piece = pages.start..pages.end.min(piece_end(pages.start, held));
                if piece.end < pages.end {
                    self.groups.push((group, piece.end..pages.end));
                }
                pages = 0..piece.len();
                match self.reader.piece(group, piece, &wanted, screen)? {
                    Some(rows) => rows,
                    None => continue,
                }
            };
            let left = match rows.keys() {
                None => pages,
                Some(keys) => {
                    let bound = |key: &Option<Vec<u8>>, otherwise| {
                        key.as_ref().map_or(otherwise, |key| keys.lower_bound(key).clamp(pages.start, pages.end))
                    };
                    bound(&scan.range.lower, pages.start)..bound(&scan.range.upper, pages.end)
                }
            };
            let at_most = scan.sequences_at_most.filter(|at_most| *at_most < stats.largest_sequence);
            self.current = Some(Current { rows, left, at_most });
        }
    }
}

/// Where a piece of `held` rows from `start` on ends: with a whole byte of validity, so that the next one begins with one.
fn piece_end(start: usize, held: usize) -> usize {
    let end = start.saturating_add(held);
    let of_bytes = end - end % 8;
    if of_bytes > start { of_bytes } else { end }
}

impl RowSource for IpcScan {
    fn next_chunk(&mut self) -> Result<Option<RowChunk>> {
        let result = self.advance();
        if result.is_err() {
            self.groups.clear();
            self.current = None;
        }
        result
    }
}
