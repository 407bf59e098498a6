//! Walks rows of a Parquet row file in order, group by group.
//!
//! Called by merges and scans through [`RowSource`]. Reads past the cache in long stretches, or page by page through it; either way
//! only pages that the key index could not rule out.

use super::super::row_file::{RowFileScan, at_most, in_range};
use super::super::{Access, Io};
use super::decode::GroupDecoder;
use super::projection::{Projection, batch_of, output_schema};
use super::reader::{Page, ParquetReader};
use crate::error::Result;
use crate::iter::{RowChunk, RowSource};
use crate::key::MAX_SEQUENCE;
use arrow_schema::SchemaRef;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// One walk over a file.
pub struct ParquetScan {
    reader: Arc<ParquetReader>,
    scan: RowFileScan,
    /// The columns asked for, as indexes into the schema's, and the schema that they make.
    columns: Vec<usize>,
    schema: SchemaRef,
    /// Rows of groups that are still to be read.
    stretches: VecDeque<(usize, Range<usize>)>,
    /// The stretch that is being decoded, past the cache.
    current: Option<Current>,
    /// Rows that were decoded at once and are handed out in pieces.
    rest: Option<RowChunk>,
}

struct Current {
    group: usize,
    projection: Projection,
    decoder: GroupDecoder,
}

impl ParquetScan {
    /// A walk over the rows of `scan`, whose columns are at `columns` in the schema.
    pub fn new(reader: Arc<ParquetReader>, columns: Vec<usize>, mut scan: RowFileScan) -> Self {
        scan.batch_rows = scan.batch_rows.max(1);
        let snapshot = scan.sequences_at_most.unwrap_or(MAX_SEQUENCE);
        let mut stretches = VecDeque::from(match scan.range.is_empty() && reader.schema().is_keyed() {
            true => Vec::new(),
            false => reader.index().rows_in(&scan.range),
        });
        stretches.retain(|(group, _)| {
            reader.groups()[*group].smallest_sequence <= snapshot
                && scan.groups.as_ref().is_none_or(|groups| groups.contains(group))
        });
        let schema = output_schema(reader.schema(), &columns);
        Self { reader, scan, columns, schema, stretches, current: None, rest: None }
    }

    /// Some rows of the file, before anything is left out; `None` at the end.
    fn decode(&mut self) -> Result<Option<(usize, RowChunk)>> {
        loop {
            if let Some(current) = &mut self.current {
                let Some(batch) = current.decoder.next_batch()? else {
                    self.current = None;
                    continue;
                };
                let stats = &self.reader.groups()[current.group];
                let marks = current.projection.marks(self.reader.schema(), stats, &batch);
                let marks = marks.map_err(|why| why.in_file(self.reader.path()))?;
                let columns = current.projection.outputs(&batch);
                let (keys, sequences, deletes) = (marks.keys, marks.sequences, marks.deletes);
                let batch = batch_of(&self.schema, columns, batch.num_rows())?;
                return Ok(Some((current.group, RowChunk { batch, keys, sequences, deletes })));
            }
            let Some((group, rows)) = self.stretches.front_mut() else { return Ok(None) };
            let group = *group;
            if self.scan.access == Access::Scan {
                let projection = Projection::new(self.reader.schema(), &self.reader.groups()[group], &self.columns);
                if !projection.roots().is_empty() {
                    let decoder = self.reader.decoder(group, rows.clone(), &projection, self.scan.batch_rows)?;
                    self.current = Some(Current { group, projection, decoder });
                    self.stretches.pop_front();
                    continue;
                }
            }
            let page = self.reader.pages_of(rows).start;
            rows.start = rows.end.min((page + 1) * self.reader.index().page_rows);
            if rows.is_empty() {
                self.stretches.pop_front();
            }
            let Some(Page { marks, columns }) = self.reader.page(group, page, &self.columns, Io::Allowed)? else {
                continue;
            };
            let count = self.reader.page_rows_of(group, page);
            let (keys, sequences, deletes) = (marks.keys, marks.sequences, marks.deletes);
            let batch = batch_of(&self.schema, columns, count)?;
            return Ok(Some((group, RowChunk { batch, keys, sequences, deletes })));
        }
    }

    /// The next rows that were asked for.
    fn next(&mut self) -> Result<Option<RowChunk>> {
        loop {
            if let Some(rest) = self.rest.take() {
                if rest.len() <= self.scan.batch_rows {
                    return Ok(Some(rest));
                }
                let now = rest.slice(0, self.scan.batch_rows);
                self.rest = Some(rest.slice(now.len(), rest.len() - now.len()));
                return Ok(Some(now));
            }
            let Some((group, chunk)) = self.decode()? else { return Ok(None) };
            let stats = &self.reader.groups()[group];
            let Some(chunk) = in_range(chunk, &self.scan.range) else { continue };
            self.rest = match self.scan.sequences_at_most {
                Some(snapshot) if stats.largest_sequence > snapshot => at_most(chunk, snapshot)?,
                _ => Some(chunk),
            };
        }
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
