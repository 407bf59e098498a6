//! Keys and values from Python: `bytes` as they are, anything else with the buffer protocol as a copy.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString, PyTuple};

/// The bytes of an argument. They stay in place while it lives, also without the interpreter lock: `bytes` never change.
pub(crate) struct Bytes<'py>(Bound<'py, PyBytes>);

impl Bytes<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<'py> FromPyObject<'_, 'py> for Bytes<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self(bytes.to_owned()));
        }
        if object.cast::<PyString>().is_ok() {
            return Err(PyTypeError::new_err(
                "keys and values are bytes, not str; encode the text first: text.encode()",
            ));
        }
        // A buffer may be written to by other threads once the interpreter lock is released, and it may be strided: copied.
        let Ok(view) = PyMemoryView::from(&object) else {
            let name = object.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "keys and values are bytes or objects with the buffer protocol, not {name}"
            )));
        };
        Ok(Self(view.call_method0("tobytes")?.cast_into::<PyBytes>()?))
    }
}

/// A key and a value from a tuple, or from anything that yields two items. As with a dict another number is a ValueError.
pub(crate) fn pair<'py>(item: &Bound<'py, PyAny>) -> PyResult<(Bytes<'py>, Bytes<'py>)> {
    match item.cast::<PyTuple>() {
        Ok(tuple) => pair_of(tuple),
        Err(_) => pair_of(item.py().get_type::<PyTuple>().call1((item,))?.cast::<PyTuple>()?),
    }
}

fn pair_of<'py>(tuple: &Bound<'py, PyTuple>) -> PyResult<(Bytes<'py>, Bytes<'py>)> {
    if tuple.len() != 2 {
        return Err(PyValueError::new_err(format!("a pair of key and value expected, not {} items", tuple.len())));
    }
    Ok((tuple.get_borrowed_item(0)?.extract()?, tuple.get_borrowed_item(1)?.extract()?))
}
