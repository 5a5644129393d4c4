//! Calls: of the user's functions, which are followed, and of those that the compiler knows.

use super::builtin::Builtin;
use super::decline::Decline;
use super::frame::Frame;
use super::program::{Constant, Function};
use super::term::{Kind, Term};
use super::value::{Sequence, Value, malformed};
use super::{array, calendar, convert, mathematics, python, text};

/// `receiver.name`: a value when the compiler knows the attribute, else what may be called next.
pub(super) fn attribute(frame: &mut Frame, receiver: Value, name: &str) -> Result<Value, Decline> {
    if let Value::Term(term) = &receiver
        && let Some(part) = calendar::attribute(term, name)?
    {
        frame.evaluated.push(part.expr.clone());
        return Ok(Value::Term(part));
    }
    Ok(Value::Method(Box::new(receiver), name.to_owned()))
}

/// Calls what lies below `count` arguments, of which the last ones have `keywords`.
pub(super) fn call(
    frame: &mut Frame,
    functions: &[Function],
    count: usize,
    keywords: &[String],
) -> Result<(), Decline> {
    let first = frame.stack.len().checked_sub(count).ok_or_else(malformed)?;
    let mut positional = frame.stack.split_off(first);
    positional.iter().try_for_each(Value::check_kept)?;
    let unnamed = count.checked_sub(keywords.len()).ok_or_else(malformed)?;
    let named: Vec<(String, Value)> =
        keywords.iter().cloned().zip(positional.split_off(unnamed)).collect();
    match frame.pop()? {
        Value::Function(index) => {
            let function = functions.get(index).ok_or_else(malformed)?;
            let parameters = bind(function, positional, named)?;
            frame.enter(index, function, parameters)
        }
        Value::Builtin(builtin) => {
            let result = call_builtin(frame, builtin, positional, named)?;
            push(frame, result);
            Ok(())
        }
        Value::Method(receiver, name) => match *receiver {
            Value::Dict(dict) => {
                let result = frame.dict_method(dict, &name, positional, named)?;
                frame.stack.push(result);
                Ok(())
            }
            Value::Term(term) => {
                let result = call_method(&term, &name, positional, &named)?;
                frame.push_evaluated(result);
                Ok(())
            }
            _ => Err(Decline::new(format!("it calls `.{name}()` of a value without methods"))),
        },
        _ => Err(Decline::new("it calls something other than a function")),
    }
}

fn push(frame: &mut Frame, result: Value) {
    match result {
        Value::Term(term) => frame.push_evaluated(term),
        other => frame.stack.push(other),
    }
}

/// The values of the parameters of `function`.
fn bind(
    function: &Function,
    positional: Vec<Value>,
    named: Vec<(String, Value)>,
) -> Result<Vec<Value>, Decline> {
    let misfit =
        || Decline::new(format!("it calls `{}` with arguments that do not fit", function.name));
    if positional.len() > function.positional {
        return Err(misfit());
    }
    let mut values: Vec<Option<Value>> = positional.into_iter().map(Some).collect();
    values.resize(function.parameters.len(), None);
    for (name, value) in named {
        let mut parameters = function.parameters.iter().skip(function.positional_only);
        let index = parameters.position(|parameter| parameter.name == name).ok_or_else(misfit)?;
        let place = &mut values[function.positional_only + index];
        if place.replace(value).is_some() {
            return Err(misfit());
        }
    }
    let bound = values.into_iter().zip(&function.parameters).map(|(value, parameter)| {
        value.or_else(|| parameter.default.as_ref().map(Value::constant)).ok_or_else(misfit)
    });
    bound.collect()
}

fn call_builtin(
    frame: &mut Frame,
    builtin: Builtin,
    mut positional: Vec<Value>,
    named: Vec<(String, Value)>,
) -> Result<Value, Decline> {
    let misfit =
        || Decline::new(format!("it calls `{}` with arguments that are not known", builtin.name()));
    if builtin == Builtin::Dict {
        let mut sources = positional.into_iter();
        let (source, None) = (sources.next(), sources.next()) else { return Err(misfit()) };
        return frame.copied_dict(source.as_ref(), named);
    }
    for (name, value) in named {
        let fits = builtin == Builtin::Round && name == "ndigits" && positional.len() == 1;
        if !fits {
            return Err(misfit());
        }
        positional.push(value);
    }
    if builtin == Builtin::Len
        && let [Value::Dict(_) | Value::Sequence(_) | Value::Set(_)] = positional.as_slice()
    {
        return length(frame, &positional[0]);
    }
    let spread = matches!(builtin, Builtin::Min | Builtin::Max) && positional.len() == 1;
    if spread {
        let Some(Value::Sequence(Sequence { items, .. })) = positional.pop() else {
            return Err(misfit());
        };
        positional = items;
    }
    let terms = positional.into_iter().map(Value::into_term).collect::<Result<Vec<_>, _>>()?;
    if let Builtin::Numpy(function) = builtin {
        return array::call(function, &terms).map(Value::Term);
    }
    if terms.iter().any(|term| term.array) {
        return match (builtin, terms.as_slice()) {
            (Builtin::Abs, [operand]) => array::absolute(operand).map(Value::Term),
            _ => Err(Decline::new(format!("it calls `{}` of an array", builtin.name()))),
        };
    }
    let result = match (builtin, terms.as_slice()) {
        (Builtin::Abs, [operand]) => convert::absolute(operand),
        (Builtin::Bool, [operand]) => python::truth(operand),
        (Builtin::Float, [operand]) => convert::float(operand),
        (Builtin::Int, [operand]) => convert::integer(operand),
        (Builtin::Len, [operand]) => convert::length(operand),
        (Builtin::Min, operands) => convert::extreme(false, operands),
        (Builtin::Max, operands) => convert::extreme(true, operands),
        (Builtin::Round, [operand]) => convert::round(operand, None),
        (Builtin::Round, [operand, digits]) => convert::round(operand, Some(digits)),
        (Builtin::Str, [operand]) => convert::text(operand),
        (Builtin::Math(function), operands) => mathematics::call(function, operands),
        _ => Err(misfit()),
    };
    result.map(Value::Term)
}

/// The length of a container that is always the same.
fn length(frame: &Frame, container: &Value) -> Result<Value, Decline> {
    let length = match container {
        Value::Dict(dict) => frame.dicts.get(*dict).ok_or_else(malformed)?.entries.len(),
        Value::Sequence(Sequence { items, .. }) | Value::Set(items) => items.len(),
        _ => return Err(malformed()),
    };
    let length = i64::try_from(length).map_err(|_| malformed())?;
    Ok(Value::Term(Term::scalar(&Constant::Int(length))))
}

fn call_method(
    receiver: &Term,
    name: &str,
    positional: Vec<Value>,
    named: &[(String, Value)],
) -> Result<Term, Decline> {
    if receiver.array {
        return array::method(receiver, name, positional, named);
    }
    if let Some((keyword, _)) = named.first() {
        return Err(Decline::new(format!("it calls `.{name}()` with the keyword `{keyword}`")));
    }
    let called = match receiver.kind {
        Kind::Str => text::method(receiver, name, positional)?,
        Kind::Date | Kind::DateTime if positional.is_empty() => calendar::method(receiver, name)?,
        _ => None,
    };
    called.ok_or_else(|| {
        Decline::new(format!("it calls `.{name}()` of {} in a way not known", receiver.kind.name()))
    })
}
