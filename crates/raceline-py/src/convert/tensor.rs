//! Tensor columns as NumPy arrays and back.
//!
//! Rows of one shape make a `arrow.fixed_shape_tensor` column, rows of one element type and
//! number of dimensions but different shapes an `arrow.variable_shape_tensor` column. A batch of
//! the latter whose rows happen to have one shape is one array as well, as in Ray Data, whose
//! blocks have a type each.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Int32Array, ListArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Int32Type};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyTuple};
use raceline_types::TensorType;

use super::error::ConvertError;
use super::from_numpy::flat_column;
use super::to_numpy::{ListRows, column_to_numpy, fixed_size_values, list_rows, slice};
use crate::numpy::{Memory, numpy_item, object_array};

/// A tensor column as an array: rows of one shape as one array with a dimension more, rows of
/// different shapes (or with nulls) as an object array of arrays. Elements are views.
pub(crate) fn tensors_to_numpy<'py>(
    py: Python<'py>,
    array: &ArrayRef,
    tensor: &TensorType,
) -> PyResult<Bound<'py, PyAny>> {
    match tensor {
        TensorType::Fixed { shape, .. } if array.null_count() == 0 => stacked(py, array, shape),
        TensorType::Variable { .. } if let Some(rows) = one_shape(py, array)? => Ok(rows),
        _ => object_array(py, PyList::new(py, tensor_cells(py, array, tensor)?)?.as_any()),
    }
}

/// The rows of a tensor column, each an array or `None`. Elements are views.
pub(crate) fn tensor_cells<'py>(
    py: Python<'py>,
    array: &ArrayRef,
    tensor: &TensorType,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    match tensor {
        TensorType::Fixed { shape, .. } => {
            let rows = stacked(py, array, shape)?;
            let cell = |index| {
                if array.is_valid(index) {
                    rows.get_item(index)
                } else {
                    Ok(py.None().into_bound(py))
                }
            };
            (0..array.len()).map(cell).collect()
        }
        TensorType::Variable { .. } => variable_cells(py, array),
    }
}

/// All rows of a fixed-shape column as one array; null rows hold what is in their slots.
fn stacked<'py>(py: Python<'py>, array: &ArrayRef, shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    let list = array.as_fixed_size_list();
    let size = shape.iter().product::<usize>();
    let first = if list.is_empty() { 0 } else { usize::try_from(list.value_offset(0))? };
    let values = fixed_size_values(list)?.slice(first, list.len() * size);
    let DataType::FixedSizeList(item, _) = list.data_type() else {
        unreachable!("a fixed-size list has its type")
    };
    let whole = std::iter::once(list.len()).chain(shape.iter().copied());
    column_to_numpy(py, &values, item)?
        .call_method1("reshape", (PyTuple::new(py, whole.collect::<Vec<_>>())?,))
}

/// The rows of a variable-shape column as one array, when all have one shape, none is null, and they
/// lie one behind the other.
fn one_shape<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Option<Bound<'py, PyAny>>> {
    let parts = array.as_struct();
    let shapes = parts.column(1).as_fixed_size_list();
    if array.is_empty() || array.null_count() > 0 || shapes.null_count() > 0 {
        return Ok(None);
    }
    let dimensions = usize::try_from(shapes.value_length())?;
    let first = usize::try_from(shapes.value_offset(0))?;
    let sizes = shapes.values().slice(first, array.len() * dimensions);
    let sizes = sizes.as_primitive::<Int32Type>().values();
    let Some((shape, others)) = sizes.split_at_checked(dimensions) else { return Ok(None) };
    if dimensions == 0 || others.chunks_exact(dimensions).any(|other| other != shape) {
        return Ok(None);
    }
    let ListRows { values, item, rows } =
        list_rows(parts.column(0)).expect("checked by `TensorType::of`");
    let mut next = None;
    for row in rows {
        let Some((first, length)) = row else { return Ok(None) };
        if next.is_some_and(|next| next != first) {
            return Ok(None);
        }
        next = Some(first + length);
    }
    let shape: Vec<usize> =
        shape.iter().map(|&size| usize::try_from(size)).collect::<Result<_, _>>()?;
    let elements = array.len() * shape.iter().product::<usize>();
    let Some(first) = next.and_then(|end| end.checked_sub(elements)) else { return Ok(None) };
    let whole = PyTuple::new(py, std::iter::once(array.len()).chain(shape).collect::<Vec<_>>())?;
    column_to_numpy(py, &values.slice(first, elements), item)?
        .call_method1("reshape", (whole,))
        .map(Some)
}

fn variable_cells<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let parts = array.as_struct();
    let ListRows { values, item, rows } =
        list_rows(parts.column(0)).expect("checked by `TensorType::of`");
    let whole = column_to_numpy(py, values, item)?;
    let shapes = parts.column(1).as_fixed_size_list();
    let cell = |(index, row): (usize, Option<(usize, usize)>)| match row {
        Some((first, length)) if array.is_valid(index) => {
            let shape = shapes.value(index);
            let shape = PyTuple::new(py, shape.as_primitive::<Int32Type>().values().iter())?;
            whole.get_item(slice(py, first, length)?)?.call_method1("reshape", (shape,))
        }
        _ => Ok(py.None().into_bound(py)),
    };
    rows.into_iter().enumerate().map(cell).collect()
}

/// A tensor column of the array `rows`, whose first dimension is the rows.
///
/// # Errors
/// When a row is larger than Arrow allows. `Ok(None)` when there is no Arrow type for the
/// elements.
pub(crate) fn tensors_from_array(
    name: &str,
    rows: &Bound<'_, PyAny>,
    memory: Memory,
    nulls: Option<NullBuffer>,
) -> PyResult<Option<(Field, ArrayRef)>> {
    let shape: Vec<usize> = rows.getattr("shape")?.extract()?;
    let Some(values) = flat_column(rows, memory)? else { return Ok(None) };
    let (length, shape) = (shape[0], shape[1..].to_vec());
    let tensor = TensorType::Fixed { value_type: values.data_type().clone(), shape };
    let field = tensor.field(name).map_err(ConvertError::from)?;
    let DataType::FixedSizeList(item, size) = field.data_type() else {
        unreachable!("storage of a fixed-shape tensor")
    };
    let array =
        FixedSizeListArray::try_new_with_length(Arc::clone(item), *size, values, nulls, length)
            .map_err(ConvertError::from)?;
    Ok(Some((field, Arc::new(array))))
}

/// A tensor column of `cells`, each an array or `None`; `Ok(None)` when element types or numbers
/// of dimensions differ, or Arrow has no type for the elements.
pub(crate) fn tensors_from_cells(
    name: &str,
    cells: &[Bound<'_, PyAny>],
    nulls: Option<NullBuffer>,
) -> PyResult<Option<(Field, ArrayRef)>> {
    let Some(first) = cells.iter().find(|cell| !cell.is_none()) else { return Ok(None) };
    let (dtype, dimensions) = (first.getattr("dtype")?, first.getattr("ndim")?.extract()?);
    let mut shapes: Vec<Option<Vec<usize>>> = Vec::with_capacity(cells.len());
    for cell in cells {
        if cell.is_none() {
            shapes.push(None);
            continue;
        }
        let shape: Vec<usize> = cell.getattr("shape")?.extract()?;
        if shape.len() != dimensions || !cell.getattr("dtype")?.eq(&dtype)? {
            return Ok(None);
        }
        shapes.push(Some(shape));
    }
    let one_shape =
        shapes.iter().flatten().all(|shape| Some(shape) == shapes.iter().flatten().next());
    if one_shape {
        tensors_from_array(name, &stack(first, cells)?, Memory::Shared, nulls)
    } else {
        variable_from_cells(name, cells, (&shapes, dimensions), nulls)
    }
}

/// `cells` as one array; null cells are zeros.
fn stack<'py>(
    first: &Bound<'py, PyAny>,
    cells: &[Bound<'py, PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    static STACK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static ZEROS_LIKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = first.py();
    let zeros = numpy_item(py, &ZEROS_LIKE, "zeros_like")?.call1((first,))?;
    let filled = cells.iter().map(|cell| if cell.is_none() { &zeros } else { cell });
    numpy_item(py, &STACK, "stack")?.call1((PyList::new(py, filled.collect::<Vec<_>>())?,))
}

fn variable_from_cells(
    name: &str,
    cells: &[Bound<'_, PyAny>],
    (shapes, dimensions): (&[Option<Vec<usize>>], usize),
    nulls: Option<NullBuffer>,
) -> PyResult<Option<(Field, ArrayRef)>> {
    static CONCATENATE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Some(py) = cells.first().map(Bound::py) else { return Ok(None) };
    let flat = cells
        .iter()
        .filter(|cell| !cell.is_none())
        .map(|cell| cell.call_method1("reshape", (-1,)))
        .collect::<PyResult<Vec<_>>>()?;
    let joined = numpy_item(py, &CONCATENATE, "concatenate")?.call1((PyList::new(py, flat)?,))?;
    let Some(values) = flat_column(&joined, Memory::Shared)? else { return Ok(None) };
    let tensor = TensorType::Variable { value_type: values.data_type().clone(), dimensions };
    let field = tensor.field(name).map_err(ConvertError::from)?;
    let lengths = shapes.iter().map(|shape| shape.as_ref().map_or(0, |s| s.iter().product()));
    let sizes = shapes
        .iter()
        .flat_map(|shape| shape.clone().unwrap_or_else(|| vec![0; dimensions]))
        .map(i32::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    i32::try_from(values.len())?;
    let DataType::Struct(parts) = field.data_type() else { unreachable!("storage of tensors") };
    let (DataType::List(item), DataType::FixedSizeList(shape_item, _)) =
        (parts[0].data_type(), parts[1].data_type())
    else {
        unreachable!("storage of a variable-shape tensor")
    };
    let data =
        ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), values, None);
    let shape = FixedSizeListArray::try_new_with_length(
        Arc::clone(shape_item),
        i32::try_from(dimensions)?,
        Arc::new(Int32Array::from(sizes)),
        None,
        cells.len(),
    );
    let columns: Vec<ArrayRef> = vec![
        Arc::new(data.map_err(ConvertError::from)?),
        Arc::new(shape.map_err(ConvertError::from)?),
    ];
    let array = StructArray::try_new(parts.clone(), columns, nulls).map_err(ConvertError::from)?;
    Ok(Some((field, Arc::new(array))))
}
