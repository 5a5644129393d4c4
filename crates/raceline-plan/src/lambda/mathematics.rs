//! The module `math` on scalars. Functions that the C library rounds are called in the same
//! library that Python calls. Not compiled are those that Python computes itself, as `hypot` and
//! `gamma`, and `cbrt`, of which Rust brings its own.

use super::builtin::{Builtin, Math};
use super::decline::Decline;
use super::function::Operation;
use super::program::BinaryOp;
use super::term::{Kind, Term};

/// `math.function(operands)`.
///
/// # Errors
/// When the types raise in Python or are not known to the compiler.
pub(super) fn call(function: Math, operands: &[Term]) -> Result<Term, Decline> {
    let real = |term: &Term| term.is_integral() || term.kind == Kind::Float;
    let name = Builtin::Math(function).name();
    if let Some(operand) = operands.iter().find(|operand| !real(operand)) {
        return Err(Decline::new(format!("it calls `{name}` of {}", operand.kind.name())));
    }
    match (function, operands) {
        (Math::Gcd, [left, right]) if left.is_integral() && right.is_integral() => {
            apply(function, Kind::Int, Kind::Int, operands)
        }
        (Math::Ceil | Math::Floor | Math::Trunc, [operand]) if operand.is_integral() => {
            let either = Operation::PyInt(BinaryOp::Or);
            super::python::apply(either, Kind::Int, (operand, operand), Kind::Int)
        }
        (Math::Ceil | Math::Floor | Math::Trunc, [_]) => {
            apply(function, Kind::Int, Kind::Float, operands)
        }
        (Math::Isfinite | Math::Isinf | Math::Isnan, [_]) => {
            apply(function, Kind::Bool, Kind::Float, operands)
        }
        (Math::Log, [operand, base]) => {
            let logarithm = |term: &Term| {
                apply(Math::Log, Kind::Float, Kind::Float, std::slice::from_ref(term))
            };
            let (operand, base) = (logarithm(operand)?, logarithm(base)?);
            let divide = Operation::PyFloat(BinaryOp::Divide);
            super::python::apply(divide, Kind::Float, (&operand, &base), Kind::Float)
        }
        (_, [_]) if !takes_two(function) => apply(function, Kind::Float, Kind::Float, operands),
        (_, [_, _]) if takes_two(function) && function != Math::Gcd => {
            apply(function, Kind::Float, Kind::Float, operands)
        }
        _ => Err(Decline::new(format!("it calls `{name}` with arguments that are not known"))),
    }
}

fn takes_two(function: Math) -> bool {
    matches!(function, Math::Gcd | Math::Atan2 | Math::Copysign | Math::Fmod | Math::Pow)
}

fn apply(function: Math, kind: Kind, operand: Kind, operands: &[Term]) -> Result<Term, Decline> {
    let exprs = operands.iter().map(|term| term.cast_to(operand)).collect();
    let terms: Vec<&Term> = operands.iter().collect();
    Term::computed(Operation::Math(function).call(exprs), kind, &terms)
}
