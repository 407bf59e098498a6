//! Which columns of a row group are decoded for a request, and how decoded columns become rows.
//!
//! Called by scans and lookups. What the index already knows is not decoded: `_seq` where all rows of a group have one sequence,
//! `_op` where none is a delete.

use super::super::row_file::{GroupStats, Projection, StoredRows, sequences};
use crate::iter::Sequences;
use crate::key::KeyRows;
use crate::schema::TableSchema;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, cast::AsArray};

/// The root columns behind some rows of a group.
pub struct Columns {
    sequence: Option<usize>,
    operation: Option<usize>,
    /// The columns asked for.
    asked: Vec<usize>,
}

impl Columns {
    /// Those of `projection`, of a group.
    pub fn new(schema: &TableSchema, group: &GroupStats, projection: &Projection) -> Self {
        let user_columns = schema.columns().len();
        Self {
            sequence: (group.smallest_sequence != group.largest_sequence).then_some(user_columns),
            operation: (schema.is_keyed() && group.tombstones > 0).then_some(user_columns + 1),
            asked: projection.columns.clone(),
        }
    }

    /// All of them but those of the key, rising, each once.
    pub fn values(&self) -> Vec<usize> {
        rising(self.asked.iter().copied().chain(self.sequence).chain(self.operation))
    }

    /// All of them, rising, each once.
    pub fn with_key(&self, schema: &TableSchema) -> Vec<usize> {
        rising(self.values().into_iter().chain(schema.key().iter().copied()))
    }

    /// Checks what was just decoded; what comes from the cache was checked on its way there. The error says what is wrong.
    pub fn check<'a>(&self, decoded: impl Fn(usize) -> Option<&'a ArrayRef>) -> std::result::Result<(), &'static str> {
        match self.sequence.and_then(decoded) {
            Some(column) => sequences(column).map(drop),
            None => Ok(()),
        }
    }

    /// Rows from their columns, which `decoded` has by root, and their keys. The error says what is wrong with them.
    pub fn rows<'a>(
        &self,
        group: &GroupStats,
        projection: &Projection,
        keys: Option<KeyRows>,
        decoded: impl Fn(usize) -> Option<&'a ArrayRef>,
        count: usize,
    ) -> std::result::Result<StoredRows, &'static str> {
        let column = |root: usize| decoded(root).cloned().ok_or("column of a table that was not decoded");
        let sequences = match self.sequence {
            None => Sequences::Same(group.smallest_sequence),
            Some(root) => {
                let column = column(root)?;
                let values = column.as_primitive_opt::<Int64Type>().ok_or("sequences of a table that are no Int64")?;
                Sequences::Each(values.values().clone())
            }
        };
        let operations = self.operation.map(column).transpose()?;
        let columns = self.asked.iter().map(|&root| column(root)).collect::<std::result::Result<_, _>>()?;
        StoredRows::new(projection.schema.clone(), columns, keys, sequences, operations, count)
    }
}

/// The numbers in order, each once.
fn rising(numbers: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}
