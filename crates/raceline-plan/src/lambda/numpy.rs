//! NumPy's operators on arrays of bool, int64 and float64, with each other and with Python
//! scalars. The element types follow NumPy 2; NumPy 1.26 agrees on these.

use datafusion_expr::Expr;

use super::array;
use super::builtin::Numpy;
use super::decline::Decline;
use super::function::Operation;
use super::program::{BinaryOp, CompareOp, Constant, UnaryOp};
use super::python::{apply, is_number, symbol, unsupported};
use super::term::{Kind, Term};

/// `left op right`, of which at least one is an array; `int_roots` as in a program.
///
/// # Errors
/// When the types raise in NumPy or are not known to the compiler.
pub(super) fn binary(
    op: BinaryOp,
    left: &Term,
    right: &Term,
    int_roots: bool,
) -> Result<Term, Decline> {
    let logical = matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor);
    let booleans = left.kind == Kind::Bool && right.kind == Kind::Bool;
    let operands = (left, right);
    if booleans && logical {
        return apply(Operation::Logic(op), Kind::Bool, operands, Kind::Bool);
    }
    if booleans || !is_number(left) || !is_number(right) {
        return Err(unsupported(symbol(op), left, right));
    }
    if op == BinaryOp::Power {
        return power(left, right, int_roots);
    }
    if left.is_integral() && right.is_integral() && op != BinaryOp::Divide {
        return apply(Operation::NpInt(op), Kind::Int, operands, Kind::Int);
    }
    if logical {
        return Err(unsupported(symbol(op), left, right));
    }
    apply(Operation::NpFloat(op), Kind::Float, operands, Kind::Float)
}

/// Powers that NumPy computes by multiplication, or as square roots.
fn power(left: &Term, right: &Term, int_roots: bool) -> Result<Term, Decline> {
    let squared = matches!(right.constant, Some(Constant::Int(2)))
        || right.constant == Some(Constant::Float(2.0));
    let rooted = right.constant == Some(Constant::Float(0.5))
        && (left.kind == Kind::Float || (left.kind == Kind::Int && int_roots));
    match (left.kind, &right.constant) {
        (Kind::Int, Some(Constant::Int(0..))) => {
            apply(Operation::NpInt(BinaryOp::Power), Kind::Int, (left, right), Kind::Int)
        }
        (Kind::Float, _) if squared => {
            apply(Operation::NpFloat(BinaryOp::Multiply), Kind::Float, (left, left), Kind::Float)
        }
        _ if rooted => array::call(Numpy::Sqrt, std::slice::from_ref(left)),
        _ => Err(unsupported("**", left, right)),
    }
}

/// `op operand` of an array.
///
/// # Errors
/// As [`binary`].
pub(super) fn unary(op: UnaryOp, operand: &Term) -> Result<Term, Decline> {
    let expr = |operation: Operation| operation.call(vec![operand.expr.clone()]);
    let expr = match (op, operand.kind) {
        (UnaryOp::Positive, Kind::Int | Kind::Float) => return Ok(operand.clone()),
        (UnaryOp::Negative, Kind::Int) => expr(Operation::NpNegate),
        (UnaryOp::Negative, Kind::Float) => expr(Operation::NegateFloat),
        (UnaryOp::Invert, Kind::Int) => expr(Operation::Invert),
        (UnaryOp::Invert, Kind::Bool) => Expr::Not(Box::new(operand.expr.clone())),
        _ => {
            return Err(Decline::new(format!(
                "it applies `{op:?}` to an array of {}",
                operand.kind.name()
            )));
        }
    };
    Term::computed(expr, operand.kind, &[operand])
}

/// `array[index]` where the index is an array of truths.
///
/// # Errors
/// When it is something else, or of other rows.
pub(super) fn select(array: &Term, index: &Term) -> Result<Term, Decline> {
    if !index.array || index.kind != Kind::Bool {
        return Err(Decline::new("it takes items of an array by other than an array of bool"));
    }
    array.selected(index)
}

/// `left op right`, of which at least one is an array. NumPy compares ints with floats as
/// floats.
///
/// # Errors
/// As [`binary`].
pub(super) fn compare(op: CompareOp, left: &Term, right: &Term) -> Result<Term, Decline> {
    if left.is_integral() && right.is_integral() {
        return apply(Operation::CompareInt(op), Kind::Bool, (left, right), Kind::Int);
    }
    if is_number(left) && is_number(right) {
        return apply(Operation::CompareFloat(op), Kind::Bool, (left, right), Kind::Float);
    }
    Err(Decline::new(format!(
        "it compares an array of {} with {}",
        left.kind.name(),
        right.kind.name()
    )))
}
