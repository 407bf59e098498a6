//! One column of a row builder: values in the layout of Arrow, and at most one more that belongs to the row not appended yet.

use arrow_array::{ArrayRef, make_array, new_null_array};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, TimeUnit};
use engine::{Error, ErrorKind, Result};

/// How values lie in memory.
enum Values {
    Bits(BooleanBufferBuilder),
    /// Little endian, `width` bytes each.
    Fixed {
        bytes: Vec<u8>,
        width: usize,
    },
    /// Where each value ends, and all of them.
    Texts {
        ends: Vec<i64>,
        bytes: Vec<u8>,
    },
    /// Only nulls can be set.
    None,
}

/// A column that is being filled.
pub(crate) struct Column {
    field: Field,
    values: Values,
    nulls: NullBufferBuilder,
    rows: usize,
    /// Whether the row that is not appended yet has a value here. None is null.
    is_set: bool,
}

impl Column {
    pub(crate) fn new(field: &Field) -> Self {
        use DataType as T;
        // The engine takes either form for the other.
        let data_type = match field.data_type() {
            T::Utf8View => T::Utf8,
            T::BinaryView => T::Binary,
            other => other.clone(),
        };
        let values = match &data_type {
            T::Boolean => Values::Bits(BooleanBufferBuilder::new(0)),
            T::Utf8 | T::LargeUtf8 | T::Binary | T::LargeBinary => Values::Texts { ends: vec![], bytes: vec![] },
            T::FixedSizeBinary(width) => Values::Fixed { bytes: vec![], width: usize::try_from(*width).unwrap_or(0) },
            T::Interval(_) | T::Float16 => Values::None,
            other => other.primitive_width().map_or(Values::None, |width| Values::Fixed { bytes: vec![], width }),
        };
        let field = field.clone().with_data_type(data_type);
        Self { field, values, nulls: NullBufferBuilder::new(0), rows: 0, is_set: false }
    }

    pub(crate) fn field(&self) -> &Field {
        &self.field
    }

    pub(crate) fn is_begun(&self) -> bool {
        self.is_set
    }

    #[cold]
    fn refuse(&self, what: &str) -> Error {
        Error::invalid(format!("column {:?} of type {} {what}", self.field.name(), self.field.data_type()))
    }

    pub(crate) fn set_bool(&mut self, value: bool) -> Result<()> {
        if *self.field.data_type() != DataType::Boolean {
            return Err(self.refuse("takes no bool"));
        }
        self.set_null();
        if let Values::Bits(bits) = &mut self.values {
            bits.append(value);
            self.is_set = true;
        }
        Ok(())
    }

    /// A whole number, also one that counts days, seconds and the like, or the digits of a decimal.
    #[inline]
    pub(crate) fn set_integer(&mut self, value: i128) -> Result<()> {
        let (width, is_signed) = match self.field.data_type() {
            DataType::Int64 | DataType::Timestamp(..) => (8, true),
            other => match integer(other) {
                Some(form) => form,
                None => return Err(self.refuse("takes no whole number")),
            },
        };
        let bits = 8 * width.min(16) as u32 - u32::from(is_signed);
        let (min, max) = match (bits, is_signed) {
            (127, _) => (i128::MIN, i128::MAX),
            (bits, true) => (-(1i128 << bits), (1i128 << bits) - 1),
            (bits, false) => (0, (1i128 << bits) - 1),
        };
        if value < min || value > max {
            return Err(self.refuse(&format!("cannot hold {value}")));
        }
        let sign = if value < 0 { [0xff; 32] } else { [0; 32] };
        let mut bytes = sign;
        bytes[..16].copy_from_slice(&value.to_le_bytes());
        self.put(&bytes[..width])
    }

    #[inline]
    pub(crate) fn set_f64(&mut self, value: f64) -> Result<()> {
        match self.field.data_type() {
            DataType::Float64 => self.put(&value.to_le_bytes()),
            DataType::Float32 => self.put(&(value as f32).to_le_bytes()),
            _ => Err(self.refuse("takes no floating-point number")),
        }
    }

    pub(crate) fn set_bytes(&mut self, value: &[u8]) -> Result<()> {
        let is_large = match self.field.data_type() {
            DataType::FixedSizeBinary(width) => {
                if usize::try_from(*width) != Ok(value.len()) {
                    return Err(self.refuse(&format!("cannot hold {} bytes", value.len())));
                }
                return self.put(value);
            }
            DataType::Binary => false,
            DataType::LargeBinary => true,
            text @ (DataType::Utf8 | DataType::LargeUtf8) => {
                if std::str::from_utf8(value).is_err() {
                    return Err(self.refuse("cannot hold bytes that are not UTF-8"));
                }
                *text == DataType::LargeUtf8
            }
            _ => return Err(self.refuse("takes no bytes")),
        };
        if let Values::Texts { ends, .. } = &self.values
            && !is_large
            && ends.last().map_or(0, |&end| end as usize) + value.len() > i32::MAX as usize
        {
            return Err(self.refuse("is full: write the rows that are there"));
        }
        self.set_null();
        if let Values::Texts { bytes, .. } = &mut self.values {
            reserve(bytes, value.len())?;
            bytes.extend_from_slice(value);
            self.is_set = true;
        }
        Ok(())
    }

    #[inline]
    fn put(&mut self, value: &[u8]) -> Result<()> {
        self.set_null();
        if let Values::Fixed { bytes, .. } = &mut self.values {
            reserve(bytes, value.len())?;
            bytes.extend_from_slice(value);
            self.is_set = true;
        }
        Ok(())
    }

    /// Takes back what was set in the row that is not appended: it is null then.
    #[inline]
    pub(crate) fn set_null(&mut self) {
        if self.is_set {
            match &mut self.values {
                Values::Bits(bits) => bits.truncate(self.rows),
                Values::Fixed { bytes, width } => bytes.truncate(self.rows * *width),
                Values::Texts { ends, bytes } => bytes.truncate(ends.last().map_or(0, |&end| end as usize)),
                Values::None => {}
            }
        }
        self.is_set = false;
    }

    /// Whether the row can be appended.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_set || self.field.is_nullable() {
            return Ok(());
        }
        Err(self.refuse("may not be null and has no value in this row"))
    }

    /// Ends the row. Requires: `check` was satisfied.
    #[inline]
    pub(crate) fn append(&mut self) {
        let is_value = self.is_set;
        match &mut self.values {
            Values::Bits(bits) if !is_value => bits.append(false),
            Values::Fixed { bytes, width } if !is_value => bytes.resize(bytes.len() + *width, 0),
            Values::Texts { ends, bytes } => ends.push(bytes.len() as i64),
            _ => {}
        }
        if is_value {
            self.nulls.append_non_null()
        } else {
            self.nulls.append_null()
        }
        self.is_set = false;
        self.rows += 1;
    }

    /// A copy of the values as an array.
    pub(crate) fn array(&self, rows: usize) -> Result<ArrayRef> {
        let buffers = match &self.values {
            Values::Bits(bits) => vec![Buffer::from(bits.as_slice())],
            Values::Fixed { bytes, .. } => vec![Buffer::from(bytes.as_slice())],
            Values::Texts { ends, bytes } => {
                let is_large = matches!(self.field.data_type(), DataType::LargeUtf8 | DataType::LargeBinary);
                let offsets = std::iter::once(&0).chain(ends);
                let offsets = match is_large {
                    true => Buffer::from_vec(offsets.copied().collect::<Vec<i64>>()),
                    false => Buffer::from_vec(offsets.map(|&offset| offset as i32).collect::<Vec<i32>>()),
                };
                vec![offsets, Buffer::from(bytes.as_slice())]
            }
            Values::None => return Ok(new_null_array(self.field.data_type(), rows)),
        };
        let data = ArrayData::builder(self.field.data_type().clone())
            .len(rows)
            .nulls(self.nulls.finish_cloned())
            .buffers(buffers)
            .align_buffers(true)
            .build();
        Ok(make_array(data.map_err(|error| self.refuse(&error.to_string()))?))
    }

    /// Forgets all values and keeps their memory.
    pub(crate) fn clear(&mut self) {
        match &mut self.values {
            Values::Bits(bits) => bits.truncate(0),
            Values::Fixed { bytes, .. } => bytes.clear(),
            Values::Texts { ends, bytes } => {
                ends.clear();
                bytes.clear();
            }
            Values::None => {}
        }
        self.nulls = NullBufferBuilder::new(self.rows);
        self.rows = 0;
        self.is_set = false;
    }
}

fn reserve(bytes: &mut Vec<u8>, more: usize) -> Result<()> {
    bytes.try_reserve(more).map_err(|_| Error::new(ErrorKind::NoMemory, "no memory for the rows of a builder"))
}

/// Bytes of a whole number of this type, and whether it has a sign.
fn integer(data_type: &DataType) -> Option<(usize, bool)> {
    use DataType as T;
    let width = data_type.primitive_width()?;
    match data_type {
        T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => Some((width, false)),
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Date32 | T::Date64 | T::Timestamp(..) | T::Duration(_) => {
            Some((width, true))
        }
        T::Time32(TimeUnit::Second | TimeUnit::Millisecond) | T::Time64(_) => Some((width, true)),
        T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..) => Some((width, true)),
        _ => None,
    }
}
