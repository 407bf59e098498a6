//! Bounds of one column within a group or a file: what a scan needs to know to leave it out.

use super::scalar;
use crate::coding::{Reader, put_bytes, put_varint};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

/// What is known of the values of one column. Each bound is an array of one row, of the column's type; it is absent if there is no
/// value or no order (see the format). A delete counts as a null outside the key.
#[derive(Debug, Clone)]
pub struct ColumnBounds {
    /// The column's id.
    pub id: u32,
    /// At or below each value.
    pub min: Option<ArrayRef>,
    /// At or above each value.
    pub max: Option<ArrayRef>,
    /// Whether both bounds are values that occur.
    pub exact: bool,
    /// How many rows are null.
    pub null_count: u64,
}

impl ColumnBounds {
    /// Bytes that it holds in memory.
    pub fn resident_bytes(&self) -> usize {
        let array = |array: &Option<ArrayRef>| array.as_ref().map_or(0, |array| array.get_array_memory_size());
        size_of::<Self>() + array(&self.min) + array(&self.max)
    }
}

/// Bounds as bytes: gathered chunk by chunk, and as they are on disk.
#[derive(Debug, Clone, Default)]
pub struct RawBounds {
    min: Option<Vec<u8>>,
    max: Option<Vec<u8>>,
    /// Whether the bound was cut.
    min_cut: bool,
    max_cut: bool,
    /// Set once a bound had to be cut so far that there is none above all values.
    unbounded: bool,
    null_count: u64,
}

const HAS_MIN: u8 = 1;
const HAS_MAX: u8 = 2;
const INEXACT: u8 = 4;

impl RawBounds {
    /// Takes in the values of `array`.
    pub fn add(&mut self, array: &dyn Array) {
        self.null_count += array.logical_null_count() as u64;
        let Some((least, greatest)) = scalar::extremes(array) else { return };
        let data_type = array.data_type();
        if let Some(value) = scalar::encode(array, least) {
            let (value, exact) = scalar::shorten_lower(data_type, value);
            self.lower(data_type, value, exact);
        }
        if let Some(value) = scalar::encode(array, greatest) {
            match scalar::shorten_upper(data_type, value) {
                Some((value, exact)) => self.raise(data_type, value, exact),
                None => self.unbounded = true,
            }
        }
    }

    /// Takes in what another one took in.
    pub fn merge(&mut self, data_type: &DataType, other: &Self) {
        self.null_count += other.null_count;
        self.unbounded |= other.unbounded;
        if let Some(value) = &other.min {
            self.lower(data_type, value.clone(), !other.min_cut);
        }
        if let Some(value) = &other.max {
            self.raise(data_type, value.clone(), !other.max_cut);
        }
    }

    fn lower(&mut self, data_type: &DataType, value: Vec<u8>, exact: bool) {
        if self.min.as_ref().is_none_or(|min| is_less(data_type, &value, min)) {
            (self.min, self.min_cut) = (Some(value), !exact);
        } else if self.min.as_ref() == Some(&value) {
            self.min_cut &= !exact;
        }
    }

    fn raise(&mut self, data_type: &DataType, value: Vec<u8>, exact: bool) {
        if self.max.as_ref().is_none_or(|max| is_less(data_type, max, &value)) {
            (self.max, self.max_cut) = (Some(value), !exact);
        } else if self.max.as_ref() == Some(&value) {
            self.max_cut &= !exact;
        }
    }

    fn is_exact(&self) -> bool {
        !(self.min_cut || self.max_cut || self.unbounded)
    }

    /// The bounds of the column with this id and type; `None` if they are no values of that type.
    pub fn decode_values(&self, id: u32, data_type: &DataType) -> Option<ColumnBounds> {
        let decode = |value: &Option<Vec<u8>>| match value {
            None => Some(None),
            Some(bytes) => scalar::decode(data_type, bytes).map(Some),
        };
        let max = if self.unbounded { None } else { decode(&self.max)? };
        let exact = self.is_exact();
        Some(ColumnBounds { id, min: decode(&self.min)?, max, exact, null_count: self.null_count })
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let max = self.max.as_ref().filter(|_| !self.unbounded);
        let mut flags = 0;
        flags |= if self.min.is_some() { HAS_MIN } else { 0 };
        flags |= if max.is_some() { HAS_MAX } else { 0 };
        flags |= if self.is_exact() { 0 } else { INEXACT };
        put_varint(out, self.null_count);
        out.push(flags);
        for value in self.min.iter().chain(max) {
            put_bytes(out, value);
        }
    }

    /// Decodes what [`RawBounds::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let null_count = reader.varint()?;
        let flags = reader.u8().filter(|flags| flags & !(HAS_MIN | HAS_MAX | INEXACT) == 0)?;
        let mut value = |flag: u8| match flags & flag {
            0 => Some(None),
            _ => reader.bytes().map(|bytes| Some(bytes.to_vec())),
        };
        let (min, max) = (value(HAS_MIN)?, value(HAS_MAX)?);
        let unbounded = min.is_some() && max.is_none();
        let cut = flags & INEXACT != 0;
        Some(Self { min, max, min_cut: cut, max_cut: cut, unbounded, null_count })
    }
}

/// Whether value `a` of the type is less than `b`, both as the bytes of [`scalar::encode`].
fn is_less(data_type: &DataType, a: &[u8], b: &[u8]) -> bool {
    if data_type.primitive_width().is_none() {
        return a < b;
    }
    // Numbers are compared as such: their bytes do not order them. Too rare to deserve more than two arrays of one row.
    let (Some(a), Some(b)) = (scalar::decode(data_type, a), scalar::decode(data_type, b)) else { return false };
    let both = arrow_select::concat::concat(&[&a, &b]);
    // The first of equal values is the least.
    both.is_ok_and(|both| scalar::extremes(&both) == Some((0, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{Int64Array, StringArray};

    #[test]
    fn bounds_grow_over_chunks_and_survive_encoding() {
        let mut raw = RawBounds::default();
        raw.add(&Int64Array::from(vec![Some(300), None]));
        raw.add(&Int64Array::from(vec![Some(-2), Some(7)]));
        raw.add(&Int64Array::from(vec![None, None]));
        let mut other = RawBounds::default();
        other.add(&Int64Array::from(vec![5000]));
        raw.merge(&DataType::Int64, &other);
        let mut bytes = Vec::new();
        raw.encode(&mut bytes);
        let bounds = RawBounds::decode(&mut Reader::new(&bytes)).unwrap().decode_values(4, &DataType::Int64).unwrap();
        assert_eq!((bounds.id, bounds.null_count, bounds.exact), (4, 3, true));
        assert_eq!(bounds.min.unwrap().as_primitive::<Int64Type>().value(0), -2);
        assert_eq!(bounds.max.unwrap().as_primitive::<Int64Type>().value(0), 5000);
        assert!(RawBounds::decode(&mut Reader::new(&bytes[..bytes.len() - 1])).is_none());
    }

    #[test]
    fn a_column_without_an_upper_bound_has_none() {
        let mut raw = RawBounds::default();
        raw.add(&StringArray::from(vec!["\u{10ffff}".repeat(30).as_str(), "b"]));
        let mut all = RawBounds::default();
        all.merge(&DataType::Utf8, &raw);
        all.add(&StringArray::from(vec!["c"]));
        let bounds = all.decode_values(1, &DataType::Utf8).unwrap();
        assert_eq!(bounds.min.unwrap().as_string::<i32>().value(0), "b");
        assert!(bounds.max.is_none() && !bounds.exact);
    }
}
