//! Dates, times of day, instants and durations out of Python's. A time that is finer than the column's unit is refused.

use super::{too_large, wrong};
use crate::arrow::to_python::calendar;
use arrow_schema::TimeUnit;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDate, PyDateTime, PyDelta, PyInt, PyTime};

/// Days since 1970.
pub(super) fn days(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    if !value.is_instance_of::<PyDate>() || value.is_instance_of::<PyDateTime>() {
        return Err(wrong(value, "datetime.date"));
    }
    Ok(value.call_method0("toordinal")?.extract::<i64>()? - 719_163)
}

/// Nanoseconds in units of `unit`, which must be whole.
fn in_units(nanoseconds: i128, unit: TimeUnit) -> PyResult<i64> {
    let size = nanoseconds_of(unit);
    if nanoseconds % size != 0 {
        return Err(PyValueError::new_err("the time is finer than the column's unit"));
    }
    i64::try_from(nanoseconds / size).map_err(|_| too_large())
}

pub(crate) fn nanoseconds_of(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

pub(super) fn time_of_day(value: &Bound<'_, PyAny>, unit: TimeUnit) -> PyResult<i64> {
    if !value.is_instance_of::<PyTime>() || !value.getattr("tzinfo")?.is_none() {
        return Err(wrong(value, "datetime.time without a zone"));
    }
    let part = |name: &str| value.getattr(name)?.extract::<i128>();
    let seconds = part("hour")? * 3600 + part("minute")? * 60 + part("second")?;
    in_units((seconds * 1_000_000 + part("microsecond")?) * 1_000, unit)
}

fn delta_nanoseconds(value: &Bound<'_, PyAny>) -> PyResult<i128> {
    let part = |name: &str| value.getattr(name)?.extract::<i128>();
    let nanoseconds = match value.getattr_opt("nanoseconds")? {
        Some(more) => more.extract::<i128>()?,
        None => 0,
    };
    Ok(((part("days")? * 86_400 + part("seconds")?) * 1_000_000 + part("microseconds")?) * 1_000 + nanoseconds)
}

/// Units since 1970: of a datetime, or given as an int.
pub(super) fn instant(py: Python<'_>, value: &Bound<'_, PyAny>, unit: TimeUnit, zoned: bool) -> PyResult<i64> {
    if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        return value.extract::<i64>().map_err(|_| too_large());
    }
    if !value.is_instance_of::<PyDateTime>() {
        return Err(wrong(value, "datetime.datetime"));
    }
    if value.call_method0("utcoffset")?.is_none() == zoned {
        let (is, wants) = if zoned { ("no", "one") } else { ("a", "none") };
        return Err(PyValueError::new_err(format!("the time has {is} zone and the column has {wants}")));
    }
    let calendar = calendar(py)?;
    let epoch = if zoned { &calendar.epoch_utc } else { &calendar.epoch };
    let nanoseconds = match value.getattr_opt("nanosecond")? {
        // A pandas timestamp: its own difference would be of its own type.
        Some(more) => {
            let whole = value.call_method1("to_pydatetime", (false,))?;
            delta_nanoseconds(&whole.sub(epoch.bind(py))?)? + more.extract::<i128>()?
        }
        None => delta_nanoseconds(&value.sub(epoch.bind(py))?)?,
    };
    in_units(nanoseconds, unit)
}

pub(super) fn duration(value: &Bound<'_, PyAny>, unit: TimeUnit) -> PyResult<i64> {
    if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        return value.extract::<i64>().map_err(|_| too_large());
    }
    if !value.is_instance_of::<PyDelta>() {
        return Err(wrong(value, "datetime.timedelta"));
    }
    in_units(delta_nanoseconds(value)?, unit)
}
