//! Missing values: NaN counts as null in keys and aggregates.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveArray,
};
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

/// As [`nan_to_null`], and -0.0 turned into 0.0, so that both fall into one group and neither comes
/// before the other. An array without either is not copied.
pub(crate) fn canonical_key(array: &ArrayRef) -> ArrayRef {
    let array = nan_to_null(array);
    match array.data_type() {
        DataType::Float16 => without_negative_zero::<Float16Type>(array),
        DataType::Float32 => without_negative_zero::<Float32Type>(array),
        DataType::Float64 => without_negative_zero::<Float64Type>(array),
        _ => array,
    }
}

fn without_negative_zero<T: ArrowPrimitiveType>(array: ArrayRef) -> ArrayRef {
    let typed = array.as_primitive::<T>();
    // `is_eq` is equality in the total order of floats, in which -0.0 is not 0.0.
    if typed.values().iter().all(|&value| !value.is_zero() || value.is_eq(T::Native::ZERO)) {
        return array;
    }
    Arc::new(typed.unary::<_, T>(|value| value.add_wrapping(T::Native::ZERO)))
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

#[cfg(test)]
mod tests {
    use arrow::array::Float64Array;

    use super::*;

    #[test]
    fn keys_have_one_missing_value_and_one_zero() {
        let array: ArrayRef = Arc::new(Float64Array::from(vec![-0.0, 0.0, f64::NAN, -1.5]));
        let key = canonical_key(&array);
        let key = key.as_primitive::<Float64Type>();
        assert_eq!(key.null_count(), 1);
        assert!(key.is_null(2));
        assert!(key.value(0).is_sign_positive());
        assert_eq!((key.value(1), key.value(3)), (0.0, -1.5));
        let plain: ArrayRef = Arc::new(Float64Array::from(vec![0.0, 1.0]));
        assert!(Arc::ptr_eq(&canonical_key(&plain), &plain));
    }
}
