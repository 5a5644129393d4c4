//! `in`, of constants and of strings.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Float64Type, Int64Type};
use datafusion_common::Result;

use super::{Input, pair_rows};

/// Whether each item is one of the choices, of which each is one value for all rows.
pub(super) fn is_among(item: &Input, choices: &[Input]) -> Result<ArrayRef> {
    let none = choices.iter().any(|choice| choice.is_null(0));
    let choices = || choices.iter().filter(|choice| !choice.is_null(0));
    let array = &item.array;
    let rows = array.len();
    let found = if let Some(values) = array.as_primitive_opt::<Int64Type>() {
        let choices = choices().map(|choice| Ok(choice.primitive::<Int64Type>()?.values[0]));
        let choices = choices.collect::<Result<HashSet<_>>>()?;
        BooleanBuffer::collect_bool(rows, |row| choices.contains(&values.value(row)))
    } else if let Some(values) = array.as_primitive_opt::<Float64Type>() {
        let choices = choices().map(|choice| Ok(choice.primitive::<Float64Type>()?.values[0]));
        let choices = choices.collect::<Result<Vec<_>>>()?;
        BooleanBuffer::collect_bool(rows, |row| choices.contains(&values.value(row)))
    } else if let Some(values) = array.as_string_opt::<i32>() {
        let choices = choices().map(|choice| Ok(choice.strings()?.get(0)));
        let choices = choices.collect::<Result<HashSet<_>>>()?;
        BooleanBuffer::collect_bool(rows, |row| choices.contains(values.value(row)))
    } else {
        return Err(item.misfit());
    };
    let found = match array.nulls() {
        None => found,
        Some(nulls) if none => &found | &!nulls.inner(),
        Some(nulls) => &found & nulls.inner(),
    };
    Ok(Arc::new(BooleanArray::new(found, None)))
}

/// Whether each container, a string or a list of strings, has the item.
pub(super) fn contains(container: &Input, item: &Input) -> Result<ArrayRef> {
    let rows = pair_rows(container, item);
    let item = item.strings()?;
    let bits = if container.array.as_list_opt::<i32>().is_some() {
        let lists = container.lists()?;
        BooleanBuffer::collect_bool(rows, |row| lists.get(row).any(|text| text == item.get(row)))
    } else {
        let container = container.strings()?;
        BooleanBuffer::collect_bool(rows, |row| container.get(row).contains(item.get(row)))
    };
    Ok(Arc::new(BooleanArray::new(bits, None)))
}
