//! Every kind of column comes back as it went in.

use super::*;
use arrow_array::builder::{FixedSizeListBuilder, Int32Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DurationSecondArray,
    FixedSizeBinaryArray, Float32Array, Int8Array, Int32Array, IntervalMonthDayNanoArray, LargeBinaryArray,
    LargeListArray, LargeStringArray, ListArray, NullArray, StringViewArray, StructArray, TimestampMicrosecondArray,
    UInt64Array, UnionArray,
};
use arrow_buffer::{IntervalMonthDayNano, i256};

/// A column of each kind, with nulls, of `rows` rows.
fn columns(rows: usize) -> Vec<ArrayRef> {
    let present = |row: &usize| !row.is_multiple_of(5);
    let some = |row: usize| present(&row).then_some(row);
    let text = |row: usize| some(row).map(|row| "long enough not to be inlined ".repeat(row % 3) + &row.to_string());
    let texts = || (0..rows).map(text);
    let mut list = ListBuilder::new(StringBuilder::new());
    let mut pairs = FixedSizeListBuilder::new(Int32Builder::new(), 2);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in 0..rows {
        for item in 0..row % 4 {
            list.values().append_option((item != 1).then(|| format!("{row}/{item}")));
            map.keys().append_value(format!("key {item}"));
            map.values().append_option(some(item).map(|item| item as i32));
        }
        list.append(present(&row));
        map.append(present(&row)).unwrap();
        pairs.values().append_value(row as i32);
        pairs.values().append_null();
        pairs.append(present(&row));
    }
    let numbers: ArrayRef = Arc::new(Int32Array::from_iter((0..rows).map(|row| some(row).map(|row| row as i32))));
    let names: ArrayRef = Arc::new(StringArray::from_iter(texts()));
    let inner = vec![Field::new("n", DataType::Int32, true), Field::new("s", DataType::Utf8, true)];
    let validity = arrow_buffer::NullBuffer::from_iter((0..rows).map(|row| present(&row)));
    let nested = StructArray::new(inner.into(), vec![numbers.clone(), names.clone()], Some(validity));
    let large = LargeListArray::from_iter_primitive::<Int32Type, _, _>(
        (0..rows).map(|row| some(row).map(|row| (0..row % 3).map(|item| Some(item as i32)).collect::<Vec<_>>())),
    );
    let union_fields =
        [(0, Arc::new(Field::new("a", DataType::Int32, true))), (5, Arc::new(Field::new("b", DataType::Utf8, true)))];
    let types: Vec<i8> = (0..rows).map(|row| if row.is_multiple_of(3) { 0 } else { 5 }).collect();
    let offsets: Vec<i32> = (0..rows as i32).collect();
    let union = |offsets: Option<Vec<i32>>| {
        let children = vec![numbers.clone(), names.clone()];
        let fields = union_fields.clone().into_iter().collect();
        UnionArray::try_new(fields, types.clone().into(), offsets.map(Into::into), children).unwrap()
    };
    vec![
        Arc::new(Int8Array::from_iter((0..rows).map(|row| some(row).map(|row| row as i8)))),
        Arc::new(UInt64Array::from_iter((0..rows).map(|row| some(row).map(|row| u64::MAX - row as u64)))),
        Arc::new(Float32Array::from_iter((0..rows).map(|row| some(row).map(|row| row as f32 / 3.0)))),
        Arc::new(BooleanArray::from_iter((0..rows).map(|row| some(row).map(|row| row.is_multiple_of(2))))),
        Arc::new(Decimal128Array::from_iter((0..rows).map(|row| some(row).map(|row| row as i128 - 9)))),
        Arc::new(Decimal256Array::from_iter((0..rows).map(|row| some(row).map(|row| i256::from_i128(row as i128))))),
        Arc::new(Date32Array::from_iter((0..rows).map(|row| some(row).map(|row| row as i32)))),
        Arc::new(
            TimestampMicrosecondArray::from_iter((0..rows).map(|row| some(row).map(|row| row as i64)))
                .with_timezone("UTC"),
        ),
        Arc::new(DurationSecondArray::from_iter((0..rows).map(|row| some(row).map(|row| row as i64)))),
        Arc::new(IntervalMonthDayNanoArray::from_iter(
            (0..rows).map(|row| some(row).map(|row| IntervalMonthDayNano::new(1, 2, row as i64))),
        )),
        names.clone(),
        Arc::new(LargeStringArray::from_iter(texts())),
        Arc::new(StringViewArray::from_iter(texts())),
        Arc::new(BinaryViewArray::from_iter(texts())),
        Arc::new(LargeBinaryArray::from_iter(texts())),
        Arc::new(
            FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                (0..rows).map(|row| some(row).map(|row| [row as u8; 3])),
                3,
            )
            .unwrap(),
        ),
        Arc::new(NullArray::new(rows)),
        Arc::new(list.finish()),
        Arc::new(large),
        Arc::new(pairs.finish()),
        Arc::new(map.finish()),
        Arc::new(nested),
        Arc::new(union(None)),
        Arc::new(union(Some(offsets))),
        Arc::new(ListArray::new_null(Arc::new(Field::new("item", DataType::Utf8, true)), rows)),
    ]
}

pub fn table(rows: usize) -> (Arc<TableSchema>, RowChunk) {
    let mut columns = columns(rows);
    let mut fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| Field::new(format!("c{index}"), column.data_type().clone(), true))
        .collect();
    columns.insert(3, Arc::new(Int64Array::from_iter_values(0..rows as i64)));
    fields.insert(3, Field::new("id", DataType::Int64, false));
    let schema = Arc::new(TableSchema::new(&Schema::new(fields), &["id"], &KeyOptions::default()).unwrap());
    let keys = schema.key_codec().encode(&columns[3..4]).unwrap();
    let batch = RecordBatch::try_new(schema.user().clone(), columns).unwrap();
    (schema, RowChunk { batch, keys: Some(keys), sequences: Sequences::Same(9), deletes: None })
}

#[test]
fn every_type_comes_back_from_every_codec() {
    let (schema, whole) = table(1000);
    for compression in COMPRESSIONS {
        let place = Place::new(schema.clone());
        // Slices at odd places, one of them of a single row: what is written is the slice, not its parent.
        let parts = [(0, 333), (333, 1), (334, 613)].map(|(offset, len)| whole.slice(offset, len));
        let summary = place.write(parts, options(compression)).unwrap();
        assert!(summary.size_bytes < 600_000, "{} bytes", summary.size_bytes);
        let reader = place.open(8 << 20).unwrap();
        let ids: Vec<u32> = schema.columns().iter().map(|column| column.id).collect();
        for access in [Access::Scan, Access::Cached] {
            let scan = RowFileScan { access, ..RowFileScan::of(ids.clone()) };
            let chunk = reader.scan(scan).unwrap().next_chunk().unwrap().unwrap();
            assert_eq!(chunk.len(), 947);
            for (found, wanted) in chunk.batch.columns().iter().zip(whole.batch.columns()) {
                assert_eq!(found, &wanted.slice(0, 947), "{}", wanted.data_type());
            }
            // Piece by piece: some rows at a time, and so few that pieces begin within a byte of validity.
            for held_bytes in [100_000, 10_000, 3_000] {
                let scan = RowFileScan { access, held_bytes, ..RowFileScan::of(ids.clone()) };
                let mut source = reader.scan(scan).unwrap();
                let (mut start, mut pieces) = (0, 0);
                while let Some(piece) = source.next_chunk().unwrap() {
                    for (found, wanted) in piece.batch.columns().iter().zip(whole.batch.columns()) {
                        assert_eq!(found, &wanted.slice(start, piece.len()), "{} {held_bytes}", wanted.data_type());
                    }
                    (start, pieces) = (start + piece.len(), pieces + 1);
                }
                assert!(start == 947 && pieces > 1, "{start} rows in {pieces} pieces of {held_bytes}");
            }
        }
        let RowLookup::Found(row) = reader.get(&key(&schema, 341), 9, &ids, Io::Allowed).unwrap() else {
            panic!("row 341")
        };
        for (found, wanted) in row.batch.columns().iter().zip(whole.batch.columns()) {
            assert_eq!(found, &wanted.slice(341, 1), "{}", wanted.data_type());
        }
        reader.verify().unwrap();
        let bytes = crate::env::read_file(&*place.env.files, &place.path(), 1 << 30).unwrap();
        let foreign = arrow_ipc::reader::FileReader::try_new(std::io::Cursor::new(&bytes), None).unwrap();
        assert_eq!(foreign.map(|batch| batch.unwrap().num_rows()).collect::<Vec<_>>(), [947]);
    }
}

#[test]
fn slices_of_large_parents_are_counted_and_written_as_themselves() {
    let rows = 10_000;
    let fields = vec![Field::new("id", DataType::Int64, false), Field::new("text", DataType::Utf8View, true)];
    let schema = Arc::new(TableSchema::new(&Schema::new(fields), &["id"], &KeyOptions::default()).unwrap());
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let texts: ArrayRef =
        Arc::new(StringViewArray::from_iter_values((0..rows).map(|row| format!("a text of twenty bytes {row}"))));
    let keys = schema.key_codec().encode(std::slice::from_ref(&ids)).unwrap();
    let batch = RecordBatch::try_new(schema.user().clone(), vec![ids, texts]).unwrap();
    let whole = RowChunk { batch, keys: Some(keys), sequences: Sequences::Same(1), deletes: None };
    let place = Place::new(schema);
    // Each slice pins 400 KB; together they would be beyond the bytes of a batch many times.
    let slices = (0..200).map(|row| whole.slice(row * 50, 2));
    let options = RowFileOptions { row_group_bytes: 1 << 17, ..options(Compression::None) };
    let summary = place.write(slices, options).unwrap();
    assert!(summary.size_bytes < 40_000, "{} bytes", summary.size_bytes);
    assert_eq!(place.open(0).unwrap().groups().len(), 1);
}
