//! From decoded columns to the chunks that a reader hands out, and what both formats keep in the cache.
//!
//! Called by the readers of both formats. Promises: a chunk holds what its file says, or there is an error: sequences and
//! operations are checked, and no row is handed out that the snapshot must not see.

use crate::cache::Weigh;
use crate::error::{Error, Result};
use crate::iter::{RowChunk, Sequences};
use crate::key::{KeyRows, MAX_SEQUENCE, Sequence};
use crate::schema::{OPERATION_FIELD_ID, SEQUENCE_FIELD_ID, TableSchema};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_buffer::{BooleanBuffer, OffsetBuffer};
use arrow_schema::{DataType, Schema, SchemaRef};
use std::cmp::Ordering;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The cache of decoded columns and keys that the readers of a database's tables share.
pub type RowCache = crate::cache::BlockCache<RowBlock>;

/// Something decoded: a column of a group, or of a page of it, or the keys of its rows.
pub enum RowBlock {
    /// Values of one stored column.
    Column(ArrayRef),
    /// The encoded keys.
    Keys(KeyRows),
}

impl Weigh for RowBlock {
    fn weight_bytes(&self) -> usize {
        let held = match self {
            Self::Column(array) => array.get_array_memory_size(),
            Self::Keys(keys) => keys.memory_bytes(),
        };
        size_of::<Self>() + held
    }
}

/// Which columns a chunk has: from the ids that were asked for.
#[derive(Debug, Clone)]
pub struct Projection {
    /// The schema of the chunks' batches.
    pub schema: SchemaRef,
    /// For each of its columns, the index in the stored schema.
    pub columns: Vec<usize>,
}

impl Projection {
    /// The columns with these ids, in this order. InvalidArgument if one is unknown or named twice.
    pub fn new(schema: &TableSchema, ids: &[u32]) -> Result<Self> {
        let mut columns = Vec::with_capacity(ids.len());
        for id in ids {
            let found = match *id {
                SEQUENCE_FIELD_ID => Some(schema.columns().len()),
                OPERATION_FIELD_ID if schema.is_keyed() => Some(schema.columns().len() + 1),
                id => schema.columns().iter().position(|column| column.id == id),
            };
            match found {
                Some(index) if !columns.contains(&index) => columns.push(index),
                Some(_) => return Err(Error::invalid(format!("a scan names the column with id {id} twice"))),
                None => {
                    return Err(Error::invalid(format!("a scan names a column with id {id}, which the table has not")));
                }
            }
        }
        let fields: Vec<_> = columns.iter().map(|&index| schema.stored().fields()[index].clone()).collect();
        Ok(Self { schema: Arc::new(Schema::new(fields)), columns })
    }
}

/// Decoded rows of one group, or of a stretch of it.
pub struct StoredRows {
    schema: SchemaRef,
    columns: Vec<ArrayRef>,
    keys: Option<KeyRows>,
    sequences: Sequences,
    operations: Option<ArrayRef>,
    rows: usize,
}

impl StoredRows {
    /// Rows from their decoded parts: the columns of `schema`, the keys in a keyed table, and `operations` (the column `_op`)
    /// unless none is a delete. The error says what is wrong with them.
    #[cfg(feature = "parquet")]
    pub fn new(
        schema: SchemaRef,
        columns: Vec<ArrayRef>,
        keys: Option<KeyRows>,
        sequences: Sequences,
        operations: Option<ArrayRef>,
        rows: usize,
    ) -> std::result::Result<Self, &'static str> {
        operations.as_ref().map_or(Ok(()), |operations| check_operations(operations))?;
        Self::from_checked(schema, columns, keys, sequences, operations, rows)
    }

    /// The same from operations that went through [`check_operations`] when they were decoded: a lookup in a cached group must not
    /// look at all its rows.
    pub fn from_checked(
        schema: SchemaRef,
        columns: Vec<ArrayRef>,
        keys: Option<KeyRows>,
        sequences: Sequences,
        operations: Option<ArrayRef>,
        rows: usize,
    ) -> std::result::Result<Self, &'static str> {
        let fits = columns.len() == schema.fields().len()
            && columns.iter().all(|column| column.len() == rows)
            && keys.as_ref().is_none_or(|keys| keys.len() == rows)
            && operations.as_ref().is_none_or(|operations| operations.len() == rows)
            && match &sequences {
                Sequences::Same(_) => true,
                Sequences::Each(sequences) => sequences.len() == rows,
            };
        if !fits {
            return Err("group of a table whose columns have different lengths");
        }
        Ok(Self { schema, columns, keys, sequences, operations, rows })
    }

    /// The columns of the schema.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "Arrow IPC has columns without rows around them"))]
    pub fn columns(&self) -> &[ArrayRef] {
        &self.columns
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// The encoded keys; `None` in an append-only table.
    pub fn keys(&self) -> Option<&KeyRows> {
        self.keys.as_ref()
    }

    /// The first row of all that is a version of `key` at or below `snapshot`; `None` in an append-only table.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "Arrow IPC looks rows up by its key index"))]
    pub fn find(&self, key: &[u8], snapshot: Sequence) -> Option<usize> {
        find(self.keys.as_ref()?, 0..self.rows, key, |row| self.sequences.get(row), snapshot)
    }

    /// A chunk of `rows`, without those of a greater sequence than `at_most`; `None` if none is left. Panics if there are no
    /// such rows.
    pub fn chunk(&self, rows: Range<usize>, at_most: Option<Sequence>, path: &Path) -> Result<Option<RowChunk>> {
        let (offset, len) = (rows.start, rows.len());
        let columns = self.columns.iter().map(|column| column.slice(offset, len)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(len));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| malformed(path, &error))?;
        let chunk = RowChunk {
            batch,
            keys: self.keys.as_ref().map(|keys| keys.slice(offset, len)),
            sequences: self.sequences.slice(offset, len),
            deletes: self.operations.as_ref().and_then(|operations| deletes(&operations.slice(offset, len))),
        };
        match at_most {
            Some(at_most) => visible(chunk, at_most).map_err(|error| malformed(path, &error)),
            None => Ok(Some(chunk)).map(|chunk| chunk.filter(|chunk| !chunk.is_empty())),
        }
    }

    /// The row at `row` in memory of its own. Panics if there is no such row.
    pub fn single(&self, row: usize, path: &Path) -> Result<RowChunk> {
        let index = UInt32Array::from(vec![row as u32]);
        let take = |column: &ArrayRef| arrow_select::take::take(column, &index, None).map(unpinned);
        let columns = self.columns.iter().map(take).collect::<std::result::Result<Vec<_>, _>>();
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let batch = columns
            .and_then(|columns| RecordBatch::try_new_with_options(self.schema.clone(), columns, &options))
            .map_err(|error| malformed(path, &error))?;
        let keys = self.keys.as_ref().map(|keys| single_key(keys, row));
        let sequences = Sequences::Same(self.sequences.get(row));
        let is_delete =
            self.operations.as_ref().is_some_and(|operations| operations.as_primitive::<Int8Type>().value(row) == 1);
        Ok(RowChunk { batch, keys, sequences, deletes: is_delete.then(|| BooleanBuffer::new_set(1)) })
    }
}

/// The same values without the bytes of others: views share the buffers that they were taken from.
pub fn unpinned(array: ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        _ => array,
    }
}

fn malformed(path: &Path, error: &arrow_schema::ArrowError) -> Error {
    Error::corruption(path, 0, format!("rows of a table do not fit its schema: {error}"))
}

/// Checks a column `_op`. The error says what is wrong with it.
pub fn check_operations(column: &dyn Array) -> std::result::Result<(), &'static str> {
    let values = column.as_primitive_opt::<Int8Type>().ok_or("operations of a table that are no Int8")?;
    match values.null_count() > 0 || values.values().iter().any(|value| !(0..=1).contains(value)) {
        true => Err("row of a table with an unknown operation"),
        false => Ok(()),
    }
}

/// The sequences in a column `_seq`. The error says what is wrong with them.
pub fn sequences(column: &dyn Array) -> std::result::Result<Sequences, &'static str> {
    let sequences = checked_sequences(column)?;
    let limit = MAX_SEQUENCE as i64;
    match &sequences {
        Sequences::Each(values) if values.iter().any(|value| !(0..=limit).contains(value)) => {
            Err("row of a table with an impossible sequence")
        }
        _ => Ok(sequences),
    }
}

/// As [`sequences`], for a column that went through it when it was decoded.
pub fn checked_sequences(column: &dyn Array) -> std::result::Result<Sequences, &'static str> {
    let values = column.as_primitive_opt::<Int64Type>().ok_or("sequences of a table that are no Int64")?;
    match values.null_count() {
        0 => Ok(Sequences::Each(values.values().clone())),
        _ => Err("row of a table without a sequence"),
    }
}

/// The first row of `rows` that is a version of `key` at or below `snapshot`.
/// Requires: keys rise and, within a key, sequences fall.
pub fn find(
    keys: &KeyRows,
    rows: Range<usize>,
    key: &[u8],
    sequence: impl Fn(usize) -> Sequence,
    snapshot: Sequence,
) -> Option<usize> {
    let mut row = rows.start + keys.slice(rows.start, rows.len()).lower_bound(key);
    while row < rows.end && keys.compare_to(row, key) == Ordering::Equal {
        if sequence(row) <= snapshot {
            return Some(row);
        }
        row += 1;
    }
    None
}

fn deletes(operations: &dyn Array) -> Option<BooleanBuffer> {
    let values = operations.as_primitive::<Int8Type>().values();
    let deletes = BooleanBuffer::collect_bool(values.len(), |row| values[row] != 0);
    (deletes.count_set_bits() > 0).then_some(deletes)
}

fn visible(chunk: RowChunk, at_most: Sequence) -> std::result::Result<Option<RowChunk>, arrow_schema::ArrowError> {
    let mask = match &chunk.sequences {
        Sequences::Same(sequence) if *sequence > at_most => return Ok(None),
        Sequences::Same(_) => return Ok(Some(chunk).filter(|chunk| !chunk.is_empty())),
        Sequences::Each(sequences) => {
            BooleanBuffer::collect_bool(sequences.len(), |row| sequences[row] as Sequence <= at_most)
        }
    };
    let count = mask.count_set_bits();
    if count == 0 || count == chunk.len() {
        return Ok((count > 0).then_some(chunk));
    }
    let rows: Vec<usize> = mask.set_indices().collect();
    let batch = arrow_select::filter::filter_record_batch(&chunk.batch, &BooleanArray::from(mask))?;
    Ok(Some(RowChunk {
        batch,
        keys: chunk.keys.as_ref().map(|keys| select_keys(keys, &rows)),
        sequences: match &chunk.sequences {
            Sequences::Same(sequence) => Sequences::Same(*sequence),
            Sequences::Each(sequences) => Sequences::Each(rows.iter().map(|&row| sequences[row]).collect()),
        },
        deletes: chunk.deletes.as_ref().map(|deletes| rows.iter().map(|&row| deletes.value(row)).collect()),
    }))
}

fn select_keys(keys: &KeyRows, rows: &[usize]) -> KeyRows {
    match keys {
        KeyRows::Fixed { width, heads } => {
            KeyRows::Fixed { width: *width, heads: rows.iter().map(|&row| heads[row]).collect() }
        }
        KeyRows::Bytes { .. } => {
            let mut scratch = [0; 8];
            let mut data = Vec::new();
            let mut lengths = Vec::with_capacity(rows.len());
            for &row in rows {
                let key = keys.bytes(row, &mut scratch);
                data.extend_from_slice(key);
                lengths.push(key.len());
            }
            KeyRows::Bytes { offsets: OffsetBuffer::from_lengths(lengths), data: data.into() }
        }
    }
}

fn single_key(keys: &KeyRows, row: usize) -> KeyRows {
    select_keys(keys, &[row])
}
