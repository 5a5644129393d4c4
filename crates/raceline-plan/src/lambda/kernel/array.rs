//! NumPy's functions of arrays, element by element. A row where NumPy warns is trouble, and so
//! is one whose result NumPy leaves to the processor.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type,
};
use datafusion_common::{DataFusionError, Result};

use super::mathematics::to_integer;
use super::{Input, array_of, map, mathematics, zip};
use crate::lambda::builtin::{Element, Math, Numpy};

/// Computes a function for each row.
pub(super) fn evaluate(function: Numpy, inputs: &[Input], rows: usize) -> Result<ArrayRef> {
    let unknown = || DataFusionError::Internal(format!("`{function:?}` of these arguments"));
    match (function, inputs) {
        (Numpy::Where, [mask, then, otherwise]) => choose(mask, then, otherwise, rows),
        (Numpy::Isfinite, [_]) => mathematics::evaluate(Math::Isfinite, inputs),
        (Numpy::Isinf, [_]) => mathematics::evaluate(Math::Isinf, inputs),
        (Numpy::Isnan, [_]) => mathematics::evaluate(Math::Isnan, inputs),
        (Numpy::Absolute, [value]) if *value.array.data_type() == DataType::Int64 => {
            let values =
                map(&value.primitive::<Int64Type>()?, |value| (value.wrapping_abs(), false))?;
            Ok(array_of::<Int64Type>(values))
        }
        (_, [value]) => {
            let rounded: fn(f64) -> f64 = match function {
                Numpy::Absolute => f64::abs,
                Numpy::Ceil => f64::ceil,
                Numpy::Floor => f64::floor,
                Numpy::Rint => f64::round_ties_even,
                Numpy::Trunc => f64::trunc,
                Numpy::Sqrt => f64::sqrt,
                _ => return Err(unknown()),
            };
            let warns = |value: f64| function == Numpy::Sqrt && value < 0.0;
            let floats = value.primitive::<Float64Type>()?;
            Ok(array_of::<Float64Type>(map(&floats, |value| (rounded(value), warns(value)))?))
        }
        (Numpy::Maximum | Numpy::Minimum, [left, right]) => {
            extreme(function == Numpy::Maximum, left, right)
        }
        _ => Err(unknown()),
    }
}

/// The greater or the smaller one; NaN when either is. Which zero it is depends on the processor.
fn extreme(greatest: bool, left: &Input, right: &Input) -> Result<ArrayRef> {
    if *left.array.data_type() == DataType::Int64 {
        let (left, right) = (left.primitive::<Int64Type>()?, right.primitive::<Int64Type>()?);
        let values = if greatest {
            zip(&left, &right, |a, b| (a.max(b), false))?
        } else {
            zip(&left, &right, |a, b| (a.min(b), false))?
        };
        return Ok(array_of::<Int64Type>(values));
    }
    let (left, right) = (left.primitive::<Float64Type>()?, right.primitive::<Float64Type>()?);
    let zeros = |a: f64, b: f64| a == 0.0 && b == 0.0 && a.to_bits() != b.to_bits();
    let choose = |a: f64, b: f64| {
        let takes_left = if greatest { a > b } else { a < b };
        let chosen = if a.is_nan() || takes_left { a } else { b };
        (chosen, zeros(a, b))
    };
    Ok(array_of::<Float64Type>(zip(&left, &right, choose)?))
}

/// `np.where` of two arguments of one type.
fn choose(mask: &Input, then: &Input, otherwise: &Input, rows: usize) -> Result<ArrayRef> {
    let mask = mask.booleans(rows)?;
    match then.array.data_type() {
        DataType::Int64 => pick::<Int64Type>(&mask, then, otherwise),
        DataType::Float64 => pick::<Float64Type>(&mask, then, otherwise),
        _ => {
            let (then, otherwise) = (then.booleans(rows)?, otherwise.booleans(rows)?);
            let bits = &(&mask & &then) | &(&!&mask & &otherwise);
            Ok(Arc::new(BooleanArray::new(bits, None)))
        }
    }
}

fn pick<T: ArrowPrimitiveType>(
    mask: &BooleanBuffer,
    then: &Input,
    otherwise: &Input,
) -> Result<ArrayRef> {
    let (then, otherwise) = (then.primitive::<T>()?, otherwise.primitive::<T>()?);
    let rows = mask.iter().enumerate();
    let values = rows.map(|(row, first)| if first { then.get(row) } else { otherwise.get(row) });
    Ok(array_of::<T>(values.collect()))
}

/// `astype`: floats are truncated, and trouble where the result does not hold them; ints wrap.
#[expect(clippy::cast_possible_truncation, reason = "NumPy wraps ints")]
#[expect(clippy::cast_sign_loss, reason = "NumPy wraps ints")]
pub(super) fn cast(element: Element, value: &Input) -> Result<ArrayRef> {
    let value = &widened(value)?;
    match element {
        Element::Bool => to_bool(value),
        Element::Int8 => to_int::<Int8Type>(value, |value| value as i8),
        Element::Int16 => to_int::<Int16Type>(value, |value| value as i16),
        Element::Int32 => to_int::<Int32Type>(value, |value| value as i32),
        Element::Int64 => to_int::<Int64Type>(value, |value| value),
        Element::Uint8 => to_int::<UInt8Type>(value, |value| value as u8),
        Element::Uint16 => to_int::<UInt16Type>(value, |value| value as u16),
        Element::Uint32 => to_int::<UInt32Type>(value, |value| value as u32),
        Element::Float32 => to_float32(value),
        Element::Float64 => Ok(arrow::compute::cast(&value.array, &DataType::Float64)?),
    }
}

/// Numbers as int64 or float64, which hold them exactly; bool as it is.
fn widened(value: &Input) -> Result<Input> {
    let array = value.without_nulls()?;
    let wide = match array.data_type() {
        DataType::Boolean => return Ok(Input { array: Arc::clone(array), one: value.one }),
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        _ => DataType::Int64,
    };
    Ok(Input { array: arrow::compute::cast(array, &wide)?, one: value.one })
}

fn to_bool(value: &Input) -> Result<ArrayRef> {
    let bits = if *value.array.data_type() == DataType::Int64 {
        let values = value.primitive::<Int64Type>()?.values;
        BooleanBuffer::collect_bool(values.len(), |row| values[row] != 0)
    } else {
        let values = value.primitive::<Float64Type>()?.values;
        BooleanBuffer::collect_bool(values.len(), |row| values[row] != 0.0)
    };
    Ok(Arc::new(BooleanArray::new(bits, None)))
}

fn to_int<T: ArrowPrimitiveType>(
    value: &Input,
    narrow: impl Fn(i64) -> T::Native,
) -> Result<ArrayRef>
where
    T::Native: Into<i64>,
{
    let values: Vec<T::Native> = match value.array.data_type() {
        DataType::Boolean => {
            let bits = value.without_nulls()?.as_boolean().values();
            bits.iter().map(|bit| narrow(i64::from(bit))).collect()
        }
        DataType::Int64 => map(&value.primitive::<Int64Type>()?, |value| (narrow(value), false))?,
        _ => map(&value.primitive::<Float64Type>()?, |value| {
            let (whole, outside) = to_integer(value);
            let narrowed = narrow(whole);
            (narrowed, outside || narrowed.into() != whole)
        })?,
    };
    Ok(Arc::new(PrimitiveArray::<T>::from_iter_values(values)))
}

#[expect(clippy::cast_possible_truncation, reason = "NumPy rounds to the nearest float32")]
#[expect(clippy::cast_precision_loss, reason = "NumPy rounds to the nearest float32")]
fn to_float32(value: &Input) -> Result<ArrayRef> {
    let values = match value.array.data_type() {
        DataType::Boolean => {
            let bits = value.without_nulls()?.as_boolean().values();
            bits.iter().map(|bit| f32::from(u8::from(bit))).collect()
        }
        DataType::Int64 => map(&value.primitive::<Int64Type>()?, |value| (value as f32, false))?,
        _ => map(&value.primitive::<Float64Type>()?, |value| {
            let rounded = value as f32;
            (rounded, value.is_finite() && !rounded.is_finite())
        })?,
    };
    Ok(array_of::<Float32Type>(values))
}
