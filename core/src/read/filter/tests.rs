//! Filters against a row-by-row oracle of SQL's logic; pruning against what is selected; the text form.

use super::*;
use crate::schema::KeyOptions;
use arrow_array::{
    Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, TimestampSecondArray, UInt64Array, types::Int8Type,
};
use arrow_schema::{Field, Schema, TimeUnit};
use std::sync::Arc;

/// The same small generator as elsewhere in the tests.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}

fn int(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

fn float(value: f64) -> ArrayRef {
    Arc::new(Float64Array::from(vec![value]))
}

fn schema(fields: Vec<Field>, key: &[&str]) -> TableSchema {
    TableSchema::new(&Schema::new(fields), key, &KeyOptions::default()).unwrap()
}

/// The rows of one column that a filter on it selects.
fn selected(array: ArrayRef, filter: &Filter) -> Vec<usize> {
    let schema = schema(vec![Field::new("x", array.data_type().clone(), true)], &[]);
    let bound = filter.bind(&schema).unwrap();
    let id = schema.columns()[0].id;
    let mask = bound.evaluate(array.len(), &|column| (column == id).then_some(&array)).unwrap();
    mask.set_indices().collect()
}

fn text(filter: &str) -> Filter {
    Filter::parse(filter).unwrap()
}

#[test]
fn literals_of_other_widths_and_units_compare_exactly() {
    let small: ArrayRef = Arc::new(Int32Array::from(vec![Some(-3), Some(2), Some(3), None, Some(i32::MAX)]));
    for (filter, rows) in [
        ("x > 2.5", vec![2, 4]),
        ("x <= 2.5", vec![0, 1]),
        ("x = 2.5", vec![]),
        ("x <> 2.5", vec![0, 1, 2, 4]),
        ("x < 1099511627776", vec![0, 1, 2, 4]),
        ("x >= 1099511627776", vec![]),
        ("x > -1099511627776", vec![0, 1, 2, 4]),
        ("x = 3.0", vec![2]),
        ("x < 1e300", vec![0, 1, 2, 4]),
        ("x IS NULL", vec![3]),
        ("NOT x = 3", vec![0, 1, 4]),
        ("x IN (2, 3, NULL)", vec![1, 2]),
        ("NOT x IN (2, 3, NULL)", vec![]),
        ("x = NULL OR x = 2", vec![1]),
        ("x BETWEEN 2 AND 3", vec![1, 2]),
    ] {
        assert_eq!(selected(small.clone(), &text(filter)), rows, "{filter}");
    }
    let single: ArrayRef = Arc::new(Float32Array::from(vec![0.1f32, -0.0, 0.0, f32::NAN]));
    assert_eq!(selected(single.clone(), &text("x > 0.1")), [0, 3], "0.1 as float32 is a little more than as float64");
    assert_eq!(selected(single.clone(), &text("x = 0.1")), [0usize; 0]);
    assert_eq!(selected(single.clone(), &text("x = 0.0")), [1, 2], "both zeros are equal");
    assert_eq!(selected(single.clone(), &text("x < 0.0")), [0usize; 0]);
    assert_eq!(selected(single, &text("x >= 0")), [0, 1, 2, 3]);
    let unsigned: ArrayRef = Arc::new(UInt64Array::from(vec![0, u64::MAX]));
    assert_eq!(selected(unsigned.clone(), &text("x > -1")), [0, 1]);
    assert_eq!(selected(unsigned.clone(), &text("x = 18446744073709551615")), [1]);
    assert_eq!(selected(unsigned, &text("x < 1.8446744073709551615e19")), [0, 1], "2^64 is beyond the type");
    let large: ArrayRef = Arc::new(Float64Array::from(vec![9007199254740992.0, 9007199254740994.0]));
    assert_eq!(selected(large.clone(), &text("x = 9007199254740993")), [0usize; 0], "2^53 + 1 is no float64");
    assert_eq!(selected(large, &text("x < 9007199254740993")), [0]);
    let decimal = Decimal128Array::from(vec![125, 250]).with_precision_and_scale(10, 2).unwrap();
    assert_eq!(selected(Arc::new(decimal.clone()), &text("x > 1")), [0, 1]);
    assert_eq!(selected(Arc::new(decimal.clone()), &text("x < 2")), [0]);
    let other = Decimal128Array::from(vec![12500]).with_precision_and_scale(10, 4).unwrap();
    assert_eq!(selected(Arc::new(decimal), &Filter::compare("x", Comparison::Equal, Arc::new(other))), [0]);
    let time: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1_000, 1_001, 2_000]));
    let second: ArrayRef = Arc::new(TimestampSecondArray::from(vec![1]));
    assert_eq!(selected(time.clone(), &Filter::compare("x", Comparison::Equal, second)), [0]);
    assert_eq!(selected(time, &text("x > TIMESTAMP '1970-01-01 00:00:01.0005'")), [1, 2]);
}

#[test]
fn text_binary_and_dictionaries_compare() {
    let words: ArrayRef = Arc::new(StringArray::from(vec![Some("apple"), None, Some("apricot"), Some("it's")]));
    let dictionary: DictionaryArray<Int8Type> =
        vec![Some("apple"), None, Some("apricot"), Some("it's")].into_iter().collect();
    for array in [words, Arc::new(dictionary) as ArrayRef] {
        assert_eq!(selected(array.clone(), &text("x LIKE 'ap%'")), [0, 2]);
        assert_eq!(selected(array.clone(), &text("NOT x LIKE 'ap%'")), [3]);
        assert_eq!(selected(array.clone(), &text("x = 'it''s' or \"x\" < 'apple2'")), [0, 3]);
        assert_eq!(selected(array, &text("x is null")), [1]);
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let schema = schema(
        vec![
            Field::new("word", DataType::Utf8, true),
            Field::new("at", DataType::Timestamp(TimeUnit::Second, Some("UTC".into())), true),
        ],
        &[],
    );
    for (filter, part) in [
        ("wrod = 'a'", "a column \"wrod\" that the table does not have"),
        ("word = 1", "column \"word\""),
        ("at = TIMESTAMP '2026-01-01'", "column \"at\""),
        ("at LIKE 'a%'", "column \"at\""),
    ] {
        let error = text(filter).bind(&schema).unwrap_err();
        assert!(error.message().contains(part), "{filter}: {error}");
    }
    text("at = TIMESTAMP '2026-01-01T00:00:00Z'").bind(&schema).unwrap();
    let error = Filter::compare("word", Comparison::Equal, Arc::new(StringArray::from(vec!["a", "b"])));
    assert!(error.bind(&schema).unwrap_err().message().contains("has 2 rows"));
    let deep = (0..300).fold(Filter::IsNull("word".into()), |filter, _| Filter::Not(Box::new(filter)));
    assert!(deep.bind(&schema).unwrap_err().message().contains("deep"));
}

#[test]
fn text_that_cannot_be_understood_says_where() {
    for (filter, part) in [
        ("", "a column expected, its end found"),
        ("x", "a comparison expected"),
        ("x = ", "a literal expected"),
        ("x = 'open", "a text with a quote at its end"),
        ("x = 1 y", "AND, OR or the end expected, \"y\" found"),
        ("(x = 1", "a closing parenthesis"),
        ("x LIKE '%a'", "a pattern with one %"),
        ("x = DATE '2026-02-29'", "a date such as"),
        ("x = TIMESTAMP '2026-01-01 24:00'", "a time such as"),
        ("x = nan", "a literal expected"),
        ("x not 3", "IN, BETWEEN or LIKE"),
    ] {
        let error = Filter::parse(filter).unwrap_err();
        assert!(error.message().contains(part), "{filter}: {error}");
    }
    assert!(Filter::parse(&"(".repeat(100_000)).is_err());
    assert!(Filter::parse("café = 'ä' AND ünder_score > -1.5e-3").is_ok());
}

/// What a filter says of one row.
type Meaning = Box<dyn Fn(Option<i64>, Option<&str>) -> Option<bool>>;

/// A random filter over columns `a` (int) and `b` (text), and its row-by-row meaning.
fn random_filter(random: &mut Random, depth: u64) -> (Filter, Meaning) {
    let word = |random: &mut Random| ["", "a", "ab", "b", "ba"][random.below(5) as usize];
    match if depth == 0 { random.below(4) } else { random.below(7) } {
        0 => {
            let (literal, kind) = (random.below(9) as i64 - 2, random.below(6));
            let (comparison, holds): (_, fn(&i64, &i64) -> bool) = match kind {
                0 => (Comparison::Equal, i64::eq),
                1 => (Comparison::NotEqual, i64::ne),
                2 => (Comparison::Less, i64::lt),
                3 => (Comparison::LessOrEqual, i64::le),
                4 => (Comparison::Greater, i64::gt),
                _ => (Comparison::GreaterOrEqual, i64::ge),
            };
            (Filter::compare("a", comparison, int(literal)), Box::new(move |a, _| a.map(|a| holds(&a, &literal))))
        }
        1 => {
            let literal = word(random);
            let filter = Filter::compare("b", Comparison::GreaterOrEqual, Arc::new(StringArray::from(vec![literal])));
            (filter, Box::new(move |_, b| b.map(|b| b >= literal)))
        }
        2 => (Filter::IsNull("a".into()), Box::new(|a, _| Some(a.is_none()))),
        3 => {
            let prefix = word(random);
            let filter = Filter::StartsWith { column: "b".into(), prefix: prefix.as_bytes().to_vec() };
            (filter, Box::new(move |_, b| b.map(|b| b.starts_with(prefix))))
        }
        4 => {
            let (filter, meaning) = random_filter(random, depth - 1);
            (Filter::Not(Box::new(filter)), Box::new(move |a, b| meaning(a, b).map(|truth| !truth)))
        }
        kind => {
            let (left, left_meaning) = random_filter(random, depth - 1);
            let (right, right_meaning) = random_filter(random, depth - 1);
            // The truth value that decides alone: false for AND, true for OR.
            let decides = kind == 6;
            let filter = if decides { Filter::Or(vec![left, right]) } else { Filter::And(vec![left, right]) };
            let meaning = move |a: Option<i64>, b: Option<&str>| match (left_meaning(a, b), right_meaning(a, b)) {
                (left, right) if left == Some(decides) || right == Some(decides) => Some(decides),
                (None, _) | (_, None) => None,
                _ => Some(!decides),
            };
            (filter, Box::new(meaning))
        }
    }
}

struct Zones<'a> {
    batch: &'a RecordBatch,
    schema: &'a TableSchema,
}

impl ZoneMaps for Zones<'_> {
    fn zone(&self, column: u32) -> Option<Zone> {
        let index = self.schema.columns().iter().position(|found| found.id == column)?;
        let array = self.batch.column(index);
        let order = arrow_ord::sort::sort(array, None).ok()?;
        let nulls = order.null_count();
        let known = order.len() - nulls;
        let at = |row: usize| (known > 0).then(|| order.slice(row, 1));
        // Sorting puts nulls first.
        Some(Zone { min: at(nulls), max: at(order.len() - 1), null_count: Some(nulls as u64) })
    }

    fn rows(&self) -> u64 {
        self.batch.num_rows() as u64
    }
}

#[test]
fn filters_select_what_sql_selects_and_pruning_never_lies() {
    let schema = schema(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)], &[]);
    let (mut none, mut all) = (0, 0);
    for seed in 0..4000 {
        let mut random = Random(seed);
        let rows = 1 + random.below(6) as usize;
        let spread = 1 + random.below(6);
        let a: Vec<Option<i64>> =
            (0..rows).map(|_| (random.below(5) > 0).then(|| random.below(spread) as i64)).collect();
        let b: Vec<Option<&str>> = (0..rows)
            .map(|_| (random.below(5) > 0).then(|| ["", "a", "ab", "b", "ba"][random.below(spread.min(5)) as usize]))
            .collect();
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(a.clone())), Arc::new(StringArray::from(b.clone()))];
        let batch = RecordBatch::try_new(schema.user().clone(), columns).unwrap();
        let (filter, meaning) = random_filter(&mut random, 3);
        let bound = filter.bind(&schema).unwrap();
        let find = |id: u32| {
            let index = schema.columns().iter().position(|column| column.id == id)?;
            Some(batch.column(index))
        };
        let mask = bound.evaluate(rows, &find).unwrap();
        let expected: Vec<bool> = (0..rows).map(|row| meaning(a[row], b[row]) == Some(true)).collect();
        assert_eq!(mask.iter().collect::<Vec<_>>(), expected, "seed {seed}: {filter:?}");
        match bound.prune(&Zones { batch: &batch, schema: &schema }) {
            Decision::None => {
                none += 1;
                assert!(!expected.contains(&true), "seed {seed}: {filter:?} pruned rows that it selects");
            }
            Decision::All => {
                all += 1;
                assert!(!expected.contains(&false), "seed {seed}: {filter:?} was not applied to rows that it refuses");
            }
            Decision::Some => {}
        }
    }
    assert!(none > 300 && all > 300, "pruned {none}, whole {all}");
}

#[test]
fn the_key_range_holds_every_selected_key() {
    let schema = schema(
        vec![
            Field::new("day", DataType::Int32, false),
            Field::new("name", DataType::Utf8, false),
            Field::new("value", DataType::Float64, true),
        ],
        &["day", "name"],
    );
    let mut narrow = 0;
    for seed in 0..2000 {
        let mut random = Random(seed);
        let mut parts = Vec::new();
        for _ in 0..1 + random.below(3) {
            let comparison = [
                Comparison::Equal,
                Comparison::NotEqual,
                Comparison::Less,
                Comparison::LessOrEqual,
                Comparison::Greater,
                Comparison::GreaterOrEqual,
            ][random.below(6) as usize];
            parts.push(match random.below(3) {
                0 => Filter::compare("day", comparison, int(random.below(4) as i64)),
                1 => {
                    let prefix = [&b""[..], b"a", b"ab", b"b", b"b\xc3"][random.below(5) as usize].to_vec();
                    Filter::StartsWith { column: "name".into(), prefix }
                }
                _ => {
                    let word = ["", "a", "ab", "b"][random.below(4) as usize];
                    Filter::compare("name", comparison, Arc::new(StringArray::from(vec![word])))
                }
            });
        }
        let filter = Filter::And(parts);
        let bound = filter.bind(&schema).unwrap();
        let range = bound.key_range(&schema).unwrap();
        let days: Vec<i32> = (0..4).flat_map(|day| [day; 4]).collect();
        let names: Vec<&str> = (0..4).flat_map(|_| ["", "a", "ab", "b"]).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(days)), Arc::new(StringArray::from(names))];
        let keys = schema.key_codec().encode(&columns).unwrap();
        let find = |id: u32| columns.get(schema.columns().iter().position(|column| column.id == id)?);
        let mask = bound.evaluate(16, &find).unwrap();
        for row in 0..16 {
            let inside = range.contains(keys.bytes(row, &mut [0; 8]));
            assert!(inside || !mask.value(row), "seed {seed}: {filter:?} selects a key outside of {range:?}");
            narrow += usize::from(!inside);
        }
    }
    assert!(narrow > 4000, "the ranges leave out {narrow}");
    // What begins with the middle of a character begins with those before it.
    let starts_with = |prefix: &[u8]| Filter::StartsWith { column: "name".into(), prefix: prefix.to_vec() };
    let range_of = |name: DataType, prefix: &[u8]| {
        let schema = self::schema(vec![Field::new("name", name, false)], &["name"]);
        starts_with(prefix).bind(&schema).unwrap().key_range(&schema).unwrap()
    };
    for name in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
        assert_eq!(range_of(name, b"ab\xc3"), KeyRange::prefix(b"ab"));
    }
    for name in [DataType::Binary, DataType::LargeBinary, DataType::BinaryView] {
        assert_eq!(range_of(name, b"ab\xff"), KeyRange::prefix(b"ab\xff"));
    }
    let about_key = text("day = 1 AND name > 'a'").bind(&schema).unwrap();
    assert!(about_key.is_about_key(&schema));
    assert!(!text("day = 1 AND value > 2").bind(&schema).unwrap().is_about_key(&schema));
}

#[test]
fn float_bounds_and_missing_ones_are_safe() {
    let schema = schema(vec![Field::new("x", DataType::Float64, true)], &[]);
    struct Known(Zone);
    impl ZoneMaps for Known {
        fn zone(&self, _: u32) -> Option<Zone> {
            Some(self.0.clone())
        }
        fn rows(&self) -> u64 {
            3
        }
    }
    let zone = |min, max| Known(Zone { min: Some(float(min)), max: Some(float(max)), null_count: Some(0) });
    let prune = |filter: &str, zone: &Known| text(filter).bind(&schema).unwrap().prune(zone);
    assert_eq!(prune("x > 5", &zone(1.0, f64::NAN)), Decision::Some, "NaN is greater than everything");
    assert_eq!(prune("x > 5", &zone(1.0, 2.0)), Decision::None);
    assert_eq!(prune("x = 0.0", &zone(-0.0, -0.0)), Decision::All);
    assert_eq!(prune("x >= 1", &zone(1.0, 2.0)), Decision::All);
    assert_eq!(prune("x >= 1", &Known(Zone::default())), Decision::Some);
    assert_eq!(prune("x = NULL", &zone(1.0, 2.0)), Decision::None);
    assert_eq!(prune("x IS NULL", &zone(1.0, 2.0)), Decision::None);
    assert_eq!(prune("NOT x IS NULL", &zone(1.0, 2.0)), Decision::All);
    let wrong = Known(Zone { min: Some(int(7)), max: Some(int(9)), null_count: None });
    assert_eq!(prune("x < 1", &wrong), Decision::Some, "bounds of another type say nothing");
}
