//! Python values as an Arrow column whose type is found from the values.
//!
//! `int` is `int64` (`uint64` when a value is beyond it and none is negative), a mixture with
//! `float` is `float64` when it is exact, `list` and `tuple` are lists, `dict` is a struct with
//! the union of the keys, NumPy scalars keep their type, arrays make tensors. Naive `datetime`
//! is a timestamp in microseconds, an aware one has its zone. Whatever Arrow cannot hold makes
//! an object column; see [`super::object`].

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array,
    LargeBinaryArray, LargeListArray, LargeStringArray, ListArray, NullArray, StringArray,
    StructArray, UInt64Array, make_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyBytesMethods, PyDict, PyInt, PyList, PyString};

use super::error::ConvertError;
use super::from_numpy::flat_column;
use super::kind::{Kind, Kinds, kinds_of};
use super::object::object_column;
use super::tensor::tensors_from_cells;
use super::to_cells::python_half;
use crate::numpy::{Memory, numpy_item};

/// The values of a column.
type Cells<'py> = [Bound<'py, PyAny>];

/// An array, or `None` when Arrow has no type for the values.
type Inferred = PyResult<Option<ArrayRef>>;

/// Integers up to this are exact as `float64`.
const EXACT_FLOAT_INT: i64 = 1 << 53;

/// A nullable column `name` of `cells`; `None` is null.
///
/// # Errors
/// When a value that Arrow cannot hold cannot be pickled either, or a tensor is too large.
pub(crate) fn column_from_cells(
    name: &str,
    mut cells: Vec<Bound<'_, PyAny>>,
) -> PyResult<(Field, ArrayRef)> {
    let kinds = kinds_of(&mut cells)?;
    if kinds.contains(Kind::Array) && kinds.is_subset(Kinds::of(&[Kind::Array, Kind::Null])) {
        if let Some(column) = tensors_from_cells(name, &cells, nulls_of(&cells))? {
            return Ok(column);
        }
    } else if let Some(array) = plain_array(&mut cells, kinds)? {
        return Ok((Field::new(name, array.data_type().clone(), true), array));
    }
    object_column(name, &cells)
}

/// Values inside a list or a dict: arrays are lists there.
fn nested_array(cells: &mut Cells<'_>) -> Inferred {
    let kinds = kinds_of(cells)?;
    plain_array(cells, kinds)
}

fn plain_array(cells: &mut Cells<'_>, kinds: Kinds) -> Inferred {
    let only = |wanted: &[Kind]| {
        let wanted = Kinds::of(wanted);
        kinds.is_subset(wanted)
    };
    match () {
        () if only(&[Kind::Null]) => Ok(Some(Arc::new(NullArray::new(cells.len())))),
        () if only(&[Kind::Null, Kind::Bool]) => Ok(booleans(cells)),
        () if only(&[Kind::Null, Kind::Int]) => Ok(integers(cells)),
        () if only(&[Kind::Null, Kind::Int, Kind::Float]) => Ok(floats(cells)),
        () if only(&[Kind::Null, Kind::Str]) => Ok(strings(cells)),
        () if only(&[Kind::Null, Kind::Bytes]) => Ok(Some(binaries(cells))),
        () if only(&[Kind::Null, Kind::NumpyScalar, Kind::Int, Kind::Float]) => {
            numpy_scalars(cells)
        }
        () if only(&[Kind::Null, Kind::NumpyScalar, Kind::Bool])
            && kinds.contains(Kind::NumpyScalar) =>
        {
            Ok(numpy_scalars(cells)?.filter(|array| *array.data_type() == DataType::Boolean))
        }
        () if only(&[Kind::Null, Kind::Datetime]) => datetimes(cells),
        () if only(&[Kind::Null, Kind::Date]) => instants(cells, "M8[D]"),
        () if only(&[Kind::Null, Kind::Timedelta]) => timedeltas(cells),
        () if only(&[Kind::Null, Kind::Time]) => times(cells),
        () if only(&[Kind::Null, Kind::Decimal]) => decimals(cells),
        () if only(&[Kind::Null, Kind::List, Kind::Array]) => lists(cells),
        () if only(&[Kind::Null, Kind::Dict]) => structs(cells),
        () => Ok(None),
    }
}

/// Where `cells` are `None`, when any is.
fn nulls_of(cells: &Cells<'_>) -> Option<NullBuffer> {
    let valid: NullBuffer = cells.iter().map(|cell| !cell.is_none()).collect();
    (valid.null_count() > 0).then_some(valid)
}

/// `cells` as Rust values; `None` when one does not fit into a `T`.
fn extracted<'py, T>(cells: &Cells<'py>) -> Option<Vec<Option<T>>>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    cells
        .iter()
        .map(|cell| if cell.is_none() { Some(None) } else { cell.extract::<T>().ok().map(Some) })
        .collect()
}

fn booleans(cells: &Cells<'_>) -> Option<ArrayRef> {
    extracted::<bool>(cells).map(|values| Arc::new(BooleanArray::from(values)) as ArrayRef)
}

fn integers(cells: &Cells<'_>) -> Option<ArrayRef> {
    if let Some(values) = extracted::<i64>(cells) {
        return Some(Arc::new(Int64Array::from(values)));
    }
    extracted::<u64>(cells).map(|values| Arc::new(UInt64Array::from(values)) as ArrayRef)
}

fn floats(cells: &Cells<'_>) -> Option<ArrayRef> {
    let exact = cells.iter().all(|cell| {
        !cell.is_instance_of::<PyInt>()
            || cell.extract().is_ok_and(|int| (-EXACT_FLOAT_INT..=EXACT_FLOAT_INT).contains(&int))
    });
    let values = if exact { extracted::<f64>(cells) } else { None };
    values.map(|values| Arc::new(Float64Array::from(values)) as ArrayRef)
}

/// Strings; `None` when one has a lone surrogate, which UTF-8 cannot express.
fn strings(cells: &Cells<'_>) -> Option<ArrayRef> {
    let mut bytes = 0;
    let mut values: Vec<Option<&str>> = Vec::with_capacity(cells.len());
    for cell in cells {
        let value = match cell.cast::<PyString>() {
            Ok(string) => Some(string.to_str().ok()?),
            Err(_) => None,
        };
        bytes += value.map_or(0, str::len);
        values.push(value);
    }
    Some(if i32::try_from(bytes).is_ok() {
        Arc::new(StringArray::from(values))
    } else {
        Arc::new(LargeStringArray::from(values))
    })
}

fn binaries(cells: &Cells<'_>) -> ArrayRef {
    let values: Vec<Option<&[u8]>> = cells
        .iter()
        .map(|cell| cell.cast::<PyBytes>().ok().map(PyBytesMethods::as_bytes))
        .collect();
    let bytes: usize = values.iter().flatten().map(|value| value.len()).sum();
    if i32::try_from(bytes).is_ok() {
        Arc::new(BinaryArray::from(values))
    } else {
        Arc::new(LargeBinaryArray::from(values))
    }
}

/// NumPy scalars, alone or with Python numbers: NumPy finds their common type.
fn numpy_scalars(cells: &Cells<'_>) -> Inferred {
    static ARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Some(stand_in) = cells.iter().find(|cell| !cell.is_none()) else { return Ok(None) };
    let py = stand_in.py();
    let filled = cells.iter().map(|cell| if cell.is_none() { stand_in } else { cell });
    let filled = PyList::new(py, filled.collect::<Vec<_>>())?;
    let array = numpy_item(py, &ARRAY, "array")?.call1((filled,))?;
    with_nulls(flat_column(&array, Memory::Shared)?, nulls_of(cells))
}

/// `array` with `nulls` beside its own.
fn with_nulls(array: Option<ArrayRef>, nulls: Option<NullBuffer>) -> Inferred {
    let (Some(array), Some(nulls)) = (array.as_ref(), nulls) else { return Ok(array) };
    let nulls = NullBuffer::union(array.nulls(), Some(&nulls));
    let data = array.to_data().into_builder().nulls(nulls).build().map_err(ConvertError::from)?;
    Ok(Some(make_array(data)))
}

/// `cells` through a NumPy array of type `dtype`.
fn instants(cells: &Cells<'_>, dtype: &str) -> Inferred {
    static ARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Some(py) = cells.first().map(Bound::py) else { return Ok(None) };
    let array = numpy_item(py, &ARRAY, "array")?.call1((PyList::new(py, cells)?, dtype))?;
    flat_column(&array, Memory::Shared)
}

/// Datetimes; `None` when naive and aware ones are mixed, or one has nanoseconds.
fn datetimes(cells: &Cells<'_>) -> Inferred {
    let Some(py) = cells.first().map(Bound::py) else { return Ok(None) };
    let utc = python_half(py, "to_utc")?.call1((PyList::new(py, cells)?,))?;
    let Some((naive, zone)) = utc.extract::<Option<(Vec<Bound<'_, PyAny>>, Option<String>)>>()?
    else {
        return Ok(None);
    };
    let Some(array) = instants(&naive, "M8[us]")? else { return Ok(None) };
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let data = array.to_data().into_builder().data_type(zoned).build();
    Ok(Some(make_array(data.map_err(ConvertError::from)?)))
}

/// Timedeltas; `None` when one has nanoseconds.
fn timedeltas(cells: &Cells<'_>) -> Inferred {
    for cell in cells {
        if cell.getattr_opt("nanoseconds")?.is_some_and(|nanos| nanos.is_truthy().unwrap_or(true)) {
            return Ok(None);
        }
    }
    instants(cells, "m8[us]")
}

/// Times of day in microseconds; `None` when one has a time zone.
fn times(cells: &Cells<'_>) -> Inferred {
    let Some(py) = cells.first().map(Bound::py) else { return Ok(None) };
    let micros = python_half(py, "to_micros_of_day")?.call1((PyList::new(py, cells)?,))?;
    let Some(micros) = micros.extract::<Option<Vec<Option<i64>>>>()? else { return Ok(None) };
    let micros = Int64Array::from(micros);
    Ok(Some(cast(&micros, &DataType::Time64(TimeUnit::Microsecond)).map_err(ConvertError::from)?))
}

/// Decimals with the largest scale among them; `None` beyond 38 digits, infinite or NaN.
fn decimals(cells: &Cells<'_>) -> Inferred {
    let Some(py) = cells.first().map(Bound::py) else { return Ok(None) };
    let scaled = python_half(py, "to_scaled_integers")?.call1((PyList::new(py, cells)?,))?;
    let Some((values, precision, scale)) =
        scaled.extract::<Option<(Vec<Option<i128>>, u8, i8)>>()?
    else {
        return Ok(None);
    };
    let array = Decimal128Array::from(values)
        .with_precision_and_scale(precision, scale)
        .map_err(ConvertError::from)?;
    Ok(Some(Arc::new(array)))
}

fn item_field(array: &ArrayRef) -> FieldRef {
    Field::new_list_field(array.data_type().clone(), true).into()
}

fn lists(cells: &Cells<'_>) -> Inferred {
    let mut values = Vec::new();
    let mut lengths = Vec::with_capacity(cells.len());
    for cell in cells {
        let before = values.len();
        if !cell.is_none() {
            for value in cell.try_iter()? {
                values.push(value?);
            }
        }
        lengths.push(values.len() - before);
    }
    let nulls = nulls_of(cells);
    let Some(values) = nested_array(&mut values)? else { return Ok(None) };
    let field = item_field(&values);
    let list: ArrayRef = if i32::try_from(values.len()).is_ok() {
        let offsets = OffsetBuffer::from_lengths(lengths);
        Arc::new(ListArray::try_new(field, offsets, values, nulls).map_err(ConvertError::from)?)
    } else {
        let offsets = OffsetBuffer::from_lengths(lengths);
        Arc::new(
            LargeListArray::try_new(field, offsets, values, nulls).map_err(ConvertError::from)?,
        )
    };
    Ok(Some(list))
}

/// Dicts as structs; `None` when a key is no string.
fn structs(cells: &Cells<'_>) -> Inferred {
    let Some(py) = cells.first().map(Bound::py) else { return Ok(None) };
    let mut keys: Vec<Bound<'_, PyString>> = Vec::new();
    let seen = PyDict::new(py);
    for cell in cells {
        let Ok(dict) = cell.cast::<PyDict>() else { continue };
        for key in dict.keys() {
            let Ok(key) = key.cast_into::<PyString>() else { return Ok(None) };
            if !seen.contains(&key)? {
                seen.set_item(&key, true)?;
                keys.push(key);
            }
        }
    }
    let nulls = nulls_of(cells);
    if keys.is_empty() {
        return Ok(Some(Arc::new(StructArray::new_empty_fields(cells.len(), nulls))));
    }
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for key in keys {
        let mut values = Vec::with_capacity(cells.len());
        for cell in cells {
            let value = match cell.cast::<PyDict>() {
                Ok(dict) => dict.get_item(&key)?,
                Err(_) => None,
            };
            values.push(value.unwrap_or_else(|| py.None().into_bound(py)));
        }
        let Some(column) = nested_array(&mut values)? else { return Ok(None) };
        fields.push(Field::new(key.to_str()?, column.data_type().clone(), true));
        columns.push(column);
    }
    let array = StructArray::try_new(Fields::from(fields), columns, nulls);
    Ok(Some(Arc::new(array.map_err(ConvertError::from)?)))
}
