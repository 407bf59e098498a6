//! Many keys or values in one argument: a sequence of Python objects, a column of Arrow data, or a NumPy array of bytes.
//!
//! Called by whatever takes many. Promises: the bytes stay in place while the column lives, also without the interpreter lock; text is
//! refused, and so is a null.

use crate::arrow::capsule::foreign;
use crate::bytes::Bytes;
use crate::error::{attached, detached};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PyString, PyTuple};
use sstore::{Error, Result};

/// Keys or values where they lie, in order.
type Slices<'a> = Vec<&'a [u8]>;

/// Keys or values, many at once.
pub(crate) enum Column<'py> {
    Objects(Vec<Bytes<'py>>),
    Arrow(ArrayRef),
    /// Rows of the same width, side by side.
    Rows {
        bytes: Bound<'py, PyBytes>,
        rows: usize,
        width: usize,
        /// Zero bytes at a row's end are no part of it: so NumPy keeps shorter strings.
        padded: bool,
    },
}

impl<'py> Column<'py> {
    pub(crate) fn of(py: Python<'py>, given: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(list) = given.cast::<PyList>() {
            // To copy the list touches all objects at once: so their memory comes together, where it would come one by one below.
            let items = list.to_tuple();
            return items.iter_borrowed().map(|item| item.extract()).collect::<PyResult<_>>().map(Self::Objects);
        }
        if given.cast::<PyBytes>().is_ok() || given.cast::<PyString>().is_ok() {
            let name = given.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "many keys or values are expected, such as a list of bytes, not one {name}"
            )));
        }
        if given.cast::<PyTuple>().is_err() {
            if let Some(data) = foreign(py, given)? {
                let column = detached(py, move || data.into_column())?;
                attached(py, || check_binary("the column", &column))?;
                return Ok(Self::Arrow(column));
            }
            if let Some(rows) = Self::of_buffer(given)? {
                return Ok(rows);
            }
        }
        given.try_iter()?.map(|item| item?.extract()).collect::<PyResult<_>>().map(Self::Objects)
    }

    /// The rows of an array with the buffer protocol; None of another object, and of an array of Python objects.
    fn of_buffer(given: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let Ok(view) = PyMemoryView::from(given) else { return Ok(None) };
        let format: String = view.getattr("format")?.extract()?;
        let shape: Vec<usize> = view.getattr("shape")?.extract()?;
        let item_bytes: usize = view.getattr("itemsize")?.extract()?;
        let (width, padded) = match (format.trim_start_matches(['@', '=', '<', '>', '!']), &*shape) {
            ("O", _) => return Ok(None),
            ("B", [_, width]) => (*width, false),
            (format, [_]) if format.ends_with('s') => (item_bytes, true),
            (format, [_]) if format.ends_with('x') => (item_bytes, false),
            _ => {
                let message = "of arrays, one of bytes (NumPy: dtype S or V) or rows of bytes (uint8 with two dimensions) is \
                               expected; text.encode() or numpy.char.encode makes bytes of text";
                return Err(PyTypeError::new_err(format!("{message}; the format was {format:?} with shape {shape:?}")));
            }
        };
        // A copy: the array may be written to by others once the interpreter lock is released, and it may be strided.
        let bytes = view.call_method0("tobytes")?.cast_into::<PyBytes>()?;
        Ok(Some(Self::Rows { bytes, rows: shape[0], width, padded }))
    }

    /// All of them, in order.
    pub(crate) fn slices(&self) -> Slices<'_> {
        match self {
            Self::Objects(objects) => objects.iter().map(Bytes::as_slice).collect(),
            Self::Arrow(column) => slices_of(column),
            Self::Rows { bytes, rows, width, padded } => {
                let bytes = bytes.as_bytes();
                let row = |index: usize| {
                    let row = &bytes[index * width..(index + 1) * width];
                    let len = if *padded {
                        row.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
                    } else {
                        row.len()
                    };
                    &row[..len]
                };
                (0..*rows).map(row).collect()
            }
        }
    }
}

/// Refuses a column that does not hold bytes, or holds a null.
fn check_binary(what: &str, column: &ArrayRef) -> Result<()> {
    use DataType as T;
    match column.data_type() {
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => {}
        T::Utf8 | T::LargeUtf8 | T::Utf8View => {
            return Err(Error::invalid(format!("{what} holds text; keys and values are bytes: cast it to binary")));
        }
        other => {
            return Err(Error::invalid(format!(
                "{what} holds {other}; keys and values are bytes, binary in Arrow's terms"
            )));
        }
    }
    match column.nulls().and_then(|nulls| nulls.iter().position(|valid| !valid)) {
        Some(row) => Err(Error::invalid(format!("{what} is null in row {row}; a key or a value cannot be"))),
        None => Ok(()),
    }
}

/// The rows of a column that was checked.
fn slices_of(column: &ArrayRef) -> Slices<'_> {
    match column.data_type() {
        DataType::Binary => column.as_binary::<i32>().iter().flatten().collect(),
        DataType::LargeBinary => column.as_binary::<i64>().iter().flatten().collect(),
        DataType::BinaryView => column.as_binary_view().iter().flatten().collect(),
        _ => column.as_fixed_size_binary().iter().flatten().collect(),
    }
}

/// Keys and values out of a record batch: its columns `key` and `value`, or the only two that it has.
pub(crate) fn pairs_of(batch: &RecordBatch) -> Result<(Slices<'_>, Slices<'_>)> {
    let (key, value) = match (batch.column_by_name("key"), batch.column_by_name("value"), batch.columns()) {
        (Some(key), Some(value), _) | (_, _, [key, value]) => (key, value),
        _ => return Err(Error::invalid("rows of keys and values have the columns key and value, or two columns")),
    };
    check_binary("the column of keys", key)?;
    check_binary("the column of values", value)?;
    Ok((slices_of(key), slices_of(value)))
}
