//! From the verified bytes of one column of one batch to an Arrow array.
//!
//! Called by the reader. Plain buffers are not copied: the array lies in the bytes that were read. Promises: whatever the bytes say,
//! there is an array that Arrow calls valid, or an error; no buffer is decompressed to more than the index says that its batch takes.

use super::super::Compression;
use super::super::block_file::Decoder;
use super::layout::{BodyCodec, ColumnLayout, Node, buffer_count, children};
use arrow_array::{Array, ArrayRef, UnionArray, make_array};
use arrow_buffer::{Buffer, ScalarBuffer};
use arrow_data::ArrayData;
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
        for _ in 1..own {
            data = data.add_buffer(self.buffer()?);
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
