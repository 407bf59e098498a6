//! Leaves out the rows of a chunk that a request does not want: keys out of range, versions after a snapshot.
//!
//! Called by the scans of both formats, on chunks as they come out of a file.

use crate::error::{Error, ErrorKind, Result};
use crate::iter::{RowChunk, Sequences};
use crate::key::{KeyRange, KeyRows, Sequence};
use arrow_array::{BinaryArray, BooleanArray, Int64Array, cast::AsArray, types::Int64Type};
use arrow_buffer::{BooleanBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use arrow_select::filter::{FilterBuilder, filter, filter_record_batch};

/// The rows whose keys lie in `range`, in the same memory; `None` if there are none. Rows without keys lie in every range.
pub fn in_range(chunk: RowChunk, range: &KeyRange) -> Option<RowChunk> {
    let Some(keys) = &chunk.keys else { return Some(chunk).filter(|chunk| !chunk.is_empty()) };
    let len = chunk.len();
    let start = match &range.lower {
        Some(lower) if len > 0 && keys.compare_to(0, lower).is_lt() => keys.lower_bound(lower),
        _ => 0,
    };
    let end = match &range.upper {
        Some(upper) if len > 0 && keys.compare_to(len - 1, upper).is_ge() => keys.lower_bound(upper),
        _ => len,
    };
    match (start, end) {
        (0, end) if end == len => Some(chunk).filter(|chunk| !chunk.is_empty()),
        (start, end) if start < end => Some(chunk.slice(start, end - start)),
        _ => None,
    }
}

/// The rows whose sequence is `snapshot` or less; `None` if there are none.
pub fn at_most(chunk: RowChunk, snapshot: Sequence) -> Result<Option<RowChunk>> {
    let sequences = match &chunk.sequences {
        Sequences::Same(sequence) => return Ok((*sequence <= snapshot).then_some(chunk)),
        Sequences::Each(sequences) => sequences,
    };
    let seen = BooleanBuffer::collect_bool(sequences.len(), |row| sequences[row] as Sequence <= snapshot);
    match seen.count_set_bits() {
        0 => Ok(None),
        count if count == chunk.len() => Ok(Some(chunk)),
        _ => select(&chunk, BooleanArray::new(seen, None))
            .map(Some)
            .map_err(|why| Error::new(ErrorKind::Corruption, format!("rows cannot be filtered: {why}"))),
    }
}

fn select(chunk: &RowChunk, seen: BooleanArray) -> std::result::Result<RowChunk, ArrowError> {
    let keys = match &chunk.keys {
        None => None,
        Some(KeyRows::Fixed { width, heads }) => {
            let kept = (0..heads.len()).filter(|&row| seen.value(row)).map(|row| heads[row]);
            Some(KeyRows::Fixed { width: *width, heads: kept.collect::<Vec<u64>>().into() })
        }
        Some(KeyRows::Bytes { offsets, data }) => {
            let keys = filter(&BinaryArray::try_new(offsets.clone(), data.clone(), None)?, &seen)?;
            let (offsets, data, _) = keys.as_binary::<i32>().clone().into_parts();
            Some(KeyRows::Bytes { offsets, data })
        }
    };
    let sequences = match &chunk.sequences {
        Sequences::Same(sequence) => Sequences::Same(*sequence),
        Sequences::Each(sequences) => {
            let kept = filter(&Int64Array::new(sequences.clone(), None), &seen)?;
            let values: &ScalarBuffer<i64> = kept.as_primitive::<Int64Type>().values();
            Sequences::Each(values.clone())
        }
    };
    let deletes = match &chunk.deletes {
        None => None,
        Some(deletes) => {
            let kept = FilterBuilder::new(&seen).build().filter(&BooleanArray::new(deletes.clone(), None))?;
            Some(kept.as_boolean().values().clone()).filter(|deletes| deletes.count_set_bits() > 0)
        }
    };
    Ok(RowChunk { batch: filter_record_batch(&chunk.batch, &seen)?, keys, sequences, deletes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{RecordBatch, StringArray};
    use arrow_buffer::{Buffer, OffsetBuffer};
    use arrow_schema::{DataType, Field, Schema};
    use std::sync::Arc;

    fn chunk(keys: &[&str], sequences: &[i64]) -> RowChunk {
        let column = StringArray::from(keys.to_vec());
        let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8, false)]));
        RowChunk {
            batch: RecordBatch::try_new(schema, vec![Arc::new(column)]).unwrap(),
            keys: Some(KeyRows::Bytes {
                offsets: OffsetBuffer::from_lengths(keys.iter().map(|key| key.len())),
                data: Buffer::from(keys.concat().into_bytes()),
            }),
            sequences: Sequences::Each(sequences.to_vec().into()),
            deletes: Some(BooleanBuffer::from_iter(sequences.iter().map(|sequence| sequence % 2 == 1))),
        }
    }

    fn rows(chunk: Option<RowChunk>) -> Vec<(String, Sequence, bool)> {
        let Some(chunk) = chunk else { return Vec::new() };
        let keys = chunk.keys.as_ref().unwrap();
        let column = chunk.batch.column(0).as_string::<i32>();
        (0..chunk.len())
            .map(|row| {
                assert_eq!(keys.bytes(row, &mut [0; 8]), column.value(row).as_bytes());
                (column.value(row).to_owned(), chunk.sequences.get(row), chunk.is_delete(row))
            })
            .collect()
    }

    #[test]
    fn only_keys_in_range_and_versions_of_the_snapshot_stay() {
        let all = || chunk(&["ant", "bee", "bee", "cow"], &[4, 7, 2, 5]);
        let range = |lower: &str, upper: &str| KeyRange { lower: Some(lower.into()), upper: Some(upper.into()) };
        assert_eq!(rows(in_range(all(), &KeyRange::all())).len(), 4);
        assert_eq!(rows(in_range(all(), &range("bee", "cow"))).len(), 2);
        assert_eq!(rows(in_range(all(), &range("beef", "cow"))), []);
        assert_eq!(rows(at_most(all(), 7).unwrap()).len(), 4);
        assert_eq!(
            rows(at_most(all(), 5).unwrap()),
            [("ant".to_owned(), 4, false), ("bee".to_owned(), 2, false), ("cow".to_owned(), 5, true)]
        );
        assert_eq!(rows(at_most(all(), 1).unwrap()), []);
    }
}
