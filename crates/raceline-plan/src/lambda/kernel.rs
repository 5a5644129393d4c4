//! The loops behind the `py_*` and `np_*` functions.
//!
//! Each loop runs over all rows without a branch on trouble and remembers whether any row was in
//! trouble; the value that it computed there is thrown away with the batch.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, ListArray, PrimitiveArray,
    StringArray,
};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::datatypes::{Float64Type, Int64Type};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::ColumnarValue;
use thiserror::Error;

use super::function::Operation;
use super::program::{BinaryOp, CompareOp};

mod array;
mod calendar;
mod convert;
mod extreme;
mod float;
mod integer;
mod mathematics;
mod membership;
mod text;

/// A row whose result only Python can tell: the batch goes to the Python function.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a row needs Python")]
pub struct Trouble;

impl Trouble {
    /// Whether `error` is, or was caused by, trouble.
    #[must_use]
    pub fn is_cause_of(error: &DataFusionError) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

impl From<Trouble> for DataFusionError {
    fn from(trouble: Trouble) -> Self {
        Self::External(Box::new(trouble))
    }
}

/// Computes `operation` over `arguments`; a scalar when all of them are.
///
/// # Errors
/// [`Trouble`] when any row needs Python.
pub(super) fn evaluate(
    operation: Operation,
    arguments: &[ColumnarValue],
    rows: usize,
) -> Result<ColumnarValue> {
    if let (Operation::After, [first, ..]) = (operation, arguments) {
        return Ok(first.clone());
    }
    let scalar = arguments.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
    let inputs = arguments
        .iter()
        .map(|value| match value {
            ColumnarValue::Array(array) => Ok(Input { array: Arc::clone(array), one: scalar }),
            ColumnarValue::Scalar(value) => Ok(Input { array: value.to_array()?, one: true }),
        })
        .collect::<Result<Vec<_>>>()?;
    let rows = if scalar { 1 } else { rows };
    let output = apply(operation, &inputs, rows)?;
    if scalar {
        return ScalarValue::try_from_array(&output, 0).map(ColumnarValue::Scalar);
    }
    debug_assert_eq!(output.len(), rows);
    Ok(ColumnarValue::Array(output))
}

fn apply(operation: Operation, inputs: &[Input], rows: usize) -> Result<ArrayRef> {
    match (operation, inputs) {
        (Operation::Truth, [value]) => Ok(truth(&value.array)),
        (Operation::NpColumn | Operation::NotNone, [value]) => {
            Ok(value.without_nulls().map(Arc::clone)?)
        }
        (Operation::ExactFloat, [value]) => exact_float(value),
        (Operation::IsAmong, [item, choices @ ..]) => membership::is_among(item, choices),
        (Operation::Contains, [container, item]) => membership::contains(container, item),
        (Operation::Extreme { greatest }, [left, right]) => extreme::python(greatest, left, right),
        (Operation::Text(text), inputs) => text::evaluate(text, inputs, rows),
        (Operation::Convert(convert), inputs) => convert::evaluate(convert, inputs),
        (Operation::Math(math), inputs) => mathematics::evaluate(math, inputs),
        (Operation::Numpy(function), inputs) => array::evaluate(function, inputs, rows),
        (Operation::Cast(element), [value]) => array::cast(element, value),
        (Operation::Calendar(calendar), [value]) => calendar::evaluate(calendar, value),
        (_, [value]) => unary(operation, value),
        (_, [left, right]) => binary(operation, left, right),
        _ => Err(DataFusionError::Internal(format!("`{operation}` has no arguments"))),
    }
}

/// One argument: a row each, or one value for all rows.
struct Input {
    array: ArrayRef,
    one: bool,
}

impl Input {
    /// The array, which holds no null.
    fn without_nulls(&self) -> Result<&ArrayRef, Trouble> {
        if self.array.null_count() == 0 { Ok(&self.array) } else { Err(Trouble) }
    }

    fn primitive<T: ArrowPrimitiveType>(&self) -> Result<Operand<'_, T::Native>> {
        let values = self.without_nulls()?.as_primitive_opt::<T>().ok_or_else(|| self.misfit())?;
        Ok(Operand { values: values.values(), one: self.one })
    }

    fn strings(&self) -> Result<Strings<'_>> {
        let array = self.without_nulls()?.as_string_opt::<i32>().ok_or_else(|| self.misfit())?;
        Ok(Strings { array, one: self.one })
    }

    fn lists(&self) -> Result<Lists<'_>> {
        let array = self.without_nulls()?.as_list_opt::<i32>().ok_or_else(|| self.misfit())?;
        let texts = array.values().as_string_opt::<i32>().ok_or_else(|| self.misfit())?;
        Ok(Lists { array, texts, one: self.one })
    }

    fn booleans(&self, rows: usize) -> Result<BooleanBuffer> {
        let array = self.without_nulls()?.as_boolean_opt().ok_or_else(|| self.misfit())?;
        Ok(match (self.one, array.values()) {
            (false, values) => values.clone(),
            (true, values) if values.value(0) => BooleanBuffer::new_set(rows),
            (true, _) => BooleanBuffer::new_unset(rows),
        })
    }

    /// The same with whatever values lie where it is null.
    fn with_values(&self) -> Self {
        let array = match self.array.nulls() {
            None => Arc::clone(&self.array),
            Some(_) => without_validity(&self.array),
        };
        Self { array, one: self.one }
    }

    /// Whether the value of a row is null.
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(if self.one { 0 } else { row })
    }

    fn misfit(&self) -> DataFusionError {
        DataFusionError::Internal(format!("argument of type `{}`", self.array.data_type()))
    }
}

/// The array without its nulls. Of a type that has none of the loops here, it is as it was.
fn without_validity(array: &ArrayRef) -> ArrayRef {
    if let Some(values) = array.as_primitive_opt::<Int64Type>() {
        array_of::<Int64Type>(values.values().to_vec())
    } else if let Some(values) = array.as_primitive_opt::<Float64Type>() {
        array_of::<Float64Type>(values.values().to_vec())
    } else if let Some(values) = array.as_string_opt::<i32>() {
        let (offsets, data, _nulls) = values.clone().into_parts();
        Arc::new(StringArray::new(offsets, data, None))
    } else {
        Arc::clone(array)
    }
}

/// Numbers of one argument.
struct Operand<'a, T> {
    values: &'a [T],
    one: bool,
}

impl<T: Copy> Operand<'_, T> {
    fn get(&self, row: usize) -> T {
        self.values[if self.one { 0 } else { row }]
    }
}

/// Lists of strings of one argument.
struct Lists<'a> {
    array: &'a ListArray,
    texts: &'a StringArray,
    one: bool,
}

impl<'a> Lists<'a> {
    fn get(&self, row: usize) -> impl DoubleEndedIterator<Item = &'a str> + ExactSizeIterator {
        let row = if self.one { 0 } else { row };
        let offsets = self.array.value_offsets();
        let bound = |at: usize| usize::try_from(offsets[at]).unwrap_or(0);
        let texts = self.texts;
        (bound(row)..bound(row + 1)).map(|index| texts.value(index))
    }
}

/// Strings of one argument.
struct Strings<'a> {
    array: &'a StringArray,
    one: bool,
}

impl<'a> Strings<'a> {
    fn get(&self, row: usize) -> &'a str {
        self.array.value(if self.one { 0 } else { row })
    }
}

/// Applies `step`, which gives a value and whether the row is in trouble.
fn map<A: Copy, R>(
    operand: &Operand<'_, A>,
    step: impl Fn(A) -> (R, bool),
) -> Result<Vec<R>, Trouble> {
    let mut troubled = false;
    let values = operand
        .values
        .iter()
        .map(|&value| {
            let (result, trouble) = step(value);
            troubled |= trouble;
            result
        })
        .collect();
    if troubled { Err(Trouble) } else { Ok(values) }
}

/// As [`map`], over two arguments.
fn zip<A: Copy, R>(
    left: &Operand<'_, A>,
    right: &Operand<'_, A>,
    step: impl Fn(A, A) -> (R, bool),
) -> Result<Vec<R>, Trouble> {
    match (left.one, right.one) {
        (_, true) => {
            let constant = right.values[0];
            map(left, |value| step(value, constant))
        }
        (true, false) => {
            let constant = left.values[0];
            map(right, |value| step(constant, value))
        }
        (false, false) => {
            assert_eq!(left.values.len(), right.values.len(), "operands have one row each");
            let mut troubled = false;
            let values = left
                .values
                .iter()
                .zip(right.values)
                .map(|(&left, &right)| {
                    let (result, trouble) = step(left, right);
                    troubled |= trouble;
                    result
                })
                .collect();
            if troubled { Err(Trouble) } else { Ok(values) }
        }
    }
}

/// Tests each row of two arguments.
fn test<A: Copy>(
    left: &Operand<'_, A>,
    right: &Operand<'_, A>,
    holds: impl Fn(A, A) -> bool,
) -> ArrayRef {
    let bits = match (left.one, right.one) {
        (_, true) => {
            let constant = right.values[0];
            BooleanBuffer::collect_bool(left.values.len(), |row| holds(left.values[row], constant))
        }
        (true, false) => {
            let constant = left.values[0];
            BooleanBuffer::collect_bool(right.values.len(), |row| {
                holds(constant, right.values[row])
            })
        }
        (false, false) => BooleanBuffer::collect_bool(left.values.len(), |row| {
            holds(left.values[row], right.values[row])
        }),
    };
    Arc::new(BooleanArray::new(bits, None))
}

fn array_of<T: ArrowPrimitiveType>(values: Vec<T::Native>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), None))
}

fn unary(operation: Operation, value: &Input) -> Result<ArrayRef> {
    let integers = || value.primitive::<Int64Type>();
    Ok(match operation {
        Operation::PyNegate => array_of::<Int64Type>(map(&integers()?, i64::overflowing_neg)?),
        Operation::NpNegate => {
            array_of::<Int64Type>(map(&integers()?, |value| (value.wrapping_neg(), false))?)
        }
        Operation::Invert => array_of::<Int64Type>(map(&integers()?, |value| (!value, false))?),
        Operation::NegateFloat => {
            let floats = value.primitive::<Float64Type>()?;
            array_of::<Float64Type>(map(&floats, |value| (-value, false))?)
        }
        _ => return Err(DataFusionError::Internal(format!("`{operation}` of one argument"))),
    })
}

fn binary(operation: Operation, left: &Input, right: &Input) -> Result<ArrayRef> {
    let integer = Input::primitive::<Int64Type>;
    let float = Input::primitive::<Float64Type>;
    match operation {
        Operation::PyInt(op) => integer::python(op, &integer(left)?, &integer(right)?),
        Operation::NpInt(op) => integer::numpy(op, &integer(left)?, &integer(right)?),
        Operation::PyFloat(op) => float::python(op, &float(left)?, &float(right)?),
        Operation::NpFloat(op) => float::numpy(op, &float(left)?, &float(right)?),
        Operation::CompareInt(op) => comparable(op, left, right, |left, right| {
            Ok(compare(op, &integer(left)?, &integer(right)?))
        }),
        Operation::CompareFloat(op) => comparable(op, left, right, |left, right| {
            Ok(compare(op, &float(left)?, &float(right)?))
        }),
        Operation::CompareStr(op) => {
            comparable(op, left, right, |left, right| compare_strings(op, left, right))
        }
        Operation::Logic(op) => logic(op, left, right),
        Operation::Concat => concatenate(left, right),
        _ => Err(DataFusionError::Internal(format!("`{operation}` of two arguments"))),
    }
}

/// Compares numbers with Rust's operators, which are IEEE's for floats.
fn compare<A: Copy + PartialOrd>(
    op: CompareOp,
    left: &Operand<'_, A>,
    right: &Operand<'_, A>,
) -> ArrayRef {
    match op {
        CompareOp::Less => test(left, right, |a, b| a < b),
        CompareOp::LessEqual => test(left, right, |a, b| a <= b),
        CompareOp::Equal => test(left, right, |a, b| a == b),
        CompareOp::NotEqual => test(left, right, |a, b| a != b),
        CompareOp::Greater => test(left, right, |a, b| a > b),
        CompareOp::GreaterEqual => test(left, right, |a, b| a >= b),
    }
}

/// Compares strings. UTF-8 orders as its code points do.
fn compare_strings(op: CompareOp, left: &Input, right: &Input) -> Result<ArrayRef> {
    let rows = pair_rows(left, right);
    let (left, right) = (left.strings()?, right.strings()?);
    let holds: fn(&str, &str) -> bool = match op {
        CompareOp::Less => |a, b| a < b,
        CompareOp::LessEqual => |a, b| a <= b,
        CompareOp::Equal => |a, b| a == b,
        CompareOp::NotEqual => |a, b| a != b,
        CompareOp::Greater => |a, b| a > b,
        CompareOp::GreaterEqual => |a, b| a >= b,
    };
    let bits = BooleanBuffer::collect_bool(rows, |row| holds(left.get(row), right.get(row)));
    Ok(Arc::new(BooleanArray::new(bits, None)))
}

/// Compares by `values`, which takes no nulls, and nulls by what Python says of None: it equals
/// itself alone, and has no order.
fn comparable(
    op: CompareOp,
    left: &Input,
    right: &Input,
    values: impl Fn(&Input, &Input) -> Result<ArrayRef>,
) -> Result<ArrayRef> {
    let is_equality = matches!(op, CompareOp::Equal | CompareOp::NotEqual);
    if !is_equality || (left.array.null_count() == 0 && right.array.null_count() == 0) {
        return values(left, right);
    }
    let rows = pair_rows(left, right);
    let compared = values(&left.with_values(), &right.with_values())?;
    let compared = compared.as_boolean();
    let wanted = op == CompareOp::Equal;
    let bits =
        BooleanBuffer::collect_bool(rows, |row| match (left.is_null(row), right.is_null(row)) {
            (false, false) => compared.value(row),
            (true, true) => wanted,
            _ => !wanted,
        });
    Ok(Arc::new(BooleanArray::new(bits, None)))
}

/// The floats that are equal to ints; a null stays one.
fn exact_float(value: &Input) -> Result<ArrayRef> {
    let nulls = value.array.nulls().cloned();
    let value = value.with_values();
    let integers = value.primitive::<Int64Type>()?;
    let floats = match &nulls {
        None => map(&integers, float::exact_from_integer)?,
        Some(nulls) => {
            let mut row = 0;
            let rows = integers.values.iter().map(|&value| {
                let (float, trouble) = float::exact_from_integer(value);
                row += 1;
                if trouble && nulls.is_valid(row - 1) { Err(Trouble) } else { Ok(float) }
            });
            rows.collect::<Result<_, _>>()?
        }
    };
    Ok(Arc::new(PrimitiveArray::<Float64Type>::new(ScalarBuffer::from(floats), nulls)))
}

fn concatenate(left: &Input, right: &Input) -> Result<ArrayRef> {
    let rows = pair_rows(left, right);
    let (left, right) = (left.strings()?, right.strings()?);
    let mut joined = text::Texts::with_capacity(rows);
    for row in 0..rows {
        joined.push(&[left.get(row), right.get(row)])?;
    }
    Ok(joined.finish())
}

fn logic(op: BinaryOp, left: &Input, right: &Input) -> Result<ArrayRef> {
    let rows = pair_rows(left, right);
    let (left, right) = (left.booleans(rows)?, right.booleans(rows)?);
    let bits = match op {
        BinaryOp::And => &left & &right,
        BinaryOp::Or => &left | &right,
        BinaryOp::Xor => &left ^ &right,
        _ => return Err(DataFusionError::Internal(format!("{op:?} of two booleans"))),
    };
    Ok(Arc::new(BooleanArray::new(bits, None)))
}

/// Rows of the result of two arguments.
fn pair_rows(left: &Input, right: &Input) -> usize {
    if left.one { right.array.len() } else { left.array.len() }
}

/// Python's truth of any scalar. NaN is true, null is not.
fn truth(values: &ArrayRef) -> ArrayRef {
    let bits = if let Some(values) = values.as_primitive_opt::<Int64Type>() {
        let values = values.values();
        BooleanBuffer::collect_bool(values.len(), |row| values[row] != 0)
    } else if let Some(values) = values.as_primitive_opt::<Float64Type>() {
        let values = values.values();
        BooleanBuffer::collect_bool(values.len(), |row| values[row] != 0.0)
    } else if let Some(values) = values.as_string_opt::<i32>() {
        BooleanBuffer::collect_bool(values.len(), |row| values.value_length(row) > 0)
    } else if let Some(values) = values.as_boolean_opt() {
        values.values().clone()
    } else if let Some(values) = values.as_list_opt::<i32>() {
        BooleanBuffer::collect_bool(values.len(), |row| values.value_length(row) > 0)
    } else {
        BooleanBuffer::new_unset(values.len())
    };
    let bits = match values.nulls() {
        Some(nulls) => &bits & nulls.inner(),
        None => bits,
    };
    Arc::new(BooleanArray::new(bits, None))
}

#[cfg(test)]
mod tests;
