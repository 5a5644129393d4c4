//! Texts cut into lists of texts.

use std::sync::Arc;

use arrow::array::ListArray;
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use datafusion_common::Result;

use super::super::named::{FunctionError, Kernel, Parameters};
use super::class::Class;
use super::column::{Texts, TextsBuilder, is_text};
use super::re2::regex_of;

/// The function of this name; `None` when there is none.
pub(super) fn kernel(name: &str, given: &Parameters<'_>) -> Result<Option<Kernel>, FunctionError> {
    let most = given.optional_size("max_splits")?.unwrap_or(usize::MAX);
    let reverse = given.flag("reverse")?;
    Ok(Some(match name {
        "split" => {
            let pattern = given.text("pattern")?;
            if pattern.is_empty() {
                return Err(given.error("pattern", "must not be empty"));
            }
            lists(move |value, parts| {
                let cuts = value.match_indices(&pattern).map(|(at, found)| (at, at + found.len()));
                if reverse {
                    let cuts = value.rmatch_indices(&pattern);
                    let cuts = cuts.map(|(at, found)| (at, at + found.len())).take(most);
                    let mut cuts: Vec<_> = cuts.collect();
                    cuts.reverse();
                    cut(value, cuts.into_iter(), parts)
                } else {
                    cut(value, cuts.take(most), parts)
                }
            })
        }
        "split_regex" if reverse => {
            return Err(given.error("reverse", "is not possible for regular expressions"));
        }
        "split_regex" => {
            let regex = regex_of(given, false)?;
            lists(move |value, parts| {
                let cuts = regex.find_iter(value).filter(|found| !found.is_empty());
                cut(value, cuts.map(|found| (found.start(), found.end())).take(most), parts)
            })
        }
        "split_whitespace" => lists(move |value, parts| {
            let mut cuts = spaces(value);
            let extra = cuts.len().saturating_sub(most);
            if reverse {
                cuts.drain(..extra);
            } else {
                cuts.truncate(most);
            }
            cut(value, cuts.into_iter(), parts)
        }),
        _ => return Ok(None),
    }))
}

/// Where the runs of white space begin and end.
fn spaces(value: &str) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, one) in value.char_indices().filter(|(_, one)| Class::Space.has(*one)) {
        let end = at + one.len_utf8();
        match runs.last_mut() {
            Some(last) if last.1 == at => last.1 = end,
            _ => runs.push((at, end)),
        }
    }
    runs
}

/// Puts what lies between `cuts` into `parts`, and returns how many they are.
fn cut(
    value: &str,
    cuts: impl Iterator<Item = (usize, usize)>,
    parts: &mut TextsBuilder,
) -> Result<usize> {
    let (mut last, mut count) = (0, 1);
    for (start, end) in cuts {
        parts.open().push_str(&value[last..start]);
        parts.close()?;
        (last, count) = (end, count + 1);
    }
    parts.open().push_str(&value[last..]);
    parts.close()?;
    Ok(count)
}

/// A function that makes a list of a text.
fn lists(one: impl Fn(&str, &mut TextsBuilder) -> Result<usize> + Send + Sync + 'static) -> Kernel {
    let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let of_type = DataType::List(Arc::clone(&item));
    let output = move |data_type: &DataType| is_text(data_type).then(|| of_type.clone());
    Kernel::of_one(output, move |array| {
        let values = Texts::of(array)?;
        let mut parts = TextsBuilder::of(values.len());
        let (mut ends, mut end) = (vec![0_i32], 0_usize);
        for value in values.iter() {
            if let Some(value) = value {
                end += one(value, &mut parts)?;
            }
            ends.push(i32::try_from(end).map_err(|_| ArrowError::OffsetOverflowError(end))?);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let (parts, nulls) = (Arc::new(parts.finish(None)), values.nulls().cloned());
        Ok(Arc::new(ListArray::try_new(Arc::clone(&item), offsets, parts, nulls)?))
    })
}
