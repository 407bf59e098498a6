//! Rows of sensors: the same in every run.

use crate::Result;
use crate::data::Random;
use arrow_array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use std::sync::Arc;

const SENSORS: usize = 1_000;

/// Sensors that report at the same moment.
const SENSORS_A_MOMENT: usize = 10;

const FIRST_MICROS: i64 = 1_700_000_000_000_000;

/// The columns of a key.
pub const KEY: [&str; 2] = ["time", "sensor"];

/// The columns of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Time, sensor as a number and as a string, two doubles.
    Wide,
    /// Time, sensor, one double: 20 bytes.
    Narrow,
}

impl Shape {
    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wide => "43-byte rows",
            Self::Narrow => "20-byte rows",
        }
    }

    /// Bytes of a row's values as Arrow lays them out.
    pub fn row_bytes(self) -> usize {
        match self {
            Self::Wide => 8 + 4 + (4 + 11) + 8 + 8,
            Self::Narrow => 8 + 4 + 8,
        }
    }

    /// The columns.
    pub fn schema(self) -> Schema {
        let mut fields = key_fields();
        if self == Self::Wide {
            fields.push(Field::new("name", DataType::Utf8, false));
            fields.push(Field::new("load", DataType::Float64, false));
        }
        fields.push(Field::new("temperature", DataType::Float64, false));
        Schema::new(fields)
    }

    /// The rows with these numbers.
    pub fn batch(self, rows: &[usize]) -> Result<RecordBatch> {
        let mut columns = keys(rows).columns;
        // From the row's number alone, so that it does not matter how rows are dealt out to batches.
        let random = |row: usize| Random::new(row as u64).next();
        if self == Self::Wide {
            let names = rows.iter().map(|row| format!("sensor-{:04}", row % SENSORS));
            columns.push(Arc::new(StringArray::from_iter_values(names)));
            let loads = rows.iter().map(|&row| (random(row) >> 11) as f64 / (1u64 << 53) as f64);
            columns.push(Arc::new(Float64Array::from_iter_values(loads)));
        }
        let temperatures = rows.iter().map(|&row| (random(row + 1) % 4_000) as f64 / 100.0 - 10.0);
        columns.push(Arc::new(Float64Array::from_iter_values(temperatures)));
        Ok(RecordBatch::try_new(Arc::new(self.schema()), columns)?)
    }

    /// The rows from 0 up to `rows` in order, in batches.
    pub fn batches(self, rows: usize, batch_rows: usize) -> Result<Vec<RecordBatch>> {
        let starts = (0..rows).step_by(batch_rows);
        starts.map(|start| self.batch(&(start..rows.min(start + batch_rows)).collect::<Vec<_>>())).collect()
    }
}

fn key_fields() -> Vec<Field> {
    vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), false),
        Field::new("sensor", DataType::Int32, false),
    ]
}

struct Columns {
    columns: Vec<ArrayRef>,
}

fn keys(rows: &[usize]) -> Columns {
    let sensors = rows.iter().map(|row| (row % SENSORS) as i32);
    let times = rows.iter().map(|&row| time_of(row));
    Columns {
        columns: vec![
            Arc::new(TimestampMicrosecondArray::from_iter_values(times)),
            Arc::new(Int32Array::from_iter_values(sensors)),
        ],
    }
}

fn time_of(row: usize) -> i64 {
    FIRST_MICROS + (row / SENSORS_A_MOMENT) as i64 * 1_000
}

/// The key of a row, as a batch of one row.
pub fn key(row: usize) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(Arc::new(Schema::new(key_fields())), keys(&[row]).columns)?)
}

/// The time of a row, as a bound of a scan.
pub fn moment(row: usize) -> Vec<ArrayRef> {
    vec![Arc::new(TimestampMicrosecondArray::from(vec![time_of(row)]))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_size_they_are_said_to_have_and_distinct_rising_keys() {
        for shape in [Shape::Wide, Shape::Narrow] {
            let batch = shape.batch(&(0..10_000).collect::<Vec<_>>()).unwrap();
            let bytes: usize =
                batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap()).sum();
            assert_eq!(bytes / 10_000, shape.row_bytes());
        }
        let keys: Vec<_> = (0..3_000).map(|row| (time_of(row), row % SENSORS)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
    }
}
