//! The two places where memory changes hands between Arrow and NumPy without a copy.
//!
//! Arrow to NumPy goes by the buffer protocol: an `ArrowMemory` object exports a read-only
//! view of an Arrow buffer, and the array made over it holds that object as its base. NumPy to
//! Arrow goes the other way round: an Arrow buffer owns the Python buffer view that it reads.

#![expect(unsafe_code, reason = "the buffer protocol is an interface of raw pointers")]

use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow::buffer::{Buffer, MutableBuffer};
use pyo3::buffer::PyBuffer;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use crate::lent::Lent;

/// Whether an Arrow array may read a NumPy array's own memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Read it in place: the owner promises not to write to it while the Arrow array lives.
    Shared,
    /// Take a copy, so that later writes by its owner do not show.
    Copied,
}

/// An Arrow buffer as a read-only Python buffer.
#[pyclass(frozen, module = "raceline._native")]
struct ArrowMemory(Buffer);

#[pymethods]
impl ArrowMemory {
    /// # Safety
    /// Called by the interpreter alone, with a `view` that it owns.
    #[expect(clippy::needless_pass_by_value, reason = "the signature is PyO3's")]
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let bytes = slf.get().0.as_slice();
        let length = ffi::Py_ssize_t::try_from(bytes.len())?;
        // SAFETY: `view` comes from the interpreter. The memory is immutable, is exported as
        // read-only (the 1), and outlives the view, because the view owns a reference to `slf`.
        let status = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                bytes.as_ptr().cast_mut().cast(),
                length,
                1,
                flags,
            )
        };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// A function or class of the `numpy` module, imported once.
pub(crate) fn numpy_item<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyAny>>,
    name: &str,
) -> PyResult<&'py Bound<'py, PyAny>> {
    let item =
        cell.get_or_try_init(py, || PyResult::Ok(py.import("numpy")?.getattr(name)?.unbind()))?;
    Ok(item.bind(py))
}

/// A read-only C-ordered array of `shape` and NumPy type `dtype` over `buffer`, from its first
/// byte. The array keeps the buffer alive.
///
/// # Errors
/// When NumPy refuses: the buffer is too small, or there is no such type.
pub(crate) fn array_over<'py>(
    py: Python<'py>,
    buffer: Buffer,
    dtype: &str,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    static NDARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let memory = Bound::new(py, ArrowMemory(buffer))?;
    numpy_item(py, &NDARRAY, "ndarray")?.call1((PyTuple::new(py, shape)?, dtype, memory))
}

/// The elements of `array` in C order, as one Arrow buffer aligned to `alignment` bytes.
///
/// The memory is shared when `memory` allows it and the array is contiguous and aligned;
/// otherwise it is copied once.
///
/// # Errors
/// When the array does not export its memory.
pub(crate) fn buffer_of(
    array: &Bound<'_, PyAny>,
    memory: Memory,
    alignment: usize,
) -> PyResult<Buffer> {
    static CONTIGUOUS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = array.py();
    let contiguous = numpy_item(py, &CONTIGUOUS, "ascontiguousarray")?.call1((array,))?;
    let bytes = contiguous.call_method1("reshape", (-1,))?.call_method1("view", ("u1",))?;
    let view = PyBuffer::<u8>::get(&bytes)?;
    let length = view.len_bytes();
    let (Some(start), 1..) = (NonNull::new(view.buf_ptr().cast::<u8>()), length) else {
        return Ok(MutableBuffer::new(0).into());
    };
    if memory == Memory::Copied || start.addr().get() % alignment != 0 {
        let mut copy = MutableBuffer::from_len_zeroed(length);
        view.copy_to_slice(py, copy.as_slice_mut())?;
        return Ok(copy.into());
    }
    // SAFETY: `start` is the start of `length` contiguous bytes of an exported buffer, which
    // stay where they are until the view is released: that happens when the owner is dropped.
    Ok(unsafe { Buffer::from_custom_allocation(start, length, Arc::new(Lent::new(view))) })
}

/// A writable copy of `array`.
///
/// # Errors
/// When NumPy runs out of memory.
pub(crate) fn writable_copy<'py>(array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    array.call_method1("copy", ("C",))
}

/// A one-dimensional object array of `cells`, each kept as it is.
///
/// # Errors
/// When NumPy cannot be imported.
pub(crate) fn object_array<'py>(
    py: Python<'py>,
    cells: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    static FROMITER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let options = PyDict::new(py);
    options.set_item("count", cells.len()?)?;
    numpy_item(py, &FROMITER, "fromiter")?.call((cells, "O"), Some(&options))
}
