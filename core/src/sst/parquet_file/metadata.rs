//! Parquet's own metadata: parsed once, when a file is opened, and compared with the index.
//!
//! Called by the reader with bytes that were verified. What the Parquet crate takes for granted about them is checked here.

use super::super::row_file::GroupStats;
use super::pages::{offset_index_pages, schema_elements};
use super::properties::parquet_schema;
use crate::schema::TableSchema;
use bytes::Bytes;
use parquet::DecodeResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::schema::types::Type;
use std::ops::Range;

/// Parses Parquet's footer and offset indexes from the bytes of the file from `offset` to its end, which must be of a table with this
/// schema.
pub fn parse_metadata(
    bytes: Bytes,
    offset: u64,
    size: u64,
    schema: &TableSchema,
) -> Result<ParquetMetaData, ParquetError> {
    let refused = |message: &str| ParquetError::General(message.to_owned());
    let wanted = parquet_schema(schema).map_err(|why| refused(why.message()))?;
    // The parser goes down a schema as deep as it is, and takes the memory that an offset index claims.
    let elements = footer_of(&bytes).and_then(schema_elements);
    if elements != Some(elements_of(wanted.root_schema())) {
        return Err(refused("their schema is not that of the table"));
    }
    let mut decoder = ParquetMetaDataPushDecoder::try_new(size)?.with_page_index_policy(PageIndexPolicy::Skip);
    decoder.push_range(offset..size, bytes.clone())?;
    let DecodeResult::Data(metadata) = decoder.try_decode()? else {
        return Err(refused("they are not all behind the index"));
    };
    for column in metadata.row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let place = column.offset_index_offset().zip(column.offset_index_length());
        let place = place.and_then(|(start, len)| Some((u64::try_from(start).ok()?, u64::try_from(len).ok()?)));
        let index = place.and_then(|(start, len)| {
            let start = usize::try_from(start.checked_sub(offset)?).ok()?;
            bytes.get(start..start.checked_add(usize::try_from(len).ok()?)?)
        });
        // A page takes a byte of it at the least.
        if index.is_none_or(|index| offset_index_pages(index).is_none_or(|pages| pages > index.len() as u64)) {
            return Err(refused("an offset index is missing or malformed"));
        }
    }
    let mut decoder = ParquetMetaDataPushDecoder::try_new_with_metadata(size, metadata)?
        .with_offset_index_policy(PageIndexPolicy::Required)
        // Our own index has the bounds of groups and the first keys of pages.
        .with_column_index_policy(PageIndexPolicy::Skip);
    decoder.push_range(offset..size, bytes)?;
    match decoder.try_decode()? {
        DecodeResult::Data(metadata) => Ok(metadata),
        _ => Err(ParquetError::General("they are not all behind the index".to_owned())),
    }
}

/// The footer at the end of a file's bytes.
fn footer_of(bytes: &[u8]) -> Option<&[u8]> {
    let (rest, end) = bytes.split_last_chunk::<8>()?;
    let len = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
    rest.get(rest.len().checked_sub(len)?..)
}

/// A type and all types in it.
fn elements_of(parquet_type: &Type) -> u64 {
    if !parquet_type.is_group() {
        return 1;
    }
    1 + parquet_type.get_fields().iter().map(|field| elements_of(field)).sum::<u64>()
}

/// Checks that Parquet's row groups are those of the index, and that each page lies within its chunk, each chunk before `end`.
pub fn check_groups(metadata: &ParquetMetaData, stats: &[GroupStats], end: u64) -> Result<(), &'static str> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    if metadata.num_row_groups() != stats.len() {
        return Err("Parquet's row groups are not those of the index");
    }
    for (number, (group, stats)) in metadata.row_groups().iter().zip(stats).enumerate() {
        if group.num_rows() != stats.rows as i64 || group.num_columns() != columns {
            return Err("Parquet's row groups are not those of the index");
        }
        for column in 0..columns {
            let chunk = chunk_range(group, column).filter(|chunk| chunk.end <= end);
            let chunk = chunk.ok_or("column chunk of Parquet that lies outside the data")?;
            let offsets = metadata.page_index().and_then(|index| index.offset_index(number, column));
            let pages = offsets.ok_or("Parquet file without offset indexes")?.page_locations();
            let first = u64::try_from(group.column(column).data_page_offset()).unwrap_or(u64::MAX);
            if !pages_fit(pages, first..chunk.end, stats.rows as i64) {
                return Err("pages of Parquet that do not fit their column chunk");
            }
        }
    }
    Ok(())
}

/// Where a column chunk lies; `None` if that is no place at all, which the crate's own accessor would panic over.
fn chunk_range(group: &RowGroupMetaData, column: usize) -> Option<Range<u64>> {
    let column = group.column(column);
    let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let (start, len) = (u64::try_from(start).ok()?, u64::try_from(column.compressed_size()).ok()?);
    Some(start..start.checked_add(len)?)
}

/// Whether pages follow each other without a gap from the beginning to the end of `place`, and their rows within the group.
fn pages_fit(pages: &[PageLocation], place: Range<u64>, rows: i64) -> bool {
    let mut end = place.start;
    let mut row = -1;
    for page in pages {
        let Ok(len) = u64::try_from(page.compressed_page_size) else { return false };
        let fits = page.offset as u64 == end && len > 0 && (row + 1..rows).contains(&page.first_row_index);
        // Bounded by the file's end after each step, so that no sum overflows.
        if !fits || len > place.end.saturating_sub(end) {
            return false;
        }
        (end, row) = (end + len, page.first_row_index);
    }
    end == place.end && pages.first().is_some_and(|page| page.first_row_index == 0)
}
