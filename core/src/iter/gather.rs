//! Makes one chunk of rows out of stretches of many.
//!
//! Called by merges and memtables of tables once they know which rows come next. Works column by column: one stretch is a
//! slice in the same memory, long stretches are copied whole, short ones row by row.

use super::{RowChunk, Sequences};
use crate::error::{Error, ErrorKind, Result};
use crate::key::KeyRows;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_buffer::{BooleanBuffer, Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use std::sync::Arc;

/// Stretches of this many rows on average are copied as a whole; below, one index a row costs less.
const STRETCH_ROWS_MIN: usize = 16;

/// Some rows of one of many chunks, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowStretch {
    /// Which chunk.
    pub chunk: u32,
    /// The first row.
    pub start: u32,
    /// How many rows; never 0.
    pub len: u32,
}

/// Appends the rows of `stretches`, in this order, to `out`: as one chunk, or as few as it takes where the offsets of a column
/// would overflow in one. The chunks must have the same columns, and all of them keys or none of them. Errors: what the
/// columns' types do not allow. Panics if a stretch lies outside its chunk.
pub fn gather(chunks: &[&RowChunk], stretches: &[RowStretch], out: &mut Vec<RowChunk>) -> Result<()> {
    match stretches {
        [] => Ok(()),
        [one] => {
            out.push(chunks[one.chunk as usize].slice(one.start as usize, one.len as usize));
            Ok(())
        }
        _ => match gather_one(chunks, stretches) {
            Ok(chunk) => {
                out.push(chunk);
                Ok(())
            }
            Err(ArrowError::OffsetOverflowError(_)) => {
                let (front, back) = stretches.split_at(stretches.len() / 2);
                gather(chunks, front, out)?;
                gather(chunks, back, out)
            }
            Err(error) => Err(Error::new(ErrorKind::NotSupported, format!("rows cannot be put together: {error}"))),
        },
    }
}

/// The same rows in memory of their own, which pins nothing of the chunk's. Errors as [`gather`].
pub fn copied(chunk: &RowChunk) -> Result<RowChunk> {
    let half = (chunk.len() / 2) as u32;
    let rest = RowStretch { chunk: 0, start: half, len: chunk.len() as u32 - half };
    // Two stretches are copied, where one would be handed out in the memory that it lies in.
    let stretches = [RowStretch { chunk: 0, start: 0, len: half }, rest];
    let stretches = if half == 0 { &stretches[1..] } else { &stretches };
    let mut own = gather_one(&[chunk], stretches)
        .map_err(|error| Error::new(ErrorKind::NotSupported, format!("rows cannot be copied: {error}")))?;
    let columns = own.batch.columns().iter().map(without_others);
    let options = RecordBatchOptions::new().with_row_count(Some(own.len()));
    own.batch = RecordBatch::try_new_with_options(own.batch.schema(), columns.collect(), &options)
        .map_err(|error| Error::new(ErrorKind::NotSupported, format!("rows cannot be copied: {error}")))?;
    Ok(own)
}

/// The same values without the bytes of others: views share the buffers that they were taken from.
fn without_others(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        _ => array.clone(),
    }
}

fn gather_one(chunks: &[&RowChunk], stretches: &[RowStretch]) -> std::result::Result<RowChunk, ArrowError> {
    let rows: usize = stretches.iter().map(|stretch| stretch.len as usize).sum();
    // Keys first: they are the cheapest to find too long.
    let keys = gather_keys(chunks, stretches, rows)?;
    let schema = common_schema(chunks);
    let are_long = rows / stretches.len() >= STRETCH_ROWS_MIN;
    // Arrow panics where the offsets of nested values overflow in a copy of stretches; row by row it returns an error.
    let copies_stretches = |column: usize| are_long && !schema.field(column).data_type().is_nested();
    let indices: Vec<(usize, usize)> = match (0..schema.fields().len()).all(copies_stretches) {
        true => Vec::new(),
        false => {
            stretches.iter().flat_map(|s| (0..s.len).map(|row| (s.chunk as usize, (s.start + row) as usize))).collect()
        }
    };
    let columns: Vec<ArrayRef> = (0..schema.fields().len())
        .map(|column| {
            if copies_stretches(column) {
                let slices: Vec<ArrayRef> = stretches
                    .iter()
                    .map(|s| chunks[s.chunk as usize].batch.column(column).slice(s.start as usize, s.len as usize))
                    .collect();
                let slices: Vec<&dyn Array> = slices.iter().map(|slice| &**slice).collect();
                arrow_select::concat::concat(&slices)
            } else {
                let arrays: Vec<&dyn Array> = chunks.iter().map(|chunk| &**chunk.batch.column(column)).collect();
                arrow_select::interleave::interleave(&arrays, &indices)
            }
        })
        .collect::<std::result::Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
    Ok(RowChunk {
        batch,
        keys,
        sequences: gather_sequences(chunks, stretches, rows),
        deletes: gather_deletes(chunks, stretches),
    })
}

/// The schema of all chunks: nullable wherever one of them is.
fn common_schema(chunks: &[&RowChunk]) -> SchemaRef {
    let first = chunks[0].batch.schema_ref();
    if chunks.iter().all(|chunk| Arc::ptr_eq(first, chunk.batch.schema_ref())) {
        return first.clone();
    }
    let fields: Vec<_> = first
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let nullable = chunks.iter().any(|chunk| chunk.batch.schema_ref().field(index).is_nullable());
            if nullable == field.is_nullable() {
                field.clone()
            } else {
                Arc::new(field.as_ref().clone().with_nullable(nullable))
            }
        })
        .collect();
    Arc::new(Schema::new_with_metadata(fields, first.metadata().clone()))
}

fn gather_keys(
    chunks: &[&RowChunk],
    stretches: &[RowStretch],
    rows: usize,
) -> std::result::Result<Option<KeyRows>, ArrowError> {
    let Some(first) = &chunks[0].keys else { return Ok(None) };
    let keys: Option<Vec<&KeyRows>> = chunks.iter().map(|chunk| chunk.keys.as_ref()).collect();
    let Some(keys) = keys else {
        return Err(ArrowError::InvalidArgumentError("some rows have keys and some have none".to_owned()));
    };
    if let KeyRows::Fixed { width, .. } = first {
        let all: Option<Vec<&ScalarBuffer<u64>>> = keys
            .iter()
            .map(|keys| match keys {
                KeyRows::Fixed { width: other, heads } if other == width => Some(heads),
                _ => None,
            })
            .collect();
        if let Some(all) = all {
            let mut heads = Vec::with_capacity(rows);
            for s in stretches {
                heads.extend_from_slice(&all[s.chunk as usize][s.start as usize..(s.start + s.len) as usize]);
            }
            return Ok(Some(KeyRows::Fixed { width: *width, heads: heads.into() }));
        }
    }
    let mut bytes = 0;
    for s in stretches {
        bytes += keys_bytes(keys[s.chunk as usize], s.start as usize, s.len as usize);
    }
    if bytes > i32::MAX as usize {
        return Err(ArrowError::OffsetOverflowError(bytes));
    }
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0i32);
    let mut data = Vec::with_capacity(bytes);
    for s in stretches {
        for row in s.start..s.start + s.len {
            data.extend_from_slice(keys[s.chunk as usize].bytes(row as usize, &mut [0; 8]));
            offsets.push(data.len() as i32);
        }
    }
    Ok(Some(KeyRows::Bytes { offsets: OffsetBuffer::new(offsets.into()), data: Buffer::from_vec(data) }))
}

fn keys_bytes(keys: &KeyRows, start: usize, len: usize) -> usize {
    match keys {
        KeyRows::Fixed { width, .. } => width * len,
        KeyRows::Bytes { offsets, .. } => (offsets[start + len] - offsets[start]) as usize,
    }
}

fn gather_sequences(chunks: &[&RowChunk], stretches: &[RowStretch], rows: usize) -> Sequences {
    let same = |chunk: u32| match &chunks[chunk as usize].sequences {
        Sequences::Same(sequence) => Some(*sequence),
        Sequences::Each(_) => None,
    };
    if let Some(sequence) = same(stretches[0].chunk)
        && stretches.iter().all(|stretch| same(stretch.chunk) == Some(sequence))
    {
        return Sequences::Same(sequence);
    }
    let mut sequences: Vec<i64> = Vec::with_capacity(rows);
    for s in stretches {
        match &chunks[s.chunk as usize].sequences {
            Sequences::Same(sequence) => sequences.extend(std::iter::repeat_n(*sequence as i64, s.len as usize)),
            Sequences::Each(each) => sequences.extend_from_slice(&each[s.start as usize..(s.start + s.len) as usize]),
        }
    }
    Sequences::Each(sequences.into())
}

fn gather_deletes(chunks: &[&RowChunk], stretches: &[RowStretch]) -> Option<BooleanBuffer> {
    let is_delete = |s: &RowStretch| {
        let chunk = chunks[s.chunk as usize];
        (s.start..s.start + s.len).map(move |row| chunk.is_delete(row as usize))
    };
    let may = stretches.iter().any(|s| chunks[s.chunk as usize].deletes.is_some());
    let deletes: BooleanBuffer = if may { stretches.iter().flat_map(is_delete).collect() } else { return None };
    (deletes.count_set_bits() > 0).then_some(deletes)
}

#[cfg(test)]
mod tests;
