//! What the Parquet crate's own reader, which knows nothing of us, finds in a file.

use super::*;
use crate::sst::parquet_file::properties;
use arrow_array::RecordBatchReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression as Codec, Encoding};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, SortingColumn};
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;

fn open(place: &Place) -> SerializedFileReader<std::fs::File> {
    let file = std::fs::File::open(place.path()).unwrap();
    let options = ReadOptionsBuilder::new()
        .with_page_index()
        .with_reader_properties(
            parquet::file::properties::ReaderProperties::builder().set_read_bloom_filter(true).build(),
        )
        .build();
    SerializedFileReader::new_with_options(file, options).unwrap()
}

fn column<'a>(metadata: &'a ParquetMetaData, group: usize, path: &str) -> &'a ColumnChunkMetaData {
    let columns = metadata.row_group(group).columns();
    columns.iter().find(|column| column.column_path().string() == path).unwrap()
}

/// A keyed table whose key is its second column, behind a nested one, so that roots and leaves are numbered apart.
fn by_name() -> (Arc<TableSchema>, Vec<RowChunk>) {
    let pair =
        DataType::Struct(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)].into());
    let fields = vec![
        Field::new("pair", pair, true),
        Field::new("name", DataType::Utf8, false),
        Field::new("city", DataType::Utf8, true),
    ];
    let schema = table(fields, &["name"]);
    let rows = 2500;
    let mut numbers = super::values::Numbers(1);
    let pairs = super::values::array(&schema.columns()[0].field, rows, &mut numbers);
    let names = StringArray::from_iter_values((0..rows).map(|row| format!("name-{row:08}")));
    let cities = StringArray::from_iter_values((0..rows).map(|row| ["Berlin", "Rome", "Oslo"][row % 3]));
    let sequences = Sequences::Each((0..rows).map(|row| row as i64 % 50 + 1).collect());
    let rows = chunk(&schema, vec![pairs, Arc::new(names), Arc::new(cities)], sequences, None);
    (schema, vec![rows])
}

#[test]
fn a_stranger_reads_all_rows_with_their_types_and_field_ids() {
    let (schema, chunks) = by_name();
    let place = Place::new();
    place.write(&schema, &chunks, small_pages());
    let file = std::fs::File::open(place.path()).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    assert_eq!(reader.schema().fields(), schema.stored().fields());
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    let found = arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap();
    assert_eq!(found.columns()[..3], *chunks[0].batch.columns());
    let metadata = open(&place).metadata().clone();
    let root = metadata.file_metadata().schema_descr().root_schema();
    let field_ids: Vec<i32> = root.get_fields().iter().map(|field| field.get_basic_info().id()).collect();
    assert_eq!(field_ids, [1, 2, 3, 1_000_000, 1_000_001]);
}

#[test]
fn what_the_footer_promises_is_true() {
    let (schema, chunks) = by_name();
    let place = Place::new();
    place.write(&schema, &chunks, small_pages());
    let reader = open(&place);
    let metadata = reader.metadata();
    let names = chunks[0].batch.column(1);
    let name = |row: usize| arrow_array::cast::AsArray::as_string::<i32>(names).value(row).to_owned();
    assert_eq!(metadata.num_row_groups(), 3);
    for group in 0..3 {
        let rows = metadata.row_group(group).num_rows() as usize;
        // The leaves: pair.a, pair.b, name, city, _seq, _op.
        let sorting = metadata.row_group(group).sorting_columns().unwrap();
        let wanted = [
            SortingColumn { column_idx: 2, descending: false, nulls_first: true },
            SortingColumn { column_idx: 4, descending: true, nulls_first: false },
        ];
        assert_eq!(sorting.as_slice(), wanted);
        let chunk = column(metadata, group, "name");
        assert!(chunk.encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY));
        assert!(chunk.dictionary_page_offset().is_none());
        assert!(matches!(chunk.compression_codec(), parquet::basic::CompressionCodec::ZSTD));
        let Some(Statistics::ByteArray(statistics)) = chunk.statistics() else { panic!("no bounds") };
        let (first, last) = (name(group * 1000), name(group * 1000 + rows - 1));
        assert_eq!(statistics.min_bytes_opt(), Some(first.as_bytes()));
        assert_eq!(statistics.max_bytes_opt(), Some(last.as_bytes()));
        assert!(column(metadata, group, "city").dictionary_page_offset().is_some());
        assert!(column(metadata, group, "_seq").encodings().any(|one| one == Encoding::DELTA_BINARY_PACKED));
        // Pages of all flat columns cover the same rows; key and sequence have bounds for each.
        let index = metadata.page_index().unwrap();
        for leaf in 2..6 {
            let offsets = index.offset_index(group, leaf).unwrap();
            let firsts: Vec<i64> = offsets.page_locations().iter().map(|page| page.first_row_index).collect();
            assert_eq!(firsts, (0..rows as i64).step_by(100).collect::<Vec<_>>());
        }
        assert!(index.column_index(group, 2).is_some() && index.column_index(group, 4).is_some());
        assert!(index.column_index(group, 3).is_none() && index.column_index(group, 0).is_none());
        // The bloom has every key of the group, and few others.
        let row_group = reader.get_row_group(group).unwrap();
        let bloom: &Sbbf = row_group.get_column_bloom_filter(2).unwrap();
        for row in 0..rows {
            assert!(bloom.check(&name(group * 1000 + row).as_str()));
        }
        let wrong = (0..10_000).filter(|row| bloom.check(&format!("other-{row}").as_str())).count();
        assert!(wrong < 300, "{wrong} of 10000 at 1 %");
        assert!(row_group.get_column_bloom_filter(3).is_none());
    }
    let value = |key: &str| {
        let pairs = metadata.file_metadata().key_value_metadata().unwrap();
        pairs.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone()).unwrap_or_default()
    };
    assert_eq!(value("sstore.key"), "name");
    assert_eq!(
        (value("sstore.rows"), value("sstore.deletes"), value("sstore.max_seq")),
        ("2500".into(), "0".into(), "50".into())
    );
    assert_eq!(
        (value("sstore.table_id"), value("sstore.schema_id"), value("sstore.level")),
        ("2".into(), "1".into(), "1".into())
    );
    assert!(!value("ARROW:schema").is_empty());
}

#[test]
fn codecs_are_the_ones_asked_for_column_by_column() {
    let (schema, chunks) = by_name();
    let codec = |compression, path: &str, overrides: Vec<(String, ColumnOverride)>| {
        let place = Place::new();
        place.write(&schema, &chunks, RowFileOptions { compression, column_overrides: overrides, ..small_pages() });
        column(open(&place).metadata(), 0, path).compression()
    };
    assert_eq!(codec(Compression::None, "city", Vec::new()), Codec::UNCOMPRESSED);
    assert_eq!(codec(Compression::Lz4, "city", Vec::new()), Codec::LZ4_RAW);
    let plain = ColumnOverride { compression: Some(Compression::None), dictionary: None };
    assert_eq!(codec(Compression::Lz4, "pair.b", vec![("pair".to_owned(), plain.clone())]), Codec::UNCOMPRESSED);
    assert_eq!(codec(Compression::Lz4, "city", vec![("pair".to_owned(), plain)]), Codec::LZ4_RAW);
}

#[test]
fn the_filter_of_a_group_is_made_for_no_more_keys_than_come() {
    let (schema, _) = by_name();
    let descriptor = properties::parquet_schema(&schema).unwrap();
    let made_for = |rows_max| {
        let options = RowFileOptions { rows_max, ..small_pages() };
        let properties =
            properties::writer_properties(&schema, &descriptor, &SstIdentity::default(), 0, &options).unwrap();
        properties.bloom_filter_properties(&ColumnPath::from("name")).unwrap().ndv()
    };
    let group_rows = small_pages().row_group_rows as u64;
    for (rows_max, keys) in [(None, group_rows), (Some(u64::MAX), group_rows), (Some(7), 7), (Some(0), 1)] {
        assert_eq!(made_for(rows_max), keys, "{rows_max:?}");
    }
    // And with the true number it has every key, and few others: as above, where none was told.
    let place = Place::new();
    let (schema, chunks) = by_name();
    place.write(&schema, &chunks, RowFileOptions { rows_max: Some(2500), ..small_pages() });
    let reader = open(&place);
    let row_group = reader.get_row_group(0).unwrap();
    let bloom: &Sbbf = row_group.get_column_bloom_filter(2).unwrap();
    assert!((0..1000).all(|row| bloom.check(&format!("name-{row:08}").as_str())));
    let wrong = (0..10_000).filter(|row| bloom.check(&format!("other-{row}").as_str())).count();
    assert!(wrong < 300, "{wrong} of 10000 at 1 %");
}

#[test]
fn keys_that_parquet_orders_otherwise_promise_no_order_and_single_keys_of_any_type_have_blooms() {
    let sorting = |fields: Vec<Field>, key: &[&str]| {
        let schema = table(fields, key);
        let place = Place::new();
        let mut numbers = super::values::Numbers(1);
        let columns =
            schema.columns().iter().map(|column| super::values::array(&column.field, 1, &mut numbers)).collect();
        place.write(&schema, &[chunk(&schema, columns, Sequences::Same(1), None)], small_pages());
        let reader = open(&place);
        let group = reader.metadata().row_group(0);
        let sorting = group.sorting_columns().map_or(0, |columns| columns.len());
        (sorting, group.column(0).bloom_filter_offset().is_some())
    };
    let field = |name: &str, data_type| Field::new(name, data_type, false);
    assert_eq!(sorting(vec![field("f", DataType::Float64)], &["f"]), (0, true));
    assert_eq!(sorting(vec![field("a", DataType::Utf8), field("f", DataType::Float32)], &["a", "f"]), (1, false));
    assert_eq!(sorting(vec![field("a", DataType::Utf8)], &[]), (0, false));
    assert_eq!(sorting(vec![field("b", DataType::Boolean)], &["b"]), (2, false));
    for data_type in [
        DataType::Int16,
        DataType::Date32,
        DataType::Decimal128(30, 3),
        DataType::FixedSizeBinary(4),
        DataType::Utf8View,
    ] {
        assert_eq!(sorting(vec![field("k", data_type.clone())], &["k"]), (2, true), "{data_type}");
    }
}
