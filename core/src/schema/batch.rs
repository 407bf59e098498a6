//! Batches that callers write, made into batches of the table or refused with the column and the row.

use super::conform::{Misfit, conform};
use super::{TableColumn, TableSchema, types};
use crate::error::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UnionArray, make_array, new_null_array};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// The most rows of one batch: row numbers fit the types that sorts and merges use.
pub const MAX_BATCH_ROWS: usize = i32::MAX as usize;

/// An array that comes from outside of Rust (the C interface), of the column `name`: its type and nesting are checked first,
/// since Arrow's code panics on types that cannot be, then its lengths, offsets, UTF-8, dictionary keys, null counts and
/// unions, at every depth. Misaligned buffers are copied. The error names the column.
pub fn import_foreign(name: &str, mut data: ArrayData) -> Result<ArrayRef> {
    let invalid = |what: String| Error::invalid(format!("column {:?} is not valid Arrow: {what}", shown(name)));
    types::accept(&Field::new(name, data.data_type().clone(), true))?;
    data.align_buffers();
    data.validate_full().map_err(|error| invalid(error.to_string()))?;
    let array = make_array(data);
    validate_unions(&array).map_err(invalid)?;
    Ok(array)
}

/// Checks the arrays of a batch that was read from a foreign file or stream, as [`import_foreign`] does. Must come before
/// anything that reads values.
pub fn validate_foreign(batch: &RecordBatch) -> Result<()> {
    let mut columns = batch.schema_ref().fields().iter().zip(batch.columns());
    columns.try_for_each(|(field, column)| import_foreign(field.name(), column.to_data()).map(drop))
}

/// What Arrow's own validation leaves out: the type ids and offsets of unions.
fn validate_unions(array: &ArrayRef) -> std::result::Result<(), String> {
    use DataType as T;
    match array.data_type() {
        T::Union(fields, _) => {
            let union = array.as_union();
            let children: Vec<ArrayRef> = fields.iter().map(|(id, _)| union.child(id).clone()).collect();
            children.iter().try_for_each(validate_unions)?;
            let (ids, offsets) = (union.type_ids().clone(), union.offsets().cloned());
            UnionArray::try_new(fields.clone(), ids, offsets, children).map(drop).map_err(|error| error.to_string())
        }
        T::Struct(_) => array.as_struct().columns().iter().try_for_each(validate_unions),
        T::List(_) => validate_unions(array.as_list::<i32>().values()),
        T::LargeList(_) => validate_unions(array.as_list::<i64>().values()),
        T::ListView(_) => validate_unions(array.as_list_view::<i32>().values()),
        T::LargeListView(_) => validate_unions(array.as_list_view::<i64>().values()),
        T::FixedSizeList(..) => validate_unions(array.as_fixed_size_list().values()),
        T::Map(..) => array.as_map().entries().columns().iter().try_for_each(validate_unions),
        T::Dictionary(..) => validate_unions(array.as_any_dictionary().values()),
        _ => Ok(()),
    }
}

impl TableSchema {
    /// The batch as the table holds it: all columns in the table's order, typed as [`TableSchema::user`] says. Columns are
    /// found by name in any order; a nullable one that is missing becomes nulls; other shapes of the same values (large,
    /// view and dictionary forms, names of nested fields, zones) are converted. Refused, naming column and row: an unknown or double
    /// column, another type, a null where there may be none, a decimal of too many digits.
    ///
    /// Requires: valid arrays; those from outside of Rust go through [`validate_foreign`] first.
    pub fn check_batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.matched(batch, &(0..self.columns().len()).collect::<Vec<_>>())?;
        self.check_order(&columns)?;
        build(self.user().clone(), columns, batch.num_rows())
    }

    /// The batch of a delete: the key's columns, and no others, in key order. Refuses what [`TableSchema::check_batch`]
    /// refuses, and append-only tables.
    pub fn check_keys_batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if !self.is_keyed() {
            return Err(Error::invalid("rows of an append-only table cannot be deleted: it has no key"));
        }
        let columns = self.matched(batch, self.key())?;
        build(self.keys_schema(), columns, batch.num_rows())
    }

    /// The key's columns in key order, as in [`TableSchema::check_keys_batch`].
    pub fn keys_schema(&self) -> SchemaRef {
        let fields = self.key().iter().map(|&index| self.user().fields()[index].clone());
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The columns at `wanted`, in that order, out of a batch that may have no others.
    fn matched(&self, batch: &RecordBatch, wanted: &[usize]) -> Result<Vec<ArrayRef>> {
        if batch.num_rows() > MAX_BATCH_ROWS {
            return Err(Error::invalid(format!("a batch has at most {MAX_BATCH_ROWS} rows, not {}", batch.num_rows())));
        }
        let mut given: Vec<Option<&ArrayRef>> = vec![None; self.columns().len()];
        let mut is_wanted = vec![false; self.columns().len()];
        wanted.iter().for_each(|&index| is_wanted[index] = true);
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let name = field.name();
            let index = self.index_of(name);
            let Some(index) = index.filter(|index| is_wanted[*index]) else {
                let what = if index.is_some() { "is not in the key" } else { "is not in the table" };
                return Err(Error::invalid(format!("column {:?} {what}", shown(name))));
            };
            if given[index].replace(column).is_some() {
                return Err(Error::invalid(format!("column {name:?} is there twice")));
            }
        }
        wanted.iter().map(|&index| fit(&self.columns()[index], given[index], batch.num_rows())).collect()
    }

    /// Strings that are too long to sort by are refused now rather than when a file is written.
    fn check_order(&self, columns: &[ArrayRef]) -> Result<()> {
        let Some(codec) = self.order_codec() else { return Ok(()) };
        if codec.fields().all(|field| field.data_type.primitive_width().is_some()) {
            return Ok(());
        }
        let order: Vec<ArrayRef> = self.order_by().iter().map(|&index| columns[index].clone()).collect();
        codec.encode(&order).map(drop).map_err(|error| error.context("order_by"))
    }
}

/// The column as the table has it.
fn fit(column: &TableColumn, given: Option<&ArrayRef>, rows: usize) -> Result<ArrayRef> {
    let (name, data_type) = (column.field.name(), column.field.data_type());
    let Some(given) = given else {
        return match column.field.is_nullable() {
            true => Ok(new_null_array(data_type, rows)),
            false => Err(Error::invalid(format!("column {name:?} is missing and may not be null"))),
        };
    };
    let array = conform(given, data_type).map_err(|misfit| {
        Error::invalid(match misfit {
            Misfit::Type => format!("column {name:?} has the type {}, not {data_type}", given.data_type()),
            Misfit::Values(what) => format!("column {name:?}: {what}"),
        })
    })?;
    if !column.field.is_nullable()
        && let Some(nulls) = array.logical_nulls()
        && let Some(row) = (nulls.null_count() > 0).then(|| (0..rows).find(|&row| nulls.is_null(row))).flatten()
    {
        return Err(Error::invalid(format!("column {name:?} is null in row {row}")));
    }
    check_decimals(&array).map_err(|what| Error::invalid(format!("column {name:?} {what}")))?;
    Ok(array)
}

/// Finds decimals of more digits than their type has: writers would cut them.
fn check_decimals(array: &ArrayRef) -> std::result::Result<(), String> {
    use DataType as T;
    fn check<D: DecimalType>(array: &ArrayRef, precision: u8) -> std::result::Result<(), String> {
        let values = array.as_primitive::<D>();
        // The value under a null may be anything.
        let is_wrong =
            |row: &usize| !D::is_valid_decimal_precision(values.values()[*row], precision) && values.is_valid(*row);
        match (0..values.len()).find(is_wrong) {
            None => Ok(()),
            Some(row) => Err(format!("has more than {precision} digits in row {row}")),
        }
    }
    let nested =
        |values: &ArrayRef| check_decimals(values).map_err(|_| "has a decimal of too many digits within".to_owned());
    match array.data_type() {
        T::Decimal32(precision, _) => check::<Decimal32Type>(array, *precision),
        T::Decimal64(precision, _) => check::<Decimal64Type>(array, *precision),
        T::Decimal128(precision, _) => check::<Decimal128Type>(array, *precision),
        T::Decimal256(precision, _) => check::<Decimal256Type>(array, *precision),
        T::Struct(_) => array.as_struct().columns().iter().try_for_each(nested),
        T::List(_) => nested(array.as_list::<i32>().values()),
        T::LargeList(_) => nested(array.as_list::<i64>().values()),
        T::ListView(_) => nested(array.as_list_view::<i32>().values()),
        T::LargeListView(_) => nested(array.as_list_view::<i64>().values()),
        T::FixedSizeList(..) => nested(array.as_fixed_size_list().values()),
        T::Map(..) => array.as_map().entries().columns().iter().try_for_each(nested),
        T::Union(fields, _) => fields.iter().try_for_each(|(id, _)| nested(array.as_union().child(id))),
        _ => Ok(()),
    }
}

/// A batch of columns that were checked one by one.
pub(super) fn build(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(|error| Error::invalid(error.to_string()))
}

/// A name for a message: foreign ones may be of any length.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}
