//! One row of a table by its key.

use crate::error::{Error, ErrorKind, Result};
use crate::iter::RowChunk;
use crate::key::Sequence;
use crate::merge::Adapt;
use crate::schema::TableSchema;
use crate::sst::{Io, RowLookup};
use crate::view::CollectionView;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};
use std::sync::Arc;

/// The columns that a lookup hands out.
pub struct RowProjection {
    schema: Arc<TableSchema>,
    columns: Vec<u32>,
    output: SchemaRef,
}

impl RowProjection {
    /// These columns of `schema`, in this order; all of them if none are named.
    pub fn new(schema: &Arc<TableSchema>, columns: Option<&[String]>) -> Result<Self> {
        let find = |name: &String| {
            schema.index_of(name).ok_or_else(|| Error::invalid(format!("the table has no column \"{name}\"")))
        };
        let chosen: Vec<usize> = match columns {
            Some(names) => names.iter().map(find).collect::<Result<_>>()?,
            None => (0..schema.columns().len()).collect(),
        };
        let fields: Vec<_> = chosen.iter().map(|&index| schema.columns()[index].field.clone()).collect();
        let columns = chosen.iter().map(|&index| schema.columns()[index].id).collect();
        Ok(Self { schema: schema.clone(), columns, output: Arc::new(Schema::new(fields)) })
    }

    fn finish(&self, adapt: &Adapt, found: RowChunk) -> Result<Option<RecordBatch>> {
        if found.is_delete(0) {
            return Ok(None);
        }
        let columns = adapt.chunk(found)?.batch.columns().to_vec();
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        RecordBatch::try_new_with_options(self.output.clone(), columns, &options)
            .map(Some)
            .map_err(|cause| Error::new(ErrorKind::Corruption, format!("a row does not fit its schema: {cause}")))
    }
}

/// The newest row with an encoded key at `snapshot`; the first source that has a version of it decides.
pub fn get_row(
    view: &CollectionView,
    key: &[u8],
    snapshot: Sequence,
    projection: &RowProjection,
) -> Result<Option<RecordBatch>> {
    for memtable in super::scan::memtables(view, snapshot) {
        let adapt = Adapt::new(memtable.schema(), &projection.schema, &projection.columns);
        if let Some(found) = memtable.get(key, snapshot, adapt.inner_columns())? {
            return projection.finish(&adapt, found);
        }
    }
    for run in &view.runs {
        if run.meta.smallest_sequence > snapshot || *key < *run.meta.smallest || *key > *run.meta.largest {
            continue;
        }
        let reader = run.reader.try_rows()?;
        let adapt = Adapt::new(reader.schema(), &projection.schema, &projection.columns);
        match reader.get(key, snapshot, adapt.inner_columns(), Io::Allowed)? {
            RowLookup::Absent | RowLookup::WouldBlock => {}
            RowLookup::Found(found) => return projection.finish(&adapt, found),
        }
    }
    Ok(None)
}
