//! Checks that the rows of a Parquet row file are what its index says.
//!
//! Called by the reader's `verify`, after every checksum was found right: what is found here is a bug or a forgery.

use super::super::Access;
use super::super::row_file::{GroupStats, RowFileScan};
use super::reader::ParquetReader;
use crate::error::Result;
use crate::filter::key_hash;
use crate::iter::{RowChunk, RowSource};
use crate::key::{KeyRange, Sequence};
use std::sync::Arc;

/// What was seen of a group.
#[derive(Default)]
struct Seen {
    rows: usize,
    tombstones: usize,
    smallest_sequence: Option<Sequence>,
    largest_sequence: Sequence,
    /// Key and sequence of the last row, of this group or the one before.
    last: Option<(Vec<u8>, Sequence)>,
}

/// Decodes all rows of the file and compares them with the index; what does not fit is Corruption.
pub fn verify_rows(reader: &Arc<ParquetReader>) -> Result<()> {
    let columns: Vec<u32> = reader.schema().columns().iter().map(|column| column.id).collect();
    let mut last = None;
    for (group, stats) in reader.groups().iter().enumerate() {
        let scan = RowFileScan { groups: Some(vec![group]), access: Access::Scan, ..RowFileScan::of(columns.clone()) };
        let mut seen = Seen { last, ..Seen::default() };
        let mut rows: Box<dyn RowSource> = reader.scan(scan)?;
        while let Some(chunk) = rows.next_chunk()? {
            let wrong = seen.take(reader, group, stats, &chunk);
            if let Some(wrong) = wrong {
                return Err(reader.bad(&format!("row group {group}: {wrong}")));
            }
        }
        let counted = seen.rows == stats.rows
            && seen.tombstones == stats.tombstones
            && seen.smallest_sequence == Some(stats.smallest_sequence)
            && seen.largest_sequence == stats.largest_sequence;
        let ended = !reader.schema().is_keyed() || seen.last.as_ref().is_some_and(|(key, _)| *key == stats.last_key);
        if !counted || !ended {
            return Err(reader.bad(&format!("row group {group} is not what the index says of it")));
        }
        last = seen.last;
    }
    Ok(())
}

impl Seen {
    /// Takes rows of a group in; returns what is wrong with them.
    fn take(
        &mut self,
        reader: &ParquetReader,
        group: usize,
        stats: &GroupStats,
        chunk: &RowChunk,
    ) -> Option<&'static str> {
        for row in 0..chunk.len() {
            let sequence = chunk.sequences.get(row);
            self.smallest_sequence = Some(self.smallest_sequence.map_or(sequence, |least| least.min(sequence)));
            self.largest_sequence = self.largest_sequence.max(sequence);
            self.tombstones += usize::from(chunk.is_delete(row));
        }
        let mut scratch = [0; 8];
        for row in 0..chunk.keys.as_ref().map_or(0, |keys| keys.len()) {
            let Some(keys) = &chunk.keys else { break };
            let key = keys.bytes(row, &mut scratch);
            let sequence = chunk.sequences.get(row);
            if let Some((before, before_sequence)) = &self.last
                && (before.as_slice() > key || (before.as_slice() == key && *before_sequence <= sequence))
            {
                return Some("rows out of order");
            }
            if !reader.index().filter.may_contain(key_hash(key)) {
                return Some("a key that the filter denies");
            }
            if self.rows == 0 && row == 0 && stats.first_key != key {
                return Some("the first key is another one");
            }
            if (self.rows + row).is_multiple_of(reader.index().page_rows) {
                let point = KeyRange { lower: Some(key.to_vec()), upper: Some([key, &[0]].concat()) };
                let place = self.rows + row;
                if !reader.index().rows_in(&point).iter().any(|(at, rows)| *at == group && rows.contains(&place)) {
                    return Some("a key that the key index does not lead to");
                }
            }
            match &mut self.last {
                Some((before, before_sequence)) => {
                    before.clear();
                    before.extend_from_slice(key);
                    *before_sequence = sequence;
                }
                None => self.last = Some((key.to_vec(), sequence)),
            }
        }
        self.rows += chunk.len();
        None
    }
}
