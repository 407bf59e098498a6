//! Options by name: keyword arguments in, the list of all options out.

use crate::error::attached;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyInt, PyString, PyTuple};
use sstore::{OptionInfo, OptionScope, OptionType, Options};

/// The options that `keywords` name; None leaves one at its default.
pub(crate) fn from_keywords(py: Python<'_>, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Options> {
    let mut options = Options::new();
    for (name, value) in keywords.into_iter().flatten() {
        let name: String = name.extract()?;
        if value.is_none() {
            attached(py, || options.get(&name))?;
            continue;
        }
        let text = text_of(&name, &value)?;
        attached(py, || options.set(&name, &text))?;
    }
    Ok(options)
}

/// The same as texts, for another process to open with; without those that are at their default.
pub(crate) fn texts(keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Vec<(String, String)>> {
    let given = keywords.into_iter().flatten().filter(|(_, value)| !value.is_none());
    given
        .map(|(name, value)| {
            let name: String = name.extract()?;
            let text = text_of(&name, &value)?;
            Ok((name, text))
        })
        .collect()
}

fn text_of(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(flag.is_true().to_string());
    }
    if value.cast::<PyInt>().is_ok() || value.cast::<PyString>().is_ok() {
        return Ok(value.str()?.to_string());
    }
    let path = value.py().import("os")?.call_method1("fspath", (value,)).ok();
    if let Some(path) = path.and_then(|path| path.extract::<String>().ok()) {
        return Ok(path);
    }
    let found = value.get_type().name()?;
    Err(PyTypeError::new_err(format!("option \"{name}\" takes a bool, an int, a str or a path, not {found}")))
}

/// The options of a family or table, as keywords that make another one like it.
pub(crate) fn to_keywords<'py>(py: Python<'py>, options: &Options) -> PyResult<Bound<'py, PyDict>> {
    let keywords = PyDict::new(py);
    for info in OptionInfo::ALL.iter().filter(|info| info.scope == OptionScope::Collection) {
        let text = attached(py, || options.get(info.name))?;
        match (info.kind, text.parse::<u64>()) {
            (OptionType::Bool, _) => keywords.set_item(info.name, text == "true")?,
            (OptionType::Count | OptionType::Bytes, Ok(number)) => keywords.set_item(info.name, number)?,
            _ => keywords.set_item(info.name, text)?,
        }
    }
    Ok(keywords)
}

/// Every option, with its type, default, range and a line of help.
#[pyfunction]
pub(crate) fn options(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyAny>>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.import(py, "sstore._types", "OptionInfo")?;
    let describe = |info: &'static OptionInfo| {
        let choices = match info.kind {
            OptionType::Choice(words) => words,
            _ => &[],
        };
        let scope = match info.scope {
            OptionScope::Database => "database",
            OptionScope::Collection => "collection",
        };
        let (kind, choices) = (info.kind.name(), PyTuple::new(py, choices)?);
        class.call1((info.name, kind, scope, info.default, info.min, info.max, choices, info.help))
    };
    OptionInfo::ALL.iter().map(describe).collect()
}
