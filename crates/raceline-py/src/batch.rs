//! The batch handle.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::Schema as ArrowSchema;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyList, PyMapping, PyTuple};
use raceline_types::{InternalError, without_objects};

use crate::capsule::batch_capsules;
use crate::convert;
use crate::ipc;
use crate::numpy::Memory;
use crate::schema::Schema;

/// Rows of a dataset in memory; any Arrow library takes it by `__arrow_c_array__`.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct Batch {
    inner: RecordBatch,
}

impl Batch {
    pub(crate) fn new(inner: RecordBatch) -> Self {
        Self { inner }
    }

    /// The rows.
    pub(crate) fn get(&self) -> &RecordBatch {
        &self.inner
    }
}

#[pymethods]
impl Batch {
    #[getter]
    fn num_rows(&self) -> usize {
        self.inner.num_rows()
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.inner.schema_ref().fields().iter().map(|field| field.name().clone()).collect()
    }

    fn slice(&self, first: usize, rows: usize) -> PyResult<Self> {
        if first.checked_add(rows).is_none_or(|end| end > self.inner.num_rows()) {
            let have = self.inner.num_rows();
            let text = format!("rows {first}..{first}+{rows} leave the batch of {have} rows");
            return Err(PyValueError::new_err(text));
        }
        Ok(Self::new(self.inner.slice(first, rows)))
    }

    /// The rows of struct column `name` as a batch.
    fn rows_of(&self, name: &str) -> PyResult<Self> {
        let column = self.inner.column_by_name(name).and_then(AsArray::as_struct_opt);
        let column = column.ok_or_else(|| {
            PyValueError::new_err(format!("the batch has no column `{name}` of structs"))
        })?;
        Ok(Self::new(RecordBatch::from(column)))
    }

    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        convert::batch_to_rows(py, &self.inner)
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

    /// Names and types of the columns.
    fn schema(&self) -> Schema {
        Schema::new(self.inner.schema())
    }

    /// The batch as bytes of an Arrow IPC stream.
    fn to_ipc<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = crate::gil::detached(py, || {
            ipc::written(&self.inner)
                .map_err(|error| InternalError::caused_by("a batch as a stream", error).into())
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// The batch of such bytes, which this program wrote.
    #[staticmethod]
    fn from_ipc(py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        crate::gil::detached(py, || {
            ipc::read(bytes)
                .map_err(|error| InternalError::caused_by("a stream of a batch", error).into())
        })
        .map(Self::new)
    }

    /// One batch of all rows; columns are united as in [`raceline::unite_batches`].
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "extracted from Python by value")]
    fn concat(py: Python<'_>, batches: Vec<PyRef<'_, Self>>) -> PyResult<Self> {
        let batches: Vec<_> = batches.iter().map(|batch| batch.inner.clone()).collect();
        let batches = crate::gil::detached(py, || raceline::unite_batches(batches))?;
        let first =
            batches.first().ok_or_else(|| PyValueError::new_err("there is no batch to join"))?;
        concat_batches(first.schema_ref(), &batches)
            .map(Self::new)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

/// The record batches of Python objects: our own handles, and whatever exports Arrow.
pub(crate) fn batches_from_py(objects: &[Bound<'_, PyAny>]) -> PyResult<Vec<RecordBatch>> {
    let mut batches = Vec::with_capacity(objects.len());
    for object in objects {
        match object.cast::<Batch>() {
            Ok(batch) => batches.push(batch.get().inner.clone()),
            Err(_) => {
                for batch in convert::batches_from_value(object, Memory::Shared)? {
                    batches.push(from_outside(&batch)?);
                }
            }
        }
    }
    Ok(batches)
}

/// A batch that somebody else made, without marks that would have its bytes unpickled.
fn from_outside(batch: &RecordBatch) -> PyResult<RecordBatch> {
    let schema = batch.schema_ref();
    let fields = schema.fields().iter().map(|field| without_objects(field));
    let schema =
        ArrowSchema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone());
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            cast(column, field.data_type())
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = columns.collect::<Result<Vec<_>, _>>();
    columns
        .and_then(|columns| RecordBatch::try_new_with_options(schema.into(), columns, &options))
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The batches of rows, each a mapping of column name to value.
#[pyfunction]
pub(crate) fn rows_to_batches(rows: &Bound<'_, PyList>) -> PyResult<Vec<Batch>> {
    Ok(vec![Batch::new(convert::rows_to_batch(rows)?)])
}

/// The batch of a mapping of column name to a list or an array with one value a row.
#[pyfunction]
pub(crate) fn columns_to_batch(columns: &Bound<'_, PyMapping>) -> PyResult<Batch> {
    Ok(Batch::new(convert::columns_to_batch(columns, Memory::Copied)?))
}
