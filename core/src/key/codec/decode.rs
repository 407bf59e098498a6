//! Key bytes to columns of one row. Takes any bytes: what no row encodes to is refused, nothing is allocated beyond the key.

use super::encode::{END, ESCAPE, NULL, VALUE};
use super::{Layout, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::key::MAX_KEY_BYTES;
use arrow_array::{ArrayRef, make_array};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::DataType;

pub(super) fn columns(parts: &[Part], key: &[u8]) -> Result<Vec<ArrayRef>> {
    if key.len() > MAX_KEY_BYTES {
        return Err(corrupt(format!("{} bytes are more than a key has", key.len())));
    }
    let mut rest = key;
    let mut columns = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let column = column(part, &mut rest)
            .map_err(|what| corrupt(format!("column {index}, {}, {what}", part.field.data_type)))?;
        columns.push(column);
    }
    if rest.is_empty() { Ok(columns) } else { Err(corrupt(format!("{} bytes too many", rest.len()))) }
}

fn corrupt(what: String) -> Error {
    Error::new(ErrorKind::Corruption, format!("encoded key: {what}"))
}

fn column(part: &Part, rest: &mut &[u8]) -> std::result::Result<ArrayRef, String> {
    if part.field.nullable {
        match take(rest, 1)?[0] {
            NULL => return Ok(arrow_array::new_null_array(&part.field.data_type, 1)),
            VALUE => {}
            other => return Err(format!("is led by {other}")),
        }
    }
    let data_type = &part.field.data_type;
    let data = match part.layout {
        Layout::Binary if part.is_last => variable(data_type, std::mem::take(rest)),
        Layout::Binary => variable(data_type, &unescape(rest)?),
        Layout::Boolean => match take(rest, 1)?[0] {
            byte @ (0 | 1) => fixed(data_type, &[byte]),
            other => return Err(format!("has the byte {other}")),
        },
        Layout::FixedBinary(width) => fixed(data_type, take(rest, width)?),
        Layout::Unsigned(width) => fixed(data_type, &native(take(rest, width)?, |_| {})),
        Layout::Signed(width) => fixed(data_type, &native(take(rest, width)?, |bytes| bytes[0] ^= 0x80)),
        Layout::Float(width) => fixed(
            data_type,
            &native(take(rest, width)?, |bytes| {
                if bytes[0] & 0x80 == 0 {
                    bytes.iter_mut().for_each(|byte| *byte = !*byte);
                } else {
                    bytes[0] ^= 0x80;
                }
            }),
        ),
    };
    data.map(make_array).map_err(|error| format!("is refused: {error}"))
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> std::result::Result<&'a [u8], String> {
    let (head, tail) = rest.split_at_checked(len).ok_or("ends too early")?;
    *rest = tail;
    Ok(head)
}

/// Big-endian bytes, turned back by `undo`, in the order of this machine.
fn native(bytes: &[u8], undo: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    undo(&mut bytes);
    if cfg!(target_endian = "little") {
        bytes.reverse();
    }
    bytes
}

/// The value up to its end, which is taken too.
fn unescape(rest: &mut &[u8]) -> std::result::Result<Vec<u8>, String> {
    let mut value = Vec::new();
    loop {
        match take(rest, 1)?[0] {
            END => return Ok(value),
            ESCAPE => match take(rest, 1)?[0] {
                byte @ (1 | 2) => value.push(byte - 1),
                other => return Err(format!("escapes the byte {other}")),
            },
            byte => value.push(byte),
        }
    }
}

type Built = std::result::Result<ArrayData, arrow_schema::ArrowError>;

fn fixed(data_type: &DataType, bytes: &[u8]) -> Built {
    // The copy is aligned for every type.
    ArrayData::builder(data_type.clone()).len(1).add_buffer(Buffer::from_slice_ref(bytes)).build()
}

fn variable(data_type: &DataType, bytes: &[u8]) -> Built {
    // At most MAX_KEY_BYTES: fits every kind of offset.
    let len = bytes.len();
    let (first, second) = match data_type {
        DataType::Utf8View | DataType::BinaryView => {
            let view = match len {
                0..=12 => {
                    let mut view = [0u8; 16];
                    view[..4].copy_from_slice(&(len as u32).to_le_bytes());
                    view[4..4 + len].copy_from_slice(bytes);
                    u128::from_le_bytes(view)
                }
                _ => len as u128 | u128::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])) << 32,
            };
            (Buffer::from_vec(vec![view]), bytes)
        }
        DataType::LargeUtf8 | DataType::LargeBinary => (Buffer::from_vec(vec![0i64, len as i64]), bytes),
        _ => (Buffer::from_vec(vec![0i32, len as i32]), bytes),
    };
    let data =
        ArrayData::builder(data_type.clone()).len(1).buffers(vec![first, Buffer::from_slice_ref(second)]).build()?;
    data.validate_full()?;
    Ok(data)
}
