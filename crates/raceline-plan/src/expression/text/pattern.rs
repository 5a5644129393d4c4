//! Looking for patterns in texts: whether, where and how often, and replacing what was found.

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion_common::Result;
use regex::{Captures, Regex};

use super::super::named::{FunctionError, Kernel, Parameters};
use super::column::{Texts, TextsBuilder, conditions, is_text, numbers, positions, texts};
use super::re2::{ANYWHERE, like_of, literal_of, regex_of};

/// The function of this name; `None` when there is none.
pub(super) fn kernel(name: &str, given: &Parameters<'_>) -> Result<Option<Kernel>, FunctionError> {
    let ignore_case = given.flag("ignore_case")?;
    Ok(Some(match name {
        "starts_with" | "ends_with" | "contains" if !ignore_case => {
            let pattern = given.text("pattern")?;
            match name {
                "starts_with" => conditions(move |value| value.starts_with(&pattern)),
                "ends_with" => conditions(move |value| value.ends_with(&pattern)),
                _ => conditions(move |value| value.contains(&pattern)),
            }
        }
        "starts_with" => is_match(literal_of(given, (r"\A", ""), true)?),
        "ends_with" => is_match(literal_of(given, ("", r"\z"), true)?),
        "contains" => is_match(literal_of(given, ANYWHERE, true)?),
        "match" => is_match(like_of(given, ignore_case)?),
        "match_regex" => is_match(regex_of(given, ignore_case)?),
        "find" => first(literal_of(given, ANYWHERE, ignore_case)?),
        "find_regex" => first(regex_of(given, ignore_case)?),
        "count" => count(literal_of(given, ANYWHERE, ignore_case)?),
        "count_regex" => count(regex_of(given, ignore_case)?),
        "replace" => {
            let (pattern, replacement) = (given.text("pattern")?, given.text("replacement")?);
            let most = given.optional_size("max_replacements")?.unwrap_or(usize::MAX);
            if pattern.is_empty() {
                return Err(given.error("pattern", "must not be empty"));
            }
            texts(move |value, out| out.push_str(&value.replacen(&pattern, &replacement, most)))
        }
        "replace_regex" => replace(given)?,
        "extract" => extract(regex_of(given, false)?, given)?,
        _ => return Ok(None),
    }))
}

fn is_match(regex: Regex) -> Kernel {
    conditions(move |value| regex.is_match(value))
}

/// The byte at which the first match begins.
fn first(regex: Regex) -> Kernel {
    positions(move |value| regex.find(value).map(|found| found.start()))
}

fn count(regex: Regex) -> Kernel {
    numbers(move |value| regex.find_iter(value).count())
}

fn replace(given: &Parameters<'_>) -> Result<Kernel, FunctionError> {
    let regex = regex_of(given, false)?;
    let parts = parts_of(&given.text("replacement")?, regex.captures_len(), given)?;
    // For the crate, no replacement at all is written as zero; it means all of them.
    let most = given.optional_size("max_replacements")?;
    let replacement = move |found: &Captures<'_>| {
        let mut all = String::new();
        for part in &parts {
            match part {
                Part::Text(text) => all.push_str(text),
                Part::Group(group) => {
                    all.push_str(found.get(*group).map_or("", |one| one.as_str()));
                }
            }
        }
        all
    };
    Ok(texts(move |value, out| match most {
        Some(0) => out.push_str(value),
        most => out.push_str(&regex.replacen(value, most.unwrap_or(0), &replacement)),
    }))
}

/// A part of a replacement.
enum Part {
    Text(String),
    /// What a group of the match is.
    Group(usize),
}

/// The parts of a replacement in which `\1` is the first group and `\\` a backslash.
fn parts_of(
    replacement: &str,
    groups: usize,
    given: &Parameters<'_>,
) -> Result<Vec<Part>, FunctionError> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = replacement.chars();
    while let Some(one) = rest.next() {
        if one != '\\' {
            text.push(one);
            continue;
        }
        match rest.next() {
            Some('\\') => text.push('\\'),
            Some(digit) if digit.is_ascii_digit() => {
                let group = digit.to_digit(10).map_or(0, |group| group as usize);
                if group >= groups {
                    let reason = format!("names group {group}, which the pattern does not have");
                    return Err(given.error("replacement", reason));
                }
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(Part::Group(group));
            }
            _ => return Err(given.error("replacement", r"has a `\` before neither digit nor `\`")),
        }
    }
    parts.push(Part::Text(text));
    Ok(parts)
}

/// What the named groups of the first match are, as a struct.
fn extract(regex: Regex, given: &Parameters<'_>) -> Result<Kernel, FunctionError> {
    let names: Option<Vec<_>> = regex.capture_names().skip(1).collect();
    let names = names.filter(|names| !names.is_empty());
    let names =
        names.ok_or_else(|| given.error("pattern", "must name its groups: `(?P<name>...)`"))?;
    let fields = names.iter().map(|name| Field::new(*name, DataType::Utf8, true));
    let fields: Fields = fields.collect();
    let of_type = DataType::Struct(fields.clone());
    let output = move |data_type: &DataType| is_text(data_type).then(|| of_type.clone());
    Ok(Kernel::of_one(output, move |array| {
        let values = Texts::of(array)?;
        let mut groups: Vec<_> = fields.iter().map(|_| TextsBuilder::of(values.len())).collect();
        let mut found = Vec::with_capacity(values.len());
        for value in values.iter() {
            let captures = value.and_then(|value| regex.captures(value));
            for (at, group) in groups.iter_mut().enumerate() {
                let part = captures.as_ref().and_then(|found| found.get(at + 1));
                group.open().push_str(part.map_or("", |part| part.as_str()));
                group.close()?;
            }
            found.push(captures.is_some());
        }
        let nulls = NullBuffer::new(BooleanBuffer::from(found));
        let columns =
            groups.into_iter().map(|group| Arc::new(group.finish(Some(nulls.clone()))) as ArrayRef);
        let columns: Vec<ArrayRef> = columns.collect();
        Ok(Arc::new(StructArray::try_new(fields.clone(), columns, Some(nulls))?))
    }))
}
