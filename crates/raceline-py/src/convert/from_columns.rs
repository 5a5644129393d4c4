//! Batches of columns: dicts, data frames and whatever exports Arrow.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, NullArray, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::{Field, Schema};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyList, PyMapping, PySequence, PyString, PyTuple};

use raceline_types::stand_in_field;

use super::error::ConvertError;
use super::from_cells::column_from_cells;
use super::from_numpy::column_from_array;
use super::from_rows::{assemble, column_name};
use super::stand_in::StandIn;
use crate::capsule::ArrowChunks;
use crate::numpy::{Memory, numpy_item};

/// The batches that `value` stands for: one for a mapping of columns or a data frame, those of
/// a table for Arrow data. `memory` is for NumPy columns; Arrow data is shared.
///
/// # Errors
/// [`ConvertError::NotABatch`], [`ConvertError::DuplicateColumn`], and those of
/// [`columns_to_batch`].
pub(crate) fn batches_from_value(
    value: &Bound<'_, PyAny>,
    memory: Memory,
) -> PyResult<Vec<RecordBatch>> {
    if let Ok(columns) = value.cast::<PyMapping>() {
        return Ok(vec![columns_to_batch(columns, memory)?]);
    }
    if is_of_pandas(value)? && value.hasattr(intern!(value.py(), "columns"))? {
        let columns = frames(value.py(), "columns_of")?.call1((value,))?;
        return Ok(vec![columns_to_batch(columns.cast::<PyMapping>()?, memory)?]);
    }
    if let Some(rows) = ArrowChunks::take(value)? {
        let (schema, batches) = rows.into_batches()?;
        check_names(&schema)?;
        return Ok(if batches.is_empty() { vec![RecordBatch::new_empty(schema)] } else { batches });
    }
    Err(ConvertError::NotABatch { type_name: value.get_type().name()?.to_string() }.into())
}

/// Refuses what only Arrow data can have: two columns of one name.
fn check_names(schema: &Schema) -> Result<(), ConvertError> {
    let mut names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ConvertError::DuplicateColumn { column: pair[0].to_owned() }),
        None => Ok(()),
    }
}

/// A batch of a mapping of column name to a list, an array or a tensor with one value a row.
///
/// # Errors
/// [`ConvertError::ColumnName`], [`ConvertError::ScalarColumn`],
/// [`ConvertError::UnequalLengths`], and when a value that Arrow cannot hold cannot be pickled.
pub(crate) fn columns_to_batch(
    columns: &Bound<'_, PyMapping>,
    memory: Memory,
) -> PyResult<RecordBatch> {
    let mut converted = Vec::new();
    for item in columns.items()? {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
        converted.push(column_from_value(column_name(key)?.to_str()?, &value, memory)?);
    }
    let rows = converted.first().map_or(0, |(_, array)| array.len());
    assemble(converted, rows)
}

fn column_from_value(
    name: &str,
    value: &Bound<'_, PyAny>,
    memory: Memory,
) -> PyResult<(Field, ArrayRef)> {
    static NDARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static ASARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static FROM_DLPACK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        return column_from_cells(name, value.try_iter()?.collect::<PyResult<_>>()?);
    }
    if value.is_instance(numpy_item(py, &NDARRAY, "ndarray")?)? {
        return column_from_array(name, value, memory);
    }
    if let Ok(stand_in) = value.cast_exact::<StandIn>() {
        let nulls = Arc::new(NullArray::new(stand_in.get().rows));
        return Ok((stand_in_field(name), nulls));
    }
    if is_of_pandas(value)? {
        let column = frames(py, "column_of")?.call1((value,))?;
        return column_from_value(name, &column, memory);
    }
    if let Some(column) = ArrowChunks::take(value)? {
        return arrow_column(name, column);
    }
    if value.hasattr(intern!(py, "__array__"))? {
        let array = numpy_item(py, &ASARRAY, "asarray")?.call1((value,))?;
        return column_from_array(name, &array, memory);
    }
    if value.hasattr(intern!(py, "__dlpack__"))? {
        let array = numpy_item(py, &FROM_DLPACK, "from_dlpack")?.call1((value,))?;
        return column_from_array(name, &array, memory);
    }
    let is_text = value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>();
    if value.cast::<PySequence>().is_ok() && !is_text {
        return column_from_cells(name, value.try_iter()?.collect::<PyResult<_>>()?);
    }
    let type_name = value.get_type().name()?.to_string();
    Err(ConvertError::ScalarColumn { column: name.to_owned(), type_name }.into())
}

/// A column of an Arrow array or a chunked one.
fn arrow_column(name: &str, column: ArrowChunks) -> PyResult<(Field, ArrayRef)> {
    let ArrowChunks { field, chunks } = column;
    let field = field.with_name(name).with_nullable(true);
    let array = match chunks.as_slice() {
        [] => arrow::array::new_empty_array(field.data_type()),
        [only] => Arc::clone(only),
        several => {
            let several: Vec<&dyn Array> = several.iter().map(AsRef::as_ref).collect();
            concat(&several).map_err(ConvertError::from)?
        }
    };
    Ok((field, array))
}

/// Whether the class of `value` is defined by pandas. Nothing is imported to find out.
fn is_of_pandas(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let module = value.get_type().module()?;
    let module = module.to_cow()?;
    Ok(module == "pandas" || module.starts_with("pandas."))
}

fn frames<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import(intern!(py, "raceline._frames"))?.getattr(name)
}
