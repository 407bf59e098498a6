//! Raw memory of the caller: bytes in, text in, structs in, results out. Called by every exported function.
//!
//! This module may use `unsafe`. The one fact it relies on is the caller's promise (conventions 3 to 6 of the header): a
//! pointer is NULL or leads to readable, or for results writable, memory of the stated length until the call returns.

use engine::key::{MAX_BATCH_COUNT, MAX_KEY_BYTES, MAX_VALUE_BYTES};
use engine::{Error, ErrorKind, Result};
use std::ffi::{CStr, c_char, c_void};
use std::path::Path;

/// Bytes that lie somewhere: the pointer and how many. The function that gives one out says until when it is valid.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct sstore_slice {
    /// The first byte. NULL only where the function says what that means; an empty value has a pointer that is not NULL.
    pub data: *const c_void,
    /// How many bytes.
    pub len: usize,
}

// SAFETY: plain data; whoever looks through the pointer answers for it.
unsafe impl Send for sstore_slice {}
// SAFETY: as above.
unsafe impl Sync for sstore_slice {}

impl sstore_slice {
    /// No bytes at all.
    pub(crate) const NONE: Self = Self { data: std::ptr::null(), len: 0 };

    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr().cast(), len: bytes.len() }
    }

    pub(crate) fn read<'a>(&self, name: &str) -> Result<&'a [u8]> {
        input(self.data, self.len, name)
    }

    pub(crate) fn read_key<'a>(&self, name: &str) -> Result<&'a [u8]> {
        key(self.data, self.len, name)
    }
}

/// The most room that a caller is believed to have: the address space of a process.
const MAX_ROOM_BYTES: usize = 1 << 47;

/// Refuses a length that cannot be, before what it is the length of is looked at.
#[inline(always)]
fn check_length(len: usize, max: usize, name: &str) -> Result<()> {
    if len > max { Err(too_long(name, len, max)) } else { Ok(()) }
}

/// The caller's key, of at most 64 KiB: of one to be written or looked up.
#[inline(always)]
pub(crate) fn key<'a>(data: *const c_void, len: usize, name: &str) -> Result<&'a [u8]> {
    check_length(len, MAX_KEY_BYTES, name)?;
    input(data, len, name)
}

/// The caller's bytes, at most 1 GiB. NULL with length 0 is an empty input.
#[inline(always)]
pub(crate) fn input<'a>(data: *const c_void, len: usize, name: &str) -> Result<&'a [u8]> {
    check_length(len, MAX_VALUE_BYTES, name)?;
    if data.is_null() {
        return if len == 0 { Ok(&[]) } else { Err(null(name)) };
    }
    // SAFETY: not NULL, of a possible length, and by the caller's promise readable until the call returns.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

/// The most elements of an array of the caller's: as many as a write has operations, and no more than fit into memory.
const fn max_count<T>() -> usize {
    let fit = MAX_ROOM_BYTES / if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
    if fit < MAX_BATCH_COUNT { fit } else { MAX_BATCH_COUNT }
}

/// The caller's array.
pub(crate) fn array<'a, T>(data: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    check_length(count, max_count::<T>(), name)?;
    if data.is_null() {
        return if count == 0 { Ok(&[]) } else { Err(null(name)) };
    }
    if !data.is_aligned() {
        return Err(Error::invalid(format!("`{name}` is not aligned")));
    }
    // SAFETY: not NULL, aligned, of a possible length, and by the caller's promise readable until the call returns.
    Ok(unsafe { std::slice::from_raw_parts(data, count) })
}

/// A buffer of the caller that is filled.
pub(crate) fn buffer<'a>(data: *mut c_void, len: usize, name: &str) -> Result<&'a mut [u8]> {
    check_length(len, MAX_ROOM_BYTES, name)?;
    if data.is_null() {
        return if len == 0 { Ok(&mut []) } else { Err(null(name)) };
    }
    // SAFETY: not NULL, of a possible length, and by the caller's promise writable and nobody else's until the call returns.
    Ok(unsafe { std::slice::from_raw_parts_mut(data.cast(), len) })
}

/// A NUL-terminated text of the caller's, in UTF-8.
pub(crate) fn text<'a>(text: *const c_char, name: &str) -> Result<&'a str> {
    std::str::from_utf8(c_bytes(text, name)?).map_err(|_| Error::invalid(format!("`{name}` is not UTF-8")))
}

/// A path of the caller's: any bytes but NUL, and not empty.
pub(crate) fn path<'a>(path: *const c_char, name: &str) -> Result<&'a Path> {
    use std::os::unix::ffi::OsStrExt;
    match c_bytes(path, name)? {
        [] => Err(Error::invalid(format!("`{name}` is empty"))),
        bytes => Ok(Path::new(std::ffi::OsStr::from_bytes(bytes))),
    }
}

fn c_bytes<'a>(text: *const c_char, name: &str) -> Result<&'a [u8]> {
    if text.is_null() {
        return Err(null(name));
    }
    // SAFETY: not NULL, and by the caller's promise terminated and readable until the call returns.
    Ok(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A struct led by its `struct_size` in bytes, a `u32`.
///
/// # Safety
/// Implement it only for `repr(C)` structs of integers and pointers without padding, whose first field is that `u32`: every
/// pattern of bits must be a value.
pub(crate) unsafe trait Sized32: Copy + Default {}

/// Reads a struct that an older or newer caller may have filled: what he does not have is at its default, what we do not
/// have must be zero. NULL: every default.
pub(crate) fn structure<T: Sized32>(from: *const T, name: &str) -> Result<T> {
    let mut value = T::default();
    if from.is_null() {
        return Ok(value);
    }
    let size = struct_size(from.cast(), name)?;
    let known = size.min(size_of::<T>());
    // SAFETY: the caller says that `size` bytes are readable; `known` is at most that and at most the size of `value`, and
    // `Sized32` promises that any bits are a value.
    unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), (&raw mut value).cast::<u8>(), known) };
    for at in known..size {
        // SAFETY: within the `size` bytes that the caller says are readable.
        if unsafe { from.cast::<u8>().add(at).read() } != 0 {
            let message = format!("`{name}` has fields set that this version of the library does not know");
            return Err(Error::new(ErrorKind::NotSupported, message));
        }
    }
    Ok(value)
}

/// Fills a struct of the caller's as far as he knows it; his `struct_size` stays.
pub(crate) fn fill<T: Sized32>(to: *mut T, value: T, name: &str) -> Result<()> {
    if to.is_null() {
        return Err(null(name));
    }
    let size = struct_size(to.cast_const().cast(), name)?.min(size_of::<T>());
    // SAFETY: the caller says that `size` bytes are writable, and the first four are his own `struct_size`.
    unsafe {
        let (from, to) = ((&raw const value).cast::<u8>(), to.cast::<u8>());
        std::ptr::copy_nonoverlapping(from.add(4), to.add(4), size - 4);
    }
    Ok(())
}

/// The largest `struct_size` believed: anything beyond is an uninitialised variable.
const MAX_STRUCT_BYTES: usize = 4096;

fn struct_size(from: *const c_void, name: &str) -> Result<usize> {
    // SAFETY: not NULL; by the caller's promise at least the leading `u32` is readable.
    let size = unsafe { from.cast::<u32>().read_unaligned() } as usize;
    if !(8..=MAX_STRUCT_BYTES).contains(&size) {
        return Err(Error::invalid(format!("`{name}` has the struct_size {size}: set it to sizeof the struct")));
    }
    Ok(size)
}

/// A variable of the caller's for a result. Written at once, so that it is written on every path.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    #[inline(always)]
    pub(crate) fn new(place: *mut T, initial: T) -> Self {
        let out = Self(place);
        out.set(initial);
        out
    }

    /// Refuses a NULL: for results that the caller must take, because he has to free them.
    #[inline(always)]
    pub(crate) fn required(&self, name: &str) -> Result<()> {
        if self.0.is_null() { Err(null(name)) } else { Ok(()) }
    }

    #[inline(always)]
    pub(crate) fn set(&self, value: T) {
        if !self.0.is_null() {
            // SAFETY: not NULL, and by the caller's promise a variable of this type until the call returns.
            unsafe { self.0.write(value) };
        }
    }
}

/// A copy of `bytes` for sstore_free, with a NUL after it that is not counted.
pub(crate) fn owned(bytes: &[u8]) -> Result<*mut c_void> {
    // SAFETY: malloc accepts any size; the result is checked.
    let copy = unsafe { libc::malloc(bytes.len() + 1) };
    if copy.is_null() {
        return Err(Error::new(ErrorKind::NoMemory, format!("no memory for a copy of {} bytes", bytes.len())));
    }
    // SAFETY: `copy` is a new block of one byte more than `bytes`.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), copy.cast(), bytes.len());
        copy.cast::<u8>().add(bytes.len()).write(0);
    }
    Ok(copy)
}

/// Frees what a function gave as a copy: the values of sstore_get, the texts of sstore_options_get, sstore_metrics_text and
/// sstore_log_pin_get. NULL does nothing.
/// Handles have free functions of their own. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_free(memory: *mut c_void) {
    // SAFETY: by convention 5 of the header it is NULL or came from `owned`, that is from malloc, and was not freed yet.
    unsafe { libc::free(memory) };
}

#[cold]
pub(crate) fn null(name: &str) -> Error {
    Error::invalid(format!("`{name}` is NULL"))
}

#[cold]
fn too_long(name: &str, len: usize, max: usize) -> Error {
    Error::invalid(format!("`{name}` cannot be {len} long: at most {max}"))
}

/// An array of the caller's that is filled; a NULL one swallows everything.
pub(crate) struct Slots<T> {
    first: *mut T,
    count: usize,
}

pub(crate) fn slots<T>(first: *mut T, count: usize, name: &str) -> Result<Slots<T>> {
    check_length(count, max_count::<T>(), name)?;
    if !first.is_aligned() {
        return Err(Error::invalid(format!("`{name}` is not aligned")));
    }
    Ok(Slots { first, count })
}

impl<T> Slots<T> {
    #[inline(always)]
    pub(crate) fn set(&self, index: usize, value: T) {
        if !self.first.is_null() && index < self.count {
            // SAFETY: not NULL, within the caller's array, which is writable until the call returns by his promise.
            unsafe { self.first.add(index).write(value) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_cannot_be_are_refused_before_the_pointer_is_followed() {
        let nowhere = std::ptr::without_provenance_mut::<c_void>(8);
        let refused = |result: Result<usize>, name: &str| {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains(name), "{error} does not name {name}");
        };
        for len in [MAX_VALUE_BYTES + 1, usize::MAX / 2, isize::MAX as usize + 1, usize::MAX] {
            refused(input(nowhere, len, "value").map(<[u8]>::len), "`value`");
            refused(key(nowhere, len, "key").map(<[u8]>::len), "`key`");
        }
        refused(key(nowhere, MAX_KEY_BYTES + 1, "key").map(<[u8]>::len), "`key`");
        for count in [MAX_BATCH_COUNT + 1, usize::MAX / size_of::<sstore_slice>() + 1, usize::MAX / 2, usize::MAX] {
            refused(array::<sstore_slice>(nowhere.cast(), count, "keys").map(<[_]>::len), "`keys`");
            refused(slots::<sstore_slice>(nowhere.cast(), count, "values").map(|slots| slots.count), "`values`");
        }
        for len in [MAX_ROOM_BYTES + 1, usize::MAX / 2, usize::MAX] {
            refused(buffer(nowhere, len, "buffer").map(|bytes| bytes.len()), "`buffer`");
        }
        let longest = vec![0; MAX_KEY_BYTES];
        assert_eq!(key(longest.as_ptr().cast(), longest.len(), "key").unwrap().len(), MAX_KEY_BYTES);
    }
}
