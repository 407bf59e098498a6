//! Decodes a part of the rows of a batch, for scans that must not hold the whole of it.
//!
//! Called by scans. Of plain columns with values of one width, and of strings and binaries, only the bytes of these rows are read; a
//! column of another type, or a compressed one, is decoded as a whole and its rows are copied. Promises: what is handed out holds on to
//! nothing but its own rows; at most one whole column is in memory meanwhile.

use super::super::Access;
use super::super::row_file::{Projection, Screen, StoredRows, checked_sequences};
use super::decode;
use super::layout::{BodyCodec, ColumnLayout, Node};
use super::reader::{IpcFileReader, Wanted};
use crate::error::Result;
use crate::iter::{RowChunk, Sequences, copied};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_buffer::Buffer;
use arrow_schema::{DataType, Schema};
use std::ops::Range;
use std::sync::Arc;

/// Where the buffers of a piece begin in memory: what Arrow likes.
const ALIGNMENT_BYTES: usize = 64;

impl IpcFileReader {
    /// These rows of a batch; `None` if the condition admits none of them. Requires: the batch has them.
    pub fn piece(
        &self,
        group: usize,
        rows: Range<usize>,
        wanted: &Wanted<'_>,
        screen: Option<&Screen>,
    ) -> Result<Option<StoredRows>> {
        let stats = &self.index().groups[group];
        let user_columns = self.schema().columns().len();
        let mut decoded: Vec<(usize, ArrayRef)> = Vec::new();
        let mut column = |column: usize| -> Result<ArrayRef> {
            if let Some((_, array)) = decoded.iter().find(|(other, _)| *other == column) {
                return Ok(array.clone());
            }
            let array = self.piece_of_column(group, column, &rows, wanted.access)?;
            decoded.push((column, array.clone()));
            Ok(array)
        };
        if let Some(screen) = screen {
            let columns = screen.projection().columns.iter().map(|&at| column(at)).collect::<Result<_>>()?;
            if !screen.admits(columns, rows.len())? {
                return Ok(None);
            }
        }
        let keys = match self.schema().is_keyed() && wanted.keys {
            false => None,
            true => {
                let columns: Vec<ArrayRef> =
                    self.schema().key().iter().map(|&key| column(key)).collect::<Result<_>>()?;
                let keys = self.schema().key_codec().encode(&columns);
                Some(keys.map_err(|error| self.damaged(group, error.message()))?)
            }
        };
        let sequences = match wanted.sequences && stats.smallest_sequence != stats.largest_sequence {
            false => Sequences::Same(stats.largest_sequence),
            true => checked_sequences(&column(user_columns)?).map_err(|message| self.damaged(group, message))?,
        };
        let operations = (stats.tombstones > 0).then(|| column(user_columns + 1)).transpose()?;
        let columns = wanted.projection.columns.iter().map(|&asked| column(asked)).collect::<Result<Vec<_>>>()?;
        let schema = wanted.projection.schema.clone();
        let rows = StoredRows::from_checked(schema, columns, keys, sequences, operations, rows.len());
        rows.map(Some).map_err(|message| self.damaged(group, message))
    }

    fn piece_of_column(&self, group: usize, column: usize, rows: &Range<usize>, access: Access) -> Result<ArrayRef> {
        let field = &self.schema().stored().fields()[column];
        if access == Access::Scan && self.cached(group, column).is_none() {
            let layout = self.layout(group)?;
            // Validity begins with a whole byte.
            let start = rows.start - rows.start % 8;
            let plain = match layout.codec {
                BodyCodec::Plain => {
                    self.plain(group, field.data_type(), &layout.columns[column], &(start..rows.end))?
                }
                _ => None,
            };
            if let Some((own, bytes)) = plain {
                let limit_bytes = self.index().groups[group].payload_bytes;
                let buffers = decode::Buffers { codec: BodyCodec::Plain, limit_bytes, zstd: self.zstd() };
                let array = decode::decode(field.data_type(), &own, &bytes, buffers)
                    .map_err(|problem| self.damaged(group, &problem))?;
                self.check(group, column, &array)?;
                return Ok(array.slice(rows.start - start, rows.len()));
            }
        }
        let none = Projection { schema: Arc::new(Schema::empty()), columns: Vec::new() };
        // Known to nobody else, so that the whole column goes as soon as its rows are copied.
        let whole = Wanted::new(&none, access, super::super::Io::Allowed);
        let Some(array) = self.column(group, column, &whole)? else {
            return Err(self.damaged(group, "column that cannot be read"));
        };
        drop(whole);
        let schema = Arc::new(Schema::new(vec![field.clone()]));
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(schema, vec![array.slice(rows.start, rows.len())], &options)
            .map_err(|error| self.damaged(group, &error.to_string()))?;
        drop(array);
        let own = copied(&RowChunk { batch, keys: None, sequences: Sequences::Same(0), deletes: None })?;
        Ok(own.batch.column(0).clone())
    }

    /// The bytes of these rows of a plain column, and where its buffers lie in them; `None` for types whose rows are spread further.
    /// Requires: `rows` begins with a whole byte of validity.
    fn plain(
        &self,
        group: usize,
        data_type: &DataType,
        column: &ColumnLayout,
        rows: &Range<usize>,
    ) -> Result<Option<(ColumnLayout, Buffer)>> {
        let (Some(shape), [node]) = (Shape::of(data_type), &column.nodes[..]) else { return Ok(None) };
        let short = || self.damaged(group, "column with too few buffers");
        let bits = |rows: &Range<usize>| rows.start / 8..rows.end.div_ceil(8);
        let mut piece = Piece::default();
        let read = |buffer: usize, part: Range<usize>| -> Result<Buffer> {
            let place = column.buffers.get(buffer).ok_or_else(short)?;
            if part.start > part.end || part.end > place.len() {
                return Err(short());
            }
            let start = column.place.start + place.start as u64;
            self.read(group, start + part.start as u64..start + part.end as u64)
        };
        if node.null_count > 0 {
            piece.push(&read(0, bits(rows))?);
        } else {
            piece.push(&[]);
        }
        match shape {
            Shape::Bits => piece.push(&read(1, bits(rows))?),
            Shape::Fixed(width) => {
                piece.push(&read(1, rows.start.saturating_mul(width)..rows.end.saturating_mul(width))?)
            }
            Shape::Offsets(width) => {
                let stored =
                    read(1, rows.start.saturating_mul(width)..rows.end.saturating_add(1).saturating_mul(width))?;
                let offset = |bytes: &[u8]| match width {
                    4 => bytes.try_into().ok().map(i32::from_le_bytes).map(i64::from),
                    _ => bytes.try_into().ok().map(i64::from_le_bytes),
                };
                let offsets: Option<Vec<i64>> = stored.chunks_exact(width).map(offset).collect();
                let offsets = offsets.ok_or_else(short)?;
                let (first, last) = match (offsets.first(), offsets.last()) {
                    (Some(first), Some(last)) => (*first, *last),
                    _ => return Err(short()),
                };
                let mut moved = Vec::with_capacity(stored.len());
                for offset in offsets {
                    // Of an offset before the first nothing but an error can come: the decoder wants them to rise from 0.
                    let from_first = offset.checked_sub(first).ok_or_else(short)?;
                    moved.extend_from_slice(&from_first.to_le_bytes()[..width]);
                }
                piece.push(&moved);
                let part = usize::try_from(first).ok().zip(usize::try_from(last).ok()).ok_or_else(short)?;
                piece.push(&read(2, part.0..part.1)?);
            }
        }
        Ok(Some(piece.finish(Node { len: rows.len(), null_count: node.null_count })))
    }
}

/// How the values of a flat column lie in its buffers, behind the validity.
enum Shape {
    Bits,
    /// So many bytes each.
    Fixed(usize),
    /// Offsets of so many bytes, then the values.
    Offsets(usize),
}

impl Shape {
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Bits,
            DataType::FixedSizeBinary(width) => Self::Fixed(usize::try_from(*width).ok()?),
            DataType::Utf8 | DataType::Binary => Self::Offsets(4),
            DataType::LargeUtf8 | DataType::LargeBinary => Self::Offsets(8),
            other => Self::Fixed(other.primitive_width()?),
        })
    }
}

/// Buffers side by side.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    buffers: Vec<Range<usize>>,
}

impl Piece {
    fn push(&mut self, buffer: &[u8]) {
        let start = self.bytes.len().next_multiple_of(ALIGNMENT_BYTES);
        self.bytes.resize(start, 0);
        self.bytes.extend_from_slice(buffer);
        self.buffers.push(start..self.bytes.len());
    }

    fn finish(self, node: Node) -> (ColumnLayout, Buffer) {
        let layout = ColumnLayout {
            place: 0..self.bytes.len() as u64,
            nodes: vec![node],
            buffers: self.buffers,
            view_buffers: Vec::new(),
        };
        (layout, Buffer::from(self.bytes))
    }
}
