//! Schemas: what is taken and what is refused, as bytes and back, batches in and out, changes.

use super::*;
use crate::error::ErrorKind;
use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_schema::{DataType as T, IntervalUnit, TimeUnit, UnionFields, UnionMode};

fn schema(fields: &[(&str, T, bool)]) -> Schema {
    let field = |(name, data_type, nullable): &(&str, T, bool)| Field::new(*name, data_type.clone(), *nullable);
    Schema::new(fields.iter().map(field).collect::<Vec<_>>())
}

fn table(fields: &[(&str, T, bool)], key: &[&str]) -> TableSchema {
    TableSchema::new(&schema(fields), key, &KeyOptions::default()).unwrap()
}

fn refusal(fields: &[(&str, T, bool)], key: &[&str], options: &KeyOptions) -> String {
    let error = TableSchema::new(&schema(fields), key, options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    error.message().to_owned()
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn item(data_type: T) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, true))
}

fn map_of(key: T, value: T) -> T {
    let entries = vec![Field::new("keys", key, false), Field::new("values", value, true)];
    T::Map(Arc::new(Field::new("entries", T::Struct(entries.into()), false)), false)
}

/// A type of each kind that a column may have.
fn all_types() -> Vec<T> {
    let union = UnionFields::try_new(vec![0, 5], vec![Field::new("a", T::Int32, true), Field::new("b", T::Utf8, true)]);
    let union = union.unwrap();
    let mut types = vec![
        T::BinaryView,
        T::FixedSizeBinary(16),
        T::Decimal32(9, -2),
        T::Decimal64(18, 18),
        T::Decimal128(38, 10),
        T::Decimal256(76, 3),
        T::Time32(TimeUnit::Second),
        T::Time64(TimeUnit::Nanosecond),
        T::Timestamp(TimeUnit::Microsecond, None),
        T::Timestamp(TimeUnit::Nanosecond, Some("Europe/Berlin".into())),
        T::Duration(TimeUnit::Millisecond),
        T::Interval(IntervalUnit::YearMonth),
        T::Interval(IntervalUnit::DayTime),
        T::Interval(IntervalUnit::MonthDayNano),
        T::List(item(T::Int32)),
        T::LargeList(item(T::Utf8)),
        T::ListView(item(T::Int8)),
        T::LargeListView(item(T::Int8)),
        T::FixedSizeList(item(T::Float32), 3),
        T::Struct(vec![Field::new("x", T::Int8, false), Field::new("y", T::List(item(T::Utf8)), true)].into()),
        T::Struct(Vec::<Field>::new().into()),
        map_of(T::Utf8, T::Int32),
        T::Union(union.clone(), UnionMode::Sparse),
        T::Union(union, UnionMode::Dense),
    ];
    types.extend([
        T::Null,
        T::Boolean,
        T::Int8,
        T::Int16,
        T::Int32,
        T::Int64,
        T::UInt8,
        T::UInt16,
        T::UInt32,
        T::UInt64,
    ]);
    types.extend([T::Float16, T::Float32, T::Float64, T::Date32, T::Date64]);
    types.extend([T::Utf8, T::LargeUtf8, T::Utf8View, T::Binary, T::LargeBinary]);
    types
}

/// A table with a column of each type, and every part of a schema used.
fn full_table() -> TableSchema {
    let mut fields: Vec<Field> = all_types()
        .into_iter()
        .enumerate()
        .map(|(index, data_type)| Field::new(format!("c{index}"), data_type, true))
        .collect();
    fields[0] = fields[0].clone().with_metadata([("unit", "m"), ("about", "x")]);
    let options = KeyOptions { nullable_keys: true, float_keys: true, order_by: vec![] };
    let schema = Schema::new_with_metadata(fields, Metadata::from([("pandas", "{}"), ("a", "")]));
    TableSchema::new(&schema, &["c8", "c35"], &options).unwrap()
}

#[test]
fn a_keyed_table_has_its_key_not_null_and_room_for_deletes() {
    let table = table(&[("v", T::Float64, false), ("k", T::Int64, true)], &["k"]);
    assert_eq!((table.id(), table.key(), table.next_column_id()), (SchemaId(1), &[1][..], 3));
    assert!(table.is_keyed() && table.order_codec().is_none());
    assert_eq!(table.key_codec().fields().len(), 1);
    assert!(!table.user().field(1).is_nullable() && !table.user().field(0).is_nullable());
    let stored = table.stored();
    let names: Vec<&str> = stored.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["v", "k", "_seq", "_op"]);
    assert!(stored.field(0).is_nullable() && !stored.field(1).is_nullable());
    assert_eq!(stored.field(1).metadata()[FIELD_ID_METADATA], "2");
}

#[test]
fn an_append_only_table_has_an_order_or_none() {
    let fields = [("t", T::Int64, true), ("f", T::Float32, true)];
    let order_by = vec!["f".to_owned(), "t".to_owned()];
    let options = KeyOptions { order_by, ..KeyOptions::default() };
    let ordered = TableSchema::new(&schema(&fields), &[], &options).unwrap();
    assert_eq!((ordered.is_keyed(), ordered.order_by()), (false, &[1, 0][..]));
    assert_eq!(ordered.order_codec().unwrap().fields().len(), 2);
    let names: Vec<&str> = ordered.stored().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["t", "f", "_seq"]);
    assert!(table(&fields, &[]).order_codec().is_none());
    assert!(refusal(&fields, &["t"], &options).contains("takes no order_by"));
}

#[test]
fn what_no_table_can_have_is_refused_by_name() {
    let none = KeyOptions::default();
    let refused = |fields: &[(&str, T, bool)], key: &[&str], what: &str| {
        let message = refusal(fields, key, &none);
        assert!(message.contains(what), "{message}");
    };
    refused(&[], &[], "at least one column");
    refused(&[("", T::Int8, true)], &[], "is empty");
    refused(&[("a", T::Int8, true), ("a", T::Int8, true)], &[], "\"a\" is there twice");
    refused(&[("_seq", T::Int8, true)], &[], "\"_seq\" is kept");
    refused(&[("_op", T::Int8, true)], &[], "\"_op\" is kept");
    refused(&[("a\0b", T::Int8, true)], &[], "NUL");
    refused(&[("x".repeat(1025).as_str(), T::Int8, true)], &[], "too long");
    refused(&[("a", T::Int8, true)], &["b"], "\"b\", which does not exist");
    refused(&[("a", T::Int8, true)], &["a", "a"], "\"a\" twice");
    refused(&[("a", T::Float64, true)], &["a"], "float_keys");
    refused(&[("a", T::List(item(T::Int8)), true)], &["a"], "\"a\": a key cannot have the type");
    refused(&[("a", T::Time32(TimeUnit::Nanosecond), true)], &[], "\"a\": there is no type");
    refused(&[("a", T::Time64(TimeUnit::Second), true)], &[], "there is no type");
    refused(&[("a", T::Decimal128(39, 0), true)], &[], "there is no type");
    refused(&[("a", T::Decimal128(5, 6), true)], &[], "there is no type");
    refused(&[("a", T::Decimal32(0, 0), true)], &[], "there is no type");
    refused(&[("a", T::List(item(T::Decimal64(9, -128))), true)], &[], "there is no type");
    refused(&[("a", T::FixedSizeBinary(-1), true)], &[], "-1 bytes");
    refused(&[("a", T::FixedSizeList(item(T::Int8), -1), true)], &[], "-1 values");
    refused(&[("a", T::Map(item(T::Int8), false), true)], &[], "a map has entries");
    refused(&[("a", T::Dictionary(Box::new(T::Utf8), Box::new(T::Utf8)), true)], &[], "integer keys");
    let list = T::List(item(T::Int8));
    refused(&[("a", T::Dictionary(Box::new(T::Int8), Box::new(list)), true)], &[], "is not taken");
    let mut deep = T::Int8;
    (1..MAX_TYPE_DEPTH).for_each(|_| deep = T::List(item(deep.clone())));
    table(&[("a", deep.clone(), true)], &[]);
    refused(&[("a", T::List(item(deep)), true)], &[], "deeper");
    let many: Vec<Field> = (0..=MAX_FIELDS).map(|index| Field::new(index.to_string(), T::Int8, true)).collect();
    assert!(TableSchema::new(&Schema::new(many[1..].to_vec()), &[], &none).is_ok());
    assert!(TableSchema::new(&Schema::new(many), &[], &none).unwrap_err().message().contains("at most 16384 fields"));
    let long = Schema::new_with_metadata(vec![Field::new("a", T::Int8, true)], [("m", "x".repeat(9 << 20))]);
    assert!(TableSchema::new(&long, &[], &none).unwrap_err().message().contains("8 MiB"));
}

#[test]
fn a_schema_survives_its_encoding() {
    let tables = [
        full_table(),
        table(&[("k", T::Utf8, false)], &["k"]),
        TableSchema::new(
            &schema(&[("t", T::Int64, true)]),
            &[],
            &KeyOptions { order_by: vec!["t".into()], ..KeyOptions::default() },
        )
        .unwrap(),
    ];
    for table in tables {
        let mut bytes = Vec::new();
        table.encode(&mut bytes);
        let decoded = TableSchema::decode(&bytes).unwrap();
        assert_eq!((decoded.id(), decoded.columns(), decoded.key()), (table.id(), table.columns(), table.key()));
        assert_eq!((decoded.order_by(), decoded.next_column_id()), (table.order_by(), table.next_column_id()));
        assert_eq!((decoded.user(), decoded.stored()), (table.user(), table.stored()));
        assert_eq!(decoded.fingerprint(), table.fingerprint());
        for end in 0..bytes.len() {
            assert_eq!(TableSchema::decode(&bytes[..end]).unwrap_err().kind(), ErrorKind::Corruption);
        }
        bytes.push(0);
        assert_eq!(TableSchema::decode(&bytes).unwrap_err().kind(), ErrorKind::Corruption);
    }
}

#[test]
fn no_bytes_bring_the_decoder_down() {
    let mut bytes = Vec::new();
    full_table().encode(&mut bytes);
    for at in 0..bytes.len() {
        for change in [1, 2, 0x40, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            if let Ok(table) = TableSchema::decode(&changed) {
                let mut again = Vec::new();
                table.encode(&mut again);
                assert_eq!(again, changed);
            }
        }
    }
    // Lists within lists, on and on.
    let mut deep = vec![1, 1, 1, 2, 1, 1];
    (0..100_000).for_each(|_| deep.extend([1, b'a', 1, 31]));
    assert_eq!(TableSchema::decode(&deep).unwrap_err().kind(), ErrorKind::Corruption);
    let future = TableSchema::decode(&[2, 1, 0]).unwrap_err();
    assert_eq!(future.kind(), ErrorKind::NotSupported);
}

#[test]
fn the_documented_example_is_what_is_written_and_read() {
    let text = include_str!("FORMAT.md");
    let hex: Vec<u8> = text
        .lines()
        .skip_while(|line| !line.starts_with("```hex"))
        .skip(1)
        .take_while(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('#').next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let utc = T::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let table = table(&[("k", T::Int64, false), ("t", utc, true)], &["k"]);
    let mut bytes = Vec::new();
    table.encode(&mut bytes);
    assert_eq!(bytes, hex);
    assert_eq!(TableSchema::decode(&hex).unwrap().columns(), table.columns());
    let fingerprint = format!("Its fingerprint is {:#018x}.", table.fingerprint());
    assert!(text.contains(&fingerprint), "{fingerprint}");
}

#[test]
fn the_fingerprint_is_of_what_rows_mean() {
    let base = [("k", T::Int64, false), ("v", T::Utf8, true)];
    let fingerprint = |fields: &[(&str, T, bool)], key: &[&str]| table(fields, key).fingerprint();
    let original = fingerprint(&base, &["k"]);
    let noted = Schema::new_with_metadata(schema(&base).fields().to_vec(), [("note", "x")]);
    assert_eq!(TableSchema::new(&noted, &["k"], &KeyOptions::default()).unwrap().fingerprint(), original);
    let mut others = vec![
        fingerprint(&base, &[]),
        fingerprint(&[("k", T::Int32, false), ("v", T::Utf8, true)], &["k"]),
        fingerprint(&[("k", T::Int64, false), ("w", T::Utf8, true)], &["k"]),
        fingerprint(&[("k", T::Int64, false), ("v", T::Utf8, false)], &["k"]),
        fingerprint(&[("v", T::Utf8, true), ("k", T::Int64, false)], &["k"]),
        fingerprint(&base, &["k", "v"]),
        original,
    ];
    others.sort_unstable();
    others.dedup();
    assert_eq!(others.len(), 7);
}

mod batches;
mod changes;
mod malformed;
