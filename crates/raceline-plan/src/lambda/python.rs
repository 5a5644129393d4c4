//! Python's operators on scalars, by the types of their operands.

use datafusion_expr::Expr;

use super::decline::Decline;
use super::function::Operation;
use super::program::{BinaryOp, CompareOp, Constant, UnaryOp};
use super::term::{Kind, Term};

/// `left op right`.
///
/// # Errors
/// When the types raise in Python or are not known to the compiler.
pub(super) fn binary(op: BinaryOp, left: &Term, right: &Term) -> Result<Term, Decline> {
    let both = |kind: Kind| left.kind == kind && right.kind == kind;
    let logical = matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor);
    if both(Kind::Str) && op == BinaryOp::Add {
        return call(Operation::Concat, Kind::Str, [left, right]);
    }
    if both(Kind::Bool) && logical {
        return call(Operation::Logic(op), Kind::Bool, [left, right]);
    }
    if left.is_integral() && right.is_integral() {
        return integers(op, left, right);
    }
    if is_number(left) && is_number(right) && !logical {
        return apply(Operation::PyFloat(op), Kind::Float, (left, right), Kind::Float);
    }
    Err(unsupported(symbol(op), left, right))
}

fn integers(op: BinaryOp, left: &Term, right: &Term) -> Result<Term, Decline> {
    match op {
        BinaryOp::Divide => {
            let exact = |term: &Term| Operation::ExactFloat.call(vec![term.cast_to(Kind::Int)]);
            let quotient = Operation::PyFloat(op).call(vec![exact(left), exact(right)]);
            Term::computed(quotient, Kind::Float, &[left, right])
        }
        BinaryOp::Power if matches!(right.constant, Some(Constant::Int(i64::MIN..0))) => {
            Err(Decline::new("it raises an int to a negative power"))
        }
        _ => apply(Operation::PyInt(op), Kind::Int, (left, right), Kind::Int),
    }
}

/// `op operand`.
///
/// # Errors
/// As [`binary`].
pub(super) fn unary(op: UnaryOp, operand: &Term) -> Result<Term, Decline> {
    let operation = match (op, operand.kind) {
        (UnaryOp::Not, _) => return negate_truth(operand),
        (UnaryOp::Positive, Kind::Int | Kind::Float) if !operand.nullable => {
            return Ok(operand.clone());
        }
        // A null operand raises: `x | x` finds it and is `x`.
        (UnaryOp::Positive, Kind::Bool | Kind::Int) => {
            let either = Operation::PyInt(BinaryOp::Or);
            return apply(either, Kind::Int, (operand, operand), Kind::Int);
        }
        (UnaryOp::Negative, Kind::Bool | Kind::Int) => Operation::PyNegate,
        // Of a bool it warns since Python 3.12.
        (UnaryOp::Invert, Kind::Int) => Operation::Invert,
        (UnaryOp::Negative, Kind::Float) => {
            return call(Operation::NegateFloat, Kind::Float, [operand]);
        }
        _ => return Err(Decline::new(format!("it applies `{op:?}` to {}", operand.kind.name()))),
    };
    let expr = operation.call(vec![operand.cast_to(Kind::Int)]);
    Term::computed(expr, Kind::Int, &[operand])
}

fn negate_truth(operand: &Term) -> Result<Term, Decline> {
    let truth = truth(operand)?;
    if let Some(Constant::Bool(value)) = truth.constant {
        return Ok(Term::truth(!value));
    }
    Term::computed(Expr::Not(Box::new(truth.expr.clone())), Kind::Bool, &[&truth])
}

/// `bool(operand)`.
///
/// # Errors
/// When the operand is an array.
pub(super) fn truth(operand: &Term) -> Result<Term, Decline> {
    if operand.array || operand.kind == Kind::Opaque {
        return Err(Decline::new("it takes an array as a condition"));
    }
    match &operand.constant {
        Some(Constant::None) => return Ok(Term::truth(false)),
        Some(Constant::Bool(value)) => return Ok(Term::truth(*value)),
        Some(Constant::Int(value)) => return Ok(Term::truth(*value != 0)),
        Some(Constant::Float(value)) => return Ok(Term::truth(*value != 0.0)),
        Some(Constant::Str(value)) => return Ok(Term::truth(!value.is_empty())),
        Some(Constant::Tuple(_)) | None => {}
    }
    match operand.kind {
        Kind::Null => Ok(Term::truth(false)),
        Kind::Bool if !operand.nullable => Ok(operand.clone()),
        _ => call(Operation::Truth, Kind::Bool, [operand]),
    }
}

/// `left op right`.
///
/// # Errors
/// As [`binary`].
pub(super) fn compare(op: CompareOp, left: &Term, right: &Term) -> Result<Term, Decline> {
    if left.kind == Kind::Str && right.kind == Kind::Str {
        return call(Operation::CompareStr(op), Kind::Bool, [left, right]);
    }
    if left.is_integral() && right.is_integral() {
        return apply(Operation::CompareInt(op), Kind::Bool, (left, right), Kind::Int);
    }
    if is_number(left) && is_number(right) {
        // Python compares an int with a float exactly.
        let exact = |term: &Term| match term.kind {
            Kind::Float => term.expr.clone(),
            _ => Operation::ExactFloat.call(vec![term.cast_to(Kind::Int)]),
        };
        let expr = Operation::CompareFloat(op).call(vec![exact(left), exact(right)]);
        return Term::computed(expr, Kind::Bool, &[left, right]);
    }
    Err(Decline::new(format!("it compares {} with {}", left.kind.name(), right.kind.name())))
}

/// `operand is None`.
///
/// # Errors
/// When the expression grows out of bounds.
pub(super) fn is_none(operand: &Term) -> Result<Term, Decline> {
    if operand.kind == Kind::Null {
        return Ok(Term::truth(true));
    }
    if !operand.nullable {
        return Ok(Term::truth(false));
    }
    Term::computed(Expr::IsNull(Box::new(operand.expr.clone())), Kind::Bool, &[operand])
}

/// `item in container` of two strings.
///
/// # Errors
/// As [`binary`].
pub(super) fn contains(container: &Term, item: &Term) -> Result<Term, Decline> {
    if container.kind == Kind::Str && item.kind == Kind::Str {
        return call(Operation::Contains, Kind::Bool, [container, item]);
    }
    Err(unsupported("in", item, container))
}

/// `item in (choice, …)` of constants.
///
/// # Errors
/// As [`binary`]; and when a choice is not a constant, or is NaN: Python takes one object for
/// equal to itself, which a NaN is not.
pub(super) fn is_among(item: &Term, choices: &[Term]) -> Result<Term, Decline> {
    let mut found = None;
    for choice in choices {
        match &choice.constant {
            Some(Constant::Float(value)) if value.is_nan() => {
                return Err(Decline::new("it looks for NaN in a tuple"));
            }
            Some(_) => {}
            None => return Err(Decline::new("it looks in a tuple of computed values")),
        }
        let equal = compare(CompareOp::Equal, item, choice)?;
        found = Some(match found {
            None => equal,
            Some(found) => call(Operation::Logic(BinaryOp::Or), Kind::Bool, [&found, &equal])?,
        });
    }
    found.ok_or_else(|| Decline::new("it looks in an empty tuple"))
}

/// Whether the value is a number of Python: bool, int or float.
pub(super) fn is_number(term: &Term) -> bool {
    term.is_integral() || term.kind == Kind::Float
}

/// The decline of an operator on these types.
pub(super) fn unsupported(operator: &str, left: &Term, right: &Term) -> Decline {
    let shape = |term: &Term| if term.array { "array of " } else { "" };
    Decline::new(format!(
        "it computes `{}{} {operator} {}{}`",
        shape(left),
        left.kind.name(),
        shape(right),
        right.kind.name()
    ))
}

/// How Python spells an operator.
pub(super) fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::FloorDivide => "//",
        BinaryOp::Modulo => "%",
        BinaryOp::Power => "**",
        BinaryOp::And => "&",
        BinaryOp::Or => "|",
        BinaryOp::Xor => "^",
    }
}

/// Applies `operation` to operands that have its types.
fn call<const N: usize>(
    operation: Operation,
    kind: Kind,
    operands: [&Term; N],
) -> Result<Term, Decline> {
    let expr = operation.call(operands.iter().map(|term| term.expr.clone()).collect());
    Term::computed(expr, kind, &operands)
}

/// Applies `operation` to two operands that are first cast to `operand_kind`.
pub(super) fn apply(
    operation: Operation,
    kind: Kind,
    (left, right): (&Term, &Term),
    operand_kind: Kind,
) -> Result<Term, Decline> {
    let expr = operation.call(vec![left.cast_to(operand_kind), right.cast_to(operand_kind)]);
    Term::computed(expr, kind, &[left, right])
}
