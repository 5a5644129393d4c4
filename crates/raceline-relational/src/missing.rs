//! Missing values: NaN counts as null in keys and aggregates.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};

/// `array` with NaN turned into null. An array without NaN is not copied.
pub(crate) fn nan_to_null(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float16 => {
            masked::<Float16Type>(array, <Float16Type as ArrowPrimitiveType>::Native::is_nan)
        }
        DataType::Float32 => masked::<Float32Type>(array, f32::is_nan),
        DataType::Float64 => masked::<Float64Type>(array, f64::is_nan),
        _ => Arc::clone(array),
    }
}

/// As [`nan_to_null`], and -0.0 turned into 0.0, so that both fall into one group.
pub(crate) fn canonical_key(array: &ArrayRef) -> ArrayRef {
    let array = nan_to_null(array);
    match array.data_type() {
        DataType::Float32 => {
            Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(|x| x + 0.0))
        }
        DataType::Float64 => {
            Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(|x| x + 0.0))
        }
        _ => array,
    }
}

fn masked<T: ArrowPrimitiveType>(array: &ArrayRef, is_nan: impl Fn(T::Native) -> bool) -> ArrayRef {
    let typed = array.as_primitive::<T>();
    if !typed.values().iter().any(|&value| is_nan(value)) {
        return Arc::clone(array);
    }
    let values = typed.values();
    let valid = BooleanBuffer::collect_bool(values.len(), |row| !is_nan(values[row]));
    let nulls = NullBuffer::union(typed.nulls(), Some(&NullBuffer::new(valid)));
    Arc::new(PrimitiveArray::<T>::new(values.clone(), nulls))
}
