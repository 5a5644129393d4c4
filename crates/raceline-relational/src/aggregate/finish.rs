//! From `DataFusion`'s answers to the aggregates.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::kernels::cmp::neq;
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use raceline_types::{Failure, InternalError};

use super::layout::{Answer, Layout};
use crate::error::RelationalError;

/// Distance between an exact integer sum and its float64 twin beyond which the exact one wrapped.
/// A wrap moves it by 2⁶⁴; rounding stays far below.
const WRAP_DISTANCE: f64 = 9_223_372_036_854_775_808.0;

impl Layout {
    /// One batch of groups: keys, then aggregates.
    ///
    /// # Errors
    /// [`RelationalError::SumOverflow`].
    pub(super) fn finish(&self, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        let keys = self.keys.len();
        let mut columns: Vec<ArrayRef> = batch.columns()[..keys].to_vec();
        for (index, finish) in self.finishes.iter().enumerate() {
            let slot = |at: usize| batch.column(keys + at);
            let answer = match finish.answer {
                Answer::Slot(at) => Arc::clone(slot(at)),
                Answer::Sum { exact, approximate } => {
                    if wrapped(slot(exact), slot(approximate)) {
                        let name = self.output.field(keys + index).name().clone();
                        return Err(RelationalError::SumOverflow { name }.into());
                    }
                    Arc::clone(slot(exact))
                }
                Answer::Std { variance, count, ddof } => std(slot(variance), slot(count), ddof),
            };
            columns.push(match finish.complete {
                Some((values, rows)) => {
                    null_unless_equal(&answer, slot(values), slot(rows)).map_err(internal)?
                }
                None => answer,
            });
        }
        RecordBatch::try_new(Arc::clone(&self.output), columns).map_err(internal)
    }
}

fn internal(error: ArrowError) -> Failure {
    InternalError::caused_by("aggregates do not fit their schema", error).into()
}

/// `answer`, null where the number of values is not the number of rows.
fn null_unless_equal(
    answer: &ArrayRef,
    values: &ArrayRef,
    rows: &ArrayRef,
) -> Result<ArrayRef, ArrowError> {
    nullif(answer, &neq(values, rows)?)
}

/// Whether an integer sum left 64 bits.
#[expect(clippy::cast_precision_loss, reason = "compared with a distance of 2⁶³")]
fn wrapped(exact: &ArrayRef, approximate: &ArrayRef) -> bool {
    let approximate = approximate.as_primitive::<Float64Type>().iter();
    let far = |exact: Option<f64>, approximate: Option<f64>| matches!((exact, approximate), (Some(a), Some(b)) if (a - b).abs() >= WRAP_DISTANCE);
    if exact.data_type() == &DataType::UInt64 {
        let exact = exact.as_primitive::<UInt64Type>().iter();
        exact.zip(approximate).any(|(a, b)| far(a.map(|a| a as f64), b))
    } else {
        let exact = exact.as_primitive::<Int64Type>().iter();
        exact.zip(approximate).any(|(a, b)| far(a.map(|a| a as f64), b))
    }
}

/// Standard deviations from population variances: NaN when the count is at most `ddof`, null
/// when it is 0.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2⁵³")]
fn std(variance: &ArrayRef, count: &ArrayRef, ddof: u32) -> ArrayRef {
    let variance = variance.as_primitive::<Float64Type>().iter();
    let count = count.as_primitive::<Int64Type>().iter();
    let deviation = |(variance, count): (Option<f64>, Option<i64>)| {
        let (variance, count) = (variance?, count?);
        let freedom = count - i64::from(ddof);
        Some(if freedom <= 0 {
            f64::NAN
        } else {
            (variance * count as f64 / freedom as f64).sqrt()
        })
    };
    Arc::new(variance.zip(count).map(deviation).collect::<Float64Array>())
}
