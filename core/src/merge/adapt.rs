//! Rows of an older schema as rows of a newer one: what scans and merges put around a source.

use crate::error::Result;
use crate::iter::{RowChunk, RowSource};
use crate::schema::TableSchema;
use std::sync::Arc;

/// Reads rows that were written under one schema as rows of another.
#[derive(Clone)]
pub struct Adapt {
    from: Arc<TableSchema>,
    to: Arc<TableSchema>,
    /// The columns wanted, by id.
    columns: Vec<u32>,
    /// Those of them that exist in `from`.
    inner: Vec<u32>,
}

impl Adapt {
    /// Reads `columns` (ids) of rows of `from` as rows of `to`.
    pub fn new(from: &Arc<TableSchema>, to: &Arc<TableSchema>, columns: &[u32]) -> Self {
        let inner = columns.iter().copied().filter(|&id| from.index_of_id(id).is_some()).collect();
        Self { from: from.clone(), to: to.clone(), columns: columns.to_vec(), inner }
    }

    /// Reads all columns of `to`.
    pub fn all_columns(from: &Arc<TableSchema>, to: &Arc<TableSchema>) -> Self {
        let columns: Vec<u32> = to.columns().iter().map(|column| column.id).collect();
        Self::new(from, to, &columns)
    }

    /// The columns to ask the source for.
    pub fn inner_columns(&self) -> &[u32] {
        &self.inner
    }

    /// The source with its rows adapted.
    pub fn around(&self, source: Box<dyn RowSource>) -> Box<dyn RowSource> {
        if self.from.id() == self.to.id() {
            return source;
        }
        Box::new(Adapted { source, adapt: self.clone() })
    }

    /// One chunk adapted.
    pub fn chunk(&self, mut chunk: RowChunk) -> Result<RowChunk> {
        if self.from.id() != self.to.id() {
            chunk.batch = self.to.adapt(&self.from, chunk.batch, &self.columns)?;
        }
        Ok(chunk)
    }
}

struct Adapted {
    source: Box<dyn RowSource>,
    adapt: Adapt,
}

impl RowSource for Adapted {
    fn next_chunk(&mut self) -> Result<Option<RowChunk>> {
        match self.source.next_chunk()? {
            Some(chunk) => self.adapt.chunk(chunk).map(Some),
            None => Ok(None),
        }
    }
}
