//! Reads by key: copied, pinned, into a buffer, many at once.

use crate::boundary::{self, Stop};
use crate::bytes::{self, Out, Sized32, sstore_slice};
use crate::column_family::{Chosen, sstore_column_family};
use crate::handle::{Handles, Held, Object};
use crate::open::{Database, sstore_db};
use crate::snapshot::{SnapshotObject, sstore_snapshot};
use crate::status::{sstore_code, sstore_error};
use engine::{Error, ErrorKind, PinnedBytes, ReadOptions, Result};
use std::ffi::c_void;

/// How one read is done. Start from SSTORE_READ_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_read_options {
    /// sizeof(sstore_read_options).
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Read at this snapshot; NULL: now.
    pub snapshot: *const sstore_snapshot,
}

impl Default for sstore_read_options {
    fn default() -> Self {
        Self { struct_size: size_of::<Self>() as u32, reserved: 0, snapshot: std::ptr::null() }
    }
}

// SAFETY: `repr(C)`, two u32 and a pointer: no padding, any bits are a value.
unsafe impl Sized32 for sstore_read_options {}

/// A value where it lies, in a memtable or a cached block, without a copy. Thread safety: free. Free with sstore_pinned_free.
pub struct sstore_pinned {
    _opaque: [u8; 0],
}

pub(crate) struct PinnedObject {
    _bytes: PinnedBytes,
}

impl PinnedObject {
    pub(crate) fn new(bytes: PinnedBytes) -> Self {
        Self { _bytes: bytes }
    }
}

impl Object for PinnedObject {
    type Opaque = sstore_pinned;
    const TYPE: u8 = 8;
    const NAME: &'static str = "pinned value";
}

/// Many values with one owner. Thread safety: free. Free with sstore_values_free.
pub struct sstore_values {
    _opaque: [u8; 0],
}

struct ValuesObject {
    slices: Box<[sstore_slice]>,
    _pins: Vec<Option<PinnedBytes>>,
}

impl Object for ValuesObject {
    type Opaque = sstore_values;
    const TYPE: u8 = 9;
    const NAME: &'static str = "values object";
}

/// Where and when a read looks.
pub(crate) struct Place<'a> {
    pub(crate) family: Chosen<'a>,
    snapshot: Option<Held<SnapshotObject>>,
}

impl<'a> Place<'a> {
    #[inline(always)]
    pub(crate) fn find(
        handles: &'static Handles,
        database: &'a Database,
        family: *const sstore_column_family,
        options: *const sstore_read_options,
    ) -> Result<Self> {
        let family = database.family(handles, family)?;
        if options.is_null() {
            return Ok(Self { family, snapshot: None });
        }
        Ok(Self { family, snapshot: database.snapshot(handles, given_snapshot(options)?)? })
    }

    #[inline(always)]
    pub(crate) fn options(&self) -> ReadOptions<'_> {
        ReadOptions { snapshot: self.snapshot.as_ref().map(|object| &object.snapshot) }
    }
}

/// The snapshot that a read is to be done at; `None`: now.
#[cfg(feature = "arrow")]
pub(crate) fn read_snapshot(
    handles: &'static Handles,
    database: &Database,
    options: *const sstore_read_options,
) -> Result<Option<Held<SnapshotObject>>> {
    if options.is_null() { Ok(None) } else { database.snapshot(handles, given_snapshot(options)?) }
}

/// The snapshot that the caller's options name.
fn given_snapshot(options: *const sstore_read_options) -> Result<*const sstore_snapshot> {
    let options = bytes::structure(options, "options")?;
    if options.reserved == 0 { Ok(options.snapshot) } else { Err(Error::invalid("`options.reserved` is not 0")) }
}

/// Reads the value of `key` in `family` (NULL: the default one) as a copy. NULL options: every default. `*value` is the caller's;
/// free it with sstore_free; a NUL that is not counted stands after it. Nothing found: SSTORE_NOT_FOUND without an error object,
/// NULL and 0. May block: reads files. Any thread.
/// Errors: NOT_FOUND, INVALID_ARGUMENT, DROPPED, CLOSED, CORRUPTION, IO, NO_MEMORY, FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_get(
    db: *const sstore_db,
    family: *const sstore_column_family,
    options: *const sstore_read_options,
    key: *const c_void,
    key_len: usize,
    value: *mut *mut c_void,
    value_len: *mut usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (out, out_len) = (Out::new(value, std::ptr::null_mut()), Out::new(value_len, 0));
    boundary::call(error, |handles| {
        out.required("value")?;
        out_len.required("value_len")?;
        let database = handles.pin::<Database>(db)?;
        let place = Place::find(handles, &database, family, options)?;
        let key = bytes::key(key, key_len, "key")?;
        let value = database.db.get(place.family.get(), key, &place.options())?.ok_or(Stop::Missing)?;
        out.set(bytes::owned(&value)?);
        out_len.set(value.len());
        Ok(())
    })
}

/// Reads the value of `key` where it lies. `*pinned` is the caller's; free it with sstore_pinned_free; `*value` lives until then,
/// also after the database was closed. `*sequence` (may be NULL) becomes the place of the write that set it.
/// Otherwise like sstore_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_get_pinned(
    db: *const sstore_db,
    family: *const sstore_column_family,
    options: *const sstore_read_options,
    key: *const c_void,
    key_len: usize,
    pinned: *mut *mut sstore_pinned,
    value: *mut sstore_slice,
    sequence: *mut u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(pinned, std::ptr::null_mut());
    let (out_value, out_sequence) = (Out::new(value, sstore_slice::NONE), Out::new(sequence, 0));
    boundary::call(error, |handles| {
        out.required("pinned")?;
        out_value.required("value")?;
        let database = handles.pin::<Database>(db)?;
        let place = Place::find(handles, &database, family, options)?;
        let key = bytes::key(key, key_len, "key")?;
        let found = database.db.get_with_sequence(place.family.get(), key, &place.options())?;
        let (value, sequence) = found.ok_or(Stop::Missing)?;
        let slice = sstore_slice::of(&value);
        out.set(handles.insert(PinnedObject::new(value))?);
        out_value.set(slice);
        out_sequence.set(sequence);
        Ok(())
    })
}

/// Frees a pinned value. NULL and what was freed already do nothing. Does not block, unless it is the last thing that a
/// released database waited for. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_pinned_free(pinned: *mut sstore_pinned) {
    boundary::value((), |handles| handles.remove::<PinnedObject>(pinned));
}

/// Reads the value of `key` into the caller's `buffer` of `capacity` bytes; allocates nothing. `*value_len` becomes its length.
/// If it does not fit: SSTORE_TOO_SMALL without an error object, the length needed in `*value_len`, and the buffer's content is
/// undefined. A NULL buffer with capacity 0 asks for the length. Otherwise like sstore_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_get_into(
    db: *const sstore_db,
    family: *const sstore_column_family,
    options: *const sstore_read_options,
    key: *const c_void,
    key_len: usize,
    buffer: *mut c_void,
    capacity: usize,
    value_len: *mut usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(value_len, 0);
    let mut small = false;
    let code = boundary::call(error, |handles| {
        out.required("value_len")?;
        let database = handles.pin::<Database>(db)?;
        let place = Place::find(handles, &database, family, options)?;
        let key = bytes::key(key, key_len, "key")?;
        let buffer = bytes::buffer(buffer, capacity, "buffer")?;
        match database.db.get_into(place.family.get(), key, buffer, &place.options()) {
            Ok(found) => {
                let len = found.ok_or(Stop::Missing)?;
                out.set(len);
                small = len > capacity;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    });
    if small { sstore_code::from_kind(ErrorKind::TooSmall) } else { code }
}

/// Tells whether `key` has a value: SSTORE_OK or SSTORE_NOT_FOUND. Otherwise like sstore_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_contains(
    db: *const sstore_db,
    family: *const sstore_column_family,
    options: *const sstore_read_options,
    key: *const c_void,
    key_len: usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        let database = handles.pin::<Database>(db)?;
        let place = Place::find(handles, &database, family, options)?;
        let key = bytes::key(key, key_len, "key")?;
        if database.db.contains(place.family.get(), key, &place.options())? { Ok(()) } else { Err(Stop::Missing) }
    })
}

/// Reads many keys at one moment. `*values` is the caller's; free it with sstore_values_free. A missing key is no error: its
/// slice has a NULL `data`. The array and the keys are borrowed until the call returns. Otherwise like sstore_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_multi_get(
    db: *const sstore_db,
    family: *const sstore_column_family,
    options: *const sstore_read_options,
    keys: *const sstore_slice,
    count: usize,
    values: *mut *mut sstore_values,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(values, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("values")?;
        let database = handles.pin::<Database>(db)?;
        let place = Place::find(handles, &database, family, options)?;
        let keys = bytes::array(keys, count, "keys")?;
        let keys = keys.iter().map(|key| key.read_key("key")).collect::<Result<Vec<_>>>()?;
        let pins = database.db.multi_get(place.family.get(), &keys, &place.options())?;
        let slice = |pin: &Option<PinnedBytes>| pin.as_ref().map_or(sstore_slice::NONE, |pin| sstore_slice::of(pin));
        let slices = pins.iter().map(slice).collect();
        out.set(handles.insert(ValuesObject { slices, _pins: pins })?);
        Ok(())
    })
}

/// The values of sstore_multi_get, one slice for each key in the order given; a missing key's has a NULL `data`. `*count` (may be
/// NULL) becomes how many. NULL and 0 for what is no values object. All of it lives until the values are freed.
/// Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_values_slices(values: *const sstore_values, count: *mut usize) -> *const sstore_slice {
    let out = Out::new(count, 0);
    boundary::value(std::ptr::null(), |handles| {
        let values = handles.pin::<ValuesObject>(values)?;
        out.set(values.slices.len());
        Ok(values.slices.as_ptr())
    })
}

/// Frees values. NULL and what was freed already do nothing. Does not block, as sstore_pinned_free. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_values_free(values: *mut sstore_values) {
    boundary::value((), |handles| handles.remove::<ValuesObject>(values));
}
