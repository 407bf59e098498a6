//! Arrays of every type, the same in every run.

use arrow_array::builder::{BinaryViewBuilder, FixedSizeBinaryBuilder, StringViewBuilder};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, LargeBinaryArray, LargeListArray, LargeStringArray,
    ListArray, MapArray, StringArray, StructArray, make_array, new_null_array,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use std::sync::Arc;

/// A small generator of numbers that are the same in every run.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }

    fn text(&mut self) -> String {
        (0..self.below(20)).map(|_| char::from(b'a' + self.below(26) as u8)).collect()
    }
}

/// Every type that a file can hold, with what is worth trying of its parameters.
pub fn types() -> Vec<DataType> {
    use DataType as T;
    let field = |name: &str, data_type: T, nullable: bool| Arc::new(Field::new(name, data_type, nullable));
    let item = |data_type: T| field("item", data_type, true);
    let pair = |value: T| T::Struct(vec![field("key", T::Utf8, false), field("value", value, true)].into());
    let mut types = vec![T::Null, T::Boolean, T::Float16, T::Float32, T::Float64, T::Date32, T::Date64];
    types.extend([T::Int8, T::Int16, T::Int32, T::Int64, T::UInt8, T::UInt16, T::UInt32, T::UInt64]);
    types.extend([T::Time32(TimeUnit::Second), T::Time32(TimeUnit::Millisecond)]);
    types.extend([T::Time64(TimeUnit::Microsecond), T::Time64(TimeUnit::Nanosecond)]);
    for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        types.extend([T::Timestamp(unit, None), T::Timestamp(unit, Some("Europe/Berlin".into())), T::Duration(unit)]);
    }
    types.extend([T::Interval(IntervalUnit::YearMonth), T::Interval(IntervalUnit::DayTime)]);
    types.extend([
        T::Decimal32(9, 2),
        T::Decimal64(18, 3),
        T::Decimal128(5, 2),
        T::Decimal128(38, 10),
        T::Decimal256(76, 5),
    ]);
    types.extend([T::Utf8, T::LargeUtf8, T::Utf8View, T::Binary, T::LargeBinary, T::BinaryView, T::FixedSizeBinary(7)]);
    types.extend([T::List(item(T::Int32)), T::LargeList(item(T::Utf8)), T::FixedSizeList(item(T::Float64), 3)]);
    types.push(T::Struct(vec![field("a", T::Int64, false), field("b", T::Utf8View, true)].into()));
    types.push(T::Map(field("entries", pair(T::Int64), false), false));
    let inner =
        T::Struct(vec![field("tags", T::List(item(T::Utf8)), true), field("n", T::Decimal128(20, 2), true)].into());
    types.push(T::List(item(inner.clone())));
    types.push(T::Map(field("entries", pair(T::List(item(inner))), false), false));
    types
}

/// Rows of a type; about one in five is null, if there may be nulls.
pub fn array(field: &Field, rows: usize, numbers: &mut Numbers) -> ArrayRef {
    use DataType as T;
    let nulls = field.is_nullable().then(|| (0..rows).map(|_| numbers.below(5) != 0).collect::<NullBuffer>());
    let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    let lengths = |numbers: &mut Numbers| -> Vec<usize> {
        (0..rows).map(|row| if valid(row) { numbers.below(4) as usize } else { 0 }).collect()
    };
    match field.data_type() {
        T::Null => new_null_array(&T::Null, rows),
        T::Boolean => Arc::new(BooleanArray::new((0..rows).map(|_| numbers.below(2) == 1).collect(), nulls)),
        T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Binary | T::LargeBinary | T::BinaryView => {
            let texts: Vec<Option<String>> = (0..rows).map(|row| valid(row).then(|| numbers.text())).collect();
            let bytes = || texts.iter().map(|text| text.as_ref().map(|text| text.as_bytes()));
            match field.data_type() {
                T::Utf8 => Arc::new(StringArray::from_iter(&texts)),
                T::LargeUtf8 => Arc::new(LargeStringArray::from_iter(&texts)),
                T::Binary => Arc::new(BinaryArray::from_iter(bytes())),
                T::LargeBinary => Arc::new(LargeBinaryArray::from_iter(bytes())),
                T::BinaryView => {
                    let mut builder = BinaryViewBuilder::new();
                    bytes().for_each(|value| builder.append_option(value));
                    Arc::new(builder.finish())
                }
                _ => {
                    let mut builder = StringViewBuilder::new();
                    texts.iter().for_each(|text| builder.append_option(text.as_ref()));
                    Arc::new(builder.finish())
                }
            }
        }
        T::FixedSizeBinary(width) => {
            let mut builder = FixedSizeBinaryBuilder::new(*width);
            for row in 0..rows {
                let value: Vec<u8> = (0..*width).map(|_| numbers.below(256) as u8).collect();
                if valid(row) { builder.append_value(value).unwrap() } else { builder.append_null() }
            }
            Arc::new(builder.finish())
        }
        T::List(child) => {
            let lengths = lengths(numbers);
            let values = array(child, lengths.iter().sum(), numbers);
            Arc::new(ListArray::new(child.clone(), OffsetBuffer::from_lengths(lengths), values, nulls))
        }
        T::LargeList(child) => {
            let lengths = lengths(numbers);
            let values = array(child, lengths.iter().sum(), numbers);
            Arc::new(LargeListArray::new(child.clone(), OffsetBuffer::from_lengths(lengths), values, nulls))
        }
        T::FixedSizeList(child, len) => {
            let values = array(child, rows * *len as usize, numbers);
            Arc::new(FixedSizeListArray::new(child.clone(), *len, values, nulls))
        }
        T::Struct(fields) => {
            let children = fields.iter().map(|field| array(field, rows, numbers)).collect();
            Arc::new(StructArray::new(fields.clone(), children, nulls))
        }
        T::Map(entries, sorted) => {
            let lengths = lengths(numbers);
            let T::Struct(fields) = entries.data_type() else { unreachable!() };
            let total = lengths.iter().sum();
            let children = fields.iter().map(|field| array(field, total, numbers)).collect();
            let pairs = StructArray::new(fields.clone(), children, None);
            Arc::new(MapArray::new(entries.clone(), OffsetBuffer::from_lengths(lengths), pairs, nulls, *sorted))
        }
        T::Date64 => {
            numbers_of(field.data_type(), rows, nulls, |numbers| 86_400_000 * numbers.below(9000) as i128, numbers)
        }
        data_type => numbers_of(data_type, rows, nulls, |numbers| numbers.below(20_000) as i128 - 10_000, numbers),
    }
}

/// Rows of a type of fixed width: the numbers' low bytes.
fn numbers_of(
    data_type: &DataType,
    rows: usize,
    nulls: Option<NullBuffer>,
    mut next: impl FnMut(&mut Numbers) -> i128,
    numbers: &mut Numbers,
) -> ArrayRef {
    let width = data_type.primitive_width().unwrap();
    let mut bytes = Vec::new();
    for _ in 0..rows {
        let mut value = next(numbers);
        if let DataType::Float16 = data_type {
            // Any bits but those of NaN, which does not equal itself.
            value &= 0x7bff;
        }
        match data_type {
            DataType::Float32 => bytes.extend_from_slice(&(value as f32).to_le_bytes()),
            DataType::Float64 => bytes.extend_from_slice(&(value as f64).to_le_bytes()),
            _ => {
                let sign = if value < 0 { 0xff } else { 0 };
                let low = value.to_le_bytes();
                bytes.extend((0..width).map(|index| low.get(index).copied().unwrap_or(sign)));
            }
        }
    }
    let data = ArrayData::builder(data_type.clone()).len(rows).add_buffer(Buffer::from(bytes)).nulls(nulls);
    make_array(data.build().unwrap())
}

/// The field's rows from `offset` on, in a slice of more.
pub fn sliced(field: &Field, offset: usize, rows: usize, numbers: &mut Numbers) -> ArrayRef {
    array(field, offset + rows, numbers).slice(offset, rows)
}
