//! Bytes that Python reads and writes where they lie: values handed out without a copy, and buffers filled with a value.
//!
//! Called by `get_view` and `get_into`. Promises: the memory of a value stays in place and unchanged while any view of it lives, also
//! after the database was closed; a buffer is written to only inside its bounds, with the interpreter lock held.
#![expect(unsafe_code, reason = "the buffer protocol is a C struct with raw pointers")]

use crate::shared::Owned;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;
use sstore::PinnedBytes;
use std::ffi::c_int;

/// What a memoryview of a value holds on to.
#[pyclass(frozen, module = "sstore")]
struct Pinned(Owned<PinnedBytes>);

#[pymethods]
impl Pinned {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill"));
        }
        let bytes = slf.get().0.as_slice();
        let len = bytes.len().cast_signed();
        // SAFETY: the caller gives a view to fill, by the rules of the slot; the bytes stay where they are while `slf` lives, which the view
        // gets a reference to; a view that would be written to is refused, since it is said to be read-only.
        let code = unsafe {
            let start = bytes.as_ptr().cast_mut().cast();
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, len, 1, flags)
        };
        if code == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// A read-only memoryview of the value where it lies.
pub(crate) fn view<'py>(py: Python<'py>, value: PinnedBytes) -> PyResult<Bound<'py, PyMemoryView>> {
    PyMemoryView::from(Bound::new(py, Pinned(Owned::new(value)))?.as_any())
}

/// A buffer of Python that can be written to.
pub(crate) struct Writable<'py> {
    buffer: PyUntypedBuffer,
    py: Python<'py>,
}

impl<'py> Writable<'py> {
    pub(crate) fn of(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let buffer = PyUntypedBuffer::get(object)?;
        if buffer.readonly() || !buffer.is_c_contiguous() {
            return Err(PyTypeError::new_err(
                "a buffer that can be written to is expected, in one piece, such as a bytearray",
            ));
        }
        Ok(Self { buffer, py: object.py() })
    }

    pub(crate) fn len_bytes(&self) -> usize {
        self.buffer.len_bytes()
    }

    /// Copies `bytes` to its beginning if there is room, and says whether there was.
    pub(crate) fn fill(&self, bytes: &[u8]) -> bool {
        let _held = self.py;
        if bytes.len() > self.len_bytes() {
            return false;
        }
        // SAFETY: the buffer is writable, in one piece and at least as long as what is copied, and stays so until it is released, which the
        // drop of `buffer` does; values of the engine are not in memory that Python can write to, so the two do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.buffer.buf_ptr().cast::<u8>(), bytes.len()) };
        true
    }
}
