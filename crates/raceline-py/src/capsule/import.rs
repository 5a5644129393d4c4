//! Arrays and streams of arrays in.
#![expect(unsafe_code, reason = "Arrow's C interface is one of raw pointers")]

use std::ffi::CStr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type};
use arrow::ffi_stream::FFI_ArrowArrayStream;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use super::windows::window;
use crate::convert::ConvertError;
use crate::lent::Lent;

/// What a Python object handed over: arrays of one type over its memory.
#[derive(Debug)]
pub(crate) struct ArrowChunks {
    pub(crate) field: Field,
    pub(crate) chunks: Vec<ArrayRef>,
}

impl ArrowChunks {
    /// Takes over what `value` exports, as one array where it can; `None` when it exports nothing.
    ///
    /// # Errors
    /// What the exporting methods raise, and [`ConvertError::Arrow`] when what they hand over is
    /// not valid.
    pub(crate) fn take(value: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let py = value.py();
        if value.hasattr(intern!(py, "__arrow_c_array__"))? {
            return take_array(value).map(Some);
        }
        if value.hasattr(intern!(py, "__arrow_c_stream__"))? {
            return take_stream(value).map(Some);
        }
        Ok(None)
    }

    /// The chunks as batches: each field of theirs, which are structs, is a column.
    ///
    /// # Errors
    /// [`ConvertError::Arrow`] when they are no structs, or whole rows are null.
    pub(crate) fn into_batches(self) -> Result<(SchemaRef, Vec<RecordBatch>), ConvertError> {
        let DataType::Struct(fields) = self.field.data_type() else {
            let found = self.field.data_type();
            return Err(invalid(format!("rows must be structs, and these are `{found}`")));
        };
        let metadata = self.field.metadata().clone();
        let schema = Arc::new(Schema::new_with_metadata(fields.clone(), metadata));
        let batches = self.chunks.iter().map(|rows| batch_of(&schema, rows));
        let batches = batches.collect::<Result<_, _>>()?;
        Ok((schema, batches))
    }
}

/// The field that a Python object exports as an Arrow schema: a type is one without a name, and a
/// schema one of a struct.
///
/// # Errors
/// What the exporting method raises, and [`ConvertError::Arrow`] when it is none.
pub(crate) fn exported_field(value: &Bound<'_, PyAny>) -> PyResult<Field> {
    let capsule = value.call_method0(intern!(value.py(), "__arrow_c_schema__"))?;
    let capsule = capsule.cast_into::<PyCapsule>()?;
    let schema = capsule.pointer_checked(Some(c"arrow_schema"))?.cast::<FFI_ArrowSchema>();
    // SAFETY: a capsule of this name points to an ArrowSchema, which it owns while it lives.
    Ok(Field::try_from(unsafe { schema.as_ref() }).map_err(ConvertError::from)?)
}

fn batch_of(schema: &SchemaRef, rows: &ArrayRef) -> Result<RecordBatch, ConvertError> {
    if rows.null_count() > 0 {
        return Err(invalid("a struct that is null cannot be a row of a batch".to_owned()));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let columns = rows.as_struct().columns().to_vec();
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

fn take_array(value: &Bound<'_, PyAny>) -> PyResult<ArrowChunks> {
    let capsules = value.call_method0(intern!(value.py(), "__arrow_c_array__"))?;
    let (schema, array): (Bound<'_, PyCapsule>, Bound<'_, PyCapsule>) = capsules.extract()?;
    let schema = schema.pointer_checked(Some(c"arrow_schema"))?.cast::<FFI_ArrowSchema>();
    // SAFETY: a capsule of this name points to an ArrowSchema, which it owns while it lives.
    let field = Field::try_from(unsafe { schema.as_ref() }).map_err(ConvertError::from)?;
    let array = array.pointer_checked(Some(c"arrow_array"))?.cast::<FFI_ArrowArray>();
    // SAFETY: a capsule of this name points to an ArrowArray; it is moved out, and what stays
    // behind is marked as released.
    let array = unsafe { FFI_ArrowArray::from_raw(array.as_ptr()) };
    let chunks = vec![array_of(array, &field)?];
    Ok(ArrowChunks { field, chunks })
}

fn take_stream(value: &Bound<'_, PyAny>) -> PyResult<ArrowChunks> {
    let capsule = value.call_method0(intern!(value.py(), "__arrow_c_stream__"))?;
    let capsule = capsule.cast_into::<PyCapsule>()?;
    let stream = capsule.pointer_checked(Some(c"arrow_array_stream"))?;
    // SAFETY: a capsule of this name points to an ArrowArrayStream; it is moved out, and what
    // stays behind is marked as released.
    let mut stream = unsafe { FFI_ArrowArrayStream::from_raw(stream.cast().as_ptr()) };
    let field = field_of(&mut stream)?;
    let mut chunks = Vec::new();
    while let Some(array) = next(&mut stream)? {
        chunks.push(array_of(array, &field)?);
    }
    Ok(ArrowChunks { field, chunks })
}

fn array_of(array: FFI_ArrowArray, field: &Field) -> Result<ArrayRef, ConvertError> {
    if array.is_released() {
        return Err(invalid("the array was handed over before".to_owned()));
    }
    // SAFETY: whoever exports by the interface promises data of the type that it says.
    let data = unsafe { from_ffi_and_data_type(lent(array), field.data_type().clone()) }?;
    Ok(window(&data, 0, data.len())?)
}

/// `array`, which any thread may release.
fn lent(array: FFI_ArrowArray) -> FFI_ArrowArray {
    FFI_ArrowArray {
        length: array.length,
        null_count: array.null_count,
        offset: array.offset,
        n_buffers: array.n_buffers,
        n_children: array.n_children,
        buffers: array.buffers,
        children: array.children,
        dictionary: array.dictionary,
        release: Some(give_back),
        private_data: Box::into_raw(Box::new(Lent::new(array))).cast(),
    }
}

/// Releases an array that [`lent`] made.
///
/// # Safety
/// As Arrow's interface says: called once, with such an array.
unsafe extern "C" fn give_back(array: *mut FFI_ArrowArray) {
    // SAFETY: by the contract above, `array` is valid, and its private data is the box of `lent`,
    // which nobody else has.
    let owner = unsafe {
        (*array).release = None;
        Box::from_raw((*array).private_data.cast::<Lent<FFI_ArrowArray>>())
    };
    drop(owner);
}

fn field_of(stream: &mut FFI_ArrowArrayStream) -> Result<Field, ConvertError> {
    let get_schema = stream.get_schema.ok_or_else(released)?;
    let mut schema = FFI_ArrowSchema::empty();
    // SAFETY: the stream is not released, and writes a schema where there is none.
    match unsafe { get_schema(stream, &raw mut schema) } {
        0 => Ok(Field::try_from(&schema)?),
        code => Err(stream_error(stream, code)),
    }
}

/// The next array; nothing at the end.
fn next(stream: &mut FFI_ArrowArrayStream) -> Result<Option<FFI_ArrowArray>, ConvertError> {
    let get_next = stream.get_next.ok_or_else(released)?;
    let mut array = FFI_ArrowArray::empty();
    // SAFETY: the stream is not released, and writes an array where there is none.
    match unsafe { get_next(stream, &raw mut array) } {
        0 => Ok(Some(array).filter(|array| !array.is_released())),
        code => Err(stream_error(stream, code)),
    }
}

fn stream_error(stream: &mut FFI_ArrowArrayStream, code: i32) -> ConvertError {
    // SAFETY: the stream is not released; the text that it returns lives until it is used again.
    let message = stream.get_last_error.and_then(|last_error| unsafe {
        let text = last_error(stream);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    });
    invalid(message.unwrap_or_else(|| format!("the stream failed with code {code}")))
}

fn released() -> ConvertError {
    invalid("the stream was handed over before".to_owned())
}

fn invalid(message: String) -> ConvertError {
    ArrowError::CDataInterface(message).into()
}
