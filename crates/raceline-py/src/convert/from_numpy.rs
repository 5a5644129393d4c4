//! NumPy arrays as Arrow columns.

use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, BooleanArray, make_array};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyList;

use super::error::ConvertError;
use super::from_cells::column_from_cells;
use super::tensor::tensors_from_array;
use crate::numpy::{Memory, buffer_of, numpy_item};

/// A column of an array whose first dimension is the rows: plain for one dimension, a
/// fixed-shape tensor for more. Strings, bytes and objects are taken value by value; `NaT` and
/// masked values are null, NaN stays NaN.
///
/// # Errors
/// When the array has no dimension, or a value cannot be pickled where Arrow has no type.
pub(crate) fn column_from_array(
    name: &str,
    array: &Bound<'_, PyAny>,
    memory: Memory,
) -> PyResult<(Field, ArrayRef)> {
    let dimensions: usize = array.getattr("ndim")?.extract()?;
    if dimensions == 0 {
        let type_name = array.get_type().name()?.to_string();
        return Err(ConvertError::ScalarColumn { column: name.to_owned(), type_name }.into());
    }
    if !array.hasattr("mask")? {
        if dimensions > 1 {
            if let Some(column) = tensors_from_array(name, array, memory, None)? {
                return Ok(column);
            }
        } else if let Some(values) = flat_column(array, memory)? {
            return Ok((Field::new(name, values.data_type().clone(), true), values));
        }
    }
    let values = array.call_method0("tolist")?.cast_into::<PyList>()?;
    column_from_cells(name, values.iter().collect())
}

/// All elements of `array` in C order as one column; `None` when they are not of fixed width
/// (strings, objects) or Arrow has no such type (complex numbers).
pub(crate) fn flat_column(array: &Bound<'_, PyAny>, memory: Memory) -> PyResult<Option<ArrayRef>> {
    let dtype = array.getattr("dtype")?;
    let kind: char = dtype.getattr("kind")?.extract()?;
    let width: usize = dtype.getattr("itemsize")?.extract()?;
    if matches!(kind, 'b' | 'i' | 'u' | 'f' | 'M' | 'm')
        && !dtype.getattr("isnative")?.is_truthy()?
    {
        let native =
            array.call_method1("astype", (dtype.call_method1("newbyteorder", ("=",))?,))?;
        return flat_column(&native, memory);
    }
    let data_type = match (kind, width) {
        ('b', 1) => return booleans(array).map(Some),
        ('M' | 'm', 8) => return instants(array, memory, kind).map(Some),
        ('i', 1) => DataType::Int8,
        ('i', 2) => DataType::Int16,
        ('i', 4) => DataType::Int32,
        ('i', 8) => DataType::Int64,
        ('u', 1) => DataType::UInt8,
        ('u', 2) => DataType::UInt16,
        ('u', 4) => DataType::UInt32,
        ('u', 8) => DataType::UInt64,
        ('f', 2) => DataType::Float16,
        ('f', 4) => DataType::Float32,
        ('f', 8) => DataType::Float64,
        _ => return Ok(None),
    };
    let buffer = buffer_of(array, memory, width)?;
    let data = ArrayData::builder(data_type)
        .len(buffer.len() / width)
        .add_buffer(buffer)
        .build()
        .map_err(ConvertError::from)?;
    Ok(Some(make_array(data)))
}

fn booleans(array: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let bytes = buffer_of(array, Memory::Shared, 1)?;
    let bits: BooleanBuffer = bytes.iter().map(|&byte| byte != 0).collect();
    Ok(Arc::new(BooleanArray::new(bits, None)))
}

/// `datetime64` and `timedelta64` in Arrow's units; coarser units become seconds, days of
/// `datetime64` dates.
fn instants(array: &Bound<'_, PyAny>, memory: Memory, kind: char) -> PyResult<ArrayRef> {
    static DATETIME_DATA: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = array.py();
    let unit: (String, i64) = numpy_item(py, &DATETIME_DATA, "datetime_data")?
        .call1((array.getattr("dtype")?,))?
        .extract()?;
    let is_days = kind == 'M' && unit == ("D".to_owned(), 1);
    let time_unit = match (unit.0.as_str(), unit.1) {
        ("s", 1) => TimeUnit::Second,
        ("ms", 1) => TimeUnit::Millisecond,
        ("us", 1) => TimeUnit::Microsecond,
        ("ns", 1) => TimeUnit::Nanosecond,
        _ if is_days => TimeUnit::Second,
        (code, _) => {
            let target = if matches!(code, "s" | "ms" | "us" | "ns") { code } else { "s" };
            let known = array.call_method1("astype", (format!("{kind}8[{target}]"),))?;
            return instants(&known, Memory::Shared, kind);
        }
    };
    let counts = ScalarBuffer::<i64>::from(buffer_of(array, memory, 8)?);
    let valid: BooleanBuffer = counts.iter().map(|&count| count != i64::MIN).collect();
    let nulls = Some(NullBuffer::new(valid)).filter(|nulls| nulls.null_count() > 0);
    let counts: ArrayRef = Arc::new(arrow::array::Int64Array::new(counts, nulls));
    let typed = if is_days {
        cast(&counts, &DataType::Int32).and_then(|days| cast(&days, &DataType::Date32))
    } else if kind == 'M' {
        cast(&counts, &DataType::Timestamp(time_unit, None))
    } else {
        cast(&counts, &DataType::Duration(time_unit))
    };
    Ok(typed.map_err(ConvertError::from)?)
}
