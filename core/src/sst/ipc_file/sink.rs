//! Where Arrow's encoder writes to: straight on to the output, with strides cut where batches and columns begin.
//!
//! Owned by the encoder of the writer. The metadata of a message come first and say where its columns will lie, so that nothing
//! but them is kept back. Promises: what the encoder wrote is what the output got, in this order.

use super::super::row_file::StridedOutput;
use super::layout::{self, BatchLayout, BodyCodec, MESSAGE_PREFIX_BYTES};
use crate::error::{Error, Result};
use crate::schema::TableSchema;
use std::io;
use std::sync::Arc;

/// The encoder's end of the output.
pub struct MessageSink {
    output: StridedOutput,
    schema: Arc<TableSchema>,
    state: State,
}

enum State {
    /// What is no batch: head and footer of the file.
    Outside,
    /// The metadata of a batch, as far as they have come.
    Metadata(Vec<u8>),
    /// The buffers of a batch.
    Body(Body),
}

struct Body {
    layout: BatchLayout,
    /// How much of it was written.
    offset: u64,
    bytes: u64,
    /// The columns that have begun.
    columns: usize,
    /// Begin and length of its buffers, but empty ones, in order.
    buffers: Vec<(u64, usize)>,
    /// The buffers that have begun.
    begun: usize,
    payload_bytes: u64,
}

impl MessageSink {
    /// Writes on to `output` rows of `schema`.
    pub fn new(output: StridedOutput, schema: Arc<TableSchema>) -> Self {
        Self { output, schema, state: State::Outside }
    }

    /// The output.
    pub fn output(&mut self) -> &mut StridedOutput {
        &mut self.output
    }

    /// Bytes that the output got.
    pub fn written_bytes(&self) -> u64 {
        self.output.offset()
    }

    /// The output, at the end.
    pub fn into_output(self) -> StridedOutput {
        self.output
    }

    /// What the encoder writes next is a batch.
    pub fn begin_batch(&mut self) {
        self.state = State::Metadata(Vec::new());
    }

    /// The batch is written; returns what its columns take when they are decoded. InvalidArgument if it is not whole.
    pub fn end_batch(&mut self) -> Result<u64> {
        match std::mem::replace(&mut self.state, State::Outside) {
            State::Body(body) if body.offset == body.bytes && body.begun == body.buffers.len() => {
                Ok(body.payload_bytes)
            }
            _ => Err(not_understood()),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.state {
            State::Outside => self.output.append(bytes),
            State::Metadata(metadata) => {
                metadata.extend_from_slice(bytes);
                let len = metadata.get(4..MESSAGE_PREFIX_BYTES).and_then(|len| len.try_into().ok());
                let Some(len) = len.map(i32::from_le_bytes) else { return Ok(()) };
                let end = usize::try_from(len).map_err(|_| not_understood())? + MESSAGE_PREFIX_BYTES;
                if metadata.len() < end {
                    return Ok(());
                }
                let metadata = std::mem::take(metadata);
                let (head, rest) = metadata.split_at(end);
                self.state = State::Body(Body::new(head, &self.schema).ok_or_else(not_understood)?);
                self.output.cut();
                self.output.append(head)?;
                if rest.is_empty() { Ok(()) } else { self.take(rest) }
            }
            State::Body(body) => body.take(bytes, &mut self.output),
        }
    }
}

impl Body {
    fn new(head: &[u8], schema: &TableSchema) -> Option<Self> {
        let message = arrow_ipc::root_as_message(&head[MESSAGE_PREFIX_BYTES..]).ok()?;
        let bytes = u64::try_from(message.bodyLength()).ok()?;
        let layout = layout::parse(head, schema.stored().fields(), bytes).ok()?;
        let buffers = layout.columns.iter().flat_map(|column| {
            column.buffers.iter().map(|buffer| (column.place.start + buffer.start as u64, buffer.len()))
        });
        let buffers = buffers.filter(|buffer| buffer.1 > 0).collect();
        Some(Self { layout, offset: 0, bytes, columns: 0, buffers, begun: 0, payload_bytes: 0 })
    }

    fn take(&mut self, bytes: &[u8], output: &mut StridedOutput) -> Result<()> {
        let end = self.offset + bytes.len() as u64;
        while let Some(&(start, len)) = self.buffers.get(self.begun).filter(|buffer| buffer.0 < end) {
            // Each buffer comes in one piece, so that its length when it is decoded stands at its begin.
            let stored = start.checked_sub(self.offset).and_then(|start| bytes.get(start as usize..)?.get(..len));
            self.payload_bytes += decoded_bytes(stored.ok_or_else(not_understood)?, self.layout.codec);
            self.begun += 1;
        }
        let mut rest = bytes;
        loop {
            while self.layout.columns.get(self.columns).is_some_and(|column| column.place.start <= self.offset) {
                output.cut();
                self.columns += 1;
            }
            let to_next = self.layout.columns.get(self.columns).map_or(u64::MAX, |next| next.place.start - self.offset);
            let (now, later) = rest.split_at(rest.len().min(usize::try_from(to_next).unwrap_or(usize::MAX)));
            output.append(now)?;
            self.offset += now.len() as u64;
            if later.is_empty() {
                return Ok(());
            }
            rest = later;
        }
    }
}

impl io::Write for MessageSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes).map_err(|error| io::Error::other(error.message().to_owned()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn not_understood() -> Error {
    Error::invalid("rows cannot be encoded: the message is not understood")
}

/// How long a stored buffer is when it is decoded.
fn decoded_bytes(stored: &[u8], codec: BodyCodec) -> u64 {
    match (codec, stored.split_first_chunk::<8>()) {
        (BodyCodec::Plain, _) | (_, None) => stored.len() as u64,
        (_, Some((len, content))) => u64::try_from(i64::from_le_bytes(*len)).unwrap_or(content.len() as u64),
    }
}
