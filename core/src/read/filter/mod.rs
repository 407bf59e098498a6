//! Filters of a scan: a small tree of `column op literal`, checked against a schema, evaluated on rows, and asked what it
//! rules out beforehand.
//!
//! Built by applications (Rust, C, Python), bound and used by scan plans. Logic is SQL's, with three values: a comparison
//! with a null is neither true nor false, and a row is selected only if the filter is true for it. Floats have the total
//! order in which NaN is equal to itself and greater than everything, except that -0.0 and 0.0 are equal.

mod evaluate;
mod literal;
mod parse;
mod prune;

pub use prune::{Decision, Zone, ZoneMaps};

use crate::error::{Error, Result};
use crate::key::{KeyRange, prefix_end};
use crate::schema::TableSchema;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use literal::{Fitted, fit};

/// How a column's value is compared with a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Comparison {
    /// `=`
    Equal = 1,
    /// `<>`
    NotEqual = 2,
    /// `<`
    Less = 3,
    /// `<=`
    LessOrEqual = 4,
    /// `>`
    Greater = 5,
    /// `>=`
    GreaterOrEqual = 6,
}

/// A condition on the rows of a table. Columns are named; literals are Arrow arrays of one row, so that types are exact.
#[derive(Debug, Clone)]
pub enum Filter {
    /// All of them hold. True for every row if there are none.
    And(Vec<Filter>),
    /// At least one of them holds. False for every row if there are none.
    Or(Vec<Filter>),
    /// It does not hold. Not the same as "is not selected": unknown stays unknown.
    Not(Box<Filter>),
    /// The column's value compares so with the literal.
    Compare {
        /// The column.
        column: String,
        /// How.
        comparison: Comparison,
        /// With what: one row.
        literal: ArrayRef,
    },
    /// The column's value is one of these.
    In {
        /// The column.
        column: String,
        /// Any number of rows. Unknown, not false, if one of them is null and none is equal.
        literals: ArrayRef,
    },
    /// The column's value is null.
    IsNull(String),
    /// The text or binary in the column begins so.
    StartsWith {
        /// The column.
        column: String,
        /// The bytes at the beginning.
        prefix: Vec<u8>,
    },
}

impl Filter {
    /// `column op literal`.
    pub fn compare(column: impl Into<String>, comparison: Comparison, literal: ArrayRef) -> Self {
        Self::Compare { column: column.into(), comparison, literal }
    }

    /// `column BETWEEN low AND high`, both included.
    pub fn between(column: impl Into<String>, low: ArrayRef, high: ArrayRef) -> Self {
        let column = column.into();
        Self::And(vec![
            Self::compare(column.clone(), Comparison::GreaterOrEqual, low),
            Self::compare(column, Comparison::LessOrEqual, high),
        ])
    }

    /// Checks the filter against a schema and makes its literals the columns' types. InvalidArgument names the column that
    /// does not exist or whose type does not fit.
    pub fn bind(&self, schema: &TableSchema) -> Result<BoundFilter> {
        Ok(BoundFilter { root: self.bind_node(schema, 0)? })
    }

    fn bind_node(&self, schema: &TableSchema, depth: usize) -> Result<Node> {
        if depth > MAX_DEPTH {
            return Err(Error::invalid(format!("the filter is nested more than {MAX_DEPTH} deep")));
        }
        let all = |filters: &[Self]| -> Result<Vec<Node>> {
            filters.iter().map(|filter| filter.bind_node(schema, depth + 1)).collect()
        };
        Ok(match self {
            Self::And(filters) => Node::And(all(filters)?),
            Self::Or(filters) => Node::Or(all(filters)?),
            Self::Not(filter) => Node::Not(Box::new(filter.bind_node(schema, depth + 1)?)),
            Self::Compare { column, comparison, literal } => {
                let (column, data_type) = find(schema, column)?;
                compare_node(column, data_type, *comparison, literal)?
            }
            Self::In { column, literals } => {
                let (column, data_type) = find(schema, column)?;
                let equal = |row| compare_node(column.clone(), data_type, Comparison::Equal, &literals.slice(row, 1));
                Node::Or((0..literals.len()).map(equal).collect::<Result<_>>()?)
            }
            Self::IsNull(column) => Node::IsNull(find(schema, column)?.0),
            Self::StartsWith { column, prefix } => {
                let (column, data_type) = find(schema, column)?;
                if !literal::is_text_or_binary(data_type) {
                    return Err(column.mismatch(data_type, "begins with some text"));
                }
                Node::StartsWith { column, prefix: prefix.clone() }
            }
        })
    }
}

/// Deeper filters are refused: every pass over one is recursive.
const MAX_DEPTH: usize = 200;

/// A column of the schema that a filter was bound to.
#[derive(Debug, Clone)]
struct Column {
    id: u32,
    name: String,
}

impl Column {
    fn mismatch(&self, data_type: &DataType, what: &str) -> Error {
        Error::invalid(format!("column \"{}\" is of type {data_type}: it cannot be asked whether it {what}", self.name))
    }
}

fn find<'s>(schema: &'s TableSchema, name: &str) -> Result<(Column, &'s DataType)> {
    let found = schema.columns().iter().find(|column| column.field.name() == name);
    let Some(found) = found else {
        return Err(Error::invalid(format!("the filter names a column \"{name}\" that the table does not have")));
    };
    Ok((Column { id: found.id, name: name.to_owned() }, found.field.data_type()))
}

fn compare_node(column: Column, data_type: &DataType, comparison: Comparison, literal: &ArrayRef) -> Result<Node> {
    if literal.len() != 1 {
        let message = format!("the literal for column \"{}\" has {} rows, not one", column.name, literal.len());
        return Err(Error::invalid(message));
    }
    if literal.is_null(0) || *literal.data_type() == DataType::Null {
        return Ok(Node::Unknown);
    }
    let Some(fitted) = fit(literal, data_type)? else {
        let what = format!("compares with a literal of type {}", literal.data_type());
        return Err(column.mismatch(data_type, &what));
    };
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let always = |truth| Ok(Node::IfNotNull { column: column.clone(), truth });
    let (comparison, literal) = match (fitted, comparison) {
        (Fitted::Exact(value), comparison) => (comparison, value),
        (Fitted::Below, NotEqual | Greater | GreaterOrEqual) | (Fitted::Above, NotEqual | Less | LessOrEqual) => {
            return always(true);
        }
        (Fitted::Below | Fitted::Above, _) | (Fitted::JustAbove(_), Equal) => return always(false),
        (Fitted::JustAbove(_), NotEqual) => return always(true),
        (Fitted::JustAbove(floor), Less | LessOrEqual) => (LessOrEqual, floor),
        (Fitted::JustAbove(floor), Greater | GreaterOrEqual) => (Greater, floor),
    };
    // Of the two zeros of floats the order wants the outer one.
    if let Some((negative, positive)) = literal::zeros(&literal) {
        let node = |comparison, literal| Node::Compare { column: column.clone(), comparison, literal };
        return Ok(match comparison {
            Equal => Node::And(vec![node(GreaterOrEqual, negative), node(LessOrEqual, positive)]),
            NotEqual => Node::Or(vec![node(Less, negative), node(Greater, positive)]),
            Less | GreaterOrEqual => node(comparison, negative),
            Greater | LessOrEqual => node(comparison, positive),
        });
    }
    Ok(Node::Compare { column, comparison, literal })
}

/// A filter that fits a schema. Immutable; any thread may use it.
#[derive(Debug, Clone)]
pub struct BoundFilter {
    root: Node,
}

#[derive(Debug, Clone)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    /// Neither true nor false, whatever the row: a comparison with null.
    Unknown,
    /// `truth` where the column is not null, else unknown: a comparison with what lies outside the column's type.
    IfNotNull {
        column: Column,
        truth: bool,
    },
    /// The literal has the column's type, one row, not null.
    Compare {
        column: Column,
        comparison: Comparison,
        literal: ArrayRef,
    },
    IsNull(Column),
    StartsWith {
        column: Column,
        prefix: Vec<u8>,
    },
}

impl Node {
    fn visit(&self, see: &mut impl FnMut(u32)) {
        match self {
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().for_each(|node| node.visit(see)),
            Self::Not(node) => node.visit(see),
            Self::Unknown => {}
            Self::IfNotNull { column, .. }
            | Self::Compare { column, .. }
            | Self::IsNull(column)
            | Self::StartsWith { column, .. } => see(column.id),
        }
    }
}

impl BoundFilter {
    /// The ids of the columns that it looks at, ascending, each once.
    pub fn columns(&self) -> Vec<u32> {
        let mut ids = Vec::new();
        self.root.visit(&mut |id| ids.push(id));
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Whether it looks at columns of the key alone: then it may be applied before rows of the same key were compared.
    pub fn is_about_key(&self, schema: &TableSchema) -> bool {
        self.columns().iter().all(|id| schema.key().iter().any(|&index| schema.columns()[index].id == *id))
    }

    /// What it says of the key alone: rows that this refuses it refuses, whatever their other columns. `None`: nothing.
    pub fn about_key(&self, schema: &TableSchema) -> Option<Self> {
        Self::all_of(self.conjuncts().into_iter().filter(|part| part.is_about_key(schema)).collect())
    }

    /// The parts that must all hold: `a AND b AND (c OR d)` has three.
    pub fn conjuncts(&self) -> Vec<Self> {
        fn collect(node: &Node, parts: &mut Vec<BoundFilter>) {
            match node {
                Node::And(nodes) => nodes.iter().for_each(|node| collect(node, parts)),
                node => parts.push(BoundFilter { root: node.clone() }),
            }
        }
        let mut parts = Vec::new();
        collect(&self.root, &mut parts);
        parts
    }

    /// The filter that all of `parts` make together; `None` of none.
    pub fn all_of(mut parts: Vec<Self>) -> Option<Self> {
        match parts.len() {
            0 | 1 => parts.pop(),
            _ => Some(Self { root: Node::And(parts.into_iter().map(|part| part.root).collect()) }),
        }
    }

    /// The range of encoded keys outside of which it selects nothing. Everything in a table without a key.
    pub fn key_range(&self, schema: &TableSchema) -> Result<KeyRange> {
        let mut range = KeyRange::all();
        if !schema.is_keyed() {
            return Ok(range);
        }
        let codec = schema.key_codec();
        let parts = self.conjuncts();
        let mut equal: Vec<ArrayRef> = Vec::new();
        for &index in schema.key() {
            let id = schema.columns()[index].id;
            let mut pinned = None;
            for part in &parts {
                // The ranges may be too wide, never too narrow: the filter itself is applied to what is read.
                let (column, comparison, literal) = match &part.root {
                    Node::Compare { column, comparison, literal } => (column, comparison, literal),
                    Node::StartsWith { column, prefix } if column.id == id => {
                        let data_type = schema.columns()[index].field.data_type();
                        if let Some(beginning) = literal::beginning(data_type, prefix) {
                            let columns: Vec<ArrayRef> = equal.iter().cloned().chain([beginning]).collect();
                            range = range.intersect(KeyRange::prefix(&codec.encode_starting_with(&columns)?));
                        }
                        continue;
                    }
                    _ => continue,
                };
                if column.id != id {
                    continue;
                }
                let mut columns = equal.clone();
                columns.push(literal.clone());
                let key = codec.encode_prefix(&columns)?;
                let bounds = match comparison {
                    Comparison::Equal => {
                        pinned = Some(literal.clone());
                        KeyRange::prefix(&key)
                    }
                    Comparison::Greater | Comparison::GreaterOrEqual => KeyRange { lower: Some(key), upper: None },
                    Comparison::Less => KeyRange { lower: None, upper: Some(key) },
                    Comparison::LessOrEqual => KeyRange { lower: None, upper: prefix_end(&key) },
                    Comparison::NotEqual => continue,
                };
                range = range.intersect(bounds);
            }
            match pinned {
                Some(literal) => equal.push(literal),
                None => break,
            }
        }
        Ok(range)
    }
}

#[cfg(test)]
mod tests;
