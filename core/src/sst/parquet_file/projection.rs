//! Which columns of a row group are decoded for a request, and how decoded columns become rows.
//!
//! Called by scans and lookups. What the index already knows is not decoded: `_seq` where all rows of a group have one sequence,
//! `_op` where none is a delete.

use super::super::row_file::{GroupStats, RowMarks};
use crate::error::{Error, ErrorKind, Result};
use crate::iter::Sequences;
use crate::schema::TableSchema;
use arrow_array::types::{Int8Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, cast::AsArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{Schema, SchemaRef};
use std::sync::Arc;

/// The columns of one request, of one group.
pub struct Projection {
    roots: Vec<usize>,
    /// Where the decoded batch has the columns asked for.
    outputs: Vec<usize>,
    marks: Marks,
}

/// Where a decoded batch has what makes it rows.
struct Marks {
    /// The key's columns, in key order.
    keys: Vec<usize>,
    sequence: Option<usize>,
    operation: Option<usize>,
}

impl Projection {
    /// The columns at `columns` (indexes into the schema's) of a group, and what makes them rows.
    pub fn new(schema: &TableSchema, group: &GroupStats, columns: &[usize]) -> Self {
        let mut roots = Self::mark_roots(schema, group);
        roots.extend(columns);
        roots.sort_unstable();
        roots.dedup();
        let place = |root: usize| roots.partition_point(|&other| other < root);
        let (sequence, operation) = Self::stored_marks(schema, group);
        let marks = Marks {
            keys: schema.key().iter().map(|&column| place(column)).collect(),
            sequence: sequence.map(place),
            operation: operation.map(place),
        };
        Self { outputs: columns.iter().map(|&column| place(column)).collect(), marks, roots }
    }

    /// These columns alone.
    pub fn columns_only(columns: &[usize]) -> Self {
        let mut roots = columns.to_vec();
        roots.sort_unstable();
        roots.dedup();
        let outputs = columns.iter().map(|&column| roots.partition_point(|&other| other < column)).collect();
        Self { outputs, marks: Marks { keys: Vec::new(), sequence: None, operation: None }, roots }
    }

    fn stored_marks(schema: &TableSchema, group: &GroupStats) -> (Option<usize>, Option<usize>) {
        let user_columns = schema.columns().len();
        let sequence = (group.smallest_sequence != group.largest_sequence).then_some(user_columns);
        let operation = (schema.is_keyed() && group.tombstones > 0).then_some(user_columns + 1);
        (sequence, operation)
    }

    fn mark_roots(schema: &TableSchema, group: &GroupStats) -> Vec<usize> {
        let (sequence, operation) = Self::stored_marks(schema, group);
        schema.key().iter().copied().chain(sequence).chain(operation).collect()
    }

    /// The root columns to decode, rising; none if the index knows all that was asked.
    pub fn roots(&self) -> &[usize] {
        &self.roots
    }

    /// The columns asked for, from a batch of [`Projection::roots`].
    pub fn outputs(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        self.outputs.iter().map(|&place| batch.column(place).clone()).collect()
    }

    /// What makes rows of a batch of [`Projection::roots`].
    pub fn marks(&self, schema: &TableSchema, group: &GroupStats, batch: &RecordBatch) -> Result<RowMarks> {
        let keys = match schema.is_keyed() {
            false => None,
            true => {
                let columns: Vec<ArrayRef> =
                    self.marks.keys.iter().map(|&place| batch.column(place).clone()).collect();
                Some(schema.key_codec().encode(&columns)?)
            }
        };
        let sequences = match self.marks.sequence {
            None => Sequences::Same(group.smallest_sequence),
            Some(place) => Sequences::Each(batch.column(place).as_primitive::<Int64Type>().values().clone()),
        };
        let deletes = self.marks.operation.and_then(|place| {
            let operations = batch.column(place).as_primitive::<Int8Type>().values();
            let deletes = BooleanBuffer::collect_bool(operations.len(), |row| operations[row] != 0);
            (deletes.count_set_bits() > 0).then_some(deletes)
        });
        Ok(RowMarks { keys, sequences, deletes })
    }
}

/// The schema of batches with these columns of a file.
pub fn output_schema(schema: &TableSchema, columns: &[usize]) -> SchemaRef {
    let fields: Vec<_> = columns.iter().map(|&column| schema.stored().fields()[column].clone()).collect();
    Arc::new(Schema::new(fields))
}

/// A batch of so many rows of these columns, which may be none.
pub fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|why| Error::new(ErrorKind::Corruption, format!("decoded columns do not fit each other: {why}")))
}
