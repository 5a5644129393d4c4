//! Methods, slices and items of strings.

use datafusion_common::ScalarValue;
use datafusion_expr::{Expr, lit};

use super::decline::Decline;
use super::function::{Operation, Text};
use super::program::{BinaryOp, Constant};
use super::python::call;
use super::term::{Kind, Term};
use super::value::Value;

/// `text.name(arguments)`; `None` when the compiler does not know it.
///
/// # Errors
/// When an argument is not a value, or the expression grows out of bounds.
pub(super) fn method(
    text: &Term,
    name: &str,
    mut arguments: Vec<Value>,
) -> Result<Option<Term>, Decline> {
    let affix = match name {
        "startswith" => Some(Text::StartsWith),
        "endswith" => Some(Text::EndsWith),
        _ => None,
    };
    if let (Some(affix), [Value::Sequence(choices)]) = (affix, arguments.as_slice()) {
        let choices = if choices.is_list { Vec::new() } else { choices.items.clone() };
        return any_affix(text, affix, choices);
    }
    if name == "join" {
        let Some(Value::Sequence(parts)) = arguments.pop() else { return Ok(None) };
        let parts = parts.items.into_iter().map(Value::into_term).collect::<Result<Vec<_>, _>>()?;
        return join(text, &parts).map(Some);
    }
    // `strip(None)` and `split(None)` are those without argument.
    if arguments.len() == 1
        && arguments[0].is_none()
        && (name.ends_with("strip") || name == "split")
    {
        arguments.clear();
    }
    let arguments = arguments.into_iter().map(Value::into_term).collect::<Result<Vec<_>, _>>()?;
    let kinds: Vec<Kind> = arguments.iter().map(|argument| argument.kind).collect();
    let (operation, kind) = match (name, kinds.as_slice()) {
        ("lower", []) => (Text::Lower, Kind::Str),
        ("upper", []) => (Text::Upper, Kind::Str),
        ("strip", [] | [Kind::Str]) => (Text::Strip, Kind::Str),
        ("lstrip", [] | [Kind::Str]) => (Text::LeftStrip, Kind::Str),
        ("rstrip", [] | [Kind::Str]) => (Text::RightStrip, Kind::Str),
        ("replace", [Kind::Str, Kind::Str] | [Kind::Str, Kind::Str, Kind::Bool | Kind::Int]) => {
            (Text::Replace, Kind::Str)
        }
        ("startswith", [Kind::Str]) => (Text::StartsWith, Kind::Bool),
        ("endswith", [Kind::Str]) => (Text::EndsWith, Kind::Bool),
        ("removeprefix", [Kind::Str]) => (Text::RemovePrefix, Kind::Str),
        ("removesuffix", [Kind::Str]) => (Text::RemoveSuffix, Kind::Str),
        ("split", [] | [Kind::Str] | [Kind::Str, Kind::Bool | Kind::Int]) => {
            (Text::Split, Kind::Strings)
        }
        ("find", [Kind::Str]) => (Text::Find, Kind::Int),
        ("count", [Kind::Str]) => (Text::Count, Kind::Int),
        _ => return Ok(None),
    };
    let mut terms = vec![text];
    terms.extend(&arguments);
    apply(operation, kind, &terms).map(Some)
}

/// Whether the text has one of a tuple of affixes.
fn any_affix(text: &Term, affix: Text, choices: Vec<Value>) -> Result<Option<Term>, Decline> {
    let mut found: Option<Term> = None;
    for choice in choices {
        let choice = choice.into_term()?;
        if choice.kind != Kind::Str {
            return Ok(None);
        }
        let has = apply(affix, Kind::Bool, &[text, &choice])?;
        found = Some(match found {
            None => has,
            Some(found) => call(Operation::Logic(BinaryOp::Or), Kind::Bool, [&found, &has])?,
        });
    }
    Ok(found)
}

/// `separator.join(parts)`.
///
/// # Errors
/// When a part is no string, or the expression grows out of bounds.
pub(super) fn join(separator: &Term, parts: &[Term]) -> Result<Term, Decline> {
    let glue = separator.constant != Some(Constant::Str(String::new()));
    let mut joined: Option<Term> = None;
    for part in parts {
        if part.kind != Kind::Str || separator.kind != Kind::Str {
            return Err(Decline::new(format!(
                "it joins {} as if it were a string",
                part.kind.name()
            )));
        }
        joined = Some(match joined {
            None => call(Operation::NotNone, Kind::Str, [part])?,
            Some(mut before) => {
                if glue {
                    before = call(Operation::Concat, Kind::Str, [&before, separator])?;
                }
                call(Operation::Concat, Kind::Str, [&before, part])?
            }
        });
    }
    joined.ok_or_else(|| Decline::new("it joins nothing"))
}

/// `text[index]` of a string or a list of strings.
///
/// # Errors
/// When the types raise in Python or are not known to the compiler.
pub(super) fn item(text: &Term, index: &Term) -> Result<Term, Decline> {
    if !matches!(text.kind, Kind::Str | Kind::Strings) || !index.is_integral() {
        return Err(Decline::new(format!(
            "it takes an item of {} by {}",
            text.kind.name(),
            index.kind.name()
        )));
    }
    let index_expr = index.cast_to(Kind::Int);
    let expr = Operation::Text(Text::Item).call(vec![text.expr.clone(), index_expr]);
    Term::computed(expr, Kind::Str, &[text, index])
}

/// `text[start:stop:step]`.
///
/// # Errors
/// When the types raise in Python or are not known to the compiler.
pub(super) fn slice(text: &Term, bounds: &[Term]) -> Result<Term, Decline> {
    if text.kind != Kind::Str || text.array {
        let of = if text.array { "an array" } else { text.kind.name() };
        return Err(Decline::new(format!("it takes a slice of {of}")));
    }
    let mut exprs = vec![text.expr.clone()];
    for bound in bounds {
        exprs.push(match bound.kind {
            Kind::Null => lit(ScalarValue::Int64(None)),
            Kind::Bool | Kind::Int => bound.cast_to(Kind::Int),
            _ => return Err(Decline::new(format!("it slices by {}", bound.kind.name()))),
        });
    }
    let operands: Vec<&Term> = std::iter::once(text).chain(bounds).collect();
    Term::computed(Operation::Text(Text::Slice).call(exprs), Kind::Str, &operands)
}

/// Applies an operation to a string and its arguments.
pub(super) fn apply(operation: Text, kind: Kind, terms: &[&Term]) -> Result<Term, Decline> {
    let exprs: Vec<Expr> = terms
        .iter()
        .map(
            |term| {
                if term.kind == Kind::Bool { term.cast_to(Kind::Int) } else { term.expr.clone() }
            },
        )
        .collect();
    Term::computed(Operation::Text(operation).call(exprs), kind, terms)
}
