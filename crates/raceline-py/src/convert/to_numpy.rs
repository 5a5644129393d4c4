//! Arrow columns as NumPy arrays.
//!
//! | column | array |
//! |---|---|
//! | numbers without nulls, fixed-shape tensors | read-only view |
//! | integers with nulls | `float64` with NaN |
//! | floats with nulls | NaN |
//! | booleans | `bool`; with nulls objects |
//! | timestamps, dates, durations | `datetime64` (UTC), `timedelta64`; null is `NaT` |
//! | lists | objects: an array a row, a view where its values are |
//! | everything else | objects, as in [`crate::convert::to_cells`] |

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, FixedSizeListArray, RecordBatch, make_array,
};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Field, Float32Type, Float64Type, Int64Type, TimeUnit,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySlice};
use raceline_types::{TensorType, is_object_field, is_stand_in_field};

use super::error::ConvertError;
use super::stand_in::StandIn;
use super::tensor::tensors_to_numpy;
use super::to_cells::cells;
use crate::numpy::{array_over, object_array, writable_copy};

/// A dict of column name to array. Arrays over Arrow memory are read-only; with `writable` each
/// of those is copied.
///
/// # Errors
/// When a column's type has no Python values, or an object column cannot be unpickled.
pub(crate) fn batch_to_numpy<'py>(
    py: Python<'py>,
    batch: &RecordBatch,
    writable: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let columns = PyDict::new(py);
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if is_stand_in_field(field) {
            columns.set_item(field.name(), StandIn { rows: array.len() })?;
            continue;
        }
        let mut column = column_to_numpy(py, array, field)?;
        if writable && !column.getattr("flags")?.getattr("writeable")?.is_truthy()? {
            column = writable_copy(&column)?;
        }
        columns.set_item(field.name(), column)?;
    }
    Ok(columns)
}

/// One column as an array; see the module.
pub(crate) fn column_to_numpy<'py>(
    py: Python<'py>,
    array: &ArrayRef,
    field: &Field,
) -> PyResult<Bound<'py, PyAny>> {
    if is_object_field(field) {
        return objects(py, array, field);
    }
    if let Some(tensor) = TensorType::of(field).map_err(ConvertError::from)? {
        return tensors_to_numpy(py, array, &tensor);
    }
    match array.data_type() {
        DataType::Boolean if array.null_count() == 0 => booleans(py, array),
        number if number.is_integer() || number.is_floating() => numbers(py, array),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Duration(_) => {
            instants(py, array)
        }
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => lists(py, array),
        DataType::Dictionary(_, values) => {
            let decoded = cast(array, values).map_err(ConvertError::from)?;
            column_to_numpy(py, &decoded, field)
        }
        _ => objects(py, array, field),
    }
}

/// NumPy's name for a type of numbers or booleans; `None` for any other type.
pub(crate) fn number_dtype(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Boolean => "?",
        DataType::Int8 => "i1",
        DataType::Int16 => "i2",
        DataType::Int32 => "i4",
        DataType::Int64 => "i8",
        DataType::UInt8 => "u1",
        DataType::UInt16 => "u2",
        DataType::UInt32 => "u4",
        DataType::UInt64 => "u8",
        DataType::Float16 => "f2",
        DataType::Float32 => "f4",
        DataType::Float64 => "f8",
        _ => return None,
    })
}

/// NumPy's code of a unit of time.
pub(crate) fn unit_code(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

fn objects<'py>(py: Python<'py>, array: &ArrayRef, field: &Field) -> PyResult<Bound<'py, PyAny>> {
    object_array(py, PyList::new(py, cells(py, array, field)?)?.as_any())
}

fn booleans<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Bound<'py, PyAny>> {
    let bytes: Vec<u8> = array.as_boolean().values().iter().map(u8::from).collect();
    array_over(py, Buffer::from_vec(bytes), "?", &[array.len()])
}

fn numbers<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Bound<'py, PyAny>> {
    let shape = [array.len()];
    if let (0, Some(dtype)) = (array.null_count(), number_dtype(array.data_type())) {
        return array_over(py, fixed_width_values(array), dtype, &shape);
    }
    match array.data_type() {
        DataType::Float32 => array_over(py, filled::<Float32Type>(array, f32::NAN), "f4", &shape),
        DataType::Float16 => {
            let wide = cast(array, &DataType::Float32).map_err(ConvertError::from)?;
            array_over(py, filled::<Float32Type>(&wide, f32::NAN), "f4", &shape)?
                .call_method1("astype", ("f2",))
        }
        _ => {
            let wide = cast(array, &DataType::Float64).map_err(ConvertError::from)?;
            array_over(py, filled::<Float64Type>(&wide, f64::NAN), "f8", &shape)
        }
    }
}

/// Timestamps, dates or durations as `datetime64` or `timedelta64`.
pub(crate) fn instants<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Bound<'py, PyAny>> {
    const NOT_A_TIME: i64 = i64::MIN;
    let dtype = match array.data_type() {
        DataType::Timestamp(unit, _) => format!("M8[{}]", unit_code(*unit)),
        DataType::Duration(unit) => format!("m8[{}]", unit_code(*unit)),
        DataType::Date64 => "M8[ms]".to_owned(),
        _ => "M8[D]".to_owned(),
    };
    let values = if *array.data_type() == DataType::Date32 {
        let days = array.as_primitive::<Date32Type>().iter();
        Buffer::from_vec(days.map(|day| day.map_or(NOT_A_TIME, i64::from)).collect::<Vec<_>>())
    } else if array.null_count() == 0 {
        fixed_width_values(array)
    } else {
        let numbers = cast(array, &DataType::Int64).map_err(ConvertError::from)?;
        filled::<Int64Type>(&numbers, NOT_A_TIME)
    };
    array_over(py, values, &dtype, &[array.len()])
}

/// The values of a fixed-width column, sliced to its rows.
fn fixed_width_values(array: &ArrayRef) -> Buffer {
    let data = array.to_data();
    let width = data.data_type().primitive_width().expect("the type has a fixed width");
    data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width)
}

fn filled<T: ArrowPrimitiveType>(array: &ArrayRef, fill: T::Native) -> Buffer {
    let values: ScalarBuffer<T::Native> =
        array.as_primitive::<T>().iter().map(|value| value.unwrap_or(fill)).collect();
    values.into_inner()
}

/// First value and number of values of each row of a list column; `None` for null. The column of
/// values comes with it.
pub(crate) struct ListRows<'a> {
    pub(crate) values: &'a ArrayRef,
    pub(crate) item: &'a Field,
    pub(crate) rows: Vec<Option<(usize, usize)>>,
}

/// Rows of a column of any list type; `None` when it is none.
pub(crate) fn list_rows(array: &dyn Array) -> Option<ListRows<'_>> {
    let row = |index: usize, first: usize, length: usize| {
        array.is_valid(index).then_some((first, length))
    };
    let from_offsets = |offsets: Vec<usize>| {
        let pairs = offsets.windows(2).enumerate();
        pairs.map(|(index, pair)| row(index, pair[0], pair[1] - pair[0])).collect()
    };
    let to_usize = |value: i64| usize::try_from(value).expect("offsets are not negative");
    let (values, item, rows) = match array.data_type() {
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let offsets = list.offsets().iter().map(|&at| to_usize(at.into())).collect();
            (list.values(), item, from_offsets(offsets))
        }
        DataType::LargeList(item) => {
            let list = array.as_list::<i64>();
            (
                list.values(),
                item,
                from_offsets(list.offsets().iter().map(|&at| to_usize(at)).collect()),
            )
        }
        DataType::FixedSizeList(item, size) => {
            let list = array.as_fixed_size_list();
            let size = to_usize(i64::from(*size));
            let first = |index| to_usize(i64::from(list.value_offset(index)));
            (list.values(), item, (0..list.len()).map(|at| row(at, first(at), size)).collect())
        }
        DataType::ListView(item) => {
            let list = array.as_list_view::<i32>();
            let spans = list.offsets().iter().zip(list.sizes().iter()).enumerate();
            let rows = spans
                .map(|(at, (&first, &size))| row(at, to_usize(first.into()), to_usize(size.into())))
                .collect();
            (list.values(), item, rows)
        }
        DataType::LargeListView(item) => {
            let list = array.as_list_view::<i64>();
            let spans = list.offsets().iter().zip(list.sizes().iter()).enumerate();
            let rows = spans
                .map(|(at, (&first, &size))| row(at, to_usize(first), to_usize(size)))
                .collect();
            (list.values(), item, rows)
        }
        _ => return None,
    };
    Some(ListRows { values, item, rows })
}

/// The values of the rows of `list`. Those of null rows are not null, whatever they are: else they
/// would change the type of all others.
///
/// # Errors
/// When Arrow refuses the values.
pub(crate) fn fixed_size_values(list: &FixedSizeListArray) -> Result<ArrayRef, ConvertError> {
    let values = list.values();
    let (Some(rows), Some(own)) = (list.nulls(), values.nulls()) else {
        return Ok(Arc::clone(values));
    };
    let size = usize::try_from(list.value_length()).unwrap_or_default();
    let bits = own.inner() | &!rows.expand(size).inner();
    let nulls = Some(NullBuffer::new(bits)).filter(|nulls| nulls.null_count() > 0);
    Ok(make_array(values.to_data().into_builder().nulls(nulls).build()?))
}

fn lists<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Bound<'py, PyAny>> {
    let ListRows { values, item, rows } = list_rows(array).expect("the caller saw a list type");
    let whole = match array.as_fixed_size_list_opt() {
        Some(list) => column_to_numpy(py, &fixed_size_values(list)?, item)?,
        None => column_to_numpy(py, values, item)?,
    };
    let views = rows
        .into_iter()
        .map(|row| match row {
            Some((first, length)) => whole.get_item(slice(py, first, length)?),
            None => Ok(py.None().into_bound(py)),
        })
        .collect::<PyResult<Vec<_>>>()?;
    object_array(py, PyList::new(py, views)?.as_any())
}

/// Python's `first : first + length`.
pub(crate) fn slice(py: Python<'_>, first: usize, length: usize) -> PyResult<Bound<'_, PySlice>> {
    Ok(PySlice::new(py, isize::try_from(first)?, isize::try_from(first + length)?, 1))
}
