//! Built-in functions of scalars: conversions between types, `abs`, `round`, `min`, `max`, `len`.

use super::builtin::Math;
use super::decline::Decline;
use super::function::{Calendar, Convert, Operation, Text};
use super::program::{BinaryOp, Constant};
use super::python::{apply, call};
use super::term::{Kind, Term};
use super::text;

/// Digits behind the point that `round` is exact for.
const DIGITS_MAX: i64 = 22;

/// `str(operand)`.
///
/// # Errors
/// When the compiler does not know how the type is written.
pub(super) fn text(operand: &Term) -> Result<Term, Decline> {
    match operand.kind {
        Kind::Null => Ok(Term::scalar(&Constant::Str("None".into()))),
        Kind::Str if !operand.nullable => Ok(operand.clone()),
        Kind::Bool | Kind::Int | Kind::Float | Kind::Str => {
            call(Operation::Convert(Convert::Text), Kind::Str, [operand])
        }
        Kind::Date | Kind::DateTime => {
            call(Operation::Calendar(Calendar::Text), Kind::Str, [operand])
        }
        Kind::Strings | Kind::Narrow | Kind::Opaque => Err(not_known("str", operand)),
    }
}

/// `int(operand)`.
///
/// # Errors
/// When the type raises in Python or is not known to the compiler.
pub(super) fn integer(operand: &Term) -> Result<Term, Decline> {
    match operand.kind {
        Kind::Bool | Kind::Int => whole(operand),
        Kind::Float | Kind::Str => call(Operation::Convert(Convert::Int), Kind::Int, [operand]),
        _ => Err(not_known("int", operand)),
    }
}

/// `float(operand)`.
///
/// # Errors
/// As [`integer`].
pub(super) fn float(operand: &Term) -> Result<Term, Decline> {
    match operand.kind {
        Kind::Bool | Kind::Int | Kind::Float => {
            let expr = Operation::NotNone.call(vec![operand.cast_to(Kind::Float)]);
            Term::computed(expr, Kind::Float, &[operand])
        }
        Kind::Str => call(Operation::Convert(Convert::Float), Kind::Float, [operand]),
        _ => Err(not_known("float", operand)),
    }
}

/// `abs(operand)`.
///
/// # Errors
/// As [`integer`].
pub(super) fn absolute(operand: &Term) -> Result<Term, Decline> {
    match operand.kind {
        // The greater one of a number and its negation, which overflows where Python leaves
        // 64 bits.
        Kind::Bool | Kind::Int => {
            let negated = Operation::PyNegate.call(vec![operand.cast_to(Kind::Int)]);
            let expr = Operation::Extreme { greatest: true }
                .call(vec![operand.cast_to(Kind::Int), negated]);
            Term::computed(expr, Kind::Int, &[operand, operand])
        }
        Kind::Float => call(Operation::Math(Math::Fabs), Kind::Float, [operand]),
        _ => Err(not_known("abs", operand)),
    }
}

/// `round(operand, digits)`.
///
/// # Errors
/// As [`integer`], and when the digits are not a constant that is exact.
pub(super) fn round(operand: &Term, digits: Option<&Term>) -> Result<Term, Decline> {
    let digits = match digits {
        None => None,
        Some(digits) => match digits.constant {
            Some(Constant::None) => None,
            Some(Constant::Int(count @ 0..=DIGITS_MAX)) => Some((digits, count)),
            _ => {
                return Err(Decline::new(format!(
                    "it rounds to digits that are no constant between 0 and {DIGITS_MAX}"
                )));
            }
        },
    };
    match (operand.kind, digits) {
        (Kind::Bool | Kind::Int, _) => whole(operand),
        (Kind::Float, None) => call(Operation::Convert(Convert::Round), Kind::Int, [operand]),
        (Kind::Float, Some((digits, _))) => {
            call(Operation::Convert(Convert::RoundTo), Kind::Float, [operand, digits])
        }
        _ => Err(not_known("round", operand)),
    }
}

/// `min(operands)` and `max(operands)`.
///
/// # Errors
/// As [`integer`], and when the operands have different types: that of the result would then
/// depend on the row.
pub(super) fn extreme(greatest: bool, operands: &[Term]) -> Result<Term, Decline> {
    let name = if greatest { "max" } else { "min" };
    let (first, others) = operands
        .split_first()
        .ok_or_else(|| Decline::new(format!("it calls `{name}` of nothing")))?;
    if matches!(first.kind, Kind::Null | Kind::Strings | Kind::Narrow | Kind::Opaque) {
        return Err(not_known(name, first));
    }
    if let Some(other) = others.iter().find(|other| other.kind != first.kind) {
        return Err(Decline::new(format!(
            "it calls `{name}` of {} and {}",
            first.kind.name(),
            other.kind.name()
        )));
    }
    let mut result = call(Operation::NotNone, first.kind, [first])?;
    for other in others {
        result = call(Operation::Extreme { greatest }, first.kind, [&result, other])?;
    }
    Ok(result)
}

/// `len(operand)`.
///
/// # Errors
/// As [`integer`].
pub(super) fn length(operand: &Term) -> Result<Term, Decline> {
    match operand.kind {
        Kind::Str | Kind::Strings => text::apply(Text::Length, Kind::Int, &[operand]),
        _ => Err(not_known("len", operand)),
    }
}

/// An int as itself: a null raises, which `x | x` finds.
fn whole(operand: &Term) -> Result<Term, Decline> {
    apply(Operation::PyInt(BinaryOp::Or), Kind::Int, (operand, operand), Kind::Int)
}

fn not_known(name: &str, operand: &Term) -> Decline {
    Decline::new(format!("it calls `{name}` of {}", operand.kind.name()))
}
