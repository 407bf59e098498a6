//! The structs of the Arrow C data and stream interfaces, and how they change hands. Called by every function of tables, also
//! in a library that was built without them.
//!
//! Promises: what is taken of a caller is released once, on every path, before the call returns, by the calling thread; what is
//! given to him stands in his variable whole, or marked as released.
//!
//! The header declares the structs itself, under the guards that Arrow prescribes (see `ffi/cbindgen.toml`). This module may
//! use `unsafe`: it reads and writes variables of the caller, and calls the release callbacks of what was handed over.

use crate::bytes;
use engine::{Error, Result};
use std::ffi::{c_char, c_int, c_void};

/// A type, or a column, or the columns of a table.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ArrowSchema {
    pub(crate) format: *const c_char,
    pub(crate) name: *const c_char,
    pub(crate) metadata: *const c_char,
    pub(crate) flags: i64,
    pub(crate) n_children: i64,
    pub(crate) children: *mut *mut ArrowSchema,
    pub(crate) dictionary: *mut ArrowSchema,
    pub(crate) release: Option<unsafe extern "C" fn(*mut ArrowSchema)>,
    pub(crate) private_data: *mut c_void,
}

/// Values: of one type, or, of a struct type, the rows of a table.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ArrowArray {
    pub(crate) length: i64,
    pub(crate) null_count: i64,
    pub(crate) offset: i64,
    pub(crate) n_buffers: i64,
    pub(crate) n_children: i64,
    pub(crate) buffers: *mut *const c_void,
    pub(crate) children: *mut *mut ArrowArray,
    pub(crate) dictionary: *mut ArrowArray,
    pub(crate) release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    pub(crate) private_data: *mut c_void,
}

/// Arrays of one schema, one after the other.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ArrowArrayStream {
    pub(crate) get_schema: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowSchema) -> c_int>,
    pub(crate) get_next: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowArray) -> c_int>,
    pub(crate) get_last_error: Option<unsafe extern "C" fn(*mut ArrowArrayStream) -> *const c_char>,
    pub(crate) release: Option<unsafe extern "C" fn(*mut ArrowArrayStream)>,
    pub(crate) private_data: *mut c_void,
}

/// One of the three structs: what they have in common.
pub(crate) trait Movable: Copy {
    /// One that was released.
    const RELEASED: Self;
    /// Its release callback.
    fn release(&self) -> Option<unsafe extern "C" fn(*mut Self)>;
    /// Takes its release callback away.
    fn forget(&mut self);
}

macro_rules! movable {
    ($type:ident { $($field:ident: $none:expr),* }) => {
        impl Movable for $type {
            const RELEASED: Self = Self { $($field: $none,)* release: None, private_data: std::ptr::null_mut() };

            fn release(&self) -> Option<unsafe extern "C" fn(*mut Self)> {
                self.release
            }

            fn forget(&mut self) {
                self.release = None;
            }
        }
    };
}

movable!(ArrowSchema {
    format: std::ptr::null(),
    name: std::ptr::null(),
    metadata: std::ptr::null(),
    flags: 0,
    n_children: 0,
    children: std::ptr::null_mut(),
    dictionary: std::ptr::null_mut()
});
movable!(ArrowArray {
    length: 0,
    null_count: 0,
    offset: 0,
    n_buffers: 0,
    n_children: 0,
    buffers: std::ptr::null_mut(),
    children: std::ptr::null_mut(),
    dictionary: std::ptr::null_mut()
});
movable!(ArrowArrayStream { get_schema: None, get_next: None, get_last_error: None });

/// What a caller handed over: released when this is dropped.
pub(crate) struct Moved<T: Movable>(Option<T>);

/// Takes over what stands in a variable of the caller's, and marks it as released there. NULL hands nothing over.
pub(crate) fn take<T: Movable>(place: *mut T) -> Moved<T> {
    if place.is_null() {
        return Moved(None);
    }
    // SAFETY: not NULL, and by the caller's promise a variable of this type until the call returns.
    let value = unsafe { place.read_unaligned() };
    let mut rest = value;
    rest.forget();
    // SAFETY: as above.
    unsafe { place.write_unaligned(rest) };
    Moved(Some(value))
}

impl<T: Movable> Moved<T> {
    /// Nothing yet: a place for a producer to fill.
    pub(crate) fn empty() -> Self {
        Self(Some(T::RELEASED))
    }

    /// Whether NULL was given.
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it was released already.
    pub(crate) fn is_released(&self) -> bool {
        self.0.is_none_or(|value| value.release().is_none())
    }

    /// The struct, unless there is none or it was released before.
    pub(crate) fn get(&self, name: &str) -> Result<&T> {
        match &self.0 {
            None => Err(bytes::null(name)),
            Some(value) if value.release().is_none() => Err(released(name)),
            Some(value) => Ok(value),
        }
    }

    /// Where it is, for callbacks. Requires: not NULL.
    pub(crate) fn place(&mut self) -> *mut T {
        self.0.as_mut().map_or(std::ptr::null_mut(), |value| &raw mut *value)
    }
}

impl<T: Movable> Drop for Moved<T> {
    fn drop(&mut self) {
        if let Some(value) = &mut self.0
            && let Some(release) = value.release()
        {
            // SAFETY: the producer made this callback for this struct, which was moved here and is released only here.
            unsafe { release(value) };
        }
    }
}

/// The struct that a pointer inside of another struct leads to.
pub(crate) fn load<T: Movable>(place: *const T, name: &str) -> Result<T> {
    if place.is_null() {
        return Err(bytes::null(name));
    }
    // SAFETY: not NULL; the producer says that a struct of this type is there until its parent is released.
    let value = unsafe { place.read_unaligned() };
    if value.release().is_none() { Err(released(name)) } else { Ok(value) }
}

/// The pointer at `index` of an array of pointers inside of a struct, whose length is the caller's to know.
pub(crate) fn pointer<T: Copy>(first: *const T, index: usize, name: &str) -> Result<T> {
    if first.is_null() {
        return Err(bytes::null(name));
    }
    // SAFETY: not NULL; the producer says that as many pointers lie there as its count says, and `index` is below that.
    Ok(unsafe { first.add(index).read_unaligned() })
}

#[cold]
fn released(name: &str) -> Error {
    Error::invalid(format!("`{name}` was released before: its `release` is NULL"))
}
