//! Arithmetic of float64, as Python does it and as NumPy does it.

use arrow::array::ArrayRef;
use arrow::datatypes::Float64Type;
use datafusion_common::{DataFusionError, Result};

use super::{Operand, array_of, zip};
use crate::lambda::program::BinaryOp;

/// Ints of at most this magnitude are floats without loss.
const EXACT_MAX: u64 = 1 << 53;

/// Python's operators on floats. A zero divisor, and a power that is complex, infinite, or
/// raises, are trouble.
pub(super) fn python(
    op: BinaryOp,
    left: &Operand<'_, f64>,
    right: &Operand<'_, f64>,
) -> Result<ArrayRef> {
    let values = match op {
        BinaryOp::Add => zip(left, right, |a, b| (a + b, false))?,
        BinaryOp::Subtract => zip(left, right, |a, b| (a - b, false))?,
        BinaryOp::Multiply => zip(left, right, |a, b| (a * b, false))?,
        BinaryOp::Divide => zip(left, right, |a, b| (a / b, b == 0.0))?,
        BinaryOp::FloorDivide => zip(left, right, |a, b| (floor_divide(a, b), b == 0.0))?,
        BinaryOp::Modulo => zip(left, right, |a, b| (floor_modulo(a, b), b == 0.0))?,
        BinaryOp::Power => zip(left, right, power)?,
        _ => return Err(bitwise(op)),
    };
    Ok(array_of::<Float64Type>(values))
}

/// NumPy's operators on float64 arrays. A row that would make NumPy warn (a zero divisor, an
/// infinity or a NaN out of operands that are none) is trouble.
pub(super) fn numpy(
    op: BinaryOp,
    left: &Operand<'_, f64>,
    right: &Operand<'_, f64>,
) -> Result<ArrayRef> {
    let values = match op {
        BinaryOp::Add => zip(left, right, |a, b| quiet(a, b, a + b))?,
        BinaryOp::Subtract => zip(left, right, |a, b| quiet(a, b, a - b))?,
        BinaryOp::Multiply => zip(left, right, |a, b| quiet(a, b, a * b))?,
        BinaryOp::Divide => zip(left, right, |a, b| quiet(a, b, a / b))?,
        BinaryOp::FloorDivide => zip(left, right, |a, b| finite(a, b, floor_divide(a, b)))?,
        BinaryOp::Modulo => zip(left, right, |a, b| finite(a, b, floor_modulo(a, b)))?,
        _ => return Err(bitwise(op)),
    };
    Ok(array_of::<Float64Type>(values))
}

/// The float equal to `value`; trouble when there may be none.
#[expect(clippy::cast_precision_loss, reason = "rows that lose a bit are in trouble")]
pub(super) fn exact_from_integer(value: i64) -> (f64, bool) {
    (value as f64, value.unsigned_abs() > EXACT_MAX)
}

fn bitwise(op: BinaryOp) -> DataFusionError {
    DataFusionError::Internal(format!("{op:?} of two float64"))
}

/// `result`, in trouble when it is not finite though both operands are, or NaN though neither is.
fn quiet(left: f64, right: f64, result: f64) -> (f64, bool) {
    let operands_finite = left.is_finite() && right.is_finite();
    let operands_nan = left.is_nan() || right.is_nan();
    (result, (!result.is_finite() && operands_finite) || (result.is_nan() && !operands_nan))
}

/// `result`, in trouble unless it and both operands are finite.
fn finite(left: f64, right: f64, result: f64) -> (f64, bool) {
    (result, !(left.is_finite() && right.is_finite() && result.is_finite()))
}

/// The remainder with the sign of the divisor, by the C library's `fmod` and one correction.
fn floor_modulo(left: f64, right: f64) -> f64 {
    let remainder = left % right;
    if remainder == 0.0 {
        return 0.0_f64.copysign(right);
    }
    if (right < 0.0) == (remainder < 0.0) { remainder } else { remainder + right }
}

/// The quotient rounded down, computed from the remainder so that both agree.
fn floor_divide(left: f64, right: f64) -> f64 {
    let remainder = left % right;
    let mut quotient = (left - remainder) / right;
    if remainder != 0.0 && (right < 0.0) != (remainder < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return 0.0_f64.copysign(left / right);
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

/// `left ** right` where the C library's `pow` is what Python returns.
fn power(left: f64, right: f64) -> (f64, bool) {
    let result = left.powf(right);
    let special = !(left.is_finite() && right.is_finite() && result.is_finite());
    let raises = left == 0.0 && right < 0.0;
    let complex = left < 0.0 && right.fract() != 0.0;
    let underflow = left != 0.0 && result.abs() < f64::MIN_POSITIVE;
    (result, special || raises || complex || underflow)
}
