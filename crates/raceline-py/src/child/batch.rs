//! Batches as the functions of `raceline._chain` handle them.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::Schema;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyMapping, PyTuple};
use raceline_types::is_plain_value_schema;

use crate::capsule::batch_capsules;
use crate::convert::{self, ConvertError, Kind};
use crate::numpy::Memory;

/// Rows inside a worker process.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct WorkerBatch {
    pub(super) inner: RecordBatch,
}

#[pymethods]
impl WorkerBatch {
    /// A batch of dicts.
    #[staticmethod]
    fn from_rows(rows: &Bound<'_, PyList>) -> PyResult<Self> {
        Ok(Self { inner: convert::rows_to_batch(rows)? })
    }

    /// A batch of plain values.
    #[staticmethod]
    fn from_values(values: &Bound<'_, PyList>) -> PyResult<Self> {
        Ok(Self { inner: convert::values_to_batch(values)? })
    }

    #[getter]
    fn num_rows(&self) -> usize {
        self.inner.num_rows()
    }

    #[getter]
    fn num_columns(&self) -> usize {
        self.inner.num_columns()
    }

    /// Whether the rows are plain values.
    #[getter]
    fn is_values(&self) -> bool {
        is_plain_value_schema(self.inner.schema_ref())
    }

    /// Rows `first` to `first + rows`, cut at the end.
    fn slice(&self, first: usize, rows: usize) -> Self {
        let first = first.min(self.inner.num_rows());
        Self { inner: self.inner.slice(first, rows.min(self.inner.num_rows() - first)) }
    }

    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        convert::batch_to_rows(py, &self.inner)
    }

    /// The values of the only column.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let ([array], [field]) = (self.inner.columns(), self.inner.schema_ref().fields().as_ref())
        else {
            return Err(PyValueError::new_err("values need a batch of one column"));
        };
        PyList::new(py, convert::cells(py, array, field)?)
    }

    #[pyo3(signature = (writable = false))]
    fn numpy<'py>(&self, py: Python<'py>, writable: bool) -> PyResult<Bound<'py, PyDict>> {
        convert::batch_to_numpy(py, &self.inner, writable)
    }

    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        batch_capsules(py, &self.inner, requested_schema)
    }

    /// One batch of the rows of `batches`, which all have one schema.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "extracted from Python by value")]
    fn concat(batches: Vec<PyRef<'_, Self>>) -> PyResult<Self> {
        let first = batches.first().ok_or_else(|| PyValueError::new_err("no batch to join"))?;
        let parts = batches.iter().map(|batch| &batch.inner);
        let inner = concat_batches(first.inner.schema_ref(), parts);
        Ok(Self { inner: inner.map_err(ConvertError::from)? })
    }

    /// The rows whose flag is true; there is one flag a row.
    fn filter(&self, flags: &Bound<'_, PyList>) -> PyResult<Self> {
        let mask: Vec<bool> = flags.iter().map(|flag| flag.is_truthy()).collect::<PyResult<_>>()?;
        let inner = filter_record_batch(&self.inner, &BooleanArray::from(mask));
        Ok(Self { inner: inner.map_err(ConvertError::from)? })
    }

    fn has_column(&self, name: &str) -> bool {
        self.inner.schema_ref().column_with_name(name).is_some()
    }

    /// The batch with a column `name` of `values` at its end, in place of one of that name.
    fn with_column(&self, name: &str, values: &Bound<'_, PyList>) -> PyResult<Self> {
        let (field, array) = convert::column_from_cells(name, values.iter().collect())?;
        if array.len() != self.inner.num_rows() {
            return Err(PyValueError::new_err("a column needs one value a row"));
        }
        let kept = self.inner.schema_ref().fields().iter().zip(self.inner.columns());
        let (mut fields, mut columns): (Vec<_>, Vec<_>) = kept
            .filter(|(field, _)| field.name() != name)
            .map(|(field, column)| (Arc::clone(field), Arc::clone(column)))
            .unzip();
        fields.push(Arc::new(field));
        columns.push(array);
        let inner = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
        Ok(Self { inner: inner.map_err(ConvertError::from)? })
    }
}

/// The batches that a batch function returned. NumPy columns are read in place: they must not
/// change before the batches are gone.
///
/// # Errors
/// As [`convert::batches_from_value`].
#[pyfunction]
pub(crate) fn value_to_batches(value: &Bound<'_, PyAny>) -> PyResult<Vec<WorkerBatch>> {
    let batches = convert::batches_from_value(value, Memory::Shared)?;
    Ok(batches.into_iter().map(|inner| WorkerBatch { inner }).collect())
}

/// Whether the rows that a function returned are plain values, and the position of the first
/// that is neither a mapping nor a scalar, or not what the first one is.
///
/// # Errors
/// What a value raises when it is asked for its type.
#[pyfunction]
pub(crate) fn row_forms(rows: &Bound<'_, PyList>) -> PyResult<(bool, Option<usize>)> {
    let mut are_values = None;
    for (index, row) in rows.iter().enumerate() {
        let is_value = match Kind::of(&row)? {
            Kind::Dict => false,
            Kind::Other if row.cast::<PyMapping>().is_ok() => false,
            Kind::Null | Kind::List | Kind::Array | Kind::Other => {
                return Ok((are_values.unwrap_or(false), Some(index)));
            }
            _ => true,
        };
        if *are_values.get_or_insert(is_value) != is_value {
            return Ok((!is_value, Some(index)));
        }
    }
    Ok((are_values.unwrap_or(false), None))
}

/// Position of the first of `flags` that is neither true nor false (an array, say).
#[pyfunction]
pub(crate) fn first_without_truth(flags: &Bound<'_, PyList>) -> Option<usize> {
    flags.iter().position(|flag| flag.is_truthy().is_err())
}
