//! NumPy's functions and methods of arrays that are exactly defined for each element.

use datafusion_expr::Expr;

use super::builtin::{Builtin, Element, Numpy};
use super::decline::Decline;
use super::function::Operation;
use super::program::{BinaryOp, Constant};
use super::python::{apply, call as of, is_number};
use super::term::{Kind, Term};
use super::value::Value;

/// `np.function(operands)`.
///
/// # Errors
/// When the types raise in NumPy or are not known to the compiler.
pub(super) fn call(function: Numpy, operands: &[Term]) -> Result<Term, Decline> {
    let name = Builtin::Numpy(function).name();
    if !operands.iter().any(|operand| operand.array) {
        return Err(Decline::new(format!("it calls `{name}` of a scalar")));
    }
    match (function, operands) {
        (Numpy::Absolute, [operand]) => absolute(operand),
        (Numpy::Clip, [operand, low, high]) => clip(operand, low, high),
        (Numpy::Where, [condition, then, otherwise]) => choose(condition, then, otherwise),
        (Numpy::Maximum | Numpy::Minimum, [left, right]) => extreme(function, left, right),
        (Numpy::LogicalAnd | Numpy::LogicalOr, [left, right])
            if left.kind == Kind::Bool && right.kind == Kind::Bool =>
        {
            let op = if function == Numpy::LogicalAnd { BinaryOp::And } else { BinaryOp::Or };
            of(Operation::Logic(op), Kind::Bool, [left, right])
        }
        (Numpy::LogicalNot, [operand]) if operand.kind == Kind::Bool => {
            Term::computed(Expr::Not(Box::new(operand.expr.clone())), Kind::Bool, &[operand])
        }
        (Numpy::Square, [operand]) if operand.kind == Kind::Int => {
            of(Operation::NpInt(BinaryOp::Multiply), Kind::Int, [operand, operand])
        }
        (Numpy::Square, [operand]) if operand.kind == Kind::Float => {
            of(Operation::NpFloat(BinaryOp::Multiply), Kind::Float, [operand, operand])
        }
        (Numpy::Isfinite | Numpy::Isinf | Numpy::Isnan, [operand])
            if matches!(operand.kind, Kind::Int | Kind::Float) =>
        {
            let expr = Operation::Numpy(function).call(vec![operand.cast_to(Kind::Float)]);
            Term::computed(expr, Kind::Bool, &[operand])
        }
        (Numpy::Sqrt, [operand]) if matches!(operand.kind, Kind::Int | Kind::Float) => {
            let expr = Operation::Numpy(function).call(vec![operand.cast_to(Kind::Float)]);
            Term::computed(expr, Kind::Float, &[operand])
        }
        // Of ints, these are ints or floats by the version of NumPy.
        (Numpy::Ceil | Numpy::Floor | Numpy::Rint | Numpy::Trunc, [operand])
            if operand.kind == Kind::Float =>
        {
            of(Operation::Numpy(function), Kind::Float, [operand])
        }
        _ => {
            let kinds: Vec<_> = operands.iter().map(|operand| operand.kind.name()).collect();
            Err(Decline::new(format!("it calls `{name}({})`", kinds.join(", "))))
        }
    }
}

/// `np.abs(operand)` of an array.
///
/// # Errors
/// As [`call`].
pub(super) fn absolute(operand: &Term) -> Result<Term, Decline> {
    match operand.kind {
        Kind::Int | Kind::Float => of(Operation::Numpy(Numpy::Absolute), operand.kind, [operand]),
        _ => Err(Decline::new(format!("it calls `abs` of an array of {}", operand.kind.name()))),
    }
}

/// `array.name(positional, named)`.
///
/// # Errors
/// As [`call`].
pub(super) fn method(
    array: &Term,
    name: &str,
    positional: Vec<Value>,
    named: &[(String, Value)],
) -> Result<Term, Decline> {
    match (name, positional.as_slice(), named) {
        ("copy", [], []) => Ok(array.clone()),
        ("astype", [element], []) => cast(array, element),
        ("astype", [element], [(keyword, value)])
            if keyword == "copy" && matches!(value.as_constant(), Some(Constant::Bool(_))) =>
        {
            cast(array, element)
        }
        ("clip", [_, _], []) => {
            let bounds = positional.into_iter().map(Value::into_term);
            let bounds = bounds.collect::<Result<Vec<_>, _>>()?;
            clip(array, &bounds[0], &bounds[1])
        }
        _ => Err(Decline::new(format!("it calls `.{name}()` of an array in a way not known"))),
    }
}

fn cast(array: &Term, element: &Value) -> Result<Term, Decline> {
    let element = match element {
        Value::Builtin(Builtin::Bool) => Some(Element::Bool),
        Value::Builtin(Builtin::Int) => Some(Element::Int64),
        Value::Builtin(Builtin::Float) => Some(Element::Float64),
        Value::Builtin(Builtin::Element(element)) => Some(*element),
        other => match other.as_constant() {
            Some(Constant::Str(text)) => Element::from_text(text),
            _ => None,
        },
    };
    let element = element
        .ok_or_else(|| Decline::new("it calls `.astype()` with a type that is not known"))?;
    if !is_number(array) && array.kind != Kind::Narrow {
        return Err(Decline::new(format!("it calls `.astype()` of {}", array.kind.name())));
    }
    let kind = match element {
        Element::Bool => Kind::Bool,
        Element::Int64 => Kind::Int,
        Element::Float64 => Kind::Float,
        _ => Kind::Narrow,
    };
    if kind == array.kind && kind != Kind::Narrow {
        return Ok(array.clone());
    }
    of(Operation::Cast(element), kind, [array])
}

/// The type that holds the elements of both; `None` when the compiler does not know it.
fn common(left: &Term, right: &Term) -> Option<Kind> {
    if !is_number(left) || !is_number(right) {
        return None;
    }
    Some(match (left.kind, right.kind) {
        (Kind::Bool, Kind::Bool) => Kind::Bool,
        (Kind::Float, _) | (_, Kind::Float) => Kind::Float,
        _ => Kind::Int,
    })
}

fn choose(condition: &Term, then: &Term, otherwise: &Term) -> Result<Term, Decline> {
    let kind = common(then, otherwise).filter(|_| condition.array && condition.kind == Kind::Bool);
    let kind = kind.ok_or_else(|| {
        Decline::new(format!(
            "it calls `np.where({}, {}, {})`",
            condition.kind.name(),
            then.kind.name(),
            otherwise.kind.name()
        ))
    })?;
    let exprs = vec![condition.expr.clone(), then.cast_to(kind), otherwise.cast_to(kind)];
    let expr = Operation::Numpy(Numpy::Where).call(exprs);
    Term::computed(expr, kind, &[condition, then, otherwise])
}

fn extreme(function: Numpy, left: &Term, right: &Term) -> Result<Term, Decline> {
    match common(left, right) {
        Some(kind @ (Kind::Int | Kind::Float)) => {
            apply(Operation::Numpy(function), kind, (left, right), kind)
        }
        _ => Err(Decline::new(format!(
            "it calls `{}({}, {})`",
            Builtin::Numpy(function).name(),
            left.kind.name(),
            right.kind.name()
        ))),
    }
}

/// `np.clip(array, low, high)`, which is `minimum(maximum(array, low), high)`.
fn clip(array: &Term, low: &Term, high: &Term) -> Result<Term, Decline> {
    let is_none = |bound: &Term| bound.kind == Kind::Null;
    if array.kind == Kind::Bool || !array.array || (is_none(low) && is_none(high)) {
        return Err(Decline::new(format!("it clips {}", array.kind.name())));
    }
    let mut clipped = array.clone();
    if !is_none(low) {
        clipped = extreme(Numpy::Maximum, &clipped, low)?;
    }
    if !is_none(high) {
        clipped = extreme(Numpy::Minimum, &clipped, high)?;
    }
    Ok(clipped)
}
