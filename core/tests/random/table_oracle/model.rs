//! What a table must hold: columns, rows and their keys as plain values, and the changes that both sides go through.

use super::Random;
use super::values::{self, Value, array};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use sstore::{KeyOptions, SchemaChange, Table};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How the values of a column come about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Random,
    /// It grows with every row that is written: what separates files.
    Clock,
    /// It grows with the first column of the key: what separates the groups of a file.
    LikeKey,
}

#[derive(Clone, Debug)]
pub struct Column {
    /// Never changes; the index of its values in a row.
    pub number: usize,
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
    pub mode: Mode,
    pub null_percent: u64,
    /// The values that it takes, in order.
    pub domain: Vec<Value>,
    pub clock: i128,
}

impl Column {
    fn new(number: usize, name: String, data_type: DataType, size: u64, random: &mut Random) -> Self {
        let domain = values::domain(&data_type, size, random);
        let mode = match random.below(3) {
            0 if matches!(data_type, DataType::Int64 | DataType::Timestamp(..)) => Mode::Clock,
            1 => Mode::LikeKey,
            _ => Mode::Random,
        };
        let null_percent = [0, 0, 10, 60][random.below(4) as usize];
        Self { number, name, data_type, nullable: true, mode, null_percent, domain, clock: 0 }
    }

    fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), self.nullable)
    }

    fn any(&self, random: &mut Random) -> Value {
        self.domain[random.below(self.domain.len() as u64) as usize].clone()
    }

    /// A value for a new row whose key stands at `place` of 1,000 among all keys.
    fn value(&mut self, place: u64, random: &mut Random) -> Value {
        if self.nullable && random.below(100) < self.null_percent {
            return Value::Null;
        }
        match self.mode {
            Mode::Random => self.any(random),
            Mode::Clock => {
                self.clock += 1;
                Value::Whole(self.clock)
            }
            Mode::LikeKey => {
                let len = self.domain.len() as u64;
                let index = (place * len / 1000 + random.below(2)).min(len - 1);
                self.domain[index as usize].clone()
            }
        }
    }

    /// A literal to compare it with.
    pub fn value_for_filter(&self, random: &mut Random) -> Value {
        match self.mode {
            Mode::Clock => Value::Whole(random.below(self.clock as u64 + 2).into()),
            _ => self.any(random),
        }
    }

    /// Another literal, likely not far from the one before.
    pub fn value_near(&self, random: &mut Random) -> Value {
        match self.mode {
            Mode::Clock => Value::Whole((self.clock - i128::from(random.below(30))).max(0)),
            _ => self.domain[random.below((self.domain.len() as u64).div_ceil(4)) as usize].clone(),
        }
    }
}

/// Values by the numbers of columns; those beyond the end are null.
#[derive(Clone, Debug, PartialEq, PartialOrd, Eq, Ord)]
pub struct Row(pub Vec<Value>);

impl Row {
    pub fn get(&self, column: usize) -> &Value {
        self.0.get(column).unwrap_or(&Value::Null)
    }
}

/// The rows of a table at some moment.
#[derive(Clone)]
pub enum Rows {
    Keyed(BTreeMap<Vec<Value>, Arc<Row>>),
    Appended(Vec<Arc<Row>>),
}

impl Rows {
    pub fn in_order(&self) -> Vec<Arc<Row>> {
        match self {
            Self::Keyed(rows) => rows.values().cloned().collect(),
            Self::Appended(rows) => rows.clone(),
        }
    }

    fn change(&mut self, change: impl Fn(&mut Row)) {
        let changed = |row: &Arc<Row>| {
            let mut row = (**row).clone();
            change(&mut row);
            Arc::new(row)
        };
        match self {
            Self::Keyed(rows) => rows.values_mut().for_each(|row| *row = changed(row)),
            Self::Appended(rows) => rows.iter_mut().for_each(|row| *row = changed(row)),
        }
    }
}

pub struct TableModel {
    pub name: String,
    pub table: Option<Table>,
    pub columns: Vec<Column>,
    /// Numbers of columns, in key order.
    pub key: Vec<usize>,
    /// Whether its files are sorted by some column although it has no key.
    pub is_ordered: bool,
    pub rows: Rows,
    next_number: usize,
    dropped_names: Vec<String>,
}

impl TableModel {
    pub fn new(name: &str, random: &mut Random) -> (Self, Schema, KeyOptions) {
        let key_columns = [0, 1, 1, 2, 3][random.below(5) as usize];
        let size = [0, 150, 14, 6][key_columns];
        let mut columns: Vec<Column> = Vec::new();
        let nullable_keys = random.below(4) == 0;
        for number in 0..key_columns {
            let mut column = Column::new(number, format!("k{number}"), values::key_type(random), size, random);
            // Not all combinations of two booleans make a table.
            while column.domain.len() < 5 && number == 0 {
                column = Column::new(number, format!("k{number}"), values::key_type(random), size, random);
            }
            (column.nullable, column.mode) = (nullable_keys && random.below(2) == 0, Mode::Random);
            columns.push(column);
        }
        for number in key_columns..key_columns + 2 + random.below(4) as usize {
            let mut column = Column::new(number, format!("c{number}"), values::column_type(random), 40, random);
            column.nullable = random.below(4) > 0;
            columns.push(column);
        }
        // A deleted row has no values, so that a column that may not be null is not the same in a file.
        let key: Vec<usize> = (0..key_columns).collect();
        let is_ordered = key.is_empty() && random.below(3) == 0;
        let order_by = columns.iter().filter(|column| is_ordered && !matches!(column.data_type, DataType::List(_)));
        let order_by: Vec<String> = order_by.take(1).map(|column| column.name.clone()).collect();
        let is_ordered = !order_by.is_empty();
        if random.below(2) == 0 {
            // The key's columns need not come first.
            let len = columns.len() as u64;
            columns.swap(0, random.below(len) as usize);
        }
        let schema = Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>());
        let rows = if key.is_empty() { Rows::Appended(Vec::new()) } else { Rows::Keyed(BTreeMap::new()) };
        let next_number = columns.len();
        let options = KeyOptions { nullable_keys, float_keys: true, order_by };
        let name = name.to_owned();
        (
            Self { name, table: None, columns, key, is_ordered, rows, next_number, dropped_names: Vec::new() },
            schema,
            options,
        )
    }

    pub fn table(&self) -> &Table {
        self.table.as_ref().unwrap()
    }

    pub fn column(&self, number: usize) -> &Column {
        self.columns.iter().find(|column| column.number == number).unwrap()
    }

    fn random_key(&self, random: &mut Random) -> Vec<Value> {
        let part = |number: &usize| {
            let column = self.column(*number);
            if column.nullable && random.below(8) == 0 { Value::Null } else { column.any(random) }
        };
        self.key.iter().map(part).collect()
    }

    /// New rows, in a batch; some of them have the same key.
    pub fn put(&mut self, count: u64, random: &mut Random) -> RecordBatch {
        let mut written = Vec::new();
        for _ in 0..count {
            let key = self.random_key(random);
            let place = match self.key.first() {
                Some(first) => {
                    let domain = &self.column(*first).domain;
                    domain.partition_point(|value| *value < key[0]) as u64 * 1000 / domain.len() as u64
                }
                None => random.below(1000),
            };
            let mut row = Row(vec![Value::Null; self.next_number]);
            for column in &mut self.columns {
                row.0[column.number] = match self.key.iter().position(|number| *number == column.number) {
                    Some(index) => key[index].clone(),
                    None => column.value(place, random),
                };
            }
            let row = Arc::new(row);
            match &mut self.rows {
                Rows::Keyed(rows) => drop(rows.insert(key, row.clone())),
                Rows::Appended(rows) => rows.push(row.clone()),
            }
            written.push(row);
        }
        let mut order: Vec<&Column> = self.columns.iter().collect();
        if random.below(4) == 0 {
            order.reverse();
        }
        let fields: Vec<Field> = order.iter().map(|column| column.field()).collect();
        let arrays: Vec<ArrayRef> = order.iter().map(|column| column_of(column, &written)).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
    }

    /// Deletes keys, most of them there.
    pub fn delete(&mut self, count: u64, random: &mut Random) -> RecordBatch {
        let keys = self.some_keys(count, random);
        let Rows::Keyed(rows) = &mut self.rows else { panic!("nothing is deleted of an append-only table") };
        for key in &keys {
            rows.remove(key);
        }
        self.key_batch(&keys)
    }

    /// Keys, most of them there.
    pub fn some_keys(&self, count: u64, random: &mut Random) -> Vec<Vec<Value>> {
        let Rows::Keyed(rows) = &self.rows else { return Vec::new() };
        let known: Vec<&Vec<Value>> = rows.keys().collect();
        let key = |_| match known.len() as u64 {
            len @ 1.. if random.below(4) > 0 => known[random.below(len) as usize].clone(),
            _ => self.random_key(random),
        };
        (0..count).map(key).collect()
    }

    /// Keys as a batch.
    pub fn key_batch(&self, keys: &[Vec<Value>]) -> RecordBatch {
        let columns: Vec<&Column> = self.key.iter().map(|number| self.column(*number)).collect();
        let arrays = columns.iter().enumerate().map(|(index, column)| {
            let values: Vec<Value> = keys.iter().map(|key| key[index].clone()).collect();
            array(&column.data_type, &values)
        });
        let arrays = arrays.collect();
        let fields: Vec<Field> = columns.iter().map(|column| column.field()).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
    }

    /// A bound of the key's first columns: its values, and the same as arrays.
    pub fn bound(&self, random: &mut Random) -> (Vec<Value>, Vec<ArrayRef>) {
        let mut values = self.random_key(random);
        values.truncate(1 + random.below(values.len() as u64) as usize);
        let arrays = self.key.iter().zip(&values);
        let arrays = arrays.map(|(number, value)| array(&self.column(*number).data_type, std::slice::from_ref(value)));
        let arrays = arrays.collect();
        (values, arrays)
    }

    /// Rows that a scan of all columns handed out.
    pub fn rows_of(&self, batch: &RecordBatch) -> Vec<Arc<Row>> {
        let mut rows = vec![Row(vec![Value::Null; self.next_number]); batch.num_rows()];
        for (column, array) in self.columns.iter().zip(batch.columns()) {
            for (row, value) in rows.iter_mut().zip(values::values(array)) {
                row.0[column.number] = value;
            }
        }
        rows.into_iter().map(Arc::new).collect()
    }

    /// One change of the schema, made here and in `others` (what snapshots see is read under the schema in force).
    pub fn change_schema(&mut self, others: &mut [&mut Rows], random: &mut Random) -> SchemaChange {
        let index = random.below(self.columns.len() as u64) as usize;
        let is_fixed = self.key.contains(&self.columns[index].number) || self.is_ordered;
        match random.below(5) {
            0 if !is_fixed && self.columns.len() > self.key.len() + 1 => {
                let column = self.columns.remove(index);
                let number = column.number;
                let clear = |row: &mut Row| row.0.get_mut(number).map_or((), |value| *value = Value::Null);
                self.rows.change(clear);
                others.iter_mut().for_each(|rows| rows.change(clear));
                self.dropped_names.push(column.name.clone());
                SchemaChange::Drop { name: column.name }
            }
            1 if !is_fixed && let Some(data_type) = values::wider(&self.columns[index].data_type, random) => {
                let column = &mut self.columns[index];
                let number = column.number;
                let from = std::mem::replace(&mut column.data_type, data_type.clone());
                let widen = |value: &mut Value| *value = values::widened(value, &from, &data_type);
                column.domain.iter_mut().for_each(widen);
                let change = |row: &mut Row| row.0.get_mut(number).map_or((), widen);
                self.rows.change(change);
                others.iter_mut().for_each(|rows| rows.change(change));
                SchemaChange::Widen { name: column.name.clone(), data_type }
            }
            2 => {
                let column = &mut self.columns[index];
                let to = format!("r{}x{}", column.number, random.below(1000));
                SchemaChange::Rename { name: std::mem::replace(&mut column.name, to.clone()), to }
            }
            3 => {
                let by = random.below(self.columns.len() as u64) as usize;
                self.columns.rotate_left(by);
                SchemaChange::Reorder { names: self.columns.iter().map(|column| column.name.clone()).collect() }
            }
            _ => {
                let number = self.next_number;
                self.next_number += 1;
                // A new column of an old name is another one.
                let name = self.dropped_names.pop().unwrap_or_else(|| format!("n{number}"));
                let column = Column::new(number, name, values::column_type(random), 40, random);
                let field = column.field();
                let position = random.below(self.columns.len() as u64 + 1) as usize;
                self.columns.insert(position, column);
                SchemaChange::Add { field, position: Some(position) }
            }
        }
    }
}

/// One column of these rows.
pub fn column_of(column: &Column, rows: &[Arc<Row>]) -> ArrayRef {
    let values: Vec<Value> = rows.iter().map(|row| row.get(column.number).clone()).collect();
    array(&column.data_type, &values)
}
