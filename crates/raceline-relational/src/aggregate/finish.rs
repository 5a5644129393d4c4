//! From `DataFusion`'s answers to the aggregates.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Float64Array, PrimitiveArray, RecordBatch,
};
use arrow::compute::kernels::cmp::neq;
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Decimal128Type, Field, Float64Type, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use raceline_types::{Failure, InternalError};

use super::layout::{Answer, Layout};
use super::lists;
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
        let slots = &batch.columns()[keys..];
        let mut columns: Vec<ArrayRef> = batch.columns()[..keys].to_vec();
        for (finish, field) in self.finishes.iter().zip(&self.output.fields()[keys..]) {
            let answer = answer(&finish.answer, slots, field)?;
            columns.push(match finish.complete {
                Some((values, rows)) => {
                    null_unless_equal(&answer, &slots[values], &slots[rows]).map_err(internal)?
                }
                None => answer,
            });
        }
        RecordBatch::try_new(Arc::clone(&self.output), columns).map_err(internal)
    }
}

/// What `answer` is for `field` of the output.
fn answer(answer: &Answer, slots: &[ArrayRef], field: &Field) -> Result<ArrayRef, Failure> {
    let overflow = || RelationalError::SumOverflow { name: field.name().clone() };
    let item = || match field.data_type() {
        DataType::List(item) => Ok(item),
        other => Err(InternalError::new(format!("a list of values is of type {other}"))),
    };
    Ok(match *answer {
        Answer::Slot(at) => Arc::clone(&slots[at]),
        Answer::Sum { exact, approximate } => {
            if wrapped(&slots[exact], &slots[approximate]) {
                return Err(overflow().into());
            }
            Arc::clone(&slots[exact])
        }
        Answer::Std { variance, count, ddof } => std(&slots[variance], &slots[count], ddof),
        Answer::AbsMax { least, greatest } => {
            abs_max(&slots[least], &slots[greatest]).ok_or_else(overflow)?
        }
        Answer::Percentage { part, of, is_rest } => percentage(&slots[part], &slots[of], is_rest),
        Answer::Quantile { values, q } => lists::quantile(slots[values].as_list(), q),
        Answer::List { values, keeps_nulls } => {
            lists::list(slots[values].as_list(), item()?, keeps_nulls).map_err(internal)?
        }
        Answer::Unique { counts, keeps_nulls } => {
            let counts = slots[counts].as_struct();
            lists::unique(counts, item()?, keeps_nulls).map_err(internal)?
        }
        Answer::Distinct { counts, counts_null } => {
            lists::distinct(slots[counts].as_struct(), counts_null)
        }
        Answer::Top { counts, k } => {
            lists::top(slots[counts].as_struct(), k, item()?).map_err(internal)?
        }
        Answer::Beside(ref columns) => {
            let columns: Vec<_> = columns.iter().map(|&at| &slots[at]).collect();
            lists::beside(&columns).map_err(internal)?
        }
    })
}

/// The greater one of the absolute values of the least and the greatest value, which are of one of
/// the types that [`super::layout`] gives; `None` beyond 64 bits.
fn abs_max(least: &ArrayRef, greatest: &ArrayRef) -> Option<ArrayRef> {
    fn both<T: ArrowPrimitiveType>(
        [least, greatest]: [&ArrayRef; 2],
        abs_max: impl Fn(T::Native, T::Native) -> Option<T::Native>,
    ) -> Option<ArrayRef> {
        let least = least.as_primitive::<T>();
        let pairs = least.iter().zip(greatest.as_primitive::<T>());
        let values = pairs.map(|pair| match pair {
            (Some(least), Some(greatest)) => abs_max(least, greatest).map(Some),
            _ => Some(None),
        });
        let values: PrimitiveArray<T> = values.collect::<Option<Vec<_>>>()?.into_iter().collect();
        Some(Arc::new(values.with_data_type(least.data_type().clone())))
    }
    let pair = [least, greatest];
    match least.data_type() {
        DataType::Int64 => {
            both::<Int64Type>(pair, |a, b| Some(a.checked_abs()?.max(b.checked_abs()?)))
        }
        DataType::UInt64 => both::<UInt64Type>(pair, |_, b| Some(b)),
        DataType::Decimal128(..) => {
            both::<Decimal128Type>(pair, |a, b| Some(a.checked_abs()?.max(b.checked_abs()?)))
        }
        _ => both::<Float64Type>(pair, |a, b| Some(a.abs().max(b.abs()))),
    }
}

/// What part of `of` the numbers of `part` are, or the rest of it is, in percent; null where `of`
/// is 0. A missing `part` is 0.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2⁵³")]
fn percentage(part: &ArrayRef, of: &ArrayRef, is_rest: bool) -> ArrayRef {
    let part = part.as_primitive::<Int64Type>().iter();
    let of = of.as_primitive::<Int64Type>().iter();
    let percent = |(part, of): (Option<i64>, Option<i64>)| {
        let (part, of) = (part.unwrap_or(0), of.filter(|&of| of > 0)?);
        let part = if is_rest { of - part } else { part };
        Some(100.0 * part as f64 / of as f64)
    };
    Arc::new(part.zip(of).map(percent).collect::<Float64Array>())
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
