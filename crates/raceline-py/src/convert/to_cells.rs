//! Arrow columns as lists of Python values, and batches as lists of rows.
//!
//! Values are what `as_py` of PyArrow gives: `int`, `float`, `bool`, `str`, `bytes`, `datetime`
//! (aware when the column has a time zone), `date`, `time`, `timedelta`, `Decimal`, `list`,
//! `dict`; a map is a list of pairs. Rows of tensor columns are arrays, rows of object columns
//! the objects. Null is `None`. Nanoseconds that `datetime` and `timedelta` cannot hold come as
//! `numpy.datetime64` and `numpy.timedelta64`.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowNativeType, DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::array_value_to_string;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use pyo3::{IntoPyObjectExt, intern};
use raceline_types::{TensorType, is_object_field, is_plain_value_schema};

use super::error::ConvertError;
use super::tensor::tensor_cells;
use super::to_numpy::{ListRows, instants, list_rows, unit_code};

/// The values of a column.
type Cells<'py> = PyResult<Vec<Bound<'py, PyAny>>>;

/// The rows of `batch`: dicts, or the values themselves when the dataset is one of plain values.
///
/// # Errors
/// When a column's type has no Python values, or an object column cannot be unpickled.
pub(crate) fn batch_to_rows<'py>(
    py: Python<'py>,
    batch: &RecordBatch,
) -> PyResult<Bound<'py, PyList>> {
    let fields = batch.schema_ref().fields();
    if is_plain_value_schema(batch.schema_ref()) {
        return PyList::new(py, cells(py, batch.column(0), &fields[0])?);
    }
    let keys: Vec<_> = fields.iter().map(|field| PyString::intern(py, field.name())).collect();
    let mut columns = Vec::with_capacity(keys.len());
    for (field, array) in fields.iter().zip(batch.columns()) {
        columns.push(cells(py, array, field)?.into_iter());
    }
    let mut rows = Vec::with_capacity(batch.num_rows());
    for _ in 0..batch.num_rows() {
        let row = PyDict::new(py);
        for (key, column) in keys.iter().zip(&mut columns) {
            row.set_item(key, column.next().expect("columns have one value a row"))?;
        }
        rows.push(row);
    }
    PyList::new(py, rows)
}

/// The values of one column as a list; see the module.
///
/// # Errors
/// As [`batch_to_rows`].
pub(crate) fn cell_list<'py>(
    py: Python<'py>,
    array: &ArrayRef,
    field: &Field,
) -> PyResult<Bound<'py, PyList>> {
    if array.null_count() == 0 && !is_object_field(field) {
        match array.data_type() {
            DataType::Int64 => return PyList::new(py, array.as_primitive::<Int64Type>().values()),
            DataType::Int32 => return PyList::new(py, array.as_primitive::<Int32Type>().values()),
            DataType::Float64 => {
                return PyList::new(py, array.as_primitive::<Float64Type>().values());
            }
            DataType::Float32 => {
                return PyList::new(py, array.as_primitive::<Float32Type>().values());
            }
            _ => {}
        }
    }
    PyList::new(py, cells(py, array, field)?)
}

/// The values of one column; see the module.
pub(super) fn cells<'py>(py: Python<'py>, array: &ArrayRef, field: &Field) -> Cells<'py> {
    if is_object_field(field) {
        return unpickled(py, array);
    }
    if let Some(tensor) = TensorType::of(field).map_err(ConvertError::from)? {
        return tensor_cells(py, array, &tensor);
    }
    match array.data_type() {
        DataType::Null => Ok(vec![py.None().into_bound(py); array.len()]),
        DataType::Boolean => converted(py, array.as_boolean().iter()),
        DataType::Int8 => numbers::<Int8Type>(py, array),
        DataType::Int16 => numbers::<Int16Type>(py, array),
        DataType::Int32 => numbers::<Int32Type>(py, array),
        DataType::Int64 => numbers::<Int64Type>(py, array),
        DataType::UInt8 => numbers::<UInt8Type>(py, array),
        DataType::UInt16 => numbers::<UInt16Type>(py, array),
        DataType::UInt32 => numbers::<UInt32Type>(py, array),
        DataType::UInt64 => numbers::<UInt64Type>(py, array),
        DataType::Float32 => numbers::<Float32Type>(py, array),
        DataType::Float64 => numbers::<Float64Type>(py, array),
        DataType::Float16 => cast_cells(py, array, &DataType::Float32, field),
        DataType::Utf8 => converted(py, array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => converted(py, array.as_string::<i64>().iter()),
        DataType::Utf8View => converted(py, array.as_string_view().iter()),
        DataType::Binary => bytes(py, array.as_binary::<i32>().iter()),
        DataType::LargeBinary => bytes(py, array.as_binary::<i64>().iter()),
        DataType::BinaryView => bytes(py, array.as_binary_view().iter()),
        DataType::FixedSizeBinary(_) => bytes(py, array.as_fixed_size_binary().iter()),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Duration(_) => {
            instant_cells(py, array)
        }
        DataType::Time32(unit) | DataType::Time64(unit) => times(py, array, *unit),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => decimals(py, array),
        DataType::Dictionary(_, values) => cast_cells(py, array, values, field),
        DataType::RunEndEncoded(_, values) => cast_cells(py, array, values.data_type(), field),
        DataType::Struct(_) => dicts(py, array),
        DataType::Map(..) => maps(py, array),
        other => match list_rows(array) {
            Some(rows) => lists(py, &rows),
            None => Err(ConvertError::NoPythonType(other.clone()).into()),
        },
    }
}

fn converted<'py, T: IntoPyObject<'py>>(
    py: Python<'py>,
    values: impl Iterator<Item = Option<T>>,
) -> Cells<'py> {
    values.map(|value| value.into_bound_py_any(py)).collect()
}

fn numbers<'py, T>(py: Python<'py>, array: &ArrayRef) -> Cells<'py>
where
    T: ArrowPrimitiveType,
    T::Native: IntoPyObject<'py>,
{
    let array = array.as_primitive::<T>();
    if array.null_count() == 0 {
        return array.values().iter().map(|value| value.into_bound_py_any(py)).collect();
    }
    converted(py, array.iter())
}

fn bytes<'py, 'a>(py: Python<'py>, values: impl Iterator<Item = Option<&'a [u8]>>) -> Cells<'py> {
    converted(py, values.map(|value| value.map(|bytes| PyBytes::new(py, bytes))))
}

fn cast_cells<'py>(py: Python<'py>, array: &ArrayRef, to: &DataType, field: &Field) -> Cells<'py> {
    cells(py, &cast(array, to).map_err(ConvertError::from)?, field)
}

/// A function of the Python half of these conversions.
pub(crate) fn python_half<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import(intern!(py, "raceline._cells"))?.getattr(name)
}

fn extract_cells<'py>(list: &Bound<'py, PyAny>) -> Cells<'py> {
    list.try_iter()?.collect()
}

fn instant_cells<'py>(py: Python<'py>, array: &ArrayRef) -> Cells<'py> {
    let zone = match array.data_type() {
        DataType::Timestamp(_, zone) => zone.as_deref(),
        _ => None,
    };
    let day = matches!(array.data_type(), DataType::Date64);
    let mut values = instants(py, array)?;
    if day {
        values = values.call_method1("astype", ("M8[D]",))?;
    }
    extract_cells(&python_half(py, "from_instants")?.call1((values, zone))?)
}

fn times<'py>(py: Python<'py>, array: &ArrayRef, unit: TimeUnit) -> Cells<'py> {
    let counts = cast(array, &DataType::Int64)
        .or_else(|_| cast(&cast(array, &DataType::Int32)?, &DataType::Int64))
        .map_err(ConvertError::from)?;
    let counts = PyList::new(py, numbers::<Int64Type>(py, &counts)?)?;
    extract_cells(&python_half(py, "from_times")?.call1((counts, unit_code(unit)))?)
}

fn decimals<'py>(py: Python<'py>, array: &ArrayRef) -> Cells<'py> {
    let decimal = py.import(intern!(py, "decimal"))?.getattr(intern!(py, "Decimal"))?;
    let cell = |index| {
        if array.is_null(index) {
            return Ok(py.None().into_bound(py));
        }
        decimal.call1((array_value_to_string(array, index).map_err(ConvertError::from)?,))
    };
    (0..array.len()).map(cell).collect()
}

fn lists<'py>(py: Python<'py>, list: &ListRows<'_>) -> Cells<'py> {
    let values = cells(py, list.values, list.item)?;
    let row = |row: &Option<(usize, usize)>| match row {
        Some((first, length)) => Ok(PyList::new(py, &values[*first..first + length])?.into_any()),
        None => Ok(py.None().into_bound(py)),
    };
    list.rows.iter().map(row).collect()
}

fn dicts<'py>(py: Python<'py>, array: &ArrayRef) -> Cells<'py> {
    let parts = array.as_struct();
    let keys: Vec<_> =
        parts.fields().iter().map(|field| PyString::intern(py, field.name())).collect();
    let columns = parts
        .fields()
        .iter()
        .zip(parts.columns())
        .map(|(field, column)| cells(py, column, field))
        .collect::<PyResult<Vec<_>>>()?;
    let row = |index| {
        if array.is_null(index) {
            return Ok(py.None().into_bound(py));
        }
        let row = PyDict::new(py);
        for (key, column) in keys.iter().zip(&columns) {
            row.set_item(key, &column[index])?;
        }
        Ok(row.into_any())
    };
    (0..array.len()).map(row).collect()
}

fn maps<'py>(py: Python<'py>, array: &ArrayRef) -> Cells<'py> {
    let map = array.as_map();
    let DataType::Struct(pair) = map.entries().data_type() else {
        unreachable!("entries of a map are a struct")
    };
    let keys = cells(py, map.keys(), &pair[0])?;
    let values = cells(py, map.values(), &pair[1])?;
    let row = |index| {
        if array.is_null(index) {
            return Ok(py.None().into_bound(py));
        }
        let offsets = map.value_offsets();
        let range = offsets[index].as_usize()..offsets[index + 1].as_usize();
        let pairs = range.map(|at| PyTuple::new(py, [&keys[at], &values[at]]));
        Ok(PyList::new(py, pairs.collect::<PyResult<Vec<_>>>()?)?.into_any())
    };
    (0..array.len()).map(row).collect()
}

/// The objects of an object column.
fn unpickled<'py>(py: Python<'py>, array: &ArrayRef) -> Cells<'py> {
    let loads = py.import(intern!(py, "pickle"))?.getattr(intern!(py, "loads"))?;
    let cell = |bytes: Option<&[u8]>| match bytes {
        Some(bytes) => loads.call1((PyBytes::new(py, bytes),)),
        None => Ok(py.None().into_bound(py)),
    };
    array.as_binary::<i64>().iter().map(cell).collect()
}
