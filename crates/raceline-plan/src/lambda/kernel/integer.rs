//! Arithmetic of int64, as Python does it and as NumPy does it.

use arrow::array::ArrayRef;
use arrow::datatypes::Int64Type;
use datafusion_common::{DataFusionError, Result};

use super::{Operand, array_of, zip};
use crate::lambda::program::BinaryOp;

/// Python's operators on ints. A result that leaves 64 bits, a zero divisor and a negative
/// exponent are trouble.
pub(super) fn python(
    op: BinaryOp,
    left: &Operand<'_, i64>,
    right: &Operand<'_, i64>,
) -> Result<ArrayRef> {
    let values = match op {
        BinaryOp::Add => zip(left, right, i64::overflowing_add)?,
        BinaryOp::Subtract => zip(left, right, i64::overflowing_sub)?,
        BinaryOp::Multiply => zip(left, right, i64::overflowing_mul)?,
        BinaryOp::FloorDivide => zip(left, right, floor_divide)?,
        BinaryOp::Modulo => zip(left, right, floor_modulo)?,
        BinaryOp::Power => zip(left, right, power)?,
        BinaryOp::And => zip(left, right, |a, b| (a & b, false))?,
        BinaryOp::Or => zip(left, right, |a, b| (a | b, false))?,
        BinaryOp::Xor => zip(left, right, |a, b| (a ^ b, false))?,
        BinaryOp::Divide => return Err(DataFusionError::Internal("`/` of two int64".into())),
    };
    Ok(array_of::<Int64Type>(values))
}

/// NumPy's operators on int64 arrays. Results wrap; a zero divisor and an exponent that
/// NumPy refuses are trouble.
pub(super) fn numpy(
    op: BinaryOp,
    left: &Operand<'_, i64>,
    right: &Operand<'_, i64>,
) -> Result<ArrayRef> {
    let values = match op {
        BinaryOp::Add => zip(left, right, |a, b| (a.wrapping_add(b), false))?,
        BinaryOp::Subtract => zip(left, right, |a, b| (a.wrapping_sub(b), false))?,
        BinaryOp::Multiply => zip(left, right, |a, b| (a.wrapping_mul(b), false))?,
        BinaryOp::Power => zip(left, right, wrapping_power)?,
        _ => return python(op, left, right),
    };
    Ok(array_of::<Int64Type>(values))
}

/// The quotient rounded down.
fn floor_divide(left: i64, right: i64) -> (i64, bool) {
    let trouble = right == 0 || (left == i64::MIN && right == -1);
    let divisor = if trouble { 1 } else { right };
    let quotient = left / divisor;
    let inexact = left % divisor != 0 && (left < 0) != (divisor < 0);
    (quotient - i64::from(inexact), trouble)
}

/// The remainder with the sign of the divisor.
fn floor_modulo(left: i64, right: i64) -> (i64, bool) {
    let trouble = right == 0;
    let divisor = if trouble { 1 } else { right };
    let remainder = left.wrapping_rem(divisor);
    let correction = if remainder != 0 && (remainder < 0) != (divisor < 0) { divisor } else { 0 };
    (remainder + correction, trouble)
}

fn power(base: i64, exponent: i64) -> (i64, bool) {
    // An exponent above 32 bits overflows for every base but -1, 0 and 1: leave those to Python.
    match u32::try_from(exponent) {
        Ok(exponent) => base.overflowing_pow(exponent),
        Err(_) => (0, true),
    }
}

fn wrapping_power(base: i64, exponent: i64) -> (i64, bool) {
    match u32::try_from(exponent) {
        Ok(exponent) => (base.wrapping_pow(exponent), false),
        Err(_) => (0, true),
    }
}
