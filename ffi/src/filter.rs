//! Filters of scans: a small tree of comparisons of columns with literals, built from its leaves up or read from text.

use crate::arrow_abi::{self, ArrowArray, ArrowSchema};
use crate::bytes::{self, Out};
use crate::status::{sstore_code, sstore_error};
use engine::Error;
use std::ffi::{c_char, c_void};
#[cfg(feature = "arrow")]
use {
    crate::arrow::{import, objects::FilterObject},
    crate::arrow_abi::Moved,
    crate::boundary,
    arrow_array::ArrayRef,
    engine::{Comparison, Filter, Result},
};

/// A condition on rows, of no table in particular: columns are looked up by name when a scan is executed. It never changes.
/// Thread safety: free. Free with sstore_filter_free; scans and filters that were made with it keep a copy.
pub struct sstore_filter {
    _opaque: [u8; 0],
}

/// How a column's value is compared with a literal. The numbers are frozen.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum sstore_comparison {
    /// The same.
    SSTORE_COMPARISON_EQUAL = 1,
    /// Another.
    SSTORE_COMPARISON_NOT_EQUAL = 2,
    /// Less than the literal.
    SSTORE_COMPARISON_LESS = 3,
    /// At most the literal.
    SSTORE_COMPARISON_LESS_OR_EQUAL = 4,
    /// More than the literal.
    SSTORE_COMPARISON_GREATER = 5,
    /// At least the literal.
    SSTORE_COMPARISON_GREATER_OR_EQUAL = 6,
}

/// How filters are put together. The numbers are frozen.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum sstore_logic {
    /// All of them hold; of none: every row.
    SSTORE_LOGIC_AND = 1,
    /// At least one of them holds; of none: no row.
    SSTORE_LOGIC_OR = 2,
    /// The only one does not hold. Of a comparison with null nothing is known, nor of its contrary.
    SSTORE_LOGIC_NOT = 3,
}

#[cfg(feature = "arrow")]
fn make(
    out: &Out<*mut sstore_filter>,
    error: *mut *mut sstore_error,
    filter: impl FnOnce() -> Result<Filter>,
) -> sstore_code {
    boundary::call(error, |handles| {
        out.required("filter")?;
        out.set(handles.insert(FilterObject(filter()?))?);
        Ok(())
    })
}

#[cfg(feature = "arrow")]
macro_rules! make_filter {
    ($out:expr, $error:expr, $body:expr) => {
        make(&$out, $error, $body)
    };
}

#[cfg(not(feature = "arrow"))]
macro_rules! make_filter {
    ($out:expr, $error:expr, $body:expr) => {
        with_tables!($error, $body)
    };
}

#[cfg(feature = "arrow")]
fn literals(array: Moved<ArrowArray>, schema: Moved<ArrowSchema>) -> Result<ArrayRef> {
    let field = import::field(schema, "schema")?;
    import::array(array, &field, "literals")
}

/// Reads a filter from text, as SQL writes conditions: "a > 3 AND (b LIKE 'x%' OR c IS NULL)". `text` is NUL-terminated UTF-8. Words:
/// AND, OR, NOT, IN, BETWEEN, LIKE with a beginning, IS NULL, TRUE, FALSE, DATE '..' and TIMESTAMP '..'; names that are none of them
/// stand bare, others in double quotes. `*filter` is the caller's; free it with sstore_filter_free. Does not block; any thread.
/// Errors: INVALID_ARGUMENT (says where the text cannot be understood), NO_MEMORY, NOT_SUPPORTED (a library without tables).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_filter_parse(
    text: *const c_char,
    filter: *mut *mut sstore_filter,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(filter, std::ptr::null_mut());
    make_filter!(out, error, || Filter::parse(bytes::text(text, "text")?))
}

/// Makes the filter `column comparison literal`, where `comparison` is a number of sstore_comparison and the literal an array of
/// one row with its type, both moved. It need not be the column's type, as long as the two can be compared exactly. Otherwise like
/// sstore_filter_parse; whether column and literal fit is seen when a scan is executed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_filter_compare(
    column: *const c_char,
    comparison: u32,
    literal: *mut ArrowArray,
    schema: *mut ArrowSchema,
    filter: *mut *mut sstore_filter,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (literal, schema) = (arrow_abi::take(literal), arrow_abi::take(schema));
    let out = Out::new(filter, std::ptr::null_mut());
    make_filter!(out, error, || {
        let column = bytes::text(column, "column")?;
        let comparison = match comparison {
            1 => Comparison::Equal,
            2 => Comparison::NotEqual,
            3 => Comparison::Less,
            4 => Comparison::LessOrEqual,
            5 => Comparison::Greater,
            6 => Comparison::GreaterOrEqual,
            other => return Err(Error::invalid(format!("{other} is no comparison"))),
        };
        let literal = literals(literal, schema)?;
        if literal.len() != 1 {
            return Err(Error::invalid(format!("the literal has {} rows, not one", literal.len())));
        }
        Ok(Filter::compare(column, comparison, literal))
    })
}

/// Makes the filter that `column` is one of the literals: an array of any number of rows with its type, both moved. Otherwise like
/// sstore_filter_compare.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_filter_in(
    column: *const c_char,
    literals: *mut ArrowArray,
    schema: *mut ArrowSchema,
    filter: *mut *mut sstore_filter,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (given, schema) = (arrow_abi::take(literals), arrow_abi::take(schema));
    let out = Out::new(filter, std::ptr::null_mut());
    make_filter!(out, error, || {
        let column = bytes::text(column, "column")?.to_owned();
        Ok(Filter::In { column, literals: self::literals(given, schema)? })
    })
}

/// Makes the filter that `column` is null. Otherwise like sstore_filter_parse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_filter_is_null(
    column: *const c_char,
    filter: *mut *mut sstore_filter,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(filter, std::ptr::null_mut());
    make_filter!(out, error, || Ok(Filter::IsNull(bytes::text(column, "column")?.to_owned())))
}

/// Makes the filter that the text or binary in `column` begins with these bytes, which are copied. Otherwise like
/// sstore_filter_parse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_filter_starts_with(
    column: *const c_char,
    prefix: *const c_void,
    prefix_len: usize,
    filter: *mut *mut sstore_filter,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(filter, std::ptr::null_mut());
    make_filter!(out, error, || {
        let column = bytes::text(column, "column")?.to_owned();
        Ok(Filter::StartsWith { column, prefix: bytes::input(prefix, prefix_len, "prefix")?.to_vec() })
    })
}

/// Puts `count` filters together; `logic` is a number of sstore_logic. The array is borrowed until the call returns, and the
/// filters stay the caller's. Otherwise like sstore_filter_parse. INVALID_ARGUMENT also for a NOT of another number than one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_filter_combine(
    logic: u32,
    filters: *const *const sstore_filter,
    count: usize,
    filter: *mut *mut sstore_filter,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(filter, std::ptr::null_mut());
    with_tables!(error, |handles| {
        out.required("filter")?;
        let parts = bytes::array(filters, count, "filters")?.iter();
        let parts = parts.map(|part| Ok(handles.pin::<FilterObject>(*part)?.0.clone()));
        let mut parts = parts.collect::<Result<Vec<_>>>()?;
        let whole = match (logic, parts.len()) {
            (1, _) => Filter::And(parts),
            (2, _) => Filter::Or(parts),
            (3, 1) => Filter::Not(Box::new(parts.swap_remove(0))),
            (3, other) => return Err(Error::invalid(format!("a NOT is of one filter, not of {other}")).into()),
            (other, _) => return Err(Error::invalid(format!("{other} is no way to put filters together")).into()),
        };
        out.set(handles.insert(FilterObject(whole))?);
        Ok(())
    })
}

/// Frees a filter. NULL and what was freed already do nothing. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_filter_free(filter: *mut sstore_filter) {
    value_with_tables!((), |handles| handles.remove::<FilterObject>(filter));
}
