//! Plain values: their order, made at random for a type, and their way into and out of Arrow arrays.

use super::Random;
use arrow_array::builder::{FixedSizeBinaryBuilder, Int64Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_schema::{DataType, Field, TimeUnit};
use std::cmp::Ordering;
use std::sync::Arc;

/// A value of any type. Ordered as keys are: nulls first, floats in total order.
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Whole(i128),
    Float(f64),
    Bytes(Arc<[u8]>),
    List(Arc<[Option<i64>]>),
}

use Value::{Bool, Bytes, Float, List, Null, Whole};

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Null, Null) => Ordering::Equal,
            (Null, _) => Ordering::Less,
            (_, Null) => Ordering::Greater,
            (Bool(a), Bool(b)) => a.cmp(b),
            (Whole(a), Whole(b)) => a.cmp(b),
            (Float(a), Float(b)) => a.total_cmp(b),
            (Bytes(a), Bytes(b)) => a.cmp(b),
            (List(a), List(b)) => a.cmp(b),
            _ => panic!("{self:?} does not compare with {other:?}"),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl Value {
    fn whole(&self) -> Option<i128> {
        match self {
            Whole(value) => Some(*value),
            Null => None,
            other => panic!("{other:?} is no whole number"),
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Bytes(value) => Some(value),
            Null => None,
            other => panic!("{other:?} is no string"),
        }
    }

    fn text(&self) -> Option<&str> {
        self.bytes().map(|bytes| std::str::from_utf8(bytes).unwrap())
    }

    fn float(&self) -> Option<f64> {
        match self {
            Float(value) => Some(*value),
            Null => None,
            other => panic!("{other:?} is no float"),
        }
    }
}

macro_rules! with_primitive {
    ($data_type:expr, $action:ident, $otherwise:expr) => {
        match $data_type {
            DataType::Int8 => $action!(Int8Type),
            DataType::Int16 => $action!(Int16Type),
            DataType::Int32 => $action!(Int32Type),
            DataType::Int64 => $action!(Int64Type),
            DataType::UInt8 => $action!(UInt8Type),
            DataType::UInt16 => $action!(UInt16Type),
            DataType::UInt32 => $action!(UInt32Type),
            DataType::UInt64 => $action!(UInt64Type),
            DataType::Date32 => $action!(Date32Type),
            DataType::Date64 => $action!(Date64Type),
            DataType::Time64(TimeUnit::Microsecond) => $action!(Time64MicrosecondType),
            DataType::Timestamp(TimeUnit::Second, _) => $action!(TimestampSecondType),
            DataType::Timestamp(TimeUnit::Millisecond, _) => $action!(TimestampMillisecondType),
            DataType::Timestamp(TimeUnit::Microsecond, _) => $action!(TimestampMicrosecondType),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => $action!(TimestampNanosecondType),
            DataType::Decimal128(..) => $action!(Decimal128Type),
            _ => $otherwise,
        }
    };
}

/// The values as an array of a type.
pub fn array(data_type: &DataType, values: &[Value]) -> ArrayRef {
    macro_rules! primitive {
        ($type:ty) => {{
            type Native = <$type as ArrowPrimitiveType>::Native;
            let array: PrimitiveArray<$type> =
                values.iter().map(|value| value.whole().map(|value| Native::try_from(value).unwrap())).collect();
            Arc::new(array.with_data_type(data_type.clone()))
        }};
    }
    with_primitive!(
        data_type,
        primitive,
        match data_type {
            DataType::Boolean => Arc::new(BooleanArray::from_iter(values.iter().map(|value| match value {
                Bool(value) => Some(*value),
                _ => None,
            }))),
            DataType::Float32 =>
                Arc::new(Float32Array::from_iter(values.iter().map(|value| value.float().map(|value| value as f32)))),
            DataType::Float64 => Arc::new(Float64Array::from_iter(values.iter().map(Value::float))),
            DataType::Utf8 => Arc::new(StringArray::from_iter(values.iter().map(Value::text))),
            DataType::LargeUtf8 => Arc::new(LargeStringArray::from_iter(values.iter().map(Value::text))),
            DataType::Utf8View => Arc::new(StringViewArray::from_iter(values.iter().map(Value::text))),
            DataType::Binary => Arc::new(BinaryArray::from_iter(values.iter().map(Value::bytes))),
            DataType::FixedSizeBinary(width) => {
                let mut builder = FixedSizeBinaryBuilder::new(*width);
                for value in values {
                    match value.bytes() {
                        Some(bytes) => builder.append_value(bytes).unwrap(),
                        None => builder.append_null(),
                    }
                }
                Arc::new(builder.finish())
            }
            DataType::List(_) => {
                let mut builder = ListBuilder::new(Int64Builder::new());
                for value in values {
                    match value {
                        List(items) => builder.append_value(items.iter().copied()),
                        _ => builder.append_null(),
                    }
                }
                Arc::new(builder.finish())
            }
            other => panic!("{other}"),
        }
    )
}

/// The values of an array.
pub fn values(array: &ArrayRef) -> Vec<Value> {
    let bytes = |bytes: Option<&[u8]>| bytes.map_or(Null, |bytes| Bytes(bytes.into()));
    macro_rules! primitive {
        ($type:ty) => {
            array.as_primitive::<$type>().iter().map(|v| v.map_or(Null, |v| Whole(i128::from(v)))).collect()
        };
    }
    with_primitive!(
        array.data_type(),
        primitive,
        match array.data_type() {
            DataType::Boolean => array.as_boolean().iter().map(|v| v.map_or(Null, Bool)).collect(),
            DataType::Float32 =>
                array.as_primitive::<Float32Type>().iter().map(|v| v.map_or(Null, |v| Float(v.into()))).collect(),
            DataType::Float64 => array.as_primitive::<Float64Type>().iter().map(|v| v.map_or(Null, Float)).collect(),
            DataType::Utf8 => array.as_string::<i32>().iter().map(|v| bytes(v.map(str::as_bytes))).collect(),
            DataType::LargeUtf8 => array.as_string::<i64>().iter().map(|v| bytes(v.map(str::as_bytes))).collect(),
            DataType::Utf8View => array.as_string_view().iter().map(|v| bytes(v.map(str::as_bytes))).collect(),
            DataType::Binary => array.as_binary::<i32>().iter().map(bytes).collect(),
            DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().iter().map(bytes).collect(),
            DataType::List(_) => array
                .as_list::<i32>()
                .iter()
                .map(|v| v.map_or(Null, |v| List(v.as_primitive::<Int64Type>().iter().collect())))
                .collect(),
            other => panic!("{other}"),
        }
    )
}

fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)))
}

/// A type that a key may have.
pub fn key_type(random: &mut Random) -> DataType {
    use DataType as T;
    let zone = || Some("UTC".into());
    match random.below(16) {
        0 => T::Boolean,
        1 => T::Int8,
        2 => T::Int16,
        3 => T::Int32,
        4 | 5 => T::Int64,
        6 => T::UInt32,
        7 => T::UInt64,
        8 => T::Date32,
        9 => T::Timestamp(TimeUnit::Millisecond, None),
        10 => T::Timestamp(TimeUnit::Microsecond, zone()),
        11 => T::Decimal128(20, 2),
        12 => [T::LargeUtf8, T::Utf8View, T::FixedSizeBinary(4)][random.below(3) as usize].clone(),
        13 => T::Binary,
        14 => T::Float64,
        _ => T::Utf8,
    }
}

/// A type that a column may have.
pub fn column_type(random: &mut Random) -> DataType {
    match random.below(12) {
        0 => list_type(),
        1 => DataType::Float32,
        2 => DataType::Float64,
        3 => DataType::UInt8,
        4 => DataType::Time64(TimeUnit::Microsecond),
        5 => DataType::Int32,
        _ => key_type(random),
    }
}

/// What a column may be widened to.
pub fn wider(data_type: &DataType, random: &mut Random) -> Option<DataType> {
    use DataType as T;
    let choices = match data_type {
        T::Int8 => vec![T::Int16, T::Int64, T::Float32],
        T::Int16 => vec![T::Int32, T::Float64],
        T::Int32 => vec![T::Int64, T::Float64],
        T::UInt8 => vec![T::UInt32, T::Int16, T::Int64],
        T::UInt32 => vec![T::UInt64],
        T::Float32 => vec![T::Float64],
        T::Decimal128(20, 2) => vec![T::Decimal128(30, 2)],
        T::Utf8 => vec![T::LargeUtf8, T::Utf8View],
        T::Date32 => vec![T::Date64, T::Timestamp(TimeUnit::Millisecond, None), T::Timestamp(TimeUnit::Second, None)],
        _ => return None,
    };
    Some(choices[random.below(choices.len() as u64) as usize].clone())
}

/// A value after its column was widened.
pub fn widened(value: &Value, from: &DataType, to: &DataType) -> Value {
    match (value, from, to) {
        (Whole(days), DataType::Date32, DataType::Timestamp(TimeUnit::Second, _)) => Whole(days * 86_400),
        (Whole(days), DataType::Date32, _) => Whole(days * 86_400_000),
        (Whole(value), _, DataType::Float32 | DataType::Float64) => Float(*value as f64),
        (value, ..) => value.clone(),
    }
}

fn whole_limits(data_type: &DataType) -> Option<(i128, i128)> {
    use DataType as T;
    Some(match data_type {
        T::Int8 => (i8::MIN.into(), i8::MAX.into()),
        T::Int16 => (i16::MIN.into(), i16::MAX.into()),
        T::Int32 => (i32::MIN.into(), i32::MAX.into()),
        T::Int64 | T::Timestamp(..) => (i64::MIN.into(), i64::MAX.into()),
        T::UInt8 => (0, u8::MAX.into()),
        T::UInt16 => (0, u16::MAX.into()),
        T::UInt32 => (0, u32::MAX.into()),
        T::UInt64 => (0, u64::MAX.into()),
        // Days that can be widened to the milliseconds of a timestamp.
        T::Date32 => (-100_000_000, 100_000_000),
        T::Date64 => (-100_000_000 * 86_400_000, 100_000_000 * 86_400_000),
        T::Time64(_) => (0, 86_399_999_999),
        T::Decimal128(digits, _) => (1 - 10i128.pow((*digits).into()), 10i128.pow((*digits).into()) - 1),
        _ => return None,
    })
}

const WORDS: [&str; 7] = ["", "a", "ab", "temperature/", "z\u{e9}\u{1f600}", "\u{10ffff}\u{10ffff}", "a\0b"];

/// `count` different values of a type, or as many as it has, in order.
pub fn domain(data_type: &DataType, count: u64, random: &mut Random) -> Vec<Value> {
    let mut values: Vec<Value> = match data_type {
        DataType::Boolean => vec![Bool(false), Bool(true)],
        DataType::Float32 | DataType::Float64 => {
            let special = [-f64::NAN, f64::NEG_INFINITY, -0.0, 0.0, f64::INFINITY, f64::NAN];
            let mut values: Vec<Value> = special.into_iter().filter(|_| random.below(2) == 0).map(Float).collect();
            values.extend((0..count).map(|_| Float(random.below(4 * count) as f64 * 0.25 - count as f64 / 2.0)));
            values
        }
        DataType::List(_) => (0..count)
            .map(|_| {
                let len = random.below(4);
                List((0..len).map(|_| (random.below(4) > 0).then(|| random.below(9) as i64)).collect())
            })
            .collect(),
        DataType::FixedSizeBinary(_) => (0..count)
            .map(|_| {
                let number = random.below(2 * count) as u32;
                Bytes(if random.below(2) == 0 { number.to_be_bytes() } else { [0xff, 0xff, 0xff, number as u8] }.into())
            })
            .collect(),
        DataType::Binary => (0..count)
            .map(|_| {
                let len = [0, 1, 2, 5, 70][random.below(5) as usize];
                let fill = [0, 0x7f, 0xff][random.below(3) as usize];
                let mut bytes = vec![fill; len];
                bytes.extend(&random.next().to_be_bytes()[..random.below(4) as usize]);
                Bytes(bytes.into())
            })
            .collect(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let word = WORDS[random.below(7) as usize];
            (0..count)
                .map(|_| {
                    let word = if random.below(4) == 0 { WORDS[random.below(7) as usize] } else { word };
                    // Some longer than what bounds keep of a string.
                    let repeat = if random.below(8) == 0 { 40 } else { 1 };
                    Bytes(format!("{}{:03}", word.repeat(repeat), random.below(2 * count)).into_bytes().into())
                })
                .collect()
        }
        other => {
            let (least, most) = whole_limits(other).unwrap_or_else(|| panic!("{other}"));
            let span = i128::from(3 * count);
            let start = if least < -span && random.below(2) == 0 { -span / 2 } else { 0 };
            let mut values: Vec<Value> =
                (0..count).map(|_| Whole((start + i128::from(random.below(3 * count))).clamp(least, most))).collect();
            if random.below(3) == 0 {
                values.extend([Whole(least), Whole(most)]);
            }
            values
        }
    };
    values.sort();
    values.dedup();
    values
}
