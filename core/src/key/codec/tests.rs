//! The order of encoded keys against an order computed from the values, both ways; and the bytes themselves.

use super::*;
use crate::error::ErrorKind;
use crate::key::MAX_KEY_BYTES;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::i256;
use arrow_schema::{DataType as T, TimeUnit};
use std::cmp::Ordering;
use std::sync::Arc;

/// A small generator: the same numbers from the same seed, for ever.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Small, extreme and arbitrary numbers, so that columns have ties, ends and everything between.
    fn integer(&mut self) -> i128 {
        match self.below(5) {
            0 => i128::from(self.below(3)) - 1,
            1 => [i128::MIN, i128::MAX, -1, 0, i128::from(i64::MIN), i128::from(i64::MAX)][self.below(6) as usize],
            2 => (1i128 << self.below(127)).wrapping_neg(),
            _ => i128::from(self.next() as i64) << self.below(64),
        }
    }

    /// Strings that share beginnings and hold the bytes that are escaped.
    fn bytes(&mut self) -> Vec<u8> {
        let len = [0, 1, 2, 3, 4, 12, 13, 40][self.below(8) as usize];
        (0..len).map(|_| [0, 0, 1, 1, 2, b'a', 0x7f, 0xff][self.below(8) as usize]).collect()
    }

    fn string(&mut self) -> String {
        let len = [0, 1, 2, 3, 5, 13, 30][self.below(7) as usize];
        (0..len).map(|_| ['\0', '\u{1}', '\u{2}', 'a', 'b', 'é', '\u{10ffff}'][self.below(7) as usize]).collect()
    }

    fn double(&mut self) -> f64 {
        match self.below(4) {
            0 => [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY][self.below(4) as usize],
            1 => [0.0, -0.0, f64::MIN_POSITIVE, -f64::MIN_POSITIVE, f64::MAX, f64::MIN][self.below(6) as usize],
            2 => self.below(5) as f64 - 2.0,
            _ => f64::from_bits(self.next()),
        }
    }
}

/// Every type that a key may have.
fn types() -> Vec<T> {
    let zone = Some("Europe/Berlin".into());
    vec![
        T::Boolean,
        T::Int8,
        T::Int16,
        T::Int32,
        T::Int64,
        T::UInt8,
        T::UInt16,
        T::UInt32,
        T::UInt64,
        T::Float16,
        T::Float32,
        T::Float64,
        T::Decimal32(9, 2),
        T::Decimal64(18, 3),
        T::Decimal128(38, 10),
        T::Decimal256(76, 10),
        T::Date32,
        T::Date64,
        T::Time32(TimeUnit::Second),
        T::Time32(TimeUnit::Millisecond),
        T::Time64(TimeUnit::Microsecond),
        T::Time64(TimeUnit::Nanosecond),
        T::Timestamp(TimeUnit::Second, None),
        T::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        T::Timestamp(TimeUnit::Microsecond, zone),
        T::Timestamp(TimeUnit::Nanosecond, None),
        T::Utf8,
        T::LargeUtf8,
        T::Utf8View,
        T::Binary,
        T::LargeBinary,
        T::BinaryView,
        T::FixedSizeBinary(3),
        T::FixedSizeBinary(20),
    ]
}

/// A random column; `nulls` of ten rows are null.
fn column(data_type: &T, rows: usize, nulls: u64, numbers: &mut Numbers) -> ArrayRef {
    let mut values = Vec::new();
    for _ in 0..rows {
        values.push(if numbers.below(10) < nulls { None } else { Some(()) });
    }
    macro_rules! of {
        ($array:ty, $value:expr) => {
            Arc::new(values.iter().map(|value| value.map(|()| $value)).collect::<$array>())
        };
    }
    macro_rules! integers {
        ($arrow:ty) => {
            Arc::new(
                of!(PrimitiveArray<$arrow>, numbers.integer() as <$arrow as ArrowPrimitiveType>::Native)
                    .as_ref()
                    .clone()
                    .with_data_type(data_type.clone()),
            )
        };
    }
    match data_type {
        T::Boolean => of!(BooleanArray, numbers.below(2) == 1),
        T::Int8 => integers!(Int8Type),
        T::Int16 => integers!(Int16Type),
        T::Int32 => integers!(Int32Type),
        T::Int64 => integers!(Int64Type),
        T::UInt8 => integers!(UInt8Type),
        T::UInt16 => integers!(UInt16Type),
        T::UInt32 => integers!(UInt32Type),
        T::UInt64 => integers!(UInt64Type),
        T::Float16 => {
            let bits = of!(UInt16Array, numbers.next() as u16).to_data().into_builder().data_type(T::Float16);
            make_array(bits.build().unwrap())
        }
        T::Float32 => of!(Float32Array, numbers.double() as f32),
        T::Float64 => of!(Float64Array, numbers.double()),
        T::Decimal32(..) => integers!(Decimal32Type),
        T::Decimal64(..) => integers!(Decimal64Type),
        T::Decimal128(..) => integers!(Decimal128Type),
        T::Decimal256(..) => Arc::new(
            values
                .iter()
                .map(|value| value.map(|()| i256::from_parts(numbers.next().into(), numbers.integer())))
                .collect::<PrimitiveArray<Decimal256Type>>()
                .with_data_type(data_type.clone()),
        ),
        T::Date32 => integers!(Date32Type),
        T::Date64 => integers!(Date64Type),
        T::Time32(TimeUnit::Second) => integers!(Time32SecondType),
        T::Time32(_) => integers!(Time32MillisecondType),
        T::Time64(TimeUnit::Microsecond) => integers!(Time64MicrosecondType),
        T::Time64(_) => integers!(Time64NanosecondType),
        T::Timestamp(TimeUnit::Second, _) => integers!(TimestampSecondType),
        T::Timestamp(TimeUnit::Millisecond, _) => integers!(TimestampMillisecondType),
        T::Timestamp(TimeUnit::Microsecond, _) => integers!(TimestampMicrosecondType),
        T::Timestamp(TimeUnit::Nanosecond, _) => integers!(TimestampNanosecondType),
        T::Utf8 => of!(StringArray, numbers.string()),
        T::LargeUtf8 => of!(LargeStringArray, numbers.string()),
        T::Utf8View => of!(StringViewArray, numbers.string()),
        T::Binary => of!(BinaryArray, numbers.bytes()),
        T::LargeBinary => of!(LargeBinaryArray, numbers.bytes()),
        T::BinaryView => of!(BinaryViewArray, numbers.bytes()),
        T::FixedSizeBinary(width) => {
            let some = |numbers: &mut Numbers| {
                let mut bytes = numbers.bytes();
                bytes.resize(*width as usize, 0);
                bytes
            };
            let all: Vec<Option<Vec<u8>>> = values.iter().map(|value| value.map(|()| some(numbers))).collect();
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(all.into_iter(), *width).unwrap())
        }
        other => panic!("{other}"),
    }
}

/// The order of two values by Arrow's own reading of them, nulls first.
fn compare_values(column: &ArrayRef, a: usize, b: usize) -> Ordering {
    let options = arrow_schema::SortOptions { descending: false, nulls_first: true };
    arrow_ord::ord::make_comparator(column, column, options).unwrap()(a, b)
}

fn compare_rows(columns: &[ArrayRef], a: usize, b: usize) -> Ordering {
    columns.iter().map(|column| compare_values(column, a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn codec(columns: &[ArrayRef], nullable: &[bool]) -> KeyCodec {
    let fields = columns.iter().zip(nullable);
    let fields = fields.map(|(column, &nullable)| KeyField { data_type: column.data_type().clone(), nullable });
    KeyCodec::new(fields.collect()).unwrap()
}

fn key_of(keys: &KeyRows, row: usize) -> Vec<u8> {
    keys.bytes(row, &mut [0; 8]).to_vec()
}

/// Order, and there and back, for all pairs of rows.
fn check(columns: &[ArrayRef], nullable: &[bool]) {
    let codec = codec(columns, nullable);
    let keys = codec.encode(columns).unwrap();
    assert_eq!(keys.len(), columns[0].len());
    for a in 0..keys.len() {
        for b in 0..keys.len() {
            let expected = compare_rows(columns, a, b);
            assert_eq!(keys.compare(a, &keys, b), expected, "{codec:?} {a} {b}");
        }
        let key = key_of(&keys, a);
        let row: Vec<ArrayRef> = columns.iter().map(|column| column.slice(a, 1)).collect();
        assert_eq!(codec.decode(&key).unwrap(), row, "{codec:?}");
        assert_eq!(codec.encode_prefix(&row).unwrap(), key);
        for count in 0..columns.len() {
            let prefix = codec.encode_prefix(&row[..count]).unwrap();
            for b in 0..keys.len() {
                let shares = compare_rows(&columns[..count], a, b).is_eq();
                assert_eq!(key_of(&keys, b).starts_with(&prefix), shares, "{codec:?} {a} {b} {count}");
            }
        }
    }
}

#[test]
fn every_type_alone_orders_as_its_values_do() {
    let mut numbers = Numbers(1);
    for data_type in types() {
        for nulls in [0, 3] {
            let values = column(&data_type, 60, nulls, &mut numbers);
            check(std::slice::from_ref(&values), &[nulls > 0]);
            // A column that has an offset in its buffers.
            check(&[values.slice(7, 40)], &[nulls > 0]);
            check(&[values.slice(3, 0)], &[nulls > 0]);
        }
    }
}

#[test]
fn random_composite_keys_order_as_their_rows_do() {
    let mut numbers = Numbers(2);
    let types = types();
    for _ in 0..150 {
        let count = 2 + numbers.below(3) as usize;
        let nullable: Vec<bool> = (0..count).map(|_| numbers.below(2) == 1).collect();
        let columns: Vec<ArrayRef> = nullable
            .iter()
            .map(|&nullable| {
                let data_type = &types[numbers.below(types.len() as u64) as usize];
                // Few distinct values, so that later columns decide.
                let values = column(data_type, 4, if nullable { 3 } else { 0 }, &mut numbers);
                let rows: UInt32Array = (0..24).map(|_| Some(numbers.below(4) as u32)).collect();
                arrow_select::take::take(&values, &rows, None).unwrap()
            })
            .collect();
        check(&columns, &nullable);
    }
}

#[test]
fn numbers_order_by_value_and_floats_in_total_order() {
    let ascending: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN, -256, -1, 0, 1, 255, 256, i64::MAX]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![
        -f64::NAN,
        f64::NEG_INFINITY,
        -1.0,
        -f64::MIN_POSITIVE,
        -0.0,
        0.0,
        1e-300,
        1.0,
        f64::INFINITY,
        f64::NAN,
    ]));
    let bytes: [&[u8]; 8] = [b"", b"\0", b"\0\0", b"\0\x01", b"\x01", b"\x01\0", b"\x02", b"\xff"];
    let strings: ArrayRef = Arc::new(BinaryArray::from_iter_values(bytes));
    for column in [ascending, floats, strings] {
        let tail: ArrayRef = Arc::new(Int8Array::from(vec![0i8; column.len()]));
        for columns in [vec![column.clone()], vec![column, tail]] {
            let keys = codec(&columns, &[false, false]).encode(&columns).unwrap();
            for row in 1..keys.len() {
                assert_eq!(keys.compare(row - 1, &keys, row), Ordering::Less, "{} {row}", columns[0].data_type());
            }
        }
    }
}

#[test]
fn a_column_of_strings_lends_its_memory() {
    let strings = StringArray::from(vec!["b", "a", "", "cc"]);
    let bytes = strings.values().as_ptr();
    let column: ArrayRef = Arc::new(strings.slice(1, 3));
    let keys = codec(std::slice::from_ref(&column), &[false]).encode(&[column]).unwrap();
    let KeyRows::Bytes { data, .. } = &keys else { panic!("{keys:?}") };
    assert_eq!(data.as_ptr(), bytes);
    assert_eq!((0..3).map(|row| key_of(&keys, row)).collect::<Vec<_>>(), [&b"a"[..], b"", b"cc"]);
}

#[test]
fn the_form_depends_on_the_codec_alone() {
    let form = |fields: &[(T, bool)]| {
        let fields =
            fields.iter().map(|(data_type, nullable)| KeyField { data_type: data_type.clone(), nullable: *nullable });
        KeyCodec::new(fields.collect()).unwrap().form
    };
    assert_eq!(form(&[(T::Int64, false)]), Form::Heads(8));
    assert_eq!(form(&[(T::FixedSizeBinary(5), false)]), Form::Heads(5));
    assert_eq!(form(&[(T::Utf8, false)]), Form::Shared);
    for fields in [
        &[(T::Int64, true)][..],
        &[(T::Utf8, true)],
        &[(T::Decimal128(9, 2), false)],
        &[(T::Int8, false), (T::Int8, false)],
    ] {
        assert_eq!(form(fields), Form::Encoded);
    }
    let empty: ArrayRef = Arc::new(Int32Array::from(Vec::<i32>::new()));
    assert!(matches!(
        codec(std::slice::from_ref(&empty), &[false]).encode(&[empty]).unwrap(),
        KeyRows::Fixed { width: 4, .. }
    ));
}

#[test]
fn the_beginning_of_a_string_finds_all_that_begin_so() {
    let words = ["", "a", "a\0", "ab", "a\u{1}c", "b"];
    let first: ArrayRef = Arc::new(StringArray::from(words.to_vec()));
    let second: ArrayRef = Arc::new(Int32Array::from(vec![5; words.len()]));
    for columns in [vec![first.clone()], vec![first.clone(), second.clone()], vec![second, first]] {
        let codec = codec(&columns, &[false, false]);
        let keys = codec.encode(&columns).unwrap();
        for (at, word) in words.iter().enumerate() {
            let count = columns.iter().position(|column| column.data_type() == &T::Utf8).unwrap() + 1;
            let row: Vec<ArrayRef> = columns[..count].iter().map(|column| column.slice(at, 1)).collect();
            let prefix = codec.encode_starting_with(&row).unwrap();
            for (row, other) in words.iter().enumerate() {
                assert_eq!(key_of(&keys, row).starts_with(&prefix), other.starts_with(word), "{word:?} {other:?}");
            }
        }
    }
    let number: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    assert!(codec(std::slice::from_ref(&number), &[false]).encode_starting_with(&[number]).is_err());
}

#[test]
fn wrong_columns_are_refused_with_their_place() {
    let message = |columns: &[ArrayRef]| {
        let fields = [T::Int64, T::Utf8].map(|data_type| KeyField { data_type, nullable: false });
        KeyCodec::new(fields.to_vec()).unwrap().encode(columns).unwrap_err().message().to_owned()
    };
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let strings: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("b"), None]));
    assert_eq!(message(&[numbers.clone(), strings.clone()]), "key column 1 is null in row 2");
    assert!(message(std::slice::from_ref(&numbers)).contains("2 columns was given 1"));
    assert!(message(&[strings.clone(), numbers.clone()]).contains("type Int64, not Utf8"));
    assert!(message(&[numbers.clone(), strings.slice(0, 2)]).contains("has 2 rows, the first one 3"));
    let long = "x".repeat(MAX_KEY_BYTES - 7);
    let strings: ArrayRef = Arc::new(StringArray::from(vec!["", long.as_str(), ""]));
    assert!(message(&[numbers, strings.clone()]).contains("row 1 is longer"));
    let alone = codec(std::slice::from_ref(&strings), &[false]);
    assert!(alone.encode(&[strings]).is_ok());
    let long: ArrayRef = Arc::new(StringArray::from(vec![long.clone() + "12345678"]));
    assert!(alone.encode(&[long]).unwrap_err().message().contains("row 0 is longer"));
}

#[test]
fn types_without_an_order_are_refused() {
    assert!(KeyCodec::new(vec![]).is_err());
    let item = || Arc::new(arrow_schema::Field::new("item", T::Int8, true));
    for data_type in [
        T::Null,
        T::List(item()),
        T::Struct(vec![item()].into()),
        T::Dictionary(Box::new(T::Int8), Box::new(T::Utf8)),
        T::Duration(TimeUnit::Second),
        T::FixedSizeBinary(0),
        T::FixedSizeBinary(MAX_KEY_BYTES as i32 + 1),
    ] {
        assert!(KeyCodec::new(vec![KeyField { data_type, nullable: false }]).is_err());
    }
}

/// The hex blocks of FORMAT.md, in order.
fn examples() -> Vec<Vec<u8>> {
    let text = include_str!("FORMAT.md");
    let blocks = text.split("```hex\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks
        .map(|block| {
            let lines = block.lines().map(|line| line.split('#').next().unwrap());
            lines.flat_map(str::split_whitespace).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
        })
        .collect()
}

#[test]
fn the_documented_examples_are_what_is_written_and_read() {
    let examples = examples();
    assert_eq!(examples.len(), 4);
    let first: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![-2])), Arc::new(StringArray::from(vec!["cat"]))];
    let second: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![Some("a"), None])),
        Arc::new(BooleanArray::from(vec![true, false])),
        Arc::new(Float64Array::from(vec![-1.5, 2.0])),
        Arc::new(BinaryArray::from_iter_values([&[0u8, 1][..], &[]])),
    ];
    let third: Vec<ArrayRef> =
        vec![Arc::new(BinaryArray::from_iter_values([[0u8, 0x62, 1]])), Arc::new(UInt16Array::from(vec![258]))];
    let mut at = examples.iter();
    for (columns, nullable) in
        [(first, &[false, false][..]), (second, &[true, false, false, false]), (third, &[false, false])]
    {
        let codec = codec(&columns, nullable);
        let keys = codec.encode(&columns).unwrap();
        for row in 0..keys.len() {
            let example = at.next().unwrap();
            assert_eq!(&key_of(&keys, row), example);
            let values: Vec<ArrayRef> = columns.iter().map(|column| column.slice(row, 1)).collect();
            assert_eq!(codec.decode(example).unwrap(), values);
        }
    }
}

#[test]
fn bytes_that_no_row_encodes_to_are_refused() {
    let refused = |fields: &[(T, bool)], key: &[u8]| {
        let fields =
            fields.iter().map(|(data_type, nullable)| KeyField { data_type: data_type.clone(), nullable: *nullable });
        let error = KeyCodec::new(fields.collect()).unwrap().decode(key).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
    };
    refused(&[(T::Int64, false)], &[0; 7]);
    refused(&[(T::Int64, false)], &[0; 9]);
    refused(&[(T::Int64, true)], &[2, 0, 0, 0, 0, 0, 0, 0, 0]);
    refused(&[(T::Int64, true)], &[]);
    refused(&[(T::Boolean, false)], &[2]);
    refused(&[(T::Utf8, false)], &[0xff]);
    refused(&[(T::Utf8View, false)], &[0xc3; 20]);
    refused(&[(T::LargeUtf8, false), (T::Int8, false)], &[0xff, 0, 1]);
    refused(&[(T::Binary, false), (T::Int8, false)], b"abc");
    refused(&[(T::Binary, false), (T::Int8, false)], &[1, 3, 0, 0]);
    refused(&[(T::Binary, false), (T::Int8, false)], &[1]);
    refused(&[(T::Binary, false)], &vec![0; MAX_KEY_BYTES + 1]);
}

#[test]
fn any_bytes_decode_to_what_encodes_to_them_or_not_at_all() {
    let mut numbers = Numbers(3);
    let types = types();
    for _ in 0..4000 {
        let fields = (0..1 + numbers.below(3)).map(|_| KeyField {
            data_type: types[numbers.below(types.len() as u64) as usize].clone(),
            nullable: numbers.below(2) == 1,
        });
        let codec = KeyCodec::new(fields.collect()).unwrap();
        let key: Vec<u8> = (0..numbers.below(30)).map(|_| numbers.below(4) as u8 * 50).collect();
        if let Ok(columns) = codec.decode(&key) {
            assert_eq!(key_of(&codec.encode(&columns).unwrap(), 0), key, "{codec:?}");
        }
    }
}
