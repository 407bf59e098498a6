//! The Arrow PyCapsule interface: what other libraries hand over is taken apart here, checked, and copied; what the engine
//! hands out is wrapped here. No other Arrow library is needed for either.
//!
//! Promises: a producer's structs are released exactly once, also on errors; nothing that a foreign array says of itself is
//! believed before it was checked; what is kept does not share memory with the producer, who may be a numpy array that
//! is written to again.
#![expect(unsafe_code, reason = "the C structs of the Arrow C data interface")]

use crate::error::{attached, caught, check_signals, detached};
use arrow_array::cast::AsArray;
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, RecordBatchReader, StructArray, make_array};
use arrow_data::ArrayData;
use arrow_data::transform::MutableArrayData;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};
use sstore::key::MAX_BATCH_BYTES;
use sstore::schema::import_foreign;
use sstore::{Error, Result};
use std::ffi::{CStr, c_char};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long batches are taken without looking for Ctrl-C.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);

const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";
const STREAM: &CStr = c"arrow_array_stream";

/// Arrow data of another library: a stream of arrays, or one array.
pub(crate) enum Foreign {
    Stream(ForeignStream),
    Array(DataType, FFI_ArrowArray),
}

/// Takes Arrow data out of an object that has it; None for any other object.
pub(crate) fn foreign(py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Option<Foreign>> {
    if let Some(method) = data.getattr_opt("__arrow_c_stream__")? {
        return stream_of(py, &method.call0()?).map(|stream| Some(Foreign::Stream(stream)));
    }
    let Some(method) = data.getattr_opt("__arrow_c_array__")? else { return Ok(None) };
    let pair = method.call0()?;
    let pair = pair.cast::<PyTuple>().map_err(|_| PyTypeError::new_err("__arrow_c_array__ returned no pair"))?;
    let data_type = data_type_of(py, &pair.get_item(0)?)?;
    let capsule = pair.get_item(1)?.cast_into::<PyCapsule>()?;
    let pointer = capsule.pointer_checked(Some(ARRAY))?.cast::<FFI_ArrowArray>();
    // SAFETY: a capsule of this name points to an initialised ArrowArray, and stays alive for the call. Its content is moved
    // out and marked as released, as the interface asks of consumers.
    let array = unsafe { FFI_ArrowArray::from_raw(pointer.as_ptr()) };
    if array.is_released() {
        return Err(PyTypeError::new_err("the Arrow array was consumed already"));
    }
    Ok(Some(Foreign::Array(data_type, array)))
}

fn data_type_of(py: Python<'_>, capsule: &Bound<'_, PyAny>) -> PyResult<DataType> {
    let pointer = schema_pointer(capsule)?;
    // SAFETY: the pointer is that of an initialised ArrowSchema that the capsule keeps alive during the call.
    let schema = unsafe { &*pointer };
    attached(py, || DataType::try_from(schema).map_err(not_arrow))
}

fn schema_pointer(capsule: &Bound<'_, PyAny>) -> PyResult<*const FFI_ArrowSchema> {
    let pointer = capsule.cast::<PyCapsule>()?.pointer_checked(Some(SCHEMA))?.cast::<FFI_ArrowSchema>().as_ptr();
    // SAFETY: a capsule of this name points to an initialised ArrowSchema, which is not written to here.
    if unsafe { &*pointer }.release().is_none() {
        return Err(PyTypeError::new_err("the Arrow schema was consumed already"));
    }
    Ok(pointer)
}

/// The schema in a capsule: of a record batch, or of a struct.
pub(crate) fn schema_in(py: Python<'_>, capsule: &Bound<'_, PyAny>) -> PyResult<Schema> {
    let pointer = schema_pointer(capsule)?;
    // SAFETY: as in `data_type_of`.
    let schema = unsafe { &*pointer };
    attached(py, || Schema::try_from(schema).map_err(not_arrow))
}

/// The type in a capsule, and whether it may be null.
pub(crate) fn field_in(py: Python<'_>, capsule: &Bound<'_, PyAny>) -> PyResult<Field> {
    let pointer = schema_pointer(capsule)?;
    // SAFETY: as in `data_type_of`.
    let schema = unsafe { &*pointer };
    attached(py, || Field::try_from(schema).map_err(not_arrow))
}

/// The metadata of a schema in a capsule with all its pairs in order: keys may come several times.
pub(crate) fn metadata_in(capsule: &Bound<'_, PyAny>) -> PyResult<Vec<(Vec<u8>, Vec<u8>)>> {
    /// How the C data interface begins an ArrowSchema.
    #[repr(C)]
    struct Head {
        format: *const c_char,
        name: *const c_char,
        metadata: *const c_char,
    }
    let head = schema_pointer(capsule)?.cast::<Head>();
    // SAFETY: the pointer is that of an initialised ArrowSchema, whose first three members are these.
    let mut at = unsafe { (*head).metadata }.cast::<u8>();
    if at.is_null() {
        return Ok(Vec::new());
    }
    let mut take = |bytes: usize| {
        // SAFETY: the interface lays metadata out as a count, then for each pair two times a length and that many bytes. Only
        // what these lengths span is read, in that order.
        let slice = unsafe { std::slice::from_raw_parts(at, bytes) };
        at = at.wrapping_add(bytes);
        slice.to_vec()
    };
    let number = |take: &mut dyn FnMut(usize) -> Vec<u8>| {
        let bytes = take(4);
        i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).max(0) as usize
    };
    let pairs = number(&mut take);
    let mut found = Vec::new();
    for _ in 0..pairs {
        let length = number(&mut take);
        let key = take(length);
        let length = number(&mut take);
        found.push((key, take(length)));
    }
    Ok(found)
}

fn not_arrow(error: ArrowError) -> Error {
    Error::invalid(format!("the Arrow data cannot be read: {error}"))
}

/// A stream of arrays of another library. Its callbacks may take the interpreter lock: they are called without it.
pub(crate) struct ForeignStream {
    stream: FFI_ArrowArrayStream,
    data_type: DataType,
}

fn stream_of(py: Python<'_>, capsule: &Bound<'_, PyAny>) -> PyResult<ForeignStream> {
    let pointer = capsule.cast::<PyCapsule>()?.pointer_checked(Some(STREAM))?.cast::<FFI_ArrowArrayStream>();
    // SAFETY: a capsule of this name points to an initialised ArrowArrayStream, and stays alive for the call. Its content is
    // moved out and marked as released, as the interface asks of consumers.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer.as_ptr()) };
    if stream.release().is_none() {
        return Err(PyTypeError::new_err("the Arrow stream was consumed already"));
    }
    let mut stream = ForeignStream { stream, data_type: DataType::Null };
    detached(py, move || {
        stream.read_schema()?;
        Ok(stream)
    })
}

impl ForeignStream {
    fn read_schema(&mut self) -> Result<()> {
        let mut schema = FFI_ArrowSchema::empty();
        let Some(get_schema) = self.stream.get_schema() else {
            return Err(Error::invalid("the Arrow stream is broken"));
        };
        // SAFETY: the callback belongs to this stream, which is not released; it fills the struct if it returns 0.
        let code = unsafe { get_schema(&mut self.stream, &mut schema) };
        self.check(code)?;
        self.data_type = DataType::try_from(&schema).map_err(not_arrow)?;
        Ok(())
    }

    /// The type of its arrays.
    pub(crate) fn into_data_type(self) -> DataType {
        self.data_type.clone()
    }

    fn check(&mut self, code: i32) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        let mut text = String::new();
        if let Some(get_last_error) = self.stream.get_last_error() {
            // SAFETY: the callback belongs to this stream; what it returns is null or a string until the next call.
            let message = unsafe { get_last_error(&mut self.stream) };
            if !message.is_null() {
                // SAFETY: not null, so a string that ends with a zero byte, and no call of the stream comes in between.
                text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
            }
        }
        Err(Error::invalid(format!("the Arrow stream failed with code {code}: {text}")))
    }

    fn next_data(&mut self) -> Result<Option<ArrayData>> {
        let mut array = FFI_ArrowArray::empty();
        let Some(get_next) = self.stream.get_next() else { return Err(Error::invalid("the Arrow stream is broken")) };
        // SAFETY: the callback belongs to this stream, which is not released; it fills the struct if it returns 0.
        let code = unsafe { get_next(&mut self.stream, &mut array) };
        self.check(code)?;
        if array.is_released() {
            return Ok(None);
        }
        import(array, &self.data_type).map(Some)
    }

    /// The next record batch.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        self.next_data()?.map(|data| batch_of(&data)).transpose()
    }
}

fn import(array: FFI_ArrowArray, data_type: &DataType) -> Result<ArrayData> {
    if matches!(data_type, DataType::Struct(fields) if fields.len() != array.num_children()) {
        return Err(Error::invalid("the Arrow data has another number of columns than its schema"));
    }
    // SAFETY: the array was handed over as one of this type, by the interface's rules. What it says of lengths and values is
    // checked by `import_foreign` before anything reads it.
    unsafe { from_ffi_and_data_type(array, data_type.clone()) }.map_err(not_arrow)
}

/// A record batch out of a struct, whose offset and length may select rows of its columns.
fn batch_of(data: &ArrayData) -> Result<RecordBatch> {
    let DataType::Struct(fields) = data.data_type() else {
        return Err(Error::invalid(format!("record batches are wanted, with named columns, not {}", data.data_type())));
    };
    if data.nulls().is_some_and(|nulls| nulls.null_count() > 0) {
        return Err(Error::invalid("rows that are null as a whole cannot be written"));
    }
    let (offset, rows) = (data.offset(), data.len());
    let mut columns = Vec::with_capacity(fields.len());
    let mut described = Vec::with_capacity(fields.len());
    for (field, child) in fields.iter().zip(data.child_data()) {
        if offset.checked_add(rows).is_none_or(|end| end > child.len()) {
            let name = field.name();
            return Err(Error::invalid(format!("column {name:?} is not valid Arrow: it is shorter than the others")));
        }
        let whole = offset == 0 && rows == child.len();
        let child = if whole { child.clone() } else { child.slice(offset, rows) };
        let column = own(&import_foreign(field.name(), child)?);
        // Whether it may be null says the table; a column that breaks its own promise is refused there, with the row.
        described.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(described)), columns, &options).map_err(not_arrow)
}

/// A copy in memory of our own.
fn own(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        // Views of one long string are small, their copies are not: too many are refused later, uncopied.
        DataType::Utf8View if array.as_string_view().total_buffer_bytes_used() > MAX_BATCH_BYTES => array.clone(),
        DataType::BinaryView if array.as_binary_view().total_buffer_bytes_used() > MAX_BATCH_BYTES => array.clone(),
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        _ => {
            let data = array.to_data();
            let mut copy = MutableArrayData::new(vec![&data], false, data.len());
            match copy.try_extend(0, 0, data.len()) {
                Ok(()) => make_array(copy.freeze()),
                Err(_) => array.clone(),
            }
        }
    }
}

impl Foreign {
    /// Hands all record batches to `take`, and looks for Ctrl-C now and then. Requires: the interpreter lock is released, since
    /// callbacks of the other library may want it.
    pub(crate) fn each_batch(self, mut take: impl FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        let mut looked = Instant::now();
        self.into_batches().try_for_each(|batch| {
            if looked.elapsed() > SIGNAL_INTERVAL {
                looked = Instant::now();
                check_signals()?;
            }
            take(batch?)
        })
    }

    /// Its record batches. Requires of each step: the interpreter lock is released.
    pub(crate) fn into_batches(self) -> Box<dyn Iterator<Item = Result<RecordBatch>> + Send> {
        match self {
            Self::Stream(mut stream) => Box::new(std::iter::from_fn(move || stream.next_batch().transpose())),
            Self::Array(data_type, array) => {
                Box::new(std::iter::once_with(move || batch_of(&import(array, &data_type)?)))
            }
        }
    }

    /// All values as one column: of an array, or of a stream of arrays, that is not one of record batches, or has one column.
    pub(crate) fn into_column(self) -> Result<ArrayRef> {
        let column = |data: ArrayData| {
            let array = own(&import_foreign("", data)?);
            match array.as_struct_opt() {
                Some(fields) if fields.num_columns() == 1 => Ok(fields.column(0).clone()),
                Some(_) => Err(Error::invalid("values are one column of Arrow data")),
                None => Ok(array),
            }
        };
        match self {
            Self::Array(data_type, array) => column(import(array, &data_type)?),
            Self::Stream(mut stream) => {
                let mut parts = Vec::new();
                while let Some(data) = stream.next_data()? {
                    parts.push(column(data)?);
                }
                let views: Vec<&dyn Array> = parts.iter().map(|part| &**part).collect();
                match views.is_empty() {
                    true => Ok(arrow_array::new_empty_array(&stream.data_type)),
                    false => arrow_select::concat::concat(&views).map_err(not_arrow),
                }
            }
        }
    }
}

/// A schema as a capsule.
pub(crate) fn export_schema<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    let exported = attached(py, || FFI_ArrowSchema::try_from(schema).map_err(not_arrow))?;
    PyCapsule::new_with_value(py, exported, SCHEMA)
}

/// A record batch as a pair of capsules.
pub(crate) fn export_batch<'py>(
    py: Python<'py>,
    batch: &RecordBatch,
) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
    let schema = export_schema(py, &batch.schema())?;
    let array = attached(py, || Ok(FFI_ArrowArray::new(&StructArray::from(batch.clone()).into_data())))?;
    Ok((schema, PyCapsule::new_with_value(py, array, ARRAY)?))
}

/// One column as a pair of capsules.
pub(crate) fn export_array<'py>(
    py: Python<'py>,
    column: &ArrayRef,
) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
    let schema = attached(py, || FFI_ArrowSchema::try_from(column.data_type()).map_err(not_arrow))?;
    let array = attached(py, || Ok(FFI_ArrowArray::new(&column.to_data())))?;
    Ok((PyCapsule::new_with_value(py, schema, SCHEMA)?, PyCapsule::new_with_value(py, array, ARRAY)?))
}

/// A reader as a capsule with a stream. Whoever takes it may read it on any thread, with the interpreter lock or without.
pub(crate) fn export_stream<'py>(
    py: Python<'py>,
    reader: Box<dyn RecordBatchReader + Send>,
) -> PyResult<Bound<'py, PyCapsule>> {
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(Guarded(reader))), STREAM)
}

/// Keeps panics from going through C.
struct Guarded(Box<dyn RecordBatchReader + Send>);

impl Iterator for Guarded {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = caught(|| Ok(self.0.next()));
        next.unwrap_or_else(|error| Some(Err(ArrowError::ExternalError(Box::new(error)))))
    }
}

impl RecordBatchReader for Guarded {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }
}
