//! Making a literal fit a column's type exactly, or saying where between the type's values it lies.
//!
//! A comparison must mean the same whatever the widths of both sides are: an int32 column may be compared with a literal of
//! 2^40 or 2.5, a float32 column with the float64 0.1, seconds with nanoseconds.

use crate::error::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, Float32Array, Float64Array, LargeBinaryArray, LargeStringArray,
    StringArray, StringViewArray, make_array,
};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::{DataType, TimeUnit};
use std::sync::Arc;

/// Where a literal lies among the values of a type.
pub(super) enum Fitted {
    /// It is one of them: one row of that type.
    Exact(ArrayRef),
    /// Between this one and the next.
    JustAbove(ArrayRef),
    /// Below all of them.
    Below,
    /// Above all of them.
    Above,
}

/// Fits a literal of one row, not null, to a type; `None` if the two do not compare.
pub(super) fn fit(literal: &ArrayRef, column: &DataType) -> Result<Option<Fitted>> {
    let column = match column {
        DataType::Dictionary(_, values) => values,
        column => column,
    };
    if let DataType::Dictionary(..) = literal.data_type() {
        let Some(dictionary) = literal.as_any_dictionary_opt() else { return Ok(None) };
        let key = dictionary.normalized_keys().first().copied().unwrap_or(0);
        if key >= dictionary.values().len() || dictionary.values().is_null(key) {
            return Err(Error::invalid("the literal is a dictionary without the value that it points to"));
        }
        return fit(&dictionary.values().slice(key, 1), column);
    }
    if literal.data_type() == column {
        return Ok(Some(Fitted::Exact(literal.clone())));
    }
    if let Some(bytes) = text_or_binary(literal) {
        return Ok(of_bytes(bytes, column).map(Fitted::Exact));
    }
    let (Some(from), Some(to)) = (number(literal.data_type()), number(column)) else { return Ok(None) };
    if from.family != to.family {
        return Ok(None);
    }
    let fitted = match (float_of(literal), to.whole) {
        (Some(value), None) => fit_float(value, column),
        (Some(value), Some(whole)) => fit_float_to_whole(value, to.scale, whole, column)?,
        (None, whole) => {
            let Some(value) = whole_of(literal, &from) else { return Ok(None) };
            match whole {
                None => fit_whole_to_float(value, from.scale, column),
                Some(whole) => fit_whole(value, from.scale, to.scale, whole, column)?,
            }
        }
    };
    Ok(Some(fitted))
}

/// The two zeros of a literal that is a zero of a float type: -0.0 and 0.0.
pub(super) fn zeros(literal: &ArrayRef) -> Option<(ArrayRef, ArrayRef)> {
    match literal.data_type() {
        DataType::Float32 if literal.as_primitive::<Float32Type>().value(0) == 0.0 => {
            Some((Arc::new(Float32Array::from(vec![-0.0])), Arc::new(Float32Array::from(vec![0.0]))))
        }
        DataType::Float64 if literal.as_primitive::<Float64Type>().value(0) == 0.0 => {
            Some((Arc::new(Float64Array::from(vec![-0.0])), Arc::new(Float64Array::from(vec![0.0]))))
        }
        _ => None,
    }
}

/// Whether values of the type are strings of characters or bytes.
pub(super) fn is_text_or_binary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text_or_binary(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => true,
        _ => false,
    }
}

/// A value of the type, of strings or binaries of any length, that values with this prefix begin with; `None` for other types. Of
/// text it has whole characters alone.
pub(super) fn beginning(data_type: &DataType, prefix: &[u8]) -> Option<ArrayRef> {
    let text = match std::str::from_utf8(prefix) {
        Ok(text) => text,
        Err(why) => std::str::from_utf8(&prefix[..why.valid_up_to()]).unwrap_or_default(),
    };
    Some(match data_type {
        DataType::Utf8 => Arc::new(StringArray::from(vec![text])),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from(vec![text])),
        DataType::Utf8View => Arc::new(StringViewArray::from(vec![text])),
        DataType::Binary => Arc::new(BinaryArray::from(vec![prefix])),
        DataType::LargeBinary => Arc::new(LargeBinaryArray::from(vec![prefix])),
        DataType::BinaryView => Arc::new(BinaryViewArray::from(vec![prefix])),
        _ => return None,
    })
}

/// The bytes of a text or binary of one row; `None` of other types. Requires: it is not null.
pub(super) fn text_or_binary(literal: &ArrayRef) -> Option<&[u8]> {
    Some(match literal.data_type() {
        DataType::Utf8 => literal.as_string::<i32>().value(0).as_bytes(),
        DataType::LargeUtf8 => literal.as_string::<i64>().value(0).as_bytes(),
        DataType::Utf8View => literal.as_string_view().value(0).as_bytes(),
        DataType::Binary => literal.as_binary::<i32>().value(0),
        DataType::LargeBinary => literal.as_binary::<i64>().value(0),
        DataType::BinaryView => literal.as_binary_view().value(0),
        DataType::FixedSizeBinary(_) => literal.as_fixed_size_binary().value(0),
        _ => return None,
    })
}

fn of_bytes(bytes: &[u8], column: &DataType) -> Option<ArrayRef> {
    let text = || std::str::from_utf8(bytes).ok();
    Some(match column {
        DataType::Utf8 => Arc::new(StringArray::from(vec![text()?])),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from(vec![text()?])),
        DataType::Utf8View => Arc::new(StringViewArray::from(vec![text()?])),
        DataType::Binary => Arc::new(BinaryArray::from(vec![bytes])),
        DataType::LargeBinary => Arc::new(LargeBinaryArray::from(vec![bytes])),
        DataType::BinaryView => Arc::new(BinaryViewArray::from(vec![bytes])),
        DataType::FixedSizeBinary(width) if *width as usize == bytes.len() => {
            let data = ArrayData::builder(column.clone()).len(1).add_buffer(Buffer::from(bytes)).build().ok()?;
            make_array(data)
        }
        _ => return None,
    })
}

/// What numbers of a type mean: their unit, and how they are stored.
struct Number {
    family: Family,
    scale: Scale,
    /// `None` for floats.
    whole: Option<Whole>,
}

#[derive(PartialEq)]
enum Family {
    Number,
    Instant { zoned: bool },
    TimeOfDay,
    Duration,
}

/// Units of a value in one of the family's common unit: `numerator / denominator`.
#[derive(Clone, Copy)]
struct Scale {
    per_unit: i128,
}

/// How whole numbers are stored.
#[derive(Clone, Copy)]
struct Whole {
    bytes: usize,
    signed: bool,
    /// For decimals: the greatest magnitude.
    limit: Option<i128>,
}

fn number(data_type: &DataType) -> Option<Number> {
    use DataType as T;
    let whole = |bytes, signed| Some(Whole { bytes, signed, limit: None });
    let plain = |whole| Number { family: Family::Number, scale: Scale { per_unit: 1 }, whole };
    let per_second = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let decimal = |bytes, precision: u8, scale: i8| {
        let scale = u32::try_from(scale).ok()?;
        let whole = Whole { bytes, signed: true, limit: Some(10i128.checked_pow(u32::from(precision))? - 1) };
        Some(Number {
            family: Family::Number,
            scale: Scale { per_unit: 10i128.checked_pow(scale)? },
            whole: Some(whole),
        })
    };
    Some(match data_type {
        T::Int8 => plain(whole(1, true)),
        T::Int16 => plain(whole(2, true)),
        T::Int32 => plain(whole(4, true)),
        T::Int64 => plain(whole(8, true)),
        T::UInt8 => plain(whole(1, false)),
        T::UInt16 => plain(whole(2, false)),
        T::UInt32 => plain(whole(4, false)),
        T::UInt64 => plain(whole(8, false)),
        T::Float32 | T::Float64 => plain(None),
        T::Decimal32(precision, scale) => decimal(4, *precision, *scale)?,
        T::Decimal64(precision, scale) => decimal(8, *precision, *scale)?,
        T::Decimal128(precision, scale) => decimal(16, *precision, *scale)?,
        T::Timestamp(unit, zone) => Number {
            family: Family::Instant { zoned: zone.is_some() },
            scale: Scale { per_unit: per_second(unit) },
            whole: whole(8, true),
        },
        T::Time32(unit) => {
            Number { family: Family::TimeOfDay, scale: Scale { per_unit: per_second(unit) }, whole: whole(4, true) }
        }
        T::Time64(unit) => {
            Number { family: Family::TimeOfDay, scale: Scale { per_unit: per_second(unit) }, whole: whole(8, true) }
        }
        T::Duration(unit) => {
            Number { family: Family::Duration, scale: Scale { per_unit: per_second(unit) }, whole: whole(8, true) }
        }
        _ => return None,
    })
}

/// The stored whole number of a literal that is no float.
fn whole_of(literal: &ArrayRef, number: &Number) -> Option<i128> {
    let whole = number.whole?;
    let data = literal.to_data();
    let start = data.offset() * whole.bytes;
    let stored = data.buffers().first()?.as_slice().get(start..start + whole.bytes)?;
    let negative = whole.signed && stored.last().is_some_and(|&byte| byte & 0x80 != 0);
    let mut bytes = if negative { [0xff; 16] } else { [0; 16] };
    bytes[..whole.bytes].copy_from_slice(stored);
    Some(i128::from_le_bytes(bytes))
}

fn float_of(literal: &ArrayRef) -> Option<f64> {
    match literal.data_type() {
        DataType::Float32 => Some(f64::from(literal.as_primitive::<Float32Type>().value(0))),
        DataType::Float64 => Some(literal.as_primitive::<Float64Type>().value(0)),
        _ => None,
    }
}

fn too_large() -> Error {
    Error::invalid("the literal is beyond what can be compared with the column")
}

/// One row of `column` that holds `value`, if the type can.
fn store(value: i128, whole: Whole, column: &DataType) -> Result<Fitted> {
    let bits = whole.bytes as u32 * 8 - u32::from(whole.signed);
    let most = whole.limit.unwrap_or_else(|| if bits >= 127 { i128::MAX } else { (1i128 << bits) - 1 });
    let least = match (whole.limit, whole.signed) {
        (Some(limit), _) => -limit,
        (None, true) => -most - 1,
        (None, false) => 0,
    };
    if value < least {
        return Ok(Fitted::Below);
    }
    if value > most {
        return Ok(Fitted::Above);
    }
    let buffer = Buffer::from(&value.to_le_bytes()[..whole.bytes]);
    let data = ArrayData::builder(column.clone()).len(1).add_buffer(buffer).build();
    data.map(|data| Fitted::Exact(make_array(data))).map_err(|_| too_large())
}

fn fit_whole(value: i128, from: Scale, to: Scale, whole: Whole, column: &DataType) -> Result<Fitted> {
    let scaled = value.checked_mul(to.per_unit).ok_or_else(too_large)?;
    let floor = scaled.div_euclid(from.per_unit);
    let fitted = store(floor, whole, column)?;
    Ok(match fitted {
        Fitted::Exact(array) if scaled.rem_euclid(from.per_unit) != 0 => Fitted::JustAbove(array),
        fitted => fitted,
    })
}

fn fit_float(value: f64, column: &DataType) -> Fitted {
    if *column == DataType::Float64 {
        return Fitted::Exact(Arc::new(Float64Array::from(vec![value])));
    }
    let near = value as f32;
    if value.is_nan() || f64::from(near) == value {
        return Fitted::Exact(Arc::new(Float32Array::from(vec![near])));
    }
    let floor = if f64::from(near) > value { near.next_down() } else { near };
    Fitted::JustAbove(Arc::new(Float32Array::from(vec![floor])))
}

fn fit_float_to_whole(value: f64, to: Scale, whole: Whole, column: &DataType) -> Result<Fitted> {
    // NaN is above every number.
    if value.is_nan() || value >= 1e30 {
        return Ok(Fitted::Above);
    }
    if value <= -1e30 {
        return Ok(Fitted::Below);
    }
    let floor = value.floor();
    if to.per_unit != 1 && floor != value {
        return Err(Error::invalid("a float with a fraction cannot be compared with a decimal column: give a decimal"));
    }
    let scaled = (floor as i128).checked_mul(to.per_unit).ok_or_else(too_large)?;
    Ok(match store(scaled, whole, column)? {
        Fitted::Exact(array) if floor != value => Fitted::JustAbove(array),
        fitted => fitted,
    })
}

fn fit_whole_to_float(value: i128, from: Scale, column: &DataType) -> Fitted {
    let near = value as f64 / from.per_unit as f64;
    // Below 2^127, so that the way back cannot saturate. Whole floats times the unit are exact then.
    let back = (near * from.per_unit as f64) as i128;
    if near.fract() == 0.0 && (near as i128).checked_mul(from.per_unit) == Some(value) {
        return fit_float(near, column);
    }
    // A large whole number, or a fraction, between two floats.
    let floor = if back >= value { near.next_down() } else { near };
    match fit_float(floor, column) {
        Fitted::Exact(array) | Fitted::JustAbove(array) => Fitted::JustAbove(array),
        fitted => fitted,
    }
}
