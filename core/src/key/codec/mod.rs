//! The key codec: turns the key columns of rows into bytes that order as the rows do, and back.
//!
//! Made by [`crate::schema`]; memtables, files, merges and scans compare nothing but its bytes. The bytes are on disk (bounds
//! in the manifest, sparse indexes, filters) and never change for a version. Immutable, free to share between threads.
#![doc = include_str!("FORMAT.md")]

mod decode;
mod encode;

use super::KeyRows;
use crate::error::{Error, Result};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

/// The version of the encoding that [`KeyCodec`] writes and reads.
pub const KEY_CODEC_VERSION: u8 = 1;

/// One column of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyField {
    /// Its type: see [`KeyCodec::new`].
    pub data_type: DataType,
    /// Whether it may be null. Nulls come first, and are equal to each other.
    pub nullable: bool,
}

/// The encoding of a key's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCodec {
    parts: Vec<Part>,
    form: Form,
}

/// One column and how its values become bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    field: KeyField,
    layout: Layout,
    /// Whether it ends the key: then strings are kept as they are.
    is_last: bool,
}

/// How the values of a type become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Boolean,
    Unsigned(usize),
    Signed(usize),
    Float(usize),
    FixedBinary(usize),
    Binary,
}

/// Which variant of [`KeyRows`] the codec makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One column of this many bytes, never null.
    Heads(usize),
    /// One column of strings, never null: its own buffers.
    Shared,
    /// Anything else.
    Encoded,
}

impl Layout {
    /// The layout of a type that may be in a key.
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::UInt8 => Self::Unsigned(1),
            DataType::UInt16 => Self::Unsigned(2),
            DataType::UInt32 => Self::Unsigned(4),
            DataType::UInt64 => Self::Unsigned(8),
            DataType::Int8 => Self::Signed(1),
            DataType::Int16 => Self::Signed(2),
            DataType::Int32 | DataType::Date32 | DataType::Time32(_) | DataType::Decimal32(..) => Self::Signed(4),
            DataType::Int64
            | DataType::Date64
            | DataType::Time64(_)
            | DataType::Timestamp(..)
            | DataType::Decimal64(..) => Self::Signed(8),
            DataType::Decimal128(..) => Self::Signed(16),
            DataType::Decimal256(..) => Self::Signed(32),
            DataType::Float16 => Self::Float(2),
            DataType::Float32 => Self::Float(4),
            DataType::Float64 => Self::Float(8),
            DataType::FixedSizeBinary(width) => match usize::try_from(*width) {
                Ok(width @ 1..=super::MAX_KEY_BYTES) => Self::FixedBinary(width),
                _ => return None,
            },
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView => Self::Binary,
            _ => return None,
        })
    }

    /// The bytes of every value; `None` if they differ.
    fn width(self) -> Option<usize> {
        match self {
            Self::Boolean => Some(1),
            Self::Unsigned(width) | Self::Signed(width) | Self::Float(width) | Self::FixedBinary(width) => Some(width),
            Self::Binary => None,
        }
    }
}

impl KeyCodec {
    /// The codec of these columns, in key order. Refuses none at all, and types that a key cannot have: it takes booleans,
    /// integers, floats (IEEE total order), decimals, dates, times, timestamps, strings and binaries in all their forms
    /// (fixed ones of 1 to 65,536 bytes).
    pub fn new(fields: Vec<KeyField>) -> Result<Self> {
        let last = fields.len().checked_sub(1).ok_or_else(|| Error::invalid("a key needs at least one column"))?;
        let parts = fields.into_iter().enumerate().map(|(index, field)| match Layout::of(&field.data_type) {
            Some(layout) => Ok(Part { field, layout, is_last: index == last }),
            None => Err(Error::invalid(format!("a key cannot have the type {}", field.data_type))),
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let form = match &parts[..] {
            [only] if only.field.nullable => Form::Encoded,
            [only] => match (only.layout.width(), &only.field.data_type) {
                (Some(width @ ..=8), _) => Form::Heads(width),
                (None, DataType::Utf8 | DataType::Binary) => Form::Shared,
                _ => Form::Encoded,
            },
            _ => Form::Encoded,
        };
        Ok(Self { parts, form })
    }

    /// The columns, in key order.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = &KeyField> {
        self.parts.iter().map(|part| &part.field)
    }

    /// The keys of the rows of `columns`, which are the key's columns in key order. One codec always makes one variant of
    /// [`KeyRows`]; a single Utf8 or Binary column shares its memory. Refuses columns of other types or lengths, nulls where
    /// there may be none, keys over [`super::MAX_KEY_BYTES`] (the error names the row) and more than 2 GiB of keys.
    ///
    /// Requires: valid arrays, as Arrow defines them.
    pub fn encode(&self, columns: &[ArrayRef]) -> Result<KeyRows> {
        if columns.len() != self.parts.len() {
            return Err(Error::invalid(format!("a key of {} columns was given {}", self.parts.len(), columns.len())));
        }
        self.check(columns)?;
        match self.form {
            Form::Heads(width) => Ok(KeyRows::Fixed { width, heads: encode::heads(&self.parts[0], &columns[0]) }),
            Form::Shared => encode::shared(&columns[0]),
            Form::Encoded => encode::rows(&self.parts, columns),
        }
    }

    /// The bytes that every key with these values in its leading columns begins with, and no other key; `columns` have one
    /// row each. With all columns it is the key itself, which, if it ends with a string, others may begin with.
    pub fn encode_prefix(&self, columns: &[ArrayRef]) -> Result<Vec<u8>> {
        self.check_leading(columns)?;
        encode::prefix(&self.parts, columns)
    }

    /// As [`KeyCodec::encode_prefix`], but of the last given column, a string or binary, the value is only the beginning:
    /// `a` finds `a`, `ab` and `abc`.
    pub fn encode_starting_with(&self, columns: &[ArrayRef]) -> Result<Vec<u8>> {
        self.check_leading(columns)?;
        match columns.len().checked_sub(1).map(|last| self.parts[last].layout) {
            Some(Layout::Binary) => encode::starting_with(&self.parts, columns),
            _ => Err(Error::invalid("only a string or binary column can be asked for its beginning")),
        }
    }

    /// The values of one encoded key, arrays of one row. Bytes that no row encodes to are [`crate::ErrorKind::Corruption`]
    /// without a place; the caller adds file and offset, or another kind.
    pub fn decode(&self, key: &[u8]) -> Result<Vec<ArrayRef>> {
        decode::columns(&self.parts, key)
    }

    fn check_leading(&self, columns: &[ArrayRef]) -> Result<()> {
        if columns.len() > self.parts.len() {
            return Err(Error::invalid(format!("a key of {} columns was given {}", self.parts.len(), columns.len())));
        }
        if columns.iter().any(|column| column.len() != 1) {
            return Err(Error::invalid("the values of a key's prefix are arrays of one row"));
        }
        self.check(columns)
    }

    /// Types, lengths and nulls.
    fn check(&self, columns: &[ArrayRef]) -> Result<()> {
        for (index, (part, column)) in self.parts.iter().zip(columns).enumerate() {
            if column.data_type() != &part.field.data_type {
                return Err(Error::invalid(format!(
                    "key column {index} has the type {}, not {}",
                    part.field.data_type,
                    column.data_type()
                )));
            }
            if column.len() != columns[0].len() {
                return Err(Error::invalid(format!(
                    "key column {index} has {} rows, the first one {}",
                    column.len(),
                    columns[0].len()
                )));
            }
            if !part.field.nullable
                && let Some(nulls) = column.nulls()
                && nulls.null_count() > 0
            {
                let row = (0..nulls.len()).find(|&row| nulls.is_null(row)).unwrap_or(0);
                return Err(Error::invalid(format!("key column {index} is null in row {row}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
