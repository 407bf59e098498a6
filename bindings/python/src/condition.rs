//! The `where` of a scan: text, or a tree of our own, of pyarrow's or of Polars' expressions, as the engine's filter.
//!
//! `sstore/_expressions.py` has the class that users build, and turns the others' into it; here its tree is read.

use crate::arrow::capsule::{foreign, metadata_in};
use crate::arrow::from_python::literal;
use crate::error::{attached, detached};
use arrow_array::ArrayRef;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyTuple};
use sstore::{Comparison, Filter};

/// The filter that an argument says. `schema` is that of the table: what others' expressions mean depends on types.
pub(crate) fn filter(py: Python<'_>, condition: &Bound<'_, PyAny>, schema: &Bound<'_, PyAny>) -> PyResult<Filter> {
    if let Ok(text) = condition.cast::<PyString>() {
        let text = text.to_str()?;
        return attached(py, || Filter::parse(text));
    }
    static TREE_OF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let tree = TREE_OF.import(py, "sstore._expressions", "tree_of")?.call1((condition, schema))?;
    of_tree(py, &tree, 0)
}

/// The metadata of an Arrow schema, all pairs in order: pyarrow's expressions are written so, with keys that come again.
#[pyfunction]
#[pyo3(name = "_schema_metadata")]
pub(crate) fn schema_metadata(schema: &Bound<'_, PyAny>) -> PyResult<Vec<(Vec<u8>, Vec<u8>)>> {
    metadata_in(&schema.call_method0("__arrow_c_schema__")?)
}

/// The engine refuses deeper filters; this keeps ours from overflowing the stack.
const DEPTH_MAX: usize = 200;

fn of_tree(py: Python<'_>, tree: &Bound<'_, PyAny>, depth: usize) -> PyResult<Filter> {
    if depth > DEPTH_MAX {
        return Err(PyTypeError::new_err(format!("the filter is nested more than {DEPTH_MAX} deep")));
    }
    let node = tree.cast::<PyTuple>()?;
    let kind: String = node.get_item(0)?.extract()?;
    let column = || node.get_item(1)?.extract::<String>();
    let parts = || -> PyResult<Vec<Filter>> {
        node.get_item(1)?.try_iter()?.map(|part| of_tree(py, &part?, depth + 1)).collect()
    };
    Ok(match &*kind {
        "and" => Filter::And(parts()?),
        "or" => Filter::Or(parts()?),
        "not" => Filter::Not(Box::new(of_tree(py, &node.get_item(1)?, depth + 1)?)),
        "is_null" => Filter::IsNull(column()?),
        "starts_with" => Filter::StartsWith { column: column()?, prefix: prefix(&node.get_item(2)?)? },
        "in" => one_of(py, column()?, &node.get_item(2)?)?,
        "compare" => {
            let operator: String = node.get_item(2)?.extract()?;
            let comparison = match &*operator {
                "==" => Comparison::Equal,
                "!=" => Comparison::NotEqual,
                "<" => Comparison::Less,
                "<=" => Comparison::LessOrEqual,
                ">" => Comparison::Greater,
                ">=" => Comparison::GreaterOrEqual,
                other => return Err(PyTypeError::new_err(format!("unknown comparison {other:?}"))),
            };
            Filter::compare(column()?, comparison, one(py, &node.get_item(3)?)?)
        }
        other => return Err(PyTypeError::new_err(format!("unknown filter {other:?}"))),
    })
}

fn prefix(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    match value.cast::<PyString>() {
        Ok(text) => Ok(text.to_str()?.as_bytes().to_vec()),
        Err(_) => Ok(value
            .cast::<PyBytes>()
            .map_err(|_| PyTypeError::new_err("starts_with takes str or bytes"))?
            .as_bytes()
            .to_vec()),
    }
}

/// One value: a Python object, or Arrow data of one row, whose type is exact.
fn one(py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    match foreign(py, value)? {
        Some(data) => detached(py, move || data.into_column()),
        None => literal(value),
    }
}

/// That the column's value is one of many: a list, or Arrow data.
fn one_of(py: Python<'_>, column: String, given: &Bound<'_, PyAny>) -> PyResult<Filter> {
    if let Some(data) = foreign(py, given)? {
        return Ok(Filter::In { column, literals: detached(py, move || data.into_column())? });
    }
    // Not one array of them: 1 and 2.5 are of different types.
    let equal =
        |value: PyResult<Bound<'_, PyAny>>| Ok(Filter::compare(column.clone(), Comparison::Equal, literal(&value?)?));
    Ok(Filter::Or(given.try_iter()?.map(equal).collect::<PyResult<_>>()?))
}
