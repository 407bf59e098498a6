//! Values of Arrow columns as JSON: numbers and booleans as such, times as ISO 8601, decimals as text, binary as hexadecimal digits.

use crate::output::Record;
use crate::text::hex;
use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::{
    date32_to_datetime, date64_to_datetime, time32ms_to_time, time32s_to_time, time64ns_to_time, time64us_to_time,
    timestamp_ms_to_datetime, timestamp_ns_to_datetime, timestamp_s_to_datetime, timestamp_us_to_datetime,
};
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use serde_json::{Map, Value, json};

/// The row at `row` of a batch.
pub fn record(batch: &RecordBatch, row: usize) -> Record {
    let fields = batch.schema_ref().fields().iter().zip(batch.columns());
    fields.map(|(field, column)| (field.name().clone(), value(column, row))).collect()
}

/// The value at `row` of an array.
pub fn value(array: &ArrayRef, row: usize) -> Value {
    use DataType as T;
    if array.is_null(row) {
        return Value::Null;
    }
    macro_rules! primitive {
        ($type:ty) => {
            array.as_primitive::<$type>().value(row)
        };
    }
    match array.data_type() {
        T::Null => Value::Null,
        T::Boolean => array.as_boolean().value(row).into(),
        T::Int8 => primitive!(Int8Type).into(),
        T::Int16 => primitive!(Int16Type).into(),
        T::Int32 => primitive!(Int32Type).into(),
        T::Int64 => primitive!(Int64Type).into(),
        T::UInt8 => primitive!(UInt8Type).into(),
        T::UInt16 => primitive!(UInt16Type).into(),
        T::UInt32 => primitive!(UInt32Type).into(),
        T::UInt64 => primitive!(UInt64Type).into(),
        T::Float16 => float(f64::from(primitive!(Float16Type))),
        // By its shortest text, so that 0.1 does not become 0.10000000149.
        T::Float32 => {
            let number = primitive!(Float32Type);
            float(number.to_string().parse().unwrap_or(f64::from(number)))
        }
        T::Float64 => float(primitive!(Float64Type)),
        T::Utf8 => array.as_string::<i32>().value(row).into(),
        T::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        T::Utf8View => array.as_string_view().value(row).into(),
        T::Binary => hex(array.as_binary::<i32>().value(row)).into(),
        T::LargeBinary => hex(array.as_binary::<i64>().value(row)).into(),
        T::BinaryView => hex(array.as_binary_view().value(row)).into(),
        T::FixedSizeBinary(_) => hex(array.as_fixed_size_binary().value(row)).into(),
        T::Decimal32(..) => array.as_primitive::<Decimal32Type>().value_as_string(row).into(),
        T::Decimal64(..) => array.as_primitive::<Decimal64Type>().value_as_string(row).into(),
        T::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row).into(),
        T::Decimal256(..) => array.as_primitive::<Decimal256Type>().value_as_string(row).into(),
        T::Date32 => {
            let days = primitive!(Date32Type);
            text_or(date32_to_datetime(days).map(|time| time.date()), days.into())
        }
        T::Date64 => {
            let millis = primitive!(Date64Type);
            text_or(date64_to_datetime(millis).map(|time| time.date()), millis)
        }
        T::Time32(TimeUnit::Second) => {
            let units = primitive!(Time32SecondType);
            text_or(time32s_to_time(units), units.into())
        }
        T::Time32(_) => {
            let units = primitive!(Time32MillisecondType);
            text_or(time32ms_to_time(units), units.into())
        }
        T::Time64(TimeUnit::Microsecond) => {
            let units = primitive!(Time64MicrosecondType);
            text_or(time64us_to_time(units), units)
        }
        T::Time64(_) => {
            let units = primitive!(Time64NanosecondType);
            text_or(time64ns_to_time(units), units)
        }
        T::Timestamp(unit, zone) => {
            macro_rules! moment {
                ($type:ty, $convert:ident) => {{
                    let units = primitive!($type);
                    (units, $convert(units))
                }};
            }
            let (units, moment) = match unit {
                TimeUnit::Second => moment!(TimestampSecondType, timestamp_s_to_datetime),
                TimeUnit::Millisecond => moment!(TimestampMillisecondType, timestamp_ms_to_datetime),
                TimeUnit::Microsecond => moment!(TimestampMicrosecondType, timestamp_us_to_datetime),
                TimeUnit::Nanosecond => moment!(TimestampNanosecondType, timestamp_ns_to_datetime),
            };
            // A moment is the same in every zone: shown in UTC.
            let suffix = if zone.is_some() { "Z" } else { "" };
            text_or(moment.map(|time| format!("{}T{}{suffix}", time.date(), time.time())), units)
        }
        T::Duration(unit) => match unit {
            TimeUnit::Second => primitive!(DurationSecondType).into(),
            TimeUnit::Millisecond => primitive!(DurationMillisecondType).into(),
            TimeUnit::Microsecond => primitive!(DurationMicrosecondType).into(),
            TimeUnit::Nanosecond => primitive!(DurationNanosecondType).into(),
        },
        T::Interval(IntervalUnit::YearMonth) => json!({ "months": primitive!(IntervalYearMonthType) }),
        T::Interval(IntervalUnit::DayTime) => {
            let interval = primitive!(IntervalDayTimeType);
            json!({ "days": interval.days, "milliseconds": interval.milliseconds })
        }
        T::Interval(IntervalUnit::MonthDayNano) => {
            let interval = primitive!(IntervalMonthDayNanoType);
            json!({ "months": interval.months, "days": interval.days, "nanoseconds": interval.nanoseconds })
        }
        T::List(_) => list(&array.as_list::<i32>().value(row)),
        T::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        T::ListView(_) => list(&array.as_list_view::<i32>().value(row)),
        T::LargeListView(_) => list(&array.as_list_view::<i64>().value(row)),
        T::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row)),
        T::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            Value::Object(
                columns.map(|(field, column)| (field.name().clone(), value(column, row))).collect::<Map<_, _>>(),
            )
        }
        T::Map(..) => {
            let entries = array.as_map().value(row);
            let pair = |entry| Value::Array(vec![value(entries.column(0), entry), value(entries.column(1), entry)]);
            (0..entries.len()).map(pair).collect()
        }
        T::Union(..) => {
            let union = array.as_union();
            value(union.child(union.type_id(row)), union.value_offset(row))
        }
        // No column of a table has another type.
        other => format!("<{other}>").into(),
    }
}

fn list(items: &ArrayRef) -> Value {
    (0..items.len()).map(|item| value(items, item)).collect()
}

/// JSON has no word for those that are no numbers.
fn float(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
}

/// A time as text, or as the number that it is if no calendar has it.
fn text_or(time: Option<impl ToString>, units: i64) -> Value {
    time.map_or_else(|| units.into(), |time| time.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{Date32Array, Decimal128Array, Float32Array, Float64Array, TimestampMicrosecondArray};
    use std::sync::Arc;

    fn first(array: impl Array + 'static) -> Value {
        value(&(Arc::new(array) as ArrayRef), 0)
    }

    #[test]
    fn values_are_what_people_would_write() {
        assert_eq!(first(Float32Array::from(vec![0.1])), json!(0.1));
        assert_eq!(first(Float64Array::from(vec![f64::NAN])), json!("NaN"));
        assert_eq!(first(Date32Array::from(vec![20_000])), json!("2024-10-04"));
        assert_eq!(first(Date32Array::from(vec![i32::MAX])), json!(i32::MAX));
        let time = TimestampMicrosecondArray::from(vec![1_500_000]);
        assert_eq!(first(time.clone()), json!("1970-01-01T00:00:01.500"));
        assert_eq!(first(time.with_timezone("Europe/Berlin")), json!("1970-01-01T00:00:01.500Z"));
        let decimal = Decimal128Array::from(vec![-1234]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(first(decimal), json!("-12.34"));
        let mut words = ListBuilder::new(StringBuilder::new());
        words.append_value([Some("a"), None]);
        assert_eq!(first(words.finish()), json!(["a", null]));
    }
}
