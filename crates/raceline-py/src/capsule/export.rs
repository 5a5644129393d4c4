//! Batches and schemas out.

use std::sync::Arc;

use arrow::array::{RecordBatch, StructArray};
use arrow::datatypes::{Field, Schema};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};
use pyo3_arrow::ffi::{to_array_pycapsules, to_schema_pycapsule};

/// What `__arrow_c_array__` returns for `batch`: a schema and an array over the same memory,
/// cast to `requested_schema` where Arrow can.
///
/// # Errors
/// When Arrow's C interface cannot express the batch.
pub(crate) fn batch_capsules<'py>(
    py: Python<'py>,
    batch: &RecordBatch,
    requested_schema: Option<Bound<'py, PyCapsule>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let schema = batch.schema_ref();
    let field = Field::new_struct("", schema.fields().clone(), false)
        .with_metadata(schema.metadata().clone());
    let columns = batch.columns().to_vec();
    let rows =
        StructArray::try_new_with_length(schema.fields().clone(), columns, None, batch.num_rows())
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(to_array_pycapsules(py, Arc::new(field), &rows, requested_schema)?)
}

/// What `__arrow_c_schema__` returns for `schema`.
///
/// # Errors
/// When Arrow's C interface cannot express the schema.
pub(crate) fn schema_capsule<'py>(
    py: Python<'py>,
    schema: &Schema,
) -> PyResult<Bound<'py, PyCapsule>> {
    Ok(to_schema_pycapsule(py, schema)?)
}
