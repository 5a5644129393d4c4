//! How two key columns are compared.

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};
use raceline_types::{Failure, InternalError};

use crate::missing::canonical_key;

/// Digits of the longest 64-bit integer.
const INTEGER_DIGITS: i16 = 20;

/// The type in which the values of two key columns are compared: one that holds all values of
/// both, so that equal means equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyType {
    /// What both columns are cast to. A value that does not fit equals none of the other column.
    pub(super) unified: DataType,
    /// Whether it is compared as an int64, for types that `SortMergeJoinExec` does not compare.
    as_integers: bool,
}

impl KeyType {
    /// The type for columns of these types, or `None` where they cannot be compared.
    pub(super) fn of(left: &DataType, right: &DataType) -> Option<Self> {
        let unified = unify(unpacked(left), unpacked(right))?;
        let as_integers = matches!(
            unified,
            DataType::Timestamp(_, Some(_)) | DataType::Time64(_) | DataType::Duration(_)
        );
        Some(Self { unified, as_integers })
    }

    /// Whether a column of `data_type` is its own key.
    pub(super) fn is_type_of(&self, data_type: &DataType) -> bool {
        *data_type == self.unified && !self.as_integers && !data_type.is_floating()
    }

    /// The type of the keys.
    pub(super) fn data_type(&self) -> &DataType {
        if self.as_integers { &DataType::Int64 } else { &self.unified }
    }

    /// The keys of a column: NaN is null, -0.0 is 0.0.
    pub(super) fn keys(&self, column: &ArrayRef) -> Result<ArrayRef, Failure> {
        let keys = cast(column, &self.unified).and_then(|keys| cast(&keys, self.data_type()));
        keys.map(|keys| canonical_key(&keys))
            .map_err(|error| InternalError::caused_by("a key could not be cast", error).into())
    }
}

/// The type of the values of a dictionary.
fn unpacked(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn unify(left: &DataType, right: &DataType) -> Option<DataType> {
    match (left, right) {
        (DataType::Null, DataType::Null) | (DataType::Boolean, DataType::Boolean) => {
            Some(DataType::Boolean)
        }
        (DataType::Null, typed) | (typed, DataType::Null) => unify(typed, typed),
        (left, right) if left.is_integer() && right.is_integer() => Some(integers(left, right)),
        (left, right) if left.is_floating() && right.is_floating() => Some(match (left, right) {
            (DataType::Float32, DataType::Float32) => DataType::Float32,
            _ => DataType::Float64,
        }),
        (left, right) if digits(left).is_some() && digits(right).is_some() => decimals(left, right),
        (left, right) if left.is_string() && right.is_string() => {
            Some(if left == right { left.clone() } else { DataType::Utf8View })
        }
        (left, right) if is_binary(left) && is_binary(right) => {
            Some(if left == right { left.clone() } else { DataType::LargeBinary })
        }
        (DataType::Date32, DataType::Date32) => Some(DataType::Date32),
        (DataType::Date32 | DataType::Date64, DataType::Date32 | DataType::Date64) => {
            Some(DataType::Date64)
        }
        (DataType::Timestamp(left, zone), DataType::Timestamp(right, other))
            if zone.is_some() == other.is_some() =>
        {
            Some(DataType::Timestamp(finer(*left, *right), zone.clone()))
        }
        (DataType::Time32(_) | DataType::Time64(_), DataType::Time32(_) | DataType::Time64(_)) => {
            Some(DataType::Time64(TimeUnit::Nanosecond))
        }
        (DataType::Duration(left), DataType::Duration(right)) => {
            Some(DataType::Duration(finer(*left, *right)))
        }
        _ => None,
    }
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
    )
}

fn integers(left: &DataType, right: &DataType) -> DataType {
    if left == right {
        left.clone()
    } else if left.is_unsigned_integer() && right.is_unsigned_integer() {
        DataType::UInt64
    } else if left == &DataType::UInt64 || right == &DataType::UInt64 {
        DataType::Decimal128(20, 0)
    } else {
        DataType::Int64
    }
}

/// Digits before the point, and behind it.
fn digits(data_type: &DataType) -> Option<(i16, i8)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            Some((i16::from(*precision) - i16::from(*scale), *scale))
        }
        integer if integer.is_integer() => Some((INTEGER_DIGITS, 0)),
        _ => None,
    }
}

/// The decimal that holds all values of both, if 128 bits do.
fn decimals(left: &DataType, right: &DataType) -> Option<DataType> {
    let ((left_whole, left_scale), (right_whole, right_scale)) = (digits(left)?, digits(right)?);
    let scale = left_scale.max(right_scale);
    let precision = left_whole.max(right_whole) + i16::from(scale);
    let precision = u8::try_from(precision.max(1)).ok()?;
    (precision <= DECIMAL128_MAX_PRECISION).then_some(DataType::Decimal128(precision, scale))
}

fn finer(left: TimeUnit, right: TimeUnit) -> TimeUnit {
    let units =
        [TimeUnit::Nanosecond, TimeUnit::Microsecond, TimeUnit::Millisecond, TimeUnit::Second];
    units.into_iter().find(|unit| [left, right].contains(unit)).unwrap_or(left)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        AsArray, Decimal128Array, Float64Array, Int64Array, TimestampMillisecondArray,
        TimestampSecondArray, UInt64Array,
    };
    use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type};

    use super::*;

    #[test]
    fn widths_go_together_and_kinds_do_not() {
        use DataType::{
            Boolean, Date32, Date64, Decimal128, Decimal256, FixedSizeBinary, Float32, Float64,
            Int8, Int32, Int64, LargeUtf8, Null, Timestamp, UInt32, UInt64, Utf8, Utf8View,
        };
        let of = |left, right| KeyType::of(&left, &right).map(|key| key.unified);
        assert_eq!(of(Int8, Int32), Some(Int64));
        assert_eq!(of(UInt32, UInt64), Some(UInt64));
        assert_eq!(of(Int8, UInt64), Some(Decimal128(20, 0)));
        assert_eq!(of(Float32, Float64), Some(Float64));
        assert_eq!(of(Utf8, LargeUtf8), Some(Utf8View));
        assert_eq!(of(Utf8, Utf8), Some(Utf8));
        assert_eq!(of(FixedSizeBinary(4), FixedSizeBinary(8)), Some(DataType::LargeBinary));
        assert_eq!(of(Date32, Date64), Some(Date64));
        assert_eq!(of(Decimal128(10, 2), Decimal128(12, 4)), Some(Decimal128(12, 4)));
        assert_eq!(of(Decimal128(10, 2), Int64), Some(Decimal128(22, 2)));
        assert_eq!(of(Decimal256(60, 0), Decimal256(60, 0)), None);
        assert_eq!(of(Null, Utf8), Some(Utf8));
        assert_eq!(of(Null, Null), Some(Boolean));
        assert_eq!(of(Int64, Float64), None);
        assert_eq!(of(Utf8, Int64), None);
        let utc = || Some("UTC".into());
        let millis = Timestamp(TimeUnit::Millisecond, utc());
        assert_eq!(of(Timestamp(TimeUnit::Second, utc()), millis.clone()), Some(millis));
        assert_eq!(of(Timestamp(TimeUnit::Second, None), Timestamp(TimeUnit::Second, utc())), None);
        assert_eq!(of(Utf8View, Utf8View), Some(Utf8View));
        assert_eq!(of(DataType::new_list(Int8, true), DataType::new_list(Int8, true)), None);
    }

    #[test]
    fn equal_values_of_different_types_have_equal_keys() {
        let key = KeyType::of(&DataType::Int64, &DataType::UInt64).unwrap();
        let left: ArrayRef = Arc::new(Int64Array::from(vec![7, -1]));
        let right: ArrayRef = Arc::new(UInt64Array::from(vec![7, u64::MAX]));
        assert_eq!(key.keys(&left).unwrap().as_primitive::<Decimal128Type>().values(), &[7, -1]);
        let right = key.keys(&right).unwrap();
        assert_eq!(right.as_primitive::<Decimal128Type>().values()[1], i128::from(u64::MAX));
        let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![2]).with_timezone("UTC"));
        let millis: ArrayRef =
            Arc::new(TimestampMillisecondArray::from(vec![2000]).with_timezone("+02:00"));
        let key = KeyType::of(seconds.data_type(), millis.data_type()).unwrap();
        for column in [&seconds, &millis] {
            let keys = key.keys(column).unwrap();
            assert_eq!(keys.as_primitive::<Int64Type>().values(), &[2000]);
        }
        let cents = Decimal128Array::from(vec![150]).with_precision_and_scale(5, 2).unwrap();
        let cents: ArrayRef = Arc::new(cents);
        let key = KeyType::of(cents.data_type(), &DataType::Decimal128(9, 3)).unwrap();
        assert_eq!(key.keys(&cents).unwrap().as_primitive::<Decimal128Type>().values(), &[1500]);
    }

    #[test]
    fn nan_is_missing_and_there_is_one_zero() {
        let key = KeyType::of(&DataType::Float64, &DataType::Float64).unwrap();
        assert!(!key.is_type_of(&DataType::Float64));
        let column: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, -0.0]));
        let keys = key.keys(&column).unwrap();
        assert!(keys.is_null(0));
        let zero = keys.as_primitive::<Float64Type>().value(1);
        assert_eq!(zero.to_bits(), 0.0_f64.to_bits());
    }
}
