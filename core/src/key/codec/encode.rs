//! Columns to key bytes, one column at a time: the type is looked at once per column, not per row.

use super::{Layout, Part};
use crate::error::{Error, Result};
use crate::key::{KeyRows, MAX_KEY_BYTES};
use arrow_array::cast::AsArray;
use arrow_array::types::{BinaryType, BinaryViewType, LargeBinaryType, LargeUtf8Type, StringViewType, Utf8Type};
use arrow_array::{Array, ArrayAccessor, ArrayRef};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer, i256};
use arrow_data::ArrayData;
use arrow_schema::DataType;

/// Leads a null of a column that may be null.
pub(super) const NULL: u8 = 0;
/// Leads a value of a column that may be null.
pub(super) const VALUE: u8 = 1;
/// Ends a string that is not the last column. Bytes up to [`ESCAPE`] never stand for themselves, so that it is the least.
pub(super) const END: u8 = 0;
/// Leads an escaped byte 0 or 1, which follows as 1 or 2.
pub(super) const ESCAPE: u8 = 1;

/// Calls `$body` with `$at` bound to a function from row to the value's bytes, an array of a length known to the compiler.
macro_rules! with_fixed {
    ($layout:expr, $column:expr, |$at:ident| $body:expr) => {{
        let data: ArrayData = $column.to_data();
        match $layout {
            Layout::Unsigned(1) => with_fixed!(@unsigned data, u8, |$at| $body),
            Layout::Unsigned(2) => with_fixed!(@unsigned data, u16, |$at| $body),
            Layout::Unsigned(4) => with_fixed!(@unsigned data, u32, |$at| $body),
            Layout::Unsigned(_) => with_fixed!(@unsigned data, u64, |$at| $body),
            Layout::Signed(1) => with_fixed!(@signed data, i8, |$at| $body),
            Layout::Signed(2) => with_fixed!(@signed data, i16, |$at| $body),
            Layout::Signed(4) => with_fixed!(@signed data, i32, |$at| $body),
            Layout::Signed(8) => with_fixed!(@signed data, i64, |$at| $body),
            Layout::Signed(16) => with_fixed!(@signed data, i128, |$at| $body),
            Layout::Signed(_) => with_fixed!(@signed data, i256, |$at| $body),
            Layout::Float(2) => with_fixed!(@float data, u16, |$at| $body),
            Layout::Float(4) => with_fixed!(@float data, u32, |$at| $body),
            Layout::Float(_) => with_fixed!(@float data, u64, |$at| $body),
            Layout::Boolean | Layout::FixedBinary(_) | Layout::Binary => {
                let values = $column.as_boolean_opt();
                let $at = |row: usize| [u8::from(values.is_some_and(|values| values.value(row)))];
                $body
            }
        }
    }};
    (@unsigned $data:ident, $native:ty, |$at:ident| $body:expr) => {{
        let values = $data.buffer::<$native>(0);
        let $at = |row: usize| values[row].to_be_bytes();
        $body
    }};
    // The flipped sign bit puts negative numbers first.
    (@signed $data:ident, $native:ty, |$at:ident| $body:expr) => {{
        let values = $data.buffer::<$native>(0);
        let $at = |row: usize| {
            let mut bytes = values[row].to_be_bytes();
            bytes[0] ^= 0x80;
            bytes
        };
        $body
    }};
    // A negative number turns over whole: the larger its magnitude, the earlier it comes.
    (@float $data:ident, $native:ty, |$at:ident| $body:expr) => {{
        let values = $data.buffer::<$native>(0);
        let $at = |row: usize| {
            const SIGN: $native = 1 << (<$native>::BITS - 1);
            let bits = values[row];
            (if bits & SIGN == 0 { bits ^ SIGN } else { !bits }).to_be_bytes()
        };
        $body
    }};
}

/// Calls `$body` with `$values` bound to the column as an accessor of values that are bytes.
macro_rules! with_binary {
    ($part:expr, $column:expr, |$values:ident| $body:expr) => {
        match &$part.field.data_type {
            DataType::Utf8 => with_binary!(@of $column.as_bytes::<Utf8Type>(), |$values| $body),
            DataType::LargeUtf8 => with_binary!(@of $column.as_bytes::<LargeUtf8Type>(), |$values| $body),
            DataType::LargeBinary => with_binary!(@of $column.as_bytes::<LargeBinaryType>(), |$values| $body),
            DataType::Utf8View => with_binary!(@of $column.as_byte_view::<StringViewType>(), |$values| $body),
            DataType::BinaryView => with_binary!(@of $column.as_byte_view::<BinaryViewType>(), |$values| $body),
            _ => with_binary!(@of $column.as_bytes::<BinaryType>(), |$values| $body),
        }
    };
    (@of $array:expr, |$values:ident| $body:expr) => {{
        let $values = $array;
        $body
    }};
}

/// The heads of a column of at most eight bytes.
pub(super) fn heads(part: &Part, column: &ArrayRef) -> ScalarBuffer<u64> {
    if let Layout::FixedBinary(_) = part.layout {
        let values = column.as_fixed_size_binary();
        return (0..column.len()).map(|row| crate::key::head(values.value(row), 0)).collect();
    }
    with_fixed!(part.layout, column, |value| (0..column.len()).map(|row| crate::key::head(&value(row), 0)).collect())
}

/// The column's own offsets and bytes.
pub(super) fn shared(column: &ArrayRef) -> Result<KeyRows> {
    let (offsets, data) = match column.data_type() {
        DataType::Utf8 => {
            let values = column.as_bytes::<Utf8Type>();
            (values.offsets().clone(), values.values().clone())
        }
        _ => {
            let values = column.as_bytes::<BinaryType>();
            (values.offsets().clone(), values.values().clone())
        }
    };
    check_lengths(&offsets)?;
    Ok(KeyRows::Bytes { offsets, data })
}

/// The keys of all rows.
pub(super) fn rows(parts: &[Part], columns: &[ArrayRef]) -> Result<KeyRows> {
    let (offsets, data) = encode(parts, columns, false)?;
    check_lengths(&offsets)?;
    Ok(KeyRows::Bytes { offsets, data: Buffer::from_vec(data) })
}

/// The bytes of the leading columns of the only row.
pub(super) fn prefix(parts: &[Part], columns: &[ArrayRef]) -> Result<Vec<u8>> {
    Ok(encode(&parts[..columns.len()], columns, false)?.1)
}

/// As [`prefix`], without the end of the last value.
pub(super) fn starting_with(parts: &[Part], columns: &[ArrayRef]) -> Result<Vec<u8>> {
    Ok(encode(&parts[..columns.len()], columns, true)?.1)
}

fn check_lengths(offsets: &OffsetBuffer<i32>) -> Result<()> {
    match offsets.lengths().position(|len| len > MAX_KEY_BYTES) {
        None => Ok(()),
        Some(row) => Err(Error::invalid(format!("the key of row {row} is longer than {MAX_KEY_BYTES} bytes"))),
    }
}

/// How strings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strings {
    /// As they are, at the end of a key.
    Raw,
    /// Escaped and ended.
    Ended,
    /// Escaped, to go on: the beginning of a string.
    Open,
}

/// Measures each row, then writes column after column; `is_open` leaves the end of the last column's values away.
fn encode(parts: &[Part], columns: &[ArrayRef], is_open: bool) -> Result<(OffsetBuffer<i32>, Vec<u8>)> {
    let rows = columns.first().map_or(0, |column| column.len());
    let strings = |index: usize| match () {
        () if parts[index].is_last => Strings::Raw,
        () if is_open && index + 1 == parts.len() => Strings::Open,
        () => Strings::Ended,
    };
    let mut lengths = vec![0usize; rows];
    for (index, (part, column)) in parts.iter().zip(columns).enumerate() {
        measure(part, column, strings(index), &mut lengths);
    }
    // `cursors[row + 1]` is where the next column of `row` goes; once all are written it is where the row ends.
    let mut cursors = Vec::with_capacity(rows + 1);
    cursors.push(0i32);
    let mut total = 0usize;
    for len in lengths {
        cursors.push(total as i32);
        total += len;
        if total > i32::MAX as usize {
            return Err(Error::invalid("the keys of one batch are longer than 2 GiB: write fewer rows at a time"));
        }
    }
    let mut data = vec![0u8; total];
    for (index, (part, column)) in parts.iter().zip(columns).enumerate() {
        write(part, column, strings(index), &mut cursors[1..], &mut data);
    }
    Ok((OffsetBuffer::new(cursors.into()), data))
}

/// Adds the bytes of each row's value to `lengths`.
fn measure(part: &Part, column: &ArrayRef, strings: Strings, lengths: &mut [usize]) {
    let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
    let lead = usize::from(part.field.nullable);
    if let Some(width) = part.layout.width() {
        for (row, len) in lengths.iter_mut().enumerate() {
            *len += lead + if is_null(nulls, row) { 0 } else { width };
        }
        return;
    }
    with_binary!(part, column, |values| {
        for (row, len) in lengths.iter_mut().enumerate() {
            *len += lead;
            if !is_null(nulls, row) {
                let value: &[u8] = bytes_of(values, row);
                *len += value.len() + usize::from(strings == Strings::Ended);
                if strings != Strings::Raw {
                    *len += special_count(value);
                }
            }
        }
    });
}

/// Writes each row's value at its cursor and moves the cursor behind it.
fn write(part: &Part, column: &ArrayRef, strings: Strings, cursors: &mut [i32], data: &mut [u8]) {
    let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
    if part.field.nullable {
        for (row, cursor) in cursors.iter_mut().enumerate() {
            data[*cursor as usize] = if is_null(nulls, row) { NULL } else { VALUE };
            *cursor += 1;
        }
    }
    let mut place = |row: usize, value: &[u8]| {
        let at = cursors[row] as usize;
        data[at..at + value.len()].copy_from_slice(value);
        cursors[row] += value.len() as i32;
    };
    let rows = column.len();
    match part.layout {
        Layout::FixedBinary(_) => {
            let values = column.as_fixed_size_binary();
            (0..rows).filter(|&row| !is_null(nulls, row)).for_each(|row| place(row, values.value(row)));
        }
        Layout::Binary => with_binary!(part, column, |values| {
            for row in (0..rows).filter(|&row| !is_null(nulls, row)) {
                let value: &[u8] = bytes_of(values, row);
                if strings != Strings::Raw && special_count(value) > 0 {
                    for &byte in value {
                        if byte <= ESCAPE {
                            place(row, &[ESCAPE, byte + 1]);
                        } else {
                            place(row, &[byte]);
                        }
                    }
                } else {
                    place(row, value);
                }
                if strings == Strings::Ended {
                    place(row, &[END]);
                }
            }
        }),
        layout => with_fixed!(layout, column, |value| match nulls {
            None => (0..rows).for_each(|row| place(row, &value(row))),
            Some(nulls) => nulls.valid_indices().for_each(|row| place(row, &value(row))),
        }),
    }
}

#[inline]
fn is_null(nulls: Option<&NullBuffer>, row: usize) -> bool {
    nulls.is_some_and(|nulls| nulls.is_null(row))
}

#[inline]
fn bytes_of<'a, A>(values: A, row: usize) -> &'a [u8]
where
    A: ArrayAccessor,
    A::Item: IntoBytes<'a>,
{
    values.value(row).into_bytes()
}

/// Strings and binaries alike.
trait IntoBytes<'a> {
    fn into_bytes(self) -> &'a [u8];
}

impl<'a> IntoBytes<'a> for &'a str {
    fn into_bytes(self) -> &'a [u8] {
        str::as_bytes(self)
    }
}

impl<'a> IntoBytes<'a> for &'a [u8] {
    fn into_bytes(self) -> &'a [u8] {
        self
    }
}

/// How many bytes of `value` take two when escaped.
#[inline]
fn special_count(value: &[u8]) -> usize {
    value.iter().filter(|&&byte| byte <= ESCAPE).count()
}
