//! Every layout of Arrow, whole and in slices, comes in as it went out.

use super::*;
use crate::arrow::export;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, IntervalMonthDayNano};
use arrow_array::*;
use arrow_buffer::{OffsetBuffer, ScalarBuffer, i256};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::{Fields, UnionFields};

/// Rows of each test array.
const ROWS: usize = 40;

fn is_there(row: usize) -> bool {
    row % 3 != 1
}

/// A nullable array of `ROWS` rows.
fn values<T, A: FromIterator<Option<T>> + Array + 'static>(value: impl Fn(usize) -> T) -> ArrayRef {
    Arc::new((0..ROWS).map(|row| is_there(row).then(|| value(row))).collect::<A>())
}

fn text(row: usize) -> String {
    // Long ones leave their views; empty ones have no bytes.
    "grape".repeat(row % 5 * (row % 2 + 1))
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Utf8, true))
}

fn nulls() -> Option<NullBuffer> {
    Some((0..ROWS).map(is_there).collect())
}

fn lists() -> Vec<ArrayRef> {
    let items = || values::<String, StringArray>(text);
    let lengths = || (0..ROWS).map(|row| row % 3);
    let sizes: Vec<i32> = lengths().map(|length| length as i32).collect();
    let starts: Vec<i32> = (0..ROWS).map(|row| (ROWS - 1 - row) as i32 / 2).collect();
    let wide = |numbers: &[i32]| numbers.iter().map(|number| i64::from(*number)).collect::<Vec<_>>();
    let entries =
        Fields::from(vec![Field::new("key", DataType::Int32, false), Field::new("value", DataType::Utf8, true)]);
    let keys: ArrayRef = Arc::new(Int32Array::from_iter_values(0..ROWS as i32));
    let pairs = StructArray::new(entries.clone(), vec![keys, items()], None);
    let entries = Arc::new(Field::new("entries", DataType::Struct(entries), false));
    vec![
        Arc::new(ListArray::new(item(), OffsetBuffer::from_lengths(lengths()), items(), nulls())),
        Arc::new(LargeListArray::new(item(), OffsetBuffer::from_lengths(lengths()), items(), nulls())),
        Arc::new(ListViewArray::new(item(), starts.clone().into(), sizes.clone().into(), items(), nulls())),
        Arc::new(LargeListViewArray::new(item(), wide(&starts).into(), wide(&sizes).into(), items(), nulls())),
        Arc::new(FixedSizeListArray::new(item(), 2, twice(&items()), nulls())),
        Arc::new(MapArray::new(entries, OffsetBuffer::from_lengths(lengths()), pairs, nulls(), false)),
    ]
}

fn twice(items: &ArrayRef) -> ArrayRef {
    arrow_select::concat::concat(&[items.as_ref(), items.as_ref()]).unwrap()
}

fn unions() -> Vec<ArrayRef> {
    let fields =
        [(3, Arc::new(Field::new("a", DataType::Utf8, true))), (7, Arc::new(Field::new("b", DataType::Int32, true)))];
    let fields: UnionFields = fields.into_iter().collect();
    let ids: ScalarBuffer<i8> = (0..ROWS).map(|row| if row % 4 == 0 { 7 } else { 3 }).collect();
    let offsets: ScalarBuffer<i32> = (0..ROWS as i32).map(|row| row / 2).collect();
    let children = || vec![values::<String, StringArray>(text), values::<i32, Int32Array>(|row| row as i32)];
    vec![
        Arc::new(UnionArray::try_new(fields.clone(), ids.clone(), None, children()).unwrap()),
        Arc::new(UnionArray::try_new(fields, ids, Some(offsets), children()).unwrap()),
    ]
}

fn arrays() -> Vec<ArrayRef> {
    let number = |row: usize| row as i64 * 1_000_003 - 7_000_000;
    let decimals = values::<i128, PrimitiveArray<Decimal128Type>>(|row| i128::from(number(row)) << 30);
    let wide = values::<i256, Decimal256Array>(|row| i256::from_i128(i128::from(number(row))));
    let fixed = (0..ROWS).map(|row| is_there(row).then_some([row as u8; 5]));
    let run_ends = Int32Array::from(vec![7, 8, 30, 40]);
    let words: DictionaryArray<Int32Type> =
        (0..ROWS).map(|row| is_there(row).then(|| ["red", "green", "blue"][row % 3])).collect();
    let inner = Fields::from(vec![Field::new("x", DataType::Utf8, true), Field::new("y", DataType::Boolean, true)]);
    let parts = vec![values::<String, StringArray>(text), values::<bool, BooleanArray>(|row| row % 5 == 0)];
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(NullArray::new(ROWS)),
        values::<bool, BooleanArray>(|row| row % 2 == 0),
        values::<i8, Int8Array>(|row| row as i8),
        values::<u16, UInt16Array>(|row| row as u16),
        values::<f64, Float64Array>(|row| row as f64 / 7.0),
        values::<i64, TimestampMillisecondArray>(number),
        values::<IntervalMonthDayNano, IntervalMonthDayNanoArray>(|row| IntervalMonthDayNano::new(row as i32, 2, 3)),
        decimals,
        wide,
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed, 5).unwrap()),
        values::<String, StringArray>(text),
        values::<String, LargeStringArray>(text),
        values::<String, StringViewArray>(text),
        values::<Vec<u8>, BinaryArray>(|row| text(row).into_bytes()),
        values::<Vec<u8>, LargeBinaryArray>(|row| text(row).into_bytes()),
        values::<Vec<u8>, BinaryViewArray>(|row| text(row).into_bytes()),
        Arc::new(StructArray::new(inner, parts, nulls())),
        Arc::new(words),
        Arc::new(
            RunArray::try_new(&run_ends, &StringArray::from(vec![Some("a"), None, Some("c"), Some("d")])).unwrap(),
        ),
    ];
    arrays.extend(lists());
    arrays.extend(unions());
    arrays
}

fn exported(array: &ArrayRef) -> Moved<ArrowArray> {
    let exported = FFI_ArrowArray::new(&array.to_data());
    // SAFETY: both structs are laid out as the specification says; ownership goes along.
    let mut exported = unsafe { std::mem::transmute::<FFI_ArrowArray, ArrowArray>(exported) };
    arrow_abi::take(&raw mut exported)
}

#[test]
fn every_layout_comes_in_as_it_went_out() {
    for whole in arrays() {
        for (start, len) in [(0, ROWS), (0, 0), (3, 11), (9, 31), (ROWS, 0), (16, 8), (39, 1)] {
            let part = whole.slice(start, len);
            let field = Field::new("c", part.data_type().clone(), true);
            let given = array(exported(&part), &field, "part");
            let given = given.unwrap_or_else(|error| panic!("{} from {start}, {len} rows: {error}", part.data_type()));
            assert_eq!(&given, &part, "{} from {start}, {len} rows", part.data_type());
        }
    }
}

#[test]
fn batches_keep_their_columns_also_when_the_struct_itself_is_a_slice() {
    let columns = arrays();
    let name = |(index, column): (usize, &ArrayRef)| Field::new(format!("c{index}"), column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().enumerate().map(name).collect::<Vec<_>>());
    let whole = RecordBatch::try_new(Arc::new(schema.clone()), columns).unwrap();
    for (start, len) in [(0, ROWS), (5, 17), (33, 7)] {
        // As a producer that leaves the children whole has it: an offset in the struct alone.
        let mut sliced = export::batch(whole.clone());
        sliced.offset = start as i64;
        sliced.length = len as i64;
        let given = batch(arrow_abi::take(&raw mut sliced), &schema, "rows").unwrap();
        assert_eq!(given, whole.slice(start, len));
        assert!(sliced.release.is_none());
        let mut sliced = export::batch(whole.slice(start, len));
        let mut columns = export::schema(&schema).unwrap();
        let columns = super::schema(arrow_abi::take(&raw mut columns), "schema").unwrap();
        assert_eq!(columns, schema);
        let given = batch(arrow_abi::take(&raw mut sliced), &columns, "rows").unwrap();
        assert_eq!(given, whole.slice(start, len));
    }
}

#[test]
fn what_comes_in_is_no_larger_than_what_it_shows() {
    let long: ArrayRef = Arc::new(StringArray::from_iter_values((0..1000).map(|row| format!("{row:0100}"))));
    let part = array(exported(&long.slice(500, 2)), &Field::new("c", DataType::Utf8, true), "part").unwrap();
    assert_eq!(part.as_string::<i32>().value(1), format!("{:0100}", 501));
    assert!(part.get_buffer_memory_size() < 300, "{} bytes", part.get_buffer_memory_size());
}
