//! Gathers the index of a file while its rows go by: order, counts, key range, filter, key index, bounds of each group.
//!
//! Called by the writers of both formats, which say where groups end. Promises: rows that are refused change nothing; what the
//! index says is true of the rows taken.

use super::super::block_file::{HASH_VERSION, Properties};
use super::super::{Compression, SstIdentity};
use super::RowFileSummary;
use super::bounds::RawBounds;
use super::groups::{RawGroup, values};
use super::index_blob::{Blob, encode};
use super::key_index::KeyIndex;
use super::options::{RowFileOptions, RowFormat, StatsHook};
use super::strides::Strides;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{FilterBuilder, key_hash};
use crate::iter::{RowChunk, Sequences};
use crate::key::{KeyRows, MAX_KEY_BYTES, MAX_SEQUENCE, Sequence};
use crate::schema::TableSchema;
use arrow_array::{Array, ArrayRef, BooleanArray, Int8Array, Int64Array, RecordBatch, RecordBatchOptions};
use arrow_buffer::{BooleanBuffer, ScalarBuffer};
use arrow_schema::DataType;
use std::cmp::Ordering;
use std::sync::Arc;

/// The index of one file in the making. One thread at a time.
pub struct IndexBuilder {
    identity: SstIdentity,
    schema: Arc<TableSchema>,
    level: u32,
    format: RowFormat,
    compression: Compression,
    page_rows: usize,
    hook: Option<Box<dyn StatsHook>>,
    groups: Vec<RawGroup>,
    /// The group that is being filled.
    group: RawGroup,
    keys: KeyIndex,
    /// Of the keys; without bits in a table that has none.
    filter: FilterBuilder,
    /// Key and sequence of the last row.
    last: Option<(Vec<u8>, Sequence)>,
    smallest: Vec<u8>,
    multi_version: bool,
}

impl IndexBuilder {
    /// The index of a file without rows yet. NoMemory if a filter for as many as are expected is too large.
    pub fn new(identity: SstIdentity, schema: Arc<TableSchema>, level: u32, options: &RowFileOptions) -> Result<Self> {
        let mut filter = FilterBuilder::new(if schema.is_keyed() { options.bloom_bits_per_key() } else { 0 });
        if let Some(rows_max) = options.rows_max {
            filter.expect(rows_max)?;
        }
        Ok(Self {
            group: RawGroup::new(schema.columns().len()),
            filter,
            identity,
            schema,
            level,
            format: options.format,
            compression: options.compression,
            page_rows: options.page_rows.clamp(1, 1 << 20),
            hook: options.stats_hook.as_ref().map(|make| make()),
            groups: Vec::new(),
            keys: KeyIndex::default(),
            last: None,
            smallest: Vec::new(),
            multi_version: false,
        })
    }

    /// Rows of the group that is being filled.
    pub fn group_rows(&self) -> usize {
        self.group.rows as usize
    }

    /// Takes the next rows of the group; returns them as they are stored: the user's columns, nulls where deletes have no value,
    /// then `_seq`, then `_op` in a keyed table. InvalidArgument if they are not rows of the table or out of order.
    pub fn add(&mut self, chunk: &RowChunk) -> Result<RecordBatch> {
        let stored = self.stored(chunk)?;
        let keys = chunk.keys.as_ref();
        let multi_version = keys.map_or(Ok(false), |keys| self.check_order(keys, &chunk.sequences))?;
        let (least, greatest) = sequence_range(&chunk.sequences, chunk.len())?;
        if chunk.is_empty() {
            return Ok(stored);
        }
        self.multi_version |= multi_version;
        if let Some(keys) = keys {
            self.add_keys(keys, multi_version)?;
            let end = chunk.len() - 1;
            self.last = Some((keys.bytes(end, &mut [0; 8]).to_vec(), chunk.sequences.get(end)));
        }
        let group = &mut self.group;
        group.rows += chunk.len() as u64;
        group.tombstones += chunk.deletes.as_ref().map_or(0, |deletes| deletes.count_set_bits() as u64);
        group.smallest_sequence = group.smallest_sequence.min(least);
        group.largest_sequence = group.largest_sequence.max(greatest);
        for (bounds, column) in group.columns.iter_mut().zip(stored.columns()) {
            bounds.add(column);
        }
        if let Some(hook) = &mut self.hook {
            hook.observe(chunk);
        }
        Ok(stored)
    }

    /// Ends the group, if it has rows. `payload_bytes`: what its columns take in memory.
    pub fn end_group(&mut self, payload_bytes: u64) {
        if self.group.rows == 0 {
            return;
        }
        let mut group = std::mem::replace(&mut self.group, RawGroup::new(self.schema.columns().len()));
        group.payload_bytes = payload_bytes;
        group.last_key = self.last.as_ref().map(|(key, _)| key.clone()).unwrap_or_default();
        self.groups.push(group);
    }

    /// The encoded index and the summary; size, checksum and index offset are for the writer to add. Requires: the last group
    /// has ended.
    pub fn finish(mut self, strides: &Strides) -> Result<(Vec<u8>, RowFileSummary)> {
        let columns = self.file_bounds();
        let sum = |count: fn(&RawGroup) -> u64| self.groups.iter().map(count).sum::<u64>();
        let summary = RowFileSummary {
            rows: sum(|group| group.rows),
            tombstones: sum(|group| group.tombstones),
            payload_bytes: sum(|group| group.payload_bytes),
            smallest: std::mem::take(&mut self.smallest),
            largest: self.last.take().map(|(key, _)| key).unwrap_or_default(),
            smallest_sequence: self.groups.iter().map(|group| group.smallest_sequence).min().unwrap_or(0),
            largest_sequence: self.groups.iter().map(|group| group.largest_sequence).max().unwrap_or(0),
            multi_version: self.multi_version,
            columns: values(&columns, &self.schema)
                .ok_or_else(|| Error::new(ErrorKind::Corruption, "bounds of a column are not of its type"))?,
            ..RowFileSummary::default()
        };
        let filter = self.filter.finish()?;
        let blob = Blob {
            properties: self.properties(&summary),
            format: self.format,
            compression: self.compression,
            level: self.level,
            page_rows: self.page_rows,
            schema: &self.schema,
            strides,
            keys: &self.keys,
            filter: &filter,
            groups: &self.groups,
            statistics: self.hook.as_mut().map(|hook| hook.finish()).unwrap_or_default(),
        };
        Ok((encode(&blob), summary))
    }

    fn file_bounds(&self) -> Vec<RawBounds> {
        let mut all = vec![RawBounds::default(); self.schema.columns().len()];
        for group in &self.groups {
            for ((bounds, of_group), column) in all.iter_mut().zip(&group.columns).zip(self.schema.columns()) {
                bounds.merge(column.field.data_type(), of_group);
            }
        }
        all
    }

    fn properties(&self, summary: &RowFileSummary) -> Properties {
        Properties {
            features_compatible: 0,
            features_incompatible: 0,
            database_id: self.identity.database_id,
            epoch: self.identity.epoch,
            number: self.identity.number,
            collection: self.identity.collection,
            job: self.identity.job,
            inputs: self.identity.inputs.clone(),
            outputs: self.identity.outputs.clone(),
            entries: summary.rows,
            tombstones: summary.tombstones,
            payload_bytes: summary.payload_bytes,
            smallest: summary.smallest.clone(),
            largest: summary.largest.clone(),
            smallest_sequence: summary.smallest_sequence,
            largest_sequence: summary.largest_sequence,
            multi_version: summary.multi_version,
            hash_version: HASH_VERSION,
        }
    }

    fn stored(&self, chunk: &RowChunk) -> Result<RecordBatch> {
        let schema = &self.schema;
        let same_types = chunk.batch.num_columns() == schema.columns().len()
            && chunk.batch.columns().iter().zip(schema.columns()).all(|(a, b)| a.data_type() == b.field.data_type());
        if !same_types {
            return Err(Error::invalid("rows whose columns are not those of the table"));
        }
        let rows = chunk.len();
        let same_len = chunk.keys.as_ref().is_none_or(|keys| keys.len() == rows)
            && chunk.deletes.as_ref().is_none_or(|deletes| deletes.len() == rows)
            && match &chunk.sequences {
                Sequences::Same(_) => true,
                Sequences::Each(sequences) => sequences.len() == rows,
            };
        if !same_len || chunk.keys.is_some() != schema.is_keyed() {
            return Err(Error::invalid("rows without their keys, or with keys of other rows"));
        }
        let deletes = chunk.deletes.as_ref().filter(|deletes| deletes.count_set_bits() > 0);
        if deletes.is_some() && !schema.is_keyed() {
            return Err(Error::invalid("a delete in an append-only table"));
        }
        let mut columns: Vec<ArrayRef> = chunk.batch.columns().to_vec();
        if let Some(deletes) = deletes {
            let deletes = BooleanArray::from(deletes.clone());
            for (index, column) in columns.iter_mut().enumerate() {
                if !schema.key().contains(&index) && has_own_nulls(column.data_type()) {
                    *column = arrow_select::nullif::nullif(column, &deletes).map_err(not_storable)?;
                }
            }
        }
        columns.push(Arc::new(sequence_column(&chunk.sequences, rows)));
        if schema.is_keyed() {
            columns.push(Arc::new(operation_column(deletes, rows)));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema.stored().clone(), columns, &options).map_err(not_storable)
    }

    /// Checks that keys rise and, within a key, sequences fall; returns whether some key has several versions.
    fn check_order(&self, keys: &KeyRows, sequences: &Sequences) -> Result<bool> {
        let mut multi_version = false;
        let mut check = |order: Ordering, before: Sequence, row: usize| match order {
            Ordering::Less => true,
            Ordering::Equal => {
                multi_version = true;
                before > sequences.get(row)
            }
            Ordering::Greater => false,
        };
        let mut in_order = true;
        if let Some((key, sequence)) = &self.last
            && !keys.is_empty()
        {
            in_order = check(keys.compare_to(0, key).reverse(), *sequence, 0);
        }
        // Only where keys do not rise is there more to look at.
        keys.for_each_step(|row, order| {
            if order != Ordering::Less {
                in_order &= check(order, sequences.get(row), row + 1);
            }
        });
        if let KeyRows::Bytes { offsets, .. } = keys
            && offsets.lengths().any(|len| len > MAX_KEY_BYTES)
        {
            return Err(Error::invalid("row whose key is beyond the limit"));
        }
        if in_order {
            Ok(multi_version)
        } else {
            Err(Error::invalid("rows must come by rising key, then falling sequence"))
        }
    }

    /// `repeat`: whether some key may come more than once, or be that of the row before.
    fn add_keys(&mut self, keys: &KeyRows, repeat: bool) -> Result<()> {
        let mut scratch = [0; 8];
        let mut before_scratch = [0; 8];
        let group_rows = self.group_rows();
        if group_rows == 0 {
            self.group.first_key = keys.bytes(0, &mut scratch).to_vec();
        }
        if self.last.is_none() {
            self.smallest = keys.bytes(0, &mut scratch).to_vec();
        }
        let mut row = group_rows.next_multiple_of(self.page_rows) - group_rows;
        while row < keys.len() {
            let before = match row.checked_sub(1) {
                Some(before) => Some(keys.bytes(before, &mut before_scratch)),
                None => self.last.as_ref().map(|(key, _)| key.as_slice()),
            };
            if !self.keys.push(before, keys.bytes(row, &mut scratch)) {
                return Err(Error::invalid("table has grown beyond what its index can hold"));
            }
            row += self.page_rows;
        }
        if !self.filter.gathers() {
            return Ok(());
        }
        let continues = repeat && self.last.as_ref().is_some_and(|(key, _)| keys.compare_to(0, key) == Ordering::Equal);
        for row in 0..keys.len() {
            let repeats = match row.checked_sub(1) {
                None => continues,
                Some(before) => repeat && keys.compare(before, keys, row) == Ordering::Equal,
            };
            if !repeats {
                self.filter.add(key_hash(keys.bytes(row, &mut scratch)));
            }
        }
        Ok(())
    }
}

fn not_storable(error: arrow_schema::ArrowError) -> Error {
    Error::invalid(format!("rows cannot be stored: {error}"))
}

/// Whether arrays of this type can say themselves which rows are null.
fn has_own_nulls(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::Null | DataType::Union(..) | DataType::RunEndEncoded(..))
}

fn sequence_range(sequences: &Sequences, rows: usize) -> Result<(Sequence, Sequence)> {
    let (least, greatest) = match sequences {
        Sequences::Same(sequence) => (*sequence, *sequence),
        Sequences::Each(sequences) => {
            let of_rows = &sequences[..rows];
            let least = of_rows.iter().min().copied().unwrap_or(0);
            // A negative one becomes a huge one, and is refused with those.
            (least as Sequence, of_rows.iter().map(|&sequence| sequence as Sequence).max().unwrap_or(0))
        }
    };
    if greatest > MAX_SEQUENCE {
        return Err(Error::invalid("row with a sequence beyond the limit"));
    }
    Ok((least, greatest))
}

fn sequence_column(sequences: &Sequences, rows: usize) -> Int64Array {
    match sequences {
        Sequences::Same(sequence) => Int64Array::from(vec![*sequence as i64; rows]),
        Sequences::Each(sequences) => Int64Array::new(sequences.clone(), None),
    }
}

fn operation_column(deletes: Option<&BooleanBuffer>, rows: usize) -> Int8Array {
    let operations: ScalarBuffer<i8> = match deletes {
        None => vec![0; rows].into(),
        Some(deletes) => deletes.iter().map(i8::from).collect::<Vec<_>>().into(),
    };
    Int8Array::new(operations, None)
}
