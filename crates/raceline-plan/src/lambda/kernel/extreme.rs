//! `min` and `max` of two values of one type.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion_common::Result;

use super::{Input, array_of, pair_rows, zip};

/// Python's choice: the first one, unless the second is smaller or greater. A NaN is neither.
pub(super) fn python(greatest: bool, left: &Input, right: &Input) -> Result<ArrayRef> {
    match left.array.data_type() {
        DataType::Int64 => {
            let (left, right) = (left.primitive::<Int64Type>()?, right.primitive::<Int64Type>()?);
            let values = if greatest {
                zip(&left, &right, |a: i64, b| (a.max(b), false))?
            } else {
                zip(&left, &right, |a: i64, b| (a.min(b), false))?
            };
            Ok(array_of::<Int64Type>(values))
        }
        DataType::Float64 => {
            let (left, right) =
                (left.primitive::<Float64Type>()?, right.primitive::<Float64Type>()?);
            let values = if greatest {
                zip(&left, &right, |a: f64, b| (if b > a { b } else { a }, false))?
            } else {
                zip(&left, &right, |a: f64, b| (if b < a { b } else { a }, false))?
            };
            Ok(array_of::<Float64Type>(values))
        }
        DataType::Utf8 => {
            let rows = pair_rows(left, right);
            let (left, right) = (left.strings()?, right.strings()?);
            let choose = |row| {
                let (first, second) = (left.get(row), right.get(row));
                let takes_second = if greatest { second > first } else { second < first };
                if takes_second { second } else { first }
            };
            Ok(Arc::new(StringArray::from_iter_values((0..rows).map(choose))))
        }
        DataType::Boolean => {
            let rows = pair_rows(left, right);
            let (left, right) = (left.booleans(rows)?, right.booleans(rows)?);
            let bits = if greatest { &left | &right } else { &left & &right };
            Ok(Arc::new(BooleanArray::new(bits, None)))
        }
        // Dates and datetimes are ordered as the ints that they are.
        instant => {
            let integers = |input: &Input| -> Result<Input> {
                Ok(Input { array: cast(input.without_nulls()?, &DataType::Int64)?, one: input.one })
            };
            let chosen = python(greatest, &integers(left)?, &integers(right)?)?;
            Ok(cast(&cast(&chosen, &integer_of(instant))?, instant)?)
        }
    }
}

/// The type of ints that an instant is cast from.
fn integer_of(instant: &DataType) -> DataType {
    if *instant == DataType::Date32 { DataType::Int32 } else { DataType::Int64 }
}
