//! The module `math`, on float64 and for `gcd` on int64.
//!
//! The functions that are not fixed by IEEE arithmetic are those of the C library, the same that
//! Python's module calls in this process.

use std::f64::consts::PI;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Float64Type, Int64Type};
use datafusion_common::{DataFusionError, Result};

use super::{Input, array_of, map, zip};
use crate::lambda::builtin::Math;

/// Computes a function for each row.
pub(super) fn evaluate(math: Math, inputs: &[Input]) -> Result<ArrayRef> {
    match (math, inputs) {
        (Math::Gcd, [left, right]) => {
            let (left, right) = (left.primitive::<Int64Type>()?, right.primitive::<Int64Type>()?);
            Ok(array_of::<Int64Type>(zip(&left, &right, gcd)?))
        }
        (Math::Isfinite, [value]) => test(value, f64::is_finite),
        (Math::Isinf, [value]) => test(value, f64::is_infinite),
        (Math::Isnan, [value]) => test(value, f64::is_nan),
        (Math::Ceil, [value]) => whole(value, f64::ceil),
        (Math::Floor, [value]) => whole(value, f64::floor),
        (Math::Trunc, [value]) => whole(value, f64::trunc),
        (_, [value]) => one(math, value),
        (_, [left, right]) => two(math, left, right),
        _ => Err(unknown(math)),
    }
}

/// A float as an int of 64 bits, when it has one.
#[expect(clippy::cast_possible_truncation, reason = "rows outside of 64 bits are in trouble")]
pub(super) fn to_integer(value: f64) -> (i64, bool) {
    // -2^63 is a float, and 2^63 is the first one that does not fit.
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    (value as i64, !(-BOUND..BOUND).contains(&value))
}

fn whole(value: &Input, round: impl Fn(f64) -> f64) -> Result<ArrayRef> {
    let values = map(&value.primitive::<Float64Type>()?, |value| to_integer(round(value)))?;
    Ok(array_of::<Int64Type>(values))
}

fn test(value: &Input, holds: impl Fn(f64) -> bool) -> Result<ArrayRef> {
    let values = value.primitive::<Float64Type>()?.values;
    let bits = BooleanBuffer::collect_bool(values.len(), |row| holds(values[row]));
    Ok(Arc::new(BooleanArray::new(bits, None)))
}

/// A result that Python returns: NaN for NaN, and else one of a finite argument that is finite.
fn regular(argument: f64, result: f64) -> (f64, bool) {
    (result, !(argument.is_nan() || argument.is_finite() && result.is_finite()))
}

fn one(math: Math, value: &Input) -> Result<ArrayRef> {
    let values = value.primitive::<Float64Type>()?;
    let function: fn(f64) -> f64 = match math {
        Math::Fabs => f64::abs,
        Math::Degrees => |value| value * (180.0 / PI),
        Math::Radians => |value| value * (PI / 180.0),
        Math::Acos => f64::acos,
        Math::Asin => f64::asin,
        Math::Atan => f64::atan,
        Math::Cos => f64::cos,
        Math::Cosh => f64::cosh,
        Math::Exp => f64::exp,
        Math::Expm1 => f64::exp_m1,
        Math::Log => f64::ln,
        Math::Log10 => f64::log10,
        Math::Log1p => f64::ln_1p,
        Math::Log2 => f64::log2,
        Math::Sin => f64::sin,
        Math::Sinh => f64::sinh,
        Math::Sqrt => f64::sqrt,
        Math::Tan => f64::tan,
        Math::Tanh => f64::tanh,
        _ => return Err(unknown(math)),
    };
    let always_exact = matches!(math, Math::Fabs | Math::Degrees | Math::Radians);
    let results = if always_exact {
        map(&values, |value| (function(value), false))?
    } else {
        map(&values, |value| regular(value, function(value)))?
    };
    Ok(array_of::<Float64Type>(results))
}

fn two(math: Math, left: &Input, right: &Input) -> Result<ArrayRef> {
    let (left, right) = (left.primitive::<Float64Type>()?, right.primitive::<Float64Type>()?);
    let finite = |left: f64, right: f64, result: f64| {
        (result, !(left.is_finite() && right.is_finite() && result.is_finite()))
    };
    let results = match math {
        Math::Copysign => zip(&left, &right, |left, right| (left.copysign(right), false))?,
        Math::Atan2 => zip(&left, &right, |y, x| finite(y, x, y.atan2(x)))?,
        Math::Fmod => zip(&left, &right, |left, right| finite(left, right, left % right))?,
        Math::Pow => {
            zip(&left, &right, |base, exponent| finite(base, exponent, base.powf(exponent)))?
        }
        _ => return Err(unknown(math)),
    };
    Ok(array_of::<Float64Type>(results))
}

fn gcd(left: i64, right: i64) -> (i64, bool) {
    let (mut left, mut right) = (left.unsigned_abs(), right.unsigned_abs());
    while right != 0 {
        (left, right) = (right, left % right);
    }
    i64::try_from(left).map_or((0, true), |divisor| (divisor, false))
}

fn unknown(math: Math) -> DataFusionError {
    DataFusionError::Internal(format!("`{math:?}` of these arguments"))
}
