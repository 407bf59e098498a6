//! The index as a whole: what the builder says comes back, and nothing else is believed.

use super::super::{Expected, SstIdentity};
use super::*;
use crate::error::{ErrorKind, Result};
use crate::iter::Sequences;
use crate::key::{CollectionId, FileNumber};
use crate::schema::{KeyOptions, SchemaId, TableSchema};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Field, Schema};
use std::path::Path;
use std::sync::Arc;

fn keyed() -> Arc<TableSchema> {
    let fields = vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, false)];
    Arc::new(TableSchema::new(&Schema::new(fields), &["id"], &KeyOptions::default()).unwrap())
}

fn identity() -> SstIdentity {
    SstIdentity {
        database_id: 77,
        epoch: 3,
        number: FileNumber(5),
        collection: CollectionId(2),
        job: 9,
        inputs: vec![FileNumber(1), FileNumber(2)],
        outputs: vec![FileNumber(5)],
    }
}

fn expected() -> Expected {
    Expected { database_id: 77, number: FileNumber(5), size_bytes: None, collection: CollectionId(2) }
}

/// Rows with these ids, sequences and deletes.
fn chunk(schema: &TableSchema, rows: &[(i64, i64, bool)]) -> RowChunk {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| format!("name {}", row.0))));
    let keys = schema.key_codec().encode(std::slice::from_ref(&ids)).unwrap();
    RowChunk {
        batch: RecordBatch::try_new(schema.user().clone(), vec![ids, names]).unwrap(),
        keys: Some(keys),
        sequences: Sequences::Each(rows.iter().map(|row| row.1).collect()),
        deletes: rows.iter().any(|row| row.2).then(|| BooleanBuffer::from_iter(rows.iter().map(|row| row.2))),
    }
}

fn options() -> RowFileOptions {
    RowFileOptions { page_rows: 2, ..RowFileOptions::new(RowFormat::Ipc) }
}

fn read(bytes: &[u8], expected: &Expected) -> Result<(RowIndex, usize)> {
    let find = |id| (id == SchemaId(1)).then(keyed);
    read_blob(bytes, (Path::new("index.sst"), 0), expected, &find)
}

fn key(schema: &TableSchema, id: i64) -> Vec<u8> {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![id]));
    schema.key_codec().encode(&[ids]).unwrap().bytes(0, &mut [0; 8]).to_vec()
}

fn sample() -> (Vec<u8>, RowFileSummary) {
    let schema = keyed();
    let mut builder = IndexBuilder::new(identity(), schema.clone(), 1, &options()).unwrap();
    let stored = builder.add(&chunk(&schema, &[(-5, 3, false), (1, 9, true), (1, 4, false)])).unwrap();
    assert_eq!(stored.num_columns(), 4);
    assert!(stored.column(1).is_null(1) && stored.column(1).is_valid(2), "a delete has a null outside the key");
    builder.end_group(100);
    builder.add(&chunk(&schema, &[(1, 2, false), (7, 5, false), (8, 5, false)])).unwrap();
    builder.end_group(50);
    builder.finish(&Strides::default()).unwrap()
}

#[test]
fn the_index_says_what_the_rows_are() {
    let schema = keyed();
    let (mut bytes, summary) = sample();
    assert_eq!((summary.rows, summary.tombstones, summary.payload_bytes), (6, 1, 150));
    assert_eq!((summary.smallest_sequence, summary.largest_sequence, summary.multi_version), (2, 9, true));
    assert_eq!((&summary.smallest, &summary.largest), (&key(&schema, -5), &key(&schema, 8)));
    assert_eq!(summary.columns[0].min.as_ref().unwrap().as_primitive::<Int64Type>().value(0), -5);
    assert_eq!(summary.columns[1].null_count, 1);
    let len = bytes.len();
    bytes.extend(b"what follows in a Parquet file");
    let (index, read_bytes) = read(&bytes, &expected()).unwrap();
    assert_eq!(read_bytes, len);
    assert_eq!((index.groups.len(), index.level, index.page_rows), (2, 1, 2));
    assert_eq!(index.properties.inputs, identity().inputs);
    let group = &index.groups[1];
    assert_eq!((group.rows, group.tombstones, group.smallest_sequence, group.largest_sequence), (3, 0, 2, 5));
    assert_eq!((&group.first_key, &group.last_key), (&key(&schema, 1), &key(&schema, 8)));
    assert_eq!(group.columns[1].max.as_ref().unwrap().as_string::<i32>().value(0), "name 8");
    let point = |id| KeyRange { lower: Some(key(&schema, id)), upper: Some([key(&schema, id), vec![0]].concat()) };
    assert_eq!(index.rows_in(&point(1)), [(0, 0..3), (1, 0..2)]);
    assert_eq!(index.rows_in(&point(8)), [(1, 2..3)]);
    assert_eq!(index.rows_in(&point(-6)), [(0, 0..2)]);
    for id in [-5, 1, 7, 8] {
        assert!(index.filter.may_contain(crate::filter::key_hash(&key(&schema, id))));
    }
}

#[test]
fn rows_that_do_not_belong_are_refused_and_change_nothing() {
    let schema = keyed();
    let mut builder = IndexBuilder::new(identity(), schema.clone(), 1, &options()).unwrap();
    builder.add(&chunk(&schema, &[(1, 9, false)])).unwrap();
    for wrong in [&[(0, 1, false)][..], &[(1, 9, false)], &[(2, 1, false), (2, 1, false)], &[(3, -1, false)]] {
        assert_eq!(builder.add(&chunk(&schema, wrong)).unwrap_err().kind(), ErrorKind::InvalidArgument, "{wrong:?}");
    }
    let mut nameless = chunk(&schema, &[(5, 1, false)]);
    nameless.keys = None;
    assert!(builder.add(&nameless).is_err());
    nameless.batch = nameless.batch.project(&[0]).unwrap();
    assert!(builder.add(&nameless).is_err());
    builder.add(&chunk(&schema, &[(1, 8, false)])).unwrap();
    builder.end_group(1);
    assert_eq!(builder.finish(&Strides::default()).unwrap().1.rows, 2);
}

#[test]
fn a_damaged_index_or_that_of_another_file_is_refused() {
    let (bytes, _) = sample();
    for (offset, bit) in (0..bytes.len()).flat_map(|offset| [(offset, 1), (offset, 0x80)]) {
        let mut damaged = bytes.clone();
        damaged[offset] ^= bit;
        assert_eq!(read(&damaged, &expected()).err().unwrap().kind(), ErrorKind::Corruption, "byte {offset}");
    }
    for len in 0..bytes.len() {
        assert!(read(&bytes[..len], &expected()).is_err());
    }
    for wrong in [
        Expected { number: FileNumber(6), ..expected() },
        Expected { database_id: 78, ..expected() },
        Expected { collection: CollectionId(3), ..expected() },
    ] {
        assert_eq!(read(&bytes, &wrong).err().unwrap().kind(), ErrorKind::Corruption);
    }
}

/// Content that lies under a right checksum: a bug or an attacker wrote it. Any answer will do that is not a panic.
#[test]
fn a_lie_under_a_right_checksum_does_no_harm() {
    let (bytes, _) = sample();
    let body = bytes.len() - 4;
    let mut refused = 0;
    for offset in 20..body {
        for value in [0, 1, 0x7f, 0x80, 0xff, bytes[offset] ^ 4] {
            let mut lie = bytes.clone();
            lie[offset] = value;
            let checksum = super::super::block_file::checksum_at(0, 0, &lie[..body]);
            lie[body..].copy_from_slice(&checksum.to_le_bytes());
            match read(&lie, &expected()) {
                Ok((index, _)) => {
                    index.rows_in(&KeyRange::prefix(&[0x80]));
                    index.resident_bytes();
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 300, "{refused}");
}

/// The index that `FORMAT.md` shows.
fn example() -> Vec<u8> {
    let fields = vec![Field::new("id", DataType::Int64, false)];
    let schema = Arc::new(TableSchema::new(&Schema::new(fields), &["id"], &KeyOptions::default()).unwrap());
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![3]));
    let chunk = RowChunk {
        keys: Some(schema.key_codec().encode(std::slice::from_ref(&ids)).unwrap()),
        batch: RecordBatch::try_new(schema.user().clone(), vec![ids]).unwrap(),
        sequences: Sequences::Same(7),
        deletes: None,
    };
    let options = RowFileOptions { bloom: false, ..RowFileOptions::new(RowFormat::Ipc) };
    let mut builder = IndexBuilder::new(identity(), schema, 1, &options).unwrap();
    builder.add(&chunk).unwrap();
    builder.end_group(17);
    let mut strides = StrideBuilder::new(5);
    strides.update(b"0123456789");
    builder.finish(&strides.finish()).unwrap().0
}

#[test]
fn the_example_of_the_format_is_what_is_written() {
    let text = include_str!("FORMAT.md");
    let hex = text.split("```hex\n").nth(1).unwrap().split("```").next().unwrap();
    let digits = hex.lines().flat_map(|line| line.split('#').next().unwrap().split_whitespace());
    let bytes: Vec<u8> = digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect();
    let wanted: Vec<String> = example().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes, example(), "{}", wanted.join(" "));
}
