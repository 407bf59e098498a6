//! What memory arrays keep alive, to the byte, and how to let go of what they do not need.
//!
//! A slice of an array keeps its whole parent; arrays decoded from one message share one allocation. So allocations are
//! counted, each once, in full.

use crate::key::KeyRows;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::DataType;
use std::sync::Arc;

/// What a shared allocation takes beside its bytes: counters, address, length, how to free it.
const ALLOCATION_OVERHEAD_BYTES: usize = 64;

/// What an array's own struct takes, about.
const ARRAY_OVERHEAD_BYTES: usize = 192;

/// A set of allocations.
#[derive(Default)]
pub(super) struct Memory {
    /// Address and size of each, some more than once.
    allocations: Vec<(usize, usize)>,
    /// The arrays' own structs.
    arrays_bytes: usize,
}

impl Memory {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add_batch(&mut self, batch: &RecordBatch) {
        for column in batch.columns() {
            self.arrays_bytes +=
                size_of::<ArrayRef>() + column.get_array_memory_size().saturating_sub(column.get_buffer_memory_size());
            self.add_data(&column.to_data());
        }
    }

    pub fn add_keys(&mut self, keys: &KeyRows) {
        match keys {
            KeyRows::Fixed { heads, .. } => self.add_buffer(heads.inner()),
            KeyRows::Bytes { offsets, data } => {
                self.add_buffer(offsets.inner().inner());
                self.add_buffer(data);
            }
        }
    }

    fn add_data(&mut self, data: &ArrayData) {
        data.buffers().iter().for_each(|buffer| self.add_buffer(buffer));
        if let Some(nulls) = data.nulls() {
            self.add_buffer(nulls.buffer());
        }
        data.child_data().iter().for_each(|child| self.add_data(child));
    }

    fn add_buffer(&mut self, buffer: &Buffer) {
        if buffer.capacity() > 0 {
            self.allocations.push((buffer.data_ptr().as_ptr().addr(), buffer.capacity()));
        }
    }

    /// How many bytes all of it is.
    pub fn bytes(mut self) -> usize {
        self.allocations.sort_unstable();
        self.allocations.dedup_by_key(|allocation| allocation.0);
        let each = |allocation: &(usize, usize)| allocation.1 + ALLOCATION_OVERHEAD_BYTES;
        self.arrays_bytes + self.allocations.iter().map(each).sum::<usize>()
    }
}

/// Bytes of a batch's values, validity and offsets: what a copy of just these rows would take.
pub(super) fn used_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(used_bytes_of).sum()
}

fn used_bytes_of(column: &ArrayRef) -> usize {
    match column.data_type() {
        // Of views Arrow counts all buffers, needed or not.
        DataType::Utf8View => {
            let views = column.as_string_view();
            views.views().len() * size_of::<u128>() + views.total_buffer_bytes_used() + validity_bytes(column)
        }
        DataType::BinaryView => {
            let views = column.as_binary_view();
            views.views().len() * size_of::<u128>() + views.total_buffer_bytes_used() + validity_bytes(column)
        }
        _ => column.to_data().get_slice_memory_size().unwrap_or(0),
    }
}

fn validity_bytes(column: &ArrayRef) -> usize {
    if column.nulls().is_some() { column.len().div_ceil(8) } else { 0 }
}

/// A copy of `batch` in memory of its own, if what it holds is much more than what it needs.
pub(super) fn compact(batch: &RecordBatch) -> Option<RecordBatch> {
    let mut memory = Memory::new();
    memory.add_batch(batch);
    let allocations = memory.allocations.len();
    let held = memory.bytes();
    let used = used_bytes(batch);
    // Rounding to 64 bytes and the allocations' own cost are not waste; beyond these half as much again is.
    let fair =
        used + used / 2 + allocations * 2 * ALLOCATION_OVERHEAD_BYTES + batch.num_columns() * ARRAY_OVERHEAD_BYTES;
    if held <= fair {
        return None;
    }
    let columns = batch.columns().iter().map(copied).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options).ok()
}

/// The same values in memory of their own; the array itself where a copy cannot be made.
fn copied(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        _ => {
            let Ok(rows) = u32::try_from(array.len()) else { return array.clone() };
            let all: UInt32Array = (0..rows).collect::<Vec<u32>>().into();
            arrow_select::take::take(array, &all, None).unwrap_or_else(|_| array.clone())
        }
    }
}
