//! The conversions that lose nothing: what a column's type may become, and how old values become the new ones.

use super::conform::conform;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, PrimitiveArray, new_empty_array};
use arrow_buffer::i256;
use arrow_schema::{DataType, TimeUnit};
use std::sync::Arc;

const MILLISECONDS_PER_DAY: i64 = 86_400_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Whether every value of `from` is a value of `to`, which is another type.
pub fn can_widen(from: &DataType, to: &DataType) -> bool {
    from != to && widen(&new_empty_array(from), to).is_some()
}

/// The same values as `to`; `None` if that is no wider type. Integers become wider ones (unsigned ones also signed) and floats
/// that hold them all, floats wider ones, decimals ones of more digits and the same scale, Date32 a Date64 or a timestamp of
/// seconds or milliseconds without a zone, strings and binaries their large or view form.
///
/// Requires: a valid array.
pub fn widen(array: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    use DataType as T;
    macro_rules! into {
        ($from:ty, $to:ty) => {{
            type Wide = <$to as ArrowPrimitiveType>::Native;
            Some(Arc::new(array.as_primitive::<$from>().unary::<_, $to>(Wide::from)))
        }};
        ($from:ty, $to:ty, $convert:expr) => {
            Some(Arc::new(array.as_primitive::<$from>().unary::<_, $to>($convert)))
        };
    }
    match (array.data_type(), to) {
        (from, to) if from == to => Some(array.clone()),
        (T::Int8, T::Int16) => into!(Int8Type, Int16Type),
        (T::Int8, T::Int32) => into!(Int8Type, Int32Type),
        (T::Int8, T::Int64) => into!(Int8Type, Int64Type),
        (T::Int8, T::Float32) => into!(Int8Type, Float32Type),
        (T::Int8, T::Float64) => into!(Int8Type, Float64Type),
        (T::Int16, T::Int32) => into!(Int16Type, Int32Type),
        (T::Int16, T::Int64) => into!(Int16Type, Int64Type),
        (T::Int16, T::Float32) => into!(Int16Type, Float32Type),
        (T::Int16, T::Float64) => into!(Int16Type, Float64Type),
        (T::Int32, T::Int64) => into!(Int32Type, Int64Type),
        (T::Int32, T::Float64) => into!(Int32Type, Float64Type),
        (T::UInt8, T::UInt16) => into!(UInt8Type, UInt16Type),
        (T::UInt8, T::UInt32) => into!(UInt8Type, UInt32Type),
        (T::UInt8, T::UInt64) => into!(UInt8Type, UInt64Type),
        (T::UInt8, T::Int16) => into!(UInt8Type, Int16Type),
        (T::UInt8, T::Int32) => into!(UInt8Type, Int32Type),
        (T::UInt8, T::Int64) => into!(UInt8Type, Int64Type),
        (T::UInt8, T::Float32) => into!(UInt8Type, Float32Type),
        (T::UInt8, T::Float64) => into!(UInt8Type, Float64Type),
        (T::UInt16, T::UInt32) => into!(UInt16Type, UInt32Type),
        (T::UInt16, T::UInt64) => into!(UInt16Type, UInt64Type),
        (T::UInt16, T::Int32) => into!(UInt16Type, Int32Type),
        (T::UInt16, T::Int64) => into!(UInt16Type, Int64Type),
        (T::UInt16, T::Float32) => into!(UInt16Type, Float32Type),
        (T::UInt16, T::Float64) => into!(UInt16Type, Float64Type),
        (T::UInt32, T::UInt64) => into!(UInt32Type, UInt64Type),
        (T::UInt32, T::Int64) => into!(UInt32Type, Int64Type),
        (T::UInt32, T::Float64) => into!(UInt32Type, Float64Type),
        (T::Float16, T::Float32) => into!(Float16Type, Float32Type, |value| value.to_f32()),
        (T::Float16, T::Float64) => into!(Float16Type, Float64Type, |value| value.to_f64()),
        (T::Float32, T::Float64) => into!(Float32Type, Float64Type),
        (T::Date32, T::Date64) => into!(Date32Type, Date64Type, |day| i64::from(day) * MILLISECONDS_PER_DAY),
        (T::Date32, T::Timestamp(TimeUnit::Second, None)) => {
            into!(Date32Type, TimestampSecondType, |day| i64::from(day) * SECONDS_PER_DAY)
        }
        (T::Date32, T::Timestamp(TimeUnit::Millisecond, None)) => {
            into!(Date32Type, TimestampMillisecondType, |day| i64::from(day) * MILLISECONDS_PER_DAY)
        }
        (T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..), _) => widen_decimal(array, to),
        (T::Utf8 | T::LargeUtf8, T::LargeUtf8 | T::Utf8View)
        | (T::Binary | T::LargeBinary, T::LargeBinary | T::BinaryView) => conform(array, to).ok(),
        _ => None,
    }
}

/// Of at least as many digits, the same scale, and no narrower.
fn widen_decimal(array: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    use DataType as T;
    let (from_digits, from_scale) = digits(array.data_type())?;
    let (to_digits, to_scale) = digits(to)?;
    if from_scale != to_scale || from_digits > to_digits {
        return None;
    }
    fn convert<F, O>(array: &ArrayRef, to: &DataType, widen: impl Fn(F::Native) -> O::Native) -> Option<ArrayRef>
    where
        F: DecimalType,
        O: DecimalType,
    {
        let values: PrimitiveArray<O> = array.as_primitive::<F>().unary(widen);
        let (digits, scale) = digits(to)?;
        Some(Arc::new(values.with_precision_and_scale(digits, scale).ok()?))
    }
    match (array.data_type(), to) {
        (T::Decimal32(..), T::Decimal32(..)) => convert::<Decimal32Type, Decimal32Type>(array, to, |value| value),
        (T::Decimal32(..), T::Decimal64(..)) => convert::<Decimal32Type, Decimal64Type>(array, to, i64::from),
        (T::Decimal32(..), T::Decimal128(..)) => convert::<Decimal32Type, Decimal128Type>(array, to, i128::from),
        (T::Decimal32(..), T::Decimal256(..)) => convert::<Decimal32Type, Decimal256Type>(array, to, i256::from),
        (T::Decimal64(..), T::Decimal64(..)) => convert::<Decimal64Type, Decimal64Type>(array, to, |value| value),
        (T::Decimal64(..), T::Decimal128(..)) => convert::<Decimal64Type, Decimal128Type>(array, to, i128::from),
        (T::Decimal64(..), T::Decimal256(..)) => convert::<Decimal64Type, Decimal256Type>(array, to, i256::from),
        (T::Decimal128(..), T::Decimal128(..)) => convert::<Decimal128Type, Decimal128Type>(array, to, |value| value),
        (T::Decimal128(..), T::Decimal256(..)) => convert::<Decimal128Type, Decimal256Type>(array, to, i256::from_i128),
        (T::Decimal256(..), T::Decimal256(..)) => convert::<Decimal256Type, Decimal256Type>(array, to, |value| value),
        _ => None,
    }
}

fn digits(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale)
        | DataType::Decimal256(digits, scale) => Some((*digits, *scale)),
        _ => None,
    }
}
