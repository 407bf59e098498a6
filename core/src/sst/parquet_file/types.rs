//! Which Arrow types a Parquet row file can hold, so that what comes back is what was written.
//!
//! Called when a writer is made: the Parquet crate panics on some of the types refused here, and would change others.

use crate::error::{Error, ErrorKind, Result};
use arrow_schema::{DataType, IntervalUnit};

/// Deeper types than this are refused: every level costs stack and two more levels in every page.
const DEPTH_MAX: usize = 32;

/// Refuses (NotSupported) a type that Parquet has no form for.
pub fn check_type(data_type: &DataType) -> Result<()> {
    check_nested(data_type, 0)
}

fn check_nested(data_type: &DataType, depth: usize) -> Result<()> {
    let refuse = |why: &str| Err(Error::new(ErrorKind::NotSupported, why.to_owned()));
    if depth > DEPTH_MAX {
        return refuse("types are nested deeper than 32 levels");
    }
    match data_type {
        DataType::Union(..) => refuse("unions have no Parquet form"),
        DataType::Interval(IntervalUnit::MonthDayNano) => refuse("intervals of nanoseconds have no Parquet form"),
        DataType::RunEndEncoded(..) => refuse("run-end encoded columns are not kept in Parquet"),
        DataType::ListView(_) | DataType::LargeListView(_) => refuse("list views are not kept in Parquet"),
        DataType::FixedSizeBinary(size) if *size <= 0 => refuse("binaries of no bytes have no Parquet form"),
        DataType::FixedSizeList(_, size) if *size <= 0 => refuse("lists of no items have no Parquet form"),
        DataType::Struct(fields) if fields.is_empty() => refuse("structs without fields have no Parquet form"),
        DataType::Struct(fields) => fields.iter().try_for_each(|field| check_nested(field.data_type(), depth + 1)),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => check_nested(field.data_type(), depth + 1),
        DataType::Dictionary(_, values) if values.is_nested() => {
            refuse("dictionaries of nested values are not kept in Parquet")
        }
        DataType::Dictionary(_, values) => check_nested(values, depth + 1),
        _ => Ok(()),
    }
}
