//! Arrow arrays out of plain Python values: rows given as dicts, keys, and the literals of filters.
//!
//! A value that the type cannot hold exactly is refused, never cut: the error names the row.

mod nested;
mod time;

pub(crate) use nested::columns;
pub(crate) use time::nanoseconds_of;

use crate::arrow::to_python::calendar;
use crate::bytes::Bytes;
use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder, GenericByteBuilder};
use arrow_array::types::*;
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BinaryViewArray, BooleanArray, LargeBinaryArray, NullArray, OffsetSizeTrait,
    PrimitiveArray, StringViewArray,
};
use arrow_buffer::i256;
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use nested::{fixed_lists, lists, maps, structs};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDate, PyDateTime, PyDelta, PyFloat, PyInt, PyString, PyTime};
use std::sync::Arc;
use time::{days, duration, instant, time_of_day};

/// A value that does not fit: in which row, and why.
pub(crate) struct Misfit {
    pub(crate) row: usize,
    pub(crate) cause: PyErr,
}

type Fitting<T> = Result<T, Misfit>;
type Values<'a, 'py> = &'a [Option<Bound<'py, PyAny>>];

/// Values, None for null, as an array of a type.
pub(crate) fn array<'py>(py: Python<'py>, data_type: &DataType, values: Values<'_, 'py>) -> Fitting<ArrayRef> {
    use DataType as T;
    Ok(match data_type {
        T::Null => {
            each(values, |value| Err::<(), _>(wrong(value, "null")))?;
            Arc::new(NullArray::new(values.len()))
        }
        T::Boolean => Arc::new(BooleanArray::from(each(values, |value| {
            value.extract::<bool>().map_err(|_| wrong(value, "bool"))
        })?)),
        T::Int8 => integers::<Int8Type>(data_type, values)?,
        T::Int16 => integers::<Int16Type>(data_type, values)?,
        T::Int32 => integers::<Int32Type>(data_type, values)?,
        T::Int64 => integers::<Int64Type>(data_type, values)?,
        T::UInt8 => integers::<UInt8Type>(data_type, values)?,
        T::UInt16 => integers::<UInt16Type>(data_type, values)?,
        T::UInt32 => integers::<UInt32Type>(data_type, values)?,
        T::UInt64 => integers::<UInt64Type>(data_type, values)?,
        T::Float16 => primitive::<Float16Type>(data_type, values, |value| Ok(half::f16::from_f64(float(value)?)))?,
        T::Float32 => primitive::<Float32Type>(data_type, values, |value| Ok(float(value)? as f32))?,
        T::Float64 => primitive::<Float64Type>(data_type, values, float)?,
        T::Utf8 => strings::<i32>(values)?,
        T::LargeUtf8 => strings::<i64>(values)?,
        T::Utf8View => Arc::new(each(values, text)?.into_iter().collect::<StringViewArray>()),
        T::Binary => {
            let mut builder = BinaryBuilder::new();
            each(values, bytes)?.iter().for_each(|value| builder.append_option(value.as_ref().map(Bytes::as_slice)));
            Arc::new(builder.finish())
        }
        T::LargeBinary => {
            let given = each(values, bytes)?;
            Arc::new(given.iter().map(|value| value.as_ref().map(Bytes::as_slice)).collect::<LargeBinaryArray>())
        }
        T::BinaryView => {
            let given = each(values, bytes)?;
            Arc::new(given.iter().map(|value| value.as_ref().map(Bytes::as_slice)).collect::<BinaryViewArray>())
        }
        T::FixedSizeBinary(width) => fixed_binary(*width, values)?,
        T::Decimal32(_, scale) => primitive::<Decimal32Type>(data_type, values, |value| {
            unscaled(value, *scale)?.to_i128().and_then(|whole| i32::try_from(whole).ok()).ok_or_else(too_large)
        })?,
        T::Decimal64(_, scale) => primitive::<Decimal64Type>(data_type, values, |value| {
            unscaled(value, *scale)?.to_i128().and_then(|whole| i64::try_from(whole).ok()).ok_or_else(too_large)
        })?,
        T::Decimal128(_, scale) => primitive::<Decimal128Type>(data_type, values, |value| {
            unscaled(value, *scale)?.to_i128().ok_or_else(too_large)
        })?,
        T::Decimal256(_, scale) => primitive::<Decimal256Type>(data_type, values, |value| unscaled(value, *scale))?,
        T::Date32 => primitive::<Date32Type>(data_type, values, |value| Ok(days(value)? as i32))?,
        T::Date64 => primitive::<Date64Type>(data_type, values, |value| Ok(days(value)? * 86_400_000))?,
        T::Time32(unit) => {
            let of = |value: &Bound<'py, PyAny>| Ok(time_of_day(value, *unit)? as i32);
            match unit {
                TimeUnit::Second => primitive::<Time32SecondType>(data_type, values, of)?,
                _ => primitive::<Time32MillisecondType>(data_type, values, of)?,
            }
        }
        T::Time64(unit) => {
            let of = |value: &Bound<'py, PyAny>| time_of_day(value, *unit);
            match unit {
                TimeUnit::Microsecond => primitive::<Time64MicrosecondType>(data_type, values, of)?,
                _ => primitive::<Time64NanosecondType>(data_type, values, of)?,
            }
        }
        T::Timestamp(unit, zone) => {
            let of = |value: &Bound<'py, PyAny>| instant(py, value, *unit, zone.is_some());
            match unit {
                TimeUnit::Second => primitive::<TimestampSecondType>(data_type, values, of)?,
                TimeUnit::Millisecond => primitive::<TimestampMillisecondType>(data_type, values, of)?,
                TimeUnit::Microsecond => primitive::<TimestampMicrosecondType>(data_type, values, of)?,
                TimeUnit::Nanosecond => primitive::<TimestampNanosecondType>(data_type, values, of)?,
            }
        }
        T::Duration(unit) => {
            let of = |value: &Bound<'py, PyAny>| duration(value, *unit);
            match unit {
                TimeUnit::Second => primitive::<DurationSecondType>(data_type, values, of)?,
                TimeUnit::Millisecond => primitive::<DurationMillisecondType>(data_type, values, of)?,
                TimeUnit::Microsecond => primitive::<DurationMicrosecondType>(data_type, values, of)?,
                TimeUnit::Nanosecond => primitive::<DurationNanosecondType>(data_type, values, of)?,
            }
        }
        T::Interval(IntervalUnit::YearMonth) => integers::<IntervalYearMonthType>(data_type, values)?,
        T::Interval(IntervalUnit::DayTime) => primitive::<IntervalDayTimeType>(data_type, values, |value| {
            let (days, milliseconds) = value.extract()?;
            Ok(IntervalDayTimeType::make_value(days, milliseconds))
        })?,
        T::Interval(IntervalUnit::MonthDayNano) => primitive::<IntervalMonthDayNanoType>(data_type, values, |value| {
            let (months, days, nanoseconds) = value.extract()?;
            Ok(IntervalMonthDayNanoType::make_value(months, days, nanoseconds))
        })?,
        T::List(item) => lists::<i32>(py, item, values)?,
        T::LargeList(item) => lists::<i64>(py, item, values)?,
        T::FixedSizeList(item, width) => fixed_lists(py, item, *width, values)?,
        T::Struct(fields) => structs(py, fields, values)?,
        T::Map(entries, sorted) => maps(py, entries, *sorted, values)?,
        other => {
            let message = format!("values of the type {other} are given as Arrow data, not as Python objects");
            return Err(Misfit { row: 0, cause: PyTypeError::new_err(message) });
        }
    })
}

/// An array of one row of the type that fits the value best: the literal of a filter.
pub(crate) fn literal<'py>(value: &Bound<'py, PyAny>) -> PyResult<ArrayRef> {
    use DataType as T;
    let py = value.py();
    // Scalars of numpy and of pyarrow become Python's own.
    let value = match (value.getattr_opt("as_py")?, value.getattr_opt("dtype")?, value.getattr_opt("item")?) {
        (Some(method), _, _) => method.call0()?,
        (None, Some(_), Some(method)) => method.call0()?,
        _ => value.clone(),
    };
    let data_type = if value.is_none() {
        T::Null
    } else if value.is_instance_of::<PyBool>() {
        T::Boolean
    } else if value.is_instance_of::<PyInt>() {
        match (value.extract::<i64>(), value.extract::<u64>()) {
            (Ok(_), _) => T::Int64,
            (_, Ok(_)) => T::UInt64,
            _ => T::Decimal128(38, 0),
        }
    } else if value.is_instance_of::<PyFloat>() {
        T::Float64
    } else if value.is_instance_of::<PyString>() {
        T::Utf8
    } else if value.is_instance_of::<PyBytes>() {
        T::Binary
    } else if value.is_instance_of::<PyDateTime>() {
        // Of pandas' timestamps too, which know nanoseconds.
        let zone = (!value.getattr("tzinfo")?.is_none()).then(|| Arc::from("UTC"));
        let nanoseconds = value.getattr_opt("nanosecond")?;
        let unit = if nanoseconds.is_some() { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
        T::Timestamp(unit, zone)
    } else if value.is_instance_of::<PyDate>() {
        T::Date32
    } else if value.is_instance_of::<PyTime>() {
        T::Time64(TimeUnit::Microsecond)
    } else if value.is_instance_of::<PyDelta>() {
        T::Duration(TimeUnit::Microsecond)
    } else if value.is_instance(calendar(py)?.decimal.bind(py))? {
        let exponent: i64 = value.call_method0("as_tuple")?.getattr("exponent")?.extract().map_err(|_| not_finite())?;
        let scale = i8::try_from(exponent.min(0).unsigned_abs()).map_err(|_| too_large())?;
        T::Decimal128(38, scale)
    } else {
        let found = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("a filter cannot compare with a value of type {found}")));
    };
    let given = (!value.is_none()).then_some(value);
    array(py, &data_type, &[given]).map_err(|misfit| misfit.cause)
}

fn each<'py, T>(values: Values<'_, 'py>, of: impl Fn(&Bound<'py, PyAny>) -> PyResult<T>) -> Fitting<Vec<Option<T>>> {
    let one = |(row, value): (usize, &Option<Bound<'py, PyAny>>)| {
        value.as_ref().map(&of).transpose().map_err(|cause| Misfit { row, cause })
    };
    values.iter().enumerate().map(one).collect()
}

fn wrong(value: &Bound<'_, PyAny>, wanted: &str) -> PyErr {
    let found = value.get_type().name().map_or_else(|_| "another type".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{wanted} expected, not {found}"))
}

fn too_large() -> PyErr {
    PyOverflowError::new_err("the value is too large for the column")
}

fn not_finite() -> PyErr {
    PyValueError::new_err("a decimal column holds finite numbers")
}

fn primitive<'py, T: ArrowPrimitiveType>(
    data_type: &DataType,
    values: Values<'_, 'py>,
    of: impl Fn(&Bound<'py, PyAny>) -> PyResult<T::Native>,
) -> Fitting<ArrayRef> {
    let array: PrimitiveArray<T> = each(values, of)?.into_iter().collect();
    Ok(Arc::new(array.with_data_type(data_type.clone())))
}

fn integers<'py, T>(data_type: &DataType, values: Values<'_, 'py>) -> Fitting<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: for<'a> FromPyObject<'a, 'py>,
{
    primitive::<T>(data_type, values, |value| {
        if value.is_instance_of::<PyBool>() {
            return Err(wrong(value, "int"));
        }
        value.extract::<T::Native>().map_err(|cause| {
            let cause: PyErr = cause.into();
            let too_large = cause.is_instance_of::<PyOverflowError>(value.py());
            if too_large {
                PyOverflowError::new_err(format!("the value is out of range of {data_type}"))
            } else {
                wrong(value, "int")
            }
        })
    })
}

fn float(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    if value.is_instance_of::<PyBool>() {
        return Err(wrong(value, "float"));
    }
    value.extract::<f64>().map_err(|_| wrong(value, "float"))
}

fn text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    match value.cast::<PyString>() {
        Ok(text) => Ok(text.to_str()?.to_owned()),
        Err(_) => Err(wrong(value, "str")),
    }
}

fn strings<O: OffsetSizeTrait>(values: Values<'_, '_>) -> Fitting<ArrayRef> {
    let mut builder = GenericByteBuilder::<GenericStringType<O>>::new();
    each(values, text)?.into_iter().for_each(|value| builder.append_option(value));
    Ok(Arc::new(builder.finish()))
}

fn bytes<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bytes<'py>> {
    value.extract::<Bytes<'py>>().map_err(|_| wrong(value, "bytes"))
}

fn fixed_binary(width: i32, values: Values<'_, '_>) -> Fitting<ArrayRef> {
    let given = each(values, |value| {
        let value = bytes(value)?;
        match value.as_slice().len() == width as usize {
            true => Ok(value),
            false => Err(PyValueError::new_err(format!("{} bytes were given for {width}", value.as_slice().len()))),
        }
    })?;
    let mut builder = FixedSizeBinaryBuilder::new(width);
    for (row, value) in given.iter().enumerate() {
        match value {
            Some(value) => builder
                .append_value(value.as_slice())
                .map_err(|error| Misfit { row, cause: PyValueError::new_err(error.to_string()) })?,
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// The number times ten to the power of the scale, if that is whole.
fn unscaled(value: &Bound<'_, PyAny>, scale: i8) -> PyResult<i256> {
    let py = value.py();
    let value = if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        calendar(py)?.decimal.bind(py).call1((value,))?
    } else {
        value.clone()
    };
    if !value.is_instance(calendar(py)?.decimal.bind(py))? {
        return Err(wrong(&value, "decimal.Decimal or int"));
    }
    let parts = value.call_method0("as_tuple")?;
    let exponent: i64 = parts.getattr("exponent")?.extract().map_err(|_| not_finite())?;
    let negative = parts.getattr("sign")?.extract::<u8>()? == 1;
    let digits: Vec<u8> = parts.getattr("digits")?.extract()?;
    let mut digits: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
    let zeros = exponent + i64::from(scale);
    if digits.bytes().all(|digit| digit == b'0') {
        return Ok(i256::ZERO);
    }
    if zeros < 0 {
        let cut = zeros.unsigned_abs() as usize;
        if cut >= digits.len() || !digits.ends_with(&"0".repeat(cut)) {
            return Err(PyValueError::new_err(format!("the value has more than {scale} digits after the point")));
        }
        digits.truncate(digits.len() - cut);
    } else if zeros > 80 {
        return Err(too_large());
    } else {
        digits.push_str(&"0".repeat(zeros as usize));
    }
    let digits = digits.trim_start_matches('0');
    if digits.len() > 76 {
        return Err(too_large());
    }
    let sign = if negative { "-" } else { "" };
    i256::from_string(&format!("{sign}{digits}")).ok_or_else(too_large)
}
