//! Schemas as bytes, for the manifest, and the fingerprint by which files and logs name them. The grammar is in `FORMAT.md`.
//!
//! Arrow's own message would do for the types, but its bytes are its authors' to change, and a fingerprint must not move.

use super::{MAX_FIELDS, MAX_TYPE_DEPTH, SchemaId, TableColumn, TableSchema, types};
use crate::coding::{Reader, put_bytes, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::key::KEY_CODEC_VERSION;
use arrow_schema::{DataType, Field, IntervalUnit, Metadata, TimeUnit, UnionFields, UnionMode};
use std::sync::Arc;
use twox_hash::XxHash3_64;

/// The version of the encoding that is written and read.
pub(super) const VERSION: u8 = 1;

/// The most bytes of an encoded schema: metadata is the user's and may be long.
pub(super) const MAX_ENCODED_BYTES: usize = 8 << 20;

impl TableSchema {
    /// Appends the schema as `FORMAT.md` has it: everything but what follows from the rest.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.push(KEY_CODEC_VERSION);
        put_varint(out, u64::from(self.id().0));
        put_varint(out, u64::from(self.next_column_id()));
        put_varint(out, self.columns().len() as u64);
        for column in self.columns() {
            put_varint(out, u64::from(column.id));
            put_field(out, &column.field, true);
        }
        put_indexes(out, self.key());
        put_indexes(out, self.order_by());
        put_metadata(out, self.user().metadata());
    }

    /// Reads what [`TableSchema::encode`] wrote, all of `bytes`. Errors are [`ErrorKind::Corruption`] without a place, which
    /// the caller adds, or [`ErrorKind::NotSupported`] for a version of the future.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_ENCODED_BYTES {
            return Err(corrupt("it is too long"));
        }
        let mut reader = Reader::new(bytes);
        let versions = (reader.u8(), reader.u8());
        if let (Some(version), Some(codec)) = versions
            && (version != VERSION || codec != KEY_CODEC_VERSION)
        {
            let what =
                format!("a table schema of version {version} with keys of version {codec} needs a newer library");
            return Err(Error::new(ErrorKind::NotSupported, what));
        }
        let decoded =
            decode_parts(&mut reader).ok_or_else(|| corrupt("it ends too early or has a number out of range"))?;
        if !reader.is_empty() {
            return Err(corrupt("bytes follow it"));
        }
        let (id, next_column_id, columns, key, order_by, metadata) = decoded;
        for column in &columns {
            let accepted = types::accept(&column.field).map_err(|error| corrupt(error.message()))?;
            if accepted != column.field {
                return Err(corrupt("a column has a type that is never stored"));
            }
        }
        let schema = Self::assemble(id, columns, key, order_by, next_column_id, metadata);
        let schema = schema.map_err(|error| corrupt(error.message()))?;
        let mut encoded = Vec::with_capacity(bytes.len());
        schema.encode(&mut encoded);
        if encoded == bytes { Ok(schema) } else { Err(corrupt("it is not as it would be written")) }
    }

    /// A hash of all that decides what rows mean: ids, names, types, nullability, key and order. The same for ever, on every
    /// machine; metadata and the schema's number do not count.
    pub fn fingerprint(&self) -> u64 {
        let mut bytes = vec![VERSION, KEY_CODEC_VERSION];
        for column in self.columns() {
            put_varint(&mut bytes, u64::from(column.id));
            put_field(&mut bytes, &column.field, false);
        }
        put_indexes(&mut bytes, self.key());
        put_indexes(&mut bytes, self.order_by());
        XxHash3_64::oneshot(&bytes)
    }

    /// Refuses a schema of other columns (names, types, nullability and their order), another key or another order. Ids do not count:
    /// they tell how the columns came about. The error is InvalidArgument, and names both fingerprints and the first difference.
    pub fn check_same(&self, given: &Self) -> Result<()> {
        let field = |of: &Self, index: usize| of.columns().get(index).map(|column| column.field.clone());
        let most = self.columns().len().max(given.columns().len());
        let differ = (0..most).map(|index| (index, field(self, index), field(given, index))).find(|(_, is, given)| {
            let same = |(a, b): (&Field, &Field)| {
                let same_type = a.data_type().equals_datatype(b.data_type());
                a.name() == b.name() && a.is_nullable() == b.is_nullable() && same_type
            };
            !is.as_ref().zip(given.as_ref()).is_some_and(same)
        });
        let difference = if let Some((index, is, given)) = differ {
            let shown = |field: Option<Field>| field.map_or("none".to_owned(), |field| shown(&field));
            format!("column {index} is {}, not {}", shown(is), shown(given))
        } else if self.key() != given.key() {
            format!("its key is ({}), not ({})", self.names_of(self.key()), given.names_of(given.key()))
        } else if self.order_by() != given.order_by() {
            format!("its order is ({}), not ({})", self.names_of(self.order_by()), given.names_of(given.order_by()))
        } else {
            return Ok(());
        };
        let (is, given) = (self.fingerprint(), given.fingerprint());
        let what = "it has other columns or another key";
        Err(Error::invalid(format!("{what}: fingerprint {is:016x}, not {given:016x} as given; {difference}")))
    }

    fn names_of(&self, indexes: &[usize]) -> String {
        let names: Vec<&str> = indexes.iter().map(|&index| self.columns()[index].field.name().as_str()).collect();
        names.join(", ")
    }
}

/// A column for an error, which must not grow with its name or type.
fn shown(field: &Field) -> String {
    let null = if field.is_nullable() { "" } else { " not null" };
    let text = format!("{:?} {}{null}", field.name(), field.data_type());
    text.chars().take(120).collect()
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corruption, format!("table schema: {what}"))
}

type Parts = (SchemaId, u32, Vec<TableColumn>, Vec<usize>, Vec<usize>, Metadata);

fn decode_parts(reader: &mut Reader<'_>) -> Option<Parts> {
    let id = SchemaId(number(reader)?);
    let next_column_id = number(reader)?;
    let mut budget = MAX_FIELDS;
    let count = count(reader)?;
    let mut columns = Vec::new();
    for _ in 0..count {
        let id = number(reader)?;
        columns.push(TableColumn { id, field: field(reader, 1, &mut budget)? });
    }
    let (key, order_by) = (indexes(reader, columns.len())?, indexes(reader, columns.len())?);
    Some((id, next_column_id, columns, key, order_by, metadata(reader)?))
}

fn put_indexes(out: &mut Vec<u8>, indexes: &[usize]) {
    put_varint(out, indexes.len() as u64);
    indexes.iter().for_each(|&index| put_varint(out, index as u64));
}

fn indexes(reader: &mut Reader<'_>, columns: usize) -> Option<Vec<usize>> {
    let count = count(reader)?;
    let index = |reader: &mut Reader<'_>| usize::try_from(reader.varint()?).ok().filter(|index| *index < columns);
    (0..count).map(|_| index(reader)).collect()
}

fn number<T: TryFrom<u64>>(reader: &mut Reader<'_>) -> Option<T> {
    T::try_from(reader.varint()?).ok()
}

/// How many things follow, of which each has a byte at least.
fn count(reader: &mut Reader<'_>) -> Option<usize> {
    number::<usize>(reader).filter(|count| *count <= reader.rest().len())
}

fn text(reader: &mut Reader<'_>) -> Option<String> {
    String::from_utf8(reader.bytes()?.to_vec()).ok()
}

fn put_metadata(out: &mut Vec<u8>, metadata: &Metadata) {
    put_varint(out, metadata.len() as u64);
    // In the order of the names: one schema, one sequence of bytes.
    for (name, value) in metadata {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

fn metadata(reader: &mut Reader<'_>) -> Option<Metadata> {
    let count = count(reader)?;
    let mut metadata = Metadata::default();
    for _ in 0..count {
        metadata.insert(text(reader)?, text(reader)?);
    }
    Some(metadata)
}

fn put_field(out: &mut Vec<u8>, field: &Field, has_metadata: bool) {
    put_bytes(out, field.name().as_bytes());
    out.push(u8::from(field.is_nullable()));
    put_type(out, field.data_type(), has_metadata);
    if has_metadata {
        put_metadata(out, field.metadata());
    }
}

fn field(reader: &mut Reader<'_>, depth: usize, budget: &mut usize) -> Option<Field> {
    if depth > MAX_TYPE_DEPTH {
        return None;
    }
    *budget = budget.checked_sub(1)?;
    let name = text(reader)?;
    let is_nullable = flag(reader)?;
    let data_type = data_type(reader, depth, budget)?;
    Some(Field::new(name, data_type, is_nullable).with_metadata(metadata(reader)?))
}

fn flag(reader: &mut Reader<'_>) -> Option<bool> {
    match reader.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn unit_number(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

fn unit(reader: &mut Reader<'_>) -> Option<TimeUnit> {
    [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond]
        .get(usize::from(reader.u8()?))
        .copied()
}

/// Types with nothing to say but their number. Numbers are on disk: never reused.
const PLAIN: [(u8, DataType); 20] = [
    (0, DataType::Null),
    (1, DataType::Boolean),
    (2, DataType::Int8),
    (3, DataType::Int16),
    (4, DataType::Int32),
    (5, DataType::Int64),
    (6, DataType::UInt8),
    (7, DataType::UInt16),
    (8, DataType::UInt32),
    (9, DataType::UInt64),
    (10, DataType::Float16),
    (11, DataType::Float32),
    (12, DataType::Float64),
    (13, DataType::Date32),
    (14, DataType::Date64),
    (15, DataType::Utf8),
    (16, DataType::LargeUtf8),
    (17, DataType::Utf8View),
    (18, DataType::Binary),
    (19, DataType::LargeBinary),
];
const BINARY_VIEW: u8 = 20;
const FIXED_SIZE_BINARY: u8 = 21;
const DECIMAL_32: u8 = 22;
const DECIMAL_64: u8 = 23;
const DECIMAL_128: u8 = 24;
const DECIMAL_256: u8 = 25;
const TIME_32: u8 = 26;
const TIME_64: u8 = 27;
const TIMESTAMP: u8 = 28;
const DURATION: u8 = 29;
const INTERVAL: u8 = 30;
const LIST: u8 = 31;
const LARGE_LIST: u8 = 32;
const LIST_VIEW: u8 = 33;
const LARGE_LIST_VIEW: u8 = 34;
const FIXED_SIZE_LIST: u8 = 35;
const STRUCT: u8 = 36;
const MAP: u8 = 37;
const UNION: u8 = 38;
/// Kept for dictionaries and run-end encodings, which no column has.
const RESERVED: u8 = 39;

fn put_type(out: &mut Vec<u8>, data_type: &DataType, has_metadata: bool) {
    use DataType as T;
    if let Some((number, _)) = PLAIN.iter().find(|(_, plain)| plain == data_type) {
        out.push(*number);
        return;
    }
    let nested = |out: &mut Vec<u8>, number: u8, field: &Field| {
        out.push(number);
        put_field(out, field, has_metadata);
    };
    match data_type {
        T::FixedSizeBinary(width) => {
            out.push(FIXED_SIZE_BINARY);
            put_varint(out, u64::from(width.unsigned_abs()));
        }
        T::Decimal32(precision, scale) => out.extend([DECIMAL_32, *precision, *scale as u8]),
        T::Decimal64(precision, scale) => out.extend([DECIMAL_64, *precision, *scale as u8]),
        T::Decimal128(precision, scale) => out.extend([DECIMAL_128, *precision, *scale as u8]),
        T::Decimal256(precision, scale) => out.extend([DECIMAL_256, *precision, *scale as u8]),
        T::Time32(unit) => out.extend([TIME_32, unit_number(*unit)]),
        T::Time64(unit) => out.extend([TIME_64, unit_number(*unit)]),
        T::Timestamp(unit, zone) => {
            out.extend([TIMESTAMP, unit_number(*unit), u8::from(zone.is_some())]);
            if let Some(zone) = zone {
                put_bytes(out, zone.as_bytes());
            }
        }
        T::Duration(unit) => out.extend([DURATION, unit_number(*unit)]),
        T::Interval(IntervalUnit::YearMonth) => out.extend([INTERVAL, 0]),
        T::Interval(IntervalUnit::DayTime) => out.extend([INTERVAL, 1]),
        T::Interval(IntervalUnit::MonthDayNano) => out.extend([INTERVAL, 2]),
        T::List(field) => nested(out, LIST, field),
        T::LargeList(field) => nested(out, LARGE_LIST, field),
        T::ListView(field) => nested(out, LIST_VIEW, field),
        T::LargeListView(field) => nested(out, LARGE_LIST_VIEW, field),
        T::FixedSizeList(field, len) => {
            nested(out, FIXED_SIZE_LIST, field);
            put_varint(out, u64::from(len.unsigned_abs()));
        }
        T::Struct(fields) => {
            out.push(STRUCT);
            put_varint(out, fields.len() as u64);
            fields.iter().for_each(|field| put_field(out, field, has_metadata));
        }
        T::Map(field, is_sorted) => {
            nested(out, MAP, field);
            out.push(u8::from(*is_sorted));
        }
        T::Union(fields, mode) => {
            out.extend([UNION, u8::from(*mode == UnionMode::Dense)]);
            put_varint(out, fields.len() as u64);
            for (id, field) in fields.iter() {
                out.push(id as u8);
                put_field(out, field, has_metadata);
            }
        }
        T::BinaryView => out.push(BINARY_VIEW),
        // Plain ones, done above, and two that no column has: readers refuse them.
        _ => out.push(RESERVED),
    }
}

fn data_type(reader: &mut Reader<'_>, depth: usize, budget: &mut usize) -> Option<DataType> {
    use DataType as T;
    let number = reader.u8()?;
    if let Some((_, plain)) = PLAIN.get(usize::from(number)) {
        return Some(plain.clone());
    }
    let mut child = |reader: &mut Reader<'_>| field(reader, depth + 1, budget).map(Arc::new);
    Some(match number {
        BINARY_VIEW => T::BinaryView,
        FIXED_SIZE_BINARY => T::FixedSizeBinary(self::number(reader)?),
        DECIMAL_32 => T::Decimal32(reader.u8()?, reader.u8()? as i8),
        DECIMAL_64 => T::Decimal64(reader.u8()?, reader.u8()? as i8),
        DECIMAL_128 => T::Decimal128(reader.u8()?, reader.u8()? as i8),
        DECIMAL_256 => T::Decimal256(reader.u8()?, reader.u8()? as i8),
        TIME_32 => T::Time32(unit(reader)?),
        TIME_64 => T::Time64(unit(reader)?),
        TIMESTAMP => {
            let unit = unit(reader)?;
            let zone = if flag(reader)? { Some(text(reader)?.into()) } else { None };
            T::Timestamp(unit, zone)
        }
        DURATION => T::Duration(unit(reader)?),
        INTERVAL => T::Interval(match reader.u8()? {
            0 => IntervalUnit::YearMonth,
            1 => IntervalUnit::DayTime,
            2 => IntervalUnit::MonthDayNano,
            _ => return None,
        }),
        LIST => T::List(child(reader)?),
        LARGE_LIST => T::LargeList(child(reader)?),
        LIST_VIEW => T::ListView(child(reader)?),
        LARGE_LIST_VIEW => T::LargeListView(child(reader)?),
        FIXED_SIZE_LIST => T::FixedSizeList(child(reader)?, self::number(reader)?),
        STRUCT => {
            let count = count(reader)?;
            T::Struct((0..count).map(|_| child(reader)).collect::<Option<Vec<_>>>()?.into())
        }
        MAP => T::Map(child(reader)?, flag(reader)?),
        UNION => {
            let mode = if flag(reader)? { UnionMode::Dense } else { UnionMode::Sparse };
            let count = count(reader)?;
            let mut entry = |reader: &mut Reader<'_>| Some((reader.u8()? as i8, child(reader)?));
            let entries = (0..count).map(|_| entry(reader)).collect::<Option<Vec<_>>>()?;
            let (ids, fields): (Vec<i8>, Vec<Arc<Field>>) = entries.into_iter().unzip();
            T::Union(UnionFields::try_new(ids, fields).ok()?, mode)
        }
        _ => return None,
    })
}
