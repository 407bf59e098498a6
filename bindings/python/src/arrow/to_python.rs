//! Plain Python values out of Arrow arrays: rows as dicts, without any Arrow library.
//!
//! Times come as those of `datetime`, which know microseconds: a value with nanoseconds is refused, never cut.

use crate::arrow::from_python::nanoseconds_of;
use crate::error::invalid;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::i256;
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyList, PyString, PyTuple};

/// What of Python's own library values are made of.
pub(crate) struct Calendar {
    pub(crate) decimal: Py<PyAny>,
    /// The first moment of 1970, without a zone and with UTC.
    pub(crate) epoch: Py<PyAny>,
    pub(crate) epoch_utc: Py<PyAny>,
    timedelta: Py<PyAny>,
    date: Py<PyAny>,
    time: Py<PyAny>,
    timezone: Py<PyAny>,
    zone_info: Py<PyAny>,
}

pub(crate) fn calendar(py: Python<'_>) -> PyResult<&Calendar> {
    static CALENDAR: PyOnceLock<Calendar> = PyOnceLock::new();
    CALENDAR.get_or_try_init(py, || {
        let module = py.import("datetime")?;
        let (datetime, timezone) = (module.getattr("datetime")?, module.getattr("timezone")?);
        let epoch = datetime.call1((1970, 1, 1))?;
        let zone = PyDict::new(py);
        zone.set_item("tzinfo", timezone.getattr("utc")?)?;
        Ok(Calendar {
            decimal: py.import("decimal")?.getattr("Decimal")?.unbind(),
            epoch_utc: epoch.call_method("replace", (), Some(&zone))?.unbind(),
            epoch: epoch.unbind(),
            timedelta: module.getattr("timedelta")?.unbind(),
            date: module.getattr("date")?.unbind(),
            time: module.getattr("time")?.unbind(),
            timezone: timezone.unbind(),
            zone_info: py.import("zoneinfo")?.getattr("ZoneInfo")?.unbind(),
        })
    })
}

/// The rows of a batch as dicts.
pub(crate) fn rows<'py>(py: Python<'py>, batch: &RecordBatch) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let dicts: Vec<_> = (0..batch.num_rows()).map(|_| PyDict::new(py)).collect();
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let name = PyString::intern(py, field.name());
        for (row, dict) in dicts.iter().enumerate() {
            dict.set_item(&name, value(py, column, row)?)?;
        }
    }
    Ok(dicts)
}

/// One value of an array; None for null.
fn value<'py>(py: Python<'py>, array: &ArrayRef, row: usize) -> PyResult<Bound<'py, PyAny>> {
    use DataType as T;
    if array.is_null(row) {
        return Ok(py.None().into_bound(py));
    }
    macro_rules! primitive {
        ($type:ty) => {
            array.as_primitive::<$type>().value(row)
        };
    }
    macro_rules! number {
        ($type:ty) => {
            Ok(primitive!($type).into_pyobject(py)?.into_any())
        };
    }
    match array.data_type() {
        T::Null => Ok(py.None().into_bound(py)),
        T::Boolean => Ok(PyBool::new(py, array.as_boolean().value(row)).to_owned().into_any()),
        T::Int8 => number!(Int8Type),
        T::Int16 => number!(Int16Type),
        T::Int32 => number!(Int32Type),
        T::Int64 => number!(Int64Type),
        T::UInt8 => number!(UInt8Type),
        T::UInt16 => number!(UInt16Type),
        T::UInt32 => number!(UInt32Type),
        T::UInt64 => number!(UInt64Type),
        T::Float16 => Ok(f64::from(primitive!(Float16Type)).into_pyobject(py)?.into_any()),
        T::Float32 => Ok(f64::from(primitive!(Float32Type)).into_pyobject(py)?.into_any()),
        T::Float64 => number!(Float64Type),
        T::Utf8 => Ok(PyString::new(py, array.as_string::<i32>().value(row)).into_any()),
        T::LargeUtf8 => Ok(PyString::new(py, array.as_string::<i64>().value(row)).into_any()),
        T::Utf8View => Ok(PyString::new(py, array.as_string_view().value(row)).into_any()),
        T::Binary => Ok(PyBytes::new(py, array.as_binary::<i32>().value(row)).into_any()),
        T::LargeBinary => Ok(PyBytes::new(py, array.as_binary::<i64>().value(row)).into_any()),
        T::BinaryView => Ok(PyBytes::new(py, array.as_binary_view().value(row)).into_any()),
        T::FixedSizeBinary(_) => Ok(PyBytes::new(py, array.as_fixed_size_binary().value(row)).into_any()),
        T::Decimal32(_, scale) => decimal(py, i256::from(primitive!(Decimal32Type)), *scale),
        T::Decimal64(_, scale) => decimal(py, i256::from(primitive!(Decimal64Type)), *scale),
        T::Decimal128(_, scale) => decimal(py, i256::from_i128(primitive!(Decimal128Type)), *scale),
        T::Decimal256(_, scale) => decimal(py, primitive!(Decimal256Type), *scale),
        T::Date32 => date(py, i64::from(primitive!(Date32Type))),
        T::Date64 => date(py, primitive!(Date64Type).div_euclid(86_400_000)),
        T::Time32(TimeUnit::Second) => time(py, i64::from(primitive!(Time32SecondType)), TimeUnit::Second),
        T::Time32(unit) => time(py, i64::from(primitive!(Time32MillisecondType)), *unit),
        T::Time64(TimeUnit::Microsecond) => time(py, primitive!(Time64MicrosecondType), TimeUnit::Microsecond),
        T::Time64(unit) => time(py, primitive!(Time64NanosecondType), *unit),
        T::Timestamp(unit, zone) => {
            let units = match unit {
                TimeUnit::Second => primitive!(TimestampSecondType),
                TimeUnit::Millisecond => primitive!(TimestampMillisecondType),
                TimeUnit::Microsecond => primitive!(TimestampMicrosecondType),
                TimeUnit::Nanosecond => primitive!(TimestampNanosecondType),
            };
            instant(py, units, *unit, zone.as_deref())
        }
        T::Duration(unit) => {
            let units = match unit {
                TimeUnit::Second => primitive!(DurationSecondType),
                TimeUnit::Millisecond => primitive!(DurationMillisecondType),
                TimeUnit::Microsecond => primitive!(DurationMicrosecondType),
                TimeUnit::Nanosecond => primitive!(DurationNanosecondType),
            };
            delta(py, units, *unit)
        }
        T::Interval(IntervalUnit::YearMonth) => number!(IntervalYearMonthType),
        T::Interval(IntervalUnit::DayTime) => {
            let interval = primitive!(IntervalDayTimeType);
            Ok((interval.days, interval.milliseconds).into_pyobject(py)?.into_any())
        }
        T::Interval(IntervalUnit::MonthDayNano) => {
            let interval = primitive!(IntervalMonthDayNanoType);
            Ok((interval.months, interval.days, interval.nanoseconds).into_pyobject(py)?.into_any())
        }
        T::List(_) => list(py, &array.as_list::<i32>().value(row)),
        T::LargeList(_) => list(py, &array.as_list::<i64>().value(row)),
        T::ListView(_) => list(py, &array.as_list_view::<i32>().value(row)),
        T::LargeListView(_) => list(py, &array.as_list_view::<i64>().value(row)),
        T::FixedSizeList(..) => list(py, &array.as_fixed_size_list().value(row)),
        T::Struct(fields) => {
            let (dict, columns) = (PyDict::new(py), array.as_struct().columns());
            for (field, column) in fields.iter().zip(columns) {
                dict.set_item(field.name(), value(py, column, row)?)?;
            }
            Ok(dict.into_any())
        }
        T::Map(..) => {
            let entries = array.as_map().value(row);
            let pair =
                |entry| PyTuple::new(py, [value(py, entries.column(0), entry)?, value(py, entries.column(1), entry)?]);
            let pairs = (0..entries.len()).map(pair).collect::<PyResult<Vec<_>>>()?;
            Ok(PyList::new(py, pairs)?.into_any())
        }
        T::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            value(py, dictionary.values(), dictionary.normalized_keys()[row])
        }
        T::Union(..) => {
            let union = array.as_union();
            value(py, union.child(union.type_id(row)), union.value_offset(row))
        }
        other => Err(PyTypeError::new_err(format!("values of the type {other} can be read as Arrow data only"))),
    }
}

fn list<'py>(py: Python<'py>, items: &ArrayRef) -> PyResult<Bound<'py, PyAny>> {
    let items = (0..items.len()).map(|item| value(py, items, item)).collect::<PyResult<Vec<_>>>()?;
    Ok(PyList::new(py, items)?.into_any())
}

fn decimal<'py>(py: Python<'py>, unscaled: i256, scale: i8) -> PyResult<Bound<'py, PyAny>> {
    // From text, since arithmetic of decimals rounds to the precision of the context.
    calendar(py)?.decimal.bind(py).call1((format!("{unscaled}E{}", -i32::from(scale)),))
}

fn date(py: Python<'_>, days: i64) -> PyResult<Bound<'_, PyAny>> {
    calendar(py)?.date.bind(py).call_method1("fromordinal", (days + 719_163,))
}

fn microseconds(py: Python<'_>, units: i64, unit: TimeUnit) -> PyResult<i128> {
    let nanoseconds = i128::from(units) * nanoseconds_of(unit);
    if nanoseconds % 1_000 != 0 {
        let message = "a time has nanoseconds, which datetime cannot hold: read it as Arrow data";
        return Err(invalid(py, message));
    }
    Ok(nanoseconds / 1_000)
}

fn time(py: Python<'_>, units: i64, unit: TimeUnit) -> PyResult<Bound<'_, PyAny>> {
    let microseconds = microseconds(py, units, unit)?;
    let seconds = microseconds / 1_000_000;
    calendar(py)?.time.bind(py).call1((seconds / 3600, seconds / 60 % 60, seconds % 60, microseconds % 1_000_000))
}

fn delta(py: Python<'_>, units: i64, unit: TimeUnit) -> PyResult<Bound<'_, PyAny>> {
    calendar(py)?.timedelta.bind(py).call1((0, 0, microseconds(py, units, unit)?))
}

fn instant<'py>(py: Python<'py>, units: i64, unit: TimeUnit, zone: Option<&str>) -> PyResult<Bound<'py, PyAny>> {
    let (calendar, since) = (calendar(py)?, delta(py, units, unit)?);
    let Some(zone) = zone else { return calendar.epoch.bind(py).add(since) };
    let moment = calendar.epoch_utc.bind(py).add(since)?;
    if matches!(zone, "UTC" | "utc" | "Z" | "+00:00") {
        return Ok(moment);
    }
    moment.call_method1("astimezone", (zone_of(py, calendar, zone)?,))
}

/// A zone by name, or `+05:30`.
fn zone_of<'py>(py: Python<'py>, calendar: &Calendar, zone: &str) -> PyResult<Bound<'py, PyAny>> {
    let offset = || -> Option<i64> {
        let sign = match zone.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let (hours, minutes) = zone.get(1..)?.split_once(':')?;
        Some(sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60))
    };
    match offset() {
        Some(seconds) => {
            let difference = calendar.timedelta.bind(py).call1((0, seconds))?;
            calendar.timezone.bind(py).call1((difference,))
        }
        None => calendar.zone_info.bind(py).call1((zone,)),
    }
}
