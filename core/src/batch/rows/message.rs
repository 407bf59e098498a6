//! Rows as bytes: one Arrow IPC message without its schema. The layout is in `FORMAT.md`.
//!
//! The log has checked the bytes' checksum; still nothing here trusts them: what Arrow's decoder would take on faith is
//! looked at first, so that no bytes make it panic or ask for memory that they do not have themselves.

use crate::coding::Reader;
use crate::error::{Error, ErrorKind, Result};
use arrow_array::RecordBatch;
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::writer::StreamEncoder;
use arrow_ipc::{MessageHeader, MetadataVersion, root_as_message};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef, UnionMode};
use std::cell::RefCell;
use std::collections::HashMap;

/// What stands before every message.
const CONTINUATION: u32 = 0xffff_ffff;

/// Where values may begin in memory without a copy: Arrow's widest values want no more.
const ALIGNMENT: usize = 16;

thread_local! {
    /// An encoder that is past its schema. Making one takes longer than encoding a row.
    static ENCODER: RefCell<Option<StreamEncoder>> = const { RefCell::new(None) };
}

/// An encoder that was given its schema, which comes with the first batch only, and is not wanted.
fn new_encoder() -> std::result::Result<StreamEncoder, ArrowError> {
    let empty = Schema::empty();
    let mut encoder = StreamEncoder::try_new(&empty)?;
    encoder.encode(&RecordBatch::new_empty(empty.into()))?;
    Ok(encoder)
}

/// The message of `batch`, in pieces. Values are not copied: a piece is what an array holds, or padding.
pub(super) fn encode(batch: &RecordBatch) -> Result<Vec<Buffer>> {
    let unsupported =
        |error| Error::new(ErrorKind::NotSupported, format!("rows cannot be written to the log: {error}"));
    // Beyond the end of a thread's own variables each message has an encoder of its own.
    let kept = ENCODER.try_with(RefCell::take).ok().flatten();
    let mut encoder = kept.map_or_else(new_encoder, Ok).map_err(unsupported)?;
    let pieces = encoder.encode(batch).map_err(unsupported)?;
    let _ = ENCODER.try_with(|place| place.replace(Some(encoder)));
    Ok(pieces)
}

/// The batch with the columns of `schema` that `bytes` are, all of them. Errors: CORRUPTION without a place.
pub(super) fn decode(schema: SchemaRef, bytes: &Buffer) -> Result<RecordBatch> {
    let corrupt = |what: &str| Error::new(ErrorKind::Corruption, format!("a batch of rows in the log {what}"));
    let mut reader = Reader::new(bytes);
    if reader.u32() != Some(CONTINUATION) {
        return Err(corrupt("does not begin like a message"));
    }
    let metadata = reader.u32().and_then(|len| reader.take(len as usize));
    let metadata = metadata.ok_or_else(|| corrupt("is cut off in its metadata"))?;
    let message = root_as_message(metadata).map_err(|_| corrupt("has metadata that cannot be read"))?;
    if message.version() != MetadataVersion::V5 || message.header_type() != MessageHeader::RecordBatch {
        return Err(corrupt("is a message of another kind"));
    }
    let body_at = bytes.len() - reader.rest().len();
    if usize::try_from(message.bodyLength()) != Ok(reader.rest().len()) {
        return Err(corrupt("has a body of another length"));
    }
    let header = message.header_as_record_batch().ok_or_else(|| corrupt("has no header"))?;
    if header.compression().is_some() {
        return Err(corrupt("is compressed"));
    }
    let (Some(nodes), Some(buffers)) = (header.nodes(), header.buffers()) else {
        return Err(corrupt("has no values"));
    };
    let mut walk = Walk {
        nodes: nodes.iter().map(|node| (node.length(), node.null_count())).collect(),
        buffers: buffers.iter().map(|buffer| (buffer.offset(), buffer.length())).collect(),
        variadic: header.variadicBufferCounts().into_iter().flatten().collect(),
        body_len: reader.rest().len(),
    };
    let rows = header.length();
    walk.reverse();
    for field in schema.fields() {
        let column_rows = walk.check(field.data_type()).ok_or_else(|| corrupt("has values that cannot be"))?;
        if column_rows as i64 != rows {
            return Err(corrupt("has columns of different lengths"));
        }
    }
    if !walk.nodes.is_empty() || !walk.buffers.is_empty() || !walk.variadic.is_empty() {
        return Err(corrupt("has values beyond its columns"));
    }
    if !(0..=i64::from(u32::MAX)).contains(&rows) {
        return Err(corrupt("has an impossible number of rows"));
    }
    let mut body = bytes.slice(body_at);
    if !body.as_ptr().addr().is_multiple_of(ALIGNMENT) {
        let mut aligned = MutableBuffer::with_capacity(body.len());
        aligned.extend_from_slice(&body);
        body = aligned.into();
    }
    RecordBatchDecoder::try_new(&body, header, schema, &HashMap::new(), &MetadataVersion::V5)
        .and_then(RecordBatchDecoder::read_record_batch)
        .map_err(|error| corrupt(&format!("has bad values: {error}")))
}

/// Goes through the nodes and buffers of a message as the decoder will, last first (so that they can be popped).
struct Walk {
    nodes: Vec<(i64, i64)>,
    buffers: Vec<(i64, i64)>,
    variadic: Vec<i64>,
    body_len: usize,
}

impl Walk {
    fn reverse(&mut self) {
        self.nodes.reverse();
        self.buffers.reverse();
        self.variadic.reverse();
    }

    /// The length of the next node. Lengths that no message of 4 GiB has are refused: they would overflow on the way.
    fn node(&mut self) -> Option<usize> {
        let (len, nulls) = self.nodes.pop()?;
        let len = u32::try_from(len).ok()? as usize;
        (0..=len as i64).contains(&nulls).then_some(len)
    }

    /// The length of the next buffer, which lies in the body and consists of whole values of `width` bytes.
    fn buffer(&mut self, width: usize) -> Option<usize> {
        let (offset, len) = self.buffers.pop()?;
        let (offset, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
        let fits = offset.is_multiple_of(8) && len.is_multiple_of(width) && offset.checked_add(len)? <= self.body_len;
        fits.then_some(len)
    }

    fn buffers(&mut self, widths: &[usize]) -> Option<()> {
        widths.iter().try_for_each(|&width| self.buffer(width).map(|_| ()))
    }

    /// The rows of the next column, of this type.
    fn check(&mut self, data_type: &DataType) -> Option<usize> {
        use DataType as T;
        match data_type {
            T::Utf8View | T::BinaryView => {
                let rows = self.node()?;
                let variadic = usize::try_from(self.variadic.pop()?).ok()?;
                if variadic > self.buffers.len() {
                    return None;
                }
                self.buffers(&[1, 16])?;
                (0..variadic).try_for_each(|_| self.buffer(1).map(|_| ()))?;
                Some(rows)
            }
            T::Union(fields, mode) => {
                let rows = self.node()?;
                if self.buffer(1)? < rows {
                    return None;
                }
                if *mode == UnionMode::Dense && self.buffer(4)? < 4 * rows {
                    return None;
                }
                fields.iter().try_for_each(|(_, field)| self.check(field.data_type()).map(|_| ()))?;
                Some(rows)
            }
            _ => {
                // Validity first, then offsets, then values or children.
                let (buffers, children): (&[usize], Vec<&DataType>) = match data_type {
                    T::Null => (&[], Vec::new()),
                    T::Utf8 | T::Binary => (&[1, 4, 1], Vec::new()),
                    T::LargeUtf8 | T::LargeBinary => (&[1, 8, 1], Vec::new()),
                    T::List(field) | T::Map(field, _) => (&[1, 4], vec![field.data_type()]),
                    T::LargeList(field) => (&[1, 8], vec![field.data_type()]),
                    T::ListView(field) => (&[1, 4, 4], vec![field.data_type()]),
                    T::LargeListView(field) => (&[1, 8, 8], vec![field.data_type()]),
                    T::FixedSizeList(field, _) => (&[1], vec![field.data_type()]),
                    T::Struct(fields) => (&[1], fields.iter().map(|field| field.data_type()).collect()),
                    // Tables have none of these.
                    T::Dictionary(..) | T::RunEndEncoded(..) => return None,
                    _ => (&[1, data_type.primitive_width().unwrap_or(1)], Vec::new()),
                };
                let rows = self.node()?;
                self.buffers(buffers)?;
                for child in children {
                    let len = self.check(child)?;
                    let fits = match data_type {
                        T::Struct(_) => len == rows,
                        T::FixedSizeList(_, size) => rows.checked_mul(usize::try_from(*size).ok()?) == Some(len),
                        _ => true,
                    };
                    if !fits {
                        return None;
                    }
                }
                Some(rows)
            }
        }
    }
}

#[cfg(test)]
mod tests;
