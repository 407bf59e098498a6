//! Arrays that hold the right values in another shape, brought into the shape of the table: other widths of offsets, views,
//! dictionaries, run ends, other names of nested fields, other zones of the same moments. Nothing is lost or guessed; numbers are never converted.
//!
//! Requires: valid arrays, as Arrow defines them ([`super::validate_foreign`] makes sure of that). A small array can stand for
//! very many bytes (a dictionary or views that repeat one long string): they are counted before they are copied.

use crate::key::MAX_BATCH_BYTES;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, FieldRef};
use std::sync::Arc;

/// Why an array does not fit.
#[derive(Debug)]
pub(super) enum Misfit {
    /// It has another type.
    Type,
    /// Its values do not fit.
    Values(String),
}

impl From<ArrowError> for Misfit {
    fn from(error: ArrowError) -> Self {
        Self::Values(error.to_string())
    }
}

type Fitted = Result<ArrayRef, Misfit>;

/// The same values as an array of `target`.
pub(super) fn conform(array: &ArrayRef, target: &DataType) -> Fitted {
    use DataType as T;
    if array.data_type() == target && !may_repeat(target) {
        return Ok(array.clone());
    }
    match (array.data_type(), target) {
        (T::Dictionary(..), _) => {
            let dictionary = array.as_any_dictionary();
            gather(dictionary.values(), dictionary.keys(), target)
        }
        (T::RunEndEncoded(ends, _), _) => match ends.data_type() {
            T::Int16 => expand::<Int16Type>(array, target),
            T::Int32 => expand::<Int32Type>(array, target),
            _ => expand::<Int64Type>(array, target),
        },
        (T::Utf8, T::LargeUtf8) => widen::<Utf8Type, LargeUtf8Type>(array),
        (T::Binary, T::LargeBinary) => widen::<BinaryType, LargeBinaryType>(array),
        (T::LargeUtf8, T::Utf8) => narrow::<LargeUtf8Type, Utf8Type>(array),
        (T::LargeBinary, T::Binary) => narrow::<LargeBinaryType, BinaryType>(array),
        (T::Utf8, T::Utf8View) => Ok(Arc::new(StringViewArray::from(array.as_string::<i32>()))),
        (T::LargeUtf8, T::Utf8View) => Ok(Arc::new(StringViewArray::from(array.as_string::<i64>()))),
        (T::Binary, T::BinaryView) => Ok(Arc::new(BinaryViewArray::from(array.as_binary::<i32>()))),
        (T::LargeBinary, T::BinaryView) => Ok(Arc::new(BinaryViewArray::from(array.as_binary::<i64>()))),
        (T::Utf8View, T::Utf8) => Ok(Arc::new(viewed_strings(array)?.iter().collect::<StringArray>())),
        (T::Utf8View, T::LargeUtf8) => Ok(Arc::new(viewed_strings(array)?.iter().collect::<LargeStringArray>())),
        (T::Utf8View, T::Utf8View) => viewed_strings(array).map(|_| array.clone()),
        (T::BinaryView, T::Binary) => Ok(Arc::new(viewed_binaries(array)?.iter().collect::<BinaryArray>())),
        (T::BinaryView, T::LargeBinary) => Ok(Arc::new(viewed_binaries(array)?.iter().collect::<LargeBinaryArray>())),
        (T::BinaryView, T::BinaryView) => viewed_binaries(array).map(|_| array.clone()),
        (T::List(_), T::List(field)) => list::<i32, i32>(array, field),
        (T::List(_), T::LargeList(field)) => list::<i32, i64>(array, field),
        (T::LargeList(_), T::List(field)) => list::<i64, i32>(array, field),
        (T::LargeList(_), T::LargeList(field)) => list::<i64, i64>(array, field),
        (T::ListView(_), T::ListView(field)) => list_view::<i32>(array, field),
        (T::LargeListView(_), T::LargeListView(field)) => list_view::<i64>(array, field),
        (T::FixedSizeList(_, len), T::FixedSizeList(field, target_len)) if len == target_len => {
            let list = array.as_fixed_size_list();
            let values = conform(list.values(), field.data_type())?;
            let nulls = list.nulls().cloned();
            Ok(Arc::new(FixedSizeListArray::try_new_with_length(field.clone(), *len, values, nulls, list.len())?))
        }
        (T::Struct(given), T::Struct(fields)) => {
            let names_agree = given.iter().map(|field| field.name()).eq(fields.iter().map(|field| field.name()));
            if !names_agree {
                return Err(Misfit::Type);
            }
            let children = array.as_struct();
            let pairs = children.columns().iter().zip(fields.iter());
            let columns = pairs.map(|(column, field)| conform(column, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let nulls = children.nulls().cloned();
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, children.len())?))
        }
        // The same moments, shown in another zone.
        (T::Timestamp(unit, Some(_)), T::Timestamp(target_unit, Some(_))) if unit == target_unit => {
            Ok(make_array(array.to_data().into_builder().data_type(target.clone()).build()?))
        }
        (T::Map(..), T::Map(field, is_sorted)) => map(array, field, *is_sorted),
        (T::Union(given, mode), T::Union(fields, target_mode)) if mode == target_mode => {
            let names_agree = given
                .iter()
                .map(|(id, field)| (id, field.name()))
                .eq(fields.iter().map(|(id, field)| (id, field.name())));
            if !names_agree {
                return Err(Misfit::Type);
            }
            let union = array.as_union();
            let columns = fields.iter().map(|(id, field)| conform(union.child(id), field.data_type()));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let (ids, offsets) = (union.type_ids().clone(), union.offsets().cloned());
            Ok(Arc::new(UnionArray::try_new(fields.clone(), ids, offsets, columns)?))
        }
        _ => Err(Misfit::Type),
    }
}

/// Whether one stretch of bytes may stand for many values, so that they must be counted.
fn may_repeat(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Utf8View | T::BinaryView | T::ListView(_) | T::LargeListView(_) => true,
        T::List(field) | T::LargeList(field) | T::FixedSizeList(field, _) | T::Map(field, _) => {
            may_repeat(field.data_type())
        }
        T::Struct(fields) => fields.iter().any(|field| may_repeat(field.data_type())),
        T::Union(fields, _) => fields.iter().any(|(_, field)| may_repeat(field.data_type())),
        _ => false,
    }
}

/// Refuses values of more bytes than a batch has.
fn check_bytes(mut lengths: impl Iterator<Item = usize>) -> Result<usize, Misfit> {
    let total = lengths.try_fold(0usize, |sum, len| sum.checked_add(len).filter(|sum| *sum <= MAX_BATCH_BYTES));
    total.ok_or_else(|| Misfit::Values(format!("its values have more than {MAX_BATCH_BYTES} bytes")))
}

/// The values at `indexes`, in the shape of `target`. Values are plain: [`super::types`] takes no nested ones here.
fn gather(values: &ArrayRef, indexes: &dyn Array, target: &DataType) -> Fitted {
    let values = conform(values, target)?;
    let rows = indexes.len();
    let longest = match target {
        DataType::FixedSizeBinary(width) => usize::try_from(*width).unwrap_or(0),
        DataType::Utf8 => longest(&values.as_string::<i32>().offsets()[..]),
        DataType::LargeUtf8 => longest(&values.as_string::<i64>().offsets()[..]),
        DataType::Binary => longest(&values.as_binary::<i32>().offsets()[..]),
        DataType::LargeBinary => longest(&values.as_binary::<i64>().offsets()[..]),
        other => other.primitive_width().unwrap_or(16),
    };
    // Sure to fit, or counted.
    if longest.saturating_mul(rows) > MAX_BATCH_BYTES {
        let lengths: Vec<u64> = match target {
            DataType::Utf8 => lengths(&values.as_string::<i32>().offsets()[..]),
            DataType::LargeUtf8 => lengths(&values.as_string::<i64>().offsets()[..]),
            DataType::Binary => lengths(&values.as_binary::<i32>().offsets()[..]),
            DataType::LargeBinary => lengths(&values.as_binary::<i64>().offsets()[..]),
            _ => vec![longest as u64; values.len()],
        };
        let lengths: ArrayRef = Arc::new(UInt64Array::from(lengths));
        let lengths = arrow_select::take::take(&lengths, indexes, None)?;
        check_bytes(lengths.as_primitive::<UInt64Type>().iter().map(|len| len.unwrap_or(0) as usize))?;
    }
    let gathered = arrow_select::take::take(&values, indexes, None)?;
    // Views still point into the one long string.
    if may_repeat(target) { conform(&gathered, target) } else { Ok(gathered) }
}

fn longest<O: OffsetSizeTrait>(offsets: &[O]) -> usize {
    offsets.windows(2).map(|pair| (pair[1] - pair[0]).as_usize()).max().unwrap_or(0)
}

fn lengths<O: OffsetSizeTrait>(offsets: &[O]) -> Vec<u64> {
    offsets.windows(2).map(|pair| (pair[1] - pair[0]).as_usize() as u64).collect()
}

/// The rows of runs.
fn expand<R: RunEndIndexType>(array: &ArrayRef, target: &DataType) -> Fitted {
    let Some(runs) = array.as_any().downcast_ref::<RunArray<R>>() else { return Err(Misfit::Type) };
    check_bytes(std::iter::once(runs.len().saturating_mul(4)))?;
    let (offset, rows) = (runs.run_ends().offset(), runs.len());
    let mut indexes: Vec<u32> = Vec::with_capacity(rows);
    for (index, end) in runs.run_ends().values().iter().enumerate() {
        let end = arrow_buffer::ArrowNativeType::as_usize(*end).saturating_sub(offset).min(rows);
        indexes.resize(end.max(indexes.len()), index as u32);
    }
    gather(runs.values(), &UInt32Array::from(indexes), target)
}

fn widen<F, O>(array: &ArrayRef) -> Fitted
where
    F: ByteArrayType<Offset = i32>,
    O: ByteArrayType<Offset = i64>,
{
    let strings = array.as_bytes::<F>();
    let offsets: ScalarBuffer<i64> = strings.offsets().iter().map(|offset| i64::from(*offset)).collect();
    let (values, nulls) = (strings.values().clone(), strings.nulls().cloned());
    Ok(Arc::new(GenericByteArray::<O>::try_new(OffsetBuffer::new(offsets), values, nulls)?))
}

fn narrow<F, O>(array: &ArrayRef) -> Fitted
where
    F: ByteArrayType<Offset = i64>,
    O: ByteArrayType<Offset = i32>,
{
    let strings = array.as_bytes::<F>();
    let offsets = strings.offsets();
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    if last - first > i64::from(i32::MAX) {
        return Err(Misfit::Values("its values have more than 2 GiB".to_owned()));
    }
    let values = strings.values().slice_with_length(first as usize, (last - first) as usize);
    let offsets: ScalarBuffer<i32> = offsets.iter().map(|offset| (offset - first) as i32).collect();
    Ok(Arc::new(GenericByteArray::<O>::try_new(OffsetBuffer::new(offsets), values, strings.nulls().cloned())?))
}

fn viewed_strings(array: &ArrayRef) -> Result<&StringViewArray, Misfit> {
    let strings = array.as_string_view();
    check_bytes(view_lengths(strings))?;
    Ok(strings)
}

/// The length of each value; the view under a null may be anything.
fn view_lengths<V: ByteViewType>(array: &GenericByteViewArray<V>) -> impl Iterator<Item = usize> {
    let views = array.views().iter().enumerate().filter(|(row, _)| array.is_valid(*row));
    views.map(|(_, view)| *view as u32 as usize)
}

fn viewed_binaries(array: &ArrayRef) -> Result<&BinaryViewArray, Misfit> {
    let binaries = array.as_binary_view();
    check_bytes(view_lengths(binaries))?;
    Ok(binaries)
}

fn list<F: OffsetSizeTrait, O: OffsetSizeTrait>(array: &ArrayRef, field: &FieldRef) -> Fitted {
    let list = array.as_list::<F>();
    let offsets = list.offsets();
    // Of a slice only its own values: others may be too many, or null.
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let values = list.values().slice(first.as_usize(), (last - first).as_usize());
    let values = conform(&values, field.data_type())?;
    let moved = offsets.iter().map(|offset| O::from_usize((*offset - first).as_usize()));
    let Some(moved) = moved.collect::<Option<Vec<O>>>() else {
        return Err(Misfit::Values("its lists have more than 2^31 - 1 values".to_owned()));
    };
    let offsets = OffsetBuffer::new(moved.into());
    Ok(Arc::new(GenericListArray::<O>::try_new(field.clone(), offsets, values, list.nulls().cloned())?))
}

fn list_view<O: OffsetSizeTrait>(array: &ArrayRef, field: &FieldRef) -> Fitted {
    let list = array.as_list_view::<O>();
    // Each value takes a bit at least, a level in Parquet.
    check_bytes(list.sizes().iter().map(|size| size.as_usize()))?;
    let values = conform(list.values(), field.data_type())?;
    let (offsets, sizes) = (list.offsets().clone(), list.sizes().clone());
    Ok(Arc::new(GenericListViewArray::<O>::try_new(field.clone(), offsets, sizes, values, list.nulls().cloned())?))
}

fn map(array: &ArrayRef, field: &FieldRef, is_sorted: bool) -> Fitted {
    let map = array.as_map();
    let DataType::Struct(fields) = field.data_type() else { return Err(Misfit::Type) };
    let pairs = map.entries().columns().iter().zip(fields.iter());
    // Names of entries, keys and values differ between writers and mean nothing.
    let columns = pairs.map(|(column, field)| conform(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let entries =
        StructArray::try_new_with_length(fields.clone(), columns, map.entries().nulls().cloned(), map.entries().len())?;
    Ok(Arc::new(MapArray::try_new(field.clone(), map.offsets().clone(), entries, map.nulls().cloned(), is_sorted)?))
}
