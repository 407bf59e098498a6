//! Single values of columns: the extremes of an array, and one value as bytes.
//!
//! Called by the bounds of columns. Ordered types are the primitive ones (floats in total order: -NaN < -inf < -0 < 0 < inf < NaN),
//! booleans, strings and binaries; intervals, nested types and dictionaries have no extremes.

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayAccessor, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, BooleanArray, PrimitiveArray,
    downcast_primitive, make_array,
};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::DataType;

/// Longer strings and binaries are cut: bounds need to be true, not exact.
pub const VALUE_BYTES_MAX: usize = 64;

/// Whether values of this type have extremes.
pub fn is_ordered(data_type: &DataType) -> bool {
    (data_type.is_primitive() && !matches!(data_type, DataType::Interval(_)))
        || is_bytes(data_type)
        || *data_type == DataType::Boolean
}

fn is_bytes(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, FixedSizeBinary, LargeBinary, LargeUtf8, Utf8, Utf8View};
    matches!(data_type, Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView | FixedSizeBinary(_))
}

/// The rows with the least and the greatest value that is not null; `None` if there is no value or the type has no order.
pub fn extremes(array: &dyn Array) -> Option<(usize, usize)> {
    if !is_ordered(array.data_type()) {
        return None;
    }
    macro_rules! primitive {
        ($t:ty, $array:expr) => {
            primitive_extremes($array.as_primitive::<$t>())
        };
    }
    downcast_primitive! {
        array.data_type() => (primitive, array),
        DataType::Boolean => boolean_extremes(array.as_boolean()),
        DataType::Utf8 => bytes_extremes(array.as_string::<i32>()),
        DataType::LargeUtf8 => bytes_extremes(array.as_string::<i64>()),
        DataType::Utf8View => bytes_extremes(array.as_string_view()),
        DataType::Binary => bytes_extremes(array.as_binary::<i32>()),
        DataType::LargeBinary => bytes_extremes(array.as_binary::<i64>()),
        DataType::BinaryView => bytes_extremes(array.as_binary_view()),
        DataType::FixedSizeBinary(_) => bytes_extremes(array.as_fixed_size_binary()),
        _ => None
    }
}

fn primitive_extremes<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> Option<(usize, usize)> {
    let values: &[T::Native] = array.values();
    let lesser = |a: T::Native, b: T::Native| if b.is_lt(a) { b } else { a };
    let greater = |a: T::Native, b: T::Native| if b.is_gt(a) { b } else { a };
    let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) else {
        // Without nulls the values are folded first and found again after: both loops are simple enough to be vectorised.
        let first = *values.first()?;
        let least = values.iter().copied().fold(first, lesser);
        let greatest = values.iter().copied().fold(first, greater);
        let find = |wanted: T::Native| values.iter().position(|value| value.is_eq(wanted));
        return Some((find(least)?, find(greatest)?));
    };
    let mut valid = nulls.valid_indices();
    let first = valid.next()?;
    Some(valid.fold((first, first), |(least, greatest), row| {
        let value = values[row];
        (
            if value.is_lt(values[least]) { row } else { least },
            if value.is_gt(values[greatest]) { row } else { greatest },
        )
    }))
}

fn boolean_extremes(array: &BooleanArray) -> Option<(usize, usize)> {
    let valid = |row: &usize| array.is_valid(*row);
    let find = |wanted: bool| (0..array.len()).filter(valid).find(|&row| array.value(row) == wanted);
    let (no, yes) = (find(false), find(true));
    Some((no.or(yes)?, yes.or(no)?))
}

fn bytes_extremes<A>(array: A) -> Option<(usize, usize)>
where
    A: ArrayAccessor,
    A::Item: AsRef<[u8]>,
{
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let mut valid = (0..array.len()).filter(|&row| !nulls.is_some_and(|nulls| nulls.is_null(row)));
    let first = valid.next()?;
    let (mut least, mut greatest) = ((first, array.value(first)), (first, array.value(first)));
    for row in valid {
        let value = array.value(row);
        if value.as_ref() < least.1.as_ref() {
            least = (row, value);
        } else if value.as_ref() > greatest.1.as_ref() {
            greatest = (row, value);
        }
    }
    Some((least.0, greatest.0))
}

/// The value at `row` as bytes: little-endian numbers, 0 or 1, or the bytes themselves, whole. `None` if the type has no order.
/// Requires: the row exists and is not null.
pub fn encode(array: &dyn Array, row: usize) -> Option<Vec<u8>> {
    if !is_ordered(array.data_type()) {
        return None;
    }
    macro_rules! primitive {
        ($t:ty, $array:expr) => {
            Some(Buffer::from_slice_ref([$array.as_primitive::<$t>().value(row)]).to_vec())
        };
    }
    downcast_primitive! {
        array.data_type() => (primitive, array),
        DataType::Boolean => Some(vec![u8::from(array.as_boolean().value(row))]),
        DataType::Utf8 => Some(array.as_string::<i32>().value(row).into()),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row).into()),
        DataType::Utf8View => Some(array.as_string_view().value(row).into()),
        DataType::Binary => Some(array.as_binary::<i32>().value(row).into()),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(row).into()),
        DataType::BinaryView => Some(array.as_binary_view().value(row).into()),
        DataType::FixedSizeBinary(_) => Some(array.as_fixed_size_binary().value(row).into()),
        _ => None
    }
}

/// The one-row array of this type with this value; `None` if the bytes are no such value.
pub fn decode(data_type: &DataType, bytes: &[u8]) -> Option<ArrayRef> {
    if !is_ordered(data_type) {
        return None;
    }
    let text = || std::str::from_utf8(bytes).ok();
    let array: ArrayRef = match data_type {
        DataType::Boolean => match bytes {
            [value @ 0..=1] => std::sync::Arc::new(BooleanArray::from(vec![*value == 1])),
            _ => return None,
        },
        DataType::Utf8 => std::sync::Arc::new(arrow_array::StringArray::from(vec![text()?])),
        DataType::LargeUtf8 => std::sync::Arc::new(arrow_array::LargeStringArray::from(vec![text()?])),
        DataType::Utf8View => std::sync::Arc::new(arrow_array::StringViewArray::from(vec![text()?])),
        DataType::Binary => std::sync::Arc::new(arrow_array::BinaryArray::from(vec![bytes])),
        DataType::LargeBinary => std::sync::Arc::new(arrow_array::LargeBinaryArray::from(vec![bytes])),
        DataType::BinaryView => std::sync::Arc::new(arrow_array::BinaryViewArray::from(vec![bytes])),
        _ => {
            let width = match data_type {
                DataType::FixedSizeBinary(width) => usize::try_from(*width).ok()?,
                _ => data_type.primitive_width()?,
            };
            if bytes.len() != width {
                return None;
            }
            let data = ArrayData::builder(data_type.clone()).len(1).add_buffer(Buffer::from_slice_ref(bytes));
            make_array(data.align_buffers(true).build().ok()?)
        }
    };
    Some(array)
}

/// A value at or below `value`, short; and whether it is the value itself.
pub fn shorten_lower(data_type: &DataType, mut value: Vec<u8>) -> (Vec<u8>, bool) {
    if !may_be_cut(data_type) || value.len() <= VALUE_BYTES_MAX {
        return (value, true);
    }
    value.truncate(cut_at(data_type, &value));
    (value, false)
}

/// A value at or above `value`, short, and whether it is the value itself; `None` if there is none.
pub fn shorten_upper(data_type: &DataType, mut value: Vec<u8>) -> Option<(Vec<u8>, bool)> {
    if !may_be_cut(data_type) || value.len() <= VALUE_BYTES_MAX {
        return Some((value, true));
    }
    value.truncate(cut_at(data_type, &value));
    if !is_text(data_type) {
        return crate::key::prefix_end(&value).map(|value| (value, false));
    }
    // The last character that has a greater one is replaced by it, and what follows goes.
    let mut text = String::from_utf8(value).ok()?;
    while let Some(last) = text.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            text.push(next);
            return Some((text.into_bytes(), false));
        }
    }
    None
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// A fixed size is part of the type.
fn may_be_cut(data_type: &DataType) -> bool {
    is_bytes(data_type) && !matches!(data_type, DataType::FixedSizeBinary(_))
}

/// Where a long value is cut: strings between characters.
fn cut_at(data_type: &DataType, value: &[u8]) -> usize {
    let is_inside = |at: usize| is_text(data_type) && value[at] & 0xc0 == 0x80;
    (0..=VALUE_BYTES_MAX).rev().find(|&at| !is_inside(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        Decimal128Array, FixedSizeBinaryArray, Float64Array, Int32Array, StringArray, TimestampNanosecondArray,
    };

    #[test]
    fn values_of_each_ordered_type_come_back() {
        let arrays: Vec<ArrayRef> = vec![
            std::sync::Arc::new(Int32Array::from(vec![Some(5), None, Some(-3), Some(9)])),
            std::sync::Arc::new(Float64Array::from(vec![1.5, f64::NAN, -0.0, 0.0])),
            std::sync::Arc::new(
                Decimal128Array::from(vec![1 << 100, -7, 0, 2]).with_precision_and_scale(38, 3).unwrap(),
            ),
            std::sync::Arc::new(TimestampNanosecondArray::from(vec![3, 1, 2, 9]).with_timezone("+01:00")),
            std::sync::Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), None])),
            std::sync::Arc::new(StringArray::from(vec![Some("b"), None, Some(""), Some("é")])),
            std::sync::Arc::new(arrow_array::StringViewArray::from(vec![
                "x",
                "a string that is not inlined",
                "q",
                "z",
            ])),
            std::sync::Arc::new(arrow_array::LargeBinaryArray::from(vec![&b"q"[..], b"\xff", b"", b"a"])),
            std::sync::Arc::new(FixedSizeBinaryArray::try_from_iter([[3, 4], [1, 9], [1, 2], [9, 9]].iter()).unwrap()),
        ];
        for array in arrays {
            let (least, greatest) = extremes(&array).unwrap();
            for row in [least, greatest] {
                let bytes = encode(&array, row).unwrap();
                let again = decode(array.data_type(), &bytes).unwrap();
                assert_eq!(again.to_data(), array.slice(row, 1).to_data(), "{:?}", array.data_type());
                if array.data_type().primitive_width().is_some() {
                    assert!(decode(array.data_type(), &bytes[1..]).is_none());
                }
            }
        }
        assert_eq!(extremes(&Int32Array::from(vec![Some(5), None, Some(-3), Some(9)])), Some((2, 3)));
        assert_eq!(extremes(&Float64Array::from(vec![1.5, f64::NAN, -0.0, 0.0])), Some((2, 1)));
        assert_eq!(extremes(&Int32Array::from(vec![None, None])), None);
        assert_eq!(extremes(&BooleanArray::from(vec![true, true])), Some((0, 0)));
        assert!(decode(&DataType::Utf8, &[0xff]).is_none() && decode(&DataType::Boolean, &[2]).is_none());
    }

    #[test]
    fn long_values_are_cut_to_true_bounds() {
        let long = "ä".repeat(100).into_bytes();
        let (lower, exact) = shorten_lower(&DataType::Utf8, long.clone());
        assert!(!exact && lower.len() == 64 && lower < long && std::str::from_utf8(&lower).is_ok());
        let (upper, exact) = shorten_upper(&DataType::Utf8, long.clone()).unwrap();
        assert!(!exact && upper.len() <= 64 && upper > long && std::str::from_utf8(&upper).is_ok());
        assert_eq!(shorten_upper(&DataType::Binary, vec![0xff; 100]), None);
        assert_eq!(shorten_upper(&DataType::Utf8, "\u{10ffff}".repeat(100).into_bytes()), None);
        let odd = ["a", &"ä".repeat(100)].concat().into_bytes();
        assert_eq!(shorten_lower(&DataType::Utf8, odd).0.len(), 63, "not inside a character");
        assert_eq!(shorten_lower(&DataType::FixedSizeBinary(100), vec![1; 100]), (vec![1; 100], true));
    }
}
