//! Names of types, so that a table can be created without any Arrow library: `{"id": "int64", "at": "timestamp[us, UTC]"}`.

use arrow_schema::{DataType, Field, TimeUnit};
use sstore::{Error, Result};
use std::sync::Arc;

/// The type that a name says: as pyarrow writes types, with some shorter names, or as arrow-rs does.
pub(crate) fn parse(text: &str) -> Result<DataType> {
    let unknown = || Error::invalid(format!("unknown type {text:?}; for example int64, string or timestamp[us, UTC]"));
    known(text.trim(), 0).or_else(|| text.trim().parse().ok()).ok_or_else(unknown)
}

/// Deeper types than this are refused by tables too.
const DEPTH_MAX: usize = 32;

fn known(text: &str, depth: usize) -> Option<DataType> {
    use DataType as T;
    if depth > DEPTH_MAX {
        return None;
    }
    let simple = match text {
        "null" => T::Null,
        "bool" | "boolean" => T::Boolean,
        "int8" => T::Int8,
        "int16" => T::Int16,
        "int32" => T::Int32,
        "int64" | "int" => T::Int64,
        "uint8" => T::UInt8,
        "uint16" => T::UInt16,
        "uint32" => T::UInt32,
        "uint64" => T::UInt64,
        "float16" | "halffloat" => T::Float16,
        "float32" => T::Float32,
        "float64" | "float" | "double" => T::Float64,
        "string" | "utf8" | "str" => T::Utf8,
        "large_string" | "large_utf8" => T::LargeUtf8,
        "string_view" | "utf8_view" => T::Utf8View,
        "binary" | "bytes" => T::Binary,
        "large_binary" => T::LargeBinary,
        "binary_view" => T::BinaryView,
        "date" | "date32" | "date32[day]" => T::Date32,
        "date64" | "date64[ms]" => T::Date64,
        "timestamp" => T::Timestamp(TimeUnit::Microsecond, None),
        "time" => T::Time64(TimeUnit::Microsecond),
        "duration" => T::Duration(TimeUnit::Microsecond),
        "month_day_nano_interval" => T::Interval(arrow_schema::IntervalUnit::MonthDayNano),
        _ => return with_arguments(text, depth),
    };
    Some(simple)
}

fn with_arguments(text: &str, depth: usize) -> Option<DataType> {
    use DataType as T;
    let open = text.find(['[', '(', '<'])?;
    let closing = match text.as_bytes()[open] {
        b'[' => ']',
        b'(' => ')',
        _ => '>',
    };
    let (name, inner) = (&text[..open], text[open + 1..].strip_suffix(closing)?);
    let mut arguments = inner.splitn(2, ',').map(str::trim);
    let first = arguments.next()?;
    let second = arguments.next();
    let item = |depth| Some(Arc::new(Field::new_list_field(known(inner.trim(), depth + 1)?, true)));
    Some(match (name, closing) {
        ("binary" | "fixed_size_binary", ']') => T::FixedSizeBinary(inner.trim().parse().ok()?),
        ("timestamp", ']') => {
            let zone = second.map(|zone| Arc::from(zone.strip_prefix("tz=").unwrap_or(zone)));
            T::Timestamp(unit(first)?, zone)
        }
        ("time32", ']') => {
            T::Time32(unit(first).filter(|unit| matches!(unit, TimeUnit::Second | TimeUnit::Millisecond))?)
        }
        ("time64", ']') => {
            T::Time64(unit(first).filter(|unit| matches!(unit, TimeUnit::Microsecond | TimeUnit::Nanosecond))?)
        }
        ("duration", ']') => T::Duration(unit(first)?),
        ("decimal" | "decimal128", ')') => T::Decimal128(first.parse().ok()?, scale(second)?),
        ("decimal32", ')') => T::Decimal32(first.parse().ok()?, scale(second)?),
        ("decimal64", ')') => T::Decimal64(first.parse().ok()?, scale(second)?),
        ("decimal256", ')') => T::Decimal256(first.parse().ok()?, scale(second)?),
        ("list", '>') => T::List(item(depth)?),
        ("large_list", '>') => T::LargeList(item(depth)?),
        _ => return None,
    })
}

fn scale(text: Option<&str>) -> Option<i8> {
    text.map_or(Some(0), |text| text.parse().ok())
}

fn unit(text: &str) -> Option<TimeUnit> {
    Some(match text {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        _ => return None,
    })
}
