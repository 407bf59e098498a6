//! Iterators: entries in order of keys, one at a time or many in one call.

use crate::boundary::{self, Outcome, Stop};
use crate::bytes::{self, Out, Sized32, sstore_slice};
use crate::column_family::sstore_column_family;
use crate::get::{PinnedObject, sstore_pinned};
use crate::handle::{Object, Use};
use crate::open::{Database, sstore_db};
use crate::snapshot::sstore_snapshot;
use crate::status::{sstore_code, sstore_error};
use engine::{DbIterator, EntryBatch, Error, IterOptions, KeyRange, Result};
use std::ffi::c_void;

/// What an iterator walks over. Start from SSTORE_ITERATOR_OPTIONS_INIT. Bounds and prefix are copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_iterator_options {
    /// sizeof(sstore_iterator_options).
    pub struct_size: u32,
    /// Not 0: a long scan; reads ahead and does not fill the cache.
    pub scan: u32,
    /// Walk at this snapshot; NULL: now.
    pub snapshot: *const sstore_snapshot,
    /// The least key that belongs to the range; NULL `data`: no such bound.
    pub lower: sstore_slice,
    /// The least key beyond the range; NULL `data`: no such bound.
    pub upper: sstore_slice,
    /// Only keys that start with this; NULL `data`: all. Combines with the bounds.
    pub prefix: sstore_slice,
}

impl Default for sstore_iterator_options {
    fn default() -> Self {
        let none = sstore_slice::NONE;
        let struct_size = size_of::<Self>() as u32;
        Self { struct_size, scan: 0, snapshot: std::ptr::null(), lower: none, upper: none, prefix: none }
    }
}

// SAFETY: `repr(C)`, two u32, a pointer, three slices of pointer and size: no padding, any bits are a value.
unsafe impl Sized32 for sstore_iterator_options {}

impl sstore_iterator_options {
    fn range(&self) -> Result<KeyRange> {
        let bound = |slice: &sstore_slice, name| {
            let bytes = slice.read(name)?;
            Ok::<_, Error>((!slice.data.is_null()).then(|| bytes.to_vec()))
        };
        let range = KeyRange { lower: bound(&self.lower, "lower")?, upper: bound(&self.upper, "upper")? };
        Ok(match bound(&self.prefix, "prefix")? {
            Some(prefix) => range.intersect(KeyRange::prefix(&prefix)),
            None => range,
        })
    }
}

/// A position in the entries of a column family, as they were when it was made. Thread safety: one thread at a time, which may
/// change; a second one at once gets SSTORE_BUSY. Free with sstore_iterator_free.
pub struct sstore_iterator {
    _opaque: [u8; 0],
}

struct IteratorObject {
    iterator: DbIterator,
    batch: EntryBatch,
}

impl Object for IteratorObject {
    type Opaque = sstore_iterator;
    const TYPE: u8 = 10;
    const NAME: &'static str = "iterator";
    const USE: Use = Use::Alone;
}

/// Runs `body` with the iterator, which nobody else uses meanwhile.
#[inline(always)]
fn with(
    iterator: *const sstore_iterator,
    error: *mut *mut sstore_error,
    body: impl FnOnce(&mut IteratorObject) -> Outcome,
) -> sstore_code {
    boundary::call(error, |handles| body(&mut *handles.hold::<IteratorObject>(iterator)?))
}

#[inline(always)]
fn mover(
    iterator: *mut sstore_iterator,
    error: *mut *mut sstore_error,
    step: impl FnOnce(&mut DbIterator) -> Result<bool>,
) -> sstore_code {
    with(iterator, error, |walk| if step(&mut walk.iterator)? { Ok(()) } else { Err(Stop::Missing) })
}

/// Makes an iterator over `family` (NULL: the default one); it stands nowhere yet. NULL options: every default.
/// `*iterator` is the caller's; free it with sstore_iterator_free. It sees the database as it is at this call (or at the
/// snapshot), whatever is written later. May block: reads files. Any thread.
/// Errors: INVALID_ARGUMENT, DROPPED, CLOSED, CORRUPTION, IO, NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_create(
    db: *mut sstore_db,
    family: *const sstore_column_family,
    options: *const sstore_iterator_options,
    iterator: *mut *mut sstore_iterator,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(iterator, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("iterator")?;
        let database = handles.pin::<Database>(db)?;
        let family = database.family(handles, family)?;
        let options = bytes::structure(options, "options")?;
        let snapshot = database.snapshot(handles, options.snapshot)?.map(|object| object.snapshot.clone());
        let options = IterOptions { range: options.range()?, snapshot, scan: options.scan != 0 };
        let iterator = database.db.iterator(family.get(), options)?;
        out.set(handles.insert(IteratorObject { iterator, batch: EntryBatch::new() })?);
        Ok(())
    })
}

/// Moves to the first entry: SSTORE_OK if it stands on one now, SSTORE_NOT_FOUND without an error object if there is none.
/// May block: reads files. One thread at a time. Errors: NOT_FOUND, BUSY, CLOSED, CORRUPTION, IO, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_seek_to_first(
    iterator: *mut sstore_iterator,
    error: *mut *mut sstore_error,
) -> sstore_code {
    mover(iterator, error, |iterator| iterator.seek_to_first())
}

/// Moves to the last entry. Otherwise like sstore_iterator_seek_to_first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_seek_to_last(
    iterator: *mut sstore_iterator,
    error: *mut *mut sstore_error,
) -> sstore_code {
    mover(iterator, error, |iterator| iterator.seek_to_last())
}

/// Moves to the first entry at or after `key`. Otherwise like sstore_iterator_seek_to_first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_seek(
    iterator: *mut sstore_iterator,
    key: *const c_void,
    key_len: usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    mover(iterator, error, |iterator| iterator.seek(bytes::input(key, key_len, "key")?))
}

/// Moves to the last entry at or before `key`. Otherwise like sstore_iterator_seek_to_first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_seek_for_prev(
    iterator: *mut sstore_iterator,
    key: *const c_void,
    key_len: usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    mover(iterator, error, |iterator| iterator.seek_for_prev(bytes::input(key, key_len, "key")?))
}

/// Moves to the next entry. INVALID_ARGUMENT if it stands on none. Otherwise like sstore_iterator_seek_to_first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_next(
    iterator: *mut sstore_iterator,
    error: *mut *mut sstore_error,
) -> sstore_code {
    mover(iterator, error, |iterator| iterator.next())
}

/// Moves to the entry before. INVALID_ARGUMENT if it stands on none. Otherwise like sstore_iterator_seek_to_first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_prev(
    iterator: *mut sstore_iterator,
    error: *mut *mut sstore_error,
) -> sstore_code {
    mover(iterator, error, |iterator| iterator.prev())
}

/// Whether it stands on an entry: 1 or 0; 0 also for what is no iterator, and while another thread uses it.
/// Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_is_valid(iterator: *const sstore_iterator) -> i32 {
    boundary::value(0, |handles| Ok(i32::from(handles.hold::<IteratorObject>(iterator)?.iterator.is_valid())))
}

/// The entry it stands on: key, value, and the place of the write that set it. Each of the three may be NULL. The bytes live
/// until the next call that moves or frees this iterator. SSTORE_NOT_FOUND without an error object if it stands on none.
/// Does not block; one thread at a time. Errors: NOT_FOUND, BUSY, CLOSED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_entry(
    iterator: *const sstore_iterator,
    key: *mut sstore_slice,
    value: *mut sstore_slice,
    sequence: *mut u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (out_key, out_value) = (Out::new(key, sstore_slice::NONE), Out::new(value, sstore_slice::NONE));
    let out_sequence = Out::new(sequence, 0);
    with(iterator, error, |walk| {
        if !walk.iterator.is_valid() {
            return Err(Stop::Missing);
        }
        out_key.set(sstore_slice::of(walk.iterator.key()));
        out_value.set(sstore_slice::of(walk.iterator.value()));
        out_sequence.set(walk.iterator.sequence());
        Ok(())
    })
}

/// Pins the value of the entry it stands on: `*value` lives until `*pinned` is freed with sstore_pinned_free, however far the
/// iterator moves. `*pinned` is the caller's. Otherwise like sstore_iterator_entry.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_pin_value(
    iterator: *const sstore_iterator,
    pinned: *mut *mut sstore_pinned,
    value: *mut sstore_slice,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (out, out_value) = (Out::new(pinned, std::ptr::null_mut()), Out::new(value, sstore_slice::NONE));
    boundary::call(error, |handles| {
        out.required("pinned")?;
        out_value.required("value")?;
        let walk = handles.hold::<IteratorObject>(iterator)?;
        if !walk.iterator.is_valid() {
            return Err(Stop::Missing);
        }
        let bytes = walk.iterator.pin_value();
        let slice = sstore_slice::of(&bytes);
        out.set(handles.insert(PinnedObject::new(bytes))?);
        out_value.set(slice);
        Ok(())
    })
}

/// The arrays of a caller that wants many entries.
struct Arrays {
    keys: *mut sstore_slice,
    values: *mut sstore_slice,
    capacity: usize,
    max_bytes: usize,
    count: *mut usize,
}

fn fill(
    iterator: *mut sstore_iterator,
    arrays: &Arrays,
    error: *mut *mut sstore_error,
    step: impl FnOnce(&mut DbIterator, &mut EntryBatch, usize, usize) -> Result<usize>,
) -> sstore_code {
    let out = Out::new(arrays.count, 0);
    with(iterator, error, |walk| {
        out.required("count")?;
        let Arrays { keys, values, capacity, .. } = *arrays;
        let (keys, values) = (bytes::slots(keys, capacity, "keys")?, bytes::slots(values, capacity, "values")?);
        if capacity == 0 {
            return Err(Error::invalid("`capacity` is 0").into());
        }
        let max_bytes = if arrays.max_bytes == 0 { usize::MAX } else { arrays.max_bytes };
        let found = step(&mut walk.iterator, &mut walk.batch, capacity, max_bytes)?.min(capacity);
        for (index, (key, value)) in walk.batch.iter().take(found).enumerate() {
            keys.set(index, sstore_slice::of(key));
            values.set(index, sstore_slice::of(value));
        }
        out.set(found);
        if found == 0 { Err(Stop::Missing) } else { Ok(()) }
    })
}

/// Gives up to `capacity` entries, in order, in one call, and moves past them: the next call goes on where this one ended. A new
/// iterator begins with the first entry, one that stands on an entry with that. Ends early when keys and values are
/// `max_bytes` together (0: no limit), but gives at least one. `keys` or `values` may be NULL if they are not wanted. The bytes live
/// until the next call of sstore_iterator_next_batch, _prev_batch or _free on this iterator. At the end: SSTORE_NOT_FOUND without
/// an error object, and `*count` is 0. Otherwise like sstore_iterator_seek_to_first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_next_batch(
    iterator: *mut sstore_iterator,
    keys: *mut sstore_slice,
    values: *mut sstore_slice,
    capacity: usize,
    max_bytes: usize,
    count: *mut usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    fill(iterator, &Arrays { keys, values, capacity, max_bytes, count }, error, DbIterator::next_batch)
}

/// The same backward: a new iterator begins with the last entry. Otherwise like sstore_iterator_next_batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_prev_batch(
    iterator: *mut sstore_iterator,
    keys: *mut sstore_slice,
    values: *mut sstore_slice,
    capacity: usize,
    max_bytes: usize,
    count: *mut usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    fill(iterator, &Arrays { keys, values, capacity, max_bytes, count }, error, DbIterator::prev_batch)
}

/// Lets the iterator see the present; it stands nowhere afterwards, like a new one. May block; one thread at a time.
/// Errors: BUSY, CLOSED, DROPPED, IO, CORRUPTION, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_refresh(
    iterator: *mut sstore_iterator,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with(iterator, error, |walk| Ok(walk.iterator.refresh()?))
}

/// Frees an iterator and the bytes that it gave. NULL and what was freed already do nothing. Does not block, as
/// sstore_pinned_free. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_iterator_free(iterator: *mut sstore_iterator) {
    boundary::value((), |handles| handles.remove::<IteratorObject>(iterator));
}
