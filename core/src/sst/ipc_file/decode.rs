//! From the verified bytes of one column of one batch to an Arrow array.
//!
//! Called by the reader. Plain buffers are not copied: the array lies in the bytes that were read. Promises: whatever the bytes say,
//! there is an array that Arrow calls valid, or an error; no buffer is decompressed to more than the index says that its batch takes.

use super::super::Compression;
use super::super::block_file::Decoder;
use super::layout::{BodyCodec, ColumnLayout, Node, buffer_count, children};
use arrow_array::{Array, ArrayRef, UnionArray, make_array};
use arrow_buffer::{Buffer, ScalarBuffer};
use arrow_data::{ArrayData, BufferSpec};
use arrow_schema::{ArrowError, DataType, UnionMode};
use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

/// What is wrong with a column.
pub type Problem = Cow<'static, str>;

/// How the buffers of a batch are decoded.
#[derive(Clone, Copy)]
pub struct Buffers<'a> {
    pub codec: BodyCodec,
    /// No buffer may become longer than this.
    pub limit_bytes: u64,
    pub zstd: &'a Decoder,
}

/// Decodes a column of `data_type` from its bytes.
pub fn decode(
    data_type: &DataType,
    layout: &ColumnLayout,
    bytes: &Buffer,
    buffers: Buffers<'_>,
) -> Result<ArrayRef, Problem> {
    let mut source = Source {
        bytes,
        buffers,
        nodes: layout.nodes.iter(),
        places: layout.buffers.iter(),
        view_buffers: layout.view_buffers.iter(),
    };
    source.array(data_type)
}

struct Source<'a> {
    bytes: &'a Buffer,
    buffers: Buffers<'a>,
    nodes: std::slice::Iter<'a, Node>,
    places: std::slice::Iter<'a, Range<usize>>,
    view_buffers: std::slice::Iter<'a, usize>,
}

const SHORT: Problem = Cow::Borrowed("column with too few buffers");

fn invalid(error: ArrowError) -> Problem {
    Cow::Owned(format!("column that Arrow refuses: {error}"))
}

impl Source<'_> {
    fn array(&mut self, data_type: &DataType) -> Result<ArrayRef, Problem> {
        let node = *self.nodes.next().ok_or(SHORT)?;
        if let DataType::Union(..) = data_type {
            return self.union(data_type, node.len);
        }
        if let DataType::Map(entries, _) = data_type
            && !matches!(entries.data_type(), DataType::Struct(fields) if fields.len() == 2)
        {
            return Err("map whose entries are no pairs".into());
        }
        let mut own = buffer_count(data_type).ok_or("column of a type that is not stored")?;
        if matches!(data_type, DataType::Utf8View | DataType::BinaryView) {
            own += *self.view_buffers.next().ok_or(SHORT)?;
        }
        let mut data = ArrayData::builder(data_type.clone()).len(node.len).align_buffers(true);
        if own > 0 {
            let validity = self.buffer()?;
            if node.null_count > 0 {
                data = data.null_bit_buffer(Some(validity));
            }
        }
        let layout = arrow_data::layout(data_type);
        for index in 1..own {
            let buffer = self.buffer()?;
            // Arrow looks at such buffers as slices of numbers before it checks them, and panics if they end inside of one.
            data = data.add_buffer(match layout.buffers.get(index - 1) {
                Some(BufferSpec::FixedWidth { byte_width, .. }) if *byte_width > 0 => {
                    buffer.slice_with_length(0, buffer.len() - buffer.len() % byte_width)
                }
                _ => buffer,
            });
        }
        for child in children(data_type) {
            data = data.add_child_data(self.array(child.data_type())?.to_data());
        }
        Ok(make_array(data.build().map_err(invalid)?))
    }

    /// Unions are not checked as the other types are, so they are put together by the constructor that checks.
    fn union(&mut self, data_type: &DataType, len: usize) -> Result<ArrayRef, Problem> {
        let DataType::Union(fields, mode) = data_type else { return Err(SHORT) };
        let types = self.buffer()?;
        let types: Vec<i8> = types.get(..len).ok_or(SHORT)?.iter().map(|&byte| byte as i8).collect();
        let offsets = match mode {
            UnionMode::Sparse => None,
            UnionMode::Dense => {
                let bytes = self.buffer()?;
                let offsets = bytes.chunks_exact(4).take(len).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                let offsets: Vec<i32> = offsets.collect();
                Some(ScalarBuffer::from(offsets)).filter(|offsets| offsets.len() == len)
            }
        };
        if *mode == UnionMode::Dense && offsets.is_none() {
            return Err(SHORT);
        }
        let arrays =
            children(data_type).into_iter().map(|child| self.array(child.data_type())).collect::<Result<_, _>>()?;
        let array = UnionArray::try_new(fields.clone(), types.into(), offsets, arrays).map_err(invalid)?;
        Ok(std::sync::Arc::new(array))
    }

    fn buffer(&mut self) -> Result<Buffer, Problem> {
        let place = self.places.next().ok_or(SHORT)?;
        if place.start > place.end || place.end > self.bytes.len() {
            return Err(SHORT);
        }
        let stored = self.bytes.slice_with_length(place.start, place.len());
        if self.buffers.codec == BodyCodec::Plain || stored.is_empty() {
            return Ok(stored);
        }
        let (len, content) = stored.split_first_chunk::<8>().ok_or("compressed buffer without a length")?;
        match i64::from_le_bytes(*len) {
            -1 => Ok(stored.slice(8)),
            len => match u64::try_from(len) {
                Ok(len) if len <= self.buffers.limit_bytes => self.decompress(content, len as usize),
                _ => Err("compressed buffer with an impossible length".into()),
            },
        }
    }

    fn decompress(&self, content: &[u8], len: usize) -> Result<Buffer, Problem> {
        let mut out = Vec::new();
        out.try_reserve_exact(len).map_err(|_| "no memory for a compressed buffer")?;
        out.resize(len, 0);
        let complete = match self.buffers.codec {
            BodyCodec::Plain => false,
            BodyCodec::Zstd => self.buffers.zstd.decode(Compression::Zstd, content, &mut out),
            BodyCodec::Lz4 => {
                let mut decoder = lz4_flex::frame::FrameDecoder::new(content);
                decoder.read_exact(&mut out).is_ok() && matches!(decoder.read(&mut [0]), Ok(0))
            }
        };
        if complete { Ok(Buffer::from(out)) } else { Err("compressed buffer that cannot be decompressed".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_plain(data_type: &DataType, rows: usize, nulls: usize, buffers: &[&[u8]]) -> Result<ArrayRef, Problem> {
        let mut layout = ColumnLayout { nodes: vec![Node { len: rows, null_count: nulls }], ..ColumnLayout::default() };
        let mut bytes = Vec::new();
        for buffer in buffers {
            layout.buffers.push(bytes.len()..bytes.len() + buffer.len());
            bytes.extend_from_slice(buffer);
        }
        let zstd = Decoder::default();
        decode(
            data_type,
            &layout,
            &bytes.into(),
            Buffers { codec: BodyCodec::Plain, limit_bytes: 1 << 20, zstd: &zstd },
        )
    }

    #[test]
    fn buffers_that_are_too_short_or_end_inside_a_number_are_refused() {
        let good: &[&[u8]] = &[&[], &[0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0], b"abc"];
        assert!(decode_plain(&DataType::Utf8, 2, 0, good).is_ok());
        assert!(decode_plain(&DataType::Utf8, 2, 0, &[&[], &good[1][..11], b"abc"]).is_err());
        assert!(decode_plain(&DataType::Utf8, 3, 0, good).is_err());
        assert!(decode_plain(&DataType::Utf8, 2, 1, good).is_err(), "nulls without validity");
        assert!(decode_plain(&DataType::Utf8, 2, 0, &[&[], good[1], b"ab"]).is_err());
        assert!(decode_plain(&DataType::Utf8, 2, 0, &[&[], good[1], b"a\xff\xff"]).is_err());
        assert!(decode_plain(&DataType::Utf8, 2, 0, &good[..2]).is_err());
        assert!(decode_plain(&DataType::Int64, 2, 0, &[&[], &[0; 15]]).is_err());
        assert!(decode_plain(&DataType::Int64, usize::MAX, 0, &[&[], &[0; 16]]).is_err());
        assert!(
            decode_plain(&DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)), 1, 0, good)
                .is_err()
        );
    }
}
