//! Batches of every type through the log's bytes and back, and bytes that nobody wrote.

use super::*;
use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::*;
use arrow_schema::{Field, Fields, UnionFields};
use std::sync::Arc;

/// Five rows of many types.
fn wide_batch() -> RecordBatch {
    let nulls = vec![Some(1), None, Some(3), Some(4), None];
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in 0..5 {
        (0..row).for_each(|at| {
            map.keys().append_value(format!("key {at}"));
            map.values().append_value(at);
        });
        map.append(row != 3).unwrap();
    }
    let mut views = ListBuilder::new(StringBuilder::new());
    for row in 0..5 {
        (0..row % 3).for_each(|at| views.values().append_value("x".repeat(at)));
        views.append(row != 1);
    }
    let pair = StructArray::new(
        Fields::from(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Boolean, false)]),
        vec![
            Arc::new(Int32Array::from(nulls.clone())) as ArrayRef,
            Arc::new(BooleanArray::from(vec![true, false, true, true, false])),
        ],
        None,
    );
    let union_fields =
        UnionFields::try_new([0, 1], [Field::new("i", DataType::Int32, true), Field::new("s", DataType::Utf8, true)]);
    let union = UnionArray::try_new(
        union_fields.unwrap(),
        vec![0i8, 1, 0, 1, 0].into(),
        Some(vec![0i32, 0, 1, 1, 2].into()),
        vec![Arc::new(Int32Array::from(vec![1, 2, 3])), Arc::new(StringArray::from(vec!["p", "q"]))],
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5]))),
        ("number", Arc::new(Int32Array::from(nulls))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true), None]))),
        ("text", Arc::new(StringArray::from(vec![Some("a"), None, Some(""), Some("bcd"), Some("e")]))),
        ("large", Arc::new(LargeBinaryArray::from_vec(vec![b"a", b"", b"bcd", b"ef", b"g"]))),
        (
            "view",
            Arc::new(StringViewArray::from(vec!["short", "longer than twelve bytes", "", "x", "another long one"])),
        ),
        (
            "fixed",
            Arc::new(FixedSizeBinaryArray::try_from_iter([[1u8; 3], [2; 3], [3; 3], [4; 3], [5; 3]].iter()).unwrap()),
        ),
        ("decimal", Arc::new(Decimal128Array::from(vec![1, 2, 3, 4, 5]))),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>((0..5).map(|row| Some(vec![Some(row); 2])))),
        ),
        ("texts", Arc::new(views.finish())),
        (
            "pairs",
            Arc::new(FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
                (0..5).map(|row| Some(vec![Some(row); 2])),
                2,
            )),
        ),
        ("map", Arc::new(map.finish())),
        ("struct", Arc::new(pair)),
        ("union", Arc::new(union.unwrap())),
        ("nothing", Arc::new(NullArray::new(5))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn encoded(batch: &RecordBatch) -> Vec<u8> {
    encode(batch).unwrap().iter().flat_map(|piece| piece.iter()).copied().collect()
}

/// The bytes at an address that is `offset` beyond a multiple of 64.
fn placed(bytes: &[u8], offset: usize) -> Buffer {
    let mut buffer = MutableBuffer::with_capacity(bytes.len() + offset);
    buffer.extend_zeros(offset);
    buffer.extend_from_slice(bytes);
    Buffer::from(buffer).slice(offset)
}

#[test]
fn batches_of_every_type_come_back() {
    let batch = wide_batch();
    for batch in [batch.clone(), batch.slice(1, 3), batch.slice(2, 0)] {
        let bytes = encoded(&batch);
        for offset in [0, 64, 8, 1] {
            assert_eq!(decode(batch.schema(), &placed(&bytes, offset)).unwrap(), batch, "at {offset}");
        }
    }
}

#[test]
fn aligned_bytes_are_not_copied() {
    let batch = wide_batch();
    let bytes = placed(&encoded(&batch), 0);
    let within = |decoded: &RecordBatch| {
        let values = decoded.column(0).to_data().buffers()[0].as_ptr().addr();
        assert_eq!(values % 8, 0);
        (bytes.as_ptr().addr()..bytes.as_ptr().addr() + bytes.len()).contains(&values)
    };
    assert!(within(&decode(batch.schema(), &bytes).unwrap()));
}

#[test]
fn values_lie_at_multiples_of_64() {
    let bytes = encoded(&wide_batch());
    let metadata_len = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    assert_eq!((8 + metadata_len) % 64, 0);
    let message = root_as_message(&bytes[8..8 + metadata_len]).unwrap();
    let header = message.header_as_record_batch().unwrap();
    assert!(header.buffers().unwrap().iter().all(|buffer| buffer.offset() % 64 == 0));
}

#[test]
fn bytes_that_nobody_wrote_are_refused_or_harmless() {
    let batch = wide_batch();
    let good = encoded(&batch);
    let refused = |bytes: &[u8]| {
        let error = decode(batch.schema(), &placed(bytes, 0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corruption);
    };
    (0..good.len()).step_by(3).for_each(|len| refused(&good[..len]));
    let longer: Vec<u8> = good.iter().copied().chain([0; 64]).collect();
    refused(&longer);
    let mut seed = 1u64;
    let mut below = |limit: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as usize % limit
    };
    let metadata_end = 8 + u32::from_le_bytes(good[4..8].try_into().unwrap()) as usize;
    for round in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + below(3) {
            // Lengths, offsets and types are in the metadata: most changes go there.
            let at = if round % 4 == 0 { below(bytes.len()) } else { below(metadata_end) };
            match below(3) {
                0 => bytes[at] ^= 1 << below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
                _ => bytes[at..].iter_mut().take(8).for_each(|byte| *byte = 0xff),
            }
        }
        // What passes must be whole: everything in it can be read.
        if let Ok(decoded) = decode(batch.schema(), &placed(&bytes, 0)) {
            decoded.columns().iter().for_each(|column| column.to_data().validate_full().unwrap());
        }
    }
}

#[test]
fn a_batch_of_other_columns_is_refused() {
    let batch = wide_batch();
    let bytes = placed(&encoded(&batch), 0);
    let fewer = batch.project(&[0, 1]).unwrap();
    assert!(decode(fewer.schema(), &bytes).is_err());
    assert!(decode(batch.schema(), &placed(&encoded(&fewer), 0)).is_err());
    // A null where there may be none.
    let strict = Schema::new(vec![Field::new("number", DataType::Int32, false)]);
    let nulls = batch.project(&[1]).unwrap();
    assert!(decode(strict.into(), &placed(&encoded(&nulls), 0)).is_err());
}

#[test]
fn compressed_batches_are_refused() {
    use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, write_message};
    let batch = wide_batch().project(&[3]).unwrap();
    let options = IpcWriteOptions::default();
    let options = options.try_with_compression(Some(arrow_ipc::CompressionType::LZ4_FRAME)).unwrap();
    let mut tracker = DictionaryTracker::new(true);
    let (_, data) =
        IpcDataGenerator::default().encode(&batch, &mut tracker, &options, &mut Default::default()).unwrap();
    let mut bytes = Vec::new();
    write_message(&mut bytes, data, &options).unwrap();
    assert!(decode(batch.schema(), &placed(&bytes, 0)).unwrap_err().message().contains("compressed"));
}

#[test]
fn the_example_of_the_format_is_read_and_its_body_is_what_is_written() {
    let hex: Vec<u8> = include_str!("../FORMAT.md")
        .lines()
        .skip_while(|line| *line != "```hex")
        .skip(1)
        .take_while(|line| *line != "```")
        .flat_map(|line| line.split('#').next().unwrap_or("").split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("name", Arc::new(StringArray::from(vec![Some("cat"), None]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    assert_eq!(decode(batch.schema(), &placed(&hex, 0)).unwrap(), batch);
    assert_eq!(encoded(&batch)[256..], hex[256..], "the layout of the metadata is Arrow's affair, the body's is ours");
}

#[test]
fn a_message_does_not_depend_on_those_that_its_thread_encoded_before() {
    let batch = |values: Vec<i64>| {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
        RecordBatch::try_new(schema.into(), vec![std::sync::Arc::new(arrow_array::Int64Array::from(values))]).unwrap()
    };
    let of = move |values: Vec<i64>| encoded(&batch(values));
    let first = of(vec![1, 2, 3]);
    of((0..10_000).collect());
    assert_eq!(of(vec![1, 2, 3]), first);
    assert_eq!(std::thread::spawn(move || of(vec![1, 2, 3])).join().unwrap(), first);
    let decoded = decode(batch(vec![1]).schema(), &Buffer::from_vec(first)).unwrap();
    assert_eq!(decoded, batch(vec![1, 2, 3]));
}
