//! What was written comes back: every type, every codec, every way to read.

use super::values::{Numbers, sliced, types};
use super::*;

/// A table of every type, with the row's number as key or with none, and its rows in chunks of odd sizes.
fn every_type(key: &[&str], lens: &[usize]) -> (Arc<TableSchema>, Vec<RowChunk>) {
    let mut fields = vec![Field::new("id", DataType::Int64, false)];
    for (index, data_type) in types().into_iter().enumerate() {
        fields.push(Field::new(format!("c{index}"), data_type.clone(), true));
        if data_type != DataType::Null {
            fields.push(Field::new(format!("r{index}"), data_type, false));
        }
    }
    let schema = table(fields, key);
    let mut numbers = Numbers(5);
    let mut start = 0;
    let mut chunks = Vec::new();
    for &len in lens {
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from_iter_values((start..start + len).map(|n| n as i64 * 2)))];
        for column in &schema.columns()[1..] {
            columns.push(sliced(&column.field, 3, len, &mut numbers));
        }
        let sequences = (start..start + len).map(|n| n as i64 % 7 + 1).collect::<Vec<_>>();
        chunks.push(chunk(&schema, columns, Sequences::Each(sequences.into()), None));
        start += len;
    }
    (schema, chunks)
}

#[test]
fn every_type_comes_back_as_it_was_by_every_way_of_reading() {
    for key in [&["id"][..], &[]] {
        let (schema, chunks) = every_type(key, &[150, 1, 999, 100, 250]);
        let place = Place::new();
        let summary = place.write(&schema, &chunks, small_pages());
        assert_eq!((summary.rows, summary.tombstones, summary.multi_version), (1500, 0, false));
        assert_eq!(summary.size_bytes, std::fs::metadata(place.path()).unwrap().len());
        let reader = place.open_at(&place.path(), &schema, &expected_of(&summary)).unwrap();
        assert_eq!(reader.groups().iter().map(|group| group.rows).collect::<Vec<_>>(), [1000, 500]);
        reader.verify().unwrap();
        let wanted = joined(&chunks);
        for access in [Access::Scan, Access::Cached, Access::Cached] {
            for (batch_rows, held_bytes) in
                [(70, usize::MAX), (100, usize::MAX), (5000, usize::MAX), (5000, 100_000), (70, 20_000), (5000, 3_000)]
            {
                let request = RowFileScan { access, batch_rows, held_bytes, ..RowFileScan::of(ids(&schema)) };
                let found = scan(&reader, request).unwrap();
                assert!(found.iter().all(|chunk| chunk.len() <= batch_rows));
                for ((found, wanted), column) in joined(&found).iter().zip(&wanted).zip(schema.columns()) {
                    assert_eq!(found, wanted, "{:?} {:?}", access, column.field);
                }
                let mut row = 0;
                for chunk in &found {
                    assert_eq!(chunk.keys.is_some(), schema.is_keyed());
                    for place in 0..chunk.len() {
                        assert_eq!(chunk.sequences.get(place), row as Sequence % 7 + 1);
                        row += 1;
                    }
                }
            }
        }
        if schema.is_keyed() {
            for row in (0..1500).step_by(83) {
                let key = schema.key_codec().encode(&[Arc::new(Int64Array::from(vec![row as i64 * 2]))]).unwrap();
                let key = key.bytes(0, &mut [0; 8]).to_vec();
                let found = reader.get(&key, MAX_SEQUENCE, &ids(&schema), Io::Allowed).unwrap();
                let RowLookup::Found(found) = found else { panic!("row {row} is missing") };
                for (column, wanted) in found.batch.columns().iter().zip(&wanted) {
                    assert_eq!(column, &wanted.slice(row, 1));
                }
                assert!(matches!(
                    reader.get(&key, row as Sequence % 7, &ids(&schema), Io::Allowed).unwrap(),
                    RowLookup::Absent
                ));
            }
        }
    }
}

#[test]
fn codecs_groups_and_overrides_do_not_change_what_is_read() {
    let (schema, chunks) = every_type(&["id"], &[700]);
    let wanted = joined(&chunks);
    let mut sizes = Vec::new();
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let other = ColumnOverride { compression: Some(Compression::Lz4), dictionary: Some(false) };
        let options = RowFileOptions {
            compression,
            row_group_bytes: 100 << 10,
            column_overrides: vec![("c7".to_owned(), other.clone()), ("id".to_owned(), other)],
            ..small_pages()
        };
        let place = Place::new();
        sizes.push(place.write(&schema, &chunks, options).size_bytes);
        let reader = place.open(&schema);
        assert!(reader.groups().len() > 1, "a group is cut by its bytes too");
        reader.verify().unwrap();
        assert_eq!(joined(&scan(&reader, RowFileScan::of(ids(&schema))).unwrap()), wanted);
    }
    assert!(sizes[2] < sizes[0], "{sizes:?}");
}

#[test]
fn single_columns_in_any_order_and_none_at_all() {
    for key in [&["id"][..], &[]] {
        let (schema, mut chunks) = every_type(key, &[300, 30]);
        for chunk in &mut chunks {
            chunk.sequences = Sequences::Same(9);
        }
        let place = Place::new();
        place.write(&schema, &chunks, small_pages());
        let reader = place.open(&schema);
        let wanted = joined(&chunks);
        for access in [Access::Scan, Access::Cached] {
            let request = RowFileScan { access, ..RowFileScan::of(vec![31, 2, 1, 17]) };
            let found = joined(&scan(&reader, request).unwrap());
            assert_eq!(found, [30, 1, 0, 16].map(|column: usize| wanted[column].clone()));
            let none = scan(&reader, RowFileScan { access, batch_rows: 64, ..RowFileScan::of(Vec::new()) }).unwrap();
            assert_eq!((rows(&none), none[0].batch.num_columns()), (330, 0));
            assert_eq!(none[0].sequences.get(5), 9);
        }
        assert!(reader.scan(RowFileScan::of(vec![999])).is_err());
    }
}

#[test]
fn the_common_writer_and_reader_know_the_format_by_options_and_name() {
    use crate::sst::{RowFileReader, RowFileWriter};
    let (schema, chunks) = every_type(&["id"], &[120]);
    let place = Place::new();
    let path = place.path();
    let mut writer = RowFileWriter::create(&place.env, &path, identity(), schema.clone(), 3, small_pages()).unwrap();
    writer.add(&chunks[0]).unwrap();
    assert!(writer.size_bytes() > 0);
    let summary = writer.finish().unwrap();
    let schemas = |_| Some(schema.clone());
    let open = || RowFileReader::open(&place.env, &path, &expected_of(&summary), &schemas, place.cache.clone());
    let reader = open().unwrap();
    reader.verify().unwrap();
    assert_eq!((reader.format(), reader.rows(), reader.birth_level()), (RowFormat::Parquet, 120, 3));
    assert_eq!((reader.size_bytes(), reader.checksum()), (summary.size_bytes, summary.checksum));
    let mut source = reader.scan(RowFileScan::of(ids(&schema))).unwrap();
    assert_eq!(source.next_chunk().unwrap().unwrap().len(), 100);
    RowFileWriter::create(&place.env, &path.with_extension("other"), identity(), schema.clone(), 3, small_pages())
        .unwrap()
        .abandon();
    assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 1);
}

#[test]
fn an_empty_file_is_a_file() {
    let (schema, _) = every_type(&["id"], &[]);
    let place = Place::new();
    let summary = place.write(&schema, &[], small_pages());
    assert_eq!((summary.rows, summary.smallest_sequence, summary.smallest), (0, 0, Vec::new()));
    let reader = place.open(&schema);
    reader.verify().unwrap();
    assert!(scan(&reader, RowFileScan::of(ids(&schema))).unwrap().is_empty());
}

#[test]
fn what_parquet_cannot_hold_is_refused_and_leaves_no_file() {
    use arrow_schema::{IntervalUnit, UnionFields, UnionMode};
    let union = UnionFields::try_new(vec![0], vec![Field::new("a", DataType::Int32, true)]).unwrap();
    let refused = [
        DataType::Union(union, UnionMode::Dense),
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::List(Arc::new(Field::new("item", DataType::Interval(IntervalUnit::MonthDayNano), true))),
        DataType::Struct(Vec::<Field>::new().into()),
        DataType::FixedSizeBinary(0),
    ];
    for data_type in refused {
        let schema = table(vec![Field::new("odd", data_type.clone(), true)], &[]);
        let place = Place::new();
        let Err(error) = place.writer(&schema, small_pages()) else { panic!("{data_type} is accepted") };
        assert!(error.message().contains("odd"), "{error}");
        assert!(!place.path().exists());
    }
}

#[test]
fn a_writer_that_is_given_up_leaves_no_file_and_rows_out_of_order_are_refused() {
    let schema = table(vec![Field::new("id", DataType::Int64, false)], &["id"]);
    let rows = |ids: Vec<i64>| chunk(&schema, vec![Arc::new(Int64Array::from(ids))], Sequences::Same(1), None);
    let place = Place::new();
    let mut writer = place.writer(&schema, small_pages()).unwrap();
    writer.add(&rows(vec![1, 5])).unwrap();
    assert!(place.path().exists());
    let error = writer.add(&rows(vec![5, 6])).unwrap_err();
    assert_eq!(writer.add(&rows(vec![7])).unwrap_err().message(), error.message());
    assert!(writer.finish().is_err());
    assert!(!place.path().exists());
}
