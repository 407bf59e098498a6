//! Walks rows of a Parquet row file in order, group by group.
//!
//! Called by merges and scans through [`RowSource`]. Reads past the cache in long stretches, or page by page through it; either way
//! only pages that the key index could not rule out. Rows that would take more memory than the scan may hold are decoded piece by
//! piece, each by a decoder of its own that goes with its piece.

use super::super::row_file::{Projection, RowFileScan, Screen, StoredRows, common, unpinned};
use super::super::{Access, Io};
use super::columns::Columns;
use super::decode::GroupDecoder;
use super::reader::ParquetReader;
use crate::error::Result;
use crate::iter::{RowChunk, RowSource, copied};
use crate::key::{KeyRange, MAX_SEQUENCE, Sequence};
use arrow_array::ArrayRef;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Rows of a group that a condition is asked about at once, about.
const SCREENED_ROWS: usize = 64 << 10;

/// One walk over a file.
pub struct ParquetScan {
    reader: Arc<ParquetReader>,
    projection: Projection,
    scan: RowFileScan,
    /// Rows of groups that are still to be read; whole pages.
    stretches: VecDeque<(usize, Range<usize>)>,
    /// Those of them that come next and are wanted, as far as a condition tells; whole pages.
    wanted: VecDeque<(usize, Range<usize>)>,
    screen: Option<Screen>,
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

/// Rows that were decoded, before any is left out.
struct Decoded {
    group: usize,
    rows: StoredRows,
    /// The only ones that are meant, where the others lie in a cached page and must not be held with them.
    only: Option<Range<usize>>,
}

struct Stretch {
    group: usize,
    /// Rows that are still to come.
    left: usize,
    /// Whether its rows may hold on to nothing else.
    is_piece: bool,
    columns: Columns,
    /// Whether the keys are needed.
    keys: bool,
    roots: Vec<usize>,
    decoder: GroupDecoder,
}

impl ParquetScan {
    /// A walk over the rows of `scan`, whose columns are those of `projection`.
    pub fn new(reader: Arc<ParquetReader>, projection: Projection, scan: RowFileScan) -> Result<Self> {
        let screen = Screen::new(reader.schema(), &scan, &projection)?;
        let snapshot = scan.sequences_at_most.unwrap_or(MAX_SEQUENCE);
        let mut stretches = VecDeque::from(match reader.schema().is_keyed() && scan.range.is_empty() {
            true => Vec::new(),
            false => reader.index().rows_in(&scan.range),
        });
        stretches.retain(|(group, _)| {
            reader.groups()[*group].smallest_sequence <= snapshot
                && scan.groups.as_ref().is_none_or(|groups| groups.contains(group))
        });
        if let Some(kept) = &scan.rows {
            stretches.iter_mut().for_each(|(_, rows)| *rows = common(rows, kept));
            stretches.retain(|(_, rows)| !rows.is_empty());
        }
        Ok(Self {
            reader,
            projection,
            scan: RowFileScan { batch_rows: scan.batch_rows.max(1), ..scan },
            stretches,
            wanted: VecDeque::new(),
            screen,
            current: None,
            rest: None,
        })
    }

    /// Finds out which of the next rows are wanted; false at the end.
    fn advance(&mut self) -> Result<bool> {
        let Some((group, rows)) = self.stretches.front_mut() else { return Ok(false) };
        let (group, page_rows) = (*group, self.reader.index().page_rows);
        let Some(screen) = self.screen.as_ref().filter(|screen| screen.pays()) else {
            self.wanted.extend(self.stretches.pop_front());
            return Ok(true);
        };
        // Not all of a large group before anything of it is handed out, nor more than may be held.
        let held = self.scan.held_rows(self.reader.schema(), screen.projection(), &self.reader.groups()[group]);
        let most = SCREENED_ROWS.min(held).next_multiple_of(page_rows);
        let end = (rows.start - rows.start % page_rows + most).min(rows.end);
        let asked = rows.start..end;
        rows.start = end;
        if rows.start >= rows.end {
            self.stretches.pop_front();
        }
        let wanted = &mut self.wanted;
        let mut ask = |part: Range<usize>, columns: Vec<ArrayRef>| -> Result<()> {
            if screen.admits(columns, part.len())? {
                match wanted.back_mut() {
                    Some((last, before)) if *last == group && before.end == part.start => before.end = part.end,
                    _ => wanted.push_back((group, part)),
                }
            }
            Ok(())
        };
        let columns = &screen.projection().columns;
        if self.scan.access == Access::Scan {
            let mut roots = columns.clone();
            roots.sort_unstable();
            let mut decoder = self.reader.decoder(group, asked.clone(), &roots, page_rows.min(held))?;
            let mut start = asked.start;
            while let Some(batch) = decoder.next_batch()? {
                let end = start + batch.num_rows();
                let place = |column: &usize| roots.binary_search(column).ok();
                let own = columns.iter().filter_map(place).map(|place| batch.column(place).clone()).collect();
                ask(start..end, own)?;
                start = end;
            }
            if start != asked.end {
                return Err(self.reader.bad("pages of a table with fewer rows than their group says"));
            }
        } else {
            for page in self.reader.pages_of(&asked) {
                let part = common(&(page * page_rows..(page + 1) * page_rows), &asked);
                let rows = self.reader.page(group, page, screen.projection(), Io::Allowed)?;
                ask(part, rows.map(|rows| rows.columns().to_vec()).unwrap_or_default())?;
            }
        }
        Ok(true)
    }

    /// Decodes some rows of a group; `None` at the end.
    fn decode(&mut self) -> Result<Option<Decoded>> {
        loop {
            if let Some(stretch) = &mut self.current {
                let (group, next) = (stretch.group, stretch.next(&self.reader, &self.projection)?);
                if next.is_none() || stretch.left == 0 {
                    self.current = None;
                }
                if let Some(rows) = next {
                    return Ok(Some(Decoded { group, rows, only: None }));
                }
            }
            let Some((group, rows)) = self.wanted.front_mut() else {
                if self.advance()? {
                    continue;
                }
                return Ok(None);
            };
            let group = *group;
            let stats = &self.reader.groups()[group];
            let held = self.scan.held_rows(self.reader.schema(), &self.projection, stats);
            let page_rows = self.reader.index().page_rows;
            if self.scan.access == Access::Scan {
                let mut columns = Columns::new(self.reader.schema(), stats, &self.projection);
                if !self.scan.needs_sequences() {
                    columns = columns.without_sequences();
                }
                let keys = self.reader.schema().is_keyed() && self.scan.needs_keys(stats);
                let roots = if keys { columns.with_key(self.reader.schema()) } else { columns.values() };
                if roots.is_empty() {
                    // Nothing to decode: the index knows how many rows there are.
                    let count = rows.len();
                    self.wanted.pop_front();
                    let rows = columns.rows(stats, &self.projection, None, |_| None, count);
                    let rows = rows.map_err(|message| self.reader.bad(message))?;
                    return Ok(Some(Decoded { group, rows, only: None }));
                }
                let is_piece = rows.len() > held;
                let piece = rows.start..if is_piece { piece_end(rows, held, page_rows) } else { rows.end };
                rows.start = piece.end;
                if rows.start >= rows.end {
                    self.wanted.pop_front();
                }
                let (left, batch_rows) = (piece.len(), if is_piece { piece.len() } else { self.scan.batch_rows });
                let decoder = self.reader.decoder(group, piece, &roots, batch_rows)?;
                self.current = Some(Stretch { group, left, is_piece, columns, keys, roots, decoder });
                continue;
            }
            let page = self.reader.pages_of(rows).start;
            let page_start = page * page_rows;
            let piece = rows.start..rows.end.min(page_start + page_rows);
            let end = if piece.len() > held { piece.start + held.min(self.scan.batch_rows) } else { piece.end };
            let is_part = piece.start > page_start || end < piece.end;
            let only = is_part.then(|| piece.start - page_start..end - page_start);
            rows.start = end;
            if rows.start >= rows.end {
                self.wanted.pop_front();
            }
            if let Some(rows) = self.reader.page(group, page, &self.projection, Io::Allowed)? {
                return Ok(Some(Decoded { group, rows, only }));
            }
        }
    }

    /// The next rows that were asked for.
    fn next(&mut self) -> Result<Option<RowChunk>> {
        loop {
            if let Some(rest) = self.rest.as_mut().filter(|rest| !rest.left.is_empty()) {
                let now = rest.left.start..rest.left.end.min(rest.left.start + self.scan.batch_rows);
                rest.left.start = now.end;
                match rest.rows.chunk(now, rest.at_most, self.reader.path())? {
                    Some(chunk) => return Ok(Some(chunk)),
                    None => continue,
                }
            }
            self.rest = None;
            let Some(Decoded { group, rows, only }) = self.decode()? else { return Ok(None) };
            let largest = self.reader.groups()[group].largest_sequence;
            let at_most = self.scan.sequences_at_most.filter(|&at_most| at_most < largest);
            let left = in_range(&rows, &self.scan.range);
            let Some(only) = only else {
                self.rest = Some(Rest { rows, left, at_most });
                continue;
            };
            let now = left.start.max(only.start)..left.end.min(only.end);
            if now.is_empty() {
                continue;
            }
            if let Some(chunk) = rows.chunk(now, at_most, self.reader.path())? {
                return copied(&chunk).map(Some);
            }
        }
    }
}

impl Stretch {
    /// The next rows of the stretch; `None` after the last.
    fn next(&mut self, reader: &ParquetReader, projection: &Projection) -> Result<Option<StoredRows>> {
        let Some(batch) = self.decoder.next_batch()? else { return Ok(None) };
        self.left = self.left.saturating_sub(batch.num_rows());
        let own = |array: &ArrayRef| if self.is_piece { unpinned(array.clone()) } else { array.clone() };
        let batch_columns: Vec<ArrayRef> = batch.columns().iter().map(own).collect();
        let column = |root: usize| self.roots.binary_search(&root).ok().map(|place| &batch_columns[place]);
        let keys = match reader.schema().key() {
            key if key.is_empty() || !self.keys => None,
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
            self.wanted.clear();
            self.current = None;
            self.rest = None;
        })
    }
}

/// Where a piece of `held` of these rows ends: with a page if it can have a whole one, else within its first.
fn piece_end(rows: &Range<usize>, held: usize, page_rows: usize) -> usize {
    let end = rows.start.saturating_add(held);
    let of_pages = end - end % page_rows;
    let end = if of_pages > rows.start { of_pages } else { end };
    end.min(rows.end)
}

/// Which of the rows lie in `range`; all of them in an append-only table.
fn in_range(rows: &StoredRows, range: &KeyRange) -> Range<usize> {
    let Some(keys) = rows.keys() else { return 0..rows.len() };
    let start = range.lower.as_ref().map_or(0, |lower| keys.lower_bound(lower));
    start..range.upper.as_ref().map_or(rows.len(), |upper| keys.lower_bound(upper)).max(start)
}
