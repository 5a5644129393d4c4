//! What the functions compute, array by array.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int8Array, Int64Array, NullArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::concat_elements::concat_elements_dyn;
use arrow::compute::kernels::{cmp, numeric};
use arrow::compute::{CastOptions, binary, cast, cast_with_options, try_binary};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::error::ArrowError;
use datafusion_common::{Result, internal_err};
use datafusion_expr::Operator;
use datafusion_expr::type_coercion::binary::{BinaryTypeCoercer, comparison_coercion};

use super::function::Operation;

/// The type of `operation` of arguments of `types`, or `None` when it is not defined for them.
///
/// A batch in which a column is null everywhere does not tell the column's type: what is computed
/// of such columns alone has none either, so that it goes together with what comes of others.
pub(super) fn output_type(operation: Operation, types: &[DataType]) -> Option<DataType> {
    if operation.comparison().is_some() {
        return comparison_coercion(&types[0], &types[1]).map(|_| DataType::Boolean);
    }
    if is_untyped(operation, types) {
        return Some(DataType::Null);
    }
    let is_text = types.iter().all(|one| one.is_string() || one == &DataType::Null);
    if operation == Operation::Add {
        return match (is_text, types) {
            (true, _) => Some(text_type(types)),
            (false, [left, right]) => {
                BinaryTypeCoercer::new(left, &Operator::Plus, right).get_result_type().ok()
            }
            _ => None,
        };
    }
    if !types.iter().all(|one| one.is_numeric() || one == &DataType::Null) {
        return None;
    }
    let are_integers = are_integers(types);
    Some(match operation {
        Operation::IsNan => DataType::Boolean,
        Operation::Sign if are_integers => DataType::Int8,
        Operation::FloorDivide
        | Operation::Modulo
        | Operation::Power
        | Operation::Negate
        | Operation::Abs
        | Operation::Ceil
        | Operation::Floor
        | Operation::Trunc
        | Operation::Round
            if are_integers =>
        {
            DataType::Int64
        }
        _ => DataType::Float64,
    })
}

/// The SQL operator that means the same for arguments of `types`.
pub(super) fn bare_operator(operation: Operation, types: &[DataType]) -> Option<Operator> {
    if is_untyped(operation, types) {
        return None;
    }
    if operation == Operation::Add {
        return (!types.iter().all(|one| one.is_string() || one == &DataType::Null))
            .then_some(Operator::Plus);
    }
    operation.comparison().filter(|_| !types.iter().any(DataType::is_floating))
}

/// `operation` of `arrays` of equal lengths.
pub(super) fn evaluate(operation: Operation, arrays: &[ArrayRef]) -> Result<ArrayRef> {
    if is_untyped(operation, arrays.iter().map(Array::data_type)) {
        return Ok(Arc::new(NullArray::new(arrays[0].len())));
    }
    match (operation, arrays) {
        (Operation::Add, [left, right]) => add(left, right),
        (Operation::FloorDivide, [left, right]) => floor_divide(left, right),
        (Operation::Modulo, [left, right]) => modulo(left, right),
        (Operation::Power, [left, right]) => power(left, right),
        (_, [left, right]) => {
            if let Some(op) = operation.comparison() {
                compare(op, left, right)
            } else {
                internal_err!("{operation:?} of two arguments")
            }
        }
        (_, [value]) => unary(operation, value),
        _ => internal_err!("{operation:?} of {} arguments", arrays.len()),
    }
}

/// Whether `operation` has the type of its arguments, and these have none.
fn is_untyped<'a>(operation: Operation, types: impl IntoIterator<Item = &'a DataType>) -> bool {
    let has_own_type = operation.comparison().is_some() || operation == Operation::IsNan;
    !has_own_type && types.into_iter().all(|one| one == &DataType::Null)
}

fn are_integers(types: &[DataType]) -> bool {
    types.iter().all(|one| one.is_integer() || one == &DataType::Null)
}

fn text_type(types: &[DataType]) -> DataType {
    let is_large = types.contains(&DataType::LargeUtf8);
    if is_large { DataType::LargeUtf8 } else { DataType::Utf8 }
}

fn floats(array: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// As int64; a value beyond it is an error.
fn integers(array: &ArrayRef) -> Result<Int64Array> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let integers = cast_with_options(array, &DataType::Int64, &strict)?;
    Ok(integers.as_primitive::<Int64Type>().clone())
}

fn add(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let types = [left.data_type().clone(), right.data_type().clone()];
    if types.iter().all(|one| one.is_string() || one == &DataType::Null) {
        let text = text_type(&types);
        return Ok(concat_elements_dyn(&cast(left, &text)?, &cast(right, &text)?)?);
    }
    let coercer = BinaryTypeCoercer::new(&types[0], &Operator::Plus, &types[1]);
    let (left_type, right_type) = coercer.get_input_types()?;
    Ok(numeric::add_wrapping(&cast(left, &left_type)?, &cast(right, &right_type)?)?)
}

fn floor_divide(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    if are_integers(&[left.data_type().clone(), right.data_type().clone()]) {
        return Ok(numeric::div(&integers(left)?, &integers(right)?)?);
    }
    let quotient: Float64Array = binary(&floats(left)?, &floats(right)?, |a, b| (a / b).floor())?;
    Ok(Arc::new(quotient))
}

fn modulo(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    if are_integers(&[left.data_type().clone(), right.data_type().clone()]) {
        return Ok(numeric::rem(&integers(left)?, &integers(right)?)?);
    }
    let rest: Float64Array =
        binary(&floats(left)?, &floats(right)?, |a: f64, b: f64| a - b * (a / b).floor())?;
    Ok(Arc::new(rest))
}

fn power(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    if !are_integers(&[left.data_type().clone(), right.data_type().clone()]) {
        let power: Float64Array = binary(&floats(left)?, &floats(right)?, f64::powf)?;
        return Ok(Arc::new(power));
    }
    let power: Int64Array = try_binary(&integers(left)?, &integers(right)?, |base, exponent| {
        if exponent < 0 {
            return Err(ArrowError::ComputeError(format!(
                "an integer to the power of `{exponent}` is not an integer"
            )));
        }
        Ok(wrapping_power(base, exponent))
    })?;
    Ok(Arc::new(power))
}

fn wrapping_power(mut base: i64, mut exponent: i64) -> i64 {
    let mut power: i64 = 1;
    while exponent > 0 {
        if exponent % 2 == 1 {
            power = power.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent /= 2;
    }
    power
}

#[expect(clippy::float_cmp, reason = "IEEE comparison is what is asked for")]
fn compare(op: Operator, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let Some(common) = comparison_coercion(left.data_type(), right.data_type()) else {
        return internal_err!("`{op}` of {} and {}", left.data_type(), right.data_type());
    };
    if common.is_floating() {
        let (left, right) = (floats(left)?, floats(right)?);
        return Ok(Arc::new(match op {
            Operator::Eq => compare_floats(&left, &right, |a, b| a == b),
            Operator::NotEq => compare_floats(&left, &right, |a, b| a != b),
            Operator::Lt => compare_floats(&left, &right, |a, b| a < b),
            Operator::LtEq => compare_floats(&left, &right, |a, b| a <= b),
            Operator::Gt => compare_floats(&left, &right, |a, b| a > b),
            _ => compare_floats(&left, &right, |a, b| a >= b),
        }));
    }
    let (left, right) = (cast(left, &common)?, cast(right, &common)?);
    Ok(Arc::new(match op {
        Operator::Eq => cmp::eq(&left, &right),
        Operator::NotEq => cmp::neq(&left, &right),
        Operator::Lt => cmp::lt(&left, &right),
        Operator::LtEq => cmp::lt_eq(&left, &right),
        Operator::Gt => cmp::gt(&left, &right),
        _ => cmp::gt_eq(&left, &right),
    }?))
}

fn compare_floats(
    left: &Float64Array,
    right: &Float64Array,
    holds: impl Fn(f64, f64) -> bool,
) -> BooleanArray {
    let (a, b) = (left.values(), right.values());
    let values = BooleanBuffer::collect_bool(a.len().min(b.len()), |row| holds(a[row], b[row]));
    BooleanArray::new(values, NullBuffer::union(left.nulls(), right.nulls()))
}

fn unary(operation: Operation, value: &ArrayRef) -> Result<ArrayRef> {
    if value.data_type().is_integer() {
        let integers = integers(value)?;
        let same: Option<fn(i64) -> i64> = match operation {
            Operation::Negate => Some(i64::wrapping_neg),
            Operation::Abs => Some(i64::wrapping_abs),
            Operation::Ceil | Operation::Floor | Operation::Trunc | Operation::Round => {
                Some(|value| value)
            }
            _ => None,
        };
        if let Some(same) = same {
            return Ok(Arc::new(integers.unary::<_, Int64Type>(same)));
        }
        if operation == Operation::Sign {
            let sign = |value: i64| i8::try_from(value.signum()).unwrap_or_default();
            return Ok(Arc::new(integers.iter().map(|one| one.map(sign)).collect::<Int8Array>()));
        }
    }
    let floats = floats(value)?;
    if operation == Operation::IsNan {
        let values = floats.values();
        let is_nan = BooleanBuffer::collect_bool(values.len(), |row| values[row].is_nan());
        return Ok(Arc::new(BooleanArray::new(is_nan, floats.nulls().cloned())));
    }
    let Some(function) = float_function(operation) else {
        return internal_err!("{operation:?} of one argument");
    };
    Ok(Arc::new(floats.unary::<_, Float64Type>(function)))
}

fn float_function(operation: Operation) -> Option<fn(f64) -> f64> {
    Some(match operation {
        Operation::Negate => |value| -value,
        Operation::Abs => f64::abs,
        Operation::Sign => {
            |value| if value == 0.0 || value.is_nan() { value } else { value.signum() }
        }
        Operation::Ceil => f64::ceil,
        Operation::Floor => f64::floor,
        Operation::Trunc => f64::trunc,
        Operation::Round => f64::round_ties_even,
        Operation::Ln => f64::ln,
        Operation::Log10 => f64::log10,
        Operation::Log2 => f64::log2,
        Operation::Exp => f64::exp,
        Operation::Sin => f64::sin,
        Operation::Cos => f64::cos,
        Operation::Tan => f64::tan,
        Operation::Asin => f64::asin,
        Operation::Acos => f64::acos,
        Operation::Atan => f64::atan,
        _ => return None,
    })
}
