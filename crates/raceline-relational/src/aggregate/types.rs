//! The types of aggregates, and what they need of the values.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field};
use raceline_plan::{Aggregate, AggregateKind};

use super::value_counts::{counted_type, counts_type};

/// Precision that `DataFusion` adds to the type of a decimal sum.
const DECIMAL_SUM_DIGITS: u8 = 10;

/// The type that aggregates see: dictionaries unpacked, all-null columns as integers.
pub(crate) fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => value.as_ref().clone(),
        DataType::Null => DataType::Int64,
        other => other.clone(),
    }
}

/// Whether an aggregate compares values or computes with them.
pub(super) fn looks_at_values(kind: &AggregateKind) -> bool {
    !matches!(
        kind,
        AggregateKind::Count
            | AggregateKind::List
            | AggregateKind::First
            | AggregateKind::MissingPercentage
    )
}

/// Whether a missing value makes the result null, where it is not ignored.
pub(super) fn is_null_of_null(kind: &AggregateKind) -> bool {
    matches!(
        kind,
        AggregateKind::Sum
            | AggregateKind::Min
            | AggregateKind::Max
            | AggregateKind::Mean
            | AggregateKind::Std { .. }
            | AggregateKind::AbsMax
            | AggregateKind::Quantile { .. }
    )
}

/// The column of an aggregate over `field`, whose plain type is `data_type`, or `None` when there
/// is none.
pub(super) fn output_field(
    aggregate: &Aggregate,
    field: &Field,
    data_type: &DataType,
) -> Option<Field> {
    let list = |item: DataType| DataType::List(Arc::new(Field::new_list_field(item, true)));
    let (name, kind) = (&aggregate.name, &aggregate.kind);
    let is_number = is_number(data_type) || data_type == &DataType::Boolean;
    let output = match kind {
        AggregateKind::Count | AggregateKind::CountDistinct => DataType::Int64,
        AggregateKind::MissingPercentage => DataType::Float64,
        AggregateKind::Mean
        | AggregateKind::Std { .. }
        | AggregateKind::Quantile { .. }
        | AggregateKind::ZeroPercentage => is_number.then_some(DataType::Float64)?,
        AggregateKind::ApproxQuantiles { .. } => is_number.then(|| list(DataType::Float64))?,
        AggregateKind::Min | AggregateKind::Max => {
            let is_ordered = is_number || data_type.is_temporal() || is_text(data_type);
            is_ordered.then(|| data_type.clone())?
        }
        AggregateKind::Sum => sum_type(data_type)?,
        AggregateKind::AbsMax => match data_type {
            DataType::UInt64 | DataType::Decimal128(..) => data_type.clone(),
            floating if floating.is_floating() => DataType::Float64,
            other => {
                (other.is_integer() || other == &DataType::Boolean).then_some(DataType::Int64)?
            }
        },
        // What an item is, such as a tensor, stands in the field.
        AggregateKind::First => {
            return Some(field.clone().with_name(name).with_data_type(data_type.clone()));
        }
        AggregateKind::List => {
            let item = field.clone().with_name("item").with_data_type(data_type.clone());
            DataType::List(Arc::new(item.with_nullable(true)))
        }
        AggregateKind::Unique { flatten } => list(counted_type(data_type, *flatten)),
        AggregateKind::ValueCounts => counts_type(data_type),
        AggregateKind::ApproxTop { flatten, .. } => {
            let value = Field::new(field.name(), counted_type(data_type, *flatten), true);
            let count = Field::new("count", DataType::Int64, true);
            list(DataType::Struct(vec![value, count].into()))
        }
    };
    Some(Field::new(name, output, true))
}

fn is_number(data_type: &DataType) -> bool {
    let is_decimal = matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..));
    data_type.is_integer() || data_type.is_floating() || is_decimal
}

fn sum_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::UInt64 => Some(DataType::UInt64),
        DataType::Decimal128(precision, scale) => Some(DataType::Decimal128(
            (precision + DECIMAL_SUM_DIGITS).min(DECIMAL128_MAX_PRECISION),
            *scale,
        )),
        DataType::Decimal256(precision, scale) => Some(DataType::Decimal256(
            (precision + DECIMAL_SUM_DIGITS).min(DECIMAL256_MAX_PRECISION),
            *scale,
        )),
        floating if floating.is_floating() => Some(DataType::Float64),
        other => (is_number(other) || other == &DataType::Boolean).then_some(DataType::Int64),
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    )
}
