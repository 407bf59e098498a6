//! Filters and their literals as bytes. A literal is a table schema of one column and a batch of it, in the encodings that manifest
//! and log have for these: types are exact, and hostile bytes are refused by code that is hardened for that.

use crate::batch::PreparedRows;
use crate::coding::{Reader, put_bytes, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Kind;
use crate::read::filter::{Comparison, Filter};
use crate::schema::{KeyOptions, TableSchema};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_schema::{Field, Schema};
use std::sync::Arc;

/// Deeper filters are refused, as they are when they are bound.
const MAX_DEPTH: usize = 200;

mod tag {
    pub const AND: u8 = 1;
    pub const OR: u8 = 2;
    pub const NOT: u8 = 3;
    pub const COMPARE: u8 = 4;
    pub const IN: u8 = 5;
    pub const IS_NULL: u8 = 6;
    pub const STARTS_WITH: u8 = 7;
}

pub(super) fn encode_filter(filter: &Filter, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::invalid(format!("the filter is nested more than {MAX_DEPTH} deep")));
    }
    match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            out.push(if matches!(filter, Filter::And(_)) { tag::AND } else { tag::OR });
            put_varint(out, parts.len() as u64);
            parts.iter().try_for_each(|part| encode_filter(part, depth + 1, out))
        }
        Filter::Not(part) => {
            out.push(tag::NOT);
            encode_filter(part, depth + 1, out)
        }
        Filter::Compare { column, comparison, literal } => {
            out.push(tag::COMPARE);
            put_bytes(out, column.as_bytes());
            out.push(*comparison as u8);
            encode_literal(literal, out)
        }
        Filter::In { column, literals } => {
            out.push(tag::IN);
            put_bytes(out, column.as_bytes());
            encode_literal(literals, out)
        }
        Filter::IsNull(column) => {
            out.push(tag::IS_NULL);
            put_bytes(out, column.as_bytes());
            Ok(())
        }
        Filter::StartsWith { column, prefix } => {
            out.push(tag::STARTS_WITH);
            put_bytes(out, column.as_bytes());
            put_bytes(out, prefix);
            Ok(())
        }
    }
}

/// The inverse; `None` for anything that nobody wrote.
pub(super) fn decode_filter(reader: &mut Reader<'_>, depth: usize) -> Option<Filter> {
    if depth > MAX_DEPTH {
        return None;
    }
    let parts = |reader: &mut Reader<'_>| -> Option<Vec<Filter>> {
        // Each has a byte at least.
        let count = usize::try_from(reader.varint()?).ok().filter(|count| *count <= reader.rest().len())?;
        (0..count).map(|_| decode_filter(reader, depth + 1)).collect()
    };
    Some(match reader.u8()? {
        tag::AND => Filter::And(parts(reader)?),
        tag::OR => Filter::Or(parts(reader)?),
        tag::NOT => Filter::Not(Box::new(decode_filter(reader, depth + 1)?)),
        tag::COMPARE => {
            let column = text(reader)?;
            let comparison = comparison(reader.u8()?)?;
            Filter::Compare { column, comparison, literal: decode_literal(reader)? }
        }
        tag::IN => Filter::In { column: text(reader)?, literals: decode_literal(reader)? },
        tag::IS_NULL => Filter::IsNull(text(reader)?),
        tag::STARTS_WITH => Filter::StartsWith { column: text(reader)?, prefix: reader.bytes()?.to_vec() },
        _ => return None,
    })
}

fn comparison(byte: u8) -> Option<Comparison> {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    [Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual].into_iter().find(|known| *known as u8 == byte)
}

pub(super) fn text(reader: &mut Reader<'_>) -> Option<String> {
    String::from_utf8(reader.bytes()?.to_vec()).ok()
}

fn encode_literal(literal: &ArrayRef, out: &mut Vec<u8>) -> Result<()> {
    let columns = Schema::new(vec![Field::new("literal", literal.data_type().clone(), true)]);
    let schema = Arc::new(TableSchema::new(&columns, &[], &KeyOptions::default())?);
    let batch = RecordBatch::try_new(Arc::new(columns), vec![literal.clone()])
        .map_err(|cause| Error::invalid(format!("a literal of the filter cannot be written: {cause}")))?;
    let rows = PreparedRows::prepare(&schema, &batch, Kind::Rows)?;
    let mut encoded = Vec::new();
    schema.encode(&mut encoded);
    put_bytes(out, &encoded);
    let message = rows.encode_ipc()?;
    let message: Vec<&[u8]> = message.iter().map(Buffer::as_slice).collect();
    put_bytes(out, &message.concat());
    Ok(())
}

fn decode_literal(reader: &mut Reader<'_>) -> Option<ArrayRef> {
    let literal = |schema: &[u8], rows: &[u8]| -> Result<ArrayRef> {
        let schema = Arc::new(TableSchema::decode(schema)?);
        let rows = PreparedRows::decode_ipc(&schema, &Buffer::from(rows), Kind::Rows)?;
        let column = rows.batch().columns().first().cloned();
        column.ok_or_else(|| Error::new(ErrorKind::Corruption, "a literal without a value"))
    };
    let (schema, rows) = (reader.bytes()?, reader.bytes()?);
    literal(schema, rows).ok()
}
