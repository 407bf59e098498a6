//! Stretches of chunks with columns of many types, put together.

use super::*;
use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{BooleanArray, Int64Array, ListArray, NullArray, StringArray, StructArray};
use arrow_schema::{DataType, Field, Fields};

/// Rows `from` up to `to` of an endless table with many types.
fn chunk(from: i64, to: i64, fixed_keys: bool) -> RowChunk {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in from..to {
        (0..row % 4).for_each(|at| lists.values().append_value(format!("{row}.{at}")));
        lists.append(row % 5 != 0);
    }
    let number = Arc::new(Int64Array::from_iter((from..to).map(|row| (row % 3 != 0).then_some(row)))) as ArrayRef;
    let pair = StructArray::new(
        Fields::from(vec![Field::new("number", DataType::Int64, true)]),
        vec![number.clone()],
        Some((from..to).map(|row| row % 7 != 0).collect::<Vec<bool>>().into()),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("number", number),
        ("flag", Arc::new(BooleanArray::from_iter((from..to).map(|row| Some(row % 2 == 0))))),
        ("text", Arc::new(StringArray::from_iter((from..to).map(|row| (row % 4 != 0).then(|| format!("text {row}")))))),
        ("list", Arc::new(lists.finish())),
        ("pair", Arc::new(pair)),
    ];
    let keys: Vec<[u8; 8]> = (from..to).map(|row| (row as u64).to_be_bytes()).collect();
    let keys = match fixed_keys {
        true => KeyRows::Fixed { width: 8, heads: (from as u64..to as u64).collect::<Vec<_>>().into() },
        false => KeyRows::Bytes {
            offsets: OffsetBuffer::from_repeated_length(8, keys.len()),
            data: Buffer::from_vec(keys.concat()),
        },
    };
    RowChunk {
        batch: RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
            .unwrap(),
        keys: Some(keys),
        sequences: if from % 2 == 0 {
            Sequences::Same(7)
        } else {
            Sequences::Each((from..to).collect::<Vec<_>>().into())
        },
        deletes: (from % 3 == 0).then(|| (from..to).map(|row| row % 11 == 0).collect()),
    }
}

#[test]
fn long_and_short_stretches_of_every_type_are_put_together() {
    for fixed_keys in [true, false] {
        let chunks = [chunk(0, 200, fixed_keys), chunk(301, 501, fixed_keys), chunk(603, 803, fixed_keys)];
        let chunks: Vec<&RowChunk> = chunks.iter().collect();
        for len in [1, 3, 40] {
            let stretches: Vec<RowStretch> =
                (0..12).map(|at| RowStretch { chunk: at * 7 % 3, start: at * 13, len: len + at % 2 }).collect();
            let mut out = Vec::new();
            gather(&chunks, &stretches, &mut out).unwrap();
            assert_eq!(out.len(), 1);
            out[0].batch.columns().iter().for_each(|column| column.to_data().validate_full().unwrap());
            let mut row = 0;
            for stretch in &stretches {
                let expected = chunks[stretch.chunk as usize].slice(stretch.start as usize, stretch.len as usize);
                let got = out[0].slice(row, stretch.len as usize);
                assert_eq!(got.batch, expected.batch);
                for at in 0..stretch.len as usize {
                    assert!(got.keys.as_ref().unwrap().compare(at, expected.keys.as_ref().unwrap(), at).is_eq());
                    assert_eq!(got.sequences.get(at), expected.sequences.get(at));
                    assert_eq!(got.is_delete(at), expected.is_delete(at));
                }
                row += stretch.len as usize;
            }
            assert_eq!(out[0].len(), row);
        }
    }
}

#[test]
fn what_one_chunk_cannot_address_becomes_several() {
    // A list of two thousand million nulls takes no memory, and two of them no offset reaches.
    let huge = || {
        let offsets = OffsetBuffer::new(vec![0, i32::MAX].into());
        let field = Arc::new(Field::new("item", DataType::Null, true));
        let list = ListArray::new(field, offsets, Arc::new(NullArray::new(i32::MAX as usize)), None);
        let batch = RecordBatch::try_from_iter([("list", Arc::new(list) as ArrayRef)]).unwrap();
        RowChunk { batch, keys: None, sequences: Sequences::Same(1), deletes: None }
    };
    let chunks: Vec<RowChunk> = (0..3).map(|_| huge()).collect();
    let stretches: Vec<RowStretch> = (0..3).map(|chunk| RowStretch { chunk, start: 0, len: 1 }).collect();
    let mut out = Vec::new();
    gather(&chunks.iter().collect::<Vec<_>>(), &stretches, &mut out).unwrap();
    assert_eq!(out.iter().map(RowChunk::len).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn columns_of_different_types_are_an_error() {
    let other = |array: ArrayRef| RowChunk {
        batch: RecordBatch::try_from_iter([("a", array)]).unwrap(),
        keys: None,
        sequences: Sequences::Same(1),
        deletes: None,
    };
    let chunks = [other(Arc::new(Int64Array::from(vec![1]))), other(Arc::new(StringArray::from(vec!["a"])))];
    let stretches: Vec<RowStretch> = (0..2).map(|chunk| RowStretch { chunk, start: 0, len: 1 }).collect();
    let error = gather(&chunks.iter().collect::<Vec<_>>(), &stretches, &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSupported);
}
