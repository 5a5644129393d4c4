//! Expressions with Ray Data's meaning.
//!
//! Bare operators of [`Expr`] mean SQL. Where Ray Data means something else (IEEE comparison of
//! floats, `//` and `%`, `+` on strings, rounding to even), the expression calls a function whose
//! name starts with `ray_`. Those functions turn into bare operators as soon as the types of
//! their arguments show that both mean the same, so that scans can be pruned by them.

mod cast;
mod embedding;
mod function;
mod json;
mod kernel;
mod list;
mod named;
mod nested;
mod text;
mod time;
mod url;

#[cfg(test)]
mod tests;

use arrow::datatypes::{DataType, Schema};
use datafusion_common::Column;
pub use datafusion_common::ScalarValue;
use datafusion_expr::expr::{BinaryExpr, Case};
use datafusion_expr::{Expr, Operator, lit, not};
use raceline_types::{Diagnostic, ErrorKind, nearest_names};
use thiserror::Error;

pub use self::cast::cast;
use self::function::{Operation, RayFunction};
pub use self::named::{FunctionError, Parameter, named};

/// An operator that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no operator `{name}` for {arguments} argument(s)")]
pub struct UnknownOperator {
    /// The name asked for.
    pub name: String,
    /// How many arguments it was to have.
    pub arguments: usize,
}

impl Diagnostic for UnknownOperator {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Plan
    }

    fn hint(&self) -> Option<String> {
        let known = Operation::ALL.iter().map(|operation| operation.symbol());
        let nearest = nearest_names(&self.name, known);
        nearest.first().map(|best| format!("did you mean `{best}`?"))
    }
}

/// The column called `name`, letter for letter.
#[must_use]
pub fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// A constant.
#[must_use]
pub fn literal(value: ScalarValue) -> Expr {
    lit(value)
}

/// `left op right`. A null on either side gives null, except for `&` and `|` (Kleene).
///
/// * `+`: adds, or joins two strings; `-`, `*`. Integers wrap.
/// * `/`: integers truncate, an integer divided by zero is an error; floats as IEEE has it.
/// * `//`: integers truncate, to int64; otherwise the floor of `/`, as float64.
/// * `%`: `a - b * (a // b)`.
/// * `**`: integers wrap and refuse negative exponents; otherwise float64.
/// * `==`, `!=`, `<`, `<=`, `>`, `>=`: floats as IEEE has it (NaN is unequal to everything).
/// * `&`, `|`.
///
/// # Errors
/// [`UnknownOperator`]. Types are checked when the columns are known.
pub fn binary(op: &str, left: Expr, right: Expr) -> Result<Expr, UnknownOperator> {
    let bare = match op {
        "-" => Operator::Minus,
        "*" => Operator::Multiply,
        "/" => Operator::Divide,
        "&" => Operator::And,
        "|" => Operator::Or,
        _ => return call(op, vec![left, right]),
    };
    Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), bare, Box::new(right))))
}

/// `op` of one value; null gives null, except for `is_null` and `is_not_null`.
///
/// * `~`, `is_null`, `is_not_null`, `is_nan`.
/// * `negate`, `abs` (integers wrap), `sign` (int8 of integers).
/// * `ceil`, `floor`, `trunc`, `round` (half to even): integers stay as they are.
/// * `ln`, `log10`, `log2`, `exp`, `sin`, `cos`, `tan`, `asin`, `acos`, `atan`: float64, NaN where
///   they are not defined.
///
/// Arithmetic gives int64 for integers and float64 for floats.
///
/// # Errors
/// [`UnknownOperator`]. Types are checked when the column is known.
pub fn unary(op: &str, value: Expr) -> Result<Expr, UnknownOperator> {
    match op {
        "~" => Ok(not(value)),
        "is_null" => Ok(value.is_null()),
        "is_not_null" => Ok(value.is_not_null()),
        _ => call(op, vec![value]),
    }
}

/// The value of the first of `pairs` whose condition is true; `rest` when there is none, or null.
#[must_use]
pub fn case(pairs: Vec<(Expr, Expr)>, rest: Option<Expr>) -> Expr {
    let boxed = |(when, then)| (Box::new(when), Box::new(then));
    let pairs = pairs.into_iter().map(boxed).collect();
    Expr::Case(Case::new(None, pairs, rest.map(Box::new)))
}

/// Whether `value` is one of `list` (`negated`: none of it). Null is in a list only when the list
/// has null; the result is never null.
#[must_use]
pub fn is_in(value: Expr, list: Vec<ScalarValue>, negated: bool) -> Expr {
    let has_null = list.iter().any(ScalarValue::is_null);
    let list: Vec<Expr> = list.into_iter().filter(|one| !one.is_null()).map(lit).collect();
    let found = if list.is_empty() { lit(false) } else { value.clone().in_list(list, false) };
    let found = if has_null { value.is_null().or(found) } else { value.is_not_null().and(found) };
    if negated { not(found) } else { found }
}

/// `predicate` with bare comparisons in place of Ray's wherever that keeps every row that
/// `predicate` keeps: an over-approximation that statistics can be checked against, whatever the
/// types of the columns. Comparisons of floats with zero are left as they are: statistics tell
/// -0.0 from 0.0.
#[must_use]
pub fn relaxed(predicate: &Expr, schema: &Schema) -> Expr {
    match predicate {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, right) = (Box::new(relaxed(left, schema)), Box::new(relaxed(right, schema)));
            Expr::BinaryExpr(BinaryExpr::new(left, *op, right))
        }
        Expr::ScalarFunction(call) => {
            let operation = RayFunction::operation_of(&call.func);
            match (operation.and_then(Operation::relaxed), call.args.as_slice()) {
                (Some(op), [left, right]) if !compares_with_zero(&call.args, schema) => {
                    let (left, right) = (Box::new(left.clone()), Box::new(right.clone()));
                    Expr::BinaryExpr(BinaryExpr::new(left, op, right))
                }
                _ => predicate.clone(),
            }
        }
        _ => predicate.clone(),
    }
}

/// Whether one of `arguments` is the literal zero and any of them a float.
fn compares_with_zero(arguments: &[Expr], schema: &Schema) -> bool {
    let literal = |expr: &Expr| match expr {
        Expr::Literal(value, _) => value.cast_to(&DataType::Float64).ok(),
        _ => None,
    };
    let is_zero = |value| matches!(value, ScalarValue::Float64(Some(number)) if number == 0.0);
    let is_float = |expr: &Expr| match expr {
        Expr::Literal(value, _) => value.data_type().is_floating(),
        expr => expr.column_refs().iter().any(|column| {
            schema.field_with_name(&column.name).is_ok_and(|field| field.data_type().is_floating())
        }),
    };
    arguments.iter().filter_map(literal).any(is_zero) && arguments.iter().any(is_float)
}

fn call(op: &str, arguments: Vec<Expr>) -> Result<Expr, UnknownOperator> {
    let found = Operation::ALL
        .iter()
        .find(|operation| operation.symbol() == op && operation.arguments() == arguments.len());
    match found {
        Some(operation) => Ok(RayFunction::udf(*operation).call(arguments)),
        None => Err(UnknownOperator { name: op.to_owned(), arguments: arguments.len() }),
    }
}
