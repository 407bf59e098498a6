//! Filters, once as the engine takes them, once evaluated value by value in SQL's three-valued logic.
#![allow(clippy::manual_try_fold)] // `None` is a truth value here, not an end.

use super::Random;
use super::model::{Column, Row};
use super::values::{Value, array};
use arrow_array::{Array, NullArray};
use arrow_schema::DataType;
use sstore::{Comparison, Filter};
use std::cmp::Ordering;
use std::sync::Arc;

/// A condition over columns, which are given by their number in the model.
#[derive(Clone, Debug)]
pub enum Condition {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Compare(usize, Comparison, Value, DataType),
    In(usize, Vec<Value>, DataType),
    IsNull(usize),
    StartsWith(usize, Vec<u8>),
}

use Condition::{And, Compare, In, IsNull, Not, Or, StartsWith};

const COMPARISONS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

fn order(value: &Value, literal: &Value) -> Ordering {
    // The two zeros are equal in filters, not in keys.
    let plain = |value: f64| if value == 0.0 { 0.0 } else { value };
    match (value, literal) {
        (Value::Whole(value), Value::Float(literal)) => (*value as f64).total_cmp(literal),
        (Value::Float(value), Value::Whole(literal)) => plain(*value).total_cmp(&(*literal as f64)),
        (Value::Float(value), Value::Float(literal)) => plain(*value).total_cmp(&plain(*literal)),
        (value, literal) => value.cmp(literal),
    }
}

fn compare(value: &Value, comparison: Comparison, literal: &Value) -> Option<bool> {
    if *value == Value::Null || *literal == Value::Null {
        return None;
    }
    let order = order(value, literal);
    Some(match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}

impl Condition {
    /// Whether it holds of a row; `None`: unknown.
    pub fn holds(&self, row: &Row) -> Option<bool> {
        match self {
            And(all) => all.iter().map(|one| one.holds(row)).fold(Some(true), |a, b| match (a, b) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            }),
            Or(all) => all.iter().map(|one| one.holds(row)).fold(Some(false), |a, b| match (a, b) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            }),
            Not(one) => one.holds(row).map(|holds| !holds),
            Compare(column, comparison, literal, _) => compare(row.get(*column), *comparison, literal),
            In(column, literals, _) => {
                let equal = literals.iter().map(|literal| compare(row.get(*column), Comparison::Equal, literal));
                equal.fold(Some(false), |a, b| match (a, b) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                })
            }
            IsNull(column) => Some(*row.get(*column) == Value::Null),
            StartsWith(column, prefix) => match row.get(*column) {
                Value::Bytes(bytes) => Some(bytes.starts_with(prefix)),
                Value::Null => None,
                other => panic!("{other:?} is no string"),
            },
        }
    }

    /// The same as the engine takes it.
    pub fn filter(&self, columns: &[Column]) -> Filter {
        let name = |number: &usize| {
            let column = columns.iter().find(|column| column.number == *number).unwrap();
            column.name.clone()
        };
        let all = |all: &[Self]| all.iter().map(|one| one.filter(columns)).collect();
        match self {
            And(parts) => Filter::And(all(parts)),
            Or(parts) => Filter::Or(all(parts)),
            Not(one) => Filter::Not(Box::new(one.filter(columns))),
            Compare(column, comparison, Value::Null, _) => {
                Filter::compare(name(column), *comparison, Arc::new(NullArray::new(1)))
            }
            Compare(column, comparison, literal, data_type) => {
                let literal = array(data_type, std::slice::from_ref(literal));
                assert_eq!(literal.len(), 1);
                Filter::compare(name(column), *comparison, literal)
            }
            In(column, literals, data_type) => {
                Filter::In { column: name(column), literals: array(data_type, literals) }
            }
            IsNull(column) => Filter::IsNull(name(column)),
            StartsWith(column, prefix) => Filter::StartsWith { column: name(column), prefix: prefix.clone() },
        }
    }

    /// Whether it looks at a column that is not among these.
    pub fn looks_beyond(&self, key: &[usize]) -> bool {
        match self {
            And(all) | Or(all) => all.iter().any(|one| one.looks_beyond(key)),
            Not(one) => one.looks_beyond(key),
            Compare(column, ..) | In(column, ..) | IsNull(column) | StartsWith(column, _) => !key.contains(column),
        }
    }

    /// A condition over these columns.
    pub fn random(columns: &[&Column], depth: u32, random: &mut Random) -> Self {
        if depth > 0 && random.below(3) > 0 {
            let count = if random.below(20) == 0 { 0 } else { 1 + random.below(3) };
            let kind = random.below(5);
            let mut parts = || (0..count).map(|_| Self::random(columns, depth - 1, random)).collect();
            return match kind {
                0 | 1 => And(parts()),
                2 | 3 => Or(parts()),
                _ => Not(Box::new(Self::random(columns, depth - 1, random))),
            };
        }
        let column = columns[random.below(columns.len() as u64) as usize];
        let number = column.number;
        let is_list = matches!(column.data_type, DataType::List(_));
        if is_list || random.below(12) == 0 {
            let is_null = IsNull(number);
            return if random.below(2) == 0 { is_null } else { Not(Box::new(is_null)) };
        }
        let literal = column.value_for_filter(random);
        if let Value::Bytes(bytes) = &literal
            && random.below(4) == 0
        {
            let len = random.below(bytes.len() as u64 + 1) as usize;
            return StartsWith(number, bytes[..len].to_vec());
        }
        match random.below(10) {
            0..=2 => {
                // A narrow range: what zone maps are for.
                let (mut low, mut high) = (literal, column.value_near(random));
                if low > high {
                    std::mem::swap(&mut low, &mut high);
                }
                And(vec![
                    Compare(number, Comparison::GreaterOrEqual, low, column.data_type.clone()),
                    Compare(number, Comparison::LessOrEqual, high, column.data_type.clone()),
                ])
            }
            3 => {
                let mut literals: Vec<Value> = (0..random.below(4)).map(|_| column.value_for_filter(random)).collect();
                if random.below(8) == 0 {
                    literals.push(Value::Null);
                }
                In(number, literals, column.data_type.clone())
            }
            4 => Compare(number, Comparison::Equal, literal, column.data_type.clone()),
            _ => {
                let comparison = COMPARISONS[random.below(6) as usize];
                let plain_number = column.data_type.is_integer();
                let (literal, data_type) = match literal {
                    _ if random.below(30) == 0 => (Value::Null, column.data_type.clone()),
                    Value::Whole(value) if plain_number && random.below(6) == 0 && value.abs() < 1 << 40 => {
                        (Value::Float(value as f64 + 0.5), DataType::Float64)
                    }
                    Value::Whole(value) if plain_number && random.below(6) == 0 && value.abs() < 1 << 60 => {
                        (Value::Whole(value + i128::from(random.below(600)) - 300), DataType::Int64)
                    }
                    literal => (literal, column.data_type.clone()),
                };
                Compare(number, comparison, literal, data_type)
            }
        }
    }
}
