//! Batches as the functions of `raceline._chain` handle them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, make_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyMapping, PyTuple};
use raceline_types::{FLAGS_KEY, batch_sliced_bytes, is_plain_value_schema, unite_batches};

use crate::capsule::batch_capsules;
use crate::convert::{self, ConvertError, Kind};
use crate::numpy::Memory;

/// Rows inside a worker process.
#[pyclass(frozen, module = "raceline._native")]
pub(crate) struct WorkerBatch {
    pub(crate) inner: RecordBatch,
}

#[pymethods]
impl WorkerBatch {
    #[getter]
    fn num_rows(&self) -> usize {
        self.inner.num_rows()
    }

    /// Names of the columns, in order.
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.inner.schema_ref().fields().iter().map(|field| field.name().as_str()).collect()
    }

    /// Whether the rows are plain values.
    #[getter]
    fn is_values(&self) -> bool {
        is_plain_value_schema(self.inner.schema_ref())
    }

    /// Whether filters answer which rows stay, and not the rows.
    #[getter]
    fn wants_flags(&self) -> bool {
        self.inner.schema_ref().metadata().contains_key(FLAGS_KEY)
    }

    /// About the bytes of a row in Arrow memory, at least 1.
    #[getter]
    fn row_bytes(&self) -> usize {
        batch_sliced_bytes(&self.inner) / self.inner.num_rows().max(1) + 1
    }

    /// Rows `first` to `first + rows`, cut at the end.
    fn slice(&self, first: usize, rows: usize) -> Self {
        let first = first.min(self.inner.num_rows());
        Self { inner: self.inner.slice(first, rows.min(self.inner.num_rows() - first)) }
    }

    /// All rows of a batch of which each row is a group, and how many each group has.
    fn groups(&self) -> PyResult<(Self, Vec<usize>)> {
        let refuse = || PyValueError::new_err("the rows of a batch are no groups");
        let list = match self.inner.columns() {
            [only] => only.as_list_opt::<i32>().ok_or_else(refuse)?,
            _ => return Err(refuse()),
        };
        let rows = list.values().as_struct_opt().ok_or_else(refuse)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let (schema, columns) = (Schema::new(rows.fields().clone()), rows.columns().to_vec());
        let rows = RecordBatch::try_new_with_options(Arc::new(schema), columns, &options);
        let rows = rows.map_err(ConvertError::from)?;
        let offsets = list.value_offsets();
        let first = offsets.first().map_or(0, |first| first.unsigned_abs() as usize);
        let lengths = offsets.windows(2).map(|span| (span[1] - span[0]).unsigned_abs() as usize);
        let lengths: Vec<usize> = lengths.collect();
        Ok((Self { inner: rows.slice(first, lengths.iter().sum()) }, lengths))
    }

    /// The values of each column; of a batch without columns, one column of `None`.
    fn cells<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyList>>> {
        if self.inner.num_columns() == 0 {
            return Ok(vec![PyList::new(py, vec![py.None().bind(py); self.inner.num_rows()])?]);
        }
        let fields = self.inner.schema_ref().fields();
        let columns = self.inner.columns().iter().zip(fields);
        columns.map(|(array, field)| convert::cell_list(py, array, field)).collect()
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

    /// The rows whose flag is true; there is one flag a row.
    fn filter(&self, flags: &Bound<'_, PyList>) -> PyResult<Self> {
        let inner = filter_record_batch(&self.inner, &flag_array(flags)?);
        Ok(Self { inner: inner.map_err(ConvertError::from)? })
    }

    /// A batch of one column: the flags themselves.
    #[staticmethod]
    fn of_flags(flags: &Bound<'_, PyList>) -> PyResult<Self> {
        let flags: ArrayRef = Arc::new(flag_array(flags)?);
        let inner = RecordBatch::try_from_iter([("stays", flags)]);
        Ok(Self { inner: inner.map_err(ConvertError::from)? })
    }

    /// The batch in memory of its own, which does not change with what a function holds.
    pub(crate) fn own(&self) -> PyResult<Self> {
        Ok(Self { inner: own(&self.inner).map_err(ConvertError::from)? })
    }

    /// The batch with a column `name`, which it lacks, of `values` at its end.
    fn with_column(&self, name: &str, values: &Bound<'_, PyList>) -> PyResult<Self> {
        let (field, array) = convert::column_from_cells(name, values.iter().collect())?;
        if array.len() != self.inner.num_rows() {
            return Err(PyValueError::new_err("a column needs one value a row"));
        }
        let mut fields = self.inner.schema_ref().fields().to_vec();
        let mut columns = self.inner.columns().to_vec();
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

/// `batches` as one, where their columns can be united; else as they are.
#[pyfunction]
pub(crate) fn join_batches(batches: Vec<PyRef<'_, WorkerBatch>>) -> Vec<WorkerBatch> {
    let all: Vec<RecordBatch> = batches.into_iter().map(|batch| batch.inner.clone()).collect();
    let join = || {
        let united = unite_batches(all.clone()).ok()?;
        concat_batches(united.first()?.schema_ref(), &united).ok()
    };
    let joined = if all.len() > 1 { join() } else { None };
    let joined = joined.map_or(all, |one| vec![one]);
    joined.into_iter().map(|inner| WorkerBatch { inner }).collect()
}

/// Whether `row` is a plain value (true) or a mapping (false); `None` when it is neither.
///
/// # Errors
/// What the value raises when it is asked for its type.
#[pyfunction]
pub(crate) fn is_plain_value(row: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    Ok(match Kind::of(row)? {
        Kind::Dict => Some(false),
        Kind::Other if row.cast::<PyMapping>().is_ok() => Some(false),
        Kind::Null | Kind::List | Kind::Array | Kind::Other => None,
        _ => Some(true),
    })
}

fn flag_array(flags: &Bound<'_, PyList>) -> PyResult<BooleanArray> {
    let flags = flags.iter().map(|flag| flag.is_truthy());
    Ok(BooleanArray::from(flags.collect::<PyResult<Vec<bool>>>()?))
}

/// The batch in memory that nobody else has: what a function returned it may change later.
fn own(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let own = |column: &ArrayRef| own_data(&column.to_data()).map(make_array);
    let columns = batch.columns().iter().map(own).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

fn own_data(data: &ArrayData) -> Result<ArrayData, ArrowError> {
    let own = |buffer: &Buffer| Buffer::from(buffer.as_slice());
    let nulls = data.nulls().map(|nulls| {
        NullBuffer::new(BooleanBuffer::new(own(nulls.buffer()), nulls.offset(), nulls.len()))
    });
    let children = data.child_data().iter().map(own_data).collect::<Result<_, _>>()?;
    data.clone()
        .into_builder()
        .buffers(data.buffers().iter().map(own).collect())
        .nulls(nulls)
        .child_data(children)
        .build()
}
