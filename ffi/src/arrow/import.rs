//! Arrow from C: schemas, arrays and streams of a caller as those of the engine.
//!
//! Promises: (1) everything that can be told wrong is refused before it is read: counts, lengths, offsets, NULLs, nesting, then by
//! the engine types and values; (2) what is kept was copied, only the rows that the array shows and aligned, before it was checked:
//! a caller who changes it meanwhile gets wrong rows, nothing worse. What nobody can check is trusted: that buffers are as long
//! as the array's length and offsets say.
//!
//! This module may use `unsafe`: it reads the buffers of the caller and calls the callbacks of his streams.

use crate::arrow_abi::{self, ArrowArray, ArrowArrayStream, ArrowSchema, Moved};
use crate::bytes;
use arrow_array::{ArrayRef, OffsetSizeTrait, RecordBatch, RecordBatchOptions};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, UnionMode};
use engine::schema::{MAX_BATCH_ROWS, MAX_FIELDS, import_foreign};
use engine::{Error, ErrorKind, Result};
use std::ffi::{CStr, c_char};
use std::sync::Arc;

/// Deeper schemas are refused before anything recursive walks them; the engine's own limit is lower and says more.
const MAX_DEPTH: usize = 64;

/// More nodes than a table's fields: dictionaries are nodes too.
const MAX_NODES: usize = 4 * MAX_FIELDS;

const _: () = assert!(size_of::<ArrowSchema>() == size_of::<FFI_ArrowSchema>());

/// One field: the type of an array, or a column to add.
pub(crate) fn field(schema: Moved<ArrowSchema>, name: &str) -> Result<Field> {
    let given = schema.get(name)?;
    let mut nodes = 0;
    check_schema(given, name, 0, &mut nodes)?;
    // SAFETY: both structs are laid out as the specification says; `given` is aligned and stays until the end of this call, and
    // what arrow-rs takes for granted of it was checked: format and name are text, children are there and few.
    let foreign = unsafe { &*(&raw const *given).cast::<FFI_ArrowSchema>() };
    Field::try_from(foreign).map_err(|error| refused(name, &error))
}

/// The columns of a table or batch: a struct.
pub(crate) fn schema(schema: Moved<ArrowSchema>, name: &str) -> Result<Schema> {
    let field = field(schema, name)?;
    match field.data_type() {
        DataType::Struct(fields) => Ok(Schema::new(fields.clone()).with_metadata(field.metadata().clone())),
        other => Err(Error::invalid(format!("`{name}` is of type {other}: a struct of columns is expected"))),
    }
}

fn refused(name: &str, error: &ArrowError) -> Error {
    Error::invalid(format!("`{name}` is not valid Arrow: {error}"))
}

fn wrong(name: &str, what: &str) -> Error {
    Error::invalid(format!("`{name}` is not valid Arrow: {what}"))
}

fn check_schema(schema: &ArrowSchema, name: &str, depth: usize, nodes: &mut usize) -> Result<()> {
    *nodes += 1;
    if depth > MAX_DEPTH || *nodes > MAX_NODES {
        let limit = if depth > MAX_DEPTH { "nests too deep" } else { "has too many fields" };
        return Err(wrong(name, limit));
    }
    let format = text(schema.format).ok_or_else(|| wrong(name, "a format that is NULL or no UTF-8"))?;
    if !schema.name.is_null() && text(schema.name).is_none() {
        return Err(wrong(name, "a name that is not UTF-8"));
    }
    let children = match usize::try_from(schema.n_children) {
        Ok(count) if count <= MAX_NODES => count,
        _ => return Err(wrong(name, &format!("{} children", schema.n_children))),
    };
    let expected = match format {
        "+r" => Some(2),
        _ if format.starts_with("+s") || format.starts_with("+u") => None,
        _ if format.starts_with('+') => Some(1),
        _ => Some(0),
    };
    if expected.is_some_and(|expected| expected != children) {
        return Err(wrong(name, &format!("{children} children of a type \"{format}\"")));
    }
    for index in 0..children {
        let child = arrow_abi::pointer(schema.children, index, name)?;
        check_aligned(child, name)?;
        check_schema(&arrow_abi::load(child, name)?, name, depth + 1, nodes)?;
    }
    if !schema.dictionary.is_null() {
        check_aligned(schema.dictionary, name)?;
        check_schema(&arrow_abi::load(schema.dictionary, name)?, name, depth + 1, nodes)?;
    }
    Ok(())
}

fn check_aligned(schema: *mut ArrowSchema, name: &str) -> Result<()> {
    if schema.is_aligned() { Ok(()) } else { Err(wrong(name, "a child that is not aligned")) }
}

fn text<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL; the producer says that a text with its NUL is there until the schema is released.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

/// One array of a type, as the field of a filter's literal. It may have any number of rows.
pub(crate) fn array(array: Moved<ArrowArray>, field: &Field, name: &str) -> Result<ArrayRef> {
    let given = array.get(name)?;
    let source = Source::of(given, name)?;
    let data = source.import(field.data_type(), 0, source.length)?;
    import_foreign(field.name(), data)
}

/// The rows of a batch, with the columns of `schema`. Nulls where there may be none are left for the engine to refuse, which
/// names column and row.
pub(crate) fn batch(array: Moved<ArrowArray>, schema: &Schema, name: &str) -> Result<RecordBatch> {
    let given = array.get(name)?;
    let source = Source::of(given, name)?;
    if source.length > MAX_BATCH_ROWS {
        return Err(Error::invalid(format!("a batch has at most {MAX_BATCH_ROWS} rows, not {}", source.length)));
    }
    source.expect(1, schema.fields().len())?;
    if let Some(nulls) = source.validity(0, source.length)?
        && let Some(row) = (0..source.length).find(|row| nulls.is_null(*row))
    {
        return Err(Error::invalid(format!("`{name}` is null in row {row}: only its columns may be")));
    }
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        let in_column = |error: Error| error.context(&format!("column {:?}", shown(field.name())));
        let child = source.child(index)?;
        let data = child.import(field.data_type(), source.offset, source.length).map_err(in_column)?;
        columns.push(import_foreign(field.name(), data)?);
    }
    let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(source.length));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .map_err(|error| refused(name, &error))
}

/// A name for a message: foreign ones may be of any length.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

/// An array of the caller's, or one inside of it, its counts checked.
struct Source<'a> {
    array: ArrowArray,
    length: usize,
    offset: usize,
    buffers: usize,
    name: &'a str,
}

impl<'a> Source<'a> {
    fn of(array: &ArrowArray, name: &'a str) -> Result<Self> {
        let count = |value: i64, what: &str| {
            // One more bit than any length in bytes has: sums of two do not overflow.
            let bounded = usize::try_from(value).ok().filter(|&value| value <= isize::MAX as usize / 2);
            bounded.ok_or_else(|| wrong(name, &format!("{what} {value}")))
        };
        Ok(Self {
            array: *array,
            length: count(array.length, "length")?,
            offset: count(array.offset, "offset")?,
            buffers: count(array.n_buffers, "number of buffers")?,
            name,
        })
    }

    fn wrong(&self, what: &str) -> Error {
        wrong(self.name, what)
    }

    fn expect(&self, buffers: usize, children: usize) -> Result<()> {
        if self.buffers != buffers {
            return Err(self.wrong(&format!("{} buffers where {buffers} are expected", self.buffers)));
        }
        if usize::try_from(self.array.n_children) != Ok(children) {
            return Err(self.wrong(&format!("{} children where {children} are expected", self.array.n_children)));
        }
        Ok(())
    }

    /// Requires: `index` is below the number of children that was expected.
    fn child(&self, index: usize) -> Result<Source<'a>> {
        let child = arrow_abi::pointer(self.array.children, index, self.name)?;
        Source::of(&arrow_abi::load(child, self.name)?, self.name)
    }

    /// Requires: `index` is below the number of buffers that was expected.
    fn buffer(&self, index: usize) -> Result<*const u8> {
        Ok(arrow_abi::pointer(self.array.buffers, index, self.name)?.cast())
    }

    /// A copy of `count` items of `width` bytes, from item `first` of buffer `index` on.
    fn copy(&self, index: usize, first: usize, count: usize, width: usize) -> Result<Buffer> {
        let size = |items: usize| items.checked_mul(width).filter(|&size| size <= isize::MAX as usize / 2);
        let (Some(start), Some(bytes)) = (size(first), size(count)) else {
            return Err(self.wrong("more values than memory has bytes"));
        };
        if bytes == 0 {
            return Ok(Buffer::from_vec(Vec::<u8>::new()));
        }
        let from = self.buffer(index)?;
        if from.is_null() {
            return Err(self.wrong(&format!("buffer {index} is NULL")));
        }
        copied(from, start, bytes)
    }

    /// A copy of `count` bits, from bit `first` of buffer `index` on.
    fn bits(&self, index: usize, first: usize, count: usize) -> Result<BooleanBuffer> {
        let (byte, bit) = (first / 8, first % 8);
        Ok(BooleanBuffer::new(self.copy(index, byte, (bit + count).div_ceil(8), 1)?, bit, count))
    }

    /// Which of the `len` values from `first` on are null; `None`: not one. The bitmap is believed, not the count beside it.
    fn validity(&self, first: usize, len: usize) -> Result<Option<NullBuffer>> {
        if self.buffer(0)?.is_null() {
            return match self.array.null_count {
                ..=0 => Ok(None),
                count => Err(self.wrong(&format!("{count} nulls and no bitmap of them"))),
            };
        }
        let nulls = NullBuffer::new(self.bits(0, self.offset + first, len)?);
        Ok(Some(nulls).filter(|nulls| nulls.null_count() > 0))
    }

    /// The `len` values from `first` on, which are counted after the array's own offset.
    fn import(&self, data_type: &DataType, first: usize, len: usize) -> Result<ArrayData> {
        use DataType as T;
        if first.checked_add(len).is_none_or(|end| end > self.length) {
            return Err(self.wrong(&format!("an array of {} values, where more are referred to", self.length)));
        }
        let start = self.offset + first;
        let mut offset = 0;
        let has_bitmap = !matches!(data_type, T::Null | T::Union(..) | T::RunEndEncoded(..));
        let (buffers, children) = match data_type {
            T::Null => (vec![], vec![]),
            T::Boolean => {
                self.expect(2, 0)?;
                (vec![self.bits(1, start, len)?.sliced()], vec![])
            }
            T::FixedSizeBinary(width) => {
                self.expect(2, 0)?;
                let width = usize::try_from(*width).map_err(|_| self.wrong("a negative width"))?;
                (vec![self.copy(1, start, len, width)?], vec![])
            }
            T::Utf8 | T::Binary => self.text::<i32>(start, len)?,
            T::LargeUtf8 | T::LargeBinary => self.text::<i64>(start, len)?,
            T::Utf8View | T::BinaryView => self.views(start, len)?,
            T::List(field) | T::Map(field, _) => self.list::<i32>(field, start, len)?,
            T::LargeList(field) => self.list::<i64>(field, start, len)?,
            T::ListView(field) => self.list_view(field, start, len, 4)?,
            T::LargeListView(field) => self.list_view(field, start, len, 8)?,
            T::FixedSizeList(field, width) => {
                self.expect(1, 1)?;
                let width = usize::try_from(*width).map_err(|_| self.wrong("a negative width"))?;
                let (Some(first), Some(count)) = (start.checked_mul(width), len.checked_mul(width)) else {
                    return Err(self.wrong("more values than memory has bytes"));
                };
                (vec![], vec![self.child(0)?.import(field.data_type(), first, count)?])
            }
            T::Struct(fields) => {
                self.expect(1, fields.len())?;
                let child =
                    |(index, field): (usize, &Arc<Field>)| self.child(index)?.import(field.data_type(), start, len);
                (vec![], fields.iter().enumerate().map(child).collect::<Result<Vec<_>>>()?)
            }
            T::Union(fields, mode) => {
                let is_dense = *mode == UnionMode::Dense;
                self.expect(1 + usize::from(is_dense), fields.len())?;
                let mut buffers = vec![self.copy(0, start, len, 1)?];
                if is_dense {
                    buffers.push(self.copy(1, start, len, 4)?);
                }
                let child = |(index, (_, field)): (usize, (i8, &Arc<Field>))| {
                    let child = self.child(index)?;
                    let (first, len) = if is_dense { (0, child.length) } else { (start, len) };
                    child.import(field.data_type(), first, len)
                };
                (buffers, fields.iter().enumerate().map(child).collect::<Result<Vec<_>>>()?)
            }
            T::Dictionary(keys, values) => {
                self.expect(2, 0)?;
                let width = keys.primitive_width().filter(|_| keys.is_dictionary_key_type());
                let width = width.ok_or_else(|| self.wrong("a dictionary without integer keys"))?;
                let dictionary = arrow_abi::load(self.array.dictionary, self.name)?;
                let dictionary = Source::of(&dictionary, self.name)?;
                (vec![self.copy(1, start, len, width)?], vec![dictionary.import(values, 0, dictionary.length)?])
            }
            T::RunEndEncoded(ends, values) => {
                self.expect(0, 2)?;
                offset = start;
                let whole = |index: usize, field: &Field| {
                    let child = self.child(index)?;
                    child.import(field.data_type(), 0, child.length)
                };
                (vec![], vec![whole(0, ends)?, whole(1, values)?])
            }
            primitive => {
                self.expect(2, 0)?;
                let width = primitive.primitive_width();
                let width = width.ok_or_else(|| self.wrong(&format!("the type {primitive} is not known")))?;
                (vec![self.copy(1, start, len, width)?], vec![])
            }
        };
        let nulls = if has_bitmap { self.validity(first, len)? } else { None };
        let data = ArrayData::builder(data_type.clone()).len(len).offset(offset).nulls(nulls);
        let data = data.buffers(buffers).child_data(children);
        // SAFETY: the buffers were copied in the lengths that `data_type` and `len` ask for; nothing reads the values, offsets
        // and children before `import_foreign` validated all of them.
        Ok(unsafe { data.build_unchecked() })
    }

    /// Offsets that begin at 0, what the first one was, and how much they span.
    fn offsets<O: OffsetSizeTrait>(&self, start: usize, len: usize) -> Result<(Buffer, usize, usize)> {
        if len == 0 {
            // Without values there may be no offsets either.
            return Ok((Buffer::from_vec(vec![O::usize_as(0)]), 0, 0));
        }
        let given = self.copy(1, start, len + 1, size_of::<O>())?;
        let given: &[O] = given.typed_data();
        let at = |offset: &O| offset.to_usize().ok_or_else(|| self.wrong("an offset below 0"));
        let first = at(&given[0])?;
        let mut offsets = room::<O>(given.len())?;
        let mut last = first;
        for offset in given {
            let offset = at(offset)?;
            if offset < last {
                return Err(self.wrong("offsets that go back"));
            }
            last = offset;
            offsets.push(O::usize_as(offset - first));
        }
        Ok((Buffer::from_vec(offsets), first, last - first))
    }

    fn text<O: OffsetSizeTrait>(&self, start: usize, len: usize) -> Result<Parts> {
        self.expect(3, 0)?;
        let (offsets, first, bytes) = self.offsets::<O>(start, len)?;
        Ok((vec![offsets, self.copy(2, first, bytes, 1)?], vec![]))
    }

    fn list<O: OffsetSizeTrait>(&self, field: &Field, start: usize, len: usize) -> Result<Parts> {
        self.expect(2, 1)?;
        let (offsets, first, count) = self.offsets::<O>(start, len)?;
        Ok((vec![offsets], vec![self.child(0)?.import(field.data_type(), first, count)?]))
    }

    fn list_view(&self, field: &Field, start: usize, len: usize, width: usize) -> Result<Parts> {
        self.expect(3, 1)?;
        let child = self.child(0)?;
        let buffers = vec![self.copy(1, start, len, width)?, self.copy(2, start, len, width)?];
        Ok((buffers, vec![child.import(field.data_type(), 0, child.length)?]))
    }

    /// Validity, views, any number of buffers, and the lengths of these.
    fn views(&self, start: usize, len: usize) -> Result<Parts> {
        if self.buffers < 3 {
            return Err(self.wrong(&format!("{} buffers where 3 are expected", self.buffers)));
        }
        self.expect(self.buffers, 0)?;
        let mut buffers = vec![self.copy(1, start, len, 16)?];
        let lengths = self.copy(self.buffers - 1, 0, self.buffers - 3, 8)?;
        for (index, &length) in lengths.typed_data::<i64>().iter().enumerate() {
            let length = usize::try_from(length).map_err(|_| self.wrong("a buffer of negative length"))?;
            buffers.push(self.copy(2 + index, 0, length, 1)?);
        }
        Ok((buffers, vec![]))
    }
}

/// Buffers and children.
type Parts = (Vec<Buffer>, Vec<ArrayData>);

/// Room for `count` items, or NoMemory: claimed lengths can be any.
fn room<T>(count: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(count)
        .map_err(|_| Error::new(ErrorKind::NoMemory, format!("no memory for an array of {count} values")))?;
    Ok(room)
}

/// A copy of `bytes` bytes, from byte `start` on, aligned for every type of Arrow. Requires: `from` is not NULL.
fn copied(from: *const u8, start: usize, bytes: usize) -> Result<Buffer> {
    let mut copy = room::<u128>(bytes.div_ceil(16))?;
    // SAFETY: the producer says that the buffer has as many bytes as length and offset of its array ask for, until it is
    // released; the new memory has room for `bytes`, rounded up to whole numbers, the last of which is zeroed first.
    unsafe {
        if let Some(last) = copy.spare_capacity_mut()[..bytes.div_ceil(16)].last_mut() {
            last.write(0);
        }
        std::ptr::copy_nonoverlapping(from.add(start), copy.as_mut_ptr().cast::<u8>(), bytes);
        copy.set_len(bytes.div_ceil(16));
    }
    Ok(Buffer::from_vec(copy).slice_with_length(0, bytes))
}

/// The batches of a caller's stream.
pub(crate) struct Batches {
    stream: Moved<ArrowArrayStream>,
    schema: SchemaRef,
}

impl Batches {
    /// Asks the stream for its schema.
    pub(crate) fn new(mut stream: Moved<ArrowArrayStream>, name: &str) -> Result<Self> {
        let callbacks = *stream.get(name)?;
        let (Some(get_schema), Some(_)) = (callbacks.get_schema, callbacks.get_next) else {
            return Err(wrong(name, "a stream without get_schema or get_next"));
        };
        let mut given = Moved::empty();
        // SAFETY: the producer made the callback for this stream, which is not released; `given` is a variable to fill.
        let code = unsafe { get_schema(stream.place(), given.place()) };
        if code != 0 {
            return Err(failed(&mut stream, code, name));
        }
        Ok(Self { schema: Arc::new(schema(given, name)?), stream })
    }

    /// The next batch; `None` at the end.
    pub(crate) fn next(&mut self, name: &str) -> Result<Option<RecordBatch>> {
        let Some(get_next) = self.stream.get(name)?.get_next else { return Ok(None) };
        let mut given = Moved::<ArrowArray>::empty();
        // SAFETY: as in `new`.
        let code = unsafe { get_next(self.stream.place(), given.place()) };
        if code != 0 {
            return Err(failed(&mut self.stream, code, name));
        }
        if given.is_released() {
            return Ok(None);
        }
        batch(given, &self.schema, name).map(Some)
    }
}

/// What a stream says of its last error.
fn failed(stream: &mut Moved<ArrowArrayStream>, code: i32, name: &str) -> Error {
    let ask = stream.get(name).ok().and_then(|callbacks| callbacks.get_last_error);
    let told = ask.map_or(std::ptr::null(), |ask| {
        // SAFETY: as in `Batches::new`; the last call on the stream failed, so that it may be asked why.
        unsafe { ask(stream.place()) }
    });
    let told = if told.is_null() {
        std::io::Error::from_raw_os_error(code).to_string()
    } else {
        // SAFETY: not NULL: a text with its NUL, which lives until the next call on the stream.
        unsafe { CStr::from_ptr(told) }.to_string_lossy().into_owned()
    };
    Error::new(ErrorKind::Io, format!("`{name}` failed with {code}: {told}"))
}

/// The caller's names of columns.
pub(crate) fn names(first: *const *const c_char, count: usize, name: &str) -> Result<Vec<String>> {
    bytes::array(first, count, name)?.iter().map(|text| Ok(bytes::text(*text, name)?.to_owned())).collect()
}

#[cfg(test)]
#[path = "import/tests.rs"]
mod tests;
