//! Methods of strings. Positions and lengths are counted in code points, as in Python.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, ListArray, StringBuilder};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion_common::{DataFusionError, Result};

use super::{Input, Operand, Trouble, array_of};
use crate::lambda::function::Text;

/// Strings of a result, which are trouble beyond what 32-bit offsets reach.
pub(super) struct Texts(StringBuilder);

impl Texts {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self(StringBuilder::with_capacity(rows, rows * 8))
    }

    /// Adds one string, in one part or more.
    pub(super) fn push(&mut self, parts: &[&str]) -> Result<(), Trouble> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        i32::try_from(self.0.values_slice().len() + bytes).map_err(|_| Trouble)?;
        let (last, first) = parts.split_last().ok_or(Trouble)?;
        for part in first {
            self.0.write_str(part).map_err(|_| Trouble)?;
        }
        self.0.append_value(last);
        Ok(())
    }

    pub(super) fn finish(mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// Whether Python's `str.isspace` holds: in `strip` and `split` these are space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Computes a method for each row.
pub(super) fn evaluate(text: Text, inputs: &[Input], rows: usize) -> Result<ArrayRef> {
    let unknown = || DataFusionError::Internal(format!("`{text:?}` of these arguments"));
    let (receiver, arguments) = inputs.split_first().ok_or_else(unknown)?;
    match text {
        Text::Length | Text::Find | Text::Count => counts(text, receiver, arguments, rows),
        Text::Split => split(receiver, arguments, rows),
        Text::Slice => slice(receiver, arguments, rows),
        Text::Item => item(receiver, arguments.first().ok_or_else(unknown)?, rows),
        Text::Replace => replace(receiver, arguments, rows),
        Text::StartsWith | Text::EndsWith => {
            let texts = receiver.strings()?;
            let affixes = arguments.first().ok_or_else(unknown)?.strings()?;
            let bits = BooleanBuffer::collect_bool(rows, |row| {
                let (value, affix) = (texts.get(row), affixes.get(row));
                if text == Text::StartsWith {
                    value.starts_with(affix)
                } else {
                    value.ends_with(affix)
                }
            });
            Ok(Arc::new(BooleanArray::new(bits, None)))
        }
        Text::Lower | Text::Upper => {
            let texts = receiver.strings()?;
            each(rows, |row| cased(texts.get(row), text == Text::Upper))
        }
        Text::Strip
        | Text::LeftStrip
        | Text::RightStrip
        | Text::RemovePrefix
        | Text::RemoveSuffix => {
            let texts = receiver.strings()?;
            let argument = arguments.first().map(Input::strings).transpose()?;
            each(rows, |row| {
                let argument = argument.as_ref().map(|argument| argument.get(row));
                Ok(Cow::Borrowed(cut(text, texts.get(row), argument)))
            })
        }
    }
}

fn each<'a>(
    rows: usize,
    value: impl Fn(usize) -> Result<Cow<'a, str>, Trouble>,
) -> Result<ArrayRef> {
    let mut texts = Texts::with_capacity(rows);
    for row in 0..rows {
        texts.push(&[&value(row)?])?;
    }
    Ok(texts.finish())
}

/// The text in upper or lower case. A character beyond those whose case no version of Unicode
/// that Python or Rust knows changes, and a sigma, whose case depends on its neighbours, are
/// trouble.
fn cased(text: &str, upper: bool) -> Result<Cow<'_, str>, Trouble> {
    let settled = |c: char| {
        matches!(c,
            '\0'..='\u{17f}' | '\u{370}'..='\u{373}' | '\u{386}'..='\u{3a1}' | '\u{3a4}'..='\u{3ce}'
            | '\u{400}'..='\u{45f}' | '\u{2000}'..='\u{206f}' | '\u{3041}'..='\u{3096}'
            | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fef}' | '\u{ac00}'..='\u{d7a3}'
            | '\u{1f300}'..='\u{1f64f}')
    };
    Ok(Cow::Owned(match (text.is_ascii(), upper) {
        (true, true) => text.to_ascii_uppercase(),
        (true, false) => text.to_ascii_lowercase(),
        _ if !text.chars().all(settled) => return Err(Trouble),
        (false, true) => text.to_uppercase(),
        (false, false) => text.to_lowercase(),
    }))
}

/// The text without something at its ends.
fn cut<'a>(method: Text, text: &'a str, argument: Option<&str>) -> &'a str {
    let goes = |c: char| argument.map_or_else(|| is_space(c), |characters| characters.contains(c));
    match (method, argument) {
        (Text::RemovePrefix, Some(prefix)) => text.strip_prefix(prefix).unwrap_or(text),
        (Text::RemoveSuffix, Some(suffix)) => text.strip_suffix(suffix).unwrap_or(text),
        (Text::LeftStrip, _) => text.trim_start_matches(goes),
        (Text::RightStrip, _) => text.trim_end_matches(goes),
        _ => text.trim_matches(goes),
    }
}

fn length(text: &str) -> i64 {
    let length = if text.is_ascii() { text.len() } else { text.chars().count() };
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Lengths, positions and numbers of occurrences.
fn counts(method: Text, receiver: &Input, arguments: &[Input], rows: usize) -> Result<ArrayRef> {
    if method == Text::Length && matches!(receiver.array.data_type(), DataType::List(_)) {
        let lists = receiver.lists()?;
        let lengths = (0..rows).map(|row| i64::try_from(lists.get(row).len()).unwrap_or(i64::MAX));
        return Ok(array_of::<Int64Type>(lengths.collect()));
    }
    let texts = receiver.strings()?;
    let Some(part) = arguments.first() else {
        return Ok(array_of::<Int64Type>((0..rows).map(|row| length(texts.get(row))).collect()));
    };
    let parts = part.strings()?;
    let counted = (0..rows).map(|row| {
        let (text, part) = (texts.get(row), parts.get(row));
        match method {
            Text::Find => text.find(part).map_or(-1, |at| length(&text[..at])),
            // Around every character.
            _ if part.is_empty() => length(text) + 1,
            _ => i64::try_from(text.matches(part).count()).unwrap_or(i64::MAX),
        }
    });
    Ok(array_of::<Int64Type>(counted.collect()))
}

/// `replace(old, new)`, and `replace(old, new, count)`, where a negative count is no limit.
fn replace(receiver: &Input, arguments: &[Input], rows: usize) -> Result<ArrayRef> {
    let [old, new, limit @ ..] = arguments else {
        return Err(DataFusionError::Internal("`replace` of these arguments".into()));
    };
    let (texts, old, new) = (receiver.strings()?, old.strings()?, new.strings()?);
    let limit = limit.first().map(Input::primitive::<Int64Type>).transpose()?;
    each(rows, |row| {
        let (text, old, new) = (texts.get(row), old.get(row), new.get(row));
        let limit = limit.as_ref().and_then(|limit| usize::try_from(limit.get(row)).ok());
        Ok(Cow::Owned(match limit {
            Some(limit) => text.replacen(old, new, limit),
            None => text.replace(old, new),
        }))
    })
}

/// `split()`, `split(separator)`, and `split(separator, count)`, where a negative count is no
/// limit. An empty separator raises.
fn split(receiver: &Input, arguments: &[Input], rows: usize) -> Result<ArrayRef> {
    let texts = receiver.strings()?;
    let separators = arguments.first().map(Input::strings).transpose()?;
    let limits = arguments.get(1).map(Input::primitive::<Int64Type>).transpose()?;
    let mut parts = Texts::with_capacity(rows);
    let mut lengths = Vec::with_capacity(rows);
    for row in 0..rows {
        let text = texts.get(row);
        let limit = limits.as_ref().and_then(|limit| usize::try_from(limit.get(row)).ok());
        let found: Vec<&str> = match (separators.as_ref().map(|all| all.get(row)), limit) {
            (None, _) => text.split(is_space).filter(|part| !part.is_empty()).collect(),
            (Some(""), _) => return Err(Trouble.into()),
            (Some(separator), None) => text.split(separator).collect(),
            (Some(separator), Some(limit)) => {
                text.splitn(limit.saturating_add(1), separator).collect()
            }
        };
        for part in &found {
            parts.push(&[part])?;
        }
        lengths.push(found.len());
    }
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let list = ListArray::new(field, OffsetBuffer::from_lengths(lengths), parts.finish(), None);
    Ok(Arc::new(list))
}

/// The place in a sequence of `length` that an index names.
fn place(index: i64, length: i64) -> Result<usize, Trouble> {
    let index = if index < 0 { index.saturating_add(length) } else { index };
    if index >= length { Err(Trouble) } else { usize::try_from(index).map_err(|_| Trouble) }
}

/// `text[index]`, of a string or a list of strings. An index out of range raises.
fn item(receiver: &Input, index: &Input, rows: usize) -> Result<ArrayRef> {
    let indices = index.primitive::<Int64Type>()?;
    if matches!(receiver.array.data_type(), DataType::List(_)) {
        let lists = receiver.lists()?;
        return each(rows, |row| {
            let mut list = lists.get(row);
            let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
            let at = place(indices.get(row), length)?;
            list.nth(at).map(Cow::Borrowed).ok_or(Trouble)
        });
    }
    let texts = receiver.strings()?;
    each(rows, |row| {
        let text = texts.get(row);
        let at = place(indices.get(row), length(text))?;
        let (first, c) = if text.is_ascii() {
            (at, 1)
        } else {
            let (first, c) = text.char_indices().nth(at).ok_or(Trouble)?;
            (first, c.len_utf8())
        };
        Ok(Cow::Borrowed(&text[first..first + c]))
    })
}

/// `text[start:stop]` and `text[start:stop:step]`; null bounds are those that are left out. A
/// step of 0 raises.
fn slice(receiver: &Input, bounds: &[Input], rows: usize) -> Result<ArrayRef> {
    let texts = receiver.strings()?;
    let bound = |at: usize| -> Result<Option<(Input, &Input)>> {
        Ok(bounds.get(at).map(|bound| (bound.with_values(), bound)))
    };
    let (from, to, by) = (bound(0)?, bound(1)?, bound(2)?);
    let values = |bound: &Option<(Input, &Input)>| -> Result<Vec<Option<i64>>> {
        let Some((values, bound)) = bound else { return Ok(vec![None; rows]) };
        let values: Operand<'_, i64> = values.primitive::<Int64Type>()?;
        Ok((0..rows).map(|row| (!bound.is_null(row)).then(|| values.get(row))).collect())
    };
    let (from, to, by) = (values(&from)?, values(&to)?, values(&by)?);
    each(rows, |row| {
        let text = texts.get(row);
        let step = by[row].unwrap_or(1);
        if step == 0 {
            return Err(Trouble);
        }
        let length = length(text);
        let (first, end) = clamped(from[row], to[row], step, length);
        if step == 1 {
            return Ok(Cow::Borrowed(between(text, first, end)));
        }
        let characters: Vec<char> = text.chars().collect();
        let mut taken = String::new();
        let mut at = first;
        while (step > 0 && at < end) || (step < 0 && at > end) {
            taken.extend(usize::try_from(at).ok().and_then(|at| characters.get(at)));
            at = at.saturating_add(step);
        }
        Ok(Cow::Owned(taken))
    })
}

/// The first place, and the one to stop before, in a sequence of `length`.
fn clamped(from: Option<i64>, to: Option<i64>, step: i64, length: i64) -> (i64, i64) {
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: i64| {
        let bound = if bound < 0 { bound.saturating_add(length) } else { bound };
        bound.clamp(lowest, highest)
    };
    let (first, end) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
    (from.map_or(first, clamp), to.map_or(end, clamp))
}

/// The characters from the `first` to before the `end`.
fn between(text: &str, first: i64, end: i64) -> &str {
    let (Ok(first), Ok(end)) = (usize::try_from(first), usize::try_from(end)) else { return "" };
    if first >= end {
        return "";
    }
    if text.is_ascii() {
        return &text[first..end];
    }
    let byte = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
    &text[byte(first)..byte(end)]
}
