//! Checks that the rows of a Parquet row file are what its index says: an index made of them anew must say the same.
//!
//! Called by the reader's `verify`, after every checksum was found right: what is found here is a bug or a forgery.

use super::super::row_file::{IndexBuilder, RowFileOptions, RowFileScan, RowFormat, Strides, read_blob};
use super::super::{Access, SstIdentity};
use super::reader::ParquetReader;
use crate::error::Result;
use std::sync::Arc;

/// Decodes all rows of the file and compares them with the index; what does not fit is Corruption.
pub fn verify_rows(reader: &Arc<ParquetReader>) -> Result<()> {
    let index = reader.index();
    let options = RowFileOptions {
        compression: index.compression,
        page_rows: index.page_rows,
        // Whether the filter admits each key is asked of the filter itself.
        bloom: false,
        ..RowFileOptions::new(RowFormat::Parquet)
    };
    let identity = SstIdentity {
        database_id: index.properties.database_id,
        epoch: index.properties.epoch,
        number: index.properties.number,
        collection: index.properties.collection,
        ..SstIdentity::default()
    };
    let mut builder = IndexBuilder::new(identity, index.schema.clone(), index.level, &options)?;
    let columns: Vec<u32> = index.schema.columns().iter().map(|column| column.id).collect();
    for (group, stats) in index.groups.iter().enumerate() {
        let scan = RowFileScan { groups: Some(vec![group]), access: Access::Scan, ..RowFileScan::of(columns.clone()) };
        let mut rows = reader.scan(scan)?;
        while let Some(chunk) = rows.next_chunk()? {
            builder.add(&chunk).map_err(|why| reader.bad(&format!("row group {group}: {}", why.message())))?;
            if !index.admits(chunk.keys.as_ref()) {
                return Err(reader.bad("row group with a key that the filter denies"));
            }
        }
        builder.end_group(stats.payload_bytes);
    }
    let (rebuilt, _) = builder.finish(&Strides::default())?;
    let place = (reader.path(), reader.index_offset());
    let (rebuilt, _) = read_blob(&rebuilt, place, &index.expected(), &|_| Some(index.schema.clone()))?;
    if !index.says_the_same_of_rows(&rebuilt) {
        return Err(reader.bad("index of a table is not true of its rows"));
    }
    Ok(())
}
