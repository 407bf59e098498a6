//! How the columns of a Parquet row file are written: encodings, codecs, statistics, blooms, and what the footer promises.
//!
//! Called by the writer, before the first row. Pure: a schema and options in, properties out. What is promised to foreign
//! readers (`sorting_columns`) is promised only where it is certain.

use super::super::row_file::{ColumnOverride, RowFileOptions};
use super::super::{Compression, SstIdentity};
use super::types::check_type;
use crate::error::{Error, Result};
use crate::schema::{SEQUENCE_COLUMN, TableSchema};
use arrow_schema::DataType;
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression as Codec, Encoding, Type as PhysicalType, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{
    BloomFilterPosition, EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::{ColumnPath, SchemaDescriptor};

/// Dictionaries of strings may grow to this before the rest of a chunk is written plain.
const DICTIONARY_BYTES: usize = 1 << 20;

/// The same for numbers: beyond 16,384 distinct values of eight bytes a dictionary only adds to their size.
const NUMBER_DICTIONARY_BYTES: usize = 128 << 10;

/// The name that every metadata key of ours begins with.
pub const METADATA_PREFIX: &str = "sstore.";

/// The version of the layout, as the metadata have it.
pub const FORMAT_VERSION: &str = "1";

/// The Parquet schema of files of `schema`. Types that Parquet cannot hold are NotSupported, naming the column.
pub fn parquet_schema(schema: &TableSchema) -> Result<SchemaDescriptor> {
    for field in schema.stored().fields() {
        check_type(field.data_type())
            .map_err(|why| why.context(&format!("column {:?} cannot be kept in Parquet", field.name())))?;
    }
    ArrowSchemaConverter::new()
        .convert(schema.stored())
        .map_err(|why| Error::invalid(format!("schema cannot be kept in Parquet: {why}")))
}

/// Refuses what [`parquet_schema`] refuses.
pub fn check_schema(schema: &TableSchema) -> Result<()> {
    parquet_schema(schema).map(drop)
}

/// The properties of a file of `schema`, whose Parquet form is `descriptor`.
pub fn writer_properties(
    schema: &TableSchema,
    descriptor: &SchemaDescriptor,
    identity: &SstIdentity,
    level: u32,
    options: &RowFileOptions,
) -> Result<WriterProperties> {
    let mut builder = WriterProperties::builder()
        .set_created_by(format!("sstore version {}", env!("CARGO_PKG_VERSION")))
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(codec(options.compression)?)
        // Row groups are cut by the writer, which must know where.
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(options.page_rows)
        .set_data_page_size_limit(options.page_bytes)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        // Among the row groups, so that opening a file need not read them: our own filter is in the index.
        .set_bloom_filter_position(BloomFilterPosition::AfterRowGroup)
        .set_key_value_metadata(Some(metadata(schema, identity, level)));
    let sorting = sorting_columns(schema, descriptor);
    if !sorting.is_empty() {
        builder = builder.set_sorting_columns(Some(sorting));
    }
    for leaf in 0..descriptor.num_columns() {
        builder = column_properties(builder, schema, descriptor, leaf, options)?;
    }
    Ok(builder.build())
}

fn column_properties(
    mut builder: WriterPropertiesBuilder,
    schema: &TableSchema,
    descriptor: &SchemaDescriptor,
    leaf: usize,
    options: &RowFileOptions,
) -> Result<WriterPropertiesBuilder> {
    let root = descriptor.get_column_root_idx(leaf);
    let column = descriptor.column(leaf);
    let path = column.path().clone();
    let name = schema.stored().field(root).name().as_str();
    let is_key = schema.key().contains(&root);
    if is_key || name == SEQUENCE_COLUMN {
        builder = builder
            .set_column_statistics_enabled(path.clone(), EnabledStatistics::Page)
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path.clone(), sorted_encoding(column.physical_type()));
    } else if matches!(schema.stored().field(root).data_type(), DataType::Timestamp(..)) {
        // Times mostly differ from each other, and rise.
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path.clone(), sorted_encoding(column.physical_type()));
    } else if !matches!(column.physical_type(), PhysicalType::BYTE_ARRAY | PhysicalType::FIXED_LEN_BYTE_ARRAY) {
        builder = builder.set_column_dictionary_page_size_limit(path.clone(), NUMBER_DICTIONARY_BYTES);
    }
    // Booleans have two values and no hash.
    if is_key && schema.key().len() == 1 && options.bloom && column.physical_type() != PhysicalType::BOOLEAN {
        // The filter is made for so many, and folded once the group is whole.
        let keys_max = options.rows_max.unwrap_or(u64::MAX).clamp(1, options.row_group_rows as u64);
        builder = builder
            .set_column_bloom_filter_fpp(path.clone(), options.bloom_false_positives.clamp(1e-6, 0.5))
            .set_column_bloom_filter_max_ndv(path.clone(), keys_max);
    }
    match options.column_overrides.iter().find(|(column, _)| column == name) {
        Some((_, change)) => overridden(builder, path, change, is_key),
        None => Ok(builder),
    }
}

fn overridden(
    mut builder: WriterPropertiesBuilder,
    path: ColumnPath,
    change: &ColumnOverride,
    is_key: bool,
) -> Result<WriterPropertiesBuilder> {
    if let Some(compression) = change.compression {
        builder = builder.set_column_compression(path.clone(), codec(compression)?);
    }
    // A key is written in order, which its encoding makes more of than a dictionary could.
    if let Some(dictionary) = change.dictionary.filter(|_| !is_key) {
        builder = builder.set_column_dictionary_enabled(path, dictionary);
    }
    Ok(builder)
}

/// The encoding that makes the most of values in order.
fn sorted_encoding(physical: PhysicalType) -> Encoding {
    match physical {
        PhysicalType::INT32 | PhysicalType::INT64 => Encoding::DELTA_BINARY_PACKED,
        PhysicalType::BYTE_ARRAY => Encoding::DELTA_BYTE_ARRAY,
        _ => Encoding::PLAIN,
    }
}

/// `LZ4_RAW`, never the retired `LZ4`, whose framing readers disagree about.
fn codec(compression: Compression) -> Result<Codec> {
    Ok(match compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::Zstd => {
            Codec::ZSTD(ZstdLevel::try_new(1).map_err(|why| Error::invalid(format!("zstd level: {why}")))?)
        }
    })
}

/// By what the rows are sorted, as far as Parquet orders the values as the key does: the key ascending, then `_seq`
/// descending. A float ends the list, since readers disagree about the order of NaN and of the zeros.
fn sorting_columns(schema: &TableSchema, descriptor: &SchemaDescriptor) -> Vec<SortingColumn> {
    let leaf_of = |root: usize| {
        (0..descriptor.num_columns()).find(|&leaf| descriptor.get_column_root_idx(leaf) == root).map(|leaf| leaf as i32)
    };
    let mut sorting = Vec::new();
    for &root in schema.key() {
        let field = schema.stored().field(root);
        let is_float = matches!(field.data_type(), DataType::Float16 | DataType::Float32 | DataType::Float64);
        let Some(column_idx) = leaf_of(root).filter(|_| !is_float) else { return sorting };
        sorting.push(SortingColumn { column_idx, descending: false, nulls_first: true });
    }
    if schema.is_keyed()
        && let Some(column_idx) = leaf_of(schema.columns().len())
    {
        sorting.push(SortingColumn { column_idx, descending: true, nulls_first: false });
    }
    sorting
}

/// One entry of the footer's metadata.
pub fn key_value(key: &str, value: impl ToString) -> KeyValue {
    KeyValue::new(format!("{METADATA_PREFIX}{key}"), value.to_string())
}

/// What is known before the first row.
fn metadata(schema: &TableSchema, identity: &SstIdentity, level: u32) -> Vec<KeyValue> {
    let key: Vec<&str> = schema.key().iter().map(|&column| schema.columns()[column].field.name().as_str()).collect();
    vec![
        key_value("format", FORMAT_VERSION),
        key_value("table_id", identity.collection),
        key_value("file_number", identity.number),
        key_value("schema_id", schema.id().0),
        key_value("fingerprint", format!("{:016x}", schema.fingerprint())),
        key_value("key", key.join(",")),
        key_value("level", level),
    ]
}
