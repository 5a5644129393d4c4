//! Functions of texts that hold JSON: the namespace `.json`.

use std::sync::Arc;

use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use serde_json::Value;

use super::named::{FunctionError, Kernel, Parameters};
use super::text::{Texts, TextsBuilder, is_text};

/// Names of the functions.
pub(super) const NAMES: &[&str] = &["json.get"];

/// The function of this name; `None` when there is none.
pub(super) fn kernel(given: &Parameters<'_>) -> Result<Option<Kernel>, FunctionError> {
    if given.function != "json.get" {
        return Ok(None);
    }
    let path = given.text("path")?;
    let steps = steps_of(&path)
        .ok_or_else(|| given.error("path", format!("is no path like `a.b[0]`: `{path}`")))?;
    let output = |data_type: &DataType| is_text(data_type).then_some(DataType::Utf8);
    Ok(Some(Kernel::of_one(output, move |array| {
        let values = Texts::of(array)?;
        let mut made = TextsBuilder::of(values.len());
        let mut found = Vec::with_capacity(values.len());
        for value in values.iter() {
            let value = value.and_then(|value| serde_json::from_str::<Value>(value).ok());
            let at = value.as_ref().and_then(|value| at_path(value, &steps));
            match at {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => made.open().push_str(text),
                Some(other) => made.open().push_str(&other.to_string()),
            }
            made.close()?;
            found.push(at.is_some_and(|value| !value.is_null()));
        }
        let nulls = NullBuffer::new(BooleanBuffer::from(found));
        Ok(Arc::new(made.finish(Some(nulls))))
    })))
}

/// A step from a value to one inside of it.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    /// A position in an array, counted from the end where it is negative.
    At(i64),
}

/// The steps of a path like `$.a.b[0]`; `None` when it is none.
fn steps_of(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, after) = inside.split_once(']')?;
            let quoted = step.strip_prefix('\'').and_then(|step| step.strip_suffix('\''));
            steps.push(match quoted {
                Some(key) => Step::Key(key.to_owned()),
                None => Step::At(step.parse().ok()?),
            });
            rest = after;
            continue;
        }
        let key = rest.strip_prefix('.').unwrap_or(rest);
        let end = key.find(['.', '[']).unwrap_or(key.len());
        if end == 0 {
            return None;
        }
        steps.push(Step::Key(key[..end].to_owned()));
        rest = &key[end..];
    }
    Some(steps)
}

fn at_path<'a>(value: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::At(at) => {
            let all = value.as_array()?;
            let at = if *at < 0 { at.checked_add(i64::try_from(all.len()).ok()?)? } else { *at };
            all.get(usize::try_from(at).ok()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_keys_and_positions() {
        let key = |name: &str| Step::Key(name.to_owned());
        assert_eq!(steps_of("$.a.b[0]"), Some(vec![key("a"), key("b"), Step::At(0)]));
        assert_eq!(steps_of("a[-1]['x.y']"), Some(vec![key("a"), Step::At(-1), key("x.y")]));
        assert_eq!(steps_of("$"), Some(vec![]));
        for bad in ["a..b", "a[", "a[x]", "."] {
            assert_eq!(steps_of(bad), None, "{bad}");
        }
    }
}
