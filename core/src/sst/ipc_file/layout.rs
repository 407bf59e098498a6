//! Where the columns of a batch lie in its body, from the metadata of its message.
//!
//! Called by the writer, which cuts strides there, and by the reader. Promises: the ranges of columns lie in the body, in order and
//! apart; every buffer lies in the range of its column; nothing is believed about rows and lengths that a decoder does not check.

use arrow_schema::{DataType, FieldRef, UnionMode};
use std::ops::Range;

/// The continuation marker and the metadata length, before the metadata.
pub const MESSAGE_PREFIX_BYTES: usize = 8;

/// How a message's buffers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyCodec {
    /// As they are.
    Plain,
    /// Each as an LZ4 frame behind its length.
    Lz4,
    /// Each as a Zstd frame behind its length.
    Zstd,
}

/// One array of a column or of its children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// How many rows it has.
    pub len: usize,
    /// How many of them are null.
    pub null_count: usize,
}

/// Where one column of one batch lies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnLayout {
    /// Its bytes, from the begin of the body.
    pub place: Range<u64>,
    /// Its arrays, parents before children.
    pub nodes: Vec<Node>,
    /// Its buffers, relative to the begin of its bytes.
    pub buffers: Vec<Range<usize>>,
    /// For each array of views, how many buffers hold its values.
    pub view_buffers: Vec<usize>,
}

/// Where the columns of one batch lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchLayout {
    /// How its buffers are stored.
    pub codec: BodyCodec,
    /// Its rows.
    pub rows: usize,
    /// Its columns in order.
    pub columns: Vec<ColumnLayout>,
}

impl BatchLayout {
    /// Bytes that it holds in memory.
    pub fn resident_bytes(&self) -> usize {
        let column = |column: &ColumnLayout| {
            size_of::<ColumnLayout>()
                + column.nodes.capacity() * size_of::<Node>()
                + column.buffers.capacity() * size_of::<Range<usize>>()
                + column.view_buffers.capacity() * size_of::<usize>()
        };
        size_of::<Self>() + self.columns.iter().map(column).sum::<usize>()
    }
}

/// Reads the message at the front of `bytes`: prefix, then metadata. The error says what is wrong with it.
pub fn parse(bytes: &[u8], fields: &[FieldRef], body_bytes: u64) -> Result<BatchLayout, &'static str> {
    const SHORT: &str = "batch without metadata";
    let (prefix, metadata) = bytes.split_at_checked(MESSAGE_PREFIX_BYTES).ok_or(SHORT)?;
    let len = prefix[4..].try_into().map(i32::from_le_bytes).map_err(|_| SHORT)?;
    let metadata = usize::try_from(len).ok().and_then(|len| metadata.get(..len)).ok_or(SHORT)?;
    if prefix[..4] != [0xff; 4] {
        return Err("batch without its marker");
    }
    let message = arrow_ipc::root_as_message(metadata).map_err(|_| "batch with malformed metadata")?;
    let batch = message.header_as_record_batch().ok_or("message that is no batch")?;
    if message.version() != arrow_ipc::MetadataVersion::V5 || u64::try_from(message.bodyLength()) != Ok(body_bytes) {
        return Err("batch of another version or length");
    }
    let codec = match batch.compression() {
        None => BodyCodec::Plain,
        Some(compression) if compression.codec() == arrow_ipc::CompressionType::LZ4_FRAME => BodyCodec::Lz4,
        Some(compression) if compression.codec() == arrow_ipc::CompressionType::ZSTD => BodyCodec::Zstd,
        Some(_) => return Err("batch with an unknown codec"),
    };
    let nodes: Vec<Node> = batch
        .nodes()
        .ok_or(SHORT)?
        .iter()
        .map(|node| Some(Node { len: usize_of(node.length())?, null_count: usize_of(node.null_count())? }))
        .collect::<Option<_>>()
        .ok_or("batch with an impossible count")?;
    let buffers = buffer_ranges(&batch, body_bytes)?;
    let view_buffers: Vec<usize> = batch
        .variadicBufferCounts()
        .map(|counts| counts.iter().map(usize_of).collect::<Option<_>>().ok_or("batch with an impossible count"))
        .transpose()?
        .unwrap_or_default();
    let mut walk = Walk { nodes: &nodes, buffers: &buffers, view_buffers: &view_buffers };
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        columns.push(walk.column(field.data_type()).ok_or("batch with other columns than its table")?);
    }
    if !(walk.nodes.is_empty() && walk.buffers.is_empty() && walk.view_buffers.is_empty()) {
        return Err("batch with more columns than its table");
    }
    place_columns(&mut columns, body_bytes);
    Ok(BatchLayout { codec, rows: usize_of(batch.length()).ok_or("batch with an impossible count")?, columns })
}

fn usize_of(value: i64) -> Option<usize> {
    usize::try_from(value).ok()
}

/// The buffers in the body: one after the other.
fn buffer_ranges(batch: &arrow_ipc::RecordBatch<'_>, body_bytes: u64) -> Result<Vec<Range<u64>>, &'static str> {
    const OUTSIDE: &str = "batch with a buffer outside its body";
    let mut ranges = Vec::new();
    let mut end = 0;
    for buffer in batch.buffers().ok_or("batch without buffers")?.iter() {
        let start = u64::try_from(buffer.offset()).map_err(|_| OUTSIDE)?;
        let len = u64::try_from(buffer.length()).map_err(|_| OUTSIDE)?;
        if start < end || start.checked_add(len).is_none_or(|end| end > body_bytes) {
            return Err(OUTSIDE);
        }
        end = start + len;
        ranges.push(start..end);
    }
    Ok(ranges)
}

/// Gives each column the bytes from its first buffer to the next column's, and makes its buffers relative to them.
fn place_columns(columns: &mut [ColumnLayout], body_bytes: u64) {
    let mut end = body_bytes;
    for column in columns.iter_mut().rev() {
        let start = column.buffers.first().map_or(end, |first| first.start as u64);
        column.place = start..end;
        for buffer in &mut column.buffers {
            *buffer = buffer.start - start as usize..buffer.end - start as usize;
        }
        end = start;
    }
}

/// What the columns before have left.
struct Walk<'a> {
    nodes: &'a [Node],
    buffers: &'a [Range<u64>],
    view_buffers: &'a [usize],
}

impl Walk<'_> {
    fn column(&mut self, data_type: &DataType) -> Option<ColumnLayout> {
        let mut column = ColumnLayout::default();
        self.array(data_type, &mut column)?;
        Some(column)
    }

    fn array(&mut self, data_type: &DataType, column: &mut ColumnLayout) -> Option<()> {
        let (node, nodes) = self.nodes.split_first()?;
        self.nodes = nodes;
        column.nodes.push(*node);
        let mut buffers = buffer_count(data_type)?;
        if matches!(data_type, DataType::Utf8View | DataType::BinaryView) {
            let (count, counts) = self.view_buffers.split_first()?;
            self.view_buffers = counts;
            column.view_buffers.push(*count);
            buffers = buffers.checked_add(*count)?;
        }
        let (own, others) = self.buffers.split_at_checked(buffers)?;
        self.buffers = others;
        for buffer in own {
            column.buffers.push(usize::try_from(buffer.start).ok()?..usize::try_from(buffer.end).ok()?);
        }
        for child in children(data_type) {
            self.array(child.data_type(), column)?;
        }
        Some(())
    }
}

/// How many buffers an array of this type has of its own; `None` if such arrays are not stored.
pub fn buffer_count(data_type: &DataType) -> Option<usize> {
    use DataType::{
        Binary, BinaryView, Dictionary, FixedSizeList, LargeBinary, LargeListView, LargeUtf8, ListView, Null,
        RunEndEncoded, Struct, Union, Utf8, Utf8View,
    };
    Some(match data_type {
        Null => 0,
        Struct(_) | FixedSizeList(..) | Union(_, UnionMode::Sparse) => 1,
        Utf8 | Binary | LargeUtf8 | LargeBinary | ListView(_) | LargeListView(_) => 3,
        // Validity and value or index: numbers, booleans, lists, maps; type id and offset: dense unions; views add buffers.
        Dictionary(..) | RunEndEncoded(..) => return None,
        Utf8View | BinaryView => 2,
        _ => 2,
    })
}

/// The fields of the arrays below one of this type.
pub fn children(data_type: &DataType) -> Vec<&FieldRef> {
    use DataType::{FixedSizeList, LargeList, LargeListView, List, ListView, Map, Struct, Union};
    match data_type {
        List(field)
        | LargeList(field)
        | ListView(field)
        | LargeListView(field)
        | FixedSizeList(field, _)
        | Map(field, _) => {
            vec![field]
        }
        Struct(fields) => fields.iter().collect(),
        Union(fields, _) => fields.iter().map(|(_, field)| field).collect(),
        _ => Vec::new(),
    }
}
