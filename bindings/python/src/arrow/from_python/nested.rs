//! Lists, structs and maps out of Python's lists and dicts. An error inside of one names the row that it is in.

use super::{Fitting, Misfit, Values, array, each, wrong};
use arrow_array::{ArrayRef, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, FieldRef, Fields};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMapping, PyString, PyTuple};
use std::sync::Arc;

/// What an iterable yields, None for null.
fn items<'py>(value: &Bound<'py, PyAny>) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
        return Err(wrong(value, "a list"));
    }
    let iterator = value.try_iter().map_err(|_| wrong(value, "a list"))?;
    iterator.map(|item| item.map(|item| (!item.is_none()).then_some(item))).collect()
}

fn validity<T>(given: &[Option<T>]) -> Option<NullBuffer> {
    given.iter().any(Option::is_none).then(|| given.iter().map(Option::is_some).collect())
}

/// The row that holds the item at `index` of all items.
fn row_of(lengths: impl Iterator<Item = usize>, index: usize) -> usize {
    let mut end = 0;
    lengths
        .take_while(|length| {
            end += length;
            end <= index
        })
        .count()
}

pub(super) fn lists<'py, O: OffsetSizeTrait>(
    py: Python<'py>,
    item: &FieldRef,
    values: Values<'_, 'py>,
) -> Fitting<ArrayRef> {
    let given = each(values, items)?;
    let lengths = || given.iter().map(|list| list.as_ref().map_or(0, Vec::len));
    let flat: Vec<_> = given.iter().flatten().flatten().cloned().collect();
    let inner = array(py, item.data_type(), &flat)
        .map_err(|misfit| Misfit { row: row_of(lengths(), misfit.row), cause: misfit.cause })?;
    let offsets = OffsetBuffer::<O>::from_lengths(lengths());
    let list = GenericListArray::<O>::try_new(item.clone(), offsets, inner, validity(&given));
    list.map(|list| Arc::new(list) as ArrayRef).map_err(broken)
}

fn broken(error: arrow_schema::ArrowError) -> Misfit {
    Misfit { row: 0, cause: PyValueError::new_err(error.to_string()) }
}

pub(super) fn fixed_lists<'py>(
    py: Python<'py>,
    item: &FieldRef,
    width: i32,
    values: Values<'_, 'py>,
) -> Fitting<ArrayRef> {
    let given = each(values, |value| {
        let list = items(value)?;
        match list.len() == width as usize {
            true => Ok(list),
            false => Err(PyValueError::new_err(format!("{} items were given for {width}", list.len()))),
        }
    })?;
    let blank = || vec![None; width as usize];
    let flat: Vec<_> = given.iter().flat_map(|list| list.clone().unwrap_or_else(blank)).collect();
    let inner = array(py, item.data_type(), &flat)
        .map_err(|misfit| Misfit { row: misfit.row / width.max(1) as usize, cause: misfit.cause })?;
    let list = FixedSizeListArray::try_new_with_length(item.clone(), width, inner, validity(&given), given.len());
    list.map(|list| Arc::new(list) as ArrayRef).map_err(broken)
}

pub(super) fn structs<'py>(py: Python<'py>, fields: &Fields, values: Values<'_, 'py>) -> Fitting<ArrayRef> {
    let given = each(values, |value| value.cast::<PyMapping>().cloned().map_err(|_| wrong(value, "a dict")))?;
    let columns = columns(py, fields, &given)?;
    let built = StructArray::try_new_with_length(fields.clone(), columns, validity(&given), given.len());
    built.map(|built| Arc::new(built) as ArrayRef).map_err(broken)
}

/// A column for each field out of mappings. A name that is missing is null; one that no field has is refused.
pub(crate) fn columns<'py>(
    py: Python<'py>,
    fields: &Fields,
    rows: &[Option<Bound<'py, PyMapping>>],
) -> Fitting<Vec<ArrayRef>> {
    let mut known = vec![0; rows.len()];
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        let name = PyString::intern(py, field.name());
        let mut values = Vec::with_capacity(rows.len());
        for (row, mapping) in rows.iter().enumerate() {
            let value = match mapping {
                Some(mapping) if mapping.contains(&name).map_err(|cause| Misfit { row, cause })? => {
                    known[row] += 1;
                    let value = mapping.get_item(&name).map_err(|cause| Misfit { row, cause })?;
                    (!value.is_none()).then_some(value)
                }
                _ => None,
            };
            values.push(value);
        }
        columns.push(array(py, field.data_type(), &values).map_err(|misfit| named(py, field.name(), misfit))?);
    }
    for (row, mapping) in rows.iter().enumerate() {
        let Some(mapping) = mapping else { continue };
        let unknown = || -> PyResult<Option<PyErr>> {
            if mapping.len()? == known[row] {
                return Ok(None);
            }
            for name in mapping.keys()? {
                let text: String = name.extract().map_err(|_| wrong(&name, "a column's name"))?;
                if !fields.iter().any(|field| *field.name() == text) {
                    return Ok(Some(PyValueError::new_err(format!("column {text:?} is not in the table"))));
                }
            }
            Ok(None)
        };
        if let Some(cause) = unknown().unwrap_or_else(Some) {
            return Err(Misfit { row, cause });
        }
    }
    Ok(columns)
}

/// The same error with the column's name.
fn named(py: Python<'_>, name: &str, misfit: Misfit) -> Misfit {
    let message = format!("column {name:?}: {}", misfit.cause.value(py));
    Misfit { row: misfit.row, cause: PyErr::from_type(misfit.cause.get_type(py), message) }
}

pub(super) fn maps<'py>(
    py: Python<'py>,
    entries: &FieldRef,
    sorted: bool,
    values: Values<'_, 'py>,
) -> Fitting<ArrayRef> {
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(Misfit { row: 0, cause: PyTypeError::new_err("the map's type is broken") });
    };
    // A dict, or pairs: keys may come twice.
    let given = each(values, |value| {
        let pairs = match value.cast::<PyMapping>() {
            Ok(mapping) => mapping.items()?.into_any(),
            Err(_) => value.clone(),
        };
        pairs
            .try_iter()
            .map_err(|_| wrong(value, "a dict"))?
            .map(|pair| {
                let pair = py.get_type::<PyTuple>().call1((pair?,))?.cast_into::<PyTuple>()?;
                Ok((pair.get_item(0)?, Some(pair.get_item(1)?).filter(|value| !value.is_none())))
            })
            .collect::<PyResult<Vec<_>>>()
    })?;
    let lengths = || given.iter().map(|map| map.as_ref().map_or(0, Vec::len));
    let in_row = |misfit: Misfit| Misfit { row: row_of(lengths(), misfit.row), cause: misfit.cause };
    let keys: Vec<_> = given.iter().flatten().flatten().map(|(key, _)| Some(key.clone())).collect();
    let items: Vec<_> = given.iter().flatten().flatten().map(|(_, value)| value.clone()).collect();
    let keys = array(py, fields[0].data_type(), &keys).map_err(in_row)?;
    let items = array(py, fields[1].data_type(), &items).map_err(in_row)?;
    let inner = StructArray::try_new(fields.clone(), vec![keys, items], None).map_err(broken)?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(OffsetBuffer::<i32>::from_lengths(lengths()).to_vec()));
    let map = MapArray::try_new(entries.clone(), offsets, inner, validity(&given), sorted);
    map.map(|map| Arc::new(map) as ArrayRef).map_err(broken)
}
