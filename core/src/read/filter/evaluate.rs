//! A filter applied to rows: which of them it is true for.

use super::{BoundFilter, Comparison, Node, literal};
use crate::error::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, Scalar};
use arrow_buffer::BooleanBuffer;
use arrow_ord::cmp;
use arrow_schema::DataType;

/// Three-valued truth, row by row: where it is true, and where it is false; unknown elsewhere.
struct Truth {
    is_true: BooleanBuffer,
    is_false: BooleanBuffer,
}

impl Truth {
    fn all(rows: usize, truth: Option<bool>) -> Self {
        let mask = |set| if set { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) };
        Self { is_true: mask(truth == Some(true)), is_false: mask(truth == Some(false)) }
    }

    fn and(self, other: &Self) -> Self {
        Self { is_true: &self.is_true & &other.is_true, is_false: &self.is_false | &other.is_false }
    }

    fn or(self, other: &Self) -> Self {
        Self { is_true: &self.is_true | &other.is_true, is_false: &self.is_false & &other.is_false }
    }

    fn of(compared: &BooleanArray) -> Self {
        let values = compared.values();
        match compared.nulls() {
            None => Self { is_true: values.clone(), is_false: !values },
            Some(nulls) => Self { is_true: values & nulls.inner(), is_false: &!values & nulls.inner() },
        }
    }
}

impl BoundFilter {
    /// Which of `rows` rows are selected. `column` gives the array of the column with an id; it must have the type of the schema
    /// that the filter was bound to.
    pub fn evaluate<'a>(&self, rows: usize, column: &dyn Fn(u32) -> Option<&'a ArrayRef>) -> Result<BooleanBuffer> {
        Ok(evaluate(&self.root, rows, column)?.is_true)
    }
}

fn evaluate<'a>(node: &Node, rows: usize, find: &dyn Fn(u32) -> Option<&'a ArrayRef>) -> Result<Truth> {
    let array = |column: &super::Column| {
        find(column.id).ok_or_else(|| Error::invalid(format!("column \"{}\" was not read for its filter", column.name)))
    };
    Ok(match node {
        Node::And(nodes) => {
            let mut truth = Truth::all(rows, Some(true));
            for node in nodes {
                truth = truth.and(&evaluate(node, rows, find)?);
            }
            truth
        }
        Node::Or(nodes) => {
            let mut truth = Truth::all(rows, Some(false));
            for node in nodes {
                truth = truth.or(&evaluate(node, rows, find)?);
            }
            truth
        }
        Node::Not(node) => {
            let Truth { is_true, is_false } = evaluate(node, rows, find)?;
            Truth { is_true: is_false, is_false: is_true }
        }
        Node::Unknown => Truth::all(rows, None),
        Node::IfNotNull { column, truth } => {
            let known = not_null(array(column)?);
            let none = BooleanBuffer::new_unset(rows);
            if *truth { Truth { is_true: known, is_false: none } } else { Truth { is_true: none, is_false: known } }
        }
        Node::IsNull(column) => {
            let known = not_null(array(column)?);
            Truth { is_true: !&known, is_false: known }
        }
        Node::Compare { column, comparison, literal } => Truth::of(&compare(array(column)?, *comparison, literal)?),
        Node::StartsWith { column, prefix } => starts_with(array(column)?, prefix)?,
    })
}

/// Nulls as a reader sees them: also those that a dictionary's values hold.
fn not_null(array: &ArrayRef) -> BooleanBuffer {
    match array.logical_nulls() {
        Some(nulls) => nulls.into_inner(),
        None => BooleanBuffer::new_set(array.len()),
    }
}

/// Compares each row with a literal of the same type.
pub(super) fn compare(array: &ArrayRef, comparison: Comparison, literal: &ArrayRef) -> Result<BooleanArray> {
    let literal = Scalar::new(literal.clone());
    let compared = match comparison {
        Comparison::Equal => cmp::eq(array, &literal),
        Comparison::NotEqual => cmp::neq(array, &literal),
        Comparison::Less => cmp::lt(array, &literal),
        Comparison::LessOrEqual => cmp::lt_eq(array, &literal),
        Comparison::Greater => cmp::gt(array, &literal),
        Comparison::GreaterOrEqual => cmp::gt_eq(array, &literal),
    };
    compared.map_err(|cause| Error::invalid(format!("the filter cannot be applied: {cause}")))
}

fn starts_with(array: &ArrayRef, prefix: &[u8]) -> Result<Truth> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        // Once for each value, not for each row.
        let values = starts_with(dictionary.values(), prefix)?;
        let keys = dictionary.normalized_keys();
        let known = not_null(array);
        let of = |mask: &BooleanBuffer| {
            let set = |row: usize| known.value(row) && mask.value(keys[row]);
            BooleanBuffer::collect_bool(array.len(), set)
        };
        return Ok(Truth { is_true: of(&values.is_true), is_false: of(&values.is_false) });
    }
    debug_assert!(literal::is_text_or_binary(array.data_type()));
    let rows = array.len();
    let begins: BooleanBuffer = match array.data_type() {
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            BooleanBuffer::collect_bool(rows, |row| array.value(row).as_bytes().starts_with(prefix))
        }
        DataType::LargeUtf8 => {
            let array = array.as_string::<i64>();
            BooleanBuffer::collect_bool(rows, |row| array.value(row).as_bytes().starts_with(prefix))
        }
        DataType::Utf8View => {
            let array = array.as_string_view();
            BooleanBuffer::collect_bool(rows, |row| array.value(row).as_bytes().starts_with(prefix))
        }
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            BooleanBuffer::collect_bool(rows, |row| array.value(row).starts_with(prefix))
        }
        DataType::LargeBinary => {
            let array = array.as_binary::<i64>();
            BooleanBuffer::collect_bool(rows, |row| array.value(row).starts_with(prefix))
        }
        DataType::BinaryView => {
            let array = array.as_binary_view();
            BooleanBuffer::collect_bool(rows, |row| array.value(row).starts_with(prefix))
        }
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            BooleanBuffer::collect_bool(rows, |row| array.value(row).starts_with(prefix))
        }
        other => return Err(Error::invalid(format!("a column of type {other} does not begin with text"))),
    };
    Ok(Truth::of(&BooleanArray::new(begins, array.nulls().cloned())))
}
