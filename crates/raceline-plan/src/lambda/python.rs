//! Python's operators on scalars, by the types of their operands.

use datafusion_common::ScalarValue;
use datafusion_expr::{Expr, lit};

use super::decline::Decline;
use super::function::Operation;
use super::program::{BinaryOp, CompareOp, Constant, UnaryOp};
use super::term::{Kind, Term};

/// Constants that `in` looks through at most.
const CHOICES_MAX: usize = 1_000;

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
        Some(Constant::Tuple(_) | Constant::Set(_)) | None => {}
    }
    match operand.kind {
        Kind::Null => Ok(Term::truth(false)),
        Kind::Bool if !operand.nullable => Ok(operand.clone()),
        Kind::Date | Kind::DateTime if !operand.nullable => Ok(Term::truth(true)),
        Kind::Date | Kind::DateTime => {
            let present = Expr::IsNotNull(Box::new(operand.expr.clone()));
            Term::computed(present, Kind::Bool, &[operand])
        }
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
    if left.kind == right.kind && matches!(left.kind, Kind::Date | Kind::DateTime) {
        return apply(Operation::CompareInt(op), Kind::Bool, (left, right), Kind::Int);
    }
    if let (CompareOp::Equal | CompareOp::NotEqual, Some(equal)) = (op, unlike(left, right)?) {
        return if op == CompareOp::Equal { Ok(equal) } else { negate_truth(&equal) };
    }
    Err(Decline::new(format!("it compares {} with {}", left.kind.name(), right.kind.name())))
}

/// Whether values of types that have no value in common are equal: only when both are None.
/// `None` when they may be of one type.
fn unlike(left: &Term, right: &Term) -> Result<Option<Term>, Decline> {
    Ok(match (left.kind, right.kind) {
        (Kind::Null, _) => Some(is_none(right)?),
        (_, Kind::Null) => Some(is_none(left)?),
        (Kind::Strings, _) | (_, Kind::Strings) => None,
        _ if left.nullable && right.nullable => None,
        _ => Some(Term::truth(false)),
    })
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

/// `item in container` of two strings, or of a string and a list of strings.
///
/// # Errors
/// As [`binary`].
pub(super) fn contains(container: &Term, item: &Term) -> Result<Term, Decline> {
    if matches!(container.kind, Kind::Str | Kind::Strings) && item.kind == Kind::Str {
        return call(Operation::Contains, Kind::Bool, [container, item]);
    }
    Err(unsupported("in", item, container))
}

/// `item in (choice, …)`.
///
/// # Errors
/// As [`binary`]; and when a choice is NaN, or may be: Python takes one object for equal to
/// itself, which a NaN is not.
pub(super) fn is_among(item: &Term, choices: &[Term]) -> Result<Term, Decline> {
    if item.array || choices.iter().any(|choice| choice.array) {
        return Err(Decline::new("it looks for an array in a tuple"));
    }
    let constants: Option<Vec<&Constant>> =
        choices.iter().map(|choice| choice.constant.as_ref()).collect();
    let Some(constants) = constants else {
        return Err(Decline::new("it looks in a tuple of computed values"));
    };
    if constants.len() > CHOICES_MAX {
        return Err(Decline::new(format!("it looks in more than {CHOICES_MAX} values")));
    }
    if constants.iter().any(|choice| matches!(choice, Constant::Float(value) if value.is_nan())) {
        return Err(Decline::new("it looks for NaN in a tuple"));
    }
    let mut none = constants.contains(&&Constant::None);
    let kind = match item.kind {
        Kind::Null => return Ok(Term::truth(none)),
        Kind::Bool | Kind::Int => Kind::Int,
        Kind::Float | Kind::Str => item.kind,
        _ => return Err(Decline::new(format!("it looks for {} in a tuple", item.kind.name()))),
    };
    none &= item.nullable;
    let mut arguments = vec![item.cast_to(kind)];
    arguments.extend(constants.into_iter().filter_map(|choice| choice_as(kind, choice)));
    if none {
        arguments.push(lit(ScalarValue::try_from(kind.data_type()).unwrap_or(ScalarValue::Null)));
    }
    if arguments.len() == 1 {
        return Ok(Term::truth(false));
    }
    Term::computed(Operation::IsAmong.call(arguments), Kind::Bool, &[item])
}

/// The value of this kind that equals a constant; `None` when there is none.
#[expect(clippy::cast_precision_loss, reason = "only floats that are equal to the int are taken")]
#[expect(clippy::cast_possible_truncation, reason = "only ints that are equal to the float are")]
fn choice_as(kind: Kind, choice: &Constant) -> Option<Expr> {
    let equal = |int: i64, float: f64| float.fract() == 0.0 && float as i128 == i128::from(int);
    match (kind, choice) {
        (Kind::Int, Constant::Bool(value)) => Some(lit(i64::from(*value))),
        (Kind::Int, Constant::Int(value)) => Some(lit(*value)),
        (Kind::Int, Constant::Float(value)) => {
            let int = *value as i64;
            equal(int, *value).then(|| lit(int))
        }
        (Kind::Float, Constant::Bool(value)) => Some(lit(f64::from(u8::from(*value)))),
        (Kind::Float, Constant::Int(value)) => {
            let float = *value as f64;
            equal(*value, float).then(|| lit(float))
        }
        (Kind::Float, Constant::Float(value)) => Some(lit(*value)),
        (Kind::Str, Constant::Str(value)) => Some(lit(value.as_str())),
        _ => None,
    }
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
pub(super) fn call<const N: usize>(
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
