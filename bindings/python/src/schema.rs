//! Schemas of tables in Python: read from anything that has one, handed out to whoever asks.

use crate::arrow::capsule::{Foreign, export_schema, foreign, schema_in};
use crate::arrow::type_names;
use crate::error::{attached, invalid};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyCapsule, PyFloat, PyInt, PyMapping, PyString};
use sstore::SchemaChange;
use std::sync::Arc;

/// The columns of a table or of a scan. Anything that takes ``__arrow_c_schema__`` takes it: ``pyarrow.schema(schema)``.
#[pyclass(frozen, module = "sstore")]
pub(crate) struct Schema(pub(crate) SchemaRef);

#[pymethods]
impl Schema {
    /// The names of the columns, in order.
    #[getter]
    fn names(&self) -> Vec<String> {
        self.0.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The types of the columns as text, in order.
    #[getter]
    fn types(&self) -> Vec<String> {
        self.0.fields().iter().map(|field| field.data_type().to_string()).collect()
    }

    /// Whether each column may hold nulls, in order.
    #[getter]
    fn nullable(&self) -> Vec<bool> {
        self.0.fields().iter().map(|field| field.is_nullable()).collect()
    }

    fn __len__(&self) -> usize {
        self.0.fields().len()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        export_schema(py, &self.0)
    }

    /// The same names, types and nullability.
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| same(&self.0, &other.get().0))
    }

    fn __hash__(&self) -> PyResult<isize> {
        Err(PyTypeError::new_err("unhashable type: 'Schema'"))
    }

    pub(crate) fn __repr__(&self) -> String {
        let column = |field: &Arc<Field>| {
            let null = if field.is_nullable() { "" } else { " not null" };
            format!("{}: {}{null}", field.name(), field.data_type())
        };
        format!("<sstore.Schema {}>", self.0.fields().iter().map(column).collect::<Vec<_>>().join(", "))
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle sstore.Schema: hand it to an Arrow library first"))
    }
}

/// Whether two schemas have the same columns; metadata does not count.
pub(crate) fn same(one: &ArrowSchema, other: &ArrowSchema) -> bool {
    let equal = |(a, b): (&Arc<Field>, &Arc<Field>)| {
        a.name() == b.name() && a.is_nullable() == b.is_nullable() && a.data_type().equals_datatype(b.data_type())
    };
    one.fields().len() == other.fields().len() && one.fields().iter().zip(other.fields()).all(equal)
}

/// The schema that an argument has: `__arrow_c_schema__`, data with one, or a mapping of names to types.
pub(crate) fn schema_of(py: Python<'_>, given: &Bound<'_, PyAny>) -> PyResult<ArrowSchema> {
    if let Ok(mapping) = given.cast::<PyMapping>()
        && given.getattr_opt("__arrow_c_schema__")?.is_none()
    {
        let mut fields = Vec::new();
        for pair in mapping.items()? {
            let (name, data_type): (String, Bound<'_, PyAny>) = pair.extract()?;
            fields.push(field_of(py, &name, &data_type)?);
        }
        return Ok(ArrowSchema::new(fields));
    }
    if let Some(method) = given.getattr_opt("__arrow_c_schema__")? {
        return schema_in(py, &method.call0()?);
    }
    let data_type = match foreign(py, given)? {
        Some(Foreign::Stream(stream)) => stream.into_data_type(),
        Some(Foreign::Array(data_type, _)) => data_type,
        None => {
            let found = given.get_type().name()?;
            let wanted = "a schema is an Arrow schema, a dict of names to types, or a data frame";
            return Err(PyTypeError::new_err(format!("{wanted}, not {found}")));
        }
    };
    match data_type {
        DataType::Struct(fields) => Ok(ArrowSchema::new(fields)),
        other => Err(PyTypeError::new_err(format!("a schema has named columns; this is of type {other}"))),
    }
}

/// A column of a type that is named, with `not null` behind it or without, or of the type of an Arrow library.
pub(crate) fn field_of(py: Python<'_>, name: &str, data_type: &Bound<'_, PyAny>) -> PyResult<Field> {
    if let Ok(text) = data_type.cast::<PyString>() {
        let text = text.to_str()?.trim();
        let (text, nullable) = match text.strip_suffix(" not null") {
            Some(text) => (text, false),
            None => (text, true),
        };
        return Ok(Field::new(name, attached(py, || type_names::parse(text))?, nullable));
    }
    if let Some(found) = of_class(data_type) {
        return Ok(Field::new(name, found, true));
    }
    let Some(method) = data_type.getattr_opt("__arrow_c_schema__")? else {
        let found = data_type.repr()?;
        let message = format!(
            "column {name:?}: a type is a name such as \"int64\", one of str, bytes, int, float and bool, or an Arrow type, not {found}"
        );
        return Err(PyTypeError::new_err(message));
    };
    Ok(crate::arrow::capsule::field_in(py, &method.call0()?)?.with_name(name))
}

/// The type that values of a class of Python's are kept as: integers and floats have 64 bits.
fn of_class(class: &Bound<'_, PyAny>) -> Option<DataType> {
    let py = class.py();
    let classes = [
        (py.get_type::<PyString>(), DataType::Utf8),
        (py.get_type::<PyBytes>(), DataType::Binary),
        (py.get_type::<PyInt>(), DataType::Int64),
        (py.get_type::<PyFloat>(), DataType::Float64),
        (py.get_type::<PyBool>(), DataType::Boolean),
    ];
    classes.into_iter().find(|(known, _)| class.is(known)).map(|(_, found)| found)
}

/// What `Table.alter` is asked for, in the order in which it is done.
pub(crate) struct ColumnChanges<'py> {
    pub(crate) add_column: Option<(String, Bound<'py, PyAny>)>,
    pub(crate) position: Option<usize>,
    pub(crate) drop_column: Option<String>,
    pub(crate) rename_column: Option<(String, String)>,
    pub(crate) widen: Option<(String, Bound<'py, PyAny>)>,
    pub(crate) reorder: Option<Vec<String>>,
}

impl ColumnChanges<'_> {
    /// The changes; InvalidArgumentError if there are none.
    pub(crate) fn parse(self, py: Python<'_>) -> PyResult<Vec<SchemaChange>> {
        let Self { add_column, position, drop_column, rename_column, widen, reorder } = self;
        let mut changes = Vec::new();
        if let Some((name, data_type)) = add_column {
            changes.push(SchemaChange::Add { field: field_of(py, &name, &data_type)?, position });
        } else if position.is_some() {
            return Err(invalid(py, "position goes with add_column"));
        }
        changes.extend(drop_column.map(|name| SchemaChange::Drop { name }));
        changes.extend(rename_column.map(|(name, to)| SchemaChange::Rename { name, to }));
        if let Some((name, data_type)) = widen {
            let data_type = field_of(py, &name, &data_type)?.data_type().clone();
            changes.push(SchemaChange::Widen { name, data_type });
        }
        changes.extend(reorder.map(|names| SchemaChange::Reorder { names }));
        if changes.is_empty() {
            return Err(invalid(py, "alter was given nothing to change"));
        }
        Ok(changes)
    }
}
