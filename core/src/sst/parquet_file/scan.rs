//! Walks rows of a Parquet row file in order, group by group.
//!
//! Called by merges and scans through [`RowSource`]. Reads past the cache in long stretches, or page by page through it; either way
//! only pages that the key index could not rule out.

use super::super::row_file::{Projection, RowFileScan, StoredRows};
use super::super::{Access, Io};
use super::columns::Columns;
use super::decode::GroupDecoder;
use super::reader::ParquetReader;
use crate::error::Result;
use crate::iter::{RowChunk, RowSource};
use crate::key::{KeyRange, MAX_SEQUENCE, Sequence};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// One walk over a file.
pub struct ParquetScan {
    reader: Arc<ParquetReader>,
    projection: Projection,
    range: KeyRange,
    at_most: Option<Sequence>,
    access: Access,
    batch_rows: usize,
    /// Rows of groups that are still to be read; whole pages.
    stretches: VecDeque<(usize, Range<usize>)>,
    /// The stretch that is being decoded, past the cache.
    current: Option<Stretch>,
    /// Rows that were decoded at once and are handed out in pieces.
    rest: Option<Rest>,
}

struct Rest {
    rows: StoredRows,
    /// Which of them are left.
    left: Range<usize>,
    /// Set if some of the group are to be left out.
    at_most: Option<Sequence>,
}

struct Stretch {
    group: usize,
    columns: Columns,
    roots: Vec<usize>,
    decoder: GroupDecoder,
}

impl ParquetScan {
    /// A walk over the rows of `scan`, whose columns are those of `projection`.
    pub fn new(reader: Arc<ParquetReader>, projection: Projection, scan: RowFileScan) -> Self {
        let snapshot = scan.sequences_at_most.unwrap_or(MAX_SEQUENCE);
        let mut stretches = VecDeque::from(match reader.schema().is_keyed() && scan.range.is_empty() {
            true => Vec::new(),
            false => reader.index().rows_in(&scan.range),
        });
        stretches.retain(|(group, _)| {
            reader.groups()[*group].smallest_sequence <= snapshot
                && scan.groups.as_ref().is_none_or(|groups| groups.contains(group))
        });
        Self {
            reader,
            projection,
            range: scan.range,
            at_most: scan.sequences_at_most,
            access: scan.access,
            batch_rows: scan.batch_rows.max(1),
            stretches,
            current: None,
            rest: None,
        }
    }

    /// Decodes some rows of a group, before anything is left out; `None` at the end.
    fn decode(&mut self) -> Result<Option<(usize, StoredRows)>> {
        loop {
            if let Some(stretch) = &mut self.current {
                match stretch.next(&self.reader, &self.projection)? {
                    Some(rows) => return Ok(Some((stretch.group, rows))),
                    None => self.current = None,
                }
            }
            let Some((group, rows)) = self.stretches.front_mut() else { return Ok(None) };
            let group = *group;
            if self.access == Access::Scan {
                let columns = Columns::new(self.reader.schema(), &self.reader.groups()[group], &self.projection);
                let roots = columns.with_key(self.reader.schema());
                if !roots.is_empty() {
                    let decoder = self.reader.decoder(group, rows.clone(), &roots, self.batch_rows)?;
                    self.current = Some(Stretch { group, columns, roots, decoder });
                    self.stretches.pop_front();
                    continue;
                }
                // Nothing to decode: the index knows how many rows there are, page by page.
            }
            let page = self.reader.pages_of(rows).start;
            rows.start = (page + 1) * self.reader.index().page_rows;
            if rows.start >= rows.end {
                self.stretches.pop_front();
            }
            if let Some(rows) = self.reader.page(group, page, &self.projection, Io::Allowed)? {
                return Ok(Some((group, rows)));
            }
        }
    }

    /// The next rows that were asked for.
    fn next(&mut self) -> Result<Option<RowChunk>> {
        loop {
            if let Some(rest) = self.rest.as_mut().filter(|rest| !rest.left.is_empty()) {
                let now = rest.left.start..rest.left.end.min(rest.left.start + self.batch_rows);
                rest.left.start = now.end;
                match rest.rows.chunk(now, rest.at_most, self.reader.path())? {
                    Some(chunk) => return Ok(Some(chunk)),
                    None => continue,
                }
            }
            self.rest = None;
            let Some((group, rows)) = self.decode()? else { return Ok(None) };
            let largest = self.reader.groups()[group].largest_sequence;
            let left = in_range(&rows, &self.range);
            self.rest = Some(Rest { rows, left, at_most: self.at_most.filter(|&at_most| at_most < largest) });
        }
    }
}

impl Stretch {
    /// The next rows of the stretch; `None` after the last.
    fn next(&mut self, reader: &ParquetReader, projection: &Projection) -> Result<Option<StoredRows>> {
        let Some(batch) = self.decoder.next_batch()? else { return Ok(None) };
        let column = |root: usize| self.roots.binary_search(&root).ok().map(|place| batch.column(place));
        let keys = match reader.schema().key() {
            [] => None,
            key => Some(reader.encode_keys(key.iter().filter_map(|&root| column(root).cloned()).collect())?),
        };
        self.columns.check(column).map_err(|message| reader.bad(message))?;
        let stats = &reader.groups()[self.group];
        let rows = self.columns.rows(stats, projection, keys, column, batch.num_rows());
        rows.map(Some).map_err(|message| reader.bad(message))
    }
}

impl RowSource for ParquetScan {
    fn next_chunk(&mut self) -> Result<Option<RowChunk>> {
        self.next().inspect_err(|_| {
            self.stretches.clear();
            self.current = None;
            self.rest = None;
        })
    }
}

/// Which of the rows lie in `range`; all of them in an append-only table.
fn in_range(rows: &StoredRows, range: &KeyRange) -> Range<usize> {
    let Some(keys) = rows.keys() else { return 0..rows.len() };
    let start = range.lower.as_ref().map_or(0, |lower| keys.lower_bound(lower));
    start..range.upper.as_ref().map_or(rows.len(), |upper| keys.lower_bound(upper)).max(start)
}
