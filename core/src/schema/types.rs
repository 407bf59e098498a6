//! The Arrow types that a table takes. A type is data from outside: Arrow's own code panics on some that cannot be
//! (a Time32 of nanoseconds, a decimal of 90 digits), so all of them are looked through once, here.

use super::{FIELD_ID_METADATA, MAX_TYPE_DEPTH};
use crate::error::{Error, Result};
use arrow_schema::{DataType, Field, TimeUnit, UnionFields};
use std::sync::Arc;

/// The field of a table's column for a field as given: dictionaries and run-end encodings replaced by their values, field
/// ids (which are the table's to give) taken out at every depth.
pub(super) fn accept(field: &Field) -> Result<Field> {
    accept_at(field, 1).map_err(|error| {
        let shown: String = field.name().chars().take(64).collect();
        error.context(&format!("column {shown:?}"))
    })
}

fn accept_at(field: &Field, depth: usize) -> Result<Field> {
    let data_type = accept_type(field.data_type(), depth)?;
    let mut metadata = field.metadata().clone();
    metadata.remove(FIELD_ID_METADATA);
    Ok(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(metadata))
}

fn accept_type(data_type: &DataType, depth: usize) -> Result<DataType> {
    use DataType as T;
    if depth > MAX_TYPE_DEPTH {
        return Err(Error::invalid(format!("the type nests deeper than {MAX_TYPE_DEPTH}")));
    }
    let child = |field: &Arc<Field>| accept_at(field, depth + 1).map(Arc::new);
    Ok(match data_type {
        T::Dictionary(keys, values) => {
            require(keys.is_dictionary_key_type(), || format!("a dictionary has integer keys, not {keys}"))?;
            flat(values, depth)?
        }
        T::RunEndEncoded(ends, values) => {
            require(ends.data_type().is_run_ends_type(), || format!("run ends are not {}", ends.data_type()))?;
            flat(values.data_type(), depth)?
        }
        T::List(field) => T::List(child(field)?),
        T::LargeList(field) => T::LargeList(child(field)?),
        T::ListView(field) => T::ListView(child(field)?),
        T::LargeListView(field) => T::LargeListView(child(field)?),
        T::FixedSizeList(field, len) => {
            require(*len >= 0, || format!("a list has no {len} values"))?;
            T::FixedSizeList(child(field)?, *len)
        }
        T::Map(field, is_sorted) => {
            let is_map = matches!(field.data_type(), T::Struct(pair) if pair.len() == 2 && !pair[0].is_nullable());
            require(is_map && !field.is_nullable(), || "a map has entries of a key and a value".to_owned())?;
            T::Map(child(field)?, *is_sorted)
        }
        T::Struct(fields) => T::Struct(fields.iter().map(child).collect::<Result<Vec<_>>>()?.into()),
        T::Union(fields, mode) => {
            // A deleted row's null is a null of one of the fields.
            let nullable = |field: Arc<Field>| Arc::new(field.as_ref().clone().with_nullable(true));
            let accepted = fields.iter().map(|(id, field)| Ok((id, nullable(child(field)?))));
            let accepted = accepted.collect::<Result<Vec<_>>>()?;
            let (ids, fields): (Vec<i8>, Vec<Arc<Field>>) = accepted.into_iter().unzip();
            let fields = UnionFields::try_new(ids, fields).map_err(|error| Error::invalid(error.to_string()))?;
            T::Union(fields, *mode)
        }
        T::FixedSizeBinary(width) => {
            require(*width >= 0, || format!("a value has no {width} bytes"))?;
            data_type.clone()
        }
        T::Time32(TimeUnit::Microsecond | TimeUnit::Nanosecond)
        | T::Time64(TimeUnit::Second | TimeUnit::Millisecond) => {
            return Err(Error::invalid(format!("there is no type {data_type}")));
        }
        T::Decimal32(precision, scale) => decimal(data_type, *precision, *scale, 9)?,
        T::Decimal64(precision, scale) => decimal(data_type, *precision, *scale, 18)?,
        T::Decimal128(precision, scale) => decimal(data_type, *precision, *scale, 38)?,
        T::Decimal256(precision, scale) => decimal(data_type, *precision, *scale, 76)?,
        _ => data_type.clone(),
    })
}

/// The values of a dictionary or of runs.
fn flat(values: &DataType, depth: usize) -> Result<DataType> {
    let values = accept_type(values, depth + 1)?;
    require(!values.is_nested(), || format!("a dictionary or run-end encoding of {values} is not taken"))?;
    Ok(values)
}

fn decimal(data_type: &DataType, precision: u8, scale: i8, digits: u8) -> Result<DataType> {
    let is_decimal =
        (1..=digits).contains(&precision) && scale.unsigned_abs() <= digits && i16::from(scale) <= i16::from(precision);
    require(is_decimal, || format!("there is no type {data_type}"))?;
    Ok(data_type.clone())
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::invalid(what())) }
}

/// How many fields a column of this type has: itself and all within.
pub(super) fn field_count(data_type: &DataType) -> usize {
    use DataType as T;
    1 + match data_type {
        T::List(field)
        | T::LargeList(field)
        | T::ListView(field)
        | T::LargeListView(field)
        | T::FixedSizeList(field, _)
        | T::Map(field, _) => field_count(field.data_type()),
        T::Struct(fields) => fields.iter().map(|field| field_count(field.data_type())).sum(),
        T::Union(fields, _) => fields.iter().map(|(_, field)| field_count(field.data_type())).sum(),
        _ => 0,
    }
}
